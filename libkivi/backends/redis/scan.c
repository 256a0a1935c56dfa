/* The scan verb: SCAN with the prefix as an escaped pattern, then the values of the page by MGET. */
#include "redis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A page holds the keys of one SCAN that found any, so that no key comes twice in it. SCAN may answer more
 * keys than it was asked for, and a page may have to end anywhere in them: its cursor then names that same
 * SCAN, how many of its keys are done with, and a print of those. Where the SCAN, asked again, does not begin
 * with these very keys, all its keys are delivered once more: a key may repeat, none is lost.
 *
 * A scan must end whatever the server says: a SCAN that answers the cursor it was given never would, and the
 * SCANs that found nothing are counted from page to page, by the cursor.
 */

#define COUNT_MOST 1024      /* keys that one SCAN looks at */
#define COUNT_SEARCHING 8192 /* the same while nothing with the prefix is found */
#define ROUNDS_MOST 32       /* SCANs that found nothing, before an empty page is answered */
#define MGET_MOST 256
#define BARREN_MOST \
    65536 /* SCANs in a row that found nothing: they have looked at 500 million keys */
#define CURSOR_MOST 128

/* ---- Cursors ---- */

static kivi_status bad_cursor(kivi_error **error)
{
    *error = kvi_redis_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "not a cursor of the redis backend");
    return KIVI_INVALID;
}

static kivi_status read_cursor(kivi_slice cursor, redis_position *position, kivi_error **error)
{
    char text[CURSOR_MOST];
    int end = 0;

    *position = (redis_position){0};
    if (cursor.size == 0)
        return KIVI_OK;
    if (cursor.size >= sizeof(text))
        return bad_cursor(error);
    memcpy(text, cursor.data, cursor.size);
    text[cursor.size] = '\0';
    if (sscanf(text, "1 %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNx64 "%n %" SCNu32 "%n",
               &position->cursor, &position->count, &position->skip, &position->print, &end,
               &position->barren, &end) < 4 ||
        (size_t)end != cursor.size || position->count > COUNT_SEARCHING)
        return bad_cursor(error);
    return KIVI_OK;
}

static kivi_status give_cursor(redis_session *session, const redis_position *position)
{
    char text[CURSOR_MOST];
    int size;

    if (session->cluster)
        return kvi_cluster_give_cursor(session, position);
    size = snprintf(text, sizeof(text), "1 %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIx64,
                    position->cursor, position->count, position->skip, position->print);

    if (position->barren)
        size += snprintf(text + size, sizeof(text) - (size_t)size, " %" PRIu32, position->barren);
    return session->job.sink->cursor(session->job.sink, kivi_bytes(text, (size_t)size));
}

/* ---- SCAN ---- */

/* The prefix as a pattern: what the server takes for a wildcard is escaped. Answers its size; `to` may be NULL. */
static size_t write_pattern(kivi_slice prefix, uint8_t *to)
{
    const uint8_t *bytes = prefix.data;
    size_t size = 0;

    for (size_t i = 0; i < prefix.size; i++) {
        bool special = memchr("*?[]\\^-", bytes[i], 7) != NULL;
        if (to && special)
            to[size] = '\\';
        if (to)
            to[size + special] = bytes[i];
        size += 1 + (size_t)special;
    }
    if (to)
        to[size] = '*';
    return size + 1;
}

static bool queue_scan(redis_session *session)
{
    const redis_position *position = &session->page.position;
    kivi_slice prefix = session->job.range->prefix;
    size_t size = prefix.size ? write_pattern(prefix, NULL) : 0;
    uint8_t *at = kvi_redis_begin(session, REPLY_SCAN, 0, 1, prefix.size ? 6 : 4,
                                  6 * KVI_REDIS_ARGUMENT + size);

    if (!at)
        return false;
    at = kvi_redis_put_text(at, "SCAN");
    at = kvi_redis_put_unsigned(at, position->cursor);
    if (prefix.size) {
        at = kvi_redis_put_size(kvi_redis_put_text(at, "MATCH"), size);
        at += write_pattern(prefix, at);
        *at++ = '\r';
        *at++ = '\n';
    }
    at = kvi_redis_put_unsigned(kvi_redis_put_text(at, "COUNT"), position->count);
    kvi_redis_end(session, at);
    return true;
}

/* A little less than the page takes, so that what SCAN answers beyond still fits. */
static uint64_t first_count(const kivi_scan_range *range)
{
    uint64_t count = range->limit - range->limit / 16;

    return count > COUNT_MOST ? COUNT_MOST : count;
}

