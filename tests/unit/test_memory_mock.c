/* The memory backend as a mock: everything that goes wrong on request, in every shape. */
#include <pthread.h>

#include "memory_fixture.h"

TestSuite(memory_mock);

static kivi_retryable retryable_of(const kivi_error *error)
{
    cr_assert_not_null(error);
    return fake_error_of(error)->retryable;
}

/* ---- Failing ---- */

static const char *const shapes[] = {"shape=shared", "shape=blocking", "shape=stepped&steps=3"};

static memory_store open_shape(size_t shape, const char *options)
{
    char text[256];

    snprintf(text, sizeof(text), "%s&%s", shapes[shape], options);
    return open_store(text);
}

Test(memory_mock, fail_rate_one)
{
    for (size_t shape = 0; shape < 3; shape++) {
        memory_store store = open_shape(shape, "fail_rate=1&path=failing"),
                     plain = open_store("path=failing");
        unsigned whole = 0;

        for (int i = 0; i < 40; i++) {
            write_set writes = set_many(1);
            kivi_status status = run_write(&store, &writes);

            if (status == KIVI_UNAVAILABLE) {
                whole++;
                cr_assert_eq(retryable_of(store.error), KIVI_RETRY_YES);
                cr_assert_eq(writes.items[0].status, KIVI_PENDING);
                cr_assert_eq(run_write(&store, &writes), KIVI_INTERNAL, "the session broke");
                new_session(&store);
            } else {
                cr_assert_eq(status, KIVI_OK);
                cr_assert_eq(writes.items[0].status, KIVI_UNAVAILABLE);
                cr_assert_eq(retryable_of(writes.items[0].error), KIVI_RETRY_YES);
            }
            cr_assert_eq(writes.items[0].sent, KIVI_SENT_NOTHING);
            free_write_errors(&writes);
            expect_value(&plain, "k0", NULL);
        }
        cr_assert(whole > 5 && whole < 35, "%u", whole);
        close_store(&store);
        close_store(&plain);
    }
    cr_assert_eq(atomic_load(&fake_errors), 0);
}

/* '.' served, 'w' failed whole, 'i' in an item. */
static void outcomes(const char *options, char *text, size_t count)
{
    memory_store store = open_store(options);

    for (size_t i = 0; i < count; i++) {
        write_set writes = set_many(2);
        kivi_status status = run_write(&store, &writes);
        bool item = writes.items[0].status != KIVI_OK || writes.items[1].status != KIVI_OK;

        text[i] = status != KIVI_OK ? 'w' : item ? 'i' : '.';
        free_write_errors(&writes);
        if (status != KIVI_OK)
            new_session(&store);
    }
    text[count] = 0;
    close_store(&store);
}

Test(memory_mock, seeded)
{
    char first[1001], again[1001], other[1001];
    unsigned failed = 0;

    outcomes("fail_rate=0.3&seed=7", first, 1000);
    outcomes("fail_rate=0.3&seed=7", again, 1000);
    outcomes("fail_rate=0.3&seed=8", other, 1000);
    cr_assert_str_eq(first, again);
    cr_assert_str_neq(first, other);
    for (size_t i = 0; i < 1000; i++)
        failed += first[i] != '.';
    cr_assert(failed > 230 && failed < 370, "%u of 1000", failed);
    cr_assert_not_null(strchr(first, 'w'));
    cr_assert_not_null(strchr(first, 'i'));
}

