/* The memory backend at the plugin tier: what open answers, reads, writes, conditions, expiry. */
#include "memory_fixture.h"

TestSuite(memory_backend);

/* ---- The table and what open answers ---- */

Test(memory_backend, table)
{
    const kivi_backend *table = kvi_plugin_memory(KIVI_BACKEND_ABI, &fake_host);

    cr_assert_null(kvi_plugin_memory(KIVI_BACKEND_ABI + 1, &fake_host));
    cr_assert_not_null(table);
    cr_assert_str_eq(table->name, "memory");
    cr_assert_str_eq(table->schemes, "memory");
    for (size_t i = 0; i < table->option_count; i++) {
        const kivi_option_info *info = &table->options[i];

        cr_assert_eq(info->struct_size, sizeof(*info));
        cr_assert_gt(strlen(info->help), 5, "%s", info->name);
        cr_assert_null(strchr(info->help, '\n'));
        cr_assert_eq(info->type == KIVI_OPTION_CHOICE, info->choices != NULL);
        for (size_t j = 0; j < i; j++)
            cr_assert_str_neq(info->name, table->options[j].name);
    }
}

Test(memory_backend, defaults)
{
    memory_store store = open_store("");
    const kivi_capabilities *capabilities = &store.instance.capabilities;

    cr_assert_eq(store.instance.flags, KIVI_BACKEND_BLOCKING | KIVI_BACKEND_SHARED_READS |
                                           KIVI_BACKEND_IN_PLACE | KIVI_BACKEND_INCREMENTS |
                                           KIVI_BACKEND_TAKES | KIVI_BACKEND_TOUCHES |
                                           KIVI_BACKEND_FORK_PRIVATE);
    cr_assert_eq(store.instance.layout, KIVI_LAYOUT_OURS);
    cr_assert_eq(store.instance.max_lanes, 1);
    cr_assert_eq(store.instance.max_items, 0);
    cr_assert_eq(store.instance.max_stored_key, 65536);
    cr_assert_eq(store.instance.escape.rules, 0);
    cr_assert_null(store.instance.escape.reserved_prefix);
    cr_assert_eq(capabilities->max_value, 256u << 20);
    cr_assert_eq(capabilities->max_ttl_ms, KIVI_TTL_MAX);
    cr_assert_eq(capabilities->ttl_resolution_ms, 1);
    cr_assert_eq(capabilities->atomic_max, 1000000);
    cr_assert_eq(capabilities->order, KIVI_ORDER_BYTES);
    cr_assert_eq(capabilities->snapshot, KIVI_NATIVE);
    cr_assert_eq(capabilities->increment, KIVI_NATIVE);
    cr_assert(capabilities->scan_once && capabilities->local && !capabilities->durable);
    close_store(&store);
}

Test(memory_backend, imitations)
{
    memory_store store = open_store(
        "max_key=100&max_value=1KiB&max_ttl=10s&ttl_resolution=2s&atomic=false&"
        "native=false&order=none&text_keys=true&path_keys=true&max_items=7&"
        "max_bytes=1KiB&max_lanes=3&layout=foreign&reserved_prefix=_&"
        "group_commit=true&shape=blocking");
    const kivi_capabilities *capabilities = &store.instance.capabilities;

    cr_assert_eq(store.instance.flags,
                 KIVI_BACKEND_BLOCKING | KIVI_BACKEND_GROUP_COMMIT | KIVI_BACKEND_FORK_PRIVATE);
    cr_assert_eq(store.instance.layout, KIVI_LAYOUT_FOREIGN);
    cr_assert_eq(store.instance.max_lanes, 3);
    cr_assert_eq(store.instance.max_items, 7);
    cr_assert_eq(store.instance.max_bytes, 1024);
    cr_assert_eq(store.instance.max_stored_key, 100);
    cr_assert_eq(store.instance.escape.rules,
                 KIVI_ESCAPE_UTF8 | KIVI_ESCAPE_PATH | KIVI_ESCAPE_OUTER_SPACE);
    cr_assert_eq(store.instance.escape.bytes[0], 1);
    cr_assert_str_eq(store.instance.escape.reserved_prefix, "_");
    cr_assert_eq(capabilities->max_value, 1024);
    cr_assert_eq(capabilities->max_ttl_ms, 10000);
    cr_assert_eq(capabilities->ttl_resolution_ms, 2000);
    cr_assert_eq(capabilities->atomic_max, 0);
    cr_assert_eq(capabilities->order, KIVI_ORDER_NONE);
    cr_assert_eq(capabilities->increment, KIVI_EMULATED);
    cr_assert_eq(capabilities->snapshot, KIVI_ABSENT);
    cr_assert_not(capabilities->local);
    close_store(&store);
}

