/* Stores: open one, and read and write single keys. */
#ifndef KIVI_STORE_H
#define KIVI_STORE_H

#include <kivi/buffer.h>
#include <kivi/call.h>
#include <kivi/options.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * An open store. Any number of threads may use one at the same time, without locks of their own.
 *
 * For every call below, unless it says otherwise:
 * - `call` may be NULL. The call may block until its deadline, and a local engine's page fault or fsync
 *   beyond it. `error` may be NULL; OK, NOT_FOUND, CONDITION and END leave it NULL.
 * - A key is 1 to `max_key` bytes of any kind (INVALID when empty, TOO_LARGE when longer), compared as bytes.
 * - A value is any bytes, stored as they are: encode and decode with <kivi/value.h>.
 * - Beside what it names, it may return TIMEOUT, INTERRUPTED, UNAVAILABLE, DENIED, BUSY, FORKED, CLOSED,
 *   NO_MEMORY, IO, CORRUPT, INTERNAL, and a write UNCERTAIN: see <kivi/base.h>.
 */
typedef struct kivi_store kivi_store;

/**
 * Opens a store by URL: "lmdb:/var/lib/app/data.mdb", "memory:", "redis://host:6379/0". Options may stand
 * in the URL's query ("lmdb:data.mdb?sync=false") and in `options` (may be NULL), which win. Loads the
 * scheme's plugin. Where a file is another's for the moment it waits, no longer than `call` says (may be NULL:
 * the option `timeout`). On OK `*store` holds one reference. INVALID: unknown scheme or option, or a bad value
 * (the message names what would fit); UNSUPPORTED: the plugin cannot be loaded (the message says what to
 * install). TIMEOUT, INTERRUPTED: what it waited for. Since 0.1.
 */
KIVI_API kivi_status kivi_store_open(const char *url, const kivi_call *call, const kivi_options *options,
                                     kivi_store **store, kivi_error **error);
/**
 * Ends the work: calls in progress and later ones return KIVI_CLOSED. From any thread, as often as you
 * like; does not wait for calls in progress. The handle stays valid until its last kivi_store_unref().
 * NULL is nothing. Since 0.1.
 */
KIVI_API void kivi_store_close(kivi_store *store);
/** Takes one more reference and returns the store. Since 0.1. */
KIVI_API kivi_store *kivi_store_ref(kivi_store *store);
/** Gives a reference back; the last one closes and frees. No call of that holder may be in progress. NULL is nothing. Since 0.1. */
KIVI_API void kivi_store_unref(kivi_store *store);

/** For `ttl_ms` of a write: the key never expires. */
#define KIVI_TTL_NONE INT64_C(0)
/** For `ttl_ms` of a write: an expiry that the key has stays. */
#define KIVI_TTL_KEEP INT64_C(-1)
/** The longest TTL, 100 years in ms; a store may have a shorter `max_ttl`. Negative or longer: INVALID. */
#define KIVI_TTL_MAX INT64_C(3155760000000)

/** Reads a value into `value`, which is reused. NOT_FOUND. Since 0.1. */
KIVI_API kivi_status kivi_store_get(kivi_store *store, const kivi_call *call, kivi_slice key,
                                    kivi_buffer *value, kivi_error **error);
/** The same with the key's version: opaque bytes for KIVI_IF_VERSION of an operation. NOT_FOUND. Since 0.1. */
KIVI_API kivi_status kivi_store_get_versioned(kivi_store *store, const kivi_call *call,
                                              kivi_slice key, kivi_buffer *value,
                                              kivi_buffer *version, kivi_error **error);

/** Sees a value where it lies. `value` is valid during the call only. What it returns is the status of the read. */
typedef kivi_status (*kivi_visit_fn)(kivi_slice value, void *user);
/**
 * Reads a value without copying it where the store can (memory, LMDB): calls `visit` once, on this thread,
 * with no lock held and no lane taken; it may call the store. NOT_FOUND: not called. A visitor that takes
 * long delays an LMDB map's growth. With the option `in_place=false` the value is copied first. Since 0.1.
 */
