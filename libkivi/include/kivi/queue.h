/* Queues: calls that are submitted without blocking and completed through one descriptor. For event loops. */
#ifndef KIVI_QUEUE_H
#define KIVI_QUEUE_H

#include <kivi/batch.h>
#include <kivi/info.h>
#include <kivi/scan.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A queue: one for each event loop or worker, for any number of stores. Submitting never waits for a store; the
 * queue's descriptor turns readable when something has completed, and kivi_queue_take() returns what has.
 * Calls in flight have no order between them: submit the second when the first has completed where that matters.
 * Requests for one store, whoever submits them, share vectors (pipelines).
 *
 * Any thread may submit, cancel and take. Threads of its own (one that steps networked sessions and watches
 * deadlines, two for each blocking engine in use, one that tells the hooks of stores) start with the first submit that
 * needs them, block all signals, and end when nothing was in flight for a second; until then the queue keeps the stores
 * it was used for open.
 * After a fork the child's calls return KIVI_FORKED.
 */
typedef struct kivi_queue kivi_queue;

/** What to do. The arguments that count for each verb are those of the kivi_store_* call of that name. */
typedef enum kivi_verb {
    KIVI_VERB_GET = 1,
    KIVI_VERB_GET_VERSIONED = 2,
    KIVI_VERB_EXISTS = 3,
    KIVI_VERB_TTL = 4,
    KIVI_VERB_SET = 5,
    KIVI_VERB_ADD = 6,
    KIVI_VERB_REPLACE = 7,
    KIVI_VERB_DELETE = 8, /**< flags: KIVI_OP_WANT_EXISTED */
    KIVI_VERB_COMPARE_AND_SET = 9,
    KIVI_VERB_COMPARE_AND_DELETE = 10,
    KIVI_VERB_INCREMENT = 11,
    KIVI_VERB_TAKE = 12,
    KIVI_VERB_GET_AND_EXPIRE = 13,
    KIVI_VERB_EXPIRE = 14,
    KIVI_VERB_PERSIST = 15,
    KIVI_VERB_GET_MANY = 16,
    KIVI_VERB_SET_MANY = 17,
    KIVI_VERB_DELETE_MANY = 18, /**< flags: KIVI_OP_WANT_EXISTED */
    KIVI_VERB_APPLY = 19,       /**< flags: KIVI_APPLY_ATOMIC */
    KIVI_VERB_PAGE = 20,
    KIVI_VERB_COUNT = 21, /**< key: the prefix */
    KIVI_VERB_CLEAR = 22, /**< key: the prefix; flags: KIVI_CLEAR_ALL */
    KIVI_VERB_HEALTH = 23,
    KIVI_VERB_DESCRIBE = 24, /**< flags: a kivi_topic; returns its map in `value` */
    /* TAKE and GET_AND_EXPIRE in two steps, for callers that decode in between: what they cannot read stays as it is. */
    KIVI_VERB_TAKE_BEGIN = 25, /**< reads value and version; the key stays. NOT_FOUND */
    KIVI_VERB_TAKE_END = 26,   /**< deletes it if it has the version `expected`, else CONDITION */
    KIVI_VERB_GET_AND_EXPIRE_BEGIN = 27, /**< reads value and version; the expiry stays. NOT_FOUND */
    KIVI_VERB_GET_AND_EXPIRE_END = 28 /**< sets it if the key has the version `expected`, else CONDITION */
} kivi_verb;

/** One call to submit. Zero it, or begin with KIVI_REQUEST_INIT. All it points to is copied by submit. */
typedef struct kivi_request {
    uint32_t struct_size; /**< sizeof(kivi_request) */
    uint32_t flags;       /**< as the verb says */
    int32_t verb;         /**< kivi_verb */
    int32_t reserved;     /**< 0 */
    kivi_slice key;       /**< or the prefix of COUNT and CLEAR */
    kivi_slice value, expected;
    int64_t ttl_ms, by;
    const kivi_slice *keys;   /**< GET_MANY, SET_MANY, DELETE_MANY: `count` of them */
    const kivi_slice *values; /**< SET_MANY */
    const kivi_op *ops;       /**< APPLY */
    size_t count;
    const kivi_range *range; /**< PAGE; may be NULL */
    void *user;              /**< comes back in the completion */
} kivi_request;

#define KIVI_REQUEST_INIT                                                                          \
    {                                                                                              \
        sizeof(kivi_request), 0, 0, 0, {NULL, 0}, {NULL, 0}, {NULL, 0}, 0, 0, NULL, NULL, NULL, 0, \
            NULL, NULL                                                                             \
    }

enum {
    KIVI_COMPLETION_MORE = 1 << 0 /**< more completions of the same call follow; not yet used */
};

/**
 * How a call ended. Its memory stays until kivi_completion_release(). `error` is set for failures, and
 * only for those, as by the call itself; it belongs to the completion.
 */
