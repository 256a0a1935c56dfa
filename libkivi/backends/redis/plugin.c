/* The Redis backend's table: opening an instance, and handing verbs to sessions. */
#include "cluster.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_MOST (64 * 1024) /* theirs is 512 MiB; a key goes into every message of every vector */
#define VALUE_MOST \
    (UINT64_C(512) << 20) /* proto-max-bulk-len, unless the server is told otherwise */
#define ITEMS_MOST 4096   /* of a vector: a script or pipeline holds the server up that long */
#define BYTES_MOST (UINT64_C(16) << 20)

/* ---- Open and close ---- */

/*
 * What can be said without having met the server. Versions differ only in how much a promise costs: what
 * a server has no command for is done by a script.
 */
static void fill_instance(redis_instance *redis, bool msgpack, kivi_instance *instance)
{
    kivi_capabilities *can = &instance->capabilities;

    instance->flags = KIVI_BACKEND_TAKES | KIVI_BACKEND_TOUCHES |
                      (msgpack ? KIVI_BACKEND_INCREMENTS : 0); /* the script reads no other */
    instance->handle = redis;
    instance->layout = KIVI_LAYOUT_UNMARKED;
    instance->max_items = ITEMS_MOST;
    instance->max_bytes = BYTES_MOST;
    instance->max_stored_key = KEY_MOST;
    can->consistency = KIVI_LEADER; /* a failover may lose what was acknowledged */
    can->max_value = VALUE_MOST;
    can->max_ttl_ms = KIVI_TTL_MAX;
    can->ttl_resolution_ms = 1;
    can->atomic_max = ITEMS_MOST;
    can->ttl = KIVI_NATIVE;
    can->ttl_clock = KIVI_CLOCK_STORE;
    can->order = KIVI_ORDER_NONE;
    can->scan = KIVI_NATIVE;
    can->snapshot = KIVI_ABSENT;
    can->increment = instance->flags & KIVI_BACKEND_INCREMENTS ? KIVI_NATIVE : KIVI_EMULATED;
    can->conditions = KIVI_NATIVE;
    can->scan_once = false;
    can->durable = false; /* the server's appendfsync says, which it need not tell */
    can->shared_keyspace = true;
    can->local = false;
}

static void redis_close(void *instance)
{
    redis_instance *redis = instance;

    kvi_cluster_free(redis->cluster);
    kvi_redis_settings_clear(&redis->settings);
    free(redis);
}

static kivi_status redis_open(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                              kivi_error **error)
{
    redis_instance *redis = calloc(1, sizeof(*redis));
    const char *space;
    kivi_status status;

    (void)wait;
    if (!redis)
        return kvi_redis_no_memory(error);
    status = kvi_redis_settings_read(&redis->settings, config, error);
    if (status) {
        redis_close(redis);
        return status;
    }
    redis->reporter = kvi_redis_host->reporter(config);
    if (strstr(kvi_redis_host->option_text(config, "scheme"), "+cluster")) {
        bool eventual = strcmp(kvi_redis_host->option_text(config, "consistency"), "eventual") == 0;
        redis->cluster = kvi_cluster_new(&redis->settings.endpoint, eventual);
        if (!redis->cluster) {
            redis_close(redis);
            return kvi_redis_no_memory(error);
        }
    }
    fill_instance(redis, strcmp(kvi_redis_host->option_text(config, "codec"), "msgpack") == 0, instance);
    /* In a namespace with a tag all keys lie together. */
    space = kvi_redis_host->option_text(config, "namespace");
    instance->capabilities.atomic_by_tag = redis->cluster &&
                                           !(space && kvi_cluster_has_tag(kivi_str(space)));
    return KIVI_OK;
}

/* ---- Sessions and verbs ---- */

