/* Calls on single keys that are one item of one vector. */
#include "../lanes/run.h"
#include "../store/begin.h"
#include "../store/keys.h"

/* ---- reads ---- */

static kivi_status read_key(kivi_store *store, const kivi_call *call, const char *verb, kivi_slice key,
                            uint32_t want, kvi_receiver *to, int64_t *ttl_ms, kivi_error **error)
{
    kvi_context ctx;
    kvi_key made;
    kivi_slice stored;
    made.heap.data = NULL;
    kivi_status status = kvi_begin_read(&ctx, store, call, verb, error);
    if (KVI_LIKELY(!status))
        status = kvi_key_store(&ctx, key, &made, &stored);
    if (KVI_LIKELY(!status)) {
        kivi_read_item item = {.key = stored, .want = want};
        status = kvi_read_one(&ctx, &item, kvi_receive, to);
        if (ttl_ms && !status)
            *ttl_ms = item.ttl_ms;
    }
    kvi_key_free(&made);
    return kvi_end(&ctx, status);
}

kivi_status kivi_store_get(kivi_store *store, const kivi_call *call, kivi_slice key,
                           kivi_buffer *value, kivi_error **error)
{
    kvi_receiver to = {value, NULL};
    value->size = 0;
    return read_key(store, call, "get", key, KIVI_WANT_VALUE, &to, NULL, error);
}

kivi_status kivi_store_get_versioned(kivi_store *store, const kivi_call *call, kivi_slice key,
                                     kivi_buffer *value, kivi_buffer *version, kivi_error **error)
{
    kvi_receiver to = {value, version};
    value->size = version->size = 0;
    return read_key(store, call, "get_versioned", key, KIVI_WANT_VALUE | KIVI_WANT_VERSION, &to,
                    NULL, error);
}

kivi_status kivi_store_exists(kivi_store *store, const kivi_call *call, kivi_slice key,
                              bool *exists, kivi_error **error)
{
    kvi_receiver to = {NULL, NULL};
    kivi_status status = read_key(store, call, "exists", key, 0, &to, NULL, error);
    *exists = status == KIVI_OK;
    return status == KIVI_NOT_FOUND ? KIVI_OK : status;
}

kivi_status kivi_store_ttl(kivi_store *store, const kivi_call *call, kivi_slice key,
                           int64_t *ttl_ms, kivi_error **error)
{
    kvi_receiver to = {NULL, NULL};
    *ttl_ms = KIVI_TTL_NONE;
    return read_key(store, call, "ttl", key, KIVI_WANT_EXPIRY, &to, ttl_ms, error);
}

/* ---- visiting ---- */

typedef struct visitor {
    kivi_visit_fn visit;
    void *user;
    kivi_status answer; /* the visitor's own; whatever it is, it is no failure of the store's */
} visitor;

static kivi_status deliver_to_visitor(kivi_read_vector *vector, kivi_read_item *item,
                                      kivi_slice value, kivi_slice version)
{
    visitor *to = vector->owner;
    (void)item;
    (void)version;
    to->answer = to->visit(value, to->user);
    return KIVI_OK;
}

/* In place where the engine lets its memory be looked at for long; else through a copy, with nothing held. */
static kivi_status visit(kvi_context *ctx, kivi_slice stored, visitor *to)
{
    kivi_store *store = ctx->store;
    if (kvi_visits_in_place(store)) {
        kivi_read_item item = {.key = stored, .want = KIVI_WANT_VALUE};
        kivi_status status = kvi_read_one(ctx, &item, deliver_to_visitor, to);
        return status ? status : to->answer;
    }
    kivi_buffer copy = KIVI_BUFFER_INIT;
    kivi_status status = kvi_fetch(ctx, stored, &copy, NULL);
    if (!status)
        status = to->visit(kivi_buffer_slice(&copy), to->user);
    kivi_buffer_free(&copy);
    return status;
}

