/* Pages and scans: pairs under a prefix with cursors that outlive the process. */
#include "../store/begin.h"
#include "walk.h"

#include <stdlib.h>

#define DEFAULT_LIMIT 1000
#define PAGE_BYTES (UINT64_C(16) << 20) /* a page ends once it holds so much */
#define CURSOR_MARK "kivi\x01"          /* and the version of what follows */
#define CURSOR_HEAD (5 + 8)

typedef struct page_pair {
    size_t offset; /* of the key; the value follows it */
    size_t key_size, value_size;
    int64_t ttl_ms;
} page_pair;

struct kivi_page {
    kivi_store *store;
    kivi_buffer bytes;
    kivi_buffer cursor; /* behind its pairs */
    bool is_last;       /* nothing follows, and the cursor says so */
    page_pair *pairs;
    size_t count, capacity;
};

/* ---- cursors ---- */

/*
 * "kivi" 0x01, eight bytes of check, then the backend's own bytes; none: the scan is over. The check covers
 * namespace and prefix, so that a cursor is refused elsewhere than where it came from.
 */
static kivi_status cursor_check(kvi_walk *walk, kivi_slice inner, uint8_t check[8])
{
    kivi_buffer text = KIVI_BUFFER_INIT;
    uint64_t size = walk->prefix.size;
    kivi_status status = kivi_buffer_append(&text, inner);
    if (!status)
        status = kivi_buffer_append(&text, walk->prefix);
    if (!status)
        status = kivi_buffer_append(&text, kivi_buffer_slice(&walk->ctx->store->space));
    if (!status)
        status = kivi_buffer_append(&text, kivi_bytes(&size, sizeof(size)));
    uint64_t hash = kvi_hash64(kivi_buffer_slice(&text));
    memcpy(check, &hash, sizeof(hash));
    kivi_buffer_free(&text);
    return status;
}

static kivi_status write_cursor(kvi_walk *walk, kivi_buffer *out)
{
    uint8_t check[8];
    kivi_slice inner = kivi_buffer_slice(&walk->cursor);
    kivi_status status = cursor_check(walk, inner, check);
    if (!status)
        status = kivi_buffer_reserve(out, CURSOR_HEAD + inner.size);
    if (!status)
        out->size = 0; /* not before: a scan that fails goes on from the old one */
    if (!status)
        status = kivi_buffer_append(out, kivi_str(CURSOR_MARK));
    if (!status)
        status = kivi_buffer_append(out, kivi_bytes(check, sizeof(check)));
    if (!status)
        status = kivi_buffer_append(out, inner);
    return status ? kvi_context_fail(walk->ctx, status, "no memory for a cursor") : KIVI_OK;
}

static kivi_status read_cursor(kvi_walk *walk, kivi_slice cursor, bool *is_over)
{
    uint8_t check[8];
    const uint8_t *bytes = cursor.data;
    if (cursor.size == 0)
        return KIVI_OK;
    if (cursor.size < CURSOR_HEAD || memcmp(bytes, CURSOR_MARK, 5) != 0)
        return kvi_context_fail(walk->ctx, KIVI_INVALID, "not a cursor of this library");
    kivi_slice inner = kivi_bytes(bytes + CURSOR_HEAD, cursor.size - CURSOR_HEAD);
    if (cursor_check(walk, inner, check) || kivi_buffer_assign(&walk->cursor, inner))
        return kvi_context_fail(walk->ctx, KIVI_NO_MEMORY, "no memory for a cursor");
    if (memcmp(check, bytes + 5, sizeof(check)) != 0)
        return kvi_context_fail(walk->ctx, KIVI_INVALID,
                                "the cursor is damaged, or of another prefix or namespace");
    *is_over = inner.size == 0;
    return KIVI_OK;
}

/* ---- collecting a page ---- */

