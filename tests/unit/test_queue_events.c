/* The event hook of stores used through a queue: what it is told of calls, repeats and flights, and what it may do. */
#include "events_fixture.h"
#include "queue_fixture.h"
#include "scripted_backend.h"

TestSuite(queue_events, .timeout = 60);

/* What the hook does by itself. */
static struct {
    _Atomic unsigned vectors, retries;
    kivi_queue *queue;
    kivi_store *store;
    _Atomic bool held;            /* the hook waits */
    _Atomic unsigned from_inside; /* calls that it still makes, and as many that it submits */
    _Atomic bool closes;          /* the store */
} heard;

static void use_the_store(void)
{
    static _Thread_local bool inside;
    kivi_request request = {.struct_size = sizeof(request), .verb = KIVI_VERB_SET, KEY("inside")};
    if (inside || !atomic_load(&heard.from_inside))
        return;
    inside = true;
    atomic_fetch_sub(&heard.from_inside, 1);
    kivi_status status = kivi_store_set(heard.store, NULL, kivi_str("inside"), kivi_str("v"), 0, NULL);
    cr_assert_eq(status, KIVI_OK, "a call from inside: %s", kivi_status_name(status));
    submit(heard.queue, heard.store, &request);
    inside = false;
}

static void hear(const kivi_event *event, void *user)
{
    cr_assert(user == &heard);
    note_event(event);
    if (event->type == KIVI_EVENT_RETRY)
        atomic_fetch_add(&heard.retries, 1);
    if (event->type != KIVI_EVENT_VECTOR)
        return;
    WAIT_UNTIL(!atomic_load(&heard.held));
    use_the_store();
    if (atomic_load(&heard.closes))
        kivi_store_close(heard.store);
    atomic_fetch_add(&heard.vectors, 1);
}

static void open_heard(const char *url)
{
    kivi_options *options = kivi_options_new();
    kivi_options_on_event(options, hear, &heard);
    heard.store = scripted_store_with(url, options);
    heard.queue = new_queue();
    kivi_options_free(options);
}

static void close_heard(void)
{
    kivi_queue_close(heard.queue);
    kivi_store_unref(heard.store);
}

static void submit_traced(kivi_request request, const void *trace)
{
    kivi_call call = KIVI_CALL_INIT;
    call.trace = trace;
    request.struct_size = sizeof(request);
    cr_assert_eq(kivi_queue_submit(heard.queue, heard.store, &call, &request, NULL, NULL), KIVI_OK);
}

static void submit_sets(int count)
{
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        submit_traced(REQUEST(.verb = KIVI_VERB_SET, .key = kivi_str(key)), NULL);
    }
}

static void take_any(size_t count)
{
    kivi_completion end = KIVI_COMPLETION_INIT;
    while (count--) {
        await(heard.queue);
        cr_assert_eq(kivi_queue_take(heard.queue, &end, 1), 1);
        kivi_completion_release(&end);
    }
}

/* Closes the queue, then nothing is untold: as many vectors as the store counts. */
static void expect_all_vectors(void)
{
    kivi_queue_close(heard.queue);
    kivi_stats stats = stats_of(heard.store);
    cr_assert_gt(stats.vectors, 0);
    cr_assert_eq(atomic_load(&heard.vectors), stats.vectors);
    kivi_store_unref(heard.store);
}

/* ---- vectors ---- */

static kivi_status fail_third(scripted_verb *verb)
{
    return verb->number == 2 ? scripted_fail(verb, KIVI_IO, KIVI_RETRY_NO) : scripted_all_done(verb);
}