kivi_status kvi_redis_scan_begin(redis_session *session, kivi_error **error)
{
    redis_page *page = &session->page;
    kivi_status status = KIVI_OK;

    if (session->cluster)
        page->position = kvi_cluster_position(session);
    else
        status = read_cursor(session->job.range->cursor, &page->position, error);
    if (status)
        return status;
    if (!page->position.count)
        page->position.count = first_count(session->job.range);
    page->rounds = 0;
    page->complete = false;
    page->size = page->key_count = page->first = page->last = page->delivered = 0;
    return queue_scan(session) ? KIVI_OK : kvi_redis_no_memory(error);
}

/* ---- Its answer ---- */

static bool is_asked_for(const redis_session *session, kivi_slice key)
{
    kivi_slice prefix = session->job.range->prefix;

    return key.size >= prefix.size && (!prefix.size || !memcmp(key.data, prefix.data, prefix.size));
}

static kivi_status add_key(redis_session *session, kivi_slice key, kivi_error **error)
{
    redis_page *page = &session->page;
    void *bytes = page->bytes, *keys = page->keys;
    bool grown = kvi_net_grow(&bytes, &page->room, page->size + key.size, 1) &&
                 kvi_net_grow(&keys, &page->key_room, page->key_count + 1, sizeof(*page->keys));

    page->bytes = bytes;
    page->keys = keys;
    if (!grown)
        return kvi_redis_no_memory(error);
    if (key.size)
        memcpy(page->bytes + page->size, key.data, key.size);
    page->keys[page->key_count++] = (redis_page_key){
        .at = page->size, .size = key.size, .ttl_ms = KIVI_TTL_NONE};
    page->size += key.size;
    return KIVI_OK;
}

static bool read_next(redis_page *page, kivi_slice text)
{
    const char *digits = text.data;

    page->next = 0;
    for (size_t i = 0; i < text.size; i++)
        if (digits[i] < '0' || digits[i] > '9' || __builtin_mul_overflow(page->next, 10, &page->next) ||
            __builtin_add_overflow(page->next, (uint64_t)(digits[i] - '0'), &page->next))
            return false;
    return text.size > 0 && (!page->next || page->next != page->position.cursor);
}

/* [cursor, [key, ...]] */
static kivi_status scan_reply(redis_session *session, const kvi_resp_token *token, kivi_error **error)
{
    redis_page *page = &session->page;
    bool fits = false;

    if (token->depth == 0) {
        session->element = 0;
        page->key_count = page->size = 0;
        fits = token->kind == KVI_RESP_ARRAY && token->integer == 2;
    } else if (token->depth == 1) {
        fits = session->element++ == 0 ? token->kind == KVI_RESP_STRING && read_next(page, token->bytes)
                                       : token->kind == KVI_RESP_ARRAY;
    } else if (token->depth == 2 && token->kind == KVI_RESP_STRING &&
               is_asked_for(session, token->bytes)) {
        return add_key(session, token->bytes, error);
    }
    return fits ? KIVI_OK : kvi_redis_breach(session, error);
}

static kivi_slice key_at(const redis_page *page, size_t index)
{
    return kivi_bytes(page->bytes + page->keys[index].at, page->keys[index].size);
}

/* A print of the first keys, one after the other. */
static uint64_t print_of(const redis_page *page, size_t count)
{
    uint64_t print = count;

    for (size_t i = 0; i < count; i++)
        print = print * UINT64_C(0x9E3779B97F4A7C15) + kvi_redis_host->hash64(key_at(page, i));
    return print;
}

/* ---- Delivering ---- */

static kivi_status deliver(redis_session *session, size_t index, kivi_slice value)
{
    redis_page *page = &session->page;
    kivi_scan_sink *sink = session->job.sink;
    kivi_status status = sink->pair(sink, key_at(page, index), value, page->keys[index].ttl_ms);

    if (status != KIVI_OK && status != KIVI_END)
        return status;
    page->complete = status == KIVI_END;
    if (session->cluster)
        kvi_cluster_delivered(session);
    return KIVI_OK;
}

/* Takes the answer for the next key of the page; `there`: it is delivered. */
static kivi_status settle(redis_session *session, bool there, kivi_slice value)
{
    redis_page *page = &session->page;

    if (page->complete) /* what comes behind the end is asked again */
        return KIVI_OK;
    page->delivered++;
    return there ? deliver(session, page->delivered - 1, value) : KIVI_OK;
}

/* Ends the connection: the replies behind it would be taken for those of the next verb. */
static kivi_status refuse(kivi_slice text, kivi_error **error)
{
    redis_refusal refusal = kvi_redis_judge(text);

    *error = kvi_redis_refused(&refusal);
    return refusal.status;
}

