/* The lines that servers answer: codes with flags of the meta protocol, and words. */
#include "memcached.h"

bool kvi_mc_begins(kivi_slice text, const char *with)
{
    size_t size = strlen(with);

    return text.size >= size && memcmp(text.data, with, size) == 0;
}

bool kvi_mc_digits(const char **at, const char *end, uint64_t *number)
{
    const char *begin = *at;

    *number = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (*number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return *at > begin;
}

/* ---- Codes and flags ---- */

/* A flag is a letter, and what belongs to it up to the next space; those that were not asked for are passed over. */
static bool read_flag(mc_line *line, const char **at, const char *end)
{
    char flag = *(*at)++;
    uint64_t number = 0;
    bool minus = flag == 't' && *at < end && **at == '-';

    if (flag != 'c' && flag != 't' && flag != 'f') {
        while (*at < end && **at != ' ')
            (*at)++;
        return true;
    }
    *at += minus;
    if (!kvi_mc_digits(at, end, &number) || (*at < end && **at != ' ') ||
        number > (flag == 'c'   ? UINT64_MAX
                  : flag == 't' ? INT32_MAX
                                : UINT32_MAX))
        return false;
    if (flag == 'c') {
        line->has_cas = true;
        line->cas = number;
    } else if (flag == 't') {
        line->has_left = true;
        line->left = minus ? -1 : (int64_t)number;
    } else {
        line->has_flags = true;
        line->flags = (uint32_t)number;
    }
    return true;
}

static bool is_code(const char *text)
{
    static const char codes[][3] = {"HD", "VA", "EN", "NS", "EX", "NF"};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (text[0] == codes[i][0] && text[1] == codes[i][1])
            return true;
    return false;
}

static bool are_words(kivi_slice text)
{
    return kvi_mc_begins(text, "SERVER_ERROR") || kvi_mc_begins(text, "CLIENT_ERROR") ||
           kvi_mc_begins(text, "ERROR");
}

bool kvi_mc_line_read(mc_line *line, kivi_slice text)
{
    const char *at = text.data, *end = at + text.size;

    *line = (mc_line){.text = text, .left = -1};
    if (text.size < 2 || !is_code(at) || (text.size > 2 && at[2] != ' '))
        return are_words(text);
    memcpy(line->code, at, 2);
    at += 2;
    if (line_is(line, "VA") &&
        (at++ >= end || !kvi_mc_digits(&at, end, &line->size) || line->size > INT32_MAX))
        return false;
    while (at < end) {
        if (*at++ != ' ')
            return false;
        if (at < end && *at != ' ' && !read_flag(line, &at, end))
            return false;
    }
    return true;
}

/* ---- Words ---- */

kivi_status kvi_mc_refusal(kivi_slice text, kivi_error **error)
{
    static const struct {
        const char *begin;
        kivi_status status;
        const char *words;
    } rows[] = {
        {"SERVER_ERROR object too large", KIVI_TOO_LARGE, "the item is larger than the server takes (-I)"},
        {"SERVER_ERROR out of memory", KIVI_IO, "the server is out of memory"},
        {"CLIENT_ERROR unauth", KIVI_DENIED, "the server wants a login"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!kvi_mc_begins(text, rows[i].begin))
            continue;
        *error = kvi_mc_host->error(rows[i].status, 0, KIVI_RETRY_NO, "%s", rows[i].words);
        return rows[i].status;
    }
    *error = kvi_mc_host->error(KIVI_INTERNAL, 0, KIVI_RETRY_NO, "the server refused the command");
    return KIVI_INTERNAL;
}
