/* Reads and writes: one call of Go a vector. */
#include <stdlib.h>

#include "internal.h"

#define NEAR_ITEMS 8
#define NEAR_BYTES 4096
#define FAR_BYTES 65536
#define LOOK_EVERY 64 /* reads between two looks at the handlers of signals */

static bool changes(const kivi_read_vector *vector)
{
    for (size_t i = 0; i < vector->count; i++)
        if (kivi_read_item_at(vector, i)->then != KIVI_THEN_NOTHING)
            return true;
    return false;
}

/* What Go left in the arena. */
static void complete(kivi_read_vector *vector, const kvi_go_read *read)
{
    for (size_t i = 0; i < vector->count; i++) {
        const kvi_go_found *found = &read->found[i];
        kivi_read_item *item = kivi_read_item_at(vector, i);
        kivi_status status = found->status;
        if (status == KIVI_PENDING)
            continue;
        if (!status && item->want & KIVI_WANT_EXPIRY)
            item->ttl_ms = found->ttl_ms;
        if (!status && item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION))
            status = vector->deliver(vector, item, kivi_bytes(read->arena + found->offset, found->size),
                                     kivi_bytes(NULL, 0));
        item->status = status;
    }
}

static kivi_status read_into(const kvi_go_store *store, kvi_go_read *read, kivi_error **error)
{
    kvi_go_failure failure;
    kivi_status status = kvi_go_library->read(store->id, read, &failure);

    if (status)
        return kvi_go_fail(error, &failure);
    complete(read->vector, read);
    return KIVI_OK;
}

static kivi_status read_far(const kvi_go_store *store, kivi_read_vector *vector, kivi_error **error)
{
    size_t list = vector->count * sizeof(kvi_go_found);
    uint8_t *memory = malloc(list + FAR_BYTES);
    kivi_status status;

    if (!memory)
        return kvi_go_no_memory(error);
    status = read_into(
        store, &(kvi_go_read){vector, (kvi_go_found *)(void *)memory, memory + list, FAR_BYTES}, error);
    free(memory);
    return status;
}

static kivi_status read_here(const kvi_go_store *store, kivi_read_vector *vector, kivi_error **error)
{
    kvi_go_found found[NEAR_ITEMS];
    uint8_t arena[NEAR_BYTES];

    if (vector->count > NEAR_ITEMS)
        return read_far(store, vector, error);
    return read_into(store, &(kvi_go_read){vector, found, arena, sizeof(arena)}, error);
}

static kivi_status tell(const kvi_go_store *store, kivi_status status, const kvi_go_change *change,
                        const kvi_go_failure *failure, kivi_error **error)
{
    if (status)
        return kvi_go_fail(error, failure);
    if (change->swept)
        kvi_go_core->report(store->reporter, KIVI_EVENT_SWEEP, KIVI_OK, change->swept);
    return KIVI_OK;
}

static kivi_status refuse(const kvi_go_store *store, kivi_error **error)
{
    return KVI_GO_FAIL(error, KIVI_DENIED, 0, KIVI_RETRY_NO, "%s: opened with read_only=true",
                       store->file->settings.path);
}

static kivi_status take(kvi_go_store *store, kivi_read_vector *vector, kivi_wait *wait, kivi_error **error)
{
    kvi_go_failure failure;
    kvi_go_change change = {.sweep = store->sweep};
    kivi_status status = kvi_go_begin(store, true, wait, error);

    if (status)
        return status;
    status = kvi_go_library->take(store->id, vector, &change, &failure);
    kvi_go_end(store, true);
    return tell(store, status, &change, &failure, error);
}

kivi_status kvi_go_read_verb(void *instance, void *session, kivi_read_vector *vector,
                             kivi_wait *wait, kivi_error **error)
{
    static _Thread_local unsigned reads __attribute__((tls_model("initial-exec")));
    kvi_go_store *store = instance;
    kivi_status status;

    (void)session;
    if (reads++ % LOOK_EVERY == 0)
        kvi_go_mind_handlers();
    if (changes(vector))
        return store->file->settings.read_only ? refuse(store, error) : take(store, vector, wait, error);
    status = kvi_go_begin(store, false, wait, error);
    if (status)
        return status;
    status = read_here(store, vector, error);
    kvi_go_end(store, false);
    return status;
}

kivi_status kvi_go_write_verb(void *instance, void *session, kivi_write_vector *vector,
                              kivi_wait *wait, kivi_error **error)
{
    kvi_go_store *store = instance;
    kvi_go_failure failure;
    kvi_go_change change = {.sweep = store->sweep};
    kivi_status status;

    (void)session;
    if (store->file->settings.read_only)
        return refuse(store, error);
    kvi_go_mind_handlers();
    status = kvi_go_begin(store, true, wait, error);
    if (status)
        return status;
    status = kvi_go_library->write(store->id, vector, &change, &failure);
    kvi_go_end(store, true);
    return tell(store, status, &change, &failure, error);
}
