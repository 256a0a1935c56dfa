/* Keys of a server's dump, put into an order of their own: so a scan of them has pages, and a cursor that outlives it. */
#ifndef KVI_MC_DUMP_H
#define KVI_MC_DUMP_H

#include <kivi/backend.h>
#include <stdatomic.h>

/*
 * A server gives all its keys at once, in no order that would be the same the next time. They are put into the order of their
 * hashes, and a page goes on behind the last key of the one before: where its dump is still kept, from there; else from a new
 * one, of which what is not beyond that key is left out. Of a dump no more than `most` keys are kept, the first ones in that
 * order: what is behind them is left to another dump.
 */
typedef struct mc_dump {
    const kivi_host *core;
    uint32_t place; /* the server */
    size_t most;
    kivi_slice prefix; /* of the keys; its bytes are in `words` */
    kivi_slice after;  /* only keys beyond this one; empty: all */
    uint8_t *words;
    struct mc_dump_key *keys;
    size_t count, room, next; /* `next`: the first that was not given yet, once it is sorted */
    uint8_t *bytes;
    size_t size, byte_room;
    bool cut; /* there are more */
    bool sorted;
} mc_dump;

/* NULL without memory. */
mc_dump *kvi_mc_dump_new(const kivi_host *core, uint32_t place, kivi_slice prefix, kivi_slice after,
                         size_t most);
void kvi_mc_dump_free(mc_dump *dump); /* NULL is nothing */

/* One more key, in any order; may be known already. False without memory. */
bool kvi_mc_dump_add(mc_dump *dump, kivi_slice key);
/* There are no more. False without memory. */
bool kvi_mc_dump_sort(mc_dump *dump);
kivi_slice kvi_mc_dump_key(const mc_dump *dump, size_t index);
/* The last key that was given; empty: none yet. */
kivi_slice kvi_mc_dump_position(const mc_dump *dump);

/* ---- Dumps that scans will go on with ---- */

#define DUMPS_KEPT 4

/* Zeroed: none. Any thread. */
typedef struct mc_dumps {
    _Atomic(mc_dump *) kept[DUMPS_KEPT];
    atomic_uint turn;
} mc_dumps;

/* The dump that goes on there; NULL: it is not kept. It is the caller's. */
mc_dump *kvi_mc_dumps_take(mc_dumps *dumps, uint32_t place, kivi_slice prefix, kivi_slice after);
/* Keeps it, or frees it in place of another; takes it over. */
void kvi_mc_dumps_keep(mc_dumps *dumps, mc_dump *dump);
void kvi_mc_dumps_clear(mc_dumps *dumps);

#endif
