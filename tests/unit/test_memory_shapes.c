/* The shapes of the memory backend: the same answers from each, and the steps of one that never blocks. */
#include "memory_fixture.h"

TestSuite(memory_shapes);

static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (random_state >> 33) % limit;
}

static const char *const few_keys[] = {"a", "ab", "b", "ba", "c", "d", "e", "f"};
static const char *const few_values[] = {"", "1", "22", "333"};

static write_set random_writes(void)
{
    write_set writes = {0};

    for (size_t i = 0; i < 8; i++) {
        kivi_write_item *item;

        if (random_below(2))
            continue;
        item = add_write(&writes, (int32_t)random_below(4) + 1, few_keys[i],
                         few_values[random_below(4)]);
        item->condition = (int32_t)random_below(5);
        item->expected = kivi_str(few_values[random_below(4)]);
        item->ttl_ms = (int64_t)random_below(12) - 1;
    }
    writes.vector.flags = random_below(3) ? 0 : KIVI_VECTOR_ATOMIC;
    return writes;
}

static read_set random_reads(void)
{
    read_set reads = {0};

    for (size_t i = 0; i < 8; i++) {
        kivi_read_item *item = add_read(&reads, few_keys[i], (uint32_t)random_below(4));

        item->then = random_below(4) ? KIVI_THEN_NOTHING : (int32_t)random_below(3);
        item->ttl_ms = (int64_t)random_below(10);
    }
    return reads;
}

/* Until nothing is left over. */
static void write_through(memory_store *store, write_set *writes)
{
    write_set rest = *writes;

    while (rest.vector.count) {
        size_t left = 0;

        cr_assert_eq(run_write(store, &rest), KIVI_OK);
        for (size_t i = 0; i < rest.vector.count; i++) {
            for (size_t j = 0; j < writes->vector.count; j++)
                if (writes->items[j].key.data == rest.items[i].key.data)
                    writes->items[j] = rest.items[i];
            if (rest.items[i].status == KIVI_PENDING)
                rest.items[left++] = rest.items[i];
        }
        cr_assert_lt(left, rest.vector.count, "a partial vector makes some progress");
        rest.vector.count = left;
    }
    free_write_errors(writes);
}

static void read_through(memory_store *store, read_set *reads)
{
    read_set rest = *reads;

    for (size_t i = 0; i < rest.vector.count; i++)
        rest.items[i].tag = &reads->deliveries[i];
    while (rest.vector.count) {
        size_t left = 0;

        cr_assert_eq(run_read(store, &rest), KIVI_OK);
        for (size_t i = 0; i < rest.vector.count; i++) {
            reads->items[(delivered *)rest.items[i].tag - reads->deliveries] = rest.items[i];
            if (rest.items[i].status == KIVI_PENDING)
                rest.items[left++] = rest.items[i];
        }
        cr_assert_lt(left, rest.vector.count);
        rest.vector.count = left;
    }
}

static void compare_writes(const write_set *a, const write_set *b)
{
    for (size_t i = 0; i < a->vector.count; i++) {
        cr_assert_eq(a->items[i].status, b->items[i].status, "item %zu: %d, %d", i,
                     a->items[i].status, b->items[i].status);
        cr_assert_eq(a->items[i].existed, b->items[i].existed);
    }
}

static void compare_reads(const read_set *a, const read_set *b)
{
    for (size_t i = 0; i < a->vector.count; i++) {
        cr_assert_eq(a->items[i].status, b->items[i].status);
        cr_assert_eq(a->items[i].ttl_ms, b->items[i].ttl_ms);
        cr_assert_eq(a->deliveries[i].times, b->deliveries[i].times);
        cr_assert_eq(a->deliveries[i].size, b->deliveries[i].size);
        cr_assert_eq(memcmp(a->deliveries[i].value, b->deliveries[i].value, b->deliveries[i].size), 0);
    }
}

static void compare_scans(memory_store *a, memory_store *b)
{
    pages *x = run_scan(a, kivi_str(""), 3), *y = run_scan(b, kivi_str(""), 100);

    cr_assert_eq(x->count, y->count);
    for (size_t i = 0; i < x->count; i++)
        cr_assert_str_eq(x->keys[i], y->keys[i]);
    pages_free(x);
    pages_free(y);
}

