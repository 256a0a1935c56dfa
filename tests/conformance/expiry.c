/* Expiry: never early, at most the stated resolution late, gone everywhere at once. */
#include "suite.h"

static int64_t left_of(subject *s, kivi_slice k)
{
    int64_t left = -77;
    OK(kivi_store_ttl(s->store, NULL, k, &left, E));
    return left;
}

#define EXPECT_LEFT(key, about)                                                                       \
    do {                                                                                              \
        int64_t left_ = left_of(s, key), about_ = (about);                                            \
        EXPECT_SAYING(left_ > about_ - 60000 && left_ <= about_ + s->can.ttl_resolution_ms,           \
                      "%lld ms are left instead of about %lld", (long long)left_, (long long)about_); \
    } while (0)

static const int64_t hour = 3600000;

CASE(expiry, is_set_by_any_write)
{
    if (lacks_ttl(s))
        return;
    kivi_slice v = text(s, "v"), w = text(s, "w");
    kivi_slice set = key(s, "set"), many[] = {key(s, "many1"), key(s, "many2")}, values[] = {v, v};
    put(s, set, v, hour);
    EXPECT_LEFT(set, hour);
    OK(kivi_store_set_many(s->store, NULL, many, values, 2, hour, NULL, E));
    EXPECT_LEFT(many[0], hour);
    EXPECT_LEFT(many[1], hour);
    if (s->can.conditions == KIVI_ABSENT)
        return;
    kivi_slice added = key(s, "added");
    OK(kivi_store_add(s->store, NULL, added, v, hour, E));
    EXPECT_LEFT(added, hour);
    OK(kivi_store_replace(s->store, NULL, added, w, 2 * hour, E));
    EXPECT_LEFT(added, 2 * hour);
    OK(kivi_store_compare_and_set(s->store, NULL, added, w, v, 3 * hour, E));
    EXPECT_LEFT(added, 3 * hour);
}

/* However soon it is asked for. */
CASE(expiry, is_never_more_than_was_set)
{
    if (lacks_ttl(s) || s->can.ttl_resolution_ms > 1)
        return;
    kivi_slice k = key(s, "k"), v = text(s, "v");
    for (int i = 0; i < 50; i++) {
        put(s, k, v, hour + i);
        int64_t left = left_of(s, k);
        EXPECT_SAYING(left <= hour + i, "%lld ms of %lld", (long long)left, (long long)hour + i);
    }
}

/* Any write without a TTL clears an expiry; keep_ttl keeps it. */
CASE(expiry, is_cleared_or_kept)
{
    if (lacks_ttl(s))
        return;
    kivi_slice k = key(s, "k"), v = text(s, "v"), w = text(s, "w");
    put(s, k, v, hour);
    put(s, k, w, KIVI_TTL_NONE);
    EXPECT_NUMBER(left_of(s, k), KIVI_TTL_NONE);
    put(s, k, v, hour);
    put(s, k, w, KIVI_TTL_KEEP);
    EXPECT_HOLDS(k, w);
    EXPECT_LEFT(k, hour);
    put(s, k, v, 2 * hour);
    EXPECT_LEFT(k, 2 * hour);
    kivi_slice values[] = {w};
    OK(kivi_store_set_many(s->store, NULL, &k, values, 1, KIVI_TTL_KEEP, NULL, E));
    EXPECT_HOLDS(k, w);
    EXPECT_LEFT(k, 2 * hour);
    OK(kivi_store_set_many(s->store, NULL, &k, values, 1, KIVI_TTL_NONE, NULL, E));
    EXPECT_NUMBER(left_of(s, k), KIVI_TTL_NONE);
    /* What never expires and what is missing stay so. */
    put(s, k, v, KIVI_TTL_KEEP);
    EXPECT_NUMBER(left_of(s, k), KIVI_TTL_NONE);
    kivi_slice fresh = key(s, "fresh");
    put(s, fresh, v, KIVI_TTL_KEEP);
    EXPECT_NUMBER(left_of(s, fresh), KIVI_TTL_NONE);
    /* The value need not change for it to be cleared. */
    put(s, k, v, hour);
    put(s, k, v, KIVI_TTL_NONE);
    EXPECT_NUMBER(left_of(s, k), KIVI_TTL_NONE);
    /* Nor has a key that was deleted an expiry left over. */
    put(s, k, v, hour);
    OK(kivi_store_delete(s->store, NULL, k, NULL, E));
    put(s, k, v, KIVI_TTL_KEEP);
    EXPECT_NUMBER(left_of(s, k), KIVI_TTL_NONE);
}

