/* What every other header stands on: visibility, versions, byte slices and status numbers. */
#ifndef KIVI_BASE_H
#define KIVI_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(KIVI_BUILDING) && defined(__GNUC__)
#define KIVI_API __attribute__((visibility("default")))
#else
#define KIVI_API
#endif

#if defined(__GNUC__)
#define KIVI_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define KIVI_PRINTF(text, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Version of these headers: major, minor, patch. Before 1.0 a minor step may change the ABI. */
#define KIVI_VERSION_MAJOR 0
#define KIVI_VERSION_MINOR 1
#define KIVI_VERSION_PATCH 0

/** Version of the library in use, as text like "0.1.0". Static, never NULL. Since 0.1. */
KIVI_API const char *kivi_version(void);

/**
 * Bytes that somebody else owns: any bytes, NUL included. `data` may be NULL only when `size` is 0.
 * A slice given to a call is read until the call returns, never kept. A slice returned by a call says
 * beside it how long it stays.
 */
typedef struct kivi_slice {
    const void *data;
    size_t size; /**< bytes */
} kivi_slice;

/** A slice of `size` bytes at `data`. */
static inline kivi_slice kivi_bytes(const void *data, size_t size)
{
    kivi_slice slice;
    slice.data = data;
    slice.size = size;
    return slice;
}

/** A slice of a NUL-terminated string, without its NUL. */
static inline kivi_slice kivi_str(const char *text)
{
    return kivi_bytes(text, strlen(text));
}

/**
 * What a call returns. Numbers are explicit and never reused. A later library may return numbers that
 * are not listed here: kivi_status_class() says what to make of them.
 *
 * OK, NOT_FOUND, CONDITION and END are answers: they leave `*error` NULL. All others are failures and
 * set it, where the caller gave a place for it.
 */
typedef int32_t kivi_status;
enum {
    KIVI_OK = 0,
    KIVI_NOT_FOUND = 1, /**< the key is not there (or has expired) */
    KIVI_CONDITION = 2, /**< the write's condition did not hold; nothing was written */
    KIVI_END = 3,       /**< the scan has no more pairs */
    KIVI_PENDING = 4,   /**< backends only: not done yet, step again */

    KIVI_INVALID = 16,     /**< the caller's mistake: a bad argument, option, URL or cursor */
    KIVI_UNSUPPORTED = 17, /**< the store cannot do that; nothing was sent */
    KIVI_TOO_LARGE = 18,   /**< key, value or batch over the store's limit; nothing was sent */
    KIVI_WRONG_TYPE = 19,  /**< the key holds something else than the call needs */
    KIVI_OVERFLOW = 20,    /**< an increment would leave int64; the value is unchanged */
    KIVI_CORRUPT = 21,     /**< stored bytes are damaged or break a limit of the decoder */
    KIVI_UNREPRESENTABLE = 22, /**< this language or codec cannot hold the value; the message says where */
    KIVI_ABORTED = 23,         /**< another operation of the same atomic batch failed */

    KIVI_TIMEOUT = 32,     /**< the deadline passed: a read, or a write of which nothing was sent */
    KIVI_INTERRUPTED = 33, /**< the call's interrupt was raised: a read, or a write not sent */
    KIVI_CANCELLED = 34,   /**< a queued call was cancelled before anything of it was sent */
    KIVI_UNAVAILABLE = 35, /**< the store cannot be reached; not applied */
    KIVI_UNCERTAIN = 36, /**< a write was cut off in flight: it may or may not have been applied */
    KIVI_BUSY = 37,      /**< something else holds what the call needs; not applied, try again */

    KIVI_DENIED = 48,    /**< the store refused these credentials or this operation */
    KIVI_FORKED = 49,    /**< this handle belongs to the parent process */
    KIVI_CLOSED = 50,    /**< the store was closed */
    KIVI_NO_MEMORY = 51, /**< out of memory */
    KIVI_IO = 52,        /**< the operating system failed below the store: disk full, read error */
    KIVI_INTERNAL = 53   /**< a fault of libkivi or of the store's client library */
};

/** What kind of status a number is; for numbers newer than the caller. */
typedef enum kivi_class {
    KIVI_CLASS_ANSWER = 0,    /**< not a failure: done, missing, condition not met, end */
    KIVI_CLASS_USAGE = 1,     /**< the caller must change the call; trying again is useless */
    KIVI_CLASS_TRANSIENT = 2, /**< may succeed later; see kivi_error_retryable() */
    KIVI_CLASS_FATAL = 3      /**< somebody must act: credentials, disk, memory, a bug */
} kivi_class;

/** The class of a status, known or not. Pure, any thread. Since 0.1. */
KIVI_API kivi_class kivi_status_class(kivi_status status);

/** The status as a word: "NOT_FOUND", "TIMEOUT"; "UNKNOWN" for other numbers. Static. Since 0.1. */
KIVI_API const char *kivi_status_name(kivi_status status);

#ifdef __cplusplus
}
#endif
#endif
