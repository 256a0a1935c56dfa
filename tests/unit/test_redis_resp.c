/* The reader of RESP: tokens from bytes cut anywhere, and what is no RESP. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../libkivi/backends/redis/resp.h"

TestSuite(redis_resp);

/* Tokens as text: S status, E error, I integer, B string, N nil, A array, O other; depth in front; '.' ends a reply. */
static void show_token(const kvi_resp_token *token, char *text, size_t room)
{
    static const char letters[] = "?SEIBNAO";
    size_t used = strlen(text);

    snprintf(text + used, room - used, "%u%c", token->depth, letters[token->kind]);
    used = strlen(text);
    if (token->kind == KVI_RESP_INTEGER || token->kind == KVI_RESP_ARRAY)
        snprintf(text + used, room - used, "%lld", (long long)token->integer);
    else if (token->bytes.size)
        snprintf(text + used, room - used, "%.*s", (int)token->bytes.size,
                 (const char *)token->bytes.data);
    used = strlen(text);
    snprintf(text + used, room - used, token->last ? ". " : " ");
}

/* Reads `size` bytes that come `step` at a time, from memory of exactly that size. */
static kivi_status read_all(const char *bytes, size_t size, size_t step, char *text, size_t room)
{
    kvi_resp resp = {0};
    size_t begin = 0, end = 0;
    kivi_status status = KIVI_PENDING;

    text[0] = '\0';
    while (status == KIVI_OK || (status == KIVI_PENDING && end < size)) {
        if (status == KIVI_PENDING)
            end = end + step < size ? end + step : size;
        size_t used = 0, come = end - begin;
        uint8_t *copy = malloc(come ? come : 1);
        kvi_resp_token token;
        memcpy(copy, bytes + begin, come);
        status = kvi_resp_next(&resp, copy, come, &used, &token);
        cr_assert_leq(used, come);
        if (status == KIVI_OK)
            show_token(&token, text, room);
        begin += used;
        free(copy);
    }
    if (status == KIVI_PENDING && begin == size && kvi_resp_is_idle(&resp))
        return KIVI_OK;
    return status;
}

static void expect_tokens(const char *bytes, const char *wanted)
{
    char text[512];

    for (size_t step = 1; step <= strlen(bytes); step++) {
        cr_assert_eq(read_all(bytes, strlen(bytes), step, text, sizeof(text)), KIVI_OK, "%s by %zu",
                     bytes, step);
        cr_assert_str_eq(text, wanted, "%s by %zu: %s", bytes, step, text);
    }
}

Test(redis_resp, values)
{
    expect_tokens("+OK\r\n", "0SOK. ");
    expect_tokens("+\r\n", "0S. ");
    expect_tokens("-ERR no\r\n", "0EERR no. ");
    expect_tokens(":0\r\n:-1\r\n:9223372036854775807\r\n", "0I0. 0I-1. 0I9223372036854775807. ");
    expect_tokens(":-9223372036854775808\r\n", "0I-9223372036854775808. ");
    expect_tokens("$5\r\na\r\nb!\r\n", "0Ba\r\nb!. ");
    expect_tokens("$0\r\n\r\n", "0B. ");
    expect_tokens("$-1\r\n", "0N. ");
    expect_tokens("*-1\r\n", "0N. ");
    expect_tokens("*0\r\n", "0A0. ");
    expect_tokens("*2\r\n$1\r\na\r\n$-1\r\n", "0A2 1Ba 1N. ");
    expect_tokens("*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n+next\r\n",
                  "0A2 1B0 1A2 2Ba 2Bb. 0Snext. ");
    expect_tokens("*2\r\n*0\r\n*0\r\n", "0A2 1A0 1A0. ");
}

