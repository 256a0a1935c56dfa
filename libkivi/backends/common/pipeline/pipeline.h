/* Commands in flight on one connection: told and answered in their order; the connection's life around them. */
#ifndef KVI_PIPELINE_H
#define KVI_PIPELINE_H

#include "net.h"

/* ---- Commands ---- */

/* One command that was queued, in the order of replies. First member of what a protocol keeps of it. */
typedef struct kvi_command {
    uint64_t begin, end; /* its place in what was queued */
    uint32_t item, count; /* what it is for: of the vector, or places in pipeline.order where `listed` */
    uint8_t kind;         /* the protocol's */
    bool listed;
    bool more; /* another command of the same items follows: they have not left whole with this one */
    bool unasked; /* is for no item: of a login, a look-up */
} kvi_command;

/* What a protocol took of the bytes that have come. */
typedef struct kvi_portion {
    size_t used; /* are consumed */
    size_t need; /* with PENDING: so many will be wanted together; 0: not known */
    bool last;   /* the command has its whole reply */
} kvi_portion;

/*
 * A protocol: static. `owner` is as in kvi_pipeline_init(). Functions answer a failure with an error; it closes the
 * connection and ends the verb.
 */
typedef struct kvi_protocol {
    size_t command_size; /* of its struct that begins with kvi_command */
    /* Queues the first commands of a login; NULL: there is none. */
    kivi_status (*login)(void *owner, kivi_error **error);
    /* Its replies are there. OK: logged in; PENDING: another round was queued. */
    kivi_status (*login_end)(void *owner, kivi_error **error);
    /* Queues the first commands of the verb; with none it is done. */
    kivi_status (*begin)(void *owner, kivi_error **error);
    /* Takes a portion of the reply to `command`. OK; PENDING: more must come. */
    kivi_status (*reply)(void *owner, kvi_command *command, const uint8_t *bytes, size_t size,
                         kvi_portion *portion, kivi_error **error);
    /* All replies are there. OK: the verb is done; PENDING: another round was queued. */
    kivi_status (*end)(void *owner, kivi_error **error);
    /* Of several pipelines over one vector: whether the item is this one's; NULL: all are. */
    bool (*owns)(void *owner, size_t index);
    /* What an answer is called that cannot be one (CORRUPT), in the errors of changes it leaves open. */
    const char *breach;
    /* The server reads a command to its end whatever it answered before: such an answer is taken when the command has left.
     * Else it ends the connection. */
    bool reads_on;
} kvi_protocol;

/* ---- A connection and its commands ---- */

typedef enum kvi_phase {
    KVI_PHASE_CLOSED = 0,
    KVI_PHASE_CONNECTING,
    KVI_PHASE_LOGIN,
    KVI_PHASE_READY
} kvi_phase;

/* Lies in its owner's memory; fields are for reading, but `order`. */
typedef struct kvi_pipeline {
    const kvi_protocol *protocol;
    void *owner, *reporter;
    kvi_phase phase;
    kvi_net net;
    uint64_t used_ns; /* when it was used last */
    /* the verb in flight; a scan, or a look-up, has neither vector */
    bool busy;
    kivi_read_vector *reads;
    kivi_write_vector *writes;
    const uint32_t *order; /* items that `listed` commands name */
    /* commands queued; those before `answered` have their reply, those before `told` are known to have left */
    uint8_t *commands;
    size_t count, room, answered, told;
    bool behind;    /* not all that has come was taken yet */
    bool held;      /* an answer has come whose command has not left whole */
    bool condemned; /* the server wants this connection no more: the verb ends with `verdict` */
    kivi_status verdict;
} kvi_pipeline;

void kvi_pipeline_init(kvi_pipeline *pipeline, const kvi_protocol *protocol, void *owner,
                       const kvi_net_target *target, void *reporter);
void kvi_pipeline_free(kvi_pipeline *pipeline);
/* In a child of a fork, as kvi_net_abandon(). */
void kvi_pipeline_abandon(kvi_pipeline *pipeline, bool whole);

/* Whether a verb can begin at once: it is logged in, and still there. One that is not is closed, which is reported. */
bool kvi_pipeline_is_ready(kvi_pipeline *pipeline);
/* Begins a verb, connecting first where that is needed: answers as the verbs and step() of kivi_backend do. */
kivi_status kvi_pipeline_begin(kvi_pipeline *pipeline, kivi_read_vector *reads,
                               kivi_write_vector *writes, kivi_error **error);
kivi_status kvi_pipeline_step(kvi_pipeline *pipeline, uint32_t revents, kivi_poll *poll,
                              kivi_error **error);
/* Its owner waits no more: the verb in flight, if any, ends as where the connection broke. */
void kvi_pipeline_give_up(kvi_pipeline *pipeline);

/* ---- For the functions of a protocol ---- */

static inline void *kvi_pipeline_command(const kvi_pipeline *pipeline, size_t index)
{
    return pipeline->commands + index * pipeline->protocol->command_size;
}
/* Makes room for one more; false without memory. */
bool kvi_pipeline_grow(kvi_pipeline *pipeline);
/*
 * A new command, filled in and without flags; what a protocol keeps besides is its own to set. NULL without memory.
 * What the command says is put into `net`.
 */
static inline void *kvi_pipeline_add(kvi_pipeline *pipeline, uint8_t kind, uint32_t item, uint32_t count)
{
    kvi_command *command;

    if (pipeline->count == pipeline->room && !kvi_pipeline_grow(pipeline))
        return NULL;
    command = kvi_pipeline_command(pipeline, pipeline->count);
    *command = (kvi_command){.begin = pipeline->net.queued, .item = item, .count = count, .kind = kind};
    return command;
}
/* In `end`, before another round is queued: the one before is over, and nothing of it will be read again. */
void kvi_pipeline_renew(kvi_pipeline *pipeline);
/* All of it is queued. */
static inline kvi_command *kvi_pipeline_added(kvi_pipeline *pipeline)
{
    kvi_command *command = kvi_pipeline_command(pipeline, pipeline->count++);

    command->end = pipeline->net.queued;
    return command;
}
/* The server wants the connection no more: once all replies are there the verb ends with the first status given. */
static inline void kvi_pipeline_condemn(kvi_pipeline *pipeline, kivi_status verdict)
{
    if (!pipeline->condemned)
        pipeline->verdict = verdict;
    pipeline->condemned = true;
}

#endif
