/* The MySQL backend's table: opening an instance, and handing verbs to sessions. */
#include "my.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define VALUE_MOST (UINT64_C(256) << 20)
#define ITEMS_MOST 4096
#define BYTES_MOST (UINT64_C(4) << 20) /* twice that, of quotes alone, fits a packet of 16 MiB */

/* ---- Open and close ---- */

/* The most that any server takes: the rest is learned at the login. */
static void fill_instance(my_instance *my, kivi_instance *instance)
{
    kivi_capabilities *can = &instance->capabilities;

    instance->flags = KIVI_BACKEND_INCREMENTS | KIVI_BACKEND_TAKES | KIVI_BACKEND_TOUCHES;
    instance->handle = my;
    instance->layout = KIVI_LAYOUT_UNMARKED;
    instance->max_items = ITEMS_MOST;
    instance->max_bytes = BYTES_MOST;
    instance->max_stored_key = MY_KEY_MOST;
    can->consistency = my->settings.endpoint.count > 1 && !my->settings.primary ? KIVI_EVENTUAL
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

static void my_close(void *instance)
{
    my_instance *my = instance;

    kvi_my_settings_clear(&my->settings);
    free(my);
}

static kivi_status my_open(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                           kivi_error **error)
{
    my_instance *my = calloc(1, sizeof(*my));
    kivi_status status;

    (void)wait;
    if (!my)
        return kvi_my_no_memory(error);
    status = kvi_my_settings_read(&my->settings, config, error);
    if (status) {
        my_close(my);
        return status;
    }
    my->reporter = kvi_my_host->reporter(config);
    fill_instance(my, instance);
    return KIVI_OK;
}

/* ---- Sessions and verbs ---- */

static kivi_status session_open(void *instance, void **session, kivi_error **error)
{
    my_session *made = NULL;
    kivi_status status = kvi_my_session_open(instance, &made, error);

    *session = made;
    return status;
}

static void session_close(void *instance, void *session)
{
    (void)instance;
    kvi_my_session_close(session);
}

static void session_abandon(void *instance, void *session, bool in_verb)
{
    (void)instance;
    kvi_my_session_abandon(session, in_verb);
}

static kivi_status my_read(void *instance, void *session, kivi_read_vector *vector, kivi_wait *wait,
                           kivi_error **error)
{
    (void)instance;
    return kvi_my_session_begin(session, &(kvi_sql_job){.verb = KVI_SQL_READ, .reads = vector},
                                wait, error);
}

static kivi_status my_write(void *instance, void *session, kivi_write_vector *vector,
                            kivi_wait *wait, kivi_error **error)
{
    (void)instance;
    return kvi_my_session_begin(session, &(kvi_sql_job){.verb = KVI_SQL_WRITE, .writes = vector},
                                wait, error);
}

static kivi_status my_scan(void *instance, void *session, const kivi_scan_range *range,
                           kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error)
{
    (void)instance;
    return kvi_my_session_begin(
        session, &(kvi_sql_job){.verb = KVI_SQL_SCAN, .range = range, .sink = sink}, wait, error);
}

static kivi_status my_count(void *instance, void *session, kivi_count *count, kivi_wait *wait,
                            kivi_error **error)
{
    (void)instance;
    return kvi_my_session_begin(session, &(kvi_sql_job){.verb = KVI_SQL_COUNT, .count = count},
                                wait, error);
}

static kivi_status my_step(void *instance, void *session, uint32_t revents, kivi_poll *poll,
                           kivi_error **error)
{
    (void)instance;
    return kvi_my_session_step(session, revents, poll, error);
}

static void my_detail(void *instance, char *text, size_t capacity)
{
    const my_instance *my = instance;
    unsigned long version = atomic_load_explicit(&my->version, memory_order_relaxed);

    if (version)
        snprintf(text, capacity, "version %lu.%lu.%lu, table %s", version / 10000,
                 version / 100 % 100, version % 100, my->settings.table);
    else
        snprintf(text, capacity, "table %s", my->settings.table);
}

/* ---- The table ---- */

/* libmariadb ignores SIGPIPE for the whole process when it starts: whose signal it is decides that. */
static bool start_library(void)
{
    struct sigaction before;
    bool started;

    sigaction(SIGPIPE, NULL, &before);
    started = mysql_library_init(0, NULL, NULL) == 0;
    sigaction(SIGPIPE, &before, NULL);
    return started;
}

static kivi_backend table = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "mysql",
    .schemes = "mysql mariadb",
    .summary = "MySQL and MariaDB",
    .options = kvi_my_options,
    .open = my_open,
    .close = my_close,
    .abandon = my_close,
    .session_open = session_open,
    .session_close = session_close,
    .session_abandon = session_abandon,
    .read = my_read,
    .write = my_write,
    .scan = my_scan,
    .step = my_step,
    .count = my_count,
    .detail = my_detail,
};

const kivi_backend *kivi_plugin(uint32_t host_abi, const kivi_host *host)
{
    if (host_abi != KIVI_BACKEND_ABI || host->struct_size < sizeof(*host))
        return NULL;
    kvi_my_host = host;
    if (!start_library())
        return NULL;
    table.option_count = kvi_my_option_count;
    return &table;
}