Test(memory_mock, fail_status_and_keys)
{
    static const struct {
        const char *word;
        kivi_status status;
        kivi_retryable retryable;
    } rows[] = {
        {"unavailable", KIVI_UNAVAILABLE, KIVI_RETRY_YES},
        {"refused", KIVI_UNAVAILABLE, KIVI_RETRY_LATER},
        {"denied", KIVI_DENIED, KIVI_RETRY_NO},
        {"busy", KIVI_BUSY, KIVI_RETRY_YES},
        {"io", KIVI_IO, KIVI_RETRY_NO},
    };
    char options[64];

    for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++)
        for (size_t shape = 0; shape < 3; shape++) {
            memory_store store;
            write_set writes = {0};
            read_set reads = {0};

            snprintf(options, sizeof(options), "fail_keys=bad&fail_status=%s", rows[n].word);
            store = open_shape(shape, options);
            add_write(&writes, KIVI_OP_SET, "bad1", "v");
            add_write(&writes, KIVI_OP_SET, "good", "v");
            cr_assert_eq(run_write(&store, &writes), KIVI_OK);
            cr_assert_eq(writes.items[0].status, rows[n].status);
            cr_assert_eq(retryable_of(writes.items[0].error), rows[n].retryable);
            cr_assert_eq(writes.items[1].status, KIVI_OK);
            free_write_errors(&writes);
            add_read(&reads, "bad1", KIVI_WANT_VALUE);
            add_read(&reads, "good", KIVI_WANT_VALUE);
            cr_assert_eq(run_read(&store, &reads), KIVI_OK);
            cr_assert_eq(reads.items[0].status, rows[n].status);
            cr_assert_eq(reads.deliveries[0].times, 0);
            cr_assert_eq(reads.items[1].status, KIVI_OK);
            fake_error_free(&reads.items[0].error);
            close_store(&store);
        }
    cr_assert_eq(atomic_load(&fake_errors), 0);
}

Test(memory_mock, fail_keys_in_atomic)
{
    for (size_t shape = 0; shape < 3; shape++) {
        memory_store store = open_shape(shape, "fail_keys=k1");
        write_set writes = set_many(3);

        writes.vector.flags = KIVI_VECTOR_ATOMIC;
        cr_assert_eq(run_write(&store, &writes), KIVI_OK);
        cr_assert_eq(writes.items[0].status, KIVI_ABORTED);
        cr_assert_eq(writes.items[1].status, KIVI_UNAVAILABLE);
        cr_assert_eq(writes.items[2].status, KIVI_ABORTED);
        free_write_errors(&writes);
        expect_value(&store, "k0", NULL);
        close_store(&store);
    }
}

static unsigned failing_scans(memory_store *store)
{
    unsigned failed = 0;

    for (int i = 0; i < 100; i++) {
        kivi_scan_range range = {.limit = 5};
        pages *page = pages_new();

        if (run_page(store, page, range) == KIVI_UNAVAILABLE) {
            failed++;
            new_session(store);
        }
        pages_free(page);
    }
    return failed;
}

Test(memory_mock, failing_scans)
{
    for (size_t shape = 0; shape < 3; shape++) {
        memory_store store = open_shape(shape, "fail_rate=0.5");
        unsigned failed = failing_scans(&store);

        cr_assert(failed > 20 && failed < 80, "%u of 100", failed);
        close_store(&store);
    }
}

/* ---- Hanging and time ---- */

Test(memory_mock, hangs_until_deadline)
{
    for (size_t shape = 0; shape < 2; shape++) {
        memory_store store = open_shape(shape, "hang_keys=k1");
        write_set writes = set_many(2), good = set_many(1);
        fake_wait wait = wait_for_ms(120);

        cr_assert_eq(begin_write(&store, &writes, &wait), KIVI_TIMEOUT);
        cr_assert_geq(fake_monotonic(), wait.deadline);
        cr_assert_geq(atomic_load(&wait.checks), 2);
        cr_assert_eq(writes.items[0].status, KIVI_PENDING);
        cr_assert_eq(writes.items[0].sent, KIVI_SENT_NOTHING);
        cr_assert_eq(retryable_of(store.error), KIVI_RETRY_YES);
        new_session(&store);
        cr_assert_eq(run_write(&store, &good), KIVI_OK);
        close_store(&store);
    }
}

