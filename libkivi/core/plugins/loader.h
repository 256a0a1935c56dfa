/* What the files of the loader share: manifests, and where they are looked for. */
#ifndef KVI_LOADER_H
#define KVI_LOADER_H

#include "../base/base.h"

/* A plugin as its manifest tells of it. Texts are interned: never NULL, but for `problem`, and never freed. */
typedef struct kvi_manifest {
    const char *path; /* of the manifest */
    const char *stem; /* its file name without ".plugin" */
    const char *name;
    const char *schemes; /* words */
    const char *file;    /* the plugin, with its directory */
    const char *package; /* what to install for the client library; may be "" */
    const char *problem; /* why it cannot be used; NULL: it can */
} kvi_manifest;

typedef struct kvi_manifests {
    kvi_manifest *items;
    size_t count, capacity;
} kvi_manifests;

/*
 * A copy of `size` bytes of text that lives as long as the process, the same for the same text; NULL without
 * memory. The caller holds the loader's lock, as for all that follows.
 */
const char *kvi_intern(const char *text, size_t size);
/* Reads DIRECTORY/STEM.plugin into `manifest`: OK also with a problem, or NO_MEMORY. */
kivi_status kvi_manifest_read(const char *directory, const char *stem, kvi_manifest *manifest);
/* Reads the manifests of a directory, in order of their names, and adds them. A directory that is not there has none. */
kivi_status kvi_manifests_add(kvi_manifests *all, const char *directory);
/* Directories of plugins in order, separated by colons; to be freed. NULL without memory. */
char *kvi_plugin_path(void);

#endif
