/* Commands in flight, and the life of their connection: logging in, the rounds of a verb, and failing. */
#include "pipeline.h"
#include "../../../core/base/platform.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_NS \
    UINT64_C(50000000) /* after so long without use it is asked whether the server is still there */
#define FIRST_ROOM 16  /* of commands */
#define ROUNDS 64      /* of receiving in one step */

static const kivi_host *core_of(const kvi_pipeline *pipeline)
{
    return pipeline->net.target->place.core;
}

/* ---- Beginning and end ---- */

void kvi_pipeline_init(kvi_pipeline *pipeline, const kvi_protocol *protocol, void *owner,
                       const kvi_net_target *target, void *reporter)
{
    *pipeline = (kvi_pipeline){.protocol = protocol, .owner = owner, .reporter = reporter};
    kvi_net_init(&pipeline->net, target);
}

void kvi_pipeline_free(kvi_pipeline *pipeline)
{
    kvi_net_free(&pipeline->net);
    free(pipeline->commands);
    pipeline->commands = NULL;
}

void kvi_pipeline_abandon(kvi_pipeline *pipeline, bool whole)
{
    kvi_net_abandon(&pipeline->net, whole);
    if (whole)
        free(pipeline->commands);
}

/* ---- Commands ---- */

bool kvi_pipeline_grow(kvi_pipeline *pipeline)
{
    size_t room = pipeline->room ? 2 * pipeline->room : FIRST_ROOM;
    uint8_t *more = realloc(pipeline->commands, room * pipeline->protocol->command_size);

    if (!more)
        return false;
    pipeline->commands = more;
    pipeline->room = room;
    return true;
}

static void forget_commands(kvi_pipeline *pipeline)
{
    pipeline->count = pipeline->answered = pipeline->told = 0;
    pipeline->condemned = pipeline->behind = pipeline->held = false;
}

void kvi_pipeline_renew(kvi_pipeline *pipeline)
{
    pipeline->count = pipeline->answered = pipeline->told = 0;
    kvi_net_rewind(&pipeline->net);
}

/* ---- How much of each item has left ---- */

static void raise_to(int32_t *sent, int32_t reached)
{
    if (*sent < reached)
        *sent = reached;
}

static void tell_command(kvi_pipeline *pipeline, const kvi_command *command, int32_t reached)
{
    if (command->more && reached == KIVI_SENT_WHOLLY)
        reached = KIVI_SENT_PARTLY;
    for (uint32_t i = 0; i < command->count; i++) {
        uint32_t index = command->item + i;
        if (command->listed)
            index = pipeline->order[index];
        if (pipeline->writes)
            raise_to(&kivi_write_item_at(pipeline->writes, index)->sent, reached);
        else
            raise_to(&kivi_read_item_at(pipeline->reads, index)->sent, reached);
    }
}

static void tell_sent(kvi_pipeline *pipeline)
{
    const kvi_net *net = &pipeline->net;

    if (pipeline->phase != KVI_PHASE_READY || (!pipeline->reads && !pipeline->writes))
        return;
    while (pipeline->told < pipeline->count) {
        const kvi_command *command = kvi_pipeline_command(pipeline, pipeline->told);
        bool whole = net->sent >= command->end;
        if (net->begun <= command->begin)
            return;
        if (!command->unasked)
            tell_command(pipeline, command, whole ? KIVI_SENT_WHOLLY : KIVI_SENT_PARTLY);
        if (!whole)
            return;
        pipeline->told++;
    }
}

/* ---- Failing ---- */

static kivi_error *cut_off(const kvi_pipeline *pipeline, kivi_status status)
{
    return core_of(pipeline)->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_IF_IDEMPOTENT, "%s",
                                    status == KIVI_CORRUPT && pipeline->protocol->breach
                                        ? pipeline->protocol->breach
                                        : "the connection ended before the answer came");
}

static bool owns(const kvi_pipeline *pipeline, size_t index)
{
    return !pipeline->protocol->owns || pipeline->protocol->owns(pipeline->owner, index);
}

/* Changes of which some has left may have happened: their items say so. */
static void cut_off_reads(const kvi_pipeline *pipeline, kivi_status status)
{
    for (size_t i = 0; i < pipeline->reads->count; i++) {
        kivi_read_item *item = kivi_read_item_at(pipeline->reads, i);
        if (item->status != KIVI_PENDING || item->then == KIVI_THEN_NOTHING ||
            item->sent == KIVI_SENT_NOTHING || !owns(pipeline, i))
            continue;
        item->error = cut_off(pipeline, status);
        item->status = KIVI_UNAVAILABLE;
    }
}

static void cut_off_writes(const kvi_pipeline *pipeline, kivi_status status)
{
    for (size_t i = 0; i < pipeline->writes->count; i++) {
        kivi_write_item *item = kivi_write_item_at(pipeline->writes, i);
        if (item->status != KIVI_PENDING || item->sent == KIVI_SENT_NOTHING || !owns(pipeline, i))
            continue;
        item->error = cut_off(pipeline, status);
        item->status = KIVI_UNAVAILABLE;
    }
}

