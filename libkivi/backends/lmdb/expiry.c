/* Expiries: records in a database of their own, each good only for the value it was made for. */
#include "engine.h"

int kvi_lmdb_expiry_of(const kvi_lmdb_env *env, MDB_txn *txn, MDB_val *key, const MDB_val *value,
                       bool exactly, int64_t *now, int64_t *expiry)
{
    MDB_val data;
    kvi_record record;
    int rc = mdb_get(txn, env->expiries, key, &data);

    *expiry = 0;
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    if (kvi_record_read(kvi_lmdb_slice(data), &record))
        *expiry = kvi_record_judge(kvi_lmdb_host, &record, kvi_lmdb_slice(*value), exactly, now);
    return 0;
}

/* Whether another process has made the database that this one has not opened. */
static int look_for_mark(const kvi_lmdb_env *env, MDB_txn *txn)
{
    MDB_val key = {KVI_LMDB_MARK_SIZE, (void *)KVI_LMDB_MARK}, data;
    int rc = mdb_get(txn, env->data, &key, &data);

    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc != 0)
        return rc;
    return kvi_lmdb_is_database(key.mv_size, &data) && !env->mark_is_foreign ? KVI_LMDB_MARKED : 0;
}

int kvi_lmdb_expiries_ask(const kvi_lmdb_env *env, MDB_txn *txn, bool *exist, bool *marked)
{
    MDB_stat stat;
    int rc;

    *exist = false;
    *marked = env->expiries != 0;
    if (!*marked)
        return look_for_mark(env, txn);
    rc = mdb_stat(txn, env->expiries, &stat);
    /* Another program may have dropped it. */
    if (rc == MDB_NOTFOUND)
        return 0;
    /* In a file of another program one record is the note that it is. */
    *exist = rc == 0 && stat.ms_entries > (env->foreign ? 1 : 0);
    return rc;
}

void kvi_lmdb_expiries_tell(kvi_lmdb_env *env, size_t txn_id, bool exist)
{
    size_t seen = atomic_load_explicit(&env->seen, memory_order_relaxed);

    /* Never back: a reader of an old snapshot does not undo what a newer one saw. */
    while (seen == SIZE_MAX || seen >> 1 < txn_id)
        if (atomic_compare_exchange_weak(&env->seen, &seen, txn_id << 1 | exist))
            return;
}
