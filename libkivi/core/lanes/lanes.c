/* Lanes: who gets a session, who waits for one, and who is given it next. */
#include "lanes.h"

#include <stdlib.h>

/* ---- the queue ---- */

void kvi_queue_put(kvi_lanes *lanes, kvi_task *task, bool first)
{
    unsigned q = kvi_queue_of(task->kind);
    kvi_task *before = first ? NULL : lanes->queues[q].tail;
    kvi_task *behind = first ? lanes->queues[q].head : NULL;
    task->previous = before;
    task->next = behind;
    *(before ? &before->next : &lanes->queues[q].head) = task;
    *(behind ? &behind->previous : &lanes->queues[q].tail) = task;
    lanes->queues[q].count++;
}

void kvi_queue_take(kvi_lanes *lanes, kvi_task *task)
{
    unsigned q = kvi_queue_of(task->kind);
    *(task->previous ? &task->previous->next : &lanes->queues[q].head) = task->next;
    *(task->next ? &task->next->previous : &lanes->queues[q].tail) = task->previous;
    task->previous = task->next = NULL;
    lanes->queues[q].count--;
}

static kvi_task *oldest_waiter(kvi_lanes *lanes)
{
    kvi_task *read = lanes->queues[0].head, *write = lanes->queues[1].head;
    if (!read || !write)
        return read ? read : write;
    return read->ticket < write->ticket ? read : write;
}

/* ---- taking and releasing lanes ---- */

static kvi_lane *lane_new(kvi_lanes *lanes)
{
    kvi_lane *lane = calloc(1, sizeof(*lane));
    if (!lane)
        return NULL;
    lane->flight = calloc(1, sizeof(*lane->flight));
    if (!lane->flight) {
        free(lane);
        return NULL;
    }
    lane->lanes = lanes;
    return lane;
}

/* A lane that is free, or a new one while there may be more. Holds the mutex. */
static kvi_lane *take_lane(kvi_lanes *lanes)
{
    kvi_lane *lane = lanes->free;
    if (lane) {
        lanes->free = lane->next_free;
    } else if (lanes->count < lanes->max) {
        lane = lane_new(lanes);
        if (lane)
            lanes->all[lanes->count++] = lane;
    }
    if (lane) {
        lane->busy = true;
        lane->callers = 1;
        lane->beside = lanes->busy++;
        lanes->callers++;
    }
    return lane;
}

static void free_lane(kvi_lane *lane)
{
    kvi_lanes *lanes = lane->lanes;
    lane->busy = false;
    lanes->busy--;
    lanes->callers -= lane->callers;
    lane->next_free = lanes->free;
    lanes->free = lane;
}

static uint32_t count_waiting(const kvi_lanes *lanes)
{
    return lanes->queues[0].count + lanes->queues[1].count;
}

/*
 * How many lanes should fly for so many callers. Where these are more than lanes, half the lanes carry more each, with
 * fewer system calls here and at the server (Redis, gets of 16 threads: 1.2x the rate, of 32: 1.2x).
 */
static uint32_t lanes_worth(const kvi_lanes *lanes, uint32_t callers)
{
    if (callers <= lanes->max || lanes->max < 4)
        return lanes->max;
    return lanes->max / 2;
}

/* A lane for a caller that comes; NULL: it must wait. Holds the mutex. */
static kvi_lane *take_lane_at_once(kvi_lanes *lanes)
{
    /* While none flies, those that wait are of a queue whose thread is about to take lanes for them. */
    bool waits = count_waiting(lanes) || lanes->busy >= lanes_worth(lanes, lanes->callers + 1);
    return waits && lanes->busy ? NULL : take_lane(lanes);
}

/* The task leads from now on. Its memory may go as soon as it sees that: a wake may then hit nobody. Holds the mutex. */
static void give_lane(kvi_lane *lane, kvi_task *task)
{
    kvi_queue_take(lane->lanes, task);
    lane->beside = lane->lanes->busy - 1;
    task->lane = lane;
    task->in_flight = false;
    atomic_store_explicit(&task->state, KVI_TASK_LEADING, memory_order_release);
}

