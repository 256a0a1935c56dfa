/* The stepped transport under TLS: whom it trusts, what it says, and that nothing is lost. */
#include "net_fixture.h"

#include <limits.h>
#include <openssl/err.h>
#include <sys/stat.h>

TestSuite(net_tls, .timeout = 60);

static kivi_error *error;
static char folder[] = "/tmp/kivi-unit-tls-XXXXXX";

/* ---- A server ---- */

typedef enum conduct {
    ECHO,  /* sends back what comes, until the client is gone */
    CLEAR, /* speaks no TLS */
    SHUT   /* closes after the handshake */
} conduct;

typedef struct tls_server {
    int fd;
    char port[8];
    SSL_CTX *context;
    conduct conduct;
    pthread_t thread;
    bool was_polite; /* the client said goodbye */
    int records[8];  /* what came in each of the first */
    size_t record_count;
} tls_server;

static void echo(tls_server *server, SSL *ssl)
{
    static char bytes[16384];
    int got;

    while ((got = SSL_read(ssl, bytes, sizeof(bytes))) > 0) {
        if (server->record_count < sizeof(server->records) / sizeof(server->records[0]))
            server->records[server->record_count++] = got;
        if (SSL_write(ssl, bytes, got) != got)
            return;
    }
    server->was_polite = SSL_get_error(ssl, got) == SSL_ERROR_ZERO_RETURN;
}

static void *serve(void *user)
{
    tls_server *server = user;
    int fd = accept(server->fd, NULL, NULL);

    if (server->conduct == CLEAR) {
        char bytes[64];
        ssize_t sent = send(fd, "-ERR no TLS here\r\n", 18, MSG_NOSIGNAL);
        (void)sent;
        while (recv(fd, bytes, sizeof(bytes), 0) > 0)
            ;
        close(fd);
        return NULL;
    }
    SSL *ssl = SSL_new(server->context);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1 && server->conduct == ECHO)
        echo(server, ssl);
    ERR_clear_error();
    SSL_free(ssl);
    close(fd);
    return NULL;
}

