/* One memory of many stores, threads and, after a fork, processes. */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory_fixture.h"

TestSuite(memory_sharing);

Test(memory_sharing, names)
{
    memory_store a = open_store("path=shared"), b = open_store("path=shared&order=none");
    memory_store other = open_store("path=other"), alone = open_store(""), lonely = open_store("");

    put(&a, "k", "v");
    expect_value(&b, "k", "v");
    expect_value(&other, "k", NULL);
    put(&alone, "k", "mine");
    expect_value(&lonely, "k", NULL);
    expect_detail(&b, "1 keys, 2 bytes of keys and values in shared");
    close_store(&a);
    expect_value(&b, "k", "v");
    close_store(&b);
    a = open_store("path=shared");
    expect_value(&a, "k", NULL);
    close_store(&a);
    close_store(&other);
    close_store(&alone);
    close_store(&lonely);
}

static int exit_code_of(pid_t child)
{
    int status = 0;

    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static bool holds_value(memory_store *store, const char *key, const char *value)
{
    read_set reads = {0};

    add_read(&reads, key, KIVI_WANT_VALUE);
    return run_read(store, &reads) == KIVI_OK && reads.items[0].status == KIVI_OK &&
           reads.deliveries[0].size == strlen(value) &&
           memcmp(reads.deliveries[0].value, value, strlen(value)) == 0;
}

/* In the child: the data is there, can be changed, and everything can be closed. */
static int use_in_child(memory_store *one, memory_store *two)
{
    memory_store again;

    if (!holds_value(one, "k", "v") || write_one(two, KIVI_OP_SET, "k", "child", 0) != KIVI_OK ||
        !holds_value(one, "k", "child"))
        return 1;
    again = open_store("path=forked");
    if (!holds_value(&again, "k", "child"))
        return 2;
    close_store(&again);
    one->table->session_abandon(one->handle, one->session, false);
    one->table->abandon(one->handle);
    if (!holds_value(two, "k", "child"))
        return 3;
    close_store(two);
    return 0;
}

static pid_t fork_with(memory_store *one, memory_store *two)
{
    pid_t child;

    one->table->fork_prepare(one->handle);
    two->table->fork_prepare(two->handle);
    child = fork();
    if (child == 0) {
        two->table->fork_child(two->handle);
        one->table->fork_child(one->handle);
        _exit(use_in_child(one, two));
    }
    two->table->fork_parent(two->handle);
    one->table->fork_parent(one->handle);
    return child;
}

Test(memory_sharing, fork_private)
{
    memory_store one = open_store("path=forked"), two = open_store("path=forked");

    put(&one, "k", "v");
    cr_assert_eq(exit_code_of(fork_with(&one, &two)), 0);
    expect_value(&one, "k", "v");
    put(&two, "k", "parent");
    expect_value(&one, "k", "parent");
    close_store(&one);
    close_store(&two);
}

typedef struct traffic_plan {
    memory_store store;
    atomic_bool stop;
} traffic_plan;

static void *make_traffic(void *user)
{
    traffic_plan *traffic = user;
    memory_store mine = traffic->store;
    unsigned n = 0;
    char key[16];

    mine.error = NULL;
    mine.table->session_open(mine.handle, &mine.session, &mine.error);
    while (!atomic_load(&traffic->stop)) {
        snprintf(key, sizeof(key), "t%u", n++ % 300);
        put(&mine, key, "traffic");
        expect_value(&mine, key, "traffic");
    }
    mine.table->session_close(mine.handle, mine.session);
    return NULL;
}

/* Threads are inside the lock again and again while the process forks. */
Test(memory_sharing, fork_in_traffic)
{
    memory_store one = open_store("path=forked"), two = open_store("path=forked");
    traffic_plan traffic = {one, false};
    pthread_t thread;

    put(&one, "k", "v");
    cr_assert_eq(pthread_create(&thread, NULL, make_traffic, &traffic), 0);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(exit_code_of(fork_with(&one, &two)), 0);
    atomic_store(&traffic.stop, true);
    pthread_join(thread, NULL);
    close_store(&one);
    close_store(&two);
}

/* ---- Threads ---- */

enum { THREADS = 4, ROUNDS = 400 };

static void *add_many(void *user)
{
    memory_store mine = *(memory_store *)user;
    kivi_scan_range range = {.limit = 50};

    mine.error = NULL;
    mine.table->session_open(mine.handle, &mine.session, &mine.error);
    for (int i = 0; i < ROUNDS; i++) {
        read_set reads = {0};
        pages *page;

        increment_by(&mine, "counter", 1, 0);
        write_one(&mine, KIVI_OP_SET, "busy", i % 2 ? "odd" : "even", i % 3 ? 0 : 1);
        add_read(&reads, "busy", KIVI_WANT_VALUE);
        add_read(&reads, "counter", KIVI_WANT_VALUE | KIVI_WANT_EXPIRY);
        cr_assert_eq(run_read(&mine, &reads), KIVI_OK);
        AHEAD(1);
        if (i % 10)
            continue;
        page = pages_new();
        cr_assert_eq(run_page(&mine, page, range), KIVI_OK);
        pages_free(page);
    }
    mine.table->session_close(mine.handle, mine.session);
    return NULL;
}

Test(memory_sharing, threads)
{
    memory_store store = open_store("sweep=4");
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, add_many, &store), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(increment_by(&store, "counter", 0, 0).integer, THREADS * ROUNDS);
    close_store(&store);
}
