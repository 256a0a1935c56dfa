/* The memory backend's inside: an instance, its sessions, and the verbs over vectors. */
#ifndef KVI_MEMORY_H
#define KVI_MEMORY_H

#include "../../core/base/platform.h"
#include "mock.h"
#include "settings.h"
#include "space.h"

/* All that this backend may call of the core; set before anything else runs. */
extern const kivi_host *kvi_memory_host;
/* The error of an item or verb that failed with a status of the store's own. */
kivi_error *kvi_memory_error(kivi_status status);

typedef struct memory_instance {
    memory_space *space;
    memory_settings settings;
    void *reporter;
    atomic_uint_fast64_t random; /* see mock.c */
    atomic_bool met;             /* a read without a session has logged in */
    atomic_size_t hung;          /* vectors that began to hang */
} memory_instance;

/* What became of one item, until it is told: a read's record is held until then. */
typedef struct memory_answer {
    kivi_status status; /* KIVI_PENDING: not served */
    bool existed;
    int64_t ttl_ms;        /* read: time left */
    memory_record *record; /* read: what was found. Write: what is to be put in place */
} memory_answer;

/* Whether an item is to be served; NULL picks all. */
static inline bool fate_serves(const uint8_t *fates, size_t index)
{
    return !fates || fates[index] == FATE_SERVE;
}

/* Answers for `count` items, all pending: `few` where it is large enough. NULL without memory. */
memory_answer *kvi_answers_new(size_t count, memory_answer *few, size_t few_count);
/* Frees them, with the records that they still hold. */
void kvi_answers_free(memory_answer *answers, size_t count, const memory_answer *few);

/* ---- promise.c ---- */

/* Fills in what open says. */
void kvi_memory_promise(memory_instance *memory, kivi_instance *instance);
/* Tells the core what a login learns. */
kivi_status kvi_memory_learn(const memory_instance *memory, kivi_error **error);

/* ---- read.c ---- */

/* Looks up the items whose fate is to be served, at one moment, and keeps what is found in `answers`. */
void kvi_memory_look(memory_instance *instance, kivi_read_vector *vector, const uint8_t *fates,
                     memory_answer *answers);
/* Hands an answer to the vector's receiver, with no lock held, and completes the item. */
void kvi_memory_tell(const memory_instance *instance, kivi_read_vector *vector,
                     kivi_read_item *item, memory_answer *answer);
/* A read with nothing of the mock in it. */
kivi_status kvi_memory_read(memory_instance *instance, kivi_read_vector *vector, kivi_error **error);

/* ---- write.c ---- */

/*
 * Writes the items whose fate is to be served; what became of each is in `answers`, not yet in the items.
 * Any other status than OK: nothing was applied.
 */
kivi_status kvi_memory_apply(memory_instance *instance, kivi_write_vector *vector,
                             const uint8_t *fates, memory_answer *answers, kivi_error **error);
/* Completes an item. */
void kvi_memory_confirm(kivi_write_item *item, const memory_answer *answer);
kivi_status kvi_memory_write(memory_instance *instance, kivi_write_vector *vector, kivi_error **error);
/* The last ms of a TTL that begins now: it ends on a multiple of the store's resolution. 0: never. */
int64_t kvi_memory_expiry(const memory_instance *instance, int64_t ttl_ms);

/* ---- scan.c ---- */

kivi_status kvi_memory_scan(memory_instance *instance, const kivi_scan_range *range,
                            kivi_scan_sink *sink, kivi_error **error);
/* `wait` NULL: to the end. */
kivi_status kvi_memory_count(memory_instance *instance, kivi_count *count, kivi_wait *wait,
                             kivi_error **error);

/* A verb without items: a scan, a count or the health. `wait` as of kvi_memory_count. */
kivi_status kvi_memory_ask(memory_instance *instance, const memory_job *job, kivi_wait *wait,
                           kivi_error **error);

/* ---- session.c ---- */

/* How far an item gets in which step: from 1; see stepped.c. */
typedef struct memory_course {
    uint16_t partly, wholly, done;
} memory_course;

/* A lane's session. What follows `broken` is the verb in flight of a stepped one. */
typedef struct memory_session {
    memory_instance *instance;
    kvi_timer timer; /* stepped; blocking where it may wait: its flag alone, which wakes the waiting verb; else closed */
    bool logged_in;
    bool logs_in; /* stepped: the step to come is the login's */
    bool broken;  /* failed as a connection does: must not be used again */
    bool active;
    memory_job job;
    memory_plan plan;
    memory_answer *answers;
    memory_course *courses;
    uint8_t *picked; /* fates of one step: FATE_SERVE for what is served in it */
    uint64_t step, steps, step_ns;
} memory_session;

kivi_status kvi_session_open(memory_instance *instance, memory_session **session, kivi_error **error);
void kvi_session_close(memory_session *session);
/* Forgets the verb in flight, if there is one: what was applied stays so. */
void kvi_session_forget(memory_session *session);
void kvi_session_abandon(memory_session *session, bool in_verb);
/* Makes a blocking verb that waits return; any thread. */
void kvi_session_interrupt(memory_session *session);
/* Fails when the session broke before: it should have been closed. */
kivi_status kvi_session_check(const memory_session *session, kivi_error **error);
/* Notes how a verb ended; NULL is nothing. */
void kvi_session_note(memory_session *session, kivi_status status);

/* ---- blocking.c, stepped.c ---- */

/* A verb of the mock, done before it answers. `session` NULL: a shared read. */
kivi_status kvi_blocking_serve(memory_instance *instance, memory_session *session,
                               const memory_job *job, kivi_wait *wait, kivi_error **error);
/* Begins a verb that answers in steps. */
kivi_status kvi_stepped_begin(memory_session *session, const memory_job *job, kivi_error **error);
kivi_status kvi_stepped_go_on(memory_session *session, kivi_poll *poll, kivi_error **error);

#endif
