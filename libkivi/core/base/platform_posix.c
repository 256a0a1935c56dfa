/* The platform: POSIX, with what macOS and the BSDs have besides. Slower where Linux has a call of its own. */
#ifdef KIVI_POSIX
#include "platform.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h> /* getentropy, of macOS */
#include <unistd.h>

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- Waiting on a word: who sleeps on a word of a group is woken with all of the group ---- */

#define GROUPS 64

static struct group {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
} groups[GROUPS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_groups(void)
{
    for (size_t i = 0; i < GROUPS; i++) {
        pthread_mutex_init(&groups[i].mutex, NULL);
        kvi_cond_init(&groups[i].changed);
    }
}

/* In a child of a fork nobody sleeps, whoever held a mutex. The parent's are not locked for it: they come last. */
static void begin_groups(void)
{
    init_groups();
    pthread_atfork(NULL, NULL, init_groups);
}

static struct group *group_of(const _Atomic uint32_t *word)
{
    pthread_once(&once, begin_groups);
    return &groups[((uintptr_t)word >> 3) * UINT32_C(2654435761) / 65536 % GROUPS];
}

void kvi_futex_wait_bits(_Atomic uint32_t *word, uint32_t value, uint64_t until_ns, uint32_t bits)
{
    struct group *own = group_of(word);
    (void)bits;
    pthread_mutex_lock(&own->mutex);
    if (atomic_load(word) == value)
        kvi_cond_wait_until(&own->changed, &own->mutex, until_ns);
    pthread_mutex_unlock(&own->mutex);
}

void kvi_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t ns)
{
    kvi_futex_wait_bits(word, value, monotonic_ns() + ns, UINT32_MAX);
}

void kvi_futex_wake_bits(_Atomic uint32_t *word, uint32_t bits)
{
    struct group *own = group_of(word);
    (void)bits;
    pthread_mutex_lock(&own->mutex);
    pthread_cond_broadcast(&own->changed);
    pthread_mutex_unlock(&own->mutex);
}

void kvi_futex_wake(_Atomic uint32_t *word, int threads)
{
    (void)threads; /* those of the group that it is not about would eat them up */
    kvi_futex_wake_bits(word, UINT32_MAX);
}

int kvi_poll_for(struct pollfd *polls, nfds_t count, uint64_t ns)
{
    uint64_t ms = ns / 1000000 + (ns % 1000000 != 0);
    return poll(polls, count, ms < INT_MAX ? (int)ms : INT_MAX);
}

/* ---- Descriptors to poll ---- */

static bool set_up(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
           fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0;
}

/* A pipe. */
bool kvi_flag_open(kvi_flag *flag)
{
    int ends[2];
    flag->fd = flag->other = -1;
    if (pipe(ends))
        return false;
    flag->fd = ends[0];
    flag->other = ends[1];
    if (set_up(ends[0]) && set_up(ends[1]))
        return true;
    int code = errno;
    kvi_flag_close(flag);
    errno = code;
    return false;
}

void kvi_flag_raise(const kvi_flag *flag)
{
    while (write(flag->other, "!", 1) < 0 && errno == EINTR)
        ; /* one that is full is raised */
}

bool kvi_flag_lower(const kvi_flag *flag)
{
    char bytes[64];
    bool raised = false;
    ssize_t got;
    do {
        got = read(flag->fd, bytes, sizeof(bytes));
        raised = raised || got > 0;
    } while (got == (ssize_t)sizeof(bytes) || (got < 0 && errno == EINTR));
    return raised;
}

void kvi_flag_close(kvi_flag *flag)
{
    if (flag->fd >= 0)
        close(flag->fd);
    if (flag->other >= 0)
        close(flag->other);
    flag->fd = flag->other = -1;
}

/* A pipe cannot tell time: it is raised by the first look after that is over, and found raised by the next. */
bool kvi_timer_open(kvi_timer *timer)
{
    timer->due_ns = 0;
    return kvi_flag_open(&timer->flag);
}

bool kvi_timer_set(kvi_timer *timer, uint64_t ns)
{
    kvi_flag_lower(&timer->flag);
    timer->due_ns = monotonic_ns() + ns;
    return true;
}

bool kvi_timer_take(kvi_timer *timer)
{
    if (!timer->due_ns || monotonic_ns() < timer->due_ns)
        return false;
    if (!kvi_flag_lower(&timer->flag)) {
        kvi_flag_raise(&timer->flag);
        return false;
    }
    timer->due_ns = 0;
    return true;
}

int64_t kvi_timer_left(const kvi_timer *timer)
{
    uint64_t now = monotonic_ns();
    if (!timer->due_ns)
        return -1;
    return now < timer->due_ns ? (int64_t)(timer->due_ns - now) : 0;
}

void kvi_timer_close(kvi_timer *timer)
{
    kvi_flag_close(&timer->flag);
}

/* ---- Sockets ---- */

/* As it is to be, or closed. */
static int set_up_socket(int fd)
{
    bool fine = fd >= 0 && set_up(fd);
#ifdef SO_NOSIGPIPE
    const int on = 1;
    fine = fine && setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on)) == 0;
#endif
    if (fine || fd < 0)
        return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

int kvi_socket_open(int family)
{
    return set_up_socket(socket(family, SOCK_STREAM, 0));
}

int kvi_socket_accept(int listener)
{
    return set_up_socket(accept(listener, NULL, NULL));
}

/* ---- Files and the process ---- */

int kvi_filler_open(void)
{
#if defined(O_EXEC)
    return open("/", O_EXEC | O_CLOEXEC);
#elif defined(O_SEARCH)
    return open("/", O_SEARCH | O_CLOEXEC);
#else
    return open("/", O_RDONLY | O_CLOEXEC); /* nobody reads() a folder */
#endif
}

void kvi_descriptor_replace(int fd, int other)
{
    if (dup2(other, fd) >= 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* A program's name may lack its folder. */
bool kvi_file_of(const void *code, char path[PATH_MAX])
{
    Dl_info file;
    if (!dladdr(code, &file) || !file.dli_fname || !strchr(file.dli_fname, '/'))
        return false;
    snprintf(path, PATH_MAX, "%s", file.dli_fname);
    return true;
}

/* Only to be on the safe side: what POSIX has for it changes the file's size. */
int kvi_file_reserve(int fd, off_t size)
{
    (void)fd;
    (void)size;
    return 0;
}

pid_t kvi_thread_number(void)
{
    return 0;
}

uint32_t kvi_processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

const char *kvi_getenv_safe(const char *name)
{
    return getuid() == geteuid() && getgid() == getegid() ? getenv(name) : NULL;
}

/* ---- Memory ---- */

bool kvi_random_fill(void *memory, size_t size)
{
    return getentropy(memory, size) == 0;
}

void kvi_erase(void *memory, size_t size)
{
    volatile unsigned char *bytes = memory;
    while (size > 0)
        bytes[--size] = 0;
}

const void *kvi_memrchr(const void *memory, int byte, size_t size)
{
    const unsigned char *bytes = memory;
    while (size > 0)
        if (bytes[--size] == (unsigned char)byte)
            return bytes + size;
    return NULL;
}
#endif
