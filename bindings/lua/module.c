/* The module kivi_core: opening stores, and what its table holds. */
#include "kvl.h"

#include <stdlib.h>

/* ---- open(url, options, queue) ---- */

static bool set_option(lua_State *L, kivi_options *options, const char *name, int index,
                       kivi_status *status, kivi_error **error)
{
    size_t size;
    const char *text;
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        *status = kivi_options_set_bool(options, name, lua_toboolean(L, index), error);
        return true;
    case LUA_TNUMBER:
#if KVL_INTEGERS
        if (lua_isinteger(L, index)) {
            *status = kvb_option_integer(options, name, lua_tointeger(L, index), error);
            return true;
        }
#endif
        *status = kvb_option_number(options, name, lua_tonumber(L, index), error);
        return true;
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &size);
        *status = kivi_options_set(options, name, text, error);
        return strlen(text) == size;
    default:
        return false;
    }
}

static bool refuse_option(lua_State *L, kvl_state *state, int index)
{
    if (lua_type(L, index - 1) != LUA_TSTRING)
        return kvl_refuse_argument(state, 2, "an option's name is a %s, no string",
                                   luaL_typename(L, index - 1));
    return kvl_refuse_argument(state, 2, "option '%.60s' must be text, number or boolean",
                               lua_tostring(L, index - 1));
}

/* on_event: take_hook() has taken it. */
static bool is_hook(lua_State *L, int value)
{
    return lua_type(L, value - 1) == LUA_TSTRING &&
           strcmp(lua_tostring(L, value - 1), "on_event") == 0;
}

/* Keeps the function on_event of the table at 2. */
static void take_hook(lua_State *L, kvl_store *object)
{
    if (!lua_istable(L, 2))
        return;
    lua_pushliteral(L, "on_event");
    lua_rawget(L, 2);
    if (lua_isfunction(L, -1))
        object->hook = luaL_ref(L, LUA_REGISTRYINDEX);
    else
        lua_pop(L, 1);
}

/* Reads the table at 2. Never raises. */
static bool read_options(lua_State *L, kvl_state *state, kivi_options *options)
{
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        int value = lua_gettop(L);
        if (is_hook(L, value)) {
            if (!lua_isfunction(L, value))
                return kvl_refuse_argument(state, 2, "option 'on_event' must be a function");
            lua_pop(L, 1);
            continue;
        }
        kivi_error *error = NULL;
        kivi_status status = KIVI_OK;
        if (lua_type(L, value - 1) != LUA_TSTRING ||
            !set_option(L, options, lua_tostring(L, value - 1), value, &status, &error)) {
            kivi_error_free(error);
            return refuse_option(L, state, value);
        }
        if (status)
            return kvl_refuse_error(state, status, error);
        lua_pop(L, 1);
    }
    return true;
}

static bool open_store(lua_State *L, kvl_state *state, kvl_store *object, const char *url,
                       kvb_queue *queue, kivi_error **error)
{
    kivi_options *options = kivi_options_new();
    kvb_events *events = NULL;
    kivi_call call = KIVI_CALL_INIT;
    kvl_hooks hooks;
    if (options && object->hook)
        events = kvb_events_new(options);
    if (!options || (object->hook && !events)) {
        kivi_options_free(options);
        return kvl_refuse(state, KIVI_NO_MEMORY, "out of memory");
    }
    if (lua_istable(L, 2) && !read_options(L, state, options)) {
        kivi_options_free(options);
        kvb_events_unref(events);
        return false;
    }
    kvl_call_begin(&call, &hooks, L, state);
    object->store = kvb_open(url, &call, options, queue, error);
    kivi_options_free(options);
    if (object->store) {
        object->store->host = state;
        object->store->hook = object->hook;
        kvb_store_hear(object->store, events);
        return true;
    }
    kvb_events_unref(events);
    return kvl_refuse(state, *error ? kivi_error_status(*error) : KIVI_NO_MEMORY, "out of memory");
}

/* Nil and the error of open, freed even where making the table raises: it lies in a userdata until then. */
static int open_failed(lua_State *L, const kvl_state *state, kivi_error **error)
{
    lua_pushnil(L);
    kvl_push_error(L, state, kivi_error_status(*error), *error);
    kivi_error_free(*error);
    *error = NULL;
    return 2;
}

