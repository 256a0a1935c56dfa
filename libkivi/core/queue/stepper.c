/* The stepper of a queue: drives the flights of stepped stores, and looks after deadlines. */
#include "queue.h"

#include <poll.h>
#include <stdlib.h>

typedef struct stepper {
    kivi_queue *queue;
    kvi_lane *driven; /* flights in progress */
    struct pollfd *polls;
    size_t capacity;
    uint64_t busy_ns;
    bool looks; /* calls were looked after: some flight may have nobody any more */
} stepper;

/* The flight has landed. */
static void land(kvi_lane *lane)
{
    kvi_flight_settle(lane, NULL);
    kvi_queue_land(lane);
}

/* Goes on with a flight; true: it is still in progress. */
static bool go_on(kvi_lane *lane, kvi_context *ctx, uint32_t revents)
{
    if (revents)
        lane->flight->progress_ns = kvi_monotonic_ns();
    if (kvi_flight_advance(lane, ctx, revents) != KIVI_PENDING) {
        land(lane);
        return false;
    }
    kvi_flight_settle(lane, NULL);
    return true;
}

/* Ends flights that nobody waits for, whose peer is silent, or whose store is closed. */
static bool must_end(kvi_lane *lane, kvi_context *ctx, uint64_t now)
{
    kivi_status why = kvi_check(ctx);
    kivi_error *error = NULL;
    if (!why && !kvi_flight_is_awaited(lane->flight))
        why = KIVI_CANCELLED;
    if (!why && kvi_flight_is_silent(lane, now)) {
        why = KIVI_UNAVAILABLE;
        error = kvi_dead_peer_error(lane->lanes->store);
    }
    if (!why)
        return false;
    kvi_flight_condemn(lane, why, error);
    land(lane);
    return true;
}

/* Takes lanes for tasks that wait; those of others who wait longer get theirs. Holds the mutex, but not while telling. */
static void begin_flights(kivi_queue *queue, kvi_lane **begun)
{
    queue->wanted = false;
    for (kvi_worker *worker = queue->workers; worker; worker = worker->next) {
        kvi_lane *lane;
        if (!kvi_queue_is_stepped(worker->store))
            continue;
        while (kvi_queue_begin(worker, &worker->patience, &lane)) {
            if (!lane)
                continue;
            lane->next_led = *begun;
            *begun = lane;
        }
    }
}

