/* Backends by the schemes of their URLs, and the table of what they may call. */
#ifndef KVI_PLUGINS_H
#define KVI_PLUGINS_H

#include "../base/base.h"

/*
 * Schemes come from registered backends, from built-in ones, and from plugin directories, where a text file
 * NAME.plugin names schemes, library file and the package of the client library without loading anything. */

/* The backend of a scheme: registered, or from its plugin. INVALID lists the known schemes; UNSUPPORTED says what to install. */
kivi_status kvi_backend_find(const char *scheme, const kivi_backend **backend, kivi_error **error);
/* Known schemes by position, in the order of their names; *scheme NULL past the last. Loads nothing. Static texts. */
kivi_status kvi_scheme_at(size_t index, const char **scheme, const char **backend_name,
                          kivi_error **error);
extern const kivi_host kvi_host_table; /* host.c */
/* Backends compiled into the library, ended by NULL; the build writes this table. */
extern const kivi_plugin_fn kvi_builtin_plugins[];

#endif
