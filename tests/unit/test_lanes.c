/* Lanes under threads: merging, handing on, deadlines, interrupts, closing; over memory's stepped and blocking shapes. */
#include "store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define THREADS 16

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- crews of threads ---- */

typedef struct crew crew;
typedef struct hand {
    crew *crew;
    unsigned number;
    uint64_t random;
    pthread_t thread;
    uint64_t done, uncertain, failed; /* counts of the hand's own */
} hand;

struct crew {
    kivi_store *store;
    unsigned rounds;
    void (*work)(hand *hand);
    kivi_interrupt *interrupt;
    _Atomic bool stop;
    hand hands[THREADS];
};

static void *hand_main(void *given)
{
    hand *own = given;
    own->crew->work(own);
    return NULL;
}

static void crew_start(crew *all, kivi_store *store, kivi_interrupt *interrupt, unsigned rounds,
                       void (*work)(hand *))
{
    memset(all, 0, sizeof(*all));
    all->store = store;
    all->interrupt = interrupt;
    all->rounds = rounds;
    all->work = work;
    for (unsigned i = 0; i < THREADS; i++) {
        all->hands[i].crew = all;
        all->hands[i].number = i;
        all->hands[i].random = 88172645463325252u + 7919u * i;
        cr_assert_eq(pthread_create(&all->hands[i].thread, NULL, hand_main, &all->hands[i]), 0);
    }
}

static void crew_join(crew *all)
{
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(all->hands[i].thread, NULL);
}

static uint64_t draw(hand *own)
{
    own->random ^= own->random << 13;
    own->random ^= own->random >> 7;
    own->random ^= own->random << 17;
    return own->random;
}

/* ---- merging ---- */

static void set_and_get(hand *own)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    for (unsigned i = 0; i < own->crew->rounds; i++) {
        char key[32], text[32];
        snprintf(key, sizeof(key), "k%u-%u", own->number, i % 10);
        snprintf(text, sizeof(text), "%u.%u", own->number, i);
        cr_assert_eq(kivi_store_set(own->crew->store, NULL, kivi_str(key), kivi_str(text), 0, NULL),
                     KIVI_OK);
        cr_assert_eq(kivi_store_get(own->crew->store, NULL, kivi_str(key), &value, NULL), KIVI_OK);
        cr_assert_eq(value.size, strlen(text));
        cr_assert_eq(memcmp(value.data, text, value.size), 0);
        cr_assert_eq(kivi_store_get(own->crew->store, NULL, kivi_str("none"), &value, NULL),
                     KIVI_NOT_FOUND);
    }
    kivi_buffer_free(&value);
}

static void check_merging(const char *url)
{
    kivi_store *store = open_store(url);
    crew all;
    crew_start(&all, store, NULL, 60, set_and_get);
    crew_join(&all);
    kivi_stats stats = stats_of(store);
    cr_assert_eq(stats.lanes_busy, 0);
    cr_assert_eq(stats.waiting, 0);
    cr_assert_eq(stats.failures, 0);
    cr_assert_gt(stats.vector_items, stats.vectors, "%llu items in %llu vectors: nothing was merged",
                 (unsigned long long)stats.vector_items, (unsigned long long)stats.vectors);
    kivi_store_unref(store);
}

Test(lanes, waiting_calls_share_vectors_when_stepped)
{
    check_merging("memory:?shape=stepped&steps=3&lanes=2&latency=1ms");
}

Test(lanes, waiting_calls_share_vectors_when_blocking)
{
    check_merging("memory:?shape=blocking&lanes=1&latency=1ms");
}

Test(lanes, a_store_opens_no_more_lanes_than_told)
{
    kivi_store *store = open_store("memory:?shape=stepped&lanes=3&latency=1ms");
    crew all;
    crew_start(&all, store, NULL, 20, set_and_get);
    crew_join(&all);
    cr_assert_leq(stats_of(store).lanes, 3);
    kivi_store_unref(store);
}

Test(lanes, one_thread_opens_one_lane)
{
    kivi_store *store = open_store("memory:?shape=stepped&lanes=8");
    for (int i = 0; i < 50; i++)
        cr_assert_eq(kivi_store_set(store, NULL, kivi_str("a"), kivi_str("1"), 0, NULL), KIVI_OK);
    cr_assert_eq(stats_of(store).lanes, 1);
    kivi_store_unref(store);
}

