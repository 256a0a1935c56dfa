/* The loader: from a scheme to its backend, which may lie in a plugin not loaded yet. */
#include "loader.h"
#include "../base/nearest.h"
#include "../base/platform.h"
#include "plugin.h"
#include "plugins.h"

#include <pthread.h>
#include <stdlib.h>

/* Backends that are at hand: registered, built in, or from a plugin. */
typedef struct known {
    const kivi_backend *backend;
    void *plugin; /* of dlopen; NULL: none */
} known;

/* Recursive: what a client library does while it is loaded may come back here (a fork does). */
static pthread_mutex_t lock;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static known *backends;
static size_t backend_count, backend_capacity;
static size_t builtin_count; /* of kvi_builtin_plugins: those that were asked */
static kvi_manifests manifests;
static bool has_manifests;

/* ---- The lock, which a forked child must find free ---- */

static void take_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void leave_lock(void)
{
    pthread_mutex_unlock(&lock);
}

/* tests/standin/tsan.supp knows it by its name. */
static void before_fork(void)
{
    take_lock();
}

/* The child's thread is another one to the mutex: it cannot unlock, only begin anew. */
static void renew_lock(void)
{
    kvi_mutex_init_recursive(&lock);
}

static void begin(void)
{
    kvi_mutex_init_recursive(&lock);
    pthread_atfork(before_fork, leave_lock, renew_lock);
}

static void enter(void)
{
    pthread_once(&once, begin);
    take_lock();
}

/* ---- Backends at hand ---- */

static const kivi_backend *find_known(const char *scheme)
{
    for (size_t i = 0; i < backend_count; i++)
        if (kvi_words_have(backends[i].backend->schemes, scheme))
            return backends[i].backend;
    return NULL;
}

static kivi_status add_known(const kivi_backend *backend, void *plugin, kivi_error **error)
{
    if (backend_count == backend_capacity) {
        size_t capacity = backend_capacity ? backend_capacity * 2 : 16;
        known *grown = kvi_realloc_array(backends, capacity, sizeof(*grown));
        if (!grown)
            return kvi_fail(error, KIVI_NO_MEMORY, "no memory for backend %s", backend->name);
        backends = grown;
        backend_capacity = capacity;
    }
    backends[backend_count++] = (known){backend, plugin};
    return KIVI_OK;
}

static kivi_status ask_plugin(kivi_plugin_fn plugin, kivi_status failure,
                              const kivi_backend **backend, kivi_error **error)
{
    char problem[KVI_PROBLEM_SIZE];
    *backend = plugin(KIVI_BACKEND_ABI, &kvi_host_table);
    if (kvi_backend_check(*backend, problem))
        return KIVI_OK;
    return kvi_fail(error, failure, "%s", problem);
}

/* Built-in backends are there before any that is registered: their schemes are taken. */
static kivi_status load_builtin(kivi_error **error)
{
    for (; kvi_builtin_plugins[builtin_count]; builtin_count++) {
        const kivi_backend *backend;
        kivi_status status = ask_plugin(kvi_builtin_plugins[builtin_count], KIVI_INTERNAL, &backend,
                                        error);
        if (!status)
            status = add_known(backend, NULL, error);
        if (status)
            return status;
    }
    return KIVI_OK;
}

static kivi_status check_new(const kivi_backend *backend, kivi_error **error)
{
    const char *words = backend->schemes, *word;
    size_t size;
    while ((size = kvi_words_next(&words, &word))) {
        const char *scheme = kvi_intern(word, size);
        if (!scheme)
            return kvi_fail(error, KIVI_NO_MEMORY, "no memory for backend %s", backend->name);
        const kivi_backend *other = find_known(scheme);
        if (other)
            return kvi_fail(error, KIVI_INVALID,
                            "backend %s: the scheme \"%s\" is served already, by backend %s",
                            backend->name, scheme, other->name);
    }
    return KIVI_OK;
}

