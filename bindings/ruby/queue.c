/* Calls of fibers: submitted to the queue of their thread's scheduler, taken by whichever fiber reads it (lib/kivi/loop.rb). */
#include <ruby/fiber/scheduler.h>

#include "kvr.h"

enum { TAKEN = 64 };

/* Kivi::Core::Queue */
typedef struct queue_object {
    kvb_queue *queue;
    kvb_answer *dropped; /* in flight, and nobody waits for them any more */
} queue_object;

/* Kivi::Core::Pending: what a fiber waits for. In flight, it is its answer's `object`. */
typedef struct pending_object {
    kvb_answer *answer; /* NULL: it is over */
    kvb_queue *queue;   /* held; its host is the queue_object, NULL when that is gone */
    VALUE self;
    bool done;
} pending_object;

/* ---- queues ---- */

static void give_dropped(queue_object *self)
{
    while (self->dropped) {
        kvb_answer *answer = self->dropped;
        self->dropped = answer->next;
        kvb_answer_give(answer);
    }
}

static void queue_free(void *memory)
{
    queue_object *self = memory;
    if (self->queue) {
        self->queue->host = NULL;
        kvb_queue_close(self->queue);
        kvb_queue_unref(self->queue);
    }
    give_dropped(self);
    xfree(self);
}

KVR_TYPE(queue_type, "Kivi::Core::Queue", NULL, queue_free);

static VALUE queue_alloc(VALUE class)
{
    queue_object *self;
    return TypedData_Make_Struct(class, queue_object, &queue_type, self);
}

static VALUE queue_initialize(VALUE object)
{
    queue_object *self = rb_check_typeddata(object, &queue_type);
    kivi_error *error = NULL;
    self->queue = kvb_queue_new(&error);
    if (!self->queue)
        kvr_raise(error ? kivi_error_status(error) : KIVI_NO_MEMORY, error);
    self->queue->host = self;
    return object;
}

static VALUE queue_descriptor(VALUE object)
{
    const queue_object *self = rb_check_typeddata(object, &queue_type);
    return INT2NUM(kivi_queue_descriptor(self->queue->queue));
}

static VALUE queue_count(VALUE object)
{
    const queue_object *self = rb_check_typeddata(object, &queue_type);
    return SIZET2NUM(kivi_queue_count(self->queue->queue));
}

static void forget(queue_object *self, kvb_answer *answer)
{
    for (kvb_answer **at = &self->dropped; *at; at = &(*at)->next) {
        if (*at != answer)
            continue;
        *at = answer->next;
        break;
    }
    kvb_answer_give(answer);
}

/* The Pending objects that are done now. */
static VALUE queue_take(VALUE object)
{
    queue_object *self = rb_check_typeddata(object, &queue_type);
    kvb_answer *answers[TAKEN];
    VALUE found[TAKEN];
    long count = 0;
    size_t taken = kvb_queue_take(self->queue, answers, TAKEN);
    for (size_t i = 0; i < taken; i++) {
        pending_object *waits = answers[i]->object;
        if (!waits) {
            forget(self, answers[i]);
            continue;
        }
        waits->done = true;
        found[count++] = waits->self;
    }
    return rb_ary_new_from_values(count, found);
}

/* ---- what a fiber waits for ---- */

/* Nobody waits for it any more: what comes of it is given back when it is taken. */
static void pending_drop(pending_object *self)
{
    kvb_answer *answer = self->answer;
    queue_object *owner = self->queue ? self->queue->host : NULL;
    self->answer = NULL;
    if (!answer)
        return;
    answer->object = NULL;
    if (self->done || !owner) {
        kvb_answer_give(answer);
        return;
    }
    kivi_queue_cancel(owner->queue->queue, answer->ticket);
    answer->next = owner->dropped;
    owner->dropped = answer;
}

static void pending_free(void *memory)
{
    pending_object *self = memory;
    pending_drop(self);
    kvb_queue_unref(self->queue);
    xfree(self);
}

static void pending_compact(void *memory)
{
    pending_object *self = memory;
    self->self = rb_gc_location(self->self);
}

static const rb_data_type_t pending_type = {"Kivi::Core::Pending",
                                            {NULL, pending_free, NULL, pending_compact, {0}},
                                            NULL,
                                            NULL,
                                            RUBY_TYPED_FREE_IMMEDIATELY};

static VALUE pending_is_done(VALUE object)
{
    const pending_object *self = rb_check_typeddata(object, &pending_type);
    return self->done ? Qtrue : Qfalse;
}

bool kvb_host_pending(kvb_answer *answer)
{
    (void)answer; /* whoever waits for it makes what it waits with */
    return true;
}

void kvr_find_queue(const kvb_store *store, kvr_frame *frame)
{
    queue_object *self;
    if (store->can.local || NIL_P(rb_fiber_scheduler_current()))
        return;
    frame->loop = rb_funcall(kvr.Loop, kvr.here, 0);
    self = rb_check_typeddata(rb_ivar_get(frame->loop, kvr.queue), &queue_type);
    frame->queue = self->queue;
}

typedef struct waiting {
    VALUE loop, pending;
} waiting;

static VALUE wait_in_loop(VALUE given)
{
    const waiting *what = (const waiting *)given;
    return rb_funcall(what->loop, kvr.wait, 1, what->pending);
}

void kvr_pending_wait(kvb_answer *answer, const kvr_frame *frame)
{
    queue_object *owner = frame->queue->host;
    waiting what = {frame->loop, Qnil};
    pending_object *self;
    int state;
    answer->next = owner->dropped; /* until somebody waits for it */
    owner->dropped = answer;
    what.pending = TypedData_Make_Struct(kvr.Pending, pending_object, &pending_type, self);
    owner->dropped = answer->next;
    answer->next = NULL;
    self->answer = answer;
    self->queue = kvb_queue_ref(frame->queue);
    self->self = what.pending;
    answer->object = self;
    rb_protect(wait_in_loop, (VALUE)&what, &state);
    if (state) {
        pending_drop(self);
        rb_jump_tag(state);
    }
    self->answer = NULL;
    answer->object = NULL;
    RB_GC_GUARD(what.pending);
}

void kvr_queue_ready(void)
{
    rb_define_alloc_func(kvr.Queue, queue_alloc);
    rb_define_method(kvr.Queue, "initialize", queue_initialize, 0);
    rb_define_method(kvr.Queue, "descriptor", queue_descriptor, 0);
    rb_define_method(kvr.Queue, "count", queue_count, 0);
    rb_define_method(kvr.Queue, "take", queue_take, 0);
    rb_undef_alloc_func(kvr.Pending);
    rb_define_method(kvr.Pending, "done?", pending_is_done, 0);
}