static kivi_status ttl_reply(redis_session *session, const redis_command *command,
                             const kvi_resp_token *token, kivi_error **error)
{
    redis_page_key *key = &session->page.keys[command->base.item];
    int64_t left = token->kind == KVI_RESP_ERROR ? -2 : token->integer;

    if (token->kind != KVI_RESP_ERROR && (token->depth || token->kind != KVI_RESP_INTEGER || left < -2))
        return kvi_redis_breach(session, error);
    key->ttl_ms = left == -2 ? TTL_GONE : left == -1 ? KIVI_TTL_NONE : left > 0 ? left : 1;
    if (!(session->job.range->flags & KIVI_SCAN_KEYS))
        return KIVI_OK;
    return settle(session, left != -2, kivi_bytes(NULL, 0));
}

static kivi_status values_reply(redis_session *session, const redis_command *command,
                                const kvi_resp_token *token, kivi_error **error)
{
    bool there = token->kind == KVI_RESP_STRING;
    size_t index;

    if (token->depth == 0) {
        session->element = 0;
        if (token->kind == KVI_RESP_ARRAY && token->integer == command->base.count)
            return KIVI_OK;
        return kvi_redis_breach(session, error);
    }
    if (token->depth > 1 || (!there && token->kind != KVI_RESP_NIL))
        return kvi_redis_breach(session, error);
    index = command->base.item + session->element++;
    return settle(session, there && session->page.keys[index].ttl_ms != TTL_GONE, token->bytes);
}

/* GET of one key. What is no plain value is left out, as MGET does. */
static kivi_status value_reply(redis_session *session, const redis_command *command,
                               const kvi_resp_token *token, kivi_error **error)
{
    bool there = token->kind == KVI_RESP_STRING;

    if (token->depth || (!there && token->kind != KVI_RESP_NIL && token->kind != KVI_RESP_ERROR))
        return kvi_redis_breach(session, error);
    return settle(session, there && session->page.keys[command->base.item].ttl_ms != TTL_GONE,
                  token->bytes);
}

static bool begins_with(kivi_slice text, const char *code)
{
    return text.size >= strlen(code) && memcmp(text.data, code, strlen(code)) == 0;
}

/* A key of a cluster that has gone to another node, and is found there; or one that holds no plain value. */
static bool is_elsewhere(redis_session *session, const redis_command *command, kivi_slice text)
{
    const redis_page *page = &session->page;
    uint32_t index = command->base.item;

    if (!session->cluster ||
        (command->base.kind != REPLY_KEY_VALUE && command->base.kind != REPLY_KEY_TTL))
        return false;
    if (begins_with(text, "MOVED ") && !page->keys[index].asks)
        kvi_cluster_lost_key(session, key_at(page, index));
    return begins_with(text, "MOVED ") || begins_with(text, "ASK ") || begins_with(text, "WRONGTYPE ");
}

kivi_status kvi_redis_scan_reply(redis_session *session, redis_command *command,
                                 const kvi_resp_token *token, kivi_error **error)
{
    if (token->kind == KVI_RESP_ERROR && !is_elsewhere(session, command, token->bytes))
        return refuse(token->bytes, error);
    switch (command->base.kind) {
    case REPLY_KEY_VALUE:
        return value_reply(session, command, token, error);
    case REPLY_SCAN:
        return scan_reply(session, token, error);
    case REPLY_KEY_TTL:
        return ttl_reply(session, command, token, error);
    default:
        return values_reply(session, command, token, error);
    }
}

/* ---- The page ---- */

static bool queue_ttls(redis_session *session)
{
    const redis_page *page = &session->page;

    for (size_t i = page->first; i < page->last; i++) {
        kivi_slice key = key_at(page, i);
        uint8_t *at = kvi_redis_begin(session, REPLY_KEY_TTL, (uint32_t)i, 1, 2,
                                      2 * KVI_REDIS_ARGUMENT + key.size);
        if (!at)
            return false;
        kvi_redis_end(session, kvi_redis_put(kvi_redis_put_text(at, "PTTL"), key));
    }
    return true;
}

/* The keys of a cluster's node are of many slots, and MGET is for one. */
static bool queue_value(redis_session *session, size_t index)
{
    kivi_slice key = key_at(&session->page, index);
    uint8_t *at = kvi_redis_begin(session, REPLY_KEY_VALUE, (uint32_t)index, 1, 2,
                                  2 * KVI_REDIS_ARGUMENT + key.size);

    if (!at)
        return false;
    kvi_redis_end(session, kvi_redis_put(kvi_redis_put_text(at, "GET"), key));
    return true;
}

