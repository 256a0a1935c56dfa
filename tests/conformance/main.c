/* The runner: one list of cases over every store, or, told so by its first argument, a second process of a case. */
#include <stdio.h>
#include <stdlib.h>

#include "suite.h"

/* Criterion looks its own start up by this name, so it may not be hidden. */
__attribute__((visibility("default"))) int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "--peer") == 0)
        return peer_main(count - 2, arguments + 2);
    struct criterion_test_set *tests = criterion_initialize();
    bool passed = true;
    if (criterion_handle_args(count, arguments, true)) {
        rows_prepare();
        passed = criterion_run_all_tests(tests);
        rows_clean_up();
    }
    criterion_finalize(tests);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