kivi_status kivi_store_visit(kivi_store *store, const kivi_call *call, kivi_slice key,
                             kivi_visit_fn visit_fn, void *user, kivi_error **error)
{
    kvi_context ctx;
    kvi_key made = {.heap = KIVI_BUFFER_INIT};
    visitor to = {visit_fn, user, KIVI_OK};
    kivi_status status = kvi_begin_read(&ctx, store, call, "visit", error);
    if (!status)
        status = kvi_key_make(&ctx, key, &made);
    if (!status)
        status = visit(&ctx, made.stored, &to);
    kvi_key_free(&made);
    return kvi_end(&ctx, status);
}

/* ---- writes ---- */

/* One write of a key; `item` says what, its key is filled in here. Its answers stay in it. */
static kivi_status write_key(kivi_store *store, const kivi_call *call, const char *verb,
                             kivi_slice key, kivi_write_item *item, kivi_error **error)
{
    kvi_context ctx;
    kvi_key made;
    kivi_slice stored;
    made.heap.data = NULL;
    kivi_status status = kvi_begin(&ctx, store, call, verb, error);
    if (!status)
        status = kvi_key_store(&ctx, key, &made, &stored);
    if (!status)
        status = kvi_value_check(&ctx, item->value);
    if (!status)
        status = kvi_ttl_check(&ctx, item->ttl_ms, item->kind == KIVI_OP_SET);
    if (!status) {
        item->key = stored;
        status = kvi_write_one(&ctx, item);
    }
    kvi_key_free(&made);
    return kvi_end(&ctx, status);
}

static kivi_status set_key(kivi_store *store, const kivi_call *call, const char *verb,
                           kivi_slice key, kivi_slice value, int64_t ttl_ms,
                           kivi_condition condition, kivi_error **error)
{
    kivi_write_item item = {.kind = KIVI_OP_SET, .condition = condition, .value = value, .ttl_ms = ttl_ms};
    return write_key(store, call, verb, key, &item, error);
}

kivi_status kivi_store_set(kivi_store *store, const kivi_call *call, kivi_slice key,
                           kivi_slice value, int64_t ttl_ms, kivi_error **error)
{
    return set_key(store, call, "set", key, value, ttl_ms, KIVI_IF_ALWAYS, error);
}

kivi_status kivi_store_add(kivi_store *store, const kivi_call *call, kivi_slice key,
                           kivi_slice value, int64_t ttl_ms, kivi_error **error)
{
    return set_key(store, call, "add", key, value, ttl_ms, KIVI_IF_ABSENT, error);
}

kivi_status kivi_store_replace(kivi_store *store, const kivi_call *call, kivi_slice key,
                               kivi_slice value, int64_t ttl_ms, kivi_error **error)
{
    return set_key(store, call, "replace", key, value, ttl_ms, KIVI_IF_PRESENT, error);
}

kivi_status kivi_store_delete(kivi_store *store, const kivi_call *call, kivi_slice key,
                              bool *existed, kivi_error **error)
{
    kivi_write_item item = {.kind = KIVI_OP_DELETE, .flags = existed ? KIVI_OP_WANT_EXISTED : 0};
    kivi_status status = write_key(store, call, "delete", key, &item, error);
    if (existed)
        *existed = status == KIVI_OK && item.existed;
    return status;
}

static kivi_status touch_key(kivi_store *store, const kivi_call *call, const char *verb,
                             kivi_slice key, int64_t ttl_ms, kivi_error **error)
{
    kivi_write_item item = {.kind = KIVI_OP_TOUCH, .ttl_ms = ttl_ms};
    return write_key(store, call, verb, key, &item, error);
}

kivi_status kivi_store_expire(kivi_store *store, const kivi_call *call, kivi_slice key,
                              int64_t ttl_ms, kivi_error **error)
{
    if (ttl_ms == KIVI_TTL_NONE)
        return kvi_fail(error, KIVI_INVALID, "expire: a ttl of 0 ms; persist takes an expiry away");
    return touch_key(store, call, "expire", key, ttl_ms, error);
}

kivi_status kivi_store_persist(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_error **error)
{
    return touch_key(store, call, "persist", key, KIVI_TTL_NONE, error);
}
