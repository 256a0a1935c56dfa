/* msgpack: every type, width and boundary, read and written, beside msgpack-c; hostile bytes. */
#include "values.h"

#include <criterion/criterion.h>

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
    ROW("\x00", "int0 ."),
    ROW("\x7f", "int127 ."),
    ROW("\xe0", "int-32 ."),
    ROW("\xff", "int-1 ."),
    ROW("\xcc\x00", "int0 ."),
    ROW("\xcc\xff", "int255 ."),
    ROW("\xcd\x00\x01", "int1 ."),
    ROW("\xcd\xff\xff", "int65535 ."),
    ROW("\xce\x00\x00\x00\x02", "int2 ."),
    ROW("\xce\xff\xff\xff\xff", "int4294967295 ."),
    ROW("\xcf\x00\x00\x00\x00\x00\x00\x00\x03", "int3 ."),
    ROW("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", "int9223372036854775807 ."),
    ROW("\xcf\x80\x00\x00\x00\x00\x00\x00\x00", "uint9223372036854775808 ."),
    ROW("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "uint18446744073709551615 ."),
    ROW("\xd0\x7f", "int127 ."),
    ROW("\xd0\x80", "int-128 ."),
    ROW("\xd1\x7f\xff", "int32767 ."),
    ROW("\xd1\x80\x00", "int-32768 ."),
    ROW("\xd2\x7f\xff\xff\xff", "int2147483647 ."),
    ROW("\xd2\x80\x00\x00\x00", "int-2147483648 ."),
    ROW("\xd3\x7f\xff\xff\xff\xff\xff\xff\xff", "int9223372036854775807 ."),
    ROW("\xd3\x80\x00\x00\x00\x00\x00\x00\x00", "int-9223372036854775808 ."),
    ROW("\xc0", "nil ."),
    ROW("\xc2", "false ."),
    ROW("\xc3", "true ."),
    ROW("\xca\x3f\xc0\x00\x00", "float3ff8000000000000 ."), /* 1.5 */
    ROW("\xca\x80\x00\x00\x00", "float8000000000000000 ."), /* -0.0 */
    ROW("\xca\x00\x00\x00\x01", "float36a0000000000000 ."), /* the least float32 */
    ROW("\xca\x7f\x7f\xff\xff", "float47efffffe0000000 ."), /* the largest */
    ROW("\xca\x7f\x80\x00\x00", "float7ff0000000000000 ."), /* infinity */
    ROW("\xca\xff\x80\x00\x00", "floatfff0000000000000 ."),
    ROW("\xca\x7f\xc0\x00\x01", "float7ff8000020000000 ."), /* NaNs keep their bits */
    ROW("\xca\xff\x80\x00\x01", "floatfff0000020000000 ."), /* a signalling one as well */
    ROW("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", "float3ff8000000000000 ."),
    ROW("\xcb\x80\x00\x00\x00\x00\x00\x00\x00", "float8000000000000000 ."),
    ROW("\xcb\x00\x00\x00\x00\x00\x00\x00\x01", "float0000000000000001 ."),
    ROW("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00", "float7ff0000000000000 ."),
    ROW("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x01", "float7ff0000000000001 ."),
    ROW("\xcb\xff\xff\xff\xff\xff\xff\xff\xff", "floatffffffffffffffff ."),
    ROW("\xa0", "str'' ."),
    ROW("\xa3" "abc", "str'abc' ."),
    ROW("\xa4" "abcd", "str'abcd' ."),
    ROW("\xa7" "abcdefg", "str'abcdefg' ."),
    ROW("\xa8" "abcdefgh", "str'abcdefgh' ."),
    ROW("\xb0" "abcdefghijklmnop", "str'abcdefghijklmnop' ."),
    ROW("\xb1" "abcdefghijklmnopq", "str'abcdefghijklmnopq' ."),
    ROW("\xd9\x00", "str'' ."),
    ROW("\xd9\x01" "a", "str'a' ."),
    ROW("\xda\x00\x01" "a", "str'a' ."),
    ROW("\xdb\x00\x00\x00\x01" "a", "str'a' ."),
    ROW("\xa4\xf0\x9f\x98\x80", "str'\\f0\\9f\\98\\80' ."),
    ROW("\xa2" "a\0", "str'a\\00' ."),
    ROW("\xc4\x00", "bin'' ."),
    ROW("\xc4\x02\xff\x00", "bin'\\ff\\00' ."),
    ROW("\xc5\x00\x01\xff", "bin'\\ff' ."),
    ROW("\xc6\x00\x00\x00\x01\xff", "bin'\\ff' ."),
    ROW("\x90", "array0 end ."),
    ROW("\x92\x01\x91\x02", "array2 int1 array1 int2 end end ."),
    ROW("\xdc\x00\x01\xc0", "array1 nil end ."),
    ROW("\xdd\x00\x00\x00\x01\xc0", "array1 nil end ."),
    ROW("\xdd\x00\x00\x00\x00", "array0 end ."),
    ROW("\x80", "map0 end ."),
    ROW("\x82\xa1" "a\x01\xa1" "a\x80", "map2 str'a' int1 str'a' map0 end end ."),
    ROW("\xde\x00\x01\xc0\xc0", "map1 nil nil end ."),
    ROW("\xdf\x00\x00\x00\x01\x91\x01\x80", "map1 array1 int1 end map0 end end ."),
    ROW("\xd6\xff\x00\x00\x00\x05", "time5+0 ."),
    ROW("\xd6\xff\xff\xff\xff\xff", "time4294967295+0 ."),
    ROW("\xd7\xff\x00\x00\x00\x04\x00\x00\x00\x06", "time6+1 ."),
    ROW("\xd7\xff\xee\x6b\x27\xff\xff\xff\xff\xff", "time17179869183+999999999 ."),
    ROW("\xc7\x0c\xff\x00\x00\x00\x02\xff\xff\xff\xff\xff\xff\xff\xff", "time-1+2 ."),
    ROW("\xc7\x0c\xff\x3b\x9a\xc9\xff\x80\x00\x00\x00\x00\x00\x00\x00",
        "time-9223372036854775808+999999999 ."),
    ROW("\xc7\x04\xff\x00\x00\x00\x05", "time5+0 ."),
    ROW("\xc9\x00\x00\x00\x04\xff\x00\x00\x00\x05", "time5+0 ."),
    ROW("\xd4\x01" "a", "ext1'a' ."),
    ROW("\xd5\x80" "ab", "ext-128'ab' ."),
    ROW("\xd6\x7f" "abcd", "ext127'abcd' ."),
    ROW("\xd7\x00" "abcdefgh", "ext0'abcdefgh' ."),
    ROW("\xd8\xfe" "abcdefghijklmnop", "ext-2'abcdefghijklmnop' ."),
    ROW("\xc7\x00\x05", "ext5'' ."),
    ROW("\xc7\x03\x05" "abc", "ext5'abc' ."),
    ROW("\xc8\x00\x01\x05" "a", "ext5'a' ."),
    ROW("\xc9\x00\x00\x00\x01\x05" "a", "ext5'a' ."),
};
/* clang-format on */

