/* A forked child cannot use RocksDB: its threads are gone, and the folder is the parent's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../core/base/platform.h"
#include "rocks.h"

static _Atomic pid_t user; /* the process that used RocksDB first */

bool kvi_rocks_is_forked(void)
{
    pid_t expected = 0, self = getpid();

    return !atomic_compare_exchange_strong(&user, &expected, self) && expected != self;
}

#ifdef __GLIBC__
/*
 * What RocksDB does when a program ends waits for its threads, and for conditions that they wait for: in a forked child for
 * ever. This runs before, and after what the program has for its end since it opened the store.
 */
static void end_child(int status, void *nothing)
{
    (void)nothing;
    if (!kvi_rocks_is_forked())
        return;
    fflush(NULL);
    _exit(status);
}
#endif

void kvi_rocks_fork_guard(bool reader)
{
#ifdef __GLIBC__
    static atomic_flag guarded[2] = {ATOMIC_FLAG_INIT, ATOMIC_FLAG_INIT};

    /* Once each of RocksDB's ways to open has made what lives until the end. */
    if (!atomic_flag_test_and_set(&guarded[reader]))
        on_exit(end_child, NULL);
#else
    (void)reader;
#endif
}

static void replace(int fd, void *nothing)
{
    kvi_descriptor_replace(fd, *(const int *)nothing);
}

/* Tables that the parent removes must not stay on disk for the child's sake. */
void kvi_rocks_fork_child(rocks_engine *engine)
{
    int nothing;

    if (engine->inherited)
        return;
    engine->inherited = true;
    nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0)
        return;
    kvi_rocks_descriptors(engine->folder_fd, engine->folder, replace, &nothing);
    close(nothing);
}
