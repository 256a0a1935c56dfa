/*
 * Writers on the engines written in Go that are killed: what was acknowledged is there, nothing is half there, and the lock
 * goes with the process. Whoever opens a store is a child: a process that has used Go has no children that can.
 */
#include "common/faults.h"
#include "common/ledger.h"

TestSuite(go_killed, .init = case_begin, .fini = case_end);

static void judge_child(int in, int out, void *user)
{
    writing *job = user;
    kivi_store *store = open_store(job->url, folder);

    (void)in;
    ledger_judge(store, &job->known);
    put(store, "judge", "was here");
    tell(out, &job->known, sizeof(job->known));
    kivi_store_unref(store);
}

static void kill_often(const char *url, uint64_t seed)
{
    unsigned times = kill_rounds();
    writing *job = calloc(1, sizeof(*job));
    uint64_t writes = 0;

    CHECK(job != NULL);
    job->url = url;
    for (unsigned i = 0; i < times; i++) {
        child c;
        job->seed = next_random(&seed);
        c = child_start(ledger_write, job);
        writes += ledger_listen_and_kill(&c, now_ns() + next_random(&seed) % 60000000u, &job->known);
        c = child_start(judge_child, job);
        hear(c.from, &job->known, sizeof(job->known));
        child_ends(&c);
    }
    printf("%u writers killed, %llu writes acknowledged\n", times, (unsigned long long)writes);
    free(job);
}

Test(go_killed, bolt, .timeout = 900)
{
    kill_often("bolt:%s/data?codec=raw", 1);
}

Test(go_killed, bolt_without_sync, .timeout = 900)
{
    kill_often("bolt:%s/data?codec=raw&sync=false", 2);
}

Test(go_killed, bolt_held_for_a_call, .timeout = 900)
{
    kill_often("bolt:%s/data?codec=raw&hold=call&sync=false", 3);
}

Test(go_killed, badger, .timeout = 900)
{
    kill_often("badger:%s/data?codec=raw", 4);
}

Test(go_killed, badger_durable, .timeout = 900)
{
    kill_often("badger:%s/data?codec=raw&sync=true", 5);
}
