/* Keys and values of the cases, further stores on the same data, and scans gathered whole. */
#include <stdio.h>
#include <stdlib.h>

#include "suite.h"

static void *grown(void *memory, size_t count, size_t *room, size_t item)
{
    if (count < *room)
        return memory;
    *room = *room ? 2 * *room : 64;
    memory = realloc(memory, *room * item);
    cr_assert(memory != NULL, "out of memory");
    return memory;
}

void *keep(subject *s, size_t size)
{
    s->blocks = grown(s->blocks, s->block_count, &s->block_room, sizeof *s->blocks);
    void *memory = calloc(1, size ? size : 1);
    cr_assert(memory != NULL, "out of memory");
    s->blocks[s->block_count++] = memory;
    return memory;
}

kivi_slice remember(subject *s, kivi_slice whole)
{
    s->keys = grown(s->keys, s->key_count, &s->key_room, sizeof *s->keys);
    s->keys[s->key_count++] = whole;
    return whole;
}

kivi_slice joined(subject *s, kivi_slice a, kivi_slice b)
{
    char *memory = keep(s, a.size + b.size);
    if (a.size)
        memcpy(memory, a.data, a.size);
    if (b.size)
        memcpy(memory + a.size, b.data, b.size);
    return kivi_bytes(memory, a.size + b.size);
}

kivi_slice filled(subject *s, int byte, size_t size)
{
    char *memory = keep(s, size);
    memset(memory, byte, size);
    return kivi_bytes(memory, size);
}

kivi_slice all(subject *s)
{
    return kivi_str(s->prefix);
}

kivi_slice key_bytes(subject *s, const void *data, size_t size)
{
    kivi_slice made = joined(s, all(s), kivi_bytes(data, size));
    /* What can be cleared by prefix need not be remembered. */
    return s->can.scan == KIVI_ABSENT ? remember(s, made) : made;
}

kivi_slice key(subject *s, const char *name)
{
    return key_bytes(s, name, strlen(name));
}

kivi_slice key_number(subject *s, const char *name, size_t number)
{
    char whole[128];
    int size = snprintf(whole, sizeof whole, "%s%05zu", name, number);
    return key_bytes(s, whole, (size_t)size);
}

/* ---- values ---- */

static kivi_slice finished(subject *s, kivi_writer *writer, kivi_buffer *out)
{
    OK(kivi_writer_finish(writer, E));
    kivi_slice made = joined(s, kivi_buffer_slice(out), kivi_bytes(NULL, 0));
    kivi_writer_free(writer);
    kivi_buffer_free(out);
    return made;
}

static kivi_writer *writer_of(subject *s, kivi_buffer *out)
{
    kivi_writer *writer;
    OK(kivi_writer_new(s->codec, &writer, E));
    kivi_writer_start(writer, out);
    return writer;
}

kivi_slice text(subject *s, const char *value)
{
    kivi_buffer out = KIVI_BUFFER_INIT;
    kivi_writer *writer = writer_of(s, &out);
    kivi_writer_str(writer, kivi_str(value));
    return finished(s, writer, &out);
}

/* Raw values have no types: there an integer is what its decimal digits are. */
kivi_slice number(subject *s, int64_t value)
{
    if (strcmp(s->codec, "raw") == 0) {
        char digits[32];
        snprintf(digits, sizeof digits, "%lld", (long long)value);
        return text(s, digits);
    }
    kivi_buffer out = KIVI_BUFFER_INIT;
    kivi_writer *writer = writer_of(s, &out);
    kivi_writer_int(writer, value);
    return finished(s, writer, &out);
}

kivi_slice not_a_number(subject *s)
{
    return text(s, "seven");
}

void put(subject *s, kivi_slice key, kivi_slice value, int64_t ttl_ms)
{
    OK(kivi_store_set(s->store, NULL, key, value, ttl_ms, E));
}

/* ---- further stores ---- */

kivi_store *reopened(subject *s, const char *name, const char *value)
{
    kivi_options *options = kivi_options_new();
    EXPECT(options != NULL);
    if (name)
        OK(kivi_options_set(options, name, value, E));
    kivi_store *store = NULL;
    OK(kivi_store_open(s->url, NULL, options, &store, E));
    kivi_options_free(options);
    return store;
}

