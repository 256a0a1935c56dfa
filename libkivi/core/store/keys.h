/* Stored keys, and the limits of keys, values and expiries. */
#ifndef KVI_KEYS_H
#define KVI_KEYS_H

#include "../base/limits.h"

#define KVI_KEY_INLINE 320
/* A stored key and the memory it lies in, if not in the caller's. */
typedef struct kvi_key {
    kivi_slice stored;
    kivi_buffer heap;
    uint8_t inline_bytes[KVI_KEY_INLINE];
} kvi_key;
/* Checks a key against all limits and answers its stored form. Free with kvi_key_free() also on failure. */
kivi_status kvi_key_make(kvi_context *ctx, kivi_slice key, kvi_key *made);
/*
 * The same for calls on one key, which are short: `*stored` is the key itself where the store needs no other, and
 * `made` is not touched (made->heap.data is NULL before). A slice that was just written in two halves is not read as
 * one then, which waits for both: 4 of the 110 ns of a hot get.
 */
static inline kivi_status kvi_key_store(kvi_context *ctx, kivi_slice key, kvi_key *made, kivi_slice *stored)
{
    const kivi_store *store = ctx->store;
    if (KVI_LIKELY(store->plain_keys && !store->portable && key.size &&
                   key.size <= kvi_max_stored_key(store))) {
        *stored = ctx->key = key;
        return KIVI_OK;
    }
    kivi_status status = kvi_key_make(ctx, key, made);
    *stored = made->stored;
    return status;
}
static inline void kvi_key_free(kvi_key *made)
{
    if (KVI_UNLIKELY(made->heap.data != NULL))
        kivi_buffer_free(&made->heap);
}
/* The same, appended to `out` (for batches). */
kivi_status kvi_key_append(kvi_context *ctx, kivi_slice key, kivi_buffer *out);
kivi_status kvi_value_check(kvi_context *ctx, kivi_slice value);
/* A ttl_ms argument of a write; `keep`: whether KIVI_TTL_KEEP is allowed. */
kivi_status kvi_ttl_check(kvi_context *ctx, int64_t ttl_ms, bool keep);
/* Fills in the namespace prefix and the rules for keys of a store just opened. */
kivi_status kvi_keys_setup(kivi_store *store, kivi_error **error);
/* Fills in max_key and max_key_plain. */
void kvi_keys_tell(const kivi_store *store, kivi_capabilities *can);
/* Stored bytes that all keys under `prefix` begin with, appended to `out`. */
kivi_status kvi_prefix_append(kvi_context *ctx, kivi_slice prefix, kivi_buffer *out);
kivi_status kvi_key_unwrap(kivi_store *store, kivi_slice stored, kivi_buffer *out, kivi_slice *key);
/* The key of a stored name into `out` (or in place: `*key` may point into `stored`). CORRUPT: a stranger. */
static inline kivi_status kvi_key_read(kivi_store *store, kivi_slice stored, kivi_buffer *out,
                                       kivi_slice *key)
{
    kivi_slice unwrapped; /* not `key` itself, which then stays in registers */
    kivi_status status;
    *key = stored;
    if (KVI_LIKELY(store->plain_keys && stored.size))
        return KIVI_OK;
    status = kvi_key_unwrap(store, stored, out, &unwrapped);
    if (!status)
        *key = unwrapped;
    return status;
}

#endif
