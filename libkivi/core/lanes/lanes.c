/* Lanes: who gets a session, and who is given it next. */
#include "lanes.h"

#include <stdlib.h>

/* ---- taking and releasing lanes ---- */

static kvi_lane *lane_new(kvi_lanes *lanes)
{
    kvi_lane *lane = calloc(1, sizeof(*lane));
    if (!lane)
        return NULL;
    lane->flight = calloc(1, sizeof(*lane->flight));
    if (!lane->flight) {
        free(lane);
        return NULL;
    }
    lane->lanes = lanes;
    return lane;
}

kvi_lane *kvi_lane_take(kvi_lanes *lanes)
{
    kvi_lane *lane = lanes->free;
    if (lane) {
        lanes->free = lane->next_free;
    } else if (lanes->count < lanes->max) {
        lane = lane_new(lanes);
        if (lane)
            lanes->all[lanes->count++] = lane;
    }
    if (lane) {
        lane->busy = true;
        lane->callers = 1;
        lane->beside = lanes->busy++;
        lanes->callers++;
    }
    return lane;
}

static void free_lane(kvi_lane *lane)
{
    kvi_lanes *lanes = lane->lanes;
    lane->busy = false;
    lanes->busy--;
    lanes->callers -= lane->callers;
    lane->next_free = lanes->free;
    lanes->free = lane;
}

/*
 * How many lanes should fly for so many callers. Where these are more than lanes, half the lanes carry more each, with
 * fewer system calls here and at the server (Redis, gets of 16 threads: 1.2x the rate, of 32: 1.2x).
 */
static uint32_t lanes_worth(const kvi_lanes *lanes, uint32_t callers)
{
    if (callers <= lanes->max || lanes->max < 4)
        return lanes->max;
    return lanes->max / 2;
}

kvi_lane *kvi_lane_take_at_once(kvi_lanes *lanes)
{
    /* While none flies, those that wait are of a queue whose thread is about to take lanes for them. */
    bool waits = kvi_line_count(lanes) || lanes->busy >= lanes_worth(lanes, lanes->callers + 1);
    return waits && lanes->busy ? NULL : kvi_lane_take(lanes);
}

void kvi_lane_give(kvi_lane *lane, kvi_task *task)
{
    kvi_line_take(lane->lanes, task);
    lane->beside = lane->lanes->busy - 1;
    task->lane = lane;
    task->in_flight = false;
    atomic_store_explicit(&task->state, KVI_TASK_LEADING, memory_order_release);
}

void kvi_lanes_release(kvi_lane *lane)
{
    kvi_lanes *lanes = lane->lanes;
    pthread_mutex_lock(&lanes->mutex);
    kvi_task *next = kvi_line_oldest(lanes);
    lanes->landings++;
    lanes->callers -= lane->callers - 1; /* its next flight has at least one */
    lane->callers = 1;
    if (lanes->busy > lanes_worth(lanes, lanes->callers - 1 + kvi_line_count(lanes)))
        next = NULL; /* the lanes that fly take up those that wait */
    const kvi_driver *driver = next ? next->driver : NULL;
    kvi_bell bell = next ? next->bell : (kvi_bell){NULL, 0};
    if (next)
        kvi_lane_give(lane, next);
    else
        free_lane(lane);
    pthread_mutex_unlock(&lanes->mutex);
    if (next)
        kvi_task_tell_lead(next, driver, bell);
}

/* Whether those that wait are better taken along by the next lane that lands. Holds the mutex. */
static bool holds_back(const kvi_lanes *lanes, kvi_patience *patience)
{
    uint64_t now;
    if (!lanes->busy || lanes->busy >= lanes->max || kvi_line_count(lanes) >= KVI_MERGE_ITEMS) {
        patience->due_ns = 0;
        return false;
    }
    now = kvi_monotonic_ns();
    if (!patience->due_ns || patience->landings != lanes->landings) {
        patience->landings = lanes->landings;
        patience->due_ns = now + KVI_PATIENCE_NS;
    }
    if (now < patience->due_ns)
        return true;
    patience->due_ns = 0;
    return false;
}

