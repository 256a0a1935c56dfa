/* A ring of three, of which one dies, stands still, dribbles and comes back: the keys of the others lose nothing. */
#include "common/proxy.h"
#include "servers/memcached.h"

#include <string.h>
#include <unistd.h>

TestSuite(fault_memcached_ring, .init = case_begin, .fini = case_end, .timeout = 300);

enum { SERVERS = 3, KEYS = 90, SICK = 1 };

/* ---- The ring ---- */

typedef struct ring {
    running_server servers[SERVERS];
    proxy *p; /* before the sick one */
    kivi_store *store;
    text keys[KEYS];
    bool is_sick[KEYS]; /* the key is on the sick one */
    size_t sick_count;
} ring;

/* How the keys got on. */
typedef struct round {
    unsigned healthy_failures, sick_failures;
    kivi_status sick_status; /* of the last failure */
    uint64_t worst_ns;       /* of one call for a healthy key */
} round;

static bool holds(const running_server *s, const char *key)
{
    text command;
    char answer[8] = "";
    int fd = connect_to_port(s->port);

    CHECK(fd >= 0);
    print(&command, "mg %s\r\n", key);
    CHECK(write(fd, command.bytes, strlen(command.bytes)) == (ssize_t)strlen(command.bytes));
    CHECK(read(fd, answer, 2) == 2);
    close(fd);
    return !strcmp(answer, "HD");
}

static void fill(ring *r)
{
    for (size_t i = 0; i < KEYS; i++) {
        print(&r->keys[i], "key-%zu", i);
        put(r->store, r->keys[i].bytes, "value");
        r->is_sick[i] = holds(&r->servers[SICK], r->keys[i].bytes);
        r->sick_count += r->is_sick[i];
    }
    CHECK(r->sick_count > 10 && r->sick_count < KEYS - 20);
}

static ring *ring_new(bool behind_proxy)
{
    static const char *const names[SERVERS] = {"first", "second", "third"};
    static ring r;
    int ports[SERVERS];

    memset(&r, 0, sizeof(r));
    for (size_t i = 0; i < SERVERS; i++) {
        server_start(&r.servers[i], &memcached, names[i], NULL, NULL);
        ports[i] = r.servers[i].port;
    }
    if (behind_proxy) {
        r.p = proxy_start(&r.servers[SICK], NULL);
        ports[SICK] = proxy_port(r.p);
    }
    r.store = open_store(
        "memcached://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d/?codec=raw&timeout=20s", ports[0],
        ports[1], ports[2]);
    fill(&r);
    return &r;
}

static void ring_free(ring *r)
{
    kivi_store_unref(r->store);
    if (r->p)
        proxy_stop(r->p);
    for (size_t i = 0; i < SERVERS; i++)
        if (r->servers[i].pid > 0)
            server_stop(&r->servers[i]);
}

/* Reads every key alone. */
static round read_all(const ring *r)
{
    round seen = {0};
    kivi_buffer value = KIVI_BUFFER_INIT;

    for (size_t i = 0; i < KEYS; i++) {
        uint64_t began = now_ns(), took;
        kivi_status status = kivi_store_get(r->store, NULL, kivi_str(r->keys[i].bytes), &value, NULL);
        took = now_ns() - began;
        if (r->is_sick[i]) {
            seen.sick_failures += status != KIVI_OK;
            seen.sick_status = status ? status : seen.sick_status;
            continue;
        }
        seen.healthy_failures += status != KIVI_OK;
        seen.worst_ns = took > seen.worst_ns ? took : seen.worst_ns;
    }
    kivi_buffer_free(&value);
    return seen;
}

/* All in one batch: each key has its own result. */
static void read_as_one(const ring *r, kivi_status sick_status)
{
    kivi_slice keys[KEYS];
    kivi_result *result = NULL;

    for (size_t i = 0; i < KEYS; i++)
        keys[i] = kivi_str(r->keys[i].bytes);
    kivi_store_get_many(r->store, NULL, keys, KEYS, &result, NULL);
    CHECK(result != NULL);
    for (size_t i = 0; i < KEYS; i++)
        CHECK_NUMBER(kivi_result_status(result, i), r->is_sick[i] ? sick_status : KIVI_OK);
    kivi_result_free(result);
}

/* Until all keys are served again, which one second after the server is back they are. */
static void heals(const ring *r, bool empty)
{
    uint64_t began = now_ns();
    round seen;

    do {
        CHECK_SAYING(now_ns() - began < UINT64_C(20000000000), "the ring does not heal");
        seen = read_all(r);
        CHECK_NUMBER(seen.healthy_failures, 0);
    } while (seen.sick_failures && !(empty && seen.sick_status == KIVI_NOT_FOUND));
}

/* The keys of one server fail, at once after the first; the others lose nothing. */
static void expect_one_away(const ring *r)
{
    kivi_health health = {.struct_size = sizeof(health)};
    text place;
    uint64_t began;
    round seen = read_all(r); /* finds out */

    CHECK_NUMBER(seen.healthy_failures, 0);
    CHECK_NUMBER(seen.sick_failures, r->sick_count);
    CHECK_NUMBER(seen.sick_status, KIVI_UNAVAILABLE);
    began = now_ns();
    seen = read_all(r);
    CHECK_NUMBER(seen.healthy_failures, 0);
    CHECK_NUMBER(seen.sick_failures, r->sick_count);
    /* One that says nothing costs half a second for each second that it is left alone, not for each of its keys. */
    CHECK_SAYING(now_ns() - began < UINT64_C(500000000) * r->sick_count / 2,
                 "each key waits for the one that is away");
    read_as_one(r, KIVI_UNAVAILABLE);
    print(&place, "127.0.0.1:%d ", r->servers[SICK].port);
    REFUSED(KIVI_UNAVAILABLE, place.bytes, kivi_store_health(r->store, NULL, &health, E));
}