/* ---- Reads and writes ---- */

Test(memory_backend, set_get_delete)
{
    memory_store store = open_store("");

    expect_value(&store, "a", NULL);
    put(&store, "a", "1");
    put(&store, "ab", "2");
    put(&store, "b", "");
    expect_value(&store, "a", "1");
    expect_value(&store, "ab", "2");
    expect_value(&store, "b", "");
    put(&store, "a", "another and longer value");
    expect_value(&store, "a", "another and longer value");
    cr_assert_eq(write_one(&store, KIVI_OP_DELETE, "a", "", 0), KIVI_OK);
    cr_assert_eq(write_one(&store, KIVI_OP_DELETE, "a", "", 0), KIVI_OK);
    expect_value(&store, "a", NULL);
    expect_value(&store, "ab", "2");
    close_store(&store);
    cr_assert_eq(atomic_load(&fake_errors), 0);
}

Test(memory_backend, every_byte)
{
    memory_store store = open_store("");

    for (unsigned byte = 0; byte < 256; byte++) {
        write_set writes = {0};
        read_set reads = {0};
        uint8_t key[3] = {'k', (uint8_t)byte, (uint8_t)byte};

        add_write(&writes, KIVI_OP_SET, "", "")->key = kivi_bytes(key, 3);
        writes.items[0].value = kivi_bytes(key, 2);
        cr_assert_eq(run_write(&store, &writes), KIVI_OK);
        add_read(&reads, "", KIVI_WANT_VALUE)->key = kivi_bytes(key, 3);
        cr_assert_eq(run_read(&store, &reads), KIVI_OK);
        cr_assert_eq(reads.items[0].status, KIVI_OK);
        cr_assert_eq(reads.deliveries[0].size, 2);
        cr_assert_eq(memcmp(reads.deliveries[0].value, key, 2), 0);
    }
    close_store(&store);
}

Test(memory_backend, vectors)
{
    memory_store store = open_store("");
    write_set writes = {0};
    read_set reads = {0};

    put(&store, "b", "old");
    add_write(&writes, KIVI_OP_SET, "a", "1");
    add_write(&writes, KIVI_OP_DELETE, "b", "");
    add_write(&writes, KIVI_OP_DELETE, "c", "");
    cr_assert_eq(run_write(&store, &writes), KIVI_OK);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(writes.items[i].status, KIVI_OK);
    cr_assert_eq(writes.items[0].existed, 0);
    cr_assert_eq(writes.items[1].existed, 1);
    cr_assert_eq(writes.items[2].existed, 0);
    add_read(&reads, "a", KIVI_WANT_VALUE | KIVI_WANT_VERSION | KIVI_WANT_EXPIRY);
    add_read(&reads, "b", KIVI_WANT_VALUE);
    add_read(&reads, "c", 0);
    add_read(&reads, "a", 0);
    cr_assert_eq(run_read(&store, &reads), KIVI_OK);
    cr_assert_eq(reads.items[0].status, KIVI_OK);
    cr_assert_eq(reads.items[0].ttl_ms, KIVI_TTL_NONE);
    cr_assert_eq(reads.deliveries[0].version_size, 0, "the version is the stored bytes");
    cr_assert_eq(reads.items[1].status, KIVI_NOT_FOUND);
    cr_assert_eq(reads.deliveries[1].times, 0);
    cr_assert_eq(reads.items[2].status, KIVI_NOT_FOUND);
    cr_assert_eq(reads.items[3].status, KIVI_OK);
    cr_assert_eq(reads.deliveries[3].times, 0, "only the presence was asked");
    close_store(&store);
}

