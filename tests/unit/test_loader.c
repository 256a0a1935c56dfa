/* The loader: registered backends, plugins that are right, and plugins wrong in each way there is. */
#include "loader_fixture.h"

#include "core/options/options.h"

TestSuite(loader, .init = set_up, .fini = tear_down);

/* ---- Registered ---- */

static const kivi_option_info fake_options[] = {
    FAKE_OPTION("path", STRING, .default_text = NULL),
    FAKE_OPTION("speed", CHOICE, .choices = "slow fast", .default_text = "slow", .recommended_text = "fast"),
};
static const kivi_backend fake = {FAKE_BACKEND, .name = "fake", .schemes = " fake  fakes ",
                                  .options = fake_options, .option_count = 2};

static uint32_t seen_abi;
static const kivi_host *seen_host;

static const kivi_backend *fake_plugin(uint32_t abi, const kivi_host *host)
{
    seen_abi = abi;
    seen_host = host;
    return &fake;
}

Test(loader, registered_backends_are_found)
{
    kivi_error *error = NULL;
    cr_assert_eq(kivi_backend_register(fake_plugin, &error), KIVI_OK, "%s", kivi_error_message(error));
    cr_expect_eq(seen_abi, KIVI_BACKEND_ABI);
    cr_expect_eq(seen_host, &kvi_host_table);
    cr_expect_eq(found("fake"), &fake);
    cr_expect_eq(found("fakes"), &fake);
    kivi_scheme_info info = described("fakes");
    cr_expect(info.available);
    cr_expect_str_eq(info.backend, "fake");
    cr_expect_str_eq(info.summary, "a fake");
    cr_expect_str_eq(info.reason, "");
}

Test(loader, schemes_are_registered_once)
{
    kivi_error *error = NULL;
    cr_assert_eq(kivi_backend_register(fake_plugin, &error), KIVI_OK);
    expect_failure(kivi_backend_register(fake_plugin, &error), &error, KIVI_INVALID,
                   "the scheme \"fake\" is served already, by backend fake");
    expect_failure(kivi_backend_register(NULL, &error), &error, KIVI_INVALID, "no backend");
}

Test(loader, registered_before_plugins)
{
    put_manifest("other", "fake", "right", NULL);
    cr_assert_eq(kivi_backend_register(fake_plugin, NULL), KIVI_OK);
    cr_expect_eq(found("fake"), &fake);
}

static kivi_backend wrong;

static const kivi_backend *wrong_plugin(uint32_t abi, const kivi_host *host)
{
    (void)abi, (void)host;
    return &wrong;
}

static const kivi_backend *no_plugin(uint32_t abi, const kivi_host *host)
{
    (void)abi, (void)host;
    return NULL;
}

static void expect_unregistered(const char *part)
{
    kivi_error *error = NULL;
    expect_failure(kivi_backend_register(wrong_plugin, &error), &error, KIVI_INVALID, part);
    wrong = fake;
}

static void with_option(const kivi_option_info *option)
{
    wrong.options = option;
    wrong.option_count = 1;
}

Test(loader, tables_that_are_not_whole_are_refused)
{
    kivi_error *error = NULL;
    expect_failure(kivi_backend_register(no_plugin, &error), &error, KIVI_INVALID, "does not work with");
    wrong = fake;
    wrong.abi = 99;
    expect_unregistered("plugin ABI 99");
    wrong.struct_size = 16;
    expect_unregistered("cut short");
    wrong.name = NULL;
    expect_unregistered("no name");
    wrong.schemes = "  ";
    expect_unregistered("no name, schemes");
    wrong.read = NULL;
    expect_unregistered("lacks one of");
    wrong.session_close = (void (*)(void *, void *))(void (*)(void))abort;
    expect_unregistered("only some of");
    wrong.options = NULL;
    expect_unregistered("no known size");
    cr_expect_eq(kivi_backend_register(wrong_plugin, NULL), KIVI_OK, "and it was right before");
}