/* clang-format off */
static const example damaged[] = {
    ROW("", "CORRUPT@0"),
    ROW("\xc1", "CORRUPT@0"),
    ROW("\x91\xc1", "array1 CORRUPT@1"),
    ROW("\xc0\xc0", "nil CORRUPT@1"),
    ROW("\x91\xc0\xc0", "array1 nil end CORRUPT@2"),
    ROW("\x92\x01", "CORRUPT@0"),
    ROW("\x81\x01", "CORRUPT@0"),
    ROW("\xdd\xff\xff\xff\xff\x01\x02", "CORRUPT@0"),
    ROW("\xdf\xff\xff\xff\xff\x01\x02", "CORRUPT@0"),
    ROW("\xdf\x80\x00\x00\x00\x01\x02", "CORRUPT@0"),
    ROW("\xdc\xff\xff\x01", "CORRUPT@0"),
    ROW("\xdb\xff\xff\xff\xff" "a", "CORRUPT@0"),
    ROW("\xc6\xff\xff\xff\xff" "a", "CORRUPT@0"),
    ROW("\xc9\xff\xff\xff\xff\x01" "a", "CORRUPT@0"),
    ROW("\xa1\xff", "CORRUPT@0"),
    ROW("\xa2\xc3\x28", "CORRUPT@0"),
    ROW("\xd9\x11" "0123456789abcdef\xff", "CORRUPT@0"),
    ROW("\xd4\xff\x01", "CORRUPT@0"), /* timestamps of a wrong size */
    ROW("\xc7\x00\xff", "CORRUPT@0"),
    ROW("\xd8\xff" "0123456789abcdef", "CORRUPT@0"),
    ROW("\xd7\xff\xee\x6b\x28\x00\x00\x00\x00\x00", "CORRUPT@0"), /* a second of nanoseconds */
    ROW("\xc7\x0c\xff\x3b\x9a\xca\x00\x00\x00\x00\x00\x00\x00\x00\x00", "CORRUPT@0"),
};
/* clang-format on */

