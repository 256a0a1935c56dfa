/* The manners of readers and writers: limits, failures that stay, skipping, calls that make no value. */
#include "written.h"

/* ---- limits ---- */

static kivi_status read_nested(kivi_reader *reader, size_t depth)
{
    uint8_t *bytes = malloc(depth + 1);
    kivi_token token;
    kivi_status status;
    memset(bytes, 0x91, depth);
    bytes[depth] = 0xc0;
    kivi_reader_start(reader, kivi_bytes(bytes, depth + 1));
    size_t tokens = 0;
    while (!(status = kivi_reader_next(reader, &token)))
        tokens++;
    if (status == KIVI_END)
        cr_expect_eq(tokens, 2 * depth + 1);
    free(bytes);
    return status;
}

static kivi_reader *reader_of_depth(uint32_t max_depth)
{
    kivi_reader *reader;
    kivi_limits limits = {.struct_size = sizeof(limits), .max_depth = max_depth};
    cr_assert_eq(kivi_reader_new("msgpack", &limits, &reader, NULL), KIVI_OK);
    return reader;
}

Test(value_stream, depth_is_limited)
{
    static const uint32_t limits[] = {1, 2, 127, 128, 129, 300, 9999, 10000};
    for (size_t i = 0; i < COUNT(limits); i++) {
        kivi_reader *reader = reader_of_depth(limits[i]);
        cr_expect_eq(read_nested(reader, limits[i] + 1), KIVI_CORRUPT, "%u", limits[i]);
        cr_expect_eq(read_nested(reader, limits[i]), KIVI_END, "%u", limits[i]);
        cr_expect_eq(read_nested(reader, limits[i] + 1), KIVI_CORRUPT, "%u", limits[i]);
        kivi_reader_free(reader);
    }
    kivi_reader *reader = reader_of_depth(0);
    cr_expect_eq(read_nested(reader, 128), KIVI_END);
    cr_expect_eq(read_nested(reader, 129), KIVI_CORRUPT);
    kivi_reader_free(reader);
}

Test(value_stream, limits_are_checked)
{
    kivi_reader *reader = NULL;
    kivi_error *error = NULL;
    kivi_limits limits = {.struct_size = sizeof(limits), .max_depth = 10001};
    cr_expect_eq(kivi_reader_new("msgpack", &limits, &reader, &error), KIVI_INVALID);
    cr_expect_null(reader);
    cr_assert_not_null(error);
    kivi_error_free(error);
    cr_expect_eq(kivi_reader_new("yaml", NULL, &reader, &error), KIVI_INVALID);
    cr_assert_not_null(error);
    kivi_error_free(error);
    limits.max_depth = 0;
    limits.max_size = 3;
    cr_assert_eq(kivi_reader_new("msgpack", &limits, &reader, NULL), KIVI_OK);
    char *told = values_tell_with(reader, BYTES("\x92\x01\x02"));
    cr_expect_str_eq(told, "array2 int1 int2 end .");
    free(told);
    told = values_tell_with(reader, BYTES("\x93\x01\x02\x03"));
    cr_expect_str_eq(told, "CORRUPT@0");
    free(told);
    kivi_reader_free(reader);
}

/* ---- the reader's manners ---- */

Test(value_stream, reader_fails_until_the_next_start)
{
    kivi_reader *reader;
    kivi_token token;
    cr_assert_eq(kivi_reader_new("msgpack", NULL, &reader, NULL), KIVI_OK);
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_INVALID);
    kivi_reader_start(reader, BYTES("\x92\x01\xc1"));
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_OK);
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_OK);
    cr_expect_null(kivi_reader_error(reader));
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_CORRUPT);
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_CORRUPT);
    cr_expect_eq(kivi_reader_skip(reader), KIVI_CORRUPT);
    cr_expect_eq(kivi_reader_offset(reader), 2);
    kivi_error *error = kivi_reader_error(reader);
    cr_assert_not_null(error);
    cr_expect_eq(kivi_error_status(error), KIVI_CORRUPT);
    cr_expect_str_eq(kivi_error_message(error),
                     "msgpack: a byte that msgpack never uses at byte 2");
    kivi_error_free(error);
    kivi_reader_start(reader, BYTES("\x05"));
    cr_expect_null(kivi_reader_error(reader));
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_OK);
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_END);
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_END);
    cr_expect_null(kivi_reader_error(reader));
    kivi_reader_free(reader);
    kivi_reader_free(NULL);
}

Test(value_stream, skip_passes_over_a_container)
{
    kivi_reader *reader;
    kivi_token token;
    cr_assert_eq(kivi_reader_new("msgpack", NULL, &reader, NULL), KIVI_OK);
    kivi_reader_start(reader, BYTES("\x93\x92\x91\x01\x80\x07\x90"));
    kivi_reader_next(reader, &token);
    cr_expect_eq(kivi_reader_offset(reader), 1);
    kivi_reader_next(reader, &token);
    cr_expect_eq(kivi_reader_skip(reader), KIVI_OK);
    cr_expect_eq(kivi_reader_offset(reader), 5);
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_OK);
    cr_expect_eq(token.as.integer, 7);
    kivi_reader_next(reader, &token);
    cr_expect_eq(kivi_reader_skip(reader), KIVI_OK);
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_OK);
    cr_expect_eq(token.type, KIVI_TOKEN_END);
    cr_expect_eq(kivi_reader_next(reader, &token), KIVI_END);
    kivi_reader_start(reader, BYTES("\x92\x91\xc1\x01"));
    kivi_reader_next(reader, &token);
    kivi_reader_next(reader, &token);
    cr_expect_eq(kivi_reader_skip(reader), KIVI_CORRUPT);
    cr_expect_eq(kivi_reader_offset(reader), 2);
    kivi_reader_free(reader);
}

