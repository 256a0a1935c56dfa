/* Refusals: structs of another time, closed stores, ended waits, and what messages may not hold. */
#include <stdatomic.h>
#include <stdio.h>

#include "suite.h"

/* ---- structs ---- */

/* A struct of a later library: the same with more behind it. */
typedef struct later_call {
    kivi_call call;
    uint64_t more[4];
} later_call;

CASE(structs, call)
{
    kivi_slice k = key(s, "k"), v = text(s, "v");
    later_call later = {.call = KIVI_CALL_INIT};
    later.call.struct_size = sizeof later;
    OK(kivi_store_set(s->store, &later.call, k, v, KIVI_TTL_NONE, E));
    OK(kivi_store_get(s->store, &later.call, k, &s->value, E));
    for (size_t i = 0; i < 4; i++) {
        memset(later.more, 0, sizeof later.more);
        later.more[i] = UINT64_C(1) << 63;
        REFUSED(KIVI_UNSUPPORTED,
                kivi_store_set(s->store, &later.call, k, text(s, "w"), KIVI_TTL_NONE, E));
        REFUSED(KIVI_UNSUPPORTED, kivi_store_get(s->store, &later.call, k, &s->value, E));
        REFUSED(KIVI_UNSUPPORTED, kivi_store_get_many(s->store, &later.call, &k, 1, NULL, E));
    }
    kivi_call flagged = KIVI_CALL_INIT;
    flagged.flags = 1u << 31;
    REFUSED(KIVI_UNSUPPORTED, kivi_store_set(s->store, &flagged, k, text(s, "w"), KIVI_TTL_NONE, E));
    flagged.flags = UINT32_C(1) << 31;
    REFUSED(KIVI_UNSUPPORTED, kivi_store_exists(s->store, &flagged, k, &(bool){false}, E));
    /* One of an earlier library, that ends after the timeout. */
    kivi_call earlier = KIVI_CALL_INIT;
    earlier.struct_size = offsetof(kivi_call, interrupt);
    earlier.timeout_ms = 60000;
    memset((char *)&earlier + offsetof(kivi_call, interrupt), 0xff,
           sizeof earlier - offsetof(kivi_call, interrupt));
    OK(kivi_store_get(s->store, &earlier, k, &s->value, E));
    EXPECT_HOLDS(k, v);
}

typedef struct later_op {
    kivi_op op;
    uint64_t more[2];
} later_op;

/* Arrays step by the size that the caller says. */
CASE(structs, operations)
{
    later_op ops[3];
    memset(ops, 0, sizeof ops);
    for (size_t i = 0; i < 3; i++) {
        ops[i].op = (kivi_op)KIVI_OP_INIT;
        ops[i].op.struct_size = sizeof ops[i];
        ops[i].op.kind = KIVI_OP_SET;
        ops[i].op.key = key_number(s, "k", i);
        ops[i].op.value = number(s, (int64_t)i);
    }
    kivi_result *result = NULL;
    OK(kivi_store_apply(s->store, NULL, &ops[0].op, 3, 0, &result, E));
    EXPECT_NUMBER(kivi_result_count(result), 3);
    kivi_result_free(result);
    result = NULL;
    for (size_t i = 0; i < 3; i++)
        EXPECT_HOLDS(key_number(s, "k", i), number(s, (int64_t)i));
    for (size_t i = 0; i < 3; i++)
        ops[i].op.value = text(s, "other");
    ops[2].more[1] = 1;
    REFUSED(KIVI_UNSUPPORTED, kivi_store_apply(s->store, NULL, &ops[0].op, 3, 0, &result, E));
    ops[2].more[1] = 0;
    ops[1].op.flags = 1u << 9;
    REFUSED(KIVI_UNSUPPORTED, kivi_store_apply(s->store, NULL, &ops[0].op, 3, 0, &result, E));
    ops[1].op.flags = 0;
    REFUSED(KIVI_UNSUPPORTED, kivi_store_apply(s->store, NULL, &ops[0].op, 3, 1u << 7, &result, E));
    EXPECT(result == NULL);
    for (size_t i = 0; i < 3; i++)
        EXPECT_HOLDS(key_number(s, "k", i), number(s, (int64_t)i));
}

