/*
 * The methods of stores: names, parameters and texts as Python shows them. Each hands its arguments, in the order of
 * kivi.i, to the wrapper that SWIG wrote for it.
 */
#include "loop.h"

typedef struct method {
    const char *name;                         /* in Python */
    const char *wrapped;                      /* in kivi.i, if it is not kvb_store_ and the name */
    const char *names[KVP_MAX_ARGUMENTS - 1]; /* of the parameters; "": not to be given */
    int required, positional; /* so many must be given; so many may be without a name */
    PyObject *keywords[KVP_MAX_ARGUMENTS - 1];
    int count;
    bool anywhere; /* needs no event loop, whatever the store */
    PyCFunction call;
} method;

#define NAMES(...)  \
    {               \
        __VA_ARGS__ \
    }

/* X(id, wrapped, required, positional, names, signature, text) */
#define METHODS(X)                                                                                                                                 \
    X(get_versioned, NULL, 1, 2, NAMES("key", "default", "timeout"),                                                                               \
      "key, default=None, *, timeout=None",                                                                                                        \
      "The pair (value, version): the version is bytes, for an apply() with if_version.\n\n"                                                       \
      "Of a missing key: (default, None).")                                                                                                        \
    X(exists, NULL, 1, 1, NAMES("key", "timeout"), "key, *, timeout=None",                                                                         \
      "Whether the key is there; as `key in store`.")                                                                                              \
    X(ttl, NULL, 1, 1, NAMES("key", "timeout"), "key, *, timeout=None",                                                                            \
      "Seconds until the key expires, a float; None: never.\n\nRaises NotFound (a KeyError).")                                                     \
    X(set, NULL, 2, 2, NAMES("key", "value", "ttl", "timeout"), "key, value, *, ttl=None, timeout=None",                                           \
      "Writes a value; as `store[key] = value`.\n\n"                                                                                               \
      "ttl: seconds after which it is gone, or kivi.KEEP: an expiry that the key has stays.")                                                      \
    X(add, NULL, 2, 2, NAMES("key", "value", "ttl", "timeout"),                                                                                    \
      "key, value, *, ttl=None, timeout=None", "Writes only if the key is missing; whether it did.")                                               \
    X(replace, NULL, 2, 2, NAMES("key", "value", "ttl", "timeout"),                                                                                \
      "key, value, *, ttl=None, timeout=None", "Writes only if the key is there; whether it did.")                                                 \
    X(delete, "kvb_store_delete_key", 1, 1, NAMES("key", "", "timeout"), "key, *, timeout=None",                                                   \
      "Deletes the key; whether it was there.")                                                                                                    \
    X(compare_and_set, NULL, 3, 3, NAMES("key", "old", "new", "ttl", "timeout"),                                                                   \
      "key, old, new, *, ttl=None, timeout=None",                                                                                                  \
      "Writes `new` only if the key holds `old`; whether it did.")                                                                                 \
    X(compare_and_delete, NULL, 2, 2, NAMES("key", "old", "timeout"), "key, old, *, timeout=None",                                                 \
      "Deletes only if the key holds `old`; whether it did.")                                                                                      \
    X(increment, NULL, 1, 2, NAMES("key", "by", "ttl", "timeout"),                                                                                 \
      "key, by=1, *, ttl=None, timeout=None",                                                                                                      \
      "Adds to an integer and returns the sum; a missing key counts from 0.\n\n"                                                                   \
      "ttl: counts only when this call creates the key. Raises WrongType, Overflow (unchanged).")                                                  \
    X(take, NULL, 1, 2, NAMES("key", "default", "timeout"), "key, default=None, *, timeout=None",                                                  \
      "Reads and deletes in one step: no other caller gets the same value.\n\n"                                                                    \
      "What cannot be read is gone all the same: the exception has its bytes as `stored`.")                                                        \
    X(get_and_expire, NULL, 2, 3, NAMES("key", "ttl", "default", "timeout"),                                                                       \
      "key, ttl, default=None, *, timeout=None",                                                                                                   \
      "Reads, and lets the key expire `ttl` seconds from now (None: never), in one step.")                                                         \
    X(expire, NULL, 2, 2, NAMES("key", "ttl", "timeout"), "key, ttl, *, timeout=None",                                                             \
      "Lets the key expire `ttl` seconds from now; whether it was there.")                                                                         \
    X(persist, NULL, 1, 1, NAMES("key", "timeout"), "key, *, timeout=None",                                                                        \
      "Takes the key's expiry away; whether the key was there.")                                                                                   \
    X(update_key, "kvb_store_update", 2, 2, NAMES("key", "function", "ttl", "timeout"),                                                            \
      "key, function, *, ttl=None, timeout=None",                                                                                                  \
      "Reads, computes function(current), and writes that if nobody wrote meanwhile; else "                                                        \
      "again.\n\n"                                                                                                                                 \
      "current: None of a missing key. The function may be called several times; its time does "                                                   \
      "not count\n"                                                                                                                                \
      "against the timeout. It returns the new value, kivi.DELETE or kivi.LEAVE. Returns what "                                                    \
      "the key\n"                                                                                                                                  \
      "holds then, None if nothing.")                                                                                                              \
    X(get_or_set, NULL, 2, 2, NAMES("key", "function", "ttl", "timeout", "lease"),                                                                 \
      "key, function, *, ttl=None, timeout=None, lease=None",                                                                                      \
      "Reads; if the key is missing, writes what function() returns, and returns that.\n\n"                                                        \
      "In one process one caller computes a key at a time; the others wait for its value. If the "                                                 \
      "function\n"                                                                                                                                 \
      "raises, all of them get the exception; if it returns kivi.LEAVE nothing is stored, and "                                                    \
      "they "                                                                                                                                      \
      "get None.\n"                                                                                                                                \
      "lease: seconds for which one process computes while those of others wait.")                                                                 \
    X(set_many, NULL, 1, 1, NAMES("pairs", "ttl", "timeout"), "pairs, *, ttl=None, timeout=None",                                                  \
      "Writes several pairs, of a mapping or an iterable of (key, value).")                                                                        \
    X(delete_many, NULL, 1, 1, NAMES("keys", "timeout"), "keys, *, timeout=None",                                                                  \
      "Deletes several keys; how many were there.")                                                                                                \
    X(apply, NULL, 1, 2, NAMES("ops", "atomic", "timeout"), "ops, atomic=False, *, timeout=None",                                                  \
      "The general write: a list of operations; a kivi.Result of each.\n\n"                                                                        \
      "An operation is a dict: op (set, delete, touch, check, increment), key, value, ttl, by, "                                                   \
      "and at most\n"                                                                                                                              \
      "one condition: if (absent, present), if_equal (a value) or if_version (of "                                                                 \
      "get_versioned()).\n"                                                                                                                        \
      "atomic: all happen or none; at most capabilities()['atomic_max'] of them.")                                                                 \
    X(page, NULL, 0, 1, NAMES("prefix", "after", "cursor", "limit", "keys", "ttl", "timeout"),                                                     \
      "prefix='', *, after=None, cursor=None, limit=0, keys=False, ttl=False, timeout=None",                                                       \
      "One page of a scan: a kivi.Page of (key, value), whose `cursor` begins the next one.\n\n"                                                   \
      "limit: at most so many pairs, 0: 1,000. keys: keys alone. ttl: with seconds left as the "                                                   \
      "last item.")                                                                                                                                \
    X(count, NULL, 0, 1, NAMES("prefix", "timeout"), "prefix='', *, timeout=None",                                                                 \
      "How many keys begin so; most stores walk them.")                                                                                            \
    X(clear, NULL, 0, 1, NAMES("prefix", "all", "timeout"),                                                                                        \
      "prefix='', *, all=False, timeout=None", "Deletes all keys that begin so; how many. A shared keyspace is cleared whole only with all=True.") \
    X(copy_to, NULL, 2, 10,                                                                                                                        \
      NAMES("target", "progress", "prefix", "cursor", "dry_run", "add_only", "no_expiry", "batch",                                                 \
            "rate", "timeout"),                                                                                                                    \
      "target, progress, prefix='', cursor=None, dry_run=False, add_only=False, no_expiry=False, "                                                 \
      "batch=0, "                                                                                                                                  \
      "rate=0, timeout=None",                                                                                                                      \
      "Copies pairs into another store: see kivi.copy().")                                                                                         \
    X(capabilities, NULL, 0, 0, NAMES(NULL), "", "What the store promises: a dict.")                                                               \
    X(stats, NULL, 0, 0, NAMES(NULL), "", "Counters since open: a dict; times in nanoseconds.")                                                    \
    X(health, NULL, 0, 0, NAMES("timeout"), "*, timeout=None",                                                                                     \
      "Asks the store one small question: a dict of ok, latency_ns and detail, or raises.")                                                        \
    X(close, NULL, 0, 0, NAMES(NULL),                                                                                                              \
      "", "Ends the work: calls in progress and later ones raise Closed. As often as you like, any thread.")                                       \
    X(url, NULL, 0, 0, NAMES(NULL), "", "The URL as it may be shown: without secrets.")                                                            \
    X(scheme, NULL, 0, 0, NAMES(NULL), "", "The URL's scheme.")                                                                                    \
    X(codec, NULL, 0, 0, NAMES(NULL), "", "How values are stored: msgpack, json or raw.")

