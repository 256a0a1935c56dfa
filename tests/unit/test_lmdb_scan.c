/* The lmdb backend: scans and counts. */
#include <lmdb.h>

#include "lmdb_fixture.h"

TestSuite(lmdb_scan, .init = fixture_begin, .fini = fixture_end);

static kivi_instance with_keys(const char *keys)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    char key[2] = {0, 0};

    for (; *keys; keys++) {
        key[0] = *keys;
        put(&store, key, "value", 0);
    }
    return store;
}

Test(lmdb_scan, keys_come_in_byte_order_with_their_values)
{
    kivi_instance store = with_keys("zmaZ9~");
    kivi_scan_range range = {.limit = 100};
    scanned page = {.enough = 0};

    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_str_eq(page.keys, "9 Z a m z ~ ");
    cr_assert_eq(page.value_size, 5);
    cr_assert_eq(page.cursor_size, 0);
    range.flags = KIVI_SCAN_KEYS;
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_eq(page.count, 6);
    cr_assert_eq(page.value_size, 0);
    lmdb->close(store.handle);
}

Test(lmdb_scan, pages_follow_each_other_and_the_last_has_no_cursor)
{
    kivi_instance store = with_keys("abcdef");
    kivi_scan_range range = {.limit = 2};
    scanned page = {.enough = 0};
    static const char *const pages[] = {"a b ", "c d ", "e f "};

    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
        cr_assert_str_eq(page.keys, pages[i]);
        cr_assert_eq(page.cursor_size > 0, i < 2);
        range.cursor = kivi_bytes(page.cursor, page.cursor_size);
    }
    lmdb->close(store.handle);
}

Test(lmdb_scan, a_cursor_outlives_its_key_and_its_process)
{
    kivi_instance store = with_keys("abcdef");
    kivi_scan_range range = {.limit = 2};
    kivi_write_item gone = write_item(KIVI_OP_DELETE, "b", NULL);
    scanned page = {.enough = 0};

    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_eq(write_one(&store, &gone), KIVI_OK);
    lmdb->close(store.handle);
    store = open_store(path_of("s"), NULL);
    range.cursor = kivi_bytes(page.cursor, page.cursor_size);
    range.limit = 100;
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_str_eq(page.keys, "c d e f ");
    lmdb->close(store.handle);
}

Test(lmdb_scan, prefix_and_after)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    static const char *const keys[] = {"a", "ab", "abc", "abd", "ac", "b"};
    kivi_scan_range range = {.limit = 100, .prefix = {"ab", 2}};
    scanned page = {.enough = 0};

    for (size_t i = 0; i < 6; i++)
        put(&store, keys[i], "v", 0);
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_str_eq(page.keys, "ab abc abd ");
    range.after = kivi_str("ab");
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_str_eq(page.keys, "abc abd ");
    range.after = kivi_str("a");
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_str_eq(page.keys, "ab abc abd ");
    range.after = kivi_str("zz");
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_str_eq(page.keys, "");
    range.prefix = kivi_bytes(NULL, 0);
    range.after = kivi_str("abcz");
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_str_eq(page.keys, "abd ac b ");
    cr_assert_eq(count_keys(&store, "ab"), 3);
    cr_assert_eq(count_keys(&store, "x"), 0);
    cr_assert_eq(count_keys(&store, ""), 6);
    lmdb->close(store.handle);
}

Test(lmdb_scan, the_sink_may_have_enough)
{
    kivi_instance store = with_keys("abc");
    kivi_scan_range range = {.limit = 100};
    scanned page = {.enough = 2};

    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_str_eq(page.keys, "a b ");
    range.cursor = kivi_bytes(page.cursor, page.cursor_size);
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_str_eq(page.keys, "c ");
    cr_assert_eq(page.cursor_size, 0);
    lmdb->close(store.handle);
}

Test(lmdb_scan, forged_cursors_are_refused)
{
    kivi_instance store = with_keys("abc");
    kivi_scan_range range = {.limit = 100};
    static const uint8_t long_one[600] = {1};
    scanned page = {.enough = 0};

    range.cursor = kivi_bytes("\x07"
                              "abc",
                              4);
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_INVALID);
    range.cursor = kivi_bytes("\x01", 1);
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_INVALID);
    range.cursor = kivi_bytes(long_one, sizeof(long_one));
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_INVALID);
    lmdb->close(store.handle);
}

Test(lmdb_scan, expiries_come_when_asked_for)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    kivi_scan_range range = {.limit = 1, .prefix = {"k", 1}};
    scanned page = {.enough = 0};

    atomic_store(&fake_clock, 1700000000000);
    put(&store, "k1", "v", 500);
    put(&store, "k2", "v", 0);
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_eq(page.ttl_ms, KIVI_TTL_NONE);
    range.flags = KIVI_SCAN_WANT_EXPIRY;
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_eq(page.ttl_ms, 500);
    range.cursor = kivi_bytes(page.cursor, page.cursor_size);
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_eq(page.ttl_ms, KIVI_TTL_NONE);
    lmdb->close(store.handle);
}

