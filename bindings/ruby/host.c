/* Waiting for a call without the GVL, and reading in place with it. */
#include <ruby/thread.h>
#include <time.h>

#include "kvr.h"

enum { IN_PLACE_MAX = 64 * 1024 }; /* bytes of a value decoded where it lies */

void kvr_answer_raise(kvb_answer *answer, int state)
{
    answer->in_place = false;
    answer->object = (void *)(intptr_t)state;
}

void kvr_answer_keep(kvb_answer *answer, VALUE value)
{
    answer->in_place = true;
    answer->object = (void *)value;
}

static VALUE check_interrupts(VALUE nothing)
{
    rb_thread_check_ints();
    return nothing;
}

/* ---- with the GVL: reads of stores in this process ---- */

typedef struct reading {
    kvb_answer *answer;
    kivi_slice value;
    int state;
} reading;

static VALUE let_others_run(VALUE nothing)
{
    rb_thread_schedule(); /* they may hold what this read waits for */
    rb_thread_check_ints();
    return nothing;
}

static int interrupted_holding(void *user)
{
    reading *read = user;
    if (!read->state)
        rb_protect(let_others_run, Qnil, &read->state);
    return read->state;
}

static VALUE decode(VALUE given)
{
    reading *read = (reading *)given;
    kvb_answer *answer = read->answer;
    return kvr_decode(kvr_config_of(answer->store), kvb_answer_reader(answer), read->value);
}

static kivi_status see(kivi_slice value, void *user)
{
    reading *read = user;
    kvb_answer *answer = read->answer;
    VALUE object;
    if (value.size > IN_PLACE_MAX)
        return kivi_buffer_assign(&answer->value, value);
    read->value = value;
    object = rb_protect(decode, (VALUE)read, &read->state);
    if (!read->state)
        kvr_answer_keep(answer, object);
    else
        read->state = kvr_name_caught(read->state, answer->request.key);
    return KIVI_OK;
}

static void read_here(kvb_answer *answer)
{
    kivi_store *store = answer->store->store;
    kivi_completion *done = &answer->done;
    reading read = {answer, {NULL, 0}, 0};
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = answer->timeout_ms;
    call.interrupted = interrupted_holding;
    call.trace = kvb_trace(answer->store);
    call.user = &read;
    if (answer->request.verb == KIVI_VERB_EXISTS) {
        done->status = kivi_store_exists(store, &call, answer->request.key, &done->truth, &done->error);
    } else {
        done->status = kivi_store_visit(store, &call, answer->request.key, see, &read, &done->error);
        done->value = kivi_buffer_slice(&answer->value);
    }
    if (read.state)
        kvr_answer_raise(answer, read.state);
}

/* ---- without it ---- */

/* A call that waits. Ruby asks it to end by `stop`; it looks at least every 50 ms. */
typedef struct waiting {
    kvb_answer *answer;
    kivi_call call;
    bool ran;
    int stop; /* atomic */
} waiting;

static int interrupted(void *user)
{
    waiting *wait = user;
    return __atomic_load_n(&wait->stop, __ATOMIC_RELAXED);
}

static void interrupt(void *user)
{
    waiting *wait = user;
    __atomic_store_n(&wait->stop, 1, __ATOMIC_RELAXED);
}

static void *perform(void *user)
{
    waiting *wait = user;
    wait->ran = true;
    kvb_perform(wait->answer, &wait->call);
    return NULL;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Whether the call is to be made again: what ended it was a signal or a wake-up that raised nothing, and nothing was sent.
 * One that did not run yet is made in any case: it has no answer without.
 */
static bool begin_again(waiting *wait, int64_t began)
{
    kvb_answer *answer = wait->answer;
    int64_t spent = now_ms() - began;
    if (wait->ran && answer->done.status != KIVI_INTERRUPTED)
        return false;
    if (wait->ran && wait->call.timeout_ms > 0 && spent >= wait->call.timeout_ms)
        return false;
    if (wait->ran) {
        kivi_completion_release(&answer->done);
        answer->done = (kivi_completion)KIVI_COMPLETION_INIT;
    }
    wait->ran = false;
    if (answer->timeout_ms > 0)
        wait->call.timeout_ms = answer->timeout_ms - spent > 0 ? answer->timeout_ms - spent : 1;
    wait->stop = 0;
    return true;
}

/*
 * Runs it until it is done or is asked to end. INTR_FAIL: Ruby checks no interrupts by itself, an exception must not jump
 * over the call. UBF_ASYNC_SAFE: interrupt() may be called by a signal handler; else Ruby starts a thread for it at each
 * call of a process with one thread. True: it is done, and what came meanwhile is seen at Ruby's next check.
 */
static bool run_waiting(waiting *wait, void *(*run)(void *), int *state)
{
    rb_nogvl(run, wait, interrupt, wait, RB_NOGVL_INTR_FAIL | RB_NOGVL_UBF_ASYNC_SAFE);
    if (wait->ran && !wait->stop)
        return true;
    rb_protect(check_interrupts, Qnil, state);
    return false;
}

static void wait_for(kvb_answer *answer)
{
    waiting wait = {answer, KIVI_CALL_INIT, false, 0};
    int64_t began = now_ms();
    int state = 0;
    if (!answer->timeout_ms) /* a call that is made again has no more time for it */
        answer->timeout_ms = kivi_store_timeout(answer->store->store);
    wait.call.timeout_ms = answer->timeout_ms;
    wait.call.interrupted = interrupted;
    wait.call.user = &wait;
    wait.call.trace = kvb_trace(answer->store);
    while (!run_waiting(&wait, perform, &state) && !state && begin_again(&wait, began))
        continue;
    if (state)
        kvr_answer_raise(answer, state);
}

/* ---- opening ---- */

typedef struct opening {
    waiting wait; /* first */
    const char *url;
    const kivi_options *options;
    kvb_store *store;
    kivi_error *error;
} opening;

static void *open_once(void *user)
{
    opening *open = user;
    open->wait.ran = true;
    open->store = kvb_open(open->url, &open->wait.call, open->options, NULL, &open->error);
    return NULL;
}

/* Whether to open anew: what ended it raised nothing. The time limit, which stands in the options, begins anew as well. */
static bool open_again(opening *open)
{
    bool ended = open->wait.ran && !open->store && kivi_error_status(open->error) == KIVI_INTERRUPTED;
    if (open->wait.ran && !ended)
        return false;
    kivi_error_free(open->error);
    open->error = NULL;
    open->wait.ran = false;
    open->wait.stop = 0;
    return true;
}

kvb_store *kvr_open_waiting(const char *url, const kivi_options *options, kivi_error **error, int *state)
{
    opening open = {{NULL, KIVI_CALL_INIT, false, 0}, url, options, NULL, NULL};
    open.wait.call.interrupted = interrupted;
    open.wait.call.user = &open.wait;
    while (!run_waiting(&open.wait, open_once, state) && !*state && open_again(&open))
        continue;
    *error = open.error;
    return open.store;
}

void kvb_host_wait(kvb_answer *answer)
{
    int32_t verb = answer->request.verb;
    if (verb >= KVB_VERB_UPDATE)
        kvr_work(answer);
    else if (answer->store->can.in_place && (verb == KIVI_VERB_GET || verb == KIVI_VERB_EXISTS))
        read_here(answer);
    else
        wait_for(answer);
}
