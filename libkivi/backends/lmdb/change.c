/* What is done to one key inside a write transaction. */
#include "engine.h"

int64_t kvi_lmdb_now(kvi_lmdb_pass *pass)
{
    if (!pass->now)
        pass->now = kvi_lmdb_host->clock_ms();
    return pass->now;
}

int kvi_lmdb_find(kvi_lmdb_pass *pass, MDB_val *key, kvi_found *found)
{
    MDB_val value;
    int rc = mdb_get(pass->txn, pass->env->data, key, &value);

    found->present = false;
    found->expiry_ms = 0;
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    if (kvi_lmdb_is_database(key->mv_size, &value))
        return MDB_INCOMPATIBLE;
    found->value = kvi_lmdb_slice(value);
    if (pass->expiries)
        rc = kvi_lmdb_expiry_of(pass->env, pass->txn, key, &value, true, &pass->now, &found->expiry_ms);
    found->present = rc == 0 && found->expiry_ms >= 0;
    return rc;
}

static int forget_expiry(kvi_lmdb_pass *pass, MDB_val *key)
{
    int rc;

    if (!pass->expiries)
        return 0;
    rc = mdb_del(pass->txn, pass->env->expiries, key, NULL);
    if (rc == 0)
        pass->changed = true;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int kvi_lmdb_touch(kvi_lmdb_pass *pass, MDB_val *key, kivi_slice value, int64_t expiry_ms)
{
    uint8_t record[KVI_RECORD_SIZE];
    MDB_val data = {sizeof(record), record};

    if (expiry_ms <= 0)
        return forget_expiry(pass, key);
    kvi_record_write(kvi_lmdb_host, record, expiry_ms, value);
    pass->expiries = true;
    pass->changed = true;
    return mdb_put(pass->txn, pass->env->expiries, key, &data, 0);
}

int kvi_lmdb_put(kvi_lmdb_pass *pass, MDB_val *key, kivi_slice value, int64_t expiry_ms)
{
    MDB_val data = {value.size, (void *)value.data};
    int rc = mdb_put(pass->txn, pass->env->data, key, &data, 0);

    if (rc != 0)
        return rc;
    pass->changed = true;
    if (expiry_ms <= 0 && !pass->expiries)
        return 0;
    return kvi_lmdb_touch(pass, key, value, expiry_ms);
}

int kvi_lmdb_remove(kvi_lmdb_pass *pass, MDB_val *key, bool *existed)
{
    int rc = mdb_del(pass->txn, pass->env->data, key, NULL);

    *existed = rc == 0;
    if (rc == 0)
        pass->changed = true;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return rc;
    return forget_expiry(pass, key);
}
