/* Keys: any bytes, limits, escapes that only look like escapes. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "suite.h"

/* A key that begins with these very bytes; where others share the keyspace it goes on with the case's prefix. */
static kivi_slice bare_key(subject *s, const void *data, size_t size)
{
    kivi_slice bytes = kivi_bytes(data, size);
    if (s->row->traits & ROW_OWN)
        return joined(s, bytes, kivi_bytes(NULL, 0));
    return remember(s, joined(s, bytes, all(s)));
}

static void expect_found_by_scan(subject *s, const kivi_slice *keys, size_t count, kivi_slice prefix)
{
    if (s->can.scan == KIVI_ABSENT)
        return;
    kivi_range range = KIVI_RANGE_INIT;
    range.prefix = prefix;
    harvest found = harvested(s, s->store, &range);
    expect_sound(s, &found, prefix);
    for (size_t i = 0; i < count; i++)
        EXPECT_SAYING(harvest_find(&found, keys[i]) != NULL, "%s is not in the scan", shown(s, keys[i]));
    if (prefix.size || s->row->traits & ROW_OWN)
        EXPECT_NUMBER(found.count, count);
}

/* Each key gets a value of its own, so that two that were merged are noticed. */
static void write_and_read_all(subject *s, const kivi_slice *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(s, keys[i], number(s, (int64_t)i), KIVI_TTL_NONE);
    for (size_t i = 0; i < count; i++)
        EXPECT_HOLDS(keys[i], number(s, (int64_t)i));
}

static void delete_all(subject *s, const kivi_slice *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool existed = false;
        OK(kivi_store_delete(s->store, NULL, keys[i], &existed, E));
        EXPECT_SAYING(existed, "%s was gone before it was deleted", shown(s, keys[i]));
    }
    for (size_t i = 0; i < count; i++)
        EXPECT_MISSING(keys[i]);
}

CASE(keys, every_byte_alone)
{
    kivi_slice keys[256];
    for (unsigned i = 0; i < 256; i++) {
        unsigned char byte = (unsigned char)i;
        keys[i] = bare_key(s, &byte, 1);
    }
    write_and_read_all(s, keys, 256);
    if (s->row->traits & ROW_OWN)
        expect_found_by_scan(s, keys, 256, kivi_bytes(NULL, 0));
    delete_all(s, keys, 256);
}

CASE(keys, every_byte_inside)
{
    kivi_slice keys[3 * 256];
    for (unsigned i = 0; i < 256; i++) {
        unsigned char middle[] = {'x', (unsigned char)i, 'y'}, end[] = {'x', (unsigned char)i},
                      twice[] = {(unsigned char)i, (unsigned char)i};
        keys[3 * i] = key_bytes(s, middle, 3);
        keys[3 * i + 1] = key_bytes(s, end, 2);
        keys[3 * i + 2] = key_bytes(s, twice, 2);
    }
    /* "xx" is both an end and a pair. */
    keys[3 * 'x' + 2] = key(s, "another");
    write_and_read_all(s, keys, 3 * 256);
    expect_found_by_scan(s, keys, 3 * 256, all(s));
    delete_all(s, keys, 3 * 256);
}

CASE(keys, any_bytes)
{
    enum { COUNT = 300 };
    kivi_slice keys[COUNT];
    unsigned seed = 20;
    for (size_t i = 0; i < COUNT; i++) {
        unsigned char bytes[64];
        size_t size = 4 + (size_t)rand_r(&seed) % 40;
        for (size_t j = 0; j < size; j++)
            bytes[j] = (unsigned char)(rand_r(&seed) >> 8);
        /* They must differ. */
        bytes[size++] = (unsigned char)(i >> 8);
        bytes[size++] = (unsigned char)i;
        keys[i] = key_bytes(s, bytes, size);
    }
    write_and_read_all(s, keys, COUNT);
    expect_found_by_scan(s, keys, COUNT, all(s));
    delete_all(s, keys, COUNT);
}

