/* Stores as Ruby's objects, and opening them. */
#include "kvr.h"

/* ---- the life of one ---- */

typedef struct store_object {
    kvb_store *store;
} store_object;

static void store_mark(void *memory)
{
    const store_object *self = memory;
    const kvr_config *config = self->store ? kvr_config_of(self->store) : NULL;
    if (!config)
        return;
    rb_gc_mark(config->default_hook);
    rb_gc_mark(config->ext_hook);
    rb_gc_mark(config->on_event);
}

static void store_free(void *memory)
{
    kvb_store_unref(((store_object *)memory)->store);
    xfree(memory);
}

KVR_TYPE(store_type, "Kivi::Store", store_mark, store_free);

static VALUE store_alloc(VALUE class)
{
    store_object *self;
    return TypedData_Make_Struct(class, store_object, &store_type, self);
}

kvb_store *kvr_store_of(VALUE object)
{
    store_object *self;
    if (!rb_typeddata_is_kind_of(object, &store_type))
        rb_raise(rb_eTypeError, "a Kivi::Store is needed, not %" PRIsVALUE, rb_obj_class(object));
    self = RTYPEDDATA_DATA(object);
    if (!self->store)
        rb_raise(rb_eTypeError, "this Kivi::Store was never opened: use Kivi.open");
    return self->store;
}

/* ---- options ---- */

static const char *text_of(VALUE name, VALUE value)
{
    VALUE text = RB_TYPE_P(value, T_SYMBOL) ? rb_sym2str(value) : value;
    if (!RB_TYPE_P(text, T_STRING))
        rb_raise(rb_eTypeError,
                 "option %" PRIsVALUE
                 ": a String, number, true or false is needed, not %" PRIsVALUE,
                 name, rb_obj_class(value));
    if (strlen(RSTRING_PTR(text)) != (size_t)RSTRING_LEN(text))
        kvr_raise_text(KIVI_INVALID, "option %" PRIsVALUE ": its text holds a NUL", name);
    return RSTRING_PTR(text);
}

static kivi_status set_option(kivi_options *options, VALUE name, VALUE value, kivi_error **error)
{
    const char *text = RSTRING_PTR(name);
    if (value == Qtrue || value == Qfalse)
        return kivi_options_set_bool(options, text, value == Qtrue, error);
    if (RB_INTEGER_TYPE_P(value))
        return kvb_option_integer(options, text, kvr_integer_in(value), error);
    if (kvr_is_number(value))
        return kvb_option_number(options, text, kvr_number_in(value), error);
    return kivi_options_set(options, text, text_of(name, value), error);
}

static int take_option(VALUE key, VALUE value, VALUE given)
{
    kivi_options *options = (kivi_options *)given;
    kivi_error *error = NULL;
    kivi_status status;
    VALUE name = RB_TYPE_P(key, T_SYMBOL) ? rb_sym2str(key) : rb_String(key);
    if (NIL_P(value))
        return ST_CONTINUE;
    status = set_option(options, name, value, &error);
    RB_GC_GUARD(name);
    if (status)
        kvr_raise(status, error);
    return ST_CONTINUE;
}

/* ---- opening ---- */

typedef struct opening {
    kivi_options *options;
    VALUE given; /* a Hash */
} opening;

static VALUE take_options(VALUE given)
{
    opening *open = (opening *)given;
    rb_hash_foreach(open->given, take_option, (VALUE)open->options);
    return Qnil;
}

static kvr_config *config_new(VALUE default_hook, VALUE ext_hook, VALUE pairs, VALUE symbols, VALUE on_event)
{
    kvr_config *config = ALLOC(kvr_config);
    config->default_hook = default_hook;
    config->ext_hook = ext_hook;
    config->on_event = on_event;
    config->pairs = RTEST(pairs);
    config->symbols = RTEST(symbols);
    return config;
}

/* call_open(url, options, default, ext, pairs, symbols, on_event) */
static VALUE store_open(VALUE self, VALUE url, VALUE given, VALUE default_hook, VALUE ext_hook,
                        VALUE pairs, VALUE symbols, VALUE on_event)
{
    store_object *object = rb_check_typeddata(self, &store_type);
    opening open = {NULL, given};
    kvb_store *store = NULL;
    kvb_events *events = NULL;
    kivi_error *error = NULL;
    int state = 0;
    bool ready;
    kvr_config *config;
    StringValueCStr(url);
    url = rb_str_new_frozen(url);
    Check_Type(given, T_HASH);
    if (object->store)
        rb_raise(rb_eTypeError, "this Kivi::Store is open");
    config = config_new(default_hook, ext_hook, pairs, symbols, on_event);
    open.options = kivi_options_new();
    if (open.options)
        rb_protect(take_options, (VALUE)&open, &state);
    ready = open.options && !state;
    if (ready && !NIL_P(on_event))
        ready = (events = kvb_events_new(open.options)) != NULL;
    if (ready)
        store = kvr_open_waiting(RSTRING_PTR(url), open.options, &error, &state);
    kivi_options_free(open.options);
    RB_GC_GUARD(url);
    if (state || !store) {
        kvb_store_unref(store);
        kvb_events_unref(events);
        xfree(config);
        if (state) {
            kivi_error_free(error);
            rb_jump_tag(state);
        }
        kvr_raise(error ? kivi_error_status(error) : KIVI_NO_MEMORY, error);
    }
    store->host = config;
    store->host_free = ruby_xfree;
    kvb_store_hear(store, events);
    object->store = store;
    return self;
}

static VALUE store_is_local(VALUE self)
{
    return kvr_store_of(self)->can.local ? Qtrue : Qfalse;
}

void kvr_store_ready(void)
{
    rb_define_alloc_func(kvr.Calls, store_alloc);
    rb_define_private_method(kvr.Calls, "call_open", store_open, 7);
    rb_define_private_method(kvr.Calls, "call_local", store_is_local, 0);
}
