/* Facts: what a call and an idle store cost beside time, and how soon `kivi get` has ended. */
#include "bench_lmdb.h"
#include "bench_run.h"

#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS 1000u
#define RUNS 50u

extern char **environ;

static const char value_100[] =
    "\xd9\x62"
    "ninety-eight bytes of text in msgpack, so that the command can read "
    "what is stored here as a value";
_Static_assert(sizeof value_100 - 1 == 2 + 0x62, "the length in front is that of the text");

/* A store with one key, open and used once. */
typedef struct one_key {
    char *dir;
    kivi_store *store;
    kivi_buffer value;
    MDB_env *env;
    MDB_dbi dbi;
} one_key;

static const char *facts_dir; /* made before the fork of a traced child, removed by the parent */

static kivi_slice the_key(void)
{
    return kivi_str("greeting");
}

static void set_once(void *user)
{
    one_key *one = user;
    kivi_error *error;
    kivi_slice value = kivi_bytes(value_100, sizeof value_100 - 1);
    bench_ok(kivi_store_set(one->store, NULL, the_key(), value, KIVI_TTL_NONE, &error), &error);
}

static void get_once(void *user)
{
    one_key *one = user;
    kivi_error *error;
    bench_ok(kivi_store_get(one->store, NULL, the_key(), &one->value, &error), &error);
    BENCH_CHECK(one->value.size == sizeof value_100 - 1);
}

static void *prepare_ours(void)
{
    one_key *one = bench_alloc(sizeof *one);
    one->store = bench_open_store(facts_dir);
    set_once(one);
    return one;
}

static void peer_set_once(void *user)
{
    one_key *one = user;
    MDB_txn *txn;
    MDB_val key = {8, (void *)(uintptr_t) "greeting"};
    MDB_val value = {sizeof value_100 - 1, (void *)(uintptr_t)value_100};
    BENCH_CHECK(!mdb_txn_begin(one->env, NULL, 0, &txn));
    BENCH_CHECK(!mdb_put(txn, one->dbi, &key, &value, 0));
    BENCH_CHECK(!mdb_txn_commit(txn));
}

static void *prepare_peer(void)
{
    one_key *one = bench_alloc(sizeof *one);
    one->env = bench_open_env(facts_dir, &one->dbi);
    peer_set_once(one);
    return one;
}

static void release_ours(one_key *one)
{
    kivi_buffer_free(&one->value);
    kivi_store_unref(one->store);
    free(one);
}

static double allocations_a_call(void (*run)(void *user), one_key *one)
{
    run(one);
    uint64_t before = bench_allocations();
    for (unsigned i = 0; i < CALLS; i++)
        run(one);
    return (double)(bench_allocations() - before) / CALLS;
}

static void report_allocations(void)
{
    one_key *one = prepare_ours();
    bench_fact get = {"get-allocations",
                      "allocations of a get into a reused buffer, LMDB",
                      "a call",
                      allocations_a_call(get_once, one),
                      0,
                      ""};
    bench_fact set = {"set-allocations",
                      "allocations of a durable set, LMDB",
                      "a call",
                      allocations_a_call(set_once, one),
                      -1,
                      ""};
    bench_report_fact(&get);
    bench_report_fact(&set);
    release_ours(one);
}

static void report_syscalls(void)
{
    char note[64];
    double get = bench_count_syscalls(prepare_ours, get_once, 100);
    double set = bench_count_syscalls(prepare_ours, set_once, 100);
    double peer = bench_count_syscalls(prepare_peer, peer_set_once, 100);
    if (get < 0 || set < 0 || peer < 0) {
        puts("system calls cannot be counted here: tracing a child is not allowed");
        return;
    }
    snprintf(note, sizeof note, "raw lmdb: %g", peer);
    bench_fact got = {"get-syscalls", "system calls of a get, LMDB", "a call", get, -1, ""};
    bench_fact was_set = {
        "set-syscalls", "system calls of a durable set, LMDB", "a call", set, -1, note};
    bench_report_fact(&got);
    bench_report_fact(&was_set);
}

static unsigned count_threads(void)
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    BENCH_CHECK(tasks);
    for (struct dirent *task; (task = readdir(tasks));)
        count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}

/* Anonymous memory of the process in KiB, whoever mapped it. */
static double anonymous_kib(void)
{
    char line[128];
    double kib = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Anonymous: %lf", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib;
}

