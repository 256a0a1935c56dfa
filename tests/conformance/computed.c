/* Values that the caller computes: update and get_or_set. */
#include <stdatomic.h>

#include "suite.h"

/* ---- update ---- */

typedef struct computing {
    subject *s;
    unsigned calls;
    kivi_status answer;
    kivi_update_action action;
    kivi_slice next;
    kivi_slice interfere; /* a key written meanwhile, once */
    bool saw_missing;
    kivi_buffer saw;
} computing;

static kivi_status compute(const kivi_slice *current, kivi_buffer *next, kivi_update_action *action,
                           void *user)
{
    computing *c = user;
    subject *s = c->s;
    c->calls++;
    c->saw_missing = current == NULL;
    kivi_buffer_assign(&c->saw, current ? *current : kivi_bytes(NULL, 0));
    if (next->size != 0)
        return KIVI_INTERNAL;
    if (c->interfere.size && c->calls == 1)
        put(s, c->interfere, text(s, "meanwhile"), KIVI_TTL_NONE);
    *action = c->action;
    kivi_buffer_append(next, c->next);
    return c->answer;
}

CASE(update, actions)
{
    if (lacks_conditions(s))
        return;
    kivi_slice k = key(s, "k");
    computing c = {.s = s, .next = text(s, "one")};
    OK(kivi_store_update(s->store, NULL, k, KIVI_TTL_NONE, compute, &c, E));
    EXPECT(c.calls == 1 && c.saw_missing);
    EXPECT_HOLDS(k, text(s, "one"));
    c.next = text(s, "two");
    c.action = KIVI_UPDATE_LEAVE;
    OK(kivi_store_update(s->store, NULL, k, KIVI_TTL_NONE, compute, &c, E));
    EXPECT(c.calls == 2 && !c.saw_missing);
    EXPECT_BYTES(kivi_buffer_slice(&c.saw), text(s, "one"));
    EXPECT_HOLDS(k, text(s, "one"));
    c.action = KIVI_UPDATE_SET;
    c.answer = KIVI_UNREPRESENTABLE;
    EXPECT_NUMBER(kivi_store_update(s->store, NULL, k, KIVI_TTL_NONE, compute, &c, NULL),
                  KIVI_UNREPRESENTABLE);
    EXPECT_HOLDS(k, text(s, "one"));
    c.answer = KIVI_OK;
    c.action = KIVI_UPDATE_DELETE;
    OK(kivi_store_update(s->store, NULL, k, KIVI_TTL_NONE, compute, &c, E));
    EXPECT_MISSING(k);
    /* Deleting what is missing is done as well. */
    OK(kivi_store_update(s->store, NULL, k, KIVI_TTL_NONE, compute, &c, E));
    EXPECT(c.calls == 5 && c.saw_missing);
    kivi_buffer_free(&c.saw);
}

/* What somebody else wrote in between is seen: the computation runs again. */
CASE(update, again_after_interference)
{
    if (lacks_conditions(s))
        return;
    static const kivi_update_action actions[] = {KIVI_UPDATE_SET, KIVI_UPDATE_DELETE};
    for (size_t i = 0; i < 4; i++) {
        kivi_slice k = key_number(s, "k", i);
        computing c = {.s = s, .next = text(s, "computed"), .action = actions[i % 2], .interfere = k};
        if (i < 2)
            put(s, k, text(s, "before"), KIVI_TTL_NONE);
        OK(kivi_store_update(s->store, NULL, k, KIVI_TTL_NONE, compute, &c, E));
        /* To delete a key that is missing nothing need be written, so nothing is judged. */
        if (i == 3 && c.calls == 1)
            EXPECT_HOLDS(k, text(s, "meanwhile"));
        else {
            EXPECT_NUMBER(c.calls, 2);
            EXPECT_BYTES(kivi_buffer_slice(&c.saw), text(s, "meanwhile"));
            if (actions[i % 2] == KIVI_UPDATE_SET)
                EXPECT_HOLDS(k, text(s, "computed"));
            else
                EXPECT_MISSING(k);
        }
        kivi_buffer_free(&c.saw);
    }
}

/* ---- get_or_set ---- */

