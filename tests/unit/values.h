/* What the tests of values share: a value told as text, trees of msgpack-c to compare with, random values. */
#ifndef TEST_VALUES_H
#define TEST_VALUES_H

#include "../../libkivi/codecs/codecs.h"
#include "../../libkivi/core/base/base.h"

#include <inttypes.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

#define VALUES_UNUSED __attribute__((unused))
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define BYTES(literal) kivi_bytes(literal, sizeof(literal) - 1)

static inline uint64_t values_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline double values_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* A small generator; the state begins with anything but 0. */
static inline uint64_t values_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static void values_tell_bytes(FILE *text, kivi_slice bytes)
{
    const uint8_t *at = bytes.data;
    fputc('\'', text);
    for (size_t i = 0; i < bytes.size; i++) {
        if (at[i] >= 0x20 && at[i] < 0x7f)
            fputc(at[i], text);
        else
            fprintf(text, "\\%02x", at[i]);
    }
    fputc('\'', text);
}

static void values_tell_count(FILE *text, const char *name, size_t count)
{
    if (count == KIVI_COUNT_UNKNOWN)
        fprintf(text, "%s", name);
    else
        fprintf(text, "%s%zu", name, count);
}

static void values_tell_token(FILE *text, const kivi_token *token)
{
    switch (token->type) {
    case KIVI_TOKEN_NIL:
        fputs("nil", text);
        break;
    case KIVI_TOKEN_BOOL:
        fputs(token->as.boolean ? "true" : "false", text);
        break;
    case KIVI_TOKEN_INT:
        fprintf(text, "int%" PRId64, token->as.integer);
        break;
    case KIVI_TOKEN_UINT:
        fprintf(text, "uint%" PRIu64, token->as.uinteger);
        break;
    case KIVI_TOKEN_FLOAT:
        fprintf(text, "float%016" PRIx64, values_bits(token->as.real));
        break;
    case KIVI_TOKEN_STR:
        fputs("str", text);
        values_tell_bytes(text, token->bytes);
        break;
    case KIVI_TOKEN_BIN:
        fputs("bin", text);
        values_tell_bytes(text, token->bytes);
        break;
    case KIVI_TOKEN_ARRAY:
        values_tell_count(text, "array", token->as.count);
        break;
    case KIVI_TOKEN_MAP:
        values_tell_count(text, "map", token->as.count);
        break;
    case KIVI_TOKEN_END:
        fputs("end", text);
        break;
    case KIVI_TOKEN_TIMESTAMP:
        fprintf(text, "time%" PRId64 "+%" PRIu32, token->as.seconds, token->nanoseconds);
        break;
    case KIVI_TOKEN_EXT:
        fprintf(text, "ext%d", (int)token->ext_type);
        values_tell_bytes(text, token->bytes);
        break;
    }
    fputc(' ', text);
}

/* "array2 int1 str'a' end ." for a whole value; "int1 CORRUPT@1" where it breaks. The caller frees it. */
static VALUES_UNUSED char *values_tell_with(kivi_reader *reader, kivi_slice bytes)
{
    char *told = NULL;
    size_t size;
    FILE *text = open_memstream(&told, &size);
    kivi_token token;
    kivi_status status;
    uint32_t depth = 0;
    if (!text)
        abort();
    kivi_reader_start(reader, bytes);
    while (!(status = kivi_reader_next(reader, &token))) {
        depth -= token.type == KIVI_TOKEN_END;
        if (token.depth != depth)
            fprintf(text, "[depth %" PRIu32 " for %" PRIu32 "]", token.depth, depth);
        depth += token.type == KIVI_TOKEN_ARRAY || token.type == KIVI_TOKEN_MAP;
        values_tell_token(text, &token);
    }
    if (status == KIVI_END)
        fputc('.', text);
    else
        fprintf(text, "%s@%zu", kivi_status_name(status), kivi_reader_offset(reader));
    fclose(text);
    return told;
}

