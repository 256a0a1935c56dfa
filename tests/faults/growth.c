/* The map grows while reads are inside it: they keep what they see, and the write waits for them only a little. */
#include <pthread.h>

#include "common/faults.h"

TestSuite(growth, .init = case_begin, .fini = case_end);

enum { VALUE = 20000, SMALL = 65536 };

typedef struct room {
    kivi_store *store;
    atomic_bool leave;
    atomic_uint inside;
} room;

static void write_value(kivi_store *store, unsigned number)
{
    uint8_t *made = made_value(number, VALUE);
    text name;

    OK(kivi_store_set(store, NULL, print(&name, "key:%u", number), kivi_bytes(made, VALUE),
                      KIVI_TTL_NONE, E));
    free(made);
}

static void expect_value(kivi_store *store, unsigned number)
{
    kivi_buffer got = KIVI_BUFFER_INIT;
    text name;

    OK(kivi_store_get(store, NULL, print(&name, "key:%u", number), &got, E));
    CHECK_SAYING(is_made_value(kivi_buffer_slice(&got), number, VALUE), "%s is wrong", name.bytes);
    kivi_buffer_free(&got);
}

/* Looks at the value again and again until told to leave. */
static kivi_status stay(kivi_slice value, void *user)
{
    room *r = user;

    atomic_fetch_add(&r->inside, 1);
    while (!atomic_load(&r->leave)) {
        CHECK(is_made_value(value, 0, VALUE));
        pause_ms(1);
    }
    CHECK(is_made_value(value, 0, VALUE));
    return KIVI_OK;
}

static void *visit_first(void *user)
{
    room *r = user;

    OK(kivi_store_visit(r->store, NULL, kivi_str("key:0"), stay, r, E));
    return NULL;
}

/* Writes until the map would have to grow: BUSY, within the gate's 100 ms and not after the whole deadline. */
static unsigned write_until_busy(kivi_store *store, unsigned from)
{
    text name;

    for (unsigned i = from; i < from + 1000; i++) {
        uint8_t *made = made_value(i, VALUE);
        kivi_call call = within_ms(20000);
        uint64_t began = now_ns();
        kivi_error *error = NULL;
        kivi_status status = kivi_store_set(store, &call, print(&name, "key:%u", i),
                                            kivi_bytes(made, VALUE), KIVI_TTL_NONE, &error);
        free(made);
        if (status == KIVI_OK)
            continue;
        CHECK_SAYING(status == KIVI_BUSY, "%s: %s", kivi_status_name(status), kivi_error_message(error));
        CHECK_NUMBER(kivi_error_retryable(error), KIVI_RETRY_YES);
        kivi_error_free(error);
        tell_excess("a write whose map cannot grow", began, 100);
        return i;
    }
    CHECK_SAYING(false, "the map never had to grow");
    return 0;
}

Test(growth, under_a_visitor, .timeout = 60)
{
    room r = {.store = open_lmdb("&sync=false&map_size=65536")};
    unsigned next = 1;

    write_value(r.store, 0);
    for (unsigned round = 0; round < 4; round++) {
        pthread_t thread;
        r.inside = 0;
        r.leave = false;
        CHECK(pthread_create(&thread, NULL, visit_first, &r) == 0);
        while (!r.inside)
            pause_ms(1);
        next = write_until_busy(r.store, next);
        /* Other reads go on meanwhile, and small writes that fit. */
        for (unsigned i = 0; i < next; i++)
            expect_value(r.store, i);
        atomic_store(&r.leave, true);
        pthread_join(thread, NULL);
        write_value(r.store, next++);
    }
    for (unsigned i = 0; i < next; i++)
        expect_value(r.store, i);
    CHECK_NUMBER(expect_sound(r.store), next);
    kivi_store_unref(r.store);
}

/* Visitors that stay only briefly are waited for: no write fails. */
typedef struct bustle {
    kivi_store *store;
    atomic_uint written;
    atomic_bool over;
} bustle;

static kivi_status check_for_long(kivi_slice value, void *user)
{
    unsigned number = *(unsigned *)user;

    CHECK(is_made_value(value, number, VALUE));
    pause_ms(2);
    CHECK(is_made_value(value, number, VALUE));
    return KIVI_OK;
}

static void write_or_visit(worker *w)
{
    bustle *b = w->shared;
    uint64_t seed = w->index;
    text name;

    if (w->index == 0) {
        for (unsigned i = 1; i <= 300; i++) {
            write_value(b->store, i);
            atomic_store(&b->written, i);
        }
        atomic_store(&b->over, true);
        return;
    }
    while (!atomic_load(&b->over)) {
        unsigned number = (unsigned)(next_random(&seed) % (atomic_load(&b->written) + 1));
        OK(kivi_store_visit(b->store, NULL, print(&name, "key:%u", number), check_for_long, &number, E));
    }
}

Test(growth, under_brief_visitors, .timeout = 60)
{
    bustle b = {.store = open_lmdb("&sync=false&map_size=65536")};

    write_value(b.store, 0);
    together(8, write_or_visit, &b);
    for (unsigned i = 0; i <= 300; i++)
        expect_value(b.store, i);
    kivi_store_unref(b.store);
}

/* ---- another process grows the map under a visitor of this one ---- */

static void grow_from_outside(int in, int out, void *user)
{
    kivi_store *store = open_lmdb("&sync=false&map_size=65536");

    (void)user;
    hear_on(in);
    for (unsigned i = 1; i < 200; i++)
        write_value(store, i);
    tell_on(out);
    kivi_store_unref(store);
}

static void visit_and_read(worker *w)
{
    room *r = w->shared;
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_call call = within_ms(300);
    kivi_status status;
    uint64_t began;

    if (w->index == 0) {
        visit_first(r);
        return;
    }
    /* Told that the map has grown: a new read must wait for the visitor, within its deadline. */
    while (atomic_load(&r->inside) < 2)
        pause_ms(1);
    began = now_ns();
    status = kivi_store_get(r->store, &call, kivi_str("key:150"), &got, E);
    ANSWERS(status == KIVI_OK ? KIVI_OK : KIVI_TIMEOUT, status);
    tell_excess("a read beside a visitor in the old map", began, 300);
    atomic_store(&r->leave, true);
    kivi_buffer_free(&got);
}

static void *tell_grown(void *user)
{
    void **both = user;
    room *r = both[0];
    child *c = both[1];

    while (!atomic_load(&r->inside))
        pause_ms(1);
    tell_on(c->to);
    hear_on(c->from);
    atomic_fetch_add(&r->inside, 1);
    return NULL;
}

Test(growth, by_another_process_under_a_visitor, .timeout = 60)
{
    child c = child_start(grow_from_outside, NULL);
    room r = {.store = open_lmdb("&sync=false&map_size=65536")};
    void *both[] = {&r, &c};
    pthread_t thread;

    write_value(r.store, 0);
    CHECK(pthread_create(&thread, NULL, tell_grown, both) == 0);
    together(2, visit_and_read, &r);
    pthread_join(thread, NULL);
    child_ends(&c);
    for (unsigned i = 0; i < 200; i++)
        expect_value(r.store, i);
    write_value(r.store, 200);
    CHECK_NUMBER(expect_sound(r.store), 201);
    kivi_store_unref(r.store);
}
