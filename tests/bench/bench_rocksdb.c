/* Rows: RocksDB, beside its C interface with the same filters, cache and compression. */
#include <rocksdb/c.h>
#include <stdlib.h>
#include <string.h>

#include "bench_lmdb.h"

#define BATCH 1000u

typedef struct rocks_state {
    bench_data data;
    rocksdb_t *peer;
    rocksdb_readoptions_t *reads;
    rocksdb_writeoptions_t *writes;
} rocks_state;

static rocksdb_t *open_peer(const char *dir)
{
    char path[512], *failure = NULL;
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(32 << 20);
    rocksdb_t *db;
    snprintf(path, sizeof path, "%s/peer", dir);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_options_set_block_based_table_factory(options, table);
    db = rocksdb_open(options, path, &failure);
    if (failure)
        bench_fail("rocksdb: %s", failure);
    rocksdb_cache_destroy(cache);
    rocksdb_block_based_options_destroy(table);
    rocksdb_options_destroy(options);
    return db;
}

static kivi_store *open_ours(const char *dir)
{
    char url[512];
    kivi_store *store;
    kivi_error *error;
    snprintf(url, sizeof url, "rocksdb:%s/our?codec=raw", dir);
    bench_ok(kivi_store_open(url, NULL, NULL, &store, &error), &error);
    return store;
}

static void peer_batch(rocks_state *state, data_place *place, unsigned puts)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    char *failure = NULL;
    while (puts--) {
        const data_key *key = bench_next_key(&state->data, place);
        rocksdb_writebatch_put(batch, key->text, sizeof key->text, (char *)state->data.value, DATA_VALUE);
    }
    rocksdb_write(state->peer, state->writes, batch, &failure);
    if (failure)
        bench_fail("rocksdb: %s", failure);
    rocksdb_writebatch_destroy(batch);
}

static void our_batch(rocks_state *state, data_place *place)
{
    kivi_slice keys[BATCH], values[BATCH];
    kivi_error *error;
    for (unsigned i = 0; i < BATCH; i++) {
        keys[i] = bench_key_slice(bench_next_key(&state->data, place));
        values[i] = kivi_bytes(state->data.value, DATA_VALUE);
    }
    bench_ok(kivi_store_set_many(state->data.store, NULL, keys, values, BATCH, KIVI_TTL_NONE, NULL, &error),
             &error);
}

/* Opened again, so that both read from a table. */
static void fill(rocks_state *state)
{
    data_place ours = {0}, theirs = {0};
    for (unsigned i = 0; i < DATA_KEYS / BATCH; i++) {
        peer_batch(state, &theirs, BATCH);
        our_batch(state, &ours);
    }
    rocksdb_close(state->peer);
    kivi_store_unref(state->data.store);
    state->peer = open_peer(state->data.dir);
    state->data.store = open_ours(state->data.dir);
}

static void *set_up(const bench_row *row)
{
    rocks_state *state = bench_alloc(sizeof *state);
    (void)row;
    bench_data_make(&state->data, "rocksdb");
    state->peer = open_peer(state->data.dir);
    state->data.store = open_ours(state->data.dir);
    state->reads = rocksdb_readoptions_create();
    state->writes = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(state->writes, 1);
    fill(state);
    return state;
}

static void tear_down(void *user)
{
    rocks_state *state = user;
    rocksdb_close(state->peer);
    rocksdb_readoptions_destroy(state->reads);
    rocksdb_writeoptions_destroy(state->writes);
    bench_data_drop(&state->data);
    free(state);
}

/* ---- reads ---- */

static void check_value(const bench_data *data, const kivi_buffer *value)
{
    BENCH_CHECK(value->size == DATA_VALUE && !memcmp(value->data, data->value, DATA_VALUE));
}

static inline void peer_get(rocks_state *state, const data_key *key, kivi_buffer *value)
{
    char *failure = NULL;
    size_t size;
    rocksdb_pinnableslice_t *pinned = rocksdb_get_pinned(state->peer, state->reads, key->text,
                                                         sizeof key->text, &failure);
    const char *found = rocksdb_pinnableslice_value(pinned, &size);
    BENCH_CHECK(!failure && found);
    if (size > value->capacity)
        BENCH_CHECK(!kivi_buffer_reserve(value, size));
    memcpy(value->data, found, size);
    value->size = size;
    rocksdb_pinnableslice_destroy(pinned);
    bench_use(value->data);
}

static inline void our_get(rocks_state *state, const data_key *key, kivi_buffer *value)
{
    kivi_error *error;
    bench_ok(kivi_store_get(state->data.store, NULL, bench_key_slice(key), value, &error), &error);
    bench_use(value->data);
}

static void peer_hot(void *user, unsigned thread, uint64_t iterations)
{
    rocks_state *state = user;
    kivi_buffer value = KIVI_BUFFER_INIT;
    (void)thread;
    while (iterations--)
        peer_get(state, &state->data.keys[0], &value);
    check_value(&state->data, &value);
    kivi_buffer_free(&value);
}

static void our_hot(void *user, unsigned thread, uint64_t iterations)
{
    rocks_state *state = user;
    kivi_buffer value = KIVI_BUFFER_INIT;
    (void)thread;
    while (iterations--)
        our_get(state, &state->data.keys[0], &value);
    check_value(&state->data, &value);
    kivi_buffer_free(&value);
}

static void peer_random(void *user, unsigned thread, uint64_t iterations)
{
    rocks_state *state = user;
    kivi_buffer value = KIVI_BUFFER_INIT;
    while (iterations--)
        peer_get(state, bench_next_key(&state->data, &state->data.peer_places[thread]), &value);
    check_value(&state->data, &value);
    kivi_buffer_free(&value);
}

