/* Atomic batches: all happen or none, every condition judged on the state before. */
#include <stdio.h>
#include <stdlib.h>

#include "suite.h"

static kivi_op op_of(int32_t kind, int32_t condition, kivi_slice key, kivi_slice value, kivi_slice expected)
{
    kivi_op op = KIVI_OP_INIT;
    op.kind = kind;
    op.condition = condition;
    op.key = key;
    op.value = value;
    op.expected = expected;
    return op;
}

static const kivi_slice none = {NULL, 0};

#define EXPECT_ITEM(index, wanted)                                                                \
    EXPECT_SAYING(kivi_result_status(result, index) == (wanted), "item %d says %s instead of %s", \
                  (int)(index), kivi_status_name(kivi_result_status(result, index)),              \
                  kivi_status_name(wanted))

CASE(atomic, all)
{
    if (lacks_atomic(s, 5))
        return;
    kivi_slice a = key(s, "a"), b = key(s, "b"), c = key(s, "c"), d = key(s, "d"), e = key(s, "e");
    put(s, b, text(s, "old"), KIVI_TTL_NONE);
    put(s, c, text(s, "old"), KIVI_TTL_NONE);
    put(s, d, text(s, "old"), KIVI_TTL_NONE);
    kivi_op ops[] = {op_of(KIVI_OP_SET, KIVI_IF_ABSENT, a, text(s, "new"), none),
                     op_of(KIVI_OP_SET, KIVI_IF_EQUAL, b, text(s, "new"), text(s, "old")),
                     op_of(KIVI_OP_DELETE, KIVI_IF_PRESENT, c, none, none),
                     op_of(KIVI_OP_CHECK, KIVI_IF_EQUAL, d, none, text(s, "old")),
                     op_of(KIVI_OP_CHECK, KIVI_IF_ABSENT, e, none, none)};
    ops[0].flags = ops[1].flags = ops[2].flags = KIVI_OP_WANT_EXISTED;
    kivi_result *result = NULL;
    OK(kivi_store_apply(s->store, NULL, ops, 5, KIVI_APPLY_ATOMIC, &result, E));
    EXPECT_NUMBER(kivi_result_count(result), 5);
    for (size_t i = 0; i < 5; i++)
        EXPECT_ITEM(i, KIVI_OK);
    EXPECT(!kivi_result_existed(result, 0) && kivi_result_existed(result, 1) &&
           kivi_result_existed(result, 2));
    kivi_result_free(result);
    EXPECT_HOLDS(a, text(s, "new"));
    EXPECT_HOLDS(b, text(s, "new"));
    EXPECT_MISSING(c);
    EXPECT_HOLDS(d, text(s, "old"));
    EXPECT_MISSING(e);
}

/* Whichever condition fails, nothing happens; that item says CONDITION, the others ABORTED. */
CASE(atomic, or_none)
{
    if (lacks_atomic(s, 4))
        return;
    for (size_t failing = 0; failing < 4; failing++) {
        kivi_slice keys[4];
        kivi_op ops[4];
        for (size_t i = 0; i < 4; i++) {
            keys[i] = key_number(s, i == failing ? "failing" : "fine", 10 * failing + i);
            put(s, keys[i], text(s, "old"), KIVI_TTL_NONE);
            ops[i] = op_of(i % 2 ? KIVI_OP_SET : KIVI_OP_DELETE, KIVI_IF_EQUAL, keys[i],
                           text(s, "new"), text(s, i == failing ? "other" : "old"));
        }
        kivi_result *result = NULL;
        ANSWERS(KIVI_CONDITION, kivi_store_apply(s->store, NULL, ops, 4, KIVI_APPLY_ATOMIC, &result, E));
        EXPECT(result != NULL);
        for (size_t i = 0; i < 4; i++) {
            EXPECT_ITEM(i, i == failing ? KIVI_CONDITION : KIVI_ABORTED);
            EXPECT_HOLDS(keys[i], text(s, "old"));
        }
        kivi_result_free(result);
        /* Nobody need want the result. */
        ANSWERS(KIVI_CONDITION, kivi_store_apply(s->store, NULL, ops, 4, KIVI_APPLY_ATOMIC, NULL, E));
    }
}

