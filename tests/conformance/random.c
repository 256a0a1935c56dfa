/*
 * Seeded random sequences of operations, every answer compared with an oracle's: for memory stores a plain
 * array (model.c), for all others a memory store of the same codec. KIVI_RANDOM_OPS makes them longer,
 * KIVI_RANDOM_SEED plays one again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "random.h"

enum { WHOLE_EVERY = 500 };

/* ---- chance (splitmix64: the same on every machine) ---- */

static uint64_t chance(sequence *q)
{
    uint64_t z = q->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static size_t below(sequence *q, size_t limit)
{
    return (size_t)(chance(q) % limit);
}

/* ---- tables ---- */

static int by_bytes(const void *a, const void *b)
{
    return compare_bytes(*(const kivi_slice *)a, *(const kivi_slice *)b);
}

/* Few keys, so that steps meet; pieces that escapes, paths and patterns trip over. */
static void make_keys(sequence *q)
{
    static const char *const pieces[] = {"a", "/", "%", "%2F", "\xff", "\xc3\xa9", "."};
    subject *s = q->s;
    size_t count = 0, places = sizeof pieces / sizeof *pieces;
    kivi_slice *prefixes = q->tables.prefixes;
    prefixes[q->tables.prefix_count++] = all(s);
    for (size_t i = 0; i < places; i++) {
        q->tables.keys[count++] = key(s, pieces[i]);
        prefixes[q->tables.prefix_count++] = key(s, pieces[i]);
        for (size_t j = 0; j < places; j++)
            q->tables.keys[count++] = joined(s, key(s, pieces[i]), kivi_str(pieces[j]));
    }
    static const char *const more[] = {"\0", "a\0b", "A", "%25"};
    static const size_t sizes[] = {1, 3, 1, 3};
    for (size_t i = 0; i < 4; i++)
        q->tables.keys[count++] = key_bytes(s, more[i], sizes[i]);
    EXPECT_NUMBER(count, KEYS);
    prefixes[q->tables.prefix_count++] = key(s, "\xc3");
    prefixes[q->tables.prefix_count++] = key(s, "%2");
    prefixes[q->tables.prefix_count++] = key(s, "zz");
    qsort(q->tables.keys, KEYS, sizeof *q->tables.keys, by_bytes);
    for (size_t i = 1; i < KEYS; i++)
        EXPECT(compare_bytes(q->tables.keys[i - 1], q->tables.keys[i]) < 0);
}

/* Integers of several widths and texts, twice as other bytes of the same tokens, and bytes that are no value. */
static void make_values(sequence *q)
{
    static const int64_t integers[] = {0,   1,   -1,    2,         100,           127,
                                       128, -33, 65536, INT64_MAX, INT64_MAX - 3, INT64_MIN};
    static const kivi_slice msgpack[] = {{"\xcc\x01", 2},
                                         {"\xd3\0\0\0\0\0\0\0\x02", 9},
                                         {"\xcf\0\0\0\0\0\0\0\x64", 9},
                                         {"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9},
                                         {"\x82\xa1"
                                          "a\x01\xa1"
                                          "b\x02",
                                          7},
                                         {"\x82\xa1"
                                          "b\x02\xa1"
                                          "a\x01",
                                          7},
                                         {"\xd9\x01x", 3},
                                         {"\xa1x", 2},
                                         {"\xc1", 1},
                                         {"\x93\x01", 2}};
    static const kivi_slice json[] = {{" 1", 2},
                                      {"2 ", 2},
                                      {"1.0", 3},
                                      {"18446744073709551615", 20},
                                      {"{\"a\":1,\"b\":2}", 13},
                                      {"{\"b\":2, \"a\":1}", 14},
                                      {"\"\\u0078\"", 8},
                                      {"\"x\"", 3},
                                      {"nul", 3},
                                      {"[1,", 3}};
    subject *s = q->s;
    bool is_json = strcmp(s->codec, "json") == 0;
    size_t count = 0;
    for (size_t i = 0; i < 12; i++)
        q->tables.values[count++] = number(s, integers[i]);
    for (size_t i = 0; i < 10; i++)
        q->tables.values[count++] = is_json ? json[i] : msgpack[i];
    q->tables.values[count++] = kivi_bytes(NULL, 0);
    for (size_t size = 1; count < VALUES; size = size * 2 % 4093 + 1) {
        unsigned char *bytes = keep(s, size);
        for (size_t i = 0; i < size; i++)
            bytes[i] = (unsigned char)(count * 31 + i * 7);
        q->tables.values[count++] = kivi_bytes(bytes, size);
    }
}

/* ---- steps ---- */

/* None of them ends while the sequence runs. */
static int64_t some_ttl(sequence *q, bool keep_too)
{
    switch (below(q, 8)) {
    case 0:
    case 1:
        return 3600000 + (int64_t)below(q, 10) * 3600000;
    case 2:
        return keep_too ? KIVI_TTL_KEEP : 7200000;
    default:
        return KIVI_TTL_NONE;
    }
}

static int64_t some_amount(sequence *q)
{
    static const int64_t amounts[] = {1, 1, 1, -1, 5, 0, 1000000, INT64_MAX, INT64_MIN, -127};
    return amounts[below(q, sizeof amounts / sizeof *amounts)];
}

static bool named_before(const step *what, size_t count, size_t key)
{
    for (size_t i = 0; i < count; i++)
        if (what->deeds[i].key == key)
            return true;
    return false;
}

static void make_deed(sequence *q, step *what, deed *d)
{
    subject *s = q->s;
    bool atomic = what->act == ACT_APPLY_ATOMIC;
    static const int32_t kinds[] = {KIVI_OP_SET,   KIVI_OP_SET,   KIVI_OP_DELETE,
                                    KIVI_OP_CHECK, KIVI_OP_TOUCH, KIVI_OP_INCREMENT};
    memset(d, 0, sizeof *d);
    /* Among few keys some come twice. */
    d->key = below(q, 4) ? below(q, KEYS) : below(q, 5);
    d->value = below(q, VALUES);
    d->expected = below(q, VALUES);
    /* An atomic batch must fit the store's limit on bytes as a whole. */
    while (atomic && q->tables.values[d->value].size + q->tables.values[d->expected].size > 200) {
        d->value = below(q, VALUES);
        d->expected = below(q, VALUES);
    }
    d->by = some_amount(q);
    d->kind = kinds[below(q, atomic || s->can.increment == KIVI_ABSENT ? 5 : 6)];
    if (d->kind == KIVI_OP_TOUCH && s->can.ttl == KIVI_ABSENT)
        d->kind = KIVI_OP_SET;
    if (s->can.conditions != KIVI_ABSENT)
        d->condition = (int32_t)below(q, 6) % 5;
    if (d->kind == KIVI_OP_CHECK && d->condition == KIVI_IF_ALWAYS)
        d->condition = KIVI_IF_PRESENT;
    if (d->kind == KIVI_OP_INCREMENT)
        d->condition = KIVI_IF_ALWAYS;
    d->ttl_ms = s->can.ttl == KIVI_ABSENT ? KIVI_TTL_NONE : some_ttl(q, d->kind == KIVI_OP_SET);
    d->asks_existed = (d->kind == KIVI_OP_SET || d->kind == KIVI_OP_DELETE) && below(q, 2);
    d->current_version = below(q, 3) != 0;
}

static void make_batch(sequence *q, step *what)
{
    subject *s = q->s;
    size_t most = MOST_OPS;
    if (what->act == ACT_APPLY_ATOMIC && s->can.atomic_max < most)
        most = (size_t)s->can.atomic_max;
    size_t wanted = 1 + below(q, most);
    while (what->count < wanted) {
        deed *d = &what->deeds[what->count];
        make_deed(q, what, d);
        bool again = named_before(what, what->count, d->key);
        if (again && what->act == ACT_APPLY_ATOMIC)
            continue;
        /* What a version is differs from store to store once the key was written in the same batch. */
        if (again && d->condition == KIVI_IF_VERSION)
            continue;
        what->count++;
    }
}

static bool is_possible(const sequence *q, act what)
{
    const kivi_capabilities *can = &q->s->can;
    switch (what) {
    case ACT_ADD:
    case ACT_REPLACE:
    case ACT_COMPARE_AND_SET:
    case ACT_COMPARE_AND_DELETE:
    case ACT_UPDATE:
    case ACT_GET_OR_SET:
        return can->conditions != KIVI_ABSENT;
    case ACT_INCREMENT:
        return can->increment != KIVI_ABSENT;
    case ACT_GET_AND_EXPIRE:
    case ACT_EXPIRE:
    case ACT_PERSIST:
    case ACT_TTL:
        return can->ttl != KIVI_ABSENT;
    case ACT_APPLY_ATOMIC:
        return can->atomic_max > 0;
    case ACT_SCAN:
    case ACT_COUNT:
    case ACT_CLEAR:
        return can->scan != KIVI_ABSENT;
    default:
        return true;
    }
}

static act some_act(sequence *q)
{
    for (;;) {
        act what = (act)below(q, ACTS);
        /* Clearing often would leave nothing to meet. */
        if (is_possible(q, what) && (what != ACT_CLEAR || below(q, 6) == 0))
            return what;
    }
}

static void make_step(sequence *q, step *what)
{
    memset(what, 0, sizeof *what);
    what->act = some_act(q);
    what->prefix = below(q, q->tables.prefix_count);
    if (what->act == ACT_CLEAR && what->prefix == 0 && below(q, 4))
        what->prefix = 1 + below(q, q->tables.prefix_count - 1);
    what->limit = 1 + below(q, 12);
    what->flags = (uint32_t)below(q, 4);
    if (q->s->can.ttl == KIVI_ABSENT)
        what->flags &= ~(uint32_t)KIVI_SCAN_WANT_EXPIRY;
    what->action = (kivi_update_action)below(q, 3);
    if (what->act >= ACT_GET_MANY && what->act <= ACT_APPLY_ATOMIC) {
        make_batch(q, what);
        if (what->act == ACT_SET_MANY)
            what->deeds[0].ttl_ms = some_ttl(q, true);
        return;
    }
    deed *d = &what->deeds[0];
    make_deed(q, what, d);
    d->asks_existed = below(q, 2);
    bool keeps = what->act == ACT_SET || what->act == ACT_ADD || what->act == ACT_REPLACE ||
                 what->act == ACT_COMPARE_AND_SET || what->act == ACT_UPDATE ||
                 what->act == ACT_INCREMENT;
    d->ttl_ms = q->s->can.ttl == KIVI_ABSENT ? KIVI_TTL_NONE : some_ttl(q, keeps);
    if (what->act == ACT_EXPIRE && d->ttl_ms == KIVI_TTL_NONE)
        d->ttl_ms = 5400000;
    what->count = 1;
}

/* ---- comparing ---- */

static bool same_ttl(int64_t a, int64_t b)
{
    if (a == KIVI_TTL_NONE || b == KIVI_TTL_NONE)
        return a == b;
    int64_t apart = a > b ? a - b : b - a;
    /* Both were given the same at about the same time; the model does not count down. */
    return apart < 1800000;
}

static int by_place(const void *a, const void *b)
{
    size_t left = ((const fact *)a)->key, right = ((const fact *)b)->key;
    return (left > right) - (left < right);
}

/* Scans of stores without order are compared as sets; where keys may repeat, each counts once. */
static void put_in_order(const sequence *q, const step *what, answer *a)
{
    if (what->act != ACT_SCAN || q->s->can.order == KIVI_ORDER_BYTES)
        return;
    qsort(a->facts, a->count, sizeof *a->facts, by_place);
    if (q->s->can.scan_once)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++)
        if (!kept || a->facts[kept - 1].key != a->facts[i].key)
            a->facts[kept++] = a->facts[i];
    a->count = kept;
}

static const char *compare_facts(const answer *got, const answer *wanted, size_t i)
{
    const fact *g = &got->facts[i], *w = &wanted->facts[i];
    if (g->status != w->status)
        return "an item has another status";
    if (g->key != w->key)
        return "another key";
    if (g->status == KIVI_OK && g->existed != w->existed)
        return "another answer to existed";
    if (g->status == KIVI_OK && g->integer != w->integer)
        return "another sum";
    if (!same_ttl(g->ttl_ms, w->ttl_ms))
        return "another time left";
    if (!same_bytes(fact_value(got, i), fact_value(wanted, i)))
        return "another value";
    return NULL;
}

/* Which of several conditions that do not hold is named is the store's choice; that one says so, all others ABORTED. */
static const char *compare_refusal(const sequence *q, const answer *got, const answer *wanted)
{
    size_t named = 0;
    if (got->count != wanted->count)
        return "another number of items";
    for (size_t i = 0; i < got->count; i++) {
        kivi_status status = got->facts[i].status;
        if (status == KIVI_CONDITION && q->model && wanted->facts[i].status != KIVI_CONDITION)
            return "an item says CONDITION whose condition holds";
        if (status != KIVI_CONDITION && status != KIVI_ABORTED)
            return "an item of a batch that did not happen says something else";
        named += status == KIVI_CONDITION;
    }
    return named ? NULL : "no item says which condition did not hold";
}

static const char *compare(const sequence *q, const step *what, const answer *got, const answer *wanted)
{
    if (got->fault[0])
        return got->fault;
    if (wanted->fault[0])
        return wanted->fault;
    if (got->status != wanted->status)
        return "another status";
    if (got->number != wanted->number)
        return "another number";
    if (what->act == ACT_APPLY_ATOMIC && got->status == KIVI_CONDITION)
        return compare_refusal(q, got, wanted);
    if (got->count != wanted->count)
        return "another number of items";
    for (size_t i = 0; i < got->count; i++) {
        const char *fault = compare_facts(got, wanted, i);
        if (fault)
            return fault;
    }
    return NULL;
}

static void perform(sequence *q, const step *what)
{
    store_perform(q->s->store, &q->tables, what, &q->got);
    if (q->model)
        model_perform(q->model, what, &q->wanted);
    else
        store_perform(q->memory, &q->tables, what, &q->wanted);
    put_in_order(q, what, &q->got);
    put_in_order(q, what, &q->wanted);
    const char *fault = compare(q, what, &q->got, &q->wanted);
    if (fault)
        sequence_tell(q, fault);
    cr_assert(fault == NULL, "%s: %s at step %llu with KIVI_RANDOM_SEED=%llu", q->s->row->name,
              fault, (unsigned long long)q->index, (unsigned long long)q->seed);
}

/* All that is there, with values and expiries; by keys where a store cannot scan. */
static void compare_whole(sequence *q)
{
    step whole;
    memset(&whole, 0, sizeof whole);
    whole.act = ACT_SCAN;
    whole.limit = 7;
    whole.flags = q->s->can.ttl == KIVI_ABSENT ? 0 : KIVI_SCAN_WANT_EXPIRY;
    if (q->s->can.scan != KIVI_ABSENT) {
        perform(q, &whole);
        return;
    }
    whole.act = ACT_GET;
    whole.count = 1;
    for (size_t i = 0; i < KEYS; i++) {
        whole.deeds[0].key = i;
        perform(q, &whole);
    }
}

/* ---- the case ---- */

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *said = getenv(name);
    return said && *said ? strtoull(said, NULL, 10) : otherwise;
}

