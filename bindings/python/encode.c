/* Python objects into a writer, straight: no tree in between. */
#include "module.h"

enum { MAX_DEPTH = 128 }; /* what a reader takes by default */

typedef struct encoding {
    kivi_writer *writer;
    const kvp_config *config;
} encoding;

static bool write_object(const encoding *to, PyObject *object, const kvp_link *link, int depth);
static bool write_by_hook(const encoding *to, PyObject *object, const kvp_link *outer, int depth);

/* What msgpack cannot hold of a type that it has: the hook may turn it into something else. */
static bool write_unfit(const encoding *to, PyObject *object, const kvp_link *link, int depth,
                        const char *reason)
{
    if (to->config->default_hook)
        return write_by_hook(to, object, link, depth);
    return kvp_refuse(link, "%s", reason);
}

static bool write_int(const encoding *to, PyObject *object, const kvp_link *link, int depth)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    unsigned long long large;
    if (!overflow) {
        kivi_writer_int(to->writer, number);
        return true;
    }
    large = overflow > 0 ? PyLong_AsUnsignedLongLong(object) : 0;
    if (overflow < 0 || (large == (unsigned long long)-1 && PyErr_Occurred())) {
        PyErr_Clear();
        return write_unfit(to, object, link, depth, "an int beyond 64 bits cannot be stored");
    }
    kivi_writer_uint(to->writer, large);
    return true;
}

static bool write_str(const encoding *to, PyObject *object, const kvp_link *link, int depth)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(object, &size);
    if (!text) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeError))
            return false;
        PyErr_Clear();
        return write_unfit(to, object, link, depth,
                           "a str with lone surrogates is not text and cannot be stored");
    }
    kivi_writer_str(to->writer, kivi_bytes(text, (size_t)size));
    return true;
}

static bool write_buffer(const encoding *to, PyObject *object)
{
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_FULL_RO))
        return false;
    if (PyBuffer_IsContiguous(&view, 'C')) {
        kivi_writer_bin(to->writer, kivi_bytes(view.buf, (size_t)view.len));
    } else {
        PyObject *copy = PyBytes_FromObject(object);
        if (copy)
            kivi_writer_bin(to->writer,
                            kivi_bytes(PyBytes_AS_STRING(copy), (size_t)PyBytes_GET_SIZE(copy)));
        Py_XDECREF(copy);
    }
    PyBuffer_Release(&view);
    return !PyErr_Occurred();
}

/* ---- containers ---- */

static bool is_inside_itself(PyObject *object, const kvp_link *link)
{
    for (; link; link = link->outer)
        if (link->container == object)
            return true;
    return false;
}

static bool may_nest(PyObject *object, const kvp_link *link, int depth)
{
    if (depth < MAX_DEPTH)
        return true;
    for (const kvp_link *at = link; at; at = at->outer)
        if (at->container && (at->container == object || is_inside_itself(at->container, at->outer)))
            return kvp_refuse(NULL, "a container that holds itself cannot be stored");
    return kvp_refuse(NULL, "nested deeper than %d containers", MAX_DEPTH);
}

static bool changed(void)
{
    PyErr_SetString(PyExc_RuntimeError, "a container changed its size while it was stored");
    return false;
}

static bool write_sequence(const encoding *to, PyObject *list, const kvp_link *outer, int depth)
{
    kvp_link link = {.outer = outer, .container = list};
    Py_ssize_t count = PySequence_Fast_GET_SIZE(list);
    if (!may_nest(list, outer, depth))
        return false;
    kivi_writer_array(to->writer, (size_t)count);
    for (; link.index < PySequence_Fast_GET_SIZE(list); link.index++) {
        PyObject *item = PySequence_Fast_GET_ITEM(list, link.index);
        bool ok;
        Py_INCREF(item); /* a hook may take it out of the list */
        ok = write_object(to, item, &link, depth + 1);
        Py_DECREF(item);
        if (!ok)
            return false;
    }
    return link.index == count || changed();
}

/* Whether different keys of a dict, or the pairs of a Pairs, may still be one when they are stored. */
static bool may_be_the_same(PyObject *key)
{
    if (PyFloat_CheckExact(key))
        return PyFloat_AS_DOUBLE(key) != PyFloat_AS_DOUBLE(key);
    return !PyUnicode_CheckExact(key) && !PyLong_CheckExact(key) && !PyBytes_CheckExact(key) &&
           !PyBool_Check(key) && key != Py_None;
}

typedef struct key_check {
    PyObject *seen; /* a set of keys as stored; NULL: none is needed so far */
    kivi_writer *writer;
    kivi_buffer bytes;
} key_check;

