/* A backend that does what a test says: each verb asks a function of the test at every step. */
#ifndef SCRIPTED_BACKEND_H
#define SCRIPTED_BACKEND_H

#include "store_fixture.h"

#include <kivi/backend.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* A verb in progress; on the thread that drives it. */
typedef struct scripted_verb {
    unsigned number;  /* of all verbs, from 0 */
    unsigned steps;   /* 0: it begins */
    unsigned session; /* of all sessions, from 0 */
    uint32_t revents; /* of the step in progress */
    kivi_read_vector *reads;
    kivi_write_vector *writes;
    const kivi_scan_range *range;
    kivi_scan_sink *sink;
    kivi_count *count;
    bool health;
    kivi_wait *wait; /* of a blocking verb */
    kivi_error **error;
} scripted_verb;

typedef struct scripted_session {
    unsigned number;
    scripted_verb verb;
} scripted_session;

/* What the test says, before it opens a store, and what it is told. One script a process, as each test has its own. */
static struct {
    /* Goes on with a verb: what the verb, or its step, answers. NULL: scripted_all_done(). */
    kivi_status (*play)(scripted_verb *verb);
    kivi_status (*session_open)(kivi_error **error); /* NULL: OK */
    kivi_status (*open)(kivi_wait *wait);            /* what the store is opened to; NULL: OK */
    uint32_t flags;
    uint32_t max_lanes;
    uint64_t max_items, max_bytes, atomic_max;
    uint64_t max_stored_key; /* 0: 1000 */
    bool has_conditions;
    kivi_escape escape;
    bool unordered;
    bool no_scan; /* and no scan() in the table, but with `claims_scan` the capability */
    bool claims_scan;
    bool counts, has_health; /* these verbs are in the table */
    int64_t poll_ns;         /* 0: 1 ms */
    uint32_t poll_flags;     /* with KIVI_POLL_MAY_WAIT and no poll_ns: no time of its own */
    int ready_fd;            /* polled for POLLIN; 0: none */
    int64_t wait_ns;         /* that a step waits; 0: KIVI_STEP_WAIT_NS */
    _Atomic unsigned waits;  /* begun by steps */
    _Atomic int broken_off;  /* of them, by a signal */
    _Atomic unsigned verbs, busy, sessions, closed, abandoned, interrupted;
    _Atomic unsigned opened, shut, left, prepared, parents, children;
    _Atomic int stage; /* for the test's own use */
    void *reporter;
} script;

static const kivi_host *scripted_host;
static int scripted_engine; /* all stores share its address as their handle */

/* ---- for scripts ---- */

static inline kivi_status scripted_fail(scripted_verb *verb, kivi_status status, kivi_retryable retryable)
{
    *verb->error = scripted_host->error(status, 0, retryable, "scripted");
    return status;
}

static inline void scripted_sent(scripted_verb *verb, kivi_sent sent)
{
    for (size_t i = 0; verb->reads && i < verb->reads->count; i++)
        verb->reads->items[i].sent = sent;
    for (size_t i = 0; verb->writes && i < verb->writes->count; i++)
        verb->writes->items[i].sent = sent;
}

/* A read finds the key as its own value. */
static inline void scripted_read(scripted_verb *verb, kivi_read_item *item)
{
    kivi_status status = KIVI_OK;
    if (item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION))
        status = verb->reads->deliver(verb->reads, item, item->key, kivi_bytes(NULL, 0));
    item->ttl_ms = KIVI_TTL_NONE;
    item->status = status;
}

/* Completes every item that is pending. */
static inline kivi_status scripted_all_done(scripted_verb *verb)
{
    for (size_t i = 0; verb->reads && i < verb->reads->count; i++)
        if (verb->reads->items[i].status == KIVI_PENDING)
            scripted_read(verb, &verb->reads->items[i]);
    for (size_t i = 0; verb->writes && i < verb->writes->count; i++) {
        kivi_write_item *item = &verb->writes->items[i];
        item->integer = item->by;
        if (item->status == KIVI_PENDING)
            item->status = KIVI_OK;
    }
    return KIVI_OK;
}

/* ---- the table ---- */

static kivi_status scripted_play(scripted_verb *verb)
{
    kivi_status status = script.play ? script.play(verb) : scripted_all_done(verb);
    if (status != KIVI_PENDING)
        atomic_fetch_sub(&script.busy, 1);
    return status;
}

static kivi_status scripted_begin(void *given, scripted_verb verb)
{
    static scripted_session shared; /* of reads that have none */
    scripted_session local = shared, *session = given ? given : &local;
    verb.number = atomic_fetch_add(&script.verbs, 1);
    verb.session = session->number;
    session->verb = verb;
    atomic_fetch_add(&script.busy, 1);
    return scripted_play(&session->verb);
}

static kivi_status scripted_do_read(void *instance, void *session, kivi_read_vector *vector,
                                    kivi_wait *wait, kivi_error **error)
{
    (void)instance;
    return scripted_begin(session, (scripted_verb){.reads = vector, .wait = wait, .error = error});
}

