/* A name's addresses, looked up on a thread of their own, and tried in turn by whoever connects; nothing blocks. */
#ifndef KVI_RESOLVE_H
#define KVI_RESOLVE_H

#include <errno.h>
#include <kivi/backend.h>

struct addrinfo;

/* Owned by the backend's instance; its texts outlive the walks. Either host and port, or path. */
typedef struct kvi_place {
    const kivi_host *core;
    const char *host; /* a name or a numeric address */
    const char *port; /* a number */
    const char *path; /* a unix socket: nothing to look up */
    uint32_t attempt_ms; /* where another address is left, it is tried after so long; 0: only after a failure */
} kvi_place;

/*
 * One walk. Lies in its owner's memory; zeroed: none. Fields are for reading.
 *
 *   begin -> (PENDING: wait, advance)* -> OK: while kvi_resolve_next(): connect to `at`
 *                                             it fails, or kvi_resolve_left() is 0: kvi_resolve_failed()
 *                                         none is left: kvi_resolve_fail() says why
 *   at the end, in every state: kvi_resolve_leave()
 */
typedef struct kvi_resolve {
    const kvi_place *place;
    struct kvi_lookup *lookup; /* where a name is asked for */
    struct addrinfo *addresses;
    const struct addrinfo *next, *at; /* `at`: the address being tried; NULL for a unix socket */
    uint64_t attempt_ns;              /* when that began */
    uint32_t attempts, refusals;
    int last_code; /* of the system */
} kvi_resolve;

/*
 * Begins. OK: numeric, or a socket's path; PENDING: the name is asked for; or, from here and from advance():
 * UNAVAILABLE, RETRY_LATER: no such name; UNAVAILABLE, RETRY_YES: it could not be looked up;
 * NO_MEMORY, IO: this process has no memory, descriptor or thread for it, and it is not to be retried.
 */
kivi_status kvi_resolve_begin(kvi_resolve *walk, const kvi_place *place, kivi_error **error);
kivi_status kvi_resolve_advance(kvi_resolve *walk, kivi_error **error);
/* Readable when advance() has something to do. */
int kvi_resolve_fd(const kvi_resolve *walk);

/* The next address is `at`, and its time begins. False: none is left, or this process has too little for one more. */
bool kvi_resolve_next(kvi_resolve *walk);
/* How long the attempt still has, in ns; negative: no limit. */
int64_t kvi_resolve_left(const kvi_resolve *walk);
/* The attempt failed by the system's `code`; ETIMEDOUT where its time was over. */
void kvi_resolve_failed(kvi_resolve *walk, int code);
/* The failure of the whole, where no address was left: as of begin(), or DENIED where the system forbids it. */
kivi_status kvi_resolve_fail(kvi_resolve *walk, kivi_error **error);

/* Connected, or given up: addresses are freed. `inherited`: in a child of a fork, the thread is the parent's. */
void kvi_resolve_leave(kvi_resolve *walk, bool inherited);

/* ---- For messages of those who connect ---- */

#define KVI_PLACE_SIZE 300
/* "host:port", or the socket's path, cut where it is longer. */
const char *kvi_place_text(const kvi_place *place, char text[KVI_PLACE_SIZE]);
/* Whether the code says what this process or its system has too little of: another attempt would take the same. */
static inline bool kvi_place_is_local(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS;
}
/* NO_MEMORY, or IO with the system's `code`, while doing `what`. */
kivi_status kvi_place_fail_local(const kvi_place *place, int code, const char *what, kivi_error **error);
kivi_status kvi_place_no_memory(const kvi_place *place, kivi_error **error);

#endif
