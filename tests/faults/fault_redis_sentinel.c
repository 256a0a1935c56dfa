/* Redis Sentinel in traffic: the primary is killed, or becomes a replica, and the calls of sixteen threads follow it. */
#include "common/traffic.h"
#include "servers/redis.h"

#include <string.h>

TestSuite(fault_redis_sentinel, .init = case_begin, .fini = case_end, .timeout = 300);

enum { SENTINELS = 3 };

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
    redis_await(&g->first, "WAIT 1 100", ":1");
    for (int i = 0; i < SENTINELS; i++) {
        redis_await(&g->sentinels[i], "SENTINEL REPLICAS main", "*1");
        redis_await(&g->sentinels[i], "SENTINEL CKQUORUM main", "+OK 3");
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

/* ---- Cases ---- */

static const traffic_options failover = {.timeout_ms = 2000, .keys = "slot:%zu"};

Test(fault_redis_sentinel, the_primary_is_killed)
{
    static group g;

    group_begin(&g);
    traffic *t = traffic_begin(g.store, &failover);
    server_kill(&g.first);
    redis_await(&g.second, "ROLE", "*3"); /* a primary */
    traffic_flows(t);
    traffic_end(t);
    traffic_compare(t, (running_server *[]){&g.first, &g.second}, 2);
    traffic_free(t);
    group_end(&g);
}

/* It lives on, and refuses writes: whoever is on it leaves it. */
Test(fault_redis_sentinel, the_primary_becomes_a_replica)
{
    static group g;

    group_begin(&g);
    traffic *t = traffic_begin(g.store, &failover);
    redis_await(&g.sentinels[0], "SENTINEL FAILOVER main", "+OK");
    redis_await(&g.second, "ROLE", "*3"); /* a primary */
    redis_await(&g.first, "ROLE", "*5");  /* a replica */
    traffic_flows(t);
    traffic_end(t);
    traffic_free(t);
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
