/* The lmdb backend: several processes on one file, writers that stall or die, readers in numbers. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#include "lmdb_processes_fixture.h"

TestSuite(lmdb_processes, .init = fixture_begin, .fini = fixture_end);

/* ---- writers ---- */

/* Writes, and stops or dies in the middle of the transaction. */
static int fatal_signal;

static kivi_status stop_inside(kivi_write_vector *vector, kivi_write_item *item,
                               const kivi_slice *old, kivi_slice *bytes)
{
    kivi_status status = add_decimal(vector, item, old, bytes);
    kill(getpid(), fatal_signal);
    return status;
}

static void write_and_halt(const char *name)
{
    kivi_instance store = open_store(path_of(name), NULL);
    kivi_write_item item = write_item(KIVI_OP_INCREMENT, "n", NULL);
    kivi_write_vector vector = {.struct_size = sizeof(vector),
                                .item_size = sizeof(item),
                                .items = &item,
                                .count = 1,
                                .increment = stop_inside};
    fixture_wait wait = wait_ms(5000);
    kivi_error *error = NULL;

    item.by = 1;
    if (lmdb->write(store.handle, NULL, &vector, &wait.wait, &error) != KIVI_OK)
        _exit(1);
    lmdb->close(store.handle);
}

Test(lmdb_processes, a_stopped_writer_costs_others_their_deadline)
{
    kivi_instance store;
    kivi_write_item item = write_item(KIVI_OP_SET, "k", "v");
    pid_t child;
    char pid[32];
    int status;

    fatal_signal = SIGSTOP;
    child = start(write_and_halt, "s");
    cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
    cr_assert(WIFSTOPPED(status));
    store = open_store(path_of("s"), NULL);
    expect(&store, "n", NULL);
    cr_assert_eq(write_all(&store, &item, 1, 0, 200), KIVI_TIMEOUT);
    cr_assert_eq(item.status, KIVI_PENDING);
    cr_assert_eq(item.sent, KIVI_SENT_NOTHING);
    snprintf(pid, sizeof(pid), "process %d ", (int)child);
    cr_assert(strstr(failure, pid), "%s", failure);
    cr_assert_eq(failure_retryable, KIVI_RETRY_YES);
    kill(child, SIGCONT);
    finish(child);
    cr_assert_eq(write_one(&store, &item), KIVI_OK);
    expect(&store, "n", "1");
    expect(&store, "k", "v");
    lmdb->close(store.handle);
}

Test(lmdb_processes, a_killed_writer_leaves_nothing_behind)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    int status;

    put(&store, "n", "7", 0);
    lmdb->close(store.handle);
    fatal_signal = SIGKILL;
    for (int i = 0; i < 3; i++) {
        pid_t child = start(write_and_halt, "s");
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFSIGNALED(status));
        store = open_store(path_of("s"), NULL);
        expect(&store, "n", "7");
        put(&store, "k", "v", 0);
        lmdb->close(store.handle);
    }
}

Test(lmdb_processes, a_writer_is_killed_while_others_have_the_file_open)
{
    kivi_instance store;
    pid_t child;
    int status;

    fatal_signal = SIGSTOP;
    child = start(write_and_halt, "s");
    cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
    store = open_store(path_of("s"), NULL);
    kill(child, SIGKILL);
    cr_assert_eq(waitpid(child, &status, 0), child);
    put(&store, "k", "v", 0);
    expect(&store, "k", "v");
    expect(&store, "n", NULL);
    lmdb->close(store.handle);
}

static void count_up(const char *name)
{
    kivi_instance store = open_store(path_of(name), WITH("sync=false"));

    for (int i = 0; i < 500; i++) {
        kivi_write_item item = write_item(KIVI_OP_INCREMENT, "n", NULL);
        item.by = 1;
        if (write_all(&store, &item, 1, 0, 20000) != KIVI_OK || item.status != KIVI_OK)
            _exit(1);
    }
    lmdb->close(store.handle);
}

Test(lmdb_processes, four_processes_count_together)
{
    pid_t children[4];
    kivi_instance store;

    for (int i = 0; i < 4; i++)
        children[i] = start(count_up, "s");
    for (int i = 0; i < 4; i++)
        finish(children[i]);
    store = open_store(path_of("s"), NULL);
    expect(&store, "n", "2000");
    lmdb->close(store.handle);
}

/* ---- the lock file ---- */

static void patch(const char *name, off_t offset, const void *bytes, size_t size)
{
    int fd = open(path_of(name), O_RDWR | O_CREAT, 0600);

    cr_assert(fd >= 0);
    cr_assert_eq(pwrite(fd, bytes, size, offset), (ssize_t)size);
    close(fd);
}

