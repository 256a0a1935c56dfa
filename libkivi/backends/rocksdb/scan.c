/* Scans and counts: a walk over the keys in byte order, beside one over their expiries. */
#include <stdlib.h>

#include "../../core/base/platform.h"
#include "rocks.h"

#define CURSOR_TAG 1 /* first byte of our cursors: the last key follows */

/* A walk over one state of the folder. */
typedef struct walk {
    rocks_engine *engine;
    rocks_view *view;
    rocksdb_readoptions_t *reads;
    const rocksdb_snapshot_t *snapshot;
    rocksdb_iterator_t *pairs, *expiries; /* expiries: NULL when there are none */
    kivi_slice prefix;
    uint8_t *end; /* of `end_size` bytes: the first key behind the prefix; NULL: none */
    size_t end_size;
    bool want_expiry;
    int64_t now;
    kivi_slice key, value; /* the pair it stands on */
    int64_t expiry_ms;
    bool expiries_begun;
    kivi_wait *wait;
    uint64_t passed;
} walk;

static kivi_slice key_at(const rocksdb_iterator_t *at)
{
    kivi_slice key = {NULL, 0};
    key.data = rocksdb_iter_key(at, &key.size);
    return key;
}

static kivi_slice value_at(const rocksdb_iterator_t *at)
{
    kivi_slice value = {NULL, 0};
    value.data = rocksdb_iter_value(at, &value.size);
    return value;
}

/* ---- Begin and end ---- */

/* Bounds keep RocksDB from reading, and from passing over what was deleted, beyond the prefix. */
static kivi_status set_bounds(walk *at, kivi_error **error)
{
    rocksdb_readoptions_set_total_order_seek(at->reads, 1);
    if (!at->prefix.size)
        return KIVI_OK;
    at->end = malloc(at->prefix.size);
    if (!at->end)
        return kvi_rocks_no_memory(error, at->engine->folder);
    memcpy(at->end, at->prefix.data, at->prefix.size);
    for (at->end_size = at->prefix.size; at->end_size && at->end[at->end_size - 1] == 0xff;)
        at->end_size--;
    if (at->end_size) {
        at->end[at->end_size - 1]++;
        rocksdb_readoptions_set_iterate_upper_bound(at->reads, (char *)at->end, at->end_size);
    }
    rocksdb_readoptions_set_iterate_lower_bound(at->reads, at->prefix.data, at->prefix.size);
    return KIVI_OK;
}

/* Both iterators see one moment: a snapshot's, or, where nothing is written here, the present one. */
static void open_iterators(walk *at)
{
    rocksdb_column_family_handle_t *family = kvi_rocks_expiries(at->view);

    /* Asked after: what came with an expiry is seen with it. */
    if (!at->engine->settings.read_only && family) {
        at->snapshot = rocksdb_create_snapshot(at->view->db);
        rocksdb_readoptions_set_snapshot(at->reads, at->snapshot);
    }
    at->pairs = rocksdb_create_iterator_cf(at->view->db, at->reads, at->view->data);
    if (family)
        at->expiries = rocksdb_create_iterator_cf(at->view->db, at->reads, family);
}

static void walk_end(walk *at)
{
    if (at->expiries)
        rocksdb_iter_destroy(at->expiries);
    if (at->pairs)
        rocksdb_iter_destroy(at->pairs);
    if (at->snapshot)
        rocksdb_release_snapshot(at->view->db, at->snapshot);
    at->expiries = at->pairs = NULL;
    at->snapshot = NULL;
}

static kivi_status walk_begin(walk *at, kivi_error **error)
{
    kivi_status status = kvi_rocks_view_take(at->engine, &at->view, error);

    if (status != KIVI_OK)
        return status;
    at->reads = rocksdb_readoptions_create();
    status = set_bounds(at, error);
    if (status == KIVI_OK)
        open_iterators(at);
    /* The first expiry of all came meanwhile: it may be of a key that is seen. */
    if (status == KIVI_OK && !at->expiries && kvi_rocks_expiries(at->view)) {
        walk_end(at);
        open_iterators(at);
    }
    kvi_rocks_view_looked(at->engine);
    return status;
}

