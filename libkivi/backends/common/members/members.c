/* Verbs over several servers: begun and stepped side by side; whoever fails does so alone. */
#include "members.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define NEWS_MOST 64 /* of one step; what is left is ready in the next */

/* ---- Beginning and end ---- */

bool kvi_members_init(kvi_members *members, const kvi_members_rules *rules)
{
    *members = (kvi_members){.rules = rules, .count = rules->count, .set = {.fd = -1}};
    members->all = calloc(rules->count ? rules->count : 1, sizeof(*members->all));
    return members->all && kvi_net_set_init(&members->set, rules->count);
}

void kvi_members_put(kvi_members *members, size_t index, kvi_pipeline *pipeline)
{
    members->all[index].pipeline = pipeline;
    kvi_net_set_put(&members->set, index, pipeline ? &pipeline->net : NULL);
}

bool kvi_members_grow(kvi_members *members, size_t count)
{
    kvi_member *more;

    if (count <= members->count)
        return true;
    more = realloc(members->all, count * sizeof(*more));
    if (more)
        members->all = more;
    if (!more || !kvi_net_set_grow(&members->set, count))
        return false;
    memset(more + members->count, 0, (count - members->count) * sizeof(*more));
    members->count = count;
    return true;
}

static void free_lists(kvi_members *members)
{
    free(members->all);
    free(members->places);
    free(members->order);
    members->all = NULL;
    members->places = members->order = NULL;
}

void kvi_members_free(kvi_members *members)
{
    kvi_net_set_free(&members->set);
    free_lists(members);
}

void kvi_members_abandon(kvi_members *members, bool whole)
{
    kvi_net_set_abandon(&members->set, whole);
    if (whole)
        free_lists(members);
}

/* ---- Places ---- */

uint32_t *kvi_members_places(kvi_members *members, size_t count)
{
    size_t room = members->room ? members->room : 16;
    uint32_t *places, *order;

    if (count <= members->room)
        return members->places;
    while (room < count)
        room *= 2;
    places = realloc(members->places, room * sizeof(*places));
    if (places)
        members->places = places;
    order = realloc(members->order, room * sizeof(*order));
    if (order)
        members->order = order;
    if (!places || !order)
        return NULL;
    members->room = room;
    return places;
}

/* Each server's items together, in the order of the vector. */
static void sort_items(kvi_members *members, size_t count)
{
    size_t begin = 0;

    for (size_t i = 0; i < members->count; i++)
        members->all[i].count = 0;
    for (size_t i = 0; i < count; i++)
        if (members->places[i] != KVI_NOWHERE)
            members->all[members->places[i]].count++;
    for (size_t i = 0; i < members->count; i++) {
        members->all[i].items = members->order + begin;
        begin += members->all[i].count;
        members->all[i].count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        kvi_member *member;
        if (members->places[i] == KVI_NOWHERE)
            continue;
        member = &members->all[members->places[i]];
        members->order[member->items - members->order + (ptrdiff_t)member->count++] = (uint32_t)i;
    }
}

/* ---- Failing alone ---- */

static bool is_one(const kvi_members *members)
{
    return kvi_members_is_one(members);
}

static void fail_read(const kivi_host *core, kivi_read_item *item, kivi_status status,
                      const kivi_error *error)
{
    if (item->status != KIVI_PENDING)
        return;
    item->error = core->error_copy(error);
    item->status = status;
}

static void fail_write(const kivi_host *core, kivi_write_item *item, kivi_status status,
                       const kivi_error *error)
{
    if (item->status != KIVI_PENDING)
        return;
    item->error = core->error_copy(error);
    item->status = status;
}

/* What is left of a server's items fails as it did. Takes the error over. */
static void fail_items(kvi_members *members, const kvi_member *member, kivi_status status,
                       kivi_error *error)
{
    const kivi_host *core = members->rules->core;

    for (size_t i = 0; i < member->count; i++) {
        uint32_t item = kvi_member_item(member, i);
        if (members->reads)
            fail_read(core, kivi_read_item_at(members->reads, item), status, error);
        else
            fail_write(core, kivi_write_item_at(members->writes, item), status, error);
    }
    core->error_free(error);
}

void kvi_members_send_away(kvi_members *members, size_t index)
{
    const kvi_members_rules *rules = members->rules;

    atomic_store_explicit(&rules->away_until[index], rules->core->monotonic_ns() + rules->retry_ns,
                          memory_order_relaxed);
}

bool kvi_members_is_away(const kvi_members *members, size_t index)
{
    uint64_t until = atomic_load_explicit(&members->rules->away_until[index], memory_order_relaxed);

    return until && members->rules->core->monotonic_ns() < until;
}

