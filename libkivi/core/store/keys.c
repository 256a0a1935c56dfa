/* Stored keys: the namespace in front, escapes inside, and every limit checked before anything is sent. */
#include "keys.h"
#include "../options/options.h"
#include "escape.h"

#include "../lanes/context.h"

#define PORTABLE_KEY 200

static bool is_portable_byte(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= 'a' && byte <= 'z') || byte == '-' || byte == '.' || byte == '_' ||
           byte == ':' || byte == '/';
}

/* Bytes that a key takes where every byte outside the plain ones is escaped. */
static uint64_t portable_size(kivi_slice stored)
{
    const uint8_t *bytes = stored.data;
    uint64_t size = 0;
    for (size_t i = 0; i < stored.size; i++)
        size += is_portable_byte(bytes[i]) ? 1 : 3;
    return size;
}

static kivi_status check_stored(kvi_context *ctx, kivi_slice stored)
{
    const kivi_store *store = ctx->store;
    uint64_t most = kvi_max_stored_key(store);
    if (KVI_UNLIKELY(stored.size > most))
        return kvi_context_fail(ctx, KIVI_TOO_LARGE, "key of %zu stored bytes; this store takes %llu",
                                stored.size, (unsigned long long)most);
    return KIVI_OK;
}

static kivi_status check_portable(kvi_context *ctx, kivi_slice key)
{
    uint64_t size = portable_size(key) + portable_size(kivi_buffer_slice(&ctx->store->space));
    if (size <= PORTABLE_KEY)
        return KIVI_OK;
    return kvi_context_fail(ctx, KIVI_TOO_LARGE, "key of %llu portable bytes; portable=true allows %d",
                            (unsigned long long)size, PORTABLE_KEY);
}

static kivi_status fail_key(kvi_context *ctx, kivi_status status)
{
    if (status == KIVI_NO_MEMORY)
        return kvi_context_fail(ctx, status, "no memory for a key");
    return kvi_context_fail(ctx, status, "this store cannot hold such a key as it is (escape=off)");
}

static kivi_status append_escaped(kvi_context *ctx, kivi_slice key, kivi_buffer *out)
{
    size_t begin = out->size;
    kivi_store *store = ctx->store;
    kivi_status status = kivi_buffer_append(out, kivi_buffer_slice(&store->space));
    if (!status)
        status = kvi_escape_encode(&store->escape, key, out);
    if (status)
        return fail_key(ctx, status);
    kivi_slice stored = kivi_bytes(out->data + begin, out->size - begin);
    /* With escape=off the table still says what does not fit. */
    if (store->forbids && !store->escapes && !kvi_escape_fits(&store->instance.escape, key))
        return fail_key(ctx, KIVI_INVALID);
    return check_stored(ctx, stored);
}

static kivi_status check_given(kvi_context *ctx, kivi_slice key)
{
    if (KVI_UNLIKELY(key.size == 0))
        return kvi_context_fail(ctx, KIVI_INVALID, "the key is empty");
    uint64_t most = kvi_max_stored_key(ctx->store);
    if (KVI_UNLIKELY(key.size > most))
        return kvi_context_fail(ctx, KIVI_TOO_LARGE, "key of %zu bytes; this store takes %llu",
                                key.size, (unsigned long long)most);
    return KVI_UNLIKELY(ctx->store->portable) ? check_portable(ctx, key) : KIVI_OK;
}

kivi_status kvi_key_append(kvi_context *ctx, kivi_slice key, kivi_buffer *out)
{
    kivi_status status = check_given(ctx, key);
    return status ? status : append_escaped(ctx, key, out);
}

kivi_status kvi_key_make(kvi_context *ctx, kivi_slice key, kvi_key *made)
{
    made->heap = (kivi_buffer)KIVI_BUFFER_INIT;
    kivi_store *store = ctx->store;
    kivi_status status = check_given(ctx, key);
    if (KVI_UNLIKELY(status))
        return status;
    ctx->key = key;
    if (KVI_LIKELY(store->plain_keys)) {
        made->stored = key;
        return check_stored(ctx, key);
    }
    size_t size = store->space.size + key.size;
    if (!store->forbids && size <= sizeof(made->inline_bytes)) {
        memcpy(made->inline_bytes, store->space.data, store->space.size);
        memcpy(made->inline_bytes + store->space.size, key.data, key.size);
        made->stored = kivi_bytes(made->inline_bytes, size);
        return check_stored(ctx, made->stored);
    }
    status = append_escaped(ctx, key, &made->heap);
    made->stored = kivi_buffer_slice(&made->heap);
    return status;
}

kivi_status kvi_value_check(kvi_context *ctx, kivi_slice value)
{
    const kivi_store *store = ctx->store;
    uint64_t limit = kvi_max_value(store);
    /* Without bytes: it was too large when it was submitted, whatever sessions have learned since. */
    if (KVI_UNLIKELY(value.size > limit || (value.size && !value.data)))
        return kvi_context_fail(ctx, KIVI_TOO_LARGE, "value of %zu bytes; this store takes %llu%s",
                                value.size, (unsigned long long)limit,
                                store->portable ? " (portable=true)" : "");
    return KIVI_OK;
}

