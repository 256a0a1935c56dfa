/* What every call keeps: its deadline, the rule of struct_size, statuses of the caller's own functions, closing. */
#include "scripted_backend.h"

TestSuite(core_calls, .timeout = 30);

/* ---- deadlines ---- */

static kivi_status hang(scripted_verb *verb)
{
    (void)verb;
    return KIVI_PENDING;
}

static kivi_status set_within(kivi_store *store, int64_t timeout_ms)
{
    kivi_call call = KIVI_CALL_INIT;
    kivi_error *error = NULL;
    call.timeout_ms = timeout_ms;
    kivi_status status = kivi_store_set(store, &call, kivi_str("a"), kivi_str("v"), 0, &error);
    cr_assert_eq(kivi_error_status(error), status);
    kivi_error_free(error);
    return status;
}

Test(core_calls, timeouts_of_any_size)
{
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(set_within(store, 0), KIVI_OK);
    cr_assert_eq(set_within(store, KIVI_NO_TIMEOUT), KIVI_OK);
    cr_assert_eq(set_within(store, INT64_MAX), KIVI_OK);
    cr_assert_eq(set_within(store, INT64_MAX / 1000000), KIVI_OK);
    cr_assert_eq(set_within(store, -2), KIVI_INVALID);
    cr_assert_eq(set_within(store, INT64_MIN), KIVI_INVALID);
    kivi_store_unref(store);
}

Test(core_calls, the_stores_timeout_is_the_default)
{
    script.play = hang;
    kivi_store *store = scripted_store("scripted:?timeout=30ms");
    cr_assert_eq(set_within(store, 0), KIVI_TIMEOUT);
    cr_assert_eq(stats_of(store).lanes, 0, "the session that hangs is given up");
    script.play = NULL;
    cr_assert_eq(set_within(store, 0), KIVI_OK);
    cr_assert_eq(stats_of(store).lanes, 1);
    kivi_store_unref(store);
}

static int count_down(void *user)
{
    return --*(int *)user == 0;
}

Test(core_calls, without_a_timeout_only_the_caller_ends_it)
{
    kivi_call call = KIVI_CALL_INIT;
    int left = 3;
    script.play = hang;
    call.timeout_ms = KIVI_NO_TIMEOUT;
    call.interrupted = count_down;
    call.user = &left;
    kivi_store *store = scripted_store("scripted:?timeout=1ms");
    cr_assert_eq(kivi_store_set(store, &call, kivi_str("a"), kivi_str("v"), 0, NULL), KIVI_INTERRUPTED);
    left = 3;
    call.timeout_ms = 0;
    kivi_store_unref(store);
    store = scripted_store("scripted:?timeout=0");
    cr_assert_eq(kivi_store_set(store, &call, kivi_str("a"), kivi_str("v"), 0, NULL), KIVI_INTERRUPTED);
    kivi_store_unref(store);
}

/* A batch that is cut: what its time does not reach is not sent. */
static void check_cut_batch(const char *url, unsigned verbs, const kivi_op *ops, size_t count)
{
    kivi_call call = KIVI_CALL_INIT;
    kivi_result *result = NULL;
    script.play = hang;
    call.timeout_ms = 40;
    kivi_store *store = scripted_store(url);
    atomic_store(&script.verbs, 0);
    cr_assert_eq(kivi_store_apply(store, &call, ops, count, 0, &result, NULL), KIVI_TIMEOUT);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(kivi_result_status(result, i), KIVI_TIMEOUT, "operation %zu", i);
        cr_assert_eq(kivi_error_status(kivi_result_error(result, i)), KIVI_TIMEOUT);
    }
    cr_assert_eq(atomic_load(&script.verbs), verbs);
    kivi_result_free(result);
    kivi_store_unref(store);
}

Test(core_calls, what_a_deadline_does_not_reach_is_not_sent)
{
    kivi_op ops[3] = {KIVI_OP_INIT, KIVI_OP_INIT, KIVI_OP_INIT};
    const char *keys[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = kivi_str(keys[i]);
        ops[i].value = kivi_str("v");
    }
    script.max_items = 1;
    check_cut_batch("scripted:", 1, ops, 3);
    /* Conditional writes of one key go in rounds. */
    for (int i = 0; i < 3; i++) {
        ops[i].key = kivi_str("k");
        ops[i].condition = KIVI_IF_ABSENT;
    }
    check_cut_batch("scripted:", 1, ops, 3);
}

