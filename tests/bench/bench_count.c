/*
 * Counting what a call costs beside time: allocations, bytes of heap, system calls.
 *
 * malloc and its kin are defined here, in the executable, so that every library of the process calls them.
 * They count on the thread's own counter and hand on to the C library's.
 */
#include "bench.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

/* Seen by every library of the process, whatever visibility the rest is built with. */
#define EVERYWHERE __attribute__((visibility("default")))

static __thread uint64_t allocations __attribute__((tls_model("initial-exec")));

EVERYWHERE void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

EVERYWHERE void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

EVERYWHERE void *realloc(void *memory, size_t size)
{
    allocations++;
    return __libc_realloc(memory, size);
}

EVERYWHERE void *memalign(size_t alignment, size_t size)
{
    allocations++;
    return __libc_memalign(alignment, size);
}

EVERYWHERE void *aligned_alloc(size_t alignment, size_t size)
{
    allocations++;
    return __libc_memalign(alignment, size);
}

EVERYWHERE int posix_memalign(void **memory, size_t alignment, size_t size)
{
    allocations++;
    void *found = __libc_memalign(alignment, size);
    if (!found)
        return ENOMEM;
    *memory = found;
    return 0;
}

uint64_t bench_allocations(void)
{
    return allocations;
}

uint64_t bench_heap_bytes(void)
{
    struct mallinfo2 heap = mallinfo2();
    return heap.uordblks + heap.hblkhd;
}

/* The calls that mark the beginning and the end of what is counted: nothing else makes them. */
static void mark(void)
{
    syscall(SYS_getpgid, -1);
}

static _Noreturn void run_traced(void *(*prepare)(void), void (*run)(void *state), unsigned times)
{
    void *state = prepare();
    run(state);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
        _exit(2);
    raise(SIGSTOP);
    mark();
    for (unsigned i = 0; i < times; i++)
        run(state);
    mark();
    _exit(0);
}

/* Lets the stopped child go on to its next stop at a system call's entry or exit; false once it is gone. */
static bool next_stop(pid_t child)
{
    int status;
    do {
        if (ptrace(PTRACE_SYSCALL, child, NULL, NULL))
            return false;
        if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
            return false;
    } while (WSTOPSIG(status) != (SIGTRAP | 0x80));
    return true;
}

/* The number of the system call that the child is about to make; -1 once it is gone. */
static long next_syscall(pid_t child)
{
    struct __ptrace_syscall_info info;
    for (;;) {
        if (!next_stop(child))
            return -1;
        if (ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) < 0)
            return -1;
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
            return (long)info.entry.nr;
    }
}

/* Counts from the first mark to the second; negative when the child ended before. */
static double count_between_marks(pid_t child)
{
    long number;
    double count = 0;
    do
        number = next_syscall(child);
    while (number != -1 && number != SYS_getpgid);
    while ((number = next_syscall(child)) != SYS_getpgid) {
        if (number == -1)
            return -1;
        count++;
    }
    return count;
}

double bench_count_syscalls(void *(*prepare)(void), void (*run)(void *state), unsigned times)
{
    int status;
    double count = -1;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (!child)
        run_traced(prepare, run, times);
    if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status))
        return -1;
    if (!ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)(intptr_t)PTRACE_O_TRACESYSGOOD))
        count = count_between_marks(child);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return count < 0 ? count : count / times;
}
