/* What SQL stores share: names, codes, bounds of scans, judged writes, limits of statements. */
#include "failure.h"

#include "../../libkivi/backends/common/sql/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(sql, .timeout = 60);

/* ---- Names and codes ---- */

Test(sql, names_are_quoted)
{
    char *plain = kvi_sql_quote(NULL, "kv_store", '"'), *nasty = kvi_sql_quote("a\"b", "c.d\"\"", '"');
    char *ticks = kvi_sql_quote("s", "`t`", '`');

    cr_assert_str_eq(plain, "\"kv_store\"");
    cr_assert_str_eq(nasty, "\"a\"\"b\".\"c.d\"\"\"\"\"");
    cr_assert_str_eq(ticks, "`s`.```t```");
    free(plain);
    free(nasty);
    free(ticks);
}

Test(sql, codes_come_before_their_class)
{
    static const kvi_sql_code codes[] = {
        {"53100", KIVI_IO, KIVI_RETRY_YES, "disk"},
        {"53", KIVI_BUSY, KIVI_RETRY_YES, "resources"},
        {"40", KIVI_PENDING, KIVI_RETRY_YES, "conflict"},
    };

    cr_assert_eq(kvi_sql_find_code(codes, 3, "53100")->status, KIVI_IO);
    cr_assert_eq(kvi_sql_find_code(codes, 3, "53200")->status, KIVI_BUSY);
    cr_assert_eq(kvi_sql_find_code(codes, 3, "40P01")->status, KIVI_PENDING);
    cr_assert_null(kvi_sql_find_code(codes, 3, "5"));
    cr_assert_null(kvi_sql_find_code(codes, 3, "42P01"));
    cr_assert_eq(kvi_sql_code_number("00000"), 0);
    cr_assert_eq(kvi_sql_code_number("00010"), 36);
    cr_assert_eq(kvi_sql_code_number("0000Z"), 35);
    cr_assert_eq(kvi_sql_code_number("28P01"), ((2 * 36 + 8) * 36 + 25) * 36 * 36 + 1);
}

/* ---- Bounds ---- */

static void expect_behind(const char *prefix, const char *wanted)
{
    uint8_t bytes[40];
    size_t size = kvi_sql_behind(kivi_str(prefix), bytes);

    cr_assert_eq(size, strlen(wanted), "%zu bytes behind \"%s\"", size, prefix);
    cr_assert_eq(memcmp(bytes, wanted, size), 0, "other bytes behind \"%s\"", prefix);
}

Test(sql, bounds_are_text)
{
    expect_behind("", "");
    expect_behind("a", "b");
    expect_behind("user:", "user;");
    expect_behind("\x7f", "\xc2\x80");
    expect_behind("\xc3\xa9", "\xc3\xaa");
    expect_behind("\xc3\xbf", "\xc4\x80");
    expect_behind("\xdf\xbf", "\xe0\xa0\x80");
    expect_behind("\xed\x9f\xbf", "\xee\x80\x80"); /* over the surrogates */
    expect_behind("\xef\xbf\xbf", "\xf0\x90\x80\x80");
    expect_behind("a\xf4\x8f\xbf\xbf", "b"); /* the last code point: the one before it */
    expect_behind("\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf", "");
}

/* Nothing that begins with a prefix comes after its bound, nothing else before it, by the order of bytes. */
Test(sql, bounds_are_tight)
{
    static const char *const keys[] = {"a",
                                       "a\x7f",
                                       "a\xc2\x80",
                                       "a\xf4\x8f\xbf\xbf",
                                       "b",
                                       "\xc3\xa9x",
                                       "\xc3\xa9\xef\xbf\xbd",
                                       "\xc3\xaa",
                                       "\xee\x80\x80"};
    static const char *const prefixes[] = {"a", "\xc3\xa9", "b", "a\xc2\x80"};

    for (size_t p = 0; p < sizeof(prefixes) / sizeof(prefixes[0]); p++) {
        uint8_t bound[16] = {0};
        kivi_slice prefix = kivi_str(prefixes[p]);
        bound[kvi_sql_behind(prefix, bound)] = 0;
        for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
            bool within = strcmp(keys[k], prefixes[p]) >= 0 && strcmp(keys[k], (const char *)bound) < 0;
            cr_assert_eq(within, kvi_sql_begins(kivi_str(keys[k]), prefix), "prefix %zu, key %zu", p, k);
        }
    }
}

static void expect_behind_bytes(const char *prefix, const char *wanted)
{
    uint8_t bytes[40];
    size_t size = kvi_sql_behind_bytes(kivi_str(prefix), bytes);

    cr_assert_eq(size, strlen(wanted), "%zu bytes behind \"%s\"", size, prefix);
    cr_assert_eq(memcmp(bytes, wanted, size), 0, "other bytes behind \"%s\"", prefix);
}

