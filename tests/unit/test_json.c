/* The json codec: RFC 8259 to the letter, and what JSON cannot hold. */
#include "written.h"

#include <math.h>

typedef struct example {
    kivi_slice bytes;
    const char *told;
} example;

#define ROW(literal, text)                   \
    {                                        \
        {literal, sizeof(literal) - 1}, text \
    }

/* clang-format off */
static const example readable[] = {
    ROW("null", "nil ."),
    ROW("true", "true ."),
    ROW("false", "false ."),
    ROW(" \t\r\n null \t\r\n ", "nil ."),
    ROW("-1.5", "floatbff8000000000000 ."),
    ROW("17", "int17 ."),
    ROW("\"\"", "str'' ."),
    ROW("\"abc\"", "str'abc' ."),
    ROW("\"\x7f\"", "str'\\7f' ."),
    ROW("\"\xc3\xa9 and more than eight\"", "str'\\c3\\a9 and more than eight' ."),
    ROW("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "str'\"\\/\\08\\0c\\0a\\0d\\09' ."),
    ROW("\"\\u0000\\u007F\\u0080\\u07ff\\u0800\\uffff\"",
        "str'\\00\\7f\\c2\\80\\df\\bf\\e0\\a0\\80\\ef\\bf\\bf' ."),
    ROW("\"\\ud83d\\uDE00\"", "str'\\f0\\9f\\98\\80' ."),
    ROW("\"\\uD800\\uDC00\\uDBFF\\uDFFF\"", "str'\\f0\\90\\80\\80\\f4\\8f\\bf\\bf' ."),
    ROW("\"12345678\\n12345678\"", "str'12345678\\0a12345678' ."),
    ROW("[]", "array end ."),
    ROW("[ ]", "array end ."),
    ROW("{}", "map end ."),
    ROW(" { } ", "map end ."),
    ROW("[1,2 , 3]", "array int1 int2 int3 end ."),
    ROW("[[],[[1]],{}]", "array array end array array int1 end end map end end ."),
    ROW("{\"a\":1,\"a\" : [true]}", "map str'a' int1 str'a' array true end end ."),
    ROW("{\"a\\n\":{\"\":null}}", "map str'a\\0a' map str'' nil end end ."),
};
/* clang-format on */

/* clang-format off */
static const kivi_slice damaged[] = {
    {"", 0},
#define BAD(literal) { literal, sizeof(literal) - 1 }
    BAD(" "), BAD("nul"), BAD("nulL"), BAD("True"), BAD("truee"), BAD("null null"), BAD("1 2"),
    BAD("NaN"), BAD("Infinity"), BAD("-Infinity"), BAD("-"), BAD("+1"), BAD("01"), BAD("-01"),
    BAD("1."), BAD(".5"), BAD("-.5"), BAD("1.e5"), BAD("1e"), BAD("1e+"), BAD("1e-"), BAD("0x10"),
    BAD("1_000"), BAD("1,5"), BAD("2.5.1"), BAD("1e5.5"), BAD("--1"), BAD("18446744073709551616"),
    BAD("-9223372036854775809"), BAD("99999999999999999999999999"), BAD("1e309"), BAD("-1e309"),
    BAD("1.7976931348623159e308"), BAD("1e999999999999999999999"), BAD("\""), BAD("\"a"),
    BAD("'a'"), BAD("\"\\\""), BAD("\"\\"), BAD("\"\\a\""), BAD("\"\\x41\""), BAD("\"\\U0041\""),
    BAD("\"\\u\""), BAD("\"\\u004\""), BAD("\"\\u00g0\""), BAD("\"\\u+123\""), BAD("\"\\ud800\""),
    BAD("\"\\udc00\""), BAD("\"\\ud800\\ud800\""), BAD("\"\\ud800a\""), BAD("\"\\ud800\\n\""),
    BAD("\"\\ud800\\u0041\""), BAD("\"\\udc00\\ud800\""), BAD("\"\\ud800\\"),
    BAD("\"\\ud800\\u12\""), BAD("\"\n\""), BAD("\"\t\""), BAD("\"\0\""), BAD("\"\x1f\""),
    BAD("\"12345678\x01\""), BAD("\"\xff\""), BAD("\"\xc3\""), BAD("\"\xed\xa0\x80\""),
    BAD("\"\xc0\x80\""), BAD("\"a\"b"), BAD("["), BAD("]"), BAD("[1"), BAD("[1,"), BAD("[1,]"),
    BAD("[,1]"), BAD("[,]"), BAD("[1 2]"), BAD("[1}"), BAD("[1]]"), BAD("[1],"), BAD("{"), BAD("}"),
    BAD("{]"), BAD("[}"), BAD("{\"a\"}"), BAD("{\"a\":}"), BAD("{\"a\":1"), BAD("{\"a\":1,"),
    BAD("{\"a\":1,}"), BAD("{,}"), BAD("{1:1}"), BAD("{a:1}"), BAD("{null:1}"), BAD("{\"a\",1}"),
    BAD("{\"a\":1 \"b\":2}"), BAD("{\"a\"::1}"), BAD("{\"a\":1]"), BAD("{\"a\":1}}"), BAD("[1:2]"),
    BAD("[\"a\":2]"), BAD("//c\n1"),
    BAD("/**/1"),
    BAD("1 #"), BAD("\xef\xbb\xbf" "1"), BAD("\xa0" "1"), BAD("1\0"), BAD("\0"), BAD("\f1"),
    BAD("1\v"), BAD("[1\f,2]"),
#undef BAD
};
/* clang-format on */

Test(json, reads_what_the_rfc_allows)
{
    for (size_t i = 0; i < COUNT(readable); i++) {
        char *told = tell("json", readable[i].bytes.data, readable[i].bytes.size);
        cr_expect_str_eq(told, readable[i].told, "row %zu: %s, not %s", i, told, readable[i].told);
        free(told);
    }
}

static bool is_corrupt(const void *data, size_t size)
{
    char *told = tell("json", data, size);
    bool corrupt = strstr(told, "CORRUPT@") != NULL;
    free(told);
    return corrupt;
}

Test(json, refuses_everything_else)
{
    for (size_t i = 0; i < COUNT(damaged); i++)
        cr_expect(is_corrupt(damaged[i].data, damaged[i].size), "row %zu: %.*s", i,
                  (int)damaged[i].size, (const char *)damaged[i].data);
}

/* Cut anywhere, only numbers and trailing spaces leave something whole. */
Test(json, refuses_every_cut)
{
    for (size_t i = 0; i < COUNT(readable); i++) {
        const char *data = readable[i].bytes.data;
        size_t size = readable[i].bytes.size;
        if (data[size - 1] != '"' && data[size - 1] != ']' && data[size - 1] != '}')
            continue;
        for (size_t cut = 0; cut < size; cut++)
            cr_expect(is_corrupt(data, cut), "row %zu cut at %zu", i, cut);
    }
}

static void expect_error(const char *text, const char *message)
{
    kivi_reader *reader;
    kivi_token token;
    cr_assert_eq(kivi_reader_new("json", NULL, &reader, NULL), KIVI_OK);
    kivi_reader_start(reader, kivi_str(text));
    while (!kivi_reader_next(reader, &token))
        ;
    kivi_error *error = kivi_reader_error(reader);
    cr_assert_not_null(error, "%s", text);
    cr_expect_str_eq(kivi_error_message(error), message);
    kivi_error_free(error);
    kivi_reader_free(reader);
}

Test(json, says_what_is_wrong)
{
    expect_error("[18446744073709551616]", "json: an integer beyond 64 bits at byte 1");
    expect_error("[-9223372036854775809]", "json: an integer beyond 64 bits at byte 1");
    expect_error("[1e309]", "json: a number beyond float64 at byte 1");
    expect_error("[1,]", "json: a value is missing at byte 3");
    expect_error("[1 2]", "json: a comma or ] is missing at byte 3");
    expect_error("{\"a\":1", "json: cut off at byte 6");
    expect_error("{\"a\" 1}", "json: a colon is missing at byte 5");
    expect_error("\"\\ud800\"", "json: half of a surrogate pair at byte 5");
    expect_error("1 2", "json: bytes after the value at byte 2");
}

static kivi_status read_nested(kivi_reader *reader, size_t depth, bool map)
{
    size_t each = map ? 5 : 1;
    char *text = malloc(depth * 2 * each + 1);
    kivi_token token;
    kivi_status status;
    for (size_t i = 0; i < depth; i++)
        memcpy(text + i * each, map ? "{\"a\":" : "[", each);
    text[depth * each] = '1';
    memset(text + depth * each + 1, map ? '}' : ']', depth);
    kivi_reader_start(reader, kivi_bytes(text, depth * each + 1 + depth));
    while (!(status = kivi_reader_next(reader, &token)))
        ;
    free(text);
    return status;
}

Test(json, depth_and_size_are_limited)
{
    kivi_reader *reader;
    kivi_limits limits = {.struct_size = sizeof(limits), .max_depth = 10000, .max_size = 70000};
    cr_assert_eq(kivi_reader_new("json", NULL, &reader, NULL), KIVI_OK);
    for (int map = 0; map < 2; map++) {
        cr_expect_eq(read_nested(reader, 128, map), KIVI_END);
        cr_expect_eq(read_nested(reader, 129, map), KIVI_CORRUPT);
    }
    kivi_reader_free(reader);
    cr_assert_eq(kivi_reader_new("json", &limits, &reader, NULL), KIVI_OK);
    for (int map = 0; map < 2; map++) {
        cr_expect_eq(read_nested(reader, 10000, map), KIVI_END);
        cr_expect_eq(read_nested(reader, 10001, map), KIVI_CORRUPT);
    }
    cr_expect_eq(read_nested(reader, 12000, true), KIVI_CORRUPT, "size");
    kivi_reader_free(reader);
}

Test(json, offset_is_where_the_next_token_begins)
{
    static const char text[] = " { \"a\" : [ 1 , 2 ] , \"b\" : { } } ";
    static const size_t offsets[] = {1, 3, 9, 11, 15, 17, 21, 27, 29, 31};
    kivi_reader *reader;
    kivi_token token;
    cr_assert_eq(kivi_reader_new("json", NULL, &reader, NULL), KIVI_OK);
    kivi_reader_start(reader, BYTES(text));
    for (size_t i = 0; i < COUNT(offsets); i++) {
        cr_expect_eq(kivi_reader_offset(reader), offsets[i], "token %zu", i);
        cr_assert_eq(kivi_reader_next(reader, &token), KIVI_OK);
    }
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_END);
    kivi_reader_start(reader, BYTES("[[1,[2]],3]"));
    kivi_reader_next(reader, &token);
    kivi_reader_next(reader, &token);
    cr_expect_eq(kivi_reader_skip(reader), KIVI_OK);
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_OK);
    cr_expect_eq(token.as.integer, 3);
    kivi_reader_free(reader);
}

