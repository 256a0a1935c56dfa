/* What this process has mapped and open, as the kernel tells it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engine.h"

/* Reads "start-end perms offset major:minor inode   name"; false: no file lies there. */
static bool map_line(char *line, kvi_lmdb_stretch *stretch, dev_t *device, ino_t *inode, char **name)
{
    unsigned long start, end, offset, number;
    unsigned major_number, minor_number;
    int at = 0;

    if (sscanf(line, "%lx-%lx %*4s %lx %x:%x %lu %n", &start, &end, &offset, &major_number,
               &minor_number, &number, &at) < 6 ||
        number == 0)
        return false;
    stretch->start = start;
    stretch->end = end;
    *device = makedev(major_number, minor_number);
    *inode = (ino_t)number;
    *name = line + at;
    (*name)[strcspn(*name, "\n")] = 0;
    return true;
}

kvi_lmdb_id kvi_lmdb_id_of(const char *file)
{
    struct stat info;
    return stat(file, &info) == 0 ? (kvi_lmdb_id){info.st_dev, info.st_ino} : (kvi_lmdb_id){0, 0};
}

bool kvi_lmdb_is_mapped(const char *file, kvi_lmdb_id id, kvi_lmdb_stretch *stretch)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    kvi_lmdb_stretch at, all = {0, 0};
    char *line = NULL, *name;
    size_t capacity = 0;
    dev_t mapped_device;
    ino_t mapped_inode;
    int failure = errno;

    if (!maps)
        return false;
    errno = 0;
    while (getline(&line, &capacity, maps) > 0) {
        if (!map_line(line, &at, &mapped_device, &mapped_inode, &name) || mapped_inode != id.inode)
            continue;
        /* Some file systems show another device here than stat() does. */
        if (mapped_device != id.device && strcmp(name, file) != 0)
            continue;
        if (!all.start)
            all.start = at.start;
        all.end = at.end;
    }
    if (errno)
        failure = errno;
    free(line);
    fclose(maps);
    errno = failure;
    if (stretch)
        *stretch = all;
    return all.start != 0;
}

unsigned kvi_lmdb_descriptors(kvi_lmdb_id first, kvi_lmdb_id second, int *fds, unsigned capacity)
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    struct stat info;
    unsigned count = 0;

    if (!folder)
        return 0;
    while (count < capacity && (entry = readdir(folder))) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(folder) || fstat(fd, &info) != 0)
            continue;
        kvi_lmdb_id id = {info.st_dev, info.st_ino};
        if (kvi_lmdb_is_same(id, first) || kvi_lmdb_is_same(id, second))
            fds[count++] = fd;
    }
    closedir(folder);
    return count;
}

/* Whether a descriptor of another process holds a lock of its open file description. */
static bool holds_lock(int process, const char *fd)
{
    char name[sizeof("fdinfo/") + NAME_MAX], line[256];
    bool held = false;
    FILE *info;
    int file;

    snprintf(name, sizeof(name), "fdinfo/%s", fd);
    file = openat(process, name, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    info = fdopen(file, "r");
    if (!info) {
        close(file);
        return false;
    }
    while (!held && fgets(line, sizeof(line), info))
        held = strstr(line, "OFDLCK") != NULL;
    fclose(info);
    return held;
}

/* Looks through the descriptors of a process, as far as this one may see them. */
static bool find_descriptor(int process, kvi_lmdb_id id, char *name, size_t capacity)
{
    int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    struct stat info;
    bool found = false;
    ssize_t size;

    if (!folder) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (!found && (entry = readdir(folder))) {
        if (fstatat(fd, entry->d_name, &info, 0) != 0 ||
            !kvi_lmdb_is_same(id, (kvi_lmdb_id){info.st_dev, info.st_ino}) ||
            !holds_lock(process, entry->d_name))
            continue;
        size = readlinkat(fd, entry->d_name, name, capacity - 1);
        found = size > 0;
        if (found)
            name[size] = 0;
    }
    closedir(folder);
    return found;
}

bool kvi_lmdb_find_holder(kvi_lmdb_id id, pid_t *pid, char *name, size_t capacity)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    bool found = false;

    while (processes && !found && (entry = readdir(processes))) {
        int process;
        *pid = (pid_t)atoi(entry->d_name);
        if (*pid <= 0 || *pid == getpid())
            continue;
        process = openat(dirfd(processes), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (process < 0)
            continue;
        found = find_descriptor(process, id, name, capacity);
        close(process);
    }
    if (processes)
        closedir(processes);
    return found;
}

pid_t kvi_lmdb_process_of(pid_t thread)
{
    char name[64], line[128];
    pid_t pid = 0;
    FILE *status;

    snprintf(name, sizeof(name), "/proc/%d/status", (int)thread);
    status = fopen(name, "re");
    while (status && !pid && fgets(line, sizeof(line), status))
        if (strncmp(line, "Tgid:", 5) == 0)
            pid = (pid_t)atoi(line + 5);
    if (status)
        fclose(status);
    return pid;
}
