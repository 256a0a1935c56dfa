/* A proxy between a store and a server, whatever they say to each other. */
#ifndef FAULTS_PROXY_H
#define FAULTS_PROXY_H

#include "server.h"

typedef enum proxy_mode {
    PROXY_PASS,
    PROXY_DRIBBLE, /* answers byte by byte */
    PROXY_DELAY,   /* answers 20 ms later */
    PROXY_CUT,     /* answers end in the middle, and the connection with them, now and then */
    PROXY_DROP,    /* answers are swallowed */
    PROXY_LIE      /* others are given instead, see proxy_lie */
} proxy_mode;

/* An answer of the proxy's own; `again`: and then this without an end. */
typedef struct lie {
    const char *bytes;
    size_t size;
    const char *again;
} lie;
typedef struct lies {
    const lie *all;
    size_t count;
} lies;
#define LIE(text)                    \
    {                                \
        text, sizeof(text) - 1, NULL \
    }
/* Something, and then the same again and again. */
#define ENDLESS(first, again)           \
    {                                   \
        first, sizeof(first) - 1, again \
    }
#define LIES(all)                         \
    {                                     \
        all, sizeof(all) / sizeof(*(all)) \
    }

typedef struct proxy proxy;
/* What goes to the server is tallied in `seen`, which may be NULL. */
proxy *proxy_start(const running_server *server, tally *seen);
int proxy_port(const proxy *p);
void proxy_set(proxy *p, proxy_mode mode);
/* From now on each answer is one of these. */
void proxy_lie(proxy *p, const lies *told);
/* How many portions of answers were spoiled so far. */
unsigned proxy_spoiled(proxy *p);
void proxy_stop(proxy *p);

#endif