static void check_vectors(const char *url)
{
    int trace;
    open_heard(url);
    submit_traced(REQUEST(.verb = KIVI_VERB_SET, KEY("a"), .value = kivi_str("v")), &trace);
    take_all(heard.queue, 1, KIVI_OK, KIVI_OK);
    submit_traced(REQUEST(.verb = KIVI_VERB_TTL, KEY("a")), &trace);
    take_all(heard.queue, 1, KIVI_OK, KIVI_OK);
    submit_traced(REQUEST(.verb = KIVI_VERB_SET, KEY("a")), &trace);
    take_all(heard.queue, 1, KIVI_IO, KIVI_IO);
    WAIT_UNTIL(find_told(KIVI_EVENT_VECTOR, 2));
    static const char *const verbs[] = {"write", "read", "write"}, *const calls[] = {"set", "ttl", "set"};
    for (size_t i = 0; i < 3; i++) {
        const told *vector = find_told(KIVI_EVENT_VECTOR, i), *call = find_told(KIVI_EVENT_CALL, i);
        cr_assert_str_eq(vector->verb, verbs[i]);
        cr_assert_eq(vector->status, i == 2 ? KIVI_IO : KIVI_OK);
        cr_assert_eq(vector->items, 1);
        cr_assert_gt(vector->duration_ns, 0);
        cr_assert_null(vector->trace, "of whichever calls it served");
        cr_assert_not(pthread_equal(vector->thread, pthread_self()));
        cr_assert_str_eq(call->verb, calls[i]);
        cr_assert_eq(call->status, vector->status);
        cr_assert(call->trace == &trace && pthread_equal(call->thread, pthread_self()));
    }
    cr_assert_null(find_told(KIVI_EVENT_VECTOR, 3));
    expect_all_vectors();
}

Test(queue_events, vectors_of_a_stepped_store)
{
    script.play = fail_third;
    check_vectors("scripted:");
}

Test(queue_events, vectors_of_a_blocking_store)
{
    script.play = fail_third;
    script.flags = KIVI_BACKEND_BLOCKING;
    check_vectors("scripted:");
}

/* Of many calls in few flights, and of flights that were cut off. */
Test(queue_events, every_vector_until_the_queue_is_closed)
{
    static const char *const urls[] = {"memory:?shape=stepped&lanes=2", "memory:?shape=blocking&lanes=2",
                                       "memory:?shape=stepped&hang_keys=k7&timeout=200ms",
                                       "memory:?shape=blocking&hang_keys=k7&timeout=200ms"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        atomic_store(&heard.vectors, 0);
        open_heard(urls[i]);
        submit_sets(500);
        take_any(500);
        expect_all_vectors();
    }
}

/* ---- repeats ---- */

static kivi_status break_twice(scripted_verb *verb)
{
    return verb->number < 2 ? scripted_fail(verb, KIVI_UNAVAILABLE, KIVI_RETRY_YES)
                            : scripted_all_done(verb);
}

static void check_repeats(void)
{
    int trace;
    script.play = break_twice;
    open_heard("scripted:");
    submit_traced(REQUEST(.verb = KIVI_VERB_SET, KEY("a")), &trace);
    take_all(heard.queue, 1, KIVI_OK, KIVI_OK);
    WAIT_UNTIL(find_told(KIVI_EVENT_VECTOR, 2));
    const told *call = find_told(KIVI_EVENT_CALL, 0);
    for (unsigned i = 0; i < 2; i++) {
        const told *retry = find_told(KIVI_EVENT_RETRY, i);
        cr_assert_not_null(retry);
        cr_assert_eq(retry->attempt, i + 1);
        cr_assert_str_eq(retry->verb, "set");
        cr_assert_eq(retry->items, 1);
        cr_assert_eq(retry->trace, &trace);
        cr_assert_lt(retry, call, "the call is told last");
    }
    cr_assert_null(find_told(KIVI_EVENT_RETRY, 2));
    cr_assert_null(find_told(KIVI_EVENT_CALL, 1));
    cr_assert_eq(find_told(KIVI_EVENT_RECONNECT, 0)->items, 2);
    cr_assert_eq(find_told(KIVI_EVENT_VECTOR, 0)->status, KIVI_UNAVAILABLE);
    cr_assert_eq(find_told(KIVI_EVENT_VECTOR, 1)->status, KIVI_UNAVAILABLE);
    cr_assert_eq(find_told(KIVI_EVENT_VECTOR, 2)->status, KIVI_OK);
    cr_assert_eq(stats_of(heard.store).retries, 2);
    close_heard();
}

