/*
 * Files of the engines written in Go that are damaged: answers or a typed error that names the file, never a crash and never
 * a call without end. What the engine gave up on stays refused.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/faults.h"

TestSuite(go_damaged, .init = case_begin, .fini = case_end);

enum { KEYS = 600, SECONDS = 60, PAGES = 60 };

typedef struct damage {
    const char *url; /* with the folder of the case in it */
    const char *file;
    size_t at;
    uint8_t mask; /* 0: the file is cut there */
    bool while_open;
} damage;

typedef struct outcome {
    unsigned opened, failures;
    char message[200]; /* of the first failure */
} outcome;

static void make_data(int in, int out, void *user)
{
    text url;
    kivi_store *store;
    text key;

    (void)in, (void)out;
    print(&url, (const char *)user, folder);
    store = open_store("%s", url.bytes);
    for (unsigned i = 0; i < KEYS; i++) {
        uint8_t *made = made_value(i, i % 40 ? 60 : 5000);
        OK(kivi_store_set(store, NULL, print(&key, "key:%u", i),
                          kivi_bytes(made, i % 40 ? 60 : 5000), i % 3 ? KIVI_TTL_NONE : 3600000, E));
        free(made);
    }
    for (unsigned i = 1; i < KEYS; i += 5)
        OK(kivi_store_delete(store, NULL, print(&key, "key:%u", i), NULL, E));
    kivi_store_unref(store);
}

static void do_damage(const damage *d)
{
    uint8_t byte;
    int fd = open(d->file, O_RDWR);

    CHECK_SAYING(fd >= 0, "%s", d->file);
    if (d->mask == 0) {
        CHECK(ftruncate(fd, (off_t)d->at) == 0);
    } else {
        CHECK(pread(fd, &byte, 1, (off_t)d->at) == 1);
        byte ^= d->mask;
        CHECK(pwrite(fd, &byte, 1, (off_t)d->at) == 1);
    }
    close(fd);
}

static void note(outcome *seen, const char *call, kivi_status status, kivi_error *error)
{
    const char *message = error ? kivi_error_message(error) : "(no error)";
    /* DENIED: where what tells the encryption key is damaged. */
    bool damaged = status == KIVI_CORRUPT || status == KIVI_UNSUPPORTED || status == KIVI_DENIED;

    CHECK_SAYING(status < KIVI_INVALID || damaged || status == KIVI_UNCERTAIN || status == KIVI_WRONG_TYPE,
                 "%s: %s: %s", call, kivi_status_name(status), message);
    if (status >= KIVI_INVALID) {
        CHECK_SAYING(strstr(message, folder), "%s: the file is not named: %s", call, message);
        if (seen->failures++ == 0)
            snprintf(seen->message, sizeof(seen->message), "%s: %s", call, message);
    }
    kivi_error_free(error);
}

