/*
 * The engines written in Go in a process that does other things as well: another process has the file, it forks, it handles
 * signals where it wants, its threads come and go, and it may not write.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/amount.h"
#include "common/faults.h"

TestSuite(go_process, .init = case_begin, .fini = case_end);

static const char bolt[] = "bolt:%s/data?codec=raw&sync=false";
static const char badger[] = "badger:%s/data?codec=raw";

/* ---- another process has it ---- */

static void hold(int in, int out, void *user)
{
    text url;
    kivi_store *store;

    print(&url, (const char *)user, folder);
    store = open_store("%s", url.bytes);
    put(store, "key", "theirs");
    tell_on(out);
    hear_on(in);
    kivi_store_unref(store);
}

static void second_open(const char *format)
{
    child c = child_start(hold, (void *)format);
    kivi_store *store = NULL;
    text url, path, hurried;
    uint64_t began;

    hear_on(c.from);
    print(&url, format, folder);
    print(&path, "%s/data", folder);
    print(&hurried, "%s&timeout=300ms", url.bytes);
    began = now_ns();
    REFUSED(KIVI_BUSY, path.bytes, kivi_store_open(hurried.bytes, NULL, NULL, &store, E));
    tell_excess("a second open", began, 300);
    CHECK(now_ns() - began > 250000000u && store == NULL);
    kill(c.pid, SIGKILL);
    child_wait(&c, 60);
    store = open_store("%s", url.bytes);
    expect_holds(store, "key", "theirs");
    kivi_store_unref(store);
}

Test(go_process, second_open_of_bolt, .timeout = 60)
{
    second_open(bolt);
}

Test(go_process, second_open_of_badger, .timeout = 60)
{
    second_open(badger);
}

/* Two stores of one process share the file, but not with another option. */
static void second_store(const char *format, const char *other)
{
    kivi_store *first, *second, *third = NULL;
    text url, different;

    print(&url, format, folder);
    print(&different, "%s&%s", url.bytes, other);
    first = open_store("%s", url.bytes);
    second = open_store("%s", url.bytes);
    put(first, "key", "value");
    expect_holds(second, "key", "value");
    REFUSED(KIVI_BUSY, "this process has it open with another",
            kivi_store_open(different.bytes, NULL, NULL, &third, E));
    kivi_store_unref(first);
    expect_holds(second, "key", "value");
    kivi_store_unref(second);
    third = open_store("%s", different.bytes);
    expect_holds(third, "key", "value");
    kivi_store_unref(third);
}

Test(go_process, second_store_of_bolt, .timeout = 60)
{
    second_store(bolt, "map_size=1GiB");
}

Test(go_process, second_store_of_badger, .timeout = 60)
{
    second_store(badger, "table_size=4MiB");
}

/* Buckets of one file are stores that see nothing of each other. */
Test(go_process, buckets, .timeout = 60)
{
    kivi_store *first = open_store("bolt:%s/data?codec=raw&bucket=first", folder);
    kivi_store *second = open_store("bolt:%s/data?codec=raw&bucket=second", folder);
    kivi_store *mark = NULL;
    text url;

    put(first, "key", "one");
    OK(kivi_store_set(second, NULL, kivi_str("key"), kivi_str("two"), 3600000, E));
    expect_holds(first, "key", "one");
    expect_holds(second, "key", "two");
    OK(kivi_store_clear(first, NULL, kivi_bytes(NULL, 0), 0, NULL, E));
    expect_holds(second, "key", "two");
    print(&url, "bolt:%s/data?bucket=kivi", folder);
    REFUSED(KIVI_INVALID, "where expiries lie", kivi_store_open(url.bytes, NULL, NULL, &mark, E));
    kivi_store_unref(first);
    kivi_store_unref(second);
}

/* ---- children ---- */

static void be_refused(int in, int out, void *user)
{
    kivi_store *store = NULL;
    kivi_buffer got = KIVI_BUFFER_INIT;
    text url;

    (void)in, (void)out;
    if (user)
        REFUSED(KIVI_FORKED, "", kivi_store_get(user, NULL, kivi_str("key"), &got, E));
    print(&url, bolt, folder);
    REFUSED(KIVI_FORKED, "Go", kivi_store_open(url.bytes, NULL, NULL, &store, E));
    print(&url, "badger:%s/other", folder);
    REFUSED(KIVI_FORKED, "Go", kivi_store_open(url.bytes, NULL, NULL, &store, E));
    kivi_store_unref(user);
}

