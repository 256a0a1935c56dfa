/* Floating-point numbers as JSON text, in any locale: read correctly rounded, written in the fewest digits. */
#include "codec.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define EXACT_MAX (UINT64_C(1) << 53) /* integers up to it are doubles, exactly */

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define POWER_MAX 22 /* the last power of ten that is a double, exactly */

static pthread_once_t locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", NULL);
}

/* A number taken apart: digits without point, and the power of ten they are multiplied by. */
typedef struct decimal {
    uint64_t digits;
    int64_t exponent;
    bool negative;
    bool exact; /* all digits are in `digits` */
} decimal;

static decimal take_apart(const uint8_t *at, const uint8_t *end)
{
    decimal number = {.negative = *at == '-', .exact = true};
    int64_t written = 0;
    bool point = false, below = false;
    for (at += number.negative; at < end && (*at | 0x20) != 'e'; at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        number.digits = number.digits * 10 + (uint64_t)(*at - '0');
        number.exact = number.exact && number.digits <= EXACT_MAX;
        if (!number.exact)
            return number;
        number.exponent -= point;
    }
    if (at == end)
        return number;
    at++;
    below = *at == '-';
    for (at += *at == '-' || *at == '+'; at < end && written < 100000; at++)
        written = written * 10 + (*at - '0');
    number.exponent += below ? -written : written;
    return number;
}

static kivi_status read_slowly(kivi_slice text, double *value)
{
    char small[128];
    char *copy = text.size < sizeof(small) ? small : malloc(text.size + 1);
    pthread_once(&locale_once, make_locale);
    if (!copy || !c_locale) {
        if (copy != small)
            free(copy);
        return KIVI_NO_MEMORY;
    }
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    *value = strtod_l(copy, NULL, c_locale);
    if (copy != small)
        free(copy);
    return isinf(*value) ? KIVI_CORRUPT : KIVI_OK;
}

kivi_status kvi_double_read(kivi_slice text, double *value)
{
    const uint8_t *at = text.data;
    decimal number = take_apart(at, at + text.size);
    /* One rounding of two exact doubles is correct rounding. */
    if (!number.exact || number.exponent > POWER_MAX || number.exponent < -POWER_MAX)
        return read_slowly(text, value);
    double digits = (double)number.digits;
    if (number.exponent < 0)
        digits /= powers[-number.exponent];
    else
        digits *= powers[number.exponent];
    *value = number.negative ? -digits : digits;
    return KIVI_OK;
}

/* ---- writing ---- */

/* Digits d.ddd and the power of ten of the first. */
typedef struct shortest {
    char digits[20];
    int size;
    int exponent;
} shortest;

/* Whether these digits read back as `value`, which is positive. */
static bool reads_back(const shortest *number, double value)
{
    char text[40];
    double read;
    int size = snprintf(text, sizeof(text), "%.*se%d", number->size, number->digits,
                        number->exponent - number->size + 1);
    return size > 0 && (size_t)size < sizeof(text) &&
           !read_slowly(kivi_bytes(text, (size_t)size), &read) && read == value;
}

/* The nearest decimal of so many digits. What snprintf puts between them depends on the locale. */
static void round_to(double value, int size, shortest *number)
{
    char text[64];
    snprintf(text, sizeof(text), "%.*e", size - 1, value);
    number->size = 0;
    const char *at = text;
    for (; *at && *at != 'e'; at++)
        if (*at >= '0' && *at <= '9' && number->size < size)
            number->digits[number->size++] = *at;
    number->exponent = *at ? atoi(at + 1) : 0;
}

/* The next decimal up, of as many digits. */
static void add_one(shortest *number)
{
    int i = number->size - 1;
    while (i >= 0 && number->digits[i] == '9')
        number->digits[i--] = '0';
    if (i >= 0) {
        number->digits[i]++;
        return;
    }
    number->digits[0] = '1';
    number->exponent++;
}

static bool is_power_of_two(double value)
{
    int exponent;
    return frexp(value, &exponent) == 0.5;
}

/*
 * Up to 15 digits are exact both ways, so 15 is the first try for all but the smallest numbers, which have fewer bits.
 * Below a power of two doubles lie twice as close as above: there the nearest decimal may read back as the neighbour
 * while the next one up is right.
 */
static void find_shortest(double value, shortest *number)
{
    for (int size = value < 0x1p-1022 ? 1 : 15; size <= 17; size++) {
        round_to(value, size, number);
        if (reads_back(number, value))
            break;
        if (size < 17 && is_power_of_two(value)) {
            add_one(number);
            if (reads_back(number, value))
                break;
        }
    }
    while (number->size > 1 && number->digits[number->size - 1] == '0')
        number->size--;
}

/* Numbers of few digits, as most are: an integer over a small power of ten that divides back exactly. */
static bool find_quickly(double value, shortest *number)
{
    for (int places = 0; places <= 6; places++) {
        double scaled = value * powers[places];
        if (scaled >= 1e15)
            return false;
        uint64_t digits = (uint64_t)(scaled + 0.5);
        if (!digits || (double)digits / powers[places] != value)
            continue;
        number->size = (int)kvi_decimal_write_unsigned(digits, (uint8_t *)number->digits);
        number->exponent = number->size - 1 - places;
        while (number->size > 1 && number->digits[number->size - 1] == '0')
            number->size--;
        return true;
    }
    return false;
}

static uint8_t *put_zeros(uint8_t *to, int count)
{
    memset(to, '0', (size_t)count);
    return to + count;
}

static uint8_t *put_digits(uint8_t *to, const char *digits, int count)
{
    memcpy(to, digits, (size_t)count);
    return to + count;
}

static uint8_t *put_scientific(uint8_t *to, const shortest *number)
{
    *to++ = (uint8_t)number->digits[0];
    if (number->size > 1) {
        *to++ = '.';
        to = put_digits(to, number->digits + 1, number->size - 1);
    }
    *to++ = 'e';
    return to + kvi_decimal_write(number->exponent, to);
}

static uint8_t *put_plain(uint8_t *to, const shortest *number)
{
    int before = number->exponent + 1; /* digits before the point */
    if (before <= 0) {
        *to++ = '0';
        *to++ = '.';
        to = put_zeros(to, -before);
        return put_digits(to, number->digits, number->size);
    }
    if (before >= number->size) {
        to = put_digits(to, number->digits, number->size);
        to = put_zeros(to, before - number->size);
        *to++ = '.';
        *to++ = '0';
        return to;
    }
    to = put_digits(to, number->digits, before);
    *to++ = '.';
    return put_digits(to, number->digits + before, number->size - before);
}

size_t kvi_double_write(double value, uint8_t text[KVI_DOUBLE_MAX])
{
    uint8_t *to = text;
    shortest number = {.digits = "0", .size = 1, .exponent = 0};
    if (signbit(value)) {
        *to++ = '-';
        value = -value;
    }
    if (value != 0 && !find_quickly(value, &number))
        find_shortest(value, &number);
    bool plain = number.exponent >= -5 && number.exponent < 16;
    to = plain ? put_plain(to, &number) : put_scientific(to, &number);
    return (size_t)(to - text);
}
