/* Writers that are killed: what they were told is written is there, and nothing is half there. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/faults.h"
#include "common/hooks.h"

TestSuite(killed_writer, .init = case_begin, .fini = case_end);

enum { THREADS = 3, KINDS = 4, SINGLES = 40, MANY = 25, ATOMIC = 10 };
enum { SINGLE, SET_MANY, BATCH, INCREMENT };

/* What a writer tells when a write was acknowledged. */
typedef struct word {
    uint32_t thread, kind;
    uint64_t round;
} word;

/* The last round acknowledged, by thread and kind; rounds count from 1. */
typedef struct ledger {
    uint64_t rounds[THREADS][KINDS];
    uint64_t singles[THREADS][SINGLES];
} ledger;

static const char *const hour = "an hour"; /* beside values that have an expiry */

/* ---- writing ---- */

/* Each odd round has an expiry, and a value that says so. */
static void write_single(kivi_store *store, unsigned thread, uint64_t round)
{
    text key, value;

    print(&key, "single:%u:%llu", thread, (unsigned long long)(round % SINGLES));
    print(&value, "%llu %s", (unsigned long long)round, round % 2 ? hour : "");
    OK(kivi_store_set(store, NULL, kivi_str(key.bytes), kivi_str(value.bytes),
                      round % 2 ? 3600000 : KIVI_TTL_NONE, E));
}

static void write_many(kivi_store *store, unsigned thread, uint64_t round)
{
    text keys[MANY], value;
    kivi_slice names[MANY], values[MANY];

    for (unsigned i = 0; i < MANY; i++) {
        names[i] = print(&keys[i], "many:%u:%u", thread, i);
        values[i] = print(&value, "%llu", (unsigned long long)round);
    }
    OK(kivi_store_set_many(store, NULL, names, values, MANY, KIVI_TTL_NONE, NULL, E));
}

/* Sets all, and deletes or makes one more by turns, on the condition that the round before is there. */
static void write_batch(kivi_store *store, unsigned thread, uint64_t round)
{
    kivi_op ops[ATOMIC + 1];
    text keys[ATOMIC + 1], value, before;
    kivi_slice new = print(&value, "%llu", (unsigned long long)round);

    for (unsigned i = 0; i < ATOMIC; i++) {
        ops[i] = (kivi_op)KIVI_OP_INIT;
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = print(&keys[i], "batch:%u:%u", thread, i);
        ops[i].value = new;
        ops[i].condition = round > 1 ? KIVI_IF_EQUAL : KIVI_IF_ABSENT;
        if (round > 1)
            ops[i].expected = print(&before, "%llu", (unsigned long long)round - 1);
    }
    ops[ATOMIC] = (kivi_op)KIVI_OP_INIT;
    ops[ATOMIC].kind = round % 2 ? KIVI_OP_SET : KIVI_OP_DELETE;
    ops[ATOMIC].key = print(&keys[ATOMIC], "batch:%u:odd", thread);
    if (round % 2)
        ops[ATOMIC].value = new;
    OK(kivi_store_apply(store, NULL, ops, ATOMIC + 1, KIVI_APPLY_ATOMIC, NULL, E));
}

static void write_round(kivi_store *store, unsigned thread, unsigned kind, uint64_t round)
{
    text key;
    int64_t sum;

    switch (kind) {
    case SINGLE:
        write_single(store, thread, round);
        break;
    case SET_MANY:
        write_many(store, thread, round);
        break;
    case BATCH:
        write_batch(store, thread, round);
        break;
    default:
        print(&key, "counter:%u", thread);
        OK(kivi_store_increment(store, NULL, kivi_str(key.bytes), 1, KIVI_TTL_NONE, &sum, E));
        CHECK_NUMBER(sum, round);
    }
}

/* Which store is written to: `url` with a place for the folder. */
typedef struct subject {
    const char *url;
    bool shared; /* several processes have it open */
} subject;

typedef struct writing {
    kivi_store *store;
    ledger known;
    const char *url;
    int out;
    uint64_t seed;
} writing;

