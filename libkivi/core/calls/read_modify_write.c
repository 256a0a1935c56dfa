/* Calls that read and write: compare by value, increment, take, get with touch, update. */
#include "read_modify_write.h"

#include "../lanes/run.h"
#include "../store/begin.h"
#include "../store/keys.h"
#include "../store/places.h"
#include "verbs.h"

#include <stdlib.h>

/* What such a call needs beside its context. */
typedef struct composed {
    kvi_context ctx;
    kvi_key key;
    kivi_buffer value, version;
    uint32_t rounds;     /* lost against others */
    kvi_place own_place; /* of the calls that write what they have read */
    kvi_place *place;    /* the same, or that of a queued call, in line already */
    bool plain_version;  /* the store has no versions of its own: the bytes are it */
} composed;

static kivi_status begin(composed *all, kivi_store *store, const kivi_call *call, const char *verb,
                         kivi_slice key, kivi_error **error)
{
    all->key.heap = all->value = all->version = (kivi_buffer)KIVI_BUFFER_INIT;
    all->rounds = 0;
    all->own_place = (kvi_place){.state = KVI_PLACE_NONE};
    all->place = &all->own_place;
    all->plain_version = false;
    kivi_status status = kvi_begin(&all->ctx, store, call, verb, error);
    return status ? status : kvi_key_make(&all->ctx, key, &all->key);
}

static kivi_status end(composed *all, kivi_status status)
{
    kvi_key_free(&all->key);
    kivi_buffer_free(&all->value);
    kivi_buffer_free(&all->version);
    return kvi_end(&all->ctx, status);
}

/* Somebody else wrote in between: again after a pause that grows, or why not. */
static kivi_status next_round(composed *all)
{
    kivi_status status = kvi_check(&all->ctx);
    uint32_t round = ++all->rounds;
    if (status || round < 3)
        return status;
    uint64_t pause = kvi_backoff_ns(2) >> (round < 8 ? 8 - round : 0); /* from a fraction of a ms to 10 ms */
    return kvi_pause(&all->ctx, pause);
}

/* Reads the value with its version. */
static kivi_status look(composed *all)
{
    all->value.size = all->version.size = 0;
    kivi_status status = kvi_fetch(&all->ctx, all->key.stored, &all->value, &all->version);
    if (!status)
        all->plain_version = !kvi_slice_compare(kivi_buffer_slice(&all->value),
                                                kivi_buffer_slice(&all->version));
    return status;
}

/* The same, or without asking what its forerunner in line has just written. */
static kivi_status look_or_take_over(composed *all)
{
    if (!all->place->has_value)
        return look(all);
    kivi_buffer old = all->value;
    all->value = all->place->value;
    all->place->value = old;
    all->place->has_value = false;
    kivi_buffer_free(&all->place->value);
    all->plain_version = true;
    return kivi_buffer_assign(&all->version, kivi_buffer_slice(&all->value));
}

/* Whether whoever comes next is spared to read what is written now. */
static bool hands_over(composed *all)
{
    return all->plain_version && !kvi_place_is_lost(all->place) &&
           atomic_load_explicit(&all->place->crowded, memory_order_relaxed);
}

/* Writes if nothing changed since look(). CONDITION: something did. */
static kivi_status write_unchanged(composed *all, kivi_write_item item)
{
    item.key = all->key.stored;
    item.condition = KIVI_IF_VERSION;
    item.expected = kivi_buffer_slice(&all->version);
    return kvi_write_one(&all->ctx, &item);
}

/* ---- compare and write ---- */

/*
 * The bytes of the old value first, one round trip. Where they differ the value may still be the same,
 * token by token: then it is written under the version that was compared.
 */
