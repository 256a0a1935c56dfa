/* Reads and writes of single keys: what each answers. */
#include <poll.h>

#include "suite.h"

CASE(single, missing)
{
    kivi_slice k = key(s, "missing");
    EXPECT_MISSING(k);
    OK(kivi_store_delete(s->store, NULL, k, NULL, E));
    bool existed = true;
    OK(kivi_store_delete(s->store, NULL, k, &existed, E));
    EXPECT(!existed);
    kivi_buffer version = KIVI_BUFFER_INIT;
    ANSWERS(KIVI_NOT_FOUND, kivi_store_get_versioned(s->store, NULL, k, &s->value, &version, E));
    EXPECT(s->value.size == 0 && version.size == 0);
    kivi_buffer_free(&version);
    ANSWERS(KIVI_NOT_FOUND, kivi_store_take(s->store, NULL, k, &s->value, E));
    int64_t left;
    ANSWERS(KIVI_NOT_FOUND, kivi_store_ttl(s->store, NULL, k, &left, E));
    ANSWERS(KIVI_NOT_FOUND, kivi_store_persist(s->store, NULL, k, E));
    EXPECT_MISSING(k);
}

CASE(single, set_and_delete)
{
    kivi_slice k = key(s, "k");
    put(s, k, text(s, "one"), KIVI_TTL_NONE);
    EXPECT_HOLDS(k, text(s, "one"));
    put(s, k, text(s, "two"), KIVI_TTL_NONE);
    EXPECT_HOLDS(k, text(s, "two"));
    bool existed = false;
    OK(kivi_store_delete(s->store, NULL, k, &existed, E));
    EXPECT(existed);
    EXPECT_MISSING(k);
    OK(kivi_store_delete(s->store, NULL, k, &existed, E));
    EXPECT(!existed);
    put(s, k, text(s, "three"), KIVI_TTL_NONE);
    OK(kivi_store_delete(s->store, NULL, k, NULL, E));
    EXPECT_MISSING(k);
}

/* Every call works without a place for its error. */
CASE(single, without_error)
{
    kivi_slice k = key(s, "k");
    EXPECT_NUMBER(kivi_store_get(s->store, NULL, k, &s->value, NULL), KIVI_NOT_FOUND);
    EXPECT_NUMBER(kivi_store_set(s->store, NULL, k, text(s, "v"), KIVI_TTL_NONE, NULL), KIVI_OK);
    EXPECT_NUMBER(kivi_store_set(s->store, NULL, kivi_str(""), text(s, "v"), KIVI_TTL_NONE, NULL),
                  KIVI_INVALID);
    EXPECT_NUMBER(kivi_store_get(s->store, NULL, k, &s->value, NULL), KIVI_OK);
    EXPECT_NUMBER(kivi_store_delete(s->store, NULL, k, NULL, NULL), KIVI_OK);
}

CASE(single, add_and_replace)
{
    if (lacks_conditions(s))
        return;
    kivi_slice k = key(s, "k");
    ANSWERS(KIVI_CONDITION, kivi_store_replace(s->store, NULL, k, text(s, "r"), KIVI_TTL_NONE, E));
    EXPECT_MISSING(k);
    OK(kivi_store_add(s->store, NULL, k, text(s, "a"), KIVI_TTL_NONE, E));
    ANSWERS(KIVI_CONDITION, kivi_store_add(s->store, NULL, k, text(s, "b"), KIVI_TTL_NONE, E));
    ANSWERS(KIVI_CONDITION, kivi_store_add(s->store, NULL, k, text(s, "a"), KIVI_TTL_NONE, E));
    EXPECT_HOLDS(k, text(s, "a"));
    OK(kivi_store_replace(s->store, NULL, k, text(s, "r"), KIVI_TTL_NONE, E));
    EXPECT_HOLDS(k, text(s, "r"));
    OK(kivi_store_delete(s->store, NULL, k, NULL, E));
    OK(kivi_store_add(s->store, NULL, k, text(s, "c"), KIVI_TTL_NONE, E));
    EXPECT_HOLDS(k, text(s, "c"));
}

/* ---- take, get with touch ---- */