static kivi_error *away_error(const kvi_members *members, size_t index)
{
    const kvi_place *place = &members->all[index].pipeline->net.target->place;
    char text[KVI_PLACE_SIZE];

    return members->rules->core->error(
        KIVI_UNAVAILABLE, 0, KIVI_RETRY_LATER,
        "%s refused or said nothing a moment ago, and is left alone for now",
        kvi_place_text(place, text));
}

static void deactivate(kvi_members *members, kvi_member *member)
{
    members->active -= member->active;
    member->active = false;
    members->set.members[member - members->all].waits = false;
}

/* What a server's pipeline answered. OK: nothing of it is the verb's; else the verb ends so. */
static kivi_status settle(kvi_members *members, kvi_member *member, kivi_status status, kivi_error **error)
{
    if (status == KIVI_PENDING)
        return KIVI_OK;
    deactivate(members, member);
    if (status == KIVI_OK || (!members->reads && !members->writes))
        return status;
    if (status == KIVI_UNAVAILABLE && members->rules->core->error_retryable(*error) == KIVI_RETRY_LATER)
        kvi_members_send_away(members, (size_t)(member - members->all));
    fail_items(members, member, status, *error);
    *error = NULL;
    return KIVI_OK;
}

/* ---- Silence ---- */

/* Whether something has moved since it was asked so last. */
static bool has_moved(kvi_member *member)
{
    const kvi_pipeline *pipeline = member->pipeline;
    const kvi_net *net = &pipeline->net;
    bool same = member->mark.sent == net->sent && member->mark.answered == pipeline->answered &&
                member->mark.received == net->received && member->mark.closings == net->closings &&
                member->mark.state == (int)net->state;

    member->mark.sent = net->sent;
    member->mark.answered = pipeline->answered;
    member->mark.received = net->received;
    member->mark.closings = net->closings;
    member->mark.state = (int)net->state;
    return !same;
}

static kivi_error *silence_error(const kvi_members *members, const kvi_member *member)
{
    char text[KVI_PLACE_SIZE];

    return members->rules->core->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_IF_IDEMPOTENT,
                                       "%s says nothing (server_timeout)",
                                       kvi_place_text(&member->pipeline->net.target->place, text));
}

/* Whoever drives may have slept while an answer came: what is there by now counts. */
static uint32_t last_look(const kvi_member *member)
{
    kivi_poll want = {sizeof(want), -1, 0, 0, -1};
    struct pollfd one;

    kvi_net_wait(&member->pipeline->net, &want);
    one = (struct pollfd){want.fd, (short)want.events, 0};
    return want.fd >= 0 && poll(&one, 1, 0) > 0 ? (uint32_t)one.revents : 0;
}

static kivi_status give_up(kvi_members *members, kvi_member *member, kivi_error **error)
{
    kvi_pipeline_give_up(member->pipeline);
    kvi_members_send_away(members, (size_t)(member - members->all));
    *error = silence_error(members, member);
    return settle(members, member, KIVI_UNAVAILABLE, error);
}

static kivi_status step_one(kvi_members *members, kvi_member *member, uint32_t revents, kivi_error **error)
{
    kivi_poll own = {sizeof(own), -1, 0, 0, -1};
    kivi_status status = kvi_pipeline_step(member->pipeline, revents, &own, error);

    return settle(members, member, status, error);
}

/* Gives those up that said nothing for too long, and shortens the wait to when the next one would have. */
static kivi_status look_after(kvi_members *members, kivi_poll *until, kivi_error **error)
{
    uint64_t now = members->rules->core->monotonic_ns();
    kivi_status status = KIVI_OK;

    for (size_t i = 0; status == KIVI_OK && i < members->count; i++) {
        kvi_member *member = &members->all[i];
        int64_t left;
        if (!member->active)
            continue;
        if (has_moved(member))
            member->moved_ns = now;
        left = (int64_t)(member->moved_ns + members->rules->silence_ns - now);
        if (left <= 0) {
            uint32_t revents = last_look(member);
            member->moved_ns = now;
            status = revents ? step_one(members, member, revents, error)
                             : give_up(members, member, error);
            left = (int64_t)members->rules->silence_ns;
        }
        if (!member->active)
            continue;
        if (until && (until->timeout_ns < 0 || left < until->timeout_ns))
            until->timeout_ns = left;
    }
    return status;
}

/* ---- Verbs ---- */