/* ---- sums: every addition counts once, merged, folded or alone ---- */

static void add_ones(hand *own)
{
    for (unsigned i = 0; i < own->crew->rounds; i++) {
        int64_t value = 0;
        cr_assert_eq(kivi_store_increment(own->crew->store, NULL, kivi_str("sum"), 1, 0, &value, NULL),
                     KIVI_OK);
        own->done += (uint64_t)value;
    }
}

static void check_sums(const char *url)
{
    kivi_store *store = open_store(url);
    crew all;
    uint64_t sum = 0, n = THREADS * 40;
    int64_t value = 0;
    crew_start(&all, store, NULL, 40, add_ones);
    crew_join(&all);
    cr_assert_eq(kivi_store_increment(store, NULL, kivi_str("sum"), 0, 0, &value, NULL), KIVI_OK);
    cr_assert_eq(value, (int64_t)n);
    for (unsigned i = 0; i < THREADS; i++)
        sum += all.hands[i].done;
    cr_assert_eq(sum, n * (n + 1) / 2, "an intermediate value came twice or never");
    kivi_store_unref(store);
}

Test(lanes, combined_increments_give_each_its_own_value)
{
    check_sums("memory:?shape=blocking&lanes=1&latency=1ms");
    check_sums("memory:?shape=stepped&lanes=2&latency=1ms");
    check_sums("memory:?group_commit=true&commit_time=1ms");
    check_sums("memory:?shape=blocking&lanes=2&native=false");
}

static void add_much(hand *own)
{
    for (unsigned i = 0; i < own->crew->rounds; i++) {
        kivi_status status = kivi_store_increment(own->crew->store, NULL, kivi_str("sum"),
                                                  INT64_C(1) << 59, 0, NULL, NULL);
        cr_assert(status == KIVI_OK || status == KIVI_OVERFLOW);
        *(status == KIVI_OK ? &own->done : &own->failed) += 1;
    }
}

Test(lanes, an_increment_that_overflows_fails_alone)
{
    kivi_store *store = open_store("memory:?shape=blocking&lanes=1&latency=1ms");
    crew all;
    uint64_t done = 0;
    crew_start(&all, store, NULL, 4, add_much);
    crew_join(&all);
    for (unsigned i = 0; i < THREADS; i++)
        done += all.hands[i].done;
    cr_assert_eq(done, 15, "2^59 fits 15 times into int64, not %llu", (unsigned long long)done);
    kivi_store_unref(store);
}

/* ---- one bad item ---- */

static void set_good_or_bad(hand *own)
{
    for (unsigned i = 0; i < own->crew->rounds; i++) {
        char key[32];
        bool bad = own->number % 5 == 0;
        snprintf(key, sizeof(key), "%s%u-%u", bad ? "bad" : "good", own->number, i);
        kivi_status status = kivi_store_set(own->crew->store, NULL, kivi_str(key), kivi_str("v"), 0, NULL);
        cr_assert_eq(status, bad ? KIVI_INVALID : KIVI_OK, "%s: %s", key, kivi_status_name(status));
    }
}

Test(lanes, a_vector_refused_whole_is_halved_until_the_culprit_is_alone)
{
    kivi_store *store = open_store("memory:?shape=blocking&lanes=1&latency=1ms&refuse_whole=bad");
    crew all;
    uint64_t count = 0;
    crew_start(&all, store, NULL, 20, set_good_or_bad);
    crew_join(&all);
    cr_assert_eq(kivi_store_count(store, NULL, kivi_str("good"), &count, NULL), KIVI_OK);
    cr_assert_eq(count, 12 * 20);
    kivi_store_unref(store);
}

/* ---- repeats ---- */

Test(lanes, what_may_be_repeated_is_repeated)
{
    const char *urls[] = {"memory:?shape=stepped&lanes=3&fail_rate=0.2&seed=5",
                          "memory:?shape=blocking&lanes=2&fail_rate=0.2&partial_rate=0.3&seed=6",
                          "memory:?fail_rate=0.2&partial_rate=0.2&seed=7"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        kivi_store *store = open_store(urls[i]);
        crew all;
        crew_start(&all, store, NULL, 30, set_and_get);
        crew_join(&all);
        cr_assert_gt(stats_of(store).retries, 0);
        cr_assert_eq(stats_of(store).failures, 0);
        kivi_store_unref(store);
    }
}

