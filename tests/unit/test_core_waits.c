/* Steps that wait by themselves: when they are let, and that nothing is noticed later for it. */
#include "scripted_backend.h"

#include <signal.h>
#include <sys/eventfd.h>

TestSuite(core_waits, .timeout = 30);

static kivi_status get(kivi_store *store, const kivi_call *call)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_error *error = NULL;
    kivi_status status = kivi_store_get(store, call, kivi_str("key"), &value, &error);
    cr_assert_eq(error == NULL, status == KIVI_OK);
    if (error)
        cr_assert_eq(kivi_error_status(error), status);
    kivi_error_free(error);
    kivi_buffer_free(&value);
    return status;
}

/* A store whose steps can wait; its first verb goes by `play`. */
static kivi_store *waiting_store(kivi_status (*play)(scripted_verb *), const char *url)
{
    script.play = play;
    script.poll_flags = KIVI_POLL_MAY_WAIT;
    return scripted_store(url);
}

/* From now on the poll finds something. */
static void make_ready(void)
{
    script.ready_fd = eventfd(1, EFD_CLOEXEC);
    cr_assert_geq(script.ready_fd, 0);
}

/* ---- when a step waits ---- */

/* Nothing is known to be ready right after the verb; then the step is let wait, with that bit alone. */
static kivi_status come_in_the_wait(scripted_verb *verb)
{
    if (verb->steps == 0)
        return KIVI_PENDING;
    cr_assert_eq(verb->revents, verb->steps == 1 ? 0 : KIVI_STEP_WAITS);
    return verb->steps < 2 ? KIVI_PENDING : scripted_all_done(verb);
}

Test(core_waits, a_caller_alone_lets_the_step_wait)
{
    kivi_store *store = waiting_store(come_in_the_wait, "scripted:");
    cr_assert_eq(get(store, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.waits), 1);
    kivi_store_unref(store);
}

/* It does not say whether anything came: between two waits there is a poll that saw something. */
static kivi_status come_late(scripted_verb *verb)
{
    static bool waited;
    bool waits = verb->revents & KIVI_STEP_WAITS;
    cr_assert_not(waited && waits, "two waits without a poll between");
    waited = waits;
    return verb->steps < 7 ? KIVI_PENDING : scripted_all_done(verb);
}

Test(core_waits, waits_and_polls_take_turns)
{
    kivi_store *store = waiting_store(come_late, "scripted:");
    make_ready();
    cr_assert_eq(get(store, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.waits), 3);
    kivi_store_unref(store);
}

static kivi_status come_soon(scripted_verb *verb)
{
    return verb->steps < 3 ? KIVI_PENDING : scripted_all_done(verb);
}

Test(core_waits, not_where_the_session_did_not_say_so)
{
    kivi_store *store = waiting_store(come_soon, "scripted:");
    script.poll_flags = 0;
    cr_assert_eq(get(store, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.waits), 0);
    kivi_store_unref(store);
}

Test(core_waits, not_where_time_counts_as_well)
{
    kivi_store *store = waiting_store(come_soon, "scripted:");
    script.poll_ns = 1000000;
    cr_assert_eq(get(store, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.waits), 0);
    kivi_store_unref(store);
}

Test(core_waits, a_time_that_is_far_away_lets_it_wait)
{
    kivi_store *store = waiting_store(come_in_the_wait, "scripted:");
    script.poll_ns = INT64_C(3600000000000);
    cr_assert_eq(get(store, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.waits), 1);
    kivi_store_unref(store);
}