/* One engine is one runtime: whoever has used the one has no child that can use the other. */
Test(go_process, children, .timeout = 60)
{
    kivi_store *store;
    text url;
    child c;

    print(&url, badger, folder);
    store = open_store("%s", url.bytes);
    put(store, "key", "value");
    for (unsigned i = 0; i < 5; i++) {
        c = child_start(be_refused, i % 2 ? store : NULL);
        child_ends(&c);
        put(store, "key", "still");
        expect_holds(store, "key", "still");
    }
    kivi_store_unref(store);
    c = child_start(be_refused, NULL);
    child_ends(&c);
}

/* ---- signals ---- */

enum { STORM_THREADS = 4, STORM = 30000 };

typedef struct storm {
    kivi_store *store;
    atomic_bool over;
    pthread_t threads[STORM_THREADS];
    atomic_uint ready;
} storm;

static atomic_uint handled;

/* As large as handlers get that write into logs. */
static void handle(int number)
{
    volatile char room[8192];

    for (unsigned i = 0; i < sizeof(room); i++)
        room[i] = (char)number;
    atomic_fetch_add(&handled, 1u + (unsigned)(room[17] == 0));
}

static void read_and_write(storm *s, unsigned thread)
{
    text key;

    for (unsigned i = 0; !atomic_load(&s->over); i++) {
        print(&key, "key:%u:%u", thread, i % 100);
        if (i % 4 == 0)
            put(s->store, key.bytes, "value");
        else
            expect_holds(s->store, key.bytes, i < 100 ? NULL : i % 100 % 4 == 0 ? "value" : NULL);
    }
}

static void storm_work(worker *w)
{
    storm *s = w->shared;

    if (w->index < STORM_THREADS) {
        s->threads[w->index] = pthread_self();
        atomic_fetch_add(&s->ready, 1);
        read_and_write(s, (unsigned)w->index);
        return;
    }
    while (atomic_load(&s->ready) < STORM_THREADS)
        pause_ms(1);
    for (unsigned i = 0; i < STORM; i++) {
        pthread_kill(s->threads[i % STORM_THREADS], i % 3 ? SIGUSR1 : SIGCHLD);
        if (i % 16 == 0)
            pause_ms(1);
    }
    atomic_store(&s->over, true);
}

/* Handlers that were set after Go had started, without a stack of their own, on threads that are in Go. */
static void storm_of_signals(const char *format)
{
    struct sigaction action = {.sa_handler = handle};
    storm s = {.store = NULL};
    text url;

    print(&url, format, folder);
    s.store = open_store("%s&timeout=60s", url.bytes);
    put(s.store, "first", "value");
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGCHLD, &action, NULL) == 0);
    together(STORM_THREADS + 1, storm_work, &s);
    CHECK_SAYING(handled > STORM / 10, "only %u signals came", handled);
    expect_sound(s.store);
    kivi_store_unref(s.store);
}

Test(go_process, storm_of_signals_on_bolt, .timeout = 120)
{
    storm_of_signals(bolt);
}

Test(go_process, storm_of_signals_on_badger, .timeout = 120)
{
    storm_of_signals(badger);
}

/* What a program has set for signals is as it was, but for those by which Go sees pages that are not there. */
Test(go_process, handlers_stay, .timeout = 60)
{
    struct sigaction before[32], after;
    kivi_store *store;

    for (int i = 1; i < 32; i++)
        CHECK(sigaction(i, NULL, &before[i]) == 0);
    store = open_store("bolt:%s/data?codec=raw", folder);
    put(store, "key", "value");
    for (int i = 1; i < 32; i++) {
        CHECK(sigaction(i, NULL, &after) == 0);
        CHECK_SAYING(i == SIGSEGV || i == SIGBUS || after.sa_handler == before[i].sa_handler,
                     "the handler of signal %d is another one", i);
    }
    kivi_store_unref(store);
}

/* ---- threads, and calls without number ---- */

static void *one_call(void *user)
{
    expect_holds(user, "key", "value");
    return NULL;
}

static void threads_come_and_go(const char *format)
{
    amount first = {0}, last;
    text url;

    print(&url, format, folder);
    kivi_store *store = open_store("%s", url.bytes);
    put(store, "key", "value");
    for (unsigned i = 0; i < 5000; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, one_call, store) == 0 && pthread_join(thread, NULL) == 0);
        if (i == 500)
            first = amount_now();
    }
    last = amount_now();
    amount_expect("threads that came and went", first, last, 1 << 20);
    CHECK_SAYING(last.resident < first.resident + 65536, "%zu KiB, then %zu", first.resident,
                 last.resident);
    kivi_store_unref(store);
}

