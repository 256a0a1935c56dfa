/* Sessions: one lane's connections, as their pipelines want the protocol. */
#include "memcached.h"

#include <stdlib.h>

#define LINE_MOST 4096

/* ---- The protocol ---- */

static kivi_status log_in(void *owner, kivi_error **error)
{
    return kvi_mc_login_begin(owner, error);
}

static kivi_status end_login(void *owner, kivi_error **error)
{
    return kvi_mc_login_end(owner, error);
}

static kivi_status begin_verb(void *owner, kivi_error **error)
{
    mc_server *server = owner;
    const kvi_member *member = member_of(server);

    if (server->session->page.range)
        return kvi_mc_scan_begin(server, error);
    if (!server->session->reads && !server->session->writes)
        return kvi_mc_ask_version(server) ? KIVI_OK : kvi_mc_no_memory(error);
    for (size_t i = 0; i < member->count; i++) {
        uint32_t index = kvi_member_item(member, i);
        bool queued;
        if (server->session->reads) {
            queued = kvi_mc_read_queue(server, index);
        } else {
            server->session->items[index].todo = false;
            queued = kvi_mc_write_queue(server, index);
        }
        if (!queued)
            return kvi_mc_no_memory(error);
    }
    return KIVI_OK;
}

/* Another round for what is not decided yet. */
static kivi_status end_verb(void *owner, kivi_error **error)
{
    mc_server *server = owner;
    const kvi_member *member = member_of(server);

    if (server->session->page.range)
        return kvi_mc_scan_end(server, error);
    if (!server->session->writes)
        return KIVI_OK;
    kvi_pipeline_renew(&server->pipeline);
    for (size_t i = 0; i < member->count; i++) {
        uint32_t index = kvi_member_item(member, i);
        mc_item *own = &server->session->items[index];
        if (!own->todo)
            continue;
        own->todo = false;
        if (!kvi_mc_write_queue(server, index))
            return kvi_mc_no_memory(error);
    }
    return server->pipeline.count ? KIVI_PENDING : KIVI_OK;
}

static bool owns(void *owner, size_t index)
{
    const mc_server *server = owner;

    return kvi_members_owns(&server->session->members, server->index, index);
}

/* The whole reply: a line, and the value that it announces. */
static kivi_status take_answer(mc_server *server, const kvi_command *command, kivi_slice text,
                               const uint8_t *behind, size_t left, kvi_portion *portion,
                               kivi_error **error)
{
    mc_line line;
    kivi_slice value;
    bool fits;

    if (!kvi_mc_line_read(&line, text))
        return kvi_mc_breach(error);
    if (line_is(&line, "VA")) {
        portion->need = portion->used + line.size + 2;
        if (left < line.size + 2) {
            portion->used = 0;
            return KIVI_PENDING;
        }
        if (behind[line.size] != '\r' || behind[line.size + 1] != '\n')
            return kvi_mc_breach(error);
        portion->used = portion->need;
    }
    portion->last = true;
    value = kivi_bytes(behind, line.size);
    if (command->kind == REPLY_PAIR)
        return kvi_mc_scan_pair(server, &line, value, error);
    if (server->session->reads)
        fits = kvi_mc_read_reply(server, command->item, &line, value);
    else
        fits = kvi_mc_write_reply(server, (mc_reply)command->kind, command->item, &line, value);
    return fits ? KIVI_OK : kvi_mc_breach(error);
}

static kivi_status take_reply(void *owner, kvi_command *command, const uint8_t *bytes, size_t size,
                              kvi_portion *portion, kivi_error **error)
{
    mc_server *server = owner;
    const uint8_t *feed = size ? memchr(bytes, '\n', size) : NULL;
    kivi_slice text;

    if (command->kind == REPLY_BINARY)
        return kvi_mc_binary_reply(server, bytes, size, portion, error);
    if (!feed)
        return size > LINE_MOST ? kvi_mc_breach(error) : KIVI_PENDING;
    text = kivi_bytes(bytes, (size_t)(feed - bytes));
    text.size -= text.size && feed[-1] == '\r';
    portion->used = (size_t)(feed - bytes) + 1;
    if (command->kind <= REPLY_STATS)
        return kvi_mc_login_line(server, (mc_reply)command->kind, text, &portion->last, error);
    if (command->kind == REPLY_DUMP)
        return kvi_mc_scan_line(server, text, &portion->last, error);
    return take_answer(server, command, text, feed + 1, size - portion->used, portion, error);
}

