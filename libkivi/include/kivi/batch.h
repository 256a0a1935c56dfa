/* Batches: many keys in one call, and the general write under all others. */
#ifndef KIVI_BATCH_H
#define KIVI_BATCH_H

#include <kivi/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The outcome of a batch, item by item in the order asked. Owns what it shows until kivi_result_free();
 * holds its store. Reading it never blocks; from one thread at a time, or any number once nobody frees it.
 */
typedef struct kivi_result kivi_result;

/** How many items it has. Since 0.1. */
KIVI_API size_t kivi_result_count(const kivi_result *result);
/** An item's own status; INVALID for a position past the end. Since 0.1. */
KIVI_API kivi_status kivi_result_status(const kivi_result *result, size_t index);
/** A failed item's error, the result's own; NULL for answers. Since 0.1. */
KIVI_API const kivi_error *kivi_result_error(const kivi_result *result, size_t index);
/** The value that a read found; empty otherwise. Since 0.1. */
KIVI_API kivi_slice kivi_result_value(const kivi_result *result, size_t index);
/** Whether a written key was there before, for KIVI_OP_WANT_EXISTED; else false. Since 0.1. */
KIVI_API bool kivi_result_existed(const kivi_result *result, size_t index);
/** The sum of an increment; else 0. Since 0.1. */
KIVI_API int64_t kivi_result_integer(const kivi_result *result, size_t index);
/** Frees it; NULL is nothing. Since 0.1. */
KIVI_API void kivi_result_free(kivi_result *result);

/**
 * The three calls below, and a kivi_store_apply() without KIVI_APPLY_ATOMIC, treat each key on its own.
 * They return OK when no item failed (NOT_FOUND and CONDITION are answers), else the status and error of
 * the first item that did; `*result` (may be NULL where only that matters) then shows all items. When
 * the batch was refused (INVALID for an empty key, TOO_LARGE) nothing was sent, and `*result` is NULL. A
 * batch of no keys returns OK and sends nothing; its result has no items.
 */

/** Reads `count` keys, which may repeat; each position has its result. Since 0.1. */
KIVI_API kivi_status kivi_store_get_many(kivi_store *store, const kivi_call *call, const kivi_slice *keys,
                                         size_t count, kivi_result **result, kivi_error **error);
/** Writes `count` pairs with one TTL; of a key that repeats the last wins. Since 0.1. */
KIVI_API kivi_status kivi_store_set_many(kivi_store *store, const kivi_call *call,
                                         const kivi_slice *keys, const kivi_slice *values, size_t count,
                                         int64_t ttl_ms, kivi_result **result, kivi_error **error);
/** Deletes `count` keys. `existed`, if not NULL, is set to how many were there (asking may cost). Since 0.1. */
KIVI_API kivi_status kivi_store_delete_many(kivi_store *store, const kivi_call *call,
                                            const kivi_slice *keys, size_t count, uint64_t *existed,
                                            kivi_result **result, kivi_error **error);

/** What an operation does to its key. */
typedef enum kivi_op_kind {
    KIVI_OP_SET = 1,
    KIVI_OP_DELETE = 2,
    KIVI_OP_TOUCH = 3,    /**< sets the expiry to `ttl_ms` (KIVI_TTL_NONE: persist); NOT_FOUND */
    KIVI_OP_CHECK = 4,    /**< only judges its condition */
    KIVI_OP_INCREMENT = 5 /**< adds `by`; not in atomic batches */
} kivi_op_kind;

/** When it does it. */
typedef enum kivi_condition {
    KIVI_IF_ALWAYS = 0,
    KIVI_IF_ABSENT = 1,
    KIVI_IF_PRESENT = 2,
    KIVI_IF_EQUAL = 3,  /**< the stored bytes are `expected`, byte for byte */
    KIVI_IF_VERSION = 4 /**< the version is `expected`, from kivi_store_get_versioned() */
} kivi_condition;

enum {
    KIVI_OP_WANT_EXISTED = 1 << 0 /**< return whether the key was there */
};

/** One operation. Zero it, or begin with KIVI_OP_INIT. An array steps by the first item's struct_size. */
typedef struct kivi_op {
    uint32_t struct_size; /**< sizeof(kivi_op) */
    uint32_t flags;       /**< KIVI_OP_WANT_EXISTED */
    int32_t kind;         /**< kivi_op_kind */
    int32_t condition;    /**< kivi_condition */
    kivi_slice key;
    kivi_slice value;    /**< for SET */
    kivi_slice expected; /**< for EQUAL and VERSION */
    int64_t ttl_ms;      /**< for SET, TOUCH, and INCREMENT when it creates */
    int64_t by;          /**< for INCREMENT */
} kivi_op;

#define KIVI_OP_INIT                                                    \
    {                                                                   \
        sizeof(kivi_op), 0, 0, 0, {NULL, 0}, {NULL, 0}, {NULL, 0}, 0, 0 \
    }

enum {
    KIVI_APPLY_ATOMIC = 1 << 0 /**< all happen or none */
};

/**
 * The general write; every other write is a shorthand of it. Without KIVI_APPLY_ATOMIC operations are
 * judged in order and each stands alone. With it every condition is judged on the state before; a key
 * named twice is INVALID; more than capabilities' `atomic_max` is UNSUPPORTED; if one does not hold the
 * call returns CONDITION, that item says CONDITION, and all others ABORTED. A TOUCH of a missing key is no
 * condition: it returns NOT_FOUND and stops nothing (say KIVI_IF_PRESENT where it should). Since 0.1.
 */
KIVI_API kivi_status kivi_store_apply(kivi_store *store, const kivi_call *call, const kivi_op *ops,
                                      size_t count, uint32_t flags, kivi_result **result,
                                      kivi_error **error);

#ifdef __cplusplus
}
#endif
#endif