Test(loader, options_that_cannot_be_are_refused)
{
    static const kivi_option_info core = FAKE_OPTION("timeout", DURATION, .default_text = "1s");
    static const kivi_option_info choice = FAKE_OPTION("speed", CHOICE, .default_text = "a");
    static const kivi_option_info text = FAKE_OPTION("speed", INT, .default_text = "fast");
    static const kivi_option_info advice = FAKE_OPTION("speed", INT, .recommended_text = "7", .max = 5);
    static const kivi_option_info helpless = {.struct_size = sizeof(helpless), .name = "speed"};
    static const kivi_option_info twice[] = {FAKE_OPTION("a", INT, .max = 1),
                                             FAKE_OPTION("a", INT, .max = 1)};
    wrong = fake;
    with_option(&core);
    expect_unregistered("one that every store has");
    with_option(&choice);
    expect_unregistered("no choices");
    with_option(&text);
    expect_unregistered("a whole number");
    with_option(&advice);
    expect_unregistered("0 to 5");
    with_option(&helpless);
    expect_unregistered("help");
    with_option(twice);
    wrong.option_count = 2;
    expect_unregistered("there twice");
}

/* ---- Schemes ---- */

Test(loader, memory_is_built_in)
{
    cr_expect_str_eq(found("memory")->name, "memory");
    cr_expect(described("memory").available);
}

Test(loader, unknown_schemes_are_told_the_known_ones)
{
    put_manifest("aaa", "aaa aab", "right", NULL);
    expect_not_found("redsi", KIVI_INVALID, "unknown scheme \"redsi\": ");
    expect_not_found("redsi", KIVI_INVALID, "known are aaa, aab, ");
    expect_not_found("aba", KIVI_INVALID, "did you mean \"aaa\"? known are ");
    expect_not_found("zzzzzz", KIVI_INVALID, "unknown scheme \"zzzzzz\": known are ");
    expect_not_found("redsi", KIVI_INVALID, "memory");
    expect_not_found("redsi", KIVI_INVALID, directory);
    expect_not_found("", KIVI_INVALID, "unknown scheme");
    expect_not_found("aaa aab", KIVI_INVALID, "unknown scheme");
    kivi_option_info info = {.struct_size = sizeof(info)};
    kivi_error *error = NULL;
    expect_failure(kivi_option_describe("redsi", 0, &info, &error), &error, KIVI_INVALID, "known are");
    kivi_options *options;
    expect_failure(kivi_options_recommended("redsi", &options, &error), &error, KIVI_INVALID, "known are");
    cr_expect_null(options);
}

Test(loader, schemes_come_in_one_order_and_once)
{
    char last[64] = "";
    size_t count = 0;
    put_manifest("fixture", "fixture fixtures", "right", NULL);
    cr_assert_eq(kivi_backend_register(fake_plugin, NULL), KIVI_OK);
    for (;; count++) {
        kivi_scheme_info info = {.struct_size = sizeof(info)};
        kivi_status status = kivi_scheme_describe(count, &info, NULL);
        if (status == KIVI_NOT_FOUND)
            break;
        cr_assert_eq(status, KIVI_OK);
        cr_expect(strcmp(last, info.scheme) < 0, "%s after %s", info.scheme, last);
        snprintf(last, sizeof(last), "%s", info.scheme);
    }
    cr_expect(count >= 5, "%zu schemes", count);
}

Test(loader, descriptions_keep_to_the_callers_size)
{
    kivi_scheme_info info;
    kivi_error *error = NULL;
    memset(&info, 0x55, sizeof(info));
    info.struct_size = offsetof(kivi_scheme_info, summary);
    cr_assert_eq(kivi_scheme_describe(0, &info, NULL), KIVI_OK);
    cr_expect_eq((unsigned char)info.reason[0], 0x55);
    cr_expect_eq(info.struct_size, offsetof(kivi_scheme_info, summary));
    info.struct_size = 0;
    expect_failure(kivi_scheme_describe(0, &info, &error), &error, KIVI_INVALID, "struct_size");
}

Test(loader, options_core_first_then_own)
{
    size_t core_count;
    kivi_option_info info = {.struct_size = sizeof(info)};
    const kivi_option_info *core = kvi_core_options(&core_count);
    cr_assert_eq(kivi_backend_register(fake_plugin, NULL), KIVI_OK);
    for (size_t i = 0; i < core_count; i++) {
        cr_assert_eq(kivi_option_describe("fake", i, &info, NULL), KIVI_OK);
        cr_expect_str_eq(info.name, core[i].name);
        cr_expect(*info.help);
    }
    cr_assert_eq(kivi_option_describe("fake", core_count + 1, &info, NULL), KIVI_OK);
    cr_expect_str_eq(info.name, "speed");
    cr_expect_str_eq(info.choices, "slow fast");
    cr_expect_eq(kivi_option_describe("fake", core_count + 2, &info, NULL), KIVI_NOT_FOUND);
}