/* Room for one more pair, whose bytes reach up to `end`. */
static kivi_status make_room(kivi_page *page, size_t end)
{
    if (kivi_buffer_reserve(&page->bytes, end))
        return KIVI_NO_MEMORY;
    if (page->count < page->capacity)
        return KIVI_OK;
    size_t capacity = page->capacity ? page->capacity * 2 : 64;
    page_pair *pairs = realloc(page->pairs, capacity * sizeof(*pairs));
    if (!pairs)
        return KIVI_NO_MEMORY;
    page->pairs = pairs;
    page->capacity = capacity;
    return KIVI_OK;
}

/* Some engines keep the value right behind its key, as a page does: then it is one copy. */
static inline void copy_pair(uint8_t *to, kivi_slice key, kivi_slice value)
{
    const uint8_t *bytes = key.data;
    if (KVI_LIKELY(bytes + key.size == value.data)) {
        memcpy(to, bytes, key.size + value.size);
        return;
    }
    memcpy(to, bytes, key.size);
    if (value.size)
        memcpy(to + key.size, value.data, value.size);
}

/* Where a page has room, which it has but a few times. */
static inline kivi_status put_pair(kivi_page *page, kivi_slice key, kivi_slice value, int64_t ttl_ms)
{
    size_t at = page->bytes.size, end = at + key.size + value.size;
    page->pairs[page->count++] = (page_pair){at, key.size, value.size, ttl_ms};
    page->bytes.size = end;
    copy_pair(page->bytes.data + at, key, value);
    return end >= PAGE_BYTES ? KIVI_END : KIVI_OK;
}

static inline bool has_room(const kivi_page *page, kivi_slice key, kivi_slice value)
{
    return page->count < page->capacity &&
           key.size + value.size <= page->bytes.capacity - page->bytes.size;
}

/* Of a store that wraps keys, under a prefix, or where the page has to grow. */
static __attribute__((noinline)) kivi_status collect_slowly(kvi_walk *walk, kivi_slice stored,
                                                            kivi_slice value, int64_t ttl_ms)
{
    kivi_page *page = walk->owner;
    kivi_slice key;
    kivi_status status;
    if (!kvi_walk_key(walk, stored, &key, &status))
        return status;
    if (!has_room(page, key, value) && make_room(page, page->bytes.size + key.size + value.size))
        return KIVI_NO_MEMORY;
    return put_pair(page, key, value, ttl_ms);
}

static kivi_status collect_pair(kivi_scan_sink *sink, kivi_slice stored, kivi_slice value, int64_t ttl_ms)
{
    kvi_walk *walk = sink->owner;
    kivi_page *page = walk->owner;
    if (KVI_LIKELY(walk->takes_all && stored.size && has_room(page, stored, value)))
        return put_pair(page, stored, value, ttl_ms);
    return collect_slowly(walk, stored, value, ttl_ms);
}

static void forget_pairs(kvi_walk *walk)
{
    kivi_page *page = walk->owner;
    page->count = 0;
    page->bytes.size = 0;
}

/* Fills a page (used before or not) with what follows `range`. */
static kivi_status fill_page(kvi_context *ctx, const kivi_range *range, kivi_page *page)
{
    kvi_walk walk = {.ctx = ctx,
                     .prefix = range->prefix,
                     .flags = range->flags,
                     .pair = collect_pair,
                     .reset = forget_pairs,
                     .owner = page};
    bool is_over = false;
    kivi_status status = kvi_walk_begin(&walk, range->after);
    if (!status)
        status = read_cursor(&walk, range->cursor, &is_over);
    if (is_over)
        forget_pairs(&walk);
    else if (!status)
        status = kvi_walk_page(&walk, range->limit ? range->limit : DEFAULT_LIMIT);
    if (!status)
        status = write_cursor(&walk, &page->cursor);
    if (!status)
        page->is_last = walk.cursor.size == 0;
    kvi_walk_free(&walk);
    if (status)
        page->count = 0;
    ctx->items = page->count;
    return status;
}

static kivi_status read_range(kivi_range *local, const kivi_range *range, kivi_error **error)
{
    *local = (kivi_range)KIVI_RANGE_INIT;
    if (!range)
        return KIVI_OK;
    kivi_status status = kvi_struct_read(local, sizeof(*local), range, "kivi_range", error);
    if (!status && local->flags & ~(uint32_t)(KIVI_SCAN_KEYS | KIVI_SCAN_WANT_EXPIRY))
        return kvi_fail(error, KIVI_UNSUPPORTED, "kivi_range: unknown flags 0x%x", local->flags);
    return status;
}

