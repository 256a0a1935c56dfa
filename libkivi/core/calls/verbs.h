/* What is known of each verb of a request. */
#ifndef KVI_VERBS_H
#define KVI_VERBS_H

#include "../base/base.h"

typedef enum kvi_verb_shape {
    KVI_SHAPE_READ = 1, /* one key: an item of a read vector */
    KVI_SHAPE_WRITE,    /* one key: an item of a write vector */
    KVI_SHAPE_BATCH,    /* `count` keys or operations */
    KVI_SHAPE_WHOLE     /* the store, or keys under a prefix */
} kvi_verb_shape;

enum {
    KVI_CHANGES_NOTHING = 1 << 0, /* of those that read a key: no more than that */
    KVI_HAS_VALUE = 1 << 1,
    KVI_HAS_TTL = 1 << 2,
    KVI_MAY_KEEP_TTL = 1 << 3, /* KIVI_TTL_KEEP is allowed */
    KVI_HAS_EXPECTED = 1 << 4, /* the value, or the version, that its condition is about */
    KVI_COMPARES = 1 << 5,     /* by tokens where the bytes differ */
    KVI_SAYS_EXISTED = 1 << 6  /* where KIVI_OP_WANT_EXISTED asks for it */
};

typedef struct kvi_verb_info {
    const char *name; /* the word of the vocabulary: "get" */
    kvi_verb_shape shape;
    uint32_t flags;
    uint32_t needs; /* KIVI_BACKEND_*: without it the core composes the call, which is no single item then */
    /* of the item */
    uint32_t want;              /* KIVI_WANT_* */
    int32_t then;               /* kivi_then */
    int32_t op_kind, condition; /* kivi_op_kind, kivi_condition */
} kvi_verb_info;

/* NULL: no such verb. */
const kvi_verb_info *kvi_verb_find(int32_t verb);

#endif
