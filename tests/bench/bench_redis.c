/* The server that the rows on Redis run against, and its data. */
#include "bench_redis.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bench_redis redis;

/* ---- The server ---- */

static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    BENCH_CHECK(!bind(fd, (struct sockaddr *)&at, size));
    BENCH_CHECK(!getsockname(fd, (struct sockaddr *)&at, &size));
    close(fd);
    return ntohs(at.sin_port);
}

static void stop_server(void)
{
    kill(redis.pid, SIGTERM);
    waitpid(redis.pid, NULL, 0);
    unlink(redis.socket);
    bench_remove_dir(redis.dir);
    free(redis.keys);
}

static void start_server(void)
{
    char port[8];
    redis.dir = bench_make_dir("redis");
    redis.port = free_port();
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

/* ---- The data ---- */

static void make_keys(void)
{
    uint64_t random = 88172645463325252u;
    redis.keys = bench_alloc(REDIS_KEYS * sizeof *redis.keys);
    for (unsigned i = 0; i < REDIS_KEYS; i++) {
        char text[16];
        snprintf(text, sizeof text, "key:%08u", i);
        memcpy(redis.keys[i].text, text, sizeof redis.keys[i].text);
    }
    for (unsigned i = REDIS_KEYS - 1; i > 0; i--) {
        unsigned j = (unsigned)(bench_random(&random) % (i + 1));
        redis_key key = redis.keys[i];
        redis.keys[i] = redis.keys[j];
        redis.keys[j] = key;
    }
    for (unsigned i = 0; i < REDIS_VALUE; i++)
        redis.value[i] = (uint8_t)bench_random(&random);
}

redisReply *bench_redis_reply(redisContext *context, int type)
{
    void *reply = NULL;
    if (redisGetReply(context, &reply) != REDIS_OK)
        bench_fail("hiredis: %s", context->errstr);
    BENCH_CHECK(((redisReply *)reply)->type == type);
    return reply;
}

static void fill_server(void)
{
    redisContext *context = bench_redis_connect(&redis, true);
    for (unsigned i = 0; i < REDIS_KEYS; i++) {
        redisAppendCommand(context, "SET %b %b", redis.keys[i].text, sizeof redis.keys[i].text,
                           redis.value, (size_t)REDIS_VALUE);
        if (i % 1000 == 999)
            for (unsigned j = 0; j < 1000; j++)
                freeReplyObject(bench_redis_reply(context, REDIS_REPLY_STATUS));
    }
    redisFree(context);
}

bench_redis *bench_redis_server(void)
{
    if (redis.pid)
        return &redis;
    start_server();
    await_server();
    make_keys();
    fill_server();
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
    bench_redis_ok(kivi_store_open(url, NULL, NULL, &store, &error), &error);
    return store;
}
