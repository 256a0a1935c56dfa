/* Calls that are described by a request: what a queue's worker makes, and what bindings make at once. */
#include "perform.h"

#include "read_modify_write.h"
#include "verbs.h"

static kivi_status read_key(kivi_store *store, const kivi_call *how, const kivi_request *ask,
                            kivi_buffer *value, kivi_buffer *version, kivi_completion *end)
{
    switch (ask->verb) {
    case KIVI_VERB_GET:
        return kivi_store_get(store, how, ask->key, value, &end->error);
    case KIVI_VERB_GET_VERSIONED:
        return kivi_store_get_versioned(store, how, ask->key, value, version, &end->error);
    case KIVI_VERB_EXISTS:
        return kivi_store_exists(store, how, ask->key, &end->truth, &end->error);
    case KIVI_VERB_TTL:
        return kivi_store_ttl(store, how, ask->key, &end->integer, &end->error);
    case KIVI_VERB_TAKE:
        return kivi_store_take(store, how, ask->key, value, &end->error);
    case KIVI_VERB_TAKE_BEGIN:
    case KIVI_VERB_GET_AND_EXPIRE_BEGIN:
        return kvi_take_begin(store, how, ask, value, version, &end->error);
    default:
        return kivi_store_get_and_expire(store, how, ask->key, ask->ttl_ms, value, &end->error);
    }
}

static kivi_status write_key(kivi_store *store, const kivi_call *how, const kivi_request *ask,
                             kivi_completion *end)
{
    kivi_error **error = &end->error;
    switch (ask->verb) {
    case KIVI_VERB_SET:
        return kivi_store_set(store, how, ask->key, ask->value, ask->ttl_ms, error);
    case KIVI_VERB_ADD:
        return kivi_store_add(store, how, ask->key, ask->value, ask->ttl_ms, error);
    case KIVI_VERB_REPLACE:
        return kivi_store_replace(store, how, ask->key, ask->value, ask->ttl_ms, error);
    case KIVI_VERB_DELETE:
        return kivi_store_delete(store, how, ask->key,
                                 ask->flags & KIVI_OP_WANT_EXISTED ? &end->truth : NULL, error);
    case KIVI_VERB_COMPARE_AND_SET:
        return kivi_store_compare_and_set(store, how, ask->key, ask->expected, ask->value,
                                          ask->ttl_ms, error);
    case KIVI_VERB_COMPARE_AND_DELETE:
        return kivi_store_compare_and_delete(store, how, ask->key, ask->expected, error);
    case KIVI_VERB_INCREMENT:
        return kivi_store_increment(store, how, ask->key, ask->by, ask->ttl_ms, &end->integer, error);
    case KIVI_VERB_TAKE_END:
    case KIVI_VERB_GET_AND_EXPIRE_END:
        return kvi_take_end(store, how, ask, error);
    case KIVI_VERB_EXPIRE:
        return kivi_store_expire(store, how, ask->key, ask->ttl_ms, error);
    default:
        return kivi_store_persist(store, how, ask->key, error);
    }
}

static kivi_status make_many(kivi_store *store, const kivi_call *how, const kivi_request *ask,
                             kivi_buffer *value, kivi_completion *end)
{
    kivi_error **error = &end->error;
    kivi_health health = {.struct_size = sizeof(health)};
    uint64_t count = 0;
    kivi_status status = KIVI_OK;
    switch (ask->verb) {
    case KIVI_VERB_GET_MANY:
        return kivi_store_get_many(store, how, ask->keys, ask->count, &end->result, error);
    case KIVI_VERB_SET_MANY:
        return kivi_store_set_many(store, how, ask->keys, ask->values, ask->count, ask->ttl_ms,
                                   &end->result, error);
    case KIVI_VERB_DELETE_MANY:
        status = kivi_store_delete_many(store, how, ask->keys, ask->count,
                                        ask->flags & KIVI_OP_WANT_EXISTED ? &count : NULL,
                                        &end->result, error);
        break;
    case KIVI_VERB_APPLY:
        return kivi_store_apply(store, how, ask->ops, ask->count, ask->flags, &end->result, error);
    case KIVI_VERB_PAGE:
        return kivi_store_page(store, how, ask->range, &end->page, error);
    case KIVI_VERB_COUNT:
        status = kivi_store_count(store, how, ask->key, &count, error);
        break;
    case KIVI_VERB_CLEAR:
        status = kivi_store_clear(store, how, ask->key, ask->flags, &count, error);
        break;
    case KIVI_VERB_HEALTH:
        status = kivi_store_health(store, how, &health, error);
        count = health.latency_ns;
        break;
    default:
        return kivi_store_describe(store, how, (kivi_topic)ask->flags, value, error);
    }
    end->integer = (int64_t)count;
    return status;
}

void kvi_perform(kivi_store *store, const kivi_call *how, const kivi_request *ask,
                 kivi_buffer *value, kivi_buffer *version, kivi_completion *end)
{
    kvi_verb_shape shape = kvi_verb_find(ask->verb)->shape;
    value->size = version->size = 0;
    if (shape == KVI_SHAPE_READ)
        end->status = read_key(store, how, ask, value, version, end);
    else if (shape == KVI_SHAPE_WRITE)
        end->status = write_key(store, how, ask, end);
    else
        end->status = make_many(store, how, ask, value, end);
    end->value = kivi_buffer_slice(value);
    end->version = kivi_buffer_slice(version);
}

kivi_status kivi_store_perform(kivi_store *store, const kivi_call *call, const kivi_request *request,
                               kivi_buffer *value, kivi_buffer *version, kivi_completion *completion)
{
    kivi_completion end = KIVI_COMPLETION_INIT;
    kivi_request ask;
    end.status = kvi_struct_read(&ask, sizeof(ask), request, "kivi_request", &end.error);
    if (!end.status && !kvi_verb_find(ask.verb)) {
        end.error = kvi_error_new(KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO, "perform: unknown verb %d",
                                  (int)ask.verb);
        end.status = KIVI_UNSUPPORTED;
    }
    if (!end.status) {
        end.user = ask.user;
        kvi_perform(store, call, &ask, value, version, &end);
    }
    kivi_status wrote = kvi_struct_write(completion, &end, sizeof(end), "kivi_completion", NULL);
    return wrote ? wrote : end.status;
}
