/* Answers of calls as Ruby objects. All of it runs under rb_protect(), begun by kvr_answer_out(). */
#include "kvr.h"

static VALUE read_value(kvb_answer *answer, kivi_slice bytes)
{
    return kvr_read(kvr_config_of(answer->store), kvb_answer_reader(answer), bytes, answer->request.key);
}

static VALUE missing_of(const kvb_answer *answer)
{
    return answer->missing ? (VALUE)answer->missing : Qnil;
}

static VALUE value_out(kvb_answer *answer)
{
    if (answer->done.status == KIVI_NOT_FOUND)
        return missing_of(answer);
    return answer->in_place ? (VALUE)answer->object : read_value(answer, answer->done.value);
}

static VALUE versioned_out(kvb_answer *answer)
{
    if (answer->done.status == KIVI_NOT_FOUND)
        return rb_assoc_new(missing_of(answer), Qnil);
    return rb_assoc_new(read_value(answer, answer->done.value), kvr_bytes_out(answer->done.version));
}

static VALUE seconds_out(const kvb_answer *answer)
{
    return answer->done.integer == KIVI_TTL_NONE ? Qnil : DBL2NUM((double)answer->done.integer / 1000.0);
}

static VALUE result_out(const kvb_answer *answer, size_t index)
{
    const kivi_result *result = answer->done.result;
    kivi_status status = kivi_result_status(result, index);
    VALUE fields[4];
    fields[0] = rb_utf8_str_new_cstr(kivi_status_name(status));
    fields[1] = kivi_result_existed(result, index) ? Qtrue : Qfalse;
    fields[2] = LL2NUM(kivi_result_integer(result, index));
    fields[3] = kivi_result_error(result, index) ? kvr_item_exception(answer, index) : Qnil;
    return rb_class_new_instance(4, fields, kvr.Result);
}

static VALUE results_out(const kvb_answer *answer)
{
    VALUE list = rb_ary_new();
    for (size_t i = 0; i < kivi_result_count(answer->done.result); i++)
        rb_ary_push(list, result_out(answer, i));
    return list;
}

/* A map that is msgpack whatever the store's codec. */
static VALUE read_map(VALUE given)
{
    static const kvr_config plain = {Qnil, Qnil, Qnil, false, true};
    void **both = (void **)given;
    return kvr_decode(&plain, both[0], ((const kvb_answer *)both[1])->done.value);
}

static VALUE map_out(kvb_answer *answer)
{
    kivi_reader *reader = NULL;
    void *both[2];
    int state;
    VALUE map;
    if (kivi_reader_new("msgpack", NULL, &reader, NULL))
        rb_memerror();
    both[0] = reader;
    both[1] = answer;
    map = rb_protect(read_map, (VALUE)both, &state);
    kivi_reader_free(reader);
    if (state)
        rb_jump_tag(state);
    return map;
}

VALUE kvr_copied_out(const kivi_copy_progress *progress, kivi_slice cursor)
{
    VALUE fields[5];
    fields[0] = ULL2NUM(progress->copied);
    fields[1] = ULL2NUM(progress->skipped);
    fields[2] = ULL2NUM(progress->bytes);
    fields[3] = DBL2NUM((double)progress->elapsed_ns / 1e9);
    fields[4] = cursor.size ? kvr_bytes_out(cursor) : Qnil;
    return rb_class_new_instance(5, fields, kvr.Copied);
}

static VALUE copied_out(const kvb_answer *answer)
{
    return kvr_copied_out(&answer->progress, kivi_buffer_slice(&answer->version));
}

static VALUE success_out(kvb_answer *answer)
{
    switch (kvb_answer_shape(answer)) {
    case KVB_TRUTH:
        return kvb_answer_truth(answer) ? Qtrue : Qfalse;
    case KVB_INTEGER:
        return LL2NUM(answer->done.integer);
    case KVB_VALUE:
        return value_out(answer);
    case KVB_VERSIONED:
        return versioned_out(answer);
    case KVB_SECONDS:
        return seconds_out(answer);
    case KVB_FOUND:
        return kvr_found_out(answer);
    case KVB_RESULTS:
        return results_out(answer);
    case KVB_PAGE:
        return kvr_page_out(answer);
    case KVB_MAP:
        return map_out(answer);
    case KVB_COPIED:
        return copied_out(answer);
    default:
        return answer->in_place ? (VALUE)answer->object : Qnil;
    }
}

/* ---- failures ---- */

