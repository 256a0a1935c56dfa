/*
 * Calls that ask a block. The call runs on a thread of its own, the block on the thread that called: an exception, break
 * or throw in it unwinds Ruby's frames alone, never those of the library.
 */
#include <pthread.h>
#include <ruby/io.h>
#include <ruby/thread.h>
#include <signal.h>
#include <unistd.h>

#include "base/platform.h"
#include "kvr.h"

typedef struct work {
    kvb_answer *answer;
    kivi_call call;
    int stop;       /* atomic: the call is to end */
    kvi_flag event; /* raised when the call asks or is done */
    VALUE io;       /* the same, for Ruby */
    pthread_mutex_t lock;
    pthread_cond_t turn;
    bool asked, done; /* under the lock, as what follows */
    const kivi_slice *current;
    kivi_buffer *next;
    kivi_update_action *action;
    const kivi_copy_progress *progress;
    kivi_status reply;
    /* the Ruby thread's own */
    VALUE latest; /* what the key holds if the last computation is written */
    int state;    /* what Ruby raised */
} work;

/* ---- on the call's thread ---- */

static int is_stopped(void *user)
{
    return __atomic_load_n(&((work *)user)->stop, __ATOMIC_RELAXED);
}

static void tell(const work *self)
{
    kvi_flag_raise(&self->event);
}

