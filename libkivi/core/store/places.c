/* Places: the lines before keys, who is first in them, and additions that go together. */
#include "places.h"

#include "../base/platform.h"
#include "../lanes/context.h"

#include <stdlib.h>

#define LINES \
    1024 /* a key is in one of them; more only part what has nothing to do with one another */

/*
 * To wake the next in line can take longer than what it does then (memory, a map that needs no fsync). So for a while the
 * place is left to whoever is awake, and only then goes to the longest waiter: where calls take longer than that, always.
 * (16 threads that update one key of memory: 5 times the rate.)
 */
#define FAIR_NS UINT64_C(100000)

/* The callers of some keys, in the order in which they came; the first of a key holds its place, if anybody does. */
typedef struct line {
    pthread_mutex_t mutex;
    kvi_place *head, *tail;
    uint64_t fair_ns; /* when the next place that is given goes to the longest waiter */
} line;

struct kvi_places {
    line lines[LINES];
};

static _Thread_local unsigned inside __attribute__((tls_model("initial-exec")));

bool kvi_is_inside(void)
{
    return inside > 0;
}

void kvi_go_inside(void)
{
    inside++;
}

void kvi_come_back(void)
{
    inside--;
}

/* Moves on in a child of a fork, which has no part in its parent's lines. */
static uint32_t generation_of(const kivi_store *store)
{
    return atomic_load_explicit(&store->generation, memory_order_relaxed);
}

static line *line_of(const kivi_store *store, kivi_slice key)
{
    return &store->places->lines[kvi_hash64(key) % LINES];
}

static uint32_t state_of(const kvi_place *place)
{
    return atomic_load_explicit(&place->state, memory_order_acquire);
}

static bool is_in_line(uint32_t state)
{
    return state == KVI_PLACE_WAITS || state == KVI_PLACE_HOLDS || state == KVI_PLACE_CALLED;
}

static void set_state(kvi_place *place, uint32_t state)
{
    atomic_store_explicit(&place->state, state, memory_order_release);
}

/* ---- the line; all hold its mutex ---- */

static kvi_place *find_key(kvi_place *from, kivi_slice key)
{
    while (from && kvi_slice_compare(from->key, key))
        from = from->next;
    return from;
}

static void put_behind(line *own, kvi_place *before, kvi_place *place)
{
    kvi_place *behind = before ? before->next : own->head;
    place->previous = before;
    place->next = behind;
    *(before ? &before->next : &own->head) = place;
    *(behind ? &behind->previous : &own->tail) = place;
}

static void take_out(line *own, kvi_place *place)
{
    *(place->previous ? &place->previous->next : &own->head) = place->next;
    *(place->next ? &place->next->previous : &own->tail) = place->previous;
}

static void tell(kvi_place *place, uint32_t state)
{
    if (state == KVI_PLACE_HOLDS && place->next) /* perhaps for this key: what it writes is worth handing over */
        atomic_store_explicit(&place->crowded, true, memory_order_relaxed);

    void (*told)(kvi_place *) = place->told;
    set_state(place, state);
    if (told)
        told(place);
    else
        kvi_futex_wake(&place->state, 1); /* its memory may be gone: then this wakes nobody */
}

static void call(kvi_place *place)
{
    if (state_of(place) != KVI_PLACE_CALLED)
        tell(place, KVI_PLACE_CALLED);
}

static void move_to_front(line *own, kvi_place *place)
{
    kvi_place *first = find_key(own->head, place->key);
    if (first == place)
        return;
    take_out(own, place);
    put_behind(own, first->previous, place);
}

/* Leaves the place to who is awake; false: the longest waiter has waited long enough. */
static bool leaves_open(line *own, kvi_place *next)
{
    uint64_t now = kvi_monotonic_ns();
    if (now >= own->fair_ns) {
        own->fair_ns = now + FAIR_NS;
        return false;
    }
    call(next);
    return true;
}

/*
 * The next in line holds the place of one that is taken out. For one without a thread the place is left open: the thread
 * that is to come for it may itself stand in line, for another call.
 */
