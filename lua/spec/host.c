/*
 * A Lua of the tests' own: runs a file, with memory that may end.
 *
 *     host FILE          runs it
 *     host FILE FIRST STEP COUNT   runs the function that it returns COUNT times, the nth with an allocation failing after
 *                        FIRST + n * STEP further ones; each run must end in "not enough memory" or well
 *
 * Built with a sanitizer it finds what the module leaks or overruns.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILURES 2 /* in a row: Lua 5.3 and 5.4 collect garbage after the first and try again */

static long left = -FAILURES; /* allocations before these fail; at -FAILURES: none does */
static unsigned long failed;

static void *allocate(void *user, void *old, size_t old_size, size_t size)
{
    (void)user;
    if (!size) {
        free(old);
        return NULL;
    }
    if ((!old || size > old_size) && left > -FAILURES && --left < 0) {
        failed++;
        return NULL;
    }
    return realloc(old, size);
}

static int fail(lua_State *L, const char *what)
{
    fprintf(stderr, "host: %s: %s\n", what, lua_tostring(L, -1) ? lua_tostring(L, -1) : "?");
    return 1;
}

/* One call of the function on top, with an allocation failing on the way. */
static int starve(lua_State *L, long after)
{
    int status, wrong = 0;
    lua_pushvalue(L, -1);
    left = after;
    status = lua_pcall(L, 0, 0, 0);
    left = -FAILURES;
    if (status) {
        if (!lua_tostring(L, -1) || !strstr(lua_tostring(L, -1), "not enough memory"))
            wrong = fail(L, "another error than that of memory");
        lua_pop(L, 1);
    }
    return wrong;
}

int main(int count, char **words)
{
    lua_State *L = lua_newstate(allocate, NULL);
    int wrong = 0;
    if (!L || (count != 2 && count != 5))
        return 2;
    luaL_openlibs(L);
    if (luaL_loadfile(L, words[1]) || lua_pcall(L, 0, 1, 0))
        return fail(L, words[1]);
    if (count == 5) {
        long first = atol(words[2]), step = atol(words[3]), times = atol(words[4]);
        for (long n = 0; n < times && !wrong; n++)
            wrong = starve(L, first + n * step);
        printf("host: %lu allocations failed\n", failed);
        wrong = wrong || !failed;
    }
    lua_close(L);
    return wrong;
}
