/* Arguments of calls: keys, times, numbers, values. */
#include <math.h>

#include "kvr.h"

/* ---- keys ---- */

static VALUE key_string(VALUE object)
{
    if (RB_TYPE_P(object, T_STRING))
        return object;
    if (RB_TYPE_P(object, T_SYMBOL))
        return rb_sym2str(object);
    rb_raise(rb_eTypeError, "a key is a String or Symbol, not %" PRIsVALUE, rb_obj_class(object));
}

kivi_slice kvr_key_bytes(VALUE object, VALUE *string)
{
    *string = key_string(object);
    return kivi_bytes(RSTRING_PTR(*string), (size_t)RSTRING_LEN(*string));
}

/* The bytes stay whatever another thread does to the string. */
static kivi_slice hold(VALUE string, kvr_frame *frame)
{
    VALUE held = rb_str_new_frozen(string);
    frame->held[frame->held_count++] = held;
    return kivi_bytes(RSTRING_PTR(held), (size_t)RSTRING_LEN(held));
}

kivi_slice kvr_key_in(VALUE object, kvr_frame *frame)
{
    VALUE string;
    kivi_slice bytes = kvr_key_bytes(object, &string);
    if (bytes.size > sizeof(frame->key))
        return frame->about = hold(string, frame);
    memcpy(frame->key, bytes.data, bytes.size);
    return frame->about = kivi_bytes(frame->key, bytes.size);
}

kivi_slice kvr_prefix_in(VALUE object, kvr_frame *frame)
{
    return NIL_P(object) ? kivi_bytes(NULL, 0) : hold(key_string(object), frame);
}

/* ---- numbers ---- */

bool kvr_is_number(VALUE object)
{
    return RTEST(rb_obj_is_kind_of(object, rb_cNumeric)) ||
           rb_respond_to(object, rb_intern("divmod"));
}

double kvr_number_in(VALUE object)
{
    return NUM2DBL(RTEST(rb_obj_is_kind_of(object, rb_cNumeric))
                       ? object
                       : rb_funcall(object, rb_intern("to_f"), 0));
}

static int64_t milliseconds_in(VALUE object, const char *what)
{
    int64_t ms;
    if (!kvr_is_number(object))
        rb_raise(rb_eTypeError, "%s is a number of seconds, not %" PRIsVALUE, what, rb_obj_class(object));
    if (!kvb_milliseconds(kvr_number_in(object), &ms))
        kvr_raise_text(KIVI_INVALID, "%s must be above 0 seconds and at most 100 years", what);
    return ms;
}

static bool is_keep(VALUE object)
{
    return object == kvr.KEEP || (RB_TYPE_P(object, T_STRING) && RSTRING_LEN(object) == 4 &&
                                  memcmp(RSTRING_PTR(object), "keep", 4) == 0);
}

int64_t kvr_ttl_in(VALUE object)
{
    if (NIL_P(object))
        return KIVI_TTL_NONE;
    return is_keep(object) ? KIVI_TTL_KEEP : milliseconds_in(object, "ttl");
}

int64_t kvr_timeout_in(VALUE object)
{
    return NIL_P(object) ? 0 : milliseconds_in(object, "timeout");
}

int64_t kvr_integer_in(VALUE object)
{
    if (!RB_INTEGER_TYPE_P(object))
        rb_raise(rb_eTypeError, "an Integer is needed, not %" PRIsVALUE, rb_obj_class(object));
    if (RB_TYPE_P(object, T_BIGNUM) && rb_absint_size(object, NULL) > 8)
        kvr_raise_text(KIVI_INVALID, "the Integer is beyond 64 bits");
    return NUM2LL(object);
}

uint64_t kvr_size_in(VALUE object)
{
    if (NIL_P(object))
        return 0;
    if (!RB_INTEGER_TYPE_P(object))
        rb_raise(rb_eTypeError, "an Integer is needed, not %" PRIsVALUE, rb_obj_class(object));
    if (FIXNUM_P(object) && FIX2LONG(object) < 0)
        kvr_raise_text(KIVI_INVALID, "a number from 0 is needed, not %" PRIsVALUE, object);
    return NUM2ULL(object);
}

/* ---- values ---- */

typedef struct writing {
    const kvr_config *config;
    kivi_writer *writer;
    VALUE object;
} writing;

static VALUE write_value(VALUE given)
{
    writing *what = (writing *)given;
    kvr_encode(what->config, what->writer, what->object);
    return Qnil;
}

kvb_encoder *kvr_value_in(kvb_store *store, VALUE object, kvr_frame *frame)
{
    kvb_encoder *encoder = kvb_encoder_take(store);
    writing what = {kvr_config_of(store), encoder ? encoder->writer : NULL, object};
    int state = 0;
    if (encoder)
        rb_protect(write_value, (VALUE)&what, &state);
    if (encoder && !state) {
        frame->earlier = encoder;
        return encoder;
    }
    kvb_encoder_give(store, encoder);
    kvb_encoder_give(store, frame->earlier);
    if (state)
        rb_jump_tag(frame->about.data ? kvr_name_caught(state, frame->about) : state);
    rb_memerror();
}