/* Conditions alone. */
CASE(atomic, checks)
{
    if (lacks_atomic(s, 2))
        return;
    kivi_slice a = key(s, "a"), b = key(s, "b");
    put(s, a, text(s, "v"), KIVI_TTL_NONE);
    kivi_op ops[] = {op_of(KIVI_OP_CHECK, KIVI_IF_PRESENT, a, none, none),
                     op_of(KIVI_OP_CHECK, KIVI_IF_ABSENT, b, none, none)};
    OK(kivi_store_apply(s->store, NULL, ops, 2, KIVI_APPLY_ATOMIC, NULL, E));
    ops[1].condition = KIVI_IF_PRESENT;
    kivi_result *result = NULL;
    ANSWERS(KIVI_CONDITION, kivi_store_apply(s->store, NULL, ops, 2, KIVI_APPLY_ATOMIC, &result, E));
    EXPECT_ITEM(0, KIVI_ABORTED);
    EXPECT_ITEM(1, KIVI_CONDITION);
    kivi_result_free(result);
}

CASE(atomic, on_versions)
{
    if (lacks_atomic(s, 2))
        return;
    kivi_slice a = key(s, "a"), b = key(s, "b");
    kivi_buffer version = KIVI_BUFFER_INIT;
    put(s, a, text(s, "one"), KIVI_TTL_NONE);
    OK(kivi_store_get_versioned(s->store, NULL, a, &s->value, &version, E));
    kivi_op ops[] = {op_of(KIVI_OP_SET, KIVI_IF_VERSION, a, text(s, "two"), kivi_buffer_slice(&version)),
                     op_of(KIVI_OP_SET, KIVI_IF_ABSENT, b, text(s, "b"), none)};
    OK(kivi_store_apply(s->store, NULL, ops, 2, KIVI_APPLY_ATOMIC, NULL, E));
    EXPECT_HOLDS(a, text(s, "two"));
    ops[1].key = key(s, "c");
    ANSWERS(KIVI_CONDITION, kivi_store_apply(s->store, NULL, ops, 2, KIVI_APPLY_ATOMIC, NULL, E));
    EXPECT_HOLDS(a, text(s, "two"));
    EXPECT_MISSING(ops[1].key);
    kivi_buffer_free(&version);
}

/* A key named twice, an increment, an empty key: refused before anything is sent. */
CASE(atomic, refused)
{
    if (lacks_atomic(s, 3))
        return;
    kivi_slice a = key(s, "a"), b = key(s, "b"), v = text(s, "v");
    kivi_result *result = NULL;
    kivi_op twice[] = {op_of(KIVI_OP_SET, 0, a, v, none), op_of(KIVI_OP_SET, 0, b, v, none),
                       op_of(KIVI_OP_CHECK, KIVI_IF_PRESENT, a, none, none)};
    REFUSED(KIVI_INVALID, kivi_store_apply(s->store, NULL, twice, 3, KIVI_APPLY_ATOMIC, &result, E));
    kivi_op counting[] = {op_of(KIVI_OP_SET, 0, a, v, none), op_of(KIVI_OP_INCREMENT, 0, b, none, none)};
    counting[1].by = 1;
    REFUSED(KIVI_INVALID, kivi_store_apply(s->store, NULL, counting, 2, KIVI_APPLY_ATOMIC, &result, E));
    kivi_op nameless[] = {op_of(KIVI_OP_SET, 0, a, v, none), op_of(KIVI_OP_SET, 0, none, v, none)};
    REFUSED(KIVI_INVALID, kivi_store_apply(s->store, NULL, nameless, 2, KIVI_APPLY_ATOMIC, &result, E));
    EXPECT(result == NULL);
    EXPECT_MISSING(a);
    EXPECT_MISSING(b);
}

/* Keys of many servers: refused before anything is sent. */
CASE(atomic, keys_that_lie_apart)
{
    if (!s->can.atomic_by_tag)
        return;
    kivi_op ops[8];
    for (size_t i = 0; i < 8; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "{%zu}.", i);
        ops[i] = op_of(KIVI_OP_SET, 0, joined(s, text(s, tag), key(s, "apart")), text(s, "v"), none);
    }
    kivi_result *result = NULL;
    ANSWERS(KIVI_UNSUPPORTED, kivi_store_apply(s->store, NULL, ops, 8, KIVI_APPLY_ATOMIC, &result, E));
    kivi_result_free(result);
    for (size_t i = 0; i < 8; i++)
        EXPECT_MISSING(ops[i].key);
}

