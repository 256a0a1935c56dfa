/*
 * What the Lua module is made of. One source serves Lua 5.1, 5.3, 5.4 and LuaJIT.
 *
 * Lua raises errors by longjmp, past our cleanup. So while something pooled is held (an encoder, an answer,
 * a batch) nothing is called that may raise: what may runs under lua_pcall, and what goes wrong is put
 * into kvl_state.problem and raised, or answered as nil and an error, by kvl_leave() when all was given back.
 */
#ifndef KVL_H
#define KVL_H

#include <lauxlib.h>
#include <lua.h>

#include "bindings.h"

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
#endif
#if LUA_VERSION_NUM >= 503
#define KVL_INTEGERS 1 /* the language has 64-bit integers */
#else
#define KVL_INTEGERS 0
#endif

#define KVL_TEXT 480                 /* bytes of a problem's text */
#define KVL_MAX_DEPTH 128            /* nested containers of a value: what readers accept unasked */
#define KVL_EXACT (INT64_C(1) << 53) /* integers up to here are exact as numbers */

/* ---- objects (object.c): userdata that begin with the address of their kind ---- */

extern const char kvl_a_store, kvl_a_box, kvl_a_scan, kvl_a_queue, kvl_a_pending;

/* The userdata at an index if it is of that kind, else NULL. Never raises. */
static inline void *kvl_object(lua_State *L, int index, const char *kind)
{
    const char **object = lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;
    return object && lua_rawlen(L, index) >= sizeof(*object) && *object == kind ? object : NULL;
}

/* Metatables, by position in kvl_state.metas. */
enum {
    KVL_META_INT, /* boxes: as kvl_box.what */
    KVL_META_FLOAT,
    KVL_META_BIN,
    KVL_META_EXT,
    KVL_META_TIMESTAMP,
    KVL_META_ARRAY, /* tables that say what they are */
    KVL_META_MAP,
    KVL_META_PAIRS,
    KVL_META_ERROR,
    KVL_META_STORE,
    KVL_META_SCAN,
    KVL_META_QUEUE,
    KVL_META_PENDING,
    KVL_META_WAKE,
    KVL_META_COUNT
};

/* ---- the state of one interpreter (state.c) ---- */

typedef enum kvl_exit {
    KVL_ANSWER = 1,   /* nil and an error */
    KVL_ARGUMENT = 2, /* raised: a bad argument, as of any Lua library */
    KVL_RAISE = 3     /* raised: what lies on top of the stack */
} kvl_exit;

typedef struct kvl_problem {
    kvl_exit exit;
    kivi_status status; /* of ANSWER */
    int argument;       /* of ARGUMENT */
    kivi_slice key;     /* of ANSWER: that it is about, the caller's bytes; NULL: none */
    size_t item;        /* of a batch, from 1; 0: none */
    char text[KVL_TEXT];
} kvl_problem;

typedef struct kvl_state {
    lua_State *main;                     /* the interpreter's main thread; NULL: not known */
    lua_State *L;                        /* where the call that is being made runs */
    uintptr_t flags;                     /* KVL_PAIRS, of that call */
    int metas[KVL_META_COUNT];           /* references in the registry */
    const void *meta_of[KVL_META_COUNT]; /* their addresses */
    int convert, encode, pend, compute, tell; /* references to functions that are called under lua_pcall */
    bool telling;                             /* on_event runs */
    bool one_nan; /* LuaJIT: numbers hold but one NaN, which stands for kvl_nan */
    struct {
        const void *array, *empty_array; /* metatables, by address; NULL: cjson was not found yet */
        const void *empty;               /* the light userdata cjson.empty_array */
        int array_ref;                   /* of the first, in the registry */
    } cjson;
    int module; /* reference to the module's table */
    kvl_problem problem;
} kvl_state;

kvl_state *kvl_state_new(lua_State *L);
kvl_state *kvl_state_of(lua_State *L);
/* A new userdata of a kind, on the stack. Raises without memory. */
void *kvl_object_new(lua_State *L, kvl_state *state, size_t size, const char *kind, int meta);
/* Makes a metatable: its name, functions, and what it has under __index (NULL: itself). */
void kvl_meta_new(lua_State *L, kvl_state *state, int meta, const char *name,
                  const luaL_Reg *events, const luaL_Reg *methods);
/* Looks among the loaded modules for OpenResty's cjson, whose marks say the same as ours. May raise. */
void kvl_find_cjson(lua_State *L, kvl_state *state);
/* Pushes the metatable that says "array": cjson's where it is loaded, so that it writes [] as we do. May raise. */
void kvl_push_array_meta(lua_State *L, kvl_state *state);
/* Adds functions to the table on top. */
void kvl_functions(lua_State *L, const luaL_Reg *functions);
/* Which of the metatables a table or userdata has; -1: none of them. Never raises. */
int kvl_meta(lua_State *L, const kvl_state *state, int index);

