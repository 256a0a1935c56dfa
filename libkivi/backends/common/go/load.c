/* libkivi-go.so: found, loaded and started, once a process. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "internal.h"

#define FILE_NAME "libkivi-go.so"

const kvi_go_engines *kvi_go_library;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* Beside the plugin; beside the plugins where this code is in the library itself; where the system looks for libraries. */
static void *find(void)
{
    static const char *const places[] = {"%.*s/" FILE_NAME, "%.*s/kivi/" FILE_NAME};
    char mine[PATH_MAX], path[PATH_MAX + sizeof("/kivi/" FILE_NAME)];
    bool known = kvi_file_of(&mutex, mine);
    const char *slash = known ? strrchr(mine, '/') : NULL;

    for (size_t i = 0; slash && i < sizeof(places) / sizeof(*places); i++) {
        snprintf(path, sizeof(path), places[i], (int)(slash - mine), mine);
        if (access(path, F_OK) == 0)
            return dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    }
    return dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

static const kvi_go_engines *start(void)
{
    void *library = find(), *symbol = library ? dlsym(library, KVI_GO_SYMBOL) : NULL;
    kvi_go_start_fn function = NULL;

    memcpy(&function, &symbol, sizeof(function));
    return function ? function(&kvi_go_callbacks) : NULL;
}

static kivi_status load(kivi_error **error)
{
    kvi_go_signals signals;
    const kvi_go_engines *engines;

    kvi_go_core->guard_descriptors(); /* the runtime opens some of its own */
    kvi_go_signals_before(&signals);
    engines = start();
    kvi_go_signals_after(&signals);
    if (!engines) {
        const char *why = dlerror();
        return KVI_GO_FAIL(
            error, KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO,
            "its engine is in %s, which cannot be loaded (%s). Install Go 1.23 or "
            "later (golang-1.23-go of Debian's backports) and build libkivi: it lies "
            "beside the plugins then",
            FILE_NAME, why ? why : "no reason given");
    }
    if (engines->version != KVI_GO_VERSION)
        return KVI_GO_FAIL(error, KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO,
                           "%s is of another version of libkivi: build both anew", FILE_NAME);
    kvi_go_library = engines;
    return KIVI_OK;
}

kivi_status kvi_go_load(kivi_error **error)
{
    kivi_status status = KIVI_OK;

    pthread_mutex_lock(&mutex);
    if (!kvi_go_library)
        status = load(error);
    pthread_mutex_unlock(&mutex);
    if (status == KIVI_OK && kvi_go_library->process() != getpid())
        return KVI_GO_FAIL(error, KIVI_FORKED, 0, KIVI_RETRY_NO,
                           "the parent process has used an engine written in Go: a child of it "
                           "can use none before it calls exec");
    return status;
}
