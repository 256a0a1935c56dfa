/* Batches: each position is answered, writes are judged in order, items fail alone. */
#include "suite.h"

static kivi_op op_of(int32_t kind, int32_t condition, kivi_slice key, kivi_slice value)
{
    kivi_op op = KIVI_OP_INIT;
    op.kind = kind;
    op.condition = condition;
    op.key = key;
    op.value = value;
    op.flags = kind == KIVI_OP_SET || kind == KIVI_OP_DELETE ? KIVI_OP_WANT_EXISTED : 0;
    return op;
}

#define EXPECT_ITEM(index, wanted)                                                                \
    EXPECT_SAYING(kivi_result_status(result, index) == (wanted), "item %d says %s instead of %s", \
                  (int)(index), kivi_status_name(kivi_result_status(result, index)),              \
                  kivi_status_name(wanted))

CASE(batch, empty)
{
    kivi_result *result = NULL;
    kivi_slice none = kivi_bytes(NULL, 0), pair[] = {key(s, "k"), none}, values[] = {none, none};
    kivi_op ops[] = {op_of(KIVI_OP_SET, 0, pair[0], none), op_of(KIVI_OP_SET, 0, none, none)};
    uint64_t existed = 1;
    OK(kivi_store_get_many(s->store, NULL, NULL, 0, &result, E));
    EXPECT_NUMBER(kivi_result_count(result), 0);
    kivi_result_free(result);
    OK(kivi_store_set_many(s->store, NULL, NULL, NULL, 0, KIVI_TTL_NONE, NULL, E));
    OK(kivi_store_delete_many(s->store, NULL, NULL, 0, &existed, NULL, E));
    EXPECT_NUMBER(existed, 0);
    OK(kivi_store_apply(s->store, NULL, NULL, 0, 0, NULL, E));
    REFUSED(KIVI_INVALID, kivi_store_get_many(s->store, NULL, pair, 2, &result, E));
    REFUSED(KIVI_INVALID,
            kivi_store_set_many(s->store, NULL, pair, values, 2, KIVI_TTL_NONE, &result, E));
    REFUSED(KIVI_INVALID, kivi_store_delete_many(s->store, NULL, pair, 2, NULL, &result, E));
    REFUSED(KIVI_INVALID, kivi_store_apply(s->store, NULL, ops, 2, 0, &result, E));
    EXPECT(result == NULL);
    EXPECT_MISSING(pair[0]);
}

CASE(batch, each_position_is_answered)
{
    enum { COUNT = 40 };
    kivi_slice keys[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        /* Every key stands there four times, in no order; every third is missing. */
        keys[i] = key_number(s, "k", i * 7 % 10);
        if (i * 7 % 10 % 3)
            put(s, keys[i], number(s, (int64_t)(i * 7 % 10)), KIVI_TTL_NONE);
    }
    kivi_result *result = NULL;
    OK(kivi_store_get_many(s->store, NULL, keys, COUNT, &result, E));
    EXPECT_NUMBER(kivi_result_count(result), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        bool there = i * 7 % 10 % 3;
        EXPECT_ITEM(i, there ? KIVI_OK : KIVI_NOT_FOUND);
        EXPECT(kivi_result_error(result, i) == NULL);
        EXPECT_BYTES(kivi_result_value(result, i),
                     there ? number(s, (int64_t)(i * 7 % 10)) : kivi_bytes(NULL, 0));
    }
    EXPECT_NUMBER(kivi_result_status(result, COUNT), KIVI_INVALID);
    EXPECT_NUMBER(kivi_result_value(result, COUNT).size, 0);
    EXPECT(!kivi_result_existed(result, COUNT) && kivi_result_integer(result, COUNT) == 0);
    EXPECT(kivi_result_error(result, COUNT) == NULL);
    kivi_result_free(result);
}

CASE(batch, last_write_wins)
{
    enum { COUNT = 30 };
    kivi_slice keys[COUNT], values[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        keys[i] = key_number(s, "k", i % 7);
        values[i] = number(s, (int64_t)i);
    }
    kivi_result *result = NULL;
    OK(kivi_store_set_many(s->store, NULL, keys, values, COUNT, KIVI_TTL_NONE, &result, E));
    EXPECT_NUMBER(kivi_result_count(result), COUNT);
    for (size_t i = 0; i < COUNT; i++)
        EXPECT_ITEM(i, KIVI_OK);
    kivi_result_free(result);
    for (size_t i = COUNT - 7; i < COUNT; i++)
        EXPECT_HOLDS(keys[i], values[i]);
    /* Nobody need want the result. */
    OK(kivi_store_set_many(s->store, NULL, keys, values, 7, KIVI_TTL_NONE, NULL, E));
    for (size_t i = 0; i < 7; i++)
        EXPECT_HOLDS(keys[i], values[i]);
}

