/*
 * What the modules of all languages share: stores, calls and their answers, batches, pages, queues, names.
 *
 * A method of kivi.i fills a kivi_request and hands it to kvb_call(). That waits for the answer, or submits
 * where the store has a queue; either way it is one kvb_answer, which the language's typemap turns into
 * its own value by kvb_answer_shape(). A language gives the functions under "host" and converts values.
 *
 * Everything here runs with the interpreter's lock held but kvb_perform() and kvb_open(), which may block.
 */
#ifndef KVB_BINDINGS_H
#define KVB_BINDINGS_H

#include <kivi/kivi.h>

typedef struct kvb_store kvb_store;
typedef struct kvb_queue kvb_queue;
typedef struct kvb_answer kvb_answer;
typedef struct kvb_encoder kvb_encoder;
typedef struct kvb_events kvb_events;

/* ---- stores (store.c) ---- */

/* A store as a language's object holds it. Counted: the object, its answers and pages hold it. */
struct kvb_store {
    kivi_store *store;
    const char *codec; /* "msgpack" */
    kivi_capabilities can;
    kvb_queue *queue; /* calls are submitted to it; NULL: they wait */
    bool decodes; /* the host's: its values are more than their bytes, although the codec is raw */
    bool reads_here; /* the host's: GET and EXISTS are made at once although there is a queue */
    void *host;      /* the language's: hooks, key type; it gives and frees it */
    void (*host_free)(void *host);
    uint32_t refs;
    kvb_encoder *encoders; /* not in use */
    kvb_answer *answers;   /* not in use */
    kvb_answer *computing; /* GET_OR_SETs in progress */
    kvb_events *events;    /* yet to be told; NULL: nobody is told */
    int hook;              /* the host's: who is told */
};

/* Opens a store; may wait, as `call` says. `queue` may be NULL, else it is held. NULL with `*error`. */
kvb_store *kvb_open(const char *url, const kivi_call *call, const kivi_options *options,
                    kvb_queue *queue, kivi_error **error);
/* The same open store, its calls submitted to a queue; without the host's own. NULL: no memory. */
kvb_store *kvb_store_through(const kvb_store *store, kvb_queue *queue);
kvb_store *kvb_store_ref(kvb_store *store);
void kvb_store_unref(kvb_store *store); /* the last one closes */

/* Options from a language's own numbers; a DURATION is seconds. Both: NULL error for no memory. */
kivi_status kvb_option_number(kivi_options *options, const char *name, double number, kivi_error **error);
kivi_status kvb_option_integer(kivi_options *options, const char *name, int64_t number,
                               kivi_error **error);

/* For what goes back into a pool: its memory stays, unless a large value made it large. */
void kvb_buffer_keep(kivi_buffer *buffer);

/* A reader of the store's codec, for values of any size; NULL: no memory. */
kivi_reader *kvb_reader_new(const kvb_store *store);

/* ---- values on their way in (store.c) ---- */

/* Memory for the value of one argument. */
struct kvb_encoder {
    kivi_writer *writer; /* of the store's codec */
    kivi_buffer bytes;
    kvb_encoder *next;
};
/* One that is not in use, its writer started over its empty bytes; NULL: no memory. */
kvb_encoder *kvb_encoder_take(kvb_store *store);
void kvb_encoder_give(kvb_store *store, kvb_encoder *encoder); /* NULL is nothing */

/* ---- calls (answer.c) ---- */

/* Verbs beyond kivi_verb: calls with a function of the language in them. They always wait. */
enum { KVB_VERB_UPDATE = 1000, KVB_VERB_GET_OR_SET = 1001, KVB_VERB_COPY = 1002 };

/* What one call in progress needs, and its answer. Pooled by its store. */
struct kvb_answer {
    kvb_store *store;     /* held */
    kivi_request request; /* its slices are the caller's; of a submitted call it has none, until it is taken: then the queue's */
    int64_t timeout_ms;
    kivi_completion done;
    kivi_buffer value, version; /* what a read that waited found */
    kivi_reader *reader;        /* of the store's codec */
    bool pending;               /* submitted: the answer comes out of kvb_queue_take() */
    bool in_place;              /* the host converted the value already: `object` */
    uint64_t ticket;
    void *object;   /* the language's: a converted value, a future, a caught exception */
    void *missing;  /* the language's: what to answer for a missing key; NULL: its way to say so */
    void *function; /* the language's: of UPDATE, GET_OR_SET, COPY */
    uint32_t scan_flags; /* PAGE: KIVI_SCAN_* of its range */
    kivi_range range;    /* PAGE: what its request names */
    /* COPY */
    kvb_store *target;
    kivi_copy_options copy;
    kivi_copy_progress progress;
    kvb_answer *next, *before; /* while pending, the host's */
    void *held;                /* what the request refers to, of kvb_answer_hold() */
    /* TAKE_BEGIN and what follows */
    int64_t began_ms;     /* its step */
    kivi_completion read; /* of the step before */
    /* GET_OR_SET (share.c) */
    kvb_answer *next_computing;
    void *failure; /* the host's, held for it: how the computation failed that this call waited for; NULL: it did not */
    void *shared;  /* what this call's own computation failed with */
    void (*hold)(void *); /* of `shared` */
};

