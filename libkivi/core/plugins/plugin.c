/* One plugin: opening its file, with messages that say what to install. */
#include "plugin.h"
#include "../base/regular.h"

#include <dlfcn.h>
#include <unistd.h>

/* dlsym answers an object pointer; C has no cast for it. */
static kivi_plugin_fn function_of(void *plugin)
{
    void *symbol = dlsym(plugin, KIVI_PLUGIN_SYMBOL);
    kivi_plugin_fn function;
    memcpy(&function, &symbol, sizeof(function));
    return function;
}

static kivi_status fail_missing(const kvi_manifest *manifest, const char *scheme,
                                const char *problem, kivi_error **error)
{
    return kvi_fail(
        error, KIVI_UNSUPPORTED,
        "%s: the plugin file %s cannot be read (%s), though %s names it: install it again", scheme,
        manifest->file, problem, manifest->path);
}

/*
 * The linker's text begins with the file that it speaks of: a bare name, without a directory, is a library that
 * was found nowhere. What follows may be in the user's language.
 */
static kivi_status fail_open(const kvi_manifest *manifest, const char *scheme, const char *reason,
                             kivi_error **error)
{
    const char *colon = strchr(reason, ':');
    bool has_package = *manifest->package;
    if (colon && colon > reason && !memchr(reason, '/', (size_t)(colon - reason)))
        return kvi_fail(error, KIVI_UNSUPPORTED, "%s: its client library %.*s is not installed%s%s",
                        scheme, (int)(colon - reason), reason,
                        has_package ? ": install the package " : "", manifest->package);
    return kvi_fail(error, KIVI_UNSUPPORTED, "%s: the plugin %s cannot be loaded: %s%s%s", scheme,
                    manifest->file, reason,
                    has_package ? "; its client library comes with the package " : "",
                    manifest->package);
}

kivi_status kvi_plugin_open(const kvi_manifest *manifest, const char *scheme, void **plugin,
                            kivi_plugin_fn *function, kivi_error **error)
{
    char problem[KVI_REGULAR_PROBLEM];
    int descriptor = kvi_regular_open(manifest->file, UINT64_MAX, problem);
    if (descriptor < 0)
        return fail_missing(manifest, scheme, problem, error);
    close(descriptor);
    kvi_descriptors_guard(); /* a library may open some of its own */
    *plugin = dlopen(manifest->file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!*plugin) {
        const char *reason = dlerror();
        return fail_open(manifest, scheme, reason ? reason : "no reason given", error);
    }
    *function = function_of(*plugin);
    if (*function)
        return KIVI_OK;
    dlclose(*plugin);
    return kvi_fail(error, KIVI_UNSUPPORTED, "%s: %s is no plugin of libkivi", scheme, manifest->file);
}
