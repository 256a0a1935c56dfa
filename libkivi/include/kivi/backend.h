/**
 * The backend contract: what a store's plugin gives the core, for authors of backends.
 *
 * A backend is a constant table, kivi_backend. It works on stored keys and stored values: namespaces,
 * escapes, codecs, limits, folding of duplicate keys, batching, pooling, deadlines, retries and hooks
 * are the core's. It is made of three verbs over vectors: read, write and scan, plus step, which goes on with
 * the verb that returned KIVI_PENDING. docs/add-a-backend.md walks through a complete one.
 *
 * Two shapes:
 * - KIVI_BACKEND_BLOCKING: a verb does all its work before it returns. Local engines; client libraries
 *   that cannot be stepped. It asks kivi_wait_check() at least every 50 ms and on EINTR where it waits, and
 *   returns at once when that is not KIVI_OK.
 * - stepped (no flag): nothing ever blocks. A verb begins, returns KIVI_PENDING, and step() goes on when
 *   the descriptor it named is ready; items are completed one by one as replies arrive. Connecting is a
 *   part of the first verb. Whoever waits drives: each function of a session may come from another
 *   thread, never two at once.
 *
 * An `error` of a function below is never NULL and points to NULL; a function that fails puts an error
 * there, else leaves it alone. OK, NOT_FOUND, CONDITION, END and PENDING have none. Whoever fails makes the
 * error: a status that a function of the core returned (deliver, pair, cursor, increment) is passed on as
 * it is, without an error, because the core knows why.
 *
 * A backend that starts threads, or whose library does, starts them with all signals blocked: a signal of the program's is
 * handled where the program expects it.
 */
#ifndef KIVI_BACKEND_H
#define KIVI_BACKEND_H

#include <kivi/batch.h>
#include <kivi/error.h>
#include <kivi/info.h>
#include <kivi/options.h>
#include <kivi/scan.h>
#include <kivi/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Incremented when a change below would break existing plugins. */
#define KIVI_BACKEND_ABI 2

typedef struct kivi_host kivi_host;
typedef struct kivi_config kivi_config; /**< the options of the store being opened */

/* ---- Waiting -------------------------------------------------------------------------------------- */

/**
 * How long a verb may take and whether it should still go on. Valid while the function that was given it
 * runs, and on its thread: a stepped verb does not keep it, its waiting is the core's. It may read the deadline when it
 * begins, to bound the work at the server (a lock_timeout, say): the outcome is then an exact BUSY or TIMEOUT. Nothing in it is
 * computed before it is asked for: a verb that does not wait reads no clock.
 */
typedef struct kivi_wait {
    uint32_t struct_size;
    uint32_t flags;
    /** CLOCK_MONOTONIC time in ns at which the verb must have ended; UINT64_MAX: none. Somewhat beyond the
     *  leading caller's own deadline where the vector serves others as well. */
    uint64_t (*deadline)(struct kivi_wait *wait);
    /** KIVI_OK: go on. Else the status (TIMEOUT, INTERRUPTED, CLOSED) with which to end at once. May run code of
     *  the caller's language: ask it with no lock held that another call could need. */
    kivi_status (*check)(struct kivi_wait *wait);
} kivi_wait;

static inline uint64_t kivi_wait_deadline(kivi_wait *wait)
{
    return wait->deadline(wait);
}

static inline kivi_status kivi_wait_check(kivi_wait *wait)
{
    return wait->check(wait);
}

/**
 * What a pending session waits for. The core fills in struct_size and -1, 0, -1 before it asks. A session on
 * which nothing gets ready for the store's `io_timeout` is closed, also one that waits for time alone.
 */
typedef struct kivi_poll {
    uint32_t struct_size;
    int32_t fd; /**< a descriptor for poll(2), an epoll one where there are several; -1: only the time counts */
    uint32_t events; /**< POLLIN, POLLOUT */
    uint32_t flags;  /**< KIVI_POLL_* */
    /** Step again after so long, counted from this answer, whatever else wakes the driver; negative: no such time. */
    int64_t timeout_ns;
} kivi_poll;

