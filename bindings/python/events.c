/* Telling Python of events: the function given as on_event, in threads that call. */
#include "module.h"

static _Thread_local bool telling;

bool kvb_host_is_telling(const kvb_store *store)
{
    (void)store;
    return telling;
}

static PyObject *error_of(kivi_status status)
{
    PyObject *class = NULL;
    if (kivi_status_class(status) != KIVI_CLASS_ANSWER)
        class = PyDict_GetItemString(kvp.errors, kvb_error_name(status));
    class = class ? class : Py_None;
    Py_INCREF(class);
    return class;
}

static PyObject *key_of(const kvb_store *store, kivi_slice key)
{
    if (key.size)
        return kvp_key_out(kvp_config_of(store), key);
    Py_RETURN_NONE;
}

/* Past the constructor of the class, which has the same order: it would cost more than the event. */
static PyObject *event_out(const kvb_store *store, const kvb_event *event)
{
    PyObject *fields = Py_BuildValue(
        "((ssssNKIdN))", kvb_event_kind(event->type), kivi_store_scheme(store->store), event->verb,
        kivi_status_name(event->status), error_of(event->status), (unsigned long long)event->items,
        (unsigned int)event->attempt, (double)event->duration_ns / 1e9, key_of(store, event->key));
    PyObject *object = fields ? PyTuple_Type.tp_new((PyTypeObject *)kvp.Event, fields, NULL) : NULL;
    Py_XDECREF(fields);
    return object;
}

static int interrupt(void *nothing)
{
    (void)nothing;
    PyErr_SetNone(PyExc_KeyboardInterrupt);
    return -1;
}

/*
 * No call fails by it. Ctrl-C is for the program, which gets it as soon as the call is over: not as a signal, which may be
 * ignored.
 */
static void report(PyObject *function)
{
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) && Py_AddPendingCall(interrupt, NULL) == 0) {
        PyErr_Clear();
        return;
    }
    PyErr_WriteUnraisable(function);
}

static void tell_one(const kvb_store *store, const kvb_event *event)
{
    PyObject *function = kvp_config_of(store)->on_event, *object, *said;
    if (!function) /* the garbage collector took it */
        return;
    Py_INCREF(function);
    object = event_out(store, event);
    said = object ? PyObject_CallOneArg(function, object) : NULL;
    if (!said)
        report(function);
    Py_XDECREF(said);
    Py_XDECREF(object);
    Py_DECREF(function);
}

void kvp_tell(kvb_store *store)
{
    size_t left = kvb_events_count(store->events);
    PyObject *type, *value, *trace;
    kvb_event event;
    if (!left || telling)
        return;
    PyErr_Fetch(&type, &value, &trace);
    kvb_store_ref(store);
    telling = true;
    for (; left && kvb_events_next(store->events, &event); left--) {
        tell_one(store, &event);
        kvb_event_release(&event);
    }
    telling = false;
    kvb_store_unref(store);
    PyErr_Restore(type, value, trace);
}

PyObject *kvp_tell_method(PyObject *self, PyObject *nothing)
{
    (void)nothing;
    kvp_tell_events(((kvp_store *)self)->store);
    Py_RETURN_NONE;
}
