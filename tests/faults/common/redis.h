/* A real Redis for one case, a proxy before it that misbehaves, and threads that write through either. */
#ifndef FAULTS_REDIS_H
#define FAULTS_REDIS_H

#include "faults.h"

#include <pthread.h>

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

/* ---- proxy.c: between a store and the server ---- */

typedef enum proxy_mode {
    PROXY_PASS,
    PROXY_DRIBBLE, /* answers byte by byte */
    PROXY_DELAY,   /* answers 20 ms later */
    PROXY_CUT,     /* answers end in the middle, and the connection with them, now and then */
    PROXY_DROP     /* answers are swallowed */
} proxy_mode;

typedef struct proxy proxy;
proxy *proxy_start(const redis_server *server);
int proxy_port(const proxy *p);
void proxy_set(proxy *p, proxy_mode mode);
/* How often a text went to the server so far. */
unsigned proxy_count(proxy *p, const char *wanted);
void proxy_stop(proxy *p);

/* ---- traffic.c: 16 threads that each write one key, and know what it may hold ---- */

#define WRITERS 16
#define UNCERTAIN_MOST 4096
typedef struct traffic {
    kivi_store *store;
    int64_t timeout_ms;
    pthread_t threads[WRITERS];
    atomic_bool stop;
    atomic_ulong acknowledged, uncertain, refused; /* of all threads */
    atomic_long excess_us; /* the most by which a call overran its deadline */
    struct {
        atomic_ulong acknowledged;               /* number of the last write that was */
        atomic_ulong tried;                      /* and of the last one begun */
        unsigned long uncertain[UNCERTAIN_MOST]; /* those of which nobody knows */
        size_t uncertain_count;
    } keys[WRITERS];
} traffic;

void traffic_start(traffic *t, kivi_store *store, int64_t timeout_ms);
/* Waits until so many more writes were acknowledged, at most a minute. */
void traffic_flows(traffic *t, unsigned long more);
/*
 * Ends it: what is stored must be what was acknowledged last, or a write that was uncertain. That may also be
 * an older one: a server that stood still finds it in its socket when it goes on. Prints the excess.
 */
void traffic_stop(traffic *t, const char *what);
/* The value of a write: its number and its thread, unlike any other. */
kivi_slice traffic_value(text *place, size_t thread, unsigned long number);

#endif
