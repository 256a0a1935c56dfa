/*
 * The mark of a folder that is ours: a file that RocksDB does not look at. It also tells readers in other processes that
 * the column family of expiries was made, of which RocksDB tells them nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rocks.h"

#define NAME "KIVI"
#define NEW_NAME "KIVI.new"

rocks_owner kvi_rocks_mark_read(const rocks_engine *engine, uint64_t *number)
{
    int fd = openat(engine->folder_fd, NAME, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    rocks_owner owner = ROCKS_NOBODYS;
    struct stat info;
    char text[64] = "";

    *number = 0;
    if (fd < 0)
        return owner;
    if (fstat(fd, &info) == 0)
        *number = (uint64_t)info.st_ino;
    if (read(fd, text, sizeof(text) - 1) > 0)
        owner = strncmp(text, "kivi 1 ours\n", 12) == 0      ? ROCKS_OURS
                : strncmp(text, "kivi 1 foreign\n", 15) == 0 ? ROCKS_FOREIGN
                                                             : ROCKS_NOBODYS;
    /* A file that replaced it may have got the same inode. */
    if (strstr(text, "\nexpiries\n"))
        *number |= UINT64_C(1) << 63;
    close(fd);
    return owner;
}

static int write_file(const rocks_engine *engine, const char *text)
{
    int fd = openat(engine->folder_fd, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ssize_t size = (ssize_t)strlen(text);
    int rc = 0;

    if (fd < 0)
        return errno;
    if (write(fd, text, (size_t)size) != size || fsync(fd) != 0)
        rc = errno ? errno : ENOSPC;
    close(fd);
    return rc;
}

kivi_status kvi_rocks_mark_write(const rocks_engine *engine, rocks_owner owner, bool expiries,
                                 kivi_error **error)
{
    char text[64];
    int rc;

    snprintf(text, sizeof(text), "kivi 1 %s\n%s", owner == ROCKS_FOREIGN ? "foreign" : "ours",
             expiries ? "expiries\n" : "");
    errno = 0;
    rc = write_file(engine, text);
    if (rc == 0 && renameat(engine->folder_fd, NEW_NAME, engine->folder_fd, NAME) != 0)
        rc = errno;
    if (rc == 0 && fsync(engine->folder_fd) != 0 && errno != EINVAL)
        rc = errno;
    if (rc == 0)
        return KIVI_OK;
    unlinkat(engine->folder_fd, NEW_NAME, 0);
    return kvi_rocks_fail_errno(error, rc, engine->folder, "cannot write the mark " NAME);
}
