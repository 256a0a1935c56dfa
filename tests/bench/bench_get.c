/* Rows: get from LMDB into a reused buffer, beside renew, get, copy and reset of a raw transaction. */
#include "bench_lmdb.h"

#include <stdlib.h>
#include <string.h>

#define GET_THREADS 8

typedef struct get_state {
    bench_data data;
    MDB_txn *txns[GET_THREADS]; /* the peer's: one a thread, reset between reads */
} get_state;

static void *set_up(const bench_row *row)
{
    get_state *state = bench_alloc(sizeof *state);
    (void)row;
    bench_data_open(&state->data);
    for (unsigned i = 0; i < GET_THREADS; i++) {
        BENCH_CHECK(!mdb_txn_begin(state->data.env, NULL, MDB_RDONLY, &state->txns[i]));
        mdb_txn_reset(state->txns[i]);
    }
    return state;
}

static void tear_down(void *user)
{
    get_state *state = user;
    for (unsigned i = 0; i < GET_THREADS; i++)
        mdb_txn_abort(state->txns[i]);
    bench_data_close(&state->data);
    free(state);
}

static inline void peer_get(MDB_txn *txn, MDB_dbi dbi, const data_key *key, kivi_buffer *value)
{
    MDB_val name = bench_key_val(key), found;
    BENCH_CHECK(!mdb_txn_renew(txn));
    BENCH_CHECK(!mdb_get(txn, dbi, &name, &found));
    if (found.mv_size > value->capacity)
        BENCH_CHECK(!kivi_buffer_reserve(value, found.mv_size));
    memcpy(value->data, found.mv_data, found.mv_size);
    value->size = found.mv_size;
    mdb_txn_reset(txn);
    bench_use(value->data);
}

static inline void our_get(kivi_store *store, const data_key *key, kivi_buffer *value)
{
    kivi_error *error;
    bench_ok(kivi_store_get(store, NULL, bench_key_slice(key), value, &error), &error);
    bench_use(value->data);
}

static void check_value(const bench_data *data, const kivi_buffer *value)
{
    BENCH_CHECK(value->size == DATA_VALUE && !memcmp(value->data, data->value, DATA_VALUE));
}

static void peer_hot(void *user, unsigned thread, uint64_t iterations)
{
    get_state *state = user;
    kivi_buffer value = KIVI_BUFFER_INIT;
    while (iterations--)
        peer_get(state->txns[thread], state->data.dbi, &state->data.keys[0], &value);
    check_value(&state->data, &value);
    kivi_buffer_free(&value);
}

static void our_hot(void *user, unsigned thread, uint64_t iterations)
{
    get_state *state = user;
    kivi_buffer value = KIVI_BUFFER_INIT;
    (void)thread;
    while (iterations--)
        our_get(state->data.store, &state->data.keys[0], &value);
    check_value(&state->data, &value);
    kivi_buffer_free(&value);
}

static void peer_random(void *user, unsigned thread, uint64_t iterations)
{
    get_state *state = user;
    data_place *place = &state->data.peer_places[thread];
    kivi_buffer value = KIVI_BUFFER_INIT;
    while (iterations--)
        peer_get(state->txns[thread], state->data.dbi, bench_next_key(&state->data, place), &value);
    check_value(&state->data, &value);
    kivi_buffer_free(&value);
}

static void our_random(void *user, unsigned thread, uint64_t iterations)
{
    get_state *state = user;
    data_place *place = &state->data.our_places[thread];
    kivi_buffer value = KIVI_BUFFER_INIT;
    while (iterations--)
        our_get(state->data.store, bench_next_key(&state->data, place), &value);
    check_value(&state->data, &value);
    kivi_buffer_free(&value);
}

#define PEER "lmdb: renew, get, copy, reset; unnamed database"

static const bench_row rows[] = {
    {.name = "get-hot",
     .title = "get, one hot key",
     .peer = PEER,
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.4,
     .setup = set_up,
     .run_peer = peer_hot,
     .run_ours = our_hot,
     .teardown = tear_down},
    {.name = "get-random",
     .title = "get, random keys of 100,000",
     .peer = PEER,
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.15,
     .setup = set_up,
     .run_peer = peer_random,
     .run_ours = our_random,
     .teardown = tear_down},
    {.name = "get-random-8",
     .title = "get, random keys of 100,000, 8 threads",
     .peer = PEER "; a transaction a thread",
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.2,
     .threads = GET_THREADS,
     .peer_threads = GET_THREADS,
     .round_ms = 200,
     .setup = set_up,
     .run_peer = peer_random,
     .run_ours = our_random,
     .teardown = tear_down},
    {.name = "get-hot-8",
     .title = "get, one hot key, 8 threads",
     .peer = PEER "; a transaction a thread",
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.2,
     .threads = GET_THREADS,
     .peer_threads = GET_THREADS,
     .round_ms = 200,
     .setup = set_up,
     .run_peer = peer_hot,
     .run_ours = our_hot,
     .teardown = tear_down},
};

const bench_group bench_get_group = BENCH_GROUP(rows);
