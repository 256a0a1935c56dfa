/* Each call as a request that a queue of the calling thread takes; without the trait, the call itself. */
#define VIA_ITSELF
#include "via.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static bool use_queue;
static pthread_key_t queue_key;
static pthread_once_t queue_once = PTHREAD_ONCE_INIT;

/* A child of a fork leaves its parent's queue alone and begins one of its own. */
typedef struct own_queue {
    kivi_queue *queue;
    pid_t process;
} own_queue;

static void end_queue(void *own_)
{
    own_queue *own = own_;
    if (own->process == getpid())
        kivi_queue_close(own->queue);
    free(own);
}

static void make_key(void)
{
    if (pthread_key_create(&queue_key, end_queue) != 0)
        abort();
}

void via_use_queue(bool use)
{
    use_queue = use;
}

void via_end(void)
{
    pthread_once(&queue_once, make_key);
    own_queue *own = pthread_getspecific(queue_key);
    pthread_setspecific(queue_key, NULL);
    if (own)
        end_queue(own);
}

static kivi_queue *queue_of_thread(void)
{
    pthread_once(&queue_once, make_key);
    own_queue *own = pthread_getspecific(queue_key);
    if (own && own->process == getpid())
        return own->queue;
    free(own);
    own = calloc(1, sizeof *own);
    if (!own || kivi_queue_new(&own->queue, NULL))
        abort();
    own->process = getpid();
    pthread_setspecific(queue_key, own);
    return own->queue;
}

/* The answer of one request. Submitting answers what is refused at once, without a completion. */
static kivi_status ask(kivi_store *store, const kivi_call *call, kivi_request *request, int verb,
                       kivi_completion *end, kivi_error **error)
{
    kivi_queue *queue = queue_of_thread();
    request->struct_size = sizeof *request;
    request->verb = verb;
    memset(end, 0, sizeof *end);
    end->struct_size = sizeof *end;
    kivi_status status = kivi_queue_submit(queue, store, call, request, NULL, error);
    if (status)
        return status;
    while (kivi_queue_take(queue, end, 1) == 0) {
        struct pollfd ready = {.fd = kivi_queue_descriptor(queue), .events = POLLIN};
        poll(&ready, 1, -1);
    }
    if (error && end->error) {
        *error = end->error;
        end->error = NULL;
    }
    return end->status;
}

/* What only the call itself can do: it asks its caller on the caller's thread, or is given nothing to work with. */
static bool directly(const kivi_store *store, const kivi_call *call)
{
    return !use_queue || !store || (call && call->interrupted);
}

/* The buffer is the caller's, as after the call itself; NULL: the call has none. */
static kivi_status keep(kivi_buffer *buffer, kivi_slice bytes)
{
    return buffer ? kivi_buffer_assign(buffer, bytes) : KIVI_OK;
}

static kivi_status ask_value(kivi_store *store, const kivi_call *call, kivi_request *request,
                             int verb, kivi_buffer *value, kivi_buffer *version, kivi_error **error)
{
    kivi_completion end;
    kivi_status status = ask(store, call, request, verb, &end, error);
    if (keep(value, end.value) || keep(version, end.version))
        abort();
    kivi_completion_release(&end);
    return status;
}

static kivi_status ask_number(kivi_store *store, const kivi_call *call, kivi_request *request,
                              int verb, int64_t *number, bool *truth, kivi_error **error)
{
    kivi_completion end;
    kivi_status status = ask(store, call, request, verb, &end, error);
    if (number && !status)
        *number = end.integer;
    if (truth && !status)
        *truth = end.truth;
    kivi_completion_release(&end);
    return status;
}

static kivi_status ask_result(kivi_store *store, const kivi_call *call, kivi_request *request,
                              int verb, uint64_t *number, kivi_result **result, kivi_error **error)
{
    kivi_completion end;
    kivi_status status = ask(store, call, request, verb, &end, error);
    if (number)
        *number = (uint64_t)end.integer;
    if (result) {
        *result = end.result;
        end.result = NULL;
    }
    kivi_completion_release(&end);
    return status;
}

/* ---- one key ---- */

kivi_status via_get(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_buffer *value,
                    kivi_error **error)
{
    kivi_request request = {.key = key};
    if (directly(store, call) || !value)
        return kivi_store_get(store, call, key, value, error);
    return ask_value(store, call, &request, KIVI_VERB_GET, value, NULL, error);
}

