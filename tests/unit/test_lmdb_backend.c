/* The lmdb backend: opening in all its forms, and what writes and reads answer. */
#include <fcntl.h>
#include <lmdb.h>

#include "lmdb_fixture.h"

TestSuite(lmdb_backend, .init = fixture_begin, .fini = fixture_end);

static bool is_there(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

Test(lmdb_backend, a_file_and_a_directory_have_their_files_beside_them)
{
    kivi_instance file = open_store(path_of("plain"), NULL);
    kivi_instance made = open_store(path_of("made/"), NULL);
    kivi_instance found;

    cr_assert(is_there("plain") && is_there("plain-lock") && is_there("plain-kivi"));
    cr_assert(is_there("made/data.mdb") && is_there("made/lock.mdb") && is_there("made/kivi.lock"));
    put(&file, "k", "file", 0);
    put(&made, "k", "made", 0);
    /* An existing directory needs no slash: the same store again. */
    found = open_store(path_of("made"), NULL);
    expect(&found, "k", "made");
    expect(&file, "k", "file");
    lmdb->close(found.handle);
    lmdb->close(made.handle);
    lmdb->close(file.handle);
}

Test(lmdb_backend, another_abi_is_refused)
{
    kivi_host small = host;

    cr_assert_null(kvi_plugin_lmdb(KIVI_BACKEND_ABI + 1, &host));
    small.struct_size = 16;
    cr_assert_null(kvi_plugin_lmdb(KIVI_BACKEND_ABI, &small));
}

Test(lmdb_backend, what_it_can_do)
{
    kivi_instance store = open_store(path_of("s"), NULL), fast;
    kivi_capabilities *can = &store.capabilities;

    cr_assert_eq(store.flags, KIVI_BACKEND_BLOCKING | KIVI_BACKEND_SHARED_READS |
                                  KIVI_BACKEND_IN_PLACE | KIVI_BACKEND_INCREMENTS | KIVI_BACKEND_TAKES |
                                  KIVI_BACKEND_TOUCHES | KIVI_BACKEND_GROUP_COMMIT);
    cr_assert_eq(store.layout, KIVI_LAYOUT_OURS);
    cr_assert_eq(store.max_lanes, 1);
    cr_assert_eq(store.max_stored_key, 510);
    cr_assert(can->durable && can->local && can->scan_once && !can->shared_keyspace);
    cr_assert_eq(can->order, KIVI_ORDER_BYTES);
    cr_assert_eq(can->consistency, KIVI_LINEARIZABLE);
    cr_assert_eq(can->snapshot, KIVI_NATIVE);
    cr_assert_eq(can->ttl_resolution_ms, 1);
    cr_assert(can->atomic_max >= 100000);
    fast = open_store(path_of("fast"), WITH("sync=false"));
    cr_assert(!fast.capabilities.durable);
    cr_assert(!(fast.flags & KIVI_BACKEND_GROUP_COMMIT));
    lmdb->close(fast.handle);
    lmdb->close(store.handle);
}

Test(lmdb_backend, odd_paths_are_named_errors)
{
    int fd;

    refuse_open("", KIVI_INVALID, "no path", NULL);
    refuse_open(path_of("no/such/file"), KIVI_INVALID, "no/such/file", NULL);
    refuse_open(path_of("no/such/"), KIVI_INVALID, "no/such/", NULL);
    refuse_open(path_of("absent"), KIVI_INVALID, "absent", WITH("create=false"));
    refuse_open(path_of("absent/"), KIVI_INVALID, "absent/", WITH("create=false"));
    refuse_open(path_of("absent"), KIVI_INVALID, "absent", WITH("read_only=true"));
    cr_assert(!is_there("absent") && !is_there("absent-lock") && !is_there("absent-kivi"));
    cr_assert_eq(mkfifo(path_of("pipe"), 0600), 0);
    refuse_open(path_of("pipe"), KIVI_INVALID, "pipe", NULL);
    cr_assert_eq(mkdir(path_of("dir"), 0700), 0);
    cr_assert_eq(mkdir(path_of("dir/data.mdb"), 0700), 0);
    refuse_open(path_of("dir"), KIVI_INVALID, "dir/data.mdb", NULL);
    fd = open(path_of("file"), O_CREAT | O_RDWR, 0600);
    cr_assert(fd >= 0);
    close(fd);
    refuse_open(path_of("file/below"), KIVI_INVALID, "file/below", NULL);
    refuse_open(path_of("s"), KIVI_INVALID, "octal", WITH("mode=9"));
    refuse_open(path_of("s"), KIVI_INVALID, "octal", WITH("mode=0044"));
    /* A file of no bytes is a new one. */
    {
        kivi_instance store = open_store(path_of("file"), NULL);
        put(&store, "k", "v", 0);
        lmdb->close(store.handle);
    }
}

Test(lmdb_backend, files_get_their_mode)
{
    kivi_instance store = open_store(path_of("s"), WITH("mode=0640"));
    static const char *const names[] = {"s", "s-lock", "s-kivi"};
    struct stat info;

    umask(0);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(stat(path_of(names[i]), &info), 0);
        cr_assert_eq(info.st_mode & 0777 & ~0640u, 0u);
    }
    lmdb->close(store.handle);
    store = open_store(path_of("t/"), WITH("mode=0640"));
    cr_assert_eq(stat(path_of("t"), &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0750);
    cr_assert_eq(stat(path_of("t/data.mdb"), &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0640);
    lmdb->close(store.handle);
}

/* In a child, and without root's powers. */
static void as_nobody(void (*what)(void))
{
    pid_t child = fork();
    int status;

    cr_assert(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(70);
        what();
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child answered %x", status);
}

static void open_where_it_may_not(void)
{
    kivi_instance instance;
    kivi_error *error;
    taken into;

    if (try_open(path_of("locked/new"), &instance, &error, NULL) != KIVI_DENIED ||
        !strstr(error->message, "locked/new"))
        _exit(1);
    free(error);
    /* Readable, but its lock file cannot be written: without locks, and it says so. */
    if (try_open(path_of("locked/old"), &instance, &error, WITH("read_only=true")) != KIVI_OK)
        _exit(2);
    if (get_bytes(&instance, kivi_str("k"), &into) != KIVI_OK || into.size != 1)
        _exit(3);
    lmdb->detail(instance.handle, into.bytes, sizeof(into.bytes));
    if (!strstr(into.bytes, "without a lock file"))
        _exit(4);
    lmdb->close(instance.handle);
    if (try_open(path_of("locked/old"), &instance, &error, NULL) != KIVI_DENIED)
        _exit(5);
    free(error);
}

Test(lmdb_backend, a_directory_that_may_not_be_written)
{
    kivi_instance store;

    cr_assert_eq(chmod(folder, 0755), 0);
    cr_assert_eq(mkdir(path_of("locked"), 0755), 0);
    store = open_store(path_of("locked/old"), WITH("mode=0644"));
    put(&store, "k", "v", 0);
    lmdb->close(store.handle);
    cr_assert_eq(chmod(path_of("locked/old"), 0444), 0);
    cr_assert_eq(chmod(path_of("locked/old-lock"), 0444), 0);
    cr_assert_eq(chmod(path_of("locked/old-kivi"), 0444), 0);
    cr_assert_eq(chmod(path_of("locked"), 0555), 0);
    as_nobody(open_where_it_may_not);
    cr_assert_eq(chmod(path_of("locked"), 0755), 0);
}

Test(lmdb_backend, read_only_refuses_writes_before_anything)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    kivi_write_item item = write_item(KIVI_OP_SET, "k", "other");
    kivi_read_item taking = read_item(kivi_str("k"), KIVI_WANT_VALUE);
    taken into;

    put(&store, "k", "v", 0);
    lmdb->close(store.handle);
    store = open_store(path_of("s"), WITH("read_only=true"));
    cr_assert_eq(write_all(&store, &item, 1, 0, 1000), KIVI_DENIED);
    cr_assert_eq(item.status, KIVI_PENDING);
    cr_assert(strstr(failure, "read_only"));
    taking.then = KIVI_THEN_DELETE;
    cr_assert_eq(read_one(&store, &taking, &into, 1000), KIVI_DENIED);
    expect(&store, "k", "v");
    lmdb->close(store.handle);
}

Test(lmdb_backend, two_opens_share_one_environment)
{
    kivi_instance first = open_store(path_of("s"), NULL), second;

    cr_assert_eq(symlink(path_of("s"), path_of("link")), 0);
    second = open_store(path_of("link"), NULL);
    put(&first, "k", "v", 0);
    expect(&second, "k", "v");
    cr_assert(!is_there("link-lock"), "a link must not get a lock file of its own");
    refuse_open(path_of("s"), KIVI_BUSY, "`sync`", WITH("sync=false"));
    refuse_open(path_of("s"), KIVI_BUSY, "`read_only`", WITH("read_only=true"));
    refuse_open(path_of("s"), KIVI_BUSY, "`map_size`", WITH("map_size=1MiB"));
    refuse_open(path_of("s"), KIVI_BUSY, "`max_readers`", WITH("max_readers=5"));
    lmdb->close(first.handle);
    expect(&second, "k", "v");
    lmdb->close(second.handle);
    first = open_store(path_of("s"), WITH("sync=false"));
    expect(&first, "k", "v");
    lmdb->close(first.handle);
}

Test(lmdb_backend, another_copy_of_lmdb_in_the_process_is_seen)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    MDB_env *env;

    put(&store, "k", "v", 0);
    lmdb->close(store.handle);
    cr_assert_eq(mdb_env_create(&env), 0);
    cr_assert_eq(mdb_env_open(env, path_of("s"), MDB_NOSUBDIR, 0600), 0);
    refuse_open(path_of("s"), KIVI_BUSY, "something else in this process", NULL);
    mdb_env_close(env);
    store = open_store(path_of("s"), NULL);
    expect(&store, "k", "v");
    lmdb->close(store.handle);
}

Test(lmdb_backend, a_file_that_was_replaced_is_not_opened_beside_the_old_one)
{
    kivi_instance store = open_store(path_of("s"), NULL);

    cr_assert_eq(unlink(path_of("s")), 0);
    refuse_open(path_of("s"), KIVI_BUSY, "replaced or removed", NULL);
    lmdb->close(store.handle);
    store = open_store(path_of("s"), NULL);
    lmdb->close(store.handle);
}

Test(lmdb_backend, conditions_are_judged_inside)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    kivi_write_item item = write_item(KIVI_OP_SET, "k", "1");

    item.condition = KIVI_IF_PRESENT;
    cr_assert_eq(write_one(&store, &item), KIVI_CONDITION);
    expect(&store, "k", NULL);
    item = write_item(KIVI_OP_SET, "k", "1");
    item.condition = KIVI_IF_ABSENT;
    cr_assert_eq(write_one(&store, &item), KIVI_OK);
    item.status = KIVI_PENDING;
    cr_assert_eq(write_one(&store, &item), KIVI_CONDITION);
    item = write_item(KIVI_OP_SET, "k", "2");
    item.condition = KIVI_IF_EQUAL;
    item.expected = kivi_str("0");
    cr_assert_eq(write_one(&store, &item), KIVI_CONDITION);
    expect(&store, "k", "1");
    item.status = KIVI_PENDING;
    item.expected = kivi_str("1");
    cr_assert_eq(write_one(&store, &item), KIVI_OK);
    item = write_item(KIVI_OP_DELETE, "k", NULL);
    item.condition = KIVI_IF_VERSION;
    item.expected = kivi_str("1");
    cr_assert_eq(write_one(&store, &item), KIVI_CONDITION);
    item.status = KIVI_PENDING;
    item.expected = kivi_str("2");
    cr_assert_eq(write_one(&store, &item), KIVI_OK);
    expect(&store, "k", NULL);
    item = write_item(KIVI_OP_CHECK, "k", NULL);
    item.condition = KIVI_IF_ABSENT;
    cr_assert_eq(write_one(&store, &item), KIVI_OK);
    item = write_item(KIVI_OP_CHECK, "k", NULL);
    item.condition = KIVI_IF_PRESENT;
    cr_assert_eq(write_one(&store, &item), KIVI_CONDITION);
    lmdb->close(store.handle);
}