/* What an answer that is no failure holds. */
typedef enum kvb_shape {
    KVB_NOTHING = 1, /* set */
    KVB_TRUTH = 2, /* kvb_answer_truth(): exists, add, delete (asked), compare_and_set, expire, ... */
    KVB_INTEGER = 3,   /* done.integer: increment, count, clear, delete_many (asked) */
    KVB_VALUE = 4,     /* done.value, or missing */
    KVB_VERSIONED = 5, /* done.value and done.version, or missing */
    KVB_SECONDS = 6,   /* done.integer ms; KIVI_TTL_NONE: never expires */
    KVB_FOUND = 7,     /* done.result: get_many; keys are the language's */
    KVB_RESULTS = 8,   /* done.result: apply */
    KVB_PAGE = 9,      /* done.page */
    KVB_MAP = 10,   /* done.value, a msgpack map whatever the codec: capabilities, stats, health */
    KVB_COPIED = 11 /* progress, and the cursor in `version` */
} kvb_shape;

/* Makes the call, or submits it. Never NULL: without memory it is an answer that says so. */
kvb_answer *kvb_call(kvb_store *store, int64_t timeout_ms, const kivi_request *request);
/* The same with the language's function, or what it answers for a missing key, or both. */
kvb_answer *kvb_call_with(kvb_store *store, int64_t timeout_ms, const kivi_request *request,
                          void *missing, void *function);
/* Copies pairs from store to store; `options` without its progress function: `function` is told, if not NULL. */
kvb_answer *kvb_copy(kvb_store *source, kvb_store *target, int64_t timeout_ms,
                     const kivi_copy_options *options, void *function);
/*
 * For hosts that wait where a queue has no room (BUSY at once): the request gets memory of its own, inside
 * the call that made the answer; false: no memory. kvb_answer_submit() tries again: pending, or as kvb_call() it failed.
 */
bool kvb_answer_hold(kvb_answer *answer);
void kvb_answer_submit(kvb_answer *answer);
/* Carries out an answer's request; blocks: the host calls it without the interpreter's lock. */
void kvb_perform(kvb_answer *answer, const kivi_call *call);
/* Makes or submits what the answer's request says. For answer.c and take.c. */
void kvb_answer_make(kvb_answer *answer);
kvb_shape kvb_answer_shape(const kvb_answer *answer);
/* Whether the call failed: to be raised with done.status and done.error (NULL without memory). What is an answer for
 * this verb (missing, condition not met) is none. */
bool kvb_answer_failed(const kvb_answer *answer);
bool kvb_answer_truth(const kvb_answer *answer);
/* The key that a failed call is about: its one key, or the first of many that failed; empty: it is about none. */
kivi_slice kvb_answer_key(const kvb_answer *answer);
/* The key of one item of a batch. */
kivi_slice kvb_answer_item_key(const kvb_answer *answer, size_t index);
/* Whether a failure is about the key, or what it holds, and its message names it. */
bool kvb_is_about_key(const kvb_answer *answer, kivi_status status);
/* A reader of the store's codec for this answer; NULL: no memory. */
kivi_reader *kvb_answer_reader(kvb_answer *answer);
void kvb_answer_give(kvb_answer *answer); /* back to its store; NULL is nothing */

/* ---- taking values that are decoded (take.c) ---- */

/*
 * take and get_and_expire come in two steps where a value may be one that the language cannot hold. An answer that is
 * unconfirmed has read it: the host converts it, and only then, if that did not fail, has the key deleted, or its expiry set, by
 * kvb_answer_confirm(). That waits, or submits again. Afterwards the answer is confirmed: the value is the host's; or it failed;
 * or somebody else wrote meanwhile: then it is what was read anew, unconfirmed or missing.
 */
