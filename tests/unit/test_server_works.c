/* Servers that are at work: silence that does not count, BUSY, and deadlines that a verb reads. */
#include "queue_fixture.h"
#include "scripted_backend.h"

TestSuite(server_works, .timeout = 60);

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- at work ---- */

static uint64_t silent_until;

/* Nothing comes for 300 ms: three times io_timeout. */
static kivi_status play_silence(scripted_verb *verb)
{
    if (verb->steps == 0)
        silent_until = now_ns() + 300000000;
    return now_ns() < silent_until ? KIVI_PENDING : scripted_all_done(verb);
}

static kivi_status silent_get(kivi_queue *queue, uint32_t flags)
{
    script.play = play_silence;
    script.poll_ns = 10000000;
    script.poll_flags = flags;
    kivi_store *store = scripted_store("scripted:?io_timeout=100ms&timeout=150ms");
    kivi_call call = KIVI_CALL_INIT;
    kivi_request get = {.struct_size = sizeof(get), .verb = KIVI_VERB_GET, .key = kivi_str("k")};
    kivi_completion end = KIVI_COMPLETION_INIT;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_status status;
    call.timeout_ms = flags & KIVI_POLL_AT_WORK ? 20000 : 150;
    if (queue) {
        cr_assert_eq(kivi_queue_submit(queue, store, &call, &get, NULL, NULL), KIVI_OK);
        await(queue);
        cr_assert_eq(kivi_queue_take(queue, &end, 1), 1);
        status = end.status;
        kivi_completion_release(&end);
    } else {
        status = kivi_store_get(store, &call, kivi_str("k"), &value, NULL);
    }
    kivi_buffer_free(&value);
    kivi_store_unref(store);
    return status;
}

Test(server_works, a_peer_at_work_is_not_taken_for_dead)
{
    cr_assert_eq(silent_get(NULL, KIVI_POLL_AT_WORK), KIVI_OK);
    cr_assert_eq(script.closed, 1, "the session lived as long as the store");
    kivi_queue *queue = new_queue();
    cr_assert_eq(silent_get(queue, KIVI_POLL_AT_WORK), KIVI_OK);
    kivi_queue_close(queue);
    cr_assert_eq(script.sessions, 2);
}

Test(server_works, without_the_flag_it_is)
{
    kivi_status status = silent_get(NULL, 0);
    cr_assert(status == KIVI_UNAVAILABLE || status == KIVI_TIMEOUT, "%s", kivi_status_name(status));
    cr_assert_geq(script.sessions, 1);
}

Test(server_works, the_callers_deadline_counts_all_the_same)
{
    script.play = play_silence;
    script.poll_flags = KIVI_POLL_AT_WORK;
    script.poll_ns = 1000000;
    kivi_store *store = scripted_store("scripted:?io_timeout=10ms");
    kivi_call call = KIVI_CALL_INIT;
    kivi_buffer value = KIVI_BUFFER_INIT;
    call.timeout_ms = 60;
    cr_assert_eq(kivi_store_get(store, &call, kivi_str("k"), &value, NULL), KIVI_TIMEOUT);
    kivi_buffer_free(&value);
    kivi_store_unref(store);
}

/* ---- deadlines ---- */

static uint64_t seen;

static kivi_status play_deadline(scripted_verb *verb)
{
    if (verb->steps)
        return scripted_all_done(verb);
    seen = kivi_wait_deadline(verb->wait);
    return KIVI_PENDING;
}

static void expect_deadline(kivi_queue *queue, int64_t timeout_ms)
{
    kivi_store *store = scripted_store("scripted:");
    kivi_call call = KIVI_CALL_INIT;
    kivi_request set = {.struct_size = sizeof(set), .verb = KIVI_VERB_SET, .key = kivi_str("k")};
    kivi_completion end = KIVI_COMPLETION_INIT;
    uint64_t before = now_ns();
    call.timeout_ms = timeout_ms;
    if (queue) {
        cr_assert_eq(kivi_queue_submit(queue, store, &call, &set, NULL, NULL), KIVI_OK);
        await(queue);
        cr_assert_eq(kivi_queue_take(queue, &end, 1), 1);
        cr_assert_eq(end.status, KIVI_OK);
        kivi_completion_release(&end);
    } else {
        cr_assert_eq(kivi_store_set(store, &call, kivi_str("k"), kivi_str(""), 0, NULL), KIVI_OK);
    }
    kivi_store_unref(store);
    if (timeout_ms == KIVI_NO_TIMEOUT) {
        cr_assert_eq(seen, UINT64_MAX);
        return;
    }
    cr_assert_geq(seen, before + (uint64_t)timeout_ms * 1000000);
    cr_assert_leq(seen, now_ns() + (uint64_t)(timeout_ms + 500) * 1000000);
}

Test(server_works, a_stepped_verb_reads_its_deadline_when_it_begins)
{
    script.play = play_deadline;
    kivi_queue *queue = new_queue();
    expect_deadline(NULL, 7000);
    expect_deadline(queue, 7000);
    expect_deadline(NULL, KIVI_NO_TIMEOUT);
    expect_deadline(queue, KIVI_NO_TIMEOUT);
    kivi_queue_close(queue);
}

/* ---- BUSY ---- */

/* A statement is refused whole while it has the key "held". */
static kivi_status play_lock(scripted_verb *verb)
{
    for (size_t i = 0; verb->writes && i < verb->writes->count; i++)
        if (!memcmp(verb->writes->items[i].key.data, "held", 4))
            return scripted_fail(verb, KIVI_BUSY, KIVI_RETRY_YES);
    return scripted_all_done(verb);
}

Test(server_works, busy_halves_a_vector_until_the_held_key_is_alone)
{
    kivi_slice keys[] = {kivi_str("a001"), kivi_str("b001"), kivi_str("held"), kivi_str("z001")};
    kivi_slice values[] = {kivi_str("1"), kivi_str("2"), kivi_str("3"), kivi_str("4")};
    kivi_result *result = NULL;
    script.play = play_lock;
    kivi_store *store = scripted_store("scripted:");
    kivi_store_set_many(store, NULL, keys, values, 4, 0, &result, NULL);
    cr_assert_not_null(result);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(kivi_result_status(result, i), i == 2 ? KIVI_BUSY : KIVI_OK, "key %zu", i);
    cr_assert_eq(script.sessions, 1, "its session is kept");
    kivi_result_free(result);
    kivi_store_unref(store);
}

static unsigned refusals;

static kivi_status play_busy_scan(scripted_verb *verb)
{
    kivi_status status = verb->sink->pair(verb->sink, kivi_str("k"), kivi_str("v"), KIVI_TTL_NONE);
    return !status && refusals++ < 3 ? scripted_fail(verb, KIVI_BUSY, KIVI_RETRY_YES) : status;
}

Test(server_works, a_busy_scan_is_asked_again_by_its_session)
{
    uint64_t count = 0;
    script.play = play_busy_scan;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_count(store, NULL, kivi_str(""), &count, NULL), KIVI_OK);
    cr_assert_eq(count, 1, "a page that was refused is forgotten");
    cr_assert_eq(script.verbs, 4);
    cr_assert_eq(script.sessions, 1);
    kivi_store_unref(store);
}
