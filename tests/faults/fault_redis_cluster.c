/* Redis Cluster in traffic: primaries die and stand still, slots move, nodes join and leave, and the calls of sixteen threads
 * follow. */
#include "common/traffic.h"
#include "servers/redis.h"

#include <stdarg.h>
#include <string.h>

TestSuite(fault_redis_cluster, .init = case_begin, .fini = case_end, .timeout = 300);

enum { NODES_MOST = 4, SLOTS = 16384, STILL = 8 };

/* ---- A cluster: primaries that share the slots evenly, then replicas of the first one ---- */

typedef struct cluster {
    running_server nodes[NODES_MOST];
    char ids[NODES_MOST][41];
    text bus[NODES_MOST], timeout;
    size_t count, primaries;
} cluster;

static void tell_node(cluster *c, size_t node, const char *format, ...) KIVI_PRINTF(3, 4);
static void tell_node(cluster *c, size_t node, const char *format, ...)
{
    char command[400];
    va_list list;

    va_start(list, format);
    vsnprintf(command, sizeof(command), format, list);
    va_end(list);
    redis_tell(&c->nodes[node], command);
}

static void await_node(cluster *c, size_t node, const char *command, const char *part)
{
    redis_await_text(&c->nodes[node], command, part, true);
}

static void start_node(cluster *c)
{
    size_t node = c->count++;
    text name;
    const char *const options[] = {"--cluster-enabled",
                                   "yes",
                                   "--cluster-port",
                                   c->bus[node].bytes,
                                   "--cluster-node-timeout",
                                   c->timeout.bytes,
                                   "--cluster-require-full-coverage",
                                   "no",
                                   "--cluster-allow-replica-migration",
                                   "no",
                                   "--repl-diskless-sync-delay",
                                   "0",
                                   NULL};

    print(&name, "node%zu", node);
    print(&c->bus[node], "%d", server_free_port());
    server_start(&c->nodes[node], &redis, name.bytes, NULL, options);
    redis_text(&c->nodes[node], "CLUSTER MYID", c->ids[node], sizeof(c->ids[node]));
}

/* Everybody knows the last one, and the last one everybody. */
static void introduce_last(cluster *c)
{
    size_t last = c->count - 1;

    for (size_t i = 0; i < last; i++)
        tell_node(c, last, "CLUSTER MEET 127.0.0.1 %d %s", c->nodes[i].port, c->bus[i].bytes);
    for (size_t i = 0; i < last; i++) {
        await_node(c, last, "CLUSTER NODES", c->ids[i]);
        await_node(c, i, "CLUSTER NODES", c->ids[last]);
    }
}

static void give_slots(cluster *c, size_t node)
{
    tell_node(c, node, "CLUSTER ADDSLOTSRANGE %zu %zu", node * SLOTS / c->primaries,
              (node + 1) * SLOTS / c->primaries - 1);
    tell_node(c, node, "CLUSTER SET-CONFIG-EPOCH %zu", node + 1);
}

static void make_replica(cluster *c, size_t node)
{
    char line[64];

    tell_node(c, node, "CLUSTER REPLICATE %s", c->ids[0]);
    redis_await(&c->nodes[0], "WAIT 1 100", ":1");
    snprintf(line, sizeof(line), "slave %s", c->ids[0]);
    for (size_t i = 0; i < c->count; i++)
        await_node(c, i, "CLUSTER NODES", line);
}

static void cluster_begin(cluster *c, size_t primaries, size_t replicas, int timeout_ms)
{
    memset(c, 0, sizeof(*c));
    c->primaries = primaries;
    print(&c->timeout, "%d", timeout_ms);
    for (size_t i = 0; i < primaries + replicas; i++) {
        start_node(c);
        if (i < primaries)
            give_slots(c, i);
        introduce_last(c);
    }
    for (size_t i = 0; i < c->count; i++)
        await_node(c, i, "CLUSTER INFO", "cluster_state:ok");
    for (size_t i = primaries; i < c->count; i++)
        make_replica(c, i);
}

