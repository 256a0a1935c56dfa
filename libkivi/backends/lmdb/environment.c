/* One LMDB file of this process: its map, its databases and its mark; opening it again after a failure. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"

#define LEAST_MAP (UINT64_C(16) << 20)
/* So many that the part of a transaction that is written at every start shares no cache line with the next. */
#define DATABASES 64

static unsigned env_flags(const kvi_lmdb_env *env)
{
    unsigned flags = MDB_NOTLS;

    if (!env->names.subdir)
        flags |= MDB_NOSUBDIR;
    if (!env->settings.sync)
        flags |= MDB_NOSYNC;
    if (env->settings.read_only)
        flags |= MDB_RDONLY;
    return flags;
}

/* One attempt with a size of the map. */
static int try_open(kvi_lmdb_env *env, uint64_t map_size, unsigned flags)
{
    int rc = mdb_env_create(&env->mdb);

    if (rc != 0) {
        env->mdb = NULL;
        return rc;
    }
    mdb_env_set_assert(env->mdb, kvi_lmdb_assertion);
    rc = mdb_env_set_mapsize(env->mdb, map_size);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(env->mdb, env->settings.max_readers);
    if (rc == 0)
        rc = mdb_env_set_maxdbs(env->mdb, DATABASES);
    if (rc == 0) {
        errno = 0; /* LMDB may take an old value for its own */
        rc = mdb_env_open(env->mdb, env->names.env, flags, env->settings.mode);
    }
    if (rc == 0)
        return 0;
    mdb_env_close(env->mdb);
    env->mdb = NULL;
    return rc;
}

/* Whether where the lock file lies keeps it from being made or opened. */
static bool lock_is_out_of_reach(const kvi_lmdb_env *env, int rc)
{
    return env->settings.read_only && (rc == EACCES || rc == EPERM || rc == EROFS) &&
           access(env->names.data, R_OK) == 0;
}

/* Opens LMDB with the largest map that there is room for. */
static int open_mapped(kvi_lmdb_env *env)
{
    uint64_t size = env->map_size;
    unsigned flags = env_flags(env), again = 0;
    int rc;

    for (;;) {
        rc = try_open(env, size, flags);
        if (rc == ENOMEM && size / 2 >= LEAST_MAP) {
            size /= 2;
        } else if (!(flags & MDB_NOLOCK) && lock_is_out_of_reach(env, rc)) {
            flags |= MDB_NOLOCK;
        } else if ((rc == MDB_INVALID || rc == EAGAIN) && again++ < 20) {
            /* The file was found whole before: another process is at its lock file right now. */
            kvi_lmdb_sleep(5000000);
        } else {
            break;
        }
    }
    if (rc == 0 && (flags & MDB_NOLOCK))
        env->unlocked = true;
    return rc;
}

/* Remembers what LMDB has open, for a forked child to let go of. */
static int note_descriptors(kvi_lmdb_env *env, const int *before, unsigned before_count)
{
    int now[32];
    unsigned count = kvi_lmdb_descriptors(env->data_id, env->lock_id, now, 32);

    env->fd_count = 0;
    for (unsigned i = 0; i < count && env->fd_count < 8; i++) {
        bool old = false;
        for (unsigned j = 0; j < before_count; j++)
            old = old || before[j] == now[i];
        if (!old)
            env->fds[env->fd_count++] = now[i];
    }
    env->lock_map = (kvi_lmdb_stretch){0, 0};
    errno = 0;
    if (!env->lock_id.inode || !kvi_lmdb_is_mapped(env->names.lock, env->lock_id, &env->lock_map)) {
        if (errno == ENOMEM)
            return ENOMEM;
        env->unlocked = true;
    }
    kvi_lmdb_foreign_lock_find(env);
    return 0;
}

/* The unnamed database, which must hold plain keys in byte order. */
static int open_data(kvi_lmdb_env *env, MDB_txn *txn)
{
    unsigned flags = 0;
    int rc = mdb_dbi_open(txn, NULL, 0, &env->data);

    if (rc == 0)
        rc = mdb_dbi_flags(txn, env->data, &flags);
    if (rc == 0 && (flags & (MDB_DUPSORT | MDB_INTEGERKEY | MDB_REVERSEKEY)))
        rc = MDB_INCOMPATIBLE;
    return rc;
}

