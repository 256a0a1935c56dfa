/*
 * Rows: durable writes to LMDB. One thread stands beside one transaction a set; 4 and 16 threads stand
 * beside the ceiling: one thread that commits 4 or 16 puts a transaction, which no group of waiting callers
 * can beat but by larger groups.
 */
#include "bench_lmdb.h"

#include <stdlib.h>

#define BATCH 1000u

static void *set_up(const bench_row *row)
{
    bench_data *data = bench_alloc(sizeof *data);
    (void)row;
    bench_data_open(data);
    return data;
}

static void tear_down(void *user)
{
    bench_data_close(user);
    free(user);
}

/* One transaction of `puts` puts, to keys of the walk. */
static void peer_commit(bench_data *data, data_place *place, uint64_t puts)
{
    MDB_txn *txn;
    BENCH_CHECK(!mdb_txn_begin(data->env, NULL, 0, &txn));
    while (puts--) {
        MDB_val key = bench_key_val(bench_next_key(data, place)), value = {DATA_VALUE, data->value};
        BENCH_CHECK(!mdb_put(txn, data->dbi, &key, &value, 0));
    }
    BENCH_CHECK(!mdb_txn_commit(txn));
}

static void peer_commits(bench_data *data, unsigned thread, uint64_t iterations, uint64_t puts)
{
    data_place *place = &data->peer_places[thread];
    while (iterations) {
        if (puts > iterations)
            puts = iterations;
        peer_commit(data, place, puts);
        iterations -= puts;
    }
}

static void peer_set(void *user, unsigned thread, uint64_t iterations)
{
    peer_commits(user, thread, iterations, 1);
}

static void peer_set_4(void *user, unsigned thread, uint64_t iterations)
{
    peer_commits(user, thread, iterations, 4);
}

static void peer_set_16(void *user, unsigned thread, uint64_t iterations)
{
    peer_commits(user, thread, iterations, 16);
}

static void our_set(void *user, unsigned thread, uint64_t iterations)
{
    bench_data *data = user;
    data_place *place = &data->our_places[thread];
    kivi_slice value = kivi_bytes(data->value, DATA_VALUE);
    kivi_error *error;
    while (iterations--) {
        kivi_slice key = bench_key_slice(bench_next_key(data, place));
        bench_ok(kivi_store_set(data->store, NULL, key, value, KIVI_TTL_NONE, &error), &error);
    }
}

static void peer_set_many(void *user, unsigned thread, uint64_t iterations)
{
    bench_data *data = user;
    while (iterations--)
        peer_commit(data, &data->peer_places[thread], BATCH);
}

static void our_set_many(void *user, unsigned thread, uint64_t iterations)
{
    bench_data *data = user;
    data_place *place = &data->our_places[thread];
    kivi_slice keys[BATCH], values[BATCH];
    kivi_error *error;
    while (iterations--) {
        for (unsigned i = 0; i < BATCH; i++) {
            keys[i] = bench_key_slice(bench_next_key(data, place));
            values[i] = kivi_bytes(data->value, DATA_VALUE);
        }
        bench_ok(kivi_store_set_many(data->store, NULL, keys, values, BATCH, KIVI_TTL_NONE, NULL, &error),
                 &error);
    }
}

#define ONE_EACH "lmdb: one transaction a set"

static const bench_row rows[] = {
    {.name = "set-1",
     .title = "set, durable, random keys of 100,000, 1 thread",
     .peer = ONE_EACH,
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.05,
     .round_ms = 300,
     .setup = set_up,
     .run_peer = peer_set,
     .run_ours = our_set,
     .teardown = tear_down},
    {.name = "set-4",
     .title = "set, durable, random keys of 100,000, 4 threads",
     .peer = "lmdb: one thread, 4 puts a transaction",
     .goal = BENCH_OPS_AT_LEAST,
     .target = 0.85,
     .threads = 4,
     .round_ms = 300,
     .setup = set_up,
     .run_peer = peer_set_4,
     .run_ours = our_set,
     .teardown = tear_down},
    {.name = "set-16",
     .title = "set, durable, random keys of 100,000, 16 threads",
     .peer = "lmdb: one thread, 16 puts a transaction",
     .goal = BENCH_OPS_AT_LEAST,
     .target = 0.8,
     .threads = 16,
     .round_ms = 300,
     .setup = set_up,
     .run_peer = peer_set_16,
     .run_ours = our_set,
     .teardown = tear_down},
    {.name = "set-4-plain",
     .title = "set, durable, random keys of 100,000, 4 threads",
     .peer = ONE_EACH " from each of 4 threads",
     .goal = BENCH_OPS_AT_LEAST,
     .threads = 4,
     .peer_threads = 4,
     .round_ms = 300,
     .setup = set_up,
     .run_peer = peer_set,
     .run_ours = our_set,
     .teardown = tear_down},
    {.name = "set-16-plain",
     .title = "set, durable, random keys of 100,000, 16 threads",
     .peer = ONE_EACH " from each of 16 threads",
     .goal = BENCH_OPS_AT_LEAST,
     .threads = 16,
     .peer_threads = 16,
     .round_ms = 300,
     .setup = set_up,
     .run_peer = peer_set,
     .run_ours = our_set,
     .teardown = tear_down},
    {.name = "set-many",
     .title = "set_many of 1,000, durable, random keys of 100,000",
     .peer = "lmdb: one transaction of 1,000 puts",
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.2,
     .items = BATCH,
     .round_ms = 300,
     .setup = set_up,
     .run_peer = peer_set_many,
     .run_ours = our_set_many,
     .teardown = tear_down},
};

const bench_group bench_set_group = BENCH_GROUP(rows);
