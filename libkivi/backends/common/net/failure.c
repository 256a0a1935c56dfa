/* How a connection fails: it breaks, with words that name its peer. */
#include "../../../core/base/platform.h"
#include "net_internal.h"

#include <string.h>

kivi_status kvi_net_break(kvi_net *net, kivi_retryable retryable, int code, const char *what,
                          kivi_error **error)
{
    char place[KVI_PLACE_SIZE], reason[100] = "";
    const kivi_host *core = net->target->place.core;

    net->state = KVI_NET_BROKEN;
    kvi_place_text(&net->target->place, place);
    *error = core->error(KIVI_UNAVAILABLE, code, retryable, code ? "%s: %s: %s" : "%s: %s", place,
                         what, code ? kvi_errno_text(code, reason, sizeof(reason)) : "");
    return KIVI_UNAVAILABLE;
}

kivi_status kvi_net_no_memory(kvi_net *net, kivi_error **error)
{
    net->state = KVI_NET_BROKEN;
    return kvi_place_no_memory(&net->target->place, error);
}
