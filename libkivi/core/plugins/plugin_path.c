/* Where plugins are looked for. */
#include "loader.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef KIVI_PLUGIN_DIR
#define KIVI_PLUGIN_DIR "/usr/local/lib/kivi"
#endif

/* The file that this code was loaded from: libkivi.so, or the program it is linked into. */
static bool find_own_file(char path[PATH_MAX])
{
    Dl_info info;
    struct link_map *map = NULL;
    if (!dladdr1((const void *)kvi_core_options, &info, (void **)&map, RTLD_DL_LINKMAP))
        return false;
    if (map && *map->l_name) {
        snprintf(path, PATH_MAX, "%s", map->l_name);
        return true;
    }
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1); /* a program's name may lack its directory */
    if (size <= 0)
        return false;
    path[size] = '\0';
    return true;
}

/* The folder `kivi` beside that file; "" where it cannot be told. */
static void find_own_directory(char *directory, size_t capacity)
{
    char path[PATH_MAX];
    directory[0] = '\0';
    char *slash = find_own_file(path) ? strrchr(path, '/') : NULL;
    if (!slash)
        return;
    *slash = '\0';
    if ((size_t)snprintf(directory, capacity, "%s/kivi", path) >= capacity)
        directory[0] = '\0';
}

char *kvi_plugin_path(void)
{
    char own[PATH_MAX + 8], *path;
    const char *given = secure_getenv("KIVI_PLUGIN_PATH");
    find_own_directory(own, sizeof(own));
    const char *built_in = strcmp(own, KIVI_PLUGIN_DIR) ? KIVI_PLUGIN_DIR : ""; /* may be empty */
    int size = asprintf(&path, "%s%s%s%s%s", given ? given : "", given && *given ? ":" : "", own,
                        *own && *built_in ? ":" : "", built_in);
    return size < 0 ? NULL : path;
}
