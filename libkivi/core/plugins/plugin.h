/* One plugin: opening its file, and whether the table it answers can be worked with. */
#ifndef KVI_PLUGIN_H
#define KVI_PLUGIN_H

#include "loader.h"

#define KVI_PROBLEM_SIZE 256

/* Opens a plugin's file for good. UNSUPPORTED says what to install. */
kivi_status kvi_plugin_open(const kvi_manifest *manifest, const char *scheme, void **plugin,
                            kivi_plugin_fn *function, kivi_error **error);
/* Whether a backend's table is whole; else `problem` says what is wrong with it. */
bool kvi_backend_check(const kivi_backend *backend, char problem[KVI_PROBLEM_SIZE]);

#endif
