/* JSON: tokens to bytes, without spaces. */
#include "codec.h"

#include <math.h>

static kivi_status cannot_hold(kivi_writer *writer, const char *reason)
{
    return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, reason);
}

/* The comma or colon before a token. A bracket can only be the last byte when its container was just opened. */
static uint8_t *put_separator(const kivi_writer *writer, uint8_t *at)
{
    if (!writer->depth || at[-1] == '[' || at[-1] == '{')
        return at;
    *at = writer->now.map && !kvi_writer_at_key(writer) ? ':' : ',';
    return at + 1;
}

/* A token that is no string. */
static kivi_status write_text(kivi_writer *writer, const void *text, size_t size)
{
    if (!kvi_writer_ready(writer, 1 + size))
        return writer->status;
    uint8_t *at = put_separator(writer, writer->at);
    memcpy(at, text, size);
    return kvi_writer_done(writer, at + size);
}

static kivi_status write_nil(kivi_writer *writer)
{
    if (kvi_writer_at_key(writer))
        return cannot_hold(writer, "cannot hold nil as the key of a map");
    return write_text(writer, "null", 4);
}

static kivi_status write_boolean(kivi_writer *writer, bool value)
{
    if (kvi_writer_at_key(writer))
        return cannot_hold(writer, "cannot hold a boolean as the key of a map");
    return write_text(writer, value ? "true" : "false", value ? 4 : 5);
}

static kivi_status write_integer(kivi_writer *writer, int64_t value)
{
    uint8_t text[KVI_INTEGER_MAX];
    if (kvi_writer_at_key(writer))
        return cannot_hold(writer, "cannot hold an integer as the key of a map");
    return write_text(writer, text, kvi_decimal_write(value, text));
}

static kivi_status write_uinteger(kivi_writer *writer, uint64_t value)
{
    uint8_t text[KVI_INTEGER_MAX];
    if (kvi_writer_at_key(writer))
        return cannot_hold(writer, "cannot hold an integer as the key of a map");
    return write_text(writer, text, kvi_decimal_write_unsigned(value, text));
}

static kivi_status write_real(kivi_writer *writer, double value)
{
    uint8_t text[KVI_DOUBLE_MAX];
    if (kvi_writer_at_key(writer))
        return cannot_hold(writer, "cannot hold a float as the key of a map");
    if (isnan(value))
        return cannot_hold(writer, "cannot hold the float NaN");
    if (isinf(value))
        return cannot_hold(writer, "cannot hold an infinite float");
    return write_text(writer, text, kvi_double_write(value, text));
}

/* The letter that stands for a byte after a backslash, 'u' for a code, 0 for none. */
static uint8_t escape_of(uint8_t byte)
{
    switch (byte) {
    case '"':
    case '\\':
        return byte;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return byte < 0x20 ? 'u' : 0;
    }
}

static uint8_t *put_escaped(uint8_t *to, uint8_t byte, uint8_t escape)
{
    static const char hex[] = "0123456789abcdef";
    *to++ = '\\';
    *to++ = escape;
    if (escape != 'u')
        return to;
    *to++ = '0';
    *to++ = '0';
    *to++ = (uint8_t)hex[byte >> 4];
    *to++ = (uint8_t)hex[byte & 15];
    return to;
}

static size_t escaped_size(const uint8_t *at, size_t size)
{
    size_t sum = size;
    for (size_t i = 0; i < size; i++) {
        uint8_t escape = escape_of(at[i]);
        sum += !escape ? 0 : escape == 'u' ? 5 : 1;
    }
    return sum;
}

static kivi_status write_str(kivi_writer *writer, kivi_slice text)
{
    const uint8_t *from = text.data;
    if (!kvi_text_is_utf8(from, text.size))
        return kvi_writer_fail(writer, KIVI_INVALID, "text that is not UTF-8");
    size_t size = escaped_size(from, text.size);
    if (!kvi_writer_ready(writer, 3 + size))
        return writer->status;
    uint8_t *at = put_separator(writer, writer->at);
    *at++ = '"';
    if (size == text.size) {
        if (size)
            memcpy(at, from, size);
        at += size;
    } else {
        for (size_t i = 0; i < text.size; i++) {
            uint8_t escape = escape_of(from[i]);
            if (escape)
                at = put_escaped(at, from[i], escape);
            else
                *at++ = from[i];
        }
    }
    *at++ = '"';
    return kvi_writer_done(writer, at);
}

static kivi_status write_bin(kivi_writer *writer, kivi_slice bytes)
{
    (void)bytes;
    return cannot_hold(writer, "cannot hold bytes (bin)");
}

static kivi_status write_container(kivi_writer *writer, bool map, size_t count)
{
    if (count > SIZE_MAX / 2)
        return kvi_writer_fail(writer, KIVI_INVALID, "an impossible count");
    if (!kvi_writer_ready(writer, 2))
        return writer->status;
    uint8_t *at = put_separator(writer, writer->at);
    *at++ = map ? '{' : '[';
    writer->at = at;
    return kvi_writer_open(writer, map, count);
}

static kivi_status write_array(kivi_writer *writer, size_t count)
{
    if (kvi_writer_at_key(writer))
        return cannot_hold(writer, "cannot hold an array as the key of a map");
    return write_container(writer, false, count);
}

static kivi_status write_map(kivi_writer *writer, size_t count)
{
    if (kvi_writer_at_key(writer))
        return cannot_hold(writer, "cannot hold a map as the key of a map");
    return write_container(writer, true, count);
}

static kivi_status write_timestamp(kivi_writer *writer, int64_t seconds, uint32_t nanoseconds)
{
    (void)seconds;
    (void)nanoseconds;
    return cannot_hold(writer, "cannot hold a timestamp");
}

static kivi_status write_ext(kivi_writer *writer, int8_t type, kivi_slice bytes)
{
    (void)type;
    (void)bytes;
    return cannot_hold(writer, "cannot hold an ext");
}

static kivi_status close_container(kivi_writer *writer, bool map)
{
    if (!kvi_writer_has_room(writer, 1))
        return writer->status;
    *writer->at++ = map ? '}' : ']';
    return KIVI_OK;
}

const kvi_writer_ops kvi_json_writer = {
    .nil = write_nil,
    .boolean = write_boolean,
    .integer = write_integer,
    .uinteger = write_uinteger,
    .real = write_real,
    .str = write_str,
    .bin = write_bin,
    .array = write_array,
    .map = write_map,
    .timestamp = write_timestamp,
    .ext = write_ext,
    .close = close_container,
};
