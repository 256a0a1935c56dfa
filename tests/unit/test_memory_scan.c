/* Scans and counts of the memory backend: order, pages, cursors, keys that come and go. */
#include "memory_fixture.h"

TestSuite(memory_scan);

static void fill_numbers(memory_store *store, unsigned count)
{
    char key[16];

    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "n%03u", i * 7919 % count);
        put(store, key, "v");
    }
}

Test(memory_scan, scan_in_order)
{
    memory_store store = open_store("");
    char key[16];
    pages *all;

    fill_numbers(&store, 500);
    put(&store, "m", "");
    put(&store, "o", "");
    for (uint64_t limit = 1; limit <= 1000; limit = limit * 3 + 1) {
        all = run_scan(&store, kivi_str("n"), limit);
        cr_assert_eq(all->count, 500);
        cr_assert_eq(all->value_bytes, 500);
        for (unsigned i = 0; i < 500; i++) {
            snprintf(key, sizeof(key), "n%03u", i);
            cr_assert_str_eq(all->keys[i], key);
        }
        pages_free(all);
    }
    all = run_scan(&store, kivi_str(""), UINT64_MAX);
    cr_assert_eq(all->count, 502);
    pages_free(all);
    all = run_scan(&store, kivi_str("n49"), 3);
    cr_assert_eq(all->count, 10);
    pages_free(all);
    close_store(&store);
}

/* A page that takes the last pair has no cursor: no empty page follows. */
Test(memory_scan, scan_ends)
{
    memory_store store = open_store("");
    kivi_scan_range range = {.prefix = kivi_str("n"), .limit = 10};
    pages *page = pages_new();

    fill_numbers(&store, 10);
    put(&store, "o", "");
    cr_assert_eq(run_page(&store, page, range), KIVI_OK);
    cr_assert_eq(page->count, 10);
    cr_assert_eq(page->cursor_size, 0);
    pages_free(page);
    close_store(&store);
}

Test(memory_scan, scan_after_flags_and_end)
{
    memory_store store = open_store("");
    kivi_scan_range range = {.prefix = kivi_str("n"), .after = kivi_str("n002"), .limit = 100};
    pages *page = pages_new();

    fill_numbers(&store, 10);
    cr_assert_eq(write_one(&store, KIVI_OP_TOUCH, "n003", "", 77), KIVI_OK);
    range.flags = KIVI_SCAN_KEYS | KIVI_SCAN_WANT_EXPIRY;
    page->enough = 3;
    cr_assert_eq(run_page(&store, page, range), KIVI_OK);
    cr_assert_eq(page->count, 3);
    cr_assert_str_eq(page->keys[0], "n003");
    cr_assert_eq(page->ttl[0], 77);
    cr_assert_eq(page->ttl[1], KIVI_TTL_NONE);
    cr_assert_eq(page->value_bytes, 0);
    cr_assert_gt(page->cursor_size, 0);
    page->enough = 0;
    cr_assert_eq(run_page(&store, page, range), KIVI_OK);
    cr_assert_eq(page->count, 7);
    cr_assert_str_eq(page->keys[3], "n006");
    page->answer = KIVI_NO_MEMORY;
    cr_assert_eq(run_page(&store, page, range), KIVI_NO_MEMORY);
    cr_assert_null(store.error); /* the core's own status: it knows why */
    pages_free(page);
    page = pages_new();
    range.after = kivi_str("a"); /* before the prefix */
    cr_assert_eq(run_page(&store, page, range), KIVI_OK);
    cr_assert_eq(page->count, 10);
    pages_free(page);
    close_store(&store);
}

