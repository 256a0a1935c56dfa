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
    const char *text = error ? kivi_error_message(error) : kivi_status_name(status);
    PyObject *exception = make(status, PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace"));
    if (!exception || !error)
        return exception;
    if (!give(exception, "backend", PyUnicode_FromString(kivi_error_backend(error))) ||
        !give(exception, "native_code", PyLong_FromLongLong(kivi_error_native_code(error))) ||
        !give(exception, "retryable", PyUnicode_FromString(retryable_word(kivi_error_retryable(error)))))
        Py_CLEAR(exception);
    return exception;
}

static PyObject *raise_it(PyObject *exception)
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
    return raise_it(exception);
}

PyObject *kvp_raise_text(kivi_status status, const char *format, ...)
{
    va_list arguments;
    PyObject *message;
    va_start(arguments, format);
    message = PyUnicode_FromFormatV(format, arguments);
    va_end(arguments);
    return raise_it(make(status, message));
}
