/* Time in flights, by queue as by call: the times that a session names, and what who leaves a flight is told. */
#include "queue_fixture.h"
#include "scripted_backend.h"

TestSuite(queue_time, .timeout = 60);

/* ---- the time that a session names with its poll ---- */

static uint64_t began_ns;

/* Nothing but its own time ends it; any other step would begin that time anew. */
static kivi_status end_with_its_time(scripted_verb *verb)
{
    if (verb->number > 0)
        return scripted_all_done(verb);
    cr_assert_eq(verb->revents, 0);
    if (verb->steps == 0)
        began_ns = scripted_host->monotonic_ns();
    if (verb->steps < 2)
        return KIVI_PENDING;
    cr_assert_eq(verb->steps, 2);
    cr_assert_geq(scripted_host->monotonic_ns() - began_ns, (uint64_t)script.poll_ns);
    return scripted_all_done(verb);
}

static kivi_store *timed_store(int64_t poll_ns)
{
    script.play = end_with_its_time;
    script.max_lanes = 2;
    script.poll_ns = poll_ns;
    return scripted_store("scripted:?timeout=30s&lanes=2");
}

static kivi_request get_request(const char *key)
{
    kivi_request request = KIVI_REQUEST_INIT;
    request.verb = KIVI_VERB_GET;
    request.key = kivi_str(key);
    return request;
}

