/* Reads that delete or touch what they found. */
#include "rocks.h"

static kivi_slice key_of(const void *vector, size_t index)
{
    return kivi_read_item_at(vector, index)->key;
}

static unsigned what_of(const void *vector, size_t index)
{
    (void)vector;
    (void)index;
    return ROCKS_LOOK_VALUE | ROCKS_LOOK_RECORD;
}

/* A delivery that is refused leaves the key as it is. */
static void take_one(rocks_change *change, kivi_read_vector *vector, kivi_read_item *item,
                     rocks_look *look)
{
    int64_t ttl_ms = item->ttl_ms;

    if (look->failure) {
        char *text = look->failure;
        look->failure = NULL;
        item->status = kvi_rocks_fail(&item->error, text, change->engine->folder, "cannot read");
        return;
    }
    item->status = look->found.present ? KIVI_OK : KIVI_NOT_FOUND;
    if (item->status == KIVI_OK && item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION))
        item->status = vector->deliver(vector, item, look->found.value, kivi_bytes(NULL, 0));
    if (item->status != KIVI_OK)
        return;
    if (item->then == KIVI_THEN_DELETE)
        kvi_rocks_remove(change, item->key, look->recorded);
    else if (item->then == KIVI_THEN_TOUCH && ttl_ms != KIVI_TTL_KEEP)
        kvi_rocks_touch(change, item->key, look->found.value, kvi_rocks_host->expires(ttl_ms),
                        look->recorded);
    /* What is left after a touch is what was asked for, else what there was before. */
    if (item->want & KIVI_WANT_EXPIRY && item->then != KIVI_THEN_TOUCH)
        item->ttl_ms = look->found.expiry_ms
                           ? kvi_ttl_left(look->found.expiry_ms, kvi_rocks_now(&change->now))
                           : KIVI_TTL_NONE;
}

static void undo(const kivi_read_vector *vector, bool uncertain)
{
    for (size_t i = 0; i < vector->count; i++) {
        kivi_read_item *item = kivi_read_item_at(vector, i);
        if (item->status != KIVI_OK)
            continue;
        item->status = KIVI_PENDING;
        item->sent = uncertain ? KIVI_SENT_WHOLLY : KIVI_SENT_NOTHING;
    }
}

static kivi_status run(rocks_change *change, kivi_read_vector *vector, kivi_wait *wait, kivi_error **error)
{
    rocks_asked asked = {
        .key = key_of, .what = what_of, .vector = vector, .count = vector->count, .exactly = true};
    kivi_status status;

    bool expiries = atomic_load_explicit(&change->engine->expiries, memory_order_acquire);
    kvi_rocks_look(change->session, change->engine->view, change->engine->reads, expiries, &asked,
                   &change->now);
    for (size_t i = 0; i < vector->count; i++)
        take_one(change, vector, kivi_read_item_at(vector, i), &change->session->looks[i]);
    status = kvi_rocks_change_commit(change, wait, error);
    if (status != KIVI_OK)
        undo(vector, change->uncertain);
    kvi_rocks_look_end(change->session, vector->count);
    return status;
}

kivi_status kvi_rocks_take(rocks_store *store, rocks_session *session, kivi_read_vector *vector,
                           kivi_wait *wait, kivi_error **error)
{
    rocks_change change = {.store = store, .engine = store->engine, .session = session};
    uint64_t stripes = 0;
    bool wants_expiries = false;
    kivi_status status;

    for (size_t i = 0; i < vector->count; i++) {
        const kivi_read_item *item = kivi_read_item_at(vector, i);
        stripes |= kvi_rocks_stripe(item->key);
        wants_expiries = wants_expiries || (item->then == KIVI_THEN_TOUCH && item->ttl_ms > 0);
    }
    if (!kvi_rocks_session_reserve(session, vector->count))
        return kvi_rocks_no_memory(error, store->engine->folder);
    status = kvi_rocks_change_begin(&change, stripes, wants_expiries, wait, error);
    if (status == KIVI_OK)
        status = run(&change, vector, wait, error);
    kvi_rocks_change_end(&change);
    return status;
}
