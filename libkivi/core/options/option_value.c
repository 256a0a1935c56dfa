/* The text of an option read by the option's type. */
#include "../base/base.h"
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define SHOWN 64 /* bytes of a bad value that a message repeats */

/* What a message may show of a value: secrets never. */
static const char *shown(const kivi_option_info *info, const char *text, char place[SHOWN + 8])
{
    if (info->flags & KIVI_OPTION_SECRET)
        return "***";
    snprintf(place, SHOWN + 8, "\"%.*s\"%s", SHOWN, text, strlen(text) > SHOWN ? "..." : "");
    return place;
}

static kivi_status refuse(const kivi_option_info *info, const char *text, const char *fits,
                          kivi_error **error)
{
    char place[SHOWN + 8];
    return kvi_fail(error, KIVI_INVALID, "option \"%s\": %s does not fit: it takes %s", info->name,
                    shown(info, text, place), fits);
}

static kivi_status refuse_range(const kivi_option_info *info, const char *text, kivi_error **error)
{
    const char *unit = info->type == KIVI_OPTION_DURATION ? "ms"
                       : info->type == KIVI_OPTION_SIZE   ? " bytes"
                                                          : "";
    char place[SHOWN + 8];
    return kvi_fail(error, KIVI_INVALID,
                    "option \"%s\": %s is out of range: it takes %" PRId64 "%s to %" PRId64 "%s",
                    info->name, shown(info, text, place), info->min, unit, info->max, unit);
}

static bool has_range(const kivi_option_info *info)
{
    return info->min || info->max;
}

static kivi_status check_range(const kivi_option_info *info, const char *text, int64_t number,
                               kivi_error **error)
{
    if (has_range(info) && (number < info->min || number > info->max))
        return refuse_range(info, text, error);
    return KIVI_OK;
}

static kivi_status read_bool(const kivi_option_info *info, const char *text,
                             kvi_option_value *value, kivi_error **error)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (!strcasecmp(text, words[i])) {
            value->number = i % 2;
            return KIVI_OK;
        }
    }
    return refuse(info, text, "true or false (yes or no, on or off, 1 or 0)", error);
}

/* A decimal integer and what follows it. False: none, or beyond int64. */
static bool read_integer(const char *text, const char **end, int64_t *number)
{
    const char *digits = text + (*text == '-' || *text == '+');
    if (*digits < '0' || *digits > '9')
        return false;
    char *behind;
    errno = 0;
    *number = strtoll(text, &behind, 10);
    *end = behind;
    return errno == 0;
}

static kivi_status read_int(const kivi_option_info *info, const char *text, kvi_option_value *value,
                            kivi_error **error)
{
    const char *end;
    if (!read_integer(text, &end, &value->number) || *end)
        return refuse(info, text, "a whole number", error);
    return check_range(info, text, value->number, error);
}

static kivi_status read_size(const kivi_option_info *info, const char *text,
                             kvi_option_value *value, kivi_error **error)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    const char *end;
    int64_t number;
    if (!read_integer(text, &end, &number) || number < 0)
        return refuse(info, text, "bytes: a whole number, or one followed by KiB, MiB, GiB or TiB", error);
    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(end, units[i]))
            continue;
        if (number > INT64_MAX >> (10 * i))
            return refuse(info, text, "a size below 8 EiB", error);
        value->number = number << (10 * i);
        return check_range(info, text, value->number, error);
    }
    return refuse(info, text, "bytes: a whole number, or one followed by KiB, MiB, GiB or TiB", error);
}

/* Digits with at most one point, whatever the locale, and what follows them. False: no number. */
static bool read_decimal(const char *text, const char **end, double *number)
{
    double sum = 0, scale = 1;
    size_t digits = 0;
    const char *at = text + (*text == '-' || *text == '+');
    for (; *at >= '0' && *at <= '9'; at++, digits++)
        sum = sum * 10 + (*at - '0');
    if (*at == '.') {
        for (at++; *at >= '0' && *at <= '9'; at++, digits++) {
            if (scale > 1e15) /* finer than an option needs, and than the division keeps exact */
                continue;
            sum = sum * 10 + (*at - '0');
            scale *= 10;
        }
    }
    *number = *text == '-' ? -(sum / scale) : sum / scale;
    *end = at;
    return digits > 0 && sum < 1e300;
}

static kivi_status read_float(const kivi_option_info *info, const char *text,
                              kvi_option_value *value, kivi_error **error)
{
    const char *end;
    if (!read_decimal(text, &end, &value->real) || *end)
        return refuse(info, text, "a number such as 0.25", error);
    if (has_range(info) && (value->real < (double)info->min || value->real > (double)info->max))
        return refuse_range(info, text, error);
    return KIVI_OK;
}

/* Milliseconds of a unit's name; 0: no such unit. */
static double unit_ms(const char *unit)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (!strcmp(unit, units[i].name))
            return units[i].ms;
    return 0;
}

static kivi_status read_duration(const kivi_option_info *info, const char *text,
                                 kvi_option_value *value, kivi_error **error)
{
    static const char fits[] = "a time: seconds such as 2.5, or a number followed by ms, s, m or h";
    const char *end;
    double number;
    if (!read_decimal(text, &end, &number) || number < 0 || unit_ms(end) <= 0)
        return refuse(info, text, fits, error);
    double ms = number * unit_ms(end) + 0.5;
    if (ms >= 9e18)
        return refuse(info, text, fits, error);
    value->number = (int64_t)ms;
    if (!value->number && number > 0)
        value->number = 1; /* 0 can mean something else altogether */
    return check_range(info, text, value->number, error);
}

static kivi_status read_milliseconds(const kivi_option_info *info, const char *text,
                                     kvi_option_value *value, kivi_error **error)
{
    const char *end;
    if (!read_integer(text, &end, &value->number) || *end || value->number < 0)
        return refuse(info, text, "milliseconds, not below 0", error);
    return check_range(info, text, value->number, error);
}

static kivi_status read_choice(const kivi_option_info *info, const char *text, kivi_error **error)
{
    if (kvi_words_have(info->choices, text))
        return KIVI_OK;
    char place[SHOWN + 8];
    return kvi_fail(error, KIVI_INVALID, "option \"%s\": %s does not fit: it takes one of: %s",
                    info->name, shown(info, text, place), info->choices);
}

kivi_status kvi_option_read(const kivi_option_info *info, const char *text, kvi_given given,
                            kvi_option_value *value, kivi_error **error)
{
    *value = (kvi_option_value){0, 0};
    if (given == KVI_GIVEN_BARE && info->type != KIVI_OPTION_BOOL)
        return kvi_fail(error, KIVI_INVALID, "option \"%s\" needs a value: write %s=...",
                        info->name, info->name);
    switch (info->type) {
    case KIVI_OPTION_STRING:
        return KIVI_OK;
    case KIVI_OPTION_BOOL:
        return read_bool(info, text, value, error);
    case KIVI_OPTION_INT:
        return read_int(info, text, value, error);
    case KIVI_OPTION_SIZE:
        return read_size(info, text, value, error);
    case KIVI_OPTION_DURATION:
        return given == KVI_GIVEN_NUMBER ? read_milliseconds(info, text, value, error)
                                         : read_duration(info, text, value, error);
    case KIVI_OPTION_CHOICE:
        return read_choice(info, text, error);
    case KIVI_OPTION_FLOAT:
        return read_float(info, text, value, error);
    }
    return kvi_fail(error, KIVI_INTERNAL, "option \"%s\" has no type that is known here", info->name);
}
