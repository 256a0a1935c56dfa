/* Errors: what went wrong, said once, owned by the caller. */
#ifndef KIVI_ERROR_H
#define KIVI_ERROR_H

#include <kivi/buffer.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A failure. Immutable; may be read from any thread; freed once by whoever received it.
 *
 * Every fallible call takes a `kivi_error **` last. NULL: the caller does not want it. Otherwise the
 * call first sets it to NULL and, on failure, to a new error (a previous one is not freed). Messages
 * hold no secret, no value and no text of another engine passed on unread; they may hold a key.
 */
typedef struct kivi_error kivi_error;

/** Whether doing the same again can help. */
typedef enum kivi_retryable {
    KIVI_RETRY_NO = 0,
    KIVI_RETRY_YES = 1,           /**< nothing was applied */
    KIVI_RETRY_IF_IDEMPOTENT = 2, /**< it may have been applied */
    KIVI_RETRY_LATER = 3 /**< nothing was applied, but only time can help: the store refuses connections, the disk is full */
} kivi_retryable;

/** The status that the call returned. Since 0.1. */
KIVI_API kivi_status kivi_error_status(const kivi_error *error);
/** One line of text without a final full stop, UTF-8 that may be printed: controls and marks that turn or hide
 * text are `?`, whatever is quoted. Lives as long as the error. Since 0.1. */
KIVI_API const char *kivi_error_message(const kivi_error *error);
/** The backend's name ("lmdb"), or "" where no backend was reached. Since 0.1. */
KIVI_API const char *kivi_error_backend(const kivi_error *error);
/** The number the client library or operating system gave, or 0. Since 0.1. */
KIVI_API int64_t kivi_error_native_code(const kivi_error *error);
/** The code of a store whose codes are text (an SQLSTATE "40001", Redis's "OOM"), printable, 47 bytes at most; "": none. Lives
 * as long as the error. Since 0.1. */
KIVI_API const char *kivi_error_native_text(const kivi_error *error);
/** Whether trying again can help. Since 0.1. */
KIVI_API kivi_retryable kivi_error_retryable(const kivi_error *error);
/**
 * Of a call with many keys: which of them it is about, by its position; SIZE_MAX: none, or the call had one key. Also
 * where the batch was refused before anything was sent. Since 0.1.
 */
KIVI_API size_t kivi_error_index(const kivi_error *error);
/** Frees an error; NULL is nothing. Since 0.1. */
KIVI_API void kivi_error_free(kivi_error *error);

/**
 * Appends a key as it may stand in a message: printable UTF-8 as it is, a backslash doubled, all other bytes as \xNN. Of a key
 * of more than `longest` bytes the first ones and "..."; 0: all of it. Since 0.1.
 */
KIVI_API kivi_status kivi_key_show(kivi_slice key, size_t longest, kivi_buffer *out);

#ifdef __cplusplus
}
#endif
#endif
