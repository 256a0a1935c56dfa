/* Several servers of one store: which is tried next, how long it has, and what it means when none will do. */
#include "endpoint.h"

void kvi_turns_begin(kvi_turns *turns, const kvi_endpoint *endpoint, uint32_t first)
{
    *turns = (kvi_turns){
        .endpoint = endpoint, .server = first, .begun_ns = endpoint->core->monotonic_ns()};
}

/* Whether another server may do where this one did not. */
static bool may_differ(kivi_status status)
{
    return status == KIVI_UNAVAILABLE || status == KIVI_DENIED;
}

bool kvi_turns_next(kvi_turns *turns, kivi_status status, kivi_error **error)
{
    const kvi_endpoint *endpoint = turns->endpoint;

    turns->vague = turns->vague || endpoint->core->error_retryable(*error) != KIVI_RETRY_LATER;
    if (!may_differ(status) || turns->tried + 1 >= endpoint->count)
        return false;
    endpoint->core->error_free(*error);
    *error = NULL;
    turns->tried++;
    turns->server = (turns->server + 1) % (uint32_t)endpoint->count;
    turns->begun_ns = endpoint->core->monotonic_ns();
    return true;
}

/* Of several servers one may have been only out of luck: then it is worth another try. */
void kvi_turns_fail(const kvi_turns *turns, kivi_status status, kivi_error **error)
{
    const kivi_host *core = turns->endpoint->core;

    if (status != KIVI_UNAVAILABLE || !turns->vague || core->error_retryable(*error) != KIVI_RETRY_LATER)
        return;
    core->error_free(*error);
    *error = core->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES, "no server took the connection");
}

int64_t kvi_turns_left(const kvi_turns *turns)
{
    const kvi_endpoint *endpoint = turns->endpoint;
    uint64_t spent;

    if (turns->tried + 1 >= endpoint->count)
        return -1;
    spent = endpoint->core->monotonic_ns() - turns->begun_ns;
    return spent < endpoint->server_timeout_ns ? (int64_t)(endpoint->server_timeout_ns - spent) : 0;
}

kivi_status kvi_turns_silent(const kvi_turns *turns, kivi_error **error)
{
    char text[KVI_PLACE_SIZE];

    *error = turns->endpoint->core->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
                                          "%s: said nothing for server_timeout",
                                          kvi_place_text(kvi_turns_place(turns), text));
    return KIVI_UNAVAILABLE;
}