static const kvi_protocol protocol = {
    .command_size = sizeof(kvi_command),
    .login = log_in,
    .login_end = end_login,
    .begin = begin_verb,
    .reply = take_reply,
    .end = end_verb,
    .owns = owns,
    .breach = KVI_MC_BREACH,
    .reads_on = true,
};

/* ---- Sessions ---- */

kivi_status kvi_mc_session_open(mc_instance *instance, mc_session **session, kivi_error **error)
{
    size_t count = instance->rules.count;
    mc_session *made = calloc(1, sizeof(*made) + count * sizeof(made->servers[0]));

    *session = NULL;
    if (!made)
        return kvi_mc_no_memory(error);
    made->instance = instance;
    if (!kvi_members_init(&made->members, &instance->rules)) {
        kvi_members_free(&made->members);
        free(made);
        return kvi_mc_no_memory(error);
    }
    for (size_t i = 0; i < count; i++) {
        mc_server *server = &made->servers[i];
        server->session = made;
        server->index = (uint32_t)i;
        kvi_pipeline_init(&server->pipeline, &protocol, server, &instance->endpoint.targets[i],
                          instance->reporter);
        kvi_members_put(&made->members, i, &server->pipeline);
    }
    *session = made;
    return KIVI_OK;
}

static void free_copies(mc_session *session)
{
    for (size_t i = 0; i < session->item_room; i++) {
        free(session->items[i].copy);
        session->items[i].copy = NULL;
    }
}

static void free_session(mc_session *session)
{
    kvi_mc_dump_free(session->page.dump);
    free_copies(session);
    free(session->items);
    free(session);
}

void kvi_mc_session_close(mc_session *session)
{
    for (size_t i = 0; i < session->instance->rules.count; i++) {
        if (session->servers[i].pipeline.phase == KVI_PHASE_CLOSED) /* no login that was just given up */
            kvi_mc_login_forget(&session->servers[i]);
        kvi_pipeline_free(&session->servers[i].pipeline);
    }
    kvi_mc_scan_drop(session);
    kvi_members_free(&session->members);
    free_session(session);
}

void kvi_mc_session_abandon(mc_session *session, bool in_verb)
{
    for (size_t i = 0; i < session->instance->rules.count; i++)
        kvi_pipeline_abandon(&session->servers[i].pipeline, !in_verb);
    kvi_members_abandon(&session->members, !in_verb);
    if (!in_verb)
        free_session(session);
}

/* ---- Verbs ---- */

static bool room_for(mc_session *session, size_t count)
{
    size_t room = session->item_room ? session->item_room : 16;
    mc_item *more;

    if (count <= session->item_room)
        return true;
    while (room < count)
        room *= 2;
    more = realloc(session->items, room * sizeof(*more));
    if (!more)
        return false;
    memset(more + session->item_room, 0, (room - session->item_room) * sizeof(*more));
    session->items = more;
    session->item_room = room;
    return true;
}

kivi_status kvi_mc_session_read(mc_session *session, kivi_read_vector *vector, kivi_error **error)
{
    const mc_ring *ring = session->instance->ring;
    uint32_t *places = kvi_members_places(&session->members, vector->count);

    kvi_mc_scan_drop(session);
    session->reads = vector;
    session->writes = NULL;
    if (!places)
        return kvi_mc_no_memory(error);
    for (size_t i = 0; ring && i < vector->count; i++)
        places[i] = kvi_mc_ring_place(ring, kivi_read_item_at(vector, i)->key);
    return kvi_members_begin(&session->members, vector, NULL, error);
}

kivi_status kvi_mc_session_write(mc_session *session, kivi_write_vector *vector, kivi_error **error)
{
    const mc_ring *ring = session->instance->ring;
    uint32_t *places = kvi_members_places(&session->members, vector->count);

    kvi_mc_scan_drop(session);
    session->reads = NULL;
    session->writes = vector;
    free_copies(session);
    if (!places || !room_for(session, vector->count))
        return kvi_mc_no_memory(error);
    for (size_t i = 0; i < vector->count; i++) {
        const kivi_write_item *item = kivi_write_item_at(vector, i);
        kvi_mc_write_plan(item, &session->items[i]);
        if (ring)
            places[i] = kvi_mc_ring_place(ring, item->key);
    }
    return kvi_members_begin(&session->members, NULL, vector, error);
}

kivi_status kvi_mc_session_health(mc_session *session, kivi_error **error)
{
    kvi_mc_scan_drop(session);
    session->reads = NULL;
    session->writes = NULL;
    return kvi_members_begin_on_all(&session->members, error);
}
