/* Queues: every verb, limits, a storm; over memory's shapes. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "queue_fixture.h"

static const char *const shapes[] = {
    "memory:?shape=stepped&steps=3&lanes=2", "memory:?shape=blocking&lanes=2",
    "memory:", "memory:?shape=stepped&native=false", "memory:?codec=json&versions=counter"};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static void expect_value(kivi_queue *queue, kivi_store *store, const char *key, const char *value)
{
    kivi_completion end = ask(queue, store, REQUEST(.verb = KIVI_VERB_GET, .key = kivi_str(key)));
    cr_assert_eq(end.status, KIVI_OK);
    cr_assert_eq(end.value.size, strlen(value));
    cr_assert_eq(memcmp(end.value.data, value, end.value.size), 0);
    kivi_completion_release(&end);
}

static void check_single_verbs(kivi_queue *q, kivi_store *s)
{
    kivi_completion end;
    cr_assert_eq(ask_status(q, s, REQUEST(.verb = KIVI_VERB_GET, KEY("a"))), KIVI_NOT_FOUND);
    cr_assert_eq(ask_status(q, s, REQUEST(.verb = KIVI_VERB_SET, KEY("a"), .value = kivi_str("1"))),
                 KIVI_OK);
    expect_value(q, s, "a", "1");
    cr_assert_eq(ask_status(q, s, REQUEST(.verb = KIVI_VERB_ADD, KEY("a"), .value = kivi_str("2"))),
                 KIVI_CONDITION);
    cr_assert_eq(ask_status(q, s, REQUEST(.verb = KIVI_VERB_REPLACE, KEY("b"), .value = kivi_str("2"))),
                 KIVI_CONDITION);
    cr_assert_eq(ask_status(q, s, REQUEST(.verb = KIVI_VERB_REPLACE, KEY("a"), .value = kivi_str("2"))),
                 KIVI_OK);
    cr_assert_eq(ask_status(q, s,
                            REQUEST(.verb = KIVI_VERB_COMPARE_AND_SET, KEY("a"),
                                    .expected = kivi_str("1"), .value = kivi_str("3"))),
                 KIVI_CONDITION);
    cr_assert_eq(ask_status(q, s,
                            REQUEST(.verb = KIVI_VERB_COMPARE_AND_SET, KEY("a"),
                                    .expected = kivi_str("2"), .value = kivi_str("3"))),
                 KIVI_OK);
    expect_value(q, s, "a", "3");
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_EXISTS, KEY("a")));
    cr_assert(end.status == KIVI_OK && end.truth);
    kivi_completion_release(&end);
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_EXISTS, KEY("none")));
    cr_assert(end.status == KIVI_OK && !end.truth);
    kivi_completion_release(&end);
    cr_assert_eq(ask_status(q, s, REQUEST(.verb = KIVI_VERB_EXPIRE, KEY("a"), .ttl_ms = 50000)), KIVI_OK);
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_TTL, KEY("a")));
    cr_assert(end.status == KIVI_OK && end.integer > 10000 && end.integer <= 50001);
    kivi_completion_release(&end);
    cr_assert_eq(ask_status(q, s, REQUEST(.verb = KIVI_VERB_PERSIST, KEY("a"))), KIVI_OK);
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_GET_AND_EXPIRE, KEY("a"), .ttl_ms = 50000));
    cr_assert(end.status == KIVI_OK && end.value.size == 1);
    kivi_completion_release(&end);
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_GET_VERSIONED, KEY("a")));
    cr_assert(end.status == KIVI_OK && end.value.size == 1 && end.version.size > 0);
    kivi_completion_release(&end);
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_DELETE, KEY("a"), .flags = KIVI_OP_WANT_EXISTED));
    cr_assert(end.status == KIVI_OK && end.truth);
    kivi_completion_release(&end);
    for (int i = 1; i <= 3; i++) {
        end = ask(q, s, REQUEST(.verb = KIVI_VERB_INCREMENT, KEY("n"), .by = 5));
        cr_assert(end.status == KIVI_OK && end.integer == 5 * i);
        kivi_completion_release(&end);
    }
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_TAKE, KEY("n")));
    cr_assert(end.status == KIVI_OK && end.value.size > 0);
    kivi_completion_release(&end);
    cr_assert_eq(
        ask_status(q, s,
                   REQUEST(.verb = KIVI_VERB_COMPARE_AND_DELETE, KEY("n"), .expected = kivi_str("1"))),
        KIVI_CONDITION);
}

static void check_other_verbs(kivi_queue *q, kivi_store *s)
{
    kivi_slice keys[] = {kivi_str("x2"), kivi_str("x1"), kivi_str("none"), kivi_str("x2")};
    kivi_slice values[] = {kivi_str("2"), kivi_str("1")};
    kivi_op op = KIVI_OP_INIT;
    kivi_completion end = ask(
        q, s, REQUEST(.verb = KIVI_VERB_SET_MANY, .keys = keys, .values = values, .count = 2));
    cr_assert_eq(end.status, KIVI_OK);
    kivi_completion_release(&end);
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_GET_MANY, .keys = keys, .count = 4));
    cr_assert_eq(kivi_result_count(end.result), 4);
    cr_assert_eq(kivi_result_status(end.result, 2), KIVI_NOT_FOUND);
    cr_assert_eq(*(const char *)kivi_result_value(end.result, 3).data, '2');
    kivi_completion_release(&end);
    op.kind = KIVI_OP_SET;
    op.key = kivi_str("x3");
    op.value = kivi_str("3");
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_APPLY, .ops = &op, .count = 1, .flags = KIVI_APPLY_ATOMIC));
    cr_assert_eq(end.status, KIVI_OK);
    kivi_completion_release(&end);
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_COUNT, KEY("x")));
    cr_assert(end.status == KIVI_OK && end.integer == 3);
    kivi_completion_release(&end);
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_PAGE));
    cr_assert_eq(kivi_page_count(end.page), 3);
    kivi_completion_release(&end);
    end = ask(q, s,
              REQUEST(.verb = KIVI_VERB_DELETE_MANY, .keys = keys, .count = 2,
                      .flags = KIVI_OP_WANT_EXISTED));
    cr_assert(end.status == KIVI_OK && end.integer == 2);
    kivi_completion_release(&end);
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_CLEAR, KEY("x")));
    cr_assert(end.status == KIVI_OK && end.integer == 1);
    kivi_completion_release(&end);
    cr_assert_eq(ask_status(q, s, REQUEST(.verb = KIVI_VERB_HEALTH)), KIVI_OK);
    end = ask(q, s, REQUEST(.verb = KIVI_VERB_DESCRIBE, .flags = KIVI_TOPIC_HEALTH));
    cr_assert(end.status == KIVI_OK && end.value.size > 10);
    kivi_completion_release(&end);
    cr_assert_eq(ask_status(q, s, REQUEST(.verb = KIVI_VERB_DESCRIBE, .flags = 99)), KIVI_INVALID);
}

Test(queue, every_verb_in_every_shape, .timeout = 120)
{
    for (size_t i = 0; i < SHAPES; i++) {
        kivi_store *store = open_store(shapes[i]);
        kivi_queue *queue = new_queue();
        check_single_verbs(queue, store);
        check_other_verbs(queue, store);
        kivi_queue_close(queue);
        kivi_store_unref(store);
        store = open_store(shapes[i]);
        check_single_verbs(NULL, store);
        check_other_verbs(NULL, store);
        kivi_store_unref(store);
    }
    kivi_buffer_free(&performed);
    kivi_buffer_free(&performed_version);
}

Test(queue, perform_refuses_what_it_does_not_know)
{
    kivi_store *store = open_store("memory:");
    kivi_completion end = KIVI_COMPLETION_INIT;
    kivi_request request = KIVI_REQUEST_INIT;
    request.verb = 999;
    cr_assert_eq(kivi_store_perform(store, NULL, &request, &performed, &performed_version, &end),
                 KIVI_UNSUPPORTED);
    cr_assert_eq(kivi_error_status(end.error), KIVI_UNSUPPORTED);
    kivi_completion_release(&end);
    request.verb = KIVI_VERB_GET;
    cr_assert_eq(kivi_store_perform(store, NULL, &request, &performed, &performed_version, &end),
                 KIVI_INVALID, "an empty key");
    kivi_completion_release(&end);
    kivi_store_unref(store);
}

Test(queue, bad_calls_are_refused_at_once)
{
    kivi_store *store = open_store("memory:?shape=stepped");
    kivi_queue *queue = new_queue();
    kivi_error *error = NULL;
    kivi_request request = KIVI_REQUEST_INIT;
    request.verb = KIVI_VERB_GET;
    cr_assert_eq(kivi_queue_submit(queue, store, NULL, &request, NULL, &error), KIVI_INVALID);
    cr_assert_not_null(error);
    kivi_error_free(error);
    request.verb = 999;
    cr_assert_eq(kivi_queue_submit(queue, store, NULL, &request, NULL, NULL), KIVI_UNSUPPORTED);
    request.verb = KIVI_VERB_GET_MANY;
    request.count = 1; /* without keys */
    cr_assert_eq(kivi_queue_submit(queue, store, NULL, &request, NULL, NULL), KIVI_INVALID);
    kivi_store_close(store);
    request.verb = KIVI_VERB_GET;
    request.key = kivi_str("a");
    cr_assert_eq(kivi_queue_submit(queue, store, NULL, &request, NULL, NULL), KIVI_CLOSED);
    cr_assert_eq(kivi_queue_count(queue), 0);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

