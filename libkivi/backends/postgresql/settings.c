/* The options of PostgreSQL stores: what they have besides those of every networked store. */
#include "../../core/base/platform.h"
#include "pg.h"

#include <stdio.h>
#include <stdlib.h>

#define FLAG(name, text, help) KVI_OPTION(name, KIVI_OPTION_BOOL, 0, text, NULL, 0, 0, help)

const kivi_option_info kvi_pg_options[] = {
    KVI_ENDPOINT_PLACES("5432"),
    KVI_OPTION_TEXT("path", NULL, "the database, as /NAME"),
    KVI_OPTION_TEXT("database",
                    NULL, "the database, where the URL's path does not name it; not set: the user's name"),
    KVI_OPTION_TEXT("schema", NULL, "the table's schema; not set: the first in the search_path that has it"),
    KVI_OPTION_TEXT("table", "kv_store", "the table"),
    KVI_ENDPOINT_LOGIN,
    KVI_OPTION_TEXT("application_name", "kivi", "name of the connections in pg_stat_activity; empty: none"),
    KVI_OPTION("target", KIVI_OPTION_CHOICE, 0, NULL, "any primary", 0,
               0, "of several servers, which will do: any, or the one that takes writes; not set: primary, or any where there is one"),
    FLAG("create", "true", "make the table where it is not there"),
    FLAG("mend", "false", "add what a table that another program made lacks"),
    FLAG("prepared", "true",
         "prepare statements and set up sessions; false: for pgbouncer in transaction mode"),
    KVI_OPTION("encoding", KIVI_OPTION_CHOICE, 0, "utf8", "utf8 ascii", 0, 0,
               "of keys; ascii: for databases in another encoding than UTF8"),
    FLAG("environment", "true", "read the variables and files that libpq reads"),
    FLAG("tls", "false", "encrypt the connection"),
    KVI_OPTION("sslmode", KIVI_OPTION_CHOICE, 0, NULL, "disable require verify-full", 0, 0,
               "as libpq's URLs have it: disable, or tls=true"),
    KVI_ENDPOINT_TLS("tls: "),
};
const size_t kvi_pg_option_count = sizeof(kvi_pg_options) / sizeof(kvi_pg_options[0]);

static kivi_status refuse(kivi_error **error, kivi_status status, const char *text)
{
    return kvi_option_refuse(kvi_pg_host, status, text, error);
}

/* ---- What is asked for where ---- */

static kivi_status read_database(pg_settings *settings, const kivi_config *config, kivi_error **error)
{
    const char *path = kvi_option_given(kvi_pg_host, config, "path");
    const char *option = kvi_option_given(kvi_pg_host, config, "database");

    if (path && *path == '/')
        path++;
    if (path && !*path)
        path = NULL;
    if (path && strchr(path, '/'))
        return refuse(error, KIVI_INVALID,
                      "the path of the URL is the name of a database, such as /kivigo");
    if (path && option && strcmp(path, option) != 0)
        return refuse(error, KIVI_INVALID,
                      "the URL's path and the option database name different databases");
    if (!path)
        path = option;
    if (!path)
        path = settings->environment ? kvi_getenv_safe("PGDATABASE") : settings->endpoint.user;
    if (path && *path && !(settings->database = strdup(path)))
        return kvi_pg_no_memory(error);
    return KIVI_OK;
}

static kivi_status read_table(pg_settings *settings, const kivi_config *config, kivi_error **error)
{
    const char *table = kvi_option_given(kvi_pg_host, config, "table");

    if (!table)
        return refuse(error, KIVI_INVALID, "no table");
    settings->table = kvi_sql_quote(kvi_option_given(kvi_pg_host, config, "schema"), table, '"');
    return settings->table ? KIVI_OK : kvi_pg_no_memory(error);
}

/* The user and password of the environment, where nothing else names them; without it who runs the process, as libpq has it. */
static kivi_status read_login(pg_settings *settings, kivi_error **error)
{
    kvi_endpoint *endpoint = &settings->endpoint;
    const char *user = settings->environment && !endpoint->user ? kvi_getenv_safe("PGUSER") : NULL;
    const char *password = settings->environment && !endpoint->password &&
                                   !endpoint->password_file && !endpoint->password_env
                               ? kvi_getenv_safe("PGPASSWORD")
                               : NULL;

    if ((user && *user && !(endpoint->user = strdup(user))) ||
        (password && *password && !(endpoint->password = strdup(password))))
        return kvi_pg_no_memory(error);
    if (!settings->environment && !endpoint->user)
        endpoint->user = kvi_pg_system_user();
    return KIVI_OK;
}

