/* Options: sets as the caller fills them, and what a store makes of them. */
#include "core/options/options.h"
#include "core/plugins/plugins.h"
#include "failure.h"
#include "fixtures/fake.h"

#include "core/base/base.h"

#include <stdio.h>

/* ---- Sets ---- */

Test(options, are_set_replaced_and_taken_out)
{
    kivi_options *options = kivi_options_new();
    cr_expect_null(kivi_options_get(options, "a"));
    cr_assert_eq(kivi_options_set(options, "a", "1", NULL), KIVI_OK);
    cr_assert_eq(kivi_options_set(options, "b", "", NULL), KIVI_OK);
    cr_assert_eq(kivi_options_set(options, "a", "2", NULL), KIVI_OK);
    cr_expect_str_eq(kivi_options_get(options, "a"), "2");
    cr_expect_str_eq(kivi_options_get(options, "b"), "");
    cr_expect_str_eq(kivi_options_name(options, 0), "a");
    cr_expect_str_eq(kivi_options_name(options, 1), "b");
    cr_expect_null(kivi_options_name(options, 2));
    cr_assert_eq(kivi_options_set(options, "a", NULL, NULL), KIVI_OK);
    cr_assert_eq(kivi_options_set(options, "never", NULL, NULL), KIVI_OK);
    cr_expect_null(kivi_options_get(options, "a"));
    cr_expect_str_eq(kivi_options_name(options, 0), "b");
    cr_expect_null(kivi_options_name(options, 1));
    kivi_options_free(options);
    kivi_options_free(NULL);
}

Test(options, numbers_and_truths_become_text)
{
    kivi_options *options = kivi_options_new();
    cr_assert_eq(kivi_options_set_int(options, "least", INT64_MIN, NULL), KIVI_OK);
    cr_assert_eq(kivi_options_set_bool(options, "yes", true, NULL), KIVI_OK);
    cr_assert_eq(kivi_options_set_bool(options, "no", false, NULL), KIVI_OK);
    cr_expect_str_eq(kivi_options_get(options, "least"), "-9223372036854775808");
    cr_expect_str_eq(kivi_options_get(options, "yes"), "true");
    cr_expect_str_eq(kivi_options_get(options, "no"), "false");
    kivi_options_free(options);
}

Test(options, need_names)
{
    kivi_error *error = NULL;
    kivi_options *options = kivi_options_new();
    expect_failure(kivi_options_set(options, "", "x", &error), &error, KIVI_INVALID, "name");
    expect_failure(kivi_options_set(options, NULL, "x", &error), &error, KIVI_INVALID, "name");
    expect_failure(kivi_options_set(options, "", NULL, &error), &error, KIVI_INVALID, "name");
    expect_failure(kivi_options_set_int(options, "", 1, &error), &error, KIVI_INVALID, "name");
    cr_expect_null(kivi_options_name(options, 0));
    kivi_options_free(options);
}

static void hook(const kivi_event *event, void *user)
{
    (void)event, (void)user;
}

Test(options, copies_stand_alone)
{
    int user;
    void *copied;
    kivi_options *options = kivi_options_new();
    for (int i = 0; i < 40; i++) {
        char name[3] = {(char)('a' + i % 20), (char)('a' + i / 20), '\0'};
        cr_assert_eq(kivi_options_set_int(options, name, i, NULL), KIVI_OK);
    }
    kivi_options_on_event(options, hook, &user);
    kivi_options *copy = kivi_options_copy(options);
    kivi_options_free(options);
    cr_expect_str_eq(kivi_options_get(copy, "aa"), "0");
    cr_expect_str_eq(kivi_options_get(copy, "tb"), "39");
    cr_expect_eq(kvi_options_given(copy, "aa"), KVI_GIVEN_NUMBER);
    cr_expect_eq(kvi_options_hook(copy, &copied), hook);
    cr_expect_eq(copied, &user);
    kivi_options_on_event(copy, NULL, NULL);
    cr_expect_null(kvi_options_hook(copy, &copied));
    cr_expect_null(kvi_options_hook(NULL, &copied));
    kivi_options_free(copy);
}

/* ---- Checked by a store ---- */