static inline bool kvb_is_first_step(const kvb_answer *answer)
{
    int32_t verb = answer->request.verb;
    return verb == KIVI_VERB_TAKE_BEGIN || verb == KIVI_VERB_GET_AND_EXPIRE_BEGIN;
}

static inline bool kvb_is_second_step(const kvb_answer *answer)
{
    int32_t verb = answer->request.verb;
    return verb == KIVI_VERB_TAKE_END || verb == KIVI_VERB_GET_AND_EXPIRE_END;
}
int64_t kvb_now_ms(void);
bool kvb_answer_is_unconfirmed(const kvb_answer *answer);
bool kvb_answer_is_confirmed(const kvb_answer *answer);
void kvb_answer_confirm(kvb_answer *answer);
/* For answer.c and queue.c: before a call is made, and after each step (false: another was submitted). */
void kvb_take_prepare(kvb_answer *answer);
bool kvb_take_arrived(kvb_answer *answer);

/* ---- computations that fail (share.c) ---- */

/*
 * How the computation of a GET_OR_SET failed, in the language's own terms: the core gives those who wait for it a status, and
 * this gives them `failure`, held once for each by hold(). For kvb_host_compute(), with the interpreter's lock. What an answer
 * got so is `failure`; the host raises it where the status is KIVI_ABORTED, and lets go of it before it gives the answer back.
 */
void kvb_answer_share(kvb_answer *answer, void *failure, void (*hold)(void *));
/* For answer.c: around the call. */
void kvb_share_begin(kvb_answer *answer);
void kvb_share_end(kvb_answer *answer);

/* ---- batches (batch.c) ---- */

/* The keys, pairs or operations of one call, copied from the language's objects. */
typedef struct kvb_batch {
    kvb_encoder *encoder; /* of values: begin by kvb_batch_value() */
    kivi_buffer bytes;
    kivi_op *ops; /* slices hold offsets until kvb_batch_end() */
    kivi_slice *keys, *values;
    size_t count, capacity;
    bool no_memory;
} kvb_batch;

/* Each NULL or false without memory. */
kvb_batch *kvb_batch_new(void);
/* One more item; its op is there to be filled but for its slices, until the next. */
kivi_op *kvb_batch_add(kvb_batch *batch, kivi_slice key);
/* The last item's value, or expected value or version: bytes as stored. */
bool kvb_batch_value(kvb_batch *batch, kivi_slice value);
bool kvb_batch_expected(kvb_batch *batch, kivi_slice expected);
/* The last item's key, until the next is added; empty: there is none. Before kvb_batch_end(). */
kivi_slice kvb_batch_last_key(const kvb_batch *batch);
/* No more items: ops, keys and values can be used. */
bool kvb_batch_end(kvb_batch *batch);
void kvb_batch_free(kvb_batch *batch); /* NULL is nothing */

/* ---- pages (page.c) ---- */

/* A page of a scan, read pair by pair. */
typedef struct kvb_page {
    kvb_store *store; /* held */
    kivi_page *page;
    kivi_completion done; /* the page is its */
    kivi_reader *reader;
    size_t index;
    bool keys_only, with_ttl;
} kvb_page;

/* Takes the page out of an answer; NULL: no memory. */
kvb_page *kvb_page_new(kvb_answer *answer);
/* The next pair; false past the last. */
bool kvb_page_next(kvb_page *page, kivi_pair *pair);
void kvb_page_free(kvb_page *page); /* NULL is nothing */

/* ---- queues (queue.c) ---- */

/* A kivi_queue that stores of one event loop share. */
struct kvb_queue {
    kivi_queue *queue;
    void *host; /* the language's: its loop */
    uint32_t refs;
};
kvb_queue *kvb_queue_new(kivi_error **error);
kvb_queue *kvb_queue_ref(kvb_queue *queue);
void kvb_queue_unref(kvb_queue *queue); /* the last one closes it */
/* Drops what is in flight: no answer of it is taken any more, the host gives them back. Later calls fail as closed. */
void kvb_queue_close(kvb_queue *queue);
/* Takes up to `capacity` answers that are done. Each is the caller's again, to convert and give back. */
size_t kvb_queue_take(kvb_queue *queue, kvb_answer **answers, size_t capacity);
/* Hastens its end; the answer still comes. */
void kvb_answer_cancel(kvb_answer *answer);

/* ---- events (events.c) ---- */

