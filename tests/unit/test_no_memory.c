/* Memory that runs out: each allocation of a piece of work fails once; nothing crashes, leaks or is left half done. */
#include "core/options/options.h"
#include "core/plugins/plugins.h"
#include "core/store/escape.h"
#include "fixtures/fake.h"

#include "core/base/base.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Allocations that fail when told to; the linker puts these in the place of the real ones ---- */

static long left = -1; /* allocations before the one that fails; negative: none fails */
static bool fired;

static bool fails(void)
{
    if (left < 0 || left-- > 0)
        return false;
    fired = true;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    return fails() ? NULL : __real_realloc(old, count * size);
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = fails() ? NULL : __real_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

int __wrap_vasprintf(char **text, const char *format, va_list given)
{
    va_list again;
    if (fails())
        return -1;
    va_copy(again, given);
    size_t size = (size_t)vsnprintf(NULL, 0, format, again) + 1;
    va_end(again);
    *text = __real_malloc(size);
    return *text ? vsnprintf(*text, size, format, given) : -1;
}

int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list given;
    va_start(given, format);
    int size = __wrap_vasprintf(text, format, given);
    va_end(given);
    return size;
}

/* ---- Work ---- */

typedef kivi_status work_fn(kivi_error **error);

/* Does the work with its first allocation failing, then its second, until none is left to fail. */
static void fail_each(work_fn *work)
{
    for (long at = 0;; at++) {
        kivi_error *error = NULL;
        fired = false;
        left = at;
        kivi_status status = work(&error);
        left = -1;
        if (!fired) {
            cr_assert_eq(status, KIVI_OK, "%s", kivi_error_message(error));
            cr_expect(at > 0, "nothing was allocated");
            return;
        }
        cr_expect_eq(status, KIVI_NO_MEMORY, "allocation %ld: %s", at, kivi_status_name(status));
        cr_expect_eq(kivi_error_status(error), KIVI_NO_MEMORY, "allocation %ld", at);
        kivi_error_free(error);
    }
}

static const kivi_option_info options[] = {
    FAKE_OPTION("path", STRING, .recommended_text = "here"),
    FAKE_OPTION("host", STRING, .default_text = "there"),
    FAKE_OPTION("password", STRING, .flags = KIVI_OPTION_SECRET),
};
static const kivi_backend fake = {FAKE_BACKEND, .name = "fake", .schemes = "fake also",
                                  .options = options, .option_count = 3};

static const kivi_backend *fake_plugin(uint32_t abi, const kivi_host *host)
{
    (void)abi, (void)host;
    return &fake;
}

static kivi_status read_url(kivi_error **error)
{
    kvi_url url;
    kivi_status status = kvi_url_parse(
        "redis://u:p@h:1/path?a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9&bare", &url, error);
    kvi_url_clear(&url);
    return status;
}

Test(no_memory, urls)
{
    fail_each(read_url);
}

static kivi_status configure(kivi_error **error)
{
    kvi_url url = {.scheme = (char *)(uintptr_t) "fake", .path = (char *)(uintptr_t) "p"};
    kivi_config *config;
    long kept = left;
    left = -1;
    url.query = kivi_options_new();
    kivi_options_set(url.query, "password", "x", NULL);
    left = kept;
    kivi_status status = kvi_config_new(&fake, &url, url.query, &config, error);
    left = -1;
    kvi_config_free(config);
    kivi_options_free(url.query);
    return status;
}

Test(no_memory, configurations)
{
    fail_each(configure);
}

static kivi_status fill_options(kivi_error **error)
{
    char name[2] = "a";
    kivi_status status = KIVI_OK;
    kivi_options *set = kivi_options_new(), *copy = NULL;
    if (!set)
        return kvi_fail(error, KIVI_NO_MEMORY, "no set");
    for (; !status && *name < 'a' + 20; ++*name)
        status = kivi_options_set(set, name, "x", error);
    if (!status && !(copy = kivi_options_copy(set)))
        status = kvi_fail(error, KIVI_NO_MEMORY, "no copy");
    if (!status)
        cr_expect_str_eq(kivi_options_get(copy, "t"), "x");
    kivi_options_free(set);
    kivi_options_free(copy);
    return status;
}

Test(no_memory, sets_of_options)
{
    fail_each(fill_options);
}

static kivi_status register_fake(kivi_error **error)
{
    return kivi_backend_register(fake_plugin, error);
}

static kivi_status recommend(kivi_error **error)
{
    kivi_options *set;
    kivi_status status = kivi_options_recommended("fake", &set, error);
    kivi_options_free(set);
    return status;
}

