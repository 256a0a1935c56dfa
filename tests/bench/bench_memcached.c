/* Rows: Memcached, beside libmemcached: one connection a thread; it has no pipelined set that tells results, and loops. */
#include "bench.h"

#include <arpa/inet.h>
#include <kivi/kivi.h>
#include <libmemcached/memcached.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEYS 100000u
#define VALUE 100u
#define THREADS_MOST 64u
#define BATCH 100u

typedef struct mc_key {
    char text[12]; /* "key:00012345" */
} mc_key;

/* One server and data set for all rows of a run; ended at exit. */
static struct {
    int port, pid;
    mc_key *keys; /* shuffled */
    char value[VALUE];
} server;

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
    kill(server.pid, SIGTERM);
    waitpid(server.pid, NULL, 0);
    free(server.keys);
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

static memcached_st *connect_peer(void)
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

static void make_keys(void)
{
    uint64_t random = 88172645463325252u;
    server.keys = bench_alloc(KEYS * sizeof *server.keys);
    for (unsigned i = 0; i < KEYS; i++) {
        char text[16];
        unsigned j = (unsigned)(bench_random(&random) % (i + 1));
        snprintf(text, sizeof text, "key:%08u", i);
        server.keys[i] = server.keys[j];
        memcpy(server.keys[j].text, text, sizeof server.keys[j].text);
    }
    for (unsigned i = 0; i < VALUE; i++)
        server.value[i] = (char)bench_random(&random);
}

static inline void ok(kivi_status status, kivi_error *const *error)
{
    if (__builtin_expect(status != KIVI_OK, 0))
        bench_fail("%s: %s", kivi_status_name(status),
                   *error ? kivi_error_message(*error) : "no error was given");
}

static inline kivi_slice slice_of(const mc_key *key)
{
    return kivi_bytes(key->text, sizeof key->text);
}

static kivi_store *open_ours(void)
{
    char url[100];
    kivi_store *store;
    kivi_error *error = NULL;
    snprintf(url, sizeof url, "memcached://127.0.0.1:%d/?codec=raw", server.port);
    ok(kivi_store_open(url, NULL, NULL, &store, &error), &error);
    return store;
}

static void fill_server(void)
{
    kivi_store *store = open_ours();
    kivi_error *error = NULL;
    for (unsigned i = 0; i < KEYS; i += BATCH) {
        kivi_slice keys[BATCH], values[BATCH];
        for (unsigned j = 0; j < BATCH; j++) {
            keys[j] = slice_of(&server.keys[i + j]);
            values[j] = kivi_bytes(server.value, VALUE);
        }
        ok(kivi_store_set_many(store, NULL, keys, values, BATCH, KIVI_TTL_NONE, NULL, &error), &error);
    }
    kivi_store_unref(store);
}

static void start_server(void)
{
    if (server.pid)
        return;
    server.port = free_port();
    server.pid = fork();
    BENCH_CHECK(server.pid >= 0);
    if (server.pid == 0)
        run_server();
    atexit(stop_server);
    await_server();
    make_keys();
    fill_server();
}

/* ---- Both sides ---- */

typedef struct state {
    bool timed; /* each get and set */
    kivi_store *store;
    memcached_st *peers[THREADS_MOST];
    struct {
        uint32_t next;
        char padding[60];
    } peer_places[THREADS_MOST], our_places[THREADS_MOST];
} state;

static void *set_up(const bench_row *row)
{
    state *s = bench_alloc(sizeof *s);
    unsigned threads = row->peer_threads ? row->peer_threads : 1;
    start_server();
    s->timed = row->latency;
    s->store = open_ours();
    for (unsigned i = 0; i < threads; i++)
        s->peers[i] = connect_peer();
    for (unsigned i = 0; i < THREADS_MOST; i++)
        s->peer_places[i].next = s->our_places[i].next = i * (KEYS / THREADS_MOST);
    return s;
}

static void tear_down(void *user)
{
    state *s = user;
    for (unsigned i = 0; i < THREADS_MOST; i++)
        if (s->peers[i])
            memcached_free(s->peers[i]);
    kivi_store_unref(s->store);
    free(s);
}