Test(loader, recommended_options)
{
    kivi_options *options;
    cr_assert_eq(kivi_backend_register(fake_plugin, NULL), KIVI_OK);
    cr_assert_eq(kivi_options_recommended("fake", &options, NULL), KIVI_OK);
    cr_expect_str_eq(kivi_options_get(options, "speed"), "fast");
    cr_expect_null(kivi_options_get(options, "path"));
    kivi_options_free(options);
}

/* Every default and recommended text of the options that all stores have is one that could be set. */
Test(loader, core_options_are_right)
{
    size_t count;
    const kivi_option_info *core = kvi_core_options(&count);
    for (size_t i = 0; i < count; i++) {
        kvi_option_value value;
        cr_expect_eq(kvi_option_find(NULL, core[i].name), &core[i], "%s is there twice", core[i].name);
        cr_expect_eq(core[i].struct_size, sizeof(kivi_option_info));
        if (core[i].default_text)
            cr_expect_eq(kvi_option_read(&core[i], core[i].default_text, KVI_GIVEN_TEXT, &value, NULL),
                         KIVI_OK, "%s", core[i].name);
    }
}

/* ---- Plugins ---- */

Test(loader, plugins_are_loaded_on_first_use)
{
    put_manifest("fixture", "fixture fixtures", "right", "libfixture0");
    const kivi_backend *backend = found("fixtures");
    cr_expect_str_eq(backend->name, "fixture");
    cr_expect_eq(found("fixture"), backend);
    kivi_scheme_info info = described("fixture");
    cr_expect(info.available);
    cr_expect_str_eq(info.summary, "a fake");
    kivi_options *options;
    cr_assert_eq(kivi_options_recommended("fixture", &options, NULL), KIVI_OK);
    cr_expect_str_eq(kivi_options_get(options, "depth"), "5");
    kivi_options_free(options);
    char shown[128];
    cr_assert_eq(kivi_url_redact("fixture:p?token=hunter2&depth=4", shown, sizeof(shown), NULL), KIVI_OK);
    cr_expect_str_eq(shown, "fixture:p?token=***&depth=4");
}

/* A function that a module which is loaded has beside its table. */
static void find_function(const char *module, const char *name, void *function, size_t size)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s.so", fixtures, module);
    void *opened = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    cr_assert_not_null(opened, "%s is not loaded", path);
    void *symbol = dlsym(opened, name);
    cr_assert_not_null(symbol);
    memcpy(function, &symbol, size);
    dlclose(opened); /* it stays: modules are never unloaded */
}

/* How often the loader asked the module for its table. */
static int count_calls(const char *module)
{
    int (*calls)(void);
    find_function(module, "fixture_calls", &calls, sizeof(calls));
    return calls();
}

typedef kivi_status rewrite_fn(const char *json, uint8_t *msgpack, size_t *size, kivi_error **error);

/* What servers say and are sent, read and written by the core's codecs without linking them. */
Test(loader, a_plugin_has_the_codecs_by_its_host_table)
{
    static const uint8_t wanted[] = {0x93, 0x01, 0xa1, 'b', 0xc3};
    rewrite_fn *rewrite;
    uint8_t msgpack[32];
    size_t size;
    kivi_error *error = NULL;
    put_manifest("fixture", "fixture fixtures", "right", NULL);
    found("fixture");
    find_function("right", "fixture_rewrite", &rewrite, sizeof(rewrite));
    cr_assert_eq(rewrite("[1, \"b\", true]", msgpack, &size, &error), KIVI_OK);
    cr_assert_eq(size, sizeof(wanted));
    cr_assert_arr_eq(msgpack, wanted, sizeof(wanted));
    expect_failure(rewrite("[1, \"b\", t]", msgpack, &size, &error), &error, KIVI_CORRUPT, "json");
    expect_failure(rewrite("[1, 2]", msgpack, &size, &error), &error, KIVI_INVALID, "less than was said");
    cr_assert_eq(size, 0);
}

static void *find_fixture(void *backend)
{
    kvi_backend_find("fixture", backend, NULL);
    return NULL;
}

