/* The LMDB files that this process has open: each once, however many stores are opened on it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../core/base/platform.h"
#include "engine.h"

#define FORK_WAIT_NS UINT64_C(100000000)

/* Not held while an open waits for others: what its wait asks may open or close another store. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
/* Also those that are being opened; and those that nobody has open, but in which the helper is at work. */
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
        kvi_descriptor_replace(env->fds[i], nothing);
    if (nothing >= 0)
        close(nothing);
    if (size && mmap((void *)env->lock_map.start, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        env->whole = false;
    if (!size && !env->unlocked)
        env->whole = false;
    if (!kvi_lmdb_helper_is_idle(env))
        env->whole = false;
    kvi_lmdb_writer_close(env);
    kvi_lmdb_claim_close(env);
}

/* Takes the mutex. The first to do so in a forked child sets apart what is the parent's. */
static void registry_lock(void)
{
    pid_t pid = getpid();

    if (owner && owner != pid) {
        memcpy(&mutex, &unlocked, sizeof(mutex));
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

/* One that is about a file; while it is being opened, the name counts as well. */
static kvi_lmdb_env *find(kvi_lmdb_id data, const char *name)
{
    for (kvi_lmdb_env *env = open_envs; env; env = env->next)
        if (kvi_lmdb_is_same(env->data_id, data) || (env->opening && strcmp(env->names.data, name) == 0))
            return env;
    return NULL;
}

static bool is_lock_in_use(kvi_lmdb_id lock)
{
    for (const kvi_lmdb_env *env = open_envs; env; env = env->next)
        if (kvi_lmdb_is_same(env->lock_id, lock))
            return true;
    return false;
}

/* Whether a map of this file that the process has is one the parent left. */
static bool is_inherited(kvi_lmdb_id id)
{
    for (const kvi_lmdb_env *env = inherited_envs; env; env = env->next)
        if (kvi_lmdb_is_same(env->data_id, id) || kvi_lmdb_is_same(env->lock_id, id))
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

static void unlink_env(kvi_lmdb_env **list, const kvi_lmdb_env *env)
{
    while (*list && *list != env)
        list = &(*list)->next;
    if (*list)
        *list = env->next;
}

/* One that is open already or being opened, or NULL when the file may be opened. */
static kivi_status find_open(const kvi_lmdb_names *names, const kvi_lmdb_settings *settings,
                             kvi_lmdb_env **found, kivi_error **error)
{
    kvi_lmdb_id data = kvi_lmdb_id_of(names->data), lock = kvi_lmdb_id_of(names->lock);
    const char *why;

    *found = find(data, names->data);
    if (*found) {
        why = difference(&(*found)->settings, settings);
        return why ? refuse(error, names->data, why) : KIVI_OK;
    }
    if (is_lock_in_use(lock))
        return refuse(
            error, names->data,
            "the file was replaced or removed while this process has it open; close it first");
    if (data.inode && !is_inherited(data) && kvi_lmdb_is_mapped(names->data, data, NULL))
        return refuse(error, names->data,
                      "something else in this process has the file open; LMDB does not allow that");
    if (lock.inode && !is_inherited(lock) && kvi_lmdb_is_mapped(names->lock, lock, NULL))
        return refuse(
            error, names->lock,
            "something else in this process has the lock file open; LMDB does not allow that");
    return KIVI_OK;
}

/* The same, after waiting for another thread that opens it. */
static kivi_status find_opened(const kvi_lmdb_names *names, const kvi_lmdb_settings *settings,
                               kivi_wait *wait, kvi_lmdb_env **found, kivi_error **error)
{
    for (;;) {
        kivi_status status = find_open(names, settings, found, error);

        if (status != KIVI_OK || !*found || !(*found)->opening)
            return status;
        if (pthread_equal((*found)->opener, pthread_self()))
            return refuse(error, names->data, "is being opened by this thread");
        pthread_mutex_unlock(&mutex);
        status = kivi_wait_check(wait);
        if (status == KIVI_OK)
            kvi_lmdb_sleep(1000000);
        registry_lock();
        if (status != KIVI_OK)
            return kvi_lmdb_gave_up(error, status, names->data, "another thread is opening it");
    }
}

/* Nobody has it open any more. */
static void let_go(kvi_lmdb_env *env)
{
    if (!kvi_lmdb_helper_end(env))
        return;
    unlink_env(&open_envs, env);
    kvi_lmdb_env_close(env);
    kvi_lmdb_names_free(&env->names);
    free(env);
}

/* Closes what a put left open because the helper was at work there; by the helper, at its end. */
static void put_late(kvi_lmdb_env *env)
{
    const kvi_lmdb_env *at;

    registry_lock();
    for (at = open_envs; at && at != env;)
        at = at->next;
    if (at && env->refs == 0)
        let_go(env);
    pthread_mutex_unlock(&mutex);
}

/* Without the mutex in between: others may be opened and closed meanwhile. */
static kivi_status open_new(kvi_lmdb_names *names, const kvi_lmdb_settings *settings,
                            kivi_wait *wait, kvi_lmdb_env **opened, kivi_error **error)
{
    kvi_lmdb_env *env = aligned_alloc(_Alignof(kvi_lmdb_env), sizeof(*env));
    kivi_status status;

    if (!env)
        return kvi_lmdb_fail(error, ENOMEM, names->data, "cannot open");
    memset((void *)env, 0, sizeof(*env));
    env->settings = *settings;
    env->map_size = settings->map_size;
    env->names = *names;
    env->shared_fd = env->claim_fd = -1;
    env->opening = true;
    env->opener = pthread_self();
    env->refs = 1;
    env->helper.ended = put_late;
    memset(names, 0, sizeof(*names));
    env->next = open_envs;
    open_envs = env;
    pthread_mutex_unlock(&mutex);
    status = kvi_lmdb_env_open(env, wait, error);
    registry_lock();
    env->opening = false;
    if (status == KIVI_OK) {
        *opened = env;
        return KIVI_OK;
    }
    env->refs = 0;
    kvi_lmdb_claim_undo(env);
    let_go(env);
    return status;
}

kivi_status kvi_lmdb_env_get(const char *path, const kvi_lmdb_settings *settings, kivi_wait *wait,
                             kvi_lmdb_env **env, kivi_error **error)
{
    kvi_lmdb_names names;
    kivi_status status;
    bool found = false;

    registry_lock();
    status = kvi_lmdb_names_find(path, settings, &names, error);
    if (status == KIVI_OK)
        status = find_opened(&names, settings, wait, env, error);
    if (status == KIVI_OK) {
        found = *env != NULL;
        if (found)
            (*env)->refs++;
        else
            status = open_new(&names, settings, wait, env, error);
    }
    pthread_mutex_unlock(&mutex);
    kvi_lmdb_names_free(&names);
    if (!found || !settings->check)
        return status;
    status = kvi_lmdb_verify(*env, wait, error);
    if (status != KIVI_OK)
        kvi_lmdb_env_put(*env);
    return status;
}

void kvi_lmdb_env_put(kvi_lmdb_env *env)
{
    registry_lock();
    if (--env->refs == 0)
        let_go(env);
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
    env->whole = kvi_mutex_lock_until(&env->turn, kvi_lmdb_host->monotonic_ns() + FORK_WAIT_NS) == 0;
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