static VALUES_UNUSED char *values_tell(const char *codec, kivi_slice bytes)
{
    kivi_reader *reader;
    if (kivi_reader_new(codec, NULL, &reader, NULL))
        abort();
    char *told = values_tell_with(reader, bytes);
    kivi_reader_free(reader);
    return told;
}

/* Makes "array2" and "map1" in a told value "array" and "map", which is how JSON is told. */
static VALUES_UNUSED void values_drop_counts(char *told)
{
    char *to = told;
    for (const char *from = told; *from;) {
        size_t name = !strncmp(from, "array", 5) ? 5 : !strncmp(from, "map", 3) ? 3 : 0;
        memmove(to, from, name);
        to += name;
        from += name;
        from += name ? strspn(from, "0123456789") : 0;
        size_t rest = strcspn(from, " "); /* text may hold spaces: then its words are no names either */
        rest += from[rest] == ' ';
        memmove(to, from, rest);
        to += rest;
        from += rest;
    }
    *to = 0;
}

/* ---- against msgpack-c ---- */

static bool values_match_bytes(const kivi_token *token, const char *data, uint32_t size)
{
    return token->bytes.size == size && (!size || !memcmp(token->bytes.data, data, size));
}

static bool values_match_ext(const kivi_token *token, const msgpack_object *object)
{
    msgpack_timestamp time;
    if (object->via.ext.type != -1)
        return token->type == KIVI_TOKEN_EXT && token->ext_type == object->via.ext.type &&
               values_match_bytes(token, object->via.ext.ptr, object->via.ext.size);
    return token->type == KIVI_TOKEN_TIMESTAMP && msgpack_object_to_timestamp(object, &time) &&
           time.tv_sec == token->as.seconds && time.tv_nsec == token->nanoseconds;
}

/* A float32 as msgpack-c widens it loses one bit of a signalling NaN. */
static bool values_match_float(const kivi_token *token, const msgpack_object *object)
{
    uint64_t ours = values_bits(token->as.real), theirs = values_bits(object->via.f64);
    if (object->type == MSGPACK_OBJECT_FLOAT32 && token->as.real != token->as.real)
        ours |= UINT64_C(1) << 51;
    return token->type == KIVI_TOKEN_FLOAT && ours == theirs;
}

/* Whether the tokens that follow are this tree. msgpack-c nests 32 deep at most. */
static VALUES_UNUSED bool values_match(kivi_reader *reader, const msgpack_object *object)
{
    kivi_token token;
    if (kivi_reader_next(reader, &token))
        return false;
    switch (object->type) {
    case MSGPACK_OBJECT_NIL:
        return token.type == KIVI_TOKEN_NIL;
    case MSGPACK_OBJECT_BOOLEAN:
        return token.type == KIVI_TOKEN_BOOL && token.as.boolean == object->via.boolean;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        if (object->via.u64 > INT64_MAX)
            return token.type == KIVI_TOKEN_UINT && token.as.uinteger == object->via.u64;
        return token.type == KIVI_TOKEN_INT && token.as.integer == (int64_t)object->via.u64;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        return token.type == KIVI_TOKEN_INT && token.as.integer == object->via.i64;
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64:
        return values_match_float(&token, object);
    case MSGPACK_OBJECT_STR:
        return token.type == KIVI_TOKEN_STR &&
               values_match_bytes(&token, object->via.str.ptr, object->via.str.size);
    case MSGPACK_OBJECT_BIN:
        return token.type == KIVI_TOKEN_BIN &&
               values_match_bytes(&token, object->via.bin.ptr, object->via.bin.size);
    case MSGPACK_OBJECT_EXT:
        return values_match_ext(&token, object);
    case MSGPACK_OBJECT_ARRAY:
        if (token.type != KIVI_TOKEN_ARRAY || token.as.count != object->via.array.size)
            return false;
        for (uint32_t i = 0; i < object->via.array.size; i++)
            if (!values_match(reader, &object->via.array.ptr[i]))
                return false;
        return !kivi_reader_next(reader, &token) && token.type == KIVI_TOKEN_END;
    case MSGPACK_OBJECT_MAP:
        if (token.type != KIVI_TOKEN_MAP || token.as.count != object->via.map.size)
            return false;
        for (uint32_t i = 0; i < object->via.map.size; i++)
            if (!values_match(reader, &object->via.map.ptr[i].key) ||
                !values_match(reader, &object->via.map.ptr[i].val))
                return false;
        return !kivi_reader_next(reader, &token) && token.type == KIVI_TOKEN_END;
    }
    return false;
}

