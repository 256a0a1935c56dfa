/* Arguments of methods, and their options tables. Nothing here raises: a call may hold what it pooled. */
#include "kvl.h"

#include <math.h>

bool kvl_store_argument(lua_State *L, int index, kvb_store **store)
{
    kvl_store *object = kvl_object(L, index, &kvl_a_store);
    if (!object)
        return kvl_refuse_type(L, kvl_state_of(L), index, "kivi store");
    if (!object->store) /* a finaliser's, as the interpreter ends */
        return kvl_refuse(kvl_state_of(L), KIVI_CLOSED, "the store is gone");
    *store = object->store;
    return true;
}

bool kvl_bytes_argument(lua_State *L, kvl_state *state, int index, kivi_slice *bytes)
{
    if (lua_type(L, index) != LUA_TSTRING)
        return kvl_refuse_type(L, state, index, "string");
    bytes->data = lua_tolstring(L, index, &bytes->size);
    return true;
}

bool kvl_prefix_argument(lua_State *L, kvl_state *state, int index, kivi_slice *prefix)
{
    *prefix = kivi_bytes(NULL, 0);
    return lua_isnoneornil(L, index) || kvl_bytes_argument(L, state, index, prefix);
}

/* Seconds above 0, "keep", or nothing. */
bool kvl_to_ttl(lua_State *L, int index, int64_t *ttl_ms)
{
    *ttl_ms = KIVI_TTL_NONE;
    if (lua_isnoneornil(L, index))
        return true;
    if (lua_type(L, index) == LUA_TNUMBER)
        return kvb_milliseconds(lua_tonumber(L, index), ttl_ms);
    *ttl_ms = KIVI_TTL_KEEP;
    return lua_type(L, index) == LUA_TSTRING && strcmp(lua_tostring(L, index), "keep") == 0;
}

bool kvl_seconds_argument(lua_State *L, kvl_state *state, int index, int64_t *ms)
{
    if (!lua_isnoneornil(L, index) && lua_type(L, index) != LUA_TNUMBER)
        return kvl_refuse_type(L, state, index, "seconds");
    return kvl_to_ttl(L, index, ms) ||
           kvl_refuse(state, KIVI_INVALID, "seconds above 0 expected, got %g", lua_tonumber(L, index));
}

bool kvl_integer_argument(lua_State *L, kvl_state *state, int index, int64_t *value)
{
    kvl_integer integer;
    *value = 1;
    if (lua_isnoneornil(L, index))
        return true;
    /* a cdata's __tostring could raise: nothing is pooled yet where integers are arguments */
    if (!kvl_to_integer(L, index, &integer) || integer.beyond)
        return kvl_refuse_type(L, state, index, "integer within int64");
    *value = (int64_t)integer.bits;
    return true;
}

bool kvl_function_argument(lua_State *L, kvl_state *state, int index, void **function)
{
    if (lua_type(L, index) != LUA_TFUNCTION)
        return kvl_refuse_type(L, state, index, "function");
    *function = (void *)(intptr_t)index;
    return true;
}

bool kvl_value_argument(lua_State *L, kvl_state *state, kvb_store *store, int index, kvb_encoder **encoder)
{
    if (lua_isnoneornil(L, index))
        return kvl_refuse_argument(state, index, "value expected, got %s (a null is kivi.null)",
                                   luaL_typename(L, index));
    *encoder = kvb_encoder_take(store);
    if (!*encoder)
        return kvl_refuse(state, KIVI_NO_MEMORY, "out of memory");
    return kvl_encode(L, state, store, index, *encoder);
}

/* ---- options tables ---- */

typedef enum option_kind {
    TRUTH,   /* bool */
    COUNT,   /* uint64_t */
    BYTES,   /* kivi_slice */
    TTL,     /* int64_t: seconds or "keep" */
    TIMEOUT, /* int64_t: seconds */
    FUNCTION,
    UNASKED /* bool: false in the table is true here */
} option_kind;