/* Items may be longer than this header knows: the vector says by how much. */
Test(memory_backend, longer_items)
{
    struct {
        kivi_write_item item;
        char more[24];
    } items[2] = {
        {{.key = {"a", 1}, .kind = KIVI_OP_SET, .value = {"1", 1}, .status = KIVI_PENDING}, ""},
        {{.key = {"b", 1}, .kind = KIVI_OP_SET, .value = {"2", 1}, .status = KIVI_PENDING}, ""}};
    kivi_write_vector vector = {.struct_size = sizeof(vector),
                                .item_size = sizeof(items[0]),
                                .items = &items[0].item,
                                .count = 2};
    memory_store store = open_store("");
    fake_wait wait = wait_for_ms(0);

    cr_assert_eq(store.table->write(store.handle, store.session, &vector, &wait.wait, &store.error),
                 KIVI_OK);
    cr_assert_eq(items[1].item.status, KIVI_OK);
    expect_value(&store, "a", "1");
    expect_value(&store, "b", "2");
    close_store(&store);
}

static void write_inside(void *user)
{
    put(user, "k", "new");
    expect_value(user, "k", "new");
}

/* A visitor writes the key that it sees: no lock is held, and what it sees stays. */
Test(memory_backend, deliver_may_call_the_store)
{
    memory_store store = open_store("");
    read_set reads = {0};

    put(&store, "k", "old");
    add_read(&reads, "k", KIVI_WANT_VALUE);
    reads.deliveries[0].inside = write_inside;
    reads.deliveries[0].user = &store;
    cr_assert_eq(run_read(&store, &reads), KIVI_OK);
    cr_assert_eq(memcmp(reads.deliveries[0].value, "old", 3), 0);
    expect_value(&store, "k", "new");
    close_store(&store);
}

Test(memory_backend, deliver_may_refuse)
{
    memory_store store = open_store("");
    read_set reads = {0};

    put(&store, "a", "1");
    put(&store, "b", "2");
    add_read(&reads, "a", KIVI_WANT_VALUE);
    add_read(&reads, "b", KIVI_WANT_VALUE);
    reads.deliveries[0].answer = KIVI_NO_MEMORY;
    cr_assert_eq(run_read(&store, &reads), KIVI_OK);
    cr_assert_eq(reads.items[0].status, KIVI_NO_MEMORY);
    cr_assert_eq(reads.items[1].status, KIVI_OK);
    close_store(&store);
}

Test(memory_backend, limits)
{
    memory_store store = open_store("max_key=3&max_value=4&max_ttl=1s");

    cr_assert_eq(write_one(&store, KIVI_OP_SET, "abc", "1234", 1000), KIVI_OK);
    cr_assert_eq(write_one(&store, KIVI_OP_SET, "abcd", "1", 0), KIVI_TOO_LARGE);
    cr_assert_eq(write_one(&store, KIVI_OP_SET, "a", "12345", 0), KIVI_TOO_LARGE);
    cr_assert_eq(write_one(&store, KIVI_OP_SET, "a", "1", 1001), KIVI_UNSUPPORTED);
    cr_assert_eq(write_one(&store, KIVI_OP_TOUCH, "abc", "", 1001), KIVI_UNSUPPORTED);
    cr_assert_eq(write_one(&store, 77, "a", "", 0), KIVI_INVALID);
    expect_value(&store, "a", NULL);
    cr_assert_eq(ttl_of(&store, "abc"), 1000);
    close_store(&store);
    cr_assert_eq(atomic_load(&fake_errors), 0);
}

/* ---- Conditions ---- */

