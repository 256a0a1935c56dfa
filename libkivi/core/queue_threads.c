/* The threads of a queue: the stepper of networked sessions and deadlines, and a worker for each store that blocks. */
#include "queue.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>

/* ---- waking ---- */

void kvi_queue_wake(kivi_queue *queue)
{
    uint64_t one = 1;
    if (queue->woken)
        return;
    queue->woken = true;
    ssize_t wrote = write(queue->wake, &one, sizeof(one));
    (void)wrote; /* full is as good */
}

static bool is_stepped(const kivi_store *store)
{
    return !(store->flags & KIVI_BACKEND_BLOCKING);
}

static void *stepper_main(void *given);
static void *worker_main(void *given);

/* A thread that no signal of the program's comes to. */
static bool start_thread(pthread_t *thread, void *(*entry)(void *), void *given)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(thread, NULL, entry, given) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

/* Both: false where the system gives no thread. A thread that has ended by itself is joined first. */
static bool run_stepper(kivi_queue *queue)
{
    if (queue->running)
        return true;
    if (queue->started)
        pthread_join(queue->stepper, NULL);
    queue->woken = true;
    queue->started = queue->running = start_thread(&queue->stepper, stepper_main, queue);
    return queue->running;
}

static bool run_worker(kvi_worker *worker)
{
    if (worker->running)
        return true;
    if (worker->started)
        pthread_join(worker->thread, NULL);
    worker->started = worker->running = start_thread(&worker->thread, worker_main, worker);
    return worker->running;
}

/* ---- calls from stage to stage; all hold queue.mutex ---- */

void kvi_queued_complete(kvi_queued *call)
{
    kivi_queue *queue = call->queue;
    *(call->previous ? &call->previous->next : &queue->in_flight) = call->next;
    if (call->next)
        call->next->previous = call->previous;
    call->stage = KVI_ENDED;
    call->worker->in_flight--;
    call->done_next = NULL;
    bool first = !queue->done_head;
    *(first ? &queue->done_head : &queue->done_tail->done_next) = call;
    queue->done_tail = call;
    if (first) {
        uint64_t one = 1;
        ssize_t wrote = write(queue->descriptor, &one, sizeof(one));
        (void)wrote;
    }
}

static void fail(kvi_queued *call, kivi_status status)
{
    kivi_completion *end = &call->completion;
    kivi_error_free(end->error);
    end->status = status;
    end->error = kvi_wait_error(&call->ctx, status);
    kvi_queued_complete(call);
}

static void start_job(kvi_queued *call)
{
    kvi_worker *worker = call->worker;
    call->stage = KVI_AS_JOB;
    call->job_next = NULL;
    call->job_previous = worker->job_tail;
    *(worker->job_tail ? &worker->job_tail->job_next : &worker->job_head) = call;
    worker->job_tail = call;
    if (!run_worker(worker))
        return; /* the stepper sees its deadline */
    pthread_cond_signal(&worker->wake);
}

static void leave_jobs(kvi_queued *call)
{
    kvi_worker *worker = call->worker;
    *(call->job_previous ? &call->job_previous->job_next : &worker->job_head) = call->job_next;
    *(call->job_next ? &call->job_next->job_previous : &worker->job_tail) = call->job_previous;
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
    call->task = kvi_task_new(lanes, &work);
    if (!call->task) {
        fail(call, KIVI_NO_MEMORY);
        return;
    }
    call->stage = KVI_AS_TASK;
    call->task->driver = &kvi_queue_driver;
    call->task->owner = call;
    pthread_mutex_lock(&lanes->mutex);
    bool enough = kvi_lanes_enqueue(lanes, call->task);
    pthread_mutex_unlock(&lanes->mutex);
    if (enough)
        kvi_futex_wake(&lanes->gathered, 1);
    if (is_stepped(store)) {
        call->queue->wanted = true;
        kvi_queue_wake(call->queue);
    } else if (run_worker(call->worker)) {
        call->worker->wanted = true;
        pthread_cond_signal(&call->worker->wake);
    }
}

void kvi_queued_start(kvi_queued *call)
{
    kvi_shard *shard = kvi_shard_of(call->ctx.store);
    if (!run_stepper(call->queue)) {
        fail(call, KIVI_NO_MEMORY);
        return;
    }
    if (!kvi_queued_is_single(call)) {
        start_job(call);
        return;
    }
    if (call->attempt == 0 && !call->ctx.single_read)
        atomic_fetch_add_explicit(call->request.verb <= KIVI_VERB_TTL ? &shard->reads : &shard->writes,
                                  1, memory_order_relaxed);
    start_task(call);
}

