/* The plainest store that can be thought of: an array of keys. The oracle of what memory stores answer. */
#include <stdio.h>
#include <stdlib.h>

#include "random.h"

typedef struct entry {
    bool there;
    int64_t ttl_ms; /* what it was given; sequences use none that ends */
    kivi_buffer value;
} entry;

struct model {
    const tables *tables;
    entry entries[KEYS];
    kivi_reader *reader;
    kivi_writer *writer;
};

model *model_new(const tables *t)
{
    model *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->tables = t;
    if (kivi_reader_new(t->codec, NULL, &m->reader, NULL) != KIVI_OK ||
        kivi_writer_new(t->codec, &m->writer, NULL) != KIVI_OK) {
        model_free(m);
        return NULL;
    }
    return m;
}

void model_free(model *m)
{
    for (size_t i = 0; i < KEYS; i++)
        kivi_buffer_free(&m->entries[i].value);
    kivi_reader_free(m->reader);
    kivi_writer_free(m->writer);
    free(m);
}

/* ---- what an entry goes through ---- */

static int64_t ttl_after(const entry *e, int64_t ttl_ms)
{
    if (ttl_ms == KIVI_TTL_KEEP)
        return e->there ? e->ttl_ms : KIVI_TTL_NONE;
    return ttl_ms;
}

static void put_entry(entry *e, kivi_slice value, int64_t ttl_ms)
{
    e->ttl_ms = ttl_after(e, ttl_ms);
    e->there = true;
    kivi_buffer_assign(&e->value, value);
}

static bool equal_tokens(const model *m, const entry *e, kivi_slice expected)
{
    bool equal = same_bytes(kivi_buffer_slice(&e->value), expected);
    if (!equal)
        kivi_value_equal(m->tables->codec, kivi_buffer_slice(&e->value), expected, &equal, NULL);
    return equal;
}

static kivi_status read_integer(model *m, const entry *e, int64_t *value)
{
    kivi_token token, end;
    kivi_reader_start(m->reader, kivi_buffer_slice(&e->value));
    if (kivi_reader_next(m->reader, &token) != KIVI_OK)
        return KIVI_WRONG_TYPE;
    bool alone = kivi_reader_next(m->reader, &end) == KIVI_END;
    if (alone && token.type == KIVI_TOKEN_UINT)
        return KIVI_OVERFLOW;
    if (!alone || token.type != KIVI_TOKEN_INT)
        return KIVI_WRONG_TYPE;
    *value = token.as.integer;
    return KIVI_OK;
}

static kivi_status add(model *m, entry *e, int64_t by, int64_t ttl_ms, int64_t *sum)
{
    int64_t value = 0;
    kivi_status status = e->there ? read_integer(m, e, &value) : KIVI_OK;
    if (status != KIVI_OK)
        return status;
    if (__builtin_add_overflow(value, by, &value))
        return KIVI_OVERFLOW;
    if (!e->there)
        e->ttl_ms = ttl_ms == KIVI_TTL_KEEP ? KIVI_TTL_NONE : ttl_ms;
    e->there = true;
    kivi_buffer_assign(&e->value, kivi_bytes(NULL, 0));
    kivi_writer_start(m->writer, &e->value);
    kivi_writer_int(m->writer, value);
    *sum = value;
    return kivi_writer_finish(m->writer, NULL);
}

/* ---- single keys ---- */

/* It keeps an expiry unless it is given one. */
static kivi_status update(model *m, const step *what, entry *e)
{
    int64_t ttl_ms = what->deeds[0].ttl_ms;
    if (what->action == KIVI_UPDATE_SET)
        put_entry(e, m->tables->values[what->deeds[0].value],
                  ttl_ms == KIVI_TTL_NONE ? KIVI_TTL_KEEP : ttl_ms);
    if (what->action == KIVI_UPDATE_DELETE)
        e->there = false;
    return KIVI_OK;
}

static kivi_status write_if(entry *e, bool holds, kivi_slice value, int64_t ttl_ms)
{
    if (!holds)
        return KIVI_CONDITION;
    put_entry(e, value, ttl_ms);
    return KIVI_OK;
}

static kivi_status touch(entry *e, int64_t ttl_ms)
{
    if (!e->there)
        return KIVI_NOT_FOUND;
    e->ttl_ms = ttl_ms;
    return KIVI_OK;
}

static kivi_status read_entry(answer *a, fact *f, const entry *e)
{
    if (e->there)
        answer_value(a, f, kivi_buffer_slice(&e->value));
    return e->there ? KIVI_OK : KIVI_NOT_FOUND;
}

static kivi_status perform_single(model *m, const step *what, entry *e, answer *a, fact *f)
{
    const deed *d = &what->deeds[0];
    kivi_slice value = m->tables->values[d->value], expected = m->tables->values[d->expected];
    kivi_status status;
    switch (what->act) {
    case ACT_GET:
        return read_entry(a, f, e);
    case ACT_EXISTS:
        f->existed = e->there;
        return KIVI_OK;
    case ACT_TAKE:
        status = read_entry(a, f, e);
        e->there = false;
        return status;
    case ACT_GET_AND_EXPIRE:
        touch(e, d->ttl_ms);
        return read_entry(a, f, e);
    case ACT_TTL:
        f->ttl_ms = e->there ? e->ttl_ms : 0;
        return e->there ? KIVI_OK : KIVI_NOT_FOUND;
    case ACT_GET_OR_SET:
        if (!e->there)
            put_entry(e, value, d->ttl_ms);
        return read_entry(a, f, e);
    case ACT_SET:
        return write_if(e, true, value, d->ttl_ms);
    case ACT_ADD:
        return write_if(e, !e->there, value, d->ttl_ms);
    case ACT_REPLACE:
        return write_if(e, e->there, value, d->ttl_ms);
    case ACT_DELETE:
        f->existed = d->asks_existed && e->there;
        e->there = false;
        return KIVI_OK;
    case ACT_COMPARE_AND_SET:
        return write_if(e, e->there && equal_tokens(m, e, expected), value, d->ttl_ms);
    case ACT_COMPARE_AND_DELETE:
        if (!e->there || !equal_tokens(m, e, expected))
            return KIVI_CONDITION;
        e->there = false;
        return KIVI_OK;
    case ACT_INCREMENT:
        return add(m, e, d->by, d->ttl_ms, &f->integer);
    case ACT_EXPIRE:
        return touch(e, d->ttl_ms);
    case ACT_PERSIST:
        return touch(e, KIVI_TTL_NONE);
    case ACT_UPDATE:
        return update(m, what, e);
    default:
        return KIVI_INTERNAL;
    }
}

