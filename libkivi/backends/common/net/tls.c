/* TLS over a connected socket, in steps. */
#include "../../../core/base/platform.h"
#include "net_internal.h"

#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

/* ---- The socket below: as OpenSSL's own, but a peer that is gone raises no SIGPIPE ---- */

static BIO_METHOD *method;

static bool is_passing(int code)
{
    return code == EAGAIN || code == EWOULDBLOCK || code == EINTR;
}

static int socket_write(BIO *bio, const char *data, int size)
{
    ssize_t sent = send((int)(intptr_t)BIO_get_data(bio), data, (size_t)size, KVI_NO_SIGPIPE);

    BIO_clear_retry_flags(bio);
    if (sent < 0 && is_passing(errno))
        BIO_set_retry_write(bio);
    return (int)sent;
}

static int socket_read(BIO *bio, char *data, int size)
{
    ssize_t got = recv((int)(intptr_t)BIO_get_data(bio), data, (size_t)size, 0);

    BIO_clear_retry_flags(bio);
    if (got < 0 && is_passing(errno))
        BIO_set_retry_read(bio);
    if (got == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)got;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    (void)number, (void)pointer;
    if (command == BIO_CTRL_EOF)
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return command == BIO_CTRL_FLUSH;
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "kivi socket");
    if (!method)
        return;
    BIO_meth_set_write(method, socket_write);
    BIO_meth_set_read(method, socket_read);
    BIO_meth_set_ctrl(method, socket_control);
}

static BIO *bio_new(int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *bio;

    pthread_once(&once, make_method);
    bio = method ? BIO_new(method) : NULL;
    if (!bio)
        return NULL;
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    return bio;
}

/* ---- Failures ---- */

