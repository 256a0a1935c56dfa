/* RocksDB in processes that fork, get signals, and end: children are told, its threads get no signal of the program's. */
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/faults.h"

TestSuite(rocksdb_fork, .init = case_begin, .fini = case_end);

enum { THREADS = 4, FORKS = 25, SECONDS = 60 };

static kivi_store *open_rocksdb(const char *options)
{
    return open_store("rocksdb:%s/data?codec=raw%s", folder, options);
}

/* Descriptors of this process below the folder of the case. */
static unsigned descriptors(void)
{
    DIR *all = opendir("/proc/self/fd");
    struct dirent *entry;
    unsigned count = 0;
    char link[300], name[600];

    CHECK(all != NULL);
    while ((entry = readdir(all))) {
        snprintf(link, sizeof(link), "/proc/self/fd/%s", entry->d_name);
        ssize_t size = readlink(link, name, sizeof(name) - 1);
        if (size <= 0)
            continue;
        name[size] = 0;
        count += strncmp(name, folder, strlen(folder)) == 0 && strstr(name, "/data/");
    }
    closedir(all);
    return count;
}

typedef struct traffic {
    kivi_store *store;
    atomic_bool over;
    atomic_uint rounds;
    unsigned number; /* of the child */
} traffic;

/* ---- children ---- */

static void expect_forked(kivi_store *store)
{
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_store *another = NULL;
    uint64_t count;
    text url;

    ANSWERS(KIVI_FORKED, kivi_store_get(store, NULL, kivi_str("fixed"), &got, E));
    ANSWERS(KIVI_FORKED,
            kivi_store_set(store, NULL, kivi_str("fixed"), kivi_str("1"), KIVI_TTL_NONE, E));
    ANSWERS(KIVI_FORKED, kivi_store_count(store, NULL, kivi_bytes(NULL, 0), &count, E));
    print(&url, "rocksdb:%s/data?codec=raw", folder);
    ANSWERS(KIVI_FORKED, kivi_store_open(url.bytes, NULL, NULL, &another, E));
    print(&url, "rocksdb:%s/another?codec=raw", folder);
    ANSWERS(KIVI_FORKED, kivi_store_open(url.bytes, NULL, NULL, &another, E));
    CHECK_NUMBER(descriptors(), 0);
    kivi_buffer_free(&got);
}

/* As a program ends: with all that runs at exit. */
static void be_a_child(traffic *t)
{
    alarm(SECONDS);
    expect_forked(t->store);
    if (t->number % 3)
        kivi_store_unref(t->store);
    if (t->number % 2)
        exit(0);
    _exit(0);
}

static void expect_end(pid_t pid)
{
    int status = -1;

    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK_SAYING(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child ended with status %x",
                 (unsigned)status);
}

static void drive_or_fork(worker *w)
{
    traffic *t = w->shared;
    text key, value;

    for (unsigned i = 0; w->index < THREADS && !atomic_load(&t->over); i++) {
        print(&key, "thread:%zu", w->index);
        print(&value, "%u", i);
        put(t->store, key.bytes, value.bytes);
        expect_holds(t->store, key.bytes, value.bytes);
        atomic_fetch_add(&t->rounds, 1);
    }
    if (w->index < THREADS)
        return;
    for (t->number = 0; t->number < FORKS; t->number++) {
        unsigned before = atomic_load(&t->rounds);
        pid_t pid;
        fflush(stdout);
        pid = fork();
        if (pid == 0)
            be_a_child(t);
        expect_end(pid);
        while (atomic_load(&t->rounds) == before)
            pause_ms(1);
    }
    atomic_store(&t->over, true);
}

/* The children get FORKED at once and end; the parent, at work all the while, loses nothing. */
Test(rocksdb_fork, in_traffic, .timeout = 300)
{
    traffic *t = calloc(1, sizeof(*t));

    CHECK(t != NULL);
    t->store = open_rocksdb("&sync=false&write_buffer=64KiB");
    put(t->store, "fixed", "77");
    CHECK(descriptors() > 0);
    together(THREADS + 1, drive_or_fork, t);
    expect_holds(t->store, "fixed", "77");
    CHECK_NUMBER(expect_sound(t->store), THREADS + 1);
    kivi_store_unref(t->store);
    t->store = open_rocksdb("");
    CHECK_NUMBER(expect_sound(t->store), THREADS + 1);
    kivi_store_unref(t->store);
    free(t);
}

