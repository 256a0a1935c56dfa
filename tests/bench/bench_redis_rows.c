/* Rows: Redis, beside hiredis: one connection a thread, pipelines by hand, SCAN and MGET by hand. */
#include "bench_redis.h"

#include <stdlib.h>
#include <string.h>

static void *connect_tcp(void)
{
    return bench_redis_connect(bench_redis_server(), false);
}

static void *connect_socket(void)
{
    return bench_redis_connect(bench_redis_server(), true);
}

static void *set_up(const bench_row *row)
{
    return bench_remote_begin(row, bench_redis_store(bench_redis_server(), false), connect_tcp);
}

static void *set_up_socket(const bench_row *row)
{
    return bench_remote_begin(row, bench_redis_store(bench_redis_server(), true), connect_socket);
}

static void disconnect(void *peer)
{
    redisFree(peer);
}

static void tear_down(void *user)
{
    bench_remote_end(user, disconnect);
}

/* ---- get and set ---- */

static void peer_get(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    const char *arguments[2] = {"GET", NULL};
    size_t sizes[2] = {3, sizeof s->data->keys[0].text};
    while (iterations--) {
        arguments[1] = bench_peer_next(s, thread)->text;
        uint64_t began = bench_begin_one(s);
        redisReply *reply = redisCommandArgv(s->peers[thread], 2, arguments, sizes);
        BENCH_CHECK(reply && reply->type == REDIS_REPLY_STRING && reply->len == REMOTE_VALUE);
        bench_use(reply->str);
        freeReplyObject(reply);
        bench_end_one(s, BENCH_PEER, thread, began);
    }
}

static void peer_set(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    const char *arguments[3] = {"SET", NULL, s->data->value};
    size_t sizes[3] = {3, sizeof s->data->keys[0].text, REMOTE_VALUE};
    while (iterations--) {
        arguments[1] = bench_peer_next(s, thread)->text;
        uint64_t began = bench_begin_one(s);
        redisReply *reply = redisCommandArgv(s->peers[thread], 3, arguments, sizes);
        BENCH_CHECK(reply && reply->type == REDIS_REPLY_STATUS);
        freeReplyObject(reply);
        bench_end_one(s, BENCH_PEER, thread, began);
    }
}

/* ---- batches ---- */

static void peer_get_many(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    redisContext *context = s->peers[thread];
    const char *arguments[2] = {"GET", NULL};
    size_t sizes[2] = {3, sizeof s->data->keys[0].text};
    while (iterations--) {
        for (unsigned i = 0; i < REMOTE_BATCH; i++) {
            arguments[1] = bench_peer_next(s, thread)->text;
            redisAppendCommandArgv(context, 2, arguments, sizes);
        }
        for (unsigned i = 0; i < REMOTE_BATCH; i++) {
            redisReply *reply = bench_redis_reply(context, REDIS_REPLY_STRING);
            bench_use(reply->str);
            freeReplyObject(reply);
        }
    }
}

static void peer_set_many(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    redisContext *context = s->peers[thread];
    const char *arguments[3] = {"SET", NULL, s->data->value};
    size_t sizes[3] = {3, sizeof s->data->keys[0].text, REMOTE_VALUE};
    while (iterations--) {
        for (unsigned i = 0; i < REMOTE_BATCH; i++) {
            arguments[1] = bench_peer_next(s, thread)->text;
            redisAppendCommandArgv(context, 3, arguments, sizes);
        }
        for (unsigned i = 0; i < REMOTE_BATCH; i++)
            freeReplyObject(bench_redis_reply(context, REDIS_REPLY_STATUS));
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
    remote_sides *s = user;
    redisContext *context = s->peers[thread];
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
        BENCH_CHECK(pairs >= REMOTE_KEYS);
    }
}

static void our_scan(void *user, unsigned thread, uint64_t iterations)
{
    (void)thread;
    while (iterations--)
        BENCH_CHECK(bench_our_pairs(user) >= REMOTE_KEYS);
}

/* ---- The rows ---- */

#define ARGV "hiredis: redisCommandArgv"
#define THREADS(verb, count, least, ...)                                                          \
    {                                                                                             \
        .name = "redis-" #verb "-" #count, .title = "Redis " #verb ", TCP, " #count " threads",   \
        .peer = ARGV ", a connection a thread", .goal = BENCH_OPS_AT_LEAST, .target = least,      \
        .threads = count, .peer_threads = count, .rounds = 9, .round_ms = 300, .setup = set_up,   \
        .run_peer = peer_##verb, .run_ours = bench_our_##verb, .teardown = tear_down, __VA_ARGS__ \
    }

static const bench_row rows[] = {
    {.name = "redis-get",
     .title = "Redis get, TCP",
     .peer = ARGV,
     .target = 1.03,
     .setup = set_up,
     .run_peer = peer_get,
     .run_ours = bench_our_get,
     .teardown = tear_down},
    {.name = "redis-get-unix",
     .title = "Redis get, unix socket",
     .peer = ARGV,
     .target = 1.03,
     .setup = set_up_socket,
     .run_peer = peer_get,
     .run_ours = bench_our_get,
     .teardown = tear_down},
    {.name = "redis-set",
     .title = "Redis set, TCP",
     .peer = ARGV,
     .setup = set_up,
     .run_peer = peer_set,
     .run_ours = bench_our_set,
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
     .run_ours = bench_our_get_many,
     .teardown = tear_down},
    {.name = "redis-set-many",
     .title = "Redis set_many of 100, TCP",
     .peer = "hiredis: pipeline of 100",
     .target = 1.1,
     .setup = set_up,
     .run_peer = peer_set_many,
     .run_ours = bench_our_set_many,
     .teardown = tear_down},
    {.name = "redis-scan",
     .title = "Redis scan of 100,000 pairs, TCP",
     .peer = "hiredis: SCAN and MGET by hand",
     .target = 1.1,
     .items = REMOTE_KEYS,
     .round_ms = 300,
     .setup = set_up,
     .run_peer = peer_scan,
     .run_ours = our_scan,
     .teardown = tear_down},
};

const bench_group bench_redis_group = BENCH_GROUP(rows);