Test(core_waits, the_thread_of_a_queue_waits_in_no_step)
{
    kivi_store *store = waiting_store(come_soon, "scripted:");
    make_ready();
    kivi_queue *queue = NULL;
    kivi_request request = {.struct_size = sizeof(request), .verb = KIVI_VERB_GET, .key = kivi_str("key")};
    kivi_completion done = {.struct_size = sizeof(done)};
    cr_assert_eq(kivi_queue_new(&queue, NULL), KIVI_OK);
    cr_assert_eq(kivi_queue_submit(queue, store, NULL, &request, NULL, NULL), KIVI_OK);
    struct pollfd ready = {.fd = kivi_queue_descriptor(queue), .events = POLLIN};
    cr_assert_eq(poll(&ready, 1, 20000), 1);
    cr_assert_eq(kivi_queue_take(queue, &done, 1), 1);
    cr_assert_eq(done.status, KIVI_OK);
    cr_assert_eq(atomic_load(&script.waits), 0);
    kivi_completion_release(&done);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

/* ---- what ends the wait ---- */

static kivi_status hang(scripted_verb *verb)
{
    (void)verb;
    return KIVI_PENDING;
}

Test(core_waits, a_nearer_deadline_is_kept_by_the_poll)
{
    kivi_call call = KIVI_CALL_INIT;
    kivi_store *store = waiting_store(hang, "scripted:");
    call.timeout_ms = 30;
    cr_assert_eq(get(store, &call), KIVI_TIMEOUT);
    cr_assert_eq(atomic_load(&script.waits), 0);
    kivi_store_unref(store);
}

Test(core_waits, a_deadline_holds)
{
    kivi_call call = KIVI_CALL_INIT;
    kivi_store *store = waiting_store(hang, "scripted:");
    call.timeout_ms = 130;
    cr_assert_eq(get(store, &call), KIVI_TIMEOUT);
    cr_assert_geq(atomic_load(&script.waits), 1);
    kivi_store_unref(store);
}

Test(core_waits, an_interrupt_is_seen_after_one_wait)
{
    kivi_call call = KIVI_CALL_INIT;
    kivi_store *store = waiting_store(hang, "scripted:");
    call.timeout_ms = KIVI_NO_TIMEOUT;
    call.interrupt = kivi_interrupt_new();
    kivi_interrupt_raise(call.interrupt);
    cr_assert_eq(get(store, &call), KIVI_INTERRUPTED);
    cr_assert_eq(atomic_load(&script.waits), 1);
    kivi_interrupt_free(call.interrupt);
    kivi_store_unref(store);
}

Test(core_waits, an_interrupt_raised_in_mid_wait_ends_the_call)
{
    kivi_store *store = waiting_store(hang, "scripted:");
    kivi_interrupt *interrupt = kivi_interrupt_new();
    caller one = {.store = store, .key = "key", .run = do_get, .call = KIVI_CALL_INIT};
    one.call.timeout_ms = KIVI_NO_TIMEOUT;
    one.call.interrupt = interrupt;
    cr_assert_eq(pthread_create(&one.thread, NULL, caller_main, &one), 0);
    WAIT_UNTIL(atomic_load(&script.waits) == 1);
    kivi_interrupt_raise(interrupt);
    cr_assert_eq(caller_join(&one), KIVI_INTERRUPTED);
    kivi_interrupt_free(interrupt);
    kivi_store_unref(store);
}

Test(core_waits, a_closed_store_ends_it)
{
    kivi_store *store = waiting_store(hang, "scripted:");
    caller one;
    caller_start(&one, store, "key", KIVI_NO_TIMEOUT, do_get);
    WAIT_UNTIL(atomic_load(&script.waits) == 1);
    kivi_store_close(store);
    cr_assert_eq(caller_join(&one), KIVI_CLOSED);
    kivi_store_unref(store);
}

static void do_nothing(int number)
{
    (void)number;
}

static int is_broken_off(void *user)
{
    (void)user;
    return atomic_load(&script.broken_off) > 0;
}

/* The wait would take longer than the case may: the signal ends it, and `interrupted` is asked. */
Test(core_waits, a_signal_breaks_it_off_and_is_asked_about)
{
    kivi_store *store = waiting_store(hang, "scripted:");
    struct sigaction action = {.sa_handler = do_nothing};
    caller one = {.store = store, .key = "key", .run = do_get, .call = KIVI_CALL_INIT};
    sigaction(SIGUSR1, &action, NULL);
    script.wait_ns = INT64_C(3600000000000);
    one.call.timeout_ms = KIVI_NO_TIMEOUT;
    one.call.interrupted = is_broken_off;
    cr_assert_eq(pthread_create(&one.thread, NULL, caller_main, &one), 0);
    WAIT_UNTIL(atomic_load(&script.waits) == 1);
    while (!atomic_load(&script.broken_off)) { /* one that came before the sleep is lost */
        pthread_kill(one.thread, SIGUSR1);
        nap();
    }
    cr_assert_eq(caller_join(&one), KIVI_INTERRUPTED);
    kivi_store_unref(store);
}

/* ---- a peer that is silent ---- */

static kivi_status hang_first(scripted_verb *verb)
{
    return verb->number == 0 ? KIVI_PENDING : scripted_all_done(verb);
}

Test(core_waits, io_timeout_holds)
{
    kivi_store *store = waiting_store(hang_first, "scripted:?io_timeout=120ms&timeout=20s");
    cr_assert_eq(get(store, NULL), KIVI_OK, "the read is asked on another session");
    cr_assert_eq(atomic_load(&script.closed), 1);
    cr_assert_eq(atomic_load(&script.waits), 1, "it waited on though the poll saw nothing");
    kivi_store_unref(store);
}

Test(core_waits, a_silent_peer_costs_a_session_and_no_read)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_page *page = NULL;
    kivi_error *error = NULL;
    script.play = hang_first;
    kivi_store *store = scripted_store("scripted:?io_timeout=60ms");
    cr_assert_eq(kivi_store_get(store, NULL, kivi_str("a"), &value, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.closed), 1);
    kivi_buffer_free(&value);
    atomic_store(&script.verbs, 0);
    cr_assert_eq(kivi_store_page(store, NULL, NULL, &page, &error), KIVI_OK, "%s",
                 kivi_error_message(error));
    cr_assert_eq(atomic_load(&script.closed), 2);
    cr_assert_eq(stats_of(store).reconnects, 2);
    kivi_page_free(page);
    kivi_store_unref(store);
}

