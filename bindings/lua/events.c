/* Telling Lua of events: the function given as on_event, at the end of calls. */
#include <stdio.h>

#include "kvl.h"

bool kvb_host_is_telling(const kvb_store *store)
{
    const kvl_state *state = store->host;
    return state->telling;
}

/* What the protected function is given. */
typedef struct telling {
    const kvl_state *state;
    const kvb_store *store;
    const kvb_event *event;
} telling;

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, double number)
{
    lua_pushnumber(L, (lua_Number)number);
    lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, uint64_t number)
{
    lua_pushinteger(L, (lua_Integer)number);
    lua_setfield(L, -2, name);
}

static void push_event(lua_State *L, const telling *what)
{
    const kvb_event *event = what->event;
    lua_createtable(L, 0, 9);
    set_text(L, "kind", kvb_event_kind(event->type));
    set_text(L, "scheme", kivi_store_scheme(what->store->store));
    set_text(L, "verb", event->verb);
    set_text(L, "status", kivi_status_name(event->status));
    set_integer(L, "items", event->items);
    set_integer(L, "attempt", event->attempt);
    set_number(L, "duration", (double)event->duration_ns / 1e9);
    if (kivi_status_class(event->status) != KIVI_CLASS_ANSWER)
        set_text(L, "error", kvb_error_name(event->status));
    if (event->key.size) {
        lua_pushlstring(L, event->key.data, event->key.size);
        lua_setfield(L, -2, "key");
    }
}

/* Under protection: arguments are the telling and the function. */
int kvl_tell_protected(lua_State *L)
{
    push_event(L, lua_touserdata(L, 1));
    lua_call(L, 1, 0);
    return 0;
}

/* No call fails by it. */
static void report(lua_State *L)
{
    bool is_text = lua_type(L, -1) == LUA_TSTRING; /* to make one would take memory */
    fprintf(stderr, "kivi: on_event: %s\n", is_text ? lua_tostring(L, -1) : luaL_typename(L, -1));
}

static void tell_one(lua_State *L, const telling *what)
{
    int top = lua_gettop(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, what->state->tell);
    lua_pushlightuserdata(L, (void *)what);
    lua_rawgeti(L, LUA_REGISTRYINDEX, what->store->hook);
    if (lua_pcall(L, 2, 0, 0))
        report(L);
    lua_settop(L, top);
}

void kvl_tell(lua_State *L, kvb_store *store)
{
    kvl_state *state = store->host;
    size_t left = kvb_events_count(store->events);
    kvb_event event;
    telling what = {state, store, &event};
    if (!left || state->telling)
        return;
    kvb_store_ref(store);
    state->telling = true;
    for (; left && store->hook && kvb_events_next(store->events, &event); left--) {
        tell_one(L, &what);
        kvb_event_release(&event);
    }
    state->telling = false;
    kvb_store_unref(store);
}
