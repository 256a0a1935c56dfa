/* Errors, status numbers and the version. */
#include "failure.h"

#include "core/base/base.h"

#include <stdio.h>
#include <wchar.h>

Test(error, holds_all_that_it_was_given)
{
    kivi_error *error = kvi_error_new(KIVI_IO, 28, KIVI_RETRY_IF_IDEMPOTENT, "disk %s is full", "sda");
    cr_expect_eq(kivi_error_status(error), KIVI_IO);
    cr_expect_eq(kivi_error_native_code(error), 28);
    cr_expect_eq(kivi_error_retryable(error), KIVI_RETRY_IF_IDEMPOTENT);
    cr_expect_str_eq(kivi_error_message(error), "disk sda is full");
    cr_expect_str_eq(kivi_error_backend(error), "");
    kivi_error_free(error);
}

Test(error, keeps_the_first_backend_that_it_is_given)
{
    kivi_error *error = kvi_error_new(KIVI_IO, 0, KIVI_RETRY_NO, "x");
    kvi_error_name_backend(error, "lmdb");
    kvi_error_name_backend(error, "memory");
    cr_expect_str_eq(kivi_error_backend(error), "lmdb");
    kivi_error_free(error);
    kvi_error_name_backend(NULL, "lmdb");
}

Test(error, none_is_no_error)
{
    cr_expect_eq(kivi_error_status(NULL), KIVI_OK);
    cr_expect_str_eq(kivi_error_message(NULL), "");
    cr_expect_str_eq(kivi_error_backend(NULL), "");
    cr_expect_eq(kivi_error_native_code(NULL), 0);
    cr_expect_eq(kivi_error_retryable(NULL), KIVI_RETRY_NO);
    kivi_error_free(NULL);
    cr_expect_null(kvi_error_copy(NULL));
}

Test(error, fail_answers_its_status_and_needs_no_place)
{
    kivi_error *error = NULL;
    cr_expect_eq(kvi_fail(NULL, KIVI_BUSY, "held"), KIVI_BUSY);
    expect_failure(kvi_fail(&error, KIVI_BUSY, "held by %d", 7), &error, KIVI_BUSY, "held by 7");
}

Test(error, fail_knows_what_can_be_tried_again)
{
    static const struct {
        kivi_status status;
        kivi_retryable retryable;
    } rows[] = {
        {KIVI_INVALID, KIVI_RETRY_NO},
        {KIVI_TIMEOUT, KIVI_RETRY_YES},
        {KIVI_UNAVAILABLE, KIVI_RETRY_YES},
        {KIVI_UNCERTAIN, KIVI_RETRY_IF_IDEMPOTENT},
        {KIVI_BUSY, KIVI_RETRY_YES},
        {KIVI_INTERNAL, KIVI_RETRY_NO},
        {999, KIVI_RETRY_NO},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kivi_error *error;
        kvi_fail(&error, rows[i].status, "x");
        cr_expect_eq(kivi_error_retryable(error), rows[i].retryable, "status %d", rows[i].status);
        cr_expect_eq(kivi_error_status(error), rows[i].status);
        kivi_error_free(error);
    }
}

Test(error, message_is_one_line_of_utf8)
{
    kivi_error *error = kvi_error_new(KIVI_INVALID, 0, KIVI_RETRY_NO,
                                      "key \"a\nb\x7f\xff\xc3\xa9\xe2\x82\"");
    cr_expect_str_eq(kivi_error_message(error), "key \"a?b??\xc3\xa9??\"");
    kivi_error_free(error);
}

/* What a terminal would act on, whatever a message quotes: C1 controls, marks of direction, invisible ones. */
Test(error, message_holds_nothing_hidden)
{
    kivi_error *error = kvi_error_new(KIVI_INVALID, 0, KIVI_RETRY_NO,
                                      "a\xc2\x9b"
                                      "31m\xe2\x80\xae"
                                      "b\xe2\x81\xa6"
                                      "c\xd8\x9c"
                                      "d\xe2\x80\x8e"
                                      "e\xf3\xa0\x81\x81"
                                      "f\xc2\xa0");
    cr_expect_str_eq(kivi_error_message(error), "a?31m?b?c?d?e?f\xc2\xa0");
    kivi_error_free(error);
}