CASE(take, once)
{
    kivi_slice k = key(s, "k");
    put(s, k, text(s, "v"), KIVI_TTL_NONE);
    OK(kivi_store_take(s->store, NULL, k, &s->value, E));
    EXPECT_BYTES(kivi_buffer_slice(&s->value), text(s, "v"));
    EXPECT_MISSING(k);
    ANSWERS(KIVI_NOT_FOUND, kivi_store_take(s->store, NULL, k, &s->value, E));
    EXPECT_NUMBER(s->value.size, 0);
}

static void take_all(worker *w)
{
    kivi_slice *keys = w->shared;
    kivi_buffer value = KIVI_BUFFER_INIT;
    for (size_t i = 0; i < 60; i++) {
        kivi_status status = kivi_store_take(w->s->store, NULL, keys[i], &value, NULL);
        if (status != KIVI_OK && status != KIVI_NOT_FOUND)
            fault(w, "take answered %s", kivi_status_name(status));
        w->tally += status == KIVI_OK;
    }
    kivi_buffer_free(&value);
}

/* ---- in two steps ---- */

typedef struct step_result {
    kivi_completion done;
    kivi_buffer value, version;
    kivi_queue *queue; /* NULL: the call waits */
} step_result;

static kivi_status step(subject *s, step_result *to, kivi_verb verb, kivi_slice k, int64_t ttl_ms,
                        kivi_slice expected)
{
    kivi_request ask = KIVI_REQUEST_INIT;
    struct pollfd ready = {.events = POLLIN};
    ask.verb = verb;
    ask.key = k;
    ask.ttl_ms = ttl_ms;
    ask.expected = expected;
    kivi_completion_release(&to->done);
    to->done = (kivi_completion)KIVI_COMPLETION_INIT;
    if (!to->queue)
        return kivi_store_perform(s->store, NULL, &ask, &to->value, &to->version, &to->done);
    kivi_status status = kivi_queue_submit(to->queue, s->store, NULL, &ask, NULL, E);
    if (status)
        return status;
    ready.fd = kivi_queue_descriptor(to->queue);
    while (kivi_queue_take(to->queue, &to->done, 1) == 0)
        poll(&ready, 1, -1);
    return to->done.status;
}

/* Nothing changes before the second step, which does nothing when somebody else wrote in between. */
static void take_in_steps(subject *s, step_result *to)
{
    kivi_slice k = key(s, "k"), none = kivi_bytes(NULL, 0);
    kivi_buffer version = KIVI_BUFFER_INIT;
    EXPECT_NUMBER(step(s, to, KIVI_VERB_TAKE_BEGIN, k, 0, none), KIVI_NOT_FOUND);
    put(s, k, text(s, "v"), KIVI_TTL_NONE);
    EXPECT_NUMBER(step(s, to, KIVI_VERB_TAKE_BEGIN, k, 0, none), KIVI_OK);
    EXPECT_BYTES(to->done.value, text(s, "v"));
    EXPECT_HOLDS(k, text(s, "v"));
    kivi_buffer_assign(&version, to->done.version);
    put(s, k, text(s, "another"), KIVI_TTL_NONE);
    EXPECT_NUMBER(step(s, to, KIVI_VERB_TAKE_END, k, 0, kivi_buffer_slice(&version)), KIVI_CONDITION);
    EXPECT_HOLDS(k, text(s, "another"));
    EXPECT_NUMBER(step(s, to, KIVI_VERB_TAKE_BEGIN, k, 0, none), KIVI_OK);
    kivi_buffer_assign(&version, to->done.version);
    EXPECT_NUMBER(step(s, to, KIVI_VERB_TAKE_END, k, 0, kivi_buffer_slice(&version)), KIVI_OK);
    EXPECT_MISSING(k);
    EXPECT_NUMBER(step(s, to, KIVI_VERB_TAKE_END, k, 0, kivi_buffer_slice(&version)), KIVI_CONDITION);
    kivi_buffer_free(&version);
}

