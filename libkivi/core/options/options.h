/* Options, the configuration of a store, and URLs. */
#ifndef KVI_OPTIONS_H
#define KVI_OPTIONS_H

#include "../base/base.h"

/* ---- options.c ---- */

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

#endif
