/* What the tests of queues share: stores and queues, calls that are submitted and waited for. */
#ifndef QUEUE_FIXTURE_H
#define QUEUE_FIXTURE_H

#include "store_fixture.h"

#include <poll.h>

static inline kivi_queue *new_queue(void)
{
    kivi_queue *queue = NULL;
    cr_assert_eq(kivi_queue_new(&queue, NULL), KIVI_OK);
    return queue;
}

static inline void await(kivi_queue *queue)
{
    struct pollfd ready = {.fd = kivi_queue_descriptor(queue), .events = POLLIN};
    cr_assert_gt(poll(&ready, 1, 20000), 0, "nothing completed for 20 s");
}

static inline uint64_t submit(kivi_queue *queue, kivi_store *store, const kivi_request *request)
{
    uint64_t ticket = 0;
    kivi_error *error = NULL;
    kivi_status status = kivi_queue_submit(queue, store, NULL, request, &ticket, &error);
    cr_assert_eq(status, KIVI_OK, "verb %d: %s", request->verb, error ? kivi_error_message(error) : "");
    return ticket;
}

static kivi_buffer performed, performed_version; /* what a call made at once found */

/* Submits and waits for the one completion; without a queue the call is made at once. */
static inline kivi_completion ask(kivi_queue *queue, kivi_store *store, kivi_request request)
{
    kivi_completion end = KIVI_COMPLETION_INIT;
    request.struct_size = sizeof(request);
    if (!queue) {
        kivi_status status = kivi_store_perform(store, NULL, &request, &performed,
                                                &performed_version, &end);
        cr_assert_eq(status, end.status);
        return end;
    }
    uint64_t ticket = submit(queue, store, &request);
    await(queue);
    cr_assert_eq(kivi_queue_take(queue, &end, 1), 1);
    cr_assert_eq(end.ticket, ticket);
    cr_assert_eq(kivi_queue_count(queue), 0);
    return end;
}

static inline kivi_status ask_status(kivi_queue *queue, kivi_store *store, kivi_request request)
{
    kivi_completion end = ask(queue, store, request);
    kivi_status status = end.status;
    cr_assert((status >= 16) == (end.error != NULL), "%s", kivi_status_name(status));
    kivi_completion_release(&end);
    return status;
}

/* Takes `count` completions, which must all have one of two statuses; answers how many had the first. */
static inline size_t take_all(kivi_queue *queue, size_t count, kivi_status first, kivi_status second)
{
    kivi_completion ends[64] = {KIVI_COMPLETION_INIT};
    size_t firsts = 0;
    while (count) {
        await(queue);
        size_t n = kivi_queue_take(queue, ends, 64);
        cr_assert_leq(n, count);
        count -= n;
        for (size_t i = 0; i < n; i++) {
            cr_assert(ends[i].status == first || ends[i].status == second, "%s",
                      kivi_status_name(ends[i].status));
            firsts += ends[i].status == first;
            kivi_completion_release(&ends[i]);
        }
    }
    return firsts;
}

#define KEY(text) .key = kivi_str(text)
#define REQUEST(...) ((kivi_request){__VA_ARGS__})

#endif