/* Gives a lane to whoever waits longest, or leaves it free, where nobody waits or enough others fly. */
void kvi_lanes_release(kvi_lane *lane)
{
    kvi_lanes *lanes = lane->lanes;
    pthread_mutex_lock(&lanes->mutex);
    kvi_task *next = oldest_waiter(lanes);
    lanes->landings++;
    lanes->callers -= lane->callers - 1; /* its next flight has at least one */
    lane->callers = 1;
    if (lanes->busy > lanes_worth(lanes, lanes->callers - 1 + count_waiting(lanes)))
        next = NULL; /* the lanes that fly take up those that wait */
    const kvi_driver *driver = next ? next->driver : NULL;
    kvi_bell bell = next ? next->bell : (kvi_bell){NULL, 0};
    if (next)
        give_lane(lane, next);
    else
        free_lane(lane);
    pthread_mutex_unlock(&lanes->mutex);
    if (next)
        kvi_task_tell_lead(next, driver, bell);
}

/* Whether those that wait are better taken along by the next lane that lands. Holds the mutex. */
static bool holds_back(const kvi_lanes *lanes, kvi_patience *patience)
{
    uint64_t now;
    if (!lanes->busy || lanes->busy >= lanes->max || count_waiting(lanes) >= KVI_MERGE_ITEMS) {
        patience->due_ns = 0;
        return false;
    }
    now = kvi_monotonic_ns();
    if (!patience->due_ns || patience->landings != lanes->landings) {
        patience->landings = lanes->landings;
        patience->due_ns = now + KVI_PATIENCE_NS;
    }
    if (now < patience->due_ns)
        return true;
    patience->due_ns = 0;
    return false;
}

/* A lane for whoever waits longest, by a thread that waits for none itself; NULL: no lane is free, or nobody waits. */
kvi_lane *kvi_lanes_begin(kvi_lanes *lanes, kvi_patience *patience, kvi_task **lead,
                          const kvi_driver **driver)
{
    pthread_mutex_lock(&lanes->mutex);
    kvi_task *next = oldest_waiter(lanes);
    if (patience && !next)
        patience->due_ns = 0;
    if (patience && next && holds_back(lanes, patience))
        next = NULL;
    kvi_lane *lane = next ? take_lane(lanes) : NULL;
    *driver = next ? next->driver : NULL;
    kvi_bell bell = next ? next->bell : (kvi_bell){NULL, 0};
    if (lane)
        give_lane(lane, next);
    pthread_mutex_unlock(&lanes->mutex);
    if (lane && !*driver)
        kvi_bell_ring(bell);
    *lead = next;
    return lane;
}

/* ---- group commit ---- */

static bool gathers(const kvi_lanes *lanes, kvi_kind kind)
{
    return kind == KVI_WRITE && lanes->store->flags & KIVI_BACKEND_GROUP_COMMIT &&
           lanes->last_callers > 1;
}

/*
 * Before a dear vector, waits for those that the last one served to queue again: a tenth of the time it took
 * at most. (4 threads of durable LMDB sets: 3.9x a lone one's rate instead of 2.1x.)
 */
static void gather(kvi_lanes *lanes, kvi_kind kind, uint64_t deadline_ns)
{
    pthread_mutex_lock(&lanes->mutex);
    if (!gathers(lanes, kind) || lanes->gather_want) {
        pthread_mutex_unlock(&lanes->mutex);
        return;
    }
    /* Nobody looks up meanwhile for an interrupt or a closed store: no longer than that may take anyway. */
    uint64_t most = lanes->last_ns / 10 < KVI_SLICE_NS ? lanes->last_ns / 10 : KVI_SLICE_NS;
    uint64_t until = kvi_monotonic_ns() + most;
    if (deadline_ns < until)
        until = deadline_ns;
    lanes->gather_want = lanes->last_callers - 1;
    while (lanes->queues[1].count < lanes->gather_want) {
        uint64_t now = kvi_monotonic_ns();
        if (now >= until)
            break;
        uint32_t seen = atomic_load_explicit(&lanes->gathered, memory_order_relaxed);
        pthread_mutex_unlock(&lanes->mutex);
        kvi_futex_wait(&lanes->gathered, seen, until - now);
        pthread_mutex_lock(&lanes->mutex);
    }
    lanes->gather_want = 0;
    pthread_mutex_unlock(&lanes->mutex);
}

