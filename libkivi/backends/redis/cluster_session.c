/* Sessions of a cluster: the parts that a verb is made of. */
#include "cluster.h"

#include <stdlib.h>

/* ---- Beginning and end ---- */

kivi_status kvi_cluster_session_open(redis_instance *instance, cluster_session **session,
                                     kivi_error **error)
{
    cluster_session *made = calloc(1, sizeof(*made));

    *session = NULL;
    if (!made)
        return kvi_redis_no_memory(error);
    made->instance = instance;
    made->cluster = instance->cluster;
    if (!kvi_members_init(&made->members, &made->cluster->rules)) {
        kvi_members_free(&made->members);
        free(made);
        return kvi_redis_no_memory(error);
    }
    *session = made;
    return KIVI_OK;
}

static void end_map(cluster_session *session)
{
    kvi_draft_free(session->draft);
    session->draft = NULL;
    if (session->reads_map)
        kvi_cluster_end_reading(session->cluster);
    session->reads_map = false;
}

static void free_session(cluster_session *session)
{
    kvi_draft_free(session->draft);
    free(session->nodes);
    free(session->turns);
    free(session->now);
    free(session);
}

void kvi_cluster_session_close(cluster_session *session)
{
    end_map(session);
    for (size_t i = 0; i < session->node_room; i++)
        if (session->nodes[i])
            kvi_cluster_close_node(session, (uint16_t)i);
    kvi_members_free(&session->members);
    free_session(session);
}

/* The shared half is the parent's, whose lock may be held: nothing of it is touched. */
void kvi_cluster_session_abandon(cluster_session *session, bool in_verb)
{
    for (size_t i = 0; i < session->node_room; i++)
        if (session->nodes[i])
            kvi_redis_session_abandon(session->nodes[i], in_verb);
    kvi_members_abandon(&session->members, !in_verb);
    if (!in_verb)
        free_session(session);
}

/* ---- Reading the map ---- */

/* Whom to ask next: who is connected, then who is in the map or a seed. NODE_NONE: all were asked. */
static uint16_t next_candidate(cluster_session *session)
{
    uint32_t count = (uint32_t)atomic_load_explicit(&session->cluster->count, memory_order_acquire);
    uint32_t seeds = (uint32_t)session->cluster->endpoint->count;

    while (session->tried < 2 * count) {
        uint32_t number = session->tried++, place = number % count;
        bool ready = place < session->node_room && session->nodes[place] &&
                     session->nodes[place]->pipeline.phase == KVI_PHASE_READY;
        if (number < count
                ? ready
                : !ready && (place < seeds || kvi_cluster_wants(session->cluster, (uint16_t)place)))
            return (uint16_t)place;
    }
    return NODE_NONE;
}

static kivi_status nobody(kivi_error **error)
{
    *error = kvi_redis_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
                                   "no node of the cluster says who has which slot");
    return KIVI_UNAVAILABLE;
}

static kivi_status ask_for_map(cluster_session *session, uint16_t place, kivi_error **error)
{
    kivi_status status = kvi_cluster_open_node(session, place, error);

    if (status)
        return status;
    kvi_draft_free(session->draft);
    session->draft = calloc(1, sizeof(*session->draft));
    if (!session->draft)
        return kvi_redis_no_memory(error);
    session->draft->asked = session->nodes[place]->pipeline.net.target->place.host;
    session->asked = place;
    session->nodes[place]->job = (redis_job){.verb = VERB_MAP};
    return kvi_members_begin_on(&session->members, place, error);
}

/* Whether another node may know better than one that failed so. */
static bool may_ask_another(kivi_status status)
{
    return status == KIVI_UNAVAILABLE || status == KIVI_BUSY || status == KIVI_CORRUPT;
}

/* ---- The parts of a verb ---- */

static kivi_status begin_health(cluster_session *session, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    for (uint32_t slot = 0; status == KIVI_OK && slot < SLOTS; slot++) {
        uint16_t owner = kvi_cluster_owner(session->cluster, (uint16_t)slot);
        if (owner == NODE_NONE) {
            *error = kvi_redis_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_LATER,
                                           "no node of the cluster has slot %u", slot);
            return KIVI_UNAVAILABLE;
        }
        if (owner >= session->node_room || !session->nodes[owner])
            status = kvi_cluster_open_node(session, owner, error);
    }
    for (size_t i = 0; i < session->node_room; i++)
        if (session->nodes[i])
            session->nodes[i]->job = session->job;
    return status ? status : kvi_members_begin_on_all(&session->members, error);
}

