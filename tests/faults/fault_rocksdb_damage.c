/* Damaged files of RocksDB: CORRUPT or what was written, never another value, a crash or a call without end. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/faults.h"

TestSuite(rocksdb_damage, .init = case_begin, .fini = case_end);

enum { KEYS = 400, SECONDS = 60 };

static size_t size_of(unsigned number)
{
    return number % 40 == 0 ? 20000 : 60 + number % 200;
}

/* Tables, and a log of what came last. */
static void make_folder(int in, int out, void *user)
{
    text key;

    (void)in, (void)out, (void)user;
    for (unsigned half = 0; half < 2; half++) {
        kivi_store *store = open_store("rocksdb:%s/data?codec=raw&compression=none", folder);
        for (unsigned i = half; i < KEYS; i += 2) {
            uint8_t *made = made_value(i, size_of(i));
            OK(kivi_store_set(store, NULL, print(&key, "key:%u", i), kivi_bytes(made, size_of(i)),
                              i % 3 ? KIVI_TTL_NONE : 3600000, E));
            free(made);
        }
        kivi_store_unref(store);
    }
}

/* ---- what is done with a damaged folder, in a process of its own ---- */

typedef struct outcome {
    unsigned opened, failures, missing;
} outcome;

/* OK, or CORRUPT in words that name the folder. */
static bool note(outcome *seen, const char *call, kivi_status status, kivi_error *error)
{
    const char *message = error ? kivi_error_message(error) : "(no error)";

    if (status == KIVI_OK || status == KIVI_END || status == KIVI_NOT_FOUND)
        return status == KIVI_OK;
    CHECK_SAYING(status == KIVI_CORRUPT, "%s: %s: %s", call, kivi_status_name(status), message);
    CHECK_SAYING(strstr(message, "/data"), "%s: the folder is not named: %s", call, message);
    seen->failures++;
    kivi_error_free(error);
    return false;
}

