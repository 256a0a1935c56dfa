/* Buffers: bytes that grow. */
#include "base.h"

#include <stdlib.h>

#define SMALLEST 64

kivi_status kivi_buffer_reserve(kivi_buffer *buffer, size_t capacity)
{
    if (KVI_LIKELY(capacity <= buffer->capacity))
        return KIVI_OK;
    if (capacity > PTRDIFF_MAX)
        return KIVI_NO_MEMORY;
    /* Half as much again, so that many small additions cost little; it cannot wrap below PTRDIFF_MAX. */
    size_t wanted = buffer->capacity + buffer->capacity / 2;
    if (wanted > PTRDIFF_MAX)
        wanted = PTRDIFF_MAX;
    if (wanted < capacity)
        wanted = capacity;
    if (wanted < SMALLEST)
        wanted = SMALLEST;
    uint8_t *grown = realloc(buffer->data, wanted);
    if (!grown)
        return KIVI_NO_MEMORY;
    buffer->data = grown;
    buffer->capacity = wanted;
    return KIVI_OK;
}

kivi_status kivi_buffer_assign(kivi_buffer *buffer, kivi_slice bytes)
{
    /* Bytes of the buffer itself always fit, so growing never moves them away. Empty ones are stored too. */
    if (KVI_UNLIKELY(bytes.size > buffer->capacity || !buffer->data)) {
        buffer->size = 0;
        kivi_status status = kivi_buffer_reserve(buffer, bytes.size ? bytes.size : 1);
        if (status)
            return status;
    }
    if (bytes.size)
        memmove(buffer->data, bytes.data, bytes.size);
    buffer->size = bytes.size;
    return KIVI_OK;
}

kivi_status kivi_buffer_append(kivi_buffer *buffer, kivi_slice bytes)
{
    if (bytes.size > PTRDIFF_MAX - buffer->size)
        return KIVI_NO_MEMORY;
    size_t size = buffer->size + bytes.size;
    kivi_status status = kivi_buffer_reserve(buffer, size ? size : 1);
    if (status)
        return status;
    if (bytes.size)
        memcpy(buffer->data + buffer->size, bytes.data, bytes.size);
    buffer->size = size;
    return KIVI_OK;
}

void kivi_buffer_free(kivi_buffer *buffer)
{
    free(buffer->data);
    *buffer = (kivi_buffer)KIVI_BUFFER_INIT;
}

kivi_slice kvi_buffer_put(kivi_buffer *buffer, kivi_slice slice)
{
    kivi_slice copy = kivi_bytes(buffer->data + buffer->size, slice.size);
    if (slice.size)
        memcpy(buffer->data + buffer->size, slice.data, slice.size);
    buffer->size += slice.size;
    return copy;
}

int kvi_slice_compare(kivi_slice a, kivi_slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}