/* Names that a store's escaping, a path, a pattern, a text column or a reserved name could confuse. */
/* clang-format off */
static const char *const odd_names[] = {
    "%", "%%", "%2", "%2F", "%2f", "%25", "%252F", "%25252F", "%41", "%00", "%FF", "%ff",
    "%C3%A9", "%C3", "%GG", "/", "//", "///", "/a", "a/", "a//b", ".", "..", "...",
    "a/.", "a/..", "a/./b", "a/../b", "./a", "../a", " ", "  ", " a", "a ", " a ", "\t",
    "a\n", "\r\n", "a:b", ":", "::", "a:", ":a", "A", "a", "B", "b", "e",
    "E", "\xc3\xa9", "e\xcc\x81", "\xc3\x89", "\xe9", "\xff", "\xfe\xff", "\xc3",
    "\xc3\xc3\xa9", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x9f\x98\x80", "\x7f",
    "\xef\xbb\xbf", "\xe2\x80\xae", "kivi", "kivia", "kiviz", "!badger!", "!badger!x",
    "*", "?", "[a]", "\\", "\\x41", "a_b", "aXb", "a%b", "'", "\"", "`", ";", "--",
    "$where", "_id", "#", "a#b", "?a=b", "a&b", "+", "a+b", "{a}",
};
/* clang-format on */

