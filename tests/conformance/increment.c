/* Increment: exact, from 0 where nothing is, unchanged by overflow, one value for each caller. */
#include <stdlib.h>

#include "suite.h"

static int64_t add_to(subject *s, kivi_slice k, int64_t by)
{
    int64_t sum = -1;
    OK(kivi_store_increment(s->store, NULL, k, by, KIVI_TTL_NONE, &sum, E));
    return sum;
}

CASE(increment, from_nothing)
{
    if (lacks_increment(s))
        return;
    kivi_slice k = key(s, "k");
    EXPECT_NUMBER(add_to(s, k, 1), 1);
    EXPECT_HOLDS(k, number(s, 1));
    EXPECT_NUMBER(add_to(s, k, 41), 42);
    EXPECT_NUMBER(add_to(s, k, -100), -58);
    EXPECT_NUMBER(add_to(s, k, 0), -58);
    EXPECT_HOLDS(k, number(s, -58));
    OK(kivi_store_increment(s->store, NULL, k, 8, KIVI_TTL_NONE, NULL, E));
    EXPECT_HOLDS(k, number(s, -50));
    EXPECT_NUMBER(add_to(s, key(s, "zero"), 0), 0);
    EXPECT_HOLDS(key(s, "zero"), number(s, 0));
    EXPECT_NUMBER(add_to(s, key(s, "negative"), -7), -7);
    OK(kivi_store_delete(s->store, NULL, k, NULL, E));
    EXPECT_NUMBER(add_to(s, k, 3), 3);
}

/* Every width of an integer, and what crosses from one to the next, beyond what a double holds. */
CASE(increment, widths)
{
    if (lacks_increment(s))
        return;
    kivi_slice k = key(s, "k");
    /* clang-format off */
    static const int64_t edges[] = {
        0, 127, 128, 255, 256, 32767, 65535, 65536, INT32_MAX, UINT32_MAX, INT64_C(1) << 53,
        (INT64_C(1) << 53) + 1, INT64_MAX - 2, -32, -33, -128, -129, -32768, -32769, INT32_MIN,
        (int64_t)INT32_MIN - 1, -(INT64_C(1) << 53) - 1, INT64_MIN + 2};
    /* clang-format on */
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        put(s, k, number(s, edges[i]), KIVI_TTL_NONE);
        EXPECT_NUMBER(add_to(s, k, 1), edges[i] + 1);
        EXPECT_HOLDS(k, number(s, edges[i] + 1));
        EXPECT_NUMBER(add_to(s, k, -2), edges[i] - 1);
        EXPECT_HOLDS(k, number(s, edges[i] - 1));
    }
}