static void expect_told(kivi_slice bytes, const char *expected, size_t row)
{
    char *told = values_tell("msgpack", bytes);
    cr_expect_str_eq(told, expected, "row %zu: %s, not %s", row, told, expected);
    free(told);
}

Test(msgpack, reads_every_type_and_width)
{
    for (size_t i = 0; i < COUNT(readable); i++)
        expect_told(readable[i].bytes, readable[i].told, i);
}

Test(msgpack, reads_what_msgpack_c_reads)
{
    kivi_reader *reader;
    msgpack_zone zone;
    cr_assert_eq(kivi_reader_new("msgpack", NULL, &reader, NULL), KIVI_OK);
    msgpack_zone_init(&zone, 4096);
    for (size_t i = 0; i < COUNT(readable); i++) {
        msgpack_object object;
        size_t offset = 0;
        cr_assert_eq(
            msgpack_unpack(readable[i].bytes.data, readable[i].bytes.size, &offset, &zone, &object),
            MSGPACK_UNPACK_SUCCESS);
        kivi_reader_start(reader, readable[i].bytes);
        cr_expect(values_match(reader, &object), "row %zu", i);
    }
    msgpack_zone_destroy(&zone);
    kivi_reader_free(reader);
}

Test(msgpack, refuses_damaged_bytes)
{
    for (size_t i = 0; i < COUNT(damaged); i++)
        expect_told(damaged[i].bytes, damaged[i].told, i);
}

/* Whether bytes (in memory of exactly their size, for the sanitizer) are read to the end. */
static bool is_whole(const void *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (size)
        memcpy(copy, data, size);
    char *told = values_tell("msgpack", kivi_bytes(copy, size));
    bool whole = told[strlen(told) - 1] == '.';
    free(told);
    free(copy);
    return whole;
}

Test(msgpack, refuses_every_cut_and_every_byte_too_many)
{
    for (size_t i = 0; i < COUNT(readable); i++) {
        kivi_slice bytes = readable[i].bytes;
        char longer[64];
        for (size_t size = 0; size < bytes.size; size++)
            cr_expect(!is_whole(bytes.data, size), "row %zu cut at %zu", i, size);
        memcpy(longer, bytes.data, bytes.size);
        longer[bytes.size] = 0;
        cr_expect(is_whole(longer, bytes.size), "row %zu", i);
        cr_expect(!is_whole(longer, bytes.size + 1), "row %zu and a byte", i);
    }
}

