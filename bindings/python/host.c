/* Waiting for a call without the GIL, reading in place with it, and the functions of Python that a call asks. */
#include "module.h"

enum {
    IN_PLACE_MAX = 64 * 1024, /* bytes of a value decoded where it lies */
    HERE_MS = 1               /* a read in an event loop that would wait longer goes to its queue */
};

/* A call of this thread that waits without the GIL. */
typedef struct waiting {
    PyThreadState *state;
    PyObject *latest; /* UPDATE: what the key holds if the last computation is written */
    PyObject *given_up; /* an opening: asked as well, whether nobody waits for it any more; NULL: it is not */
} waiting;

/* ---- with the GIL: reads of stores in this process ---- */

static int interrupted_holding(void *user)
{
    (void)user;
    Py_BEGIN_ALLOW_THREADS /* others may run now: they may be what this read waits for */
        Py_END_ALLOW_THREADS return PyErr_CheckSignals();
}

static kivi_status see(kivi_slice value, void *user)
{
    kvb_answer *answer = user;
    if (value.size > IN_PLACE_MAX)
        return kivi_buffer_assign(&answer->value, value);
    answer->in_place = true;
    answer->object = kvp_answer_read(answer, value);
    return KIVI_OK;
}

static void read_here(kvb_answer *answer)
{
    kivi_store *store = answer->store->store;
    kivi_completion *done = &answer->done;
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = answer->store->queue ? HERE_MS : answer->timeout_ms;
    call.interrupted = interrupted_holding;
    call.trace = kvb_trace_tried(answer->store);
    if (answer->request.verb == KIVI_VERB_EXISTS) {
        done->status = kivi_store_exists(store, &call, answer->request.key, &done->truth, &done->error);
        return;
    }
    done->status = kivi_store_visit(store, &call, answer->request.key, see, answer, &done->error);
    done->value = kivi_buffer_slice(&answer->value);
}

/* ---- without it ---- */

/* Non-zero: it was, or asking raised. */
static int is_given_up(const waiting *call)
{
    PyObject *said = call->given_up ? PyObject_CallNoArgs(call->given_up) : NULL;
    int truth = said ? PyObject_IsTrue(said) : PyErr_Occurred() != NULL;
    Py_XDECREF(said);
    return truth;
}

static int interrupted(void *user)
{
    waiting *call = user;
    int stop;
    PyEval_RestoreThread(call->state);
    stop = PyErr_CheckSignals();
    if (!stop)
        stop = is_given_up(call);
    call->state = PyEval_SaveThread();
    return stop;
}

void kvb_host_wait(kvb_answer *answer)
{
    int32_t verb = answer->request.verb;
    kivi_call call = KIVI_CALL_INIT;
    waiting wait = {NULL, NULL, NULL};
    if (answer->store->can.in_place && (verb == KIVI_VERB_GET || verb == KIVI_VERB_EXISTS)) {
        read_here(answer);
        return;
    }
    call.timeout_ms = answer->timeout_ms;
    call.interrupted = interrupted;
    call.user = &wait;
    call.trace = kvb_trace(answer->store);
    answer->object = &wait;
    wait.state = PyEval_SaveThread();
    kvb_perform(answer, &call);
    PyEval_RestoreThread(wait.state);
    answer->object = wait.latest;
}

kvb_store *kvp_open_waiting(const char *url, const kivi_options *options, PyObject *given_up,
                            kivi_error **error)
{
    kivi_call call = KIVI_CALL_INIT;
    waiting wait = {NULL, NULL, given_up};
    kvb_store *store;
    call.interrupted = interrupted;
    call.user = &wait;
    wait.state = PyEval_SaveThread();
    store = kvb_open(url, &call, options, NULL, error);
    PyEval_RestoreThread(wait.state);
    return store;
}

/* ---- computing ---- */