/* What each condition makes of a key that holds "v", and of one that is missing. */
Test(memory_backend, conditions)
{
    static const struct {
        int32_t condition;
        const char *expected;
        kivi_status present, missing;
    } rows[] = {
        {KIVI_IF_ALWAYS, "", KIVI_OK, KIVI_OK},
        {KIVI_IF_ABSENT, "", KIVI_CONDITION, KIVI_OK},
        {KIVI_IF_PRESENT, "", KIVI_OK, KIVI_CONDITION},
        {KIVI_IF_EQUAL, "v", KIVI_OK, KIVI_CONDITION},
        {KIVI_IF_EQUAL, "vv", KIVI_CONDITION, KIVI_CONDITION},
        {KIVI_IF_EQUAL, "", KIVI_CONDITION, KIVI_CONDITION},
        {KIVI_IF_VERSION, "v", KIVI_OK, KIVI_CONDITION},
        {KIVI_IF_VERSION, "w", KIVI_CONDITION, KIVI_CONDITION},
        {99, "", KIVI_CONDITION, KIVI_CONDITION},
    };
    static const int32_t kinds[] = {KIVI_OP_SET, KIVI_OP_DELETE, KIVI_OP_TOUCH, KIVI_OP_CHECK};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t k = 0; k < 4; k++) {
            memory_store store = open_store("");
            write_set writes = {0};
            kivi_status missing = rows[i].missing;

            put(&store, "there", "v");
            for (int there = 0; there < 2; there++) {
                kivi_write_item *item = add_write(&writes, kinds[k], there ? "there" : "missing", "new");

                item->condition = rows[i].condition;
                item->expected = kivi_str(rows[i].expected);
            }
            if (kinds[k] == KIVI_OP_TOUCH && missing == KIVI_OK)
                missing = KIVI_NOT_FOUND;
            cr_assert_eq(run_write(&store, &writes), KIVI_OK);
            cr_assert_eq(writes.items[0].status, missing, "condition %zu kind %zu", i, k);
            cr_assert_eq(writes.items[1].status, rows[i].present, "condition %zu kind %zu", i, k);
            cr_assert_eq(writes.items[0].existed, 0);
            cr_assert_eq(writes.items[1].existed, 1);
            expect_value(&store, "missing", kinds[k] == KIVI_OP_SET && missing == KIVI_OK ? "new" : NULL);
            if (rows[i].present != KIVI_OK || k > 1)
                expect_value(&store, "there", "v");
            else
                expect_value(&store, "there", kinds[k] == KIVI_OP_SET ? "new" : NULL);
            close_store(&store);
        }
    cr_assert_eq(atomic_load(&fake_errors), 0);
}

static void read_version(memory_store *store, const char *key, char version[8])
{
    read_set reads = {0};

    add_read(&reads, key, KIVI_WANT_VERSION);
    cr_assert_eq(run_read(store, &reads), KIVI_OK);
    cr_assert_eq(reads.deliveries[0].times, 1);
    cr_assert_eq(reads.deliveries[0].version_size, 8);
    memcpy(version, reads.deliveries[0].version, 8);
}

static kivi_status set_if_version(memory_store *store, const char *version, size_t size)
{
    write_set writes = {0};
    kivi_write_item *item = add_write(&writes, KIVI_OP_SET, "k", "same");

    item->condition = KIVI_IF_VERSION;
    item->expected = kivi_bytes(version, size);
    cr_assert_eq(run_write(store, &writes), KIVI_OK);
    return item->status;
}

/* A counter tells a value that was written again from one that never changed. */
Test(memory_backend, counted_versions)
{
    memory_store store = open_store("versions=counter");
    char first[8], second[8];

    put(&store, "k", "same");
    read_version(&store, "k", first);
    put(&store, "k", "same");
    read_version(&store, "k", second);
    cr_assert_neq(memcmp(first, second, 8), 0);
    cr_assert_eq(set_if_version(&store, first, 8), KIVI_CONDITION);
    cr_assert_eq(set_if_version(&store, second, 7), KIVI_CONDITION);
    cr_assert_eq(set_if_version(&store, "same", 4), KIVI_CONDITION);
    cr_assert_eq(set_if_version(&store, second, 8), KIVI_OK);
    cr_assert_eq(set_if_version(&store, second, 8), KIVI_CONDITION);
    close_store(&store);
}

