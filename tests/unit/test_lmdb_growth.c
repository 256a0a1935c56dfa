/* The lmdb backend: the map's size, growing it, and following other processes that did. */
#include <pthread.h>

#include "lmdb_fixture.h"

TestSuite(lmdb_growth, .init = fixture_begin, .fini = fixture_end);

static char big[20001];

static kivi_instance small_store(void)
{
    memset(big, 'x', sizeof(big) - 1);
    return open_store(path_of("s"), WITH("sync=false", "map_size=131072"));
}

Test(lmdb_growth, a_full_map_grows)
{
    kivi_instance store = small_store();
    char key[16];

    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "k%02d", i);
        put(&store, key, big, 0);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "k%02d", i);
        expect(&store, key, big);
    }
    lmdb->close(store.handle);
}

Test(lmdb_growth, one_vector_larger_than_twice_the_map)
{
    kivi_instance store = small_store();
    static kivi_write_item items[60];
    static char keys[60][8];

    for (size_t i = 0; i < 60; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%02zu", i);
        items[i] = write_item(KIVI_OP_SET, keys[i], big);
        items[i].ttl_ms = 100000;
    }
    cr_assert_eq(write_all(&store, items, 60, 0, 5000), KIVI_OK, "%s", failure);
    for (size_t i = 0; i < 60; i++) {
        cr_assert_eq(items[i].status, KIVI_OK);
        expect(&store, keys[i], big);
    }
    lmdb->close(store.handle);
}

static unsigned busy_answers;

/* Writes from inside a visitor until the map is full: growing has to wait for this very read. */
static kivi_status fill_inside(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value,
                               kivi_slice version)
{
    const kivi_instance *store = vector->owner;
    char key[16];

    (void)item;
    (void)version;
    for (int i = 0; i < 100 && !busy_answers; i++) {
        kivi_write_item set;
        snprintf(key, sizeof(key), "f%02d", i);
        set = write_item(KIVI_OP_SET, key, big);
        if (write_all(store, &set, 1, 0, 5000) == KIVI_BUSY) {
            busy_answers++;
            cr_assert_eq(failure_retryable, KIVI_RETRY_YES);
            cr_assert_eq(set.status, KIVI_PENDING);
            expect(store, key, NULL);
        } else {
            cr_assert_eq(set.status, KIVI_OK, "%s", failure);
            expect(store, key, big);
        }
    }
    cr_assert_eq(*(const char *)value.data, 'v');
    return KIVI_OK;
}

Test(lmdb_growth, a_visitor_delays_it_and_the_next_write_tries_again)
{
    kivi_instance store = small_store();
    kivi_read_item item = read_item(kivi_str("k"), KIVI_WANT_VALUE);
    kivi_read_vector vector = {sizeof(vector), sizeof(item), &item, 1, fill_inside, &store};
    fixture_wait wait = wait_ms(5000);
    kivi_error *error = NULL;

    busy_answers = 0;
    put(&store, "k", "v", 0);
    cr_assert_eq(lmdb->read(store.handle, NULL, &vector, &wait.wait, &error), KIVI_OK);
    cr_assert_eq(busy_answers, 1);
    put(&store, "after", big, 0);
    expect(&store, "after", big);
    expect(&store, "f00", big);
    lmdb->close(store.handle);
}

static atomic_bool stop_reading;

static void *read_on(void *argument)
{
    const kivi_instance *store = argument;
    static _Thread_local taken into;

    while (!atomic_load(&stop_reading)) {
        kivi_status status = get_bytes(store, kivi_str("k00"), &into);
        if (status != KIVI_OK || into.size != sizeof(big) - 1 || into.bytes[777] != 'x')
            return (void *)1;
    }
    return NULL;
}

/* A reader that has no processor for 100 ms delays the growth, as a visitor does. */
static void put_beside_readers(const kivi_instance *store, const char *key)
{
    kivi_status status = KIVI_BUSY;

    for (int i = 0; i < 50 && status == KIVI_BUSY; i++) {
        kivi_write_item item = write_item(KIVI_OP_SET, key, big);
        status = write_one(store, &item);
    }
    cr_assert_eq(status, KIVI_OK, "%s: %d %s", key, status, failure);
}

Test(lmdb_growth, under_readers)
{
    kivi_instance store = small_store();
    pthread_t threads[4];
    void *answer;
    char key[16];

    put(&store, "k00", big, 0);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, read_on, &store), 0);
    for (int i = 1; i < 300; i++) {
        snprintf(key, sizeof(key), "k%02d", i);
        put_beside_readers(&store, key);
    }
    atomic_store(&stop_reading, true);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_join(threads[i], &answer), 0);
        cr_assert_null(answer);
    }
    lmdb->close(store.handle);
}

/* Another process makes the file larger than our map. */
static void grow_elsewhere(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
        char key[16];
        for (int i = 0; i < 50; i++) {
            snprintf(key, sizeof(key), "k%02d", i);
            put(&store, key, big, 0);
        }
        lmdb->close(store.handle);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

Test(lmdb_growth, another_process_grew_it_readers_follow)
{
    kivi_instance store = small_store();

    put(&store, "a", "1", 0);
    grow_elsewhere();
    expect(&store, "k49", big);
    expect(&store, "a", "1");
    put(&store, "b", "2", 0);
    lmdb->close(store.handle);
}

Test(lmdb_growth, another_process_grew_it_writers_follow)
{
    kivi_instance store = small_store();

    put(&store, "a", "1", 0);
    grow_elsewhere();
    put(&store, "b", "2", 0);
    expect(&store, "k49", big);
    lmdb->close(store.handle);
}

Test(lmdb_growth, another_process_grew_it_scans_follow)
{
    kivi_instance store = small_store();

    put(&store, "a", "1", 0);
    grow_elsewhere();
    cr_assert_eq(count_keys(&store, "k"), 50);
    lmdb->close(store.handle);
}

Test(lmdb_growth, less_is_reserved_where_there_is_less)
{
    /* 2^50 bytes: no process has so much address space. */
    kivi_instance store = open_store(path_of("s"), WITH("map_size=1048576GiB"));
    char detail[300];
    unsigned long long map = 0;

    put(&store, "k", "v", 0);
    expect(&store, "k", "v");
    lmdb->detail(store.handle, detail, sizeof(detail));
    cr_assert_eq(sscanf(strstr(detail, "map of"), "map of %llu MiB", &map), 1);
    cr_assert(map >= 16 && map < 1048576ull * 1024, "%s", detail);
    lmdb->close(store.handle);
}
