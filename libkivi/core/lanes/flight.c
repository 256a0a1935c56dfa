/* A flight: one vector through one session, from its first verb to its last answer. */
#include "../base/platform.h"
#include "context.h"
#include "lanes.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define GRACE_NS \
    (200 * KVI_MS) /* that a leader out of time gives to those it serves on a blocking session */

/* What a verb is given to wait by: the leader's context, and a grace for those that it serves. */
typedef struct flight_wait {
    kivi_wait wait;
    kvi_context *ctx;
    kvi_flight *flight;
} flight_wait;

bool kvi_flight_is_awaited(const kvi_flight *flight)
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

/* Whose leader is LEADING, or a queue's thread that nobody has to wait for. */
static bool serves_others(const kvi_flight *flight)
{
    return flight->merged && kvi_flight_is_awaited(flight);
}

/* The latest deadline of those that a merged flight serves. */
static uint64_t last_deadline(const kvi_flight *flight)
{
    uint64_t last = 0;
    for (size_t i = 0; i < flight->count; i++) {
        if (flight->settled[i])
            continue;
        for (size_t t = flight->first_task[i]; t < flight->first_task[i + 1]; t++)
            if (flight->tasks[t]->deadline_ns > last)
                last = flight->tasks[t]->deadline_ns;
    }
    return last ? last : UINT64_MAX;
}

/* A queue's thread has none of its own. */
static uint64_t flight_deadline(kivi_wait *wait)
{
    flight_wait *own = (flight_wait *)wait;
    uint64_t deadline = kvi_deadline(own->ctx);
    if (deadline == UINT64_MAX && own->flight->merged)
        deadline = last_deadline(own->flight);
    if (deadline == UINT64_MAX || !serves_others(own->flight))
        return deadline;
    return deadline + GRACE_NS;
}

static kivi_status flight_check(kivi_wait *wait)
{
    flight_wait *own = (flight_wait *)wait;
    kivi_status why = kvi_check(own->ctx);
    if (!why || why == KIVI_CLOSED || !serves_others(own->flight))
        return why;
    uint64_t now = kvi_monotonic_ns();
    if (own->flight->condemn_ns == 0)
        own->flight->condemn_ns = now + GRACE_NS;
    return now < own->flight->condemn_ns ? KIVI_OK : why;
}

/* ---- sessions ---- */

/* Under the mutex, so that close() interrupts no session that is gone. */
static void set_session(kvi_lane *lane, void *session, bool open)
{
    pthread_mutex_lock(&lane->lanes->mutex);
    lane->session = session;
    lane->open = open;
    pthread_mutex_unlock(&lane->lanes->mutex);
}

static kivi_status open_session(kvi_lane *lane, kivi_error **error)
{
    if (lane->open)
        return KIVI_OK;
    kivi_store *store = lane->lanes->store;
    void *session = store->instance.handle;
    if (store->backend->session_open) {
        kvi_descriptors_guard();
        kivi_status status = store->backend->session_open(store->instance.handle, &session, error);
        if (status)
            return status;
    }
    set_session(lane, session, true);
    return KIVI_OK;
}

static void close_session(kvi_lane *lane)
{
    kivi_store *store = lane->lanes->store;
    void *session = lane->session;
    if (!lane->open)
        return;
    set_session(lane, NULL, false);
    if (!store->backend->session_open)
        return;
    store->backend->session_close(store->instance.handle, session);
    atomic_fetch_add_explicit(&store->reconnects, 1, memory_order_relaxed);
    if (store->on_event)
        atomic_fetch_add_explicit(&store->events_reconnects, 1, memory_order_relaxed);
}

/* ---- answers of a part ---- */

/* Gives a failure to the items of the part in progress that have no answer. */
static void fail_part(kvi_flight *flight, kivi_status status, const kivi_error *error)
{
    if (kvi_is_question(flight->kind)) {
        flight->question_status = status;
        return;
    }
    for (size_t i = flight->begin; i < flight->end; i++)
        if (flight->kind == KVI_READ)
            kvi_flight_fail_read(&flight->read_items[i], status, error);
        else
            kvi_flight_fail_write(&flight->write_items[i], status, error);
}

