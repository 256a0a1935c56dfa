/* Read vectors: from any thread, one transaction of the pool for each. */
#include "engine.h"

static bool changes(const kivi_read_vector *vector)
{
    for (size_t i = 0; i < vector->count; i++)
        if (kivi_read_item_at(vector, i)->then != KIVI_THEN_NOTHING)
            return true;
    return false;
}

static __attribute__((noinline)) void item_fail(const kvi_lmdb_env *env, kivi_read_item *item, int rc)
{
    if (rc == MDB_INCOMPATIBLE) {
        item->status = KIVI_WRONG_TYPE;
        item->error = kvi_lmdb_host->error(KIVI_WRONG_TYPE, rc, KIVI_RETRY_NO,
                                           "%s: the key names a database, not a value", env->names.data);
        return;
    }
    item->status = kvi_lmdb_fail(&item->error, rc, env->names.data, "cannot read");
}

/* The expiry of a value that was found; false: it is gone, or the item has failed. */
static __attribute__((noinline)) bool is_alive(kvi_lmdb_env *env, kvi_lmdb_slot *slot,
                                               kivi_read_item *item, MDB_val *key,
                                               const MDB_val *value, int64_t *now)
{
    int64_t expiry_ms;
    bool wanted = item->want & KIVI_WANT_EXPIRY;
    int rc = kvi_lmdb_expiry_of(env, slot->txn, key, value, wanted, now, &expiry_ms);

    if (rc != 0) {
        item_fail(env, item, rc);
        return false;
    }
    if (wanted && expiry_ms > 0)
        item->ttl_ms = kvi_ttl_left(expiry_ms, *now);
    if (expiry_ms < 0)
        item->status = KIVI_NOT_FOUND;
    return expiry_ms >= 0;
}

/* In line: the loop is short, and one key is what most vectors have. */
static inline __attribute__((always_inline)) void read_item(kvi_lmdb_env *env, kvi_lmdb_slot *slot,
                                                            kivi_read_vector *vector,
                                                            kivi_read_item *item, int64_t *now)
{
    kvi_lmdb_key key;
    MDB_val value;
    int rc;

    rc = kvi_lmdb_key_make(item->key, slot->marked, &key)
             ? mdb_get(slot->txn, env->data, &key.stored, &value)
             : MDB_NOTFOUND;
    if (rc == MDB_NOTFOUND) {
        item->status = KIVI_NOT_FOUND;
        return;
    }
    if (rc == 0 && kvi_lmdb_is_database(key.stored.mv_size, &value))
        rc = MDB_INCOMPATIBLE;
    if (__builtin_expect(rc != 0, 0)) {
        item_fail(env, item, rc);
        return;
    }
    if (item->want & KIVI_WANT_EXPIRY)
        item->ttl_ms = KIVI_TTL_NONE;
    if (slot->expiries && !is_alive(env, slot, item, &key.stored, &value, now))
        return;
    if (item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION))
        item->status = vector->deliver(vector, item, kivi_bytes(value.mv_data, value.mv_size),
                                       kivi_bytes(NULL, 0));
    else
        item->status = KIVI_OK;
}

kivi_status kvi_lmdb_read(void *instance, void *session, kivi_read_vector *vector, kivi_wait *wait,
                          kivi_error **error)
{
    kvi_lmdb_store *store = instance;
    kvi_lmdb_env *env = store->env;
    kvi_lmdb_slot *slot;
    int64_t now = 0;
    kivi_status status;

    (void)session;
    if (__builtin_expect(changes(vector), 0))
        return kvi_lmdb_take(store, vector, wait, error);
    status = kvi_lmdb_enter(env, wait, &slot, error);
    if (__builtin_expect(status != KIVI_OK, 0))
        return status;
    for (size_t i = 0; i < vector->count; i++)
        read_item(env, slot, vector, kivi_read_item_at(vector, i), &now);
    kvi_lmdb_leave(env, slot);
    return KIVI_OK;
}