/* ---- writing ---- */

Test(json, writes_structure)
{
    begin("json");
    kivi_writer_map(writer, 3);
    kivi_writer_str(writer, BYTES("a"));
    kivi_writer_array(writer, 4);
    kivi_writer_nil(writer);
    kivi_writer_bool(writer, true);
    kivi_writer_array(writer, 0);
    kivi_writer_map(writer, 0);
    kivi_writer_str(writer, BYTES("["));
    kivi_writer_str(writer, BYTES("{"));
    kivi_writer_str(writer, BYTES(""));
    kivi_writer_map(writer, 1);
    kivi_writer_str(writer, BYTES("x"));
    kivi_writer_bool(writer, false);
    expect_written("{\"a\":[null,true,[],{}],\"[\":\"{\",\"\":{\"x\":false}}");
    begin("json");
    kivi_writer_int(writer, INT64_MIN);
    expect_written("-9223372036854775808");
    begin("json");
    kivi_writer_uint(writer, UINT64_MAX);
    expect_written("18446744073709551615");
    begin("json");
    kivi_writer_str(writer, BYTES("\"\\\b\f\n\r\t\x01\x1f\x7f/\xc3\xa9\0z"));
    expect_written("\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/\xc3\xa9\\u0000z\"");
    end();
}

/* ---- what JSON cannot hold ---- */

