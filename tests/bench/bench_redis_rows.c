/* Rows: Redis, beside hiredis: one connection a thread, pipelines by hand, SCAN and MGET by hand. */
#include "bench_redis.h"

#include <stdlib.h>
#include <string.h>

typedef struct state {
    bool timed; /* each get and set */
    bench_redis *redis;
    kivi_store *store;
    redisContext *contexts[REDIS_THREADS];
    struct {
        uint32_t next;
        char padding[60];
    } peer_places[REDIS_THREADS], our_places[REDIS_THREADS];
} state;

static void *set_up_over(const bench_row *row, bool over_socket)
{
    state *s = bench_alloc(sizeof *s);
    unsigned threads = row->peer_threads ? row->peer_threads : 1;
    s->timed = row->latency;
    s->redis = bench_redis_server();
    s->store = bench_redis_store(s->redis, over_socket);
    for (unsigned i = 0; i < threads; i++)
        s->contexts[i] = bench_redis_connect(s->redis, over_socket);
    for (unsigned i = 0; i < REDIS_THREADS; i++)
        s->peer_places[i].next = s->our_places[i].next = i * (REDIS_KEYS / REDIS_THREADS);
    return s;
}

static void *set_up(const bench_row *row)
{
    return set_up_over(row, false);
}

static void *set_up_socket(const bench_row *row)
{
    return set_up_over(row, true);
}

static void tear_down(void *user)
{
    state *s = user;
    for (unsigned i = 0; i < REDIS_THREADS; i++)
        if (s->contexts[i])
            redisFree(s->contexts[i]);
    kivi_store_unref(s->store);
    free(s);
}

static inline const redis_key *next_key(const state *s, uint32_t *place)
{
    uint32_t at = *place;
    *place = at + 1 == REDIS_KEYS ? 0 : at + 1;
    return &s->redis->keys[at];
}

/* ---- get and set ---- */

static inline uint64_t begin_one(const state *s)
{
    return s->timed ? bench_now_ns() : 0;
}

static inline void end_one(const state *s, bench_side side, unsigned thread, uint64_t began)
{
    if (s->timed)
        bench_latency_add(side, thread, bench_now_ns() - began);
}

static void peer_get(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    const char *arguments[2] = {"GET", NULL};
    size_t sizes[2] = {3, sizeof s->redis->keys[0].text};
    while (iterations--) {
        arguments[1] = next_key(s, &s->peer_places[thread].next)->text;
        uint64_t began = begin_one(s);
        redisReply *reply = redisCommandArgv(s->contexts[thread], 2, arguments, sizes);
        BENCH_CHECK(reply && reply->type == REDIS_REPLY_STRING && reply->len == REDIS_VALUE);
        bench_use(reply->str);
        freeReplyObject(reply);
        end_one(s, BENCH_PEER, thread, began);
    }
}

static void our_get(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_error *error;
    while (iterations--) {
        const redis_key *key = next_key(s, &s->our_places[thread].next);
        uint64_t began = begin_one(s);
        bench_redis_ok(kivi_store_get(s->store, NULL, bench_redis_slice(key), &value, &error), &error);
        BENCH_CHECK(value.size == REDIS_VALUE);
        bench_use(value.data);
        end_one(s, BENCH_OURS, thread, began);
    }
    kivi_buffer_free(&value);
}

static void peer_set(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    const char *arguments[3] = {"SET", NULL, (const char *)s->redis->value};
    size_t sizes[3] = {3, sizeof s->redis->keys[0].text, REDIS_VALUE};
    while (iterations--) {
        arguments[1] = next_key(s, &s->peer_places[thread].next)->text;
        uint64_t began = begin_one(s);
        redisReply *reply = redisCommandArgv(s->contexts[thread], 3, arguments, sizes);
        BENCH_CHECK(reply && reply->type == REDIS_REPLY_STATUS);
        freeReplyObject(reply);
        end_one(s, BENCH_PEER, thread, began);
    }
}

static void our_set(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    kivi_error *error;
    while (iterations--) {
        const redis_key *key = next_key(s, &s->our_places[thread].next);
        uint64_t began = begin_one(s);
        bench_redis_ok(kivi_store_set(s->store, NULL, bench_redis_slice(key),
                                      kivi_bytes(s->redis->value, REDIS_VALUE), KIVI_TTL_NONE, &error),
                       &error);
        end_one(s, BENCH_OURS, thread, began);
    }
}