Test(go_process, short_threads_on_bolt, .timeout = 120)
{
    threads_come_and_go(bolt);
}

Test(go_process, short_threads_on_badger, .timeout = 120)
{
    threads_come_and_go(badger);
}

/* ---- where nothing may be written ---- */

static void fill(int in, int out, void *user)
{
    text url;
    kivi_store *store;

    (void)in, (void)out;
    print(&url, (const char *)user, folder);
    store = open_store("%s", url.bytes);
    put(store, "key", "value");
    kivi_store_unref(store);
}

static void expect_reads_only(const char *url)
{
    kivi_store *store = open_store("%s&read_only=true", url);
    kivi_slice key = kivi_str("key");
    kivi_buffer got = KIVI_BUFFER_INIT;

    expect_holds(store, "key", "value");
    REFUSED(KIVI_DENIED, "read_only", kivi_store_set(store, NULL, key, kivi_str("v"), 0, E));
    REFUSED(KIVI_DENIED, "read_only", kivi_store_take(store, NULL, key, &got, E));
    REFUSED(KIVI_DENIED, "read_only", kivi_store_clear(store, NULL, key, 0, NULL, E));
    expect_holds(store, "key", "value");
    kivi_store_unref(store);
}

/* `readable`: of the engine, where its files cannot be written. */
static void read_only(const char *format, const char *new, bool readable)
{
    child c;
    kivi_store *store = NULL;
    text url, path;

    print(&path, "%s/disk", folder);
    CHECK(mkdir(path.bytes, 0700) == 0);
    c = child_start(fill, (void *)format);
    child_ends(&c);
    print(&url, format, folder);
    expect_reads_only(url.bytes);
    mount_read_only("disk");
    REFUSED(KIVI_DENIED, path.bytes, kivi_store_open(url.bytes, NULL, NULL, &store, E));
    if (readable)
        expect_reads_only(url.bytes);
    print(&path, "%s&read_only=true", url.bytes);
    if (!readable)
        REFUSED(KIVI_DENIED, "wants also to read", kivi_store_open(path.bytes, NULL, NULL, &store, E));
    print(&url, new, folder);
    REFUSED(KIVI_DENIED, "/disk/new", kivi_store_open(url.bytes, NULL, NULL, &store, E));
    print(&path, "%s&read_only=true", url.bytes);
    REFUSED(KIVI_INVALID, "/disk/new", kivi_store_open(path.bytes, NULL, NULL, &store, E));
}

Test(go_process, read_only_bolt, .timeout = 60)
{
    read_only("bolt:%s/disk/data?codec=raw", "bolt:%s/disk/new?codec=raw", true);
}

Test(go_process, read_only_badger, .timeout = 60)
{
    read_only("badger:%s/disk/data?codec=raw", "badger:%s/disk/new?codec=raw", false);
}

/* ---- its folder goes ---- */

/* What Badger has not yet in a table it tries to write for ever: a close does not wait for that, and nothing is lost. */
Test(go_process, badger_whose_folder_was_moved, .timeout = 60)
{
    kivi_store *store = open_store(badger, folder);
    text from, to;
    uint64_t began;

    put(store, "key", "value");
    print(&from, "%s/data", folder);
    print(&to, "%s/elsewhere", folder);
    CHECK(rename(from.bytes, to.bytes) == 0);
    began = now_ns();
    kivi_store_unref(store);
    CHECK_SAYING(now_ns() - began < 20000000000u, "a close took %g s", (double)(now_ns() - began) / 1e9);
    CHECK(rename(to.bytes, from.bytes) == 0);
    store = open_store(badger, folder);
    expect_holds(store, "key", "value");
    put(store, "key", "after");
    kivi_store_unref(store);
    store = open_store(badger, folder);
    expect_holds(store, "key", "after");
    kivi_store_unref(store);
}

Test(go_process, bolt_whose_file_was_removed, .timeout = 60)
{
    kivi_store *store = open_store(bolt, folder);
    text path;

    print(&path, "%s/data", folder);
    CHECK(unlink(path.bytes) == 0);
    put(store, "key", "value");
    expect_holds(store, "key", "value");
    kivi_store_unref(store);
}
