/* The read verb: values by one MGET, what it answers nil by GET, expiries and takes in the same pipeline. */
#include "redis.h"

#define MGET_MOST 512 /* keys of one command: the first values come before the last are looked up */

/* ---- Asking ---- */

/* Queues `name key` and notes where the key lies, so that nothing is read through the item later. */
static bool queue_key(redis_session *session, redis_reply reply, const char *name, uint32_t index,
                      kivi_slice key)
{
    uint8_t *at = kvi_redis_begin(session, reply, index, 1, 2, 2 * KVI_REDIS_ARGUMENT + key.size);

    if (!at)
        return false;
    kvi_redis_end(session, kvi_redis_put(kvi_redis_put_text(at, name), key));
    session->places[index] = session->pipeline.net.out.size - key.size - 2;
    return true;
}

static bool queue_ttl_first(redis_session *session, uint32_t index, const kivi_read_item *item)
{
    if (!queue_key(session, REPLY_TTL_FIRST, "PTTL", index, item->key))
        return false;
    command_at(session, session->pipeline.count - 1)->base.more = true;
    return true;
}

/* GETDEL, or GETEX with what is to become of the expiry. */
static bool queue_native_take(redis_session *session, uint32_t index, const kivi_read_item *item)
{
    bool touch = item->then == KIVI_THEN_TOUCH;
    uint32_t arguments = !touch ? 2 : item->ttl_ms > 0 ? 4 : 3;
    uint8_t *at = kvi_redis_begin(session, REPLY_VALUE, index, 1, arguments,
                                  4 * KVI_REDIS_ARGUMENT + item->key.size);

    if (!at)
        return false;
    at = kvi_redis_put(kvi_redis_put_text(at, touch ? "GETEX" : "GETDEL"), item->key);
    if (touch && item->ttl_ms > 0)
        at = kvi_redis_put_number(kvi_redis_put_text(at, "PX"), item->ttl_ms);
    else if (touch)
        at = kvi_redis_put_text(at, "PERSIST");
    kvi_redis_end(session, at);
    return true;
}

static bool queue_script_take(redis_session *session, uint32_t index, const kivi_read_item *item)
{
    uint8_t *at = kvi_redis_begin(session, REPLY_VALUE, index, 1, 5,
                                  6 * KVI_REDIS_ARGUMENT + item->key.size);

    if (!at)
        return false;
    at = kvi_redis_put_script(session, at, SCRIPT_TAKE);
    at = kvi_redis_put(kvi_redis_put_number(at, 1), item->key);
    if (item->then == KIVI_THEN_DELETE)
        at = kvi_redis_put_text(at, "d");
    else
        at = kvi_redis_put_number(at, item->ttl_ms > 0 ? item->ttl_ms : 0);
    kvi_redis_end(session, at);
    return true;
}

static bool queue_take(redis_session *session, uint32_t index, const kivi_read_item *item)
{
    if (item->then == KIVI_THEN_TOUCH && item->ttl_ms == KIVI_TTL_KEEP)
        return queue_key(session, REPLY_VALUE, "GET", index, item->key);
    if (item->then == KIVI_THEN_DELETE && item->want & KIVI_WANT_EXPIRY &&
        !queue_ttl_first(session, index, item))
        return false;
    return session->has_getex ? queue_native_take(session, index, item)
                              : queue_script_take(session, index, item);
}

/* What is asked for one item by itself; plain values are only listed, to be asked together. */
static bool queue_item(redis_session *session, uint32_t index, const kivi_read_item *item)
{
    bool value = item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION);
    bool expiry = item->want & KIVI_WANT_EXPIRY;

    if (item->then != KIVI_THEN_NOTHING)
        return queue_take(session, index, item);
    if (!value && !expiry)
        return queue_key(session, REPLY_FOUND, "EXISTS", index, item->key);
    if (!value)
        return queue_key(session, REPLY_TTL, "PTTL", index, item->key);
    if (expiry && !queue_ttl_first(session, index, item))
        return false;
    session->order[session->order_count++] = index;
    return true;
}