Test(lmdb_backend, existed_is_answered_when_asked)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    kivi_write_item items[3];

    put(&store, "b", "1", 0);
    items[0] = write_item(KIVI_OP_DELETE, "a", NULL);
    items[1] = write_item(KIVI_OP_DELETE, "b", NULL);
    items[2] = write_item(KIVI_OP_SET, "c", "1");
    for (size_t i = 0; i < 3; i++) {
        items[i].flags = KIVI_OP_WANT_EXISTED;
        items[i].existed = 7;
    }
    cr_assert_eq(write_all(&store, items, 3, 0, 1000), KIVI_OK);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(items[i].status, KIVI_OK);
    cr_assert_eq(items[0].existed, 0);
    cr_assert_eq(items[1].existed, 1);
    cr_assert_eq(items[2].existed, 0);
    items[2].status = KIVI_PENDING;
    cr_assert_eq(write_one(&store, &items[2]), KIVI_OK);
    cr_assert_eq(items[2].existed, 1);
    lmdb->close(store.handle);
}

Test(lmdb_backend, an_atomic_vector_is_all_or_nothing)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    kivi_write_item items[3];

    put(&store, "c", "old", 0);
    items[0] = write_item(KIVI_OP_SET, "a", "1");
    items[1] = write_item(KIVI_OP_DELETE, "c", NULL);
    items[2] = write_item(KIVI_OP_CHECK, "d", NULL);
    items[2].condition = KIVI_IF_PRESENT;
    cr_assert_eq(write_all(&store, items, 3, KIVI_VECTOR_ATOMIC, 1000), KIVI_OK);
    cr_assert_eq(items[0].status, KIVI_ABORTED);
    cr_assert_eq(items[1].status, KIVI_ABORTED);
    cr_assert_eq(items[2].status, KIVI_CONDITION);
    expect(&store, "a", NULL);
    expect(&store, "c", "old");
    for (size_t i = 0; i < 3; i++)
        items[i].status = KIVI_PENDING;
    items[2].condition = KIVI_IF_ABSENT;
    cr_assert_eq(write_all(&store, items, 3, KIVI_VECTOR_ATOMIC, 1000), KIVI_OK);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(items[i].status, KIVI_OK);
    expect(&store, "a", "1");
    expect(&store, "c", NULL);
    lmdb->close(store.handle);
}

