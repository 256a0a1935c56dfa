/* The checked options of one store: each with the value it was given, or its default. */
#include "../base/base.h"
#include "../base/platform.h"
#include "options.h"

#include <stdlib.h>

#define SHOWN 64 /* bytes of a caller's text that a message repeats */

typedef struct entry {
    const kivi_option_info *info;
    char *text; /* NULL: neither given nor a default */
    kvi_option_value value;
    bool is_set; /* given, not a default */
} entry;

struct kivi_config {
    const kivi_backend *backend;
    char *scheme;
    void *reporter;
    size_t count;
    entry entries[];
};

static entry *find(const kivi_config *config, const char *name)
{
    for (size_t i = 0; i < config->count; i++)
        if (!strcmp(config->entries[i].info->name, name))
            return (entry *)(uintptr_t)&config->entries[i];
    return NULL;
}

static void wipe_text(entry *at)
{
    if (at->text)
        kvi_erase(at->text, strlen(at->text));
    free(at->text);
    at->text = NULL;
}

static kivi_status put(entry *at, const char *text, kvi_given given, bool hidden, kivi_error **error)
{
    kivi_option_info info = *at->info;
    if (hidden)
        info.flags |= KIVI_OPTION_SECRET;
    kivi_status status = kvi_option_read(&info, text, given, &at->value, error);
    if (status)
        return status;
    char *copy = strdup(text);
    if (!copy)
        return kvi_fail(error, KIVI_NO_MEMORY, "no memory for option \"%s\"", at->info->name);
    wipe_text(at);
    at->text = copy;
    return KIVI_OK;
}

static kivi_config *allocate(const kivi_backend *backend, const char *scheme)
{
    size_t core_count;
    const kivi_option_info *core = kvi_core_options(&core_count);
    size_t count = core_count + backend->option_count;
    kivi_config *config = calloc(1, sizeof(*config) + count * sizeof(config->entries[0]));
    if (!config)
        return NULL;
    config->backend = backend;
    config->count = count;
    for (size_t i = 0; i < count; i++)
        config->entries[i].info = i < core_count ? &core[i]
                                                 : kvi_backend_option(backend, i - core_count);
    config->scheme = strdup(scheme);
    if (config->scheme)
        return config;
    free(config);
    return NULL;
}

static kivi_status put_defaults(kivi_config *config, kivi_error **error)
{
    for (size_t i = 0; i < config->count; i++) {
        entry *at = &config->entries[i];
        if (!at->info->default_text)
            continue;
        kivi_status status = put(at, at->info->default_text, KVI_GIVEN_TEXT, false, error);
        if (status)
            return status;
    }
    return KIVI_OK;
}

static kivi_status put_part(kivi_config *config, const char *name, const char *text, kivi_error **error)
{
    if (!text)
        return KIVI_OK;
    entry *at = find(config, name);
    if (!at && !strcmp(name, "host") && find(config, "path"))
        return kvi_fail(error, KIVI_INVALID,
                        "%s: its URL takes no host: write %s:PATH, or %s:///ABSOLUTE/PATH",
                        config->scheme, config->scheme, config->scheme);
    if (!at)
        return kvi_fail(error, KIVI_INVALID, "%s: its URL takes no %s", config->scheme, name);
    at->is_set = true;
    return put(at, text, KVI_GIVEN_TEXT, true, error);
}

static kivi_status put_parts(kivi_config *config, const kvi_url *url, kivi_error **error)
{
    const struct {
        const char *name, *text;
    } parts[] = {{"user", url->user},
                 {"password", url->password},
                 {"host", url->host},
                 {"port", url->port},
                 {"path", url->path}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        kivi_status status = put_part(config, parts[i].name, parts[i].text, error);
        if (status)
            return status;
    }
    return KIVI_OK;
}

