/* Copying pairs from store to store. */
#ifndef KIVI_COPY_H
#define KIVI_COPY_H

#include <kivi/scan.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    KIVI_COPY_DRY_RUN = 1 << 0,  /**< read and count, write nothing */
    KIVI_COPY_ADD_ONLY = 1 << 1, /**< leave keys that the target has; they count as skipped */
    KIVI_COPY_NO_EXPIRY = 1 << 2 /**< do not ask for expiries: copies never expire */
};

enum {
    KIVI_COPY_THROUGH = 1 << 0 /**< it failed at its last pair: there is nothing to go on with */
};

/** How far a copy is. Valid during the progress call, or filled at the end. */
typedef struct kivi_copy_progress {
    uint32_t struct_size; /**< set by the caller where it owns the struct */
    uint32_t flags;       /**< KIVI_COPY_THROUGH */
    uint64_t copied;      /**< pairs written */
    uint64_t skipped;     /**< pairs left alone by ADD_ONLY, or expired on the way */
    uint64_t bytes;       /**< of keys and values read */
    uint64_t elapsed_ns;
    kivi_slice cursor; /**< where to go on: everything before it is acknowledged by the target */
} kivi_copy_progress;

typedef struct kivi_copy_options {
    uint32_t struct_size; /**< sizeof(kivi_copy_options) */
    uint32_t flags;       /**< KIVI_COPY_* */
    kivi_slice prefix;    /**< only keys that begin so */
    kivi_slice cursor;    /**< resume: from a progress report of the same source and prefix */
    uint64_t batch;       /**< pairs a page; 0: 1,000 */
    uint64_t rate;        /**< at most so many pairs a second; 0: no limit */
    /** Called after every page, on this thread: non-zero ends the copy with KIVI_CANCELLED. May be NULL. */
    int (*progress)(const kivi_copy_progress *progress, void *user);
    void *user;
} kivi_copy_options;

#define KIVI_COPY_OPTIONS_INIT                                               \
    {                                                                        \
        sizeof(kivi_copy_options), 0, {NULL, 0}, {NULL, 0}, 0, 0, NULL, NULL \
    }

/**
 * Copies pairs with the time they have left. Where both stores have the same codec the bytes move as they
 * are, else each value is read and written as tokens. At a pair that does not go (UNREPRESENTABLE or CORRUPT, naming key
 * and path) the copy ends with those before it written; from `resume` another goes on behind it. INVALID: both are one
 * store, as far as that can be told (one file by two names, one database of a server by two addresses). The call's
 * deadline and interrupt hold for each page. `summary` (may be NULL) is filled also on failure; its cursor
 * then is in `resume` (may be NULL), from where it can go on. Since 0.1.
 */
KIVI_API kivi_status kivi_store_copy(kivi_store *source, kivi_store *target, const kivi_call *call,
                                     const kivi_copy_options *options, kivi_copy_progress *summary,
                                     kivi_buffer *resume, kivi_error **error);

#ifdef __cplusplus
}
#endif
#endif
