/* kivi_value_convert: every pair of codecs, counts that JSON does not say, keys named twice, paths, large values. */
#include "values.h"

#include <criterion/criterion.h>

#define M "msgpack"
#define J "json"
#define R "raw"
typedef struct conversion {
    const char *from;
    kivi_slice value;
    const char *to;
    kivi_slice expected;
} conversion;

#define ROW(from, value, to, expected)        \
    {                                         \
        from, {value, sizeof(value) - 1}, to, \
        {                                     \
            expected, sizeof(expected) - 1    \
        }                                     \
    }

/* clang-format off */
static const conversion conversions[] = {
    ROW(J, "null", M, "\xc0"),
    ROW(J, " [ ] ", M, "\x90"),
    ROW(J, "{}", M, "\x80"),
    ROW(J, "[1,[2,3],{\"a\":[],\"b\":{}},4]",
        M, "\x94\x01\x92\x02\x03\x82\xa1" "a\x90\xa1" "b\x80\x04"),
    ROW(J, "{\"id\":123456,\"score\":1.5,\"active\":true}",
        M, "\x83\xa2id\xce\x00\x01\xe2\x40\xa5score\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\xa6" "active\xc3"),
    ROW(J, "18446744073709551615", M, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
    ROW(J, "-0.0", M, "\xcb\x80\x00\x00\x00\x00\x00\x00\x00"),
    ROW(J, "\"\\u00e9\"", M, "\xa2\xc3\xa9"),
    ROW(M, "\x93\xc0\xca\x3f\xc0\x00\x00\x81\xa1" "a\xdc\x00\x00", J, "[null,1.5,{\"a\":[]}]"),
    ROW(M, "\xd0\x05", M, "\x05"),
    ROW(M, "\x81\x91\x01\xd6\xff\x00\x00\x00\x01", M, "\x81\x91\x01\xd6\xff\x00\x00\x00\x01"),
    ROW(M, "\xca\x3f\xc0\x00\x00", M, "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"),
    ROW(J, " { \"b\" : 1.50 , \"a\" : [ ] } ", J, "{\"b\":1.5,\"a\":[]}"),
    ROW(M, "\xc4\x02\xff\x00", R, "\xff\x00"),
    ROW(M, "\xa2\xc3\xa9", R, "\xc3\xa9"),
    ROW(J, "\"a\\n\"", R, "a\n"),
    ROW(R, "\xff\x00", M, "\xc4\x02\xff\x00"),
    ROW(R, "", M, "\xc4\x00"),
    ROW(R, "\xff", R, "\xff"),
};
/* clang-format on */

Test(value_convert, rewrites_between_codecs)
{
    kivi_buffer out = KIVI_BUFFER_INIT;
    cr_assert_eq(kivi_buffer_assign(&out, BYTES("what was there before")), KIVI_OK);
    for (size_t i = 0; i < COUNT(conversions); i++) {
        const conversion *row = &conversions[i];
        kivi_error *error = NULL;
        cr_assert_eq(kivi_value_convert(row->from, row->value, row->to, &out, &error), KIVI_OK,
                     "row %zu", i);
        cr_assert_null(error);
        cr_expect(out.size == row->expected.size && !memcmp(out.data, row->expected.data, out.size),
                  "row %zu: %zu bytes", i, out.size);
    }
    kivi_buffer_free(&out);
}

typedef struct refusal {
    const char *from;
    kivi_slice value;
    const char *to;
    kivi_status status;
    const char *message;
} refusal;

#define REFUSED(from, value, to, status, message)                    \
    {                                                                \
        from, {value, sizeof(value) - 1}, to, KIVI_##status, message \
    }

/* clang-format off */
static const refusal refusals[] = {
    REFUSED("yaml", "1", J, INVALID, "unknown codec: msgpack, json and raw are known"),
    REFUSED(J, "1", "yaml", INVALID, "unknown codec: msgpack, json and raw are known"),
    REFUSED(J, "[1", M, CORRUPT, "json: cut off at byte 2"),
    REFUSED(J, "", M, CORRUPT, "json: cut off at byte 0"),
    REFUSED(M, "", J, CORRUPT, "msgpack: cut off at byte 0"),
    REFUSED(M, "\x92\x01\xc1", J, CORRUPT, "msgpack: a byte that msgpack never uses at byte 2"),
    REFUSED(M, "\x01\x01", R, CORRUPT, "msgpack: bytes after the value at byte 1"),
    REFUSED(M, "\xc4\x01x", J, UNREPRESENTABLE, "json: cannot hold bytes (bin) at value"),
    REFUSED(R, "x", J, UNREPRESENTABLE, "json: cannot hold bytes (bin) at value"),
    REFUSED(M, "\x81\xa5users\x94\x01\x02\x03\x82\xa4name\xa1" "a\xa2id\xd4\x05x",
        J, UNREPRESENTABLE, "json: cannot hold an ext at value.users[3].id"),
    REFUSED(M, "\x92\x01\x81\xa3" "a b\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
        J, UNREPRESENTABLE, "json: cannot hold the float NaN at value[1][\"a b\"]"),
    REFUSED(M, "\x81\xa6\xc2\x9b\xe2\x80\xae\"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
        J, UNREPRESENTABLE, "json: cannot hold the float NaN at value[\"\\xc2\\x9b\\xe2\\x80\\xae\\x22\"]"),
    REFUSED(M, "\x92\x01\x82\xa1" "a\x01\x05\x02",
        J, UNREPRESENTABLE, "json: cannot hold an integer as the key of a map at value[1]"),
    REFUSED(M, "\x91\xd6\xff\x00\x00\x00\x01",
        J, UNREPRESENTABLE, "json: cannot hold a timestamp at value[0]"),
    REFUSED(M, "\x90", R, UNREPRESENTABLE, "raw: cannot hold an array at value"),
    REFUSED(J, "5", R, UNREPRESENTABLE, "raw: cannot hold an integer at value"),
    /* keys named twice, in whatever width or escape */
    REFUSED(J, "{\"a\":1,\"b\":2,\"a\":3}",
        M, UNREPRESENTABLE, "json: a map names a key twice at value.a"),
    REFUSED(J, "{\"a\":1,\"\\u0061\":3}",
        J, UNREPRESENTABLE, "json: a map names a key twice at value.a"),
    REFUSED(J, "[0,{\"users\":[{\"id\":1,\"x\":{},\"id\":{}}]}]",
        M, UNREPRESENTABLE, "json: a map names a key twice at value[1].users[0].id"),
    REFUSED(J, "{\"\":1,\"\":1}",
        M, UNREPRESENTABLE, "json: a map names a key twice at value[\"\"]"),
    REFUSED(M, "\x82\x05\x01\xcc\x05\x01",
        M, UNREPRESENTABLE, "msgpack: a map names a key twice at value[5]"),
    REFUSED(M, "\x82\xa1" "a\xa1" "b\xa1" "a\xa1" "b",
        M, UNREPRESENTABLE, "msgpack: a map names a key twice at value.a"),
    REFUSED(M, "\x82\x92\x01\x02\x01\xdc\x00\x02\x01\xcc\x02\x01",
        M, UNREPRESENTABLE, "msgpack: a map names a key twice at value[?]"),
    /* a map as a key is the same in any order; and has keys of its own */
    REFUSED(M, "\x82\x82\x01\x02\x03\x04\x00\x82\x03\x04\x01\x02\x00",
        M, UNREPRESENTABLE, "msgpack: a map names a key twice at value[?]"),
    REFUSED(M, "\x81\x82\x01\x02\x01\x03\x00",
        M, UNREPRESENTABLE, "msgpack: a map names a key twice at value[1]"),
    REFUSED(M, "\x81\x01\x82\xc0\x02\xc0\x03",
        M, UNREPRESENTABLE, "msgpack: a map names a key twice at value[1][?]"),
};
/* clang-format on */

Test(value_convert, refuses_with_the_reason_and_the_path)
{
    kivi_buffer out = KIVI_BUFFER_INIT;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        const refusal *row = &refusals[i];
        kivi_error *error = NULL;
        cr_assert_eq(kivi_buffer_assign(&out, BYTES("before")), KIVI_OK);
        cr_expect_eq(kivi_value_convert(row->from, row->value, row->to, &out, &error), row->status,
                     "row %zu", i);
        cr_assert_not_null(error, "row %zu", i);
        cr_expect_eq(kivi_error_status(error), row->status);
        cr_expect_str_eq(kivi_error_message(error), row->message, "row %zu: %s", i,
                         kivi_error_message(error));
        cr_expect_eq(out.size, 0, "row %zu", i);
        kivi_error_free(error);
        cr_expect_eq(kivi_value_convert(row->from, row->value, row->to, &out, NULL), row->status);
    }
    kivi_buffer_free(&out);
}