typedef struct kivi_completion {
    uint32_t struct_size; /**< set by the caller of kivi_queue_take() in the first of the array */
    uint32_t flags;       /**< KIVI_COMPLETION_MORE */
    void *user;
    uint64_t ticket;
    kivi_status status;
    bool truth; /**< EXISTS: it is there. DELETE: it was there, if asked */
    int64_t integer; /**< INCREMENT: the sum. TTL: ms. COUNT, CLEAR, DELETE_MANY: how many. HEALTH: latency in ns */
    kivi_slice value; /**< what a read found; DESCRIBE: a msgpack map */
    kivi_slice version;
    kivi_error *error;
    kivi_result *result;         /**< batches */
    kivi_page *page;             /**< PAGE */
    void *memory;                /**< the queue's */
    const kivi_request *request; /**< of a queue: what was asked, as the queue kept it; else NULL */
} kivi_completion;

#define KIVI_COMPLETION_INIT                                                                      \
    {                                                                                             \
        sizeof(kivi_completion), 0, NULL, 0, 0, false, 0, {NULL, 0}, {NULL, 0}, NULL, NULL, NULL, \
            NULL, NULL                                                                            \
    }

/**
 * Makes the call that a request describes and waits for it: the same request as a queue takes, for those who carry
 * both kinds of call through one door (bindings). It returns what the call of that name does; what a read found goes into
 * `value` and `version` (both given, reused, the caller's), which `completion` refers to. `completion->struct_size` is set by the caller,
 * who ends with kivi_completion_release(). Since 0.1.
 */
KIVI_API kivi_status kivi_store_perform(kivi_store *store, const kivi_call *call,
                                        const kivi_request *request, kivi_buffer *value,
                                        kivi_buffer *version, kivi_completion *completion);

/** A new queue; starts no thread yet. NO_MEMORY; IO without descriptors. Since 0.1. */
KIVI_API kivi_status kivi_queue_new(kivi_queue **queue, kivi_error **error);
/** The descriptor to watch for reading (poll, epoll); it belongs to the queue. Level-triggered. Since 0.1. */
KIVI_API int kivi_queue_descriptor(const kivi_queue *queue);
/**
 * Has `ready(user)` called whenever completions begin to wait, instead of the descriptor turning readable: for loops
 * that cannot watch one of others. It is called on whatever thread completed the call (at once on this one, if some
 * wait already), with the queue's lock held: it signals the loop without waiting, and calls nothing of libkivi. NULL: the
 * descriptor again; on return the function before is not running, and will not be called. Since 0.1.
 */
KIVI_API void kivi_queue_on_ready(kivi_queue *queue, void (*ready)(void *user), void *user);
/**
 * Submits a call; never blocks. OK: exactly one completion will come. BUSY: `queue_limit` calls of this store are in flight.
 * INVALID, UNSUPPORTED, TOO_LARGE, CLOSED, FORKED as the call on a key would be refused: no completion comes. (What is wrong inside
 * a batch or a range comes with its completion.)
 * `call` as everywhere (its deadline counts from here); its `interrupted` function must be NULL. `ticket` may be NULL. Since 0.1.
 */
KIVI_API kivi_status kivi_queue_submit(kivi_queue *queue, kivi_store *store, const kivi_call *call,
                                       const kivi_request *request, uint64_t *ticket,
                                       kivi_error **error);
/**
 * Hastens the end of a call: its completion comes soon, CANCELLED if nothing of it was sent, UNCERTAIN for a write
 * that was, or with its answer if that was quicker. A ticket that is over is nothing. Never blocks. Since 0.1.
 */
KIVI_API void kivi_queue_cancel(kivi_queue *queue, uint64_t ticket);
/**
 * While held, submitting to networked stores wakes no thread: a loop that may submit many calls in one turn holds the
 * queue at the first and lets go at the turn's end, and they travel together. What is held begins within 50 ms
 * anyway. Never blocks. Since 0.1.
 */
KIVI_API void kivi_queue_hold(kivi_queue *queue, bool hold);
/**
 * Takes up to `capacity` completions into an array whose first has struct_size set; returns how many. Never
 * blocks, but tells the hooks of stores that have one. The descriptor stays readable while there are more. Since 0.1.
 */
KIVI_API size_t kivi_queue_take(kivi_queue *queue, kivi_completion *completions, size_t capacity);
/**
 * Frees what a completion holds, of a queue or of kivi_store_perform(). To keep its error, result or page, set that
 * field to NULL before: it is the caller's then, to be freed by its own function. Since 0.1.
 */
KIVI_API void kivi_completion_release(kivi_completion *completion);
/** How many accepted calls have not been taken yet. Since 0.1. */
KIVI_API size_t kivi_queue_count(const kivi_queue *queue);
/**
 * Ends it: what is in flight is cancelled and dropped without a completion, threads are joined (which may wait for
 * a local engine's write), the memory is freed once all completions taken are released. NULL is nothing. Since 0.1.
 */
KIVI_API void kivi_queue_close(kivi_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
