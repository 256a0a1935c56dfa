/* The instance of a store: opened, and what its backend says of it checked. */
#include "instance.h"
#include "../options/options.h"

#include "../base/limits.h"
#include "keys.h"

static kivi_status check_layout(kivi_store *store, kivi_error **error)
{
    if (store->instance.layout != KIVI_LAYOUT_FOREIGN || store->has_codec)
        return KIVI_OK;
    return kvi_layout_refuse(store, error);
}

/* What a backend must not say of itself. */
static kivi_status check_instance(kivi_store *store, kivi_error **error)
{
    kivi_instance *instance = &store->instance;
    bool blocking = instance->flags & KIVI_BACKEND_BLOCKING;
    if (!blocking && !store->backend->step)
        return kvi_fail(error, KIVI_INTERNAL, "the backend is stepped and has no step()");
    if (!blocking && instance->flags & KIVI_BACKEND_SHARED_READS)
        return kvi_fail(error, KIVI_INTERNAL, "the backend is stepped and shares reads");
    if (!store->backend->scan && instance->capabilities.scan != KIVI_ABSENT)
        return kvi_fail(error, KIVI_INTERNAL, "the backend says that it can scan, and has no scan()");
    /* An escape begins with '%': it could make a key begin so that did not. */
    if (instance->escape.reserved_prefix && strchr(instance->escape.reserved_prefix, '%'))
        return kvi_fail(error, KIVI_INTERNAL, "the backend reserves a prefix with '%%' in it");
    return KIVI_OK;
}

static kivi_status complete_instance(kivi_store *store, kivi_error **error)
{
    store->flags = store->instance.flags;
    store->has_codec = kvi_config_is_set(store->config, "codec");
    kivi_status status = check_layout(store, error);
    if (!status)
        status = kvi_keys_setup(store, error);
    if (!status)
        kvi_limits_begin(store);
    return status;
}

kivi_status kvi_instance_open(kivi_store *store, kivi_wait *wait, kivi_error **error)
{
    store->instance = (kivi_instance){.struct_size = sizeof(kivi_instance)};
    store->instance.escape.struct_size = sizeof(kivi_escape);
    store->instance.capabilities.struct_size = sizeof(kivi_capabilities);
    kvi_descriptors_guard();
    kivi_status status = store->backend->open(store->config, wait, &store->instance, error);
    if (status)
        return status;
    status = check_instance(store, error);
    if (!status)
        status = complete_instance(store, error);
    if (status) {
        store->backend->close(store->instance.handle);
        return status;
    }
    store->instance_open = true;
    return KIVI_OK;
}
