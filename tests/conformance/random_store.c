/* A step of a random sequence, done by a store through the public API. */
#include <stdio.h>

#include "random.h"

void answer_clear(answer *a)
{
    a->status = KIVI_INTERNAL;
    a->number = 0;
    a->count = 0;
    a->fault[0] = 0;
    kivi_buffer_assign(&a->bytes, kivi_bytes(NULL, 0));
}

fact *answer_add(answer *a, kivi_status status)
{
    fact *added = &a->facts[a->count < MOST_FACTS ? a->count++ : MOST_FACTS - 1];
    memset(added, 0, sizeof *added);
    added->status = status;
    return added;
}

void answer_value(answer *a, fact *about, kivi_slice value)
{
    about->offset = a->bytes.size;
    about->size = value.size;
    kivi_buffer_append(&a->bytes, value);
}

static void fail(answer *a, const char *text, const char *more)
{
    if (!a->fault[0])
        snprintf(a->fault, sizeof a->fault, "%s%s", text, more);
}

/* Takes the status of the call, and checks that an error came exactly with a failure. */
static void conclude(answer *a, kivi_status status, kivi_error *error)
{
    bool is_answer = status >= KIVI_OK && status <= KIVI_END;
    a->status = status;
    if (is_answer != (error == NULL))
        fail(a, "error and status disagree: ", kivi_status_name(status));
    if (error && kivi_error_status(error) != status)
        fail(a, "the error has another status: ", kivi_error_message(error));
    kivi_error_free(error);
}

static size_t place_of(const tables *t, kivi_slice key, answer *a)
{
    for (size_t i = 0; i < KEYS; i++)
        if (same_bytes(t->keys[i], key))
            return i;
    fail(a, "a scan gave a key that nobody wrote", "");
    return 0;
}

/* ---- single keys ---- */

typedef struct plan {
    const tables *tables;
    const step *step;
} plan;

static kivi_status compute_update(const kivi_slice *current, kivi_buffer *next,
                                  kivi_update_action *action, void *user)
{
    const plan *p = user;
    (void)current;
    *action = p->step->action;
    return kivi_buffer_append(next, p->tables->values[p->step->deeds[0].value]);
}

static kivi_status compute_value(kivi_buffer *value, void *user)
{
    const plan *p = user;
    return kivi_buffer_append(value, p->tables->values[p->step->deeds[0].value]);
}

static kivi_status read_single(kivi_store *store, const tables *t, const step *what,
                               kivi_buffer *value, fact *f, kivi_error **error)
{
    const deed *d = &what->deeds[0];
    kivi_slice key = t->keys[d->key];
    switch (what->act) {
    case ACT_GET:
        return kivi_store_get(store, NULL, key, value, error);
    case ACT_EXISTS:
        return kivi_store_exists(store, NULL, key, &f->existed, error);
    case ACT_TAKE:
        return kivi_store_take(store, NULL, key, value, error);
    case ACT_GET_AND_EXPIRE:
        return kivi_store_get_and_expire(store, NULL, key, d->ttl_ms, value, error);
    case ACT_TTL:
        return kivi_store_ttl(store, NULL, key, &f->ttl_ms, error);
    case ACT_GET_OR_SET: {
        plan p = {t, what};
        return kivi_store_get_or_set(store, NULL, key, d->ttl_ms, compute_value, &p, value, error);
    }
    default:
        return KIVI_INTERNAL;
    }
}

