/* Stores and the files that they share: each is open once in a process. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define FIRST_NAP_NS UINT64_C(1000000)
#define LONGEST_NAP_NS UINT64_C(20000000)

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static kvi_go_file *files;

/* ---- Files ---- */

static void file_free(kvi_go_file *file)
{
    if (file->settings.secret.size)
        kvi_erase((void *)file->settings.secret.data, file->settings.secret.size);
    free((void *)file->settings.secret.data);
    free((void *)file->settings.path);
    free((void *)file->settings.compression);
    pthread_mutex_destroy(&file->turn);
    free(file);
}

static char *copy_of(const char *text, bool *failed)
{
    char *copy = text ? strdup(text) : NULL;
    *failed = *failed || (text && !copy);
    return copy;
}

static kvi_go_file *file_new(const kvi_go_request *request)
{
    const kivi_slice *secret = &request->settings.secret;
    kvi_go_file *file = calloc(1, sizeof(*file));
    bool failed = false;
    void *bytes;

    if (!file)
        return NULL;
    pthread_mutex_init(&file->turn, NULL);
    file->settings = request->settings;
    file->by_call = request->by_call;
    file->opening = true;
    file->opened.fd = -1;
    atomic_init(&file->refs, 1);
    file->settings.path = copy_of(request->settings.path, &failed);
    file->settings.compression = copy_of(request->settings.compression, &failed);
    bytes = secret->size ? malloc(secret->size) : NULL;
    if (bytes)
        memcpy(bytes, secret->data, secret->size);
    failed = failed || (secret->size && !bytes);
    file->settings.secret = kivi_bytes(bytes, bytes ? secret->size : 0);
    if (!failed)
        return file;
    file_free(file);
    return NULL;
}

/* One that is this file, whatever its name; one that is being opened is known by its name alone. */
static kvi_go_file *find(const char *path)
{
    struct stat info;
    bool there = stat(path, &info) == 0;

    for (kvi_go_file *file = files; file; file = file->next) {
        if (file->opening ? strcmp(file->settings.path, path) == 0
                          : there && file->device == info.st_dev && file->inode == info.st_ino)
            return file;
    }
    return NULL;
}

static const char *difference(const kvi_go_file *file, const kvi_go_request *request)
{
    const kvi_go_settings *old = &file->settings, *new = &request->settings;
    const struct {
        const char *name;
        bool differs;
    } options[] = {
        {"sync", old->sync != new->sync},
        {"read_only", old->read_only != new->read_only},
        {"hold", file->by_call != request->by_call},
        {"map_size", old->map_size != new->map_size},
        {"memtable_size", old->memtable_size != new->memtable_size},
        {"table_size", old->table_size != new->table_size},
        {"value_threshold", old->value_threshold != new->value_threshold},
        {"value_log_size", old->value_log_size != new->value_log_size},
        {"block_cache", old->block_cache != new->block_cache},
        {"index_cache", old->index_cache != new->index_cache},
        {"compression", old->compression && strcmp(old->compression, new->compression) != 0},
        {"encryption_key",
         old->secret.size != new->secret.size ||
             (old->secret.size && memcmp(old->secret.data, new->secret.data, old->secret.size) != 0)}};

    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
        if (options[i].differs)
            return options[i].name;
    return NULL;
}

static void unlink_file(const kvi_go_file *file)
{
    kvi_go_file **at = &files;
    while (*at && *at != file)
        at = &(*at)->next;
    if (*at)
        *at = file->next;
}

/* The name that stays good when the process changes its directory, and what a hard link has in common with it. */
static void know(kvi_go_file *file)
{
    char *whole = realpath(file->settings.path, NULL);
    struct stat info;

    if (whole) {
        free((void *)file->settings.path);
        file->settings.path = whole;
    }
    if (stat(file->settings.path, &info) == 0) {
        file->device = info.st_dev;
        file->inode = info.st_ino;
    }
}

/* Opens what `find` did not find, with the mutex at begin and end but not meanwhile. */
static kivi_status open_file(const kvi_go_request *request, kvi_go_file **opened, kivi_error **error)
{
    kvi_go_failure failure;
    kvi_go_file *file = file_new(request);
    kivi_status status;

    if (!file)
        return kvi_go_no_memory(error);
    file->next = files;
    files = file;
    pthread_mutex_unlock(&mutex);
    kvi_go_core->guard_descriptors();
    status = kvi_go_library->open(request->kind, &file->settings, &file->opened, &failure);
    pthread_mutex_lock(&mutex);
    if (status) {
        unlink_file(file);
        file_free(file);
        return kvi_go_fail(error, &failure);
    }
    if (file->by_call) /* it is there and in order: from now on it is open only for verbs */
        kvi_go_library->close(file->opened.engine);
    else
        file->engine = file->opened.engine;
    know(file);
    file->opening = false;
    *opened = file;
    return KIVI_OK;
}