/* ---- scans ---- */

const kivi_pair *harvest_find(const harvest *found, kivi_slice key)
{
    for (size_t i = 0; i < found->count; i++)
        if (same_bytes(found->pairs[i].key, key))
            return &found->pairs[i];
    return NULL;
}

static void take_page(subject *s, harvest *found, const kivi_page *page)
{
    for (size_t i = 0; i < kivi_page_count(page); i++) {
        kivi_pair pair = KIVI_PAIR_INIT;
        kivi_status status = kivi_page_pair(page, i, &pair);
        EXPECT_NUMBER(status, KIVI_OK);
        if (!s->can.scan_once && harvest_find(found, pair.key))
            continue; /* Redis gave it again while its table was resized */
        if (found->count == found->room) {
            size_t room = found->room ? 2 * found->room : 64;
            kivi_pair *more = keep(s, room * sizeof *more);
            if (found->count)
                memcpy(more, found->pairs, found->count * sizeof *more);
            found->pairs = more;
            found->room = room;
        }
        pair.key = joined(s, pair.key, kivi_bytes(NULL, 0));
        pair.value = joined(s, pair.value, kivi_bytes(NULL, 0));
        found->pairs[found->count++] = pair;
    }
    kivi_pair past = KIVI_PAIR_INIT;
    EXPECT_NUMBER(kivi_page_pair(page, kivi_page_count(page), &past), KIVI_INVALID);
}

harvest harvested(subject *s, kivi_store *store, const kivi_range *range)
{
    harvest found = {NULL, 0, 0, 0};
    kivi_range next = *range;
    for (;;) {
        kivi_page *page = NULL;
        OK(kivi_store_page(store, NULL, &next, &page, E));
        size_t limit = range->limit ? range->limit : 1000;
        EXPECT_SAYING(kivi_page_count(page) <= limit, "%zu pairs in a page", kivi_page_count(page));
        take_page(s, &found, page);
        found.pages++;
        next.cursor = joined(s, kivi_page_cursor(page), kivi_bytes(NULL, 0));
        next.after = kivi_bytes(NULL, 0);
        kivi_page_free(page);
        if (next.cursor.size == 0)
            return found;
        EXPECT_SAYING(found.pages < 1000000, "the scan does not end after %zu pages", found.pages);
    }
}

static int by_key(const void *a, const void *b)
{
    return compare_bytes(((const kivi_pair *)a)->key, ((const kivi_pair *)b)->key);
}

static void expect_once(subject *s, const harvest *found)
{
    kivi_pair *sorted = keep(s, found->count * sizeof *sorted);
    if (found->count)
        memcpy(sorted, found->pairs, found->count * sizeof *sorted);
    qsort(sorted, found->count, sizeof *sorted, by_key);
    for (size_t i = 1; i < found->count; i++)
        EXPECT_SAYING(!same_bytes(sorted[i - 1].key, sorted[i].key), "the scan gave %s twice",
                      shown(s, sorted[i].key));
}

void expect_sound(subject *s, const harvest *found, kivi_slice prefix)
{
    for (size_t i = 0; i < found->count; i++) {
        kivi_slice got = found->pairs[i].key;
        EXPECT_SAYING(got.size >= prefix.size &&
                          (prefix.size == 0 || memcmp(got.data, prefix.data, prefix.size) == 0),
                      "a scan of %s gave %s", shown(s, prefix), shown(s, got));
        if (i && s->can.order == KIVI_ORDER_BYTES)
            EXPECT_SAYING(compare_bytes(found->pairs[i - 1].key, got) < 0, "%s came before %s",
                          shown(s, found->pairs[i - 1].key), shown(s, got));
    }
    if (s->can.scan_once)
        expect_once(s, found);
}

uint64_t counted(subject *s, kivi_store *store, kivi_slice prefix)
{
    uint64_t count = UINT64_MAX;
    OK(kivi_store_count(store, NULL, prefix, &count, E));
    return count;
}