typedef struct leased {
    subject *s;
    kivi_slice lease;
    kivi_status answer;
    int64_t left;
    unsigned calls;
} leased;

static kivi_status compute_leased(kivi_buffer *value, void *user)
{
    leased *one = user;
    one->calls++;
    kivi_store_ttl(one->s->store, NULL, one->lease, &one->left, NULL);
    kivi_buffer_append(value, text(one->s, "computed"));
    return one->answer;
}

static kivi_status get_leased(leased *one, kivi_slice k, int64_t timeout_ms, kivi_buffer *value)
{
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = timeout_ms;
    return kivi_store_get_or_set_leased(one->s->store, &call, k, KIVI_TTL_NONE, 3600000,
                                        compute_leased, one, value, NULL);
}

CASE(get_or_set, under_a_lease)
{
    if (lacks_conditions(s) || lacks_ttl(s))
        return;
    kivi_slice k = key(s, "k");
    kivi_buffer name = KIVI_BUFFER_INIT, value = KIVI_BUFFER_INIT;
    kivi_buffer_append(&name, kivi_str(KIVI_LEASE_PREFIX));
    kivi_buffer_append(&name, k);
    leased one = {.s = s, .lease = kivi_buffer_slice(&name), .answer = KIVI_UNREPRESENTABLE};
    /* While it computes its lease lies beside the key; afterwards it does not, whatever came of it. */
    EXPECT_NUMBER(get_leased(&one, k, 5000, &value), KIVI_UNREPRESENTABLE);
    EXPECT(one.calls == 1 && one.left > 3500000);
    EXPECT_MISSING(k);
    EXPECT_MISSING(one.lease);
    one.answer = KIVI_NOT_FOUND;
    EXPECT_NUMBER(get_leased(&one, k, 5000, &value), KIVI_NOT_FOUND);
    EXPECT(one.calls == 2 && value.size == 0);
    EXPECT_MISSING(k);
    EXPECT_MISSING(one.lease);
    /* Another's lease is waited for, within the deadline. */
    one.answer = KIVI_OK;
    put(s, one.lease, number(s, 1), 3600000);
    EXPECT_NUMBER(get_leased(&one, k, 60, &value), KIVI_TIMEOUT);
    EXPECT_NUMBER(one.calls, 2);
    EXPECT_HOLDS(one.lease, number(s, 1));
    OK(kivi_store_delete(s->store, NULL, one.lease, NULL, E));
    EXPECT_NUMBER(get_leased(&one, k, 5000, &value), KIVI_OK);
    EXPECT_BYTES(kivi_buffer_slice(&value), text(s, "computed"));
    EXPECT_HOLDS(k, text(s, "computed"));
    EXPECT_MISSING(one.lease);
    EXPECT_NUMBER(one.calls, 3);
    kivi_buffer_free(&name);
    kivi_buffer_free(&value);
}

typedef struct shared_computation {
    kivi_slice key, value;
    atomic_uint calls, failures;
    unsigned fail_first;
} shared_computation;

static kivi_status compute_slowly(kivi_buffer *value, void *user)
{
    shared_computation *c = user;
    unsigned call = atomic_fetch_add(&c->calls, 1);
    pause_ms(30);
    if (call < c->fail_first) {
        atomic_fetch_add(&c->failures, 1);
        return KIVI_DENIED;
    }
    return kivi_buffer_append(value, c->value);
}

static void get_or_set(worker *w)
{
    shared_computation *c = w->shared;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_get_or_set(w->s->store, NULL, c->key, KIVI_TTL_NONE,
                                               compute_slowly, c, &value, NULL);
    w->tally = status != KIVI_OK;
    if (status != KIVI_OK && status != KIVI_DENIED)
        fault(w, "get_or_set answered %s", kivi_status_name(status));
    if (status == KIVI_OK && !same_bytes(kivi_buffer_slice(&value), c->value))
        fault(w, "get_or_set answered another value");
    kivi_buffer_free(&value);
}

