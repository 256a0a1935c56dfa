/* Answers on their way out: what a call held, as Lua's values, then given back. */
#include "kvl.h"

#include "results.h"

static bool is_raw(const kvb_store *store)
{
    return strcmp(store->codec, "raw") == 0;
}

static bool no_memory(const conversion *in)
{
    return kvl_refuse(in->state, KIVI_NO_MEMORY, "out of memory");
}

static bool decode(lua_State *L, const conversion *in, kivi_slice value)
{
    kivi_reader *reader = kvb_answer_reader(in->answer);
    if (!reader)
        return no_memory(in);
    return kvl_decode(L, in->state, reader, value, (uintptr_t)in->answer->missing,
                      is_raw(in->answer->store));
}

/* Nil and the problem noted. Making the error may run finalisers, which make calls: so it is copied. */
static int push_refusal(lua_State *L, const conversion *in)
{
    kvl_problem problem = in->state->problem;
    lua_pushnil(L);
    kvl_push_problem(L, in->state, &problem);
    return 2;
}

static int push_nothing(lua_State *L)
{
    lua_pushnil(L);
    lua_pushnil(L);
    return 2;
}

/*
 * The same, about the one key of the call. What is taken and cannot be read stays in the store, and its bytes are in the error:
 * to repair it, or to delete the key.
 */
static int push_unreadable(lua_State *L, const conversion *in)
{
    kivi_slice stored = in->answer->done.value;
    int count;
    kvl_refuse_key(in->state, in->answer->request.key);
    count = push_refusal(L, in);
    if (kvb_answer_is_unconfirmed(in->answer)) {
        lua_pushlstring(L, (const char *)stored.data, stored.size);
        lua_setfield(L, -2, "stored");
    }
    return count;
}

static int push_value(lua_State *L, const conversion *in)
{
    const kvb_answer *answer = in->answer;
    if (answer->done.status == KIVI_NOT_FOUND)
        return push_nothing(L);
    if (!decode(L, in, answer->done.value))
        return push_unreadable(L, in);
    if (kvb_answer_shape(answer) != KVB_VERSIONED)
        return 1;
    lua_pushlstring(L, (const char *)answer->done.version.data, answer->done.version.size);
    return 2;
}

static int push_seconds(lua_State *L, const conversion *in)
{
    if (in->answer->done.integer == KIVI_TTL_NONE)
        return push_nothing(L);
    lua_pushnumber(L, (lua_Number)in->answer->done.integer / 1000);
    return 1;
}

/* ---- batches ---- */

static int hint(size_t count)
{
    return count < 4096 ? (int)count : 4096;
}

/* A key that was asked for: of the list kept while it was submitted, else still the caller's slices. */
static void push_key(lua_State *L, const conversion *in, size_t index)
{
    const kivi_slice *key = &in->answer->request.keys[index];
    if (in->keys)
        lua_rawgeti(L, in->keys, (int)index + 1);
    else
        lua_pushlstring(L, key->data, key->size);
}

/* The error of one item of a batch. */
static void push_item_error(lua_State *L, const conversion *in, size_t index)
{
    const kivi_completion *done = &in->answer->done;
    kivi_status status = done->result ? kivi_result_status(done->result, index) : done->status;
    kivi_slice key = kvb_answer_item_key(in->answer, index);
    kvl_push_error(L, in->state, status,
                   done->result ? kivi_result_error(done->result, index) : done->error);
    if (key.data)
        kvl_name_key(L, key, kvb_is_about_key(in->answer, status));
}

/* One value into the table of those found; false: its error is on top. */
static bool add_found(lua_State *L, const conversion *in, size_t index, int found)
{
    const kivi_result *result = in->answer->done.result;
    int top = lua_gettop(L);
    kivi_status status = kivi_result_status(result, index);
    if (status == KIVI_NOT_FOUND)
        return true;
    if (status) {
        push_item_error(L, in, index);
        return false;
    }
    push_key(L, in, index);
    if (decode(L, in, kivi_result_value(result, index))) {
        lua_rawset(L, found);
        return true;
    }
    kvl_problem problem = in->state->problem;
    lua_settop(L, top);
    problem.key = kvb_answer_item_key(in->answer, index);
    kvl_push_problem(L, in->state, &problem);
    return false;
}

