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
    if (!reader && !(reader = kvb_reader_new(from->store)))
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
        kvp_name_key(kvp_config_of(from->store), pair->key);
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

/* ---- reading one after another ---- */

/* What cannot be read does not hide what comes after it: it is raised behind the last pair. */
typedef struct page_iterator {
    PyObject_HEAD page *of;
    Py_ssize_t index;
    PyObject *failures; /* by position; NULL: none */
} page_iterator;

static PyTypeObject *iterator_type;

static PyObject *page_iterate(PyObject *self)
{
    page_iterator *iterator = PyObject_New(page_iterator, iterator_type);
    if (!iterator)
        return NULL;
    Py_INCREF(self);
    iterator->of = (page *)self;
    iterator->index = 0;
    iterator->failures = NULL;
    return (PyObject *)iterator;
}

static void iterator_free(PyObject *self)
{
    page_iterator *iterator = (page_iterator *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(iterator->failures);
    Py_DECREF(iterator->of);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* Raises the failures, with the cursor that goes on behind the page. */
static PyObject *fail(page_iterator *iterator)
{
    kivi_slice end = kivi_page_end(iterator->of->page->page);
    PyObject *exception = kvp_failures_exception(iterator->failures), *cursor;
    iterator->failures = NULL;
    if (!exception)
        return NULL;
    cursor = PyBytes_FromStringAndSize(end.data, (Py_ssize_t)end.size);
    if (!cursor || PyObject_SetAttrString(exception, "cursor", cursor))
        PyErr_Clear();
    Py_XDECREF(cursor);
    return kvp_raise_exception(exception);
}

static PyObject *iterator_next(PyObject *self)
{
    page_iterator *iterator = (page_iterator *)self;
    PyObject *of = (PyObject *)iterator->of, *item;
    while (iterator->index < page_length(of)) {
        size_t at = (size_t)iterator->index++;
        item = page_item(of, (Py_ssize_t)at);
        if (item || !kvp_failure_note(&iterator->failures, at))
            return item;
    }
    return iterator->failures ? fail(iterator) : NULL;
}

static PyType_Slot iterator_slots[] = {{Py_tp_dealloc, iterator_free},
                                       {Py_tp_iter, PyObject_SelfIter},
                                       {Py_tp_iternext, iterator_next},
                                       {0, NULL}};
static PyType_Spec iterator_spec = {"kivi._kivi.PageIterator", sizeof(page_iterator), 0,
                                    Py_TPFLAGS_DEFAULT, iterator_slots};

/* ---- the page ---- */

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
    {Py_tp_iter, page_iterate},
    {Py_tp_doc,
     (void *)"The pairs of one page of a scan. A sequence, converted when it is read; "
             "`cursor` goes on. Who walks over it gets all pairs that can be read; then the "
             "others are raised, as `failures` by position."},
    {0, NULL}};

static PyType_Spec page_spec = {"kivi.Page", sizeof(page), 0, Py_TPFLAGS_DEFAULT, page_slots};

bool kvp_page_ready(PyObject *module)
{
    page_type = (PyTypeObject *)PyType_FromSpec(&page_spec);
    iterator_type = (PyTypeObject *)PyType_FromSpec(&iterator_spec);
    if (!page_type || !iterator_type)
        return false;
    iterator_type->tp_new = NULL;
    page_type->tp_new = NULL; /* none but those of a store */
    Py_INCREF(page_type);
    return PyModule_AddObject(module, "Page", (PyObject *)page_type) == 0;
}
