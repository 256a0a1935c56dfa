/* PostgreSQL among others: a standby, a disk that is full, and transactions that wait for one another. */
#include "common/stage.h"
#include "servers/postgresql.h"

#include <pwd.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(fault_postgresql_cluster, .init = case_begin, .fini = case_end, .timeout = 300);

enum { LONG_MS = 60000 };

static kivi_status set_within(kivi_store *store, kivi_slice key, kivi_slice value, kivi_error **error)
{
    kivi_call call = within_ms(LONG_MS);

    return kivi_store_set(store, &call, key, value, KIVI_TTL_NONE, error);
}

/* ---- A standby ---- */

static const running_server *primary_of_standby;

static void prepare_standby(running_server *server)
{
    postgresql_copy(primary_of_standby, server);
}

/* What was committed on the primary comes within a minute. */
static void await_copy(kivi_store *store, const char *key, const char *value)
{
    kivi_buffer got = KIVI_BUFFER_INIT;
    uint64_t end = now_ns() + LONG_MS * UINT64_C(1000000);
    bool there = false;

    while (!there) {
        CHECK_SAYING(now_ns() < end, "%s did not come", key);
        kivi_status status = kivi_store_get(store, NULL, kivi_str(key), &got, NULL);
        there = status == KIVI_OK && got.size == strlen(value) && memcmp(got.data, value, got.size) == 0;
        if (!there)
            pause_ms(10);
    }
    kivi_buffer_free(&got);
}

/* A standby is read, and refuses writes exactly; of two servers the primary is found, and the one that is promoted. */
Test(fault_postgresql_cluster, a_standby)
{
    running_server primary, standby;
    fault_server copied = postgresql;
    int64_t sum = 0;

    server_start(&primary, &postgresql, "primary", NULL, NULL);
    kivi_store *first = server_open(&primary, "");
    put(first, "k", "v");
    primary_of_standby = &primary;
    copied.prepare = prepare_standby;
    server_start(&standby, &copied, "standby", NULL, NULL);
    kivi_store *second = server_open(&standby, "");
    await_copy(second, "k", "v");
    REFUSED(KIVI_DENIED, "read-only",
            kivi_store_set(second, NULL, kivi_str("k"), kivi_str("w"), KIVI_TTL_NONE, E));
    ANSWERS(KIVI_DENIED, kivi_store_increment(second, NULL, kivi_str("n"), 1, KIVI_TTL_NONE, &sum, E));
    ANSWERS(KIVI_DENIED, kivi_store_delete(second, NULL, kivi_str("k"), NULL, E));
    expect_holds(second, "k", "v");
    kivi_store *both = open_store("postgresql://kivi@127.0.0.1:%d,127.0.0.1:%d/kivi?codec=raw",
                                  standby.port, primary.port);
    put(both, "k", "by the primary");
    await_copy(second, "k", "by the primary");
    server_kill(&primary);
    postgresql_tell(&standby, "SELECT pg_promote()");
    OK(set_within(both, kivi_str("k"), kivi_str("by the promoted"), E));
    expect_holds(both, "k", "by the promoted");
    kivi_store_unref(both);
    kivi_store_unref(second);
    kivi_store_unref(first);
    server_stop(&standby);
}

/* ---- A full disk ---- */

enum { WRITERS = 8, MOST = 4000, VALUE = 1500, REFUSALS = 20 };

typedef struct full_disk {
    kivi_store *store;
    kivi_status ends[WRITERS][MOST];
    unsigned counts[WRITERS];
} full_disk;

static kivi_status write_one(const full_disk *disk, size_t writer, unsigned i, kivi_error **error)
{
    text key;
    uint8_t *value = made_value(writer * MOST + i, VALUE);
    kivi_status status = set_within(disk->store, print(&key, "%zu:%u", writer, i),
                                    kivi_bytes(value, VALUE), error);

    free(value);
    return status;
}

/* Until the disk has refused some: exactly, and by its code. */
static void write_until_full(worker *w)
{
    full_disk *disk = w->shared;
    unsigned refusals = 0;

    for (unsigned i = 0; i < MOST && refusals < REFUSALS; i++) {
        kivi_error *error = NULL;
        kivi_status status = write_one(disk, w->index, i, &error);
        disk->ends[w->index][disk->counts[w->index]++] = status;
        CHECK_SAYING(status == KIVI_OK || status == KIVI_IO, "%s: %s", kivi_status_name(status),
                     error ? kivi_error_message(error) : "");
        if (error)
            CHECK_SAYING(strstr(kivi_error_message(error), "53100"), "%s", kivi_error_message(error));
        refusals += status == KIVI_IO;
        kivi_error_free(error);
    }
    CHECK_NUMBER(refusals, REFUSALS);
}

