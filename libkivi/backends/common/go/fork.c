/* Around fork: the child has no Go, and is not to keep what the parent has locked. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define FORK_WAIT_NS UINT64_C(100000000)

/* With hold=call the file may just be being opened: its lock and map are then seen by nobody. */
void kvi_go_fork_prepare(void *instance)
{
    kvi_go_file *file = ((kvi_go_store *)instance)->file;

    if (file->forking++ > 0)
        return;
    file->whole = kvi_mutex_lock_until(&file->turn, kvi_go_core->monotonic_ns() + FORK_WAIT_NS) == 0;
}

void kvi_go_fork_parent(void *instance)
{
    kvi_go_file *file = ((kvi_go_store *)instance)->file;

    if (--file->forking == 0 && file->whole)
        pthread_mutex_unlock(&file->turn);
}

/* Whether a descriptor is of the engine's file, or of its directory or one in it. */
static bool is_of(const kvi_go_file *file, int directory, const char *descriptor)
{
    const char *path = file->settings.path;
    char name[PATH_MAX];
    size_t size = strlen(path);
    struct stat info;
    ssize_t length;

    if (fstatat(directory, descriptor, &info, 0) != 0)
        return false;
    if (info.st_dev == file->device && info.st_ino == file->inode)
        return true;
    length = readlinkat(directory, descriptor, name, sizeof(name) - 1);
    if (length <= 0)
        return false;
    name[length] = 0;
    return strncmp(name, path, size) == 0 && name[size] == '/';
}

/* A lock goes with the last descriptor, the child's too. What is mapped is hidden from it where it is mapped. */
static void give_up(const kvi_go_file *file)
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;

    if (!folder) {
        if (file->opened.fd >= 0)
            close(file->opened.fd);
        return;
    }
    while ((entry = readdir(folder))) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd != dirfd(folder) && is_of(file, dirfd(folder), entry->d_name))
            close(fd);
    }
    closedir(folder);
}

void kvi_go_fork_child(void *instance)
{
    kvi_go_file *file = ((kvi_go_store *)instance)->file;

    if (--file->forking > 0)
        return;
    if (file->whole)
        pthread_mutex_unlock(&file->turn);
    give_up(file);
}
