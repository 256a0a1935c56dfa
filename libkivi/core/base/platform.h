/*
 * What kernels and C libraries do in ways of their own: all of it, for the core, backends and bindings. platform_linux.c or,
 * with KIVI_POSIX, platform_posix.c stands behind it. Needs nothing else of the core, so that plugins compile it in.
 */
#ifndef KVI_PLATFORM_H
#define KVI_PLATFORM_H

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#ifndef KIVI_POSIX
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

static inline struct timespec kvi_timespec(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / UINT64_C(1000000000)), (long)(ns % UINT64_C(1000000000))};
}

/* ---- Waiting on a word of memory until another thread of this process changes it ---- */

#ifndef KIVI_POSIX
/* Sleeps while *word is `value`, `ns` at most; may wake without cause. */
static inline void kvi_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ns)
{
    struct timespec pause = kvi_timespec(ns);
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &pause, NULL, 0);
}

/* The same on a word that several sleep on, each with bits of its own; until a time of CLOCK_MONOTONIC. */
static inline void kvi_futex_wait_bits(_Atomic uint32_t *word, uint32_t value, uint64_t until_ns,
                                       uint32_t bits)
{
    struct timespec until = kvi_timespec(until_ns);
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, &until, NULL, bits);
}

/* Wakes all that sleep on the word with one of the bits. */
static inline void kvi_futex_wake_bits(_Atomic uint32_t *word, uint32_t bits)
{
    syscall(SYS_futex, word, FUTEX_WAKE_BITSET_PRIVATE, INT32_MAX, NULL, NULL, bits);
}

static inline void kvi_futex_wake(_Atomic uint32_t *word, int threads)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}
#else
/* As above. Without futexes: a condition variable for each of some groups of words, so that more wake without cause. */
void kvi_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ns);
void kvi_futex_wait_bits(_Atomic uint32_t *word, uint32_t value, uint64_t until_ns, uint32_t bits);
void kvi_futex_wake_bits(_Atomic uint32_t *word, uint32_t bits);
void kvi_futex_wake(_Atomic uint32_t *word, int threads);
#endif

/* ---- Waiting with a time limit: of CLOCK_MONOTONIC, in nanoseconds ---- */

/* A condition variable for kvi_cond_wait_until(); 0, or an errno. */
int kvi_cond_init(pthread_cond_t *cond);
/* False: the time is over. May return true without cause. */
bool kvi_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t until_ns);
/* As pthread_mutex_lock(), or ETIMEDOUT. */
int kvi_mutex_lock_until(pthread_mutex_t *mutex, uint64_t until_ns);
void kvi_mutex_init_recursive(pthread_mutex_t *mutex);
/* Readers that come after a writer wait for it, where the C library can be told so. */
void kvi_rwlock_init(pthread_rwlock_t *rwlock);
/* As poll(2); where the system counts milliseconds it waits for whole ones. */
int kvi_poll_for(struct pollfd *polls, nfds_t count, uint64_t ns);

/* The monotonic clock, a few milliseconds behind where that is cheaper: a fifth of the exact one's time on Linux. */
static inline uint64_t kvi_coarse_ns(void)
{
    struct timespec now;
#if defined(CLOCK_MONOTONIC_COARSE) && !defined(KIVI_POSIX)
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- Descriptors to poll: close-on-exec, nothing blocks. Forked processes have them in common ---- */

/* Readable while it is raised. */
typedef struct kvi_flag {
    int fd;    /* to poll; -1: closed */
    int other; /* where it is raised; may be the same */
} kvi_flag;
#define KVI_FLAG_CLOSED \
    {                   \
        -1, -1          \
    }

/* False: errno says why. */
bool kvi_flag_open(kvi_flag *flag);
/* Any thread; async-signal-safe. */
void kvi_flag_raise(const kvi_flag *flag);
/* True: it was raised. */
bool kvi_flag_lower(const kvi_flag *flag);
void kvi_flag_close(kvi_flag *flag);

/* Readable once its time is over, or after a poll for kvi_timer_left(), or both. One thread at a time. */
typedef struct kvi_timer {
    kvi_flag flag;
    uint64_t due_ns; /* 0: not set. Where a descriptor cannot tell time */
} kvi_timer;
#define KVI_TIMER_CLOSED   \
    {                      \
        KVI_FLAG_CLOSED, 0 \
    }

/* False: errno says why. */
bool kvi_timer_open(kvi_timer *timer);
bool kvi_timer_set(kvi_timer *timer, uint64_t ns);
/* True: its time was over, once for each kvi_timer_set(). */
bool kvi_timer_take(kvi_timer *timer);
/* How long to poll the descriptor; -1: until it is readable. */
int64_t kvi_timer_left(const kvi_timer *timer);
void kvi_timer_close(kvi_timer *timer);

/* ---- Sockets ---- */

/* A stream socket that does not block and is closed on exec; -1: errno says why. */
int kvi_socket_open(int family);
/* The next connection of a listening socket, likewise; -1: errno says why. */
int kvi_socket_accept(int listener);
/* Whether this process itself, by its number where the system tells it, is at the other end of a unix socket. */
bool kvi_socket_is_own(int fd);
/* A TCP connection is asked after so many seconds without a sign of life. None of it is worth failing for. */
void kvi_socket_keep_alive(int fd, int idle_s, int interval_s, int probes);

/* For send(2) on sockets of kvi_socket_open(): no SIGPIPE. */
#ifdef MSG_NOSIGNAL
#define KVI_NO_SIGPIPE MSG_NOSIGNAL
#else
#define KVI_NO_SIGPIPE 0 /* the socket itself says so */
#endif

/* ---- Files and the process ---- */

/* Holds a place of the table of descriptors: reading and writing fail, and exec closes it. */
int kvi_filler_open(void);
/* The number `fd` goes on as another descriptor's file, closed on exec; async-signal-safe. */
void kvi_descriptor_replace(int fd, int other);
/* The file that this code was loaded from: a library, or the program. */
bool kvi_file_of(const void *code, char path[PATH_MAX]);
/* Gives a file blocks up to a size that it need not have yet; 0, or why the disk has none. */
int kvi_file_reserve(int fd, off_t size);
/* The calling thread as the kernel knows it; 0 where that is of no use. */
pid_t kvi_thread_number(void);
/* How many processors this thread may run on. */
uint32_t kvi_processors(void);
/* NULL as well in a program that runs with rights of its file (setuid). */
const char *kvi_getenv_safe(const char *name);

/* ---- Memory and text ---- */

/* As realloc(); NULL as well where the product is too large. */
void *kvi_realloc_array(void *memory, size_t count, size_t size);
/* Bytes that nobody can guess, 256 at most. */
bool kvi_random_fill(void *memory, size_t size);
/* Overwrites secrets before they are freed; the compiler leaves it in. */
void kvi_erase(void *memory, size_t size);
const void *kvi_memrchr(const void *memory, int byte, size_t size);
/* The system's words for an errno, in `text` or in static memory. */
const char *kvi_errno_text(int code, char *text, size_t size);

#endif
