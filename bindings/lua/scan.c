/* Scans as iterators: `for key, value in store:scan(prefix)`. */
#include "kvl.h"
#include "results.h"

#define FIRST_PAGE 32
#define LARGEST_PAGE 1000

typedef struct scan {
    const char *kind;
    kvb_store *store; /* held until it is over */
    kvb_page *page;
    kivi_buffer prefix, start; /* start: `after`, or a cursor to go on from */
    bool from_cursor, keys, want_ttl, pairs;
    uint64_t left; /* pairs, where there is a limit */
    uint64_t page_size;
    bool limited;
    int64_t timeout_ms;
    int failures; /* reference to the error of what the page holds and cannot be read; 0: none */
} scan;

static void end(lua_State *L, scan *at)
{
    if (at->failures)
        luaL_unref(L, LUA_REGISTRYINDEX, at->failures);
    at->failures = 0;
    kvb_page_free(at->page);
    kivi_buffer_free(&at->prefix);
    kivi_buffer_free(&at->start);
    kvb_store_unref(at->store);
    at->page = NULL;
    at->store = NULL;
}

static scan *check(lua_State *L)
{
    scan *at = kvl_object(L, 1, &kvl_a_scan);
    if (!at)
        luaL_argerror(L, 1, "scan expected");
    return at;
}

static int close_scan(lua_State *L)
{
    end(L, check(L));
    return 0;
}

/* Pages grow: before Lua 5.4 the page of a loop that is left lies there until it is collected, whose size Lua does not see. */
static uint64_t page_size(scan *at)
{
    at->page_size = at->page_size ? at->page_size * 4 : FIRST_PAGE;
    if (at->page_size > LARGEST_PAGE)
        at->page_size = LARGEST_PAGE;
    return at->limited && at->left < at->page_size ? at->left : at->page_size;
}

/* Where to go on, into the error on top. */
static void say_cursor(lua_State *L, kivi_slice cursor)
{
    if (!cursor.size || !lua_istable(L, -1))
        return;
    lua_pushlstring(L, cursor.data, cursor.size);
    lua_setfield(L, -2, "cursor");
}

/* Raises what the page holds and cannot be read, behind its last pair. The scan can go on. */
static void raise_failures(lua_State *L, scan *at)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, at->failures);
    luaL_unref(L, LUA_REGISTRYINDEX, at->failures);
    at->failures = 0;
    say_cursor(L, kivi_page_end(at->page->page));
    lua_error(L);
}

