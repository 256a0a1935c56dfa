/* Several connections of one session as one descriptor to wait for, also after forks. */
#include "net_set_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Beginning and end ---- */

bool kvi_net_set_init(kvi_net_set *set, size_t count)
{
    *set = (kvi_net_set){
        .members = calloc(count ? count : 1, sizeof(*set->members)), .count = count, .fd = -1};
    return set->members != NULL;
}

bool kvi_net_set_grow(kvi_net_set *set, size_t count)
{
    kvi_net_member *more;

    if (count <= set->count)
        return true;
    more = realloc(set->members, count * sizeof(*more));
    if (!more)
        return false;
    memset(more + set->count, 0, (count - set->count) * sizeof(*more));
    set->members = more;
    set->count = count;
    return true;
}

void kvi_net_set_put(kvi_net_set *set, size_t index, const kvi_net *net)
{
    if (set->members[index].events) /* a child may have its socket: it cannot be taken out of the set */
        kvi_net_set_close(set);
    set->members[index] = (kvi_net_member){.net = net};
}

void kvi_net_set_free(kvi_net_set *set)
{
    if (set->members)
        kvi_net_set_close(set);
    free(set->members);
    set->members = NULL;
}

void kvi_net_set_abandon(kvi_net_set *set, bool whole)
{
    if (!whole) {
        if (set->fd >= 0)
            close(set->fd);
        return;
    }
    kvi_net_set_free(set);
}

/* ---- Waiting ---- */

static size_t count_waiting(const kvi_net_set *set, size_t *last)
{
    size_t count = 0;

    for (size_t i = 0; i < set->count; i++) {
        if (!set->members[i].waits)
            continue;
        count++;
        *last = i;
    }
    return count;
}

kivi_status kvi_net_set_wait(kvi_net_set *set, kivi_poll *poll, kivi_error **error)
{
    size_t last = 0;

    if (count_waiting(set, &last) != 1)
        return kvi_net_set_watch(set, poll, error);
    kvi_net_wait(set->members[last].net, poll);
    return KIVI_OK;
}

size_t kvi_net_set_news(kvi_net_set *set, uint32_t revents, kvi_net_news *news, size_t most)
{
    size_t last = 0, waiting = count_waiting(set, &last), count = 0;

    if (waiting == 1 && most) {
        news[0] = (kvi_net_news){last, revents};
        return 1;
    }
    if (kvi_net_set_ready(set, revents, news, most, &count))
        return count;
    for (size_t i = 0; i < set->count && count < most; i++)
        if (set->members[i].waits)
            news[count++] = (kvi_net_news){i, 0};
    return count;
}
