/* Random sequences of operations: one step, done by a store and by an oracle, and their answers. */
#ifndef CONFORMANCE_RANDOM_H
#define CONFORMANCE_RANDOM_H

#include "suite.h"

enum { KEYS = 60, VALUES = 48, MOST_OPS = 12, MOST_FACTS = 4 * KEYS };

typedef enum act {
    ACT_GET,
    ACT_EXISTS,
    ACT_SET,
    ACT_ADD,
    ACT_REPLACE,
    ACT_DELETE,
    ACT_COMPARE_AND_SET,
    ACT_COMPARE_AND_DELETE,
    ACT_INCREMENT,
    ACT_TAKE,
    ACT_GET_AND_EXPIRE,
    ACT_TTL,
    ACT_EXPIRE,
    ACT_PERSIST,
    ACT_UPDATE,
    ACT_GET_OR_SET,
    ACT_GET_MANY,
    ACT_SET_MANY,
    ACT_DELETE_MANY,
    ACT_APPLY,
    ACT_APPLY_ATOMIC,
    ACT_SCAN,
    ACT_COUNT,
    ACT_CLEAR,
    ACTS
} act;

/* One operation of a step; keys and values by their place in the tables. */
typedef struct deed {
    int32_t kind, condition;
    size_t key, value, expected;
    int64_t ttl_ms, by;
    bool asks_existed;
    bool current_version; /* for KIVI_IF_VERSION: the version it has before the step, else a made-up one */
} deed;

typedef struct step {
    act act;
    deed deeds[MOST_OPS]; /* the first alone for single keys */
    size_t count;
    kivi_update_action action;
    size_t prefix; /* for scan, count and clear: a place in the table of prefixes */
    uint64_t limit;
    uint32_t flags;
} step;

/* The tables: made once for a case. */
typedef struct tables {
    const char *codec;
    kivi_slice keys[KEYS];
    kivi_slice values[VALUES];
    kivi_slice prefixes[KEYS];
    size_t prefix_count;
} tables;

/* What is known of one item. */
typedef struct fact {
    kivi_status status;
    bool existed;
    int64_t integer, ttl_ms;
    size_t key;
    size_t offset, size; /* of its value, in the answer's bytes */
} fact;

typedef struct answer {
    kivi_status status;
    uint64_t number; /* counted, cleared, existed */
    fact facts[MOST_FACTS];
    size_t count;
    kivi_buffer bytes;
    char fault[256]; /* what breaks the contract whatever the oracle says */
} answer;

static inline kivi_slice fact_value(const answer *a, size_t index)
{
    return kivi_bytes(a->bytes.data ? a->bytes.data + a->facts[index].offset : NULL,
                      a->facts[index].size);
}

void answer_clear(answer *a);
fact *answer_add(answer *a, kivi_status status);
void answer_value(answer *a, fact *about, kivi_slice value);

/* random_store.c: a step done by a store. */
void store_perform(kivi_store *store, const tables *t, const step *what, answer *a);

/* model.c: a step done by the plainest store that can be thought of: an array. */
typedef struct model model;
model *model_new(const tables *t);
void model_free(model *m);
void model_perform(model *m, const step *what, answer *a);

/* ---- a sequence (random.c) ---- */

enum { REMEMBERED = 24 };

typedef struct sequence {
    subject *s;
    tables tables;
    model *model; /* one of these two is the oracle */
    kivi_store *memory;
    uint64_t seed, state, index;
    step steps[REMEMBERED];
    answer got, wanted;
} sequence;

/* random_tell.c: the seed, the last steps and both answers, for a person to read. */
void sequence_tell(const sequence *q, const char *what);

#endif
