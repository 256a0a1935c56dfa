/* Arithmetic and order of boxed numbers: exact between integers, as numbers beside a float. */
#include "kvl.h"

#include <math.h>
#include <stdio.h>

typedef __int128 wide; /* holds the sum and product of any two */

static wide widen(kvl_integer value)
{
    return value.beyond ? (wide)value.bits : (wide)(int64_t)value.bits;
}

static bool narrow(wide exact, kvl_integer *value)
{
    value->beyond = exact > INT64_MAX;
    value->bits = (uint64_t)exact;
    return exact >= INT64_MIN && exact <= (wide)UINT64_MAX;
}

static const kvl_box *float_box(lua_State *L, int index)
{
    const kvl_box *box = kvl_object(L, index, &kvl_a_box);
    return box && box->what == KVL_META_FLOAT ? box : NULL;
}

static wide operand(lua_State *L, int index)
{
    kvl_integer value;
    if (!kvl_to_integer(L, index, &value))
        luaL_argerror(L, index, "integer expected");
    return widen(value);
}

static int answer(lua_State *L, wide exact)
{
    kvl_integer value;
    if (!narrow(exact, &value))
        return luaL_error(L, "the result is no 64-bit integer");
    kvl_push_integer(L, kvl_state_of(L), value);
    return 1;
}

/* With a float on one side, arithmetic is that of numbers. */
static bool is_float(lua_State *L, int index)
{
    kvl_integer value;
    if (lua_type(L, index) == LUA_TNUMBER)
        return !kvl_to_integer(L, index, &value);
    return float_box(L, index) != NULL;
}

static double real_operand(lua_State *L, int index)
{
    const kvl_box *box = float_box(L, index);
    if (box)
        return box->real;
    if (lua_type(L, index) == LUA_TNUMBER)
        return lua_tonumber(L, index);
    return (double)operand(L, index);
}

static bool is_real(lua_State *L)
{
    return is_float(L, 1) || is_float(L, 2);
}

static int answer_real(lua_State *L, double value)
{
    lua_pushnumber(L, value);
    return 1;
}

static int add(lua_State *L)
{
    if (is_real(L))
        return answer_real(L, real_operand(L, 1) + real_operand(L, 2));
    return answer(L, operand(L, 1) + operand(L, 2));
}

static int subtract(lua_State *L)
{
    if (is_real(L))
        return answer_real(L, real_operand(L, 1) - real_operand(L, 2));
    return answer(L, operand(L, 1) - operand(L, 2));
}

static int multiply(lua_State *L)
{
    wide left, right, product;
    if (is_real(L))
        return answer_real(L, real_operand(L, 1) * real_operand(L, 2));
    left = operand(L, 1);
    right = operand(L, 2);
    if (__builtin_mul_overflow(left, right, &product))
        return luaL_error(L, "the result is no 64-bit integer");
    return answer(L, product);
}

static int divide(lua_State *L)
{
    return answer_real(L, real_operand(L, 1) / real_operand(L, 2));
}

static int power(lua_State *L)
{
    return answer_real(L, pow(real_operand(L, 1), real_operand(L, 2)));
}

/* Quotients round down, as Lua's own do. */
static int floor_divide(lua_State *L)
{
    wide left, right;
    if (is_real(L))
        return answer_real(L, floor(real_operand(L, 1) / real_operand(L, 2)));
    left = operand(L, 1);
    right = operand(L, 2);
    if (!right)
        return luaL_error(L, "attempt to perform 'n//0'");
    return answer(L, left / right - (left % right && (left < 0) != (right < 0)));
}

static int modulo(lua_State *L)
{
    wide left, right, rest;
    if (is_real(L)) {
        double by = real_operand(L, 2), remainder = fmod(real_operand(L, 1), by);
        return answer_real(L, remainder && (remainder < 0) != (by < 0) ? remainder + by : remainder);
    }
    left = operand(L, 1);
    right = operand(L, 2);
    if (!right)
        return luaL_error(L, "attempt to perform 'n%%%%0'");
    rest = left % right;
    return answer(L, rest && (rest < 0) != (right < 0) ? rest + right : rest);
}

static int negate(lua_State *L)
{
    if (is_float(L, 1))
        return answer_real(L, -real_operand(L, 1));
    return answer(L, -operand(L, 1));
}

/* An operand of a comparison, exactly: a long double holds every integer and every double. */
static long double exactly(lua_State *L, int index)
{
    return is_float(L, index) ? (long double)real_operand(L, index) : (long double)operand(L, index);
}

static int equal(lua_State *L)
{
    lua_pushboolean(L, exactly(L, 1) == exactly(L, 2));
    return 1;
}

/* a:compare(b): -1, 0, 1. Lua 5.1 and LuaJIT have no order between a boxed number and a plain one. */
static int compare(lua_State *L)
{
    long double left = exactly(L, 1), right = exactly(L, 2);
    lua_pushinteger(L, left < right ? -1 : left > right);
    return 1;
}

static int less(lua_State *L)
{
    lua_pushboolean(L, exactly(L, 1) < exactly(L, 2));
    return 1;
}

static int less_or_equal(lua_State *L)
{
    lua_pushboolean(L, exactly(L, 1) <= exactly(L, 2));
    return 1;
}

/* Floats as Lua 5.3 writes them, "3.0", so that they can be told from integers. */
static void print_float(double real, char *text, size_t capacity)
{
    snprintf(text, capacity, "%.14g", real);
    if (!text[strspn(text, "-0123456789")])
        strcat(text, ".0");
}

static int to_text(lua_State *L)
{
    const kvl_box *box = float_box(L, 1);
    kvl_integer value = {0, false};
    char text[48];
    if (box)
        print_float(box->real, text, sizeof(text) - 3);
    else if (!kvl_to_integer(L, 1, &value))
        return luaL_argerror(L, 1, "boxed number expected");
    else if (value.beyond)
        snprintf(text, sizeof(text), "%llu", (unsigned long long)value.bits);
    else
        snprintf(text, sizeof(text), "%lld", (long long)value.bits);
    lua_pushstring(L, text);
    return 1;
}

/* Text with whatever stands beside it, as numbers do. */
static int concatenate(lua_State *L)
{
    for (int i = 1; i <= 2; i++) {
        if (lua_isuserdata(L, i) && luaL_callmeta(L, i, "__tostring"))
            lua_replace(L, i);
        else
            luaL_checkstring(L, i);
    }
    lua_settop(L, 2);
    lua_concat(L, 2);
    return 1;
}

static int to_number(lua_State *L)
{
    return answer_real(L, real_operand(L, 1));
}

const luaL_Reg kvl_number_events[] = {{"__add", add},           {"__sub", subtract},
                                      {"__mul", multiply},      {"__div", divide},
                                      {"__idiv", floor_divide}, {"__mod", modulo},
                                      {"__pow", power},         {"__unm", negate},
                                      {"__eq", equal},          {"__lt", less},
                                      {"__le", less_or_equal},  {"__concat", concatenate},
                                      {"__tostring", to_text},  {NULL, NULL}};
const luaL_Reg kvl_number_methods[] = {
    {"tonumber", to_number}, {"idiv", floor_divide}, {"compare", compare}, {NULL, NULL}};
