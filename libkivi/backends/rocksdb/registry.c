/* The folders that this process has open: each once, however many stores are opened on it, once more to read only. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rocks.h"

/* Not held while an open waits for others: what its wait asks may open or close another store. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static rocks_engine *engines;

static rocks_engine *find(rocks_id id, bool read_only)
{
    for (rocks_engine *at = engines; at; at = at->next)
        if (kvi_rocks_is_same(at->id, id) && at->settings.read_only == read_only)
            return at;
    return NULL;
}

static kivi_status refuse(kivi_error **error, const char *folder, const char *what, const char *name)
{
    *error = kvi_rocks_host->error(KIVI_BUSY, 0, KIVI_RETRY_NO, "%s: %s%s", folder, what, name);
    return KIVI_BUSY;
}

/* One that is open, after waiting for a thread that opens or closes it; NULL: there is none. */
static kivi_status find_opened(const char *folder, rocks_id id, const rocks_settings *settings,
                               kivi_wait *wait, rocks_engine **found, kivi_error **error)
{
    while ((*found = find(id, settings->read_only)) && (*found)->opening) {
        kivi_status status;

        if (pthread_equal((*found)->opener, pthread_self()))
            return refuse(error, folder, "is being opened by this thread", "");
        pthread_mutex_unlock(&mutex);
        status = kivi_wait_check(wait);
        if (status == KIVI_OK)
            kvi_rocks_sleep(1000000);
        pthread_mutex_lock(&mutex);
        if (status != KIVI_OK)
            return kvi_rocks_gave_up(error, status, folder, "another thread opens or closes it");
    }
    const char *option = *found ? kvi_rocks_settings_difference(&(*found)->settings, settings) : NULL;
    return option ? refuse(error, folder, "this process has it open with another ", option) : KIVI_OK;
}

static void destroy(rocks_engine *engine)
{
    rocks_engine **at = &engines;

    while (*at != engine)
        at = &(*at)->next;
    *at = engine->next;
    if (engine->folder_fd >= 0)
        close(engine->folder_fd);
    kvi_rocks_settings_clear(&engine->settings);
    kvi_rocks_stripes_destroy(&engine->stripes);
    pthread_mutex_destroy(&engine->mutex);
    pthread_mutex_destroy(&engine->sweeping);
    free(engine->sweep_key);
    free(engine->folder);
    free(engine);
}

/* In the list, so that others wait for it. Takes over the name and the settings. */
static rocks_engine *create(char **folder, int fd, rocks_id id, rocks_settings *settings)
{
    rocks_engine *engine = calloc(1, sizeof(*engine));

    if (!engine)
        return NULL;
    engine->folder = *folder;
    *folder = NULL;
    engine->settings = *settings;
    settings->options_file = NULL;
    engine->folder_fd = fd;
    engine->id = id;
    pthread_mutex_init(&engine->mutex, NULL);
    pthread_mutex_init(&engine->sweeping, NULL);
    kvi_rocks_stripes_init(&engine->stripes);
    engine->opening = true;
    engine->opener = pthread_self();
    engine->refs = 1;
    engine->next = engines;
    engines = engine;
    return engine;
}

/* Without the mutex in between. */
static kivi_status open_new(char **folder, int fd, rocks_id id, rocks_settings *settings,
                            kivi_wait *wait, rocks_engine **opened, kivi_error **error)
{
    rocks_engine *engine = create(folder, fd, id, settings);
    kivi_status status;

    if (!engine) {
        close(fd);
        return kvi_rocks_no_memory(error, *folder);
    }
    pthread_mutex_unlock(&mutex);
    status = kvi_rocks_engine_open(engine, wait, error);
    if (status != KIVI_OK)
        kvi_rocks_engine_close(engine);
    pthread_mutex_lock(&mutex);
    engine->opening = false;
    if (status == KIVI_OK)
        *opened = engine;
    else
        destroy(engine);
    return status;
}

static kivi_status get(char **folder, rocks_settings *settings, kivi_wait *wait,
                       rocks_engine **engine, kivi_error **error)
{
    int fd = open(*folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat info;
    kivi_status status;

    if (fd < 0 || fstat(fd, &info) != 0) {
        status = kvi_rocks_fail_errno(error, errno, *folder, "cannot open");
        if (fd >= 0)
            close(fd);
        return status;
    }
    rocks_id id = {info.st_dev, info.st_ino};
    pthread_mutex_lock(&mutex);
    status = find_opened(*folder, id, settings, wait, engine, error);
    if (status == KIVI_OK && !*engine) {
        status = open_new(folder, fd, id, settings, wait, engine, error);
    } else {
        if (status == KIVI_OK)
            (*engine)->refs++;
        close(fd);
    }
    pthread_mutex_unlock(&mutex);
    return status;
}

kivi_status kvi_rocks_engine_get(const char *path, rocks_settings *settings, kivi_wait *wait,
                                 rocks_engine **engine, kivi_error **error)
{
    char *folder = NULL;
    kivi_status status;

    if (kvi_rocks_is_forked()) {
        *error = kvi_rocks_host->error(
            KIVI_FORKED, 0, KIVI_RETRY_NO,
            "a process that was forked by one which uses RocksDB cannot use it");
        return KIVI_FORKED;
    }
    status = kvi_rocks_folder_find(path, settings, &folder, error);
    if (status == KIVI_OK)
        status = get(&folder, settings, wait, engine, error);
    free(folder);
    return status;
}

void kvi_rocks_engine_put(rocks_engine *engine)
{
    pthread_mutex_lock(&mutex);
    if (--engine->refs == 0) {
        /* RocksDB may take its time: others do not wait for it but for this folder. */
        engine->opening = true;
        engine->opener = pthread_self();
        pthread_mutex_unlock(&mutex);
        kvi_rocks_engine_close(engine);
        pthread_mutex_lock(&mutex);
        destroy(engine);
    }
    pthread_mutex_unlock(&mutex);
}
