/* Calls of a queue: from stage to stage, as tasks in the lanes or as jobs of a worker, to their end. */
#include "../base/counters.h"
#include "../lanes/context.h"
#include "queue.h"

/* ---- starting; all hold queue.mutex ---- */

static void start_job(kvi_queued *call)
{
    if (!kvi_queued_start_job(call))
        kvi_queued_fail(call, KIVI_NO_MEMORY);
}

static void start_task(kvi_queued *call)
{
    kivi_store *store = call->ctx.store;
    kvi_lanes *lanes = store->lanes;
    kivi_read_vector reads;
    kivi_write_vector writes;
    kivi_read_item read;
    kivi_write_item write;
    kvi_work work;
    kvi_queued_work(call, &work, &reads, &writes, &read, &write);
    if (!kvi_work_is_mergeable(lanes, &work) || (call->task && call->task->alone)) {
        start_job(call); /* too large to share a vector, or it must not */
        return;
    }
    if (call->task)
        kvi_task_unref(lanes, call->task);
    call->task = NULL;
    /* First the thread that drives it: it may be given a lane as soon as it waits for one. It comes with the mutex. */
    call->worker->wanted = true; /* not looked at where the stepper flies */
    if (kvi_queue_is_stepped(store) || kvi_crew_wake(call->worker, &call->worker->flights))
        call->task = kvi_task_new(lanes, &work);
    if (!call->task) {
        kvi_queued_fail(call, KIVI_NO_MEMORY);
        return;
    }
    call->stage = KVI_AS_TASK;
    call->task->driver = &kvi_queue_driver;
    call->task->owner = call;
    call->task->deadline_ns = kvi_deadline(&call->ctx);
    pthread_mutex_lock(&lanes->mutex);
    bool enough = kvi_lanes_enqueue(lanes, call->task);
    bool has_lane = lanes->free || lanes->count < lanes->max;
    pthread_mutex_unlock(&lanes->mutex);
    if (enough)
        kvi_futex_wake(&lanes->gathered, 1);
    if (kvi_queue_is_stepped(store)) {
        if (!has_lane)
            return; /* whoever lands next takes it up */
        call->queue->wanted = true;
        kvi_queue_wake(call->queue);
    }
}

static bool run_stepper(kivi_queue *queue)
{
    if (queue->stepper.running)
        return true;
    queue->woken = true;
    queue->look_ns = 0;
    return kvi_queue_thread_run(&queue->stepper);
}

void kvi_queued_start(kvi_queued *call)
{
    kvi_shard *shard = kvi_shard_of(call->ctx.store);
    if (!run_stepper(call->queue)) {
        kvi_queued_fail(call, KIVI_NO_MEMORY);
        return;
    }
    if (kvi_queued_waits_for_key(call)) {
        kvi_queued_join_line(call);
        return;
    }
    if (!kvi_queued_is_single(call)) {
        start_job(call);
        return;
    }
    if (!call->ctx.single_read)
        atomic_fetch_add_explicit(call->verb->shape == KVI_SHAPE_READ ? &shard->reads : &shard->writes,
                                  1, memory_order_relaxed);
    start_task(call);
}

/* Its task must be asked again: at once the first time, then after a pause. */
static void pause_call(kvi_queued *call)
{
    kivi_queue *queue = call->queue;
    uint64_t pause = kvi_backoff_ns((uint32_t)call->ctx.retries + 1);
    call->stage = KVI_PAUSED;
    call->due_ns = pause ? kvi_monotonic_ns() + pause : 0;
    if (!pause) {
        kvi_queued_hurry(call);
    } else if (call->due_ns < queue->look_ns) {
        queue->look_ns = call->due_ns;
        kvi_queue_wake(queue);
    }
}

static bool compares_tokens(const kvi_queued *call)
{
    return call->verb->flags & KVI_COMPARES && strcmp(call->ctx.store->codec->name, "raw") != 0;
}

static void task_done(kvi_task *task)
{
    kvi_queued *call = task->owner;
    kivi_queue *queue = call->queue;
    pthread_mutex_lock(&queue->mutex);
    kivi_status status = kvi_queued_answer(call);
    if (status == KIVI_PENDING && call->leaving)
        kvi_queued_fail(call, call->leaving); /* nothing of it was sent */
    else if (status == KIVI_PENDING)
        pause_call(call);
    else if (status == KIVI_CONDITION && compares_tokens(call))
        start_job(call);
    else
        kvi_queued_complete(call);
    pthread_mutex_unlock(&queue->mutex);
}

static void task_lead(kvi_task *task)
{
    kvi_queued *call = task->owner;
    kivi_queue *queue = call->queue;
    kvi_lane *lane = task->lane;
    lane->lead = task;
    lane->led_for = call->worker;
    pthread_mutex_lock(&queue->mutex);
    kvi_lane **list = kvi_queue_is_stepped(call->ctx.store) ? &queue->led : &call->worker->led;
    lane->next_led = *list;
    *list = lane;
    if (list == &queue->led)
        kvi_queue_wake(queue);
    else
        kvi_crew_wake(call->worker, &call->worker->flights);
    pthread_mutex_unlock(&queue->mutex);
}

const kvi_driver kvi_queue_driver = {task_done, task_lead};

/* ---- looking after calls ---- */

/* Those whose time is over a little later are looked at in the next slice; a blocking verb looks up as often. */
#define LEAVE_NS (KVI_LEAVE_NS + KVI_SLICE_NS)