static kivi_status write_two(const kivi_slice *current, kivi_buffer *next,
                             kivi_update_action *action, void *user)
{
    (void)current;
    (void)action;
    return kivi_buffer_append(next, text(user, "two"));
}

CASE(expiry, update_keeps_it_unless_given_another)
{
    if (lacks_ttl(s) || lacks_conditions(s))
        return;
    kivi_slice k = key(s, "k"), fresh = key(s, "fresh");
    put(s, k, text(s, "one"), hour);
    OK(kivi_store_update(s->store, NULL, k, KIVI_TTL_NONE, write_two, s, E));
    EXPECT_HOLDS(k, text(s, "two"));
    EXPECT_LEFT(k, hour);
    OK(kivi_store_update(s->store, NULL, k, KIVI_TTL_KEEP, write_two, s, E));
    EXPECT_LEFT(k, hour);
    OK(kivi_store_update(s->store, NULL, k, 2 * hour, write_two, s, E));
    EXPECT_LEFT(k, 2 * hour);
    OK(kivi_store_persist(s->store, NULL, k, E));
    OK(kivi_store_update(s->store, NULL, k, KIVI_TTL_NONE, write_two, s, E));
    EXPECT_NUMBER(left_of(s, k), KIVI_TTL_NONE);
    OK(kivi_store_update(s->store, NULL, fresh, KIVI_TTL_NONE, write_two, s, E));
    EXPECT_NUMBER(left_of(s, fresh), KIVI_TTL_NONE);
}

CASE(expiry, under_conditions)
{
    if (lacks_ttl(s) || lacks_conditions(s))
        return;
    kivi_slice k = key(s, "k"), v = text(s, "v"), w = text(s, "w");
    put(s, k, v, hour);
    OK(kivi_store_replace(s->store, NULL, k, w, KIVI_TTL_KEEP, E));
    EXPECT_LEFT(k, hour);
    OK(kivi_store_compare_and_set(s->store, NULL, k, w, v, KIVI_TTL_KEEP, E));
    EXPECT_LEFT(k, hour);
    ANSWERS(KIVI_CONDITION, kivi_store_add(s->store, NULL, k, w, 5 * hour, E));
    ANSWERS(KIVI_CONDITION, kivi_store_compare_and_set(s->store, NULL, k, w, v, 5 * hour, E));
    EXPECT_LEFT(k, hour);
    OK(kivi_store_compare_and_set(s->store, NULL, k, v, w, KIVI_TTL_NONE, E));
    EXPECT_NUMBER(left_of(s, k), KIVI_TTL_NONE);
    put(s, k, v, hour);
    OK(kivi_store_replace(s->store, NULL, k, v, KIVI_TTL_NONE, E));
    EXPECT_NUMBER(left_of(s, k), KIVI_TTL_NONE);
    kivi_buffer version = KIVI_BUFFER_INIT;
    put(s, k, v, hour);
    OK(kivi_store_get_versioned(s->store, NULL, k, &s->value, &version, E));
    kivi_op op = KIVI_OP_INIT;
    op.kind = KIVI_OP_SET;
    op.condition = KIVI_IF_VERSION;
    op.key = k;
    op.value = w;
    op.expected = kivi_buffer_slice(&version);
    op.ttl_ms = KIVI_TTL_KEEP;
    kivi_result *result = NULL;
    OK(kivi_store_apply(s->store, NULL, &op, 1, 0, &result, E));
    EXPECT_NUMBER(kivi_result_status(result, 0), KIVI_OK);
    kivi_result_free(result);
    EXPECT_HOLDS(k, w);
    EXPECT_LEFT(k, hour);
    kivi_buffer_free(&version);
}

