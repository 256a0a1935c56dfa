/* A full disk: what was acknowledged stays, reads go on, and writes work again once there is room. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/faults.h"

TestSuite(full_disk, .init = case_begin, .fini = case_end);

enum { VALUE = 9000, GROUP = 8 };

static text ballast, crumbs, rest;

static void small_disk(void)
{
    mount_small("small", "4m");
    print(&ballast, "%s/small/ballast", folder);
    print(&crumbs, "%s/small/crumbs", folder);
    print(&rest, "%s/small/rest", folder);
    CHECK_NUMBER(fill_file(ballast.bytes, 1 << 20), 1 << 20);
    CHECK_NUMBER(fill_file(crumbs.bytes, 128 << 10), 128 << 10);
}

/* One write of a kind: sets, batches, atomic batches, by turns. */
static kivi_status write_some(kivi_store *store, unsigned number, kivi_error **error)
{
    text names[GROUP];
    kivi_slice keys[GROUP], values[GROUP];
    kivi_op ops[GROUP];
    unsigned count = number % 3 ? GROUP : 1;
    uint8_t *made = made_value(number, VALUE);
    kivi_status status;

    for (unsigned i = 0; i < count; i++) {
        keys[i] = print(&names[i], "key:%u:%u", number, i);
        values[i] = kivi_bytes(made, VALUE);
        ops[i] = (kivi_op)KIVI_OP_INIT;
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = keys[i];
        ops[i].value = values[i];
    }
    if (number % 3 == 0)
        status = kivi_store_set(store, NULL, keys[0], values[0],
                                number % 2 ? 3600000 : KIVI_TTL_NONE, error);
    else if (number % 3 == 1)
        status = kivi_store_set_many(store, NULL, keys, values, count, KIVI_TTL_NONE, NULL, error);
    else
        status = kivi_store_apply(store, NULL, ops, count, KIVI_APPLY_ATOMIC, NULL, error);
    free(made);
    return status;
}

static void expect_written(kivi_store *store, unsigned number, bool there)
{
    kivi_buffer got = KIVI_BUFFER_INIT;
    unsigned count = number % 3 ? GROUP : 1;
    text name;

    for (unsigned i = 0; i < count; i++) {
        kivi_slice key = print(&name, "key:%u:%u", number, i);
        ANSWERS(there ? KIVI_OK : KIVI_NOT_FOUND, kivi_store_get(store, NULL, key, &got, E));
        CHECK_SAYING(!there || is_made_value(kivi_buffer_slice(&got), number, VALUE),
                     "%s has another value", name.bytes);
    }
    kivi_buffer_free(&got);
}

static void expect_first(kivi_store *store, unsigned acknowledged)
{
    for (unsigned i = 0; i < acknowledged; i++)
        expect_written(store, i, true);
}

/* Writes until the disk is full: how many were acknowledged. */
static unsigned write_until_full(kivi_store *store, unsigned from)
{
    for (unsigned i = from;; i++) {
        kivi_error *error = NULL;
        kivi_status status = write_some(store, i, &error);
        if (status == KIVI_OK)
            continue;
        CHECK_SAYING(status == KIVI_IO, "%s: %s", kivi_status_name(status), kivi_error_message(error));
        CHECK_SAYING(strstr(kivi_error_message(error), "/small/data"), "%s", kivi_error_message(error));
        CHECK_NUMBER(kivi_error_retryable(error), KIVI_RETRY_LATER);
        kivi_error_free(error);
        return i;
    }
}

static void fill_and_free(const char *scheme, const char *options)
{
    kivi_store *store;
    unsigned full, again;

    small_disk();
    store = open_store("%s:%s/small/data?codec=raw%s", scheme, folder, options);
    full = write_until_full(store, 0);
    CHECK_SAYING(full > 5, "full after %u writes", full);
    for (unsigned i = 0; i < 20; i++)
        CHECK_NUMBER(write_until_full(store, full), full);
    expect_first(store, full);
    expect_written(store, full, false);
    expect_sound(store);
    CHECK(unlink(ballast.bytes) == 0);
    again = write_until_full(store, full);
    CHECK_SAYING(again > full, "nothing could be written into a mebibyte");
    expect_first(store, again);
    /* Room within the file: what is deleted is used again, when deleting itself has a little room. */
    CHECK(unlink(crumbs.bytes) == 0);
    for (unsigned i = 0; i < again; i += 2) {
        text prefix;
        OK(kivi_store_clear(store, NULL, print(&prefix, "key:%u:", i), 0, NULL, E));
    }
    fill_file(rest.bytes, 8 << 20);
    for (unsigned i = 0; i < again / 3; i += 2)
        OK(write_some(store, i, E));
    for (unsigned i = 0; i < again; i++)
        expect_written(store, i, i % 2 || i < again / 3);
    expect_sound(store);
    kivi_store_unref(store);
    store = open_store("%s:%s/small/data?codec=raw%s", scheme, folder, options);
    for (unsigned i = 0; i < again; i++)
        expect_written(store, i, i % 2 || i < again / 3);
    kivi_store_unref(store);
    printf("%u writes until the disk was full, %u with a mebibyte more\n", full, again);
}

Test(full_disk, writes_fail_and_work_again, .timeout = 60)
{
    fill_and_free("lmdb", "");
}

Test(full_disk, without_sync, .timeout = 60)
{
    fill_and_free("lmdb", "&sync=false");
}

