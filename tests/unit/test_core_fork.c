/* Fork in every state: what a child may do with a store opened before, and what it leaves alone. */
#include "scripted_backend.h"

#include <sys/wait.h>

#include "../standin/standstill.h"

TestSuite(core_fork, .timeout = 60);

/* What a child found wrong: the line of the check that did not hold, its exit code's job being only to be not 0. */
#define CHECK(condition)                                                                \
    do {                                                                                \
        if (!(condition)) {                                                             \
            fprintf(stderr, "%s:%d: in a child: %s\n", __FILE__, __LINE__, #condition); \
            _exit(1);                                                                   \
        }                                                                               \
    } while (0)

static void await_child(pid_t child)
{
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
    cr_assert_eq(WEXITSTATUS(status), 0);
}

/* Lets a child do `work`, and waits for it. */
static void in_this_child(pid_t child, void (*work)(kivi_store *), kivi_store *store)
{
    cr_assert_geq(child, 0);
    if (child == 0) {
        work(store);
        _exit(0);
    }
    await_child(child);
}

static void in_child(void (*work)(kivi_store *), kivi_store *store)
{
    in_this_child(fork_at_standstill(), work, store);
}

static kivi_status set(kivi_store *store, const char *key)
{
    return kivi_store_set(store, NULL, kivi_str(key), kivi_str("v"), 0, NULL);
}

/* ---- idle stores ---- */

static void use_store(kivi_store *store)
{
    CHECK(set(store, "c") == KIVI_OK);
    CHECK(script.opened == 2 && script.left == 1 && script.shut == 0);
    CHECK(script.abandoned == 1 && script.closed == 0 && script.sessions == 2);
    CHECK(set(store, "d") == KIVI_OK);
    CHECK(script.opened == 2 && script.sessions == 2);
    kivi_store_unref(store);
    CHECK(script.shut == 1 && script.left == 1 && script.closed == 1 && script.abandoned == 1);
}

Test(core_fork, a_child_opens_its_own)
{
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(set(store, "a"), KIVI_OK);
    in_child(use_store, store);
    cr_assert_eq(set(store, "b"), KIVI_OK);
    cr_assert(script.sessions == 1 && script.opened == 1);
    kivi_store_unref(store);
    cr_assert(script.shut == 1 && script.left == 0 && script.closed == 1 && script.abandoned == 0);
}

static void drop_store(kivi_store *store)
{
    kivi_store_unref(store);
    CHECK(script.shut == 0 && script.left == 1 && script.closed == 0 && script.abandoned == 1);
}

Test(core_fork, a_child_that_never_used_it_abandons_it)
{
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(set(store, "a"), KIVI_OK);
    in_child(drop_store, store);
    kivi_store_unref(store);
}

static void close_store(kivi_store *store)
{
    kivi_store_close(store);
    CHECK(script.interrupted == 0);
    CHECK(set(store, "a") == KIVI_CLOSED);
    drop_store(store);
}

Test(core_fork, a_child_closes_without_a_word)
{
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(set(store, "a"), KIVI_OK);
    in_child(close_store, store);
    cr_assert_eq(set(store, "a"), KIVI_OK);
    kivi_store_unref(store);
}

static void use_and_fork_again(kivi_store *store)
{
    CHECK(set(store, "c") == KIVI_OK);
    pid_t child = fork();
    if (child == 0) {
        CHECK(set(store, "d") == KIVI_OK);
        CHECK(script.opened == 3 && script.left == 2 && script.abandoned == 2);
        kivi_store_unref(store);
        CHECK(script.shut == 1);
        _exit(0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    kivi_store_unref(store);
}

Test(core_fork, a_child_of_a_child)
{
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(set(store, "a"), KIVI_OK);
    in_child(use_and_fork_again, store);
    kivi_store_unref(store);
}

static void fork_again_unused(kivi_store *store)
{
    pid_t child = fork();
    if (child == 0) {
        use_store(store);
        _exit(0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    drop_store(store);
}

Test(core_fork, a_child_of_a_child_that_never_used_it)
{
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(set(store, "a"), KIVI_OK);
    in_child(fork_again_unused, store);
    kivi_store_unref(store);
}

/* ---- kinds of engines ---- */

static void meet_refusal(kivi_store *store)
{
    kivi_error *error = NULL;
    for (int i = 0; i < 2; i++) {
        CHECK(kivi_store_set(store, NULL, kivi_str("a"), kivi_str("v"), 0, &error) == KIVI_FORKED);
        CHECK(kivi_error_status(error) == KIVI_FORKED);
        kivi_error_free(error);
    }
    CHECK(script.opened == 1);
    drop_store(store);
}

Test(core_fork, an_engine_that_cannot_be_had_twice)
{
    script.flags = KIVI_BACKEND_FORK_REFUSED;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(set(store, "a"), KIVI_OK);
    in_child(meet_refusal, store);
    cr_assert_eq(set(store, "a"), KIVI_OK);
    kivi_store_unref(store);
}

static void use_copy(kivi_store *store)
{
    CHECK(set(store, "a") == KIVI_OK);
    CHECK(script.opened == 1 && script.left == 0 && script.abandoned == 1);
    kivi_store_unref(store);
    CHECK(script.shut == 1 && script.left == 0);
}

static void drop_copy(kivi_store *store)
{
    kivi_store_unref(store);
    CHECK(script.shut == 1 && script.left == 0);
}

Test(core_fork, a_private_copy_goes_on)
{
    script.flags = KIVI_BACKEND_FORK_PRIVATE;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(set(store, "a"), KIVI_OK);
    in_child(use_copy, store);
    in_child(drop_copy, store);
    kivi_store_unref(store);
}

/* ---- hooks around fork ---- */

Test(core_fork, hooks_are_called_once_for_a_shared_engine)
{
    kivi_store *one = scripted_store("scripted:"), *two = scripted_store("scripted:?namespace=n");
    pid_t child = fork();
    if (child == 0)
        _exit(script.prepared == 1 && script.children == 1 && script.parents == 0 ? 0 : 1);
    await_child(child);
    cr_assert(script.prepared == 1 && script.parents == 1 && script.children == 0);
    kivi_store_unref(one);
    kivi_store_unref(two);
    child = fork();
    if (child == 0)
        _exit(script.prepared == 1 ? 0 : 1);
    await_child(child);
}

static kivi_store *other_store;

/* One of two stores on the same private engine was used in this child; another fork must still make it whole. */
static void fork_with_one_used(kivi_store *store)
{
    CHECK(set(store, "a") == KIVI_OK);
    pid_t child = fork();
    if (child == 0) {
        CHECK(script.prepared == 2 && script.children == 2);
        CHECK(set(other_store, "a") == KIVI_OK && set(store, "a") == KIVI_OK);
        _exit(0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(script.prepared == 2 && script.parents == 1);
}

Test(core_fork, hooks_reach_a_private_engine_whichever_store_used_it)
{
    script.flags = KIVI_BACKEND_FORK_PRIVATE;
    kivi_store *one = scripted_store("scripted:"), *two = scripted_store("scripted:?namespace=n");
    other_store = two;
    in_child(fork_with_one_used, one);
    other_store = one;
    script.prepared = script.parents = 0;
    in_child(fork_with_one_used, two);
    kivi_store_unref(one);
    kivi_store_unref(two);
}

/* ---- work in progress ---- */

static kivi_status hold(scripted_verb *verb)
{
    scripted_sent(verb, KIVI_SENT_WHOLLY);
    return atomic_load(&script.stage) == 0 ? KIVI_PENDING : scripted_all_done(verb);
}

static void use_busy_store(kivi_store *store)
{
    kivi_stats stats = {.struct_size = sizeof(stats)};
    atomic_store(&script.stage, 1);
    CHECK(set(store, "c") == KIVI_OK);
    CHECK(script.sessions == 2 && script.closed == 0 && script.abandoned == 1);
    CHECK(kivi_store_stats(store, &stats, NULL) == KIVI_OK);
    CHECK(stats.lanes == 1 && stats.lanes_busy == 0 && stats.waiting == 0);
    kivi_store_unref(store);
}

Test(core_fork, other_threads_verbs_are_the_parents)
{
    script.play = hold;
    kivi_store *store = scripted_store("scripted:");
    caller first, second;
    caller_start(&first, store, "a", 0, do_set);
    WAIT_UNTIL(script.verbs == 1);
    caller_queue(&second, store, "b", 0, do_set);
    /* Threads in a verb never stand still; these take no memory meanwhile. */
    in_this_child(fork(), use_busy_store, store);
    in_this_child(fork(), drop_store, store);
    atomic_store(&script.stage, 1);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    cr_assert_eq(caller_join(&second), KIVI_OK);
    kivi_store_unref(store);
}

Test(core_fork, a_scan_is_the_parents)
{
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    kivi_error *error = NULL;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_scan(store, NULL, &scan, NULL), KIVI_OK);
    pid_t child = fork();
    if (child == 0) {
        CHECK(kivi_scan_next(scan, NULL, &pair, &error) == KIVI_FORKED);
        CHECK(kivi_error_status(error) == KIVI_FORKED);
        kivi_error_free(error);
        kivi_scan_free(scan);
        CHECK(set(store, "a") == KIVI_OK);
        kivi_store_unref(store);
        _exit(0);
    }
    await_child(child);
    cr_assert_eq(kivi_scan_next(scan, NULL, &pair, NULL), KIVI_END);
    kivi_scan_free(scan);
    kivi_store_unref(store);
}

/* ---- forks inside functions that the library calls ---- */

static _Atomic pid_t forked_child;
static bool uses_inside; /* the child uses the store before it goes back */
static kivi_store *inside_store;

/* Forks once; the child is told by `forked_child` 0. */
static void fork_inside(void)
{
    if (forked_child > 0)
        return;
    forked_child = fork();
    if (forked_child == 0 && uses_inside)
        CHECK(set(inside_store, "inside") == KIVI_OK);
}

/* Nothing of the child may go through session 0, which is the parent's. */
static kivi_status own_session_only(scripted_verb *verb)
{
    CHECK(forked_child != 0 || verb->session > 0);
    for (size_t i = 0; verb->reads && i < verb->reads->count; i++)
        verb->reads->items[i].status = KIVI_NOT_FOUND;
    return scripted_all_done(verb);
}

static kivi_status compute_update(const kivi_slice *current, kivi_buffer *next,
                                  kivi_update_action *action, void *user)
{
    (void)current, (void)action, (void)user;
    fork_inside();
    return kivi_buffer_append(next, kivi_str("v"));
}

static kivi_status compute_missing(kivi_buffer *value, void *user)
{
    (void)user;
    fork_inside();
    return kivi_buffer_append(value, kivi_str("v"));
}

static void check_fork_inside(bool inside)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    script.play = own_session_only;
    uses_inside = inside;
    forked_child = -1;
    inside_store = scripted_store("scripted:");
    kivi_status status = kivi_store_update(inside_store, NULL, kivi_str("a"), 0, compute_update,
                                           NULL, NULL);
    if (forked_child == 0) {
        CHECK(status == KIVI_OK && script.closed == 0 && script.abandoned == 1);
        _exit(0);
    }
    await_child(forked_child);
    cr_assert_eq(status, KIVI_OK);
    forked_child = -1;
    status = kivi_store_get_or_set(inside_store, NULL, kivi_str("b"), 0, compute_missing, NULL,
                                   &value, NULL);
    if (forked_child == 0) {
        CHECK(status == KIVI_OK && script.closed == 0 && script.abandoned == 1);
        CHECK(value.size == 1);
        _exit(0);
    }
    await_child(forked_child);
    cr_assert_eq(status, KIVI_OK);
    kivi_buffer_free(&value);
    kivi_store_unref(inside_store);
}

Test(core_fork, inside_a_computation)
{
    check_fork_inside(false);
}

Test(core_fork, inside_a_computation_that_uses_the_store)
{
    check_fork_inside(true);
}

static int fork_when_asked(void *user)
{
    (void)user;
    fork_inside();
    return 0;
}

static kivi_status hold_in_parent(scripted_verb *verb)
{
    CHECK(forked_child != 0 || verb->session > 0);
    if (verb->session > 0)
        return scripted_all_done(verb);
    return atomic_load(&script.stage) == 0 ? KIVI_PENDING : scripted_all_done(verb);
}

/* A caller that waits, as the leader or in the queue, forks when it is asked whether it was interrupted. */
static void check_fork_while_waiting(bool inside, bool queued)
{
    kivi_call call = KIVI_CALL_INIT;
    caller first;
    script.play = hold_in_parent;
    uses_inside = inside;
    forked_child = -1;
    call.interrupted = fork_when_asked;
    inside_store = scripted_store("scripted:");
    if (queued) {
        caller_start(&first, inside_store, "a", 0, do_set);
        WAIT_UNTIL(script.verbs == 1);
    }
    call.timeout_ms = 500;
    kivi_status status = kivi_store_set(inside_store, &call, kivi_str("b"), kivi_str("v"), 0, NULL);
    if (forked_child == 0) {
        CHECK(status == KIVI_FORKED && script.closed == 0);
        CHECK(set(inside_store, "c") == KIVI_OK);
        CHECK(script.abandoned == 1);
        _exit(0);
    }
    await_child(forked_child);
    cr_assert_eq(status, KIVI_TIMEOUT);
    atomic_store(&script.stage, 1);
    if (queued)
        cr_assert_eq(caller_join(&first), KIVI_OK);
    kivi_store_unref(inside_store);
}

Test(core_fork, while_it_leads)
{
    check_fork_while_waiting(false, false);
}

Test(core_fork, while_it_leads_and_uses_the_store)
{
    check_fork_while_waiting(true, false);
}

Test(core_fork, while_it_waits_for_a_lane)
{
    check_fork_while_waiting(false, true);
}

Test(core_fork, while_it_waits_for_a_lane_and_uses_the_store)
{
    check_fork_while_waiting(true, true);
}

static void fork_at_call(const kivi_event *event, void *user)
{
    (void)user;
    if (event->type == KIVI_EVENT_VECTOR)
        fork_inside();
}

Test(core_fork, inside_the_hook)
{
    kivi_options *options = kivi_options_new();
    kivi_options_on_event(options, fork_at_call, NULL);
    script.play = own_session_only;
    forked_child = -1;
    kivi_store *store = scripted_store_with("scripted:", options);
    kivi_status status = set(store, "a");
    if (forked_child == 0) {
        CHECK(status == KIVI_OK && set(store, "b") == KIVI_OK);
        CHECK(script.abandoned == 1 && script.closed == 0);
        _exit(0);
    }
    await_child(forked_child);
    cr_assert_eq(status, KIVI_OK);
    kivi_store_unref(store);
    kivi_options_free(options);
}

/* ---- under load ---- */

static kivi_status do_work(caller *own)
{
    kivi_status status = KIVI_OK;
    while (!status && atomic_load(&script.stage) == 0) {
        ROUND_BEGIN();
        kivi_buffer_free(&own->value);
        status = kivi_store_set(own->store, NULL, kivi_str(own->key), kivi_str("v"), 0, &own->error);
        if (!status)
            status = kivi_store_get(own->store, NULL, kivi_str(own->key), &own->value, &own->error);
        ROUND_END();
    }
    return status;
}

static void use_memory(kivi_store *store)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    CHECK(set(store, "child") == KIVI_OK);
    CHECK(kivi_store_get(store, NULL, kivi_str("before"), &value, NULL) == KIVI_OK);
    kivi_buffer_free(&value);
    kivi_store_unref(store);
}

static void check_load(const char *url)
{
    caller callers[4];
    const char *keys[] = {"a", "b", "c", "d"};
    kivi_store *store = scripted_store(url);
    cr_assert_eq(set(store, "before"), KIVI_OK);
    for (int i = 0; i < 4; i++)
        caller_start(&callers[i], store, keys[i], 0, do_work);
    for (int i = 0; i < 15; i++)
        in_child(use_memory, store);
    atomic_store(&script.stage, 1);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(caller_join(&callers[i]), KIVI_OK);
    kivi_store_unref(store);
}

Test(core_fork, children_of_a_busy_parent)
{
    check_load("memory:");
    atomic_store(&script.stage, 0);
    check_load("memory:?shape=stepped&lanes=2&latency=1ms");
    atomic_store(&script.stage, 0);
    check_load("memory:?shape=blocking&lanes=2");
}
