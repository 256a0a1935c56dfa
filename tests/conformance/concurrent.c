/* Many threads on one store: one winner, nothing lost, nothing torn, nothing stale. */
#include <stdatomic.h>
#include <stdlib.h>

#include "suite.h"

enum { CREW = 8, ROUNDS = 60 };

typedef struct contest {
    kivi_slice keys[ROUNDS];
    kivi_slice values[ROUNDS + 1];
    kivi_slice own[CREW];
    atomic_uint winners[ROUNDS];
    atomic_uint winner[ROUNDS]; /* index of the last one that won */
} contest;

static contest *new_contest(subject *s)
{
    contest *c = keep(s, sizeof *c);
    for (size_t i = 0; i < ROUNDS; i++)
        c->keys[i] = key_number(s, "round", i);
    for (size_t i = 0; i <= ROUNDS; i++)
        c->values[i] = number(s, (int64_t)i);
    for (size_t i = 0; i < CREW; i++)
        c->own[i] = number(s, 1000 + (int64_t)i);
    return c;
}

static bool won(worker *w, contest *c, size_t round, const char *what, kivi_status status)
{
    if (status != KIVI_OK && status != KIVI_CONDITION)
        return fault(w, "%s answered %s", what, kivi_status_name(status));
    if (status == KIVI_OK) {
        atomic_fetch_add(&c->winners[round], 1);
        atomic_store(&c->winner[round], (unsigned)w->index);
    }
    return true;
}

static void race_to_add(worker *w)
{
    contest *c = w->shared;
    for (size_t i = 0; i < ROUNDS; i++)
        if (!won(w, c, i, "add",
                 kivi_store_add(w->s->store, NULL, c->keys[i], c->own[w->index], KIVI_TTL_NONE, NULL)))
            return;
}

CASE(concurrent, add_has_one_winner)
{
    if (lacks_conditions(s))
        return;
    contest *c = new_contest(s);
    together(s, CREW, race_to_add, c, NULL);
    for (size_t i = 0; i < ROUNDS; i++) {
        EXPECT_NUMBER(atomic_load(&c->winners[i]), 1);
        EXPECT_HOLDS(c->keys[i], c->own[atomic_load(&c->winner[i])]);
    }
}

/* All step one key up; each step is somebody's. */
static void race_to_step(worker *w)
{
    contest *c = w->shared;
    for (size_t i = 0; i < ROUNDS; i++)
        if (!won(w, c, i, "compare_and_set",
                 kivi_store_compare_and_set(w->s->store, NULL, c->keys[0], c->values[i],
                                            c->values[i + 1], KIVI_TTL_NONE, NULL)))
            return;
}

CASE(concurrent, compare_and_set_has_one_winner)
{
    if (lacks_conditions(s))
        return;
    contest *c = new_contest(s);
    put(s, c->keys[0], c->values[0], KIVI_TTL_NONE);
    together(s, CREW, race_to_step, c, NULL);
    for (size_t i = 0; i < ROUNDS; i++)
        EXPECT_NUMBER(atomic_load(&c->winners[i]), 1);
    EXPECT_HOLDS(c->keys[0], c->values[ROUNDS]);
}

static void race_to_delete(worker *w)
{
    contest *c = w->shared;
    for (size_t i = 0; i < ROUNDS; i++) {
        bool existed = false;
        kivi_status status = i % 2 ? kivi_store_delete(w->s->store, NULL, c->keys[i], &existed, NULL)
                                   : kivi_store_compare_and_delete(w->s->store, NULL, c->keys[i],
                                                                   c->values[i], NULL);
        if (i % 2 && status == KIVI_OK && !existed)
            status = KIVI_CONDITION;
        if (!won(w, c, i, "delete", status))
            return;
    }
}