Test(lmdb_backend, increments_happen_in_the_transaction)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    kivi_write_item items[3];

    put(&store, "b", "40", 0);
    put(&store, "c", "word", 0);
    items[0] = write_item(KIVI_OP_INCREMENT, "a", NULL);
    items[1] = write_item(KIVI_OP_INCREMENT, "b", NULL);
    items[2] = write_item(KIVI_OP_INCREMENT, "c", NULL);
    for (size_t i = 0; i < 3; i++)
        items[i].by = 2;
    cr_assert_eq(write_all(&store, items, 3, 0, 1000), KIVI_OK);
    cr_assert_eq(items[0].status, KIVI_OK);
    cr_assert_eq(items[0].integer, 2);
    cr_assert_eq(items[1].integer, 42);
    cr_assert_eq(items[2].status, KIVI_WRONG_TYPE);
    expect(&store, "a", "2");
    expect(&store, "b", "42");
    expect(&store, "c", "word");
    lmdb->close(store.handle);
}

Test(lmdb_backend, presence_needs_no_value)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    kivi_read_item items[3] = {read_item(kivi_str("a"), 0), read_item(kivi_str("b"), KIVI_WANT_VALUE),
                               read_item(kivi_str("c"), KIVI_WANT_EXPIRY)};
    fixture_wait wait = wait_ms(1000);
    kivi_error *error = NULL;
    taken into = {.vector = {sizeof(kivi_read_vector), sizeof(*items), items, 3, take_value, NULL}};

    put(&store, "a", "1", 0);
    put(&store, "c", "3", 0);
    cr_assert_eq(lmdb->read(store.handle, NULL, &into.vector, &wait.wait, &error), KIVI_OK);
    cr_assert_eq(items[0].status, KIVI_OK);
    cr_assert_eq(items[1].status, KIVI_NOT_FOUND);
    cr_assert_eq(items[2].status, KIVI_OK);
    cr_assert_eq(items[2].ttl_ms, KIVI_TTL_NONE);
    cr_assert_eq(into.deliveries, 0);
    cr_assert_eq(atomic_load(&wait.checks), 0);
    lmdb->close(store.handle);
}

