/* Several connections without a descriptor for them all: one is waited for, and the others are looked at in short turns. */
#ifdef KIVI_POSIX
#include "net_set_internal.h"

#include <poll.h>

#define TURN_NS 1000000 /* the longest that news of another connection waits */

void kvi_net_set_close(kvi_net_set *set)
{
    (void)set;
}

kivi_status kvi_net_set_watch(kvi_net_set *set, kivi_poll *poll, kivi_error **error)
{
    (void)error;
    poll->fd = -1;
    poll->events = 0;
    poll->timeout_ns = TURN_NS;
    for (size_t i = 0; i < set->count; i++) {
        kivi_poll want = kvi_net_set_want(set, i);
        if (poll->fd < 0) {
            poll->fd = want.fd;
            poll->events = want.events;
        }
        kvi_net_set_take_earlier(&poll->timeout_ns, want.timeout_ns);
    }
    return KIVI_OK;
}

bool kvi_net_set_ready(kvi_net_set *set, uint32_t revents, kvi_net_news *news, size_t most, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < set->count && *count < most; i++) {
        kivi_poll want = kvi_net_set_want(set, i);
        struct pollfd one = {.fd = want.fd, .events = (short)want.events};
        if (want.fd >= 0 && poll(&one, 1, 0) > 0)
            news[(*count)++] = (kvi_net_news){i, (uint32_t)one.revents};
    }
    return *count > 0 || revents;
}
#endif
