/* A real Redis for one case, a proxy before it that misbehaves, and a load through either. */
#ifndef FAULTS_REDIS_H
#define FAULTS_REDIS_H

#include "load.h"

/* ---- redis.c: the server; acknowledged means on disk ---- */

typedef struct redis_server {
    int port;
    pid_t pid;
    char directory[300];
    const char *options[24]; /* more of its command line, NULL at the end */
} redis_server;

/* Starts it in folder/name and waits until it answers. `options`: pairs such as "--maxclients", "5", then NULL. */
void redis_start(redis_server *server, const char *name, const char *const *options);
/* Once more with the same port and data; it must have ended. */
void redis_start_again(redis_server *server);
void redis_kill(redis_server *server); /* -9 */
void redis_signal(const redis_server *server, int number);
void redis_stop(redis_server *server);
/* A command in one line, such as "CONFIG SET maxmemory 1"; the first line of its answer, with its type byte. */
void redis_says(const redis_server *server, const char *login, const char *command, char *answer,
                size_t room);
/* The same, which must answer +OK. */
void redis_tell(const redis_server *server, const char *login, const char *command);

/* The server's own record of what it did, which outlives it. */
void redis_tally(const redis_server *server, tally *t);
/* A connection of one's own, for when there may be no new one; close it. */
int redis_connect(const redis_server *server);
void redis_ask(int fd, const char *command, char *answer, size_t room);
int connect_to_port(int port); /* -1: nobody is there */

/* ---- proxy.c: between a store and the server ---- */

typedef enum proxy_mode {
    PROXY_PASS,
    PROXY_DRIBBLE,    /* answers byte by byte */
    PROXY_DELAY,      /* answers 20 ms later */
    PROXY_CUT,        /* answers end in the middle, and the connection with them, now and then */
    PROXY_DROP,       /* answers are swallowed */
    PROXY_WRONG_TYPE, /* other answers instead, which the commands cannot have */
    PROXY_BROKEN,     /* bytes that are no answer */
    PROXY_ENDLESS     /* answers without an end */
} proxy_mode;

typedef struct proxy proxy;
/* `seen`: what goes to the server is tallied there; may be NULL. */
proxy *proxy_start(const redis_server *server, tally *seen);
int proxy_port(const proxy *p);
void proxy_set(proxy *p, proxy_mode mode);
/* How many portions of answers were spoiled so far. */
unsigned proxy_spoiled(proxy *p);
void proxy_stop(proxy *p);

/* ---- stage.c: a fault under load ---- */

typedef struct stage {
    redis_server server;
    proxy *p; /* NULL: without one */
    tally sent;
    kivi_store *store;
    load *l;
} stage;

typedef struct fault {
    const char *name;
    const char *options;        /* of the store: "&name=value..." */
    const char *const *server;  /* options of the server */
    const char *login;          /* in the URL: "user:password@" */
    bool proxy;                 /* the store goes through one, which tallies requests */
    bool refuses;               /* the server may refuse what it was sent */
    bool stands;                /* no connection is lost */
    unsigned increments;        /* of 16 calls */
    int64_t timeout_ms;         /* of every call */
    const kivi_status *allowed; /* how calls may fail, ended by 0 */
    void (*prepare)(stage *s);  /* before the store is opened */
    void (*strike)(stage *s);   /* under load; the store must heal by itself afterwards */
} fault;

/* A rehearsal without the fault, then the fault; afterwards nothing is left of it. */
void stage_run(const fault *f, load_kind kind);
/* Both cases of a fault. */
#define FAULT(suite, fault_)              \
    Test(suite, fault_##_threads)         \
    {                                     \
        stage_run(&fault_, LOAD_THREADS); \
    }                                     \
    Test(suite, fault_##_queue)           \
    {                                     \
        stage_run(&fault_, LOAD_QUEUE);   \
    }

#endif