enum {
    /** The next step can wait by itself for what the poll would, in a timed read say: a system call less for a caller that
     *  waits for this session alone. Not looked at with a `timeout_ns` below KIVI_STEP_WAIT_NS. */
    KIVI_POLL_MAY_WAIT = 1 << 0,
    /** The peer is at work (a statement that waits for a lock, say): until the next step its silence does not count for
     *  `io_timeout`. The callers' deadlines do. */
    KIVI_POLL_AT_WORK = 1 << 1
};

/**
 * Given as the `revents` of a step after KIVI_POLL_MAY_WAIT; no bit of poll(2), and with none: nothing is known to be
 * ready. The step waits, KIVI_STEP_WAIT_NS at most and no longer after EINTR, then goes on with what came. Where
 * that was nothing it returns KIVI_PENDING, and the core looks for interrupts and deadlines.
 */
#define KIVI_STEP_WAITS (UINT32_C(1) << 31)
#define KIVI_STEP_WAIT_NS INT64_C(50000000)

/* ---- Reading -------------------------------------------------------------------------------------- */

enum {
    KIVI_WANT_VALUE = 1 << 0,  /**< deliver the value */
    KIVI_WANT_EXPIRY = 1 << 1, /**< return ttl_ms */
    KIVI_WANT_VERSION = 1 << 2 /**< deliver the version, or the value where the stored bytes are the version */
};

typedef enum kivi_then {
    KIVI_THEN_NOTHING = 0,
    KIVI_THEN_DELETE = 1,
    KIVI_THEN_TOUCH = 2
} kivi_then;

/**
 * How far an item has gone: NOTHING when a verb begins. It answers three questions:
 * - Has anything left? Where nothing has, a write that is cut off is KIVI_TIMEOUT and may be sent again; else it is
 *   KIVI_UNCERTAIN, and is never sent again.
 * - Are the item's slices still read? Until WHOLLY. From there on, and once the item has its status, nothing is read
 *   through them: their owner may be gone.
 * - May the server have applied it? Only where something has left. A write that failed with KIVI_RETRY_IF_IDEMPOTENT after
 *   that is UNCERTAIN whatever its status; an error that says KIVI_RETRY_YES or LATER says that nothing was applied.
 *
 * Who keeps it, by the kind of client:
 * - A stepped backend that owns the buffer tells NOTHING until a byte of the item was given to the system, PARTLY until the
 *   last was, then WHOLLY. All items of an atomic vector have the same.
 * - One whose library owns the buffer (libpq): PARTLY from the call on, since the library may send at any time; WHOLLY once it
 *   has copied what it was given.
 * - A verb of several requests: PARTLY while another request that writes may come, WHOLLY from the last one on; NOTHING while
 *   only reads have left, and NOTHING again after a refusal that surely changed nothing.
 * - A blocking backend may leave NOTHING in the items of a vector that had no effect, and sets WHOLLY where its verb fails
 *   after the effect may be there: a call of the client library that was cut off, or an engine whose commit failed half-way.
 */
typedef enum kivi_sent {
    KIVI_SENT_NOTHING = 0, /**< nothing has left, the slices are read, nothing was applied */
    KIVI_SENT_PARTLY = 1,  /**< something has left, the slices are read, it may be applied */
    KIVI_SENT_WHOLLY = 2   /**< all has left, the slices are not read any more, it may be applied */
} kivi_sent;

/** One key to read. With `want` 0 only its presence is asked. */
typedef struct kivi_read_item {
    kivi_slice key;
    uint32_t want;
    int32_t then; /**< kivi_then, in one step with the reading */
    /** THEN_TOUCH: new TTL, KIVI_TTL_NONE persists. Answer of WANT_EXPIRY: ms left (at least 1), or KIVI_TTL_NONE. */
    int64_t ttl_ms;
    /* answers */
    kivi_status status; /**< KIVI_PENDING until complete: OK, NOT_FOUND, or a failure of this item. Set last */
    int32_t sent; /**< kivi_sent */
    /** Set by a failed item, from kivi_host.error; the core frees it. Without one the core finds words of its own,
     *  and takes the failure for final. */
    kivi_error *error;
    void *tag; /**< the core's */
} kivi_read_item;

/**
 * Keys to read: each once, sorted by bytes. Step by `item_size` (kivi_read_item_at). Vector and items stay until
 * the verb has returned or its session is closed. A backend delivers a value, once, while it lies in the client
 * library's memory, and then sets the item's status; a deliver that does not return KIVI_OK ends the item with
 * that status. What expired is NOT_FOUND. deliver only copies, but for KIVI_BACKEND_IN_PLACE.
 */