static kivi_status scripted_do_write(void *instance, void *session, kivi_write_vector *vector,
                                     kivi_wait *wait, kivi_error **error)
{
    (void)instance;
    return scripted_begin(session, (scripted_verb){.writes = vector, .wait = wait, .error = error});
}

static kivi_status scripted_do_scan(void *instance, void *session, const kivi_scan_range *range,
                                    kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error)
{
    (void)instance;
    return scripted_begin(session,
                          (scripted_verb){.range = range, .sink = sink, .wait = wait, .error = error});
}

static kivi_status scripted_do_count(void *instance, void *session, kivi_count *count,
                                     kivi_wait *wait, kivi_error **error)
{
    (void)instance;
    return scripted_begin(session, (scripted_verb){.count = count, .wait = wait, .error = error});
}

static kivi_status scripted_do_health(void *instance, void *session, kivi_wait *wait, kivi_error **error)
{
    (void)instance;
    return scripted_begin(session, (scripted_verb){.health = true, .wait = wait, .error = error});
}

/* What a timed read of a silent peer does. */
static void scripted_wait(void)
{
    int64_t ns = script.wait_ns ? script.wait_ns : KIVI_STEP_WAIT_NS;
    atomic_fetch_add(&script.waits, 1);
    if (nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL))
        atomic_fetch_add(&script.broken_off, 1);
}

static kivi_status scripted_step(void *instance, void *given, uint32_t revents, kivi_poll *poll,
                                 kivi_error **error)
{
    scripted_session *session = given;
    (void)instance;
    session->verb.steps++;
    session->verb.revents = revents;
    session->verb.error = error;
    poll->flags = script.poll_flags;
    if (script.ready_fd) {
        poll->fd = script.ready_fd;
        poll->events = POLLIN;
    }
    if (script.poll_ns || !script.poll_flags)
        poll->timeout_ns = script.poll_ns ? script.poll_ns : 1000000;
    if (revents & KIVI_STEP_WAITS)
        scripted_wait();
    return scripted_play(&session->verb);
}

static kivi_status scripted_session_open(void *instance, void **made, kivi_error **error)
{
    (void)instance;
    kivi_status status = script.session_open ? script.session_open(error) : KIVI_OK;
    if (status)
        return status;
    scripted_session *session = calloc(1, sizeof(*session));
    cr_assert_not_null(session);
    session->number = atomic_fetch_add(&script.sessions, 1);
    *made = session;
    return KIVI_OK;
}

static void scripted_session_close(void *instance, void *session)
{
    (void)instance;
    atomic_fetch_add(&script.closed, 1);
    free(session);
}

static void scripted_session_abandon(void *instance, void *session, bool in_verb)
{
    (void)instance;
    atomic_fetch_add(&script.abandoned, 1);
    if (!in_verb)
        free(session);
}

static void scripted_interrupt(void *instance, void *session)
{
    (void)instance, (void)session;
    atomic_fetch_add(&script.interrupted, 1);
}

static kivi_status scripted_open(const kivi_config *config, kivi_wait *wait,
                                 kivi_instance *instance, kivi_error **error)
{
    kivi_status why = kivi_wait_check(wait);
    if (why) {
        *error = scripted_host->error(why, 0, KIVI_RETRY_NO, "the wait for opening ended");
        return why;
    }
    if (script.open && (why = script.open(wait)))
        return why;
    atomic_fetch_add(&script.opened, 1);
    script.reporter = scripted_host->reporter(config);
    instance->flags = script.flags;
    instance->handle = &scripted_engine;
    instance->layout = KIVI_LAYOUT_OURS;
    instance->max_lanes = script.max_lanes ? script.max_lanes : 1;
    instance->max_items = script.max_items;
    instance->max_bytes = script.max_bytes;
    instance->max_stored_key = script.max_stored_key ? script.max_stored_key : 1000;
    if (script.escape.struct_size)
        instance->escape = script.escape;
    instance->capabilities.max_value = 1 << 24;
    instance->capabilities.max_ttl_ms = KIVI_TTL_MAX;
    instance->capabilities.atomic_max = script.atomic_max;
    instance->capabilities.ttl = KIVI_NATIVE;
    instance->capabilities.conditions = script.has_conditions ? KIVI_NATIVE : KIVI_ABSENT;
    instance->capabilities.scan = script.no_scan && !script.claims_scan ? KIVI_ABSENT : KIVI_NATIVE;
    instance->capabilities.order = script.unordered ? KIVI_ORDER_NONE : KIVI_ORDER_BYTES;
    return KIVI_OK;
}

static void scripted_close(void *instance)
{
    (void)instance;
    atomic_fetch_add(&script.shut, 1);
}

static void scripted_abandon(void *instance)
{
    (void)instance;
    atomic_fetch_add(&script.left, 1);
}

static void scripted_prepare(void *instance)
{
    (void)instance;
    atomic_fetch_add(&script.prepared, 1);
}