static inline const mc_key *next_key(uint32_t *place)
{
    uint32_t at = *place;
    *place = at + 1 == KEYS ? 0 : at + 1;
    return &server.keys[at];
}

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
    while (iterations--) {
        const mc_key *key = next_key(&s->peer_places[thread].next);
        uint64_t began = begin_one(s);
        size_t size;
        uint32_t flags;
        memcached_return_t rc;
        char *value = memcached_get(s->peers[thread], key->text, sizeof key->text, &size, &flags, &rc);
        BENCH_CHECK(value && size == VALUE);
        bench_use(value);
        free(value);
        end_one(s, BENCH_PEER, thread, began);
    }
}

static void our_get(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_error *error;
    while (iterations--) {
        const mc_key *key = next_key(&s->our_places[thread].next);
        uint64_t began = begin_one(s);
        ok(kivi_store_get(s->store, NULL, slice_of(key), &value, &error), &error);
        BENCH_CHECK(value.size == VALUE);
        bench_use(value.data);
        end_one(s, BENCH_OURS, thread, began);
    }
    kivi_buffer_free(&value);
}

static void peer_set(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    while (iterations--) {
        const mc_key *key = next_key(&s->peer_places[thread].next);
        uint64_t began = begin_one(s);
        BENCH_CHECK(memcached_set(s->peers[thread], key->text, sizeof key->text, server.value,
                                  VALUE, 0, 0) == MEMCACHED_SUCCESS);
        end_one(s, BENCH_PEER, thread, began);
    }
}

static void our_set(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    kivi_error *error;
    while (iterations--) {
        const mc_key *key = next_key(&s->our_places[thread].next);
        uint64_t began = begin_one(s);
        ok(kivi_store_set(s->store, NULL, slice_of(key), kivi_bytes(server.value, VALUE),
                          KIVI_TTL_NONE, &error),
           &error);
        end_one(s, BENCH_OURS, thread, began);
    }
}

/* ---- Batches ---- */

static void peer_get_many(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    const char *keys[BATCH];
    size_t sizes[BATCH];
    while (iterations--) {
        for (unsigned i = 0; i < BATCH; i++) {
            keys[i] = next_key(&s->peer_places[thread].next)->text;
            sizes[i] = sizeof(mc_key);
        }
        BENCH_CHECK(memcached_mget(s->peers[thread], keys, sizes, BATCH) == MEMCACHED_SUCCESS);
        memcached_result_st result;
        memcached_return_t rc;
        unsigned count = 0;
        memcached_result_create(s->peers[thread], &result);
        while (memcached_fetch_result(s->peers[thread], &result, &rc)) {
            bench_use(memcached_result_value(&result));
            count++;
        }
        memcached_result_free(&result);
        BENCH_CHECK(count == BATCH);
    }
}

static void our_get_many(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    kivi_slice keys[BATCH];
    kivi_error *error;
    while (iterations--) {
        kivi_result *result;
        for (unsigned i = 0; i < BATCH; i++)
            keys[i] = slice_of(next_key(&s->our_places[thread].next));
        ok(kivi_store_get_many(s->store, NULL, keys, BATCH, &result, &error), &error);
        BENCH_CHECK(kivi_result_value(result, BATCH - 1).size == VALUE);
        kivi_result_free(result);
    }
}

static void peer_set_many(void *user, unsigned thread, uint64_t iterations)
{
    peer_set(user, thread, iterations * BATCH);
}

static void our_set_many(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    kivi_slice keys[BATCH], values[BATCH];
    kivi_error *error;
    for (unsigned i = 0; i < BATCH; i++)
        values[i] = kivi_bytes(server.value, VALUE);
    while (iterations--) {
        for (unsigned i = 0; i < BATCH; i++)
            keys[i] = slice_of(next_key(&s->our_places[thread].next));
        ok(kivi_store_set_many(s->store, NULL, keys, values, BATCH, KIVI_TTL_NONE, NULL, &error), &error);
    }
}

/* ---- The rows ---- */

#define SIDES(verb) \
    .setup = set_up, .run_peer = peer_##verb, .run_ours = our_##verb, .teardown = tear_down
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
