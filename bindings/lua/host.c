/* Calls that wait: reads in place, interrupts, and the functions of update, get_or_set and copy. */
#include "kvl.h"
#include "results.h"

#define LARGEST_IN_PLACE (64 * 1024) /* bytes; larger values are copied, decoded after the read */

typedef struct waiting {
    kvb_answer *answer;
    lua_State *L;
    kvl_hooks hooks;
} waiting;

static int main_hook(const kvl_state *state)
{
    return state->main ? lua_gethookmask(state->main) : 0;
}

/* The interpreter's command line answers Ctrl-C by setting a hook: then the call ends. */
static int interrupted(void *user)
{
    const kvl_hooks *hooks = user;
    return lua_gethookmask(hooks->L) != hooks->mask || main_hook(hooks->state) != hooks->main_mask;
}

void kvl_call_begin(kivi_call *call, kvl_hooks *hooks, lua_State *L, const kvl_state *state)
{
    *hooks = (kvl_hooks){L, state, lua_gethookmask(L), main_hook(state)};
    call->interrupted = interrupted;
    call->user = hooks;
}

static kivi_status visit(kivi_slice value, void *user)
{
    waiting *wait = user;
    kvb_answer *answer = wait->answer;
    if (value.size > LARGEST_IN_PLACE) {
        kivi_status status = kivi_buffer_assign(&answer->value, value);
        answer->done.value = kivi_buffer_slice(&answer->value);
        return status;
    }
    answer->in_place = true;
    answer->object = (void *)(intptr_t)kvl_answer_in_place(wait->L, answer, value);
    return KIVI_OK;
}

static void read_in_place(kvb_answer *answer, const kivi_call *call, waiting *wait)
{
    int top = lua_gettop(wait->L);
    answer->done.status = kivi_store_visit(answer->store->store, call, answer->request.key, visit,
                                           wait, &answer->done.error);
    if (answer->done.status) { /* what was read before it failed does not count */
        answer->in_place = false;
        lua_settop(wait->L, top);
    }
}

void kvb_host_wait(kvb_answer *answer)
{
    const kvl_state *state = answer->store->host;
    waiting wait = {.answer = answer, .L = state->L};
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = answer->timeout_ms;
    call.trace = kvb_trace(answer->store);
    kvl_call_begin(&call, &wait.hooks, state->L, state);
    answer->missing = (void *)state->flags;
    answer->object = state->L; /* where its function is called */
    if (answer->request.verb == KIVI_VERB_GET && answer->store->can.in_place)
        read_in_place(answer, &call, &wait);
    else
        kvb_perform(answer, &call);
}

/* ---- functions of calls ---- */

/* A function of Lua being called for an answer. */
typedef struct computing {
    kvb_answer *answer;
    kvl_state *state;
    const kivi_slice *current;
    kivi_buffer *next;
    kivi_update_action action;
    kivi_status status;
    const kivi_copy_progress *progress;
    int more; /* what the progress function answered */
} computing;

static bool push_current(lua_State *L, computing *in)
{
    kivi_reader *reader = kvb_answer_reader(in->answer);
    if (!in->current) {
        lua_pushnil(L);
        return true;
    }
    if (!reader)
        return kvl_refuse(in->state, KIVI_NO_MEMORY, "out of memory");
    return kvl_decode(L, in->state, reader, *in->current, (uintptr_t)in->answer->missing,
                      strcmp(in->answer->store->codec, "raw") == 0);
}

/* Encodes what the function answered. May raise; the encoder then lies with the caller. */
static bool take_value(lua_State *L, computing *in, int index)
{
    kvb_store *store = in->answer->store;
    kvb_encoder *encoder = kvb_encoder_take(store);
    bool done = encoder && kvl_encode(L, in->state, store, index, encoder);
    if (!encoder)
        return kvl_refuse(in->state, KIVI_NO_MEMORY, "out of memory");
    if (done && kivi_buffer_assign(in->next, kivi_buffer_slice(&encoder->bytes)))
        done = kvl_refuse(in->state, KIVI_NO_MEMORY, "out of memory");
    kvb_encoder_give(store, encoder);
    return done;
}

static bool take_update(lua_State *L, computing *in)
{
    if (lua_isnil(L, -1) || lua_touserdata(L, -1) == kvl_leave_mark()) {
        in->action = KIVI_UPDATE_LEAVE;
        return true;
    }
    if (lua_touserdata(L, -1) == kvl_delete_mark()) {
        in->action = KIVI_UPDATE_DELETE;
        return true;
    }
    return take_value(L, in, lua_gettop(L));
}

static bool take_answer(lua_State *L, computing *in)
{
    if (in->answer->request.verb == KVB_VERB_UPDATE)
        return take_update(L, in);
    if (lua_touserdata(L, -1) == kvl_leave_mark()) {
        in->action = KIVI_UPDATE_LEAVE;
        return true;
    }
    if (lua_isnil(L, -1))
        return kvl_refuse(in->state, KIVI_INVALID,
                          "the function of get_or_set answered nil; kivi.leave stores nothing");
    return take_value(L, in, lua_gettop(L));
}

/* Under protection: arguments are the computing and the function. Errors of ours are told by its status. */
int kvl_compute_protected(lua_State *L)
{
    computing *in = lua_touserdata(L, 1);
    in->status = KIVI_OK;
    if (in->progress) {
        kvl_push_progress(L, in->state, in->progress, in->progress->cursor);
        lua_call(L, 1, 1);
        in->more = lua_isnil(L, -1) || lua_toboolean(L, -1);
        return 0;
    }
    bool read = push_current(L, in);
    if (read) {
        lua_call(L, 1, 1);
        if (take_answer(L, in))
            return 0;
        if (in->state->problem.exit == KVL_RAISE)
            return lua_error(L);
    }
    in->status = in->state->problem.status;
    kvl_refuse_key(in->state, in->answer->request.key);
    kvl_problem problem = in->state->problem;
    lua_settop(L, 0);
    kvl_push_problem(L, in->state, &problem);
    return 1;
}

/* What was caught stays on the stack, where kvl_answer() finds it. */
static kivi_status call_function(kvb_answer *answer, computing *in)
{
    lua_State *L = answer->object;
    int top = lua_gettop(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, in->state->compute);
    lua_pushlightuserdata(L, in);
    lua_pushvalue(L, (int)(intptr_t)answer->function);
    if (lua_pcall(L, 2, 1, 0)) {
        answer->in_place = true;
        answer->object = (void *)(intptr_t)-1;
        return KIVI_CANCELLED;
    }
    if (!in->status) {
        lua_settop(L, top);
        return KIVI_OK;
    }
    lua_pushnil(L);
    lua_insert(L, -2);
    answer->in_place = true;
    answer->object = (void *)(intptr_t)2;
    return in->status;
}

kivi_status kvb_host_compute(kvb_answer *answer, const kivi_slice *current, kivi_buffer *next,
                             kivi_update_action *action)
{
    computing in = {answer, answer->store->host, current, next, KIVI_UPDATE_SET, KIVI_OK, NULL, 0};
    kivi_status status = call_function(answer, &in);
    *action = in.action;
    return status;
}

int kvb_host_progress(kvb_answer *answer, const kivi_copy_progress *progress)
{
    computing in = {.answer = answer, .state = answer->store->host, .progress = progress};
    return call_function(answer, &in) || !in.more;
}