CASE(atomic, limit)
{
    if (lacks_atomic(s, 1))
        return;
    size_t most = s->can.atomic_max < 20000 ? (size_t)s->can.atomic_max : 20000;
    kivi_call patient = KIVI_CALL_INIT; /* thousands of writes, on a machine that may be busy */
    kivi_op *ops = keep(s, (most + 1) * sizeof *ops);
    patient.timeout_ms = 60000;
    for (size_t i = 0; i <= most; i++)
        ops[i] = op_of(KIVI_OP_SET, KIVI_IF_ABSENT, key_number(s, "k", i * 7919 % (most + 1)),
                       text(s, "v"), none);
    if (s->can.atomic_max == most) {
        REFUSED(KIVI_UNSUPPORTED,
                kivi_store_apply(s->store, NULL, ops, most + 1, KIVI_APPLY_ATOMIC, NULL, E));
        EXPECT_MISSING(ops[0].key);
    }
    /* The bytes of a batch may be too many as well; they are refused whole. */
    traffic before = traffic_of(s);
    kivi_status got;
    while ((got = kivi_store_apply(s->store, &patient, ops, most, KIVI_APPLY_ATOMIC, NULL, E)) ==
           KIVI_TOO_LARGE) {
        EXPECT(traffic_is(s, before));
        most /= 2;
    }
    EXPECT_SAYING(got == KIVI_OK, "an atomic batch of %zu answered %s (%s)", most,
                  kivi_status_name(got), s->error ? kivi_error_message(s->error) : "no error");
    EXPECT(most > 0);
    for (size_t i = 0; i < most; i += 97)
        EXPECT_HOLDS(ops[i].key, text(s, "v"));
    ANSWERS(KIVI_CONDITION, kivi_store_apply(s->store, &patient, ops, most, KIVI_APPLY_ATOMIC, NULL, E));
}

CASE(atomic, with_expiry)
{
    if (lacks_atomic(s, 3) || lacks_ttl(s))
        return;
    kivi_slice a = key(s, "a"), b = key(s, "b"), c = key(s, "c");
    put(s, b, text(s, "v"), 600000);
    put(s, c, text(s, "v"), KIVI_TTL_NONE);
    kivi_op ops[] = {op_of(KIVI_OP_SET, 0, a, text(s, "v"), none),
                     op_of(KIVI_OP_SET, 0, b, text(s, "w"), none),
                     op_of(KIVI_OP_TOUCH, 0, c, none, none)};
    ops[0].ttl_ms = 600000;
    ops[1].ttl_ms = KIVI_TTL_KEEP;
    ops[2].ttl_ms = 600000;
    OK(kivi_store_apply(s->store, NULL, ops, 3, KIVI_APPLY_ATOMIC, NULL, E));
    for (size_t i = 0; i < 3; i++) {
        int64_t left = 0;
        OK(kivi_store_ttl(s->store, NULL, ops[i].key, &left, E));
        EXPECT_SAYING(left > 500000 && left <= 600000 + s->can.ttl_resolution_ms, "%lld ms left",
                      (long long)left);
    }
    EXPECT_HOLDS(b, text(s, "w"));
    EXPECT_HOLDS(c, text(s, "v"));
}

/* To touch a missing key is answered, not refused: it stops nothing. */
CASE(atomic, touch_of_a_missing_key)
{
    if (lacks_atomic(s, 3) || lacks_ttl(s))
        return;
    kivi_slice a = key(s, "a"), missing = key(s, "missing"), z = key(s, "z");
    kivi_op ops[] = {op_of(KIVI_OP_SET, 0, a, text(s, "v"), none),
                     op_of(KIVI_OP_TOUCH, 0, missing, none, none),
                     op_of(KIVI_OP_SET, 0, z, text(s, "v"), none)};
    ops[1].ttl_ms = 600000;
    kivi_result *result = NULL;
    OK(kivi_store_apply(s->store, NULL, ops, 3, KIVI_APPLY_ATOMIC, &result, E));
    EXPECT_ITEM(0, KIVI_OK);
    EXPECT_ITEM(1, KIVI_NOT_FOUND);
    EXPECT_ITEM(2, KIVI_OK);
    kivi_result_free(result);
    EXPECT_HOLDS(a, text(s, "v"));
    EXPECT_MISSING(missing);
    EXPECT_HOLDS(z, text(s, "v"));
    /* With a condition it is refused like any other. */
    ops[1].condition = KIVI_IF_PRESENT;
    ops[0].value = ops[2].value = text(s, "w");
    ANSWERS(KIVI_CONDITION, kivi_store_apply(s->store, NULL, ops, 3, KIVI_APPLY_ATOMIC, NULL, E));
    EXPECT_HOLDS(a, text(s, "v"));
    EXPECT_HOLDS(z, text(s, "v"));
}

