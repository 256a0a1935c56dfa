/* Those who make a load's calls: threads, or one thread with a queue; and who disturbs them. */
#include "load.h"

#include <errno.h>
#include <poll.h>

#include "amount.h"

#define AT_ONCE 64 /* completions taken */
#define REST_NS \
    UINT64_C(20000000) /* of a slot whose call failed: refusals at once would come in a storm */

/* ---- threads ---- */

static void *call_on(void *user)
{
    load_slot *slot = user;
    kivi_buffer value = KIVI_BUFFER_INIT, version = KIVI_BUFFER_INIT;

    while (!atomic_load(&slot->l->stop)) {
        kivi_completion end = KIVI_COMPLETION_INIT;
        load_plan(slot);
        kivi_store_perform(slot->l->store, &slot->call, &slot->request, &value, &version, &end);
        load_judge(slot, &end, now_ns());
        if (end.error && !slot->l->options.chaos)
            pause_ms(1);
        kivi_completion_release(&end);
    }
    kivi_buffer_free(&value);
    kivi_buffer_free(&version);
    return NULL;
}

/* ---- a queue ---- */

/* Slots that rest, the one that goes on first in front. */
typedef struct resting {
    load_slot *head, *tail;
} resting;

static void rest(resting *r, load_slot *slot)
{
    slot->rest_until_ns = now_ns() + REST_NS;
    slot->next = NULL;
    *(r->head ? &r->tail->next : &r->head) = slot;
    r->tail = slot;
}

static void submit(load_slot *slot)
{
    load *l = slot->l;
    uint64_t ticket = 0;

    load_plan(slot);
    OK(kivi_queue_submit(l->queue, l->store, &slot->call, &slot->request, &ticket, E));
    CHECK(ticket != 0);
    slot->flying = true;
    atomic_store(&slot->ticket, ticket);
    if (l->options.chaos && next_random(&slot->seed) % 16 == 0)
        kivi_queue_cancel(l->queue, ticket);
}

/*
 * Judges what has completed: every call once, by the ticket it was accepted with. `empty_ns`: when last there was nothing
 * more to take; what is taken now may have been there since.
 */
static size_t take(load *l, resting *r, uint64_t *empty_ns)
{
    kivi_completion ends[AT_ONCE] = {KIVI_COMPLETION_INIT};
    uint64_t now = now_ns();
    size_t count = kivi_queue_take(l->queue, ends, AT_ONCE);

    for (size_t i = 0; i < count; i++) {
        load_slot *slot = ends[i].user;
        CHECK_SAYING(slot >= l->slots && slot < l->slots + l->slot_count,
                     "a completion of nobody's");
        CHECK_SAYING(slot->flying && atomic_load(&slot->ticket) == ends[i].ticket,
                     "slot %u: a second completion, or another call's", slot->index);
        slot->flying = false;
        load_judge(slot, &ends[i], *empty_ns);
        bool failed = ends[i].error != NULL;
        kivi_completion_release(&ends[i]);
        if (failed && !l->options.chaos)
            rest(r, slot);
        else if (!atomic_load(&l->stop))
            submit(slot);
    }
    if (count < AT_ONCE)
        *empty_ns = now;
    return count;
}

static int wake_rested(load *l, resting *r)
{
    uint64_t now = now_ns();

    while (r->head && r->head->rest_until_ns <= now) {
        load_slot *slot = r->head;
        r->head = slot->next;
        if (!atomic_load(&l->stop))
            submit(slot);
    }
    return r->head ? 1 : 20;
}

static void *keep_in_flight(void *user)
{
    load *l = user;
    resting r = {NULL, NULL};
    uint64_t empty_ns = now_ns();
    struct pollfd ready = {.fd = kivi_queue_descriptor(l->queue), .events = POLLIN};

    for (unsigned i = 0; i < l->slot_count; i++)
        submit(&l->slots[i]);
    while (!atomic_load(&l->stop) || kivi_queue_count(l->queue)) {
        int rc = poll(&ready, 1, wake_rested(l, &r));
        CHECK(rc >= 0 || errno == EINTR);
        size_t count = take(l, &r, &empty_ns);
        CHECK_SAYING(rc <= 0 || count > 0, "the descriptor is readable, but nothing has completed");
    }
    return NULL;
}

/* ---- chaos ---- */

static void *disturb(void *user)
{
    load *l = user;
    uint64_t seed = l->options.chaos;

    while (!atomic_load(&l->stop)) {
        load_slot *slot = &l->slots[next_random(&seed) % l->slot_count];
        kivi_interrupt_raise(slot->interrupt);
        if (l->queue)
            kivi_queue_cancel(l->queue, atomic_load(&slot->ticket));
        if (next_random(&seed) % 8 == 0)
            pause_ms(1);
    }
    return NULL;
}

/* ---- beginning and end ---- */

static void begin_slots(load *l)
{
    l->slot_count = l->options.kind == LOAD_QUEUE ? LOAD_IN_FLIGHT : LOAD_THREAD_COUNT;
    l->slots = calloc(l->slot_count, sizeof(*l->slots));
    CHECK(l->slots != NULL);
    for (unsigned i = 0; i < l->slot_count; i++) {
        l->slots[i].l = l;
        l->slots[i].index = i;
        l->slots[i].seed = l->options.chaos + i;
        if (l->options.chaos)
            CHECK((l->slots[i].interrupt = kivi_interrupt_new()) != NULL);
    }
}

load *load_start(kivi_store *store, const load_options *options)
{
    load *l = calloc(1, sizeof(*l));

    CHECK(l != NULL);
    l->options = *options;
    l->store = store;
    l->threads_before = amount_threads();
    begin_slots(l);
    if (options->kind == LOAD_QUEUE) {
        OK(kivi_queue_new(&l->queue, E));
        CHECK(pthread_create(&l->threads[0], NULL, keep_in_flight, l) == 0);
    }
    for (unsigned i = 0; i < l->slot_count && options->kind == LOAD_THREADS; i++)
        CHECK(pthread_create(&l->threads[i], NULL, call_on, &l->slots[i]) == 0);
    if (options->chaos)
        CHECK(pthread_create(&l->chaos_thread, NULL, disturb, l) == 0);
    return l;
}

/* Nothing comes afterwards; and a second without work ends the queue's threads. */
static void end_queue(load *l)
{
    kivi_completion end = KIVI_COMPLETION_INIT;

    for (unsigned i = 0; i < l->slot_count; i++)
        CHECK_SAYING(!l->slots[i].flying, "slot %u: no completion", i);
    for (unsigned i = 0; i < 100 && amount_threads() > l->threads_before; i++)
        pause_ms(50);
    CHECK_SAYING(amount_threads() <= l->threads_before, "%u threads, %u before", amount_threads(),
                 l->threads_before);
    CHECK_NUMBER(kivi_queue_take(l->queue, &end, 1), 0);
    kivi_queue_close(l->queue);
    l->queue = NULL;
}

void load_stop(load *l, const char *what)
{
    atomic_store(&l->stop, true);
    if (l->options.chaos)
        pthread_join(l->chaos_thread, NULL);
    for (unsigned i = 0; i < (l->options.kind == LOAD_QUEUE ? 1 : l->slot_count); i++)
        pthread_join(l->threads[i], NULL);
    if (l->queue)
        end_queue(l);
    load_report(l, what);
}
