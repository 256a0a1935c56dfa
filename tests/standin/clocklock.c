/* ThreadSanitizer of gcc 12 does not know pthread_mutex_clocklock: it would see the unlock and not the lock.
 * Here it is made of pthread_mutex_trylock, which it knows. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

__attribute__((visibility("default"))) int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
                                                                   const struct timespec *until)
{
    for (;;) {
        int rc = pthread_mutex_trylock(mutex);
        if (rc != EBUSY)
            return rc;
        struct timespec now, pause = {0, 200000};
        clock_gettime(clock, &now);
        if (now.tv_sec > until->tv_sec || (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec))
            return ETIMEDOUT;
        nanosleep(&pause, NULL);
    }
}