Test(queue, an_empty_batch_is_done_at_once)
{
    static const int32_t verbs[] = {KIVI_VERB_GET_MANY, KIVI_VERB_SET_MANY, KIVI_VERB_DELETE_MANY,
                                    KIVI_VERB_APPLY};
    kivi_store *store = open_store("memory:?shape=stepped");
    kivi_queue *queue = new_queue();
    for (size_t i = 0; i < 4; i++) {
        kivi_completion end = ask(queue, store, REQUEST(.verb = verbs[i]));
        cr_assert_eq(end.status, KIVI_OK, "%d", (int)verbs[i]);
        cr_assert_not_null(end.result);
        cr_assert_eq(kivi_result_count(end.result), 0);
        cr_assert_eq(end.integer, 0);
        kivi_completion_release(&end);
    }
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

/* Keys read and written by one call on a key, which may or may not be there. */
static kivi_stats count_verb(kivi_queue *queue, kivi_store *store, int32_t verb)
{
    kivi_stats before = {.struct_size = sizeof(before)}, after = before;
    cr_assert_eq(
        ask_status(NULL, store, REQUEST(.verb = KIVI_VERB_SET, KEY("a"), .value = kivi_str("1"))),
        KIVI_OK);
    cr_assert_eq(kivi_store_stats(store, &before, NULL), KIVI_OK);
    cr_assert_eq(ask_status(queue, store,
                            REQUEST(.verb = verb, KEY("a"), .expected = kivi_str("1"),
                                    .value = kivi_str("2"), .by = 1, .ttl_ms = 1000)),
                 verb == KIVI_VERB_ADD ? KIVI_CONDITION : KIVI_OK);
    cr_assert_eq(kivi_store_stats(store, &after, NULL), KIVI_OK);
    after.reads -= before.reads;
    after.writes -= before.writes;
    after.calls -= before.calls;
    return after;
}

Test(queue, counts_keys_as_a_call_made_at_once_does, .timeout = 60)
{
    kivi_store *store = open_store("memory:?shape=stepped&codec=raw");
    kivi_queue *queue = new_queue();
    for (int32_t verb = KIVI_VERB_GET; verb <= KIVI_VERB_PERSIST; verb++) {
        kivi_stats queued = count_verb(queue, store, verb), once = count_verb(NULL, store, verb);
        cr_expect_eq(queued.reads, once.reads, "verb %d: %d keys read", verb, (int)queued.reads);
        cr_expect_eq(queued.writes, once.writes, "verb %d: %d keys written", verb, (int)queued.writes);
        cr_expect_eq(queued.calls, once.calls, "verb %d: %d calls", verb, (int)queued.calls);
    }
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

/* ---- many in flight ---- */

Test(queue, a_thousand_in_flight_share_vectors, .timeout = 60)
{
    for (size_t i = 0; i < 2; i++) {
        kivi_store *store = open_store(shapes[i]);
        kivi_queue *queue = new_queue();
        for (int n = 0; n < 1000; n++) {
            char key[16];
            kivi_request request = KIVI_REQUEST_INIT;
            snprintf(key, sizeof(key), "k%d", n % 100);
            request.verb = n % 2 ? KIVI_VERB_GET : KIVI_VERB_SET;
            request.key = kivi_str(key);
            request.value = kivi_str("v");
            submit(queue, store, &request);
        }
        cr_assert_gt(kivi_queue_count(queue), 0);
        take_all(queue, 1000, KIVI_OK, KIVI_NOT_FOUND);
        kivi_stats stats = {.struct_size = sizeof(stats)};
        cr_assert_eq(kivi_store_stats(store, &stats, NULL), KIVI_OK);
        cr_assert_geq(stats.calls, 1000);
        cr_assert_lt(stats.vectors, 500, "%s: %llu vectors", shapes[i], (unsigned long long)stats.vectors);
        kivi_queue_close(queue);
        kivi_store_unref(store);
    }
}

Test(queue, more_than_the_limit_is_busy, .timeout = 60)
{
    kivi_store *store = open_store(
        "memory:?shape=stepped&hang_keys=slow&queue_limit=10&timeout=300ms");
    kivi_queue *queue = new_queue();
    kivi_request request = KIVI_REQUEST_INIT;
    kivi_error *error = NULL;
    request.verb = KIVI_VERB_GET;
    request.key = kivi_str("slow");
    for (int i = 0; i < 10; i++)
        submit(queue, store, &request);
    cr_assert_eq(kivi_queue_submit(queue, store, NULL, &request, NULL, &error), KIVI_BUSY);
    kivi_error_free(error);
    cr_assert_eq(take_all(queue, 10, KIVI_TIMEOUT, KIVI_TIMEOUT), 10);
    submit(queue, store, &request);
    take_all(queue, 1, KIVI_TIMEOUT, KIVI_TIMEOUT);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

Test(queue, what_may_be_repeated_is_repeated, .timeout = 60)
{
    kivi_store *store = open_store("memory:?shape=stepped&fail_rate=0.3&partial_rate=0.2&seed=11");
    kivi_queue *queue = new_queue();
    for (int n = 0; n < 300; n++) {
        char key[16];
        kivi_request request = KIVI_REQUEST_INIT;
        snprintf(key, sizeof(key), "k%d", n);
        request.verb = KIVI_VERB_SET;
        request.key = kivi_str(key);
        submit(queue, store, &request);
    }
    cr_assert_eq(take_all(queue, 300, KIVI_OK, KIVI_OK), 300);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

/* ---- one lane for calls of all kinds ---- */

static void *set_directly(void *given)
{
    kivi_store *store = given;
    for (int n = 0; n < 50; n++)
        cr_assert_eq(kivi_store_set(store, NULL, kivi_str("a"), kivi_str("v"), KIVI_TTL_NONE, NULL),
                     KIVI_OK);
    return NULL;
}

/* A batch waits for the lane as a caller does, while others of its queue are given it: neither holds up the other. */
Test(queue, batches_and_single_calls_take_turns, .timeout = 60)
{
    kivi_store *store = open_store("memory:?shape=blocking&lanes=1&latency=1ms");
    kivi_queue *queue = new_queue();
    kivi_slice keys[] = {kivi_str("b"), kivi_str("c")};
    kivi_request one = REQUEST(.struct_size = sizeof(one), .verb = KIVI_VERB_SET, KEY("a"));
    kivi_request many = REQUEST(.struct_size = sizeof(many), .verb = KIVI_VERB_SET_MANY,
                                .keys = keys, .values = keys, .count = 2);
    pthread_t thread;
    pthread_create(&thread, NULL, set_directly, store);
    for (int round = 0; round < 25; round++) {
        submit(queue, store, &one);
        submit(queue, store, &many);
        cr_assert_eq(take_all(queue, 2, KIVI_OK, KIVI_OK), 2);
    }
    pthread_join(thread, NULL);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

/* ---- a storm ---- */

typedef struct storm {
    kivi_store *store;
    kivi_queue *queue;
    _Atomic uint64_t done, uncertain;
    _Atomic int submitting;
} storm;

static void *submit_many(void *given)
{
    storm *all = given;
    uint64_t random = (uint64_t)(uintptr_t)&random | 1;
    for (int i = 0; i < 400; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        kivi_request request = KIVI_REQUEST_INIT;
        kivi_call call = KIVI_CALL_INIT;
        uint64_t ticket;
        call.timeout_ms = 1 + (int64_t)(random >> 8) % 40;
        if (call.timeout_ms < 1)
            call.timeout_ms = 1;
        request.verb = random % 3 ? KIVI_VERB_INCREMENT : KIVI_VERB_GET;
        request.key = kivi_str("sum");
        request.by = 1;
        kivi_status status = kivi_queue_submit(all->queue, all->store, &call, &request, &ticket, NULL);
        cr_assert(status == KIVI_OK || status == KIVI_BUSY);
        if (status == KIVI_OK && random % 7 == 0)
            kivi_queue_cancel(all->queue, ticket);
    }
    atomic_fetch_sub(&all->submitting, 1);
    return NULL;
}

static void *call_directly(void *given)
{
    storm *all = given;
    for (int i = 0; i < 200; i++) {
        kivi_call call = KIVI_CALL_INIT;
        call.timeout_ms = 1 + i % 30;
        kivi_status status = kivi_store_increment(all->store, &call, kivi_str("sum"), 1, 0, NULL, NULL);
        atomic_fetch_add(&all->done, status == KIVI_OK);
        atomic_fetch_add(&all->uncertain, status == KIVI_UNCERTAIN);
    }
    return NULL;
}

static void *take_some(void *given)
{
    storm *all = given;
    kivi_completion ends[16] = {KIVI_COMPLETION_INIT};
    while (atomic_load(&all->submitting) || kivi_queue_count(all->queue)) {
        struct pollfd ready = {.fd = kivi_queue_descriptor(all->queue), .events = POLLIN};
        poll(&ready, 1, 20);
        size_t n = kivi_queue_take(all->queue, ends, 16);
        for (size_t i = 0; i < n; i++) {
            bool adds = ends[i].value.data == NULL && ends[i].status != KIVI_NOT_FOUND &&
                        ends[i].integer > 0;
            atomic_fetch_add(&all->done, adds && ends[i].status == KIVI_OK);
            atomic_fetch_add(&all->uncertain, ends[i].status == KIVI_UNCERTAIN);
            kivi_completion_release(&ends[i]);
        }
    }
    return NULL;
}

static void check_storm(const char *url)
{
    storm all = {.store = open_store(url), .queue = new_queue()};
    pthread_t threads[8];
    atomic_store(&all.submitting, 4);
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL,
                       i < 4   ? submit_many
                       : i < 6 ? call_directly
                               : take_some,
                       &all);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    kivi_queue_close(all.queue);
    int64_t sum = integer_of(all.store, "sum");
    int64_t done = (int64_t)all.done, uncertain = (int64_t)all.uncertain;
    cr_assert(sum >= done && sum <= done + uncertain, "%s: %lld stored, %lld acknowledged, %lld uncertain",
              url, (long long)sum, (long long)done, (long long)uncertain);
    kivi_stats stats = {.struct_size = sizeof(stats)};
    kivi_store_stats(all.store, &stats, NULL);
    cr_assert_eq(stats.lanes_busy, 0);
    cr_assert_eq(stats.waiting, 0);
    kivi_store_unref(all.store);
}

Test(queue, books_balance_after_a_storm, .timeout = 240)
{
    check_storm("memory:?shape=stepped&steps=4&lanes=2&latency=1ms&latency_jitter=3ms&seed=1");
    check_storm("memory:?shape=stepped&steps=4&lanes=3&fail_rate=0.05&uncertain_rate=0.05&hang_"
                "rate=0.01&seed=2");
    check_storm("memory:?shape=blocking&lanes=2&latency=1ms&fail_rate=0.05&uncertain_rate=0.05&"
                "hang_rate=0.01&seed=3");
    check_storm("memory:?group_commit=true&commit_time=2ms&fail_rate=0.05&seed=4");
}
