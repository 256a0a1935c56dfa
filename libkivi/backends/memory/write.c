/* The write verb: a vector under one exclusive lock. */
#include "memory.h"

#define FEW 8

/* One vector on its way through the lock. */
typedef struct memory_change {
    memory_instance *instance;
    memory_space *space;
    kivi_write_vector *vector;
    const uint8_t *fates;
    memory_answer *answers;
    memory_clock clock;
    memory_record *gone;
} memory_change;

int64_t kvi_memory_expiry(const memory_instance *instance, int64_t ttl_ms)
{
    int64_t resolution = instance->settings.ttl_resolution;
    int64_t end;

    if (ttl_ms <= 0)
        return 0;
    end = kvi_memory_host->expires(ttl_ms) + 1; /* the first ms without it */
    return (end + resolution - 1) / resolution * resolution - 1;
}

/* ---- Before the lock ---- */

/* What can be said of an item without the data, and the record to put in place. PENDING: go on. */
static kivi_status prepare(const memory_instance *instance, const kivi_write_item *item,
                           memory_answer *answer)
{
    const memory_settings *settings = &instance->settings;

    if (item->kind < KIVI_OP_SET || item->kind > KIVI_OP_INCREMENT)
        return KIVI_INVALID;
    if (item->key.size > settings->max_key)
        return KIVI_TOO_LARGE;
    if (item->kind != KIVI_OP_DELETE && item->kind != KIVI_OP_CHECK && item->ttl_ms > settings->max_ttl)
        return KIVI_UNSUPPORTED;
    if (item->kind != KIVI_OP_SET)
        return KIVI_PENDING;
    if (item->value.size > settings->max_value)
        return KIVI_TOO_LARGE;
    answer->record = record_new(item->key, item->value);
    return answer->record ? KIVI_PENDING : KIVI_NO_MEMORY;
}

static void prepare_all(memory_change *change)
{
    for (size_t i = 0; i < change->vector->count; i++)
        if (fate_serves(change->fates, i))
            change->answers[i].status = prepare(
                change->instance, kivi_write_item_at(change->vector, i), &change->answers[i]);
}

/* ---- Under the lock: one item ---- */