typedef struct kivi_read_vector {
    uint32_t struct_size;
    uint32_t item_size;
    kivi_read_item *items;
    size_t count;
    /** Hands over a value and version (empty: the version is the stored bytes) of an item with WANT_VALUE or WANT_VERSION,
     *  on the thread of the verb or step. */
    kivi_status (*deliver)(struct kivi_read_vector *vector, kivi_read_item *item, kivi_slice value,
                           kivi_slice version);
    void *owner; /**< the core's */
} kivi_read_vector;

/** The item at a position of a vector. */
static inline kivi_read_item *kivi_read_item_at(const kivi_read_vector *vector, size_t index)
{
    return (kivi_read_item *)(void *)((char *)vector->items + index * vector->item_size);
}

/* ---- Writing -------------------------------------------------------------------------------------- */

/**
 * One key to write. The condition is judged first (CONDITION: nothing is written, a TOUCH or DELETE of a missing
 * key with KIVI_IF_PRESENT as well); then a TOUCH of a missing key is NOT_FOUND, a DELETE of one is OK. An
 * expired key is a missing one. EQUAL and VERSION of a missing key do not hold.
 */
typedef struct kivi_write_item {
    kivi_slice key;
    int32_t kind; /**< kivi_op_kind; INCREMENT only with KIVI_BACKEND_INCREMENTS, then ALWAYS and never atomic */
    int32_t condition; /**< kivi_condition */
    kivi_slice value;
    kivi_slice expected;
    /** SET: above 0, KIVI_TTL_NONE or KIVI_TTL_KEEP; TOUCH: above 0 or NONE; INCREMENT: the same, for a key that it creates. */
    int64_t ttl_ms;
    int64_t by;     /**< INCREMENT: the sum of all that are combined in this item */
    uint32_t flags; /**< KIVI_OP_WANT_EXISTED */
    /* answers */
    int32_t sent;       /**< kivi_sent */
    kivi_status status; /**< KIVI_PENDING until complete: OK, NOT_FOUND (TOUCH), CONDITION, ABORTED, or a failure. Set last */
    int32_t existed;    /**< WANT_EXISTED: whether the key was there, 0 or 1; else not looked at */
    int64_t integer;    /**< INCREMENT: the sum now stored */
    kivi_error *error;  /**< as of a kivi_read_item */
    void *tag;          /**< the core's */
} kivi_write_item;

enum {
    /** All or nothing, conditions judged on the state before. One that does not hold: it says CONDITION, all others
     *  ABORTED, the verb OK. The core never cuts such a vector (`atomic_max` and `max_bytes` bound it): either every
     *  item has its answer or none, no leftovers. */
    KIVI_VECTOR_ATOMIC = 1 << 0
};

/**
 * Keys to write: each once, sorted by bytes. An item that fails does so alone; a backend whose vector is
 * one statement or transaction that was refused whole for the sake of some item ends the verb with that
 * failure, KIVI_RETRY_YES and every status still KIVI_PENDING: the core halves the vector until the culprit
 * is alone. So it does for BUSY (one item waits for another's lock). It does not for a refusal that no halving
 * can mend: KIVI_IO, KIVI_NO_MEMORY, UNAVAILABLE, TIMEOUT and INTERRUPTED. Vector and items stay as those of a read do.
 */
typedef struct kivi_write_vector {
    uint32_t struct_size;
    uint32_t item_size;
    kivi_write_item *items;
    size_t count;
    uint32_t flags; /**< KIVI_VECTOR_ATOMIC */
    uint32_t reserved;
    /**
     * For backends that increment inside their own transaction: computes the new stored bytes from the old
     * (`old` NULL: missing or expired). KIVI_OK: store `*bytes` (valid until the next call for the vector);
     * any other status: leave the key alone and give the item that status. The callback fills in
     * `integer`. May be called again for a replayed transaction.
     */
    kivi_status (*increment)(struct kivi_write_vector *vector, kivi_write_item *item,
                             const kivi_slice *old, kivi_slice *bytes);
    void *owner; /**< the core's */
} kivi_write_vector;