Test(memory_mock, hangs_until_checked)
{
    memory_store store = open_store("hang_rate=1&hang_sent=true");
    write_set writes = set_many(1);
    read_set reads = {0};
    fake_wait wait = wait_for_ms(0);

    wait.answer = KIVI_CLOSED;
    cr_assert_eq(begin_write(&store, &writes, &wait), KIVI_CLOSED);
    cr_assert_eq(retryable_of(store.error), KIVI_RETRY_IF_IDEMPOTENT);
    cr_assert_eq(writes.items[0].sent, KIVI_SENT_WHOLLY);
    fake_error_free(&store.error);
    /* a shared read has no session */
    add_read(&reads, "a", KIVI_WANT_VALUE);
    reads.vector = (kivi_read_vector){
        sizeof(reads.vector), sizeof(reads.items[0]), reads.items, 1, take_delivery, NULL};
    wait.answer = KIVI_INTERRUPTED;
    cr_assert_eq(store.table->read(store.handle, NULL, &reads.vector, &wait.wait, &store.error),
                 KIVI_INTERRUPTED);
    close_store(&store);
}

static void *interrupt_soon(void *user)
{
    memory_store *store = user;
    struct timespec pause = {0, 30000000};

    nanosleep(&pause, NULL);
    store->table->interrupt(store->handle, store->session);
    return NULL;
}

Test(memory_mock, interrupt)
{
    memory_store store = open_store("shape=blocking&hang_rate=1"), view;
    write_set writes = set_many(1);
    fake_wait wait = wait_for_ms(0);
    pthread_t thread;

    view = store;
    cr_assert_eq(pthread_create(&thread, NULL, interrupt_soon, &view), 0);
    cr_assert_eq(begin_write(&store, &writes, &wait), KIVI_INTERRUPTED);
    pthread_join(thread, NULL);
    close_store(&store);
}

Test(memory_mock, stepped_hang)
{
    static const char *const options[] = {"shape=stepped&hang_rate=1",
                                          "shape=stepped&hang_rate=1&hang_sent=true"};

    for (int i = 0; i < 2; i++) {
        memory_store store = open_store(options[i]);
        write_set writes = set_many(2);
        fake_wait wait = wait_for_ms(0);

        cr_assert_eq(drive(&store, begin_write(&store, &writes, &wait), 60), KIVI_PENDING);
        cr_assert_eq(writes.items[1].status, KIVI_PENDING);
        cr_assert_eq(writes.items[1].sent, i ? KIVI_SENT_WHOLLY : KIVI_SENT_NOTHING);
        close_store(&store);
    }
}

/* Time passes where it was asked for: each look at the interrupts is at most 50 ms after the last. */
Test(memory_mock, latency_and_commit)
{
    memory_store store = open_store("latency=60ms&group_commit=true&commit_time=120ms");
    write_set writes;
    uint64_t start;
    unsigned checks = 0;

    cr_assert_neq(store.instance.flags & KIVI_BACKEND_GROUP_COMMIT, 0);
    /* It asks every 50 ms. A busy machine may let it sleep for longer, but not in every round. */
    for (int round = 0; round < 50 && checks < 4; round++) {
        fake_wait wait = wait_for_ms(0);
        writes = set_many(1);
        start = fake_monotonic();
        cr_assert_eq(begin_write(&store, &writes, &wait), KIVI_OK);
        cr_assert_geq(fake_monotonic() - start, 180 * UINT64_C(1000000));
        checks = (unsigned)atomic_load(&wait.checks);
    }
    cr_assert_geq(checks, 4);
    close_store(&store);
    store = open_store("shape=stepped&steps=4&latency=20ms&latency_jitter=10ms");
    writes = set_many(3);
    start = fake_monotonic();
    cr_assert_eq(run_write(&store, &writes), KIVI_OK);
    cr_assert_geq(fake_monotonic() - start, 19 * UINT64_C(1000000));
    close_store(&store);
}

/* ---- Leftovers, uncertain writes, refusals ---- */

