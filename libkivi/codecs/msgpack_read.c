/* msgpack: bytes to tokens. */
#include "codec.h"

static kivi_status truncated(kivi_reader *reader)
{
    return kvi_reader_fail(reader, KIVI_CORRUPT, "cut off");
}

static inline uint16_t load16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap16(value) : value;
}

static inline uint32_t load32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap32(value) : value;
}

static inline uint64_t load64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap64(value) : value;
}

/* A float32 widened; a NaN keeps its bits, which a conversion by the processor would quieten. */
static inline double widen(uint32_t bits)
{
    double value;
    if ((bits & 0x7fffffff) > 0x7f800000) {
        uint64_t wide = (uint64_t)(bits & 0x80000000) << 32 | UINT64_C(0x7ff) << 52 |
                        (uint64_t)(bits & 0x7fffff) << 29;
        memcpy(&value, &wide, sizeof(value));
        return value;
    }
    float narrow;
    memcpy(&narrow, &bits, sizeof(narrow));
    return narrow;
}

/* The reader's state moves only when a token is whole, so that the offset of a failure is its first byte. */
static inline kivi_status take(kivi_reader *reader, const uint8_t *at)
{
    reader->at = at;
    reader->left--;
    return KIVI_OK;
}

static inline kivi_status take_int(kivi_reader *reader, kivi_token *token, const uint8_t *at, int64_t value)
{
    token->type = KIVI_TOKEN_INT;
    token->as.integer = value;
    return take(reader, at);
}

static inline kivi_status take_bytes(kivi_reader *reader, kivi_token *token, kivi_token_type type,
                                     const uint8_t *at, size_t size)
{
    if (KVI_UNLIKELY((size_t)(reader->end - at) < size))
        return truncated(reader);
    token->type = type;
    token->bytes = kivi_bytes(at, size);
    return take(reader, at + size);
}

static inline kivi_status take_str(kivi_reader *reader, kivi_token *token, const uint8_t *at, size_t size)
{
    if (KVI_UNLIKELY((size_t)(reader->end - at) < size))
        return truncated(reader);
    if (KVI_UNLIKELY(!kvi_text_is_utf8(at, size)))
        return kvi_reader_fail(reader, KIVI_CORRUPT, "text that is not UTF-8");
    token->type = KIVI_TOKEN_STR;
    token->bytes = kivi_bytes(at, size);
    return take(reader, at + size);
}

/* `each` is 1 for arrays and 2 for maps: every element takes a byte at least, so a larger count is a lie. */
static inline kivi_status take_container(kivi_reader *reader, kivi_token *token, kivi_token_type type,
                                         const uint8_t *at, size_t count, size_t each)
{
    if (KVI_UNLIKELY(count > (size_t)(reader->end - at) / each && !reader->partial))
        return kvi_reader_fail(reader, KIVI_CORRUPT, "more elements said than bytes left");
    kivi_status status = kvi_reader_push(reader, reader->left - 1);
    if (KVI_UNLIKELY(status))
        return status;
    token->type = type;
    token->as.count = count;
    reader->at = at;
    reader->left = count * each;
    return KIVI_OK;
}

static kivi_status take_timestamp(kivi_reader *reader, kivi_token *token, const uint8_t *at, size_t size)
{
    uint64_t packed;
    switch (size) {
    case 4:
        token->nanoseconds = 0;
        token->as.seconds = load32(at);
        break;
    case 8:
        packed = load64(at);
        token->nanoseconds = (uint32_t)(packed >> 34);
        token->as.seconds = (int64_t)(packed & ((UINT64_C(1) << 34) - 1));
        break;
    case 12:
        token->nanoseconds = load32(at);
        token->as.seconds = (int64_t)load64(at + 4);
        break;
    default:
        return kvi_reader_fail(reader, KIVI_CORRUPT, "a timestamp of impossible size");
    }
    if (token->nanoseconds > 999999999)
        return kvi_reader_fail(reader, KIVI_CORRUPT, "a timestamp beyond 999,999,999 nanoseconds");
    token->type = KIVI_TOKEN_TIMESTAMP;
    return take(reader, at + size);
}

/* `at` is the type byte, which is there. */
static kivi_status take_ext(kivi_reader *reader, kivi_token *token, const uint8_t *at, size_t size)
{
    int8_t type = (int8_t)*at++;
    if ((size_t)(reader->end - at) < size)
        return truncated(reader);
    if (type == -1)
        return take_timestamp(reader, token, at, size);
    token->ext_type = type;
    return take_bytes(reader, token, KIVI_TOKEN_EXT, at, size);
}

/* Nothing more is to come in the innermost container, or in the value. */
static kivi_status close_container(kivi_reader *reader, kivi_token *token)
{
    if (reader->depth) {
        reader->left = reader->stack[--reader->depth];
        token->type = KIVI_TOKEN_END;
        token->depth = reader->depth;
        return KIVI_OK;
    }
    if (reader->at != reader->end)
        return kvi_reader_fail(reader, KIVI_CORRUPT, "bytes after the value");
    return kvi_reader_end(reader);
}