CASE(concurrent, delete_has_one_winner)
{
    if (lacks_conditions(s))
        return;
    contest *c = new_contest(s);
    for (size_t i = 0; i < ROUNDS; i++)
        put(s, c->keys[i], c->values[i], KIVI_TTL_NONE);
    together(s, CREW, race_to_delete, c, NULL);
    for (size_t i = 0; i < ROUNDS; i++) {
        EXPECT_NUMBER(atomic_load(&c->winners[i]), 1);
        EXPECT_MISSING(c->keys[i]);
    }
}

/* ---- update ---- */

/* Adds a byte; nothing of what others added is lost. */
static kivi_status append_one(const kivi_slice *current, kivi_buffer *next,
                              kivi_update_action *action, void *user)
{
    *action = KIVI_UPDATE_SET;
    kivi_status status = current ? kivi_buffer_append(next, *current) : KIVI_OK;
    return status ? status : kivi_buffer_append(next, kivi_bytes(user, 1));
}

static void append_often(worker *w)
{
    kivi_slice *k = w->shared;
    char letter = (char)('a' + w->index);
    for (int i = 0; i < 15; i++) {
        kivi_error *error = NULL;
        kivi_call call = KIVI_CALL_INIT;
        call.timeout_ms = 60000;
        kivi_status status = kivi_store_update(w->s->store, &call, *k, KIVI_TTL_NONE, append_one,
                                               &letter, &error);
        if (!answered(w, "update", status, KIVI_OK, &error))
            return;
    }
}

CASE(concurrent, updates_lose_nothing)
{
    if (lacks_conditions(s))
        return;
    kivi_slice k = key(s, "k");
    together(s, CREW, append_often, &k, NULL);
    OK(kivi_store_get(s->store, NULL, k, &s->value, E));
    EXPECT_NUMBER(s->value.size, CREW * 15);
    unsigned letters[CREW] = {0};
    for (size_t i = 0; i < s->value.size; i++) {
        EXPECT(s->value.data[i] >= 'a' && s->value.data[i] < 'a' + CREW);
        letters[s->value.data[i] - 'a']++;
    }
    for (size_t i = 0; i < CREW; i++)
        EXPECT_NUMBER(letters[i], 15);
}

/* ---- one key, many callers, a slow link ---- */

enum { CROWD = 16, ADDITIONS = 6, UPDATES = 2 };

typedef struct crowded {
    kivi_store *store;
    kivi_slice counter, letters;
} crowded;

/* The deadline is many times what all take one behind the other: who gets TIMEOUT was overtaken again and again. */
static void crowd(worker *w)
{
    crowded *c = w->shared;
    char letter = (char)('a' + w->index);
    kivi_error *error = NULL;
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = 60000;
    bool adds = w->s->can.increment != KIVI_ABSENT, goes_on = true;
    for (int i = 0; i < ADDITIONS && adds && goes_on; i++)
        goes_on = answered(
            w, "increment",
            kivi_store_increment(c->store, &call, c->counter, 1, KIVI_TTL_NONE, NULL, &error),
            KIVI_OK, &error);
    for (int i = 0; i < UPDATES && goes_on; i++)
        goes_on = answered(w, "update",
                           kivi_store_update(c->store, &call, c->letters, KIVI_TTL_NONE, append_one,
                                             &letter, &error),
                           KIVI_OK, &error);
}

/* On memory the link is made slow; over a network of 20 ms servers are asked by the cases of tests/faults. */
CASE(concurrent, one_key_over_a_slow_link)
{
    if (lacks_conditions(s))
        return;
    bool memory = strcmp(kivi_store_scheme(s->store), "memory") == 0;
    crowded c = {.counter = key(s, "counter"), .letters = key(s, "letters")};
    c.store = reopened(s, memory ? "latency" : NULL, "20ms");
    together(s, CROWD, crowd, &c, NULL);
    if (s->can.increment != KIVI_ABSENT) {
        int64_t sum = 0;
        OK(kivi_store_increment(c.store, NULL, c.counter, 0, KIVI_TTL_NONE, &sum, E));
        EXPECT_NUMBER(sum, CROWD * ADDITIONS);
    }
    OK(kivi_store_get(c.store, NULL, c.letters, &s->value, E));
    EXPECT_NUMBER(s->value.size, CROWD * UPDATES);
    kivi_store_unref(c.store);
}

