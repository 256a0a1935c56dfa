/* The main of test programs that have none of their own. */
#include <criterion/criterion.h>

int main(int argc, char **argv)
{
    struct criterion_test_set *set = criterion_initialize();
    int passed = criterion_handle_args(argc, argv, true) && criterion_run_all_tests(set);
    criterion_finalize(set);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