/* Its task must be asked again: at once the first time, then after a pause. */
static void pause_call(kvi_queued *call)
{
    uint64_t pause = kvi_backoff_ns(++call->attempt);
    call->stage = KVI_PAUSED;
    call->due_ns = pause ? kvi_monotonic_ns() + pause : 0;
    call->queue->hurried = true;
    atomic_fetch_add_explicit(&call->ctx.store->retries, 1, memory_order_relaxed);
    kvi_queue_wake(call->queue);
}

static bool compares_tokens(const kvi_queued *call)
{
    int32_t verb = call->request.verb;
    return (verb == KIVI_VERB_COMPARE_AND_SET || verb == KIVI_VERB_COMPARE_AND_DELETE) &&
           strcmp(call->ctx.store->codec->name, "raw") != 0;
}

static void task_done(kvi_task *task)
{
    kvi_queued *call = task->owner;
    kivi_queue *queue = call->queue;
    pthread_mutex_lock(&queue->mutex);
    kivi_status status = kvi_queued_answer(call);
    if (status == KIVI_PENDING)
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
    kvi_lane **list = is_stepped(call->ctx.store) ? &queue->led : &call->worker->led;
    lane->next_led = *list;
    *list = lane;
    if (list == &queue->led)
        kvi_queue_wake(queue);
    else
        pthread_cond_signal(&call->worker->wake);
    pthread_mutex_unlock(&queue->mutex);
}

const kvi_driver kvi_queue_driver = {task_done, task_lead};

/* ---- looking after calls ---- */

static bool is_write(const kvi_task *task)
{
    return task->kind == KVI_WRITE || task->read.then != KIVI_THEN_NOTHING;
}

static void end_task(kvi_queued *call, kivi_status why)
{
    kvi_lanes *lanes = call->ctx.store->lanes;
    uint32_t state = KVI_TASK_TAKEN;
    if (kvi_lanes_leave(lanes, call->task)) {
        kvi_task_unref(lanes, call->task); /* the flight's share */
        fail(call, why);
        return;
    }
    if (atomic_compare_exchange_strong(&call->task->state, &state, KVI_TASK_LEFT))
        fail(call, is_write(call->task) ? KIVI_UNCERTAIN : why);
    /* else it is done or leads: that comes first, or it is looked at again */
}

/* Whether the call must end now, and why. */
static kivi_status find_end(kvi_queued *call)
{
    if (atomic_load_explicit(&call->cancelled, memory_order_relaxed))
        return KIVI_CANCELLED;
    return kvi_check(&call->ctx);
}

static void look_after_call(kvi_queued *call, uint64_t now)
{
    kivi_status why = find_end(call);
    if (why == KIVI_OK) {
        if (call->stage == KVI_PAUSED && now >= call->due_ns)
            start_task(call);
        return;
    }
    if (call->stage == KVI_AS_TASK) {
        end_task(call, why);
    } else if (call->stage == KVI_AS_JOB) {
        leave_jobs(call);
        fail(call, why);
    } else if (call->stage == KVI_PAUSED) {
        if (why == KIVI_TIMEOUT && call->completion.error) {
            call->completion.status = kivi_error_status(call->completion.error);
            kvi_queued_complete(call); /* the reason is worth more than the time */
        } else {
            fail(call, why);
        }
    }
}

/* Answers when to look again, ns from now. */
static uint64_t look_after_calls(kivi_queue *queue)
{
    uint64_t now = kvi_monotonic_ns(), rest = KVI_SLICE_NS;
    kvi_queued *next;
    queue->hurried = false;
    for (kvi_queued *call = queue->in_flight; call; call = next) {
        next = call->next;
        look_after_call(call, now);
    }
    for (kvi_queued *call = queue->in_flight; call; call = call->next)
        if (call->stage == KVI_PAUSED)
            rest = call->due_ns <= now ? 0 : call->due_ns - now < rest ? call->due_ns - now : rest;
    return rest;
}

/* ---- the stepper ---- */

typedef struct stepper {
    kivi_queue *queue;
    kvi_lane *driven; /* flights in progress */
    struct pollfd *polls;
    size_t capacity;
    uint64_t looked_ns, look_in_ns, busy_ns;
} stepper;

static bool is_ours(const kivi_queue *queue, const kvi_task *task)
{
    return task->driver == &kvi_queue_driver && ((kvi_queued *)task->owner)->queue == queue;
}

