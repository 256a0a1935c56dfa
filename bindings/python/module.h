/*
 * What the files of the Python module share. Names begin kvp_. Everything runs with the GIL held unless it says
 * otherwise; a function that answers NULL or false has raised a Python exception.
 */
#ifndef KVP_MODULE_H
#define KVP_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "bindings.h"

/* ---- the parts of the package that are written in Python (setup.c) ---- */

/* Objects that kivi/__init__.py hands over by kvp_setup(); borrowed, they live as long as the process. */
typedef struct kvp_python {
    PyObject *Ext, *Timestamp, *Pairs, *Result, *Copied, *Event, *KEEP, *DELETE, *LEAVE;
    PyObject *errors; /* name of the class ("TooLarge"): the class */
} kvp_python;
extern kvp_python kvp;
PyObject *kvp_setup(PyObject *module, PyObject *parts);
/* False and an ImportError: this is another one. */
bool kvp_is_main_interpreter(void);

/* ---- stores (store.c) ---- */

/* How one store's keys and values look in Python; the `host` of its kvb_store. */
typedef struct kvp_config {
    PyObject *default_hook, *ext_hook; /* NULL: none */
    PyObject *on_event;                /* NULL: nobody is told */
    PyObject *dumps, *loads; /* of a codec that is Python's own, over raw; NULL: the store's codec */
    bool bytes_keys, pairs;
    struct kvp_call *held, *last_held; /* calls that its queue has no room for (loop.h) */
} kvp_config;

typedef struct kvp_store {
    PyObject_HEAD kvb_store *store;
} kvp_store;

extern PyTypeObject *kvp_store_type;
bool kvp_store_ready(PyObject *module);
PyObject *kvp_open(PyObject *module, PyObject *args);
/* The store of an argument; NULL: it is none. */
kvb_store *kvp_store_get(PyObject *object);

static inline const kvp_config *kvp_config_of(const kvb_store *store)
{
    return store->host;
}

/* ---- methods of kivi.i (methods.c) ---- */

/* The arguments of one call as SWIG's wrappers get them; NULL: the default. */
enum { KVP_MAX_ARGUMENTS = 12 };
typedef struct kvp_frame {
    PyObject *items[KVP_MAX_ARGUMENTS];
} kvp_frame;
extern PyMethodDef kvp_store_methods[];
/* Finds the wrappers of the methods in SWIG's table. */
bool kvp_methods_ready(const PyMethodDef *wrappers);

/* ---- arguments (arguments.c, batches.c) ---- */

/* Where a conversion is, from the inside out. */
typedef struct kvp_link {
    const struct kvp_link *outer;
    PyObject *container; /* being written, to know a cycle; may be NULL */
    PyObject *key;       /* of a map's pair; NULL: `index` counts */
    Py_ssize_t index;
} kvp_link;

bool kvp_key_in(PyObject *object, kivi_slice *key);
/* The same, where nothing, or None, is the empty one. */
bool kvp_prefix_in(PyObject *object, kivi_slice *prefix);
bool kvp_ttl_in(PyObject *object, int64_t *ttl_ms);
bool kvp_timeout_in(PyObject *object, int64_t *timeout_ms);
bool kvp_integer_in(PyObject *object, int64_t *number);
/* A callable, or None: NULL. */
bool kvp_function_in(PyObject *object, void **function);
bool kvp_size_in(PyObject *object, uint64_t *number);
/* `link`: where in a batch the value is; NULL: it is the only one. */
kvb_encoder *kvp_value_in(kvb_store *store, PyObject *object, const kvp_link *link);
/* The items of an iterable as a tuple; a str or bytes is none: `what` are needed. */
PyObject *kvp_items(PyObject *object, const char *what);
kvb_batch *kvp_keys_in(PyObject *object);
kvb_batch *kvp_pairs_in(kvb_store *store, PyObject *object);
kvb_batch *kvp_ops_in(kvb_store *store, PyObject *object);

/* ---- values (encode.c, decode.c, names.c, times.c, links.c) ---- */

/* Raises Unrepresentable with the path of `link` and the reason; answers false. */
bool kvp_refuse(const kvp_link *link, const char *format, ...);

/* Writes an object into a started writer; the caller finishes it. */
bool kvp_encode(kvb_store *store, kivi_writer *writer, PyObject *object, const kvp_link *link);
PyObject *kvp_decode(const kvp_config *config, kivi_reader *reader, kivi_slice bytes);
PyObject *kvp_key_out(const kvp_config *config, kivi_slice key);
/* A text that is probably a name: from a cache where it is short. */
PyObject *kvp_name_out(kivi_slice text);

