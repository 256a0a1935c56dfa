/* What keys hold: many in one request, their expiries in another. */
#include <stdlib.h>

#include "../../core/base/platform.h"
#include "rocks.h"

/* What RocksDB is asked with, for those keys that are asked at all. */
typedef struct question {
    const char **keys;
    size_t *sizes, *indexes;
    rocksdb_pinnableslice_t **values;
    char **failures;
} question;

#define PER_KEY \
    (sizeof(char *) + 2 * sizeof(size_t) + sizeof(rocksdb_pinnableslice_t *) + sizeof(char *))

bool kvi_rocks_session_reserve(rocks_session *session, size_t count)
{
    if (count <= session->room)
        return true;
    free(session->looks);
    free(session->arrays);
    session->looks = kvi_realloc_array(NULL, count, sizeof(rocks_look));
    session->arrays = kvi_realloc_array(NULL, count, PER_KEY);
    session->room = session->looks && session->arrays ? count : 0;
    return session->room != 0;
}

static question divide(const rocks_session *session)
{
    question made;

    made.keys = session->arrays;
    made.sizes = (size_t *)(void *)(made.keys + session->room);
    made.indexes = made.sizes + session->room;
    made.values = (rocksdb_pinnableslice_t **)(void *)(made.indexes + session->room);
    made.failures = (char **)(void *)(made.values + session->room);
    return made;
}

/* Asks for those keys of which `kind` is wanted. */
static void ask(rocks_session *session, const rocks_view *view, const rocksdb_readoptions_t *reads,
                const rocks_asked *asked, unsigned kind)
{
    rocksdb_column_family_handle_t *family = kind == ROCKS_LOOK_VALUE ? view->data
                                                                      : kvi_rocks_expiries(view);
    question at = divide(session);
    size_t count = 0;

    for (size_t i = 0; i < asked->count; i++) {
        kivi_slice key = asked->key(asked->vector, i);
        if (!(asked->what(asked->vector, i) & kind) || session->looks[i].failure)
            continue;
        at.keys[count] = key.data;
        at.sizes[count] = key.size;
        at.indexes[count] = i;
        at.values[count] = NULL;
        at.failures[count++] = NULL;
    }
    if (count == 1)
        at.values[0] = rocksdb_get_pinned_cf(view->db, reads, family, at.keys[0], at.sizes[0],
                                             &at.failures[0]);
    else if (count)
        rocksdb_batched_multi_get_cf(view->db, reads, family, count, at.keys, at.sizes, at.values,
                                     at.failures, true);
    for (size_t i = 0; i < count; i++) {
        rocks_look *look = &session->looks[at.indexes[i]];
        look->failure = at.failures[i];
        *(kind == ROCKS_LOOK_VALUE ? &look->value : &look->record) = at.values[i];
    }
}

static kivi_slice bytes_of(const rocksdb_pinnableslice_t *pinned)
{
    size_t size = 0;
    const char *data = rocksdb_pinnableslice_value(pinned, &size);
    return kivi_bytes(data, size);
}

static void judge(rocks_look *look, bool exactly, int64_t *now)
{
    kvi_record record;

    look->recorded = look->record != NULL;
    if (!look->value)
        return;
    look->found.value = bytes_of(look->value);
    if (look->record && kvi_record_read(bytes_of(look->record), &record))
        look->found.expiry_ms = kvi_record_judge(kvi_rocks_host, &record, look->found.value,
                                                 exactly, now);
    look->found.present = look->found.expiry_ms >= 0;
}

void kvi_rocks_look(rocks_session *session, const rocks_view *view, const rocksdb_readoptions_t *reads,
                    bool expiries, const rocks_asked *asked, int64_t *now)
{
    memset(session->looks, 0, asked->count * sizeof(*session->looks));
    ask(session, view, reads, asked, ROCKS_LOOK_VALUE);
    if (expiries && kvi_rocks_expiries(view))
        ask(session, view, reads, asked, ROCKS_LOOK_RECORD);
    for (size_t i = 0; i < asked->count; i++)
        judge(&session->looks[i], asked->exactly, now);
}

void kvi_rocks_look_end(rocks_session *session, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rocks_look *look = &session->looks[i];
        if (look->value)
            rocksdb_pinnableslice_destroy(look->value);
        if (look->record)
            rocksdb_pinnableslice_destroy(look->record);
        if (look->failure)
            rocksdb_free(look->failure);
    }
}