static void write_on(worker *w)
{
    writing *job = w->shared;
    unsigned thread = (unsigned)w->index;
    uint64_t rounds[KINDS], seed = job->seed + thread;

    memcpy(rounds, job->known.rounds[thread], sizeof(rounds));
    for (;;) {
        word said = {thread, (uint32_t)(next_random(&seed) % KINDS), 0};
        said.round = ++rounds[said.kind];
        write_round(job->store, thread, said.kind, said.round);
        tell(job->out, &said, sizeof(said));
    }
}

/* Also reads all the while, so that places in the table of readers are taken at the kill. */
static void write_or_read(worker *w)
{
    writing *job = w->shared;

    if (w->index < THREADS)
        write_on(w);
    for (;;)
        OK(kivi_store_count(job->store, NULL, kivi_str("many:"), &(uint64_t){0}, E));
}

static void write_until_killed(int in, int out, void *user)
{
    writing *job = user;

    (void)in;
    job->out = out;
    job->store = open_store(job->url, folder);
    together(THREADS + 1, write_or_read, job);
}

/* ---- judging ---- */

static uint64_t round_of_single(kivi_store *store, unsigned thread, unsigned slot)
{
    kivi_buffer got = KIVI_BUFFER_INIT;
    int64_t ttl_ms = 0;
    uint64_t round = 0;
    text key;
    kivi_slice name = print(&key, "single:%u:%u", thread, slot);
    kivi_status status = kivi_store_get(store, NULL, name, &got, E);

    if (status != KIVI_NOT_FOUND) {
        OK(status);
        OK(kivi_buffer_append(&got, kivi_bytes("", 1)));
        round = strtoull((char *)got.data, NULL, 10);
        OK(kivi_store_ttl(store, NULL, name, &ttl_ms, E));
        CHECK_SAYING((strstr((char *)got.data, hour) != NULL) == (ttl_ms != KIVI_TTL_NONE),
                     "\"%s\" expires in %lld ms", (char *)got.data, (long long)ttl_ms);
        CHECK_NUMBER(round % SINGLES, slot);
    }
    kivi_buffer_free(&got);
    return round;
}

/* The write after the last acknowledged one was perhaps done as well. */
static void judge_round(const char *what, unsigned thread, uint64_t found, uint64_t *known, uint64_t step)
{
    CHECK_SAYING(found == *known || found == *known + step,
                 "%s of thread %u: %llu was acknowledged, %llu is there", what, thread,
                 (unsigned long long)*known, (unsigned long long)found);
    *known = found;
}

static void judge_singles(kivi_store *store, unsigned thread, ledger *known)
{
    uint64_t *last = &known->rounds[thread][SINGLE], before = *last;

    for (unsigned slot = 0; slot < SINGLES; slot++) {
        uint64_t found = round_of_single(store, thread, slot),
                 *acknowledged = &known->singles[thread][slot];
        CHECK_SAYING(found == *acknowledged || found == before + 1,
                     "single %u of thread %u: %llu was acknowledged, %llu is there", slot, thread,
                     (unsigned long long)*acknowledged, (unsigned long long)found);
        *acknowledged = found;
        if (found > *last)
            *last = found;
    }
}

static void judge_group(kivi_store *store, const char *name, unsigned thread, unsigned count,
                        uint64_t *known)
{
    text key;
    uint64_t first = 0;

    for (unsigned i = 0; i < count; i++) {
        print(&key, "%s:%u:%u", name, thread, i);
        uint64_t found = (uint64_t)number_at(store, key.bytes, 0);
        if (i == 0)
            first = found;
        CHECK_SAYING(found == first, "%s has %llu, the first of its batch %llu", key.bytes,
                     (unsigned long long)found, (unsigned long long)first);
    }
    judge_round(name, thread, first, known, 1);
}