static void pass_on(line *own, kvi_place *from, kivi_buffer *written)
{
    kvi_place *next = find_key(from->next, from->key);
    take_out(own, from);
    if (next && next->told)
        call(next);
    while (next && next->told)
        next = find_key(next->next, from->key);
    if (!next || leaves_open(own, next))
        return;
    move_to_front(own, next);
    if (written && next->wants_value) {
        next->value = *written;
        next->has_value = true;
        *written = (kivi_buffer)KIVI_BUFFER_INIT;
    }
    tell(next, KVI_PLACE_HOLDS);
}

/* A holder that stays away for long does not hold up those in line. */
static void pass_over(line *own, kivi_slice key)
{
    kvi_place *holder = find_key(own->head, key);
    uint64_t left_ns = holder ? atomic_load_explicit(&holder->left_ns, memory_order_relaxed) : 0;
    if (!left_ns || state_of(holder) != KVI_PLACE_HOLDS ||
        kvi_monotonic_ns() - left_ns < (uint64_t)KVI_PLACE_NS)
        return;
    pass_on(own, holder, NULL);
    set_state(holder, KVI_PLACE_NONE);
}

static void leave_served(kvi_place *place)
{
    kvi_place **link = &place->server->served;
    while (*link != place)
        link = &(*link)->served;
    *link = place->served;
    place->served = NULL;
}

/* ---- taking a place ---- */

static kivi_status uncertain(kvi_context *ctx)
{
    kivi_error_free(ctx->error);
    ctx->error = kvi_wait_error(ctx, KIVI_UNCERTAIN);
    return KIVI_UNCERTAIN;
}

kivi_status kvi_place_leave_line(kvi_place *place, kivi_status why)
{
    line *own = line_of(place->store, place->key);
    pthread_mutex_lock(&own->mutex);
    uint32_t state = state_of(place);
    if (state == KVI_PLACE_DONE)
        why = KIVI_OK;
    else if (is_in_line(state) && find_key(own->head, place->key) == place)
        pass_on(own, place, place->has_value ? &place->value : NULL);
    else if (is_in_line(state))
        take_out(own, place);
    else if (state == KVI_PLACE_SERVED && place->server->added_up)
        why = KIVI_UNCERTAIN;
    if (state == KVI_PLACE_SERVED)
        leave_served(place);
    if (state != KVI_PLACE_DONE)
        set_state(place, KVI_PLACE_NONE);
    pthread_mutex_unlock(&own->mutex);
    return why;
}

/* The caller's time is over: OK if the place, or the answer, came a moment ago. */
static kivi_status leave_line(kvi_context *ctx, kvi_place *place, kivi_status why)
{
    if (why == KIVI_FORKED)
        return why; /* the line is the parent's */
    why = kvi_place_leave_line(place, why);
    return why == KIVI_UNCERTAIN ? uncertain(ctx) : why;
}

static bool is_held(const line *own, kivi_slice key)
{
    const kvi_place *first = find_key(own->head, key);
    return first && state_of(first) == KVI_PLACE_HOLDS;
}

/* It was called: the place is its own where nobody was quicker. */
static void come(kvi_place *place)
{
    line *own = line_of(place->store, place->key);
    pthread_mutex_lock(&own->mutex);
    if (state_of(place) == KVI_PLACE_CALLED) {
        bool free = !is_held(own, place->key);
        if (free)
            move_to_front(own, place);
        set_state(place, free ? KVI_PLACE_HOLDS : KVI_PLACE_WAITS);
    }
    pthread_mutex_unlock(&own->mutex);
}

static kivi_status wait_in_line(kvi_context *ctx, kvi_place *place)
{
    for (;;) {
        uint32_t state = state_of(place);
        if (state == KVI_PLACE_HOLDS || state == KVI_PLACE_DONE)
            return KIVI_OK;
        if (state == KVI_PLACE_CALLED) {
            come(place);
            continue;
        }
        kivi_status why = kvi_check(ctx);
        if (why)
            return leave_line(ctx, place, why);
        kvi_futex_wait(&place->state, state, kvi_slice_left(ctx));
        if (state_of(place) == KVI_PLACE_WAITS)
            kvi_place_look(place);
    }
}

