/* Scans: order, pages, cursors that outlive their handle, what is delivered while others write. */
#include <stdlib.h>

#include "suite.h"

enum { COUNT = 57 };

static kivi_range under(kivi_slice prefix, uint64_t limit)
{
    kivi_range range = KIVI_RANGE_INIT;
    range.prefix = prefix;
    range.limit = limit;
    return range;
}

/* Keys of several lengths in no order, each with a value of its own. */
static kivi_slice *filled_store(subject *s)
{
    kivi_slice *keys = keep(s, COUNT * sizeof *keys);
    for (size_t i = 0; i < COUNT; i++) {
        size_t place = i * 23 % COUNT;
        unsigned char tail[] = {(unsigned char)(place * 5), 'x', (unsigned char)(255 - place), 0xff};
        keys[place] = joined(s, key_number(s, "k", place / 4), kivi_bytes(tail, 1 + place % 4));
        put(s, keys[place], number(s, (int64_t)place), KIVI_TTL_NONE);
    }
    put(s, key(s, "j"), text(s, "before"), KIVI_TTL_NONE);
    put(s, key(s, "l"), text(s, "behind"), KIVI_TTL_NONE);
    return keys;
}

static void expect_all(subject *s, const harvest *found, const kivi_slice *keys, bool values)
{
    for (size_t i = 0; i < COUNT; i++) {
        const kivi_pair *pair = harvest_find(found, keys[i]);
        EXPECT_SAYING(pair != NULL, "%s is missing", shown(s, keys[i]));
        EXPECT_BYTES(pair->value, values ? number(s, (int64_t)i) : kivi_bytes(NULL, 0));
        EXPECT_NUMBER(pair->ttl_ms, KIVI_TTL_NONE);
    }
}

CASE(scan, in_pages_of_any_limit)
{
    if (lacks_scan(s))
        return;
    kivi_slice *keys = filled_store(s);
    static const uint64_t limits[] = {1, 2, 3, 7, COUNT - 1, COUNT, COUNT + 1, 1000, 0};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        kivi_range range = under(key(s, "k"), limits[i]);
        harvest found = harvested(s, s->store, &range);
        expect_sound(s, &found, range.prefix);
        expect_all(s, &found, keys, true);
        if (s->can.scan_once)
            EXPECT_NUMBER(found.count, COUNT);
        if (limits[i])
            EXPECT(found.pages >= (COUNT + limits[i] - 1) / limits[i]);
        range.flags = KIVI_SCAN_KEYS;
        found = harvested(s, s->store, &range);
        expect_sound(s, &found, range.prefix);
        expect_all(s, &found, keys, false);
    }
}

/* A cursor has room for the longest key that the store takes. */
CASE(scan, longest_keys_at_the_ends_of_pages)
{
    if (lacks_scan(s))
        return;
    enum { LONG = 6 };
    uint64_t room = s->can.max_key - key(s, "e").size;
    size_t size = room < 1u << 20 ? (size_t)room : 1u << 20;
    kivi_slice keys[LONG];
    for (size_t i = 0; i < LONG; i++) {
        kivi_slice middle = joined(s, key(s, "e"), filled(s, 'x', size - 1));
        keys[i] = joined(s, middle, filled(s, 'a' + (int)i, 1));
        put(s, keys[i], number(s, (int64_t)i), KIVI_TTL_NONE);
    }
    for (uint64_t limit = 1; limit <= 2; limit++) {
        kivi_range range = under(key(s, "e"), limit);
        harvest found = harvested(s, s->store, &range);
        expect_sound(s, &found, range.prefix);
        for (size_t i = 0; i < LONG; i++)
            EXPECT_SAYING(harvest_find(&found, keys[i]) != NULL, "key %zu of %zu bytes is missing",
                          i, keys[i].size);
    }
}

