/* The types under kivi.Store and kivi.aio.Store, and opening them. */
#include "module.h"

PyTypeObject *kvp_store_type; /* _kivi.Calls: the methods alone */

kvb_store *kvp_store_get(PyObject *object)
{
    if (object && PyObject_TypeCheck(object, kvp_store_type))
        return ((kvp_store *)object)->store;
    PyErr_Format(PyExc_TypeError, "a kivi.Store is needed, not %.100s",
                 object ? Py_TYPE(object)->tp_name : "nothing");
    return NULL;
}

/* ---- the life of one ---- */

static void config_free(void *host)
{
    kvp_config *config = host;
    Py_XDECREF(config->default_hook);
    Py_XDECREF(config->ext_hook);
    Py_XDECREF(config->on_event);
    Py_XDECREF(config->dumps);
    Py_XDECREF(config->loads);
    PyMem_Free(config);
}

/* The hooks, while nobody else needs them: a page of a scan holds its store. */
static kvp_config *own_config(const kvp_store *self)
{
    return self->store && self->store->refs == 1 ? self->store->host : NULL;
}

static int store_traverse(PyObject *self, visitproc visit, void *arg)
{
    kvp_store *object = (kvp_store *)self;
    kvp_config *config = own_config(object);
    Py_VISIT(Py_TYPE(self));
    if (config) {
        Py_VISIT(config->default_hook);
        Py_VISIT(config->ext_hook);
        Py_VISIT(config->on_event);
        Py_VISIT(config->dumps);
        Py_VISIT(config->loads);
    }
    return 0;
}

static int store_clear(PyObject *self)
{
    kvp_store *object = (kvp_store *)self;
    kvp_config *config = own_config(object);
    if (config) {
        Py_CLEAR(config->default_hook);
        Py_CLEAR(config->ext_hook);
        Py_CLEAR(config->on_event);
    }
    return 0;
}

static void store_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    kvb_store_unref(((kvp_store *)self)->store);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *store_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    PyErr_Format(PyExc_TypeError, "a %s comes from open(url)", type->tp_name);
    return NULL;
}

/* ---- as a mapping: what a dict does ---- */

static PyObject *store_subscript(PyObject *self, PyObject *key)
{
    kivi_request ask = {.struct_size = sizeof(ask), .verb = KIVI_VERB_GET};
    if (!kvp_key_in(key, &ask.key))
        return NULL;
    return kvp_answer_out(kvb_call_with(((kvp_store *)self)->store, 0, &ask, &kvp_raise_missing, NULL));
}

static int done(PyObject *answer)
{
    Py_XDECREF(answer);
    return answer ? 0 : -1;
}

static int delete_item(kvb_store *store, PyObject *key)
{
    kivi_request ask = {.struct_size = sizeof(ask), .verb = KIVI_VERB_DELETE, .flags = KIVI_OP_WANT_EXISTED};
    PyObject *existed;
    if (!kvp_key_in(key, &ask.key))
        return -1;
    existed = kvp_answer_out(kvb_call(store, 0, &ask));
    if (existed == Py_False) {
        PyObject *class = PyDict_GetItemString(kvp.errors, "NotFound");
        PyErr_SetObject(class ? class : PyExc_KeyError, key);
        Py_CLEAR(existed);
    }
    return done(existed);
}

static int store_assign(PyObject *self, PyObject *key, PyObject *value)
{
    kvb_store *store = ((kvp_store *)self)->store;
    kivi_request ask = {.struct_size = sizeof(ask), .verb = KIVI_VERB_SET};
    kvb_encoder *encoder;
    PyObject *answer;
    if (!value)
        return delete_item(store, key);
    if (!kvp_key_in(key, &ask.key))
        return -1;
    encoder = kvp_value_in(store, value, NULL);
    if (!encoder) {
        kvp_name_refused(kvp_config_of(store), key);
        return -1;
    }
    ask.value = kivi_buffer_slice(&encoder->bytes);
    answer = kvp_answer_out(kvb_call(store, 0, &ask));
    kvb_encoder_give(store, encoder);
    return done(answer);
}

static int store_contains(PyObject *self, PyObject *key)
{
    kivi_request ask = {.struct_size = sizeof(ask), .verb = KIVI_VERB_EXISTS};
    PyObject *there;
    if (!kvp_key_in(key, &ask.key))
        return -1;
    there = kvp_answer_out(kvb_call(((kvp_store *)self)->store, 0, &ask));
    Py_XDECREF(there); /* True and False live on */
    return there ? there == Py_True : -1;
}

