/* What can be asked about schemes and their options without opening a store. */
#include "../options/options.h"
#include "loader.h"
#include "plugins.h"

#include <stdio.h>

/* Copies a message into a fixed place; one that is cut off ends with a whole character. */
static void copy_reason(char place[], size_t capacity, const char *message)
{
    size_t size = strlen(message);
    snprintf(place, capacity, "%s", message);
    if (size < capacity)
        return;
    size = capacity - 1;
    while (size && ((unsigned char)message[size] & 0xc0) == 0x80)
        size--;
    place[size] = '\0';
}

kivi_status kivi_scheme_describe(size_t index, kivi_scheme_info *info, kivi_error **error)
{
    kivi_scheme_info local = {.struct_size = sizeof(local), .summary = ""};
    const kivi_backend *backend;
    kivi_error *why = NULL;
    kvi_error_clear(error);
    kivi_status status = kvi_scheme_at(index, &local.scheme, &local.backend, error);
    if (status)
        return status;
    if (!local.scheme)
        return KIVI_NOT_FOUND;
    local.available = !kvi_backend_find(local.scheme, &backend, &why);
    if (local.available) {
        local.backend = backend->name;
        local.summary = backend->summary;
    } else {
        copy_reason(local.reason, sizeof(local.reason), kivi_error_message(why));
        kivi_error_free(why);
    }
    return kvi_struct_write(info, &local, sizeof(local), "kivi_scheme_info", error);
}

kivi_status kivi_option_describe(const char *scheme, size_t index, kivi_option_info *info,
                                 kivi_error **error)
{
    const kivi_backend *backend;
    kvi_error_clear(error);
    kivi_status status = kvi_backend_find(scheme, &backend, error);
    if (status)
        return status;
    const kivi_option_info *found = kvi_option_at(backend, index);
    if (!found)
        return KIVI_NOT_FOUND;
    return kvi_struct_write(info, found, sizeof(*found), "kivi_option_info", error);
}

static kivi_status recommend(const kivi_backend *backend, kivi_options *options, kivi_error **error)
{
    const kivi_option_info *info;
    for (size_t i = 0; (info = kvi_option_at(backend, i)); i++) {
        if (!info->recommended_text)
            continue;
        kivi_status status = kivi_options_set(options, info->name, info->recommended_text, error);
        if (status)
            return status;
    }
    return KIVI_OK;
}

kivi_status kivi_options_recommended(const char *scheme, kivi_options **options, kivi_error **error)
{
    const kivi_backend *backend;
    kvi_error_clear(error);
    *options = NULL;
    kivi_status status = kvi_backend_find(scheme, &backend, error);
    if (status)
        return status;
    kivi_options *made = kivi_options_new();
    status = made ? recommend(backend, made, error)
                  : kvi_fail(error, KIVI_NO_MEMORY, "no memory for a set of options");
    if (status)
        kivi_options_free(made);
    else
        *options = made;
    return status;
}
