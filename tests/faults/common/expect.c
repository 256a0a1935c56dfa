/* Expectations: a case fails where Criterion sees it, a thread or a child ends at once and says why. */
#include <stdarg.h>
#include <unistd.h>

#include "faults.h"

extern pid_t case_thread, case_process;

void broken(const char *file, int line, const char *what, const char *format, ...)
{
    char why[1024];
    va_list list;

    va_start(list, format);
    vsnprintf(why, sizeof(why), format, list);
    va_end(list);
    if (gettid() == case_thread)
        cr_assert_fail("%s:%d: %s: %s", file, line, what, why);
    fprintf(stderr, "%s:%d: %s %d: %s: %s\n", file, line,
            getpid() == case_process ? "a thread of" : "child", (int)getpid(), what, why);
    if (getpid() == case_process)
        abort();
    _exit(99);
}

void check_number(const char *file, int line, const char *what, long long got, long long wanted)
{
    if (got != wanted)
        broken(file, line, what, "it is %lld instead of %lld", got, wanted);
}

static _Thread_local kivi_error *last_error;

kivi_error **error_place(void)
{
    last_error = NULL;
    return &last_error;
}

void judge(const char *file, int line, const char *call, kivi_status got, kivi_status wanted,
           const char *part)
{
    kivi_error *error = last_error;
    const char *message = error ? kivi_error_message(error) : "(no error)";

    last_error = NULL;
    if (got != wanted)
        broken(file, line, call, "%s instead of %s: %s", kivi_status_name(got),
               kivi_status_name(wanted), message);
    if ((error != NULL) != (kivi_status_class(got) != KIVI_CLASS_ANSWER))
        broken(file, line, call, "%s, but the error is: %s", kivi_status_name(got), message);
    if (error && kivi_error_status(error) != got)
        broken(file, line, call, "%s, but the error says %s", kivi_status_name(got),
               kivi_status_name(kivi_error_status(error)));
    if (part && !(error && strstr(message, part)))
        broken(file, line, call, "\"%s\" does not say \"%s\"", message, part);
    kivi_error_free(error);
}

/* What LeakSanitizer passes over by rules of its own is not worth a report. */
const char *__lsan_default_options(void);
__attribute__((visibility("default"))) const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}
