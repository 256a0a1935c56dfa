/* Lanes, step by step: who leads, who leaves, what is asked again, and what each caller is told. */
#include "lanes_fixture.h"

TestSuite(core_lanes, .timeout = 30);

static void expect_idle(kivi_store *store)
{
    kivi_stats stats = stats_of(store);
    cr_assert_eq(stats.lanes_busy, 0);
    cr_assert_eq(stats.waiting, 0);
}

/* ---- items that are answered while their vector goes on ---- */

/* One item fails in mid-flight with what may be repeated; later the whole vector breaks. */
static kivi_status fail_one_then_all(scripted_verb *verb)
{
    if (verb->number > 1)
        return scripted_all_done(verb);
    kivi_write_item *item = verb->writes ? &verb->writes->items[0] : NULL;
    kivi_read_item *read = verb->reads ? &verb->reads->items[0] : NULL;
    kivi_error *error = verb->steps == 2
                            ? scripted_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES, "one item")
                            : NULL;
    if (error && item) {
        item->error = error;
        item->status = KIVI_UNAVAILABLE;
    } else if (error) {
        read->error = error;
        read->status = KIVI_UNAVAILABLE;
    }
    if (verb->steps < 8)
        return KIVI_PENDING;
    /* What the backend has answered stays answered. */
    cr_assert_eq(item ? item->status : read->status, KIVI_UNAVAILABLE);
    return scripted_fail(verb, KIVI_UNAVAILABLE, KIVI_RETRY_YES);
}

static void check_late_failure(kivi_status (*run)(caller *))
{
    kivi_store *store = store_with(fail_one_then_all, "scripted:");
    caller first, others[3];
    const char *keys[] = {"a", "b", "c"};
    start_first(&first, store, run);
    for (int i = 0; i < 3; i++)
        caller_queue(&others[i], store, keys[i], 0, run);
    atomic_store(&script.stage, 1);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(caller_join(&others[i]), KIVI_OK);
    expect_idle(store);
    kivi_store_unref(store);
}

Test(core_lanes, an_item_that_broke_early_is_repeated_though_its_vector_breaks_as_well)
{
    check_late_failure(do_set);
}

Test(core_lanes, the_same_for_reads)
{
    check_late_failure(do_get);
}

/* The leader's own item may be repeated; its vector hangs. It must not wait for the others, nor be told UNCERTAIN. */
static kivi_status fail_leader_and_hang(scripted_verb *verb)
{
    if (verb->number > 1)
        return scripted_all_done(verb);
    kivi_write_item *item = &verb->writes->items[0];
    if (verb->steps == 1) {
        item->error = scripted_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES, "one item");
        item->status = KIVI_UNAVAILABLE;
    }
    if (atomic_load(&script.stage) < 2)
        return KIVI_PENDING;
    return scripted_all_done(verb);
}

Test(core_lanes, a_leader_whose_item_broke_hands_on)
{
    script.max_lanes = 2;
    kivi_store *store = store_with(fail_leader_and_hang, "scripted:?lanes=1");
    caller first, leader, follower;
    start_first(&first, store, do_set);
    caller_queue(&leader, store, "a", 0, do_set);
    caller_queue(&follower, store, "b", 0, do_set);
    atomic_store(&script.stage, 1);
    /* The leader asks again by itself: it queues. */
    WAIT_UNTIL(atomic_load(&script.verbs) == 2 && stats_of(store).waiting == 1);
    atomic_store(&script.stage, 2);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    cr_assert_eq(caller_join(&leader), KIVI_OK);
    cr_assert_eq(caller_join(&follower), KIVI_OK);
    cr_assert_eq(atomic_load(&script.closed), 0, "nothing had to be condemned");
    kivi_store_unref(store);
}

/* ---- leaving ---- */

static void check_leaving_leader(kivi_status (*run)(caller *), kivi_status expected)
{
    kivi_store *store = store_with(send_and_hang, "scripted:");
    caller first, leader, follower;
    start_first(&first, store, run);
    caller_queue(&leader, store, "a", 200, run);
    caller_queue(&follower, store, "b", 10000, run);
    atomic_store(&script.stage, 1);
    cr_assert_eq(caller_join(&leader), expected);
    cr_assert_eq(atomic_load(&script.closed), 0, "the follower goes on with the session");
    atomic_store(&script.stage, 2);
    cr_assert_eq(caller_join(&follower), KIVI_OK);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    cr_assert_eq(atomic_load(&script.verbs), 2);
    expect_idle(store);
    kivi_store_unref(store);
}

Test(core_lanes, a_leader_that_leaves_hands_its_writes_on)
{
    check_leaving_leader(do_set, KIVI_UNCERTAIN);
}

Test(core_lanes, a_leader_that_leaves_hands_its_reads_on)
{
    check_leaving_leader(do_get, KIVI_TIMEOUT);
}