/* One MGET for the values that `order` lists from `first` on. */
static bool queue_values(redis_session *session, uint32_t first, uint32_t count)
{
    const kivi_read_vector *vector = session->job.reads;
    size_t most = 2 * KVI_REDIS_ARGUMENT;
    uint8_t *at, *base;

    for (uint32_t i = 0; i < count; i++)
        most += KVI_REDIS_ARGUMENT + read_item(vector, session->order[first + i])->key.size;
    at = kvi_redis_begin(session, REPLY_VALUES, first, count, count + 1, most);
    if (!at)
        return false;
    base = session->pipeline.net.out.data;
    at = kvi_redis_put_text(at, "MGET");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = session->order[first + i];
        kivi_slice key = read_item(vector, index)->key;
        at = kvi_redis_put(at, key);
        session->places[index] = (size_t)(at - base) - key.size - 2;
    }
    kvi_redis_end(session, at);
    return true;
}

static bool queue_listed(redis_session *session)
{
    uint32_t count = (uint32_t)session->order_count;

    if (count == 1 || session->cluster) { /* MGET is for keys of one slot */
        for (uint32_t i = 0; i < count; i++)
            if (!queue_key(session, REPLY_VALUE, "GET", session->order[i],
                           read_item(session->job.reads, session->order[i])->key))
                return false;
        return true;
    }
    for (uint32_t first = 0; first < count; first += MGET_MOST)
        if (!queue_values(session, first, count - first < MGET_MOST ? count - first : MGET_MOST))
            return false;
    return true;
}

kivi_status kvi_redis_read_begin(redis_session *session, kivi_error **error)
{
    const kivi_read_vector *vector = session->job.reads;

    if (!kvi_redis_room_for_items(session, vector->count))
        return kvi_redis_no_memory(error);
    session->order_count = session->again_count = 0;
    for (size_t i = 0; i < kvi_redis_own_count(session, vector->count); i++) {
        uint32_t index = kvi_redis_own_item(session, i);
        const kivi_read_item *item = read_item(vector, index);
        if (item->status == KIVI_PENDING && !queue_item(session, index, item))
            return kvi_redis_no_memory(error);
    }
    return queue_listed(session) ? KIVI_OK : kvi_redis_no_memory(error);
}

/* ---- Answers ---- */

/* The key was not there, be it that it went between two commands of the item. */
static void missing(kivi_read_item *item)
{
    if (item->want & KIVI_WANT_EXPIRY && item->then != KIVI_THEN_TOUCH)
        item->ttl_ms = KIVI_TTL_NONE;
    item->status = KIVI_NOT_FOUND;
}

static bool has_gone(const kivi_read_item *item)
{
    return item->then != KIVI_THEN_TOUCH && item->want & KIVI_WANT_EXPIRY && item->ttl_ms == TTL_GONE;
}

static void found(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value)
{
    kivi_status status = KIVI_OK;

    if (has_gone(item) && item->then == KIVI_THEN_NOTHING) {
        missing(item);
        return;
    }
    if (has_gone(item)) /* and came back before it was taken */
        item->ttl_ms = KIVI_TTL_NONE;
    if (item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION))
        status = vector->deliver(vector, item, value, kivi_bytes(NULL, 0));
    item->status = status;
}

static void refused(redis_session *session, kivi_read_item *item, kivi_slice text)
{
    redis_refusal refusal = kvi_redis_judge(text);

    item->error = kvi_redis_refusal_error(session, &refusal);
    item->status = refusal.status;
    kvi_redis_take_back(session, &refusal, &item->sent);
}

/* PTTL: ms, -1: never expires, -2: not there. False: no such answer. */
static bool take_ttl(kivi_read_item *item, int64_t answer)
{
    if (answer < -2)
        return false;
    item->ttl_ms = answer == -2 ? TTL_GONE : answer == -1 ? KIVI_TTL_NONE : answer > 0 ? answer : 1;
    return true;
}

static bool ttl_reply(kivi_read_item *item, bool whole, const kvi_resp_token *token)
{
    if (token->kind != KVI_RESP_INTEGER || !take_ttl(item, token->integer))
        return false;
    if (!whole)
        return true;
    if (item->ttl_ms == TTL_GONE)
        missing(item);
    else
        item->status = KIVI_OK;
    return true;
}

/* EXISTS of one key: 1 or 0. */
static bool found_reply(kivi_read_item *item, const kvi_resp_token *token)
{
    if (token->kind != KVI_RESP_INTEGER || (token->integer != 0 && token->integer != 1))
        return false;
    item->status = token->integer ? KIVI_OK : KIVI_NOT_FOUND;
    return true;
}

