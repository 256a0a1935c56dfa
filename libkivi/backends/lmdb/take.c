/* Reads that delete or touch what they found: a write transaction that delivers. */
#include "engine.h"

typedef struct take_work {
    kvi_lmdb_work work; /* first: cast back */
    kivi_read_vector *vector;
} take_work;

static void item_fail(const kvi_lmdb_pass *pass, kivi_read_item *item, kivi_status status, const char *why)
{
    item->status = status;
    item->error = kvi_lmdb_host->error(status, 0, KIVI_RETRY_NO, "%s: %s", pass->env->names.data, why);
}

/* Delivers, and does what comes then. A delivery that is refused leaves the key as it is. */
static int take_found(kvi_lmdb_pass *pass, kivi_read_vector *vector, kivi_read_item *item,
                      MDB_val *key, const kvi_found *found)
{
    int64_t ttl_ms = item->ttl_ms;
    bool existed;
    int rc = 0;

    item->status = KIVI_OK;
    if (item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION))
        item->status = vector->deliver(vector, item, found->value, kivi_bytes(NULL, 0));
    if (item->status != KIVI_OK)
        return 0;
    if (item->then == KIVI_THEN_DELETE)
        rc = kvi_lmdb_remove(pass, key, &existed);
    else if (item->then == KIVI_THEN_TOUCH && ttl_ms != KIVI_TTL_KEEP)
        rc = kvi_lmdb_touch(pass, key, found->value, kvi_lmdb_host->expires(ttl_ms));
    return rc;
}

static int take_one(kvi_lmdb_pass *pass, const take_work *work, kivi_read_item *item)
{
    kvi_lmdb_key key;
    kvi_found found;
    int rc;

    if (!kvi_lmdb_key_make(item->key, pass->marked, &key)) {
        item->status = KIVI_NOT_FOUND;
        return 0;
    }
    if (work->work.no_mark && item->then == KIVI_THEN_TOUCH && item->ttl_ms > 0) {
        item_fail(pass, item, KIVI_UNSUPPORTED, "no expiries in this file of another program");
        return 0;
    }
    rc = kvi_lmdb_find(pass, &key.stored, &found);
    if (rc == MDB_INCOMPATIBLE) {
        item_fail(pass, item, KIVI_WRONG_TYPE, "the key names a database, not a value");
        return 0;
    }
    if (rc != 0)
        return rc;
    if (!found.present) {
        item->status = KIVI_NOT_FOUND;
        return 0;
    }
    rc = take_found(pass, work->vector, item, &key.stored, &found);
    /* What is left after a touch is what was asked for, else what there was before. */
    if (rc == 0 && item->want & KIVI_WANT_EXPIRY && item->then != KIVI_THEN_TOUCH)
        item->ttl_ms = found.expiry_ms ? kvi_ttl_left(found.expiry_ms, kvi_lmdb_now(pass))
                                       : KIVI_TTL_NONE;
    return rc;
}

static int run(kvi_lmdb_work *base, kvi_lmdb_pass *pass)
{
    take_work *work = (take_work *)base;

    for (size_t i = 0; i < work->vector->count; i++) {
        kivi_read_item *item = kivi_read_item_at(work->vector, i);
        int rc = item->status == KIVI_PENDING ? take_one(pass, work, item) : 0;
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void undo(kvi_lmdb_work *base, bool uncertain)
{
    kivi_read_vector *vector = ((take_work *)base)->vector;

    for (size_t i = 0; i < vector->count; i++) {
        kivi_read_item *item = kivi_read_item_at(vector, i);
        if (item->status > KIVI_PENDING)
            continue;
        item->status = KIVI_PENDING;
        item->sent = uncertain ? KIVI_SENT_WHOLLY : KIVI_SENT_NOTHING;
    }
}

kivi_status kvi_lmdb_take(kvi_lmdb_store *store, kivi_read_vector *vector, kivi_wait *wait,
                          kivi_error **error)
{
    take_work work = {.work = {.run = run, .undo = undo}, .vector = vector};

    for (size_t i = 0; i < vector->count; i++) {
        const kivi_read_item *item = kivi_read_item_at(vector, i);
        work.work.bytes += 4096;
        work.work.wants_mark |= item->then == KIVI_THEN_TOUCH && item->ttl_ms > 0;
    }
    return kvi_lmdb_transact(store, &work.work, wait, error);
}
