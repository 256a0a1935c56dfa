/* What the library knows: schemes and their options. */
#include "kvr.h"

static VALUE text_or_nil(const char *text)
{
    return text ? rb_utf8_str_new_cstr(text) : Qnil;
}

static void put(VALUE hash, const char *name, VALUE value)
{
    rb_hash_aset(hash, ID2SYM(rb_intern(name)), value);
}

static VALUE scheme_out(const kivi_scheme_info *info)
{
    VALUE hash = rb_hash_new();
    put(hash, "scheme", text_or_nil(info->scheme));
    put(hash, "backend", text_or_nil(info->backend));
    put(hash, "summary", text_or_nil(info->summary));
    put(hash, "available", info->available ? Qtrue : Qfalse);
    put(hash, "reason", info->available ? Qnil : text_or_nil(info->reason));
    return hash;
}

static VALUE schemes(VALUE self)
{
    VALUE list = rb_ary_new();
    (void)self;
    for (size_t i = 0;; i++) {
        kivi_scheme_info info = {.struct_size = sizeof(info)};
        kivi_error *error = NULL;
        kivi_status status = kivi_scheme_describe(i, &info, &error);
        if (status == KIVI_NOT_FOUND)
            return list;
        if (status)
            kvr_raise(status, error);
        rb_ary_push(list, scheme_out(&info));
    }
}

static VALUE choices_out(const char *choices)
{
    return choices ? rb_str_split(rb_utf8_str_new_cstr(choices), " ") : Qnil;
}

static VALUE option_out(const kivi_option_info *info)
{
    VALUE hash = rb_hash_new();
    put(hash, "name", text_or_nil(info->name));
    put(hash, "type", ID2SYM(rb_intern(kvb_option_type(info->type))));
    put(hash, "default", text_or_nil(info->default_text));
    put(hash, "recommended", text_or_nil(info->recommended_text));
    put(hash, "choices", choices_out(info->choices));
    put(hash, "help", text_or_nil(info->help));
    put(hash, "secret", info->flags & KIVI_OPTION_SECRET ? Qtrue : Qfalse);
    put(hash, "required", info->flags & KIVI_OPTION_REQUIRED ? Qtrue : Qfalse);
    return hash;
}

static VALUE options(VALUE self, VALUE scheme)
{
    VALUE list = rb_ary_new();
    const char *name = StringValueCStr(scheme);
    (void)self;
    for (size_t i = 0;; i++) {
        kivi_option_info info = {.struct_size = sizeof(info)};
        kivi_error *error = NULL;
        kivi_status status = kivi_option_describe(name, i, &info, &error);
        if (status == KIVI_NOT_FOUND)
            return list;
        if (status)
            kvr_raise(status, error);
        rb_ary_push(list, option_out(&info));
    }
}

void kvr_info_ready(void)
{
    rb_define_singleton_method(kvr.core, "schemes", schemes, 0);
    rb_define_singleton_method(kvr.core, "options", options, 1);
    rb_define_const(kvr.core, "VERSION", rb_obj_freeze(rb_utf8_str_new_cstr(kivi_version())));
}
