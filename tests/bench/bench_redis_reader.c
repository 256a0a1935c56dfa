/* Rows: replies of Redis read, and their values copied out, beside hiredis' redisReader with functions that do that. */
#include "bench.h"

#include <hiredis/read.h>
#include <stdlib.h>
#include <string.h>

#include "../../libkivi/backends/redis/resp.c"

/* What either side read: how many values, and their bytes one behind the other. */
typedef struct reader_out {
    uint64_t values;
    size_t size;
    char *bytes;
} reader_out;

typedef struct reader_state {
    char *replies;
    size_t size;
    reader_out expected, out;
    redisReader *peer;
} reader_state;

static inline void put_value(reader_out *out, const void *bytes, size_t size)
{
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
    out->values++;
}

static inline void check_out(const reader_state *state)
{
    bench_use(state->out.bytes);
    BENCH_CHECK(state->out.values == state->expected.values && state->out.size == state->expected.size);
}

/* ---- The peer ---- */

static char built; /* what every function "builds": NULL would mean no memory */

static void *peer_string(const redisReadTask *task, char *text, size_t size)
{
    put_value(task->privdata, text, size);
    return &built;
}

static void *peer_array(const redisReadTask *task, int members)
{
    (void)task;
    (void)members;
    return &built;
}

static void *peer_integer(const redisReadTask *task, long long number)
{
    reader_out *out = task->privdata;
    bench_use(&number);
    out->values++;
    return &built;
}

static void *peer_nil(const redisReadTask *task)
{
    (void)task;
    return &built;
}

static void peer_free(void *object)
{
    (void)object;
}

static redisReplyObjectFunctions peer_functions = {peer_string, peer_array, peer_integer, peer_nil,
                                                   peer_free};

static void run_peer(void *user, unsigned thread, uint64_t iterations)
{
    reader_state *state = user;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        void *reply;
        state->out.values = state->out.size = 0;
        BENCH_CHECK(redisReaderFeed(state->peer, state->replies, state->size) == REDIS_OK);
        do
            BENCH_CHECK(redisReaderGetReply(state->peer, &reply) == REDIS_OK);
        while (reply);
        check_out(state);
    }
}

/* ---- Ours ---- */

static void run_ours(void *user, unsigned thread, uint64_t iterations)
{
    reader_state *state = user;
    (void)thread;
    for (uint64_t i = 0; i < iterations; i++) {
        state->out.values = state->out.size = 0;
        kvi_resp resp = {0};
        const uint8_t *at = (const uint8_t *)state->replies, *end = at + state->size;
        while (at < end) {
            size_t used;
            kvi_resp_token token;
            BENCH_CHECK(kvi_resp_next(&resp, at, (size_t)(end - at), &used, &token) == KIVI_OK);
            if (token.kind == KVI_RESP_STRING)
                put_value(&state->out, token.bytes.data, token.bytes.size);
            if (token.kind == KVI_RESP_INTEGER) {
                bench_use(&token.integer);
                state->out.values++;
            }
            at += used;
        }
        check_out(state);
    }
}

/* ---- The replies ---- */

static reader_state *new_state(size_t room)
{
    reader_state *state = bench_alloc(sizeof *state);
    state->replies = bench_alloc(room);
    state->out.bytes = bench_alloc(room);
    state->peer = redisReaderCreateWithFunctions(&peer_functions);
    BENCH_CHECK(state->peer);
    state->peer->privdata = &state->out;
    return state;
}

static void add_string(reader_state *state, size_t size)
{
    char *at = state->replies + state->size;
    int head = sprintf(at, "$%zu\r\n", size);
    memset(at + head, 'v', size);
    memcpy(at + head + size, "\r\n", 2);
    state->size += (size_t)head + size + 2;
    state->expected.values++;
    state->expected.size += size;
}

static void *setup_values(const bench_row *row)
{
    reader_state *state = new_state(row->items * 128);
    state->size = (size_t)sprintf(state->replies, "*%d\r\n", (int)row->items);
    for (uint64_t i = 0; i < row->items; i++)
        add_string(state, 100);
    return state;
}

static void *setup_one(const bench_row *row)
{
    reader_state *state = new_state(128);
    (void)row;
    add_string(state, 100);
    return state;
}

static void *setup_large(const bench_row *row)
{
    reader_state *state = new_state((1 << 20) + 64);
    (void)row;
    add_string(state, 1 << 20);
    return state;
}

static void *setup_numbers(const bench_row *row)
{
    reader_state *state = new_state(row->items * 16);
    for (uint64_t i = 0; i < row->items; i++)
        state->size += (size_t)sprintf(state->replies + state->size, ":%d\r\n", (int)i);
    state->expected.values = row->items;
    return state;
}

static void teardown(void *user)
{
    reader_state *state = user;
    redisReaderFree(state->peer);
    free(state->replies);
    free(state->out.bytes);
    free(state);
}

#define PEER "hiredis: redisReader with functions of ours"

static const bench_row rows[] = {
    {.name = "redis-reader-one",
     .title = "the reply to a get read, 100 bytes",
     .peer = PEER,
     .setup = setup_one,
     .run_peer = run_peer,
     .run_ours = run_ours,
     .teardown = teardown},
    {.name = "redis-reader-values",
     .title = "the reply to a get_many of 100 read",
     .peer = PEER,
     .items = 100,
     .setup = setup_values,
     .run_peer = run_peer,
     .run_ours = run_ours,
     .teardown = teardown},
    {.name = "redis-reader-large",
     .title = "the reply to a get read, 1 MiB",
     .peer = PEER,
     .setup = setup_large,
     .run_peer = run_peer,
     .run_ours = run_ours,
     .teardown = teardown},
    {.name = "redis-reader-numbers",
     .title = "100 replies of numbers read",
     .peer = PEER,
     .items = 100,
     .setup = setup_numbers,
     .run_peer = run_peer,
     .run_ours = run_ours,
     .teardown = teardown},
};

const bench_group bench_redis_reader_group = BENCH_GROUP(rows);