/* ---- batches ---- */

static void peer_get_many(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    redisContext *context = s->contexts[thread];
    const char *arguments[2] = {"GET", NULL};
    size_t sizes[2] = {3, sizeof s->redis->keys[0].text};
    while (iterations--) {
        for (unsigned i = 0; i < REDIS_BATCH; i++) {
            arguments[1] = next_key(s, &s->peer_places[thread].next)->text;
            redisAppendCommandArgv(context, 2, arguments, sizes);
        }
        for (unsigned i = 0; i < REDIS_BATCH; i++) {
            redisReply *reply = bench_redis_reply(context, REDIS_REPLY_STRING);
            bench_use(reply->str);
            freeReplyObject(reply);
        }
    }
}

static void our_get_many(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    kivi_slice keys[REDIS_BATCH];
    kivi_error *error;
    while (iterations--) {
        kivi_result *result;
        for (unsigned i = 0; i < REDIS_BATCH; i++)
            keys[i] = bench_redis_slice(next_key(s, &s->our_places[thread].next));
        bench_redis_ok(kivi_store_get_many(s->store, NULL, keys, REDIS_BATCH, &result, &error), &error);
        BENCH_CHECK(kivi_result_value(result, REDIS_BATCH - 1).size == REDIS_VALUE);
        kivi_result_free(result);
    }
}

static void peer_set_many(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    redisContext *context = s->contexts[thread];
    const char *arguments[3] = {"SET", NULL, (const char *)s->redis->value};
    size_t sizes[3] = {3, sizeof s->redis->keys[0].text, REDIS_VALUE};
    while (iterations--) {
        for (unsigned i = 0; i < REDIS_BATCH; i++) {
            arguments[1] = next_key(s, &s->peer_places[thread].next)->text;
            redisAppendCommandArgv(context, 3, arguments, sizes);
        }
        for (unsigned i = 0; i < REDIS_BATCH; i++)
            freeReplyObject(bench_redis_reply(context, REDIS_REPLY_STATUS));
    }
}

static void our_set_many(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    kivi_slice keys[REDIS_BATCH], values[REDIS_BATCH];
    kivi_error *error;
    for (unsigned i = 0; i < REDIS_BATCH; i++)
        values[i] = kivi_bytes(s->redis->value, REDIS_VALUE);
    while (iterations--) {
        for (unsigned i = 0; i < REDIS_BATCH; i++)
            keys[i] = bench_redis_slice(next_key(s, &s->our_places[thread].next));
        bench_redis_ok(kivi_store_set_many(s->store, NULL, keys, values, REDIS_BATCH, KIVI_TTL_NONE,
                                           NULL, &error),
                       &error);
    }
}

/* ---- scan ---- */

static redisReply *peer_values(redisContext *context, const redisReply *keys)
{
    const char **arguments = bench_alloc((keys->elements + 1) * sizeof *arguments);
    size_t *sizes = bench_alloc((keys->elements + 1) * sizeof *sizes);
    arguments[0] = "MGET";
    sizes[0] = 4;
    for (size_t i = 0; i < keys->elements; i++) {
        arguments[i + 1] = keys->element[i]->str;
        sizes[i + 1] = (size_t)keys->element[i]->len;
    }
    redisReply *values = redisCommandArgv(context, (int)keys->elements + 1, arguments, sizes);
    BENCH_CHECK(values && values->type == REDIS_REPLY_ARRAY && values->elements == keys->elements);
    free(arguments);
    free(sizes);
    return values;
}

