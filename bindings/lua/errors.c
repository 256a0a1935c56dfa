/* Errors as tables: code, name, backend, message, retryable, native_code, native_text. */
#include "kvl.h"

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

/* false: no use; true: nothing was applied; else a word that says when it is safe. */
static void push_retryable(lua_State *L, kivi_retryable retryable)
{
    switch (retryable) {
    case KIVI_RETRY_NO:
        lua_pushboolean(L, false);
        break;
    case KIVI_RETRY_YES:
        lua_pushboolean(L, true);
        break;
    case KIVI_RETRY_IF_IDEMPOTENT:
        lua_pushliteral(L, "if_idempotent");
        break;
    default:
        lua_pushliteral(L, "later");
    }
}

/* What came without an error of its own. */
static const char *plain_message(kivi_status status)
{
    switch (status) {
    case KIVI_NOT_FOUND:
        return "the key is not there";
    case KIVI_CONDITION:
        return "the condition did not hold";
    case KIVI_CLOSED:
        return "the queue is closed";
    case KIVI_NO_MEMORY:
        return "out of memory";
    default:
        return "the call failed";
    }
}

static void push(lua_State *L, const kvl_state *state, kivi_status status, const char *message,
                 const char *backend, kivi_retryable retryable, int64_t native_code,
                 const char *native_text)
{
    luaL_checkstack(L, 4, NULL);
    lua_createtable(L, 0, 7);
    set_text(L, "code", kivi_status_name(status));
    set_text(L, "name", kvb_error_name(status));
    set_text(L, "message", message);
    set_text(L, "backend", backend);
    set_text(L, "native_text", native_text);
    push_retryable(L, retryable);
    lua_setfield(L, -2, "retryable");
    lua_pushnumber(L, (lua_Number)native_code);
#if KVL_INTEGERS
    lua_pop(L, 1);
    lua_pushinteger(L, native_code);
#endif
    lua_setfield(L, -2, "native_code");
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->metas[KVL_META_ERROR]);
    lua_setmetatable(L, -2);
}

void kvl_push_error(lua_State *L, const kvl_state *state, kivi_status status, const kivi_error *error)
{
    char text[KVB_MESSAGE];
    if (error)
        push(L, state, status, kvb_message(kivi_error_message(error), "kivi", text),
             kivi_error_backend(error), kivi_error_retryable(error), kivi_error_native_code(error),
             kivi_error_native_text(error));
    else
        push(L, state, status, plain_message(status), "", KIVI_RETRY_NO, 0, "");
}

void kvl_push_problem(lua_State *L, const kvl_state *state, const kvl_problem *problem)
{
    push(L, state, problem->status, problem->text, "", KIVI_RETRY_NO, 0, "");
    if (problem->key.data)
        kvl_name_key(L, problem->key, true);
    if (!problem->item)
        return;
    lua_pushnil(L);
    lua_insert(L, -2);
    kvl_add_failure(L, state, lua_gettop(L) - 1, problem->item);
}

/* ---- whose value it was ---- */

void kvl_name_key(lua_State *L, kivi_slice key, bool in_message)
{
    char prefix[KVB_KEY_PREFIX];
    if (in_message) {
        lua_pushstring(L, kvb_key_prefix(key, prefix));
        lua_getfield(L, -2, "message");
        lua_concat(L, 2);
        lua_setfield(L, -2, "message");
    }
    lua_pushlstring(L, key.data ? key.data : "", key.size);
    lua_setfield(L, -2, "key");
}

/* A table like the one on top, above it. */
static void push_copy(lua_State *L, const kvl_state *state)
{
    int original = lua_gettop(L);
    lua_createtable(L, 0, 10);
    lua_pushnil(L);
    while (lua_next(L, original)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, original + 1);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->metas[KVL_META_ERROR]);
    lua_setmetatable(L, -2);
}

void kvl_add_failure(lua_State *L, const kvl_state *state, int whole, size_t position)
{
    luaL_checkstack(L, 8, NULL);
    if (lua_isnil(L, whole)) {
        push_copy(L, state);
        lua_newtable(L);
        lua_setfield(L, -2, "failures");
        lua_replace(L, whole);
    }
    lua_getfield(L, whole, "failures");
    lua_insert(L, -2);
    lua_rawseti(L, -2, (int)position);
    lua_pop(L, 1);
}

/* "TIMEOUT: no answer within 5 s [redis]" */
static int to_text(lua_State *L)
{
    const char *backend;
    lua_settop(L, 1);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "code");
    lua_getfield(L, 1, "message");
    lua_getfield(L, 1, "backend");
    backend = lua_tostring(L, 4);
    lua_pushfstring(L, "%s: %s", lua_isstring(L, 2) ? lua_tostring(L, 2) : "UNKNOWN",
                    lua_isstring(L, 3) ? lua_tostring(L, 3) : "");
    if (backend && *backend)
        lua_pushfstring(L, "%s [%s]", lua_tostring(L, -1), backend);
    return 1;
}

void kvl_errors_register(lua_State *L, kvl_state *state)
{
    static const luaL_Reg events[] = {{"__tostring", to_text}, {NULL, NULL}};
    kvl_meta_new(L, state, KVL_META_ERROR, "kivi.Error", events, NULL);
}