Test(core_lanes, a_flight_that_all_left_is_condemned)
{
    kivi_store *store = store_with(send_and_hang, "scripted:");
    caller first, others[3];
    const char *keys[] = {"a", "b", "c"};
    start_first(&first, store, do_get);
    for (int i = 0; i < 3; i++)
        caller_queue(&others[i], store, keys[i], 150 + 20 * i, do_get);
    atomic_store(&script.stage, 1);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(caller_join(&others[i]), KIVI_TIMEOUT);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    WAIT_UNTIL(stats_of(store).lanes_busy == 0);
    cr_assert_eq(atomic_load(&script.closed), 1);
    kivi_store_unref(store);
}

Test(core_lanes, who_leaves_the_queue_was_never_sent)
{
    kivi_store *store = store_with(NULL, "scripted:");
    caller first, waiter;
    start_first(&first, store, do_set);
    caller_queue(&waiter, store, "a", 30, do_set);
    cr_assert_eq(caller_join(&waiter), KIVI_TIMEOUT);
    atomic_store(&script.stage, 1);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    cr_assert_eq(atomic_load(&script.verbs), 1);
    expect_idle(store);
    kivi_store_unref(store);
}

static void check_closing(kivi_sent sent, kivi_status expected)
{
    kivi_store *store = store_with(sent ? send_and_hang : NULL, "scripted:");
    caller first, others[2];
    start_first(&first, store, do_set);
    caller_queue(&others[0], store, "a", 0, do_set);
    caller_queue(&others[1], store, "b", 0, do_set);
    if (sent) {
        atomic_store(&script.stage, 1);
        WAIT_UNTIL(atomic_load(&script.verbs) == 2);
        nap();
    }
    kivi_store_close(store);
    kivi_store_close(store);
    cr_assert_eq(caller_join(&others[0]), expected);
    cr_assert_eq(caller_join(&others[1]), expected);
    cr_assert_eq(caller_join(&first), sent ? KIVI_OK : KIVI_CLOSED);
    kivi_store_unref(store);
}

Test(core_lanes, close_ends_those_that_wait)
{
    check_closing(KIVI_SENT_NOTHING, KIVI_CLOSED);
}

Test(core_lanes, close_leaves_sent_writes_uncertain)
{
    check_closing(KIVI_SENT_WHOLLY, KIVI_UNCERTAIN);
}

/* ---- what is asked again ---- */

/* A request was answered for no item; its repeat breaks before anything left. */
static kivi_status leave_over_then_break(scripted_verb *verb)
{
    if (verb->number == 0) {
        scripted_sent(verb, KIVI_SENT_WHOLLY);
        return KIVI_OK;
    }
    if (verb->number == 1)
        return scripted_fail(verb, KIVI_UNAVAILABLE, KIVI_RETRY_YES);
    return scripted_all_done(verb);
}

Test(core_lanes, what_the_request_before_sent_does_not_count)
{
    script.play = leave_over_then_break;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("a"), kivi_str("v"), 0, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.verbs), 3);
    kivi_store_unref(store);
}

static kivi_status refuse_whole_then_break(scripted_verb *verb)
{
    if (verb->number == 0) {
        scripted_sent(verb, KIVI_SENT_WHOLLY);
        return scripted_fail(verb, KIVI_INVALID, KIVI_RETRY_YES);
    }
    if (verb->number == 1)
        return scripted_fail(verb, KIVI_UNAVAILABLE, KIVI_RETRY_YES);
    return scripted_all_done(verb);
}

Test(core_lanes, what_the_refused_whole_sent_does_not_count_for_its_halves)
{
    const kivi_slice keys[] = {kivi_str("a"), kivi_str("b"), kivi_str("c")};
    kivi_result *result = NULL;
    script.play = refuse_whole_then_break;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_set_many(store, NULL, keys, keys, 3, 0, &result, NULL), KIVI_OK);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(kivi_result_status(result, i), KIVI_OK);
    kivi_result_free(result);
    kivi_store_unref(store);
}

/* Halves until the culprit is alone, and leaves the others over once. */
static kivi_status refuse_culprit(scripted_verb *verb)
{
    kivi_write_vector *writes = verb->writes;
    for (size_t i = 0; i < writes->count; i++) {
        if (strncmp(writes->items[i].key.data, "bad", 3) != 0)
            continue;
        if (writes->count > 1)
            return scripted_fail(verb, KIVI_INVALID, KIVI_RETRY_YES);
        writes->items[i].error = scripted_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "the culprit");
        writes->items[i].status = KIVI_INVALID;
        return KIVI_OK;
    }
    if (atomic_fetch_add(&script.stage, 1) == 0)
        return KIVI_OK;
    return scripted_all_done(verb);
}

Test(core_lanes, halving_finds_the_culprit_and_asks_leftovers_again)
{
    const kivi_slice keys[] = {kivi_str("a"), kivi_str("bad"), kivi_str("c"), kivi_str("d"),
                               kivi_str("e")};
    kivi_result *result = NULL;
    kivi_error *error = NULL;
    script.play = refuse_culprit;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_set_many(store, NULL, keys, keys, 5, 0, &result, &error), KIVI_INVALID);
    cr_assert_str_eq(kivi_error_message(error), "the culprit");
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(kivi_result_status(result, i), i == 1 ? KIVI_INVALID : KIVI_OK, "item %zu", i);
    kivi_error_free(error);
    kivi_result_free(result);
    kivi_store_unref(store);
}