static kivi_status describe(kivi_error **error)
{
    kivi_scheme_info info = {.struct_size = sizeof(info)};
    return kivi_scheme_describe(0, &info, error);
}

/* A directory with a manifest of a plugin; what was read of it when memory ran out is read again. */
static void put_manifest(char directory[])
{
    char path[128];
    cr_assert_not_null(mkdtemp(directory));
    setenv("KIVI_PLUGIN_PATH", directory, 1);
    snprintf(path, sizeof(path), "%s/aaa.plugin", directory);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs("name: aaa\nschemes: aaa aab\nfile: aaa.so\npackage: libaaa1\n", file);
    fclose(file);
}

static void remove_manifest(const char *directory)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/aaa.plugin", directory);
    cr_expect_eq(remove(path), 0);
    cr_expect_eq(remove(directory), 0);
}

Test(no_memory, schemes)
{
    char directory[] = "/tmp/kivi-no-memory-XXXXXX";
    put_manifest(directory);
    fail_each(register_fake);
    fail_each(recommend);
    /* The reason why a scheme is not available needs memory too, and is shortened without. */
    for (long at = 0; at < 100; at++) {
        kivi_error *error = NULL;
        left = at;
        kivi_status status = describe(&error);
        left = -1;
        cr_expect(status == KIVI_OK || status == KIVI_NO_MEMORY, "allocation %ld: %d", at, status);
        kivi_error_free(error);
    }
    remove_manifest(directory);
}

Test(no_memory, unknown_and_missing_plugins)
{
    char directory[] = "/tmp/kivi-no-memory-XXXXXX";
    put_manifest(directory);
    for (long at = 0; at < 100; at++) {
        static const char *const schemes[] = {"aab", "nobody"};
        for (size_t i = 0; i < 2; i++) {
            const kivi_backend *backend;
            kivi_error *error = NULL;
            left = at;
            kivi_status status = kvi_backend_find(schemes[i], &backend, &error);
            left = -1;
            cr_expect_null(backend);
            cr_expect(status == KIVI_NO_MEMORY || status == (i ? KIVI_INVALID : KIVI_UNSUPPORTED),
                      "%s, allocation %ld: %d", schemes[i], at, status);
            cr_expect_eq(kivi_error_status(error), status);
            kivi_error_free(error);
        }
    }
    remove_manifest(directory);
}

static kivi_status escape_key(kivi_error **error)
{
    kivi_escape escape = {.struct_size = sizeof(escape), .rules = KIVI_ESCAPE_PATH};
    kivi_buffer stored = KIVI_BUFFER_INIT, key = KIVI_BUFFER_INIT, prefix = KIVI_BUFFER_INIT;
    kivi_status status = kvi_escape_encode(&escape, kivi_str("/a/.."), &stored);
    if (!status)
        status = kvi_escape_decode(&escape, kivi_buffer_slice(&stored), &key);
    if (!status)
        status = kvi_escape_prefix(&escape, kivi_str("/a/.."), &prefix);
    kivi_buffer_free(&stored);
    kivi_buffer_free(&key);
    kivi_buffer_free(&prefix);
    return status ? kvi_fail(error, status, "no memory") : KIVI_OK;
}

Test(no_memory, escaping)
{
    fail_each(escape_key);
}

/* What cannot be asked is hidden. */
Test(no_memory, redacting_hides_all_the_same)
{
    cr_assert_eq(kivi_backend_register(fake_plugin, NULL), KIVI_OK);
    for (long at = 0; at < 100; at++) {
        char shown[128];
        left = at;
        kivi_status status = kivi_url_redact("fake://u:hunter2@h?password=hunter2&b=hunter3", shown,
                                             sizeof(shown), NULL);
        left = -1;
        cr_expect(status == KIVI_OK || status == KIVI_NO_MEMORY);
        cr_expect_null(strstr(shown, "hunter2"), "allocation %ld: %s", at, shown);
    }
}

Test(no_memory, errors_keep_their_status)
{
    kivi_error *error;
    left = 0;
    cr_expect_eq(kvi_fail(&error, KIVI_UNCERTAIN, "cut off"), KIVI_UNCERTAIN);
    left = -1;
    cr_expect_eq(kivi_error_status(error), KIVI_UNCERTAIN);
    cr_expect_eq(kivi_error_retryable(error), KIVI_RETRY_IF_IDEMPOTENT);
    kivi_error_free(error);
    error = kvi_error_new(KIVI_IO, 1, KIVI_RETRY_NO, "kept");
    left = 0;
    kivi_error *copy = kvi_error_copy(error);
    left = -1;
    cr_expect_eq(kivi_error_status(copy), KIVI_IO);
    kivi_error_free(copy);
    kivi_error_free(error);
}
