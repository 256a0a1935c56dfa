/* Numbers and times as words of the command line. */
#include "cli.h"

bool cli_parse_seconds(const char *text, int64_t *ms)
{
    int64_t whole = 0;
    int scale = 100;
    bool digits = false, more = false;

    for (; *text >= '0' && *text <= '9'; text++, digits = true) {
        whole = whole * 10 + (*text - '0');
        if (whole > KIVI_TTL_MAX / 1000)
            return false;
    }
    *ms = whole * 1000;
    if (*text == '.')
        for (text++; *text >= '0' && *text <= '9'; text++, digits = true) {
            *ms += (*text - '0') * scale;
            more |= !scale && *text != '0';
            scale /= 10;
        }
    /* A key may go late, never early: what is finer than a millisecond counts as a whole one. */
    *ms += more;
    return digits && !*text && *ms >= 1 && *ms <= KIVI_TTL_MAX;
}

bool cli_parse_int(const char *text, int64_t *value)
{
    bool negative = *text == '-';
    uint64_t limit = (uint64_t)INT64_MAX + negative;
    uint64_t number = 0;

    text += negative || *text == '+';
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit = (unsigned)(*text - '0');

        if (digit > 9 || number > (limit - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *value = (int64_t)(negative ? UINT64_C(0) - number : number);
    return true;
}

bool cli_parse_count(const char *text, uint64_t *value)
{
    int64_t number;

    if (!cli_parse_int(text, &number) || number < 1)
        return false;
    *value = (uint64_t)number;
    return true;
}
