/* One caller's turn: it flies alone, leads a merged flight, or waits until somebody has flown for it. */
#include "context.h"
#include "lanes.h"

/* Passes a lane on whose flight has landed, and tells the hook; in a child of a fork the lane is the parent's. */
static void land(kvi_lane *lane, kvi_context *ctx)
{
    kivi_event vector;
    if (ctx->ended == KIVI_FORKED)
        return;
    kvi_lanes_land(lane, &vector);
    vector.trace = ctx->call->trace;
    kvi_tell(ctx->store, &vector);
}

/* Drives what is in the lane and passes the lane on. */
static void fly(kvi_lane *lane, kvi_context *ctx, kvi_task *self)
{
    if (kvi_flight_drive(lane, ctx, self) == KVI_HANDED_ON)
        return;
    land(lane, ctx);
}

static kivi_status fly_solo(kvi_lane *lane, kvi_context *ctx, const kvi_work *work)
{
    kvi_flight_solo(lane, work);
    kvi_flight_drive(lane, ctx, NULL);
    kivi_status status = kvi_is_question(work->kind) ? lane->flight->question_status : KIVI_OK;
    if (lane->question_error) {
        kivi_error_free(ctx->error);
        ctx->error = lane->question_error;
        lane->question_error = NULL;
    }
    land(lane, ctx);
    return status;
}

/* Begins a merged flight with a lane just given, and flies it. */
static void lead(kvi_lane *lane, kvi_context *ctx, kvi_task *self)
{
    kvi_lanes_gather(lane->lanes, self->kind, kvi_deadline(ctx));
    kvi_flight_merged(lane, self);
    fly(lane, ctx, self);
}

/* The lead of a flight came too late: another waiter in it goes on, or it is condemned. */
static void pass_on_flight(kvi_context *ctx, kvi_task *task)
{
    kvi_lane *lane = task->lane;
    atomic_store_explicit(&task->state, kvi_task_writes(task) ? KVI_TASK_LEAVING : KVI_TASK_LEFT,
                          memory_order_relaxed);
    if (kvi_flight_hand_on(lane, task, 0))
        return;
    kvi_flight_condemn(lane, KIVI_CANCELLED, NULL);
    kvi_flight_settle(lane, task);
    land(lane, ctx);
}

/* Who has waited for a slice does not go on waiting for the lanes that fly, where another is free. */
static void claim_lane(kvi_lanes *lanes, kvi_task *task)
{
    pthread_mutex_lock(&lanes->mutex);
    bool waiting = atomic_load_explicit(&task->state, memory_order_relaxed) == KVI_TASK_WAITING;
    kvi_lane *lane = waiting ? kvi_lane_take(lanes) : NULL;
    if (lane)
        kvi_lane_give(lane, task);
    pthread_mutex_unlock(&lanes->mutex);
}

/* Waits until the task leads or is done: its state; or LEFT, with ctx->ended saying why. */
static uint32_t await_turn(kvi_context *ctx, kvi_task *task)
{
    for (;;) {
        uint32_t rung = atomic_load_explicit(task->bell.word, memory_order_acquire);
        uint32_t state = atomic_load_explicit(&task->state, memory_order_acquire);
        if (state == KVI_TASK_DONE)
            return state;
        if (kvi_check(ctx)) /* also of one that was given a lane: too late, and nothing was sent */
            return KVI_TASK_LEFT;
        if (state == KVI_TASK_LEADING)
            return state;
        kvi_futex_wait_bits(task->bell.word, rung, kvi_monotonic_ns() + kvi_slice_left(ctx),
                            task->bell.bits);
        if (atomic_load_explicit(&task->state, memory_order_relaxed) == KVI_TASK_WAITING)
            claim_lane(ctx->store->lanes, task);
    }
}

/* A task whose caller goes away for good: LEFT, or DONE a moment ago. */
static uint32_t stay_to_hear(kvi_task *task)
{
    uint64_t until = kvi_monotonic_ns() + KVI_LEAVE_NS;
    for (;;) {
        uint32_t rung = atomic_load_explicit(task->bell.word, memory_order_acquire);
        uint32_t state = atomic_load_explicit(&task->state, memory_order_acquire);
        if (state != KVI_TASK_LEAVING)
            return state;
        if (kvi_monotonic_ns() >= until &&
            atomic_compare_exchange_strong(&task->state, &state, KVI_TASK_LEFT))
            return KVI_TASK_LEFT;
        kvi_futex_wait_bits(task->bell.word, rung, until, task->bell.bits);
    }
}

/*
 * A mergeable task whose caller's time is over. Afterwards it is DONE after all, LEFT or LEAVING in a flight, or WAITING:
 * never begun.
 */
static uint32_t leave(kvi_lanes *lanes, kvi_context *ctx, kvi_task *task)
{
    uint32_t leaves = kvi_task_writes(task) ? KVI_TASK_LEAVING : KVI_TASK_LEFT;
    for (;;) {
        uint32_t state = KVI_TASK_TAKEN;
        if (kvi_lanes_leave(lanes, task)) {
            kvi_task_unref(lanes, task); /* the flight's share: there will be none */
            return KVI_TASK_WAITING;
        }
        if (atomic_compare_exchange_strong(&task->state, &state, leaves))
            return leaves;
        if (state == KVI_TASK_DONE)
            return state;
        if (state == KVI_TASK_LEADING && task->in_flight) {
            pass_on_flight(ctx, task);
            return atomic_load_explicit(&task->state, memory_order_acquire);
        }
        if (state == KVI_TASK_LEADING) {
            kvi_lanes_release(task->lane);
            kvi_task_unref(lanes, task);
            return KVI_TASK_WAITING;
        }
        /* WAITING: put back into the queue a moment ago */
    }
}