#define TRY(call_)                          \
    ({                                      \
        kivi_error *error = NULL;           \
        kivi_status status_ = (call_);      \
        note(seen, #call_, status_, error); \
    })

static void use(kivi_store *store, outcome *seen)
{
    kivi_buffer got = KIVI_BUFFER_INIT;
    uint64_t count;
    text key;

    for (unsigned i = 0; i < KEYS; i++) {
        kivi_error *error = NULL;
        kivi_status status = kivi_store_get(store, NULL, print(&key, "key:%u", i), &got, &error);
        if (note(seen, "get", status, error))
            CHECK_SAYING(is_made_value(kivi_buffer_slice(&got), i, size_of(i)),
                         "%s has another value", key.bytes);
        seen->missing += status == KIVI_NOT_FOUND;
    }
    TRY(kivi_store_count(store, NULL, kivi_bytes(NULL, 0), &count, &error));
    for (unsigned i = 0; i < KEYS; i += 7)
        TRY(kivi_store_set(store, NULL, print(&key, "new:%u", i), kivi_str("v"),
                           i % 2 ? 0 : 3600000, &error));
    kivi_buffer_free(&got);
}

static void use_damaged(int in, int out, void *user)
{
    outcome seen_ = {0}, *seen = &seen_;
    kivi_store *store = NULL;
    text url;

    (void)in;
    print(&url, "rocksdb:%s/data?codec=raw%s", folder, (const char *)user);
    if (TRY(kivi_store_open(url.bytes, NULL, NULL, &store, &error))) {
        seen->opened = 1;
        use(store, seen);
        kivi_store_unref(store);
    }
    tell(out, seen, sizeof(*seen));
}

static outcome use_in_child(const char *options, const char *what, size_t where)
{
    outcome seen = {0};
    child c = child_start(use_damaged, (void *)options);
    int status;

    CHECK_SAYING(can_hear(c.from, SECONDS * 1000), "%s at %zu%s: a call hangs", what, where, options);
    if (read(c.from, &seen, sizeof(seen)) != (ssize_t)sizeof(seen))
        seen = (outcome){0};
    status = child_wait(&c, SECONDS);
    CHECK_SAYING(status == 0, "%s at %zu%s: %s %d", what, where, options,
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return seen;
}

/* ---- a folder in a fresh copy each time ---- */

static void copy_file(const char *from, const char *to)
{
    struct stat info;
    int fd = open(from, O_RDONLY), copy;
    char *bytes;

    CHECK(fd >= 0 && fstat(fd, &info) == 0);
    bytes = malloc((size_t)info.st_size + 1);
    copy = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(bytes && copy >= 0 && read(fd, bytes, (size_t)info.st_size) == info.st_size);
    CHECK(write(copy, bytes, (size_t)info.st_size) == info.st_size);
    close(fd);
    close(copy);
    free(bytes);
}

static void each_file(const char *name, void (*each)(const char *name))
{
    text path;
    DIR *all = opendir(print(&path, "%s/%s", folder, name).data);
    struct dirent *entry;

    CHECK(all != NULL);
    while ((entry = readdir(all)))
        if (entry->d_name[0] != '.')
            each(entry->d_name);
    closedir(all);
}

static void remove_data(const char *name)
{
    text path;
    unlink(print(&path, "%s/data/%s", folder, name).data);
}

static void copy_sound(const char *name)
{
    text from, to;

    print(&from, "%s/sound/%s", folder, name);
    copy_file(from.bytes, print(&to, "%s/data/%s", folder, name).data);
}

static void fresh_copy(void)
{
    each_file("data", remove_data);
    each_file("sound", copy_sound);
}

static void make_sound(void)
{
    child c = child_start(make_folder, NULL);
    text data, sound;

    child_ends(&c);
    print(&data, "%s/data", folder);
    CHECK(rename(data.bytes, print(&sound, "%s/sound", folder).data) == 0);
    CHECK(mkdir(data.bytes, 0755) == 0);
}

/* The largest file that ends or begins so. */
static char found[256];
static const char *wanted;

static void find_one(const char *name)
{
    struct stat info;
    static off_t most;
    text path;
    size_t size = strlen(name), less = strlen(wanted);

    if (!*found)
        most = -1;
    if (size < less || (strcmp(name + size - less, wanted) != 0 && strncmp(name, wanted, less) != 0))
        return;
    CHECK(stat(print(&path, "%s/sound/%s", folder, name).data, &info) == 0);
    if (info.st_size <= most)
        return;
    most = info.st_size;
    snprintf(found, sizeof(found), "%s", name);
}

static const char *find(const char *what)
{
    *found = 0;
    wanted = what;
    each_file("sound", find_one);
    CHECK_SAYING(*found, "there is no %s", what);
    return found;
}

/*
 * Logs and manifests are records in blocks of 32 KiB: a checksum, a length of two bytes, a type, and that many bytes. Where
 * the length of one is damaged so that it ends behind the file, RocksDB takes it for torn, and passes it and all behind it
 * over: that is not what is tried here.
 */
enum { BLOCK = 32768, HEADER = 7, LENGTH = 4, TYPE = 6 };

static bool is_length(const uint8_t *bytes, size_t size, size_t at)
{
    size_t header = 0;

    while (header + HEADER <= size && header + HEADER <= at) {
        size_t next = header + HEADER + bytes[header + LENGTH] + 256u * bytes[header + LENGTH + 1];
        if (BLOCK - next % BLOCK < HEADER)
            next += BLOCK - next % BLOCK;
        if (next > at)
            break;
        header = next;
    }
    return at >= header + LENGTH && at <= header + TYPE;
}

static void flip(const char *name, bool records, uint64_t *seed, size_t *at)
{
    text path;
    struct stat info;
    uint8_t *bytes;
    int fd = open(print(&path, "%s/data/%s", folder, name).data, O_RDWR);

    CHECK(fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0);
    bytes = malloc((size_t)info.st_size);
    CHECK(bytes && read(fd, bytes, (size_t)info.st_size) == info.st_size);
    do
        *at = next_random(seed) % (size_t)info.st_size;
    while (records && is_length(bytes, (size_t)info.st_size, *at));
    bytes[*at] ^= (uint8_t)(1 << next_random(seed) % 8);
    CHECK(pwrite(fd, bytes + *at, 1, (off_t)*at) == 1);
    close(fd);
    free(bytes);
}

/* One bit flipped somewhere, many times; how often that was noticed. */
static unsigned flip_often(const char *what, unsigned times, const char *options, unsigned *missing)
{
    uint64_t seed = 9;
    unsigned noticed = 0;

    *missing = 0;
    for (unsigned i = 0; i < times; i++) {
        size_t at = 0;
        outcome seen;
        fresh_copy();
        flip(find(what), strcmp(what, ".sst") != 0, &seed, &at);
        seen = use_in_child(options, what, at);
        noticed += seen.failures > 0;
        *missing += seen.missing;
    }
    printf("%s: %u flips, %u noticed, %u keys missing\n", what, times, noticed, *missing);
    return noticed;
}

Test(rocksdb_damage, tables, .timeout = 300)
{
    unsigned missing;

    make_sound();
    CHECK(flip_often(".sst", 40, "", &missing) > 10);
    CHECK_NUMBER(missing, 0);
}

Test(rocksdb_damage, log_of_writes, .timeout = 300)
{
    unsigned missing;

    make_sound();
    CHECK_NUMBER(flip_often(".log", 40, "", &missing), 40);
    CHECK_NUMBER(missing, 0);
}

Test(rocksdb_damage, manifest, .timeout = 300)
{
    unsigned missing;

    make_sound();
    CHECK_NUMBER(flip_often("MANIFEST-", 30, "", &missing), 30);
    CHECK_NUMBER(missing, 0);
}

/* On demand all behind the damage is given up, and the rest is whole. */
Test(rocksdb_damage, log_of_writes_up_to_the_damage, .timeout = 300)
{
    unsigned missing;

    make_sound();
    flip_often(".log", 20, "&recovery=point", &missing);
    CHECK(missing > 0);
}

static void cut(const char *name, size_t size)
{
    text path;
    CHECK(truncate(print(&path, "%s/data/%s", folder, name).data, (off_t)size) == 0);
}

/* As a power cut leaves it: a torn last record is no damage, and what stands before it is there. */
Test(rocksdb_damage, torn_log, .timeout = 300)
{
    struct stat info;
    text path;

    make_sound();
    print(&path, "%s/sound/%s", folder, find(".log"));
    CHECK(stat(path.bytes, &info) == 0);
    for (size_t less = 1; less < 400; less += 37) {
        outcome seen;
        fresh_copy();
        cut(find(".log"), (size_t)info.st_size - less);
        seen = use_in_child("", "a torn log, less", less);
        CHECK_NUMBER(seen.failures, 0);
        CHECK(seen.opened && seen.missing >= 1 && seen.missing <= 8);
    }
}

Test(rocksdb_damage, lost_files, .timeout = 300)
{
    static const char *const names[] = {".sst", "MANIFEST-"};

    make_sound();
    for (size_t i = 0; i < 2; i++) {
        outcome seen;
        fresh_copy();
        remove_data(find(names[i]));
        seen = use_in_child("", names[i], 0);
        CHECK_SAYING(seen.failures > 0, "%s is lost, and nobody noticed", names[i]);
    }
}
