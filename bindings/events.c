/*
 * Events on their way to a function of the language. The core tells its hook on whatever thread an event happens, also on
 * threads that no interpreter knows: so the hook only keeps them here, and a thread of the language takes them out.
 *
 * A hook knows its events by a number and not by their address: threads of a queue may tell of a store that is gone.
 */
#include "bindings.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct kvb_events {
    uint32_t refs;
    uintptr_t number;
    kvb_events *next; /* in its row */
    /* Under the lock; `count` is looked at without it. */
    kvb_event *kept; /* a ring */
    size_t first;
    _Atomic size_t count;
    _Atomic uint64_t dropped;
};

enum { ROWS = 64 };

/* One lock for all: it is held for the moment of a copy, and a fork finds one thing to wait for. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kvb_events *rows[ROWS]; /* by number */
static uintptr_t last_number;

const char kvb_quiet, kvb_tried;

/* ---- keeping ---- */

static kvb_events **place_of(uintptr_t number)
{
    kvb_events **at = &rows[number % ROWS];
    while (*at && (*at)->number != number)
        at = &(*at)->next;
    return at;
}

static bool keep(kvb_events *events, const kvb_event *event)
{
    size_t count = atomic_load_explicit(&events->count, memory_order_relaxed);
    if (count == KVB_EVENTS_KEPT) {
        atomic_fetch_add_explicit(&events->dropped, 1, memory_order_relaxed);
        return false;
    }
    if (!count)
        events->first = 0; /* where memory was used before */
    events->kept[(events->first + count) % KVB_EVENTS_KEPT] = *event;
    atomic_store_explicit(&events->count, count + 1, memory_order_relaxed);
    return true;
}

/* Its own; empty also without memory. */
static kivi_slice copy(kivi_slice key)
{
    char *bytes = key.size ? malloc(key.size) : NULL;
    if (!bytes)
        return kivi_bytes(NULL, 0);
    memcpy(bytes, key.data, key.size);
    return kivi_bytes(bytes, key.size);
}

static bool is_quiet(const kivi_event *event)
{
    if (event->trace == &kvb_tried)
        return event->type == KIVI_EVENT_CALL && event->status == KIVI_TIMEOUT;
    return event->trace == &kvb_quiet && event->type != KIVI_EVENT_RECONNECT &&
           event->type != KIVI_EVENT_SWEEP;
}

/* In a language's words: a get that reads in place is one as well. */
static const char *verb_of(const kivi_event *event)
{
    const char *verb = event->verb ? event->verb : "";
    return strcmp(verb, "visit") == 0 ? "get" : verb;
}

static void hear(const kivi_event *event, void *number)
{
    if (is_quiet(event))
        return;
    kvb_event heard = {event->type,  event->status,      event->attempt,  verb_of(event),
                       event->items, event->duration_ns, copy(event->key)};
    pthread_mutex_lock(&lock);
    kvb_events *events = *place_of((uintptr_t)number);
    bool is_kept = events && keep(events, &heard);
    pthread_mutex_unlock(&lock);
    if (!is_kept)
        kvb_event_release(&heard);
}

/* ---- forgetting ---- */

static void forget(kvb_events *events)
{
    size_t count = atomic_exchange_explicit(&events->count, 0, memory_order_relaxed);
    for (size_t i = 0; i < count; i++)
        kvb_event_release(&events->kept[(events->first + i) % KVB_EVENTS_KEPT]);
    atomic_store_explicit(&events->dropped, 0, memory_order_relaxed);
}

/* Of a fork: what happened before is the parent's to tell. */
static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    for (size_t i = 0; i < ROWS; i++)
        for (kvb_events *events = rows[i]; events; events = events->next)
            forget(events);
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, in_parent, in_child);
}

/* ---- the life of one ---- */

kvb_events *kvb_events_new(kivi_options *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    kvb_events *events = calloc(1, sizeof(*events));
    if (!events)
        return NULL;
    events->refs = 1;
    events->kept = calloc(KVB_EVENTS_KEPT, sizeof(*events->kept));
    if (!events->kept) {
        free(events);
        return NULL;
    }
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&lock);
    events->number = ++last_number;
    *place_of(events->number) = events;
    pthread_mutex_unlock(&lock);
    kivi_options_on_event(options, hear, (void *)events->number);
    return events;
}

void kvb_store_hear(kvb_store *store, kvb_events *events)
{
    store->events = events;
    if (!events)
        return;
    pthread_mutex_lock(&lock);
    forget(events);
    pthread_mutex_unlock(&lock);
}

kvb_events *kvb_events_ref(kvb_events *events)
{
    events->refs++;
    return events;
}

void kvb_events_unref(kvb_events *events)
{
    if (!events || --events->refs)
        return;
    pthread_mutex_lock(&lock);
    *place_of(events->number) = events->next;
    pthread_mutex_unlock(&lock);
    forget(events);
    free(events->kept);
    free(events);
}

/* ---- telling ---- */

size_t kvb_events_count(const kvb_events *events)
{
    return atomic_load_explicit(&events->count, memory_order_relaxed) +
           (atomic_load_explicit(&events->dropped, memory_order_relaxed) != 0);
}

static bool take(kvb_events *events, kvb_event *event)
{
    size_t count = atomic_load_explicit(&events->count, memory_order_relaxed);
    uint64_t dropped = atomic_exchange_explicit(&events->dropped, 0, memory_order_relaxed);
    if (dropped) {
        *event = (kvb_event){.type = KVB_EVENT_DROPPED, .verb = "", .items = dropped};
        return true;
    }
    if (!count)
        return false;
    *event = events->kept[events->first];
    events->first = (events->first + 1) % KVB_EVENTS_KEPT;
    atomic_store_explicit(&events->count, count - 1, memory_order_relaxed);
    return true;
}

bool kvb_events_next(kvb_events *events, kvb_event *event)
{
    pthread_mutex_lock(&lock);
    bool any = take(events, event);
    pthread_mutex_unlock(&lock);
    return any;
}

void kvb_event_release(kvb_event *event)
{
    free((void *)event->key.data);
    event->key = kivi_bytes(NULL, 0);
}

const char *kvb_event_kind(kivi_event_type type)
{
    static const char *const kinds[] = {
        [KVB_EVENT_DROPPED] = "dropped",      [KIVI_EVENT_CALL] = "call",
        [KIVI_EVENT_VECTOR] = "vector",       [KIVI_EVENT_RETRY] = "retry",
        [KIVI_EVENT_RECONNECT] = "reconnect", [KIVI_EVENT_SWEEP] = "sweep"};
    return (size_t)type < sizeof(kinds) / sizeof(*kinds) ? kinds[type] : "other";
}
