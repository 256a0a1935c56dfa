/* The options of Redis stores: their table, how they are read, and where the password is. */
#include "redis.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPTION(name, type, flags, text, choices, min, max, help)                         \
    {                                                                                    \
        sizeof(kivi_option_info), flags, name, type, text, NULL, choices, min, max, help \
    }
#define STRING(name, text, help) OPTION(name, KIVI_OPTION_STRING, 0, text, NULL, 0, 0, help)
#define PASSWORD_MOST 4096

const kivi_option_info kvi_redis_options[] = {
    STRING("host", "127.0.0.1", "the server's name or address"),
    OPTION("port", KIVI_OPTION_INT, 0, "6379", NULL, 1, 65535, "its port"),
    STRING("path", NULL, "redis, rediss: the number of the database; redis+unix: the socket"),
    OPTION("db", KIVI_OPTION_INT, 0, NULL, NULL, 0, INT32_MAX, "number of the database; not set: 0"),
    STRING("user", NULL, "name to log in with; not set: the default user"),
    OPTION("password", KIVI_OPTION_STRING, KIVI_OPTION_SECRET, NULL, NULL, 0, 0, "password to log in with"),
    STRING("password_file", NULL, "file that holds the password, read again at each login"),
    STRING("password_env", NULL, "environment variable that holds the password, read again at each login"),
    STRING("client_name", "kivi", "name of the connections in the server's CLIENT LIST; empty: none"),
    OPTION("protocol", KIVI_OPTION_CHOICE, 0, "3", "2 3", 0, 0,
           "version of the protocol; 3 falls back to 2 where the server does not know it"),
    OPTION("address_timeout", KIVI_OPTION_DURATION, 0, "1s", NULL, 0,
           3600000, "a name with several addresses: the next is tried after so long; 0: only after a failure"),
    STRING("tls_ca_file", NULL, "rediss: file of the authorities to trust; not set: the system's"),
    STRING("tls_ca_dir", NULL, "rediss: directory of the authorities to trust"),
    STRING("tls_crl_file",
           NULL, "rediss: file of the certificates that authorities revoked: a list of each authority in a chain"),
    STRING("tls_cert_file", NULL, "rediss: this client's certificate, with its chain"),
    STRING("tls_key_file", NULL, "rediss: its key; not set: in tls_cert_file as well"),
    STRING("tls_server_name", NULL, "rediss: the name in the server's certificate; not set: the host"),
    OPTION("tls_verify", KIVI_OPTION_BOOL, 0, "true", NULL, 0, 0,
           "rediss: false: do not verify the server's certificate"),
};
const size_t kvi_redis_option_count = sizeof(kvi_redis_options) / sizeof(kvi_redis_options[0]);

/* ---- Reading ---- */

static kivi_status refuse(kivi_error **error, kivi_status status, const char *text)
{
    *error = kvi_redis_host->error(status, 0, KIVI_RETRY_NO, "%s", text);
    return status;
}

static const char *text_of(const kivi_config *config, const char *name)
{
    const char *text = kvi_redis_host->option_text(config, name);

    return text && *text ? text : NULL;
}

/* A text of our own, NULL for none; false without memory. */
static bool copy_text(const kivi_config *config, const char *name, char **copy)
{
    const char *text = text_of(config, name);

    *copy = text ? strdup(text) : NULL;
    return !text || *copy;
}

static bool copy_texts(redis_settings *settings, const kivi_config *config)
{
    return copy_text(config, "host", &settings->host) &&
           copy_text(config, "port", &settings->port) && copy_text(config, "user", &settings->user) &&
           copy_text(config, "password", &settings->password) &&
           copy_text(config, "password_file", &settings->password_file) &&
           copy_text(config, "password_env", &settings->password_env) &&
           copy_text(config, "client_name", &settings->client_name);
}

/* The number of a database in a URL's path: "", "/", "/3". False: something else. */
static bool read_path_number(const char *path, int64_t *number)
{
    char *end;

    *number = -1;
    path += *path == '/';
    if (!*path)
        return true;
    if (*path < '0' || *path > '9')
        return false;
    errno = 0;
    *number = strtoll(path, &end, 10);
    return !*end && !errno && *number <= INT32_MAX;
}

static kivi_status read_database(redis_settings *settings, const kivi_config *config,
                                 const char *path, kivi_error **error)
{
    int64_t by_path = -1;
    bool by_option = text_of(config, "db") != NULL;

    settings->db = by_option ? kvi_redis_host->option_int(config, "db") : 0;
    if (!path)
        return KIVI_OK;
    if (!read_path_number(path, &by_path))
        return refuse(error, KIVI_INVALID, "the path of the URL is the number of a database, such as /0");
    if (by_path >= 0 && by_option && by_path != settings->db)
        return refuse(error, KIVI_INVALID, "the URL's path and the option db name different databases");
    if (by_path >= 0)
        settings->db = by_path;
    return KIVI_OK;
}

static kivi_status read_place(redis_settings *settings, const kivi_config *config, bool is_unix,
                              kivi_error **error)
{
    const char *path = text_of(config, "path");

    if (!is_unix && settings->host && strchr(settings->host, ','))
        return refuse(error, KIVI_UNSUPPORTED,
                      "several servers in the URL: Redis Cluster and Sentinel are not supported");
    if (!is_unix)
        return settings->host ? read_database(settings, config, path, error)
                              : refuse(error, KIVI_INVALID, "no host");
    if (!path)
        return refuse(error, KIVI_INVALID, "no socket: write redis+unix:///PATH");
    settings->path = strdup(path);
    if (!settings->path)
        return kvi_redis_no_memory(error);
    return read_database(settings, config, NULL, error);
}

