/* Prefixes and namespaces: matched by bytes, never by pattern, case, locale or separator; never overlapping. */
#include <stdio.h>

#include "suite.h"

static uint64_t under(subject *s, const char *prefix, size_t size)
{
    kivi_range range = KIVI_RANGE_INIT;
    range.prefix = joined(s, all(s), kivi_bytes(prefix, size));
    harvest found = harvested(s, s->store, &range);
    expect_sound(s, &found, range.prefix);
    EXPECT_NUMBER(counted(s, s->store, range.prefix), found.count);
    return found.count;
}

CASE(prefixes, by_bytes)
{
    if (lacks_scan(s))
        return;
    static const char *const names[] = {"a%c",   "abc",  "a_c", "A%C", "ABC", "a*c", "a?c",
                                        "a[b]c", "a\\c", "a.c", "a^c", "a$c", "a/c", "a:c",
                                        "a c",   "a%%c", "a",   "aa",  "b"};
    enum { COUNT = sizeof names / sizeof *names };
    for (size_t i = 0; i < COUNT; i++)
        put(s, key(s, names[i]), number(s, (int64_t)i), KIVI_TTL_NONE);
    EXPECT_NUMBER(under(s, "", 0), COUNT);
    EXPECT_NUMBER(under(s, "a", 1), COUNT - 3);
    EXPECT_NUMBER(under(s, "A", 1), 2);
    EXPECT_NUMBER(under(s, "a%", 2), 2);
    static const char singles[] = "_*?[\\.^$/: b";
    for (size_t i = 0; i < sizeof singles - 1; i++) {
        char prefix[] = {'a', singles[i]};
        EXPECT_SAYING(under(s, prefix, 2) == 1, "prefix a%c", singles[i]);
    }
    static const char *const nothing[] = {"%",   "_",   "*", "a%b", "a_b", "ab%",
                                          "[a]", "a**", "c", "aaa", ".",   ".*"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++)
        EXPECT_SAYING(under(s, nothing[i], strlen(nothing[i])) == 0, "prefix %s", nothing[i]);
}