/* Whatever the shape, the answers are those of the plain store. */
Test(memory_shapes, shapes_agree)
{
    static const char *const shapes[] = {
        "shape=blocking",
        "shape=stepped&steps=1",
        "shape=stepped&steps=7&seed=3",
        "partial_rate=0.7",
        "shape=stepped&steps=4&partial_rate=0.7",
        "shape=blocking&text_keys=true&path_keys=true&max_items=8"};

    for (size_t n = 0; n < sizeof(shapes) / sizeof(shapes[0]); n++) {
        memory_store plain = open_store(""), mock = open_store(shapes[n]);

        random_state = n + 1;
        for (int round = 0; round < 120; round++) {
            write_set writes = random_writes(), same_writes = writes;
            read_set reads = random_reads(), same_reads;

            write_through(&plain, &writes);
            write_through(&mock, &same_writes);
            compare_writes(&writes, &same_writes);
            same_reads = reads;
            read_through(&plain, &reads);
            read_through(&mock, &same_reads);
            compare_reads(&reads, &same_reads);
            if (round % 10 == 0)
                compare_scans(&mock, &plain);
            AHEAD(1);
        }
        close_store(&plain);
        close_store(&mock);
    }
    cr_assert_eq(atomic_load(&fake_errors), 0);
}

Test(memory_shapes, shapes_and_flags)
{
    memory_store blocking = open_store("shape=blocking"), stepped = open_store("shape=stepped");

    cr_assert_eq(blocking.instance.flags & KIVI_BACKEND_BLOCKING, KIVI_BACKEND_BLOCKING);
    cr_assert_eq(blocking.instance.flags & KIVI_BACKEND_SHARED_READS, 0);
    cr_assert_eq(blocking.instance.max_lanes, 0);
    cr_assert_eq(stepped.instance.flags & (KIVI_BACKEND_BLOCKING | KIVI_BACKEND_SHARED_READS), 0);
    cr_assert_eq(stepped.instance.capabilities.snapshot, KIVI_ABSENT);
    cr_assert_not(stepped.instance.capabilities.local);
    close_store(&blocking);
    close_store(&stepped);
}

/* ---- Steps ---- */

/*
 * Drives a write item by item: `sent` only grows, an item that completes was sent wholly, and from then on
 * the memory of its key and value is gone. Answers in which order items completed.
 */
static kivi_status drive_strictly(memory_store *store, write_set *writes, size_t *order)
{
    kivi_status status = KIVI_PENDING;
    int32_t before[ITEMS_MOST] = {0};
    size_t completed = 0;

    while (status == KIVI_PENDING) {
        kivi_poll wanted = {sizeof(wanted), -1, 0, 0, -1};

        status = store->table->step(store->handle, store->session, 0, &wanted, &store->error);
        for (size_t i = 0; i < writes->vector.count; i++) {
            kivi_write_item *item = &writes->items[i];

            cr_assert_geq(item->sent, before[i]);
            if (item->sent == KIVI_SENT_WHOLLY && before[i] != KIVI_SENT_WHOLLY)
                free((void *)item->key.data);
            before[i] = item->sent;
            if (item->status == KIVI_PENDING || !item->tag)
                continue;
            cr_assert_eq(item->sent, KIVI_SENT_WHOLLY);
            item->tag = NULL;
            order[completed++] = i;
        }
        if (status == KIVI_PENDING) {
            cr_assert(wait_as_told(&wanted, 10000));
        }
    }
    cr_assert(status != KIVI_OK || completed == writes->vector.count);
    return status;
}

Test(memory_shapes, steps_and_sent)
{
    memory_store store = open_store("shape=stepped&steps=6");
    unsigned out_of_order = 0, together = 0;

    for (int round = 0; round < 60; round++) {
        write_set writes = set_many(6);
        fake_wait wait = wait_for_ms(0);
        size_t order[6];

        for (size_t i = 0; i < 6; i++) {
            char *copy = malloc(2);

            memcpy(copy, writes.items[i].key.data, 2);
            writes.items[i].key = kivi_bytes(copy, 2);
            writes.items[i].value = kivi_bytes(copy, 1);
            writes.items[i].tag = copy;
        }
        cr_assert_eq(begin_write(&store, &writes, &wait), KIVI_PENDING);
        cr_assert_eq(drive_strictly(&store, &writes, order), KIVI_OK);
        for (size_t i = 1; i < 6; i++)
            out_of_order += order[i - 1] > order[i];
        together += order[0] == 0;
    }
    cr_assert_gt(out_of_order, 15);
    cr_assert_lt(together, 60);
    expect_value(&store, "k5", "k");
    close_store(&store);
}

