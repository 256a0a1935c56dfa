/* Queues: submitting, cancelling, taking what has completed. */
#include "queue.h"

#include "../store/begin.h"
#include "../store/instance.h"

#include <errno.h>
#include <stdlib.h>

static bool is_inherited(const kivi_queue *queue)
{
    return queue->generation != kvi_fork_generation();
}

/* ---- life ---- */

static void close_descriptors(kivi_queue *queue)
{
    kvi_flag_close(&queue->descriptor);
    kvi_flag_close(&queue->wake);
}

kivi_status kivi_queue_new(kivi_queue **made, kivi_error **error)
{
    kvi_error_clear(error);
    *made = NULL;
    kivi_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return kvi_fail(error, KIVI_NO_MEMORY, "no memory for a queue");
    kvi_descriptors_guard();
    queue->wake = (kvi_flag)KVI_FLAG_CLOSED;
    queue->generation = kvi_fork_generation();
    if (!kvi_flag_open(&queue->descriptor) || !kvi_flag_open(&queue->wake)) {
        int code = errno;
        close_descriptors(queue);
        free(queue);
        return kvi_fail(error, KIVI_IO, "no descriptor for a queue: %s", strerror(code));
    }
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_mutex_init(&queue->told.mutex, NULL);
    kvi_queue_thread_setup(&queue->stepper, kvi_stepper_main, queue);
    kvi_queue_thread_setup(&queue->teller.thread, kvi_teller_main, queue);
    *made = queue;
    return KIVI_OK;
}

int kivi_queue_descriptor(const kivi_queue *queue)
{
    return queue->descriptor.fd;
}

void kivi_queue_on_ready(kivi_queue *queue, void (*ready)(void *user), void *user)
{
    if (is_inherited(queue))
        return;
    pthread_mutex_lock(&queue->mutex);
    queue->ready = ready;
    queue->ready_user = user;
    if (queue->done_head)
        kvi_queue_tell_ready(queue);
    pthread_mutex_unlock(&queue->mutex);
}

void kivi_queue_hold(kivi_queue *queue, bool hold)
{
    if (is_inherited(queue))
        return;
    pthread_mutex_lock(&queue->mutex);
    queue->held = hold;
    bool rings = queue->rings && !hold;
    queue->rings &= hold;
    pthread_mutex_unlock(&queue->mutex);
    if (rings)
        kvi_queue_ring(queue);
}

/* Cancels what is in flight; returns when no thread is left. */
static void join_threads(kivi_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    for (kvi_queued *call = queue->in_flight; call; call = call->next)
        atomic_store(&call->cancelled, true);
    kvi_queue_wake(queue);
    pthread_mutex_unlock(&queue->mutex);
    /* The stepper first: it ends once no call is in flight. */
    kvi_queue_thread_end(&queue->stepper);
    pthread_mutex_lock(&queue->mutex);
    for (kvi_worker *worker = queue->workers; worker; worker = worker->next) {
        kvi_crew_rouse(&worker->flights);
        kvi_crew_rouse(&worker->jobs);
    }
    pthread_mutex_unlock(&queue->mutex);
    kvi_workers_free(queue->workers);
    kvi_queue_end_teller(queue); /* last: the workers may have had news */
}

void kivi_queue_close(kivi_queue *queue)
{
    if (!queue)
        return;
    bool inherited = is_inherited(queue);
    if (!inherited)
        join_threads(queue);
    close_descriptors(queue);
    if (inherited)
        return; /* its threads are the parent's: what they held may be half changed */
    while (queue->done_head) {
        kvi_queued *call = queue->done_head;
        queue->done_head = call->done_next;
        kvi_queued_free(call);
    }
    kvi_tickets_free(&queue->by_ticket);
    pthread_mutex_destroy(&queue->mutex);
    pthread_mutex_destroy(&queue->told.mutex);
    free(queue);
}

/* ---- submitting ---- */

/* Accepts a call that is prepared, or says why not. Holds the mutex. */
static kivi_status accept_call(kivi_queue *queue, kvi_queued *call, uint64_t *ticket)
{
    kvi_context *ctx = &call->ctx;
    if (queue->closed)
        return kvi_context_fail(ctx, KIVI_CLOSED, "the queue is closed");
    call->worker = kvi_worker_of(queue, ctx->store);
    if (!call->worker)
        return kvi_context_fail(ctx, KIVI_NO_MEMORY, "no memory to submit a call");
    if (call->worker->in_flight >= ctx->store->queue_limit)
        return kvi_context_fail(ctx, KIVI_BUSY, "%llu calls of this store are in flight (queue_limit)",
                                (unsigned long long)call->worker->in_flight);
    call->ticket = ++queue->tickets;
    if (!kvi_tickets_add(&queue->by_ticket, call))
        return kvi_context_fail(ctx, KIVI_NO_MEMORY, "no memory to submit a call");
    call->completion.user = call->request.user;
    call->completion.ticket = call->ticket;
    if (ticket)
        *ticket = call->ticket;
    call->told = true;
    call->next = queue->in_flight;
    if (call->next)
        call->next->previous = call;
    queue->in_flight = call;
    queue->count++;
    call->worker->in_flight++;
    kvi_queued_start(call);
    return KIVI_OK;
}

