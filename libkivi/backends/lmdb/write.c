/* Write vectors: one transaction, every item judged and answered inside it. */
#include <errno.h>

#include "engine.h"

typedef struct vector_work {
    kvi_lmdb_work work; /* first: cast back */
    kivi_write_vector *vector;
} vector_work;

/* Answers an item with a failure of its own. */
static void item_fail(const kvi_lmdb_pass *pass, kivi_write_item *item, kivi_status status,
                      const char *why)
{
    item->status = status;
    item->error = kvi_lmdb_host->error(status, 0, KIVI_RETRY_NO, "%s: %s", pass->env->names.data, why);
}

/* Failures that only the item's own key or value is to blame for; others are the transaction's. */
static bool fail_alone(const kvi_lmdb_pass *pass, kivi_write_item *item, int rc)
{
    if (rc == MDB_INCOMPATIBLE)
        item_fail(pass, item, KIVI_WRONG_TYPE, "the key names a database, not a value");
    else if (rc == MDB_BAD_VALSIZE)
        item_fail(pass, item, KIVI_TOO_LARGE, "the key or the value is too long");
    else
        return false;
    return true;
}

/* Whether the item can be done without knowing what lies there. */
static bool is_blind(const kvi_lmdb_pass *pass, const kivi_write_item *item)
{
    if (item->condition != KIVI_IF_ALWAYS)
        return false;
    if (item->kind == KIVI_OP_DELETE)
        return !(item->flags & KIVI_OP_WANT_EXISTED) || !pass->expiries;
    if (item->kind != KIVI_OP_SET || item->flags & KIVI_OP_WANT_EXISTED)
        return false;
    return item->ttl_ms != KIVI_TTL_KEEP || !pass->expiries;
}

static int increment(kvi_lmdb_pass *pass, kivi_write_vector *vector, kivi_write_item *item,
                     MDB_val *key, const kvi_found *found)
{
    kivi_slice bytes;
    int64_t expiry_ms = kvi_expiry_after(kvi_lmdb_host, item, found);

    item->status = vector->increment(vector, item, found->present ? &found->value : NULL, &bytes);
    return item->status == KIVI_OK ? kvi_lmdb_put(pass, key, bytes, expiry_ms) : 0;
}

/* Does what an item says; `found` is empty for a blind one. */
static int apply(kvi_lmdb_pass *pass, kivi_write_vector *vector, kivi_write_item *item,
                 MDB_val *key, const kvi_found *found)
{
    bool existed;
    int rc;

    item->status = KIVI_OK;
    if (item->flags & KIVI_OP_WANT_EXISTED)
        item->existed = found->present;
    switch (item->kind) {
    case KIVI_OP_SET:
        return kvi_lmdb_put(pass, key, item->value, kvi_expiry_after(kvi_lmdb_host, item, found));
    case KIVI_OP_DELETE:
        rc = kvi_lmdb_remove(pass, key, &existed);
        if (is_blind(pass, item))
            item->existed = existed;
        return rc;
    case KIVI_OP_TOUCH:
        if (item->ttl_ms == KIVI_TTL_KEEP)
            return 0;
        return kvi_lmdb_touch(pass, key, found->value, kvi_expiry_after(kvi_lmdb_host, item, found));
    case KIVI_OP_INCREMENT:
        return increment(pass, vector, item, key, found);
    default:
        return 0;
    }
}

/* The state before an item; judged as well unless that was done before. */
static int look(kvi_lmdb_pass *pass, kivi_write_item *item, MDB_val *key, bool judged, kvi_found *found)
{
    int rc;

    memset(found, 0, sizeof(*found));
    if (is_blind(pass, item))
        return 0;
    rc = kvi_lmdb_find(pass, key, found);
    if (rc != 0 || judged)
        return rc;
    item->status = kvi_judge(item, found);
    if (item->status == KIVI_OK)
        item->status = KIVI_PENDING;
    else if (item->flags & KIVI_OP_WANT_EXISTED)
        item->existed = found->present;
    return 0;
}

/* An item that cannot be done here whatever the state is. */
static bool is_refused(kvi_lmdb_pass *pass, const vector_work *work, kivi_write_item *item,
                       kvi_lmdb_key *key)
{
    if (!kvi_lmdb_key_make(item->key, pass->marked, key))
        item_fail(pass, item, KIVI_TOO_LARGE, "the key is too long");
    else if (work->work.no_mark && kvi_sets_expiry(item))
        item_fail(pass, item, KIVI_UNSUPPORTED,
                  "no expiries in this file of another program: its key \"" KVI_LMDB_MARK
                  "\" (or that and 0x00 bytes) is where they would lie");
    return item->status != KIVI_PENDING;
}

