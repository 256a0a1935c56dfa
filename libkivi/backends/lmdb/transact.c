/* Write transactions: begun in turn, replayed after the map grew, and what it means when they fail. */
#include <errno.h>

#include "engine.h"

#define REPLAYS 64 /* an item that fails for good costs one; far more than a sane vector needs */

/*
 * Whether LMDB has given up on its environment: then the failed step was the last one of a commit. A read
 * tells, and waits for nobody; where there is no place for one, the worst is assumed.
 */
static bool is_fatal(kvi_lmdb_env *env)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);

    if (rc == 0)
        mdb_txn_abort(txn);
    return rc != 0 && rc != MDB_MAP_RESIZED;
}

/*
 * LMDB writes pages that nothing refers to yet, syncs them, and then writes the page that refers to them.
 * Whatever fails before that last write leaves the file as it was. A failure of that write itself is put
 * right in memory, but what the disk holds after a power cut is not known: LMDB marks it as fatal.
 */
static int commit(kvi_lmdb_pass *pass, bool *uncertain)
{
    kvi_lmdb_env *env = pass->env;
    size_t id = mdb_txn_id(pass->txn);
    MDB_stat stat = {0};
    bool known = !pass->marked;
    int rc;

    if (pass->marked)
        known = mdb_stat(pass->txn, env->expiries, &stat) == 0;
    rc = kvi_lmdb_write_commit(env, pass->txn);
    pass->txn = NULL;
    if (rc == 0 && pass->changed && known)
        kvi_lmdb_expiries_tell(env, id, stat.ms_entries > (env->foreign ? 1 : 0));
    if (rc != 0 && is_fatal(env)) {
        env->broken = true;
        *uncertain = true;
    }
    return rc;
}

/* Before the first expiry of a file there must be a database for it. */
static int make_mark(kvi_lmdb_pass *pass, kvi_lmdb_work *work, kivi_wait *wait)
{
    int rc;

    if (!work->wants_mark || work->no_mark || pass->env->expiries)
        return 0;
    rc = kvi_lmdb_make_mark(pass->env, wait, &pass->wanted);
    work->no_mark = rc == MDB_INCOMPATIBLE;
    return work->no_mark ? 0 : rc;
}

/* One attempt, from begin to commit. */
static int attempt(kvi_lmdb_pass *pass, kvi_lmdb_work *work, kivi_wait *wait, bool *uncertain)
{
    kvi_lmdb_env *env = pass->env;
    int rc;

    pass->changed = false;
    pass->swept = 0;
    if (!env->mdb || env->broken)
        return MDB_PANIC;
    rc = make_mark(pass, work, wait);
    if (rc == 0)
        rc = kvi_lmdb_write_begin(env, wait, &pass->wanted, &pass->txn);
    if (rc != 0)
        return rc;
    rc = kvi_lmdb_expiries_ask(env, pass->txn, &pass->expiries, &pass->marked);
    if (rc == 0)
        rc = work->run(work, pass);
    if (rc == 0 && pass->changed)
        rc = kvi_lmdb_sweep(pass);
    if (rc == 0 && pass->changed)
        return commit(pass, uncertain);
    kvi_lmdb_write_abort(env, pass->txn);
    return rc;
}

static kivi_status tell_uncertain(const kvi_lmdb_env *env, int rc, kivi_error **error)
{
    KVI_LMDB_ERROR(
        error, KIVI_UNCERTAIN, rc, KIVI_RETRY_IF_IDEMPOTENT,
        "%s: the last step of a commit failed: readers do not see it, but it may be on disk",
        env->names.data);
    return KIVI_UNCERTAIN;
}

/* Puts right what an attempt failed for. OK: try again. */
static kivi_status put_right(kvi_lmdb_pass *pass, kvi_lmdb_work *work, int rc, kivi_error **error)
{
    switch (rc) {
    case KVI_LMDB_AGAIN:
        return KIVI_OK;
    case KVI_LMDB_MARKED:
        return kvi_lmdb_adopt_mark(pass->env, error);
    case KVI_LMDB_INSIDE:
        return kvi_lmdb_busy(pass->env, "set the first expiry", error);
    case MDB_MAP_RESIZED:
        return kvi_lmdb_adopt_size(pass->env, error);
    case MDB_PANIC:
        return kvi_lmdb_mend(pass->env, error);
    case MDB_MAP_FULL:
        if (!pass->replayed) {
            pass->replayed = true;
            return kvi_lmdb_grow(pass->env, work->bytes * 2, error);
        }
        break;
    }
    return kvi_lmdb_fail(error, rc, pass->env->names.data, "cannot write");
}

/* With the turn; `*held` says whether it still is at the end. */
static kivi_status run(kvi_lmdb_pass *pass, kvi_lmdb_work *work, kivi_wait *wait, bool *held,
                       kivi_error **error)
{
    unsigned replays = 0;

    for (;;) {
        bool uncertain = false;
        int rc = attempt(pass, work, wait, &uncertain);
        kivi_status status;

        if (rc == 0)
            return KIVI_OK;
        if (rc == KVI_LMDB_HELD) {
            status = kvi_lmdb_write_wait(pass->env, wait, &pass->wanted, error);
            *held = status == KIVI_OK;
            if (*held)
                continue;
            return status;
        }
        work->undo(work, uncertain);
        if (uncertain)
            return tell_uncertain(pass->env, rc, error);
        if (replays++ == REPLAYS)
            return kvi_lmdb_fail(error, rc == KVI_LMDB_AGAIN ? MDB_TXN_FULL : rc,
                                 pass->env->names.data, "cannot write");
        status = put_right(pass, work, rc, error);
        if (status != KIVI_OK)
            return status;
    }
}

kivi_status kvi_lmdb_transact(kvi_lmdb_store *store, kvi_lmdb_work *work, kivi_wait *wait,
                              kivi_error **error)
{
    kvi_lmdb_pass pass = {.store = store, .env = store->env};
    kvi_lmdb_env *env = store->env;
    kivi_status status;
    bool held;

    if (env->settings.read_only) {
        KVI_LMDB_ERROR(error, KIVI_DENIED, EACCES, KIVI_RETRY_NO, "%s: opened with read_only=true",
                       env->names.data);
        return KIVI_DENIED;
    }
    status = kvi_lmdb_writer_take(env, wait, error);
    if (status != KIVI_OK)
        return status;
    held = true;
    status = run(&pass, work, wait, &held, error);
    if (held)
        kvi_lmdb_writer_give(env);
    if (status == KIVI_OK && pass.swept)
        kvi_lmdb_host->report(store->reporter, KIVI_EVENT_SWEEP, KIVI_OK, pass.swept);
    return status;
}