static kivi_status check_name(const char *name, kivi_error **error)
{
    for (; name && *name; name++)
        if (*name < '!' || *name > '~')
            return refuse(error, KIVI_INVALID, "client_name takes printable ASCII without spaces");
    return KIVI_OK;
}

static kivi_status check_secrets(const redis_settings *settings, kivi_error **error)
{
    int ways = (settings->password != NULL) + (settings->password_file != NULL) +
               (settings->password_env != NULL);

    if (ways > 1)
        return refuse(error, KIVI_INVALID, "give one of password, password_file and password_env");
    if (settings->user && ways == 0)
        return refuse(error, KIVI_INVALID, "a user without a password");
    return KIVI_OK;
}

static kivi_status read_tls(redis_settings *settings, const kivi_config *config, bool is_tls,
                            kivi_error **error)
{
    kvi_net_tls_settings tls = {
        .ca_file = text_of(config, "tls_ca_file"),
        .ca_dir = text_of(config, "tls_ca_dir"),
        .crl_file = text_of(config, "tls_crl_file"),
        .cert_file = text_of(config, "tls_cert_file"),
        .key_file = text_of(config, "tls_key_file"),
        .server_name = text_of(config, "tls_server_name"),
        .verify = kvi_redis_host->option_int(config, "tls_verify") != 0,
    };

    if (is_tls)
        return kvi_net_tls_new(kvi_redis_host, &tls, settings->host, &settings->tls, error);
    if (tls.ca_file || tls.ca_dir || tls.crl_file || tls.cert_file || tls.key_file ||
        tls.server_name || !tls.verify)
        return refuse(error, KIVI_INVALID, "tls_ options are for rediss: URLs");
    return KIVI_OK;
}

static void set_target(redis_settings *settings, const kivi_config *config)
{
    settings->target = (kvi_net_target){
        .place = {.core = kvi_redis_host,
                  .host = settings->host,
                  .port = settings->port,
                  .path = settings->path,
                  .attempt_ms = (uint32_t)kvi_redis_host->option_int(config, "address_timeout")},
        .tls = settings->tls,
    };
}

kivi_status kvi_redis_settings_read(redis_settings *settings, const kivi_config *config, kivi_error **error)
{
    const char *scheme = kvi_redis_host->option_text(config, "scheme");
    kivi_status status;

    memset(settings, 0, sizeof(*settings));
    if (!copy_texts(settings, config))
        return kvi_redis_no_memory(error);
    settings->protocol = strcmp(kvi_redis_host->option_text(config, "protocol"), "2") == 0 ? 2 : 3;
    status = read_place(settings, config, strcmp(scheme, "redis+unix") == 0, error);
    if (status == KIVI_OK)
        status = check_name(settings->client_name, error);
    if (status == KIVI_OK)
        status = check_secrets(settings, error);
    if (status == KIVI_OK)
        status = read_tls(settings, config, strcmp(scheme, "rediss") == 0, error);
    set_target(settings, config);
    return status;
}

void kvi_redis_wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void kvi_redis_settings_clear(redis_settings *settings)
{
    kvi_net_tls_free(settings->tls);
    kvi_redis_wipe(settings->password);
    free(settings->host);
    free(settings->port);
    free(settings->path);
    free(settings->user);
    free(settings->password_file);
    free(settings->password_env);
    free(settings->client_name);
}

/* ---- The password ---- */

static kivi_status password_lost(const char *from, const char *name, int code, kivi_error **error)
{
    char reason[100] = "";

    *error = kvi_redis_host->error(KIVI_DENIED, code, KIVI_RETRY_NO, "no password in the %s %s%s%s",
                                   from, name, code ? ": " : "",
                                   code ? strerror_r(code, reason, sizeof(reason)) : "");
    return KIVI_DENIED;
}

/* The password may well be there. */
static kivi_status no_descriptor(const char *path, int code, kivi_error **error)
{
    char reason[100] = "";

    *error = kvi_redis_host->error(KIVI_IO, code, KIVI_RETRY_NO, "cannot read the password file %s: %s",
                                   path, strerror_r(code, reason, sizeof(reason)));
    return KIVI_IO;
}

/* The first line of the file. */
static kivi_status read_file(const char *path, char **password, kivi_error **error)
{
    char text[PASSWORD_MOST];
    ssize_t size = -1;
    int code, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd >= 0)
        size = read(fd, text, sizeof(text) - 1);
    code = errno;
    if (fd >= 0)
        close(fd);
    if (size < 0 && (code == EMFILE || code == ENFILE))
        return no_descriptor(path, code, error);
    if (size < 0)
        return password_lost("file", path, code, error);
    text[size] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    *password = *text ? strdup(text) : NULL;
    size = *text != '\0';
    explicit_bzero(text, sizeof(text));
    if (!size)
        return password_lost("file", path, 0, error);
    return *password ? KIVI_OK : kvi_redis_no_memory(error);
}

kivi_status kvi_redis_password(const redis_settings *settings, char **password, kivi_error **error)
{
    const char *text = settings->password;

    *password = NULL;
    if (settings->password_file)
        return read_file(settings->password_file, password, error);
    if (settings->password_env) {
        text = getenv(settings->password_env);
        if (!text || !*text)
            return password_lost("environment variable", settings->password_env, 0, error);
    }
    if (!text)
        return KIVI_OK;
    *password = strdup(text);
    return *password ? KIVI_OK : kvi_redis_no_memory(error);
}
