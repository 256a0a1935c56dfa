/* Escaping: examples, and for several stores' rules every short key over bytes that matter there. */
#include <criterion/criterion.h>

#include "core/base/base.h"
#include "core/store/escape.h"

#include <stdio.h>
#include <stdlib.h>

#define LONGEST 5
/* All bytes that go on with a sequence. */
#define TAILS                                                          \
    "\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f" \
    "\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f" \
    "\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf" \
    "\xb0\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xbb\xbc\xbd\xbe\xbf"

typedef struct store {
    const char *name, *table; /* bytes always escaped */
    uint32_t rules;
    const char *reserved;
    const char *alphabet; /* bytes that matter to these rules */
} store;

static const store stores[] = {
    {"none", "", 0, NULL, "a%2F/"},
    {"table", ":%", 0, NULL, "a%:253A"},
    {"blanks", "\x01 ", 0, NULL, "a%\x01 0125"},
    {"digits", "24", 0, NULL, "a%2345F"},
    {"text", "", KIVI_ESCAPE_UTF8, NULL, "a%\xc3\xa9\xe2\x82\xed"},
    {"text of four", "", KIVI_ESCAPE_UTF8, NULL, "a\xf0\xf4\x90\x8f\x80\xff"},
    {"text without some", "\xa9\xe2", KIVI_ESCAPE_UTF8, NULL, "\xc3\xa9\xa8\xe2\x82\xe1"},
    {"text without tails", TAILS, KIVI_ESCAPE_UTF8, NULL, "a%\xc3\xa9\xe1\xf1"},
    {"path", "", KIVI_ESCAPE_PATH, NULL, "a/.%2EF"},
    {"spaces", "", KIVI_ESCAPE_OUTER_SPACE, NULL, "a %20"},
    {"end space", "", KIVI_ESCAPE_TRAILING_SPACE, NULL, "a %20"},
    {"reserved", "", 0, "!b!", "a!b%21"},
    {"reserved percent", "", 0, "%2z", "a%2z5"},
    {"reserved text", "", KIVI_ESCAPE_UTF8 | KIVI_ESCAPE_TRAILING_SPACE, "\xc3\xa9 ", "a\xc3\xa9 %"},
    {"reserved byte", "", KIVI_ESCAPE_UTF8, "\xe2", "a\xe2\x82\xc3%"},
    {"consul", "", KIVI_ESCAPE_UTF8 | KIVI_ESCAPE_PATH | KIVI_ESCAPE_OUTER_SPACE, "./", "/. \xc3\xa9%2"},
    {"cosmos", "/\\?#", KIVI_ESCAPE_UTF8 | KIVI_ESCAPE_TRAILING_SPACE, NULL, "/ %2F?\xc3\xa9"},
};
#define STORES (sizeof(stores) / sizeof(stores[0]))

static kivi_escape escape_of(const store *of)
{
    kivi_escape escape = {
        .struct_size = sizeof(escape), .rules = of->rules, .reserved_prefix = of->reserved};
    for (const char *at = of->table; *at; at++)
        escape.bytes[(uint8_t)*at / 8] |= (uint8_t)(1 << (uint8_t)*at % 8);
    return escape;
}

static const char *show(kivi_slice bytes)
{
    static char places[4][8 * LONGEST * 3];
    static unsigned next;
    char *place = places[next++ % 4];
    const uint8_t *at = bytes.data;
    place[0] = '\0';
    for (size_t i = 0; i < bytes.size && i < LONGEST * 3; i++)
        sprintf(place + strlen(place), at[i] > 0x20 && at[i] < 0x7f ? "%c" : "\\x%02x", at[i]);
    return place;
}