static bool check_key(key_check *check, const encoding *to, PyObject *key, const kvp_link *link, int depth)
{
    encoding alone = {.config = to->config};
    PyObject *stored = NULL;
    bool ok = false;
    int there;
    if (!check->seen && !(check->seen = PySet_New(NULL)))
        return false;
    if (!check->writer && kivi_writer_new("msgpack", &check->writer, NULL)) {
        PyErr_NoMemory();
        return false;
    }
    alone.writer = check->writer;
    check->bytes.size = 0;
    kivi_writer_start(check->writer, &check->bytes);
    if (!write_object(&alone, key, link, depth) || kivi_writer_finish(check->writer, NULL))
        return PyErr_Occurred() ? false : kvp_refuse(link, "this key cannot be stored");
    stored = PyBytes_FromStringAndSize((const char *)check->bytes.data, (Py_ssize_t)check->bytes.size);
    there = stored ? PySet_Contains(check->seen, stored) : -1;
    if (there > 0)
        kvp_refuse(link, "this key is there twice");
    else if (there == 0)
        ok = PySet_Add(check->seen, stored) == 0;
    Py_XDECREF(stored);
    return ok;
}

static void end_check(key_check *check)
{
    Py_XDECREF(check->seen);
    kivi_writer_free(check->writer);
    kivi_buffer_free(&check->bytes);
}

static bool needs_check(PyObject *dict)
{
    PyObject *key, *value;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &key, &value))
        if (may_be_the_same(key))
            return true;
    return false;
}

static bool write_pair(const encoding *to, key_check *check, PyObject *key, PyObject *value,
                       kvp_link *link, int depth)
{
    link->key = key;
    if (check && !check_key(check, to, key, link, depth + 1))
        return false;
    if (PyUnicode_CheckExact(key)) {
        if (!write_str(to, key, link, depth + 1))
            return false;
    } else if (!write_object(to, key, link, depth + 1)) {
        return false;
    }
    return write_object(to, value, link, depth + 1);
}

static bool write_dict(const encoding *to, PyObject *dict, const kvp_link *outer, int depth)
{
    kvp_link link = {.outer = outer, .container = dict};
    Py_ssize_t count = PyDict_GET_SIZE(dict), at = 0, wrote = 0;
    key_check check = {NULL, NULL, KIVI_BUFFER_INIT};
    bool checked = needs_check(dict), ok = true;
    PyObject *key, *value;
    if (!may_nest(dict, outer, depth))
        return false;
    kivi_writer_map(to->writer, (size_t)count);
    for (; ok && PyDict_Next(dict, &at, &key, &value); wrote++) {
        Py_INCREF(key); /* a hook may take them out of the dict */
        Py_INCREF(value);
        ok = write_pair(to, checked ? &check : NULL, key, value, &link, depth);
        Py_DECREF(key);
        Py_DECREF(value);
    }
    end_check(&check);
    return ok && (wrote == count || changed());
}

static bool write_pairs(const encoding *to, PyObject *pairs, const kvp_link *outer, int depth)
{
    kvp_link link = {.outer = outer, .container = pairs};
    key_check check = {NULL, NULL, KIVI_BUFFER_INIT};
    Py_ssize_t count = PyList_GET_SIZE(pairs), at = 0;
    bool ok = true;
    if (!may_nest(pairs, outer, depth))
        return false;
    kivi_writer_map(to->writer, (size_t)count);
    for (; ok && at < PyList_GET_SIZE(pairs); at++) {
        PyObject *pair = PyList_GET_ITEM(pairs, at), *key, *value;
        link.key = NULL;
        link.index = at;
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
            ok = kvp_refuse(&link, "kivi.Pairs holds tuples of a key and a value");
            break;
        }
        Py_INCREF(pair);
        key = PyTuple_GET_ITEM(pair, 0);
        value = PyTuple_GET_ITEM(pair, 1);
        ok = write_pair(to, &check, key, value, &link, depth);
        Py_DECREF(pair);
    }
    end_check(&check);
    return ok && (at == count || changed());
}

/* ---- objects of other types ---- */

static bool write_ext(const encoding *to, PyObject *object, const kvp_link *link)
{
    PyObject *type = PyObject_GetAttrString(object, "type");
    PyObject *data = type ? PyObject_GetAttrString(object, "data") : NULL;
    long number = data ? PyLong_AsLong(type) : -1;
    bool ok = false;
    if (!data || (number == -1 && PyErr_Occurred()))
        goto out;
    if (number < -128 || number > 127 || number == -1 || !PyBytes_Check(data)) {
        kvp_refuse(link, "a kivi.Ext has a type from -128 to 127 but -1, and bytes");
        goto out;
    }
    kivi_writer_ext(to->writer, (int8_t)number,
                    kivi_bytes(PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data)));
    ok = true;
out:
    Py_XDECREF(type);
    Py_XDECREF(data);
    return ok;
}

static bool write_timestamp(const encoding *to, PyObject *object, const kvp_link *link)
{
    PyObject *seconds = PyObject_GetAttrString(object, "seconds");
    PyObject *fraction = seconds ? PyObject_GetAttrString(object, "nanoseconds") : NULL;
    long long whole = fraction ? PyLong_AsLongLong(seconds) : -1;
    long nanoseconds = fraction ? PyLong_AsLong(fraction) : -1;
    Py_XDECREF(seconds);
    Py_XDECREF(fraction);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError))
            return false;
        PyErr_Clear();
        nanoseconds = -1;
    }
    if (nanoseconds < 0 || nanoseconds > 999999999)
        return kvp_refuse(
            link, "a kivi.Timestamp has seconds of 64 bits and 0 to 999,999,999 nanoseconds");
    kivi_writer_timestamp(to->writer, whole, (uint32_t)nanoseconds);
    return true;
}

