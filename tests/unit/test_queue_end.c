/* Queues: how calls end, what a queue holds on to, its threads, and forks. */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue_fixture.h"

/* ---- the end of calls ---- */

static void check_hanging(const char *url, bool cancels, bool closes, kivi_status read, kivi_status write)
{
    kivi_store *store = open_store(url);
    kivi_queue *queue = new_queue();
    uint64_t tickets[20];
    for (int i = 0; i < 20; i++) {
        kivi_request request = KIVI_REQUEST_INIT;
        request.verb = i % 2 ? KIVI_VERB_GET : KIVI_VERB_SET;
        request.key = kivi_str(i % 4 < 2 ? "slow1" : "slow2");
        request.value = kivi_str("v");
        tickets[i] = submit(queue, store, &request);
    }
    usleep(30 * 1000);
    for (int i = 0; i < 20 && cancels; i++)
        kivi_queue_cancel(queue, tickets[i]);
    if (closes)
        kivi_store_close(store);
    take_all(queue, 20, read, write);
    kivi_queue_cancel(queue, tickets[0]);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

Test(queue_end, deadlines_cancels_and_close_end_what_hangs, .timeout = 120)
{
    const char *urls[] = {"memory:?shape=stepped&hang_keys=slow&lanes=2",
                          "memory:?shape=blocking&hang_keys=slow&lanes=2"};
    for (size_t i = 0; i < 2; i++) {
        char url[128];
        snprintf(url, sizeof(url), "%s&timeout=200ms", urls[i]);
        check_hanging(url, false, false, KIVI_TIMEOUT, KIVI_UNCERTAIN);
        snprintf(url, sizeof(url), "%s&timeout=60s", urls[i]);
        check_hanging(url, true, false, KIVI_CANCELLED, KIVI_UNCERTAIN);
        check_hanging(url, false, true, KIVI_CLOSED, KIVI_UNCERTAIN);
    }
}

Test(queue_end, closing_drops_what_is_in_flight, .timeout = 60)
{
    for (size_t i = 0; i < 2; i++) {
        kivi_store *store = open_store(i ? "memory:?shape=blocking&hang_keys=slow"
                                         : "memory:?shape=stepped&hang_keys=slow");
        kivi_queue *queue = new_queue();
        kivi_request request = KIVI_REQUEST_INIT;
        request.verb = KIVI_VERB_GET;
        request.key = kivi_str("slow");
        for (int n = 0; n < 50; n++)
            submit(queue, store, &request);
        request.verb = KIVI_VERB_COUNT;
        submit(queue, store, &request);
        usleep(20 * 1000);
        kivi_queue_close(queue);
        kivi_stats stats = {.struct_size = sizeof(stats)};
        cr_assert_eq(kivi_store_stats(store, &stats, NULL), KIVI_OK);
        cr_assert_eq(stats.lanes_busy, 0);
        cr_assert_eq(stats.waiting, 0);
        kivi_store_unref(store);
    }
}

Test(queue_end, completions_outlive_queue_and_store)
{
    kivi_store *store = open_store("memory:?shape=stepped");
    kivi_queue *queue = new_queue();
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("a"), kivi_str("value"), 0, NULL), KIVI_OK);
    kivi_completion end = ask(queue, store, REQUEST(.verb = KIVI_VERB_GET, KEY("a")));
    kivi_queue_close(queue);
    kivi_store_unref(store);
    cr_assert_eq(memcmp(end.value.data, "value", 5), 0);
    kivi_completion_release(&end);
}

/* ---- which calls end ---- */

enum { MANY = 2000 };

static uint64_t submit_slow(kivi_queue *queue, kivi_store *store, int number)
{
    char key[32];
    kivi_request request = KIVI_REQUEST_INIT;
    snprintf(key, sizeof(key), "slow%d", number);
    request.verb = number % 2 ? KIVI_VERB_GET : KIVI_VERB_SET;
    request.key = kivi_str(key);
    request.user = (void *)(intptr_t)number;
    return submit(queue, store, &request);
}

