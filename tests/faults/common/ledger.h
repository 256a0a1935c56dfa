/*
 * A writer that is killed: it writes in several ways from several threads and says what was acknowledged. Who killed it
 * keeps a ledger, and judges by it what is in the store: all of that, and nothing by halves.
 */
#ifndef FAULTS_LEDGER_H
#define FAULTS_LEDGER_H

#include "faults.h"

enum { THREADS = 3, KINDS = 4, SINGLES = 40, MANY = 25, ATOMIC = 10 };
enum { SINGLE, SET_MANY, BATCH, INCREMENT };

/* The last round acknowledged, by thread and kind; rounds count from 1. */
typedef struct ledger {
    uint64_t rounds[THREADS][KINDS];
    uint64_t singles[THREADS][SINGLES];
} ledger;

typedef struct writing {
    kivi_store *store;
    ledger known;
    const char *url; /* with a place for the folder */
    int out;
    uint64_t seed;
} writing;

/* Work of a child, for a `writing`: it never ends. */
void ledger_write(int in, int out, void *user);
/* Listens to it until a time has come, then kills it, then hears what had been said before. How much was heard. */
uint64_t ledger_listen_and_kill(child *c, uint64_t until, ledger *known);
/* The ledger then knows what is there: the write after the last acknowledged one was perhaps done as well. */
void ledger_judge(kivi_store *store, ledger *known);

/* Sets all of a group, and deletes or makes one more by turns, on the condition that the round before is there. */
void ledger_write_batch(kivi_store *store, unsigned thread, uint64_t round);
void ledger_judge_group(kivi_store *store, const char *name, unsigned thread, unsigned count,
                        uint64_t *known);

#endif