static int free_error(lua_State *L)
{
    kivi_error **error = lua_touserdata(L, 1);
    kivi_error_free(*error);
    *error = NULL;
    return 0;
}

static kivi_error **error_new(lua_State *L)
{
    kivi_error **error = lua_newuserdata(L, sizeof(*error));
    *error = NULL;
    lua_newtable(L);
    lua_pushcfunction(L, free_error);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return error;
}

static int open(lua_State *L)
{
    kvl_state *state = kvl_state_of(L);
    size_t size;
    const char *url = luaL_checklstring(L, 1, &size);
    kvb_queue *queue = lua_isnoneornil(L, 3) ? NULL : kvl_check_queue(L, 3);
    kvl_store *object;
    kivi_error **error;
    if (strlen(url) != size)
        return luaL_argerror(L, 1, "the URL holds a NUL");
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 3);
    error = error_new(L);
    object = kvl_object_new(L, state, sizeof(*object), &kvl_a_store, KVL_META_STORE);
    take_hook(L, object);
    if (!open_store(L, state, object, url, queue, error))
        return *error ? open_failed(L, state, error) : kvl_leave(L);
    return 1;
}

/* ---- stores ---- */

static int collect(lua_State *L)
{
    kvl_store *object = kvl_object(L, 1, &kvl_a_store);
    if (!object)
        return 0;
    if (object->hook) {
        if (object->store) /* a call in flight may hold it */
            object->store->hook = 0;
        luaL_unref(L, LUA_REGISTRYINDEX, object->hook);
        object->hook = 0;
    }
    kvb_store_unref(object->store);
    object->store = NULL;
    return 0;
}

static int close_store(lua_State *L)
{
    kvb_store *store;
    if (!kvl_store_argument(L, 1, &store))
        return kvl_leave(L);
    kivi_store_close(store->store);
    kvl_tell_events(L, store);
    return 0;
}

static int store_text(lua_State *L)
{
    const kvl_store *object = kvl_object(L, 1, &kvl_a_store);
    lua_pushfstring(L, "kivi store (%s)",
                    object && object->store ? kivi_store_url(object->store->store) : "gone");
    return 1;
}

static void register_stores(lua_State *L, kvl_state *state)
{
    static const luaL_Reg methods[] = {{"scan", kvl_scan}, {"keys", kvl_keys}, {NULL, NULL}};
    static const luaL_Reg events[] = {
        {"__gc", collect}, {"__close", close_store}, {"__tostring", store_text}, {NULL, NULL}};
    kvl_meta_new(L, state, KVL_META_STORE, "kivi.Store", events, methods);
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->metas[KVL_META_STORE]);
    lua_getfield(L, -1, "__index");
    kvl_functions(L, kvl_swig_store_methods);
    lua_getfield(L, -1, "copy_to");
    lua_setfield(L, -4, "copy"); /* the module's: kivi.copy(source, target, options) */
    lua_pushnil(L);
    lua_setfield(L, -2, "copy_to");
    lua_pushcfunction(L, close_store);
    lua_setfield(L, -2, "close");
    lua_pop(L, 2);
}

__attribute__((visibility("default"))) int luaopen_kivi_core(lua_State *L);

int luaopen_kivi_core(lua_State *L)
{
    static const luaL_Reg functions[] = {{"open", open},
                                         {"queue", kvl_queue_new},
                                         {"stores", kvl_stores},
                                         {"options", kvl_scheme_options},
                                         {NULL, NULL}};
    kvl_state *state = kvl_state_of(L);
    if (state) { /* loaded once more: objects of the first must stay known */
        lua_rawgeti(L, LUA_REGISTRYINDEX, state->module);
        return 1;
    }
    state = kvl_state_new(L);
    lua_newtable(L);
    kvl_errors_register(L, state);
    kvl_boxes_register(L, state);
    register_stores(L, state);
    kvl_scans_register(L, state);
    kvl_queues_register(L, state);
    kvl_loop_register(L, state);
    kvl_functions(L, functions);
    lua_pushstring(L, kivi_version());
    lua_setfield(L, -2, "version");
    lua_pushvalue(L, -1);
    state->module = luaL_ref(L, LUA_REGISTRYINDEX);
    return 1;
}
