/* The table of verbs. */
#include "verbs.h"

#define PLAIN .shape = KVI_SHAPE_READ, .flags = KVI_CHANGES_NOTHING
#define WRITES .shape = KVI_SHAPE_WRITE
#define SETS WRITES, .op_kind = KIVI_OP_SET
#define SET_FLAGS KVI_HAS_VALUE | KVI_HAS_TTL | KVI_MAY_KEEP_TTL
#define COMPARES KVI_HAS_EXPECTED | KVI_COMPARES
#define BATCH .shape = KVI_SHAPE_BATCH
#define WHOLE .shape = KVI_SHAPE_WHOLE

static const kvi_verb_info verbs[] = {
    [KIVI_VERB_GET] = {"get", PLAIN, .want = KIVI_WANT_VALUE},
    [KIVI_VERB_GET_VERSIONED] = {"get_versioned", PLAIN, .want = KIVI_WANT_VALUE | KIVI_WANT_VERSION},
    [KIVI_VERB_EXISTS] = {"exists", PLAIN},
    [KIVI_VERB_TTL] = {"ttl", PLAIN, .want = KIVI_WANT_EXPIRY},
    [KIVI_VERB_SET] = {"set", SETS, .flags = SET_FLAGS},
    [KIVI_VERB_ADD] = {"add", SETS, .flags = SET_FLAGS, .condition = KIVI_IF_ABSENT},
    [KIVI_VERB_REPLACE] = {"replace", SETS, .flags = SET_FLAGS, .condition = KIVI_IF_PRESENT},
    [KIVI_VERB_DELETE] = {"delete", WRITES, .flags = KVI_SAYS_EXISTED, .op_kind = KIVI_OP_DELETE},
    [KIVI_VERB_COMPARE_AND_SET] = {"compare_and_set", SETS, .flags = SET_FLAGS | COMPARES,
                                   .condition = KIVI_IF_EQUAL},
    [KIVI_VERB_COMPARE_AND_DELETE] = {"compare_and_delete", WRITES, .flags = COMPARES,
                                      .op_kind = KIVI_OP_DELETE, .condition = KIVI_IF_EQUAL},
    [KIVI_VERB_INCREMENT] = {"increment", WRITES, .flags = KVI_HAS_TTL,
                             .needs = KIVI_BACKEND_INCREMENTS, .op_kind = KIVI_OP_INCREMENT},
    [KIVI_VERB_TAKE] = {"take", .shape = KVI_SHAPE_READ, .needs = KIVI_BACKEND_TAKES,
                        .want = KIVI_WANT_VALUE, .then = KIVI_THEN_DELETE},
    [KIVI_VERB_GET_AND_EXPIRE] = {"get_and_expire", .shape = KVI_SHAPE_READ, .flags = KVI_HAS_TTL,
                                  .needs = KIVI_BACKEND_TOUCHES, .want = KIVI_WANT_VALUE,
                                  .then = KIVI_THEN_TOUCH},
    [KIVI_VERB_EXPIRE] = {"expire", WRITES, .flags = KVI_HAS_TTL, .op_kind = KIVI_OP_TOUCH},
    [KIVI_VERB_PERSIST] = {"persist", WRITES, .op_kind = KIVI_OP_TOUCH},
    [KIVI_VERB_GET_MANY] = {"get_many", BATCH},
    [KIVI_VERB_SET_MANY] = {"set_many", BATCH},
    [KIVI_VERB_DELETE_MANY] = {"delete_many", BATCH},
    [KIVI_VERB_APPLY] = {"apply", BATCH},
    [KIVI_VERB_PAGE] = {"page", WHOLE},
    [KIVI_VERB_COUNT] = {"count", WHOLE},
    [KIVI_VERB_CLEAR] = {"clear", WHOLE},
    [KIVI_VERB_HEALTH] = {"health", WHOLE},
    [KIVI_VERB_DESCRIBE] = {"describe", WHOLE},
    [KIVI_VERB_TAKE_BEGIN] = {"take", PLAIN, .want = KIVI_WANT_VALUE | KIVI_WANT_VERSION},
    [KIVI_VERB_TAKE_END] = {"take", WRITES, .flags = KVI_HAS_EXPECTED, .op_kind = KIVI_OP_DELETE,
                            .condition = KIVI_IF_VERSION},
    [KIVI_VERB_GET_AND_EXPIRE_BEGIN] = {"get_and_expire", .shape = KVI_SHAPE_READ,
                                        .flags = KVI_CHANGES_NOTHING | KVI_HAS_TTL,
                                        .want = KIVI_WANT_VALUE | KIVI_WANT_VERSION},
    [KIVI_VERB_GET_AND_EXPIRE_END] = {"get_and_expire", WRITES, .flags = KVI_HAS_EXPECTED | KVI_HAS_TTL,
                                      .op_kind = KIVI_OP_TOUCH, .condition = KIVI_IF_VERSION},
};

const kvi_verb_info *kvi_verb_find(int32_t verb)
{
    bool known = verb > 0 && (size_t)verb < sizeof(verbs) / sizeof(verbs[0]) && verbs[verb].name;
    return known ? &verbs[verb] : NULL;
}
