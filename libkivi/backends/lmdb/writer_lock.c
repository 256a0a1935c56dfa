/*
 * The lock of writers: LMDB's own cannot be waited for within a deadline, this one can. It lies in a small
 * file beside the data, mapped by every process of libkivi that writes there.
 *
 * Who has the store open for writing holds the file shared (a lock of its open file description, which no
 * other descriptor of the process can lose). Who gets it exclusively is alone, and makes the lock anew:
 * what lies there may be from before the machine's last start.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../core/base/platform.h"
#include "engine.h"

#define MAGIC "kivilock"
#define VERSION 1u
#define LOCK_FILE_SIZE 4096

/* The beginning of the file; only grows at its end, with another version. */
struct kvi_lmdb_shared {
    char magic[8];
    uint32_t version;
    uint32_t word; /* bytes of a pointer, in the processes that can use it */
    uint32_t mutex_size;
    uint32_t reserved;
    uint64_t pid_namespace; /* inode number: process ids mean the same to all users */
    _Atomic int64_t holder; /* process id, for messages */
    /* Inode numbers of the data file and LMDB's lock file that the lock goes with; 0: not noted yet. */
    uint64_t data_inode, lock_inode;
    uint64_t data_device;
    _Alignas(64) pthread_mutex_t mutex;
    uint64_t last_transaction; /* that kivi committed; another number is another program's */
};

static const char another_container[] =
    "a process of another container (pid namespace) has the store open";
static const char another_file[] =
    "the file was replaced, and a process still has the one open that "
    "its lock files belong to; close it first";

void kvi_lmdb_sleep(uint64_t ns)
{
    struct timespec time = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    nanosleep(&time, NULL);
}

static uint64_t pid_namespace(void)
{
    struct stat info;
    return stat("/proc/self/ns/pid", &info) == 0 ? (uint64_t)info.st_ino : 0;
}

static kivi_status refuse(const char *file, const char *why, kivi_error **error)
{
    KVI_LMDB_ERROR(error, KIVI_BUSY, 0, KIVI_RETRY_NO, "%s: %s", file, why);
    return KIVI_BUSY;
}

/* Writes the file anew; the holder of the exclusive lock is its only user. */
static int shared_make(struct kvi_lmdb_shared *shared)
{
    pthread_mutexattr_t kind;
    int rc;

    memset(shared, 0, sizeof(*shared));
    shared->version = VERSION;
    shared->word = sizeof(void *);
    shared->mutex_size = sizeof(pthread_mutex_t);
    shared->pid_namespace = pid_namespace();
    rc = pthread_mutexattr_init(&kind);
    if (rc != 0)
        return rc;
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    rc = pthread_mutex_init(&shared->mutex, &kind);
    pthread_mutexattr_destroy(&kind);
    /* The magic comes last: a file without it was never finished. */
    memcpy(shared->magic, MAGIC, sizeof(shared->magic));
    return rc;
}

/* Gives the file its blocks: writing to a mapped hole on a full disk would kill the process. */
static int file_fill(int fd)
{
    static const uint8_t zeros[LOCK_FILE_SIZE];
    ssize_t put = pwrite(fd, zeros, sizeof(zeros), 0);
    return put == (ssize_t)sizeof(zeros) ? 0 : put < 0 ? errno : ENOSPC;
}

/* What is wrong with a file that others use, or that an earlier process left; NULL: nothing. */
static const char *header_fault(const struct kvi_lmdb_shared *header)
{
    if (memcmp(header->magic, MAGIC, sizeof(header->magic)) != 0)
        return "this is no lock file of kivi; if nobody uses it, delete it";
    if (header->version != VERSION)
        return "made by another version of kivi; close all its users, then delete it";
    if (header->word != sizeof(void *) || header->mutex_size != sizeof(pthread_mutex_t))
        return "made by a kivi of another word size; close all its users, then delete it";
    return NULL;
}

static bool is_blank(const struct kvi_lmdb_shared *header)
{
    static const struct kvi_lmdb_shared blank;
    return memcmp(header, &blank, sizeof(blank.magic)) == 0;
}

/* Reads the header; a shorter file is blank. */
static int header_read(int fd, struct kvi_lmdb_shared *header)
{
    memset(header, 0, sizeof(*header));
    return pread(fd, header, sizeof(*header), 0) < 0 ? errno : 0;
}

/* Holds the file in a way (F_RDLCK, F_WRLCK), or not at all while others are in the way. */
static int hold(int fd, short kind)
{
    struct flock range = {.l_type = kind, .l_whence = SEEK_SET};
    int rc;

    while ((rc = fcntl(fd, F_OFD_SETLK, &range)) != 0 && errno == EINTR)
        ;
    return rc == 0 ? 0 : errno;
}

