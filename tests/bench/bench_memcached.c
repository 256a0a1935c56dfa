/* Rows: Memcached, beside libmemcached: one connection a thread; it has no pipelined set that tells results, and loops. */
#include "bench_remote.h"

#include <libmemcached/memcached.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One server for all rows of a run, filled; ended at exit. */
static struct {
    int port, pid;
} server;

/* ---- The server ---- */

static void stop_server(void)
{
    kill(server.pid, SIGTERM);
    waitpid(server.pid, NULL, 0);
}

/* It does not run as root. */
static void run_server(void)
{
    char port[8];
    snprintf(port, sizeof port, "%d", server.port);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execlp("memcached", "memcached", "-l", "127.0.0.1", "-p", port, "-m", "512", "-u",
           geteuid() ? getpwuid(geteuid())->pw_name : "nobody", (char *)NULL);
    perror("bench: memcached");
    _exit(127);
}

static void *connect_peer(void)
{
    memcached_st *peer = memcached_create(NULL);
    BENCH_CHECK(peer && memcached_server_add(peer, "127.0.0.1", (in_port_t)server.port) ==
                            MEMCACHED_SUCCESS);
    BENCH_CHECK(memcached_behavior_set(peer, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1) == MEMCACHED_SUCCESS);
    return peer;
}

static void await_server(void)
{
    for (int i = 0; i < 500; i++) {
        memcached_st *peer = connect_peer();
        bool there = memcached_version(peer) == MEMCACHED_SUCCESS;
        memcached_free(peer);
        if (there)
            return;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    bench_fail("memcached did not start");
}

static kivi_store *open_ours(void)
{
    char url[100];
    kivi_store *store;
    kivi_error *error = NULL;
    snprintf(url, sizeof url, "memcached://127.0.0.1:%d/?codec=raw", server.port);
    bench_ok(kivi_store_open(url, NULL, NULL, &store, &error), &error);
    return store;
}

static void fill_server(void)
{
    kivi_store *store = open_ours();
    bench_remote_fill(store);
    kivi_store_unref(store);
}

static void start_server(void)
{
    if (server.pid)
        return;
    server.port = bench_free_port();
    server.pid = fork();
    BENCH_CHECK(server.pid >= 0);
    if (server.pid == 0)
        run_server();
    atexit(stop_server);
    await_server();
    fill_server();
}

/* ---- Both sides ---- */

static void disconnect(void *peer)
{
    memcached_free(peer);
}

static void *set_up(const bench_row *row)
{
    start_server();
    return bench_remote_begin(row, open_ours(), connect_peer);
}

static void tear_down(void *user)
{
    bench_remote_end(user, disconnect);
}

static void peer_get(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    while (iterations--) {
        const remote_key *key = bench_peer_next(s, thread);
        uint64_t began = bench_begin_one(s);
        size_t size;
        uint32_t flags;
        memcached_return_t rc;
        char *value = memcached_get(s->peers[thread], key->text, sizeof key->text, &size, &flags, &rc);
        BENCH_CHECK(value && size == REMOTE_VALUE);
        bench_use(value);
        free(value);
        bench_end_one(s, BENCH_PEER, thread, began);
    }
}

static void peer_set(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    while (iterations--) {
        const remote_key *key = bench_peer_next(s, thread);
        uint64_t began = bench_begin_one(s);
        BENCH_CHECK(memcached_set(s->peers[thread], key->text, sizeof key->text, s->data->value,
                                  REMOTE_VALUE, 0, 0) == MEMCACHED_SUCCESS);
        bench_end_one(s, BENCH_PEER, thread, began);
    }
}

/* ---- Batches ---- */

static void peer_get_many(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    const char *keys[REMOTE_BATCH];
    size_t sizes[REMOTE_BATCH];
    while (iterations--) {
        for (unsigned i = 0; i < REMOTE_BATCH; i++) {
            keys[i] = bench_peer_next(s, thread)->text;
            sizes[i] = sizeof(remote_key);
        }
        BENCH_CHECK(memcached_mget(s->peers[thread], keys, sizes, REMOTE_BATCH) == MEMCACHED_SUCCESS);
        memcached_result_st result;
        memcached_return_t rc;
        unsigned count = 0;
        memcached_result_create(s->peers[thread], &result);
        while (memcached_fetch_result(s->peers[thread], &result, &rc)) {
            bench_use(memcached_result_value(&result));
            count++;
        }
        memcached_result_free(&result);
        BENCH_CHECK(count == REMOTE_BATCH);
    }
}

static void peer_set_many(void *user, unsigned thread, uint64_t iterations)
{
    peer_set(user, thread, iterations * REMOTE_BATCH);
}

/* ---- The rows ---- */

#define SIDES(verb) \
    .setup = set_up, .run_peer = peer_##verb, .run_ours = bench_our_##verb, .teardown = tear_down
#define THREADS(verb, of, many, least, ...)                                                           \
    {                                                                                                 \
        .name = "memcached-" #verb "-" #many, .title = "Memcached " #verb ", TCP, " #many " threads", \
        .peer = "libmemcached: " of ", a connection a thread", .goal = BENCH_OPS_AT_LEAST,            \
        .target = least, .threads = many, .peer_threads = many, .rounds = 9, .round_ms = 300,         \
        __VA_ARGS__, SIDES(verb)                                                                      \
    }

static const bench_row rows[] = {
    {.name = "memcached-get",
     .title = "Memcached get, TCP",
     .peer = "libmemcached: memcached_get",
     .target = 1.0,
     SIDES(get)},
    {.name = "memcached-set",
     .title = "Memcached set, TCP",
     .peer = "libmemcached: memcached_set",
     .target = 1.0,
     SIDES(set)},
    THREADS(get, "memcached_get", 64, 2.0, .cpu_target = 0.7, .latency = true),
    THREADS(set, "memcached_set", 64, 2.0, .cpu_target = 0.7, .latency = true),
    THREADS(get, "memcached_get", 16, 1.5, .cpu_target = 0.7),
    THREADS(set, "memcached_set", 16, 1.5, .cpu_target = 0.7),
    {.name = "memcached-get-many",
     .title = "Memcached get_many of 100, TCP",
     .peer = "libmemcached: memcached_mget",
     .target = 1.0,
     SIDES(get_many)},
    {.name = "memcached-set-many",
     .title = "Memcached set_many of 100, TCP",
     .peer = "libmemcached: memcached_set, 100 times",
     .target = 0.1,
     SIDES(set_many)},
};

const bench_group bench_memcached_group = BENCH_GROUP(rows);