/* What was acknowledged is there whole, what was refused is not. */
static void expect_ledger(const full_disk *disk)
{
    for (size_t writer = 0; writer < WRITERS; writer++)
        for (unsigned i = 0; i < disk->counts[writer]; i++) {
            kivi_buffer got = KIVI_BUFFER_INIT;
            text key;
            kivi_status wanted = disk->ends[writer][i] == KIVI_OK ? KIVI_OK : KIVI_NOT_FOUND;
            CHECK_NUMBER(kivi_store_get(disk->store, NULL, print(&key, "%zu:%u", writer, i), &got, E),
                         wanted);
            CHECK(wanted || is_made_value(kivi_buffer_slice(&got), writer * MOST + i, VALUE));
            kivi_buffer_free(&got);
        }
}

Test(fault_postgresql_cluster, the_disk_is_full)
{
    static full_disk disk;
    running_server server;
    text space, ballast, sql;

    mount_small("space", "16m");
    print(&space, "%s/space", folder);
    print(&ballast, "%s/space/ballast", folder);
    if (geteuid() == 0) {
        const struct passwd *user = getpwnam("postgres");
        CHECK(user && chown(space.bytes, user->pw_uid, user->pw_gid) == 0);
    }
    server_start(&server, &postgresql, "server", NULL, NULL);
    disk.store = server_open(&server, "");
    put(disk.store, "k", "v");
    print(&sql, "CREATE TABLESPACE small LOCATION '%s'", space.bytes);
    postgresql_tell(&server, sql.bytes);
    postgresql_tell(&server, "ALTER TABLE kv_store SET TABLESPACE small");
    CHECK(fill_file(ballast.bytes, 8u << 20) == 8u << 20);
    together(WRITERS, write_until_full, &disk);
    expect_ledger(&disk);
    expect_holds(disk.store, "k", "v");
    CHECK(unlink(ballast.bytes) == 0);
    for (size_t writer = 0; writer < WRITERS; writer++)
        for (unsigned i = 0; i < disk.counts[writer]; i++)
            if (disk.ends[writer][i])
                OK(disk.ends[writer][i] = write_one(&disk, writer, i, E));
    expect_ledger(&disk);
    kivi_store_unref(disk.store);
    server_stop(&server);
}

/* ---- Deadlocks ---- */

static void put_both(kivi_store *store, const char *value)
{
    kivi_call call = within_ms(LONG_MS);
    kivi_result *result = NULL;
    kivi_op ops[2] = {KIVI_OP_INIT, KIVI_OP_INIT};

    for (int i = 0; i < 2; i++) {
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = kivi_str(i ? "b" : "a");
        ops[i].value = kivi_str(value);
    }
    OK(kivi_store_apply(store, &call, ops, 2, KIVI_APPLY_ATOMIC, &result, E));
    kivi_result_free(result);
}

/*
 * Another program holds b until somebody waits for it, who holds a, and then wants a. The server ends whose patience
 * is over first: that is ours, and nobody who called hears of it.
 */
Test(fault_postgresql_cluster, a_deadlock_is_done_again)
{
    running_server server;
    int status;

    server_start(&server, &postgresql, "server", NULL, NULL);
    postgresql_tell(&server, "ALTER ROLE kivi SET deadlock_timeout = '4s'");
    kivi_store *store = server_open(&server, "");
    put_both(store, "before");
    pid_t other = postgresql_tell_beside(
        &server, "SET deadlock_timeout = '100s'; BEGIN; UPDATE kv_store SET value_data = 'theirs' "
                 "WHERE key_name = 'b'; "
                 "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND "
                 "locktype = 'transactionid') LOOP PERFORM pg_sleep(0.01); END LOOP; END $$; "
                 "UPDATE kv_store SET value_data = 'theirs' WHERE key_name = 'a'; COMMIT");
    postgresql_tell(&server, "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE relation = "
                             "'kv_store'::regclass AND mode = 'RowExclusiveLock') LOOP "
                             "PERFORM pg_sleep(0.01); END LOOP; END $$");
    put_both(store, "ours");
    CHECK(waitpid(other, &status, 0) == other && status == 0); /* theirs came through as well */
    expect_holds(store, "a", "ours");
    expect_holds(store, "b", "ours");
    postgresql_tell(
        &server, "DO $$ BEGIN FOR i IN 1..1000 LOOP IF (SELECT deadlocks FROM pg_stat_database "
                 "WHERE datname = 'kivi') > 0 THEN RETURN; END IF; PERFORM "
                 "pg_stat_clear_snapshot(), pg_sleep(0.05); END LOOP; RAISE 'no deadlock'; END $$");
    kivi_store_unref(store);
    server_stop(&server);
}

