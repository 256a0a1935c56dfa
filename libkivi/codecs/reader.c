/* The streaming reader: what is the same for every codec. */
#include "codec.h"

#include <stdlib.h>

static kivi_status next_stopped(kivi_reader *reader, kivi_token *token)
{
    (void)token;
    return reader->status;
}

kivi_status kvi_reader_fail(kivi_reader *reader, kivi_status status, const char *reason)
{
    reader->next = next_stopped;
    reader->status = status;
    reader->reason = reason;
    return status;
}

kivi_status kvi_reader_end(kivi_reader *reader)
{
    return kvi_reader_fail(reader, KIVI_END, "");
}

kivi_status kvi_reader_grow(kivi_reader *reader)
{
    if (reader->capacity == reader->max_depth)
        return kvi_reader_fail(reader, KIVI_CORRUPT, "nested deeper than the limit");
    uint32_t capacity = reader->capacity * 2;
    if (capacity > reader->max_depth)
        capacity = reader->max_depth;
    bool inside = reader->stack == reader->first;
    size_t *stack = realloc(inside ? NULL : reader->stack, capacity * sizeof(*stack));
    if (!stack)
        return kvi_reader_fail(reader, KIVI_NO_MEMORY, "out of memory");
    if (inside)
        memcpy(stack, reader->first, sizeof(reader->first));
    reader->stack = stack;
    reader->capacity = capacity;
    return KIVI_OK;
}

kivi_status kvi_reader_create(const kvi_codec *codec, uint32_t max_depth, uint64_t max_size,
                              kivi_reader **made, kivi_error **error)
{
    kivi_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return kvi_fail(error, KIVI_NO_MEMORY, "out of memory");
    reader->codec = codec;
    reader->max_depth = max_depth;
    reader->max_size = max_size;
    reader->stack = reader->first;
    reader->capacity = max_depth < KVI_DEPTH_DEFAULT ? max_depth : KVI_DEPTH_DEFAULT;
    kvi_reader_fail(reader, KIVI_INVALID, "no value was started");
    *made = reader;
    return KIVI_OK;
}

void kivi_reader_start(kivi_reader *reader, kivi_slice bytes)
{
    const kvi_reader_ops *ops = reader->codec->reader;
    reader->at = reader->begin = bytes.data;
    reader->end = bytes.size ? reader->at + bytes.size : reader->at;
    reader->depth = 0;
    reader->status = KIVI_OK;
    if (KVI_UNLIKELY(bytes.size > reader->max_size)) {
        kvi_reader_fail(reader, KIVI_CORRUPT, "larger than the limit");
        return;
    }
    reader->next = ops->next;
    reader->left = 1;
    if (ops->start)
        ops->start(reader);
}

kivi_status kivi_reader_next(kivi_reader *reader, kivi_token *token)
{
    return reader->next(reader, token);
}

kivi_status kivi_reader_skip(kivi_reader *reader)
{
    kivi_token token;
    uint32_t around = reader->depth - 1;
    if (!reader->depth)
        return reader->status ? reader->status : KIVI_INVALID;
    do {
        kivi_status status = reader->next(reader, &token);
        if (status)
            return status;
    } while (token.type != KIVI_TOKEN_END || token.depth != around);
    return KIVI_OK;
}

size_t kivi_reader_offset(const kivi_reader *reader)
{
    return reader->begin ? (size_t)(reader->at - reader->begin) : 0;
}

kivi_error *kivi_reader_error(const kivi_reader *reader)
{
    if (kvi_is_answer(reader->status))
        return NULL;
    return kvi_error_new(reader->status, 0, KIVI_RETRY_NO, "%s: %s at byte %zu",
                         reader->codec->name, reader->reason, kivi_reader_offset(reader));
}

void kivi_reader_free(kivi_reader *reader)
{
    if (!reader)
        return;
    if (reader->stack != reader->first)
        free(reader->stack);
    kivi_buffer_free(&reader->text);
    free(reader);
}
