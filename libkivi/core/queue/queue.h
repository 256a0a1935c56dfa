/*
 * Queues inside: calls submitted without blocking, and the threads that carry them out.
 *
 * A call on one key that is one item of a vector waits in its store's lanes like any caller, as a task whose
 * driver is the queue. Whoever gets it into a flight, the queue's threads or a caller that leads, tells it when it
 * is done. All other calls are jobs: a worker, one for each store, makes them as any caller would. An increment that
 * the core composes is one only when it is its turn; until then it waits in the line of its key.
 * The stepper drives flights of stepped stores and looks after deadlines; a worker drives those of blocking ones. A
 * worker has a thread for each lane, begun when they are needed, and one of each kind for a local store.
 * Where a store has a hook, the teller tells it of these flights.
 */
#ifndef KVI_QUEUE_H
#define KVI_QUEUE_H

#include "../lanes/lanes.h"
#include "state.h"

/* ---- stages.c: all hold queue.mutex, but kvi_queue_ring() ---- */

/* Wakes the stepper. */
void kvi_queue_wake(kivi_queue *queue);
/* The same at once, whatever the stepper was told already; any thread. */
void kvi_queue_ring(kivi_queue *queue);
/* Has the stepper look at a call at once. */
void kvi_queued_hurry(kvi_queued *call);
/* It has. */
void kvi_queued_calm(kvi_queued *call);
/* Tells the loop that completions wait. */
void kvi_queue_tell_ready(kivi_queue *queue);
/* The call has ended with what stands in its completion. */
void kvi_queued_complete(kvi_queued *call);
/* It ends without an answer. */
void kvi_queued_fail(kvi_queued *call, kivi_status status);
/* Gives a call to its worker as a job; false: there is no thread for it. */
bool kvi_queued_start_job(kvi_queued *call);
/* Takes a call out of its worker's jobs. */
void kvi_queued_leave_jobs(kvi_queued *call);

/* ---- calls.c ---- */

extern const kvi_driver kvi_queue_driver;
/* Puts a call on its way: into the lanes or to the worker. Holds queue.mutex. */
void kvi_queued_start(kvi_queued *call);
/*
 * Ends calls whose time is over, begins those that paused: the hurried ones, and all of them when queue.look_ns has come,
 * which it then sets. Holds queue.mutex.
 */
void kvi_queue_look_after(kivi_queue *queue, uint64_t now);
/*
 * A lane for whoever waits longest in the worker's store, if one is free: true. *lane is it where that is a call of the
 * queue, else NULL: its waiter was told. Holds queue.mutex, but not while telling.
 */
bool kvi_queue_begin(kvi_worker *worker, kvi_patience *patience, kvi_lane **lane);
/*
 * Begins, or goes on with, the flight of a lane that was given to a task; false: the time of its call was over before
 * anything was sent, and the lane is somebody else's.
 */
bool kvi_queue_take_up(kvi_lane *lane);

/* ---- key_line.c: all hold queue.mutex ---- */

/* Whether a call is an increment that waits in the line of its key. */
bool kvi_queued_waits_for_key(const kvi_queued *call);
void kvi_queued_join_line(kvi_queued *call);
/* Completes those in line that have their answer, and makes jobs of those whose turn it is. */
void kvi_queue_hear_lines(kivi_queue *queue);
/* Ends one that no thread makes, unless it has its answer, which the stepper hears. */
void kvi_queued_leave_line(kvi_queued *call, kivi_status why);
/* A thread makes the call; false: it had its answer, and is complete. */
bool kvi_queued_come_for(kvi_queued *call);
/* Passes over a holder of the key that stays away for too long. */
void kvi_queued_look_at_line(kvi_queued *call);

/* ---- tickets.c: all hold queue.mutex ---- */

/* False without memory. */
bool kvi_tickets_add(kvi_tickets *tickets, kvi_queued *call);
void kvi_tickets_remove(kvi_tickets *tickets, kvi_queued *call);
kvi_queued *kvi_tickets_find(const kvi_tickets *tickets, uint64_t ticket);
void kvi_tickets_free(kvi_tickets *tickets);

/* ---- stepper.c ---- */

/* What the thread `queue.stepper` does. */
void *kvi_stepper_main(void *queue);

/* ---- worker.c ---- */

/* The worker of a store, a new one if need be; NULL without memory. Holds queue.mutex. */
kvi_worker *kvi_worker_of(kivi_queue *queue, kivi_store *store);
/* Waits for the threads of a list of workers, which end by themselves, and lets go of their stores. */
void kvi_workers_free(kvi_worker *workers);

/* ---- crew.c: all hold queue.mutex ---- */

/* Has somebody come for work that waits, who is begun if need be; false: there is no thread, and none can be begun. */
bool kvi_crew_wake(kvi_worker *worker, kvi_crew *crew);
/* Wakes all, to see that the queue is closed. */
void kvi_crew_rouse(kvi_crew *crew);
bool kvi_crew_runs(const kvi_crew *crew);
/* Waits for all, who end by themselves; without the mutex. */
void kvi_crew_free(kvi_crew *crew);

/* ---- thread.c ---- */

/* `entry(given)` is what it does whenever it is begun. */
void kvi_queue_thread_setup(kvi_queue_thread *thread, void *(*entry)(void *given), void *given);
/* Begins it where it does not run; no signal of the program's comes to it. False: the system gives none. Holds queue.mutex. */
bool kvi_queue_thread_run(kvi_queue_thread *thread);
/* Sleeps until it is woken; false when that lasted for KVI_IDLE_NS. Holds queue.mutex, but not while it sleeps. */
bool kvi_queue_thread_sleep(kvi_queue_thread *thread, kivi_queue *queue);
/* Waits for it, which ends by itself. */
void kvi_queue_thread_end(kvi_queue_thread *thread);

/* ---- teller.c ---- */

/* What the thread `queue.teller.thread` does. */
void *kvi_teller_main(void *queue);
/* Ends a flight that a thread of the queue drove: passes its lane on, and has the hook told. With no lock held. */
void kvi_queue_land(kvi_lane *lane);
/* Waits until all is told, when nobody drives a flight any more. */
void kvi_queue_end_teller(kivi_queue *queue);

/* ---- request.c ---- */

/* Copies a request and checks what can be checked before anything is sent. */
kivi_status kvi_queued_prepare(kvi_queued *call, const kivi_request *request);
/* Whether it is one item of a vector; then kvi_queued_work() says which. */
bool kvi_queued_is_single(const kvi_queued *call);
/* The item's work, whose key and value lie in the call; valid while `reads` and `writes` are. */
void kvi_queued_work(kvi_queued *call, kvi_work *work, kivi_read_vector *reads,
                     kivi_write_vector *writes, kivi_read_item *read, kivi_write_item *write);
/* Makes the call as any caller would; its answer goes into the completion. */
void kvi_queued_run(kvi_queued *call);
/* The answer of its task into the completion: OK, or PENDING where it must be asked again. */
kivi_status kvi_queued_answer(kvi_queued *call);
void kvi_queued_free(kvi_queued *call);

#endif