/* Notes what is wrong; false, for `return kvl_refuse(...)`. Never raises. */
bool kvl_refuse(kvl_state *state, kivi_status status, const char *format, ...) KIVI_PRINTF(3, 4);
bool kvl_refuse_argument(kvl_state *state, int argument, const char *format, ...) KIVI_PRINTF(3, 4);
bool kvl_refuse_type(lua_State *L, kvl_state *state, int argument, const char *expected);
bool kvl_refuse_error(kvl_state *state, kivi_status status, kivi_error *error); /* frees it */
bool kvl_refuse_top(kvl_state *state);
/* Notes the key that the problem noted is about: its bytes stay until it is pushed. */
void kvl_refuse_key(kvl_state *state, kivi_slice key);
/* Leaves a function with the problem noted: raises, or answers how many results it pushed. */
int kvl_leave(lua_State *L);

/* ---- errors (errors.c): may raise, out of memory ---- */

void kvl_errors_register(lua_State *L, kvl_state *state);
void kvl_push_error(lua_State *L, const kvl_state *state, kivi_status status, const kivi_error *error);
void kvl_push_problem(lua_State *L, const kvl_state *state, const kvl_problem *problem);
/* Gives the error on top the key that it is about; `in_message`: its message names it. */
void kvl_name_key(lua_State *L, kivi_slice key, bool in_message);
/* Pops an error that is one of several of a call, into the list of failures of the whole error at an index of the stack,
 * which is made like the first (nil before). `position` counts from 1. */
void kvl_add_failure(lua_State *L, const kvl_state *state, int whole, size_t position);

/* ---- values that Lua's own types cannot tell (box.c, integer.c, arithmetic.c) ---- */

typedef struct kvl_box {
    const char *kind;
    uint8_t what; /* KVL_META_INT to KVL_META_TIMESTAMP */
    int8_t ext_type;
    bool beyond; /* INT: bits are a uint64 above INT64_MAX */
    uint32_t nanoseconds;
    uint64_t bits; /* INT; seconds of TIMESTAMP, as int64 */
    double real;   /* FLOAT */
    size_t size;   /* of BIN and EXT */
    char bytes[];
} kvl_box;

void kvl_boxes_register(lua_State *L, kvl_state *state);
kvl_box *kvl_box_new(lua_State *L, kvl_state *state, int what, size_t size);
void kvl_push_bytes(lua_State *L, kvl_state *state, int what, int8_t ext_type, kivi_slice bytes);
void kvl_push_timestamp(lua_State *L, kvl_state *state, int64_t seconds, uint32_t nanoseconds);
/* Integers as Lua's own where they are exact, else boxed. */
void kvl_push_int(lua_State *L, kvl_state *state, int64_t value);
void kvl_push_uint(lua_State *L, kvl_state *state, uint64_t value);
extern const uint64_t kvl_nan; /* the bits of the NaN that programs usually write */
/* A float as a number where the number is written as a float again, else boxed. */
void kvl_push_float(lua_State *L, kvl_state *state, double value);

/* An integer of 65 bits: `beyond` says that bits are a uint64 above INT64_MAX. */
typedef struct kvl_integer {
    uint64_t bits;
    bool beyond;
} kvl_integer;
/* Whether a number, box or LuaJIT's own 64-bit integer is an integer, and which. May call a cdata's __tostring. */
bool kvl_to_integer(lua_State *L, int index, kvl_integer *value);
/* Whether a number without fraction is within int64 or uint64, and not -0.0. */
bool kvl_number_integer(double number, kvl_integer *value);
/* Lua without integers: whether a number is written as one. Beyond 2^53 it is a float, for that is what it is. */
bool kvl_is_written_integer(double number, kvl_integer *value);
void kvl_push_integer(lua_State *L, kvl_state *state, kvl_integer value);
int kvl_int(lua_State *L);                                       /* kivi.int() */
extern const luaL_Reg kvl_number_events[], kvl_number_methods[]; /* arithmetic.c */

/* ---- conversions (encode.c, decode.c) ---- */

enum { KVL_PAIRS = 1 }; /* maps come as pairs */

/* Writes the value at an index (absolute) into an encoder. False: a problem is noted. Never raises. */
bool kvl_encode(lua_State *L, kvl_state *state, kvb_store *store, int index, kvb_encoder *encoder);
int kvl_encode_protected(lua_State *L);
/* Pushes a value, under the protection of the caller: may raise. False: a problem is noted, and nothing pushed that
 * counts. `raw`: bytes are bytes, whatever they hold. */
bool kvl_decode(lua_State *L, kvl_state *state, kivi_reader *reader, kivi_slice bytes,
                uintptr_t flags, bool raw);

/* ---- arguments (arguments.c, batches.c): false: a problem is noted. Never raise. ---- */

/* What may stand in an options table. */
enum {
    KVL_TAKES_TTL = 1 << 0,
    KVL_TAKES_PAIRS = 1 << 1,
    KVL_TAKES_EXISTED = 1 << 2,
    KVL_TAKES_ATOMIC = 1 << 3,
    KVL_TAKES_ALL = 1 << 4,
    KVL_TAKES_RANGE = 1 << 5,
    KVL_TAKES_COPY = 1 << 6,
    KVL_TAKES_LEASE = 1 << 7
};

