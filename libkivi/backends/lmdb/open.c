/* An LMDB file is opened, verified where that is asked for, marked where it is new, and closed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../core/base/platform.h"
#include "engine.h"

#define LOCK_HEADER 192
#define LOCK_SLOT 64

/* Gives the lock file its blocks: LMDB writes to a map of it, which a full disk makes deadly. */
static int lock_file_fill(const kvi_lmdb_env *env)
{
    off_t size = LOCK_HEADER + (off_t)env->settings.max_readers * LOCK_SLOT;
    struct stat info;
    int fd, rc = 0;

    fd = open(env->names.lock, O_RDWR | O_CREAT | O_CLOEXEC, env->settings.mode);
    if (fd < 0)
        return env->settings.read_only ? 0 : errno;
    if (fstat(fd, &info) == 0 && info.st_blocks * 512 < size)
        rc = kvi_file_reserve(fd, size);
    close(fd);
    return rc;
}

/* A new file is there after a power cut only when its folder is on disk as well. */
static kivi_status folder_sync(const kvi_lmdb_env *env, kivi_error **error)
{
    int fd = open(env->names.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    if (rc == 0 || rc == EINVAL || rc == EACCES)
        return KIVI_OK;
    return kvi_lmdb_fail(error, rc, env->names.folder, "cannot sync");
}

static kivi_status slots_make(kvi_lmdb_env *env, kivi_error **error)
{
    unsigned count = 0;

    mdb_env_get_maxreaders(env->mdb, &count);
    env->slots = aligned_alloc(_Alignof(kvi_lmdb_slot), count * sizeof(*env->slots));
    if (!env->slots)
        return kvi_lmdb_fail(error, ENOMEM, env->names.data, "cannot open");
    memset((void *)env->slots, 0, count * sizeof(*env->slots));
    env->slot_count = count;
    /* A quarter at most: other processes need places, too. */
    for (env->kept = 1; env->kept * 8 <= count && env->kept < KVI_LMDB_KEPT;)
        env->kept *= 2;
    return KIVI_OK;
}

static kivi_status check_file(const kvi_lmdb_env *env, bool *created, kivi_error **error)
{
    struct stat info;

    *created = false;
    if (stat(env->names.data, &info) == 0) {
        if (S_ISREG(info.st_mode) && info.st_size == 0 && env->settings.read_only) {
            KVI_LMDB_ERROR(error, KIVI_CORRUPT, MDB_INVALID, KIVI_RETRY_NO,
                           "%s: the file is empty, and it is not to be written", env->names.data);
            return KIVI_CORRUPT;
        }
        if (S_ISREG(info.st_mode))
            return kvi_lmdb_inspect(env->names.data, error);
        KVI_LMDB_ERROR(error, KIVI_INVALID, 0, KIVI_RETRY_NO, "%s: not a file", env->names.data);
        return KIVI_INVALID;
    }
    if (errno != ENOENT)
        return kvi_lmdb_fail(error, errno, env->names.data, "cannot open");
    if (env->settings.create && !env->settings.read_only) {
        *created = true;
        return KIVI_OK;
    }
    KVI_LMDB_ERROR(error, KIVI_INVALID, ENOENT, KIVI_RETRY_NO, "%s: there is no such file%s",
                   env->names.data, env->settings.read_only ? "" : " (create=false)");
    return KIVI_INVALID;
}

/* Marks a new file as ours: a write like any other. */
static kivi_status mark_new(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error)
{
    kivi_status status = kvi_lmdb_writer_take(env, wait, error);
    bool wanted = false;

    while (status == KIVI_OK) {
        int rc = kvi_lmdb_make_mark(env, wait, &wanted);

        if (rc == KVI_LMDB_HELD) {
            status = kvi_lmdb_write_wait(env, wait, &wanted, error);
            continue;
        }
        if (rc == MDB_MAP_RESIZED)
            status = kvi_lmdb_adopt_size(env, error);
        else if (rc != 0)
            status = kvi_lmdb_fail(error, rc, env->names.data, "cannot make the file");
        if (rc == MDB_MAP_RESIZED && status == KIVI_OK)
            continue;
        kvi_lmdb_writer_give(env);
        break;
    }
    return status;
}

/* All that must be held before LMDB may have the file. */
static kivi_status take_locks(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error)
{
    kivi_status status;
    int rc;

    kvi_lmdb_host->guard_descriptors();
    status = kvi_lmdb_claim_open(env, error);
    if (status == KIVI_OK)
        status = kvi_lmdb_writer_open(env, wait, error);
    if (status != KIVI_OK)
        return status;
    rc = lock_file_fill(env);
    if (rc != 0)
        return kvi_lmdb_fail(error, rc, env->names.lock, "cannot make the lock file");
    status = kvi_lmdb_claim(env, wait, error);
    return status == KIVI_OK ? kvi_lmdb_writer_note(env, error) : status;
}

/* As a failed map, one that is damaged is not kept. */
static kivi_status verify(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error)
{
    kivi_status status = kvi_lmdb_verify(env, wait, error);

    if (status != KIVI_OK) {
        mdb_env_close(env->mdb);
        env->mdb = NULL;
    }
    return status;
}

kivi_status kvi_lmdb_env_open(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error)
{
    bool created, blank = false;
    kivi_status status;
    int rc;

    env->pid = getpid();
    atomic_init(&env->seen, SIZE_MAX);
    pthread_mutex_init(&env->turn, NULL);
    rc = kvi_lmdb_helper_init(env);
    status = rc == 0 ? kvi_lmdb_check_disk(&env->names, error)
                     : kvi_lmdb_fail(error, rc, env->names.data, "cannot open");
    if (status == KIVI_OK)
        status = check_file(env, &created, error);
    if (status == KIVI_OK)
        status = take_locks(env, wait, error);
    if (status == KIVI_OK)
        status = kvi_lmdb_env_map(env, error);
    if (status == KIVI_OK && env->settings.check)
        status = verify(env, wait, error);
    if (status == KIVI_OK)
        status = kvi_lmdb_env_contents(env, wait, &blank, error);
    if (status == KIVI_OK)
        status = slots_make(env, error);
    if (status == KIVI_OK && blank && !env->settings.read_only)
        status = mark_new(env, wait, error);
    if (status == KIVI_OK && created && env->settings.sync)
        status = folder_sync(env, error);
    return status;
}

void kvi_lmdb_env_close(kvi_lmdb_env *env)
{
    kvi_lmdb_readers_end(env);
    if (env->mdb)
        mdb_env_close(env->mdb);
    env->mdb = NULL;
    free(env->slots);
    env->slots = NULL;
    env->slot_count = 0;
    kvi_lmdb_writer_close(env);
    kvi_lmdb_claim_close(env);
    pthread_mutex_destroy(&env->turn);
}
