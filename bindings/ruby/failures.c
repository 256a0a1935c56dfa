/* Failures of reading: which key each is about, and several of one call. */
#include "kvr.h"

/* ---- naming the key ---- */

static bool is_ours(VALUE exception)
{
    return RTEST(rb_obj_is_kind_of(exception, kvr.Error));
}

/* The same exception with the key before its message. */
static VALUE named(VALUE exception, kivi_slice key)
{
    char text[KVB_KEY_PREFIX];
    VALUE message = rb_utf8_str_new_cstr(kvb_key_prefix(key, text));
    rb_str_append(message, rb_funcall(exception, rb_intern("message"), 0));
    return rb_funcall(exception, rb_intern("exception"), 1, message);
}

/* What a hook raised is no Kivi::Error, and says where it was raised all the same. */
static bool takes_members(VALUE exception)
{
    if (OBJ_FROZEN(exception))
        return false;
    if (!is_ours(exception))
        rb_extend_object(exception, kvr.About);
    return true;
}

VALUE kvr_name_key(VALUE exception, VALUE key, kivi_slice bytes, bool in_message)
{
    if (!takes_members(exception) || !NIL_P(rb_ivar_get(exception, kvr.key)))
        return exception; /* named already, by a call inside this one */
    if (in_message && is_ours(exception))
        exception = named(exception, bytes);
    rb_ivar_set(exception, kvr.key, key);
    return exception;
}

/* What was caught if it is a failure, no interrupt and no jump; else nil. */
static VALUE caught(void)
{
    VALUE raised = rb_errinfo();
    if (!RB_TYPE_P(raised, T_OBJECT) || !RTEST(rb_obj_is_kind_of(raised, rb_eStandardError)))
        return Qnil;
    return raised;
}

static VALUE name_raised(VALUE given)
{
    const kivi_slice *key = (const kivi_slice *)given;
    VALUE raised = caught();
    if (!NIL_P(raised))
        rb_set_errinfo(kvr_name_key(raised, kvr_key_out(*key), *key, true));
    return Qnil;
}

int kvr_name_caught(int state, kivi_slice key)
{
    int worse = 0;
    rb_protect(name_raised, (VALUE)&key, &worse);
    return worse ? worse : state;
}

/* ---- reading ---- */

typedef struct reading {
    const kvr_config *config;
    kivi_reader *reader;
    kivi_slice value;
} reading;

static VALUE decode(VALUE given)
{
    const reading *what = (const reading *)given;
    return kvr_decode(what->config, what->reader, what->value);
}

VALUE kvr_read(const kvr_config *config, kivi_reader *reader, kivi_slice value, kivi_slice key)
{
    reading what = {config, reader, value};
    int state = 0;
    VALUE object = rb_protect(decode, (VALUE)&what, &state);
    if (state)
        rb_jump_tag(kvr_name_caught(state, key));
    return object;
}

bool kvr_read_one(const kvr_config *config, kivi_reader *reader, kivi_slice value, kivi_slice key,
                  size_t index, VALUE *failures, VALUE *object)
{
    reading what = {config, reader, value};
    int state = 0;
    *object = rb_protect(decode, (VALUE)&what, &state);
    if (!state)
        return true;
    state = kvr_name_caught(state, key);
    VALUE raised = caught();
    if (NIL_P(raised))
        rb_jump_tag(state);
    rb_set_errinfo(Qnil);
    kvr_add_failure(failures, index, raised);
    return false;
}

/* ---- several ---- */

void kvr_add_failure(VALUE *failures, size_t index, VALUE exception)
{
    if (NIL_P(*failures))
        *failures = rb_hash_new();
    rb_hash_aset(*failures, SIZET2NUM(index), exception);
}

VALUE kvr_failures_exception(VALUE failures)
{
    VALUE first = rb_ary_entry(rb_funcall(failures, rb_intern("values"), 0), 0);
    VALUE whole = rb_funcall(first, rb_intern("exception"), 1,
                             rb_funcall(first, rb_intern("message"), 0));
    if (takes_members(whole))
        rb_ivar_set(whole, kvr.failures, failures);
    return whole;
}

typedef struct item {
    size_t index;
    kivi_slice key;
} item;

static VALUE name_item(VALUE given)
{
    const item *what = (const item *)given;
    VALUE raised = caught(), failures = Qnil;
    if (NIL_P(raised) || !is_ours(raised))
        return Qnil;
    if (what->key.data)
        raised = kvr_name_key(raised, kvr_key_out(what->key), what->key, true);
    kvr_add_failure(&failures, what->index, raised);
    rb_set_errinfo(kvr_failures_exception(failures));
    return Qnil;
}

int kvr_name_item(int state, size_t index, kivi_slice key)
{
    item what = {index, key};
    int worse = 0;
    rb_protect(name_item, (VALUE)&what, &worse);
    return worse ? worse : state;
}

VALUE kvr_item_exception(const kvb_answer *answer, size_t index)
{
    const kivi_result *result = answer->done.result;
    kivi_status status = result ? kivi_result_status(result, index) : answer->done.status;
    VALUE exception = kvr_exception(status,
                                    result ? kivi_result_error(result, index) : answer->done.error);
    kivi_slice key = kvb_answer_item_key(answer, index);
    return key.data ? kvr_name_key(exception, kvr_key_out(key), key, kvb_is_about_key(answer, status))
                    : exception;
}

/* ---- get_many ---- */

static void read_item(kvb_answer *answer, VALUE found, VALUE *failures, size_t index)
{
    const kivi_result *result = answer->done.result;
    kivi_status status = kivi_result_status(result, index);
    VALUE value;
    if (status == KIVI_NOT_FOUND)
        return;
    if (status)
        kvr_add_failure(failures, index, kvr_item_exception(answer, index));
    else if (kvr_read_one(kvr_config_of(answer->store), kvb_answer_reader(answer),
                          kivi_result_value(result, index), kvb_answer_item_key(answer, index),
                          index, failures, &value))
        rb_hash_aset(found, rb_ary_entry((VALUE)answer->missing, (long)index), value);
}

VALUE kvr_found_out(kvb_answer *answer)
{
    VALUE found = rb_hash_new(), failures = Qnil, exception;
    for (size_t i = 0; i < kivi_result_count(answer->done.result); i++)
        read_item(answer, found, &failures, i);
    if (NIL_P(failures))
        return found;
    exception = kvr_failures_exception(failures);
    if (!OBJ_FROZEN(exception))
        rb_ivar_set(exception, kvr.results, found);
    rb_exc_raise(exception);
}
