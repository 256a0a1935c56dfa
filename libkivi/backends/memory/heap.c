/* The binary heap of expiries. Every record knows its place, so that any can be taken out. */
#include "heap.h"

bool kvi_heap_reserve(memory_heap *heap, size_t more)
{
    size_t capacity = heap->capacity ? heap->capacity : 16;
    memory_record **records;

    if (heap->capacity - heap->count >= more)
        return true;
    if (more > UINT32_MAX || heap->count + more > UINT32_MAX)
        return false;
    while (capacity < heap->count + more)
        capacity *= 2;
    records = realloc(heap->records, capacity * sizeof(*records));
    if (!records)
        return false;
    heap->records = records;
    heap->capacity = capacity;
    return true;
}

static void place(memory_heap *heap, size_t at, memory_record *record)
{
    heap->records[at] = record;
    record->slot = (uint32_t)(at + 1);
}

/* Finds the place at or above `at` where a record may stand, moving later ones down. */
static void rise(memory_heap *heap, size_t at, memory_record *record)
{
    while (at > 0) {
        size_t above = (at - 1) / 2;

        if (heap->records[above]->expires <= record->expires)
            break;
        place(heap, at, heap->records[above]);
        at = above;
    }
    place(heap, at, record);
}

/* The same at or below `at`. */
static void sink(memory_heap *heap, size_t at, memory_record *record)
{
    for (;;) {
        size_t below = 2 * at + 1;

        if (below >= heap->count)
            break;
        if (below + 1 < heap->count && heap->records[below + 1]->expires < heap->records[below]->expires)
            below++;
        if (record->expires <= heap->records[below]->expires)
            break;
        place(heap, at, heap->records[below]);
        at = below;
    }
    place(heap, at, record);
}

void kvi_heap_push(memory_heap *heap, memory_record *record)
{
    rise(heap, heap->count++, record);
}

void kvi_heap_remove(memory_heap *heap, memory_record *record)
{
    memory_record *last;
    size_t at;

    if (record->slot == 0)
        return;
    at = record->slot - 1u;
    record->slot = 0;
    last = heap->records[--heap->count];
    if (last == record)
        return;
    if (at > 0 && last->expires < heap->records[(at - 1) / 2]->expires)
        rise(heap, at, last);
    else
        sink(heap, at, last);
}

memory_record *kvi_heap_first(const memory_heap *heap)
{
    return heap->count ? heap->records[0] : NULL;
}

void kvi_heap_free(memory_heap *heap)
{
    free(heap->records);
    heap->records = NULL;
    heap->count = heap->capacity = 0;
}