/* When the first of those held back are to fly in a lane of their own; UINT64_MAX: nobody is. */
static uint64_t find_due(const kivi_queue *queue)
{
    uint64_t due = UINT64_MAX;
    for (const kvi_worker *worker = queue->workers; worker; worker = worker->next)
        if (worker->patience.due_ns && worker->patience.due_ns < due)
            due = worker->patience.due_ns;
    return due;
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
        bool waits = lane->lead->in_flight; /* for what its last leader waited for */
        list = lane->next_led;
        if (kvi_queue_take_up(lane) && (waits || go_on(lane, &worker->ctx, 0)))
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

/*
 * What completes until the next look around is told to the loop together, or it would wake for the first and contend for the
 * rest. Nothing sleeps in between.
 */
static void begin_settling(kivi_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->settling = true;
    pthread_mutex_unlock(&queue->mutex);
}

/* Holds the mutex. */
static void end_settling(kivi_queue *queue)
{
    queue->settling = false;
    if (queue->tells && queue->done_head)
        kvi_queue_tell_ready(queue);
    queue->tells = false;
}

/* Waits for the sessions of all flights, and goes on with those that are ready. */
static void wait_and_go_on(stepper *own, uint64_t rest)
{
    size_t count = 1;
    uint64_t now = kvi_monotonic_ns();
    if (!room_for_polls(own, count_driven(own) + 1))
        return;
    own->polls[0] = (struct pollfd){.fd = own->queue->wake.fd, .events = POLLIN};
    for (kvi_lane *lane = own->driven; lane; lane = lane->next_led) {
        own->polls[count++] = (struct pollfd){.fd = lane->poll.fd, .events = (short)lane->poll.events};
        if (lane->step_ns < now + rest)
            rest = lane->step_ns > now ? lane->step_ns - now : 0;
    }
    kvi_poll_for(own->polls, count, rest);
    if (own->polls[0].revents)
        kvi_flag_lower(&own->queue->wake);
    now = kvi_monotonic_ns();
    begin_settling(own->queue);
    kvi_lane *list = own->driven;
    own->driven = NULL;
    for (size_t i = 1; list; i++) {
        kvi_lane *lane = list;
        kvi_worker *worker = lane->led_for;
        list = lane->next_led;
        bool ready = own->polls[i].revents || kvi_lane_is_due(lane, now);
        if (!ready || go_on(lane, &worker->ctx, (uint32_t)own->polls[i].revents))
            add_driven(own, lane);
    }
}

/* Ends or passes on flights; true: there was one. */
static bool look_after_flights(stepper *own, bool closed)
{
    uint64_t now = kvi_monotonic_ns();
    kvi_lane *list = own->driven;
    bool ended = false;
    own->driven = NULL;
    while (list) {
        kvi_lane *lane = list;
        kvi_worker *worker = lane->led_for;
        list = lane->next_led;
        /* Whoever closes the queue does not wait for the calls of others. */
        if (must_end(lane, &worker->ctx, now) || (closed && kvi_flight_hand_on(lane, NULL, 0)))
            ended = true;
        else
            add_driven(own, lane);
    }
    return ended;
}

static bool has_threads(const kivi_queue *queue)
{
    for (const kvi_worker *worker = queue->workers; worker; worker = worker->next)
        if (kvi_crew_runs(&worker->flights) || kvi_crew_runs(&worker->jobs))
            return true;
    return false;
}

/* One round under the mutex: what is new. True: the stepper has nothing to do any more. */
static bool look_around(stepper *own, kvi_lane **begun, uint64_t *rest)
{
    kivi_queue *queue = own->queue;
    uint64_t now = kvi_monotonic_ns();
    end_settling(queue);
    own->looks = queue->hurried || queue->closed || now >= queue->look_ns;
    if (queue->closed)
        queue->look_ns = 0;
    kvi_queue_hear_lines(queue);
    kvi_queue_look_after(queue, now);
    *begun = queue->led;
    queue->led = NULL;
    if (queue->wanted || now >= find_due(queue))
        begin_flights(queue, begun);
    queue->settling = *begun != NULL;
    uint64_t next = find_due(queue);
    next = next < queue->look_ns ? next : queue->look_ns;
    *rest = next > now ? next - now : 0;
    bool busy = queue->in_flight || own->driven || *begun;
    if (busy)
        own->busy_ns = now;
    if (*begun || queue->led || queue->wanted || queue->hurried)
        *rest = 0;
    else
        queue->woken = false; /* from here on who has news says so */
    return !busy && (queue->closed || (now - own->busy_ns > KVI_IDLE_NS && !has_threads(queue)));
}

/* Lets go of the stores, as nothing is in flight. True: nothing was submitted meanwhile. Holds the mutex, but not always. */
static bool retire(kivi_queue *queue)
{
    kvi_worker *workers = queue->workers;
    if (queue->closed)
        return true;
    queue->workers = NULL;
    pthread_mutex_unlock(&queue->mutex);
    kvi_workers_free(workers);
    pthread_mutex_lock(&queue->mutex);
    return !queue->in_flight;
}

void *kvi_stepper_main(void *given)
{
    stepper own = {.queue = given, .busy_ns = kvi_monotonic_ns()};
    kivi_queue *queue = own.queue;
    for (;;) {
        kvi_lane *begun;
        uint64_t rest;
        pthread_mutex_lock(&queue->mutex);
        bool over = look_around(&own, &begun, &rest) && retire(queue);
        bool closed = queue->closed;
        queue->stepper.running = !over;
        pthread_mutex_unlock(&queue->mutex);
        if (over)
            break;
        fly_all(&own, begun);
        bool news = own.looks && look_after_flights(&own, closed);
        wait_and_go_on(&own, begun || news ? 0 : rest);
    }
    free(own.polls);
    return NULL;
}
