/* The verbs without items: a page of keys and pairs at one moment, counting, and health. */
#include <kivi/scan.h>
#include <stdlib.h>

#include "memory.h"

/*
 * Scans run in byte order, the cursor being the last key. With order=none the tree is walked PASSES
 * times: pass n delivers the keys whose hash begins with n, so that the order is the store's own and a
 * cursor still means the same after any change.
 *
 * A cursor is the pass, in one byte, and the key.
 */
#define PASSES 8
#define LOOKED_MOST 100000 /* records passed over in one page */
#define COUNT_SLICE 10000  /* records counted in one hold of the lock */

/* A page in the making. */
typedef struct memory_page {
    memory_instance *instance;
    const kivi_scan_range *range;
    kivi_scan_sink *sink;
    unsigned pass, passes;
    tree_cursor cursor;
    memory_clock clock;
    memory_record *last; /* the last one looked at */
    kivi_error **error;
} memory_page;

static bool begins_with(kivi_slice key, kivi_slice prefix)
{
    return key.size >= prefix.size &&
           (prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0);
}

static uint64_t hash_of(kivi_slice key)
{
    return kvi_memory_host->hash64(key);
}

/* ---- Cursors ---- */

static kivi_status give_cursor(const memory_page *page)
{
    kivi_slice key = record_key(page->last);
    uint8_t few[1024], *bytes = key.size < sizeof(few) ? few : malloc(1 + key.size);
    kivi_status status;

    if (!bytes) {
        *page->error = kvi_memory_error(KIVI_NO_MEMORY);
        return KIVI_NO_MEMORY;
    }
    bytes[0] = (uint8_t)page->pass;
    memcpy(bytes + 1, key.data, key.size);
    status = page->sink->cursor(page->sink, kivi_bytes(bytes, 1 + key.size));
    if (bytes != few)
        free(bytes);
    return status;
}

static void seek_behind(memory_page *page, kivi_slice key)
{
    memory_record *record;

    kvi_tree_seek(&page->instance->space->tree, key, &page->cursor);
    record = kvi_tree_at(&page->cursor);
    if (record && kvi_tree_compare(record_key(record), key) == 0)
        kvi_tree_next(&page->cursor);
}

/* To the beginning of a pass: behind `after`, which counts only in byte order, or at the prefix. */
static void seek_start(memory_page *page)
{
    const kivi_scan_range *range = page->range;

    if (range->after.size && kvi_tree_compare(range->after, range->prefix) >= 0)
        seek_behind(page, range->after);
    else
        kvi_tree_seek(&page->instance->space->tree, range->prefix, &page->cursor);
}

/* Goes to where the cursor says. False: the bytes are none of ours, or belong to another prefix. */
static bool seek_cursor(memory_page *page)
{
    kivi_slice cursor = page->range->cursor;
    const uint8_t *bytes = cursor.data;
    kivi_slice key;

    if (cursor.size < 2 || bytes[0] >= page->passes)
        return false;
    key = kivi_bytes(bytes + 1, cursor.size - 1);
    if (!begins_with(key, page->range->prefix))
        return false;
    page->pass = bytes[0];
    seek_behind(page, key);
    return true;
}

/* ---- A page ---- */

/* The next record of the range, whatever becomes of it; NULL: the range is through. */
static memory_record *look_on(memory_page *page)
{
    for (;;) {
        memory_record *record = kvi_tree_at(&page->cursor);

        if (record && begins_with(record_key(record), page->range->prefix)) {
            page->last = record;
            kvi_tree_next(&page->cursor);
            return record;
        }
        if (page->pass + 1 >= page->passes)
            return NULL;
        page->pass++;
        seek_start(page);
    }
}

static bool belongs(memory_page *page, const memory_record *record)
{
    if (page->passes > 1 && hash_of(record_key(record)) / (UINT64_MAX / PASSES + 1) != page->pass)
        return false;
    return !kvi_space_expired(record, &page->clock);
}

static kivi_status give_pair(memory_page *page, const memory_record *record)
{
    kivi_slice value = kivi_bytes(NULL, 0);
    int64_t ttl_ms = KIVI_TTL_NONE;

    if (!(page->range->flags & KIVI_SCAN_KEYS))
        value = record_value(record);
    if (page->range->flags & KIVI_SCAN_WANT_EXPIRY)
        ttl_ms = kvi_space_ttl(record, &page->clock);
    return page->sink->pair(page->sink, record_key(record), value, ttl_ms);
}