static kivi_status next(kivi_reader *reader, kivi_token *token)
{
    const uint8_t *at = reader->at;
    if (!reader->left)
        return close_container(reader, token);
    size_t rest = (size_t)(reader->end - at);
    if (KVI_UNLIKELY(!rest))
        return truncated(reader);
    token->depth = reader->depth;
    uint8_t head = *at++;

/* The bytes of the header after the first, or out. */
#define NEED(size)                    \
    if (KVI_UNLIKELY(rest <= (size))) \
    return truncated(reader)

    switch (head) {
    case 0x00 ... 0x7f:
        return take_int(reader, token, at, head);
    case 0xe0 ... 0xff:
        return take_int(reader, token, at, (int8_t)head);
    case 0x80 ... 0x8f:
        return take_container(reader, token, KIVI_TOKEN_MAP, at, head & 15, 2);
    case 0x90 ... 0x9f:
        return take_container(reader, token, KIVI_TOKEN_ARRAY, at, head & 15, 1);
    case 0xa0 ... 0xbf:
        return take_str(reader, token, at, head & 31);
    case 0xc0:
        token->type = KIVI_TOKEN_NIL;
        return take(reader, at);
    case 0xc2:
    case 0xc3:
        token->type = KIVI_TOKEN_BOOL;
        token->as.boolean = head & 1;
        return take(reader, at);
    case 0xc4:
        NEED(1);
        return take_bytes(reader, token, KIVI_TOKEN_BIN, at + 1, at[0]);
    case 0xc5:
        NEED(2);
        return take_bytes(reader, token, KIVI_TOKEN_BIN, at + 2, load16(at));
    case 0xc6:
        NEED(4);
        return take_bytes(reader, token, KIVI_TOKEN_BIN, at + 4, load32(at));
    case 0xc7:
        NEED(2);
        return take_ext(reader, token, at + 1, at[0]);
    case 0xc8:
        NEED(3);
        return take_ext(reader, token, at + 2, load16(at));
    case 0xc9:
        NEED(5);
        return take_ext(reader, token, at + 4, load32(at));
    case 0xca:
        NEED(4);
        token->type = KIVI_TOKEN_FLOAT;
        token->as.real = widen(load32(at));
        return take(reader, at + 4);
    case 0xcb: {
        NEED(8);
        uint64_t bits = load64(at);
        token->type = KIVI_TOKEN_FLOAT;
        memcpy(&token->as.real, &bits, sizeof(bits));
        return take(reader, at + 8);
    }
    case 0xcc:
        NEED(1);
        return take_int(reader, token, at + 1, at[0]);
    case 0xcd:
        NEED(2);
        return take_int(reader, token, at + 2, load16(at));
    case 0xce:
        NEED(4);
        return take_int(reader, token, at + 4, load32(at));
    case 0xcf:
        NEED(8);
        token->as.uinteger = load64(at);
        token->type = token->as.uinteger > INT64_MAX ? KIVI_TOKEN_UINT : KIVI_TOKEN_INT;
        return take(reader, at + 8);
    case 0xd0:
        NEED(1);
        return take_int(reader, token, at + 1, (int8_t)at[0]);
    case 0xd1:
        NEED(2);
        return take_int(reader, token, at + 2, (int16_t)load16(at));
    case 0xd2:
        NEED(4);
        return take_int(reader, token, at + 4, (int32_t)load32(at));
    case 0xd3:
        NEED(8);
        return take_int(reader, token, at + 8, (int64_t)load64(at));
    case 0xd4 ... 0xd8:
        NEED(1);
        return take_ext(reader, token, at, (size_t)1 << (head - 0xd4));
    case 0xd9:
        NEED(1);
        return take_str(reader, token, at + 1, at[0]);
    case 0xda:
        NEED(2);
        return take_str(reader, token, at + 2, load16(at));
    case 0xdb:
        NEED(4);
        return take_str(reader, token, at + 4, load32(at));
    case 0xdc:
        NEED(2);
        return take_container(reader, token, KIVI_TOKEN_ARRAY, at + 2, load16(at), 1);
    case 0xdd:
        NEED(4);
        return take_container(reader, token, KIVI_TOKEN_ARRAY, at + 4, load32(at), 1);
    case 0xde:
        NEED(2);
        return take_container(reader, token, KIVI_TOKEN_MAP, at + 2, load16(at), 2);
    case 0xdf:
        NEED(4);
        return take_container(reader, token, KIVI_TOKEN_MAP, at + 4, load32(at), 2);
    default: /* 0xc1 */
        return kvi_reader_fail(reader, KIVI_CORRUPT, "a byte that msgpack never uses");
    }
#undef NEED
}

const kvi_reader_ops kvi_msgpack_reader = {NULL, next, true};

kivi_status kvi_msgpack_integer_read(kivi_slice bytes, int64_t *value)
{
    if (!bytes.size)
        return KIVI_WRONG_TYPE;
    const uint8_t *at = bytes.data;
    kivi_reader reader = {.at = at, .end = at + bytes.size, .left = 1}; /* depth 0: no containers */
    kivi_token token;
    if (next(&reader, &token) || reader.at != reader.end)
        return KIVI_WRONG_TYPE;
    if (token.type == KIVI_TOKEN_UINT)
        return KIVI_OVERFLOW;
    if (token.type != KIVI_TOKEN_INT)
        return KIVI_WRONG_TYPE;
    *value = token.as.integer;
    return KIVI_OK;
}
