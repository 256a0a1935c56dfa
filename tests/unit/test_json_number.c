/* Numbers of JSON: integers to 64 bits, floats rounded correctly and written in the fewest digits, in any locale. */
#include "written.h"

#include <locale.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct number {
    const char *text, *told;
} number;

/* clang-format off */
static const number numbers[] = {
    {"0", "int0 ."},
    {"-0", "int0 ."},
    {"7", "int7 ."},
    {"-1", "int-1 ."},
    {"9223372036854775807", "int9223372036854775807 ."},
    {"-9223372036854775808", "int-9223372036854775808 ."},
    {"9223372036854775808", "uint9223372036854775808 ."},
    {"18446744073709551615", "uint18446744073709551615 ."},
    {"0.0", "float0000000000000000 ."},
    {"-0.0", "float8000000000000000 ."},
    {"-0e5", "float8000000000000000 ."},
    {"1.5", "float3ff8000000000000 ."},
    {"1e0", "float3ff0000000000000 ."},
    {"1E+2", "float4059000000000000 ."},
    {"100e-2", "float3ff0000000000000 ."},
    {"0.1", "float3fb999999999999a ."},
    {"1e23", "float44b52d02c7e14af6 ."},
    {"9007199254740993.0", "float4340000000000000 ."}, /* halfway: to even */
    {"9007199254740993.00000000000000000000000000000000000001", "float4340000000000001 ."},
    {"1.7976931348623157e308", "float7fefffffffffffff ."},
    {"1.7976931348623158e308", "float7fefffffffffffff ."},
    {"4.9e-324", "float0000000000000001 ."},
    {"2.4703282292062327e-324", "float0000000000000000 ."},
    {"2.4703282292062328e-324", "float0000000000000001 ."},
    {"2.2250738585072011e-308", "float000fffffffffffff ."},
    {"1e-400", "float0000000000000000 ."},
    {"-1e-999999999999999999999", "float8000000000000000 ."},
    {"0e999999999999999999999", "float0000000000000000 ."},
    {"0.000000000000000000000000000000000001e36", "float3ff0000000000000 ."},
};
/* clang-format on */

static void check_numbers(void)
{
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char *told = tell("json", numbers[i].text, strlen(numbers[i].text));
        cr_expect_str_eq(told, numbers[i].told, "%s: %s", numbers[i].text, told);
        free(told);
    }
}

Test(json_number, reads_exactly)
{
    check_numbers();
}

static void expect_float(double value, const char *text)
{
    begin("json");
    kivi_writer_float(writer, value);
    expect_written(text);
}

Test(json_number, writes_floats_in_the_fewest_digits)
{
    expect_float(0.0, "0.0");
    expect_float(-0.0, "-0.0");
    expect_float(1.0, "1.0");
    expect_float(-1.5, "-1.5");
    expect_float(0.1, "0.1");
    expect_float(0.3, "0.3");
    expect_float(0.1 + 0.2, "0.30000000000000004");
    expect_float(100.0, "100.0");
    expect_float(123456.789, "123456.789");
    expect_float(1e15, "1000000000000000.0");
    expect_float(9007199254740993.0, "9007199254740992.0");
    expect_float(1e16, "1e16");
    expect_float(1.5e300, "1.5e300");
    expect_float(1e23, "1e23");
    expect_float(9.5e-6, "9.5e-6");
    expect_float(0.00001, "0.00001");
    expect_float(1e-6, "1e-6");
    expect_float(1e-7, "1e-7");
    expect_float(5e-324, "5e-324");
    expect_float(2.2250738585072014e-308, "2.2250738585072014e-308");
    expect_float(1.7976931348623157e308, "1.7976931348623157e308");
    expect_float(5.684341886080802e-14, "5.684341886080802e-14"); /* 2^-44 */
    expect_float(9007199254740991.0, "9007199254740991.0");
    end();
}

/* Digits before the exponent, zeros at either end left out. */
static size_t digits_of(const char *text, size_t size)
{
    size_t first = SIZE_MAX, last = 0, seen = 0;
    for (size_t i = 0; i < size && text[i] != 'e'; i++) {
        if (text[i] < '0' || text[i] > '9')
            continue;
        if (text[i] != '0') {
            first = first == SIZE_MAX ? seen : first;
            last = seen;
        }
        seen++;
    }
    return first == SIZE_MAX ? 1 : last - first + 1;
}

