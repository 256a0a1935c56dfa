/* Parameterized tests of the stand-in are in its one header. */
#include <criterion/criterion.h>