/* Opens the database of expiries where it is, and reads whether it was added to another program's file. */
static int open_mark(kvi_lmdb_env *env, MDB_txn *txn, MDB_dbi *dbi)
{
    MDB_val key = {KVI_LMDB_MARK_SIZE, (void *)KVI_LMDB_MARK}, data;
    unsigned flags = 0;
    int rc = mdb_dbi_open(txn, KVI_LMDB_MARK, 0, dbi);

    if (rc == 0)
        rc = mdb_dbi_flags(txn, *dbi, &flags);
    if (rc == 0 && flags != 0)
        rc = MDB_INCOMPATIBLE;
    if (rc != 0)
        return rc;
    rc = mdb_get(txn, *dbi, &key, &data);
    env->foreign = rc == 0;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Whether a key lies where expiries would: the name, or that and zeros. */
static int mark_is_taken(kvi_lmdb_env *env, MDB_txn *txn, bool *taken)
{
    MDB_val key = {KVI_LMDB_MARK_SIZE, (void *)KVI_LMDB_MARK}, data;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, env->data, &cursor);

    *taken = false;
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    if (rc == 0)
        *taken = kvi_lmdb_is_reserved(kivi_bytes(key.mv_data, key.mv_size));
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Makes the database of expiries; in a file that holds data already it notes that. */
static int make_mark(kvi_lmdb_env *env, MDB_txn *txn, MDB_dbi *dbi)
{
    MDB_val key = {KVI_LMDB_MARK_SIZE, (void *)KVI_LMDB_MARK}, note = {7, (void *)"foreign"};
    MDB_stat stat;
    bool taken;
    int rc = mark_is_taken(env, txn, &taken);

    if (rc == 0 && taken)
        rc = MDB_INCOMPATIBLE;
    if (rc == 0)
        rc = mdb_stat(txn, env->data, &stat);
    if (rc == 0)
        rc = mdb_dbi_open(txn, KVI_LMDB_MARK, MDB_CREATE, dbi);
    if (rc == 0 && stat.ms_entries > 0)
        rc = mdb_put(txn, *dbi, &key, &note, 0);
    if (rc == 0)
        env->foreign = stat.ms_entries > 0;
    return rc;
}

int kvi_lmdb_env_begin(kvi_lmdb_env *env, MDB_txn **txn)
{
    MDB_envinfo info;
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, txn);

    for (unsigned i = 0; i < 100 && rc == MDB_MAP_RESIZED; i++) {
        rc = mdb_env_set_mapsize(env->mdb, 0);
        if (rc != 0) {
            env->broken = true;
            return rc;
        }
        mdb_env_info(env->mdb, &info);
        env->map_size = info.me_mapsize;
        rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, txn);
    }
    return rc;
}

int kvi_lmdb_env_mark(kvi_lmdb_env *env)
{
    MDB_txn *txn;
    MDB_dbi dbi = 0;
    int rc = kvi_lmdb_env_begin(env, &txn);

    if (rc != 0)
        return rc;
    rc = open_mark(env, txn, &dbi);
    env->mark_is_foreign = rc == MDB_INCOMPATIBLE;
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    rc = mdb_txn_commit(txn);
    if (rc == 0)
        env->expiries = dbi;
    return rc;
}

int kvi_lmdb_env_mark_make(kvi_lmdb_env *env, MDB_txn *txn)
{
    MDB_dbi dbi = 0;
    int rc = open_mark(env, txn, &dbi);

    env->mark_is_foreign = rc == MDB_INCOMPATIBLE;
    if (rc == MDB_NOTFOUND)
        rc = make_mark(env, txn, &dbi);
    if (rc != 0) {
        kvi_lmdb_write_abort(env, txn);
        return rc;
    }
    rc = kvi_lmdb_write_commit(env, txn);
    if (rc == 0)
        env->expiries = dbi;
    return rc;
}

/* What the file holds. `*blank`: nothing at all, not even the mark. */
static int open_databases(kvi_lmdb_env *env, bool *blank)
{
    MDB_txn *txn;
    MDB_stat stat;
    int rc = kvi_lmdb_env_begin(env, &txn);

    if (rc != 0)
        return rc;
    rc = open_data(env, txn);
    if (rc == 0)
        rc = mdb_stat(txn, env->data, &stat);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    mdb_txn_commit(txn);
    *blank = stat.ms_entries == 0;
    env->expiries = 0;
    env->foreign = !*blank;
    rc = kvi_lmdb_env_mark(env);
    /* Not marked: another program's file, or a blank one. */
    return rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE ? 0 : rc;
}

/* Waits while all places of readers are taken. OK: it is worth another try. */
kivi_status kvi_lmdb_env_wait_reader(kvi_lmdb_env *env, kivi_wait *wait, uint64_t *pause,
                                     kivi_error **error)
{
    kivi_status status;

    mdb_reader_check(env->mdb, NULL);
    status = kivi_wait_check(wait);
    if (status != KIVI_OK)
        return kvi_lmdb_gave_up(error, status, env->names.data, "all readers are taken (max_readers)");
    kvi_lmdb_sleep(*pause);
    if (*pause < 2000000)
        *pause *= 2;
    return KIVI_OK;
}