CASE(scan, many)
{
    if (lacks_scan(s))
        return;
    enum { MANY = 3000 };
    kivi_slice *keys = keep(s, MANY * sizeof *keys), *values = keep(s, MANY * sizeof *values);
    for (size_t i = 0; i < MANY; i++) {
        keys[i] = key_number(s, "m", i);
        values[i] = number(s, (int64_t)i);
    }
    OK(kivi_store_set_many(s->store, NULL, keys, values, MANY, KIVI_TTL_NONE, NULL, E));
    kivi_range range = under(all(s), 0);
    harvest found = harvested(s, s->store, &range);
    expect_sound(s, &found, range.prefix);
    bool *seen = keep(s, MANY);
    for (size_t i = 0; i < found.count; i++) {
        size_t index = (size_t)atoi(
            (const char *)joined(s, found.pairs[i].key, kivi_bytes("", 1)).data + all(s).size + 1);
        EXPECT(index < MANY);
        EXPECT_BYTES(found.pairs[i].value, values[index]);
        seen[index] = true;
    }
    for (size_t i = 0; i < MANY; i++)
        EXPECT_SAYING(seen[i], "key %zu is missing", i);
    EXPECT_NUMBER(counted(s, s->store, all(s)), MANY);
}

/* Values of a page that are large together. */
CASE(scan, large_values)
{
    if (lacks_scan(s))
        return;
    size_t size = s->can.max_value < 300000 ? (size_t)s->can.max_value : 300000;
    for (size_t i = 0; i < 20; i++)
        put(s, key_number(s, "k", i), filled(s, (int)i, size), KIVI_TTL_NONE);
    kivi_range range = under(all(s), 0);
    harvest found = harvested(s, s->store, &range);
    expect_sound(s, &found, range.prefix);
    for (size_t i = 0; i < 20; i++) {
        const kivi_pair *pair = harvest_find(&found, key_number(s, "k", i));
        EXPECT(pair != NULL);
        EXPECT_BYTES(pair->value, filled(s, (int)i, size));
    }
}

CASE(scan, of_nothing)
{
    if (lacks_scan(s))
        return;
    kivi_range range = under(key(s, "nothing"), 10);
    EXPECT_NUMBER(harvested(s, s->store, &range).count, 0);
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    OK(kivi_store_scan(s->store, &range, &scan, E));
    for (int i = 0; i < 3; i++)
        ANSWERS(KIVI_END, kivi_scan_next(scan, NULL, &pair, E));
    kivi_scan_free(scan);
}

/* No range at all, or the empty prefix, is the whole namespace. */
CASE(scan, of_everything)
{
    if (lacks_scan(s))
        return;
    kivi_slice *keys = filled_store(s);
    kivi_range range = KIVI_RANGE_INIT;
    harvest found = harvested(s, s->store, &range);
    expect_sound(s, &found, range.prefix);
    expect_all(s, &found, keys, true);
    kivi_page *page = NULL;
    OK(kivi_store_page(s->store, NULL, NULL, &page, E));
    if (s->row->traits & ROW_OWN) {
        EXPECT_NUMBER(found.count, COUNT + 2);
        EXPECT_NUMBER(kivi_page_count(page), COUNT + 2);
    }
    kivi_page_free(page);
}

/* ---- one by one ---- */

CASE(scan, one_by_one)
{
    if (lacks_scan(s))
        return;
    kivi_slice *keys = filled_store(s);
    static const uint64_t limits[] = {0, 1, 10, COUNT, COUNT + 10};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        kivi_range range = under(key(s, "k"), limits[i]);
        kivi_scan *scan = NULL;
        kivi_pair pair = KIVI_PAIR_INIT;
        OK(kivi_store_scan(s->store, &range, &scan, E));
        harvest found = {keep(s, 2 * COUNT * sizeof(kivi_pair)), 0, 2 * COUNT, 0};
        kivi_status status;
        while ((status = kivi_scan_next(scan, NULL, &pair, E)) == KIVI_OK && found.count < found.room) {
            kivi_pair *kept = &found.pairs[found.count++];
            *kept = pair;
            kept->key = joined(s, pair.key, kivi_bytes(NULL, 0));
            kept->value = joined(s, pair.value, kivi_bytes(NULL, 0));
        }
        EXPECT_NUMBER(status, KIVI_END);
        expect_sound(s, &found, range.prefix);
        if (limits[i] == 0 || limits[i] >= COUNT)
            expect_all(s, &found, keys, true);
        else
            EXPECT_NUMBER(found.count, limits[i]);
        kivi_scan_free(scan);
    }
}

/* How many pairs a scan delivers, one by one; it stays at its end. */
static uint64_t stepped_through(subject *s, const kivi_range *range)
{
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    uint64_t count = 0;
    kivi_status status;
    OK(kivi_store_scan(s->store, range, &scan, E));
    while ((status = kivi_scan_next(scan, NULL, &pair, E)) == KIVI_OK && count < 100000) {
        EXPECT_BYTES(pair.value, kivi_str("v"));
        count++;
    }
    EXPECT_NUMBER(status, KIVI_END);
    ANSWERS(KIVI_END, kivi_scan_next(scan, NULL, &pair, E));
    kivi_scan_free(scan);
    return count;
}

