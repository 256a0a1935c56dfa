/* badger: the table and the options of the backend over directories of Badger. The engine is in common/go. */
#include "badger.h"

#include <stdio.h>

#include "../../core/base/platform.h"

#define KEY_MOST 65000
#define RESERVED "!badger!"
#define INDEX_CACHE_ENCRYPTED (INT64_C(16) << 20) /* Badger wants one where there is a key */

#define OPTION(name, type, text, words, least, most, help)                            \
    {                                                                                 \
        sizeof(kivi_option_info), 0, name, type, text, NULL, words, least, most, help \
    }
#define SIZE(name, text, least, most, help) \
    OPTION(name, KIVI_OPTION_SIZE, text, NULL, least, most, help)
#define MIB(n) (INT64_C(n) << 20)

static const kivi_option_info options[] = {
    {sizeof(kivi_option_info), KIVI_OPTION_REQUIRED, "path", KIVI_OPTION_STRING, NULL, NULL, NULL,
     0, 0, "a directory"},
    OPTION("sync", KIVI_OPTION_BOOL, "false", NULL, 0, 0,
           "acknowledged means on disk; false: a power cut may lose the last writes"),
    OPTION("read_only", KIVI_OPTION_BOOL, "false", NULL, 0, 0,
           "only read, together with other readers; writes answer DENIED"),
    OPTION("create", KIVI_OPTION_BOOL, "true", NULL, 0, 0, "make the directory when there is none"),
    OPTION("check", KIVI_OPTION_BOOL, "false", NULL, 0, 0,
           "read all tables at open; damaged ones answer CORRUPT"),
    OPTION("compression", KIVI_OPTION_CHOICE, "snappy", "none snappy zstd", 0, 0, "of new tables"),
    SIZE("memtable_size", "64MiB", MIB(1), MIB(1024),
         "a table in memory; a seventh of it is the most of an atomic batch"),
    SIZE("table_size", "2MiB", MIB(1), MIB(1024), "a table on disk"),
    SIZE("value_threshold", "1MiB", 32, MIB(1),
         "longer values lie in a log of their own; at most an eighth of memtable_size"),
    SIZE("value_log_size", "1073741823", MIB(1), 2147483647, "a file of that log, and the longest value"),
    SIZE("block_cache", "32MiB", MIB(1), INT64_MAX / 4, "blocks of tables in memory"),
    SIZE("index_cache", "0", 0, INT64_MAX / 4,
         "indexes of tables in memory; 0: all of them, 16 MiB with an encryption key"),
    {sizeof(kivi_option_info), KIVI_OPTION_SECRET, "encryption_key", KIVI_OPTION_STRING, NULL, NULL,
     NULL, 0, 0, "32, 48 or 64 hexadecimal digits: AES of 128, 192 or 256 bits"},
    OPTION("encryption_key_file", KIVI_OPTION_STRING, NULL, NULL, 0, 0, "a file that holds them"),
    OPTION("collect", KIVI_OPTION_BOOL, "false", NULL, 0, 0,
           "rewrite the log of long values at open, where half of a file is of no use"),
};

static void read_options(const kivi_config *config, kvi_go_request *request)
{
    const kivi_host *core = kvi_go_core;
    kvi_go_settings *settings = &request->settings;

    request->kind = KVI_GO_BADGER;
    request->max_key = KEY_MOST;
    settings->path = core->option_text(config, "path");
    settings->sync = core->option_int(config, "sync") != 0;
    settings->read_only = core->option_int(config, "read_only") != 0;
    settings->create = core->option_int(config, "create") != 0;
    settings->check = core->option_int(config, "check") != 0;
    settings->collect = core->option_int(config, "collect") != 0;
    settings->compression = core->option_text(config, "compression");
    settings->memtable_size = core->option_int(config, "memtable_size");
    settings->table_size = core->option_int(config, "table_size");
    settings->value_threshold = core->option_int(config, "value_threshold");
    settings->value_log_size = core->option_int(config, "value_log_size");
    settings->block_cache = core->option_int(config, "block_cache");
    settings->index_cache = core->option_int(config, "index_cache");
}