/** The item at a position of a vector. */
static inline kivi_write_item *kivi_write_item_at(const kivi_write_vector *vector, size_t index)
{
    return (kivi_write_item *)(void *)((char *)vector->items + index * vector->item_size);
}

/* ---- Scanning ------------------------------------------------------------------------------------- */

/** One page of a scan over stored keys. Expired pairs do not count and are not given. */
typedef struct kivi_scan_range {
    uint32_t struct_size;
    uint32_t flags;    /**< KIVI_SCAN_KEYS, KIVI_SCAN_WANT_EXPIRY */
    kivi_slice prefix; /**< stored bytes that keys begin with */
    kivi_slice after; /**< only keys beyond it; given only to backends whose order is bytes, and without a cursor */
    /** The backend's own bytes from the page before, perhaps in another process; empty: the beginning. KIVI_INVALID where
     *  they are none of its own. */
    kivi_slice cursor;
    uint64_t limit; /**< at most so many pairs, at least 1; a page may have fewer, or none */
} kivi_scan_range;

/** The most bytes of a cursor: 4 KiB, and always enough for a stored key and 64 bytes more. */
#define KIVI_CURSOR_MOST(max_stored_key) \
    ((max_stored_key) + 64 > 4096 ? (uint64_t)(max_stored_key) + 64 : UINT64_C(4096))

/** Where a page goes. Both calls only copy what they are given: a lock may be held. */
typedef struct kivi_scan_sink {
    uint32_t struct_size;
    uint32_t reserved;
    /** One pair; `value` empty with KIVI_SCAN_KEYS, `ttl_ms` KIVI_TTL_NONE when it never expires or was not asked for.
     *  KIVI_END: enough, give the cursor behind this pair (none, where it was the last) and return OK. Failures end the verb. */
    kivi_status (*pair)(struct kivi_scan_sink *sink, kivi_slice key, kivi_slice value, int64_t ttl_ms);
    /** Where the next page begins; not called when the scan is complete. At most KIVI_CURSOR_MOST(max_stored_key) bytes. */
    kivi_status (*cursor)(struct kivi_scan_sink *sink, kivi_slice cursor);
    void *owner; /**< the core's */
} kivi_scan_sink;

/* ---- Counting ------------------------------------------------------------------------------------- */

enum {
    KIVI_COUNT_WANT_ESCAPED = 1 << 0 /**< keys may be stored escaped: fill in `escaped` */
};

/** How many stored names begin so. Expired ones, and those that are the store's own, do not count. */
typedef struct kivi_count {
    uint32_t struct_size;
    uint32_t flags;    /**< KIVI_COUNT_* */
    kivi_slice prefix; /**< stored bytes */
    /* answers; 0 at the begin */
    uint64_t names;
    /** WANT_ESCAPED: how many of them hold a '%' behind the prefix. Each may be a stranger's: where there is one the core
     *  walks, and counting may end at the first. */
    uint64_t escaped;
} kivi_count;

/* ---- An open backend ------------------------------------------------------------------------------ */

/** Which keys a store cannot hold as they are; the core escapes them. Zeroed: all fit. */
typedef struct kivi_escape {
    uint32_t struct_size;
    uint32_t rules; /**< KIVI_ESCAPE_* */
    uint8_t bytes[32]; /**< a bit for each byte value that is always escaped: bytes[b / 8] >> (b % 8) & 1 */
    const char *reserved_prefix; /**< keys that begin so get their first byte escaped; NULL: none. No '%' in it */
} kivi_escape;

enum {
    KIVI_ESCAPE_UTF8 = 1 << 0, /**< what is outside well-formed UTF-8 is escaped */
    KIVI_ESCAPE_PATH = 1 << 1, /**< a leading '/', '/' after '/', and the dots of segments "." and ".." */
    KIVI_ESCAPE_OUTER_SPACE = 1 << 2,   /**< a leading and a trailing space */
    KIVI_ESCAPE_TRAILING_SPACE = 1 << 3 /**< a trailing space */
};

/** Whose data it is. */
typedef enum kivi_layout {
    KIVI_LAYOUT_UNMARKED = 0, /**< the store has no place for a mark, or that is learned at the login */
    KIVI_LAYOUT_OURS = 1,     /**< marked, or empty */
    KIVI_LAYOUT_FOREIGN = 2 /**< another program's: open needs a codec named */
} kivi_layout;