Test(msgpack, text_is_utf8)
{
    /* clang-format off */
    static const example good[] = {
        ROW("\xc2\x80", ""),         ROW("\xdf\xbf", ""),
        ROW("\xe0\xa0\x80", ""),     ROW("\xed\x9f\xbf", ""),
        ROW("\xee\x80\x80", ""),     ROW("\xef\xbf\xbf", ""),
        ROW("\xf0\x90\x80\x80", ""), ROW("\xf4\x8f\xbf\xbf", ""),
        ROW("0123456\xc3\xa9", ""),  ROW("0123456789abcdef\xe2\x82\xac", ""),
    };
    /* clang-format on */
    /* clang-format off */
    static const example bad[] = {
        ROW("\x80", ""), ROW("\xbf", ""), ROW("\xc0\x80", ""), ROW("\xc1\xbf", ""), ROW("\xc2", ""),
        ROW("\xc2\x7f", ""), ROW("\xe0\x9f\xbf", ""), ROW("\xe2\x82", ""), ROW("\xed\xa0\x80", ""),
        ROW("\xed\xbf\xbf", ""), ROW("\xf0\x8f\xbf\xbf", ""), ROW("\xf0\x9f\x98", ""),
        ROW("\xf4\x90\x80\x80", ""), ROW("\xf5\x80\x80\x80", ""), ROW("\xff", ""), ROW("\xfe", ""),
        ROW("0123456\xc3", ""), ROW("01234567\xc3", ""), ROW("0123456789abcdef0\xa9", ""),
    };
    /* clang-format on */
    for (size_t i = 0; i < COUNT(good); i++)
        cr_expect(kvi_utf8_is_valid(good[i].bytes), "row %zu", i);
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_expect(!kvi_utf8_is_valid(bad[i].bytes), "row %zu", i);
    for (size_t i = 0; i < COUNT(bad); i++) {
        kivi_writer *writer;
        kivi_buffer out = KIVI_BUFFER_INIT;
        cr_assert_eq(kivi_writer_new("msgpack", &writer, NULL), KIVI_OK);
        kivi_writer_start(writer, &out);
        cr_expect_eq(kivi_writer_str(writer, bad[i].bytes), KIVI_INVALID, "row %zu", i);
        cr_expect_eq(kivi_writer_finish(writer, NULL), KIVI_INVALID);
        kivi_writer_free(writer);
        kivi_buffer_free(&out);
    }
}

/* ---- writing, beside msgpack-c ---- */

static kivi_writer *writer;
static kivi_buffer out;
static msgpack_sbuffer theirs;
static msgpack_packer packer;

static void begin_pair(void)
{
    if (!writer) {
        cr_assert_eq(kivi_writer_new("msgpack", &writer, NULL), KIVI_OK);
        msgpack_sbuffer_init(&theirs);
        msgpack_packer_init(&packer, &theirs, msgpack_sbuffer_write);
    }
    out.size = 0;
    msgpack_sbuffer_clear(&theirs);
    kivi_writer_start(writer, &out);
}

static void expect_pair(const char *what, uint64_t number)
{
    cr_assert_eq(kivi_writer_finish(writer, NULL), KIVI_OK, "%s %" PRIx64, what, number);
    cr_assert(out.size == theirs.size && !memcmp(out.data, theirs.data, out.size),
              "%s %" PRIx64 ": %zu bytes, not %zu", what, number, out.size, theirs.size);
}

static void end_pairs(void)
{
    kivi_writer_free(writer);
    kivi_buffer_free(&out);
    msgpack_sbuffer_destroy(&theirs);
}

static void check_integer(uint64_t value)
{
    uint8_t bytes[KVI_INTEGER_MAX];
    int64_t back;
    begin_pair();
    kivi_writer_int(writer, (int64_t)value);
    msgpack_pack_int64(&packer, (int64_t)value);
    expect_pair("int", value);
    const kvi_codec *codec = kvi_codec_find("msgpack");
    size_t size = codec->integer_write((int64_t)value, bytes);
    cr_assert(size == out.size && !memcmp(bytes, out.data, size));
    cr_assert_eq(codec->integer_read(kivi_bytes(bytes, size), &back), KIVI_OK);
    cr_assert_eq(back, (int64_t)value);
    begin_pair();
    kivi_writer_uint(writer, value);
    msgpack_pack_uint64(&packer, value);
    expect_pair("uint", value);
}