static kivi_page *page_new(kivi_store *store)
{
    kivi_page *page = calloc(1, sizeof(*page));
    if (page)
        page->store = kivi_store_ref(store);
    return page;
}

kivi_status kivi_store_page(kivi_store *store, const kivi_call *call, const kivi_range *range,
                            kivi_page **page, kivi_error **error)
{
    kvi_context ctx;
    kivi_range local;
    *page = NULL;
    kivi_page *filled = NULL;
    kivi_status status = kvi_begin(&ctx, store, call, "page", error);
    if (!status)
        status = read_range(&local, range, &ctx.error);
    if (!status) {
        filled = page_new(store);
        status = filled ? fill_page(&ctx, &local, filled) : KIVI_NO_MEMORY;
    }
    if (status) {
        kivi_page_free(filled);
        filled = NULL;
    }
    *page = filled;
    return kvi_end(&ctx, status);
}

size_t kivi_page_count(const kivi_page *page)
{
    return page->count;
}

static inline void fill_pair(const kivi_page *page, size_t index, kivi_pair *pair)
{
    const page_pair *one = &page->pairs[index];
    const uint8_t *bytes = page->bytes.data + one->offset;
    pair->flags = 0;
    pair->key = kivi_bytes(bytes, one->key_size);
    pair->value = kivi_bytes(bytes + one->key_size, one->value_size);
    pair->ttl_ms = one->ttl_ms;
}

/* To a caller that knows another kivi_pair than we do. */
static __attribute__((noinline)) kivi_status write_pair(const kivi_page *page, size_t index,
                                                        kivi_pair *pair, kivi_error **error)
{
    kivi_pair local = KIVI_PAIR_INIT;
    fill_pair(page, index, &local);
    return kvi_struct_write(pair, &local, sizeof(local), "kivi_pair", error);
}

/* Straight into the caller's struct where it is of our size: a copy of what was just written waits for it. */
static inline kivi_status give_pair(const kivi_page *page, size_t index, kivi_pair *pair,
                                    kivi_error **error)
{
    if (KVI_UNLIKELY(pair->struct_size != sizeof(*pair)))
        return write_pair(page, index, pair, error);
    fill_pair(page, index, pair);
    return KIVI_OK;
}

kivi_status kivi_page_pair(const kivi_page *page, size_t index, kivi_pair *pair)
{
    return index < page->count ? give_pair(page, index, pair, NULL) : KIVI_INVALID;
}

kivi_slice kivi_page_cursor(const kivi_page *page)
{
    return page->is_last ? kivi_bytes(NULL, 0) : kivi_buffer_slice(&page->cursor);
}

kivi_slice kivi_page_end(const kivi_page *page)
{
    return kivi_buffer_slice(&page->cursor);
}

void kivi_page_free(kivi_page *page)
{
    if (!page)
        return;
    kivi_buffer_free(&page->bytes);
    kivi_buffer_free(&page->cursor);
    kivi_store_unref(page->store);
    free(page->pairs);
    free(page);
}

/* ---- scans ---- */

struct kivi_scan {
    kivi_store *store;
    kivi_page *page;
    kivi_range range; /* its slices lie in `memory`, the cursor in the page */
    kivi_buffer memory, cursor;
    uint32_t generation;
    uint64_t left;        /* pairs to deliver from pages that are not read yet; UINT64_MAX: all */
    size_t position, end; /* in the page: the next pair, and behind the last to deliver */
    bool begun;
};

static kivi_status copy_range(kivi_scan *scan, const kivi_range *range)
{
    kivi_status status = kivi_buffer_append(&scan->memory, range->prefix);
    if (!status)
        status = kivi_buffer_append(&scan->memory, range->after);
    if (!status)
        status = kivi_buffer_assign(&scan->cursor, range->cursor);
    scan->range = *range;
    scan->range.prefix = kivi_bytes(scan->memory.data, range->prefix.size);
    scan->range.after = kivi_bytes(scan->memory.data + range->prefix.size, range->after.size);
    scan->left = range->limit ? range->limit : UINT64_MAX;
    return status;
}

