/* What tasks wait for: the little of a future that they ask, and going on with them. */
#include "loop.h"

static PyTypeObject *waiter_type;
static PyObject *call_soon, *context_name, *cancelled_error;

kvp_waiter *kvp_waiter_new(void)
{
    kvp_waiter *self = PyObject_New(kvp_waiter, waiter_type);
    if (!self)
        return NULL;
    self->call = NULL;
    self->message = NULL;
    self->blocking = self->cancelled = false;
    return self;
}

static void waiter_free(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(((kvp_waiter *)object)->message);
    PyObject_Free(object);
    Py_DECREF(type);
}

/* ---- going on with a task ---- */

static bool is_exit(void)
{
    return PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) || PyErr_ExceptionMatches(PyExc_SystemExit);
}

/* Through the loop, as futures do. */
static bool wake_later(PyObject *loop, PyObject *wakeup, PyObject *context, kvp_waiter *waiter)
{
    PyObject *arguments[] = {loop, wakeup, (PyObject *)waiter, context};
    PyObject *said = PyObject_VectorcallMethod(call_soon, arguments,
                                               3 | PY_VECTORCALL_ARGUMENTS_OFFSET, context_name);
    if (!said)
        PyErr_Clear(); /* the loop is closed: its tasks are no more */
    Py_XDECREF(said);
    return said != NULL;
}

/* In its context, which is entered. */
static bool wake_now(PyObject *wakeup, PyObject *context, kvp_waiter *waiter)
{
    PyObject *said = PyObject_CallOneArg(wakeup, (PyObject *)waiter), *type, *value, *trace;
    bool ok = said || !is_exit();
    if (!said && ok)
        PyErr_WriteUnraisable(wakeup);
    Py_XDECREF(said);
    PyErr_Fetch(&type, &value, &trace);
    PyContext_Exit(context);
    PyErr_Restore(type, value, trace);
    return ok;
}

bool kvp_call_wake(kvp_call *call, bool at_once)
{
    PyObject *wakeup = call->wakeup, *context = call->context;
    bool ok = true;
    if (!wakeup)
        return true;
    call->wakeup = call->context = NULL;
    if (at_once && PyContext_Enter(context) == 0) {
        ok = wake_now(wakeup, context, call->waiter);
    } else {
        PyErr_Clear(); /* the context is entered already */
        wake_later(call->queue->loop, wakeup, context, call->waiter);
    }
    Py_DECREF(wakeup);
    Py_DECREF(context);
    return ok;
}

/* ---- what a task asks ---- */

static PyObject *waiter_loop(PyObject *object, PyObject *nothing)
{
    kvp_waiter *self = (kvp_waiter *)object;
    PyObject *loop = self->call ? self->call->queue->loop : Py_None;
    (void)nothing;
    Py_INCREF(loop);
    return loop;
}

/* add_done_callback(function, *, context): once, by the task that awaits the call. */
static PyObject *waiter_add(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    kvp_call *call = ((kvp_waiter *)object)->call;
    PyObject *context;
    if (count != 1 || (names && PyTuple_GET_SIZE(names) != 1) || !call || call->wakeup) {
        PyErr_SetString(PyExc_RuntimeError, "a call of kivi.aio can be awaited, and nothing else");
        return NULL;
    }
    if (names && args[1] != Py_None) {
        context = args[1];
        Py_INCREF(context);
    } else if (!(context = PyContext_CopyCurrent())) {
        return NULL;
    }
    Py_INCREF(args[0]);
    call->wakeup = args[0];
    call->context = context;
    Py_RETURN_NONE;
}

/* Of a task that is cancelled: it goes on soon, and gets a CancelledError out of result(). */
static PyObject *waiter_cancel(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {(char *)"msg", NULL};
    kvp_waiter *self = (kvp_waiter *)object;
    kvp_call *call = self->call;
    PyObject *message = Py_None, *wakeup, *context;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:cancel", names, &message))
        return NULL;
    if (!call || !call->wakeup)
        Py_RETURN_FALSE;
    wakeup = call->wakeup;
    context = call->context;
    call->wakeup = call->context = NULL;
    self->cancelled = true;
    Py_INCREF(message);
    Py_XSETREF(self->message, message);
    wake_later(call->queue->loop, wakeup, context, self);
    Py_DECREF(wakeup);
    Py_DECREF(context);
    Py_RETURN_TRUE;
}

static PyObject *waiter_result(PyObject *object, PyObject *nothing)
{
    kvp_waiter *self = (kvp_waiter *)object;
    (void)nothing;
    if (!self->cancelled)
        Py_RETURN_NONE;
    if (self->message && self->message != Py_None)
        PyErr_SetObject(cancelled_error, self->message);
    else
        PyErr_SetNone(cancelled_error);
    return NULL;
}

static PyObject *waiter_is_cancelled(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    return PyBool_FromLong(((kvp_waiter *)object)->cancelled);
}

static PyObject *waiter_is_done(PyObject *object, PyObject *nothing)
{
    kvp_waiter *self = (kvp_waiter *)object;
    (void)nothing;
    return PyBool_FromLong(self->cancelled || !self->call || self->call->stage >= KVP_DONE);
}

static PyObject *waiter_is_blocking(PyObject *object, void *closure)
{
    (void)closure;
    return PyBool_FromLong(((kvp_waiter *)object)->blocking);
}

static int waiter_set_blocking(PyObject *object, PyObject *value, void *closure)
{
    int truth = value ? PyObject_IsTrue(value) : 0;
    (void)closure;
    ((kvp_waiter *)object)->blocking = truth > 0;
    return truth < 0 ? -1 : 0;
}

static PyMethodDef waiter_methods[] = {
    {"get_loop", waiter_loop, METH_NOARGS, NULL},
    {"add_done_callback", (PyCFunction)(void (*)(void))waiter_add, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"cancel", (PyCFunction)(void (*)(void))waiter_cancel, METH_VARARGS | METH_KEYWORDS, NULL},
    {"result", waiter_result, METH_NOARGS, NULL},
    {"cancelled", waiter_is_cancelled, METH_NOARGS, NULL},
    {"done", waiter_is_done, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL}};
static PyGetSetDef waiter_members[] = {
    {"_asyncio_future_blocking", waiter_is_blocking, waiter_set_blocking, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot waiter_slots[] = {{Py_tp_dealloc, waiter_free},
                                     {Py_tp_methods, waiter_methods},
                                     {Py_tp_getset, waiter_members},
                                     {0, NULL}};
static PyType_Spec waiter_spec = {"kivi._kivi.Waiter", sizeof(kvp_waiter), 0, Py_TPFLAGS_DEFAULT,
                                  waiter_slots};

bool kvp_waiter_ready(void)
{
    call_soon = PyUnicode_InternFromString("call_soon");
    context_name = Py_BuildValue("(N)", PyUnicode_InternFromString("context"));
    waiter_type = (PyTypeObject *)PyType_FromSpec(&waiter_spec);
    if (waiter_type)
        waiter_type->tp_new = NULL;
    return call_soon && context_name && waiter_type;
}

bool kvp_find_cancelled_error(void)
{
    PyObject *exceptions;
    if (cancelled_error)
        return true;
    exceptions = PyImport_ImportModule("asyncio.exceptions");
    cancelled_error = exceptions ? PyObject_GetAttrString(exceptions, "CancelledError") : NULL;
    Py_XDECREF(exceptions);
    return cancelled_error != NULL;
}