/* ---- Increments, takes, touches ---- */

Test(memory_backend, increments)
{
    memory_store store = open_store("");

    cr_assert_eq(increment_by(&store, "n", 5, 100).integer, 5);
    AHEAD(40);
    cr_assert_eq(increment_by(&store, "n", -7, 100000).integer, -2);
    cr_assert_eq(ttl_of(&store, "n"), 60, "the expiry of a key that is there stays");
    cr_assert_eq(increment_by(&store, "n", INT64_MIN, 0).status, KIVI_OVERFLOW);
    cr_assert_eq(increment_by(&store, "n", 0, 0).integer, -2);
    AHEAD(61);
    cr_assert_eq(increment_by(&store, "n", 1, 0).integer, 1, "an expired key counts from 0");
    cr_assert_eq(ttl_of(&store, "n"), KIVI_TTL_NONE);
    put(&store, "text", "no integer");
    cr_assert_eq(increment_by(&store, "text", 1, 0).status, KIVI_WRONG_TYPE);
    expect_value(&store, "text", "no integer");
    close_store(&store);
    cr_assert_eq(atomic_load(&fake_errors), 0);
}

Test(memory_backend, take_and_touch)
{
    memory_store store = open_store("");
    read_set reads = {0};

    put(&store, "a", "1");
    put(&store, "b", "2");
    cr_assert_eq(write_one(&store, KIVI_OP_SET, "c", "3", 50), KIVI_OK);
    add_read(&reads, "a", KIVI_WANT_VALUE)->then = KIVI_THEN_DELETE;
    add_read(&reads, "b", KIVI_WANT_VALUE)->then = KIVI_THEN_TOUCH;
    reads.items[1].ttl_ms = 500;
    add_read(&reads, "c", KIVI_WANT_EXPIRY)->then = KIVI_THEN_TOUCH;
    reads.items[2].ttl_ms = KIVI_TTL_NONE;
    add_read(&reads, "missing", KIVI_WANT_VALUE)->then = KIVI_THEN_DELETE;
    cr_assert_eq(run_read(&store, &reads), KIVI_OK);
    cr_assert_eq(reads.items[0].status, KIVI_OK);
    cr_assert_eq(memcmp(reads.deliveries[0].value, "1", 1), 0);
    expect_value(&store, "a", NULL);
    cr_assert_eq(ttl_of(&store, "b"), 500);
    cr_assert_eq(reads.items[2].ttl_ms, KIVI_TTL_NONE);
    cr_assert_eq(ttl_of(&store, "c"), KIVI_TTL_NONE);
    cr_assert_eq(reads.items[3].status, KIVI_NOT_FOUND);
    close_store(&store);
}

/* ---- Expiry ---- */

Test(memory_backend, expiry_is_exact)
{
    memory_store store = open_store("");
    kivi_scan_range range = {.limit = 10};
    kivi_count count = {.struct_size = sizeof(count)};
    fake_wait wait = wait_for_ms(0);
    pages *page;

    cr_assert_eq(write_one(&store, KIVI_OP_SET, "k", "v", 10), KIVI_OK);
    cr_assert_eq(ttl_of(&store, "k"), 10);
    AHEAD(9);
    cr_assert_eq(ttl_of(&store, "k"), 1);
    AHEAD(1); /* the clock drops fractions: there may be one left */
    cr_assert_eq(ttl_of(&store, "k"), 1);
    expect_value(&store, "k", "v");
    AHEAD(1);
    expect_value(&store, "k", NULL);
    cr_assert_eq(ttl_of(&store, "k"), -1);
    page = pages_new();
    cr_assert_eq(run_page(&store, page, range), KIVI_OK);
    cr_assert_eq(page->count, 0);
    pages_free(page);
    cr_assert_eq(store.table->count(store.handle, NULL, &count, &wait.wait, &store.error), KIVI_OK);
    cr_assert_eq(count.names, 0);
    cr_assert_eq(write_one(&store, KIVI_OP_TOUCH, "k", "", 10), KIVI_NOT_FOUND);
    close_store(&store);
}

