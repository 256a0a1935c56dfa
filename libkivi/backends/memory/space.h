/* The data of one or more stores: records under one lock, and how they live, expire and go through a fork. */
#ifndef KVI_MEMORY_SPACE_H
#define KVI_MEMORY_SPACE_H

#include <pthread.h>

#include "heap.h"
#include "tree.h"

typedef struct memory_space {
    pthread_rwlock_t lock; /* guards tree, heap, version and the marked fields of records */
    memory_tree tree;
    memory_heap heap;
    uint64_t version;          /* of the last write */
    atomic_size_t keys, bytes; /* written under the lock; expired ones count until they are swept */
    unsigned forks;            /* stores of this space that are in the middle of a fork */
    size_t users;              /* stores; under the registry's mutex */
    struct memory_space *next;
    char name[]; /* "": private */
} memory_space;

/* The clock of one operation: asked at most once, and only where an expiry is in play. */
typedef struct memory_clock {
    int64_t now;
    bool known;
} memory_clock;

/* The space of a name, made with its first user; NULL or "": a new one, private. NULL without memory. */
memory_space *kvi_space_open(const char *name);
/* Gives a use back; the last one frees the data. */
void kvi_space_close(memory_space *space);

/* Below: under the lock, exclusively for what changes anything. */

int64_t kvi_clock_now(memory_clock *clock);
bool kvi_space_expired(const memory_record *record, memory_clock *clock);
/* Time left to a record that has not expired: at least 1 ms, KIVI_TTL_NONE when it never ends. */
int64_t kvi_space_ttl(const memory_record *record, memory_clock *clock);
/* The record of a key that has not expired, NULL when there is none. */
memory_record *kvi_space_live(const memory_space *space, kivi_slice key, memory_clock *clock);

/*
 * Changes. Records that go are added to `*gone`, to be let go when the lock is free. Room for an
 * expiry (kvi_heap_reserve) is the caller's duty.
 */

/* Adds a record, or puts it in the place of the one with its key, live or not. False: no memory, nothing changed. */
bool kvi_space_put(memory_space *space, memory_record *record, memory_record **gone);
void kvi_space_remove(memory_space *space, kivi_slice key, memory_record **gone);
/* Gives a record that is in the space another expiry; 0: never. */
void kvi_space_expire(memory_space *space, memory_record *record, int64_t expires);
/* Removes up to `most` expired records and answers how many. */
uint64_t kvi_space_sweep(memory_space *space, uint64_t most, memory_clock *clock, memory_record **gone);
/* Lets go of a list of records; without the lock. */
void kvi_space_drop(memory_record *gone);

/* Around fork, for each store of the space: the child gets whole data and fresh locks. */
void kvi_space_fork_prepare(memory_space *space);
void kvi_space_fork_parent(memory_space *space);
void kvi_space_fork_child(memory_space *space);

#endif