void kvi_lanes_gather(kvi_lanes *lanes, kvi_kind kind)
{
    gather(lanes, kind, UINT64_MAX);
}

static kvi_bell share_bell(kvi_lanes *lanes, unsigned q)
{
    uint32_t number = lanes->queues[q].sharers++;
    return (kvi_bell){&lanes->queues[q].bells[lanes->queues[q].bell], UINT32_C(1) << number % 32};
}

/* Queues a task; answers whether a leader that gathers has seen enough. Holds the mutex. */
bool kvi_lanes_enqueue(kvi_lanes *lanes, kvi_task *task)
{
    task->ticket = ++lanes->tickets;
    task->bell = share_bell(lanes, kvi_queue_of(task->kind));
    kvi_queue_put(lanes, task, false);
    if (!lanes->gather_want || lanes->queues[1].count < lanes->gather_want)
        return false;
    atomic_fetch_add_explicit(&lanes->gathered, 1, memory_order_relaxed);
    return true;
}

/* ---- flights ---- */

void kvi_lanes_land(kvi_lane *lane, kivi_event *vector)
{
    kvi_lanes *lanes = lane->lanes;
    kvi_flight *flight = lane->flight;
    bool commits = flight->kind == KVI_WRITE && lanes->store->flags & KIVI_BACKEND_GROUP_COMMIT;
    *vector = (kivi_event){.type = KIVI_EVENT_VECTOR,
                           .verb = flight->kind == KVI_READ    ? "read"
                                   : flight->kind == KVI_WRITE ? "write"
                                                               : "scan",
                           .status = flight->status,
                           .items = flight->kind == KVI_SCAN ? 1 : flight->count};
    if (commits || lanes->store->on_event)
        vector->duration_ns = kvi_monotonic_ns() - flight->begun_ns;
    atomic_fetch_add_explicit(&lanes->store->vectors, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&lanes->store->vector_items, vector->items, memory_order_relaxed);
    if (commits) {
        pthread_mutex_lock(&lanes->mutex);
        lanes->last_callers = (uint32_t)flight->task_count;
        lanes->last_ns = vector->duration_ns;
        pthread_mutex_unlock(&lanes->mutex);
    }
    kvi_lanes_release(lane);
}

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
    kivi_status status = work->kind == KVI_SCAN ? lane->flight->scan_status : KIVI_OK;
    if (lane->scan_error) {
        kivi_error_free(ctx->error);
        ctx->error = lane->scan_error;
        lane->scan_error = NULL;
    }
    land(lane, ctx);
    return status;
}

/* Begins a merged flight with a lane just given, and flies it. */
static void lead(kvi_lane *lane, kvi_context *ctx, kvi_task *self)
{
    gather(lane->lanes, self->kind, kvi_deadline(ctx));
    kvi_flight_merge(lane, self);
    fly(lane, ctx, self);
}

/* ---- waiting ---- */

/* Takes a task whose caller goes away out of the queue; false: it is not in there (any more). */
bool kvi_lanes_leave(kvi_lanes *lanes, kvi_task *task)
{
    pthread_mutex_lock(&lanes->mutex);
    bool waiting = atomic_load_explicit(&task->state, memory_order_acquire) == KVI_TASK_WAITING;
    if (waiting)
        kvi_queue_take(lanes, task);
    pthread_mutex_unlock(&lanes->mutex);
    return waiting;
}