static void check_double(double value)
{
    uint8_t text[64];
    char shorter[64];
    begin("json");
    kivi_writer_float(writer, value);
    cr_assert_eq(kivi_writer_finish(writer, NULL), KIVI_OK);
    memcpy(text, out.data, out.size);
    text[out.size] = 0;
    cr_assert_eq(values_bits(strtod((char *)text, NULL)), values_bits(value), "%s", (char *)text);
    char *told = tell("json", out.data, out.size);
    snprintf(shorter, sizeof(shorter), "float%016" PRIx64 " .", values_bits(value));
    cr_assert_str_eq(told, shorter, "%s", (char *)text);
    free(told);
    size_t digits = digits_of((char *)text, out.size);
    if (digits == 1)
        return;
    snprintf(shorter, sizeof(shorter), "%.*e", (int)digits - 2, value);
    cr_assert_neq(values_bits(strtod(shorter, NULL)), values_bits(value), "%s and %s", (char *)text,
                  shorter);
}

Test(json_number, every_float_reads_back)
{
    uint64_t state = 99;
    for (int exponent = -1074; exponent < 1024; exponent++) {
        check_double(ldexp(1, exponent));
        check_double(nextafter(ldexp(1, exponent), 0));
        check_double(-nextafter(ldexp(1, exponent), INFINITY));
    }
    for (unsigned i = 0; i < 50000; i++) {
        uint64_t bits = values_next(&state);
        if ((bits >> 52 & 0x7ff) != 0x7ff)
            check_double(values_double(bits));
        check_double((double)(int64_t)(bits >> 20) / pow(10, (double)(bits % 12)));
        check_double((double)(bits >> bits % 64));
    }
    end();
}

/* Reads of decimals with up to 40 digits agree with strtod. */
Test(json_number, decimals_are_rounded_correctly)
{
    uint64_t state = 5;
    for (unsigned i = 0; i < 50000; i++) {
        char text[96], expected[64];
        int size = snprintf(text, sizeof(text), "%" PRIu64, 1 + values_next(&state) % 9);
        if (values_next(&state) % 2)
            size += snprintf(text + size, sizeof(text) - (size_t)size, "%" PRIu64,
                             values_next(&state) >> values_next(&state) % 60);
        size += snprintf(text + size, sizeof(text) - (size_t)size, ".%" PRIu64,
                         values_next(&state) >> values_next(&state) % 60);
        size += snprintf(text + size, sizeof(text) - (size_t)size, "e%d",
                         (int)(values_next(&state) % 640) - 330);
        double value = strtod(text, NULL);
        char *told = tell("json", text, (size_t)size);
        snprintf(expected, sizeof(expected), "float%016" PRIx64 " .", values_bits(value));
        cr_assert_str_eq(told, isinf(value) ? "CORRUPT@0" : expected, "%s", text);
        free(told);
    }
}

/* ---- a locale with a comma, made here: machines need not have one ---- */

typedef struct comma_file {
    uint32_t magic, count, offsets[6];
    char point[4], separator[4], grouping[4];
    uint32_t wide_point, wide_separator;
    char codeset[8];
} comma_file;

static void use_comma_locale(void)
{
    char directory[] = "/tmp/kivi-locale-XXXXXX", path[128];
    /* The file of LC_NUMERIC, as glibc lays it out. */
    comma_file file = {0x20031115 ^ LC_NUMERIC,
                       6,
                       {offsetof(comma_file, point), offsetof(comma_file, separator),
                        offsetof(comma_file, grouping), offsetof(comma_file, wide_point),
                        offsetof(comma_file, wide_separator), offsetof(comma_file, codeset)},
                       ",",
                       ".",
                       "\3",
                       ',',
                       '.',
                       "UTF-8"};
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/kivi", directory);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/kivi/LC_NUMERIC", directory);
    FILE *written = fopen(path, "wb");
    cr_assert_not_null(written);
    cr_assert_eq(fwrite(&file, sizeof(file), 1, written), 1);
    cr_assert_eq(fclose(written), 0);
    setenv("LOCPATH", directory, 1);
    cr_assert_not_null(setlocale(LC_NUMERIC, "kivi"));
    unlink(path);
    snprintf(path, sizeof(path), "%s/kivi", directory);
    rmdir(path);
    rmdir(directory);
    snprintf(path, sizeof(path), "%.1f", 1.5);
    cr_assert_str_eq(path, "1,5", "the locale is in force");
}

Test(json_number, heeds_no_locale)
{
    use_comma_locale();
    check_numbers();
    char *told = tell("json", "1,5", 3);
    cr_expect_str_eq(told, "int1 CORRUPT@1");
    free(told);
    expect_float(0.1 + 0.2, "0.30000000000000004");
    expect_float(1.5, "1.5");
    expect_float(5e-324, "5e-324");
    expect_float(2.2250738585072014e-308, "2.2250738585072014e-308");
    end();
}