/* A transaction holds a seventh of a table in memory: values that lie in it may not be longer. */
static kivi_status check_options(const kivi_config *config, kvi_go_settings *settings, kivi_error **error)
{
    const char *why = NULL;
    int64_t most = settings->memtable_size / 8;

    if (!settings->path || !*settings->path)
        why = "no path: say badger:DIRECTORY";
    else if (settings->value_threshold > most &&
             kvi_go_core->option_is_set(config, "value_threshold"))
        why = "value_threshold: at most an eighth of memtable_size";
    if (settings->value_threshold > most)
        settings->value_threshold = most;
    if (!why)
        return KIVI_OK;
    *error = kvi_go_core->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "%s", why);
    return KIVI_INVALID;
}

static void describe(const kvi_go_store *store, kivi_instance *instance)
{
    const kvi_go_file *file = store->file;
    kivi_capabilities *can = &instance->capabilities;

    instance->flags = KIVI_BACKEND_BLOCKING | KIVI_BACKEND_SHARED_READS | KIVI_BACKEND_INCREMENTS |
                      KIVI_BACKEND_TAKES | KIVI_BACKEND_TOUCHES | KIVI_BACKEND_FORK_REFUSED;
    if (file->settings.sync)
        instance->flags |= KIVI_BACKEND_GROUP_COMMIT;
    instance->layout = KIVI_LAYOUT_UNMARKED;
    instance->max_lanes = 1;
    instance->max_items = file->opened.max_items;
    instance->max_bytes = file->opened.max_bytes;
    instance->max_stored_key = KEY_MOST;
    instance->escape.reserved_prefix = RESERVED;
    can->consistency = KIVI_LINEARIZABLE;
    can->max_value = (uint64_t)file->settings.value_log_size;
    can->ttl_resolution_ms = 4;
    can->atomic_max = file->opened.max_items;
    can->ttl = can->scan = can->snapshot = can->increment = can->conditions = KIVI_NATIVE;
    can->ttl_clock = KIVI_CLOCK_CALLER;
    can->order = KIVI_ORDER_BYTES;
    can->scan_once = can->local = true;
    can->durable = file->settings.sync;
}

static kivi_status badger_open(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                               kivi_error **error)
{
    kvi_go_request request = {0};
    kvi_go_store *store = NULL;
    kvi_badger_key key;
    kivi_status status;

    read_options(config, &request);
    status = check_options(config, &request.settings, error);
    if (!status)
        status = kvi_badger_read_key(config, &key, error);
    if (status)
        return status;
    request.settings.secret = kivi_bytes(key.bytes, key.size);
    if (key.size && !request.settings.index_cache)
        request.settings.index_cache = INDEX_CACHE_ENCRYPTED;
    status = kvi_go_open_store(config, &request, wait, &store, error);
    kvi_erase(&key, sizeof(key));
    if (status)
        return status;
    describe(store, instance);
    instance->handle = store;
    return KIVI_OK;
}

static void badger_detail(void *instance, char *text, size_t capacity)
{
    const kvi_go_settings *settings = &((kvi_go_store *)instance)->file->settings;

    snprintf(text, capacity, "%s, sync=%s%s%s", settings->path, settings->sync ? "true" : "false",
             settings->read_only ? ", read only" : "", settings->secret.size ? ", encrypted" : "");
}

static const kivi_backend backend = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "badger",
    .schemes = "badger",
    .summary = "BadgerDB directories",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .open = badger_open,
    .close = kvi_go_close,
    .abandon = kvi_go_abandon,
    .read = kvi_go_read_verb,
    .write = kvi_go_write_verb,
    .scan = kvi_go_scan_verb,
    .count = kvi_go_count_verb,
    .detail = badger_detail,
    .fork_prepare = kvi_go_fork_prepare,
    .fork_parent = kvi_go_fork_parent,
    .fork_child = kvi_go_fork_child,
};

const kivi_backend *kivi_plugin(uint32_t host_abi, const kivi_host *host)
{
    if (host_abi != KIVI_BACKEND_ABI || host->struct_size < sizeof(kivi_host))
        return NULL;
    kvi_go_core = host;
    return &backend;
}
