/* Files that are damaged: a typed error or an answer, never a crash and never a call without end. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/faults.h"

TestSuite(corrupt, .init = case_begin, .fini = case_end);

enum { KEYS = 1200, PAGE = 4096, SECONDS = 20 };

/* A sound file's bytes. */
typedef struct image {
    uint8_t *bytes;
    size_t size;
} image;

static size_t size_of(unsigned number)
{
    return number % 40 == 0 ? 20000 : number % 7 == 0 ? 1500 : 40;
}

static void make_file(const char *name)
{
    kivi_store *store = open_store("lmdb:%s/%s?codec=raw&sync=false", folder, name);
    text key;

    for (unsigned i = 0; i < KEYS; i++) {
        uint8_t *made = made_value(i, size_of(i));
        OK(kivi_store_set(store, NULL, print(&key, "key:%u", i), kivi_bytes(made, size_of(i)),
                          i % 3 ? KIVI_TTL_NONE : 3600000, E));
        free(made);
    }
    /* Free pages as well. */
    for (unsigned i = 1; i < KEYS; i += 5)
        OK(kivi_store_delete(store, NULL, print(&key, "key:%u", i), NULL, E));
    kivi_store_unref(store);
}

static image read_image(const char *name)
{
    text path;
    struct stat info;
    image all;
    int fd;

    print(&path, "%s/%s", folder, name);
    fd = open(path.bytes, O_RDONLY);
    CHECK(fd >= 0 && fstat(fd, &info) == 0);
    all.size = (size_t)info.st_size;
    all.bytes = malloc(all.size);
    CHECK(all.bytes && read(fd, all.bytes, all.size) == (ssize_t)all.size);
    close(fd);
    return all;
}

/* A file of its own, without lock files. */
static void write_image(const void *bytes, size_t size)
{
    text path;
    int fd;

    print(&path, "%s/damaged-lock", folder);
    unlink(path.bytes);
    print(&path, "%s/damaged-kivi", folder);
    unlink(path.bytes);
    print(&path, "%s/damaged", folder);
    unlink(path.bytes);
    fd = open(path.bytes, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && (size == 0 || write(fd, bytes, size) == (ssize_t)size));
    close(fd);
}

/* ---- what is done with a damaged file, in a process of its own ---- */

typedef struct outcome {
    unsigned opened, failures;
    char message[200]; /* of the first failure */
} outcome;

/* Answers, or CORRUPT, which tells a caller what is the matter. */
static void note(outcome *seen, const char *call, kivi_status status, kivi_error *error)
{
    const char *message = error ? kivi_error_message(error) : "(no error)";

    switch (status) {
    case KIVI_OK:
    case KIVI_NOT_FOUND:
    case KIVI_END:
        break;
    case KIVI_UNSUPPORTED: /* flags that make it look like another program's */
        CHECK_SAYING(!seen->opened, "%s: %s", call, message);
        /* fall through */
    case KIVI_CORRUPT:
        CHECK_SAYING(strstr(message, "/damaged"), "%s: the file is not named: %s", call, message);
        if (seen->failures++ == 0)
            snprintf(seen->message, sizeof(seen->message), "%s: %s", call, message);
        break;
    default:
        CHECK_SAYING(false, "%s: %s: %s", call, kivi_status_name(status), message);
    }
    kivi_error_free(error);
}

