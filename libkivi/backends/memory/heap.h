/* Records that expire, the next to go first: a binary heap. */
#ifndef KVI_MEMORY_HEAP_H
#define KVI_MEMORY_HEAP_H

#include "record.h"

typedef struct memory_heap {
    memory_record **records; /* each knows its place: record->slot - 1 */
    size_t count, capacity;
} memory_heap;

/* Room for `more` records beside those that are there; false without memory. */
bool kvi_heap_reserve(memory_heap *heap, size_t more);
/* Puts in a record with an expiry, for which room was reserved. */
void kvi_heap_push(memory_heap *heap, memory_record *record);
/* Takes a record out; nothing when it is not in. */
void kvi_heap_remove(memory_heap *heap, memory_record *record);
/* The next to expire, NULL when none does. */
memory_record *kvi_heap_first(const memory_heap *heap);
void kvi_heap_free(memory_heap *heap);

#endif
