/* Values into Python objects, straight from where they lie. */
#include "module.h"

typedef struct decoding {
    kivi_reader *reader;
    const kvp_config *config;
    size_t size; /* bytes of the whole value: no container has more elements */
} decoding;

static PyObject *read_object(const decoding *from, const kivi_token *token, const kvp_link *link);

static PyObject *damaged(kivi_reader *reader)
{
    kivi_error *error = kivi_reader_error(reader);
    return kvp_raise(error ? kivi_error_status(error) : KIVI_CORRUPT, error);
}

static PyObject *next_object(const decoding *from, const kvp_link *link)
{
    kivi_token token;
    if (kivi_reader_next(from->reader, &token))
        return damaged(from->reader);
    return read_object(from, &token, link);
}

/* The next token of a container: 1 it is one, 0 the container's end, -1 raised. */
static int next_in(const decoding *from, kivi_token *token)
{
    if (kivi_reader_next(from->reader, token)) {
        damaged(from->reader);
        return -1;
    }
    return token->type != KIVI_TOKEN_END;
}

static PyObject *read_array(const decoding *from, const kivi_token *begin, const kvp_link *outer)
{
    kvp_link link = {.outer = outer};
    size_t room = begin->as.count < from->size ? begin->as.count : 0;
    PyObject *list = PyList_New((Py_ssize_t)room), *item;
    kivi_token token;
    int more = -1;
    while (list && (more = next_in(from, &token)) > 0) {
        item = read_object(from, &token, &link);
        if (!item)
            goto failed;
        if ((size_t)link.index < room) {
            PyList_SET_ITEM(list, link.index, item);
        } else {
            more = PyList_Append(list, item);
            Py_DECREF(item);
            if (more)
                goto failed;
        }
        link.index++;
    }
    if (more == 0)
        return list;
failed:
    Py_XDECREF(list);
    return NULL;
}

/* A key of a dict. */
static PyObject *read_key(const decoding *from, const kivi_token *token, const kvp_link *link)
{
    if (token->type == KIVI_TOKEN_STR)
        return kvp_name_out(token->bytes);
    if (token->type == KIVI_TOKEN_ARRAY || token->type == KIVI_TOKEN_MAP) {
        kvp_refuse(link, "a key of this map is %s, which no dict can hold (see pairs=True)",
                   token->type == KIVI_TOKEN_MAP ? "a map" : "an array");
        return NULL;
    }
    return read_object(from, token, link);
}

static bool read_pair(const decoding *from, const kivi_token *token, PyObject *dict, kvp_link *link)
{
    Py_ssize_t before = PyDict_GET_SIZE(dict);
    PyObject *key = read_key(from, token, link->outer), *value;
    bool ok = false;
    if (!key)
        return false;
    link->key = key;
    value = next_object(from, link);
    if (value && PyDict_SetItem(dict, key, value) == 0) {
        ok = PyDict_GET_SIZE(dict) > before;
        if (!ok)
            kvp_refuse(link, "a dict would merge this key with another (see pairs=True)");
    }
    Py_XDECREF(value);
    Py_DECREF(key);
    return ok;
}

static PyObject *read_dict(const decoding *from, const kvp_link *outer)
{
    kvp_link link = {.outer = outer};
    PyObject *dict = PyDict_New();
    kivi_token token;
    int more = -1;
    while (dict && (more = next_in(from, &token)) > 0)
        if (!read_pair(from, &token, dict, &link))
            break;
    if (more == 0)
        return dict;
    Py_XDECREF(dict);
    return NULL;
}

static PyObject *read_pairs(const decoding *from, const kvp_link *outer)
{
    kvp_link link = {.outer = outer};
    PyObject *pairs = PyObject_CallNoArgs(kvp.Pairs), *key, *value, *pair;
    kivi_token token;
    int more = -1;
    while (pairs && (more = next_in(from, &token)) > 0) {
        key = token.type == KIVI_TOKEN_STR ? kvp_name_out(token.bytes)
                                           : read_object(from, &token, &link);
        value = key ? next_object(from, &link) : NULL;
        pair = value ? PyTuple_Pack(2, key, value) : NULL;
        Py_XDECREF(key);
        Py_XDECREF(value);
        more = pair ? PyList_Append(pairs, pair) : -1;
        Py_XDECREF(pair);
        if (more < 0)
            break;
        link.index++;
    }
    if (more == 0)
        return pairs;
    Py_XDECREF(pairs);
    return NULL;
}

static PyObject *read_ext(const decoding *from, const kivi_token *token)
{
    PyObject *make = from->config->ext_hook ? from->config->ext_hook : kvp.Ext;
    return PyObject_CallFunction(make, "iy#", (int)token->ext_type, (const char *)token->bytes.data,
                                 (Py_ssize_t)token->bytes.size);
}

static PyObject *read_object(const decoding *from, const kivi_token *token, const kvp_link *link)
{
    switch (token->type) {
    case KIVI_TOKEN_NIL:
        Py_RETURN_NONE;
    case KIVI_TOKEN_BOOL:
        return PyBool_FromLong(token->as.boolean);
    case KIVI_TOKEN_INT:
        return PyLong_FromLongLong(token->as.integer);
    case KIVI_TOKEN_UINT:
        return PyLong_FromUnsignedLongLong(token->as.uinteger);
    case KIVI_TOKEN_FLOAT:
        return PyFloat_FromDouble(token->as.real);
    case KIVI_TOKEN_STR:
        return PyUnicode_DecodeUTF8(token->bytes.data, (Py_ssize_t)token->bytes.size, NULL);
    case KIVI_TOKEN_BIN:
        return PyBytes_FromStringAndSize(token->bytes.data, (Py_ssize_t)token->bytes.size);
    case KIVI_TOKEN_ARRAY:
        return read_array(from, token, link);
    case KIVI_TOKEN_MAP:
        return from->config->pairs ? read_pairs(from, link) : read_dict(from, link);
    case KIVI_TOKEN_TIMESTAMP:
        return kvp_timestamp_out(token->as.seconds, token->nanoseconds);
    case KIVI_TOKEN_EXT:
        return read_ext(from, token);
    default:
        return kvp_raise_text(KIVI_INTERNAL, "a reader answered token %d", (int)token->type);
    }
}

PyObject *kvp_decode(const kvp_config *config, kivi_reader *reader, kivi_slice bytes)
{
    decoding from = {reader, config, bytes.size};
    kivi_token token;
    PyObject *object;
    if (config->loads)
        return PyObject_CallFunction(config->loads, "y#", (const char *)bytes.data,
                                     (Py_ssize_t)bytes.size);
    if (!reader)
        return PyErr_NoMemory();
    kivi_reader_start(reader, bytes);
    object = next_object(&from, NULL);
    if (object && kivi_reader_next(reader, &token) != KIVI_END) {
        Py_DECREF(object);
        return damaged(reader);
    }
    return object;
}
