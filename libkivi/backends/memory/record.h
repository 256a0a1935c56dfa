/* A key with its value: one counted piece of memory, immutable but for what the space's lock guards. */
#ifndef KVI_MEMORY_RECORD_H
#define KVI_MEMORY_RECORD_H

#include <stdatomic.h>
#include <stdlib.h>

#include <kivi/base.h>

/*
 * The tree holds one reference; a reader takes another under the lock and looks at the value without
 * it. A write never changes a value: it puts a new record in place of the old one.
 */
typedef struct memory_record {
    atomic_uint refs;
    uint32_t key_size, value_size;
    uint32_t slot;   /* place in the heap of expiries, from 1; 0: not in it. Under the lock */
    int64_t expires; /* the last ms, since 1970, in which it lives; 0: never ends. Under the lock */
    uint64_t version;           /* of the space's counter */
    struct memory_record *next; /* list of records to let go after the lock */
    uint8_t bytes[];            /* key, then value */
} memory_record;

static inline kivi_slice record_key(const memory_record *record)
{
    return kivi_bytes(record->bytes, record->key_size);
}

static inline kivi_slice record_value(const memory_record *record)
{
    return kivi_bytes(record->bytes + record->key_size, record->value_size);
}

static inline size_t record_size(const memory_record *record)
{
    return (size_t)record->key_size + record->value_size;
}

/* A record of its own, with one reference; NULL without memory. */
static inline memory_record *record_new(kivi_slice key, kivi_slice value)
{
    memory_record *record = malloc(sizeof(*record) + key.size + value.size);

    if (!record)
        return NULL;
    atomic_init(&record->refs, 1);
    record->key_size = (uint32_t)key.size;
    record->value_size = (uint32_t)value.size;
    record->slot = 0;
    record->expires = 0;
    record->version = 0;
    record->next = NULL;
    memcpy(record->bytes, key.data, key.size);
    if (value.size)
        memcpy(record->bytes + key.size, value.data, value.size);
    return record;
}

static inline memory_record *record_ref(memory_record *record)
{
    atomic_fetch_add_explicit(&record->refs, 1, memory_order_relaxed);
    return record;
}

static inline void record_unref(memory_record *record)
{
    if (record && atomic_fetch_sub_explicit(&record->refs, 1, memory_order_acq_rel) == 1)
        free(record);
}

#endif