Test(memory_scan, scan_while_keys_go)
{
    static const char *const options[] = {"", "order=none"};

    for (int i = 0; i < 2; i++) {
        memory_store store = open_store(options[i]);
        kivi_scan_range range = {.prefix = kivi_str("n"), .limit = 7};
        pages *all = pages_new();
        size_t done = 0;

        fill_numbers(&store, 200);
        do {
            cr_assert_eq(run_page(&store, all, range), KIVI_OK);
            for (; done < all->count; done++)
                cr_assert_eq(write_one(&store, KIVI_OP_DELETE, all->keys[done], "", 0), KIVI_OK);
        } while (all->cursor_size);
        cr_assert_eq(all->count, 200);
        expect_detail(&store, "0 keys, 0 bytes");
        pages_free(all);
        close_store(&store);
    }
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

Test(memory_scan, scan_unordered)
{
    memory_store store = open_store("order=none");
    bool ordered = true;
    pages *all;

    fill_numbers(&store, 500);
    put(&store, "m", "");
    all = run_scan(&store, kivi_str("n"), 9);
    cr_assert_eq(all->count, 500);
    for (size_t i = 1; i < 500; i++)
        ordered = ordered && strcmp(all->keys[i - 1], all->keys[i]) < 0;
    cr_assert_not(ordered);
    qsort(all->keys, 500, sizeof(all->keys[0]), compare_texts);
    for (size_t i = 1; i < 500; i++)
        cr_assert_lt(strcmp(all->keys[i - 1], all->keys[i]), 0, "each key comes once");
    pages_free(all);
    close_store(&store);
}

static void set_long_key(memory_store *store, char *key, size_t size, int last, int32_t kind)
{
    write_set writes = {0};

    memset(key, 'x', size);
    key[size - 1] = (char)last;
    add_write(&writes, kind, "", "")->key = kivi_bytes(key, size);
    cr_assert_eq(run_write(store, &writes), KIVI_OK);
    cr_assert_eq(writes.items[0].status, KIVI_OK);
}

/* Keys of many KiB: a cursor has the whole of one. */
Test(memory_scan, scan_long_keys)
{
    enum { SIZE = 60000, COUNT = 20 };
    memory_store store = open_store("");
    kivi_scan_range range = {.limit = 1};
    char *key = malloc(SIZE);
    pages *all;

    for (int i = 0; i < COUNT; i++)
        set_long_key(&store, key, SIZE, 'a' + i, KIVI_OP_SET);
    put(&store, "y", "");
    all = run_scan(&store, kivi_str(""), 1);
    cr_assert_eq(all->count, COUNT + 1);
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(all->keys[i][SIZE - 1], 'a' + i);
    pages_free(all);
    memset(key, 'x', SIZE);
    all = run_scan(&store, kivi_bytes(key, SIZE - 1), 3);
    cr_assert_eq(all->count, COUNT);
    pages_free(all);
    /* the key that the cursor names goes: nothing is left out */
    all = pages_new();
    cr_assert_eq(run_page(&store, all, range), KIVI_OK);
    set_long_key(&store, key, SIZE, 'a', KIVI_OP_DELETE);
    cr_assert_eq(run_page(&store, all, range), KIVI_OK);
    cr_assert_eq(all->keys[1][SIZE - 1], 'b');
    pages_free(all);
    free(key);
    close_store(&store);
}

Test(memory_scan, scan_bad_cursors)
{
    static const kivi_slice cursors[] = {{"\0", 1}, {"\1n1", 3}, {"\0m1", 3}, {"n1", 2}};
    memory_store store = open_store("");
    kivi_scan_range range = {.prefix = kivi_str("n"), .limit = 5};

    put(&store, "n2", "");
    for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
        pages *page = pages_new();

        memcpy(page->cursor, cursors[i].data, cursors[i].size);
        page->cursor_size = cursors[i].size;
        cr_assert_eq(run_page(&store, page, range), KIVI_INVALID, "cursor %zu", i);
        cr_assert_not_null(store.error);
        cr_assert_eq(page->count, 0);
        pages_free(page);
    }
    close_store(&store);
}

Test(memory_scan, count)
{
    memory_store store = open_store("");
    fake_wait wait = wait_for_ms(0);
    kivi_count count = {.struct_size = sizeof(count), .prefix = kivi_str("c")};
    char key[16];

    for (unsigned i = 0; i < 25000; i++) {
        snprintf(key, sizeof(key), "c%u", i);
        cr_assert_eq(write_one(&store, KIVI_OP_SET, key, "", i % 5 ? 0 : 10), KIVI_OK);
    }
    put(&store, "d", "");
    put(&store, "c%20", "");
    AHEAD(11);
    cr_assert_eq(store.table->count(store.handle, NULL, &count, &wait.wait, &store.error), KIVI_OK);
    cr_assert_eq(count.names, 20001);
    cr_assert_eq(count.escaped, 0, "not asked for");
    cr_assert_gt(atomic_load(&wait.checks), 0);
    count.flags = KIVI_COUNT_WANT_ESCAPED;
    count.names = 0;
    cr_assert_eq(store.table->count(store.handle, NULL, &count, &wait.wait, &store.error), KIVI_OK);
    cr_assert_eq(count.names, 20001);
    cr_assert_eq(count.escaped, 1);
    count.prefix = kivi_str("c%20");
    count.names = count.escaped = 0;
    cr_assert_eq(store.table->count(store.handle, NULL, &count, &wait.wait, &store.error), KIVI_OK);
    cr_assert_eq(count.names, 1);
    cr_assert_eq(count.escaped, 0, "what the prefix holds is no escape behind it");
    count.prefix = kivi_str("c");
    wait.answer = KIVI_INTERRUPTED;
    cr_assert_eq(store.table->count(store.handle, NULL, &count, &wait.wait, &store.error),
                 KIVI_INTERRUPTED);
    close_store(&store);
}