/* ---- threads ---- */

typedef struct accounts {
    kivi_slice keys[6];
} accounts;

static int64_t read_amount(worker *w, kivi_slice bytes)
{
    kivi_reader *reader = NULL;
    kivi_token token = {0};
    if (strcmp(w->s->codec, "raw") == 0) {
        char digits[32] = "";
        memcpy(digits, bytes.data, bytes.size < 31 ? bytes.size : 31);
        return atoll(digits);
    }
    if (kivi_reader_new(w->s->codec, NULL, &reader, NULL) != KIVI_OK)
        return 0;
    kivi_reader_start(reader, bytes);
    if (kivi_reader_next(reader, &token) != KIVI_OK || token.type != KIVI_TOKEN_INT)
        fault(w, "an account holds no integer");
    kivi_reader_free(reader);
    return token.as.integer;
}

static size_t encode_amount(worker *w, int64_t amount, kivi_buffer *out)
{
    kivi_writer *writer = NULL;
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", (long long)amount);
    if (kivi_writer_new(w->s->codec, &writer, NULL) != KIVI_OK)
        return 0;
    kivi_buffer_assign(out, kivi_bytes(NULL, 0));
    kivi_writer_start(writer, out);
    if (strcmp(w->s->codec, "raw") == 0)
        kivi_writer_str(writer, kivi_str(digits));
    else
        kivi_writer_int(writer, amount);
    kivi_writer_finish(writer, NULL);
    kivi_writer_free(writer);
    return out->size;
}

/* Moves 1 from one account to another under the versions of both. */
static bool transfer(worker *w, kivi_slice from, kivi_slice to)
{
    kivi_buffer value[2] = {KIVI_BUFFER_INIT, KIVI_BUFFER_INIT},
                version[2] = {KIVI_BUFFER_INIT, KIVI_BUFFER_INIT};
    kivi_slice keys[] = {from, to};
    kivi_op ops[2];
    bool moved = false;
    for (size_t i = 0; i < 2; i++) {
        kivi_error *error = NULL;
        if (!answered(w, "get_versioned",
                      kivi_store_get_versioned(w->s->store, NULL, keys[i], &value[i], &version[i], &error),
                      KIVI_OK, &error))
            goto out;
        int64_t amount = read_amount(w, kivi_buffer_slice(&value[i])) + (i ? 1 : -1);
        encode_amount(w, amount, &value[i]);
        ops[i] = op_of(KIVI_OP_SET, KIVI_IF_VERSION, keys[i], kivi_buffer_slice(&value[i]),
                       kivi_buffer_slice(&version[i]));
    }
    kivi_status status = kivi_store_apply(w->s->store, NULL, ops, 2, KIVI_APPLY_ATOMIC, NULL, NULL);
    moved = status == KIVI_OK;
    if (status != KIVI_OK && status != KIVI_CONDITION)
        fault(w, "apply answered %s", kivi_status_name(status));
out:
    for (size_t i = 0; i < 2; i++) {
        kivi_buffer_free(&value[i]);
        kivi_buffer_free(&version[i]);
    }
    return moved;
}

static void transfer_often(worker *w)
{
    accounts *bank = w->shared;
    unsigned seed = (unsigned)w->index + 1;
    for (int i = 0; i < 60 && !w->fault[0]; i++) {
        size_t from = (size_t)rand_r(&seed) % 6, to = (from + 1 + (size_t)rand_r(&seed) % 5) % 6;
        w->tally += transfer(w, bank->keys[from], bank->keys[to]);
    }
}

/* Whatever threads do, the sum stays. */
CASE(atomic, concurrently)
{
    if (lacks_atomic(s, 2))
        return;
    accounts bank;
    for (size_t i = 0; i < 6; i++) {
        bank.keys[i] = key_number(s, "account", i);
        put(s, bank.keys[i], number(s, 1000), KIVI_TTL_NONE);
    }
    uint64_t moved[8], moves = 0;
    together(s, 8, transfer_often, &bank, moved);
    for (size_t i = 0; i < 8; i++)
        moves += moved[i];
    EXPECT(moves > 0);
    int64_t sum = 0;
    worker reader = {.s = s};
    for (size_t i = 0; i < 6; i++) {
        OK(kivi_store_get(s->store, NULL, bank.keys[i], &s->value, E));
        sum += read_amount(&reader, kivi_buffer_slice(&s->value));
    }
    EXPECT_NUMBER(sum, 6000);
}