static void server_start(tls_server *server, const identity *who, const identity *clients, conduct how)
{
    *server = (tls_server){.conduct = how};
    server->fd = listen_at("127.0.0.1", server->port);
    server->context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(server->context, who->certificate);
    SSL_CTX_use_PrivateKey(server->context, who->key);
    if (clients) {
        SSL_CTX_load_verify_file(server->context, clients->certificate_file);
        SSL_CTX_set_verify(server->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    signal(SIGPIPE, SIG_IGN); /* the server's; the client's is shown in case sigpipe */
    pthread_create(&server->thread, NULL, serve, server);
}

static void server_stop(tls_server *server)
{
    pthread_join(server->thread, NULL);
    SSL_CTX_free(server->context);
    close(server->fd);
}

/* ---- A client ---- */

typedef struct client {
    kvi_net_target target;
    kvi_net_tls *tls;
    kvi_net net;
} client;

static void client_open(client *c, const tls_server *server, const kvi_net_tls_settings *settings,
                        const char *host)
{
    cr_assert_eq(kvi_net_tls_new(&kvi_host_table, settings, host, &c->tls, &error), KIVI_OK, "%s",
                 error ? kivi_error_message(error) : "");
    c->target = (kvi_net_target){
        .place = {.core = &kvi_host_table, .host = host, .port = server->port}, .tls = c->tls};
    kvi_net_init(&c->net, &c->target);
}

static void client_close(client *c)
{
    kvi_net_free(&c->net);
    kvi_net_tls_free(c->tls);
}

/* ---- Identities ---- */

static identity authority, stranger, server_id, client_id, expired_id, misnamed_id, commoner_id;

static void make_all(void)
{
    cr_assert_not_null(mkdtemp(folder));
    authority = make_identity(folder, "authority", NULL, NULL, 10);
    stranger = make_identity(folder, "stranger", NULL, NULL, 10);
    server_id = make_identity(folder, "server", "DNS:localhost,IP:127.0.0.1", &authority, 10);
    client_id = make_identity(folder, "client", NULL, &authority, 10);
    expired_id = make_identity(folder, "expired", "DNS:localhost,IP:127.0.0.1", &authority, -2);
    commoner_id = make_identity(folder, "localhost", NULL, &authority, 10); /* a common name alone */
    misnamed_id = make_identity(folder, "misnamed", "DNS:elsewhere.example", &authority, 10);
}

static void remove_all(void)
{
    identity *all[] = {&authority,  &stranger,    &server_id,  &client_id,
                       &expired_id, &misnamed_id, &commoner_id};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free_identity(all[i]);
    rmdir(folder);
}

/* ---- Trust ---- */

static void expect_echo(client *c)
{
    size_t size;

    queue_net(&c->net, "hello", 5);
    cr_assert_eq(flush_net(&c->net, &error), KIVI_OK);
    cr_assert_eq(receive_net(&c->net, 5, &error), KIVI_OK, "%s", error ? kivi_error_message(error) : "");
    cr_assert_eq(memcmp(kvi_net_bytes(&c->net, &size), "hello", 5), 0);
    kvi_net_consume(&c->net, 5);
}

static void expect_accepted(const identity *who, const kvi_net_tls_settings *settings, const char *host)
{
    tls_server server;
    client c;

    server_start(&server, who, NULL, ECHO);
    client_open(&c, &server, settings, host);
    cr_assert_eq(connect_net(&c.net, &error), KIVI_OK, "%s", error ? kivi_error_message(error) : "");
    cr_assert_not(c.net.can_wait, "what TLS reads may be less than a record");
    expect_echo(&c);
    client_close(&c);
    server_stop(&server);
}

Test(net_tls, accepted, .init = make_all, .fini = remove_all)
{
    kvi_net_tls_settings settings = {.ca_file = authority.certificate_file, .verify = true};

    expect_accepted(&server_id, &settings, "127.0.0.1");
    expect_accepted(&server_id, &settings, "localhost");
    settings.server_name = "elsewhere.example";
    expect_accepted(&misnamed_id, &settings, "127.0.0.1");
    settings = (kvi_net_tls_settings){.verify = false};
    expect_accepted(&misnamed_id, &settings, "127.0.0.1");
    expect_accepted(&expired_id, &settings, "localhost");
    expect_accepted(&commoner_id, &settings, "localhost");
}

/* Records end where they were told to, and hold what was queued together. */
Test(net_tls, sealed_records, .init = make_all, .fini = remove_all)
{
    kvi_net_tls_settings settings = {.ca_file = authority.certificate_file, .verify = true};
    tls_server server;
    client c;

    server_start(&server, &server_id, NULL, ECHO);
    client_open(&c, &server, &settings, "127.0.0.1");
    cr_assert_eq(connect_net(&c.net, &error), KIVI_OK);
    queue_net(&c.net, "ab", 2);
    queue_net(&c.net, "c", 1);
    cr_assert(kvi_net_seal(&c.net));
    queue_net(&c.net, "defgh", 5);
    cr_assert(kvi_net_seal(&c.net)); /* with nothing behind it */
    cr_assert_eq(c.net.queued, 8);
    cr_assert_eq(flush_net(&c.net, &error), KIVI_OK);
    cr_assert_eq(receive_net(&c.net, 8, &error), KIVI_OK);
    size_t size;
    cr_expect_eq(memcmp(kvi_net_bytes(&c.net, &size), "abcdefgh", 8), 0);
    client_close(&c);
    server_stop(&server);
    cr_assert_eq(server.record_count, 2);
    cr_expect_eq(server.records[0], 3);
    cr_expect_eq(server.records[1], 5);
}

static void expect_denied_at(const char *host, const identity *who,
                             const kvi_net_tls_settings *settings, const char *part)
{
    tls_server server;
    client c;

    server_start(&server, who, NULL, ECHO);
    client_open(&c, &server, settings, host);
    expect_failure(connect_net(&c.net, &error), &error, KIVI_DENIED, part);
    client_close(&c);
    server_stop(&server);
}

static void expect_denied(const identity *who, const kvi_net_tls_settings *settings, const char *part)
{
    expect_denied_at("127.0.0.1", who, settings, part);
}

Test(net_tls, denied, .init = make_all, .fini = remove_all)
{
    kvi_net_tls_settings settings = {.ca_file = authority.certificate_file, .verify = true};

    expect_denied(&misnamed_id, &settings, "IP address mismatch");
    expect_denied(&expired_id, &settings, "expired");
    settings.server_name = "localhost";
    expect_denied(&misnamed_id, &settings, "hostname mismatch");
    settings = (kvi_net_tls_settings){.ca_file = stranger.certificate_file, .verify = true};
    expect_denied(&server_id, &settings, "local issuer");
    settings = (kvi_net_tls_settings){.verify = true}; /* the system's authorities do not know ours */
    expect_denied(&server_id, &settings, "certificate was not accepted");
}

/* A common name may be anybody's; the message says what else there is. */
Test(net_tls, common_name, .init = make_all, .fini = remove_all)
{
    kvi_net_tls_settings settings = {.ca_file = authority.certificate_file, .verify = true};

    expect_denied_at("localhost", &commoner_id, &settings, "its subjectAltName does not hold localhost");
    expect_denied_at("localhost", &commoner_id, &settings, "tls_server_name");
    expect_denied_at("localhost", &commoner_id, &settings, "tls_verify=false");
}

/* As `openssl rehash` does; `name` is the place of the link. */
static void link_by_hash(const identity *who, char name[PATH_MAX])
{
    snprintf(name, PATH_MAX, "%s/%08lx.0", folder, X509_subject_name_hash(who->certificate));
    cr_assert_eq(symlink(who->certificate_file, name), 0);
}

Test(net_tls, directory_of_authorities, .init = make_all, .fini = remove_all)
{
    kvi_net_tls_settings settings = {.ca_dir = folder, .verify = true};
    char first[PATH_MAX], second[PATH_MAX];
    tls_server server;
    client c;

    link_by_hash(&stranger, first);
    expect_denied(&server_id, &settings, "local issuer");
    link_by_hash(&authority, second);
    expect_accepted(&server_id, &settings, "127.0.0.1");
    /* It is read at open: a handshake does without. */
    server_start(&server, &server_id, NULL, ECHO);
    client_open(&c, &server, &settings, "127.0.0.1");
    unlink(first);
    unlink(second);
    cr_assert_eq(connect_net(&c.net, &error), KIVI_OK, "%s", error ? kivi_error_message(error) : "");
    client_close(&c);
    server_stop(&server);
}

Test(net_tls, revoked, .init = make_all, .fini = remove_all)
{
    char path[PATH_MAX];
    kvi_net_tls_settings settings = {
        .ca_file = authority.certificate_file, .crl_file = path, .verify = true};

    snprintf(path, sizeof(path), "%s/revoked.crl", folder);
    write_revoked(path, &authority, &misnamed_id, 10);
    expect_accepted(&server_id, &settings, "127.0.0.1");
    write_revoked(path, &authority, &server_id, 10);
    expect_denied(&server_id, &settings, "certificate revoked");
    write_revoked(path, &authority, NULL, -1);
    expect_denied(&server_id, &settings, "CRL has expired");
    write_revoked(path, &stranger, NULL, 10);
    expect_denied(&server_id, &settings, "unable to get certificate CRL");
    unlink(path);
}

/* With TLS 1.3 a server refuses the client only after the client's handshake is done. */
Test(net_tls, client_certificate, .init = make_all, .fini = remove_all)
{
    kvi_net_tls_settings settings = {.ca_file = authority.certificate_file, .verify = true};
    tls_server server;
    client c;

    server_start(&server, &server_id, &authority, ECHO);
    client_open(&c, &server, &settings, "127.0.0.1");
    kivi_status status = connect_net(&c.net, &error);
    if (status == KIVI_OK)
        status = receive_net(&c.net, 1, &error);
    expect_failure(status, &error, KIVI_DENIED, "did not accept this client");
    client_close(&c);
    server_stop(&server);

    settings.cert_file = client_id.certificate_file;
    settings.key_file = client_id.key_file;
    server_start(&server, &server_id, &authority, ECHO);
    client_open(&c, &server, &settings, "127.0.0.1");
    cr_assert_eq(connect_net(&c.net, &error), KIVI_OK);
    expect_echo(&c);
    client_close(&c);
    server_stop(&server);
}

static void expect_refused(const kvi_net_tls_settings *settings, const char *part)
{
    kvi_net_tls *tls;

    expect_failure(kvi_net_tls_new(&kvi_host_table, settings, "localhost", &tls, &error), &error,
                   KIVI_INVALID, part);
}

/* The file and the reason; of a key that is there nothing but that. */
Test(net_tls, files, .init = make_all, .fini = remove_all)
{
    const struct {
        kvi_net_tls_settings settings;
        const char *part;
    } cases[] = {
        {{.ca_file = "/nowhere/ca.pem", .verify = true}, "CA file /nowhere/ca.pem: no such file"},
        {{.ca_file = client_id.key_file, .verify = true}, "client.key: no certificate"},
        {{.ca_file = folder, .verify = true}, "not a regular file"},
        {{.ca_file = "/dev/zero", .verify = true}, "CA file /dev/zero: not a regular file"},
        {{.ca_dir = "/nosuch", .verify = true}, "CA directory /nosuch: no such directory"},
        {{.ca_dir = client_id.certificate_file, .verify = true}, "client.pem: Not a directory"},
        {{.ca_dir = folder, .verify = true}, "it holds no certificate that is named by its hash"},
        {{.crl_file = "/nowhere/crl.pem", .verify = true}, "CRL file /nowhere/crl.pem: no such file"},
        {{.crl_file = client_id.certificate_file, .verify = true}, "client.pem: "},
        {{.crl_file = client_id.certificate_file, .verify = false}, "without verification"},
        {{.cert_file = "/nowhere/cert.pem"}, "certificate file /nowhere/cert.pem: no such file"},
        {{.cert_file = client_id.key_file}, "client.key: it holds none in PEM form"},
        {{.cert_file = client_id.certificate_file}, "key file"},
        {{.cert_file = client_id.certificate_file, .key_file = "/nowhere/k"},
         "key file /nowhere/k: no such file"},
        {{.cert_file = client_id.certificate_file, .key_file = server_id.key_file},
         "server.key: key values mismatch"},
        {{.key_file = client_id.key_file}, "without its certificate"},
        {{.server_name = ".example", .verify = true}, "server name .example: it begins with a dot"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refused(&cases[i].settings, cases[i].part);
}

Test(net_tls, encrypted_key, .init = make_all, .fini = remove_all)
{
    char path[PATH_MAX];
    kvi_net_tls_settings settings = {.cert_file = client_id.certificate_file, .key_file = path};

    snprintf(path, sizeof(path), "%s/encrypted", folder);
    FILE *file = fopen(path, "w");
    cr_assert_eq(
        PEM_write_PKCS8PrivateKey(file, client_id.key, EVP_aes_128_cbc(), "hunter2", 7, NULL, NULL), 1);
    fclose(file);
    expect_refused(&settings, "encrypted: it is encrypted");
    unlink(path);
}

/* None is opened in a way that waits for a writer. */
Test(net_tls, fifos, .init = make_all, .fini = remove_all, .timeout = 20)
{
    char path[PATH_MAX];
    const kvi_net_tls_settings cases[] = {
        {.ca_file = path, .verify = true},
        {.crl_file = path, .verify = true},
        {.cert_file = path},
        {.cert_file = client_id.certificate_file, .key_file = path},
    };

    snprintf(path, sizeof(path), "%s/fifo", folder);
    cr_assert_eq(mkfifo(path, 0600), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refused(&cases[i], "fifo: not a regular file");
    unlink(path);
}

/* ---- Servers that are none ---- */

Test(net_tls, no_tls, .init = make_all, .fini = remove_all)
{
    kvi_net_tls_settings settings = {.ca_file = authority.certificate_file, .verify = true};
    tls_server server;
    client c;

    server_start(&server, &server_id, NULL, CLEAR);
    client_open(&c, &server, &settings, "127.0.0.1");
    expect_failure(connect_net(&c.net, &error), &error, KIVI_UNAVAILABLE, "TLS");
    client_close(&c);
    server_stop(&server);
}

/* The peer closes its socket without a word: a status, and no signal, also when bytes go on being sent. */
Test(net_tls, closed, .init = make_all, .fini = remove_all)
{
    kvi_net_tls_settings settings = {.ca_file = authority.certificate_file, .verify = true};
    tls_server server;
    client c;
    kivi_status status = KIVI_OK;

    server_start(&server, &server_id, NULL, SHUT);
    client_open(&c, &server, &settings, "127.0.0.1");
    cr_assert_eq(connect_net(&c.net, &error), KIVI_OK);
    server_stop(&server);
    signal(SIGPIPE, SIG_DFL);
    for (int i = 0; i < 100 && status == KIVI_OK; i++) {
        queue_net(&c.net, "bytes", 5);
        status = kvi_net_flush(&c.net, &error);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    expect_failure(status, &error, KIVI_UNAVAILABLE, "127.0.0.1");
    client_close(&c);
}

/* ---- Much of it ---- */

Test(net_tls, both_ways, .init = make_all, .fini = remove_all)
{
    kvi_net_tls_settings settings = {.ca_file = authority.certificate_file, .verify = true};
    size_t total = 3 << 20, size, seen = 0;
    uint8_t *bytes = malloc(total);
    tls_server server;
    client c;

    for (size_t i = 0; i < total; i++)
        bytes[i] = (uint8_t)(i ^ i >> 9 ^ i >> 15);
    server_start(&server, &server_id, NULL, ECHO);
    client_open(&c, &server, &settings, "127.0.0.1");
    cr_assert_eq(connect_net(&c.net, &error), KIVI_OK);
    for (size_t at = 0; at < total; at += 100000) { /* copied and referred in turn */
        size_t part = total - at < 100000 ? total - at : 100000;
        if (at / 100000 % 2)
            queue_net(&c.net, bytes + at, part);
        else
            cr_assert(kvi_net_refer(&c.net, kivi_bytes(bytes + at, part)));
    }
    /* The echo blocks unless both directions go on. */
    while (seen < total) {
        uint64_t sent = c.net.sent;
        kivi_status status = kvi_net_flush(&c.net, &error);
        cr_assert(status == KIVI_OK || status == KIVI_PENDING);
        cr_assert(c.net.begun >= c.net.sent && c.net.sent >= sent && c.net.begun <= c.net.queued);
        do
            status = kvi_net_receive(&c.net, false, &error);
        while (status == KIVI_OK && c.net.more);
        cr_assert(status == KIVI_OK || status == KIVI_PENDING);
        const uint8_t *got = kvi_net_bytes(&c.net, &size);
        cr_assert_eq(memcmp(got, bytes + seen, size), 0, "after %zu", seen);
        seen += size;
        kvi_net_consume(&c.net, size);
        if (seen < total)
            await_net(&c.net);
    }
    cr_assert_eq(c.net.sent, total);
    free(bytes);
    client_close(&c);
    server_stop(&server);
}

/* ---- The end ---- */

static bool goodbye(bool abandon)
{
    kvi_net_tls_settings settings = {.ca_file = authority.certificate_file, .verify = true};
    tls_server server;
    client c;

    server_start(&server, &server_id, NULL, ECHO);
    client_open(&c, &server, &settings, "127.0.0.1");
    cr_assert_eq(connect_net(&c.net, &error), KIVI_OK);
    expect_echo(&c);
    if (abandon)
        kvi_net_abandon(&c.net, true);
    else
        kvi_net_free(&c.net);
    kvi_net_tls_free(c.tls);
    server_stop(&server);
    return server.was_polite;
}

/* Closing says goodbye; what a child abandons says nothing, since the parent goes on with it. */
Test(net_tls, goodbye, .init = make_all, .fini = remove_all)
{
    cr_assert(goodbye(false));
    cr_assert_not(goodbye(true));
}

/* ---- The protocol above (ALPN) ---- */

static int take_second(SSL *ssl, const unsigned char **out, unsigned char *size,
                       const unsigned char *offered, unsigned offered_size, void *user)
{
    (void)ssl, (void)user;
    if (offered_size < 4 || memcmp(offered, "\2h2\10http/1.1", 12) != 0)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = offered + 4;
    *size = 8;
    return SSL_TLSEXT_ERR_OK;
}

Test(net_tls, protocols, .init = make_all, .fini = remove_all)
{
    kvi_net_tls_settings settings = {.ca_file = authority.certificate_file, .verify = true};

    for (int offers = 0; offers < 2; offers++) {
        tls_server server;
        client c;
        settings.protocols = offers ? "h2 http/1.1" : NULL;
        server_start(&server, &server_id, NULL, ECHO);
        SSL_CTX_set_alpn_select_cb(server.context, take_second, NULL);
        client_open(&c, &server, &settings, "127.0.0.1");
        cr_assert_eq(connect_net(&c.net, &error), KIVI_OK);
        kivi_slice taken = kvi_net_protocol(&c.net);
        cr_expect_eq(taken.size, offers ? 8 : 0);
        if (offers)
            cr_expect_eq(memcmp(taken.data, "http/1.1", 8), 0);
        client_close(&c);
        server_stop(&server);
    }
}
