/* Addresses in turn: the time of each, and what it means when none was left. */
#include "../../../core/base/platform.h"
#include "resolve.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

/* ---- Words ---- */

const char *kvi_place_text(const kvi_place *place, char text[KVI_PLACE_SIZE])
{
    if (place->path)
        snprintf(text, KVI_PLACE_SIZE, "%s", place->path);
    else if (strchr(place->host, ':'))
        snprintf(text, KVI_PLACE_SIZE, "[%s]:%s", place->host, place->port);
    else
        snprintf(text, KVI_PLACE_SIZE, "%s:%s", place->host, place->port);
    return text;
}

kivi_status kvi_place_no_memory(const kvi_place *place, kivi_error **error)
{
    *error = place->core->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_NO, "no memory for a connection");
    return KIVI_NO_MEMORY;
}

kivi_status kvi_place_fail_local(const kvi_place *place, int code, const char *what, kivi_error **error)
{
    char text[KVI_PLACE_SIZE], reason[100] = "";

    if (code == ENOMEM || code == ENOBUFS)
        return kvi_place_no_memory(place, error);
    *error = place->core->error(KIVI_IO, code, KIVI_RETRY_NO, "%s: %s: %s", kvi_place_text(place, text),
                                what, kvi_errno_text(code, reason, sizeof(reason)));
    return KIVI_IO;
}

/* ---- Attempts ---- */

bool kvi_resolve_next(kvi_resolve *walk)
{
    if (kvi_place_is_local(walk->last_code))
        return false;
    if (walk->place->path) {
        if (walk->attempts)
            return false;
    } else {
        if (!walk->next)
            return false;
        walk->at = walk->next;
        walk->next = walk->next->ai_next;
    }
    walk->attempts++;
    walk->attempt_ns = walk->place->core->monotonic_ns();
    return true;
}

int64_t kvi_resolve_left(const kvi_resolve *walk)
{
    uint64_t limit = walk->place->attempt_ms * NS_PER_MS;

    if (!limit || !walk->next)
        return -1;
    uint64_t spent = walk->place->core->monotonic_ns() - walk->attempt_ns;
    return spent < limit ? (int64_t)(limit - spent) : 0;
}

static bool is_refusal(int code)
{
    return code == ECONNREFUSED || code == ENOENT || code == EHOSTUNREACH || code == ENETUNREACH ||
           code == EADDRNOTAVAIL || code == EAFNOSUPPORT;
}

void kvi_resolve_failed(kvi_resolve *walk, int code)
{
    walk->last_code = code;
    walk->refusals += is_refusal(code);
}

kivi_status kvi_resolve_fail(kvi_resolve *walk, kivi_error **error)
{
    const kvi_place *place = walk->place;
    char text[KVI_PLACE_SIZE], reason[100] = "";
    bool refused = walk->refusals == walk->attempts;
    int code = walk->last_code;

    if (kvi_place_is_local(code))
        return kvi_place_fail_local(place, code, "cannot connect", error);
    kvi_place_text(place, text);
    if (code == EACCES || code == EPERM) {
        *error = place->core->error(KIVI_DENIED, code, KIVI_RETRY_NO,
                                    "%s: the system does not let this process connect", text);
        return KIVI_DENIED;
    }
    *error = place->core->error(KIVI_UNAVAILABLE, code, refused ? KIVI_RETRY_LATER : KIVI_RETRY_YES,
                                code ? "%s: cannot connect: %s" : "%s: cannot connect", text,
                                code ? kvi_errno_text(code, reason, sizeof(reason)) : "");
    return KIVI_UNAVAILABLE;
}