static PyObject *current_object(kvb_answer *answer, const kivi_slice *current)
{
    if (current)
        return kvp_answer_read(answer, *current);
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *call_function(kvb_answer *answer, const kivi_slice *current)
{
    PyObject *object, *made;
    if (answer->request.verb == KVB_VERB_GET_OR_SET)
        return PyObject_CallNoArgs(answer->function);
    object = current_object(answer, current);
    made = object ? PyObject_CallFunctionObjArgs(answer->function, object, NULL) : NULL;
    if (made == kvp.LEAVE) {
        waiting *wait = answer->object;
        Py_XSETREF(wait->latest, object);
        return made;
    }
    Py_XDECREF(object);
    return made;
}

static bool write_computed(kvb_answer *answer, PyObject *made, kivi_buffer *next)
{
    kvb_encoder *encoder = kvp_value_in(answer->store, made, NULL);
    bool ok;
    if (!encoder)
        return false;
    ok = kivi_buffer_append(next, kivi_buffer_slice(&encoder->bytes)) == KIVI_OK;
    kvb_encoder_give(answer->store, encoder);
    if (!ok)
        PyErr_NoMemory();
    return ok;
}

/* With the GIL. Any failure is a Python exception, which stands until the call has ended. */
static bool compute(kvb_answer *answer, const kivi_slice *current, kivi_buffer *next,
                    kivi_update_action *action)
{
    waiting *wait = answer->object;
    PyObject *made = call_function(answer, current);
    bool ok = made != NULL;
    if (made == kvp.LEAVE) {
        *action = KIVI_UPDATE_LEAVE;
    } else if (made == kvp.DELETE) {
        *action = KIVI_UPDATE_DELETE;
        Py_CLEAR(wait->latest);
    } else if (made) {
        ok = write_computed(answer, made, next);
        if (ok && answer->request.verb == KVB_VERB_UPDATE) {
            Py_INCREF(made);
            Py_XSETREF(wait->latest, made);
        }
    }
    Py_XDECREF(made);
    return ok;
}

static void hold(void *object)
{
    Py_INCREF((PyObject *)object);
}

/* Those who wait for the computation get what was raised; of one that was broken off (KeyboardInterrupt) nothing, they compute. */
static kivi_status failure(kvb_answer *answer)
{
    PyObject *type, *raised, *trace;
    if (answer->request.verb != KVB_VERB_GET_OR_SET || !PyErr_ExceptionMatches(PyExc_Exception))
        return KIVI_CANCELLED;
    PyErr_Fetch(&type, &raised, &trace);
    PyErr_NormalizeException(&type, &raised, &trace);
    if (raised)
        kvb_answer_share(answer, raised, hold); /* alive until this call has ended: it is raised by it */
    PyErr_Restore(type, raised, trace);
    return KIVI_ABORTED;
}

kivi_status kvb_host_compute(kvb_answer *answer, const kivi_slice *current, kivi_buffer *next,
                             kivi_update_action *action)
{
    waiting *wait = answer->object;
    kivi_status failed = KIVI_OK;
    bool ok;
    PyEval_RestoreThread(wait->state);
    ok = compute(answer, current, next, action);
    if (!ok)
        failed = failure(answer);
    wait->state = PyEval_SaveThread();
    return ok ? KIVI_OK : failed;
}

int kvb_host_progress(kvb_answer *answer, const kivi_copy_progress *progress)
{
    waiting *wait = answer->object;
    PyObject *report, *said = NULL;
    PyEval_RestoreThread(wait->state);
    report = PyObject_CallFunction(
        kvp.Copied, "KKKdy#", (unsigned long long)progress->copied, (unsigned long long)progress->skipped,
        (unsigned long long)progress->bytes, (double)progress->elapsed_ns / 1e9,
        (const char *)progress->cursor.data, (Py_ssize_t)progress->cursor.size);
    if (report)
        said = PyObject_CallFunctionObjArgs(answer->function, report, NULL);
    Py_XDECREF(report);
    Py_XDECREF(said);
    wait->state = PyEval_SaveThread();
    return said == NULL;
}
