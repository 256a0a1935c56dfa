/* What is the same on all platforms that have the call, under one name or another. */
#include "platform.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- Waiting with a time limit ---- */

int kvi_cond_init(pthread_cond_t *cond)
{
#ifdef __APPLE__
    return pthread_cond_init(cond, NULL); /* it waits for a time, not until one */
#else
    pthread_condattr_t attributes;
    int code = pthread_condattr_init(&attributes);
    if (code)
        return code;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    code = pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
    return code;
#endif
}

bool kvi_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t until_ns)
{
#ifdef __APPLE__
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    struct timespec rest = kvi_timespec(until_ns > now_ns ? until_ns - now_ns : 0);
    return pthread_cond_timedwait_relative_np(cond, mutex, &rest) != ETIMEDOUT;
#else
    struct timespec until = kvi_timespec(until_ns);
    return pthread_cond_timedwait(cond, mutex, &until) != ETIMEDOUT;
#endif
}

void kvi_mutex_init_recursive(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

void kvi_rwlock_init(pthread_rwlock_t *rwlock)
{
    pthread_rwlockattr_t kind;
    pthread_rwlockattr_init(&kind);
#ifdef __GLIBC__
    pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
    pthread_rwlock_init(rwlock, &kind);
    pthread_rwlockattr_destroy(&kind);
}

/* glibc has pthread_mutex_clocklock(), which ThreadSanitizer does not know; musl and others do not have it. */
int kvi_mutex_lock_until(pthread_mutex_t *mutex, uint64_t until_ns)
{
#if defined(__GLIBC__) && !defined(KIVI_POSIX) && !defined(__SANITIZE_THREAD__)
    struct timespec until = kvi_timespec(until_ns);
    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
#else
    const struct timespec nap = {0, 100000};
    struct timespec now;
    int code;

    while ((code = pthread_mutex_trylock(mutex)) == EBUSY) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec >= until_ns)
            return ETIMEDOUT;
        nanosleep(&nap, NULL);
    }
    return code;
#endif
}

/* ---- Sockets ---- */

void kvi_socket_keep_alive(int fd, int idle_s, int interval_s, int probes)
{
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
#ifdef TCP_KEEPIDLE
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
#elif defined(TCP_KEEPALIVE)
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPALIVE, &idle_s, sizeof(idle_s)); /* macOS's name for it */
#endif
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

bool kvi_socket_is_own(int fd)
{
#ifdef SO_PEERCRED
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && size == sizeof(peer) &&
           peer.pid == getpid() && peer.uid == geteuid();
#else
    uid_t user;
    gid_t group;
#ifdef LOCAL_PEERPID
    pid_t process = 0;
    socklen_t size = sizeof(process);
    if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &process, &size) || process != getpid())
        return false;
#endif
    return getpeereid(fd, &user, &group) == 0 && user == geteuid();
#endif
}

/* ---- Memory and text ---- */

void *kvi_realloc_array(void *memory, size_t count, size_t size)
{
    return size && count > SIZE_MAX / size ? NULL : realloc(memory, count * size);
}

/* strerror_r() is glibc's or POSIX's. */
const char *kvi_errno_text(int code, char *text, size_t size)
{
#ifdef __GLIBC__
    return strerror_r(code, text, size);
#else
    if (strerror_r(code, text, size))
        snprintf(text, size, "error %d", code);
    return text;
#endif
}
