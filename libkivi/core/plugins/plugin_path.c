/* Where plugins are looked for. */
#include "../base/platform.h"
#include "../options/options.h"
#include "loader.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef KIVI_PLUGIN_DIR
#define KIVI_PLUGIN_DIR "/usr/local/lib/kivi"
#endif

/* The folder `kivi` beside libkivi.so, or the program it is linked into; "" where it cannot be told. */
static void find_own_directory(char *directory, size_t capacity)
{
    char path[PATH_MAX];
    directory[0] = '\0';
    char *slash = kvi_file_of((const void *)kvi_core_options, path) ? strrchr(path, '/') : NULL;
    if (!slash)
        return;
    *slash = '\0';
    if ((size_t)snprintf(directory, capacity, "%s/kivi", path) >= capacity)
        directory[0] = '\0';
}

char *kvi_plugin_path(void)
{
    char own[PATH_MAX + 8], *path;
    const char *given = kvi_getenv_safe("KIVI_PLUGIN_PATH");
    find_own_directory(own, sizeof(own));
    const char *built_in = strcmp(own, KIVI_PLUGIN_DIR) ? KIVI_PLUGIN_DIR : ""; /* may be empty */
    int size = asprintf(&path, "%s%s%s%s%s", given ? given : "", given && *given ? ":" : "", own,
                        *own && *built_in ? ":" : "", built_in);
    return size < 0 ? NULL : path;
}
