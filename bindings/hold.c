/* Calls that wait for room in a queue: a request with memory of its own, to be submitted again. */
#include "bindings.h"

#include <stdlib.h>

/* Where the next bytes go. */
typedef struct store_room {
    char *at;
} store_room;

static void put(store_room *room, kivi_slice *slice)
{
    if (slice->size)
        memcpy(room->at, slice->data, slice->size);
    slice->data = room->at;
    room->at += slice->size;
}

static const kivi_slice *put_slices(const kivi_slice *from, size_t count, kivi_slice *to, store_room *room)
{
    if (!from)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        to[i] = from[i];
        put(room, &to[i]);
    }
    return to;
}

static size_t slices_size(const kivi_slice *slices, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; slices && i < count; i++)
        size += slices[i].size;
    return size;
}

static size_t bytes_size(const kivi_request *ask)
{
    size_t size = ask->key.size + ask->value.size + ask->expected.size;
    size += slices_size(ask->keys, ask->count) + slices_size(ask->values, ask->count);
    for (size_t i = 0; ask->ops && i < ask->count; i++)
        size += ask->ops[i].key.size + ask->ops[i].value.size + ask->ops[i].expected.size;
    if (ask->range)
        size += ask->range->prefix.size + ask->range->after.size + ask->range->cursor.size;
    return size;
}

/* The fixed part of the memory; the bytes follow it. */
typedef struct held {
    kivi_range range;
    max_align_t rest[];
} held;

bool kvb_answer_hold(kvb_answer *answer)
{
    kivi_request *ask = &answer->request;
    size_t ops = ask->ops ? ask->count * sizeof(kivi_op) : 0;
    size_t keys = ask->keys ? ask->count * sizeof(kivi_slice) : 0;
    size_t values = ask->values ? ask->count * sizeof(kivi_slice) : 0;
    held *memory = malloc(sizeof(*memory) + ops + keys + values + bytes_size(ask));
    if (!memory)
        return false;
    char *arrays = (char *)memory->rest;
    store_room room = {arrays + ops + keys + values};
    put(&room, &ask->key);
    put(&room, &ask->value);
    put(&room, &ask->expected);
    if (ops) {
        kivi_op *copies = (kivi_op *)arrays;
        memcpy(copies, ask->ops, ops);
        for (size_t i = 0; i < ask->count; i++) {
            put(&room, &copies[i].key);
            put(&room, &copies[i].value);
            put(&room, &copies[i].expected);
        }
        ask->ops = copies;
    }
    ask->keys = put_slices(ask->keys, ask->count, (kivi_slice *)(arrays + ops), &room);
    ask->values = put_slices(ask->values, ask->count, (kivi_slice *)(arrays + ops + keys), &room);
    if (ask->range) {
        memory->range = *ask->range;
        put(&room, &memory->range.prefix);
        put(&room, &memory->range.after);
        put(&room, &memory->range.cursor);
        ask->range = &memory->range;
    }
    answer->held = memory;
    kivi_completion_release(&answer->done);
    answer->done = (kivi_completion)KIVI_COMPLETION_INIT;
    return true;
}
