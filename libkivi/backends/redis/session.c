/* Sessions: one lane's connection, as the pipeline wants its protocol. */
#include "cluster.h"
#include "sentinel.h"

#include <stdlib.h>

/* ---- The protocol ---- */

static kivi_status log_in(void *owner, kivi_error **error)
{
    redis_session *session = owner;

    session->resp = (kvi_resp){0};
    session->element = 0;
    return kvi_redis_login_begin(session, error);
}

static kivi_status end_login(void *owner, kivi_error **error)
{
    return kvi_redis_login_end(owner, error);
}

static kivi_status begin_verb(void *owner, kivi_error **error)
{
    redis_session *session = owner;

    session->resp = (kvi_resp){0};
    session->redo = false;
    if (session->job.verb > VERB_SCAN)
        return kvi_cluster_question_begin(session, error);
    switch (session->job.verb) {
    case VERB_READ:
        return kvi_redis_read_begin(session, error);
    case VERB_WRITE:
        return kvi_redis_write_begin(session, error);
    default:
        return kvi_redis_scan_begin(session, error);
    }
}

static kivi_status take_token(redis_session *session, redis_command *command,
                              const kvi_resp_token *token, kivi_error **error)
{
    if (command->base.kind == REPLY_LOGIN)
        return kvi_redis_login_reply(session, command, token, error);
    if (command->base.kind == REPLY_ASKING)
        return KIVI_OK; /* where it was refused, so is the command behind it */
    if (command->base.kind == REPLY_ASKED)
        return kvi_cluster_question_reply(session, token, error);
    switch (session->job.verb) {
    case VERB_READ:
        return kvi_redis_read_reply(session, command, token, error);
    case VERB_WRITE:
        return kvi_redis_write_reply(session, command, token, error);
    default:
        return kvi_redis_scan_reply(session, command, token, error);
    }
}

static kivi_status take_reply(void *owner, kvi_command *command, const uint8_t *bytes, size_t size,
                              kvi_portion *portion, kivi_error **error)
{
    redis_session *session = owner;
    kvi_resp_token token;
    kivi_status status = kvi_redis_token(&session->resp, bytes, size, portion, &token, error);

    if (status)
        return status;
    return take_token(session, (redis_command *)command, &token, error);
}

static kivi_status end_verb(void *owner, kivi_error **error)
{
    redis_session *session = owner;

    if (session->job.verb > VERB_SCAN)
        return KIVI_OK;
    switch (session->job.verb) {
    case VERB_READ:
        return kvi_redis_read_end(session, error);
    case VERB_WRITE:
        return kvi_redis_write_end(session, error);
    default:
        return kvi_redis_scan_end(session, error);
    }
}

/* A cluster's node has some of the items, a single server all. */
static bool owns(void *owner, size_t index)
{
    const redis_session *session = owner;

    return !session->member || kvi_members_owns(&session->cluster->members, session->place, index);
}

static const kvi_protocol protocol = {
    .command_size = sizeof(redis_command),
    .login = log_in,
    .login_end = end_login,
    .begin = begin_verb,
    .reply = take_reply,
    .end = end_verb,
    .owns = owns,
    .breach = KVI_REDIS_BREACH,
};

/* ---- Sessions ---- */

static redis_session *new_session(redis_instance *instance)
{
    redis_session *made = calloc(1, sizeof(*made));

    if (made)
        made->instance = instance;
    return made;
}

kivi_status kvi_redis_node_open(redis_instance *instance, const kvi_net_target *target,
                                redis_session **session, kivi_error **error)
{
    *session = new_session(instance);
    if (!*session)
        return kvi_redis_no_memory(error);
    kvi_pipeline_init(&(*session)->pipeline, &protocol, *session, target, instance->reporter);
    return KIVI_OK;
}

kivi_status kvi_redis_session_open(redis_instance *instance, redis_session **session, kivi_error **error)
{
    const kvi_net_target *target = &instance->settings.endpoint.targets[0];
    redis_session *made = new_session(instance);

    *session = NULL;
    if (!made)
        return kvi_redis_no_memory(error);
    if (instance->settings.sentinels) {
        made->seek = kvi_redis_seek_new(made);
        if (!made->seek) {
            free(made);
            return kvi_redis_no_memory(error);
        }
        target = kvi_redis_seek_target(made->seek);
    }
    kvi_pipeline_init(&made->pipeline, &protocol, made, target, instance->reporter);
    *session = made;
    return KIVI_OK;
}

static void free_session(redis_session *session)
{
    free(session->order);
    free(session->places);
    free(session->again);
    free(session->page.bytes);
    free(session->page.keys);
    free(session);
}

void kvi_redis_session_close(redis_session *session)
{
    kvi_pipeline_free(&session->pipeline);
    kvi_redis_seek_free(session->seek);
    free_session(session);
}

void kvi_redis_session_abandon(redis_session *session, bool in_verb)
{
    kvi_pipeline_abandon(&session->pipeline, !in_verb);
    kvi_redis_seek_abandon(session->seek, !in_verb);
    if (!in_verb)
        free_session(session);
}

kivi_status kvi_redis_session_begin(redis_session *session, const redis_job *job, kivi_error **error)
{
    session->job = *job;
    if (session->seek)
        return kvi_redis_seek_begin(session->seek, error);
    return kvi_pipeline_begin(&session->pipeline, job->reads, job->writes, error);
}

kivi_status kvi_redis_session_step(redis_session *session, uint32_t revents, kivi_poll *poll,
                                   kivi_error **error)
{
    if (session->seek)
        return kvi_redis_seek_step(session->seek, revents, poll, error);
    return kvi_pipeline_step(&session->pipeline, revents, poll, error);
}
