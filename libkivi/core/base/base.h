/* What all floors stand on: errors, clocks, interrupts, hashes, slices, callers' structs, words. */
#ifndef KVI_BASE_H
#define KVI_BASE_H

#include "descriptors.h"

#include <kivi/backend.h>
#include <kivi/kivi.h>

#include "utf8.h"

#define KVI_LIKELY(x) __builtin_expect(!!(x), 1)
#define KVI_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- errors (error.c) ---- */

/* Sets *error (if wanted) to a new error and answers status, so that failures read `return kvi_fail(...)`. */
kivi_status kvi_fail(kivi_error **error, kivi_status status, const char *format, ...) KIVI_PRINTF(3, 4);
/* As kivi_host.error. */
kivi_error *kvi_error_new(kivi_status status, int64_t native_code, kivi_retryable retryable,
                          const char *format, ...) KIVI_PRINTF(4, 5);
/* Names the backend of an error that does not have one; `backend` must be static. NULL error: nothing. */
void kvi_error_name_backend(kivi_error *error, const char *backend);
kivi_error *kvi_error_copy(const kivi_error *error);
#define KVI_NATIVE_TEXT 47 /* bytes of a native code that is text, at most */
/* As kivi_host.error_native_text. */
void kvi_error_native_text(kivi_error *error, const char *text);
/* Gives an error the native codes of what it was made for. NULL cause: nothing. */
void kvi_error_take_native(kivi_error *error, const kivi_error *cause);
/* Notes which item of a batch an error is about. NULL: nothing. */
void kvi_error_set_index(kivi_error *error, size_t index);
/* Sets *error to NULL if wanted: the first line of every public fallible call. */
static inline void kvi_error_clear(kivi_error **error)
{
    if (error)
        *error = NULL;
}
static inline bool kvi_is_answer(kivi_status status)
{
    return (uint32_t)status <= KIVI_END;
}

/* ---- clocks (clock.c) ---- */
uint64_t kvi_monotonic_ns(void);
int64_t kvi_clock_ms(void);
int64_t kvi_expires(int64_t ttl_ms); /* as kivi_host.expires */

/* ---- calls (interrupt.c) ---- */
bool kvi_interrupt_is_raised(const kivi_interrupt *interrupt);

/* ---- hashing (hash64.c): as kivi_host.hash64 ---- */
uint64_t kvi_hash64(kivi_slice bytes);

/* ---- slices (buffer.c) ---- */

/* Copies a slice behind what a buffer holds, which has room for it; returns the copy. */
kivi_slice kvi_buffer_put(kivi_buffer *buffer, kivi_slice slice);
int kvi_slice_compare(kivi_slice a, kivi_slice b);
static inline bool kvi_slice_begins(kivi_slice bytes, kivi_slice prefix)
{
    return bytes.size >= prefix.size &&
           (prefix.size == 0 || !memcmp(bytes.data, prefix.data, prefix.size));
}

/* ---- structs of callers (structs.c) ---- */

/*
 * Reads a caller's struct of `known` bytes by the rule of struct_size into `local`: bytes that the
 * library does not know must be zero. UNSUPPORTED or INVALID with a message.
 */
kivi_status kvi_struct_read(void *local, size_t known, const void *given, const char *name,
                            kivi_error **error);
/* Writes `local` (of `known` bytes) into a caller's struct, never beyond its struct_size. */
kivi_status kvi_struct_write(void *given, const void *local, size_t known, const char *name,
                             kivi_error **error);

/* ---- text (words.c) ---- */

/* Whether `word` (not empty) is one of the words of `words`, which are separated by spaces. */
bool kvi_words_have(const char *words, const char *word);
/* The next word of *words into *word, its length answered; 0: no more. Moves *words on. */
size_t kvi_words_next(const char **words, const char **word);

#endif
