/* The lmdb backend: damaged files, failing disks, and what is left afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "lmdb_fixture.h"

/* ---- a disk that fails when told to: LMDB calls these instead of the C library's ---- */

#define VISIBLE __attribute__((visibility("default")))

static atomic_int fail_data, fail_sync, fail_meta; /* errno, 0: no failure */
static atomic_bool cut_short;

/* The page that makes a commit valid is written from its middle. */
static bool is_meta(off_t offset)
{
    return offset % 4096 != 0;
}

VISIBLE ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    int code = is_meta(offset) ? atomic_exchange(&fail_meta, 0) : atomic_load(&fail_data);

    if (code) {
        errno = code;
        return -1;
    }
    if (atomic_load(&cut_short) && !is_meta(offset))
        size /= 2;
    return (ssize_t)syscall(SYS_pwrite64, fd, bytes, size, offset);
}

VISIBLE ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (atomic_load(&fail_data)) {
        errno = atomic_load(&fail_data);
        return -1;
    }
    return (ssize_t)syscall(SYS_writev, fd, parts, atomic_load(&cut_short) ? count - 1 : count);
}

VISIBLE int fdatasync(int fd)
{
    if (atomic_load(&fail_sync)) {
        errno = atomic_load(&fail_sync);
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

TestSuite(lmdb_damage, .init = fixture_begin, .fini = fixture_end);

static void expect_failed_write(const kivi_instance *store, kivi_status expected, kivi_retryable retryable)
{
    kivi_write_item items[2] = {write_item(KIVI_OP_SET, "k", "new"),
                                write_item(KIVI_OP_INCREMENT, "n", NULL)};

    items[1].by = 1;
    items[1].ttl_ms = 5000;
    cr_assert_eq(write_all(store, items, 2, 0, 1000), expected, "%s", failure);
    cr_assert_eq(failure_retryable, retryable);
    cr_assert(strstr(failure, path_of("s")), "%s", failure);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(items[i].status, KIVI_PENDING);
        cr_assert_eq(items[i].sent, expected == KIVI_UNCERTAIN ? KIVI_SENT_WHOLLY : KIVI_SENT_NOTHING);
    }
}

static void expect_usable(const kivi_instance *store)
{
    expect(store, "k", "old");
    expect(store, "n", NULL);
    put(store, "k", "newer", 0);
    expect(store, "k", "newer");
}

Test(lmdb_damage, a_full_disk_leaves_the_store_as_it_was)
{
    static const int codes[] = {ENOSPC, EDQUOT, EFBIG, EIO};

    for (size_t i = 0; i < 4; i++) {
        kivi_instance store = open_store(path_of("s"), NULL);
        put(&store, "k", "old", 0);
        atomic_store(&fail_data, codes[i]);
        expect_failed_write(&store, KIVI_IO, KIVI_RETRY_LATER);
        expect_failed_write(&store, KIVI_IO, KIVI_RETRY_LATER);
        expect(&store, "k", "old");
        atomic_store(&fail_data, 0);
        expect_usable(&store);
        lmdb->close(store.handle);
    }
}

Test(lmdb_damage, a_write_that_is_cut_short)
{
    kivi_instance store = open_store(path_of("s"), NULL);

    put(&store, "k", "old", 0);
    atomic_store(&cut_short, true);
    expect_failed_write(&store, KIVI_IO, KIVI_RETRY_LATER);
    atomic_store(&cut_short, false);
    expect_usable(&store);
    lmdb->close(store.handle);
}

Test(lmdb_damage, a_sync_that_fails_is_no_commit)
{
    kivi_instance store = open_store(path_of("s"), NULL);

    put(&store, "k", "old", 0);
    atomic_store(&fail_sync, EIO);
    expect_failed_write(&store, KIVI_IO, KIVI_RETRY_LATER);
    atomic_store(&fail_sync, 0);
    expect_usable(&store);
    lmdb->close(store.handle);
}

Test(lmdb_damage, a_commit_that_fails_in_its_last_step_is_uncertain)
{
    kivi_instance store = open_store(path_of("s"), NULL);

    put(&store, "k", "old", 0);
    for (int i = 0; i < 3; i++) {
        atomic_store(&fail_meta, EIO);
        expect_failed_write(&store, KIVI_UNCERTAIN, KIVI_RETRY_IF_IDEMPOTENT);
        cr_assert_eq(atomic_load(&fail_meta), 0);
        /* LMDB has given up on its environment; reads and writes open it again. */
        if (i % 2)
            put(&store, "other", "1", 0);
        expect(&store, "k", "old");
    }
    expect_usable(&store);
    lmdb->close(store.handle);
}

static kivi_status commit_inside(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value,
                                 kivi_slice version)
{
    const kivi_instance *store = vector->owner;
    kivi_write_item set = write_item(KIVI_OP_SET, "later", "1");

    (void)item;
    (void)version;
    atomic_store(&fail_meta, EIO);
    expect_failed_write(store, KIVI_UNCERTAIN, KIVI_RETRY_IF_IDEMPOTENT);
    /* The file cannot be opened again under this very read, which goes on. */
    cr_assert_eq(write_all(store, &set, 1, 0, 1000), KIVI_BUSY, "%s", failure);
    cr_assert_eq(value.size, 3);
    cr_assert_arr_eq(value.data, "old", 3);
    return KIVI_OK;
}

Test(lmdb_damage, a_visitor_survives_the_loss_of_the_environment)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    kivi_read_item item = read_item(kivi_str("k"), KIVI_WANT_VALUE);
    kivi_read_vector vector = {sizeof(vector), sizeof(item), &item, 1, commit_inside, &store};
    fixture_wait wait = wait_ms(5000);
    kivi_error *error = NULL;

    put(&store, "k", "old", 0);
    cr_assert_eq(lmdb->read(store.handle, NULL, &vector, &wait.wait, &error), KIVI_OK);
    cr_assert_eq(item.status, KIVI_OK);
    expect_usable(&store);
    lmdb->close(store.handle);
}

