/* Files that are damaged: a typed error or an answer, never a crash and never a call without end. */
#include <fcntl.h>
#include <signal.h>
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

enum { OPENED = 1, FAILED = 2 }; /* what the child tells */

typedef struct outcome {
    unsigned opened, failures;
    char message[200]; /* of the first failure */
} outcome;

/* Statuses that tell a caller what is the matter. */
static void note(outcome *seen, const char *call, kivi_status status, kivi_error *error)
{
    const char *message = error ? kivi_error_message(error) : "(no error)";

    switch (status) {
    case KIVI_OK:
    case KIVI_NOT_FOUND:
    case KIVI_END:
        break;
    case KIVI_CORRUPT:
    case KIVI_IO:
    case KIVI_INVALID:
    case KIVI_UNSUPPORTED:
    case KIVI_WRONG_TYPE:
        CHECK_SAYING(strstr(message, "damaged"), "%s: %s: %s", call,
                     kivi_status_name(status), message);
        if (seen->failures++ == 0)
            snprintf(seen->message, sizeof(seen->message), "%s: %s: %s", call, kivi_status_name(status),
                     message);
        break;
    default:
        CHECK_SAYING(false, "%s: %s: %s", call, kivi_status_name(status), message);
    }
    kivi_error_free(error);
}

#define TRY(call_)                                 \
    do {                                           \
        kivi_error *error = NULL;                  \
        kivi_status status_ = (call_);             \
        note(seen, #call_, status_, error);        \
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
    TRY(kivi_store_open(url.bytes, NULL, &store, &error));
    if (store) {
        seen->opened = 1;
        read_damaged(store, seen);
        if (!*options)
            write_damaged(store, seen);
        kivi_store_unref(store);
    }
    tell(out, seen, sizeof(*seen));
}

static unsigned crashes, hangs;

static outcome expect_survival(const char *options, const char *what, unsigned long long where)
{
    outcome seen = {0};
    child c = child_start(use_damaged, (void *)options);
    bool told = can_hear(c.from, SECONDS * 1000);
    int status;

    if (told && read(c.from, &seen, sizeof(seen)) != (ssize_t)sizeof(seen))
        seen = (outcome){0};
    status = child_wait(&c, told ? 10 : 0);
    if (status == -1) {hangs++; printf("%s at %llu: hangs\n", what, where);}
    else if (WIFSIGNALED(status)) {crashes++; printf("%s at %llu: a child died of signal %d\n", what, where,
                 WTERMSIG(status));}
    else if (status) {crashes++; printf("%s at %llu: status %d\n", what, where, status);}
    return seen;
}

static outcome damaged(const image *file, size_t size, const char *what, unsigned long long where)
{
    outcome seen;

    write_image(file->bytes, size);
    seen = expect_survival("", what, where);
    write_image(file->bytes, size);
    expect_survival("&read_only=true", what, where);
    return seen;
}

Test(corrupt, no_file_of_lmdb, .timeout = 60)
{
    image text_file = {(uint8_t *)strdup("Dear diary,\ntoday I wrote a text file.\n"), 0};
    image noise = {made_value(1, 1 << 16), 1 << 16}, zeros = {calloc(1, 1 << 16), 1 << 16};
    outcome seen;

    text_file.size = strlen((char *)text_file.bytes);
    seen = damaged(&text_file, text_file.size, "a text", 0);
    printf("%s\n", seen.message);
    seen = damaged(&noise, noise.size, "noise", 0);
    printf("%s\n", seen.message);
    seen = damaged(&zeros, zeros.size, "zeros", 0);
    printf("%s\n", seen.message);
    for (size_t size = 1; size < 9000; size += 977) {
        seen = damaged(&zeros, size, "zeros", size);
        printf("%s\n", seen.message);
    }
    printf("%u crashes %u hangs\n", crashes, hangs);
}

Test(corrupt, cut, .timeout = 100)
{
    image file;
    unsigned opened = 0;

    make_file("sound");
    file = read_image("sound");
    printf("file of %zu pages\n", file.size / PAGE);
    for (size_t size = 1; size < file.size; size += size < 3 * PAGE ? 1300 : 9 * PAGE + 501) {
        outcome seen = damaged(&file, size, "cut", size);
        opened += seen.opened;
        if (size < 40000) printf("%s\n", seen.message);
    }
    printf("%u opened\n", opened);
    printf("%u crashes %u hangs\n", crashes, hangs);
}

Test(corrupt, first_pages, .timeout = 300)
{
    image file;
    unsigned opened = 0;

    make_file("sound");
    file = read_image("sound");
    for (size_t i = 0; i < 2 * 176; i += 1) {
        size_t at = i < 176 ? i : PAGE + i - 176;
        uint8_t was = file.bytes[at];
        file.bytes[at] ^= (uint8_t)(1 << i % 8);
        outcome seen = damaged(&file, file.size, "meta flipped", at);
        opened += seen.opened;
        file.bytes[at] = was;
    }
    printf("%u opened\n", opened);
    printf("%u crashes %u hangs\n", crashes, hangs);
}

Test(corrupt, random_bytes, .timeout = 300)
{
    image file, copy;
    uint64_t seed = 1;
    unsigned opened = 0;

    make_file("sound");
    file = read_image("sound");
    copy.size = file.size;
    copy.bytes = malloc(file.size);
    for (unsigned i = 0; i < 150; i++) {
        size_t page = 2 + next_random(&seed) % (file.size / PAGE - 2);
        size_t at = page * PAGE + (i % 2 ? 0 : next_random(&seed) % PAGE);
        size_t length = i % 3 == 0 ? 1 : i % 3 == 1 ? 16 : PAGE;
        memcpy(copy.bytes, file.bytes, file.size);
        for (size_t j = 0; j < length && at + j < file.size; j++)
            copy.bytes[at + j] = (uint8_t)next_random(&seed);
        outcome seen = damaged(&copy, copy.size, "random", at);
        opened += seen.opened;
        if (seen.failures && i < 60)
            printf("%zu: %s (%u)\n", at, seen.message, seen.failures);
    }
    printf("%u opened\n", opened);
    printf("%u crashes %u hangs\n", crashes, hangs);
}