static Py_ssize_t store_length(PyObject *self)
{
    kivi_request ask = {.struct_size = sizeof(ask), .verb = KIVI_VERB_COUNT};
    PyObject *count = kvp_answer_out(kvb_call(((kvp_store *)self)->store, 0, &ask));
    Py_ssize_t length = count ? PyLong_AsSsize_t(count) : -1;
    Py_XDECREF(count);
    return length;
}

static int store_truth(PyObject *self)
{
    (void)self;
    return 1; /* whether it is open to use, not whether it holds a key */
}

static PyType_Slot calls_slots[] = {
    {Py_tp_new, store_new},
    {Py_tp_dealloc, store_dealloc},
    {Py_tp_traverse, store_traverse},
    {Py_tp_clear, store_clear},
    {Py_tp_methods, kvp_store_methods},
    {Py_nb_bool, store_truth},
    {Py_tp_doc, (void *)"The calls of a store."},
    {0, NULL},
};
static PyType_Spec calls_spec = {"kivi._kivi.Calls", sizeof(kvp_store), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                 calls_slots};

static PyType_Slot mapping_slots[] = {
    {Py_mp_subscript, store_subscript},
    {Py_mp_ass_subscript, store_assign},
    {Py_mp_length, store_length},
    {Py_sq_contains, store_contains},
    {Py_tp_traverse, store_traverse},
    {Py_tp_clear, store_clear},
    {Py_tp_doc, (void *)"The calls of a store that wait, with the manners of a dict."},
    {0, NULL},
};
static PyType_Spec mapping_spec = {"kivi._kivi.Mapping", sizeof(kvp_store), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                                   mapping_slots};

bool kvp_store_ready(PyObject *module)
{
    PyObject *bases, *mapping;
    kvp_store_type = (PyTypeObject *)PyType_FromSpec(&calls_spec);
    if (!kvp_store_type)
        return false;
    bases = PyTuple_Pack(1, kvp_store_type);
    mapping = bases ? PyType_FromSpecWithBases(&mapping_spec, bases) : NULL;
    Py_XDECREF(bases);
    Py_INCREF(kvp_store_type);
    return mapping && PyModule_AddObject(module, "Mapping", mapping) == 0 &&
           PyModule_AddObject(module, "Calls", (PyObject *)kvp_store_type) == 0;
}

/* ---- opening ---- */

static bool set_number(kivi_options *options, const char *name, PyObject *value,
                       kivi_status *status, kivi_error **error)
{
    PyObject *seconds = NULL;
    int overflow = 0;
    long long whole;
    double number;
    if (PyLong_Check(value)) {
        whole = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow)
            return kvp_raise_text(KIVI_INVALID, "option %s: the number is beyond 64 bits", name) != NULL;
        *status = kvb_option_integer(options, name, whole, error);
        return true;
    }
    if (!PyFloat_Check(value)) {
        seconds = PyObject_CallMethod(value, "total_seconds", NULL); /* a timedelta */
        if (!seconds) {
            PyErr_Format(PyExc_TypeError, "option %s: a str, number or bool is needed, not %.100s",
                         name, Py_TYPE(value)->tp_name);
            return false;
        }
        value = seconds;
    }
    number = PyFloat_AsDouble(value);
    Py_XDECREF(seconds);
    if (PyErr_Occurred())
        return false;
    *status = kvb_option_number(options, name, number, error);
    return true;
}

static bool set_option(kivi_options *options, PyObject *key, PyObject *value)
{
    const char *name = PyUnicode_AsUTF8(key), *text;
    kivi_error *error = NULL;
    kivi_status status = KIVI_OK;
    if (!name)
        return false;
    if (value == Py_None)
        return true;
    if (PyBool_Check(value)) {
        status = kivi_options_set_bool(options, name, value == Py_True, &error);
    } else if (PyUnicode_Check(value)) {
        text = PyUnicode_AsUTF8(value);
        if (!text)
            return false;
        if (strlen(text) != (size_t)PyUnicode_GET_LENGTH(value) && PyUnicode_IS_ASCII(value))
            return kvp_raise_text(KIVI_INVALID, "option %s: its text holds a NUL", name) != NULL;
        status = kivi_options_set(options, name, text, &error);
    } else if (!set_number(options, name, value, &status, &error)) {
        return false;
    }
    if (status)
        kvp_raise(status, error);
    return !status;
}

static kivi_options *options_in(PyObject *dict)
{
    kivi_options *options = kivi_options_new();
    PyObject *key, *value;
    Py_ssize_t at = 0;
    if (!options)
        PyErr_NoMemory();
    while (options && PyDict_Next(dict, &at, &key, &value)) {
        if (set_option(options, key, value))
            continue;
        kivi_options_free(options);
        options = NULL;
    }
    return options;
}