#define TRY(call_)                          \
    do {                                    \
        kivi_error *error = NULL;           \
        kivi_status status_ = (call_);      \
        note(seen, #call_, status_, error); \
    } while (0)

static void use_store(kivi_store *store, outcome *seen)
{
    kivi_buffer got = KIVI_BUFFER_INIT;
    uint64_t count = 0;
    int64_t ttl_ms;
    text key;

    for (unsigned i = 0; i < KEYS; i += 3)
        TRY(kivi_store_get(store, NULL, print(&key, "key:%u", i), &got, &error));
    TRY(kivi_store_ttl(store, NULL, kivi_str("key:0"), &ttl_ms, &error));
    TRY(kivi_store_count(store, NULL, kivi_bytes(NULL, 0), &count, &error));
    for (unsigned i = 0; i < KEYS; i += 23) {
        TRY(kivi_store_set(store, NULL, print(&key, "key:%u", i), kivi_str("new"), 0, &error));
        TRY(kivi_store_delete(store, NULL, print(&key, "key:%u", i + 7), NULL, &error));
    }
    TRY(kivi_store_clear(store, NULL, kivi_str("key:5"), 0, NULL, &error));
    TRY(kivi_store_get(store, NULL, kivi_str("key:3"), &got, &error));
    kivi_buffer_free(&got);
}

static void use_damaged(int in, int out, void *user)
{
    const damage *d = user;
    outcome seen_ = {0}, *seen = &seen_;
    kivi_store *store = NULL;
    text url;

    (void)in;
    print(&url, d->url, folder);
    TRY(kivi_store_open(url.bytes, NULL, NULL, &store, &error));
    if (store) {
        seen->opened = 1;
        if (d->while_open)
            do_damage(d);
        use_store(store, seen);
        kivi_store_unref(store);
    }
    tell(out, seen, sizeof(*seen));
}

/* A process of its own ends by itself and well. */
static outcome use_in_child(damage *d)
{
    outcome seen = {0};
    child c = child_start(use_damaged, d);
    int status;

    CHECK_SAYING(can_hear(c.from, SECONDS * 1000), "%s at %zu: a call hangs", d->file, d->at);
    if (read(c.from, &seen, sizeof(seen)) != (ssize_t)sizeof(seen))
        seen = (outcome){0};
    status = child_wait(&c, SECONDS);
    CHECK_SAYING(status == 0, "%s at %zu, mask %d: status %d", d->file, d->at, d->mask, status);
    return seen;
}

static void run_child(void (*work)(int in, int out, void *user), const char *url)
{
    child c = child_start(work, (void *)url);
    child_ends(&c);
}

static size_t size_of(const char *path)
{
    struct stat info;
    CHECK_SAYING(stat(path, &info) == 0, "%s", path);
    return (size_t)info.st_size;
}

static void copy(const char *from, const char *to)
{
    text command;
    print(&command, "rm -rf %s && cp -r --sparse=always %s %s", to, from, to);
    CHECK(system(command.bytes) == 0);
}

/* What is not damaged passes: else nothing below would tell anything. */
static void expect_sound_is_clean(const text *sound, const text *damaged, const char *url)
{
    damage none = {.url = url, .file = damaged->bytes};
    outcome seen;

    copy(sound->bytes, damaged->bytes);
    seen = use_in_child(&none);
    CHECK_SAYING(seen.opened && seen.failures == 0, "%s", seen.message);
}

static const char bolt[] = "bolt:%s/damaged?codec=raw&sync=false&timeout=5s";

/* The file is cut while a store has it mapped: a page that is not there is an error, and no signal. */
Test(go_damaged, bolt_cut_while_open, .timeout = 120)
{
    text sound, path;
    damage d = {.url = bolt, .at = 8192, .while_open = true};
    outcome seen;

    print(&sound, "%s/sound", folder);
    print(&path, "%s/damaged", folder);
    run_child(make_data, "bolt:%s/sound?codec=raw&sync=false");
    copy(sound.bytes, path.bytes);
    d.file = path.bytes;
    seen = use_in_child(&d);
    CHECK(seen.opened && seen.failures > 10);
    CHECK_SAYING(strstr(seen.message, "damaged"), "%s", seen.message);
}

Test(go_damaged, bolt_cut, .timeout = 170)
{
    text sound, path;
    size_t size;
    unsigned refused = 0, cuts = 0;

    print(&sound, "%s/sound", folder);
    print(&path, "%s/damaged", folder);
    run_child(make_data, "bolt:%s/sound?codec=raw&sync=false");
    expect_sound_is_clean(&sound, &path, bolt);
    size = size_of(sound.bytes);
    for (size_t at = 1; at < size; at = at < 20000 ? at + 3001 : at * 2, cuts++) {
        damage d = {.url = bolt, .file = path.bytes, .at = at};
        outcome seen;
        copy(sound.bytes, path.bytes);
        do_damage(&d);
        seen = use_in_child(&d);
        refused += seen.failures > 0;
    }
    printf("cut in %u places, %u seen\n", cuts, refused);
    CHECK(refused > 3);
}

Test(go_damaged, bolt_no_file_of_bolt, .timeout = 60)
{
    static const char diary[] = "Dear diary,\ntoday I wrote a text file.\n";
    text path;
    damage d = {.url = bolt, .file = path.bytes};
    outcome seen;
    int fd;

    print(&path, "%s/damaged", folder);
    fd = open(path.bytes, O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0 && write(fd, diary, sizeof(diary)) == (ssize_t)sizeof(diary));
    close(fd);
    seen = use_in_child(&d);
    CHECK(!seen.opened && seen.failures == 1);
}

/* A byte anywhere among the pages that are in use. */
Test(go_damaged, bolt_flipped, .timeout = 170)
{
    text sound, path;
    unsigned seen_so = 0, times = 100;
    uint64_t seed = 3;

    print(&sound, "%s/sound", folder);
    print(&path, "%s/damaged", folder);
    run_child(make_data, "bolt:%s/sound?codec=raw&sync=false");
    expect_sound_is_clean(&sound, &path, bolt);
    CHECK(size_of(sound.bytes) >= PAGES * 4096);
    for (unsigned i = 0; i < times; i++) {
        size_t page = next_random(&seed) % PAGES;
        damage d = {.url = bolt, .file = path.bytes};
        d.at = page * 4096 + next_random(&seed) % (i % 2 ? 4096 : 64); /* the heads of pages, mostly */
        d.mask = (uint8_t)(1 << next_random(&seed) % 8);
        copy(sound.bytes, path.bytes);
        do_damage(&d);
        seen_so += use_in_child(&d).failures > 0;
    }
    printf("%u flips, %u seen\n", times, seen_so);
}

static const char badger[] = "badger:%s/damaged?codec=raw&check=true&timeout=5s";

/* Calls with each file of the directory. */
static void for_each_file(const char *directory, void (*work)(const char *name, void *user), void *user)
{
    DIR *open_directory = opendir(directory);
    struct dirent *entry;

    CHECK(open_directory != NULL);
    while ((entry = readdir(open_directory)))
        if (entry->d_name[0] != '.')
            work(entry->d_name, user);
    closedir(open_directory);
}

typedef struct flips {
    text sound, damaged;
    uint64_t seed;
    unsigned times, seen;
} flips;

static void flip_in(const char *name, void *user)
{
    flips *f = user;
    text path;
    size_t size;

    print(&path, "%s/%s", f->sound.bytes, name);
    size = size_of(path.bytes);
    if (size > 100000)
        size = 100000; /* of logs that are reserved and empty behind */
    print(&path, "%s/%s", f->damaged.bytes, name);
    for (unsigned i = 0; i < 6 && size; i++) {
        damage d = {.url = badger, .file = path.bytes};
        d.at = next_random(&f->seed) % size;
        d.mask = i == 5 ? 0 : (uint8_t)(1 << next_random(&f->seed) % 8);
        copy(f->sound.bytes, f->damaged.bytes);
        do_damage(&d);
        f->times++;
        f->seen += use_in_child(&d).failures > 0;
    }
}

Test(go_damaged, badger_flipped_and_cut, .timeout = 170)
{
    flips f = {.seed = 9};

    print(&f.sound, "%s/sound", folder);
    print(&f.damaged, "%s/damaged", folder);
    run_child(make_data, "badger:%s/sound?codec=raw");
    expect_sound_is_clean(&f.sound, &f.damaged, badger);
    for_each_file(f.sound.bytes, flip_in, &f);
    printf("%u times damaged, %u seen\n", f.times, f.seen);
    CHECK(f.times > 10 && f.seen > 0);
}