static kivi_status compare_tokens_and_write(composed *all, kivi_slice expected, kivi_write_item item)
{
    const char *codec = all->ctx.store->codec->name;
    kivi_status status = kvi_place_take(&all->ctx, all->place, all->key.stored);
    if (status)
        return status;
    for (;;) {
        bool same = false;
        status = look(all);
        if (status == KIVI_NOT_FOUND)
            return KIVI_CONDITION;
        if (!status)
            status = kivi_value_equal(codec, expected, kivi_buffer_slice(&all->value), &same,
                                      &all->ctx.error);
        if (status || !same)
            return status ? status : KIVI_CONDITION;
        status = write_unchanged(all, item);
        if (status != KIVI_CONDITION)
            return status;
        status = next_round(all);
        if (status)
            return status;
    }
}

static kivi_status compare_and_write(composed *all, kivi_slice expected, kivi_write_item item)
{
    item.key = all->key.stored;
    item.condition = KIVI_IF_EQUAL;
    item.expected = expected;
    kivi_status status = kvi_write_one(&all->ctx, &item);
    if (status != KIVI_CONDITION || !strcmp(all->ctx.store->codec->name, "raw"))
        return status;
    status = compare_tokens_and_write(all, expected, item);
    kvi_place_give(all->place, NULL);
    return status;
}

kivi_status kivi_store_compare_and_set(kivi_store *store, const kivi_call *call, kivi_slice key,
                                       kivi_slice expected, kivi_slice value, int64_t ttl_ms,
                                       kivi_error **error)
{
    composed all;
    kivi_status status = begin(&all, store, call, "compare_and_set", key, error);
    if (!status)
        status = kvi_value_check(&all.ctx, value);
    if (!status)
        status = kvi_ttl_check(&all.ctx, ttl_ms, true);
    if (!status)
        status = compare_and_write(
            &all, expected, (kivi_write_item){.kind = KIVI_OP_SET, .value = value, .ttl_ms = ttl_ms});
    return end(&all, status);
}

kivi_status kivi_store_compare_and_delete(kivi_store *store, const kivi_call *call, kivi_slice key,
                                          kivi_slice expected, kivi_error **error)
{
    composed all;
    kivi_status status = begin(&all, store, call, "compare_and_delete", key, error);
    if (!status)
        status = compare_and_write(&all, expected, (kivi_write_item){.kind = KIVI_OP_DELETE});
    return end(&all, status);
}

/* ---- increment ---- */

/* Reads, adds what waits to be added, and writes if nothing changed. CONDITION: something did. */
static kivi_status add_once(composed *all, kivi_buffer *written)
{
    const kvi_codec *codec = all->ctx.store->codec;
    uint8_t bytes[KVI_INTEGER_MAX];
    int64_t sum = 0, ttl_ms = KIVI_TTL_NONE;
    kivi_status status = look_or_take_over(all);
    bool missing = status == KIVI_NOT_FOUND;
    if (!status)
        status = codec->integer_read(kivi_buffer_slice(&all->value), &sum);
    if (status && !missing)
        return status;
    if (!kvi_place_add_up(all->place, sum, &sum, &ttl_ms))
        return KIVI_OK; /* all of them would overflow */
    kivi_write_item item = {.kind = KIVI_OP_SET,
                            .value = kivi_bytes(bytes, codec->integer_write(sum, bytes))};
    item.ttl_ms = missing ? ttl_ms : KIVI_TTL_KEEP;
    if (missing) {
        item.key = all->key.stored;
        item.condition = KIVI_IF_ABSENT;
        status = kvi_write_one(&all->ctx, &item);
    } else {
        status = write_unchanged(all, item);
    }
    if (status == KIVI_CONDITION)
        kvi_place_forget_sum(all->place);
    if (!status && hands_over(all) && kivi_buffer_assign(written, item.value))
        kivi_buffer_free(written); /* the next one reads it */
    return status;
}

/* Additions in line have the answer of the write that held them; where it was given up for the caller's sake they try it themselves. */
static kivi_status answer_additions(composed *all, kivi_status status)
{
    kvi_addition *own = all->place->addition;
    if (all->ctx.ended && !kvi_is_answer(status) && status != KIVI_UNCERTAIN)
        kvi_place_put_back(all->place);
    else
        kvi_place_answer(all->place, status, all->ctx.error);
    return status == KIVI_OK && own->status == KIVI_OVERFLOW ? KIVI_OVERFLOW : status;
}