/* Of many in flight exactly those that were cancelled end, each with its own ticket. */
Test(queue_end, a_ticket_is_one_call, .timeout = 60)
{
    static uint64_t tickets[MANY];
    static bool ended[MANY];
    kivi_store *store = open_store("memory:?shape=stepped&hang_keys=slow&timeout=60s");
    kivi_queue *queue = new_queue();
    kivi_completion end = KIVI_COMPLETION_INIT;
    size_t cancelled = 0;
    for (int i = 0; i < MANY; i++)
        tickets[i] = submit_slow(queue, store, i);
    kivi_queue_cancel(queue, 0);
    kivi_queue_cancel(queue, tickets[MANY - 1] + 1);
    for (int i = 0; i < MANY; i += 3, cancelled++)
        kivi_queue_cancel(queue, tickets[i]);
    for (size_t n = 0; n < cancelled; n++) {
        await(queue);
        cr_assert_eq(kivi_queue_take(queue, &end, 1), 1);
        int number = (int)(intptr_t)end.user;
        cr_assert(number % 3 == 0 && !ended[number] && end.ticket == tickets[number]);
        ended[number] = true;
        cr_assert(end.status == KIVI_CANCELLED || (number % 2 == 0 && end.status == KIVI_UNCERTAIN));
        kivi_completion_release(&end);
        kivi_queue_cancel(queue, tickets[number]); /* it is over */
    }
    usleep(120 * 1000);
    cr_assert_eq(kivi_queue_take(queue, &end, 1), 0);
    cr_assert_eq(kivi_queue_count(queue), MANY - cancelled);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

/* ---- what a queue holds on to ---- */

/* A store that its owner let go of is closed once the queue has nothing to do for it. */
Test(queue_end, stores_are_let_go_of, .timeout = 60)
{
    kivi_queue *queue = new_queue();
    kivi_request request = KIVI_REQUEST_INIT;
    kivi_status status = KIVI_OK;
    request.key = request.value = kivi_str("a");
    for (int round = 0; round < 2; round++) { /* the queue goes on after it has let go */
        kivi_store *store = open_store("memory:let-go");
        request.verb = KIVI_VERB_SET;
        cr_assert_eq(ask_status(queue, store, request), KIVI_OK);
        kivi_store_unref(store);
        for (int i = 0; i < 100 && status != KIVI_NOT_FOUND; i++) {
            kivi_buffer value = KIVI_BUFFER_INIT;
            usleep(100 * 1000);
            store = open_store("memory:let-go"); /* the data is gone with the last handle on it */
            status = kivi_store_get(store, NULL, kivi_str("a"), &value, NULL);
            kivi_buffer_free(&value);
            kivi_store_unref(store);
        }
        cr_assert_eq(status, KIVI_NOT_FOUND);
        status = KIVI_OK;
    }
    kivi_queue_close(queue);
}

typedef struct other_caller {
    kivi_store *store;
    kivi_status status;
    _Atomic bool ended;
} other_caller;

static void *get_slowly(void *given)
{
    other_caller *own = given;
    kivi_call call = KIVI_CALL_INIT;
    kivi_buffer value = KIVI_BUFFER_INIT;
    call.timeout_ms = 4000;
    own->status = kivi_store_get(own->store, &call, kivi_str("slow1"), &value, NULL);
    atomic_store(&own->ended, true);
    kivi_buffer_free(&value);
    return NULL;
}

/* A caller that shares a flight with the queue's calls goes on by itself: closing the queue does not wait for it. */
Test(queue_end, closing_waits_for_no_other_caller, .timeout = 60)
{
    other_caller other = {open_store("memory:?shape=stepped&lanes=1&hang_keys=slow&timeout=60s"),
                          KIVI_OK, false};
    kivi_queue *queue = new_queue();
    pthread_t thread;
    uint64_t first = submit_slow(queue, other.store, 3);
    usleep(50 * 1000); /* the only lane is taken: what comes now waits, and is sent together */
    submit_slow(queue, other.store, 5);
    pthread_create(&thread, NULL, get_slowly, &other);
    usleep(100 * 1000);
    kivi_queue_cancel(queue, first);
    take_all(queue, 1, KIVI_CANCELLED, KIVI_CANCELLED);
    usleep(100 * 1000);
    kivi_queue_close(queue);
    cr_assert_not(atomic_load(&other.ended));
    pthread_join(thread, NULL);
    cr_assert_eq(other.status, KIVI_TIMEOUT);
    kivi_stats stats = {.struct_size = sizeof(stats)};
    cr_assert_eq(kivi_store_stats(other.store, &stats, NULL), KIVI_OK);
    cr_assert_eq(stats.lanes_busy, 0);
    kivi_store_unref(other.store);
}

/* ---- threads ---- */

static unsigned count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned count = 0;
    for (struct dirent *entry = readdir(tasks); entry; entry = readdir(tasks))
        count += entry->d_name[0] != '.';
    closedir(tasks);
    return count;
}

static void *nothing(void *given)
{
    return given;
}

static void hear_nothing(const kivi_event *event, void *user)
{
    (void)event, (void)user;
}

Test(queue_end, its_threads_end_when_there_is_nothing_to_do, .timeout = 60)
{
    kivi_store *store = NULL;
    kivi_queue *queue = new_queue();
    kivi_options *options = kivi_options_new();
    kivi_options_on_event(options, hear_nothing, NULL); /* there is a thread for this, too */
    cr_assert_eq(kivi_store_open("memory:", NULL, options, &store, NULL), KIVI_OK);
    kivi_options_free(options);
    pthread_t first; /* a sanitizer may begin one of its own with the first */
    pthread_create(&first, NULL, nothing, NULL);
    pthread_join(first, NULL);
    unsigned before = count_threads();
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(ask_status(queue, store,
                                REQUEST(.verb = KIVI_VERB_SET, KEY("a"), .value = kivi_str("1"))),
                     KIVI_OK);
        cr_assert_gt(count_threads(), before);
        for (int i = 0; i < 100 && count_threads() > before; i++)
            usleep(100 * 1000);
        cr_assert_eq(count_threads(), before);
    }
    kivi_queue_close(queue);
    kivi_store_unref(store);
}

Test(queue_end, a_child_answers_forked, .timeout = 60)
{
    kivi_store *store = open_store("memory:");
    kivi_queue *queue = new_queue();
    kivi_request request = KIVI_REQUEST_INIT;
    request.verb = KIVI_VERB_GET;
    request.key = kivi_str("a");
    pid_t child = fork();
    if (child == 0) {
        kivi_status status = kivi_queue_submit(queue, store, NULL, &request, NULL, NULL);
        kivi_queue_close(queue);
        kivi_store_unref(store);
        _exit(status == KIVI_FORKED ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
    cr_assert_eq(ask_status(queue, store, request), KIVI_NOT_FOUND);
    kivi_queue_close(queue);
    kivi_store_unref(store);
}
