/* What the rows on Redis share: a server of the bench's own, filled, and connections of the peer to it. */
#ifndef BENCH_REDIS_H
#define BENCH_REDIS_H

#include "bench.h"

#include <hiredis/hiredis.h>
#include <kivi/kivi.h>

#define REDIS_KEYS 100000u
#define REDIS_VALUE 100u
#define REDIS_THREADS 64u
#define REDIS_BATCH 100u

typedef struct redis_key {
    char text[12]; /* "key:00012345" */
} redis_key;

/* One server and data set for all rows of a run; ended at exit. */
typedef struct bench_redis {
    char *dir;
    char socket[256];
    int port, pid;
    redis_key *keys; /* shuffled */
    uint8_t value[REDIS_VALUE];
} bench_redis;

/* Starts and fills the server at the first call. */
bench_redis *bench_redis_server(void);
/* A store of ours, over TCP or the server's socket. */
kivi_store *bench_redis_store(const bench_redis *redis, bool over_socket);
/* A connection of the peer's, over the same. */
redisContext *bench_redis_connect(const bench_redis *redis, bool over_socket);
/* The next reply, which must be of a type. */
redisReply *bench_redis_reply(redisContext *context, int type);

static inline kivi_slice bench_redis_slice(const redis_key *key)
{
    return kivi_bytes(key->text, sizeof key->text);
}

/* Ends the run with the error's message unless `status` is OK. */
static inline void bench_redis_ok(kivi_status status, kivi_error *const *error)
{
    if (__builtin_expect(status != KIVI_OK, 0))
        bench_fail("%s: %s", kivi_status_name(status),
                   *error ? kivi_error_message(*error) : "no error was given");
}

#endif
