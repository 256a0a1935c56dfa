/* Lua values on their way in: straight into the store's writer. */
#include "kvl.h"

#include "codec.h"

typedef struct encoding {
    kvl_state *state;
    kvb_store *store;
    kivi_writer *writer;
    kvb_encoder *keys;   /* where keys of pairs are compared; taken with the first */
    kvb_encoder **taken; /* all that were, linked: keys may hold pairs themselves */
    bool done;
} encoding;

/* Containers around a value: `table` to find cycles. */
typedef struct level {
    const struct level *outer;
    const void *table;
    unsigned depth;
} level;

static bool put(lua_State *L, encoding *in, int index, const kvb_path *path, const level *outer);

static bool refuse(const encoding *in, const kvb_path *path, const char *what)
{
    char where[240];
    kvb_path_text(path, where, sizeof(where));
    return kvl_refuse(in->state, KIVI_UNREPRESENTABLE, "%s %s", where, what);
}

/* What the writer answered for one scalar or container's start. */
static bool wrote(const encoding *in, const kvb_path *path, kivi_status status)
{
    char what[80];
    if (!status)
        return true;
    if (status == KIVI_NO_MEMORY)
        return kvl_refuse(in->state, status, "out of memory");
    strcpy(what, "cannot be held by the codec ");
    strncat(what, in->store->codec, 40);
    return refuse(in, path, what);
}

static bool finish(const encoding *in)
{
    kivi_error *error = NULL;
    kivi_status status = kivi_writer_finish(in->writer, &error);
    return status ? kvl_refuse_error(in->state, status, error) : true;
}

/* ---- scalars: nothing here raises ---- */

static bool put_integer(const encoding *in, const kvb_path *path, kvl_integer value)
{
    return wrote(in, path,
                 value.beyond ? kivi_writer_uint(in->writer, value.bits)
                              : kivi_writer_int(in->writer, (int64_t)value.bits));
}

static bool put_number(lua_State *L, const encoding *in, int index, const kvb_path *path)
{
    lua_Number number = lua_tonumber(L, index);
#if KVL_INTEGERS
    if (lua_isinteger(L, index))
        return wrote(in, path, kivi_writer_int(in->writer, lua_tointeger(L, index)));
#else
    kvl_integer integer;
    if (kvl_is_written_integer(number, &integer))
        return put_integer(in, path, integer);
#endif
    if (number != number && in->state->one_nan)
        memcpy(&number, &kvl_nan, sizeof(number));
    return wrote(in, path, kivi_writer_float(in->writer, number));
}

static bool put_string(lua_State *L, const encoding *in, int index, const kvb_path *path)
{
    size_t size;
    const char *data = lua_tolstring(L, index, &size);
    kivi_slice bytes = kivi_bytes(data, size);
    return wrote(in, path,
                 kvi_text_is_utf8(data, size) ? kivi_writer_str(in->writer, bytes)
                                              : kivi_writer_bin(in->writer, bytes));
}

static bool put_box(const encoding *in, const kvl_box *box, const kvb_path *path)
{
    kivi_slice bytes = kivi_bytes(box->bytes, box->size);
    kvl_integer integer = {box->bits, box->beyond};
    switch (box->what) {
    case KVL_META_INT:
        return put_integer(in, path, integer);
    case KVL_META_FLOAT:
        return wrote(in, path, kivi_writer_float(in->writer, box->real));
    case KVL_META_BIN:
        return wrote(in, path, kivi_writer_bin(in->writer, bytes));
    case KVL_META_EXT:
        return wrote(in, path, kivi_writer_ext(in->writer, box->ext_type, bytes));
    default:
        return wrote(in, path, kivi_writer_timestamp(in->writer, (int64_t)box->bits, box->nanoseconds));
    }
}

static bool put_userdata(lua_State *L, const encoding *in, int index, const kvb_path *path)
{
    const kvl_box *box = kvl_object(L, index, &kvl_a_box);
    if (box)
        return put_box(in, box, path);
    return refuse(in, path, "is a userdata, which cannot be stored");
}

static bool put_scalar(lua_State *L, const encoding *in, int index, const kvb_path *path)
{
    char what[80] = "is a ";
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        return wrote(in, path, kivi_writer_bool(in->writer, lua_toboolean(L, index)));
    case LUA_TNUMBER:
        return put_number(L, in, index, path);
    case LUA_TSTRING:
        return put_string(L, in, index, path);
    case LUA_TUSERDATA:
        return put_userdata(L, in, index, path);
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L, index))
            return wrote(in, path, kivi_writer_nil(in->writer));
        if (lua_touserdata(L, index) == in->state->cjson.empty)
            return wrote(in, path, kivi_writer_array(in->writer, 0));
        break;
    default:
        break;
    }
    strncat(what, luaL_typename(L, index), 30);
    strcat(what, ", which cannot be stored");
    return refuse(in, path, what);
}

