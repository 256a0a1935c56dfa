/* Options: how a store is opened, as data that can be listed, set and checked. */
#ifndef KIVI_OPTIONS_H
#define KIVI_OPTIONS_H

#include <kivi/error.h>
#include <kivi/event.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What an option's text may be. All options can be given as text; the kinds say how it is read. */
typedef enum kivi_option_type {
    KIVI_OPTION_STRING = 0,
    KIVI_OPTION_BOOL = 1, /**< true, false, yes, no, on, off, 1, 0 */
    KIVI_OPTION_INT = 2,  /**< a decimal integer within [min, max] */
    KIVI_OPTION_SIZE = 3, /**< bytes: an integer, or one followed by KiB, MiB, GiB, TiB */
    KIVI_OPTION_DURATION = 4, /**< seconds as a decimal number, or one followed by ms, s, m, h; kept in ms */
    KIVI_OPTION_CHOICE = 5, /**< one of the words of `choices` */
    KIVI_OPTION_FLOAT = 6   /**< a decimal number within [min, max] */
} kivi_option_type;

enum {
    KIVI_OPTION_SECRET = 1 << 0,  /**< never shown: listings, messages and logs print *** for it */
    KIVI_OPTION_REQUIRED = 1 << 1 /**< open refuses to go on without it */
};

/** One option of a backend, or one that every store has. Texts are static and never NULL but as said. */
typedef struct kivi_option_info {
    uint32_t struct_size; /**< sizeof(kivi_option_info) */
    uint32_t flags;       /**< KIVI_OPTION_SECRET, KIVI_OPTION_REQUIRED */
    const char *name;
    kivi_option_type type;
    const char *default_text; /**< what it is when not set; NULL: nothing */
    const char *recommended_text; /**< what kivi_options_recommended() sets; NULL: left at the default */
    const char *choices;          /**< for CHOICE: the words, separated by spaces; else NULL */
    int64_t min, max;             /**< for INT, SIZE, DURATION (ms) and FLOAT; both 0: any */
    const char *help;             /**< one line */
} kivi_option_info;

/**
 * Settings for kivi_store_open(). Belongs to one thread; open copies what it needs, so a set can be
 * changed, reused and freed at any time. Names are not checked before open, which knows the backend.
 */
typedef struct kivi_options kivi_options;

/** An empty set: open then takes every option's default. NULL without memory. Since 0.1. */
KIVI_API kivi_options *kivi_options_new(void);
/** The set recommended for production use of a scheme ("lmdb"). INVALID for an unknown scheme. Since 0.1. */
KIVI_API kivi_status kivi_options_recommended(const char *scheme, kivi_options **options,
                                              kivi_error **error);
/** A copy, hook included. NULL without memory. Since 0.1. */
KIVI_API kivi_options *kivi_options_copy(const kivi_options *options);
/** Sets an option from text; `text` NULL takes it out again. INVALID for an empty name; NO_MEMORY. Since 0.1. */
KIVI_API kivi_status kivi_options_set(kivi_options *options, const char *name, const char *text,
                                      kivi_error **error);
/** The same for a number: an INT, bytes of a SIZE, milliseconds of a DURATION. Since 0.1. */
KIVI_API kivi_status kivi_options_set_int(kivi_options *options, const char *name, int64_t value,
                                          kivi_error **error);
/** The same for a truth value. Since 0.1. */
KIVI_API kivi_status kivi_options_set_bool(kivi_options *options, const char *name, bool value,
                                           kivi_error **error);
/** The text an option was set to; NULL when it was not. Secrets are not hidden here. Valid until next set. Since 0.1. */
KIVI_API const char *kivi_options_get(const kivi_options *options, const char *name);
/** Names of the options that were set, by position from 0; NULL past the last. Since 0.1. */
KIVI_API const char *kivi_options_name(const kivi_options *options, size_t index);
/**
 * Calls `on_event(event, user)` for what happens in stores opened with this set: on the thread of the call
 * (kivi_event_fn says more), with no lock held and no lane taken; it may call the store. Keys are shown only with the
 * option `event_keys=true`, values never. NULL takes it out. Since 0.1.
 */
KIVI_API void kivi_options_on_event(kivi_options *options, kivi_event_fn on_event, void *user);
/** Frees the set; NULL is nothing. Since 0.1. */
KIVI_API void kivi_options_free(kivi_options *options);

/**
 * Describes the options of a scheme: first those every store has, then the backend's own, by position
 * from 0. Returns NOT_FOUND past the last, INVALID for an unknown scheme. `info->struct_size` must be
 * set by the caller; no more than that is written. Loads the backend's plugin. Since 0.1.
 */
KIVI_API kivi_status kivi_option_describe(const char *scheme, size_t index, kivi_option_info *info,
                                          kivi_error **error);

/** A scheme that the library knows. */
typedef struct kivi_scheme_info {
    uint32_t struct_size; /**< sizeof(kivi_scheme_info) */
    bool available;       /**< the plugin loads here; else `reason` says why not */
    const char *scheme;   /**< "lmdb" */
    const char *backend;  /**< the backend's name; several schemes may share one */
    const char *summary;  /**< one line, or "" where not available */
    char reason[256];     /**< "" when available */
} kivi_scheme_info;

/** Describes the known schemes by position from 0; NOT_FOUND past the last. Loads each plugin asked for. Since 0.1. */
KIVI_API kivi_status kivi_scheme_describe(size_t index, kivi_scheme_info *info, kivi_error **error);

/**
 * Writes a URL as it may be shown: passwords and secret options replaced by ***. INVALID when it is no
 * URL at all; TOO_LARGE when `capacity`, NUL included, is short (three times the URL and 64 always do):
 * `text` is then "". Loads the backend's plugin, which knows its secrets; where that cannot be, all
 * options but those of every store are hidden. For logs and repr. Since 0.1.
 */
KIVI_API kivi_status kivi_url_redact(const char *url, char *text, size_t capacity, kivi_error **error);

#ifdef __cplusplus
}
#endif
#endif