Test(msgpack, writes_integers_in_the_fewest_bytes)
{
    for (unsigned shift = 0; shift < 64; shift++)
        for (uint64_t near = 0; near < 5; near++) {
            check_integer((UINT64_C(1) << shift) + near - 2);
            check_integer(0 - (UINT64_C(1) << shift) + near - 2);
        }
    for (int64_t value = -70000; value < 70000; value++)
        check_integer((uint64_t)value);
    end_pairs();
}

Test(msgpack, writes_floats_with_their_bits)
{
    uint64_t state = 7;
    uint64_t bits[] = {0,
                       UINT64_C(1) << 63,
                       1,
                       UINT64_C(0x7ff0000000000000),
                       UINT64_C(0xfff0000000000000),
                       UINT64_C(0x7ff0000000000001),
                       UINT64_C(0xfff8000000000000)};
    for (size_t i = 0; i < 1000; i++) {
        uint64_t of = i < sizeof(bits) / sizeof(bits[0]) ? bits[i] : values_next(&state);
        begin_pair();
        kivi_writer_float(writer, values_double(of));
        msgpack_pack_double(&packer, values_double(of));
        expect_pair("float", of);
    }
    end_pairs();
}

Test(msgpack, writes_sizes_in_the_fewest_bytes)
{
    static const size_t sizes[] = {0,   1,   2,     3,     4,     5,     7,     8,   9,
                                   15,  16,  17,    31,    32,    33,    127,   128, 255,
                                   256, 257, 65534, 65535, 65536, 65537, 100000};
    char *data = malloc(200000);
    memset(data, 'x', 200000);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t size = sizes[i];
        begin_pair();
        kivi_writer_str(writer, kivi_bytes(data, size));
        msgpack_pack_str_with_body(&packer, data, size);
        expect_pair("str", size);
        begin_pair();
        kivi_writer_bin(writer, kivi_bytes(data, size));
        msgpack_pack_bin_with_body(&packer, data, size);
        expect_pair("bin", size);
        begin_pair();
        kivi_writer_ext(writer, -100, kivi_bytes(data, size));
        msgpack_pack_ext_with_body(&packer, data, size, -100);
        expect_pair("ext", size);
        begin_pair();
        kivi_writer_array(writer, size);
        msgpack_pack_array(&packer, size);
        for (size_t n = 0; n < size; n++) {
            kivi_writer_nil(writer);
            msgpack_pack_nil(&packer);
        }
        expect_pair("array", size);
        begin_pair();
        kivi_writer_map(writer, size);
        msgpack_pack_map(&packer, size);
        for (size_t n = 0; n < size; n++) {
            kivi_writer_int(writer, (int64_t)n);
            kivi_writer_bool(writer, n & 1);
            msgpack_pack_uint64(&packer, n);
            (n & 1 ? msgpack_pack_true : msgpack_pack_false)(&packer);
        }
        expect_pair("map", size);
    }
    free(data);
    end_pairs();
}

Test(msgpack, writes_timestamps_in_the_fewest_bytes)
{
    static const int64_t seconds[] = {0,           1,  4294967295, 4294967296, 17179869183,
                                      17179869184, -1, INT64_MIN,  INT64_MAX,  1700000000};
    static const uint32_t nanoseconds[] = {0, 1, 999999999};
    for (size_t i = 0; i < COUNT(seconds); i++)
        for (size_t n = 0; n < 3; n++) {
            msgpack_timestamp time = {seconds[i], nanoseconds[n]};
            char told[64], expected[64];
            begin_pair();
            kivi_writer_timestamp(writer, seconds[i], nanoseconds[n]);
            msgpack_pack_timestamp(&packer, &time);
            expect_pair("timestamp", (uint64_t)seconds[i]);
            snprintf(expected, sizeof(expected), "time%" PRId64 "+%" PRIu32 " .", seconds[i],
                     nanoseconds[n]);
            char *read = values_tell("msgpack", kivi_buffer_slice(&out));
            snprintf(told, sizeof(told), "%s", read);
            free(read);
            cr_expect_str_eq(told, expected);
        }
    end_pairs();
}

