/* Write vectors: looked at, judged and written while nobody else may write their keys. */
#include "rocks.h"

typedef struct vector_work {
    rocks_change change;
    kivi_write_vector *vector;
    bool expiries; /* some key may have one */
} vector_work;

static kivi_slice key_of(const void *vector, size_t index)
{
    return kivi_write_item_at(vector, index)->key;
}

static unsigned what_of(const void *vector, size_t index)
{
    const kivi_write_item *item = kivi_write_item_at(vector, index);
    return ROCKS_LOOK_RECORD | (kvi_is_blind(item, true) ? 0 : ROCKS_LOOK_VALUE);
}

static unsigned what_without_expiries(const void *vector, size_t index)
{
    return kvi_is_blind(kivi_write_item_at(vector, index), false) ? 0 : ROCKS_LOOK_VALUE;
}

static void increment(vector_work *work, kivi_write_item *item, const rocks_look *look)
{
    kivi_slice old = look->found.value, bytes;

    item->status = work->vector->increment(work->vector, item, look->found.present ? &old : NULL, &bytes);
    if (item->status == KIVI_OK)
        kvi_rocks_put(&work->change, item->key, bytes,
                      kvi_expiry_after(kvi_rocks_host, item, &look->found), look->recorded);
}

/* Puts into the batch what an item says. */
static void apply(vector_work *work, kivi_write_item *item, const rocks_look *look)
{
    rocks_change *change = &work->change;
    int64_t expiry_ms = kvi_expiry_after(kvi_rocks_host, item, &look->found);

    item->status = KIVI_OK;
    switch (item->kind) {
    case KIVI_OP_SET:
        kvi_rocks_put(change, item->key, item->value, expiry_ms, look->recorded);
        return;
    case KIVI_OP_DELETE:
        kvi_rocks_remove(change, item->key, look->recorded);
        return;
    case KIVI_OP_TOUCH:
        if (item->ttl_ms != KIVI_TTL_KEEP)
            kvi_rocks_touch(change, item->key, look->found.value, expiry_ms, look->recorded);
        return;
    case KIVI_OP_INCREMENT:
        increment(work, item, look);
        return;
    default:
        return;
    }
}

/* Fails alone what could not be looked at, and judges the rest: PENDING is to be done. */
static void judge(vector_work *work, kivi_write_item *item, rocks_look *look)
{
    kivi_status status;

    if (item->status != KIVI_PENDING)
        return;
    if (look->failure) {
        char *text = look->failure;
        look->failure = NULL;
        item->status = kvi_rocks_fail(&item->error, text, work->change.engine->folder, "cannot read");
        return;
    }
    if (item->flags & KIVI_OP_WANT_EXISTED)
        item->existed = look->found.present;
    if (kvi_is_blind(item, work->expiries))
        return;
    status = kvi_judge(item, &look->found);
    if (status != KIVI_OK)
        item->status = status;
}

/* An item that does not go keeps the others of an atomic vector from going. True: one does. */
static bool abort_others(const kivi_write_vector *vector)
{
    const kivi_write_item *culprit = NULL;

    for (size_t i = 0; i < vector->count && !culprit; i++)
        if (kvi_stops_others(kivi_write_item_at(vector, i)->status))
            culprit = kivi_write_item_at(vector, i);
    for (size_t i = 0; i < vector->count && culprit; i++) {
        kivi_write_item *item = kivi_write_item_at(vector, i);
        if (item == culprit)
            continue;
        kvi_rocks_host->error_free(item->error);
        item->error = NULL;
        item->status = KIVI_ABORTED;
    }
    return culprit != NULL;
}

static void fill(vector_work *work)
{
    kivi_write_vector *vector = work->vector;
    rocks_look *looks = work->change.session->looks;

    for (size_t i = 0; i < vector->count; i++)
        judge(work, kivi_write_item_at(vector, i), &looks[i]);
    if (vector->flags & KIVI_VECTOR_ATOMIC && abort_others(vector))
        return;
    for (size_t i = 0; i < vector->count; i++) {
        kivi_write_item *item = kivi_write_item_at(vector, i);
        if (item->status == KIVI_PENDING)
            apply(work, item, &looks[i]);
    }
}

/* After a failed commit: what was not decided before is as the commit. */
static void undo(const kivi_write_vector *vector, bool uncertain)
{
    for (size_t i = 0; i < vector->count; i++) {
        kivi_write_item *item = kivi_write_item_at(vector, i);
        if (item->status != KIVI_OK)
            continue;
        item->status = KIVI_PENDING;
        item->sent = uncertain ? KIVI_SENT_WHOLLY : KIVI_SENT_NOTHING;
    }
}

static kivi_status run(vector_work *work, kivi_wait *wait, kivi_error **error)
{
    rocks_change *change = &work->change;
    kivi_write_vector *vector = work->vector;
    rocks_asked asked = {.key = key_of, .vector = vector, .count = vector->count, .exactly = true};
    kivi_status status;

    /* With the stripes: who gave one of these keys an expiry did so before. */
    work->expiries = atomic_load_explicit(&change->engine->expiries, memory_order_acquire);
    asked.what = work->expiries ? what_of : what_without_expiries;
    kvi_rocks_look(change->session, change->engine->view, change->engine->reads, work->expiries,
                   &asked, &change->now);
    fill(work);
    status = kvi_rocks_change_commit(change, wait, error);
    if (status != KIVI_OK)
        undo(vector, change->uncertain);
    kvi_rocks_look_end(change->session, vector->count);
    return status;
}

kivi_status kvi_rocks_write(void *instance, void *session, kivi_write_vector *vector,
                            kivi_wait *wait, kivi_error **error)
{
    rocks_store *store = instance;
    vector_work work = {.change = {.store = store, .engine = store->engine, .session = session},
                        .vector = vector};
    uint64_t stripes = 0;
    bool wants_expiries = false;
    kivi_status status;

    for (size_t i = 0; i < vector->count; i++) {
        const kivi_write_item *item = kivi_write_item_at(vector, i);
        stripes |= kvi_rocks_stripe(item->key);
        wants_expiries = wants_expiries || kvi_sets_expiry(item);
    }
    if (!kvi_rocks_session_reserve(session, vector->count))
        return kvi_rocks_no_memory(error, store->engine->folder);
    status = kvi_rocks_change_begin(&work.change, stripes, wants_expiries, wait, error);
    if (status == KIVI_OK)
        status = run(&work, wait, error);
    kvi_rocks_change_end(&work.change);
    return status;
}
