/* Results: the outcome of a batch, item by item. */
#include "result.h"

#include "../lanes/context.h"

#include <stdlib.h>

typedef struct result_item {
    kivi_status status;
    bool existed;
    kivi_error *error;
    size_t offset, size; /* of the value in `bytes` */
    int64_t integer;
} result_item;

struct kivi_result {
    kivi_store *store;
    size_t count;
    kivi_buffer bytes;
    result_item items[];
};

kivi_result *kvi_result_new(kivi_store *store, size_t count)
{
    if (count > (SIZE_MAX - sizeof(kivi_result)) / sizeof(result_item))
        return NULL;
    kivi_result *result = calloc(1, sizeof(*result) + count * sizeof(result_item));
    if (!result)
        return NULL;
    result->store = kivi_store_ref(store);
    result->count = count;
    return result;
}

void kvi_result_set(kivi_result *result, size_t index, kivi_status status, kivi_error *error)
{
    if (!error && !kvi_is_answer(status))
        error = kvi_item_error(status); /* no failed item is without one */
    result->items[index].status = status;
    result->items[index].error = error;
    if (error)
        kvi_error_name_backend(error, result->store->backend->name);
}

void kvi_result_set_write(kivi_result *result, size_t index, bool existed, int64_t integer)
{
    result->items[index].existed = existed;
    result->items[index].integer = integer;
}

kivi_status kvi_result_store(kivi_result *result, kivi_slice bytes, size_t *offset)
{
    *offset = result->bytes.size;
    return kivi_buffer_append(&result->bytes, bytes);
}

void kvi_result_set_value(kivi_result *result, size_t index, size_t offset, size_t size)
{
    result->items[index].offset = offset;
    result->items[index].size = size;
}

kivi_status kvi_result_verdict(kvi_context *ctx, const kivi_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        const result_item *item = &result->items[i];
        if (kvi_is_answer(item->status))
            continue;
        kivi_error_free(ctx->error);
        ctx->error = item->error ? kvi_error_copy(item->error) : NULL;
        kvi_error_set_index(ctx->error, i);
        return item->status;
    }
    return KIVI_OK;
}

size_t kivi_result_count(const kivi_result *result)
{
    return result ? result->count : 0;
}

kivi_status kivi_result_status(const kivi_result *result, size_t index)
{
    return index < result->count ? result->items[index].status : KIVI_INVALID;
}

const kivi_error *kivi_result_error(const kivi_result *result, size_t index)
{
    return index < result->count ? result->items[index].error : NULL;
}

kivi_slice kivi_result_value(const kivi_result *result, size_t index)
{
    if (index >= result->count || result->items[index].size == 0)
        return kivi_bytes("", 0);
    const result_item *item = &result->items[index];
    return kivi_bytes(result->bytes.data + item->offset, item->size);
}

bool kivi_result_existed(const kivi_result *result, size_t index)
{
    return index < result->count && result->items[index].existed;
}

int64_t kivi_result_integer(const kivi_result *result, size_t index)
{
    return index < result->count ? result->items[index].integer : 0;
}

void kivi_result_free(kivi_result *result)
{
    if (!result)
        return;
    for (size_t i = 0; i < result->count; i++)
        kivi_error_free(result->items[i].error);
    kivi_buffer_free(&result->bytes);
    kivi_store_unref(result->store);
    free(result);
}
