/* Several connections as one descriptor: epoll's. */
#ifndef KIVI_POSIX
#include "net_set_internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MOST 64

void kvi_net_set_close(kvi_net_set *set)
{
    if (set->fd >= 0)
        close(set->fd);
    set->fd = -1;
    for (size_t i = 0; i < set->count; i++)
        set->members[i].events = 0;
}

/* Of any that has a connection: who waits has one. */
static const kvi_place *place_of(const kvi_net_set *set)
{
    size_t i = 0;

    while (!set->members[i].net)
        i++;
    return &set->members[i].net->target->place;
}

static bool has_closed(const kvi_net_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const kvi_net_member *member = &set->members[i];
        if (member->events && member->closings != member->net->closings)
            return true;
    }
    return false;
}

static kivi_status failed(const kvi_net_set *set, int code, kivi_error **error)
{
    if (code == ENOMEM)
        return kvi_place_no_memory(place_of(set), error);
    *error = place_of(set)->core->error(KIVI_IO, code, KIVI_RETRY_NO,
                                        "cannot wait for several servers: epoll failed with %d", code);
    return KIVI_IO;
}

/* Nothing of the set is left where a socket in it was closed. */
static kivi_status open_set(kvi_net_set *set, kivi_error **error)
{
    if (set->fd >= 0 && has_closed(set))
        kvi_net_set_close(set);
    if (set->fd >= 0)
        return KIVI_OK;
    place_of(set)->core->guard_descriptors();
    set->fd = epoll_create1(EPOLL_CLOEXEC);
    return set->fd >= 0 ? KIVI_OK : failed(set, errno, error);
}

/* The set has the member with these events; 0: not at all. */
static kivi_status put(kvi_net_set *set, size_t index, int fd, uint32_t events, kivi_error **error)
{
    kvi_net_member *member = &set->members[index];
    struct epoll_event event = {.events = events, .data.u64 = index};
    bool moved = member->events && member->fd != fd;
    int failure = 0;

    if (member->events == events && !moved)
        return KIVI_OK;
    if (member->events && (!events || moved)) {
        failure = epoll_ctl(set->fd, EPOLL_CTL_DEL, member->fd, &event);
        member->events = 0;
    }
    if (!failure && events)
        failure = epoll_ctl(set->fd, member->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    if (failure)
        return failed(set, errno, error);
    member->events = events;
    member->fd = fd;
    member->closings = member->net->closings;
    return KIVI_OK;
}

kivi_status kvi_net_set_watch(kvi_net_set *set, kivi_poll *poll, kivi_error **error)
{
    kivi_status status = open_set(set, error);

    poll->fd = set->fd;
    poll->events = POLLIN;
    poll->timeout_ns = -1;
    for (size_t i = 0; status == KIVI_OK && i < set->count; i++) {
        kivi_poll want = kvi_net_set_want(set, i);
        status = put(set, i, want.fd, want.fd >= 0 ? want.events : 0, error);
        kvi_net_set_take_earlier(&poll->timeout_ns, want.timeout_ns);
    }
    return status;
}

bool kvi_net_set_ready(kvi_net_set *set, uint32_t revents, kvi_net_news *news, size_t most, size_t *count)
{
    struct epoll_event events[EVENTS_MOST];
    int ready;

    *count = 0;
    if (!revents || set->fd < 0)
        return false;
    ready = epoll_wait(set->fd, events, most < EVENTS_MOST ? (int)most : EVENTS_MOST, 0);
    for (int i = 0; i < ready; i++) /* epoll's numbers are poll's */
        if (set->members[events[i].data.u64].waits)
            news[(*count)++] = (kvi_net_news){(size_t)events[i].data.u64, events[i].events};
    return true;
}
#endif
