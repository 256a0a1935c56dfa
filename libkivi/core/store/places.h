/* Places: of the callers that read, change and write one key through one handle, one at a time does so. */
#ifndef KVI_PLACES_H
#define KVI_PLACES_H

#include "../core.h"

/* A holder in a function of its caller's for longer is passed over where others wait: versions decide then. */
#define KVI_PLACE_NS (100 * KVI_MS)

/* An addition to an integer, which whoever holds the key's place may carry out for those in line. */
typedef struct kvi_addition {
    int64_t by, ttl_ms;
    int64_t value; /* answers */
    kivi_status status;
    kivi_error *error;
} kvi_addition;

/* Where a caller stands; under the mutex of the key's line, but that its own thread reads it at any time. */
enum {
    KVI_PLACE_NONE = 0,   /* it holds none: it goes by versions alone */
    KVI_PLACE_WAITS = 1,  /* in line */
    KVI_PLACE_HOLDS = 2,  /* first in line, and the place is its own */
    KVI_PLACE_SERVED = 3, /* the holder carries out its addition */
    KVI_PLACE_DONE = 4,   /* its addition has its answer */
    KVI_PLACE_CALLED = 5  /* in line, and the place is free for the first who comes */
};

/* A caller's place, in its own memory. */
typedef struct kvi_place {
    _Atomic uint32_t state; /* a futex */
    kivi_store *store;
    kivi_slice key; /* stored form */
    struct kvi_place *previous, *next;
    _Atomic uint64_t left_ns; /* since when the holder is in a function of its caller's; 0: it is not */
    uint32_t generation;      /* of forks: a child has no part in its parent's lines */
    bool wants_value;         /* it begins with the value that its forerunner wrote */
    bool has_value;
    kivi_buffer value;
    kvi_addition *addition;
    struct kvi_place *served; /* of a holder: whose additions it carries out; of those: the next */
    struct kvi_place *server;
    bool added_up;        /* of a holder: what it writes holds the additions of those it serves */
    _Atomic bool crowded; /* of a holder: others came */
    bool joined;          /* in line before a thread came for it */
    void (*told)(struct kvi_place *place); /* CALLED or DONE: asked instead of a thread that waits; holds the line's mutex */
    void *owner;
} kvi_place;

/*
 * Takes the key's place, waiting in line: OK, also where its addition is DONE; or why the call must end. Made inside a
 * function of the caller's it takes none. What the place names stays until kvi_place_give(). One that has joined the
 * line waits on from where it stands.
 */
kivi_status kvi_place_take(kvi_context *ctx, kvi_place *place, kivi_slice key);
/*
 * Puts a place with an addition in line for which no thread waits; place->told says when it is CALLED or DONE. True: it
 * is CALLED already. Whoever is CALLED has a thread come for it, or leaves. Another that comes first is quicker.
 */
bool kvi_place_join(kvi_place *place, kivi_store *store, kivi_slice key);
/* A thread has come for it and calls kvi_place_take(): nobody is told any more. False: it is DONE. */
bool kvi_place_come_for(kvi_place *place);
/* It leaves the line: `why`, UNCERTAIN where its addition may be written, or OK: it is DONE. */
kivi_status kvi_place_leave_line(kvi_place *place, kivi_status why);
/* For one that waits without a thread: passes over a holder that stays away for too long. */
void kvi_place_look(kvi_place *place);
/* Passes it on to whoever waits longest. `written`: what the key holds now, where that is known; it may be taken over. */
void kvi_place_give(kvi_place *place, kivi_buffer *written);
/* Around a function of the caller's, on its thread: what is called in it takes no place. */
void kvi_go_inside(void);
void kvi_come_back(void);
bool kvi_is_inside(void);
/* The same for a place that is held meanwhile. */
void kvi_place_leave(kvi_place *place, uint64_t now);
void kvi_place_return(kvi_place *place);
/* Whether it was passed on meanwhile. */
static inline bool kvi_place_is_lost(const kvi_place *place)
{
    return atomic_load_explicit(&place->state, memory_order_relaxed) == KVI_PLACE_NONE;
}

/* The additions that wait are the holder's from here on; adds all up from `start`: whether there is a sum to write. */
bool kvi_place_add_up(kvi_place *place, int64_t start, int64_t *sum, int64_t *ttl_ms);
/* Nothing was written: what was added up will be again. */
void kvi_place_forget_sum(kvi_place *place);
/* What became of the write: the additions that were added up have their answer, but its holder's. */
void kvi_place_answer(kvi_place *place, kivi_status status, const kivi_error *error);
/* It could not be tried: those whose additions it has wait again, first in line. */
void kvi_place_put_back(kvi_place *place);

kvi_places *kvi_places_new(void);
void kvi_places_free(kvi_places *places);
/* In a child of a fork: nobody stands in line. */
void kvi_places_forget(kvi_places *places);

#endif
