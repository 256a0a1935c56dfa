/* Queues of event loops: what is done comes out as answers. */
#include "bindings.h"

#include <stdlib.h>

kvb_queue *kvb_queue_new(kivi_error **error)
{
    kvb_queue *queue = calloc(1, sizeof(*queue));
    if (error)
        *error = NULL;
    if (!queue)
        return NULL;
    queue->refs = 1;
    if (kivi_queue_new(&queue->queue, error)) {
        free(queue);
        return NULL;
    }
    return queue;
}

kvb_queue *kvb_queue_ref(kvb_queue *queue)
{
    queue->refs++;
    return queue;
}

void kvb_queue_close(kvb_queue *queue)
{
    kivi_queue_close(queue->queue);
    queue->queue = NULL;
}

void kvb_queue_unref(kvb_queue *queue)
{
    if (!queue || --queue->refs)
        return;
    kvb_queue_close(queue);
    free(queue);
}

#define BATCH 256

/* Hosts may give a store its queue only while a call is made. False: it goes on in this queue. */
static bool is_over(kvb_queue *queue, kvb_answer *answer)
{
    kvb_queue *usual = answer->store->queue;
    bool over;
    answer->store->queue = queue;
    over = kvb_take_arrived(answer);
    answer->store->queue = usual;
    return over;
}

size_t kvb_queue_take(kvb_queue *queue, kvb_answer **answers, size_t capacity)
{
    kivi_completion done[BATCH];
    size_t count, given = 0;
    done[0].struct_size = sizeof(done[0]);
    count = kivi_queue_take(queue->queue, done, capacity < BATCH ? capacity : BATCH);
    for (size_t i = 0; i < count; i++) {
        kvb_answer *answer = done[i].user;
        answer->done = done[i];
        answer->pending = false;
        if (done[i].request) {
            answer->request.key = done[i].request->key;
            answer->request.keys = done[i].request->keys;
            answer->request.ops = done[i].request->ops;
        }
        if (is_over(queue, answer))
            answers[given++] = answer;
    }
    return given;
}
