/* How a set waits for several connections: net_set_epoll.c, or net_set_poll.c with KIVI_POSIX. */
#ifndef KVI_NET_SET_INTERNAL_H
#define KVI_NET_SET_INTERNAL_H

#include "net_set.h"

/* What the member waits for; fd -1: nothing. */
static inline kivi_poll kvi_net_set_want(const kvi_net_set *set, size_t index)
{
    kivi_poll want = {sizeof(want), -1, 0, 0, -1};

    if (set->members[index].waits)
        kvi_net_wait(set->members[index].net, &want);
    return want;
}

static inline void kvi_net_set_take_earlier(int64_t *timeout, int64_t other)
{
    if (other >= 0 && (*timeout < 0 || other < *timeout))
        *timeout = other;
}

/* Nothing of the set is left but its members. */
void kvi_net_set_close(kvi_net_set *set);
/* As kvi_net_set_wait(), of several. */
kivi_status kvi_net_set_watch(kvi_net_set *set, kivi_poll *poll, kivi_error **error);
/* The members that are ready; false: it is not known of any. */
bool kvi_net_set_ready(kvi_net_set *set, uint32_t revents, kvi_net_news *news, size_t most, size_t *count);

#endif