static bool queue_values(redis_session *session, size_t first, size_t count)
{
    const redis_page *page = &session->page;
    size_t most = KVI_REDIS_ARGUMENT;
    uint8_t *at;

    for (size_t i = 0; i < count; i++)
        most += KVI_REDIS_ARGUMENT + page->keys[first + i].size;
    at = kvi_redis_begin(session, REPLY_KEY_VALUES, (uint32_t)first, (uint32_t)count,
                         (uint32_t)count + 1, most);
    if (!at)
        return false;
    at = kvi_redis_put_text(at, "MGET");
    for (size_t i = 0; i < count; i++)
        at = kvi_redis_put(at, key_at(page, first + i));
    kvi_redis_end(session, at);
    return true;
}

/* What is left to ask of the keys found: their expiries, their values. */
static bool queue_rest(redis_session *session)
{
    redis_page *page = &session->page;
    uint32_t flags = session->job.range->flags;

    for (size_t i = page->first; session->cluster && i < page->last; i++)
        page->keys[i].asks = kvi_cluster_is_stranger(session, key_at(page, i));
    if (flags & KIVI_SCAN_WANT_EXPIRY && !queue_ttls(session))
        return false;
    if (flags & KIVI_SCAN_KEYS)
        return true;
    for (size_t i = page->first; session->cluster && i < page->last; i++)
        if (!queue_value(session, i))
            return false;
    for (size_t i = page->first; !session->cluster && i < page->last; i += MGET_MOST)
        if (!queue_values(session, i, page->last - i < MGET_MOST ? page->last - i : MGET_MOST))
            return false;
    return true;
}

static kivi_status end_page(redis_session *session)
{
    redis_page *page = &session->page;
    redis_position position = {.cursor = page->next, .barren = page->position.barren};

    if (page->delivered < page->key_count) {
        position = page->position;
        position.skip = page->delivered;
        position.print = print_of(page, page->delivered);
    } else if (page->next == 0) {
        return KIVI_OK;
    }
    return give_cursor(session, &position);
}

static kivi_status endless(kivi_error **error)
{
    *error = kvi_redis_host->error(
        KIVI_CORRUPT, 0, KIVI_RETRY_NO,
        "the server's SCAN found nothing %d times in a row and never ends", BARREN_MOST);
    return KIVI_CORRUPT;
}

/* The SCAN found nothing to deliver: the next one, which may look further. */
static kivi_status scan_on(redis_session *session, kivi_error **error)
{
    redis_page *page = &session->page;
    uint64_t count = 2 * page->position.count;

    page->delivered = page->key_count;
    if (page->next && ++page->position.barren > BARREN_MOST)
        return endless(error);
    if (page->next == 0 || ++page->rounds == ROUNDS_MOST)
        return end_page(session);
    page->position = (redis_position){.cursor = page->next,
                                      .count = count > COUNT_SEARCHING ? COUNT_SEARCHING : count,
                                      .barren = page->position.barren};
    return queue_scan(session) ? KIVI_PENDING : kvi_redis_no_memory(error);
}

/* SCAN has answered: which of its keys make the page. */
static kivi_status choose(redis_session *session, kivi_error **error)
{
    redis_page *page = &session->page;
    const redis_position *position = &page->position;
    const kivi_scan_range *range = session->job.range;
    kivi_status status = KIVI_OK;

    if (position->skip && position->skip <= page->key_count &&
        print_of(page, (size_t)position->skip) == position->print)
        page->first = (size_t)position->skip;
    else
        page->first = 0;
    if (page->first == page->key_count)
        return scan_on(session, error);
    page->position.barren = 0;
    page->last = page->key_count;
    if (page->last - page->first > range->limit)
        page->last = page->first + (size_t)range->limit;
    page->delivered = page->first;
    if (range->flags & KIVI_SCAN_WANT_EXPIRY || !(range->flags & KIVI_SCAN_KEYS))
        return queue_rest(session) ? KIVI_PENDING : kvi_redis_no_memory(error);
    while (status == KIVI_OK && page->delivered < page->last && !page->complete)
        status = settle(session, true, kivi_bytes(NULL, 0));
    return status ? status : end_page(session);
}

kivi_status kvi_redis_scan_end(redis_session *session, kivi_error **error)
{
    const redis_command *last = command_at(session, session->pipeline.count - 1);

    return last->base.kind == REPLY_SCAN ? choose(session, error) : end_page(session);
}
