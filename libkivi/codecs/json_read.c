/* JSON (RFC 8259, strictly): bytes to tokens. */
#include "codec.h"

/*
 * What the bytes at reader->at must be. Separators are read with the token before them, so that the reader's offset is
 * where the next token begins; a fault found there is told by the next call.
 */
enum { EXPECT_VALUE, EXPECT_KEY, EXPECT_CLOSE, EXPECT_NOTHING };

static kivi_status corrupt(kivi_reader *reader, const char *reason)
{
    return kvi_reader_fail(reader, KIVI_CORRUPT, reason);
}

static inline void skip_space(kivi_reader *reader)
{
    while (reader->at < reader->end &&
           (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\t' || *reader->at == '\r'))
        reader->at++;
}

static inline bool in_map(const kivi_reader *reader)
{
    return reader->stack[reader->depth - 1];
}

/* Reads what follows a complete value. */
static void after_value(kivi_reader *reader)
{
    skip_space(reader);
    if (!reader->depth) {
        reader->expect = EXPECT_NOTHING;
        if (reader->at != reader->end)
            corrupt(reader, "bytes after the value");
        return;
    }
    if (reader->at == reader->end) {
        corrupt(reader, "cut off");
        return;
    }
    bool map = in_map(reader);
    if (*reader->at == ',') {
        reader->at++;
        skip_space(reader);
        reader->expect = map ? EXPECT_KEY : EXPECT_VALUE;
    } else if (*reader->at == (map ? '}' : ']')) {
        reader->expect = EXPECT_CLOSE;
    } else {
        corrupt(reader, map ? "a comma or } is missing" : "a comma or ] is missing");
    }
}

static void after_key(kivi_reader *reader)
{
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != ':') {
        corrupt(reader, reader->at == reader->end ? "cut off" : "a colon is missing");
        return;
    }
    reader->at++;
    skip_space(reader);
    reader->expect = EXPECT_VALUE;
}

static kivi_status open_container(kivi_reader *reader, kivi_token *token, bool map)
{
    kivi_status status = kvi_reader_push(reader, map);
    if (status)
        return status;
    token->type = map ? KIVI_TOKEN_MAP : KIVI_TOKEN_ARRAY;
    token->as.count = KIVI_COUNT_UNKNOWN;
    reader->at++;
    skip_space(reader);
    if (reader->at < reader->end && *reader->at == (map ? '}' : ']'))
        reader->expect = EXPECT_CLOSE;
    else
        reader->expect = map ? EXPECT_KEY : EXPECT_VALUE;
    return KIVI_OK;
}

static kivi_status close_container(kivi_reader *reader, kivi_token *token)
{
    reader->at++;
    reader->depth--;
    token->type = KIVI_TOKEN_END;
    token->depth = reader->depth;
    after_value(reader);
    return KIVI_OK;
}

/* ---- strings ---- */

/* True while none of eight bytes is a quote, a backslash or a control character. */
static inline bool is_ordinary(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
    uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
    uint64_t found = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
                     ((word - ones * 0x20) & ~word);
    return !(found & high);
}

/* The closing quote of a string whose text begins at `at`, or NULL after a failure. */
static const uint8_t *find_quote(kivi_reader *reader, const uint8_t *at, bool *escaped)
{
    uint64_t word;
    while (at < reader->end) {
        while ((size_t)(reader->end - at) >= sizeof(word)) {
            memcpy(&word, at, sizeof(word));
            if (!is_ordinary(word))
                break;
            at += sizeof(word);
        }
        if (at == reader->end)
            break;
        if (*at == '"')
            return at;
        if (*at < 0x20) {
            reader->at = at;
            corrupt(reader, "a control character in text");
            return NULL;
        }
        if (*at == '\\') {
            *escaped = true;
            if (++at == reader->end)
                break;
        }
        at++;
    }
    corrupt(reader, "cut off");
    return NULL;
}

/* Four hex digits, or -1. */
static int32_t read_hex(const uint8_t *at, const uint8_t *end)
{
    int32_t value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i], letter = c | 0x20;
        if (c >= '0' && c <= '9')
            value = value << 4 | (c - '0');
        else if (letter >= 'a' && letter <= 'f')
            value = value << 4 | (letter - 'a' + 10);
        else
            return -1;
    }
    return value;
}

