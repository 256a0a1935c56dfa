/* A fault under load: a server, a store on it, often a proxy between them, and what strikes. */
#ifndef FAULTS_STAGE_H
#define FAULTS_STAGE_H

#include "proxy.h"

typedef struct stage {
    running_server server;
    proxy *p; /* NULL: without one */
    tally sent;
    kivi_store *store;
    load *l;
} stage;

typedef struct fault {
    const char *name;
    const char *options;        /* of the store: "&name=value..." */
    const char *const *server;  /* more of the server's command line */
    const char *password;       /* that the server wants; the store knows it */
    bool password_in_file;      /* folder/password, not its URL */
    bool proxy;                 /* the store goes through one, which tallies requests */
    bool refuses;               /* the server may refuse what it was sent */
    unsigned increments;        /* of 16 calls */
    int64_t timeout_ms;         /* of every call */
    const kivi_status *allowed; /* how calls may fail, ended by 0 */
    void (*strike)(stage *s);   /* under load; the store must heal by itself afterwards */
} fault;

/* A rehearsal without the fault, then the fault; afterwards nothing is left of it. */
void stage_run(const fault_server *kind, const fault *f, load_kind way);
/* What folder/password holds from now on. */
void stage_write_password(const char *password);
/* Compares a load's writes with the record of a server that keeps one. */
void stage_compare_applied(running_server *server, const load *l);
/*
 * The answers stop, or become lies, again and again, for so long each time, until enough writes are uncertain. What is in
 * flight then is cut off, once for each connection: one that is made meanwhile gets no answer to its login, and nothing
 * of a write leaves on it.
 */
void stage_stop_answers(stage *s, const lies *instead, int64_t ms);
/* Both cases of a fault. */
#define FAULT(suite, kind, fault_)                   \
    Test(suite, fault_##_threads)                    \
    {                                                \
        stage_run(&(kind), &(fault_), LOAD_THREADS); \
    }                                                \
    Test(suite, fault_##_queue)                      \
    {                                                \
        stage_run(&(kind), &(fault_), LOAD_QUEUE);   \
    }

#endif