/* These two do a little more than hand on. */
static method of_get = {
    .name = "get", .names = NAMES("key", "default", "timeout", "type"), .required = 1, .positional = 2};
static method of_get_many = {
    .name = "get_many", .names = NAMES("keys", "", "timeout"), .required = 1, .positional = 1};

#define DESCRIBE(id, wrapped_name, required_count, positional_count, parameters, signature, text)          \
    static method of_##id = {.name = #id,                                                                  \
                             .wrapped = wrapped_name,                                                      \
                             .names = parameters,                                                          \
                             .required = required_count,                                                   \
                             .positional = positional_count};                                              \
    static PyObject *method_##id(PyObject *self, PyObject *const *args, Py_ssize_t given, PyObject *names) \
    {                                                                                                      \
        return call(&of_##id, self, args, given, names);                                                   \
    }

/* ---- binding arguments to parameters ---- */

static int position(const method *of, PyObject *name)
{
    for (int i = 0; i < of->count; i++)
        if (of->keywords[i] == name)
            return i;
    for (int i = 0; i < of->count; i++)
        if (of->names[i][0] && PyUnicode_Compare(of->keywords[i], name) == 0)
            return i;
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", of->name, name);
    return -1;
}

static bool bind_names(const method *of, PyObject *const *values, PyObject *names, PyObject **items)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        int at = position(of, PyTuple_GET_ITEM(names, i));
        if (at < 0)
            return false;
        if (items[at]) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'", of->name,
                         of->names[at]);
            return false;
        }
        items[at] = values[i];
    }
    return true;
}

