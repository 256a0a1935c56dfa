/*
 * kivi.aio.Call: a call that is on its way, awaited like a coroutine (which create_task(), gather() and wait_for() take it for).
 *
 * The answer stays as it came until the task asks for it, so that hooks run, and raise, where the call was awaited. A task that is cancelled throws
 * into what it awaits: that is how the call learns of it, at once and for nothing.
 */
#include "loop.h"

#if PY_VERSION_HEX < 0x030A0000
typedef enum { PYGEN_RETURN = 0, PYGEN_ERROR = -1, PYGEN_NEXT = 1 } PySendResult;
#endif

enum { MAX_UNUSED = 1024 };

static PyTypeObject *call_type;
static kvp_call *unused[MAX_UNUSED]; /* each with its waiter */
static int unused_count;

/* ---- the life of one ---- */

static kvp_call *take_unused(void)
{
    kvp_call *self;
    if (unused_count) {
        self = (kvp_call *)PyObject_Init((PyObject *)unused[--unused_count], call_type);
        self->waiter->cancelled = false;
        Py_CLEAR(self->waiter->message);
        return self;
    }
    self = PyObject_GC_New(kvp_call, call_type);
    if (!self)
        return NULL;
    self->waiter = kvp_waiter_new();
    if (self->waiter)
        return self;
    PyObject_GC_Del(self);
    Py_DECREF(call_type);
    return NULL;
}

static kvp_call *make(kvp_queue *queue, kvp_stage stage)
{
    kvp_call *self = take_unused();
    if (!self)
        return NULL;
    Py_INCREF(queue);
    self->queue = queue;
    self->answer = NULL;
    self->value = self->error = self->wakeup = self->context = self->key = NULL;
    self->name = NULL;
    self->stage = stage;
    self->awaited = self->pause = false;
    self->next_held = NULL;
    PyObject_GC_Track(self);
    return self;
}

/* What the answer refers to of Python: its default, or the keys of get_many. */
static void hold_arguments(kvb_answer *answer)
{
    if (answer->missing && answer->missing != &kvp_raise_missing)
        Py_INCREF((PyObject *)answer->missing);
}

kvp_call *kvp_call_new(kvp_queue *queue, kvb_answer *answer)
{
    kvp_call *self = make(queue, KVP_IN_FLIGHT);
    if (!self)
        return NULL;
    hold_arguments(answer);
    self->answer = answer;
    return self;
}

void kvp_answer_drop(kvb_answer *answer)
{
    PyObject *missing = answer->missing == &kvp_raise_missing ? NULL : answer->missing;
    kvb_answer_give(answer);
    Py_XDECREF(missing);
}

static PyObject *caught(void)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace)
        PyException_SetTraceback(value, trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    return value;
}

enum { IN_A_ROW = 64 }; /* calls answered at once before the loop's other tasks have their turn */

PyObject *kvp_call_done(kvp_queue *queue, PyObject *value)
{
    PyObject *error = value ? NULL : caught();
    kvp_call *self = make(queue, KVP_DONE);
    if (!self) {
        Py_XDECREF(value);
        Py_XDECREF(error);
        return NULL;
    }
    self->value = value;
    self->error = error;
    self->pause = ++queue->at_once % IN_A_ROW == 0;
    return (PyObject *)self;
}

static int call_traverse(PyObject *object, visitproc visit, void *arg)
{
    kvp_call *self = (kvp_call *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->queue);
    Py_VISIT(self->value);
    Py_VISIT(self->error);
    Py_VISIT(self->wakeup);
    Py_VISIT(self->context);
    Py_VISIT(self->key);
    return 0;
}

static int call_clear(PyObject *object)
{
    kvp_call *self = (kvp_call *)object;
    Py_CLEAR(self->value);
    Py_CLEAR(self->error);
    Py_CLEAR(self->wakeup);
    Py_CLEAR(self->context);
    Py_CLEAR(self->key);
    return 0;
}

void kvp_call_name(PyObject *result, const char *name, PyObject *key)
{
    kvp_call *self = (kvp_call *)result;
    if (!result || Py_TYPE(result) != call_type)
        return;
    self->name = name;
    Py_XINCREF(key);
    Py_XSETREF(self->key, key);
}