typedef struct later_range {
    kivi_range range;
    uint64_t more[2];
} later_range;

/* How many pairs its pages have, of which any may be empty. */
static size_t count_pairs(subject *s, later_range *later)
{
    kivi_page *page = NULL, *before;
    size_t count = 0;

    do {
        before = page;
        OK(kivi_store_page(s->store, NULL, &later->range, &page, E));
        kivi_page_free(before);
        count += kivi_page_count(page);
        later->range.cursor = kivi_page_cursor(page);
    } while (later->range.cursor.size);
    kivi_page_free(page);
    later->range.cursor = kivi_bytes(NULL, 0);
    return count;
}

CASE(structs, ranges)
{
    if (lacks_scan(s))
        return;
    put(s, key(s, "k"), text(s, "v"), KIVI_TTL_NONE);
    later_range later = {.range = KIVI_RANGE_INIT};
    kivi_page *page = NULL;
    kivi_scan *scan = NULL;
    later.range.struct_size = sizeof later;
    later.range.prefix = all(s);
    EXPECT_NUMBER(count_pairs(s, &later), 1);
    later.more[1] = 7;
    REFUSED(KIVI_UNSUPPORTED, kivi_store_page(s->store, NULL, &later.range, &page, E));
    REFUSED(KIVI_UNSUPPORTED, kivi_store_scan(s->store, &later.range, &scan, E));
    later.more[1] = 0;
    later.range.flags = 1u << 8;
    REFUSED(KIVI_UNSUPPORTED, kivi_store_page(s->store, NULL, &later.range, &page, E));
    REFUSED(KIVI_UNSUPPORTED, kivi_store_scan(s->store, &later.range, &scan, E));
    REFUSED(KIVI_UNSUPPORTED, kivi_store_clear(s->store, NULL, all(s), 1u << 8, NULL, E));
    EXPECT(page == NULL && scan == NULL);
    EXPECT_HOLDS(key(s, "k"), text(s, "v"));
}

/* ---- ended waits ---- */

/*
 * A wait that every store has: while one computes a value, others wait for it. The one that computes holds on
 * until it is told to go.
 */
typedef struct standstill {
    kivi_slice key, value;
    atomic_bool computing, go;
    kivi_interrupt *interrupt;
    atomic_uint asked;
    int64_t waited_ns;
    kivi_status wanted;
    int way;
} standstill;

enum { BY_TIMEOUT, BY_INTERRUPT, BY_CALLBACK, BY_CLOSE };

static kivi_status compute_until_told(kivi_buffer *value, void *user)
{
    standstill *still = user;
    atomic_store(&still->computing, true);
    while (!atomic_load(&still->go))
        pause_ms(2);
    return kivi_buffer_append(value, still->value);
}

static kivi_status compute_nothing(kivi_buffer *value, void *user)
{
    (void)value, (void)user;
    return KIVI_INTERNAL;
}

static int end_when_asked(void *user)
{
    standstill *still = user;
    return atomic_fetch_add(&still->asked, 1) >= 1;
}

static void wait_for_it(worker *w, standstill *still)
{
    kivi_call call = KIVI_CALL_INIT;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_error *error = NULL;
    call.timeout_ms = still->way == BY_TIMEOUT ? 120 : 60000;
    call.interrupt = still->way == BY_INTERRUPT ? still->interrupt : NULL;
    call.interrupted = still->way == BY_CALLBACK ? end_when_asked : NULL;
    call.user = still;
    int64_t begun = now_ns();
    answered(w, "a waiting get_or_set",
             kivi_store_get_or_set(w->s->store, &call, still->key, KIVI_TTL_NONE, compute_nothing,
                                   NULL, &value, &error),
             still->wanted, &error);
    still->waited_ns = now_ns() - begun;
    kivi_buffer_free(&value);
}