static bool hook_in(PyObject *object, const char *name, PyObject **hook)
{
    if (object == Py_None)
        return true;
    if (!PyCallable_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s= is a function, not %.100s", name, Py_TYPE(object)->tp_name);
        return false;
    }
    Py_INCREF(object);
    *hook = object;
    return true;
}

static kvp_config *config_new(PyObject *key_type, PyObject *default_hook, PyObject *ext_hook, int pairs)
{
    kvp_config *config;
    if (key_type != (PyObject *)&PyUnicode_Type && key_type != (PyObject *)&PyBytes_Type) {
        PyErr_SetString(PyExc_TypeError, "key_type= is str or bytes");
        return NULL;
    }
    config = PyMem_Calloc(1, sizeof(*config));
    if (!config) {
        PyErr_NoMemory();
        return NULL;
    }
    config->bytes_keys = key_type == (PyObject *)&PyBytes_Type;
    config->pairs = pairs;
    if (hook_in(default_hook, "default", &config->default_hook) &&
        hook_in(ext_hook, "ext", &config->ext_hook))
        return config;
    config_free(config);
    return NULL;
}

static kvb_store *open_store(const char *url, PyObject *dict, PyObject *given_up, bool is_heard)
{
    kivi_options *options = options_in(dict);
    kvb_events *events = NULL;
    kivi_error *error = NULL;
    kvb_store *store = NULL;
    if (!options)
        return NULL;
    if (is_heard && !(events = kvb_events_new(options))) {
        PyErr_NoMemory();
        goto out;
    }
    store = kvp_open_waiting(url, options, given_up, &error);
    if (PyErr_Occurred()) { /* a signal's handler raised: KeyboardInterrupt */
        kivi_error_free(error);
        kvb_store_unref(store);
        store = NULL;
    } else if (!store) {
        kvp_raise(error ? kivi_error_status(error) : KIVI_NO_MEMORY, error);
    }
out:
    kivi_options_free(options);
    if (store)
        kvb_store_hear(store, events);
    else
        kvb_events_unref(events);
    return store;
}

/* None, or (dumps, loads): functions of a codec of Python's own. */
static bool codec_in(PyObject *codec, kvp_config *config)
{
    if (codec == Py_None)
        return true;
    if (!PyTuple_Check(codec) || PyTuple_GET_SIZE(codec) != 2) {
        PyErr_SetString(PyExc_TypeError, "a codec is a pair of functions");
        return false;
    }
    return hook_in(PyTuple_GET_ITEM(codec, 0), "dumps", &config->dumps) &&
           hook_in(PyTuple_GET_ITEM(codec, 1), "loads", &config->loads);
}

/* open(class, url, options, key_type, default, ext, pairs, queue, given_up=None, codec=None, on_event=None) */
PyObject *kvp_open(PyObject *module, PyObject *args)
{
    PyTypeObject *class;
    PyObject *options, *key_type, *default_hook, *ext_hook, *queue,
        *given_up = NULL, *codec = Py_None, *on_event = Py_None;
    const char *url;
    int pairs;
    kvp_config *config;
    kvb_store *store;
    kvb_queue *submit_to = NULL;
    kvp_store *self;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!sO!OOOpO|OOO:open", &PyType_Type, &class, &url, &PyDict_Type,
                          &options, &key_type, &default_hook, &ext_hook, &pairs, &queue, &given_up,
                          &codec, &on_event))
        return NULL;
    if (!PyType_IsSubtype(class, kvp_store_type)) {
        PyErr_SetString(PyExc_TypeError, "a class of stores is needed");
        return NULL;
    }
    if (queue != Py_None && !(submit_to = kvp_queue_get(queue)))
        return NULL;
    config = config_new(key_type, default_hook, ext_hook, pairs);
    if (!config)
        return NULL;
    if (!codec_in(codec, config) || !hook_in(on_event, "on_event", &config->on_event)) {
        config_free(config);
        return NULL;
    }
    store = open_store(url, options, given_up == Py_None ? NULL : given_up, config->on_event);
    self = store ? (kvp_store *)class->tp_alloc(class, 0) : NULL;
    if (!self) {
        config_free(config);
        kvb_store_unref(store);
        return NULL;
    }
    store->host = config;
    store->host_free = config_free;
    store->decodes = config->loads != NULL;
    store->queue = submit_to ? kvb_queue_ref(submit_to) : NULL;
    store->reads_here = store->can.in_place;
    self->store = store;
    return (PyObject *)self;
}
