/* Who has a folder open: RocksDB writes to its log before it finds that it may not have it, so that is asked first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rocks.h"

static void visit_descriptors(void (*each)(int fd, void *user), void *user)
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd != dirfd(folder))
            each(fd, user);
    }
    if (folder)
        closedir(folder);
}

typedef struct same_file {
    rocks_id id;
    bool found;
} same_file;

static void compare(int fd, void *user)
{
    same_file *same = user;
    struct stat info;

    if (fstat(fd, &info) == 0 && kvi_rocks_is_same(same->id, (rocks_id){info.st_dev, info.st_ino}))
        same->found = true;
}

bool kvi_rocks_find_holder(const char *folder, pid_t *pid)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char name[PATH_MAX];
    struct stat info;
    same_file same = {.found = false};
    bool held;
    int fd;

    *pid = 0;
    if ((size_t)snprintf(name, sizeof(name), "%s/LOCK", folder) >= sizeof(name) || stat(name, &info) != 0)
        return false;
    same.id = (rocks_id){info.st_dev, info.st_ino};
    /* Another copy of RocksDB in this process: to close the file would take its lock away. */
    visit_descriptors(compare, &same);
    if (same.found)
        return true;
    fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    held = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    *pid = held ? lock.l_pid : 0;
    close(fd);
    return held;
}

typedef struct below {
    const char *folder;
    size_t size;
    int except;
    void (*each)(int fd, void *user);
    void *user;
} below;

static void look_below(int fd, void *user)
{
    const below *at = user;
    char link[64], name[PATH_MAX];
    ssize_t size;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    size = readlink(link, name, sizeof(name) - 1);
    if (fd == at->except || size <= (ssize_t)at->size)
        return;
    name[size] = 0;
    if (strncmp(name, at->folder, at->size) == 0 && name[at->size] == '/')
        at->each(fd, at->user);
}

void kvi_rocks_descriptors(int folder_fd, const char *folder, void (*each)(int fd, void *user), void *user)
{
    below at = {.except = folder_fd, .each = each, .user = user};
    char link[64], now[PATH_MAX];
    ssize_t size;

    /* The folder may have another name by now. */
    snprintf(link, sizeof(link), "/proc/self/fd/%d", folder_fd);
    size = readlink(link, now, sizeof(now) - 1);
    if (size > 0) {
        now[size] = 0;
        folder = now;
    }
    at.folder = folder;
    at.size = strlen(folder);
    visit_descriptors(look_below, &at);
}