kivi_status kivi_store_scan(kivi_store *store, const kivi_range *range, kivi_scan **scan,
                            kivi_error **error)
{
    kvi_context ctx;
    kivi_range local;
    kivi_scan *made = NULL;
    *scan = NULL;
    kivi_status status = kvi_begin(&ctx, store, NULL, "scan", error);
    if (!status)
        status = read_range(&local, range, &ctx.error);
    if (status)
        return kvi_end(&ctx, status);
    made = calloc(1, sizeof(*made));
    if (made) {
        made->store = kivi_store_ref(store);
        made->generation = atomic_load(&store->generation);
        made->page = page_new(store);
    }
    if (!made || !made->page || copy_range(made, &local)) {
        kivi_scan_free(made);
        return kvi_end(&ctx, kvi_context_fail(&ctx, KIVI_NO_MEMORY, "no memory for a scan"));
    }
    *scan = made;
    return kvi_end(&ctx, KIVI_OK);
}

static kivi_status next_page(kivi_scan *scan, const kivi_call *call, kivi_error **error)
{
    kvi_context ctx;
    kivi_status status = kvi_begin(&ctx, scan->store, call, "scan", error);
    if (!status && scan->begun)
        status = kivi_buffer_assign(&scan->cursor, kivi_buffer_slice(&scan->page->cursor));
    if (!status) {
        scan->range.cursor = kivi_buffer_slice(&scan->cursor);
        scan->range.limit = scan->left < DEFAULT_LIMIT ? scan->left : DEFAULT_LIMIT;
        status = fill_page(&ctx, &scan->range, scan->page);
    }
    if (!status) {
        scan->begun = true;
        scan->position = 0;
        scan->end = scan->page->count < scan->left ? scan->page->count : (size_t)scan->left;
        if (scan->left != UINT64_MAX)
            scan->left -= scan->end;
    }
    return kvi_end(&ctx, status);
}

static inline kivi_status deliver(kivi_scan *scan, kivi_pair *pair, kivi_error **error)
{
    size_t index = scan->position;
    kivi_status status = give_pair(scan->page, index, pair, error);
    if (KVI_LIKELY(!status))
        scan->position = index + 1;
    return status;
}

/* Reads on until a page has a pair to deliver. */
static __attribute__((noinline)) kivi_status next_of_page(kivi_scan *scan, const kivi_call *call,
                                                          kivi_pair *pair, kivi_error **error)
{
    while (scan->position == scan->end) {
        if (scan->left == 0 || (scan->begun && scan->page->is_last))
            return KIVI_END;
        kivi_status status = next_page(scan, call, error);
        if (status)
            return status;
    }
    return deliver(scan, pair, error);
}

kivi_status kivi_scan_next(kivi_scan *scan, const kivi_call *call, kivi_pair *pair, kivi_error **error)
{
    kvi_error_clear(error);
    kivi_store *store = scan->store;
    if (KVI_UNLIKELY(atomic_load_explicit(&store->generation, memory_order_relaxed) != scan->generation))
        return kvi_fail(error, KIVI_FORKED, "the scan was begun by the parent process");
    if (KVI_UNLIKELY(atomic_load_explicit(&store->gate, memory_order_relaxed) & KVI_GATE_CLOSED))
        return kvi_fail(error, KIVI_CLOSED, "the store is closed");
    if (KVI_UNLIKELY(scan->position == scan->end))
        return next_of_page(scan, call, pair, error);
    return deliver(scan, pair, error);
}

void kivi_scan_free(kivi_scan *scan)
{
    if (!scan)
        return;
    kivi_page_free(scan->page);
    kivi_buffer_free(&scan->memory);
    kivi_buffer_free(&scan->cursor);
    kivi_store_unref(scan->store);
    free(scan);
}
