/* The options of Redis stores: what they have besides those of every networked store. */
#include "sentinel.h"

#include <errno.h>
#include <stdlib.h>

const kivi_option_info kvi_redis_options[] = {
    KVI_ENDPOINT_PLACES("6379"),
    KVI_OPTION_TEXT("path", NULL,
                    "redis, rediss: the number of the database; redis+unix: the socket; "
                    "redis+sentinel: the name of the service"),
    KVI_OPTION("db", KIVI_OPTION_INT, 0, NULL, NULL, 0, INT32_MAX, "number of the database; not set: 0"),
    KVI_ENDPOINT_LOGIN,
    KVI_OPTION_TEXT("sentinel_user", NULL, "redis+sentinel: name to log in to the sentinels with"),
    KVI_OPTION("sentinel_password", KIVI_OPTION_STRING, KIVI_OPTION_SECRET, NULL, NULL, 0, 0,
               "redis+sentinel: password to log in to the sentinels with; not set: they want none"),
    KVI_OPTION_TEXT("sentinel_password_file", NULL, "redis+sentinel: file that holds it"),
    KVI_OPTION_TEXT("sentinel_password_env", NULL, "redis+sentinel: environment variable that holds it"),
    KVI_OPTION_TEXT("client_name", "kivi",
                    "name of the connections in the server's CLIENT LIST; empty: none"),
    KVI_OPTION("protocol", KIVI_OPTION_CHOICE, 0, "3", "2 3", 0, 0,
               "version of the protocol; 3 falls back to 2 where the server does not know it"),
    KVI_ENDPOINT_TLS("rediss, rediss+sentinel, rediss+cluster: "),
};
const size_t kvi_redis_option_count = sizeof(kvi_redis_options) / sizeof(kvi_redis_options[0]);

static kivi_status refuse(kivi_error **error, const char *text)
{
    return kvi_option_refuse(kvi_redis_host, KIVI_INVALID, text, error);
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
                                 bool by_path_too, kivi_error **error)
{
    const char *path = kvi_option_given(kvi_redis_host, config, "path");
    int64_t by_path = -1;
    bool by_option = kvi_option_given(kvi_redis_host, config, "db") != NULL;

    settings->db = by_option ? kvi_redis_host->option_int(config, "db") : 0;
    if (!by_path_too || !path)
        return KIVI_OK;
    if (!read_path_number(path, &by_path))
        return refuse(error, "the path of the URL is the number of a database, such as /0");
    if (by_path >= 0 && by_option && by_path != settings->db)
        return refuse(error, "the URL's path and the option db name different databases");
    if (by_path >= 0)
        settings->db = by_path;
    return KIVI_OK;
}

static kivi_status read_name(redis_settings *settings, const kivi_config *config, kivi_error **error)
{
    if (!kvi_option_copy(kvi_redis_host, config, "client_name", &settings->client_name))
        return kvi_redis_no_memory(error);
    for (const char *at = settings->client_name; at && *at; at++)
        if (*at < '!' || *at > '~')
            return refuse(error, "client_name takes printable ASCII without spaces");
    return KIVI_OK;
}

kivi_status kvi_redis_settings_read(redis_settings *settings, const kivi_config *config, kivi_error **error)
{
    const char *scheme = kvi_redis_host->option_text(config, "scheme");
    bool is_unix = strcmp(scheme, "redis+unix") == 0;
    bool has_sentinels = strstr(scheme, "+sentinel") != NULL;
    bool is_cluster = strstr(scheme, "+cluster") != NULL;
    const kvi_endpoint_rules rules = {
        .socket_form = is_unix ? "redis+unix:///PATH" : NULL,
        .single = has_sentinels || is_cluster
                      ? NULL
                      : "several servers in the URL: Redis Sentinel is written redis+sentinel:, "
                        "and Redis Cluster redis+cluster:",
        .port = has_sentinels ? "26379" : NULL,
        .tls_form = "rediss:, rediss+sentinel: and rediss+cluster: URLs",
        .is_tls = strncmp(scheme, "rediss", 6) == 0,
        .user_has_password = true,
    };
    kivi_status status;

    memset(settings, 0, sizeof(*settings));
    settings->protocol = strcmp(kvi_redis_host->option_text(config, "protocol"), "2") == 0 ? 2 : 3;
    status = kvi_endpoint_read(&settings->endpoint, kvi_redis_host, config, &rules, error);
    if (status == KIVI_OK)
        status = read_database(settings, config, !is_unix && !has_sentinels, error);
    if (status == KIVI_OK && is_cluster && settings->db != 0)
        status = refuse(error, "a Redis Cluster has no database but 0");
    if (status == KIVI_OK && !is_cluster && !has_sentinels &&
        kvi_redis_host->option_is_set(config, "server_timeout"))
        status = refuse(error,
                        "option server_timeout is for redis+sentinel: and redis+cluster: URLs");
    if (status == KIVI_OK)
        status = read_name(settings, config, error);
    if (status == KIVI_OK)
        status = has_sentinels ? kvi_redis_sentinels_read(&settings->sentinels, config, error)
                               : kvi_redis_sentinels_refuse(config, error);
    return status;
}

void kvi_redis_settings_clear(redis_settings *settings)
{
    kvi_endpoint_clear(&settings->endpoint);
    kvi_redis_sentinels_free(settings->sentinels);
    free(settings->client_name);
}
