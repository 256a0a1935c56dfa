/* Calls of a language: made at once or submitted, and what their answers hold. */
#include "bindings.h"

#include <stdlib.h>

/* Handed out when there is no memory for another: only ever read. */
static kvb_answer *no_memory(void)
{
    static kvb_answer answer = {.done = {.status = KIVI_NO_MEMORY}};
    return &answer;
}

static kvb_answer *answer_take(kvb_store *store)
{
    kvb_answer *answer = store->answers;
    if (answer)
        store->answers = answer->next;
    else
        answer = calloc(1, sizeof(*answer));
    if (!answer)
        return NULL;
    answer->store = kvb_store_ref(store);
    answer->done = (kivi_completion)KIVI_COMPLETION_INIT;
    return answer;
}

void kvb_answer_give(kvb_answer *answer)
{
    kvb_store *store = answer ? answer->store : NULL;
    if (!store)
        return;
    kivi_completion_release(&answer->done);
    kivi_completion_release(&answer->read);
    kvb_buffer_keep(&answer->value);
    kvb_store_unref(answer->target);
    free(answer->held);
    *answer = (kvb_answer){.value = answer->value,
                           .version = answer->version,
                           .reader = answer->reader,
                           .next = store->answers};
    store->answers = answer;
    kvb_store_unref(store);
}

kivi_reader *kvb_answer_reader(kvb_answer *answer)
{
    if (!answer->reader)
        answer->reader = kvb_reader_new(answer->store);
    return answer->reader;
}

/* ---- making calls ---- */

static kvb_answer *make(kvb_answer *answer)
{
    kvb_answer_make(answer);
    if (!answer->pending)
        kvb_take_arrived(answer);
    return answer;
}

kvb_answer *kvb_call_with(kvb_store *store, int64_t timeout_ms, const kivi_request *request,
                          void *missing, void *function)
{
    kvb_answer *answer = answer_take(store);
    if (!answer)
        return no_memory();
    answer->request = *request;
    answer->request.struct_size = sizeof(answer->request);
    answer->timeout_ms = timeout_ms;
    if (request->range) { /* may be gone when the method of kivi.i returns, where a call is held for its turn */
        answer->range = *request->range;
        answer->request.range = &answer->range;
        answer->scan_flags = request->range->flags;
    }
    answer->missing = missing;
    answer->function = function;
    kvb_take_prepare(answer);
    kvb_share_begin(answer);
    make(answer);
    kvb_share_end(answer);
    return answer;
}

kvb_answer *kvb_call(kvb_store *store, int64_t timeout_ms, const kivi_request *request)
{
    return kvb_call_with(store, timeout_ms, request, NULL, NULL);
}

kvb_answer *kvb_copy(kvb_store *source, kvb_store *target, int64_t timeout_ms,
                     const kivi_copy_options *options, void *function)
{
    kvb_answer *answer = answer_take(source);
    if (!answer)
        return no_memory();
    answer->request.verb = KVB_VERB_COPY;
    answer->timeout_ms = timeout_ms;
    answer->target = kvb_store_ref(target);
    answer->copy = *options;
    answer->function = function;
    return make(answer);
}

/* ---- carrying them out ---- */

static kivi_status update(const kivi_slice *current, kivi_buffer *next, kivi_update_action *action,
                          void *user)
{
    return kvb_host_compute(user, current, next, action);
}

static kivi_status compute(kivi_buffer *value, void *user)
{
    kivi_update_action action = KIVI_UPDATE_SET;
    kivi_status status = kvb_host_compute(user, NULL, value, &action);
    return !status && action != KIVI_UPDATE_SET ? KIVI_NOT_FOUND : status; /* nothing is to be stored */
}

static int progress(const kivi_copy_progress *so_far, void *user)
{
    kvb_answer *answer = user;
    return answer->function ? kvb_host_progress(answer, so_far) : 0;
}

static kivi_status copy(kvb_answer *answer, const kivi_call *call)
{
    answer->copy.progress = progress;
    answer->copy.user = answer;
    answer->progress.struct_size = sizeof(answer->progress);
    return kivi_store_copy(answer->store->store, answer->target->store, call, &answer->copy,
                           &answer->progress, &answer->version, &answer->done.error);
}