static void judge_all(kivi_store *store, ledger *known)
{
    for (unsigned thread = 0; thread < THREADS; thread++) {
        uint64_t *rounds = known->rounds[thread];
        text key;
        judge_singles(store, thread, known);
        judge_group(store, "many", thread, MANY, &rounds[SET_MANY]);
        judge_group(store, "batch", thread, ATOMIC, &rounds[BATCH]);
        print(&key, "batch:%u:odd", thread);
        CHECK_NUMBER(number_at(store, key.bytes, 0), rounds[BATCH] % 2 ? rounds[BATCH] : 0);
        print(&key, "counter:%u", thread);
        judge_round("counter", thread, (uint64_t)number_at(store, key.bytes, 0), &rounds[INCREMENT], 1);
    }
    expect_sound(store);
}

/*
 * Judges twice. A writer that died in the last step of its commit, when all is in the file and only other
 * processes do not know yet, leaves that to the next writer: until then they see what was there before.
 */
static void judge_before_and_after(kivi_store *store, ledger *known)
{
    ledger *before = malloc(sizeof(*before));

    CHECK(before != NULL);
    *before = *known;
    judge_all(store, before);
    put(store, "parent", "is writing");
    judge_all(store, known);
    free(before);
}

/* ---- killing ---- */

static void note(ledger *known, const word *said)
{
    CHECK(said->thread < THREADS && said->kind < KINDS);
    CHECK_NUMBER(said->round, known->rounds[said->thread][said->kind] + 1);
    known->rounds[said->thread][said->kind] = said->round;
    if (said->kind == SINGLE)
        known->singles[said->thread][said->round % SINGLES] = said->round;
}

/* Listens until a time has come, then kills, then hears what had been said before. */
static uint64_t listen_and_kill(child *c, uint64_t until, ledger *known)
{
    uint64_t heard = 0;
    word said;

    while (now_ns() < until || heard == 0) {
        if (!can_hear(c->from, 1))
            continue;
        hear(c->from, &said, sizeof(said));
        note(known, &said);
        heard++;
    }
    kill(c->pid, SIGKILL);
    while (read(c->from, &said, sizeof(said)) == (ssize_t)sizeof(said)) {
        note(known, &said);
        heard++;
    }
    child_kill(c);
    return heard;
}

/* A process that has the file open all the time, so that the lock and the readers' table live on. */
static void stand_by(int in, int out, void *user)
{
    kivi_store *store = open_store(user, folder);

    put(store, "bystander", "before");
    tell_on(out);
    hear_on(in);
    put(store, "bystander", "after");
    expect_holds(store, "bystander", "after");
    kivi_store_unref(store);
}

/* In a process of its own, for a store that children of one who used it cannot have. */
static void judge_apart(int in, int out, void *user)
{
    writing *job = user;
    kivi_store *store = open_store(job->url, folder);

    (void)in;
    judge_before_and_after(store, &job->known);
    kivi_store_unref(store);
    tell(out, &job->known, sizeof(job->known));
}

static void judge_in_child(writing *job)
{
    child c = child_start(judge_apart, job);

    hear(c.from, &job->known, sizeof(job->known));
    child_ends(&c);
}

static uint64_t kill_one(const subject *of, writing *job, bool early, uint64_t until)
{
    kivi_store *store = NULL;
    child c = child_start(write_until_killed, job);
    uint64_t writes;

    /* This process has the file open already when the writer dies. */
    if (early)
        store = open_store(of->url, folder);
    writes = listen_and_kill(&c, until, &job->known);
    if (!of->shared) {
        judge_in_child(job);
        return writes;
    }
    if (!store)
        store = open_store(of->url, folder);
    judge_before_and_after(store, &job->known);
    kivi_store_unref(store);
    return writes;
}

static void kill_often(subject of, unsigned times, uint64_t seed)
{
    writing *job = calloc(1, sizeof(*job));
    child bystander;
    uint64_t writes = 0;

    CHECK(job != NULL);
    job->url = of.url;
    if (of.shared) {
        bystander = child_start(stand_by, (void *)of.url);
        hear_on(bystander.from);
    }
    for (unsigned i = 0; i < times; i++) {
        job->seed = next_random(&seed);
        writes += kill_one(&of, job, of.shared && i % 2, now_ns() + next_random(&seed) % 60000000u);
    }
    if (of.shared) {
        tell_on(bystander.to);
        child_ends(&bystander);
    }
    printf("%u writers killed, %llu writes acknowledged\n", times, (unsigned long long)writes);
    free(job);
}

