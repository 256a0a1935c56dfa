/* Conditions of a write: by value, as bytes and as tokens, and by version. */
#include "suite.h"

/* ---- compare ---- */

CASE(compare, by_bytes)
{
    if (lacks_conditions(s))
        return;
    kivi_slice k = key(s, "k"), one = text(s, "one"), two = text(s, "two"),
               odd = kivi_bytes("\xc1\0\xff", 3);
    ANSWERS(KIVI_CONDITION, kivi_store_compare_and_set(s->store, NULL, k, one, two, KIVI_TTL_NONE, E));
    ANSWERS(KIVI_CONDITION, kivi_store_compare_and_delete(s->store, NULL, k, one, E));
    EXPECT_MISSING(k);
    put(s, k, one, KIVI_TTL_NONE);
    ANSWERS(KIVI_CONDITION, kivi_store_compare_and_set(s->store, NULL, k, two, two, KIVI_TTL_NONE, E));
    EXPECT_HOLDS(k, one);
    OK(kivi_store_compare_and_set(s->store, NULL, k, one, two, KIVI_TTL_NONE, E));
    EXPECT_HOLDS(k, two);
    OK(kivi_store_compare_and_set(s->store, NULL, k, two, two, KIVI_TTL_NONE, E));
    /* Bytes that are no value are the same as themselves. */
    OK(kivi_store_compare_and_set(s->store, NULL, k, two, odd, KIVI_TTL_NONE, E));
    ANSWERS(KIVI_CONDITION, kivi_store_compare_and_delete(s->store, NULL, k, two, E));
    OK(kivi_store_compare_and_delete(s->store, NULL, k, odd, E));
    EXPECT_MISSING(k);
}

typedef struct likeness {
    kivi_slice stored, said;
    bool same;
} likeness;

#define BYTES(text)            \
    {                          \
        text, sizeof(text) - 1 \
    }
static const likeness msgpack_likeness[] = {
    /* the width of an integer does not count */
    {BYTES("\x05"), BYTES("\xcc\x05"), true},
    {BYTES("\xcc\x05"), BYTES("\xd3\0\0\0\0\0\0\0\x05"), true},
    {BYTES("\xcf\0\0\0\0\0\0\0\x05"), BYTES("\x05"), true},
    {BYTES("\xff"), BYTES("\xd0\xff"), true},
    {BYTES("\xd2\xff\xff\xff\xff"), BYTES("\xd1\xff\xff"), true},
    {BYTES("\x05"), BYTES("\xcc\x06"), false},
    {BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), BYTES("\xff"), false},
    /* nor how a length is written, nor the order of pairs */
    {BYTES("\xa1x"), BYTES("\xd9\x01x"), true},
    {BYTES("\x92\x01\x02"), BYTES("\xdc\0\x02\x01\xcc\x02"), true},
    {BYTES("\x82\xa1"
           "a\x01\xa1"
           "b\x02"),
     BYTES("\x82\xa1"
           "b\xcc\x02\xa1"
           "a\x01"),
     true},
    {BYTES("\x82\xa1"
           "a\x01\xa1"
           "b\x02"),
     BYTES("\x82\xa1"
           "b\x01\xa1"
           "a\x02"),
     false},
    {BYTES("\x82\xa1"
           "a\x01\xa1"
           "b\x02"),
     BYTES("\x81\xa1"
           "a\x01"),
     false},
    {BYTES("\x92\x01\x02"), BYTES("\x92\x02\x01"), false},
    /* the type does */
    {BYTES("\x01"), BYTES("\xcb\x3f\xf0\0\0\0\0\0\0"), false},
    {BYTES("\x01"), BYTES("\xc3"), false},
    {BYTES("\xc0"), BYTES("\xc2"), false},
    {BYTES("\xa1x"), BYTES("\xc4\x01x"), false},
    {BYTES("\xcb\0\0\0\0\0\0\0\0"), BYTES("\xcb\x80\0\0\0\0\0\0\0"), false},
    {BYTES("\xca\x3f\x80\0\0"), BYTES("\xcb\x3f\xf0\0\0\0\0\0\0"), true},
    {BYTES("\xcb\x7f\xf8\0\0\0\0\0\0"), BYTES("\xcb\x7f\xf8\0\0\0\0\0\0"), true},
    {BYTES("\xcb\x7f\xf8\0\0\0\0\0\0"), BYTES("\xcb\x7f\xf8\0\0\0\0\0\x01"), false},
    {BYTES("\xd4\x05"
           "a"),
     BYTES("\xc7\x01\x05"
           "a"),
     true},
    {BYTES("\xd4\x05"
           "a"),
     BYTES("\xd4\x06"
           "a"),
     false},
    {BYTES("\xd6\xff\0\0\0\x01"), BYTES("\xd7\xff\0\0\0\0\0\0\0\x01"), true},
};
static const likeness json_likeness[] = {
    {BYTES("5"), BYTES(" 5 "), true},
    {BYTES("{\"a\":1,\"b\":2}"), BYTES("{ \"b\" : 2, \"a\" : 1 }"), true},
    {BYTES("[1,2]"), BYTES("[ 1 , 2 ]"), true},
    {BYTES("\"\\u0041\""), BYTES("\"A\""), true},
    {BYTES("1.5"), BYTES("15e-1"), true},
    {BYTES("5"), BYTES("5.0"), false},
    {BYTES("5"), BYTES("\"5\""), false},
    {BYTES("0.0"), BYTES("-0.0"), false},
    {BYTES("null"), BYTES("false"), false},
    {BYTES("[1,2]"), BYTES("[2,1]"), false},
    {BYTES("{\"a\":1}"), BYTES("{\"a\":1,\"b\":2}"), false},
};
static const likeness raw_likeness[] = {
    {BYTES("5"), BYTES("5"), true},
    {BYTES("5"), BYTES(" 5"), false},
    {BYTES("\x05"), BYTES("\xcc\x05"), false},
};