/* ---- random values ---- */

#define VALUES_JSON 1     /* only what JSON holds */
#define VALUES_SHUFFLED 2 /* pairs of maps in reverse order */

static int64_t values_random_int(uint64_t *state)
{
    return (int64_t)(values_next(state) >> values_next(state) % 64) * (values_next(state) % 2 ? 1 : -1);
}

static void values_random_str(kivi_writer *writer, uint64_t *state)
{
    static const char *const pieces[] = {
        "a",           "\"", "\\",   "\n", "\x01", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
        "long piece ", "",   "\x7f", "/"};
    char text[128];
    size_t size = 0;
    for (unsigned i = values_next(state) % 8; i; i--) {
        const char *piece = pieces[values_next(state) % 12];
        memcpy(text + size, piece, strlen(piece));
        size += strlen(piece);
    }
    kivi_writer_str(writer, kivi_bytes(text, size));
}

static void values_random_scalar(kivi_writer *writer, uint64_t *state, unsigned flags)
{
    uint64_t bits;
    switch (values_next(state) % (flags & VALUES_JSON ? 6 : 9)) {
    case 0:
        kivi_writer_nil(writer);
        break;
    case 1:
        kivi_writer_bool(writer, values_next(state) & 1);
        break;
    case 2:
        kivi_writer_int(writer, values_random_int(state));
        break;
    case 3:
        kivi_writer_uint(writer, values_next(state));
        break;
    case 4:
        bits = values_next(state);
        if (flags & VALUES_JSON && (bits >> 52 & 0x7ff) == 0x7ff)
            bits ^= UINT64_C(1) << 52;
        kivi_writer_float(writer, values_double(bits));
        break;
    case 5:
        values_random_str(writer, state);
        break;
    case 6:
        bits = values_next(state);
        kivi_writer_bin(writer, kivi_bytes(&bits, bits % 9));
        break;
    case 7:
        kivi_writer_timestamp(writer, values_random_int(state),
                              (uint32_t)(values_next(state) % 2 ? 0 : values_next(state) % 1000000000));
        break;
    default:
        bits = values_next(state);
        kivi_writer_ext(writer, (int8_t)(bits % 127), kivi_bytes(&bits, bits % 9));
    }
}

static VALUES_UNUSED void values_random(kivi_writer *writer, uint64_t *state, unsigned depth,
                                        unsigned flags)
{
    char key[32];
    uint64_t kind = values_next(state) % 4;
    if (!depth || kind < 2) {
        values_random_scalar(writer, state, flags);
        return;
    }
    uint64_t count = values_next(state) % 6, seed = values_next(state) | 1;
    if (kind == 2)
        kivi_writer_array(writer, count);
    else
        kivi_writer_map(writer, count);
    for (uint64_t i = 0; i < count; i++) {
        /* each element has a seed of its own, so that the order of pairs changes nothing else */
        uint64_t turn = kind == 3 && flags & VALUES_SHUFFLED ? count - 1 - i : i;
        uint64_t own = seed + turn * 0x9e3779b97f4a7c15;
        own = own ? own : 1;
        if (kind == 3) {
            int size = snprintf(key, sizeof(key), "key%" PRIu64, turn);
            kivi_writer_str(writer, kivi_bytes(key, (size_t)size));
        }
        values_random(writer, &own, depth - 1, flags);
    }
}

#endif
