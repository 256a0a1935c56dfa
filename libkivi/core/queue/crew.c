/* The crews of a worker: threads that do the same, begun when more work waits than they are at. */
#include "queue.h"

#include <stdlib.h>

static uint32_t count_running(const kvi_crew *crew)
{
    uint32_t running = 0;
    for (const kvi_hand *hand = crew->hands; hand; hand = hand->next)
        running += hand->thread.running;
    return running;
}

bool kvi_crew_runs(const kvi_crew *crew)
{
    return count_running(crew) > 0;
}

/* True: it was woken, if only by chance. Who wakes it says so, as time may be over at the same moment. */
static bool sleep_on(kvi_hand *hand)
{
    hand->sleeps = true;
    bool woken = kvi_queue_thread_sleep(&hand->thread, hand->worker->queue);
    woken = woken || !hand->sleeps;
    hand->sleeps = false;
    return woken;
}

static void *hand_main(void *given)
{
    kvi_hand *hand = given;
    kvi_worker *worker = hand->worker;
    kivi_queue *queue = worker->queue;
    pthread_mutex_lock(&queue->mutex);
    for (;;) {
        hand->crew->coming = false;
        if (hand->crew->once(hand))
            continue;
        if (queue->closed && !worker->in_flight)
            break;
        if (sleep_on(hand))
            continue;
        if (!worker->in_flight || count_running(hand->crew) > 1)
            break;
        /* There may have been no memory for a lane. The lanes of stepped stores are the stepper's. */
        worker->wanted = !kvi_queue_is_stepped(worker->store);
    }
    hand->thread.running = false;
    pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

static kvi_hand *hand_new(kvi_worker *worker, kvi_crew *crew)
{
    kvi_hand *hand = calloc(1, sizeof(*hand));
    if (!hand)
        return NULL;
    kvi_queue_thread_setup(&hand->thread, hand_main, hand);
    hand->worker = worker;
    hand->crew = crew;
    if (crew == &worker->flights)
        hand->ctx = worker->ctx; /* else it is the stepper's, which may be at work */
    hand->next = crew->hands;
    crew->hands = hand;
    crew->count++;
    return hand;
}

/* One after another: who has come wakes the next where there is still work, and a burst may be one vector. */
bool kvi_crew_wake(kvi_worker *worker, kvi_crew *crew)
{
    kvi_hand *rests = NULL;
    if (crew->coming)
        return true;
    for (kvi_hand *hand = crew->hands; hand; hand = hand->next) {
        if (hand->sleeps) {
            hand->sleeps = false;
            crew->coming = true;
            pthread_cond_signal(&hand->thread.wake);
            return true;
        }
        if (!hand->thread.running)
            rests = hand;
    }
    if (!rests && crew->count < crew->most)
        rests = hand_new(worker, crew);
    crew->coming = rests && kvi_queue_thread_run(&rests->thread);
    return crew->coming || kvi_crew_runs(crew);
}

void kvi_crew_rouse(kvi_crew *crew)
{
    for (kvi_hand *hand = crew->hands; hand; hand = hand->next)
        pthread_cond_signal(&hand->thread.wake);
}

void kvi_crew_free(kvi_crew *crew)
{
    while (crew->hands) {
        kvi_hand *hand = crew->hands;
        crew->hands = hand->next;
        kvi_queue_thread_end(&hand->thread);
        free(hand);
    }
}