static void compare_likeness(subject *s, const likeness *pairs, size_t count)
{
    kivi_slice k = key(s, "k"), next = text(s, "next");
    for (size_t i = 0; i < count; i++) {
        kivi_status wanted = pairs[i].same ? KIVI_OK : KIVI_CONDITION;
        put(s, k, pairs[i].stored, KIVI_TTL_NONE);
        kivi_status got = kivi_store_compare_and_set(s->store, NULL, k, pairs[i].said, next,
                                                     KIVI_TTL_NONE, E);
        EXPECT_SAYING(got == wanted, "%s against %s answered %s", shown(s, pairs[i].stored),
                      shown(s, pairs[i].said), kivi_status_name(got));
        EXPECT_HOLDS(k, pairs[i].same ? next : pairs[i].stored);
        put(s, k, pairs[i].said, KIVI_TTL_NONE);
        got = kivi_store_compare_and_delete(s->store, NULL, k, pairs[i].stored, E);
        EXPECT_SAYING(got == wanted, "deleting %s against %s answered %s", shown(s, pairs[i].said),
                      shown(s, pairs[i].stored), kivi_status_name(got));
        EXPECT(holds(s, k) != pairs[i].same);
    }
}

CASE(compare, by_tokens)
{
    if (lacks_conditions(s))
        return;
    if (strcmp(s->codec, "msgpack") == 0)
        compare_likeness(s, msgpack_likeness, sizeof msgpack_likeness / sizeof *msgpack_likeness);
    else if (strcmp(s->codec, "json") == 0)
        compare_likeness(s, json_likeness, sizeof json_likeness / sizeof *json_likeness);
    else
        compare_likeness(s, raw_likeness, sizeof raw_likeness / sizeof *raw_likeness);
}

/* KIVI_IF_EQUAL of the general write is byte for byte. */
CASE(compare, equal_is_by_bytes)
{
    if (lacks_conditions(s))
        return;
    kivi_slice k = key(s, "k");
    put(s, k, kivi_bytes("\x05", 1), KIVI_TTL_NONE);
    kivi_op op = KIVI_OP_INIT;
    op.kind = KIVI_OP_SET;
    op.condition = KIVI_IF_EQUAL;
    op.key = k;
    op.value = kivi_bytes("\x07", 1);
    op.expected = kivi_bytes("\xcc\x05", 2);
    kivi_result *result = NULL;
    OK(kivi_store_apply(s->store, NULL, &op, 1, 0, &result, E));
    EXPECT_NUMBER(kivi_result_status(result, 0), KIVI_CONDITION);
    kivi_result_free(result);
    EXPECT_HOLDS(k, kivi_bytes("\x05", 1));
    /* Nor is the beginning of a value the value, or one that goes on. */
    static const kivi_slice unlike[] = {{"\x05\x06", 2}, {"", 0}, {"\x05\0", 2}};
    for (size_t i = 0; i < 3; i++) {
        op.expected = unlike[i];
        OK(kivi_store_apply(s->store, NULL, &op, 1, 0, &result, E));
        EXPECT_NUMBER(kivi_result_status(result, 0), KIVI_CONDITION);
        kivi_result_free(result);
    }
    put(s, k, kivi_bytes("\x05\x06", 2), KIVI_TTL_NONE);
    op.expected = kivi_bytes("\x05", 1);
    OK(kivi_store_apply(s->store, NULL, &op, 1, 0, &result, E));
    EXPECT_NUMBER(kivi_result_status(result, 0), KIVI_CONDITION);
    kivi_result_free(result);
    put(s, k, kivi_bytes("\x05", 1), KIVI_TTL_NONE);
    OK(kivi_store_apply(s->store, NULL, &op, 1, 0, &result, E));
    EXPECT_NUMBER(kivi_result_status(result, 0), KIVI_OK);
    kivi_result_free(result);
    EXPECT_HOLDS(k, kivi_bytes("\x07", 1));
}

