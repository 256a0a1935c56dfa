/* The start of a connection: everything that libpq is told, so that what it would read by itself counts only where it may. */
#include "../../core/base/platform.h"
#include "pg.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NOWHERE "/dev/null/none" /* no file can be there */
#define NAMES_SIZE 4096          /* an entry of the users' database */
#define PAIRS 40

typedef struct pairs {
    const char *names[PAIRS + 1], *values[PAIRS + 1];
    int count;
} pairs;

/* An empty value would be none to libpq. */
static void add(pairs *all, const char *name, const char *value)
{
    if (!value || !*value || all->count == PAIRS)
        return;
    all->names[all->count] = name;
    all->values[all->count++] = value;
}

/* ---- TLS ---- */

/* libpq 15 cannot be told "the system's". */
static const char *authorities(const pg_settings *settings)
{
    static const char *const systems[] = {"/etc/ssl/certs/ca-certificates.crt",
                                          "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    const char *named = settings->environment ? kvi_getenv_safe("PGSSLROOTCERT") : NULL;

    if (settings->ca_file)
        return settings->ca_file;
    if (named && *named)
        return named;
    for (size_t i = 0; i < sizeof(systems) / sizeof(systems[0]); i++)
        if (access(systems[i], R_OK) == 0)
            return systems[i];
    return systems[0];
}

static void add_tls(pairs *all, const pg_settings *settings)
{
    const char *none = settings->environment ? NULL : NOWHERE;

    add(all, "sslmode", !settings->tls ? "disable" : settings->verify ? "verify-full" : "require");
    if (!settings->tls)
        return;
    add(all, "sslrootcert", settings->verify ? authorities(settings) : NOWHERE);
    add(all, "sslcrl", settings->crl_file ? settings->crl_file : NOWHERE);
    add(all, "sslcert", settings->cert_file ? settings->cert_file : none);
    add(all, "sslkey",
        settings->key_file    ? settings->key_file
        : settings->cert_file ? settings->cert_file
                              : none);
}

/* ---- The environment ---- */

static bool is_set(const char *name)
{
    const char *value = kvi_getenv_safe(name);

    return value && *value;
}

/* Room for what is put together here. */
typedef struct composed {
    char directories[2 * sizeof(((struct sockaddr_un *)0)->sun_path) + 2];
    char names[NAMES_SIZE];
} composed;

/*
 * A hostaddr goes before a socket, and libpq knows no word for "none": two that are empty, for the same socket
 * twice, are as good.
 */
static void add_socket(pairs *all, const char *directory, composed *made)
{
    bool diverted = is_set("PGHOSTADDR") || is_set("PGSERVICE");

    if (diverted && snprintf(made->directories, sizeof(made->directories), "%s,%s", directory,
                             directory) < (int)sizeof(made->directories))
        directory = made->directories;
    add(all, "host", directory);
    if (diverted)
        add(all, "hostaddr", ",");
}

/* Nor one for "whoever": the owner of the socket is let be its server. */
static const char *owner_of(const kvi_place *place, composed *made)
{
    struct passwd entry, *found = NULL;
    struct stat status;

    if (!place->path || stat(place->path, &status) ||
        getpwuid_r(status.st_uid, &entry, made->names, sizeof(made->names), &found))
        return NULL;
    return found ? found->pw_name : NULL;
}

/* What variables, a service file or files at home could say otherwise. */
static void add_defaults(pairs *all, const kvi_place *place, composed *made)
{
    static const char *const defaults[][2] = {
        {"passfile", NOWHERE},
        {"options", " "},
        {"channel_binding", "prefer"},
        {"connect_timeout", "0"},
        {"application_name", " "},
        {"sslcompression", "0"},
        {"sslcrldir", NOWHERE},
        {"sslsni", "1"},
        {"ssl_min_protocol_version", "TLSv1.2"},
        {"ssl_max_protocol_version", "TLSv1.3"},
        {"krbsrvname", "postgres"},
        {"password", PG_NO_PASSWORD},
    };

    /* A name that was given before counts no more where it is given again: those are left out. */
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        bool given = false;
        for (int j = 0; j < all->count && !given; j++)
            given = strcmp(all->names[j], defaults[i][0]) == 0;
        if (!given)
            add(all, defaults[i][0], defaults[i][1]);
    }
    if (is_set("PGREQUIREPEER"))
        add(all, "requirepeer", owner_of(place, made));
}

char *kvi_pg_system_user(void)
{
    char names[NAMES_SIZE];
    struct passwd entry, *found = NULL;

    if (getpwuid_r(geteuid(), &entry, names, sizeof(names), &found) || !found)
        return NULL;
    return strdup(found->pw_name);
}

/* ---- The whole ---- */

PGconn *kvi_pg_start(const pg_session *session, const kvi_place *place, const char *address,
                     const char *password)
{
    const pg_settings *settings = &session->instance->settings;
    pairs all = {.count = 0};
    composed made;

    if (place->path)
        add_socket(&all, place->host, &made);
    else
        add(&all, "host", address && settings->server_name ? settings->server_name : place->host);
    add(&all, "hostaddr", address);
    add(&all, "port", place->port);
    add(&all, "user", settings->endpoint.user);
    add(&all, "password", password);
    add(&all, "dbname", settings->database);
    add(&all, "client_encoding", "UTF8");
    add(&all, "application_name", settings->application);
    add(&all, "gssencmode", "disable");
    add(&all, "target_session_attrs", "any");
    add_tls(&all, settings);
    if (!settings->environment)
        add_defaults(&all, place, &made);
    all.names[all.count] = all.values[all.count] = NULL;
    return PQconnectStartParams(all.names, all.values, 0);
}
