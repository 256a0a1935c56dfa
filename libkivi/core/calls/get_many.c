/* get_many: keys in any order, repeated or not, as one sorted vector of each key once. */
#include "../lanes/run.h"
#include "../store/begin.h"
#include "../store/keys.h"
#include "result.h"

#include <stdlib.h>

/* A key asked, and where its value went. */
typedef struct asked {
    kivi_slice key;
    size_t index;  /* in the caller's order */
    size_t offset; /* of the stored key while keys are collected, then of the value in the result */
    size_t size;
} asked;

typedef struct reading {
    kvi_context *ctx;
    kivi_result *result;
    kivi_buffer keys; /* stored keys, where they are not the caller's */
    asked *asked;
    kivi_read_item *items;
    size_t count;
} reading;

static int compare_asked(const void *a, const void *b)
{
    const asked *left = a, *right = b;
    int order = kvi_slice_compare(left->key, right->key);
    return order ? order : (left->index > right->index) - (left->index < right->index);
}

static kivi_status collect_keys(reading *all, const kivi_slice *keys)
{
    kvi_context *ctx = all->ctx;
    bool plain = ctx->store->plain_keys;
    for (size_t i = 0; i < all->count; i++) {
        asked *one = &all->asked[i];
        *one = (asked){.key = keys[i], .index = i, .offset = all->keys.size};
        kvi_key made = {.heap = KIVI_BUFFER_INIT};
        kivi_status status = plain ? kvi_key_make(ctx, keys[i], &made)
                                   : kvi_key_append(ctx, keys[i], &all->keys);
        if (status) {
            kvi_error_set_index(ctx->error, i);
            return status;
        }
        one->size = all->keys.size - one->offset;
    }
    for (size_t i = 0; i < all->count && !plain; i++)
        all->asked[i].key = kivi_bytes(all->keys.data + all->asked[i].offset, all->asked[i].size);
    for (size_t i = 1; i < all->count; i++)
        if (compare_asked(&all->asked[i - 1], &all->asked[i]) > 0) {
            qsort(all->asked, all->count, sizeof(asked), compare_asked);
            break;
        }
    return KIVI_OK;
}

static kivi_status deliver_to_result(kivi_read_vector *vector, kivi_read_item *item,
                                     kivi_slice value, kivi_slice version)
{
    reading *all = vector->owner;
    asked *one = item->tag;
    (void)version;
    one->size = value.size;
    return kvi_result_store(all->result, value, &one->offset);
}

/* One item for each different key; its tag is the first that asked. */
static size_t make_items(reading *all)
{
    size_t n = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (i && !kvi_slice_compare(all->asked[i].key, all->asked[i - 1].key))
            continue;
        all->items[n++] = (kivi_read_item){.key = all->asked[i].key,
                                           .want = KIVI_WANT_VALUE,
                                           .status = KIVI_PENDING,
                                           .tag = &all->asked[i]};
        all->asked[i].size = 0;
    }
    return n;
}

/* Gives each position its answer; those that asked the same key share the value. */
static void answer_all(reading *all, size_t item_count)
{
    for (size_t n = 0; n < item_count; n++) {
        kivi_read_item *item = &all->items[n];
        const asked *first = item->tag;
        const asked *end = n + 1 < item_count ? all->items[n + 1].tag : all->asked + all->count;
        for (const asked *one = first; one < end; one++) {
            kivi_error *error = one + 1 < end && item->error ? kvi_error_copy(item->error) : item->error;
            kvi_result_set(all->result, one->index, item->status, error);
            if (item->status == KIVI_OK)
                kvi_result_set_value(all->result, one->index, first->offset, first->size);
        }
        item->error = NULL;
    }
}

static kivi_status read_all(reading *all, const kivi_slice *keys)
{
    kvi_context *ctx = all->ctx;
    all->asked = malloc((all->count + 1) * sizeof(asked)); /* never nothing: an empty batch is none */
    all->items = malloc((all->count + 1) * sizeof(kivi_read_item));
    all->result = kvi_result_new(ctx->store, all->count);
    kivi_status status = KIVI_OK;
    if (!all->asked || !all->items || !all->result)
        status = kvi_context_fail(ctx, KIVI_NO_MEMORY, "no memory for a batch of %zu keys", all->count);
    else
        status = collect_keys(all, keys);
    if (status) {
        kivi_result_free(all->result);
        all->result = NULL;
        return status;
    }
    if (all->count == 0)
        return KIVI_OK;
    size_t item_count = make_items(all);
    kivi_read_vector vector = KVI_READ_VECTOR(all->items, item_count, deliver_to_result, all);
    kvi_run_reads(ctx, &vector);
    answer_all(all, item_count);
    return kvi_result_verdict(ctx, all->result);
}

kivi_status kivi_store_get_many(kivi_store *store, const kivi_call *call, const kivi_slice *keys,
                                size_t count, kivi_result **result, kivi_error **error)
{
    kvi_context ctx;
    reading all = {.ctx = &ctx, .count = count};
    if (result)
        *result = NULL;
    kivi_status status = kvi_begin(&ctx, store, call, "get_many", error);
    ctx.items = count;
    if (!status)
        status = read_all(&all, keys);
    ctx.key = kivi_bytes(NULL, 0);
    if (result)
        *result = all.result;
    else
        kivi_result_free(all.result);
    kivi_buffer_free(&all.keys);
    free(all.asked);
    free(all.items);
    return kvi_end(&ctx, status);
}
