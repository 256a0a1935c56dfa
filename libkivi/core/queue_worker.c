/* The workers of a queue: one for each store, for calls that block. */
#include "queue.h"

#include <stdlib.h>

/* A blocking verb asks: must it go on? */
static int nobody_waits(void *user)
{
    const kvi_worker *worker = user;
    return !kvi_queue_is_awaited(worker->flying->flight);
}

static void fly_blocking(kvi_worker *worker, kvi_lane *lane)
{
    kvi_lanes_gather(lane->lanes, lane->lead->kind);
    if (!kvi_queue_take_up(lane))
        return;
    worker->flying = lane;
    worker->ctx.ended = KIVI_OK;
    worker->ctx.call_copy = (kivi_call){
        .struct_size = sizeof(kivi_call), .interrupted = nobody_waits, .user = worker};
    worker->ctx.call = &worker->ctx.call_copy;
    if (kvi_flight_drive(lane, &worker->ctx, NULL) == KVI_HANDED_ON)
        return;
    kvi_lanes_count_flight(lane, &worker->ctx);
    kvi_lanes_release(lane);
}

/* One piece of work; false: there is none. Holds the mutex, but not while working. */
static bool work_once(kvi_worker *worker)
{
    kivi_queue *queue = worker->queue;
    kvi_lane *lane = worker->led;
    if (lane) {
        worker->led = lane->next_led;
    } else if (worker->wanted) {
        worker->wanted = kvi_queue_begin(worker, NULL, &lane); /* perhaps there are more */
        if (worker->wanted && !lane)
            return true;
    }
    if (lane) {
        pthread_mutex_unlock(&queue->mutex);
        fly_blocking(worker, lane);
        pthread_mutex_lock(&queue->mutex);
        return true;
    }
    kvi_queued *job = worker->job_head;
    if (!job)
        return false;
    kvi_queued_leave_jobs(job);
    job->stage = KVI_RUNNING;
    pthread_mutex_unlock(&queue->mutex);
    kvi_queued_run(job);
    pthread_mutex_lock(&queue->mutex);
    kvi_queued_complete(job);
    return true;
}

static bool wait_for_work(kvi_worker *worker)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    return pthread_cond_timedwait(&worker->wake, &worker->queue->mutex, &until) == 0;
}

static void *worker_main(void *given)
{
    kvi_worker *worker = given;
    kivi_queue *queue = worker->queue;
    pthread_mutex_lock(&queue->mutex);
    for (;;) {
        if (work_once(worker))
            continue;
        if (queue->closed && !worker->in_flight)
            break;
        if (wait_for_work(worker))
            continue;
        if (!worker->in_flight)
            break;
        /* There may have been no memory for a lane. The lanes of stepped stores are the stepper's. */
        worker->wanted = !kvi_queue_is_stepped(worker->store);
    }
    worker->running = false;
    pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

bool kvi_queue_run_worker(kvi_worker *worker)
{
    if (worker->running)
        return true;
    if (worker->started)
        pthread_join(worker->thread, NULL);
    worker->started = worker->running = kvi_queue_start_thread(&worker->thread, worker_main, worker);
    return worker->running;
}

/* ---- which store has which ---- */

static kvi_worker *worker_new(kivi_queue *queue, kivi_store *store)
{
    kvi_worker *worker = calloc(1, sizeof(*worker));
    pthread_condattr_t attributes;
    if (!worker)
        return NULL;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    worker->queue = queue;
    worker->store = kivi_store_ref(store);
    if (kvi_begin(&worker->ctx, store, NULL, "queue", NULL)) {
        kivi_error_free(worker->ctx.error);
        kvi_workers_free(worker);
        return NULL;
    }
    worker->ctx.limited = true; /* flights of many end by the deadlines of each */
    worker->ctx.deadline_ns = UINT64_MAX;
    worker->next = queue->workers;
    queue->workers = worker;
    return worker;
}

kvi_worker *kvi_worker_of(kivi_queue *queue, kivi_store *store)
{
    for (kvi_worker *worker = queue->workers; worker; worker = worker->next)
        if (worker->store == store)
            return worker;
    return worker_new(queue, store);
}

void kvi_workers_free(kvi_worker *workers)
{
    while (workers) {
        kvi_worker *worker = workers;
        workers = worker->next;
        if (worker->started)
            pthread_join(worker->thread, NULL);
        pthread_cond_destroy(&worker->wake);
        kivi_store_unref(worker->store);
        free(worker);
    }
}
