/* How a connection fails: it breaks, with words that name its peer. */
#include "net_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *kvi_net_place(const kvi_net_target *target, char *text, size_t capacity)
{
    if (target->path)
        snprintf(text, capacity, "%s", target->path);
    else if (strchr(target->host, ':'))
        snprintf(text, capacity, "[%s]:%s", target->host, target->port);
    else
        snprintf(text, capacity, "%s:%s", target->host, target->port);
    return text;
}

kivi_status kvi_net_break(kvi_net *net, kivi_retryable retryable, int code, const char *what,
                          kivi_error **error)
{
    char place[300], reason[100] = "";
    const kivi_host *core = net->target->core;

    net->state = KVI_NET_BROKEN;
    kvi_net_place(net->target, place, sizeof(place));
    *error = core->error(KIVI_UNAVAILABLE, code, retryable, code ? "%s: %s: %s" : "%s: %s", place,
                         what, code ? strerror_r(code, reason, sizeof(reason)) : "");
    return KIVI_UNAVAILABLE;
}

kivi_status kvi_net_fail_local(kvi_net *net, int code, const char *what, kivi_error **error)
{
    char place[300], reason[100] = "";

    if (code == ENOMEM || code == ENOBUFS)
        return kvi_net_no_memory(net, error);
    net->state = KVI_NET_BROKEN;
    *error = net->target->core->error(KIVI_IO, code, KIVI_RETRY_NO, "%s: %s: %s",
                                      kvi_net_place(net->target, place, sizeof(place)), what,
                                      strerror_r(code, reason, sizeof(reason)));
    return KIVI_IO;
}

kivi_status kvi_net_no_memory(kvi_net *net, kivi_error **error)
{
    net->state = KVI_NET_BROKEN;
    *error = net->target->core->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_NO, "no memory for a connection");
    return KIVI_NO_MEMORY;
}
