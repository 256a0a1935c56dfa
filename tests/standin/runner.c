/* Runs the tests of a program, each in a forked child, and tells the outcome as TAP. Takes --tap=FILE,
 * --filter PATTERN (suite/name) and --jobs N; other arguments are passed over. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FAILED 101 /* exit status of a child whose expectation or assertion failed */

/* A test in a child of its own, with one of its parameters. */
struct run {
    const struct standin_test *test;
    void *parameter;
    pid_t child;
};

static struct criterion_test_set all;
static struct standin_test **tests_end = &all.tests;
static struct standin_suite *suites;
static volatile sig_atomic_t failures; /* of this child */
static const char *tap_path, *pattern;
static unsigned long job_count;

void standin_add_test(struct standin_test *test)
{
    *tests_end = test;
    tests_end = &test->next;
}

void standin_add_suite(struct standin_suite *suite)
{
    suite->next = suites;
    suites = suite;
}

void standin_failed(bool fatal, const char *file, int line, const char *text, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s:%d: failed: %s", file, line, text);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    failures = 1;
    if (fatal)
        _exit(FAILED);
}

void standin_skipped(const char *format, ...)
{
    va_list arguments;
    fputs("skipped:", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    _exit(FAILED);
}

static const struct standin_extra *find_suite(const char *name)
{
    static const struct standin_extra none;
    for (const struct standin_suite *suite = suites; suite; suite = suite->next)
        if (!strcmp(suite->name, name))
            return suite->extra;
    return &none;
}

static void run_child(const struct run *run)
{
    const struct standin_extra *extra = run->test->extra, *suite = find_suite(run->test->suite);
    double timeout = extra->timeout > 0 ? extra->timeout : suite->timeout;
    if (timeout > 0)
        alarm((unsigned)timeout * 10 + 1); /* sanitizers are slow; this only ends what hangs */
    if (suite->init)
        suite->init();
    if (extra->init)
        extra->init();
    if (run->test->run_with)
        run->test->run_with(run->parameter);
    else
        run->test->run();
    if (extra->fini)
        extra->fini();
    if (suite->fini)
        suite->fini();
    exit(failures ? FAILED : 0); /* exit, not _exit: the sanitizer reports at exit */
}

static bool start(struct run *run)
{
    fflush(NULL);
    run->child = fork();
    if (run->child == 0)
        run_child(run);
    return run->child > 0;
}

static bool passes(const struct run *run, int status)
{
    const struct standin_extra *extra = run->test->extra;
    if (extra->signal)
        return WIFSIGNALED(status) && WTERMSIG(status) == extra->signal;
    return WIFEXITED(status) && WEXITSTATUS(status) == extra->exit_code;
}

/* A child that was killed could not say so itself. */
static void tell_end(const struct standin_test *test, int status)
{
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s::%s: ended by signal %d\n", test->suite, test->name, WTERMSIG(status));
    else
        fprintf(stderr, "%s::%s: ended with status %d\n", test->suite, test->name, WEXITSTATUS(status));
}

/* Waits for a child that is one of ours; NULL when there is none any more. */
static struct run *wait_for_one(struct run *runs, size_t count, int *status)
{
    for (;;) {
        pid_t child = wait(status);
        if (child < 0 && errno != EINTR)
            return NULL;
        for (size_t i = 0; child > 0 && i < count; i++)
            if (runs[i].child == child)
                return &runs[i];
    }
}

static bool is_wanted(const struct standin_test *test)
{
    char name[512];
    snprintf(name, sizeof(name), "%s/%s", test->suite, test->name);
    return !test->extra->disabled && (!pattern || !fnmatch(pattern, name, FNM_EXTMATCH));
}

/* All runs there are to make; fills in `runs` where it is not NULL. */
static size_t list_runs(struct run *runs)
{
    size_t count = 0;
    for (const struct standin_test *test = all.tests; test; test = test->next) {
        if (!is_wanted(test))
            continue;
        struct criterion_test_params parameters = {0, NULL, 1, NULL};
        if (test->parameters)
            parameters = test->parameters();
        for (size_t i = 0; i < parameters.length; i++, count++)
            if (runs)
                runs[count] = (struct run){
                    test, parameters.params ? (char *)parameters.params + i * parameters.size : NULL, 0};
    }
    return count;
}

/* Answers how many passed. */
static size_t make_runs(struct run *runs, size_t count, FILE *tap)
{
    size_t passed = 0, next = 0, done = 0;
    while (done < count) {
        while (next < count && next - done < job_count && start(&runs[next]))
            next++;
        int status;
        struct run *run = wait_for_one(runs, next, &status);
        if (!run)
            return passed; /* fork fails: the plan tells that cases are missing */
        bool ok = passes(run, status);
        if (!ok)
            tell_end(run->test, status);
        run->child = 0;
        passed += ok;
        done++;
        fprintf(tap, "%sok - %s::%s\n", ok ? "" : "not ", run->test->suite, run->test->name);
        fflush(tap);
    }
    return passed;
}

struct criterion_test_set *criterion_initialize(void)
{
    return &all;
}

int criterion_handle_args(int argc, char **argv, bool handle_unknown)
{
    (void)handle_unknown;
    job_count = (unsigned long)sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--tap=", 6))
            tap_path = argv[i] + 6;
        else if (!strcmp(argv[i], "--filter") && i + 1 < argc)
            pattern = argv[++i];
        else if (!strcmp(argv[i], "--jobs") && i + 1 < argc)
            job_count = strtoul(argv[++i], NULL, 10);
    }
    if (job_count < 1)
        job_count = 1;
    return 1;
}

int criterion_run_all_tests(struct criterion_test_set *set)
{
    (void)set;
    FILE *tap = tap_path ? fopen(tap_path, "we") : stdout;
    size_t count = list_runs(NULL);
    struct run *runs = calloc(count + 1, sizeof(*runs));
    if (!tap || !runs)
        abort();
    fprintf(tap, "TAP version 13\n1..%zu\n", count);
    list_runs(runs);
    size_t passed = make_runs(runs, count, tap);
    free(runs);
    fprintf(stderr, "Tested: %zu | Passing: %zu\n", count, passed);
    if (tap != stdout && fclose(tap) != 0)
        return 0;
    return count > 0 && passed == count;
}

void criterion_finalize(struct criterion_test_set *set)
{
    (void)set;
}