Test(loader, threads_that_come_together_load_once)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    const kivi_backend *backends[THREADS];
    put_manifest("fixture", "fixture fixtures", "right", NULL);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, find_fixture, &backends[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_not_null(backends[i]);
        cr_expect_eq(backends[i], backends[0]);
    }
    cr_expect_eq(count_calls("right"), 1);
}

static void *find_for_ever(void *stop)
{
    const kivi_backend *backend;
    while (!atomic_load((atomic_bool *)stop))
        kvi_backend_find("nobody", &backend, NULL);
    return NULL;
}

/* The lock may be anybody's when a process forks: the child must find it free. */
Test(loader, children_can_load, .timeout = 120)
{
    pthread_t thread;
    static atomic_bool stop;
    put_manifest("fixture", "fixture", "right", NULL);
    found("memory");
    cr_assert_eq(pthread_create(&thread, NULL, find_for_ever, &stop), 0);
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        cr_assert(child >= 0);
        if (child == 0) {
            const kivi_backend *backend;
            _exit(kvi_backend_find("fixture", &backend, NULL) ? 1 : 0);
        }
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %d", i);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

Test(loader, a_failure_is_not_kept)
{
    put_file("late.plugin", "name: late\nschemes: fixture\nfile: late.so\npackage: liblate1\n");
    expect_not_found("fixture", KIVI_UNSUPPORTED, "the plugin file");
    expect_not_found("fixture", KIVI_UNSUPPORTED, "late.so");
    expect_not_found("fixture", KIVI_UNSUPPORTED, "late.plugin names it: install it again");
    cr_expect_not(described("fixture").available);
    char from[2 * PATH_MAX], to[2 * PATH_MAX];
    snprintf(from, sizeof(from), "%s/right.so", fixtures);
    snprintf(to, sizeof(to), "%s/late.so", directory);
    cr_assert_eq(symlink(from, to), 0);
    cr_expect_str_eq(found("fixture")->name, "fixture");
    cr_expect(described("fixture").available);
}

Test(loader, a_plugin_that_comes_later_is_found)
{
    expect_not_found("fixture", KIVI_INVALID, "unknown scheme");
    put_manifest("fixture", "fixture", "right", NULL);
    cr_expect_str_eq(found("fixture")->name, "fixture");
}

Test(loader, wrong_plugins_say_what_to_do)
{
    static const struct {
        const char *module, *package, *part;
    } rows[] = {
        {"other-abi", NULL, "was made for plugin ABI 7, libkivi 0.1.0 has 2: install the one made for it"},
        {"refusing", NULL, "does not work with libkivi 0.1.0 (plugin ABI 2)"},
        {"no-plugin", NULL, "is no plugin of libkivi"},
        {"no-client", "libabsent3",
         "its client library libabsent-client.so.3 is not installed: install the "
         "package libabsent3"},
        {"no-client", NULL, "its client library libabsent-client.so.3 is not installed"},
        {"no-symbol", "libabsent3", "nobody_has_this"},
        {"no-symbol", "libabsent3", "its client library comes with the package libabsent3"},
        {"not-there", "libabsent3", "not-there.so cannot be read"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put_manifest("wrong", "wrong", rows[i].module, rows[i].package);
        expect_not_found("wrong", KIVI_UNSUPPORTED, rows[i].part);
        kivi_scheme_info info = described("wrong");
        cr_expect_not(info.available);
        cr_expect_str_eq(info.backend, "wrong");
        cr_expect_str_eq(info.summary, "");
        cr_expect_eq(strncmp(info.reason, "wrong: ", 7), 0, "%s", info.reason);
    }
}

Test(loader, text_is_no_plugin)
{
    put_file("text.so", "not an ELF file");
    put_file("text.plugin", "name: text\nschemes: text\nfile: text.so\n");
    expect_not_found("text", KIVI_UNSUPPORTED, "text.so cannot be loaded");
}

Test(loader, a_manifest_may_promise_too_much)
{
    put_manifest("fixture", "fixture more", "right", NULL);
    expect_not_found("more", KIVI_UNSUPPORTED, "has no such scheme");
    cr_expect_str_eq(found("fixture")->name, "fixture");
    expect_not_found("more", KIVI_UNSUPPORTED, "has no such scheme");
    cr_expect_eq(count_calls("right"), 1);
}
