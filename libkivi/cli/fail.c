/* One line for an error, and the exit codes that statuses stand for. */
#include <stdarg.h>
#include <stdio.h>

#include "../core/base/utf8.h"
#include "cli.h"
#include "progress.h"

#define MESSAGE_MOST 2048

/* One line whatever is in the message: what a terminal would act on is shown as \xNN. */
static void print_line(const char *text)
{
    char line[4 * MESSAGE_MOST + KVI_UTF8_SHOWN];
    size_t end = 0, size;

    for (kivi_slice left = kivi_str(text); left.size;
         left = kivi_bytes((const char *)left.data + size, left.size - size))
        end += kvi_utf8_show(left, line + end, &size);
    cli_progress_clear();
    fflush(stdout);
    fprintf(stderr, "kivi: %.*s\n", (int)end, line);
}

int cli_fail(int code, const char *format, ...)
{
    char text[MESSAGE_MOST];
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