/* Items that failed by themselves with something that only broke the session are asked again, too. */
static void judge_part(kvi_flight *flight)
{
    for (size_t i = flight->begin; i < flight->end; i++)
        if (flight->kind == KVI_READ)
            kvi_flight_judge_read(&flight->read_items[i]);
        else
            kvi_flight_judge_write(&flight->write_items[i]);
}

/* ---- verbs ---- */

static void begin_flight(kvi_flight *flight)
{
    flight->active = false;
    flight->parts[0].begin = 0;
    flight->parts[0].end = flight->count;
    flight->part_count = 1;
    flight->condemn_ns = 0;
    flight->question_status = KIVI_PENDING;
    flight->status = KIVI_OK;
    flight->begun_ns = flight->progress_ns = kvi_monotonic_ns();
}

void kvi_flight_solo(kvi_lane *lane, const kvi_work *work)
{
    kvi_flight *flight = lane->flight;
    flight->kind = work->kind;
    flight->merged = false;
    flight->task_count = 1;
    flight->count = 0;
    if (work->kind == KVI_READ) {
        flight->reads = *work->reads;
        flight->read_items = work->reads->items;
        flight->count = work->reads->count;
    } else if (work->kind == KVI_WRITE) {
        flight->writes = *work->writes;
        flight->write_items = work->writes->items;
        flight->count = work->writes->count;
    } else {
        flight->question = *work;
    }
    begin_flight(flight);
}

void kvi_flight_merged(kvi_lane *lane, kvi_task *lead)
{
    kvi_merge_tasks(lane, lead);
    begin_flight(lane->flight);
}

/* What an earlier request of the same items sent says nothing of the one that begins. */
static void forget_sent(kvi_flight *flight)
{
    for (size_t i = flight->begin; i < flight->end; i++)
        if (flight->kind == KVI_READ)
            flight->read_items[i].sent = KIVI_SENT_NOTHING;
        else
            flight->write_items[i].sent = KIVI_SENT_NOTHING;
}

kivi_status kvi_ask(const kivi_store *store, void *session, const kvi_work *work, kivi_wait *wait,
                    kivi_error **error)
{
    const kivi_backend *backend = store->backend;
    void *instance = store->instance.handle;
    switch (work->kind) {
    case KVI_COUNT:
        return backend->count(instance, session, work->count, wait, error);
    case KVI_HEALTH:
        return backend->health(instance, session, wait, error);
    default:
        return backend->scan(instance, session, work->range, work->sink, wait, error);
    }
}

/* Takes the next part and gives it to the session's verb. */
static kivi_status begin_part(kvi_lane *lane, kivi_wait *wait, kivi_error **error)
{
    kvi_flight *flight = lane->flight;
    kivi_store *store = lane->lanes->store;
    const kivi_backend *backend = store->backend;
    flight->part_count--;
    flight->begin = flight->parts[flight->part_count].begin;
    flight->end = flight->parts[flight->part_count].end;
    forget_sent(flight);
    kivi_status status = open_session(lane, error);
    if (status)
        return status;
    if (kvi_is_question(flight->kind))
        return kvi_ask(store, lane->session, &flight->question, wait, error);
    if (flight->kind == KVI_READ) {
        flight->reads.items = flight->read_items + flight->begin;
        flight->reads.count = flight->end - flight->begin;
        return backend->read(store->instance.handle, lane->session, &flight->reads, wait, error);
    }
    flight->writes.items = flight->write_items + flight->begin;
    flight->writes.count = flight->end - flight->begin;
    return backend->write(store->instance.handle, lane->session, &flight->writes, wait, error);
}

static bool is_untouched(const kvi_flight *flight)
{
    for (size_t i = flight->begin; i < flight->end; i++)
        if (flight->write_items[i].status != KIVI_PENDING)
            return false;
    return true;
}

/* Whether a vector was refused for the sake of one item that halving will find. */
static bool is_refused_whole(const kvi_flight *flight, kivi_status status, const kivi_error *error)
{
    if (flight->kind != KVI_WRITE || flight->end - flight->begin < 2)
        return false;
    if (flight->writes.flags & KIVI_VECTOR_ATOMIC)
        return false;
    if (kvi_is_leaving(status) || !error || kivi_error_retryable(error) != KIVI_RETRY_YES)
        return false;
    if (status == KIVI_BUSY)
        return is_untouched(flight);
    return kivi_status_class(status) != KIVI_CLASS_TRANSIENT && status != KIVI_IO &&
           status != KIVI_NO_MEMORY;
}

