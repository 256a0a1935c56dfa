/* What a store takes and promises: said at open, and learned by sessions at their login. */
#include "limits.h"

#define SET(field, value) atomic_store_explicit(&store->limits.field, value, memory_order_relaxed)

/* Never more than open said: a queue copies values by that. */
static void set_max_value(kivi_store *store, uint64_t most)
{
    if (most > store->instance.capabilities.max_value)
        most = store->instance.capabilities.max_value;
    SET(max_value, store->portable && most > KVI_PORTABLE_VALUE ? KVI_PORTABLE_VALUE : most);
}

static void set_atomic_max(kivi_store *store, uint64_t most)
{
    uint64_t items = store->instance.max_items;
    SET(atomic_max, items && most > items ? items : most);
}

static void set_max_ttl(kivi_store *store, int64_t most)
{
    bool any = most == 0 && store->instance.capabilities.ttl != KIVI_ABSENT;
    SET(max_ttl_ms, any ? KIVI_TTL_MAX : most);
}

static void set_order(kivi_store *store, int32_t order)
{
    SET(order, store->keeps_order ? order : KIVI_ORDER_NONE);
}

void kvi_limits_begin(kivi_store *store)
{
    const kivi_capabilities *can = &store->instance.capabilities;
    SET(max_stored_key, store->instance.max_stored_key);
    set_max_value(store, can->max_value);
    set_atomic_max(store, can->atomic_max);
    set_max_ttl(store, can->max_ttl_ms);
    set_order(store, can->order);
    SET(durable, can->durable);
    SET(evicts, can->evicts);
    SET(identity, 0);
}

void kvi_limits_tell(const kivi_store *store, kivi_capabilities *can)
{
    can->max_value = kvi_max_value(store);
    can->atomic_max = kvi_atomic_max(store);
    can->max_ttl_ms = kvi_max_ttl(store);
    can->order = kvi_order(store);
    can->durable = atomic_load_explicit(&store->limits.durable, memory_order_relaxed);
    can->evicts = atomic_load_explicit(&store->limits.evicts, memory_order_relaxed);
}

kivi_status kvi_layout_refuse(const kivi_store *store, kivi_error **error)
{
    return kvi_fail(error,
                    KIVI_INVALID, "this %s store was made by another program: name the codec of its values (codec=json, raw or msgpack)",
                    store->backend->name);
}

/* From here on all calls are refused before they are sent, until a session finds another layout (health asks). */
static kivi_status learn_layout(kivi_store *store, int32_t layout, kivi_error **error)
{
    if (layout != KIVI_LAYOUT_FOREIGN || store->has_codec) {
        atomic_fetch_and(&store->gate, ~(uint32_t)KVI_GATE_FOREIGN);
        return KIVI_OK;
    }
    atomic_fetch_or(&store->gate, KVI_GATE_FOREIGN);
    return kvi_layout_refuse(store, error);
}

kivi_status kvi_store_learned(void *reporter, const kivi_learned *learned, kivi_error **error)
{
    kivi_store *store = reporter;
    kivi_learned is = {0};
    kivi_status status = kvi_struct_read(&is, sizeof(is), learned, "kivi_learned", error);
    if (status)
        return status;
    if (is.fields & KIVI_LEARNED_MAX_STORED_KEY && is.max_stored_key < store->instance.max_stored_key)
        SET(max_stored_key, is.max_stored_key);
    if (is.fields & KIVI_LEARNED_MAX_VALUE)
        set_max_value(store, is.max_value);
    if (is.fields & KIVI_LEARNED_ATOMIC_MAX)
        set_atomic_max(store, is.atomic_max);
    if (is.fields & KIVI_LEARNED_MAX_TTL)
        set_max_ttl(store, is.max_ttl_ms);
    if (is.fields & KIVI_LEARNED_ORDER)
        set_order(store, is.order);
    if (is.fields & KIVI_LEARNED_DURABLE)
        SET(durable, is.durable);
    if (is.fields & KIVI_LEARNED_EVICTS)
        SET(evicts, is.evicts);
    if (is.fields & KIVI_LEARNED_IDENTITY)
        SET(identity, is.identity);
    return is.fields & KIVI_LEARNED_LAYOUT ? learn_layout(store, is.layout, error) : KIVI_OK;
}
