/* The data set of the rows on LMDB: 100,000 pairs with values of 100 bytes, written the same way twice. */
#include "bench_lmdb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILL_BATCH 10000u

static data_key *make_keys(void)
{
    data_key *keys = bench_alloc(DATA_KEYS * sizeof *keys);
    uint64_t seed = 20240229;
    for (uint32_t i = 0; i < DATA_KEYS; i++) {
        char text[sizeof(data_key) + 1];
        snprintf(text, sizeof text, "key:%08u", i);
        memcpy(keys[i].text, text, sizeof keys[i].text);
    }
    for (uint32_t i = DATA_KEYS - 1; i > 0; i--) {
        uint32_t other = (uint32_t)(bench_random(&seed) % (i + 1));
        data_key swapped = keys[i];
        keys[i] = keys[other];
        keys[other] = swapped;
    }
    return keys;
}

MDB_env *bench_open_env(const char *dir, MDB_dbi *dbi)
{
    char path[512];
    MDB_env *env;
    MDB_txn *txn;
    snprintf(path, sizeof path, "%s/peer.mdb", dir);
    BENCH_CHECK(!mdb_env_create(&env));
    BENCH_CHECK(!mdb_env_set_mapsize(env, (size_t)1 << 30));
    BENCH_CHECK(!mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOTLS, 0644));
    BENCH_CHECK(!mdb_txn_begin(env, NULL, 0, &txn));
    BENCH_CHECK(!mdb_dbi_open(txn, NULL, 0, dbi));
    BENCH_CHECK(!mdb_txn_commit(txn));
    return env;
}

kivi_store *bench_open_store(const char *dir)
{
    char url[512];
    kivi_store *store;
    kivi_error *error;
    snprintf(url, sizeof url, "lmdb:%s/our.mdb", dir);
    bench_ok(kivi_store_open(url, NULL, NULL, &store, &error), &error);
    return store;
}

static void fill_peer(bench_data *data, uint32_t first)
{
    MDB_txn *txn;
    BENCH_CHECK(!mdb_txn_begin(data->env, NULL, 0, &txn));
    for (uint32_t i = first; i < first + FILL_BATCH; i++) {
        MDB_val key = bench_key_val(&data->keys[i]), value = {DATA_VALUE, data->value};
        BENCH_CHECK(!mdb_put(txn, data->dbi, &key, &value, 0));
    }
    BENCH_CHECK(!mdb_txn_commit(txn));
}

static void fill_ours(bench_data *data, uint32_t first, kivi_slice *keys, kivi_slice *values)
{
    kivi_error *error;
    for (uint32_t i = 0; i < FILL_BATCH; i++) {
        keys[i] = bench_key_slice(&data->keys[first + i]);
        values[i] = kivi_bytes(data->value, DATA_VALUE);
    }
    bench_ok(kivi_store_set_many(data->store, NULL, keys, values, FILL_BATCH, KIVI_TTL_NONE, NULL, &error),
             &error);
}

static void fill(bench_data *data)
{
    kivi_slice *keys = bench_alloc(FILL_BATCH * sizeof *keys);
    kivi_slice *values = bench_alloc(FILL_BATCH * sizeof *values);
    for (uint32_t first = 0; first < DATA_KEYS; first += FILL_BATCH) {
        fill_peer(data, first);
        fill_ours(data, first, keys, values);
    }
    free(keys);
    free(values);
}

void bench_data_make(bench_data *data, const char *name)
{
    memset(data, 0, sizeof *data);
    data->dir = bench_make_dir(name);
    data->keys = make_keys();
    for (unsigned i = 0; i < DATA_VALUE; i++)
        data->value[i] = (uint8_t)(i * 7 + 1);
    for (unsigned i = 0; i < DATA_THREADS; i++)
        data->peer_places[i].next = data->our_places[i].next = DATA_KEYS / DATA_THREADS * i;
}

void bench_data_drop(bench_data *data)
{
    kivi_store_close(data->store);
    kivi_store_unref(data->store);
    bench_remove_dir(data->dir);
    free(data->keys);
}

void bench_data_open(bench_data *data)
{
    bench_data_make(data, "lmdb");
    data->env = bench_open_env(data->dir, &data->dbi);
    data->store = bench_open_store(data->dir);
    fill(data);
}

void bench_data_close(bench_data *data)
{
    mdb_env_close(data->env);
    bench_data_drop(data);
}