static const kivi_option_info fake_options[] = {
    FAKE_OPTION("path", STRING, .default_text = NULL),
    FAKE_OPTION("user", STRING, .default_text = NULL),
    FAKE_OPTION("password", STRING, .flags = KIVI_OPTION_SECRET),
    FAKE_OPTION("pin", INT, .flags = KIVI_OPTION_SECRET, .min = 1, .max = 9999),
    FAKE_OPTION("sync", BOOL, .default_text = "yes"),
    FAKE_OPTION("depth", INT, .default_text = "7", .min = -5, .max = 10),
    FAKE_OPTION("number", INT, .default_text = "0"),
    FAKE_OPTION("map_size", SIZE, .default_text = "64KiB"),
    FAKE_OPTION("page", SIZE, .default_text = "4096", .min = 512, .max = 65536),
    FAKE_OPTION("pause", DURATION, .default_text = "1.5s"),
    FAKE_OPTION("mode", CHOICE, .default_text = "fast", .choices = "fast safe fastest"),
    FAKE_OPTION("rate", FLOAT, .default_text = "0.25", .min = 0, .max = 1),
    FAKE_OPTION("shift", FLOAT, .default_text = "0"),
};

static const kivi_backend fake = {
    FAKE_BACKEND,
    .name = "fake",
    .schemes = "fake",
    .options = fake_options,
    .option_count = sizeof(fake_options) / sizeof(fake_options[0]),
};

static kivi_status configure(const char *text, const kivi_options *options, kivi_config **config,
                             kivi_error **error)
{
    kvi_url url;
    *config = NULL;
    kivi_status status = kvi_url_parse(text, &url, error);
    if (status)
        return status;
    status = kvi_config_new(&fake, &url, options, config, error);
    kvi_url_clear(&url);
    return status;
}

static kivi_config *configured(const char *text, const kivi_options *options)
{
    kivi_config *config;
    kivi_error *error = NULL;
    cr_assert_eq(configure(text, options, &config, &error), KIVI_OK, "%s: %s", text,
                 kivi_error_message(error));
    return config;
}

static void expect_refused(const char *text, const char *part)
{
    kivi_config *config;
    kivi_error *error = NULL;
    kivi_status status = configure(text, NULL, &config, &error);
    cr_assert_null(config, "%s", text);
    expect_failure(status, &error, KIVI_INVALID, part);
}

Test(config, defaults)
{
    kivi_config *config = configured("fake:", NULL);
    cr_expect_str_eq(kvi_config_scheme(config), "fake");
    cr_expect_eq(kvi_config_int(config, "timeout"), 5000);
    cr_expect_eq(kvi_config_int(config, "io_timeout"), 5000);
    cr_expect_eq(kvi_config_int(config, "queue_limit"), 65536);
    cr_expect_eq(kvi_config_int(config, "lanes"), 0);
    cr_expect_null(kvi_config_text(config, "lanes"));
    cr_expect_null(kvi_config_text(config, "namespace"));
    cr_expect_str_eq(kvi_config_text(config, "codec"), "msgpack");
    cr_expect_str_eq(kvi_config_text(config, "consistency"), "strong");
    cr_expect_str_eq(kvi_config_text(config, "escape"), "on");
    cr_expect_eq(kvi_config_int(config, "portable"), 0);
    cr_expect_eq(kvi_config_int(config, "in_place"), 1);
    cr_expect_eq(kvi_config_int(config, "event_keys"), 0);
    cr_expect_eq(kvi_config_int(config, "sweep"), 16);
    cr_expect_eq(kvi_config_int(config, "sync"), 1);
    cr_expect_eq(kvi_config_int(config, "depth"), 7);
    cr_expect_eq(kvi_config_int(config, "map_size"), 65536);
    cr_expect_eq(kvi_config_int(config, "pause"), 1500);
    cr_expect_eq(kvi_config_float(config, "rate"), 0.25);
    cr_expect_not(kvi_config_is_set(config, "depth"));
    cr_expect_not(kvi_config_is_set(config, "no such"));
    cr_expect_null(kvi_config_text(config, "no such"));
    cr_expect_eq(kvi_config_int(config, "no such"), 0);
    cr_expect_eq(kvi_config_float(config, "no such"), 0);
    kvi_config_free(config);
    kvi_config_free(NULL);
}