static void begin_nested(void)
{
    begin("json");
    kivi_writer_map(writer, 1);
    kivi_writer_str(writer, BYTES("users"));
    kivi_writer_array(writer, 4);
    kivi_writer_int(writer, 0);
    kivi_writer_map(writer, 0);
    kivi_writer_array(writer, 0);
    kivi_writer_map(writer, 2);
    kivi_writer_str(writer, BYTES("id"));
}

Test(json, says_what_it_cannot_hold_with_the_path)
{
    begin_nested();
    cr_expect_eq(kivi_writer_bin(writer, BYTES("x")), KIVI_UNREPRESENTABLE);
    cr_expect_eq(kivi_writer_nil(writer), KIVI_UNREPRESENTABLE);
    expect_unrepresentable("json: cannot hold bytes (bin) at value.users[3].id");
    begin_nested();
    kivi_writer_float(writer, NAN);
    expect_unrepresentable("json: cannot hold the float NaN at value.users[3].id");
    begin_nested();
    kivi_writer_float(writer, -INFINITY);
    expect_unrepresentable("json: cannot hold an infinite float at value.users[3].id");
    begin_nested();
    kivi_writer_timestamp(writer, 1, 0);
    expect_unrepresentable("json: cannot hold a timestamp at value.users[3].id");
    begin_nested();
    kivi_writer_ext(writer, 1, BYTES(""));
    expect_unrepresentable("json: cannot hold an ext at value.users[3].id");
    begin_nested();
    kivi_writer_int(writer, 1);
    kivi_writer_int(writer, 1);
    expect_unrepresentable("json: cannot hold an integer as the key of a map at value.users[3]");
    begin("json");
    kivi_writer_bin(writer, BYTES(""));
    expect_unrepresentable("json: cannot hold bytes (bin) at value");
    begin("json");
    kivi_writer_map(writer, 1);
    kivi_writer_str(writer, BYTES("a \"key\"\n\xc3\xa9"));
    kivi_writer_bin(writer, BYTES(""));
    expect_unrepresentable(
        "json: cannot hold bytes (bin) at value[\"a \\x22key\\x22\\x0a\xc3\xa9\"]");
    end();
}