void kvb_perform(kvb_answer *answer, const kivi_call *call)
{
    kivi_store *store = answer->store->store;
    const kivi_request *ask = &answer->request;
    kivi_completion *done = &answer->done;
    switch (ask->verb) {
    case KVB_VERB_UPDATE:
        done->status = kivi_store_update(store, call, ask->key, ask->ttl_ms, update, answer, &done->error);
        break;
    case KVB_VERB_GET_OR_SET:
        done->status = kivi_store_get_or_set_leased(store, call, ask->key, ask->ttl_ms, ask->by,
                                                    compute, answer, &answer->value, &done->error);
        done->value = kivi_buffer_slice(&answer->value);
        break;
    case KVB_VERB_COPY:
        done->status = copy(answer, call);
        break;
    default:
        kivi_store_perform(store, call, ask, &answer->value, &answer->version, done);
    }
}

/* ---- what they hold ---- */

kvb_shape kvb_answer_shape(const kvb_answer *answer)
{
    bool asked = answer->request.flags & KIVI_OP_WANT_EXISTED;
    switch (answer->request.verb) {
    case KIVI_VERB_GET:
    case KIVI_VERB_TAKE:
    case KIVI_VERB_GET_AND_EXPIRE:
    case KIVI_VERB_TAKE_BEGIN:
    case KIVI_VERB_TAKE_END:
    case KIVI_VERB_GET_AND_EXPIRE_BEGIN:
    case KIVI_VERB_GET_AND_EXPIRE_END:
    case KVB_VERB_GET_OR_SET:
        return KVB_VALUE;
    case KIVI_VERB_GET_VERSIONED:
        return KVB_VERSIONED;
    case KIVI_VERB_TTL:
        return KVB_SECONDS;
    case KIVI_VERB_DELETE:
        return asked ? KVB_TRUTH : KVB_NOTHING;
    case KIVI_VERB_DELETE_MANY:
        return asked ? KVB_INTEGER : KVB_NOTHING;
    case KIVI_VERB_EXISTS:
    case KIVI_VERB_ADD:
    case KIVI_VERB_REPLACE:
    case KIVI_VERB_COMPARE_AND_SET:
    case KIVI_VERB_COMPARE_AND_DELETE:
    case KIVI_VERB_EXPIRE:
    case KIVI_VERB_PERSIST:
        return KVB_TRUTH;
    case KIVI_VERB_INCREMENT:
    case KIVI_VERB_COUNT:
    case KIVI_VERB_CLEAR:
        return KVB_INTEGER;
    case KIVI_VERB_GET_MANY:
        return KVB_FOUND;
    case KIVI_VERB_APPLY:
        return KVB_RESULTS;
    case KIVI_VERB_PAGE:
        return KVB_PAGE;
    case KIVI_VERB_DESCRIBE:
        return KVB_MAP;
    case KVB_VERB_COPY:
        return KVB_COPIED;
    default:
        return KVB_NOTHING;
    }
}

bool kvb_answer_truth(const kvb_answer *answer)
{
    int32_t verb = answer->request.verb;
    if (verb == KIVI_VERB_EXISTS || verb == KIVI_VERB_DELETE)
        return answer->done.truth;
    return answer->done.status == KIVI_OK;
}

bool kvb_answer_failed(const kvb_answer *answer)
{
    kvb_shape shape;
    if (answer->done.status == KIVI_OK)
        return false;
    if (kivi_status_class(answer->done.status) != KIVI_CLASS_ANSWER)
        return true;
    shape = kvb_answer_shape(answer);
    if (answer->done.status == KIVI_CONDITION)
        return shape != KVB_TRUTH && shape != KVB_RESULTS;
    return shape != KVB_TRUTH && shape != KVB_VALUE && shape != KVB_VERSIONED;
}

/* ---- which key a failure is about ---- */

static bool has_one_key(const kvb_answer *answer)
{
    int32_t verb = answer->request.verb;
    return verb <= KIVI_VERB_PERSIST || (verb >= KIVI_VERB_TAKE_BEGIN && verb != KVB_VERB_COPY);
}

kivi_slice kvb_answer_item_key(const kvb_answer *answer, size_t index)
{
    const kivi_request *ask = &answer->request;
    if (index < ask->count && ask->keys)
        return ask->keys[index];
    if (index < ask->count && ask->ops)
        return ask->ops[index].key;
    return kivi_bytes(NULL, 0);
}

kivi_slice kvb_answer_key(const kvb_answer *answer)
{
    if (has_one_key(answer))
        return answer->request.key;
    return kvb_answer_item_key(answer, kivi_error_index(answer->done.error));
}

bool kvb_is_about_key(const kvb_answer *answer, kivi_status status)
{
    if (status == KIVI_WRONG_TYPE || status == KIVI_OVERFLOW || status == KIVI_CORRUPT ||
        status == KIVI_UNREPRESENTABLE)
        return true;
    return !has_one_key(answer) && (status == KIVI_TOO_LARGE || status == KIVI_INVALID);
}
