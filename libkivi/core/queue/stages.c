/* Stages that calls of every kind go through: hurried, given to a worker as jobs, completed. */
#include "../lanes/context.h"
#include "queue.h"

/* ---- waking the stepper ---- */

void kvi_queue_ring(kivi_queue *queue)
{
    kvi_flag_raise(&queue->wake);
}

void kvi_queue_wake(kivi_queue *queue)
{
    if (queue->woken)
        return;
    queue->woken = true;
    if (queue->submitting)
        queue->rings = true;
    else
        kvi_queue_ring(queue);
}

/* ---- stages; all hold queue.mutex ---- */

void kvi_queued_hurry(kvi_queued *call)
{
    kivi_queue *queue = call->queue;
    kvi_queue_wake(queue);
    if (call->hurried)
        return;
    call->hurried = true;
    call->hurried_previous = NULL;
    call->hurried_next = queue->hurried;
    if (call->hurried_next)
        call->hurried_next->hurried_previous = call;
    queue->hurried = call;
}

void kvi_queued_calm(kvi_queued *call)
{
    if (!call->hurried)
        return;
    call->hurried = false;
    *(call->hurried_previous ? &call->hurried_previous->hurried_next
                             : &call->queue->hurried) = call->hurried_next;
    if (call->hurried_next)
        call->hurried_next->hurried_previous = call->hurried_previous;
}

void kvi_queue_tell_ready(kivi_queue *queue)
{
    if (queue->ready) {
        queue->ready(queue->ready_user);
        return;
    }
    kvi_flag_raise(&queue->descriptor);
    queue->is_readable = true;
}

void kvi_queued_complete(kvi_queued *call)
{
    kivi_queue *queue = call->queue;
    kvi_queued_calm(call);
    kvi_tickets_remove(&queue->by_ticket, call);
    *(call->previous ? &call->previous->next : &queue->in_flight) = call->next;
    if (call->next)
        call->next->previous = call->previous;
    call->stage = KVI_ENDED;
    call->worker->in_flight--;
    call->done_next = NULL;
    bool first = !queue->done_head;
    *(first ? &queue->done_head : &queue->done_tail->done_next) = call;
    queue->done_tail = call;
    if (first && queue->settling)
        queue->tells = true;
    else if (first)
        kvi_queue_tell_ready(queue);
    if (queue->closed)
        kvi_queue_wake(queue); /* perhaps it was the last */
}

void kvi_queued_fail(kvi_queued *call, kivi_status status)
{
    kivi_completion *end = &call->completion;
    kivi_error_free(end->error);
    end->status = status;
    end->error = kvi_wait_error(&call->ctx, status);
    kvi_queued_complete(call);
}

bool kvi_queued_start_job(kvi_queued *call)
{
    kvi_worker *worker = call->worker;
    if (!kvi_crew_wake(worker, &worker->jobs))
        return false;
    call->stage = KVI_AS_JOB;
    call->job_next = NULL;
    call->job_previous = worker->job_tail;
    *(worker->job_tail ? &worker->job_tail->job_next : &worker->job_head) = call;
    worker->job_tail = call;
    return true;
}

void kvi_queued_leave_jobs(kvi_queued *call)
{
    kvi_worker *worker = call->worker;
    *(call->job_previous ? &call->job_previous->job_next : &worker->job_head) = call->job_next;
    *(call->job_next ? &call->job_next->job_previous : &worker->job_tail) = call->job_previous;
}
