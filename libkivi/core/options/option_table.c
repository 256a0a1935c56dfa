/* Which options there are: those every store has, and how one is found by its name. */
#include "../base/base.h"
#include "../base/nearest.h"
#include "options.h"

#define YEAR_MS (INT64_C(365) * 24 * 3600 * 1000)

#define OPTION(name, type, text, choices, min, max, help)                            \
    {                                                                                \
        sizeof(kivi_option_info), 0, name, type, text, NULL, choices, min, max, help \
    }

/*
 * None has a recommended text: each default is what production use wants, and what would be a trade
 * (eventual reads, no sweep) is for the user to choose.
 */
static const kivi_option_info core_options[] = {
    OPTION("timeout", KIVI_OPTION_DURATION, "5s", NULL, 0, YEAR_MS,
           "how long a call may take where it does not say itself; 0: as long as it takes"),
    OPTION("io_timeout", KIVI_OPTION_DURATION, "5s", NULL, 1, YEAR_MS,
           "a connection that owes answers and sends no byte for so long is given up"),
    OPTION("lanes", KIVI_OPTION_INT, NULL, NULL, 1, 64,
           "connections (or writers) used at once; not set: 8 on networks, 1 on embedded stores"),
    OPTION("queue_limit", KIVI_OPTION_INT, "65536", NULL, 1, INT32_MAX,
           "calls in flight of a queue beyond which submitting answers BUSY"),
    OPTION("namespace", KIVI_OPTION_STRING, NULL, NULL, 0, 0,
           "keep to the keys that begin with this name and a colon; not set: all of the store"),
    OPTION("codec", KIVI_OPTION_STRING, "msgpack", NULL, 0, 0,
           "how typed values become bytes: msgpack, json or raw"),
    OPTION("portable", KIVI_OPTION_BOOL, "false", NULL, 0, 0,
           "refuse keys and values that would not fit every store (200 bytes, 256 KiB)"),
    OPTION("consistency", KIVI_OPTION_CHOICE, "strong", "strong eventual", 0, 0,
           "strong: reads see every acknowledged write, where the store can; eventual: cheaper"),
    OPTION("in_place", KIVI_OPTION_BOOL, "true", NULL, 0, 0,
           "let readers look at values where they lie; false: copy first (data beyond memory)"),
    OPTION("event_keys", KIVI_OPTION_BOOL, "false", NULL, 0, 0, "show keys to the event hook"),
    OPTION("escape", KIVI_OPTION_CHOICE, "on", "on off", 0, 0,
           "off: key names verbatim, those the store cannot hold are refused"),
    OPTION("sweep", KIVI_OPTION_INT, "16", NULL, 0, 65536,
           "expired entries that one write may remove on stores that keep expiries beside values; "
           "0: none"),
};

const kivi_option_info *kvi_core_options(size_t *count)
{
    *count = sizeof(core_options) / sizeof(core_options[0]);
    return core_options;
}

const kivi_option_info *kvi_backend_option(const kivi_backend *backend, size_t index)
{
    /* A plugin may have been compiled with a longer kivi_option_info: step by what it says. */
    const char *first = (const char *)backend->options;
    return (const kivi_option_info *)(const void *)(first + index * backend->options->struct_size);
}

const kivi_option_info *kvi_option_at(const kivi_backend *backend, size_t index)
{
    size_t count;
    const kivi_option_info *core = kvi_core_options(&count);
    if (index < count)
        return &core[index];
    index -= count;
    return backend && index < backend->option_count ? kvi_backend_option(backend, index) : NULL;
}

const kivi_option_info *kvi_option_find(const kivi_backend *backend, const char *name)
{
    const kivi_option_info *info;
    for (size_t i = 0; (info = kvi_option_at(backend, i)); i++)
        if (!strcmp(info->name, name))
            return info;
    return NULL;
}

const kivi_option_info *kvi_option_nearest(const kivi_backend *backend, const char *name)
{
    const kivi_option_info *info, *nearest = NULL;
    kvi_nearest search;
    kvi_nearest_begin(&search, name, strlen(name));
    for (size_t i = 0; (info = kvi_option_at(backend, i)); i++)
        if (kvi_nearest_try(&search, info->name))
            nearest = info;
    return nearest;
}
