/* The backend's table, and what a store has of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "rocks.h"

#define VALUE_MAX \
    (UINT64_C(1) << 30) /* far below the 4 GiB of a batch, of which memory holds several copies */
#define VECTOR_MAX (UINT64_C(1) << 30) /* of keys and values in one batch */
#define ATOMIC_MAX (UINT64_C(1) << 20)

static void describe(const rocks_store *store, kivi_instance *instance)
{
    kivi_capabilities *can = &instance->capabilities;

    instance->flags = KIVI_BACKEND_BLOCKING | KIVI_BACKEND_SHARED_READS | KIVI_BACKEND_IN_PLACE |
                      KIVI_BACKEND_INCREMENTS | KIVI_BACKEND_TAKES | KIVI_BACKEND_TOUCHES |
                      KIVI_BACKEND_FORK_REFUSED;
    if (store->sync)
        instance->flags |= KIVI_BACKEND_GROUP_COMMIT;
    instance->layout = store->engine->foreign ? KIVI_LAYOUT_FOREIGN : KIVI_LAYOUT_OURS;
    instance->max_bytes = VECTOR_MAX;
    instance->max_stored_key = KVI_ROCKS_KEY_MAX;
    can->consistency = KIVI_LINEARIZABLE;
    can->max_value = VALUE_MAX;
    can->ttl_resolution_ms = 1;
    can->atomic_max = ATOMIC_MAX;
    can->ttl = KIVI_EMULATED;
    can->ttl_clock = KIVI_CLOCK_CALLER;
    can->order = KIVI_ORDER_BYTES;
    can->scan = KIVI_NATIVE;
    can->snapshot = KIVI_NATIVE;
    can->increment = KIVI_NATIVE;
    can->conditions = KIVI_NATIVE;
    can->scan_once = true;
    can->durable = store->sync;
    can->local = true;
}

static void store_free(rocks_store *store)
{
    if (store->writes)
        rocksdb_writeoptions_destroy(store->writes);
    free(store);
}

static rocks_store *store_make(const kivi_config *config)
{
    rocks_store *store = calloc(1, sizeof(*store));

    if (!store)
        return NULL;
    store->sync = kvi_rocks_host->option_int(config, "sync") != 0;
    store->sweep = (unsigned)kvi_rocks_host->option_int(config, "sweep");
    store->reporter = kvi_rocks_host->reporter(config);
    store->writes = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->writes, store->sync);
    /* It says that it would have to wait, and the deadline is kept here. */
    rocksdb_writeoptions_set_no_slowdown(store->writes, 1);
    return store;
}

static kivi_status store_open(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                              kivi_error **error)
{
    rocks_settings settings;
    kivi_status status = kvi_rocks_settings_read(config, &settings, error);
    rocks_store *store = NULL;

    if (status == KIVI_OK) {
        store = store_make(config);
        status = store ? KIVI_OK : kvi_rocks_no_memory(error, "rocksdb");
    }
    if (status == KIVI_OK)
        status = kvi_rocks_engine_get(kvi_rocks_host->option_text(config, "path"), &settings, wait,
                                      &store->engine, error);
    kvi_rocks_settings_clear(&settings);
    if (status != KIVI_OK) {
        if (store)
            store_free(store);
        return status;
    }
    describe(store, instance);
    instance->handle = store;
    return KIVI_OK;
}

static void store_close(void *instance)
{
    rocks_store *store = instance;

    kvi_rocks_engine_put(store->engine);
    store_free(store);
}

/* A read of the parent that goes on in the child still looks at the engine: it stays. */
static void store_abandon(void *instance)
{
    store_free(instance);
}

static void store_detail(void *instance, char *text, size_t capacity)
{
    const rocks_store *store = instance;

    snprintf(text, capacity, "%s%s%s", store->engine->folder, store->sync ? "" : ", sync=false",
             store->engine->settings.read_only ? ", read only" : "");
}

static void fork_child(void *instance)
{
    kvi_rocks_fork_child(((rocks_store *)instance)->engine);
}

static kivi_backend backend = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "rocksdb",
    .schemes = "rocksdb",
    .summary = "RocksDB, a folder for one process",
    .options = kvi_rocks_options,
    .open = store_open,
    .close = store_close,
    .abandon = store_abandon,
    .session_open = kvi_rocks_session_open,
    .session_close = kvi_rocks_session_close,
    .session_abandon = kvi_rocks_session_abandon,
    .read = kvi_rocks_read,
    .write = kvi_rocks_write,
    .scan = kvi_rocks_scan,
    .count = kvi_rocks_count,
    .detail = store_detail,
    .fork_child = fork_child,
};

const kivi_backend *kivi_plugin(uint32_t host_abi, const kivi_host *host)
{
    if (host_abi != KIVI_BACKEND_ABI || host->struct_size < sizeof(kivi_host))
        return NULL;
    kvi_rocks_host = host;
    backend.option_count = kvi_rocks_option_count;
    return &backend;
}
