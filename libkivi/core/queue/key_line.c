/*
 * Queued increments that the core composes: they wait in the line of their key without a thread, so that whoever holds the
 * key's place writes them all as one. A job is only the one whose turn it is.
 *
 * Locks: queue.mutex, then the line's, then queue.told.mutex. Who holds a line's therefore only notes whom it has told,
 * and the stepper hears of it.
 */
#include "queue.h"

#include <stdlib.h>

/* ---- who was told; all but note_told() hold queue.mutex ---- */

/* With the line's mutex: by the holder of the place, on any thread. */
static void note_told(kvi_place *place)
{
    kvi_in_line *own = place->owner;
    kivi_queue *queue = own->call->queue;
    pthread_mutex_lock(&queue->told.mutex);
    if (!own->is_told) {
        bool is_first = !queue->told.head;
        own->is_told = true;
        own->previous = queue->told.tail;
        own->next = NULL;
        *(is_first ? &queue->told.head : &queue->told.tail->next) = own;
        queue->told.tail = own;
        if (is_first)
            kvi_queue_ring(queue);
    }
    pthread_mutex_unlock(&queue->told.mutex);
}

static void forget_told(kvi_in_line *own)
{
    kivi_queue *queue = own->call->queue;
    pthread_mutex_lock(&queue->told.mutex);
    if (own->is_told) {
        *(own->previous ? &own->previous->next : &queue->told.head) = own->next;
        *(own->next ? &own->next->previous : &queue->told.tail) = own->previous;
        own->is_told = false;
    }
    pthread_mutex_unlock(&queue->told.mutex);
}

static kvi_in_line *first_told(kivi_queue *queue)
{
    pthread_mutex_lock(&queue->told.mutex);
    kvi_in_line *first = queue->told.head;
    pthread_mutex_unlock(&queue->told.mutex);
    return first;
}

/* ---- calls ---- */

bool kvi_queued_waits_for_key(const kvi_queued *call)
{
    return call->verb->op_kind == KIVI_OP_INCREMENT && !kvi_queued_is_single(call) &&
           !(call->ctx.call->flags & KIVI_CALL_INSIDE);
}

void kvi_queued_leave_line(kvi_queued *call, kivi_status why)
{
    if (call->stage == KVI_RUNNING)
        return; /* its thread hears of it */
    if (call->stage == KVI_AS_JOB)
        kvi_queued_leave_jobs(call);
    call->stage = KVI_IN_LINE;
    why = kvi_place_leave_line(&call->in_line->place, why);
    if (why == KIVI_OK)
        return;
    forget_told(call->in_line);
    kvi_queued_fail(call, why);
}

static void start_job(kvi_queued *call)
{
    if (!kvi_queued_start_job(call))
        kvi_queued_leave_line(call, KIVI_NO_MEMORY);
}

void kvi_queued_join_line(kvi_queued *call)
{
    kvi_in_line *own = calloc(1, sizeof(*own));
    if (!own) {
        kvi_queued_fail(call, KIVI_NO_MEMORY);
        return;
    }
    own->call = call;
    own->addition = (kvi_addition){.by = call->request.by, .ttl_ms = call->request.ttl_ms};
    own->place.addition = &own->addition;
    own->place.told = note_told;
    own->place.owner = own;
    call->in_line = own;
    call->stage = KVI_IN_LINE;
    if (kvi_place_join(&own->place, call->ctx.store, call->key.stored))
        start_job(call);
}

/* The write that held its addition has its answer. */
static void complete(kvi_queued *call)
{
    kvi_addition *addition = &call->in_line->addition;
    kivi_completion *end = &call->completion;
    end->status = addition->status;
    end->integer = addition->status ? 0 : addition->value;
    end->error = addition->error;
    addition->error = NULL;
    forget_told(call->in_line);
    kvi_queued_complete(call);
}

bool kvi_queued_come_for(kvi_queued *call)
{
    if (!call->in_line)
        return true;
    if (!kvi_place_come_for(&call->in_line->place)) {
        complete(call);
        return false;
    }
    forget_told(call->in_line);
    return true;
}

void kvi_queue_hear_lines(kivi_queue *queue)
{
    kvi_in_line *own;
    while ((own = first_told(queue))) {
        kvi_queued *call = own->call;
        forget_told(own); /* before the state: it may be told once more */
        uint32_t state = atomic_load_explicit(&own->place.state, memory_order_acquire);
        if (state == KVI_PLACE_DONE) {
            if (call->stage == KVI_AS_JOB)
                kvi_queued_leave_jobs(call);
            kvi_queued_come_for(call); /* by the line's mutex: whoever told it is through with its place */
        } else if (state == KVI_PLACE_CALLED && call->stage == KVI_IN_LINE) {
            start_job(call);
        }
    }
}

void kvi_queued_look_at_line(kvi_queued *call)
{
    kvi_place_look(&call->in_line->place);
}
