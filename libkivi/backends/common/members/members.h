/* A session of several servers: a pipeline for each, items by their places, and servers that fail alone. */
#ifndef KVI_MEMBERS_H
#define KVI_MEMBERS_H

#include "net_set.h"
#include "pipeline.h"

#include <stdatomic.h>

/*
 * Which server an item of a vector is for is its place, which the owner says. A server that refuses, breaks or says nothing
 * fails its own items; those of the others go on, and the verb is OK. One that refused, or said nothing for `silence_ns`, is
 * away: until `retry_ns` later its items fail at once (UNAVAILABLE, RETRY_LATER), in every session of the store.
 *
 * Of a single server a failure is the verb's, and nothing of this is done: it costs what its pipeline costs.
 */

/* What the sessions of a store share. Lies in its instance. */
typedef struct kvi_members_rules {
    const kivi_host *core;
    size_t count;                 /* at first */
    _Atomic uint64_t *away_until; /* of each: CLOCK_MONOTONIC in ns; 0: never was */
    uint64_t silence_ns, retry_ns;
    bool comes_and_goes; /* servers do (kvi_members_grow), so that one is treated as several are */
} kvi_members_rules;

/* One server of a session. Fields are for reading. */
typedef struct kvi_member {
    kvi_pipeline *pipeline; /* NULL: none now, and no item has its place */
    const uint32_t *items; /* of the vector in flight that are its own, in their order; NULL: all are */
    size_t count;
    bool active; /* the verb in flight waits for it */
    /* when something moved last, and how far it was */
    uint64_t moved_ns;
    struct {
        uint64_t sent, received;
        size_t answered;
        uint32_t closings;
        int state;
    } mark;
} kvi_member;

typedef struct kvi_members {
    const kvi_members_rules *rules;
    kvi_member *all;
    size_t count;
    kvi_net_set set;
    kivi_read_vector *reads; /* the verb in flight */
    kivi_write_vector *writes;
    uint32_t *places, *order; /* of each item; items by place */
    size_t room, active;
} kvi_members;

/* False without memory: clear it all the same. */
bool kvi_members_init(kvi_members *members, const kvi_members_rules *rules);
/* A server's pipeline, made, freed and abandoned by the owner; its protocol has kvi_members_owns() behind `owns`. */
void kvi_members_put(kvi_members *members, size_t index, kvi_pipeline *pipeline);
/* Between verbs, where servers come and go: so many at least, whose pipeline is NULL until one is put there. One that goes is
 * put NULL before its pipeline is freed. False without memory. `away_until` has room for as many. */
bool kvi_members_grow(kvi_members *members, size_t count);
void kvi_members_free(kvi_members *members);
/* In a child of a fork, as kvi_net_abandon(). */
void kvi_members_abandon(kvi_members *members, bool whole);

/* Room for the place of each of so many items, to be filled in before a verb; NULL without memory. An item that is left out
 * is at KVI_NOWHERE. */
#define KVI_NOWHERE UINT32_MAX
uint32_t *kvi_members_places(kvi_members *members, size_t count);

/* Begins a verb over one vector, on the servers that have items in it: answers as the verbs and step() of kivi_backend do. */
kivi_status kvi_members_begin(kvi_members *members, kivi_read_vector *reads,
                              kivi_write_vector *writes, kivi_error **error);
/* Begins a verb without a vector, such as a scan, on one server: a failure is the verb's. */
kivi_status kvi_members_begin_on(kvi_members *members, size_t index, kivi_error **error);
/* The same on every server that has a pipeline, such as to ask how they are: the first failure is the verb's. */
kivi_status kvi_members_begin_on_all(kvi_members *members, kivi_error **error);
kivi_status kvi_members_step(kvi_members *members, uint32_t revents, kivi_poll *poll, kivi_error **error);

/* All sessions leave the server alone from now on, and whether they do. */
void kvi_members_send_away(kvi_members *members, size_t index);
bool kvi_members_is_away(const kvi_members *members, size_t index);

/* ---- For the functions of a protocol ---- */

static inline bool kvi_members_is_one(const kvi_members *members)
{
    return members->count == 1 && !members->rules->comes_and_goes;
}

static inline bool kvi_members_owns(const kvi_members *members, size_t index, size_t item)
{
    return kvi_members_is_one(members) || members->places[item] == index;
}
static inline uint32_t kvi_member_item(const kvi_member *member, size_t at)
{
    return member->items ? member->items[at] : (uint32_t)at;
}

#endif
