/*
 * Lanes: the sessions of a store, and who drives them.
 *
 * A caller that finds a lane free drives it with its own vector, in its own memory (a solo flight). While
 * every lane is busy (half of them, where callers are more than lanes) requests queue; whoever is given a lane next
 * takes those of its kind that wait as one vector (a merged flight), each a task whose request was copied, so that
 * its caller may leave at any time.
 * In mid-flight the lead passes from waiter to waiter; a flight without one is condemned: its session is closed.
 */
#ifndef KVI_LANES_H
#define KVI_LANES_H

#include "state.h"

/* ---- lanes.c: lanes, and who is given one ---- */

kvi_lanes *kvi_lanes_new(kivi_store *store, uint32_t max);
/* Closes (or in a child of a fork abandons) all sessions and frees the lanes. */
void kvi_lanes_free(kvi_lanes *lanes, bool abandon);
/* In a child: forgets what was in flight and abandons the sessions. */
void kvi_lanes_abandon(kvi_lanes *lanes);
/* Makes the verbs of busy sessions return (store closed). */
void kvi_lanes_interrupt(kvi_lanes *lanes);
static inline uint32_t kvi_lanes_default(const kivi_instance *instance)
{
    return instance->capabilities.local ? 1 : 8;
}
/* A lane that is free, or a new one while there may be more; NULL: none. Holds the mutex. */
kvi_lane *kvi_lane_take(kvi_lanes *lanes);
/* A lane for a caller that comes; NULL: it must wait. Holds the mutex. */
kvi_lane *kvi_lane_take_at_once(kvi_lanes *lanes);
/* The task, which waits, leads from now on. Its memory may go as soon as it sees that: a wake may then hit nobody. Holds the mutex. */
void kvi_lane_give(kvi_lane *lane, kvi_task *task);
/* Gives a lane to whoever waits longest, or leaves it free, where nobody waits or enough others fly. */
void kvi_lanes_release(kvi_lane *lane);
/*
 * Counts a flight that has landed, and passes its lane on like kvi_lanes_release(). Returns what the hook is to be told
 * afterwards (all but the trace).
 */
void kvi_lanes_land(kvi_lane *lane, kivi_event *vector);
/*
 * For a thread that waits for no lane itself: a free lane and the oldest waiter, LEADING now; NULL: no lane is free, or
 * nobody waits. One with a driver is to be told by it; one without was woken, and may be gone already: nobody but its
 * thread looks at it, or at the lane.
 * With `patience` another lane flies beside those that do only when a whole vector waits, or when none of them landed
 * for so long: a caller for whom due_ns is set comes again then.
 */
kvi_lane *kvi_lanes_begin(kvi_lanes *lanes, kvi_patience *patience, kvi_task **lead,
                          const kvi_driver **driver);

/* ---- line.c: who waits; all but kvi_lanes_leave() hold the mutex ---- */

void kvi_line_put(kvi_lanes *lanes, kvi_task *task, bool first);
void kvi_line_take(kvi_lanes *lanes, kvi_task *task);
/* Whoever waits longest; NULL: nobody waits. */
kvi_task *kvi_line_oldest(kvi_lanes *lanes);
uint32_t kvi_line_count(const kvi_lanes *lanes);
/* Gives a task the bell of those that come now; holds the mutex. */
void kvi_line_share_bell(kvi_lanes *lanes, kvi_task *task);
/* Queues a task with a ticket and a bell; true: a leader that gathers has seen enough, wake lanes->gathered. */
bool kvi_lanes_enqueue(kvi_lanes *lanes, kvi_task *task);
/* Takes a task whose caller goes away out of its line; false: it is not in there (any more). */
bool kvi_lanes_leave(kvi_lanes *lanes, kvi_task *task);

/* ---- gather.c: group commit ---- */

/* Whether it pays to wait for others before a vector of this kind. Holds the mutex. */
bool kvi_lanes_gathers(const kvi_lanes *lanes, kvi_kind kind);
/* Waits for them where it pays, not beyond the deadline. */
void kvi_lanes_gather(kvi_lanes *lanes, kvi_kind kind, uint64_t deadline_ns);

/* ---- task.c: what a caller that waits asks, and its answer ---- */