static void stand_still(worker *w)
{
    standstill *still = w->shared;
    if (w->index == 0) {
        kivi_buffer value = KIVI_BUFFER_INIT;
        kivi_status status = kivi_store_get_or_set(w->s->store, NULL, still->key, KIVI_TTL_NONE,
                                                   compute_until_told, still, &value, NULL);
        /* Its own write comes after the close. */
        kivi_status own = still->way == BY_CLOSE ? KIVI_CLOSED : KIVI_OK;
        if (status != own)
            fault(w, "the one that computes answered %s", kivi_status_name(status));
        kivi_buffer_free(&value);
        return;
    }
    while (!atomic_load(&still->computing))
        pause_ms(1);
    if (w->index == 1) {
        wait_for_it(w, still);
        atomic_store(&still->go, true);
        return;
    }
    pause_ms(60);
    if (still->way == BY_INTERRUPT)
        kivi_interrupt_raise(still->interrupt);
    if (still->way == BY_CLOSE)
        kivi_store_close(w->s->store);
}

static void end_a_wait(subject *s, int way, kivi_status wanted)
{
    standstill still = {.key = key(s, "k"), .value = text(s, "v"), .wanted = wanted, .way = way};
    still.interrupt = kivi_interrupt_new();
    EXPECT(still.interrupt != NULL);
    together(s, 3, stand_still, &still, NULL);
    /* It is for a busy machine to be slow, but not for a wait to go on for ever. */
    EXPECT_SAYING(still.waited_ns < INT64_C(20000000000), "it waited %.3f s",
                  (double)still.waited_ns / 1e9);
    kivi_interrupt_free(still.interrupt);
}

CASE(waits, end_by_timeout)
{
    if (lacks_conditions(s))
        return;
    end_a_wait(s, BY_TIMEOUT, KIVI_TIMEOUT);
    EXPECT_HOLDS(key(s, "k"), text(s, "v"));
}

CASE(waits, end_by_interrupt)
{
    if (lacks_conditions(s))
        return;
    end_a_wait(s, BY_INTERRUPT, KIVI_INTERRUPTED);
    EXPECT_HOLDS(key(s, "k"), text(s, "v"));
}

CASE(waits, end_by_callback)
{
    if (lacks_conditions(s))
        return;
    end_a_wait(s, BY_CALLBACK, KIVI_INTERRUPTED);
    EXPECT_HOLDS(key(s, "k"), text(s, "v"));
}

CASE(waits, end_by_close)
{
    if (lacks_conditions(s))
        return;
    kivi_store *first = s->store;
    s->store = reopened(s, NULL, NULL);
    end_a_wait(s, BY_CLOSE, KIVI_CLOSED);
    kivi_store_unref(s->store);
    s->store = first;
    EXPECT_MISSING(key(s, "k"));
}

/* An interrupt that was lowered again ends nothing. */
CASE(waits, interrupt_cleared)
{
    kivi_interrupt *interrupt = kivi_interrupt_new();
    kivi_call call = KIVI_CALL_INIT;
    call.interrupt = interrupt;
    kivi_interrupt_raise(interrupt);
    kivi_interrupt_clear(interrupt);
    OK(kivi_store_set(s->store, &call, key(s, "k"), text(s, "v"), KIVI_TTL_NONE, E));
    OK(kivi_store_get(s->store, &call, key(s, "k"), &s->value, E));
    kivi_interrupt_free(interrupt);
    call.interrupt = NULL;
    call.timeout_ms = KIVI_NO_TIMEOUT;
    OK(kivi_store_get(s->store, &call, key(s, "k"), &s->value, E));
    call.timeout_ms = -2;
    REFUSED(KIVI_INVALID, kivi_store_get(s->store, &call, key(s, "k"), &s->value, E));
}

/* ---- closed ---- */