static void never_awaited(const kvp_call *self)
{
    PyObject *type, *value, *trace;
    int raised;
    PyErr_Fetch(&type, &value, &trace);
    if (self->key)
        raised = PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "store.%s(%.100R) was never awaited",
                                  self->name, self->key);
    else
        raised = PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "store.%s() was never awaited",
                                  self->name ? self->name : "call");
    if (raised)
        PyErr_WriteUnraisable((PyObject *)call_type);
    PyErr_Restore(type, value, trace);
}

/* In flight it is held by its queue: what comes here is done, or over. */
static void call_free(PyObject *object)
{
    kvp_call *self = (kvp_call *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (!self->awaited)
        never_awaited(self);
    call_clear(object);
    if (self->answer && self->stage == KVP_DONE)
        kvp_answer_drop(self->answer);
    Py_CLEAR(self->queue);
    self->waiter->call = NULL;
    if (unused_count < MAX_UNUSED && Py_REFCNT(self->waiter) == 1) {
        unused[unused_count++] = self;
    } else {
        Py_DECREF(self->waiter);
        PyObject_GC_Del(object);
    }
    Py_DECREF(type);
}

/* ---- its end ---- */

bool kvp_call_arrived(kvp_call *self, bool at_once)
{
    if (self->stage == KVP_OVER) { /* cancelled */
        kvb_answer *answer = self->answer;
        self->answer = NULL;
        kvp_answer_drop(answer);
        return true;
    }
    self->stage = KVP_DONE;
    return kvp_call_wake(self, at_once);
}

/* The answer, once. */
static PyObject *result(kvp_call *self)
{
    kvb_answer *answer = self->answer;
    PyObject *value = self->value, *error = self->error;
    self->stage = KVP_OVER;
    self->answer = NULL;
    self->value = self->error = NULL;
    if (answer && !kvb_answer_is_confirmed(answer)) {
        Py_XDECREF(value); /* of the step before: it could not be confirmed */
        value = kvp_answer_value(answer);
    }
    if (answer) {
        kvp_answer_drop(answer);
    } else if (error) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return value;
}

/* Nobody wants the answer any more. */
static void abandon(kvp_call *self)
{
    kvb_answer *answer = self->answer;
    kvp_stage stage = self->stage;
    if (stage == KVP_OVER)
        return;
    self->awaited = true;
    self->stage = KVP_OVER;
    call_clear((PyObject *)self);
    if (stage == KVP_DONE) {
        self->answer = NULL;
        if (answer)
            kvp_answer_drop(answer);
    } else if (stage == KVP_IN_FLIGHT) {
        kvb_answer_cancel(answer);
    }
}

/* ---- as an awaitable ---- */

static PySendResult fail(const char *text)
{
    PyErr_SetString(PyExc_RuntimeError, text);
    return PYGEN_ERROR;
}

static PySendResult wait_for_it(kvp_call *self, PyObject **to)
{
    kvp_waiter *waiter = self->waiter;
    if (waiter->call)
        return fail("this call of kivi.aio is being awaited already");
    waiter->call = self;
    waiter->blocking = true;
    Py_INCREF(waiter);
    *to = (PyObject *)waiter;
    return PYGEN_NEXT;
}

/* A value that is to be taken, and can be: the key goes first. False: the result is due. */
static bool goes_on(kvp_call *self)
{
    kvb_answer *answer = self->answer;
    PyObject *value;
    if (!answer || !kvb_answer_is_unconfirmed(answer))
        return false;
    value = kvp_answer_value(answer);
    if (!value)
        return false;
    Py_XSETREF(self->value, value);
    kvp_call_confirm(self);
    return self->stage != KVP_DONE;
}

static PySendResult finish(kvp_call *self, PyObject **to)
{
    if (!PyErr_Occurred() && goes_on(self)) {
        self->waiter->call = NULL; /* its task came back from it */
        return wait_for_it(self, to);
    }
    *to = result(self);
    return *to ? PYGEN_RETURN : PYGEN_ERROR;
}

static PySendResult advance(kvp_call *self, PyObject **to)
{
    self->awaited = true;
    switch (self->stage) {
    case KVP_OVER:
        return fail("this call of kivi.aio was awaited already");
    case KVP_DONE:
        if (self->pause) {
            self->pause = false;
            Py_INCREF(Py_None);
            *to = Py_None;
            return PYGEN_NEXT;
        }
        return finish(self, to);
    default:
        return wait_for_it(self, to);
    }
}

#if PY_VERSION_HEX >= 0x030A0000
static PySendResult call_send(PyObject *object, PyObject *nothing, PyObject **to)
{
    (void)nothing;
    *to = NULL;
    return advance((kvp_call *)object, to);
}
#endif

static void stop_iteration(PyObject *value)
{
    /* The exception is made here: a value that is a tuple or an exception would else be taken for its arguments. */
    PyObject *stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, value, NULL);
    if (stop)
        PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
}

