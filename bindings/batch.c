/* Batches: keys and values of many, copied once, so that the language's objects may change meanwhile. */
#include "bindings.h"

#include <stdlib.h>

kvb_batch *kvb_batch_new(void)
{
    return calloc(1, sizeof(kvb_batch));
}

void kvb_batch_free(kvb_batch *batch)
{
    if (!batch)
        return;
    kivi_buffer_free(&batch->bytes);
    free(batch->ops);
    free(batch->keys);
    free(batch);
}

static bool grow(kvb_batch *batch)
{
    size_t capacity = batch->capacity ? batch->capacity * 2 : 16;
    kivi_op *ops = realloc(batch->ops, capacity * sizeof(*ops));
    if (!ops)
        return false;
    batch->ops = ops;
    batch->capacity = capacity;
    return true;
}

/* Until kvb_batch_end() a slice's data is an offset from 1: the bytes still move. */
static bool keep(kvb_batch *batch, kivi_slice given, kivi_slice *slice)
{
    *slice = kivi_bytes((const void *)(uintptr_t)(batch->bytes.size + 1), given.size);
    return kivi_buffer_append(&batch->bytes, given) == KIVI_OK;
}

kivi_op *kvb_batch_add(kvb_batch *batch, kivi_slice key)
{
    if (batch->count == batch->capacity && !grow(batch))
        return NULL;
    kivi_op *op = &batch->ops[batch->count];
    *op = (kivi_op)KIVI_OP_INIT;
    if (!keep(batch, key, &op->key))
        return NULL;
    batch->count++;
    return op;
}

bool kvb_batch_value(kvb_batch *batch, kivi_slice value)
{
    return keep(batch, value, &batch->ops[batch->count - 1].value);
}

bool kvb_batch_expected(kvb_batch *batch, kivi_slice expected)
{
    return keep(batch, expected, &batch->ops[batch->count - 1].expected);
}

static void settle(const kvb_batch *batch, kivi_slice *slice)
{
    if (slice->data)
        slice->data = batch->bytes.data + ((uintptr_t)slice->data - 1);
}

kivi_slice kvb_batch_last_key(const kvb_batch *batch)
{
    kivi_slice key = batch->count ? batch->ops[batch->count - 1].key : kivi_bytes(NULL, 0);
    settle(batch, &key);
    return batch->count && !key.data ? kivi_str("") : key; /* nothing but an empty key came yet */
}

bool kvb_batch_end(kvb_batch *batch)
{
    batch->keys = calloc(batch->count * 2 + 1, sizeof(*batch->keys));
    if (!batch->keys || kivi_buffer_reserve(&batch->bytes, batch->bytes.size + 1))
        return false;
    batch->values = batch->keys + batch->count;
    for (size_t i = 0; i < batch->count; i++) {
        kivi_op *op = &batch->ops[i];
        settle(batch, &op->key);
        settle(batch, &op->value);
        settle(batch, &op->expected);
        batch->keys[i] = op->key;
        batch->values[i] = op->value;
    }
    return true;
}
