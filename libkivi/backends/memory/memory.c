/* The memory backend: its table, and how an instance is opened, shared and forked. */
#include <stdio.h>

#include "memory.h"

/* ---- Open and close ---- */

static kivi_status memory_open(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                               kivi_error **error)
{
    memory_instance *memory = calloc(1, sizeof(*memory));

    (void)wait;
    if (!memory)
        goto no_memory;
    if (!kvi_settings_read(&memory->settings, config))
        goto no_memory;
    memory->space = kvi_space_open(kvi_memory_host->option_text(config, "path"));
    if (!memory->space) {
        kvi_settings_clear(&memory->settings);
        goto no_memory;
    }
    memory->reporter = kvi_memory_host->reporter(config);
    atomic_init(&memory->random, memory->settings.seed);
    kvi_memory_promise(memory, instance);
    return KIVI_OK;

no_memory:
    free(memory);
    *error = kvi_memory_error(KIVI_NO_MEMORY);
    return KIVI_NO_MEMORY;
}

/* Also what a child does: its locks are its own since fork_child. */
static void memory_close(void *instance)
{
    memory_instance *memory = instance;

    kvi_space_close(memory->space);
    kvi_settings_clear(&memory->settings);
    free(memory);
}

/* ---- Sessions ---- */

static kivi_status memory_session_open(void *instance, void **session, kivi_error **error)
{
    memory_session *made = NULL;
    kivi_status status = kvi_session_open(instance, &made, error);

    *session = made;
    return status;
}

static void memory_session_close(void *instance, void *session)
{
    (void)instance;
    kvi_session_close(session);
}

static void memory_session_abandon(void *instance, void *session, bool in_verb)
{
    (void)instance;
    kvi_session_abandon(session, in_verb);
}

static void memory_interrupt(void *instance, void *session)
{
    (void)instance;
    kvi_session_interrupt(session);
}

/* ---- Verbs ---- */

static kivi_status serve(memory_instance *memory, memory_session *session, const memory_job *job,
                         kivi_wait *wait, kivi_error **error)
{
    if (memory->settings.shape == SHAPE_STEPPED)
        return kvi_stepped_begin(session, job, error);
    return kvi_blocking_serve(memory, session, job, wait, error);
}

static kivi_status memory_read(void *instance, void *session, kivi_read_vector *vector,
                               kivi_wait *wait, kivi_error **error)
{
    memory_instance *memory = instance;
    memory_job job = {.verb = VERB_READ, .reads = vector};

    if (!memory->settings.mock)
        return kvi_memory_read(memory, vector, error);
    return serve(memory, session, &job, wait, error);
}

static kivi_status memory_write(void *instance, void *session, kivi_write_vector *vector,
                                kivi_wait *wait, kivi_error **error)
{
    memory_instance *memory = instance;
    memory_job job = {.verb = VERB_WRITE, .writes = vector};

    if (!memory->settings.mock)
        return kvi_memory_write(memory, vector, error);
    return serve(memory, session, &job, wait, error);
}

static kivi_status memory_scan(void *instance, void *session, const kivi_scan_range *range,
                               kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error)
{
    memory_instance *memory = instance;
    memory_job job = {.verb = VERB_SCAN, .range = range, .sink = sink};

    if (!memory->settings.mock)
        return kvi_memory_scan(memory, range, sink, error);
    return serve(memory, session, &job, wait, error);
}

static kivi_status memory_step(void *instance, void *session, uint32_t revents, kivi_poll *poll,
                               kivi_error **error)
{
    (void)instance;
    (void)revents; /* the timer itself says whether it is time */
    return kvi_stepped_go_on(session, poll, error);
}

static kivi_status memory_count(void *instance, void *session, kivi_count *count, kivi_wait *wait,
                                kivi_error **error)
{
    memory_instance *memory = instance;
    memory_job job = {.verb = VERB_COUNT, .count = count};

    if (!memory->settings.mock)
        return kvi_memory_count(memory, count, wait, error);
    return serve(memory, session, &job, wait, error);
}

static kivi_status memory_health(void *instance, void *session, kivi_wait *wait, kivi_error **error)
{
    memory_instance *memory = instance;
    memory_job job = {.verb = VERB_HEALTH};

    if (!memory->settings.mock)
        return KIVI_OK;
    return serve(memory, session, &job, wait, error);
}

static void memory_detail(void *instance, char *text, size_t capacity)
{
    memory_instance *memory = instance;
    memory_space *space = memory->space;
    size_t hung = atomic_load(&memory->hung);
    char hangs[48] = "";

    if (hung)
        snprintf(hangs, sizeof(hangs), ", %zu vectors left hanging", hung);
    snprintf(text, capacity, "%zu keys, %zu bytes of keys and values%s%s%s", atomic_load(&space->keys),
             atomic_load(&space->bytes), hangs, *space->name ? " in " : "", space->name);
}

/* ---- Fork ---- */

static void memory_fork_prepare(void *instance)
{
    kvi_space_fork_prepare(((memory_instance *)instance)->space);
}

static void memory_fork_parent(void *instance)
{
    kvi_space_fork_parent(((memory_instance *)instance)->space);
}

static void memory_fork_child(void *instance)
{
    kvi_space_fork_child(((memory_instance *)instance)->space);
}

/* ---- The table ---- */

static kivi_backend table = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "memory",
    .schemes = "memory",
    .summary = "in this process's memory: for tests, as a mock, and as a cache",
    .options = kvi_memory_options,
    .open = memory_open,
    .close = memory_close,
    .abandon = memory_close,
    .session_open = memory_session_open,
    .session_close = memory_session_close,
    .session_abandon = memory_session_abandon,
    .interrupt = memory_interrupt,
    .read = memory_read,
    .write = memory_write,
    .scan = memory_scan,
    .step = memory_step,
    .count = memory_count,
    .health = memory_health,
    .detail = memory_detail,
    .fork_prepare = memory_fork_prepare,
    .fork_parent = memory_fork_parent,
    .fork_child = memory_fork_child,
};

const kivi_backend *kivi_plugin(uint32_t host_abi, const kivi_host *host)
{
    if (host_abi != KIVI_BACKEND_ABI || host->struct_size < sizeof(*host))
        return NULL;
    kvi_memory_host = host;
    table.option_count = kvi_memory_option_count;
    return &table;
}