Test(lmdb_backend, taking_reads_and_deletes_in_one_step)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    kivi_read_item item = read_item(kivi_str("k"), KIVI_WANT_VALUE);
    taken into;

    put(&store, "k", "once", 0);
    item.then = KIVI_THEN_DELETE;
    cr_assert_eq(read_one(&store, &item, &into, 1000), KIVI_OK);
    cr_assert_eq(into.size, 4);
    cr_assert_arr_eq(into.bytes, "once", 4);
    item.status = KIVI_PENDING;
    cr_assert_eq(read_one(&store, &item, &into, 1000), KIVI_NOT_FOUND);
    expect(&store, "k", NULL);
    lmdb->close(store.handle);
}

static kivi_status refuse_value(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value,
                                kivi_slice version)
{
    (void)vector;
    (void)item;
    (void)value;
    (void)version;
    return KIVI_NO_MEMORY;
}

Test(lmdb_backend, a_value_that_could_not_be_delivered_is_not_deleted)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    kivi_read_item item = read_item(kivi_str("k"), KIVI_WANT_VALUE);
    kivi_read_vector vector = {sizeof(vector), sizeof(item), &item, 1, refuse_value, NULL};
    fixture_wait wait = wait_ms(1000);
    kivi_error *error = NULL;

    put(&store, "k", "v", 0);
    item.then = KIVI_THEN_DELETE;
    cr_assert_eq(lmdb->read(store.handle, NULL, &vector, &wait.wait, &error), KIVI_OK);
    cr_assert_eq(item.status, KIVI_NO_MEMORY);
    expect(&store, "k", "v");
    lmdb->close(store.handle);
}

