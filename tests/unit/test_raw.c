/* The raw codec; and what the codecs of text take for the integer of an increment. */
#include "written.h"

Test(raw, a_value_is_one_bin)
{
    char *told = tell("raw", "a\0\xff", 3);
    cr_expect_str_eq(told, "bin'a\\00\\ff' .");
    free(told);
    told = tell("raw", "", 0);
    cr_expect_str_eq(told, "bin'' .");
    free(told);
}

Test(raw, holds_one_str_or_bin)
{
    begin("raw");
    kivi_writer_bin(writer, BYTES("\xff"));
    expect_written("\xff");
    begin("raw");
    kivi_writer_str(writer, BYTES("\xc3\xa9"));
    expect_written("\xc3\xa9");
    begin("raw");
    kivi_writer_bin(writer, BYTES(""));
    expect_written("");
    begin("raw");
    cr_expect_eq(kivi_writer_str(writer, BYTES("\xff")), KIVI_INVALID);
    cr_expect_eq(kivi_writer_finish(writer, NULL), KIVI_INVALID);
    begin("raw");
    kivi_writer_bin(writer, BYTES("a"));
    cr_expect_eq(kivi_writer_bin(writer, BYTES("b")), KIVI_INVALID);
    cr_expect_eq(kivi_writer_finish(writer, NULL), KIVI_INVALID);
    cr_expect_eq(out.size, 0);
    end();
}

Test(raw, cannot_hold_anything_else)
{
    static const char *const names[] = {"nil",        "a boolean",   "an integer",
                                        "an integer", "a float",     "an array",
                                        "a map",      "a timestamp", "an ext"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char message[128];
        begin("raw");
        cr_expect_eq(i == 0   ? kivi_writer_nil(writer)
                     : i == 1 ? kivi_writer_bool(writer, true)
                     : i == 2 ? kivi_writer_int(writer, 1)
                     : i == 3 ? kivi_writer_uint(writer, 1)
                     : i == 4 ? kivi_writer_float(writer, 1)
                     : i == 5 ? kivi_writer_array(writer, 0)
                     : i == 6 ? kivi_writer_map(writer, 0)
                     : i == 7 ? kivi_writer_timestamp(writer, 1, 0)
                              : kivi_writer_ext(writer, 1, BYTES("")),
                     KIVI_UNREPRESENTABLE);
        snprintf(message, sizeof(message), "raw: cannot hold %s at value", names[i]);
        expect_unrepresentable(message);
    }
    end();
}

Test(raw, unknown_codecs_have_no_writer)
{
    kivi_writer *none = NULL;
    kivi_error *error = NULL;
    cr_expect_eq(kivi_writer_new("yaml", &none, &error), KIVI_INVALID);
    cr_expect_null(none);
    cr_assert_not_null(error);
    kivi_error_free(error);
    cr_expect_null(kvi_codec_find("Msgpack"));
    cr_expect_null(kvi_codec_find(""));
    cr_expect_null(kvi_codec_find(NULL));
}

/* ---- integers of an increment ---- */

typedef struct counter {
    const char *text;
    kivi_status json, raw;
    int64_t value;
} counter;

/* clang-format off */
static const counter counters[] = {
    {"0", KIVI_OK, KIVI_OK, 0},
    {"7", KIVI_OK, KIVI_OK, 7},
    {"-7", KIVI_OK, KIVI_OK, -7},
    {"9223372036854775807", KIVI_OK, KIVI_OK, INT64_MAX},
    {"-9223372036854775808", KIVI_OK, KIVI_OK, INT64_MIN},
    {"9223372036854775808", KIVI_OVERFLOW, KIVI_OVERFLOW, 0},
    {"-9223372036854775809", KIVI_OVERFLOW, KIVI_OVERFLOW, 0},
    {"99999999999999999999999999999999", KIVI_OVERFLOW, KIVI_OVERFLOW, 0},
    {"99999999999999999999999999999999x", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"-0", KIVI_OK, KIVI_WRONG_TYPE, 0},
    {" 5 \n", KIVI_OK, KIVI_WRONG_TYPE, 5},
    {"", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {" ", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"-", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"+5", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"05", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"00", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"-05", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"5.0", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"5e0", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"5 5", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"\"5\"", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"[5]", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"null", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"5x", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
    {"0x5", KIVI_WRONG_TYPE, KIVI_WRONG_TYPE, 0},
};
/* clang-format on */

static void check_counter(const char *name, const counter *row, kivi_status expected)
{
    const kvi_codec *codec = kvi_codec_find(name);
    uint8_t bytes[KVI_INTEGER_MAX];
    int64_t value = 99;
    char *copy = strdup(row->text); /* its own memory, for the sanitizer */
    cr_expect_eq(codec->integer_read(kivi_str(copy), &value), expected, "%s %s", name, copy);
    free(copy);
    cr_expect_eq(value, expected ? 99 : row->value, "%s %s", name, row->text);
    if (expected)
        return;
    size_t size = codec->integer_write(row->value, bytes);
    cr_expect_eq(codec->integer_read(kivi_bytes(bytes, size), &value), KIVI_OK);
    cr_expect_eq(value, row->value);
}

Test(raw, integers_of_an_increment)
{
    for (size_t i = 0; i < COUNT(counters); i++) {
        check_counter("json", &counters[i], counters[i].json);
        check_counter("raw", &counters[i], counters[i].raw);
    }
}
