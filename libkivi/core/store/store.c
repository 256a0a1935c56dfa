/* Stores: opening by URL, reference counting, closing. */
#include "../lanes/lanes.h"
#include "../options/options.h"
#include "../plugins/plugins.h"
#include "begin.h"
#include "instance.h"
#include "places.h"

#include <stdlib.h>

/* ---- opening ---- */

static kivi_status read_core_options(kivi_store *store, const kivi_options *options, kivi_error **error)
{
    const kivi_config *config = store->config;
    store->timeout_ms = kvi_config_int(config, "timeout");
    store->io_timeout_ns = (uint64_t)(kvi_config_int(config, "io_timeout") * KVI_MS);
    store->queue_limit = (uint64_t)kvi_config_int(config, "queue_limit");
    store->portable = kvi_config_int(config, "portable") != 0;
    store->in_place = kvi_config_int(config, "in_place") != 0;
    store->event_keys = kvi_config_int(config, "event_keys") != 0;
    if (options)
        store->on_event = kvi_options_hook(options, &store->on_event_user);
    store->codec = kvi_codec_find(kvi_config_text(config, "codec"));
    if (!store->codec)
        return kvi_fail(error, KIVI_INVALID,
                        "option \"codec\": there is no such codec: it takes msgpack, json or raw");
    return KIVI_OK;
}

static uint32_t count_lanes(const kivi_store *store)
{
    uint32_t lanes = kvi_lanes_default(&store->instance);
    if (kvi_config_is_set(store->config, "lanes"))
        lanes = (uint32_t)kvi_config_int(store->config, "lanes");
    uint32_t most = store->instance.max_lanes;
    return most && lanes > most ? most : lanes;
}

/*
 * The same for all handles on the same data, as far as it can be told: a local engine is what its path names,
 * and without one its handle's own; a remote store is what its URL names.
 */
static uint64_t find_identity(const kivi_store *store, const char *url, const char *path)
{
    if (!store->instance.capabilities.local)
        return kvi_hash64(kivi_str(url));
    if (!path || !*path)
        return (uint64_t)(uintptr_t)store->instance.handle;
    char *real = realpath(path, NULL);
    uint64_t hash = kvi_hash64(kivi_str(real ? real : path));
    free(real);
    return hash ^ kvi_hash64(kivi_str(store->backend->name));
}

static kivi_status show_url(kivi_store *store, const char *url, kivi_error **error)
{
    size_t size = strlen(url) * 3 + 64; /* *** may be longer than what it hides */
    store->shown_url = malloc(size);
    if (!store->shown_url)
        return kvi_fail(error, KIVI_NO_MEMORY, "no memory to open a store");
    return kivi_url_redact(url, store->shown_url, size, error);
}

static void free_parts(kivi_store *store)
{
    kvi_config_free(store->config);
    kivi_buffer_free(&store->space);
    kvi_places_free(store->places);
    pthread_mutex_destroy(&store->fork_mutex);
    free(store->shown_url);
    free(store->scheme);
    free(store);
}

/* Waits no longer than `call` lets it. */
static kivi_status open_instance(kivi_store *store, const kivi_call *call, kivi_error **error)
{
    kvi_context ctx;
    kivi_status status = kvi_begin(&ctx, store, call, "open", NULL);
    if (!status)
        status = kvi_instance_open(store, &ctx.wait, &ctx.error);
    if (status && !ctx.error)
        ctx.error = kvi_wait_error(&ctx, status);
    *error = ctx.error;
    return status;
}

static kivi_status open_store(kivi_store *store, const char *url, const kvi_url *parsed,
                              const kivi_call *call, const kivi_options *options, kivi_error **error)
{
    store->scheme = strdup(parsed->scheme);
    if (!store->scheme)
        return kvi_fail(error, KIVI_NO_MEMORY, "no memory to open a store");
    kivi_status status = show_url(store, url, error);
    if (!status)
        status = kvi_config_new(store->backend, parsed, options, &store->config, error);
    if (!status)
        status = read_core_options(store, options, error);
    if (!status)
        kvi_config_set_reporter(store->config, store);
    if (!status)
        status = open_instance(store, call, error);
    if (status)
        return status;
    store->identity = find_identity(store, url, parsed->path);
    if (!store->on_event && store->instance.capabilities.local)
        store->untimed = KVI_SAMPLE - 1;
    store->lanes = kvi_lanes_new(store, count_lanes(store));
    store->places = kvi_places_new();
    if (store->lanes && store->places)
        return KIVI_OK;
    kvi_lanes_free(store->lanes, false);
    store->backend->close(store->instance.handle);
    return kvi_fail(error, KIVI_NO_MEMORY, "no memory to open a store");
}

