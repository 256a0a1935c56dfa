/* The options that networked stores share: places, logins, and that no secret reaches a message. */
#include "failure.h"

#include "../../libkivi/backends/common/endpoint/endpoint.h"
#include "../../libkivi/core/options/options.h"
#include "../../libkivi/core/plugins/plugins.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TestSuite(endpoint, .timeout = 20);

static kivi_error *error;

static const kivi_option_info options[] = {
    KVI_ENDPOINT_PLACES("7000"),
    KVI_OPTION_TEXT("path", NULL, "a socket"),
    KVI_ENDPOINT_LOGIN,
    KVI_ENDPOINT_TLS("sure: "),
};
static const kivi_backend fake = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "far",
    .schemes = "far",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
};
static const kvi_endpoint_rules several = {.tls_form = "sure: URLs"};

static kivi_status read_url(const char *text, const kvi_endpoint_rules *rules, kvi_endpoint *endpoint)
{
    kvi_url url;
    kivi_config *config;

    cr_assert_eq(kvi_url_parse(text, &url, &error), KIVI_OK, "%s", text);
    cr_assert_eq(kvi_config_new(&fake, &url, NULL, &config, &error), KIVI_OK, "%s: %s", text,
                 kivi_error_message(error));
    kivi_status status = kvi_endpoint_read(endpoint, &kvi_host_table, config, rules, &error);
    kvi_config_free(config);
    kvi_url_clear(&url);
    return status;
}

static void expect_refused(const char *text, const kvi_endpoint_rules *rules, kivi_status wanted,
                           const char *part)
{
    kvi_endpoint endpoint;

    expect_failure(read_url(text, rules, &endpoint), &error, wanted, part);
    kvi_endpoint_clear(&endpoint);
}

/* ---- Where ---- */

/* Places as "HOST PORT, HOST PORT". */
static void expect_places_by(const char *text, const kvi_endpoint_rules *rules, const char *wanted)
{
    kvi_endpoint endpoint;
    char places[256] = "";

    cr_assert_eq(read_url(text, rules, &endpoint), KIVI_OK, "%s: %s", text, kivi_error_message(error));
    for (size_t i = 0; i < endpoint.count; i++) {
        const kvi_place *place = &endpoint.targets[i].place;
        size_t at = strlen(places);
        snprintf(places + at, sizeof(places) - at, "%s%s %s", i ? ", " : "", place->host, place->port);
        cr_expect_eq(place->attempt_ms, 1000);
        cr_expect_eq(place->core, &kvi_host_table);
    }
    cr_expect_str_eq(places, wanted, "%s", text);
    kvi_endpoint_clear(&endpoint);
}

static void expect_places(const char *text, const char *wanted)
{
    expect_places_by(text, &several, wanted);
}

Test(endpoint, servers)
{
    expect_places("far:", "127.0.0.1 7000");
    expect_places("far://box", "box 7000");
    expect_places("far://box:1", "box 1");
    expect_places("far://[::1]:2", "::1 2");
    expect_places("far://a:1,b:65535", "a 1, b 65535");
    expect_places("far://a,b:2,[::1],[::2]:3?port=9", "a 9, b 2, ::1 9, ::2 3");
}

/* The backend knows them: the URL's are not looked at, and one alone has its port behind it. */
Test(endpoint, servers_from_elsewhere)
{
    static const char *const lists[] = {"box:1", "a:1,[::1]:2"}, *const wanted[] = {"box 1",
                                                                                    "a 1, ::1 2"};
    kvi_endpoint_rules rules = {.tls_form = "sure: URLs"};

    for (size_t i = 0; i < 2; i++) {
        rules.list = lists[i];
        expect_places_by("far:", &rules, wanted[i]);
    }
    rules.list = "box:0";
    expect_refused("far:", &rules, KIVI_INVALID, "HOST:PORT,HOST:PORT");
}

Test(endpoint, servers_that_are_misspelt)
{
    static const char *const lists[] = {"a,",     ",a",        "a,,b",   "a:,b",
                                        "a:0,b",  "a:65536,b", "a:x1,b", "a:1:2,b",
                                        "[::1,b", "[::1]x,b",  "[],b",   "a,b:123456"};

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        char url[64];
        snprintf(url, sizeof(url), "far:?host=%s", lists[i]);
        expect_refused(url, &several, KIVI_INVALID, "HOST:PORT,HOST:PORT");
    }
}

Test(endpoint, several_servers_where_one_is_taken)
{
    expect_refused("far://a,b", &(kvi_endpoint_rules){.single = "only one"}, KIVI_UNSUPPORTED, "only one");
    expect_refused("far:?host=", &several, KIVI_INVALID, "no host");
}

Test(endpoint, socket)
{
    const kvi_endpoint_rules rules = {.socket_form = "far+unix:///PATH"};
    kvi_endpoint endpoint;

    cr_assert_eq(read_url("far:///run/far.sock", &rules, &endpoint), KIVI_OK);
    cr_assert_eq(endpoint.count, 1);
    cr_assert_str_eq(endpoint.targets[0].place.path, "/run/far.sock");
    cr_assert_null(endpoint.targets[0].place.host);
    kvi_endpoint_clear(&endpoint);
    expect_refused("far:", &rules, KIVI_INVALID, "far+unix:///PATH");
}

Test(endpoint, times)
{
    kvi_endpoint endpoint;

    cr_assert_eq(read_url("far:", &several, &endpoint), KIVI_OK);
    cr_assert_eq(endpoint.server_timeout_ns, 500000000u);
    kvi_endpoint_clear(&endpoint);
    cr_assert_eq(read_url("far://a,b?server_timeout=2s&address_timeout=0", &several, &endpoint), KIVI_OK);
    cr_assert_eq(endpoint.server_timeout_ns, 2000000000u);
    cr_assert_eq(endpoint.targets[1].place.attempt_ms, 0);
    kvi_endpoint_clear(&endpoint);
}