static void *perform(void *user)
{
    work *self = user;
    kvb_perform(self->answer, &self->call);
    pthread_mutex_lock(&self->lock);
    self->done = true;
    tell(self);
    pthread_cond_signal(&self->turn);
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static kivi_status ask(work *self)
{
    kivi_status reply;
    pthread_mutex_lock(&self->lock);
    self->asked = true;
    tell(self);
    pthread_cond_signal(&self->turn);
    while (self->asked)
        pthread_cond_wait(&self->turn, &self->lock);
    reply = self->reply;
    pthread_mutex_unlock(&self->lock);
    return reply;
}

kivi_status kvb_host_compute(kvb_answer *answer, const kivi_slice *current, kivi_buffer *next,
                             kivi_update_action *action)
{
    work *self = answer->object;
    self->current = current;
    self->next = next;
    self->action = action;
    return ask(self);
}

int kvb_host_progress(kvb_answer *answer, const kivi_copy_progress *progress)
{
    work *self = answer->object;
    self->progress = progress;
    return ask(self) != KIVI_OK;
}

/* ---- on Ruby's thread: the block ---- */

static void write_computed(work *self, VALUE made)
{
    kvb_store *store = self->answer->store;
    kvr_frame frame;
    kvb_encoder *encoder;
    kivi_status status;
    kvr_begin(&frame);
    frame.about = self->answer->request.key;
    encoder = kvr_value_in(store, made, &frame);
    status = kivi_buffer_append(self->next, kivi_buffer_slice(&encoder->bytes));
    kvb_encoder_give(store, encoder);
    if (status)
        rb_memerror();
}

static void compute(work *self)
{
    kvb_answer *answer = self->answer;
    VALUE block = (VALUE)answer->function, current = Qnil, made;
    if (answer->request.verb == KVB_VERB_GET_OR_SET) {
        made = rb_funcall(block, kvr.call, 0);
        if (made == kvr.LEAVE)
            *self->action = KIVI_UPDATE_LEAVE;
        else
            write_computed(self, made);
        return;
    }
    if (self->current)
        current = kvr_read(kvr_config_of(answer->store), kvb_answer_reader(answer), *self->current,
                           answer->request.key);
    made = rb_funcall(block, kvr.call, 1, current);
    if (made == kvr.LEAVE) {
        *self->action = KIVI_UPDATE_LEAVE;
        self->latest = current;
    } else if (made == kvr.DELETE) {
        *self->action = KIVI_UPDATE_DELETE;
        self->latest = Qnil;
    } else {
        write_computed(self, made);
        self->latest = made;
    }
}

static VALUE run_block(VALUE given)
{
    work *self = (work *)given;
    if (self->answer->request.verb != KVB_VERB_COPY)
        compute(self);
    else
        rb_funcall((VALUE)self->answer->function, kvr.call, 1,
                   kvr_copied_out(self->progress, self->progress->cursor));
    return Qnil;
}

/* ---- on Ruby's thread: waiting ---- */

static VALUE make_io(VALUE given)
{
    work *self = (work *)given;
    self->io = rb_funcall(rb_cIO, rb_intern("for_fd"), 1, INT2NUM(self->event.fd));
    rb_funcall(self->io, rb_intern("autoclose="), 1, Qfalse);
    return Qnil;
}

static VALUE wait_readable(VALUE given)
{
    const work *self = (const work *)given;
    rb_io_wait(self->io, INT2NUM(RUBY_IO_READABLE), Qnil);
    return Qnil;
}

static void *wait_stopped(void *user)
{
    work *self = user;
    pthread_mutex_lock(&self->lock);
    while (!self->asked && !self->done)
        pthread_cond_wait(&self->turn, &self->lock);
    pthread_mutex_unlock(&self->lock);
    return self;
}

/* Once something was raised no Ruby code may run before it goes on: the call is stopped and ends at once. */
static void wait_turn(work *self)
{
    if (!self->state) {
        rb_protect(wait_readable, (VALUE)self, &self->state);
        if (self->state)
            __atomic_store_n(&self->stop, 1, __ATOMIC_RELAXED);
        return;
    }
    if (!rb_thread_call_without_gvl2(wait_stopped, self, NULL, NULL))
        wait_stopped(self);
}

/* Whether this fiber runs the block of a call: calls in it wait for nobody's turn at a key, though other threads make them. */
static ID inside(void)
{
    return rb_intern("__kivi_inside__");
}

static void run_question(work *self)
{
    VALUE thread = rb_thread_current(), before = rb_thread_local_aref(thread, inside());
    rb_thread_local_aset(thread, inside(), Qtrue);
    if (!self->state)
        rb_protect(run_block, (VALUE)self, &self->state);
    rb_thread_local_aset(thread, inside(), before);
    if (self->state)
        __atomic_store_n(&self->stop, 1, __ATOMIC_RELAXED);
}

#define RAISED \
    6 /* rb_protect's state of an exception; of a break or throw rb_errinfo() is no object */

/* What computations raised, once for each call that is to raise it as well. */
static VALUE shared(void)
{
    static VALUE held = Qnil;
    if (NIL_P(held)) {
        held = rb_ary_new();
        rb_gc_register_mark_object(held);
    }
    return held;
}

static void hold(void *exception)
{
    rb_ary_push(shared(), (VALUE)exception);
}

void kvr_let_go(kvb_answer *answer)
{
    VALUE held = shared();
    for (long i = 0; answer->failure && i < RARRAY_LEN(held); i++)
        if (RARRAY_AREF(held, i) == (VALUE)answer->failure) {
            rb_ary_delete_at(held, i);
            answer->failure = NULL;
        }
}

/*
 * What those who wait for a computation are told: what it raised, to all of them; of one that was broken off (break, throw, a
 * killed thread) nothing, they compute.
 */
static kivi_status reply_of(const work *self)
{
    if (!self->state)
        return KIVI_OK;
    bool fails = self->answer->request.verb == KVB_VERB_GET_OR_SET && self->state == RAISED &&
                 RTEST(rb_obj_is_kind_of(rb_errinfo(), rb_eStandardError));
    if (fails)
        kvb_answer_share(self->answer, (void *)rb_errinfo(), hold);
    return fails ? KIVI_ABORTED : KIVI_CANCELLED;
}

static void answer_question(work *self)
{
    kivi_status reply = reply_of(self);
    pthread_mutex_lock(&self->lock);
    self->reply = reply;
    self->asked = false;
    pthread_cond_signal(&self->turn);
    pthread_mutex_unlock(&self->lock);
}

/* True when it is done; false in a child that the block forked, where the call's thread is not. */
static bool follow(work *self)
{
    bool asked = false, done = false;
    pid_t process = getpid();
    while (!done) {
        wait_turn(self);
        kvi_flag_lower(&self->event);
        pthread_mutex_lock(&self->lock);
        asked = self->asked;
        done = self->done;
        pthread_mutex_unlock(&self->lock);
        if (!asked)
            continue;
        run_question(self);
        if (getpid() != process)
            return false;
        answer_question(self);
    }
    return true;
}

/* ---- beginning and ending ---- */

static int start(work *self, pthread_t *thread)
{
    sigset_t all, before;
    int failed;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(thread, NULL, perform, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

void kvr_work(kvb_answer *answer)
{
    work self = {.answer = answer,
                 .call = KIVI_CALL_INIT,
                 .io = Qnil,
                 .latest = Qnil,
                 .lock = PTHREAD_MUTEX_INITIALIZER,
                 .turn = PTHREAD_COND_INITIALIZER};
    pthread_t thread;
    self.call.timeout_ms = answer->timeout_ms;
    self.call.interrupted = is_stopped;
    self.call.user = &self;
    self.call.trace = kvb_trace(answer->store);
    if (RTEST(rb_thread_local_aref(rb_thread_current(), inside())))
        self.call.flags = KIVI_CALL_INSIDE;
    answer->object = NULL;
    if (!kvi_flag_open(&self.event)) {
        answer->done.status = KIVI_IO;
        return;
    }
    rb_protect(make_io, (VALUE)&self, &self.state);
    answer->object = &self;
    if (!self.state && start(&self, &thread)) {
        answer->done.status = KIVI_NO_MEMORY;
    } else if (!self.state) {
        if (follow(&self))
            pthread_join(thread, NULL);
        else
            answer->done.status = KIVI_FORKED;
    }
    kvi_flag_close(&self.event);
    answer->object = NULL;
    if (self.state)
        kvr_answer_raise(answer, self.state);
    else if (answer->request.verb == KVB_VERB_UPDATE && !answer->done.status)
        kvr_answer_keep(answer, self.latest);
}
