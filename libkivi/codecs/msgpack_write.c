/* msgpack: tokens to bytes, each in the smallest encoding. */
#include "codec.h"

static inline uint8_t *store16(uint8_t *at, uint8_t head, uint16_t value)
{
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        value = __builtin_bswap16(value);
    *at = head;
    memcpy(at + 1, &value, sizeof(value));
    return at + 1 + sizeof(value);
}

static inline uint8_t *store32(uint8_t *at, uint8_t head, uint32_t value)
{
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        value = __builtin_bswap32(value);
    *at = head;
    memcpy(at + 1, &value, sizeof(value));
    return at + 1 + sizeof(value);
}

static inline uint8_t *store64(uint8_t *at, uint8_t head, uint64_t value)
{
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
        value = __builtin_bswap64(value);
    *at = head;
    memcpy(at + 1, &value, sizeof(value));
    return at + 1 + sizeof(value);
}

static inline uint8_t *store8(uint8_t *at, uint8_t head, uint8_t value)
{
    at[0] = head;
    at[1] = value;
    return at + 2;
}

static uint8_t *store_unsigned(uint8_t *at, uint64_t value)
{
    if (value < 0x80) {
        *at = (uint8_t)value;
        return at + 1;
    }
    if (value <= UINT8_MAX)
        return store8(at, 0xcc, (uint8_t)value);
    if (value <= UINT16_MAX)
        return store16(at, 0xcd, (uint16_t)value);
    if (value <= UINT32_MAX)
        return store32(at, 0xce, (uint32_t)value);
    return store64(at, 0xcf, value);
}

static uint8_t *store_negative(uint8_t *at, int64_t value)
{
    if (value >= -32) {
        *at = (uint8_t)value;
        return at + 1;
    }
    if (value >= INT8_MIN)
        return store8(at, 0xd0, (uint8_t)value);
    if (value >= INT16_MIN)
        return store16(at, 0xd1, (uint16_t)value);
    if (value >= INT32_MIN)
        return store32(at, 0xd2, (uint32_t)value);
    return store64(at, 0xd3, (uint64_t)value);
}

static kivi_status write_byte(kivi_writer *writer, uint8_t byte)
{
    if (!kvi_writer_ready(writer, 1))
        return writer->status;
    *writer->at = byte;
    return kvi_writer_done(writer, writer->at + 1);
}

static kivi_status write_nil(kivi_writer *writer)
{
    return write_byte(writer, 0xc0);
}

static kivi_status write_boolean(kivi_writer *writer, bool value)
{
    return write_byte(writer, value ? 0xc3 : 0xc2);
}

static kivi_status write_uinteger(kivi_writer *writer, uint64_t value)
{
    if (!kvi_writer_ready(writer, 9))
        return writer->status;
    return kvi_writer_done(writer, store_unsigned(writer->at, value));
}

static kivi_status write_integer(kivi_writer *writer, int64_t value)
{
    if (!kvi_writer_ready(writer, 9))
        return writer->status;
    return kvi_writer_done(writer, value >= 0 ? store_unsigned(writer->at, (uint64_t)value)
                                              : store_negative(writer->at, value));
}

static kivi_status write_real(kivi_writer *writer, double value)
{
    uint64_t bits;
    if (!kvi_writer_ready(writer, 9))
        return writer->status;
    memcpy(&bits, &value, sizeof(bits));
    return kvi_writer_done(writer, store64(writer->at, 0xcb, bits));
}

/* Copies short bytes without a call. There is room for them. */
static inline void copy_bytes(uint8_t *to, const uint8_t *from, size_t size)
{
    uint64_t a, b;
    uint32_t c, d;
    if (size >= 8 && size <= 16) {
        memcpy(&a, from, 8);
        memcpy(&b, from + size - 8, 8);
        memcpy(to, &a, 8);
        memcpy(to + size - 8, &b, 8);
    } else if (size >= 4 && size < 8) {
        memcpy(&c, from, 4);
        memcpy(&d, from + size - 4, 4);
        memcpy(to, &c, 4);
        memcpy(to + size - 4, &d, 4);
    } else if (size > 16) {
        memcpy(to, from, size);
    } else if (size) {
        to[0] = from[0];
        to[size / 2] = from[size / 2];
        to[size - 1] = from[size - 1];
    }
}

