/* The options of MySQL stores: what they have besides those of every networked store. */
#include "../../core/base/platform.h"
#include "my.h"

#include <stdlib.h>

#define FLAG(name, text, help) KVI_OPTION(name, KIVI_OPTION_BOOL, 0, text, NULL, 0, 0, help)

const kivi_option_info kvi_my_options[] = {
    KVI_ENDPOINT_PLACES("3306"),
    KVI_OPTION_TEXT("socket", NULL, "path of the server's unix socket, in place of host and port"),
    KVI_OPTION_TEXT("path", NULL, "the database, as /NAME"),
    KVI_OPTION_TEXT("database", NULL, "the database, where the URL's path does not name it"),
    KVI_OPTION_TEXT("table", "kv_store", "the table"),
    KVI_ENDPOINT_LOGIN,
    KVI_OPTION("target", KIVI_OPTION_CHOICE, 0, NULL, "any primary", 0,
               0, "of several servers, which will do: any, or the one that takes writes; not set: primary where there are several"),
    FLAG("create", "true", "make the table where it is not there"),
    FLAG("mend", "false", "add what a table that another program made lacks"),
    FLAG("environment", "true", "read the variables that libmariadb reads"),
    FLAG("tls", "false", "encrypt the connection"),
    KVI_ENDPOINT_TLS("tls: "),
};
const size_t kvi_my_option_count = sizeof(kvi_my_options) / sizeof(kvi_my_options[0]);

static kivi_status refuse(kivi_error **error, const char *text)
{
    return kvi_option_refuse(kvi_my_host, KIVI_INVALID, text, error);
}

static kivi_status read_database(my_settings *settings, const kivi_config *config, kivi_error **error)
{
    const char *path = kvi_option_given(kvi_my_host, config, "path");
    const char *option = kvi_option_given(kvi_my_host, config, "database");

    if (path && *path == '/')
        path++;
    if (path && !*path)
        path = NULL;
    if (path && strchr(path, '/'))
        return refuse(error, "the path of the URL is the name of a database, such as /kivigo");
    if (path && option && strcmp(path, option) != 0)
        return refuse(error, "the URL's path and the option database name different databases");
    if (!path && !option)
        return refuse(error, "no database: name it in the URL's path, such as /kivigo");
    settings->database = strdup(path ? path : option);
    return settings->database ? KIVI_OK : kvi_my_no_memory(error);
}

static kivi_status read_table(my_settings *settings, const kivi_config *config, kivi_error **error)
{
    const char *table = kvi_option_given(kvi_my_host, config, "table");

    if (!table)
        return refuse(error, "no table");
    settings->name = strdup(table);
    settings->table = kvi_sql_quote(NULL, table, '`');
    return settings->table && settings->name ? KIVI_OK : kvi_my_no_memory(error);
}

static kivi_status read_login(my_settings *settings, kivi_error **error)
{
    kvi_endpoint *endpoint = &settings->endpoint;
    bool none = !endpoint->password && !endpoint->password_file && !endpoint->password_env;
    const char *password = settings->environment && none ? kvi_getenv_safe("MYSQL_PWD") : NULL;

    if (password && *password && !(endpoint->password = strdup(password)))
        return kvi_my_no_memory(error);
    return KIVI_OK;
}

static kivi_status read_socket(my_settings *settings, const kivi_config *config, kivi_error **error)
{
    kvi_endpoint *endpoint = &settings->endpoint;
    const char *path = kvi_option_given(kvi_my_host, config, "socket");

    if (!path)
        return KIVI_OK;
    if (endpoint->count > 1)
        return refuse(error, "a socket and several hosts");
    endpoint->targets[0].place.path = strdup(path);
    return endpoint->targets[0].place.path ? KIVI_OK : kvi_my_no_memory(error);
}

static bool is_true(const kivi_config *config, const char *name)
{
    return kvi_my_host->option_int(config, name) != 0;
}

static bool copy_texts(my_settings *settings, const kivi_config *config)
{
    return kvi_option_copy(kvi_my_host, config, "tls_ca_file", &settings->ca_file) &&
           kvi_option_copy(kvi_my_host, config, "tls_ca_dir", &settings->ca_dir) &&
           kvi_option_copy(kvi_my_host, config, "tls_crl_file", &settings->crl_file) &&
           kvi_option_copy(kvi_my_host, config, "tls_cert_file", &settings->cert_file) &&
           kvi_option_copy(kvi_my_host, config, "tls_key_file", &settings->key_file) &&
           kvi_option_copy(kvi_my_host, config, "tls_server_name", &settings->server_name);
}

static void read_rest(my_settings *settings, const kivi_config *config)
{
    const char *target = kvi_option_given(kvi_my_host, config, "target");

    settings->primary = target ? strcmp(target, "primary") == 0 : settings->endpoint.count > 1;
    settings->verify = is_true(config, "tls_verify");
    settings->create = is_true(config, "create");
    settings->mend = is_true(config, "mend");
    settings->sweep = kvi_my_host->option_int(config, "sweep");
    settings->io_timeout_ms = kvi_my_host->option_int(config, "io_timeout");
}

kivi_status kvi_my_settings_read(my_settings *settings, const kivi_config *config, kivi_error **error)
{
    kvi_endpoint_rules rules = {.tls_form = "tls=true"};
    kivi_status status;

    memset(settings, 0, sizeof(*settings));
    settings->environment = is_true(config, "environment");
    rules.is_tls = settings->tls = is_true(config, "tls");
    status = kvi_endpoint_read(&settings->endpoint, kvi_my_host, config, &rules, error);
    if (status == KIVI_OK)
        status = read_socket(settings, config, error);
    if (status == KIVI_OK)
        status = read_login(settings, error);
    if (status == KIVI_OK)
        status = read_database(settings, config, error);
    if (status == KIVI_OK)
        status = read_table(settings, config, error);
    if (status == KIVI_OK && !copy_texts(settings, config))
        status = kvi_my_no_memory(error);
    if (status == KIVI_OK)
        read_rest(settings, config);
    return status;
}

void kvi_my_settings_clear(my_settings *settings)
{
    kvi_endpoint_clear(&settings->endpoint);
    free(settings->database);
    free(settings->table);
    free(settings->name);
    free(settings->ca_file);
    free(settings->ca_dir);
    free(settings->crl_file);
    free(settings->cert_file);
    free(settings->key_file);
    free(settings->server_name);
}