static bool write_datetime(const encoding *to, PyObject *object, const kvp_link *link, int depth)
{
    int64_t seconds;
    uint32_t nanoseconds;
    if (!kvp_datetime_has_zone(object))
        return !PyErr_Occurred() && write_unfit(to, object, link, depth,
                                                "a datetime without a time zone cannot be stored");
    if (!kvp_datetime_in(object, link, &seconds, &nanoseconds))
        return false;
    kivi_writer_timestamp(to->writer, seconds, nanoseconds);
    return true;
}

static bool write_by_hook(const encoding *to, PyObject *object, const kvp_link *outer, int depth)
{
    kvp_link link = {.outer = outer ? outer->outer : NULL, .container = object};
    PyObject *other;
    bool ok;
    if (!to->config->default_hook)
        return kvp_refuse(outer, "a %s cannot be stored", Py_TYPE(object)->tp_name);
    if (!may_nest(object, outer, depth))
        return false;
    if (outer) {
        link.key = outer->key;
        link.index = outer->index;
    }
    other = PyObject_CallFunctionObjArgs(to->config->default_hook, object, NULL);
    if (!other)
        return false;
    ok = write_object(to, other, outer ? &link : NULL, depth + 1);
    Py_DECREF(other);
    return ok;
}

static bool write_other(const encoding *to, PyObject *object, const kvp_link *link, int depth)
{
    PyObject *type = (PyObject *)Py_TYPE(object);
    if (type == kvp.Ext)
        return write_ext(to, object, link);
    if (type == kvp.Timestamp)
        return write_timestamp(to, object, link);
    if (type == kvp.Pairs)
        return write_pairs(to, object, link, depth);
    if (PyUnicode_Check(object))
        return write_str(to, object, link, depth);
    if (PyLong_Check(object))
        return write_int(to, object, link, depth);
    if (PyDict_Check(object))
        return write_dict(to, object, link, depth);
    if (PyList_Check(object) || PyTuple_Check(object))
        return write_sequence(to, object, link, depth);
    if (PyFloat_Check(object)) {
        kivi_writer_float(to->writer, PyFloat_AS_DOUBLE(object));
        return true;
    }
    if (PyBytes_Check(object) || PyByteArray_Check(object) || PyMemoryView_Check(object))
        return write_buffer(to, object);
    if (kvp_is_datetime(object))
        return write_datetime(to, object, link, depth);
    return write_by_hook(to, object, link, depth);
}

static bool write_object(const encoding *to, PyObject *object, const kvp_link *link, int depth)
{
    if (PyUnicode_CheckExact(object))
        return write_str(to, object, link, depth);
    if (PyLong_CheckExact(object))
        return write_int(to, object, link, depth);
    if (PyDict_CheckExact(object))
        return write_dict(to, object, link, depth);
    if (PyList_CheckExact(object) || PyTuple_CheckExact(object))
        return write_sequence(to, object, link, depth);
    if (PyFloat_CheckExact(object))
        kivi_writer_float(to->writer, PyFloat_AS_DOUBLE(object));
    else if (object == Py_None)
        kivi_writer_nil(to->writer);
    else if (PyBool_Check(object))
        kivi_writer_bool(to->writer, object == Py_True);
    else if (PyBytes_CheckExact(object))
        kivi_writer_bin(to->writer,
                        kivi_bytes(PyBytes_AS_STRING(object), (size_t)PyBytes_GET_SIZE(object)));
    else
        return write_other(to, object, link, depth);
    return true;
}

/* By a codec of Python's own: its bytes are the value. */
static bool write_dumped(const encoding *to, PyObject *object)
{
    PyObject *bytes = PyObject_CallFunctionObjArgs(to->config->dumps, object, NULL);
    bool ok = bytes && PyBytes_Check(bytes);
    if (ok)
        kivi_writer_bin(to->writer,
                        kivi_bytes(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)));
    else if (bytes)
        PyErr_SetString(PyExc_TypeError, "dumps of a codec returns bytes");
    Py_XDECREF(bytes);
    return ok;
}

bool kvp_encode(kvb_store *store, kivi_writer *writer, PyObject *object, const kvp_link *link)
{
    encoding to = {writer, kvp_config_of(store)};
    kivi_error *error = NULL;
    kivi_status status;
    if (to.config->dumps ? !write_dumped(&to, object) : !write_object(&to, object, link, 0)) {
        kivi_writer_finish(writer, NULL); /* cuts what was begun */
        return false;
    }
    status = kivi_writer_finish(writer, &error);
    if (status)
        kvp_raise(status, error);
    return !status;
}
