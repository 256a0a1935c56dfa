/* The options of Memcached stores: what they have besides those of every networked store. */
#include "memcached.h"

#include <stdlib.h>

#define NS_PER_MS UINT64_C(1000000)

const kivi_option_info kvi_mc_options[] = {
    KVI_ENDPOINT_PLACES("11211"),
    KVI_OPTION_TIME(
        "server_retry",
        "1s", "a server that refused, or said nothing, is tried again after so long; the others serve on"),
    KVI_OPTION_TEXT("path", NULL, "memcached+unix: the socket"),
    KVI_OPTION("distribution", KIVI_OPTION_CHOICE, 0, "modula", "modula consistent ketama weighted",
               0, 0, "how keys are spread over several servers, as libmemcached does it"),
    KVI_OPTION("hash", KIVI_OPTION_CHOICE, 0, "default",
               "default md5 crc fnv1_64 fnv1a_64 fnv1_32 fnv1a_32 murmur jenkins", 0, 0,
               "the hash of keys, as libmemcached does it"),
    KVI_OPTION_TEXT("configuration", NULL,
                    "the servers, and where keys are, as libmemcached's strings say it: "
                    "--SERVER=HOST:PORT/?WEIGHT --DISTRIBUTION=... --HASH=..."),
    KVI_OPTION_TEXT("weights", NULL, "of several servers: 8,1,1; not set: all the same"),
    KVI_OPTION("scan", KIVI_OPTION_CHOICE, 0, "none", "none metadump", 0,
               0, "metadump: scans list what the servers dump, for migrating out; see the README for what it costs"),
    KVI_ENDPOINT_LOGIN,
    KVI_ENDPOINT_TLS("memcacheds: "),
};
const size_t kvi_mc_option_count = sizeof(kvi_mc_options) / sizeof(kvi_mc_options[0]);

static kivi_status refuse(kivi_error **error, const char *words)
{
    return kvi_option_refuse(kvi_mc_host, KIVI_INVALID, words, error);
}

/* Its string says what these do. */
static kivi_status read_configuration(mc_instance *mc, const kivi_config *config, bool is_unix,
                                      char **servers, kivi_error **error)
{
    static const char *const others[] = {"host", "port", "distribution", "hash", "weights"};
    const char *text = kvi_option_given(kvi_mc_host, config, "configuration");

    if (!text)
        return KIVI_OK;
    if (is_unix)
        return refuse(error, "option configuration: its servers are not behind a unix socket");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (!kvi_mc_host->option_is_set(config, others[i]))
            continue;
        *error = kvi_mc_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO,
                                    "option configuration says it all: leave %s out", others[i]);
        return KIVI_INVALID;
    }
    return kvi_mc_ring_configured(text, &mc->ring, servers, error);
}

static kivi_status read_ring(mc_instance *mc, const kivi_config *config, kivi_error **error)
{
    const mc_ring_rules rules = {
        .distribution = kvi_mc_host->option_text(config, "distribution"),
        .hash = kvi_mc_host->option_text(config, "hash"),
        .weights = kvi_option_given(kvi_mc_host, config, "weights"),
    };

    if (mc->ring && mc->endpoint.count > 1)
        return KIVI_OK;
    kvi_mc_ring_free(mc->ring); /* of one server */
    mc->ring = NULL;
    if (mc->endpoint.count > 1)
        return kvi_mc_ring_new(&mc->endpoint, &rules, &mc->ring, error);
    return rules.weights ? refuse(error, "weights are for several servers") : KIVI_OK;
}

/* What the sessions share of each server. */
static kivi_status make_places(mc_instance *mc, const kivi_config *config, kivi_error **error)
{
    size_t count = mc->endpoint.count;

    mc->places = calloc(count, sizeof(*mc->places));
    mc->rules = (kvi_members_rules){
        .core = kvi_mc_host,
        .count = count,
        .away_until = calloc(count, sizeof(*mc->rules.away_until)),
        .silence_ns = mc->endpoint.server_timeout_ns,
        .retry_ns = (uint64_t)kvi_mc_host->option_int(config, "server_retry") * NS_PER_MS,
    };
    return mc->places && mc->rules.away_until ? KIVI_OK : kvi_mc_no_memory(error);
}

/* ASCII authentication has a name and a password, separated by a space; it ends with the line. */
static kivi_status check_login(const mc_instance *mc, kivi_error **error)
{
    const kvi_endpoint *endpoint = &mc->endpoint;
    bool has_password = endpoint->password || endpoint->password_file || endpoint->password_env;

    if (has_password && !endpoint->user)
        return refuse(error, "a password without a user: servers with -Y know both");
    if (endpoint->user && strpbrk(endpoint->user, " \r\n"))
        return refuse(error, "option user: a space ends the name in the login");
    return KIVI_OK;
}

kivi_status kvi_mc_settings_read(mc_instance *mc, const kivi_config *config, kivi_error **error)
{
    const char *scheme = kvi_mc_host->option_text(config, "scheme");
    const char *path = kvi_option_given(kvi_mc_host, config, "path");
    bool is_unix = strcmp(scheme, "memcached+unix") == 0;
    char *servers = NULL;
    kvi_endpoint_rules rules = {
        .socket_form = is_unix ? "memcached+unix:///PATH" : NULL,
        .tls_form = "memcacheds: URLs",
        .is_tls = strcmp(scheme, "memcacheds") == 0,
        .user_has_password = true,
    };
    kivi_status status;

    if (!is_unix && path && strcmp(path, "/") != 0)
        return refuse(error,
                      "a path in the URL: Memcached has one keyspace; use the option namespace");
    status = read_configuration(mc, config, is_unix, &servers, error);
    rules.list = servers;
    if (status == KIVI_OK)
        status = kvi_endpoint_read(&mc->endpoint, kvi_mc_host, config, &rules, error);
    free(servers);
    if (status == KIVI_OK)
        status = check_login(mc, error);
    if (status == KIVI_OK)
        status = read_ring(mc, config, error);
    mc->scans = strcmp(kvi_mc_host->option_text(config, "scan"), "metadump") == 0;
    return status ? status : make_places(mc, config, error);
}

void kvi_mc_settings_clear(mc_instance *mc)
{
    kvi_mc_dumps_clear(&mc->dumps);
    kvi_mc_ring_free(mc->ring);
    kvi_endpoint_clear(&mc->endpoint);
    free(mc->places);
    free(mc->rules.away_until);
}