/* What a process holds: KiB of heap and of anonymous pages, and threads. */
typedef struct held {
    double heap, pages;
    double threads;
} held;

static held held_now(void)
{
    return (held){.heap = (double)bench_heap_bytes() / 1024,
                  .pages = anonymous_kib(),
                  .threads = count_threads()};
}

/* What `prepare` leaves behind in a fresh child, where no earlier open has left its pages to the heap. */
static held measure_in_child(void *(*prepare)(void))
{
    int ends[2];
    held more = {0, 0, 0};
    BENCH_CHECK(!pipe(ends));
    fflush(NULL);
    pid_t child = fork();
    BENCH_CHECK(child >= 0);
    if (!child) {
        held before = held_now();
        prepare();
        more = held_now();
        more.heap -= before.heap;
        more.pages -= before.pages;
        more.threads -= before.threads;
        _exit(write(ends[1], &more, sizeof more) != sizeof more);
    }
    close(ends[1]);
    BENCH_CHECK(read(ends[0], &more, sizeof more) == sizeof more);
    close(ends[0]);
    BENCH_CHECK(waitpid(child, NULL, 0) == child);
    return more;
}

static void *prepare_used(void)
{
    one_key *one = prepare_ours();
    get_once(one);
    return one;
}

/* liblmdb alone takes 3 MiB of heap for an environment, most of it never touched: only what is beyond that is ours. */
static void report_idle(void)
{
    char note[96];
    held peer = measure_in_child(prepare_peer), ours = measure_in_child(prepare_used);
    snprintf(note, sizeof note, "in all %.1f; raw lmdb %.1f", ours.heap, peer.heap);
    bench_fact heap = {"idle-heap", "heap of an open, idle store, used once, beyond raw lmdb's",
                       "KiB",       ours.heap - peer.heap,
                       200,         note};
    bench_report_fact(&heap);
    snprintf(note, sizeof note, "raw lmdb %.0f", peer.pages);
    bench_fact pages = {
        "idle-pages", "anonymous pages touched by that store, data of libraries too",
        "KiB",        ours.pages,
        200,          note};
    bench_report_fact(&pages);
    bench_fact tasks = {
        "idle-threads", "threads of an open, idle store", "threads", ours.threads, 0, ""};
    bench_report_fact(&tasks);
}

/* Runs a command to its end; its output goes nowhere. Answers ms. */
static double time_command(const char *const *arguments)
{
    int status, failed;
    pid_t child;
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", 1 /* O_WRONLY */, 0);
    uint64_t began = bench_now_ns();
    failed = posix_spawnp(&child, arguments[0], &files, NULL, (char *const *)(uintptr_t)arguments,
                          environ);
    if (failed)
        bench_fail("%s: %s", arguments[0], strerror(failed));
    BENCH_CHECK(waitpid(child, &status, 0) == child);
    uint64_t ended = bench_now_ns();
    posix_spawn_file_actions_destroy(&files);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        bench_fail("%s did not end with 0", arguments[0]);
    return (double)(ended - began) / 1e6;
}

static void report_command(void)
{
    char url[512], note[64];
    double ours[RUNS], peer[RUNS];
    one_key *one = prepare_ours();
    release_ours(one);
    snprintf(url, sizeof url, "lmdb:%s/our.mdb", facts_dir);
    const char *get[] = {bench_settings.kivi, "-s", url, "get", "greeting", NULL};
    const char *nothing[] = {"/bin/true", NULL};
    for (unsigned i = 0; i < RUNS; i++) {
        peer[i] = time_command(nothing);
        ours[i] = time_command(get);
    }
    snprintf(note, sizeof note, "/bin/true: %.2f ms", bench_quantile(peer, RUNS, 0.5));
    bench_fact fact = {"kivi-get", "kivi get of one key, process start to end, median of 50",
                       "ms",       bench_quantile(ours, RUNS, 0.5),
                       5,          note};
    bench_report_fact(&fact);
}

void bench_run_facts(void)
{
    char *dir = bench_make_dir("facts");
    facts_dir = dir;
    if (bench_wanted("idle-heap"))
        report_idle();
    if (bench_wanted("get-allocations"))
        report_allocations();
    if (bench_wanted("get-syscalls"))
        report_syscalls();
    if (bench_wanted("kivi-get"))
        report_command();
    bench_remove_dir(dir);
}
