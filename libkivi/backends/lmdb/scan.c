/* Scans and counts: a walk over the keys in byte order, beside one over their expiries. */

#include <kivi/scan.h>

#include "engine.h"

#define CURSOR_TAG 1 /* first byte of our cursors: the last key follows */
#define PAGE_BYTES \
    4096 /* of LMDB nearly everywhere; elsewhere a part of a page is fetched, or several */
#define LINE_BYTES 64
#define LOOK_EVERY 1024 /* pairs passed between two looks at the caller's wait */
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A walk within one read transaction. */
typedef struct walk {
    kvi_lmdb_env *env;
    kvi_lmdb_slot *slot;
    MDB_cursor *pairs, *expiries; /* expiries: NULL when there are none */
    kivi_slice prefix;
    bool want_expiry;
    int64_t now;
    MDB_val key, value; /* the pair it stands on */
    kivi_slice name;    /* the key as it is meant */
    int64_t expiry_ms;
    MDB_val record_key, record; /* the expiry it stands on, at or behind the pair */
    int record_rc;
    bool record_begun;
    kivi_wait *wait;
    uint64_t passed;
    uintptr_t page; /* of the file's map, which it stands on; 0: none yet */
} walk;

/*
 * Asks the memory for all of a page when the walk comes to it: its pairs lie in the order in which they were
 * written, so that each would be waited for alone. Not for the first page, of which a small scan reads little.
 */
static void fetch_page(walk *at, uintptr_t page)
{
    if (at->page)
        for (unsigned i = 0; i < PAGE_BYTES; i += LINE_BYTES)
            __builtin_prefetch((const char *)page + i);
    at->page = page;
}