/** The fields of a kivi_learned. */
enum {
    KIVI_LEARNED_LAYOUT = 1 << 0,
    KIVI_LEARNED_MAX_STORED_KEY = 1 << 1,
    KIVI_LEARNED_MAX_VALUE = 1 << 2,
    KIVI_LEARNED_MAX_TTL = 1 << 3,
    KIVI_LEARNED_ATOMIC_MAX = 1 << 4,
    KIVI_LEARNED_ORDER = 1 << 5,
    KIVI_LEARNED_DURABLE = 1 << 6,
    KIVI_LEARNED_EVICTS = 1 << 7,
    KIVI_LEARNED_IDENTITY = 1 << 8
};

/** What only the server knows, as a session finds it at its login. See kivi_host.learned. */
typedef struct kivi_learned {
    uint32_t struct_size;
    uint32_t fields;         /**< KIVI_LEARNED_*: what is said here; the rest stays as it was */
    int32_t layout;          /**< kivi_layout */
    int32_t order;           /**< kivi_order; open says NONE where that is learned */
    uint64_t max_stored_key; /**< as in a kivi_instance; not more than open said */
    uint64_t max_value;      /**< not more than open said */
    uint64_t atomic_max;
    int64_t max_ttl_ms;
    bool durable, evicts;
    uint8_t reserved[6];
    /** which data it is, whatever name led there: a hash of what the server calls itself, and of the number of its database
     *  where it has several; not 0. A copy onto itself is refused by that */
    uint64_t identity;
} kivi_learned;

enum {
    KIVI_BACKEND_BLOCKING = 1 << 0, /**< verbs block; else they are stepped */
    /** read and scan with a null session, from many threads at once; a read with a `then` has a session (blocking only) */
    KIVI_BACKEND_SHARED_READS = 1 << 1,
    /** with SHARED_READS: delivered values may be looked at for long, by code that calls the store: no lock is held then */
    KIVI_BACKEND_IN_PLACE = 1 << 2,
    KIVI_BACKEND_INCREMENTS = 1 << 3, /**< write does KIVI_OP_INCREMENT; else the core emulates it by conditions */
    KIVI_BACKEND_TAKES = 1 << 4, /**< read does THEN_DELETE; else the core emulates it by versions */
    KIVI_BACKEND_GROUP_COMMIT = 1 << 5, /**< each write has a high fixed cost (an fsync, say), so the core may wait briefly to batch more */
    /** parent and child cannot both use the engine: a child returns KIVI_FORKED, to an open there too; fork_child gives up what
     *  the child inherited (see fork_child) */
    KIVI_BACKEND_FORK_REFUSED = 1 << 6,
    KIVI_BACKEND_FORK_PRIVATE = 1 << 7, /**< a child goes on with its copy of the instance (no abandon); sessions are abandoned */
    KIVI_BACKEND_TOUCHES = 1 << 8 /**< read does THEN_TOUCH; else the core emulates it by versions */
};

/** What open returns; zeroed but for the struct_size of itself and what it holds. */
typedef struct kivi_instance {
    uint32_t struct_size;
    uint32_t flags; /**< KIVI_BACKEND_* */
    void *handle; /**< given to every function below; two opens may return the same, counted, engine */
    int32_t layout; /**< kivi_layout */
    /** Sessions the engine can use at once; 0: any. 1 for single-writer engines. (Where the user does not set `lanes`, 1 if
     *  the capabilities say `local`, else 8.) */
    uint32_t max_lanes;
    uint64_t max_items; /**< items of a vector, not less than atomic_max; 0: any */
    uint64_t max_bytes; /**< bytes of keys, values and expected bytes of a vector; one larger item comes alone; 0: any */
    uint64_t max_stored_key; /**< bytes of a stored key */
    kivi_escape escape;
    /** The core fills in max_key and max_key_plain, max_ttl_ms where it is 0, and takes `order` away where escapes disturb it. */
    kivi_capabilities capabilities;
} kivi_instance;

