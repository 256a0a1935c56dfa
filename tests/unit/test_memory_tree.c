/* The memory backend's tree and heap alone, beside a plain sorted array: random sequences of changes. */
#include <stdio.h>

#include <criterion/criterion.h>

#include "backends/memory/heap.h"
#include "backends/memory/tree.h"

TestSuite(memory_tree);

#define KEYS 4000

typedef struct known_keys {
    kivi_slice keys[KEYS];
    bool there[KEYS];
    size_t count;
} known_keys;

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % limit;
}

static int compare_slices(const void *a, const void *b)
{
    return kvi_tree_compare(*(const kivi_slice *)a, *(const kivi_slice *)b);
}

/* Keys that share long beginnings, that are beginnings of each other, with NUL and 0xff at the ends. */
static kivi_slice make_key(void)
{
    static const uint8_t bytes[] = {0x00, 0x01, 'a', 'b', 0xff};
    size_t shared = random_below(4) * 13, size = shared + 1 + random_below(12);
    uint8_t *key = malloc(size);

    memset(key, 'x', size);
    for (size_t i = shared; i < size; i++)
        key[i] = bytes[random_below(sizeof(bytes))];
    return kivi_bytes(key, size);
}

static void fill_model(known_keys *model)
{
    size_t kept = 0;

    for (size_t i = 0; i < KEYS; i++)
        model->keys[i] = make_key();
    qsort(model->keys, KEYS, sizeof(model->keys[0]), compare_slices);
    for (size_t i = 0; i < KEYS; i++) {
        if (kept && kvi_tree_compare(model->keys[kept - 1], model->keys[i]) == 0)
            free((void *)model->keys[i].data);
        else
            model->keys[kept++] = model->keys[i];
    }
    model->count = kept;
}

/* Walks from a key on and compares every record with the model. */
static void check_walk(const memory_tree *tree, const known_keys *model, size_t from)
{
    tree_cursor cursor;

    kvi_tree_seek(tree, model->keys[from], &cursor);
    for (size_t i = from; i < model->count; i++) {
        if (!model->there[i])
            continue;
        cr_assert_not_null(kvi_tree_at(&cursor));
        cr_assert_eq(kvi_tree_compare(record_key(kvi_tree_at(&cursor)), model->keys[i]), 0);
        kvi_tree_next(&cursor);
    }
    cr_assert_null(kvi_tree_at(&cursor));
}

static void change_one(memory_tree *tree, known_keys *model, size_t at)
{
    memory_record *record;

    if (!model->there[at]) {
        cr_assert(kvi_tree_insert(tree, record_new(model->keys[at], kivi_str("v"))));
    } else {
        record = kvi_tree_remove(tree, model->keys[at]);
        cr_assert_not_null(record);
        cr_assert_eq(kvi_tree_compare(record_key(record), model->keys[at]), 0);
        record_unref(record);
    }
    model->there[at] = !model->there[at];
}

static void check_finds(const memory_tree *tree, const known_keys *model)
{
    for (size_t i = 0; i < model->count; i++) {
        memory_record **place = kvi_tree_find(tree, model->keys[i]);

        cr_assert_eq(place != NULL, model->there[i]);
        cr_assert(!place || kvi_tree_compare(record_key(*place), model->keys[i]) == 0);
    }
}

/* Grows, shrinks to nothing and grows again, so that nodes split, lend and join at every level. */
Test(memory_tree, random_changes)
{
    static known_keys model;
    memory_tree tree = {NULL};

    for (uint64_t seed = 1; seed <= 3; seed++) {
        random_state = seed * 7919;
        fill_model(&model);
        memset(model.there, 0, sizeof(model.there));
        for (unsigned round = 0; round < 6; round++) {
            for (size_t n = 0; n < 3 * model.count; n++) {
                size_t at = random_below(model.count);

                /* more insertions in even rounds, more removals in odd ones */
                if (model.there[at] == (round % 2 == 1) || random_below(6) == 0)
                    change_one(&tree, &model, at);
            }
            check_finds(&tree, &model);
            check_walk(&tree, &model, 0);
            for (unsigned n = 0; n < 20; n++)
                check_walk(&tree, &model, random_below(model.count));
        }
        for (size_t i = 0; i < model.count; i++)
            if (model.there[i])
                change_one(&tree, &model, i);
        cr_assert_null(tree.root);
        for (size_t i = 0; i < model.count; i++)
            free((void *)model.keys[i].data);
    }
}