Test(msgpack, random_values_match_msgpack_c_both_ways)
{
    kivi_reader *reader;
    msgpack_zone zone;
    uint64_t state = 20240607;
    cr_assert_eq(kivi_reader_new("msgpack", NULL, &reader, NULL), KIVI_OK);
    msgpack_zone_init(&zone, 4096);
    for (unsigned i = 0; i < 20000; i++) {
        msgpack_object object;
        size_t offset = 0;
        uint64_t seed = state;
        begin_pair();
        values_random(writer, &state, 5, 0);
        cr_assert_eq(kivi_writer_finish(writer, NULL), KIVI_OK, "seed %" PRIu64, seed);
        msgpack_zone_clear(&zone);
        cr_assert_eq(msgpack_unpack((const char *)out.data, out.size, &offset, &zone, &object),
                     MSGPACK_UNPACK_SUCCESS, "seed %" PRIu64, seed);
        kivi_reader_start(reader, kivi_buffer_slice(&out));
        kivi_token token;
        cr_assert(values_match(reader, &object), "seed %" PRIu64, seed);
        cr_assert_eq(kivi_reader_next(reader, &token), KIVI_END);
        msgpack_pack_object(&packer, object);
        cr_assert(out.size == theirs.size && !memcmp(out.data, theirs.data, out.size),
                  "seed %" PRIu64, seed);
    }
    msgpack_zone_destroy(&zone);
    kivi_reader_free(reader);
    end_pairs();
}

/* ---- integers of an increment ---- */

Test(msgpack, integer_read_takes_every_width)
{
    const kvi_codec *codec = kvi_codec_find("msgpack");
    for (size_t i = 0; i < COUNT(readable); i++) {
        int64_t value = 99;
        char told[40];
        kivi_status status = codec->integer_read(readable[i].bytes, &value);
        if (!strncmp(readable[i].told, "int", 3)) {
            snprintf(told, sizeof(told), "int%" PRId64 " .", value);
            cr_expect_eq(status, KIVI_OK, "row %zu", i);
            cr_expect_str_eq(told, readable[i].told);
        } else {
            bool beyond = !strncmp(readable[i].told, "uint", 4);
            cr_expect_eq(status, beyond ? KIVI_OVERFLOW : KIVI_WRONG_TYPE, "row %zu", i);
            cr_expect_eq(value, 99);
        }
    }
    for (size_t i = 0; i < COUNT(damaged); i++) {
        int64_t value;
        cr_expect_eq(codec->integer_read(damaged[i].bytes, &value), KIVI_WRONG_TYPE, "row %zu", i);
    }
}

Test(msgpack, tokens_are_written_as_read)
{
    kivi_reader *reader;
    cr_assert_eq(kivi_reader_new("msgpack", NULL, &reader, NULL), KIVI_OK);
    for (size_t i = 0; i < COUNT(readable); i++) {
        kivi_token token;
        begin_pair();
        kivi_reader_start(reader, readable[i].bytes);
        while (!kivi_reader_next(reader, &token))
            cr_expect_eq(kivi_writer_token(writer, &token), KIVI_OK);
        cr_assert_eq(kivi_writer_finish(writer, NULL), KIVI_OK, "row %zu", i);
        cr_expect(out.size <= readable[i].bytes.size ||
                      ((const uint8_t *)readable[i].bytes.data)[0] == 0xca,
                  "row %zu: never wider but for float32", i);
        expect_told(kivi_buffer_slice(&out), readable[i].told, i);
    }
    kivi_reader_free(reader);
    end_pairs();
}