/* Each pair is copied, as a scan of ours does. */
static void peer_scan(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    redisContext *context = s->contexts[thread];
    char copy[256];
    while (iterations--) {
        char cursor[32] = "0";
        size_t pairs = 0;
        do {
            redisReply *page = redisCommand(context, "SCAN %s COUNT 1000", cursor);
            BENCH_CHECK(page && page->type == REDIS_REPLY_ARRAY && page->elements == 2);
            const redisReply *keys = page->element[1];
            redisReply *values = keys->elements ? peer_values(context, keys) : NULL;
            for (size_t i = 0; i < keys->elements; i++) {
                memcpy(copy, keys->element[i]->str, (size_t)keys->element[i]->len);
                memcpy(copy + 64, values->element[i]->str, (size_t)values->element[i]->len);
                bench_use(copy);
            }
            pairs += keys->elements;
            snprintf(cursor, sizeof cursor, "%s", page->element[0]->str);
            freeReplyObject(values);
            freeReplyObject(page);
        } while (strcmp(cursor, "0") != 0);
        BENCH_CHECK(pairs >= REDIS_KEYS);
    }
}

static void our_scan(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    kivi_error *error;
    (void)thread;
    while (iterations--) {
        kivi_scan *scan;
        kivi_pair pair = KIVI_PAIR_INIT;
        size_t pairs = 0;
        kivi_status status;
        bench_redis_ok(kivi_store_scan(s->store, NULL, &scan, &error), &error);
        while ((status = kivi_scan_next(scan, NULL, &pair, &error)) == KIVI_OK) {
            bench_use(pair.value.data);
            pairs++;
        }
        BENCH_CHECK(status == KIVI_END && pairs >= REDIS_KEYS);
        kivi_scan_free(scan);
    }
}

/* ---- The rows ---- */

#define ARGV "hiredis: redisCommandArgv"
#define THREADS(verb, count, least, ...)                                                        \
    {                                                                                           \
        .name = "redis-" #verb "-" #count, .title = "Redis " #verb ", TCP, " #count " threads", \
        .peer = ARGV ", a connection a thread", .goal = BENCH_OPS_AT_LEAST, .target = least,    \
        .threads = count, .peer_threads = count, .rounds = 9, .round_ms = 300, .setup = set_up, \
        .run_peer = peer_##verb, .run_ours = our_##verb, .teardown = tear_down, __VA_ARGS__     \
    }

static const bench_row rows[] = {
    {.name = "redis-get",
     .title = "Redis get, TCP",
     .peer = ARGV,
     .target = 1.03,
     .setup = set_up,
     .run_peer = peer_get,
     .run_ours = our_get,
     .teardown = tear_down},
    {.name = "redis-get-unix",
     .title = "Redis get, unix socket",
     .peer = ARGV,
     .target = 1.03,
     .setup = set_up_socket,
     .run_peer = peer_get,
     .run_ours = our_get,
     .teardown = tear_down},
    {.name = "redis-set",
     .title = "Redis set, TCP",
     .peer = ARGV,
     .setup = set_up,
     .run_peer = peer_set,
     .run_ours = our_set,
     .teardown = tear_down},
    THREADS(get, 64, 1.8, .cpu_target = 0.7, .latency = true),
    THREADS(set, 64, 1.8, .cpu_target = 0.7, .latency = true),
    THREADS(get, 32, 1.5),
    THREADS(set, 32, 1.5),
    THREADS(get, 16, 1.1),
    THREADS(set, 16, 1.1),
    THREADS(get, 8, 0.95),
    THREADS(set, 8, 0.95),
    THREADS(get, 4, 0.95),
    THREADS(set, 4, 0.95),
    THREADS(get, 2, 0.95),
    THREADS(set, 2, 0.95),
    {.name = "redis-get-many",
     .title = "Redis get_many of 100, TCP",
     .peer = "hiredis: pipeline of 100",
     .target = 1.1,
     .setup = set_up,
     .run_peer = peer_get_many,
     .run_ours = our_get_many,
     .teardown = tear_down},
    {.name = "redis-set-many",
     .title = "Redis set_many of 100, TCP",
     .peer = "hiredis: pipeline of 100",
     .target = 1.1,
     .setup = set_up,
     .run_peer = peer_set_many,
     .run_ours = our_set_many,
     .teardown = tear_down},
    {.name = "redis-scan",
     .title = "Redis scan of 100,000 pairs, TCP",
     .peer = "hiredis: SCAN and MGET by hand",
     .target = 1.1,
     .items = REDIS_KEYS,
     .round_ms = 300,
     .setup = set_up,
     .run_peer = peer_scan,
     .run_ours = our_scan,
     .teardown = tear_down},
};

const bench_group bench_redis_group = BENCH_GROUP(rows);