KIVI_API kivi_status kivi_store_visit(kivi_store *store, const kivi_call *call, kivi_slice key,
                                      kivi_visit_fn visit, void *user, kivi_error **error);
/** Whether the key is there. Since 0.1. */
KIVI_API kivi_status kivi_store_exists(kivi_store *store, const kivi_call *call, kivi_slice key,
                                       bool *exists, kivi_error **error);

/**
 * Writes a value. `ttl_ms`: milliseconds from now, KIVI_TTL_NONE or KIVI_TTL_KEEP. TOO_LARGE;
 * UNSUPPORTED for a TTL beyond the store's `max_ttl`. Since 0.1.
 */
KIVI_API kivi_status kivi_store_set(kivi_store *store, const kivi_call *call, kivi_slice key,
                                    kivi_slice value, int64_t ttl_ms, kivi_error **error);
/** Writes only if the key is not there, else CONDITION. Since 0.1. */
KIVI_API kivi_status kivi_store_add(kivi_store *store, const kivi_call *call, kivi_slice key,
                                    kivi_slice value, int64_t ttl_ms, kivi_error **error);
/** Writes only if the key is there, else CONDITION. Since 0.1. */
KIVI_API kivi_status kivi_store_replace(kivi_store *store, const kivi_call *call, kivi_slice key,
                                        kivi_slice value, int64_t ttl_ms, kivi_error **error);
/**
 * Deletes a key; OK whether or not it was there. `existed`, if not NULL, is set to whether it was; ask
 * only when you need to know, NULL is cheaper on some stores. Since 0.1.
 */
KIVI_API kivi_status kivi_store_delete(kivi_store *store, const kivi_call *call, kivi_slice key,
                                       bool *existed, kivi_error **error);
/**
 * Writes `value` only if the key holds `expected`, else CONDITION (a missing key as well). Values are
 * the same when their tokens are: see contract.md. Since 0.1.
 */
KIVI_API kivi_status kivi_store_compare_and_set(kivi_store *store, const kivi_call *call,
                                                kivi_slice key, kivi_slice expected,
                                                kivi_slice value, int64_t ttl_ms, kivi_error **error);
/** Deletes only if the key holds `expected`, else CONDITION. Since 0.1. */
KIVI_API kivi_status kivi_store_compare_and_delete(kivi_store *store, const kivi_call *call,
                                                   kivi_slice key, kivi_slice expected,
                                                   kivi_error **error);
/**
 * Adds `by` to the integer that the key holds, from 0 where it is missing, and returns the sum in
 * `*value` (may be NULL). `ttl_ms` counts only when this call creates the key (KIVI_TTL_NONE or KEEP: it
 * never expires); an existing expiry stays. WRONG_TYPE: no integer; OVERFLOW: unchanged. Since 0.1.
 */
KIVI_API kivi_status kivi_store_increment(kivi_store *store, const kivi_call *call, kivi_slice key,
                                          int64_t by, int64_t ttl_ms, int64_t *value,
                                          kivi_error **error);
/** Reads and deletes in one step: no other caller gets the same value. NOT_FOUND. Since 0.1. */
KIVI_API kivi_status kivi_store_take(kivi_store *store, const kivi_call *call, kivi_slice key,
                                     kivi_buffer *value, kivi_error **error);
/** Reads and sets the expiry in one step (KIVI_TTL_NONE: persist). NOT_FOUND. Since 0.1. */
KIVI_API kivi_status kivi_store_get_and_expire(kivi_store *store, const kivi_call *call, kivi_slice key,
                                               int64_t ttl_ms, kivi_buffer *value, kivi_error **error);

/** Time left in ms, at least 1, or KIVI_TTL_NONE when the key never expires. NOT_FOUND. Since 0.1. */
KIVI_API kivi_status kivi_store_ttl(kivi_store *store, const kivi_call *call, kivi_slice key,
                                    int64_t *ttl_ms, kivi_error **error);