static void set_up(kvi_place *place, kivi_store *store, kivi_slice key)
{
    set_state(place, KVI_PLACE_NONE);
    place->store = store;
    place->key = key;
    place->generation = generation_of(store);
    place->has_value = place->added_up = place->joined = false;
    place->served = place->server = NULL;
    atomic_store_explicit(&place->crowded, false, memory_order_relaxed);
    atomic_store_explicit(&place->left_ns, 0, memory_order_relaxed);
}

/* At the end of the line, behind one that holds the place or is called to it. */
static void stand_behind(line *own, kvi_place *first, kvi_place *place)
{
    put_behind(own, own->tail, place);
    set_state(place, KVI_PLACE_WAITS);
    atomic_store_explicit(&first->crowded, true, memory_order_relaxed);
    pass_over(own, place->key);
}

kivi_status kvi_place_take(kvi_context *ctx, kvi_place *place, kivi_slice key)
{
    if (place->joined) {
        place->joined = false;
        return wait_in_line(ctx, place);
    }
    set_up(place, ctx->store, key);
    if (kvi_is_inside() || ctx->call->flags & KIVI_CALL_INSIDE)
        return KIVI_OK;
    kvi_deadline(ctx); /* counts from here */
    line *own = line_of(place->store, key);
    pthread_mutex_lock(&own->mutex);
    kvi_place *first = find_key(own->head, key);
    bool is_free = !first || state_of(first) != KVI_PLACE_HOLDS;
    if (is_free) {
        put_behind(own, first ? first->previous : own->tail, place);
        atomic_store_explicit(&place->crowded, first != NULL, memory_order_relaxed);
        set_state(place, KVI_PLACE_HOLDS);
    } else {
        stand_behind(own, first, place);
    }
    pthread_mutex_unlock(&own->mutex);
    return is_free ? KIVI_OK : wait_in_line(ctx, place);
}

bool kvi_place_join(kvi_place *place, kivi_store *store, kivi_slice key)
{
    line *own = line_of(store, key);
    set_up(place, store, key);
    place->joined = true;
    pthread_mutex_lock(&own->mutex);
    kvi_place *first = find_key(own->head, key);
    if (first) {
        stand_behind(own, first, place);
    } else {
        put_behind(own, own->tail, place);
        set_state(place, KVI_PLACE_CALLED);
    }
    pthread_mutex_unlock(&own->mutex);
    return !first;
}

bool kvi_place_come_for(kvi_place *place)
{
    line *own = line_of(place->store, place->key);
    pthread_mutex_lock(&own->mutex);
    place->told = NULL;
    bool done = state_of(place) == KVI_PLACE_DONE;
    pthread_mutex_unlock(&own->mutex);
    return !done;
}

void kvi_place_look(kvi_place *place)
{
    line *own = line_of(place->store, place->key);
    pthread_mutex_lock(&own->mutex);
    pass_over(own, place->key);
    pthread_mutex_unlock(&own->mutex);
}

void kvi_place_give(kvi_place *place, kivi_buffer *written)
{
    if (!kvi_place_is_lost(place) && place->generation == generation_of(place->store)) {
        line *own = line_of(place->store, place->key);
        pthread_mutex_lock(&own->mutex);
        if (state_of(place) == KVI_PLACE_HOLDS)
            pass_on(own, place, written);
        pthread_mutex_unlock(&own->mutex);
    }
    set_state(place, KVI_PLACE_NONE);
    if (place->has_value)
        kivi_buffer_free(&place->value);
    place->has_value = false;
}

void kvi_place_leave(kvi_place *place, uint64_t now)
{
    atomic_store_explicit(&place->left_ns, now, memory_order_relaxed);
}

