/* Where nothing may be written: reading works as promised, writing is refused in words that name the file. */
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/faults.h"

TestSuite(read_only, .init = case_begin, .fini = case_end);

static void make_store(const char *name)
{
    kivi_store *store = open_store("lmdb:%s/%s?codec=raw&sync=false", folder, name);
    text key;

    for (unsigned i = 0; i < 500; i++) {
        print(&key, "key:%u", i);
        put(store, key.bytes, "value");
    }
    OK(kivi_store_set(store, NULL, kivi_str("fleeting"), kivi_str("v"), 3600000, E));
    kivi_store_unref(store);
}

static void expect_reads_only(const char *name)
{
    kivi_store *store = open_store("lmdb:%s/%s?codec=raw&read_only=true", folder, name);
    kivi_slice key = kivi_str("key:1"), value = kivi_str("v");
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_op op = KIVI_OP_INIT;
    int64_t ttl_ms = 0;

    expect_holds(store, "key:499", "value");
    expect_holds(store, "nothing", NULL);
    OK(kivi_store_ttl(store, NULL, kivi_str("fleeting"), &ttl_ms, E));
    CHECK(ttl_ms > 3000000);
    CHECK_NUMBER(expect_sound(store), 501);
    op.kind = KIVI_OP_SET;
    op.key = key;
    op.value = value;
    REFUSED(KIVI_DENIED, name, kivi_store_set(store, NULL, key, value, 0, E));
    REFUSED(KIVI_DENIED, name, kivi_store_set(store, NULL, key, value, 1000, E));
    REFUSED(KIVI_DENIED, name, kivi_store_add(store, NULL, kivi_str("new"), value, 0, E));
    REFUSED(KIVI_DENIED, name, kivi_store_delete(store, NULL, key, NULL, E));
    REFUSED(KIVI_DENIED, name, kivi_store_set_many(store, NULL, &key, &value, 1, 0, NULL, E));
    REFUSED(KIVI_DENIED, name, kivi_store_apply(store, NULL, &op, 1, KIVI_APPLY_ATOMIC, NULL, E));
    REFUSED(KIVI_DENIED, name, kivi_store_increment(store, NULL, key, 1, 0, NULL, E));
    REFUSED(KIVI_DENIED, name, kivi_store_expire(store, NULL, key, 1000, E));
    REFUSED(KIVI_DENIED, name, kivi_store_take(store, NULL, key, &got, E));
    REFUSED(KIVI_DENIED, name, kivi_store_clear(store, NULL, kivi_bytes(NULL, 0), 0, NULL, E));
    expect_holds(store, "key:1", "value");
    kivi_buffer_free(&got);
    kivi_store_unref(store);
}

static void expect_no_writing(const char *name, const char *there)
{
    kivi_store *store = NULL;
    text url;

    print(&url, "lmdb:%s/%s", folder, name);
    REFUSED(KIVI_DENIED, there, kivi_store_open(url.bytes, NULL, NULL, &store, E));
    CHECK(store == NULL);
}

static void expect_no_file(const char *name)
{
    kivi_store *store = NULL;
    text url;

    print(&url, "lmdb:%s/%s?read_only=true", folder, name);
    REFUSED(KIVI_INVALID, name, kivi_store_open(url.bytes, NULL, NULL, &store, E));
    CHECK(store == NULL);
}

static void expect_all(void)
{
    expect_reads_only("disk/file");
    expect_no_writing("disk/file", "disk/file");
    expect_no_writing("disk/new", "disk/new");
    expect_no_file("disk/new");
    expect_reads_only("disk/folder/");
    expect_no_writing("disk/folder/", "disk/folder");
    expect_no_writing("disk/new/", "disk/new");
    expect_no_file("disk/new/");
}

static void make_disk(void)
{
    text path;

    print(&path, "%s/disk", folder);
    CHECK(mkdir(path.bytes, 0755) == 0);
    make_store("disk/file");
    make_store("disk/folder/");
}

Test(read_only, file_system, .timeout = 60)
{
    make_disk();
    mount_read_only("disk");
    expect_all();
}

/* Who did not say that he only reads is told how to. */
Test(read_only, file_system_without_saying_so, .timeout = 60)
{
    text url;
    kivi_store *store = NULL;

    make_disk();
    mount_read_only("disk");
    print(&url, "lmdb:%s/disk/file", folder);
    REFUSED(KIVI_DENIED, "say read_only=true", kivi_store_open(url.bytes, NULL, NULL, &store, E));
    print(&url, "lmdb:%s/disk/new", folder);
    REFUSED(KIVI_DENIED, "cannot be written", kivi_store_open(url.bytes, NULL, NULL, &store, E));
}

/* As it comes from an image or a backup: the lock files are not there. */
Test(read_only, file_system_without_lock_files, .timeout = 60)
{
    static const char *const locks[] = {"file-lock", "file-kivi", "folder/lock.mdb", "folder/kivi.lock"};
    text path;

    make_disk();
    for (unsigned i = 0; i < 4; i++) {
        print(&path, "%s/disk/%s", folder, locks[i]);
        CHECK_SAYING(unlink(path.bytes) == 0, "%s", path.bytes);
    }
    mount_read_only("disk");
    expect_all();
}

/* Files and directories of somebody else, seen by a process without privileges. */
static void be_nobody(int in, int out, void *user)
{
    (void)in, (void)out, (void)user;
    CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    expect_all();
}

Test(read_only, permissions, .timeout = 60)
{
    static const char *const files[] = {
        "file", "file-lock", "file-kivi", "folder/data.mdb", "folder/lock.mdb", "folder/kivi.lock"};
    text path;
    child c;

    make_disk();
    for (unsigned i = 0; i < 6; i++) {
        print(&path, "%s/disk/%s", folder, files[i]);
        CHECK_SAYING(chmod(path.bytes, 0444) == 0, "%s", path.bytes);
    }
    print(&path, "%s/disk/folder", folder);
    CHECK(chmod(path.bytes, 0555) == 0);
    print(&path, "%s/disk", folder);
    CHECK(chmod(path.bytes, 0555) == 0 && chmod(folder, 0755) == 0);
    if (geteuid() != 0) {
        expect_all();
        return;
    }
    c = child_start(be_nobody, NULL);
    child_ends(&c);
}

/* A file that nobody may read at all. */
static void be_nobody_without_sight(int in, int out, void *user)
{
    kivi_store *store = NULL;
    text url;

    (void)in, (void)out, (void)user;
    if (geteuid() == 0)
        CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    print(&url, "lmdb:%s/disk/file?read_only=true", folder);
    REFUSED(KIVI_DENIED, "disk/file", kivi_store_open(url.bytes, NULL, NULL, &store, E));
    expect_no_writing("disk/file", "disk/file");
}

Test(read_only, unreadable, .timeout = 60)
{
    text path;
    child c;

    make_disk();
    print(&path, "%s/disk/file", folder);
    CHECK(chmod(path.bytes, 0) == 0 && chmod(folder, 0755) == 0);
    c = child_start(be_nobody_without_sight, NULL);
    child_ends(&c);
}
