/* Processes that come to one file under several of its names, and are killed: nothing acknowledged is lost. */
#include <signal.h>
#include <unistd.h>

#include "common/faults.h"

TestSuite(killed_names, .init = case_begin, .fini = case_end);

enum { WRITERS = 4, NAMES = 3, TURN = 25 };

/* A folder, the file in it, and a hard link to that. */
static const char *const names[NAMES] = {"d/", "d/data.mdb", "hard"};

typedef struct writer {
    unsigned number;
    uint64_t seed, next; /* the number of its next write */
    child c;
} writer;

/* What a writer says of a write that was acknowledged. */
typedef struct word {
    uint64_t write;
    uint64_t name;
} word;

static kivi_slice key_of(text *place, unsigned number, uint64_t write)
{
    return print(place, "%u:%llu", number, (unsigned long long)write);
}

/* Opens by a name that others may be using: they are refused, or wait, and never write beside each other. */
static kivi_store *open_name(unsigned name, bool durable)
{
    kivi_store *store = NULL;
    kivi_status status;
    text url;

    print(&url, "lmdb:%s/%s?codec=raw%s", folder, names[name], durable ? "" : "&sync=false");
    for (;;) {
        kivi_error *error = NULL;
        status = kivi_store_open(url.bytes, NULL, NULL, &store, &error);
        kivi_error_free(error);
        if (status != KIVI_BUSY)
            break;
        pause_ms(1);
    }
    OK(status);
    return store;
}

static void write_turn(const writer *w, kivi_store *store, unsigned name, uint64_t *next, int out)
{
    text key, value;

    for (unsigned i = 0; i < TURN; i++) {
        word said = {*next, name};
        print(&value, "value %llu", (unsigned long long)*next);
        OK(kivi_store_set(store, NULL, key_of(&key, w->number, *next), kivi_str(value.bytes),
                          KIVI_TTL_NONE, E));
        tell(out, &said, sizeof(said));
        ++*next;
    }
}

static void write_until_killed(int in, int out, void *user)
{
    const writer *w = user;
    uint64_t seed = w->seed, next = w->next;

    (void)in;
    for (;;) {
        unsigned name = (unsigned)(next_random(&seed) % NAMES);
        kivi_store *store = open_name(name, next_random(&seed) % 4 == 0);
        write_turn(w, store, name, &next, out);
        kivi_store_unref(store);
    }
}

static void note(writer *w, uint64_t *by_name, const word *said)
{
    CHECK(said->name < NAMES);
    CHECK_NUMBER(said->write, w->next);
    w->next++;
    by_name[said->name]++;
}

/* Kills a writer, and hears what it had said before. */
static void kill_and_hear(writer *w, uint64_t *by_name)
{
    word said;

    kill(w->c.pid, SIGKILL);
    while (read(w->c.from, &said, sizeof(said)) == (ssize_t)sizeof(said))
        note(w, by_name, &said);
    child_kill(&w->c);
}

/* Listens to all until a time has come; at least to one write. */
static void listen(writer *writers, uint64_t until, uint64_t *by_name)
{
    uint64_t heard = 0;
    word said;

    while (now_ns() < until || heard == 0)
        for (unsigned i = 0; i < WRITERS; i++)
            if (can_hear(writers[i].c.from, 1)) {
                hear(writers[i].c.from, &said, sizeof(said));
                note(&writers[i], by_name, &said);
                heard++;
            }
}

/* Every write from `first` on that was acknowledged is there. */
static void judge_writes(kivi_store *store, const writer *w, uint64_t first)
{
    text key, value;

    for (uint64_t i = first; i < w->next; i++) {
        key_of(&key, w->number, i);
        print(&value, "value %llu", (unsigned long long)i);
        expect_holds(store, key.bytes, value.bytes);
    }
}

static void judge_round(const writer *writers, const uint64_t *first, unsigned name)
{
    kivi_store *store = open_store("lmdb:%s/%s?codec=raw&check=true", folder, names[name]);

    put(store, "judge", "is writing");
    for (unsigned i = 0; i < WRITERS; i++)
        judge_writes(store, &writers[i], first ? first[i] : 1);
    kivi_store_unref(store);
}

static void one_round(writer *writers, uint64_t *seed, uint64_t *by_name)
{
    uint64_t first[WRITERS];

    for (unsigned i = 0; i < WRITERS; i++) {
        first[i] = writers[i].next;
        writers[i].seed = next_random(seed);
        writers[i].c = child_start(write_until_killed, &writers[i]);
    }
    listen(writers, now_ns() + 20000000u + next_random(seed) % 80000000u, by_name);
    for (unsigned i = 0; i < WRITERS; i++)
        kill_and_hear(&writers[i], by_name);
    judge_round(writers, first, (unsigned)(next_random(seed) % NAMES));
}

Test(killed_names, four_processes_under_three_names, .timeout = 1500)
{
    writer *writers = calloc(WRITERS, sizeof(*writers));
    uint64_t seed = 7, by_name[NAMES] = {0}, all = 0;
    unsigned rounds = kill_rounds();
    text from, to;

    CHECK(writers != NULL);
    kivi_store_unref(open_store("lmdb:%s/d/?codec=raw", folder));
    print(&from, "%s/d/data.mdb", folder);
    print(&to, "%s/hard", folder);
    CHECK(link(from.bytes, to.bytes) == 0);
    for (unsigned i = 0; i < WRITERS; i++)
        writers[i] = (writer){.number = i, .next = 1};
    for (unsigned i = 0; i < rounds; i++)
        one_round(writers, &seed, by_name);
    judge_round(writers, NULL, 0);
    for (unsigned i = 0; i < NAMES; i++) {
        CHECK_SAYING(by_name[i] > 0, "nobody came in by %s", names[i]);
        all += by_name[i];
    }
    printf("%u rounds, %u processes killed, %llu writes acknowledged: %llu by %s, %llu by %s, %llu "
           "by %s\n",
           rounds, rounds * WRITERS, (unsigned long long)all, (unsigned long long)by_name[0], names[0],
           (unsigned long long)by_name[1], names[1], (unsigned long long)by_name[2], names[2]);
    free(writers);
}