/* ---- Who ---- */

static void expect_password(const char *text, const char *wanted)
{
    kvi_endpoint endpoint;
    char *password;

    cr_assert_eq(read_url(text, &several, &endpoint), KIVI_OK, "%s", text);
    cr_assert_eq(kvi_endpoint_password(&endpoint, &password, &error), KIVI_OK, "%s", text);
    if (wanted)
        cr_expect_str_eq(password, wanted);
    else
        cr_expect_null(password);
    kvi_wipe(password);
    kvi_endpoint_clear(&endpoint);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

/* Also one that changes while the store is open. */
Test(endpoint, passwords_from_everywhere)
{
    char path[] = "/tmp/kivi-unit-endpoint-XXXXXX", url[128];

    close(mkstemp(path));
    setenv("KIVI_UNIT_SECRET", "in the air", 1);
    expect_password("far:", NULL);
    expect_password("far://me:plain@box", "plain");
    expect_password("far:?password_env=KIVI_UNIT_SECRET", "in the air");
    snprintf(url, sizeof(url), "far:?password_file=%s", path);
    write_file(path, "first line\r\nsecond");
    expect_password(url, "first line");
    kvi_endpoint endpoint;
    char *password;
    cr_assert_eq(read_url(url, &several, &endpoint), KIVI_OK);
    write_file(path, "another");
    cr_assert_eq(kvi_endpoint_password(&endpoint, &password, &error), KIVI_OK);
    cr_assert_str_eq(password, "another");
    kvi_wipe(password);
    write_file(path, "\nnot on the first line");
    expect_failure(kvi_endpoint_password(&endpoint, &password, &error), &error, KIVI_DENIED, path);
    unlink(path);
    expect_failure(kvi_endpoint_password(&endpoint, &password, &error), &error, KIVI_DENIED, path);
    kvi_endpoint_clear(&endpoint);
}

static char long_line[5000];

/* What does not fit is refused: half a password would be sent to the server, and its refusal believed. */
Test(endpoint, a_password_is_never_cut)
{
    char path[] = "/tmp/kivi-unit-endpoint-XXXXXX", url[128], *password;
    int fd = mkstemp(path);
    kvi_endpoint endpoint;

    snprintf(url, sizeof(url), "far:?password_file=%s", path);
    memset(long_line, 'x', sizeof(long_line) - 1);
    for (size_t size = 4095; size <= 4097; size++) {
        cr_assert_eq(ftruncate(fd, 0), 0);
        cr_assert_eq(pwrite(fd, long_line, size, 0), (ssize_t)size);
        cr_assert_eq(read_url(url, &several, &endpoint), KIVI_OK);
        if (size == 4095) {
            cr_assert_eq(kvi_endpoint_password(&endpoint, &password, &error), KIVI_OK);
            cr_assert_eq(strlen(password), 4095);
            kvi_wipe(password);
        } else {
            expect_failure(kvi_endpoint_password(&endpoint, &password, &error), &error, KIVI_DENIED,
                           "4095 bytes");
        }
        kvi_endpoint_clear(&endpoint);
    }
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_assert_eq(pwrite(fd, "half\0whole\n", 11, 0), 11);
    cr_assert_eq(read_url(url, &several, &endpoint), KIVI_OK);
    expect_failure(kvi_endpoint_password(&endpoint, &password, &error), &error, KIVI_DENIED, "NUL");
    kvi_endpoint_clear(&endpoint);
    close(fd);
    unlink(path);
}

Test(endpoint, logins_that_cannot_be)
{
    const kvi_endpoint_rules strict = {.user_has_password = true};

    expect_refused("far://me@box", &strict, KIVI_INVALID, "a user without a password");
    expect_refused("far://me:x@box?password_env=E", &several, KIVI_INVALID, "give one of");
    expect_password("far://me@box", NULL);
}

/* No refusal of a reader tells what it was given. */
Test(endpoint, no_secret_in_a_message)
{
    static const char *const urls[] = {"far://me:hidden@a,,b", "far://me:hidden@box?password_file=f",
                                       "far://me:hidden@box?tls_verify=false",
                                       "far://:hidden@box?tls_ca_file=nowhere"};

    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        kvi_endpoint endpoint;
        cr_assert_eq(read_url(urls[i], &several, &endpoint), KIVI_INVALID, "%s", urls[i]);
        cr_expect_null(strstr(kivi_error_message(error), "hidden"), "%s", kivi_error_message(error));
        kivi_error_free(error);
        error = NULL;
        kvi_endpoint_clear(&endpoint);
    }
}

/* ---- TLS ---- */

/* Each server is expected under its own name; the same files are read for all, and refused by name. */
Test(endpoint, tls)
{
    const kvi_endpoint_rules sure = {.tls_form = "sure: URLs", .is_tls = true};
    kvi_endpoint endpoint;

    expect_refused("far://a?tls_ca_file=x", &several, KIVI_INVALID, "tls_ options are for sure: URLs");
    expect_refused("far://a,b?tls_ca_file=/no/such/file", &sure, KIVI_INVALID, "/no/such/file");
    cr_assert_eq(read_url("far://a,b?tls_verify=false", &sure, &endpoint), KIVI_OK);
    cr_assert_not_null(endpoint.targets[0].tls);
    cr_assert_not_null(endpoint.targets[1].tls);
    cr_assert_neq(endpoint.targets[0].tls, endpoint.targets[1].tls);
    kvi_endpoint_clear(&endpoint);
}