static void our_random(void *user, unsigned thread, uint64_t iterations)
{
    rocks_state *state = user;
    kivi_buffer value = KIVI_BUFFER_INIT;
    while (iterations--)
        our_get(state, bench_next_key(&state->data, &state->data.our_places[thread]), &value);
    check_value(&state->data, &value);
    kivi_buffer_free(&value);
}

/* ---- writes ---- */

static void peer_set(void *user, unsigned thread, uint64_t iterations)
{
    rocks_state *state = user;
    while (iterations--) {
        const data_key *key = bench_next_key(&state->data, &state->data.peer_places[thread]);
        char *failure = NULL;
        rocksdb_put(state->peer, state->writes, key->text, sizeof key->text,
                    (char *)state->data.value, DATA_VALUE, &failure);
        if (failure)
            bench_fail("rocksdb: %s", failure);
    }
}

static void our_set(void *user, unsigned thread, uint64_t iterations)
{
    rocks_state *state = user;
    kivi_slice value = kivi_bytes(state->data.value, DATA_VALUE);
    kivi_error *error;
    while (iterations--) {
        kivi_slice key = bench_key_slice(bench_next_key(&state->data, &state->data.our_places[thread]));
        bench_ok(kivi_store_set(state->data.store, NULL, key, value, KIVI_TTL_NONE, &error), &error);
    }
}

static void peer_set_many(void *user, unsigned thread, uint64_t iterations)
{
    rocks_state *state = user;
    while (iterations--)
        peer_batch(state, &state->data.peer_places[thread], BATCH);
}

static void our_set_many(void *user, unsigned thread, uint64_t iterations)
{
    rocks_state *state = user;
    while (iterations--)
        our_batch(state, &state->data.our_places[thread]);
}

/* ---- a scan ---- */

static void peer_scan(void *user, unsigned thread, uint64_t iterations)
{
    rocks_state *state = user;
    kivi_buffer pair = KIVI_BUFFER_INIT;
    (void)thread;
    BENCH_CHECK(!kivi_buffer_reserve(&pair, 4096));
    while (iterations--) {
        rocksdb_iterator_t *at = rocksdb_create_iterator(state->peer, state->reads);
        size_t count = 0;
        for (rocksdb_iter_seek_to_first(at); rocksdb_iter_valid(at); rocksdb_iter_next(at), count++) {
            size_t key_size, value_size;
            const char *key = rocksdb_iter_key(at, &key_size),
                       *value = rocksdb_iter_value(at, &value_size);
            memcpy(pair.data, key, key_size);
            memcpy((char *)pair.data + key_size, value, value_size);
            bench_use(pair.data);
        }
        BENCH_CHECK(count == DATA_KEYS);
        rocksdb_iter_destroy(at);
    }
    kivi_buffer_free(&pair);
}

static void our_scan(void *user, unsigned thread, uint64_t iterations)
{
    rocks_state *state = user;
    (void)thread;
    while (iterations--) {
        kivi_scan *scan = NULL;
        kivi_pair pair = KIVI_PAIR_INIT;
        kivi_error *error;
        kivi_status status;
        size_t count = 0;
        bench_ok(kivi_store_scan(state->data.store, NULL, &scan, &error), &error);
        while (!(status = kivi_scan_next(scan, NULL, &pair, &error))) {
            bench_use(pair.value.data);
            count++;
        }
        BENCH_CHECK(status == KIVI_END && count == DATA_KEYS);
        kivi_scan_free(scan);
    }
}

#define GET "rocksdb: pinned get, copy"
#define PUT "rocksdb: a put"

static const bench_row rows[] = {
    {.name = "rocksdb-get-hot",
     .title = "RocksDB get, one hot key",
     .peer = GET,
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.15,
     .setup = set_up,
     .run_peer = peer_hot,
     .run_ours = our_hot,
     .teardown = tear_down},
    {.name = "rocksdb-get-random",
     .title = "RocksDB get, random keys of 100,000",
     .peer = GET,
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.15,
     .setup = set_up,
     .run_peer = peer_random,
     .run_ours = our_random,
     .teardown = tear_down},
    {.name = "rocksdb-set-1",
     .title = "RocksDB set, durable, random keys of 100,000, 1 thread",
     .peer = PUT,
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.15,
     .round_ms = 300,
     .setup = set_up,
     .run_peer = peer_set,
     .run_ours = our_set,
     .teardown = tear_down},
    {.name = "rocksdb-set-16",
     .title = "RocksDB set, durable, random keys of 100,000, 16 threads",
     .peer = PUT " from each of 16 threads",
     .goal = BENCH_OPS_AT_LEAST,
     .target = 1,
     .threads = 16,
     .peer_threads = 16,
     .round_ms = 300,
     .setup = set_up,
     .run_peer = peer_set,
     .run_ours = our_set,
     .teardown = tear_down},
    {.name = "rocksdb-set-many",
     .title = "RocksDB set_many of 1,000, durable, random keys of 100,000",
     .peer = "rocksdb: one batch of 1,000 puts",
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.15,
     .items = BATCH,
     .round_ms = 300,
     .setup = set_up,
     .run_peer = peer_set_many,
     .run_ours = our_set_many,
     .teardown = tear_down},
    {.name = "rocksdb-scan",
     .title = "RocksDB scan of 100,000 pairs",
     .peer = "rocksdb: an iterator, each pair copied",
     .goal = BENCH_TIME_AT_MOST,
     .items = DATA_KEYS,
     .setup = set_up,
     .run_peer = peer_scan,
     .run_ours = our_scan,
     .teardown = tear_down},
};

const bench_group bench_rocksdb_group = BENCH_GROUP(rows);