kvi_lane *kvi_lanes_begin(kvi_lanes *lanes, kvi_patience *patience, kvi_task **lead,
                          const kvi_driver **driver)
{
    pthread_mutex_lock(&lanes->mutex);
    kvi_task *next = kvi_line_oldest(lanes);
    if (patience && !next)
        patience->due_ns = 0;
    if (patience && next && holds_back(lanes, patience))
        next = NULL;
    kvi_lane *lane = next ? kvi_lane_take(lanes) : NULL;
    *driver = next ? next->driver : NULL;
    kvi_bell bell = next ? next->bell : (kvi_bell){NULL, 0};
    if (lane)
        kvi_lane_give(lane, next);
    pthread_mutex_unlock(&lanes->mutex);
    if (lane && !*driver)
        kvi_bell_ring(bell);
    *lead = next;
    return lane;
}

/* ---- landing ---- */

void kvi_lanes_land(kvi_lane *lane, kivi_event *vector)
{
    static const char *const verbs[] = {"read", "write", "scan", "count", "health"};
    kvi_lanes *lanes = lane->lanes;
    kvi_flight *flight = lane->flight;
    bool commits = flight->kind == KVI_WRITE && lanes->store->flags & KIVI_BACKEND_GROUP_COMMIT;
    *vector = (kivi_event){.type = KIVI_EVENT_VECTOR,
                           .verb = verbs[flight->kind],
                           .status = flight->status,
                           .items = kvi_is_question(flight->kind) ? 1 : flight->count};
    if (commits || lanes->store->on_event)
        vector->duration_ns = kvi_monotonic_ns() - flight->begun_ns;
    atomic_fetch_add_explicit(&lanes->store->vectors, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&lanes->store->vector_items, vector->items, memory_order_relaxed);
    if (commits) {
        pthread_mutex_lock(&lanes->mutex);
        lanes->last_callers = (uint32_t)flight->task_count;
        lanes->last_ns = vector->duration_ns;
        pthread_mutex_unlock(&lanes->mutex);
    }
    kvi_lanes_release(lane);
}

/* ---- life ---- */

kvi_lanes *kvi_lanes_new(kivi_store *store, uint32_t max)
{
    kvi_lanes *lanes = calloc(1, sizeof(*lanes));
    if (!lanes)
        return NULL;
    lanes->store = store;
    lanes->processors = kvi_processors();
    lanes->max = max < KVI_LANES_MAX ? max : KVI_LANES_MAX;
    pthread_mutex_init(&lanes->mutex, NULL);
    return lanes;
}

static void drop_session(kvi_lane *lane, bool abandon)
{
    kivi_store *store = lane->lanes->store;
    const kivi_backend *backend = store->backend;
    if (!lane->open || !backend->session_open)
        return;
    if (!abandon)
        backend->session_close(store->instance.handle, lane->session);
    else if (backend->session_abandon)
        backend->session_abandon(store->instance.handle, lane->session, lane->busy);
    lane->open = false;
}

void kvi_lanes_abandon(kvi_lanes *lanes)
{
    /* What other threads of the parent held in the middle of a verb stays as it is: it may be half changed. */
    pthread_mutex_lock(&lanes->mutex);
    for (uint32_t i = 0; i < lanes->count; i++) {
        kvi_lane *lane = lanes->all[i];
        drop_session(lane, true);
        if (!lane->busy) {
            free(lane->flight);
            free(lane);
        }
    }
    lanes->count = lanes->busy = lanes->callers = 0;
    lanes->free = NULL;
    memset(lanes->queues, 0, sizeof(lanes->queues));
    lanes->last_callers = 0;
    lanes->gather_want = 0;
    pthread_mutex_unlock(&lanes->mutex);
}

void kvi_lanes_interrupt(kvi_lanes *lanes)
{
    kivi_store *store = lanes->store;
    if (!store->backend->interrupt)
        return;
    pthread_mutex_lock(&lanes->mutex);
    for (uint32_t i = 0; i < lanes->count; i++)
        if (lanes->all[i]->busy && lanes->all[i]->open)
            store->backend->interrupt(store->instance.handle, lanes->all[i]->session);
    pthread_mutex_unlock(&lanes->mutex);
}

void kvi_lanes_free(kvi_lanes *lanes, bool abandon)
{
    if (!lanes)
        return;
    if (abandon)
        kvi_lanes_abandon(lanes);
    for (uint32_t i = 0; i < lanes->count; i++) {
        drop_session(lanes->all[i], false);
        free(lanes->all[i]->flight);
        free(lanes->all[i]);
    }
    kvi_lanes_free_spares(lanes);
    pthread_mutex_destroy(&lanes->mutex);
    free(lanes);
}