Test(queue_events, repeats_on_a_stepped_store)
{
    check_repeats();
}

Test(queue_events, repeats_on_a_blocking_store)
{
    script.flags = KIVI_BACKEND_BLOCKING;
    check_repeats();
}

static kivi_status always_break(scripted_verb *verb)
{
    return scripted_fail(verb, KIVI_UNAVAILABLE, KIVI_RETRY_YES);
}

/* Only what was asked again: the last pause ends with the call. */
Test(queue_events, repeats_of_a_call_that_runs_out_of_time)
{
    script.play = always_break;
    open_heard("scripted:?timeout=200ms");
    submit_traced(REQUEST(.verb = KIVI_VERB_SET, KEY("a")), NULL);
    take_all(heard.queue, 1, KIVI_UNAVAILABLE, KIVI_TIMEOUT);
    /* The last repeat has no verb where time runs out between the two. */
    unsigned retries = (unsigned)atomic_load(&heard.retries),
             verbs = (unsigned)atomic_load(&script.verbs);
    cr_assert(retries + 1 == verbs || retries == verbs, "%u repeats, %u verbs", retries, verbs);
    cr_assert_eq(stats_of(heard.store).retries, retries);
    close_heard();
}

Test(queue_events, repeats_are_as_many_as_the_store_counts)
{
    static const char *const urls[] = {
        "memory:?shape=stepped&fail_rate=0.3&partial_rate=0.2&seed=11",
        "memory:?shape=blocking&fail_rate=0.3&partial_rate=0.2&seed=11"};
    for (size_t i = 0; i < 2; i++) {
        atomic_store(&heard.vectors, 0);
        atomic_store(&heard.retries, 0);
        open_heard(urls[i]);
        for (int n = 0; n < 100; n++)
            cr_assert_eq(ask_status(heard.queue, heard.store, REQUEST(.verb = KIVI_VERB_SET, KEY("a"))),
                         KIVI_OK);
        cr_assert_gt(atomic_load(&heard.retries), 0);
        cr_assert_eq(atomic_load(&heard.retries), stats_of(heard.store).retries);
        expect_all_vectors();
    }
}

/* Additions that overflow together are asked again one by one, as jobs: told on the thread that makes these. */
Test(queue_events, repeats_as_a_job)
{
    open_heard("memory:?shape=stepped&lanes=1");
    for (int round = 0; !atomic_load(&heard.retries); round++) {
        char key[16];
        snprintf(key, sizeof(key), "n%d", round);
        kivi_request request = REQUEST(.verb = KIVI_VERB_INCREMENT, .key = kivi_str(key));
        request.by = INT64_MAX - 5;
        cr_assert_eq(ask_status(heard.queue, heard.store, request), KIVI_OK);
        request.by = 4;
        kivi_queue_hold(heard.queue, true); /* together, but for the stepper's looking up in between */
        submit_traced(request, NULL);
        submit_traced(request, NULL);
        kivi_queue_hold(heard.queue, false);
        cr_assert_eq(take_all(heard.queue, 2, KIVI_OK, KIVI_OVERFLOW), 1);
    }
    cr_assert_eq(atomic_load(&heard.retries), 2);
    cr_assert_eq(stats_of(heard.store).retries, 2);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_str_eq(find_told(KIVI_EVENT_RETRY, i)->verb, "increment");
        cr_assert_not(pthread_equal(find_told(KIVI_EVENT_RETRY, i)->thread, pthread_self()));
    }
    expect_all_vectors();
}

/* ---- what a hook may do ---- */

/* The only lane goes from flight to flight of the queue's, and those from inside wait for it like others. */
static void check_use_from_inside(const char *url)
{
    atomic_store(&heard.from_inside, 20);
    open_heard(url);
    submit_sets(1000);
    take_all(heard.queue, 1020, KIVI_OK, KIVI_OK);
    close_heard();
}