void kvi_place_return(kvi_place *place)
{
    atomic_store_explicit(&place->left_ns, 0, memory_order_relaxed);
}

/* ---- additions ---- */

/* Those in line with an addition to the holder's key are served by it. Holds the mutex. */
static void serve_waiters(line *own, kvi_place *place)
{
    kvi_place **last = &place->served;
    while (*last)
        last = &(*last)->served;
    for (kvi_place *one = find_key(place->next, place->key); one;) {
        kvi_place *next = find_key(one->next, place->key);
        if (one->addition) {
            take_out(own, one);
            one->server = place;
            one->served = NULL;
            *last = one;
            last = &one->served;
            set_state(one, KVI_PLACE_SERVED);
        }
        one = next;
    }
}

/* One that would overflow fails alone. True: it counts. */
static bool add(kvi_addition *addition, int64_t *sum)
{
    bool over = __builtin_add_overflow(*sum, addition->by, &addition->value);
    addition->status = over ? KIVI_OVERFLOW : KIVI_PENDING;
    if (!over)
        *sum = addition->value;
    return !over;
}

bool kvi_place_add_up(kvi_place *place, int64_t start, int64_t *sum, int64_t *ttl_ms)
{
    line *own = line_of(place->store, place->key);
    bool first = true;
    *sum = start;
    pthread_mutex_lock(&own->mutex);
    if (state_of(place) == KVI_PLACE_HOLDS)
        serve_waiters(own, place);
    for (kvi_place *one = place; one; one = one->served) {
        if (!add(one->addition, sum))
            continue;
        if (first)
            *ttl_ms = one->addition->ttl_ms; /* it may create the key */
        first = false;
    }
    place->added_up = !first;
    pthread_mutex_unlock(&own->mutex);
    return !first;
}

void kvi_place_forget_sum(kvi_place *place)
{
    line *own = line_of(place->store, place->key);
    pthread_mutex_lock(&own->mutex);
    place->added_up = false;
    pthread_mutex_unlock(&own->mutex);
}

void kvi_place_answer(kvi_place *place, kivi_status status, const kivi_error *error)
{
    line *own = line_of(place->store, place->key);
    kvi_place *next;
    pthread_mutex_lock(&own->mutex);
    for (kvi_place *one = place->served; one; one = next) {
        next = one->served;
        if (one->addition->status != KIVI_OVERFLOW) {
            one->addition->status = status;
            one->addition->error = error ? kvi_error_copy(error) : NULL;
        }
        tell(one, KVI_PLACE_DONE);
    }
    place->served = NULL;
    place->added_up = false;
    pthread_mutex_unlock(&own->mutex);
}

void kvi_place_put_back(kvi_place *place)
{
    line *own = line_of(place->store, place->key);
    kvi_place *next, *before = place;
    pthread_mutex_lock(&own->mutex);
    for (kvi_place *one = place->served; one; one = next) {
        next = one->served;
        one->served = one->server = NULL;
        put_behind(own, before, one);
        before = one;
        set_state(one, KVI_PLACE_WAITS);
        if (!one->told)
            kvi_futex_wake(&one->state, 1); /* it sleeps on another state */
    }
    place->served = NULL;
    place->added_up = false;
    pthread_mutex_unlock(&own->mutex);
}

/* ---- life ---- */

void kvi_places_forget(kvi_places *places)
{
    for (size_t i = 0; i < LINES; i++) {
        pthread_mutex_init(&places->lines[i].mutex, NULL); /* a thread of the parent may have held it */
        places->lines[i].head = places->lines[i].tail = NULL;
        places->lines[i].fair_ns = 0;
    }
}

kvi_places *kvi_places_new(void)
{
    kvi_places *places = malloc(sizeof(*places));
    if (places)
        kvi_places_forget(places);
    return places;
}

void kvi_places_free(kvi_places *places)
{
    for (size_t i = 0; places && i < LINES; i++)
        pthread_mutex_destroy(&places->lines[i].mutex);
    free(places);
}
