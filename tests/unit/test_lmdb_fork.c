/* The lmdb backend in a child of fork(): it opens a store of its own, and its parent's goes on. */
#include <pthread.h>

#include "lmdb_processes_fixture.h"

TestSuite(lmdb_fork, .init = fixture_begin, .fini = fixture_end);

static void fork_around(const kivi_instance *store, pid_t *child)
{
    lmdb->fork_prepare(store->handle);
    *child = fork();
    if (*child == 0)
        lmdb->fork_child(store->handle);
    else
        lmdb->fork_parent(store->handle);
}

Test(lmdb_fork, a_child_gets_its_own_and_leaves_the_parents_alone)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    nest top = {.store = &store, .deeper = 3};
    pid_t child;

    put(&store, "k", "v", 0);
    read_nested(&top, 1000);
    fork_around(&store, &child);
    if (child == 0) {
        kivi_instance own;
        lmdb->abandon(store.handle);
        own = open_store(path_of("s"), NULL);
        expect(&own, "k", "v");
        put(&own, "child", "1", 0);
        lmdb->close(own.handle);
        _exit(0);
    }
    finish(child);
    /* Our places in the lock table are still ours. */
    cr_assert_eq(places_in_use("s"), 4);
    expect(&store, "child", "1");
    put(&store, "parent", "1", 0);
    top.inner = KIVI_OK;
    cr_assert_eq(read_nested(&top, 1000), KIVI_OK);
    cr_assert_eq(top.inner, KIVI_OK);
    lmdb->close(store.handle);
}

Test(lmdb_fork, a_child_with_two_inherited_stores)
{
    kivi_instance store = open_store(path_of("s"), NULL), twin = open_store(path_of("s"), NULL);
    pid_t child;

    put(&store, "k", "v", 0);
    lmdb->fork_prepare(store.handle);
    lmdb->fork_prepare(twin.handle);
    child = fork();
    if (child == 0) {
        kivi_instance own;
        lmdb->fork_child(store.handle);
        lmdb->fork_child(twin.handle);
        lmdb->abandon(store.handle);
        own = open_store(path_of("s"), NULL);
        put(&own, "child", "1", 0);
        /* The other one is let go only now: our own locks must survive that. */
        lmdb->abandon(twin.handle);
        if (places_in_use("s") != 0)
            _exit(2);
        expect(&own, "k", "v");
        if (places_in_use("s") != 1)
            _exit(3);
        put(&own, "child", "2", 0);
        lmdb->close(own.handle);
        _exit(0);
    }
    lmdb->fork_parent(store.handle);
    lmdb->fork_parent(twin.handle);
    finish(child);
    expect(&twin, "child", "2");
    lmdb->close(store.handle);
    lmdb->close(twin.handle);
}

Test(lmdb_fork, a_child_that_was_not_told)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    pid_t child;

    put(&store, "k", "v", 0);
    child = fork();
    if (child == 0) {
        kivi_instance own = open_store(path_of("s"), NULL);
        put(&own, "child", "1", 0);
        lmdb->abandon(store.handle);
        put(&own, "child", "2", 0);
        lmdb->close(own.handle);
        _exit(0);
    }
    finish(child);
    expect(&store, "child", "2");
    put(&store, "parent", "1", 0);
    lmdb->close(store.handle);
}

static pid_t visitor_child;

static void fork_inside(const kivi_instance *store)
{
    fork_around(store, &visitor_child);
    if (visitor_child == 0) {
        kivi_instance own;
        lmdb->abandon(store->handle);
        own = open_store(path_of("s"), NULL);
        put(&own, "child", "1", 0);
        lmdb->close(own.handle);
    }
}

/* The child returns through the visitor and the read of its parent. */
Test(lmdb_fork, a_visitor_forks)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    nest top = {.store = &store, .deeper = 1, .at_bottom = fork_inside};

    put(&store, "k", "v", 0);
    cr_assert_eq(read_nested(&top, 1000), KIVI_OK);
    if (visitor_child == 0)
        _exit(0);
    finish(visitor_child);
    expect(&store, "child", "1");
    cr_assert_eq(places_in_use("s"), 2);
    lmdb->close(store.handle);
}

static atomic_bool stop_traffic;

static void *traffic(void *argument)
{
    const kivi_instance *store = argument;
    char key[16];

    for (unsigned i = 0; !atomic_load(&stop_traffic); i++) {
        kivi_write_item item;
        snprintf(key, sizeof(key), "t%u", i % 100);
        item = write_item(KIVI_OP_SET, key, "value");
        if (write_all(store, &item, 1, 0, 5000) != KIVI_OK)
            return (void *)1;
        if (get_bytes(store, kivi_str(key), &(taken){0}) != KIVI_OK)
            return (void *)1;
    }
    return NULL;
}

Test(lmdb_fork, fork_in_the_middle_of_traffic)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    pthread_t threads[3];
    void *answer;

    put(&store, "k", "v", 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, traffic, &store), 0);
    for (int i = 0; i < 20; i++) {
        pid_t child;
        fork_around(&store, &child);
        if (child == 0) {
            kivi_instance own;
            alarm(20);
            lmdb->abandon(store.handle);
            own = open_store(path_of("s"), WITH("sync=false"));
            expect(&own, "k", "v");
            put(&own, "child", "1", 0);
            lmdb->close(own.handle);
            _exit(0);
        }
        finish(child);
    }
    atomic_store(&stop_traffic, true);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(pthread_join(threads[i], &answer), 0);
        cr_assert_null(answer);
    }
    expect(&store, "child", "1");
    lmdb->close(store.handle);
}
