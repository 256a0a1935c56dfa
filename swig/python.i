/*
 * Python: kivi._kivi. The wrappers that SWIG writes from kivi.i are called by the methods of bindings/python/methods.c,
 * which bind arguments to parameters as Python does; no type of SWIG's is ever seen.
 *
 * What kivi.aio stands on (bindings/python/loop.h):
 *   queue = _kivi.Queue(loop)
 *       One for each event loop, shared by its stores, to be kept while they are used. loop.add_reader(queue.descriptor(),
 *       queue.take): take() tells those that await calls that are done. count(): calls in flight. end_calls(): calls in flight and
 *       later ones raise kivi.Closed (remove the reader first); close() before it is the part that may wait, for any thread.
 *   store = _kivi.open(cls, url, options, key_type, default, ext, pairs, queue, given_up=None)
 *       cls: a subclass of _kivi.Calls, which has every method but those of a mapping: get(key, default=None, *, type=None,
 *       timeout=None), set(...), page(...), ... Each answers a kivi.aio.Call, to be awaited. Bad Python arguments raise at once.
 *       get and exists on memory and LMDB are answered already then, where that needs no waiting.
 *       A store without room for another call (queue_limit) lets it wait for its turn.
 *       These always wait, in whatever thread calls them: update_key, get_or_set, copy_to. url(), scheme(), codec(), close() answer at once.
 *       get(type=...) calls self._get_typed(key, default, type, timeout) and answers what that answers; kivi.typed.convert(value, type).
 *       Open blocks for a moment (names, files): run it in a thread if that matters. It may be called by any thread.
 *   A Page answered by page() is a sequence with `cursor` (bytes, or None at the end); it converts when it is read.
 */
%module(package="kivi") _kivi

%{
#include "module.h"

/* A wrapper gets its arguments as a kvp_frame, not as a tuple: NULL where the default counts. */
#define SWIG_Python_UnpackTuple(frame, name, least, most, objects) \
    (memcpy(objects, ((kvp_frame *)(frame))->items, (most) * sizeof(PyObject *)), 1)
%}

%typemap(in) struct kvb_store *, kvb_store * { if (!($1 = kvp_store_get($input))) SWIG_fail; }
%typemap(in) struct kvb_queue *, kvb_queue * { if (!($1 = kvp_queue_get($input))) SWIG_fail; }
%typemap(in) kivi_slice key { if (!kvp_key_in($input, &$1)) SWIG_fail; }
%typemap(in) kivi_slice prefix, kivi_slice after, kivi_slice cursor {
    if (!kvp_prefix_in($input, &$1)) SWIG_fail;
}
%typemap(in) kvb_encoder * { if (!($1 = kvp_value_in(arg1, $input, NULL))) SWIG_fail; }
%typemap(arginit) kvb_encoder *, kvb_batch * "$1 = NULL;"
%typemap(freearg) kvb_encoder * "kvb_encoder_give(arg1, $1);"
%typemap(in) kvb_batch *keys { if (!($1 = kvp_keys_in($input))) SWIG_fail; }
%typemap(in) kvb_batch *pairs { if (!($1 = kvp_pairs_in(arg1, $input))) SWIG_fail; }
%typemap(in) kvb_batch *ops { if (!($1 = kvp_ops_in(arg1, $input))) SWIG_fail; }
%typemap(freearg) kvb_batch * "kvb_batch_free($1);"
%typemap(in) int64_t ttl_ms { if (!kvp_ttl_in($input, &$1)) SWIG_fail; }
%typemap(in) int64_t timeout_ms { if (!kvp_timeout_in($input, &$1)) SWIG_fail; }
%typemap(in) int64_t by { if (!kvp_integer_in($input, &$1)) SWIG_fail; }
%typemap(in) uint64_t { if (!kvp_size_in($input, &$1)) SWIG_fail; }
%typemap(in) bool {
    int truth = PyObject_IsTrue($input);
    if (truth < 0) SWIG_fail;
    $1 = truth;
}
%typemap(in) void *missing "$1 = $input;"
%typemap(in) void *function { if (!kvp_function_in($input, &$1)) SWIG_fail; }
%typemap(out) kvb_answer * { $result = kvp_answer_out($1); if (!$result) SWIG_fail; }

%include "kivi.i"

%{
static PyMethodDef own_functions[] = {
    {"setup", kvp_setup, METH_O, NULL},
    {"open", kvp_open, METH_VARARGS, NULL},
    {"schemes", kvp_schemes, METH_NOARGS, NULL},
    {"options", kvp_options, METH_O, NULL},
    {"name_key", kvp_name_key_method, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL}};
%}

%{
/* Since 4.4 SWIG makes a module of several phases, whose second one returns an int, and runs in every interpreter. */
#if SWIG_VERSION >= 0x040400
#define KVP_INIT_FAILED -1
#else
#define KVP_INIT_FAILED NULL
#endif
%}

%init %{
    /* Before anything of the first interpreter is overwritten: types and names lie in static memory. */
    if (!kvp_is_main_interpreter())
        return KVP_INIT_FAILED;
    /* SWIG leaves a module of its types for other modules of its own, which have no use for ours. */
    PyObject *types = PyImport_AddModule("swig_runtime_data" SWIG_RUNTIME_VERSION);
    if (types && PyObject_HasAttrString(types, SWIGPY_CAPSULE_ATTR_NAME) &&
        !PyObject_HasAttrString(types, "type_pointer_capsule")) {
        Py_INCREF(types); /* what lies in it is used to the end */
        PyDict_DelItemString(PyImport_GetModuleDict(), "swig_runtime_data" SWIG_RUNTIME_VERSION);
    }
    PyErr_Clear();
    /* The wrappers are found under their names, then nobody else sees them. */
    for (PyMethodDef *wrapper = SwigMethods; wrapper->ml_name; wrapper++)
        if (PyDict_DelItemString(md, wrapper->ml_name))
            PyErr_Clear();
    if (!kvp_methods_ready(SwigMethods) || !kvp_store_ready(m) || !kvp_page_ready(m) || !kvp_queue_ready(m) ||
        PyModule_AddFunctions(m, own_functions) || PyModule_AddStringConstant(m, "version", kivi_version()))
        return KVP_INIT_FAILED;
%}
