/* Threads of a queue: blocking flights and large values do not wait behind one another. */
#include "queue_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

TestSuite(queue_crews, .timeout = 120);

#define HANGING 4
#define LARGE (3u << 20) /* no vector is shared by such a value: it is a job */

/* A lane that is taken is not enough: calls still join what has not begun. */
static void wait_for_hanging(kivi_store *store, unsigned count)
{
    kivi_health health = {.struct_size = sizeof(health)};
    unsigned hanging = 0;
    while (hanging < count) {
        cr_assert_eq(kivi_store_health(store, NULL, &health, NULL), KIVI_OK);
        const char *told = strstr(health.detail, "values, ");
        if (told)
            cr_assert_eq(sscanf(told, "values, %u vectors left hanging", &hanging), 1, "%s",
                         health.detail);
    }
    cr_assert_eq(hanging, count);
}

static kivi_request set_of(const char *key, kivi_slice value)
{
    return (kivi_request){
        .struct_size = sizeof(kivi_request), .verb = KIVI_VERB_SET, .key = kivi_str(key), .value = value};
}

/* Some that never end, each in a lane of its own; one that does ends all the same. */
static void expect_no_queueing(const char *url, kivi_slice value)
{
    static const char *const keys[HANGING] = {"slow0", "slow1", "slow2", "slow3"};
    uint64_t tickets[HANGING];
    kivi_store *store = open_store(url);
    kivi_queue *queue = new_queue();
    kivi_completion end = KIVI_COMPLETION_INIT;
    for (uint32_t i = 0; i < HANGING; i++) {
        kivi_request hangs = set_of(keys[i], value);
        tickets[i] = submit(queue, store, &hangs);
        wait_for_hanging(store, i + 1);
    }
    for (int i = 0; i < 20; i++) {
        kivi_request quick = set_of("quick", value);
        uint64_t ticket = submit(queue, store, &quick);
        await(queue);
        cr_assert_eq(kivi_queue_take(queue, &end, 1), 1);
        cr_assert_eq(end.ticket, ticket, "%s", url);
        cr_assert_eq(end.status, KIVI_OK);
        kivi_completion_release(&end);
    }
    for (uint32_t i = 0; i < HANGING; i++)
        kivi_queue_cancel(queue, tickets[i]);
    take_all(queue, HANGING, KIVI_CANCELLED, KIVI_UNCERTAIN);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

Test(queue_crews, flights_of_a_blocking_store_are_side_by_side)
{
    expect_no_queueing("memory:?shape=blocking&hang_keys=slow&timeout=60s", kivi_str("v"));
}

Test(queue_crews, large_values_do_not_wait_behind_one_another)
{
    char *bytes = calloc(1, LARGE);
    expect_no_queueing("memory:?shape=blocking&hang_keys=slow&timeout=60s", kivi_bytes(bytes, LARGE));
    expect_no_queueing("memory:?shape=stepped&hang_keys=slow&timeout=60s", kivi_bytes(bytes, LARGE));
    free(bytes);
}

/* Many at once, of several queues: each completes once, and closing waits for nobody. */
Test(queue_crews, a_burst_is_shared_by_the_crew)
{
    kivi_store *store = open_store("memory:?shape=blocking&latency=1ms&latency_jitter=3ms&lanes=4");
    kivi_queue *queues[2] = {new_queue(), new_queue()};
    static char names[2000][8];
    for (int i = 0; i < 2000; i++) {
        snprintf(names[i], sizeof(names[i]), "k%d", i % 700);
        kivi_request set = set_of(names[i], kivi_str("v"));
        submit(queues[i % 2], store, &set);
        if (i % 100 == 99)
            nanosleep(&(struct timespec){0, 500000}, NULL);
    }
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(take_all(queues[i], 1000, KIVI_OK, KIVI_OK), 1000);
        cr_assert_eq(kivi_queue_count(queues[i]), 0);
        kivi_queue_close(queues[i]);
    }
    cr_assert_leq(stats_of(store).lanes, 4);
    kivi_store_unref(store);
}

/* Emulated increments of one key: each counts once, none starves, and those that wait together are one write. */
Test(queue_crews, increments_of_one_key_go_together)
{
    kivi_store *store = open_store("memory:?shape=blocking&native=false&latency=20ms&timeout=60s");
    kivi_queue *queue = new_queue();
    kivi_completion end = KIVI_COMPLETION_INIT;
    bool seen[201] = {false};
    kivi_request increment = {
        .struct_size = sizeof(increment), .verb = KIVI_VERB_INCREMENT, .key = kivi_str("n"), .by = 1};
    for (int i = 0; i < 200; i++)
        submit(queue, store, &increment);
    for (int i = 0; i < 200; i++) {
        while (!kivi_queue_take(queue, &end, 1))
            await(queue);
        cr_assert_eq(end.status, KIVI_OK, "%s", kivi_error_message(end.error));
        cr_assert(end.integer >= 1 && end.integer <= 200 && !seen[end.integer]);
        seen[end.integer] = true;
        kivi_completion_release(&end);
    }
    cr_assert_lt(stats_of(store).vectors, 400, "alone each reads and writes: 400 vectors");
    kivi_queue_close(queue);
    kivi_store_unref(store);
}