/* A child that was forked while a value was looked at goes on with it. */
static kivi_status look(kivi_slice value, void *user)
{
    pid_t *pid = user;

    *pid = fork();
    CHECK(value.size == 2 && memcmp(value.data, "77", 2) == 0);
    return KIVI_OK;
}

Test(rocksdb_fork, while_a_value_is_looked_at, .timeout = 100)
{
    for (unsigned i = 0; i < 4; i++) {
        kivi_store *store = open_rocksdb("");
        pid_t pid = -1;

        put(store, "fixed", "77");
        if (i % 2) /* also as one that may have an expiry */
            OK(kivi_store_set(store, NULL, kivi_str("t"), kivi_str("1"), 3600000, E));
        OK(kivi_store_visit(store, NULL, kivi_str("fixed"), look, &pid, E));
        if (pid == 0) {
            alarm(SECONDS);
            expect_forked(store);
            kivi_store_unref(store);
            _exit(0);
        }
        expect_end(pid);
        expect_holds(store, "fixed", "77");
        kivi_store_unref(store);
    }
}

/* ---- signals ---- */

/* Whether a thread has all signals blocked that the program may get. */
static bool blocks_all(const char *thread)
{
    static const int some[] = {SIGINT, SIGTERM, SIGCHLD, SIGALRM, SIGUSR1, SIGPIPE, SIGHUP};
    char name[300], line[200];
    unsigned long long blocked = 0;
    FILE *status;

    snprintf(name, sizeof(name), "/proc/self/task/%s/status", thread);
    status = fopen(name, "r");
    while (status && fgets(line, sizeof(line), status))
        if (strncmp(line, "SigBlk:", 7) == 0)
            blocked = strtoull(line + 7, NULL, 16);
    if (status)
        fclose(status);
    for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++)
        if (status && !(blocked >> (some[i] - 1) & 1))
            return false;
    return true;
}

/* Threads that do not block the program's signals. */
static unsigned open_threads(void)
{
    DIR *all = opendir("/proc/self/task");
    struct dirent *entry;
    unsigned count = 0;

    CHECK(all != NULL);
    while ((entry = readdir(all)))
        count += entry->d_name[0] != '.' && !blocks_all(entry->d_name);
    closedir(all);
    return count;
}

/* Many tables: flushes and compactions start what threads they need. */
Test(rocksdb_fork, its_threads_block_all_signals, .timeout = 100)
{
    unsigned before = open_threads();
    kivi_store *store = open_rocksdb("&sync=false&write_buffer=64KiB");
    kivi_store *reader;

    for (unsigned i = 0; i < 400; i++) {
        text key;
        uint8_t *made = made_value(i, 3000);
        OK(kivi_store_set(store, NULL, print(&key, "key:%u", i % 150), kivi_bytes(made, 3000),
                          i % 5 ? KIVI_TTL_NONE : 3600000, E));
        free(made);
    }
    reader = open_rocksdb("&read_only=true");
    CHECK_NUMBER(expect_sound(reader), 150);
    CHECK_NUMBER(open_threads(), before);
    kivi_store_unref(reader);
    kivi_store_unref(store);
}

/* ---- the end of a program ---- */

static int ends_with_open_store(const char *options, bool reopens)
{
    pid_t pid;
    int status = -1;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        kivi_store *store;
        alarm(SECONDS);
        store = open_rocksdb(options);
        for (unsigned i = 0; i < 300; i++) {
            text key;
            uint8_t *made = made_value(i, 3000);
            OK(kivi_store_set(store, NULL, print(&key, "key:%u", i), kivi_bytes(made, 3000),
                              KIVI_TTL_NONE, E));
            free(made);
        }
        if (reopens) {
            kivi_store_unref(store);
            store = open_rocksdb(options);
        }
        exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

/* A program that ends without closing it ends well, and what was acknowledged is there. */
Test(rocksdb_fork, a_program_ends_with_it_open, .timeout = 300)
{
    kivi_store *store;

    for (unsigned i = 0; i < 10; i++) {
        CHECK_NUMBER(ends_with_open_store("&sync=false&write_buffer=64KiB", false), 0);
        CHECK_NUMBER(ends_with_open_store("&sync=false", true), 0);
    }
    store = open_rocksdb("");
    CHECK_NUMBER(expect_sound(store), 300);
    kivi_store_unref(store);
}
