/* Answers of calls as Python objects. */
#include "module.h"

char kvp_raise_missing;

static PyObject *missing_key(kvb_answer *answer)
{
    PyObject *missing = answer->missing;
    if (answer->missing == &kvp_raise_missing) {
        PyObject *key = kvp_key_out(kvp_config_of(answer->store), answer->request.key);
        PyObject *class = key ? PyDict_GetItemString(kvp.errors, "NotFound") : NULL;
        if (class)
            PyErr_SetObject(class, key);
        Py_XDECREF(key);
        return NULL;
    }
    missing = missing ? missing : Py_None;
    Py_INCREF(missing);
    return missing;
}

static PyObject *read_value(kvb_answer *answer, kivi_slice bytes)
{
    return kvp_decode(kvp_config_of(answer->store), kvb_answer_reader(answer), bytes);
}

/* What was taken and cannot be read is nowhere any more but in the exception. */
static void keep_taken(kvb_answer *answer)
{
    PyObject *type, *raised, *trace, *stored;
    PyErr_Fetch(&type, &raised, &trace);
    PyErr_NormalizeException(&type, &raised, &trace);
    stored = PyBytes_FromStringAndSize(answer->done.value.data, (Py_ssize_t)answer->done.value.size);
    if (!stored || PyObject_SetAttrString(raised, "stored", stored))
        PyErr_Clear(); /* an exception that takes no attributes */
    Py_XDECREF(stored);
    PyErr_Restore(type, raised, trace);
}

static PyObject *value_out(kvb_answer *answer)
{
    PyObject *object;
    if (answer->done.status == KIVI_NOT_FOUND)
        return missing_key(answer);
    if (!answer->in_place) {
        object = read_value(answer, answer->done.value);
        if (!object && answer->request.verb == KIVI_VERB_TAKE)
            keep_taken(answer);
        return object;
    }
    object = answer->object;
    answer->object = NULL;
    return object;
}

static PyObject *versioned_out(kvb_answer *answer)
{
    PyObject *value, *version;
    if (answer->done.status == KIVI_NOT_FOUND) {
        value = missing_key(answer);
        Py_INCREF(Py_None);
        version = Py_None;
    } else {
        value = read_value(answer, answer->done.value);
        version = value ? PyBytes_FromStringAndSize(answer->done.version.data,
                                                    (Py_ssize_t)answer->done.version.size)
                        : NULL;
    }
    return Py_BuildValue("(NN)", value, version);
}

static PyObject *seconds_out(kvb_answer *answer)
{
    if (answer->done.integer == KIVI_TTL_NONE)
        Py_RETURN_NONE;
    return PyFloat_FromDouble((double)answer->done.integer / 1000.0);
}

static PyObject *found_out(kvb_answer *answer)
{
    PyObject *keys = answer->missing, *found = PyDict_New(), *value;
    const kivi_result *result = answer->done.result;
    size_t count = kivi_result_count(result);
    int failed = !found;
    for (size_t i = 0; !failed && i < count; i++) {
        if (kivi_result_status(result, i) != KIVI_OK)
            continue;
        value = read_value(answer, kivi_result_value(result, i));
        failed = !value || PyDict_SetItem(found, PyTuple_GET_ITEM(keys, (Py_ssize_t)i), value);
        Py_XDECREF(value);
    }
    if (!failed)
        return found;
    Py_XDECREF(found);
    return NULL;
}

/* kivi.Result(status, existed, integer, error) */
static PyObject *result_out(const kivi_result *result, size_t index)
{
    kivi_status status = kivi_result_status(result, index);
    const kivi_error *error = kivi_result_error(result, index);
    PyObject *exception = error ? kvp_exception(status, error) : NULL;
    if (error && !exception)
        return NULL;
    if (!exception) {
        Py_INCREF(Py_None);
        exception = Py_None;
    }
    return PyObject_CallFunction(kvp.Result, "sNLN", kivi_status_name(status),
                                 PyBool_FromLong(kivi_result_existed(result, index)),
                                 (long long)kivi_result_integer(result, index), exception);
}

static PyObject *results_out(const kivi_result *result)
{
    size_t count = kivi_result_count(result);
    PyObject *list = PyList_New(0), *item;
    int failed = !list;
    for (size_t i = 0; !failed && i < count; i++) {
        item = result_out(result, i);
        failed = !item || PyList_Append(list, item);
        Py_XDECREF(item);
    }
    if (!failed)
        return list;
    Py_XDECREF(list);
    return NULL;
}

/* A map that is msgpack whatever the store's codec. */
static PyObject *map_out(kvb_answer *answer)
{
    static const kvp_config plain;
    kivi_reader *reader = NULL;
    PyObject *map;
    if (kivi_reader_new("msgpack", NULL, &reader, NULL))
        return PyErr_NoMemory();
    map = kvp_decode(&plain, reader, answer->done.value);
    kivi_reader_free(reader);
    return map;
}

