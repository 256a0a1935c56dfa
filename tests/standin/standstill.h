/*
 * Forks beside threads at work. AddressSanitizer's allocator cannot be used in a child that was forked while another thread
 * was inside it (the child waits for ever for that thread's lock), so under it the threads stand still between two rounds
 * while the process forks. Elsewhere nothing does.
 */
#ifndef STANDSTILL_H
#define STANDSTILL_H

#ifdef __SANITIZE_ADDRESS__
#include <pthread.h>
static pthread_rwlock_t standstill = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
#define ROUND_BEGIN() pthread_rwlock_rdlock(&standstill)
#define FORK_BEGIN() pthread_rwlock_wrlock(&standstill)
#define ROUND_OR_FORK_END() pthread_rwlock_unlock(&standstill)
#else
#define ROUND_BEGIN() ((void)0)
#define FORK_BEGIN() ((void)0)
#define ROUND_OR_FORK_END() ((void)0)
#endif

#endif
