/* The state of one interpreter: metatables, protected functions, and the problem that ends a call. */
#include "kvl.h"

#include <stdarg.h>
#include <stdio.h>

const char kvl_a_store, kvl_a_box, kvl_a_scan, kvl_a_queue, kvl_a_pending;
static const char state_key;

kvl_state *kvl_state_of(lua_State *L)
{
    kvl_state *state;
    lua_pushlightuserdata(L, (void *)&state_key);
    lua_rawget(L, LUA_REGISTRYINDEX);
    state = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return state;
}

static int protected_function(lua_State *L, lua_CFunction function)
{
    lua_pushcfunction(L, function);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Where the command line's interpreter sets its hook; 5.1 knows it only where the module is loaded there. */
static lua_State *main_thread(lua_State *L)
{
    lua_State *main;
#if LUA_VERSION_NUM >= 502
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    main = lua_tothread(L, -1);
#else
    main = lua_pushthread(L) ? L : NULL;
#endif
    lua_pop(L, 1);
    return main;
}

static bool holds_one_nan(lua_State *L)
{
    uint64_t bits = kvl_nan + 1;
    lua_Number number;
    memcpy(&number, &bits, sizeof(number));
    lua_pushnumber(L, number);
    number = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return memcmp(&number, &bits, sizeof(number)) != 0;
}

kvl_state *kvl_state_new(lua_State *L)
{
    kvl_state *state;
    lua_pushlightuserdata(L, (void *)&state_key);
    state = lua_newuserdata(L, sizeof(*state));
    memset(state, 0, sizeof(*state));
    lua_rawset(L, LUA_REGISTRYINDEX);
    state->main = main_thread(L);
    state->one_nan = holds_one_nan(L);
    state->convert = protected_function(L, kvl_convert_protected);
    state->encode = protected_function(L, kvl_encode_protected);
    state->pend = protected_function(L, kvl_pend_protected);
    state->compute = protected_function(L, kvl_compute_protected);
    state->tell = protected_function(L, kvl_tell_protected);
    return state;
}

void *kvl_object_new(lua_State *L, kvl_state *state, size_t size, const char *kind, int meta)
{
    const char **object = lua_newuserdata(L, size);
    memset(object, 0, size);
    *object = kind;
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->metas[meta]);
    lua_setmetatable(L, -2);
    return object;
}

void kvl_functions(lua_State *L, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_pushcfunction(L, functions->func);
        lua_setfield(L, -2, functions->name);
    }
}

void kvl_meta_new(lua_State *L, kvl_state *state, int meta, const char *name,
                  const luaL_Reg *events, const luaL_Reg *methods)
{
    lua_newtable(L);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    if (methods) {
        lua_newtable(L);
        kvl_functions(L, methods);
        lua_setfield(L, -2, "__index");
    }
    kvl_functions(L, events);
    state->meta_of[meta] = lua_topointer(L, -1);
    state->metas[meta] = luaL_ref(L, LUA_REGISTRYINDEX);
}

int kvl_meta(lua_State *L, const kvl_state *state, int index)
{
    const void *address;
    if (!lua_getmetatable(L, index))
        return -1;
    address = lua_topointer(L, -1);
    lua_pop(L, 1);
    if (address == state->cjson.array)
        return KVL_META_ARRAY;
    for (int meta = 0; meta < KVL_META_COUNT; meta++)
        if (state->meta_of[meta] == address)
            return meta;
    return -1;
}

/* ---- cjson's marks ---- */

static const void *address_of(lua_State *L, int table, const char *name, int type)
{
    const void *address;
    lua_pushstring(L, name);
    lua_rawget(L, table);
    address = lua_type(L, -1) == type ? lua_topointer(L, -1) : NULL;
    return address;
}

/* The module on top, if it is one with marks. */
static void take_marks(lua_State *L, kvl_state *state)
{
    int module = lua_gettop(L);
    if (!lua_istable(L, module))
        return;
    state->cjson.empty_array = address_of(L, module, "empty_array_mt", LUA_TTABLE);
    lua_pushliteral(L, "empty_array");
    lua_rawget(L, module);
    state->cjson.empty = lua_islightuserdata(L, -1) ? lua_touserdata(L, -1) : NULL;
    if (address_of(L, module, "array_mt", LUA_TTABLE)) {
        state->cjson.array = lua_topointer(L, -1);
        state->cjson.array_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_settop(L, module);
}

void kvl_find_cjson(lua_State *L, kvl_state *state)
{
    static const char *const names[] = {"cjson", "cjson.safe"};
    int top = lua_gettop(L);
    if (state->cjson.array)
        return;
    luaL_checkstack(L, 6, NULL);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    for (int i = 0; i < 2 && lua_istable(L, top + 1) && !state->cjson.array; i++) {
        lua_pushstring(L, names[i]);
        lua_rawget(L, top + 1);
        take_marks(L, state);
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
}

void kvl_push_array_meta(lua_State *L, kvl_state *state)
{
    kvl_find_cjson(L, state);
    lua_rawgeti(L, LUA_REGISTRYINDEX,
                state->cjson.array ? state->cjson.array_ref : state->metas[KVL_META_ARRAY]);
}

/* ---- problems ---- */

bool kvl_refuse(kvl_state *state, kivi_status status, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(state->problem.text, sizeof(state->problem.text), format, values);
    va_end(values);
    state->problem.exit = KVL_ANSWER;
    state->problem.status = status;
    state->problem.key = kivi_bytes(NULL, 0);
    state->problem.item = 0;
    return false;
}

bool kvl_refuse_argument(kvl_state *state, int argument, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vsnprintf(state->problem.text, sizeof(state->problem.text), format, values);
    va_end(values);
    state->problem.exit = KVL_ARGUMENT;
    state->problem.argument = argument;
    return false;
}

bool kvl_refuse_type(lua_State *L, kvl_state *state, int argument, const char *expected)
{
    return kvl_refuse_argument(state, argument, "%s expected, got %s", expected,
                               luaL_typename(L, argument));
}

bool kvl_refuse_error(kvl_state *state, kivi_status status, kivi_error *error)
{
    char text[KVB_MESSAGE];
    kvl_refuse(state, status, "%s",
               error ? kvb_message(kivi_error_message(error), "kivi", text) : "out of memory");
    kivi_error_free(error);
    return false;
}

void kvl_refuse_key(kvl_state *state, kivi_slice key)
{
    if (state->problem.exit == KVL_ANSWER)
        state->problem.key = key;
}

bool kvl_refuse_top(kvl_state *state)
{
    state->problem.exit = KVL_RAISE;
    return false;
}

int kvl_leave(lua_State *L)
{
    kvl_state *state = kvl_state_of(L);
    kvl_problem problem = state->problem;
    if (problem.exit == KVL_RAISE)
        return lua_error(L);
    if (problem.exit == KVL_ARGUMENT)
        return luaL_argerror(L, problem.argument, problem.text);
    luaL_checkstack(L, 8, NULL);
    lua_pushnil(L); /* above the arguments, in which the problem's key may lie */
    kvl_push_problem(L, state, &problem);
    return 2;
}
