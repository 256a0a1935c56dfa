/* Counting and clearing the keys under a prefix. */
#include "../lanes/run.h"
#include "../store/begin.h"
#include "../store/keys.h"
#include "walk.h"

#include <stdlib.h>

#define PAGE 1000

/* ---- count ---- */

static kivi_status count_pair(kivi_scan_sink *sink, kivi_slice stored, kivi_slice value, int64_t ttl_ms)
{
    kvi_walk *walk = sink->owner;
    kivi_slice key;
    kivi_status status;
    (void)value, (void)ttl_ms;
    if (kvi_walk_key(walk, stored, &key, &status))
        ++*(uint64_t *)walk->owner;
    return status;
}

static void count_reset(kvi_walk *walk)
{
    *(uint64_t *)walk->owner = 0;
}

static kivi_status count_by_walking(kvi_context *ctx, kivi_slice prefix, uint64_t *count)
{
    uint64_t of_page = 0;
    kvi_walk walk = {.ctx = ctx,
                     .prefix = prefix,
                     .flags = KIVI_SCAN_KEYS,
                     .pair = count_pair,
                     .reset = count_reset,
                     .owner = &of_page};
    kivi_status status = kvi_walk_begin(&walk, kivi_bytes(NULL, 0));
    while (!status) {
        status = kvi_walk_page(&walk, 10 * PAGE);
        *count += status ? 0 : of_page;
        if (status || walk.cursor.size == 0)
            break;
        status = kvi_check(ctx);
    }
    kvi_walk_free(&walk);
    return status;
}

/* Whether the keys under a prefix are those whose stored names begin with it: nothing of it is stored otherwise. */
static kivi_status find_prefix(kvi_context *ctx, kivi_slice prefix, kivi_buffer *stored)
{
    size_t space = ctx->store->space.size;
    kivi_status status = kvi_prefix_append(ctx, prefix, stored);
    if (status || !ctx->store->escapes || prefix.size == 0)
        return status;
    if (memchr(prefix.data, '%', prefix.size))
        return KIVI_UNSUPPORTED; /* escapes may begin in it */
    kivi_slice rest = kivi_bytes(stored->size > space ? stored->data + space : NULL, stored->size - space);
    return kvi_slice_compare(rest, prefix) ? KIVI_UNSUPPORTED : KIVI_OK;
}

/*
 * The store counts its names, which are the keys where none is a stranger's. With escapes a name that has a '%' may be
 * one: then the core walks.
 */
static kivi_status count_natively(kvi_context *ctx, kivi_slice prefix, uint64_t *count)
{
    kivi_store *store = ctx->store;
    kivi_buffer stored = KIVI_BUFFER_INIT;
    kivi_count names = {.struct_size = sizeof(names)};
    if (!store->backend->count)
        return KIVI_UNSUPPORTED;
    kivi_status status = find_prefix(ctx, prefix, &stored);
    if (!status) {
        names.prefix = kivi_buffer_slice(&stored);
        names.flags = store->escapes ? KIVI_COUNT_WANT_ESCAPED : 0;
        status = kvi_run_count(ctx, &names);
    }
    kivi_buffer_free(&stored);
    if (!status && names.escaped)
        status = KIVI_UNSUPPORTED;
    *count = status ? 0 : names.names;
    /* A key that is the namespace's prefix and nothing more is a stranger's. */
    if (!status && store->space.size && prefix.size == 0 && *count) {
        status = kvi_fetch(ctx, kivi_buffer_slice(&store->space), NULL, NULL);
        *count -= status == KIVI_OK || status == KIVI_WRONG_TYPE;
        if (status == KIVI_NOT_FOUND || status == KIVI_WRONG_TYPE)
            status = KIVI_OK;
    }
    return status;
}

kivi_status kivi_store_count(kivi_store *store, const kivi_call *call, kivi_slice prefix,
                             uint64_t *count, kivi_error **error)
{
    kvi_context ctx;
    *count = 0;
    kivi_status status = kvi_begin(&ctx, store, call, "count", error);
    if (!status) {
        status = count_natively(&ctx, prefix, count);
        if (status == KIVI_UNSUPPORTED) {
            kivi_error_free(ctx.error);
            ctx.error = NULL;
            status = count_by_walking(&ctx, prefix, count);
        }
    }
    if (status)
        *count = 0;
    return kvi_end(&ctx, status);
}

/* ---- clear ---- */

/* The stored keys of one page, one after another. */
typedef struct doomed {
    kivi_buffer bytes;
    size_t offsets[PAGE + 1];
    size_t count;
    kivi_write_item items[PAGE];
} doomed;