Test(full_disk, of_bolt, .timeout = 60)
{
    fill_and_free("bolt", "");
}

Test(full_disk, of_bolt_without_sync, .timeout = 60)
{
    fill_and_free("bolt", "&sync=false");
}

Test(full_disk, of_bolt_held_for_a_call, .timeout = 60)
{
    fill_and_free("bolt", "&hold=call&sync=false");
}

/* Badger writes through maps of files, where a full disk would be a signal: it is refused before. */
Test(full_disk, of_badger, .timeout = 100)
{
    kivi_store *store;
    unsigned full, again;

    mount_small("small", "64m");
    print(&ballast, "%s/small/ballast", folder);
    CHECK_NUMBER(fill_file(ballast.bytes, 16 << 20), 16 << 20);
    store = open_store(
        "badger:%s/small/"
        "data?codec=raw&memtable_size=2MiB&value_log_size=2MiB&value_threshold=128KiB",
        folder);
    full = write_until_full(store, 0);
    CHECK_SAYING(full > 5, "full after %u writes", full);
    for (unsigned i = 0; i < 20; i++)
        CHECK_NUMBER(write_until_full(store, full), full);
    expect_first(store, full);
    expect_written(store, full, false);
    CHECK(unlink(ballast.bytes) == 0);
    again = write_until_full(store, full);
    CHECK_SAYING(again > full, "nothing could be written into 16 MiB");
    expect_first(store, again);
    expect_sound(store);
    kivi_store_unref(store);
    printf("%u writes until the disk was full, %u with 16 MiB more\n", full, again);
}

/* Threads share transactions: each write fails or succeeds as its caller is told. */
typedef struct crowd {
    kivi_store *store;
    atomic_uint written, refused;
    bool kept[8][400];
} crowd;

static void fill_together(worker *w)
{
    crowd *c = w->shared;
    uint8_t *made = made_value(w->index, VALUE);
    text name;

    for (unsigned i = 0; i < 400 && atomic_load(&c->refused) < 100; i++) {
        kivi_slice key = print(&name, "key:%zu:%u", w->index, i);
        kivi_status status = kivi_store_set(c->store, NULL, key, kivi_bytes(made, VALUE),
                                            KIVI_TTL_NONE, E);
        c->kept[w->index][i] = status == KIVI_OK;
        atomic_fetch_add(status == KIVI_OK ? &c->written : &c->refused, 1);
        ANSWERS(status == KIVI_OK ? KIVI_OK : KIVI_IO, status);
    }
    free(made);
}

Test(full_disk, of_eight_threads, .timeout = 60)
{
    crowd *c = calloc(1, sizeof(*c));
    kivi_buffer got = KIVI_BUFFER_INIT;
    text name;

    small_disk();
    CHECK(c != NULL);
    c->store = open_store("lmdb:%s/small/data?codec=raw", folder);
    together(8, fill_together, c);
    CHECK(c->written > 20 && c->refused >= 100);
    for (unsigned i = 0; i < 8; i++)
        for (unsigned j = 0; j < 400; j++) {
            kivi_slice key = print(&name, "key:%u:%u", i, j);
            ANSWERS(c->kept[i][j] ? KIVI_OK : KIVI_NOT_FOUND,
                    kivi_store_get(c->store, NULL, key, &got, E));
            CHECK(!c->kept[i][j] || is_made_value(kivi_buffer_slice(&got), i, VALUE));
        }
    CHECK_NUMBER(expect_sound(c->store), c->written);
    CHECK(unlink(ballast.bytes) == 0);
    put(c->store, "there is", "room");
    kivi_buffer_free(&got);
    kivi_store_unref(c->store);
    free(c);
}

/* Opening on a disk with no room, or room for only some of the files, says so and kills nobody. */
Test(full_disk, opening, .timeout = 60)
{
    kivi_store *store = NULL;
    static const char *const ends[] = {"", "-lock", "-kivi"};
    unsigned opened = 0;
    size_t size;
    text url, path;

    small_disk();
    print(&url, "lmdb:%s/small/data", folder);
    for (unsigned pages = 0; pages < 40 && opened == 0; pages++) {
        kivi_error *error = NULL;
        kivi_status status;
        /* One page more of room each time, and no files that were begun. */
        for (unsigned i = 0; i < 3; i++) {
            print(&path, "%s/small/data%s", folder, ends[i]);
            unlink(path.bytes);
        }
        unlink(rest.bytes);
        size = fill_file(rest.bytes, 8 << 20);
        CHECK(truncate(rest.bytes, (off_t)(size - pages * 4096)) == 0);
        status = kivi_store_open(url.bytes, NULL, NULL, &store, &error);
        if (status == KIVI_OK) {
            status = kivi_store_set(store, NULL, kivi_str("key"), kivi_str("\xa1v"), KIVI_TTL_NONE,
                                    &error);
            opened += status == KIVI_OK;
            kivi_store_unref(store);
        }
        CHECK_SAYING(status == KIVI_OK || status == KIVI_IO, "%u pages of room: %s: %s", pages,
                     kivi_status_name(status), kivi_error_message(error));
        CHECK_SAYING(!error || strstr(kivi_error_message(error), "/small"), "%s",
                     kivi_error_message(error));
        kivi_error_free(error);
    }
    CHECK_SAYING(opened > 0, "40 pages were not enough");
    unlink(rest.bytes);
    store = open_store("lmdb:%s/small/data", folder);
    expect_holds(store, "key", "\xa1v");
    kivi_store_unref(store);
}
