/* Writers that are killed: what they were told is written is there, and nothing is half there. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/faults.h"
#include "common/hooks.h"
#include "common/ledger.h"

TestSuite(killed_writer, .init = case_begin, .fini = case_end);

/* Which store is written to: `url` with a place for the folder. */
typedef struct subject {
    const char *url;
    bool shared; /* several processes have it open */
} subject;

/*
 * Judges twice. A writer that died in the last step of its commit, when all is in the file and only other
 * processes do not know yet, leaves that to the next writer: until then they see what was there before.
 */
static void judge_before_and_after(kivi_store *store, ledger *known)
{
    ledger *before = malloc(sizeof(*before));

    CHECK(before != NULL);
    *before = *known;
    ledger_judge(store, before);
    put(store, "parent", "is writing");
    ledger_judge(store, known);
    free(before);
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
    child c = child_start(ledger_write, job);
    uint64_t writes;

    /* This process has the file open already when the writer dies. */
    if (early)
        store = open_store(of->url, folder);
    writes = ledger_listen_and_kill(&c, until, &job->known);
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
    ledger_write_batch(store, 0, round + 1);
    tell(out, &round, sizeof(round));
    hook_arm(at->nth, at->after, SIGKILL);
    ledger_write_batch(store, 0, round + 2);
    calls = hook_calls();
    hook_arm(0, false, 0);
    tell(out, &calls, sizeof(calls));
    kivi_store_unref(store);
}

static void judge_batch(kivi_store *store, ledger known)
{
    uint64_t *round = &known.rounds[0][BATCH];

    ledger_judge_group(store, "batch", 0, ATOMIC, round);
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
