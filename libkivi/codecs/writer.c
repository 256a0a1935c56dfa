/* The streaming writer: what is the same for every codec. */
#include "codec.h"

#include <stdlib.h>

kivi_status kvi_writer_fail(kivi_writer *writer, kivi_status status, const char *reason)
{
    if (!writer->status) {
        writer->status = status;
        writer->reason = reason;
    }
    writer->now.left = 0; /* so that every later call comes by kvi_writer_make_ready() */
    return writer->status;
}

bool kvi_writer_has_room(kivi_writer *writer, size_t room)
{
    kivi_buffer *out = writer->out;
    if ((size_t)(writer->limit - writer->at) >= room)
        return true;
    size_t used = out->data ? (size_t)(writer->at - out->data) : 0;
    out->size = used;
    kivi_status status = room > SIZE_MAX - used ? KIVI_NO_MEMORY : kivi_buffer_reserve(out, used + room);
    if (status)
        kvi_writer_fail(writer, status, "out of memory");
    writer->at = out->data ? out->data + used : NULL;
    writer->limit = out->data ? out->data + out->capacity : NULL;
    return !status;
}

bool kvi_writer_make_ready(kivi_writer *writer, size_t room)
{
    if (!writer->status && !writer->now.left)
        kvi_writer_fail(writer, KIVI_INVALID, "more than one value");
    return !writer->status && kvi_writer_has_room(writer, room);
}

static kivi_status grow(kivi_writer *writer)
{
    if (writer->capacity == KVI_DEPTH_MAX)
        return kvi_writer_fail(writer, KIVI_INVALID, "nested deeper than 10000");
    uint32_t capacity = writer->capacity * 2;
    if (capacity > KVI_DEPTH_MAX)
        capacity = KVI_DEPTH_MAX;
    bool inside = writer->stack == writer->first;
    kvi_writer_frame *stack = realloc(inside ? NULL : writer->stack, capacity * sizeof(*stack));
    if (!stack)
        return kvi_writer_fail(writer, KIVI_NO_MEMORY, "out of memory");
    if (inside)
        memcpy(stack, writer->first, sizeof(writer->first));
    writer->stack = stack;
    writer->capacity = capacity;
    return KIVI_OK;
}

kivi_status kvi_writer_close_full(kivi_writer *writer)
{
    while (!writer->now.left && writer->depth) {
        if (writer->ops->close) {
            kivi_status status = writer->ops->close(writer, writer->now.map);
            if (status)
                return status;
        }
        writer->now = writer->stack[--writer->depth];
    }
    return KIVI_OK;
}

kivi_status kvi_writer_open(kivi_writer *writer, bool map, size_t count)
{
    if (KVI_UNLIKELY(writer->depth == writer->capacity)) {
        kivi_status status = grow(writer);
        if (status)
            return status;
    }
    writer->now.left--;
    writer->stack[writer->depth++] = writer->now;
    writer->now.left = map ? count * 2 : count;
    writer->now.map = map;
    return count ? KIVI_OK : kvi_writer_close_full(writer);
}

static void rest(kivi_writer *writer)
{
    writer->out = NULL;
    writer->now.left = 0;
    writer->depth = 0;
    writer->at = writer->limit = NULL;
}

void kivi_writer_start(kivi_writer *writer, kivi_buffer *out)
{
    writer->out = out;
    writer->begin = out->size;
    writer->at = out->data ? out->data + out->size : NULL;
    writer->limit = out->data ? out->data + out->capacity : NULL;
    writer->now.left = 1;
    writer->now.map = false;
    writer->depth = 0;
    writer->status = KIVI_OK;
}

kivi_status kivi_writer_nil(kivi_writer *writer)
{
    return writer->ops->nil(writer);
}

kivi_status kivi_writer_bool(kivi_writer *writer, bool value)
{
    return writer->ops->boolean(writer, value);
}

kivi_status kivi_writer_int(kivi_writer *writer, int64_t value)
{
    return writer->ops->integer(writer, value);
}

kivi_status kivi_writer_uint(kivi_writer *writer, uint64_t value)
{
    return writer->ops->uinteger(writer, value);
}

kivi_status kivi_writer_float(kivi_writer *writer, double value)
{
    return writer->ops->real(writer, value);
}

kivi_status kivi_writer_str(kivi_writer *writer, kivi_slice text)
{
    return writer->ops->str(writer, text);
}

