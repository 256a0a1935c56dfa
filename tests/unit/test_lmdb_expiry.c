/* The lmdb backend: expiries, the sweep, the mark of a file, and the keys that lie where the mark does. */
#include <endian.h>
#include <lmdb.h>

#include "lmdb_fixture.h"

#define NOON INT64_C(1700000000000)

static void begin(void)
{
    fixture_begin();
    atomic_store(&fake_clock, NOON);
}

TestSuite(lmdb_expiry, .init = begin, .fini = fixture_end);

static kivi_instance fast(const char *name)
{
    return open_store(path_of(name), WITH("sync=false"));
}

static int64_t ttl_of(const kivi_instance *store, const char *key)
{
    kivi_read_item item = read_item(kivi_str(key), KIVI_WANT_EXPIRY);
    taken into;

    item.ttl_ms = 77;
    if (read_one(store, &item, &into, 1000) != KIVI_OK)
        return -1;
    cr_assert_eq(into.deliveries, 0);
    return item.ttl_ms;
}

/* ---- LMDB itself, as another program would use it ---- */

static MDB_env *raw_env;

static MDB_txn *raw_begin(const char *name, const char *database, MDB_dbi *dbi)
{
    MDB_txn *txn;

    cr_assert_eq(mdb_env_create(&raw_env), 0);
    cr_assert_eq(mdb_env_set_maxdbs(raw_env, 8), 0);
    cr_assert_eq(mdb_env_open(raw_env, path_of(name), MDB_NOSUBDIR, 0600), 0);
    cr_assert_eq(mdb_txn_begin(raw_env, NULL, 0, &txn), 0);
    cr_assert_eq(mdb_dbi_open(txn, database, MDB_CREATE, dbi), 0);
    return txn;
}

static void raw_end(MDB_txn *txn)
{
    cr_assert_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(raw_env);
}

static void raw_put(const char *name, const char *database, const void *key, size_t size, const char *value)
{
    MDB_dbi dbi;
    MDB_txn *txn = raw_begin(name, database, &dbi);
    MDB_val k = {size, (void *)key}, v = {strlen(value), (void *)value};

    cr_assert_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
    raw_end(txn);
}

static size_t raw_entries(const char *name, const char *database)
{
    MDB_dbi dbi;
    MDB_txn *txn = raw_begin(name, database, &dbi);
    MDB_stat stat;

    cr_assert_eq(mdb_stat(txn, dbi, &stat), 0);
    raw_end(txn);
    return stat.ms_entries;
}

Test(lmdb_expiry, an_expired_key_is_gone_for_everybody)
{
    kivi_instance store = fast("s");
    kivi_write_item item;
    kivi_scan_range range = {.limit = 10};
    scanned page = {.enough = 0};

    put(&store, "a", "1", 0);
    put(&store, "b", "2", 1000);
    put(&store, "c", "3", 2000);
    cr_assert_eq(ttl_of(&store, "a"), KIVI_TTL_NONE);
    cr_assert_eq(ttl_of(&store, "b"), 1000);
    atomic_store(&fake_clock, NOON + 999);
    cr_assert_eq(ttl_of(&store, "b"), 1);
    expect(&store, "b", "2");
    cr_assert_eq(count_keys(&store, ""), 3);
    /* Never early: the clock's ms may have begun before the write's. */
    atomic_store(&fake_clock, NOON + 1000);
    cr_assert_eq(ttl_of(&store, "b"), 1);
    expect(&store, "b", "2");
    atomic_store(&fake_clock, NOON + 1001);
    expect(&store, "b", NULL);
    cr_assert_eq(ttl_of(&store, "b"), -1);
    cr_assert_eq(count_keys(&store, ""), 2);
    cr_assert_eq(count_keys(&store, "b"), 0);
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_str_eq(page.keys, "a c ");
    item = write_item(KIVI_OP_DELETE, "b", NULL);
    item.condition = KIVI_IF_PRESENT;
    cr_assert_eq(write_one(&store, &item), KIVI_CONDITION);
    item = write_item(KIVI_OP_SET, "b", "new");
    item.condition = KIVI_IF_EQUAL;
    item.expected = kivi_str("2");
    cr_assert_eq(write_one(&store, &item), KIVI_CONDITION);
    item = write_item(KIVI_OP_TOUCH, "b", NULL);
    item.ttl_ms = 500;
    cr_assert_eq(write_one(&store, &item), KIVI_NOT_FOUND);
    item = write_item(KIVI_OP_DELETE, "b", NULL);
    item.flags = KIVI_OP_WANT_EXISTED;
    item.existed = 5;
    cr_assert_eq(write_one(&store, &item), KIVI_OK);
    cr_assert_eq(item.existed, 0);
    item = write_item(KIVI_OP_SET, "c", "again");
    atomic_store(&fake_clock, NOON + 5000);
    item.condition = KIVI_IF_ABSENT;
    cr_assert_eq(write_one(&store, &item), KIVI_OK);
    expect(&store, "c", "again");
    cr_assert_eq(ttl_of(&store, "c"), KIVI_TTL_NONE);
    lmdb->close(store.handle);
}