/* ---- damaged files ---- */

static off_t size_of(const char *name)
{
    struct stat info;
    cr_assert_eq(stat(path_of(name), &info), 0);
    return info.st_size;
}

static void overwrite(const char *name, off_t offset, int byte, size_t size)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT, 0600);
    char *bytes = malloc(size);

    cr_assert(fd >= 0);
    memset(bytes, byte, size);
    cr_assert_eq(syscall(SYS_pwrite64, fd, bytes, size, offset), (long)size);
    free(bytes);
    close(fd);
}

static void fill(const char *name)
{
    kivi_instance store = open_store(path_of(name), WITH("sync=false"));
    static kivi_write_item items[2000];
    static char keys[2000][8];

    for (size_t i = 0; i < 2000; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%04zu", i);
        items[i] = write_item(KIVI_OP_SET, keys[i], "a value of some length, so that there are pages");
    }
    cr_assert_eq(write_all(&store, items, 2000, 0, 5000), KIVI_OK);
    lmdb->close(store.handle);
}

Test(lmdb_damage, what_is_no_lmdb_file)
{
    overwrite("text", 0, 'x', 20000);
    refuse_open(path_of("text"), KIVI_CORRUPT, "no LMDB file", NULL);
    overwrite("short", 0, 'x', 10);
    refuse_open(path_of("short"), KIVI_CORRUPT, "no LMDB file", NULL);
    overwrite("zeros", 0, 0, 8192);
    refuse_open(path_of("zeros"), KIVI_CORRUPT, "no LMDB file", NULL);
    cr_assert_eq(size_of("text"), 20000, "it must be left as it is");
}

Test(lmdb_damage, a_file_that_was_cut)
{
    off_t whole;
    kivi_instance store;

    fill("s");
    whole = size_of("s");
    for (off_t size = whole - 4096; size >= 0; size = size * 2 / 3) {
        cr_assert_eq(truncate(path_of("s"), size), 0);
        if (size == 0)
            break;
        refuse_open(path_of("s"), KIVI_CORRUPT, path_of("s"), NULL);
        refuse_open(path_of("s"), KIVI_CORRUPT, path_of("s"), WITH("read_only=true"));
        if (size < 3)
            break;
    }
    cr_assert_eq(unlink(path_of("s")), 0);
    store = open_store(path_of("s"), NULL);
    put(&store, "k", "v", 0);
    lmdb->close(store.handle);
}

Test(lmdb_damage, another_version_of_the_format)
{
    fill("s");
    overwrite("s", 20, 2, 1);
    refuse_open(path_of("s"), KIVI_CORRUPT, "version", NULL);
}