static void expire_in_steps(subject *s, step_result *to)
{
    kivi_slice k = key(s, "e"), none = kivi_bytes(NULL, 0);
    kivi_buffer version = KIVI_BUFFER_INIT;
    int64_t left = -7;
    EXPECT_NUMBER(step(s, to, KIVI_VERB_GET_AND_EXPIRE_BEGIN, k, -5, none), KIVI_INVALID);
    put(s, k, text(s, "v"), KIVI_TTL_NONE);
    EXPECT_NUMBER(step(s, to, KIVI_VERB_GET_AND_EXPIRE_BEGIN, k, 600000, none), KIVI_OK);
    EXPECT_BYTES(to->done.value, text(s, "v"));
    OK(kivi_store_ttl(s->store, NULL, k, &left, E));
    EXPECT_NUMBER(left, KIVI_TTL_NONE);
    kivi_buffer_assign(&version, to->done.version);
    EXPECT_NUMBER(step(s, to, KIVI_VERB_GET_AND_EXPIRE_END, k, 600000, kivi_buffer_slice(&version)),
                  KIVI_OK);
    OK(kivi_store_ttl(s->store, NULL, k, &left, E));
    EXPECT(left > 500000 && left <= 600000 + s->can.ttl_resolution_ms);
    put(s, k, text(s, "another"), KIVI_TTL_NONE);
    EXPECT_NUMBER(step(s, to, KIVI_VERB_GET_AND_EXPIRE_END, k, 600000, kivi_buffer_slice(&version)),
                  KIVI_CONDITION);
    OK(kivi_store_ttl(s->store, NULL, k, &left, E));
    EXPECT_NUMBER(left, KIVI_TTL_NONE);
    kivi_buffer_free(&version);
}

static void in_steps(subject *s, void (*work)(subject *s, step_result *to))
{
    step_result to = {.done = KIVI_COMPLETION_INIT};
    work(s, &to);
    OK(kivi_store_delete(s->store, NULL, key(s, "k"), NULL, E));
    OK(kivi_queue_new(&to.queue, E));
    work(s, &to);
    kivi_completion_release(&to.done);
    kivi_queue_close(to.queue);
    kivi_buffer_free(&to.value);
    kivi_buffer_free(&to.version);
}

CASE(take, in_two_steps)
{
    if (!lacks_conditions(s))
        in_steps(s, take_in_steps);
}

CASE(take, get_and_expire_in_two_steps)
{
    if (!lacks_conditions(s) && !lacks_ttl(s))
        in_steps(s, expire_in_steps);
}

/* No two callers get the same value. */
CASE(take, concurrently)
{
    kivi_slice keys[60];
    for (size_t i = 0; i < 60; i++) {
        keys[i] = key_number(s, "k", i);
        put(s, keys[i], number(s, (int64_t)i), KIVI_TTL_NONE);
    }
    uint64_t taken[8], sum = 0;
    together(s, 8, take_all, keys, taken);
    for (size_t i = 0; i < 8; i++)
        sum += taken[i];
    EXPECT_NUMBER(sum, 60);
    for (size_t i = 0; i < 60; i++)
        EXPECT_MISSING(keys[i]);
}

CASE(take, get_and_expire)
{
    if (lacks_ttl(s))
        return;
    kivi_slice k = key(s, "k");
    int64_t left = -7;
    ANSWERS(KIVI_NOT_FOUND, kivi_store_get_and_expire(s->store, NULL, k, 60000, &s->value, E));
    put(s, k, text(s, "v"), KIVI_TTL_NONE);
    OK(kivi_store_get_and_expire(s->store, NULL, k, 600000, &s->value, E));
    EXPECT_BYTES(kivi_buffer_slice(&s->value), text(s, "v"));
    OK(kivi_store_ttl(s->store, NULL, k, &left, E));
    EXPECT_SAYING(left > 500000 && left <= 600000 + s->can.ttl_resolution_ms, "%lld ms left",
                  (long long)left);
    OK(kivi_store_get_and_expire(s->store, NULL, k, KIVI_TTL_NONE, &s->value, E));
    OK(kivi_store_ttl(s->store, NULL, k, &left, E));
    EXPECT_NUMBER(left, KIVI_TTL_NONE);
    EXPECT_HOLDS(k, text(s, "v"));
}