static void choose_oracle(sequence *q)
{
    subject *s = q->s;
    char url[64];
    q->tables.codec = s->codec;
    if (strcmp(kivi_store_scheme(s->store), "memory") == 0) {
        q->model = model_new(&q->tables);
        EXPECT(q->model != NULL);
        return;
    }
    snprintf(url, sizeof url, "memory:?codec=%s", s->codec);
    OK(kivi_store_open(url, NULL, NULL, &q->memory, E));
}

/* No time limit: how long it takes is for KIVI_RANDOM_OPS to say. */
CASE_WITHIN(random, sequences, 0)
{
    sequence *q = keep(s, sizeof *q);
    uint64_t length = from_environment("KIVI_RANDOM_OPS", 5000);
    q->s = s;
    q->seed = from_environment("KIVI_RANDOM_SEED",
                               (uint64_t)time(NULL) * 1000 + (uint64_t)getpid() % 1000);
    q->state = q->seed;
    make_keys(q);
    make_values(q);
    choose_oracle(q);
    for (q->index = 0; q->index < length; q->index++) {
        step *what = &q->steps[q->index % REMEMBERED];
        make_step(q, what);
        perform(q, what);
        if (q->index % WHOLE_EVERY == WHOLE_EVERY - 1)
            compare_whole(q);
    }
    q->index = length ? length - 1 : 0;
    compare_whole(q);
    if (q->model)
        model_free(q->model);
    kivi_store_unref(q->memory);
    kivi_buffer_free(&q->got.bytes);
    kivi_buffer_free(&q->wanted.bytes);
}
