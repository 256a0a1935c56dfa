/* The options of stores behind sentinels: the service, and how to log in to those who know its primary. */
#include "sentinel.h"

#include <stdlib.h>

static kivi_status refuse(kivi_error **error, const char *text)
{
    return kvi_option_refuse(kvi_redis_host, KIVI_INVALID, text, error);
}

/* "/SERVICE" of the URL. */
static kivi_status read_service(redis_sentinels *sentinels, const kivi_config *config, kivi_error **error)
{
    const char *path = kvi_option_given(kvi_redis_host, config, "path");

    path = path && *path == '/' ? path + 1 : path;
    if (!path || !*path)
        return refuse(error, "no service: write redis+sentinel://HOST:PORT,HOST:PORT/SERVICE");
    if (strchr(path, '/'))
        return refuse(error, "the path of the URL is the name of a service; the number of a "
                             "database is the option db");
    sentinels->service = strdup(path);
    return sentinels->service ? KIVI_OK : kvi_redis_no_memory(error);
}

static kivi_status read_login(kvi_endpoint *login, const kivi_config *config, kivi_error **error)
{
    int ways;

    login->core = kvi_redis_host;
    if (!kvi_option_copy(kvi_redis_host, config, "sentinel_user", &login->user) ||
        !kvi_option_copy(kvi_redis_host, config, "sentinel_password", &login->password) ||
        !kvi_option_copy(kvi_redis_host, config, "sentinel_password_file", &login->password_file) ||
        !kvi_option_copy(kvi_redis_host, config, "sentinel_password_env", &login->password_env))
        return kvi_redis_no_memory(error);
    ways = (login->password != NULL) + (login->password_file != NULL) + (login->password_env != NULL);
    if (ways > 1)
        return refuse(error, "give one of sentinel_password, sentinel_password_file and "
                             "sentinel_password_env");
    if (login->user && ways == 0)
        return refuse(error, "sentinel_user without a password");
    return KIVI_OK;
}

kivi_status kvi_redis_sentinels_read(redis_sentinels **sentinels, const kivi_config *config,
                                     kivi_error **error)
{
    kivi_status status;

    *sentinels = calloc(1, sizeof(**sentinels));
    if (!*sentinels)
        return kvi_redis_no_memory(error);
    status = read_service(*sentinels, config, error);
    return status ? status : read_login(&(*sentinels)->login, config, error);
}

kivi_status kvi_redis_sentinels_refuse(const kivi_config *config, kivi_error **error)
{
    static const char *const names[] = {"sentinel_user", "sentinel_password",
                                        "sentinel_password_file", "sentinel_password_env"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!kvi_redis_host->option_is_set(config, names[i]))
            continue;
        *error = kvi_redis_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO,
                                       "option %s is for redis+sentinel: URLs", names[i]);
        return KIVI_INVALID;
    }
    return KIVI_OK;
}

void kvi_redis_sentinels_free(redis_sentinels *sentinels)
{
    if (!sentinels)
        return;
    free(sentinels->service);
    kvi_endpoint_clear(&sentinels->login);
    free(sentinels);
}
