/*
 * Forks beside threads at work. The allocators of AddressSanitizer and ThreadSanitizer cannot be used in a child that was
 * forked while another thread was inside them (the child waits for ever for that thread's lock), so under them the threads
 * of a test stand still between two rounds while the process forks, and the library's own, which then have nothing to do,
 * sleep. Elsewhere nothing does.
 */
#ifndef STANDSTILL_H
#define STANDSTILL_H

#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
static pthread_rwlock_t standstill = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
#define ROUND_BEGIN() pthread_rwlock_rdlock(&standstill)
#define ROUND_END() pthread_rwlock_unlock(&standstill)
#define STANDSTILL_BEGIN() (pthread_rwlock_wrlock(&standstill), standstill_await_sleep())
#define STANDSTILL_END() pthread_rwlock_unlock(&standstill)
#define STANDSTILL_FORGET() \
    (standstill = (pthread_rwlock_t)PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP)

/* How often a thread was put to sleep; -1 while it runs. Source of the fields: proc(5), /proc/PID/status. */
static inline long standstill_sleeps(const char *thread)
{
    char path[64], line[128], state = 'R';
    long sleeps = -1;
    snprintf(path, sizeof path, "/proc/self/task/%.20s/status", thread);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "State: %c", &state) != 1)
            (void)sscanf(line, "voluntary_ctxt_switches: %ld", &sleeps);
    if (file)
        fclose(file);
    return file && state != 'S' ? -1 : sleeps;
}

/* The sum over all threads but the caller's; -1: one runs. */
static inline long standstill_all_sleeps(void)
{
    long sum = 0;
    DIR *threads = opendir("/proc/self/task");
    for (struct dirent *entry; threads && sum >= 0 && (entry = readdir(threads));) {
        if (entry->d_name[0] == '.' || atol(entry->d_name) == syscall(SYS_gettid))
            continue;
        long sleeps = standstill_sleeps(entry->d_name);
        sum = sleeps < 0 ? -1 : sum + sleeps;
    }
    if (threads)
        closedir(threads);
    return sum;
}

/*
 * Until all have slept for 2 ms: whoever sleeps for so long waits for work, not for memory. For 1 to 2 s at most: there
 * are tests whose threads never sleep.
 */
static inline void standstill_await_sleep(void)
{
    struct timespec now, pause = {0, 2000000};
    clock_gettime(CLOCK_MONOTONIC, &now);
    long before = -1;
    for (time_t end = now.tv_sec + 2; now.tv_sec < end; clock_gettime(CLOCK_MONOTONIC, &now)) {
        long sleeps = standstill_all_sleeps();
        if (sleeps >= 0 && sleeps == before)
            return;
        before = sleeps;
        nanosleep(&pause, NULL);
    }
}
#else
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
