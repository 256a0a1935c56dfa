/* The state of the lanes: lanes, flights, tasks, and the lines that they wait in. */
#ifndef KVI_LANES_STATE_H
#define KVI_LANES_STATE_H

#include "../base/platform.h"
#include "../core.h"
#include "busy_poll.h"

#define KVI_MERGE_ITEMS 256
#define KVI_MERGE_BYTES (1u << 20)
#define KVI_LANES_MAX 64

typedef enum kvi_kind {
    KVI_READ = 0,
    KVI_WRITE = 1,
    KVI_SCAN = 2, /* from here on: no vector, but one question about the store */
    KVI_COUNT = 3,
    KVI_HEALTH = 4
} kvi_kind;

/* A verb without items: it flies alone, and its status is all that comes of it. */
static inline bool kvi_is_question(kvi_kind kind)
{
    return kind >= KVI_SCAN;
}

/* What one caller wants of a lane: a vector, a page of a scan, a count, or how the store is. */
typedef struct kvi_work {
    kvi_kind kind;
    kivi_read_vector *reads;
    kivi_write_vector *writes;
    const kivi_scan_range *range;
    kivi_scan_sink *sink;
    kivi_count *count;
} kvi_work;

/* State of a waiter. It changes by compare-and-swap only once it is out of the queue. */
enum {
    KVI_TASK_WAITING = 0, /* in a queue (lanes.mutex) */
    KVI_TASK_TAKEN = 1,   /* its item is in somebody's flight */
    KVI_TASK_LEADING = 2, /* it was given `lane`: to begin a flight, or to go on with the one it is in */
    KVI_TASK_DONE = 3, /* its answer is there */
    KVI_TASK_LEFT = 4, /* its caller went away; the flight drops it */
    KVI_TASK_LEAVING = 5 /* TAKEN, but its caller stays only to hear whether anything was sent: KVI_LEAVE_NS at most */
};

/*
 * How long the caller of a write waits for the word whether anything of it was sent, when its time is over. Callers that
 * came together go together, and the last of them ends the flight; while others stay in it the write may yet be sent.
 */
#define KVI_LEAVE_NS KVI_SLICE_NS

/* Who is told instead of a thread, for tasks that no thread waits for (queue/calls.c). With no lock held. */
typedef struct kvi_task kvi_task;
typedef struct kvi_driver {
    void (*done)(kvi_task *task); /* DONE: its answer is there */
    void (*lead)(kvi_task *task); /* LEADING: it was given task->lane */
} kvi_driver;

typedef struct kvi_lane kvi_lane;

/*
 * What the thread of a waiter sleeps on. Those that queue together, and so are taken together, share a futex and have a
 * bit each: one system call wakes all callers of a flight, and the first of them takes the processor from its leader
 * only when it has woken the last. (64 threads: a sixth less CPU than a call for each.) The futexes are the lanes', so
 * that a bell can be rung when the task is gone.
 */
typedef struct kvi_bell {
    _Atomic uint32_t *word; /* counts how often it was rung */
    uint32_t bits;
} kvi_bell;
#define KVI_BELLS \
    16 /* more than flights whose callers sleep at once: a bell shared by two wakes some for nothing */

/* A waiter. Mergeable tasks are counted and own copies of what they ask; the others lie on their caller's stack. */
struct kvi_task {
    _Atomic uint32_t state;
    _Atomic uint32_t refs;
    kvi_kind kind;
    bool mergeable;
    bool in_flight; /* LEADING: goes on in mid-flight */
    bool delivered; /* value and version are there */
    bool alone;     /* must be asked again by itself */
    kvi_lane *lane; /* LEADING */
    uint64_t ticket;
    uint64_t deadline_ns;             /* its caller's; UINT64_MAX: none */
    struct kvi_task *previous, *next; /* queue */
    kvi_bell bell;                    /* of one that was queued */
    /* mergeable only */
    struct kvi_task *next_free;
    const kvi_driver *driver; /* NULL: a thread waits */
    void *owner;              /* the driver's */
    kivi_read_item read;
    kivi_write_item write;
    kivi_buffer bytes, value, version;
};

