/* An opening that has to wait: what ends it, and what a fork's child waits for. */
#include "scripted_backend.h"

#include <sys/wait.h>

#include "../standin/standstill.h"

TestSuite(core_open, .timeout = 30);

/* What the backend opens is another's until the stage is 2. */
static kivi_status wait_for_stage(kivi_wait *wait)
{
    atomic_store(&script.stage, 1);
    while (atomic_load(&script.stage) != 2) {
        kivi_status status = kivi_wait_check(wait);
        if (status)
            return status;
        nap();
    }
    return KIVI_OK;
}

static kivi_status do_open(caller *own)
{
    return kivi_store_open("scripted:?timeout=1h", &own->call, NULL, &own->store, &own->error);
}

/* An opening on a thread of its own; goes on once it waits. */
static void start_opening(caller *own, kivi_call call)
{
    *own = (caller){.run = do_open, .call = call};
    scripted_register();
    script.open = wait_for_stage;
    cr_assert_eq(pthread_create(&own->thread, NULL, caller_main, own), 0);
    WAIT_UNTIL(atomic_load(&script.stage) == 1);
}

/* It failed with that, a message, and no store. */
static void join_failed(caller *own, kivi_status wanted, const char *message)
{
    cr_assert_eq(pthread_join(own->thread, NULL), 0);
    cr_assert_eq(own->status, wanted);
    cr_assert_null(own->store);
    cr_assert_eq(kivi_error_status(own->error), wanted);
    cr_assert(strstr(kivi_error_message(own->error), message), "%s", kivi_error_message(own->error));
    cr_assert_eq(atomic_load(&script.opened), 0);
    kivi_error_free(own->error);
}

Test(core_open, a_raised_interrupt_ends_it)
{
    caller own;
    kivi_call call = KIVI_CALL_INIT;
    call.interrupt = kivi_interrupt_new();
    start_opening(&own, call);
    kivi_interrupt_raise(call.interrupt);
    join_failed(&own, KIVI_INTERRUPTED, "open: interrupted");
    kivi_interrupt_free(call.interrupt);
}

static int say_stop(void *user)
{
    return atomic_load((_Atomic int *)user);
}

Test(core_open, the_interrupted_function_ends_it)
{
    caller own;
    _Atomic int stop = 0;
    kivi_call call = KIVI_CALL_INIT;
    call.interrupted = say_stop;
    call.user = &stop;
    start_opening(&own, call);
    atomic_store(&stop, 1);
    join_failed(&own, KIVI_INTERRUPTED, "open: interrupted");
}

/* The store's own is an hour. */
Test(core_open, the_deadline_of_the_call_ends_it)
{
    caller own;
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = 50;
    start_opening(&own, call);
    join_failed(&own, KIVI_TIMEOUT, "open: the deadline passed");
}

Test(core_open, the_timeout_of_the_store_ends_it_where_the_call_has_none)
{
    kivi_store *store = NULL;
    kivi_call call = KIVI_CALL_INIT;
    scripted_register();
    script.open = wait_for_stage;
    cr_assert_eq(kivi_store_open("scripted:?timeout=50ms", NULL, NULL, &store, NULL), KIVI_TIMEOUT);
    cr_assert_eq(kivi_store_open("scripted:?timeout=50ms", &call, NULL, &store, NULL), KIVI_TIMEOUT);
    cr_assert_null(store);
}

/* Before the backend is asked. */
Test(core_open, a_call_that_is_none_is_refused)
{
    kivi_store *store = NULL;
    kivi_error *error = NULL;
    kivi_call call = KIVI_CALL_INIT;
    scripted_register();
    call.struct_size = 0;
    cr_assert_eq(kivi_store_open("scripted:", &call, NULL, &store, &error), KIVI_INVALID);
    cr_assert(strstr(kivi_error_message(error), "struct_size"), "%s", kivi_error_message(error));
    kivi_error_free(error);
    call = (kivi_call)KIVI_CALL_INIT;
    call.timeout_ms = -2;
    cr_assert_eq(kivi_store_open("scripted:", &call, NULL, &store, &error), KIVI_INVALID);
    cr_assert(strstr(kivi_error_message(error), "timeout_ms"), "%s", kivi_error_message(error));
    kivi_error_free(error);
    cr_assert_null(store);
    cr_assert_eq(atomic_load(&script.opened), 0);
}

/* ---- in a child of a fork ---- */

/* One thread opens the instance anew, as long as that takes; the other's call has a deadline of its own. */
static int open_anew_by_two(kivi_store *store)
{
    caller first = {.status = KIVI_OK};
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = 50;
    script.open = wait_for_stage;
    caller_start(&first, store, "a", KIVI_NO_TIMEOUT, do_set);
    WAIT_UNTIL(atomic_load(&script.stage) == 1);
    kivi_status second = kivi_store_set(store, &call, kivi_str("b"), kivi_str("v"), 0, NULL);
    atomic_store(&script.stage, 2);
    if (caller_join(&first) != KIVI_OK)
        return 1;
    if (kivi_store_set(store, &call, kivi_str("b"), kivi_str("v"), 0, NULL) != KIVI_OK)
        return 2;
    return second == KIVI_TIMEOUT ? 0 : 3;
}

Test(core_open, a_child_waits_no_longer_than_its_call_for_another_threads_opening)
{
    kivi_store *store = scripted_store("scripted:?timeout=1h");
    int status = 0;
    pid_t child = fork_at_standstill();
    if (child == 0)
        _exit(open_anew_by_two(store));
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child ended with %x", status);
    kivi_store_unref(store);
}
