/* Stored values on their way out: tokens straight into Lua's values. Runs under protection. */
#include "kvl.h"

#include "codec.h"

#define MOST_HINTED 4096 /* elements that a count makes room for before they were read */

typedef struct decoding {
    kvl_state *state;
    kivi_reader *reader;
    uintptr_t flags;
    bool raw;
} decoding;

static bool push(lua_State *L, const decoding *out, const kivi_token *token, const kvb_path *path);

static bool refuse(const decoding *out, const kvb_path *path, const char *what)
{
    char where[240];
    kvb_path_text(path, where, sizeof(where));
    return kvl_refuse(out->state, KIVI_UNREPRESENTABLE, "%s %s", where, what);
}

static bool unreadable(const decoding *out, kivi_status status)
{
    kivi_error *error = kivi_reader_error(out->reader);
    if (status == KIVI_OK || status == KIVI_END)
        status = KIVI_CORRUPT;
    return kvl_refuse_error(out->state, status, error);
}

static bool next(const decoding *out, kivi_token *token)
{
    kivi_status status = kivi_reader_next(out->reader, token);
    return status ? unreadable(out, status) : true;
}

static int hint(size_t count)
{
    return count < MOST_HINTED ? (int)count : count == KIVI_COUNT_UNKNOWN ? 0 : MOST_HINTED;
}

static void push_meta(lua_State *L, const decoding *out, int meta)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, out->state->metas[meta]);
    lua_setmetatable(L, -2);
}

static bool push_array(lua_State *L, const decoding *out, size_t count, const kvb_path *path)
{
    kvb_path link = {path, 0, NULL, 0};
    kivi_token token;
    int i = 0;
    lua_createtable(L, hint(count), 0);
    for (;;) {
        if (!next(out, &token))
            return false;
        if (token.type == KIVI_TOKEN_END)
            break;
        link.index = (size_t)++i;
        if (!push(L, out, &token, &link))
            return false;
        lua_rawseti(L, -2, i);
    }
    if (!i) {
        kvl_push_array_meta(L, out->state);
        lua_setmetatable(L, -2);
    }
    return true;
}

/* Whether bytes come as a plain string: those that would be written as bytes again. */
static bool is_plain(const decoding *out, kivi_slice bytes)
{
    return out->raw || !kvi_text_is_utf8(bytes.data, bytes.size);
}

/* Keys that a table keeps apart and that would be written as they were. */
static bool is_key(const decoding *out, const kivi_token *token)
{
    kvl_integer integer;
    double real = token->as.real;
    switch (token->type) {
    case KIVI_TOKEN_STR:
    case KIVI_TOKEN_BOOL:
        return true;
    case KIVI_TOKEN_INT:
        return KVL_INTEGERS || (token->as.integer >= -KVL_EXACT && token->as.integer <= KVL_EXACT);
    case KIVI_TOKEN_FLOAT:
        return real == real && real != 0 &&
               !(KVL_INTEGERS ? kvl_number_integer(real, &integer)
                              : kvl_is_written_integer(real, &integer));
    case KIVI_TOKEN_BIN:
        return is_plain(out, token->bytes);
    default:
        return false;
    }
}

static kvb_path link_of(lua_State *L, const kivi_token *token, const kvb_path *outer)
{
    kvb_path link = {outer, 0, NULL, 0};
    if (token->type == KIVI_TOKEN_STR || token->type == KIVI_TOKEN_BIN)
        link.key = lua_tolstring(L, -1, &link.key_size);
    else if (token->type == KIVI_TOKEN_INT)
        link.index = (size_t)token->as.integer;
    return link;
}

/* One pair, its key read: into the table on top. */
static bool push_member(lua_State *L, const decoding *out, kivi_token *token, const kvb_path *path)
{
    kvb_path link;
    if (!is_key(out, token))
        return refuse(out, path, "has a key that a Lua table cannot hold; the option pairs reads it");
    if (!push(L, out, token, path))
        return false;
    link = link_of(L, token, path);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (!lua_isnil(L, -1))
        return refuse(out, &link, "is there twice; the option pairs reads both");
    lua_pop(L, 1);
    if (!next(out, token) || !push(L, out, token, &link))
        return false;
    lua_rawset(L, -3);
    return true;
}