kivi_status kivi_writer_bin(kivi_writer *writer, kivi_slice bytes)
{
    return writer->ops->bin(writer, bytes);
}

kivi_status kivi_writer_array(kivi_writer *writer, size_t count)
{
    return writer->ops->array(writer, count);
}

kivi_status kivi_writer_map(kivi_writer *writer, size_t count)
{
    return writer->ops->map(writer, count);
}

kivi_status kivi_writer_timestamp(kivi_writer *writer, int64_t seconds, uint32_t nanoseconds)
{
    if (nanoseconds > 999999999)
        return kvi_writer_fail(writer, KIVI_INVALID, "a timestamp beyond 999,999,999 nanoseconds");
    return writer->ops->timestamp(writer, seconds, nanoseconds);
}

kivi_status kivi_writer_ext(kivi_writer *writer, int8_t type, kivi_slice bytes)
{
    if (type == -1)
        return kvi_writer_fail(writer, KIVI_INVALID, "ext type -1, which is a timestamp");
    return writer->ops->ext(writer, type, bytes);
}

kivi_status kivi_writer_token(kivi_writer *writer, const kivi_token *token)
{
    switch (token->type) {
    case KIVI_TOKEN_NIL:
        return kivi_writer_nil(writer);
    case KIVI_TOKEN_BOOL:
        return kivi_writer_bool(writer, token->as.boolean);
    case KIVI_TOKEN_INT:
        return kivi_writer_int(writer, token->as.integer);
    case KIVI_TOKEN_UINT:
        return kivi_writer_uint(writer, token->as.uinteger);
    case KIVI_TOKEN_FLOAT:
        return kivi_writer_float(writer, token->as.real);
    case KIVI_TOKEN_STR:
        return kivi_writer_str(writer, token->bytes);
    case KIVI_TOKEN_BIN:
        return kivi_writer_bin(writer, token->bytes);
    case KIVI_TOKEN_ARRAY:
    case KIVI_TOKEN_MAP:
        if (token->as.count == KIVI_COUNT_UNKNOWN)
            return kvi_writer_fail(writer, KIVI_INVALID, "a container whose count is not known");
        if (token->type == KIVI_TOKEN_ARRAY)
            return kivi_writer_array(writer, token->as.count);
        return kivi_writer_map(writer, token->as.count);
    case KIVI_TOKEN_END:
        return writer->status;
    case KIVI_TOKEN_TIMESTAMP:
        return kivi_writer_timestamp(writer, token->as.seconds, token->nanoseconds);
    case KIVI_TOKEN_EXT:
        if (token->ext_type < INT8_MIN || token->ext_type > INT8_MAX)
            return kvi_writer_fail(writer, KIVI_INVALID, "an ext type beyond -128 to 127");
        return kivi_writer_ext(writer, (int8_t)token->ext_type, token->bytes);
    }
    return kvi_writer_fail(writer, KIVI_INVALID, "an unknown token");
}

/* Says why and where; the place is read back from what was written so far. */
static kivi_status tell(kivi_writer *writer, kivi_error **error)
{
    char path[KVI_PATH_MAX];
    kivi_buffer *out = writer->out;
    if (!error)
        return writer->status;
    if (!out || writer->status == KIVI_NO_MEMORY)
        return kvi_fail(error, writer->status, "%s: %s", writer->codec->name, writer->reason);
    size_t written = out->data ? (size_t)(writer->at - out->data) - writer->begin : 0;
    kvi_value_path(writer->codec, kivi_bytes(written ? out->data + writer->begin : NULL, written),
                   SIZE_MAX, path);
    return kvi_fail(error, writer->status, "%s: %s at %s", writer->codec->name, writer->reason, path);
}

kivi_status kivi_writer_finish(kivi_writer *writer, kivi_error **error)
{
    kvi_error_clear(error);
    if (!writer->status && writer->now.left)
        kvi_writer_fail(writer, KIVI_INVALID, "less than was said: a value is missing");
    if (!writer->status) {
        writer->out->size = (size_t)(writer->at - writer->out->data);
        rest(writer);
        writer->status = KIVI_INVALID;
        writer->reason = "no value was started";
        return KIVI_OK;
    }
    kivi_status status = tell(writer, error);
    if (writer->out)
        writer->out->size = writer->begin;
    rest(writer);
    return status;
}

void kivi_writer_free(kivi_writer *writer)
{
    if (!writer)
        return;
    if (writer->stack != writer->first)
        free(writer->stack);
    free(writer);
}