static void cluster_end(cluster *c)
{
    while (c->count)
        server_stop(&c->nodes[--c->count]);
}

/* By the last of its primaries alone, which knows the others. */
static kivi_store *cluster_open(const cluster *c, const char *options)
{
    return open_store("redis+cluster://127.0.0.1:%d/?codec=raw%s", c->nodes[c->primaries - 1].port,
                      options);
}

/* ---- Slots ---- */

static const char keys[] = "slot:%zu";

static size_t slot_of(cluster *c, size_t thread)
{
    char command[64], answer[64];

    snprintf(command, sizeof(command), "CLUSTER KEYSLOT slot:%zu", thread);
    redis_says(&c->nodes[c->primaries - 1], command, answer, sizeof(answer)); /* which no case kills */
    return strtoul(answer + 1, NULL, 10);
}

static size_t node_of(cluster *c, size_t thread)
{
    size_t slot = slot_of(c, thread), node = 0;

    while (slot >= (node + 1) * SLOTS / c->primaries)
        node++;
    return node;
}

static size_t thread_on(cluster *c, size_t node, bool is)
{
    size_t thread = 0;

    while ((node_of(c, thread) == node) != is)
        CHECK(++thread < TRAFFIC_THREADS);
    return thread;
}

static void begin_move(cluster *c, size_t slot, size_t from, size_t to)
{
    tell_node(c, to, "CLUSTER SETSLOT %zu IMPORTING %s", slot, c->ids[from]);
    tell_node(c, from, "CLUSTER SETSLOT %zu MIGRATING %s", slot, c->ids[to]);
}

static void move_key(cluster *c, const char *key, size_t from, size_t to)
{
    tell_node(c, from, "MIGRATE 127.0.0.1 %d %s 0 20000", c->nodes[to].port, key);
}

/* The new owner first: it has the newer epoch. */
static void end_move(cluster *c, size_t slot, size_t from, size_t to)
{
    tell_node(c, to, "CLUSTER SETSLOT %zu NODE %s", slot, c->ids[to]);
    tell_node(c, from, "CLUSTER SETSLOT %zu NODE %s", slot, c->ids[to]);
    for (size_t i = 0; i < c->count; i++)
        if (i != to && i != from)
            tell_node(c, i, "CLUSTER SETSLOT %zu NODE %s", slot, c->ids[to]);
}

/* A thread's slot, while it writes; its `still` keys go one by one behind its own. */
static void move_slot(cluster *c, traffic *t, size_t thread, size_t still, size_t from, size_t to)
{
    size_t slot = slot_of(c, thread);
    text key;

    begin_move(c, slot, from, to);
    print(&key, keys, thread);
    move_key(c, key.bytes, from, to);
    traffic_flows_for(t, thread); /* by ASK */
    for (size_t i = 0; i < still; i++) {
        print(&key, "{slot:%zu}:%zu", thread, i);
        move_key(c, key.bytes, from, to);
    }
    end_move(c, slot, from, to);
}

static bool has_said(cluster *c, const char *code)
{
    char stats[4096], name[64];
    bool has = false;

    snprintf(name, sizeof(name), "errorstat_%s:", code);
    for (size_t i = 0; i < c->count; i++) {
        if (c->nodes[i].pid <= 0)
            continue;
        redis_text(&c->nodes[i], "INFO errorstats", stats, sizeof(stats));
        has = has || strstr(stats, name);
    }
    return has;
}

/* ---- What else is done beside the traffic: sums, pairs, scans. None of it may fail ---- */

enum { PATIENT_MS = 60000, STILL_ALL = STILL * TRAFFIC_THREADS };

typedef struct beside {
    kivi_store *store;
    atomic_bool stop;
    atomic_ulong sums, pairs, scans;
    pthread_t thread;
} beside;

