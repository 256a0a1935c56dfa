/* Tokens out of RESP. */
#include "resp.h"

#define NUMBER_LINE 32 /* longest line with a number: sign, digits, "\r\n" */

/* A line behind its type byte; `size` without the "\r\n". */
typedef struct resp_line {
    const uint8_t *data;
    size_t size;
} resp_line;

static kivi_status read_line(const uint8_t *data, size_t size, size_t most, resp_line *line)
{
    size_t seen = size < most ? size : most;
    const uint8_t *end = seen > 1 ? memchr(data + 1, '\r', seen - 1) : NULL;

    if (!end)
        return size < most ? KIVI_PENDING : KIVI_CORRUPT;
    line->data = data + 1;
    line->size = (size_t)(end - line->data);
    if ((size_t)(end - data) + 1 >= size)
        return KIVI_PENDING;
    return end[1] == '\n' ? KIVI_OK : KIVI_CORRUPT;
}

/* Decimal digits as a server writes them: a minus where negative, no leading zero, nothing else. */
static bool read_number(resp_line line, int64_t *number)
{
    bool negative = line.size && line.data[0] == '-';
    size_t i = negative ? 1 : 0;
    int64_t value = 0;

    if (i == line.size || (line.data[i] == '0' && line.size > 1))
        return false;
    for (; i < line.size; i++) {
        int64_t digit = line.data[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return false;
    }
    if (!negative && value == INT64_MIN)
        return false;
    *number = negative ? value : -value;
    return true;
}

/* ---- Nesting ---- */

/* A value begins, in the array around it. */
static void count_in(kvi_resp *resp)
{
    if (resp->depth)
        resp->left[resp->depth - 1]--;
}

/* A value has ended, and with it the arrays that it was the last of. */
static void close_finished(kvi_resp *resp)
{
    while (resp->depth && resp->left[resp->depth - 1] == 0)
        resp->depth--;
}

static kivi_status open_array(kvi_resp *resp, uint64_t members)
{
    if (resp->depth == KVI_RESP_DEPTH)
        return KIVI_CORRUPT;
    resp->left[resp->depth++] = members;
    return KIVI_OK;
}

/* ---- One token ---- */

static kivi_status read_string(kvi_resp *resp, const uint8_t *data, size_t size, size_t *used,
                               kvi_resp_token *token)
{
    uint64_t most = resp->skip ? KVI_RESP_SKIPPED : KVI_RESP_BULK;
    resp_line line;
    int64_t length = 0;
    size_t head;
    kivi_status status = read_line(data, size, NUMBER_LINE, &line);

    if (status)
        return status;
    if (!read_number(line, &length) || length < -1 || length > (int64_t)most)
        return KIVI_CORRUPT;
    head = line.size + 3;
    *used = head;
    if (length == -1) {
        if (data[0] != '$')
            return KIVI_CORRUPT;
        token->kind = KVI_RESP_NIL;
        return KIVI_OK;
    }
    if (size - head < (size_t)length + 2) {
        resp->need = head + (size_t)length + 2;
        return KIVI_PENDING;
    }
    if (data[head + (size_t)length] != '\r' || data[head + (size_t)length + 1] != '\n')
        return KIVI_CORRUPT;
    token->kind = data[0] == '!' ? KVI_RESP_ERROR : KVI_RESP_STRING;
    token->bytes = kivi_bytes(data + head, (size_t)length);
    *used = head + (size_t)length + 2;
    if (data[0] != '=')
        return KIVI_OK;
    if (length < 4) /* "txt:" comes first */
        return KIVI_CORRUPT;
    token->bytes = kivi_bytes(data + head + 4, (size_t)length - 4);
    return KIVI_OK;
}

static kivi_status read_array(const uint8_t *data, size_t size, size_t *used, kvi_resp_token *token)
{
    resp_line line;
    int64_t members = 0;
    kivi_status status = read_line(data, size, NUMBER_LINE, &line);

    if (status)
        return status;
    if (!read_number(line, &members) || members < -1 || members > (int64_t)KVI_RESP_COUNT)
        return KIVI_CORRUPT;
    *used = line.size + 3;
    if (members == -1) {
        token->kind = KVI_RESP_NIL;
        return data[0] == '*' ? KIVI_OK : KIVI_CORRUPT;
    }
    token->kind = KVI_RESP_ARRAY;
    token->integer = data[0] == '%' || data[0] == '|' ? 2 * members : members;
    return KIVI_OK;
}

static kivi_status read_text(kvi_resp_kind kind, const uint8_t *data, size_t size, size_t *used,
                             kvi_resp_token *token)
{
    resp_line line;
    kivi_status status = read_line(data, size, KVI_RESP_LINE, &line);

    if (status)
        return status;
    token->kind = kind;
    token->bytes = kivi_bytes(line.data, line.size);
    *used = line.size + 3;
    return KIVI_OK;
}

static kivi_status read_integer(const uint8_t *data, size_t size, size_t *used, kvi_resp_token *token)
{
    resp_line line;
    kivi_status status = read_line(data, size, NUMBER_LINE, &line);

    if (status)
        return status;
    token->kind = KVI_RESP_INTEGER;
    *used = line.size + 3;
    return read_number(line, &token->integer) ? KIVI_OK : KIVI_CORRUPT;
}

static kivi_status read_null(const uint8_t *data, size_t size, size_t *used, kvi_resp_token *token)
{
    resp_line line;
    kivi_status status = read_line(data, size, NUMBER_LINE, &line);

    if (status)
        return status;
    token->kind = KVI_RESP_NIL;
    *used = 3;
    return line.size == 0 ? KIVI_OK : KIVI_CORRUPT;
}

static kivi_status read_token(kvi_resp *resp, const uint8_t *data, size_t size, size_t *used,
                              kvi_resp_token *token)
{
    switch (data[0]) {
    case '$':
    case '=':
    case '!':
        return read_string(resp, data, size, used, token);
    case '*':
    case '~':
    case '%':
    case '|':
    case '>':
        return read_array(data, size, used, token);
    case ':':
        return read_integer(data, size, used, token);
    case '+':
        return read_text(KVI_RESP_STATUS, data, size, used, token);
    case '-':
        return read_text(KVI_RESP_ERROR, data, size, used, token);
    case '_':
        return read_null(data, size, used, token);
    case '#':
    case ',':
    case '(':
        return read_text(KVI_RESP_OTHER, data, size, used, token);
    default:
        return KIVI_CORRUPT;
    }
}

/*
 * Takes a token into account. Pushes and attributes, with all that is in them, are nobody's answer: a push
 * stands between replies, an attribute before any value, without counting as one.
 */
static kivi_status place_token(kvi_resp *resp, uint8_t type, kvi_resp_token *token, bool *skipped)
{
    bool aside = type == '>' || type == '|';
    kivi_status status = KIVI_OK;

    if (type == '>' && (resp->depth || resp->skip))
        return KIVI_CORRUPT;
    if (!aside)
        count_in(resp);
    token->depth = resp->depth;
    if (aside && !resp->skip)
        resp->skip = resp->depth + 1;
    if (token->kind == KVI_RESP_ARRAY && token->integer)
        status = open_array(resp, (uint64_t)token->integer);
    else if (!aside)
        close_finished(resp);
    *skipped = resp->skip != 0;
    if (resp->skip && resp->depth < resp->skip)
        resp->skip = 0;
    token->last = resp->depth == 0;
    return status;
}

kivi_status kvi_resp_next(kvi_resp *resp, const uint8_t *data, size_t size, size_t *used,
                          kvi_resp_token *token)
{
    size_t passed = 0;

    for (;;) {
        size_t taken = 0;
        bool skipped = false;
        kivi_status status;
        resp->need = 0;
        *used = passed;
        if (passed == size)
            return KIVI_PENDING;
        *token = (kvi_resp_token){0};
        status = read_token(resp, data + passed, size - passed, &taken, token);
        if (status == KIVI_OK)
            status = place_token(resp, data[passed], token, &skipped);
        if (status)
            return status;
        passed += taken;
        *used = passed;
        if (!skipped)
            return KIVI_OK;
    }
}
