/* Keys, pairs and operations of one call, out of tables. Nothing here raises. */
#include "kvl.h"

/* A batch being filled. */
typedef struct filling {
    kvl_state *state;
    kvb_store *store;
    kvb_batch *batch;
    kvb_encoder *encoder; /* of its values */
    int argument;
} filling;

static bool no_memory(kvl_state *state)
{
    return kvl_refuse(state, KIVI_NO_MEMORY, "out of memory");
}

static bool begin(lua_State *L, filling *in, kvb_batch **batch, const char *expected)
{
    if (lua_type(L, in->argument) != LUA_TTABLE)
        return kvl_refuse_type(L, in->state, in->argument, expected);
    *batch = in->batch = kvb_batch_new();
    return in->batch ? true : no_memory(in->state);
}

static bool end(const filling *in, bool filled)
{
    kvb_encoder_give(in->store, in->encoder);
    if (!filled)
        return false;
    return kvb_batch_end(in->batch) ? true : no_memory(in->state);
}

static kivi_op *add(lua_State *L, const filling *in, int index)
{
    kivi_slice key;
    kivi_op *op;
    key.data = lua_tolstring(L, index, &key.size);
    op = kvb_batch_add(in->batch, key);
    if (!op)
        no_memory(in->state);
    return op;
}

/* The value at an index, encoded into the batch by `keep`. */
static bool add_value(lua_State *L, filling *in, int index,
                      bool (*keep)(kvb_batch *batch, kivi_slice bytes))
{
    if (!in->encoder)
        in->encoder = kvb_encoder_take(in->store);
    if (!in->encoder)
        return no_memory(in->state);
    in->encoder->bytes.size = 0;
    kivi_writer_start(in->encoder->writer, &in->encoder->bytes);
    if (!kvl_encode(L, in->state, in->store, index, in->encoder))
        return false;
    return keep(in->batch, kivi_buffer_slice(&in->encoder->bytes)) ? true : no_memory(in->state);
}

/* Says of a value that was refused whose it was. The key's string is on the stack, and stays. */
static bool name_key(lua_State *L, const filling *in, int index)
{
    kivi_slice key;
    key.data = lua_tolstring(L, index, &key.size);
    kvl_refuse_key(in->state, key);
    in->state->problem.item = in->batch->count;
    return false;
}

/* ---- get_many, delete_many ---- */

static bool fill_keys(lua_State *L, const filling *in)
{
    size_t count = lua_rawlen(L, in->argument);
    for (size_t i = 1; i <= count; i++) {
        bool added;
        lua_rawgeti(L, in->argument, (int)i);
        if (lua_type(L, -1) != LUA_TSTRING)
            return kvl_refuse_argument(in->state, in->argument, "key %d is a %s, no string", (int)i,
                                       luaL_typename(L, -1));
        added = add(L, in, -1);
        lua_pop(L, 1);
        if (!added)
            return false;
    }
    return true;
}

bool kvl_keys_argument(lua_State *L, kvl_state *state, int index, kvb_batch **batch)
{
    filling in = {state, NULL, NULL, NULL, index};
    if (!begin(L, &in, batch, "table of keys"))
        return false;
    return end(&in, fill_keys(L, &in));
}

/* ---- set_many ---- */

static bool fill_pairs(lua_State *L, filling *in)
{
    lua_pushnil(L);
    while (lua_next(L, in->argument)) {
        int value = lua_gettop(L);
        if (lua_type(L, value - 1) != LUA_TSTRING)
            return kvl_refuse_argument(in->state, in->argument, "a key is a %s, no string",
                                       luaL_typename(L, value - 1));
        if (!add(L, in, value - 1))
            return false;
        if (!add_value(L, in, value, kvb_batch_value))
            return name_key(L, in, value - 1);
        lua_pop(L, 1);
    }
    return true;
}

bool kvl_pairs_argument(lua_State *L, kvl_state *state, kvb_store *store, int index, kvb_batch **batch)
{
    filling in = {state, store, NULL, NULL, index};
    if (!begin(L, &in, batch, "table of keys and values"))
        return false;
    return end(&in, fill_pairs(L, &in));
}

/* ---- apply ---- */

typedef struct op_state {
    kivi_op *op;
    size_t number;
    bool has_value;
    unsigned conditions;
} op_state;

static bool wrong(const filling *in, const op_state *at, const char *what)
{
    return kvl_refuse_argument(in->state, in->argument, "operation %d: %s", (int)at->number, what);
}

static const char *text_of(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
}

static bool read_version(lua_State *L, filling *in, op_state *at, int index)
{
    kivi_slice version;
    if (lua_type(L, index) != LUA_TSTRING)
        return wrong(in, at, "'if_version' must be a version of get_versioned");
    version.data = lua_tolstring(L, index, &version.size);
    at->op->condition = KIVI_IF_VERSION;
    at->conditions++;
    return kvb_batch_expected(in->batch, version) ? true : no_memory(in->state);
}

