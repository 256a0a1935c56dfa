/* Boxes: floats, bytes, ext and timestamps that Lua's own types cannot tell; and tables that say what they are. */
#include "kvl.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

const uint64_t kvl_nan = UINT64_C(0x7ff8000000000000);

kvl_box *kvl_box_new(lua_State *L, kvl_state *state, int what, size_t size)
{
    kvl_box *box = kvl_object_new(L, state, sizeof(kvl_box) + size, &kvl_a_box, what);
    box->what = (uint8_t)what;
    box->size = size;
    return box;
}

void kvl_push_bytes(lua_State *L, kvl_state *state, int what, int8_t ext_type, kivi_slice bytes)
{
    kvl_box *box = kvl_box_new(L, state, what, bytes.size);
    box->ext_type = ext_type;
    if (bytes.size)
        memcpy(box->bytes, bytes.data, bytes.size);
}

void kvl_push_timestamp(lua_State *L, kvl_state *state, int64_t seconds, uint32_t nanoseconds)
{
    kvl_box *box = kvl_box_new(L, state, KVL_META_TIMESTAMP, 0);
    box->bits = (uint64_t)seconds;
    box->nanoseconds = nanoseconds;
}

void kvl_push_float(lua_State *L, kvl_state *state, double value)
{
    kvl_integer integer;
    bool changes = !KVL_INTEGERS && kvl_is_written_integer(value, &integer);
    if (value != value && state->one_nan)
        changes = memcmp(&value, &kvl_nan, sizeof(value)) != 0;
    if (changes)
        kvl_box_new(L, state, KVL_META_FLOAT, 0)->real = value;
    else
        lua_pushnumber(L, value);
}

static kvl_box *check(lua_State *L, int index, int what, const char *name)
{
    kvl_box *box = kvl_object(L, index, &kvl_a_box);
    if (!box || box->what != what)
        luaL_argerror(L, index,
                      lua_pushfstring(L, "%s expected, got %s", name, luaL_typename(L, index)));
    return box;
}

/* ---- bytes: kivi.bin and kivi.Ext ---- */

static int bin(lua_State *L)
{
    kivi_slice bytes;
    bytes.data = luaL_checklstring(L, 1, &bytes.size);
    kvl_push_bytes(L, kvl_state_of(L), KVL_META_BIN, 0, bytes);
    return 1;
}

static int ext(lua_State *L)
{
    lua_Number type = luaL_checknumber(L, 1);
    kivi_slice bytes;
    bytes.data = luaL_checklstring(L, 2, &bytes.size);
    if (type != floor(type) || type < -128 || type > 127 || type == -1)
        return luaL_argerror(L, 1, "ext type from -128 to 127 expected; -1 is kivi.timestamp");
    kvl_push_bytes(L, kvl_state_of(L), KVL_META_EXT, (int8_t)type, bytes);
    return 1;
}

static int bin_text(lua_State *L)
{
    const kvl_box *box = check(L, 1, KVL_META_BIN, "kivi.bin");
    lua_pushlstring(L, box->bytes, box->size);
    return 1;
}

static int ext_text(lua_State *L)
{
    const kvl_box *box = check(L, 1, KVL_META_EXT, "kivi.Ext");
    lua_pushfstring(L, "kivi.Ext(%d, %d bytes)", (int)box->ext_type, (int)box->size);
    return 1;
}

static int bytes_length(lua_State *L)
{
    const kvl_box *box = kvl_object(L, 1, &kvl_a_box);
    lua_pushnumber(L, box ? (lua_Number)box->size : 0);
#if KVL_INTEGERS
    lua_pushinteger(L, box ? (lua_Integer)box->size : 0);
#endif
    return 1;
}

static int bytes_equal(lua_State *L)
{
    const kvl_box *left = kvl_object(L, 1, &kvl_a_box), *right = kvl_object(L, 2, &kvl_a_box);
    lua_pushboolean(L, left && right && left->what == right->what &&
                           left->ext_type == right->ext_type && left->size == right->size &&
                           memcmp(left->bytes, right->bytes, left->size) == 0);
    return 1;
}

static int bin_concatenate(lua_State *L)
{
    for (int i = 1; i <= 2; i++) {
        const kvl_box *box = kvl_object(L, i, &kvl_a_box);
        if (!box || box->what != KVL_META_BIN) {
            luaL_checkstring(L, i);
            continue;
        }
        lua_pushlstring(L, box->bytes, box->size);
        lua_replace(L, i);
    }
    lua_settop(L, 2);
    lua_concat(L, 2);
    return 1;
}

