/* Sessions: one lane's connection, from connecting to the last reply of a verb. */
#include "redis.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

#define IDLE_NS \
    UINT64_C(50000000) /* after so long without use it is asked whether the server is still there */

#define ROUNDS 64 /* of receiving in one step */

/* As exact as a tick of the kernel's, which is enough for IDLE_NS, and five times cheaper than the core's clock. */
static uint64_t rough_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- Beginning and end ---- */

kivi_status kvi_redis_session_open(redis_instance *instance, redis_session **session, kivi_error **error)
{
    redis_session *made = calloc(1, sizeof(*made));

    *session = made;
    if (!made)
        return kvi_redis_no_memory(error);
    made->instance = instance;
    kvi_net_init(&made->net, &instance->settings.endpoint.targets[0]);
    return KIVI_OK;
}

static void free_session(redis_session *session)
{
    free(session->commands);
    free(session->order);
    free(session->places);
    free(session->again);
    free(session->page.bytes);
    free(session->page.keys);
    free(session);
}

void kvi_redis_session_close(redis_session *session)
{
    kvi_net_free(&session->net);
    free_session(session);
}

void kvi_redis_session_abandon(redis_session *session, bool in_verb)
{
    kvi_net_abandon(&session->net, !in_verb);
    if (!in_verb)
        free_session(session);
}

/* ---- How much of each item has left ---- */

static void set_sent(int32_t *sent, int32_t reached)
{
    if (*sent < reached)
        *sent = reached;
}

static void tell_command(redis_session *session, const redis_command *command, int32_t reached)
{
    if (command->more && reached == KIVI_SENT_WHOLLY)
        reached = KIVI_SENT_PARTLY;
    for (uint32_t i = 0; i < command->count; i++) {
        uint32_t index = command->item + i;
        if (session->job.verb == VERB_WRITE)
            set_sent(&write_item(session->job.writes, index)->sent, reached);
        else if (command->reply == REPLY_VALUES)
            set_sent(&read_item(session->job.reads, session->order[index])->sent, reached);
        else
            set_sent(&read_item(session->job.reads, index)->sent, reached);
    }
}

static void tell_sent(redis_session *session)
{
    const kvi_net *net = &session->net;

    if (session->job.verb == VERB_SCAN || session->phase != PHASE_READY)
        return;
    while (session->told < session->command_count) {
        const redis_command *command = &session->commands[session->told];
        if (net->begun <= command->begin)
            return;
        tell_command(session, command, net->sent >= command->end ? KIVI_SENT_WHOLLY : KIVI_SENT_PARTLY);
        if (net->sent < command->end)
            return;
        session->told++;
    }
}

/* ---- Failing ---- */

/* Why the answer to a change is not known. */
static const char *cut_reason(kivi_status status)
{
    return status == KIVI_CORRUPT ? KVI_REDIS_BREACH : "the connection ended before the answer came";
}

static void cut_off_read(kivi_read_item *item, kivi_status status)
{
    if (item->status != KIVI_PENDING || item->then == KIVI_THEN_NOTHING || item->sent == KIVI_SENT_NOTHING)
        return;
    item->error = kvi_redis_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_IF_IDEMPOTENT, "%s",
                                        cut_reason(status));
    item->status = KIVI_UNAVAILABLE;
}

static void cut_off_write(kivi_write_item *item, kivi_status status)
{
    if (item->status != KIVI_PENDING || item->sent == KIVI_SENT_NOTHING)
        return;
    item->error = kvi_redis_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_IF_IDEMPOTENT, "%s",
                                        cut_reason(status));
    item->status = KIVI_UNAVAILABLE;
}

static void forget_commands(redis_session *session)
{
    session->command_count = session->answered = session->told = 0;
    session->redo = session->condemned = session->behind = false;
    session->resp = (kvi_resp){0};
}