/* Keys that differ only in their type are two keys. */
Test(value_convert, keys_of_different_types_differ)
{
    /* clang-format off */
    static const kivi_slice maps[] = {
        {"\x82\x01\x01\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\x01", 13},
        {"\x82\xa1" "1\x01\xc4\x01" "1\x01", 8},
        {"\x82\x01\x01\xc3\x01", 5},
        {"\x82\xa0\x01\xc0\x01", 5},
        {"\x82\x91\x01\x01\x91\x91\x01\x01", 8},
        {"\x82\xcb\x00\x00\x00\x00\x00\x00\x00\x00\x01\xcb\x80\x00\x00\x00\x00\x00\x00\x00\x01",
            21},
        {"\x92\x81\x01\x01\x81\x01\x01", 7},
        {"\x82\x01\x81\x01\x01\x02\x81\x01\x01", 9},
    };
    /* clang-format on */
    kivi_buffer out = KIVI_BUFFER_INIT;
    for (size_t i = 0; i < COUNT(maps); i++) {
        cr_expect_eq(kivi_value_convert(M, maps[i], M, &out, NULL), KIVI_OK, "map %zu", i);
        cr_expect(out.size == maps[i].size && !memcmp(out.data, maps[i].data, out.size));
    }
    kivi_buffer_free(&out);
}

