/* Integers that are exact on every Lua: 64 bits, signed and unsigned, boxed where numbers are not. */
#include "kvl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

bool kvl_number_integer(double number, kvl_integer *value)
{
    if (number != floor(number) || number < -0x1p63 || number >= 0x1p64)
        return false;
    value->beyond = number >= 0x1p63;
    value->bits = value->beyond ? (uint64_t)number : (uint64_t)(int64_t)number;
    return number != 0 || !signbit(number);
}

bool kvl_is_written_integer(double number, kvl_integer *value)
{
    return fabs(number) <= (double)KVL_EXACT && kvl_number_integer(number, value);
}

/* Decimal digits, and no more. */
static bool parse(const char *text, kvl_integer *value)
{
    char *end;
    bool negative = *text == '-';
    if (text[negative] < '0' || text[negative] > '9')
        return false;
    errno = 0;
    value->bits = negative ? (uint64_t)strtoll(text, &end, 10) : strtoull(text, &end, 10);
    value->beyond = !negative && value->bits > (uint64_t)INT64_MAX;
    return !errno && !*end;
}

/* A 64-bit cdata says "12LL" or "12ULL". */
static bool parse_cdata(lua_State *L, int index, kvl_integer *value)
{
    char digits[32];
    size_t size;
    const char *text;
    bool parsed = false;
    if (!luaL_callmeta(L, index, "__tostring"))
        return false;
    text = lua_tolstring(L, -1, &size);
    if (text && size > 2 && size < sizeof(digits) && strcmp(text + size - 2, "LL") == 0) {
        size -= text[size - 3] == 'U' ? 3 : 2;
        memcpy(digits, text, size);
        digits[size] = 0;
        parsed = parse(digits, value);
    }
    lua_pop(L, 1);
    return parsed;
}

bool kvl_to_integer(lua_State *L, int index, kvl_integer *value)
{
    const kvl_box *box = kvl_object(L, index, &kvl_a_box);
    if (box && box->what == KVL_META_INT) {
        *value = (kvl_integer){box->bits, box->beyond};
        return true;
    }
    if (lua_type(L, index) > LUA_TTHREAD)
        return parse_cdata(L, index, value);
    if (lua_type(L, index) != LUA_TNUMBER)
        return false;
#if KVL_INTEGERS
    if (lua_isinteger(L, index)) {
        *value = (kvl_integer){(uint64_t)lua_tointeger(L, index), false};
        return true;
    }
#endif
    if (lua_tonumber(L, index) == 0)
        return *value = (kvl_integer){0, false}, true;
    return kvl_number_integer(lua_tonumber(L, index), value);
}

static void push_box(lua_State *L, kvl_state *state, kvl_integer value)
{
    kvl_box *box = kvl_box_new(L, state, KVL_META_INT, 0);
    box->bits = value.bits;
    box->beyond = value.beyond;
}

void kvl_push_integer(lua_State *L, kvl_state *state, kvl_integer value)
{
    if (value.beyond)
        kvl_push_uint(L, state, value.bits);
    else
        kvl_push_int(L, state, (int64_t)value.bits);
}

void kvl_push_uint(lua_State *L, kvl_state *state, uint64_t value)
{
    if (value <= (uint64_t)INT64_MAX)
        kvl_push_int(L, state, (int64_t)value);
    else
        push_box(L, state, (kvl_integer){value, true});
}

void kvl_push_int(lua_State *L, kvl_state *state, int64_t value)
{
#if KVL_INTEGERS
    (void)state;
    lua_pushinteger(L, value);
#else
    if (value >= -KVL_EXACT && value <= KVL_EXACT)
        lua_pushnumber(L, (lua_Number)value);
    else
        push_box(L, state, (kvl_integer){(uint64_t)value, false});
#endif
}

/* kivi.int(number, text of digits or integer): Lua's own integer where that is exact, else boxed. */
int kvl_int(lua_State *L)
{
    kvl_integer value;
    bool known = lua_type(L, 1) == LUA_TSTRING ? parse(lua_tostring(L, 1), &value)
                                               : kvl_to_integer(L, 1, &value);
    if (!known)
        return luaL_argerror(L, 1, "64-bit integer expected");
    kvl_push_integer(L, kvl_state_of(L), value);
    return 1;
}
