/* What the rows on servers share: the data, the places of both sides in it, and what ours does in a row. */
#ifndef BENCH_REMOTE_H
#define BENCH_REMOTE_H

#include "bench.h"

#define REMOTE_KEYS 100000u
#define REMOTE_VALUE 100u
#define REMOTE_THREADS 64u
#define REMOTE_BATCH 100u

typedef struct remote_key {
    char text[12]; /* "key:00012345" */
} remote_key;

/* The same on every server. */
typedef struct remote_data {
    remote_key keys[REMOTE_KEYS]; /* shuffled */
    char value[REMOTE_VALUE];
} remote_data;

/* A thread's place in the keys; on a cache line of its own. */
typedef struct remote_place {
    uint32_t next;
    char padding[60];
} remote_place;

/* The two sides of a row. */
typedef struct remote_sides {
    bool timed; /* each get and set */
    const remote_data *data;
    kivi_store *store;
    void *peers[REMOTE_THREADS]; /* its connections, one for each of its threads; then NULL */
    remote_place peer_places[REMOTE_THREADS], our_places[REMOTE_THREADS];
} remote_sides;

/* Made at the first call, for all of the run. */
const remote_data *bench_remote_data(void);
int bench_free_port(void);
/* Sets all keys. */
void bench_remote_fill(kivi_store *store);
/* `store` is theirs from now on; `connect` makes each connection of the peer. */
remote_sides *bench_remote_begin(const bench_row *row, kivi_store *store, void *(*connect)(void));
void bench_remote_end(remote_sides *sides, void (*disconnect)(void *peer));

static inline kivi_slice bench_remote_slice(const remote_key *key)
{
    return kivi_bytes(key->text, sizeof key->text);
}

static inline const remote_key *bench_remote_next(const remote_data *data, uint32_t *place)
{
    uint32_t at = *place;
    *place = at + 1 == REMOTE_KEYS ? 0 : at + 1;
    return &data->keys[at];
}

static inline const remote_key *bench_peer_next(remote_sides *sides, unsigned thread)
{
    return bench_remote_next(sides->data, &sides->peer_places[thread].next);
}

/* Around each get and set of either side. */
static inline uint64_t bench_begin_one(const remote_sides *sides)
{
    return sides->timed ? bench_now_ns() : 0;
}

static inline void bench_end_one(const remote_sides *sides, bench_side side, unsigned thread,
                                 uint64_t began)
{
    if (sides->timed)
        bench_latency_add(side, thread, bench_now_ns() - began);
}

/* For .run_ours; `user` is the sides. */
void bench_our_get(void *user, unsigned thread, uint64_t iterations);
void bench_our_set(void *user, unsigned thread, uint64_t iterations);
void bench_our_get_many(void *user, unsigned thread, uint64_t iterations);
void bench_our_set_many(void *user, unsigned thread, uint64_t iterations);
/* One whole scan: how many pairs it gave. */
size_t bench_our_pairs(const remote_sides *sides);

#endif
