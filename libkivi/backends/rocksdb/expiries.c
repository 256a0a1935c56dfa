/* The column family of expiries: made at the first of them, as another program that opens the folder must name it. */
#include <signal.h>

#include "rocks.h"

/* Under the empty key, which no store has: whose data was there when the family was made. */
#define NOTE_OURS "ours"
#define NOTE_FOREIGN "foreign"

static rocks_owner owner_of(kivi_slice note)
{
    if (kvi_key_order(note, kivi_str(NOTE_OURS)) == 0)
        return ROCKS_OURS;
    return kvi_key_order(note, kivi_str(NOTE_FOREIGN)) == 0 ? ROCKS_FOREIGN : ROCKS_NOBODYS;
}

kivi_status kvi_rocks_expiries_look(rocks_engine *engine, rocks_view *view, rocks_owner *owner,
                                    kivi_error **error)
{
    rocksdb_column_family_handle_t *family = kvi_rocks_expiries(view);
    rocksdb_iterator_t *at;
    char *failure = NULL;
    size_t size = 0, value_size = 0;
    bool noted = false, some = false;

    *owner = ROCKS_NOBODYS;
    if (!family)
        return KIVI_OK;
    at = rocksdb_create_iterator_cf(view->db, engine->reads, family);
    rocksdb_iter_seek_to_first(at);
    if (rocksdb_iter_valid(at)) {
        rocksdb_iter_key(at, &size);
        noted = size == 0;
        if (noted) {
            const char *value = rocksdb_iter_value(at, &value_size);
            *owner = owner_of(kivi_bytes(value, value_size));
            rocksdb_iter_next(at);
        }
        some = rocksdb_iter_valid(at);
    }
    rocksdb_iter_get_error(at, &failure);
    rocksdb_iter_destroy(at);
    if (failure)
        return kvi_rocks_fail(error, failure, engine->folder, "cannot read");
    /* Empty and without a note: its making was cut short. */
    view->family_is_theirs = *owner == ROCKS_NOBODYS && (noted || some);
    if (view->family_is_theirs)
        atomic_store(&view->expiries, NULL);
    atomic_store(&engine->expiries, some && !view->family_is_theirs);
    return KIVI_OK;
}

static kivi_status refuse(const rocks_engine *engine, kivi_error **error)
{
    *error = kvi_rocks_host->error(
        KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO,
        "%s: no expiries in this folder of another program: its column family \"" KVI_ROCKS_FAMILY
        "\" is where they would lie",
        engine->folder);
    return KIVI_UNSUPPORTED;
}

/* The family, with signals blocked: RocksDB may start threads for it. */
static rocksdb_column_family_handle_t *create(const rocks_engine *engine, char **failure)
{
    rocksdb_column_family_handle_t *family;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    family = rocksdb_create_column_family(engine->view->db, engine->tuning.family, KVI_ROCKS_FAMILY,
                                          failure);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return *failure ? NULL : family;
}

static kivi_status make(rocks_engine *engine, kivi_error **error)
{
    rocksdb_column_family_handle_t *family = kvi_rocks_expiries(engine->view);
    const char *note = engine->foreign ? NOTE_FOREIGN : NOTE_OURS;
    rocksdb_writeoptions_t *writes;
    kivi_status status;
    char *failure = NULL;

    if (!family)
        family = create(engine, &failure);
    if (failure)
        return kvi_rocks_fail(error, failure, engine->folder, "cannot make room for expiries");
    writes = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(writes, 1);
    rocksdb_put_cf(engine->view->db, writes, family, "", 0, note, strlen(note), &failure);
    rocksdb_writeoptions_destroy(writes);
    /* It is there whatever comes: to make it again would fail. */
    atomic_store_explicit(&engine->view->expiries, family, memory_order_release);
    if (failure)
        return kvi_rocks_fail(error, failure, engine->folder, "cannot make room for expiries");
    status = kvi_rocks_mark_write(engine, engine->foreign ? ROCKS_FOREIGN : ROCKS_OURS, true, error);
    if (status == KIVI_OK)
        atomic_store(&engine->expiries, true);
    return status;
}

kivi_status kvi_rocks_expiries_make(rocks_engine *engine, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    if (atomic_load_explicit(&engine->expiries, memory_order_acquire))
        return KIVI_OK;
    if (engine->view->family_is_theirs)
        return refuse(engine, error);
    pthread_mutex_lock(&engine->mutex);
    if (!atomic_load(&engine->expiries))
        status = make(engine, error);
    pthread_mutex_unlock(&engine->mutex);
    return status;
}
