/* bolt: the table and the options of the backend over files of bbolt. The engine is in common/go. */
#include "../common/go/go.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define KEY_MOST 32768
#define VALUE_MOST ((UINT64_C(1) << 31) - 2)
#define ATOMIC_MAX (UINT64_C(1) << 20)
#define FILE_NAME "kivigo.db" /* in a directory */
#define MARK "kivi"           /* the bucket of expiries */

#define OPTION(name, type, text, words, least, most, help)                            \
    {                                                                                 \
        sizeof(kivi_option_info), 0, name, type, text, NULL, words, least, most, help \
    }

static const kivi_option_info options[] = {
    {sizeof(kivi_option_info), KIVI_OPTION_REQUIRED, "path", KIVI_OPTION_STRING, NULL, NULL, NULL,
     0, 0, "a file, or a directory that holds " FILE_NAME " (one that ends in '/' is made)"},
    OPTION("bucket", KIVI_OPTION_STRING, "kivigo", NULL, 0, 0, "the bucket that holds the pairs"),
    OPTION("sync", KIVI_OPTION_BOOL, "true", NULL, 0, 0,
           "acknowledged means on disk; false: a power cut may damage the file"),
    OPTION("read_only", KIVI_OPTION_BOOL, "false", NULL, 0, 0,
           "only read, together with other readers; writes answer DENIED"),
    OPTION("create", KIVI_OPTION_BOOL, "true", NULL, 0, 0, "make the file when there is none"),
    OPTION("hold", KIVI_OPTION_CHOICE, "open", "open call", 0, 0,
           "call: have the file open only while a call runs, to share it with other processes"),
    OPTION("map_size", KIVI_OPTION_SIZE, "64GiB", NULL, 65536, INT64_MAX / 4,
           "address space to reserve, no memory or disk; grows when the file needs it"),
    OPTION("page_size", KIVI_OPTION_SIZE, "0", NULL, 0, 65536,
           "of a new file, a power of two from 1 KiB; 0: the system's"),
    OPTION("mode", KIVI_OPTION_STRING, "0600", NULL, 0, 0, "permissions of a new file, in octal"),
};

static kivi_status refuse(kivi_error **error, const char *text)
{
    *error = kvi_go_core->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "%s", text);
    return KIVI_INVALID;
}

static kivi_status read_mode(const kivi_config *config, uint32_t *mode, kivi_error **error)
{
    const char *text = kvi_go_core->option_text(config, "mode");
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 8);
    if (errno || *end || *text < '0' || *text > '7' || value > 0777 || (value & 0600) != 0600)
        return refuse(
            error,
            "mode: octal permissions that let the owner read and write, such as 0600 or 0664");
    *mode = (uint32_t)value;
    return KIVI_OK;
}

static kivi_status read_options(const kivi_config *config, kvi_go_request *request, kivi_error **error)
{
    const kivi_host *core = kvi_go_core;
    kvi_go_settings *settings = &request->settings;
    int64_t page = core->option_int(config, "page_size");

    request->kind = KVI_GO_BOLT;
    request->name = core->option_text(config, "bucket");
    request->max_key = KEY_MOST;
    request->by_call = strcmp(core->option_text(config, "hold"), "call") == 0;
    settings->sync = core->option_int(config, "sync") != 0;
    settings->read_only = core->option_int(config, "read_only") != 0;
    settings->create = !settings->read_only && core->option_int(config, "create") != 0;
    settings->map_size = core->option_int(config, "map_size");
    settings->page_size = page;
    if (page && (page < 1024 || page & (page - 1)))
        return refuse(error, "page_size: a power of two, from 1 KiB to 64 KiB, or 0");
    if (!request->name || !*request->name)
        return refuse(error, "bucket: a name is missing");
    if (strcmp(request->name, MARK) == 0)
        return refuse(error, "bucket: \"" MARK "\" is where expiries lie");
    return read_mode(config, &settings->mode, error);
}