static int compare(const MDB_val *a, const MDB_val *b)
{
    size_t size = a->mv_size < b->mv_size ? a->mv_size : b->mv_size;
    int order = memcmp(a->mv_data, b->mv_data, size);

    return order ? order : (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
}

/* Moves the walk over expiries to the pair's key or beyond. */
static int follow(walk *at)
{
    if (!at->record_begun) {
        at->record_begun = true;
    } else if (at->record_rc != 0 || compare(&at->record_key, &at->key) >= 0) {
        return at->record_rc;
    } else {
        /* Where most keys have one, the next is it. */
        at->record_rc = mdb_cursor_get(at->expiries, &at->record_key, &at->record, MDB_NEXT);
        if (at->record_rc != 0 || compare(&at->record_key, &at->key) >= 0)
            return at->record_rc;
    }
    at->record_key = at->key;
    at->record_rc = mdb_cursor_get(at->expiries, &at->record_key, &at->record, MDB_SET_RANGE);
    return at->record_rc;
}

/* The expiry of the pair, where some have one: 0 none, -1 gone. */
static __attribute__((noinline)) int judge(walk *at)
{
    kvi_record record;
    int rc = follow(at);

    at->expiry_ms = 0;
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    if (compare(&at->record_key, &at->key) == 0 && kvi_record_read(kvi_lmdb_slice(at->record), &record))
        at->expiry_ms = kvi_record_judge(kvi_lmdb_host, &record, kvi_lmdb_slice(at->value),
                                         at->want_expiry, &at->now);
    return 0;
}

static inline bool has_prefix(const walk *at)
{
    return at->prefix.size == 0 || (at->name.size >= at->prefix.size &&
                                    memcmp(at->name.data, at->prefix.data, at->prefix.size) == 0);
}

/* Whether the key lies before all that have the prefix: it does when it is a part of it. */
static bool is_before(const walk *at)
{
    return at->name.size < at->prefix.size && memcmp(at->name.data, at->prefix.data, at->name.size) == 0;
}

static inline int walk_next(walk *at)
{
    return mdb_cursor_get(at->pairs, &at->key, &at->value, MDB_NEXT);
}

/*
 * Goes on until it stands on a live pair: 0, MDB_NOTFOUND at the end. `rc`: of the step that brought it where it is.
 * `*status`: the wait is over. Inline: where no key has an expiry it is a few comparisons a pair.
 */
static inline __attribute__((always_inline)) int settle(walk *at, int rc, kivi_status *status)
{
    for (; rc == 0; rc = walk_next(at)) {
        uintptr_t page = (uintptr_t)at->key.mv_data & ~(uintptr_t)(PAGE_BYTES - 1);
        if (unlikely(++at->passed % LOOK_EVERY == 0)) {
            *status = kivi_wait_check(at->wait);
            if (*status != KIVI_OK)
                return 0;
        }
        if (unlikely(page != at->page))
            fetch_page(at, page);
        if (kvi_lmdb_is_database(at->key.mv_size, &at->value))
            continue;
        at->name = kvi_lmdb_key_read(at->key, at->slot->marked);
        if (unlikely(!has_prefix(at))) {
            if (is_before(at))
                continue;
            return MDB_NOTFOUND;
        }
        if (!at->expiries)
            return 0;
        rc = judge(at);
        if (rc != 0 || at->expiry_ms >= 0)
            return rc;
    }
    return rc;
}

/* Steps to the first pair behind `behind`, or to the prefix where that is further. */
static int walk_first(walk *at, kivi_slice behind)
{
    MDB_val prefix = {at->prefix.size, (void *)at->prefix.data};
    MDB_val given = {behind.size, (void *)behind.data};
    kvi_lmdb_key from;
    int rc;

    if (behind.size == 0 || (prefix.mv_size && compare(&given, &prefix) < 0)) {
        at->key = prefix;
        if (at->prefix.size > KVI_LMDB_KEY_MAX)
            return MDB_NOTFOUND;
        return mdb_cursor_get(at->pairs, &at->key, &at->value,
                              at->prefix.size ? MDB_SET_RANGE : MDB_FIRST);
    }
    if (!kvi_lmdb_key_make(behind, at->slot->marked, &from)) {
        /* Longer than any key: what it begins with stands for it. */
        from.stored = (MDB_val){KVI_LMDB_KEY_MAX, (void *)behind.data};
    }
    at->key = from.stored;
    rc = mdb_cursor_get(at->pairs, &at->key, &at->value, MDB_SET_RANGE);
    return rc == 0 && compare(&at->key, &from.stored) == 0 ? walk_next(at) : rc;
}

static kivi_status walk_begin(walk *at, kivi_error **error)
{
    kivi_status status = kvi_lmdb_enter(at->env, at->wait, &at->slot, error);
    int rc;

    if (status != KIVI_OK)
        return status;
    rc = mdb_cursor_open(at->slot->txn, at->env->data, &at->pairs);
    if (rc == 0 && at->slot->expiries)
        rc = mdb_cursor_open(at->slot->txn, at->env->expiries, &at->expiries);
    return rc == 0 ? KIVI_OK : kvi_lmdb_fail(error, rc, at->env->names.data, "cannot scan");
}

static void walk_end(walk *at)
{
    if (at->expiries)
        mdb_cursor_close(at->expiries);
    if (at->pairs)
        mdb_cursor_close(at->pairs);
    if (at->slot)
        kvi_lmdb_leave(at->env, at->slot);
}

/* The key that a scan goes on behind: that of the cursor, or `after`, whichever is further. */
static kivi_status where(const kivi_scan_range *range, const char *file, kivi_slice *behind,
                         kivi_error **error)
{
    MDB_val last, after;

    *behind = range->after;
    if (range->cursor.size == 0)
        return KIVI_OK;
    if (range->cursor.size < 2 || range->cursor.size > KVI_LMDB_KEY_MAX + 1 ||
        ((const uint8_t *)range->cursor.data)[0] != CURSOR_TAG) {
        KVI_LMDB_ERROR(error, KIVI_INVALID, 0, KIVI_RETRY_NO, "%s: not a cursor of this store", file);
        return KIVI_INVALID;
    }
    last = (MDB_val){range->cursor.size - 1, (uint8_t *)range->cursor.data + 1};
    after = (MDB_val){range->after.size, (void *)range->after.data};
    if (range->after.size == 0 || compare(&last, &after) > 0)
        *behind = kivi_bytes(last.mv_data, last.mv_size);
    return KIVI_OK;
}

static inline kivi_status give_pair(walk *at, uint32_t flags, kivi_scan_sink *sink)
{
    kivi_slice value = kivi_bytes(at->value.mv_data, at->value.mv_size);
    int64_t ttl_ms = KIVI_TTL_NONE;

    if (flags & KIVI_SCAN_KEYS)
        value = kivi_bytes(NULL, 0);
    if (at->want_expiry && at->expiry_ms > 0)
        ttl_ms = kvi_ttl_left(at->expiry_ms, at->now);
    return sink->pair(sink, at->name, value, ttl_ms);
}

static kivi_status give_cursor(kivi_slice last, kivi_scan_sink *sink)
{
    uint8_t bytes[KVI_LMDB_KEY_MAX + 1];

    bytes[0] = CURSOR_TAG;
    memcpy(bytes + 1, last.data, last.size);
    return sink->cursor(sink, kivi_bytes(bytes, last.size + 1));
}

/* Gives the pairs of one page, and the cursor when more follow. */
static kivi_status page(walk *at, const kivi_scan_range *range, kivi_slice behind,
                        kivi_scan_sink *sink, kivi_error **error)
{
    kivi_status status = KIVI_OK;
    kivi_slice last = {NULL, 0};
    uint64_t given = 0;
    bool enough = false;
    int rc = walk_first(at, behind);

    while ((rc = settle(at, rc, &status)) == 0 && status == KIVI_OK) {
        /* One pair more than the page holds says that the scan is not complete. */
        if (enough)
            return give_cursor(last, sink);
        status = give_pair(at, range->flags, sink);
        if (status != KIVI_OK && status != KIVI_END)
            return status;
        enough = status == KIVI_END || ++given >= range->limit;
        /* The map keeps the key where it is as long as the transaction lasts. */
        if (enough)
            last = at->name;
        status = KIVI_OK;
        rc = walk_next(at);
    }
    if (status != KIVI_OK)
        return kvi_lmdb_gave_up(error, status, at->env->names.data, "scanning");
    return rc == MDB_NOTFOUND ? KIVI_OK : kvi_lmdb_fail(error, rc, at->env->names.data, "cannot scan");
}

/* What a walk does, between its begin and its end. */
typedef struct walk_task {
    kivi_status (*run)(walk *at, struct walk_task *task, kivi_error **error);
    const kivi_scan_range *range;
    kivi_scan_sink *sink;
    kivi_slice behind;
    uint64_t count;
} walk_task;

/* LMDB's cursors do not report a damaged page, they assert; nothing but the cursor is lost with that. */
static __attribute__((noinline)) kivi_status walk_guarded(walk *at, walk_task *task, kivi_error **error)
{
    jmp_buf here, *outer = kvi_lmdb_way_out;
    kivi_status status;

    if (setjmp(here)) {
        kvi_lmdb_way_out = outer;
        return kvi_lmdb_fail(error, MDB_CORRUPTED, at->env->names.data, "cannot scan");
    }
    kvi_lmdb_way_out = &here;
    status = task->run(at, task, error);
    kvi_lmdb_way_out = outer;
    return status;
}

static kivi_status walk_run(walk *at, walk_task *task, kivi_error **error)
{
    kivi_status status = walk_begin(at, error);

    if (status == KIVI_OK)
        status = walk_guarded(at, task, error);
    walk_end(at);
    return status;
}

static kivi_status run_page(walk *at, walk_task *task, kivi_error **error)
{
    return page(at, task->range, task->behind, task->sink, error);
}

kivi_status kvi_lmdb_scan(void *instance, void *session, const kivi_scan_range *range,
                          kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error)
{
    kvi_lmdb_store *store = instance;
    walk at = {.env = store->env, .prefix = range->prefix, .wait = wait};
    walk_task task = {.run = run_page, .range = range, .sink = sink};
    kivi_status status;

    (void)session;
    at.want_expiry = range->flags & KIVI_SCAN_WANT_EXPIRY;
    status = where(range, store->env->names.data, &task.behind, error);
    return status != KIVI_OK ? status : walk_run(&at, &task, error);
}

/* All keys of a file that holds nothing but ours: LMDB knows. */
static bool count_whole(walk *at, uint64_t *count)
{
    MDB_stat stat;

    if (at->prefix.size || at->expiries || !at->slot->marked || at->env->foreign ||
        mdb_stat(at->slot->txn, at->env->data, &stat) != 0)
        return false;
    *count = stat.ms_entries - 1; /* the mark */
    return true;
}

static kivi_status run_count(walk *at, walk_task *task, kivi_error **error)
{
    kivi_status status = KIVI_OK;
    int rc;

    if (count_whole(at, &task->count))
        return KIVI_OK;
    rc = walk_first(at, kivi_bytes(NULL, 0));
    while ((rc = settle(at, rc, &status)) == 0 && status == KIVI_OK) {
        task->count++;
        rc = walk_next(at);
    }
    if (status != KIVI_OK)
        return kvi_lmdb_gave_up(error, status, at->env->names.data, "counting");
    return rc == MDB_NOTFOUND ? KIVI_OK : kvi_lmdb_fail(error, rc, at->env->names.data, "cannot count");
}

/* Any key fits as it is: none is escaped. */
kivi_status kvi_lmdb_count(void *instance, void *session, kivi_count *count, kivi_wait *wait,
                           kivi_error **error)
{
    kvi_lmdb_store *store = instance;
    walk at = {.env = store->env, .prefix = count->prefix, .wait = wait};
    walk_task task = {.run = run_count};
    kivi_status status = walk_run(&at, &task, error);

    (void)session;
    count->names = task.count;
    return status;
}
