/* pwrite, writev and fdatasync of this program: a commit of LMDB consists of them. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hooks.h"

static atomic_uint calls, wanted;
static atomic_bool wanted_after;
static atomic_int wanted_signal;
static atomic_int failing_syncs, failing_code;

void hook_arm(unsigned nth, bool after, int signal)
{
    wanted_after = after;
    wanted_signal = signal;
    calls = 0;
    wanted = nth;
}

void hook_fail_syncs(unsigned count, int code)
{
    failing_code = code;
    failing_syncs = (int)count;
}

unsigned hook_calls(void)
{
    return calls;
}

/* Seen by libraries that are loaded later. */
#define SEEN __attribute__((visibility("default")))

static void hook(bool after)
{
    unsigned call = after ? calls : ++calls;

    if (call == wanted && after == wanted_after)
        kill(getpid(), wanted_signal);
}

SEEN ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    ssize_t rc;

    hook(false);
    rc = syscall(SYS_pwrite64, fd, bytes, size, offset);
    hook(true);
    return rc;
}

SEEN ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    ssize_t rc;

    hook(false);
    rc = syscall(SYS_writev, fd, pieces, count);
    hook(true);
    return rc;
}

SEEN int fdatasync(int fd)
{
    int rc;

    hook(false);
    if (failing_syncs > 0 && atomic_fetch_sub(&failing_syncs, 1) > 0) {
        errno = failing_code;
        return -1;
    }
    rc = (int)syscall(SYS_fdatasync, fd);
    hook(true);
    return rc;
}
