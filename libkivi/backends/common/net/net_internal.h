/* Seams between the files of the transport. */
#ifndef KVI_NET_INTERNAL_H
#define KVI_NET_INTERNAL_H

#include "net.h"

#include <openssl/ssl.h>

struct kvi_net_tls {
    SSL_CTX *context;
    char *name;      /* what the certificate must say */
    bool is_address; /* `name` is a numeric address: not sent to the server */
    bool verify;
    bool named; /* `name` is what the settings said, whatever the host */
};

/* ---- failure.c ---- */

/* UNAVAILABLE that breaks the connection: the system's `code` (0: none) while doing `what`. */
kivi_status kvi_net_break(kvi_net *net, kivi_retryable retryable, int code, const char *what,
                          kivi_error **error);
kivi_status kvi_net_no_memory(kvi_net *net, kivi_error **error);

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
