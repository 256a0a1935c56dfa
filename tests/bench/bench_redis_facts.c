/* Facts: allocations and system calls of one get from Redis, beside hiredis. */
#include "bench_redis.h"
#include "bench_run.h"

#include <stdlib.h>

#define CALLS 1000u

/* Either side, connected. */
typedef struct one_get {
    kivi_store *store;
    kivi_buffer value;
    redisContext *context;
    const remote_key *key;
} one_get;

static void get_ours(void *user)
{
    one_get *one = user;
    kivi_error *error;
    bench_ok(kivi_store_get(one->store, NULL, bench_remote_slice(one->key), &one->value, &error), &error);
    BENCH_CHECK(one->value.size == REMOTE_VALUE);
}

static void get_peer(void *user)
{
    one_get *one = user;
    const char *arguments[2] = {"GET", one->key->text};
    size_t sizes[2] = {3, sizeof one->key->text};
    redisReply *reply = redisCommandArgv(one->context, 2, arguments, sizes);
    BENCH_CHECK(reply && reply->type == REDIS_REPLY_STRING);
    freeReplyObject(reply);
}

static one_get *prepare(bool ours)
{
    one_get *one = bench_alloc(sizeof *one);
    bench_redis *redis = bench_redis_server();
    one->key = &bench_remote_data()->keys[0];
    if (ours)
        one->store = bench_redis_store(redis, false);
    else
        one->context = bench_redis_connect(redis, false);
    return one;
}

static void *prepare_ours(void)
{
    return prepare(true);
}

static void *prepare_peer(void)
{
    return prepare(false);
}

static void release(one_get *one)
{
    kivi_buffer_free(&one->value);
    if (one->store)
        kivi_store_unref(one->store);
    if (one->context)
        redisFree(one->context);
    free(one);
}

static double allocations_a_call(void *(*make)(void), void (*run)(void *user))
{
    one_get *one = make();
    run(one);
    uint64_t before = bench_allocations();
    for (unsigned i = 0; i < CALLS; i++)
        run(one);
    double count = (double)(bench_allocations() - before) / CALLS;
    release(one);
    return count;
}

static void report_allocations(void)
{
    char note[64];
    snprintf(note, sizeof note, "hiredis: %g", allocations_a_call(prepare_peer, get_peer));
    bench_fact fact = {"redis-get-allocations",
                       "allocations of a get into a reused buffer, Redis",
                       "a call",
                       allocations_a_call(prepare_ours, get_ours),
                       1,
                       note};
    bench_report_fact(&fact);
}

static void report_syscalls(void)
{
    char note[64];
    bench_redis_server(); /* here, not in the traced child */
    double ours = bench_count_syscalls(prepare_ours, get_ours, 100);
    double peer = bench_count_syscalls(prepare_peer, get_peer, 100);
    if (ours < 0 || peer < 0)
        return; /* told with those of LMDB */
    snprintf(note, sizeof note, "hiredis: %g", peer);
    bench_fact fact = {
        "redis-get-syscalls", "system calls of a get, Redis over TCP", "a call", ours, -1, note};
    bench_report_fact(&fact);
}

void bench_run_redis_facts(void)
{
    if (bench_wanted("redis-get-allocations"))
        report_allocations();
    if (bench_wanted("redis-get-syscalls"))
        report_syscalls();
}