static void use_closed(subject *s, kivi_store *closed)
{
    kivi_slice k = key(s, "k"), v = text(s, "v");
    bool there;
    int64_t left;
    uint64_t count;
    kivi_page *page = NULL;
    kivi_buffer version = KIVI_BUFFER_INIT;
    ANSWERS(KIVI_CLOSED, kivi_store_get(closed, NULL, k, &s->value, E));
    ANSWERS(KIVI_CLOSED, kivi_store_get_versioned(closed, NULL, k, &s->value, &version, E));
    ANSWERS(KIVI_CLOSED, kivi_store_exists(closed, NULL, k, &there, E));
    ANSWERS(KIVI_CLOSED, kivi_store_set(closed, NULL, k, v, KIVI_TTL_NONE, E));
    ANSWERS(KIVI_CLOSED, kivi_store_add(closed, NULL, k, v, KIVI_TTL_NONE, E));
    ANSWERS(KIVI_CLOSED, kivi_store_delete(closed, NULL, k, NULL, E));
    ANSWERS(KIVI_CLOSED, kivi_store_compare_and_set(closed, NULL, k, v, v, KIVI_TTL_NONE, E));
    ANSWERS(KIVI_CLOSED, kivi_store_increment(closed, NULL, k, 1, KIVI_TTL_NONE, NULL, E));
    ANSWERS(KIVI_CLOSED, kivi_store_take(closed, NULL, k, &s->value, E));
    ANSWERS(KIVI_CLOSED, kivi_store_ttl(closed, NULL, k, &left, E));
    ANSWERS(KIVI_CLOSED, kivi_store_persist(closed, NULL, k, E));
    ANSWERS(KIVI_CLOSED, kivi_store_get_many(closed, NULL, &k, 1, NULL, E));
    ANSWERS(KIVI_CLOSED, kivi_store_set_many(closed, NULL, &k, &v, 1, KIVI_TTL_NONE, NULL, E));
    ANSWERS(KIVI_CLOSED, kivi_store_delete_many(closed, NULL, &k, 1, NULL, NULL, E));
    ANSWERS(KIVI_CLOSED, kivi_store_page(closed, NULL, NULL, &page, E));
    ANSWERS(KIVI_CLOSED, kivi_store_count(closed, NULL, k, &count, E));
    ANSWERS(KIVI_CLOSED, kivi_store_clear(closed, NULL, k, 0, NULL, E));
    kivi_buffer_free(&version);
}

CASE(closed, every_call)
{
    kivi_store *other = reopened(s, NULL, NULL);
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    put(s, key(s, "k"), text(s, "v"), KIVI_TTL_NONE);
    put(s, key(s, "l"), text(s, "v"), KIVI_TTL_NONE);
    if (s->can.scan != KIVI_ABSENT)
        OK(kivi_store_scan(other, NULL, &scan, E));
    kivi_store_ref(other);
    for (int turn = 0; turn < 3; turn++) {
        kivi_store_close(other);
        use_closed(s, other);
    }
    if (scan)
        ANSWERS(KIVI_CLOSED, kivi_scan_next(scan, NULL, &pair, E));
    kivi_scan_free(scan);
    kivi_store_unref(other);
    use_closed(s, other);
    kivi_store_unref(other);
    kivi_store_close(NULL);
    kivi_store_unref(NULL);
    /* Another handle on the same data goes on. */
    EXPECT_HOLDS(key(s, "k"), text(s, "v"));
    put(s, key(s, "k"), text(s, "w"), KIVI_TTL_NONE);
    EXPECT_HOLDS(key(s, "k"), text(s, "w"));
}

typedef struct closing {
    kivi_store *store;
    kivi_slice keys[4], value;
} closing;

/* Traffic until the store is closed under it; then CLOSED, and nothing else, for ever. */
static void work_until_closed(worker *w)
{
    closing *c = w->shared;
    if (w->index == 0) {
        pause_ms(40);
        kivi_store_close(c->store);
        kivi_store_close(c->store);
        return;
    }
    kivi_buffer value = KIVI_BUFFER_INIT;
    bool closed = false;
    for (int i = 0; i < 1000000 && !closed; i++) {
        kivi_slice k = c->keys[(size_t)i % 4];
        kivi_status status = i % 2 ? kivi_store_set(c->store, NULL, k, c->value, KIVI_TTL_NONE, NULL)
                                   : kivi_store_get(c->store, NULL, k, &value, NULL);
        closed = status == KIVI_CLOSED;
        /* A write in flight may be cut off. */
        if (status != KIVI_OK && status != KIVI_NOT_FOUND && !closed && status != KIVI_UNCERTAIN)
            fault(w, "a call on a store that is closed meanwhile answered %s", kivi_status_name(status));
        w->tally++;
    }
    if (!closed)
        fault(w, "the close never came");
    for (int i = 0; i < 10; i++)
        if (kivi_store_get(c->store, NULL, c->keys[0], &value, NULL) != KIVI_CLOSED)
            fault(w, "a closed store answered");
    kivi_buffer_free(&value);
}

