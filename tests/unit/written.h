/* Helpers of the tests that write values: one writer, what it wrote, what it says it cannot hold. */
#ifndef TEST_WRITTEN_H
#define TEST_WRITTEN_H

#include "values.h"

#include <criterion/criterion.h>

/* Reads bytes from memory of exactly their size, for the sanitizer. */
static VALUES_UNUSED char *tell(const char *codec, const void *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (size)
        memcpy(copy, data, size);
    char *told = values_tell(codec, kivi_bytes(copy, size));
    free(copy);
    return told;
}

static kivi_writer *writer;
static kivi_buffer out;

static VALUES_UNUSED void begin(const char *codec)
{
    kivi_writer_free(writer);
    cr_assert_eq(kivi_writer_new(codec, &writer, NULL), KIVI_OK);
    out.size = 0;
    kivi_writer_start(writer, &out);
}

static VALUES_UNUSED void expect_written(const char *text)
{
    cr_assert_eq(kivi_writer_finish(writer, NULL), KIVI_OK, "%s", text);
    cr_expect(out.size == strlen(text) && !memcmp(out.data, text, out.size), "%.*s, not %s",
              (int)out.size, (const char *)out.data, text);
}

static VALUES_UNUSED void end(void)
{
    kivi_writer_free(writer);
    kivi_buffer_free(&out);
}

static VALUES_UNUSED void expect_unrepresentable(const char *message)
{
    kivi_error *error = NULL;
    cr_expect_eq(kivi_writer_finish(writer, &error), KIVI_UNREPRESENTABLE);
    cr_assert_not_null(error);
    cr_expect_str_eq(kivi_error_message(error), message);
    cr_expect_eq(out.size, 0);
    kivi_error_free(error);
}

#endif