/* The answer of the write that held the call's own addition. */
static kivi_status take_answer(composed *all)
{
    kvi_addition *own = all->place->addition;
    kivi_error_free(all->ctx.error);
    all->ctx.error = own->error;
    own->error = NULL;
    return own->status;
}

/* For backends that do not increment: read, add, write if nothing changed. */
static kivi_status add_in_turn(composed *all, kivi_buffer *written)
{
    kivi_status status = kvi_place_take(&all->ctx, all->place, all->key.stored);
    if (status)
        return status;
    if (atomic_load(&all->place->state) == KVI_PLACE_DONE)
        return take_answer(all);
    for (;;) {
        status = add_once(all, written);
        if (status != KIVI_CONDITION)
            break;
        status = next_round(all);
        if (status)
            break;
    }
    return answer_additions(all, status);
}

static kivi_status emulate_increment(composed *all, int64_t by, int64_t ttl_ms, int64_t *value)
{
    kvi_addition own = {.by = by, .ttl_ms = ttl_ms};
    kivi_buffer written = KIVI_BUFFER_INIT;
    if (!all->place->addition)
        all->place->addition = &own;
    all->place->wants_value = true;
    kivi_status status = add_in_turn(all, &written);
    kvi_place_give(all->place, written.size ? &written : NULL);
    kivi_buffer_free(&written);
    *value = all->place->addition->value;
    return status;
}

/* `place`: in line already, with the addition; NULL: there is none. */
static kivi_status increment(kvi_context *ctx, kvi_place *place, kivi_slice stored, int64_t by,
                             int64_t ttl_ms, int64_t *value)
{
    if (!(ctx->store->flags & KIVI_BACKEND_INCREMENTS)) {
        composed all = {.ctx = *ctx, .key = {.stored = stored}};
        all.place = place ? place : &all.own_place;
        kivi_status status = emulate_increment(&all, by, ttl_ms, value);
        *ctx = all.ctx;
        kivi_buffer_free(&all.value);
        kivi_buffer_free(&all.version);
        return status;
    }
    kivi_write_item item = {.key = stored, .kind = KIVI_OP_INCREMENT, .by = by, .ttl_ms = ttl_ms};
    kivi_status status = kvi_write_one(ctx, &item);
    *value = item.integer;
    return status;
}

kivi_status kvi_increment(kvi_context *ctx, kivi_slice stored, int64_t by, int64_t ttl_ms, int64_t *value)
{
    return increment(ctx, NULL, stored, by, ttl_ms, value);
}

/* The call cannot begin, but its addition stands in line. */
static kivi_status leave_line(composed *all, kvi_place *place, kivi_status why, int64_t *sum)
{
    kivi_status status = kvi_place_leave_line(place, why);
    if (status == why)
        return why;
    if (status) {
        kivi_error_free(all->ctx.error);
        all->ctx.error = kvi_wait_error(&all->ctx, status);
        return status;
    }
    all->place = place;
    *sum = place->addition->value;
    return take_answer(all);
}

kivi_status kvi_increment_from_line(kivi_store *store, const kivi_call *call, kvi_place *place,
                                    kivi_slice key, int64_t by, int64_t ttl_ms, int64_t *value,
                                    kivi_error **error)
{
    composed all;
    int64_t sum = 0;
    if (ttl_ms == KIVI_TTL_KEEP)
        ttl_ms = KIVI_TTL_NONE;
    kivi_status status = begin(&all, store, call, "increment", key, error);
    if (!status)
        status = kvi_ttl_check(&all.ctx, ttl_ms, false);
    if (!status)
        status = increment(&all.ctx, place, all.key.stored, by, ttl_ms, &sum);
    else if (place)
        status = leave_line(&all, place, status, &sum);
    if (value)
        *value = status ? 0 : sum;
    return end(&all, status);
}

kivi_status kivi_store_increment(kivi_store *store, const kivi_call *call, kivi_slice key,
                                 int64_t by, int64_t ttl_ms, int64_t *value, kivi_error **error)
{
    return kvi_increment_from_line(store, call, NULL, key, by, ttl_ms, value, error);
}

