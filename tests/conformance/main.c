/* The runner: one list of cases over every store, or, told so by its first argument, a second process of a case. */
#include <stdio.h>
#include <stdlib.h>

#include "suite.h"

/* Most cases wait most of their time: more of them at once than there are processors, unless told otherwise. */
static char **with_jobs(int *count, char **arguments)
{
    static char jobs[] = "--jobs", eight[] = "8";
    for (int i = 1; i < *count; i++)
        if (strncmp(arguments[i], "--jobs", 6) == 0 || strncmp(arguments[i], "-j", 2) == 0)
            return arguments;
    char **more = calloc((size_t)*count + 3, sizeof *more);
    if (!more)
        return arguments;
    memcpy(more, arguments, (size_t)*count * sizeof *more);
    more[(*count)++] = jobs;
    more[(*count)++] = eight;
    return more;
}

/* Criterion looks its own start up by this name, so it may not be hidden. */
__attribute__((visibility("default"))) int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "--peer") == 0)
        return peer_main(count - 2, arguments + 2);
    struct criterion_test_set *tests = criterion_initialize();
    bool passed = true;
    char **all_arguments = with_jobs(&count, arguments);
    if (criterion_handle_args(count, all_arguments, true)) {
        rows_prepare();
        passed = criterion_run_all_tests(tests);
        rows_clean_up();
    }
    criterion_finalize(tests);
    if (all_arguments != arguments)
        free(all_arguments);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