typedef struct kvl_options {
    uint32_t takes; /* KVL_TAKES_* */
    int64_t ttl_ms, timeout_ms, lease_ms;
    bool pairs, unasked, atomic, all, keys, want_ttl;
    bool dry_run, add_only, no_expiry;
    uint64_t limit, batch, rate;
    kivi_slice prefix, after, cursor;
    int progress; /* index of the function on the stack, 0: none */
    int removed;  /* arguments before the table that were taken off the stack */
} kvl_options;

#define KVL_NO_OPTIONS \
    {                  \
        .takes = 0     \
    }

typedef struct kvl_store {
    const char *kind;
    kvb_store *store;
    int hook; /* reference to on_event; 0: there is none */
} kvl_store;

bool kvl_store_argument(lua_State *L, int index, kvb_store **store);
bool kvl_bytes_argument(lua_State *L, kvl_state *state, int index, kivi_slice *bytes);
bool kvl_prefix_argument(lua_State *L, kvl_state *state, int index, kivi_slice *prefix); /* nil: empty */
bool kvl_seconds_argument(lua_State *L, kvl_state *state, int index, int64_t *ms); /* nil: none */
bool kvl_integer_argument(lua_State *L, kvl_state *state, int index, int64_t *value); /* nil: 1 */
bool kvl_function_argument(lua_State *L, kvl_state *state, int index, void **function);
bool kvl_value_argument(lua_State *L, kvl_state *state, kvb_store *store, int index,
                        kvb_encoder **encoder);
bool kvl_options_argument(lua_State *L, kvl_state *state, int index, kvl_options *options);
/* Seconds of a table's field or an argument: `keep` says whether the word is taken. */
bool kvl_to_ttl(lua_State *L, int index, int64_t *ttl_ms);
bool kvl_keys_argument(lua_State *L, kvl_state *state, int index, kvb_batch **batch);
bool kvl_pairs_argument(lua_State *L, kvl_state *state, kvb_store *store, int index, kvb_batch **batch);
bool kvl_ops_argument(lua_State *L, kvl_state *state, kvb_store *store, int index, kvb_batch **batch);

/* ---- answers (results.c) ---- */

/* Before a call: where its answer will be converted. */
static inline void kvl_begin(lua_State *L, kvb_store *store, const kvl_options *options)
{
    kvl_state *state = store->host;
    state->L = L;
    state->flags = options->pairs ? KVL_PAIRS : 0;
}
/* Pushes what an answer holds and gives it back: how many results; -1: a problem is noted. */
int kvl_answer(lua_State *L, kvb_answer *answer);
/* Pushes what a value read in place holds, or nil and an error: how many; -1: raise what is on top. */
int kvl_answer_in_place(lua_State *L, kvb_answer *answer, kivi_slice value);
int kvl_convert_protected(lua_State *L);

/* ---- the rest (host.c, scan.c, pending.c, module.c) ---- */

/* The hooks of Lua as a call began. */
typedef struct kvl_hooks {
    lua_State *L;
    const kvl_state *state;
    int mask, main_mask;
} kvl_hooks;
/* A call that may wait: it ends when a hook is set meanwhile, as Ctrl-C does. */
void kvl_call_begin(kivi_call *call, kvl_hooks *hooks, lua_State *L, const kvl_state *state);

int kvl_pend_protected(lua_State *L);
int kvl_compute_protected(lua_State *L);
int kvl_tell_protected(lua_State *L);
/* Tells on_event of what happened in a store since. Never raises, and leaves the stack as it was. */
void kvl_tell(lua_State *L, kvb_store *store);
static inline void kvl_tell_events(lua_State *L, kvb_store *store)
{
    if (store->events)
        kvl_tell(L, store);
}
int kvl_scan(lua_State *L);           /* store:scan(prefix, options) */
int kvl_keys(lua_State *L);           /* store:keys(prefix, options) */
int kvl_stores(lua_State *L);         /* kivi.stores(), info.c */
int kvl_scheme_options(lua_State *L); /* kivi.options(scheme) */
int kvl_queue_new(lua_State *L);      /* core.queue() */
void kvl_scans_register(lua_State *L, kvl_state *state);
void kvl_queues_register(lua_State *L, kvl_state *state);
/* ---- event loops in Lua (loop.c, wake.c) ---- */

int kvl_wake_new(lua_State *L); /* loop.wake(queue) */
void kvl_wakes_register(lua_State *L, kvl_state *state);
/* Adds `loop` to the module's table, on top. */
void kvl_loop_register(lua_State *L, kvl_state *state);
/* The queue at an index, or NULL with a raised error for something else. */
kvb_queue *kvl_check_queue(lua_State *L, int index);
/* Pushes the userdata that waits for an answer that was submitted; false: there is none, what was raised is on top. */
bool kvl_push_pending(lua_State *L, const kvb_answer *answer);
/* What a function of update answers to delete the key, kivi.delete, and to store nothing, kivi.leave. */
void *kvl_delete_mark(void);
void *kvl_leave_mark(void);

/* What SWIG made of kivi.i: the methods of stores, and functions. */
extern const luaL_Reg *const kvl_swig_store_methods, *const kvl_swig_queue_methods;

#endif