static void halve_part(kvi_flight *flight)
{
    size_t middle = flight->begin + (flight->end - flight->begin) / 2;
    for (size_t i = flight->begin; i < flight->end; i++)
        flight->write_items[i].sent = KIVI_SENT_NOTHING; /* it was refused: nothing was applied */
    flight->parts[flight->part_count].begin = middle;
    flight->parts[flight->part_count++].end = flight->end;
    flight->parts[flight->part_count].begin = flight->begin;
    flight->parts[flight->part_count++].end = middle;
}

/*
 * Without an error of the backend's own it is what the sink of a scan returned, or a question that it leaves to the core: the
 * verb has ended in order.
 */
static bool ended_in_order(const kvi_flight *flight, kivi_status status, const kivi_error *error)
{
    return kvi_is_question(flight->kind) && !error && kivi_status_class(status) != KIVI_CLASS_TRANSIENT;
}

/* A verb has ended with `status`; takes the error over. */
static void end_part(kvi_lane *lane, kivi_status status, kivi_error *error)
{
    kvi_flight *flight = lane->flight;
    flight->active = false;
    if (status)
        flight->status = status;
    if (status == KIVI_OK) {
        flight->question_status = KIVI_OK;
        judge_part(flight);
    } else if (is_refused_whole(flight, status, error)) {
        halve_part(flight);
    } else {
        bool keeps = ended_in_order(flight, status, error) || kvi_keeps_session(status, error);
        judge_part(flight);
        fail_part(flight, status, error);
        if (kvi_is_question(flight->kind)) {
            /* the run loop wants the reason, there is no item to keep it */
            lane->question_error = error;
            error = NULL;
        }
        if (!keeps) {
            flight->part_count = 0;
            close_session(lane);
        }
    }
    kivi_error_free(error);
}

void kvi_flight_condemn(kvi_lane *lane, kivi_status why, kivi_error *error)
{
    kvi_flight *flight = lane->flight;
    close_session(lane);
    flight->active = false;
    flight->part_count = 0;
    flight->status = why;
    fail_part(flight, why, error);
    if (kvi_is_question(flight->kind)) {
        lane->question_error = error; /* the run loop wants the reason */
        return;
    }
    kivi_error_free(error);
}

/* In a child that was forked inside a function of the caller's: the session is the parent's, nobody touches it. */
static void forsake(kvi_flight *flight)
{
    flight->active = false;
    flight->part_count = 0;
    fail_part(flight, KIVI_FORKED, NULL);
}

/* ---- driving ---- */

/* Waits until the session can go on: OK, or why its leader must leave, or UNAVAILABLE for a dead peer. */
static kivi_status await(kvi_lane *lane, kvi_context *ctx, uint32_t *revents)
{
    const kivi_poll *what = &lane->poll;
    uint64_t rest = kvi_lane_rest(lane, kvi_slice_left(ctx));
    struct pollfd descriptor = {.fd = what->fd, .events = (short)what->events};
    int ready = kvi_poll_for(&descriptor, what->fd >= 0 ? 1 : 0, rest);
    *revents = ready > 0 ? (uint32_t)descriptor.revents : 0;
    uint64_t now = kvi_monotonic_ns(); /* before the caller is asked, who may take long */
    kivi_status why = kvi_check(ctx);
    if (why)
        return why;
    if (ready > 0)
        lane->flight->progress_ns = now;
    else if (kvi_flight_is_silent(lane, now))
        return KIVI_UNAVAILABLE;
    return KIVI_OK;
}

_Static_assert(KIVI_STEP_WAIT_NS == KVI_SLICE_NS, "a step may wait for a slice");

/* Whether the step may wait instead of the poll: it says so, and there is a whole slice of time. */
static bool lets_wait(const kvi_lane *lane, kvi_context *ctx)
{
    return lane->poll.flags & KIVI_POLL_MAY_WAIT &&
           kvi_lane_rest(lane, kvi_slice_left(ctx)) == KVI_SLICE_NS;
}

