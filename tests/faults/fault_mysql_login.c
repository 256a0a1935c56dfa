/* Logins to MariaDB that must not be let in, each told by what is wrong; and what the environment may say of them. */
#include "common/logins.h"
#include "common/stage.h"
#include "servers/mysql.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

TestSuite(fault_mysql_login, .init = case_begin, .fini = case_end, .timeout = 300);

static kivi_store *login(const running_server *server, const char *who, int port, const char *options)
{
    return open_store("mysql://%s@127.0.0.1:%d/kivi?codec=raw%s", who, port ? port : server->port,
                      options);
}

static kivi_store *login_tls(const running_server *server, const char *ca, const char *client,
                             const char *more)
{
    char options[TLS_OPTIONS];

    return login(server, "certified:" LOGIN_SECRET, 0, tls_options(options, ca, client, more));
}

/* ---- A server with certificates ---- */

static void prepare_tls(running_server *server)
{
    make_certificates(server);
    mysql.prepare(server);
}

/* `certificate`: the server's; NULL: it does not offer TLS. The user `certified` shows one as well. */
static void start_with(running_server *server, fault_server *kind, const char *certificate)
{
    static text words[3];

    *kind = mysql;
    kind->prepare = prepare_tls;
    print(&words[0], "--ssl-ca=%s/server/ca.pem", folder);
    print(&words[1], "--ssl-cert=%s/server/%s.pem", folder, certificate ? certificate : "server");
    print(&words[2], "--ssl-key=%s/server/%s.key", folder, certificate ? certificate : "server");
    const char *const with[] = {words[0].bytes, words[1].bytes, words[2].bytes, NULL},
                      *const without[] = {"--skip-ssl", NULL};
    server_start(server, kind, "server", NULL, certificate ? with : without);
    mysql_tell(server, "CREATE USER certified@'%' IDENTIFIED BY '" LOGIN_SECRET "' REQUIRE X509");
    mysql_tell(server, "GRANT ALL ON kivi.* TO certified@'%'");
}

/* ---- TLS that is wrong in one way each ---- */

Test(fault_mysql_login, what_is_wrong_with_tls)
{
    running_server server;
    fault_server kind;

    start_with(&server, &kind, "server");
    login_works(login_tls(&server, "ca", "client", ""));
    login_works(login_tls(&server, "stranger", "client", "&tls_verify=false"));
    login_refused(login_tls(&server, "stranger", "client", ""), KIVI_DENIED, "unknown authority");
    login_refused(login_tls(&server, "ca", "client", "&tls_server_name=elsewhere.example"),
                  KIVI_DENIED, "for another name");
    login_refused(login_tls(&server, "ca", NULL, ""), KIVI_DENIED, "1045");
    login_refused(login_tls(&server, "ca", "strange", ""), KIVI_DENIED, "TLS");
    server_stop(&server);
}

/* The server shows this one; `name`: that a client may take it for. */
static void expect_certificate_refused(const char *certificate, const char *part, const char *name)
{
    running_server server;
    fault_server kind;

    start_with(&server, &kind, certificate);
    login_refused(login_tls(&server, "ca", "client", ""), KIVI_DENIED, part);
    if (name)
        login_works(login_tls(&server, "ca", "client", name));
    server_stop(&server);
}

Test(fault_mysql_login, a_server_of_another_name)
{
    expect_certificate_refused("misnamed", "for another name", "&tls_server_name=elsewhere.example");
}

Test(fault_mysql_login, a_certificate_that_has_expired)
{
    expect_certificate_refused("expired", "expired", NULL);
}

Test(fault_mysql_login, a_server_without_tls)
{
    running_server server;
    fault_server kind;

    start_with(&server, &kind, NULL);
    login_refused(login_tls(&server, "ca", "client", ""), KIVI_DENIED, "does not offer it");
    login_works(login(&server, "kivi", 0, "")); /* where it is not required */
    server_stop(&server);
}

/* ---- Links that spoil TLS: no refusal is read into it ---- */

