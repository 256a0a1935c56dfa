/* Read vectors: from any thread; values are delivered where RocksDB has them. */
#include <stdlib.h>

#include "rocks.h"

static bool changes(const kivi_read_vector *vector)
{
    for (size_t i = 0; i < vector->count; i++)
        if (kivi_read_item_at(vector, i)->then != KIVI_THEN_NOTHING)
            return true;
    return false;
}

static bool has_expiries(const rocks_engine *engine)
{
    return atomic_load_explicit(&engine->expiries, memory_order_acquire);
}

/* ---- One key of a folder without expiries ---- */

/* In a child that was forked while the value was looked at it stays: RocksDB's locks may be others'. */
static void release(const rocks_engine *engine, rocksdb_pinnableslice_t *pinned)
{
    if (!engine->inherited)
        rocksdb_pinnableslice_destroy(pinned);
}

static void deliver(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value)
{
    if (item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION))
        item->status = vector->deliver(vector, item, value, kivi_bytes(NULL, 0));
    else
        item->status = KIVI_OK;
}

/* False: an expiry may lie beside the value. */
static bool read_plain(rocks_engine *engine, kivi_read_vector *vector, kivi_read_item *item)
{
    char *failure = NULL;
    rocksdb_pinnableslice_t *pinned = rocksdb_get_pinned_cf(
        engine->view->db, engine->reads, engine->view->data, item->key.data, item->key.size, &failure);
    size_t size = 0;

    if (failure) {
        item->status = kvi_rocks_fail(&item->error, failure, engine->folder, "cannot read");
        return true;
    }
    if (!pinned) {
        item->status = KIVI_NOT_FOUND;
        return true;
    }
    /* Asked after the value was: one that was written with an expiry is seen with it. */
    if (has_expiries(engine)) {
        rocksdb_pinnableslice_destroy(pinned);
        return false;
    }
    if (item->want & KIVI_WANT_EXPIRY)
        item->ttl_ms = KIVI_TTL_NONE;
    const char *data = rocksdb_pinnableslice_value(pinned, &size);
    deliver(vector, item, kivi_bytes(data, size));
    release(engine, pinned);
    return true;
}

/* ---- Any vector ---- */

static kivi_slice key_of(const void *vector, size_t index)
{
    return kivi_read_item_at(vector, index)->key;
}

static unsigned what_of(const void *vector, size_t index)
{
    (void)vector;
    (void)index;
    return ROCKS_LOOK_VALUE | ROCKS_LOOK_RECORD;
}

static bool wants_expiry(const kivi_read_vector *vector)
{
    for (size_t i = 0; i < vector->count; i++)
        if (kivi_read_item_at(vector, i)->want & KIVI_WANT_EXPIRY)
            return true;
    return false;
}

static void look_at_snapshot(const rocks_view *view, rocks_session *session,
                             const rocks_asked *asked, int64_t *now)
{
    const rocksdb_snapshot_t *snapshot = rocksdb_create_snapshot(view->db);
    rocksdb_readoptions_t *reads = rocksdb_readoptions_create();

    rocksdb_readoptions_set_snapshot(reads, snapshot);
    kvi_rocks_look(session, view, reads, true, asked, now);
    rocksdb_readoptions_destroy(reads);
    rocksdb_release_snapshot(view->db, snapshot);
}

/* Values and expiries of one moment: nothing was written between the two, or a snapshot is taken. */
static void look(rocks_engine *engine, const rocks_view *view, rocks_session *session,
                 const rocks_asked *asked, int64_t *now)
{
    uint64_t before = rocksdb_get_latest_sequence_number(view->db);
    bool expiries = has_expiries(engine);

    kvi_rocks_look(session, view, engine->reads, expiries, asked, now);
    if (engine->settings.read_only || (!expiries && !has_expiries(engine)))
        return;
    if (expiries && rocksdb_get_latest_sequence_number(view->db) == before)
        return;
    kvi_rocks_look_end(session, asked->count);
    look_at_snapshot(view, session, asked, now);
}

static void answer(rocks_engine *engine, kivi_read_vector *vector, kivi_read_item *item,
                   rocks_look *look, int64_t *now)
{
    if (look->failure) {
        char *text = look->failure;
        look->failure = NULL;
        item->status = kvi_rocks_fail(&item->error, text, engine->folder, "cannot read");
        return;
    }
    if (!look->found.present) {
        item->status = KIVI_NOT_FOUND;
        return;
    }
    if (item->want & KIVI_WANT_EXPIRY)
        item->ttl_ms = look->found.expiry_ms > 0
                           ? kvi_ttl_left(look->found.expiry_ms, kvi_rocks_now(now))
                           : KIVI_TTL_NONE;
    deliver(vector, item, look->found.value);
}

static kivi_status read_all(rocks_engine *engine, kivi_read_vector *vector, kivi_error **error)
{
    rocks_asked asked = {.key = key_of, .what = what_of, .vector = vector, .count = vector->count};
    rocks_session session = {.batch = NULL};
    rocks_view *view;
    int64_t now = 0;
    kivi_status status;

    if (!kvi_rocks_session_reserve(&session, vector->count)) {
        status = kvi_rocks_no_memory(error, engine->folder);
        goto out;
    }
    asked.exactly = wants_expiry(vector);
    status = kvi_rocks_view_take(engine, &view, error);
    if (status != KIVI_OK)
        goto out;
    look(engine, view, &session, &asked, &now);
    kvi_rocks_view_looked(engine);
    for (size_t i = 0; i < vector->count; i++)
        answer(engine, vector, kivi_read_item_at(vector, i), &session.looks[i], &now);
    if (!engine->inherited) {
        kvi_rocks_look_end(&session, vector->count);
        kvi_rocks_view_give(engine, view);
    }
out:
    free(session.looks);
    free(session.arrays);
    return status;
}

kivi_status kvi_rocks_read(void *instance, void *session, kivi_read_vector *vector, kivi_wait *wait,
                           kivi_error **error)
{
    rocks_store *store = instance;
    rocks_engine *engine = store->engine;

    if (__builtin_expect(changes(vector), 0))
        return kvi_rocks_take(store, session, vector, wait, error);
    if (vector->count == 1 && !engine->settings.read_only && !has_expiries(engine) &&
        read_plain(engine, vector, kivi_read_item_at(vector, 0)))
        return KIVI_OK;
    return read_all(engine, vector, error);
}
