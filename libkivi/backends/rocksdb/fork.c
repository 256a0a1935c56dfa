/* A forked child cannot use RocksDB: its threads are gone, and the folder is the parent's. */
#include <fcntl.h>
#include <unistd.h>

#include "../../core/base/platform.h"
#include "rocks.h"

static _Atomic pid_t user; /* the process that used RocksDB first */

bool kvi_rocks_is_forked(void)
{
    pid_t expected = 0, self = getpid();

    return !atomic_compare_exchange_strong(&user, &expected, self) && expected != self;
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
