/* One line for an error, and the exit codes that statuses stand for. */
#include <stdarg.h>
#include <stdio.h>

#include "cli.h"
#include "progress.h"

/* One line whatever is in the message: what a terminal would act on becomes '?'. */
static void print_line(char *text)
{
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    cli_progress_clear();
    fflush(stdout);
    fprintf(stderr, "kivi: %s\n", text);
}

int cli_fail(int code, const char *format, ...)
{
    char text[2048];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print_line(text);
    return code;
}

int cli_exit_of(kivi_status status)
{
    switch (status) {
    case KIVI_OK:
    case KIVI_END:
        return CLI_DONE;
    case KIVI_NOT_FOUND:
    case KIVI_CONDITION:
        return CLI_UNMET;
    case KIVI_INVALID:
        return CLI_USAGE;
    default:
        return CLI_FAILED;
    }
}