/* The reply of a command that is for one item. */
static bool item_reply(redis_session *session, redis_command *command, const kvi_resp_token *token)
{
    kivi_read_vector *vector = session->job.reads;
    kivi_read_item *item = read_item(vector, command->base.item);

    if (token->depth)
        return false;
    if (token->kind == KVI_RESP_ERROR) {
        if (item->status == KIVI_PENDING && !kvi_cluster_turns(session, command, token->bytes))
            refused(session, item, token->bytes);
        return true;
    }
    if (item->status != KIVI_PENDING)
        return true; /* its first command was refused */
    if (item->then == KIVI_THEN_NOTHING && kvi_cluster_has_turned(session, command->base.item))
        return true; /* or sent elsewhere, where all is asked again */
    switch (command->base.kind) {
    case REPLY_VALUE:
        if (token->kind == KVI_RESP_NIL)
            missing(item);
        else if (token->kind == KVI_RESP_STRING)
            found(vector, item, token->bytes);
        return token->kind == KVI_RESP_NIL || token->kind == KVI_RESP_STRING;
    case REPLY_FOUND:
        return found_reply(item, token);
    default:
        return ttl_reply(item, command->base.kind == REPLY_TTL, token);
    }
}

static void value_of_many(redis_session *session, uint32_t index, const kvi_resp_token *token)
{
    kivi_read_vector *vector = session->job.reads;
    kivi_read_item *item = read_item(vector, index);

    if (item->status != KIVI_PENDING)
        return;
    if (token->kind == KVI_RESP_STRING)
        found(vector, item, token->bytes);
    else if (has_gone(item))
        missing(item);
    else
        session->again[session->again_count++] = index;
}

static void refuse_many(redis_session *session, const redis_command *command, kivi_slice text)
{
    for (uint32_t i = 0; i < command->base.count; i++) {
        kivi_read_item *item = read_item(session->job.reads, session->order[command->base.item + i]);
        if (item->status == KIVI_PENDING)
            refused(session, item, text);
    }
}

static bool values_reply(redis_session *session, redis_command *command, const kvi_resp_token *token)
{
    if (token->depth == 0 && token->kind == KVI_RESP_ERROR) {
        refuse_many(session, command, token->bytes);
        return true;
    }
    if (token->depth == 0) {
        session->element = 0;
        return token->kind == KVI_RESP_ARRAY && token->integer == command->base.count;
    }
    if (token->depth > 1 || (token->kind != KVI_RESP_STRING && token->kind != KVI_RESP_NIL))
        return false;
    value_of_many(session, session->order[command->base.item + session->element++], token);
    return true;
}

/* A script that the server does not know: nothing was done, it is sent again. */
static bool is_noscript(redis_session *session, redis_command *command, const kvi_resp_token *token)
{
    if (token->kind != KVI_RESP_ERROR || !command->rest_size || !kvi_redis_judge(token->bytes).is_noscript)
        return false;
    read_item(session->job.reads, command->base.item)->sent = KIVI_SENT_NOTHING;
    return kvi_redis_refuse_script(session, command);
}

kivi_status kvi_redis_read_reply(redis_session *session, redis_command *command,
                                 const kvi_resp_token *token, kivi_error **error)
{
    bool fits;

    if (is_noscript(session, command, token))
        return KIVI_OK;
    fits = command->base.kind == REPLY_VALUES ? values_reply(session, command, token)
                                              : item_reply(session, command, token);
    return fits ? KIVI_OK : kvi_redis_breach(session, error);
}

/* ---- Another round ---- */

/* MGET says nil also of what is no plain value: GET tells which. The key is taken from where it was copied to. */
static bool queue_again(redis_session *session)
{
    for (size_t i = 0; i < session->again_count; i++) {
        uint32_t index = session->again[i];
        size_t size = read_item(session->job.reads, index)->key.size;
        uint8_t *at = kvi_redis_begin(session, REPLY_VALUE, index, 1, 2, 2 * KVI_REDIS_ARGUMENT + size);
        if (!at)
            return false;
        at = kvi_redis_put_text(at, "GET");
        kvi_redis_end(
            session,
            kvi_redis_put(at, kivi_bytes(session->pipeline.net.out.data + session->places[index], size)));
    }
    session->again_count = 0;
    return true;
}

kivi_status kvi_redis_read_end(redis_session *session, kivi_error **error)
{
    if (!session->again_count && !session->redo)
        return KIVI_OK;
    if (!queue_again(session) || (session->redo && !kvi_redis_repeat(session)))
        return kvi_redis_no_memory(error);
    return KIVI_PENDING;
}
