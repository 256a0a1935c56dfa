/*
 * Forks beside threads at work. The allocators of AddressSanitizer and ThreadSanitizer cannot be used in a child that was
 * forked while another thread was inside them (the child waits for ever for that thread's lock), so under them the threads
 * stand still between two rounds while the process forks. Elsewhere nothing does.
 */
#ifndef STANDSTILL_H
#define STANDSTILL_H

#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <pthread.h>
#define STANDSTILL_NEEDED 1 /* a queue's own threads cannot be made to */
static pthread_rwlock_t standstill = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
#define ROUND_BEGIN() pthread_rwlock_rdlock(&standstill)
#define ROUND_END() pthread_rwlock_unlock(&standstill)
#define STANDSTILL_BEGIN() pthread_rwlock_wrlock(&standstill)
#define STANDSTILL_END() pthread_rwlock_unlock(&standstill)
#define STANDSTILL_FORGET() \
    (standstill = (pthread_rwlock_t)PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP)
#else
#define STANDSTILL_NEEDED 0
#define ROUND_BEGIN() ((void)0)
#define ROUND_END() ((void)0)
#define STANDSTILL_BEGIN() ((void)0)
#define STANDSTILL_END() ((void)0)
#define STANDSTILL_FORGET() ((void)0)
#endif

/* fork(); a child may do the same: the lock that its parent took is not the child's. */
static inline pid_t fork_at_standstill(void)
{
    STANDSTILL_BEGIN();
    pid_t pid = fork();
    if (pid == 0)
        STANDSTILL_FORGET();
    else
        STANDSTILL_END();
    return pid;
}

#endif