/* ---- Cases ---- */

static void expect_detail(kivi_store *store, const char *part)
{
    kivi_health health = {.struct_size = sizeof(health)};

    OK(kivi_store_health(store, NULL, &health, E));
    CHECK_SAYING(strstr(health.detail, part) != NULL, "%s", health.detail);
}

/* Killed and restarted: it comes back empty, which is noticed, and a version from before is none any more. */
Test(fault_memcached_ring, one_is_killed)
{
    ring *r = ring_new(false);
    kivi_buffer value = KIVI_BUFFER_INIT, version = KIVI_BUFFER_INIT;
    size_t sick = 0;

    while (!r->is_sick[sick])
        sick++;
    kivi_slice key = kivi_str(r->keys[sick].bytes);
    OK(kivi_store_get_versioned(r->store, NULL, key, &value, &version, E));
    server_kill(&r->servers[SICK]);
    expect_one_away(r);
    pause_ms(1100); /* uptime counts seconds: another start is told by its process as well */
    server_start_again(&r->servers[SICK]);
    heals(r, true);
    expect_detail(r->store, "came back empty: 1");
    /* The new server counts from the beginning: as many writes make the same cas. */
    for (size_t i = 0; i < KEYS; i++)
        if (r->is_sick[i])
            put(r->store, r->keys[i].bytes, "another");
    kivi_op op = KIVI_OP_INIT;
    kivi_result *result = NULL;
    op.kind = KIVI_OP_DELETE;
    op.condition = KIVI_IF_VERSION;
    op.key = key;
    op.expected = kivi_buffer_slice(&version);
    OK(kivi_store_apply(r->store, NULL, &op, 1, 0, &result, E));
    CHECK_NUMBER(kivi_result_status(result, 0), KIVI_CONDITION);
    kivi_result_free(result);
    kivi_buffer_free(&value);
    kivi_buffer_free(&version);
    ring_free(r);
}

Test(fault_memcached_ring, one_stands_still)
{
    ring *r = ring_new(false);

    server_freeze(&r->servers[SICK]);
    expect_one_away(r);
    server_thaw(&r->servers[SICK]);
    heals(r, false);
    read_as_one(r, KIVI_OK);
    ring_free(r);
}

/* Slow is not silent. */
Test(fault_memcached_ring, one_dribbles)
{
    ring *r = ring_new(true);
    round seen;

    proxy_set(r->p, PROXY_DRIBBLE);
    seen = read_all(r);
    CHECK_NUMBER(seen.healthy_failures + seen.sick_failures, 0);
    read_as_one(r, KIVI_OK);
    proxy_set(r->p, PROXY_PASS);
    ring_free(r);
}

typedef struct traffic {
    ring *r;
    _Atomic bool stop;
    _Atomic unsigned served[2], failed[2]; /* by whether the key is on the sick one */
    _Atomic uint64_t worst_ns;             /* of healthy keys */
} traffic;

static void read_often(worker *w)
{
    traffic *t = w->shared;
    kivi_buffer value = KIVI_BUFFER_INIT;

    for (size_t i = w->index; !t->stop; i = (i + 1) % KEYS) {
        bool sick = t->r->is_sick[i];
        uint64_t began = now_ns(), took;
        if (sick != (w->index % 2 == 0))
            continue;
        kivi_status status = kivi_store_get(t->r->store, NULL, kivi_str(t->r->keys[i].bytes),
                                            &value, NULL);
        took = now_ns() - began;
        (status ? t->failed : t->served)[sick]++;
        if (!sick && took > t->worst_ns)
            t->worst_ns = took;
        pause_ms(1);
    }
    kivi_buffer_free(&value);
}

static void strike(worker *w)
{
    traffic *t = w->shared;
    unsigned before;

    if (w->index) {
        read_often(w);
        return;
    }
    pause_ms(1000);
    server_freeze(&t->r->servers[SICK]);
    pause_ms(3000);
    before = t->served[1];
    server_thaw(&t->r->servers[SICK]);
    for (int i = 0; t->served[1] == before; i++) {
        CHECK_SAYING(i < 1000, "the one that stood still is not asked again");
        pause_ms(10);
    }
    t->stop = true;
}

/* Callers of healthy keys share lanes with those who wait for the one that stands still. */
Test(fault_memcached_ring, one_stands_still_in_traffic)
{
    traffic t = {.r = ring_new(false)};

    together(9, strike, &t);
    printf("healthy: %u served, worst %.1f ms; of the one that stood still: %u served, %u failed\n",
           t.served[0], (double)t.worst_ns / 1e6, t.served[1], t.failed[1]);
    CHECK_NUMBER(t.failed[0], 0);
    CHECK(t.failed[1] > 0);
    ring_free(t.r);
}