/* Whether nothing is left behind the last pair: spares the caller an empty page. */
static bool is_through(const memory_page *page)
{
    const memory_record *record = kvi_tree_at(&page->cursor);

    if (page->pass + 1 < page->passes)
        return false;
    return !record || !begins_with(record_key(record), page->range->prefix);
}

/* Under the shared lock: the receiver only copies. */
static kivi_status fill(memory_page *page)
{
    uint64_t given = 0, passed_over = 0;
    kivi_status status = KIVI_OK;

    while (given < page->range->limit && passed_over < LOOKED_MOST && status == KIVI_OK) {
        memory_record *record = look_on(page);

        if (!record)
            return KIVI_OK;
        if (!belongs(page, record)) {
            passed_over++;
            continue;
        }
        status = give_pair(page, record);
        given++;
    }
    if (status != KIVI_OK && status != KIVI_END)
        return status;
    return is_through(page) ? KIVI_OK : give_cursor(page);
}

kivi_status kvi_memory_scan(memory_instance *instance, const kivi_scan_range *range,
                            kivi_scan_sink *sink, kivi_error **error)
{
    memory_page page = {.instance = instance, .range = range, .sink = sink, .error = error};
    kivi_status status = KIVI_INVALID;
    bool valid = true;

    page.passes = instance->settings.byte_order ? 1 : PASSES;
    pthread_rwlock_rdlock(&instance->space->lock);
    if (range->cursor.size)
        valid = seek_cursor(&page);
    else
        seek_start(&page);
    if (valid)
        status = fill(&page);
    pthread_rwlock_unlock(&instance->space->lock);
    if (!valid)
        *error = kvi_memory_host->error(status, 0, KIVI_RETRY_NO, "not a cursor of this scan");
    return status;
}

/* ---- Counting ---- */

static void count_name(const memory_page *page, kivi_slice name, kivi_count *count)
{
    size_t prefix = page->range->prefix.size;

    count->names++;
    if (count->flags & KIVI_COUNT_WANT_ESCAPED && name.size > prefix &&
        memchr((const char *)name.data + prefix, '%', name.size - prefix))
        count->escaped++;
}

/* Counts the next records: true when there are more, `page->last` then being held. */
static bool count_slice(memory_page *page, kivi_count *count)
{
    memory_record *record = NULL;
    unsigned looked = 0;

    pthread_rwlock_rdlock(&page->instance->space->lock);
    if (page->last)
        seek_behind(page, record_key(page->last));
    else
        seek_start(page);
    record_unref(page->last);
    page->last = NULL;
    while (looked < COUNT_SLICE && (record = look_on(page)) != NULL) {
        if (!kvi_space_expired(record, &page->clock))
            count_name(page, record_key(record), count);
        looked++;
    }
    page->last = record ? record_ref(record) : NULL;
    pthread_rwlock_unlock(&page->instance->space->lock);
    return record != NULL;
}

kivi_status kvi_memory_count(memory_instance *instance, kivi_count *count, kivi_wait *wait,
                             kivi_error **error)
{
    kivi_scan_range range = {.struct_size = sizeof(range), .prefix = count->prefix};
    memory_page page = {.instance = instance, .range = &range, .passes = 1};
    kivi_status status = KIVI_OK;

    while (status == KIVI_OK && count_slice(&page, count)) {
        page.clock.known = false;
        status = wait ? kivi_wait_check(wait) : KIVI_OK;
    }
    record_unref(page.last);
    if (status != KIVI_OK)
        *error = kvi_memory_host->error(status, 0, KIVI_RETRY_YES, "counting was cut short");
    return status;
}

kivi_status kvi_memory_ask(memory_instance *instance, const memory_job *job, kivi_wait *wait,
                           kivi_error **error)
{
    switch (job->verb) {
    case VERB_COUNT:
        return kvi_memory_count(instance, job->count, wait, error);
    case VERB_HEALTH:
        return kvi_mock_health(instance, error);
    default:
        return kvi_memory_scan(instance, job->range, job->sink, error);
    }
}