Test(queue_events, a_hook_may_call_the_store_and_submit)
{
    check_use_from_inside("memory:?shape=stepped&lanes=1&latency=1ms");
    check_use_from_inside("memory:?shape=blocking&lanes=1&latency=1ms");
}

Test(queue_events, a_hook_may_close_the_store)
{
    kivi_request request = {.struct_size = sizeof(request), .verb = KIVI_VERB_GET, KEY("slow")};
    atomic_store(&heard.closes, true);
    open_heard("memory:?shape=stepped&hang_keys=slow&timeout=60s");
    submit_traced(request, NULL);
    submit_sets(1);
    take_all(heard.queue, 2, KIVI_OK, KIVI_CLOSED);
    cr_assert_eq(kivi_queue_submit(heard.queue, heard.store, NULL, &request, NULL, NULL), KIVI_CLOSED);
    close_heard();
}

/* A hook that does not come back holds up no call, and what it is not told does not pile up for ever. */
Test(queue_events, a_slow_hook_holds_up_no_call)
{
    kivi_request request = REQUEST(.verb = KIVI_VERB_SET, KEY("a"));
    open_heard("memory:?shape=stepped");
    atomic_store(&heard.held, true);
    cr_assert_eq(ask_status(heard.queue, heard.store, request), KIVI_OK);
    WAIT_UNTIL(find_told(KIVI_EVENT_VECTOR, 0));
    for (int i = 0; i < 11000; i++)
        cr_assert_eq(ask_status(heard.queue, heard.store, request), KIVI_OK);
    WAIT_UNTIL(stats_of(heard.store).vectors == 11001);
    atomic_store(&heard.held, false);
    kivi_queue_close(heard.queue);
    cr_assert_eq(atomic_load(&heard.vectors), 10001, "and the one that it was told first");
    kivi_store_unref(heard.store);
}

/* ---- sizes ---- */

static _Atomic uint64_t largest, served;

static void weigh(const kivi_event *event, void *user)
{
    (void)user;
    if (event->type != KIVI_EVENT_VECTOR)
        return;
    atomic_fetch_add(&served, event->items);
    uint64_t most = atomic_load(&largest);
    while (event->items > most && !atomic_compare_exchange_weak(&largest, &most, event->items))
        ;
}

/* However many wait: vectors are no larger than those of threads, and a take is no more than was asked for. */
static void expect_bounded(const char *url)
{
    enum { CALLS = 2000 };
    static char keys[CALLS][16];
    kivi_options *options = kivi_options_new();
    kivi_store *store = NULL;
    kivi_queue *queue = new_queue();
    kivi_completion ends[10] = {KIVI_COMPLETION_INIT};
    size_t taken = 0;
    atomic_store(&largest, 0);
    atomic_store(&served, 0);
    kivi_options_on_event(options, weigh, NULL);
    cr_assert_eq(kivi_store_open(url, NULL, options, &store, NULL), KIVI_OK);
    kivi_options_free(options);
    for (int i = 0; i < CALLS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%d", i);
        kivi_request set = {.struct_size = sizeof(set), .verb = KIVI_VERB_SET, .key = kivi_str(keys[i])};
        submit(queue, store, &set);
    }
    while (taken < CALLS) {
        await(queue);
        size_t count = kivi_queue_take(queue, ends, 10);
        cr_assert_leq(count, 10);
        taken += count;
        cr_assert_eq(kivi_queue_count(queue), CALLS - taken);
        for (size_t i = 0; i < count; i++)
            kivi_completion_release(&ends[i]);
    }
    kivi_queue_close(queue); /* waits until all is told */
    cr_assert_eq(atomic_load(&served), CALLS);
    cr_assert_leq(atomic_load(&largest), 256, "%s: a vector of %llu", url,
                  (unsigned long long)atomic_load(&largest));
    kivi_store_unref(store);
}

Test(queue_events, vectors_are_bounded_whatever_waits)
{
    expect_bounded("memory:?shape=stepped&latency=2ms&timeout=60s");
    expect_bounded("memory:?shape=blocking&latency=2ms&timeout=60s");
    expect_bounded("memory:?timeout=60s");
}
