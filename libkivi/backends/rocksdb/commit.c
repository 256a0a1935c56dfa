/* A vector that changes something: its stripes, its batch, and what a failed commit means. */
#include <signal.h>

#include "rocks.h"

#define BATCH_KEPT (1 << 20) /* bytes */

/* A large batch does not keep its memory. */
static void empty(rocks_session *session)
{
    size_t size = 0;

    rocksdb_writebatch_data(session->batch, &size);
    if (size > BATCH_KEPT) {
        rocksdb_writebatch_destroy(session->batch);
        session->batch = rocksdb_writebatch_create();
    } else {
        rocksdb_writebatch_clear(session->batch);
    }
}

kivi_status kvi_rocks_change_begin(rocks_change *change, uint64_t stripes, bool wants_expiries,
                                   kivi_wait *wait, kivi_error **error)
{
    rocks_engine *engine = change->engine;
    kivi_status status;

    if (engine->settings.read_only) {
        *error = kvi_rocks_host->error(KIVI_DENIED, 0, KIVI_RETRY_NO,
                                       "%s: opened with read_only=true", engine->folder);
        return KIVI_DENIED;
    }
    if (wants_expiries) {
        status = kvi_rocks_expiries_make(engine, error);
        if (status != KIVI_OK)
            return status;
    }
    empty(change->session);
    status = kvi_rocks_stripes_take(engine, stripes, wait, error);
    change->own = change->held = status == KIVI_OK ? stripes : 0;
    return status;
}

void kvi_rocks_change_end(rocks_change *change)
{
    size_t size = 0;

    if (change->held)
        kvi_rocks_stripes_give(&change->engine->stripes, change->held);
    rocksdb_writebatch_data(change->session->batch, &size);
    if (size > BATCH_KEPT)
        empty(change->session);
    if (change->swept)
        kvi_rocks_host->report(change->store->reporter, KIVI_EVENT_SWEEP, KIVI_OK, change->swept);
}

/* RocksDB's text of the failure; NULL: written. What it may start threads for begins with all signals blocked. */
static char *write_batch(const rocks_change *change)
{
    char *failure = NULL;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    rocksdb_write(change->engine->view->db, change->store->writes, change->session->batch, &failure);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

static kivi_status fail(rocks_change *change, char *text, kivi_error **error)
{
    rocks_failure failure = kvi_rocks_classify(text);

    if (failure.unapplied || failure.status != KIVI_IO)
        return kvi_rocks_fail(error, text, change->engine->folder, "cannot write");
    rocksdb_free(text);
    change->uncertain = true;
    *error = kvi_rocks_host->error(KIVI_UNCERTAIN, failure.code, KIVI_RETRY_IF_IDEMPOTENT,
                                   "%s: a commit failed half-way: it may be on disk",
                                   change->engine->folder);
    return KIVI_UNCERTAIN;
}

/* RocksDB does not wait for compaction by itself: the deadline is kept here. */
kivi_status kvi_rocks_change_commit(rocks_change *change, kivi_wait *wait, kivi_error **error)
{
    uint64_t pause = 1000000;

    if (rocksdb_writebatch_count(change->session->batch) == 0)
        return KIVI_OK;
    kvi_rocks_sweep(change);
    for (;;) {
        char *failure = write_batch(change);
        kivi_status status;

        if (!failure)
            return KIVI_OK;
        if (!kvi_rocks_classify(failure).stalled)
            return fail(change, failure, error);
        rocksdb_free(failure);
        status = kivi_wait_check(wait);
        if (status != KIVI_OK)
            return kvi_rocks_gave_up(error, status, change->engine->folder, "compaction is far behind");
        kvi_rocks_sleep(pause);
        pause = pause < 16000000 ? 2 * pause : pause;
    }
}
