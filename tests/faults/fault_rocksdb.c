/* Bad days of RocksDB: folders that others have, that may not be written, are full, are none, or lost a file. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/faults.h"
#include "common/hooks.h"

TestSuite(rocksdb, .init = case_begin, .fini = case_end);

static kivi_store *open_rocksdb(const char *options)
{
    return open_store("rocksdb:%s/data?codec=raw%s", folder, options);
}

static kivi_slice url(text *place, const char *options)
{
    return print(place, "rocksdb:%s/data?codec=raw%s", folder, options);
}

/* The open is refused in words that name the folder, and have `part`. */
static void expect_refused(kivi_status wanted, const char *part, const char *options)
{
    kivi_store *store = NULL;
    kivi_error *error = NULL;
    text place;

    CHECK_NUMBER(kivi_store_open(url(&place, options).data, NULL, NULL, &store, &error), wanted);
    CHECK_SAYING(strstr(kivi_error_message(error), "/data") && strstr(kivi_error_message(error), part),
                 "%s", kivi_error_message(error));
    kivi_error_free(error);
}

/* ---- one process at a time ---- */

static void hold(int in, int out, void *user)
{
    kivi_store *store = open_rocksdb("");

    (void)user;
    put(store, "of", "the other");
    tell_on(out);
    hear_on(in);
    kivi_store_unref(store);
}

/* BUSY within the deadline: it names the folder and the process that has it; the log of that one is left alone. */
Test(rocksdb, is_busy_while_another_process_has_it, .timeout = 60)
{
    child c = child_start(hold, NULL);
    text name, pid;
    struct stat before, after;
    uint64_t began;

    hear_on(c.from);
    print(&name, "%s/data/LOG", folder);
    CHECK(stat(name.bytes, &before) == 0);
    print(&pid, "process %d has it", (int)c.pid);
    for (int i = 0; i < 3; i++) {
        began = now_ns();
        expect_refused(KIVI_BUSY, pid.bytes, "&timeout=200ms");
        CHECK_SAYING(now_ns() - began >= 150000000u, "it did not wait");
        tell_excess("a second open", began, 200);
    }
    CHECK(stat(name.bytes, &after) == 0);
    CHECK_NUMBER(after.st_ino, before.st_ino);
    tell_on(c.to);
    child_ends(&c);
    kivi_store *store = open_rocksdb("");
    expect_holds(store, "of", "the other");
    kivi_store_unref(store);
}

/* Who waits gets it when the other closes it. */
static void open_soon(worker *w)
{
    child *c = w->shared;

    if (w->index == 0) {
        kivi_store *store = open_rocksdb("&timeout=50s");
        expect_holds(store, "of", "the other");
        kivi_store_unref(store);
        return;
    }
    pause_ms(100);
    tell_on(c->to);
}

Test(rocksdb, is_waited_for, .timeout = 60)
{
    child c = child_start(hold, NULL);

    hear_on(c.from);
    together(2, open_soon, &c);
    child_ends(&c);
}

/* Stores of one process share it, whatever they name it; what they cannot agree on is named. */
Test(rocksdb, is_shared_within_a_process, .timeout = 60)
{
    kivi_store *first = open_rocksdb(""), *second, *third;
    text link, data;

    print(&link, "%s/link", folder);
    CHECK(symlink(print(&data, "%s/data", folder).data, link.bytes) == 0);
    second = open_store("rocksdb:%s/link/?codec=raw&sync=false", folder);
    put(first, "a", "1");
    expect_holds(second, "a", "1");
    expect_refused(KIVI_BUSY, "cache", "&cache=1MiB");
    expect_refused(KIVI_BUSY, "compression", "&compression=none");
    kivi_store_unref(first);
    put(second, "b", "2");
    kivi_store_unref(second);
    third = open_rocksdb("&cache=1MiB");
    expect_holds(third, "b", "2");
    kivi_store_unref(third);
}

static void open_and_close(worker *w)
{
    for (unsigned i = 0; i < 12; i++) {
        kivi_store *store = open_rocksdb("&sync=false&timeout=50s");
        text key;
        print(&key, "%zu:%u", w->index, i);
        put(store, key.bytes, key.bytes);
        kivi_store_unref(store);
    }
}