/** The backend's table. Functions marked (optional) may be NULL. */
typedef struct kivi_backend {
    uint32_t struct_size;
    uint32_t abi;        /**< KIVI_BACKEND_ABI */
    const char *name;    /**< "lmdb" */
    const char *schemes; /**< separated by spaces: "redis rediss redis+unix" */
    const char *summary; /**< one line for `kivi stores` */
    const kivi_option_info *options; /**< own options; "path", "host", "port", "user", "password" take a URL's parts */
    size_t option_count;

    /** Opens or shares the engine. May block within `wait` (blocking backends); stepped ones only read options. A failed
     *  open leaves nothing behind. In a forked child it is called again, after abandon. */
    kivi_status (*open)(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                        kivi_error **error);
    void (*close)(void *instance);
    /** In a forked child, instead of close, at its first call or last unref: free memory and descriptors, say nothing on
     *  any wire, take no lock of the parent's. */
    void (*abandon)(void *instance);

    /** A session: one lane's connection or writer; all three NULL: the session is the instance itself. Open and
     *  close never block and never wait for a peer: a connection is made by the first verb, and a farewell that does not
     *  fit the socket at once is left out. A failure to open counts as one of the verb it was opened for. */
    kivi_status (*session_open)(void *instance, void **session, kivi_error **error);
    /** Also with a verb in flight, which the backend knows: a stepped one has returned KIVI_PENDING. Its vector is not touched
     *  any more, and the peer is not waited for. */
    void (*session_close)(void *instance, void *session);
    /** In a forked child, instead of session_close. `in_verb`: a thread of the parent had the session's lane, its memory
     *  may be half changed: close its descriptors and leave the memory. */
    void (*session_abandon)(void *instance, void *session, bool in_verb);
    /** Blocking backends that touch a network: makes the verb of the session return within 50 ms; the session is not used
     *  again. Called when the store is closed, by any thread, with a lock of the core held; a verb may just have ended.
     *  Deadlines and interrupts of calls come by kivi_wait_check() alone. (optional) */
    void (*interrupt)(void *instance, void *session);

    /**
     * The verbs. OK: through the vector; items tell their own failures, and items still KIVI_PENDING are leftovers
     * that the core asks again (at once after progress, else with backoff). KIVI_PENDING: step() goes on. A failure: the
     * status and error of every item still KIVI_PENDING; the core then closes the session and opens a new one, unless the
     * error says KIVI_RETRY_YES and is not UNAVAILABLE, TIMEOUT or INTERRUPTED: nothing was applied and the session is in
     * order. What the sink of a scan returned, passed on without an error, keeps the session too. Failures of items never
     * close it.
     * UNAVAILABLE, of the verb or of an item with an error, and KIVI_RETRY_YES or KIVI_RETRY_IF_IDEMPOTENT: a session
     * broke; the core sends reads, and writes of which nothing was sent, again within the call. UNAVAILABLE with
     * KIVI_RETRY_LATER: every address refused; the call fails at once, as it does with KIVI_DENIED.
     * An error goes to `*error` of the verb or to the item's `error`, never to both.
     */
    kivi_status (*read)(void *instance, void *session, kivi_read_vector *vector, kivi_wait *wait,
                        kivi_error **error);
    kivi_status (*write)(void *instance, void *session, kivi_write_vector *vector, kivi_wait *wait,
                         kivi_error **error);
    /** `range` and `sink` stay until the verb has returned or its session is closed. Not called where the capabilities say
     *  that there is no scan, and may be NULL there. Asked again, it begins the page anew. The core asks again, with backoff, where it returns
     *  BUSY with KIVI_RETRY_YES: its session is kept. */
    kivi_status (*scan)(void *instance, void *session, const kivi_scan_range *range,
                        kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error);
    /** Goes on with the pending verb: as the verb returns, and with KIVI_PENDING fills `poll`. Stepped only. `revents`:
     *  - poll(2)'s, of the descriptor that `poll` named;
     *  - 0: nothing is known to be ready. Comes right after the verb, to ask what it waits for, and when `timeout_ns` is
     *    over; at no other time, by a caller's thread as by a queue's. A caller that takes the session on waits for
     *    what the last step named;
     *  - KIVI_STEP_WAITS: to backends that said KIVI_POLL_MAY_WAIT. */
    kivi_status (*step)(void *instance, void *session, uint32_t revents, kivi_poll *poll,
                        kivi_error **error);

    /** Counts better than pages of a scan would, to one moment or none; KIVI_UNSUPPORTED, best without an error: walk. A
     *  verb as scan is: with SHARED_READS without a session, else with one and in steps. (optional) */
    kivi_status (*count)(void *instance, void *session, kivi_count *count, kivi_wait *wait,
                         kivi_error **error);
    /** How the store is: OK, or what is wrong. For stores of several servers, one of which may be silent while the others
     *  answer: asks them all, whether or not a key of theirs was ever wanted. A login on the way makes the store learn. A
     *  verb as scan is. NULL, or KIVI_UNSUPPORTED without an error: the core reads a key. (optional) */
    kivi_status (*health)(void *instance, void *session, kivi_wait *wait, kivi_error **error);
    /** One line for health checks that found the store well, without secrets; does not block. (optional) */
    void (*detail)(void *instance, char *text, size_t capacity);

    /** Around fork, in every process that forks with the instance open: make its memory whole for the child. Called once
     *  for each handle, however many stores share it, with locks of the core held. With FORK_REFUSED fork_child gives up what
     *  the parent's client library has open, in the child alone: its maps (or MADV_DONTFORK, set where they are made), and
     *  its descriptors, an epoll one first, as it is shared with the parent; over each socket a dead one is dup2()ed, so that
     *  the library's own number stays taken and a farewell goes nowhere. (optional, all three) */
    void (*fork_prepare)(void *instance);
    void (*fork_parent)(void *instance);
    void (*fork_child)(void *instance);
} kivi_backend;