/* A write in flight hears whether anything of it was sent: of a flight that nobody else waits for at once. */
static void begin_leaving(kvi_queued *call, kivi_status why, uint64_t now)
{
    uint32_t state = KVI_TASK_TAKEN;
    call->leaving = why; /* before the state: its flight may land at once */
    call->due_ns = now + (uint64_t)LEAVE_NS;
    if (atomic_compare_exchange_strong(&call->task->state, &state, KVI_TASK_LEAVING)) {
        if (call->due_ns < call->queue->look_ns)
            call->queue->look_ns = call->due_ns;
        return;
    }
    call->leaving = KIVI_OK; /* it is done or leads: that comes first, or it is looked at again */
}

static void end_task(kvi_queued *call, kivi_status why, uint64_t now)
{
    kvi_lanes *lanes = call->ctx.store->lanes;
    bool writes = kvi_task_writes(call->task);
    uint32_t state = call->leaving ? KVI_TASK_LEAVING : KVI_TASK_TAKEN;
    if (kvi_lanes_leave(lanes, call->task)) {
        kvi_task_unref(lanes, call->task); /* the flight's share */
        kvi_queued_fail(call, why);
        return;
    }
    if (writes && !call->leaving)
        begin_leaving(call, why, now);
    else if ((!writes || now >= call->due_ns) &&
             atomic_compare_exchange_strong(&call->task->state, &state, KVI_TASK_LEFT))
        kvi_queued_fail(call, writes ? KIVI_UNCERTAIN : why); /* others stay in the flight, or it does not end */
    /* else it is done or leads: that comes first, or it is looked at again */
}

/* Whether the call must end now, and why. */
static kivi_status find_end(kvi_queued *call)
{
    if (atomic_load_explicit(&call->cancelled, memory_order_relaxed))
        return KIVI_CANCELLED;
    return kvi_check(&call->ctx);
}

/* Counted as in a call of a thread (run.c): the hook is told when the call ends. */
static void repeat_call(kvi_queued *call)
{
    call->ctx.retries++;
    atomic_fetch_add_explicit(&call->ctx.store->retries, 1, memory_order_relaxed);
    start_task(call);
}

static void look_after_call(kvi_queued *call, uint64_t now)
{
    kivi_status why = find_end(call);
    if (why == KIVI_OK) {
        if (call->stage == KVI_PAUSED && now >= call->due_ns)
            repeat_call(call);
        if (call->stage == KVI_IN_LINE)
            kvi_queued_look_at_line(call);
        return;
    }
    if (call->in_line) {
        kvi_queued_leave_line(call, why);
    } else if (call->stage == KVI_AS_TASK) {
        end_task(call, why, now);
    } else if (call->stage == KVI_AS_JOB) {
        kvi_queued_leave_jobs(call);
        kvi_queued_fail(call, why);
    } else if (call->stage == KVI_PAUSED) {
        if (why == KIVI_TIMEOUT && call->completion.error) {
            call->completion.status = kivi_error_status(call->completion.error);
            kvi_queued_complete(call); /* the reason is worth more than the time */
        } else {
            kvi_queued_fail(call, why);
        }
    }
}

static void look_after_all(kivi_queue *queue, uint64_t now)
{
    uint64_t again_ns = now + (uint64_t)KVI_SLICE_NS;
    kvi_queued *next;
    for (kvi_queued *call = queue->in_flight; call; call = next) {
        next = call->next;
        look_after_call(call, now);
        if ((call->stage == KVI_PAUSED || call->leaving) && call->due_ns < again_ns)
            again_ns = call->due_ns;
        /* There may have been no memory for a lane when it asked for one. */
        queue->wanted |= call->stage == KVI_AS_TASK;
    }
    /* Pauses that end close together are looked at together. */
    queue->look_ns = again_ns < now + (uint64_t)KVI_MS ? now + (uint64_t)KVI_MS : again_ns;
}

void kvi_queue_look_after(kivi_queue *queue, uint64_t now)
{
    while (queue->hurried) {
        kvi_queued *call = queue->hurried;
        kvi_queued_calm(call);
        look_after_call(call, now);
    }
    if (now >= queue->look_ns)
        look_after_all(queue, now);
}

/* ---- flights led for tasks ---- */

bool kvi_queue_begin(kvi_worker *worker, kvi_patience *patience, kvi_lane **lane)
{
    kivi_queue *queue = worker->queue;
    kvi_task *task;
    const kvi_driver *driver;
    kvi_lane *given = kvi_lanes_begin(worker->store->lanes, patience, &task, &driver);
    *lane = NULL;
    if (!given)
        return false;
    /* A task with a driver waits until it is told, whatever its state says. */
    if (driver == &kvi_queue_driver && ((kvi_queued *)task->owner)->queue == queue) {
        given->lead = task;
        given->led_for = worker;
        *lane = given;
        return true;
    }
    pthread_mutex_unlock(&queue->mutex);
    if (driver)
        driver->lead(task);
    pthread_mutex_lock(&queue->mutex);
    return true;
}

/* Gives a lane back whose task came too late to lead: nothing of it was sent. */
static bool gives_back(kvi_lane *lane, kvi_task *task)
{
    kvi_queued *call = task->owner;
    kivi_queue *queue = call->queue;
    pthread_mutex_lock(&queue->mutex);
    kivi_status why = find_end(call);
    if (why)
        kvi_queued_fail(call, why);
    pthread_mutex_unlock(&queue->mutex);
    if (!why)
        return false;
    kvi_task_unref(lane->lanes, task); /* the flight's share: there will be none */
    kvi_lanes_release(lane);
    return true;
}

/* The lane of a task that leads: nobody's thread is the leader, so it is taken like the others. */
bool kvi_queue_take_up(kvi_lane *lane)
{
    kvi_task *task = lane->lead;
    bool in_flight = task->in_flight;
    if (!in_flight && gives_back(lane, task))
        return false;
    atomic_store_explicit(&task->state, KVI_TASK_TAKEN, memory_order_release);
    if (!in_flight)
        kvi_flight_merged(lane, task);
    return true;
}
