/* The write verb: a vector as one pipeline, single commands where they do, scripts for what is conditional. */
#include "redis.h"

#define REFER_FROM (16 * 1024) /* values from this size on are not copied */

/* ---- Single commands ---- */

static bool queue_key(redis_session *session, redis_reply reply, const char *name, uint32_t index,
                      kivi_slice key)
{
    uint8_t *at = kvi_redis_begin(session, reply, index, 1, 2, 2 * KVI_REDIS_ARGUMENT + key.size);

    if (!at)
        return false;
    kvi_redis_end(session, kvi_redis_put(kvi_redis_put_text(at, name), key));
    return true;
}

/* What comes behind the value of a SET. */
static uint8_t *put_tail(uint8_t *at, const kivi_write_item *item)
{
    if (item->ttl_ms > 0)
        at = kvi_redis_put_number(kvi_redis_put_text(at, "PX"), item->ttl_ms);
    else if (item->ttl_ms == KIVI_TTL_KEEP && item->condition != KIVI_IF_ABSENT)
        at = kvi_redis_put_text(at, "KEEPTTL");
    if (item->condition == KIVI_IF_ABSENT)
        at = kvi_redis_put_text(at, "NX");
    else if (item->condition == KIVI_IF_PRESENT)
        at = kvi_redis_put_text(at, "XX");
    return at;
}

static uint32_t count_tail(const kivi_write_item *item)
{
    uint32_t count = item->condition == KIVI_IF_ALWAYS ? 0 : 1;

    if (item->ttl_ms > 0)
        return count + 2;
    return count + (item->ttl_ms == KIVI_TTL_KEEP && item->condition != KIVI_IF_ABSENT);
}

/* The value stays where it is, and the tail is queued behind it. */
static bool refer_value(redis_session *session, uint8_t *at, const kivi_write_item *item)
{
    size_t begin = session->pipeline.net.out.size;
    uint8_t *head = session->pipeline.net.out.data + begin;
    uint8_t *end = kvi_redis_put_size(at, item->value.size);

    kvi_net_wrote(&session->pipeline.net, (size_t)(end - head));
    if (!kvi_net_refer(&session->pipeline.net, item->value))
        return false;
    *end++ = '\r';
    *end++ = '\n';
    kvi_redis_end(session, put_tail(end, item));
    return true;
}

static bool queue_set(redis_session *session, uint32_t index, const kivi_write_item *item)
{
    bool refer = item->value.size >= REFER_FROM;
    size_t most = 6 * KVI_REDIS_ARGUMENT + item->key.size + (refer ? 0 : item->value.size);
    uint8_t *at = kvi_redis_begin(session, REPLY_DONE, index, 1, 3 + count_tail(item), most);

    if (!at)
        return false;
    at = kvi_redis_put(kvi_redis_put_text(at, "SET"), item->key);
    if (refer)
        return refer_value(session, at, item);
    kvi_redis_end(session, put_tail(kvi_redis_put(at, item->value), item));
    return true;
}

static bool queue_touch(redis_session *session, uint32_t index, const kivi_write_item *item)
{
    uint8_t *at;

    if (item->ttl_ms == KIVI_TTL_KEEP)
        return queue_key(session, REPLY_TOUCHED, "EXISTS", index, item->key);
    at = kvi_redis_begin(session, REPLY_TOUCHED, index, 1, 3, 3 * KVI_REDIS_ARGUMENT + item->key.size);
    if (!at)
        return false;
    at = kvi_redis_put(kvi_redis_put_text(at, "PEXPIRE"), item->key);
    kvi_redis_end(session, kvi_redis_put_number(at, item->ttl_ms));
    return true;
}

/* ---- Scripts ---- */

/* The most that put_operation() takes. */
static size_t operation_size(const kivi_write_item *item)
{
    size_t size = 5 * KVI_REDIS_ARGUMENT;

    if (item->kind == KIVI_OP_SET)
        size += item->value.size;
    return size + item->expected.size;
}

static const char *kind_word(int32_t kind)
{
    switch (kind) {
    case KIVI_OP_SET:
        return "s";
    case KIVI_OP_DELETE:
        return "d";
    case KIVI_OP_TOUCH:
        return "t";
    default:
        return "c";
    }
}