static void add_once(beside *b)
{
    kivi_call call = within_ms(PATIENT_MS);
    int64_t sum;

    OK(kivi_store_increment(b->store, &call, kivi_str("{slot:0}:sum"), 1, KIVI_TTL_NONE, &sum, E));
    CHECK_NUMBER(sum, atomic_fetch_add(&b->sums, 1) + 1);
}

/* Both or none, though they go to another node one by one. */
static void pair_once(beside *b)
{
    kivi_call call = within_ms(PATIENT_MS);
    kivi_op ops[2] = {KIVI_OP_INIT, KIVI_OP_INIT};
    text value;

    for (int i = 0; i < 2; i++) {
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = kivi_str(i ? "{slot:0}:b" : "{slot:0}:a");
        ops[i].value = print(&value, "%lu", atomic_load(&b->pairs) + 1);
        ops[i].ttl_ms = KIVI_TTL_NONE;
    }
    OK(kivi_store_apply(b->store, &call, ops, 2, KIVI_APPLY_ATOMIC, NULL, E));
    atomic_fetch_add(&b->pairs, 1);
}

/* Every key that stands still is seen, wherever it lies. */
static void scan_once(beside *b)
{
    kivi_call call = within_ms(PATIENT_MS);
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    bool seen[STILL_ALL] = {false};
    unsigned thread, number, count = 0;
    kivi_status status;
    text key;

    OK(kivi_store_scan(b->store, NULL, &scan, E));
    while ((status = kivi_scan_next(scan, &call, &pair, E)) == KIVI_OK) {
        print(&key, "%.*s", (int)pair.key.size, (const char *)pair.key.data);
        if (sscanf(key.bytes, "{slot:%u}:%u", &thread, &number) != 2)
            continue;
        CHECK(thread < TRAFFIC_THREADS && number < STILL);
        count += !seen[thread * STILL + number];
        seen[thread * STILL + number] = true;
    }
    ANSWERS(KIVI_END, status);
    CHECK_NUMBER(count, STILL_ALL);
    kivi_scan_free(scan);
    atomic_fetch_add(&b->scans, 1);
}

static void work_beside(worker *w)
{
    static void (*const works[])(beside * b) = {add_once, pair_once, scan_once};
    beside *b = w->shared;

    while (!atomic_load(&b->stop)) {
        works[w->index](b);
        pause_ms(1);
    }
}

static void *run_beside(void *user)
{
    together(3, work_beside, user);
    return NULL;
}

static void beside_begin(beside *b, kivi_store *store)
{
    text key;

    memset(b, 0, sizeof(*b));
    b->store = store;
    for (size_t thread = 0; thread < TRAFFIC_THREADS; thread++)
        for (size_t i = 0; i < STILL; i++) {
            print(&key, "{slot:%zu}:%zu", thread, i);
            put(store, key.bytes, "still");
        }
    put(store, "{slot:0}:sum", "0");
    put(store, "{slot:0}:a", "0");
    put(store, "{slot:0}:b", "0");
    CHECK(pthread_create(&b->thread, NULL, run_beside, b) == 0);
}

/* Some of each were done that began after this call did. */
static void beside_flows(beside *b)
{
    atomic_ulong *const counts[] = {&b->sums, &b->pairs, &b->scans};

    for (size_t i = 0; i < 3; i++)
        for (unsigned long from = atomic_load(counts[i]); atomic_load(counts[i]) < from + 2;)
            pause_ms(5); /* what fails ends the case */
}

static void beside_end(beside *b)
{
    atomic_store(&b->stop, true);
    pthread_join(b->thread, NULL);
    CHECK_NUMBER(number_at(b->store, "{slot:0}:sum", -1), b->sums);
    CHECK_NUMBER(number_at(b->store, "{slot:0}:a", -1), b->pairs);
    CHECK_NUMBER(number_at(b->store, "{slot:0}:b", -1), b->pairs);
}