Test(config, url_then_options)
{
    kivi_options *options = kivi_options_new();
    kivi_options_set(options, "depth", "-5", NULL);
    kivi_options_set(options, "password", "told", NULL);
    kivi_options_set_int(options, "timeout", 250, NULL);
    kivi_options_set(options, "io_timeout", "250", NULL);
    kivi_config *config = configured("fake:some/path?depth=3&mode=safe&portable", options);
    kivi_options_free(options);
    cr_expect_str_eq(kvi_config_text(config, "path"), "some/path");
    cr_expect_str_eq(kvi_config_text(config, "password"), "told");
    cr_expect_str_eq(kvi_config_text(config, "mode"), "safe");
    cr_expect_eq(kvi_config_int(config, "depth"), -5);
    cr_expect_eq(kvi_config_int(config, "portable"), 1);
    cr_expect_eq(kvi_config_int(config, "timeout"), 250, "a number is in ms");
    cr_expect_eq(kvi_config_int(config, "io_timeout"), 250000, "a text is in s");
    cr_expect(kvi_config_is_set(config, "depth"));
    cr_expect(kvi_config_is_set(config, "path"));
    cr_expect_not(kvi_config_is_set(config, "codec"));
    kvi_config_free(config);
}

Test(config, reporter_is_handed_on)
{
    int store;
    kivi_config *config = configured("fake:", NULL);
    cr_expect_null(kvi_config_reporter(config));
    kvi_config_set_reporter(config, &store);
    cr_expect_eq(kvi_host_table.reporter(config), &store);
    kvi_config_free(config);
}

