/* The types that all floors of the core know: the store, one call in progress, and vectors. */
#ifndef KVI_CORE_H
#define KVI_CORE_H

#include "../codecs/codecs.h"
#include "base/base.h"

#include <pthread.h>
#include <stdatomic.h>

#define KVI_MS INT64_C(1000000)    /* ns in a millisecond */
#define KVI_SLICE_NS (50 * KVI_MS) /* the longest a waiting thread goes without looking up */
#define KVI_STAT_SHARDS 16
#define KVI_SAMPLE 64 /* one call in so many is timed on embedded stores */

/* Why calls may not go on: bits of kivi_store.gate, so that an open store costs one load. */
enum {
    KVI_GATE_CLOSED = 1 << 0,
    KVI_GATE_FORKED = 1 << 1, /* this process is a child that has not had its own instance yet */
    KVI_GATE_FOREIGN = 1 << 2 /* another program's data, as a session learned, and no codec was named */
};

/* Counters of the threads that share a shard; a cache line of their own. */
typedef struct kvi_shard {
    _Alignas(64) _Atomic uint64_t single_reads; /* calls that read one key: a call and a read each */
    _Atomic uint64_t calls;                     /* all other calls */
    _Atomic uint64_t reads, writes, failures;
} kvi_shard;

/* What the store takes and promises as far as that is known: said by open, then by sessions (base/limits.c). */
typedef struct kvi_limits {
    _Atomic uint64_t max_stored_key; /* bytes, namespace included */
    _Atomic uint64_t max_value, atomic_max;
    _Atomic int64_t max_ttl_ms;
    _Atomic int32_t order;
    _Atomic bool durable, evicts;
    _Atomic uint64_t identity; /* of the data, as the server says; 0: it does not */
} kvi_limits;

typedef struct kvi_lanes kvi_lanes;
typedef struct kvi_places kvi_places;

struct kivi_store {
    _Atomic uint32_t gate;
    uint32_t flags; /* of the instance */
    const kivi_backend *backend;
    kivi_instance instance;
    bool instance_open;
    bool forked;     /* a child cannot use the engine; under fork_mutex */
    bool plain_keys; /* stored keys are the keys themselves */
    bool escapes;    /* some key is stored escaped */
    bool forbids;    /* some key does not fit as it is */
    bool portable;
    bool in_place;
    bool event_keys;
    uint64_t untimed; /* mask of a call's number: calls with none of these bits are timed */
    bool keeps_order; /* keys are as ordered as stored keys */
    bool has_codec;   /* it was named */
    kvi_limits limits;
    int64_t timeout_ms;
    uint64_t io_timeout_ns;
    uint64_t queue_limit;
    const kvi_codec *codec;
    kivi_event_fn on_event;
    void *on_event_user;
    kivi_escape escape; /* the instance's, or none with escape=off */
    kivi_buffer space;  /* stored prefix of the namespace; empty: none */
    kivi_config *config;
    char *scheme, *shown_url;
    uint64_t identity; /* the same for handles on the same data in this process, as far as can be told */
    kvi_lanes *lanes;
    kvi_places *places; /* of callers that read, change and write one key */

    _Atomic uint32_t refs;
    _Atomic uint32_t generation;        /* moves on in a forked child */
    pthread_mutex_t fork_mutex;         /* one thread of a child opens the instance anew */
    struct kivi_store *previous, *next; /* registry of open stores */

    _Atomic uint64_t vectors, vector_items, retries, reconnects, swept, strangers;
    _Atomic uint64_t events_swept, events_reconnects; /* not told to the hook yet */
    _Atomic uint64_t latency[40];
    kvi_shard shards[KVI_STAT_SHARDS];
};

/* One public call in progress, on its caller's stack. */
typedef struct kvi_context {
    kivi_wait wait; /* first: the backend's view of it */
    kivi_store *store;
    const char *verb;
    kivi_slice key;    /* for the hook; empty: none or several */
    uint64_t items;    /* keys concerned */
    bool single_read;  /* counted in shard.single_reads */
    bool reached;      /* the call got as far as the store: it counts */
    bool limited;      /* deadline_ns is computed */
    bool any_layout;   /* reads and writes no value */
    bool alone;        /* may not share a vector any more */
    kivi_status ended; /* why it may not go on; stays, as the caller may say it once only */
    const kivi_call *call; /* what the caller gave, as far as it is known here; all defaults where it gave none */
    uint64_t deadline_ns; /* UINT64_MAX: none */
    uint64_t started_ns;  /* 0: this call is not timed */
    kivi_error *error;    /* of the failure that the call will answer */
    kivi_error **caller_error;
    uint64_t retries; /* not told to the hook yet */
    uint32_t generation; /* of the store when the call began, or was last taken on by a child of a fork */
    kivi_call call_copy; /* not touched without a `call` */
} kvi_context;

static inline kivi_status kvi_check(kvi_context *ctx)
{
    return ctx->wait.check(&ctx->wait);
}
static inline uint64_t kvi_deadline(kvi_context *ctx)
{
    return ctx->wait.deadline(&ctx->wait);
}

#define KVI_READ_VECTOR(its, n, deliver_fn, own)                                  \
    {                                                                             \
        sizeof(kivi_read_vector), sizeof(kivi_read_item), its, n, deliver_fn, own \
    }
#define KVI_WRITE_VECTOR(its, n, fl)                                                  \
    {                                                                                 \
        sizeof(kivi_write_vector), sizeof(kivi_write_item), its, n, fl, 0, NULL, NULL \
    }

/* Whether reads and scans go straight to the engine. */
static inline bool kvi_reads_are_shared(const kivi_store *store)
{
    return store->flags & KIVI_BACKEND_SHARED_READS;
}

/* Whether a visitor sees values where they lie: the engine lets its memory be looked at for long. */
static inline bool kvi_visits_in_place(const kivi_store *store)
{
    return store->in_place && kvi_reads_are_shared(store) && store->flags & KIVI_BACKEND_IN_PLACE;
}

/* Where the value of one read goes: the `owner` of kvi_receive(). Parts may be NULL. */
typedef struct kvi_receiver {
    kivi_buffer *value, *version;
} kvi_receiver;

#endif
