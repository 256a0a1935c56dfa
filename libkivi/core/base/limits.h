/* What a store takes and promises as far as it is known. */
#ifndef KVI_LIMITS_H
#define KVI_LIMITS_H

#include "../core.h"

#define KVI_PORTABLE_VALUE (UINT64_C(256) << 10)

/* Takes over what the instance says, once the store's options are read. */
void kvi_limits_begin(kivi_store *store);
/* Fills in those of the capabilities that may be learned. */
void kvi_limits_tell(const kivi_store *store, kivi_capabilities *can);
/* INVALID: the data is another program's, and no codec was named. */
kivi_status kvi_layout_refuse(const kivi_store *store, kivi_error **error);

/* As kivi_host.learned. */
kivi_status kvi_store_learned(void *reporter, const kivi_learned *learned, kivi_error **error);

static inline uint64_t kvi_max_stored_key(const kivi_store *store)
{
    return atomic_load_explicit(&store->limits.max_stored_key, memory_order_relaxed);
}
static inline uint64_t kvi_max_value(const kivi_store *store)
{
    return atomic_load_explicit(&store->limits.max_value, memory_order_relaxed);
}
static inline uint64_t kvi_atomic_max(const kivi_store *store)
{
    return atomic_load_explicit(&store->limits.atomic_max, memory_order_relaxed);
}
static inline int64_t kvi_max_ttl(const kivi_store *store)
{
    return atomic_load_explicit(&store->limits.max_ttl_ms, memory_order_relaxed);
}
static inline int32_t kvi_order(const kivi_store *store)
{
    return atomic_load_explicit(&store->limits.order, memory_order_relaxed);
}

#endif
