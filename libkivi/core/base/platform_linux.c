/* The platform: Linux, with glibc or musl. */
#ifndef KIVI_POSIX
#include "platform.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/timerfd.h>

/* ---- Waiting with a time limit ---- */

int kvi_poll_for(struct pollfd *polls, nfds_t count, uint64_t ns)
{
    struct timespec pause = kvi_timespec(ns);
    return ppoll(polls, count, &pause, NULL);
}

/* ---- Descriptors to poll ---- */

bool kvi_flag_open(kvi_flag *flag)
{
    flag->fd = flag->other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return flag->fd >= 0;
}

void kvi_flag_raise(const kvi_flag *flag)
{
    uint64_t one = 1;
    while (write(flag->fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

bool kvi_flag_lower(const kvi_flag *flag)
{
    uint64_t times;
    return read(flag->fd, &times, sizeof(times)) == (ssize_t)sizeof(times);
}

void kvi_flag_close(kvi_flag *flag)
{
    if (flag->fd >= 0)
        close(flag->fd);
    flag->fd = flag->other = -1;
}

bool kvi_timer_open(kvi_timer *timer)
{
    timer->flag.fd = timer->flag.other = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    timer->due_ns = 0;
    return timer->flag.fd >= 0;
}

/* 0 would unset it: what is due at once is due in a nanosecond. */
bool kvi_timer_set(kvi_timer *timer, uint64_t ns)
{
    struct itimerspec time = {.it_value = kvi_timespec(ns ? ns : 1)};
    return timerfd_settime(timer->flag.fd, 0, &time, NULL) == 0;
}

bool kvi_timer_take(kvi_timer *timer)
{
    return kvi_flag_lower(&timer->flag);
}

int64_t kvi_timer_left(const kvi_timer *timer)
{
    (void)timer;
    return -1;
}

void kvi_timer_close(kvi_timer *timer)
{
    kvi_flag_close(&timer->flag);
}

/* ---- Sockets ---- */

int kvi_socket_open(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int kvi_socket_accept(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* ---- Files and the process ---- */

int kvi_filler_open(void)
{
    return open("/", O_PATH | O_CLOEXEC);
}

void kvi_descriptor_replace(int fd, int other)
{
    dup3(other, fd, O_CLOEXEC);
}

/* The linker knows the program by what it was called, perhaps without a folder. */
static bool is_in_program(const Dl_info *file)
{
    Dl_info program;
    return dladdr((const void *)getauxval(AT_PHDR), &program) && program.dli_fbase == file->dli_fbase;
}

bool kvi_file_of(const void *code, char path[PATH_MAX])
{
    Dl_info file;
    if (!dladdr(code, &file))
        return false;
    if (!is_in_program(&file)) {
        snprintf(path, PATH_MAX, "%s", file.dli_fname);
        return true;
    }
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (size <= 0)
        return false;
    path[size] = '\0';
    return true;
}

int kvi_file_reserve(int fd, off_t size)
{
    bool fails = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size) != 0;
    return fails && errno != EOPNOTSUPP && errno != ENOSYS ? errno : 0;
}

pid_t kvi_thread_number(void)
{
    return (pid_t)syscall(SYS_gettid);
}

uint32_t kvi_processors(void)
{
    cpu_set_t allowed;
    /* More processors than the set holds: plenty. */
    return sched_getaffinity(0, sizeof(allowed), &allowed) ? CPU_SETSIZE : (uint32_t)CPU_COUNT(&allowed);
}

const char *kvi_getenv_safe(const char *name)
{
    return secure_getenv(name);
}

/* ---- Memory and text ---- */

bool kvi_random_fill(void *memory, size_t size)
{
    return getrandom(memory, size, 0) == (ssize_t)size;
}

void kvi_erase(void *memory, size_t size)
{
    explicit_bzero(memory, size);
}

const void *kvi_memrchr(const void *memory, int byte, size_t size)
{
    return memrchr(memory, byte, size);
}
#endif