CASE(expiry, expire_and_persist)
{
    if (lacks_ttl(s))
        return;
    kivi_slice k = key(s, "k"), missing = key(s, "missing"), v = text(s, "v");
    ANSWERS(KIVI_NOT_FOUND, kivi_store_expire(s->store, NULL, missing, hour, E));
    ANSWERS(KIVI_NOT_FOUND, kivi_store_persist(s->store, NULL, missing, E));
    EXPECT_MISSING(missing);
    put(s, k, v, KIVI_TTL_NONE);
    OK(kivi_store_persist(s->store, NULL, k, E));
    EXPECT_NUMBER(left_of(s, k), KIVI_TTL_NONE);
    OK(kivi_store_expire(s->store, NULL, k, hour, E));
    EXPECT_LEFT(k, hour);
    OK(kivi_store_expire(s->store, NULL, k, 3 * hour, E));
    EXPECT_LEFT(k, 3 * hour);
    OK(kivi_store_persist(s->store, NULL, k, E));
    EXPECT_NUMBER(left_of(s, k), KIVI_TTL_NONE);
    EXPECT_HOLDS(k, v);
}

/* ---- limits ---- */

CASE(expiry, limits)
{
    if (lacks_ttl(s))
        return;
    kivi_slice k = key(s, "k"), v = text(s, "v"), other = key(s, "other");
    EXPECT(s->can.max_ttl_ms > 0 && s->can.max_ttl_ms <= KIVI_TTL_MAX);
    EXPECT(s->can.ttl_resolution_ms >= 1);
    put(s, k, v, s->can.max_ttl_ms);
    EXPECT_HOLDS(k, v);
    int64_t left = left_of(s, k);
    EXPECT(left > s->can.max_ttl_ms - 60000 && left <= s->can.max_ttl_ms + s->can.ttl_resolution_ms);
    static const int64_t bad[] = {-2, -5, INT64_MIN, KIVI_TTL_MAX + 1, INT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        REFUSED(KIVI_INVALID, kivi_store_set(s->store, NULL, other, v, bad[i], E));
        REFUSED(KIVI_INVALID, kivi_store_add(s->store, NULL, other, v, bad[i], E));
        REFUSED(KIVI_INVALID, kivi_store_set_many(s->store, NULL, &other, &v, 1, bad[i], NULL, E));
        REFUSED(KIVI_INVALID, kivi_store_expire(s->store, NULL, k, bad[i], E));
        REFUSED(KIVI_INVALID, kivi_store_get_and_expire(s->store, NULL, k, bad[i], &s->value, E));
        if (s->can.increment != KIVI_ABSENT)
            REFUSED(KIVI_INVALID, kivi_store_increment(s->store, NULL, other, 1, bad[i], NULL, E));
    }
    /* To expire at once, or to keep, is nothing that expire can do. */
    REFUSED(KIVI_INVALID, kivi_store_expire(s->store, NULL, k, 0, E));
    REFUSED(KIVI_INVALID, kivi_store_expire(s->store, NULL, k, KIVI_TTL_KEEP, E));
    if (s->can.max_ttl_ms < KIVI_TTL_MAX) {
        REFUSED(KIVI_UNSUPPORTED, kivi_store_set(s->store, NULL, other, v, s->can.max_ttl_ms + 1, E));
        REFUSED(KIVI_UNSUPPORTED, kivi_store_expire(s->store, NULL, k, KIVI_TTL_MAX, E));
    }
    EXPECT_MISSING(other);
    EXPECT_HOLDS(k, v);
}

/* 1 ms is a TTL like any other. */
CASE(expiry, shortest)
{
    if (lacks_ttl(s))
        return;
    kivi_slice k = key(s, "k"), v = text(s, "v");
    put(s, k, v, 1);
    pause_ms(surely_over(s, 1));
    EXPECT_MISSING(k);
    put(s, k, v, KIVI_TTL_NONE);
    OK(kivi_store_expire(s->store, NULL, k, 1, E));
    pause_ms(surely_over(s, 1));
    EXPECT_MISSING(k);
}

