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

PyObject *kvp_answer_read(kvb_answer *answer, kivi_slice bytes)
{
    const kvp_config *config = kvp_config_of(answer->store);
    PyObject *object = kvp_decode(config, kvb_answer_reader(answer), bytes);
    if (!object)
        kvp_name_key(config, answer->request.key);
    return object;
}

/* What cannot be read stays in the store, and its bytes are in the exception: to repair it, or to delete the key. */
static void attach_stored(kvb_answer *answer)
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
        object = kvp_answer_read(answer, answer->done.value);
        if (!object && kvb_answer_is_unconfirmed(answer))
            attach_stored(answer);
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
        value = kvp_answer_read(answer, answer->done.value);
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

PyObject *kvp_item_exception(const kvb_answer *answer, kivi_status status, const kivi_error *error,
                             size_t index)
{
    kivi_slice bytes = kvb_answer_item_key(answer, index);
    PyObject *exception = kvp_exception(status, error), *key;
    if (!exception || !bytes.data)
        return exception;
    key = kvp_key_out(kvp_config_of(answer->store), bytes);
    kvp_exception_name_key(exception, key, bytes, kvb_is_about_key(answer, status));
    Py_XDECREF(key);
    return exception;
}

/* kivi.Result(status, existed, integer, error) */
static PyObject *result_out(const kvb_answer *answer, size_t index)
{
    const kivi_result *result = answer->done.result;
    kivi_status status = kivi_result_status(result, index);
    const kivi_error *error = kivi_result_error(result, index);
    PyObject *exception = error ? kvp_item_exception(answer, status, error, index) : NULL;
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

static PyObject *results_out(const kvb_answer *answer)
{
    size_t count = kivi_result_count(answer->done.result);
    PyObject *list = PyList_New(0), *item;
    int failed = !list;
    for (size_t i = 0; !failed && i < count; i++) {
        item = result_out(answer, i);
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
        return kvp_found_out(answer);
    case KVB_RESULTS:
        return results_out(answer);
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

static bool add_failure(const kvb_answer *answer, PyObject *failures, size_t index,
                        kivi_status status, const kivi_error *error)
{
    PyObject *at = PyLong_FromSize_t(index);
    PyObject *exception = at ? kvp_item_exception(answer, status, error, index) : NULL;
    bool ok = exception && PyDict_SetItem(failures, at, exception) == 0;
    Py_XDECREF(at);
    Py_XDECREF(exception);
    return ok;
}

static bool has_many_keys(const kvb_answer *answer)
{
    int32_t verb = answer->request.verb;
    return verb == KIVI_VERB_GET_MANY || verb == KIVI_VERB_SET_MANY ||
           verb == KIVI_VERB_DELETE_MANY || verb == KIVI_VERB_APPLY;
}

/* Of a batch that failed as a whole (the store is closed, the time is over): all its keys did. */
static bool add_all(const kvb_answer *answer, PyObject *failures)
{
    const kivi_completion *done = &answer->done;
    bool ok = true;
    for (size_t i = 0; ok && i < answer->request.count; i++)
        ok = add_failure(answer, failures, i, done->status, done->error);
    return ok;
}

/* The errors of a batch's items, by position; of one that was refused for an item, that of the item. */
static PyObject *failures_out(const kvb_answer *answer)
{
    const kivi_completion *done = &answer->done;
    PyObject *failures = PyDict_New();
    bool ok = failures != NULL;
    for (size_t i = 0; ok && i < kivi_result_count(done->result); i++)
        if (kivi_result_error(done->result, i))
            ok = add_failure(answer, failures, i, kivi_result_status(done->result, i),
                             kivi_result_error(done->result, i));
    if (ok && !done->result && kivi_error_index(done->error) == SIZE_MAX)
        ok = add_all(answer, failures);
    else if (ok && !done->result)
        ok = add_failure(answer, failures, kivi_error_index(done->error), done->status, done->error);
    if (ok)
        return failures;
    Py_XDECREF(failures);
    return NULL;
}

static bool attach_outcome(PyObject *exception, kvb_answer *answer)
{
    const kivi_completion *done = &answer->done;
    if (done->result && answer->request.verb == KIVI_VERB_APPLY &&
        !attach(exception, "results", results_out(answer)))
        return false;
    if (done->result || has_many_keys(answer) || kivi_error_index(done->error) != SIZE_MAX)
        return attach(exception, "failures", failures_out(answer));
    if (answer->request.verb == KVB_VERB_COPY)
        return attach(exception, "copied", copied_out(answer));
    return true;
}

static void name_key(PyObject *exception, const kvb_answer *answer)
{
    kivi_slice bytes = kvb_answer_key(answer);
    PyObject *key;
    if (!bytes.data)
        return;
    key = kvp_key_out(kvp_config_of(answer->store), bytes);
    kvp_exception_name_key(exception, key, bytes, kvb_is_about_key(answer, answer->done.status));
    Py_XDECREF(key);
}

PyObject *kvp_answer_exception(kvb_answer *answer)
{
    PyObject *exception;
    if (answer->done.status == KIVI_NOT_FOUND) { /* of a call that needs the key */
        PyObject *key = kvp_key_out(kvp_config_of(answer->store), answer->request.key);
        PyObject *class = PyDict_GetItemString(kvp.errors, "NotFound");
        exception = key && class ? PyObject_CallFunctionObjArgs(class, key, NULL) : NULL;
        Py_XDECREF(key);
        return exception;
    }
    exception = kvp_exception(answer->done.status, answer->done.error);
    if (exception)
        name_key(exception, answer);
    if (exception && !attach_outcome(exception, answer))
        Py_CLEAR(exception);
    return exception;
}

static PyObject *failure_out(kvb_answer *answer)
{
    if (PyErr_Occurred()) /* of a conversion */
        return NULL;
    if (!answer->store)
        return PyErr_NoMemory();
    if (answer->failure && answer->done.status == KIVI_ABORTED) { /* of the computation that it waited for */
        Py_INCREF((PyObject *)answer->failure);
        return kvp_raise_exception(answer->failure);
    }
    return kvp_raise_exception(kvp_answer_exception(answer));
}

PyObject *kvp_answer_value(kvb_answer *answer)
{
    if (PyErr_Occurred()) /* a signal's, or a callback's */
        return NULL;
    if (answer->request.verb == KIVI_VERB_GET_MANY && answer->done.result)
        return kvp_found_out(answer); /* also where some of the keys failed */
    if (kvb_answer_failed(answer) || (answer->in_place && !answer->object))
        return failure_out(answer);
    return success_out(answer);
}

PyObject *kvp_answer_out(kvb_answer *answer)
{
    kvb_store *store = answer->store; /* the caller's object holds it */
    PyObject *object;
    if (store && store->queue && answer->request.verb < KVB_VERB_UPDATE)
        return kvp_call_out(answer);
    object = kvp_answer_value(answer);
    while (object && kvb_answer_is_unconfirmed(answer)) {
        kvb_answer_confirm(answer);
        if (kvb_answer_is_confirmed(answer) && !PyErr_Occurred())
            break;
        Py_DECREF(object);
        object = kvp_answer_value(answer);
    }
    if (answer->request.verb == KVB_VERB_UPDATE)
        Py_XDECREF((PyObject *)answer->object);
    if (answer->store)
        Py_XDECREF((PyObject *)answer->failure);
    kvb_answer_give(answer);
    if (store && !store->queue) /* else the loop tells, in its own thread */
        kvp_tell_events(store);
    return object;
}