kivi_status kvi_ttl_check(kvi_context *ctx, int64_t ttl_ms, bool keep)
{
    if (ttl_ms == KIVI_TTL_NONE || (keep && ttl_ms == KIVI_TTL_KEEP))
        return KIVI_OK;
    if (ttl_ms < 0)
        return kvi_context_fail(ctx, KIVI_INVALID, "ttl of %lld ms", (long long)ttl_ms);
    if (ttl_ms > KIVI_TTL_MAX)
        return kvi_context_fail(ctx, KIVI_INVALID, "ttl of %lld ms; 100 years are the most",
                                (long long)ttl_ms);
    if (ctx->store->instance.capabilities.ttl == KIVI_ABSENT)
        return kvi_context_fail(ctx, KIVI_UNSUPPORTED, "this store has no expiry");
    int64_t most = kvi_max_ttl(ctx->store);
    if (ttl_ms > most)
        return kvi_context_fail(ctx, KIVI_UNSUPPORTED, "ttl of %lld ms; this store takes %lld",
                                (long long)ttl_ms, (long long)most);
    return KIVI_OK;
}

/* "name:" with the name's own ':' escaped, so that no two namespaces overlap. */
static kivi_status setup_space(kivi_store *store, kivi_error **error)
{
    const char *name = kvi_config_text(store->config, "namespace");
    if (!name || !*name)
        return KIVI_OK;
    bool verbatim = !strcmp(kvi_config_text(store->config, "escape"), "off");
    if (verbatim && !kvi_escape_fits(&store->instance.escape, kivi_str(name)))
        return kvi_fail(
            error, KIVI_INVALID,
            "option namespace: this store cannot hold such a name as it is (escape=off)");
    kivi_escape escape = store->escape;
    escape.bytes[':' / 8] |= (uint8_t)(1 << ':' % 8);
    kivi_status status = kvi_escape_encode(&escape, kivi_str(name), &store->space);
    if (!status)
        status = kivi_buffer_append(&store->space, kivi_str(":"));
    if (status)
        return kvi_fail(error, status, "no memory for the namespace");
    if (store->space.size >= store->instance.max_stored_key)
        return kvi_fail(error, KIVI_INVALID, "option namespace: too long for keys of %llu bytes",
                        (unsigned long long)store->instance.max_stored_key);
    return KIVI_OK;
}

kivi_status kvi_keys_setup(kivi_store *store, kivi_error **error)
{
    kivi_buffer_free(&store->space);
    if (strcmp(kvi_config_text(store->config, "escape"), "off") != 0)
        store->escape = store->instance.escape;
    kivi_status status = setup_space(store, error);
    if (status)
        return status;
    store->escapes = !kvi_escape_is_trivial(&store->escape);
    store->forbids = !kvi_escape_is_trivial(&store->instance.escape);
    store->plain_keys = store->space.size == 0 && !store->forbids;
    store->keeps_order = kvi_escape_keeps_order(&store->escape);
    return KIVI_OK;
}

void kvi_keys_tell(const kivi_store *store, kivi_capabilities *can)
{
    uint64_t most = kvi_max_stored_key(store), space = store->space.size;
    uint64_t room = most > space ? most - space : 0;
    can->max_key_plain = room;
    can->max_key = room / kvi_escape_factor(&store->escape);
    if (!store->portable)
        return;
    uint64_t taken = portable_size(kivi_buffer_slice(&store->space));
    uint64_t rest = taken < PORTABLE_KEY ? PORTABLE_KEY - taken : 0;
    can->max_key_plain = rest < room ? rest : room;
    can->max_key = rest / 3 < can->max_key ? rest / 3 : can->max_key;
}

kivi_status kvi_prefix_append(kvi_context *ctx, kivi_slice prefix, kivi_buffer *out)
{
    kivi_store *store = ctx->store;
    kivi_status status = kivi_buffer_append(out, kivi_buffer_slice(&store->space));
    if (!status && prefix.size)
        status = kvi_escape_prefix(&store->escape, prefix, out);
    return status ? kvi_context_fail(ctx, status, "no memory for a prefix") : KIVI_OK;
}

kivi_status kvi_key_unwrap(kivi_store *store, kivi_slice stored, kivi_buffer *out, kivi_slice *key)
{
    kivi_slice space = kivi_buffer_slice(&store->space);
    if (!kvi_slice_begins(stored, space) || stored.size == space.size)
        return KIVI_CORRUPT;
    kivi_slice rest = kivi_bytes((const uint8_t *)stored.data + space.size, stored.size - space.size);
    *key = rest;
    if (KVI_LIKELY(!store->escapes))
        return KIVI_OK;
    kivi_status status = kvi_escape_decode(&store->escape, rest, out);
    *key = kivi_buffer_slice(out);
    return status;
}