Test(rocksdb, is_opened_and_closed_by_many_threads, .timeout = 120)
{
    kivi_store *store;

    together(6, open_and_close, NULL);
    store = open_rocksdb("");
    CHECK_NUMBER(expect_sound(store), 6 * 12);
    kivi_store_unref(store);
}

/* ---- readers beside a writer ---- */

/* Each word is acknowledged before the reader looks. */
static void write_words(int in, int out, void *user)
{
    kivi_store *store = open_rocksdb("&write_buffer=64KiB");
    text key, value;

    (void)user;
    for (unsigned i = 0; i < 60; i++) {
        hear_on(in);
        print(&key, "word:%u", i % 7);
        print(&value, "%u", i);
        OK(kivi_store_set(store, NULL, kivi_str(key.bytes), kivi_str(value.bytes),
                          i >= 30 && i % 2 ? 3600000 : KIVI_TTL_NONE, E));
        if (i == 40)
            OK(kivi_store_set(store, NULL, kivi_str("short"), kivi_str("s"), 1, E));
        for (unsigned j = 0; i % 10 == 9 && j < 40; j++) {
            uint8_t *made = made_value(j, 5000);
            print(&key, "long:%u", j);
            OK(kivi_store_set(store, NULL, kivi_str(key.bytes), kivi_bytes(made, 5000), KIVI_TTL_NONE, E));
            free(made);
        }
        tell_on(out);
    }
    hear_on(in);
    kivi_store_unref(store);
}

/* A reader sees what the writer acknowledged, the first expiry too, and through flushes of the writer's tables. */
Test(rocksdb, readers_see_what_a_writer_wrote, .timeout = 120)
{
    child c = child_start(write_words, NULL);
    kivi_store *reader = NULL;
    int64_t ttl_ms;

    for (unsigned i = 0; i < 60; i++) {
        text key, value;
        tell_on(c.to);
        hear_on(c.from);
        if (!reader)
            reader = open_rocksdb("&read_only=true");
        print(&key, "word:%u", i % 7);
        print(&value, "%u", i);
        expect_holds(reader, key.bytes, value.bytes);
        OK(kivi_store_ttl(reader, NULL, kivi_str(key.bytes), &ttl_ms, E));
        CHECK((ttl_ms != KIVI_TTL_NONE) == (i >= 30 && i % 2));
        if (i == 45) {
            pause_ms(5); /* beyond its TTL */
            expect_holds(reader, "short", NULL);
        }
    }
    CHECK_NUMBER(expect_sound(reader), 7 + 40);
    ANSWERS(KIVI_DENIED, kivi_store_set(reader, NULL, kivi_str("a"), kivi_str("1"), KIVI_TTL_NONE, E));
    tell_on(c.to);
    child_ends(&c);
    CHECK_NUMBER(expect_sound(reader), 7 + 40);
    kivi_store_unref(reader);
}

/* ---- folders that are none, or not to be written ---- */

static void write_text(const char *name, const char *bytes)
{
    text path;
    int fd;

    print(&path, "%s/data/%s", folder, name);
    fd = open(path.bytes, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0 && write(fd, bytes, strlen(bytes)) == (ssize_t)strlen(bytes));
    close(fd);
}

Test(rocksdb, other_folders_are_left_alone, .timeout = 60)
{
    text path;
    struct stat info;

    expect_refused(KIVI_INVALID, "no such folder", "&create=false");
    expect_refused(KIVI_INVALID, "no such folder", "&read_only=true");
    CHECK(mkdir(print(&path, "%s/data", folder).data, 0755) == 0);
    expect_refused(KIVI_INVALID, "no database", "&create=false");
    write_text("letter.txt", "Dear diary");
    expect_refused(KIVI_INVALID, "other files", "");
    CHECK(unlink(print(&path, "%s/data/letter.txt", folder).data) == 0);
    CHECK(rmdir(print(&path, "%s/data", folder).data) == 0);
    CHECK_NUMBER(close(open(path.bytes, O_WRONLY | O_CREAT, 0644)), 0);
    expect_refused(KIVI_INVALID, "not a folder", "");
    CHECK(stat(path.bytes, &info) == 0 && info.st_size == 0);
}