Test(sql, bounds_are_bytes)
{
    expect_behind_bytes("", "");
    expect_behind_bytes("a", "b");
    expect_behind_bytes("\x7f", "\x80");
    expect_behind_bytes("\xc3\xbf", "\xc3\xc0");
    expect_behind_bytes("a\xff\xff", "b"); /* the last byte: the one before it */
    expect_behind_bytes("a\xfe\xff", "a\xff");
    expect_behind_bytes("\xff\xff", "");
}

static void expect_begin(const char *prefix, const char *after, const char *cursor, const char *wanted)
{
    kivi_scan_range range = {
        .prefix = kivi_str(prefix), .after = kivi_str(after), .cursor = kivi_str(cursor)};
    kivi_slice from = kvi_sql_begins_behind(&range);

    cr_assert_eq(from.size, strlen(wanted), "%zu bytes with \"%s\"", from.size, prefix);
    cr_assert_eq(memcmp(from.data ? from.data : "", wanted, from.size), 0,
                 "another key with \"%s\"", prefix);
}

Test(sql, pages_begin_behind_their_cursor)
{
    expect_begin("", "", "", "");
    expect_begin("b", "", "", "");
    expect_begin("b", "ba", "", "ba");
    expect_begin("b", "ba", "bb", "bb");
    expect_begin("b", "a", "", ""); /* before the prefix: it begins with the prefix itself */
    expect_begin("b", "c", "", "c");
    expect_begin("bb", "b", "", "");
    expect_begin("bb", "bb", "", "bb");
}

/* ---- Items by key ---- */

Test(sql, items_are_found_whatever_their_size)
{
    struct longer {
        kivi_write_item item;
        char more[24];
    } items[5] = {{.item = {.key = kivi_str("a")}},
                  {.item = {.key = kivi_str("a\xff")}},
                  {.item = {.key = kivi_str("ab")}},
                  {.item = {.key = kivi_str("b")}},
                  {.item = {.key = kivi_str("ba")}}};
    /* In the order of bytes. */
    struct longer kept = items[1];
    items[1] = items[2];
    items[2] = kept;

    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(kvi_sql_find_item(items, sizeof(items[0]), 5, items[i].item.key), i);
    cr_assert_eq(kvi_sql_find_item(items, sizeof(items[0]), 5, kivi_str("aa")), 5);
    cr_assert_eq(kvi_sql_find_item(items, sizeof(items[0]), 5, kivi_str("")), 5);
    cr_assert_eq(kvi_sql_find_item(items, sizeof(items[0]), 5, kivi_str("c")), 5);
    cr_assert_eq(kvi_sql_find_item(items, sizeof(items[0]), 0, kivi_str("a")), 0);
}

/* ---- Judged writes ---- */

static char sum[40];

static kivi_status increment(kivi_write_vector *vector, kivi_write_item *item,
                             const kivi_slice *old, kivi_slice *bytes)
{
    (void)vector;
    if (old && old->size && *(const char *)old->data == 'x')
        return KIVI_WRONG_TYPE;
    item->integer = (old ? atoi(old->data) : 0) + item->by;
    snprintf(sum, sizeof(sum), "%lld", (long long)item->integer);
    *bytes = kivi_str(sum);
    return KIVI_OK;
}

Test(sql, increments_become_sets_of_their_sums)
{
    kivi_write_item items[] = {
        {.key = kivi_str("a"), .kind = KIVI_OP_INCREMENT, .by = 5, .ttl_ms = 1000},
        {.key = kivi_str("b"), .kind = KIVI_OP_INCREMENT, .by = 2, .ttl_ms = 1000},
        {.key = kivi_str("c"), .kind = KIVI_OP_INCREMENT, .by = 1},
        {.key = kivi_str("d"), .kind = KIVI_OP_DELETE},
    };
    kivi_write_vector vector = {
        .item_size = sizeof(items[0]), .items = items, .count = 4, .increment = increment};
    kvi_sql_judging judging = {0};

    cr_assert(kvi_sql_has_increments(&vector));
    for (int round = 0; round < 2; round++) { /* a transaction that is done again adds up again */
        cr_assert(kvi_sql_judging_begin(&judging, &vector));
        kvi_sql_add_up(&judging, 0, false, kivi_str("7"));
        kvi_sql_add_up(&judging, 1, true, kivi_str("40"));
        kvi_sql_add_up(&judging, 2, true, kivi_str("x"));
        kvi_sql_add_up(&judging, 3, true, kivi_str("1"));
        kivi_write_item first = kvi_sql_as_judged(&judging, 0), second = kvi_sql_as_judged(&judging, 1);
        cr_assert(first.kind == KIVI_OP_SET && first.ttl_ms == 1000);
        cr_assert(first.value.size == 1 && memcmp(first.value.data, "5", 1) == 0);
        cr_assert(second.kind == KIVI_OP_SET && second.ttl_ms == KIVI_TTL_KEEP,
                  "a key that is there keeps its expiry");
        cr_assert(second.value.size == 2 && memcmp(second.value.data, "42", 2) == 0);
        cr_assert_eq(kvi_sql_as_judged(&judging, 2).kind, KIVI_OP_CHECK);
        cr_assert_eq(kvi_sql_as_judged(&judging, 3).kind, KIVI_OP_DELETE);
    }
    for (int i = 0; i < 4; i++)
        judging.marks[i] = KVI_SQL_SEEN | KVI_SQL_HOLDS;
    cr_assert(kvi_sql_answer(&judging));
    cr_assert_eq(items[0].status, KIVI_OK);
    cr_assert_eq(items[2].status, KIVI_WRONG_TYPE);
    kvi_sql_judging_free(&judging);
}

