/* Two processes and one file: conditions are exact, reads are fresh, and a map that one grows the other follows. */

#include "common/faults.h"

TestSuite(two_processes, .init = case_begin, .fini = case_end);

/* ---- a counter by compare-and-set ---- */

typedef struct counting {
    const char *options;
    unsigned rounds;
} counting;

typedef struct share {
    kivi_store *store;
    unsigned rounds;
    atomic_uint lost; /* rounds that another won */
} share;

static void count_up(worker *w)
{
    share *s = w->shared;

    for (unsigned i = 0; i < s->rounds;) {
        text old, new;
        long long number = number_at(s->store, "counter", -1);
        kivi_status status = kivi_store_compare_and_set(
            s->store, NULL, kivi_str("counter"), print(&old, "%lld", number),
            print(&new, "%lld", number + 1), KIVI_TTL_NONE, E);
        if (status == KIVI_CONDITION) {
            atomic_fetch_add(&s->lost, 1);
            continue;
        }
        OK(status);
        i++;
    }
}

static void count_in_child(int in, int out, void *user)
{
    const counting *job = user;
    share s = {open_lmdb(job->options), job->rounds, 0};

    hear_on(in);
    together(2, count_up, &s);
    tell(out, &s.lost, sizeof(s.lost));
    kivi_store_unref(s.store);
}

static void count_by_processes(const char *options, unsigned rounds)
{
    counting job = {options, rounds};
    child children[3];
    unsigned lost = 0, one;
    kivi_store *store = open_lmdb(options);

    put(store, "counter", "0");
    kivi_store_unref(store);
    for (unsigned i = 0; i < 3; i++)
        children[i] = child_start(count_in_child, &job);
    for (unsigned i = 0; i < 3; i++)
        tell_on(children[i].to);
    for (unsigned i = 0; i < 3; i++) {
        hear(children[i].from, &one, sizeof(one));
        lost += one;
        child_ends(&children[i]);
    }
    store = open_lmdb(options);
    CHECK_NUMBER(number_at(store, "counter", -1), 6 * rounds);
    kivi_store_unref(store);
    printf("%u rounds of two threads in three processes, %u lost\n", 6 * rounds, lost);
}

Test(two_processes, count_by_compare_and_set, .timeout = 120)
{
    count_by_processes("", 40);
}

Test(two_processes, count_by_compare_and_set_without_sync, .timeout = 120)
{
    count_by_processes("&sync=false", 1500);
}

/* ---- one writes and its map grows, the other reads what it was told ---- */

enum { VALUES = 1500, VALUE = 3000 };

static void write_and_tell(int in, int out, void *user)
{
    kivi_store *store = open_lmdb(user);
    text name;

    (void)in;
    for (unsigned i = 0; i < VALUES; i++) {
        uint8_t *made = made_value(i, VALUE);
        OK(kivi_store_set(store, NULL, print(&name, "key:%u", i), kivi_bytes(made, VALUE),
                          i % 50 == 49 ? 3600000 : KIVI_TTL_NONE, E));
        free(made);
        tell(out, &i, sizeof(i));
    }
    kivi_store_unref(store);
}

typedef struct audience {
    kivi_store *store;
    _Atomic int64_t acknowledged;
    int from;
} audience;

static void read_numbered(kivi_store *store, unsigned number, kivi_buffer *got)
{
    text name;

    OK(kivi_store_get(store, NULL, print(&name, "key:%u", number), got, E));
    CHECK_SAYING(is_made_value(kivi_buffer_slice(got), number, VALUE), "%s is wrong", name.bytes);
}

/* The first hears what is acknowledged; all read the newest of it and something older. */
static void listen_and_read(worker *w)
{
    audience *a = w->shared;
    kivi_buffer got = KIVI_BUFFER_INIT;
    uint64_t seed = w->index;

    for (int64_t newest = -1; newest < VALUES - 1;) {
        if (w->index == 0) {
            unsigned number;
            hear(a->from, &number, sizeof(number));
            atomic_store(&a->acknowledged, number);
        }
        newest = atomic_load(&a->acknowledged);
        if (newest < 0)
            continue;
        read_numbered(a->store, (unsigned)newest, &got);
        read_numbered(a->store, (unsigned)(next_random(&seed) % (uint64_t)(newest + 1)), &got);
        if (w->index == 1) {
            uint64_t count = 0;
            OK(kivi_store_count(a->store, NULL, kivi_str("key:"), &count, E));
            CHECK_SAYING((int64_t)count > newest, "%llu counted, %lld were acknowledged before",
                         (unsigned long long)count, (long long)newest);
        }
    }
    kivi_buffer_free(&got);
}

Test(two_processes, one_grows_the_map_while_the_other_reads, .timeout = 120)
{
    static char options[] = "&sync=false&map_size=65536";
    child writer = child_start(write_and_tell, options);
    audience a = {open_lmdb(options), -1, writer.from};

    together(4, listen_and_read, &a);
    child_ends(&writer);
    CHECK_NUMBER(expect_sound(a.store), VALUES);
    kivi_store_unref(a.store);
}

/* Both write, each making the map larger for the other. */
typedef struct half {
    char *options;
    unsigned side;
} half;

static void write_a_half(int in, int out, void *user)
{
    const half *h = user;
    kivi_store *store = open_lmdb(h->options);
    text name;

    (void)out;
    hear_on(in);
    for (unsigned i = h->side; i < VALUES; i += 2) {
        uint8_t *made = made_value(i, VALUE);
        OK(kivi_store_add(store, NULL, print(&name, "key:%u", i), kivi_bytes(made, VALUE),
                          KIVI_TTL_NONE, E));
        free(made);
    }
    kivi_store_unref(store);
}

Test(two_processes, both_grow_the_map, .timeout = 120)
{
    static char options[] = "&sync=false&map_size=65536";
    half halves[] = {{options, 0}, {options, 1}};
    child children[2];
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_store *store;

    for (unsigned i = 0; i < 2; i++)
        children[i] = child_start(write_a_half, &halves[i]);
    store = open_lmdb(options);
    for (unsigned i = 0; i < 2; i++)
        tell_on(children[i].to);
    for (unsigned i = 0; i < 2; i++)
        child_ends(&children[i]);
    for (unsigned i = 0; i < VALUES; i++)
        read_numbered(store, i, &got);
    CHECK_NUMBER(expect_sound(store), VALUES);
    kivi_buffer_free(&got);
    kivi_store_unref(store);
}
