/* Making calls: at once, or submitted to the queue. */
#include "bindings.h"

#include <time.h>

int64_t kvb_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Of those that have steps: how long the step takes counts, in take.c. */
static void note_begin(kvb_answer *answer)
{
    if (kvb_is_first_step(answer) || kvb_is_second_step(answer))
        answer->began_ms = kvb_now_ms();
}

void kvb_answer_cancel(kvb_answer *answer)
{
    if (answer->pending && answer->store->queue->queue)
        kivi_queue_cancel(answer->store->queue->queue, answer->ticket);
}

/* What the caller gave is gone when the method of kivi.i returns. */
static void forget_slices(kvb_answer *answer)
{
    static const kivi_request nothing = KIVI_REQUEST_INIT;
    answer->request.key = answer->request.value = answer->request.expected = nothing.key;
    answer->request.keys = answer->request.values = NULL;
    answer->request.ops = NULL;
}

void kvb_answer_submit(kvb_answer *answer)
{
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = answer->timeout_ms;
    call.trace = kvb_trace(answer->store);
    answer->request.user = answer;
    note_begin(answer);
    if (!answer->store->queue->queue) {
        answer->done.status = KIVI_CLOSED;
        return;
    }
    answer->done.status = kivi_queue_submit(answer->store->queue->queue, answer->store->store, &call,
                                            &answer->request, &answer->ticket, &answer->done.error);
    if (answer->done.status)
        return;
    answer->pending = true;
    if (!kvb_host_pending(answer))
        kvb_answer_cancel(answer);
    if (!answer->held)
        forget_slices(answer);
}

static bool is_submitted(const kvb_answer *answer)
{
    int32_t verb = answer->request.verb;
    if (!answer->store->queue || verb >= KVB_VERB_UPDATE)
        return false;
    return !answer->store->reads_here || (verb != KIVI_VERB_GET && verb != KIVI_VERB_EXISTS);
}

/* A store with a queue is read at once only while that does not wait: the host gives it next to no time. */
static bool would_wait(const kvb_answer *answer)
{
    return answer->store->queue && answer->request.verb < KVB_VERB_UPDATE &&
           answer->done.status == KIVI_TIMEOUT;
}

void kvb_answer_make(kvb_answer *answer)
{
    if (is_submitted(answer)) {
        kvb_answer_submit(answer);
        return;
    }
    note_begin(answer);
    kvb_host_wait(answer);
    if (would_wait(answer)) {
        kivi_completion_release(&answer->done);
        answer->done = (kivi_completion)KIVI_COMPLETION_INIT;
        kvb_answer_submit(answer);
    }
}
