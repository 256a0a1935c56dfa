/* The keys of a dump: in one order whatever order they came in, in pages that meet, and no more of them than are kept. */
#include "failure.h"

#include "../../libkivi/backends/memcached/dump.h"
#include "../../libkivi/core/plugins/plugins.h"

#include <stdio.h>
#include <string.h>

TestSuite(memcached_dump, .timeout = 60);

enum { KEYS = 1000 };

static kivi_slice name(char text[16], unsigned number)
{
    return kivi_bytes(text, (size_t)snprintf(text, 16, "key-%u", number));
}

/* Every key of the server, from one that chance says on. */
static mc_dump *dump_behind(kivi_slice after, size_t most, unsigned from)
{
    mc_dump *dump = kvi_mc_dump_new(&kvi_host_table, 0, kivi_str("key-"), after, most);
    char text[16];

    cr_assert_not_null(dump);
    for (unsigned i = 0; i < KEYS; i++)
        cr_assert(kvi_mc_dump_add(dump, name(text, (from + i * 7) % KEYS)));
    for (unsigned i = 0; i < 50; i++) /* the hash table grew meanwhile: some come twice */
        cr_assert(kvi_mc_dump_add(dump, name(text, i)));
    cr_assert(kvi_mc_dump_sort(dump));
    return dump;
}

static bool is_at(const mc_dump *dump, size_t index, const mc_dump *all, size_t other)
{
    kivi_slice key = kvi_mc_dump_key(dump, index), wanted = kvi_mc_dump_key(all, other);

    return key.size == wanted.size && memcmp(key.data, wanted.data, key.size) == 0;
}

Test(memcached_dump, one_order)
{
    mc_dump *one = dump_behind(kivi_bytes(NULL, 0), KEYS, 0),
            *other = dump_behind(kivi_bytes(NULL, 0), KEYS, 321);

    cr_assert_eq(one->count, KEYS);
    cr_assert_eq(other->count, KEYS);
    cr_expect_not(one->cut || other->cut);
    for (size_t i = 0; i < KEYS; i++)
        cr_assert(is_at(one, i, other, i));
    kvi_mc_dump_free(one);
    kvi_mc_dump_free(other);
}

/* Dumps that each keep few: together they are the whole, and none comes twice. */
Test(memcached_dump, pages_that_meet)
{
    mc_dump *all = dump_behind(kivi_bytes(NULL, 0), KEYS, 0), *dump = NULL;
    size_t seen = 0;

    for (unsigned round = 0; !dump || dump->cut; round++) {
        mc_dump *next = dump_behind(dump ? kvi_mc_dump_position(dump) : kivi_bytes(NULL, 0), 64,
                                    round * 13);
        kvi_mc_dump_free(dump);
        dump = next;
        cr_assert_leq(dump->count, 64);
        for (dump->next = 0; dump->next < dump->count; dump->next++)
            cr_assert(is_at(dump, dump->next, all, seen++), "round %u", round);
        cr_assert_leq(round, KEYS / 64 + 1);
    }
    cr_expect_eq(seen, KEYS);
    kvi_mc_dump_free(dump);
    kvi_mc_dump_free(all);
}

/* ---- Dumps that are kept ---- */

static kivi_slice behind(const mc_dump *dump, char *copy)
{
    kivi_slice key = kvi_mc_dump_position(dump);

    memcpy(copy, key.data, key.size);
    return kivi_bytes(copy, key.size);
}

Test(memcached_dump, kept_for_the_scan_that_goes_on)
{
    mc_dumps dumps = {0};
    mc_dump *one = dump_behind(kivi_bytes(NULL, 0), KEYS, 0),
            *other = dump_behind(kivi_bytes(NULL, 0), KEYS, 0);
    char text[2][16];
    kivi_slice prefix = kivi_str("key-"), ones, others;

    one->next = 10;
    other->next = 20;
    ones = behind(one, text[0]);
    others = behind(other, text[1]);
    kvi_mc_dumps_keep(&dumps, one);
    kvi_mc_dumps_keep(&dumps, other);
    cr_expect_null(kvi_mc_dumps_take(&dumps, 1, prefix, ones), "of another server");
    cr_expect_null(kvi_mc_dumps_take(&dumps, 0, kivi_str("key"), ones), "under another prefix");
    cr_expect_null(kvi_mc_dumps_take(&dumps, 0, prefix, kivi_bytes(NULL, 0)), "a scan that begins");
    cr_expect_eq(kvi_mc_dumps_take(&dumps, 0, prefix, others), other);
    cr_expect_eq(kvi_mc_dumps_take(&dumps, 0, prefix, ones), one);
    cr_expect_null(kvi_mc_dumps_take(&dumps, 0, prefix, ones), "it is the first taker's");
    kvi_mc_dump_free(one);
    kvi_mc_dump_free(other);
}

/* Scans that nobody goes on with keep no more than so much. */
Test(memcached_dump, few_are_kept)
{
    mc_dumps dumps = {0};
    mc_dump *last = NULL;
    char text[16];

    for (unsigned i = 0; i < 3 * DUMPS_KEPT; i++) {
        last = dump_behind(kivi_bytes(NULL, 0), 16, i);
        last->next = i % 16 + 1;
        kvi_mc_dumps_keep(&dumps, last);
    }
    cr_expect_eq(kvi_mc_dumps_take(&dumps, 0, kivi_str("key-"), behind(last, text)), last);
    kvi_mc_dump_free(last);
    kvi_mc_dumps_clear(&dumps);
    for (size_t i = 0; i < DUMPS_KEPT; i++)
        cr_expect_null(dumps.kept[i]);
}
