/*
 * Lua: 5.1, 5.3, 5.4 and LuaJIT. SWIG writes the methods; all its own objects and type tables stay unused:
 * bindings/lua/module.c puts the methods into the metatable of its own userdata.
 *
 * Arguments come by position as kivi.i names them, but for what stands in an options table, which comes last:
 * `store:set(key, value, {ttl = 60, timeout = 1})`. So an argument of options takes no input: it notes that the
 * method takes that option (in, numinputs=0), the table is read where timeout_ms stands, and its value
 * is picked up after (check). `options1` is a local of every method.
 *
 * What a value cannot be is answered as nil and an error, mistakes of usage are raised: both leave by `fail`, past the
 * cleanup, where SWIG writes `lua_error(L)`.
 *
 * Event loops: core.queue(), core.open(url, options, queue), then every method answers a pending call at once;
 * queue:descriptor() to watch, queue:take(f) calls f(pending, value, err) for each that is done. See
 * bindings/lua/pending.c.
 */
%module kivi_swig

%{
#include "kvl.h"

#undef lua_error
#define lua_error(L) return kvl_leave(L)
#undef SWIG_check_num_args
#define SWIG_check_num_args(name, least, most) /* what is missing is named by the arguments' own checks */
#undef SWIG_isptrtype
#define SWIG_isptrtype(L, index) 1
#define FAIL_UNLESS(converted) if (!(converted)) goto fail
#define STATE ((kvl_state *)arg1->host)
%}

/* ---- self, and the moment before the call ---- */
%typemap(in) struct kvb_store *self (kvl_options options = KVL_NO_OPTIONS)
    "FAIL_UNLESS(kvl_store_argument(L, $input, &$1));"
%typemap(check) struct kvb_store *self "kvl_begin(L, $1, &options1);"

/* ---- by position ---- */
%typemap(in) kivi_slice key "FAIL_UNLESS(kvl_bytes_argument(L, STATE, $input, &$1));"
%typemap(in) kivi_slice prefix "FAIL_UNLESS(kvl_prefix_argument(L, STATE, $input, &$1));"
%typemap(in) kvb_encoder * { /* every call with values has its key before them: arg2 */
    if (!kvl_value_argument(L, STATE, arg1, $input, &$1)) {
        kvl_refuse_key(STATE, arg2);
        SWIG_fail;
    }
}
%typemap(freearg) kvb_encoder * "if ($1) kvb_encoder_give(arg1, $1);"
%typemap(in) int64_t by "FAIL_UNLESS(kvl_integer_argument(L, STATE, $input, &$1));"
%typemap(in) void *function "FAIL_UNLESS(kvl_function_argument(L, STATE, $input, &$1));"
%typemap(in) kvb_batch *keys "FAIL_UNLESS(kvl_keys_argument(L, STATE, $input, &$1));"
%typemap(in) kvb_batch *pairs "FAIL_UNLESS(kvl_pairs_argument(L, STATE, arg1, $input, &$1));"
%typemap(in) kvb_batch *ops "FAIL_UNLESS(kvl_ops_argument(L, STATE, arg1, $input, &$1));"
%typemap(freearg) kvb_batch * "kvb_batch_free($1);"

/* expire and get_and_expire: the seconds stand behind the key. Taken off the stack, so that the options follow. */
%typemap(in) (kivi_slice key, int64_t ttl_ms) {
    FAIL_UNLESS(kvl_bytes_argument(L, STATE, $input, &$1));
    FAIL_UNLESS(kvl_seconds_argument(L, STATE, $input + 1, &$2));
    if (lua_gettop(L) > $input)
        lua_remove(L, $input + 1);
    options1.removed = 1;
}
%typemap(check) (kivi_slice key, int64_t ttl_ms) ""

/* copy: the target; the function and the prefix are options */
%typemap(in) (struct kvb_store *target, void *function, kivi_slice prefix) {
    FAIL_UNLESS(kvl_store_argument(L, $input, &$1));
    options1.takes |= KVL_TAKES_COPY;
}
%typemap(check) (struct kvb_store *target, void *function, kivi_slice prefix) {
    $2 = (void *)(intptr_t)options1.progress;
    $3 = options1.prefix;
}

/* ---- in the options table ---- */
%typemap(in) int64_t timeout_ms {
    FAIL_UNLESS(kvl_options_argument(L, STATE, $input, &options1));
    $1 = options1.timeout_ms;
}
%typemap(in) (int64_t timeout_ms, int64_t lease_ms) {
    options1.takes |= KVL_TAKES_LEASE;
    FAIL_UNLESS(kvl_options_argument(L, STATE, $input, &options1));
    $1 = options1.timeout_ms;
    $2 = options1.lease_ms;
}
%typemap(in, numinputs=0) int64_t ttl_ms "options1.takes |= KVL_TAKES_TTL;"
%typemap(check) int64_t ttl_ms "$1 = options1.ttl_ms;"
%typemap(in, numinputs=0) void *missing "options1.takes |= KVL_TAKES_PAIRS;"
%typemap(in, numinputs=0) bool want_existed "options1.takes |= KVL_TAKES_EXISTED;"
%typemap(check) bool want_existed "$1 = !options1.unasked;"
%typemap(in, numinputs=0) bool atomic "options1.takes |= KVL_TAKES_ATOMIC;"
%typemap(check) bool atomic "$1 = options1.atomic;"
%typemap(in, numinputs=0) bool all "options1.takes |= KVL_TAKES_ALL;"
%typemap(check) bool all "$1 = options1.all;"
%typemap(in, numinputs=0) kivi_slice after "options1.takes |= KVL_TAKES_RANGE | KVL_TAKES_PAIRS;"
%typemap(check) kivi_slice after "$1 = options1.after;"
%typemap(in, numinputs=0) kivi_slice cursor ""
%typemap(check) kivi_slice cursor "$1 = options1.cursor;"
%typemap(in, numinputs=0) uint64_t limit, uint64_t batch, uint64_t rate ""
%typemap(check) uint64_t limit "$1 = options1.limit;"
%typemap(check) uint64_t batch "$1 = options1.batch;"
%typemap(check) uint64_t rate "$1 = options1.rate;"
%typemap(in, numinputs=0) bool keys_only, bool with_ttl, bool dry_run, bool add_only, bool no_expiry ""
%typemap(check) bool keys_only "$1 = options1.keys;"
%typemap(check) bool with_ttl "$1 = options1.want_ttl;"
%typemap(check) bool dry_run "$1 = options1.dry_run;"
%typemap(check) bool add_only "$1 = options1.add_only;"
%typemap(check) bool no_expiry "$1 = options1.no_expiry;"

/* ---- answers ---- */
%typemap(out) kvb_answer * {
    int count = kvl_answer(L, $1);
    FAIL_UNLESS(count >= 0);
    SWIG_arg += count;
}

/* ---- queues: descriptor and count ---- */
%typemap(out) int, size_t "lua_pushinteger(L, (lua_Integer)$1); SWIG_arg++;"
%typemap(in) struct kvb_queue *self "$1 = kvl_check_queue(L, $input);"

%rename(delete) kvb_store::delete_key;
%include "kivi.i"

%wrapper %{
const luaL_Reg *const kvl_swig_store_methods = swig_kvb_store_methods;
const luaL_Reg *const kvl_swig_queue_methods = swig_kvb_queue_methods;
%}