/* An operation as the scripts take it. A version is the stored bytes, so VERSION is EQUAL. */
static uint8_t *put_operation(const redis_session *session, uint8_t *at, const kivi_write_item *item)
{
    int32_t condition = item->condition == KIVI_IF_VERSION ? KIVI_IF_EQUAL : item->condition;

    at = kvi_redis_put_text(at, kind_word(item->kind));
    at = kvi_redis_put_number(at, condition);
    if (item->ttl_ms == KIVI_TTL_KEEP)
        at = kvi_redis_put_text(at, session->has_keep ? "k" : "K");
    else
        at = kvi_redis_put_number(at, item->ttl_ms);
    at = kvi_redis_put(at, item->kind == KIVI_OP_SET ? item->value : kivi_bytes(NULL, 0));
    return kvi_redis_put(at, condition == KIVI_IF_EQUAL ? item->expected : kivi_bytes(NULL, 0));
}

static bool queue_script(redis_session *session, uint32_t index, const kivi_write_item *item)
{
    size_t most = 5 * KVI_REDIS_ARGUMENT + item->key.size + operation_size(item);
    uint8_t *at = kvi_redis_begin(session, REPLY_CODE, index, 1, 9, most);

    if (!at)
        return false;
    at = kvi_redis_put_script(session, at, SCRIPT_ITEM);
    at = kvi_redis_put(kvi_redis_put_number(at, 1), item->key);
    kvi_redis_end(session, put_operation(session, at, item));
    return true;
}

static bool queue_atomic(redis_session *session)
{
    const kivi_write_vector *vector = session->job.writes;
    size_t most = 5 * KVI_REDIS_ARGUMENT;
    uint8_t *at;

    for (size_t i = 0; i < vector->count; i++)
        most += KVI_REDIS_ARGUMENT + write_item(vector, i)->key.size +
                operation_size(write_item(vector, i));
    at = kvi_redis_begin(session, REPLY_CODES, 0, (uint32_t)vector->count,
                         (uint32_t)(3 + 6 * vector->count), most);
    if (!at)
        return false;
    at = kvi_redis_put_script(session, at, SCRIPT_ATOMIC);
    at = kvi_redis_put_number(at, (int64_t)vector->count);
    for (size_t i = 0; i < vector->count; i++)
        at = kvi_redis_put(at, write_item(vector, i)->key);
    for (size_t i = 0; i < vector->count; i++)
        at = put_operation(session, at, write_item(vector, i));
    kvi_redis_end(session, at);
    return true;
}

static bool queue_increment(redis_session *session, uint32_t index, const kivi_write_item *item)
{
    size_t most = 8 * KVI_REDIS_ARGUMENT + item->key.size;
    uint8_t *at = kvi_redis_begin(session, REPLY_SUM, index, 1, 8, most);

    if (!at)
        return false;
    at = kvi_redis_put_script(session, at, SCRIPT_INCREMENT);
    at = kvi_redis_put(kvi_redis_put_number(at, 1), item->key);
    at = kvi_redis_put_number(at, item->by >> 32); /* rounds down: the high half has the sign */
    at = kvi_redis_put_number(at, (int64_t)(uint32_t)item->by);
    at = kvi_redis_put_number(at, item->ttl_ms);
    kvi_redis_end(session, kvi_redis_put_text(at, session->has_keep ? "k" : "K"));
    return true;
}

/* ---- Which it is ---- */

static bool compares(const kivi_write_item *item)
{
    return item->condition == KIVI_IF_EQUAL || item->condition == KIVI_IF_VERSION;
}

static bool queue_item(redis_session *session, uint32_t index, const kivi_write_item *item)
{
    bool always = item->condition == KIVI_IF_ALWAYS;
    bool asked = item->flags & KIVI_OP_WANT_EXISTED;

    if (compares(item))
        return queue_script(session, index, item);
    switch (item->kind) {
    case KIVI_OP_SET:
        if ((always && asked) || (item->ttl_ms == KIVI_TTL_KEEP && !session->has_keep))
            return queue_script(session, index, item);
        return queue_set(session, index, item);
    case KIVI_OP_DELETE:
        if (item->condition == KIVI_IF_ABSENT) /* there is nothing to delete where it holds */
            return queue_key(session, REPLY_EXISTS, "EXISTS", index, item->key);
        return queue_key(session, REPLY_DELETED, "DEL", index, item->key);
    case KIVI_OP_TOUCH:
        /* PERSIST says 0 also of a key that never expires. */
        if (item->condition == KIVI_IF_ABSENT || item->ttl_ms == KIVI_TTL_NONE)
            return queue_script(session, index, item);
        return queue_touch(session, index, item);
    case KIVI_OP_INCREMENT:
        return queue_increment(session, index, item);
    default:
        return queue_key(session, REPLY_EXISTS, "EXISTS", index, item->key);
    }
}

