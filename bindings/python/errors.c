/* Failures as exceptions: one class a status. */
#include <stdarg.h>

#include "module.h"

static const char *retryable_word(kivi_retryable retryable)
{
    switch (retryable) {
    case KIVI_RETRY_YES:
        return "yes";
    case KIVI_RETRY_IF_IDEMPOTENT:
        return "if_idempotent";
    case KIVI_RETRY_LATER:
        return "later";
    default:
        return "no";
    }
}

static bool give(PyObject *exception, const char *name, PyObject *value)
{
    int failed = !value || PyObject_SetAttrString(exception, name, value);
    Py_XDECREF(value);
    return !failed;
}

static PyObject *make(kivi_status status, PyObject *message)
{
    PyObject *class = kvp.errors ? PyDict_GetItemString(kvp.errors, kvb_error_name(status)) : NULL;
    PyObject *exception = message ? PyObject_CallFunctionObjArgs(class ? class : PyExc_RuntimeError,
                                                                 message, NULL)
                                  : NULL;
    Py_XDECREF(message);
    if (exception && !class && !give(exception, "status", PyUnicode_FromString("UNKNOWN")))
        Py_CLEAR(exception);
    return exception;
}

PyObject *kvp_exception(kivi_status status, const kivi_error *error)
{
    char space[KVB_MESSAGE];
    const char *text = error ? kvb_message(kivi_error_message(error), "kivi", space)
                             : kivi_status_name(status);
    PyObject *exception = make(status, PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace"));
    if (!exception || !error)
        return exception;
    if (!give(exception, "backend", PyUnicode_FromString(kivi_error_backend(error))) ||
        !give(exception, "native_code", PyLong_FromLongLong(kivi_error_native_code(error))) ||
        !give(exception, "native_text", PyUnicode_FromString(kivi_error_native_text(error))) ||
        !give(exception, "retryable", PyUnicode_FromString(retryable_word(kivi_error_retryable(error)))))
        Py_CLEAR(exception);
    return exception;
}

PyObject *kvp_raise_exception(PyObject *exception)
{
    if (exception)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
    return NULL;
}

PyObject *kvp_raise(kivi_status status, kivi_error *error)
{
    PyObject *exception = kvp_exception(status, error);
    kivi_error_free(error);
    return kvp_raise_exception(exception);
}

PyObject *kvp_raise_text(kivi_status status, const char *format, ...)
{
    va_list arguments;
    PyObject *message;
    va_start(arguments, format);
    message = PyUnicode_FromFormatV(format, arguments);
    va_end(arguments);
    return kvp_raise_exception(make(status, message));
}

/* ---- whose value it is ---- */

static bool is_ours(PyObject *exception)
{
    PyObject *class = kvp.errors ? PyDict_GetItemString(kvp.errors, "Error") : NULL;
    return class && PyObject_TypeCheck(exception, (PyTypeObject *)class);
}

static void name_in_message(PyObject *exception, kivi_slice key)
{
    char text[KVB_KEY_PREFIX];
    PyObject *prefix, *said, *args;
    kvb_key_prefix(key, text);
    prefix = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    said = PyObject_GetAttrString(exception, "message");
    args = prefix && said ? Py_BuildValue("(N)", PyUnicode_FromFormat("%U%S", prefix, said)) : NULL;
    give(exception, "args", args);
    Py_XDECREF(prefix);
    Py_XDECREF(said);
}

/* One that was named before, by a call inside this one, keeps its name. */
static bool has_key(PyObject *exception)
{
    PyObject *key = PyObject_GetAttrString(exception, "key");
    bool named = key && key != Py_None;
    Py_XDECREF(key);
    PyErr_Clear();
    return named;
}

void kvp_exception_name_key(PyObject *exception, PyObject *key, kivi_slice bytes, bool in_message)
{
    if (has_key(exception))
        return;
    if (key && PyObject_SetAttrString(exception, "key", key) == 0 && in_message && is_ours(exception))
        name_in_message(exception, bytes);
    PyErr_Clear(); /* an exception that takes no attributes is raised as it is */
}

/* What is raised, ready to be given attributes; NULL: it is no failure (KeyboardInterrupt). */
static PyObject *fetch(PyObject **type, PyObject **trace)
{
    PyObject *raised;
    PyErr_Fetch(type, &raised, trace);
    PyErr_NormalizeException(type, &raised, trace);
    if (raised && PyObject_TypeCheck(raised, (PyTypeObject *)PyExc_Exception))
        return raised;
    PyErr_Restore(*type, raised, *trace);
    return NULL;
}

void kvp_name_key(const kvp_config *config, kivi_slice key)
{
    PyObject *type, *trace, *raised = fetch(&type, &trace), *shown;
    if (!raised)
        return;
    shown = kvp_key_out(config, key);
    kvp_exception_name_key(raised, shown, key, true);
    Py_XDECREF(shown);
    PyErr_Restore(type, raised, trace);
}

void kvp_name_refused(const kvp_config *config, PyObject *key)
{
    PyObject *type, *trace, *raised = fetch(&type, &trace), *shown;
    kivi_slice bytes;
    if (!raised)
        return;
    if (is_ours(raised) && kvp_key_in(key, &bytes)) {
        shown = kvp_key_out(config, bytes);
        kvp_exception_name_key(raised, shown, bytes, false);
        Py_XDECREF(shown);
    }
    PyErr_Clear();
    PyErr_Restore(type, raised, trace);
}

PyObject *kvp_name_key_method(PyObject *module, PyObject *args)
{
    PyObject *exception, *key;
    kivi_slice bytes;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO:name_key", &exception, &key) || !kvp_key_in(key, &bytes))
        return NULL;
    kvp_exception_name_key(exception, key, bytes, true);
    Py_RETURN_NONE;
}

/* ---- several failures of one call ---- */

static bool put(PyObject *failures, size_t index, PyObject *exception)
{
    PyObject *at = PyLong_FromSize_t(index);
    bool ok = failures && at && PyDict_SetItem(failures, at, exception) == 0;
    Py_XDECREF(at);
    return ok;
}

bool kvp_failure_note(PyObject **failures, size_t index)
{
    PyObject *type, *trace, *raised = fetch(&type, &trace);
    bool ok = raised && !PyErr_GivenExceptionMatches(type, PyExc_MemoryError);
    if (!ok) {
        if (raised)
            PyErr_Restore(type, raised, trace);
        return false;
    }
    if (trace)
        PyException_SetTraceback(raised, trace);
    if (!*failures)
        *failures = PyDict_New();
    ok = put(*failures, index, raised);
    Py_XDECREF(type);
    Py_XDECREF(raised);
    Py_XDECREF(trace);
    return ok;
}

/* The same again, so that it is not within itself; those of hooks cannot be made again. */
static PyObject *copy_of(PyObject *exception)
{
    PyObject *args, *copy, *members, *own;
    if (!is_ours(exception)) {
        Py_INCREF(exception);
        return exception;
    }
    args = PyObject_GetAttrString(exception, "args");
    copy = args ? PyObject_CallObject((PyObject *)Py_TYPE(exception), args) : NULL;
    members = copy ? PyObject_GetAttrString(exception, "__dict__") : NULL;
    own = members ? PyDict_Copy(members) : NULL;
    if (!own || PyObject_SetAttrString(copy, "__dict__", own))
        Py_CLEAR(copy);
    Py_XDECREF(own);
    Py_XDECREF(args);
    Py_XDECREF(members);
    return copy;
}

PyObject *kvp_failures_exception(PyObject *failures)
{
    PyObject *key, *first = NULL, *exception;
    Py_ssize_t at = 0;
    PyDict_Next(failures, &at, &key, &first); /* positions were noted in order */
    exception = first ? copy_of(first) : NULL;
    if (exception && PyObject_SetAttrString(exception, "failures", failures))
        PyErr_Clear();
    Py_DECREF(failures);
    return exception;
}

void kvp_name_item(const kvp_config *config, kivi_slice key, size_t index)
{
    PyObject *type, *trace, *raised = fetch(&type, &trace), *shown, *failures, *all;
    if (!raised)
        return;
    if (is_ours(raised)) {
        shown = key.data ? kvp_key_out(config, key) : NULL;
        kvp_exception_name_key(raised, shown, key, false); /* the path in the message does */
        Py_XDECREF(shown);
        failures = PyDict_New();
        all = NULL;
        if (put(failures, index, raised))
            all = kvp_failures_exception(failures);
        else
            Py_XDECREF(failures);
        PyErr_Clear();
        if (all)
            Py_SETREF(raised, all);
    }
    PyErr_Restore(type, raised, trace);
}