CASE(get_or_set, one_computation)
{
    if (lacks_conditions(s))
        return;
    shared_computation c = {.key = key(s, "k"), .value = text(s, "computed")};
    together(s, 8, get_or_set, &c, NULL);
    EXPECT_NUMBER(atomic_load(&c.calls), 1);
    EXPECT_HOLDS(c.key, c.value);
    OK(kivi_store_get_or_set(s->store, NULL, c.key, KIVI_TTL_NONE, compute_slowly, &c, &s->value, E));
    EXPECT_NUMBER(atomic_load(&c.calls), 1);
}

/* All who waited for a computation that fails get its error: it does not run once for each of them. */
CASE(get_or_set, failing)
{
    if (lacks_conditions(s))
        return;
    shared_computation c = {.key = key(s, "k"), .value = text(s, "computed"), .fail_first = 8};
    uint64_t failed[8];
    together(s, 8, get_or_set, &c, failed);
    uint64_t sum = 0;
    for (size_t i = 0; i < 8; i++)
        sum += failed[i];
    EXPECT_NUMBER(sum, 8);
    EXPECT(atomic_load(&c.calls) < 8); /* else each computed for itself */
    EXPECT_MISSING(c.key);
    c.fail_first = 0;
    OK(kivi_store_get_or_set(s->store, NULL, c.key, KIVI_TTL_NONE, compute_slowly, &c, &s->value, E));
    EXPECT_HOLDS(c.key, c.value);
}

typedef struct outrun {
    subject *s;
    kivi_slice key;
} outrun;

static kivi_status compute_while_set(kivi_buffer *value, void *user)
{
    outrun *o = user;
    subject *s = o->s;
    put(s, o->key, text(s, "the other's"), KIVI_TTL_NONE);
    return kivi_buffer_append(value, text(s, "mine"));
}

/* If somebody else stored first, theirs is the answer. */
CASE(get_or_set, outrun)
{
    if (lacks_conditions(s))
        return;
    outrun o = {s, key(s, "k")};
    OK(kivi_store_get_or_set(s->store, NULL, o.key, KIVI_TTL_NONE, compute_while_set, &o, &s->value, E));
    EXPECT_BYTES(kivi_buffer_slice(&s->value), text(s, "the other's"));
    EXPECT_HOLDS(o.key, text(s, "the other's"));
}

/* ---- the function's time ---- */

enum { WITHIN_MS = 1000, COMPUTES_MS = 1200 };

static kivi_status update_for_long(const kivi_slice *current, kivi_buffer *next,
                                   kivi_update_action *action, void *user)
{
    (void)action;
    pause_ms(COMPUTES_MS);
    return current ? KIVI_INTERNAL : kivi_buffer_append(next, *(const kivi_slice *)user);
}

static kivi_status compute_for_long(kivi_buffer *value, void *user)
{
    pause_ms(COMPUTES_MS);
    return kivi_buffer_append(value, *(const kivi_slice *)user);
}

/* On a thread of its own once each: some of its calls, as the first, are timed from their beginning. */
static void outlast(worker *w)
{
    subject *s = w->s;
    kivi_slice *keys = w->shared, value = kivi_str("\xA1v");
    kivi_buffer found = KIVI_BUFFER_INIT;
    kivi_error *error;
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = WITHIN_MS;
    for (size_t i = 0; i < 2; i++) {
        bool updates = (i + w->index) % 2;
        kivi_slice k = keys[w->index * 2 + i];
        kivi_status status = updates ? kivi_store_update(s->store, &call, k, KIVI_TTL_NONE,
                                                         update_for_long, &value, &error)
                                     : kivi_store_get_or_set(s->store, &call, k, KIVI_TTL_NONE,
                                                             compute_for_long, &value, &found, &error);
        if (!answered(w, updates ? "update" : "get_or_set", status, KIVI_OK, &error))
            break;
    }
    kivi_buffer_free(&found);
}

CASE(computed, time_does_not_count)
{
    if (lacks_conditions(s))
        return;
    kivi_slice keys[4];
    for (size_t i = 0; i < 4; i++)
        keys[i] = key(s, (char[]){'k', (char)('0' + i), 0});
    together(s, 2, outlast, keys, NULL);
    for (size_t i = 0; i < 4; i++)
        EXPECT_HOLDS(keys[i], kivi_str("\xA1v"));
}