static kivi_status redis_session_open(void *instance, void **session, kivi_error **error)
{
    const redis_instance *redis = instance;
    redis_session *made = NULL;
    cluster_session *several = NULL;
    kivi_status status;

    if (redis->cluster) {
        status = kvi_cluster_session_open(instance, &several, error);
        *session = several;
        return status;
    }
    status = kvi_redis_session_open(instance, &made, error);
    *session = made;
    return status;
}

static void redis_session_close(void *instance, void *session)
{
    const redis_instance *redis = instance;

    if (redis->cluster)
        kvi_cluster_session_close(session);
    else
        kvi_redis_session_close(session);
}

static void redis_session_abandon(void *instance, void *session, bool in_verb)
{
    const redis_instance *redis = instance;

    if (redis->cluster)
        kvi_cluster_session_abandon(session, in_verb);
    else
        kvi_redis_session_abandon(session, in_verb);
}

static kivi_status begin(const redis_instance *redis, void *session, const redis_job *job,
                         kivi_error **error)
{
    return redis->cluster ? kvi_cluster_session_begin(session, job, error)
                          : kvi_redis_session_begin(session, job, error);
}

static kivi_status redis_read(void *instance, void *session, kivi_read_vector *vector,
                              kivi_wait *wait, kivi_error **error)
{
    (void)wait;
    return begin(instance, session, &(redis_job){.verb = VERB_READ, .reads = vector}, error);
}

static kivi_status redis_write(void *instance, void *session, kivi_write_vector *vector,
                               kivi_wait *wait, kivi_error **error)
{
    (void)wait;
    return begin(instance, session, &(redis_job){.verb = VERB_WRITE, .writes = vector}, error);
}

static kivi_status redis_scan(void *instance, void *session, const kivi_scan_range *range,
                              kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error)
{
    (void)wait;
    return begin(instance, session, &(redis_job){.verb = VERB_SCAN, .range = range, .sink = sink}, error);
}

static kivi_status redis_step(void *instance, void *session, uint32_t revents, kivi_poll *poll,
                              kivi_error **error)
{
    const redis_instance *redis = instance;

    return redis->cluster ? kvi_cluster_session_step(session, revents, poll, error)
                          : kvi_redis_session_step(session, revents, poll, error);
}

/* Of every node of a cluster; of a single server the core reads a key. */
static kivi_status redis_health(void *instance, void *session, kivi_wait *wait, kivi_error **error)
{
    const redis_instance *redis = instance;

    (void)wait;
    if (!redis->cluster)
        return KIVI_UNSUPPORTED;
    return kvi_cluster_session_begin(session, &(redis_job){.verb = VERB_HEALTH}, error);
}

static void redis_detail(void *instance, char *text, size_t capacity)
{
    const redis_instance *redis = instance;
    uint32_t version = atomic_load_explicit(&redis->version, memory_order_relaxed);

    if (version)
        snprintf(text, capacity, "version %u.%u.%u, database %d", version / 10000,
                 version / 100 % 100, version % 100, (int)redis->settings.db);
    else
        snprintf(text, capacity, "database %d", (int)redis->settings.db);
}

/* ---- The table ---- */

static kivi_backend table = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "redis",
    .schemes =
        "redis rediss redis+unix redis+sentinel rediss+sentinel redis+cluster rediss+cluster",
    .summary = "Redis 5 or later, and what speaks its protocol",
    .options = kvi_redis_options,
    .open = redis_open,
    .close = redis_close,
    .abandon = redis_close,
    .session_open = redis_session_open,
    .session_close = redis_session_close,
    .session_abandon = redis_session_abandon,
    .read = redis_read,
    .write = redis_write,
    .scan = redis_scan,
    .step = redis_step,
    .health = redis_health,
    .detail = redis_detail,
};

const kivi_backend *kivi_plugin(uint32_t host_abi, const kivi_host *host)
{
    if (host_abi != KIVI_BACKEND_ABI || host->struct_size < sizeof(*host) || !kvi_redis_scripts_prepare())
        return NULL;
    kvi_redis_host = host;
    table.option_count = kvi_redis_option_count;
    return &table;
}
