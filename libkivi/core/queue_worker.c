/* The workers of a queue: one for each store, for calls that block. */
#include "queue.h"

/* A blocking verb asks: must it go on? */
static int nobody_waits(void *user)
{
    const kvi_worker *worker = user;
    return !kvi_queue_is_awaited(worker->flying->flight);
}

static void fly_blocking(kvi_worker *worker, kvi_lane *lane)
{
    kvi_lanes_gather(lane->lanes, lane->lead->kind);
    kvi_queue_take_up(lane);
    worker->flying = lane;
    worker->ctx.ended = KIVI_OK;
    worker->ctx.call_copy = (kivi_call){
        .struct_size = sizeof(kivi_call), .interrupted = nobody_waits, .user = worker};
    worker->ctx.call = &worker->ctx.call_copy;
    kvi_flight_drive(lane, &worker->ctx, NULL);
    kvi_lanes_count_flight(lane, &worker->ctx);
    kvi_lanes_release(lane);
}

/* One piece of work; false: there is none. Holds the mutex, but not while working. */
static bool work_once(kvi_worker *worker)
{
    kivi_queue *queue = worker->queue;
    kvi_lane *lane = worker->led;
    kvi_task *task = NULL;
    if (lane) {
        worker->led = lane->next_led;
    } else if (worker->wanted) {
        lane = kvi_lanes_begin(worker->store->lanes, &task);
        worker->wanted = lane != NULL; /* perhaps there are more */
        if (lane)
            lane->lead = task;
    }
    if (lane) {
        const kvi_driver *driver = task ? task->driver : &kvi_queue_driver;
        bool ours = !task || kvi_queue_owns(queue, task);
        pthread_mutex_unlock(&queue->mutex);
        if (ours)
            fly_blocking(worker, lane);
        else
            kvi_task_tell_lead(task, driver);
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
        bool in_lanes = worker->in_flight != 0;
        if (queue->closed && !in_lanes)
            break;
        if (!wait_for_work(worker) && !worker->in_flight && !worker->job_head && !worker->led &&
            !worker->wanted)
            break;
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