static PyObject *copied_out(kvb_answer *answer)
{
    const kivi_copy_progress *end = &answer->progress;
    return PyObject_CallFunction(kvp.Copied, "KKKdy#", (unsigned long long)end->copied,
                                 (unsigned long long)end->skipped, (unsigned long long)end->bytes,
                                 (double)end->elapsed_ns / 1e9, (const char *)answer->version.data,
                                 (Py_ssize_t)answer->version.size);
}

static PyObject *nothing_out(kvb_answer *answer)
{
    PyObject *object = answer->request.verb == KVB_VERB_UPDATE ? answer->object : NULL;
    if (!object)
        Py_RETURN_NONE;
    answer->object = NULL;
    return object;
}

static PyObject *success_out(kvb_answer *answer)
{
    switch (kvb_answer_shape(answer)) {
    case KVB_TRUTH:
        return PyBool_FromLong(kvb_answer_truth(answer));
    case KVB_INTEGER:
        return PyLong_FromLongLong(answer->done.integer);
    case KVB_VALUE:
        return value_out(answer);
    case KVB_VERSIONED:
        return versioned_out(answer);
    case KVB_SECONDS:
        return seconds_out(answer);
    case KVB_FOUND:
        return found_out(answer);
    case KVB_RESULTS:
        return results_out(answer->done.result);
    case KVB_PAGE:
        return kvp_page_out(answer);
    case KVB_MAP:
        return map_out(answer);
    case KVB_COPIED:
        return copied_out(answer);
    default:
        return nothing_out(answer);
    }
}

/* ---- failures ---- */

static bool attach(PyObject *exception, const char *name, PyObject *value)
{
    bool ok = value && PyObject_SetAttrString(exception, name, value) == 0;
    Py_XDECREF(value);
    return ok;
}

/* The errors of a batch's items, by position. */
static PyObject *failures_out(const kivi_result *result)
{
    PyObject *failures = PyDict_New(), *key, *exception;
    bool ok = failures != NULL;
    for (size_t i = 0; ok && i < kivi_result_count(result); i++) {
        const kivi_error *error = kivi_result_error(result, i);
        if (!error)
            continue;
        key = PyLong_FromSize_t(i);
        exception = key ? kvp_exception(kivi_result_status(result, i), error) : NULL;
        ok = exception && PyDict_SetItem(failures, key, exception) == 0;
        Py_XDECREF(key);
        Py_XDECREF(exception);
    }
    if (ok)
        return failures;
    Py_XDECREF(failures);
    return NULL;
}

static bool attach_outcome(PyObject *exception, kvb_answer *answer)
{
    if (answer->done.result && answer->request.verb == KIVI_VERB_APPLY)
        return attach(exception, "results", results_out(answer->done.result));
    if (answer->done.result)
        return attach(exception, "failures", failures_out(answer->done.result));
    if (answer->request.verb == KVB_VERB_COPY)
        return attach(exception, "copied", copied_out(answer));
    return true;
}

PyObject *kvp_answer_exception(kvb_answer *answer)
{
    PyObject *exception;
    if (answer->done.status == KIVI_NOT_FOUND) { /* of a call that needs the key */
        PyObject *key = answer->store->queue
                            ? kvp_awaited_key(answer)
                            : kvp_key_out(kvp_config_of(answer->store), answer->request.key);
        PyObject *class = PyDict_GetItemString(kvp.errors, "NotFound");
        exception = key && class ? PyObject_CallFunctionObjArgs(class, key, NULL) : NULL;
        Py_XDECREF(key);
        return exception;
    }
    exception = kvp_exception(answer->done.status, answer->done.error);
    if (exception && !attach_outcome(exception, answer))
        Py_CLEAR(exception);
    return exception;
}

static PyObject *failure_out(kvb_answer *answer)
{
    PyObject *exception;
    if (PyErr_Occurred()) /* of a conversion */
        return NULL;
    if (!answer->store)
        return PyErr_NoMemory();
    exception = kvp_answer_exception(answer);
    if (exception)
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
    return NULL;
}

PyObject *kvp_answer_value(kvb_answer *answer)
{
    if (PyErr_Occurred()) /* a signal's, or a callback's */
        return NULL;
    if (kvb_answer_failed(answer) || (answer->in_place && !answer->object))
        return failure_out(answer);
    return success_out(answer);
}

PyObject *kvp_answer_out(kvb_answer *answer)
{
    PyObject *object;
    if (answer->store && answer->store->queue && answer->request.verb < KVB_VERB_UPDATE)
        return kvp_call_out(answer);
    object = kvp_answer_value(answer);
    if (answer->request.verb == KVB_VERB_UPDATE)
        Py_XDECREF((PyObject *)answer->object);
    kvb_answer_give(answer);
    return object;
}