/* A limit counts across the pages that a scan reads for itself: it ends within one, at one's end, and behind it. */
CASE(scan, limits_beyond_a_page)
{
    if (lacks_scan(s))
        return;
    enum { MANY = 2100 };
    static const uint64_t limits[] = {999, 1000, 1001, 2000, 2001, MANY - 1, MANY};
    kivi_slice *keys = keep(s, MANY * sizeof *keys), *values = keep(s, MANY * sizeof *values);
    for (size_t i = 0; i < MANY; i++) {
        keys[i] = key_number(s, "m", i);
        values[i] = kivi_str("v");
    }
    OK(kivi_store_set_many(s->store, NULL, keys, values, MANY, KIVI_TTL_NONE, NULL, E));
    kivi_range range = under(key(s, "m"), 0);
    EXPECT(stepped_through(s, &range) >= MANY);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        range.limit = limits[i];
        EXPECT_NUMBER(stepped_through(s, &range), limits[i]);
        if (!(s->row->traits & ROW_OWN))
            continue;
        kivi_range whole = under(kivi_bytes(NULL, 0), limits[i]);
        EXPECT_NUMBER(stepped_through(s, &whole), limits[i]);
    }
    range.limit = MANY + 1;
    EXPECT(stepped_through(s, &range) >= MANY);
}

/* A scan and a page hold their store. */
CASE(scan, holds_its_store)
{
    if (lacks_scan(s))
        return;
    filled_store(s);
    kivi_store *other = reopened(s, NULL, NULL);
    kivi_range range = under(key(s, "k"), 0);
    kivi_scan *scan = NULL;
    kivi_page *page = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    OK(kivi_store_scan(other, &range, &scan, E));
    range.limit = 5;
    OK(kivi_store_page(other, NULL, &range, &page, E));
    kivi_store_unref(other);
    size_t count = 0;
    while (kivi_scan_next(scan, NULL, &pair, NULL) == KIVI_OK)
        count++;
    EXPECT(count >= COUNT);
    OK(kivi_page_pair(page, 0, &pair));
    kivi_scan_free(scan);
    kivi_page_free(page);
}

/* ---- after ---- */

CASE(scan, after)
{
    if (lacks_scan(s))
        return;
    kivi_slice *keys = filled_store(s);
    kivi_range range = under(key(s, "k"), 10);
    range.after = keys[COUNT / 2];
    if (s->can.order != KIVI_ORDER_BYTES) {
        kivi_page *page = NULL;
        REFUSED(KIVI_UNSUPPORTED, kivi_store_page(s->store, NULL, &range, &page, E));
        return;
    }
    kivi_range whole = under(key(s, "k"), 0);
    harvest everything = harvested(s, s->store, &whole);
    kivi_slice afters[] = {keys[COUNT / 2],
                           joined(s, keys[COUNT / 2], kivi_bytes("", 1)),
                           key(s, "k"),
                           kivi_bytes(range.prefix.data, range.prefix.size - 1),
                           key(s, "a"),
                           kivi_bytes("\0", 1),
                           key(s, "kzzz"),
                           key(s, "zzz"),
                           everything.pairs[0].key,
                           everything.pairs[COUNT - 1].key};
    for (size_t i = 0; i < sizeof afters / sizeof *afters; i++) {
        range.after = afters[i];
        harvest found = harvested(s, s->store, &range);
        expect_sound(s, &found, range.prefix);
        size_t beyond = 0;
        for (size_t j = 0; j < everything.count; j++) {
            if (compare_bytes(everything.pairs[j].key, afters[i]) <= 0)
                continue;
            EXPECT_SAYING(
                beyond < found.count && same_bytes(found.pairs[beyond].key, everything.pairs[j].key),
                "after %s: %s is missing", shown(s, afters[i]), shown(s, everything.pairs[j].key));
            beyond++;
        }
        EXPECT_NUMBER(found.count, beyond);
    }
}

/* ---- expiry of each ---- */