static bool same_bytes(kivi_slice a, kivi_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool same_version(const memory_instance *instance, const memory_record *record, kivi_slice expected)
{
    const uint8_t *bytes = expected.data;
    uint64_t version = 0;

    if (!instance->settings.counted_versions)
        return same_bytes(record_value(record), expected);
    if (expected.size != 8)
        return false;
    for (int i = 0; i < 8; i++)
        version = version << 8 | bytes[i];
    return version == record->version;
}

/* Whether the condition holds; `old` NULL: the key is not there. */
static bool holds(const memory_change *change, const kivi_write_item *item, const memory_record *old)
{
    switch (item->condition) {
    case KIVI_IF_ALWAYS:
        return true;
    case KIVI_IF_ABSENT:
        return !old;
    case KIVI_IF_PRESENT:
        return old;
    case KIVI_IF_EQUAL:
        return old && same_bytes(record_value(old), item->expected);
    case KIVI_IF_VERSION:
        return old && same_version(change->instance, old, item->expected);
    default:
        return false;
    }
}

/* Hangs a record of the caller's in; it is the space's after OK. */
static kivi_status put(memory_change *change, memory_record *record, int64_t expires)
{
    if (expires && !kvi_heap_reserve(&change->space->heap, 1))
        return KIVI_NO_MEMORY;
    record->expires = expires;
    return kvi_space_put(change->space, record, &change->gone) ? KIVI_OK : KIVI_NO_MEMORY;
}

static kivi_status set(memory_change *change, const kivi_write_item *item, const memory_record *old,
                       memory_answer *answer)
{
    int64_t kept = old ? old->expires : 0;
    int64_t expires = item->ttl_ms == KIVI_TTL_KEEP
                          ? kept
                          : kvi_memory_expiry(change->instance, item->ttl_ms);
    kivi_status status = put(change, answer->record, expires);

    if (status == KIVI_OK)
        answer->record = NULL;
    return status;
}

static kivi_status touch(memory_change *change, const kivi_write_item *item, memory_record *old)
{
    if (!old)
        return KIVI_NOT_FOUND;
    if (item->ttl_ms == KIVI_TTL_KEEP)
        return KIVI_OK;
    if (item->ttl_ms > 0 && !kvi_heap_reserve(&change->space->heap, 1))
        return KIVI_NO_MEMORY;
    kvi_space_expire(change->space, old, kvi_memory_expiry(change->instance, item->ttl_ms));
    return KIVI_OK;
}

static kivi_status increment(memory_change *change, kivi_write_item *item, const memory_record *old)
{
    kivi_slice value = old ? record_value(old) : kivi_bytes(NULL, 0);
    kivi_slice bytes = kivi_bytes(NULL, 0);
    memory_record *record;
    int64_t expires;
    kivi_status status = change->vector->increment(change->vector, item, old ? &value : NULL, &bytes);

    if (status != KIVI_OK)
        return status;
    if (bytes.size > change->instance->settings.max_value)
        return KIVI_TOO_LARGE;
    record = record_new(item->key, bytes);
    if (!record)
        return KIVI_NO_MEMORY;
    expires = old ? old->expires : kvi_memory_expiry(change->instance, item->ttl_ms);
    status = put(change, record, expires);
    if (status != KIVI_OK)
        record_unref(record);
    return status;
}

static kivi_status apply_item(memory_change *change, kivi_write_item *item, memory_answer *answer)
{
    memory_record *old = kvi_space_live(change->space, item->key, &change->clock);

    answer->existed = old != NULL;
    if (!holds(change, item, old))
        return KIVI_CONDITION;
    switch (item->kind) {
    case KIVI_OP_SET:
        return set(change, item, old, answer);
    case KIVI_OP_DELETE:
        kvi_space_remove(change->space, item->key, &change->gone);
        return KIVI_OK;
    case KIVI_OP_TOUCH:
        return touch(change, item, old);
    case KIVI_OP_INCREMENT:
        return increment(change, item, old);
    default:
        return KIVI_OK; /* CHECK */
    }
}

static void apply_each(memory_change *change)
{
    for (size_t i = 0; i < change->vector->count; i++)
        if (change->answers[i].status == KIVI_PENDING && fate_serves(change->fates, i))
            change->answers[i].status = apply_item(change, kivi_write_item_at(change->vector, i),
                                                   &change->answers[i]);
}

/* ---- Under the lock: all or nothing ---- */

/* Judges every item on the state before. False: one failed, and the others are aborted. */
static bool judge_all(memory_change *change)
{
    size_t count = change->vector->count;
    size_t failed = count;

    for (size_t i = 0; i < count && failed == count; i++) {
        const kivi_write_item *item = kivi_write_item_at(change->vector, i);
        memory_answer *answer = &change->answers[i];
        const memory_record *old = kvi_space_live(change->space, item->key, &change->clock);

        answer->existed = old != NULL;
        if (answer->status == KIVI_PENDING && item->kind == KIVI_OP_INCREMENT)
            answer->status = KIVI_INVALID;
        if (answer->status == KIVI_PENDING && !holds(change, item, old))
            answer->status = KIVI_CONDITION;
        if (answer->status != KIVI_PENDING)
            failed = i;
    }
    for (size_t i = 0; i < count && failed < count; i++)
        if (i != failed)
            change->answers[i].status = KIVI_ABORTED;
    return failed == count;
}

/* Takes the keys out again that were added: their records are the space's. */
static void undo_additions(memory_change *change)
{
    for (size_t i = 0; i < change->vector->count; i++) {
        if (change->answers[i].status == KIVI_OK)
            kvi_space_remove(change->space, kivi_write_item_at(change->vector, i)->key, &change->gone);
        change->answers[i].status = KIVI_PENDING;
    }
}

/* Adds the keys that are not in the tree: all that can want memory for it. */
static bool add_keys(memory_change *change)
{
    for (size_t i = 0; i < change->vector->count; i++) {
        const kivi_write_item *item = kivi_write_item_at(change->vector, i);
        memory_answer *answer = &change->answers[i];
        kivi_status status;

        if (item->kind != KIVI_OP_SET || kvi_tree_find(&change->space->tree, item->key))
            continue;
        status = set(change, item, NULL, answer);
        if (status != KIVI_OK) {
            undo_additions(change);
            return false;
        }
        answer->status = KIVI_OK;
    }
    return true;
}

static size_t count_with_expiry(const memory_change *change)
{
    size_t count = 0;

    for (size_t i = 0; i < change->vector->count; i++)
        count += kivi_write_item_at(change->vector, i)->ttl_ms != KIVI_TTL_NONE;
    return count;
}

static kivi_status apply_whole(memory_change *change)
{
    if (!judge_all(change))
        return KIVI_OK;
    if (!kvi_heap_reserve(&change->space->heap, count_with_expiry(change)) || !add_keys(change))
        return KIVI_NO_MEMORY;
    apply_each(change);
    return KIVI_OK;
}

/* ---- The verb ---- */

static bool anything_served(const memory_change *change)
{
    for (size_t i = 0; i < change->vector->count; i++)
        if (fate_serves(change->fates, i))
            return true;
    return false;
}

/* Without memory for a record an atomic vector fails whole; else its item alone. */
static bool lacks_memory(const memory_change *change)
{
    for (size_t i = 0; i < change->vector->count; i++)
        if (change->answers[i].status == KIVI_NO_MEMORY)
            return true;
    return false;
}

kivi_status kvi_memory_apply(memory_instance *instance, kivi_write_vector *vector,
                             const uint8_t *fates, memory_answer *answers, kivi_error **error)
{
    memory_change change = {instance, instance->space, vector, fates, answers, {0, false}, NULL};
    bool atomic = vector->flags & KIVI_VECTOR_ATOMIC;
    kivi_status status = KIVI_OK;
    uint64_t swept;

    if (!anything_served(&change))
        return KIVI_OK;
    if (atomic && !instance->settings.atomic) {
        *error = kvi_memory_host->error(KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO,
                                        "this store has no atomic batches");
        return KIVI_UNSUPPORTED;
    }
    prepare_all(&change);
    if (atomic && lacks_memory(&change)) {
        *error = kvi_memory_error(KIVI_NO_MEMORY);
        return KIVI_NO_MEMORY;
    }
    pthread_rwlock_wrlock(&change.space->lock);
    if (atomic)
        status = apply_whole(&change);
    else
        apply_each(&change);
    swept = kvi_space_sweep(change.space, instance->settings.sweep, &change.clock, &change.gone);
    pthread_rwlock_unlock(&change.space->lock);
    kvi_space_drop(change.gone);
    if (swept)
        kvi_memory_host->report(instance->reporter, KIVI_EVENT_SWEEP, KIVI_OK, swept);
    if (status != KIVI_OK)
        *error = kvi_memory_error(status);
    return status;
}

static bool is_answer(kivi_status status)
{
    return status <= KIVI_END;
}

void kvi_memory_confirm(kivi_write_item *item, const memory_answer *answer)
{
    if (answer->status == KIVI_PENDING)
        return;
    if (item->flags & KIVI_OP_WANT_EXISTED)
        item->existed = answer->existed;
    if (!is_answer(answer->status) && !item->error)
        item->error = kvi_memory_error(answer->status);
    item->status = answer->status;
}

kivi_status kvi_memory_write(memory_instance *instance, kivi_write_vector *vector, kivi_error **error)
{
    memory_answer few[FEW];
    memory_answer *answers = kvi_answers_new(vector->count, few, FEW);
    kivi_status status;

    if (!answers) {
        *error = kvi_memory_error(KIVI_NO_MEMORY);
        return KIVI_NO_MEMORY;
    }
    status = kvi_memory_apply(instance, vector, NULL, answers, error);
    for (size_t i = 0; status == KIVI_OK && i < vector->count; i++)
        kvi_memory_confirm(kivi_write_item_at(vector, i), &answers[i]);
    kvi_answers_free(answers, vector->count, few);
    return status;
}