/* After a step that waited: perhaps something came, and nobody has looked up meanwhile. */
static kivi_status look_up(kvi_lane *lane, kvi_context *ctx)
{
    lane->flight->progress_ns = kvi_monotonic_ns();
    return kvi_check(ctx);
}

/* Waits awake where the lane has learnt that this is faster: whether something came. */
static bool busy_poll(kvi_lane *lane, kvi_context *ctx, uint32_t *revents)
{
    const kivi_poll *what = &lane->poll;
    if (!lane->busy_poll.awake || what->fd < 0)
        return false;
    struct pollfd descriptor = {.fd = what->fd, .events = (short)what->events};
    uint64_t rest = kvi_lane_rest(lane, kvi_slice_left(ctx));
    if (!kvi_busy_poll_wait(&lane->busy_poll, &descriptor,
                            rest < KVI_BUSY_POLL_NS ? rest : KVI_BUSY_POLL_NS))
        return false;
    *revents = (uint32_t)descriptor.revents;
    return true;
}

/* Of many callers, or of more flights than processors, none holds a processor to wait. */
static bool is_calm(const kvi_lane *lane)
{
    uint32_t processors = lane->lanes->processors;
    return !lane->flight->merged && processors > 1 && lane->beside < processors;
}

static bool has_answer(const kvi_flight *flight, const kvi_task *self)
{
    return flight->merged && self &&
           atomic_load_explicit(&self->state, memory_order_relaxed) == KVI_TASK_DONE;
}

bool kvi_flight_hand_on(kvi_lane *lane, kvi_task *self, uint64_t beyond_ns)
{
    kvi_flight *flight = lane->flight;
    if (!flight->merged)
        return false;
    for (size_t i = 0; i < flight->count; i++) {
        if (flight->settled[i])
            continue;
        for (size_t t = flight->first_task[i]; t < flight->first_task[i + 1]; t++) {
            kvi_task *task = flight->tasks[t];
            uint32_t taken = KVI_TASK_TAKEN;
            if (task == self || task->deadline_ns < beyond_ns)
                continue;
            const kvi_driver *driver = task->driver; /* once it leads it may be gone */
            kvi_bell bell = task->bell;
            task->lane = lane;
            task->in_flight = true;
            if (!atomic_compare_exchange_strong(&task->state, &taken, KVI_TASK_LEADING))
                continue;
            kvi_task_tell_lead(task, driver, bell);
            return true;
        }
    }
    return false;
}

kivi_error *kvi_dead_peer_error(const kivi_store *store)
{
    return kvi_error_new(KIVI_UNAVAILABLE, 0, KIVI_RETRY_IF_IDEMPOTENT,
                         "nothing came in for %llu ms (io_timeout)",
                         (unsigned long long)(store->io_timeout_ns / (uint64_t)KVI_MS));
}

/* The leader must leave with work in flight: somebody else leads, or the flight is condemned. */
static kvi_outcome leave(kvi_lane *lane, kvi_task *self, kivi_status why)
{
    if (why == KIVI_UNAVAILABLE) {
        kvi_flight_condemn(lane, why, kvi_dead_peer_error(lane->lanes->store));
        return KVI_LANDED;
    }
    if (why == KIVI_FORKED) {
        forsake(lane->flight);
        return KVI_LANDED;
    }
    bool leads = self && !has_answer(lane->flight, self); /* else it is DONE, and stays so */
    if (leads)
        atomic_store_explicit(&self->state, kvi_task_writes(self) ? KVI_TASK_LEAVING : KVI_TASK_LEFT,
                              memory_order_relaxed);
    /* Who is out of time as well would only leave in turn, when a busy machine lets him: he is told here. */
    uint64_t beyond_ns = why == KIVI_TIMEOUT ? kvi_monotonic_ns() : 0;
    if (why != KIVI_CLOSED && kvi_flight_hand_on(lane, self, beyond_ns))
        return KVI_HANDED_ON;
    if (leads)
        atomic_store_explicit(&self->state, KVI_TASK_LEADING, memory_order_relaxed);
    kvi_flight_condemn(lane, why, NULL);
    return KVI_LANDED;
}

static void note_poll(kvi_lane *lane)
{
    int64_t timeout = lane->poll.timeout_ns;
    lane->step_ns = timeout < 0 ? UINT64_MAX : kvi_monotonic_ns() + (uint64_t)timeout;
}