Test(lmdb_expiry, a_plain_write_clears_it_and_keep_keeps_it)
{
    kivi_instance store = fast("s");

    put(&store, "k", "v", 1000);
    put(&store, "k", "v", 0); /* the same bytes */
    cr_assert_eq(ttl_of(&store, "k"), KIVI_TTL_NONE);
    put(&store, "k", "v", 1000);
    put(&store, "k", "other", KIVI_TTL_KEEP);
    cr_assert_eq(ttl_of(&store, "k"), 1000);
    expect(&store, "k", "other");
    put(&store, "new", "v", KIVI_TTL_KEEP);
    cr_assert_eq(ttl_of(&store, "new"), KIVI_TTL_NONE);
    atomic_store(&fake_clock, NOON + 1001);
    expect(&store, "k", NULL);
    /* Nothing is kept of what is gone. */
    put(&store, "k", "later", KIVI_TTL_KEEP);
    cr_assert_eq(ttl_of(&store, "k"), KIVI_TTL_NONE);
    lmdb->close(store.handle);
}

Test(lmdb_expiry, touch_sets_and_takes_away)
{
    kivi_instance store = fast("s");
    kivi_write_item item = write_item(KIVI_OP_TOUCH, "k", NULL);
    kivi_write_item both[2];

    item.ttl_ms = 300;
    cr_assert_eq(write_one(&store, &item), KIVI_NOT_FOUND);
    put(&store, "k", "v", 0);
    item.status = KIVI_PENDING;
    cr_assert_eq(write_one(&store, &item), KIVI_OK);
    cr_assert_eq(ttl_of(&store, "k"), 300);
    item.status = KIVI_PENDING;
    item.ttl_ms = KIVI_TTL_KEEP;
    cr_assert_eq(write_one(&store, &item), KIVI_OK);
    cr_assert_eq(ttl_of(&store, "k"), 300);
    item.status = KIVI_PENDING;
    item.ttl_ms = KIVI_TTL_NONE;
    cr_assert_eq(write_one(&store, &item), KIVI_OK);
    cr_assert_eq(ttl_of(&store, "k"), KIVI_TTL_NONE);
    both[0] = write_item(KIVI_OP_SET, "a", "1");
    both[1] = write_item(KIVI_OP_TOUCH, "missing", NULL);
    both[1].ttl_ms = 5;
    cr_assert_eq(write_all(&store, both, 2, KIVI_VECTOR_ATOMIC, 1000), KIVI_OK);
    /* A missing key is no condition that did not hold. */
    cr_assert_eq(both[0].status, KIVI_OK);
    cr_assert_eq(both[1].status, KIVI_NOT_FOUND);
    expect(&store, "a", "1");
    lmdb->close(store.handle);
}

Test(lmdb_expiry, increment_keeps_the_window)
{
    kivi_instance store = fast("s");
    kivi_write_item item = write_item(KIVI_OP_INCREMENT, "n", NULL);

    item.by = 1;
    item.ttl_ms = 1000;
    for (int i = 1; i <= 3; i++) {
        item.status = KIVI_PENDING;
        cr_assert_eq(write_one(&store, &item), KIVI_OK);
        cr_assert_eq(item.integer, i);
        atomic_fetch_add(&fake_clock, 100);
    }
    cr_assert_eq(ttl_of(&store, "n"), 700);
    atomic_store(&fake_clock, NOON + 1001);
    item.status = KIVI_PENDING;
    cr_assert_eq(write_one(&store, &item), KIVI_OK);
    cr_assert_eq(item.integer, 1);
    cr_assert_eq(ttl_of(&store, "n"), 1000);
    lmdb->close(store.handle);
}

