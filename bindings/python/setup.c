/* The parts of the package that are written in Python, as the module knows them. */
#include "module.h"

kvp_python kvp;

static bool adopt(PyObject *parts, const char *name, PyObject **place)
{
    PyObject *part = PyDict_GetItemString(parts, name);
    if (!part) {
        PyErr_Format(PyExc_ImportError, "kivi: %s is missing", name);
        return false;
    }
    Py_INCREF(part);
    Py_XSETREF(*place, part);
    return true;
}

bool kvp_is_main_interpreter(void)
{
    if (PyInterpreterState_Get() == PyInterpreterState_Main())
        return true;
    PyErr_SetString(PyExc_ImportError, "kivi works in the main interpreter only");
    return false;
}

PyObject *kvp_setup(PyObject *module, PyObject *parts)
{
    (void)module;
    if (!kvp_is_main_interpreter())
        return NULL;
    if (!PyDict_Check(parts)) {
        PyErr_SetString(PyExc_TypeError, "a dict is needed");
        return NULL;
    }
    if (!adopt(parts, "Ext", &kvp.Ext) || !adopt(parts, "Timestamp", &kvp.Timestamp) ||
        !adopt(parts, "Pairs", &kvp.Pairs) || !adopt(parts, "Result", &kvp.Result) ||
        !adopt(parts, "Copied", &kvp.Copied) || !adopt(parts, "Event", &kvp.Event) ||
        !adopt(parts, "KEEP", &kvp.KEEP) || !adopt(parts, "DELETE", &kvp.DELETE) ||
        !adopt(parts, "LEAVE", &kvp.LEAVE) || !adopt(parts, "errors", &kvp.errors))
        return NULL;
    Py_RETURN_NONE;
}
