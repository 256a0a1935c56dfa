/* What a store promises: at open, and, where that plays a server, once a session has logged in. */
#include "keys.h"
#include "memory.h"

#define ATOMIC_MOST 1000000
#define KEY_MOST (64 << 10)              /* max_key and max_value by default: */
#define VALUE_MOST (UINT64_C(256) << 20) /* all that is said before a login */

static uint32_t flags_of(const memory_settings *settings)
{
    uint32_t flags = KIVI_BACKEND_FORK_PRIVATE;

    if (settings->shape != SHAPE_STEPPED)
        flags |= KIVI_BACKEND_BLOCKING;
    if (settings->shape == SHAPE_SHARED)
        flags |= KIVI_BACKEND_SHARED_READS | KIVI_BACKEND_IN_PLACE;
    if (settings->native)
        flags |= KIVI_BACKEND_INCREMENTS | KIVI_BACKEND_TAKES | KIVI_BACKEND_TOUCHES;
    if (settings->group_commit)
        flags |= KIVI_BACKEND_GROUP_COMMIT;
    return flags;
}

static uint64_t atomic_most(const memory_settings *settings)
{
    if (!settings->atomic)
        return 0;
    if (settings->max_items && settings->max_items < ATOMIC_MOST)
        return settings->max_items;
    return ATOMIC_MOST;
}

/* Vectors that come in parts, or are asked again, are not of one moment. */
static bool is_snapshot(const memory_settings *settings)
{
    return settings->shape != SHAPE_STEPPED && settings->partial_rate <= 0 &&
           settings->fail_rate <= 0 && !settings->max_items && !settings->max_bytes;
}

static void fill_capabilities(const memory_settings *settings, kivi_capabilities *capabilities)
{
    capabilities->struct_size = sizeof(*capabilities);
    capabilities->consistency = KIVI_LINEARIZABLE;
    capabilities->max_value = settings->max_value;
    capabilities->max_ttl_ms = settings->max_ttl;
    capabilities->ttl_resolution_ms = settings->ttl_resolution;
    capabilities->atomic_max = atomic_most(settings);
    capabilities->ttl = KIVI_NATIVE;
    capabilities->ttl_clock = KIVI_CLOCK_CALLER;
    capabilities->order = settings->byte_order ? KIVI_ORDER_BYTES : KIVI_ORDER_NONE;
    capabilities->scan = KIVI_NATIVE;
    capabilities->snapshot = is_snapshot(settings) ? KIVI_NATIVE : KIVI_ABSENT;
    capabilities->increment = settings->native ? KIVI_NATIVE : KIVI_EMULATED;
    capabilities->conditions = KIVI_NATIVE;
    capabilities->scan_once = true;
    capabilities->local = settings->shape == SHAPE_SHARED;
    capabilities->evicts = settings->evicts;
}

/* Of a store that learns, what can be said without its server. */
static void forget(kivi_instance *instance)
{
    kivi_capabilities *capabilities = &instance->capabilities;

    instance->layout = KIVI_LAYOUT_UNMARKED;
    instance->max_stored_key = KEY_MOST;
    capabilities->max_value = VALUE_MOST;
    capabilities->max_ttl_ms = KIVI_TTL_MAX;
    capabilities->atomic_max = ATOMIC_MOST;
    capabilities->order = KIVI_ORDER_NONE;
    capabilities->evicts = false;
}

kivi_status kvi_memory_learn(const memory_instance *memory, kivi_error **error)
{
    const memory_settings *settings = &memory->settings;
    kivi_learned learned = {.struct_size = sizeof(learned)};

    if (!settings->learns)
        return KIVI_OK;
    learned.fields = KIVI_LEARNED_LAYOUT | KIVI_LEARNED_MAX_STORED_KEY | KIVI_LEARNED_MAX_VALUE |
                     KIVI_LEARNED_MAX_TTL | KIVI_LEARNED_ATOMIC_MAX | KIVI_LEARNED_ORDER |
                     KIVI_LEARNED_EVICTS;
    learned.layout = settings->layout;
    learned.order = settings->byte_order ? KIVI_ORDER_BYTES : KIVI_ORDER_NONE;
    learned.max_stored_key = settings->max_key;
    learned.max_value = settings->max_value;
    learned.atomic_max = atomic_most(settings);
    learned.max_ttl_ms = settings->max_ttl;
    learned.evicts = settings->evicts;
    return kvi_memory_host->learned(memory->reporter, &learned, error);
}

void kvi_memory_promise(memory_instance *memory, kivi_instance *instance)
{
    const memory_settings *settings = &memory->settings;

    instance->flags = flags_of(settings);
    instance->handle = memory;
    instance->layout = settings->layout;
    instance->max_lanes = (uint32_t)settings->max_lanes;
    instance->max_items = settings->max_items;
    instance->max_bytes = settings->max_bytes;
    instance->max_stored_key = settings->max_key;
    kvi_keys_escape(settings, &instance->escape);
    fill_capabilities(settings, &instance->capabilities);
    if (settings->learns)
        forget(instance);
}
