/* Fuzzes the reader of RESP: whatever portions bytes come in, the tokens are the same, and none lies outside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../libkivi/backends/redis/resp.c"

typedef struct reading {
    uint64_t print; /* of all tokens */
    size_t tokens;
    kivi_status status; /* CORRUPT, or PENDING at the end */
    bool idle;
} reading;

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz_resp: %s\n", what);
    abort();
}

static void mix(reading *r, uint64_t number)
{
    r->print = (r->print ^ number) * UINT64_C(0x9E3779B97F4A7C15);
    r->print ^= r->print >> 29;
}

static void take(reading *r, const kvi_resp_token *token, const uint8_t *data, size_t size)
{
    const uint8_t *bytes = token->bytes.data;

    require(token->depth < KVI_RESP_DEPTH + 1, "a token lies too deep");
    if (token->bytes.size)
        require(bytes >= data && bytes + token->bytes.size <= data + size,
                "a token's bytes lie outside");
    mix(r, (uint64_t)token->kind << 32 | token->depth << 1 | token->last);
    mix(r, (uint64_t)token->integer);
    for (size_t i = 0; i < token->bytes.size; i++)
        mix(r, bytes[i]);
    r->tokens++;
}

/* Reads bytes that come in portions of sizes drawn from `seed`; 0: all at once. */
static reading read_all(const uint8_t *data, size_t size, uint64_t seed)
{
    reading r = {.status = KIVI_PENDING};
    kvi_resp resp = {0};
    size_t begin = 0, end = 0;

    for (;;) {
        size_t used = 0;
        kvi_resp_token token;
        if (r.status == KIVI_PENDING) {
            if (end == size)
                break;
            size_t step = seed ? 1 + (seed >> 60) : size;
            seed *= UINT64_C(6364136223846793005);
            end = size - end < step ? size : end + step;
        }
        uint8_t *copy = malloc(end - begin + 1); /* of its own, so that reading beyond is seen */
        memcpy(copy, data + begin, end - begin);
        r.status = kvi_resp_next(&resp, copy, end - begin, &used, &token);
        require(used <= end - begin, "more was used than there is");
        if (r.status == KIVI_OK)
            take(&r, &token, copy, end - begin);
        free(copy);
        begin += used;
        if (r.status == KIVI_CORRUPT)
            break;
    }
    r.idle = kvi_resp_is_idle(&resp);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    reading whole = read_all(data, size, 0);
    reading parts = read_all(data, size, (UINT64_C(0x9E3779B97F4A7C15) ^ size << 1) | 1);
    require(whole.status == parts.status, "portions change the outcome");
    require(whole.tokens == parts.tokens && whole.print == parts.print,
            "portions change the tokens");
    require(whole.status == KIVI_CORRUPT || whole.idle == parts.idle,
            "portions change where it stands");
    return 0;
}
