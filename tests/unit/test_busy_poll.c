/* Waiting awake or asleep: what a lane chooses, by what it measured, and that a wait awake ends. */
#include "scripted_backend.h"

#include "core/base/base.h"
#include "core/base/platform.h"
#include "core/lanes/busy_poll.h"

#include <sched.h>
#include <sys/eventfd.h>

TestSuite(busy_poll, .timeout = 30);

/* Flies once: `awake_ns` or `asleep_ns`, as it chooses. Whether it was awake. */
static bool fly(kvi_busy_poll *own, uint64_t awake_ns, uint64_t asleep_ns)
{
    kvi_busy_poll_begin(own, true);
    kvi_busy_poll_learn(own, own->awake ? awake_ns : asleep_ns);
    return own->awake;
}

static unsigned count_awake(kvi_busy_poll *own, unsigned flights, uint64_t awake_ns, uint64_t asleep_ns)
{
    unsigned count = 0;
    for (unsigned i = 0; i < flights; i++)
        count += fly(own, awake_ns, asleep_ns);
    return count;
}

/* ---- the choice ---- */

Test(busy_poll, both_ways_are_tried_and_the_faster_is_kept)
{
    kvi_busy_poll own = {0};
    cr_assert_not(fly(&own, 30000, 80000));
    cr_assert(fly(&own, 30000, 80000));
    cr_assert_eq(count_awake(&own, 100, 30000, 80000), 100);

    own = (kvi_busy_poll){0};
    cr_assert_not(fly(&own, 130000, 80000));
    cr_assert(fly(&own, 130000, 80000));
    cr_assert_eq(count_awake(&own, 50, 130000, 80000), 0);
}

Test(busy_poll, awake_must_be_worth_a_processor)
{
    kvi_busy_poll own = {0};
    count_awake(&own, 2, 60000, 80000);
    cr_assert_eq(count_awake(&own, 50, 60000, 80000), 0);
}

Test(busy_poll, the_slower_way_is_tried_now_and_then)
{
    kvi_busy_poll near = {0}, far = {0};
    unsigned awake_near = count_awake(&near, 10000, 30000, 80000);
    unsigned awake_far = count_awake(&far, 10000, 550000, 500000);
    cr_assert(awake_near > 9900 && awake_near < 9999, "%u", awake_near);
    cr_assert(awake_far > 100 && awake_far < 200, "%u", awake_far);
}

Test(busy_poll, what_changes_is_noticed)
{
    kvi_busy_poll own = {0};
    count_awake(&own, 1000, 30000, 80000);
    /* Somebody else computes from now on. */
    cr_assert_lt(count_awake(&own, 1000, 3000000, 80000), 100);
    /* It is over. */
    count_awake(&own, 5000, 30000, 80000);
    cr_assert_gt(count_awake(&own, 1000, 30000, 80000), 900);
}

Test(busy_poll, one_slow_flight_says_little)
{
    kvi_busy_poll own = {0};
    count_awake(&own, 100, 30000, 80000);
    fly(&own, UINT64_C(5000000000), UINT64_C(5000000000));
    cr_assert_eq(count_awake(&own, 100, 30000, 80000), 100);
}

Test(busy_poll, without_calm_it_sleeps_and_learns_nothing)
{
    kvi_busy_poll own = {0}, before;
    count_awake(&own, 10, 30000, 80000);
    before = own;
    kvi_busy_poll_begin(&own, false);
    cr_assert_not(own.awake);
    kvi_busy_poll_learn(&own, 1);
    cr_assert_eq(own.awake_ns, before.awake_ns);
    cr_assert_eq(own.asleep_ns, before.asleep_ns);
}

/* ---- the wait ---- */

Test(busy_poll, it_ends_with_its_time)
{
    kvi_busy_poll own = {0};
    struct pollfd never = {.fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN};
    uint64_t began = kvi_monotonic_ns();
    cr_assert_not(kvi_busy_poll_wait(&own, &never, 2000000));
    cr_assert_geq(kvi_monotonic_ns() - began, 2000000);
    close(never.fd);
}

static void *write_soon(void *given)
{
    uint64_t one = 1;
    nap();
    cr_assert_eq(write(*(int *)given, &one, sizeof(one)), sizeof(one));
    return NULL;
}

Test(busy_poll, it_ends_with_what_comes)
{
    kvi_busy_poll own = {0};
    int fd = eventfd(0, EFD_CLOEXEC);
    struct pollfd soon = {.fd = fd, .events = POLLIN};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, write_soon, &fd), 0);
    cr_assert(kvi_busy_poll_wait(&own, &soon, UINT64_C(20000000000)));
    cr_assert_eq(soon.revents, POLLIN);
    pthread_join(thread, NULL);
    close(fd);
}