/* Whether the peer's alert says that it does not accept us. */
static bool is_refusal(int reason)
{
    switch (reason - SSL_AD_REASON_OFFSET) {
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

static kivi_status deny(kvi_net *net, const char *what, const char *reason, int64_t code,
                        kivi_error **error)
{
    char place[KVI_PLACE_SIZE];

    net->state = KVI_NET_BROKEN;
    *error = net->target->place.core->error(KIVI_DENIED, code, KIVI_RETRY_NO, "%s: TLS: %s: %s",
                                            kvi_place_text(&net->target->place, place), what, reason);
    return KIVI_DENIED;
}

static kivi_status deny_certificate(kvi_net *net, long verdict, kivi_error **error)
{
    static const char what[] = "the server's certificate was not accepted";
    const char *reason = X509_verify_cert_error_string(verdict);
    char text[500];

    if (verdict != X509_V_ERR_HOSTNAME_MISMATCH && verdict != X509_V_ERR_IP_ADDRESS_MISMATCH)
        return deny(net, what, reason, verdict, error);
    snprintf(
        text, sizeof(text),
        "%s: its subjectAltName does not hold %s (a common name does not count; tls_server_name "
        "names another to expect, tls_verify=false takes any certificate)",
        reason, net->target->tls->name);
    return deny(net, what, text, verdict, error);
}

/* A failure that OpenSSL tells of in its own queue. */
static kivi_status fail_by_queue(kvi_net *net, kivi_error **error)
{
    unsigned long last = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(last);
    long verdict = SSL_get_verify_result(net->ssl);
    char place[KVI_PLACE_SIZE];

    ERR_clear_error();
    if (net->target->tls->verify && verdict != X509_V_OK)
        return deny_certificate(net, verdict, error);
    if (is_refusal(ERR_GET_REASON(last)))
        return deny(net, "the server did not accept this client", reason ? reason : "refused",
                    (int64_t)last, error);
    net->state = KVI_NET_BROKEN;
    *error = net->target->place.core->error(KIVI_UNAVAILABLE, (int64_t)last, KIVI_RETRY_NO,
                                            "%s: TLS: %s", kvi_place_text(&net->target->place, place),
                                            reason ? reason : "the protocol was broken");
    return KIVI_UNAVAILABLE;
}

/* What a call that did not get on means: PENDING, or a failure. */
static kivi_status judge(kvi_net *net, int result, bool writing, kivi_error **error)
{
    int code = errno;

    switch (SSL_get_error(net->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        net->wants_read = writing;
        return KIVI_PENDING;
    case SSL_ERROR_WANT_WRITE:
        net->wants_write = true;
        return KIVI_PENDING;
    case SSL_ERROR_ZERO_RETURN:
        return kvi_net_break(net, KIVI_RETRY_YES, 0, "the server closed the connection", error);
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        return kvi_net_break(net, KIVI_RETRY_YES, code, "the connection broke", error);
    default:
        if (ERR_GET_REASON(ERR_peek_last_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING)
            return fail_by_queue(net, error);
        ERR_clear_error();
        return kvi_net_break(net, KIVI_RETRY_YES, 0, "the server closed the connection", error);
    }
}

/* ---- Steps ---- */

static bool expect_name(SSL *ssl, const kvi_net_tls *tls)
{
    if (!tls->name)
        return true;
    if (!tls->is_address && !SSL_set_tlsext_host_name(ssl, tls->name))
        return false;
    if (!tls->verify)
        return true;
    if (tls->is_address)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), tls->name) == 1;
    /* A common name says nothing: it may be a person's. */
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(ssl, tls->name) == 1;
}

kivi_status kvi_net_tls_begin(kvi_net *net, kivi_error **error)
{
    const kvi_net_tls *tls = net->target->tls;
    BIO *bio;

    net->ssl = SSL_new(tls->context);
    if (!net->ssl)
        goto no_memory;
    bio = bio_new(net->fd);
    if (!bio)
        goto no_memory;
    SSL_set_bio(net->ssl, bio, bio);
    if (!expect_name(net->ssl, tls))
        goto no_memory;
    SSL_set_connect_state(net->ssl);
    return KIVI_OK;

no_memory:
    ERR_clear_error();
    return kvi_net_no_memory(net, error);
}

kivi_status kvi_net_tls_shake(kvi_net *net, kivi_error **error)
{
    int result;

    ERR_clear_error();
    net->wants_write = net->wants_read = false;
    errno = 0;
    result = SSL_do_handshake(net->ssl);
    return result == 1 ? KIVI_OK : judge(net, result, false, error);
}

kivi_slice kvi_net_protocol(const kvi_net *net)
{
    const unsigned char *name = NULL;
    unsigned size = 0;

    if (net->ssl)
        SSL_get0_alpn_selected(net->ssl, &name, &size);
    return kivi_bytes(name, size);
}

ptrdiff_t kvi_net_tls_write(kvi_net *net, const void *data, size_t size, kivi_status *status,
                            kivi_error **error)
{
    int result;

    ERR_clear_error();
    net->wants_read = false;
    errno = 0;
    result = SSL_write(net->ssl, data, size > INT_MAX ? INT_MAX : (int)size);
    if (result > 0)
        return result;
    *status = judge(net, result, true, error);
    return *status == KIVI_PENDING ? 0 : -1;
}

ptrdiff_t kvi_net_tls_read(kvi_net *net, void *data, size_t size, kivi_status *status, kivi_error **error)
{
    int result;

    ERR_clear_error();
    net->wants_write = false;
    errno = 0;
    result = SSL_read(net->ssl, data, (int)size);
    if (result > 0)
        return result;
    *status = judge(net, result, false, error);
    return *status == KIVI_PENDING ? 0 : -1;
}

void kvi_net_tls_end(kvi_net *net, bool polite)
{
    if (!net->ssl)
        return;
    SSL_set_quiet_shutdown(net->ssl, !polite);
    if (polite) {
        ERR_clear_error();
        SSL_shutdown(net->ssl);
        ERR_clear_error();
    }
    SSL_free(net->ssl);
    net->ssl = NULL;
}