/* A login that is cut off at some byte is made again, or is UNAVAILABLE; never is it DENIED. */
Test(fault_mysql_login, tls_over_a_bad_link)
{
    enum { LOGINS_MOST = 3000, CUTS = 8 };
    running_server server;
    fault_server kind;
    char options[TLS_OPTIONS];

    start_with(&server, &kind, "server");
    proxy *p = proxy_start(&server, NULL);
    tls_options(options, "ca", "client", "");
    login_works(login(&server, "certified:" LOGIN_SECRET, proxy_port(p), options));
    proxy_set(p, PROXY_CUT);
    for (int i = 0; proxy_spoiled(p) < CUTS; i++) {
        kivi_store *store = login(&server, "certified:" LOGIN_SECRET, proxy_port(p), options);
        kivi_buffer value = KIVI_BUFFER_INIT;
        kivi_status status = kivi_store_get(store, NULL, kivi_str("none"), &value, NULL);
        CHECK_SAYING(status == KIVI_NOT_FOUND || status == KIVI_UNAVAILABLE, "%s",
                     kivi_status_name(status));
        CHECK(i < LOGINS_MOST);
        kivi_buffer_free(&value);
        kivi_store_unref(store);
    }
    proxy_set(p, PROXY_DRIBBLE);
    login_works(login(&server, "certified:" LOGIN_SECRET, proxy_port(p), options));
    proxy_set(p, PROXY_DROP);
    kivi_store *store = login(&server, "certified:" LOGIN_SECRET, proxy_port(p), options);
    kivi_call call = within_ms(500);
    kivi_status status = kivi_store_set(store, &call, kivi_str("k"), kivi_str("v"), KIVI_TTL_NONE, NULL);
    CHECK_SAYING(status == KIVI_TIMEOUT || status == KIVI_UNAVAILABLE, "%s", kivi_status_name(status));
    kivi_store_unref(store);
    proxy_stop(p);
    server_stop(&server);
}

/* Connections end again and again while large values are written; SIGPIPE would end the process. */
Test(fault_mysql_login, tls_raises_no_signal)
{
    enum { SIZE = 1 << 20, ROUNDS = 8 };
    running_server server;
    fault_server kind;
    char *bytes = calloc(1, SIZE), options[TLS_OPTIONS];
    sigset_t pending;

    start_with(&server, &kind, "server");
    proxy *p = proxy_start(&server, NULL);
    kivi_store *store = login(&server, "certified:" LOGIN_SECRET, proxy_port(p),
                              tls_options(options, "ca", "client", ""));
    put(store, "k", "v");
    signal(SIGPIPE, SIG_DFL);
    for (int i = 0; i < ROUNDS; i++) {
        kivi_call call = within_ms(10000);
        pid_t killer = mysql_tell_beside(&server, "KILL USER certified");
        for (int n = 0; n < 4; n++)
            (void)kivi_store_set(store, &call, kivi_str("large"), kivi_bytes(bytes, SIZE),
                                 KIVI_TTL_NONE, NULL);
        CHECK(waitpid(killer, NULL, 0) == killer);
    }
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGPIPE));
    put(store, "k", "w");
    kivi_store_unref(store);
    proxy_stop(p);
    server_stop(&server);
    free(bytes);
}

/* ---- Users, passwords and databases ---- */

Test(fault_mysql_login, who_is_not_let_in)
{
    running_server server;

    server_start(&server, &mysql, "server", "first", NULL);
    login_works(login(&server, "kivi:first", 0, ""));
    login_refused(login(&server, "kivi:" LOGIN_SECRET, 0, ""), KIVI_DENIED, "1045");
    login_refused(login(&server, "nobody:" LOGIN_SECRET, 0, ""), KIVI_DENIED, "1045");
    login_refused(login(&server, "kivi", 0, ""), KIVI_DENIED, "1045");
    login_refused(open_store("mysql://kivi:first@127.0.0.1:%d/missing", server.port), KIVI_DENIED, "1044");
    mysql_tell(&server, "GRANT ALL ON missing.* TO kivi@'%'");
    login_refused(open_store("mysql://kivi:first@127.0.0.1:%d/missing", server.port), KIVI_INVALID,
                  "no such database");
    mysql_tell(&server, "ALTER USER kivi@'%' ACCOUNT LOCK");
    login_refused(login(&server, "kivi:first", 0, ""), KIVI_DENIED, "locked");
    server_stop(&server);
}

/* MYSQL_PWD is the password where no other is given, unless it is shut off; where a server is, only the URL says. */
Test(fault_mysql_login, the_environment)
{
    running_server server;

    server_start(&server, &mysql, "server", "first", NULL);
    setenv("MYSQL_TCP_PORT", "1", 1);
    setenv("MYSQL_UNIX_PORT", "/nowhere", 1);
    setenv("MARIADB_UNIX_PORT", "/nowhere", 1);
    setenv("MYSQL_PWD", "first", 1);
    login_works(login(&server, "kivi", 0, ""));
    login_refused(login(&server, "kivi", 0, "&environment=false"), KIVI_DENIED, "1045");
    setenv("MYSQL_PWD", LOGIN_SECRET, 1);
    login_refused(login(&server, "kivi", 0, ""), KIVI_DENIED, "1045");
    login_works(login(&server, "kivi:first", 0, ""));
    login_works(
        open_store("mysql://kivi:first@localhost/kivi?codec=raw&socket=%s/sock", server.directory));
    server_stop(&server);
}