Test(error, long_message_is_whole)
{
    char text[10001];
    memset(text, 'x', 10000);
    text[10000] = '\0';
    kivi_error *error = kvi_error_new(KIVI_INVALID, 0, KIVI_RETRY_NO, "%s", text);
    cr_expect_str_eq(kivi_error_message(error), text);
    kivi_error_free(error);
}

Test(error, copy_stands_alone)
{
    kivi_error *error = kvi_error_new(KIVI_IO, -5, KIVI_RETRY_LATER, "first");
    kvi_error_name_backend(error, "lmdb");
    kivi_error *copy = kvi_error_copy(error);
    kivi_error_free(error);
    cr_expect_eq(kivi_error_status(copy), KIVI_IO);
    cr_expect_eq(kivi_error_native_code(copy), -5);
    cr_expect_eq(kivi_error_retryable(copy), KIVI_RETRY_LATER);
    cr_expect_str_eq(kivi_error_message(copy), "first");
    cr_expect_str_eq(kivi_error_backend(copy), "lmdb");
    kivi_error_free(copy);
}

Test(error, a_native_code_may_be_text)
{
    kivi_error *error = kvi_error_new(KIVI_BUSY, 0, KIVI_RETRY_YES, "deadlock");
    cr_expect_str_eq(kivi_error_native_text(error), "");
    kvi_error_native_text(error, "40P01");
    kivi_error *copy = kvi_error_copy(error);
    cr_expect_str_eq(kivi_error_native_text(copy), "40P01");
    kvi_error_native_text(error, "ERR unknown command");
    cr_expect_str_eq(kivi_error_native_text(error), "ERR", "a code is a word");
    kvi_error_native_text(error, "ProvisionedThroughputExceededException");
    cr_expect_str_eq(kivi_error_native_text(error), "ProvisionedThroughputExceededException");
    kvi_error_native_text(error, "0123456789012345678901234567890123456789012345678901");
    cr_expect_eq(strlen(kivi_error_native_text(error)), 47);
    kvi_error_native_text(error, "\x1b[31m");
    cr_expect_str_eq(kivi_error_native_text(error), "");
    kvi_error_take_native(error, copy);
    kvi_error_take_native(error, NULL);
    cr_expect_str_eq(kivi_error_native_text(error), "40P01");
    kivi_error_free(error);
    kivi_error_free(copy);
    cr_expect_str_eq(kivi_error_native_text(NULL), "");
    kvi_error_native_text(NULL, "x");
    kvi_fail(&error, KIVI_IO, "x");
    kvi_error_native_text(error, "58030");
    cr_expect_str_eq(kivi_error_native_text(error), "58030");
    kivi_error_free(error);
}

/* A message that cannot be formed: it ends where one ends for which there is no memory. */
static kivi_error *out_of_memory(kivi_status status)
{
    return kvi_error_new(status, 1, KIVI_RETRY_YES, "%lc", (wint_t)0xd800);
}

Test(error, without_memory_still_tells_its_status)
{
    static const kivi_status all[] = {KIVI_NO_MEMORY, KIVI_TIMEOUT, KIVI_UNCERTAIN, KIVI_INVALID};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        kivi_error *error = out_of_memory(all[i]);
        cr_assert_not_null(error);
        cr_expect_eq(kivi_error_status(error), all[i]);
        cr_expect_not_null(strstr(kivi_error_message(error), "memory"));
        kvi_error_name_backend(error, "lmdb"); /* must not write to a constant */
        cr_expect_str_eq(kivi_error_backend(error), "");
        cr_expect_eq(kvi_error_copy(error), error);
        kivi_error_free(error);
        kivi_error_free(error); /* of a constant: nothing */
    }
    cr_expect_eq(kivi_error_status(out_of_memory(999)), KIVI_NO_MEMORY);
}