static bool read_by(lua_State *L, const filling *in, const op_state *at, int index)
{
    kvl_integer by;
    if (lua_type(L, index) > LUA_TTHREAD || !kvl_to_integer(L, index, &by) || by.beyond)
        return wrong(in, at, "'by' must be an integer within int64");
    at->op->by = (int64_t)by.bits;
    return true;
}

static bool read_condition(lua_State *L, const filling *in, op_state *at, int index)
{
    int condition = kvb_condition(text_of(L, index));
    if (condition < 0)
        return wrong(in, at, "'if' must be \"absent\" or \"present\"");
    at->op->condition = condition;
    at->conditions++;
    return true;
}

static bool read_equal(lua_State *L, filling *in, op_state *at, int index)
{
    at->op->condition = KIVI_IF_EQUAL;
    at->conditions++;
    return add_value(L, in, index, kvb_batch_expected);
}

static bool read_value(lua_State *L, filling *in, op_state *at, int index)
{
    at->has_value = true;
    return add_value(L, in, index, kvb_batch_value);
}

static bool read_ttl(lua_State *L, const filling *in, const op_state *at, int index)
{
    static const char what[] = "'ttl' must be seconds above 0 or \"keep\"";
    if (kvl_to_ttl(L, index, &at->op->ttl_ms))
        return true;
    if (lua_type(L, index) == LUA_TNUMBER)
        return kvl_refuse(in->state, KIVI_INVALID, "%s, got %g", what, lua_tonumber(L, index));
    return wrong(in, at, what);
}

/* One field of an operation's table, but for op and key. */
static bool read_field(lua_State *L, filling *in, op_state *at, const char *name, int index)
{
    if (strcmp(name, "value") == 0)
        return read_value(L, in, at, index);
    if (strcmp(name, "ttl") == 0)
        return read_ttl(L, in, at, index);
    if (strcmp(name, "by") == 0)
        return read_by(L, in, at, index);
    if (strcmp(name, "if") == 0)
        return read_condition(L, in, at, index);
    if (strcmp(name, "if_equal") == 0)
        return read_equal(L, in, at, index);
    if (strcmp(name, "if_version") == 0)
        return read_version(L, in, at, index);
    return wrong(in, at, "it has op, key, value, ttl, by, and one of if, if_equal, if_version");
}

static bool judge(const filling *in, const op_state *at)
{
    if (!at->op->kind)
        return wrong(in, at, "'op' must be set, delete, touch, check or increment");
    if ((at->op->kind == KIVI_OP_SET) != at->has_value)
        return wrong(in, at, "'value' is for set, which needs it");
    if (at->conditions > 1)
        return wrong(in, at, "it has more than one condition");
    if (at->op->kind == KIVI_OP_CHECK && !at->conditions)
        return wrong(in, at, "check needs if, if_equal or if_version");
    return true;
}

/* The string field `name` of the table at an index, left on the stack; never raises, makes no string. */
static bool push_field(lua_State *L, int index, const char *name)
{
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (strcmp(text_of(L, -2), name) == 0) {
            lua_remove(L, -2);
            return lua_type(L, -1) == LUA_TSTRING;
        }
        lua_pop(L, 1);
    }
    lua_pushnil(L);
    return false;
}

static bool read_fields(lua_State *L, filling *in, op_state *at, int table)
{
    lua_pushnil(L);
    while (lua_next(L, table)) {
        int value = lua_gettop(L);
        const char *name = text_of(L, value - 1);
        if (strcmp(name, "op") != 0 && strcmp(name, "key") != 0 && !read_field(L, in, at, name, value))
            return false;
        lua_pop(L, 1);
    }
    return true;
}

/* The operation at the top of the stack. */
static bool read_op(lua_State *L, filling *in, op_state *at)
{
    int table = lua_gettop(L);
    if (lua_type(L, table) != LUA_TTABLE)
        return wrong(in, at, "it must be a table");
    if (!push_field(L, table, "key"))
        return wrong(in, at, "'key' must be a string");
    at->op = add(L, in, -1);
    if (!at->op)
        return false;
    at->op->flags = KIVI_OP_WANT_EXISTED;
    push_field(L, table, "op");
    at->op->kind = kvb_op_kind(text_of(L, -1));
    at->op->by = at->op->kind == KIVI_OP_INCREMENT;
    lua_pop(L, 1);
    if (!read_fields(L, in, at, table))
        return name_key(L, in, table + 1);
    return judge(in, at);
}

static bool fill_ops(lua_State *L, filling *in)
{
    size_t count = lua_rawlen(L, in->argument);
    for (size_t i = 1; i <= count; i++) {
        op_state at = {NULL, i, false, 0};
        lua_rawgeti(L, in->argument, (int)i);
        if (!read_op(L, in, &at))
            return false;
        lua_pop(L, 2); /* and its key */
    }
    return true;
}

bool kvl_ops_argument(lua_State *L, kvl_state *state, kvb_store *store, int index, kvb_batch **batch)
{
    filling in = {state, store, NULL, NULL, index};
    if (!begin(L, &in, batch, "table of operations"))
        return false;
    return end(&in, fill_ops(L, &in));
}