/* The table of those found; where some could not be read, nil and an error that has it. */
static int push_found(lua_State *L, const conversion *in)
{
    size_t count = kivi_result_count(in->answer->done.result);
    int found = lua_gettop(L) + 1, whole = found + 1;
    lua_createtable(L, 0, hint(count));
    lua_pushnil(L);
    for (size_t i = 0; i < count; i++)
        if (!add_found(L, in, i, found))
            kvl_add_failure(L, in->state, whole, i + 1);
    if (lua_isnil(L, whole)) {
        lua_settop(L, found);
        return 1;
    }
    lua_pushvalue(L, found);
    lua_setfield(L, whole, "results");
    lua_pushnil(L);
    lua_pushvalue(L, whole);
    return 2;
}

static void push_result(lua_State *L, const conversion *in, size_t index)
{
    const kivi_result *result = in->answer->done.result;
    lua_createtable(L, 0, 4);
    lua_pushstring(L, kivi_status_name(kivi_result_status(result, index)));
    lua_setfield(L, -2, "status");
    lua_pushboolean(L, kivi_result_existed(result, index));
    lua_setfield(L, -2, "existed");
    kvl_push_int(L, in->state, kivi_result_integer(result, index));
    lua_setfield(L, -2, "integer");
    if (kivi_result_error(result, index)) {
        push_item_error(L, in, index);
        lua_setfield(L, -2, "error");
    }
}

