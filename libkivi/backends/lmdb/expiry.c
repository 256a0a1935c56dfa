/* Expiries: records in a database of their own, each good only for the value it was made for. */
#include <endian.h>

#include "engine.h"

bool kvi_lmdb_record_read(const MDB_val *data, kvi_lmdb_record *record)
{
    uint64_t words[2];

    if (data->mv_size != KVI_LMDB_RECORD_SIZE)
        return false;
    memcpy(words, data->mv_data, sizeof(words));
    record->expiry_ms = (int64_t)be64toh(words[0]);
    record->hash = be64toh(words[1]);
    return true;
}

void kvi_lmdb_record_write(uint8_t bytes[KVI_LMDB_RECORD_SIZE], int64_t expiry_ms, kivi_slice value)
{
    uint64_t words[2] = {htobe64((uint64_t)expiry_ms), htobe64(kvi_lmdb_host->hash64(value))};
    memcpy(bytes, words, sizeof(words));
}

int64_t kvi_lmdb_expiry_judge(const kvi_lmdb_record *record, const MDB_val *value, bool exactly,
                              int64_t *now)
{
    bool over;

    if (!*now)
        *now = kvi_lmdb_host->clock_ms();
    over = record->expiry_ms < *now; /* whole ms: the last one still counts, never early */
    if (!over && !exactly)
        return 0;
    if (kvi_lmdb_host->hash64(kivi_bytes(value->mv_data, value->mv_size)) != record->hash)
        return 0;
    return over ? -1 : record->expiry_ms;
}

int kvi_lmdb_expiry_of(const kvi_lmdb_env *env, MDB_txn *txn, MDB_val *key, const MDB_val *value,
                       bool exactly, int64_t *now, int64_t *expiry)
{
    MDB_val data;
    kvi_lmdb_record record;
    int rc = mdb_get(txn, env->expiries, key, &data);

    *expiry = 0;
    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    if (kvi_lmdb_record_read(&data, &record))
        *expiry = kvi_lmdb_expiry_judge(&record, value, exactly, now);
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
