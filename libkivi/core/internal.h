/* What the files of the core share: errors, options, URLs, escaping, the loader, clocks. */
#ifndef KVI_INTERNAL_H
#define KVI_INTERNAL_H

#include "base/descriptors.h"

#include <kivi/backend.h>
#include <kivi/kivi.h>

#include "base/utf8.h"

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

/* ---- options (options.c) and URLs (url.c) ---- */

/* How a setting was given; its text alone does not say what a bare number means. */
typedef enum kvi_given {
    KVI_GIVEN_TEXT = 0,
    KVI_GIVEN_NUMBER = 1, /* kivi_options_set_int(): a DURATION in ms */
    KVI_GIVEN_BARE = 2    /* named in a URL without a value: its text is "true" */
} kvi_given;
kvi_given kvi_options_given(const kivi_options *options, const char *name);
/* Sets an option that a URL names without a value. */
kivi_status kvi_options_set_bare(kivi_options *options, const char *name, kivi_error **error);
/* The options that every store has (option_table.c). */
const kivi_option_info *kvi_core_options(size_t *count);
/* An option of a backend by position, below option_count. */
const kivi_option_info *kvi_backend_option(const kivi_backend *backend, size_t index);
/* All options by position: core first, then the backend's. NULL past the last. */
const kivi_option_info *kvi_option_at(const kivi_backend *backend, size_t index);
/* The option of that name, core or backend's (`backend` may be NULL); NULL: there is none. */
const kivi_option_info *kvi_option_find(const kivi_backend *backend, const char *name);
/* The option whose name is most like `name`, where one is like it; else NULL. */
const kivi_option_info *kvi_option_nearest(const kivi_backend *backend, const char *name);
/* An option's text as a number (INT, SIZE, DURATION in ms, BOOL) or a real (FLOAT). INVALID says what would fit. */
typedef struct kvi_option_value {
    int64_t number;
    double real;
} kvi_option_value;
kivi_status kvi_option_read(const kivi_option_info *info, const char *text, kvi_given given,
                            kvi_option_value *value, kivi_error **error);

/* A URL taken apart, percent-decoded; absent parts are NULL. */
typedef struct kvi_url {
    char *scheme, *user, *password, *host, *port, *path;
    kivi_options *query; /* never NULL after a success */
} kvi_url;
kivi_status kvi_url_parse(const char *text, kvi_url *url, kivi_error **error);
void kvi_url_clear(kvi_url *url); /* wipes the password */

/*
 * Checked options of one store: core options and the backend's own, each with its value or default.
 * INVALID names the option, and the nearest name for an unknown one. `options` wins over the URL.
 */
kivi_status kvi_config_new(const kivi_backend *backend, const kvi_url *url,
                           const kivi_options *options, kivi_config **config, kivi_error **error);
void kvi_config_free(kivi_config *config);                           /* wipes secrets */
bool kvi_config_is_set(const kivi_config *config, const char *name); /* said by URL or options, not a default */
const char *kvi_config_text(const kivi_config *config, const char *name);
int64_t kvi_config_int(const kivi_config *config, const char *name);
double kvi_config_float(const kivi_config *config, const char *name);
void kvi_config_set_reporter(kivi_config *config, void *reporter);
void *kvi_config_reporter(const kivi_config *config);
const char *kvi_config_scheme(const kivi_config *config);
kivi_event_fn kvi_options_hook(const kivi_options *options, void **user);

/* ---- loader (loader.c) ----
 * Schemes come from registered backends, from built-in ones, and from plugin directories, where a text file
 * NAME.plugin names schemes, library file and the package of the client library without loading anything. */

/* The backend of a scheme: registered, or from its plugin. INVALID lists the known schemes; UNSUPPORTED says what to install. */
kivi_status kvi_backend_find(const char *scheme, const kivi_backend **backend, kivi_error **error);
/* Known schemes by position, in the order of their names; *scheme NULL past the last. Loads nothing. Static texts. */
kivi_status kvi_scheme_at(size_t index, const char **scheme, const char **backend_name,
                          kivi_error **error);
extern const kivi_host kvi_host_table; /* host.c */
/* Backends compiled into the library, ended by NULL; the build writes this table. */
extern const kivi_plugin_fn kvi_builtin_plugins[];
/* As kivi_host.report (counters.c). */
void kvi_store_report(void *reporter, kivi_event_type type, kivi_status status, uint64_t items);
/* As kivi_host.learned (limits.c). */
kivi_status kvi_store_learned(void *reporter, const kivi_learned *learned, kivi_error **error);

/* ---- escaping (escape.c) ---- */

/* True when every key is stored as it is. */
bool kvi_escape_is_trivial(const kivi_escape *escape);
/* Appends the stored form of key to `out` (after a namespace that is already there). */
kivi_status kvi_escape_encode(const kivi_escape *escape, kivi_slice key, kivi_buffer *out);
/* Whether the store can hold these very bytes, be they an escape or not. */
bool kvi_escape_fits(const kivi_escape *escape, kivi_slice key);
/* Replaces `out` by the key of a stored name; KIVI_CORRUPT when it is not the encoding of its decoding (a stranger's). */
kivi_status kvi_escape_decode(const kivi_escape *escape, kivi_slice stored, kivi_buffer *out);
/* Appends the longest stored prefix common to the encodings of all continuations of `prefix`. */
kivi_status kvi_escape_prefix(const kivi_escape *escape, kivi_slice prefix, kivi_buffer *out);
/* Whether keys of plain bytes come in byte order though others are escaped: true only if nothing inside a key is ever escaped. */
bool kvi_escape_keeps_order(const kivi_escape *escape);
/* The most stored bytes one key byte can take: 1 or 3. */
unsigned kvi_escape_factor(const kivi_escape *escape);

/* ---- text (words.c; base/utf8.h) ---- */

/* Whether `word` (not empty) is one of the words of `words`, which are separated by spaces. */
bool kvi_words_have(const char *words, const char *word);
/* The next word of *words into *word, its length answered; 0: no more. Moves *words on. */
size_t kvi_words_next(const char **words, const char **word);

/* ---- codecs (codecs/) ---- */

#define KVI_INTEGER_MAX 24 /* bytes that an encoded int64 takes at most, in any codec */
typedef struct kvi_codec {
    const char *name;
    /* OK, or WRONG_TYPE when the bytes are no integer of this codec, OVERFLOW beyond int64. */
    kivi_status (*integer_read)(kivi_slice bytes, int64_t *value);
    size_t (*integer_write)(int64_t value, uint8_t bytes[KVI_INTEGER_MAX]);
    const struct kvi_reader_ops *reader; /* codecs/codec.h */
    const struct kvi_writer_ops *writer;
} kvi_codec;
/* NULL: unknown. The first stage of a codec option such as "msgpack". */
const kvi_codec *kvi_codec_find(const char *name);

#endif