Test(lanes, a_store_that_refuses_fails_at_once)
{
    kivi_store *store = open_store("memory:?fail_rate=1&fail_status=refused&timeout=60s");
    kivi_error *error = NULL;
    double begun = now_s();
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("a"), kivi_str("b"), 0, &error), KIVI_UNAVAILABLE);
    cr_assert_eq(kivi_error_retryable(error), KIVI_RETRY_LATER);
    cr_assert_lt(now_s() - begun, 30);
    kivi_error_free(error);
    kivi_store_unref(store);
}

/* ---- deadlines, interrupts, close ---- */

static void hang_or_not(hand *own)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    for (unsigned i = 0; i < own->crew->rounds; i++) {
        bool slow = draw(own) % 4 == 0;
        kivi_call call = KIVI_CALL_INIT;
        call.timeout_ms = 60 + (int64_t)(draw(own) % 60);
        double begun = now_s();
        kivi_status status = kivi_store_get(own->crew->store, &call,
                                            kivi_str(slow ? "slow" : "fast"), &value, NULL);
        double over = now_s() - begun - (double)call.timeout_ms / 1000;
        cr_assert_lt(over, 5, "%f s past its deadline", over);
        cr_assert(status == KIVI_TIMEOUT || (!slow && status == KIVI_NOT_FOUND), "%s: %s",
                  slow ? "slow" : "fast", kivi_status_name(status));
    }
    kivi_buffer_free(&value);
}

static void check_hanging(const char *url)
{
    kivi_store *store = open_store(url);
    crew all;
    crew_start(&all, store, NULL, 12, hang_or_not);
    crew_join(&all);
    kivi_stats stats = stats_of(store);
    cr_assert_eq(stats.lanes_busy, 0, "%s", url);
    cr_assert_eq(stats.waiting, 0, "%s", url);
    kivi_store_unref(store);
}

Test(lanes, every_call_ends_at_its_deadline, .timeout = 120)
{
    check_hanging("memory:?shape=stepped&lanes=2&hang_keys=slow");
    check_hanging("memory:?shape=blocking&lanes=2&hang_keys=slow");
    check_hanging("memory:?hang_keys=slow");
}

Test(lanes, a_session_into_which_nothing_comes_is_given_up, .timeout = 60)
{
    kivi_store *store = open_store(
        "memory:?shape=stepped&lanes=1&hang_keys=slow&io_timeout=0.2&timeout=2s");
    kivi_error *error = NULL;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_get(store, NULL, kivi_str("slow"), &value, &error);
    /* The time may end in the pause before another try: then the reason of the last is told. */
    cr_assert(status == KIVI_TIMEOUT || status == KIVI_UNAVAILABLE, "%s", kivi_status_name(status));
    cr_assert_gt(stats_of(store).reconnects, 0);
    kivi_error_free(error);
    cr_assert_eq(kivi_store_get(store, NULL, kivi_str("fast"), &value, NULL), KIVI_NOT_FOUND);
    kivi_buffer_free(&value);
    kivi_store_unref(store);
}

static void wait_long(hand *own)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = 60000;
    call.interrupt = own->crew->interrupt;
    own->failed = (uint64_t)kivi_store_get(own->crew->store, &call, kivi_str("slow"), &value, NULL);
    kivi_buffer_free(&value);
}

static void check_ending(const char *url, bool close)
{
    kivi_store *store = open_store(url);
    kivi_interrupt *interrupt = kivi_interrupt_new();
    crew all;
    crew_start(&all, store, interrupt, 1, wait_long);
    usleep(100 * 1000);
    double begun = now_s();
    if (close)
        kivi_store_close(store);
    else
        kivi_interrupt_raise(interrupt);
    crew_join(&all);
    cr_assert_lt(now_s() - begun, 10);
    for (unsigned i = 0; i < THREADS; i++)
        cr_assert_eq(all.hands[i].failed, close ? KIVI_CLOSED : KIVI_INTERRUPTED, "%s: %s", url,
                     kivi_status_name((kivi_status)all.hands[i].failed));
    kivi_interrupt_free(interrupt);
    kivi_store_unref(store);
}

