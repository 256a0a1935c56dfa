/* The sweep: each write looks at some expiries further on and removes what is over, in its own batch. */
#include <stdlib.h>

#include "rocks.h"

static rocksdb_pinnableslice_t *get(const rocks_engine *engine, rocksdb_column_family_handle_t *family,
                                    kivi_slice key, kivi_slice *bytes, bool *failed)
{
    char *failure = NULL;
    rocksdb_pinnableslice_t *pinned = rocksdb_get_pinned_cf(engine->view->db, engine->reads, family,
                                                            key.data, key.size, &failure);

    *bytes = kivi_bytes(NULL, 0);
    bytes->data = rocksdb_pinnableslice_value(pinned, &bytes->size);
    *failed = failure != NULL;
    rocksdb_free(failure);
    return pinned;
}

/* Whether the record is the one that was seen: until its stripe was taken others may have changed it. */
static bool is_still(const rocks_engine *engine, kivi_slice key, const kvi_record *record)
{
    kvi_record now_there;
    kivi_slice bytes;
    bool failed, same;
    rocksdb_pinnableslice_t *pinned = get(engine, kvi_rocks_expiries(engine->view), key, &bytes, &failed);

    same = pinned && kvi_record_read(bytes, &now_there) &&
           now_there.expiry_ms == record->expiry_ms && now_there.hash == record->hash;
    if (pinned)
        rocksdb_pinnableslice_destroy(pinned);
    return same;
}

/* Removes a pair that has expired, and a record that is of no value any more. */
static void sweep_one(rocks_change *change, kivi_slice key, const kvi_record *record)
{
    rocks_engine *engine = change->engine;
    uint64_t stripe = kvi_rocks_stripe(key);
    rocksdb_pinnableslice_t *pinned;
    kivi_slice value;
    bool failed;

    /* Keys of the vector itself are left: it says what becomes of them. */
    if (change->own & stripe)
        return;
    if (!(change->held & stripe) && !kvi_rocks_stripes_try(&engine->stripes, stripe))
        return;
    change->held |= stripe;
    if (!is_still(engine, key, record))
        return;
    pinned = get(engine, engine->view->data, key, &value, &failed);
    if (failed)
        return;
    if (pinned && kvi_record_judge(kvi_rocks_host, record, value, true, &change->now) < 0) {
        kvi_rocks_remove(change, key, true);
        change->swept++;
    } else {
        kvi_rocks_touch(change, key, value, 0, true);
    }
    if (pinned)
        rocksdb_pinnableslice_destroy(pinned);
}

/* Where the next sweep goes on: behind this key; NULL: at the beginning. */
static void remember(rocks_engine *engine, const char *key, size_t size)
{
    uint8_t *grown = key && size ? realloc(engine->sweep_key, size) : NULL;

    engine->sweep_size = 0;
    if (!grown)
        return;
    memcpy(grown, key, size);
    engine->sweep_key = grown;
    engine->sweep_size = size;
}

static void first(const rocks_engine *engine, rocksdb_iterator_t *at)
{
    size_t size = 0;
    const char *key;

    if (!engine->sweep_size) {
        rocksdb_iter_seek_to_first(at);
        return;
    }
    rocksdb_iter_seek(at, (const char *)engine->sweep_key, engine->sweep_size);
    if (!rocksdb_iter_valid(at))
        return;
    key = rocksdb_iter_key(at, &size);
    if (kvi_key_order(kivi_bytes(key, size), kivi_bytes(engine->sweep_key, engine->sweep_size)) == 0)
        rocksdb_iter_next(at);
}

static void sweep(rocks_change *change)
{
    rocks_engine *engine = change->engine;
    rocksdb_iterator_t *at = rocksdb_create_iterator_cf(engine->view->db, engine->reads,
                                                        kvi_rocks_expiries(engine->view));
    const char *key = NULL;
    size_t size = 0;

    first(engine, at);
    for (unsigned i = 0; i < change->store->sweep && rocksdb_iter_valid(at); i++) {
        kvi_record record;
        size_t record_size = 0;
        const char *bytes = rocksdb_iter_value(at, &record_size);

        key = rocksdb_iter_key(at, &size);
        if (size && kvi_record_read(kivi_bytes(bytes, record_size), &record) &&
            record.expiry_ms < kvi_rocks_now(&change->now))
            sweep_one(change, kivi_bytes(key, size), &record);
        if (i + 1 < change->store->sweep)
            rocksdb_iter_next(at);
    }
    if (rocksdb_iter_valid(at))
        remember(engine, key, size);
    else
        remember(engine, NULL, 0);
    rocksdb_iter_destroy(at);
}

void kvi_rocks_sweep(rocks_change *change)
{
    rocks_engine *engine = change->engine;

    if (!change->store->sweep || !atomic_load_explicit(&engine->expiries, memory_order_acquire))
        return;
    /* One sweeps at a time; the others write on. */
    if (pthread_mutex_trylock(&engine->sweeping) != 0)
        return;
    sweep(change);
    pthread_mutex_unlock(&engine->sweeping);
}