CASE(prefixes, letters)
{
    if (lacks_scan(s))
        return;
    /* E with acute composed and decomposed, in both cases; German sharp s; Turkish dotless i. */
    static const char *const names[] = {"\xc3\xa9", "e\xcc\x81", "\xc3\x89", "E\xcc\x81",
                                        "e",        "E",         "\xc3\x9f", "ss",
                                        "\xc4\xb1", "i",         "I",        "\xc3\xa9t\xc3\xa9"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put(s, key(s, names[i]), number(s, (int64_t)i), KIVI_TTL_NONE);
    EXPECT_NUMBER(under(s, "\xc3\xa9", 2), 2);
    EXPECT_NUMBER(under(s, "\xc3\x89", 2), 1);
    EXPECT_NUMBER(under(s, "e", 1), 2);
    EXPECT_NUMBER(under(s, "E", 1), 2);
    EXPECT_NUMBER(under(s, "i", 1), 1);
    EXPECT_NUMBER(under(s, "s", 1), 1);
    /* Half a letter is a prefix like any other. */
    EXPECT_NUMBER(under(s, "\xc3", 1), 4);
    EXPECT_NUMBER(under(s, "\xc4", 1), 1);
}

CASE(prefixes, edges)
{
    if (lacks_scan(s))
        return;
    static const struct {
        const char *bytes;
        size_t size;
    } names[] = {{"p", 1},     {"p\0", 2},      {"p\0\0", 3},        {"p\x01", 2}, {"p\xfe", 2},
                 {"p\xff", 2}, {"p\xff\0", 3},  {"p\xff\xff", 3},    {"q", 1},     {"o\xff\xff", 3},
                 {"\xff", 1},  {"\xff\xff", 2}, {"\xff\xff\xff", 3}, {"\0", 1},    {"\0\0", 2},
                 {"p%", 2},    {"p%2", 3},      {"p%2F", 4},         {"p/", 2},    {"p/.", 3}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put(s, key_bytes(s, names[i].bytes, names[i].size), number(s, (int64_t)i), KIVI_TTL_NONE);
    EXPECT_NUMBER(under(s, "p", 1), 13);
    EXPECT_NUMBER(under(s, "p\0", 2), 2);
    EXPECT_NUMBER(under(s, "p\xff", 2), 3);
    EXPECT_NUMBER(under(s, "p\xff\xff", 3), 1);
    EXPECT_NUMBER(under(s, "\xff", 1), 3);
    EXPECT_NUMBER(under(s, "\xff\xff", 2), 2);
    EXPECT_NUMBER(under(s, "\0", 1), 2);
    EXPECT_NUMBER(under(s, "p%", 2), 3);
    EXPECT_NUMBER(under(s, "p%2", 3), 2);
    EXPECT_NUMBER(under(s, "p/", 2), 2);
    EXPECT_NUMBER(under(s, "p\xff\xff\xff", 4), 0);
    EXPECT_NUMBER(under(s, "p\xfd", 2), 0);
}

/* For every key that is a prefix of others, count agrees with what was written. */
CASE(prefixes, every_byte)
{
    if (lacks_scan(s))
        return;
    for (unsigned i = 0; i < 256; i++) {
        char name[3] = {(char)i, '1', '2'};
        put(s, key_bytes(s, name, 1), text(s, "one"), KIVI_TTL_NONE);
        put(s, key_bytes(s, name, 3), text(s, "three"), KIVI_TTL_NONE);
    }
    for (unsigned i = 0; i < 256; i++) {
        char prefix = (char)i;
        EXPECT_SAYING(under(s, &prefix, 1) == 2, "prefix of the byte %u", i);
    }
    EXPECT_NUMBER(under(s, "", 0), 512);
}

CASE(prefixes, too_long_a_prefix)
{
    if (lacks_scan(s))
        return;
    put(s, key(s, "k"), text(s, "v"), KIVI_TTL_NONE);
    kivi_slice prefix = joined(s, all(s), filled(s, 'x', 5000));
    EXPECT_NUMBER(counted(s, s->store, prefix), 0);
}

/* ---- namespaces ---- */

/* Names of which one is the beginning of the other, or that hold the separator or an escape of it. */
static const char *const spaces[] = {"a", "a:", "a:b", "ab", "a%3A", "a%", "A", "a::", ":a", "b"};
enum { SPACES = sizeof spaces / sizeof *spaces };

static const char *const inside[] = {"x", "b:x", ":x", "b", ":", "%3Ab:x", "::", "a:x"};
enum { INSIDE = sizeof inside / sizeof *inside };

static kivi_store *open_space(subject *s, const char *name)
{
    char whole[128];
    snprintf(whole, sizeof whole, "%s%s", s->prefix, name);
    return reopened(s, "namespace", whole);
}

static void fill_spaces(subject *s, kivi_store **stores)
{
    for (size_t i = 0; i < SPACES; i++)
        for (size_t j = 0; j < INSIDE; j++)
            OK(kivi_store_set(stores[i], NULL, kivi_str(inside[j]),
                              number(s, (int64_t)(100 * i + j)), KIVI_TTL_NONE, E));
}

static void expect_space_whole(subject *s, kivi_store *store, size_t index)
{
    for (size_t j = 0; j < INSIDE; j++) {
        OK(kivi_store_get(store, NULL, kivi_str(inside[j]), &s->value, E));
        EXPECT_BYTES(kivi_buffer_slice(&s->value), number(s, (int64_t)(100 * index + j)));
    }
}

CASE(namespaces, never_overlap)
{
    kivi_store *stores[SPACES];
    for (size_t i = 0; i < SPACES; i++)
        stores[i] = open_space(s, spaces[i]);
    fill_spaces(s, stores);
    for (size_t i = 0; i < SPACES; i++)
        expect_space_whole(s, stores[i], i);
    kivi_health health;
    memset(&health, 0, sizeof health);
    health.struct_size = sizeof health;
    for (size_t i = 0; i < SPACES; i++) {
        OK(kivi_store_health(stores[i], NULL, &health, E));
        bool existed;
        OK(kivi_store_delete(stores[i], NULL, kivi_str("not there"), &existed, E));
        EXPECT(!existed);
    }
    for (size_t i = 0; i < SPACES; i++) {
        for (size_t j = 0; j < INSIDE; j++)
            OK(kivi_store_delete(stores[i], NULL, kivi_str(inside[j]), NULL, E));
        for (size_t k = i + 1; k < SPACES; k++)
            expect_space_whole(s, stores[k], k);
    }
    for (size_t i = 0; i < SPACES; i++)
        kivi_store_unref(stores[i]);
}

CASE(namespaces, scan_and_clear)
{
    if (lacks_scan(s))
        return;
    kivi_store *stores[SPACES];
    for (size_t i = 0; i < SPACES; i++)
        stores[i] = open_space(s, spaces[i]);
    fill_spaces(s, stores);
    kivi_range range = KIVI_RANGE_INIT;
    for (size_t i = 0; i < SPACES; i++) {
        harvest found = harvested(s, stores[i], &range);
        expect_sound(s, &found, range.prefix);
        EXPECT_NUMBER(found.count, INSIDE);
        EXPECT_NUMBER(counted(s, stores[i], kivi_str("")), INSIDE);
        EXPECT_NUMBER(counted(s, stores[i], kivi_str("b")), 2);
        EXPECT_NUMBER(counted(s, stores[i], kivi_str(":")), 3);
    }
    for (size_t i = 0; i < SPACES; i++) {
        uint64_t cleared = 0;
        OK(kivi_store_clear(stores[i], NULL, kivi_str(""), 0, &cleared, E));
        EXPECT_NUMBER(cleared, INSIDE);
        EXPECT_NUMBER(counted(s, stores[i], kivi_str("")), 0);
        for (size_t k = i + 1; k < SPACES; k++)
            expect_space_whole(s, stores[k], k);
    }
    for (size_t i = 0; i < SPACES; i++)
        kivi_store_unref(stores[i]);
}

/* What lies under a namespace is, to a store without one, keys that begin with its name and ':'. */
CASE(namespaces, are_a_prefix)
{
    kivi_store *space = open_space(s, "seen"), *whole = reopened(s, "namespace", "");
    kivi_slice name = joined(s, all(s), kivi_str("seen:k"));
    OK(kivi_store_set(space, NULL, kivi_str("k"), text(s, "v"), KIVI_TTL_NONE, E));
    OK(kivi_store_get(whole, NULL, name, &s->value, E));
    EXPECT_BYTES(kivi_buffer_slice(&s->value), text(s, "v"));
    OK(kivi_store_delete(whole, NULL, name, NULL, E));
    ANSWERS(KIVI_NOT_FOUND, kivi_store_get(space, NULL, kivi_str("k"), &s->value, E));
    kivi_store_unref(space);
    kivi_store_unref(whole);
}

CASE(namespaces, count_in_limits)
{
    kivi_store *space = open_space(s, "limits");
    kivi_capabilities with, without;
    kivi_store *whole = reopened(s, "namespace", "");
    learn_can(s, space, &with);
    learn_can(s, whole, &without);
    size_t taken = all(s).size + strlen("limits:");
    EXPECT_NUMBER(with.max_key_plain, without.max_key_plain - taken);
    kivi_slice value = text(s, "v");
    if (with.max_key_plain < 1u << 20) {
        kivi_slice fits = filled(s, 'n', with.max_key_plain),
                   over = filled(s, 'n', with.max_key_plain + 1);
        OK(kivi_store_set(space, NULL, fits, value, KIVI_TTL_NONE, E));
        kivi_store *plain = s->store;
        s->store = space;
        REFUSED(KIVI_TOO_LARGE, kivi_store_set(s->store, NULL, over, value, KIVI_TTL_NONE, E));
        s->store = plain;
        OK(kivi_store_delete(space, NULL, fits, NULL, E));
    }
    kivi_store_unref(space);
    kivi_store_unref(whole);
}

/* ---- strangers ---- */

/*
 * "%25" is what no key is stored as where escapes exist: alone, '%' stays '%'. Written with escape=off it is
 * a stranger's to everybody else; where nothing is ever escaped it is a key like any other.
 */
CASE(namespaces, strangers)
{
    if (lacks_scan(s))
        return;
    bool escapes = s->can.max_key != s->can.max_key_plain;
    kivi_store *verbatim = reopened(s, "escape", "off");
    kivi_slice odd = key(s, "%25"), plain = key(s, "plain");
    OK(kivi_store_set(verbatim, NULL, odd, text(s, "odd"), KIVI_TTL_NONE, E));
    OK(kivi_store_set(verbatim, NULL, plain, text(s, "plain"), KIVI_TTL_NONE, E));
    EXPECT_HOLDS(plain, text(s, "plain"));
    OK(kivi_store_get(verbatim, NULL, odd, &s->value, E));
    EXPECT_BYTES(kivi_buffer_slice(&s->value), text(s, "odd"));
    EXPECT_NUMBER(counted(s, verbatim, all(s)), 2);

    kivi_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    kivi_range range = KIVI_RANGE_INIT;
    range.prefix = all(s);
    harvest found = harvested(s, s->store, &range);
    OK(kivi_store_stats(s->store, &stats, E));
    EXPECT_NUMBER(found.count, escapes ? 1 : 2);
    EXPECT_NUMBER(stats.strangers, escapes ? 1 : 0);
    OK(kivi_store_delete(verbatim, NULL, odd, NULL, E));
    kivi_store_unref(verbatim);
}

/* Names verbatim: what the store cannot hold is refused, not bent. */
CASE(namespaces, escape_off_refuses)
{
    kivi_store *verbatim = reopened(s, "escape", "off");
    char own[40];
    snprintf(own, sizeof own, "%s-x", reserved_of(s));
    const char *const hard[] = {"\xff", "a//b", "a/../b", "\x01\xfe", own};
    bool refused = false;
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
        /* The last, which a store may keep for itself, only where all keys are the case's. */
        bool alone = i == 4 && s->row->traits & ROW_OWN;
        kivi_slice k = alone ? kivi_str(hard[i]) : key(s, hard[i]);
        kivi_status status = kivi_store_set(verbatim, NULL, k, text(s, "v"), KIVI_TTL_NONE, E);
        EXPECT(status == KIVI_OK || status == KIVI_INVALID);
        if (status == KIVI_OK) {
            OK(kivi_store_get(verbatim, NULL, k, &s->value, E));
            EXPECT_HOLDS(k, text(s, "v"));
            OK(kivi_store_delete(verbatim, NULL, k, NULL, E));
        }
        refused = refused || status == KIVI_INVALID;
    }
    EXPECT(refused == (s->can.max_key != s->can.max_key_plain));
    kivi_store_unref(verbatim);
}