static const struct option_row {
    const char *name;
    uint32_t takes; /* any of these; 0: every call */
    option_kind kind;
    size_t offset;
} rows[] = {
#define ROW(name, takes, kind, member)                   \
    {                                                    \
        name, takes, kind, offsetof(kvl_options, member) \
    }
    ROW("timeout", 0, TIMEOUT, timeout_ms),
    ROW("lease", KVL_TAKES_LEASE, TIMEOUT, lease_ms),
    ROW("ttl", KVL_TAKES_TTL, TTL, ttl_ms),
    ROW("pairs", KVL_TAKES_PAIRS, TRUTH, pairs),
    ROW("existed", KVL_TAKES_EXISTED, UNASKED, unasked),
    ROW("atomic", KVL_TAKES_ATOMIC, TRUTH, atomic),
    ROW("all", KVL_TAKES_ALL, TRUTH, all),
    ROW("after", KVL_TAKES_RANGE, BYTES, after),
    ROW("cursor", KVL_TAKES_RANGE | KVL_TAKES_COPY, BYTES, cursor),
    ROW("limit", KVL_TAKES_RANGE, COUNT, limit),
    ROW("keys", KVL_TAKES_RANGE, TRUTH, keys),
    ROW("ttl", KVL_TAKES_RANGE, TRUTH, want_ttl),
    ROW("prefix", KVL_TAKES_COPY, BYTES, prefix),
    ROW("progress", KVL_TAKES_COPY, FUNCTION, progress),
    ROW("dry_run", KVL_TAKES_COPY, TRUTH, dry_run),
    ROW("add_only", KVL_TAKES_COPY, TRUTH, add_only),
    ROW("no_expiry", KVL_TAKES_COPY, TRUTH, no_expiry),
    ROW("batch", KVL_TAKES_COPY, COUNT, batch),
    ROW("rate", KVL_TAKES_COPY, COUNT, rate),
#undef ROW
};

static const struct option_row *find(const char *name, uint32_t takes)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (strcmp(rows[i].name, name) == 0 && (!rows[i].takes || rows[i].takes & takes))
            return &rows[i];
    return NULL;
}

static const char *expected(option_kind kind)
{
    static const char *const words[] = {
        "a boolean",       "a count",    "a string", "seconds above 0 or \"keep\"",
        "seconds above 0", "a function", "a boolean"};
    return words[kind];
}

static bool set_count(lua_State *L, int index, uint64_t *count)
{
    double number = lua_tonumber(L, index);
    *count = 0;
    if (lua_type(L, index) != LUA_TNUMBER || !(number >= 0) || number != floor(number))
        return false;
    *count = number >= 0x1p63 ? INT64_MAX : (uint64_t)number;
    return true;
}

static bool set_option(lua_State *L, int index, option_kind kind, void *place)
{
    bool is_boolean = lua_type(L, index) == LUA_TBOOLEAN;
    switch (kind) {
    case TRUTH:
    case UNASKED:
        *(bool *)place = lua_toboolean(L, index) == (kind == TRUTH);
        return is_boolean;
    case COUNT:
        return set_count(L, index, place);
    case BYTES:
        ((kivi_slice *)place)->data = lua_type(L, index) == LUA_TSTRING
                                          ? lua_tolstring(L, index, &((kivi_slice *)place)->size)
                                          : NULL;
        return lua_type(L, index) == LUA_TSTRING;
    case TTL:
        return kvl_to_ttl(L, index, place);
    case TIMEOUT:
        if (lua_type(L, index) == LUA_TNUMBER && lua_tonumber(L, index) == HUGE_VAL) {
            *(int64_t *)place = KIVI_NO_TIMEOUT;
            return true;
        }
        return lua_type(L, index) == LUA_TNUMBER && kvb_milliseconds(lua_tonumber(L, index), place);
    case FUNCTION:
        *(int *)place = index;
        return lua_type(L, index) == LUA_TFUNCTION;
    }
    return false;
}

/* The pair on top: a name and its value. */
static bool read_option(lua_State *L, kvl_state *state, int argument, kvl_options *options)
{
    int value = lua_gettop(L);
    const char *name = lua_type(L, value - 1) == LUA_TSTRING ? lua_tostring(L, value - 1) : NULL;
    const struct option_row *row = name ? find(name, options->takes) : NULL;
    if (!row)
        return kvl_refuse_argument(state, argument, "unknown option '%.60s'",
                                   name ? name : luaL_typename(L, value - 1));
    if (set_option(L, value, row->kind, (char *)options + row->offset))
        return true;
    if ((row->kind == TTL || row->kind == TIMEOUT) &&
        lua_type(L, value) == LUA_TNUMBER) /* computed, as what is left of a time */
        return kvl_refuse(state, KIVI_INVALID, "option '%s' must be %s, got %g", name,
                          expected(row->kind), lua_tonumber(L, value));
    return kvl_refuse_argument(state, argument, "option '%s' must be %s", name, expected(row->kind));
}

bool kvl_options_argument(lua_State *L, kvl_state *state, int index, kvl_options *options)
{
    int argument = index + options->removed;
    if (lua_isnoneornil(L, index))
        return true;
    if (lua_type(L, index) != LUA_TTABLE)
        return kvl_refuse_argument(state, argument, "options table expected, got %s",
                                   luaL_typename(L, index));
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (!read_option(L, state, argument, options))
            return false;
        if (options->progress == lua_gettop(L)) { /* stays on the stack, below the key */
            lua_insert(L, -2);
            options->progress = lua_gettop(L) - 1;
        } else {
            lua_pop(L, 1);
        }
    }
    return true;
}
