/* What a node of a cluster is asked that no key is asked for. */
#include "cluster.h"

static bool queue_question(redis_session *node, const char *first, const char *second)
{
    uint8_t *at = kvi_redis_begin(node, REPLY_ASKED, 0, 1, second ? 2 : 1, 2 * KVI_REDIS_ARGUMENT);

    if (!at)
        return false;
    at = kvi_redis_put_text(at, first);
    kvi_redis_end(node, second ? kvi_redis_put_text(at, second) : at);
    return true;
}

kivi_status kvi_cluster_question_begin(redis_session *node, kivi_error **error)
{
    bool queued;

    if (node->job.verb == VERB_MAP)
        queued = queue_question(node, "CLUSTER", "SLOTS");
    else if (node->job.verb == VERB_OWN)
        queued = queue_question(node, "CLUSTER", "NODES");
    else
        queued = queue_question(node, "PING", NULL);
    return queued ? KIVI_OK : kvi_redis_no_memory(error);
}

static kivi_status refuse(kivi_slice text, kivi_error **error)
{
    redis_refusal refusal = kvi_redis_judge(text);

    *error = kvi_redis_refused(&refusal);
    return refusal.status;
}

/* Nodes that its slots go to may have none yet: then no map has them. */
static kivi_status take_own(redis_session *node, kivi_slice text, kivi_error **error)
{
    cluster_session *session = node->cluster;
    bool by_name = node->pipeline.net.target->tls != NULL; /* as its certificate has it */
    cluster_named named;

    if (!kvi_own_read(&session->own, &session->walk.done, text))
        return kvi_redis_breach(node, error);
    for (size_t i = 0; i < session->own.leaving_count; i++) {
        const slot_leaving *leaving = &session->own.leaving[i];
        if (kvi_cluster_node_named(session->cluster, leaving->target) != NODE_NONE)
            continue;
        if (!kvi_own_find(&named, leaving->target, by_name, text)) {
            *error = kvi_redis_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
                                           "slot %u goes to a node that has no address", leaving->slot);
            return KIVI_UNAVAILABLE;
        }
        kvi_cluster_add_named(session->cluster, &named);
    }
    return KIVI_OK;
}

kivi_status kvi_cluster_question_reply(redis_session *node, const kvi_resp_token *token, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    if (token->kind == KVI_RESP_ERROR)
        return refuse(token->bytes, error);
    if (node->job.verb == VERB_MAP)
        status = kvi_draft_take(node->cluster->draft, token);
    else if (node->job.verb == VERB_OWN && token->kind == KVI_RESP_STRING)
        return take_own(node, token->bytes, error);
    else if (node->job.verb == VERB_OWN)
        status = KIVI_CORRUPT;
    if (status == KIVI_NO_MEMORY)
        return kvi_redis_no_memory(error);
    return status ? kvi_redis_breach(node, error) : KIVI_OK;
}