/* Whether it may be cjson.empty_array, which is found under protection. */
static bool is_mark(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index);
}

/* LuaJIT's 64-bit integers, beside what every Lua has. Runs the cdata's __tostring: protected. */
static bool put_other(lua_State *L, const encoding *in, int index, const kvb_path *path)
{
    kvl_integer integer;
    if (is_mark(L, index))
        kvl_find_cjson(L, in->state);
    if (lua_type(L, index) > LUA_TTHREAD && kvl_to_integer(L, index, &integer))
        return put_integer(in, path, integer);
    return put_scalar(L, in, index, path);
}

/* ---- tables: under protection, may raise ---- */

typedef struct shape {
    size_t count, positions; /* pairs in all; keys that could be an array's */
    size_t numbers;          /* integer keys of any kind */
    uint64_t last;           /* the highest position */
} shape;

static bool is_position(lua_State *L, int index, kvl_integer *value)
{
#if KVL_INTEGERS
    value->beyond = false;
    value->bits = (uint64_t)lua_tointeger(L, index);
    return lua_isinteger(L, index);
#else
    return kvl_is_written_integer(lua_tonumber(L, index), value);
#endif
}

static shape look(lua_State *L, int index)
{
    shape seen = {0, 0, 0, 0};
    kvl_integer position;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        seen.count++;
        if (lua_type(L, -1) != LUA_TNUMBER || !is_position(L, -1, &position))
            continue;
        seen.numbers++;
        if (position.beyond || (int64_t)position.bits < 1)
            continue;
        seen.positions++;
        if (position.bits > seen.last)
            seen.last = position.bits;
    }
    return seen;
}

static bool is_sequence(const shape *seen)
{
    return seen->positions == seen->count && seen->last == seen->count;
}

static bool put_array(lua_State *L, encoding *in, int index, size_t count, const kvb_path *path,
                      const level *here)
{
    kvb_path link = {path, 0, NULL, 0};
    if (!wrote(in, path, kivi_writer_array(in->writer, count)))
        return false;
    for (size_t i = 1; i <= count; i++) {
        link.index = i;
        lua_rawgeti(L, index, (int)i);
        if (!put(L, in, lua_gettop(L), &link, here))
            return false;
        lua_pop(L, 1);
    }
    return true;
}

static bool put_key(lua_State *L, encoding *in, int index, const kvb_path *path)
{
    int type = lua_type(L, index);
    if (type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN)
        return put_scalar(L, in, index, path);
    return refuse(in, path, "has a key that is no string, number or boolean; kivi.pairs can hold it");
}

static kvb_path link_of(lua_State *L, int index, const kvb_path *outer)
{
    kvb_path link = {outer, 0, NULL, 0};
    if (lua_type(L, index) == LUA_TSTRING)
        link.key = lua_tolstring(L, index, &link.key_size);
    else if (lua_type(L, index) == LUA_TNUMBER && lua_tonumber(L, index) > 0)
        link.index = (size_t)lua_tonumber(L, index);
    return link;
}

static bool put_map(lua_State *L, encoding *in, int index, size_t count, const kvb_path *path,
                    const level *here)
{
    if (!wrote(in, path, kivi_writer_map(in->writer, count)))
        return false;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        int value = lua_gettop(L);
        kvb_path link = link_of(L, value - 1, path);
        if (!put_key(L, in, value - 1, path) || !put(L, in, value, &link, here))
            return false;
        lua_pop(L, 1);
    }
    return true;
}

static bool take_keys(encoding *in)
{
    if (in->keys)
        return true;
    in->keys = kvb_encoder_take(in->store);
    if (!in->keys)
        return kvl_refuse(in->state, KIVI_NO_MEMORY, "out of memory");
    in->keys->next = *in->taken;
    *in->taken = in->keys;
    return true;
}

/* Whether a key of pairs stands for the first time: its bytes are noted in the table at `seen`. */
static bool is_new_key(lua_State *L, encoding *in, int index, int seen, const kvb_path *path,
                       const level *here)
{
    encoding alone = *in;
    bool is_new;
    if (!take_keys(in))
        return false;
    in->keys->bytes.size = 0;
    kivi_writer_start(in->keys->writer, &in->keys->bytes);
    alone.writer = in->keys->writer;
    alone.keys = NULL;
    if (!put(L, &alone, index, path, here) || !finish(&alone))
        return false;
    lua_pushlstring(L, (const char *)in->keys->bytes.data, in->keys->bytes.size);
    lua_pushvalue(L, -1);
    lua_rawget(L, seen);
    is_new = lua_isnil(L, -1);
    lua_pop(L, 1);
    lua_pushboolean(L, true);
    lua_rawset(L, seen);
    return is_new ? true : refuse(in, path, "has the same key twice");
}

