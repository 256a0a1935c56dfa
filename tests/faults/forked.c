/* Forks in the middle of traffic: the child uses the store as its own, the parent notices nothing. */
#include "../standin/standstill.h"
#include "common/faults.h"

TestSuite(forked, .init = case_begin, .fini = case_end);

enum { THREADS = 8, FORKS = 20, SHARED = 1, PRIVATE = 2 };

typedef struct traffic {
    kivi_store *store;
    int kind;
    kivi_scan *scan; /* of the parent, begun */
    atomic_bool over;
    unsigned number; /* of the child */
    atomic_uint rounds[THREADS];
} traffic;

/* ---- in the child ---- */

static void expect_scan_is_the_parents(kivi_scan *scan)
{
    kivi_pair pair = KIVI_PAIR_INIT;

    REFUSED(KIVI_FORKED, "", kivi_scan_next(scan, NULL, &pair, E));
    REFUSED(KIVI_FORKED, "", kivi_scan_next(scan, NULL, &pair, E));
    kivi_scan_free(scan);
}

static void work_in_child(worker *w)
{
    traffic *t = w->shared;
    text key, value;

    for (unsigned i = 0; i < 20; i++) {
        print(&key, "child:%u:%zu", t->number, w->index);
        print(&value, "%u", i);
        put(t->store, key.bytes, value.bytes);
        expect_holds(t->store, key.bytes, value.bytes);
        OK(kivi_store_increment(t->store, NULL, kivi_str("counter"), 1, KIVI_TTL_NONE, NULL, E));
    }
}

static void be_a_child(int in, int out, void *user)
{
    traffic *t = user;
    text key;

    (void)in, (void)out;
    for (unsigned i = 0; i < THREADS; i++) {
        print(&key, "thread:%u", i);
        CHECK(number_at(t->store, key.bytes, -1) >= 0);
    }
    CHECK_NUMBER(number_at(t->store, "fixed", -1), 77);
    if (t->number % 2)
        expect_scan_is_the_parents(t->scan);
    together(3, work_in_child, t);
    if (t->number % 2 == 0)
        expect_scan_is_the_parents(t->scan);
    if (t->kind == PRIVATE)
        CHECK_NUMBER(number_at(t->store, "counter", 0), 60);
    /* As a caller may leave: closed, given back, or neither. */
    if (t->number % 3 == 0)
        kivi_store_close(t->store);
    if (t->number % 3 != 1)
        kivi_store_unref(t->store);
}

/* ---- in the parent ---- */

static void drive(traffic *t, unsigned thread)
{
    text key, value, batch[3];
    kivi_slice keys[3], values[3];

    print(&key, "thread:%u", thread);
    for (unsigned i = 0; !atomic_load(&t->over); i++) {
        ROUND_BEGIN();
        print(&value, "%u", i);
        if (thread % 2) {
            put(t->store, key.bytes, value.bytes);
        } else {
            for (unsigned j = 0; j < 3; j++) {
                keys[j] = j ? print(&batch[j], "thread:%u:%u", thread, j) : kivi_str(key.bytes);
                values[j] = kivi_str(value.bytes);
            }
            OK(kivi_store_set_many(t->store, NULL, keys, values, 3, KIVI_TTL_NONE, NULL, E));
        }
        expect_holds(t->store, key.bytes, value.bytes);
        ROUND_END();
        atomic_fetch_add(&t->rounds[thread], 1);
    }
}

static void fork_often(traffic *t)
{
    for (unsigned i = 0; i < FORKS; i++) {
        unsigned before = atomic_load(&t->rounds[i % THREADS]);
        child c;
        t->number = i;
        STANDSTILL_BEGIN();
        c = child_start(be_a_child, t);
        STANDSTILL_END();
        child_ends(&c);
        /* The parent has been at work meanwhile, or still is. */
        while (atomic_load(&t->rounds[i % THREADS]) == before)
            pause_ms(1);
    }
    atomic_store(&t->over, true);
}

static void drive_or_fork(worker *w)
{
    traffic *t = w->shared;

    if (w->index < THREADS)
        drive(t, (unsigned)w->index);
    else
        fork_often(t);
}

static void expect_children(traffic *t)
{
    text key;

    CHECK_NUMBER(number_at(t->store, "counter", 0), t->kind == SHARED ? FORKS * 60 : 0);
    for (unsigned i = 0; i < FORKS; i++)
        for (unsigned j = 0; j < 3; j++) {
            print(&key, "child:%u:%u", i, j);
            expect_holds(t->store, key.bytes, t->kind == SHARED ? "19" : NULL);
        }
}

static void fork_in_traffic(const char *url, int kind)
{
    traffic *t = calloc(1, sizeof(*t));
    kivi_pair pair = KIVI_PAIR_INIT;
    kivi_status status;
    unsigned rest = 0;
    text key;

    CHECK(t != NULL);
    t->kind = kind;
    t->store = open_store(url, folder);
    put(t->store, "fixed", "77");
    for (unsigned i = 0; i < THREADS; i++) {
        print(&key, "thread:%u", i);
        put(t->store, key.bytes, "0");
    }
    OK(kivi_store_scan(t->store, NULL, &t->scan, E));
    OK(kivi_scan_next(t->scan, NULL, &pair, E));
    together(THREADS + 1, drive_or_fork, t);
    /* The parent's scan goes on where it was. */
    while ((status = kivi_scan_next(t->scan, NULL, &pair, E)) == KIVI_OK)
        rest++;
    ANSWERS(KIVI_END, status);
    CHECK(rest >= THREADS);
    kivi_scan_free(t->scan);
    expect_children(t);
    expect_sound(t->store);
    kivi_store_unref(t->store);
    free(t);
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"

Test(forked, lmdb, .timeout = 120)
{
    fork_in_traffic("lmdb:%s/data?codec=raw", SHARED);
}

Test(forked, lmdb_without_sync, .timeout = 120)
{
    fork_in_traffic("lmdb:%s/data?codec=raw&sync=false&map_size=65536", SHARED);
}

Test(forked, lmdb_of_few_readers, .timeout = 120)
{
    fork_in_traffic("lmdb:%s/data?codec=raw&sync=false&max_readers=16", SHARED);
}

Test(forked, memory, .timeout = 120)
{
    fork_in_traffic("memory:?codec=raw", PRIVATE);
}

Test(forked, memory_by_name, .timeout = 120)
{
    fork_in_traffic("memory:shared?codec=raw", PRIVATE);
}

Test(forked, memory_blocking, .timeout = 120)
{
    fork_in_traffic("memory:?codec=raw&shape=blocking&lanes=3", PRIVATE);
}

Test(forked, memory_stepped, .timeout = 120)
{
    fork_in_traffic("memory:?codec=raw&shape=stepped&lanes=3", PRIVATE);
}

Test(forked, memory_stepped_and_slow, .timeout = 120)
{
    fork_in_traffic("memory:?codec=raw&shape=stepped&lanes=2&latency=2ms", PRIVATE);
}
