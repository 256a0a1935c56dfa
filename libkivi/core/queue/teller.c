/*
 * The teller of a queue: a thread that tells hooks of the flights which the queue's threads drove. It drives none
 * itself, so that a hook may call its store however few lanes there are, and holds up nobody's call.
 */
#include "../lanes/context.h"
#include "queue.h"

#include <stdlib.h>

#define MOST_UNTOLD 10000 /* then the hook is too slow for its store */

/* An event that the hook is yet to be told. */
struct kvi_news {
    kvi_news *next;
    kivi_store *store;
    kivi_event event;
};

static kvi_news *take_first(kvi_teller *teller)
{
    kvi_news *news = teller->first;
    teller->first = news->next;
    if (!teller->first)
        teller->last = NULL;
    teller->count--;
    return news;
}

static void free_news(kvi_news *news)
{
    kivi_store_unref(news->store);
    free(news);
}

void *kvi_teller_main(void *given)
{
    kivi_queue *queue = given;
    kvi_teller *teller = &queue->teller;
    pthread_mutex_lock(&queue->mutex);
    for (bool idle = false; teller->first || !(idle || queue->closed);) {
        if (!teller->first) {
            idle = !kvi_queue_thread_sleep(&teller->thread, queue);
            continue;
        }
        kvi_news *news = take_first(teller);
        idle = false;
        pthread_mutex_unlock(&queue->mutex);
        kvi_tell(news->store, &news->event);
        free_news(news);
        pthread_mutex_lock(&queue->mutex);
    }
    teller->thread.running = false;
    pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

static void leave_news(kivi_queue *queue, kivi_store *store, const kivi_event *event)
{
    kvi_teller *teller = &queue->teller;
    kvi_news *news = malloc(sizeof(*news));
    if (!news)
        return;
    *news = (kvi_news){NULL, kivi_store_ref(store), *event};
    pthread_mutex_lock(&queue->mutex);
    bool taken = teller->count < MOST_UNTOLD && kvi_queue_thread_run(&teller->thread);
    if (taken) {
        *(teller->last ? &teller->last->next : &teller->first) = news;
        teller->last = news;
        teller->count++;
        pthread_cond_signal(&teller->thread.wake);
    }
    pthread_mutex_unlock(&queue->mutex);
    if (!taken)
        free_news(news);
}

void kvi_queue_land(kvi_lane *lane)
{
    kvi_worker *worker = lane->led_for;
    kivi_event vector;
    kvi_lanes_land(lane, &vector);
    if (worker->store->on_event)
        leave_news(worker->queue, worker->store, &vector);
}

void kvi_queue_end_teller(kivi_queue *queue)
{
    kvi_teller *teller = &queue->teller;
    pthread_mutex_lock(&queue->mutex);
    pthread_cond_signal(&teller->thread.wake);
    pthread_mutex_unlock(&queue->mutex);
    kvi_queue_thread_end(&teller->thread);
}