/* ---- batches ---- */

/* Versions of keys are judged as they were before the step: sequences name such keys once. */
static bool holds_condition(const model *m, const deed *d, const entry *e)
{
    switch (d->condition) {
    case KIVI_IF_ABSENT:
        return !e->there;
    case KIVI_IF_PRESENT:
        return e->there;
    case KIVI_IF_EQUAL:
        return e->there && same_bytes(kivi_buffer_slice(&e->value), m->tables->values[d->expected]);
    case KIVI_IF_VERSION:
        return e->there && d->current_version;
    default:
        return true;
    }
}

static kivi_status perform_deed(model *m, const deed *d, fact *f)
{
    entry *e = &m->entries[d->key];
    if (!holds_condition(m, d, e))
        return KIVI_CONDITION;
    f->existed = d->asks_existed && e->there;
    switch (d->kind) {
    case KIVI_OP_SET:
        put_entry(e, m->tables->values[d->value], d->ttl_ms);
        return KIVI_OK;
    case KIVI_OP_DELETE:
        e->there = false;
        return KIVI_OK;
    case KIVI_OP_TOUCH:
        return touch(e, d->ttl_ms);
    case KIVI_OP_INCREMENT:
        return add(m, e, d->by, d->ttl_ms, &f->integer);
    default:
        return KIVI_OK;
    }
}

static void perform_apply(model *m, const step *what, answer *a)
{
    bool all_hold = true;
    if (what->act == ACT_APPLY_ATOMIC)
        for (size_t i = 0; i < what->count; i++)
            all_hold = all_hold && holds_condition(m, &what->deeds[i], &m->entries[what->deeds[i].key]);
    a->status = all_hold ? KIVI_OK : KIVI_CONDITION;
    for (size_t i = 0; i < what->count; i++) {
        const deed *d = &what->deeds[i];
        fact *f = answer_add(a, KIVI_OK);
        if (all_hold)
            f->status = perform_deed(m, d, f);
        else
            f->status = holds_condition(m, d, &m->entries[d->key]) ? KIVI_ABORTED : KIVI_CONDITION;
        if (f->status > KIVI_END && a->status == KIVI_OK)
            a->status = f->status;
    }
}

static void perform_many(model *m, const step *what, answer *a)
{
    a->status = KIVI_OK;
    for (size_t i = 0; i < what->count; i++) {
        const deed *d = &what->deeds[i];
        entry *e = &m->entries[d->key];
        fact *f = answer_add(a, KIVI_OK);
        if (what->act == ACT_GET_MANY) {
            f->status = read_entry(a, f, e);
        } else if (what->act == ACT_SET_MANY) {
            put_entry(e, m->tables->values[d->value], what->deeds[0].ttl_ms);
        } else {
            a->number += e->there && what->deeds[0].asks_existed;
            e->there = false;
        }
    }
}

/* ---- ranges ---- */

static bool under(const model *m, size_t key, size_t prefix)
{
    kivi_slice whole = m->tables->keys[key], start = m->tables->prefixes[prefix];
    return whole.size >= start.size && memcmp(whole.data, start.data, start.size) == 0;
}

static void perform_range(model *m, const step *what, answer *a)
{
    a->status = KIVI_OK;
    /* The table of keys is in the order of their bytes. */
    for (size_t i = 0; i < KEYS; i++) {
        entry *e = &m->entries[i];
        if (!e->there || !under(m, i, what->prefix))
            continue;
        if (what->act == ACT_SCAN) {
            fact *f = answer_add(a, KIVI_OK);
            f->key = i;
            f->ttl_ms = what->flags & KIVI_SCAN_WANT_EXPIRY ? e->ttl_ms : KIVI_TTL_NONE;
            if (!(what->flags & KIVI_SCAN_KEYS))
                answer_value(a, f, kivi_buffer_slice(&e->value));
            continue;
        }
        a->number++;
        if (what->act == ACT_CLEAR)
            e->there = false;
    }
}

void model_perform(model *m, const step *what, answer *a)
{
    answer_clear(a);
    switch (what->act) {
    case ACT_GET_MANY:
    case ACT_SET_MANY:
    case ACT_DELETE_MANY:
        perform_many(m, what, a);
        return;
    case ACT_APPLY:
    case ACT_APPLY_ATOMIC:
        perform_apply(m, what, a);
        return;
    case ACT_SCAN:
    case ACT_COUNT:
    case ACT_CLEAR:
        perform_range(m, what, a);
        return;
    default: {
        fact *f = answer_add(a, KIVI_OK);
        a->status = perform_single(m, what, &m->entries[what->deeds[0].key], a, f);
        f->status = a->status;
    }
    }
}
