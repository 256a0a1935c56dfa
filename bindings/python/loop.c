/*
 * kivi._kivi.Queue: the queue of one event loop, shared by its stores.
 *
 * Queue(loop). loop.add_reader(queue.descriptor(), queue.take): take() tells those that await the calls that are done.
 * A call is a kvp_call (await.c), which the queue holds while it is in flight. Where a store has no room for another
 * (`queue_limit`), calls wait in line and are submitted as others of that store are done.
 */
#include "loop.h"

#include <pthread.h>
#include <time.h>

enum { TAKEN = 256, ROUNDS = 8 };

static PyTypeObject *queue_type;
static PyObject *get_running_loop;
static unsigned forks; /* that this process is the child of */

kvb_queue *kvp_queue_get(PyObject *object)
{
    if (Py_IS_TYPE(object, queue_type))
        return ((kvp_queue *)object)->queue;
    PyErr_Format(PyExc_TypeError, "a queue is needed, not %.100s", Py_TYPE(object)->tp_name);
    return NULL;
}

static void raise_not_here(const kvp_queue *queue, bool none_runs)
{
    if (queue && queue->forks != forks)
        kvp_raise_text(KIVI_FORKED,
                       "this kivi.aio.Store belongs to the parent process: open one in each");
    else if (none_runs)
        PyErr_SetString(
            PyExc_RuntimeError,
            "a kivi.aio.Store is used inside its event loop, and none runs in this thread");
    else if (!queue)
        kvp_raise_text(KIVI_CLOSED,
                       "the store was closed, or the event loop that it was opened in");
    else
        PyErr_SetString(PyExc_RuntimeError,
                        "this kivi.aio.Store was opened in another event loop: open one in each");
}

bool kvp_loop_is_here(const kvb_store *store)
{
    kvp_queue *queue = store->queue->host;
    PyObject *running;
    bool here;
    /* The short way of nearly all calls under load. */
    if (queue && queue->taking == PyThreadState_Get() && queue->forks == forks)
        return true;
    running = PyObject_CallNoArgs(get_running_loop);
    if (!running)
        return false;
    here = queue && running == queue->loop;
    if (!here)
        raise_not_here(queue, running == Py_None);
    Py_DECREF(running);
    return here;
}

/* ---- calls of one turn travel together ---- */

static void set_held(kvp_queue *self, bool held)
{
    if (self->held == held || !self->queue->queue)
        return;
    self->held = held;
    kivi_queue_hold(self->queue->queue, held);
}

static PyObject *queue_release(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    set_held((kvp_queue *)object, false);
    Py_RETURN_NONE;
}

/* A call was made while another is in flight: those that follow leave when the loop has its next turn. */
static void hold_turn(kvp_queue *self)
{
    PyObject *release, *said;
    if (self->held)
        return;
    release = PyObject_GetAttrString((PyObject *)self, "release");
    said = release ? PyObject_CallMethod(self->loop, "call_soon", "N", release) : NULL;
    if (said)
        set_held(self, true);
    else
        PyErr_Clear(); /* then each leaves by itself */
    Py_XDECREF(said);
}