/* The verb is over for all: by a failure that is no server's. */
static kivi_status give_all_up(kvi_members *members, kivi_status status)
{
    for (size_t i = 0; i < members->count; i++) {
        if (!members->all[i].active)
            continue;
        kvi_pipeline_give_up(members->all[i].pipeline);
        deactivate(members, &members->all[i]);
    }
    members->reads = NULL;
    members->writes = NULL;
    return status;
}

/* OK: every server is done with its part. */
static kivi_status finish(kvi_members *members)
{
    if (members->active)
        return KIVI_PENDING;
    members->reads = NULL;
    members->writes = NULL;
    return KIVI_OK;
}

static kivi_status begin_one(kvi_members *members, size_t index, kivi_error **error)
{
    kvi_member *member = &members->all[index];
    kivi_status status;

    if (!is_one(members) && kvi_members_is_away(members, index)) {
        *error = away_error(members, index);
        if (!members->reads && !members->writes)
            return KIVI_UNAVAILABLE;
        fail_items(members, member, KIVI_UNAVAILABLE, *error);
        *error = NULL;
        return KIVI_OK;
    }
    member->active = true;
    members->active++;
    members->set.members[index].waits = true;
    status = kvi_pipeline_begin(member->pipeline, members->reads, members->writes, error);
    has_moved(member);
    if (status == KIVI_PENDING && !is_one(members))
        member->moved_ns = members->rules->core->monotonic_ns();
    return settle(members, member, status, error);
}

static kivi_status begin_single(kvi_members *members, kivi_error **error)
{
    kvi_member *member = &members->all[0];

    member->items = NULL;
    member->count = members->reads    ? members->reads->count
                    : members->writes ? members->writes->count
                                      : 0;
    return kvi_pipeline_begin(member->pipeline, members->reads, members->writes, error);
}

kivi_status kvi_members_begin(kvi_members *members, kivi_read_vector *reads,
                              kivi_write_vector *writes, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    members->reads = reads;
    members->writes = writes;
    if (is_one(members))
        return begin_single(members, error);
    sort_items(members, reads ? reads->count : writes->count);
    for (size_t i = 0; status == KIVI_OK && i < members->count; i++)
        if (members->all[i].count)
            status = begin_one(members, i, error);
    return status ? give_all_up(members, status) : finish(members);
}

kivi_status kvi_members_begin_on(kvi_members *members, size_t index, kivi_error **error)
{
    kivi_status status;

    members->reads = NULL;
    members->writes = NULL;
    if (is_one(members))
        return begin_single(members, error);
    members->all[index].count = 0;
    status = begin_one(members, index, error);
    return status ? status : finish(members);
}

kivi_status kvi_members_begin_on_all(kvi_members *members, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    members->reads = NULL;
    members->writes = NULL;
    if (is_one(members))
        return begin_single(members, error);
    for (size_t i = 0; status == KIVI_OK && i < members->count; i++) {
        members->all[i].count = 0;
        if (members->all[i].pipeline)
            status = begin_one(members, i, error);
    }
    return status ? give_all_up(members, status) : finish(members);
}

/* A step of those that something is ready of. */
static kivi_status step_ready(kvi_members *members, uint32_t revents, kivi_error **error)
{
    kvi_net_news news[NEWS_MOST];
    size_t count = kvi_net_set_news(&members->set, revents, news, NEWS_MOST);
    kivi_status status = KIVI_OK;

    for (size_t i = 0; status == KIVI_OK && i < count; i++) {
        kvi_member *member = &members->all[news[i].member];
        if (member->active)
            status = step_one(members, member, news[i].revents, error);
    }
    return status;
}

/* A pipeline that has not taken all that has come is stepped again at once. */
static bool is_behind(const kvi_members *members)
{
    for (size_t i = 0; i < members->count; i++)
        if (members->all[i].active && members->all[i].pipeline->behind)
            return true;
    return false;
}

kivi_status kvi_members_step(kvi_members *members, uint32_t revents, kivi_poll *poll, kivi_error **error)
{
    kivi_status status;

    if (is_one(members))
        return kvi_pipeline_step(members->all[0].pipeline, revents, poll, error);
    status = step_ready(members, revents, error);
    if (status == KIVI_OK)
        status = look_after(members, NULL, error);
    if (status)
        return give_all_up(members, status);
    if (!members->active)
        return finish(members);
    status = kvi_net_set_wait(&members->set, poll, error);
    if (status == KIVI_OK)
        status = look_after(members, poll, error);
    if (status)
        return give_all_up(members, status);
    if (is_behind(members))
        poll->timeout_ns = 0;
    return finish(members);
}
