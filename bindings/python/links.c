/* Where in a value a conversion failed. */
#include <stdarg.h>

#include "module.h"

typedef struct step {
    kvb_path path;
    PyObject *text; /* of a key that is no str */
} step;

enum { MAX_STEPS = 256 };

static PyObject *new_reference(PyObject *object)
{
    Py_INCREF(object);
    return object;
}

static void fill(step *to, const kvp_link *link)
{
    Py_ssize_t size = 0;
    to->path.index = (size_t)link->index;
    if (!link->key)
        return;
    to->text = PyUnicode_CheckExact(link->key) ? new_reference(link->key) : PyObject_Repr(link->key);
    to->path.key = to->text ? PyUnicode_AsUTF8AndSize(to->text, &size) : NULL;
    to->path.key_size = (size_t)size;
    if (!to->path.key) {
        PyErr_Clear();
        to->path.key = "?";
        to->path.key_size = 1;
    }
}

static void refuse(const kvb_path *path, PyObject *reason)
{
    char text[512];
    kvb_path_text(path, text, sizeof(text));
    kvp_raise_text(KIVI_UNREPRESENTABLE, "%s: %U", text, reason);
}

bool kvp_refuse(const kvp_link *link, const char *format, ...)
{
    step *steps = PyMem_Calloc(MAX_STEPS, sizeof(*steps));
    size_t count = 0;
    va_list arguments;
    PyObject *reason;
    va_start(arguments, format);
    reason = PyUnicode_FromFormatV(format, arguments);
    va_end(arguments);
    if (!steps || !reason) {
        PyErr_NoMemory();
        goto out;
    }
    for (const kvp_link *at = link; at && count < MAX_STEPS; at = at->outer, count++) {
        fill(&steps[count], at);
        if (count)
            steps[count - 1].path.outer = &steps[count].path;
    }
    refuse(count ? &steps[0].path : NULL, reason);
out:
    for (size_t i = 0; i < count; i++)
        Py_XDECREF(steps[i].text);
    Py_XDECREF(reason);
    PyMem_Free(steps);
    return false;
}