kivi_status kivi_backend_register(kivi_plugin_fn plugin, kivi_error **error)
{
    const kivi_backend *backend;
    kvi_error_clear(error);
    if (!plugin)
        return kvi_fail(error, KIVI_INVALID, "no backend given");
    enter();
    kivi_status status = load_builtin(error);
    if (!status)
        status = ask_plugin(plugin, KIVI_INVALID, &backend, error);
    if (!status)
        status = check_new(backend, error);
    if (!status)
        status = add_known(backend, NULL, error);
    leave_lock();
    return status;
}

/* ---- Plugins ---- */

/* Reads all manifests anew: one that was installed, or mended, since the last time counts. */
static kivi_status read_manifests(kivi_error **error)
{
    char *path = kvi_plugin_path(), *rest = path, *directory;
    kivi_status status = path ? KIVI_OK : KIVI_NO_MEMORY;
    manifests.count = 0;
    has_manifests = false;
    while (!status && (directory = strsep(&rest, ":")))
        if (*directory)
            status = kvi_manifests_add(&manifests, directory);
    free(path);
    if (status)
        return kvi_fail(error, status, "no memory to look for plugins");
    has_manifests = true;
    return KIVI_OK;
}

static const kvi_manifest *find_manifest(const char *scheme)
{
    for (size_t i = 0; i < manifests.count; i++)
        if (!manifests.items[i].problem && kvi_words_have(manifests.items[i].schemes, scheme))
            return &manifests.items[i];
    return NULL;
}

static const kvi_manifest *find_bad_manifest(const char *scheme)
{
    for (size_t i = 0; i < manifests.count; i++)
        if (manifests.items[i].problem && !strcmp(manifests.items[i].stem, scheme))
            return &manifests.items[i];
    return NULL;
}

static const kivi_backend *find_plugin(const void *plugin)
{
    for (size_t i = 0; i < backend_count; i++)
        if (backends[i].plugin == plugin)
            return backends[i].backend;
    return NULL;
}

static kivi_status lacks_scheme(const kvi_manifest *manifest, const char *scheme, kivi_error **error)
{
    return kvi_fail(error, KIVI_UNSUPPORTED, "%s: the plugin %s has no such scheme, though %s names it",
                    scheme, manifest->file, manifest->path);
}

static kivi_status load_plugin(const kvi_manifest *manifest, const char *scheme,
                               const kivi_backend **backend, kivi_error **error)
{
    void *plugin;
    kivi_plugin_fn function;
    kivi_error *why = NULL;
    kivi_status status = kvi_plugin_open(manifest, scheme, &plugin, &function, error);
    if (status)
        return status;
    if (find_plugin(plugin)) /* by another of its schemes; this one it would have been found by */
        return lacks_scheme(manifest, scheme, error);
    status = ask_plugin(function, KIVI_UNSUPPORTED, backend, &why);
    if (status) {
        kvi_fail(error, status, "%s: the plugin %s cannot be used: %s", scheme, manifest->file,
                 kivi_error_message(why));
        kivi_error_free(why);
        return status;
    }
    status = add_known(*backend, plugin, error);
    if (!status && !kvi_words_have((*backend)->schemes, scheme))
        return lacks_scheme(manifest, scheme, error);
    return status;
}

/* ---- All schemes ---- */

typedef struct scheme_list {
    const char **words; /* interned */
    size_t count, capacity;
} scheme_list;

static bool add_scheme(scheme_list *list, const char *word, size_t size)
{
    const char *scheme = kvi_intern(word, size);
    if (!scheme)
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (list->words[i] == scheme)
            return true;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 32;
        const char **grown = kvi_realloc_array(list->words, capacity, sizeof(*grown));
        if (!grown)
            return false;
        list->words = grown;
        list->capacity = capacity;
    }
    list->words[list->count++] = scheme;
    return true;
}