/* An integer need not be written as we would. */
CASE(increment, other_encodings)
{
    if (lacks_increment(s))
        return;
    kivi_slice k = key(s, "k");
    if (strcmp(s->codec, "msgpack") == 0) {
        put(s, k, kivi_bytes("\xd3\0\0\0\0\0\0\0\x05", 9), KIVI_TTL_NONE);
        EXPECT_NUMBER(add_to(s, k, 1), 6);
        put(s, k, kivi_bytes("\xcf\0\0\0\0\0\0\0\x05", 9), KIVI_TTL_NONE);
        EXPECT_NUMBER(add_to(s, k, 1), 6);
        EXPECT_HOLDS(k, number(s, 6));
        put(s, k, kivi_bytes("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9), KIVI_TTL_NONE);
        kivi_status got = kivi_store_increment(s->store, NULL, k, 1, KIVI_TTL_NONE, NULL, NULL);
        EXPECT(got == KIVI_OVERFLOW || got == KIVI_WRONG_TYPE);
    } else {
        put(s, k, kivi_str("5"), KIVI_TTL_NONE);
        EXPECT_NUMBER(add_to(s, k, 1), 6);
        EXPECT_HOLDS(k, kivi_str("6"));
    }
}

/* Each width to each width, and the carries between: the sum and the shortest bytes of it. */
CASE(increment, from_width_to_width)
{
    static const int64_t edges[] = {0,
                                    1,
                                    -1,
                                    127,
                                    128,
                                    -32,
                                    -33,
                                    -128,
                                    -129,
                                    255,
                                    256,
                                    32767,
                                    65535,
                                    65536,
                                    -32768,
                                    -32769,
                                    INT32_MAX,
                                    INT32_MAX + INT64_C(1),
                                    INT32_MIN,
                                    INT32_MIN - INT64_C(1),
                                    UINT32_MAX,
                                    UINT32_MAX + INT64_C(1),
                                    (INT64_C(1) << 53) - 1,
                                    (INT64_C(1) << 53) + 1,
                                    -(INT64_C(1) << 53) - 1,
                                    INT64_MAX,
                                    INT64_MIN};
    const size_t count = sizeof edges / sizeof *edges;
    if (lacks_increment(s))
        return;
    kivi_slice k = key(s, "k");
    for (size_t i = 0; i < count; i++)
        for (size_t j = i % 3; j < count; j += 3) {
            int64_t sum;
            put(s, k, number(s, edges[i]), KIVI_TTL_NONE);
            if (__builtin_sub_overflow(edges[j], edges[i], &sum))
                continue;
            EXPECT_NUMBER(add_to(s, k, sum), edges[j]);
            EXPECT_HOLDS(k, number(s, edges[j]));
        }
}

CASE(increment, overflow)
{
    if (lacks_increment(s))
        return;
    kivi_slice k = key(s, "k");
    put(s, k, number(s, INT64_MAX - 1), KIVI_TTL_NONE);
    EXPECT_NUMBER(add_to(s, k, 1), INT64_MAX);
    ANSWERS(KIVI_OVERFLOW, kivi_store_increment(s->store, NULL, k, 1, KIVI_TTL_NONE, NULL, E));
    ANSWERS(KIVI_OVERFLOW, kivi_store_increment(s->store, NULL, k, INT64_MAX, KIVI_TTL_NONE, NULL, E));
    EXPECT_HOLDS(k, number(s, INT64_MAX));
    EXPECT_NUMBER(add_to(s, k, INT64_MIN), -1);
    EXPECT_NUMBER(add_to(s, k, INT64_MIN + 1), INT64_MIN);
    ANSWERS(KIVI_OVERFLOW, kivi_store_increment(s->store, NULL, k, -1, KIVI_TTL_NONE, NULL, E));
    ANSWERS(KIVI_OVERFLOW, kivi_store_increment(s->store, NULL, k, INT64_MIN, KIVI_TTL_NONE, NULL, E));
    EXPECT_HOLDS(k, number(s, INT64_MIN));
    EXPECT_NUMBER(add_to(s, k, INT64_MAX), -1);
    EXPECT_NUMBER(add_to(s, key(s, "least"), INT64_MIN), INT64_MIN);
    EXPECT_NUMBER(add_to(s, key(s, "most"), INT64_MAX), INT64_MAX);
}

CASE(increment, wrong_type)
{
    if (lacks_increment(s))
        return;
    kivi_slice k = key(s, "k");
    static const kivi_slice msgpack[] = {{"\xc0", 1},
                                         {"\xc3", 1},
                                         {"\xa1"
                                          "5",
                                          2},
                                         {"\xcb\x3f\xf0\0\0\0\0\0\0", 9},
                                         {"\x91\x01", 2},
                                         {"\x80", 1},
                                         {"\xc4\x01"
                                          "5",
                                          3},
                                         {"", 0}};
    static const kivi_slice json[] = {{"null", 4}, {"true", 4}, {"\"5\"", 3}, {"1.5", 3},
                                      {"[1]", 3},  {"{}", 2},   {"1.0", 3},   {"", 0}};
    static const kivi_slice raw[] = {{"five", 4}, {"5 apples", 8}, {"1.5", 3}, {"0x10", 4},
                                     {"--5", 3},  {"\x05", 1},     {"5\0", 2}, {"", 0}};
    const kivi_slice *values = strcmp(s->codec, "msgpack") == 0 ? msgpack
                               : strcmp(s->codec, "json") == 0  ? json
                                                                : raw;
    for (size_t i = 0; i < 8; i++) {
        put(s, k, values[i], KIVI_TTL_NONE);
        ANSWERS(KIVI_WRONG_TYPE, kivi_store_increment(s->store, NULL, k, 1, KIVI_TTL_NONE, NULL, E));
        EXPECT_HOLDS(k, values[i]);
    }
}

/* Its TTL applies only when it creates the key; an expiry that is there stays. */
CASE(increment, ttl)
{
    if (lacks_increment(s) || lacks_ttl(s))
        return;
    kivi_slice k = key(s, "k"), plain = key(s, "plain");
    int64_t left = 0, sum;
    OK(kivi_store_increment(s->store, NULL, k, 1, 600000, &sum, E));
    OK(kivi_store_ttl(s->store, NULL, k, &left, E));
    EXPECT(left > 500000 && left <= 600000 + s->can.ttl_resolution_ms);
    OK(kivi_store_increment(s->store, NULL, k, 1, 6000000, &sum, E));
    EXPECT_NUMBER(sum, 2);
    OK(kivi_store_increment(s->store, NULL, k, 1, KIVI_TTL_NONE, &sum, E));
    OK(kivi_store_increment(s->store, NULL, k, 1, KIVI_TTL_KEEP, &sum, E));
    EXPECT_NUMBER(sum, 4);
    OK(kivi_store_ttl(s->store, NULL, k, &left, E));
    EXPECT_SAYING(left > 500000 && left <= 600000 + s->can.ttl_resolution_ms, "%lld ms left",
                  (long long)left);
    put(s, plain, number(s, 5), KIVI_TTL_NONE);
    OK(kivi_store_increment(s->store, NULL, plain, 1, 1000, &sum, E));
    OK(kivi_store_ttl(s->store, NULL, plain, &left, E));
    EXPECT_NUMBER(left, KIVI_TTL_NONE);
}

/* A rate limiter's window ends; then it counts from 0 again. */
CASE(increment, window)
{
    if (lacks_increment(s) || lacks_ttl(s))
        return;
    kivi_slice k = key(s, "k");
    int64_t ttl = short_ttl(s), sum;
    OK(kivi_store_increment(s->store, NULL, k, 5, ttl, &sum, E));
    OK(kivi_store_increment(s->store, NULL, k, 5, ttl, &sum, E));
    pause_ms(surely_over(s, ttl));
    EXPECT_MISSING(k);
    OK(kivi_store_increment(s->store, NULL, k, 1, 600000, &sum, E));
    EXPECT_NUMBER(sum, 1);
    int64_t left = 0;
    OK(kivi_store_ttl(s->store, NULL, k, &left, E));
    EXPECT(left > 500000);
}

/* ---- threads ---- */

enum { CREW = 16, ROUNDS = 40 };

typedef struct counting {
    kivi_slice key;
    int64_t sums[CREW][ROUNDS];
} counting;

static void count_up(worker *w)
{
    counting *c = w->shared;
    for (size_t i = 0; i < ROUNDS; i++) {
        kivi_error *error = NULL;
        kivi_status status = kivi_store_increment(w->s->store, NULL, c->key, 1, KIVI_TTL_NONE,
                                                  &c->sums[w->index][i], &error);
        if (!answered(w, "increment", status, KIVI_OK, &error))
            return;
    }
}

/* Each value from 1 to the last is seen by exactly one caller, and each caller sees its own grow. */
CASE(increment, concurrently)
{
    if (lacks_increment(s))
        return;
    counting *c = keep(s, sizeof *c);
    c->key = key(s, "k");
    together(s, CREW, count_up, c, NULL);
    bool *seen = keep(s, CREW * ROUNDS + 1);
    for (size_t i = 0; i < CREW; i++) {
        for (size_t j = 0; j < ROUNDS; j++) {
            int64_t sum = c->sums[i][j];
            EXPECT_SAYING(sum >= 1 && sum <= CREW * ROUNDS, "thread %zu got %lld", i, (long long)sum);
            EXPECT_SAYING(!seen[sum], "%lld was given twice", (long long)sum);
            EXPECT_SAYING(j == 0 || sum > c->sums[i][j - 1], "thread %zu got %lld later", i,
                          (long long)sum);
            seen[sum] = true;
        }
    }
    EXPECT_HOLDS(c->key, number(s, CREW * ROUNDS));
}

static void count_odd(worker *w)
{
    kivi_slice *keys = w->shared;
    for (int i = 0; i < ROUNDS; i++) {
        kivi_error *error = NULL;
        int64_t by = (int64_t)w->index - 5;
        if (!answered(w, "increment",
                      kivi_store_increment(w->s->store, NULL, keys[i % 3], by, KIVI_TTL_NONE, NULL, &error),
                      KIVI_OK, &error))
            return;
    }
}

CASE(increment, several_keys)
{
    if (lacks_increment(s))
        return;
    kivi_slice keys[] = {key(s, "a"), key(s, "b"), key(s, "c")};
    together(s, 12, count_odd, keys, NULL);
    /* -5 + -4 + ... + 6 is 6; 40 rounds fall on the keys as 14, 13, 13. */
    EXPECT_HOLDS(keys[0], number(s, 6 * 14));
    EXPECT_HOLDS(keys[1], number(s, 6 * 13));
    EXPECT_HOLDS(keys[2], number(s, 6 * 13));
}

static void count_to_the_brim(worker *w)
{
    kivi_slice *k = w->shared;
    for (int i = 0; i < 5; i++) {
        kivi_status status = kivi_store_increment(w->s->store, NULL, *k, 1, KIVI_TTL_NONE, NULL, NULL);
        if (status != KIVI_OK && status != KIVI_OVERFLOW)
            fault(w, "increment answered %s", kivi_status_name(status));
        w->tally += status == KIVI_OK;
    }
}

/* Of increments that stand together, those that would overflow fail alone. */
CASE(increment, overflow_alone)
{
    if (lacks_increment(s))
        return;
    kivi_slice k = key(s, "k");
    put(s, k, number(s, INT64_MAX - 33), KIVI_TTL_NONE);
    uint64_t done[16], sum = 0;
    together(s, 16, count_to_the_brim, &k, done);
    for (size_t i = 0; i < 16; i++)
        sum += done[i];
    EXPECT_NUMBER(sum, 33);
    EXPECT_HOLDS(k, number(s, INT64_MAX));
}