/* ---- gone is gone ---- */

/* A key that has expired, beside one that lives. */
static kivi_slice expired(subject *s, const char *name)
{
    kivi_slice k = key(s, name);
    put(s, k, text(s, "old"), short_ttl(s));
    return k;
}

CASE(expiry, gone_for_reads)
{
    if (lacks_ttl(s))
        return;
    kivi_slice k = expired(s, "k"), lives = key(s, "lives");
    put(s, lives, text(s, "v"), hour);
    pause_ms(surely_over(s, short_ttl(s)));
    EXPECT_MISSING(k);
    int64_t left;
    ANSWERS(KIVI_NOT_FOUND, kivi_store_ttl(s->store, NULL, k, &left, E));
    ANSWERS(KIVI_NOT_FOUND, kivi_store_expire(s->store, NULL, k, hour, E));
    ANSWERS(KIVI_NOT_FOUND, kivi_store_persist(s->store, NULL, k, E));
    ANSWERS(KIVI_NOT_FOUND, kivi_store_take(s->store, NULL, k, &s->value, E));
    ANSWERS(KIVI_NOT_FOUND, kivi_store_get_and_expire(s->store, NULL, k, hour, &s->value, E));
    EXPECT_MISSING(k);
    kivi_slice keys[] = {k, lives};
    kivi_result *result = NULL;
    OK(kivi_store_get_many(s->store, NULL, keys, 2, &result, E));
    EXPECT_NUMBER(kivi_result_status(result, 0), KIVI_NOT_FOUND);
    EXPECT_NUMBER(kivi_result_status(result, 1), KIVI_OK);
    kivi_result_free(result);
    bool existed = true;
    OK(kivi_store_delete(s->store, NULL, k, &existed, E));
    EXPECT(!existed);
    EXPECT_HOLDS(lives, text(s, "v"));
}

CASE(expiry, gone_for_scans)
{
    if (lacks_ttl(s) || lacks_scan(s))
        return;
    for (size_t i = 0; i < 12; i++)
        put(s, key_number(s, i % 2 ? "lives" : "goes", i), number(s, (int64_t)i), hour);
    kivi_range range = KIVI_RANGE_INIT;
    range.prefix = all(s);
    EXPECT_NUMBER(harvested(s, s->store, &range).count, 12);
    for (size_t i = 0; i < 12; i += 2)
        OK(kivi_store_expire(s->store, NULL, key_number(s, "goes", i), short_ttl(s), E));
    pause_ms(surely_over(s, short_ttl(s)));
    static const uint32_t flags[] = {0, KIVI_SCAN_KEYS, KIVI_SCAN_WANT_EXPIRY,
                                     KIVI_SCAN_KEYS | KIVI_SCAN_WANT_EXPIRY};
    for (size_t i = 0; i < 4; i++) {
        range.flags = flags[i];
        range.limit = i + 1;
        EXPECT_NUMBER(harvested(s, s->store, &range).count, 6);
    }
    EXPECT_NUMBER(counted(s, s->store, all(s)), 6);
    uint64_t cleared = 0;
    OK(kivi_store_clear(s->store, NULL, all(s), 0, &cleared, E));
    EXPECT_NUMBER(cleared, 6);
}