Test(memory_backend, expired_is_absent_to_conditions)
{
    memory_store store = open_store("");
    write_set writes = {0};
    kivi_write_item *item = add_write(&writes, KIVI_OP_SET, "k", "new");

    cr_assert_eq(write_one(&store, KIVI_OP_SET, "k", "v", 10), KIVI_OK);
    AHEAD(11);
    item->condition = KIVI_IF_ABSENT;
    item->ttl_ms = KIVI_TTL_KEEP;
    cr_assert_eq(run_write(&store, &writes), KIVI_OK);
    cr_assert_eq(item->status, KIVI_OK);
    cr_assert_eq(item->existed, 0);
    cr_assert_eq(ttl_of(&store, "k"), KIVI_TTL_NONE, "the expiry of what is gone is not kept");
    close_store(&store);
}

Test(memory_backend, writes_and_their_ttl)
{
    memory_store store = open_store("");

    cr_assert_eq(write_one(&store, KIVI_OP_SET, "k", "1", 100), KIVI_OK);
    cr_assert_eq(write_one(&store, KIVI_OP_SET, "k", "2", KIVI_TTL_KEEP), KIVI_OK);
    cr_assert_eq(ttl_of(&store, "k"), 100);
    cr_assert_eq(write_one(&store, KIVI_OP_SET, "k", "3", KIVI_TTL_NONE), KIVI_OK);
    cr_assert_eq(ttl_of(&store, "k"), KIVI_TTL_NONE);
    cr_assert_eq(write_one(&store, KIVI_OP_TOUCH, "k", "", 70), KIVI_OK);
    cr_assert_eq(ttl_of(&store, "k"), 70);
    cr_assert_eq(write_one(&store, KIVI_OP_TOUCH, "k", "", KIVI_TTL_KEEP), KIVI_OK);
    cr_assert_eq(ttl_of(&store, "k"), 70);
    cr_assert_eq(write_one(&store, KIVI_OP_TOUCH, "k", "", KIVI_TTL_NONE), KIVI_OK);
    cr_assert_eq(ttl_of(&store, "k"), KIVI_TTL_NONE);
    cr_assert_eq(write_one(&store, KIVI_OP_SET, "k", "4", KIVI_TTL_MAX), KIVI_OK);
    cr_assert_eq(ttl_of(&store, "k"), KIVI_TTL_MAX);
    close_store(&store);
}

/* Late by less than the resolution, never early. */
Test(memory_backend, resolution)
{
    memory_store store = open_store("ttl_resolution=1s");

    atomic_store(&fake_now, 1000300);
    cr_assert_eq(write_one(&store, KIVI_OP_SET, "k", "v", 500), KIVI_OK);
    AHEAD(699);
    expect_value(&store, "k", "v");
    AHEAD(1);
    expect_value(&store, "k", NULL);
    close_store(&store);
}

/* Each write removes a few that expired; the store is told how many. */
Test(memory_backend, sweep)
{
    memory_store store = open_store("sweep=4");
    char key[8];

    for (unsigned i = 0; i < 10; i++) {
        snprintf(key, sizeof(key), "e%u", i);
        cr_assert_eq(write_one(&store, KIVI_OP_SET, key, "v", 10 + i), KIVI_OK);
    }
    expect_detail(&store, "10 keys, 30 bytes");
    AHEAD(13);
    cr_assert_eq(atomic_load(&fake_swept), 0);
    put(&store, "k", "v");
    cr_assert_eq(atomic_load(&fake_swept), 3);
    expect_detail(&store, "8 keys, 23 bytes");
    AHEAD(100);
    put(&store, "k", "v");
    cr_assert_eq(atomic_load(&fake_swept), 7);
    put(&store, "k", "v");
    put(&store, "k", "v");
    cr_assert_eq(atomic_load(&fake_swept), 10);
    expect_detail(&store, "1 keys, 2 bytes");
    close_store(&store);
}