Test(lmdb_expiry, get_with_touch)
{
    kivi_instance store = fast("s");
    kivi_read_item item = read_item(kivi_str("k"), KIVI_WANT_VALUE);
    taken into;

    put(&store, "k", "v", 0);
    item.then = KIVI_THEN_TOUCH;
    item.ttl_ms = 400;
    cr_assert_eq(read_one(&store, &item, &into, 1000), KIVI_OK);
    cr_assert_eq(into.size, 1);
    cr_assert_eq(ttl_of(&store, "k"), 400);
    item.status = KIVI_PENDING;
    item.ttl_ms = KIVI_TTL_NONE;
    cr_assert_eq(read_one(&store, &item, &into, 1000), KIVI_OK);
    cr_assert_eq(ttl_of(&store, "k"), KIVI_TTL_NONE);
    put(&store, "k", "v", 10);
    atomic_store(&fake_clock, NOON + 11);
    item.status = KIVI_PENDING;
    item.then = KIVI_THEN_DELETE;
    cr_assert_eq(read_one(&store, &item, &into, 1000), KIVI_NOT_FOUND);
    lmdb->close(store.handle);
}

Test(lmdb_expiry, the_record_is_as_documented)
{
    kivi_instance store = fast("s");
    MDB_val key = {1, (void *)"k"}, data;
    uint64_t words[2];
    MDB_dbi dbi;
    MDB_txn *txn;

    put(&store, "k", "v", 1234);
    lmdb->close(store.handle);
    txn = raw_begin("s", "kivi", &dbi);
    cr_assert_eq(mdb_get(txn, dbi, &key, &data), 0);
    cr_assert_eq(data.mv_size, 16);
    memcpy(words, data.mv_data, 16);
    cr_assert_eq((int64_t)be64toh(words[0]), NOON + 1234);
    cr_assert_eq(be64toh(words[1]), host_hash(kivi_str("v")));
    raw_end(txn);
    /* The value is bare. */
    txn = raw_begin("s", NULL, &dbi);
    cr_assert_eq(mdb_get(txn, dbi, &key, &data), 0);
    cr_assert_eq(data.mv_size, 1);
    raw_end(txn);
}

Test(lmdb_expiry, what_another_program_wrote_over_it_stays)
{
    kivi_instance store = fast("s");

    put(&store, "k", "ours", 1000);
    lmdb->close(store.handle);
    raw_put("s", NULL, "k", 1, "theirs");
    atomic_store(&fake_clock, NOON + 100000);
    store = fast("s");
    expect(&store, "k", "theirs");
    cr_assert_eq(ttl_of(&store, "k"), KIVI_TTL_NONE);
    cr_assert_eq(count_keys(&store, ""), 1);
    put(&store, "sweeping", "1", 0);
    expect(&store, "k", "theirs");
    cr_assert_eq(atomic_load(&swept), 0);
    lmdb->close(store.handle);
    cr_assert_eq(raw_entries("s", "kivi"), 0, "the record was of no use any more");
}

Test(lmdb_expiry, writes_sweep_a_bounded_part)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false", "sweep=10"));
    char key[16];
    unsigned writes = 0;

    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "e%02d", i);
        put(&store, key, "x", i % 2 ? 1000 : 100000);
    }
    atomic_store(&fake_clock, NOON + 1001);
    put(&store, "w", "1", 0);
    cr_assert(atomic_load(&swept) <= 10 && atomic_load(&swept) >= 1);
    while (atomic_load(&swept) < 50 && writes++ < 30)
        put(&store, "w", "1", 0);
    cr_assert_eq(atomic_load(&swept), 50);
    cr_assert(writes <= 20, "%u", writes);
    cr_assert_eq(count_keys(&store, "e"), 50);
    lmdb->close(store.handle);
    cr_assert_eq(raw_entries("s", "kivi"), 50);
    cr_assert_eq(raw_entries("s", NULL), 50 + 1 + 1); /* the key w, the mark */
}

Test(lmdb_expiry, no_sweep_where_none_is_wanted)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false", "sweep=0"));

    put(&store, "a", "1", 10);
    atomic_store(&fake_clock, NOON + 11);
    put(&store, "b", "1", 0);
    expect(&store, "a", NULL);
    cr_assert_eq(atomic_load(&swept), 0);
    lmdb->close(store.handle);
    cr_assert_eq(raw_entries("s", "kivi"), 1);
}

/* Runs something in another process, which must succeed. */
static void in_child(void (*what)(void))
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        what();
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void set_first_expiry(void)
{
    kivi_instance store = fast("s");
    put(&store, "k", "v", 1000);
    lmdb->close(store.handle);
}

Test(lmdb_expiry, a_commit_of_another_process_is_noticed)
{
    kivi_instance store = fast("s");

    put(&store, "k", "v", 0);
    expect(&store, "k", "v");
    in_child(set_first_expiry);
    cr_assert_eq(ttl_of(&store, "k"), 1000);
    atomic_store(&fake_clock, NOON + 1001);
    expect(&store, "k", NULL);
    lmdb->close(store.handle);
}