/* ---- the caller's own time ---- */

static kivi_status done_when_asked(scripted_verb *verb)
{
    return atomic_load(&script.stage) ? scripted_all_done(verb) : KIVI_PENDING;
}

/* As a signal handler of a language does that runs in it. */
static int ask_slowly(void *user)
{
    (void)user;
    if (atomic_load(&script.stage))
        return 0;
    usleep(400 * 1000);
    atomic_store(&script.stage, 1);
    return 0;
}

/* What comes while the caller is busy is its answer: that time is over is no reason, nor that nothing was heard. */
static void check_slow_caller(const char *url)
{
    kivi_call call = KIVI_CALL_INIT;
    call.interrupted = ask_slowly;
    script.play = done_when_asked;
    atomic_store(&script.stage, 0);
    kivi_store *store = scripted_store(url);
    cr_assert_eq(kivi_store_set(store, &call, kivi_str("a"), kivi_str("v"), 0, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.sessions), 1);
    kivi_store_unref(store);
}

Test(core_calls, time_in_the_callers_function_does_not_count)
{
    check_slow_caller("scripted:?timeout=200ms");
    atomic_store(&script.sessions, 0);
    check_slow_caller("scripted:?io_timeout=200ms");
}

/* ---- struct_size ---- */

Test(core_calls, structs_by_their_size)
{
    struct {
        kivi_call call;
        uint8_t newer[8];
    } larger = {.call = KIVI_CALL_INIT};
    kivi_store *store = scripted_store("scripted:");
    kivi_error *error = NULL;
    larger.call.struct_size = sizeof(larger);
    cr_assert_eq(kivi_store_set(store, &larger.call, kivi_str("a"), kivi_str("v"), 0, NULL), KIVI_OK);
    larger.newer[7] = 1;
    cr_assert_eq(kivi_store_set(store, &larger.call, kivi_str("a"), kivi_str("v"), 0, &error),
                 KIVI_UNSUPPORTED);
    cr_assert_eq(kivi_error_status(error), KIVI_UNSUPPORTED);
    kivi_error_free(error);
    larger.call = (kivi_call){.struct_size = 0};
    cr_assert_eq(kivi_store_set(store, &larger.call, kivi_str("a"), kivi_str("v"), 0, NULL), KIVI_INVALID);
    larger.call = (kivi_call){.struct_size = sizeof(kivi_call), .flags = 1u << 31};
    cr_assert_eq(kivi_store_set(store, &larger.call, kivi_str("a"), kivi_str("v"), 0, NULL),
                 KIVI_UNSUPPORTED);
    /* A caller's older, shorter struct: what lies behind it is not read. */
    larger.call = (kivi_call){.struct_size = 2 * sizeof(uint32_t), .timeout_ms = -5};
    cr_assert_eq(kivi_store_set(store, &larger.call, kivi_str("a"), kivi_str("v"), 0, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.verbs), 2, "refused before anything was sent");
    kivi_store_unref(store);
}

Test(core_calls, nothing_is_written_beyond_the_callers_size)
{
    struct {
        kivi_stats stats;
        uint8_t canary[16];
    } room;
    kivi_store *store = scripted_store("scripted:");
    memset(&room, 0x5a, sizeof(room));
    room.stats.struct_size = offsetof(kivi_stats, failures);
    cr_assert_eq(kivi_store_stats(store, &room.stats, NULL), KIVI_OK);
    cr_assert_eq(room.stats.failures, UINT64_C(0x5a5a5a5a5a5a5a5a));
    room.stats.struct_size = sizeof(room);
    cr_assert_eq(kivi_store_stats(store, &room.stats, NULL), KIVI_OK);
    cr_assert_eq(room.stats.struct_size, sizeof(room));
    for (size_t i = 0; i < sizeof(room.canary); i++)
        cr_assert_eq(room.canary[i], 0x5a);
    kivi_store_unref(store);
}

typedef struct newer_op {
    kivi_op op;
    uint64_t extra;
} newer_op;

