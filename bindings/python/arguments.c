/* Arguments of calls: keys, times, numbers, values. */
#include "module.h"

bool kvp_key_in(PyObject *object, kivi_slice *key)
{
    Py_ssize_t size;
    const char *text;
    if (PyUnicode_Check(object)) {
        text = PyUnicode_AsUTF8AndSize(object, &size);
        if (!text && PyErr_ExceptionMatches(PyExc_UnicodeError)) {
            PyErr_Clear();
            kvp_raise_text(KIVI_INVALID, "a key with lone surrogates is not text; give its bytes");
        }
        if (!text)
            return false;
        *key = kivi_bytes(text, (size_t)size);
        return true;
    }
    if (PyBytes_Check(object)) {
        *key = kivi_bytes(PyBytes_AS_STRING(object), (size_t)PyBytes_GET_SIZE(object));
        return true;
    }
    PyErr_Format(PyExc_TypeError, "a key is str or bytes, not %.100s", Py_TYPE(object)->tp_name);
    return false;
}

bool kvp_prefix_in(PyObject *object, kivi_slice *prefix)
{
    if (object && object != Py_None)
        return kvp_key_in(object, prefix);
    *prefix = kivi_bytes(NULL, 0);
    return true;
}

/* A number of seconds, or a timedelta. */
static bool seconds_in(PyObject *object, const char *what, double *seconds)
{
    PyObject *total;
    if (PyBool_Check(object) || PyUnicode_Check(object))
        goto wrong;
    if (PyFloat_Check(object) || PyLong_Check(object)) {
        *seconds = PyFloat_AsDouble(object);
        if (*seconds == -1.0 && PyErr_Occurred()) {
            PyErr_Clear();
            *seconds = Py_HUGE_VAL;
        }
        return true;
    }
    total = PyObject_CallMethod(object, "total_seconds", NULL);
    if (total) {
        *seconds = PyFloat_AsDouble(total);
        Py_DECREF(total);
        return !PyErr_Occurred();
    }
    if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        *seconds = PyFloat_AsDouble(object);
        if (!PyErr_Occurred())
            return true;
        PyErr_Clear();
        goto wrong;
    }
    return false;
wrong:
    PyErr_Format(PyExc_TypeError, "%s is a number of seconds, not %.100s", what, Py_TYPE(object)->tp_name);
    return false;
}

static bool milliseconds_in(PyObject *object, const char *what, int64_t *ms)
{
    double seconds;
    if (!seconds_in(object, what, &seconds))
        return false;
    if (kvb_milliseconds(seconds, ms))
        return true;
    kvp_raise_text(KIVI_INVALID, "%s must be above 0 seconds and at most 100 years", what);
    return false;
}

bool kvp_ttl_in(PyObject *object, int64_t *ttl_ms)
{
    *ttl_ms = KIVI_TTL_NONE;
    if (!object || object == Py_None)
        return true;
    if (object == kvp.KEEP ||
        (PyUnicode_Check(object) && PyUnicode_CompareWithASCIIString(object, "keep") == 0)) {
        *ttl_ms = KIVI_TTL_KEEP;
        return true;
    }
    return milliseconds_in(object, "ttl", ttl_ms);
}

bool kvp_timeout_in(PyObject *object, int64_t *timeout_ms)
{
    *timeout_ms = 0;
    return !object || object == Py_None || milliseconds_in(object, "timeout", timeout_ms);
}

bool kvp_integer_in(PyObject *object, int64_t *number)
{
    int overflow;
    if (!PyLong_Check(object) || PyBool_Check(object)) {
        PyErr_Format(PyExc_TypeError, "an int is needed, not %.100s", Py_TYPE(object)->tp_name);
        return false;
    }
    *number = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow)
        kvp_raise_text(KIVI_OVERFLOW, "the number is beyond 64 bits");
    return !overflow;
}

bool kvp_size_in(PyObject *object, uint64_t *number)
{
    int64_t given = 0;
    if (object && object != Py_None && !kvp_integer_in(object, &given))
        return false;
    if (given < 0) {
        kvp_raise_text(KIVI_INVALID, "the number must not be negative");
        return false;
    }
    *number = (uint64_t)given;
    return true;
}

bool kvp_function_in(PyObject *object, void **function)
{
    *function = object == Py_None ? NULL : object;
    if (!*function || PyCallable_Check(object))
        return true;
    PyErr_Format(PyExc_TypeError, "a function is needed, not %.100s", Py_TYPE(object)->tp_name);
    return false;
}

kvb_encoder *kvp_value_in(kvb_store *store, PyObject *object, const kvp_link *link)
{
    kvb_encoder *encoder = kvb_encoder_take(store);
    if (!encoder) {
        PyErr_NoMemory();
        return NULL;
    }
    if (kvp_encode(store, encoder->writer, object, link))
        return encoder;
    kvb_encoder_give(store, encoder);
    return NULL;
}