static kivi_status prepare(kvi_queued *call, const kivi_request *request)
{
    kvi_context *ctx = &call->ctx;
    if (ctx->call->interrupted)
        return kvi_context_fail(
            ctx, KIVI_INVALID, "submit: `interrupted` would be asked on another thread; use `interrupt`");
    kivi_status status = kvi_queued_prepare(call, request);
    ctx->single_read = call->verb && call->verb->flags & KVI_CHANGES_NOTHING;
    kvi_deadline(ctx); /* counts from here */
    return status;
}

kivi_status kivi_queue_submit(kivi_queue *queue, kivi_store *store, const kivi_call *given,
                              const kivi_request *request, uint64_t *ticket, kivi_error **error)
{
    if (is_inherited(queue))
        return kvi_fail(error, KIVI_FORKED, "the queue belongs to the parent process");
    kvi_queued *call = calloc(1, sizeof(*call));
    if (!call)
        return kvi_fail(error, KIVI_NO_MEMORY, "no memory to submit a call");
    bool rings = false;
    kivi_store_ref(store);
    call->queue = queue;
    kivi_status status = kvi_begin_any(&call->ctx, store, given, "submit", error);
    if (!status)
        status = prepare(call, request);
    if (!status) {
        pthread_mutex_lock(&queue->mutex);
        queue->submitting = true;
        status = accept_call(queue, call, ticket);
        queue->submitting = false;
        rings = queue->rings && !queue->held;
        queue->rings &= queue->held;
        pthread_mutex_unlock(&queue->mutex);
    }
    if (rings)
        kvi_queue_ring(queue);
    if (status == KIVI_OK)
        return KIVI_OK;
    kvi_end(&call->ctx, status);
    call->ctx.error = NULL;
    kvi_queued_free(call);
    return status;
}

void kivi_queue_cancel(kivi_queue *queue, uint64_t ticket)
{
    if (is_inherited(queue))
        return;
    pthread_mutex_lock(&queue->mutex);
    kvi_queued *call = kvi_tickets_find(&queue->by_ticket, ticket);
    if (call) {
        atomic_store(&call->cancelled, true);
        kvi_queued_hurry(call);
    }
    pthread_mutex_unlock(&queue->mutex);
}

/* ---- taking ---- */

/* Takes up to `most` calls off the list of those that are done, as a list. Holds the mutex. */
static kvi_queued *take_done(kivi_queue *queue, size_t most)
{
    kvi_queued *first = queue->done_head, *last = NULL;
    for (kvi_queued *call = first; call && most; call = call->done_next, most--) {
        last = call;
        queue->count--;
    }
    if (!last)
        return NULL;
    queue->done_head = last->done_next;
    if (!queue->done_head)
        queue->done_tail = NULL;
    last->done_next = NULL;
    return first;
}

/* Ends the call as its caller would have, on this thread: numbers, and the hook. */
static void tell_end(kvi_queued *call)
{
    if (!call->told)
        return;
    call->ctx.reached = true;
    call->ctx.error = call->completion.error;
    call->ctx.caller_error = &call->completion.error;
    kvi_end(&call->ctx, call->completion.status);
    call->ctx.error = NULL;
    call->told = false;
}

size_t kivi_queue_take(kivi_queue *queue, kivi_completion *completions, size_t capacity)
{
    uint32_t step = completions->struct_size;
    size_t count = 0;
    kvi_queued *next;
    if (is_inherited(queue) || step < 2 * sizeof(uint32_t))
        return 0;
    pthread_mutex_lock(&queue->mutex);
    kvi_queued *taken = take_done(queue, capacity);
    if (!queue->done_head && queue->is_readable) {
        queue->is_readable = false;
        kvi_flag_lower(&queue->descriptor);
    }
    pthread_mutex_unlock(&queue->mutex);
    for (kvi_queued *call = taken; call; call = next) {
        char *place = (char *)completions + count++ * step;
        next = call->done_next;
        tell_end(call);
        call->completion.memory = call;
        call->completion.request = &call->request;
        memcpy(place, &step, sizeof(step));
        kvi_struct_write(place, &call->completion, sizeof(kivi_completion), "kivi_completion", NULL);
    }
    return count;
}

void kivi_completion_release(kivi_completion *completion)
{
    kvi_queued *call = completion->memory;
    if (call) {
        call->completion.error = completion->error;
        call->completion.result = completion->result;
        call->completion.page = completion->page;
        kvi_queued_free(call);
    } else {
        kivi_error_free(completion->error);
        kivi_result_free(completion->result);
        kivi_page_free(completion->page);
    }
    completion->memory = NULL;
    completion->error = NULL;
    completion->result = NULL;
    completion->page = NULL;
    completion->request = NULL;
}

size_t kivi_queue_count(const kivi_queue *queue)
{
    kivi_queue *own = (kivi_queue *)queue;
    if (is_inherited(queue))
        return 0;
    pthread_mutex_lock(&own->mutex);
    size_t count = own->count;
    pthread_mutex_unlock(&own->mutex);
    return count;
}
