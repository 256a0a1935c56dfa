/* What the files of the core that work on an open store share: the store, and one call in progress. */
#ifndef KVI_CORE_H
#define KVI_CORE_H

#include "internal.h"

#include <pthread.h>
#include <stdatomic.h>

#define KVI_MS INT64_C(1000000)    /* ns in a millisecond */
#define KVI_SLICE_NS (50 * KVI_MS) /* the longest a waiting thread goes without looking up */
#define KVI_STAT_SHARDS 16
#define KVI_SAMPLE 64 /* one call in so many is timed on embedded stores */

/* Why calls may not go on: bits of kivi_store.gate, so that an open store costs one load. */
enum {
    KVI_GATE_CLOSED = 1 << 0,
    KVI_GATE_FORKED = 1 << 1 /* this process is a child that has not had its own instance yet */
};

/* Counters of the threads that share a shard; a cache line of their own. */
typedef struct kvi_shard {
    _Alignas(64) _Atomic uint64_t single_reads; /* calls that read one key: a call and a read each */
    _Atomic uint64_t calls;                     /* all other calls */
    _Atomic uint64_t reads, writes, failures;
} kvi_shard;

typedef struct kvi_lanes kvi_lanes;

struct kivi_store {
    _Atomic uint32_t gate;
    uint32_t flags; /* of the instance */
    const kivi_backend *backend;
    kivi_instance instance;
    bool instance_open;
    bool forked;     /* the engine cannot be had by a child; under fork_mutex */
    bool plain_keys; /* stored keys are the keys themselves */
    bool escapes;    /* some key is stored escaped */
    bool forbids;    /* some key does not fit as it is */
    bool portable;
    bool in_place;
    bool event_keys;
    uint64_t untimed;        /* mask of a call's number: calls with none of these bits are timed */
    uint64_t max_stored_key; /* bytes, namespace included */
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

/* ---- base/counters.c ---- */

/* 1 and up: which shard the calling thread counts in; 0: none yet. */
extern _Thread_local unsigned kvi_my_shard __attribute__((tls_model("initial-exec")));
void kvi_shard_choose(void);
/* The calling thread's shard of counters. Inline: it is part of every get. */
static inline kvi_shard *kvi_shard_of(kivi_store *store)
{
    if (KVI_UNLIKELY(kvi_my_shard == 0))
        kvi_shard_choose();
    return &store->shards[kvi_my_shard - 1];
}

/* ---- context.c ---- */

/* Begins a public call: clears the caller's error, reads `call`, refuses closed and forked stores. */
kivi_status kvi_begin_counted(kvi_context *ctx, kivi_store *store, const kivi_call *call,
                              const char *verb, bool single_read, kivi_error **error);
static inline kivi_status kvi_begin(kvi_context *ctx, kivi_store *store, const kivi_call *call,
                                    const char *verb, kivi_error **error)
{
    return kvi_begin_counted(ctx, store, call, verb, false, error);
}
/* The same for a call that reads one key: counted with one addition instead of two. */
static inline kivi_status kvi_begin_read(kvi_context *ctx, kivi_store *store, const kivi_call *call,
                                         const char *verb, kivi_error **error)
{
    return kvi_begin_counted(ctx, store, call, verb, true, error);
}
/* Ends it: counts, tells the hook, hands the error over. Answers `status`. */
kivi_status kvi_end(kvi_context *ctx, kivi_status status);
/* Tells the store's hook, if it has one, what stands in the event; no lock and no lane is held. */
void kvi_tell(const kivi_store *store, kivi_event *event);
/* The same of the call's repeats, each once. */
void kvi_tell_retries(kvi_context *ctx);
/* Sets ctx->error (freeing one that is there) and answers status. */
kivi_status kvi_context_fail(kvi_context *ctx, kivi_status status, const char *format, ...)
    KIVI_PRINTF(3, 4);
/* A new error for a wait that ended with TIMEOUT, INTERRUPTED, CLOSED or (a write that was sent) UNCERTAIN. */
kivi_error *kvi_wait_error(const kvi_context *ctx, kivi_status status);
static inline kivi_status kvi_check(kvi_context *ctx)
{
    return ctx->wait.check(&ctx->wait);
}
static inline uint64_t kvi_deadline(kvi_context *ctx)
{
    return ctx->wait.deadline(&ctx->wait);
}
/* A failed item's error where the backend gave none. */
kivi_error *kvi_item_error(kivi_status status);
/*
 * Around a function of the caller's in the middle of a call: its time does not count against the deadline.
 * KIVI_OK, or why the call may not go on (closed meanwhile).
 */
uint64_t kvi_leave_to_caller(void);
kivi_status kvi_back_from_caller(kvi_context *ctx, uint64_t left_ns);
/* How long the caller may wait, in ns, before it looks up again: a slice, or less where the deadline is nearer. */
uint64_t kvi_slice_left(kvi_context *ctx);
/* Sleeps up to `ns`, asking the caller in between: KIVI_OK, or why the call must end. */
kivi_status kvi_pause(kvi_context *ctx, uint64_t ns);
/* Jittered pause before an attempt (0: none; 1: at once), in ns: 10 ms doubling to 1 s. */
uint64_t kvi_backoff_ns(uint32_t attempt);

/* ---- keys.c ---- */

#define KVI_KEY_INLINE 320
/* A stored key and the memory it lies in, if not in the caller's. */
typedef struct kvi_key {
    kivi_slice stored;
    kivi_buffer heap;
    uint8_t inline_bytes[KVI_KEY_INLINE];
} kvi_key;
/* Checks a key against all limits and answers its stored form. Free with kvi_key_free() also on failure. */
kivi_status kvi_key_make(kvi_context *ctx, kivi_slice key, kvi_key *made);
static inline void kvi_key_free(kvi_key *made)
{
    if (KVI_UNLIKELY(made->heap.data != NULL))
        kivi_buffer_free(&made->heap);
}
/* The same, appended to `out` (for batches). */
kivi_status kvi_key_append(kvi_context *ctx, kivi_slice key, kivi_buffer *out);
kivi_status kvi_value_check(kvi_context *ctx, kivi_slice value);
/* A ttl_ms argument of a write; `keep`: whether KIVI_TTL_KEEP is allowed. */
kivi_status kvi_ttl_check(kvi_context *ctx, int64_t ttl_ms, bool keep);
/* Fills in the namespace prefix, limits and key capabilities of a store just opened. */
kivi_status kvi_keys_setup(kivi_store *store, kivi_error **error);
/* Stored bytes that all keys under `prefix` begin with, appended to `out`. */
kivi_status kvi_prefix_append(kvi_context *ctx, kivi_slice prefix, kivi_buffer *out);
/* The key of a stored name into `out` (or in place: `*key` may point into `stored`). CORRUPT: a stranger. */
kivi_status kvi_key_read(kivi_store *store, kivi_slice stored, kivi_buffer *out, kivi_slice *key);

/* ---- run.c: vectors and pages through the store, with chunks, retries and leftovers ---- */

#define KVI_READ_VECTOR(its, n, deliver_fn, own)                                  \
    {                                                                             \
        sizeof(kivi_read_vector), sizeof(kivi_read_item), its, n, deliver_fn, own \
    }
#define KVI_WRITE_VECTOR(its, n, fl)                                                  \
    {                                                                                 \
        sizeof(kivi_write_vector), sizeof(kivi_write_item), its, n, fl, 0, NULL, NULL \
    }

/* Reads: items sorted, each key once. Every item has its answer afterwards, never KIVI_PENDING. */
void kvi_run_reads(kvi_context *ctx, kivi_read_vector *vector);
/* Writes: the same; sets the vector's increment callback. ATOMIC vectors are not cut. */
void kvi_run_writes(kvi_context *ctx, kivi_write_vector *vector);
/* Sets a vector's increment callback; its scratch memory is the vector's own. */
void kvi_writes_setup(kivi_store *store, kivi_write_vector *vector);
/* One page of a scan; `reset` makes the sink's owner forget what it got, before it is asked again. */
kivi_status kvi_run_scan(kvi_context *ctx, const kivi_scan_range *range, kivi_scan_sink *sink,
                         void (*reset)(void *owner));
/* One item; its status is the answer, its error moves into ctx->error. */
kivi_status kvi_read_one(kvi_context *ctx, kivi_read_item *item,
                         kivi_status (*deliver)(kivi_read_vector *, kivi_read_item *, kivi_slice,
                                                kivi_slice),
                         void *owner);
kivi_status kvi_write_one(kvi_context *ctx, kivi_write_item *item);
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
kivi_status kvi_receive(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value,
                        kivi_slice version);
/* Reads one stored key into buffers of the core. */
kivi_status kvi_fetch(kvi_context *ctx, kivi_slice stored, kivi_buffer *value, kivi_buffer *version);

/* ---- calls/read_modify_write.c ---- */

/* Adds to the integer of a stored key, whether or not the backend can. */
kivi_status kvi_increment(kvi_context *ctx, kivi_slice stored, int64_t by, int64_t ttl_ms, int64_t *value);

/* ---- walk.c: pages of stored pairs ---- */

/* A walk under a prefix, page after page, for whoever wants its pairs. */
typedef struct kvi_walk {
    kvi_context *ctx;
    kivi_slice prefix; /* the caller's */
    uint32_t flags;    /* KIVI_SCAN_* */
    kivi_buffer stored_prefix, after, cursor, next_cursor;
    bool begun;
    kivi_buffer decoded;
    uint64_t strangers; /* of the page in progress */
    /* One pair of ours under the prefix; `stored` is its stored key. KIVI_END: enough for this page. */
    kivi_status (*pair)(struct kvi_walk *walk, kivi_slice key, kivi_slice stored, kivi_slice value,
                        int64_t ttl_ms);
    /* The page begins, or begins again: forget what came. */
    void (*reset)(struct kvi_walk *walk);
    void *owner;
} kvi_walk;

/* Prepares a walk whose ctx, prefix, flags, pair, reset and owner are set. End with kvi_walk_free() also on failure. */
kivi_status kvi_walk_begin(kvi_walk *walk, kivi_slice after);
/* Reads one page of up to `limit` stored pairs. Afterwards walk->cursor is empty at the end. */
kivi_status kvi_walk_page(kvi_walk *walk, uint64_t limit);
void kvi_walk_free(kvi_walk *walk);

/* ---- fold.c: several operations on one key as one item ---- */

/* How many of the `count` writes of one key (in order) go as one; fills in `folded`. At least 1. */
size_t kvi_fold_writes(kivi_write_item *const *items, size_t count, kivi_write_item *folded);
/*
 * Gives the answer of `folded` to the items it stood for. False: an addition of several went over int64,
 * they must be asked one by one and were left KIVI_PENDING.
 */
bool kvi_unfold_writes(kivi_write_item *folded, kivi_write_item *const *items, size_t count);
/* Whether two reads of one key can be asked as one. */
bool kvi_reads_fold(const kivi_read_item *a, const kivi_read_item *b);

/* ---- fork.c ---- */

/* A number that moves on with every fork, in the child. */
uint32_t kvi_fork_generation(void);
void kvi_fork_register(kivi_store *store);
void kvi_fork_unregister(kivi_store *store);
/* In a child: gives the store its own sessions and instance. OK, FORKED, or why opening failed. */
kivi_status kvi_fork_reopen(kvi_context *ctx);

/* ---- store.c ---- */

/* Opens (or opens anew) the instance by the store's configuration. */
kivi_status kvi_instance_open(kivi_store *store, kivi_wait *wait, kivi_error **error);

/* ---- result.c ---- */

kivi_result *kvi_result_new(kivi_store *store, size_t count);
/* Sets an item's answer; takes the error over. */
void kvi_result_set(kivi_result *result, size_t index, kivi_status status, kivi_error *error);
void kvi_result_set_write(kivi_result *result, size_t index, bool existed, int64_t integer);
/* Adds bytes to the result's memory and answers their place. */
kivi_status kvi_result_store(kivi_result *result, kivi_slice bytes, size_t *offset);
void kvi_result_set_value(kivi_result *result, size_t index, size_t offset, size_t size);
/* Status of the whole: OK, or the first failure, whose error is copied into ctx. */
kivi_status kvi_result_verdict(kvi_context *ctx, const kivi_result *result);

#endif