Test(lmdb_backend, all_bytes_fit_in_keys_and_values)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    uint8_t key[510], value[256];
    taken into;

    for (size_t i = 0; i < sizeof(value); i++)
        value[i] = (uint8_t)i;
    for (unsigned first = 0; first < 256; first++) {
        kivi_write_item item = write_item(KIVI_OP_SET, "", NULL);
        memset(key, (int)first, sizeof(key));
        item.key = kivi_bytes(key, first % 2 ? 510 : 1 + first);
        item.value = kivi_bytes(value, first);
        cr_assert_eq(write_one(&store, &item), KIVI_OK);
    }
    for (unsigned first = 0; first < 256; first++) {
        memset(key, (int)first, sizeof(key));
        cr_assert_eq(get_bytes(&store, kivi_bytes(key, first % 2 ? 510 : 1 + first), &into), KIVI_OK);
        cr_assert_eq(into.size, first);
        if (first)
            cr_assert_arr_eq(into.bytes, value, first);
    }
    cr_assert_eq(count_keys(&store, ""), 256);
    lmdb->close(store.handle);
}

Test(lmdb_backend, a_large_value_comes_back_whole)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    size_t size = 60000;
    char *text = malloc(size + 1);

    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + i % 26);
    text[size] = 0;
    put(&store, "large", text, 0);
    expect(&store, "large", text);
    put(&store, "large", "small", 0);
    expect(&store, "large", "small");
    free(text);
    lmdb->close(store.handle);
}
