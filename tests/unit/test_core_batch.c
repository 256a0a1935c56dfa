/* Batches: judged in order though sent sorted and folded, atomic verdicts, and what fails before anything is sent. */
#include "scripted_backend.h"

TestSuite(core_batch, .timeout = 30);

static kivi_op op_of(kivi_op_kind kind, const char *key, const char *value)
{
    kivi_op op = KIVI_OP_INIT;
    op.kind = kind;
    op.key = kivi_str(key);
    op.value = kivi_str(value);
    op.flags = KIVI_OP_WANT_EXISTED;
    return op;
}

static kivi_op addition(const char *key, int64_t by)
{
    kivi_op op = op_of(KIVI_OP_INCREMENT, key, "");
    op.by = by;
    op.flags = 0;
    return op;
}

static void check_order(const char *url)
{
    kivi_result *result = NULL;
    kivi_buffer value = KIVI_BUFFER_INIT;
    int64_t ttl;
    kivi_op ops[] = {
        op_of(KIVI_OP_SET, "z", "1"),
        op_of(KIVI_OP_SET, "a", "1"),
        op_of(KIVI_OP_DELETE, "z", ""),
        op_of(KIVI_OP_SET, "z", "2"),
        op_of(KIVI_OP_SET, "z", "3"),
        op_of(KIVI_OP_SET, "t", "1"),
        op_of(KIVI_OP_SET, "t", "2"),
        addition("n", 5),
        addition("n", 7),
        addition("n", -20),
        addition("n", 1),
        op_of(KIVI_OP_DELETE, "missing", ""),
        op_of(KIVI_OP_DELETE, "a", ""),
    };
    const bool existed[] = {false, false, true,  false, true,  false, true,
                            false, false, false, false, false, true};
    size_t count = sizeof(ops) / sizeof(ops[0]);
    ops[5].ttl_ms = 100000;
    ops[6].ttl_ms = KIVI_TTL_KEEP;
    ops[7].ttl_ms = 100000; /* this one creates it */
    kivi_store *store = scripted_store(url);
    cr_assert_eq(kivi_store_apply(store, NULL, ops, count, 0, &result, NULL), KIVI_OK);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(kivi_result_status(result, i), KIVI_OK, "operation %zu", i);
        cr_assert_eq(kivi_result_existed(result, i), existed[i], "operation %zu", i);
    }
    cr_assert_eq(kivi_result_integer(result, 7), 5);
    cr_assert_eq(kivi_result_integer(result, 8), 12);
    cr_assert_eq(kivi_result_integer(result, 9), -8);
    cr_assert_eq(kivi_result_integer(result, 10), -7);
    kivi_result_free(result);
    cr_assert_eq(kivi_store_get(store, NULL, kivi_str("z"), &value, NULL), KIVI_OK);
    cr_assert_eq(*value.data, '3');
    cr_assert_eq(kivi_store_get(store, NULL, kivi_str("a"), &value, NULL), KIVI_NOT_FOUND);
    cr_assert_eq(kivi_store_ttl(store, NULL, kivi_str("t"), &ttl, NULL), KIVI_OK);
    cr_assert(ttl > 0 && ttl <= 100000);
    cr_assert_eq(kivi_store_ttl(store, NULL, kivi_str("n"), &ttl, NULL), KIVI_OK);
    cr_assert(ttl > 0 && ttl <= 100000);
    kivi_buffer_free(&value);
    kivi_store_unref(store);
}

Test(core_batch, operations_are_judged_in_order)
{
    check_order("memory:");
    check_order("memory:?shape=stepped&max_items=2");
    check_order("memory:?shape=blocking&namespace=n");
}

Test(core_batch, an_atomic_batch_says_which_condition)
{
    kivi_result *result = NULL;
    kivi_error *error = NULL;
    kivi_op ops[] = {op_of(KIVI_OP_SET, "b", "1"), op_of(KIVI_OP_SET, "a", "1"),
                     op_of(KIVI_OP_TOUCH, "c", "")};
    kivi_store *store = scripted_store("memory:");
    ops[1].condition = KIVI_IF_PRESENT;
    cr_assert_eq(kivi_store_apply(store, NULL, ops, 3, KIVI_APPLY_ATOMIC, &result, &error),
                 KIVI_CONDITION);
    cr_assert_null(error);
    cr_assert_eq(kivi_result_status(result, 0), KIVI_ABORTED);
    cr_assert_eq(kivi_result_status(result, 1), KIVI_CONDITION);
    cr_assert_eq(kivi_result_status(result, 2), KIVI_ABORTED);
    cr_assert_eq(kivi_error_status(kivi_result_error(result, 0)), KIVI_ABORTED);
    kivi_result_free(result);
    ops[1].condition = KIVI_IF_ABSENT;
    cr_assert_eq(kivi_store_apply(store, NULL, ops, 3, KIVI_APPLY_ATOMIC, &result, NULL), KIVI_OK);
    cr_assert_eq(kivi_result_status(result, 2), KIVI_NOT_FOUND);
    kivi_result_free(result);
    ops[0].key = kivi_str("a");
    cr_assert_eq(kivi_store_apply(store, NULL, ops, 3, KIVI_APPLY_ATOMIC, &result, NULL), KIVI_INVALID);
    cr_assert_null(result);
    kivi_store_unref(store);
}

