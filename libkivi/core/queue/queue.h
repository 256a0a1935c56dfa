/*
 * Queues inside: calls submitted without blocking, and the threads that carry them out.
 *
 * A call on one key that is one item of a vector waits in its store's lanes like any caller, as a task whose
 * driver is the queue. Whoever gets it into a flight, the queue's threads or a caller that leads, tells it when it
 * is done. All other calls are jobs: a worker, one for each store, makes them as any caller would.
 * The stepper drives flights of stepped stores and looks after deadlines; a worker drives those of blocking ones.
 * Where a store has a hook, the teller tells it of these flights.
 */
#ifndef KVI_QUEUE_H
#define KVI_QUEUE_H

#include <kivi/queue.h>

#include "../lanes/lanes.h"
#include "../store/keys.h"

#define KVI_IDLE_NS (UINT64_C(1000) * KVI_MS) /* a thread with nothing to do ends after so long */

typedef struct kvi_worker kvi_worker;

/* Where a call is; under queue.mutex. */
typedef enum kvi_stage {
    KVI_AS_TASK = 1, /* in the lanes */
    KVI_AS_JOB = 2,  /* waits for the worker */
    KVI_RUNNING = 3, /* the worker makes it */
    KVI_PAUSED = 4,  /* waits before it is sent again */
    KVI_ENDED = 5    /* completed, or dropped by close */
} kvi_stage;

typedef struct kvi_queued {
    kivi_queue *queue;
    kvi_worker *worker;
    struct kvi_queued *previous, *next; /* calls in flight */
    struct kvi_queued *chain_next;      /* tickets of one chain */
    struct kvi_queued *hurried_previous, *hurried_next;
    struct kvi_queued *job_previous, *job_next; /* the worker's jobs */
    struct kvi_queued *done_next;               /* completions to take */
    uint64_t ticket;
    kvi_stage stage;
    kvi_task *task;
    uint64_t due_ns;     /* PAUSED; LEAVING: when it stays no longer */
    kivi_status leaving; /* AS_TASK: why its caller goes; it hears whether anything was sent */
    bool hurried;        /* the stepper looks at it at once */
    _Atomic bool cancelled;
    bool told; /* ctx says that the call began: it ends with kvi_end() when it is taken */
    kvi_context ctx;
    kvi_key key;          /* stored form, of single items */
    kivi_request request; /* its slices lie in `memory` */
    kivi_range range;
    kivi_buffer memory;
    kivi_slice *keys, *values;
    kivi_op *ops;
    kivi_buffer value, version; /* of jobs */
    kivi_completion completion;
} kvi_queued;

/* A thread of a queue. It ends when it had nothing to do for KVI_IDLE_NS, and is begun again. */
typedef struct kvi_queue_thread {
    pthread_t id;
    bool started; /* there is a thread to join */
    bool running;
    pthread_cond_t wake; /* not the stepper's, which polls */
} kvi_queue_thread;

/* One for each store in use. */
struct kvi_worker {
    kivi_queue *queue;
    kivi_store *store;
    kvi_worker *next;
    /* A job waits for a lane as any caller does: a thread of its own flies those that tasks are given. */
    kvi_queue_thread flights, jobs;
    bool wanted; /* tasks wait in the lanes of a blocking store */
    kvi_queued *job_head, *job_tail;
    kvi_lane *led;         /* lanes that were given to tasks of ours (blocking store) */
    kvi_lane *flying;      /* what `flights` drives */
    uint64_t in_flight;    /* calls of this store */
    kvi_patience patience; /* of the stepper, with calls that wait for a lane */
    kvi_context ctx;       /* for flights, without an end of its own */
};

/* What hooks are to be told of flights, and the thread that tells them. */
typedef struct kvi_news kvi_news;
typedef struct kvi_teller {
    kvi_queue_thread thread;
    kvi_news *first, *last;
    size_t count;
} kvi_teller;

/* Calls in flight by their tickets. */
typedef struct kvi_tickets {
    kvi_queued **chains;
    size_t room, count; /* room: a power of two, or 0 */
} kvi_tickets;