static int ext_field(lua_State *L)
{
    const kvl_box *box = check(L, 1, KVL_META_EXT, "kivi.Ext");
    const char *name = lua_tostring(L, 2);
    if (name && strcmp(name, "type") == 0)
        lua_pushinteger(L, box->ext_type);
    else if (name && strcmp(name, "data") == 0)
        lua_pushlstring(L, box->bytes, box->size);
    else
        lua_pushnil(L);
    return 1;
}

/* ---- kivi.float ---- */

static int real(lua_State *L)
{
    const kvl_box *box = kvl_object(L, 1, &kvl_a_box);
    kvl_integer integer;
    double value;
    if (box && box->what == KVL_META_FLOAT)
        value = box->real;
    else if (box && kvl_to_integer(L, 1, &integer))
        value = integer.beyond ? (double)integer.bits : (double)(int64_t)integer.bits;
    else
        value = luaL_checknumber(L, 1);
    if (!box && value != value && kvl_state_of(L)->one_nan)
        memcpy(&value, &kvl_nan, sizeof(value)); /* as encode.c writes a number that is none */
    kvl_push_float(L, kvl_state_of(L), value);
    return 1;
}

/* ---- kivi.timestamp ---- */

static int timestamp(lua_State *L)
{
    lua_Number nanoseconds = luaL_optnumber(L, 2, 0);
    kvl_integer seconds;
    if (lua_type(L, 1) == LUA_TNUMBER && lua_isnone(L, 2) && !kvl_to_integer(L, 1, &seconds)) {
        double whole = floor(lua_tonumber(L, 1));
        nanoseconds = floor((lua_tonumber(L, 1) - whole) * 1e9);
        if (!kvl_number_integer(whole, &seconds))
            return luaL_argerror(L, 1, "seconds within 64 bits expected");
    } else if (!kvl_to_integer(L, 1, &seconds) || seconds.beyond) {
        return luaL_argerror(L, 1, "whole seconds within 64 bits expected");
    }
    if (!(nanoseconds >= 0 && nanoseconds < 1e9) || nanoseconds != floor(nanoseconds))
        return luaL_argerror(L, 2, "nanoseconds from 0 to 999999999 expected");
    kvl_push_timestamp(L, kvl_state_of(L), (int64_t)seconds.bits, (uint32_t)nanoseconds);
    return 1;
}

static kvl_box *check_time(lua_State *L, int index)
{
    return check(L, index, KVL_META_TIMESTAMP, "kivi.timestamp");
}

/* "2024-02-29T12:00:00.5Z"; beyond the calendar's years as seconds. */
static int time_text(lua_State *L)
{
    const kvl_box *box = check_time(L, 1);
    time_t seconds = (time_t)box->bits;
    char text[80], fraction[16] = "";
    size_t size;
    struct tm date;
    if (box->nanoseconds) {
        snprintf(fraction, sizeof(fraction), ".%09u", (unsigned)box->nanoseconds);
        for (size = strlen(fraction); size > 0 && fraction[size - 1] == '0'; size--)
            fraction[size - 1] = 0;
    }
    if (gmtime_r(&seconds, &date) && strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &date))
        lua_pushfstring(L, "%s%sZ", text, fraction);
    else {
        snprintf(text, sizeof(text), "%lld%s", (long long)(int64_t)box->bits, fraction);
        lua_pushfstring(L, "kivi.timestamp(%s)", text);
    }
    return 1;
}

static int time_order(lua_State *L)
{
    const kvl_box *left = check_time(L, 1), *right = check_time(L, 2);
    if (left->bits != right->bits)
        return (int64_t)left->bits < (int64_t)right->bits ? -1 : 1;
    return left->nanoseconds < right->nanoseconds ? -1 : left->nanoseconds > right->nanoseconds;
}

static int time_equal(lua_State *L)
{
    const kvl_box *left = kvl_object(L, 1, &kvl_a_box), *right = kvl_object(L, 2, &kvl_a_box);
    lua_pushboolean(L, left && right && left->what == KVL_META_TIMESTAMP &&
                           right->what == KVL_META_TIMESTAMP && time_order(L) == 0);
    return 1;
}

static int time_less(lua_State *L)
{
    lua_pushboolean(L, time_order(L) < 0);
    return 1;
}

static int time_less_or_equal(lua_State *L)
{
    lua_pushboolean(L, time_order(L) <= 0);
    return 1;
}

static int time_number(lua_State *L)
{
    const kvl_box *box = check_time(L, 1);
    lua_pushnumber(L, (double)(int64_t)box->bits + box->nanoseconds / 1e9);
    return 1;
}

static int time_field(lua_State *L)
{
    const kvl_box *box = check_time(L, 1);
    const char *name = lua_tostring(L, 2);
    if (name && strcmp(name, "seconds") == 0)
        kvl_push_int(L, kvl_state_of(L), (int64_t)box->bits);
    else if (name && strcmp(name, "nanoseconds") == 0)
        lua_pushinteger(L, (lua_Integer)box->nanoseconds);
    else if (name && strcmp(name, "tonumber") == 0)
        lua_pushcfunction(L, time_number);
    else
        lua_pushnil(L);
    return 1;
}

