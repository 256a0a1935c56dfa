/* Scans of a cluster: one node after the other. */
#include "cluster.h"

#define NODES_A_PAGE 32 /* that had nothing, before an empty page is given */

/* ---- Pages ---- */

kivi_status kvi_cluster_begin_scan(cluster_session *session, kivi_error **error)
{
    if (kvi_walk_read(&session->walk, session->job.range->cursor))
        return KIVI_OK;
    *error = kvi_redis_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "not a cursor of a Redis cluster");
    return KIVI_INVALID;
}

/* A slot that was leaving when its node was walked is looked for where it went. */
static uint16_t target_of(cluster_session *session, uint32_t slot)
{
    for (size_t i = 0; i < session->walk.leaving_count; i++)
        if (session->walk.leaving[i].slot == slot)
            return kvi_cluster_node_named(session->cluster, session->walk.leaving[i].target);
    return NODE_NONE;
}

/* The node that the walk is in, or the one of the next slot. */
static uint16_t choose_node(cluster_session *session)
{
    uint32_t slot = kvi_walk_next(&session->walk);
    uint16_t place = NODE_NONE;

    if (session->walk.inside)
        place = kvi_cluster_node_of(session->cluster, session->walk.server);
    if (place == NODE_NONE)
        place = target_of(session, slot);
    return place == NODE_NONE ? kvi_cluster_owner(session->cluster, (uint16_t)slot) : place;
}

kivi_status kvi_cluster_begin_page(cluster_session *session, kivi_error **error)
{
    kivi_status status;

    session->walked = choose_node(session);
    if (session->walked == NODE_NONE) {
        kvi_cluster_suspect(session->cluster);
        *error = kvi_redis_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
                                       "no node of the cluster has slot %u",
                                       kvi_walk_next(&session->walk));
        return KIVI_UNAVAILABLE;
    }
    status = kvi_cluster_open_node(session, session->walked, error);
    if (status)
        return status;
    session->walk.goes_on = session->walk.delivered = false;
    session->nodes[session->walked]->job = session->job;
    return kvi_members_begin_on(&session->members, session->walked, error);
}

static kivi_status give_walk(cluster_session *session)
{
    uint8_t bytes[WALK_MOST];

    return session->job.sink->cursor(session->job.sink,
                                     kivi_bytes(bytes, kvi_walk_write(&session->walk, bytes)));
}

kivi_status kvi_cluster_end_page(cluster_session *session, kivi_error **error)
{
    if (session->walk.goes_on)
        return give_walk(session);
    session->phase = PHASE_OWN;
    session->nodes[session->walked]->job = (redis_job){.verb = VERB_OWN};
    return kvi_members_begin_on(&session->members, session->walked, error);
}

static bool has_lost_some(const cluster_walk *walk, const cluster_own *own)
{
    for (size_t i = 0; i < sizeof(own->has.bits); i++)
        if (walk->begun.bits[i] & ~own->has.bits[i])
            return true;
    return false;
}

kivi_status kvi_cluster_end_node(cluster_session *session, kivi_error **error)
{
    if (has_lost_some(&session->walk, &session->own))
        kvi_cluster_suspect(session->cluster);
    kvi_walk_end_node(&session->walk, &session->own);
    if (kvi_walk_first(&session->walk) == SLOTS)
        return KIVI_OK;
    if (session->walk.delivered || ++session->rounds >= NODES_A_PAGE)
        return give_walk(session);
    session->phase = PHASE_PAGE; /* nothing so far: the page goes on at the next node */
    return kvi_cluster_begin_page(session, error);
}