/* The pair is torn until a batch was told so. */
static void move_slot_0(cluster *c, traffic *t, beside *b, size_t from, size_t to)
{
    size_t slot = slot_of(c, 0);
    text key;

    begin_move(c, slot, from, to);
    move_key(c, "{slot:0}:a", from, to);
    redis_await_text(&c->nodes[from], "INFO errorstats", "errorstat_TRYAGAIN", true);
    move_key(c, "{slot:0}:b", from, to);
    beside_flows(b);
    move_key(c, "{slot:0}:sum", from, to);
    move_key(c, "slot:0", from, to);
    for (size_t i = 0; i < STILL; i++) {
        print(&key, "{slot:0}:%zu", i);
        move_key(c, key.bytes, from, to);
    }
    traffic_flows_for(t, 0);
    end_move(c, slot, from, to);
}

/* ---- Cases ---- */

/* A busy machine holds a server up for longer than half a second. */
#define UNHURRIED "&server_timeout=20s"
static const traffic_options failing = {.timeout_ms = 2000, .keys = keys};
static const traffic_options unfailing = {.timeout_ms = PATIENT_MS, .keys = keys, .without_failure = true};

Test(fault_redis_cluster, a_primary_is_killed)
{
    static cluster c;

    cluster_begin(&c, 3, 1, 3000);
    kivi_store *store = cluster_open(&c, "");
    traffic *t = traffic_begin(store, &failing);
    server_kill(&c.nodes[0]);
    traffic_fails_for(t, thread_on(&c, 0, true), 1);
    traffic_flows_for(t, thread_on(&c, 0, false));
    redis_await(&c.nodes[3], "ROLE", "*3"); /* a primary */
    traffic_flows(t);
    traffic_end(t);
    kivi_store_unref(store);
    traffic_compare(t, (running_server *[]){&c.nodes[0], &c.nodes[1], &c.nodes[2], &c.nodes[3]}, 4);
    traffic_free(t);
    cluster_end(&c);
}

/* It does not know that it is none any more when it goes on. */
Test(fault_redis_cluster, a_primary_stands_still)
{
    static cluster c;

    cluster_begin(&c, 3, 1, 3000);
    kivi_store *store = cluster_open(&c, "");
    traffic *t = traffic_begin(store, &failing);
    server_freeze(&c.nodes[0]);
    redis_await(&c.nodes[3], "ROLE", "*3"); /* a primary */
    traffic_flows(t);
    server_thaw(&c.nodes[0]);
    redis_await(&c.nodes[0], "ROLE", "*5"); /* a replica */
    traffic_flows(t);
    traffic_end(t);
    traffic_free(t);
    kivi_store_unref(store);
    cluster_end(&c);
}

/* Nobody takes its slots over. The others go on, unless they are told that a cluster with a hole is down. */
static void leave_a_hole(bool is_down)
{
    static cluster c;

    cluster_begin(&c, 3, 0, 1000);
    for (size_t i = 0; i < 3; i++)
        tell_node(&c, i, "CONFIG SET cluster-require-full-coverage %s", is_down ? "yes" : "no");
    kivi_store *store = cluster_open(&c, "");
    traffic *t = traffic_begin(store, &failing);
    size_t there = thread_on(&c, 1, false);
    server_kill(&c.nodes[1]);
    traffic_fails_for(t, thread_on(&c, 1, true), 5);
    await_node(&c, 0, "CLUSTER NODES", "master,fail ");
    if (!is_down)
        traffic_flows_for(t, there);
    else
        do /* a slow node may be the reason for a failure, too */
            traffic_fails_for(t, there, 1);
        while (!has_said(&c, "CLUSTERDOWN"));
    server_start_again(&c.nodes[1]);
    traffic_flows(t);
    traffic_end(t);
    kivi_store_unref(store);
    traffic_compare(t, (running_server *[]){&c.nodes[0], &c.nodes[1], &c.nodes[2]}, 3);
    traffic_free(t);
    cluster_end(&c);
}

Test(fault_redis_cluster, a_part_is_away)
{
    leave_a_hole(false);
}

Test(fault_redis_cluster, a_cluster_with_a_hole_is_down)
{
    leave_a_hole(true);
}