kivi_status kvi_redis_write_begin(redis_session *session, kivi_error **error)
{
    const kivi_write_vector *vector = session->job.writes;

    if (vector->flags & KIVI_VECTOR_ATOMIC)
        return queue_atomic(session) ? KIVI_OK : kvi_redis_no_memory(error);
    for (size_t i = 0; i < kvi_redis_own_count(session, vector->count); i++) {
        uint32_t index = kvi_redis_own_item(session, i);
        const kivi_write_item *item = write_item(vector, index);
        if (item->status == KIVI_PENDING && !queue_item(session, index, item))
            return kvi_redis_no_memory(error);
    }
    return KIVI_OK;
}

/* ---- Answers ---- */

static void refused(redis_session *session, kivi_write_item *item, kivi_slice text)
{
    redis_refusal refusal = kvi_redis_judge(text);

    item->error = kvi_redis_refusal_error(session, &refusal);
    item->status = refusal.status;
    kvi_redis_take_back(session, &refusal, &item->sent);
}

static void fail(kivi_write_item *item, kivi_status status, const char *text)
{
    item->error = kvi_redis_host->error(status, 0, KIVI_RETRY_NO, "%s", text);
    item->status = status;
}

/* Whether a condition that looks only at presence holds. */
static bool holds(const kivi_write_item *item, bool there)
{
    if (item->condition == KIVI_IF_ABSENT)
        return !there;
    return item->condition != KIVI_IF_PRESENT || there;
}

static bool done_reply(kivi_write_item *item, const kvi_resp_token *token)
{
    bool done = token->kind == KVI_RESP_STATUS && token->bytes.size == 2 &&
                memcmp(token->bytes.data, "OK", 2) == 0;

    if (!done && (token->kind != KVI_RESP_NIL || item->condition == KIVI_IF_ALWAYS))
        return false;
    item->existed = item->condition == KIVI_IF_PRESENT ? done : !done;
    item->status = done ? KIVI_OK : KIVI_CONDITION;
    return true;
}

static bool number_reply(kivi_write_item *item, redis_reply reply, int64_t number)
{
    bool there = number == 1;

    if (number != 0 && number != 1)
        return false;
    item->existed = there;
    if (!holds(item, there))
        item->status = KIVI_CONDITION;
    else
        item->status = reply == REPLY_TOUCHED && !there ? KIVI_NOT_FOUND : KIVI_OK;
    return true;
}

/* Whether the scripts can say this of an operation: what no condition, or no kind, allows is no answer. */
static bool is_possible(const kivi_write_item *item, bool there, kivi_status status)
{
    bool touch = item->kind == KIVI_OP_TOUCH;

    switch (status) {
    case KIVI_CONDITION:
        return item->condition != KIVI_IF_ALWAYS && (compares(item) || !holds(item, there));
    case KIVI_NOT_FOUND:
        return touch && !there && !compares(item) && holds(item, there);
    default:
        return compares(item) || touch ? there && holds(item, there) : holds(item, there);
    }
}

/* A number of the scripts: see script.c. False: none that they can say of this operation. */
static bool read_code(const kivi_write_item *item, int64_t code, kivi_status *status)
{
    static const kivi_status answers[] = {KIVI_OK, KIVI_CONDITION, KIVI_NOT_FOUND};

    if (code < 0 || code > 7 || code % 4 > 2)
        return false;
    *status = answers[code % 4];
    return is_possible(item, code >= 4, *status);
}

static bool take_code(kivi_write_item *item, int64_t code)
{
    kivi_status status;

    if (!read_code(item, code, &status))
        return false;
    item->existed = code >= 4;
    item->status = status;
    return true;
}

static bool sum_reply(kivi_write_item *item, const kvi_resp_token *token)
{
    const uint8_t *bytes = token->bytes.data;
    uint64_t sum = 0;

    if (token->kind == KVI_RESP_INTEGER && (token->integer == 1 || token->integer == 2)) {
        item->status = token->integer == 1 ? KIVI_WRONG_TYPE : KIVI_OVERFLOW;
        return true;
    }
    if (token->kind != KVI_RESP_STRING || token->bytes.size != 8)
        return false;
    for (int i = 0; i < 8; i++)
        sum = sum << 8 | bytes[i];
    item->integer = (int64_t)sum;
    item->status = KIVI_OK;
    return true;
}