Test(config, values_of_every_type)
{
    static const struct {
        const char *url, *name;
        int64_t wanted;
    } rows[] = {
        {"fake:?sync=TRUE", "sync", 1},
        {"fake:?sync=off", "sync", 0},
        {"fake:?sync=No", "sync", 0},
        {"fake:?sync=1", "sync", 1},
        {"fake:?depth=+4", "depth", 4},
        {"fake:?depth=010", "depth", 10},
        {"fake:?map_size=0", "map_size", 0},
        {"fake:?map_size=3MiB", "map_size", 3 << 20},
        {"fake:?map_size=2gib", "map_size", INT64_C(2) << 30},
        {"fake:?map_size=1TiB", "map_size", INT64_C(1) << 40},
        {"fake:?pause=2", "pause", 2000},
        {"fake:?pause=0.25", "pause", 250},
        {"fake:?pause=.5s", "pause", 500},
        {"fake:?pause=20ms", "pause", 20},
        {"fake:?pause=1.5m", "pause", 90000},
        {"fake:?pause=2h", "pause", 7200000},
        {"fake:?pause=0", "pause", 0},
        {"fake:?pause=0.0001", "pause", 1},
        {"fake:?pause=0.57", "pause", 570},
        {"fake:?pause=1.1", "pause", 1100},
        {"fake:?number=-9223372036854775808", "number", INT64_MIN},
        {"fake:?timeout=0", "timeout", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kivi_config *config = configured(rows[i].url, NULL);
        cr_expect_eq(kvi_config_int(config, rows[i].name), rows[i].wanted, "%s", rows[i].url);
        kvi_config_free(config);
    }
}

Test(config, real_numbers)
{
    static const struct {
        const char *url, *name;
        double wanted;
    } rows[] = {
        {"fake:?rate=0.1", "rate", 0.1},
        {"fake:?rate=1", "rate", 1},
        {"fake:?shift=-2.5", "shift", -2.5},
        {"fake:?shift=+12.", "shift", 12},
        {"fake:?shift=0.000000000000000000001", "shift", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kivi_config *config = configured(rows[i].url, NULL);
        cr_expect_eq(kvi_config_float(config, rows[i].name), rows[i].wanted, "%s", rows[i].url);
        kvi_config_free(config);
    }
}

Test(config, bad_values_are_told_what_fits)
{
    expect_refused("fake:?sync=maybe", "\"maybe\" does not fit: it takes true or false");
    expect_refused("fake:?sync=", "true or false");
    expect_refused("fake:?depth=", "a whole number");
    expect_refused("fake:?depth=1.5", "a whole number");
    expect_refused("fake:?depth=0x7", "a whole number");
    expect_refused("fake:?depth= 1", "a whole number");
    expect_refused("fake:?depth=11", "-5 to 10");
    expect_refused("fake:?depth=-6", "-5 to 10");
    expect_refused("fake:?number=9223372036854775808", "a whole number");
    expect_refused("fake:?map_size=-1", "KiB");
    expect_refused("fake:?map_size=1KB", "KiB");
    expect_refused("fake:?map_size=9007199254740992KiB", "8 EiB");
    expect_refused("fake:?page=1", "512 bytes to 65536 bytes");
    expect_refused("fake:?pause=soon", "ms, s, m or h");
    expect_refused("fake:?pause=-1", "ms, s, m or h");
    expect_refused("fake:?pause=1d", "ms, s, m or h");
    expect_refused("fake:?pause=.", "ms, s, m or h");
    expect_refused("fake:?pause=99999999999999999999h", "ms, s, m or h");
    expect_refused("fake:?timeout=9000h", "0ms to 31536000000ms");
    expect_refused("fake:?lanes=65", "1 to 64");
    expect_refused("fake:?mode=slow", "one of: fast safe fastest");
    expect_refused("fake:?mode=fas", "one of: fast safe fastest");
    expect_refused("fake:?mode=fast%20safe", "one of: fast safe fastest");
    expect_refused("fake:?mode=", "one of: fast safe fastest");
    expect_refused("fake:?rate=1.01", "0 to 1");
    expect_refused("fake:?rate=nan", "a number");
    expect_refused("fake:?rate=1e-3", "a number");
    expect_refused("fake:?codec", "codec=");
    expect_refused("fake:?password", "password=");
}

Test(config, negative_milliseconds_are_refused)
{
    kivi_error *error = NULL;
    kivi_config *config;
    kivi_options *options = kivi_options_new();
    kivi_options_set_int(options, "pause", -1, NULL);
    expect_failure(configure("fake:", options, &config, &error), &error, KIVI_INVALID, "milliseconds");
    kivi_options_free(options);
}

Test(config, unknown_names_are_told_the_nearest)
{
    expect_refused("fake:?timout=1", "did you mean \"timeout\"?");
    expect_refused("fake:?tiemout=1", "did you mean \"timeout\"?");
    expect_refused("fake:?namespaces=a", "did you mean \"namespace\"?");
    expect_refused("fake:?mapsize=1", "did you mean \"map_size\"?");
    expect_refused("fake:?Depth=1", "did you mean \"depth\"?");
    expect_refused("fake:?io_timout=1", "did you mean \"io_timeout\"?");
    expect_refused("fake:?quite_another=1", "`kivi options fake` lists");
    expect_refused("fake:?xyzzy=1", "`kivi options fake` lists");
}

Test(config, very_long_names_are_cut_in_messages)
{
    char name[5000], url[6000];
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    snprintf(url, sizeof(url), "fake:?%s=1", name);
    kivi_error *error = NULL;
    kivi_config *config;
    cr_assert_eq(configure(url, NULL, &config, &error), KIVI_INVALID);
    cr_expect(strlen(kivi_error_message(error)) < 300);
    kivi_error_free(error);
    snprintf(url, sizeof(url), "fake:?depth=%s", name);
    cr_assert_eq(configure(url, NULL, &config, &error), KIVI_INVALID);
    cr_expect(strlen(kivi_error_message(error)) < 300);
    kivi_error_free(error);
}

Test(config, messages_hide_secrets)
{
    kivi_error *error = NULL;
    kivi_config *config;
    cr_assert_eq(configure("fake:?pin=hunter2", NULL, &config, &error), KIVI_INVALID);
    cr_expect_null(strstr(kivi_error_message(error), "hunter2"), "%s", kivi_error_message(error));
    cr_expect_not_null(strstr(kivi_error_message(error), "pin"));
    kivi_error_free(error);
    cr_assert_eq(configure("fake:?pin=777777", NULL, &config, &error), KIVI_INVALID);
    cr_expect_null(strstr(kivi_error_message(error), "777777"), "%s", kivi_error_message(error));
    kivi_error_free(error);
}

Test(config, parts_that_the_backend_has_no_option_for)
{
    expect_refused("fake://somewhere/path",
                   "takes no host: write fake:PATH, or fake:///ABSOLUTE/PATH");
    expect_refused("fake://:99/path", "takes no port");
}

Test(config, the_url_says_a_thing_once)
{
    expect_refused("fake:a?path=b", "\"path\" twice");
    expect_refused("fake:?depth=1&depth=2", "\"depth\" twice");
}

static const kivi_option_info needy_options[] = {
    FAKE_OPTION("path", STRING, .flags = KIVI_OPTION_REQUIRED),
    FAKE_OPTION("table", STRING, .flags = KIVI_OPTION_REQUIRED),
};
static const kivi_backend needy = {FAKE_BACKEND, .name = "needy", .schemes = "needy",
                                   .options = needy_options, .option_count = 2};

static kivi_status configure_needy(const char *text, kivi_error **error)
{
    kvi_url url;
    kivi_config *config;
    cr_assert_eq(kvi_url_parse(text, &url, error), KIVI_OK);
    kivi_status status = kvi_config_new(&needy, &url, NULL, &config, error);
    kvi_url_clear(&url);
    kvi_config_free(config);
    return status;
}

Test(config, required_options)
{
    kivi_error *error = NULL;
    expect_failure(configure_needy("needy:?table=t", &error), &error, KIVI_INVALID,
                   "needs a path: write needy:PATH");
    expect_failure(configure_needy("needy:p", &error), &error, KIVI_INVALID, "needs the option \"table\"");
    expect_failure(configure_needy("needy:p?table=", &error), &error, KIVI_INVALID,
                   "needs the option \"table\"");
    cr_expect_eq(configure_needy("needy:p?table=t", &error), KIVI_OK);
}

Test(config, plugins_ask_through_the_host_table)
{
    kivi_config *config = configured("fake:there?rate=0.5&sync=false", NULL);
    cr_expect_str_eq(kvi_host_table.option_text(config, "path"), "there");
    cr_expect_eq(kvi_host_table.option_int(config, "sync"), 0);
    cr_expect_eq(kvi_host_table.option_float(config, "rate"), 0.5);
    cr_expect_eq(kvi_host_table.abi, KIVI_BACKEND_ABI);
    cr_expect_eq(kvi_host_table.struct_size, sizeof(kivi_host));
    cr_expect_eq(kvi_host_table.hash64(kivi_str("abc")), UINT64_C(0x44BC2CF5AD770999));
    cr_expect(kvi_host_table.clock_ms() > INT64_C(1600000000000));
    kivi_error *error = kvi_host_table.error(KIVI_IO, 5, KIVI_RETRY_NO, "disk %d", 1);
    cr_expect_str_eq(kivi_error_message(error), "disk 1");
    kivi_error *copy = kvi_host_table.error_copy(error);
    kvi_host_table.error_free(error);
    cr_expect_str_eq(kivi_error_message(copy), "disk 1");
    cr_expect_eq(kivi_error_native_code(copy), 5);
    cr_expect_eq(kvi_host_table.error_retryable(copy), KIVI_RETRY_NO);
    kvi_host_table.error_free(copy);
    cr_expect_null(kvi_host_table.error_copy(NULL));
    cr_expect_eq(kvi_host_table.error_retryable(NULL), KIVI_RETRY_NO);
    kvi_host_table.error_free(NULL);
    cr_expect(kvi_host_table.option_is_set(config, "rate"));
    cr_expect(kvi_host_table.option_is_set(config, "path"));
    cr_expect_not(kvi_host_table.option_is_set(config, "codec"), "a default was not named");
    cr_expect_not(kvi_host_table.option_is_set(config, "nonsense"));
    kvi_config_free(config);
}

Test(config, an_expiry_is_the_last_ms_of_life)
{
    cr_expect_eq(kvi_host_table.expires(KIVI_TTL_NONE), 0);
    int64_t before = kvi_host_table.clock_ms(), end = kvi_host_table.expires(5000);
    cr_expect_geq(end, before + 5000);
    cr_expect_leq(end, kvi_host_table.clock_ms() + 5000);
}
