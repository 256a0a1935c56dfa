/* The PostgreSQL backend's table: opening an instance, and handing verbs to sessions. */
#include "pg.h"

#include <stdio.h>
#include <stdlib.h>

#define VALUE_MOST (UINT64_C(256) << 20)
#define ITEMS_MOST 4096
#define BYTES_MOST (UINT64_C(16) << 20)

/* ---- Open and close ---- */

/* The most that any server takes: the rest is learned at the login. */
static void fill_instance(pg_instance *pg, kivi_instance *instance)
{
    kivi_capabilities *can = &instance->capabilities;

    instance->flags = KIVI_BACKEND_INCREMENTS | KIVI_BACKEND_TAKES | KIVI_BACKEND_TOUCHES;
    instance->handle = pg;
    instance->layout = KIVI_LAYOUT_UNMARKED;
    instance->max_items = ITEMS_MOST;
    instance->max_bytes = BYTES_MOST;
    instance->max_stored_key = PG_KEY_MOST;
    instance->escape.rules = KIVI_ESCAPE_UTF8;
    instance->escape.bytes[0] = 1; /* NUL */
    if (pg->settings.ascii)
        memset(instance->escape.bytes + 16, 0xff, 16);
    can->consistency = pg->settings.endpoint.count > 1 && !pg->settings.primary ? KIVI_EVENTUAL
                                                                                : KIVI_LEADER;
    can->max_value = VALUE_MOST;
    can->ttl_resolution_ms = 1;
    can->atomic_max = ITEMS_MOST;
    can->ttl = KIVI_EMULATED;
    can->ttl_clock = KIVI_CLOCK_STORE;
    can->order = KIVI_ORDER_BYTES;
    can->scan = can->conditions = KIVI_NATIVE;
    can->snapshot = KIVI_ABSENT;
    can->increment = KIVI_NATIVE;
    can->scan_once = true;
    can->durable = true; /* as servers are set up; one that is not says so at the login */
}

static void pg_close(void *instance)
{
    pg_instance *pg = instance;

    kvi_pg_statements_free(pg);
    kvi_pg_settings_clear(&pg->settings);
    free(pg);
}

static kivi_status pg_open(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                           kivi_error **error)
{
    pg_instance *pg = calloc(1, sizeof(*pg));
    kivi_status status;

    (void)wait;
    if (!pg)
        return kvi_pg_no_memory(error);
    status = kvi_pg_settings_read(&pg->settings, config, error);
    if (!status && !kvi_pg_statements_make(pg))
        status = kvi_pg_no_memory(error);
    if (status) {
        pg_close(pg);
        return status;
    }
    pg->reporter = kvi_pg_host->reporter(config);
    fill_instance(pg, instance);
    return KIVI_OK;
}

/* ---- Sessions and verbs ---- */

static kivi_status session_open(void *instance, void **session, kivi_error **error)
{
    pg_session *made = NULL;
    kivi_status status = kvi_pg_session_open(instance, &made, error);

    *session = made;
    return status;
}

static void session_close(void *instance, void *session)
{
    (void)instance;
    kvi_pg_session_close(session);
}

static void session_abandon(void *instance, void *session, bool in_verb)
{
    (void)instance;
    kvi_pg_session_abandon(session, in_verb);
}

static kivi_status pg_read(void *instance, void *session, kivi_read_vector *vector, kivi_wait *wait,
                           kivi_error **error)
{
    (void)instance;
    return kvi_pg_session_begin(session, &(kvi_sql_job){.verb = KVI_SQL_READ, .reads = vector},
                                wait, error);
}

static kivi_status pg_write(void *instance, void *session, kivi_write_vector *vector,
                            kivi_wait *wait, kivi_error **error)
{
    (void)instance;
    return kvi_pg_session_begin(session, &(kvi_sql_job){.verb = KVI_SQL_WRITE, .writes = vector},
                                wait, error);
}

static kivi_status pg_scan(void *instance, void *session, const kivi_scan_range *range,
                           kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error)
{
    (void)instance;
    return kvi_pg_session_begin(
        session, &(kvi_sql_job){.verb = KVI_SQL_SCAN, .range = range, .sink = sink}, wait, error);
}

static kivi_status pg_count(void *instance, void *session, kivi_count *count, kivi_wait *wait,
                            kivi_error **error)
{
    (void)instance;
    return kvi_pg_session_begin(session, &(kvi_sql_job){.verb = KVI_SQL_COUNT, .count = count},
                                wait, error);
}

static kivi_status pg_step(void *instance, void *session, uint32_t revents, kivi_poll *poll,
                           kivi_error **error)
{
    (void)instance;
    return kvi_pg_session_step(session, revents, poll, error);
}

static void pg_detail(void *instance, char *text, size_t capacity)
{
    const pg_instance *pg = instance;
    int version = atomic_load_explicit(&pg->version, memory_order_relaxed);

    if (version)
        snprintf(text, capacity, "version %d.%d, table %s", version / 10000, version % 10000,
                 pg->settings.table);
    else
        snprintf(text, capacity, "table %s", pg->settings.table);
}

/* ---- The table ---- */

static kivi_backend table = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "postgresql",
    .schemes = "postgresql postgres",
    .summary = "PostgreSQL 12 or later",
    .options = kvi_pg_options,
    .open = pg_open,
    .close = pg_close,
    .abandon = pg_close,
    .session_open = session_open,
    .session_close = session_close,
    .session_abandon = session_abandon,
    .read = pg_read,
    .write = pg_write,
    .scan = pg_scan,
    .step = pg_step,
    .count = pg_count,
    .detail = pg_detail,
};

const kivi_backend *kivi_plugin(uint32_t host_abi, const kivi_host *host)
{
    if (host_abi != KIVI_BACKEND_ABI || host->struct_size < sizeof(*host))
        return NULL;
    kvi_pg_host = host;
    table.option_count = kvi_pg_option_count;
    return &table;
}
