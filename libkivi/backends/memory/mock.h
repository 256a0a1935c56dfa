/* What goes wrong with a vector, decided before it is served. */
#ifndef KVI_MEMORY_MOCK_H
#define KVI_MEMORY_MOCK_H

#include <kivi/backend.h>

struct memory_instance;

typedef enum memory_verb { VERB_READ, VERB_WRITE, VERB_SCAN, VERB_COUNT, VERB_HEALTH } memory_verb;

/* One call of a verb: what it was given. */
typedef struct memory_job {
    memory_verb verb;
    kivi_read_vector *reads;
    kivi_write_vector *writes;
    const kivi_scan_range *range;
    kivi_scan_sink *sink;
    kivi_count *count;
} memory_job;

/* What becomes of an item. */
enum {
    FATE_SERVE = 0,
    FATE_FAIL,   /* fails alone, with fail_status */
    FATE_REFUSE, /* fails alone, with KIVI_INVALID */
    FATE_BUSY,   /* fails alone, with KIVI_BUSY */
    FATE_LEAVE,  /* stays pending, to be asked again */
    FATE_LOSE,   /* was sent, and never applied */
    FATE_ABORT,  /* another item of its atomic vector fails */
    FATE_SILENCE /* its server never answers, while others do */
};

typedef struct memory_plan {
    bool fails;     /* the verb, before anything is applied: with the mock's failure */
    bool refused;   /* the verb, to be halved */
    bool hangs;     /* it never answers */
    bool silent;    /* some items never get an answer, after the others have theirs */
    bool uncertain; /* the verb, after items were served or lost */
    uint64_t delay_ns;
    uint8_t *fates; /* one an item; NULL: all are served */
    uint8_t few[32];
} memory_plan;

/* Items of a job; 0 for one without a vector. */
size_t kvi_job_count(const memory_job *job);
bool kvi_job_is_atomic(const memory_job *job);

/* Decides. A failure is one of the core's (a vector over the limits that were declared) or NO_MEMORY. */
kivi_status kvi_plan_make(struct memory_instance *instance, const memory_job *job,
                          memory_plan *plan, kivi_error **error);
void kvi_plan_clear(memory_plan *plan);
/* Completes an item whose fate is to fail or to be aborted; nothing with others. */
void kvi_plan_fail_item(const struct memory_instance *instance, const memory_job *job,
                        const memory_plan *plan, size_t index);
/* The failure of a whole verb, as planned (fails or refused). */
kivi_status kvi_plan_fail(const struct memory_instance *instance, const memory_plan *plan,
                          kivi_error **error);
/* The failure of a verb that was cut off in flight. */
kivi_status kvi_plan_cut(kivi_error **error);

/* What is said of the servers as a whole. */
kivi_status kvi_mock_health(const struct memory_instance *instance, kivi_error **error);

/* A number of the instance's random sequence below `limit` (at least 1). */
uint64_t kvi_random_below(struct memory_instance *instance, uint64_t limit);

#endif