/* Expiries and pairs are walked side by side: any mixture of both must come out right. */
Test(lmdb_scan, mixtures_of_expiries)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false", "sweep=0"));
    unsigned seed = 12345, alive = 0;
    kivi_scan_range range = {.limit = 37};
    scanned page = {.enough = 0};
    uint64_t seen = 0;

    atomic_store(&fake_clock, 1700000000000);
    for (unsigned i = 0; i < 1000; i++) {
        char key[16];
        seed = seed * 1664525 + 1013904223;
        snprintf(key, sizeof(key), "%08x", i * 2654435761u);
        /* Long runs with and without expiries, then single ones. */
        put(&store, key, "v",
            i < 300           ? 100
            : i < 600         ? 0
            : seed >> 30 == 0 ? 0
            : seed >> 30 == 1 ? 100
                              : 900);
        alive += !(i < 300 || (i >= 600 && seed >> 30 == 1));
    }
    atomic_store(&fake_clock, 1700000000500);
    do {
        cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
        seen += page.count;
        range.cursor = kivi_bytes(page.cursor, page.cursor_size);
    } while (page.cursor_size);
    cr_assert_eq(seen, alive);
    cr_assert_eq(count_keys(&store, ""), alive);
    lmdb->close(store.handle);
}

Test(lmdb_scan, databases_of_another_program_are_no_keys)
{
    kivi_instance store;
    kivi_write_item items[3];
    kivi_scan_range range = {.limit = 10};
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi main_dbi, dbi;
    MDB_val key = {1, (void *)"k"}, value = {1, (void *)"v"};
    scanned page = {.enough = 0};
    taken into;

    cr_assert_eq(mdb_env_create(&env), 0);
    cr_assert_eq(mdb_env_set_maxdbs(env, 4), 0);
    cr_assert_eq(mdb_env_open(env, path_of("s"), MDB_NOSUBDIR, 0600), 0);
    cr_assert_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    cr_assert_eq(mdb_dbi_open(txn, NULL, 0, &main_dbi), 0);
    cr_assert_eq(mdb_put(txn, main_dbi, &key, &value, 0), 0);
    cr_assert_eq(mdb_dbi_open(txn, "theirs", MDB_CREATE, &dbi), 0);
    cr_assert_eq(mdb_put(txn, dbi, &key, &value, 0), 0);
    cr_assert_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);

    store = open_store(path_of("s"), WITH("sync=false"));
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_str_eq(page.keys, "k ");
    cr_assert_eq(count_keys(&store, ""), 1);
    cr_assert_eq(get_bytes(&store, kivi_str("theirs"), &into), KIVI_WRONG_TYPE);
    items[0] = write_item(KIVI_OP_SET, "a", "1");
    items[1] = write_item(KIVI_OP_DELETE, "theirs", NULL);
    items[2] = write_item(KIVI_OP_SET, "z", "1");
    cr_assert_eq(write_all(&store, items, 3, 0, 1000), KIVI_OK);
    cr_assert_eq(items[0].status, KIVI_OK);
    cr_assert_eq(items[1].status, KIVI_WRONG_TYPE);
    cr_assert_eq(items[2].status, KIVI_OK);
    free(items[1].error);
    expect(&store, "a", "1");
    expect(&store, "z", "1");
    items[1] = write_item(KIVI_OP_SET, "theirs", "mine");
    cr_assert_eq(write_one(&store, &items[1]), KIVI_WRONG_TYPE);
    items[0] = write_item(KIVI_OP_SET, "a", "2");
    items[1] = write_item(KIVI_OP_DELETE, "theirs", NULL);
    cr_assert_eq(write_all(&store, items, 2, KIVI_VECTOR_ATOMIC, 1000), KIVI_OK);
    cr_assert_eq(items[0].status, KIVI_ABORTED);
    cr_assert_eq(items[1].status, KIVI_WRONG_TYPE);
    free(items[1].error);
    expect(&store, "a", "1");
    /* A value of as many bytes as the record of a database is still a value. */
    put(&store, "forty-eight", "123456789012345678901234567890123456789012345678", 0);
    expect(&store, "forty-eight", "123456789012345678901234567890123456789012345678");
    lmdb->close(store.handle);
}

Test(lmdb_scan, a_count_ends_in_time)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    fixture_wait over = wait_ms(0);
    kivi_error *error = NULL;
    kivi_count count = {.struct_size = sizeof(count), .prefix = kivi_str("0")};
    char key[16];
    static kivi_write_item items[3000];
    static char keys[3000][8];

    for (size_t i = 0; i < 3000; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%05zu", i);
        items[i] = write_item(KIVI_OP_SET, keys[i], "v");
    }
    cr_assert_eq(write_all(&store, items, 3000, 0, 5000), KIVI_OK);
    cr_assert_eq(lmdb->count(store.handle, NULL, &count, &over.wait, &error), KIVI_TIMEOUT);
    cr_assert_not_null(error);
    free(error);
    snprintf(key, sizeof(key), "%05d", 0);
    expect(&store, key, "v");
    lmdb->close(store.handle);
}

Test(lmdb_scan, unfit_files_are_refused)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    cr_assert_eq(mdb_env_create(&env), 0);
    cr_assert_eq(mdb_env_open(env, path_of("s"), MDB_NOSUBDIR, 0600), 0);
    cr_assert_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    cr_assert_eq(mdb_dbi_open(txn, NULL, MDB_REVERSEKEY | MDB_CREATE, &dbi), 0);
    cr_assert_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    refuse_open(path_of("s"), KIVI_UNSUPPORTED, "reversed keys", NULL);
}
