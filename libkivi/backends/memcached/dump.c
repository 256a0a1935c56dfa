/* The keys of a server's dump, in the order of their hashes, and dumps that are kept between two pages. */
#include "dump.h"
#include "net.h"

#include <stdlib.h>
#include <string.h>

typedef struct mc_dump_key {
    uint64_t hash;
    const uint8_t *bytes; /* while it is sorted; else they are at `at` */
    size_t at;
    uint32_t size;
} mc_dump_key;

/* ---- Order ---- */

static int compare_bytes(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare(const void *one, const void *other)
{
    const mc_dump_key *a = one, *b = other;

    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return compare_bytes(a->bytes, a->size, b->bytes, b->size);
}

static mc_dump_key as_key(const mc_dump *dump, kivi_slice bytes)
{
    return (mc_dump_key){dump->core->hash64(bytes), bytes.data, 0, (uint32_t)bytes.size};
}

/* ---- Beginning and end ---- */

mc_dump *kvi_mc_dump_new(const kivi_host *core, uint32_t place, kivi_slice prefix, kivi_slice after,
                         size_t most)
{
    mc_dump *made = calloc(1, sizeof(*made));
    uint8_t *words = malloc(prefix.size + after.size + 1);

    if (!made || !words) {
        free(made);
        free(words);
        return NULL;
    }
    if (prefix.size)
        memcpy(words, prefix.data, prefix.size);
    if (after.size)
        memcpy(words + prefix.size, after.data, after.size);
    *made = (mc_dump){.core = core,
                      .place = place,
                      .most = most,
                      .words = words,
                      .prefix = kivi_bytes(words, prefix.size),
                      .after = kivi_bytes(words + prefix.size, after.size)};
    return made;
}

void kvi_mc_dump_free(mc_dump *dump)
{
    if (!dump)
        return;
    free(dump->words);
    free(dump->keys);
    free(dump->bytes);
    free(dump);
}

/* ---- Keys ---- */

kivi_slice kvi_mc_dump_key(const mc_dump *dump, size_t index)
{
    return kivi_bytes(dump->bytes + dump->keys[index].at, dump->keys[index].size);
}

kivi_slice kvi_mc_dump_position(const mc_dump *dump)
{
    return dump->next ? kvi_mc_dump_key(dump, dump->next - 1) : dump->after;
}

static bool make_room(mc_dump *dump, size_t size)
{
    void *keys = dump->keys, *bytes = dump->bytes;
    bool grown = kvi_net_grow(&keys, &dump->room, dump->count + 1, sizeof(*dump->keys)) &&
                 kvi_net_grow(&bytes, &dump->byte_room, dump->size + size, 1);

    dump->keys = keys;
    dump->bytes = bytes;
    return grown;
}

static void put_in_order(mc_dump *dump)
{
    size_t kept = 0;

    for (size_t i = 0; i < dump->count; i++)
        dump->keys[i].bytes = dump->bytes + dump->keys[i].at;
    if (dump->count)
        qsort(dump->keys, dump->count, sizeof(*dump->keys), compare);
    for (size_t i = 0; i < dump->count; i++)
        if (kept == 0 || compare(&dump->keys[kept - 1], &dump->keys[i]))
            dump->keys[kept++] = dump->keys[i];
    dump->count = kept;
}

/* Only the first `most` are left, and their bytes. */
static bool cut_down(mc_dump *dump)
{
    size_t size = 0;
    uint8_t *bytes;

    put_in_order(dump);
    if (dump->count <= dump->most)
        return true;
    dump->count = dump->most;
    dump->cut = true;
    for (size_t i = 0; i < dump->count; i++)
        size += dump->keys[i].size;
    bytes = malloc(size + 1);
    if (!bytes)
        return false;
    size = 0;
    for (size_t i = 0; i < dump->count; i++) {
        memcpy(bytes + size, dump->keys[i].bytes, dump->keys[i].size);
        dump->keys[i].at = size;
        size += dump->keys[i].size;
    }
    free(dump->bytes);
    dump->bytes = bytes;
    dump->size = dump->byte_room = size;
    return true;
}

bool kvi_mc_dump_add(mc_dump *dump, kivi_slice key)
{
    mc_dump_key after = as_key(dump, dump->after), added = as_key(dump, key);

    if (key.size == 0 || (dump->after.size && compare(&added, &after) <= 0))
        return true;
    if (dump->count >= 2 * dump->most && !cut_down(dump))
        return false;
    if (!make_room(dump, key.size))
        return false;
    memcpy(dump->bytes + dump->size, key.data, key.size);
    added.at = dump->size;
    dump->size += key.size;
    dump->keys[dump->count++] = added;
    return true;
}

bool kvi_mc_dump_sort(mc_dump *dump)
{
    dump->sorted = cut_down(dump);
    return dump->sorted;
}

/* ---- Dumps that are kept ---- */

static bool equals(kivi_slice a, kivi_slice b)
{
    return a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0);
}

static bool goes_on(const mc_dump *dump, uint32_t place, kivi_slice prefix, kivi_slice after)
{
    return dump->place == place && equals(dump->prefix, prefix) &&
           equals(kvi_mc_dump_position(dump), after);
}

/* Back to where it was, unless somebody was faster. */
static bool put_back(_Atomic(mc_dump *) *kept, mc_dump *dump)
{
    mc_dump *none = NULL;

    return atomic_compare_exchange_strong(kept, &none, dump);
}

mc_dump *kvi_mc_dumps_take(mc_dumps *dumps, uint32_t place, kivi_slice prefix, kivi_slice after)
{
    for (size_t i = 0; after.size && i < DUMPS_KEPT; i++) {
        mc_dump *dump = atomic_exchange(&dumps->kept[i], NULL);
        if (dump && goes_on(dump, place, prefix, after))
            return dump;
        if (dump && !put_back(&dumps->kept[i], dump))
            kvi_mc_dumps_keep(dumps, dump);
    }
    return NULL;
}

void kvi_mc_dumps_keep(mc_dumps *dumps, mc_dump *dump)
{
    for (size_t i = 0; i < DUMPS_KEPT; i++)
        if (put_back(&dumps->kept[i], dump))
            return;
    kvi_mc_dump_free(atomic_exchange(&dumps->kept[atomic_fetch_add(&dumps->turn, 1) % DUMPS_KEPT], dump));
}

void kvi_mc_dumps_clear(mc_dumps *dumps)
{
    for (size_t i = 0; i < DUMPS_KEPT; i++)
        kvi_mc_dump_free(atomic_exchange(&dumps->kept[i], NULL));
}
