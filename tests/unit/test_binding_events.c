/* Events that the languages' modules keep for their functions: order, room, threads, forks, and stores that are gone. */
#include <criterion/criterion.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../bindings/events.c"

TestSuite(binding_events, .timeout = 120);

bool kvb_host_is_telling(const kvb_store *store)
{
    (void)store;
    return false;
}

static kvb_events *new_events(kivi_options *options)
{
    kvb_events *events = kvb_events_new(options);
    cr_assert(events);
    return events;
}

static kvb_events *loose_events(void)
{
    kivi_options *options = kivi_options_new();
    kvb_events *events = new_events(options);
    kivi_options_free(options);
    return events;
}

static void happen(kvb_events *events, uint64_t items, const char *key)
{
    kivi_event event = {.struct_size = sizeof(event),
                        .type = KIVI_EVENT_CALL,
                        .verb = "get",
                        .items = items,
                        .key = kivi_str(key)};
    hear(&event, (void *)events->number);
}

static void expect_next(kvb_events *events, const char *kind, const char *verb, const char *key)
{
    kvb_event event;
    cr_assert(kvb_events_next(events, &event), "a %s is missing", kind);
    cr_assert_str_eq(kvb_event_kind(event.type), kind);
    cr_assert_str_eq(event.verb, verb);
    cr_assert_eq(event.key.size, strlen(key));
    cr_assert(!event.key.size || memcmp(event.key.data, key, event.key.size) == 0);
    kvb_event_release(&event);
}

static void expect_none(kvb_events *events)
{
    kvb_event event;
    cr_assert_eq(kvb_events_count(events), 0);
    cr_assert(!kvb_events_next(events, &event));
}

Test(binding_events, of_a_store_come_in_their_order)
{
    kivi_options *options = kivi_options_new();
    kvb_events *events = new_events(options);
    kvb_store store = {.refs = 1};
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_call quiet = KIVI_CALL_INIT;
    cr_assert_eq(kivi_options_set_bool(options, "event_keys", true, NULL), KIVI_OK);
    cr_assert_eq(kivi_store_open("memory:", NULL, options, &store.store, NULL), KIVI_OK);
    cr_assert_eq(kivi_store_set(store.store, NULL, kivi_str("before"), kivi_str("v"), 0, NULL), KIVI_OK);
    kvb_store_hear(&store, events);
    cr_assert_eq(store.events, events);
    expect_none(events);

    cr_assert_eq(kivi_store_set(store.store, NULL, kivi_str("k"), kivi_str("v"), 0, NULL), KIVI_OK);
    cr_assert_eq(kivi_store_get(store.store, NULL, kivi_str("none"), &value, NULL), KIVI_NOT_FOUND);
    quiet.trace = &kvb_quiet;
    cr_assert_eq(kivi_store_set(store.store, &quiet, kivi_str("q"), kivi_str("v"), 0, NULL), KIVI_OK);
    cr_assert_eq(kvb_events_count(events), 3);
    expect_next(events, "vector", "write", "");
    expect_next(events, "call", "set", "k");
    expect_next(events, "call", "get", "none");
    expect_none(events);
    kivi_store_unref(store.store);
    kvb_events_unref(events);
    kivi_options_free(options);
    kivi_buffer_free(&value);
}

/* What concerns the whole store is told even where the call that brought it is not. */
Test(binding_events, of_the_store_itself_are_never_quiet)
{
    kvb_events *events = loose_events();
    kivi_event event = {.struct_size = sizeof(event), .verb = "get", .trace = &kvb_quiet};
    for (int type = KIVI_EVENT_CALL; type <= KIVI_EVENT_SWEEP; type++) {
        event.type = (kivi_event_type)type;
        hear(&event, (void *)events->number);
    }
    expect_next(events, "reconnect", "get", "");
    expect_next(events, "sweep", "get", "");
    expect_none(events);
    kvb_events_unref(events);
}

/* It is made once more, by a queue. */
Test(binding_events, of_a_read_that_would_wait_are_not_told)
{
    kvb_events *events = loose_events();
    kivi_event event = {.struct_size = sizeof(event), .verb = "visit", .trace = &kvb_tried};
    event.type = KIVI_EVENT_CALL;
    event.status = KIVI_TIMEOUT;
    hear(&event, (void *)events->number);
    expect_none(events);
    event.status = KIVI_NOT_FOUND;
    hear(&event, (void *)events->number);
    expect_next(events, "call", "get", "");
    expect_none(events);
    kvb_events_unref(events);
}