Test(memory_tree, missing_keys)
{
    memory_tree tree = {NULL};
    tree_cursor cursor;

    cr_assert_null(kvi_tree_find(&tree, kivi_str("a")));
    cr_assert_null(kvi_tree_remove(&tree, kivi_str("a")));
    kvi_tree_seek(&tree, kivi_bytes(NULL, 0), &cursor);
    cr_assert_null(kvi_tree_at(&cursor));
    kvi_tree_next(&cursor);
    cr_assert_null(kvi_tree_at(&cursor));
    cr_assert(kvi_tree_insert(&tree, record_new(kivi_str("bb"), kivi_str(""))));
    cr_assert_null(kvi_tree_find(&tree, kivi_str("b")));
    cr_assert_null(kvi_tree_find(&tree, kivi_str("bbb")));
    cr_assert_null(kvi_tree_find(&tree, kivi_bytes("bb\0", 3)));
    cr_assert_null(kvi_tree_remove(&tree, kivi_str("bbb")));
    cr_assert_not_null(kvi_tree_find(&tree, kivi_str("bb")));
    kvi_tree_seek(&tree, kivi_bytes(NULL, 0), &cursor);
    cr_assert_not_null(kvi_tree_at(&cursor));
    kvi_tree_seek(&tree, kivi_str("bc"), &cursor);
    cr_assert_null(kvi_tree_at(&cursor));
    kvi_tree_clear(&tree);
    cr_assert_null(tree.root);
}

/* In order, as logs and counters come. */
Test(memory_tree, ascending_and_descending)
{
    for (int down = 0; down < 2; down++) {
        memory_tree tree = {NULL};
        tree_cursor cursor;
        char text[16];
        unsigned seen = 0;

        for (unsigned i = 0; i < 20000; i++) {
            snprintf(text, sizeof(text), "k%06u", down ? 19999 - i : i);
            cr_assert(kvi_tree_insert(&tree, record_new(kivi_str(text), kivi_str(""))));
        }
        for (kvi_tree_seek(&tree, kivi_str(""), &cursor); kvi_tree_at(&cursor); kvi_tree_next(&cursor)) {
            snprintf(text, sizeof(text), "k%06u", seen++);
            cr_assert_eq(kvi_tree_compare(record_key(kvi_tree_at(&cursor)), kivi_str(text)), 0);
        }
        cr_assert_eq(seen, 20000);
        kvi_tree_clear(&tree);
    }
}

/* The heap gives the earliest first, whatever was taken out of its middle. */
Test(memory_tree, heap)
{
    memory_heap heap = {NULL, 0, 0};
    memory_record *records[500];
    int64_t last = 0;
    size_t left = 0;

    random_state = 99;
    for (size_t i = 0; i < 500; i++) {
        records[i] = record_new(kivi_str("k"), kivi_str(""));
        records[i]->expires = (int64_t)random_below(300) + 1;
        cr_assert(kvi_heap_reserve(&heap, 1));
        kvi_heap_push(&heap, records[i]);
    }
    for (size_t i = 0; i < 500; i += 3) {
        kvi_heap_remove(&heap, records[i]);
        kvi_heap_remove(&heap, records[i]);
        cr_assert_eq(records[i]->slot, 0);
    }
    while (kvi_heap_first(&heap)) {
        memory_record *first = kvi_heap_first(&heap);

        cr_assert_geq(first->expires, last);
        last = first->expires;
        kvi_heap_remove(&heap, first);
        left++;
    }
    cr_assert_eq(left, 500 - 167);
    for (size_t i = 0; i < 500; i++)
        record_unref(records[i]);
    kvi_heap_free(&heap);
}
