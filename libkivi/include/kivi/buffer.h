/* Buffers: bytes that the library grows and the caller reuses. */
#ifndef KIVI_BUFFER_H
#define KIVI_BUFFER_H

#include <kivi/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Where reads put what they find. Begin with KIVI_BUFFER_INIT (or zeroed memory), reuse for as many
 * calls as you like, end with kivi_buffer_free(). `data` and `size` may be read; only the library
 * writes them, and only it grows or frees the memory. One thread at a time.
 * A call that fails, or finds nothing, leaves `size` 0. `data` is NULL only while nothing was ever stored.
 */
typedef struct kivi_buffer {
    uint8_t *data;
    size_t size;     /**< bytes in use */
    size_t capacity; /**< bytes owned */
} kivi_buffer;

#define KIVI_BUFFER_INIT \
    {                    \
        NULL, 0, 0       \
    }

/** The bytes of a buffer; valid until the buffer is next written or freed. */
static inline kivi_slice kivi_buffer_slice(const kivi_buffer *buffer)
{
    return kivi_bytes(buffer->data, buffer->size);
}

/** Room for `capacity` bytes in all, contents kept: KIVI_OK or KIVI_NO_MEMORY. Since 0.1. */
KIVI_API kivi_status kivi_buffer_reserve(kivi_buffer *buffer, size_t capacity);
/** Replaces the contents by a copy of `bytes` (which may lie in the buffer itself): OK or NO_MEMORY. Since 0.1. */
KIVI_API kivi_status kivi_buffer_assign(kivi_buffer *buffer, kivi_slice bytes);
/** Adds a copy of `bytes` (not lying in this buffer) at the end: OK or NO_MEMORY. Since 0.1. */
KIVI_API kivi_status kivi_buffer_append(kivi_buffer *buffer, kivi_slice bytes);
/** Frees the memory and leaves an empty buffer that can be used again. Since 0.1. */
KIVI_API void kivi_buffer_free(kivi_buffer *buffer);

#ifdef __cplusplus
}
#endif
#endif