static kivi_store *store_new(const kivi_backend *backend)
{
    kivi_store *store = aligned_alloc(_Alignof(kivi_store), sizeof(kivi_store));
    if (!store)
        return NULL;
    memset(store, 0, sizeof(*store));
    store->backend = backend;
    atomic_store_explicit(&store->refs, 1, memory_order_relaxed);
    pthread_mutex_init(&store->fork_mutex, NULL);
    return store;
}

kivi_status kivi_store_open(const char *url, const kivi_call *call, const kivi_options *options,
                            kivi_store **opened, kivi_error **error)
{
    kvi_error_clear(error);
    *opened = NULL;
    if (!url)
        return kvi_fail(error, KIVI_INVALID, "no URL given");
    kvi_url parsed = {0};
    const kivi_backend *backend = NULL;
    kivi_store *store = NULL;
    kivi_error *why = NULL;
    kivi_status status = kvi_url_parse(url, &parsed, &why);
    if (status)
        goto out;
    status = kvi_backend_find(parsed.scheme, &backend, &why);
    if (status)
        goto out;
    store = store_new(backend);
    if (!store) {
        status = kvi_fail(&why, KIVI_NO_MEMORY, "no memory to open a store");
        goto out;
    }
    status = open_store(store, url, &parsed, call, options, &why);
    if (status) {
        free_parts(store);
        goto out;
    }
    kvi_fork_register(store);
    *opened = store;
out:
    kvi_url_clear(&parsed);
    if (why && backend)
        kvi_error_name_backend(why, backend->name);
    if (error)
        *error = why;
    else
        kivi_error_free(why);
    return status;
}

/* ---- closing ---- */

void kivi_store_close(kivi_store *store)
{
    if (!store)
        return;
    uint32_t before = atomic_fetch_or(&store->gate, KVI_GATE_CLOSED);
    /* Whoever waits looks up within 50 ms; a blocking client library must be told. */
    if (!(before & (KVI_GATE_CLOSED | KVI_GATE_FORKED)))
        kvi_lanes_interrupt(store->lanes);
}

static void close_instance(kivi_store *store)
{
    bool inherited = atomic_load(&store->gate) & KVI_GATE_FORKED;
    bool private_copy = store->flags & KIVI_BACKEND_FORK_PRIVATE;
    kvi_lanes_free(store->lanes, inherited);
    if (!store->instance_open)
        return;
    if (inherited && !private_copy) {
        if (store->backend->abandon)
            store->backend->abandon(store->instance.handle);
    } else {
        store->backend->close(store->instance.handle);
    }
}

kivi_store *kivi_store_ref(kivi_store *store)
{
    if (store)
        atomic_fetch_add_explicit(&store->refs, 1, memory_order_relaxed);
    return store;
}

void kivi_store_unref(kivi_store *store)
{
    if (!store || atomic_fetch_sub_explicit(&store->refs, 1, memory_order_acq_rel) != 1)
        return;
    kvi_fork_unregister(store);
    close_instance(store);
    free_parts(store);
}

/* ---- what a store says of itself ---- */

const char *kivi_store_scheme(const kivi_store *store)
{
    return store->scheme;
}

const char *kivi_store_url(const kivi_store *store)
{
    return store->shown_url;
}

const char *kivi_store_codec(const kivi_store *store)
{
    return store->codec->name;
}

int64_t kivi_store_timeout(const kivi_store *store)
{
    return store->timeout_ms > 0 ? store->timeout_ms : KIVI_NO_TIMEOUT;
}