/** Values and buffers for plugins: the functions of kivi/value.h and kivi/buffer.h that have the same names. Codecs are
 *  "msgpack", "json" and "raw", whatever the store's. */
typedef struct kivi_values {
    uint32_t struct_size;
    uint32_t reserved;
    kivi_status (*reader_new)(const char *codec, const kivi_limits *limits, kivi_reader **reader,
                              kivi_error **error);
    void (*reader_start)(kivi_reader *reader, kivi_slice bytes);
    kivi_status (*reader_next)(kivi_reader *reader, kivi_token *token);
    kivi_status (*reader_skip)(kivi_reader *reader);
    size_t (*reader_offset)(const kivi_reader *reader);
    kivi_error *(*reader_error)(const kivi_reader *reader);
    void (*reader_free)(kivi_reader *reader);
    kivi_status (*writer_new)(const char *codec, kivi_writer **writer, kivi_error **error);
    void (*writer_start)(kivi_writer *writer, kivi_buffer *out);
    kivi_status (*writer_nil)(kivi_writer *writer);
    kivi_status (*writer_bool)(kivi_writer *writer, bool value);
    kivi_status (*writer_int)(kivi_writer *writer, int64_t value);
    kivi_status (*writer_uint)(kivi_writer *writer, uint64_t value);
    kivi_status (*writer_float)(kivi_writer *writer, double value);
    kivi_status (*writer_str)(kivi_writer *writer, kivi_slice text);
    kivi_status (*writer_bin)(kivi_writer *writer, kivi_slice bytes);
    kivi_status (*writer_array)(kivi_writer *writer, size_t count);
    kivi_status (*writer_map)(kivi_writer *writer, size_t count);
    kivi_status (*writer_timestamp)(kivi_writer *writer, int64_t seconds, uint32_t nanoseconds);
    kivi_status (*writer_ext)(kivi_writer *writer, int8_t type, kivi_slice bytes);
    kivi_status (*writer_token)(kivi_writer *writer, const kivi_token *token);
    kivi_status (*writer_finish)(kivi_writer *writer, kivi_error **error);
    void (*writer_free)(kivi_writer *writer);
    kivi_status (*buffer_reserve)(kivi_buffer *buffer, size_t capacity);
    kivi_status (*buffer_assign)(kivi_buffer *buffer, kivi_slice bytes);
    kivi_status (*buffer_append)(kivi_buffer *buffer, kivi_slice bytes);
    void (*buffer_free)(kivi_buffer *buffer);
} kivi_values;