Test(lanes, an_interrupt_ends_all_that_wait, .timeout = 60)
{
    check_ending("memory:?shape=stepped&lanes=2&hang_keys=slow", false);
    check_ending("memory:?shape=blocking&lanes=2&hang_keys=slow", false);
    check_ending("memory:?hang_keys=slow", false);
}

Test(lanes, close_ends_all_that_wait, .timeout = 60)
{
    check_ending("memory:?shape=stepped&lanes=2&hang_keys=slow", true);
    check_ending("memory:?shape=blocking&lanes=2&hang_keys=slow", true);
    check_ending("memory:?hang_keys=slow", true);
}

/* ---- a storm: everything at once, and the books must balance ---- */

static int draw_interrupt(void *user)
{
    return draw(user) % 64 == 0;
}

static void storm(hand *own)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    for (unsigned i = 0; i < own->crew->rounds; i++) {
        char key[16];
        kivi_call call = KIVI_CALL_INIT;
        uint64_t choice = draw(own) % 8;
        snprintf(key, sizeof(key), "k%u", (unsigned)(draw(own) % 8));
        call.timeout_ms = 1 + (int64_t)(draw(own) % 40);
        if (draw(own) % 4 == 0) {
            call.interrupted = draw_interrupt;
            call.user = own;
        }
        if (choice < 3) {
            kivi_store_get(own->crew->store, &call, kivi_str(key), &value, NULL);
        } else if (choice == 3) {
            kivi_slice keys[] = {kivi_str("k1"), kivi_str("k2"), kivi_str("k3")};
            kivi_result *result = NULL;
            kivi_store_get_many(own->crew->store, &call, keys, 3, &result, NULL);
            kivi_result_free(result);
        } else if (choice == 4) {
            uint64_t count;
            kivi_store_count(own->crew->store, &call, kivi_str("k"), &count, NULL);
        } else if (choice == 5) {
            kivi_store_set(own->crew->store, &call, kivi_str(key), kivi_str("v"), 0, NULL);
        } else {
            kivi_status status = kivi_store_increment(own->crew->store, &call, kivi_str("sum"), 1,
                                                      0, NULL, NULL);
            own->done += status == KIVI_OK;
            own->uncertain += status == KIVI_UNCERTAIN;
        }
    }
    kivi_buffer_free(&value);
}

static void check_storm(const char *url, unsigned rounds)
{
    kivi_store *store = open_store(url);
    crew all;
    uint64_t done = 0, uncertain = 0;
    crew_start(&all, store, NULL, rounds, storm);
    crew_join(&all);
    for (unsigned i = 0; i < THREADS; i++) {
        done += all.hands[i].done;
        uncertain += all.hands[i].uncertain;
    }
    int64_t sum = integer_of(store, "sum");
    cr_assert(sum >= (int64_t)done && sum <= (int64_t)(done + uncertain),
              "%s: %lld stored, %llu acknowledged, %llu uncertain", url, (long long)sum,
              (unsigned long long)done, (unsigned long long)uncertain);
    kivi_stats stats = stats_of(store);
    cr_assert_eq(stats.lanes_busy, 0);
    cr_assert_eq(stats.waiting, 0);
    kivi_store_unref(store);
}

Test(lanes, books_balance_after_a_storm, .timeout = 300)
{
    check_storm("memory:?shape=stepped&steps=4&lanes=2&latency=1ms&latency_jitter=4ms&seed=1", 150);
    check_storm("memory:?shape=stepped&steps=4&lanes=3&latency=1ms&fail_rate=0.05&uncertain_rate=0."
                "05&hang_rate=0.01&seed=2",
                150);
    check_storm("memory:?shape=blocking&lanes=2&latency=1ms&fail_rate=0.05&uncertain_rate=0.05&"
                "hang_rate=0.01&partial_rate=0.1&seed=3",
                150);
    check_storm("memory:?group_commit=true&commit_time=2ms&hang_rate=0.01&fail_rate=0.05&seed=4", 150);
}
