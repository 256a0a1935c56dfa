/* Event loops: the queue of one, and the calls that its tasks await (loop.c, await.c). */
#ifndef KVP_LOOP_H
#define KVP_LOOP_H

#include "module.h"

typedef struct kvp_queue {
    PyObject_HEAD kvb_queue *queue; /* its `host` leads back here */
    PyObject *loop;
    kvb_answer *first; /* of the calls in flight and those that wait for room, by `next`; `object`: the kvp_call, held */
    PyThreadState *taking; /* take() runs in it, and so does the loop; NULL: it does not */
    unsigned forks;        /* of the process, when it was made */
    unsigned at_once;      /* calls answered without waiting */
    bool held; /* calls that follow wake no thread before this turn of the loop is over */
} kvp_queue;

typedef enum kvp_stage {
    KVP_IN_FLIGHT = 1,
    KVP_NO_ROOM = 2, /* to be submitted when the store has answered others */
    KVP_DONE = 3,
    KVP_OVER = 4 /* its answer was given, or nobody wants it */
} kvp_stage;

/*
 * What the task that awaits a call is given: as much of a future as tasks ask of one. A plain future costs more than the rest of
 * the call: its loop makes a handle for it and goes round once more. It is kept by its call, and reused with it.
 */
typedef struct kvp_waiter {
    PyObject_HEAD struct kvp_call *call; /* NULL: that is over */
    PyObject *message;                   /* of the cancellation */
    bool blocking, cancelled;
} kvp_waiter;

/* One call, as a coroutine that has begun already. */
typedef struct kvp_call {
    PyObject_HEAD kvp_queue *queue; /* held */
    kvb_answer *answer;             /* not converted yet */
    PyObject *value, *error; /* of a call that was answered at once; value: or that is to be confirmed */
    kvp_waiter *waiter;      /* what the task that awaits it was given */
    PyObject *wakeup, *context; /* of that task */
    const char *name;           /* of the method */
    PyObject *key;              /* that it was called with; NULL: it has none */
    kvp_stage stage;
    bool awaited;
    bool pause;                 /* lets other tasks of the loop run first */
    struct kvp_call *next_held; /* those of one store without room, in line */
} kvp_call;

/* ---- wait.c ---- */

bool kvp_waiter_ready(void);
/* Finds asyncio's exception: not before the module is used with a loop. */
bool kvp_find_cancelled_error(void);
kvp_waiter *kvp_waiter_new(void);
/*
 * Goes on with the task that awaits the call, if one does: at once, where the loop called us, else soon. False:
 * KeyboardInterrupt or SystemExit came out of it.
 */
bool kvp_call_wake(kvp_call *call, bool at_once);

/* ---- loop.c ---- */

/* The value of a call that is done was converted: has the key go, or its expiry set. The call is on its way again, or has failed (DONE). */
void kvp_call_confirm(kvp_call *call);

/* ---- await.c ---- */

bool kvp_call_ready(PyObject *module);
/* Notes what a call is called, for who forgets to await it; a result that is no call stays as it is. */
void kvp_call_name(PyObject *result, const char *name, PyObject *key);
/* A call of an answer that is in flight or waits for room; NULL without an exception's memory. */
kvp_call *kvp_call_new(kvp_queue *queue, kvb_answer *answer);
/* One that is over, of a value (taken over) or of the exception that is raised. */
PyObject *kvp_call_done(kvp_queue *queue, PyObject *value);
/* Its answer is there: goes on with who awaits it. False as kvp_call_wake(). */
bool kvp_call_arrived(kvp_call *call, bool at_once);
/* Gives an answer back with what it held of Python. */
void kvp_answer_drop(kvb_answer *answer);

#endif
