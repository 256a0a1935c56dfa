/* What the rows on LMDB share: one data set, in a raw environment and in a store of ours. */
#ifndef BENCH_LMDB_H
#define BENCH_LMDB_H

#include "bench.h"

#include <lmdb.h>

#define DATA_KEYS 100000u
#define DATA_VALUE 100u
#define DATA_THREADS 64u

typedef struct data_key {
    char text[12]; /* "key:00012345" */
} data_key;

/* A thread's place in the shuffled keys; on a cache line of its own. */
typedef struct data_place {
    uint32_t next;
    char padding[60];
} data_place;

/* The same pairs twice: in a file that only the peer opens, and in one that only libkivi opens. */
typedef struct bench_data {
    char *dir;
    data_key *keys; /* all keys, shuffled */
    uint8_t value[DATA_VALUE];
    MDB_env *env;
    MDB_dbi dbi;
    kivi_store *store;
    data_place peer_places[DATA_THREADS], our_places[DATA_THREADS];
} bench_data;

/* Keys, value, places and a folder of that name alone; dropped with the store, where there is one. */
void bench_data_make(bench_data *data, const char *name);
void bench_data_drop(bench_data *data);
void bench_data_open(bench_data *data);
void bench_data_close(bench_data *data);

/* The next key of a walk over all keys in random order. */
static inline const data_key *bench_next_key(const bench_data *data, data_place *place)
{
    uint32_t at = place->next;
    place->next = at + 1 == DATA_KEYS ? 0 : at + 1;
    return &data->keys[at];
}

static inline kivi_slice bench_key_slice(const data_key *key)
{
    return kivi_bytes(key->text, sizeof key->text);
}

static inline MDB_val bench_key_val(const data_key *key)
{
    MDB_val val = {sizeof key->text, (void *)(uintptr_t)key->text};
    return val;
}

/* A fresh store in `dir`/our.mdb, or the end of the run with the store's message. */
kivi_store *bench_open_store(const char *dir);
/* A fresh raw environment, `dir`/peer.mdb, with its unnamed database. */
MDB_env *bench_open_env(const char *dir, MDB_dbi *dbi);

#endif
