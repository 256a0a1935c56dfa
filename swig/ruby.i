/*
 * Ruby: kivi/core. SWIG writes the methods as private ones of Kivi::Core::Calls ("call_get"), with arguments by position; those of
 * lib/kivi/store.rb, which have names, blocks and defaults, call them. No class, type or object of SWIG's own is ever made.
 *
 * Ruby's exceptions jump. So first come the arguments that may raise while nothing is held (in); then those that take
 * memory of the store (check), which give back what they hold before they raise; and what the answer raises waits
 * in the frame until all was given back (ret).
 */
%module kivi_swig

%{
#include "kvr.h"

#undef SWIG_InitRuntime
#define SWIG_InitRuntime()
#undef SWIG_GetModule
#define SWIG_GetModule(clientdata) NULL
#undef SWIG_SetModule
#define SWIG_SetModule(clientdata, module)
#define SWIG_define_class(type)
#define SWIG_RubyInitializeTrackings()
#define rb_define_module(name) kvr.core
#define rb_define_class_under(module, name, super) kvr.Calls
#define rb_undef_alloc_func(klass)
#undef rb_define_method
#define rb_define_method(klass, name, wrapper, arity) kvr_define_call(name, wrapper)
%}

/* ---- self, the call, and its end ---- */
%typemap(in) struct kvb_store *self (kvr_frame frame) {
    kvr_begin(&frame1);
    $1 = kvr_store_of($input);
    kvr_find_queue($1, &frame1);
}
%exception {
    arg1->queue = frame1.queue;
    $action
    arg1->queue = NULL;
}
%typemap(out) kvb_answer * "$result = kvr_answer_out($1, &frame1);"
%typemap(ret) kvb_answer * "kvr_end(&frame1);"

/* ---- what may raise while nothing is held ---- */
%typemap(in) kivi_slice key "$1 = kvr_key_in($input, &frame1);"
%typemap(in) kivi_slice prefix, kivi_slice after, kivi_slice cursor "$1 = kvr_prefix_in($input, &frame1);"
%typemap(in) int64_t ttl_ms "$1 = kvr_ttl_in($input);"
%typemap(in) int64_t timeout_ms "$1 = kvr_timeout_in($input);"
%typemap(in) int64_t by "$1 = kvr_integer_in($input);"
%typemap(in) uint64_t "$1 = kvr_size_in($input);"
%typemap(in) bool "$1 = RTEST($input);"
%typemap(in) void *missing "$1 = (void *)$input;"
%typemap(in) void *function "$1 = NIL_P($input) ? NULL : (void *)$input;"
%typemap(in) struct kvb_store *target "$1 = kvr_store_of($input);"

/* ---- what takes memory ---- */
%typemap(in) kvb_encoder * (VALUE object), kvb_batch * (VALUE object) "object = $input;"
%typemap(check) kvb_encoder * "$1 = kvr_value_in(arg1, object$argnum, &frame1);"
%typemap(freearg) kvb_encoder * "kvb_encoder_give(arg1, $1);"
%typemap(check) kvb_batch *keys "$1 = kvr_keys_in(object$argnum);"
%typemap(check) kvb_batch *pairs "$1 = kvr_pairs_in(arg1, object$argnum);"
%typemap(check) kvb_batch *ops "$1 = kvr_ops_in(arg1, object$argnum);"
%typemap(freearg) kvb_batch * "kvb_batch_free($1);"

%rename(Calls) kvb_store;
%ignore kvb_store::~kvb_store;
%ignore kvb_page;
%ignore kvb_queue;
%ignore kivi_version;
%include "kivi.i"