static kivi_status unknown_option(const kivi_config *config, const char *name, kivi_error **error)
{
    const kivi_option_info *nearest = kvi_option_nearest(config->backend, name);
    if (nearest)
        return kvi_fail(error, KIVI_INVALID, "no option \"%.*s\" for %s: did you mean \"%s\"?",
                        SHOWN, name, config->scheme, nearest->name);
    return kvi_fail(error, KIVI_INVALID,
                    "no option \"%.*s\" for %s: `kivi options %s` lists those there are", SHOWN,
                    name, config->scheme, config->scheme);
}

/*
 * Everything that a set says; with `once`, nothing that was said before may be said again. `hidden`: no message
 * shows a value.
 */
static kivi_status put_options(kivi_config *config, const kivi_options *options, bool once,
                               bool hidden, kivi_error **error)
{
    const char *name;
    for (size_t i = 0; (name = kivi_options_name(options, i)); i++) {
        entry *at = find(config, name);
        if (!at)
            return unknown_option(config, name, error);
        if (once && at->is_set)
            return kvi_fail(error, KIVI_INVALID, "the URL gives \"%s\" twice", name);
        kivi_status status = put(at, kivi_options_get(options, name),
                                 kvi_options_given(options, name), hidden, error);
        if (status)
            return status;
        at->is_set = true;
    }
    return KIVI_OK;
}

static kivi_status check_required(const kivi_config *config, kivi_error **error)
{
    for (size_t i = 0; i < config->count; i++) {
        const entry *at = &config->entries[i];
        if (!(at->info->flags & KIVI_OPTION_REQUIRED) || (at->text && *at->text))
            continue;
        if (!strcmp(at->info->name, "path"))
            return kvi_fail(error, KIVI_INVALID, "%s needs a path: write %s:PATH", config->scheme,
                            config->scheme);
        return kvi_fail(error, KIVI_INVALID, "%s needs the option \"%s\": %s", config->scheme,
                        at->info->name, at->info->help);
    }
    return KIVI_OK;
}

kivi_status kvi_config_new(const kivi_backend *backend, const kvi_url *url,
                           const kivi_options *options, kivi_config **config, kivi_error **error)
{
    *config = NULL;
    kivi_config *made = allocate(backend, url->scheme);
    if (!made)
        return kvi_fail(error, KIVI_NO_MEMORY, "no memory for the options of a store");
    /* Whoever logs in may have put the secret into the wrong place. */
    bool has_login = url->user || url->password;
    kivi_status status = put_defaults(made, error);
    if (!status)
        status = put_parts(made, url, error);
    if (!status)
        status = put_options(made, url->query, true, has_login, error);
    if (!status && options)
        status = put_options(made, options, false, has_login, error);
    if (!status)
        status = check_required(made, error);
    if (status) {
        kvi_config_free(made);
        return status;
    }
    *config = made;
    return KIVI_OK;
}

void kvi_config_free(kivi_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->count; i++)
        wipe_text(&config->entries[i]);
    free(config->scheme);
    free(config);
}

bool kvi_config_is_set(const kivi_config *config, const char *name)
{
    const entry *at = find(config, name);
    return at && at->is_set;
}

const char *kvi_config_text(const kivi_config *config, const char *name)
{
    const entry *at = find(config, name);
    if (!at && !strcmp(name, "scheme"))
        return config->scheme;
    return at ? at->text : NULL;
}

int64_t kvi_config_int(const kivi_config *config, const char *name)
{
    const entry *at = find(config, name);
    return at ? at->value.number : 0;
}

double kvi_config_float(const kivi_config *config, const char *name)
{
    const entry *at = find(config, name);
    return at ? at->value.real : 0;
}

void kvi_config_set_reporter(kivi_config *config, void *reporter)
{
    config->reporter = reporter;
}

void *kvi_config_reporter(const kivi_config *config)
{
    return config->reporter;
}

const char *kvi_config_scheme(const kivi_config *config)
{
    return config->scheme;
}