static uint8_t *put_utf8(uint8_t *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (uint8_t)code;
        return to;
    }
    if (code < 0x800) {
        *to++ = (uint8_t)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *to++ = (uint8_t)(0xe0 | code >> 12);
        } else {
            *to++ = (uint8_t)(0xf0 | code >> 18);
            *to++ = (uint8_t)(0x80 | (code >> 12 & 0x3f));
        }
        *to++ = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    }
    *to++ = (uint8_t)(0x80 | (code & 0x3f));
    return to;
}

/* \uXXXX, or a pair of them; `at` is after the u. Moves both; a reason when it is none. */
static const char *unescape_code(const uint8_t **at, const uint8_t *end, uint8_t **to)
{
    int32_t code = read_hex(*at, end);
    if (code < 0)
        return "an escape without four hex digits";
    *at += 4;
    if (code >= 0xdc00 && code <= 0xdfff)
        return "half of a surrogate pair";
    if (code >= 0xd800 && code <= 0xdbff) {
        int32_t low = end - *at >= 2 && (*at)[0] == '\\' && (*at)[1] == 'u' ? read_hex(*at + 2, end)
                                                                            : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return "half of a surrogate pair";
        *at += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = put_utf8(*to, (uint32_t)code);
    return NULL;
}

/* What a backslash and this letter stand for, or 0. */
static uint8_t unescape_letter(uint8_t letter)
{
    switch (letter) {
    case '"':
    case '\\':
    case '/':
        return letter;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

/* Text with escapes, into the reader's own buffer: never longer than its source. */
static kivi_status unescape(kivi_reader *reader, const uint8_t *at, const uint8_t *end)
{
    kivi_status status = kivi_buffer_reserve(&reader->text, (size_t)(end - at));
    if (status)
        return kvi_reader_fail(reader, status, "out of memory");
    uint8_t *to = reader->text.data;
    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        uint8_t letter = at[1]; /* there: the closing quote is not escaped */
        const char *reason = NULL;
        at += 2;
        if (letter == 'u')
            reason = unescape_code(&at, end, &to);
        else if (!(*to++ = unescape_letter(letter)))
            reason = "an unknown escape";
        if (reason) {
            reader->at = at - 2;
            return corrupt(reader, reason);
        }
    }
    reader->text.size = (size_t)(to - reader->text.data);
    return KIVI_OK;
}

/* reader->at is the opening quote. */
static kivi_status read_string(kivi_reader *reader, kivi_token *token)
{
    bool escaped = false;
    const uint8_t *at = reader->at + 1;
    const uint8_t *quote = find_quote(reader, at, &escaped);
    if (!quote)
        return reader->status;
    if (!kvi_text_is_utf8(at, (size_t)(quote - at)))
        return corrupt(reader, "text that is not UTF-8");
    token->type = KIVI_TOKEN_STR;
    token->bytes = kivi_bytes(at, (size_t)(quote - at));
    if (escaped) {
        kivi_status status = unescape(reader, at, quote);
        if (status)
            return status;
        token->bytes = kivi_buffer_slice(&reader->text);
    }
    reader->at = quote + 1;
    return KIVI_OK;
}

/* ---- numbers ---- */

static const uint8_t *skip_digits(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* The end of the number at `at`, or NULL if there is none. */
static const uint8_t *scan_number(const uint8_t *at, const uint8_t *end, bool *whole)
{
    const uint8_t *start;
    *whole = true;
    at += *at == '-';
    if (at < end && *at == '0') {
        at++;
    } else {
        start = at;
        at = skip_digits(at, end);
        if (at == start)
            return NULL;
    }
    if (at < end && *at == '.') {
        *whole = false;
        start = ++at;
        at = skip_digits(at, end);
        if (at == start)
            return NULL;
    }
    if (at < end && (*at | 0x20) == 'e') {
        *whole = false;
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        start = at;
        at = skip_digits(at, end);
        if (at == start)
            return NULL;
    }
    return at;
}

/* Digits and perhaps a minus, well-formed. */
static kivi_status read_whole(kivi_reader *reader, kivi_token *token, const uint8_t *at,
                              const uint8_t *end)
{
    bool negative = *at == '-';
    uint64_t value = 0;
    for (at += negative; at < end; at++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return corrupt(reader, "an integer beyond 64 bits");
    }
    if (negative && value > (uint64_t)INT64_MAX + 1)
        return corrupt(reader, "an integer beyond 64 bits");
    if (!negative && value > INT64_MAX) {
        token->type = KIVI_TOKEN_UINT;
        token->as.uinteger = value;
        return KIVI_OK;
    }
    token->type = KIVI_TOKEN_INT;
    token->as.integer = negative ? (int64_t)(0 - value) : (int64_t)value;
    return KIVI_OK;
}

static kivi_status read_number(kivi_reader *reader, kivi_token *token)
{
    bool whole;
    const uint8_t *at = reader->at;
    const uint8_t *end = scan_number(at, reader->end, &whole);
    if (!end)
        return corrupt(reader, "a malformed number");
    if (whole) {
        kivi_status status = read_whole(reader, token, at, end);
        if (status)
            return status;
    } else {
        token->type = KIVI_TOKEN_FLOAT;
        kivi_status status = kvi_double_read(kivi_bytes(at, (size_t)(end - at)), &token->as.real);
        if (status == KIVI_CORRUPT)
            return corrupt(reader, "a number beyond float64");
        if (status)
            return kvi_reader_fail(reader, status, "out of memory");
    }
    reader->at = end;
    return KIVI_OK;
}

/* ---- tokens ---- */

static kivi_status read_word(kivi_reader *reader, const char *word, size_t size)
{
    if (kvi_reader_rest(reader) < size)
        return corrupt(reader, "cut off");
    if (memcmp(reader->at, word, size))
        return corrupt(reader, "an unknown word");
    reader->at += size;
    return KIVI_OK;
}

static kivi_status read_scalar(kivi_reader *reader, kivi_token *token)
{
    switch (*reader->at) {
    case '"':
        return read_string(reader, token);
    case 'n':
        token->type = KIVI_TOKEN_NIL;
        return read_word(reader, "null", 4);
    case 't':
        token->type = KIVI_TOKEN_BOOL;
        token->as.boolean = true;
        return read_word(reader, "true", 4);
    case 'f':
        token->type = KIVI_TOKEN_BOOL;
        token->as.boolean = false;
        return read_word(reader, "false", 5);
    case '-':
    case '0' ... '9':
        return read_number(reader, token);
    default:
        return corrupt(reader, "a value is missing");
    }
}

static kivi_status next(kivi_reader *reader, kivi_token *token)
{
    kivi_status status;
    if (reader->expect == EXPECT_NOTHING)
        return kvi_reader_end(reader);
    if (reader->at == reader->end)
        return corrupt(reader, "cut off");
    if (reader->expect == EXPECT_CLOSE)
        return close_container(reader, token);
    token->depth = reader->depth;
    if (reader->expect == EXPECT_KEY) {
        if (*reader->at != '"')
            return corrupt(reader, "a key in quotes is missing");
        status = read_string(reader, token);
        if (!status)
            after_key(reader);
        return status;
    }
    if (*reader->at == '[' || *reader->at == '{')
        return open_container(reader, token, *reader->at == '{');
    status = read_scalar(reader, token);
    if (!status)
        after_value(reader);
    return status;
}

static void start(kivi_reader *reader)
{
    reader->expect = EXPECT_VALUE;
    skip_space(reader);
}

const kvi_reader_ops kvi_json_reader = {start, next, false};

/* Space may stand around it. "-0" is 0. */
kivi_status kvi_json_integer_read(kivi_slice bytes, int64_t *value)
{
    if (!bytes.size)
        return KIVI_WRONG_TYPE;
    const uint8_t *at = bytes.data;
    kivi_reader reader = {.at = at, .end = at + bytes.size};
    skip_space(&reader);
    at = reader.at;
    bool whole;
    const uint8_t *end = at < reader.end ? scan_number(at, reader.end, &whole) : NULL;
    if (!end || !whole)
        return KIVI_WRONG_TYPE;
    reader.at = end;
    skip_space(&reader);
    if (reader.at != reader.end)
        return KIVI_WRONG_TYPE;
    if (end - at == 2 && !memcmp(at, "-0", 2)) {
        *value = 0;
        return KIVI_OK;
    }
    return kvi_decimal_read(kivi_bytes(at, (size_t)(end - at)), value);
}