/* ---- the writer's manners ---- */

static void expect_misuse(kivi_status status, const char *message)
{
    kivi_error *error = NULL;
    size_t before = 3;
    cr_expect_eq(kivi_writer_nil(writer), status, "a failure stays");
    cr_expect_eq(kivi_writer_finish(writer, &error), status);
    cr_assert_not_null(error);
    cr_expect_eq(kivi_error_status(error), status);
    cr_expect_str_eq(kivi_error_message(error), message);
    cr_expect(out.size == before && !memcmp(out.data, "abc", 3), "out is cut back");
    kivi_error_free(error);
}

static void begin_misuse(void)
{
    begin("msgpack");
    cr_assert_eq(kivi_writer_finish(writer, NULL), KIVI_INVALID);
    cr_assert_eq(kivi_buffer_assign(&out, BYTES("abc")), KIVI_OK);
    kivi_writer_start(writer, &out);
}

Test(value_stream, writer_refuses_calls_that_make_no_value)
{
    kivi_token token = {.type = KIVI_TOKEN_ARRAY, .as.count = KIVI_COUNT_UNKNOWN};

    begin_misuse();
    kivi_writer_int(writer, 1);
    cr_expect_eq(kivi_writer_int(writer, 2), KIVI_INVALID);
    expect_misuse(KIVI_INVALID, "msgpack: more than one value at value");

    begin_misuse();
    kivi_writer_array(writer, 0);
    cr_expect_eq(kivi_writer_map(writer, 0), KIVI_INVALID);
    expect_misuse(KIVI_INVALID, "msgpack: more than one value at value");

    begin_misuse();
    kivi_writer_map(writer, 1);
    kivi_writer_str(writer, BYTES("users"));
    kivi_writer_array(writer, 2);
    kivi_writer_array(writer, 2);
    kivi_writer_nil(writer);
    kivi_writer_nil(writer);
    cr_expect_eq(kivi_writer_str(writer, BYTES("\xff")), KIVI_INVALID);
    expect_misuse(KIVI_INVALID, "msgpack: text that is not UTF-8 at value.users[1]");

    begin_misuse();
    kivi_writer_array(writer, 1);
    cr_expect_eq(kivi_writer_ext(writer, -1, BYTES("1234")), KIVI_INVALID);
    expect_misuse(KIVI_INVALID, "msgpack: ext type -1, which is a timestamp at value[0]");

    begin_misuse();
    cr_expect_eq(kivi_writer_timestamp(writer, 0, 1000000000), KIVI_INVALID);
    expect_misuse(KIVI_INVALID, "msgpack: a timestamp beyond 999,999,999 nanoseconds at value");

    begin_misuse();
    cr_expect_eq(kivi_writer_token(writer, &token), KIVI_INVALID);
    expect_misuse(KIVI_INVALID, "msgpack: a container whose count is not known at value");

    begin_misuse();
    token.type = KIVI_TOKEN_EXT;
    token.ext_type = 128;
    token.bytes = BYTES("");
    cr_expect_eq(kivi_writer_token(writer, &token), KIVI_INVALID);
    expect_misuse(KIVI_INVALID, "msgpack: an ext type beyond -128 to 127 at value");

    begin_misuse();
    cr_expect_eq(kivi_writer_array(writer, (size_t)UINT32_MAX + 1), KIVI_UNREPRESENTABLE);
    expect_misuse(KIVI_UNREPRESENTABLE,
                  "msgpack: a container beyond 4,294,967,295 elements at value");
    end();
}

Test(value_stream, writer_refuses_less_than_was_said)
{
    for (size_t written = 0; written < 4; written++) {
        kivi_error *error = NULL;
        begin_misuse();
        kivi_writer_map(writer, 2);
        for (size_t i = 0; i < written; i++)
            kivi_writer_int(writer, (int64_t)i);
        cr_expect_eq(kivi_writer_finish(writer, &error), KIVI_INVALID, "%zu", written);
        cr_expect_not_null(error);
        cr_expect_eq(out.size, 3);
        kivi_error_free(error);
    }
    begin_misuse();
    cr_expect_eq(kivi_writer_finish(writer, NULL), KIVI_INVALID, "nothing at all");
    cr_expect_eq(kivi_writer_int(writer, 1), KIVI_INVALID, "not started");
    cr_expect_eq(kivi_writer_finish(writer, NULL), KIVI_INVALID);
    cr_expect_eq(out.size, 3);
    end();
}

Test(value_stream, writer_adds_to_what_is_there)
{
    begin_misuse();
    kivi_writer_array(writer, 2);
    kivi_writer_map(writer, 0);
    kivi_writer_array(writer, 0);
    cr_expect_eq(kivi_writer_finish(writer, NULL), KIVI_OK);
    cr_expect(out.size == 6 && !memcmp(out.data, "abc\x92\x80\x90", 6));
    end();
}

Test(value_stream, writer_nests_10000_deep)
{
    kivi_reader *reader = reader_of_depth(10000);
    for (size_t depth = 9999; depth <= 10001; depth++) {
        kivi_status status = KIVI_OK;
        begin("msgpack");
        for (size_t i = 0; i < depth; i++)
            status = kivi_writer_array(writer, 1);
        cr_expect_eq(status, depth > 10000 ? KIVI_INVALID : KIVI_OK);
        kivi_writer_nil(writer);
        cr_expect_eq(kivi_writer_finish(writer, NULL), depth > 10000 ? KIVI_INVALID : KIVI_OK);
        if (depth <= 10000)
            cr_expect_eq(out.size, depth + 1);
    }
    kivi_reader_free(reader);
    kivi_writer_free(NULL);
    end();
}