/* The errors of a batch's items, by position; of one that was refused whole, that of the item it was refused for. */
static VALUE failures_out(const kvb_answer *answer)
{
    const kivi_completion *done = &answer->done;
    VALUE failures = Qnil;
    for (size_t i = 0; i < kivi_result_count(done->result); i++)
        if (kivi_result_error(done->result, i))
            kvr_add_failure(&failures, i, kvr_item_exception(answer, i));
    if (!done->result && kivi_error_index(done->error) != SIZE_MAX)
        kvr_add_failure(&failures, kivi_error_index(done->error),
                        kvr_item_exception(answer, kivi_error_index(done->error)));
    return failures;
}

static VALUE exception_of(const kvb_answer *answer)
{
    VALUE exception = kvr_exception(answer->done.status, answer->done.error);
    kivi_slice key = kvb_answer_key(answer);
    if (!key.data)
        return exception;
    return kvr_name_key(exception, kvr_key_out(key), key, kvb_is_about_key(answer, answer->done.status));
}

NORETURN(static void failure_out(kvb_answer *answer));
static void failure_out(kvb_answer *answer)
{
    VALUE exception;
    if (!answer->store)
        rb_memerror();
    if (answer->done.status == KIVI_NOT_FOUND)
        kvr_raise_missing(kvr_key_out(answer->request.key));
    exception = exception_of(answer);
    if (answer->done.result && answer->request.verb == KIVI_VERB_APPLY)
        rb_ivar_set(exception, kvr.results, results_out(answer));
    rb_ivar_set(exception, kvr.failures, failures_out(answer));
    if (answer->request.verb == KVB_VERB_COPY)
        rb_ivar_set(exception, kvr.copied, copied_out(answer));
    rb_exc_raise(exception);
}

static VALUE convert(VALUE given)
{
    kvb_answer *answer = (kvb_answer *)given;
    if (answer->request.verb == KIVI_VERB_GET_MANY && answer->done.result)
        return kvr_found_out(answer); /* also where some of the keys failed */
    if (answer->failure && answer->done.status == KIVI_ABORTED)
        rb_exc_raise((VALUE)answer->failure); /* of the computation that it waited for */
    if (kvb_answer_failed(answer))
        failure_out(answer);
    return success_out(answer);
}

typedef struct pending {
    kvb_answer *answer;
    const kvr_frame *frame;
} pending;

static VALUE wait_pending(VALUE given)
{
    const pending *what = (const pending *)given;
    kvr_pending_wait(what->answer, what->frame);
    return Qnil;
}

/* Waits for a step of a call. False: something was raised meanwhile, and the queue gives the answer back. */
static bool settle(kvb_answer *answer, kvr_frame *frame)
{
    pending what = {answer, frame};
    if (!answer->pending) {
        if (!answer->in_place && answer->object)
            frame->state = (int)(intptr_t)answer->object;
        return true;
    }
    rb_protect(wait_pending, (VALUE)&what, &frame->state);
    return !frame->state;
}

static VALUE attach_stored(VALUE given)
{
    VALUE exception = rb_errinfo();
    rb_ivar_set(exception, kvr.stored, kvr_bytes_out(((const kvb_answer *)given)->done.value));
    return Qnil;
}

/* What cannot be read stays in the store, and its bytes are in the exception: to repair it, or to delete the key. */
static void keep_stored(kvb_answer *answer)
{
    VALUE exception = rb_errinfo();
    int ignored;
    if (!rb_obj_is_kind_of(exception, rb_eException))
        return;
    rb_protect(attach_stored, (VALUE)answer, &ignored);
    rb_set_errinfo(exception); /* also where it is frozen */
}

VALUE kvr_answer_out(kvb_answer *answer, kvr_frame *frame)
{
    kvb_store *store = answer->store; /* the caller's object holds it */
    VALUE object = Qnil;
    while (true) {
        if (!settle(answer, frame))
            return Qnil;
        if (!frame->state && !kvb_answer_is_confirmed(answer))
            object = rb_protect(convert, (VALUE)answer, &frame->state);
        if (frame->state || !kvb_answer_is_unconfirmed(answer))
            break;
        answer->store->queue = frame->queue;
        kvb_answer_confirm(answer);
        answer->store->queue = NULL;
    }
    if (frame->state && kvb_answer_is_unconfirmed(answer))
        keep_stored(answer);
    if (answer->failure)
        kvr_let_go(answer);
    kvb_answer_give(answer);
    if (store && store->events)
        kvr_tell(store, &frame->state);
    return object;
}
