/* What this process has mapped and open, as the kernel tells it. */
#include <dirent.h>
#include <fcntl.h>
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

bool kvi_lmdb_is_mapped(const char *file, dev_t device, ino_t inode, kvi_lmdb_stretch *stretch)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    kvi_lmdb_stretch at, all = {0, 0};
    char *line = NULL, *name;
    size_t capacity = 0;
    dev_t mapped_device;
    ino_t mapped_inode;

    if (!maps)
        return false;
    while (getline(&line, &capacity, maps) > 0) {
        if (!map_line(line, &at, &mapped_device, &mapped_inode, &name) || mapped_inode != inode)
            continue;
        /* Some file systems show another device here than stat() does. */
        if (mapped_device != device && strcmp(name, file) != 0)
            continue;
        if (!all.start)
            all.start = at.start;
        all.end = at.end;
    }
    free(line);
    fclose(maps);
    if (stretch)
        *stretch = all;
    return all.start != 0;
}

unsigned kvi_lmdb_descriptors(dev_t device, ino_t first, ino_t second, int *fds, unsigned capacity)
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
        if (info.st_dev == device && (info.st_ino == first || info.st_ino == second))
            fds[count++] = fd;
    }
    closedir(folder);
    return count;
}