static bool equal(kivi_slice a, kivi_slice b)
{
    return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

/* ---- Going through all keys ---- */

typedef struct walk {
    const store *of;
    kivi_escape escape;
    uint8_t key[LONGEST];
    kivi_buffer stored, back;
    kivi_buffer common; /* of all continuations so far */
    bool first;
} walk;

typedef void visit_fn(walk *at, kivi_slice key);

/* Calls for `key` and every continuation of it by up to `more` bytes of the alphabet. */
static void visit_all(walk *at, size_t size, size_t more, visit_fn *visit)
{
    if (size)
        visit(at, kivi_bytes(at->key, size));
    for (const char *next = at->of->alphabet; more && size < LONGEST && *next; next++) {
        at->key[size] = (uint8_t)*next;
        visit_all(at, size + 1, more - 1, visit);
    }
}

static void for_all_stores(size_t longest, visit_fn *visit)
{
    for (size_t i = 0; i < STORES; i++) {
        walk at = {.of = &stores[i], .escape = escape_of(&stores[i])};
        visit_all(&at, 0, longest, visit);
        kivi_buffer_free(&at.stored);
        kivi_buffer_free(&at.back);
        kivi_buffer_free(&at.common);
    }
}

/* ---- What a store can hold, told by its rules one by one ---- */

static bool is_segment_of_dots(kivi_slice stored)
{
    const char *at = stored.data, *end = at + stored.size;
    while (at <= end) {
        const char *slash = at < end ? memchr(at, '/', (size_t)(end - at)) : NULL;
        size_t size = (size_t)((slash ? slash : end) - at);
        if ((size == 1 && at[0] == '.') || (size == 2 && at[0] == '.' && at[1] == '.'))
            return true;
        if (!slash)
            return false;
        at = slash + 1;
    }
    return false;
}

static bool can_hold(const store *of, kivi_slice stored)
{
    const char *bytes = stored.data;
    for (size_t i = 0; i < stored.size; i++)
        if (!strchr("%0123456789ABCDEF", bytes[i]) && strchr(of->table, bytes[i])) /* escapes are made of those */
            return false;
    if (of->rules & KIVI_ESCAPE_UTF8 && !kvi_utf8_is_valid(stored))
        return false;
    if (of->rules & KIVI_ESCAPE_PATH &&
        (bytes[0] == '/' || memmem(bytes, stored.size, "//", 2) || is_segment_of_dots(stored)))
        return false;
    if (of->rules & KIVI_ESCAPE_OUTER_SPACE && (bytes[0] == ' ' || bytes[stored.size - 1] == ' '))
        return false;
    if (of->rules & KIVI_ESCAPE_TRAILING_SPACE && bytes[stored.size - 1] == ' ')
        return false;
    return !of->reserved || stored.size < strlen(of->reserved) ||
           memcmp(bytes, of->reserved, strlen(of->reserved)) != 0;
}

/* ---- Properties ---- */

static void encode_fresh(walk *at, kivi_slice key)
{
    at->stored.size = 0;
    cr_assert_eq(kvi_escape_encode(&at->escape, key, &at->stored), KIVI_OK);
}

static void check_there_and_back(walk *at, kivi_slice key)
{
    encode_fresh(at, key);
    kivi_slice stored = kivi_buffer_slice(&at->stored);
    if (!can_hold(at->of, stored))
        cr_assert_fail("%s: %s is stored as %s", at->of->name, show(key), show(stored));
    kivi_status status = kvi_escape_decode(&at->escape, stored, &at->back);
    if (status || !equal(kivi_buffer_slice(&at->back), key))
        cr_assert_fail("%s: %s is stored as %s, read as %s (%d)", at->of->name, show(key),
                       show(stored), show(kivi_buffer_slice(&at->back)), status);
    if (stored.size > key.size * kvi_escape_factor(&at->escape))
        cr_assert_fail("%s: %s is longer than said", at->of->name, show(key));
}

/* Every key comes back from its stored form, so that no two share one; and the store can hold that. */
Test(escape, every_short_key_comes_back)
{
    for_all_stores(LONGEST, check_there_and_back);
}

static void check_name(walk *at, kivi_slice stored)
{
    kivi_status status = kvi_escape_decode(&at->escape, stored, &at->back);
    if (status == KIVI_CORRUPT) {
        cr_assert_eq(at->back.size, 0);
        return;
    }
    cr_assert_eq(status, KIVI_OK);
    encode_fresh(at, kivi_buffer_slice(&at->back));
    if (!equal(kivi_buffer_slice(&at->stored), stored))
        cr_assert_fail("%s: the stranger %s is read as %s", at->of->name, show(stored),
                       show(kivi_buffer_slice(&at->back)));
}

Test(escape, every_short_name_is_an_encoding_or_a_stranger)
{
    for_all_stores(LONGEST, check_name);
}

static void check_unneeded(walk *at, kivi_slice key)
{
    if (!can_hold(at->of, key) || memchr(key.data, '%', key.size))
        return;
    for (size_t i = 0; i < key.size; i++)
        if (strchr(at->of->table, at->key[i]))
            return;
    encode_fresh(at, key);
    if (!equal(kivi_buffer_slice(&at->stored), key))
        cr_assert_fail("%s: %s is changed to %s", at->of->name, show(key),
                       show(kivi_buffer_slice(&at->stored)));
}

Test(escape, keys_that_fit_are_stored_as_they_are)
{
    for_all_stores(LONGEST, check_unneeded);
}

static void narrow_common(walk *at, kivi_slice key)
{
    encode_fresh(at, key);
    if (at->first) {
        cr_assert_eq(kivi_buffer_assign(&at->common, kivi_buffer_slice(&at->stored)), KIVI_OK);
        at->first = false;
        return;
    }
    size_t same = 0;
    while (same < at->common.size && same < at->stored.size &&
           at->common.data[same] == at->stored.data[same])
        same++;
    at->common.size = same;
}

static void check_prefix(walk *at, kivi_slice prefix)
{
    uint8_t kept[LONGEST];
    memcpy(kept, prefix.data, prefix.size);
    at->first = true;
    visit_all(at, prefix.size, 3, narrow_common);
    at->back.size = 0;
    cr_assert_eq(kvi_escape_prefix(&at->escape, kivi_bytes(kept, prefix.size), &at->back), KIVI_OK);
    if (!equal(kivi_buffer_slice(&at->back), kivi_buffer_slice(&at->common)))
        cr_assert_fail("%s: keys under %s share %s, not %s", at->of->name,
                       show(kivi_bytes(kept, prefix.size)), show(kivi_buffer_slice(&at->common)),
                       show(kivi_buffer_slice(&at->back)));
}

/* What all continuations share, no more and no less. */
Test(escape, prefix_is_the_longest_of_all_continuations)
{
    for_all_stores(2, check_prefix);
}

/* ---- Examples ---- */

static void expect_stored(const store *of, kivi_slice key, const char *wanted)
{
    kivi_escape escape = escape_of(of);
    kivi_buffer stored = KIVI_BUFFER_INIT;
    cr_assert_eq(kvi_escape_encode(&escape, key, &stored), KIVI_OK);
    cr_expect(equal(kivi_buffer_slice(&stored), kivi_str(wanted)), "%s: %s is stored as %s, not %s",
              of->name, show(key), show(kivi_buffer_slice(&stored)), wanted);
    kivi_buffer_free(&stored);
}

Test(escape, examples)
{
    static const store path = {"path", "", KIVI_ESCAPE_PATH, NULL, ""};
    static const store text = {"text", "", KIVI_ESCAPE_UTF8, NULL, ""};
    static const store space = {"space", "", KIVI_ESCAPE_OUTER_SPACE, NULL, ""};
    static const store badger = {"badger", "", 0, "!badger!", ""};
    static const store colon = {"colon", ":", 0, NULL, ""};
    expect_stored(&path, kivi_str("/a//b/../c/./...x"), "%2Fa/%2Fb/%2E%2E/c/%2E/...x");
    expect_stored(&path, kivi_str("a%2Fb%2fc%41"), "a%252Fb%2fc%41");
    expect_stored(&path, kivi_str("100%"), "100%");
    expect_stored(&path, kivi_str("%25"), "%2525");
    expect_stored(&text, kivi_str("gr\xc3\xbc\xc3\x9f\xff"), "gr\xc3\xbc\xc3\x9f%FF");
    expect_stored(&text, kivi_str("\xe2\x82"), "%E2%82");
    expect_stored(&text, kivi_str("\xf0\x80\x80\x41"), "%F0%80%80A");
    expect_stored(&space, kivi_str("  a  "), "%20 a %20");
    expect_stored(&space, kivi_str(" "), "%20");
    expect_stored(&badger, kivi_str("!badger!x"), "%21badger!x");
    expect_stored(&badger, kivi_str("!badger"), "!badger");
    expect_stored(&badger, kivi_str("x!badger!"), "x!badger!");
    expect_stored(&badger, kivi_str("%21badger!"), "%2521badger!");
    expect_stored(&colon, kivi_str("a:b%3A"), "a%3Ab%253A");
}

static void expect_stranger(const store *of, const char *name)
{
    kivi_escape escape = escape_of(of);
    kivi_buffer key = KIVI_BUFFER_INIT;
    cr_expect_eq(kvi_escape_decode(&escape, kivi_str(name), &key), KIVI_CORRUPT, "%s: %s", of->name, name);
    kivi_buffer_free(&key);
}

Test(escape, strangers)
{
    static const store path = {"path", "", KIVI_ESCAPE_PATH, NULL, ""};
    static const store colon = {"colon", ":", 0, NULL, ""};
    expect_stranger(&path, "a%2Fb"); /* that '/' needs no escape */
    expect_stranger(&path, "/a");
    expect_stranger(&path, "%25");
    expect_stranger(&colon, "a:b");
    expect_stranger(&colon, "a%2541");
}

Test(escape, nul_bytes_are_bytes_like_others)
{
    kivi_escape escape = {.struct_size = sizeof(escape), .bytes = {1}};
    kivi_buffer stored = KIVI_BUFFER_INIT, key = KIVI_BUFFER_INIT;
    cr_assert_eq(kvi_escape_encode(&escape, kivi_bytes("a\0%00", 5), &stored), KIVI_OK);
    cr_expect(equal(kivi_buffer_slice(&stored), kivi_str("a%00%2500")));
    cr_assert_eq(kvi_escape_decode(&escape, kivi_buffer_slice(&stored), &key), KIVI_OK);
    cr_expect(equal(kivi_buffer_slice(&key), kivi_bytes("a\0%00", 5)));
    kivi_buffer_free(&stored);
    kivi_buffer_free(&key);
}

Test(escape, encoding_goes_behind_what_is_there)
{
    kivi_escape escape = {.struct_size = sizeof(escape), .rules = KIVI_ESCAPE_PATH};
    kivi_buffer out = KIVI_BUFFER_INIT;
    cr_assert_eq(kivi_buffer_assign(&out, kivi_str("space:")), KIVI_OK);
    cr_assert_eq(kvi_escape_encode(&escape, kivi_str("/a"), &out), KIVI_OK);
    cr_expect(equal(kivi_buffer_slice(&out), kivi_str("space:%2Fa")));
    cr_assert_eq(kivi_buffer_assign(&out, kivi_str("space:")), KIVI_OK);
    cr_assert_eq(kvi_escape_prefix(&escape, kivi_str("/a/.."), &out), KIVI_OK);
    cr_expect(equal(kivi_buffer_slice(&out), kivi_str("space:%2Fa/")));
    kivi_buffer_free(&out);
}

/* The empty end of a prefix, in memory that is yet to be had. */
Test(escape, nothing_is_encoded_as_nothing)
{
    kivi_escape escape = {.struct_size = sizeof(escape), .rules = KIVI_ESCAPE_PATH};
    kivi_buffer out = KIVI_BUFFER_INIT;
    cr_assert_eq(kvi_escape_encode(&escape, kivi_bytes(NULL, 0), &out), KIVI_OK);
    cr_assert_eq(out.size, 0);
    kivi_buffer_free(&out);
}

Test(escape, says_what_it_changes)
{
    for (size_t i = 0; i < STORES; i++) {
        kivi_escape escape = escape_of(&stores[i]);
        bool trivial = i == 0;
        cr_expect_eq(kvi_escape_is_trivial(&escape), trivial, "%s", stores[i].name);
        cr_expect_eq(kvi_escape_keeps_order(&escape), trivial, "%s", stores[i].name);
        cr_expect_eq(kvi_escape_factor(&escape), trivial ? 1 : 3, "%s", stores[i].name);
    }
}
