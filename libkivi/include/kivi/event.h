/* Events: what a store tells its owner's hook while it works. */
#ifndef KIVI_EVENT_H
#define KIVI_EVENT_H

#include <kivi/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kivi_event_type {
    KIVI_EVENT_CALL = 1,      /**< a public call ended: verb, status, duration, items */
    KIVI_EVENT_VECTOR = 2,    /**< one vector was served by a lane: items, duration */
    KIVI_EVENT_RETRY = 3,     /**< a read, or a write of which nothing was sent, is sent again */
    KIVI_EVENT_RECONNECT = 4, /**< a lane's session was condemned and is opened afresh */
    KIVI_EVENT_SWEEP = 5      /**< expired entries were removed: items */
} kivi_event_type;

/** One event. Valid during the hook only. Never holds a value; a key only with `event_keys=true`. */
typedef struct kivi_event {
    uint32_t struct_size; /**< sizeof(kivi_event) of the library; may be larger than the caller's */
    kivi_event_type type;
    const char *backend; /**< "redis" */
    const char *verb;    /**< word of the vocabulary, "get"; "read", "write", "scan" for vectors */
    kivi_status status;
    uint32_t attempt;     /**< 0 first, then 1, 2, ... for RETRY */
    uint64_t items;       /**< keys concerned */
    uint64_t duration_ns; /**< 0 where it was not measured */
    kivi_slice key;       /**< empty unless asked for and a single key */
    const void *trace; /**< the call's trace, or NULL (also of vectors that a queue's thread served) */
} kivi_event;

/**
 * The hook of a store. It is called on the thread of the call, with no lock held and no lane taken: it may call the
 * store. Events of queued calls come from the thread that takes the completion, or from a notifier thread:
 * - kivi_queue_take() calls the hook for the end of a call, and before it for the retries, on its own thread.
 * - A batch, page or count, and a read of an embedded engine, runs whole on a thread of the queue. That thread calls the
 *   hook as it happens.
 * - A notifier thread calls the hook for the vectors that the queue's threads served. A slow hook delays no call: a notifier
 *   that is 10,000 events behind drops new ones.
 * On a thread of a queue the hook may submit, cancel and take, but not close that queue. kivi_queue_close() returns when
 * the hook has had every event; until then the hook and its `user` are in use.
 */
typedef void (*kivi_event_fn)(const kivi_event *event, void *user);

#ifdef __cplusplus
}
#endif
#endif
