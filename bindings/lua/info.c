/* What the library knows: kivi.stores() and kivi.options(scheme). */
#include "kvl.h"

static void set_text(lua_State *L, const char *name, const char *text)
{
    if (!text)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_truth(lua_State *L, const char *name, bool truth)
{
    lua_pushboolean(L, truth);
    lua_setfield(L, -2, name);
}

/* kivi.stores(): a table for each scheme. */
int kvl_stores(lua_State *L)
{
    kivi_scheme_info info = {.struct_size = sizeof(info)};
    lua_newtable(L);
    for (int i = 0; kivi_scheme_describe((size_t)i, &info, NULL) == KIVI_OK; i++) {
        lua_createtable(L, 0, 5);
        set_text(L, "scheme", info.scheme);
        set_text(L, "backend", info.backend);
        set_text(L, "summary", info.summary);
        set_truth(L, "available", info.available);
        set_text(L, "reason", info.available ? NULL : info.reason);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static void push_option(lua_State *L, const kivi_option_info *info)
{
    lua_createtable(L, 0, 8);
    set_text(L, "name", info->name);
    set_text(L, "type", kvb_option_type(info->type));
    set_text(L, "default", info->default_text);
    set_text(L, "recommended", info->recommended_text);
    set_text(L, "choices", info->choices);
    set_text(L, "help", info->help);
    set_truth(L, "secret", info->flags & KIVI_OPTION_SECRET);
    set_truth(L, "required", info->flags & KIVI_OPTION_REQUIRED);
}

/* kivi.options(scheme): a table for each option. */
int kvl_scheme_options(lua_State *L)
{
    const char *scheme = luaL_checkstring(L, 1);
    kvl_state *state = kvl_state_of(L);
    kivi_option_info info = {.struct_size = sizeof(info)};
    kivi_error *error;
    kivi_status status;
    lua_newtable(L);
    for (int i = 0; !(status = kivi_option_describe(scheme, (size_t)i, &info, &error)); i++) {
        push_option(L, &info);
        lua_rawseti(L, -2, i + 1);
    }
    if (status == KIVI_NOT_FOUND)
        return 1;
    kvl_refuse_error(state, status, error);
    return kvl_leave(L);
}
