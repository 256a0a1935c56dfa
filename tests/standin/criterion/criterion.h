/*
 * A stand-in for Criterion under sanitizers (see cmake/KiviTests.cmake): the part of its interface that the
 * tests use, with each test in a forked child. See runner.c. Messages are printf formats, as there.
 */
#ifndef STANDIN_CRITERION_H
#define STANDIN_CRITERION_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct standin_extra {
    void (*init)(void);
    void (*fini)(void);
    double timeout;
    int signal;
    int exit_code;
    bool disabled;
    const char *description;
};

/* The parameters of a parameterized test: one run for each. */
struct criterion_test_params {
    size_t size; /* of each */
    void *params;
    size_t length;
    void (*cleanup)(struct criterion_test_params *params);
};

/* A test has `run`, a parameterized one `run_with` and `parameters`. */
struct standin_test {
    const char *suite, *name;
    void (*run)(void);
    void (*run_with)(void *parameter);
    struct criterion_test_params (*parameters)(void);
    const struct standin_extra *extra;
    struct standin_test *next;
};

struct standin_suite {
    const char *name;
    const struct standin_extra *extra;
    struct standin_suite *next;
};

void standin_add_test(struct standin_test *test);
void standin_add_suite(struct standin_suite *suite);
/* Tells of a failure; with `fatal` it ends the test and does not return. */
void standin_failed(bool fatal, const char *file, int line, const char *text, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Ends a test without a verdict; counted as a failure, since no test of ours may be skipped. */
void standin_skipped(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#define Test(suite_, name_, ...)                                                \
    static void suite_##_##name_##_run(void);                                   \
    static const struct standin_extra suite_##_##name_##_extra = {__VA_ARGS__}; \
    static struct standin_test suite_##_##name_##_test = {                      \
        .suite = #suite_,                                                       \
        .name = #name_,                                                         \
        .run = suite_##_##name_##_run,                                          \
        .extra = &suite_##_##name_##_extra,                                     \
    };                                                                          \
    __attribute__((constructor)) static void suite_##_##name_##_add(void)       \
    {                                                                           \
        standin_add_test(&suite_##_##name_##_test);                             \
    }                                                                           \
    static void suite_##_##name_##_run(void)

#define ParameterizedTestParameters(suite_, name_) \
    static struct criterion_test_params suite_##_##name_##_parameters(void)

#define ParameterizedTest(parameter_, suite_, name_, ...)                       \
    static void suite_##_##name_##_with(parameter_);                            \
    static void suite_##_##name_##_run(void *parameter)                         \
    {                                                                           \
        suite_##_##name_##_with(parameter);                                     \
    }                                                                           \
    static const struct standin_extra suite_##_##name_##_extra = {__VA_ARGS__}; \
    static struct standin_test suite_##_##name_##_test = {                      \
        .suite = #suite_,                                                       \
        .name = #name_,                                                         \
        .run_with = suite_##_##name_##_run,                                     \
        .parameters = suite_##_##name_##_parameters,                            \
        .extra = &suite_##_##name_##_extra,                                     \
    };                                                                          \
    __attribute__((constructor)) static void suite_##_##name_##_add(void)       \
    {                                                                           \
        standin_add_test(&suite_##_##name_##_test);                             \
    }                                                                           \
    static void suite_##_##name_##_with(parameter_)

#define cr_make_param_array(type_, array_, length_) \
    ((struct criterion_test_params){sizeof(type_), (void *)(array_), (length_), NULL})
#define cr_malloc malloc
#define cr_calloc calloc
#define cr_realloc realloc
#define cr_free free

#define TestSuite(name_, ...)                                                         \
    static const struct standin_extra name_##_suite_extra = {__VA_ARGS__};            \
    static struct standin_suite name_##_suite = {#name_, &name_##_suite_extra, NULL}; \
    __attribute__((constructor)) static void name_##_suite_add(void)                  \
    {                                                                                 \
        standin_add_suite(&name_##_suite);                                            \
    }                                                                                 \
    struct standin_suite

/* For programs that have their own main. */
struct criterion_test_set {
    struct standin_test *tests;
};
struct criterion_test_set *criterion_initialize(void);
int criterion_handle_args(int argc, char **argv, bool handle_unknown);
int criterion_run_all_tests(struct criterion_test_set *set);
void criterion_finalize(struct criterion_test_set *set);

#define STANDIN_CHECK(fatal_, text_, ok_, ...) \
    ((ok_) ? (void)0 : standin_failed(fatal_, __FILE__, __LINE__, text_, " " __VA_ARGS__))
#define STANDIN_STR(op_, a_, b_) (strcmp((a_), (b_)) op_ 0)
#define STANDIN_MEM(op_, a_, b_, size_) (memcmp((a_), (b_), (size_)) op_ 0)

#define cr_assert(x_, ...) STANDIN_CHECK(true, #x_, (x_), __VA_ARGS__)
#define cr_expect(x_, ...) STANDIN_CHECK(false, #x_, (x_), __VA_ARGS__)
#define cr_assert_not(x_, ...) STANDIN_CHECK(true, "not " #x_, !(x_), __VA_ARGS__)
#define cr_expect_not(x_, ...) STANDIN_CHECK(false, "not " #x_, !(x_), __VA_ARGS__)
#define cr_fatal(...) standin_failed(true, __FILE__, __LINE__, "fatal", " " __VA_ARGS__)
#define cr_assert_fail(...) standin_failed(true, __FILE__, __LINE__, "fail", " " __VA_ARGS__)
#define cr_expect_fail(...) standin_failed(false, __FILE__, __LINE__, "fail", " " __VA_ARGS__)
#define cr_skip_test(...) standin_skipped(" " __VA_ARGS__)
#define cr_log_info(...) (printf(__VA_ARGS__), (void)putchar('\n'))
#define cr_log_warn cr_log_info
#define cr_log_error cr_log_info

#define cr_assert_eq(a_, b_, ...) STANDIN_CHECK(true, #a_ " == " #b_, (a_) == (b_), __VA_ARGS__)
#define cr_assert_neq(a_, b_, ...) STANDIN_CHECK(true, #a_ " != " #b_, (a_) != (b_), __VA_ARGS__)
#define cr_assert_lt(a_, b_, ...) STANDIN_CHECK(true, #a_ " < " #b_, (a_) < (b_), __VA_ARGS__)
#define cr_assert_leq(a_, b_, ...) STANDIN_CHECK(true, #a_ " <= " #b_, (a_) <= (b_), __VA_ARGS__)
#define cr_assert_gt(a_, b_, ...) STANDIN_CHECK(true, #a_ " > " #b_, (a_) > (b_), __VA_ARGS__)
#define cr_assert_geq(a_, b_, ...) STANDIN_CHECK(true, #a_ " >= " #b_, (a_) >= (b_), __VA_ARGS__)
#define cr_assert_null(a_, ...) STANDIN_CHECK(true, #a_ " is NULL", (a_) == NULL, __VA_ARGS__)
#define cr_assert_not_null(a_, ...) \
    STANDIN_CHECK(true, #a_ " is not NULL", (a_) != NULL, __VA_ARGS__)
#define cr_assert_str_eq(a_, b_, ...) \
    STANDIN_CHECK(true, #a_ " == " #b_, STANDIN_STR(==, a_, b_), __VA_ARGS__)
#define cr_assert_str_neq(a_, b_, ...) \
    STANDIN_CHECK(true, #a_ " != " #b_, STANDIN_STR(!=, a_, b_), __VA_ARGS__)
#define cr_assert_arr_eq(a_, b_, size_, ...) \
    STANDIN_CHECK(true, #a_ " == " #b_, STANDIN_MEM(==, a_, b_, size_), __VA_ARGS__)
#define cr_assert_arr_neq(a_, b_, size_, ...) \
    STANDIN_CHECK(true, #a_ " != " #b_, STANDIN_MEM(!=, a_, b_, size_), __VA_ARGS__)
#define cr_assert_float_eq(a_, b_, near_, ...) \
    STANDIN_CHECK(true, #a_ " == " #b_, (a_) - (b_) <= (near_) && (b_) - (a_) <= (near_), __VA_ARGS__)

#define cr_expect_eq(a_, b_, ...) STANDIN_CHECK(false, #a_ " == " #b_, (a_) == (b_), __VA_ARGS__)
#define cr_expect_neq(a_, b_, ...) STANDIN_CHECK(false, #a_ " != " #b_, (a_) != (b_), __VA_ARGS__)
#define cr_expect_lt(a_, b_, ...) STANDIN_CHECK(false, #a_ " < " #b_, (a_) < (b_), __VA_ARGS__)
#define cr_expect_leq(a_, b_, ...) STANDIN_CHECK(false, #a_ " <= " #b_, (a_) <= (b_), __VA_ARGS__)
#define cr_expect_gt(a_, b_, ...) STANDIN_CHECK(false, #a_ " > " #b_, (a_) > (b_), __VA_ARGS__)
#define cr_expect_geq(a_, b_, ...) STANDIN_CHECK(false, #a_ " >= " #b_, (a_) >= (b_), __VA_ARGS__)
#define cr_expect_null(a_, ...) STANDIN_CHECK(false, #a_ " is NULL", (a_) == NULL, __VA_ARGS__)
#define cr_expect_not_null(a_, ...) \
    STANDIN_CHECK(false, #a_ " is not NULL", (a_) != NULL, __VA_ARGS__)
#define cr_expect_str_eq(a_, b_, ...) \
    STANDIN_CHECK(false, #a_ " == " #b_, STANDIN_STR(==, a_, b_), __VA_ARGS__)
#define cr_expect_str_neq(a_, b_, ...) \
    STANDIN_CHECK(false, #a_ " != " #b_, STANDIN_STR(!=, a_, b_), __VA_ARGS__)
#define cr_expect_arr_eq(a_, b_, size_, ...) \
    STANDIN_CHECK(false, #a_ " == " #b_, STANDIN_MEM(==, a_, b_, size_), __VA_ARGS__)
#define cr_expect_arr_neq(a_, b_, size_, ...) \
    STANDIN_CHECK(false, #a_ " != " #b_, STANDIN_MEM(!=, a_, b_, size_), __VA_ARGS__)

#endif
