/* The server that the rows on Redis run against, and its data. */
#include "bench_redis.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bench_redis redis;

/* ---- The server ---- */

static void stop_server(void)
{
    kill(redis.pid, SIGTERM);
    waitpid(redis.pid, NULL, 0);
    unlink(redis.socket);
    bench_remove_dir(redis.dir);
}

static void start_server(void)
{
    char port[8];
    redis.dir = bench_make_dir("redis");
    redis.port = bench_free_port();
    snprintf(port, sizeof port, "%d", redis.port);
    snprintf(redis.socket, sizeof redis.socket, "/tmp/kivi-bench-%d.sock", redis.port);
    redis.pid = fork();
    BENCH_CHECK(redis.pid >= 0);
    if (redis.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket",
               redis.socket, "--save", "", "--dir", redis.dir, "--logfile", "/dev/null", (char *)NULL);
        perror("bench: redis-server");
        _exit(127);
    }
    atexit(stop_server);
}

redisContext *bench_redis_connect(const bench_redis *at, bool over_socket)
{
    redisContext *context = over_socket ? redisConnectUnix(at->socket)
                                        : redisConnect("127.0.0.1", at->port);
    if (!context || context->err)
        bench_fail("hiredis: %s", context ? context->errstr : "no memory");
    return context;
}

static void await_server(void)
{
    for (int i = 0; i < 500; i++) {
        redisContext *context = redisConnectUnix(redis.socket);
        bool there = context && !context->err;
        redisFree(context);
        if (there)
            return;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    bench_fail("redis-server did not start");
}

redisReply *bench_redis_reply(redisContext *context, int type)
{
    void *reply = NULL;
    if (redisGetReply(context, &reply) != REDIS_OK)
        bench_fail("hiredis: %s", context->errstr);
    BENCH_CHECK(((redisReply *)reply)->type == type);
    return reply;
}

bench_redis *bench_redis_server(void)
{
    if (redis.pid)
        return &redis;
    start_server();
    await_server();
    kivi_store *store = bench_redis_store(&redis, true);
    bench_remote_fill(store);
    kivi_store_unref(store);
    return &redis;
}

kivi_store *bench_redis_store(const bench_redis *at, bool over_socket)
{
    char url[400];
    kivi_store *store;
    kivi_error *error = NULL;
    if (over_socket)
        snprintf(url, sizeof url, "redis+unix://%s?codec=raw", at->socket);
    else
        snprintf(url, sizeof url, "redis://127.0.0.1:%d/0?codec=raw", at->port);
    bench_ok(kivi_store_open(url, NULL, NULL, &store, &error), &error);
    return store;
}