/* RocksDB would begin anew there, and remove the tables. */
Test(rocksdb, a_lost_beginning_is_damage, .timeout = 60)
{
    kivi_store *store = open_rocksdb("");
    text path;

    put(store, "a", "1");
    kivi_store_unref(store);
    kivi_store_unref(open_rocksdb("")); /* writes a table */
    CHECK(unlink(print(&path, "%s/data/CURRENT", folder).data) == 0);
    expect_refused(KIVI_CORRUPT, "CURRENT", "");
    expect_refused(KIVI_CORRUPT, "CURRENT", "&read_only=true");
}

static void be_nobody(int in, int out, void *user)
{
    (void)in, (void)out, (void)user;
    CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    expect_refused(KIVI_DENIED, "read_only=true", "");
    kivi_store *store = open_rocksdb("&read_only=true");
    expect_holds(store, "a", "1");
    kivi_store_unref(store);
}

static void make_for_others(int in, int out, void *user)
{
    kivi_store *store = open_rocksdb("&mode=0755");

    (void)in, (void)out, (void)user;
    put(store, "a", "1");
    kivi_store_unref(store);
}

Test(rocksdb, read_only_folder, .timeout = 60)
{
    child c = child_start(make_for_others, NULL);

    child_ends(&c);
    CHECK(chmod(folder, 0755) == 0);
    c = child_start(be_nobody, NULL);
    child_ends(&c);
}

Test(rocksdb, read_only_disk, .timeout = 60)
{
    kivi_store *store = open_rocksdb("");

    put(store, "a", "1");
    kivi_store_unref(store);
    mount_read_only("data");
    expect_refused(KIVI_DENIED, "read_only=true", "");
    store = open_rocksdb("&read_only=true");
    expect_holds(store, "a", "1");
    kivi_store_unref(store);
}

/* ---- a full disk ---- */

/* Writes until the disk is full: how many were acknowledged. */
static unsigned write_until_full(kivi_store *store, unsigned from)
{
    for (unsigned i = from;; i++) {
        kivi_error *error = NULL;
        uint8_t *made = made_value(i, 9000);
        text key;
        kivi_status status = kivi_store_set(store, NULL, print(&key, "key:%u", i),
                                            kivi_bytes(made, 9000), KIVI_TTL_NONE, &error);
        free(made);
        if (status == KIVI_OK)
            continue;
        /* TIMEOUT: it waited for a table to be written, for which there was no room. */
        CHECK_SAYING(status == KIVI_IO || status == KIVI_UNCERTAIN || status == KIVI_TIMEOUT,
                     "%s: %s", kivi_status_name(status), kivi_error_message(error));
        CHECK_SAYING(strstr(kivi_error_message(error), "/small/data"), "%s", kivi_error_message(error));
        kivi_error_free(error);
        return i;
    }
}

static void expect_first(kivi_store *store, unsigned count)
{
    kivi_buffer got = KIVI_BUFFER_INIT;

    for (unsigned i = 0; i < count; i++) {
        text key;
        OK(kivi_store_get(store, NULL, print(&key, "key:%u", i), &got, E));
        CHECK_SAYING(is_made_value(kivi_buffer_slice(&got), i, 9000), "%s has another value", key.bytes);
    }
    kivi_buffer_free(&got);
}