Test(core_batch, what_is_refused_sends_nothing)
{
    const kivi_slice keys[] = {kivi_str("a"), kivi_bytes("", 0)};
    kivi_result *result = NULL;
    kivi_error *error = NULL;
    kivi_op ops[] = {op_of(KIVI_OP_SET, "a", "1"), addition("b", 1)};
    script.atomic_max = 1;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_get_many(store, NULL, keys, 2, &result, &error), KIVI_INVALID);
    cr_assert_null(result);
    cr_assert_eq(kivi_error_status(error), KIVI_INVALID);
    kivi_error_free(error);
    cr_assert_eq(kivi_store_set_many(store, NULL, keys, keys, 2, 0, &result, NULL), KIVI_INVALID);
    cr_assert_null(result);
    cr_assert_eq(kivi_store_apply(store, NULL, ops, 2, KIVI_APPLY_ATOMIC, &result, NULL),
                 KIVI_UNSUPPORTED);
    cr_assert_eq(kivi_store_apply(store, NULL, ops + 1, 1, KIVI_APPLY_ATOMIC, &result, NULL),
                 KIVI_INVALID);
    cr_assert_eq(kivi_store_apply(store, NULL, ops, 2, 1u << 7, &result, NULL), KIVI_UNSUPPORTED);
    ops[0].kind = 9;
    cr_assert_eq(kivi_store_apply(store, NULL, ops, 2, 0, &result, NULL), KIVI_INVALID);
    cr_assert_null(result);
    cr_assert_eq(atomic_load(&script.verbs), 0);
    kivi_store_unref(store);
}

Test(core_batch, an_empty_batch_sends_nothing_and_returns_no_items)
{
    kivi_result *results[4] = {NULL};
    uint64_t existed = 7;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_get_many(store, NULL, NULL, 0, &results[0], NULL), KIVI_OK);
    cr_assert_eq(kivi_store_set_many(store, NULL, NULL, NULL, 0, 0, &results[1], NULL), KIVI_OK);
    cr_assert_eq(kivi_store_delete_many(store, NULL, NULL, 0, &existed, &results[2], NULL), KIVI_OK);
    cr_assert_eq(kivi_store_apply(store, NULL, NULL, 0, KIVI_APPLY_ATOMIC, &results[3], NULL), KIVI_OK);
    cr_assert_eq(kivi_store_get_many(store, NULL, NULL, 0, NULL, NULL), KIVI_OK);
    cr_assert_eq(existed, 0);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_not_null(results[i]);
        cr_assert_eq(kivi_result_count(results[i]), 0);
        kivi_result_free(results[i]);
    }
    cr_assert_eq(kivi_store_apply(store, NULL, NULL, 0, 1u << 7, &results[0], NULL), KIVI_UNSUPPORTED);
    cr_assert_eq(kivi_store_set_many(store, NULL, NULL, NULL, 0, -9, &results[0], NULL), KIVI_INVALID);
    cr_assert_eq(atomic_load(&script.verbs), 0);
    kivi_store_close(store);
    cr_assert_eq(kivi_store_get_many(store, NULL, NULL, 0, &results[0], NULL), KIVI_CLOSED);
    cr_assert_null(results[0]);
    kivi_store_unref(store);
}

/* ---- which item an error is about ---- */

static void check_index(kivi_status status, kivi_status expected, kivi_error *error, size_t index)
{
    cr_assert_eq(status, expected);
    cr_expect_eq(kivi_error_index(error), index);
    kivi_error_free(error);
}

Test(core_batch, an_error_says_which_item_it_is_about)
{
    kivi_store *store = scripted_store("memory:?max_value=4");
    kivi_error *error = NULL;
    kivi_result *result = NULL;
    kivi_slice keys[] = {kivi_str("a"), kivi_str("b"), kivi_str("")};
    kivi_slice values[] = {kivi_str("1"), kivi_str("12345"), kivi_str("1")};
    kivi_op ops[] = {op_of(KIVI_OP_SET, "a", "text"), addition("a", 1), addition("n", 1)};
    kivi_status status = kivi_store_set_many(store, NULL, keys, values, 3, 0, NULL, &error);
    check_index(status, KIVI_TOO_LARGE, error, 1);
    values[1] = kivi_str("2");
    status = kivi_store_set_many(store, NULL, keys, values, 3, 0, NULL, &error);
    check_index(status, KIVI_INVALID, error, 2);
    status = kivi_store_get_many(store, NULL, keys, 3, &result, &error);
    check_index(status, KIVI_INVALID, error, 2);
    status = kivi_store_delete_many(store, NULL, keys, 3, NULL, NULL, &error);
    check_index(status, KIVI_INVALID, error, 2);
    status = kivi_store_apply(store, NULL, ops, 3, 0, &result, &error);
    check_index(status, KIVI_WRONG_TYPE, error, 1);
    kivi_result_free(result);
    ops[2].kind = (kivi_op_kind)99;
    status = kivi_store_apply(store, NULL, ops, 3, 0, NULL, &error);
    check_index(status, KIVI_INVALID, error, 2);
    status = kivi_store_set(store, NULL, kivi_str(""), kivi_str("1"), 0, &error);
    check_index(status, KIVI_INVALID, error, SIZE_MAX);
    kivi_store_unref(store);
}