Test(memory_backend, no_sweep)
{
    memory_store store = open_store("sweep=0");

    cr_assert_eq(write_one(&store, KIVI_OP_SET, "e", "v", 10), KIVI_OK);
    AHEAD(11);
    put(&store, "k", "v");
    expect_detail(&store, "2 keys");
    cr_assert_eq(atomic_load(&fake_swept), 0);
    close_store(&store);
}

/* ---- Atomic vectors ---- */

Test(memory_backend, atomic_all)
{
    memory_store store = open_store("");
    write_set writes = {0};

    put(&store, "a", "1");
    put(&store, "d", "4");
    add_write(&writes, KIVI_OP_CHECK, "a", "")->condition = KIVI_IF_PRESENT;
    add_write(&writes, KIVI_OP_SET, "b", "2")->condition = KIVI_IF_ABSENT;
    add_write(&writes, KIVI_OP_SET, "c", "3")->ttl_ms = 100;
    add_write(&writes, KIVI_OP_DELETE, "d", "");
    add_write(&writes, KIVI_OP_TOUCH, "e", "")->ttl_ms = 5;
    writes.vector.flags = KIVI_VECTOR_ATOMIC;
    cr_assert_eq(run_write(&store, &writes), KIVI_OK);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(writes.items[i].status, KIVI_OK);
        cr_assert_eq(writes.items[i].existed, i == 0 || i == 3);
    }
    cr_assert_eq(writes.items[4].status, KIVI_NOT_FOUND);
    expect_value(&store, "b", "2");
    cr_assert_eq(ttl_of(&store, "c"), 100);
    expect_value(&store, "d", NULL);
    close_store(&store);
}

Test(memory_backend, atomic_nothing)
{
    static const struct {
        int32_t kind, condition;
        int64_t ttl;
        kivi_status status;
    } culprits[] = {
        {KIVI_OP_SET, KIVI_IF_PRESENT, 0, KIVI_CONDITION},
        {KIVI_OP_CHECK, KIVI_IF_EQUAL, 0, KIVI_CONDITION},
        {KIVI_OP_INCREMENT, KIVI_IF_ALWAYS, 0, KIVI_INVALID},
        {KIVI_OP_SET, KIVI_IF_ALWAYS, 100000, KIVI_UNSUPPORTED},
    };

    for (size_t n = 0; n < sizeof(culprits) / sizeof(culprits[0]); n++) {
        memory_store store = open_store("max_ttl=10s");
        write_set writes = {0};
        kivi_write_item *culprit;

        put(&store, "a", "1");
        put(&store, "d", "4");
        add_write(&writes, KIVI_OP_SET, "a", "changed");
        add_write(&writes, KIVI_OP_SET, "b", "added");
        culprit = add_write(&writes, culprits[n].kind, "c", "5");
        culprit->condition = culprits[n].condition;
        culprit->ttl_ms = culprits[n].ttl;
        add_write(&writes, KIVI_OP_DELETE, "d", "");
        writes.vector.flags = KIVI_VECTOR_ATOMIC;
        cr_assert_eq(run_write(&store, &writes), KIVI_OK);
        for (size_t i = 0; i < 4; i++) {
            cr_assert_eq(writes.items[i].status, i == 2 ? culprits[n].status : KIVI_ABORTED);
            fake_error_free(&writes.items[i].error);
        }
        expect_value(&store, "a", "1");
        expect_value(&store, "b", NULL);
        expect_value(&store, "c", NULL);
        expect_value(&store, "d", "4");
        close_store(&store);
    }
    cr_assert_eq(atomic_load(&fake_errors), 0);
}

Test(memory_backend, atomic_absent)
{
    memory_store store = open_store("atomic=false");
    write_set writes = {0};

    add_write(&writes, KIVI_OP_SET, "a", "1");
    writes.vector.flags = KIVI_VECTOR_ATOMIC;
    cr_assert_eq(run_write(&store, &writes), KIVI_UNSUPPORTED);
    cr_assert_eq(writes.items[0].status, KIVI_PENDING);
    expect_value(&store, "a", NULL);
    close_store(&store);
}
