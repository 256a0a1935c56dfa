/* A folder is opened, marked where it is new, and closed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rocks.h"

/* RocksDB's threads inherit the mask of who opens it: no signal of the program's is theirs. */
static void block_signals(sigset_t *before)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
}

/* ---- Views ---- */

static void view_close(rocks_view *view)
{
    rocksdb_column_family_handle_t *made = kvi_rocks_expiries(view);

    for (size_t i = 0; i < view->family_count; i++) {
        if (view->families[i] == made)
            made = NULL;
        rocksdb_column_family_handle_destroy(view->families[i]);
    }
    if (made)
        rocksdb_column_family_handle_destroy(made);
    rocksdb_close(view->db);
    free(view->families);
    free(view);
}

/* A folder for the log that a reader beside a writer would leave there; removed as soon as it is open. */
static rocksdb_t *open_reader(rocks_engine *engine, size_t count, const char *const *names,
                              const rocksdb_options_t *const *options,
                              rocksdb_column_family_handle_t **families, char **failure)
{
    const char *temporary = getenv("TMPDIR");
    char place[2048], log[2100];
    rocksdb_t *db = NULL;

    snprintf(place, sizeof(place), "%s/kivi-rocksdb-XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(place))
        *place = 0;
    db = rocksdb_open_as_secondary_column_families(engine->tuning.db, engine->folder,
                                                   *place ? place : "/nonexistent/kivi", (int)count,
                                                   names, options, families, failure);
    if (*place) {
        snprintf(log, sizeof(log), "%s/LOG", place);
        unlink(log);
        rmdir(place);
    }
    return db;
}

/* Opens all column families of a folder; of a new one the only one. */
static rocks_view *open_families(rocks_engine *engine, const char *const *names, size_t count,
                                 char **failure)
{
    rocks_view *view = calloc(1, sizeof(*view));
    const rocksdb_options_t **options = malloc(count * sizeof(*options));
    sigset_t before;

    if (view)
        view->families = calloc(count, sizeof(rocksdb_column_family_handle_t *));
    if (!view || !options || !view->families)
        goto out;
    for (size_t i = 0; i < count; i++)
        options[i] = engine->tuning.family;
    block_signals(&before);
    if (engine->settings.read_only)
        view->db = open_reader(engine, count, names, options, view->families, failure);
    else
        view->db = rocksdb_open_column_families(engine->tuning.db, engine->folder, (int)count,
                                                names, options, view->families, failure);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!view->db)
        goto out;
    view->family_count = count;
    view->refs = 1;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], "default") == 0)
            view->data = view->families[i];
        else if (strcmp(names[i], KVI_ROCKS_FAMILY) == 0)
            atomic_store(&view->expiries, view->families[i]);
    }
    free(options);
    return view;
out:
    if (view)
        free(view->families);
    free(view);
    free(options);
    return NULL;
}

static rocks_view *open_view(rocks_engine *engine, bool is_new, char **failure)
{
    static const char *const single[] = {"default"};
    size_t count = 0;
    char **names;
    rocks_view *view;

    if (is_new)
        return open_families(engine, single, 1, failure);
    names = rocksdb_list_column_families(engine->tuning.db, engine->folder, &count, failure);
    if (*failure)
        return NULL;
    view = open_families(engine, (const char *const *)names, count, failure);
    rocksdb_list_column_families_destroy(names, count);
    return view;
}

/* ---- Opening ---- */

static kivi_status refuse_busy(const rocks_engine *engine, pid_t pid, kivi_error **error)
{
    if (pid)
        *error = kvi_rocks_host->error(
            KIVI_BUSY, 0, KIVI_RETRY_YES,
            "%s: process %d has it open: one process at a time can write to it "
            "(read_only=true reads beside it)",
            engine->folder, (int)pid);
    else
        *error = kvi_rocks_host->error(
            KIVI_BUSY, 0, KIVI_RETRY_YES,
            "%s: something else in this process has it open with another RocksDB", engine->folder);
    return KIVI_BUSY;
}

/* One attempt. BUSY without an error: somebody has it, `*pid`. */
static kivi_status try_open(rocks_engine *engine, bool is_new, pid_t *pid, kivi_error **error)
{
    char *failure = NULL;

    if (!engine->settings.read_only && kvi_rocks_find_holder(engine->folder, pid))
        return KIVI_BUSY;
    engine->view = open_view(engine, is_new, &failure);
    kvi_rocks_fork_guard(engine->settings.read_only);
    if (engine->view)
        return KIVI_OK;
    if (!failure)
        return kvi_rocks_no_memory(error, engine->folder);
    if (kvi_rocks_classify(failure).locked) {
        rocksdb_free(failure);
        return KIVI_BUSY;
    }
    return kvi_rocks_fail(error, failure, engine->folder, "cannot open");
}

/* Until nobody else has it, or the time is over. */
static kivi_status open_when_free(rocks_engine *engine, bool is_new, kivi_wait *wait, kivi_error **error)
{
    uint64_t pause = 1000000;

    for (;;) {
        pid_t pid = 0;
        kivi_status status = try_open(engine, is_new, &pid, error);

        if (status != KIVI_BUSY || *error)
            return status;
        status = kivi_wait_check(wait);
        if (status == KIVI_TIMEOUT)
            return refuse_busy(engine, pid, error);
        if (status != KIVI_OK)
            return kvi_rocks_gave_up(error, status, engine->folder, "another process has it open");
        kvi_rocks_sleep(pause);
        pause = pause < 16000000 ? 2 * pause : pause;
    }
}

