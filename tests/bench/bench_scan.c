/* Row: a scan of 100,000 pairs, beside a raw cursor that copies each pair. */
#include "bench_lmdb.h"

#include <stdlib.h>
#include <string.h>

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

static void copy_val(kivi_buffer *buffer, const MDB_val *val)
{
    if (val->mv_size > buffer->capacity)
        BENCH_CHECK(!kivi_buffer_reserve(buffer, val->mv_size));
    memcpy(buffer->data, val->mv_data, val->mv_size);
    buffer->size = val->mv_size;
    bench_use(buffer->data);
}

static void peer_scan(void *user, unsigned thread, uint64_t iterations)
{
    bench_data *data = user;
    kivi_buffer key = KIVI_BUFFER_INIT, value = KIVI_BUFFER_INIT;
    (void)thread;
    while (iterations--) {
        MDB_txn *txn;
        MDB_cursor *cursor;
        MDB_val name, found;
        uint32_t count = 0;
        BENCH_CHECK(!mdb_txn_begin(data->env, NULL, MDB_RDONLY, &txn));
        BENCH_CHECK(!mdb_cursor_open(txn, data->dbi, &cursor));
        while (!mdb_cursor_get(cursor, &name, &found, MDB_NEXT)) {
            copy_val(&key, &name);
            copy_val(&value, &found);
            count++;
        }
        mdb_cursor_close(cursor);
        mdb_txn_abort(txn);
        BENCH_CHECK(count == DATA_KEYS);
    }
    kivi_buffer_free(&key);
    kivi_buffer_free(&value);
}

static void our_scan(void *user, unsigned thread, uint64_t iterations)
{
    bench_data *data = user;
    kivi_error *error;
    (void)thread;
    while (iterations--) {
        kivi_scan *scan;
        kivi_pair pair = KIVI_PAIR_INIT;
        kivi_status status;
        uint32_t count = 0;
        bench_ok(kivi_store_scan(data->store, NULL, &scan, &error), &error);
        while ((status = kivi_scan_next(scan, NULL, &pair, &error)) == KIVI_OK) {
            bench_use(pair.value.data);
            count++;
        }
        if (status != KIVI_END)
            bench_ok(status, &error);
        kivi_scan_free(scan);
        BENCH_CHECK(count == DATA_KEYS);
    }
}

static const bench_row rows[] = {
    {.name = "scan",
     .title = "scan of 100,000 pairs",
     .peer = "lmdb: a cursor that copies each pair",
     .goal = BENCH_TIME_AT_MOST,
     .target = 1.3,
     .items = DATA_KEYS,
     .setup = set_up,
     .run_peer = peer_scan,
     .run_ours = our_scan,
     .teardown = tear_down},
};

const bench_group bench_scan_group = BENCH_GROUP(rows);