/* The connection is of no more use. Changes of which some has left may have happened: their items say so. */
static kivi_status fail(redis_session *session, kivi_status status)
{
    const redis_job *job = &session->job;

    if (job->verb == VERB_READ)
        for (size_t i = 0; i < job->reads->count; i++)
            cut_off_read(read_item(job->reads, i), status);
    else if (job->verb == VERB_WRITE)
        for (size_t i = 0; i < job->writes->count; i++)
            cut_off_write(write_item(job->writes, i), status);
    kvi_net_close(&session->net);
    session->phase = PHASE_CLOSED;
    session->job.verb = VERB_NONE;
    forget_commands(session);
    return status;
}

static kivi_status finish(redis_session *session, kivi_error **error)
{
    kivi_status status = session->condemned ? session->verdict : KIVI_OK;

    if (status) { /* every item has its own reason */
        *error = kvi_redis_host->error(status, 0, KIVI_RETRY_NO,
                                       "the server wants this connection no more");
        return fail(session, status);
    }
    session->job.verb = VERB_NONE;
    session->used_ns = rough_ns();
    kvi_net_rewind(&session->net);
    kvi_net_trim(&session->net);
    forget_commands(session);
    return KIVI_OK;
}

/* ---- The verb in progress ---- */

static kivi_status begin_verb(redis_session *session, kivi_error **error)
{
    switch (session->job.verb) {
    case VERB_READ:
        return kvi_redis_read_begin(session, error);
    case VERB_WRITE:
        return kvi_redis_write_begin(session, error);
    default:
        return kvi_redis_scan_begin(session, error);
    }
}

static kivi_status take_token(redis_session *session, const kvi_resp_token *token, kivi_error **error)
{
    redis_command *command = &session->commands[session->answered];

    if (session->phase == PHASE_LOGIN)
        return kvi_redis_login_reply(session, token, error);
    switch (session->job.verb) {
    case VERB_READ:
        return kvi_redis_read_reply(session, command, token, error);
    case VERB_WRITE:
        return kvi_redis_write_reply(session, command, token, error);
    default:
        return kvi_redis_scan_reply(session, command, token, error);
    }
}

static kivi_status end_verb(redis_session *session, kivi_error **error)
{
    switch (session->job.verb) {
    case VERB_READ:
        return kvi_redis_read_end(session, error);
    case VERB_WRITE:
        return kvi_redis_write_end(session, error);
    default:
        return kvi_redis_scan_end(session, error);
    }
}

/* Sends what is queued, as far as that goes. */
static kivi_status push(redis_session *session, kivi_error **error)
{
    kivi_status status = kvi_net_flush(&session->net, error);

    tell_sent(session);
    return status == KIVI_PENDING ? KIVI_OK : status;
}

/* Queues the verb's first commands and sends them. A vector with nothing to ask is done. */
static kivi_status start(redis_session *session, kivi_error **error)
{
    kivi_status status;

    forget_commands(session);
    status = begin_verb(session, error);
    if (status)
        return status;
    if (session->command_count == 0)
        return KIVI_OK;
    status = push(session, error);
    return status ? status : KIVI_PENDING;
}

/* ---- Replies ---- */

/* Reads replies out of what has come. OK: all that are awaited are there; PENDING: more must come. */
static kivi_status take_replies(redis_session *session, kivi_error **error)
{
    while (session->answered < session->command_count) {
        kvi_resp_token token;
        size_t size, used;
        const uint8_t *bytes = kvi_net_bytes(&session->net, &size);
        kivi_status status = kvi_resp_next(&session->resp, bytes, size, &used, &token);
        if (status == KIVI_OK)
            status = take_token(session, &token, error);
        else if (status == KIVI_CORRUPT)
            status = kvi_redis_breach(session, error);
        kvi_net_consume(&session->net, used);
        if (status == KIVI_PENDING && session->resp.need &&
            !kvi_net_expect(&session->net, session->resp.need))
            return kvi_redis_no_memory(error);
        if (status)
            return status;
        session->answered += token.last;
    }
    return KIVI_OK;
}

static kivi_status end_login(redis_session *session, kivi_error **error)
{
    kivi_status status;

    explicit_bzero(session->net.out.data, session->net.out.size); /* it held the password */
    kvi_net_rewind(&session->net);
    forget_commands(session);
    status = kvi_redis_login_end(session, error);
    if (status == KIVI_PENDING)
        return push(session, error) ? KIVI_UNAVAILABLE : KIVI_PENDING;
    if (status)
        return status;
    session->phase = PHASE_READY;
    return start(session, error);
}