static kivi_status begin_job(cluster_session *session, kivi_error **error)
{
    end_map(session);
    kvi_cluster_look_through(session);
    session->rounds = 0;
    switch (session->job.verb) {
    case VERB_READ:
    case VERB_WRITE:
        session->phase = PHASE_ITEMS;
        return kvi_cluster_begin_items(session, error);
    case VERB_SCAN:
        session->phase = PHASE_PAGE;
        return kvi_cluster_begin_page(session, error);
    default:
        session->phase = PHASE_HEALTH;
        return begin_health(session, error);
    }
}

static kivi_status next_map(cluster_session *session, kivi_error **error)
{
    uint16_t place = next_candidate(session);

    session->phase = PHASE_MAP;
    if (place != NODE_NONE)
        return ask_for_map(session, place, error);
    if (kvi_cluster_has_map(session->cluster)) /* the old one, until somebody says better */
        return begin_job(session, error);
    session->phase = PHASE_IDLE;
    return nobody(error);
}

/* A node was asked for the map. */
static kivi_status end_asking(cluster_session *session, kivi_status status, kivi_error **error)
{
    kivi_error *before = *error;

    if (status == KIVI_OK && session->draft->count) {
        status = kvi_cluster_install(session->cluster, session->draft, error);
        if (status == KIVI_OK)
            return begin_job(session, error);
        session->phase = PHASE_IDLE;
        return status;
    }
    if (status && !may_ask_another(status)) {
        session->phase = PHASE_IDLE;
        return status;
    }
    if (status == KIVI_UNAVAILABLE)
        kvi_members_send_away(&session->members, session->asked);
    *error = NULL;
    kivi_status next = next_map(session, error);
    if (status && session->phase == PHASE_IDLE && next == KIVI_UNAVAILABLE) {
        kvi_redis_host->error_free(*error); /* why the last one did not say it tells more */
        *error = before;
        return status;
    }
    kvi_redis_host->error_free(before);
    return next;
}

/* A part has ended with `status`: the next one, or the end. */
static kivi_status advance(cluster_session *session, kivi_status status, kivi_error **error)
{
    switch (session->phase) {
    case PHASE_MAP:
        return end_asking(session, status, error);
    case PHASE_ITEMS:
        if (status == KIVI_OK && kvi_cluster_end_items(session) == KIVI_PENDING)
            return kvi_cluster_begin_items(session, error);
        break;
    case PHASE_PAGE:
        if (status == KIVI_OK)
            status = kvi_cluster_end_page(session, error);
        else if (status == KIVI_UNAVAILABLE)
            kvi_cluster_suspect(session->cluster);
        if (session->phase == PHASE_OWN)
            return status;
        break;
    case PHASE_OWN:
        if (status == KIVI_OK)
            status = kvi_cluster_end_node(session, error);
        if (session->phase == PHASE_PAGE)
            return status;
        break;
    default:
        break;
    }
    session->phase = PHASE_IDLE;
    return status;
}

static kivi_status go_on(cluster_session *session, kivi_status status, kivi_error **error)
{
    while (status != KIVI_PENDING && session->phase != PHASE_IDLE)
        status = advance(session, status, error);
    if (status != KIVI_PENDING)
        end_map(session);
    return status;
}

kivi_status kvi_cluster_session_begin(cluster_session *session, const redis_job *job, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    session->job = *job;
    session->tried = 0;
    if (job->verb == VERB_SCAN)
        status = kvi_cluster_begin_scan(session, error);
    if (status)
        return status;
    session->reads_map = kvi_cluster_begin_reading(session->cluster);
    status = session->reads_map ? next_map(session, error) : begin_job(session, error);
    return go_on(session, status, error);
}

kivi_status kvi_cluster_session_step(cluster_session *session, uint32_t revents, kivi_poll *poll,
                                     kivi_error **error)
{
    kivi_status status = kvi_members_step(&session->members, revents, poll, error);

    while (status != KIVI_PENDING) {
        status = go_on(session, status, error);
        if (status != KIVI_PENDING)
            return status;
        *poll = (kivi_poll){poll->struct_size, -1, 0, 0, -1};
        status = kvi_members_step(&session->members, 0, poll, error); /* what the new part waits for */
    }
    return status;
}