static void walk_close(walk *at)
{
    /* In a child that was forked meanwhile RocksDB is left as it is. */
    if (at->view && !at->engine->inherited) {
        walk_end(at);
        rocksdb_readoptions_destroy(at->reads);
        kvi_rocks_view_give(at->engine, at->view);
    }
    free(at->end);
}

/* ---- Steps ---- */

/* Moves the walk over expiries to the pair's key or beyond; whether it is there. */
static bool follow(walk *at)
{
    rocksdb_iterator_t *expiries = at->expiries;

    if (at->expiries_begun) {
        if (!rocksdb_iter_valid(expiries))
            return false;
        int order = kvi_key_order(key_at(expiries), at->key);
        if (order >= 0)
            return order == 0;
        /* Where most keys have one, the next is it. */
        rocksdb_iter_next(expiries);
        if (!rocksdb_iter_valid(expiries))
            return false;
        order = kvi_key_order(key_at(expiries), at->key);
        if (order >= 0)
            return order == 0;
    }
    at->expiries_begun = true;
    rocksdb_iter_seek(expiries, at->key.data, at->key.size);
    return rocksdb_iter_valid(expiries) && kvi_key_order(key_at(expiries), at->key) == 0;
}

/* Whether the pair has not expired. */
static bool is_alive(walk *at)
{
    kvi_record record;

    at->expiry_ms = 0;
    if (at->expiries && follow(at) && kvi_record_read(value_at(at->expiries), &record))
        at->expiry_ms = kvi_record_judge(kvi_rocks_host, &record, at->value, at->want_expiry, &at->now);
    return at->expiry_ms >= 0;
}

static kivi_status broken(const walk *at, kivi_error **error)
{
    char *failure = NULL;

    rocksdb_iter_get_error(at->pairs, &failure);
    if (!failure && at->expiries)
        rocksdb_iter_get_error(at->expiries, &failure);
    return failure ? kvi_rocks_fail(error, failure, at->engine->folder, "cannot scan") : KIVI_OK;
}

/* Goes on until it stands on a live pair; END behind the last. */
static kivi_status settle(walk *at, kivi_error **error)
{
    for (; rocksdb_iter_valid(at->pairs); rocksdb_iter_next(at->pairs)) {
        if (++at->passed % KVI_ROCKS_LOOK_EVERY == 0) {
            kivi_status status = kivi_wait_check(at->wait);
            if (status != KIVI_OK)
                return kvi_rocks_gave_up(error, status, at->engine->folder, "scanning");
        }
        at->key = key_at(at->pairs);
        if (at->end && !kvi_key_begins(at->key, at->prefix))
            break;
        /* A key that another program made: no store has it. */
        if (!at->key.size)
            continue;
        at->value = value_at(at->pairs);
        if (!at->expiries || is_alive(at))
            return KIVI_OK;
    }
    kivi_status status = broken(at, error);
    return status == KIVI_OK ? KIVI_END : status;
}

/* Steps to the first pair behind `behind`, or to the prefix where that is further. */
static void walk_first(walk *at, kivi_slice behind)
{
    if (!behind.size || kvi_key_order(behind, at->prefix) < 0) {
        if (at->prefix.size)
            rocksdb_iter_seek(at->pairs, at->prefix.data, at->prefix.size);
        else
            rocksdb_iter_seek_to_first(at->pairs);
        return;
    }
    rocksdb_iter_seek(at->pairs, behind.data, behind.size);
    if (rocksdb_iter_valid(at->pairs) && kvi_key_order(key_at(at->pairs), behind) == 0)
        rocksdb_iter_next(at->pairs);
}

/* ---- Pages ---- */