Test(queue_time, a_time_beyond_a_slice_comes)
{
    kivi_store *store = timed_store(INT64_C(170000000));
    kivi_queue *queue = new_queue();
    cr_assert_eq(ask_status(queue, store, get_request("key")), KIVI_OK);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

Test(queue_time, other_wakes_do_not_begin_it_anew)
{
    kivi_store *store = timed_store(INT64_C(170000000));
    kivi_queue *queue = new_queue();
    kivi_request request = get_request("key");
    kivi_completion end = KIVI_COMPLETION_INIT;
    uint64_t first = submit(queue, store, &request);
    for (bool ended = false; !ended;) {
        submit(queue, store, &request);
        await(queue);
        cr_assert_eq(kivi_queue_take(queue, &end, 1), 1);
        ended = end.ticket == first;
        cr_assert_eq(end.status, KIVI_OK);
        kivi_completion_release(&end);
        usleep(5000);
    }
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

Test(queue_time, a_call_of_a_thread_keeps_it_as_well)
{
    kivi_store *store = timed_store(INT64_C(170000000));
    caller one;
    caller_start(&one, store, "key", 0, do_get);
    cr_assert_eq(caller_join(&one), KIVI_OK);
    kivi_store_unref(store);
}

/* ---- who leaves a flight ---- */

/* A read holds the only lane until stage 1, so that the writes behind it are one vector; that hangs until stage 2. */
static kivi_status hang_unsent(scripted_verb *verb)
{
    int wanted = verb->reads ? 1 : 2;
    return atomic_load(&script.stage) >= wanted ? scripted_all_done(verb) : KIVI_PENDING;
}

static kivi_status hang_sent(scripted_verb *verb)
{
    if (verb->writes)
        scripted_sent(verb, KIVI_SENT_PARTLY);
    return hang_unsent(verb);
}

/* As a lock of an engine that nobody gives back; nothing is applied. */
static kivi_status block_unsent(scripted_verb *verb)
{
    kivi_status why = KIVI_OK;
    while (!why && (verb->writes || atomic_load(&script.stage) == 0)) {
        why = kivi_wait_check(verb->wait);
        nap();
    }
    if (!why)
        return scripted_all_done(verb);
    return scripted_fail(verb, why, KIVI_RETRY_NO);
}

enum { SETS = 9 };

/* As many writes in one flight. */
static void submit_sets(kivi_queue *queue, kivi_store *store, int64_t timeout_ms, uint64_t *tickets)
{
    kivi_call call = KIVI_CALL_INIT;
    unsigned before = atomic_load(&script.verbs);
    kivi_request plug = get_request("plug");
    call.timeout_ms = timeout_ms;
    atomic_store(&script.stage, 0);
    submit(queue, store, &plug);
    WAIT_UNTIL(atomic_load(&script.verbs) == before + 1);
    for (int i = 0; i < SETS; i++) {
        char key[16];
        kivi_request request = KIVI_REQUEST_INIT;
        snprintf(key, sizeof(key), "k%d", i);
        request.verb = KIVI_VERB_SET;
        request.key = kivi_str(key);
        cr_assert_eq(kivi_queue_submit(queue, store, &call, &request, &tickets[i], NULL), KIVI_OK);
    }
    WAIT_UNTIL(stats_of(store).waiting == SETS);
    atomic_store(&script.stage, 1);
    cr_assert_eq(take_all(queue, 1, KIVI_OK, KIVI_OK), 1);
    WAIT_UNTIL(atomic_load(&script.verbs) == before + 2);
}

static void check_leaving(kivi_status (*play)(scripted_verb *), uint32_t flags, kivi_status late,
                          kivi_status cancelled)
{
    uint64_t tickets[SETS];
    script.play = play;
    script.flags = flags;
    kivi_store *store = scripted_store("scripted:?timeout=30s");
    kivi_queue *queue = new_queue();
    submit_sets(queue, store, 1500, tickets);
    cr_assert_eq(take_all(queue, SETS, late, late), SETS);
    submit_sets(queue, store, KIVI_NO_TIMEOUT, tickets);
    for (int i = 0; i < SETS; i++)
        kivi_queue_cancel(queue, tickets[i]);
    cr_assert_eq(take_all(queue, SETS, cancelled, cancelled), SETS);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

Test(queue_time, of_what_was_not_sent_nothing_is_uncertain)
{
    check_leaving(hang_unsent, 0, KIVI_TIMEOUT, KIVI_CANCELLED);
}

Test(queue_time, of_what_was_sent_all_is_uncertain)
{
    check_leaving(hang_sent, 0, KIVI_UNCERTAIN, KIVI_UNCERTAIN);
}

Test(queue_time, nor_on_an_engine_that_blocks)
{
    check_leaving(block_unsent, KIVI_BACKEND_BLOCKING, KIVI_TIMEOUT, KIVI_CANCELLED);
}

/* What one leaves in the flight of others may yet be sent. */
Test(queue_time, who_leaves_others_behind_cannot_know)
{
    uint64_t tickets[SETS];
    script.play = hang_unsent;
    kivi_store *store = scripted_store("scripted:?timeout=30s");
    kivi_queue *queue = new_queue();
    submit_sets(queue, store, KIVI_NO_TIMEOUT, tickets);
    for (int i = 1; i < SETS; i++)
        kivi_queue_cancel(queue, tickets[i]);
    cr_assert_eq(take_all(queue, SETS - 1, KIVI_UNCERTAIN, KIVI_UNCERTAIN), SETS - 1);
    atomic_store(&script.stage, 2);
    cr_assert_eq(take_all(queue, 1, KIVI_OK, KIVI_OK), 1);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

static kivi_status hold_then_hang(scripted_verb *verb)
{
    if (verb->number == 0)
        return atomic_load(&script.stage) ? scripted_all_done(verb) : KIVI_PENDING;
    return KIVI_PENDING;
}

static uint64_t end_ns;

/* Until end_ns, as seen when the call begins: a thread that began late is not out of time later than the others. */
static kivi_status set_until_end(caller *own)
{
    own->call.timeout_ms = (int64_t)(end_ns - scripted_host->monotonic_ns()) / 1000000;
    return do_set(own);
}

/* Threads whose time is over together: whoever led ends the flight for all, and they hear that nothing was sent. */
Test(queue_time, threads_that_leave_together_know)
{
    caller first, others[4];
    const char *keys[] = {"a", "b", "c", "c"};
    script.play = hold_then_hang;
    kivi_store *store = scripted_store("scripted:?timeout=30s");
    caller_start(&first, store, "first", 0, do_set);
    WAIT_UNTIL(atomic_load(&script.verbs) == 1);
    end_ns = scripted_host->monotonic_ns() + UINT64_C(1500000000);
    for (int i = 0; i < 4; i++)
        caller_queue(&others[i], store, keys[i], 0, set_until_end);
    atomic_store(&script.stage, 1);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    for (int i = 0; i < 4; i++) {
        kivi_status status = caller_join(&others[i]);
        cr_assert_eq(status, KIVI_TIMEOUT, "%d: %s", i, kivi_status_name(status));
    }
    cr_assert_eq(atomic_load(&script.verbs), 2, "the four were not one vector");
    kivi_store_unref(store);
}
