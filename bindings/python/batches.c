/* Many keys, pairs or operations as one batch. */
#include "module.h"

static bool no_memory(void)
{
    PyErr_NoMemory();
    return false;
}

/* A tuple of the items of any iterable but a text: a str given for a list of keys is a mistake. */
PyObject *kvp_items(PyObject *object, const char *what)
{
    if (PyUnicode_Check(object) || PyBytes_Check(object) || PyByteArray_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s are needed, not one %.100s", what, Py_TYPE(object)->tp_name);
        return NULL;
    }
    return PySequence_Tuple(object);
}

static bool add(kvb_batch *batch, PyObject *key)
{
    kivi_slice bytes;
    if (!kvp_key_in(key, &bytes))
        return false;
    return kvb_batch_add(batch, bytes) ? true : no_memory();
}

/* Encodes a value into the batch, as its last item's value or expected value. */
static bool put(kvb_store *store, kvb_batch *batch, PyObject *value, const kvp_link *link, bool expected)
{
    kvb_encoder *encoder = kvp_value_in(store, value, link);
    kivi_slice bytes;
    bool ok;
    if (!encoder)
        return false;
    bytes = kivi_buffer_slice(&encoder->bytes);
    ok = expected ? kvb_batch_expected(batch, bytes) : kvb_batch_value(batch, bytes);
    kvb_encoder_give(store, encoder);
    return ok ? true : no_memory();
}

typedef bool (*add_fn)(kvb_store *store, kvb_batch *batch, PyObject *item);

/* Tells which item a batch is refused for. */
static void name_item(const kvb_store *store, const kvb_batch *batch, size_t index)
{
    kivi_slice key = {NULL, 0};
    if (store && batch->count > index)
        key = kvb_batch_last_key(batch);
    kvp_name_item(key.data ? kvp_config_of(store) : NULL, key, index);
}

static kvb_batch *fill(kvb_store *store, PyObject *items, add_fn add_item)
{
    kvb_batch *batch = items ? kvb_batch_new() : NULL;
    bool ok = batch != NULL;
    for (Py_ssize_t i = 0; ok && i < PyTuple_GET_SIZE(items); i++) {
        ok = add_item(store, batch, PyTuple_GET_ITEM(items, i));
        if (!ok)
            name_item(store, batch, (size_t)i);
    }
    if (ok && !kvb_batch_end(batch))
        ok = no_memory();
    if (items && !batch)
        no_memory();
    Py_XDECREF(items);
    if (ok)
        return batch;
    kvb_batch_free(batch);
    return NULL;
}

static bool add_key(kvb_store *store, kvb_batch *batch, PyObject *key)
{
    (void)store;
    return add(batch, key);
}

kvb_batch *kvp_keys_in(PyObject *object)
{
    return fill(NULL, kvp_items(object, "keys"), add_key);
}

static bool add_pair(kvb_store *store, kvb_batch *batch, PyObject *item)
{
    PyObject *pair = PySequence_Tuple(item);
    kvp_link link = {.index = 0};
    bool ok = false;
    if (!pair)
        return false;
    if (PyTuple_GET_SIZE(pair) != 2) {
        PyErr_SetString(PyExc_TypeError, "pairs of a key and a value are needed");
    } else {
        link.key = PyTuple_GET_ITEM(pair, 0);
        ok = add(batch, link.key) && put(store, batch, PyTuple_GET_ITEM(pair, 1), &link, false);
    }
    Py_DECREF(pair);
    return ok;
}

kvb_batch *kvp_pairs_in(kvb_store *store, PyObject *object)
{
    PyObject *pairs = NULL, *items;
    if (PyMapping_Check(object) && PyObject_HasAttrString(object, "items")) {
        pairs = PyMapping_Items(object);
        if (!pairs)
            return NULL;
        object = pairs;
    }
    items = kvp_items(object, "pairs");
    Py_XDECREF(pairs);
    return fill(store, items, add_pair);
}

/* ---- operations of apply ---- */

static const char *word(PyObject *object)
{
    const char *text = PyUnicode_Check(object) ? PyUnicode_AsUTF8(object) : "";
    PyErr_Clear();
    return text ? text : "";
}

static bool bad(const char *format, PyObject *about)
{
    kvp_raise_text(KIVI_INVALID, format, about);
    return false;
}

