/*
 * Queues: for event loops, whose calls must not wait.
 *
 *     local queue = core.queue()
 *     local store = core.open(url, options, queue)   -- opening itself blocks
 *     local pending = store:get("key")               -- submitted; at once nil, err where it is refused
 *     ...when queue:descriptor() is readable, or after queue:wait(seconds):
 *     queue:take(function(pending, value, err) ... end)  -- for each that is done, what the call would have answered
 *
 * pending:cancel() hastens the end: it still comes out of take. update, get_or_set, copy and scan wait also on such
 * a store (scan refuses; page is submitted).
 */
#include "kvl.h"
#include "results.h"

#include <math.h>
#include <poll.h>

#define TAKEN_AT_ONCE 64

/* What a submitted call answers. All of a queue are linked, and kept by the queue's table until taken. */
typedef struct pending {
    const char *kind;
    kvb_answer *answer; /* NULL: taken */
    struct pending *next, **link;
} pending;

typedef struct queue {
    const char *kind;
    kvb_queue *queue;
    pending *first;
    int kept; /* reference to its table */
} queue;

static queue *queue_of(const kvb_answer *answer)
{
    return answer->store->queue->host;
}

static void unlink_pending(pending *item)
{
    *item->link = item->next;
    if (item->next)
        item->next->link = item->link;
    item->answer = NULL;
}

static void link_pending(queue *in, pending *item, kvb_answer *answer)
{
    item->answer = answer;
    item->next = in->first;
    item->link = &in->first;
    if (in->first)
        in->first->link = &item->next;
    in->first = item;
}

/* ---- submitting ---- */

/* The keys of get_many, for its answer: their slices are the caller's. */
static void push_keys(lua_State *L, const kvb_answer *answer)
{
    lua_createtable(L, (int)answer->request.count, 0);
    for (size_t i = 0; i < answer->request.count; i++) {
        kivi_slice key = answer->request.keys[i];
        lua_pushlstring(L, key.data, key.size);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* Whether its value is kept until its key is gone. */
static bool takes(const kvb_answer *answer)
{
    return answer->request.verb >= KIVI_VERB_TAKE_BEGIN;
}

/* Under protection: the pending of an answer, and its keys, into the queue's table. */
int kvl_pend_protected(lua_State *L)
{
    kvb_answer *answer = lua_touserdata(L, 1);
    queue *in = queue_of(answer);
    kvl_state *state = answer->store->host;
    pending *item;
    int keys = 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, in->kept);
    item = kvl_object_new(L, state, sizeof(*item), &kvl_a_pending, KVL_META_PENDING);
    if (answer->request.verb == KIVI_VERB_GET_MANY) {
        push_keys(L, answer);
        keys = luaL_ref(L, 2);
    } else if (takes(answer)) {
        lua_pushboolean(L, false); /* the value's place: made here, so that nothing fails when it is there */
        keys = luaL_ref(L, 2);
    }
    answer->object = (void *)(intptr_t)luaL_ref(L, 2);
    answer->function = (void *)(intptr_t)keys;
    link_pending(in, item, answer);
    return 0;
}

bool kvb_host_pending(kvb_answer *answer)
{
    const kvl_state *state = answer->store->host;
    lua_State *L = state->L;
    if (answer->object) /* it goes on */
        return true;
    answer->missing = (void *)state->flags;
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->pend);
    lua_pushlightuserdata(L, answer);
    return lua_pcall(L, 1, 0, 0) == 0;
}

bool kvl_push_pending(lua_State *L, const kvb_answer *answer)
{
    if (!answer->object)
        return false;
    lua_rawgeti(L, LUA_REGISTRYINDEX, queue_of(answer)->kept);
    lua_rawgeti(L, -1, (int)(intptr_t)answer->object);
    lua_remove(L, -2);
    return true;
}

static int cancel(lua_State *L)
{
    pending *item = kvl_object(L, 1, &kvl_a_pending);
    if (!item)
        return luaL_argerror(L, 1, "pending call expected");
    if (item->answer)
        kvb_answer_cancel(item->answer);
    return 0;
}

static int pending_text(lua_State *L)
{
    const pending *item = kvl_object(L, 1, &kvl_a_pending);
    lua_pushfstring(L, "kivi pending call (%s)", item && item->answer ? "in flight" : "done");
    return 1;
}

/* ---- taking ---- */

static queue *check(lua_State *L, int index)
{
    queue *in = kvl_object(L, index, &kvl_a_queue);
    if (!in || !in->queue)
        luaL_argerror(L, index, in ? "queue is closed" : "queue expected");
    return in;
}

kvb_queue *kvl_check_queue(lua_State *L, int index)
{
    return check(L, index)->queue;
}

/* Takes what is kept under a reference out of the table on top, onto it. */
static void take_kept(lua_State *L, int table, void *reference)
{
    lua_rawgeti(L, table, (int)(intptr_t)reference);
    luaL_unref(L, table, (int)(intptr_t)reference);
}

/* What an answer comes to: how many results it pushed; -1: what was raised is on top. */
static int push_results(lua_State *L, int table, kvb_answer *answer)
{
    bool has_keys = answer->request.verb == KIVI_VERB_GET_MANY;
    if (has_keys)
        take_kept(L, table, answer->function);
    if (!kvb_answer_is_confirmed(answer))
        return kvl_answer_convert(L, answer, has_keys);
    lua_rawgeti(L, table, (int)(intptr_t)answer->function);
    return 1;
}