/* What happened in a store, kept until a thread of the language tells its function. */
typedef struct kvb_event {
    kivi_event_type type; /* or KVB_EVENT_DROPPED */
    kivi_status status;
    uint32_t attempt;
    const char *verb; /* lives as long as the process */
    uint64_t items, duration_ns;
    kivi_slice key; /* its own memory; empty: none */
} kvb_event;

/* So many events (`items`) found no room, because nobody came to be told. */
#define KVB_EVENT_DROPPED ((kivi_event_type)0)
enum { KVB_EVENTS_KEPT = 4096 };

/* Keeps the events of the store that is opened with the options; NULL: no memory. */
kvb_events *kvb_events_new(kivi_options *options);
/* The store is open, and takes them over, without those of opening. */
void kvb_store_hear(kvb_store *store, kvb_events *events);
kvb_events *kvb_events_ref(kvb_events *events);
void kvb_events_unref(kvb_events *events); /* what was not told is lost; NULL is nothing */
/* How many there are now: those that happen meanwhile wait for the next time. */
size_t kvb_events_count(const kvb_events *events);
/* The oldest; false: there is none. Its key is the caller's, to be given back by kvb_event_release(). */
bool kvb_events_next(kvb_events *events, kvb_event *event);
void kvb_event_release(kvb_event *event);
/* The word for what an event is: "call", "vector", "retry", "reconnect", "sweep", "dropped"; "other" for newer ones. */
const char *kvb_event_kind(kivi_event_type type);

/* The trace of a call that the function makes while it is told: nobody is told of such a call, else it would never end. */
extern const char kvb_quiet;
/* That of a read which is made again where it would wait: of its TIMEOUT nobody is told. */
extern const char kvb_tried;
bool kvb_host_is_telling(const kvb_store *store); /* the host's: whether that function runs, here and now */
static inline const void *kvb_trace(const kvb_store *store)
{
    return store->events && kvb_host_is_telling(store) ? &kvb_quiet : NULL;
}
static inline const void *kvb_trace_tried(const kvb_store *store)
{
    const void *trace = kvb_trace(store);
    return trace || !store->queue ? trace : &kvb_tried;
}

/* ---- names, times, paths (words.c, path.c) ---- */

/* The name of an error's class: "TooLarge" for TOO_LARGE; "Unknown" for newer numbers. */
const char *kvb_error_name(kivi_status status);
/* The word for an option's type: "duration"; "string" for newer ones. */
const char *kvb_option_type(kivi_option_type type);
/* Operations and conditions of apply by their words; 0 and -1: no such word. */
int kvb_op_kind(const char *word);   /* set, delete, touch, check, increment */
int kvb_condition(const char *word); /* absent, present */
/* Seconds to whole ms, rounded up: false for NaN, below 0 and beyond KIVI_TTL_MAX. */
bool kvb_milliseconds(double seconds, int64_t *ms);

enum { KVB_MESSAGE = 1024 };
/* A message of libkivi in a language: the hint `kivi options redis` is kivi.options("redis") of `module` there. */
const char *kvb_message(const char *message, const char *module, char text[KVB_MESSAGE]);

/* Where in a value a conversion is: links on the C stack, from the inside out. */
typedef struct kvb_path {
    const struct kvb_path *outer; /* NULL: the value itself */
    size_t index;                 /* of an element; counts where `key` is NULL */
    const char *key;              /* of a map's pair: its text, not ended by NUL */
    size_t key_size;
} kvb_path;
enum { KVB_KEY_PREFIX = 280 };
/* What stands before the message of an error about a key: `key "name": `. */
const char *kvb_key_prefix(kivi_slice key, char text[KVB_KEY_PREFIX]);
/* The path as text, "value.users[3].id", cut with "..." to fit. */
const char *kvb_path_text(const kvb_path *path, char *text, size_t capacity);

/* ---- what the host gives ---- */

/* Calls kvb_perform() without the interpreter's lock, with its interrupt; may read in place instead. */
void kvb_host_wait(kvb_answer *answer);
/* An answer was submitted: makes what will wait for it (answer->object). False: it could not; the call is cancelled and its
 * answer dropped. */
bool kvb_host_pending(kvb_answer *answer);
/* From kvb_perform(), without the lock: computes for UPDATE (`current` NULL: missing) and GET_OR_SET. */
kivi_status kvb_host_compute(kvb_answer *answer, const kivi_slice *current, kivi_buffer *next,
                             kivi_update_action *action);
/* From kvb_perform(), without the lock: tells COPY's function; non-zero ends the copy. */
int kvb_host_progress(kvb_answer *answer, const kivi_copy_progress *progress);

#endif
