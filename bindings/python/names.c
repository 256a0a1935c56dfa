/* Texts that come again and again: keys of maps from a cache, keys of stores. */
#include "module.h"

enum { SLOTS = 1024, LONGEST = 48 };

static PyObject *cache[SLOTS]; /* ASCII texts */

/* The first and last bytes of a text as two numbers; they overlap where it is short. */
static void ends_of(const unsigned char *text, size_t size, uint64_t *first, uint64_t *last)
{
    uint32_t half;
    if (size >= 8) {
        memcpy(first, text, 8);
        memcpy(last, text + size - 8, 8);
    } else if (size >= 4) {
        memcpy(&half, text, 4);
        *first = half;
        memcpy(&half, text + size - 4, 4);
        *last = half;
    } else {
        *first = (uint64_t)text[0] << 8 | text[size / 2];
        *last = text[size - 1];
    }
}

static size_t slot_of(const unsigned char *text, size_t size)
{
    uint64_t first, last, mixed;
    ends_of(text, size, &first, &last);
    mixed = (first + size) * UINT64_C(0x9e3779b97f4a7c15) ^ last * UINT64_C(0xc2b2ae3d27d4eb4f);
    return (size_t)((mixed ^ mixed >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 54) % SLOTS;
}

PyObject *kvp_name_out(kivi_slice text)
{
    PyObject *name, **slot;
    if (text.size == 0 || text.size > LONGEST)
        return PyUnicode_DecodeUTF8(text.data, (Py_ssize_t)text.size, NULL);
    slot = &cache[slot_of(text.data, text.size)];
    name = *slot;
    if (name && (size_t)PyUnicode_GET_LENGTH(name) == text.size &&
        memcmp(PyUnicode_DATA(name), text.data, text.size) == 0) {
        Py_INCREF(name);
        return name;
    }
    name = PyUnicode_DecodeUTF8(text.data, (Py_ssize_t)text.size, NULL);
    if (name && PyUnicode_IS_COMPACT_ASCII(name)) {
        Py_INCREF(name);
        Py_XSETREF(*slot, name);
    }
    return name;
}

PyObject *kvp_key_out(const kvp_config *config, kivi_slice key)
{
    PyObject *text = NULL;
    if (!config->bytes_keys) {
        text = PyUnicode_DecodeUTF8(key.data, (Py_ssize_t)key.size, NULL);
        if (text || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
            return text;
        PyErr_Clear();
    }
    return PyBytes_FromStringAndSize(key.data, (Py_ssize_t)key.size);
}