/* ---- take, get and expire ---- */

static kivi_status read_then_write(composed *all, kivi_write_item write, kivi_buffer *value)
{
    kivi_status status = kvi_place_take(&all->ctx, all->place, all->key.stored);
    if (status)
        return status;
    for (;;) {
        status = look(all);
        if (status)
            return status;
        status = kivi_buffer_assign(value, kivi_buffer_slice(&all->value));
        if (status)
            return status; /* while the key still has it */
        status = write_unchanged(all, write);
        if (status == KIVI_OK)
            return status;
        if (status != KIVI_CONDITION && status != KIVI_NOT_FOUND)
            return status;
        status = next_round(all);
        if (status)
            return status;
    }
}

static kivi_status emulate_then(composed *all, kivi_write_item write, kivi_buffer *value)
{
    kivi_status status = read_then_write(all, write, value);
    kvi_place_give(all->place, NULL);
    return status;
}

static kivi_status read_then(composed *all, kivi_then then, int64_t ttl_ms, kivi_buffer *value)
{
    uint32_t needs = then == KIVI_THEN_DELETE ? KIVI_BACKEND_TAKES : KIVI_BACKEND_TOUCHES;
    if (!(all->ctx.store->flags & needs)) {
        kivi_write_item write = {.kind = then == KIVI_THEN_DELETE ? KIVI_OP_DELETE : KIVI_OP_TOUCH,
                                 .ttl_ms = ttl_ms};
        return emulate_then(all, write, value);
    }
    kvi_receiver to = {value, NULL};
    kivi_read_item item = {.key = all->key.stored, .want = KIVI_WANT_VALUE, .then = then, .ttl_ms = ttl_ms};
    return kvi_read_one(&all->ctx, &item, kvi_receive, &to);
}

kivi_status kivi_store_take(kivi_store *store, const kivi_call *call, kivi_slice key,
                            kivi_buffer *value, kivi_error **error)
{
    composed all;
    value->size = 0;
    kivi_status status = begin(&all, store, call, "take", key, error);
    if (!status)
        status = read_then(&all, KIVI_THEN_DELETE, KIVI_TTL_NONE, value);
    if (status)
        value->size = 0;
    return end(&all, status);
}

kivi_status kivi_store_get_and_expire(kivi_store *store, const kivi_call *call, kivi_slice key,
                                      int64_t ttl_ms, kivi_buffer *value, kivi_error **error)
{
    composed all;
    value->size = 0;
    kivi_status status = begin(&all, store, call, "get_and_expire", key, error);
    if (!status)
        status = kvi_ttl_check(&all.ctx, ttl_ms, false);
    if (!status)
        status = read_then(&all, KIVI_THEN_TOUCH, ttl_ms, value);
    if (status)
        value->size = 0;
    return end(&all, status);
}

/* ---- the same in two steps ---- */

static kivi_status begin_step(composed *all, kivi_store *store, const kivi_call *call,
                              const kivi_request *ask, kivi_error **error)
{
    kivi_status status = begin(all, store, call, kvi_verb_find(ask->verb)->name, ask->key, error);
    if (status || !(kvi_verb_find(ask->verb)->flags & KVI_HAS_TTL))
        return status;
    return kvi_ttl_check(&all->ctx, ask->ttl_ms, false);
}

kivi_status kvi_take_begin(kivi_store *store, const kivi_call *call, const kivi_request *ask,
                           kivi_buffer *value, kivi_buffer *version, kivi_error **error)
{
    composed all;
    kivi_status status = begin_step(&all, store, call, ask, error);
    if (!status)
        status = kvi_fetch(&all.ctx, all.key.stored, value, version);
    return end(&all, status);
}

kivi_status kvi_take_end(kivi_store *store, const kivi_call *call, const kivi_request *ask,
                         kivi_error **error)
{
    const kvi_verb_info *verb = kvi_verb_find(ask->verb);
    composed all;
    kivi_write_item item = {.kind = verb->op_kind, .condition = verb->condition, .expected = ask->expected};
    kivi_status status = begin_step(&all, store, call, ask, error);
    item.key = all.key.stored;
    if (verb->flags & KVI_HAS_TTL)
        item.ttl_ms = ask->ttl_ms;
    if (!status)
        status = kvi_write_one(&all.ctx, &item);
    return end(&all, status);
}

