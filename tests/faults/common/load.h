/*
 * A load on a store in bad conditions: 16 threads, or a queue with 1,000 calls in flight. Each slot of it, a thread or a
 * place in the queue, makes one call after another on keys of its own, and knows what they may hold. What
 * became of every call is kept, and compared with what the server saw.
 */
#ifndef FAULTS_LOAD_H
#define FAULTS_LOAD_H

#include "faults.h"

#include <pthread.h>

typedef enum load_kind { LOAD_THREADS, LOAD_QUEUE } load_kind;
#define LOAD_THREAD_COUNT 16
#define LOAD_IN_FLIGHT 1000

/* ---- tally.c: how often the server was given each value ---- */

/* Values are written "<number:slot>"; a stream of requests (of one connection, or a file) is searched for them. */
typedef struct tally {
    pthread_mutex_t mutex;
    struct {
        uint8_t *counts; /* by number */
        size_t room;
    } slots[LOAD_IN_FLIGHT];
    atomic_uint refusals; /* answers that said that nothing was done; see fault_server */
} tally;
typedef struct tally_stream {
    char text[48];
    size_t size;
} tally_stream;
void tally_begin(tally *t);
void tally_end(tally *t);
void tally_feed(tally *t, tally_stream *stream, const char *bytes, size_t size);
/* All of a file. */
void tally_file(const char *path, tally *t);
unsigned tally_count(tally *t, unsigned slot, unsigned long number);

/* ---- pulse.c: how long the machine itself stood still ---- */

void pulse_begin(void);
void pulse_end(void);
/* Time by which a thread that wanted to run did not, in all so far. */
uint64_t pulse_stalled_ns(void);

/* ---- load.c, load_drive.c ---- */

typedef struct load_options {
    const char *name; /* keys begin with it */
    load_kind kind;
    int64_t timeout_ms;         /* of every call */
    const kivi_status *allowed; /* how calls may fail, ended by 0; UNCERTAIN is for writes alone */
    unsigned increments;        /* of 16 calls; they are scripts, and jobs in a queue */
    bool locks;                 /* writes may be BUSY: see fault_server */
    bool rehearsal;             /* its values are not tallied */
    uint64_t chaos;             /* a seed: random deadlines, interrupts and cancels; 0: none */
} load_options;

/* What became of a write. */
typedef enum load_fate { FATE_NONE = 0, FATE_REFUSED, FATE_UNCERTAIN, FATE_ACKNOWLEDGED } load_fate;

typedef struct load load;

/* What one slot does, one call at a time. */
typedef struct load_slot {
    load *l;
    unsigned index;
    uint64_t seed, began_ns, stalled_ns;
    unsigned long calls, seen;         /* seen: by load_heals() */
    atomic_ulong number, acknowledged; /* the last write begun, and the last one that was */
    uint8_t *fates;                    /* by number */
    size_t room;
    unsigned long added, perhaps_added; /* increments */
    long long sum;                      /* the last one that was told */
    int64_t timeout_ms;
    kivi_interrupt *interrupt; /* with chaos */
    text key, value;
    kivi_request request;
    kivi_call call;
    bool flying;
    _Atomic uint64_t ticket;
    uint64_t rest_until_ns;
    struct load_slot *next;
} load_slot;

struct load {
    load_options options;
    kivi_store *store;
    kivi_queue *queue;
    load_slot *slots;
    unsigned slot_count, threads_before;
    pthread_t threads[LOAD_THREAD_COUNT], chaos_thread;
    atomic_bool stop;
    atomic_ulong calls, acknowledged, ends[64]; /* of all slots; by status */
    atomic_long excess_us; /* the most by which a call overran its deadline, beyond what the machine stood still */
};

load *load_start(kivi_store *store, const load_options *options);
/* Waits until so many more writes were acknowledged, at most a minute. */
void load_flows(load *l, unsigned long more);
/* Waits until a write of every slot was acknowledged that began after this call did, at most a minute. */
void load_heals(load *l);
/* Waits until so many calls have ended so, at most a minute. */
void load_sees(load *l, kivi_status status, unsigned long count);
unsigned long load_count(load *l, kivi_status status);
/* How many calls did not end with an answer. */
unsigned long load_failures(load *l);
/*
 * No new calls; all that were accepted end, once each, and in time; a queue's threads end when it is idle. What is
 * stored must be what was acknowledged last, or a write that was uncertain. That may also be an
 * older one: a server that stood still finds it in its socket when it goes on.
 */
void load_stop(load *l, const char *what);
/* Acknowledged writes stand once in the tally, uncertain ones at most once, refused ones not at all. */
typedef enum tally_kind {
    TALLY_APPLIED, /* what the server did */
    TALLY_SENT,    /* what it was sent; nothing of a refused write was */
    TALLY_ASKED /* the same, where the server itself may refuse; even then it is not asked again */
} tally_kind;
/* What a server refused may be sent again: once for each refusal that was seen. */
void load_compare(const load *l, tally *t, tally_kind kind);
void load_free(load *l);

/* Between the two files. */
void load_plan(load_slot *slot);
/* `ended_ns`: the call may have ended as early as that, as far as its maker can tell. */
void load_judge(load_slot *slot, const kivi_completion *end, uint64_t ended_ns);
/* Prints how calls ended, and looks at what is stored. */
void load_report(const load *l, const char *what);

#endif