static PyObject *call_next(PyObject *object)
{
    PyObject *to = NULL;
    PySendResult how = advance((kvp_call *)object, &to);
    if (how == PYGEN_NEXT)
        return to;
    if (how == PYGEN_RETURN) {
        stop_iteration(to);
        Py_DECREF(to);
    }
    return NULL;
}

static PyObject *call_send_method(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    return call_next(object);
}

static PyObject *call_await(PyObject *object)
{
    Py_INCREF(object);
    return object;
}

/* throw(exception), or throw(type, value, traceback) as generators took it once. */
static PyObject *call_throw(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    PyObject *type = count ? args[0] : NULL;
    PyObject *value = count > 1 && args[1] != Py_None ? args[1] : NULL;
    PyObject *trace = count > 2 && args[2] != Py_None ? args[2] : NULL;
    if (count < 1 || count > 3) {
        PyErr_SetString(PyExc_TypeError, "throw() takes an exception");
        return NULL;
    }
    abandon((kvp_call *)object);
    if (PyExceptionInstance_Check(type)) {
        value = type;
        type = (PyObject *)Py_TYPE(type);
    }
    if (!PyExceptionClass_Check(type)) {
        PyErr_SetString(PyExc_TypeError, "throw() takes an exception");
        return NULL;
    }
    if (trace && !PyTraceBack_Check(trace)) {
        PyErr_SetString(PyExc_TypeError, "throw() third argument must be a traceback object");
        return NULL;
    }
    Py_INCREF(type);
    Py_XINCREF(value);
    Py_XINCREF(trace);
    PyErr_Restore(type, value, trace);
    return NULL;
}

static PyObject *call_close(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    abandon((kvp_call *)object);
    Py_RETURN_NONE;
}

static PyObject *call_repr(PyObject *object)
{
    static const char *const words[] = {
        [KVP_IN_FLIGHT] = "in flight", [KVP_NO_ROOM] = "waiting for room", [KVP_DONE] = "done", [KVP_OVER] = "over"};
    return PyUnicode_FromFormat("<kivi.aio.Call %s>", words[((kvp_call *)object)->stage]);
}

static PyMethodDef call_methods[] = {
    {"send", call_send_method, METH_O, "As a coroutine's."},
    {"throw", (PyCFunction)(void (*)(void))call_throw, METH_FASTCALL, "As a coroutine's: cancels the call."},
    {"close", call_close, METH_NOARGS, "As a coroutine's: cancels the call."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot call_slots[] = {
    {Py_tp_dealloc, call_free},
    {Py_tp_traverse, call_traverse},
    {Py_tp_clear, call_clear},
    {Py_tp_repr, call_repr},
    {Py_tp_methods, call_methods},
    {Py_tp_iter, call_await},
    {Py_tp_iternext, call_next},
    {Py_am_await, call_await},
#if PY_VERSION_HEX >= 0x030A0000
    {Py_am_send, call_send},
#endif
    {Py_tp_doc,
     (void *)"A call of a kivi.aio.Store, which is on its way already: await it for its answer."},
    {0, NULL}};
static PyType_Spec call_spec = {"kivi.aio.Call", sizeof(kvp_call), 0,
                                Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, call_slots};

bool kvp_call_ready(PyObject *module)
{
    call_type = (PyTypeObject *)PyType_FromSpec(&call_spec);
    if (!call_type || !kvp_waiter_ready())
        return false;
    call_type->tp_new = NULL; /* none but those of a store */
    Py_INCREF(call_type);
    return PyModule_AddObject(module, "Call", (PyObject *)call_type) == 0;
}