/* Few readers: places of the dead that were not given back would soon be missing. */
Test(killed_writer, a_hundred_times_durable, .timeout = 170)
{
    kill_often((subject){"lmdb:%s/data?codec=raw&max_readers=10", true}, 100, 1);
}

Test(killed_writer, a_hundred_times_without_sync, .timeout = 170)
{
    kill_often((subject){"lmdb:%s/data?codec=raw&max_readers=10&sync=false", true}, 100, 2);
}

Test(killed_writer, of_rocksdb_a_hundred_times_durable, .timeout = 170)
{
    kill_often((subject){"rocksdb:%s/data?codec=raw", false}, 100, 3);
}

/* Tables are written all the while, and old ones removed. */
Test(killed_writer, of_rocksdb_a_hundred_times_without_sync, .timeout = 170)
{
    kill_often((subject){"rocksdb:%s/data?codec=raw&sync=false&write_buffer=64KiB", false}, 100, 4);
}

/* ---- killed at each system call of a commit ---- */

typedef struct step {
    unsigned nth;
    bool after;
} step;

/* Acknowledged writes first, then one batch in whose commit it dies; it tells how many calls that had. */
static void die_in_commit(int in, int out, void *user)
{
    const step *at = user;
    kivi_store *store = open_lmdb("&map_size=16MiB");
    uint64_t round = (uint64_t)number_at(store, "batch:0:0", 0);
    unsigned calls;

    (void)in;
    write_batch(store, 0, round + 1);
    tell(out, &round, sizeof(round));
    hook_arm(at->nth, at->after, SIGKILL);
    write_batch(store, 0, round + 2);
    calls = hook_calls();
    hook_arm(0, false, 0);
    tell(out, &calls, sizeof(calls));
    kivi_store_unref(store);
}

static void judge_batch(kivi_store *store, ledger known)
{
    uint64_t *round = &known.rounds[0][BATCH];

    judge_group(store, "batch", 0, ATOMIC, round);
    CHECK_NUMBER(number_at(store, "batch:0:odd", 0), *round % 2 ? *round : 0);
    expect_sound(store);
}

static void die_at(step at, bool others, ledger *known)
{
    kivi_store *store = others ? open_lmdb("&map_size=16MiB") : NULL;
    child c = child_start(die_in_commit, &at);
    uint64_t round;

    hear(c.from, &round, sizeof(round));
    CHECK_NUMBER(round, known->rounds[0][BATCH]);
    known->rounds[0][BATCH] = round + 1;
    int status = child_wait(&c, 60);
    CHECK_SAYING(status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %d", status);
    if (!store)
        store = open_lmdb("&map_size=16MiB");
    judge_batch(store, *known);
    put(store, "parent", "is writing");
    judge_batch(store, *known);
    known->rounds[0][BATCH] = (uint64_t)number_at(store, "batch:0:0", 0);
    kivi_store_unref(store);
}

Test(killed_writer, at_each_system_call_of_a_commit, .timeout = 120)
{
    ledger *known = calloc(1, sizeof(*known));
    step none = {0, false};
    child c;
    uint64_t round;
    unsigned calls;

    CHECK(known != NULL);
    c = child_start(die_in_commit, &none);
    hear(c.from, &round, sizeof(round));
    hear(c.from, &calls, sizeof(calls));
    child_ends(&c);
    known->rounds[0][BATCH] = 2;
    printf("a commit has %u system calls\n", calls);
    CHECK_SAYING(calls >= 3, "only %u: pages, a sync and the page that refers to them", calls);
    for (unsigned nth = 1; nth <= calls; nth++)
        for (unsigned i = 0; i < 4; i++)
            die_at((step){nth, i % 2}, i / 2, known);
    free(known);
}