static int push_results(lua_State *L, const conversion *in)
{
    size_t count = kivi_result_count(in->answer->done.result);
    lua_createtable(L, hint(count), 1);
    for (size_t i = 0; i < count; i++) {
        push_result(L, in, i);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_pushboolean(L, in->answer->done.status == KIVI_OK);
    lua_setfield(L, -2, "ok");
    return 1;
}

/* ---- pages ---- */

bool kvl_push_pair_value(lua_State *L, kvl_state *state, kvb_page *page, kivi_slice value, uintptr_t flags)
{
    return kvl_decode(L, state, page->reader, value, flags, is_raw(page->store));
}

void kvl_push_pair_ttl(lua_State *L, int64_t ttl_ms)
{
    if (ttl_ms == KIVI_TTL_NONE)
        lua_pushboolean(L, false);
    else
        lua_pushnumber(L, (lua_Number)ttl_ms / 1000);
}

/* The lists of a page, by their places above it on the stack. */
enum { KEYS = 1, VALUES, TTLS, LISTS = TTLS };

/* A pair as the lists' item `i`; false: it cannot be read, and its error is on top. */
static bool add_pair(lua_State *L, const conversion *in, const kivi_pair *pair, int page, int i)
{
    int top = lua_gettop(L);
    if (!in->page->keys_only &&
        !kvl_push_pair_value(L, in->state, in->page, pair->value, (uintptr_t)in->answer->missing)) {
        kvl_problem problem = in->state->problem;
        lua_settop(L, top);
        problem.key = pair->key;
        kvl_push_problem(L, in->state, &problem);
        return false;
    }
    if (!in->page->keys_only)
        lua_rawseti(L, page + VALUES, i);
    lua_pushlstring(L, pair->key.data, pair->key.size);
    lua_rawseti(L, page + KEYS, i);
    if (in->page->with_ttl) {
        kvl_push_pair_ttl(L, pair->ttl_ms);
        lua_rawseti(L, page + TTLS, i);
    }
    return true;
}

static void set_list(lua_State *L, int page, int list, const char *name)
{
    lua_pushvalue(L, page + list);
    lua_setfield(L, page, name);
}

static void finish_page(lua_State *L, const kvb_page *held, int page)
{
    kivi_slice cursor = kivi_page_cursor(held->page);
    set_list(L, page, KEYS, "keys");
    if (!held->keys_only)
        set_list(L, page, VALUES, "values");
    if (held->with_ttl)
        set_list(L, page, TTLS, "ttls");
    if (cursor.size) {
        lua_pushlstring(L, cursor.data, cursor.size);
        lua_setfield(L, page, "cursor");
    }
    lua_settop(L, page);
}

/* Nil and the error on top, which has the pairs that could be read, and the cursor behind the page. */
static int push_page_error(lua_State *L, const kvb_page *held, int page)
{
    kivi_slice end = kivi_page_end(held->page);
    lua_pushvalue(L, page);
    lua_setfield(L, -2, "results");
    lua_pushlstring(L, end.data, end.size);
    lua_setfield(L, -2, "cursor");
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

static int push_page(lua_State *L, conversion *in)
{
    kivi_pair pair;
    int page, whole, i = 0;
    in->page = kvb_page_new(in->answer);
    if (!in->page)
        return no_memory(in), push_refusal(L, in);
    lua_pushnil(L);
    whole = lua_gettop(L);
    lua_createtable(L, 0, 4);
    page = whole + 1;
    for (int list = KEYS; list <= LISTS; list++)
        lua_createtable(L, list == KEYS ? hint(kivi_page_count(in->page->page)) : 0, 0);
    while (kvb_page_next(in->page, &pair))
        if (add_pair(L, in, &pair, page, i + 1))
            i++;
        else
            kvl_add_failure(L, in->state, whole, in->page->index);
    finish_page(L, in->page, page);
    if (lua_isnil(L, whole))
        return 1;
    lua_pushvalue(L, whole);
    return push_page_error(L, in->page, page);
}

/* ---- the rest ---- */

/* A msgpack map, whatever the store's codec. */
static int push_map(lua_State *L, conversion *in)
{
    if (kivi_reader_new("msgpack", NULL, &in->reader, NULL))
        return no_memory(in), push_refusal(L, in);
    if (!kvl_decode(L, in->state, in->reader, in->answer->done.value, 0, false))
        return push_refusal(L, in);
    return 1;
}

static void set_count(lua_State *L, kvl_state *state, const char *name, uint64_t count)
{
    kvl_push_uint(L, state, count);
    lua_setfield(L, -2, name);
}

void kvl_push_progress(lua_State *L, kvl_state *state, const kivi_copy_progress *progress, kivi_slice cursor)
{
    lua_createtable(L, 0, 5);
    set_count(L, state, "copied", progress->copied);
    set_count(L, state, "skipped", progress->skipped);
    set_count(L, state, "bytes", progress->bytes);
    lua_pushnumber(L, (lua_Number)progress->elapsed_ns / 1e9);
    lua_setfield(L, -2, "elapsed");
    if (cursor.size) {
        lua_pushlstring(L, cursor.data, cursor.size);
        lua_setfield(L, -2, "cursor");
    }
}

static int push_copied(lua_State *L, const conversion *in)
{
    kvl_push_progress(L, in->state, &in->answer->progress, kivi_buffer_slice(&in->answer->version));
    return 1;
}

/* The errors of a batch's items, into the error on top; of one that was refused whole, that of the item it was refused for. */
static void push_failures(lua_State *L, const conversion *in)
{
    const kivi_completion *done = &in->answer->done;
    size_t index = kivi_error_index(done->error);
    if (!done->result && index == SIZE_MAX)
        return;
    lua_newtable(L);
    for (size_t i = 0; i < kivi_result_count(done->result); i++) {
        if (!kivi_result_error(done->result, i))
            continue;
        push_item_error(L, in, i);
        lua_rawseti(L, -2, (int)i + 1);
    }
    if (!done->result) {
        push_item_error(L, in, index);
        lua_rawseti(L, -2, (int)index + 1);
    }
    lua_setfield(L, -2, "failures");
}

/* Nil and the error, which has with it how far the call came. */
static int push_failure(lua_State *L, const conversion *in)
{
    const kvb_answer *answer = in->answer;
    kivi_slice key = kvb_answer_key(answer);
    lua_pushnil(L);
    kvl_push_error(L, in->state, answer->done.status, answer->done.error);
    if (key.data)
        kvl_name_key(L, key, kvb_is_about_key(answer, answer->done.status));
    push_failures(L, in);
    if (answer->done.result) {
        push_results(L, in);
        lua_setfield(L, -2, "results");
    } else if (kvb_answer_shape(answer) == KVB_COPIED) {
        push_copied(L, in);
        lua_setfield(L, -2, "progress");
    } else if (answer->request.verb == KIVI_VERB_CLEAR) {
        set_count(L, in->state, "cleared", (uint64_t)answer->done.integer);
    }
    return 2;
}

static int push(lua_State *L, conversion *in)
{
    if (in->answer->request.verb == KIVI_VERB_GET_MANY && in->answer->done.result)
        return push_found(L, in); /* also where some of the keys failed */
    if (kvb_answer_failed(in->answer))
        return push_failure(L, in);
    switch (kvb_answer_shape(in->answer)) {
    case KVB_NOTHING:
        lua_pushboolean(L, true);
        return 1;
    case KVB_TRUTH:
        lua_pushboolean(L, kvb_answer_truth(in->answer));
        return 1;
    case KVB_INTEGER:
        kvl_push_int(L, in->state, in->answer->done.integer);
        return 1;
    case KVB_VALUE:
    case KVB_VERSIONED:
        return push_value(L, in);
    case KVB_SECONDS:
        return push_seconds(L, in);
    case KVB_FOUND:
        return push_found(L, in);
    case KVB_RESULTS:
        return push_results(L, in);
    case KVB_PAGE:
        return push_page(L, in);
    case KVB_MAP:
        return push_map(L, in);
    case KVB_COPIED:
        return push_copied(L, in);
    }
    return 0;
}

/* Arguments: the conversion, and the list of keys if there is one. Answers what counts, on top. */
int kvl_convert_protected(lua_State *L)
{
    conversion *in = lua_touserdata(L, 1);
    in->keys = lua_istable(L, 2) ? 2 : 0;
    if (!in->in_place)
        return push(L, in);
    return decode(L, in, in->value) ? 1 : push_unreadable(L, in);
}

/* How many results; -1: what was raised is on top. Uses the list of keys on top, if told so. */
static int convert(lua_State *L, conversion *in, bool has_keys)
{
    int below = lua_gettop(L) - has_keys;
    lua_rawgeti(L, LUA_REGISTRYINDEX, in->state->convert);
    lua_pushlightuserdata(L, in);
    if (has_keys) {
        lua_pushvalue(L, below + 1);
        lua_remove(L, below + 1);
    }
    if (lua_pcall(L, 1 + has_keys, LUA_MULTRET, 0))
        return -1;
    return lua_gettop(L) - below;
}

int kvl_answer_in_place(lua_State *L, kvb_answer *answer, kivi_slice value)
{
    conversion in = {.state = answer->store->host, .answer = answer, .in_place = true, .value = value};
    return convert(L, &in, false);
}

int kvl_answer_convert(lua_State *L, kvb_answer *answer, bool has_keys)
{
    conversion in = {.state = answer->store->host, .answer = answer};
    int count = convert(L, &in, has_keys);
    kvb_page_free(in.page);
    kivi_reader_free(in.reader);
    return count;
}

/* Integers that need no box. */
static int push_plain_integer(lua_State *L, const kvb_answer *answer)
{
    int64_t value = answer->done.integer;
    if (!KVL_INTEGERS && (value > KVL_EXACT || value < -KVL_EXACT))
        return 0;
    kvl_push_int(L, answer->store->host, value);
    return 1;
}

/* What needs no memory of Lua's is pushed at once: how many results, or 0. */
static int push_simple(lua_State *L, const kvb_answer *answer)
{
    if (kvb_answer_failed(answer))
        return 0;
    switch (kvb_answer_shape(answer)) {
    case KVB_NOTHING:
        lua_pushboolean(L, true);
        return 1;
    case KVB_TRUTH:
        lua_pushboolean(L, kvb_answer_truth(answer));
        return 1;
    case KVB_INTEGER:
        return push_plain_integer(L, answer);
    case KVB_VALUE:
    case KVB_VERSIONED:
        return answer->done.status == KIVI_NOT_FOUND ? push_nothing(L) : 0;
    default:
        return 0;
    }
}

static int answer_count(lua_State *L, kvb_answer *answer)
{
    int count;
    if (answer->in_place)
        return (int)(intptr_t)answer->object;
    count = push_simple(L, answer);
    return count ? count : kvl_answer_convert(L, answer, false);
}

int kvl_answer(lua_State *L, kvb_answer *answer)
{
    kvb_store *store = answer->store; /* the caller's object holds it */
    kvl_state *state = store ? store->host : kvl_state_of(L);
    int count;
    if (!store)
        return kvl_refuse(state, KIVI_NO_MEMORY, "out of memory"), -1;
    if (answer->pending)
        return kvl_push_pending(L, answer) ? 1 : (kvl_refuse_top(state), -1);
    count = answer_count(L, answer);
    while (count == 1 && kvb_answer_is_unconfirmed(answer)) {
        state->L = L; /* what ran while the value was made may have called us */
        kvb_answer_confirm(answer);
        if (kvb_answer_is_confirmed(answer))
            break;
        lua_pop(L, 1);
        count = answer_count(L, answer);
    }
    kvb_answer_give(answer);
    kvl_tell_events(L, store);
    if (count < 0)
        kvl_refuse_top(state);
    return count;
}
