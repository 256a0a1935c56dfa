/* What the library knows: schemes and their options. */
#include "module.h"

static PyObject *text_or_none(const char *text)
{
    if (!text)
        Py_RETURN_NONE;
    return PyUnicode_FromString(text);
}

static bool add(PyObject *list, PyObject *item)
{
    int failed = !item || PyList_Append(list, item);
    Py_XDECREF(item);
    return !failed;
}

static PyObject *scheme_out(const kivi_scheme_info *info)
{
    return Py_BuildValue("{sssssssNsN}", "scheme", info->scheme, "backend", info->backend,
                         "summary", info->summary, "available", PyBool_FromLong(info->available),
                         "reason", text_or_none(info->available ? NULL : info->reason));
}

PyObject *kvp_schemes(PyObject *module, PyObject *nothing)
{
    PyObject *list = PyList_New(0);
    (void)module, (void)nothing;
    for (size_t i = 0; list; i++) {
        kivi_scheme_info info = {.struct_size = sizeof(info)};
        kivi_error *error = NULL;
        kivi_status status = kivi_scheme_describe(i, &info, &error);
        if (status == KIVI_NOT_FOUND)
            return list;
        if (status)
            kvp_raise(status, error);
        if (status || !add(list, scheme_out(&info)))
            Py_CLEAR(list);
    }
    return NULL;
}

static PyObject *choices_out(const char *choices)
{
    PyObject *text = text_or_none(choices), *list;
    if (!text || text == Py_None)
        return text;
    list = PyUnicode_Split(text, NULL, -1);
    Py_DECREF(text);
    return list;
}

static PyObject *option_out(const kivi_option_info *info)
{
    return Py_BuildValue("{sssssNsNsNsssNsN}", "name", info->name, "type",
                         kvb_option_type(info->type), "default", text_or_none(info->default_text),
                         "recommended", text_or_none(info->recommended_text), "choices",
                         choices_out(info->choices), "help", info->help, "secret",
                         PyBool_FromLong(info->flags & KIVI_OPTION_SECRET), "required",
                         PyBool_FromLong(info->flags & KIVI_OPTION_REQUIRED));
}

PyObject *kvp_options(PyObject *module, PyObject *scheme)
{
    const char *name = PyUnicode_AsUTF8(scheme);
    PyObject *list = name ? PyList_New(0) : NULL;
    (void)module;
    for (size_t i = 0; list; i++) {
        kivi_option_info info = {.struct_size = sizeof(info)};
        kivi_error *error = NULL;
        kivi_status status = kivi_option_describe(name, i, &info, &error);
        if (status == KIVI_NOT_FOUND)
            return list;
        if (status)
            kvp_raise(status, error);
        if (status || !add(list, option_out(&info)))
            Py_CLEAR(list);
    }
    return NULL;
}
