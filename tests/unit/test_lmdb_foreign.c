/* The lmdb backend beside programs that use LMDB without kivi: its locks are waited for like ours. */
#include "lmdb_foreign_fixture.h"

TestSuite(lmdb_foreign, .init = fixture_begin, .fini = fixture_end, .timeout = 60);

/* ---- writes ---- */

static void expect_timeout(const kivi_instance *store, pid_t other)
{
    kivi_write_item item = write_item(KIVI_OP_SET, "k", "late");
    uint64_t began = host_monotonic();
    char text[32];

    cr_assert_eq(write_all(store, &item, 1, 0, 200), KIVI_TIMEOUT);
    expect_soon(began);
    cr_assert_eq(item.status, KIVI_PENDING);
    cr_assert_eq(item.sent, KIVI_SENT_NOTHING);
    cr_assert_eq(failure_retryable, KIVI_RETRY_YES);
    snprintf(text, sizeof(text), "process %d ", (int)other);
    cr_assert(!other || strstr(failure, text), "%s", failure);
}

Test(lmdb_foreign, a_write_waits_for_its_deadline_only)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    pid_t other;

    put(&store, "k", "early", 0);
    other = start_other(hold_lock, "s");
    expect_timeout(&store, other);
    expect_timeout(&store, other);
    expect(&store, "k", "early");
    end_other(other);
    expect(&store, "k", "early");
    put(&store, "k", "late", 0);
    expect(&store, "k", "late");
    lmdb->close(store.handle);
}

Test(lmdb_foreign, a_write_that_waits_is_interrupted)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    busy_wait wait = wait_checks(2, KIVI_INTERRUPTED, NULL);
    kivi_write_item item = write_item(KIVI_OP_SET, "k", "v");
    pid_t other = start_other(hold_lock, "s");
    uint64_t began = host_monotonic();

    cr_assert_eq(write_waiting(&store, &item, &wait.wait), KIVI_INTERRUPTED);
    expect_soon(began);
    cr_assert_eq(item.sent, KIVI_SENT_NOTHING);
    end_other(other);
    expect(&store, "k", NULL);
    lmdb->close(store.handle);
}

Test(lmdb_foreign, a_write_that_waits_comes_through)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    busy_wait wait = wait_checks(3, KIVI_OK, let_other_go);
    kivi_write_item item = write_item(KIVI_OP_SET, "k", "v");
    pid_t other = start_other(hold_lock, "s");

    cr_assert_eq(write_waiting(&store, &item, &wait.wait), KIVI_OK);
    cr_assert_eq(item.status, KIVI_OK);
    cr_assert(wait.checks >= 3);
    finish(other);
    expect(&store, "k", "v");
    lmdb->close(store.handle);
}

/* What is asked while a write waits may itself use the store. */
static const kivi_instance *asked;

static void write_meanwhile(void)
{
    kivi_write_item item = write_item(KIVI_OP_SET, "inner", "v");

    expect(asked, "k", "before");
    cr_assert_eq(write_all(asked, &item, 1, 0, 100), KIVI_TIMEOUT);
    say(to_other[1]);
    put(asked, "inner", "v", 0);
}

Test(lmdb_foreign, a_write_that_waits_lets_others_use_the_store)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    busy_wait wait = wait_checks(2, KIVI_OK, write_meanwhile);
    kivi_write_item item = write_item(KIVI_OP_SET, "k", "v");
    pid_t other;

    asked = &store;
    put(&store, "k", "before", 0);
    other = start_other(hold_lock, "s");
    cr_assert_eq(write_waiting(&store, &item, &wait.wait), KIVI_OK);
    finish(other);
    expect(&store, "inner", "v");
    expect(&store, "k", "v");
    lmdb->close(store.handle);
}

Test(lmdb_foreign, reads_that_change_and_first_expiries_wait_as_well)
{
    kivi_instance store;
    kivi_write_item item = write_item(KIVI_OP_SET, "t", "v");
    kivi_read_item take = read_item(kivi_str("k"), KIVI_WANT_VALUE);
    static taken into;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key = {1, (void *)"k"}, value = {1, (void *)"v"};
    pid_t other;
    int status;

    /* A file of another program: its first expiry makes a database. */
    other = fork();
    if (other == 0) {
        env = raw_open("s");
        _exit(mdb_txn_begin(env, NULL, 0, &txn) || mdb_dbi_open(txn, NULL, 0, &dbi) ||
              mdb_put(txn, dbi, &key, &value, 0) || mdb_txn_commit(txn));
    }
    cr_assert_eq(waitpid(other, &status, 0), other);
    cr_assert_eq(status, 0);
    store = open_store(path_of("s"), NULL);
    other = start_other(hold_lock, "s");
    take.then = KIVI_THEN_DELETE;
    cr_assert_eq(read_one(&store, &take, &into, 200), KIVI_TIMEOUT);
    item.ttl_ms = 60000;
    cr_assert_eq(write_all(&store, &item, 1, 0, 200), KIVI_TIMEOUT);
    end_other(other);
    cr_assert_eq(write_one(&store, &item), KIVI_OK);
    cr_assert_eq(read_one(&store, &take, &into, SOON), KIVI_OK);
    expect(&store, "t", "v");
    expect(&store, "k", NULL);
    lmdb->close(store.handle);
}

/* ---- the other program dies, or writes all the time ---- */

static pid_t victim;

static void kill_victim(void)
{
    kill(victim, SIGKILL);
}

