/* The event hook: which events come, with what in them, and that nothing is held while it runs. */
#include "events_fixture.h"
#include "scripted_backend.h"

TestSuite(core_events, .timeout = 30);

static kivi_store *store_in_hook;

static void hear(const kivi_event *event, void *user)
{
    cr_assert_eq(user, &record);
    cr_assert_str_eq(event->backend, "scripted");
    note_event(event);
    if (!store_in_hook)
        return;
    /* With a single lane this would never come back if the hook were called with it. */
    kivi_store *store = store_in_hook;
    kivi_stats stats = stats_of(store);
    cr_assert_eq(stats.lanes_busy, 0);
    store_in_hook = NULL;
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("h"), kivi_str("v"), 0, NULL), KIVI_OK);
    store_in_hook = store;
}

static kivi_store *open_heard(const char *url)
{
    kivi_options *options = kivi_options_new();
    kivi_options_on_event(options, hear, &record);
    kivi_store *store = scripted_store_with(url, options);
    kivi_options_free(options);
    record.count = 0;
    return store;
}

static void expect(size_t at, kivi_event_type type, const char *verb, kivi_status status, uint64_t items)
{
    cr_assert_lt(at, record.count);
    cr_assert_eq(record.all[at].type, type, "event %zu: type %d", at, record.all[at].type);
    cr_assert_str_eq(record.all[at].verb, verb);
    cr_assert_eq(record.all[at].status, status);
    cr_assert_eq(record.all[at].items, items);
}

Test(core_events, a_call_and_its_vector)
{
    kivi_call call = KIVI_CALL_INIT;
    bool exists;
    int trace;
    call.trace = &trace;
    kivi_store *store = open_heard("scripted:");
    cr_assert_eq(kivi_store_set(store, &call, kivi_str("a"), kivi_str("v"), 0, NULL), KIVI_OK);
    cr_assert_eq(record.count, 2);
    expect(0, KIVI_EVENT_VECTOR, "write", KIVI_OK, 1);
    expect(1, KIVI_EVENT_CALL, "set", KIVI_OK, 1);
    cr_assert_gt(record.all[1].duration_ns, 0);
    for (size_t i = 0; i < 2; i++)
        cr_assert(record.all[i].trace == &trace && !*record.all[i].key);
    cr_assert_eq(kivi_store_exists(store, NULL, kivi_str("a"), &exists, NULL), KIVI_OK);
    expect(2, KIVI_EVENT_VECTOR, "read", KIVI_OK, 1);
    expect(3, KIVI_EVENT_CALL, "exists", KIVI_OK, 1);
    cr_assert_null(record.all[3].trace);
    kivi_page *page = NULL;
    cr_assert_eq(kivi_store_page(store, NULL, NULL, &page, NULL), KIVI_OK);
    kivi_page_free(page);
    expect(4, KIVI_EVENT_VECTOR, "scan", KIVI_OK, 1);
    kivi_store_unref(store);
}

Test(core_events, keys_only_if_asked)
{
    const kivi_slice keys[] = {kivi_str("a"), kivi_str("b")};
    kivi_store *store = open_heard("scripted:?event_keys=true&namespace=n");
    cr_assert_eq(kivi_store_set(store, NULL, keys[0], kivi_str("v"), 0, NULL), KIVI_OK);
    cr_assert_str_eq(find_told(KIVI_EVENT_CALL, 0)->key, "a");
    cr_assert_eq(kivi_store_set_many(store, NULL, keys, keys, 2, 0, NULL, NULL), KIVI_OK);
    cr_assert_str_eq(find_told(KIVI_EVENT_CALL, 1)->key, "");
    cr_assert_eq(find_told(KIVI_EVENT_CALL, 1)->items, 2);
    kivi_store_unref(store);
}