/* The vector that a lane's session works on. It belongs to the lane, so that it outlives its leader. */
typedef struct kvi_flight {
    kvi_kind kind;
    bool merged;
    bool active;            /* a verb of the session is in progress */
    kivi_read_vector reads; /* the part of the vector that the verb was given */
    kivi_write_vector writes;
    kvi_work question; /* of a verb without items */
    kivi_status question_status;
    kivi_status status;         /* of the last verb that failed, else OK: for the hook */
    kivi_read_item *read_items; /* all items */
    kivi_write_item *write_items;
    size_t count;
    struct {
        size_t begin, end;
    } parts[48]; /* not yet asked: the vector, or the halves of one that was refused */
    size_t part_count, begin, end;
    uint64_t progress_ns; /* when something last came in */
    uint64_t begun_ns;
    uint64_t condemn_ns; /* when a blocking verb of a merged flight must end; 0: not counted yet */
    /* merged: the tasks in order of their keys, and for each item where its own begin */
    kvi_task *tasks[KVI_MERGE_ITEMS];
    size_t task_count, first_task[KVI_MERGE_ITEMS + 1];
    bool settled[KVI_MERGE_ITEMS];
    kivi_read_item merged_reads[KVI_MERGE_ITEMS];
    kivi_write_item merged_writes[KVI_MERGE_ITEMS];
} kvi_flight;

struct kvi_lane {
    kvi_lanes *lanes;
    void *session; /* NULL: none open */
    bool open;
    bool busy;
    uint32_t callers; /* that its flight began with */
    uint32_t beside;  /* lanes that were busy when it was taken */
    kvi_busy_poll busy_poll;
    kvi_lane *next_free;
    kvi_flight *flight;
    /* of the thread that drives it for others (queue/stepper.c) */
    kvi_lane *next_led;
    kvi_task *lead;
    void *led_for;              /* the worker whose tasks it serves */
    kivi_poll poll;             /* what its session waits for, as of the last step */
    uint64_t step_ns;           /* when `poll` wants a step whatever happens; UINT64_MAX: never */
    kivi_error *question_error; /* of the verb without items in flight */
};

struct kvi_lanes {
    kivi_store *store;
    pthread_mutex_t mutex; /* guards all below; never held while anything blocks */
    kvi_lane *all[KVI_LANES_MAX];
    uint32_t count, max, busy;
    uint32_t callers; /* that busy lanes serve */
    uint32_t processors;
    uint64_t landings; /* flights that ended */
    kvi_lane *free;
    struct {
        kvi_task *head, *tail;
        uint32_t count;
        _Atomic uint32_t bells[KVI_BELLS];
        uint32_t bell, sharers; /* the bell of those that queue now, and how many share it */
    } queues[2];                /* reads and scans, writes */
    uint64_t tickets;
    kvi_task *spare;
    uint32_t spares;
    /* group commit: how many callers the last write vector served, how long it took */
    uint32_t last_callers;
    uint64_t last_ns;
    uint32_t gather_want;      /* wake the leader that gathers when so many wait; 0: none gathers */
    _Atomic uint32_t gathered; /* a futex */
};

/*
 * How long a queue's thread lets calls wait for a lane that is about to land rather than fly another: few full
 * vectors cost less than many small ones (Redis, 1,000 gets in flight: 1.4x the rate of eight lanes at once).
 */
#define KVI_PATIENCE_NS UINT64_C(300000)
typedef struct kvi_patience {
    uint64_t landings; /* of the lanes, when it began */
    uint64_t due_ns;   /* when it ends; 0: nobody was held back */
} kvi_patience;

static inline void kvi_bell_ring(kvi_bell bell)
{
    atomic_fetch_add(bell.word, 1); /* who is about to sleep does not */
    kvi_futex_wake_bits(bell.word, bell.bits);
}
/* `driver` and `bell` were read before the task was LEADING: the memory of one that lies on its caller's stack may be gone. */
static inline void kvi_task_tell_lead(kvi_task *task, const kvi_driver *driver, kvi_bell bell)
{
    if (driver)
        driver->lead(task);
    else
        kvi_bell_ring(bell);
}

/* Which line work of a kind waits in. */
static inline unsigned kvi_line_of(kvi_kind kind)
{
    return kind == KVI_WRITE ? 1 : 0;
}

typedef enum kvi_outcome { KVI_LANDED, KVI_HANDED_ON } kvi_outcome;

#endif
