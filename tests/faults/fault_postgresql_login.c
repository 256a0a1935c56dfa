/* Logins to PostgreSQL that must not be let in, each told by what is wrong; and what the environment may say of them. */
#include "common/logins.h"
#include "servers/postgresql.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(fault_postgresql_login, .init = case_begin, .fini = case_end, .timeout = 300);

/* ---- Asking ---- */

static kivi_store *login(const running_server *server, const char *who, const char *host,
                         const char *options)
{
    return open_store("postgresql://%s@%s:%d/kivi?codec=raw%s", who, host, server->port, options);
}

static void write_access(const running_server *server, const char *lines)
{
    char path[320];
    FILE *file;

    snprintf(path, sizeof(path), "%s/access", server->directory);
    CHECK((file = fopen(path, "w")) && fprintf(file, "local all all trust\n%s\n", lines) > 0 &&
          !fclose(file));
    chmod(path, 0644);
}

/* All that its options may name; those of one server are used by it alone. */
static void prepare_tls(running_server *server)
{
    make_certificates(server);
    write_access(server, "hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n"
                         "host all kivi 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 trust");
    postgresql.prepare(server);
}

/* `certificate`: the server's; NULL: it does not offer TLS. */
static void start_with(running_server *server, fault_server *kind, const char *certificate)
{
    static text words[4];

    *kind = postgresql;
    kind->prepare = prepare_tls;
    print(&words[0], "hba_file=%s/server/access", folder);
    print(&words[1], "ssl_cert_file=%s/server/%s.pem", folder, certificate ? certificate : "server");
    print(&words[2], "ssl_key_file=%s/server/%s.key", folder, certificate ? certificate : "server");
    print(&words[3], "ssl_ca_file=%s/server/ca.pem", folder);
    const char *const options[] = {"-c", words[0].bytes,
                                   "-c", words[1].bytes,
                                   "-c", words[2].bytes,
                                   "-c", words[3].bytes,
                                   "-c", certificate ? "ssl=on" : "ssl=off",
                                   NULL};
    server_start(server, kind, "server", NULL, options);
}

static kivi_store *login_tls(const running_server *server, const char *ca, const char *client,
                             const char *more)
{
    char options[TLS_OPTIONS];

    return login(server, "kivi:" LOGIN_SECRET, "127.0.0.1", tls_options(options, ca, client, more));
}

/* ---- TLS that is wrong in one way each ---- */