struct kivi_queue {
    pthread_mutex_t mutex; /* guards all below; taken before lanes.mutex, never held while anything blocks */
    uint32_t generation;       /* of forks, at creation */
    int descriptor;            /* eventfd: completions are there */
    bool is_readable;          /* it was written to */
    void (*ready)(void *user); /* told instead; NULL: nobody */
    void *ready_user;
    int wake; /* eventfd: the stepper has something to do */
    bool closed;
    uint64_t tickets, count; /* accepted and not taken */
    kvi_queued *in_flight;
    kvi_tickets by_ticket;
    kvi_queued *done_head, *done_tail;
    kvi_worker *workers;
    kvi_queue_thread stepper;
    bool woken;
    bool held; /* the loop says when it has submitted all that it wants */
    bool submitting,
        rings; /* a submit wakes the stepper when it has let go of the mutex, which that wants at once */
    bool settling, tells; /* the stepper completes what has come, and tells the loop when it is through */
    bool wanted;          /* tasks wait in the lanes of a stepped store */
    kvi_queued *hurried; /* cancelled, or to be begun again at once */
    uint64_t look_ns;    /* when to look at all calls again */
    kvi_lane *led;       /* lanes given to tasks of ours, not taken up yet (stepped stores) */
    kvi_teller teller;
};

/* ---- calls.c ---- */

extern const kvi_driver kvi_queue_driver;
/* Puts a call on its way: into the lanes or to the worker. Holds queue.mutex. */
void kvi_queued_start(kvi_queued *call);
/* The call has ended with what stands in its completion; holds queue.mutex. */
void kvi_queued_complete(kvi_queued *call);
/* Tells the loop that completions wait; holds queue.mutex. */
void kvi_queue_tell_ready(kivi_queue *queue);
/* Takes a call out of its worker's jobs; holds queue.mutex. */
void kvi_queued_leave_jobs(kvi_queued *call);
/*
 * Ends calls whose time is over, begins those that paused: the hurried ones, and all of them when queue.look_ns has come,
 * which it then sets. Holds queue.mutex.
 */
void kvi_queue_look_after(kivi_queue *queue, uint64_t now);
/* Has the stepper look at a call at once; holds queue.mutex. */
void kvi_queued_hurry(kvi_queued *call);
/* Wakes the stepper; holds queue.mutex. */
void kvi_queue_wake(kivi_queue *queue);
/* The same at once, whatever the stepper was told already; any thread. */
void kvi_queue_ring(kivi_queue *queue);
static inline bool kvi_queue_is_stepped(const kivi_store *store)
{
    return !(store->flags & KIVI_BACKEND_BLOCKING);
}
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

/* ---- tickets.c: all hold queue.mutex ---- */

/* False without memory. */
bool kvi_tickets_add(kvi_tickets *tickets, kvi_queued *call);
void kvi_tickets_remove(kvi_tickets *tickets, kvi_queued *call);
kvi_queued *kvi_tickets_find(const kvi_tickets *tickets, uint64_t ticket);
void kvi_tickets_free(kvi_tickets *tickets);

/* ---- stepper.c, worker.c ---- */

/* All: false where the system gives no thread. Hold queue.mutex. */
bool kvi_queue_run_stepper(kivi_queue *queue);
bool kvi_worker_run_flights(kvi_worker *worker);
bool kvi_worker_run_jobs(kvi_worker *worker);
/* The worker of a store, a new one if need be; NULL without memory. Holds queue.mutex. */
kvi_worker *kvi_worker_of(kivi_queue *queue, kivi_store *store);
/* Waits for the threads of a list of workers, which end by themselves, and lets go of their stores. */
void kvi_workers_free(kvi_worker *workers);

/* ---- thread.c ---- */

void kvi_queue_thread_setup(kvi_queue_thread *thread);
/* Begins it where it does not run; no signal of the program's comes to it. False: the system gives none. Holds queue.mutex. */
bool kvi_queue_thread_run(kvi_queue_thread *thread, void *(*entry)(void *), void *given);
/* Sleeps until it is woken; false when that lasted for KVI_IDLE_NS. Holds queue.mutex, but not while it sleeps. */
bool kvi_queue_thread_sleep(kvi_queue_thread *thread, kivi_queue *queue);
/* Waits for it, which ends by itself. */
void kvi_queue_thread_end(kvi_queue_thread *thread);

/* ---- teller.c ---- */

/* Ends a flight that a thread of the queue drove: passes its lane on, and has the hook told. With no lock held. */
void kvi_queue_land(kvi_lane *lane);
/* Waits until all is told, when nobody drives a flight any more. */
void kvi_queue_end_teller(kivi_queue *queue);

/* ---- perform.c ---- */

/* Makes the call that `ask` describes, whose verb is a known one; its answer goes into `end`. */
void kvi_perform(kivi_store *store, const kivi_call *how, const kivi_request *ask,
                 kivi_buffer *value, kivi_buffer *version, kivi_completion *end);
/* The word of the vocabulary: "get". */
const char *kvi_verb_name(int32_t verb);

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