CASE(scan, with_expiry)
{
    if (lacks_scan(s) || lacks_ttl(s))
        return;
    for (size_t i = 0; i < 10; i++)
        put(s, key_number(s, "k", i), number(s, (int64_t)i), i % 2 ? 600000 : KIVI_TTL_NONE);
    for (int keys_only = 0; keys_only < 2; keys_only++) {
        kivi_range range = under(all(s), 3);
        range.flags = KIVI_SCAN_WANT_EXPIRY | (keys_only ? KIVI_SCAN_KEYS : 0);
        harvest found = harvested(s, s->store, &range);
        expect_sound(s, &found, range.prefix);
        for (size_t i = 0; i < 10; i++) {
            const kivi_pair *pair = harvest_find(&found, key_number(s, "k", i));
            EXPECT(pair != NULL);
            EXPECT_BYTES(pair->value, keys_only ? kivi_bytes(NULL, 0) : number(s, (int64_t)i));
            if (i % 2)
                EXPECT(pair->ttl_ms > 500000 && pair->ttl_ms <= 600000 + s->can.ttl_resolution_ms);
            else
                EXPECT_NUMBER(pair->ttl_ms, KIVI_TTL_NONE);
        }
        /* Not asked, it is not answered. */
        range.flags = 0;
        found = harvested(s, s->store, &range);
        for (size_t i = 0; i < found.count; i++)
            EXPECT_NUMBER(found.pairs[i].ttl_ms, KIVI_TTL_NONE);
    }
}

/* ---- cursors ---- */

/* A cursor in the middle of a scan, and how many pairs came before it. */
static kivi_slice middle(subject *s, kivi_slice prefix, uint64_t limit, harvest *before)
{
    kivi_range range = under(prefix, limit);
    kivi_page *page = NULL;
    OK(kivi_store_page(s->store, NULL, &range, &page, E));
    before->count = kivi_page_count(page);
    before->pairs = keep(s, before->count * sizeof *before->pairs);
    for (size_t i = 0; i < before->count; i++) {
        kivi_pair pair = KIVI_PAIR_INIT;
        EXPECT_NUMBER(kivi_page_pair(page, i, &pair), KIVI_OK);
        before->pairs[i] = pair;
        before->pairs[i].key = joined(s, pair.key, kivi_bytes(NULL, 0));
    }
    kivi_slice cursor = joined(s, kivi_page_cursor(page), kivi_bytes(NULL, 0));
    kivi_page_free(page);
    EXPECT(cursor.size > 0);
    return cursor;
}

CASE(cursor, in_another_handle)
{
    if (lacks_scan(s))
        return;
    kivi_slice *keys = filled_store(s);
    harvest before;
    kivi_range range = under(key(s, "k"), 7);
    range.cursor = middle(s, range.prefix, 7, &before);
    /* Kept as bytes, used by a handle that never saw the scan; and used twice. */
    for (int turn = 0; turn < 2; turn++) {
        kivi_store *other = reopened(s, NULL, NULL);
        harvest rest = harvested(s, other, &range);
        expect_sound(s, &rest, range.prefix);
        for (size_t i = 0; i < COUNT; i++)
            EXPECT_SAYING(harvest_find(&rest, keys[i]) || harvest_find(&before, keys[i]),
                          "%s is missing", shown(s, keys[i]));
        if (s->can.scan_once)
            EXPECT_NUMBER(rest.count + before.count, COUNT);
        kivi_store_unref(other);
    }
    /* The limit may change, and a scan takes it as well. */
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    range.limit = 0;
    OK(kivi_store_scan(s->store, &range, &scan, E));
    size_t count = 0;
    while (kivi_scan_next(scan, NULL, &pair, NULL) == KIVI_OK)
        count++;
    EXPECT(count + before.count >= COUNT);
    kivi_scan_free(scan);
}

