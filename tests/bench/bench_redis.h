/* What the rows on Redis share: a server of the bench's own, filled, and connections of the peer to it. */
#ifndef BENCH_REDIS_H
#define BENCH_REDIS_H

#include "bench_remote.h"

#include <hiredis/hiredis.h>

/* One server for all rows of a run, filled; ended at exit. */
typedef struct bench_redis {
    char *dir;
    char socket[256];
    int port, pid;
} bench_redis;

/* Starts and fills the server at the first call. */
bench_redis *bench_redis_server(void);
/* A store of ours, over TCP or the server's socket. */
kivi_store *bench_redis_store(const bench_redis *redis, bool over_socket);
/* A connection of the peer's, over the same. */
redisContext *bench_redis_connect(const bench_redis *redis, bool over_socket);
/* The next reply, which must be of a type. */
redisReply *bench_redis_reply(redisContext *context, int type);

#endif