Test(status, names)
{
    cr_expect_str_eq(kivi_status_name(KIVI_OK), "OK");
    cr_expect_str_eq(kivi_status_name(KIVI_NOT_FOUND), "NOT_FOUND");
    cr_expect_str_eq(kivi_status_name(KIVI_PENDING), "PENDING");
    cr_expect_str_eq(kivi_status_name(KIVI_UNREPRESENTABLE), "UNREPRESENTABLE");
    cr_expect_str_eq(kivi_status_name(KIVI_UNCERTAIN), "UNCERTAIN");
    cr_expect_str_eq(kivi_status_name(KIVI_INTERNAL), "INTERNAL");
    cr_expect_str_eq(kivi_status_name(15), "UNKNOWN");
    cr_expect_str_eq(kivi_status_name(-1), "UNKNOWN");
}

Test(status, every_number_has_its_own_name)
{
    for (kivi_status a = 0; a < 64; a++)
        for (kivi_status b = 0; b < a; b++)
            if (strcmp(kivi_status_name(a), "UNKNOWN") != 0)
                cr_expect_str_neq(kivi_status_name(a), kivi_status_name(b), "%d and %d", a, b);
}

Test(status, classes_also_of_numbers_to_come)
{
    cr_expect_eq(kivi_status_class(KIVI_END), KIVI_CLASS_ANSWER);
    cr_expect_eq(kivi_status_class(15), KIVI_CLASS_ANSWER);
    cr_expect_eq(kivi_status_class(KIVI_INVALID), KIVI_CLASS_USAGE);
    cr_expect_eq(kivi_status_class(KIVI_CORRUPT), KIVI_CLASS_FATAL);
    cr_expect_eq(kivi_status_class(31), KIVI_CLASS_USAGE);
    cr_expect_eq(kivi_status_class(KIVI_TIMEOUT), KIVI_CLASS_TRANSIENT);
    cr_expect_eq(kivi_status_class(47), KIVI_CLASS_TRANSIENT);
    cr_expect_eq(kivi_status_class(KIVI_DENIED), KIVI_CLASS_FATAL);
    cr_expect_eq(kivi_status_class(1000), KIVI_CLASS_FATAL);
    cr_expect_eq(kivi_status_class(-1), KIVI_CLASS_FATAL);
}

Test(status, version_is_that_of_the_headers)
{
    char text[32];
    snprintf(text, sizeof(text), "%d.%d.%d", KIVI_VERSION_MAJOR, KIVI_VERSION_MINOR, KIVI_VERSION_PATCH);
    cr_expect_str_eq(kivi_version(), text);
}

static void check_shown(kivi_slice key, size_t longest, const char *expected)
{
    kivi_buffer text = KIVI_BUFFER_INIT;
    cr_assert_eq(kivi_buffer_append(&text, kivi_str("<")), KIVI_OK);
    cr_assert_eq(kivi_key_show(key, longest, &text), KIVI_OK);
    cr_assert_eq(kivi_buffer_append(&text, kivi_bytes("", 1)), KIVI_OK);
    cr_expect_str_eq((const char *)text.data + 1, expected);
    kivi_buffer_free(&text);
}

Test(error, a_key_is_shown_as_text_that_hides_nothing)
{
    check_shown(kivi_str(""), 0, "");
    check_shown(kivi_str("user:1 \xc3\xa9"), 0, "user:1 \xc3\xa9");
    check_shown(kivi_bytes("a\0b\n\x1b\\", 6), 0, "a\\x00b\\x0a\\x1b\\\\");
    check_shown(kivi_str("\xff\xc3\xe2\x80\xae"), 0, "\\xff\\xc3\\xe2\\x80\\xae");
    check_shown(kivi_str("abcd"), 4, "abcd");
    check_shown(kivi_str("abcde"), 4, "abcd...");
    check_shown(kivi_str("abc\xc3\xa9"), 4, "abc...");
}