static kivi_status hang_first_sent(scripted_verb *verb)
{
    verb->writes->items[0].sent = KIVI_SENT_PARTLY;
    return hang_first(verb);
}

Test(core_waits, a_silent_peer_costs_no_write_of_which_nothing_was_sent)
{
    kivi_slice value = kivi_str("v");
    script.play = hang_first;
    kivi_store *store = scripted_store("scripted:?io_timeout=60ms");
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("a"), value, KIVI_TTL_NONE, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.verbs), 2);
    atomic_store(&script.verbs, 0);
    script.play = hang_first_sent;
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("a"), value, KIVI_TTL_NONE, NULL), KIVI_UNCERTAIN);
    cr_assert_eq(atomic_load(&script.verbs), 1, "it was sent twice");
    kivi_store_unref(store);
}

/* ---- flights of several ---- */

static kivi_status hold_then_come_in_the_wait(scripted_verb *verb)
{
    if (verb->number == 0)
        return atomic_load(&script.stage) == 0 ? KIVI_PENDING : scripted_all_done(verb);
    return verb->revents & KIVI_STEP_WAITS ? scripted_all_done(verb) : KIVI_PENDING;
}

Test(core_waits, a_leader_lets_it_wait_for_all)
{
    kivi_store *store = waiting_store(hold_then_come_in_the_wait, "scripted:");
    caller first, others[3];
    const char *keys[] = {"a", "b", "c"};
    caller_start(&first, store, "first", 0, do_get);
    WAIT_UNTIL(atomic_load(&script.verbs) == 1);
    for (int i = 0; i < 3; i++)
        caller_queue(&others[i], store, keys[i], 0, do_get);
    atomic_store(&script.stage, 1);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(caller_join(&others[i]), KIVI_OK);
    cr_assert_eq(atomic_load(&script.verbs), 2, "the three were not asked together");
    kivi_store_unref(store);
}