Test(lmdb_expiry, a_file_of_another_program_stays_one)
{
    kivi_instance store;

    raw_put("s", NULL, "k", 1, "5");
    store = fast("s");
    cr_assert_eq(store.layout, KIVI_LAYOUT_FOREIGN);
    expect(&store, "k", "5");
    put(&store, "l", "6", 0);
    cr_assert_eq(count_keys(&store, ""), 2);
    lmdb->close(store.handle);
    cr_assert_eq(raw_entries("s", NULL), 2, "no mark before the first expiry");
    store = fast("s");
    put(&store, "m", "7", 1000);
    cr_assert_eq(ttl_of(&store, "m"), 1000);
    cr_assert_eq(ttl_of(&store, "k"), KIVI_TTL_NONE);
    cr_assert_eq(count_keys(&store, ""), 3);
    atomic_store(&fake_clock, NOON + 1001);
    expect(&store, "m", NULL);
    lmdb->close(store.handle);
    store = fast("s");
    cr_assert_eq(store.layout, KIVI_LAYOUT_FOREIGN, "expiries do not make another's data ours");
    lmdb->close(store.handle);
}

Test(lmdb_expiry, another_process_marks_the_file)
{
    kivi_instance store;

    raw_put("s", NULL, "k", 1, "5");
    store = fast("s");
    expect(&store, "k", "5");
    in_child(set_first_expiry);
    expect(&store, "k", "v");
    cr_assert_eq(ttl_of(&store, "k"), 1000);
    put(&store, "l", "6", 50);
    cr_assert_eq(ttl_of(&store, "l"), 50);
    lmdb->close(store.handle);
}

Test(lmdb_expiry, a_foreign_key_named_like_the_mark)
{
    kivi_instance store;
    kivi_write_item items[2];

    raw_put("s", NULL, "kivi", 4, "theirs");
    store = fast("s");
    expect(&store, "kivi", "theirs");
    items[0] = write_item(KIVI_OP_SET, "a", "1");
    items[1] = write_item(KIVI_OP_SET, "b", "1");
    items[1].ttl_ms = 100;
    cr_assert_eq(write_all(&store, items, 2, 0, 1000), KIVI_OK);
    cr_assert_eq(items[0].status, KIVI_OK);
    cr_assert_eq(items[1].status, KIVI_UNSUPPORTED);
    cr_assert(items[1].error && strstr(items[1].error->message, "\"kivi\""));
    free(items[1].error);
    expect(&store, "b", NULL);
    expect(&store, "kivi", "theirs");
    lmdb->close(store.handle);
}

Test(lmdb_expiry, keys_named_like_the_mark_in_our_own_file)
{
    kivi_instance store = fast("s");
    uint8_t name[510] = "kivi";
    kivi_scan_range range = {.limit = 100};
    scanned page = {.enough = 0};
    taken into;

    for (size_t size = 4; size <= sizeof(name); size += size < 8 ? 1 : 502) {
        kivi_write_item item = write_item(KIVI_OP_SET, "", "v");
        item.key = kivi_bytes(name, size);
        item.ttl_ms = size == 5 ? 1000 : 0;
        cr_assert_eq(write_one(&store, &item), KIVI_OK, "%zu", size);
    }
    put(&store, "kiv", "before", 0);
    put(&store, "kivi!", "after", 0);
    for (size_t size = 4; size <= sizeof(name); size += size < 8 ? 1 : 502) {
        cr_assert_eq(get_bytes(&store, kivi_bytes(name, size), &into), KIVI_OK);
        cr_assert_eq(into.size, 1);
    }
    cr_assert_eq(get_bytes(&store, kivi_bytes(name, 9), &into), KIVI_NOT_FOUND);
    cr_assert_eq(count_keys(&store, ""), 8);
    cr_assert_eq(count_keys(&store, "kivi"), 7);
    range.prefix = kivi_bytes("kivi\0", 5);
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
    cr_assert_eq(page.count, 5, "not the key \"kivi\" itself");
    range.prefix = kivi_bytes(NULL, 0);
    range.limit = 1;
    for (unsigned i = 0; i < 8; i++) {
        static const size_t sizes[] = {3, 4, 5, 6, 7, 8, 510, 5};
        cr_assert_eq(scan_page(&store, &range, &page), KIVI_OK);
        cr_assert_eq(page.count, 1);
        cr_assert_eq(page.used, sizes[i] + 1, "%u: %zu", i, page.used);
        range.cursor = kivi_bytes(page.cursor, page.cursor_size);
    }
    cr_assert_eq(page.cursor_size, 0);
    atomic_store(&fake_clock, NOON + 1001);
    cr_assert_eq(get_bytes(&store, kivi_bytes(name, 5), &into), KIVI_NOT_FOUND);
    lmdb->close(store.handle);
}
