/* What the event hook of a store was told, in order, by whichever thread. */
#ifndef EVENTS_FIXTURE_H
#define EVENTS_FIXTURE_H

#include <criterion/criterion.h>
#include <kivi/kivi.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { TOLD_MOST = 4096 };

typedef struct told {
    kivi_event_type type;
    char verb[24], key[16];
    kivi_status status;
    uint32_t attempt;
    uint64_t items, duration_ns;
    const void *trace;
    pthread_t thread;
} told;

static struct {
    pthread_mutex_t mutex;
    told all[TOLD_MOST];
    size_t count;
} record = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* What comes when the record is full is not kept. */
static inline void note_event(const kivi_event *event)
{
    cr_assert(event->struct_size >= sizeof(*event) && *event->backend);
    pthread_mutex_lock(&record.mutex);
    if (record.count < TOLD_MOST) {
        told *one = &record.all[record.count++];
        *one = (told){.type = event->type,
                      .status = event->status,
                      .attempt = event->attempt,
                      .items = event->items,
                      .duration_ns = event->duration_ns,
                      .trace = event->trace,
                      .thread = pthread_self()};
        snprintf(one->verb, sizeof(one->verb), "%s", event->verb);
        snprintf(one->key, sizeof(one->key), "%.*s", (int)event->key.size,
                 event->key.data ? (const char *)event->key.data : "");
    }
    pthread_mutex_unlock(&record.mutex);
}

/* The nth of a type, from 0; NULL: it was not told. */
static inline const told *find_told(kivi_event_type type, size_t nth)
{
    const told *found = NULL;
    pthread_mutex_lock(&record.mutex);
    for (size_t i = 0; i < record.count && !found; i++)
        if (record.all[i].type == type && nth-- == 0)
            found = &record.all[i];
    pthread_mutex_unlock(&record.mutex);
    return found;
}

#endif