/* ---- whole and fresh ---- */

typedef struct watched {
    kivi_slice key, counter;
    kivi_slice patterns[8];
    kivi_slice counts[400];
    atomic_uint acknowledged;
    atomic_bool over;
    bool eventual; /* then a read may be of any time before */
} watched;

static bool is_whole(const kivi_buffer *value)
{
    for (size_t i = 1; i < value->size; i++)
        if (value->data[i] != value->data[0])
            return false;
    return value->size == 1000u + 700u * value->data[0];
}

static void write_patterns(worker *w, watched *all_of_it)
{
    for (size_t i = 0; i < 150; i++) {
        kivi_error *error = NULL;
        if (!answered(w, "set",
                      kivi_store_set(w->s->store, NULL, all_of_it->key,
                                     all_of_it->patterns[(i + w->index) % 8], KIVI_TTL_NONE, &error),
                      KIVI_OK, &error))
            return;
    }
}

static void read_patterns(worker *w, watched *all_of_it)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    while (!atomic_load(&all_of_it->over) && !w->fault[0]) {
        kivi_error *error = NULL;
        kivi_status status = kivi_store_get(w->s->store, NULL, all_of_it->key, &value, &error);
        if (answered(w, "get", status, KIVI_OK, &error) && !is_whole(&value))
            fault(w, "a value of %zu bytes is of two writes", value.size);
        w->tally++;
    }
    kivi_buffer_free(&value);
}

static void watch_patterns(worker *w)
{
    watched *all_of_it = w->shared;
    if (w->index >= 2) {
        read_patterns(w, all_of_it);
        return;
    }
    write_patterns(w, all_of_it);
    if (atomic_fetch_add(&all_of_it->acknowledged, 1) == 1)
        atomic_store(&all_of_it->over, true);
}

/* A reader sees a value whole, never parts of two. */
CASE(concurrent, values_are_whole)
{
    watched *w = keep(s, sizeof *w);
    w->key = key(s, "k");
    for (size_t i = 0; i < 8; i++)
        w->patterns[i] = filled(s, (int)i, 1000 + 700 * i);
    put(s, w->key, w->patterns[0], KIVI_TTL_NONE);
    together(s, 6, watch_patterns, w, NULL);
}

static void count_and_look(worker *w)
{
    watched *c = w->shared;
    kivi_buffer value = KIVI_BUFFER_INIT;
    if (w->index == 0) {
        for (unsigned i = 0; i < 400 && !w->fault[0]; i++) {
            kivi_error *error = NULL;
            answered(w, "set",
                     kivi_store_set(w->s->store, NULL, c->counter, c->counts[i], KIVI_TTL_NONE, &error),
                     KIVI_OK, &error);
            atomic_store(&c->acknowledged, i);
        }
        atomic_store(&c->over, true);
        return;
    }
    while (!atomic_load(&c->over) && !w->fault[0]) {
        unsigned acknowledged = atomic_load(&c->acknowledged), seen = 0;
        kivi_error *error = NULL;
        kivi_status status = kivi_store_get(w->s->store, NULL, c->counter, &value, &error);
        if (!answered(w, "get", status, KIVI_OK, &error))
            break;
        while (seen < 400 && !same_bytes(kivi_buffer_slice(&value), c->counts[seen]))
            seen++;
        if (seen == 400 || (seen < acknowledged && !c->eventual))
            fault(w, "after %u was acknowledged, a read saw %u", acknowledged, seen);
        w->tally++;
    }
    kivi_buffer_free(&value);
}