Test(lmdb_damage, pages_that_were_overwritten)
{
    kivi_instance store;
    kivi_scan_range range = {.limit = 10000};
    unsigned corrupt = 0, found = 0;
    scanned page = {.enough = 0};
    taken into;
    char key[16];
    kivi_status scan;

    fill("s");
    /* All but the first pages: the roots of the trees among them, or what lies below. */
    overwrite("s", 8192 + 4096 * 8, 0, (size_t)(size_of("s") - 8192 - 4096 * 8) / 2);
    store = open_store(path_of("s"), WITH("sync=false"));
    for (int i = 0; i < 2000; i++) {
        kivi_status status;
        snprintf(key, sizeof(key), "k%04d", i);
        status = get_bytes(&store, kivi_str(key), &into);
        corrupt += status == KIVI_CORRUPT;
        found += status == KIVI_OK;
    }
    cr_assert_eq(corrupt + found, 2000);
    cr_assert(corrupt > 0 && found > 0, "%u damaged, %u found", corrupt, found);
    scan = scan_page(&store, &range, &page);
    cr_assert_eq(scan, KIVI_CORRUPT, "%d after %llu", scan, (unsigned long long)page.count);
    /* The reader that found it is none the worse. */
    cr_assert_eq(get_bytes(&store, kivi_str("no such key"), &into), KIVI_NOT_FOUND);
    cr_assert_eq(scan_page(&store, &range, &page), KIVI_CORRUPT);
    lmdb->close(store.handle);
}

/* Pages made and given up in one transaction are counted, but never written: such a file is sound. */
Test(lmdb_damage, a_sound_file_that_is_shorter_than_it_says)
{
    kivi_instance store;
    MDB_env *env;
    MDB_envinfo info;
    MDB_txn *txn;
    MDB_dbi dbi;
    char name[200];

    cr_assert_eq(mdb_env_create(&env), 0);
    cr_assert_eq(mdb_env_open(env, path_of("s"), MDB_NOSUBDIR, 0600), 0);
    /* The third time the records of free pages find room before the end. */
    for (int round = 0; round < 3; round++) {
        cr_assert_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
        cr_assert_eq(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
        for (int i = 0; i < 100; i++) {
            MDB_val key = {(size_t)snprintf(name, sizeof(name), "k%04d", i), name};
            MDB_val value = {i ? sizeof(name) : 1, name};
            cr_assert_eq(mdb_put(txn, dbi, &key, &value, 0), 0);
        }
        for (int i = 99; i > 0; i--) {
            MDB_val key = {(size_t)snprintf(name, sizeof(name), "k%04d", i), name};
            cr_assert_eq(mdb_del(txn, dbi, &key, NULL), 0);
        }
        cr_assert_eq(mdb_txn_commit(txn), 0);
    }
    cr_assert_eq(mdb_env_info(env, &info), 0);
    mdb_env_close(env);
    cr_assert(size_of("s") < (off_t)((info.me_last_pgno + 1) * 4096), "the case was not reached");
    store = open_store(path_of("s"), NULL);
    cr_assert_eq(store.layout, KIVI_LAYOUT_FOREIGN);
    expect(&store, "k0001", NULL);
    put(&store, "k0001", "v", 0);
    expect(&store, "k0001", "v");
    lmdb->close(store.handle);
    /* Cut further it is not. */
    cr_assert_eq(truncate(path_of("s"), 3 * 4096), 0);
    refuse_open(path_of("s"), KIVI_CORRUPT, "cut", NULL);
}

Test(lmdb_damage, a_failed_open_leaves_nothing_open)
{
    int before, after;

    overwrite("text", 0, 'x', 20000);
    before = open("/dev/null", O_RDONLY);
    close(before);
    for (int i = 0; i < 50; i++) {
        refuse_open(path_of("text"), KIVI_CORRUPT, "no LMDB file", NULL);
        refuse_open(path_of("no/such"), KIVI_INVALID, "no/such", NULL);
        atomic_store(&fail_data, ENOSPC);
        refuse_open(path_of("new"), KIVI_IO, "new", NULL);
        atomic_store(&fail_data, 0);
    }
    after = open("/dev/null", O_RDONLY);
    close(after);
    cr_assert_eq(before, after);
}