static int do_item(kvi_lmdb_pass *pass, const vector_work *work, kivi_write_item *item, bool judged)
{
    kvi_lmdb_key key;
    kvi_found found;
    int rc;

    if (is_refused(pass, work, item, &key))
        return 0;
    rc = look(pass, item, &key.stored, judged, &found);
    if (rc == 0 && item->status == KIVI_PENDING)
        rc = apply(pass, work->vector, item, &key.stored, &found);
    if (rc == 0 || !fail_alone(pass, item, rc))
        return rc;
    /* A refused delete spoils LMDB's transaction. */
    return item->kind == KIVI_OP_DELETE ? KVI_LMDB_AGAIN : 0;
}

/* Only judges an item of an atomic vector. */
static int judge_item(kvi_lmdb_pass *pass, const vector_work *work, kivi_write_item *item)
{
    kvi_lmdb_key key;
    kvi_found found;
    int rc;

    if (is_refused(pass, work, item, &key))
        return 0;
    rc = look(pass, item, &key.stored, false, &found);
    return rc != 0 && fail_alone(pass, item, rc) ? 0 : rc;
}

/* One item of an atomic vector does not go: none does. */
static int abort_others(const kivi_write_vector *vector, const kivi_write_item *culprit)
{
    for (size_t i = 0; i < vector->count; i++)
        if (kivi_write_item_at(vector, i) != culprit)
            kivi_write_item_at(vector, i)->status = KIVI_ABORTED;
    return 0;
}

static int run_atomic(kvi_lmdb_pass *pass, const vector_work *work)
{
    kivi_write_vector *vector = work->vector;

    /* An item that failed in the last attempt. */
    for (size_t i = 0; i < vector->count; i++)
        if (kvi_stops_others(kivi_write_item_at(vector, i)->status))
            return abort_others(vector, kivi_write_item_at(vector, i));
    for (size_t i = 0; i < vector->count; i++) {
        kivi_write_item *item = kivi_write_item_at(vector, i);
        int rc = judge_item(pass, work, item);
        if (rc != 0)
            return rc;
        if (kvi_stops_others(item->status))
            return abort_others(vector, item);
    }
    for (size_t i = 0; i < vector->count; i++) {
        kivi_write_item *item = kivi_write_item_at(vector, i);
        int rc = item->status == KIVI_NOT_FOUND ? 0 : do_item(pass, work, item, true);
        if (rc != 0)
            return rc;
        if (item->status != KIVI_OK && item->status != KIVI_NOT_FOUND)
            return KVI_LMDB_AGAIN;
    }
    return 0;
}

static int run(kvi_lmdb_work *base, kvi_lmdb_pass *pass)
{
    vector_work *work = (vector_work *)base;
    kivi_write_vector *vector = work->vector;

    if (vector->flags & KIVI_VECTOR_ATOMIC)
        return run_atomic(pass, work);
    for (size_t i = 0; i < vector->count; i++) {
        kivi_write_item *item = kivi_write_item_at(vector, i);
        int rc = item->status == KIVI_PENDING ? do_item(pass, work, item, false) : 0;
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Failures of items stay: they would fail again. */
static void undo(kvi_lmdb_work *base, bool uncertain)
{
    kivi_write_vector *vector = ((vector_work *)base)->vector;

    for (size_t i = 0; i < vector->count; i++) {
        kivi_write_item *item = kivi_write_item_at(vector, i);
        if (item->status > KIVI_PENDING && item->status != KIVI_ABORTED)
            continue;
        item->status = KIVI_PENDING;
        item->sent = uncertain ? KIVI_SENT_WHOLLY : KIVI_SENT_NOTHING;
    }
}

kivi_status kvi_lmdb_write(void *instance, void *session, kivi_write_vector *vector,
                           kivi_wait *wait, kivi_error **error)
{
    vector_work work = {.work = {.run = run, .undo = undo}, .vector = vector};

    (void)session;
    for (size_t i = 0; i < vector->count; i++) {
        const kivi_write_item *item = kivi_write_item_at(vector, i);
        /* Pages are half full at worst, and a long value begins a page of its own. */
        work.work.bytes += 2 * (item->key.size + item->value.size) + 4096;
        work.work.wants_mark = work.work.wants_mark || kvi_sets_expiry(item);
    }
    return kvi_lmdb_transact(instance, &work.work, wait, error);
}