CASE(keys, odd_names)
{
    enum { COUNT = sizeof odd_names / sizeof *odd_names };
    kivi_slice keys[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        keys[i] = key(s, odd_names[i]);
    write_and_read_all(s, keys, COUNT);
    expect_found_by_scan(s, keys, COUNT, all(s));
    delete_all(s, keys, COUNT);
}

CASE(keys, odd_names_alone)
{
    enum { COUNT = sizeof odd_names / sizeof *odd_names, ALL = COUNT + 3 };
    kivi_slice keys[ALL];
    for (size_t i = 0; i < COUNT; i++)
        keys[i] = bare_key(s, odd_names[i], strlen(odd_names[i]));
    keys[COUNT] = bare_key(s, "kivi\0", 5);
    keys[COUNT + 1] = bare_key(s, "kivi\0\0", 6);
    keys[COUNT + 2] = bare_key(s, "kivi\0a", 6);
    write_and_read_all(s, keys, ALL);
    if (s->row->traits & ROW_OWN)
        expect_found_by_scan(s, keys, ALL, kivi_bytes(NULL, 0));
    delete_all(s, keys, ALL);
}

/* Names that begin as the store's own do, or nearly so, and what their escapes look like. */
CASE(keys, reserved_names)
{
    const char *reserved = reserved_of(s);
    size_t size = strlen(reserved);
    char escaped[40];
    snprintf(escaped, sizeof escaped, "%%%02X%s", (unsigned char)reserved[0], reserved + 1);
    kivi_slice whole = kivi_bytes(reserved, size);
    kivi_slice keys[] = {bare_key(s, reserved, size),
                         bare_key(s, reserved, size - 1),
                         bare_key(s, escaped, strlen(escaped)),
                         bare_key(s, joined(s, whole, kivi_str("x")).data, size + 1),
                         bare_key(s, joined(s, whole, kivi_bytes("", 1)).data, size + 1),
                         bare_key(s, joined(s, whole, whole).data, 2 * size)};
    enum { COUNT = sizeof keys / sizeof *keys };
    write_and_read_all(s, keys, COUNT);
    if (s->row->traits & ROW_OWN) {
        expect_found_by_scan(s, keys, COUNT, kivi_bytes(NULL, 0));
        if (s->can.scan != KIVI_ABSENT)
            EXPECT_NUMBER(counted(s, s->store, whole), 4);
    }
    delete_all(s, keys, COUNT);
}

CASE(keys, empty)
{
    kivi_slice none = kivi_bytes(NULL, 0), value = text(s, "v");
    bool there;
    int64_t left;
    REFUSED(KIVI_INVALID, kivi_store_get(s->store, NULL, none, &s->value, E));
    REFUSED(KIVI_INVALID, kivi_store_exists(s->store, NULL, none, &there, E));
    REFUSED(KIVI_INVALID, kivi_store_set(s->store, NULL, none, value, KIVI_TTL_NONE, E));
    REFUSED(KIVI_INVALID, kivi_store_add(s->store, NULL, none, value, KIVI_TTL_NONE, E));
    REFUSED(KIVI_INVALID, kivi_store_replace(s->store, NULL, none, value, KIVI_TTL_NONE, E));
    REFUSED(KIVI_INVALID, kivi_store_delete(s->store, NULL, none, NULL, E));
    REFUSED(KIVI_INVALID,
            kivi_store_compare_and_set(s->store, NULL, none, value, value, KIVI_TTL_NONE, E));
    REFUSED(KIVI_INVALID, kivi_store_compare_and_delete(s->store, NULL, none, value, E));
    REFUSED(KIVI_INVALID, kivi_store_increment(s->store, NULL, none, 1, KIVI_TTL_NONE, NULL, E));
    REFUSED(KIVI_INVALID, kivi_store_take(s->store, NULL, none, &s->value, E));
    REFUSED(KIVI_INVALID, kivi_store_ttl(s->store, NULL, none, &left, E));
    REFUSED(KIVI_INVALID, kivi_store_expire(s->store, NULL, none, 1000, E));
    REFUSED(KIVI_INVALID, kivi_store_persist(s->store, NULL, none, E));
    REFUSED(KIVI_INVALID, kivi_store_get_and_expire(s->store, NULL, none, 1000, &s->value, E));
}

/* ---- limits ---- */

/* A key of `size` bytes under the case's prefix, of one byte again and again. */
static kivi_slice long_key(subject *s, int byte, size_t size)
{
    kivi_slice rest = filled(s, byte, size - all(s).size);
    return key_bytes(s, rest.data, rest.size);
}

CASE(keys, longest)
{
    static const unsigned char bytes[] = {'a', 0, 0xff, '%', '/', ' ', '.', 0x80, ':', 0xc3};
    EXPECT(s->can.max_key >= 64);
    EXPECT(s->can.max_key_plain >= s->can.max_key);
    size_t size = s->can.max_key < 1u << 20 ? (size_t)s->can.max_key : 1u << 20;
    for (size_t i = 0; i < sizeof bytes; i++) {
        kivi_slice longest = long_key(s, bytes[i], size), shorter = long_key(s, bytes[i], size - 1);
        put(s, longest, text(s, "longest"), KIVI_TTL_NONE);
        put(s, shorter, text(s, "shorter"), KIVI_TTL_NONE);
        EXPECT_HOLDS(longest, text(s, "longest"));
        EXPECT_HOLDS(shorter, text(s, "shorter"));
    }
}

CASE(keys, longest_plain)
{
    size_t size = (size_t)s->can.max_key_plain;
    if (size > 1u << 26)
        size = 1u << 20;
    kivi_slice longest = long_key(s, 'p', size);
    put(s, longest, text(s, "plain"), KIVI_TTL_NONE);
    EXPECT_HOLDS(longest, text(s, "plain"));
    OK(kivi_store_delete(s->store, NULL, longest, NULL, E));
    EXPECT_MISSING(longest);
}

/* A slice of a size that nothing is read of: memory that faults when touched. */
static kivi_slice untouchable(subject *s, uint64_t size)
{
    void *memory = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert(memory != MAP_FAILED, "%s: cannot reserve %llu bytes of address space", s->row->name,
              (unsigned long long)size);
    return kivi_bytes(memory, size);
}

CASE(keys, too_long)
{
    kivi_slice value = text(s, "v");
    uint64_t size = s->can.max_key_plain + 1;
    EXPECT(size > 1);
    bool own_memory = size <= 1u << 26;
    kivi_slice over = own_memory ? long_key(s, 'p', size) : untouchable(s, size);
    REFUSED(KIVI_TOO_LARGE, kivi_store_set(s->store, NULL, over, value, KIVI_TTL_NONE, E));
    REFUSED(KIVI_TOO_LARGE, kivi_store_get(s->store, NULL, over, &s->value, E));
    REFUSED(KIVI_TOO_LARGE, kivi_store_delete(s->store, NULL, over, NULL, E));
    kivi_slice pair[] = {key(s, "fine"), over}, values[] = {value, value};
    kivi_result *result = NULL;
    REFUSED(KIVI_TOO_LARGE,
            kivi_store_set_many(s->store, NULL, pair, values, 2, KIVI_TTL_NONE, &result, E));
    REFUSED(KIVI_TOO_LARGE, kivi_store_get_many(s->store, NULL, pair, 2, &result, E));
    EXPECT(result == NULL);
    EXPECT_MISSING(pair[0]);
    if (!own_memory)
        munmap((void *)over.data, over.size);
}

/* Where bytes must be escaped, a key of max_key_plain bytes of them does not fit. */
CASE(keys, limits_count_escapes)
{
    size_t size = s->can.max_key_plain < 1u << 20 ? (size_t)s->can.max_key_plain : 1u << 20;
    kivi_slice odd[] = {long_key(s, 0xff, size), long_key(s, '/', size),
                        bare_key(s, reserved_of(s), strlen(reserved_of(s))), long_key(s, ' ', size)};
    odd[2] = joined(s, odd[2], filled(s, 'x', size - odd[2].size));
    size_t refused = 0;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        kivi_status got = kivi_store_set(s->store, NULL, odd[i], text(s, "v"), KIVI_TTL_NONE, E);
        EXPECT(got == KIVI_OK || got == KIVI_TOO_LARGE);
        refused += got == KIVI_TOO_LARGE;
        if (got == KIVI_OK)
            OK(kivi_store_delete(s->store, NULL, odd[i], NULL, E));
    }
    EXPECT((refused > 0) == (s->can.max_key != s->can.max_key_plain));
}

