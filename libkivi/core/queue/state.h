/* The state of a queue: its calls, its threads, and what these share. */
#ifndef KVI_QUEUE_STATE_H
#define KVI_QUEUE_STATE_H

#include <kivi/queue.h>

#include "../calls/verbs.h"
#include "../lanes/state.h"
#include "../store/keys.h"
#include "../store/places.h"

#define KVI_IDLE_NS (UINT64_C(1000) * KVI_MS) /* a thread with nothing to do ends after so long */

typedef struct kvi_worker kvi_worker;
typedef struct kvi_in_line kvi_in_line;

/* Where a call is; under queue.mutex. */
typedef enum kvi_stage {
    KVI_AS_TASK = 1, /* in the lanes */
    KVI_AS_JOB = 2,  /* waits for the worker */
    KVI_RUNNING = 3, /* the worker makes it */
    KVI_PAUSED = 4,  /* waits before it is sent again */
    KVI_ENDED = 5,   /* completed, or dropped by close */
    KVI_IN_LINE = 6  /* waits for its key (key_line.c) */
} kvi_stage;

/* A call in the line of its key (key_line.c). */
struct kvi_in_line {
    kvi_place place;
    kvi_addition addition;
    struct kvi_queued *call;
    bool is_told;
    kvi_in_line *previous, *next; /* of those that were told */
};

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
    kvi_in_line *in_line; /* it waits, or waited, for its key */
    uint64_t due_ns;      /* PAUSED, or `leaving`: when that ends */
    kivi_status leaving;  /* AS_TASK: why its caller goes; it hears whether anything was sent */
    bool hurried;         /* the stepper looks at it at once */
    _Atomic bool cancelled;
    bool told; /* ctx says that the call began: it ends with kvi_end() when it is taken */
    kvi_context ctx;
    kvi_key key; /* stored form, of single items */
    const kvi_verb_info *verb;
    kivi_request request; /* its slices lie in `memory` */
    kivi_range range;
    kivi_buffer memory;
    kivi_slice *keys, *values;
    kivi_op *ops;
    uint64_t value_most;        /* larger values were not copied */
    kivi_buffer value, version; /* of jobs */
    kivi_completion completion;
} kvi_queued;

/* A thread of a queue. It ends when it had nothing to do for KVI_IDLE_NS, and is begun again. */
typedef struct kvi_queue_thread {
    void *(*entry)(void *given);
    void *given;
    pthread_t id;
    bool started; /* there is a thread to join */
    bool running;
    pthread_cond_t wake; /* not the stepper's, which polls */
} kvi_queue_thread;

/* One thread of a crew; under queue.mutex but for what it flies. */
typedef struct kvi_hand {
    kvi_queue_thread thread;
    kvi_worker *worker;
    struct kvi_crew *crew;
    struct kvi_hand *next;
    bool sleeps;
    kvi_lane *flying; /* of flights */
    kvi_context ctx;  /* the same */
} kvi_hand;

/* Threads of a worker that do the same, as many as there is work for: more than one where the store is no local one. */
typedef struct kvi_crew {
    bool (*once)(kvi_hand *hand); /* whether there was any work */
    kvi_hand *hands;
    uint32_t count, most;
    bool coming; /* one was woken, and takes the next piece of work */
} kvi_crew;

/* One for each store in use. */
struct kvi_worker {
    kivi_queue *queue;
    kivi_store *store;
    kvi_worker *next;
    /* A job waits for a lane as any caller does: threads of their own fly those that tasks are given. */
    kvi_crew flights, jobs;
    bool wanted; /* tasks wait in the lanes of a blocking store */
    kvi_queued *job_head, *job_tail;
    kvi_lane *led;         /* lanes that were given to tasks of ours (blocking store) */
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
    kvi_flag descriptor;       /* completions are there */
    bool is_readable;          /* it was written to */
    void (*ready)(void *user); /* told instead; NULL: nobody */
    void *ready_user;
    kvi_flag wake; /* the stepper has something to do */
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
    struct {
        pthread_mutex_t mutex; /* the last that is taken */
        kvi_in_line *head, *tail;
    } told; /* calls in line whose turn it is, or that have their answer: the stepper hears of them */
};

static inline bool kvi_queue_is_stepped(const kivi_store *store)
{
    return !(store->flags & KIVI_BACKEND_BLOCKING);
}

#endif