/* ---- What is taken ---- */

enum { TAKES = 64 };

static void submit(kivi_queue *queue, kivi_store *store, int32_t verb, kivi_slice key, uintptr_t index)
{
    kivi_call call = within_ms(2000);
    kivi_request request = KIVI_REQUEST_INIT;

    request.verb = verb;
    request.key = key;
    request.ttl_ms = 600000;
    request.user = (void *)index;
    OK(kivi_queue_submit(queue, store, &call, &request, NULL, E));
}

static void await_all(kivi_queue *queue, kivi_status *ends, size_t count)
{
    uint64_t until = now_ns() + LONG_MS * UINT64_C(1000000);

    while (count) {
        kivi_completion end = KIVI_COMPLETION_INIT;
        CHECK_SAYING(now_ns() < until, "%zu calls do not end", count);
        if (!kivi_queue_take(queue, &end, 1)) {
            pause_ms(1);
            continue;
        }
        ends[(uintptr_t)end.user] = end.status;
        kivi_completion_release(&end);
        count--;
    }
}

/* Takes that share a transaction with a call that fails are taken back: nobody was told a value that is still there. */
Test(fault_postgresql_cluster, what_is_taken_is_gone)
{
    running_server server;
    kivi_queue *queue = NULL;
    kivi_status ends[TAKES + 1];
    text keys[TAKES];
    int status;

    server_start(&server, &postgresql, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "&lanes=1");
    put(store, "z:held", "v");
    for (int i = 0; i < TAKES; i++) {
        print(&keys[i], "k:%d", i);
        put(store, keys[i].bytes, "v");
    }
    pid_t holder = postgresql_tell_beside(
        &server, "BEGIN; UPDATE kv_store SET value_data = value_data WHERE key_name = 'z:held'; "
                 "SELECT pg_sleep(5); COMMIT");
    postgresql_tell(&server, "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE relation = "
                             "'kv_store'::regclass AND mode = 'RowExclusiveLock') LOOP "
                             "PERFORM pg_sleep(0.01); END LOOP; END $$");
    OK(kivi_queue_new(&queue, E));
    for (unsigned i = 0; i < TAKES; i++) {
        submit(queue, store, KIVI_VERB_TAKE, kivi_str(keys[i].bytes), i);
        if (i == TAKES / 2)
            submit(queue, store, KIVI_VERB_GET_AND_EXPIRE, kivi_str("z:held"), TAKES);
    }
    await_all(queue, ends, TAKES + 1);
    CHECK(ends[TAKES] != KIVI_OK);
    for (int i = 0; i < TAKES; i++)
        expect_holds(store, keys[i].bytes, ends[i] == KIVI_OK ? NULL : "v");
    CHECK(waitpid(holder, &status, 0) == holder && status == 0);
    kivi_queue_close(queue);
    kivi_store_unref(store);
    server_stop(&server);
}

enum { PROCESSES = 4, MIXERS = 4, ROUNDS = 40, KEYS = 6 };

/* What one process did: additions to each sum, and how many pots it made and took. */
typedef struct ledger {
    long sums[KEYS], made, taken;
} ledger;

typedef struct mixer {
    kivi_store *store;
    ledger done[MIXERS];
} mixer;

