/* The connections of a cluster's session, one a node, opened on demand. */
#include "cluster.h"

#include <stdlib.h>

static bool room_for_nodes(cluster_session *session, size_t count)
{
    redis_session **more;
    bool grown;

    if (count <= session->node_room)
        return true;
    grown = kvi_members_grow(&session->members, count);
    for (size_t i = 0; i < session->node_room; i++) /* they may lie elsewhere now, also where it failed */
        if (session->nodes[i])
            session->nodes[i]->member = &session->members.all[i];
    if (!grown)
        return false;
    more = realloc(session->nodes, count * sizeof(*more));
    if (!more)
        return false;
    memset(more + session->node_room, 0, (count - session->node_room) * sizeof(*more));
    session->nodes = more;
    session->node_room = count;
    return true;
}

kivi_status kvi_cluster_open_node(cluster_session *session, uint16_t place, kivi_error **error)
{
    size_t count = atomic_load_explicit(&session->cluster->count, memory_order_acquire);
    redis_session *node = NULL;
    kivi_status status;

    if (!room_for_nodes(session, count > place ? count : (size_t)place + 1))
        return kvi_redis_no_memory(error);
    if (session->nodes[place])
        return KIVI_OK;
    status = kvi_redis_node_open(session->instance,
                                 &kvi_cluster_hold(session->cluster, place)->target, &node, error);
    if (status) {
        kvi_cluster_release(session->cluster, place);
        return status;
    }
    node->cluster = session;
    node->place = place;
    node->member = &session->members.all[place];
    session->nodes[place] = node;
    kvi_members_put(&session->members, place, &node->pipeline);
    return KIVI_OK;
}

void kvi_cluster_close_node(cluster_session *session, uint16_t place)
{
    kvi_members_put(&session->members, place, NULL);
    kvi_redis_session_close(session->nodes[place]);
    session->nodes[place] = NULL;
    kvi_cluster_release(session->cluster, place);
}

void kvi_cluster_look_through(cluster_session *session)
{
    uint32_t generation = atomic_load_explicit(&session->cluster->generation, memory_order_acquire);

    if (generation == session->generation)
        return;
    session->generation = generation;
    for (size_t i = 0; i < session->node_room; i++)
        if (session->nodes[i] && !kvi_cluster_wants(session->cluster, (uint16_t)i))
            kvi_cluster_close_node(session, (uint16_t)i);
}