/* ---- versions ---- */

static kivi_status set_if_version(subject *s, kivi_slice k, kivi_slice version, kivi_slice value)
{
    kivi_op op = KIVI_OP_INIT;
    op.kind = KIVI_OP_SET;
    op.condition = KIVI_IF_VERSION;
    op.key = k;
    op.value = value;
    op.expected = version;
    kivi_result *result = NULL;
    OK(kivi_store_apply(s->store, NULL, &op, 1, 0, &result, E));
    kivi_status status = kivi_result_status(result, 0);
    kivi_result_free(result);
    return status;
}

CASE(versions, tell_change)
{
    if (lacks_conditions(s))
        return;
    kivi_slice k = key(s, "k");
    kivi_buffer version = KIVI_BUFFER_INIT, again = KIVI_BUFFER_INIT;
    put(s, k, text(s, "one"), KIVI_TTL_NONE);
    OK(kivi_store_get_versioned(s->store, NULL, k, &s->value, &version, E));
    EXPECT_BYTES(kivi_buffer_slice(&s->value), text(s, "one"));
    EXPECT(version.size > 0);
    OK(kivi_store_get_versioned(s->store, NULL, k, &s->value, &again, E));
    EXPECT_BYTES(kivi_buffer_slice(&again), kivi_buffer_slice(&version));
    EXPECT_NUMBER(set_if_version(s, k, kivi_buffer_slice(&version), text(s, "two")), KIVI_OK);
    EXPECT_HOLDS(k, text(s, "two"));
    EXPECT_NUMBER(set_if_version(s, k, kivi_buffer_slice(&version), text(s, "three")), KIVI_CONDITION);
    EXPECT_HOLDS(k, text(s, "two"));
    OK(kivi_store_get_versioned(s->store, NULL, k, &s->value, &again, E));
    EXPECT(!same_bytes(kivi_buffer_slice(&again), kivi_buffer_slice(&version)));
    OK(kivi_store_delete(s->store, NULL, k, NULL, E));
    EXPECT_NUMBER(set_if_version(s, k, kivi_buffer_slice(&again), text(s, "four")), KIVI_CONDITION);
    EXPECT_MISSING(k);
    kivi_buffer_free(&version);
    kivi_buffer_free(&again);
}

/* Delete, touch and bare checks take a version as well; a made-up one never holds. */
CASE(versions, on_any_write)
{
    if (lacks_conditions(s))
        return;
    kivi_slice k = key(s, "k");
    kivi_buffer version = KIVI_BUFFER_INIT;
    static const int32_t kinds[] = {KIVI_OP_CHECK, KIVI_OP_TOUCH, KIVI_OP_DELETE};
    for (size_t i = 0; i < 3; i++) {
        put(s, k, text(s, "v"), KIVI_TTL_NONE);
        OK(kivi_store_get_versioned(s->store, NULL, k, &s->value, &version, E));
        kivi_op op = KIVI_OP_INIT;
        op.kind = kinds[i];
        op.condition = KIVI_IF_VERSION;
        op.key = k;
        op.expected = kivi_str("no such version at all");
        kivi_result *result = NULL;
        OK(kivi_store_apply(s->store, NULL, &op, 1, 0, &result, E));
        EXPECT_NUMBER(kivi_result_status(result, 0), KIVI_CONDITION);
        kivi_result_free(result);
        EXPECT_HOLDS(k, text(s, "v"));
        op.expected = kivi_buffer_slice(&version);
        OK(kivi_store_apply(s->store, NULL, &op, 1, 0, &result, E));
        EXPECT_NUMBER(kivi_result_status(result, 0), KIVI_OK);
        kivi_result_free(result);
        EXPECT(holds(s, k) == (kinds[i] != KIVI_OP_DELETE));
    }
    kivi_buffer_free(&version);
}
