/* Expiry by the clock: never early, not by a millisecond, and at most the stated resolution late. */
#include <time.h>

#include "suite.h"

enum { NS_PER_MS = 1000000 };

typedef struct watched_key {
    kivi_slice key;
    int64_t ttl_ms, begun_ns, ended_ns; /* before and after the write */
    bool gone;
} watched_key;

static void begin_to_watch(subject *s, watched_key *w, kivi_slice key, int64_t ttl_ms)
{
    w->key = key;
    w->ttl_ms = ttl_ms;
    w->begun_ns = now_ns();
    put(s, key, text(s, "v"), ttl_ms);
    w->ended_ns = now_ns();
    w->gone = false;
}

/*
 * Whether it is gone. The clock is read before a write and after a read that finds nothing, so that a busy machine
 * cannot make a key seem early; and after a write and before a read that finds it, so that it cannot seem late.
 */
static bool is_gone(subject *s, watched_key *w)
{
    if (w->gone)
        return true;
    int64_t before = now_ns();
    kivi_status status = kivi_store_get(s->store, NULL, w->key, &s->value, E);
    int64_t after = now_ns();
    if (status == KIVI_NOT_FOUND) {
        EXPECT_SAYING(after - w->begun_ns >= w->ttl_ms * NS_PER_MS, "a key of %lld ms was gone after %.3f",
                      (long long)w->ttl_ms, (double)(after - w->begun_ns) / NS_PER_MS);
        return w->gone = true;
    }
    EXPECT_NUMBER(status, KIVI_OK);
    EXPECT_SAYING(before - w->ended_ns <= surely_over(s, w->ttl_ms) * NS_PER_MS,
                  "a key of %lld ms was there after %.3f", (long long)w->ttl_ms,
                  (double)(before - w->ended_ns) / NS_PER_MS);
    return false;
}

static size_t count_gone(subject *s, watched_key *keys, size_t count)
{
    size_t gone = 0;
    for (size_t i = 0; i < count; i++)
        gone += is_gone(s, &keys[i]);
    return gone;
}

/* Keys of many TTLs. */
CASE(expiry, never_early_nor_late)
{
    if (lacks_ttl(s))
        return;
    enum { COUNT = 24 };
    watched_key keys[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        begin_to_watch(s, &keys[i], key_number(s, "k", i), 100 + 7 * (int64_t)i);
    while (count_gone(s, keys, COUNT) < COUNT) {
    }
}

/*
 * Until the wall clock is late within a millisecond. A store that counts whole ones and takes the one in which the TTL
 * began for full lets the key go so much too early.
 */
static void await_late_in_a_millisecond(void)
{
    struct timespec now;
    do
        clock_gettime(CLOCK_REALTIME, &now);
    while (now.tv_nsec % NS_PER_MS < 550000 || now.tv_nsec % NS_PER_MS > 750000);
}

/* Each round sees it unless the machine is busy at that very moment, so rounds are many. */
CASE(expiry, not_a_millisecond_early)
{
    if (lacks_ttl(s))
        return;
    size_t rounds = s->can.ttl_resolution_ms > 10 ? 3 : 60;
    for (size_t i = 0; i < rounds; i++) {
        watched_key watched;
        kivi_slice k = key_number(s, "k", i % 4);
        await_late_in_a_millisecond();
        begin_to_watch(s, &watched, k, 4);
        while (!is_gone(s, &watched)) {
        }
    }
}

/* TTLs that begin in all phases of a second: a store that counts seconds rounds each of them the right way. */
CASE(expiry, through_a_second)
{
    if (lacks_ttl(s))
        return;
    enum { COUNT = 50, EVERY_MS = 21 };
    watched_key keys[COUNT];
    size_t written = 0;
    for (int64_t begun = now_ns(); count_gone(s, keys, written) < COUNT; pause_ms(2))
        if (written < COUNT && now_ns() - begun >= (int64_t)written * EVERY_MS * NS_PER_MS) {
            begin_to_watch(s, &keys[written], key_number(s, "k", written),
                           short_ttl(s) + (int64_t)(written % 7));
            written++;
        }
}

/* The time left goes down, is never more than was given, and never 0. */
CASE(expiry, time_left)
{
    if (lacks_ttl(s))
        return;
    kivi_slice k = key(s, "k");
    int64_t ttl = short_ttl(s), last = ttl + s->can.ttl_resolution_ms, left = 0;
    put(s, k, text(s, "v"), ttl);
    kivi_status status;
    while ((status = kivi_store_ttl(s->store, NULL, k, &left, E)) == KIVI_OK) {
        EXPECT_SAYING(left >= 1 && left <= last, "%lld ms left after %lld", (long long)left,
                      (long long)last);
        last = left;
        pause_ms(3);
    }
    EXPECT_NUMBER(status, KIVI_NOT_FOUND);
}