/* A read sees every write acknowledged before it began. */
CASE(concurrent, reads_are_fresh)
{
    watched *c = keep(s, sizeof *c);
    c->eventual = s->can.consistency == KIVI_EVENTUAL;
    c->counter = key(s, "counter");
    for (size_t i = 0; i < 400; i++)
        c->counts[i] = number(s, (int64_t)i);
    put(s, c->counter, c->counts[0], KIVI_TTL_NONE);
    together(s, 5, count_and_look, c, NULL);
    for (int i = 0; i < 1000 && c->eventual; i++) {
        OK(kivi_store_get(s->store, NULL, c->counter, &s->value, E));
        c->eventual = !same_bytes(kivi_buffer_slice(&s->value), c->counts[399]);
        pause_ms(10);
    }
    EXPECT_HOLDS(c->counter, c->counts[399]);
}

/* ---- all at once ---- */

enum { OWN_KEYS = 12, MIXED = 16, STEPS = 120 };

/* What one thread knows of its own keys, which nobody else writes: -1 is missing. */
typedef struct estate {
    kivi_slice keys[OWN_KEYS];
    int64_t holds[OWN_KEYS];
} estate;

typedef struct mixture {
    estate estates[MIXED];
    kivi_slice values[1000];
    kivi_slice shared_key;
    bool conditions, increment, scan;
} mixture;

static bool expect_of(worker *w, const char *what, kivi_status got, bool right, kivi_error *error)
{
    if (!right)
        fault(w, "%s answered %s (%s)", what, kivi_status_name(got),
              error ? kivi_error_message(error) : "no error");
    kivi_error_free(error);
    return right;
}

static bool one_write(worker *w, mixture *m, estate *e, size_t i, size_t next, unsigned what)
{
    kivi_store *store = w->s->store;
    kivi_slice k = e->keys[i], v = m->values[next];
    bool there = e->holds[i] >= 0, existed = false;
    kivi_error *error = NULL;
    kivi_status status;
    if (what == 0 && m->conditions) {
        status = kivi_store_add(store, NULL, k, v, KIVI_TTL_NONE, &error);
        e->holds[i] = there ? e->holds[i] : (int64_t)next;
        return expect_of(w, "add", status, status == (there ? KIVI_CONDITION : KIVI_OK), error);
    }
    if (what == 1 && m->conditions) {
        kivi_slice old = m->values[there ? e->holds[i] : 0];
        status = kivi_store_compare_and_set(store, NULL, k, old, v, KIVI_TTL_NONE, &error);
        e->holds[i] = there ? (int64_t)next : -1;
        return expect_of(w, "compare_and_set", status, status == (there ? KIVI_OK : KIVI_CONDITION),
                         error);
    }
    if (what == 2) {
        status = kivi_store_delete(store, NULL, k, &existed, &error);
        e->holds[i] = -1;
        return expect_of(w, "delete", status, status == KIVI_OK && existed == there, error);
    }
    if (what == 3 && m->increment && there && e->holds[i] < 999) {
        int64_t sum = 0;
        status = kivi_store_increment(store, NULL, k, 1, KIVI_TTL_NONE, &sum, &error);
        e->holds[i]++;
        return expect_of(w, "increment", status, status == KIVI_OK && sum == e->holds[i], error);
    }
    status = kivi_store_set(store, NULL, k, v, KIVI_TTL_NONE, &error);
    e->holds[i] = (int64_t)next;
    return expect_of(w, "set", status, status == KIVI_OK, error);
}

static bool several_writes(worker *w, mixture *m, estate *e, size_t next)
{
    kivi_slice keys[OWN_KEYS / 2], values[OWN_KEYS / 2];
    for (size_t i = 0; i < OWN_KEYS / 2; i++) {
        keys[i] = e->keys[(next + i) % OWN_KEYS];
        values[i] = m->values[(next + i) % 1000];
        e->holds[(next + i) % OWN_KEYS] = (int64_t)((next + i) % 1000);
    }
    kivi_error *error = NULL;
    kivi_status status = kivi_store_set_many(w->s->store, NULL, keys, values, OWN_KEYS / 2,
                                             KIVI_TTL_NONE, NULL, &error);
    return expect_of(w, "set_many", status, status == KIVI_OK, error);
}