kivi_status kvi_flight_advance(kvi_lane *lane, kvi_context *ctx, uint32_t revents)
{
    kvi_flight *flight = lane->flight;
    kivi_store *store = lane->lanes->store;
    flight_wait wait = {{sizeof(kivi_wait), 0, flight_deadline, flight_check}, ctx, flight};
    while (flight->active || flight->part_count) {
        kivi_error *error = NULL;
        kivi_status status;
        if (lane->poll.flags & KIVI_POLL_AT_WORK)
            flight->progress_ns = kvi_monotonic_ns(); /* its silence counts from here */
        lane->poll = (kivi_poll){sizeof(kivi_poll), -1, 0, 0, -1};
        if (flight->active)
            status = store->backend->step(store->instance.handle, lane->session, revents,
                                          &lane->poll, &error);
        else
            status = begin_part(lane, &wait.wait, &error);
        revents = 0;
        if (status != KIVI_PENDING)
            end_part(lane, status, error);
        else if (!flight->active)
            flight->active = true; /* ask step() at once what to wait for */
        else {
            note_poll(lane);
            return KIVI_PENDING;
        }
    }
    return KIVI_OK;
}

/* One wait of a flight's leader: OK, or why it must leave. `quiet`: since the last poll a step waited by itself. */
static kivi_status wait_once(kvi_lane *lane, kvi_context *ctx, bool *quiet, uint32_t *revents)
{
    if (!*quiet && busy_poll(lane, ctx, revents))
        return look_up(lane, ctx);
    if (!*quiet && lets_wait(lane, ctx)) {
        *revents = KIVI_STEP_WAITS;
        *quiet = true; /* such a step does not say what came: the next poll must have seen something */
        return KIVI_OK;
    }
    kivi_status why = await(lane, ctx, revents);
    *quiet = *quiet && !(*revents & POLLIN);
    return why;
}

/* Waits until a step is due. */
static kivi_status wait_for_step(kvi_lane *lane, kvi_context *ctx, bool *quiet, uint32_t *waits,
                                 uint32_t *revents)
{
    kivi_status why;
    *revents = 0;
    if (*waits == 0)
        kvi_busy_poll_begin(&lane->busy_poll, is_calm(lane));
    do {
        ++*waits;
        why = wait_once(lane, ctx, quiet, revents);
    } while (!why && !*revents && !kvi_lane_is_due(lane, kvi_monotonic_ns()));
    return why;
}

/* What the leader of a merged flight does with the answers that came; true: it leads no longer. */
static bool settle(kvi_lane *lane, kvi_task *self)
{
    size_t unsettled = kvi_flight_settle(lane, self);
    if (!unsettled || !has_answer(lane->flight, self))
        return false;
    if (kvi_flight_hand_on(lane, self, 0))
        return true;
    kvi_flight_condemn(lane, KIVI_CANCELLED, NULL); /* all others went away */
    return false;
}

kvi_outcome kvi_flight_drive(kvi_lane *lane, kvi_context *ctx, kvi_task *self)
{
    kvi_flight *flight = lane->flight;
    uint32_t revents = 0, waits = 0;
    bool quiet = false;
    bool steps = !flight->active; /* in mid-flight it waits for what its last leader waited for */
    for (;;) {
        if (steps && kvi_flight_advance(lane, ctx, revents) != KIVI_PENDING)
            break;
        if (steps && flight->merged && settle(lane, self))
            return KVI_HANDED_ON;
        steps = true;
        if (!flight->active)
            continue; /* condemned */
        kivi_status why = revents & KIVI_STEP_WAITS ? look_up(lane, ctx) : KIVI_OK;
        if (!why)
            why = wait_for_step(lane, ctx, &quiet, &waits, &revents);
        if (why && leave(lane, self, why) == KVI_HANDED_ON)
            return KVI_HANDED_ON;
    }
    if (waits == 1)
        kvi_busy_poll_learn(&lane->busy_poll, kvi_monotonic_ns() - flight->begun_ns);
    if (flight->merged && ctx->ended != KIVI_FORKED)
        kvi_flight_settle(lane, self);
    return KVI_LANDED;
}