static void end_use(kvi_pipeline *pipeline)
{
    pipeline->busy = false;
    pipeline->reads = NULL;
    pipeline->writes = NULL;
    forget_commands(pipeline);
}

/* It may have held a password. */
static void wipe_login(kvi_pipeline *pipeline)
{
    if (pipeline->net.out.data)
        kvi_erase(pipeline->net.out.data, pipeline->net.out.size);
}

/* The connection is of no more use. */
static kivi_status fail(kvi_pipeline *pipeline, kivi_status status)
{
    if (pipeline->phase == KVI_PHASE_LOGIN)
        wipe_login(pipeline);
    if (pipeline->reads)
        cut_off_reads(pipeline, status);
    else if (pipeline->writes)
        cut_off_writes(pipeline, status);
    kvi_net_close(&pipeline->net);
    pipeline->phase = KVI_PHASE_CLOSED;
    end_use(pipeline);
    return status;
}

void kvi_pipeline_give_up(kvi_pipeline *pipeline)
{
    fail(pipeline, KIVI_UNAVAILABLE);
}

static kivi_status finish(kvi_pipeline *pipeline, kivi_error **error)
{
    kivi_status status = pipeline->condemned ? pipeline->verdict : KIVI_OK;

    if (status) { /* every item has its own reason; those that the server did not touch may be sent again */
        *error = core_of(pipeline)->error(status, 0,
                                          status == KIVI_UNAVAILABLE ? KIVI_RETRY_YES : KIVI_RETRY_NO,
                                          "the server wants this connection no more");
        return fail(pipeline, status);
    }
    pipeline->used_ns = kvi_coarse_ns();
    kvi_net_rewind(&pipeline->net);
    kvi_net_trim(&pipeline->net);
    end_use(pipeline);
    return KIVI_OK;
}

static kivi_status settle(kvi_pipeline *pipeline, kivi_status status, kivi_error **error)
{
    if (status == KIVI_PENDING)
        return status;
    return status ? fail(pipeline, status) : finish(pipeline, error);
}

/* ---- Rounds ---- */

/* Sends what is queued, as far as that goes. */
static kivi_status push(kvi_pipeline *pipeline, kivi_error **error)
{
    kivi_status status = kvi_net_flush(&pipeline->net, error);

    tell_sent(pipeline);
    return status == KIVI_PENDING ? KIVI_OK : status;
}

/* PENDING: what was queued is on its way. */
static kivi_status await(kvi_pipeline *pipeline, kivi_error **error)
{
    kivi_status status = push(pipeline, error);

    return status ? status : KIVI_PENDING;
}

/* Queues the verb's first commands and sends them. A verb with nothing to ask is done. */
static kivi_status start(kvi_pipeline *pipeline, kivi_error **error)
{
    kivi_status status = pipeline->protocol->begin(pipeline->owner, error);

    if (status)
        return status;
    return pipeline->count ? await(pipeline, error) : KIVI_OK;
}

static kivi_status end_login(kvi_pipeline *pipeline, kivi_error **error)
{
    kivi_status status;

    wipe_login(pipeline);
    kvi_net_rewind(&pipeline->net);
    forget_commands(pipeline);
    status = pipeline->protocol->login_end(pipeline->owner, error);
    if (status == KIVI_PENDING)
        return await(pipeline, error);
    if (status)
        return status;
    pipeline->phase = KVI_PHASE_READY;
    return start(pipeline, error);
}

/* All replies are there: the verb is done, or has queued another round. */
static kivi_status go_on(kvi_pipeline *pipeline, kivi_error **error)
{
    kivi_status status;

    if (pipeline->phase == KVI_PHASE_LOGIN)
        return end_login(pipeline, error);
    status = pipeline->protocol->end(pipeline->owner, error);
    return status == KIVI_PENDING ? await(pipeline, error) : status;
}

/* ---- Replies ---- */

/* The rest would be read through an item that has its status, or be missing on the wire. */
static kivi_status answered_early(kvi_pipeline *pipeline, kivi_error **error)
{
    *error = core_of(pipeline)->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
                                      "the server answered before all of the request had left");
    return KIVI_UNAVAILABLE;
}

static bool has_left(const kvi_pipeline *pipeline, const kvi_command *command)
{
    return pipeline->net.sent >= command->end || pipeline->phase != KVI_PHASE_READY;
}

/* Reads replies out of what has come. OK: all that are awaited are there; PENDING: more must come. */
static kivi_status take_replies(kvi_pipeline *pipeline, kivi_error **error)
{
    pipeline->held = false;
    while (pipeline->answered < pipeline->count) {
        kvi_portion portion = {0};
        kvi_command *command = kvi_pipeline_command(pipeline, pipeline->answered);
        size_t size;
        const uint8_t *bytes = kvi_net_bytes(&pipeline->net, &size);
        kivi_status status;
        if (pipeline->protocol->reads_on && !has_left(pipeline, command)) {
            pipeline->held = size > 0;
            return KIVI_PENDING;
        }
        status = pipeline->protocol->reply(pipeline->owner, command, bytes, size, &portion, error);
        kvi_net_consume(&pipeline->net, portion.used);
        if (status == KIVI_PENDING && portion.need && !kvi_net_expect(&pipeline->net, portion.need))
            return kvi_place_no_memory(&pipeline->net.target->place, error);
        if (status)
            return status;
        if (!portion.last)
            continue;
        if (!has_left(pipeline, command))
            return answered_early(pipeline, error);
        pipeline->answered++;
    }
    return KIVI_OK;
}

