/* The Memcached backend's table: opening an instance, and handing verbs to sessions. */
#include "memcached.h"

#include <stdio.h>
#include <stdlib.h>

#define ITEMS_MOST 4096 /* of a vector */
#define BYTES_MOST (UINT64_C(16) << 20)
#define VALUE_MOST (UINT64_C(1) << 30) /* the largest -I that a server takes */
#define DAY_S 86400

/* ---- Open and close ---- */

/* Bytes that end a key: controls and the space. */
static void fill_escape(kivi_escape *escape)
{
    for (unsigned byte = 0; byte <= ' '; byte++)
        escape->bytes[byte / 8] |= (uint8_t)(1u << byte % 8);
    escape->bytes[0x7f / 8] |= (uint8_t)(1u << 0x7f % 8);
}

/* What can be said without having met a server. */
static void fill_instance(mc_instance *mc, kivi_instance *instance)
{
    kivi_capabilities *can = &instance->capabilities;

    instance->flags = KIVI_BACKEND_INCREMENTS | KIVI_BACKEND_TOUCHES;
    instance->handle = mc;
    instance->layout = KIVI_LAYOUT_UNMARKED;
    instance->max_items = ITEMS_MOST;
    instance->max_bytes = BYTES_MOST;
    instance->max_stored_key = KEY_MOST;
    fill_escape(&instance->escape);
    can->consistency = KIVI_LEADER; /* what was acknowledged can be gone */
    can->max_value = VALUE_MOST;
    /* An item's time is an int32 of the server: less a day, so that it stays true for that long at least. */
    can->max_ttl_ms = ((int64_t)SECONDS_END - kvi_mc_host->clock_ms() / 1000 - DAY_S) * 1000;
    can->ttl_resolution_ms = 3000;
    can->atomic_max = 0;
    can->ttl = KIVI_NATIVE;
    can->ttl_clock = KIVI_CLOCK_STORE;
    can->order = KIVI_ORDER_NONE;
    can->scan = mc->scans ? KIVI_EMULATED : KIVI_ABSENT;
    can->scan_once = mc->scans;
    can->snapshot = KIVI_ABSENT;
    can->increment = KIVI_NATIVE;
    can->conditions = KIVI_NATIVE;
    can->durable = false;
    can->shared_keyspace = true;
    can->local = false;
    can->evicts = true; /* unless the servers say otherwise (-M) */
}

static void mc_close(void *instance)
{
    kvi_mc_settings_clear(instance);
    free(instance);
}

static kivi_status mc_open(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                           kivi_error **error)
{
    mc_instance *mc = calloc(1, sizeof(*mc));
    kivi_status status;

    (void)wait;
    if (!mc)
        return kvi_mc_no_memory(error);
    status = kvi_mc_settings_read(mc, config, error);
    if (status) {
        mc_close(mc);
        return status;
    }
    mc->reporter = kvi_mc_host->reporter(config);
    fill_instance(mc, instance);
    return KIVI_OK;
}

/* ---- Sessions and verbs ---- */

static kivi_status mc_session_open(void *instance, void **session, kivi_error **error)
{
    mc_session *made = NULL;
    kivi_status status = kvi_mc_session_open(instance, &made, error);

    *session = made;
    return status;
}

static void mc_session_close(void *instance, void *session)
{
    (void)instance;
    kvi_mc_session_close(session);
}

static void mc_session_abandon(void *instance, void *session, bool in_verb)
{
    (void)instance;
    kvi_mc_session_abandon(session, in_verb);
}

static kivi_status mc_read(void *instance, void *session, kivi_read_vector *vector, kivi_wait *wait,
                           kivi_error **error)
{
    (void)instance, (void)wait;
    return kvi_mc_session_read(session, vector, error);
}

static kivi_status mc_write(void *instance, void *session, kivi_write_vector *vector,
                            kivi_wait *wait, kivi_error **error)
{
    (void)instance, (void)wait;
    return kvi_mc_session_write(session, vector, error);
}

static kivi_status mc_scan(void *instance, void *session, const kivi_scan_range *range,
                           kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error)
{
    (void)instance, (void)wait;
    return kvi_mc_session_scan(session, range, sink, error);
}

static kivi_status mc_step(void *instance, void *session, uint32_t revents, kivi_poll *poll,
                           kivi_error **error)
{
    (void)instance;
    return kvi_members_step(&((mc_session *)session)->members, revents, poll, error);
}

static kivi_status mc_health(void *instance, void *session, kivi_wait *wait, kivi_error **error)
{
    (void)instance, (void)wait;
    return kvi_mc_session_health(session, error);
}

static void mc_detail(void *instance, char *text, size_t capacity)
{
    const mc_instance *mc = instance;
    uint32_t version = atomic_load_explicit(&mc->version, memory_order_relaxed);
    uint64_t emptied = atomic_load_explicit(&mc->emptied, memory_order_relaxed);
    int size = snprintf(text, capacity, "servers: %zu", mc->rules.count);

    if (version && size > 0 && (size_t)size < capacity)
        size += snprintf(text + size, capacity - (size_t)size, ", version %u.%u.%u",
                         version / 10000, version / 100 % 100, version % 100);
    if (emptied && size > 0 && (size_t)size < capacity)
        snprintf(text + size, capacity - (size_t)size, ", came back empty: %llu",
                 (unsigned long long)emptied);
}

/* ---- The table ---- */

static kivi_backend table = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "memcached",
    .schemes = "memcached memcacheds memcached+unix",
    .summary = "Memcached 1.6 or later, one server or a ring",
    .options = kvi_mc_options,
    .open = mc_open,
    .close = mc_close,
    .abandon = mc_close,
    .session_open = mc_session_open,
    .session_close = mc_session_close,
    .session_abandon = mc_session_abandon,
    .read = mc_read,
    .write = mc_write,
    .scan = mc_scan,
    .step = mc_step,
    .health = mc_health,
    .detail = mc_detail,
};

const kivi_backend *kivi_plugin(uint32_t host_abi, const kivi_host *host)
{
    if (host_abi != KIVI_BACKEND_ABI || host->struct_size < sizeof(*host))
        return NULL;
    kvi_mc_host = host;
    table.option_count = kvi_mc_option_count;
    return &table;
}