/* The answer of work that goes on without its caller: a write may yet be applied, nobody can say from here. */
static void answer_left(const kvi_work *work)
{
    kivi_error *error = NULL;
    bool is_read = work->kind == KVI_READ && work->reads->items[0].then == KIVI_THEN_NOTHING;
    if (is_read)
        return; /* stays PENDING; the run loop says why it ended */
    error = kvi_error_new(KIVI_UNCERTAIN, 0, KIVI_RETRY_IF_IDEMPOTENT,
                          "the write was left in flight; it may or may not have been applied");
    if (work->kind == KVI_READ) {
        work->reads->items[0].status = KIVI_UNCERTAIN;
        work->reads->items[0].error = error;
    } else {
        work->writes->items[0].status = KIVI_UNCERTAIN;
        work->writes->items[0].error = error;
    }
}

static kivi_status run_merged(kvi_lanes *lanes, kvi_context *ctx, kvi_task *task, kvi_lane *lane,
                              const kvi_work *work)
{
    uint32_t state = KVI_TASK_LEADING;
    if (lane) {
        task->lane = lane;
        atomic_store_explicit(&task->state, KVI_TASK_LEADING, memory_order_relaxed);
    } else {
        state = await_turn(ctx, task);
    }
    if (state == KVI_TASK_LEFT && ctx->ended == KIVI_FORKED)
        return KIVI_FORKED; /* queue and flights are the parent's, this copy of the task with them */
    if (state == KVI_TASK_LEFT)
        state = leave(lanes, ctx, task);
    if (state == KVI_TASK_LEADING) {
        if (task->in_flight)
            fly(task->lane, ctx, task);
        else
            lead(task->lane, ctx, task);
        if (ctx->ended == KIVI_FORKED)
            return KIVI_FORKED;
        state = atomic_load_explicit(&task->state, memory_order_acquire);
    }
    if (state == KVI_TASK_LEAVING)
        state = stay_to_hear(task);
    if (state == KVI_TASK_DONE)
        kvi_task_answer(task, ctx, work);
    else if (state == KVI_TASK_LEFT)
        answer_left(work);
    kvi_task_unref(lanes, task);
    return KIVI_OK;
}

static kivi_status run_alone(kvi_lanes *lanes, kvi_context *ctx, kvi_task *task, kvi_lane *lane,
                             const kvi_work *work)
{
    while (!lane) {
        uint32_t state = await_turn(ctx, task);
        if (state == KVI_TASK_LEADING) {
            lane = task->lane;
            continue;
        }
        if (ctx->ended == KIVI_FORKED)
            return KIVI_FORKED; /* the queue is the parent's */
        if (!kvi_lanes_leave(lanes, task))
            kvi_lanes_release(task->lane); /* given a moment ago */
        return KIVI_PENDING;               /* the run loop says why */
    }
    return fly_solo(lane, ctx, work);
}

/* There is no memory for the only lane. */
static kivi_status give_up_task(kvi_lanes *lanes, kvi_context *ctx, kvi_task *task)
{
    if (task) {
        kvi_task_unref(lanes, task); /* the flight's share */
        kvi_task_unref(lanes, task);
    }
    return kvi_context_fail(ctx, KIVI_NO_MEMORY, "no memory for a lane");
}

kivi_status kvi_lanes_run(kvi_lanes *lanes, kvi_context *ctx, const kvi_work *work)
{
    kvi_deadline(ctx); /* counts from here, not from the first wait */
    bool mergeable = !ctx->alone && kvi_work_is_mergeable(lanes, work);
    pthread_mutex_lock(&lanes->mutex);
    bool merges = mergeable && kvi_lanes_gathers(lanes, work->kind);
    kvi_lane *lane = merges ? NULL : kvi_lane_take_at_once(lanes);
    pthread_mutex_unlock(&lanes->mutex);
    if (lane)
        return fly_solo(lane, ctx, work);

    kvi_task alone = {.kind = work->kind};
    kvi_task *task = mergeable ? kvi_task_new(lanes, work) : &alone;
    if (!task)
        return kvi_context_fail(ctx, KIVI_NO_MEMORY, "no memory to wait for a lane");
    task->deadline_ns = kvi_deadline(ctx);
    pthread_mutex_lock(&lanes->mutex);
    lane = kvi_lane_take_at_once(lanes);
    if (lane)
        kvi_line_share_bell(lanes, task);
    bool orphaned = !lane && lanes->busy == 0; /* no memory for a first lane: nobody would ever give one */
    bool enough = lane || orphaned ? false : kvi_lanes_enqueue(lanes, task);
    pthread_mutex_unlock(&lanes->mutex);
    if (orphaned)
        return give_up_task(lanes, ctx, mergeable ? task : NULL);
    if (enough)
        kvi_futex_wake(&lanes->gathered, 1);
    if (!mergeable)
        return run_alone(lanes, ctx, task, lane, work);
    return run_merged(lanes, ctx, task, lane, work);
}