/* ---- kivi.array, kivi.map, kivi.pairs ---- */

static int mark(lua_State *L, int meta)
{
    kvl_state *state = kvl_state_of(L);
    int has;
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    kvl_find_cjson(L, state);
    has = kvl_meta(L, state, 1);
    if (has < KVL_META_ARRAY || has > KVL_META_PAIRS) {
        if (lua_getmetatable(L, 1))
            return luaL_argerror(L, 1, "table without a metatable expected");
    }
    if (meta == KVL_META_ARRAY)
        kvl_push_array_meta(L, state);
    else
        lua_rawgeti(L, LUA_REGISTRYINDEX, state->metas[meta]);
    lua_setmetatable(L, 1);
    return 1;
}

static int array(lua_State *L)
{
    return mark(L, KVL_META_ARRAY);
}

static int map(lua_State *L)
{
    return mark(L, KVL_META_MAP);
}

static int pairs_of(lua_State *L)
{
    return mark(L, KVL_META_PAIRS);
}

/* kivi.type(v): what of libkivi's a value is, by name; else nil. */
static int type_of(lua_State *L)
{
    static const char *const names[] = {"int",   "float", "bin",   "ext",   "timestamp",
                                        "array", "map",   "pairs", "error", "store"};
    kvl_state *state = kvl_state_of(L);
    int meta;
    luaL_checkany(L, 1);
    if (lua_istable(L, 1))
        kvl_find_cjson(L, state);
    meta = lua_istable(L, 1) || lua_type(L, 1) == LUA_TUSERDATA ? kvl_meta(L, state, 1) : -1;
    if (lua_type(L, 1) == LUA_TLIGHTUSERDATA && !lua_touserdata(L, 1))
        lua_pushliteral(L, "null");
    else if (meta >= 0 && meta <= KVL_META_STORE)
        lua_pushstring(L, names[meta]);
    else
        lua_pushnil(L);
    return 1;
}

void *kvl_delete_mark(void)
{
    static char mark_of_delete;
    return &mark_of_delete;
}

void *kvl_leave_mark(void)
{
    static char mark_of_leave;
    return &mark_of_leave;
}

static void register_metas(lua_State *L, kvl_state *state)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg bins[] = {{"__tostring", bin_text},
                                    {"__len", bytes_length},
                                    {"__eq", bytes_equal},
                                    {"__concat", bin_concatenate},
                                    {NULL, NULL}};
    static const luaL_Reg exts[] = {{"__tostring", ext_text},
                                    {"__len", bytes_length},
                                    {"__eq", bytes_equal},
                                    {"__index", ext_field},
                                    {NULL, NULL}};
    static const luaL_Reg times[] = {{"__tostring", time_text}, {"__eq", time_equal},
                                     {"__lt", time_less},       {"__le", time_less_or_equal},
                                     {"__index", time_field},   {NULL, NULL}};
    kvl_meta_new(L, state, KVL_META_INT, "kivi.int", kvl_number_events, kvl_number_methods);
    kvl_meta_new(L, state, KVL_META_FLOAT, "kivi.float", kvl_number_events, kvl_number_methods);
    kvl_meta_new(L, state, KVL_META_BIN, "kivi.bin", bins, NULL);
    kvl_meta_new(L, state, KVL_META_EXT, "kivi.Ext", exts, NULL);
    kvl_meta_new(L, state, KVL_META_TIMESTAMP, "kivi.timestamp", times, NULL);
    kvl_meta_new(L, state, KVL_META_ARRAY, "kivi.array", none, NULL);
    kvl_meta_new(L, state, KVL_META_MAP, "kivi.map", none, NULL);
    kvl_meta_new(L, state, KVL_META_PAIRS, "kivi.pairs", none, NULL);
}

/* Adds the constructors to the module's table, on top. */
void kvl_boxes_register(lua_State *L, kvl_state *state)
{
    static const luaL_Reg makers[] = {{"int", kvl_int}, {"float", real},          {"bin", bin},
                                      {"Ext", ext},     {"timestamp", timestamp}, {"array", array},
                                      {"map", map},     {"pairs", pairs_of},      {"type", type_of},
                                      {NULL, NULL}};
    register_metas(L, state);
    kvl_functions(L, makers);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    lua_pushlightuserdata(L, kvl_delete_mark());
    lua_setfield(L, -2, "delete");
    lua_pushlightuserdata(L, kvl_leave_mark());
    lua_setfield(L, -2, "leave");
}
