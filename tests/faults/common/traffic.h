/* Sixteen threads that write while servers come and go, each to a key of its own, and the ledger of what they were told. */
#ifndef FAULTS_TRAFFIC_H
#define FAULTS_TRAFFIC_H

#include "server.h"

enum { TRAFFIC_THREADS = 16 };

typedef struct traffic_options {
    int64_t timeout_ms;   /* of every call */
    const char *keys;     /* a text of printf with one %zu: the thread's number */
    kivi_store *judge;    /* what is stored at the end is read here; NULL: in the same store */
    bool without_failure; /* else calls may be UNAVAILABLE, TIMEOUT, and writes UNCERTAIN */
} traffic_options;

typedef struct traffic traffic;

/* Begins, and has begun: every thread was told of some writes. */
traffic *traffic_begin(kivi_store *store, const traffic_options *options);
/* Waits until every thread was told of some writes that began after this call did. */
void traffic_flows(traffic *t);
/* The same, of one thread. */
void traffic_flows_for(traffic *t, size_t thread);
/* Waits until so many more calls of a thread have failed. */
void traffic_fails_for(traffic *t, size_t thread, unsigned long more);
/* No more calls. Each key holds what was acknowledged last, or a write of unknown fate. */
void traffic_end(traffic *t);
/*
 * By what servers have on disk: what was acknowledged was done by one of them (a replica that takes over may lack what the
 * primary was told last: that is Redis' promise), what is uncertain by each at most once, what was refused by none.
 */
void traffic_compare(traffic *t, running_server *const *servers, size_t count);
void traffic_free(traffic *t);

#endif
