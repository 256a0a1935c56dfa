/* Queued increments that the core composes: those that wait for one key together are one write, each with its own answer. */
#include "queue_fixture.h"

#include "core/store/begin.h"
#include "core/store/places.h"

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

TestSuite(queue_lines, .timeout = 120);

#define BLOCKING "memory:?shape=blocking&native=false&latency=20ms&timeout=60s"
#define STEPPED "memory:?shape=stepped&native=false&latency=20ms&timeout=60s"
#define PLAIN "memory:?native=false&timeout=60s" /* one thread makes its jobs */

enum { MANY = 1000 };

/* The test's own thread has the place of a key, so that whatever is submitted waits for it. */
typedef struct holder {
    kvi_context ctx;
    kvi_place place;
} holder;

static void hold(holder *own, kivi_store *store, const char *key)
{
    own->place = (kvi_place){.state = KVI_PLACE_NONE};
    cr_assert_eq(kvi_begin(&own->ctx, store, NULL, "hold", NULL), KIVI_OK);
    cr_assert_eq(kvi_place_take(&own->ctx, &own->place, kivi_str(key)), KIVI_OK);
    cr_assert_eq(atomic_load(&own->place.state), KVI_PLACE_HOLDS);
}

static void let_go(holder *own)
{
    kvi_place_give(&own->place, NULL);
    kvi_end(&own->ctx, KIVI_OK);
}

static kivi_request add(int64_t by, void *user)
{
    return (kivi_request){.struct_size = sizeof(kivi_request),
                          .verb = KIVI_VERB_INCREMENT,
                          .key = kivi_str("n"),
                          .by = by,
                          .user = user};
}

static kivi_completion take_one(kivi_queue *queue)
{
    kivi_completion end = KIVI_COMPLETION_INIT;
    while (!kivi_queue_take(queue, &end, 1))
        await(queue);
    return end;
}

/* However many wait, through whatever queue: one read and one write, and sums as if one came after the other. */
static void expect_one_write(const char *url)
{
    static int numbers[MANY];
    kivi_store *store = open_store(url);
    kivi_queue *queues[2] = {new_queue(), new_queue()};
    holder mine;
    hold(&mine, store, "n");
    for (int i = 0; i < MANY; i++) {
        kivi_request request = add(2, &numbers[i]);
        submit(queues[i % 2], store, &request);
    }
    let_go(&mine);
    for (int i = 0; i < MANY; i++) {
        kivi_completion end = take_one(queues[i % 2]);
        ptrdiff_t number = (int *)end.user - numbers;
        cr_assert_eq(end.status, KIVI_OK, "%s", kivi_error_message(end.error));
        cr_assert_eq(end.integer, 2 * (number + 1));
        kivi_completion_release(&end);
    }
    cr_assert_eq(stats_of(store).vectors, 2, "%s: %llu vectors", url,
                 (unsigned long long)stats_of(store).vectors);
    cr_assert_eq(integer_of(store, "n"), 2 * MANY);
    kivi_queue_close(queues[0]);
    kivi_queue_close(queues[1]);
    kivi_store_unref(store);
}

Test(queue_lines, those_that_wait_are_one_write)
{
    expect_one_write(BLOCKING);
    expect_one_write(STEPPED);
}

