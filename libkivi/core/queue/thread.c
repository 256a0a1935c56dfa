/* The threads of a queue: how they begin, sleep and end. */
#include "queue.h"

#include <signal.h>

void kvi_queue_thread_setup(kvi_queue_thread *thread, void *(*entry)(void *given), void *given)
{
    thread->entry = entry;
    thread->given = given;
    kvi_cond_init(&thread->wake);
}

static bool start(kvi_queue_thread *thread)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread->id, NULL, thread->entry, thread->given) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

bool kvi_queue_thread_run(kvi_queue_thread *thread)
{
    if (thread->running)
        return true;
    if (thread->started)
        pthread_join(thread->id, NULL); /* it has ended, or is about to */
    thread->started = thread->running = start(thread);
    return thread->running;
}

bool kvi_queue_thread_sleep(kvi_queue_thread *thread, kivi_queue *queue)
{
    return kvi_cond_wait_until(&thread->wake, &queue->mutex, kvi_monotonic_ns() + KVI_IDLE_NS);
}

void kvi_queue_thread_end(kvi_queue_thread *thread)
{
    if (thread->started)
        pthread_join(thread->id, NULL);
    pthread_cond_destroy(&thread->wake);
}
