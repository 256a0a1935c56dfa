/* The workers of a queue: one for each store, with crews for calls that block. */
#include "../store/begin.h"
#include "queue.h"

#include <stdlib.h>

/* A blocking verb asks: must it go on? */
static int nobody_waits(void *user)
{
    const kvi_hand *hand = user;
    return !kvi_flight_is_awaited(hand->flying->flight);
}

static bool another_could_fly(kvi_lanes *lanes)
{
    pthread_mutex_lock(&lanes->mutex);
    bool waits = lanes->queues[0].count || lanes->queues[1].count;
    bool could = waits && (lanes->free || lanes->count < lanes->max);
    pthread_mutex_unlock(&lanes->mutex);
    return could;
}

/* What the flight that begins did not take is for another lane, and another thread. */
static void share_work(kvi_worker *worker)
{
    if (worker->flights.most < 2 || !another_could_fly(worker->store->lanes))
        return;
    pthread_mutex_lock(&worker->queue->mutex);
    worker->wanted = true;
    kvi_crew_wake(worker, &worker->flights);
    pthread_mutex_unlock(&worker->queue->mutex);
}

static void fly_blocking(kvi_hand *hand, kvi_lane *lane)
{
    kvi_lanes_gather(lane->lanes, lane->lead->kind, UINT64_MAX);
    if (!kvi_queue_take_up(lane))
        return;
    share_work(hand->worker);
    hand->flying = lane;
    hand->ctx.ended = KIVI_OK;
    hand->ctx.call_copy = (kivi_call){
        .struct_size = sizeof(kivi_call), .interrupted = nobody_waits, .user = hand};
    hand->ctx.call = &hand->ctx.call_copy;
    if (kvi_flight_drive(lane, &hand->ctx, NULL) == KVI_HANDED_ON)
        return;
    kvi_queue_land(lane);
}

/* ---- work: answers whether there was any; holds the mutex, but not while working ---- */

static bool fly_once(kvi_hand *hand)
{
    kvi_worker *worker = hand->worker;
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
    if (worker->led)
        kvi_crew_wake(worker, &worker->flights);
    pthread_mutex_unlock(&queue->mutex);
    fly_blocking(hand, lane);
    pthread_mutex_lock(&queue->mutex);
    return true;
}

static bool do_job(kvi_hand *hand)
{
    kvi_worker *worker = hand->worker;
    kivi_queue *queue = worker->queue;
    kvi_queued *job = worker->job_head;
    if (!job)
        return false;
    kvi_queued_leave_jobs(job);
    job->stage = KVI_RUNNING;
    if (worker->job_head)
        kvi_crew_wake(worker, &worker->jobs);
    if (!kvi_queued_come_for(job))
        return true;
    pthread_mutex_unlock(&queue->mutex);
    kvi_queued_run(job);
    pthread_mutex_lock(&queue->mutex);
    kvi_queued_complete(job);
    return true;
}

/* ---- which store has which ---- */

static kvi_worker *worker_new(kivi_queue *queue, kivi_store *store)
{
    kvi_worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return NULL;
    uint32_t most = store->instance.capabilities.local ? 1 : store->lanes->max;
    worker->flights = (kvi_crew){.once = fly_once, .most = most};
    worker->jobs = (kvi_crew){.once = do_job, .most = most};
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
        kvi_crew_free(&worker->flights);
        kvi_crew_free(&worker->jobs);
        kivi_store_unref(worker->store);
        free(worker);
    }
}