static bool is_as_known(mixture *m, int64_t held, kivi_status status, kivi_slice value)
{
    if (held < 0)
        return status == KIVI_NOT_FOUND;
    return status == KIVI_OK && same_bytes(value, m->values[held]);
}

static bool read_all(worker *w, mixture *m, estate *e)
{
    kivi_error *error = NULL;
    kivi_result *result = NULL;
    kivi_status status = kivi_store_get_many(w->s->store, NULL, e->keys, OWN_KEYS, &result, &error);
    bool right = status == KIVI_OK;
    for (size_t i = 0; right && i < OWN_KEYS; i++)
        right = is_as_known(m, e->holds[i], kivi_result_status(result, i), kivi_result_value(result, i));
    kivi_result_free(result);
    return expect_of(w, "get_many", status, right, error);
}

static void mix(worker *w)
{
    mixture *m = w->shared;
    estate *e = &m->estates[w->index];
    unsigned seed = 77 + (unsigned)w->index;
    kivi_buffer value = KIVI_BUFFER_INIT;
    for (int step = 0; step < STEPS && !w->fault[0]; step++) {
        size_t i = (size_t)rand_r(&seed) % OWN_KEYS, next = (size_t)rand_r(&seed) % 1000;
        unsigned what = (unsigned)rand_r(&seed) % 12;
        if (what < 6) {
            one_write(w, m, e, i, next, what);
        } else if (what == 6) {
            several_writes(w, m, e, next);
        } else if (what == 7) {
            read_all(w, m, e);
        } else if (what == 8 && m->increment) {
            kivi_error *error = NULL;
            kivi_status status = kivi_store_increment(w->s->store, NULL, m->shared_key, 1,
                                                      KIVI_TTL_NONE, NULL, &error);
            w->tally += status == KIVI_OK;
            expect_of(w, "increment", status, status == KIVI_OK, error);
        } else {
            kivi_error *error = NULL;
            kivi_status status = kivi_store_get(w->s->store, NULL, e->keys[i], &value, &error);
            expect_of(w, "get", status,
                      is_as_known(m, e->holds[i], status, kivi_buffer_slice(&value)), error);
        }
    }
    kivi_buffer_free(&value);
}

CASE(concurrent, mixed_traffic)
{
    mixture *m = keep(s, sizeof *m);
    for (size_t i = 0; i < 1000; i++)
        m->values[i] = number(s, (int64_t)i);
    uint64_t present = 0;
    for (size_t i = 0; i < MIXED; i++)
        for (size_t j = 0; j < OWN_KEYS; j++) {
            m->estates[i].keys[j] = key_number(s, "own", 100 * i + j);
            m->estates[i].holds[j] = -1;
        }
    m->shared_key = key(s, "shared");
    m->conditions = s->can.conditions != KIVI_ABSENT;
    m->increment = s->can.increment != KIVI_ABSENT;
    uint64_t added[MIXED], sum = 0;
    together(s, MIXED, mix, m, added);
    for (size_t i = 0; i < MIXED; i++) {
        sum += added[i];
        for (size_t j = 0; j < OWN_KEYS; j++) {
            int64_t held = m->estates[i].holds[j];
            present += held >= 0;
            if (held < 0)
                EXPECT_MISSING(m->estates[i].keys[j]);
            else
                EXPECT_HOLDS(m->estates[i].keys[j], m->values[held]);
        }
    }
    if (m->increment && sum)
        EXPECT_HOLDS(m->shared_key, number(s, (int64_t)sum));
    if (s->can.scan != KIVI_ABSENT)
        EXPECT_NUMBER(counted(s, s->store, key(s, "own")), present);
}