/* One try. PENDING: another thread is opening it. */
static kivi_status get_file(const kvi_go_request *request, kvi_go_file **file, kivi_error **error)
{
    const char *option;

    *file = find(request->settings.path);
    if (!*file)
        return open_file(request, file, error);
    if ((*file)->opening)
        return KIVI_PENDING;
    option = difference(*file, request);
    if (option)
        return KVI_GO_FAIL(error, KIVI_BUSY, 0, KIVI_RETRY_NO,
                           "%s: this process has it open with another `%s`", request->settings.path,
                           option);
    atomic_fetch_add(&(*file)->refs, 1);
    return KIVI_OK;
}

static bool may_wait(kivi_status status, const kivi_error *error)
{
    return status == KIVI_PENDING ||
           (status == KIVI_BUSY && kvi_go_core->error_retryable(error) == KIVI_RETRY_YES);
}

/* A file that somebody has is BUSY once the time is over: what the caller can do is the same. */
static kivi_status wait_for_file(const kvi_go_request *request, kivi_wait *wait, kvi_go_file **file,
                                 kivi_error **error)
{
    for (uint64_t pause = FIRST_NAP_NS;; kvi_go_nap(&pause, LONGEST_NAP_NS)) {
        kivi_status status, why;
        pthread_mutex_lock(&mutex);
        status = get_file(request, file, error);
        pthread_mutex_unlock(&mutex);
        if (!may_wait(status, *error))
            return status;
        why = kivi_wait_check(wait);
        if (why == KIVI_TIMEOUT && status == KIVI_BUSY)
            return status;
        kvi_go_core->error_free(*error);
        *error = NULL;
        if (why)
            return KVI_GO_FAIL(error, why, 0, KIVI_RETRY_YES, "%s: gave up waiting for the file",
                               request->settings.path);
    }
}

static void put_file(kvi_go_file *file)
{
    pthread_mutex_lock(&mutex);
    if (atomic_fetch_sub(&file->refs, 1) == 1) {
        unlink_file(file);
        if (file->engine)
            kvi_go_library->close(file->engine);
        file_free(file);
    }
    pthread_mutex_unlock(&mutex);
}

/* ---- Stores ---- */

static kivi_status attach(kvi_go_store *store, kivi_wait *wait, kivi_error **error)
{
    kvi_go_failure failure;
    int32_t foreign = 0;
    kivi_status status;

    if (store->file->by_call) {
        status = kvi_go_begin(store, false, wait, error);
        if (!status)
            kvi_go_end(store, false);
        return status;
    }
    status = kvi_go_library->attach(store->file->engine, store->name, &store->id, &foreign, &failure);
    store->foreign = foreign != 0;
    return status ? kvi_go_fail(error, &failure) : KIVI_OK;
}

kivi_status kvi_go_open_store(const kivi_config *config, const kvi_go_request *request,
                              kivi_wait *wait, kvi_go_store **opened, kivi_error **error)
{
    kivi_status status = kvi_go_load(error);
    kvi_go_store *store;

    if (status)
        return status;
    store = calloc(1, sizeof(*store));
    if (!store)
        return kvi_go_no_memory(error);
    store->kind = request->kind;
    store->max_key = request->max_key;
    store->name = strdup(request->name ? request->name : "");
    store->sweep = (uint32_t)kvi_go_core->option_int(config, "sweep");
    store->reporter = kvi_go_core->reporter(config);
    status = store->name ? wait_for_file(request, wait, &store->file, error) : kvi_go_no_memory(error);
    if (!status) {
        status = attach(store, wait, error);
        if (status)
            put_file(store->file);
    }
    if (!status) {
        *opened = store;
        return KIVI_OK;
    }
    free(store->name);
    free(store);
    return status;
}

void kvi_go_close(void *instance)
{
    kvi_go_store *store = instance;

    if (!store->file->by_call)
        kvi_go_library->detach(store->id);
    put_file(store->file);
    free(store->name);
    free(store);
}

/* In a child: the file's memory goes with its last store, the engine stays the parent's. */
void kvi_go_abandon(void *instance)
{
    kvi_go_store *store = instance;

    if (atomic_fetch_sub(&store->file->refs, 1) == 1 && store->file->whole)
        file_free(store->file);
    free(store->name);
    free(store);
}
