/* What tests ask of a call that fails. */
#ifndef TEST_FAILURE_H
#define TEST_FAILURE_H

#include <criterion/criterion.h>

#include <kivi/error.h>

/* That the call answered `wanted` with an error of that status whose message holds `part`; frees it. */
static inline void expect_failure(kivi_status answered, kivi_error **error, kivi_status wanted,
                                  const char *part)
{
    cr_assert_eq(answered, wanted, "answered %s, not %s", kivi_status_name(answered),
                 kivi_status_name(wanted));
    cr_assert_not_null(*error, "no error was set");
    const char *message = kivi_error_message(*error);
    cr_expect_eq(kivi_error_status(*error), wanted, "the error is another one: %s", message);
    cr_expect(!*part || strstr(message, part), "\"%s\" is not in: %s", part, message);
    kivi_error_free(*error);
    *error = NULL;
}

#endif
