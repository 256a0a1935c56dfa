/* Redis Sentinel in traffic: the primary is killed, or becomes a replica, and the calls of sixteen threads follow it. */
#include "common/stage.h"
#include "servers/redis.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(fault_redis_sentinel, .init = case_begin, .fini = case_end, .timeout = 300);

enum { SENTINELS = 3, THREADS = 16, TIMEOUT_MS = 2000, MORE = 20, PATIENCE_S = 150 };

/* ---- Sentinels ---- */

static int monitored; /* the port of the first primary */

static void prepare_sentinel(running_server *s)
{
    char path[400];
    FILE *file;

    snprintf(path, sizeof(path), "%s/conf", s->directory);
    CHECK((file = fopen(path, "w")) != NULL);
    /* A busy machine holds a server up for less than that. */
    fprintf(file,
            "port %d\nbind 127.0.0.1\ndir %s\nlogfile log\nsentinel monitor main 127.0.0.1 %d 2\n"
            "sentinel down-after-milliseconds main 3000\nsentinel failover-timeout main 10000\n",
            s->port, s->directory, monitored);
    CHECK(fclose(file) == 0);
}

static void sentinel_command(running_server *s)
{
    server_argument(s, "redis-server");
    server_argument(s, "%s/conf", s->directory);
    server_argument(s, "--sentinel");
}

/* ---- The group: a primary, a replica, and those who watch them ---- */

typedef struct group {
    running_server first, second, sentinels[SENTINELS];
    kivi_store *store;
} group;

/* Whose clients are ended in this moment gives no answer: that is another one. */
static bool says(const running_server *server, const char *command, const char *wanted)
{
    char line[64], answer[64] = "";
    int fd = connect_to_port(server->port);
    int size = snprintf(line, sizeof(line), "%s\r\n", command);
    size_t length = strlen(wanted);

    if (fd < 0)
        return false;
    bool is = send(fd, line, (size_t)size, MSG_NOSIGNAL) == size &&
              recv(fd, answer, length, MSG_WAITALL) == (ssize_t)length &&
              !memcmp(answer, wanted, length);
    close(fd);
    return is;
}

static void await(const running_server *server, const char *command, const char *wanted)
{
    uint64_t end = now_ns() + PATIENCE_S * UINT64_C(1000000000);

    while (!says(server, command, wanted)) {
        CHECK_SAYING(now_ns() < end, "%s never answers %s", command, wanted);
        pause_ms(20);
    }
}

static void group_begin(group *g)
{
    static char of[64];
    const char *const options[] = {"--replicaof", of, "--repl-diskless-sync-delay", "0", NULL};
    fault_server sentinel = redis;

    server_start(&g->first, &redis, "first", NULL, NULL);
    snprintf(of, sizeof(of), "127.0.0.1 %d", g->first.port);
    server_start(&g->second, &redis, "second", NULL, options);
    monitored = g->first.port;
    sentinel.prepare = prepare_sentinel;
    sentinel.command = sentinel_command;
    for (int i = 0; i < SENTINELS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "sentinel%d", i);
        server_start(&g->sentinels[i], &sentinel, name, NULL, NULL);
        g->sentinels[i].kind = &redis;
    }
    await(&g->first, "WAIT 1 100", ":1");
    for (int i = 0; i < SENTINELS; i++) {
        await(&g->sentinels[i], "SENTINEL REPLICAS main", "*1");
        await(&g->sentinels[i], "SENTINEL CKQUORUM main", "+OK 3");
    }
    g->store = open_store(
        "redis+sentinel://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d/main?codec=raw&server_timeout=1s",
        g->sentinels[0].port, g->sentinels[1].port, g->sentinels[2].port);
}

static void group_end(group *g)
{
    kivi_store_unref(g->store);
    for (int i = 0; i < SENTINELS; i++)
        server_stop(&g->sentinels[i]);
    server_stop(&g->second);
    server_stop(&g->first);
}

/* ---- Traffic: each thread writes to a key of its own, and keeps what became of it ---- */

enum { MOST = 200000 };

typedef struct writer {
    uint8_t fates[MOST]; /* by number; a load_fate */
    unsigned long number, acknowledged;
    atomic_ulong phase, good; /* acknowledged, of those begun since the phase began */
} writer;