static bool bind(const method *of, PyObject *const *args, Py_ssize_t given, PyObject *names,
                 PyObject **items)
{
    if (given > of->positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d positional argument%s (%zd given)",
                     of->name, of->positional, of->positional == 1 ? "" : "s", given);
        return false;
    }
    for (Py_ssize_t i = 0; i < given; i++)
        items[i] = args[i];
    for (int i = (int)given; i < of->count; i++)
        items[i] = NULL;
    if (names && !bind_names(of, args + given, names, items))
        return false;
    for (int i = (int)given; i < of->required; i++)
        if (!items[i]) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument: '%s'", of->name,
                         of->names[i]);
            return false;
        }
    return true;
}

/* Calls of a store with a queue are awaited: in its own loop. */
static inline bool may_call(const method *of, PyObject *self)
{
    kvb_store *store = ((kvp_store *)self)->store;
    return of->anywhere || !store->queue || kvp_loop_is_here(store);
}

static PyObject *call(const method *of, PyObject *self, PyObject *const *args, Py_ssize_t given,
                      PyObject *names)
{
    kvp_frame frame;
    PyObject *result;
    bool has_key = of->count && strcmp(of->names[0], "key") == 0;
    frame.items[0] = self;
    if (!bind(of, args, given, names, frame.items + 1) || !may_call(of, self))
        return NULL;
    result = of->call(NULL, of->count ? (PyObject *)&frame : self);
    if (!result && has_key)
        kvp_name_refused(kvp_config_of(((kvp_store *)self)->store), frame.items[1]);
    kvp_call_name(result, of->name, has_key ? frame.items[1] : NULL);
    return result;
}