kivi_status via_get_versioned(kivi_store *store, const kivi_call *call, kivi_slice key,
                              kivi_buffer *value, kivi_buffer *version, kivi_error **error)
{
    kivi_request request = {.key = key};
    if (directly(store, call) || !value || !version)
        return kivi_store_get_versioned(store, call, key, value, version, error);
    return ask_value(store, call, &request, KIVI_VERB_GET_VERSIONED, value, version, error);
}

kivi_status via_exists(kivi_store *store, const kivi_call *call, kivi_slice key, bool *exists,
                       kivi_error **error)
{
    kivi_request request = {.key = key};
    if (directly(store, call) || !exists)
        return kivi_store_exists(store, call, key, exists, error);
    *exists = false;
    return ask_number(store, call, &request, KIVI_VERB_EXISTS, NULL, exists, error);
}

kivi_status via_ttl(kivi_store *store, const kivi_call *call, kivi_slice key, int64_t *ttl_ms,
                    kivi_error **error)
{
    kivi_request request = {.key = key};
    if (directly(store, call) || !ttl_ms)
        return kivi_store_ttl(store, call, key, ttl_ms, error);
    return ask_number(store, call, &request, KIVI_VERB_TTL, ttl_ms, NULL, error);
}

kivi_status via_take(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_buffer *value,
                     kivi_error **error)
{
    kivi_request request = {.key = key};
    if (directly(store, call) || !value)
        return kivi_store_take(store, call, key, value, error);
    return ask_value(store, call, &request, KIVI_VERB_TAKE, value, NULL, error);
}

kivi_status via_get_and_expire(kivi_store *store, const kivi_call *call, kivi_slice key,
                               int64_t ttl_ms, kivi_buffer *value, kivi_error **error)
{
    kivi_request request = {.key = key, .ttl_ms = ttl_ms};
    if (directly(store, call) || !value)
        return kivi_store_get_and_expire(store, call, key, ttl_ms, value, error);
    return ask_value(store, call, &request, KIVI_VERB_GET_AND_EXPIRE, value, NULL, error);
}

kivi_status via_set(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_slice value,
                    int64_t ttl_ms, kivi_error **error)
{
    kivi_request request = {.key = key, .value = value, .ttl_ms = ttl_ms};
    if (directly(store, call))
        return kivi_store_set(store, call, key, value, ttl_ms, error);
    return ask_number(store, call, &request, KIVI_VERB_SET, NULL, NULL, error);
}

kivi_status via_add(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_slice value,
                    int64_t ttl_ms, kivi_error **error)
{
    kivi_request request = {.key = key, .value = value, .ttl_ms = ttl_ms};
    if (directly(store, call))
        return kivi_store_add(store, call, key, value, ttl_ms, error);
    return ask_number(store, call, &request, KIVI_VERB_ADD, NULL, NULL, error);
}

kivi_status via_replace(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_slice value,
                        int64_t ttl_ms, kivi_error **error)
{
    kivi_request request = {.key = key, .value = value, .ttl_ms = ttl_ms};
    if (directly(store, call))
        return kivi_store_replace(store, call, key, value, ttl_ms, error);
    return ask_number(store, call, &request, KIVI_VERB_REPLACE, NULL, NULL, error);
}

kivi_status via_delete(kivi_store *store, const kivi_call *call, kivi_slice key, bool *existed,
                       kivi_error **error)
{
    kivi_request request = {.key = key, .flags = existed ? KIVI_OP_WANT_EXISTED : 0};
    if (directly(store, call))
        return kivi_store_delete(store, call, key, existed, error);
    return ask_number(store, call, &request, KIVI_VERB_DELETE, NULL, existed, error);
}

kivi_status via_compare_and_set(kivi_store *store, const kivi_call *call, kivi_slice key,
                                kivi_slice expected, kivi_slice value, int64_t ttl_ms, kivi_error **error)
{
    kivi_request request = {.key = key, .value = value, .expected = expected, .ttl_ms = ttl_ms};
    if (directly(store, call))
        return kivi_store_compare_and_set(store, call, key, expected, value, ttl_ms, error);
    return ask_number(store, call, &request, KIVI_VERB_COMPARE_AND_SET, NULL, NULL, error);
}

kivi_status via_compare_and_delete(kivi_store *store, const kivi_call *call, kivi_slice key,
                                   kivi_slice expected, kivi_error **error)
{
    kivi_request request = {.key = key, .expected = expected};
    if (directly(store, call))
        return kivi_store_compare_and_delete(store, call, key, expected, error);
    return ask_number(store, call, &request, KIVI_VERB_COMPARE_AND_DELETE, NULL, NULL, error);
}

