/* The threads of a queue: how they begin, sleep and end. */
#include "queue.h"

#include <signal.h>

void kvi_queue_thread_setup(kvi_queue_thread *thread, void *(*entry)(void *given), void *given)
{
    pthread_condattr_t attributes;
    thread->entry = entry;
    thread->given = given;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&thread->wake, &attributes);
    pthread_condattr_destroy(&attributes);
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
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(KVI_IDLE_NS / (1000 * KVI_MS));
    return pthread_cond_timedwait(&thread->wake, &queue->mutex, &until) == 0;
}

void kvi_queue_thread_end(kvi_queue_thread *thread)
{
    if (thread->started)
        pthread_join(thread->id, NULL);
    pthread_cond_destroy(&thread->wake);
}