/* All are told, and nothing fails: MOVED, ASK and TRYAGAIN are followed within the call. */
Test(fault_redis_cluster, slots_move)
{
    static cluster c;
    static beside b;

    cluster_begin(&c, 3, 0, 15000);
    kivi_store *store = cluster_open(&c, UNHURRIED);
    beside_begin(&b, store);
    traffic *t = traffic_begin(store, &unfailing);
    for (size_t thread = 0; thread < TRAFFIC_THREADS; thread++) {
        size_t from = node_of(&c, thread), to = (from + 1) % 3;
        if (thread == 0)
            move_slot_0(&c, t, &b, from, to);
        else
            move_slot(&c, t, thread, STILL, from, to);
    }
    traffic_flows(t);
    beside_flows(&b);
    CHECK(has_said(&c, "MOVED") && has_said(&c, "ASK"));
    beside_end(&b);
    traffic_end(t);
    kivi_store_unref(store);
    traffic_compare(t, (running_server *[]){&c.nodes[0], &c.nodes[1], &c.nodes[2]}, 3);
    traffic_free(t);
    cluster_end(&c);
}

/* A node that no URL names comes, has all slots of the traffic for a while, and goes. */
Test(fault_redis_cluster, a_node_comes_and_goes)
{
    static cluster c;
    char keys_there[64];

    cluster_begin(&c, 3, 0, 15000);
    kivi_store *store = cluster_open(&c, UNHURRIED);
    traffic *t = traffic_begin(store, &unfailing);
    start_node(&c);
    introduce_last(&c);
    await_node(&c, 3, "CLUSTER INFO", "cluster_state:ok");
    for (size_t thread = 0; thread < TRAFFIC_THREADS; thread++)
        move_slot(&c, t, thread, 0, node_of(&c, thread), 3);
    traffic_flows(t);
    redis_says(&c.nodes[3], "DBSIZE", keys_there, sizeof(keys_there));
    CHECK_SAYING(!strcmp(keys_there, ":16"), "%s", keys_there);
    for (size_t thread = 0; thread < TRAFFIC_THREADS; thread++)
        move_slot(&c, t, thread, 0, 3, node_of(&c, thread));
    for (size_t i = 0; i < 3; i++)
        tell_node(&c, i, "CLUSTER FORGET %s", c.ids[3]);
    server_kill(&c.nodes[3]);
    traffic_flows(t);
    traffic_end(t);
    traffic_free(t);
    kivi_store_unref(store);
    cluster_end(&c);
}

/* Replicas are read, and no read fails for want of them. */
static void read_replicas(void (*strike)(cluster *c, traffic *t))
{
    static cluster c;

    cluster_begin(&c, 1, 1, 15000);
    kivi_store *judge = cluster_open(&c, UNHURRIED);
    kivi_store *store = cluster_open(&c, "&server_timeout=3s&consistency=eventual");
    traffic_options options = unfailing;
    options.judge = judge;
    traffic *t = traffic_begin(store, &options);
    await_node(&c, 1, "INFO commandstats", "cmdstat_get:");
    strike(&c, t);
    await_node(&c, 1, "INFO commandstats", "cmdstat_get:");
    traffic_end(t);
    traffic_free(t);
    kivi_store_unref(store);
    kivi_store_unref(judge);
    cluster_end(&c);
}

static void freeze_replica(cluster *c, traffic *t)
{
    server_freeze(&c->nodes[1]);
    traffic_flows(t);
    server_thaw(&c->nodes[1]);
    tell_node(c, 1, "CONFIG RESETSTAT");
}

static void kill_replica(cluster *c, traffic *t)
{
    server_kill(&c->nodes[1]);
    traffic_flows(t);
    server_start_again(&c->nodes[1]);
}

Test(fault_redis_cluster, a_replica_that_is_read_stands_still)
{
    read_replicas(freeze_replica);
}

Test(fault_redis_cluster, a_replica_that_is_read_is_killed)
{
    read_replicas(kill_replica);
}