/* ---- update ---- */

static kivi_status write_update(composed *all, bool missing, kivi_update_action action,
                                kivi_slice next, int64_t ttl_ms)
{
    kivi_write_item item = {.kind = KIVI_OP_DELETE};
    if (action < KIVI_UPDATE_SET || action > KIVI_UPDATE_LEAVE)
        return kvi_context_fail(&all->ctx, KIVI_INVALID, "update: unknown action %d", (int)action);
    if (action == KIVI_UPDATE_LEAVE || (missing && action == KIVI_UPDATE_DELETE))
        return KIVI_OK;
    if (action == KIVI_UPDATE_SET) {
        kivi_status status = kvi_value_check(&all->ctx, next);
        if (status)
            return status;
        item = (kivi_write_item){.kind = KIVI_OP_SET, .value = next, .ttl_ms = ttl_ms};
    }
    if (!missing)
        return write_unchanged(all, item);
    item.key = all->key.stored;
    item.condition = KIVI_IF_ABSENT;
    return kvi_write_one(&all->ctx, &item);
}

/* Asks the caller's function, whose time counts for nobody: those in line pass over a holder that is long in it. */
static kivi_status ask(composed *all, bool missing, kivi_update_fn compute, void *user,
                       kivi_buffer *next, kivi_update_action *action)
{
    kivi_slice current = kivi_buffer_slice(&all->value);
    next->size = 0;
    uint64_t left_ns = kvi_leave_to_caller(&all->ctx);
    kvi_go_inside();
    kvi_place_leave(all->place, left_ns);
    kivi_status status = compute(missing ? NULL : &current, next, action, user);
    kvi_place_return(all->place);
    kvi_come_back();
    return status ? status : kvi_back_from_caller(&all->ctx, left_ns);
}

static kivi_status update(composed *all, int64_t ttl_ms, kivi_update_fn compute, void *user,
                          kivi_buffer *next, kivi_buffer *written)
{
    for (;;) {
        kivi_update_action action = KIVI_UPDATE_SET;
        kivi_status status = KIVI_OK;
        if (kvi_place_is_lost(all->place))
            status = kvi_place_take(&all->ctx, all->place, all->key.stored);
        if (status)
            return status;
        status = look_or_take_over(all);
        if (status && status != KIVI_NOT_FOUND)
            return status;
        bool missing = status == KIVI_NOT_FOUND;
        status = ask(all, missing, compute, user, next, &action);
        if (status)
            return status;
        status = write_update(all, missing, action, kivi_buffer_slice(next), ttl_ms);
        if (!status && action == KIVI_UPDATE_SET && !missing && hands_over(all)) {
            *written = *next;
            *next = (kivi_buffer)KIVI_BUFFER_INIT;
        }
        if (status != KIVI_CONDITION)
            return status;
        status = next_round(all);
        if (status)
            return status;
    }
}

kivi_status kivi_store_update(kivi_store *store, const kivi_call *call, kivi_slice key,
                              int64_t ttl_ms, kivi_update_fn compute, void *user, kivi_error **error)
{
    composed all;
    kivi_buffer next = KIVI_BUFFER_INIT, written = KIVI_BUFFER_INIT;
    if (ttl_ms == KIVI_TTL_NONE)
        ttl_ms = KIVI_TTL_KEEP; /* what somebody changes does not live longer by it */
    kivi_status status = begin(&all, store, call, "update", key, error);
    all.place->wants_value = true;
    if (!status)
        status = kvi_ttl_check(&all.ctx, ttl_ms, true);
    if (!status)
        status = update(&all, ttl_ms, compute, user, &next, &written);
    kvi_place_give(all.place, written.data ? &written : NULL);
    kivi_buffer_free(&written);
    kivi_buffer_free(&next);
    return end(&all, status);
}