/* The file that a path means; to be freed. */
static kivi_status find_path(const char *path, const kvi_go_settings *settings, char **file,
                             kivi_error **error)
{
    size_t size = path ? strlen(path) : 0;
    struct stat info;
    bool ends = size && path[size - 1] == '/';
    bool folder;

    if (!size)
        return refuse(error, "no path: say bolt:FILE or bolt:DIRECTORY/");
    if (ends && settings->create && mkdir(path, settings->mode | 0100) != 0 && errno != EEXIST) {
        *error = kvi_go_core->error(errno == EACCES || errno == EROFS ? KIVI_DENIED : KIVI_INVALID,
                                    errno, KIVI_RETRY_NO, "%s: cannot make the directory: %s", path,
                                    strerror(errno));
        return errno == EACCES || errno == EROFS ? KIVI_DENIED : KIVI_INVALID;
    }
    folder = ends || (stat(path, &info) == 0 && S_ISDIR(info.st_mode));
    if (asprintf(file, "%s%s", path, folder ? ends ? FILE_NAME : "/" FILE_NAME : "") >= 0)
        return KIVI_OK;
    *file = NULL;
    *error = kvi_go_core->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_YES, "out of memory");
    return KIVI_NO_MEMORY;
}

static void describe(const kvi_go_store *store, kivi_instance *instance)
{
    kivi_capabilities *can = &instance->capabilities;

    instance->flags = KIVI_BACKEND_BLOCKING | KIVI_BACKEND_SHARED_READS | KIVI_BACKEND_INCREMENTS |
                      KIVI_BACKEND_TAKES | KIVI_BACKEND_TOUCHES | KIVI_BACKEND_FORK_REFUSED;
    if (store->file->settings.sync || store->file->by_call)
        instance->flags |= KIVI_BACKEND_GROUP_COMMIT;
    instance->layout = store->foreign ? KIVI_LAYOUT_FOREIGN : KIVI_LAYOUT_OURS;
    instance->max_lanes = 1;
    instance->max_stored_key = KEY_MOST;
    can->consistency = KIVI_LINEARIZABLE;
    can->max_value = VALUE_MOST;
    can->ttl_resolution_ms = 1;
    can->atomic_max = ATOMIC_MAX;
    can->ttl = KIVI_EMULATED;
    can->ttl_clock = KIVI_CLOCK_CALLER;
    can->order = KIVI_ORDER_BYTES;
    can->scan = can->snapshot = can->increment = can->conditions = KIVI_NATIVE;
    can->scan_once = can->local = true;
    can->durable = store->file->settings.sync;
}

static kivi_status bolt_open(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                             kivi_error **error)
{
    kvi_go_request request = {0};
    kvi_go_store *store = NULL;
    char *path = NULL;
    kivi_status status = read_options(config, &request, error);

    if (!status)
        status = find_path(kvi_go_core->option_text(config, "path"), &request.settings, &path, error);
    request.settings.path = path;
    if (!status)
        status = kvi_go_open_store(config, &request, wait, &store, error);
    free(path);
    if (status)
        return status;
    describe(store, instance);
    instance->handle = store;
    return KIVI_OK;
}

static void bolt_detail(void *instance, char *text, size_t capacity)
{
    const kvi_go_store *store = instance;
    const kvi_go_settings *settings = &store->file->settings;

    snprintf(text, capacity, "%s, bucket %s%s%s%s", settings->path, store->name,
             settings->sync ? "" : ", sync=false", settings->read_only ? ", read only" : "",
             store->file->by_call ? ", open while a call runs" : "");
}

static const kivi_backend backend = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "bolt",
    .schemes = "bolt",
    .summary = "BoltDB files, by bbolt",
    .options = options,
    .option_count = sizeof(options) / sizeof(*options),
    .open = bolt_open,
    .close = kvi_go_close,
    .abandon = kvi_go_abandon,
    .read = kvi_go_read_verb,
    .write = kvi_go_write_verb,
    .scan = kvi_go_scan_verb,
    .count = kvi_go_count_verb,
    .detail = bolt_detail,
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