kvi_task *kvi_task_new(kvi_lanes *lanes, const kvi_work *work);
void kvi_task_unref(kvi_lanes *lanes, kvi_task *task);
void kvi_lanes_free_spares(kvi_lanes *lanes);
/* Whether a task is a write, or reads and writes in one. */
static inline bool kvi_task_writes(const kvi_task *task)
{
    return task->kind == KVI_WRITE || task->read.then != KIVI_THEN_NOTHING;
}
/* Whether work may share a vector with that of others. */
bool kvi_work_is_mergeable(const kvi_lanes *lanes, const kvi_work *work);
/* A task's answer into its caller's work, on its caller's thread. */
void kvi_task_answer(kvi_task *task, kvi_context *ctx, const kvi_work *work);

/* ---- verdict.c: what a failure means for one item ---- */

/* Whether a verb ended because its leader had to leave. */
bool kvi_is_leaving(kivi_status status);
/* Whether a verb that failed so left a session that can be used again. */
bool kvi_keeps_session(kivi_status status, const kivi_error *error);
/* A failed item's answer: PENDING (its error says why) where the core may ask again, UNCERTAIN where it was cut off. */
void kvi_flight_judge_read(kivi_read_item *item);
void kvi_flight_judge_write(kivi_write_item *item);
/* The same of an item without an answer, with the failure of its vector. */
void kvi_flight_fail_read(kivi_read_item *item, kivi_status status, const kivi_error *error);
void kvi_flight_fail_write(kivi_write_item *item, kivi_status status, const kivi_error *error);

/* ---- merge.c: tasks into a vector, and answers back into tasks ---- */

/* Takes `lead` and what waits of its kind into the lane's flight. */
void kvi_merge_tasks(kvi_lane *lane, kvi_task *lead);
/* Gives items that have their answer (all, once no verb is active) to the tasks behind them, and wakes those but `self`. Returns how many are left. */
size_t kvi_flight_settle(kvi_lane *lane, kvi_task *self);

/* ---- flight.c: a flight from its first verb to its last answer ---- */

/* Begins a flight with a caller's own work. */
void kvi_flight_solo(kvi_lane *lane, const kvi_work *work);
/* Gives a question to the backend's verb; `session` NULL with shared reads. */
kivi_status kvi_ask(const kivi_store *store, void *session, const kvi_work *work, kivi_wait *wait,
                    kivi_error **error);
/* Begins one with `lead` and what waits of its kind. */
void kvi_flight_merged(kvi_lane *lane, kvi_task *lead);
/* Goes on with a flight as far as that goes without waiting: KIVI_PENDING and lane->poll to wait for, or KIVI_OK: landed. */
kivi_status kvi_flight_advance(kvi_lane *lane, kvi_context *ctx, uint32_t revents);
/* Whether the time that the session named with its poll is over. */
static inline bool kvi_lane_is_due(const kvi_lane *lane, uint64_t now)
{
    return now >= lane->step_ns;
}
/* How long a wait that begins now and would last for `ns` may last. */
static inline uint64_t kvi_lane_rest(const kvi_lane *lane, uint64_t ns)
{
    if (lane->step_ns == UINT64_MAX)
        return ns;
    uint64_t now = kvi_monotonic_ns();
    uint64_t rest = lane->step_ns > now ? lane->step_ns - now : 0;
    return rest < ns ? rest : ns;
}
/* Whether the peer has been silent for longer than `io_timeout`, and not at work. */
static inline bool kvi_flight_is_silent(const kvi_lane *lane, uint64_t now)
{
    return !(lane->poll.flags & KIVI_POLL_AT_WORK) && now > lane->flight->progress_ns &&
           now - lane->flight->progress_ns > lane->lanes->store->io_timeout_ns;
}
/* Whether anybody still waits for something in a merged flight. */
bool kvi_flight_is_awaited(const kvi_flight *flight);
kivi_error *kvi_dead_peer_error(const kivi_store *store);
/*
 * Drives the lane's flight for `self` (NULL: for nobody in particular) until it has landed or somebody
 * else leads. Afterwards, with KVI_LANDED, the lane is the caller's to release.
 */
kvi_outcome kvi_flight_drive(kvi_lane *lane, kvi_context *ctx, kvi_task *self);
/* Gives a flight to another waiter in it whose time is not over at `beyond_ns`; false: there is none. */
bool kvi_flight_hand_on(kvi_lane *lane, kvi_task *self, uint64_t beyond_ns);
/* Ends a flight that nobody leads: the session is closed, what is pending fails with `why`. */
void kvi_flight_condemn(kvi_lane *lane, kivi_status why, kivi_error *error);

/* ---- turn.c ---- */

/* One attempt at a piece of work. Items have their answers afterwards, or KIVI_PENDING where they must be asked again. */
kivi_status kvi_lanes_run(kvi_lanes *lanes, kvi_context *ctx, const kvi_work *work);

#endif