/* A host that is a path is the directory of a socket, as libpq has it. */
static kivi_status read_sockets(pg_settings *settings, kivi_error **error)
{
    kvi_endpoint *endpoint = &settings->endpoint;

    settings->sockets = calloc(endpoint->count, sizeof(*settings->sockets));
    if (!settings->sockets)
        return kvi_pg_no_memory(error);
    for (size_t i = 0; i < endpoint->count; i++) {
        kvi_place *place = &endpoint->targets[i].place;
        char *path;
        if (*place->host != '/')
            continue;
        if (asprintf(&path, "%s/.s.PGSQL.%s", place->host, place->port) < 0)
            return kvi_pg_no_memory(error);
        place->path = path;
        settings->sockets[i] = (char *)(uintptr_t)place->host; /* the place's */
    }
    return KIVI_OK;
}

/* ---- TLS ---- */

static kivi_status read_tls_mode(pg_settings *settings, const kivi_config *config, kivi_error **error)
{
    const char *mode = kvi_option_given(kvi_pg_host, config, "sslmode");
    bool by_mode = mode && strcmp(mode, "disable") != 0;

    settings->tls = kvi_pg_host->option_int(config, "tls") != 0;
    if (mode && kvi_pg_host->option_is_set(config, "tls") && settings->tls != by_mode)
        return refuse(error, KIVI_INVALID, "tls and sslmode say different things");
    settings->tls = settings->tls || by_mode;
    settings->verify = kvi_pg_host->option_int(config, "tls_verify") != 0;
    if (kvi_option_given(kvi_pg_host, config, "tls_ca_dir"))
        return refuse(error, KIVI_UNSUPPORTED, "libpq takes no directory of authorities: use tls_ca_file");
    return KIVI_OK;
}

static bool copy_texts(pg_settings *settings, const kivi_config *config)
{
    return kvi_option_copy(kvi_pg_host, config, "application_name", &settings->application) &&
           kvi_option_copy(kvi_pg_host, config, "tls_ca_file", &settings->ca_file) &&
           kvi_option_copy(kvi_pg_host, config, "tls_crl_file", &settings->crl_file) &&
           kvi_option_copy(kvi_pg_host, config, "tls_cert_file", &settings->cert_file) &&
           kvi_option_copy(kvi_pg_host, config, "tls_key_file", &settings->key_file) &&
           kvi_option_copy(kvi_pg_host, config, "tls_server_name", &settings->server_name);
}

/* ---- The whole ---- */

static bool is_true(const kivi_config *config, const char *name)
{
    return kvi_pg_host->option_int(config, name) != 0;
}

static void read_rest(pg_settings *settings, const kivi_config *config)
{
    const char *target = kvi_option_given(kvi_pg_host, config, "target");

    settings->primary = target ? strcmp(target, "primary") == 0 : settings->endpoint.count > 1;
    settings->create = is_true(config, "create");
    settings->mend = is_true(config, "mend");
    settings->prepared = is_true(config, "prepared");
    settings->ascii = strcmp(kvi_pg_host->option_text(config, "encoding"), "ascii") == 0;
    settings->sweep = kvi_pg_host->option_int(config, "sweep");
    settings->io_timeout_ms = kvi_pg_host->option_int(config, "io_timeout");
}

kivi_status kvi_pg_settings_read(pg_settings *settings, const kivi_config *config, kivi_error **error)
{
    kvi_endpoint_rules rules = {.tls_form = "tls=true"};
    kivi_status status;

    memset(settings, 0, sizeof(*settings));
    settings->environment = is_true(config, "environment");
    status = read_tls_mode(settings, config, error);
    rules.is_tls = settings->tls;
    if (status == KIVI_OK)
        status = kvi_endpoint_read(&settings->endpoint, kvi_pg_host, config, &rules, error);
    if (status == KIVI_OK)
        status = read_sockets(settings, error);
    if (status == KIVI_OK)
        status = read_login(settings, error);
    if (status == KIVI_OK)
        status = read_database(settings, config, error);
    if (status == KIVI_OK)
        status = read_table(settings, config, error);
    if (status == KIVI_OK && !copy_texts(settings, config))
        status = kvi_pg_no_memory(error);
    if (status == KIVI_OK)
        read_rest(settings, config);
    return status;
}

void kvi_pg_settings_clear(pg_settings *settings)
{
    kvi_endpoint_clear(&settings->endpoint);
    free(settings->sockets);
    free(settings->database);
    free(settings->table);
    free(settings->application);
    free(settings->ca_file);
    free(settings->crl_file);
    free(settings->cert_file);
    free(settings->key_file);
    free(settings->server_name);
}