/* Keeps the problem noted for the end of the page. */
static void keep_failure(lua_State *L, scan *at, kivi_slice key)
{
    kvl_state *state = kvl_state_of(L);
    kvl_problem problem = state->problem;
    problem.key = key;
    if (at->failures)
        lua_rawgeti(L, LUA_REGISTRYINDEX, at->failures);
    else
        lua_pushnil(L);
    kvl_push_problem(L, state, &problem);
    kvl_add_failure(L, state, lua_gettop(L) - 1, at->page->index);
    if (!at->failures)
        at->failures = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Reads the next page; raises what went wrong. */
static void read_page(lua_State *L, scan *at)
{
    kvl_state *state = at->store->host;
    kivi_request request = KIVI_REQUEST_INIT;
    kivi_range range = KIVI_RANGE_INIT;
    kvl_options options = KVL_NO_OPTIONS;
    kvb_answer *answer;
    kvb_page *page;
    range.flags = (at->keys ? KIVI_SCAN_KEYS : 0) | (at->want_ttl ? KIVI_SCAN_WANT_EXPIRY : 0);
    range.prefix = kivi_buffer_slice(&at->prefix);
    range.limit = page_size(at);
    if (at->page)
        range.cursor = kivi_page_cursor(at->page->page);
    else if (at->from_cursor)
        range.cursor = kivi_buffer_slice(&at->start);
    else
        range.after = kivi_buffer_slice(&at->start);
    request.verb = KIVI_VERB_PAGE;
    request.range = &range;
    kvl_begin(L, at->store, &options);
    answer = kvb_call(at->store, at->timeout_ms, &request);
    if (kvb_answer_failed(answer)) {
        if (kvl_answer(L, answer) < 0 && state->problem.exit != KVL_RAISE)
            kvl_push_error(L, state, KIVI_NO_MEMORY, NULL);
        say_cursor(L, range.cursor);
        lua_error(L);
    }
    page = kvb_page_new(answer);
    kvb_answer_give(answer);
    kvb_page_free(at->page);
    at->page = page;
    if (!page)
        kvl_push_error(L, state, KIVI_NO_MEMORY, NULL), lua_error(L);
    kvl_tell_events(L, at->store);
}

static bool next_pair(lua_State *L, scan *at, kivi_pair *pair)
{
    while (at->store) {
        if (at->page && kvb_page_next(at->page, pair)) {
            at->left--;
            return true;
        }
        if (at->failures)
            raise_failures(L, at);
        if ((at->limited && !at->left) || (at->page && !kivi_page_cursor(at->page->page).size))
            return false;
        read_page(L, at);
    }
    return false;
}

/* The iterator: key, value; then seconds left where asked. What cannot be read does not hide what comes after it. */
static int next(lua_State *L)
{
    scan *at = check(L);
    kvl_state *state = kvl_state_of(L);
    kivi_pair pair;
    while (next_pair(L, at, &pair)) {
        lua_settop(L, 1);
        lua_pushlstring(L, pair.key.data, pair.key.size);
        if (at->keys || kvl_push_pair_value(L, state, at->page, pair.value, at->pairs ? KVL_PAIRS : 0)) {
            if (at->want_ttl)
                kvl_push_pair_ttl(L, pair.ttl_ms);
            return lua_gettop(L) - 1;
        }
        lua_settop(L, 1);
        keep_failure(L, at, pair.key);
    }
    end(L, at);
    return 0;
}

static bool prepare(lua_State *L, kvl_state *state, scan *at, const kvl_options *options, kivi_slice prefix)
{
    at->from_cursor = options->cursor.size;
    if (at->from_cursor && options->after.size)
        return kvl_refuse_argument(state, 3, "options 'after' and 'cursor' exclude each other");
    if (kivi_buffer_assign(&at->prefix, prefix) ||
        kivi_buffer_assign(&at->start, at->from_cursor ? options->cursor : options->after))
        return kvl_refuse(state, KIVI_NO_MEMORY, "out of memory");
    at->keys = options->keys;
    at->want_ttl = options->want_ttl;
    at->pairs = options->pairs;
    at->left = options->limit;
    at->limited = options->limit != 0;
    at->timeout_ms = options->timeout_ms;
    (void)L;
    return true;
}

/* A loop has no place for an error that is answered. */
static int refuse_scan(lua_State *L, const kvl_state *state)
{
    bool is_answer = state->problem.exit == KVL_ANSWER;
    kvl_leave(L);
    return is_answer ? lua_error(L) : 0;
}

static int begin(lua_State *L, bool keys)
{
    kvl_options options = {.takes = KVL_TAKES_RANGE | KVL_TAKES_PAIRS};
    kvl_state *state = kvl_state_of(L);
    kvb_store *store;
    kivi_slice prefix;
    scan *at;
    if (!kvl_store_argument(L, 1, &store) || !kvl_prefix_argument(L, state, 2, &prefix) ||
        !kvl_options_argument(L, state, 3, &options))
        return refuse_scan(L, state);
    if (store->queue)
        return luaL_error(L, "scan waits for its store, but this one has a queue: use page");
    options.keys |= keys;
    lua_pushcfunction(L, next);
    at = kvl_object_new(L, state, sizeof(*at), &kvl_a_scan, KVL_META_SCAN);
    at->store = kvb_store_ref(store);
    if (!prepare(L, state, at, &options, prefix))
        return refuse_scan(L, state);
    lua_pushnil(L);
    lua_pushvalue(L, -2);
    return 4;
}

int kvl_scan(lua_State *L)
{
    return begin(L, false);
}

int kvl_keys(lua_State *L)
{
    return begin(L, true);
}

void kvl_scans_register(lua_State *L, kvl_state *state)
{
    static const luaL_Reg methods[] = {{"close", close_scan}, {NULL, NULL}};
    static const luaL_Reg events[] = {
        {"__gc", close_scan}, {"__close", close_scan}, {"__call", next}, {NULL, NULL}};
    kvl_meta_new(L, state, KVL_META_SCAN, "kivi.Scan", events, methods);
}
