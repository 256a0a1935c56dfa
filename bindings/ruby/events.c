/* Telling Ruby of events: what was given as on_event, on threads that call. */
#include "kvr.h"

/* Of this fiber: another one of its thread may go on while on_event waits. */
static ID telling(void)
{
    return rb_intern("__kivi_telling__");
}

bool kvb_host_is_telling(const kvb_store *store)
{
    (void)store;
    return RTEST(rb_thread_local_aref(rb_thread_current(), telling()));
}

typedef struct told {
    const kvb_store *store;
    const kvb_event *event;
} told;

static VALUE error_of(kivi_status status)
{
    if (kivi_status_class(status) == KIVI_CLASS_ANSWER)
        return Qnil;
    return rb_const_get(kvr.kivi, rb_intern(kvb_error_name(status)));
}

static VALUE text(const char *bytes)
{
    return rb_enc_interned_str_cstr(bytes, rb_utf8_encoding());
}

static VALUE tell_one(VALUE given)
{
    const told *what = (const told *)given;
    const kvb_event *event = what->event;
    VALUE fields[9];
    fields[0] = ID2SYM(rb_intern(kvb_event_kind(event->type)));
    fields[1] = text(kivi_store_scheme(what->store->store));
    fields[2] = text(event->verb);
    fields[3] = text(kivi_status_name(event->status));
    fields[4] = error_of(event->status);
    fields[5] = ULL2NUM(event->items);
    fields[6] = UINT2NUM(event->attempt);
    fields[7] = DBL2NUM((double)event->duration_ns / 1e9);
    fields[8] = event->key.size ? kvr_key_out(event->key) : Qnil;
    return rb_funcall(kvr_config_of(what->store)->on_event, kvr.call, 1,
                      rb_class_new_instance(9, fields, kvr.Event));
}

static VALUE warn_of(VALUE exception)
{
    rb_warn("kivi: on_event: %" PRIsVALUE " (%" PRIsVALUE ")", exception, rb_obj_class(exception));
    return Qnil;
}

/* No call fails by it; what ends a program or a thread does so. */
static void report(int *state)
{
    VALUE exception = rb_errinfo();
    int ignored;
    if (!RTEST(rb_obj_is_kind_of(exception, rb_eStandardError)))
        return;
    *state = 0;
    rb_set_errinfo(Qnil);
    rb_protect(warn_of, exception, &ignored);
    if (ignored)
        rb_set_errinfo(Qnil);
}

static void tell(kvb_store *store, size_t left, int *state)
{
    VALUE thread = rb_thread_current();
    kvb_event event;
    told what = {store, &event};
    rb_thread_local_aset(thread, telling(), Qtrue);
    for (; left && !*state && kvb_events_next(store->events, &event); left--) {
        rb_protect(tell_one, (VALUE)&what, state);
        if (*state)
            report(state);
        kvb_event_release(&event);
    }
    rb_thread_local_aset(thread, telling(), Qnil);
}

void kvr_tell(kvb_store *store, int *state)
{
    size_t left = kvb_events_count(store->events);
    VALUE raised = rb_errinfo();
    int ended = 0;
    if (!left || kvb_host_is_telling(store))
        return;
    if (*state && !RTEST(rb_obj_is_kind_of(raised, rb_eException)))
        return; /* a throw, or a thread that is killed: the next call tells */
    kvb_store_ref(store);
    tell(store, left, &ended);
    kvb_store_unref(store);
    if (!ended)
        rb_set_errinfo(raised);
    else
        *state = ended;
    RB_GC_GUARD(raised);
}

/* call_tell: the same, for what ends a store. */
static VALUE store_tell(VALUE self)
{
    kvb_store *store = kvr_store_of(self);
    int state = 0;
    if (store->events)
        kvr_tell(store, &state);
    if (state)
        rb_jump_tag(state);
    return Qnil;
}

void kvr_events_ready(void)
{
    rb_define_private_method(kvr.Calls, "call_tell", store_tell, 0);
}
