/*
 * Fuzzes the reader of RESP: whatever portions bytes come in, the tokens are the same, and none lies outside.
 * What it reads of RESP2 is what hiredis' redisReader reads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/read.h>

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

/* ---- Beside hiredis ---- */

#define REPLIES 64      /* at most so many of an input are compared */
#define PEER_NESTING 7u /* hiredis 0.14 reads no deeper */

/* What a reader says of the replies at the beginning of an input. */
typedef struct replies {
    uint64_t print[REPLIES]; /* of all that is in a reply */
    size_t count;            /* of the whole ones */
    bool failed;             /* behind them lies what it refuses */
    bool foreign;            /* behind them lies what the other reader cannot know */
} replies;

static reading peer;   /* the reply that hiredis is reading */
static char peer_made; /* what its functions make: NULL would mean no memory */

static uint32_t depth_of(const redisReadTask *task)
{
    uint32_t depth = 0;
    for (; task->parent; task = task->parent)
        depth++;
    return depth;
}

static void mix_value(reading *r, kvi_resp_kind kind, uint32_t depth, int64_t integer, kivi_slice bytes)
{
    const uint8_t *data = bytes.data;
    mix(r, (uint64_t)kind << 32 | depth);
    mix(r, (uint64_t)integer);
    for (size_t i = 0; i < bytes.size; i++)
        mix(r, data[i]);
}

static void *peer_string(const redisReadTask *task, char *text, size_t size)
{
    kvi_resp_kind kind = task->type == REDIS_REPLY_STATUS  ? KVI_RESP_STATUS
                         : task->type == REDIS_REPLY_ERROR ? KVI_RESP_ERROR
                                                           : KVI_RESP_STRING;
    mix_value(&peer, kind, depth_of(task), 0, kivi_bytes(text, size));
    return &peer_made;
}

static void *peer_array(const redisReadTask *task, int members)
{
    mix_value(&peer, KVI_RESP_ARRAY, depth_of(task), members, kivi_bytes(NULL, 0));
    return &peer_made;
}

static void *peer_integer(const redisReadTask *task, long long number)
{
    mix_value(&peer, KVI_RESP_INTEGER, depth_of(task), number, kivi_bytes(NULL, 0));
    return &peer_made;
}

static void *peer_nil(const redisReadTask *task)
{
    mix_value(&peer, KVI_RESP_NIL, depth_of(task), 0, kivi_bytes(NULL, 0));
    return &peer_made;
}

static void peer_free(void *made)
{
    (void)made;
}

static replies read_as_hiredis(const uint8_t *data, size_t size)
{
    static redisReplyObjectFunctions functions = {peer_string, peer_array, peer_integer, peer_nil,
                                                  peer_free};
    replies all = {0};
    redisReader *reader = redisReaderCreateWithFunctions(&functions);
    require(reader && redisReaderFeed(reader, (const char *)data, size) == REDIS_OK,
            "hiredis takes no bytes");
    while (all.count < REPLIES) {
        void *reply = NULL;
        peer = (reading){0};
        all.failed = redisReaderGetReply(reader, &reply) != REDIS_OK;
        if (all.failed || !reply)
            break;
        all.print[all.count++] = peer.print;
    }
    redisReaderFree(reader);
    return all;
}

static replies read_as_we(const uint8_t *data, size_t size)
{
    replies all = {0};
    kvi_resp resp = {0};
    reading reply = {0};
    size_t at = 0;

    while (all.count < REPLIES && at < size) {
        size_t used = 0;
        kvi_resp_token token;
        all.foreign = !strchr("+-:$*", data[at]) || resp.depth >= PEER_NESTING;
        if (all.foreign)
            break;
        kivi_status status = kvi_resp_next(&resp, data + at, size - at, &used, &token);
        all.failed = status == KIVI_CORRUPT;
        if (status)
            break;
        at += used;
        mix_value(&reply, token.kind, token.depth, token.integer, token.bytes);
        if (!token.last)
            continue;
        all.print[all.count++] = reply.print;
        reply = (reading){0};
    }
    return all;
}

/* We refuse more than hiredis does (lengths and lines beyond limits); what we read, it reads as the same. */
static void compare_with_hiredis(const uint8_t *data, size_t size)
{
    replies ours = read_as_we(data, size), theirs = read_as_hiredis(data, size);
    require(theirs.count >= ours.count, "hiredis reads less");
    for (size_t i = 0; i < ours.count; i++)
        require(ours.print[i] == theirs.print[i], "hiredis reads another reply");
    require(ours.failed || ours.foreign || ours.count == theirs.count, "hiredis reads more");
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
    compare_with_hiredis(data, size);
    return 0;
}