Test(memory_mock, partial)
{
    for (size_t shape = 0; shape < 3; shape++) {
        memory_store store = open_shape(shape, "partial_rate=1");
        unsigned left = 0;

        for (int round = 0; round < 50; round++) {
            write_set writes = set_many(4);
            unsigned pending = 0;

            cr_assert_eq(run_write(&store, &writes), KIVI_OK);
            for (size_t i = 0; i < 4; i++) {
                pending += writes.items[i].status == KIVI_PENDING;
                if (writes.items[i].status == KIVI_PENDING)
                    cr_assert_eq(writes.items[i].sent, KIVI_SENT_NOTHING);
            }
            cr_assert_lt(pending, 4);
            left += pending;
        }
        cr_assert(left > 50 && left < 150, "%u of 200", left);
        close_store(&store);
        store = open_shape(shape, "partial_rate=1&partial_stall=true");
        {
            write_set writes = set_many(3);

            cr_assert_eq(run_write(&store, &writes), KIVI_OK);
            for (size_t i = 0; i < 3; i++)
                cr_assert_eq(writes.items[i].status, KIVI_PENDING);
        }
        expect_detail(&store, "0 keys");
        close_store(&store);
    }
}

Test(memory_mock, uncertain)
{
    for (size_t shape = 0; shape < 3; shape++) {
        memory_store store = open_shape(shape, "uncertain_rate=1&path=data"),
                     plain = open_store("path=data");
        unsigned applied = 0, rounds = 60;

        for (unsigned round = 0; round < rounds; round++) {
            write_set writes = set_many(1);
            read_set reads = {0};

            cr_assert_eq(run_write(&store, &writes), KIVI_UNAVAILABLE);
            cr_assert_neq(retryable_of(store.error), KIVI_RETRY_YES);
            cr_assert_eq(writes.items[0].status, KIVI_PENDING);
            cr_assert_neq(writes.items[0].sent, KIVI_SENT_NOTHING);
            add_read(&reads, "k0", 0);
            cr_assert_eq(run_read(&plain, &reads), KIVI_OK);
            applied += reads.items[0].status == KIVI_OK;
            cr_assert_eq(write_one(&plain, KIVI_OP_DELETE, "k0", "", 0), KIVI_OK);
            new_session(&store);
        }
        cr_assert(applied > 10 && applied < 50, "%u of %u", applied, rounds);
        close_store(&store);
        close_store(&plain);
    }
}

/* An atomic vector that is cut off is applied whole or not at all; reads are never cut. */
Test(memory_mock, uncertain_atomic)
{
    for (size_t shape = 0; shape < 3; shape++) {
        memory_store store = open_shape(shape, "uncertain_rate=1&path=data"),
                     plain = open_store("path=data");
        unsigned all = 0;

        for (int round = 0; round < 40; round++) {
            write_set writes = set_many(5);
            pages *page;

            writes.vector.flags = KIVI_VECTOR_ATOMIC;
            cr_assert_eq(run_write(&store, &writes), KIVI_UNAVAILABLE);
            new_session(&store);
            page = run_scan(&store, kivi_str("k"), 10);
            cr_assert(page->count == 0 || page->count == 5, "%zu", page->count);
            all += page->count == 5;
            for (size_t i = 0; i < page->count; i++)
                cr_assert_eq(write_one(&plain, KIVI_OP_DELETE, page->keys[i], "", 0), KIVI_OK);
            pages_free(page);
        }
        cr_assert(all > 5 && all < 35, "%u of 40", all);
        close_store(&store);
        close_store(&plain);
    }
}

/* Halved until the culprit is alone, as the core does it. */
static void write_halving(memory_store *store, write_set *writes, size_t first, size_t count)
{
    write_set part = {0};
    kivi_status status;

    memcpy(part.items, writes->items + first, count * sizeof(part.items[0]));
    part.vector.count = count;
    status = run_write(store, &part);
    if (status == KIVI_OK) {
        memcpy(writes->items + first, part.items, count * sizeof(part.items[0]));
        return;
    }
    cr_assert_eq(status, KIVI_INVALID);
    cr_assert_eq(retryable_of(store->error), KIVI_RETRY_YES);
    cr_assert_gt(count, 1);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(part.items[i].status, KIVI_PENDING);
    write_halving(store, writes, first, count / 2);
    write_halving(store, writes, first + count / 2, count - count / 2);
}