Test(sql, verdicts)
{
    kivi_write_item items[] = {
        {.key = kivi_str("a"), .kind = KIVI_OP_SET},
        {.key = kivi_str("b"), .kind = KIVI_OP_TOUCH},
        {.key = kivi_str("c"), .kind = KIVI_OP_DELETE},
        {.key = kivi_str("d"), .kind = KIVI_OP_CHECK},
    };
    kivi_write_vector vector = {.item_size = sizeof(items[0]), .items = items, .count = 4};
    kvi_sql_judging judging = {0};

    cr_assert_not(kvi_sql_has_increments(&vector));
    cr_assert(kvi_sql_judging_begin(&judging, &vector));
    cr_assert_not(kvi_sql_answer(&judging), "nothing was told");
    for (int i = 0; i < 4; i++)
        items[i].status = KIVI_PENDING;
    judging.marks[0] = KVI_SQL_SEEN | KVI_SQL_HOLDS | KVI_SQL_THERE;
    judging.marks[1] = judging.marks[2] = KVI_SQL_SEEN | KVI_SQL_HOLDS;
    judging.marks[3] = KVI_SQL_SEEN;
    cr_assert(kvi_sql_answer(&judging));
    cr_assert(items[0].status == KIVI_OK && items[0].existed);
    cr_assert(items[1].status == KIVI_NOT_FOUND && !items[1].existed);
    cr_assert_eq(items[2].status, KIVI_OK);
    cr_assert_eq(items[3].status, KIVI_CONDITION);

    vector.flags = KIVI_VECTOR_ATOMIC;
    cr_assert(kvi_sql_answer(&judging));
    for (int i = 0; i < 3; i++)
        cr_assert_eq(items[i].status, KIVI_ABORTED);
    cr_assert_eq(items[3].status, KIVI_CONDITION);
    kvi_sql_judging_free(&judging);
}

/* ---- Limits ---- */

#define MS UINT64_C(1000000)

Test(sql, limits_end_before_the_deadline)
{
    for (uint32_t left = 1; left < 1000000; left = left * 9 / 8 + 1) {
        uint32_t limit = kvi_sql_limit(left * MS, 0, 0);
        cr_assert(limit >= 1, "%u ms give no limit", left);
        cr_assert(left <= 6 || limit + 5 <= left, "%u ms give %u", left, limit);
        cr_assert(left < 20 || limit >= left / 2, "%u ms give only %u", left, limit);
    }
    cr_assert_eq(kvi_sql_limit(UINT64_MAX, 5, 0), 0, "no deadline, no limit");
    cr_assert_eq(kvi_sql_limit(5 * MS, 9 * MS, 0), 1, "a deadline that is over");
    cr_assert_leq(kvi_sql_limit(UINT64_MAX - 1, 0, 0), (uint32_t)INT32_MAX);
}

Test(sql, limits_of_one_timeout_stay)
{
    uint32_t set = kvi_sql_limit(5000 * MS, 0, 0);

    for (uint64_t spent = 0; spent < 100; spent++)
        cr_assert_eq(kvi_sql_limit(5000 * MS, spent * MS, set), set, "after %d ms", (int)spent);
    cr_assert_lt(kvi_sql_limit(500 * MS, 0, set), 500u, "a shorter one is set");
    cr_assert_gt(kvi_sql_limit(50000 * MS, 0, set), 40000u, "so is a longer one");
}

Test(sql, locks_are_given_up_before_the_statement)
{
    cr_assert_eq(kvi_sql_lock_limit(0), 0);
    cr_assert_eq(kvi_sql_lock_limit(1), 1);
    for (uint32_t limit = 2; limit < 1000000; limit = limit * 9 / 8 + 1) {
        uint32_t lock = kvi_sql_lock_limit(limit);
        cr_assert(lock >= 1 && lock < limit, "%u of %u ms", lock, limit);
        cr_assert(lock >= limit / 2, "only %u of %u ms", lock, limit);
    }
}

Test(sql, sweeps_keep_their_distance)
{
    _Atomic uint64_t last = 0;

    cr_assert(kvi_sql_sweep_is_due(&last, 1000 * MS));
    cr_assert_not(kvi_sql_sweep_is_due(&last, 1100 * MS));
    cr_assert(kvi_sql_sweep_is_due(&last, 1300 * MS));
}