Test(lmdb_processes, lock_files_of_others_are_left_alone)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    uint32_t other = 99, four = 4, one = 1, word = sizeof(void *);

    lmdb->close(store.handle);
    patch("s-kivi", 8, &other, 4);
    refuse_open(path_of("s"), KIVI_BUSY, "another version", NULL);
    patch("s-kivi", 8, &one, 4);
    patch("s-kivi", 12, &four, 4);
    refuse_open(path_of("s"), KIVI_BUSY, "word size", NULL);
    patch("s-kivi", 12, &word, 4);
    store = open_store(path_of("s"), NULL);
    lmdb->close(store.handle);
    patch("s-kivi", 0, "notes of mine", 13);
    refuse_open(path_of("s"), KIVI_BUSY, "no lock file", NULL);
    /* One that was never finished is made anew. */
    patch("s-kivi", 0, "\0\0\0\0\0\0\0\0", 8);
    store = open_store(path_of("s"), NULL);
    lmdb->close(store.handle);
}

Test(lmdb_processes, another_pid_namespace_is_refused_while_it_is_there)
{
    pid_t child = start_staying("s");
    kivi_instance store;
    uint64_t other = 1;

    store = open_store(path_of("s"), NULL);
    lmdb->close(store.handle);
    patch("s-kivi", 24, &other, 8);
    refuse_open(path_of("s"), KIVI_BUSY, "pid namespace", NULL);
    refuse_open(path_of("s"), KIVI_BUSY, "pid namespace", WITH("read_only=true"));
    end_staying(child);
    store = open_store(path_of("s"), NULL);
    expect(&store, "theirs", "1");
    lmdb->close(store.handle);
}

/* ---- readers ---- */

Test(lmdb_processes, reads_nest_as_deep_as_there_are_readers)
{
    kivi_instance store = open_store(path_of("s"), WITH("max_readers=5"));
    nest top = {.store = &store, .deeper = 4};

    put(&store, "k", "v", 0);
    cr_assert_eq(read_nested(&top, 1000), KIVI_OK);
    cr_assert_eq(top.inner, KIVI_OK);
    top.deeper = 5;
    cr_assert_eq(read_nested(&top, 1000), KIVI_OK);
    cr_assert_eq(top.inner, KIVI_TIMEOUT);
    top.inner = KIVI_OK;
    top.deeper = 4;
    cr_assert_eq(read_nested(&top, 1000), KIVI_OK);
    cr_assert_eq(top.inner, KIVI_OK);
    lmdb->close(store.handle);
}

static void die_reading(const kivi_instance *store)
{
    (void)store;
    kill(getpid(), SIGKILL);
}

static void read_and_die(const char *name)
{
    kivi_instance store = open_store(path_of(name), WITH("max_readers=5"));
    nest top = {.store = &store, .deeper = 3, .at_bottom = die_reading};

    read_nested(&top, 1000);
}

Test(lmdb_processes, places_of_dead_readers_are_taken_over)
{
    kivi_instance store = open_store(path_of("s"), WITH("max_readers=5"));
    nest top = {.store = &store, .deeper = 4};
    int status;

    put(&store, "k", "v", 0);
    for (int i = 0; i < 3; i++) {
        pid_t child = start(read_and_die, "s");
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        top.inner = KIVI_OK;
        cr_assert_eq(read_nested(&top, 1000), KIVI_OK);
        cr_assert_eq(top.inner, KIVI_OK);
    }
    lmdb->close(store.handle);
}

static kivi_status linger(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value,
                          kivi_slice version)
{
    (void)item;
    (void)version;
    usleep(3000);
    return value.size == *(size_t *)vector->owner ? KIVI_OK : KIVI_INTERNAL;
}

static void *read_slowly(void *argument)
{
    const kivi_instance *store = argument;
    size_t size = 1;

    for (int i = 0; i < 5; i++) {
        kivi_read_item item = read_item(kivi_str("k"), KIVI_WANT_VALUE);
        kivi_read_vector vector = {sizeof(vector), sizeof(item), &item, 1, linger, &size};
        fixture_wait wait = wait_ms(20000);
        kivi_error *error = NULL;
        if (lmdb->read(store->handle, NULL, &vector, &wait.wait, &error) != KIVI_OK ||
            item.status != KIVI_OK)
            return (void *)1;
    }
    return NULL;
}

Test(lmdb_processes, two_hundred_readers_at_once)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    pthread_t threads[200];
    pthread_attr_t small;
    void *answer;

    put(&store, "k", "v", 0);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 << 10);
    for (int i = 0; i < 200; i++)
        cr_assert_eq(pthread_create(&threads[i], &small, read_slowly, &store), 0);
    for (int i = 0; i < 200; i++) {
        cr_assert_eq(pthread_join(threads[i], &answer), 0);
        cr_assert_null(answer);
    }
    lmdb->close(store.handle);
}

Test(lmdb_processes, only_a_few_places_are_kept)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    nest top = {.store = &store, .deeper = 60};

    put(&store, "k", "v", 0);
    cr_assert_eq(read_nested(&top, 1000), KIVI_OK);
    cr_assert_eq(top.inner, KIVI_OK);
    cr_assert(places_in_use("s") <= 16, "%u", places_in_use("s"));
    cr_assert(places_in_use("s") >= 1);
    lmdb->close(store.handle);
}
