/* File systems of a case's own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults.h"

static text mounted[8];
static unsigned mounted_count;

static void note_mount(const text *path)
{
    CHECK(mounted_count < sizeof(mounted) / sizeof(*mounted));
    mounted[mounted_count++] = *path;
}

void mounts_end(void)
{
    while (mounted_count > 0)
        umount2(mounted[--mounted_count].bytes, MNT_DETACH);
}

static void write_map(const char *file, unsigned id)
{
    char line[64];
    int fd = open(file, O_WRONLY), size = snprintf(line, sizeof(line), "0 %u 1\n", id);

    CHECK_SAYING(fd >= 0 && write(fd, line, (size_t)size) == size, "%s: errno %d", file, errno);
    close(fd);
}

/* Mounts for this process alone; without being root by a user namespace. */
static void own_mounts(void)
{
    static bool done;
    unsigned user = geteuid(), group = getegid();
    int fd;

    if (done)
        return;
    done = true;
    if (user == 0) {
        CHECK_SAYING(unshare(CLONE_NEWNS) == 0, "no mounts of one's own: errno %d", errno);
    } else {
        CHECK_SAYING(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0,
                     "not root, and no user namespace: errno %d", errno);
        fd = open("/proc/self/setgroups", O_WRONLY);
        if (fd >= 0) {
            CHECK(write(fd, "deny", 4) == 4);
            close(fd);
        }
        write_map("/proc/self/uid_map", user);
        write_map("/proc/self/gid_map", group);
    }
    CHECK_SAYING(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "errno %d", errno);
}

void mount_small(const char *name, const char *size)
{
    text path, options;

    own_mounts();
    print(&path, "%s/%s", folder, name);
    print(&options, "size=%s", size);
    CHECK_SAYING(mkdir(path.bytes, 0700) == 0, "%s: errno %d", path.bytes, errno);
    CHECK_SAYING(mount("kivi", path.bytes, "tmpfs", 0, options.bytes) == 0,
                 "cannot mount a tmpfs at %s: errno %d", path.bytes, errno);
    note_mount(&path);
}

void mount_read_only(const char *name)
{
    text path;

    own_mounts();
    print(&path, "%s/%s", folder, name);
    CHECK_SAYING(mount(path.bytes, path.bytes, NULL, MS_BIND, NULL) == 0, "%s: errno %d",
                 path.bytes, errno);
    note_mount(&path);
    CHECK_SAYING(mount(NULL, path.bytes, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0,
                 "%s: errno %d", path.bytes, errno);
}

size_t fill_file(const char *path, size_t size)
{
    static const uint8_t zeros[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    size_t done = 0;
    ssize_t put;

    CHECK_SAYING(fd >= 0, "%s: errno %d", path, errno);
    while (done < size) {
        size_t most = size - done < sizeof(zeros) ? size - done : sizeof(zeros);
        put = write(fd, zeros, most);
        if (put <= 0)
            break;
        done += (size_t)put;
    }
    close(fd);
    return done;
}