bool kvp_is_datetime(PyObject *object);
/* Raises and answers false for a naive one, with `link` as its place. */
bool kvp_datetime_has_zone(PyObject *object);
bool kvp_datetime_in(PyObject *object, const kvp_link *link, int64_t *seconds, uint32_t *nanoseconds);
PyObject *kvp_timestamp_out(int64_t seconds, uint32_t nanoseconds);

/* ---- calls (host.c, answers.c, found.c, errors.c, page.c) ---- */

/* For kvb_answer.missing: raise NotFound. */
extern char kvp_raise_missing;
/* Converts an answer, or what waits for it, or raises; gives the answer back. */
PyObject *kvp_answer_out(kvb_answer *answer);
/* Opens a store without the GIL; handlers of signals run meanwhile, and the function `given_up` (may be NULL) is asked
 * whether to end. What they raise is set, whatever is returned. */
kvb_store *kvp_open_waiting(const char *url, const kivi_options *options, PyObject *given_up,
                            kivi_error **error);
/* Converts what is done, keeping the answer. */
PyObject *kvp_answer_value(kvb_answer *answer);
/* Reads a value of the answer's key; what is raised names it. */
PyObject *kvp_answer_read(kvb_answer *answer, kivi_slice bytes);
/* The exception of a failed answer, not raised. */
PyObject *kvp_answer_exception(kvb_answer *answer);
/* A new exception of a status; `error` may be NULL. */
PyObject *kvp_exception(kivi_status status, const kivi_error *error);
/* Gives the exception that is raised the key that it is about: as `key`, and in the message of ours. */
void kvp_name_key(const kvp_config *config, kivi_slice key);
/* Gives an error of ours that is raised the key that it was refused for, unless it has one; its message stays. */
void kvp_name_refused(const kvp_config *config, PyObject *key);
/* The same for one that is not raised; `key` are its `bytes` in Python; `in_message`: its message names the key. */
void kvp_exception_name_key(PyObject *exception, PyObject *key, kivi_slice bytes, bool in_message);
/* Gives an error of ours that is raised the item of a batch that it is about, and its key (empty: none). */
void kvp_name_item(const kvp_config *config, kivi_slice key, size_t index);
/* name_key(exception, key): for what is written in Python. */
PyObject *kvp_name_key_method(PyObject *module, PyObject *args);

/* The exception that is raised, if an unreadable value is no reason to end what reads many: taken, into `*failures` (a
 * dict, made where it is NULL) under its position. False: another one, which stands. */
bool kvp_failure_note(PyObject **failures, size_t index);
/* An exception like the first of failures, with them as `failures`; takes them over. NULL: something else was raised. */
PyObject *kvp_failures_exception(PyObject *failures);
/* The exception of one item of a batch, with its key. */
PyObject *kvp_item_exception(const kvb_answer *answer, kivi_status status, const kivi_error *error,
                             size_t index);
/* Raises an exception, takes it over; answers NULL. */
PyObject *kvp_raise_exception(PyObject *exception);
/* Raises it and frees the error; answers NULL. */
PyObject *kvp_raise(kivi_status status, kivi_error *error);
/* Raises the class of a status with a message of our own; answers NULL. */
PyObject *kvp_raise_text(kivi_status status, const char *format, ...);

PyObject *kvp_found_out(kvb_answer *answer); /* get_many */
PyObject *kvp_page_out(kvb_answer *answer);
bool kvp_page_ready(PyObject *module);

/* ---- what the library knows (info.c) ---- */

PyObject *kvp_schemes(PyObject *module, PyObject *nothing);
PyObject *kvp_options(PyObject *module, PyObject *scheme);

/* ---- events (events.c) ---- */

/* Tells on_event of what happened in a store since, in this thread. An exception that is raised stays raised. */
void kvp_tell(kvb_store *store);
static inline void kvp_tell_events(kvb_store *store)
{
    if (store && store->events)
        kvp_tell(store);
}
/* _tell(): the same, for what ends a store. */
PyObject *kvp_tell_method(PyObject *self, PyObject *nothing);

/* ---- event loops (loop.h) ---- */

bool kvp_queue_ready(PyObject *module);
/* The queue of an argument; NULL: it is none. */
kvb_queue *kvp_queue_get(PyObject *object);
/* Whether the loop of a store with a queue runs in this thread; raises RuntimeError if not. */
bool kvp_loop_is_here(const kvb_store *store);
/* A kivi.aio.Call of an answer of such a store, which takes the answer over. */
PyObject *kvp_call_out(kvb_answer *answer);

#endif