kivi_status via_increment(kivi_store *store, const kivi_call *call, kivi_slice key, int64_t by,
                          int64_t ttl_ms, int64_t *value, kivi_error **error)
{
    kivi_request request = {.key = key, .by = by, .ttl_ms = ttl_ms};
    if (directly(store, call))
        return kivi_store_increment(store, call, key, by, ttl_ms, value, error);
    return ask_number(store, call, &request, KIVI_VERB_INCREMENT, value, NULL, error);
}

kivi_status via_expire(kivi_store *store, const kivi_call *call, kivi_slice key, int64_t ttl_ms,
                       kivi_error **error)
{
    kivi_request request = {.key = key, .ttl_ms = ttl_ms};
    if (directly(store, call))
        return kivi_store_expire(store, call, key, ttl_ms, error);
    return ask_number(store, call, &request, KIVI_VERB_EXPIRE, NULL, NULL, error);
}

kivi_status via_persist(kivi_store *store, const kivi_call *call, kivi_slice key, kivi_error **error)
{
    kivi_request request = {.key = key};
    if (directly(store, call))
        return kivi_store_persist(store, call, key, error);
    return ask_number(store, call, &request, KIVI_VERB_PERSIST, NULL, NULL, error);
}

/* ---- many keys ---- */

kivi_status via_get_many(kivi_store *store, const kivi_call *call, const kivi_slice *keys,
                         size_t count, kivi_result **result, kivi_error **error)
{
    kivi_request request = {.keys = keys, .count = count};
    if (directly(store, call))
        return kivi_store_get_many(store, call, keys, count, result, error);
    return ask_result(store, call, &request, KIVI_VERB_GET_MANY, NULL, result, error);
}

kivi_status via_set_many(kivi_store *store, const kivi_call *call, const kivi_slice *keys,
                         const kivi_slice *values, size_t count, int64_t ttl_ms,
                         kivi_result **result, kivi_error **error)
{
    kivi_request request = {.keys = keys, .values = values, .count = count, .ttl_ms = ttl_ms};
    if (directly(store, call))
        return kivi_store_set_many(store, call, keys, values, count, ttl_ms, result, error);
    return ask_result(store, call, &request, KIVI_VERB_SET_MANY, NULL, result, error);
}

kivi_status via_delete_many(kivi_store *store, const kivi_call *call, const kivi_slice *keys,
                            size_t count, uint64_t *existed, kivi_result **result, kivi_error **error)
{
    kivi_request request = {.keys = keys, .count = count, .flags = existed ? KIVI_OP_WANT_EXISTED : 0};
    if (directly(store, call))
        return kivi_store_delete_many(store, call, keys, count, existed, result, error);
    return ask_result(store, call, &request, KIVI_VERB_DELETE_MANY, existed, result, error);
}

kivi_status via_apply(kivi_store *store, const kivi_call *call, const kivi_op *ops, size_t count,
                      uint32_t flags, kivi_result **result, kivi_error **error)
{
    kivi_request request = {.ops = ops, .count = count, .flags = flags};
    if (directly(store, call))
        return kivi_store_apply(store, call, ops, count, flags, result, error);
    return ask_result(store, call, &request, KIVI_VERB_APPLY, NULL, result, error);
}

/* ---- prefixes ---- */

kivi_status via_page(kivi_store *store, const kivi_call *call, const kivi_range *range,
                     kivi_page **page, kivi_error **error)
{
    kivi_completion end;
    kivi_request request = {.range = range};
    if (directly(store, call) || !page)
        return kivi_store_page(store, call, range, page, error);
    kivi_status status = ask(store, call, &request, KIVI_VERB_PAGE, &end, error);
    *page = end.page;
    end.page = NULL;
    kivi_completion_release(&end);
    return status;
}

kivi_status via_count(kivi_store *store, const kivi_call *call, kivi_slice prefix, uint64_t *count,
                      kivi_error **error)
{
    kivi_request request = {.key = prefix};
    if (directly(store, call))
        return kivi_store_count(store, call, prefix, count, error);
    return ask_result(store, call, &request, KIVI_VERB_COUNT, count, NULL, error);
}

kivi_status via_clear(kivi_store *store, const kivi_call *call, kivi_slice prefix, uint32_t flags,
                      uint64_t *cleared, kivi_error **error)
{
    kivi_request request = {.key = prefix, .flags = flags};
    if (directly(store, call))
        return kivi_store_clear(store, call, prefix, flags, cleared, error);
    return ask_result(store, call, &request, KIVI_VERB_CLEAR, cleared, NULL, error);
}