METHODS(DESCRIBE)

/* get(key, default=None, *, type=None, timeout=None) */
static PyObject *method_get(PyObject *self, PyObject *const *args, Py_ssize_t given, PyObject *names)
{
    kvp_frame frame;
    PyObject **items = frame.items + 1;
    frame.items[0] = self;
    if (!bind(&of_get, args, given, names, items) || !may_call(&of_get, self))
        return NULL;
    if (!items[3] || items[3] == Py_None) {
        PyObject *result = of_get.call(NULL, (PyObject *)&frame);
        kvp_call_name(result, of_get.name, items[0]);
        return result;
    }
    return PyObject_CallMethod(self, "_get_typed", "OOOO", items[0], items[1] ? items[1] : Py_None,
                               items[3], items[2] ? items[2] : Py_None);
}

/* The keys, as they were given, are those of the dict that comes back. */
static PyObject *method_get_many(PyObject *self, PyObject *const *args, Py_ssize_t given, PyObject *names)
{
    kvp_frame frame;
    PyObject **items = frame.items + 1, *found;
    frame.items[0] = self;
    if (!bind(&of_get_many, args, given, names, items) || !may_call(&of_get_many, self))
        return NULL;
    items[0] = items[1] = kvp_items(items[0], "keys");
    if (!items[0])
        return NULL;
    found = of_get_many.call(NULL, (PyObject *)&frame);
    kvp_call_name(found, of_get_many.name, NULL);
    Py_DECREF(items[0]);
    return found;
}

#define FAST(function) ((PyCFunction)(void (*)(void))(function))
#define LIST(id, wrapped_name, required_count, positional_count, parameters, signature, text) \
    {#id, FAST(method_##id), METH_FASTCALL | METH_KEYWORDS,                                   \
     PyDoc_STR(#id "($self, " signature ")\n--\n\n" text)},

PyMethodDef kvp_store_methods[] = {
    {"get", FAST(method_get), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR(
         "get($self, key, default=None, *, type=None, timeout=None)\n--\n\n"
         "The value of a key, or `default` if it is missing.\n\n"
         "type: read as this type (a dataclass, TypedDict, list[int], ...), by msgspec or cattrs.\n"
         "timeout: seconds; None: the store's own.")},
    {"get_many", FAST(method_get_many), METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("get_many($self, keys, *, timeout=None)\n--\n\n"
               "The values of several keys: a dict of those found, by the keys as given.")},
    {"_tell", kvp_tell_method, METH_NOARGS, NULL},
    METHODS(LIST){NULL, NULL, 0, NULL}};

/* ---- finding SWIG's wrappers ---- */

#define POINTER(id, wrapped_name, required_count, positional_count, parameters, signature, text) \
    &of_##id,
static method *const methods[] = {&of_get, &of_get_many, METHODS(POINTER) NULL};

static PyCFunction find(const PyMethodDef *wrappers, const method *of)
{
    char made[64];
    const char *wanted = of->wrapped;
    if (!wanted) {
        snprintf(made, sizeof(made), "kvb_store_%s", of->name);
        wanted = made;
    }
    for (; wrappers->ml_name; wrappers++)
        if (strcmp(wrappers->ml_name, wanted) == 0)
            return wrappers->ml_meth;
    PyErr_Format(PyExc_ImportError, "kivi: %s is missing", wanted);
    return NULL;
}

static bool is_anywhere(const char *name)
{
    static const char *const names[] = {"close",   "url",        "scheme",    "codec",
                                        "copy_to", "update_key", "get_or_set"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

bool kvp_methods_ready(const PyMethodDef *wrappers)
{
    for (size_t i = 0; methods[i]; i++) {
        method *of = methods[i];
        of->anywhere = is_anywhere(of->name);
        of->call = find(wrappers, of);
        if (!of->call)
            return false;
        for (of->count = 0; of->names[of->count]; of->count++) {
            of->keywords[of->count] = PyUnicode_InternFromString(of->names[of->count]);
            if (!of->keywords[of->count])
                return false;
        }
    }
    return true;
}
