/* Texts for what JSON lacks: bytes as base64, points in time, the floats that are no numbers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void cli_base64_write(kivi_slice bytes, kivi_buffer *out)
{
    const uint8_t *data = bytes.data;

    cli_need(kivi_buffer_reserve(out, out->size + (bytes.size + 2) / 3 * 4));
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)data[i] << 16;
        char four[4];

        if (left > 1)
            group |= (uint32_t)data[i + 1] << 8;
        if (left > 2)
            group |= data[i + 2];
        four[0] = alphabet[group >> 18];
        four[1] = alphabet[group >> 12 & 63];
        four[2] = left > 1 ? alphabet[group >> 6 & 63] : '=';
        four[3] = left > 2 ? alphabet[group & 63] : '=';
        cli_need(kivi_buffer_append(out, kivi_bytes(four, 4)));
    }
}

static int base64_digit(char c)
{
    const char *at = c ? strchr(alphabet, c) : NULL;

    return at ? (int)(at - alphabet) : -1;
}

bool cli_base64_read(kivi_slice text, kivi_buffer *out)
{
    const char *data = text.data;

    if (text.size % 4)
        return false;
    for (size_t i = 0; i < text.size; i += 4) {
        bool last = i + 4 == text.size;
        size_t padding = !last ? 0 : data[i + 3] != '=' ? 0 : data[i + 2] != '=' ? 1 : 2;
        uint32_t group = 0;
        uint8_t three[3];

        for (size_t j = 0; j < 4; j++) {
            int digit = j >= 4 - padding ? 0 : base64_digit(data[i + j]);

            if (digit < 0)
                return false;
            group = group << 6 | (uint32_t)digit;
        }
        /* Bits that belong to no byte must be zero: each value has one text. */
        if ((padding == 1 && group & 0xff) || (padding == 2 && group & 0xffff))
            return false;
        three[0] = (uint8_t)(group >> 16);
        three[1] = (uint8_t)(group >> 8);
        three[2] = (uint8_t)group;
        cli_need(kivi_buffer_append(out, kivi_bytes(three, 3 - padding)));
    }
    return true;
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, and back: years begin in March. */
static int64_t days_of_date(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void date_of_days(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

/* Seconds of 0000-01-01T00:00:00Z and of 9999-12-31T23:59:59Z. */
#define FIRST_SECOND INT64_C(-62167219200)
#define LAST_SECOND INT64_C(253402300799)

bool cli_time_write(int64_t seconds, uint32_t nanoseconds, char text[CLI_TIME_MAX])
{
    int64_t days, year, rest;
    int month, day, length;

    if (seconds < FIRST_SECOND || seconds > LAST_SECOND)
        return false;
    days = seconds / 86400 - (seconds % 86400 < 0);
    rest = seconds - days * 86400;
    date_of_days(days, &year, &month, &day);
    length = snprintf(text, CLI_TIME_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", (int)year, month, day,
                      (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
    if (nanoseconds % 1000)
        length += snprintf(text + length, CLI_TIME_MAX - (size_t)length, ".%09u", nanoseconds);
    else if (nanoseconds % 1000000)
        length += snprintf(text + length, CLI_TIME_MAX - (size_t)length, ".%06u", nanoseconds / 1000);
    else if (nanoseconds)
        length += snprintf(text + length, CLI_TIME_MAX - (size_t)length, ".%03u", nanoseconds / 1000000);
    snprintf(text + length, CLI_TIME_MAX - (size_t)length, "Z");
    return true;
}

/* Exactly `count` digits at *at. */
static bool read_digits(const char **at, const char *end, int count, int *number)
{
    *number = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (*at == end || **at < '0' || **at > '9')
            return false;
        *number = *number * 10 + (**at - '0');
    }
    return true;
}

static bool read_mark(const char **at, const char *end, const char *marks)
{
    if (*at == end || !**at || !strchr(marks, **at))
        return false;
    (*at)++;
    return true;
}

static bool read_fraction(const char **at, const char *end, uint32_t *nanoseconds)
{
    int digits = 0;

    *nanoseconds = 0;
    if (*at == end || **at != '.')
        return true;
    for ((*at)++; *at < end && **at >= '0' && **at <= '9'; (*at)++, digits++) {
        if (digits == 9)
            return false;
        *nanoseconds = *nanoseconds * 10 + (uint32_t)(**at - '0');
    }
    for (int i = digits; i < 9; i++)
        *nanoseconds *= 10;
    return digits > 0;
}

/* "Z" or "+01:00", as seconds east of UTC. */
static bool read_zone(const char **at, const char *end, int64_t *east)
{
    int hours, minutes, sign;

    *east = 0;
    if (read_mark(at, end, "Zz"))
        return true;
    sign = *at < end && **at == '-' ? -1 : 1;
    if (!read_mark(at, end, "+-") || !read_digits(at, end, 2, &hours) || !read_mark(at, end, ":") ||
        !read_digits(at, end, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *east = sign * (hours * 3600 + minutes * 60);
    return true;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

bool cli_time_read(kivi_slice text, int64_t *seconds, uint32_t *nanoseconds)
{
    const char *at = text.data;
    const char *end = at + text.size;
    int year, month, day, hour, minute, second;
    int64_t east;

    if (!read_digits(&at, end, 4, &year) || !read_mark(&at, end, "-") ||
        !read_digits(&at, end, 2, &month) || !read_mark(&at, end, "-") ||
        !read_digits(&at, end, 2, &day) || !read_mark(&at, end, "Tt ") ||
        !read_digits(&at, end, 2, &hour) || !read_mark(&at, end, ":") ||
        !read_digits(&at, end, 2, &minute) || !read_mark(&at, end, ":") ||
        !read_digits(&at, end, 2, &second) || !read_fraction(&at, end, nanoseconds) ||
        !read_zone(&at, end, &east) || at != end)
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) || hour > 23 ||
        minute > 59 || second > 59)
        return false;
    *seconds = days_of_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - east;
    return true;
}

#define PLAIN_NAN UINT64_C(0x7ff8000000000000)

static double double_of_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

void cli_float_write(double value, char text[CLI_FLOAT_MAX])
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    if (isinf(value))
        snprintf(text, CLI_FLOAT_MAX, "%sInfinity", value < 0 ? "-" : "");
    else if (bits == PLAIN_NAN)
        snprintf(text, CLI_FLOAT_MAX, "NaN");
    else
        snprintf(text, CLI_FLOAT_MAX, "0x%016llx", (unsigned long long)bits);
}

bool cli_float_read(kivi_slice text, double *value)
{
    char copy[CLI_FLOAT_MAX];

    if (text.size >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (strlen(copy) != text.size)
        return false;
    if (strcmp(copy, "NaN") == 0)
        *value = double_of_bits(PLAIN_NAN);
    else if (strcmp(copy, "Infinity") == 0)
        *value = HUGE_VAL;
    else if (strcmp(copy, "-Infinity") == 0)
        *value = -HUGE_VAL;
    else if (text.size == 18 && memcmp(copy, "0x", 2) == 0 &&
             strspn(copy + 2, "0123456789abcdefABCDEF") == 16)
        *value = double_of_bits(strtoull(copy + 2, NULL, 16));
    else
        return false;
    return true;
}