#define TRY(call_)                          \
    do {                                    \
        kivi_error *error = NULL;           \
        kivi_status status_ = (call_);      \
        note(seen, #call_, status_, error); \
    } while (0)

static void read_damaged(kivi_store *store, outcome *seen)
{
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    kivi_status status;
    uint64_t count = 0;
    int64_t ttl_ms;
    text key;

    for (unsigned i = 0; i < KEYS; i++) {
        kivi_slice name = print(&key, "key:%u", i);
        TRY(kivi_store_get(store, NULL, name, &got, &error));
        if (i % 9 == 0)
            TRY(kivi_store_ttl(store, NULL, name, &ttl_ms, &error));
    }
    TRY(kivi_store_scan(store, NULL, &scan, &error));
    do {
        kivi_error *error = NULL;
        status = kivi_scan_next(scan, NULL, &pair, &error);
        note(seen, "scan_next", status, error);
        count++;
    } while (status == KIVI_OK && count < 100 * KEYS);
    CHECK_SAYING(count < 100 * KEYS, "the scan has no end");
    kivi_scan_free(scan);
    TRY(kivi_store_count(store, NULL, kivi_bytes(NULL, 0), &count, &error));
    kivi_buffer_free(&got);
}

static void write_damaged(kivi_store *store, outcome *seen)
{
    uint8_t *made = made_value(1, 5000);
    text key;

    for (unsigned i = 0; i < KEYS; i += 11) {
        kivi_slice name = print(&key, "key:%u", i);
        TRY(kivi_store_set(store, NULL, name, kivi_bytes(made, 100), i % 2 ? 0 : 3600000, &error));
        name = print(&key, "new:%u", i);
        TRY(kivi_store_set(store, NULL, name, kivi_bytes(made, 5000), 0, &error));
        name = print(&key, "key:%u", i + 3);
        TRY(kivi_store_delete(store, NULL, name, NULL, &error));
    }
    TRY(kivi_store_clear(store, NULL, kivi_str("key:5"), 0, NULL, &error));
    free(made);
}

static void use_damaged(int in, int out, void *user)
{
    outcome seen_ = {0}, *seen = &seen_;
    kivi_store *store = NULL;
    const char *options = user;
    text url;

    (void)in;
    print(&url, "lmdb:%s/damaged?codec=raw&sync=false%s", folder, options);
    TRY(kivi_store_open(url.bytes, NULL, NULL, &store, &error));
    if (store) {
        seen->opened = 1;
        read_damaged(store, seen);
        if (!strstr(options, "read_only"))
            write_damaged(store, seen);
        kivi_store_unref(store);
    }
    tell(out, seen, sizeof(*seen));
}

/* The child ends by itself and well: no signal, no endless call. */
static outcome use_in_child(const char *options, const char *what, size_t where)
{
    outcome seen;
    child c = child_start(use_damaged, (void *)options);
    int status;

    CHECK_SAYING(can_hear(c.from, SECONDS * 1000), "%s at %zu%s: a call hangs", what, where, options);
    if (read(c.from, &seen, sizeof(seen)) != (ssize_t)sizeof(seen))
        seen = (outcome){0};
    status = child_wait(&c, SECONDS);
    CHECK_SAYING(status != -1, "%s at %zu%s: the close hangs", what, where, options);
    CHECK_SAYING(!WIFSIGNALED(status), "%s at %zu%s: signal %d", what, where, options, WTERMSIG(status));
    CHECK_SAYING(status == 0, "%s at %zu%s: status %d", what, where, options, WEXITSTATUS(status));
    return seen;
}

static outcome use_both_ways(const void *bytes, size_t size, const char *options, const char *what,
                             size_t where)
{
    text read_only;

    print(&read_only, "%s&read_only=true", options);
    write_image(bytes, size);
    use_in_child(read_only.bytes, what, where);
    write_image(bytes, size);
    return use_in_child(options, what, where);
}

/* Refused at open, by whatever options. */
static void expect_refused(const void *bytes, size_t size, const char *what, size_t where)
{
    outcome seen = use_both_ways(bytes, size, "", what, where);

    CHECK_SAYING(!seen.opened && seen.failures == 1, "%s at %zu: it was opened", what, where);
}

Test(corrupt, no_file_of_lmdb, .timeout = 60)
{
    static const char diary[] = "Dear diary,\ntoday I wrote a text file.\n";
    uint8_t *noise = made_value(1, 1 << 16), *zeros = calloc(1, 1 << 16);

    CHECK(zeros != NULL);
    expect_refused(diary, sizeof(diary) - 1, "a text", 0);
    expect_refused(noise, 1 << 16, "noise", 0);
    expect_refused(zeros, 1 << 16, "zeros", 0);
    for (size_t size = 1; size < 10000; size += 977) {
        expect_refused(zeros, size, "zeros", size);
        expect_refused(noise, size, "noise", size);
    }
    free(noise);
    free(zeros);
}

/* A file of no bytes is one that was just made: it is filled by who may write, and empty for who may not. */
Test(corrupt, empty, .timeout = 60)
{
    kivi_store *store = NULL;
    text url;

    write_image("", 0);
    store = open_store("lmdb:%s/damaged?codec=raw", folder);
    CHECK_NUMBER(expect_sound(store), 0);
    put(store, "key", "value");
    kivi_store_unref(store);
    store = open_store("lmdb:%s/damaged?codec=raw&read_only=true", folder);
    expect_holds(store, "key", "value");
    kivi_store_unref(store);
    write_image("", 0);
    print(&url, "lmdb:%s/damaged?read_only=true", folder);
    REFUSED(KIVI_CORRUPT, "/damaged: the file is empty",
            kivi_store_open(url.bytes, NULL, NULL, &store, E));
}

Test(corrupt, cut, .timeout = 100)
{
    image file;
    unsigned cuts = 0;

    make_file("sound");
    file = read_image("sound");
    for (size_t size = 1; size < file.size; cuts++) {
        expect_refused(file.bytes, size, "cut", size);
        size += size < 3 * PAGE ? 1300 : 9 * PAGE + 501;
    }
    printf("cut in %u places, of %zu pages\n", cuts, file.size / PAGE);
    free(file.bytes);
}

/* ---- damage inside: what only `check` finds before LMDB meets it ---- */

/* A sound file passes, whatever it has been through. */
static void expect_sound_file(const char *name)
{
    kivi_store *store = open_store("lmdb:%s/%s?codec=raw&sync=false&check=true", folder, name);
    uint64_t count;

    OK(kivi_store_count(store, NULL, kivi_bytes(NULL, 0), &count, E));
    kivi_store_unref(store);
}

/* Random writes and deletes of all sizes, checked again and again, also while the file is open and written. */
Test(corrupt, sound_files_pass_the_check, .timeout = 100)
{
    kivi_store *store;
    uint64_t seed = 7;
    text key;

    make_file("sound");
    expect_sound_file("sound");
    for (unsigned round = 0; round < 40; round++) {
        store = open_store("lmdb:%s/sound?codec=raw&sync=false", folder);
        for (unsigned i = 0; i < 400; i++) {
            size_t size = next_random(&seed) % (i % 9 ? 300 : 30000);
            uint8_t *made = made_value(i, size);
            kivi_slice name = print(&key, "%s:%llu", i % 2 ? "key" : "a key with a longer name",
                                    (unsigned long long)(next_random(&seed) % 3000));
            if (next_random(&seed) % 3 == 0)
                OK(kivi_store_delete(store, NULL, name, NULL, E));
            else
                OK(kivi_store_set(store, NULL, name, kivi_bytes(made, size),
                                  i % 5 ? KIVI_TTL_NONE : 1 + (int64_t)(next_random(&seed) % 5000), E));
            free(made);
        }
        if (round % 10 == 9)
            OK(kivi_store_clear(store, NULL, round % 20 == 9 ? kivi_str("key:1") : kivi_bytes(NULL, 0),
                                0, NULL, E));
        if (round % 2)
            expect_sound_file("sound");
        kivi_store_unref(store);
        expect_sound_file("sound");
    }
}

static void write_for_ever(int in, int out, void *user)
{
    kivi_store *store = open_store("lmdb:%s/sound?codec=raw&sync=false", folder);
    uint64_t seed = 3;
    text key;

    (void)in, (void)user;
    tell_on(out);
    for (;;) {
        uint8_t *made = made_value(seed, 20000);
        kivi_slice name = print(&key, "key:%llu", (unsigned long long)(next_random(&seed) % 500));
        OK(kivi_store_set(store, NULL, name, kivi_bytes(made, next_random(&seed) % 20000), 0, E));
        free(made);
    }
}

Test(corrupt, check_beside_a_writer, .timeout = 60)
{
    child c;

    make_file("sound");
    c = child_start(write_for_ever, NULL);
    hear_on(c.from);
    for (unsigned i = 0; i < 50; i++) {
        kivi_store *store = open_store("lmdb:%s/sound?codec=raw&sync=false&check=true", folder);
        kivi_store_unref(store);
    }
    child_kill(&c);
    expect_sound_file("sound");
}

/* Changes some bytes, uses the file, and puts them back. */
static outcome with_bytes(image *file, size_t at, const uint8_t *bytes, size_t size, const char *what)
{
    uint8_t *was = malloc(size);
    outcome seen;

    CHECK(was && at + size <= file->size);
    memcpy(was, file->bytes + at, size);
    memcpy(file->bytes + at, bytes, size);
    seen = use_both_ways(file->bytes, file->size, "&check=true", what, at);
    memcpy(file->bytes + at, was, size);
    free(was);
    return seen;
}

/* Each byte of the two pages that describe the file, one bit flipped. */
Test(corrupt, first_pages, .timeout = 120)
{
    enum { DESCRIBED = 16 + 136 };
    unsigned refused = 0, flips = 0;
    image file;

    make_file("sound");
    file = read_image("sound");
    for (unsigned i = 0; i < 2 * DESCRIBED; i += 2, flips++) {
        size_t at = i < DESCRIBED ? i : PAGE + i - DESCRIBED;
        uint8_t flipped = file.bytes[at] ^ (uint8_t)(1 << i / 2 % 8);
        outcome seen = with_bytes(&file, at, &flipped, 1, "a bit of a first page");
        refused += !seen.opened;
    }
    printf("%u flips in the first two pages, %u refused\n", flips, refused);
    CHECK(refused > 5);
    free(file.bytes);
}

/* Bytes, stretches and whole pages of noise, anywhere. */
Test(corrupt, noise_anywhere, .timeout = 160)
{
    static const size_t sizes[] = {1, 16, PAGE};
    unsigned refused = 0, times = 240;
    uint64_t seed = 1;
    image file;

    make_file("sound");
    file = read_image("sound");
    for (unsigned i = 0; i < times; i++) {
        size_t page = next_random(&seed) % (file.size / PAGE), size = sizes[i % 3];
        size_t at = page * PAGE + (size == PAGE || i % 2 ? 0 : next_random(&seed) % (PAGE - size));
        uint8_t *noise = made_value(next_random(&seed), size);
        outcome seen = with_bytes(&file, at, noise, size, "noise");
        refused += !seen.opened;
        free(noise);
    }
    printf("%u times noise, %u refused\n", times, refused);
    CHECK(refused > times / 4);
    free(file.bytes);
}

/* A page of the same file in another's place: each is sound by itself. */
Test(corrupt, pages_in_wrong_places, .timeout = 160)
{
    unsigned refused = 0, times = 60;
    uint64_t seed = 5;
    image file;

    make_file("sound");
    file = read_image("sound");
    for (unsigned i = 0; i < times; i++) {
        size_t from = 2 + next_random(&seed) % (file.size / PAGE - 2);
        size_t to = 2 + next_random(&seed) % (file.size / PAGE - 2);
        uint8_t copy[PAGE];
        outcome seen;
        memcpy(copy, file.bytes + from * PAGE, PAGE);
        /* Every second one also claims to be the page it lies in. */
        if (i % 2)
            memcpy(copy, &to, sizeof(to));
        seen = with_bytes(&file, to * PAGE, copy, PAGE, "a page of elsewhere");
        refused += !seen.opened;
    }
    printf("%u pages in wrong places, %u refused\n", times, refused);
    CHECK(refused > times / 4);
    free(file.bytes);
}