Test(binding_events, that_find_no_room_are_counted)
{
    kvb_events *events = loose_events();
    kvb_event event;
    for (uint64_t i = 0; i < KVB_EVENTS_KEPT + 7; i++)
        happen(events, i, "key");
    cr_assert(kvb_events_next(events, &event));
    cr_assert_str_eq(kvb_event_kind(event.type), "dropped");
    cr_assert_eq(event.items, 7);
    for (uint64_t i = 0; i < KVB_EVENTS_KEPT; i++) {
        cr_assert(kvb_events_next(events, &event));
        cr_assert_eq(event.items, i, "the newest are dropped, not the oldest");
        kvb_event_release(&event);
        if (i % 2) { /* round the end of the ring */
            happen(events, KVB_EVENTS_KEPT + i / 2, "again");
        }
    }
    cr_assert_eq(kvb_events_count(events), KVB_EVENTS_KEPT / 2);
    kvb_events_unref(events); /* with keys in it: AddressSanitizer looks whether they are given back */
}

/* A thread of a queue may tell of a store that its language has let go of. */
Test(binding_events, of_a_store_that_is_gone_are_nobodys)
{
    kvb_events *gone = loose_events(), *other = loose_events();
    kivi_event event = {
        .struct_size = sizeof(event), .type = KIVI_EVENT_CALL, .verb = "get", .key = kivi_str("k")};
    void *number = (void *)gone->number;
    kvb_events_ref(gone);
    kvb_events_unref(gone);
    happen(gone, 1, "k");
    kvb_events_unref(gone);
    hear(&event, number);
    expect_none(other);
    kvb_events_unref(other);
}

enum { TELLERS = 4, EACH = 20000 };

static _Atomic uint64_t taken;
static _Atomic bool over;

static void *tell_many(void *events)
{
    for (uint64_t i = 0; i < EACH; i++)
        happen(events, 1, i % 16 ? "" : "key");
    return NULL;
}

static void *take_all(void *events)
{
    kvb_event event;
    while (kvb_events_count(events) || !over) {
        if (!kvb_events_next(events, &event))
            continue;
        taken += event.items;
        kvb_event_release(&event);
    }
    return NULL;
}

Test(binding_events, of_many_threads_are_each_taken_or_counted_once)
{
    kvb_events *events = loose_events();
    pthread_t tellers[TELLERS], takers[2];
    for (int i = 0; i < TELLERS; i++)
        cr_assert_eq(pthread_create(&tellers[i], NULL, tell_many, events), 0);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&takers[i], NULL, take_all, events), 0);
    for (int i = 0; i < TELLERS; i++)
        pthread_join(tellers[i], NULL);
    over = true;
    for (int i = 0; i < 2; i++)
        pthread_join(takers[i], NULL);
    cr_assert_eq(taken, (uint64_t)TELLERS * EACH);
    expect_none(events);
    kvb_events_unref(events);
}

static void *tell_until_over(void *events)
{
    while (!over)
        happen(events, 1, "key");
    return NULL;
}

/* A fork in the middle of telling leaves the child nothing to tell, and nothing that is locked. */
Test(binding_events, of_before_a_fork_are_the_parents)
{
    kvb_events *events = loose_events();
    pthread_t teller;
    cr_assert_eq(pthread_create(&teller, NULL, tell_until_over, events), 0);
    for (int i = 0; i < 50; i++) {
        int status = 1;
        pid_t child = fork();
        if (child == 0) {
            bool empty = kvb_events_count(events) == 0;
            happen(events, 1, "child");
            _exit(empty && kvb_events_count(events) == 1 ? 0 : 1);
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0);
    }
    over = true;
    pthread_join(teller, NULL);
    cr_assert_neq(kvb_events_count(events), 0);
    kvb_events_unref(events);
}

Test(binding_events, have_words)
{
    cr_assert_str_eq(kvb_event_kind(KIVI_EVENT_CALL), "call");
    cr_assert_str_eq(kvb_event_kind(KIVI_EVENT_RETRY), "retry");
    cr_assert_str_eq(kvb_event_kind((kivi_event_type)99), "other");
}
