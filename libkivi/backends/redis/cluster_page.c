/* A page of a cluster's scan, as the node sees it that is walked. */
#include "cluster.h"

/* The node is walked from its begin: what it has by the map may be done at its end. */
static void begin_node(cluster_session *session, const redis_session *node)
{
    cluster_walk *walk = &session->walk;

    walk->server = node->login.server;
    walk->inside = true;
    walk->inner = (redis_position){0};
    memset(&walk->begun, 0, sizeof(walk->begun));
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (kvi_cluster_owner(session->cluster, (uint16_t)slot) == node->place)
            slots_add(&walk->begun, slot);
}

redis_position kvi_cluster_position(redis_session *node)
{
    cluster_session *session = node->cluster;

    if (!session->walk.inside || session->walk.server != node->login.server)
        begin_node(session, node);
    return session->walk.inner;
}

kivi_status kvi_cluster_give_cursor(redis_session *node, const redis_position *position)
{
    node->cluster->walk.inner = *position;
    node->cluster->walk.goes_on = true;
    return KIVI_OK;
}

bool kvi_cluster_is_stranger(const redis_session *node, kivi_slice key)
{
    return kvi_cluster_owner(node->cluster->cluster, kvi_cluster_slot(key)) != node->place;
}

void kvi_cluster_lost_key(redis_session *node, kivi_slice key)
{
    kvi_cluster_suspect(node->cluster->cluster);
    kvi_walk_lose(&node->cluster->walk, kvi_cluster_slot(key));
}

void kvi_cluster_delivered(redis_session *node)
{
    node->cluster->walk.delivered = true;
}