CASE(batch, delete_many)
{
    kivi_slice keys[] = {key(s, "a"), key(s, "b"), key(s, "a"), key(s, "missing"), key(s, "c")};
    put(s, keys[0], text(s, "v"), KIVI_TTL_NONE);
    put(s, keys[1], text(s, "v"), KIVI_TTL_NONE);
    put(s, key(s, "other"), text(s, "v"), KIVI_TTL_NONE);
    uint64_t existed = 99;
    kivi_result *result = NULL;
    OK(kivi_store_delete_many(s->store, NULL, keys, 5, &existed, &result, E));
    /* Deleted twice, it was there once. */
    EXPECT_NUMBER(existed, 2);
    for (size_t i = 0; i < 5; i++)
        EXPECT_ITEM(i, KIVI_OK);
    kivi_result_free(result);
    EXPECT_MISSING(keys[0]);
    EXPECT_MISSING(keys[1]);
    EXPECT_HOLDS(key(s, "other"), text(s, "v"));
    OK(kivi_store_delete_many(s->store, NULL, keys, 5, NULL, NULL, E));
    OK(kivi_store_delete_many(s->store, NULL, keys, 5, &existed, NULL, E));
    EXPECT_NUMBER(existed, 0);
}

/* Each operation sees what those before it in the batch did to its key. */
CASE(batch, judged_in_order)
{
    if (lacks_conditions(s))
        return;
    kivi_slice a = key(s, "a"), b = key(s, "b"), one = text(s, "one"), two = text(s, "two"),
               none = {NULL, 0};
    struct {
        kivi_op op;
        kivi_status status;
        int existed; /* -1: not asked */
    } steps[] = {
        {op_of(KIVI_OP_SET, KIVI_IF_PRESENT, a, one), KIVI_CONDITION, -1},
        {op_of(KIVI_OP_DELETE, KIVI_IF_ALWAYS, a, none), KIVI_OK, 0},
        {op_of(KIVI_OP_SET, KIVI_IF_ABSENT, a, one), KIVI_OK, 0},
        {op_of(KIVI_OP_SET, KIVI_IF_ABSENT, a, two), KIVI_CONDITION, -1},
        {op_of(KIVI_OP_CHECK, KIVI_IF_PRESENT, a, none), KIVI_OK, -1},
        {op_of(KIVI_OP_CHECK, KIVI_IF_ABSENT, b, none), KIVI_OK, -1},
        {op_of(KIVI_OP_SET, KIVI_IF_PRESENT, a, two), KIVI_OK, 1},
        {op_of(KIVI_OP_SET, KIVI_IF_ALWAYS, b, one), KIVI_OK, 0},
        {op_of(KIVI_OP_SET, KIVI_IF_ALWAYS, b, two), KIVI_OK, 1},
        {op_of(KIVI_OP_DELETE, KIVI_IF_ALWAYS, b, none), KIVI_OK, 1},
        {op_of(KIVI_OP_DELETE, KIVI_IF_ALWAYS, b, none), KIVI_OK, 0},
        {op_of(KIVI_OP_DELETE, KIVI_IF_PRESENT, b, none), KIVI_CONDITION, -1},
        {op_of(KIVI_OP_CHECK, KIVI_IF_ABSENT, a, none), KIVI_CONDITION, -1},
        {op_of(KIVI_OP_CHECK, KIVI_IF_EQUAL, a, none), KIVI_OK, -1},
        {op_of(KIVI_OP_SET, KIVI_IF_EQUAL, a, one), KIVI_CONDITION, -1},
        {op_of(KIVI_OP_DELETE, KIVI_IF_EQUAL, a, none), KIVI_OK, 1},
        {op_of(KIVI_OP_SET, KIVI_IF_ALWAYS, a, one), KIVI_OK, 0},
        {op_of(KIVI_OP_TOUCH, KIVI_IF_ALWAYS, b, none), KIVI_NOT_FOUND, -1},
    };
    enum { COUNT = sizeof steps / sizeof *steps };
    steps[13].op.expected = two;
    steps[14].op.expected = one;
    steps[15].op.expected = two;
    kivi_op ops[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        ops[i] = steps[i].op;
    kivi_result *result = NULL;
    OK(kivi_store_apply(s->store, NULL, ops, COUNT, 0, &result, E));
    for (size_t i = 0; i < COUNT; i++) {
        EXPECT_ITEM(i, steps[i].status);
        if (steps[i].existed >= 0)
            EXPECT_SAYING(kivi_result_existed(result, i) == steps[i].existed, "existed of item %zu", i);
    }
    kivi_result_free(result);
    EXPECT_HOLDS(a, one);
    EXPECT_MISSING(b);
}

/* Folded writes: only the last is sent, each is answered from the write before it. */
CASE(batch, folded_deletes_and_sets)
{
    kivi_slice k = key(s, "k");
    kivi_op ops[] = {op_of(KIVI_OP_SET, 0, k, text(s, "1")), op_of(KIVI_OP_SET, 0, k, text(s, "2")),
                     op_of(KIVI_OP_DELETE, 0, k, kivi_bytes(NULL, 0)),
                     op_of(KIVI_OP_DELETE, 0, k, kivi_bytes(NULL, 0)),
                     op_of(KIVI_OP_SET, 0, k, text(s, "3"))};
    static const bool first[] = {false, true, true, false, false},
                      again[] = {true, true, true, false, false};
    for (int turn = 0; turn < 2; turn++) {
        kivi_result *result = NULL;
        OK(kivi_store_apply(s->store, NULL, ops, 5, 0, &result, E));
        for (size_t i = 0; i < 5; i++) {
            EXPECT_ITEM(i, KIVI_OK);
            EXPECT_SAYING(kivi_result_existed(result, i) == (turn ? again : first)[i],
                          "turn %d, item %zu", turn, i);
        }
        kivi_result_free(result);
        EXPECT_HOLDS(k, text(s, "3"));
    }
}

CASE(batch, increments_in_order)
{
    if (lacks_increment(s))
        return;
    kivi_slice k = key(s, "k"), other = key(s, "other");
    /* by 0 sets the key to 100, or deletes it */
    static const int64_t by[] = {5, 6, 1, -7, -1, 0, 11, 3, 0, 40},
                         sums[] = {5, 11, 12, 5, 4, 0, 111, 3, 0, 40};
    kivi_op ops[10];
    for (size_t i = 0; i < 10; i++) {
        ops[i] = op_of(KIVI_OP_INCREMENT, 0, i == 7 ? other : k, kivi_str(""));
        ops[i].by = by[i];
    }
    ops[5] = op_of(KIVI_OP_SET, 0, k, number(s, 100));
    ops[8] = op_of(KIVI_OP_DELETE, 0, k, kivi_str(""));
    kivi_result *result = NULL;
    OK(kivi_store_apply(s->store, NULL, ops, 10, 0, &result, E));
    for (size_t i = 0; i < 10; i++) {
        EXPECT_ITEM(i, KIVI_OK);
        EXPECT_NUMBER(kivi_result_integer(result, i), sums[i]);
    }
    kivi_result_free(result);
    EXPECT_HOLDS(k, number(s, 40));
    EXPECT_HOLDS(other, number(s, 3));
}

/* One failure is that item's alone; the call answers it, the others are done. */
CASE(batch, items_fail_alone)
{
    if (lacks_increment(s))
        return;
    kivi_slice bad = key(s, "bad"), full = key(s, "full"), fine = key(s, "fine"),
               count = key(s, "count");
    put(s, bad, not_a_number(s), KIVI_TTL_NONE);
    put(s, full, number(s, INT64_MAX), KIVI_TTL_NONE);
    kivi_op ops[] = {op_of(KIVI_OP_SET, 0, fine, text(s, "v")),
                     op_of(KIVI_OP_INCREMENT, 0, bad, kivi_str("")),
                     op_of(KIVI_OP_INCREMENT, 0, full, kivi_str("")),
                     op_of(KIVI_OP_INCREMENT, 0, count, kivi_str(""))};
    ops[1].by = ops[2].by = ops[3].by = 1;
    kivi_result *result = NULL;
    ANSWERS(KIVI_WRONG_TYPE, kivi_store_apply(s->store, NULL, ops, 4, 0, &result, E));
    EXPECT(result != NULL);
    EXPECT_ITEM(0, KIVI_OK);
    EXPECT_ITEM(1, KIVI_WRONG_TYPE);
    EXPECT_ITEM(2, KIVI_OVERFLOW);
    EXPECT_ITEM(3, KIVI_OK);
    EXPECT(kivi_result_error(result, 0) == NULL && kivi_result_error(result, 3) == NULL);
    EXPECT_NUMBER(kivi_error_status(kivi_result_error(result, 1)), KIVI_WRONG_TYPE);
    EXPECT_NUMBER(kivi_error_status(kivi_result_error(result, 2)), KIVI_OVERFLOW);
    EXPECT(*kivi_error_message(kivi_result_error(result, 1)) != 0);
    EXPECT_NUMBER(kivi_result_integer(result, 3), 1);
    kivi_result_free(result);
    EXPECT_HOLDS(fine, text(s, "v"));
    EXPECT_HOLDS(bad, not_a_number(s));
    EXPECT_HOLDS(full, number(s, INT64_MAX));
    EXPECT_HOLDS(count, number(s, 1));
}

/* More than any store takes in one request. */
CASE(batch, many)
{
    enum { COUNT = 2500 };
    kivi_slice *keys = keep(s, COUNT * sizeof *keys), *values = keep(s, COUNT * sizeof *values);
    for (size_t i = 0; i < COUNT; i++) {
        keys[i] = key_number(s, "k", i * 37 % COUNT);
        values[i] = filled(s, 'a' + (int)(i % 26), i % 50);
    }
    kivi_result *result = NULL;
    OK(kivi_store_set_many(s->store, NULL, keys, values, COUNT, KIVI_TTL_NONE, &result, E));
    for (size_t i = 0; i < COUNT; i++)
        EXPECT_ITEM(i, KIVI_OK);
    kivi_result_free(result);
    OK(kivi_store_get_many(s->store, NULL, keys, COUNT, &result, E));
    for (size_t i = 0; i < COUNT; i++) {
        EXPECT_ITEM(i, KIVI_OK);
        EXPECT_BYTES(kivi_result_value(result, i), values[i]);
    }
    kivi_result_free(result);
    uint64_t existed = 0;
    OK(kivi_store_delete_many(s->store, NULL, keys, COUNT, &existed, NULL, E));
    EXPECT_NUMBER(existed, COUNT);
    OK(kivi_store_get_many(s->store, NULL, keys, COUNT, &result, E));
    for (size_t i = 0; i < COUNT; i++)
        EXPECT_ITEM(i, KIVI_NOT_FOUND);
    kivi_result_free(result);
}

CASE(batch, large_values)
{
    enum { COUNT = 24 };
    kivi_slice keys[COUNT], values[COUNT];
    size_t size = s->can.max_value < 200000 ? (size_t)s->can.max_value : 200000;
    for (size_t i = 0; i < COUNT; i++) {
        keys[i] = key_number(s, "k", i);
        values[i] = filled(s, (int)i, size - i);
    }
    OK(kivi_store_set_many(s->store, NULL, keys, values, COUNT, KIVI_TTL_NONE, NULL, E));
    kivi_result *result = NULL;
    OK(kivi_store_get_many(s->store, NULL, keys, COUNT, &result, E));
    for (size_t i = 0; i < COUNT; i++)
        EXPECT_BYTES(kivi_result_value(result, i), values[i]);
    kivi_result_free(result);
}

/* Kinds and conditions that are none are refused before anything is sent. */
CASE(batch, invalid)
{
    kivi_slice k = key(s, "k"), v = text(s, "v");
    kivi_op fine = op_of(KIVI_OP_SET, 0, k, v);
    kivi_result *result = NULL;
    static const int32_t kinds[] = {0, -1, 6, 99};
    for (size_t i = 0; i < 4; i++) {
        kivi_op ops[] = {fine, op_of(kinds[i], 0, key(s, "other"), v)};
        REFUSED(KIVI_INVALID, kivi_store_apply(s->store, NULL, ops, 2, 0, &result, E));
    }
    static const int32_t conditions[] = {-1, 5, 99};
    for (size_t i = 0; i < 3; i++) {
        kivi_op ops[] = {fine, op_of(KIVI_OP_SET, conditions[i], key(s, "other"), v)};
        REFUSED(KIVI_INVALID, kivi_store_apply(s->store, NULL, ops, 2, 0, &result, E));
    }
    EXPECT(result == NULL);
    EXPECT_MISSING(k);
}
