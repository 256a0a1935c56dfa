/* The workers of a queue: one for each store, with threads for calls that block. */
#include "../store/begin.h"
#include "queue.h"

#include <stdlib.h>

/* A blocking verb asks: must it go on? */
static int nobody_waits(void *user)
{
    const kvi_worker *worker = user;
    return !kvi_flight_is_awaited(worker->flying->flight);
}

static void fly_blocking(kvi_worker *worker, kvi_lane *lane)
{
    kvi_lanes_gather(lane->lanes, lane->lead->kind, UINT64_MAX);
    if (!kvi_queue_take_up(lane))
        return;
    worker->flying = lane;
    worker->ctx.ended = KIVI_OK;
    worker->ctx.call_copy = (kivi_call){
        .struct_size = sizeof(kivi_call), .interrupted = nobody_waits, .user = worker};
    worker->ctx.call = &worker->ctx.call_copy;
    if (kvi_flight_drive(lane, &worker->ctx, NULL) == KVI_HANDED_ON)
        return;
    kvi_queue_land(lane);
}

/* ---- work: answers whether there was any; holds the mutex, but not while working ---- */

static bool fly_once(kvi_worker *worker)
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
    if (!lane)
        return false;
    pthread_mutex_unlock(&queue->mutex);
    fly_blocking(worker, lane);
    pthread_mutex_lock(&queue->mutex);
    return true;
}

static bool do_job(kvi_worker *worker)
{
    kivi_queue *queue = worker->queue;
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

/* ---- threads ---- */

static void work(kvi_worker *worker, kvi_queue_thread *own, bool (*once)(kvi_worker *))
{
    kivi_queue *queue = worker->queue;
    pthread_mutex_lock(&queue->mutex);
    for (;;) {
        if (once(worker))
            continue;
        if (queue->closed && !worker->in_flight)
            break;
        if (kvi_queue_thread_sleep(own, queue))
            continue;
        if (!worker->in_flight)
            break;
        /* There may have been no memory for a lane. The lanes of stepped stores are the stepper's. */
        worker->wanted = !kvi_queue_is_stepped(worker->store);
    }
    own->running = false;
    pthread_mutex_unlock(&queue->mutex);
}

static void *flights_main(void *given)
{
    kvi_worker *worker = given;
    work(worker, &worker->flights, fly_once);
    return NULL;
}

static void *jobs_main(void *given)
{
    kvi_worker *worker = given;
    work(worker, &worker->jobs, do_job);
    return NULL;
}

/* ---- which store has which ---- */

static kvi_worker *worker_new(kivi_queue *queue, kivi_store *store)
{
    kvi_worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return NULL;
    kvi_queue_thread_setup(&worker->flights, flights_main, worker);
    kvi_queue_thread_setup(&worker->jobs, jobs_main, worker);
    worker->queue = queue;
    worker->store = kivi_store_ref(store);
    if (kvi_begin_any(&worker->ctx, store, NULL, "queue", NULL)) {
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
        kvi_queue_thread_end(&worker->flights);
        kvi_queue_thread_end(&worker->jobs);
        kivi_store_unref(worker->store);
        free(worker);
    }
}