/* Of the coarse clock, which has one every few ms: tasks that take longer do not hold each other's calls. */
static int64_t tick(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- calls in flight ---- */

static void link_in(kvp_queue *self, kvb_answer *answer)
{
    answer->next = self->first;
    answer->before = NULL;
    if (self->first)
        self->first->before = answer;
    self->first = answer;
}

static void link_out(kvp_queue *self, kvb_answer *answer)
{
    if (answer->before)
        answer->before->next = answer->next;
    else
        self->first = answer->next;
    if (answer->next)
        answer->next->before = answer->before;
    answer->next = answer->before = NULL;
}

static kvp_call *begin(kvp_queue *self, kvb_answer *answer)
{
    kvp_call *call = kvp_call_new(self, answer);
    answer->object = call;
    if (call)
        link_in(self, answer);
    return call;
}

bool kvb_host_pending(kvb_answer *answer)
{
    kvp_queue *queue = answer->store->queue->host;
    bool others = queue->first != NULL;
    if (answer->object || begin(queue, answer)) {
        if (others)
            hold_turn(queue);
        return true;
    }
    answer->missing = NULL;
    return false;
}

/* ---- calls without room ---- */

static void stand_in_line(kvp_call *call)
{
    kvp_config *config = call->answer->store->host;
    call->stage = KVP_NO_ROOM;
    if (config->held)
        config->last_held->next_held = call;
    else
        config->held = call;
    config->last_held = call;
}

static PyObject *hold(kvb_answer *answer)
{
    kvp_call *call = kvb_answer_hold(answer) ? begin(answer->store->queue->host, answer) : NULL;
    if (!call) {
        kvb_answer_give(answer);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    stand_in_line(call);
    Py_INCREF(call);
    return (PyObject *)call;
}

/* `answer` is linked out. */
static bool arrive(kvb_answer *answer, bool at_once)
{
    kvp_call *call = answer->object;
    bool ok;
    answer->object = NULL;
    if (!call) { /* there was no memory for one */
        kvp_answer_drop(answer);
        return true;
    }
    ok = kvp_call_arrived(call, at_once);
    Py_DECREF(call);
    return ok;
}

static bool has_no_room(const kvb_answer *answer)
{
    int32_t verb = answer->request.verb;
    bool read_here = answer->store->reads_here && (verb == KIVI_VERB_GET || verb == KIVI_VERB_EXISTS);
    return answer->done.status == KIVI_BUSY && !read_here;
}

PyObject *kvp_call_out(kvb_answer *answer)
{
    kvb_store *store = answer->store;
    kvp_queue *queue = store->queue->host;
    PyObject *object = answer->object;
    if (answer->pending) {
        Py_XINCREF(object);
        return object;
    }
    if (has_no_room(answer))
        return hold(answer);
    object = kvp_answer_value(answer);
    kvb_answer_give(answer);
    kvp_tell_events(store);
    return kvp_call_done(queue, object);
}

void kvp_call_confirm(kvp_call *call)
{
    kvb_answer *answer = call->answer;
    Py_INCREF(call);
    answer->object = call;
    link_in(call->queue, answer);
    call->stage = KVP_IN_FLIGHT;
    kvb_answer_confirm(answer);
    if (answer->pending)
        return;
    if (has_no_room(answer)) {
        kivi_completion_release(&answer->done);
        answer->done = (kivi_completion)KIVI_COMPLETION_INIT;
        stand_in_line(call);
        return;
    }
    link_out(call->queue, answer);
    answer->object = NULL;
    call->stage = KVP_DONE;
    Py_DECREF(call);
}

/* A call of the store is done: those that wait for its place are submitted, as far as there is room. */
static void fill_room(kvp_queue *self, kvb_store *store)
{
    kvp_config *config = store->host;
    kvp_call *call;
    while ((call = config->held)) {
        kvb_answer *answer = call->answer;
        if (call->stage == KVP_NO_ROOM)
            kvb_answer_submit(answer);
        if (answer->done.status == KIVI_BUSY && !answer->pending) {
            kivi_completion_release(&answer->done);
            answer->done = (kivi_completion)KIVI_COMPLETION_INIT;
            return;
        }
        config->held = call->next_held;
        call->next_held = NULL;
        if (answer->pending)
            call->stage = KVP_IN_FLIGHT;
        else { /* refused; or cancelled before */
            link_out(self, answer);
            arrive(answer, false);
        }
    }
}

/* ---- taking ---- */

/* Tells one, after what is told of its events, and who waits for its place. */
static bool take_one(kvp_queue *self, kvb_answer *answer, bool at_once)
{
    kvb_store *store = answer->store;
    bool ok;
    kvp_tell_events(store);
    if (!((kvp_config *)store->host)->held)
        return arrive(answer, at_once);
    kvb_store_ref(store);
    ok = arrive(answer, at_once);
    fill_room(self, store);
    kvb_store_unref(store);
    return ok;
}

typedef struct exit_raised {
    PyObject *type, *value, *trace;
} exit_raised;

/* Tasks run here, which may do anything. Of one that exits the others do not know: they go on soon. */
static size_t take(kvp_queue *self, exit_raised *exit)
{
    kvb_answer *answers[TAKEN];
    size_t count = self->queue->queue ? kvb_queue_take(self->queue, answers, TAKEN) : 0;
    int64_t began = tick();
    for (size_t i = 0; i < count; i++)
        if (answers[i]->object)
            link_out(self, answers[i]);
    set_held(self, count > 1 || self->first);
    for (size_t i = 0; i < count; i++) {
        if (self->held && tick() != began)
            set_held(self, false);
        if (!take_one(self, answers[i], !exit->type))
            PyErr_Fetch(&exit->type, &exit->value, &exit->trace);
    }
    set_held(self, false);
    return count;
}

static PyObject *queue_take(PyObject *object, PyObject *nothing)
{
    exit_raised exit = {NULL, NULL, NULL};
    kvp_queue *self = (kvp_queue *)object;
    size_t count, sum = 0;
    int rounds = 0;
    (void)nothing;
    Py_INCREF(object);
    self->taking = PyThreadState_Get();
    do {
        count = take(self, &exit);
        sum += count;
    } while (count == TAKEN && ++rounds < ROUNDS);
    self->taking = NULL;
    Py_DECREF(object);
    if (!exit.type)
        return PyLong_FromSize_t(sum);
    PyErr_Restore(exit.type, exit.value, exit.trace);
    return NULL;
}

/* ---- the type ---- */

/* What was in flight has ended as closed. */
static void end_calls(kvp_queue *self)
{
    kvb_answer *answer;
    while ((answer = self->first)) {
        kvp_config *config = answer->store->host;
        config->held = config->last_held = NULL; /* all of them are in this list */
        answer->pending = false;
        answer->done.status = KIVI_CLOSED;
        link_out(self, answer);
        arrive(answer, false);
    }
}

/* Threads are joined without the GIL: they may be in the middle of a write. */
static void close_queue(kvp_queue *self)
{
    kivi_queue *inner = self->queue ? self->queue->queue : NULL;
    if (!inner)
        return;
    self->queue->queue = NULL;
    Py_BEGIN_ALLOW_THREADS kivi_queue_close(inner);
    Py_END_ALLOW_THREADS
}

static PyObject *queue_close(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    close_queue((kvp_queue *)object);
    Py_RETURN_NONE;
}

static PyObject *queue_end_calls(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    close_queue((kvp_queue *)object);
    end_calls((kvp_queue *)object);
    Py_RETURN_NONE;
}

static PyObject *queue_descriptor(PyObject *object, PyObject *nothing)
{
    kivi_queue *inner = ((kvp_queue *)object)->queue->queue;
    (void)nothing;
    return PyLong_FromLong(inner ? kivi_queue_descriptor(inner) : -1);
}

static PyObject *queue_count(PyObject *object, PyObject *nothing)
{
    size_t count = 0;
    (void)nothing;
    for (kvb_answer *at = ((kvp_queue *)object)->first; at; at = at->next)
        count++;
    return PyLong_FromSize_t(count);
}

static void count_fork(void)
{
    forks++;
}

static bool find_running_loop(void)
{
    PyObject *events;
    if (get_running_loop)
        return true;
    if (pthread_atfork(NULL, NULL, count_fork)) {
        PyErr_NoMemory();
        return false;
    }
    events = PyImport_ImportModule("asyncio.events");
    get_running_loop = events ? PyObject_GetAttrString(events, "_get_running_loop") : NULL;
    Py_XDECREF(events);
    return get_running_loop != NULL;
}

static PyObject *queue_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {(char *)"loop", NULL};
    PyObject *loop;
    kivi_error *error = NULL;
    kvp_queue *self;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Queue", names, &loop) ||
        !find_running_loop() || !kvp_find_cancelled_error())
        return NULL;
    self = (kvp_queue *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    Py_INCREF(loop);
    self->loop = loop;
    self->forks = forks;
    self->queue = kvb_queue_new(&error);
    if (self->queue) {
        self->queue->host = self;
        return (PyObject *)self;
    }
    Py_DECREF(self);
    return kvp_raise(error ? kivi_error_status(error) : KIVI_NO_MEMORY, error);
}

static int queue_traverse(PyObject *object, visitproc visit, void *arg)
{
    kvp_queue *self = (kvp_queue *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->loop);
    for (kvb_answer *at = self->first; at; at = at->next)
        Py_VISIT((PyObject *)at->object);
    return 0;
}

static int queue_clear(PyObject *object)
{
    kvp_queue *self = (kvp_queue *)object;
    close_queue(self);
    end_calls(self);
    Py_CLEAR(self->loop);
    return 0;
}

static void queue_free(PyObject *object)
{
    kvp_queue *self = (kvp_queue *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    queue_clear(object);
    if (self->queue)
        self->queue->host = NULL;
    kvb_queue_unref(self->queue);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef queue_methods[] = {
    {"take", queue_take, METH_NOARGS, "Tells those that await calls that are done; how many."},
    {"descriptor", queue_descriptor, METH_NOARGS, "Turns readable when something is done; -1: closed."},
    {"release", queue_release, METH_NOARGS, "Lets calls leave that were held for the turn of the loop."},
    {"count", queue_count, METH_NOARGS, "Calls in flight, and those that wait for room."},
    {"close", queue_close, METH_NOARGS,
     "Ends it, in any thread; end_calls() must follow in that of the loop."},
    {"end_calls", queue_end_calls, METH_NOARGS,
     "Ends it, if that was not done; calls in flight raise Closed."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot queue_slots[] = {{Py_tp_new, queue_new},           {Py_tp_dealloc, queue_free},
                                    {Py_tp_traverse, queue_traverse}, {Py_tp_clear, queue_clear},
                                    {Py_tp_methods, queue_methods},   {0, NULL}};
static PyType_Spec queue_spec = {"kivi._kivi.Queue", sizeof(kvp_queue), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, queue_slots};

bool kvp_queue_ready(PyObject *module)
{
    queue_type = (PyTypeObject *)PyType_FromSpec(&queue_spec);
    if (!queue_type || !kvp_call_ready(module))
        return false;
    Py_INCREF(queue_type);
    return PyModule_AddObject(module, "Queue", (PyObject *)queue_type) == 0;
}
