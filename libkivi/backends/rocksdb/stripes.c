/*
 * RocksDB judges no condition: a writer looks, judges and writes while it alone may write its keys. Each key belongs to
 * one of 64 stripes, and a writer takes all that it needs at once, so that no two wait for each other. They are given in
 * turn: nobody passes one who came before and wants a stripe of the same.
 */
#include "../../core/base/platform.h"
#include "rocks.h"

struct rocks_waiter {
    uint64_t wanted;
    rocks_waiter *next;
};

void kvi_rocks_stripes_init(rocks_stripes *stripes)
{
    pthread_mutex_init(&stripes->mutex, NULL);
    kvi_cond_init(&stripes->freed);
    stripes->held = 0;
    stripes->first = NULL;
    stripes->last = &stripes->first;
}

void kvi_rocks_stripes_destroy(rocks_stripes *stripes)
{
    pthread_cond_destroy(&stripes->freed);
    pthread_mutex_destroy(&stripes->mutex);
}

uint64_t kvi_rocks_stripe(kivi_slice key)
{
    return UINT64_C(1) << (kvi_rocks_host->hash64(key) & 63);
}

/* What a newcomer finds taken: `until`: by those before this one. */
static uint64_t taken(const rocks_stripes *stripes, const rocks_waiter *until)
{
    uint64_t all = stripes->held;

    for (const rocks_waiter *at = stripes->first; at != until; at = at->next)
        all |= at->wanted;
    return all;
}

static void leave_line(rocks_stripes *stripes, const rocks_waiter *waiter)
{
    rocks_waiter **at = &stripes->first;

    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    if (!*at)
        stripes->last = at;
}

/* In line, with the mutex, which the wait's check is asked without. */
static kivi_status wait_in_line(rocks_stripes *stripes, const rocks_waiter *self, kivi_wait *wait)
{
    while (taken(stripes, self) & self->wanted) {
        kivi_status status;

        if (kvi_cond_wait_until(&stripes->freed, &stripes->mutex,
                                kvi_rocks_host->monotonic_ns() + KVI_ROCKS_LOOK_NS) &&
            !(taken(stripes, self) & self->wanted))
            return KIVI_OK;
        pthread_mutex_unlock(&stripes->mutex);
        status = kivi_wait_check(wait);
        pthread_mutex_lock(&stripes->mutex);
        if (status != KIVI_OK)
            return status;
    }
    return KIVI_OK;
}

kivi_status kvi_rocks_stripes_take(rocks_engine *engine, uint64_t wanted, kivi_wait *wait,
                                   kivi_error **error)
{
    rocks_stripes *stripes = &engine->stripes;
    rocks_waiter self = {.wanted = wanted};
    kivi_status status = KIVI_OK;

    pthread_mutex_lock(&stripes->mutex);
    if (taken(stripes, NULL) & wanted) {
        *stripes->last = &self;
        stripes->last = &self.next;
        status = wait_in_line(stripes, &self, wait);
        leave_line(stripes, &self);
        if (status != KIVI_OK && stripes->first)
            pthread_cond_broadcast(&stripes->freed);
    }
    if (status == KIVI_OK)
        stripes->held |= wanted;
    pthread_mutex_unlock(&stripes->mutex);
    return status == KIVI_OK
               ? KIVI_OK
               : kvi_rocks_gave_up(error, status, engine->folder, "others write the same keys");
}

bool kvi_rocks_stripes_try(rocks_stripes *stripes, uint64_t more)
{
    bool free;

    pthread_mutex_lock(&stripes->mutex);
    free = !(taken(stripes, NULL) & more);
    if (free)
        stripes->held |= more;
    pthread_mutex_unlock(&stripes->mutex);
    return free;
}

void kvi_rocks_stripes_give(rocks_stripes *stripes, uint64_t held)
{
    pthread_mutex_lock(&stripes->mutex);
    stripes->held &= ~held;
    if (stripes->first)
        pthread_cond_broadcast(&stripes->freed);
    pthread_mutex_unlock(&stripes->mutex);
}