/* Whether anybody still waits for something in the flight. */
static bool is_awaited(const kvi_flight *flight)
{
    for (size_t i = 0; i < flight->count; i++) {
        if (flight->settled[i])
            continue;
        for (size_t t = flight->first_task[i]; t < flight->first_task[i + 1]; t++)
            if (atomic_load_explicit(&flight->tasks[t]->state, memory_order_relaxed) == KVI_TASK_TAKEN)
                return true;
    }
    return false;
}

/* The flight has landed. */
static void land(kvi_lane *lane, kvi_context *ctx)
{
    kvi_flight_settle(lane, NULL);
    kvi_lanes_count_flight(lane, ctx);
    kvi_lanes_release(lane);
}

/* Goes on with a flight; true: it is still in progress. */
static bool go_on(kvi_lane *lane, kvi_context *ctx, uint32_t revents)
{
    if (revents)
        lane->flight->progress_ns = kvi_monotonic_ns();
    if (kvi_flight_advance(lane, ctx, revents, &lane->poll) != KIVI_PENDING) {
        land(lane, ctx);
        return false;
    }
    kvi_flight_settle(lane, NULL);
    return true;
}

/* The lane of a task that leads: nobody's thread is the leader, so it is taken like the others. */
static void take_up(kvi_lane *lane)
{
    kvi_task *task = lane->lead;
    bool in_flight = task->in_flight;
    atomic_store_explicit(&task->state, KVI_TASK_TAKEN, memory_order_release);
    if (!in_flight)
        kvi_flight_merge(lane, task);
}

/* Ends flights that nobody waits for, whose peer is silent, or whose store is closed. */
static bool must_end(kvi_lane *lane, kvi_context *ctx, uint64_t now)
{
    kivi_status why = kvi_check(ctx);
    kivi_error *error = NULL;
    if (!why && !is_awaited(lane->flight))
        why = KIVI_CANCELLED;
    if (!why && now - lane->flight->progress_ns > lane->lanes->store->io_timeout_ns) {
        why = KIVI_UNAVAILABLE;
        error = kvi_dead_peer_error(lane->lanes->store);
    }
    if (!why)
        return false;
    kvi_flight_condemn(lane, why, error);
    land(lane, ctx);
    return true;
}

/* Takes lanes for tasks that wait; those of others who wait longer get theirs. Holds the mutex, but not while telling. */
static void begin_flights(kivi_queue *queue, kvi_lane **begun)
{
    queue->wanted = false;
    for (kvi_worker *worker = queue->workers; worker; worker = worker->next) {
        kvi_task *task;
        kvi_lane *lane;
        if (!is_stepped(worker->store))
            continue;
        while ((lane = kvi_lanes_begin(worker->store->lanes, &task)) != NULL) {
            lane->lead = task;
            lane->led_for = worker;
            if (is_ours(queue, task)) {
                lane->next_led = *begun;
                *begun = lane;
                continue;
            }
            const kvi_driver *driver = task->driver;
            pthread_mutex_unlock(&queue->mutex);
            kvi_task_tell_lead(task, driver);
            pthread_mutex_lock(&queue->mutex);
        }
    }
}

static void add_driven(stepper *own, kvi_lane *lane)
{
    lane->next_led = own->driven;
    own->driven = lane;
}

/* Takes up the lanes of a list; each flight goes as far as it can without waiting. */
static void fly_all(stepper *own, kvi_lane *list)
{
    while (list) {
        kvi_lane *lane = list;
        kvi_worker *worker = lane->led_for;
        list = lane->next_led;
        take_up(lane);
        if (go_on(lane, &worker->ctx, 0))
            add_driven(own, lane);
    }
}

static size_t count_driven(const stepper *own)
{
    size_t count = 0;
    for (kvi_lane *lane = own->driven; lane; lane = lane->next_led)
        count++;
    return count;
}

static bool room_for_polls(stepper *own, size_t count)
{
    if (count <= own->capacity)
        return true;
    struct pollfd *polls = realloc(own->polls, count * 2 * sizeof(*polls));
    if (!polls)
        return false;
    own->polls = polls;
    own->capacity = count * 2;
    return true;
}