/* Reads what the file holds, once there is a place for a reader; without a wait, at once. */
static kivi_status open_contents(kvi_lmdb_env *env, kivi_wait *wait, bool *blank, kivi_error **error)
{
    uint64_t pause = 50000;
    int rc;

    while ((rc = open_databases(env, blank)) == MDB_READERS_FULL && wait) {
        kivi_status status = kvi_lmdb_env_wait_reader(env, wait, &pause, error);
        if (status != KIVI_OK)
            return status;
    }
    if (rc == 0)
        return KIVI_OK;
    if (rc != MDB_INCOMPATIBLE)
        return kvi_lmdb_fail(error, rc, env->names.data, "cannot open");
    KVI_LMDB_ERROR(error, KIVI_UNSUPPORTED, rc, KIVI_RETRY_NO,
                   "%s: its unnamed database was made with duplicate, integer or reversed keys",
                   env->names.data);
    return KIVI_UNSUPPORTED;
}

/* LMDB opens by name: what it has opened must be what was claimed. */
static kivi_status check_claim(kvi_lmdb_env *env, kivi_error **error)
{
    struct stat info;
    int fd = -1;

    if (mdb_env_get_fd(env->mdb, &fd) == 0 && fstat(fd, &info) == 0 &&
        kvi_lmdb_is_same(env->data_id, (kvi_lmdb_id){info.st_dev, info.st_ino}) &&
        kvi_lmdb_claim_stands(env))
        return env->unlocked ? kvi_lmdb_claim_check_unlocked(env, error) : KIVI_OK;
    KVI_LMDB_ERROR(error, KIVI_BUSY, 0, KIVI_RETRY_YES,
                   "%s: the file or its lock file was replaced while it was being opened",
                   env->names.data);
    return KIVI_BUSY;
}

static kivi_status let_go(kvi_lmdb_env *env, kivi_status status)
{
    if (status != KIVI_OK) {
        mdb_env_close(env->mdb);
        env->mdb = NULL;
    }
    return status;
}

kivi_status kvi_lmdb_env_map(kvi_lmdb_env *env, kivi_error **error)
{
    kivi_status status;
    MDB_envinfo info;
    int before[32];
    unsigned before_count;
    int rc;

    kvi_lmdb_host->guard_descriptors();
    before_count = kvi_lmdb_descriptors(env->data_id, env->lock_id, before, 32);
    rc = open_mapped(env);
    if (rc != 0)
        return kvi_lmdb_fail(error, rc, env->names.data, "cannot open");
    rc = note_descriptors(env, before, before_count);
    mdb_env_info(env->mdb, &info);
    env->map_size = info.me_mapsize;
    mdb_reader_check(env->mdb, NULL);
    status = rc == 0 ? check_claim(env, error)
                     : kvi_lmdb_fail(error, rc, env->names.data, "cannot open");
    return let_go(env, status);
}

kivi_status kvi_lmdb_env_contents(kvi_lmdb_env *env, kivi_wait *wait, bool *blank, kivi_error **error)
{
    return let_go(env, open_contents(env, wait, blank, error));
}

void kvi_lmdb_readers_end(kvi_lmdb_env *env)
{
    for (unsigned i = 0; i < env->slot_count; i++) {
        /* Places that LMDB gave to others are not touched: their transactions' memory is let go. */
        if (env->slots[i].txn && !env->lost)
            mdb_txn_abort(env->slots[i].txn);
        env->slots[i].txn = NULL;
    }
    env->lost = false;
}

kivi_status kvi_lmdb_env_reopen(kvi_lmdb_env *env, kivi_error **error)
{
    kivi_status status;
    bool blank;

    if (!kvi_lmdb_claim_stands(env)) {
        KVI_LMDB_ERROR(
            error, KIVI_BUSY, 0, KIVI_RETRY_NO,
            "%s: the file or its lock file was replaced or removed, and has to be opened "
            "again after a failure; close it",
            env->names.data);
        return KIVI_BUSY;
    }
    kvi_lmdb_readers_end(env);
    if (env->mdb)
        mdb_env_close(env->mdb);
    env->mdb = NULL;
    atomic_store(&env->seen, SIZE_MAX);
    status = kvi_lmdb_inspect(env->names.data, error);
    if (status == KIVI_OK)
        status = kvi_lmdb_env_map(env, error);
    if (status == KIVI_OK)
        status = kvi_lmdb_env_contents(env, NULL, &blank, error);
    if (status == KIVI_OK)
        env->broken = false;
    return status;
}