/*
 * Takes what has come and goes on with it. PENDING: nothing more to do now; or `behind`, so that whoever drives looks
 * at the time again: a server that never ends its answer does not hold him. `wait`: where nothing is there it waits
 * as a step may.
 */
static kivi_status receive(kvi_pipeline *pipeline, bool wait, kivi_error **error)
{
    pipeline->behind = false;
    for (unsigned rounds = 0; rounds < ROUNDS; rounds++) {
        bool held = pipeline->held;
        kivi_status status = kvi_net_receive(&pipeline->net, wait && !held && rounds == 0, error);
        if (status && !(status == KIVI_PENDING && held))
            return status;
        status = take_replies(pipeline, error);
        if (status == KIVI_OK)
            status = go_on(pipeline, error);
        if (status != KIVI_PENDING)
            return status;
        if (!pipeline->net.more)
            return KIVI_PENDING;
    }
    pipeline->behind = true;
    return KIVI_PENDING;
}

/* ---- Steps ---- */

static kivi_status log_in(kvi_pipeline *pipeline, kivi_error **error)
{
    kivi_status status;

    forget_commands(pipeline);
    if (!pipeline->protocol->login) {
        pipeline->phase = KVI_PHASE_READY;
        return start(pipeline, error);
    }
    pipeline->phase = KVI_PHASE_LOGIN;
    status = pipeline->protocol->login(pipeline->owner, error);
    return status ? status : await(pipeline, error);
}

static kivi_status connect_to(kvi_pipeline *pipeline, kivi_error **error)
{
    kivi_status status;

    pipeline->phase = KVI_PHASE_CONNECTING;
    status = kvi_net_connect(&pipeline->net, error);
    return status ? status : log_in(pipeline, error);
}

/* Bytes that nobody asked for, or an end that was not noticed while it was idle. */
static bool is_stale(const kvi_pipeline *pipeline)
{
    return pipeline->net.in.begin != pipeline->net.in.end ||
           (kvi_coarse_ns() - pipeline->used_ns > IDLE_NS && kvi_net_is_stale(&pipeline->net));
}

bool kvi_pipeline_is_ready(kvi_pipeline *pipeline)
{
    if (pipeline->phase == KVI_PHASE_READY && is_stale(pipeline)) {
        kvi_net_close(&pipeline->net);
        pipeline->phase = KVI_PHASE_CLOSED;
        core_of(pipeline)->report(pipeline->reporter, KIVI_EVENT_RECONNECT, KIVI_OK, 1);
    }
    return pipeline->phase == KVI_PHASE_READY;
}

kivi_status kvi_pipeline_begin(kvi_pipeline *pipeline, kivi_read_vector *reads,
                               kivi_write_vector *writes, kivi_error **error)
{
    kivi_status status;

    pipeline->busy = true;
    pipeline->reads = reads;
    pipeline->writes = writes;
    status = kvi_pipeline_is_ready(pipeline) ? start(pipeline, error) : connect_to(pipeline, error);
    return settle(pipeline, status, error);
}

/* The time of an address can be over without any event. */
static kivi_status step_connecting(kvi_pipeline *pipeline, uint32_t revents, kivi_error **error)
{
    kivi_status status = kvi_net_advance(&pipeline->net, revents, error);

    return status ? status : log_in(pipeline, error);
}

static kivi_status step_open(kvi_pipeline *pipeline, uint32_t revents, kivi_error **error)
{
    bool comes = revents & ~(uint32_t)POLLOUT || pipeline->net.wants_write || pipeline->behind ||
                 pipeline->held;
    kivi_status status = push(pipeline, error);

    if (status)
        return status;
    return comes ? receive(pipeline, revents & KIVI_STEP_WAITS, error) : KIVI_PENDING;
}

kivi_status kvi_pipeline_step(kvi_pipeline *pipeline, uint32_t revents, kivi_poll *poll, kivi_error **error)
{
    kivi_status status = KIVI_PENDING;

    if (!pipeline->busy) {
        *error = core_of(pipeline)->error(KIVI_INTERNAL, 0, KIVI_RETRY_NO, "no verb is pending");
        return KIVI_INTERNAL;
    }
    if (pipeline->phase == KVI_PHASE_CONNECTING)
        status = step_connecting(pipeline, revents, error);
    else if (revents || pipeline->behind)
        status = step_open(pipeline, revents, error);
    status = settle(pipeline, status, error);
    if (status != KIVI_PENDING)
        return status;
    kvi_net_wait(&pipeline->net, poll);
    if (pipeline->behind)
        poll->timeout_ns = 0;
    return KIVI_PENDING;
}