static bool put_pair(lua_State *L, encoding *in, int pair, int seen, const kvb_path *path,
                     const level *here)
{
    kvb_path link;
    int key = lua_gettop(L) + 1;
    if (lua_type(L, pair) != LUA_TTABLE)
        return refuse(in, path, "is no {key, value}");
    lua_rawgeti(L, pair, 1);
    lua_rawgeti(L, pair, 2);
    link = link_of(L, key, path->outer);
    if (lua_isnil(L, key) || lua_isnil(L, key + 1))
        return refuse(in, path, "is no {key, value}");
    if (!is_new_key(L, in, key, seen, path->outer, here) || !put(L, in, key, &link, here) ||
        !put(L, in, key + 1, &link, here))
        return false;
    lua_pop(L, 2);
    return true;
}

static bool put_pairs(lua_State *L, encoding *in, int index, size_t count, const kvb_path *path,
                      const level *here)
{
    kvb_path link = {path, 0, NULL, 0};
    int seen;
    if (!wrote(in, path, kivi_writer_map(in->writer, count)))
        return false;
    lua_newtable(L);
    seen = lua_gettop(L);
    for (size_t i = 1; i <= count; i++) {
        link.index = i;
        lua_rawgeti(L, index, (int)i);
        if (!put_pair(L, in, seen + 1, seen, &link, here))
            return false;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return true;
}

/* Which of our marks a table has, or that of cjson which says the same; -1: none. */
static int mark_of(lua_State *L, kvl_state *state, int index, bool is_empty)
{
    int meta = kvl_meta(L, state, index);
    const void *address;
    if (meta >= 0 || !lua_getmetatable(L, index))
        return meta;
    address = lua_topointer(L, -1);
    lua_pop(L, 1);
    kvl_find_cjson(L, state);
    if (is_empty && address == state->cjson.empty_array)
        return KVL_META_ARRAY;
    return kvl_meta(L, state, index);
}

static bool put_table_as(lua_State *L, encoding *in, int index, const kvb_path *path, const level *here)
{
    shape seen = look(L, index);
    int meta = mark_of(L, in->state, index, seen.count == 0);
    if (meta == KVL_META_ERROR)
        return refuse(in, path, "is an error, which cannot be stored");
    if (meta == KVL_META_MAP)
        return put_map(L, in, index, seen.count, path, here);
    if (meta == KVL_META_PAIRS && is_sequence(&seen))
        return put_pairs(L, in, index, seen.count, path, here);
    if (meta == KVL_META_ARRAY ? is_sequence(&seen) : seen.count && is_sequence(&seen))
        return put_array(L, in, index, seen.count, path, here);
    if (meta == KVL_META_PAIRS || meta == KVL_META_ARRAY)
        return refuse(in, path, "must have the keys 1 to n; kivi.null fills a hole");
    if (!seen.numbers)
        return put_map(L, in, index, seen.count, path, here);
    if (seen.positions == seen.count)
        return refuse(in, path, "is an array with holes: kivi.null fills them, kivi.map makes it a map");
    return refuse(in, path, "has integer and other keys: kivi.map makes it a map");
}

static bool put_table(lua_State *L, encoding *in, int index, const kvb_path *path, const level *outer)
{
    level here = {outer, lua_topointer(L, index), outer ? outer->depth + 1 : 1};
    for (const level *up = outer; up; up = up->outer)
        if (up->table == here.table)
            return refuse(in, path, "contains itself");
    if (here.depth > KVL_MAX_DEPTH)
        return refuse(in, path, "is nested too deep");
    luaL_checkstack(L, 12, "value nested too deep");
    return put_table_as(L, in, index, path, &here);
}

static bool put(lua_State *L, encoding *in, int index, const kvb_path *path, const level *outer)
{
    if (lua_type(L, index) == LUA_TTABLE)
        return put_table(L, in, index, path, outer);
    return put_other(L, in, index, path);
}

int kvl_encode_protected(lua_State *L)
{
    encoding *in = lua_touserdata(L, 1);
    in->done = put(L, in, 2, NULL, NULL);
    return 0;
}

static bool put_protected(lua_State *L, encoding *in, int index)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, in->state->encode);
    lua_pushlightuserdata(L, in);
    lua_pushvalue(L, index);
    if (lua_pcall(L, 2, 0, 0))
        return kvl_refuse_top(in->state);
    return in->done;
}

bool kvl_encode(lua_State *L, kvl_state *state, kvb_store *store, int index, kvb_encoder *encoder)
{
    kvb_encoder *taken = NULL, *next;
    encoding in = {state, store, encoder->writer, NULL, &taken, false};
    int type = lua_type(L, index);
    bool done = type == LUA_TTABLE || type > LUA_TTHREAD || is_mark(L, index)
                    ? put_protected(L, &in, index)
                    : put_scalar(L, &in, index, NULL);
    for (; taken; taken = next) {
        next = taken->next;
        kvb_encoder_give(store, taken);
    }
    return done && finish(&in);
}