typedef struct traffic {
    kivi_store *store;
    writer writers[THREADS];
    atomic_ulong phase;
    atomic_bool stop;
    pthread_t thread;
} traffic;

static void judge_call(kivi_status status, bool is_read)
{
    CHECK_SAYING(status == KIVI_OK || status == KIVI_UNAVAILABLE || status == KIVI_TIMEOUT ||
                     (is_read ? status == KIVI_NOT_FOUND : status == KIVI_UNCERTAIN),
                 "a %s is %s", is_read ? "read" : "write", kivi_status_name(status));
}

static void write_once(traffic *t, size_t index)
{
    writer *w = &t->writers[index];
    unsigned long phase = atomic_load(&t->phase), number = ++w->number;
    kivi_call call = within_ms(TIMEOUT_MS);
    text key, value;
    uint64_t began = now_ns();
    kivi_status status;

    CHECK(number < MOST);
    print(&key, "slot:%zu", index);
    print(&value, "<%lu:%zu>", number, index);
    status = kivi_store_set(t->store, &call, kivi_str(key.bytes), kivi_str(value.bytes),
                            KIVI_TTL_NONE, NULL);
    tell_excess("a write", began, TIMEOUT_MS);
    judge_call(status, false);
    w->fates[number] = status == KIVI_OK          ? FATE_ACKNOWLEDGED
                       : status == KIVI_UNCERTAIN ? FATE_UNCERTAIN
                                                  : FATE_REFUSED;
    if (status != KIVI_OK)
        return;
    w->acknowledged = number;
    if (phase != atomic_load(&w->phase)) {
        atomic_store(&w->good, 0);
        atomic_store(&w->phase, phase);
    }
    atomic_fetch_add(&w->good, 1);
}

static void read_once(traffic *t, size_t index)
{
    kivi_call call = within_ms(TIMEOUT_MS);
    kivi_buffer value = KIVI_BUFFER_INIT;
    text key;
    uint64_t began = now_ns();

    print(&key, "slot:%zu", index);
    judge_call(kivi_store_get(t->store, &call, kivi_str(key.bytes), &value, NULL), true);
    tell_excess("a read", began, TIMEOUT_MS);
    kivi_buffer_free(&value);
}

static void write_on(worker *w)
{
    traffic *t = w->shared;

    while (!atomic_load(&t->stop)) {
        write_once(t, w->index);
        if (t->writers[w->index].number % 4 == 0)
            read_once(t, w->index);
        pause_ms(1);
    }
}

static void *run_traffic(void *user)
{
    together(THREADS, write_on, user);
    return NULL;
}

/* Every thread has been told of so many writes that began after this call did. */
static void traffic_flows(traffic *t)
{
    unsigned long phase = atomic_fetch_add(&t->phase, 1) + 1;
    uint64_t end = now_ns() + PATIENCE_S * UINT64_C(1000000000);

    for (size_t i = 0; i < THREADS; i++)
        while (atomic_load(&t->writers[i].phase) != phase || atomic_load(&t->writers[i].good) < MORE) {
            CHECK_SAYING(now_ns() < end, "thread %zu does not get through", i);
            pause_ms(5);
        }
}

static traffic *traffic_begin(kivi_store *store)
{
    traffic *t = calloc(1, sizeof(*t));

    CHECK(t != NULL);
    t->store = store;
    CHECK(pthread_create(&t->thread, NULL, run_traffic, t) == 0);
    traffic_flows(t);
    return t;
}

/* Each key holds what was acknowledged last, or a write of unknown fate. */
static void traffic_end(traffic *t)
{
    atomic_store(&t->stop, true);
    pthread_join(t->thread, NULL);
    for (size_t i = 0; i < THREADS; i++) {
        const writer *w = &t->writers[i];
        kivi_buffer value = KIVI_BUFFER_INIT;
        text key;
        unsigned long number = 0;
        print(&key, "slot:%zu", i);
        OK(kivi_store_get(t->store, NULL, kivi_str(key.bytes), &value, E));
        CHECK(value.size > 2 && (number = strtoul((const char *)value.data + 1, NULL, 10)) <= w->number);
        CHECK_SAYING(number == w->acknowledged || w->fates[number] == FATE_UNCERTAIN,
                     "slot %zu holds %lu, acknowledged was %lu", i, number, w->acknowledged);
        kivi_buffer_free(&value);
    }
}