/** What the core gives a plugin: all that it may call. */
struct kivi_host {
    uint32_t struct_size;
    uint32_t abi; /**< KIVI_BACKEND_ABI */
    /** A new error; the backend's name is added by the core. Never NULL: out of memory it is a static one. */
    kivi_error *(*error)(kivi_status status, int64_t native_code, kivi_retryable retryable,
                         const char *format, ...)KIVI_PRINTF(4, 5);
    /** Gives an error that error() made a native code that is text, an SQLSTATE say: up to its first byte that is not printable
     *  ASCII or is a space, 47 bytes at most. */
    void (*error_native_text)(kivi_error *error, const char *text);
    /** A copy of an error, for several items that failed of one reason; how an error that is not given away is freed; and
     *  what it says of trying again. All take NULL. */
    kivi_error *(*error_copy)(const kivi_error *error);
    void (*error_free)(kivi_error *error);
    kivi_retryable (*error_retryable)(const kivi_error *error);
    /** Options by name, the backend's own and every store's (`sweep`, `consistency`), already checked; those not set have
     *  their defaults. text: NULL where there is none; "scheme" is the URL's. Valid during open. */
    const char *(*option_text)(const kivi_config *config, const char *name);
    int64_t (*option_int)(const kivi_config *config,
                          const char *name); /**< also SIZE, DURATION in ms, BOOL as 0 or 1 */
    double (*option_float)(const kivi_config *config, const char *name);
    /** Whether the user named the option, in the URL or beside it; false: it has its default. */
    bool (*option_is_set)(const kivi_config *config, const char *name);
    /** Opaque, unique to the store being opened; for report(), as long as the store's instance is open. */
    void *(*reporter)(const kivi_config *config);
    /** Tells the store of something it cannot see: SWEEP (`items` expired entries were removed), RECONNECT. It counts, and the
     *  hook hears of it when the call in progress ends. Any thread. */
    void (*report)(void *reporter, kivi_event_type type, kivi_status status, uint64_t items);
    uint64_t (*monotonic_ns)(void); /**< CLOCK_MONOTONIC */
    int64_t (*clock_ms)(void);      /**< ms since 1970-01-01 UTC; not before the last answer */
    /** By that clock, the last ms in which a key is there whose TTL begins now: it has expired once clock_ms() is beyond it.
     *  0 for KIVI_TTL_NONE. */
    int64_t (*expires)(int64_t ttl_ms);
    /**
     * Tells the store what a session learned right after its login, before it sends anything of its verb. The core checks
     * by it from then on, before a backend is called, and the capabilities say so; of the verb in progress the backend
     * refuses what does not fit, item by item. Anything but KIVI_OK ends the verb with that status and error, nothing
     * sent: INVALID where the layout is FOREIGN and no codec was named. `reporter` as in report(); any thread.
     */
    kivi_status (*learned)(void *reporter, const kivi_learned *learned, kivi_error **error);
    /** XXH64, seed 0: the hash that an expiry kept beside a value carries. (https://github.com/Cyan4973/xxHash) */
    uint64_t (*hash64)(kivi_slice bytes);
    /** Fills those of the descriptors 0 to 2 that the process has closed, so that none that is opened next takes their place
     *  and gets what the process prints. The core calls it before open() and session_open(); a plugin does before it
     *  opens descriptors elsewhere that stay, or lets a client library open them. Any thread. */
    void (*guard_descriptors)(void);
    /** A reader and a writer of JSON and msgpack, for what servers say and are sent. Any thread. */
    const kivi_values *values;
};

/**
 * The one symbol a plugin exports: takes the host's ABI version and table, returns its own table, or NULL
 * where it cannot work with that host. Called once a process; the table lives as long as the process.
 */
typedef const kivi_backend *(*kivi_plugin_fn)(uint32_t host_abi, const kivi_host *host);
#define KIVI_PLUGIN_SYMBOL "kivi_plugin"
#if defined(KIVI_PLUGIN) && defined(__GNUC__)
__attribute__((visibility("default"))) const kivi_backend *kivi_plugin(uint32_t host_abi,
                                                                       const kivi_host *host);
#endif

/**
 * Registers a backend from memory, for static linking and tests: its schemes are then found before any
 * plugin. Process-wide, any thread. INVALID: another ABI, or a scheme that is registered. Since 0.1.
 */
KIVI_API kivi_status kivi_backend_register(kivi_plugin_fn plugin, kivi_error **error);

#ifdef __cplusplus
}
#endif
#endif