Test(json, keys_are_text)
{
    static const char *const names[] = {"nil",     "a boolean", "an integer", "an integer",
                                        "a float", "an array",  "a map"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char message[128];
        begin("json");
        kivi_writer_map(writer, 1);
        cr_expect_eq(i == 0   ? kivi_writer_nil(writer)
                     : i == 1 ? kivi_writer_bool(writer, true)
                     : i == 2 ? kivi_writer_int(writer, 1)
                     : i == 3 ? kivi_writer_uint(writer, UINT64_MAX)
                     : i == 4 ? kivi_writer_float(writer, 1)
                     : i == 5 ? kivi_writer_array(writer, 0)
                              : kivi_writer_map(writer, 0),
                     KIVI_UNREPRESENTABLE);
        snprintf(message, sizeof(message), "json: cannot hold %s as the key of a map at value",
                 names[i]);
        expect_unrepresentable(message);
    }
    end();
}

/* Paths are cut, never overrun, whatever the keys and the depth. */
Test(json, long_paths_are_cut)
{
    char key[300];
    kivi_error *error = NULL;
    memset(key, 'k', sizeof(key));
    begin("json");
    for (unsigned i = 0; i < 200; i++) {
        kivi_writer_map(writer, 1);
        kivi_writer_str(writer, kivi_bytes(key, i < 100 ? i : 300));
    }
    kivi_writer_bin(writer, BYTES(""));
    cr_expect_eq(kivi_writer_finish(writer, &error), KIVI_UNREPRESENTABLE);
    const char *message = kivi_error_message(error);
    cr_expect_lt(strlen(message), 320);
    cr_expect_str_eq(message + strlen(message) - 3, "...");
    kivi_error_free(error);
    end();
}

Test(json, random_values_read_back)
{
    uint64_t state = 3;
    for (unsigned i = 0; i < 20000; i++) {
        const uint64_t seed = state;
        uint64_t again = seed;
        kivi_buffer first = KIVI_BUFFER_INIT;
        begin("json");
        values_random(writer, &state, 5, VALUES_JSON);
        cr_assert_eq(kivi_writer_finish(writer, NULL), KIVI_OK, "seed %" PRIu64, seed);
        cr_assert_eq(kivi_buffer_assign(&first, kivi_buffer_slice(&out)), KIVI_OK);
        begin("msgpack");
        values_random(writer, &again, 5, VALUES_JSON);
        cr_assert_eq(kivi_writer_finish(writer, NULL), KIVI_OK);
        char *told = tell("json", first.data, first.size);
        char *expected = tell("msgpack", out.data, out.size);
        values_drop_counts(expected);
        cr_assert_str_eq(told, expected, "seed %" PRIu64, seed);
        free(told);
        free(expected);
        kivi_buffer_free(&first);
    }
    end();
}