CASE(expiry, gone_for_conditions)
{
    if (lacks_ttl(s) || lacks_conditions(s))
        return;
    kivi_slice k = expired(s, "k"), added = expired(s, "added"), counted_up = expired(s, "counted");
    kivi_slice old = text(s, "old"), v = text(s, "v");
    kivi_buffer version = KIVI_BUFFER_INIT;
    OK(kivi_store_get_versioned(s->store, NULL, k, &s->value, &version, E));
    pause_ms(surely_over(s, short_ttl(s)));
    ANSWERS(KIVI_CONDITION, kivi_store_replace(s->store, NULL, k, v, KIVI_TTL_NONE, E));
    ANSWERS(KIVI_CONDITION, kivi_store_compare_and_set(s->store, NULL, k, old, v, KIVI_TTL_NONE, E));
    ANSWERS(KIVI_CONDITION, kivi_store_compare_and_delete(s->store, NULL, k, old, E));
    kivi_op ops[3] = {KIVI_OP_INIT, KIVI_OP_INIT, KIVI_OP_INIT};
    ops[0].kind = ops[1].kind = ops[2].kind = KIVI_OP_CHECK;
    ops[0].key = ops[1].key = ops[2].key = k;
    ops[0].condition = KIVI_IF_ABSENT;
    ops[1].condition = KIVI_IF_PRESENT;
    ops[2].condition = KIVI_IF_VERSION;
    ops[2].expected = kivi_buffer_slice(&version);
    kivi_result *result = NULL;
    OK(kivi_store_apply(s->store, NULL, ops, 3, 0, &result, E));
    EXPECT_NUMBER(kivi_result_status(result, 0), KIVI_OK);
    EXPECT_NUMBER(kivi_result_status(result, 1), KIVI_CONDITION);
    EXPECT_NUMBER(kivi_result_status(result, 2), KIVI_CONDITION);
    kivi_result_free(result);
    EXPECT_MISSING(k);
    OK(kivi_store_add(s->store, NULL, added, v, KIVI_TTL_NONE, E));
    EXPECT_HOLDS(added, v);
    EXPECT_NUMBER(left_of(s, added), KIVI_TTL_NONE);
    if (s->can.increment != KIVI_ABSENT) {
        int64_t sum = 0;
        OK(kivi_store_increment(s->store, NULL, counted_up, 4, KIVI_TTL_NONE, &sum, E));
        EXPECT_NUMBER(sum, 4);
        EXPECT_NUMBER(left_of(s, counted_up), KIVI_TTL_NONE);
    }
    /* keep_ttl keeps nothing of an expiry that is over. */
    put(s, k, v, KIVI_TTL_KEEP);
    EXPECT_HOLDS(k, v);
    EXPECT_NUMBER(left_of(s, k), KIVI_TTL_NONE);
    kivi_buffer_free(&version);
}

/* An expiry is the store's, not the handle's. */
CASE(expiry, survives_reopening)
{
    if (lacks_ttl(s))
        return;
    kivi_slice k = key(s, "k"), goes = expired(s, "goes");
    put(s, k, text(s, "v"), hour);
    kivi_store *other = reopened(s, NULL, NULL);
    int64_t left = 0;
    OK(kivi_store_ttl(other, NULL, k, &left, E));
    EXPECT(left > hour - 60000 && left <= hour + s->can.ttl_resolution_ms);
    pause_ms(surely_over(s, short_ttl(s)));
    ANSWERS(KIVI_NOT_FOUND, kivi_store_get(other, NULL, goes, &s->value, E));
    kivi_store_unref(other);
    EXPECT_HOLDS(k, text(s, "v"));
}

/* Writes take expired entries away, a few at a time; nothing that lives goes with them. */
CASE(expiry, sweep)
{
    if (lacks_ttl(s))
        return;
    enum { COUNT = 60 };
    for (size_t i = 0; i < COUNT; i++) {
        put(s, key_number(s, "goes", i), text(s, "v"), 1);
        put(s, key_number(s, "lives", i), number(s, (int64_t)i), i % 3 ? hour : KIVI_TTL_NONE);
    }
    pause_ms(surely_over(s, 1));
    for (size_t i = 0; i < COUNT; i++)
        put(s, key_number(s, "new", i), number(s, (int64_t)i), i % 2 ? hour : KIVI_TTL_NONE);
    for (size_t i = 0; i < COUNT; i++) {
        EXPECT_MISSING(key_number(s, "goes", i));
        EXPECT_HOLDS(key_number(s, "lives", i), number(s, (int64_t)i));
        EXPECT_HOLDS(key_number(s, "new", i), number(s, (int64_t)i));
    }
    if (s->can.scan != KIVI_ABSENT)
        EXPECT_NUMBER(counted(s, s->store, all(s)), 2 * COUNT);
}
