/* A directory of plugins and manifests of the test's own, and what the loader makes of it. */
#ifndef LOADER_FIXTURE_H
#define LOADER_FIXTURE_H

#include "core/plugins/plugins.h"
#include "failure.h"
#include "fixtures/fake.h"

#include "core/base/base.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- A directory of plugins of the test's own ---- */

static char fixtures[PATH_MAX], directory[PATH_MAX];

/* The modules that the build made lie beside this program. */
static inline void find_fixtures(void)
{
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    cr_assert(size > 0);
    program[size] = '\0';
    *strrchr(program, '/') = '\0';
    cr_assert((size_t)snprintf(fixtures, sizeof(fixtures), "%s/fixtures", program) < sizeof(fixtures));
}

static inline void set_up(void)
{
    find_fixtures();
    snprintf(directory, sizeof(directory), "/tmp/kivi-loader-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    setenv("KIVI_PLUGIN_PATH", directory, 1);
}

static inline void tear_down(void)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    cr_expect_eq(system(command), 0);
}

static inline void put_file(const char *name, const char *text)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file, "%s", path);
    fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

/* A manifest NAME.plugin for one of the modules; `package` may be NULL. */
static inline void put_manifest(const char *name, const char *schemes, const char *module,
                                const char *package)
{
    char file_name[64], text[2 * PATH_MAX];
    snprintf(file_name, sizeof(file_name), "%s.plugin", name);
    snprintf(text, sizeof(text), "name: %s\nschemes: %s\nfile: %s/%s.so\n%s%s%ssummary: for tests\n",
             name, schemes, fixtures, module, package ? "package: " : "", package ? package : "",
             package ? "\n" : "");
    put_file(file_name, text);
}

static inline const kivi_backend *found(const char *scheme)
{
    const kivi_backend *backend;
    kivi_error *error = NULL;
    cr_assert_eq(kvi_backend_find(scheme, &backend, &error), KIVI_OK, "%s: %s", scheme,
                 kivi_error_message(error));
    return backend;
}

static inline void expect_not_found(const char *scheme, kivi_status wanted, const char *part)
{
    const kivi_backend *backend;
    kivi_error *error = NULL;
    kivi_status status = kvi_backend_find(scheme, &backend, &error);
    cr_expect_null(backend);
    expect_failure(status, &error, wanted, part);
}

/* What a scheme's description says, searched by its name. */
static inline kivi_scheme_info described(const char *scheme)
{
    for (size_t i = 0;; i++) {
        kivi_scheme_info info = {.struct_size = sizeof(info)};
        cr_assert_eq(kivi_scheme_describe(i, &info, NULL), KIVI_OK, "no scheme %s", scheme);
        if (!strcmp(info.scheme, scheme))
            return info;
    }
}

#endif
