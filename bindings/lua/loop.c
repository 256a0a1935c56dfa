/*
 * What the Lua side of an event loop needs besides queues, as the table `loop` of the module: a store's calls through a
 * queue, a socket that tells when there are answers (wake.c), and errors of its own. lua/resty/kivi.lua stands on it.
 */
#include "kvl.h"

#include <string.h>

/* loop.through(store, queue): the same open store, whose calls are submitted. */
static int through(lua_State *L)
{
    kvl_state *state = kvl_state_of(L);
    kvb_store *store;
    kvb_queue *queue = kvl_check_queue(L, 2);
    kvl_store *object;
    if (!kvl_store_argument(L, 1, &store))
        return kvl_leave(L);
    object = kvl_object_new(L, state, sizeof(*object), &kvl_a_store, KVL_META_STORE);
    object->store = kvb_store_through(store, queue);
    if (!object->store) {
        kvl_refuse(state, KIVI_NO_MEMORY, "out of memory");
        return kvl_leave(L);
    }
    object->store->host = state;
    if (store->hook) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, store->hook);
        object->hook = object->store->hook = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    return 1;
}

/* loop.is_in_place(store): whether its values are read where they lie, so that a read waits for nothing. */
static int is_in_place(lua_State *L)
{
    kvb_store *store;
    if (!kvl_store_argument(L, 1, &store))
        return kvl_leave(L);
    lua_pushboolean(L, store->can.in_place);
    return 1;
}

/* LuaJIT's, which is not in the headers of Lua 5.1; newer Lua has it too. */
int lua_isyieldable(lua_State *L) __attribute__((weak));

/* loop.can_yield(): not below a C function that calls back. nginx takes coroutine.isyieldable() away. */
static int can_yield(lua_State *L)
{
    lua_pushboolean(L, !lua_isyieldable || lua_isyieldable(L));
    return 1;
}

static kivi_status status_of(const char *word)
{
    int32_t status = KIVI_OK;
    while (status <= KIVI_INTERNAL && strcmp(kivi_status_name(status), word) != 0)
        status++;
    return status <= KIVI_INTERNAL ? status : KIVI_INVALID;
}

/* loop.error(code, message): an error as calls answer them. */
static int new_error(lua_State *L)
{
    kvl_problem problem = {.exit = KVL_ANSWER, .status = status_of(luaL_checkstring(L, 1))};
    const char *text = luaL_checkstring(L, 2);
    size_t size = strlen(text);
    memcpy(problem.text, text, size < sizeof(problem.text) ? size : sizeof(problem.text) - 1);
    kvl_push_problem(L, kvl_state_of(L), &problem);
    return 1;
}

void kvl_loop_register(lua_State *L, kvl_state *state)
{
    static const luaL_Reg functions[] = {{"through", through},     {"is_in_place", is_in_place},
                                         {"can_yield", can_yield}, {"error", new_error},
                                         {"wake", kvl_wake_new},   {NULL, NULL}};
    kvl_wakes_register(L, state);
    lua_newtable(L);
    kvl_functions(L, functions);
    lua_setfield(L, -2, "loop");
}