static bool item_reply(redis_session *session, const redis_command *command, const kvi_resp_token *token)
{
    kivi_write_item *item = write_item(session->job.writes, command->base.item);

    if (token->kind == KVI_RESP_ERROR) {
        refused(session, item, token->bytes);
        return true;
    }
    if (command->base.kind == REPLY_DONE)
        return done_reply(item, token);
    if (command->base.kind == REPLY_SUM)
        return sum_reply(item, token);
    if (token->kind != KVI_RESP_INTEGER)
        return false;
    if (command->base.kind == REPLY_CODE)
        return take_code(item, token->integer);
    return number_reply(item, command->base.kind, token->integer);
}

/* ---- Answers of an atomic batch ---- */

static bool batch_failed(kivi_write_vector *vector, int64_t number)
{
    uint64_t place = number < 0 ? UINT64_C(0) - (uint64_t)number : (uint64_t)number;
    size_t failed = (size_t)place - 1;

    if (place == 0 || place > vector->count)
        return false;
    if (number < 0 ? !compares(write_item(vector, failed))
                   : write_item(vector, failed)->condition == KIVI_IF_ALWAYS)
        return false;
    for (size_t i = 0; i < vector->count; i++) {
        kivi_write_item *item = write_item(vector, i);
        if (i != failed)
            fail(item, KIVI_ABORTED, "another operation of the same atomic batch failed");
        else if (number < 0)
            fail(item, KIVI_WRONG_TYPE, "the key holds no plain value");
        else
            item->status = KIVI_CONDITION;
    }
    return true;
}

/* All digits are judged before one is believed. A condition that failed is not among them: see batch_failed(). */
static bool batch_done(kivi_write_vector *vector, kivi_slice codes)
{
    const uint8_t *digits = codes.data;
    kivi_status status;

    if (codes.size != vector->count)
        return false;
    for (size_t i = 0; i < codes.size; i++)
        if (!read_code(write_item(vector, i), digits[i] - '0', &status) || status == KIVI_CONDITION)
            return false;
    for (size_t i = 0; i < codes.size; i++)
        take_code(write_item(vector, i), digits[i] - '0');
    return true;
}

static bool batch_reply(redis_session *session, const kvi_resp_token *token)
{
    kivi_write_vector *vector = session->job.writes;

    if (token->kind == KVI_RESP_INTEGER)
        return batch_failed(vector, token->integer);
    if (token->kind == KVI_RESP_STRING)
        return batch_done(vector, token->bytes);
    if (token->kind != KVI_RESP_ERROR)
        return false;
    for (size_t i = 0; i < vector->count; i++)
        refused(session, write_item(vector, i), token->bytes);
    return true;
}

/* A script that the server does not know: nothing was done, it is sent again. */
static bool is_noscript(redis_session *session, redis_command *command, const kvi_resp_token *token)
{
    if (token->kind != KVI_RESP_ERROR || !command->rest_size || !kvi_redis_judge(token->bytes).is_noscript)
        return false;
    for (uint32_t i = 0; i < command->base.count; i++)
        write_item(session->job.writes, command->base.item + i)->sent = KIVI_SENT_NOTHING;
    return kvi_redis_refuse_script(session, command);
}

kivi_status kvi_redis_write_reply(redis_session *session, redis_command *command,
                                  const kvi_resp_token *token, kivi_error **error)
{
    bool fits = token->depth == 0;

    if (fits && is_noscript(session, command, token))
        return KIVI_OK;
    if (fits && token->kind == KVI_RESP_ERROR && kvi_cluster_turns(session, command, token->bytes))
        return KIVI_OK;
    if (fits)
        fits = command->base.kind == REPLY_CODES ? batch_reply(session, token)
                                                 : item_reply(session, command, token);
    return fits ? KIVI_OK : kvi_redis_breach(session, error);
}

kivi_status kvi_redis_write_end(redis_session *session, kivi_error **error)
{
    if (!session->redo)
        return KIVI_OK;
    return kvi_redis_repeat(session) ? KIVI_PENDING : kvi_redis_no_memory(error);
}
