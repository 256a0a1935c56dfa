/* The read verb: looking under the lock, delivering without it. */
#include "memory.h"

#define FEW 8

/* Reading with something to be done in the same step; under the exclusive lock. */
static kivi_status then_do(memory_instance *instance, const kivi_read_item *item,
                           memory_record *record, memory_record **gone)
{
    memory_space *space = instance->space;

    if (item->then == KIVI_THEN_DELETE) {
        kvi_space_remove(space, record_key(record), gone);
        return KIVI_OK;
    }
    if (item->ttl_ms > instance->settings.max_ttl)
        return KIVI_UNSUPPORTED;
    if (item->ttl_ms > 0 && !kvi_heap_reserve(&space->heap, 1))
        return KIVI_NO_MEMORY;
    kvi_space_expire(space, record, kvi_memory_expiry(instance, item->ttl_ms));
    return KIVI_OK;
}

static void look(memory_instance *instance, const kivi_read_item *item, memory_clock *clock,
                 memory_answer *answer, memory_record **gone)
{
    memory_record *record = kvi_space_live(instance->space, item->key, clock);

    answer->status = item->key.size > instance->settings.max_key ? KIVI_TOO_LARGE : KIVI_NOT_FOUND;
    if (!record)
        return;
    if (item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION))
        answer->record = record_ref(record);
    answer->status = KIVI_OK;
    if (item->then != KIVI_THEN_NOTHING)
        answer->status = then_do(instance, item, record, gone);
    if (item->want & KIVI_WANT_EXPIRY)
        answer->ttl_ms = kvi_space_ttl(record, clock);
}

static bool changes_something(const kivi_read_vector *vector)
{
    for (size_t i = 0; i < vector->count; i++)
        if (kivi_read_item_at(vector, i)->then != KIVI_THEN_NOTHING)
            return true;
    return false;
}

void kvi_memory_look(memory_instance *instance, kivi_read_vector *vector, const uint8_t *fates,
                     memory_answer *answers)
{
    memory_space *space = instance->space;
    memory_clock clock = {0, false};
    memory_record *gone = NULL;

    if (changes_something(vector))
        pthread_rwlock_wrlock(&space->lock);
    else
        pthread_rwlock_rdlock(&space->lock);
    for (size_t i = 0; i < vector->count; i++)
        if (fate_serves(fates, i))
            look(instance, kivi_read_item_at(vector, i), &clock, &answers[i], &gone);
    pthread_rwlock_unlock(&space->lock);
    kvi_space_drop(gone);
}

/* Versions are eight bytes, the most significant first; without a counter the value is the version. */
static kivi_slice version_bytes(const memory_record *record, uint8_t bytes[8])
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(record->version >> (56 - 8 * i));
    return kivi_bytes(bytes, 8);
}

static kivi_status deliver(const memory_instance *instance, kivi_read_vector *vector,
                           kivi_read_item *item, const memory_record *record)
{
    kivi_slice version = kivi_bytes(NULL, 0);
    uint8_t bytes[8];

    if (instance->settings.counted_versions && (item->want & KIVI_WANT_VERSION))
        version = version_bytes(record, bytes);
    return vector->deliver(vector, item, record_value(record), version);
}

void kvi_memory_tell(const memory_instance *instance, kivi_read_vector *vector,
                     kivi_read_item *item, memory_answer *answer)
{
    kivi_status status = answer->status;

    if (status == KIVI_PENDING)
        return;
    if (status == KIVI_OK && answer->record)
        status = deliver(instance, vector, item, answer->record);
    if (item->want & KIVI_WANT_EXPIRY)
        item->ttl_ms = answer->ttl_ms;
    if (status != KIVI_OK && status != KIVI_NOT_FOUND && status == answer->status)
        item->error = kvi_memory_error(status);
    record_unref(answer->record);
    answer->record = NULL;
    item->status = status;
}

kivi_status kvi_memory_read(memory_instance *instance, kivi_read_vector *vector, kivi_error **error)
{
    memory_answer few[FEW];
    memory_answer *answers = kvi_answers_new(vector->count, few, FEW);

    if (!answers) {
        *error = kvi_memory_error(KIVI_NO_MEMORY);
        return KIVI_NO_MEMORY;
    }
    kvi_memory_look(instance, vector, NULL, answers);
    for (size_t i = 0; i < vector->count; i++)
        kvi_memory_tell(instance, vector, kivi_read_item_at(vector, i), &answers[i]);
    kvi_answers_free(answers, vector->count, few);
    return KIVI_OK;
}