Test(fault_postgresql_login, what_is_wrong_with_tls)
{
    running_server server;
    fault_server kind;

    start_with(&server, &kind, "server");
    login_works(login_tls(&server, "ca", "client", ""));
    login_works(login_tls(&server, "stranger", "client", "&tls_verify=false"));
    login_refused(login_tls(&server, "stranger", "client", ""), KIVI_DENIED, "unknown authority");
    login_refused(login_tls(&server, "ca", "client", "&tls_server_name=elsewhere.example"),
                  KIVI_DENIED, "for another name");
    login_refused(login_tls(&server, "ca", NULL, ""), KIVI_DENIED, "28000");
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

Test(fault_postgresql_login, a_server_of_another_name)
{
    expect_certificate_refused("misnamed", "for another name", "&tls_server_name=elsewhere.example");
}

Test(fault_postgresql_login, a_certificate_that_has_expired)
{
    expect_certificate_refused("expired", "expired", NULL);
}

Test(fault_postgresql_login, a_server_without_tls)
{
    running_server server;
    fault_server kind;

    start_with(&server, &kind, NULL);
    login_refused(login_tls(&server, "ca", "client", ""), KIVI_DENIED, "does not offer it");
    login_works(login(&server, "kivi", "127.0.0.1", "")); /* where it is not required */
    server_stop(&server);
}

/* ---- Users, passwords and databases ---- */

Test(fault_postgresql_login, who_is_not_let_in)
{
    running_server server;

    server_start(&server, &postgresql, "server", "first", NULL);
    login_works(login(&server, "kivi:first", "127.0.0.1", ""));
    login_refused(login(&server, "kivi:" LOGIN_SECRET, "127.0.0.1", ""), KIVI_DENIED, "28P01");
    login_refused(login(&server, "nobody:" LOGIN_SECRET, "127.0.0.1", ""), KIVI_DENIED, "28P01");
    login_refused(login(&server, "kivi", "127.0.0.1", ""), KIVI_DENIED, "wants a password");
    login_refused(login(&server, "kivi", "127.0.0.1", "&environment=false"), KIVI_DENIED,
                  "wants a password");
    login_refused(open_store("postgresql://kivi:first@127.0.0.1:%d/missing", server.port),
                  KIVI_INVALID, "no such database");
    login_refused(login(&server, "kivi:first", "127.0.0.1", "&schema=missing"), KIVI_INVALID,
                  "no such schema");
    server_stop(&server);
}

/* ---- The environment ---- */

/* All that libpq 15 reads; values that would send it elsewhere, or that it does not take at all. */
static const char *const hostile[][2] = {
    {"PGHOST", "/nowhere"},
    {"PGHOSTADDR", "192.0.2.1"},
    {"PGPORT", "1"},
    {"PGDATABASE", "missing"},
    {"PGUSER", "nobody"},
    {"PGPASSWORD", "wrong"},
    {"PGPASSFILE", "/nowhere"},
    {"PGOPTIONS", "-c search_path=pg_catalog -c default_transaction_read_only=on"},
    {"PGAPPNAME", "hostile"},
    {"PGCHANNELBINDING", "require"},
    {"PGCLIENTENCODING", "LATIN1"},
    {"PGCONNECT_TIMEOUT", "never"},
    {"PGSSLMODE", "verify-full"},
    {"PGREQUIRESSL", "1"},
    {"PGSSLCOMPRESSION", "1"},
    {"PGSSLCERT", "/etc/passwd"},
    {"PGSSLKEY", "/etc/passwd"},
    {"PGSSLROOTCERT", "/etc/passwd"},
    {"PGSSLCRL", "/etc/passwd"},
    {"PGSSLCRLDIR", "/etc"},
    {"PGSSLSNI", "0"},
    {"PGSSLMINPROTOCOLVERSION", "SSLv2"},
    {"PGSSLMAXPROTOCOLVERSION", "SSLv2"},
    {"PGREQUIREPEER", "nobody"},
    {"PGGSSENCMODE", "require"},
    {"PGKRBSRVNAME", "hostile"},
    {"PGGSSLIB", "hostile"},
    {"PGTARGETSESSIONATTRS", "standby"},
    {"PGTZ", "Pacific/Kiritimati"},
    {"PGDATESTYLE", "German"},
    {"PGGEQO", "off"},
    {"PGSYSCONFDIR", "/nowhere"},
    {"PGLOCALEDIR", "/nowhere"},
};

static void write_file(const char *name, const char *content)
{
    text path;
    FILE *file;

    print(&path, "%s/%s", folder, name);
    CHECK((file = fopen(path.bytes, "w")) && fputs(content, file) >= 0 && !fclose(file));
    CHECK(chmod(path.bytes, 0600) == 0);
}

/* A home with files of libpq's in it, all of them wrong. */
static void make_home(void)
{
    text path;

    print(&path, "%s/.postgresql", folder);
    CHECK(mkdir(path.bytes, 0700) == 0);
    write_file(".pgpass", "*:*:*:*:wrong\n");
    write_file(".postgresql/postgresql.crt", "no certificate");
    write_file(".postgresql/postgresql.key", "no key");
    write_file(".postgresql/root.crt", "no certificate");
    write_file(".postgresql/root.crl", "no list");
    write_file(".pg_service.conf",
               "[hostile]\nhostaddr=192.0.2.1\nport=1\nuser=nobody\ndbname=missing\n"
               "password=wrong\noptions=-c default_transaction_read_only=on\n"
               "sslmode=verify-full\nrequirepeer=nobody\nconnect_timeout=never\n");
    setenv("HOME", folder, 1);
}

static void set_hostile(bool sets)
{
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
        sets ? setenv(hostile[i][0], hostile[i][1], 1) : unsetenv(hostile[i][0]);
}

/* Over TCP, TLS and a socket, without a password and with one. */
static void expect_all_work(const running_server *server)
{
    char options[500];

    login_works(login(server, "kivi", "127.0.0.1", "&environment=false"));
    login_works(login(server, "kivi:" LOGIN_SECRET, "localhost", "&environment=false&application_name="));
    login_works(login_tls(server, "ca", "client", "&environment=false"));
    snprintf(options, sizeof(options), "&environment=false&host=%s", server->directory);
    login_works(open_store("postgresql://kivi@/kivi?codec=raw&port=%d%s", server->port, options));
}

Test(fault_postgresql_login, the_environment_is_shut_off)
{
    running_server server;
    fault_server kind;

    start_with(&server, &kind, "server");
    make_home();
    set_hostile(true);
    expect_all_work(&server);
    setenv("PGSERVICE", "hostile", 1);
    expect_all_work(&server);
    setenv("PGSERVICE", "missing", 1); /* what libpq lets nobody shut off is told */
    login_refused(login(&server, "kivi", "127.0.0.1", "&environment=false"), KIVI_INVALID, "PGSERVICE");
    unsetenv("PGSERVICE");
    setenv("PGTZ", "Nowhere/None", 1);
    login_refused(login(&server, "kivi", "127.0.0.1", "&environment=false"), KIVI_INVALID, "PGTZ");
    set_hostile(false);
    server_stop(&server);
}

/* Each of them counts unless it is shut off, or the URL says otherwise: else the case above would show nothing. */
Test(fault_postgresql_login, the_environment_counts)
{
    running_server server;
    fault_server kind;

    start_with(&server, &kind, "server");
    setenv("PGOPTIONS", "-c default_transaction_read_only=on", 1);
    kivi_store *store = login(&server, "kivi", "127.0.0.1", "");
    ANSWERS(KIVI_DENIED, kivi_store_set(store, NULL, kivi_str("k"), kivi_str("v"), KIVI_TTL_NONE, E));
    kivi_store_unref(store);
    unsetenv("PGOPTIONS");
    setenv("PGCHANNELBINDING", "require", 1);
    login_refused(login(&server, "kivi", "127.0.0.1", ""), KIVI_DENIED, "channel binding");
    setenv("PGCHANNELBINDING", "sometimes", 1);
    login_refused(login(&server, "kivi", "127.0.0.1", ""), KIVI_INVALID, "variables");
    unsetenv("PGCHANNELBINDING");
    setenv("PGUSER", "nobody", 1);
    login_refused(open_store("postgresql://127.0.0.1:%d/kivi?codec=raw", server.port), KIVI_DENIED,
                  "28000");
    unsetenv("PGUSER");
    setenv("PGREQUIREPEER", "nobody", 1);
    login_refused(open_store("postgresql://kivi@/kivi?codec=raw&port=%d&host=%s", server.port,
                             server.directory),
                  KIVI_DENIED, "PGREQUIREPEER");
    unsetenv("PGREQUIREPEER");
    server_stop(&server);
}