static bool set_kind(kivi_op *op, PyObject *name)
{
    op->kind = kvb_op_kind(word(name));
    if (op->kind)
        return true;
    return bad("op must be set, delete, touch, check or increment, not %R", name);
}

static bool set_version(kvb_batch *batch, PyObject *version)
{
    kivi_slice bytes;
    if (!PyBytes_Check(version)) {
        PyErr_SetString(PyExc_TypeError, "if_version is the bytes that get_versioned() answered");
        return false;
    }
    bytes = kivi_bytes(PyBytes_AS_STRING(version), (size_t)PyBytes_GET_SIZE(version));
    return kvb_batch_expected(batch, bytes) ? true : no_memory();
}

static bool set_condition(kvb_store *store, kvb_batch *batch, kivi_op *op, const kvp_link *link,
                          PyObject *value)
{
    const char *name = word(link->key);
    if (op->condition != KIVI_IF_ALWAYS) {
        kvp_raise_text(KIVI_INVALID, "an operation has one of if, if_equal and if_version");
        return false;
    }
    if (strcmp(name, "if_equal") == 0) {
        op->condition = KIVI_IF_EQUAL;
        return put(store, batch, value, link, true);
    }
    if (strcmp(name, "if_version") == 0) {
        op->condition = KIVI_IF_VERSION;
        return set_version(batch, value);
    }
    op->condition = kvb_condition(word(value));
    return op->condition < 0 ? bad("if must be absent or present, not %R", value) : true;
}

static bool set_member(kvb_store *store, kvb_batch *batch, kivi_op *op, PyObject *member, PyObject *value)
{
    kvp_link which = {.index = (Py_ssize_t)batch->count - 1};
    kvp_link link = {.outer = &which, .key = member};
    const char *name = word(member);
    if (strcmp(name, "key") == 0)
        return true;
    if (strcmp(name, "op") == 0)
        return set_kind(op, value);
    if (strcmp(name, "value") == 0)
        return put(store, batch, value, &link, false);
    if (strcmp(name, "ttl") == 0)
        return kvp_ttl_in(value, &op->ttl_ms);
    if (strcmp(name, "by") == 0)
        return kvp_integer_in(value, &op->by);
    if (strcmp(name, "if") == 0 || strcmp(name, "if_equal") == 0 || strcmp(name, "if_version") == 0)
        return set_condition(store, batch, op, &link, value);
    return bad("an operation has no member %R", member);
}

static bool add_members(kvb_store *store, kvb_batch *batch, kivi_op *op, PyObject *members)
{
    bool has_value = false, has_by = false;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(members); i++) {
        PyObject *pair = PyList_GET_ITEM(members, i);
        PyObject *name = PyTuple_GET_ITEM(pair, 0);
        if (!set_member(store, batch, op, name, PyTuple_GET_ITEM(pair, 1)))
            return false;
        has_value = has_value || strcmp(word(name), "value") == 0;
        has_by = has_by || strcmp(word(name), "by") == 0;
    }
    if (!op->kind)
        return kvp_raise_text(KIVI_INVALID, "an operation names its op") != NULL;
    if (op->kind == KIVI_OP_SET && !has_value)
        return kvp_raise_text(KIVI_INVALID, "an operation that sets has a value") != NULL;
    if (op->kind == KIVI_OP_INCREMENT && !has_by)
        op->by = 1;
    if (op->kind != KIVI_OP_CHECK && op->kind != KIVI_OP_INCREMENT)
        op->flags |= KIVI_OP_WANT_EXISTED;
    return true;
}

static bool add_op(kvb_store *store, kvb_batch *batch, PyObject *item)
{
    PyObject *members, *key;
    kivi_op *op;
    bool ok = false;
    if (!PyDict_Check(item)) {
        PyErr_Format(PyExc_TypeError, "an operation is a dict, not %.100s", Py_TYPE(item)->tp_name);
        return false;
    }
    members = PyDict_Items(item); /* hooks may change the dict */
    key = members ? PyDict_GetItemString(item, "key") : NULL;
    if (members && !key)
        kvp_raise_text(KIVI_INVALID, "an operation names its key");
    if (key && add(batch, key)) {
        op = &batch->ops[batch->count - 1];
        ok = add_members(store, batch, op, members);
    }
    Py_XDECREF(members);
    return ok;
}

kvb_batch *kvp_ops_in(kvb_store *store, PyObject *object)
{
    return fill(store, kvp_items(object, "operations"), add_op);
}