CASE(keys, portable)
{
    kivi_store *plain = s->store;
    kivi_store *portable = reopened(s, "portable", "true");
    s->store = portable;
    kivi_capabilities can;
    learn_can(s, portable, &can);
    /* A namespace is counted as well. */
    size_t most = (size_t)can.max_key_plain;
    EXPECT(strstr(s->url, "namespace=") ? most < 200 && most > 150 : most == 200);
    size_t large = s->can.max_value < 256 * 1024 ? (size_t)s->can.max_value : 256 * 1024;
    EXPECT_NUMBER(can.max_value, large);
    kivi_slice fits = long_key(s, 'a', most), over = long_key(s, 'a', most + 1), value = text(s, "v");
    /* Every byte outside A-Z a-z 0-9 - . _ : / counts as three. */
    kivi_slice wide = joined(s, long_key(s, 'a', most - 3), kivi_str(" "));
    kivi_slice wider = joined(s, long_key(s, 'a', most - 2), kivi_str(" "));
    put(s, fits, value, KIVI_TTL_NONE);
    put(s, wide, value, KIVI_TTL_NONE);
    EXPECT_HOLDS(fits, value);
    EXPECT_HOLDS(wide, value);
    REFUSED(KIVI_TOO_LARGE, kivi_store_set(s->store, NULL, over, value, KIVI_TTL_NONE, E));
    REFUSED(KIVI_TOO_LARGE, kivi_store_set(s->store, NULL, wider, value, KIVI_TTL_NONE, E));
    kivi_slice big = filled(s, 'v', large), bigger = filled(s, 'v', large + 1);
    put(s, key(s, "big"), big, KIVI_TTL_NONE);
    EXPECT_HOLDS(key(s, "big"), big);
    REFUSED(KIVI_TOO_LARGE, kivi_store_set(s->store, NULL, key(s, "bigger"), bigger, KIVI_TTL_NONE, E));
    /* The bytes of the key count, not how this store escapes them. */
    size_t threes = (most - all(s).size) / 3;
    kivi_slice odd = long_key(s, 0xff, all(s).size + threes);
    kivi_slice odder = long_key(s, 0xff, all(s).size + threes + 1);
    put(s, odd, value, KIVI_TTL_NONE);
    EXPECT_HOLDS(odd, value);
    REFUSED(KIVI_TOO_LARGE, kivi_store_set(s->store, NULL, odder, value, KIVI_TTL_NONE, E));
    OK(kivi_store_delete(s->store, NULL, odd, NULL, E));
    OK(kivi_store_delete(s->store, NULL, key(s, "big"), NULL, E));
    OK(kivi_store_delete(s->store, NULL, fits, NULL, E));
    OK(kivi_store_delete(s->store, NULL, wide, NULL, E));
    kivi_store_unref(portable);
    s->store = plain;
}
