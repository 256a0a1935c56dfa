/* Failures as exceptions: one class a status. */
#include <stdarg.h>

#include "kvr.h"

static VALUE retryable_word(kivi_retryable retryable)
{
    static const char *const words[] = {"no", "yes", "if_idempotent", "later"};
    size_t index = (size_t)retryable;
    return ID2SYM(rb_intern(index < sizeof(words) / sizeof(*words) ? words[index] : "no"));
}

static VALUE class_of(kivi_status status)
{
    return rb_const_get(kvr.kivi, rb_intern(kvb_error_name(status)));
}

VALUE kvr_exception(kivi_status status, const kivi_error *error)
{
    char text[KVB_MESSAGE];
    VALUE message = rb_utf8_str_new_cstr(error ? kvb_message(kivi_error_message(error), "Kivi", text)
                                               : kivi_status_name(status));
    VALUE whole = rb_str_scrub(message, Qnil);
    VALUE exception = rb_exc_new_str(class_of(status), NIL_P(whole) ? message : whole);
    if (!error)
        return exception;
    rb_ivar_set(exception, kvr.backend, rb_utf8_str_new_cstr(kivi_error_backend(error)));
    rb_ivar_set(exception, kvr.native_code, LL2NUM(kivi_error_native_code(error)));
    rb_ivar_set(exception, kvr.native_text, rb_utf8_str_new_cstr(kivi_error_native_text(error)));
    rb_ivar_set(exception, kvr.retryable, retryable_word(kivi_error_retryable(error)));
    return exception;
}

typedef struct failure {
    kivi_status status;
    kivi_error *error;
} failure;

static VALUE make(VALUE given)
{
    const failure *what = (const failure *)given;
    return kvr_exception(what->status, what->error);
}

void kvr_raise(kivi_status status, kivi_error *error)
{
    failure what = {status, error};
    int state;
    VALUE exception = rb_protect(make, (VALUE)&what, &state);
    kivi_error_free(error);
    if (state)
        rb_jump_tag(state);
    rb_exc_raise(exception);
}

void kvr_raise_text(kivi_status status, const char *format, ...)
{
    va_list arguments;
    VALUE message;
    va_start(arguments, format);
    message = rb_vsprintf(format, arguments);
    va_end(arguments);
    rb_exc_raise(rb_exc_new_str(class_of(status), message));
}

void kvr_raise_missing(VALUE key)
{
    rb_exc_raise(rb_funcall(class_of(KIVI_NOT_FOUND), kvr.of, 1, key));
}