Test(lmdb_foreign, the_other_program_is_killed_while_a_write_waits)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    int status;

    put(&store, "n", "0", 0);
    for (int i = 0; i < 5; i++) {
        busy_wait wait = wait_checks(2, KIVI_OK, kill_victim);
        kivi_write_item item = write_item(KIVI_OP_INCREMENT, "n", NULL);
        item.by = 1;
        victim = start_other(hold_lock, "s");
        cr_assert_eq(write_waiting(&store, &item, &wait.wait), KIVI_OK);
        cr_assert_eq(waitpid(victim, &status, 0), victim);
        cr_assert(WIFSIGNALED(status));
    }
    expect(&store, "n", "5");
    lmdb->close(store.handle);
}

enum { ROUNDS = 150 };

/* Increments as kivi does, but without a pause in which the lock is free. */
static void count_raw(const char *name)
{
    MDB_env *env = raw_open(name);
    MDB_val key = {1, (void *)"n"}, value;
    char text[32];

    say(from_other[1]);
    for (int i = 0; i < ROUNDS; i++) {
        MDB_txn *txn;
        MDB_dbi dbi;

        if (mdb_txn_begin(env, NULL, 0, &txn) || mdb_dbi_open(txn, NULL, 0, &dbi) ||
            mdb_get(txn, dbi, &key, &value))
            _exit(4);
        snprintf(text, sizeof(text), "%.*s", (int)value.mv_size, (char *)value.mv_data);
        value.mv_size = (size_t)snprintf(text, sizeof(text), "%lld", strtoll(text, NULL, 10) + 1);
        value.mv_data = text;
        usleep(500);
        if (mdb_put(txn, dbi, &key, &value, 0) || mdb_txn_commit(txn))
            _exit(5);
    }
    mdb_env_close(env);
}

typedef struct counting {
    const kivi_instance *store;
    unsigned done;
} counting;

static void *count_here(void *argument)
{
    counting *self = argument;

    for (; self->done < ROUNDS; self->done++) {
        kivi_write_item item = write_item(KIVI_OP_INCREMENT, "n", NULL);
        item.by = 1;
        if (write_all(self->store, &item, 1, 0, FAR) != KIVI_OK || item.status != KIVI_OK)
            break;
    }
    return NULL;
}

Test(lmdb_foreign, programs_that_write_all_the_time_lose_nothing)
{
    kivi_instance store = open_store(path_of("s"), WITH("sync=false"));
    counting counts[3];
    pthread_t threads[3];
    char sum[32];
    pid_t other;

    put(&store, "n", "0", 0);
    other = start_other(count_raw, "s");
    for (int i = 0; i < 3; i++) {
        counts[i] = (counting){&store, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, count_here, &counts[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(counts[i].done, ROUNDS);
    }
    finish(other);
    snprintf(sum, sizeof(sum), "%d", 4 * ROUNDS);
    expect(&store, "n", sum);
    lmdb->close(store.handle);
}

/* ---- closing ---- */

Test(lmdb_foreign, closing_waits_for_nobody)
{
    kivi_instance store = open_store(path_of("s"), NULL);
    pid_t other = start_other(hold_lock, "s");
    uint64_t began;

    expect_timeout(&store, other);
    began = host_monotonic();
    lmdb->close(store.handle);
    expect_soon(began);
    store = open_store(path_of("s"), NULL);
    expect_timeout(&store, other);
    end_other(other);
    put(&store, "k", "v", 0);
    lmdb->close(store.handle);
}

/* Where nobody knows the place of LMDB's lock, a thread waits inside LMDB. */
static void forget_lock(const kivi_instance *store)
{
    inside(store)->foreign_lock = NULL;
}

static bool is_open_here(const char *name)
{
    const char *path = path_of(name);
    return kvi_lmdb_is_mapped(path, kvi_lmdb_id_of(path), NULL);
}

Test(lmdb_foreign, a_lock_of_unknown_place_is_waited_for_as_well)
{
    kivi_instance store = open_store(path_of("s"), NULL), again;
    busy_wait wait = wait_checks(2, KIVI_INTERRUPTED, NULL);
    kivi_write_item item = write_item(KIVI_OP_SET, "k", "late");
    uint64_t began;
    pid_t other;

    put(&store, "k", "early", 0);
    other = start_other(hold_lock, "s"); /* before there is the thread: a child of it would end without */
    forget_lock(&store);
    expect_timeout(&store, 0);
    cr_assert_eq(write_waiting(&store, &item, &wait.wait), KIVI_INTERRUPTED);
    began = host_monotonic();
    lmdb->close(store.handle);
    expect_soon(began);
    /* The thread is still there, and with it LMDB's part of the file: it is taken over. */
    cr_assert(is_open_here("s"));
    again = open_store(path_of("s"), NULL);
    expect(&again, "k", "early");
    expect_timeout(&again, 0);
    lmdb->close(again.handle);
    end_other(other);
    while (is_open_here("s"))
        usleep(1000);
    store = open_store(path_of("s"), NULL);
    expect(&store, "k", "early");
    forget_lock(&store);
    put(&store, "k", "late", 0);
    expect(&store, "k", "late");
    lmdb->close(store.handle);
}

Test(lmdb_foreign, the_map_grows_after_a_write_gave_up)
{
    kivi_instance store = open_store(path_of("s"), WITH("map_size=65536"));
    static char big[40000];
    pid_t other = start_other(hold_lock, "s");

    expect_timeout(&store, other);
    end_other(other);
    memset(big, 'b', sizeof(big) - 1);
    /* The map grows, which must not happen under a thread that is inside LMDB. */
    put(&store, "1", big, 0);
    put(&store, "2", big, 0);
    put(&store, "3", big, 0);
    expect(&store, "3", big);
    lmdb->close(store.handle);
}
