/* kivi_value_equal: what counts as the same value, and that hostile values cost no more than their size. */
#include "values.h"

#include <criterion/criterion.h>

typedef struct pair {
    const char *codec;
    kivi_slice a, b;
    bool equal;
} pair;

#define PAIR(codec, a, b, equal)                             \
    {                                                        \
        codec, {a, sizeof(a) - 1}, {b, sizeof(b) - 1}, equal \
    }
#define M "msgpack"
#define J "json"
/* clang-format off */
static const pair pairs[] = {
    /* integer widths do not count */
    PAIR(M, "\x05", "\xcc\x05", true),
    PAIR(M, "\x05", "\xd3\x00\x00\x00\x00\x00\x00\x00\x05", true),
    PAIR(M, "\xff", "\xd0\xff", true),
    PAIR(M, "\xff", "\xd2\xff\xff\xff\xff", true),
    PAIR(M, "\x05", "\x06", false),
    PAIR(M, "\x05", "\xfb", false),
    PAIR(M, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "\xff", false),
    PAIR(M, "\xcf\x80\x00\x00\x00\x00\x00\x00\x00", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", false),
    /* widths of str, bin, ext, array and map neither */
    PAIR(M, "\xa1" "a", "\xdb\x00\x00\x00\x01" "a", true),
    PAIR(M, "\xc4\x01" "a", "\xc6\x00\x00\x00\x01" "a", true),
    PAIR(M, "\xd4\x05" "a", "\xc7\x01\x05" "a", true),
    PAIR(M, "\xd4\x05" "a", "\xd4\x06" "a", false),
    PAIR(M, "\x91\x01", "\xdd\x00\x00\x00\x01\x01", true),
    PAIR(M, "\x81\x01\x02", "\xdf\x00\x00\x00\x01\x01\x02", true),
    PAIR(M, "\xd6\xff\x00\x00\x00\x05", "\xd7\xff\x00\x00\x00\x00\x00\x00\x00\x05", true),
    PAIR(M, "\xd6\xff\x00\x00\x00\x05", "\xd6\xff\x00\x00\x00\x06", false),
    /* types do */
    PAIR(M, "\x01", "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", false),
    PAIR(M, "\x01", "\xc3", false),
    PAIR(M, "\x00", "\xc2", false),
    PAIR(M, "\xc0", "\xc2", false),
    PAIR(M, "\xa1" "a", "\xc4\x01" "a", false),
    PAIR(M, "\x90", "\x80", false),
    PAIR(M, "\x90", "\xc0", false),
    PAIR(M, "\xa0", "\xc4\x00", false),
    /* floats by their bits */
    PAIR(M, "\xca\x3f\xc0\x00\x00", "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", true),
    PAIR(M, "\xcb\x00\x00\x00\x00\x00\x00\x00\x00", "\xcb\x80\x00\x00\x00\x00\x00\x00\x00", false),
    PAIR(M, "\x91\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01",
        "\xdc\x00\x01\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01", true),
    PAIR(M, "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01", "\xcb\x7f\xf8\x00\x00\x00\x00\x00\x02", false),
    PAIR(M, "\xca\x7f\xc0\x00\x01", "\xcb\x7f\xf8\x00\x00\x20\x00\x00\x00", true),
    /* the order of arrays counts, that of maps does not */
    PAIR(M, "\x92\x01\x02", "\x92\x02\x01", false),
    PAIR(M, "\x82\x01\x02\x03\x04", "\x82\x03\x04\x01\x02", true),
    PAIR(M, "\x82\x01\x02\x03\x04", "\x82\x03\x02\x01\x04", false),
    PAIR(M, "\x82\x01\x02\x03\x04", "\x81\x01\x02", false),
    PAIR(M, "\x82\x01\x02\x03\x04", "\x82\x03\xcc\x04\xcd\x00\x01\x02", true),
    PAIR(M, "\x82\xa1" "a\x82\x01\x02\x03\x04\xa1" "b\x05",
        "\x82\xa1" "b\x05\xa1" "a\x82\x03\x04\x01\x02", true),
    PAIR(M, "\x82\x82\x01\x02\x03\x04\x05\xa1" "b\x05",
        "\x82\xa1" "b\x05\x82\x03\x04\x01\x02\x05", true),
    PAIR(M, "\x92\x82\x01\x02\x03\x04\x05", "\x92\x82\x03\x04\x01\x02\x05", true),
    /* repeated keys: the pairs, as often as they come */
    PAIR(M, "\x82\x01\x02\x01\x03", "\x82\x01\x03\x01\x02", true),
    PAIR(M, "\x82\x01\x02\x01\x03", "\x82\x01\x02\x01\x02", false),
    PAIR(M, "\x83\x01\x02\x01\x02\x01\x03", "\x83\x01\x02\x01\x03\x01\x03", false),
    PAIR(M, "\x82\x01\x02\x01\x02", "\x81\x01\x02", false),
    /* nothing of one element may pass for part of another */
    PAIR(M, "\x92\x90\x91\x01", "\x92\x91\x90\x01", false),
    PAIR(M, "\x92\xa1" "a\xa1" "b", "\x92\xa2" "ab\xa0", false),
    PAIR(M, "\x91\x92\x01\x02", "\x92\x91\x01\x02", false),
    /* damage: only the same bytes are the same */
    PAIR(M, "\xc1", "\xc1", true),
    PAIR(M, "", "", true),
    PAIR(M, "\xc1", "\x01", false),
    PAIR(M, "\x01", "\x01\x01", false),
    PAIR(M, "\x91\x01", "\xdc\x00\x01\x01\xff", false),
    PAIR(M, "\xa1\xff", "\xd9\x01\xff", false),
    PAIR(M, "", "\xc0", false),
    /* JSON */
    PAIR(J, "[1,2]", " [ 1 , 2 ] ", true),
    PAIR(J, "\"a\"", "\"\\u0061\"", true),
    PAIR(J, "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"", true),
    PAIR(J, "1.0", "1", false),
    PAIR(J, "1.0", "10e-1", true),
    PAIR(J, "0.0", "-0.0", false),
    PAIR(J, "0", "-0", true),
    PAIR(J, "{\"a\":1,\"b\":{\"c\":2,\"d\":[]}}", "{\"b\":{\"d\":[],\"c\":2},\"a\":1}", true),
    PAIR(J, "{\"a\":1,\"a\":2}", "{\"a\":2,\"a\":1}", true),
    PAIR(J, "{\"a\":1}", "{\"a\":1,}", false),
    PAIR(J, "[1", "[1 ", false),
    PAIR(J, "[1", "[1", true),
    /* raw */
    PAIR("raw", "\xff", "\xff", true),
    PAIR("raw", "a", "b", false),
    PAIR("raw", "", "b", false),
};
/* clang-format on */

static bool equal(const char *codec, kivi_slice a, kivi_slice b)
{
    bool answer = true;
    kivi_error *error = (kivi_error *)8;
    cr_assert_eq(kivi_value_equal(codec, a, b, &answer, &error), KIVI_OK);
    cr_assert_null(error);
    return answer;
}

Test(value_equal, tells_the_same_from_the_different)
{
    for (size_t i = 0; i < COUNT(pairs); i++) {
        const pair *row = &pairs[i];
        cr_expect_eq(equal(row->codec, row->a, row->b), row->equal, "row %zu", i);
        cr_expect_eq(equal(row->codec, row->b, row->a), row->equal, "row %zu, turned", i);
        cr_expect(equal(row->codec, row->a, row->a), "row %zu, itself", i);
    }
}

Test(value_equal, unknown_codec)
{
    bool answer = true;
    kivi_error *error = NULL;
    cr_expect_eq(kivi_value_equal("yaml", BYTES("1"), BYTES("1"), &answer, &error), KIVI_INVALID);
    cr_expect(!answer);
    cr_assert_not_null(error);
    kivi_error_free(error);
}

static void write_random(const char *codec, kivi_buffer *out, uint64_t seed, unsigned flags)
{
    kivi_writer *writer;
    cr_assert_eq(kivi_writer_new(codec, &writer, NULL), KIVI_OK);
    out->size = 0;
    kivi_writer_start(writer, out);
    values_random(writer, &seed, 6, flags);
    cr_assert_eq(kivi_writer_finish(writer, NULL), KIVI_OK);
    kivi_writer_free(writer);
}

/* The same value with its maps turned round is the same; with one byte changed it is not, unless that hits nothing. */
Test(value_equal, random_values_in_another_order)
{
    kivi_buffer a = KIVI_BUFFER_INIT, b = KIVI_BUFFER_INIT;
    unsigned differed = 0, changed = 0;
    for (uint64_t seed = 1; seed < 20000; seed++) {
        const char *codec = seed % 2 ? "msgpack" : "json";
        unsigned flags = seed % 2 ? 0 : VALUES_JSON;
        write_random(codec, &a, seed * 77, flags);
        write_random(codec, &b, seed * 77, flags | VALUES_SHUFFLED);
        differed += a.size > 1 && memcmp(a.data, b.data, a.size);
        cr_assert(equal(codec, kivi_buffer_slice(&a), kivi_buffer_slice(&b)), "seed %" PRIu64, seed);
        char *told = values_tell(codec, kivi_buffer_slice(&a));
        b.size = 0;
        kivi_buffer_append(&b, kivi_buffer_slice(&a));
        b.data[seed % b.size] ^= 1;
        char *other = values_tell(codec, kivi_buffer_slice(&b));
        if (equal(codec, kivi_buffer_slice(&a), kivi_buffer_slice(&b)))
            cr_assert_eq(strlen(told), strlen(other), "seed %" PRIu64, seed);
        else
            changed++;
        free(told);
        free(other);
    }
    cr_expect_gt(differed, 1000, "the orders did differ");
    cr_expect_gt(changed, 15000);
    kivi_buffer_free(&a);
    kivi_buffer_free(&b);
}

static void put_key(kivi_buffer *out, uint32_t key, uint32_t value)
{
    uint8_t bytes[10] = {0xce, 0, 0, 0, 0, 0xce};
    for (int i = 0; i < 4; i++) {
        bytes[1 + i] = (uint8_t)(key >> (24 - 8 * i));
        bytes[6 + i] = (uint8_t)(value >> (24 - 8 * i));
    }
    cr_assert_eq(kivi_buffer_append(out, kivi_bytes(bytes, sizeof(bytes))), KIVI_OK);
}

static void put_map(kivi_buffer *out, uint32_t count)
{
    uint8_t head[5] = {0xdf, (uint8_t)(count >> 24), (uint8_t)(count >> 16), (uint8_t)(count >> 8),
                       (uint8_t)count};
    cr_assert_eq(kivi_buffer_append(out, kivi_bytes(head, sizeof(head))), KIVI_OK);
}

/* 300,000 pairs turned round, keys all different or all the same: what is quadratic would take hours. */
Test(value_equal, large_maps, .timeout = 60)
{
    const uint32_t count = 300000;
    for (int same_key = 0; same_key < 2; same_key++) {
        kivi_buffer a = KIVI_BUFFER_INIT, b = KIVI_BUFFER_INIT;
        put_map(&a, count);
        put_map(&b, count);
        for (uint32_t i = 0; i < count; i++) {
            put_key(&a, same_key ? 7 : i, i);
            put_key(&b, same_key ? 7 : count - 1 - i, count - 1 - i);
        }
        cr_expect(equal("msgpack", kivi_buffer_slice(&a), kivi_buffer_slice(&b)));
        b.data[b.size - 1] ^= 1;
        cr_expect(!equal("msgpack", kivi_buffer_slice(&a), kivi_buffer_slice(&b)));
        kivi_buffer_free(&a);
        kivi_buffer_free(&b);
    }
}

/* A map in a map in a map ... each with a pair that must be moved: 2 to the power of the depth would never end. */
Test(value_equal, nested_maps, .timeout = 60)
{
    for (unsigned depth = 127; depth < 129; depth++) {
        kivi_buffer a = KIVI_BUFFER_INIT, b = KIVI_BUFFER_INIT;
        for (unsigned i = 0; i < depth; i++) {
            cr_assert_eq(kivi_buffer_append(&a, BYTES("\x82\xa1"
                                                      "b\x01\xa1"
                                                      "a")),
                         KIVI_OK);
            cr_assert_eq(kivi_buffer_append(&b, BYTES("\x82\xa1"
                                                      "a")),
                         KIVI_OK);
        }
        kivi_buffer_append(&a, BYTES("\xc0"));
        kivi_buffer_append(&b, BYTES("\xc0"));
        for (unsigned i = 0; i < depth; i++)
            kivi_buffer_append(&b, BYTES("\xa1"
                                         "b\x01"));
        cr_expect(equal("msgpack", kivi_buffer_slice(&a), kivi_buffer_slice(&b)), "%u", depth);
        kivi_buffer_free(&a);
        kivi_buffer_free(&b);
    }
}

/* Deeper than the limit is damaged: the same only byte for byte. */
Test(value_equal, too_deep)
{
    uint8_t a[140], b[142];
    memset(a, 0x91, sizeof(a));
    memset(b, 0x91, sizeof(b));
    a[139] = 5;
    b[139] = 0xcd;
    b[140] = 0;
    b[141] = 5;
    cr_expect(!equal("msgpack", kivi_bytes(a, 140), kivi_bytes(b, 142)));
    cr_expect(equal("msgpack", kivi_bytes(a + 12, 128), kivi_bytes(b + 12, 130)));
    cr_expect(equal("msgpack", kivi_bytes(a, 140), kivi_bytes(a, 140)));
}
