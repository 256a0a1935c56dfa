/* kivi/core: the classes of the module, and the methods that SWIG made of kivi.i. */
#include "kvr.h"

kvr_names kvr;

void kvr_define_call(const char *name, VALUE (*wrapper)(int, VALUE *, VALUE))
{
    char whole[64];
    snprintf(whole, sizeof(whole), "call_%s", name);
    rb_define_private_method(kvr.Calls, whole, wrapper, -1);
}

static VALUE keep(VALUE object)
{
    rb_gc_register_mark_object(object);
    return object;
}

static VALUE from_ruby(const char *name)
{
    return keep(rb_const_get(kvr.kivi, rb_intern(name)));
}

static VALUE own_class(VALUE outer, const char *name)
{
    return keep(rb_define_class_under(outer, name, rb_cObject));
}

static void find_names(void)
{
    kvr.type = rb_intern("@type");
    kvr.data = rb_intern("@data");
    kvr.backend = rb_intern("@backend");
    kvr.native_code = rb_intern("@native_code");
    kvr.native_text = rb_intern("@native_text");
    kvr.retryable = rb_intern("@retryable");
    kvr.key = rb_intern("@key");
    kvr.cursor = rb_intern("@cursor");
    kvr.results = rb_intern("@results");
    kvr.failures = rb_intern("@failures");
    kvr.copied = rb_intern("@copied");
    kvr.stored = rb_intern("@stored");
    kvr.queue = rb_intern("@queue");
    kvr.of = rb_intern("of");
    kvr.wait = rb_intern("wait");
    kvr.call = rb_intern("call");
    kvr.new = rb_intern("new");
    kvr.here = rb_intern("here");
}

static void find_ruby(void)
{
    kvr.Ext = from_ruby("Ext");
    kvr.Pairs = from_ruby("Pairs");
    kvr.Result = from_ruby("Result");
    kvr.Copied = from_ruby("Copied");
    kvr.Event = from_ruby("Event");
    kvr.Loop = from_ruby("Loop");
    kvr.Error = from_ruby("Error");
    kvr.About = from_ruby("About");
    kvr.KEEP = from_ruby("KEEP");
    kvr.DELETE = from_ruby("DELETE");
    kvr.LEAVE = from_ruby("LEAVE");
}

/* lib/kivi.rb loads this when its own values, errors and loop are there. */
void Init_core(void)
{
    find_names();
    kvr.kivi = keep(rb_define_module("Kivi"));
    kvr.core = keep(rb_define_module_under(kvr.kivi, "Core"));
    find_ruby();
    kvr.Calls = own_class(kvr.core, "Calls");
    kvr.Page = own_class(kvr.kivi, "Page");
    kvr.Queue = own_class(kvr.core, "Queue");
    kvr.Pending = own_class(kvr.core, "Pending");
    kvr_store_ready();
    kvr_page_ready();
    kvr_queue_ready();
    kvr_events_ready();
    kvr_info_ready();
    Init_kivi_swig();
}