/* Whether anybody has the store open for writing. */
static bool is_held(int fd)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

/* Holds the file: `*alone` exclusively, else shared with others who made it. */
static kivi_status hold_either(kvi_lmdb_env *env, int fd, bool *alone, kivi_wait *wait, kivi_error **error)
{
    for (;;) {
        int rc = hold(fd, F_WRLCK);
        kivi_status status;

        *alone = rc == 0;
        if (rc == EAGAIN || rc == EACCES)
            rc = hold(fd, F_RDLCK);
        if (rc == 0)
            return KIVI_OK;
        if (rc != EAGAIN && rc != EACCES)
            return kvi_lmdb_fail(error, rc, env->names.writer, "cannot lock");
        status = kivi_wait_check(wait);
        if (status != KIVI_OK)
            return kvi_lmdb_gave_up(error, status, env->names.writer, "another process is opening it");
        kvi_lmdb_sleep(1000000);
    }
}

static kivi_status shared_map(kvi_lmdb_env *env, int fd, kivi_error **error)
{
    void *at = mmap(NULL, LOCK_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (at == MAP_FAILED)
        return kvi_lmdb_fail(error, errno, env->names.writer, "cannot map");
    env->shared = at;
    return KIVI_OK;
}

/* Alone with the file: makes it, unless it is of another version. */
static kivi_status open_alone(kvi_lmdb_env *env, int fd, kivi_error **error)
{
    struct kvi_lmdb_shared header;
    struct stat info;
    kivi_status status;
    int rc;

    rc = fstat(fd, &info) != 0 ? errno : header_read(fd, &header);
    if (rc == 0 && info.st_size > 0 && !is_blank(&header) && header_fault(&header))
        return refuse(env->names.writer, header_fault(&header), error);
    if (rc == 0)
        rc = file_fill(fd);
    if (rc != 0)
        return kvi_lmdb_fail(error, rc, env->names.writer, "cannot write");
    status = shared_map(env, fd, error);
    if (status != KIVI_OK)
        return status;
    rc = shared_make(env->shared);
    return rc == 0 ? KIVI_OK : kvi_lmdb_fail(error, rc, env->names.writer, "cannot make the lock");
}

/* Others use the file: takes it as it is. */
static kivi_status open_shared(kvi_lmdb_env *env, int fd, kivi_error **error)
{
    struct kvi_lmdb_shared header;
    int rc = header_read(fd, &header);

    if (rc != 0)
        return kvi_lmdb_fail(error, rc, env->names.writer, "cannot read");
    if (header_fault(&header))
        return refuse(env->names.writer, header_fault(&header), error);
    if (header.pid_namespace != pid_namespace())
        return refuse(env->names.writer, another_container, error);
    return shared_map(env, fd, error);
}

/* For a reader: only looks whether a process of another namespace is there. */
static bool is_for_others(const struct kvi_lmdb_shared *header, const kvi_lmdb_env *env)
{
    return header->data_inode &&
           (header->data_inode != env->data_id.inode || header->data_device != env->data_id.device);
}

static kivi_status open_reading(kvi_lmdb_env *env, kivi_error **error)
{
    int fd = open(env->names.writer, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct kvi_lmdb_shared header;
    kivi_status status = KIVI_OK;

    if (fd < 0)
        return KIVI_OK;
    if (!is_held(fd) || header_read(fd, &header) != 0 || header_fault(&header))
        goto out;
    if (header.pid_namespace != pid_namespace())
        status = refuse(env->names.writer, another_container, error);
    else if (is_for_others(&header, env))
        status = refuse(env->names.data, another_file, error);
out:
    close(fd);
    return status;
}

kivi_status kvi_lmdb_writer_open(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error)
{
    kivi_status status;
    bool alone;
    int fd;

    if (env->settings.read_only)
        return open_reading(env, error);
    fd = open(env->names.writer, O_RDWR | O_CREAT | O_CLOEXEC, env->settings.mode);
    if (fd < 0)
        return kvi_lmdb_fail(error, errno, env->names.writer, "cannot open");
    env->shared_fd = fd;
    status = hold_either(env, fd, &alone, wait, error);
    if (status != KIVI_OK)
        return status;
    if (!alone)
        return open_shared(env, fd, error);
    status = open_alone(env, fd, error);
    if (status == KIVI_OK && hold(fd, F_RDLCK) != 0)
        status = kvi_lmdb_fail(error, errno, env->names.writer, "cannot lock");
    return status;
}

kivi_status kvi_lmdb_writer_note(kvi_lmdb_env *env, kivi_error **error)
{
    struct kvi_lmdb_shared *shared = env->shared;

    if (!shared)
        return KIVI_OK;
    if (is_for_others(shared, env) || (shared->lock_inode && shared->lock_inode != env->lock_id.inode))
        return refuse(env->names.data, another_file, error);
    shared->data_device = env->data_id.device;
    shared->data_inode = env->data_id.inode;
    shared->lock_inode = env->lock_id.inode;
    return KIVI_OK;
}

kvi_lmdb_id kvi_lmdb_writer_id(const kvi_lmdb_env *env)
{
    struct stat info;

    if (env->shared_fd < 0 || fstat(env->shared_fd, &info) != 0)
        return (kvi_lmdb_id){0, 0};
    return (kvi_lmdb_id){info.st_dev, info.st_ino};
}

uint64_t kvi_lmdb_writer_last(const kvi_lmdb_env *env)
{
    return env->shared ? env->shared->last_transaction : 0;
}

void kvi_lmdb_writer_set_last(kvi_lmdb_env *env, uint64_t id)
{
    if (env->shared)
        env->shared->last_transaction = id;
}

void kvi_lmdb_writer_close(kvi_lmdb_env *env)
{
    if (env->shared)
        munmap(env->shared, LOCK_FILE_SIZE);
    if (env->shared_fd >= 0)
        close(env->shared_fd);
    env->shared = NULL;
    env->shared_fd = -1;
}

/* Locks until a time; 0: does not wait (EBUSY). A dead holder is no failure. */
static int lock(pthread_mutex_t *mutex, uint64_t until)
{
    int rc = pthread_mutex_trylock(mutex);

    if (rc == EBUSY && until)
        rc = kvi_mutex_lock_until(mutex, until);
    /* LMDB looks after the data itself. */
    if (rc == EOWNERDEAD)
        rc = pthread_mutex_consistent(mutex);
    return rc;
}

static int take(kvi_lmdb_env *env, bool all, uint64_t until)
{
    int rc = lock(&env->turn, until);

    if (rc != 0 || !all || !env->shared)
        return rc;
    rc = lock(&env->shared->mutex, until);
    if (rc != 0)
        pthread_mutex_unlock(&env->turn);
    else
        atomic_store_explicit(&env->shared->holder, env->pid, memory_order_relaxed);
    return rc;
}

static kivi_status gave_up(kvi_lmdb_env *env, kivi_status status, kivi_error **error)
{
    int64_t holder = env->shared ? atomic_load_explicit(&env->shared->holder, memory_order_relaxed) : 0;
    char text[64];

    if (holder == env->pid || holder == 0)
        return kvi_lmdb_gave_up(error, status, env->names.data, "another thread is writing");
    snprintf(text, sizeof(text), "process %lld is writing", (long long)holder);
    return kvi_lmdb_gave_up(error, status, env->names.data, text);
}

/* In slices, between which nothing is held: what is asked then may itself use the store. */
static kivi_status take_waiting(kvi_lmdb_env *env, bool all, kivi_wait *wait, kivi_error **error)
{
    int rc = take(env, all, 0);

    while (rc == EBUSY || rc == ETIMEDOUT) {
        uint64_t deadline = kivi_wait_deadline(wait);
        uint64_t until = kvi_lmdb_host->monotonic_ns() + KVI_LMDB_LOOK_NS;
        kivi_status status;
        rc = take(env, all, until < deadline ? until : deadline);
        if (rc != ETIMEDOUT)
            break;
        status = kivi_wait_check(wait);
        if (status != KIVI_OK)
            return gave_up(env, status, error);
    }
    return rc == 0 ? KIVI_OK : kvi_lmdb_fail(error, rc, env->names.writer, "cannot lock");
}

kivi_status kvi_lmdb_writer_take(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error)
{
    return take_waiting(env, true, wait, error);
}

void kvi_lmdb_writer_give(kvi_lmdb_env *env)
{
    if (env->shared) {
        atomic_store_explicit(&env->shared->holder, 0, memory_order_relaxed);
        pthread_mutex_unlock(&env->shared->mutex);
    }
    pthread_mutex_unlock(&env->turn);
}

kivi_status kvi_lmdb_turn_take(kvi_lmdb_env *env, kivi_wait *wait, kivi_error **error)
{
    return take_waiting(env, false, wait, error);
}