static kivi_status say_interrupted(scripted_verb *verb)
{
    return scripted_fail(verb, KIVI_INTERRUPTED, KIVI_RETRY_YES);
}

Test(core_lanes, somebody_elses_interrupt_is_no_answer)
{
    kivi_call call = KIVI_CALL_INIT;
    kivi_error *error = NULL;
    bool exists;
    call.timeout_ms = 60;
    script.play = say_interrupted;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_set(store, &call, kivi_str("a"), kivi_str("v"), 0, &error), KIVI_TIMEOUT);
    cr_assert_eq(kivi_error_status(error), KIVI_TIMEOUT);
    kivi_error_free(error);
    cr_assert_eq(kivi_store_exists(store, &call, kivi_str("a"), &exists, NULL), KIVI_TIMEOUT);
    kivi_store_unref(store);
}

/* ---- writes that were cut off ---- */

static kivi_status cut_status;
static kivi_retryable cut_retryable;
static kivi_sent cut_sent;
static bool cut_item, cut_silent;

static kivi_status cut(scripted_verb *verb)
{
    if (verb->number > 0)
        return scripted_all_done(verb);
    scripted_sent(verb, cut_sent);
    if (!cut_item)
        return scripted_fail(verb, cut_status, cut_retryable);
    kivi_error *error = cut_silent ? NULL : scripted_host->error(cut_status, 0, cut_retryable, "cut");
    if (verb->writes) {
        verb->writes->items[0].error = error;
        verb->writes->items[0].status = cut_status;
    } else {
        verb->reads->items[0].error = error;
        verb->reads->items[0].status = cut_status;
    }
    return KIVI_OK;
}

static void check_cut(bool of_item, bool silent, kivi_status status, kivi_retryable retryable,
                      kivi_sent sent, kivi_status write_expected, kivi_status read_expected)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_error *error = NULL;
    cut_status = status;
    cut_retryable = retryable;
    cut_sent = sent;
    cut_item = of_item;
    cut_silent = silent;
    script.play = cut;
    kivi_store *store = scripted_store("scripted:");
    atomic_store(&script.verbs, 0);
    kivi_status found = kivi_store_set(store, NULL, kivi_str("a"), kivi_str("v"), 0, &error);
    cr_assert_eq(found, write_expected, "status %d retryable %d sent %d: set answered %d", status,
                 retryable, sent, found);
    cr_assert_eq(kivi_error_status(error), found);
    cr_assert_eq(atomic_load(&script.verbs), found == KIVI_OK ? 2 : 1, "repeated though it was sent");
    if (found == KIVI_UNCERTAIN)
        cr_assert_eq(kivi_error_retryable(error), KIVI_RETRY_IF_IDEMPOTENT);
    kivi_error_free(error);
    error = NULL;
    atomic_store(&script.verbs, 0);
    found = kivi_store_get(store, NULL, kivi_str("a"), &value, &error);
    cr_assert_eq(found, read_expected, "status %d retryable %d sent %d: get answered %d", status,
                 retryable, sent, found);
    kivi_error_free(error);
    kivi_buffer_free(&value);
    kivi_store_unref(store);
}

Test(core_lanes, what_a_cut_off_write_answers)
{
    for (int of_item = 0; of_item < 2; of_item++) {
        bool item = of_item;
        check_cut(item, false, KIVI_UNAVAILABLE, KIVI_RETRY_YES, KIVI_SENT_NOTHING, KIVI_OK, KIVI_OK);
        check_cut(item, false, KIVI_UNAVAILABLE, KIVI_RETRY_IF_IDEMPOTENT, KIVI_SENT_PARTLY,
                  KIVI_UNCERTAIN, KIVI_OK);
        check_cut(item, false, KIVI_UNAVAILABLE, KIVI_RETRY_IF_IDEMPOTENT, KIVI_SENT_WHOLLY,
                  KIVI_UNCERTAIN, KIVI_OK);
        check_cut(item, false, KIVI_UNAVAILABLE, KIVI_RETRY_LATER, KIVI_SENT_NOTHING,
                  KIVI_UNAVAILABLE, KIVI_UNAVAILABLE);
        check_cut(item, false, KIVI_TIMEOUT, KIVI_RETRY_IF_IDEMPOTENT, KIVI_SENT_WHOLLY,
                  KIVI_UNCERTAIN, KIVI_OK);
        check_cut(item, false, KIVI_DENIED, KIVI_RETRY_NO, KIVI_SENT_WHOLLY, KIVI_DENIED, KIVI_DENIED);
        check_cut(item, false, KIVI_IO, KIVI_RETRY_IF_IDEMPOTENT, KIVI_SENT_WHOLLY, KIVI_UNCERTAIN,
                  KIVI_IO);
    }
    check_cut(true, true, KIVI_UNAVAILABLE, KIVI_RETRY_NO, KIVI_SENT_WHOLLY, KIVI_UNCERTAIN,
              KIVI_UNAVAILABLE);
}
