/* More reads at once than the file has places for: each is answered, or ends in time, and gives its place back. */
#include "common/faults.h"

TestSuite(many_readers, .init = case_begin, .fini = case_end);

enum { READERS = 200, KEYS = 50 };

static void make_keys(kivi_store *store)
{
    text key, value;

    for (unsigned i = 0; i < KEYS; i++) {
        print(&key, "key:%u", i);
        print(&value, "value of %u", i);
        put(store, key.bytes, value.bytes);
    }
}

/* Reads inside a read, down to a depth, staying a while in the innermost. */
typedef struct nest {
    kivi_store *store;
    unsigned number, depth;
    uint64_t stay_ms;
    int64_t timeout_ms;
    unsigned answered, late;
} nest;

static void go_down(nest *n);

static kivi_status look(kivi_slice value, void *user)
{
    nest *n = user;
    text wanted;

    print(&wanted, "value of %u", n->number % KEYS);
    CHECK_SAYING(value.size == strlen(wanted.bytes) && memcmp(value.data, wanted.bytes, value.size) == 0,
                 "%s has another value", wanted.bytes);
    n->number++;
    n->depth--;
    if (n->depth > 0)
        go_down(n);
    else
        pause_ms(n->stay_ms);
    return KIVI_OK;
}

static void go_down(nest *n)
{
    kivi_call call = within_ms(n->timeout_ms);
    uint64_t began = now_ns();
    text key;
    kivi_status status = kivi_store_visit(n->store, &call, print(&key, "key:%u", n->number % KEYS),
                                          look, n, E);

    if (status == KIVI_OK) {
        n->answered++;
        OK(status);
        return;
    }
    ANSWERS(KIVI_TIMEOUT, status);
    n->late++;
    CHECK_SAYING(now_ns() - began < (uint64_t)(n->timeout_ms + 5000) * 1000000u, "far too late");
}

typedef struct crowd {
    kivi_store *store;
    atomic_uint answered, late;
    unsigned depth;
} crowd;

static void read_in_a_crowd(worker *w)
{
    crowd *c = w->shared;

    for (unsigned i = 0; i < 3; i++) {
        nest n = {c->store, (unsigned)w->index + i, c->depth, 15, 400, 0, 0};
        go_down(&n);
        atomic_fetch_add(&c->answered, n.answered);
        atomic_fetch_add(&c->late, n.late);
    }
}

/* As many reads fit into each other as there are places: none was lost. */
static void expect_places(kivi_store *store, unsigned places)
{
    nest n = {store, 0, places, 0, 500, 0, 0};

    go_down(&n);
    CHECK_SAYING(n.answered == places && n.late == 0, "%u of %u places are free", n.answered, places);
    n = (nest){store, 0, places + 1, 0, 100, 0, 0};
    go_down(&n);
    CHECK_NUMBER(n.late, 1);
    CHECK_NUMBER(n.answered, places);
}

static void crowd_in(unsigned places, unsigned depth)
{
    text options;
    crowd c = {.depth = depth};

    print(&options, "&sync=false&max_readers=%u", places);
    c.store = open_lmdb(options.bytes);
    make_keys(c.store);
    together(READERS, read_in_a_crowd, &c);
    printf("%u threads, %u places, %u deep: %u answered, %u too late\n", READERS, places, depth,
           c.answered, c.late);
    CHECK(c.answered > 0);
    expect_places(c.store, places);
    CHECK_NUMBER(expect_sound(c.store), KEYS);
    put(c.store, "and", "a write");
    kivi_store_unref(c.store);
}

Test(many_readers, two_hundred_for_126_places, .timeout = 60)
{
    crowd_in(126, 1);
}

Test(many_readers, two_hundred_with_reads_inside_reads, .timeout = 60)
{
    crowd_in(126, 3);
}

Test(many_readers, two_hundred_for_seven_places, .timeout = 60)
{
    crowd_in(7, 2);
}

Test(many_readers, two_hundred_for_one_place, .timeout = 60)
{
    crowd_in(1, 1);
}

/* ---- from many processes ---- */

typedef struct tally {
    unsigned answered, late;
} tally;

static void read_in_a_child(int in, int out, void *user)
{
    crowd c = {.depth = 2};
    tally said;

    c.store = open_lmdb(user);
    tell_on(out);
    hear_on(in);
    together(READERS / 10, read_in_a_crowd, &c);
    said = (tally){c.answered, c.late};
    tell(out, &said, sizeof(said));
    kivi_store_unref(c.store);
}

Test(many_readers, of_ten_processes, .timeout = 100)
{
    static char options[] = "&sync=false&max_readers=60";
    child children[10];
    tally all = {0, 0}, one;
    kivi_store *store = open_lmdb(options);

    make_keys(store);
    kivi_store_unref(store);
    for (unsigned i = 0; i < 10; i++)
        children[i] = child_start(read_in_a_child, options);
    for (unsigned i = 0; i < 10; i++)
        hear_on(children[i].from);
    store = open_lmdb(options);
    for (unsigned i = 0; i < 10; i++)
        tell_on(children[i].to);
    for (unsigned i = 0; i < 10; i++) {
        hear(children[i].from, &one, sizeof(one));
        all.answered += one.answered;
        all.late += one.late;
        child_ends(&children[i]);
    }
    printf("ten processes of %u threads, 60 places: %u answered, %u too late\n", READERS / 10,
           all.answered, all.late);
    CHECK(all.answered > 0);
    expect_places(store, 60);
    kivi_store_unref(store);
}

/* Killed in the middle of reads: the places of the dead are found when they are needed. */
static void read_for_ever(int in, int out, void *user)
{
    nest n = {open_lmdb(user), 0, 20, 60000, 1000, 0, 0};

    (void)in;
    tell_on(out);
    go_down(&n);
}

Test(many_readers, that_were_killed, .timeout = 60)
{
    static char options[] = "&sync=false&max_readers=30";
    kivi_store *store = open_lmdb(options);

    make_keys(store);
    for (unsigned i = 0; i < 5; i++) {
        child c = child_start(read_for_ever, options);
        hear_on(c.from);
        pause_ms(20);
        child_kill(&c);
    }
    expect_places(store, 30);
    kivi_store_unref(store);
}
