/* Seams between the files of the transport. */
#ifndef KVI_NET_INTERNAL_H
#define KVI_NET_INTERNAL_H

#include "net.h"

#include <errno.h>
#include <openssl/ssl.h>

#define KVI_NET_NS_PER_MS UINT64_C(1000000)

struct kvi_net_tls {
    SSL_CTX *context;
    char *name;      /* what the certificate must say */
    bool is_address; /* `name` is a numeric address: not sent to the server */
    bool verify;
};

/* ---- failure.c ---- */

/* "host:port", or the socket's path, for messages. */
const char *kvi_net_place(const kvi_net_target *target, char *text, size_t capacity);
/* UNAVAILABLE that breaks the connection: the system's `code` (0: none) while doing `what`. */
kivi_status kvi_net_break(kvi_net *net, kivi_retryable retryable, int code, const char *what,
                          kivi_error **error);
/*
 * What this process or its system has too little of: it fails at once, since another attempt would take the same.
 * NO_MEMORY, or IO with the system's `code`.
 */
static inline bool kvi_net_is_local(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS;
}
kivi_status kvi_net_fail_local(kvi_net *net, int code, const char *what, kivi_error **error);
kivi_status kvi_net_no_memory(kvi_net *net, kivi_error **error);

/* ---- resolve.c ---- */

typedef struct kvi_net_lookup kvi_net_lookup;
/* Asks for the addresses of a name on a thread of its own. */
kivi_status kvi_net_lookup_begin(kvi_net *net, kivi_error **error);
int kvi_net_lookup_fd(const kvi_net_lookup *lookup);
/* OK: net->addresses is there; PENDING; UNAVAILABLE. */
kivi_status kvi_net_lookup_end(kvi_net *net, kivi_error **error);
/* Nobody waits for it any more. `inherited`: it belongs to a thread of a parent process. */
void kvi_net_lookup_leave(kvi_net_lookup *lookup, bool inherited);

/* ---- tls.c ---- */

/* Puts TLS over a connected socket. */
kivi_status kvi_net_tls_begin(kvi_net *net, kivi_error **error);
/* OK: shaken; PENDING. */
kivi_status kvi_net_tls_shake(kvi_net *net, kivi_error **error);
/* As send(2) and recv(2): above 0, or 0 for PENDING, or -1 with *status set. */
ptrdiff_t kvi_net_tls_write(kvi_net *net, const void *data, size_t size, kivi_status *status,
                            kivi_error **error);
ptrdiff_t kvi_net_tls_read(kvi_net *net, void *data, size_t size, kivi_status *status, kivi_error **error);
/* Frees it; `polite`: says goodbye first. */
void kvi_net_tls_end(kvi_net *net, bool polite);

#endif
