/* Writes that a transaction judges: the sums of increments, and what each item is answered. */
#include "sql.h"

#include <stdlib.h>

size_t kvi_sql_find_item(const void *items, uint32_t item_size, size_t count, kivi_slice key)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        /* The key is the first member of items to read and of items to write. */
        const kivi_slice *at = (const kivi_slice *)(const void *)((const char *)items + middle * item_size);
        size_t common = at->size < key.size ? at->size : key.size;
        int order = common ? memcmp(at->data, key.data, common) : 0;
        if (!order)
            order = (at->size > key.size) - (at->size < key.size);
        if (!order)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return count;
}

bool kvi_sql_has_increments(const kivi_write_vector *vector)
{
    for (size_t i = 0; i < vector->count; i++)
        if (kivi_write_item_at(vector, i)->kind == KIVI_OP_INCREMENT)
            return true;
    return false;
}

bool kvi_sql_judging_begin(kvi_sql_judging *judging, kivi_write_vector *vector)
{
    size_t count = vector->count;

    if (judging->room < count) {
        free(judging->marks);
        free(judging->sums);
        judging->marks = malloc(count);
        judging->sums = malloc(count * sizeof(*judging->sums));
        judging->room = judging->marks && judging->sums ? count : 0;
    }
    judging->vector = vector;
    judging->size = 0;
    judging->failed = false;
    if (judging->room < count)
        return false;
    memset(judging->marks, 0, count);
    memset(judging->sums, 0, count * sizeof(*judging->sums));
    return true;
}

void kvi_sql_judging_free(kvi_sql_judging *judging)
{
    free(judging->marks);
    free(judging->sums);
    free(judging->bytes);
    *judging = (kvi_sql_judging){0};
}

/* Keeps a sum's bytes; false without memory. */
static bool keep(kvi_sql_judging *judging, kivi_slice bytes)
{
    size_t needed = judging->size + bytes.size;

    if (needed > judging->bytes_room) {
        size_t room = needed < 256 ? 256 : 2 * needed;
        uint8_t *grown = realloc(judging->bytes, room);
        if (!grown)
            return false;
        judging->bytes = grown;
        judging->bytes_room = room;
    }
    if (bytes.size)
        memcpy(judging->bytes + judging->size, bytes.data, bytes.size);
    judging->size += bytes.size;
    return true;
}

void kvi_sql_add_up(kvi_sql_judging *judging, size_t index, bool there, kivi_slice value)
{
    kivi_write_item *item = kivi_write_item_at(judging->vector, index);
    kvi_sql_sum *sum = &judging->sums[index];
    kivi_slice bytes = {NULL, 0};

    if (item->kind != KIVI_OP_INCREMENT)
        return;
    sum->there = there;
    sum->at = judging->size;
    sum->status = judging->vector->increment(judging->vector, item, there ? &value : NULL, &bytes);
    sum->size = sum->status ? 0 : bytes.size;
    if (!sum->status && !keep(judging, bytes))
        judging->failed = true;
}

kivi_write_item kvi_sql_as_judged(const kvi_sql_judging *judging, size_t index)
{
    kivi_write_item item = *kivi_write_item_at(judging->vector, index);
    const kvi_sql_sum *sum = &judging->sums[index];

    if (item.kind != KIVI_OP_INCREMENT)
        return item;
    item.kind = sum->status ? KIVI_OP_CHECK : KIVI_OP_SET;
    item.value = kivi_bytes(judging->bytes + sum->at, sum->size);
    item.ttl_ms = sum->there ? KIVI_TTL_KEEP : item.ttl_ms;
    return item;
}

static kivi_status verdict(const kivi_write_item *item, uint8_t mark, bool aborted)
{
    if (!(mark & KVI_SQL_HOLDS))
        return KIVI_CONDITION;
    if (aborted)
        return KIVI_ABORTED;
    return item->kind == KIVI_OP_TOUCH && !(mark & KVI_SQL_THERE) ? KIVI_NOT_FOUND : KIVI_OK;
}

bool kvi_sql_answer(const kvi_sql_judging *judging)
{
    const kivi_write_vector *vector = judging->vector;
    bool aborted = false;

    for (size_t i = 0; i < vector->count; i++) {
        if (!(judging->marks[i] & KVI_SQL_SEEN))
            return false;
        aborted = aborted ||
                  (vector->flags & KIVI_VECTOR_ATOMIC && !(judging->marks[i] & KVI_SQL_HOLDS));
    }
    for (size_t i = 0; i < vector->count; i++) {
        kivi_write_item *item = kivi_write_item_at(vector, i);
        item->existed = (judging->marks[i] & KVI_SQL_THERE) != 0;
        item->status = judging->sums[i].status ? judging->sums[i].status
                                               : verdict(item, judging->marks[i], aborted);
    }
    return true;
}