static bool push_map(lua_State *L, const decoding *out, size_t count, const kvb_path *path)
{
    kivi_token token;
    bool integers = false;
    lua_createtable(L, 0, hint(count));
    for (;;) {
        if (!next(out, &token))
            return false;
        if (token.type == KIVI_TOKEN_END)
            break;
        integers |= token.type == KIVI_TOKEN_INT;
        if (!push_member(L, out, &token, path))
            return false;
    }
    if (integers)
        push_meta(L, out, KVL_META_MAP);
    return true;
}

static bool push_pairs(lua_State *L, const decoding *out, size_t count, const kvb_path *path)
{
    kvb_path link = {path, 0, NULL, 0};
    kivi_token token;
    int i = 0;
    lua_createtable(L, hint(count), 0);
    for (;;) {
        if (!next(out, &token))
            return false;
        if (token.type == KIVI_TOKEN_END)
            break;
        link.index = (size_t)++i;
        lua_createtable(L, 2, 0);
        if (!push(L, out, &token, &link))
            return false;
        lua_rawseti(L, -2, 1);
        if (!next(out, &token) || !push(L, out, &token, &link))
            return false;
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, i);
    }
    push_meta(L, out, KVL_META_PAIRS);
    return true;
}

static void push_bin(lua_State *L, const decoding *out, kivi_slice bytes)
{
    if (is_plain(out, bytes))
        lua_pushlstring(L, bytes.data ? bytes.data : "", bytes.size);
    else
        kvl_push_bytes(L, out->state, KVL_META_BIN, 0, bytes);
}

static bool push_container(lua_State *L, const decoding *out, const kivi_token *token,
                           const kvb_path *path)
{
    luaL_checkstack(L, 10, "value nested too deep");
    if (token->type == KIVI_TOKEN_ARRAY)
        return push_array(L, out, token->as.count, path);
    if (out->flags & KVL_PAIRS)
        return push_pairs(L, out, token->as.count, path);
    return push_map(L, out, token->as.count, path);
}

static bool push(lua_State *L, const decoding *out, const kivi_token *token, const kvb_path *path)
{
    switch (token->type) {
    case KIVI_TOKEN_NIL:
        lua_pushlightuserdata(L, NULL);
        return true;
    case KIVI_TOKEN_BOOL:
        lua_pushboolean(L, token->as.boolean);
        return true;
    case KIVI_TOKEN_INT:
        kvl_push_int(L, out->state, token->as.integer);
        return true;
    case KIVI_TOKEN_UINT:
        kvl_push_uint(L, out->state, token->as.uinteger);
        return true;
    case KIVI_TOKEN_FLOAT:
        kvl_push_float(L, out->state, token->as.real);
        return true;
    case KIVI_TOKEN_STR:
        lua_pushlstring(L, token->bytes.data ? token->bytes.data : "", token->bytes.size);
        return true;
    case KIVI_TOKEN_BIN:
        push_bin(L, out, token->bytes);
        return true;
    case KIVI_TOKEN_ARRAY:
    case KIVI_TOKEN_MAP:
        return push_container(L, out, token, path);
    case KIVI_TOKEN_TIMESTAMP:
        kvl_push_timestamp(L, out->state, token->as.seconds, token->nanoseconds);
        return true;
    case KIVI_TOKEN_EXT:
        kvl_push_bytes(L, out->state, KVL_META_EXT, (int8_t)token->ext_type, token->bytes);
        return true;
    default:
        return unreadable(out, KIVI_CORRUPT);
    }
}

bool kvl_decode(lua_State *L, kvl_state *state, kivi_reader *reader, kivi_slice bytes,
                uintptr_t flags, bool raw)
{
    decoding out = {state, reader, flags, raw};
    kivi_token token;
    kivi_status status;
    kivi_reader_start(reader, bytes);
    if (!next(&out, &token) || !push(L, &out, &token, NULL))
        return false;
    status = kivi_reader_next(reader, &token);
    return status == KIVI_END ? true : unreadable(&out, status);
}