static kivi_status doom_key(kivi_scan_sink *sink, kivi_slice stored, kivi_slice value, int64_t ttl_ms)
{
    kvi_walk *walk = sink->owner;
    doomed *page = walk->owner;
    kivi_slice key;
    kivi_status status;
    (void)value, (void)ttl_ms;
    if (!kvi_walk_key(walk, stored, &key, &status))
        return status;
    page->offsets[page->count++] = page->bytes.size;
    status = kivi_buffer_append(&page->bytes, stored);
    page->offsets[page->count] = page->bytes.size;
    if (status)
        return status;
    return page->count == PAGE ? KIVI_END : KIVI_OK;
}

static void doom_reset(kvi_walk *walk)
{
    doomed *page = walk->owner;
    page->count = 0;
    page->bytes.size = 0;
}

static int compare_items(const void *a, const void *b)
{
    return kvi_slice_compare(((const kivi_write_item *)a)->key, ((const kivi_write_item *)b)->key);
}

/* Sorted and each once: some stores repeat a key within a page. */
static size_t make_items(doomed *page)
{
    size_t n = 0;
    for (size_t i = 0; i < page->count; i++)
        page->items[i] = (kivi_write_item){.key = kivi_bytes(page->bytes.data + page->offsets[i],
                                                             page->offsets[i + 1] - page->offsets[i]),
                                           .kind = KIVI_OP_DELETE,
                                           .flags = KIVI_OP_WANT_EXISTED,
                                           .status = KIVI_PENDING};
    qsort(page->items, page->count, sizeof(page->items[0]), compare_items);
    for (size_t i = 0; i < page->count; i++)
        if (n == 0 || compare_items(&page->items[n - 1], &page->items[i]))
            page->items[n++] = page->items[i];
    return n;
}

static kivi_status delete_page(kvi_context *ctx, doomed *page, uint64_t *cleared)
{
    size_t count = make_items(page);
    kivi_status status = KIVI_OK;
    kivi_write_vector vector = KVI_WRITE_VECTOR(page->items, count, 0);
    if (count == 0)
        return KIVI_OK;
    kvi_run_writes(ctx, &vector);
    for (size_t i = 0; i < count; i++) {
        kivi_write_item *item = &page->items[i];
        *cleared += item->status == KIVI_OK && item->existed;
        if (kvi_is_answer(item->status))
            continue;
        if (status == KIVI_OK) {
            status = item->status;
            kivi_error_free(ctx->error);
            ctx->error = item->error;
        } else {
            kivi_error_free(item->error);
        }
    }
    return status;
}

static kivi_status clear_pages(kvi_context *ctx, kivi_slice prefix, doomed *page, uint64_t *cleared)
{
    kvi_walk walk = {.ctx = ctx,
                     .prefix = prefix,
                     .flags = KIVI_SCAN_KEYS,
                     .pair = doom_key,
                     .reset = doom_reset,
                     .owner = page};
    kivi_status status = kvi_walk_begin(&walk, kivi_bytes(NULL, 0));
    while (!status) {
        status = kvi_walk_page(&walk, PAGE);
        if (!status)
            status = delete_page(ctx, page, cleared);
        if (status || walk.cursor.size == 0)
            break;
        status = kvi_check(ctx);
    }
    kvi_walk_free(&walk);
    return status;
}

static kivi_status check_clear(kvi_context *ctx, kivi_slice prefix, uint32_t flags)
{
    const kivi_store *store = ctx->store;
    if (flags & ~(uint32_t)KIVI_CLEAR_ALL)
        return kvi_context_fail(ctx, KIVI_UNSUPPORTED, "clear: unknown flags 0x%x", flags);
    if (store->instance.capabilities.shared_keyspace && !store->space.size && !prefix.size &&
        !(flags & KIVI_CLEAR_ALL))
        return kvi_context_fail(
            ctx, KIVI_INVALID, "clear: without a prefix or namespace this empties a keyspace shared with others; say all=true");
    return KIVI_OK;
}

kivi_status kivi_store_clear(kivi_store *store, const kivi_call *call, kivi_slice prefix,
                             uint32_t flags, uint64_t *cleared, kivi_error **error)
{
    kvi_context ctx;
    uint64_t count = 0;
    doomed *page = NULL;
    kivi_status status = kvi_begin(&ctx, store, call, "clear", error);
    if (!status)
        status = check_clear(&ctx, prefix, flags);
    if (!status) {
        page = calloc(1, sizeof(*page));
        status = page ? clear_pages(&ctx, prefix, page, &count)
                      : kvi_context_fail(&ctx, KIVI_NO_MEMORY, "no memory to clear");
    }
    if (page)
        kivi_buffer_free(&page->bytes);
    free(page);
    if (cleared)
        *cleared = count;
    ctx.items = count;
    return kvi_end(&ctx, status);
}