static kivi_status write_single(kivi_store *store, const tables *t, const step *what, fact *f,
                                kivi_error **error)
{
    const deed *d = &what->deeds[0];
    kivi_slice key = t->keys[d->key], value = t->values[d->value], expected = t->values[d->expected];
    switch (what->act) {
    case ACT_SET:
        return kivi_store_set(store, NULL, key, value, d->ttl_ms, error);
    case ACT_ADD:
        return kivi_store_add(store, NULL, key, value, d->ttl_ms, error);
    case ACT_REPLACE:
        return kivi_store_replace(store, NULL, key, value, d->ttl_ms, error);
    case ACT_DELETE:
        return kivi_store_delete(store, NULL, key, d->asks_existed ? &f->existed : NULL, error);
    case ACT_COMPARE_AND_SET:
        return kivi_store_compare_and_set(store, NULL, key, expected, value, d->ttl_ms, error);
    case ACT_COMPARE_AND_DELETE:
        return kivi_store_compare_and_delete(store, NULL, key, expected, error);
    case ACT_INCREMENT:
        return kivi_store_increment(store, NULL, key, d->by, d->ttl_ms, &f->integer, error);
    case ACT_EXPIRE:
        return kivi_store_expire(store, NULL, key, d->ttl_ms, error);
    case ACT_PERSIST:
        return kivi_store_persist(store, NULL, key, error);
    case ACT_UPDATE: {
        plan p = {t, what};
        return kivi_store_update(store, NULL, key, d->ttl_ms, compute_update, &p, error);
    }
    default:
        return KIVI_INTERNAL;
    }
}

static bool is_read(act what)
{
    return what == ACT_GET || what == ACT_EXISTS || what == ACT_TAKE ||
           what == ACT_GET_AND_EXPIRE || what == ACT_TTL || what == ACT_GET_OR_SET;
}

static void perform_single(kivi_store *store, const tables *t, const step *what, answer *a)
{
    kivi_error *error = NULL;
    kivi_buffer value = KIVI_BUFFER_INIT;
    fact *f = answer_add(a, KIVI_OK);
    kivi_status status = is_read(what->act) ? read_single(store, t, what, &value, f, &error)
                                            : write_single(store, t, what, f, &error);
    f->status = status;
    if (status != KIVI_OK && value.size != 0)
        fail(a, "a read that found nothing left bytes in the buffer", "");
    answer_value(a, f, kivi_buffer_slice(&value));
    if (status != KIVI_OK)
        f->integer = 0;
    conclude(a, status, error);
    kivi_buffer_free(&value);
}

/* ---- batches ---- */

static void take_result(const step *what, const kivi_result *result, answer *a)
{
    if (!result)
        return;
    if (kivi_result_count(result) != what->count)
        fail(a, "a result of another size", "");
    for (size_t i = 0; i < what->count; i++) {
        fact *f = answer_add(a, kivi_result_status(result, i));
        bool failed = f->status > KIVI_END;
        f->existed = kivi_result_existed(result, i);
        f->integer = kivi_result_integer(result, i);
        answer_value(a, f, kivi_result_value(result, i));
        /* Items of an atomic batch that were aborted need no error each. */
        if (failed != (kivi_result_error(result, i) != NULL) && f->status != KIVI_ABORTED)
            fail(a, "an item's error and status disagree: ", kivi_status_name(f->status));
        if (!what->deeds[i].asks_existed && f->existed && what->act >= ACT_APPLY)
            fail(a, "an item answers existed unasked", "");
    }
}

static void perform_many(kivi_store *store, const tables *t, const step *what, answer *a)
{
    kivi_slice keys[MOST_OPS], values[MOST_OPS];
    kivi_error *error = NULL;
    kivi_result *result = NULL;
    kivi_status status;
    for (size_t i = 0; i < what->count; i++) {
        keys[i] = t->keys[what->deeds[i].key];
        values[i] = t->values[what->deeds[i].value];
    }
    if (what->act == ACT_GET_MANY)
        status = kivi_store_get_many(store, NULL, keys, what->count, &result, &error);
    else if (what->act == ACT_SET_MANY)
        status = kivi_store_set_many(store, NULL, keys, values, what->count, what->deeds[0].ttl_ms,
                                     &result, &error);
    else
        status = kivi_store_delete_many(store, NULL, keys, what->count,
                                        what->deeds[0].asks_existed ? &a->number : NULL, &result,
                                        &error);
    take_result(what, result, a);
    if (what->act == ACT_DELETE_MANY)
        for (size_t i = 0; i < a->count; i++)
            a->facts[i].existed = false;
    kivi_result_free(result);
    conclude(a, status, error);
}

