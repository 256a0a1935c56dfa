/* Reads and writes of a cluster: items by their slots, side by side on their nodes, and again where a node sends them elsewhere. */
#include "cluster.h"

#include <stdlib.h>

#define ROUNDS_MOST \
    16 /* of one verb; what is left then is asked again by the core, which waits in between */

/* ---- Turns ---- */

static bool room_for_turns(cluster_session *session, size_t count)
{
    size_t room = session->turn_room ? session->turn_room : 16;
    cluster_turn *turns, *now;

    if (count <= session->turn_room)
        return true;
    while (room < count)
        room *= 2;
    turns = realloc(session->turns, room * sizeof(*turns));
    if (turns)
        session->turns = turns;
    now = realloc(session->now, room * sizeof(*now));
    if (now)
        session->now = now;
    if (!turns || !now)
        return false;
    session->turn_room = room;
    return true;
}

static size_t count_items(const redis_job *job)
{
    return job->reads ? job->reads->count : job->writes->count;
}

static kivi_slice key_of(const redis_job *job, size_t index)
{
    return job->reads ? read_item(job->reads, index)->key : write_item(job->writes, index)->key;
}

/* Only plain reads may go to a replica. */
static uint16_t reader_of(cluster_session *session, size_t index, uint16_t slot, uint16_t owner)
{
    uint16_t reader = atomic_load_explicit(&session->cluster->reader[slot], memory_order_relaxed);

    if (!session->cluster->reads_replicas || !session->job.reads || reader == NODE_NONE ||
        read_item(session->job.reads, index)->then != KIVI_THEN_NOTHING ||
        kvi_members_is_away(&session->members, reader))
        return owner;
    return reader;
}

static uint16_t place_of(cluster_session *session, size_t index)
{
    uint16_t slot = kvi_cluster_slot(key_of(&session->job, index));

    return reader_of(session, index, slot, kvi_cluster_owner(session->cluster, slot));
}

static void fail_item(cluster_session *session, size_t index, kivi_status status, kivi_error *error)
{
    if (session->job.reads) {
        read_item(session->job.reads, index)->error = error;
        read_item(session->job.reads, index)->status = status;
    } else {
        write_item(session->job.writes, index)->error = error;
        write_item(session->job.writes, index)->status = status;
    }
}

/* ---- Rounds ---- */

/* The nodes that have no connection yet get one; an item whose slot nobody has fails. */
static kivi_status put_item(cluster_session *session, size_t index, uint32_t *place, kivi_error **error)
{
    cluster_turn *now = &session->now[index];

    *now = session->turns[index];
    session->turns[index] = (cluster_turn){NODE_NONE, false};
    if (now->place == NODE_NONE)
        now->place = place_of(session, index);
    *place = now->place;
    if (now->place != NODE_NONE)
        return kvi_cluster_open_node(session, now->place, error);
    *place = KVI_NOWHERE;
    kvi_cluster_suspect(session->cluster);
    fail_item(session, index, KIVI_UNAVAILABLE,
              kvi_redis_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
                                    "no node of the cluster has the key's slot"));
    return KIVI_OK;
}

/* An atomic batch is one script, and its keys are in one slot, or nothing is sent. */
static bool is_whole(const redis_job *job)
{
    uint16_t slot;

    if (job->reads || !(job->writes->flags & KIVI_VECTOR_ATOMIC) || job->writes->count == 0)
        return true;
    slot = kvi_cluster_slot(key_of(job, 0));
    for (size_t i = 1; i < job->writes->count; i++)
        if (kvi_cluster_slot(key_of(job, i)) != slot)
            return false;
    return true;
}

static kivi_status refuse_batch(cluster_session *session)
{
    for (size_t i = 0; i < session->job.writes->count; i++)
        fail_item(session, i, KIVI_UNSUPPORTED,
                  kvi_redis_host->error(KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO,
                                        "an atomic batch over several slots of the cluster: its "
                                        "keys need a {tag} in common"));
    return KIVI_OK;
}

kivi_status kvi_cluster_begin_items(cluster_session *session, kivi_error **error)
{
    const redis_job *job = &session->job;
    size_t count = count_items(job);
    uint32_t *places = kvi_members_places(&session->members, count);
    kivi_status status = KIVI_OK;

    if (!places || !room_for_turns(session, count))
        return kvi_redis_no_memory(error);
    if (session->rounds == 0) {
        if (!is_whole(job))
            return refuse_batch(session);
        for (size_t i = 0; i < count; i++)
            session->turns[i] = (cluster_turn){NODE_NONE, false};
    }
    session->rounds++;
    session->turned = false;
    for (size_t i = 0; status == KIVI_OK && i < count; i++) {
        if (is_pending(job, i))
            status = put_item(session, i, &places[i], error);
        else
            places[i] = KVI_NOWHERE;
    }
    if (status)
        return status;
    for (size_t i = 0; i < session->node_room; i++)
        if (session->nodes[i])
            session->nodes[i]->job = *job;
    return kvi_members_begin(&session->members, job->reads, job->writes, error);
}

/* A replica that is not there is no reason for a read to fail. */
static void ask_owner(cluster_session *session, size_t index)
{
    kivi_read_item *item = read_item(session->job.reads, index);
    uint16_t owner = kvi_cluster_owner(session->cluster, kvi_cluster_slot(item->key));

    if (item->status != KIVI_UNAVAILABLE || item->then != KIVI_THEN_NOTHING || owner == NODE_NONE ||
        session->now[index].place == owner)
        return;
    kvi_redis_host->error_free(item->error);
    item->error = NULL;
    item->sent = KIVI_SENT_NOTHING;
    item->status = KIVI_PENDING;
    session->turns[index] = (cluster_turn){owner, false};
    session->turned = true;
}

/* Nodes whose connection broke may be replaced by others. */
static void look_for_broken(const cluster_session *session)
{
    for (size_t i = 0; i < session->node_room; i++)
        if (session->nodes[i] && session->members.all[i].count &&
            session->nodes[i]->pipeline.phase != KVI_PHASE_READY)
            kvi_cluster_suspect(session->cluster);
}

kivi_status kvi_cluster_end_items(cluster_session *session)
{
    const redis_job *job = &session->job;

    look_for_broken(session);
    for (size_t i = 0; job->reads && session->cluster->reads_replicas && i < job->reads->count; i++)
        ask_owner(session, i);
    return session->turned && session->rounds < ROUNDS_MOST ? KIVI_PENDING : KIVI_OK;
}