Test(core_events, each_vector_of_a_batch)
{
    const kivi_slice keys[] = {kivi_str("a"), kivi_str("b"), kivi_str("c")};
    script.max_items = 2;
    kivi_store *store = open_heard("scripted:");
    cr_assert_eq(kivi_store_set_many(store, NULL, keys, keys, 3, 0, NULL, NULL), KIVI_OK);
    cr_assert_eq(record.count, 3);
    expect(0, KIVI_EVENT_VECTOR, "write", KIVI_OK, 2);
    expect(1, KIVI_EVENT_VECTOR, "write", KIVI_OK, 1);
    expect(2, KIVI_EVENT_CALL, "set_many", KIVI_OK, 3);
    cr_assert_eq(stats_of(store).vectors, 2);
    kivi_store_unref(store);
}

static kivi_status break_twice(scripted_verb *verb)
{
    return verb->number < 2 ? scripted_fail(verb, KIVI_UNAVAILABLE, KIVI_RETRY_YES)
                            : scripted_all_done(verb);
}

Test(core_events, repeats_and_reconnects)
{
    script.play = break_twice;
    kivi_store *store = open_heard("scripted:");
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("a"), kivi_str("v"), 0, NULL), KIVI_OK);
    cr_assert_eq(find_told(KIVI_EVENT_RETRY, 0)->attempt, 1);
    cr_assert_eq(find_told(KIVI_EVENT_RETRY, 1)->attempt, 2);
    cr_assert_null(find_told(KIVI_EVENT_RETRY, 2));
    cr_assert_eq(find_told(KIVI_EVENT_RECONNECT, 0)->items, 2);
    cr_assert_eq(find_told(KIVI_EVENT_VECTOR, 0)->status, KIVI_UNAVAILABLE);
    cr_assert_eq(find_told(KIVI_EVENT_VECTOR, 1)->status, KIVI_UNAVAILABLE);
    cr_assert_eq(find_told(KIVI_EVENT_VECTOR, 2)->status, KIVI_OK);
    cr_assert_eq(record.all[record.count - 1].type, KIVI_EVENT_CALL, "the call is told last");
    cr_assert_eq(stats_of(store).retries, 2);
    kivi_store_unref(store);
}

static kivi_status sweep(scripted_verb *verb)
{
    scripted_host->report(script.reporter, KIVI_EVENT_SWEEP, KIVI_OK, 3);
    return scripted_all_done(verb);
}

Test(core_events, sweeps)
{
    script.play = sweep;
    kivi_store *store = open_heard("scripted:");
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("a"), kivi_str("v"), 0, NULL), KIVI_OK);
    cr_assert_eq(find_told(KIVI_EVENT_SWEEP, 0)->items, 3);
    cr_assert_null(find_told(KIVI_EVENT_SWEEP, 1));
    cr_assert_eq(stats_of(store).swept, 3);
    kivi_store_unref(store);
}

Test(core_events, a_hook_may_call_the_store)
{
    const kivi_slice keys[] = {kivi_str("a"), kivi_str("b"), kivi_str("c")};
    script.max_items = 1;
    script.play = sweep;
    kivi_store *store = open_heard("scripted:");
    store_in_hook = store;
    cr_assert_eq(kivi_store_set_many(store, NULL, keys, keys, 3, 0, NULL, NULL), KIVI_OK);
    store_in_hook = NULL;
    kivi_store_unref(store);
}

Test(core_events, failures_are_told_too)
{
    kivi_store *store = open_heard("scripted:");
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str(""), kivi_str("v"), 0, NULL), KIVI_INVALID);
    cr_assert_eq(record.count, 1);
    expect(0, KIVI_EVENT_CALL, "set", KIVI_INVALID, 1);
    kivi_store_close(store);
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("a"), kivi_str("v"), 0, NULL), KIVI_CLOSED);
    expect(1, KIVI_EVENT_CALL, "set", KIVI_CLOSED, 1);
    cr_assert_eq(stats_of(store).failures, 2);
    cr_assert_eq(stats_of(store).calls, 0, "none reached the store");
    kivi_store_unref(store);
}