/* Nobody is held up: a few rounds, whatever the threads of the queue do. */
Test(queue_lines, a_burst_is_a_few_writes)
{
    kivi_store *store = open_store(STEPPED);
    kivi_queue *queue = new_queue();
    bool seen[MANY + 1] = {false};
    kivi_request request = add(1, NULL);
    for (int i = 0; i < MANY; i++)
        submit(queue, store, &request);
    for (int i = 0; i < MANY; i++) {
        kivi_completion end = take_one(queue);
        cr_assert_eq(end.status, KIVI_OK);
        cr_assert(end.integer >= 1 && end.integer <= MANY && !seen[end.integer]);
        seen[end.integer] = true;
        kivi_completion_release(&end);
    }
    cr_assert_lt(stats_of(store).vectors, MANY / 4);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

/* One that overflows fails alone; those behind it count. */
Test(queue_lines, one_that_overflows_fails_alone)
{
    static const int64_t steps[] = {INT64_MAX - 1, 5, 1, 1, -1};
    static const kivi_status wanted[] = {KIVI_OK, KIVI_OVERFLOW, KIVI_OK, KIVI_OVERFLOW, KIVI_OK};
    kivi_store *store = open_store(BLOCKING);
    kivi_queue *queue = new_queue();
    holder mine;
    hold(&mine, store, "n");
    for (size_t i = 0; i < 5; i++) {
        kivi_request request = add(steps[i], (void *)&steps[i]);
        submit(queue, store, &request);
    }
    let_go(&mine);
    for (int i = 0; i < 5; i++) {
        kivi_completion end = take_one(queue);
        cr_assert_eq(end.status, wanted[(const int64_t *)end.user - steps]);
        cr_assert_eq(end.error != NULL, end.status == KIVI_OVERFLOW);
        kivi_completion_release(&end);
    }
    cr_assert_eq(integer_of(store, "n"), INT64_MAX - 1);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

/* ---- leaving ---- */

Test(queue_lines, who_is_cancelled_or_late_does_not_count)
{
    kivi_store *store = open_store(BLOCKING);
    kivi_queue *queue = new_queue();
    kivi_call brief = KIVI_CALL_INIT;
    holder mine;
    uint64_t tickets[6], late;
    brief.timeout_ms = 30;
    hold(&mine, store, "n");
    kivi_request request = add(1, NULL);
    for (int i = 0; i < 6; i++)
        tickets[i] = submit(queue, store, &request);
    cr_assert_eq(kivi_queue_submit(queue, store, &brief, &request, &late, NULL), KIVI_OK);
    kivi_queue_cancel(queue, tickets[0]);
    kivi_queue_cancel(queue, tickets[3]);
    for (int i = 0; i < 3; i++) {
        kivi_completion end = take_one(queue);
        cr_assert_eq(end.status, end.ticket == late ? KIVI_TIMEOUT : KIVI_CANCELLED);
        cr_assert_not_null(end.error);
        kivi_completion_release(&end);
    }
    let_go(&mine);
    cr_assert_eq(take_all(queue, 4, KIVI_OK, KIVI_OK), 4);
    cr_assert_eq(integer_of(store, "n"), 4);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

Test(queue_lines, closing_a_store_or_a_queue_waits_for_nobody)
{
    kivi_store *store = open_store(BLOCKING);
    kivi_queue *queues[2] = {new_queue(), new_queue()};
    holder mine;
    hold(&mine, store, "n");
    kivi_request request = add(1, NULL);
    for (int i = 0; i < 100; i++)
        submit(queues[i % 2], store, &request);
    kivi_queue_close(queues[0]);
    kivi_store_close(store);
    cr_assert_eq(take_all(queues[1], 50, KIVI_CLOSED, KIVI_CLOSED), 50);
    let_go(&mine);
    kivi_queue_close(queues[1]);
    kivi_store_unref(store);
}

/* ---- beside others ---- */

/* The only thread for jobs stands in line itself, for a batch: it is behind those that wait for a thread to come. */
Test(queue_lines, a_job_in_line_does_not_wait_for_itself)
{
    kivi_store *store = open_store(PLAIN);
    kivi_queue *queue = new_queue();
    kivi_op op = {.struct_size = sizeof(op), .kind = KIVI_OP_INCREMENT, .key = kivi_str("n"), .by = 1};
    kivi_request batch = {.struct_size = sizeof(batch), .verb = KIVI_VERB_APPLY, .ops = &op, .count = 1};
    kivi_request one = add(1, NULL);
    holder mine;
    for (int round = 0; round < 20; round++) {
        hold(&mine, store, "n");
        submit(queue, store, &one);
        submit(queue, store, &batch);
        submit(queue, store, &one);
        submit(queue, store, &batch);
        if (round % 2)
            nanosleep(&(struct timespec){0, 5000000}, NULL);
        let_go(&mine);
        cr_assert_eq(take_all(queue, 4, KIVI_OK, KIVI_OK), 4);
    }
    cr_assert_eq(integer_of(store, "n"), 80);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

static kivi_status stay_for_long(const kivi_slice *current, kivi_buffer *next,
                                 kivi_update_action *action, void *user)
{
    kivi_queue *queue = user;
    (void)current, (void)next;
    cr_assert_eq(take_all(queue, 10, KIVI_OK, KIVI_OK), 10);
    *action = KIVI_UPDATE_LEAVE;
    return KIVI_OK;
}

/* A holder in its caller's function is passed over, though no thread stands in line. */
Test(queue_lines, a_holder_that_stays_away_is_passed_over)
{
    kivi_store *store = open_store(PLAIN);
    kivi_queue *queue = new_queue();
    kivi_request one = add(1, NULL);
    holder mine;
    hold(&mine, store, "n");
    for (int i = 0; i < 10; i++)
        submit(queue, store, &one);
    kvi_place_leave(&mine.place, kvi_monotonic_ns());
    cr_assert_eq(take_all(queue, 10, KIVI_OK, KIVI_OK), 10);
    cr_assert(kvi_place_is_lost(&mine.place));
    let_go(&mine);
    for (int i = 0; i < 10; i++)
        submit(queue, store, &one);
    cr_assert_eq(kivi_store_update(store, NULL, kivi_str("n"), 0, stay_for_long, queue, NULL), KIVI_OK);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

Test(queue_lines, a_child_has_no_part_in_the_line)
{
    kivi_store *store = open_store(BLOCKING);
    kivi_queue *queue = new_queue();
    kivi_request one = add(1, NULL);
    holder mine;
    int status = -1;
    hold(&mine, store, "n");
    for (int i = 0; i < 50; i++)
        submit(queue, store, &one);
    pid_t child = fork();
    if (child == 0) {
        int64_t sum = 0;
        kivi_status added = kivi_store_increment(store, NULL, kivi_str("n"), 1, 0, &sum, NULL);
        kivi_queue_close(queue);
        _exit(added == KIVI_OK && sum == 1 ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    let_go(&mine);
    cr_assert_eq(take_all(queue, 50, KIVI_OK, KIVI_OK), 50);
    cr_assert_eq(integer_of(store, "n"), 50);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

/* ---- all at once ---- */

typedef struct mix {
    kivi_store *store;
    _Atomic int64_t added, doubtful;
} mix;

static void count(mix *all, kivi_status status)
{
    atomic_fetch_add(&all->added, status == KIVI_OK);
    atomic_fetch_add(&all->doubtful, status == KIVI_UNCERTAIN);
}

static void *add_by_calls(void *given)
{
    mix *all = given;
    for (int i = 0; i < 100; i++) {
        kivi_call call = KIVI_CALL_INIT;
        call.timeout_ms = 2 + i % 40;
        count(all, kivi_store_increment(all->store, &call, kivi_str("n"), 1, 0, NULL, NULL));
    }
    return NULL;
}

static void *add_by_queue(void *given)
{
    mix *all = given;
    kivi_queue *queue = new_queue();
    kivi_request one = add(1, NULL);
    for (int i = 0; i < 500; i++) {
        kivi_call call = KIVI_CALL_INIT;
        uint64_t ticket = 0;
        call.timeout_ms = 2 + i % 50;
        cr_assert_eq(kivi_queue_submit(queue, all->store, &call, &one, &ticket, NULL), KIVI_OK);
        if (i % 3 == 0)
            kivi_queue_cancel(queue, ticket - (uint64_t)(i % 7));
        if (i % 50 == 49)
            nanosleep(&(struct timespec){0, 3000000}, NULL);
    }
    for (int i = 0; i < 500; i++) {
        kivi_completion end = take_one(queue);
        cr_assert(end.status == KIVI_OK || end.status == KIVI_UNCERTAIN ||
                      end.status == KIVI_TIMEOUT || end.status == KIVI_CANCELLED,
                  "%s", kivi_status_name(end.status));
        count(all, end.status);
        kivi_completion_release(&end);
    }
    kivi_queue_close(queue);
    return NULL;
}

/* Threads and queues on one key, with little time, some cancelled: what was acknowledged counts, and no more than may. */
static void expect_exact_sums(const char *url)
{
    mix all = {.store = open_store(url)};
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, i % 2 ? add_by_queue : add_by_calls, &all), 0);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    int64_t sum = integer_of(all.store, "n");
    cr_assert_geq(sum, atomic_load(&all.added));
    cr_assert_leq(sum, atomic_load(&all.added) + atomic_load(&all.doubtful));
    kivi_store_unref(all.store);
}

Test(queue_lines, threads_and_queues_add_exactly)
{
    expect_exact_sums(
        "memory:?shape=stepped&native=false&latency=1ms&latency_jitter=2ms&timeout=60s");
    expect_exact_sums(
        "memory:?shape=blocking&native=false&latency=1ms&latency_jitter=2ms&timeout=60s");
    expect_exact_sums(PLAIN);
}
