/* The LMDB files that this process has open: each once, however many stores are opened on it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"

#define FORK_WAIT_NS UINT64_C(100000000)

/* Recursive: what a caller's wait asks during an open may open or close another store. */
static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static const pthread_mutex_t unlocked = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static const char *opening; /* the file that an open in progress is about */
static kvi_lmdb_env *open_envs;
/* In a forked child: what the parent had open. */
static kvi_lmdb_env *inherited_envs;
static atomic_int owner;

/*
 * Makes an environment of the parent harmless in the child. Its lock table becomes memory of the child's
 * own, so that LMDB's cleaning up reaches no slot of the parent, and its descriptors are closed now, with
 * something else left in their place: closed later, they would take away the locks of an
 * environment that the child has opened itself meanwhile. The data stays mapped: a read may be going on.
 */
static void inherit(kvi_lmdb_env *env)
{
    size_t size = env->lock_map.end - env->lock_map.start;
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    env->inherited = true;
    for (unsigned i = 0; i < env->fd_count && nothing >= 0; i++)
        dup3(nothing, env->fds[i], O_CLOEXEC);
    if (nothing >= 0)
        close(nothing);
    if (size && mmap((void *)env->lock_map.start, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        env->whole = false;
    if (!size && !env->unlocked)
        env->whole = false;
    kvi_lmdb_writer_close(env);
}

/* Takes the mutex. The first to do so in a forked child sets apart what is the parent's. */
static void registry_lock(void)
{
    pid_t pid = getpid();

    if (owner && owner != pid) {
        memcpy(&mutex, &unlocked, sizeof(mutex));
        opening = NULL;
        while (open_envs) {
            kvi_lmdb_env *env = open_envs;
            open_envs = env->next;
            env->next = inherited_envs;
            inherited_envs = env;
            if (!env->inherited)
                inherit(env);
        }
    }
    owner = pid;
    pthread_mutex_lock(&mutex);
}

static kivi_status refuse(kivi_error **error, const char *file, const char *why)
{
    KVI_LMDB_ERROR(error, KIVI_BUSY, 0, KIVI_RETRY_NO, "%s: %s", file, why);
    return KIVI_BUSY;
}

static kvi_lmdb_env *find(const struct stat *data, const struct stat *lock)
{
    for (kvi_lmdb_env *env = open_envs; env; env = env->next) {
        if (data && env->device == data->st_dev && env->inode == data->st_ino)
            return env;
        if (lock && env->device == lock->st_dev && env->lock_inode == lock->st_ino)
            return env;
    }
    return NULL;
}

/* Whether a map of this file that the process has is one the parent left. */
static bool is_inherited(const struct stat *info)
{
    for (const kvi_lmdb_env *env = inherited_envs; env; env = env->next)
        if (env->device == info->st_dev && (env->inode == info->st_ino || env->lock_inode == info->st_ino))
            return true;
    return false;
}

static const char *difference(const kvi_lmdb_settings *old, const kvi_lmdb_settings *new)
{
    if (old->sync != new->sync)
        return "this process has it open with another `sync`";
    if (old->read_only != new->read_only)
        return "this process has it open with another `read_only`";
    if (old->map_size != new->map_size)
        return "this process has it open with another `map_size`";
    if (old->max_readers != new->max_readers)
        return "this process has it open with another `max_readers`";
    return NULL;
}

/* One that is open already, or NULL when the file may be opened. */
static kivi_status find_open(const kvi_lmdb_names *names, const kvi_lmdb_settings *settings,
                             kvi_lmdb_env **found, kivi_error **error)
{
    struct stat data, lock;
    bool has_data = stat(names->data, &data) == 0, has_lock = stat(names->lock, &lock) == 0;
    const char *why;

    *found = find(has_data ? &data : NULL, NULL);
    if (*found) {
        why = difference(&(*found)->settings, settings);
        return why ? refuse(error, names->data, why) : KIVI_OK;
    }
    if (find(NULL, has_lock ? &lock : NULL))
        return refuse(
            error, names->data,
            "the file was replaced or removed while this process has it open; close it first");
    if (has_data && !is_inherited(&data) &&
        kvi_lmdb_is_mapped(names->data, data.st_dev, data.st_ino, NULL))
        return refuse(error, names->data,
                      "something else in this process has the file open; LMDB cannot stand that");
    if (has_lock && !is_inherited(&lock) &&
        kvi_lmdb_is_mapped(names->lock, lock.st_dev, lock.st_ino, NULL))
        return refuse(
            error, names->lock,
            "something else in this process has the lock file open; LMDB cannot stand that");
    return KIVI_OK;
}

static kivi_status open_new(kvi_lmdb_names *names, const kvi_lmdb_settings *settings,
                            kivi_wait *wait, kvi_lmdb_env **opened, kivi_error **error)
{
    const char *outer = opening;
    kvi_lmdb_env *env;
    kivi_status status;

    if (opening && strcmp(opening, names->env) == 0)
        return refuse(error, names->data, "is being opened by this thread");
    env = aligned_alloc(_Alignof(kvi_lmdb_env), sizeof(*env));
    if (!env)
        return kvi_lmdb_fail(error, ENOMEM, names->data, "cannot open");
    memset((void *)env, 0, sizeof(*env));
    env->settings = *settings;
    env->map_size = settings->map_size;
    env->names = *names;
    opening = env->names.env;
    status = kvi_lmdb_env_open(env, wait, error);
    opening = outer;
    if (status != KIVI_OK) {
        free(env);
        return status;
    }
    memset(names, 0, sizeof(*names));
    env->next = open_envs;
    open_envs = env;
    *opened = env;
    return KIVI_OK;
}

kivi_status kvi_lmdb_env_get(const char *path, const kvi_lmdb_settings *settings, kivi_wait *wait,
                             kvi_lmdb_env **env, kivi_error **error)
{
    kvi_lmdb_names names;
    kivi_status status;

    registry_lock();
    status = kvi_lmdb_names_find(path, settings, &names, error);
    if (status == KIVI_OK)
        status = find_open(&names, settings, env, error);
    if (status == KIVI_OK && !*env)
        status = open_new(&names, settings, wait, env, error);
    else if (status == KIVI_OK && settings->check)
        status = kvi_lmdb_verify(*env, wait, error);
    if (status == KIVI_OK)
        (*env)->refs++;
    pthread_mutex_unlock(&mutex);
    kvi_lmdb_names_free(&names);
    return status;
}

static void unlink_env(kvi_lmdb_env **list, const kvi_lmdb_env *env)
{
    while (*list && *list != env)
        list = &(*list)->next;
    if (*list)
        *list = env->next;
}

void kvi_lmdb_env_put(kvi_lmdb_env *env)
{
    registry_lock();
    if (--env->refs == 0) {
        unlink_env(&open_envs, env);
        kvi_lmdb_env_close(env);
        kvi_lmdb_names_free(&env->names);
        free(env);
    }
    pthread_mutex_unlock(&mutex);
}

bool kvi_lmdb_env_abandon(kvi_lmdb_env *env)
{
    bool idle = true;

    registry_lock();
    for (unsigned i = 0; i < env->slot_count; i++)
        idle = idle && !atomic_load(&env->slots[i].taken);
    /* What a read or write of the parent was changing when it forked is left alone, and reachable. */
    if (--env->refs == 0 && env->whole && idle) {
        unlink_env(&inherited_envs, env);
        kvi_lmdb_env_close(env);
        kvi_lmdb_names_free(&env->names);
        free(env);
    }
    pthread_mutex_unlock(&mutex);
    return idle;
}

void kvi_lmdb_fork_prepare(kvi_lmdb_env *env)
{
    if (env->forking++ > 0)
        return;
    /* No write of this process is in progress, or it takes too long and the child leaves the memory alone. */
    env->whole = kvi_lmdb_lock_until(&env->turn, kvi_lmdb_host->monotonic_ns() + FORK_WAIT_NS) == 0;
}

void kvi_lmdb_fork_parent(kvi_lmdb_env *env)
{
    if (--env->forking > 0)
        return;
    if (env->whole)
        pthread_mutex_unlock(&env->turn);
    env->whole = false;
}

void kvi_lmdb_fork_child(kvi_lmdb_env *env)
{
    if (--env->forking > 0)
        return;
    if (env->whole)
        pthread_mutex_unlock(&env->turn);
    if (!env->inherited)
        inherit(env);
}
