/* get_many: the values found as a dict; what could not be read is told with those that could. */
#include "module.h"

typedef struct finding {
    kvb_answer *answer;
    PyObject *keys;     /* a tuple: as they were given */
    PyObject *found;    /* a dict */
    PyObject *failures; /* NULL: none yet */
} finding;

/* One value, read into the dict. */
static bool add(finding *in, size_t index)
{
    kvb_answer *answer = in->answer;
    PyObject *key = PyTuple_GET_ITEM(in->keys, (Py_ssize_t)index), *value;
    bool ok;
    value = kvp_decode(kvp_config_of(answer->store), kvb_answer_reader(answer),
                       kivi_result_value(answer->done.result, index));
    ok = value && PyDict_SetItem(in->found, key, value) == 0;
    Py_XDECREF(value);
    return ok;
}

/* Raises what happened to one item in the store. */
static void raise_failed(const finding *in, size_t index)
{
    const kivi_result *result = in->answer->done.result;
    kivi_status status = kivi_result_status(result, index);
    kvp_raise_exception(kvp_item_exception(in->answer, status, kivi_result_error(result, index), index));
}

static bool read_item(finding *in, size_t index)
{
    kivi_status status = kivi_result_status(in->answer->done.result, index);
    if (status == KIVI_NOT_FOUND || (status == KIVI_OK && add(in, index)))
        return true;
    if (status)
        raise_failed(in, index);
    else
        kvp_name_key(kvp_config_of(in->answer->store), kvb_answer_item_key(in->answer, index));
    return kvp_failure_note(&in->failures, index);
}

/* Raises the first failure, with all of them and what was found. */
static PyObject *fail(finding *in)
{
    PyObject *exception = kvp_failures_exception(in->failures);
    in->failures = NULL;
    if (exception && PyObject_SetAttrString(exception, "results", in->found))
        PyErr_Clear();
    return kvp_raise_exception(exception);
}

PyObject *kvp_found_out(kvb_answer *answer)
{
    finding in = {answer, answer->missing, PyDict_New(), NULL};
    bool ok = in.found != NULL;
    for (size_t i = 0; ok && i < kivi_result_count(answer->done.result); i++)
        ok = read_item(&in, i);
    if (ok && !in.failures)
        return in.found;
    if (ok)
        fail(&in);
    Py_XDECREF(in.failures);
    Py_XDECREF(in.found);
    return NULL;
}