Test(value_convert, random_values_go_there_and_back)
{
    kivi_writer *writer;
    uint64_t state = 11;
    kivi_buffer first = KIVI_BUFFER_INIT, json = KIVI_BUFFER_INIT, back = KIVI_BUFFER_INIT;
    cr_assert_eq(kivi_writer_new(M, &writer, NULL), KIVI_OK);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t seed = state;
        bool equal = false;
        first.size = 0;
        kivi_writer_start(writer, &first);
        values_random(writer, &state, 6, VALUES_JSON);
        cr_assert_eq(kivi_writer_finish(writer, NULL), KIVI_OK, "seed %" PRIu64, seed);
        cr_assert_eq(kivi_value_convert(M, kivi_buffer_slice(&first), J, &json, NULL), KIVI_OK,
                     "seed %" PRIu64, seed);
        cr_assert_eq(kivi_value_convert(J, kivi_buffer_slice(&json), M, &back, NULL), KIVI_OK,
                     "seed %" PRIu64, seed);
        cr_assert(first.size == back.size && !memcmp(first.data, back.data, back.size),
                  "seed %" PRIu64, seed);
        cr_assert_eq(kivi_value_convert(J, kivi_buffer_slice(&json), J, &back, NULL), KIVI_OK);
        cr_assert_eq(kivi_value_equal(J, kivi_buffer_slice(&json), kivi_buffer_slice(&back), &equal, NULL),
                     KIVI_OK);
        cr_assert(equal, "seed %" PRIu64, seed);
    }
    kivi_writer_free(writer);
    kivi_buffer_free(&first);
    kivi_buffer_free(&json);
    kivi_buffer_free(&back);
}

static void put(kivi_buffer *out, const char *text)
{
    cr_assert_eq(kivi_buffer_append(out, kivi_str(text)), KIVI_OK);
}

/* Counting what JSON does not say, by skipping ahead on each level, would be quadratic. */
Test(value_convert, nested_json, .timeout = 60)
{
    kivi_buffer json = KIVI_BUFFER_INIT, out = KIVI_BUFFER_INIT;
    for (int i = 0; i < 128; i++)
        put(&json, "[");
    for (int i = 0; i < 500000; i++)
        put(&json, i ? ",1" : "1");
    for (int i = 0; i < 128; i++)
        put(&json, "]");
    for (int i = 0; i < 10; i++)
        cr_expect_eq(kivi_value_convert(J, kivi_buffer_slice(&json), M, &out, NULL), KIVI_OK);
    cr_expect_eq(out.size, 127 + 5 + 500000);
    put(&json, " ");
    json.data[0] = ' ';
    cr_expect_eq(kivi_value_convert(J, kivi_buffer_slice(&json), M, &out, NULL), KIVI_CORRUPT);
    json.size = 0;
    for (int i = 0; i < 129; i++)
        put(&json, "[");
    cr_expect_eq(kivi_value_convert(J, kivi_buffer_slice(&json), M, &out, NULL), KIVI_CORRUPT);
    kivi_buffer_free(&json);
    kivi_buffer_free(&out);
}

/* 300,000 keys, in order and against it, the last named twice or not. */
Test(value_convert, large_maps, .timeout = 60)
{
    kivi_buffer json = KIVI_BUFFER_INIT, out = KIVI_BUFFER_INIT;
    for (int turn = 0; turn < 4; turn++) {
        char text[64];
        kivi_error *error = NULL;
        json.size = 0;
        put(&json, "{");
        for (int i = 0; i < 300000; i++) {
            snprintf(text, sizeof(text), "\"key%06d\":%d,", turn % 2 ? 299999 - i : i, i);
            put(&json, text);
        }
        put(&json, turn < 2 ? "\"last\":1}" : "\"key123456\":1}");
        cr_expect_eq(kivi_value_convert(J, kivi_buffer_slice(&json), M, &out, &error),
                     turn < 2 ? KIVI_OK : KIVI_UNREPRESENTABLE);
        if (turn >= 2)
            cr_expect_str_eq(kivi_error_message(error),
                             "json: a map names a key twice at value.key123456");
        kivi_error_free(error);
    }
    kivi_buffer_free(&json);
    kivi_buffer_free(&out);
}