/* The lead of a flight came too late: another waiter in it goes on, or it is condemned. */
static void pass_on_flight(kvi_context *ctx, kvi_task *task)
{
    kvi_lane *lane = task->lane;
    atomic_store_explicit(&task->state, KVI_TASK_LEFT, memory_order_relaxed);
    if (kvi_flight_hand_on(lane, task))
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
    kvi_lane *lane = waiting ? take_lane(lanes) : NULL;
    if (lane)
        give_lane(lane, task);
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

/* A mergeable task whose caller's time is over. Afterwards it is DONE after all, LEFT in a flight, or WAITING: never begun. */
static uint32_t leave(kvi_lanes *lanes, kvi_context *ctx, kvi_task *task)
{
    for (;;) {
        uint32_t state = KVI_TASK_TAKEN;
        if (kvi_lanes_leave(lanes, task)) {
            kvi_task_unref(lanes, task); /* the flight's share: there will be none */
            return KVI_TASK_WAITING;
        }
        if (atomic_compare_exchange_strong(&task->state, &state, KVI_TASK_LEFT))
            return KVI_TASK_LEFT;
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
    bool merges = mergeable && gathers(lanes, work->kind);
    kvi_lane *lane = merges ? NULL : take_lane_at_once(lanes);
    pthread_mutex_unlock(&lanes->mutex);
    if (lane)
        return fly_solo(lane, ctx, work);

    kvi_task alone = {.kind = work->kind};
    kvi_task *task = mergeable ? kvi_task_new(lanes, work) : &alone;
    if (!task)
        return kvi_context_fail(ctx, KIVI_NO_MEMORY, "no memory to wait for a lane");
    pthread_mutex_lock(&lanes->mutex);
    lane = take_lane_at_once(lanes);
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

/* ---- life ---- */

kvi_lanes *kvi_lanes_new(kivi_store *store, uint32_t max)
{
    kvi_lanes *lanes = calloc(1, sizeof(*lanes));
    if (!lanes)
        return NULL;
    lanes->store = store;
    lanes->processors = kvi_processors();
    lanes->max = max < KVI_LANES_MAX ? max : KVI_LANES_MAX;
    pthread_mutex_init(&lanes->mutex, NULL);
    return lanes;
}

static void drop_session(kvi_lane *lane, bool abandon)
{
    kivi_store *store = lane->lanes->store;
    const kivi_backend *backend = store->backend;
    if (!lane->open || !backend->session_open)
        return;
    if (!abandon)
        backend->session_close(store->instance.handle, lane->session);
    else if (backend->session_abandon)
        backend->session_abandon(store->instance.handle, lane->session, lane->busy);
    lane->open = false;
}

void kvi_lanes_abandon(kvi_lanes *lanes)
{
    /* What other threads of the parent held in the middle of a verb stays as it is: it may be half changed. */
    pthread_mutex_lock(&lanes->mutex);
    for (uint32_t i = 0; i < lanes->count; i++) {
        kvi_lane *lane = lanes->all[i];
        drop_session(lane, true);
        if (!lane->busy) {
            free(lane->flight);
            free(lane);
        }
    }
    lanes->count = lanes->busy = lanes->callers = 0;
    lanes->free = NULL;
    memset(lanes->queues, 0, sizeof(lanes->queues));
    lanes->last_callers = 0;
    lanes->gather_want = 0;
    pthread_mutex_unlock(&lanes->mutex);
}

void kvi_lanes_interrupt(kvi_lanes *lanes)
{
    kivi_store *store = lanes->store;
    if (!store->backend->interrupt)
        return;
    pthread_mutex_lock(&lanes->mutex);
    for (uint32_t i = 0; i < lanes->count; i++)
        if (lanes->all[i]->busy && lanes->all[i]->open)
            store->backend->interrupt(store->instance.handle, lanes->all[i]->session);
    pthread_mutex_unlock(&lanes->mutex);
}

void kvi_lanes_free(kvi_lanes *lanes, bool abandon)
{
    if (!lanes)
        return;
    if (abandon)
        kvi_lanes_abandon(lanes);
    for (uint32_t i = 0; i < lanes->count; i++) {
        drop_session(lanes->all[i], false);
        free(lanes->all[i]->flight);
        free(lanes->all[i]);
    }
    kvi_lanes_free_spares(lanes);
    pthread_mutex_destroy(&lanes->mutex);
    free(lanes);
}