static bool add_schemes(scheme_list *list, const char *words)
{
    const char *word;
    size_t size;
    while ((size = kvi_words_next(&words, &word)))
        if (!add_scheme(list, word, size))
            return false;
    return true;
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* By name, so that positions stay where they are while plugins are loaded. `bad`: also what bad manifests may mean. */
static bool list_schemes(scheme_list *list, bool bad)
{
    bool fits = true;
    *list = (scheme_list){NULL, 0, 0};
    for (size_t i = 0; fits && i < backend_count; i++)
        fits = add_schemes(list, backends[i].backend->schemes);
    for (size_t i = 0; fits && i < manifests.count; i++) {
        const kvi_manifest *manifest = &manifests.items[i];
        if (!manifest->problem)
            fits = add_schemes(list, manifest->schemes);
        else if (bad)
            fits = add_scheme(list, manifest->stem, strlen(manifest->stem));
    }
    if (fits && list->count)
        qsort(list->words, list->count, sizeof(list->words[0]), compare_words);
    return fits;
}

/* ---- Finding ---- */

static kivi_status unknown_scheme(const char *scheme, kivi_error **error)
{
    scheme_list list;
    kivi_buffer text = KIVI_BUFFER_INIT;
    char *path = kvi_plugin_path();
    bool fits = list_schemes(&list, false) && path;
    kvi_nearest search;
    kvi_nearest_begin(&search, scheme, strlen(scheme));
    for (size_t i = 0; fits && i < list.count; i++)
        kvi_nearest_try(&search, list.words[i]);
    for (size_t i = 0; fits && i < list.count; i++)
        fits = (i == 0 || !kivi_buffer_append(&text, kivi_str(", "))) &&
               !kivi_buffer_append(&text, kivi_str(list.words[i]));
    kivi_status status = kvi_fail(
        error, KIVI_INVALID,
        "unknown scheme \"%.64s\": %s%s%sknown are %.*s; other plugins are looked for in %s", scheme,
        search.best ? "did you mean \"" : "", search.best ? search.best : "", search.best ? "\"? " : "",
        fits ? (int)text.size : 0, fits ? (const char *)text.data : "", fits ? path : "");
    kivi_buffer_free(&text);
    free(list.words);
    free(path);
    return status;
}

static kivi_status find_or_load(const char *scheme, const kivi_backend **backend, kivi_error **error)
{
    *backend = find_known(scheme);
    if (*backend)
        return KIVI_OK;
    kivi_status status = read_manifests(error);
    if (status)
        return status;
    const kvi_manifest *manifest = find_manifest(scheme);
    if (manifest)
        return load_plugin(manifest, scheme, backend, error);
    manifest = find_bad_manifest(scheme);
    if (manifest)
        return kvi_fail(error, KIVI_UNSUPPORTED, "%s: its manifest %s cannot be used: %s", scheme,
                        manifest->path, manifest->problem);
    return unknown_scheme(scheme, error);
}

kivi_status kvi_backend_find(const char *scheme, const kivi_backend **backend, kivi_error **error)
{
    *backend = NULL;
    enter();
    kivi_status status = load_builtin(error);
    if (!status)
        status = find_or_load(scheme, backend, error);
    leave_lock();
    if (status)
        *backend = NULL;
    return status;
}

/* The scheme at a position; NULL: past the last. */
static kivi_status scheme_at(size_t index, const char **scheme, kivi_error **error)
{
    kivi_status status = load_builtin(error);
    if (!status && (index == 0 || !has_manifests))
        status = read_manifests(error);
    if (status)
        return status;
    scheme_list list;
    if (list_schemes(&list, true))
        *scheme = index < list.count ? list.words[index] : NULL;
    else
        status = kvi_fail(error, KIVI_NO_MEMORY, "no memory to list the schemes");
    free(list.words);
    return status;
}

kivi_status kvi_scheme_at(size_t index, const char **scheme, const char **backend_name, kivi_error **error)
{
    enter();
    kivi_status status = scheme_at(index, scheme, error);
    if (!status && *scheme) {
        const kivi_backend *backend = find_known(*scheme);
        const kvi_manifest *manifest = find_manifest(*scheme);
        *backend_name = backend ? backend->name : manifest ? manifest->name : *scheme;
    }
    leave_lock();
    return status;
}
