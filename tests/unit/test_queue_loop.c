/* Queues: what loops need that cannot watch a descriptor, or that submit many calls in one turn. */
#include <sched.h>
#include <stdatomic.h>

#include "queue_fixture.h"

typedef struct bell {
    _Atomic unsigned rings;
} bell;

static void ring(void *user)
{
    bell *told = user;
    atomic_fetch_add(&told->rings, 1);
}

static void wait_for_rings(bell *told, unsigned count)
{
    for (int i = 0; i < 20000 && atomic_load(&told->rings) < count; i++)
        poll(NULL, 0, 1);
    cr_assert_geq(atomic_load(&told->rings), count, "not told within 20 s");
}

static bool is_readable(const kivi_queue *queue)
{
    struct pollfd ready = {.fd = kivi_queue_descriptor(queue), .events = POLLIN};
    return poll(&ready, 1, 0) > 0;
}

static void take_one(kivi_queue *queue)
{
    kivi_completion end = KIVI_COMPLETION_INIT;
    cr_assert_eq(kivi_queue_take(queue, &end, 1), 1);
    cr_assert_eq(end.status, KIVI_NOT_FOUND);
    kivi_completion_release(&end);
}

static const kivi_request get = {.struct_size = sizeof(get), .verb = KIVI_VERB_GET, .key = {"a", 1}};

/* Called instead of the descriptor, once while completions wait, and again after they were taken. */
Test(queue_loop, ready_function, .timeout = 60)
{
    kivi_store *store = open_store("memory:?shape=stepped");
    kivi_queue *queue = new_queue();
    bell told = {0};
    kivi_queue_on_ready(queue, ring, &told);
    for (unsigned round = 1; round <= 3; round++) {
        submit(queue, store, &get);
        wait_for_rings(&told, round);
        cr_assert_not(is_readable(queue));
        take_one(queue);
        cr_assert_eq(atomic_load(&told.rings), round);
    }
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

/* What waits already is told at once, to whoever is to be told from now on. */
Test(queue_loop, ready_function_is_told_what_waits, .timeout = 60)
{
    kivi_store *store = open_store("memory:?shape=stepped");
    kivi_queue *queue = new_queue();
    bell told = {0};
    submit(queue, store, &get);
    await(queue);
    kivi_queue_on_ready(queue, ring, &told);
    cr_assert_eq(atomic_load(&told.rings), 1);
    take_one(queue);
    cr_assert_not(is_readable(queue), "the descriptor was read as well");
    submit(queue, store, &get);
    wait_for_rings(&told, 2);
    kivi_queue_on_ready(queue, NULL, NULL);
    cr_assert(is_readable(queue), "the descriptor, once there is no function");
    take_one(queue);
    submit(queue, store, &get);
    await(queue);
    cr_assert_eq(atomic_load(&told.rings), 2, "told no more");
    take_one(queue);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

/* Calls of one turn are one flight; those that nobody lets go begin all the same. */
Test(queue_loop, held_calls_travel_together, .timeout = 60)
{
    kivi_store *store = open_store("memory:?shape=stepped");
    kivi_queue *queue = new_queue();
    kivi_stats stats = {.struct_size = sizeof(stats)};
    submit(queue, store, &get); /* its thread runs from now on */
    await(queue);
    take_one(queue);
    cr_assert_eq(kivi_store_stats(store, &stats, NULL), KIVI_OK);
    uint64_t before = stats.vectors;
    kivi_queue_hold(queue, true);
    for (int i = 0; i < 16; i++)
        submit(queue, store, &get);
    kivi_queue_hold(queue, false);
    cr_assert_eq(take_all(queue, 16, KIVI_NOT_FOUND, KIVI_OK), 16);
    cr_assert_eq(kivi_store_stats(store, &stats, NULL), KIVI_OK);
    cr_assert_leq(stats.vectors - before, 8, "the stepper may look up by itself in between");
    kivi_queue_hold(queue, true);
    submit(queue, store, &get);
    await(queue);
    take_one(queue);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

static size_t take_some(kivi_queue *queue, size_t most)
{
    kivi_completion ends[64] = {KIVI_COMPLETION_INIT};
    size_t count = kivi_queue_take(queue, ends, most);
    for (size_t i = 0; i < count; i++)
        kivi_completion_release(&ends[i]);
    return count;
}

/* Submits calls as one turn of a loop does, and answers how many are done when the loop is first told. */
static size_t take_as_told(kivi_queue *queue, kivi_store *store, bell *told, unsigned calls)
{
    unsigned rings = atomic_load(&told->rings);
    kivi_queue_hold(queue, true);
    for (unsigned i = 0; i < calls; i++)
        submit(queue, store, &get);
    kivi_queue_hold(queue, false);
    while (atomic_load(&told->rings) == rings)
        sched_yield(); /* awake: one told too early takes too little */
    size_t first = take_some(queue, calls);
    for (size_t taken = first; taken < calls; poll(NULL, 0, 1))
        taken += take_some(queue, calls - taken);
    return first;
}

/* Answers that come together are there together when the loop is told: it is told once. */
Test(queue_loop, told_once_of_a_whole_flight, .timeout = 60)
{
    enum { CALLS = 16 };
    kivi_store *store = open_store("memory:?shape=stepped&lanes=1");
    kivi_queue *queue = new_queue();
    bell told = {0};
    unsigned together = 0;
    kivi_queue_on_ready(queue, ring, &told);
    for (int i = 0; i < 100; i++) {
        uint64_t vectors = stats_of(store).vectors;
        size_t first = take_as_told(queue, store, &told, CALLS);
        if (stats_of(store).vectors != vectors + 1)
            continue; /* the stepper looked up by itself while they were submitted */
        cr_assert_eq(first, CALLS, "told of %zu before the others", first);
        together++;
    }
    cr_assert_gt(together, 0, "they never flew together");
    kivi_queue_close(queue);
    kivi_store_unref(store);
}