/* ---- Cases ---- */

/*
 * By what both have on disk: what was acknowledged was done by the one or the other (a replica that takes over may lack
 * what the primary was told last: that is Redis' promise), what is uncertain by each at most once, what was refused by none.
 */
static void expect_ledger(group *g, traffic *t)
{
    static tally by[2];

    for (int i = 0; i < 2; i++) {
        tally_begin(&by[i]);
        redis.applied(i ? &g->second : &g->first, &by[i]);
    }
    for (unsigned slot = 0; slot < THREADS; slot++)
        for (unsigned long n = 1; n <= t->writers[slot].number; n++) {
            unsigned first = tally_count(&by[0], slot, n), second = tally_count(&by[1], slot, n);
            load_fate fate = t->writers[slot].fates[n];
            CHECK_SAYING(first <= 1 && second <= 1, "<%lu:%u> was done %u and %u times", n, slot,
                         first, second);
            CHECK_SAYING(fate != FATE_ACKNOWLEDGED || first + second > 0, "<%lu:%u> is lost", n, slot);
            CHECK_SAYING(fate != FATE_REFUSED || first + second == 0, "<%lu:%u> was done", n, slot);
        }
    tally_end(&by[0]);
    tally_end(&by[1]);
}

Test(fault_redis_sentinel, the_primary_is_killed)
{
    static group g;

    group_begin(&g);
    traffic *t = traffic_begin(g.store);
    server_kill(&g.first);
    await(&g.second, "ROLE", "*3"); /* a primary */
    traffic_flows(t);
    traffic_end(t);
    expect_ledger(&g, t);
    free(t);
    group_end(&g);
}

/* It lives on, and refuses writes: whoever is on it leaves it. */
Test(fault_redis_sentinel, the_primary_becomes_a_replica)
{
    static group g;

    group_begin(&g);
    traffic *t = traffic_begin(g.store);
    await(&g.sentinels[0], "SENTINEL FAILOVER main", "+OK");
    await(&g.second, "ROLE", "*3"); /* a primary */
    await(&g.first, "ROLE", "*5");  /* a replica */
    traffic_flows(t);
    traffic_end(t);
    free(t);
    group_end(&g);
}

/* One sentinel is dead, one stands still: the third knows. */
Test(fault_redis_sentinel, one_sentinel_of_three)
{
    static group g;

    group_begin(&g);
    server_kill(&g.sentinels[0]);
    server_freeze(&g.sentinels[1]);
    put(g.store, "k", "v");
    expect_holds(g.store, "k", "v");
    server_kill(&g.sentinels[2]);
    kivi_store *other = open_store("redis+sentinel://127.0.0.1:%d,127.0.0.1:%d/main?codec=raw",
                                   g.sentinels[0].port, g.sentinels[2].port);
    REFUSED(KIVI_UNAVAILABLE, "sentinels refuse connections",
            kivi_store_set(other, NULL, kivi_str("k"), kivi_str("w"), KIVI_TTL_NONE, E));
    expect_holds(g.store, "k", "v"); /* the connection is there, and nobody needs be asked */
    kivi_store_unref(other);
    group_end(&g);
}

Test(fault_redis_sentinel, an_unknown_service)
{
    static group g;

    group_begin(&g);
    kivi_store *other = open_store("redis+sentinel://127.0.0.1:%d,127.0.0.1:%d/mian?codec=raw",
                                   g.sentinels[0].port, g.sentinels[1].port);
    REFUSED(KIVI_INVALID, "no service \"mian\"",
            kivi_store_set(other, NULL, kivi_str("k"), kivi_str("w"), KIVI_TTL_NONE, E));
    kivi_store_unref(other);
    kivi_store *not_one = open_store("redis+sentinel://127.0.0.1:%d/main?codec=raw", g.first.port);
    REFUSED(KIVI_INVALID, "no Redis Sentinel",
            kivi_store_set(not_one, NULL, kivi_str("k"), kivi_str("w"), KIVI_TTL_NONE, E));
    kivi_store_unref(not_one);
    group_end(&g);
}
