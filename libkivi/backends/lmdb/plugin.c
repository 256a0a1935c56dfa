/* The backend's table, its options, and what a store has of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine.h"

/* LMDB writes a value in one system call, and Linux takes no more at once: less its page's header. */
#define VALUE_MAX (UINT64_C(0x7ffff000) - 4096)
#define ATOMIC_MAX (UINT64_C(1) << 20)

#define OPTION(name, type, text, least, most, help)                                  \
    {                                                                                \
        sizeof(kivi_option_info), 0, name, type, text, NULL, NULL, least, most, help \
    }

static const kivi_option_info options[] = {
    {sizeof(kivi_option_info), KIVI_OPTION_REQUIRED, "path", KIVI_OPTION_STRING, NULL, NULL, NULL,
     0, 0, "a file, or a directory that holds data.mdb and lock.mdb (one that ends in '/' is made)"},
    OPTION("sync", KIVI_OPTION_BOOL, "true", 0, 0,
           "acknowledged means on disk; false: a power cut may damage the file"),
    OPTION("read_only", KIVI_OPTION_BOOL, "false", 0, 0, "only read; writes answer DENIED"),
    OPTION("create", KIVI_OPTION_BOOL, "true", 0, 0, "make the file when there is none"),
    OPTION("check", KIVI_OPTION_BOOL, "false", 0, 0,
           "read the whole file at open; one with damaged pages answers CORRUPT"),
    OPTION("map_size", KIVI_OPTION_SIZE, "64GiB", 65536, INT64_MAX / 4,
           "address space to reserve, no memory or disk; grows when the file needs it"),
    OPTION("max_readers", KIVI_OPTION_INT, "126", 1, 65535,
           "reads at the same time, over all processes; fixed by the first to open the file"),
    OPTION("mode", KIVI_OPTION_STRING, "0600", 0, 0, "permissions of new files, in octal"),
};

static kivi_status read_mode(const kivi_config *config, mode_t *mode, kivi_error **error)
{
    const char *text = kvi_lmdb_host->option_text(config, "mode");
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text ? text : "0600", &end, 8);
    if (errno == 0 && *end == 0 && text && *text >= '0' && *text <= '7' && value <= 0777 &&
        (value & 0600) == 0600) {
        *mode = (mode_t)value;
        return KIVI_OK;
    }
    KVI_LMDB_ERROR(
        error, KIVI_INVALID, 0, KIVI_RETRY_NO,
        "mode: octal permissions that let the owner read and write, such as 0600 or 0664");
    return KIVI_INVALID;
}

static kivi_status read_settings(const kivi_config *config, kvi_lmdb_settings *settings, kivi_error **error)
{
    uint64_t page = 4096, map_size = (uint64_t)kvi_lmdb_host->option_int(config, "map_size");

    settings->map_size = (map_size + page - 1) / page * page;
    settings->max_readers = (unsigned)kvi_lmdb_host->option_int(config, "max_readers");
    settings->sync = kvi_lmdb_host->option_int(config, "sync") != 0;
    settings->read_only = kvi_lmdb_host->option_int(config, "read_only") != 0;
    settings->check = kvi_lmdb_host->option_int(config, "check") != 0;
    settings->create = kvi_lmdb_host->option_int(config, "create") != 0;
    return read_mode(config, &settings->mode, error);
}

static void describe(const kvi_lmdb_store *store, kivi_instance *instance)
{
    const kvi_lmdb_env *env = store->env;
    kivi_capabilities *can = &instance->capabilities;

    instance->flags = KIVI_BACKEND_BLOCKING | KIVI_BACKEND_SHARED_READS | KIVI_BACKEND_IN_PLACE |
                      KIVI_BACKEND_INCREMENTS | KIVI_BACKEND_TAKES | KIVI_BACKEND_TOUCHES;
    if (env->settings.sync)
        instance->flags |= KIVI_BACKEND_GROUP_COMMIT;
    instance->layout = env->foreign ? KIVI_LAYOUT_FOREIGN : KIVI_LAYOUT_OURS;
    instance->max_lanes = 1;
    /* One byte of LMDB's is kept for keys that the mark would collide with. */
    instance->max_stored_key = KVI_LMDB_KEY_MAX - 1;
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
    can->durable = env->settings.sync;
    can->shared_keyspace = false;
    can->local = true;
}

static kivi_status store_open(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                              kivi_error **error)
{
    kvi_lmdb_settings settings;
    kvi_lmdb_store *store;
    kivi_status status = read_settings(config, &settings, error);

    if (status != KIVI_OK)
        return status;
    store = calloc(1, sizeof(*store));
    if (!store)
        return kvi_lmdb_fail(error, ENOMEM, "lmdb", "cannot open");
    store->sweep = (unsigned)kvi_lmdb_host->option_int(config, "sweep");
    store->reporter = kvi_lmdb_host->reporter(config);
    status = kvi_lmdb_env_get(kvi_lmdb_host->option_text(config, "path"), &settings, wait,
                              &store->env, error);
    if (status != KIVI_OK) {
        free(store);
        return status;
    }
    describe(store, instance);
    instance->handle = store;
    return KIVI_OK;
}

static void store_close(void *instance)
{
    kvi_lmdb_store *store = instance;

    kvi_lmdb_env_put(store->env);
    free(store);
}

static void store_abandon(void *instance)
{
    kvi_lmdb_store *store = instance;

    /* A read of the parent that goes on in the child still looks at the store. */
    if (kvi_lmdb_env_abandon(store->env))
        free(store);
}

static void store_detail(void *instance, char *text, size_t capacity)
{
    const kvi_lmdb_env *env = ((kvi_lmdb_store *)instance)->env;

    snprintf(text, capacity, "%s, map of %llu MiB%s%s%s", env->names.data,
             (unsigned long long)(env->map_size >> 20), env->settings.sync ? "" : ", sync=false",
             env->settings.read_only ? ", read only" : "",
             env->unlocked ? ", without a lock file: no process may write meanwhile" : "");
}

static void fork_prepare(void *instance)
{
    kvi_lmdb_fork_prepare(((kvi_lmdb_store *)instance)->env);
}

static void fork_parent(void *instance)
{
    kvi_lmdb_fork_parent(((kvi_lmdb_store *)instance)->env);
}

static void fork_child(void *instance)
{
    kvi_lmdb_fork_child(((kvi_lmdb_store *)instance)->env);
}

static const kivi_backend backend = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "lmdb",
    .schemes = "lmdb",
    .summary = "LMDB, the embedded default",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .open = store_open,
    .close = store_close,
    .abandon = store_abandon,
    .read = kvi_lmdb_read,
    .write = kvi_lmdb_write,
    .scan = kvi_lmdb_scan,
    .count = kvi_lmdb_count,
    .detail = store_detail,
    .fork_prepare = fork_prepare,
    .fork_parent = fork_parent,
    .fork_child = fork_child,
};

const kivi_backend *kivi_plugin(uint32_t host_abi, const kivi_host *host)
{
    if (host_abi != KIVI_BACKEND_ABI || host->struct_size < sizeof(kivi_host))
        return NULL;
    kvi_lmdb_host = host;
    return &backend;
}