Test(core_calls, operations_step_by_the_first_ones_size)
{
    newer_op ops[2] = {{.op = KIVI_OP_INIT}, {.op = KIVI_OP_INIT}};
    kivi_store *store = scripted_store("scripted:");
    for (int i = 0; i < 2; i++) {
        ops[i].op.struct_size = sizeof(newer_op);
        ops[i].op.kind = KIVI_OP_SET;
        ops[i].op.key = kivi_str(i ? "b" : "a");
    }
    cr_assert_eq(kivi_store_apply(store, NULL, &ops[0].op, 2, 0, NULL, NULL), KIVI_OK);
    ops[1].extra = 1;
    cr_assert_eq(kivi_store_apply(store, NULL, &ops[0].op, 2, 0, NULL, NULL), KIVI_UNSUPPORTED);
    ops[1].extra = 0;
    ops[1].op.struct_size = sizeof(kivi_op);
    cr_assert_eq(kivi_store_apply(store, NULL, &ops[0].op, 2, 0, NULL, NULL), KIVI_INVALID);
    cr_assert_eq(atomic_load(&script.verbs), 1);
    kivi_store_unref(store);
}

/* ---- the caller's own functions ---- */

typedef struct answering {
    kivi_status answer;
    unsigned times;
} answering;

static kivi_status visit(kivi_slice value, void *user)
{
    answering *own = user;
    cr_assert_eq(value.size, 1);
    own->times++;
    return own->answer;
}

static void check_visitor(uint32_t flags)
{
    const kivi_status answers[] = {
        KIVI_OK,      KIVI_NOT_FOUND, KIVI_END,         KIVI_PENDING, KIVI_TIMEOUT,
        KIVI_INVALID, KIVI_UNCERTAIN, KIVI_UNAVAILABLE, 1000,         -1};
    script.flags = flags;
    kivi_store *store = scripted_store("scripted:");
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        answering own = {answers[i], 0};
        kivi_error *error = NULL;
        cr_assert_eq(kivi_store_visit(store, NULL, kivi_str("a"), visit, &own, &error), answers[i]);
        cr_assert_eq(own.times, 1, "status %d: visited %u times", answers[i], own.times);
        cr_assert_eq(error == NULL, answers[i] >= KIVI_OK && answers[i] <= KIVI_END);
        kivi_error_free(error);
    }
    kivi_store_unref(store);
}

Test(core_calls, a_visitor_answers_what_it_likes_and_is_called_once)
{
    check_visitor(0);
    check_visitor(KIVI_BACKEND_BLOCKING | KIVI_BACKEND_SHARED_READS);
    check_visitor(KIVI_BACKEND_BLOCKING | KIVI_BACKEND_SHARED_READS | KIVI_BACKEND_IN_PLACE);
}

static kivi_status choose(const kivi_slice *current, kivi_buffer *next, kivi_update_action *action,
                          void *user)
{
    (void)current;
    *action = *(kivi_update_action *)user;
    return kivi_buffer_append(next, kivi_str("v"));
}

Test(core_calls, an_unknown_action_of_an_update_does_nothing)
{
    kivi_update_action action = (kivi_update_action)7;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_update(store, NULL, kivi_str("a"), 0, choose, &action, NULL), KIVI_INVALID);
    cr_assert_eq(atomic_load(&script.verbs), 1, "only read");
    action = KIVI_UPDATE_LEAVE;
    cr_assert_eq(kivi_store_update(store, NULL, kivi_str("a"), 0, choose, &action, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.verbs), 2);
    action = KIVI_UPDATE_DELETE;
    cr_assert_eq(kivi_store_update(store, NULL, kivi_str("a"), 0, choose, &action, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.verbs), 4);
    kivi_store_unref(store);
}

/* ---- closing ---- */