/* The value on top can be handed over: it is kept, and its key goes first. True: the answer is on its way again. */
static bool confirm(lua_State *L, queue *in, int table, pending *item, kvb_answer *answer)
{
    lua_rawseti(L, table, (int)(intptr_t)answer->function);
    link_pending(in, item, answer);
    kvb_answer_confirm(answer);
    if (answer->pending)
        return true;
    unlink_pending(item);
    return false;
}

/* Calls the function at 2 for one answer and gives that back. False: what it raised is on top. Never raises. */
static bool deliver(lua_State *L, queue *in, int table, kvb_answer *answer)
{
    pending *item;
    int count;
    kvl_tell_events(L, answer->store);
    lua_pushvalue(L, 2);
    lua_rawgeti(L, table, (int)(intptr_t)answer->object);
    item = lua_touserdata(L, -1);
    unlink_pending(item);
    count = push_results(L, table, answer);
    if (count == 1 && kvb_answer_is_unconfirmed(answer)) {
        if (confirm(L, in, table, item, answer))
            return true;
        count = push_results(L, table, answer);
    }
    luaL_unref(L, table, (int)(intptr_t)answer->object);
    if (takes(answer))
        luaL_unref(L, table, (int)(intptr_t)answer->function);
    kvb_answer_give(answer);
    return count >= 0 && lua_pcall(L, 1 + count, 0, 0) == 0;
}

/* queue:take(f): calls f(pending, value, err) for each call that is done; answers how many. If f raises, the others are
 * still delivered; then the first that was raised is. */
static int take(lua_State *L)
{
    kvb_answer *done[TAKEN_AT_ONCE];
    queue *in = check(L, 1);
    size_t count, taken = 0;
    bool failed = false;
    luaL_checktype(L, 2, LUA_TFUNCTION);
    luaL_checkstack(L, 12, NULL);
    lua_settop(L, 2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, in->kept);
    lua_pushnil(L); /* 4: the first that was raised */
    do {
        count = in->queue ? kvb_queue_take(in->queue, done, TAKEN_AT_ONCE) : 0;
        for (size_t i = 0; i < count; i++) {
            if (!done[i]->object) {
                kvb_answer_give(done[i]);
                continue;
            }
            if (!deliver(L, in, 3, done[i]) && !failed) {
                lua_replace(L, 4);
                failed = true;
            }
            lua_settop(L, 4);
        }
        taken += count;
    } while (count == TAKEN_AT_ONCE);
    if (failed)
        return lua_error(L);
    lua_pushinteger(L, (lua_Integer)taken);
    return 1;
}

/* queue:wait(seconds): until something is done, or for so long; whether something may be. A signal ends it early. */
static int wait(lua_State *L)
{
    queue *in = check(L, 1);
    double ms = ceil(luaL_checknumber(L, 2) * 1000);
    struct pollfd watched = {.events = POLLIN};
    if (!(ms >= 0))
        return luaL_argerror(L, 2, "seconds expected");
    watched.fd = kivi_queue_descriptor(in->queue->queue);
    lua_pushboolean(L, poll(&watched, 1, ms < INT32_MAX ? (int)ms : INT32_MAX) > 0);
    return 1;
}

/* ---- queues ---- */

int kvl_queue_new(lua_State *L)
{
    kvl_state *state = kvl_state_of(L);
    kivi_error *error;
    queue *in;
    lua_settop(L, 0);
    in = kvl_object_new(L, state, sizeof(*in), &kvl_a_queue, KVL_META_QUEUE);
    lua_newtable(L);
#if LUA_VERSION_NUM < 504
    lua_pushinteger(L, 0); /* the head of luaL_unref's free list: made here, so that giving back makes nothing */
    lua_rawseti(L, -2, 0);
#endif
    in->kept = luaL_ref(L, LUA_REGISTRYINDEX);
    in->queue = kvb_queue_new(&error);
    if (!in->queue) {
        kivi_status status = error ? kivi_error_status(error) : KIVI_NO_MEMORY;
        kvl_refuse_error(state, status, error);
        return kvl_leave(L);
    }
    in->queue->host = in;
    return 1;
}

/* Ends all that is in flight: nothing of it will be taken. */
static int close_queue(lua_State *L)
{
    queue *in = kvl_object(L, 1, &kvl_a_queue);
    if (!in || !in->queue)
        return 0;
    kvb_queue_close(in->queue);
    while (in->first) {
        kvb_answer *answer = in->first->answer;
        unlink_pending(in->first);
        kvb_answer_give(answer);
    }
    in->queue->host = NULL;
    kvb_queue_unref(in->queue);
    in->queue = NULL;
    luaL_unref(L, LUA_REGISTRYINDEX, in->kept);
    return 0;
}

void kvl_queues_register(lua_State *L, kvl_state *state)
{
    static const luaL_Reg queue_methods[] = {
        {"take", take}, {"wait", wait}, {"close", close_queue}, {NULL, NULL}};
    static const luaL_Reg queue_events[] = {{"__gc", close_queue}, {"__close", close_queue}, {NULL, NULL}};
    static const luaL_Reg pending_methods[] = {{"cancel", cancel}, {NULL, NULL}};
    static const luaL_Reg pending_events[] = {{"__tostring", pending_text}, {NULL, NULL}};
    kvl_meta_new(L, state, KVL_META_QUEUE, "kivi.Queue", queue_events, queue_methods);
    kvl_meta_new(L, state, KVL_META_PENDING, "kivi.Pending", pending_events, pending_methods);
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->metas[KVL_META_QUEUE]);
    lua_getfield(L, -1, "__index");
    kvl_functions(L, kvl_swig_queue_methods);
    lua_pop(L, 2);
}
