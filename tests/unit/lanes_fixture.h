/* Lanes whose first verb holds them until a test has its callers queued. */
#ifndef LANES_FIXTURE_H
#define LANES_FIXTURE_H

#include "scripted_backend.h"

/* The first verb waits until the test has its callers queued; those that follow go by `then`. */
static kivi_status (*then)(scripted_verb *verb);

static inline kivi_status hold_first(scripted_verb *verb)
{
    if (verb->number == 0)
        return atomic_load(&script.stage) == 0 ? KIVI_PENDING : scripted_all_done(verb);
    return then ? then(verb) : scripted_all_done(verb);
}

static inline kivi_store *store_with(kivi_status (*rest)(scripted_verb *), const char *url)
{
    then = rest;
    script.play = hold_first;
    return scripted_store(url);
}

static inline void start_first(caller *first, kivi_store *store, kivi_status (*run)(caller *))
{
    caller_start(first, store, "first", 0, run);
    WAIT_UNTIL(atomic_load(&script.verbs) == 1);
}

/* A verb of the second stage: sent, and not answered before the third. */
static inline kivi_status send_and_hang(scripted_verb *verb)
{
    scripted_sent(verb, KIVI_SENT_WHOLLY);
    return atomic_load(&script.stage) < 2 ? KIVI_PENDING : scripted_all_done(verb);
}

#endif