/* The key that a scan goes on behind: that of the cursor, or `after`, whichever is further. */
static kivi_status where(const kivi_scan_range *range, const char *folder, kivi_slice *behind,
                         kivi_error **error)
{
    kivi_slice last;

    *behind = range->after;
    if (range->cursor.size == 0)
        return KIVI_OK;
    if (range->cursor.size < 2 || range->cursor.size > KVI_ROCKS_KEY_MAX + 1 ||
        ((const uint8_t *)range->cursor.data)[0] != CURSOR_TAG) {
        *error = kvi_rocks_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO,
                                       "%s: not a cursor of this store", folder);
        return KIVI_INVALID;
    }
    last = kivi_bytes((const uint8_t *)range->cursor.data + 1, range->cursor.size - 1);
    if (kvi_key_order(last, range->after) > 0)
        *behind = last;
    return KIVI_OK;
}

static kivi_status give_pair(walk *at, uint32_t flags, kivi_scan_sink *sink)
{
    kivi_slice value = flags & KIVI_SCAN_KEYS ? kivi_bytes(NULL, 0) : at->value;
    int64_t ttl_ms = KIVI_TTL_NONE;

    if (at->want_expiry && at->expiry_ms > 0)
        ttl_ms = kvi_ttl_left(at->expiry_ms, at->now);
    return sink->pair(sink, at->key, value, ttl_ms);
}

/* The cursor behind the pair that the walk stands on; NULL without memory. */
static uint8_t *make_cursor(const walk *at, size_t *size)
{
    uint8_t *bytes = malloc(at->key.size + 1);

    if (!bytes)
        return NULL;
    bytes[0] = CURSOR_TAG;
    memcpy(bytes + 1, at->key.data, at->key.size);
    *size = at->key.size + 1;
    return bytes;
}

/* Gives the cursor if a pair follows: only then the scan is not complete. */
static kivi_status give_cursor(walk *at, kivi_scan_sink *sink, kivi_error **error)
{
    size_t size;
    uint8_t *bytes = make_cursor(at, &size);
    kivi_status status;

    if (!bytes)
        return kvi_rocks_no_memory(error, at->engine->folder);
    rocksdb_iter_next(at->pairs);
    status = settle(at, error);
    if (status == KIVI_OK)
        status = sink->cursor(sink, kivi_bytes(bytes, size));
    else if (status == KIVI_END)
        status = KIVI_OK;
    free(bytes);
    return status;
}

static kivi_status page(walk *at, const kivi_scan_range *range, kivi_slice behind,
                        kivi_scan_sink *sink, kivi_error **error)
{
    uint64_t given = 0;
    kivi_status status;

    for (walk_first(at, behind); (status = settle(at, error)) == KIVI_OK; rocksdb_iter_next(at->pairs)) {
        status = give_pair(at, range->flags, sink);
        if (status != KIVI_OK && status != KIVI_END)
            return status;
        if (status == KIVI_END || ++given >= range->limit)
            return give_cursor(at, sink, error);
    }
    return status == KIVI_END ? KIVI_OK : status;
}

kivi_status kvi_rocks_scan(void *instance, void *session, const kivi_scan_range *range,
                           kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error)
{
    rocks_store *store = instance;
    walk at = {.engine = store->engine, .prefix = range->prefix, .wait = wait};
    kivi_slice behind;
    kivi_status status;

    (void)session;
    at.want_expiry = range->flags & KIVI_SCAN_WANT_EXPIRY;
    status = where(range, store->engine->folder, &behind, error);
    if (status == KIVI_OK)
        status = walk_begin(&at, error);
    if (status == KIVI_OK)
        status = page(&at, range, behind, sink, error);
    walk_close(&at);
    return status;
}

/* Any key fits as it is: none is escaped. */
kivi_status kvi_rocks_count(void *instance, void *session, kivi_count *count, kivi_wait *wait,
                            kivi_error **error)
{
    rocks_store *store = instance;
    walk at = {.engine = store->engine, .prefix = count->prefix, .wait = wait};
    kivi_status status = walk_begin(&at, error);

    (void)session;
    if (status == KIVI_OK) {
        for (walk_first(&at, kivi_bytes(NULL, 0)); (status = settle(&at, error)) == KIVI_OK;
             rocksdb_iter_next(at.pairs))
            count->names++;
        if (status == KIVI_END)
            status = KIVI_OK;
    }
    walk_close(&at);
    return status;
}
