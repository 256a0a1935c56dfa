/*
 * One data file, one set of lock files. LMDB's lock and ours go by the name of the data file; under two
 * names (links, a hard link, the folder and the file in it, a renamed file) or with a lock file that was
 * deleted, two processes would have two sets of locks and write over each other's pages.
 *
 * So each process holds the data file itself, for as long as it has it open: one byte far behind any data,
 * shared, which the lock file's identity chooses. All who use one lock file hold the same byte; whoever
 * finds another one held is there by another lock file, and goes. The locks are those of an open file
 * description: no other descriptor of the process loses them, and the kernel drops them at a kill.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"

#define BEGIN (INT64_C(1) << 62)
#define RANGE (INT64_C(1) << 60)
/* How long a claim is tried: two who come at once both step back. */
#define TRIES 60

/* What is chosen by LMDB's lock file, which holds the table of readers, and by our own of writers. */
enum { READERS, WRITERS };

static off_t first_of(unsigned kind)
{
    return BEGIN + kind * RANGE;
}

static off_t place_of(unsigned kind, kvi_lmdb_id id)
{
    uint64_t mixed = ((uint64_t)id.device * UINT64_C(0x9e3779b97f4a7c15)) ^ (uint64_t)id.inode;

    mixed = (mixed ^ (mixed >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return first_of(kind) + (off_t)((mixed ^ (mixed >> 32)) % RANGE);
}

static int lock(int fd, short kind, off_t at)
{
    struct flock range = {.l_type = kind, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    int rc;

    while ((rc = fcntl(fd, F_OFD_SETLK, &range)) != 0 && errno == EINTR)
        ;
    return rc == 0 ? 0 : errno;
}

/* Whether another description of the file holds something from `at` on. */
static bool is_held(int fd, off_t at, off_t size)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = size};
    return size > 0 && fcntl(fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

/* Holds a place of its kind unless others hold another one: EBUSY. */
static int claim_one(int fd, unsigned kind, kvi_lmdb_id id)
{
    off_t first = first_of(kind), at = place_of(kind, id);
    int rc = lock(fd, F_RDLCK, at);

    if (rc == EAGAIN || rc == EACCES)
        return EBUSY;
    if (rc != 0)
        return rc;
    if (!is_held(fd, first, at - first) && !is_held(fd, at + 1, first + RANGE - at - 1))
        return 0;
    lock(fd, F_UNLCK, at);
    return EBUSY;
}

static int claim_both(const kvi_lmdb_env *env)
{
    kvi_lmdb_id writer = kvi_lmdb_writer_id(env);
    int rc = claim_one(env->claim_fd, READERS, env->lock_id);

    if (rc != 0 || !writer.inode)
        return rc;
    rc = claim_one(env->claim_fd, WRITERS, writer);
    if (rc != 0)
        lock(env->claim_fd, F_UNLCK, place_of(READERS, env->lock_id));
    return rc;
}

static kivi_status refuse(const kvi_lmdb_env *env, kivi_error **error)
{
    char name[512];
    pid_t pid;

    if (!error)
        return KIVI_BUSY;
    if (kvi_lmdb_find_holder(env->data_id, &pid, name, sizeof(name)))
        KVI_LMDB_ERROR(
            error, KIVI_BUSY, 0, KIVI_RETRY_YES,
            "%s: process %d has this file open as %s, with other lock files: use one name (a "
            "folder and the file in it are two), and leave lock files where they are",
            env->names.data, (int)pid, name);
    else
        KVI_LMDB_ERROR(
            error, KIVI_BUSY, 0, KIVI_RETRY_YES,
            "%s: another process has this file open under another name, or its lock files "
            "were deleted meanwhile",
            env->names.data);
    return KIVI_BUSY;
}

/* Whether LMDB itself uses a lock file: by other programs also, which make no claims. */
static pid_t user_of(const kvi_lmdb_env *env, const char *file)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    kvi_lmdb_id id = kvi_lmdb_id_of(file);
    pid_t user = 0;
    int fd;

    /* Closing a lock file that this process uses would lose LMDB's locks on it. */
    if (!id.inode || kvi_lmdb_is_same(id, env->lock_id) || kvi_lmdb_is_mapped(file, id, NULL))
        return 0;
    fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return 0;
    if (fcntl(fd, F_GETLK, &range) == 0 && range.l_type != F_UNLCK)
        user = range.l_pid;
    close(fd);
    return user;
}

/* The other names of the lock file that LMDB makes of the data file's own name, as a file and in its folder. */
static kivi_status check_siblings(const kvi_lmdb_env *env, kivi_error **error)
{
    char *data = realpath(env->names.data, NULL), *slash = data ? strrchr(data, '/') : NULL;
    char *names[2] = {NULL, NULL};
    kivi_status status = KIVI_OK;

    if (slash && asprintf(&names[0], "%s-lock", data) < 0)
        names[0] = NULL;
    if (slash && strcmp(slash, "/data.mdb") == 0 &&
        asprintf(&names[1], "%.*s/lock.mdb", (int)(slash - data), data) < 0)
        names[1] = NULL;
    for (unsigned i = 0; i < 2 && status == KIVI_OK; i++) {
        pid_t user = names[i] ? user_of(env, names[i]) : 0;
        if (!user)
            continue;
        KVI_LMDB_ERROR(error, KIVI_BUSY, 0, KIVI_RETRY_YES,
                       "%s: process %d has this file open with the lock file %s; use one name",
                       env->names.data, (int)user, names[i]);
        status = KIVI_BUSY;
    }
    free(names[0]);
    free(names[1]);
    free(data);
    return status;
}

kivi_status kvi_lmdb_claim_open(kvi_lmdb_env *env, kivi_error **error)
{
    bool creates = env->settings.create && !env->settings.read_only;
    int flags = O_CLOEXEC | (env->settings.read_only ? O_RDONLY : O_RDWR);
    struct stat info;

    if (creates)
        env->claim_fd = open(env->names.data, flags | O_CREAT | O_EXCL, env->settings.mode);
    env->made = env->claim_fd >= 0;
    /* Where a link leads to a file that is not there, that is made as well. */
    if (env->claim_fd < 0)
        env->claim_fd = open(env->names.data, flags | (creates ? O_CREAT : 0), env->settings.mode);
    if (env->claim_fd < 0 || fstat(env->claim_fd, &info) != 0)
        return kvi_lmdb_fail(error, errno, env->names.data, "cannot open");
    env->data_id = (kvi_lmdb_id){info.st_dev, info.st_ino};
    return KIVI_OK;
}

kivi_status kvi_lmdb_claim(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error)
{
    env->lock_id = kvi_lmdb_id_of(env->names.lock);
    /* Read where no lock file can be made: LMDB will do without. */
    if (!env->lock_id.inode)
        return KIVI_OK;
    for (unsigned tries = 1;; tries++) {
        int rc = claim_both(env);
        kivi_status status;

        if (rc == 0)
            return check_siblings(env, error);
        if (rc != EBUSY)
            return kvi_lmdb_fail(error, rc, env->names.data, "cannot lock");
        if (tries == TRIES)
            return refuse(env, error);
        status = kivi_wait_check(wait);
        if (status != KIVI_OK)
            return kvi_lmdb_gave_up(error, status, env->names.data,
                                    "another process has it open under another name");
        /* Not in step with another who came at the same time. */
        kvi_lmdb_sleep(500000 + ((uint64_t)env->pid * 7919 + kvi_lmdb_host->monotonic_ns()) % 2000000);
    }
}

bool kvi_lmdb_claim_stands(const kvi_lmdb_env *env)
{
    kvi_lmdb_id lock_id = kvi_lmdb_id_of(env->names.lock);

    return kvi_lmdb_is_same(kvi_lmdb_id_of(env->names.data), env->data_id) &&
           (kvi_lmdb_is_same(lock_id, env->lock_id) || (!lock_id.inode && !env->lock_id.inode));
}

kivi_status kvi_lmdb_claim_check_unlocked(const kvi_lmdb_env *env, kivi_error **error)
{
    if (!is_held(env->claim_fd, first_of(WRITERS), RANGE))
        return KIVI_OK;
    KVI_LMDB_ERROR(error, KIVI_BUSY, 0, KIVI_RETRY_YES,
                   "%s: a process has the file open for writing, and this one may not write to %s, "
                   "where readers are noted",
                   env->names.data, env->names.lock);
    return KIVI_BUSY;
}

void kvi_lmdb_claim_undo(const kvi_lmdb_env *env)
{
    struct stat info;

    if (env->made && fstat(env->claim_fd, &info) == 0 && info.st_size == 0 &&
        !is_held(env->claim_fd, BEGIN, RANGE * 2) &&
        kvi_lmdb_is_same(kvi_lmdb_id_of(env->names.data), env->data_id))
        unlink(env->names.data);
}

void kvi_lmdb_claim_close(kvi_lmdb_env *env)
{
    if (env->claim_fd >= 0)
        close(env->claim_fd);
    env->claim_fd = -1;
}