/* Whether there is no key at all. */
static kivi_status is_empty(const rocks_engine *engine, bool *empty, kivi_error **error)
{
    rocksdb_iterator_t *at = rocksdb_create_iterator_cf(engine->view->db, engine->reads,
                                                        engine->view->data);
    char *failure = NULL;

    rocksdb_iter_seek_to_first(at);
    *empty = !rocksdb_iter_valid(at);
    rocksdb_iter_get_error(at, &failure);
    rocksdb_iter_destroy(at);
    return failure ? kvi_rocks_fail(error, failure, engine->folder, "cannot read") : KIVI_OK;
}

/* Whose data it is. One without a mark and without a key becomes ours. */
static kivi_status find_owner(rocks_engine *engine, kivi_error **error)
{
    rocks_owner owner = kvi_rocks_mark_read(engine, &engine->mark), noted = ROCKS_NOBODYS;
    kivi_status status = kvi_rocks_expiries_look(engine, engine->view, &noted, error);
    bool empty = false;

    if (status != KIVI_OK)
        return status;
    if (noted != ROCKS_NOBODYS)
        owner = noted;
    engine->foreign = owner != ROCKS_OURS;
    if (owner != ROCKS_NOBODYS)
        return KIVI_OK;
    status = is_empty(engine, &empty, error);
    engine->foreign = !empty;
    if (status != KIVI_OK || !empty || engine->settings.read_only)
        return status;
    return kvi_rocks_mark_write(engine, ROCKS_OURS, false, error);
}

kivi_status kvi_rocks_engine_open(rocks_engine *engine, kivi_wait *wait, kivi_error **error)
{
    rocks_contents contents = ROCKS_NOTHING;
    unsigned tables = 0;
    kivi_status status = kvi_rocks_folder_look(engine, &contents, &tables, error);

    if (status == KIVI_OK)
        status = kvi_rocks_tuning_make(&engine->settings, &engine->tuning, error);
    if (status != KIVI_OK)
        return status;
    rocksdb_options_set_create_if_missing(engine->tuning.db, contents == ROCKS_NOTHING);
    /* Sixteen, as many as RocksDB would start for the open, are of use to a thousand tables. */
    if (!engine->settings.options_file)
        rocksdb_options_set_max_file_opening_threads(engine->tuning.db,
                                                     1 + (int)(tables < 1000 ? tables / 64 : 15));
    engine->reads = rocksdb_readoptions_create();
    rocksdb_readoptions_set_total_order_seek(engine->reads, 1);
    kvi_rocks_host->guard_descriptors();
    status = open_when_free(engine, contents == ROCKS_NOTHING, wait, error);
    return status == KIVI_OK ? find_owner(engine, error) : status;
}

void kvi_rocks_engine_close(rocks_engine *engine)
{
    sigset_t before;

    block_signals(&before);
    if (engine->view) {
        rocksdb_cancel_all_background_work(engine->view->db, 1);
        view_close(engine->view);
    }
    engine->view = NULL;
    if (engine->reads)
        rocksdb_readoptions_destroy(engine->reads);
    engine->reads = NULL;
    kvi_rocks_tuning_clear(&engine->tuning);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- A reader beside a writer ---- */

static void view_unref(rocks_view *view)
{
    if (--view->refs == 0)
        view_close(view);
}

/* Another view where column families came: RocksDB tells a reader nothing of them. With the mutex. */
static kivi_status follow_mark(rocks_engine *engine, kivi_error **error)
{
    uint64_t mark;
    rocks_owner owner = kvi_rocks_mark_read(engine, &mark), noted = ROCKS_NOBODYS;
    char *failure = NULL;
    rocks_view *view;
    kivi_status status;

    if (mark == engine->mark)
        return KIVI_OK;
    view = open_view(engine, false, &failure);
    if (!view)
        return failure ? kvi_rocks_fail(error, failure, engine->folder, "cannot open again")
                       : kvi_rocks_no_memory(error, engine->folder);
    status = kvi_rocks_expiries_look(engine, view, &noted, error);
    if (status != KIVI_OK) {
        view_close(view);
        return status;
    }
    engine->foreign = (noted != ROCKS_NOBODYS ? noted : owner) != ROCKS_OURS;
    engine->mark = mark;
    view_unref(engine->view);
    engine->view = view;
    return KIVI_OK;
}

/* Up to what the writer acknowledged. Files that it removes meanwhile make another try. */
static kivi_status catch_up(rocks_engine *engine, kivi_error **error)
{
    char *failure = NULL;

    for (unsigned tries = 0; tries < 20; tries++) {
        rocksdb_free(failure);
        failure = NULL;
        rocksdb_try_catch_up_with_primary(engine->view->db, &failure);
        if (!failure)
            return KIVI_OK;
        kvi_rocks_sleep(1000000);
    }
    return kvi_rocks_fail(error, failure, engine->folder, "cannot read what its writer wrote");
}

kivi_status kvi_rocks_reader_take(rocks_engine *engine, rocks_view **view, kivi_error **error)
{
    kivi_status status;

    pthread_mutex_lock(&engine->mutex);
    status = follow_mark(engine, error);
    if (status == KIVI_OK)
        status = catch_up(engine, error);
    if (status == KIVI_OK) {
        *view = engine->view;
        engine->view->refs++;
    } else {
        pthread_mutex_unlock(&engine->mutex);
    }
    return status;
}

void kvi_rocks_reader_looked(rocks_engine *engine)
{
    pthread_mutex_unlock(&engine->mutex);
}

void kvi_rocks_reader_give(rocks_engine *engine, rocks_view *view)
{
    pthread_mutex_lock(&engine->mutex);
    view_unref(view);
    pthread_mutex_unlock(&engine->mutex);
}