Test(redis_resp, values_of_version_3)
{
    expect_tokens("_\r\n", "0N. ");
    expect_tokens("%1\r\n+a\r\n:1\r\n", "0A2 1Sa 1I1. ");
    expect_tokens("~2\r\n:1\r\n:2\r\n", "0A2 1I1 1I2. ");
    expect_tokens("#t\r\n", "0Ot. ");
    expect_tokens(",1.5\r\n", "0O1.5. ");
    expect_tokens("(123456789012345678901234567890\r\n", "0O123456789012345678901234567890. ");
    expect_tokens("=8\r\ntxt:some\r\n", "0Bsome. ");
    expect_tokens("!3\r\nERR\r\n", "0EERR. ");
}

/* What nobody asked for is left out, wherever it may stand. */
Test(redis_resp, pushes_and_attributes)
{
    expect_tokens(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n+OK\r\n", "0SOK. ");
    expect_tokens(">0\r\n+OK\r\n", "0SOK. ");
    expect_tokens(">2\r\n*0\r\n*2\r\n*1\r\n:1\r\n:2\r\n:7\r\n", "0I7. ");
    expect_tokens("|1\r\n+ttl\r\n:3600\r\n$1\r\na\r\n", "0Ba. ");
    expect_tokens("*2\r\n|1\r\n+k\r\n*1\r\n:1\r\n:5\r\n|0\r\n:6\r\n", "0A2 1I5 1I6. ");
    expect_tokens(">1\r\n|1\r\n+k\r\n+v\r\n:1\r\n:2\r\n", "0I2. ");
}

static void expect_corrupt(const char *bytes, size_t size)
{
    char text[1024];

    for (size_t step = 1; step <= size; step += step < 64 ? 1 : size / 2)
        cr_assert_eq(read_all(bytes, size, step, text, sizeof(text)), KIVI_CORRUPT, "%.40s by %zu",
                     bytes, step);
}

Test(redis_resp, no_resp)
{
    static const char *const cases[] = {
        "HTTP/1.1 400 Bad Request\r\n",
        "OK\r\n",
        "\r\n",
        "+a\rb\r\n",
        ":\r\n",
        ":-\r\n",
        ":+1\r\n",
        ": 1\r\n",
        ":1.0\r\n",
        ":-0\r\n",
        ":007\r\n",
        "$00\r\n\r\n",
        ":9223372036854775808\r\n",
        ":-9223372036854775809\r\n",
        ":99999999999999999999999999999999999999999999\r\n",
        "$-2\r\n",
        "$x\r\n",
        "$536870913\r\n",
        "$99999999999999999999\r\n",
        "$2\r\nabc\r\n",
        "$2\r\nab\r\r",
        "$?\r\n",
        "*?\r\n",
        "*-2\r\n",
        "*16777217\r\n",
        "%-1\r\n",
        "~-1\r\n",
        "=-1\r\n",
        "=3\r\ntxt\r\n",
        "!-1\r\n",
        "_x\r\n",
        "*1\r\n>1\r\n:1\r\n",
        ">1\r\n>1\r\n:1\r\n",
        ">1\r\n$1048577\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_corrupt(cases[i], strlen(cases[i]));
}

/* Lines without an end are not collected for ever. */
Test(redis_resp, endless)
{
    size_t size = KVI_RESP_LINE + 2;
    char *bytes = malloc(size);

    memset(bytes, '1', size);
    for (const char *type = "+-:$*%=!~>,(_#"; *type; type++) {
        bytes[0] = *type;
        expect_corrupt(bytes, size);
    }
    free(bytes);
}

/* A long string says how much of it will be wanted together. */
Test(redis_resp, tells_what_it_needs)
{
    kvi_resp resp = {0};
    kvi_resp_token token;
    size_t used;

    cr_assert_eq(kvi_resp_next(&resp, (const uint8_t *)"$100000\r\nab", 11, &used, &token), KIVI_PENDING);
    cr_assert_eq(resp.need, 9 + 100000 + 2);
    cr_assert_eq(used, 0);
    cr_assert_eq(kvi_resp_next(&resp, (const uint8_t *)"$1", 2, &used, &token), KIVI_PENDING);
    cr_assert_eq(resp.need, 0);
}