/* All replies are there: the verb is done, or has queued another round. */
static kivi_status go_on(redis_session *session, kivi_error **error)
{
    kivi_status status;

    if (session->phase == PHASE_LOGIN)
        return end_login(session, error);
    status = end_verb(session, error);
    if (status != KIVI_PENDING)
        return status;
    status = push(session, error);
    return status ? status : KIVI_PENDING;
}

/*
 * Takes what has come and goes on with it. PENDING: nothing more to do now; or `behind`, so that whoever drives the
 * session looks at the time again: a server that never ends its answer does not hold him. `wait`: where nothing
 * is there it waits as a step may.
 */
static kivi_status receive(redis_session *session, bool wait, kivi_error **error)
{
    session->behind = false;
    for (unsigned rounds = 0; rounds < ROUNDS; rounds++) {
        kivi_status status = kvi_net_receive(&session->net, wait && rounds == 0, error);
        if (status)
            return status;
        status = take_replies(session, error);
        if (status == KIVI_OK)
            status = go_on(session, error);
        if (status != KIVI_PENDING)
            return status;
        if (!session->net.more)
            return KIVI_PENDING;
    }
    session->behind = true;
    return KIVI_PENDING;
}

/* ---- Steps ---- */

static kivi_status log_in(redis_session *session, kivi_error **error)
{
    kivi_status status;

    session->phase = PHASE_LOGIN;
    forget_commands(session);
    session->element = 0;
    status = kvi_redis_login_begin(session, error);
    if (status == KIVI_OK)
        status = push(session, error);
    return status ? status : KIVI_PENDING;
}

static kivi_status connect_to(redis_session *session, kivi_error **error)
{
    kivi_status status;

    session->phase = PHASE_CONNECTING;
    status = kvi_net_connect(&session->net, error);
    return status ? status : log_in(session, error);
}

static kivi_status settle(redis_session *session, kivi_status status, kivi_error **error)
{
    if (status == KIVI_PENDING)
        return status;
    return status ? fail(session, status) : finish(session, error);
}

kivi_status kvi_redis_session_begin(redis_session *session, const redis_job *job, kivi_error **error)
{
    kivi_status status;

    session->job = *job;
    if (session->phase == PHASE_READY &&
        (session->net.in.begin != session->net.in.end ||
         (rough_ns() - session->used_ns > IDLE_NS && kvi_net_is_stale(&session->net)))) {
        kvi_net_close(&session->net);
        session->phase = PHASE_CLOSED;
        kvi_redis_host->report(session->instance->reporter, KIVI_EVENT_RECONNECT, KIVI_OK, 1);
    }
    status = session->phase == PHASE_READY ? start(session, error) : connect_to(session, error);
    return settle(session, status, error);
}

static kivi_status step_connecting(redis_session *session, uint32_t revents, kivi_error **error)
{
    kivi_status status = kvi_net_advance(&session->net, revents, error);

    return status ? status : log_in(session, error);
}

kivi_status kvi_redis_session_step(redis_session *session, uint32_t revents, kivi_poll *poll,
                                   kivi_error **error)
{
    kivi_status status = KIVI_PENDING;

    if (session->job.verb == VERB_NONE) {
        *error = kvi_redis_host->error(KIVI_INTERNAL, 0, KIVI_RETRY_NO, "no verb is pending");
        return KIVI_INTERNAL;
    }
    if (session->phase == PHASE_CONNECTING) {
        /* The time of an address can be over without any event. */
        status = step_connecting(session, revents, error);
    } else if (revents || session->behind) {
        bool comes = revents & ~(uint32_t)POLLOUT || session->net.wants_write || session->behind;
        status = push(session, error);
        if (status == KIVI_OK)
            status = comes ? receive(session, revents & KIVI_STEP_WAITS, error) : KIVI_PENDING;
    }
    status = settle(session, status, error);
    if (status != KIVI_PENDING)
        return status;
    kvi_net_wait(&session->net, poll);
    if (session->behind)
        poll->timeout_ns = 0;
    return KIVI_PENDING;
}