/* Waits for the sessions of all flights, and goes on with those that are ready. */
static void wait_and_go_on(stepper *own, uint64_t rest)
{
    size_t count = 1;
    if (!room_for_polls(own, count_driven(own) + 1))
        return;
    own->polls[0] = (struct pollfd){.fd = own->queue->wake, .events = POLLIN};
    for (kvi_lane *lane = own->driven; lane; lane = lane->next_led) {
        own->polls[count++] = (struct pollfd){.fd = lane->poll.fd, .events = (short)lane->poll.events};
        if (lane->poll.timeout_ns >= 0 && (uint64_t)lane->poll.timeout_ns < rest)
            rest = (uint64_t)lane->poll.timeout_ns;
    }
    struct timespec pause = {0, (long)rest};
    uint64_t begun = kvi_monotonic_ns();
    ppoll(own->polls, count, &pause, NULL);
    if (own->polls[0].revents) {
        uint64_t times;
        ssize_t got = read(own->queue->wake, &times, sizeof(times));
        (void)got;
    }
    uint64_t slept = kvi_monotonic_ns() - begun;
    kvi_lane *list = own->driven;
    own->driven = NULL;
    for (size_t i = 1; list; i++) {
        kvi_lane *lane = list;
        kvi_worker *worker = lane->led_for;
        bool due = lane->poll.timeout_ns >= 0 && slept >= (uint64_t)lane->poll.timeout_ns;
        list = lane->next_led;
        bool ready = own->polls[i].revents || due;
        if (!ready || go_on(lane, &worker->ctx, (uint32_t)own->polls[i].revents))
            add_driven(own, lane);
    }
}

static void look_after_flights(stepper *own)
{
    uint64_t now = kvi_monotonic_ns();
    kvi_lane *list = own->driven;
    own->driven = NULL;
    while (list) {
        kvi_lane *lane = list;
        kvi_worker *worker = lane->led_for;
        list = lane->next_led;
        if (!must_end(lane, &worker->ctx, now))
            add_driven(own, lane);
    }
}

/* One round under the mutex: what is new. True: the stepper has nothing to do any more. */
static bool look_around(stepper *own, kvi_lane **begun, uint64_t *rest)
{
    kivi_queue *queue = own->queue;
    uint64_t now = kvi_monotonic_ns();
    *begun = queue->led;
    queue->led = NULL;
    if (queue->wanted)
        begin_flights(queue, begun);
    bool time = now - own->looked_ns >= own->look_in_ns || queue->hurried || queue->closed;
    if (time) {
        own->looked_ns = now;
        own->look_in_ns = look_after_calls(queue);
    }
    *rest = own->look_in_ns > now - own->looked_ns ? own->look_in_ns - (now - own->looked_ns) : 0;
    bool busy = queue->in_flight || own->driven || *begun;
    if (busy)
        own->busy_ns = now;
    if (*begun || queue->led || queue->wanted || queue->hurried)
        *rest = 0;
    else
        queue->woken = false; /* from here on who has news says so */
    return !busy && (queue->closed || now - own->busy_ns > KVI_IDLE_NS);
}

static void *stepper_main(void *given)
{
    stepper own = {.queue = given, .busy_ns = kvi_monotonic_ns()};
    kivi_queue *queue = own.queue;
    uint64_t flights_ns = 0;
    for (;;) {
        kvi_lane *begun;
        uint64_t rest;
        pthread_mutex_lock(&queue->mutex);
        bool over = look_around(&own, &begun, &rest);
        bool closed = queue->closed;
        if (over)
            queue->running = false;
        pthread_mutex_unlock(&queue->mutex);
        if (over)
            break;
        fly_all(&own, begun);
        wait_and_go_on(&own, begun ? 0 : rest);
        uint64_t now = kvi_monotonic_ns();
        if (now - flights_ns >= (uint64_t)KVI_SLICE_NS || closed) {
            flights_ns = now;
            look_after_flights(&own);
        }
    }
    free(own.polls);
    return NULL;
}

/* ---- workers ---- */

/* A blocking verb asks: must it go on? */
static int nobody_waits(void *user)
{
    const kvi_worker *worker = user;
    return !is_awaited(worker->flying->flight);
}

static void fly_blocking(kvi_worker *worker, kvi_lane *lane)
{
    kvi_lanes_gather(lane->lanes, lane->lead->kind);
    take_up(lane);
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
        bool ours = !task || is_ours(queue, task);
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
    leave_jobs(job);
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

/* ---- close ---- */

void kvi_queue_join(kivi_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    for (kvi_queued *call = queue->in_flight; call; call = call->next)
        atomic_store(&call->cancelled, true);
    kvi_queue_wake(queue);
    for (kvi_worker *worker = queue->workers; worker; worker = worker->next)
        pthread_cond_broadcast(&worker->wake);
    pthread_mutex_unlock(&queue->mutex);
    /* The stepper first: it ends once no call is in flight. */
    if (queue->started)
        pthread_join(queue->stepper, NULL);
    for (kvi_worker *worker = queue->workers; worker; worker = worker->next)
        if (worker->started)
            pthread_join(worker->thread, NULL);
}