static void scripted_parent(void *instance)
{
    (void)instance;
    atomic_fetch_add(&script.parents, 1);
}

static void scripted_child(void *instance)
{
    (void)instance;
    atomic_fetch_add(&script.children, 1);
}

static const kivi_backend scripted_table = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "scripted",
    .schemes = "scripted",
    .summary = "does what a test says",
    .open = scripted_open,
    .close = scripted_close,
    .abandon = scripted_abandon,
    .session_open = scripted_session_open,
    .session_close = scripted_session_close,
    .session_abandon = scripted_session_abandon,
    .interrupt = scripted_interrupt,
    .read = scripted_do_read,
    .write = scripted_do_write,
    .scan = scripted_do_scan,
    .step = scripted_step,
    .fork_prepare = scripted_prepare,
    .fork_parent = scripted_parent,
    .fork_child = scripted_child,
};

static const kivi_backend *scripted_plugin(uint32_t host_abi, const kivi_host *host)
{
    static kivi_backend table;
    (void)host_abi;
    scripted_host = host;
    table = scripted_table;
    if (script.no_scan)
        table.scan = NULL;
    if (script.counts)
        table.count = scripted_do_count;
    if (script.has_health)
        table.health = scripted_do_health;
    return &table;
}

/* ---- for tests ---- */

static inline void scripted_register(void)
{
    if (!scripted_host)
        cr_assert_eq(kivi_backend_register(scripted_plugin, NULL), KIVI_OK);
}

static inline kivi_store *scripted_store_with(const char *url, const kivi_options *options)
{
    kivi_store *store = NULL;
    kivi_error *error = NULL;
    scripted_register();
    cr_assert_eq(kivi_store_open(url, NULL, options, &store, &error), KIVI_OK, "%s: %s", url,
                 kivi_error_message(error));
    return store;
}

static inline kivi_store *scripted_store(const char *url)
{
    return scripted_store_with(url, NULL);
}

static inline void nap(void)
{
    nanosleep(&(struct timespec){0, 500000}, NULL);
}

/* Waits until it is so; a test that hangs here is ended by its time limit. */
#define WAIT_UNTIL(condition) \
    do {                      \
        while (!(condition))  \
            nap();            \
    } while (0)

/* A call on a thread of its own. */
typedef struct caller {
    kivi_store *store;
    kivi_call call;
    char key[32], text[64];
    int64_t integer; /* of an increment: by, then the sum */
    kivi_status (*run)(struct caller *own);
    kivi_status status;
    kivi_error *error;
    kivi_buffer value;
    bool flag;
    pthread_t thread;
} caller;

static inline void *caller_main(void *given)
{
    caller *own = given;
    own->status = own->run(own);
    return NULL;
}

static inline void caller_start(caller *own, kivi_store *store, const char *key, int64_t timeout_ms,
                                kivi_status (*run)(caller *))
{
    *own = (caller){.store = store, .run = run, .call = KIVI_CALL_INIT, .integer = own->integer};
    own->call.timeout_ms = timeout_ms;
    snprintf(own->key, sizeof(own->key), "%s", key);
    cr_assert_eq(pthread_create(&own->thread, NULL, caller_main, own), 0);
}

/* The same; goes on once the call waits in the queue, so that the order of waiters is the test's. */
static inline void caller_queue(caller *own, kivi_store *store, const char *key, int64_t timeout_ms,
                                kivi_status (*run)(caller *))
{
    uint32_t before = stats_of(store).waiting;
    caller_start(own, store, key, timeout_ms, run);
    WAIT_UNTIL(stats_of(store).waiting == before + 1);
}

static inline kivi_status caller_join(caller *own)
{
    cr_assert_eq(pthread_join(own->thread, NULL), 0);
    bool answer = own->status >= KIVI_OK && own->status <= KIVI_END;
    cr_assert_eq(own->error == NULL, answer, "status %d", own->status);
    if (own->error)
        cr_assert_eq(kivi_error_status(own->error), own->status);
    kivi_error_free(own->error);
    kivi_buffer_free(&own->value);
    own->error = NULL;
    return own->status;
}

static inline kivi_status do_get(caller *own)
{
    return kivi_store_get(own->store, &own->call, kivi_str(own->key), &own->value, &own->error);
}

static inline kivi_status do_set(caller *own)
{
    return kivi_store_set(own->store, &own->call, kivi_str(own->key), kivi_str("v"), 0, &own->error);
}

static inline kivi_status do_add(caller *own)
{
    return kivi_store_add(own->store, &own->call, kivi_str(own->key), kivi_str("v"), 0, &own->error);
}

static inline kivi_status do_delete(caller *own)
{
    return kivi_store_delete(own->store, &own->call, kivi_str(own->key), &own->flag, &own->error);
}

static inline kivi_status do_increment(caller *own)
{
    return kivi_store_increment(own->store, &own->call, kivi_str(own->key), own->integer, 0,
                                &own->integer, &own->error);
}

#endif