static void perform_apply(kivi_store *store, const tables *t, const step *what, answer *a)
{
    kivi_op ops[MOST_OPS];
    kivi_buffer versions[MOST_OPS], value = KIVI_BUFFER_INIT;
    memset(versions, 0, sizeof versions);
    for (size_t i = 0; i < what->count; i++) {
        const deed *d = &what->deeds[i];
        ops[i] = (kivi_op)KIVI_OP_INIT;
        ops[i].kind = d->kind;
        ops[i].condition = d->condition;
        ops[i].key = t->keys[d->key];
        ops[i].value = t->values[d->value];
        ops[i].expected = t->values[d->expected];
        ops[i].ttl_ms = d->ttl_ms;
        ops[i].by = d->by;
        ops[i].flags = d->asks_existed ? KIVI_OP_WANT_EXISTED : 0;
        if (d->condition != KIVI_IF_VERSION)
            continue;
        kivi_buffer_append(&versions[i], kivi_str("made up"));
        if (d->current_version && kivi_store_get_versioned(store, NULL, ops[i].key, &value,
                                                           &versions[i], NULL) == KIVI_NOT_FOUND)
            kivi_buffer_append(&versions[i], kivi_str("made up"));
        ops[i].expected = kivi_buffer_slice(&versions[i]);
    }
    kivi_error *error = NULL;
    kivi_result *result = NULL;
    kivi_status status = kivi_store_apply(store, NULL, ops, what->count,
                                          what->act == ACT_APPLY_ATOMIC ? KIVI_APPLY_ATOMIC : 0,
                                          &result, &error);
    take_result(what, result, a);
    kivi_result_free(result);
    conclude(a, status, error);
    for (size_t i = 0; i < what->count; i++)
        kivi_buffer_free(&versions[i]);
    kivi_buffer_free(&value);
}

/* ---- ranges ---- */

static void take_page(const tables *t, const step *what, const kivi_page *page, answer *a)
{
    for (size_t i = 0; i < kivi_page_count(page); i++) {
        kivi_pair pair = KIVI_PAIR_INIT;
        if (kivi_page_pair(page, i, &pair) != KIVI_OK)
            fail(a, "a page without one of its pairs", "");
        fact *f = answer_add(a, KIVI_OK);
        f->key = place_of(t, pair.key, a);
        f->ttl_ms = pair.ttl_ms;
        answer_value(a, f, pair.value);
    }
    if (kivi_page_count(page) > what->limit)
        fail(a, "a page over its limit", "");
}

static void perform_scan(kivi_store *store, const tables *t, const step *what, answer *a)
{
    kivi_range range = KIVI_RANGE_INIT;
    kivi_buffer cursor = KIVI_BUFFER_INIT;
    kivi_error *error = NULL;
    kivi_status status;
    range.prefix = t->prefixes[what->prefix];
    range.limit = what->limit;
    range.flags = what->flags;
    do {
        kivi_page *page = NULL;
        status = kivi_store_page(store, NULL, &range, &page, &error);
        if (status != KIVI_OK)
            break;
        take_page(t, what, page, a);
        kivi_buffer_assign(&cursor, kivi_page_cursor(page));
        range.cursor = kivi_buffer_slice(&cursor);
        kivi_page_free(page);
    } while (cursor.size && !a->fault[0] && a->count < MOST_FACTS - 1);
    conclude(a, status, error);
    kivi_buffer_free(&cursor);
}

static void perform_range(kivi_store *store, const tables *t, const step *what, answer *a)
{
    kivi_error *error = NULL;
    kivi_slice prefix = t->prefixes[what->prefix];
    kivi_status status = what->act == ACT_COUNT
                             ? kivi_store_count(store, NULL, prefix, &a->number, &error)
                             : kivi_store_clear(store, NULL, prefix, 0, &a->number, &error);
    conclude(a, status, error);
}

void store_perform(kivi_store *store, const tables *t, const step *what, answer *a)
{
    answer_clear(a);
    switch (what->act) {
    case ACT_GET_MANY:
    case ACT_SET_MANY:
    case ACT_DELETE_MANY:
        perform_many(store, t, what, a);
        return;
    case ACT_APPLY:
    case ACT_APPLY_ATOMIC:
        perform_apply(store, t, what, a);
        return;
    case ACT_SCAN:
        perform_scan(store, t, what, a);
        return;
    case ACT_COUNT:
    case ACT_CLEAR:
        perform_range(store, t, what, a);
        return;
    default:
        perform_single(store, t, what, a);
    }
}