/* The poll names a real descriptor, silent until the step is due; a step too early changes nothing. */
Test(memory_shapes, step_too_early)
{
    memory_store store = open_store("shape=stepped&steps=1&latency=1h");
    write_set writes = set_many(2);
    fake_wait wait = wait_for_ms(0);

    cr_assert_eq(begin_write(&store, &writes, &wait), KIVI_PENDING);
    for (int i = 0; i < 3; i++) {
        kivi_poll wanted = {sizeof(wanted), -1, 0, 0, -1};

        cr_assert_eq(store.table->step(store.handle, store.session, 0, &wanted, &store.error),
                     KIVI_PENDING);
        cr_assert_eq(wanted.events, POLLIN);
        cr_assert_not(wait_as_told(&wanted, 5));
    }
    cr_assert_eq(writes.items[0].sent, KIVI_SENT_NOTHING);
    cr_assert_eq(writes.items[0].status, KIVI_PENDING);
    close_store(&store);
}

/* Closed on the way: what had left is applied, what had not is not, and nothing leaks. */
Test(memory_shapes, closed_in_flight)
{
    unsigned applied = 0, kept = 0;

    for (int seed = 0; seed < 20; seed++) {
        char options[64];
        memory_store store, other = open_store("path=data");
        write_set writes = set_many(4);
        fake_wait wait = wait_for_ms(0);
        int steps = 0;

        snprintf(options, sizeof(options), "path=data&shape=stepped&steps=9&seed=%d", seed);
        store = open_store(options);
        cr_assert_eq(begin_write(&store, &writes, &wait), KIVI_PENDING);
        while (steps < 3) {
            kivi_poll wanted = {sizeof(wanted), -1, 0, 0, -1};

            if (store.table->step(store.handle, store.session, 0, &wanted, &store.error) != KIVI_PENDING)
                break;
            cr_assert(wait_as_told(&wanted, 10000));
            steps++;
        }
        close_store(&store);
        for (size_t i = 0; i < 4; i++) {
            bool there = writes.items[i].sent == KIVI_SENT_WHOLLY;

            expect_value(&other,
                         i == 0   ? "k0"
                         : i == 1 ? "k1"
                         : i == 2 ? "k2"
                                  : "k3",
                         there ? "new" : NULL);
            applied += there;
            kept += !there;
        }
        close_store(&other);
    }
    cr_assert_gt(applied, 0);
    cr_assert_gt(kept, 0);
}

Test(memory_shapes, reads_closed_in_flight)
{
    for (int seed = 0; seed < 10; seed++) {
        memory_store store = open_store("path=data"), stepped;
        read_set reads = {0};
        fake_wait wait = wait_for_ms(0);
        kivi_poll wanted = {sizeof(wanted), -1, 0, 0, -1};
        char options[64];

        put(&store, "a", "1");
        put(&store, "b", "2");
        snprintf(options, sizeof(options), "path=data&shape=stepped&steps=9&seed=%d", seed);
        stepped = open_store(options);
        add_read(&reads, "a", KIVI_WANT_VALUE)->then = KIVI_THEN_DELETE;
        add_read(&reads, "b", KIVI_WANT_VALUE);
        cr_assert_eq(begin_read(&stepped, &reads, &wait), KIVI_PENDING);
        for (int i = 0; i < 4; i++) {
            struct timespec pause = {0, 200000};

            nanosleep(&pause, NULL);
            if (stepped.table->step(stepped.handle, stepped.session, 0, &wanted, &stepped.error) !=
                KIVI_PENDING)
                break;
        }
        close_store(&stepped);
        expect_value(&store, "a", reads.items[0].sent == KIVI_SENT_WHOLLY ? NULL : "1");
        close_store(&store);
    }
}

Test(memory_shapes, step_without_a_verb)
{
    memory_store store = open_store("shape=stepped");
    kivi_poll wanted = {sizeof(wanted), -1, 0, 0, -1};

    cr_assert_eq(store.table->step(store.handle, store.session, 0, &wanted, &store.error), KIVI_INTERNAL);
    close_store(&store);
}