Test(memory_mock, refuse_whole)
{
    for (size_t shape = 0; shape < 3; shape++) {
        memory_store store = open_shape(shape, "refuse_whole=k4");
        write_set writes = set_many(9), atomic = set_many(6);

        cr_assert_eq(run_write(&store, &writes), KIVI_INVALID);
        expect_detail(&store, "0 keys");
        write_halving(&store, &writes, 0, 9);
        for (size_t i = 0; i < 9; i++)
            cr_assert_eq(writes.items[i].status, i == 4 ? KIVI_INVALID : KIVI_OK);
        free_write_errors(&writes);
        expect_value(&store, "k3", "new");
        expect_value(&store, "k4", NULL);
        atomic.vector.flags = KIVI_VECTOR_ATOMIC;
        cr_assert_eq(run_write(&store, &atomic), KIVI_OK);
        for (size_t i = 0; i < 6; i++)
            cr_assert_eq(atomic.items[i].status, i == 4 ? KIVI_INVALID : KIVI_ABORTED);
        free_write_errors(&atomic);
        close_store(&store);
    }
    cr_assert_eq(atomic_load(&fake_errors), 0);
}

/* ---- What an imitated store cannot hold ---- */

Test(memory_mock, declared_limits)
{
    memory_store store = open_store("max_items=3&max_bytes=20");
    write_set four = set_many(4), three = set_many(3), large = set_many(2), alone = set_many(1);
    write_set atomic = set_many(2);
    char value[100] = {0};

    cr_assert_eq(run_write(&store, &four), KIVI_INTERNAL);
    new_session(&store);
    cr_assert_eq(run_write(&store, &three), KIVI_OK);
    large.items[0].value = kivi_bytes(value, 100);
    cr_assert_eq(run_write(&store, &large), KIVI_INTERNAL);
    new_session(&store);
    alone.items[0].value = kivi_bytes(value, 100);
    cr_assert_eq(run_write(&store, &alone), KIVI_OK);
    cr_assert_eq(alone.items[0].status, KIVI_OK);
    atomic.items[0].value = kivi_bytes(value, 100);
    atomic.vector.flags = KIVI_VECTOR_ATOMIC;
    cr_assert_eq(run_write(&store, &atomic), KIVI_OK, "an atomic vector cannot be cut by its bytes");
    cr_assert_eq(atomic.items[1].status, KIVI_OK);
    close_store(&store);
}

Test(memory_mock, unfit_keys)
{
    static const struct {
        const char *options, *key;
        size_t size;
        bool fits;
    } rows[] = {
        {"text_keys=true", "plain", 5, true},
        {"text_keys=true", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, true},
        {"text_keys=true", "a\0b", 3, false},
        {"text_keys=true", "\xff", 1, false},
        {"text_keys=true", "\xc0\x80", 2, false},
        {"text_keys=true", "\xe0\x80\x80", 3, false},
        {"text_keys=true", "\xed\xa0\x80", 3, false},
        {"text_keys=true", "\xf4\x90\x80\x80", 4, false},
        {"text_keys=true", "\xe2\x82", 2, false},
        {"text_keys=true", " / . ", 5, true},
        {"path_keys=true", "a/b/c/", 6, true},
        {"path_keys=true", "/a", 2, false},
        {"path_keys=true", "a//b", 4, false},
        {"path_keys=true", ".", 1, false},
        {"path_keys=true", "a/../b", 6, false},
        {"path_keys=true", "a/..", 4, false},
        {"path_keys=true", "a/...", 5, true},
        {"path_keys=true", ".a/b.", 5, true},
        {"path_keys=true", " a", 2, false},
        {"path_keys=true", "a ", 2, false},
        {"path_keys=true", "a b", 3, true},
        {"path_keys=true", "a\0b", 3, false},
        {"path_keys=true", "\xff", 1, true},
        {"reserved_prefix=!own!", "!own!x", 6, false},
        {"reserved_prefix=!own!", "!own", 4, true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memory_store store = open_store(rows[i].options);
        write_set writes = set_many(1);

        writes.items[0].key = kivi_bytes(rows[i].key, rows[i].size);
        cr_assert_eq(run_write(&store, &writes), KIVI_OK);
        cr_assert_eq(writes.items[0].status, rows[i].fits ? KIVI_OK : KIVI_INVALID, "row %zu", i);
        free_write_errors(&writes);
        close_store(&store);
    }
}