CASE(closed, under_traffic)
{
    closing c = {.store = reopened(s, NULL, NULL), .value = text(s, "v")};
    for (size_t i = 0; i < 4; i++)
        c.keys[i] = key_number(s, "k", i);
    uint64_t calls[8];
    together(s, 8, work_until_closed, &c, calls);
    for (size_t i = 1; i < 8; i++)
        EXPECT(calls[i] > 0);
    kivi_store_unref(c.store);
    put(s, c.keys[0], c.value, KIVI_TTL_NONE);
    EXPECT_HOLDS(c.keys[0], c.value);
}

/* ---- messages ---- */

#define SECRET "Rumpelstilzchen"

static void expect_silent(subject *s, kivi_status status)
{
    EXPECT(status >= KIVI_INVALID && s->error);
    const char *message = kivi_error_message(s->error);
    EXPECT_SAYING(*message && !strstr(message, SECRET), "the message is: %s", message);
}

/* No message holds a value. */
CASE(messages, hold_no_value)
{
    kivi_slice k = key(s, "k"), secret = text(s, SECRET);
    put(s, k, secret, KIVI_TTL_NONE);
    if (s->can.increment != KIVI_ABSENT)
        expect_silent(s, kivi_store_increment(s->store, NULL, k, 1, KIVI_TTL_NONE, NULL, E));
    expect_silent(s, kivi_store_set(s->store, NULL, kivi_bytes(NULL, 0), secret, KIVI_TTL_NONE, E));
    expect_silent(s, kivi_store_set(s->store, NULL, k, secret, -9, E));
    expect_silent(s, kivi_store_set_many(s->store, NULL, &k, &secret, 1, -9, NULL, E));
    expect_silent(s, kivi_store_compare_and_set(s->store, NULL, k, secret, secret, -9, E));
    if (s->can.max_value < 1u << 26) {
        kivi_slice large = joined(s, secret, filled(s, 'x', (size_t)s->can.max_value));
        expect_silent(s, kivi_store_set(s->store, NULL, k, large, KIVI_TTL_NONE, E));
    }
    kivi_store *closed = reopened(s, NULL, NULL);
    kivi_store_close(closed);
    expect_silent(s, kivi_store_set(closed, NULL, k, secret, KIVI_TTL_NONE, E));
    kivi_store_unref(closed);
    EXPECT(strstr(kivi_store_url(s->store), SECRET) == NULL);
}

/* An option that is none is named; a password in the URL is not. */
CASE(messages, hold_no_secret)
{
    char url[1200];
    kivi_store *store = NULL;
    snprintf(url, sizeof url, "%s%cno_such_option=1", s->url, strchr(s->url, '?') ? '&' : '?');
    ANSWERS(KIVI_INVALID, kivi_store_open(url, NULL, NULL, &store, E));
    EXPECT(strstr(kivi_error_message(s->error), "no_such_option") != NULL);
    expect_silent(
        s, kivi_store_open("nosuchscheme://somebody:" SECRET "@host/path", NULL, NULL, &store, E));
    expect_silent(s, kivi_store_open("nosuchscheme://somebody:" SECRET "@host:port:port/?a=%", NULL,
                                     NULL, &store, E));
    snprintf(url, sizeof url, "%s://somebody:" SECRET "@host/?no_such_option=1",
             kivi_store_scheme(s->store));
    expect_silent(s, kivi_store_open(url, NULL, NULL, &store, E));
    EXPECT(store == NULL);
}
