/* Certificates made on the fly, a TLS server of the test's own, and a driver that waits as the core does. */
#ifndef TEST_NET_FIXTURE_H
#define TEST_NET_FIXTURE_H

#include "failure.h"

#include "../../libkivi/backends/common/net/net.h"
#include "../../libkivi/core/plugins/plugins.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* ---- Driving ---- */

/* Waits for what the connection wants and answers the events; the case's own time limit ends it. */
static inline uint32_t await_net(const kvi_net *net)
{
    kivi_poll want = {sizeof(want), -1, 0, 0, -1};

    kvi_net_wait(net, &want);
    struct pollfd one = {want.fd, (short)want.events, 0};
    int timeout = want.timeout_ns < 0 ? 20000 : (int)(want.timeout_ns / 1000000) + 1;
    cr_assert_geq(poll(&one, want.fd >= 0, timeout), 0);
    return (uint32_t)one.revents;
}

static inline kivi_status connect_net(kvi_net *net, kivi_error **error)
{
    kivi_status status = kvi_net_connect(net, error);

    while (status == KIVI_PENDING)
        status = kvi_net_advance(net, await_net(net), error);
    return status;
}

static inline kivi_status flush_net(kvi_net *net, kivi_error **error)
{
    kivi_status status = kvi_net_flush(net, error);

    while (status == KIVI_PENDING) {
        await_net(net);
        status = kvi_net_flush(net, error);
    }
    return status;
}

/* Until so many bytes are there, or it broke. */
static inline kivi_status receive_net(kvi_net *net, size_t size, kivi_error **error)
{
    while (net->in.end - net->in.begin < size) {
        kivi_status status = kvi_net_receive(net, false, error);
        if (status == KIVI_PENDING)
            await_net(net);
        else if (status)
            return status;
    }
    return KIVI_OK;
}

static inline void queue_net(kvi_net *net, const void *bytes, size_t size)
{
    uint8_t *room = kvi_net_room(net, size);

    cr_assert_not_null(room);
    memcpy(room, bytes, size);
    kvi_net_wrote(net, size);
}

/* ---- Listening ---- */

static inline int listen_at(const char *address, char port[8])
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, address, &at.sin_addr);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, size), 0);
    cr_assert_eq(listen(fd, 16), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    snprintf(port, 8, "%d", ntohs(at.sin_port));
    return fd;
}

/* A port that nobody listens on: taken, but not listening, until the descriptor is closed. */
static inline int refuse_at(char port[8])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&at, size), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    snprintf(port, 8, "%d", ntohs(at.sin_port));
    return fd;
}

/* ---- Certificates ---- */

typedef struct identity {
    EVP_PKEY *key;
    X509 *certificate;
    char key_file[64], certificate_file[64];
} identity;

static void add_extension(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);

    cr_assert_not_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static void write_identity(identity *made, const char *folder, const char *name)
{
    snprintf(made->key_file, sizeof(made->key_file), "%s/%s.key", folder, name);
    snprintf(made->certificate_file, sizeof(made->certificate_file), "%s/%s.pem", folder, name);
    FILE *file = fopen(made->key_file, "w");
    PEM_write_PrivateKey(file, made->key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    file = fopen(made->certificate_file, "w");
    PEM_write_X509(file, made->certificate);
    fclose(file);
}

/* Signed by `by`, or by itself; valid from now on for `days` (negative: expired). */
static inline identity make_identity(const char *folder, const char *name, const char *names,
                                     const identity *by, int days)
{
    static long serial;
    identity made = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
    X509_NAME *subject = X509_get_subject_name(made.certificate);

    X509_set_version(made.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), ++serial);
    X509_time_adj_ex(X509_getm_notBefore(made.certificate), days < 0 ? 2 * days : -1, 0, NULL);
    X509_time_adj_ex(X509_getm_notAfter(made.certificate), days, 0, NULL);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(made.certificate, by ? X509_get_subject_name(by->certificate) : subject);
    X509_set_pubkey(made.certificate, made.key);
    if (!by)
        add_extension(made.certificate, NID_basic_constraints, "critical,CA:TRUE");
    if (names)
        add_extension(made.certificate, NID_subject_alt_name, names);
    cr_assert_gt(X509_sign(made.certificate, by ? by->key : made.key, EVP_sha256()), 0);
    write_identity(&made, folder, name);
    return made;
}

/* A list of what `by` revoked (NULL: nothing), out of date after `days`. */
static inline void write_revoked(const char *path, const identity *by, const identity *revoked, int days)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *time = ASN1_TIME_new();

    X509_CRL_set_version(list, 1);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(by->certificate));
    X509_time_adj_ex(time, days < 0 ? 2 * days : -1, 0, NULL);
    X509_CRL_set1_lastUpdate(list, time);
    X509_time_adj_ex(time, days, 0, NULL);
    X509_CRL_set1_nextUpdate(list, time);
    if (revoked) {
        X509_REVOKED *entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->certificate));
        X509_REVOKED_set_revocationDate(entry, time);
        X509_CRL_add0_revoked(list, entry);
    }
    cr_assert_gt(X509_CRL_sign(list, by->key, EVP_sha256()), 0);
    FILE *file = fopen(path, "w");
    cr_assert_eq(PEM_write_X509_CRL(file, list), 1);
    fclose(file);
    ASN1_TIME_free(time);
    X509_CRL_free(list);
}

static inline void free_identity(identity *made)
{
    EVP_PKEY_free(made->key);
    X509_free(made->certificate);
    unlink(made->key_file);
    unlink(made->certificate_file);
}

#endif
