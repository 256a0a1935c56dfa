/* The sweep: each write looks at some expiries further on and removes what is over. */
#include "engine.h"

/* Removes a pair that has expired, and a record that is of no value any more. `*gone`: the pair went. */
static int sweep_one(kvi_lmdb_pass *pass, MDB_cursor *cursor, MDB_val *key,
                     const kvi_record *record, bool *gone)
{
    kvi_lmdb_env *env = pass->env;
    MDB_val value;
    int rc = mdb_get(pass->txn, env->data, key, &value);

    *gone = false;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    if (rc == 0 && !kvi_lmdb_is_database(key->mv_size, &value) &&
        kvi_record_judge(kvi_lmdb_host, record, kvi_lmdb_slice(value), true, &pass->now) < 0) {
        rc = mdb_del(pass->txn, env->data, key, NULL);
        if (rc != 0)
            return rc;
        *gone = true;
    }
    return mdb_cursor_del(cursor, 0);
}

/* Where the sweep goes on: behind the key it saw last, or at the beginning. */
static int first(kvi_lmdb_env *env, MDB_cursor *cursor, MDB_val *key, MDB_val *data)
{
    MDB_val last = {env->sweep_size, env->sweep_key};
    int rc;

    if (!env->sweep_size)
        return mdb_cursor_get(cursor, key, data, MDB_FIRST);
    *key = last;
    rc = mdb_cursor_get(cursor, key, data, MDB_SET_RANGE);
    if (rc == 0 && key->mv_size == last.mv_size && memcmp(key->mv_data, last.mv_data, last.mv_size) == 0)
        rc = mdb_cursor_get(cursor, key, data, MDB_NEXT);
    return rc;
}

static int sweep(kvi_lmdb_pass *pass, MDB_cursor *cursor)
{
    kvi_lmdb_env *env = pass->env;
    MDB_val key, data;
    int rc = first(env, cursor, &key, &data);

    for (unsigned i = 0; i < pass->store->sweep && rc == 0; i++) {
        kvi_record record;
        uint8_t name[KVI_LMDB_KEY_MAX];
        MDB_val copy = {key.mv_size, name};
        bool gone;

        if (key.mv_size > sizeof(name))
            return MDB_CORRUPTED;
        memcpy(name, key.mv_data, key.mv_size);
        memcpy(env->sweep_key, name, key.mv_size);
        env->sweep_size = key.mv_size;
        if (kvi_record_read(kvi_lmdb_slice(data), &record) && record.expiry_ms < kvi_lmdb_now(pass)) {
            rc = sweep_one(pass, cursor, &copy, &record, &gone);
            if (rc != 0)
                return rc;
            pass->swept += gone;
        }
        /* Also after a removal this is the record that followed. */
        rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    if (rc == MDB_NOTFOUND)
        env->sweep_size = 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int kvi_lmdb_sweep(kvi_lmdb_pass *pass)
{
    MDB_cursor *cursor;
    int rc;

    /* A replay is short of room: it does only what it must. */
    if (!pass->store->sweep || !pass->expiries || pass->replayed)
        return 0;
    rc = mdb_cursor_open(pass->txn, pass->env->expiries, &cursor);
    if (rc != 0)
        return rc;
    rc = sweep(pass, cursor);
    mdb_cursor_close(cursor);
    return rc;
}
