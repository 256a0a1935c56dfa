/* Clearing and counting: what lies under the prefix, all of it, nothing else. */
#include "suite.h"

static void fill(subject *s, const char *name, size_t count)
{
    kivi_slice *keys = keep(s, count * sizeof *keys), *values = keep(s, count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        keys[i] = key_number(s, name, i);
        values[i] = number(s, (int64_t)i);
    }
    OK(kivi_store_set_many(s->store, NULL, keys, values, count, KIVI_TTL_NONE, NULL, E));
}

CASE(count, by_prefix)
{
    if (lacks_scan(s))
        return;
    EXPECT_NUMBER(counted(s, s->store, all(s)), 0);
    fill(s, "a", 30);
    fill(s, "b", 1100);
    put(s, key(s, "c"), text(s, "v"), KIVI_TTL_NONE);
    EXPECT_NUMBER(counted(s, s->store, all(s)), 1131);
    EXPECT_NUMBER(counted(s, s->store, key(s, "a")), 30);
    EXPECT_NUMBER(counted(s, s->store, key(s, "b")), 1100);
    EXPECT_NUMBER(counted(s, s->store, key(s, "b0000")), 10);
    EXPECT_NUMBER(counted(s, s->store, key(s, "c")), 1);
    EXPECT_NUMBER(counted(s, s->store, key(s, "cc")), 0);
    OK(kivi_store_delete(s->store, NULL, key(s, "c"), NULL, E));
    EXPECT_NUMBER(counted(s, s->store, all(s)), 1130);
    if (s->row->traits & ROW_OWN)
        EXPECT_NUMBER(counted(s, s->store, kivi_bytes(NULL, 0)), 1130);
}

CASE(clear, by_prefix)
{
    if (lacks_scan(s))
        return;
    fill(s, "a", 40);
    fill(s, "aa", 7);
    fill(s, "b", 1100);
    fill(s, "A", 3);
    uint64_t cleared = 99;
    OK(kivi_store_clear(s->store, NULL, key(s, "nothing"), 0, &cleared, E));
    EXPECT_NUMBER(cleared, 0);
    OK(kivi_store_clear(s->store, NULL, key(s, "aa"), 0, &cleared, E));
    EXPECT_NUMBER(cleared, 7);
    EXPECT_NUMBER(counted(s, s->store, all(s)), 1143);
    OK(kivi_store_clear(s->store, NULL, key(s, "a"), 0, &cleared, E));
    EXPECT_NUMBER(cleared, 40);
    EXPECT_NUMBER(counted(s, s->store, all(s)), 1103);
    OK(kivi_store_clear(s->store, NULL, key(s, "b"), 0, &cleared, E));
    EXPECT_NUMBER(cleared, 1100);
    EXPECT_NUMBER(counted(s, s->store, key(s, "A")), 3);
    OK(kivi_store_clear(s->store, NULL, all(s), 0, NULL, E));
    EXPECT_NUMBER(counted(s, s->store, all(s)), 0);
    put(s, key(s, "a"), text(s, "after"), KIVI_TTL_NONE);
    EXPECT_HOLDS(key(s, "a"), text(s, "after"));
}

/* Where the keyspace is shared, the empty prefix must be meant. */
CASE(clear, everything)
{
    if (lacks_scan(s))
        return;
    kivi_slice none = kivi_bytes(NULL, 0);
    if (s->can.shared_keyspace && !strstr(s->url, "namespace=")) {
        put(s, key(s, "stays"), text(s, "v"), KIVI_TTL_NONE);
        REFUSED(KIVI_INVALID, kivi_store_clear(s->store, NULL, none, 0, NULL, E));
        EXPECT_HOLDS(key(s, "stays"), text(s, "v"));
    }
    if (!(s->row->traits & ROW_OWN)) {
        /* In a namespace nothing is shared, and so nothing need be said. */
        kivi_store *space = reopened(s, "namespace", s->prefix);
        OK(kivi_store_set(space, NULL, kivi_str("k"), text(s, "v"), KIVI_TTL_NONE, E));
        uint64_t cleared = 0;
        OK(kivi_store_clear(space, NULL, none, 0, &cleared, E));
        EXPECT_NUMBER(cleared, 1);
        kivi_store_unref(space);
        return;
    }
    fill(s, "a", 1500);
    put(s, kivi_bytes("\0", 1), text(s, "v"), KIVI_TTL_NONE);
    put(s, kivi_bytes("\xff\xff", 2), text(s, "v"), KIVI_TTL_NONE);
    uint64_t cleared = 0;
    OK(kivi_store_clear(s->store, NULL, none, s->can.shared_keyspace ? KIVI_CLEAR_ALL : 0, &cleared, E));
    EXPECT_NUMBER(cleared, 1502);
    EXPECT_NUMBER(counted(s, s->store, none), 0);
    OK(kivi_store_clear(s->store, NULL, none, KIVI_CLEAR_ALL, &cleared, E));
    EXPECT_NUMBER(cleared, 0);
}

/* What expires is cleared with the rest, and leaves nothing behind that would hit a later key. */
CASE(clear, with_expiries)
{
    if (lacks_scan(s) || lacks_ttl(s))
        return;
    for (size_t i = 0; i < 20; i++)
        put(s, key_number(s, "k", i), text(s, "v"), short_ttl(s) * (i % 2 ? 1 : 1000));
    uint64_t cleared = 0;
    OK(kivi_store_clear(s->store, NULL, all(s), 0, &cleared, E));
    EXPECT(cleared <= 20 && cleared >= 10);
    for (size_t i = 0; i < 20; i++)
        put(s, key_number(s, "k", i), text(s, "v"), KIVI_TTL_KEEP);
    pause_ms(surely_over(s, short_ttl(s)));
    for (size_t i = 0; i < 20; i++)
        EXPECT_HOLDS(key_number(s, "k", i), text(s, "v"));
}