static kivi_status write_str(kivi_writer *writer, kivi_slice text)
{
    if (KVI_UNLIKELY(text.size > UINT32_MAX))
        return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "text beyond 4 GiB");
    if (!kvi_writer_ready(writer, 5 + text.size))
        return writer->status;
    if (KVI_UNLIKELY(!kvi_text_is_utf8(text.data, text.size)))
        return kvi_writer_fail(writer, KIVI_INVALID, "text that is not UTF-8");
    uint8_t *at = writer->at;
    if (KVI_LIKELY(text.size < 32))
        *at++ = (uint8_t)(0xa0 | text.size);
    else if (text.size <= UINT8_MAX)
        at = store8(at, 0xd9, (uint8_t)text.size);
    else if (text.size <= UINT16_MAX)
        at = store16(at, 0xda, (uint16_t)text.size);
    else
        at = store32(at, 0xdb, (uint32_t)text.size);
    copy_bytes(at, text.data, text.size);
    return kvi_writer_done(writer, at + text.size);
}

static kivi_status write_bin(kivi_writer *writer, kivi_slice bytes)
{
    if (bytes.size > UINT32_MAX)
        return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "bytes beyond 4 GiB");
    if (!kvi_writer_ready(writer, 5 + bytes.size))
        return writer->status;
    uint8_t *at = writer->at;
    if (bytes.size <= UINT8_MAX)
        at = store8(at, 0xc4, (uint8_t)bytes.size);
    else if (bytes.size <= UINT16_MAX)
        at = store16(at, 0xc5, (uint16_t)bytes.size);
    else
        at = store32(at, 0xc6, (uint32_t)bytes.size);
    copy_bytes(at, bytes.data, bytes.size);
    return kvi_writer_done(writer, at + bytes.size);
}

/* `fix` is the head of the short form; `head` and the byte after it are those of 16 and 32 bits. */
static inline kivi_status write_container(kivi_writer *writer, bool map, size_t count, uint8_t fix,
                                          uint8_t head)
{
    if (KVI_UNLIKELY(count > UINT32_MAX))
        return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "a container beyond 4,294,967,295 elements");
    if (!kvi_writer_ready(writer, 5))
        return writer->status;
    if (count < 16)
        *writer->at++ = (uint8_t)(fix | count);
    else if (count <= UINT16_MAX)
        writer->at = store16(writer->at, head, (uint16_t)count);
    else
        writer->at = store32(writer->at, (uint8_t)(head + 1), (uint32_t)count);
    return kvi_writer_open(writer, map, count);
}

static kivi_status write_array(kivi_writer *writer, size_t count)
{
    return write_container(writer, false, count, 0x90, 0xdc);
}

static kivi_status write_map(kivi_writer *writer, size_t count)
{
    return write_container(writer, true, count, 0x80, 0xde);
}

static kivi_status write_timestamp(kivi_writer *writer, int64_t seconds, uint32_t nanoseconds)
{
    if (!kvi_writer_ready(writer, 15))
        return writer->status;
    uint8_t *at = writer->at;
    if (seconds < 0 || seconds >> 34) {
        at = store8(at, 0xc7, 12);
        at = store32(at, 0xff, nanoseconds);
        uint8_t last = at[-1]; /* store64 puts a head before its eight bytes: the byte that is there already */
        at = store64(at - 1, last, (uint64_t)seconds);
    } else if (nanoseconds || seconds > UINT32_MAX) {
        *at++ = 0xd7;
        at = store64(at, 0xff, (uint64_t)nanoseconds << 34 | (uint64_t)seconds);
    } else {
        *at++ = 0xd6;
        at = store32(at, 0xff, (uint32_t)seconds);
    }
    return kvi_writer_done(writer, at);
}

static kivi_status write_ext(kivi_writer *writer, int8_t type, kivi_slice bytes)
{
    if (bytes.size > UINT32_MAX)
        return kvi_writer_fail(writer, KIVI_UNREPRESENTABLE, "an ext beyond 4 GiB");
    if (!kvi_writer_ready(writer, 6 + bytes.size))
        return writer->status;
    uint8_t *at = writer->at;
    size_t size = bytes.size;
    if (size && size <= 16 && !(size & (size - 1)))
        *at++ = (uint8_t)(0xd4 + __builtin_ctzl(size));
    else if (size <= UINT8_MAX)
        at = store8(at, 0xc7, (uint8_t)size);
    else if (size <= UINT16_MAX)
        at = store16(at, 0xc8, (uint16_t)size);
    else
        at = store32(at, 0xc9, (uint32_t)size);
    *at++ = (uint8_t)type;
    copy_bytes(at, bytes.data, size);
    return kvi_writer_done(writer, at + size);
}

const kvi_writer_ops kvi_msgpack_writer = {
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
};

size_t kvi_msgpack_integer_write(int64_t value, uint8_t bytes[KVI_INTEGER_MAX])
{
    uint8_t *end = value >= 0 ? store_unsigned(bytes, (uint64_t)value) : store_negative(bytes, value);
    return (size_t)(end - bytes);
}
