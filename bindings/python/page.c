/* kivi.Page: the pairs of one page of a scan, converted when they are asked for. */
#include "module.h"

typedef struct page {
    PyObject_HEAD kvb_page *page;
} page;

static PyTypeObject *page_type;

PyObject *kvp_page_out(kvb_answer *answer)
{
    page *object = PyObject_New(page, page_type);
    if (!object)
        return NULL;
    object->page = kvb_page_new(answer);
    if (object->page)
        return (PyObject *)object;
    Py_DECREF(object);
    return PyErr_NoMemory();
}

static void page_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    kvb_page_free(((page *)self)->page);
    PyObject_Free(self);
    Py_DECREF(type);
}

static Py_ssize_t page_length(PyObject *self)
{
    return (Py_ssize_t)kivi_page_count(((page *)self)->page->page);
}

static PyObject *ttl_out(const kivi_pair *pair)
{
    if (pair->ttl_ms == KIVI_TTL_NONE)
        Py_RETURN_NONE;
    return PyFloat_FromDouble((double)pair->ttl_ms / 1000.0);
}

/* The reader of a page is used by one conversion at a time; one inside another, by a hook, has its own. */
static PyObject *value_out(kvb_page *from, kivi_slice bytes)
{
    kivi_reader *reader = from->reader;
    PyObject *value;
    from->reader = NULL;
    if (!reader && kivi_reader_new(from->store->codec, NULL, &reader, NULL))
        return PyErr_NoMemory();
    value = kvp_decode(kvp_config_of(from->store), reader, bytes);
    if (from->reader)
        kivi_reader_free(reader);
    else
        from->reader = reader;
    return value;
}

static PyObject *pair_out(kvb_page *from, const kivi_pair *pair)
{
    PyObject *key = kvp_key_out(kvp_config_of(from->store), pair->key), *value;
    if (!key || (from->keys_only && !from->with_ttl))
        return key;
    value = from->keys_only ? NULL : value_out(from, pair->value);
    if (!from->keys_only && !value) {
        Py_DECREF(key);
        return NULL;
    }
    if (from->keys_only)
        return Py_BuildValue("(NN)", key, ttl_out(pair));
    if (from->with_ttl)
        return Py_BuildValue("(NNN)", key, value, ttl_out(pair));
    return Py_BuildValue("(NN)", key, value);
}

static PyObject *page_item(PyObject *self, Py_ssize_t index)
{
    kvb_page *from = ((page *)self)->page;
    kivi_pair pair;
    from->index = (size_t)index;
    if (index >= 0 && kvb_page_next(from, &pair))
        return pair_out(from, &pair);
    PyErr_SetString(PyExc_IndexError, "the page has no such pair");
    return NULL;
}

static PyObject *page_cursor(PyObject *self, void *closure)
{
    kivi_slice cursor = kivi_page_cursor(((page *)self)->page->page);
    (void)closure;
    if (!cursor.size)
        Py_RETURN_NONE;
    return PyBytes_FromStringAndSize(cursor.data, (Py_ssize_t)cursor.size);
}

static PyObject *page_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<kivi.Page of %zd%s>", page_length(self),
                                kivi_page_cursor(((page *)self)->page->page).size ? ", more follow" : "");
}

static PyGetSetDef page_members[] = {
    {"cursor", page_cursor, NULL, "Where the next page begins: bytes; None: there is none.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot page_slots[] = {
    {Py_tp_dealloc, page_free},
    {Py_tp_repr, page_repr},
    {Py_tp_getset, page_members},
    {Py_sq_length, page_length},
    {Py_sq_item, page_item},
    {Py_tp_doc, (void *)"The pairs of one page of a scan. A sequence, converted when it is read; "
                        "`cursor` goes on."},
    {0, NULL}};

static PyType_Spec page_spec = {"kivi.Page", sizeof(page), 0, Py_TPFLAGS_DEFAULT, page_slots};

bool kvp_page_ready(PyObject *module)
{
    page_type = (PyTypeObject *)PyType_FromSpec(&page_spec);
    if (!page_type)
        return false;
    page_type->tp_new = NULL; /* none but those of a store */
    Py_INCREF(page_type);
    return PyModule_AddObject(module, "Page", (PyObject *)page_type) == 0;
}