/* Sums are added to, pots made and touched, in any order; in one batch. */
static void mix(mixer *m, ledger *done, uint64_t *seed)
{
    kivi_call call = within_ms(LONG_MS);
    kivi_result *result = NULL;
    kivi_op ops[3 * KEYS];
    text keys[3 * KEYS];
    unsigned of[3 * KEYS];

    for (unsigned i = 0; i < 3 * KEYS; i++) {
        of[i] = (unsigned)(next_random(seed) % KEYS);
        ops[i] = (kivi_op)KIVI_OP_INIT;
        ops[i].kind = i % 3 == 0 ? KIVI_OP_INCREMENT : i % 3 == 1 ? KIVI_OP_SET : KIVI_OP_TOUCH;
        ops[i].condition = i % 3 == 1 ? KIVI_IF_ABSENT : KIVI_IF_ALWAYS;
        ops[i].key = print(&keys[i], "%s:%u", i % 3 == 0 ? "sum" : "pot", of[i]);
        ops[i].value = kivi_str("full");
        ops[i].ttl_ms = i % 3 == 2 ? 600000 : KIVI_TTL_NONE;
        ops[i].by = 1;
    }
    (void)kivi_store_apply(m->store, &call, ops, 3 * KEYS, 0, &result, NULL);
    CHECK(result != NULL);
    for (unsigned i = 0; i < 3 * KEYS; i++) {
        kivi_status status = kivi_result_status(result, i);
        const kivi_error *error = kivi_result_error(result, i);
        CHECK_SAYING(status == KIVI_OK || (i % 3 == 1 && status == KIVI_CONDITION) ||
                         (i % 3 == 2 && status == KIVI_NOT_FOUND),
                     "%s: %s", kivi_status_name(status), error ? kivi_error_message(error) : "");
        done->sums[of[i]] += i % 3 == 0;
        done->made += i % 3 == 1 && status == KIVI_OK;
    }
    kivi_result_free(result);
}

/* Reads that change what they read share a vector with others of their kind. */
static void take_or_touch(mixer *m, ledger *done, uint64_t *seed)
{
    kivi_call call = within_ms(LONG_MS);
    kivi_buffer value = KIVI_BUFFER_INIT;
    text key;
    kivi_slice pot = print(&key, "pot:%u", (unsigned)(next_random(seed) % KEYS));
    bool takes = next_random(seed) & 1;
    kivi_status status = takes ? kivi_store_take(m->store, &call, pot, &value, E)
                               : kivi_store_get_and_expire(m->store, &call, pot, 600000, &value, E);

    if (status != KIVI_NOT_FOUND)
        OK(status);
    done->taken += takes && status == KIVI_OK;
    kivi_buffer_free(&value);
}

static void mix_often(worker *w)
{
    mixer *m = w->shared;
    uint64_t seed = (uint64_t)getpid() << 8 | w->index;

    for (int i = 0; i < ROUNDS; i++)
        w->index % 2 ? take_or_touch(m, &m->done[w->index], &seed) : mix(m, &m->done[w->index], &seed);
}

/* One lane: what its threads ask for goes in few vectors. */
static void mix_in_child(int in, int out, void *user)
{
    mixer m = {.store = server_open(user, "&lanes=1")};
    ledger all = {.made = 0};

    hear_on(in);
    together(MIXERS, mix_often, &m);
    for (unsigned i = 0; i < MIXERS; i++) {
        for (unsigned j = 0; j < KEYS; j++)
            all.sums[j] += m.done[i].sums[j];
        all.made += m.done[i].made;
        all.taken += m.done[i].taken;
    }
    kivi_store_unref(m.store);
    tell(out, &all, sizeof(all));
}

/* Batches of four processes on the same few keys: no call fails, and the sums and pots are exact. */
Test(fault_postgresql_cluster, mixed_batches_of_four_processes)
{
    running_server server;
    child children[PROCESSES];
    ledger all = {.made = 0}, one;
    uint64_t pots = 0;

    server_start(&server, &postgresql, "server", NULL, NULL);
    for (int i = 0; i < PROCESSES; i++)
        children[i] = child_start(mix_in_child, &server);
    for (int i = 0; i < PROCESSES; i++)
        tell_on(children[i].to);
    for (int i = 0; i < PROCESSES; i++) {
        hear(children[i].from, &one, sizeof(one));
        for (int j = 0; j < KEYS; j++)
            all.sums[j] += one.sums[j];
        all.made += one.made;
        all.taken += one.taken;
        child_ends(&children[i]);
    }
    kivi_store *store = server_open(&server, "");
    for (unsigned i = 0; i < KEYS; i++) {
        text key;
        print(&key, "sum:%u", i);
        CHECK_NUMBER(number_at(store, key.bytes, 0), all.sums[i]);
    }
    OK(kivi_store_count(store, NULL, kivi_str("pot:"), &pots, E));
    CHECK_NUMBER(pots, all.made - all.taken);
    CHECK(all.taken > 0);
    kivi_store_unref(store);
    server_stop(&server);
}