/* What a flight awake does when the answer takes longer than it looks; the clock says that it is worth it all the same. */
static bool fly_and_miss(kvi_busy_poll *own, struct pollfd *never)
{
    kvi_busy_poll_begin(own, true);
    if (own->awake)
        cr_assert_not(kvi_busy_poll_wait(own, never, 1));
    kvi_busy_poll_learn(own, own->awake ? 1000000 : 4000000);
    return own->awake;
}

Test(busy_poll, to_look_and_to_sleep_all_the_same_is_not_worth_it)
{
    struct pollfd never = {.fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN};
    struct pollfd there = {.fd = eventfd(1, EFD_CLOEXEC), .events = POLLIN};
    kvi_busy_poll own = {0};
    unsigned awake = 0;
    for (int i = 0; i < 4000; i++)
        awake += fly_and_miss(&own, &never);
    cr_assert_lt(awake, 100, "%u of 4000 flights looked for nothing", awake);
    /* The machine has come to rest: the tries find it out. */
    for (int i = 0; i < 4000; i++) {
        kvi_busy_poll_begin(&own, true);
        if (own.awake)
            cr_assert(kvi_busy_poll_wait(&own, &there, 1));
        kvi_busy_poll_learn(&own, own.awake ? 30000 : 80000);
    }
    cr_assert_gt(count_awake(&own, 1000, 30000, 80000), 900);
    close(never.fd);
    close(there.fd);
}

static void run_on_one_processor(void)
{
    cpu_set_t one;
    int mine = sched_getcpu();
    CPU_ZERO(&one);
    CPU_SET(mine, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

Test(busy_poll, processors_are_those_that_it_may_run_on)
{
    cr_assert_geq(kvi_processors(), 1);
    run_on_one_processor();
#ifndef KIVI_POSIX /* which knows the machine's alone */
    cr_assert_eq(kvi_processors(), 1);
#endif
}

/* ---- in flights ---- */

/* Sleeping is made slow for the first flight, waiting awake fast for the second; the third's answer never comes. */
static kivi_status slow_fast_never(scripted_verb *verb)
{
    if (verb->steps == 0 || verb->number > 1)
        return KIVI_PENDING;
    if (verb->number == 0 && verb->steps == 1)
        usleep(50000);
    return verb->revents ? scripted_all_done(verb) : KIVI_PENDING;
}

static kivi_store *store_awake(void)
{
    script.play = slow_fast_never;
    script.poll_flags = KIVI_POLL_MAY_WAIT;
    script.ready_fd = eventfd(1, EFD_CLOEXEC);
    kivi_store *store = scripted_store("scripted:");
    kivi_buffer value = KIVI_BUFFER_INIT;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(kivi_store_get(store, NULL, kivi_str("key"), &value, NULL), KIVI_OK);
    cr_assert_eq(atomic_load(&script.waits), kvi_processors() > 1 ? 1 : 2,
                 "the second flight let the step wait");
    kivi_buffer_free(&value);
    uint64_t taken;
    cr_assert_eq(read(script.ready_fd, &taken, sizeof(taken)), sizeof(taken)); /* from now on nothing comes */
    return store;
}

static kivi_status get_never(kivi_store *store, kivi_call *call)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_get(store, call, kivi_str("key"), &value, NULL);
    kivi_buffer_free(&value);
    kivi_store_unref(store);
    return status;
}

Test(busy_poll, a_flight_awake_keeps_its_deadline)
{
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = 130;
    cr_assert_eq(get_never(store_awake(), &call), KIVI_TIMEOUT);
}

Test(busy_poll, a_flight_awake_is_interrupted)
{
    kivi_call call = KIVI_CALL_INIT;
    kivi_status status;
    call.timeout_ms = KIVI_NO_TIMEOUT;
    call.interrupt = kivi_interrupt_new();
    kivi_interrupt_raise(call.interrupt);
    status = get_never(store_awake(), &call);
    kivi_interrupt_free(call.interrupt);
    cr_assert_eq(status, KIVI_INTERRUPTED);
}

Test(busy_poll, on_one_processor_nothing_waits_awake)
{
    run_on_one_processor();
    kivi_store_unref(store_awake());
}

/* ---- with a time of the session's own ---- */

Test(busy_poll, a_far_time_of_the_session_disables_nothing)
{
    if (kvi_processors() < 2)
        return;
    script.poll_ns = INT64_C(3600000000000);
    kivi_store_unref(store_awake()); /* which says whether the second flight was awake */
}
