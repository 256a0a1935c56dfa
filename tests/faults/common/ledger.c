/* Writers that are killed, and the ledger of what they were told is written. See ledger.h. */
#include "ledger.h"

#include <signal.h>
#include <unistd.h>

/* What a writer tells when a write was acknowledged. */
typedef struct word {
    uint32_t thread, kind;
    uint64_t round;
} word;

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
void ledger_write_batch(kivi_store *store, unsigned thread, uint64_t round)
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
        ledger_write_batch(store, thread, round);
        break;
    default:
        print(&key, "counter:%u", thread);
        OK(kivi_store_increment(store, NULL, kivi_str(key.bytes), 1, KIVI_TTL_NONE, &sum, E));
        CHECK_NUMBER(sum, round);
    }
}

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

void ledger_write(int in, int out, void *user)
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

void ledger_judge_group(kivi_store *store, const char *name, unsigned thread, unsigned count,
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

void ledger_judge(kivi_store *store, ledger *known)
{
    for (unsigned thread = 0; thread < THREADS; thread++) {
        uint64_t *rounds = known->rounds[thread];
        text key;
        judge_singles(store, thread, known);
        ledger_judge_group(store, "many", thread, MANY, &rounds[SET_MANY]);
        ledger_judge_group(store, "batch", thread, ATOMIC, &rounds[BATCH]);
        print(&key, "batch:%u:odd", thread);
        CHECK_NUMBER(number_at(store, key.bytes, 0), rounds[BATCH] % 2 ? rounds[BATCH] : 0);
        print(&key, "counter:%u", thread);
        judge_round("counter", thread, (uint64_t)number_at(store, key.bytes, 0), &rounds[INCREMENT], 1);
    }
    expect_sound(store);
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
uint64_t ledger_listen_and_kill(child *c, uint64_t until, ledger *known)
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