CASE(cursor, checked)
{
    if (lacks_scan(s))
        return;
    filled_store(s);
    harvest before;
    kivi_page *page = NULL;
    kivi_range range = under(key(s, "k"), 7);
    kivi_slice good = middle(s, range.prefix, 7, &before);
    /* another prefix */
    range.cursor = good;
    kivi_slice prefixes[] = {key(s, ""), key(s, "j"), key(s, "k0"), kivi_bytes(NULL, 0)};
    for (size_t i = 0; i < 4; i++) {
        range.prefix = prefixes[i];
        REFUSED(KIVI_INVALID, kivi_store_page(s->store, NULL, &range, &page, E));
    }
    /* each byte changed in some way */
    range.prefix = key(s, "k");
    for (size_t i = 0; i < good.size; i++) {
        unsigned char *bytes = (unsigned char *)joined(s, good, kivi_bytes(NULL, 0)).data;
        bytes[i] ^= (unsigned char)(1u << i % 8);
        range.cursor = kivi_bytes(bytes, good.size);
        kivi_status got = kivi_store_page(s->store, NULL, &range, &page, E);
        EXPECT_SAYING(got == KIVI_INVALID, "byte %zu of %zu changed: %s", i, good.size,
                      kivi_status_name(got));
    }
    /* cut, lengthened, made up */
    kivi_slice bad[] = {kivi_bytes(good.data, good.size - 1),
                        kivi_bytes(good.data, 1),
                        joined(s, good, kivi_bytes("", 1)),
                        joined(s, good, good),
                        kivi_str("cursor"),
                        kivi_bytes("\0", 1),
                        filled(s, 0xff, 64),
                        filled(s, 'c', 5000)};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        range.cursor = bad[i];
        REFUSED(KIVI_INVALID, kivi_store_page(s->store, NULL, &range, &page, E));
    }
    EXPECT(page == NULL);
    range.cursor = good;
    OK(kivi_store_page(s->store, NULL, &range, &page, E));
    kivi_page_free(page);
}

/* A cursor whose neighbours were deleted goes on at the present. */
CASE(cursor, goes_on_at_the_present)
{
    if (lacks_scan(s))
        return;
    kivi_slice *keys = filled_store(s);
    harvest before;
    kivi_range range = under(key(s, "k"), 7);
    range.cursor = middle(s, range.prefix, 10, &before);
    OK(kivi_store_delete_many(s->store, NULL, keys, COUNT, NULL, NULL, E));
    EXPECT_NUMBER(harvested(s, s->store, &range).count, 0);
    for (size_t i = 0; i < COUNT; i++)
        put(s, keys[i], number(s, (int64_t)i), KIVI_TTL_NONE);
    harvest rest = harvested(s, s->store, &range);
    expect_sound(s, &rest, range.prefix);
    if (s->can.order == KIVI_ORDER_BYTES)
        EXPECT_NUMBER(rest.count, COUNT - before.count);
}

/* ---- while others write ---- */

/* Keys that are there throughout come, whatever is written and deleted around them between the pages. */
CASE(scan, present_throughout)
{
    if (lacks_scan(s))
        return;
    enum { STAY = 80 };
    unsigned seed = 31;
    for (size_t i = 0; i < STAY; i++)
        put(s, key_number(s, "k", 10 * i), number(s, (int64_t)i), KIVI_TTL_NONE);
    kivi_range range = under(all(s), 6);
    bool seen[STAY] = {false};
    size_t pages = 0;
    do {
        kivi_page *page = NULL;
        OK(kivi_store_page(s->store, NULL, &range, &page, E));
        for (size_t i = 0; i < kivi_page_count(page); i++) {
            kivi_pair pair = KIVI_PAIR_INIT;
            EXPECT_NUMBER(kivi_page_pair(page, i, &pair), KIVI_OK);
            for (size_t j = 0; j < STAY; j++)
                if (same_bytes(pair.key, key_number(s, "k", 10 * j))) {
                    EXPECT_SAYING(!seen[j] || !s->can.scan_once, "%s came twice", shown(s, pair.key));
                    seen[j] = true;
                }
        }
        range.cursor = joined(s, kivi_page_cursor(page), kivi_bytes(NULL, 0));
        kivi_page_free(page);
        for (int i = 0; i < 12; i++) {
            size_t place = 10 * ((size_t)rand_r(&seed) % STAY) + 1 + (size_t)rand_r(&seed) % 9;
            if (rand_r(&seed) % 2)
                put(s, key_number(s, "k", place), text(s, "comes"), KIVI_TTL_NONE);
            else
                OK(kivi_store_delete(s->store, NULL, key_number(s, "k", place), NULL, E));
        }
        /* A key that stays may be written again. */
        size_t again = (size_t)rand_r(&seed) % STAY;
        put(s, key_number(s, "k", 10 * again), text(s, "again"), KIVI_TTL_NONE);
        EXPECT(++pages < 10000);
    } while (range.cursor.size);
    for (size_t i = 0; i < STAY; i++)
        EXPECT_SAYING(seen[i], "key %zu was there throughout and did not come", i);
}