/* What was acknowledged stays and is read; once there is room, writes go on without an open, or after one. */
static void fill_and_free(const char *options)
{
    text ballast;
    kivi_store *store;
    unsigned full, again;

    mount_small("small", "16m");
    print(&ballast, "%s/small/ballast", folder);
    CHECK_NUMBER(fill_file(ballast.bytes, 6 << 20), 6 << 20);
    store = open_store("rocksdb:%s/small/data?codec=raw%s", folder, options);
    full = write_until_full(store, 0);
    CHECK_SAYING(full > 100, "full after %u writes", full);
    /* RocksDB makes some room by itself when it removes what it no longer needs. */
    for (unsigned i = 0; i < 20; i++) {
        unsigned more = write_until_full(store, full);
        CHECK(more >= full);
        full = more;
    }
    expect_first(store, full);
    CHECK(unlink(ballast.bytes) == 0);
    kivi_store_unref(store);
    store = open_store("rocksdb:%s/small/data?codec=raw%s", folder, options);
    expect_first(store, full);
    again = write_until_full(store, full);
    CHECK_SAYING(again > full, "nothing could be written into six mebibytes");
    expect_first(store, again);
    kivi_store_unref(store);
}

Test(rocksdb, full_disk, .timeout = 120)
{
    fill_and_free("");
}

Test(rocksdb, full_disk_without_sync, .timeout = 120)
{
    fill_and_free("&sync=false&write_buffer=256KiB&compression=none");
}

Test(rocksdb, opens_on_a_full_disk_or_says_why, .timeout = 60)
{
    unsigned opened = 0;
    text ballast, place;

    mount_small("small", "4m");
    print(&ballast, "%s/small/ballast", folder);
    for (unsigned pages = 0; pages < 60; pages += 3) {
        kivi_store *store = NULL;
        kivi_error *error = NULL;
        kivi_status status;
        size_t size = fill_file(ballast.bytes, 8 << 20);
        CHECK(truncate(ballast.bytes, (off_t)(size - pages * 4096)) == 0);
        print(&place, "rocksdb:%s/small/data?codec=raw", folder);
        status = kivi_store_open(place.bytes, NULL, NULL, &store, &error);
        CHECK_SAYING(status == KIVI_OK || status == KIVI_IO, "%u pages of room: %s: %s", pages,
                     kivi_status_name(status), kivi_error_message(error));
        CHECK(!error || strstr(kivi_error_message(error), "/small"));
        kivi_error_free(error);
        opened += status == KIVI_OK;
        kivi_store_unref(store);
        unlink(ballast.bytes);
    }
    CHECK_SAYING(opened > 0, "60 pages were not enough");
    kivi_store_unref(open_store("rocksdb:%s/small/data?codec=raw", folder));
}

/* ---- a disk that fails ---- */

/* A commit whose sync failed may be there; what came before is, and nothing more is written until the store is opened again. */
static void fail_a_sync(int code)
{
    kivi_store *store = open_rocksdb("");
    kivi_error *error = NULL;
    kivi_status status;
    long long found;

    put(store, "a", "1");
    hook_fail_syncs(1, code);
    status = kivi_store_set(store, NULL, kivi_str("a"), kivi_str("2"), KIVI_TTL_NONE, &error);
    CHECK_SAYING(status == KIVI_UNCERTAIN, "%s: %s", kivi_status_name(status), kivi_error_message(error));
    CHECK(strstr(kivi_error_message(error), "/data"));
    kivi_error_free(error);
    for (unsigned i = 0; i < 5; i++) {
        error = NULL;
        status = kivi_store_set(store, NULL, kivi_str("b"), kivi_str("3"), KIVI_TTL_NONE, &error);
        CHECK_SAYING(status == KIVI_IO || status == KIVI_UNCERTAIN || status == KIVI_OK, "%s: %s",
                     kivi_status_name(status), kivi_error_message(error));
        kivi_error_free(error);
    }
    found = number_at(store, "a", -1);
    CHECK(found == 1 || found == 2);
    kivi_store_unref(store);
    store = open_rocksdb("");
    found = number_at(store, "a", -1);
    CHECK(found == 1 || found == 2);
    put(store, "a", "4");
    expect_holds(store, "a", "4");
    kivi_store_unref(store);
    store = open_rocksdb("");
    expect_holds(store, "a", "4");
    kivi_store_unref(store);
}

Test(rocksdb, a_sync_fails, .timeout = 60)
{
    fail_a_sync(EIO);
}

Test(rocksdb, a_sync_finds_the_disk_full, .timeout = 60)
{
    fail_a_sync(ENOSPC);
}
