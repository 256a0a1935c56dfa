/* Commands in the form in which they are sent, and the list of those in flight. */
#include "members.h"
#include "redis.h"

#include <stdlib.h>

/* ---- Lists ---- */

bool kvi_redis_more_room(redis_session *session, size_t count)
{
    size_t room = session->order_room ? session->order_room : 16;
    uint32_t *order, *again;
    size_t *places;

    while (room < count)
        room *= 2;
    order = realloc(session->order, room * sizeof(*order));
    if (order)
        session->order = order;
    again = realloc(session->again, room * sizeof(*again));
    if (again)
        session->again = again;
    places = realloc(session->places, room * sizeof(*places));
    if (places)
        session->places = places;
    session->pipeline.order = session->order;
    if (!order || !again || !places)
        return false;
    session->order_room = room;
    return true;
}

size_t kvi_redis_own_count(const redis_session *session, size_t count)
{
    return session->member ? session->member->count : count;
}

uint32_t kvi_redis_own_item(const redis_session *session, size_t at)
{
    return session->member ? kvi_member_item(session->member, at) : (uint32_t)at;
}

/* ---- Arguments ---- */

static uint8_t *put_digits(uint8_t *at, uint64_t number)
{
    char digits[20];
    size_t count = 0;

    if (number < 10) { /* most counts and many sizes */
        *at++ = (uint8_t)('0' + number);
        return at;
    }
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count)
        *at++ = (uint8_t)digits[--count];
    return at;
}

static uint8_t *put_head(uint8_t *at, char type, uint64_t number)
{
    *at++ = (uint8_t)type;
    at = put_digits(at, number);
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

uint8_t *kvi_redis_put_count(uint8_t *at, size_t count)
{
    return put_head(at, '*', count);
}

uint8_t *kvi_redis_put_size(uint8_t *at, size_t size)
{
    return put_head(at, '$', size);
}

uint8_t *kvi_redis_put(uint8_t *at, kivi_slice argument)
{
    at = put_head(at, '$', argument.size);
    if (argument.size)
        memcpy(at, argument.data, argument.size);
    at += argument.size;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

uint8_t *kvi_redis_put_text(uint8_t *at, const char *argument)
{
    return kvi_redis_put(at, kivi_str(argument));
}

uint8_t *kvi_redis_put_number(uint8_t *at, int64_t number)
{
    uint8_t text[24];
    uint8_t *end = text;

    if (number < 0)
        *end++ = '-';
    end = put_digits(end, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
    return kvi_redis_put(at, kivi_bytes(text, (size_t)(end - text)));
}

uint8_t *kvi_redis_put_unsigned(uint8_t *at, uint64_t number)
{
    uint8_t text[24];

    return kvi_redis_put(at, kivi_bytes(text, (size_t)(put_digits(text, number) - text)));
}

/* ---- Commands ---- */

static bool queue_asking(redis_session *session)
{
    uint8_t *at = kvi_redis_begin(session, REPLY_ASKING, 0, 1, 1, KVI_REDIS_ARGUMENT);

    if (!at)
        return false;
    command_at(session, session->pipeline.count)->base.unasked = true;
    kvi_redis_end(session, kvi_redis_put_text(at, "ASKING"));
    return true;
}

/* Whether a node of a cluster wants to be told that its refusal of the item's slot was heard of. */
static bool wants_asking(const redis_session *session, redis_reply reply, uint32_t item)
{
    return session->cluster && session->pipeline.phase == KVI_PHASE_READY &&
           reply != REPLY_ASKING && kvi_cluster_asks(session, reply, item);
}

uint8_t *kvi_redis_begin(redis_session *session, redis_reply reply, uint32_t item, uint32_t count,
                         uint32_t arguments, size_t most)
{
    redis_command *command;
    uint8_t *at;

    if (wants_asking(session, reply, item) && !queue_asking(session))
        return NULL;
    command = kvi_pipeline_add(&session->pipeline, (uint8_t)reply, item, count);
    at = command ? kvi_net_room(&session->pipeline.net, most + KVI_REDIS_ARGUMENT) : NULL;

    if (!at)
        return NULL;
    *command = (redis_command){.base = command->base, .arguments = arguments};
    command->base.listed = reply == REPLY_VALUES;
    return put_head(at, '*', arguments);
}

/* How far behind what is queued `at` lies. */
static size_t distance(const redis_session *session, const uint8_t *at)
{
    return (size_t)(at - (session->pipeline.net.out.data + session->pipeline.net.out.size));
}

void kvi_redis_end(redis_session *session, uint8_t *at)
{
    redis_command *command;

    kvi_net_wrote(&session->pipeline.net, distance(session, at));
    command = (redis_command *)kvi_pipeline_added(&session->pipeline);
    if (command->rest)
        command->rest_size = session->pipeline.net.out.size - command->rest;
}

uint8_t *kvi_redis_put_script(redis_session *session, uint8_t *at, redis_script script)
{
    redis_command *command = command_at(session, session->pipeline.count);

    at = kvi_redis_put_text(at, "EVALSHA");
    at = kvi_redis_put(at, kivi_bytes(kvi_redis_script_name(script), 40));
    command->script = (uint8_t)script;
    command->rest = session->pipeline.net.out.size + distance(session, at);
    return at;
}

/* ---- Scripts that the server does not know (any more) ---- */

bool kvi_redis_refuse_script(redis_session *session, redis_command *command)
{
    if (command->is_eval)
        return false; /* it had the text with it: a refusal like any other */
    command->refused = true;
    session->redo = true;
    return true;
}

static bool repeat_one(redis_session *session, const redis_command *old, bool with_text)
{
    kivi_slice text = kvi_redis_script_text(old->script);
    uint8_t *at = kvi_redis_begin(session, old->base.kind, old->base.item, old->base.count,
                                  old->arguments, 3 * KVI_REDIS_ARGUMENT + text.size + old->rest_size);
    redis_command *command = command_at(session, session->pipeline.count);

    if (!at)
        return false;
    if (with_text) {
        at = kvi_redis_put_text(at, "EVAL");
        at = kvi_redis_put(at, text);
        command->is_eval = true;
        command->script = old->script;
        command->rest = session->pipeline.net.out.size + distance(session, at);
    } else {
        at = kvi_redis_put_script(session, at, old->script);
    }
    memcpy(at, session->pipeline.net.out.data + old->rest, old->rest_size);
    kvi_redis_end(session, at + old->rest_size);
    return true;
}

bool kvi_redis_repeat(redis_session *session)
{
    bool known[SCRIPT_COUNT] = {false};
    size_t count = session->pipeline.count;

    session->redo = false;
    for (size_t i = 0; i < count; i++) {
        redis_command old = *command_at(session, i);
        if (!old.refused)
            continue;
        command_at(session, i)->refused = false;
        if (!repeat_one(session, &old, !known[old.script]))
            return false;
        known[old.script] = true;
    }
    return true;
}