Test(core_calls, a_closed_store_answers_so_in_every_call)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_result *result = NULL;
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    kivi_slice key = kivi_str("a");
    kivi_error *error = NULL;
    bool there;
    uint64_t count;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_scan(store, NULL, &scan, NULL), KIVI_OK);
    kivi_store_close(store);
    cr_assert_eq(kivi_store_get(store, NULL, key, &value, &error), KIVI_CLOSED);
    cr_assert_eq(kivi_error_status(error), KIVI_CLOSED);
    kivi_error_free(error);
    cr_assert_eq(kivi_store_exists(store, NULL, key, &there, NULL), KIVI_CLOSED);
    cr_assert_eq(kivi_store_get_many(store, NULL, &key, 1, &result, NULL), KIVI_CLOSED);
    cr_assert_null(result);
    cr_assert_eq(kivi_store_set_many(store, NULL, &key, &key, 1, 0, &result, NULL), KIVI_CLOSED);
    cr_assert_eq(kivi_store_count(store, NULL, key, &count, NULL), KIVI_CLOSED);
    cr_assert_eq(kivi_store_clear(store, NULL, key, 0, &count, NULL), KIVI_CLOSED);
    cr_assert_eq(kivi_scan_next(scan, NULL, &pair, NULL), KIVI_CLOSED);
    kivi_scan_free(scan);
    cr_assert_eq(atomic_load(&script.verbs), 0);
    cr_assert_eq(atomic_load(&script.shut), 0);
    kivi_store_unref(store);
    cr_assert_eq(atomic_load(&script.shut), 1);
}

static kivi_status do_until_closed(caller *own)
{
    kivi_status status = KIVI_OK;
    while (!status) {
        kivi_buffer_free(&own->value);
        status = kivi_store_get(own->store, NULL, kivi_str(own->key), &own->value, &own->error);
        if (!status)
            status = kivi_store_set(own->store, NULL, kivi_str(own->key), kivi_str("v"), 0, &own->error);
    }
    kivi_store_unref(own->store);
    return status;
}

Test(core_calls, whoever_is_last_frees_the_store)
{
    const char *keys[] = {"a", "b", "c", "d"};
    caller callers[4];
    script.max_lanes = 2;
    for (unsigned round = 1; round <= 20; round++) {
        kivi_store *store = scripted_store("scripted:?lanes=2");
        for (int i = 0; i < 4; i++)
            caller_start(&callers[i], kivi_store_ref(store), keys[i], 0, do_until_closed);
        unsigned seen = atomic_load(&script.verbs);
        WAIT_UNTIL(atomic_load(&script.verbs) > seen + 20);
        kivi_store_close(store);
        kivi_store_unref(store);
        for (int i = 0; i < 4; i++)
            cr_assert_eq(caller_join(&callers[i]), KIVI_CLOSED);
        cr_assert_eq(atomic_load(&script.shut), round);
        cr_assert_eq(atomic_load(&script.sessions), atomic_load(&script.closed));
    }
}

/* ---- what of a read with an end the backend does itself ---- */

static unsigned thens, conditional_writes;

/* Values have no version but themselves: an emulation writes under it. */
static kivi_status play_then(scripted_verb *verb)
{
    for (size_t i = 0; verb->reads && i < verb->reads->count; i++)
        thens += verb->reads->items[i].then != KIVI_THEN_NOTHING;
    for (size_t i = 0; verb->writes && i < verb->writes->count; i++)
        conditional_writes += verb->writes->items[i].condition == KIVI_IF_VERSION;
    return scripted_all_done(verb);
}

static void check_then(uint32_t flags, unsigned takes, unsigned touches)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    script.flags = KIVI_BACKEND_BLOCKING | flags;
    script.play = play_then;
    kivi_store *store = scripted_store("scripted:");
    thens = conditional_writes = 0;
    cr_assert_eq(kivi_store_take(store, NULL, kivi_str("k"), &value, NULL), KIVI_OK);
    cr_assert_eq(thens, takes);
    cr_assert_eq(conditional_writes, 1 - takes);
    thens = conditional_writes = 0;
    cr_assert_eq(kivi_store_get_and_expire(store, NULL, kivi_str("k"), 5000, &value, NULL), KIVI_OK);
    cr_assert_eq(thens, touches);
    cr_assert_eq(conditional_writes, 1 - touches);
    kivi_buffer_free(&value);
    kivi_store_unref(store);
}

Test(core_calls, take_and_touch_are_each_native_or_emulated)
{
    check_then(0, 0, 0);
    check_then(KIVI_BACKEND_TAKES, 1, 0);
    check_then(KIVI_BACKEND_TOUCHES, 0, 1);
    check_then(KIVI_BACKEND_TAKES | KIVI_BACKEND_TOUCHES, 1, 1);
}