/** Lets a key expire `ttl_ms` (1 to KIVI_TTL_MAX) from now. NOT_FOUND. Since 0.1. */
KIVI_API kivi_status kivi_store_expire(kivi_store *store, const kivi_call *call, kivi_slice key,
                                       int64_t ttl_ms, kivi_error **error);
/** Takes a key's expiry away. NOT_FOUND. Since 0.1. */
KIVI_API kivi_status kivi_store_persist(kivi_store *store, const kivi_call *call, kivi_slice key,
                                        kivi_error **error);

/*
 * The time that the functions below take does not count against the call's deadline.
 */

/** What a kivi_update_fn wants done. */
typedef enum kivi_update_action {
    KIVI_UPDATE_SET = 0,    /**< write the new value */
    KIVI_UPDATE_DELETE = 1, /**< delete the key */
    KIVI_UPDATE_LEAVE = 2   /**< write nothing; kivi_store_update() returns OK */
} kivi_update_action;

/**
 * Computes a new value. `current` is NULL when the key is missing, else valid during the call. Puts the
 * new value into `next` (empty, grown by kivi_buffer_*). May be called again when somebody else wrote
 * meanwhile. Any other status than KIVI_OK ends the update with that status.
 */
typedef kivi_status (*kivi_update_fn)(const kivi_slice *current, kivi_buffer *next,
                                      kivi_update_action *action, void *user);
/**
 * Reads, computes, and writes if nothing changed in between; else again, within the deadline (TIMEOUT). Callers of one key
 * through one handle do so one after another, the longest waiter first; who is in `compute` for more than 100 ms is passed
 * over. A call made inside `compute` waits for nobody's turn. An expiry that the key has stays unless `ttl_ms` sets another
 * (KIVI_TTL_NONE and KIVI_TTL_KEEP both keep it, as with kivi_store_increment()). Since 0.1.
 */
KIVI_API kivi_status kivi_store_update(kivi_store *store, const kivi_call *call, kivi_slice key,
                                       int64_t ttl_ms, kivi_update_fn compute, void *user,
                                       kivi_error **error);

/**
 * Computes a missing value into `value`. Any other status than KIVI_OK is the answer of the call, and nothing is stored;
 * KIVI_NOT_FOUND says that there is no value.
 */
typedef kivi_status (*kivi_compute_fn)(kivi_buffer *value, void *user);
/**
 * Reads a key; if it is missing, computes and adds it. In one process one caller computes a key at a time: others wait
 * within their deadlines and get what it stored. If it fails they get its status; if it ends with TIMEOUT, INTERRUPTED,
 * CANCELLED, CLOSED or FORKED, one of them computes next. If another process stored first, its value is the answer. A
 * call made inside a function of this kind waits for nobody. Since 0.1.
 */
KIVI_API kivi_status kivi_store_get_or_set(kivi_store *store, const kivi_call *call, kivi_slice key,
                                           int64_t ttl_ms, kivi_compute_fn compute, void *user,
                                           kivi_buffer *value, kivi_error **error);

/** What stands before a key in the name of its lease. */
#define KIVI_LEASE_PREFIX "kivi:lease:"
/**
 * The same, computed by one process at a time: who computes first adds the key KIVI_LEASE_PREFIX + `key`, which expires
 * after `lease_ms` (0: no lease) and is deleted when the value is stored or the computation failed. The others wait within
 * their deadlines for the value or for the end of the lease, and then compute. Choose a lease longer than the computation;
 * one that is over lets another compute as well, and the first value stored counts. UNSUPPORTED where the store has no
 * expiry or no conditions. Since 0.1.
 */
KIVI_API kivi_status kivi_store_get_or_set_leased(kivi_store *store, const kivi_call *call,
                                                  kivi_slice key, int64_t ttl_ms, int64_t lease_ms,
                                                  kivi_compute_fn compute, void *user,
                                                  kivi_buffer *value, kivi_error **error);

#ifdef __cplusplus
}
#endif
#endif
