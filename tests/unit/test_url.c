/* URLs: taken apart, refused, and shown without their secrets. */
#include "core/options/options.h"
#include "failure.h"
#include "fixtures/fake.h"

#include "core/base/base.h"

#include <stdlib.h>

static void expect_part(const char *url, const char *name, const char *part, const char *wanted)
{
    if (!wanted)
        cr_expect_null(part, "%s: %s is \"%s\"", url, name, part);
    else if (part)
        cr_expect_str_eq(part, wanted, "%s: %s is \"%s\", not \"%s\"", url, name, part, wanted);
    else
        cr_expect(part != NULL, "%s: no %s", url, name);
}

typedef struct row {
    const char *url, *scheme, *user, *password, *host, *port, *path;
} row;

static const row rows[] = {
    {"memory:", "memory", NULL, NULL, NULL, NULL, NULL},
    {"memory:name", "memory", NULL, NULL, NULL, NULL, "name"},
    {"lmdb:data.mdb", "lmdb", NULL, NULL, NULL, NULL, "data.mdb"},
    {"LMDB:Data", "lmdb", NULL, NULL, NULL, NULL, "Data"},
    {"lmdb:/abs/path/", "lmdb", NULL, NULL, NULL, NULL, "/abs/path/"},
    {"lmdb:///abs/path", "lmdb", NULL, NULL, NULL, NULL, "/abs/path"},
    {"lmdb:my%20data%23%3F%25", "lmdb", NULL, NULL, NULL, NULL, "my data#?%"},
    {"lmdb:with space", "lmdb", NULL, NULL, NULL, NULL, "with space"},
    {"lmdb:gr\xc3\xb6%C3%B6", "lmdb", NULL, NULL, NULL, NULL, "gr\xc3\xb6\xc3\xb6"},
    {"lmdb:a@b:c", "lmdb", NULL, NULL, NULL, NULL, "a@b:c"},
    {"lmdb:?sync=false", "lmdb", NULL, NULL, NULL, NULL, NULL},
    {"redis://h", "redis", NULL, NULL, "h", NULL, NULL},
    {"redis://h/", "redis", NULL, NULL, "h", NULL, "/"},
    {"redis://user:pw@host:6379/0?x=y", "redis", "user", "pw", "host", "6379", "/0"},
    {"redis://u%3A%40:p%40%2f%3A@h", "redis", "u:@", "p@/:", "h", NULL, NULL},
    {"redis://:pw@h", "redis", NULL, "pw", "h", NULL, NULL},
    {"redis://u:@h", "redis", "u", "", "h", NULL, NULL},
    {"redis://u@h", "redis", "u", NULL, "h", NULL, NULL},
    {"redis://u:p@q@h", "redis", "u", "p@q", "h", NULL, NULL},
    {"redis://u:a:b@h", "redis", "u", "a:b", "h", NULL, NULL},
    {"redis://:6379", "redis", NULL, NULL, NULL, "6379", NULL},
    {"redis+unix:///run/redis.sock?db=1", "redis+unix", NULL, NULL, NULL, NULL, "/run/redis.sock"},
    {"redis+unix://u:p@/run/r.sock", "redis+unix", "u", "p", NULL, NULL, "/run/r.sock"},
    {"postgresql://h/db?user=a@b", "postgresql", NULL, NULL, "h", NULL, "/db"},
    {"redis+unix:///run/@abstract", "redis+unix", NULL, NULL, NULL, NULL, "/run/@abstract"},
    {"redis://[::1]:6379/1", "redis", NULL, NULL, "::1", "6379", "/1"},
    {"redis://[fe80::1%25eth0]", "redis", NULL, NULL, "fe80::1%eth0", NULL, NULL},
    {"memcached://a:1,b:2,[::1]:3/x", "memcached", NULL, NULL, "a:1,b:2,[::1]:3", NULL, "/x"},
    {"mongodb+srv://c.example.org/db", "mongodb+srv", NULL, NULL, "c.example.org", NULL, "/db"},
    {"x://h:65535", "x", NULL, NULL, "h", "65535", NULL},
};

Test(url, parts)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const row *wanted = &rows[i];
        kvi_url url;
        kivi_error *error = NULL;
        cr_assert_eq(kvi_url_parse(wanted->url, &url, &error), KIVI_OK, "%s: %s", wanted->url,
                     kivi_error_message(error));
        expect_part(wanted->url, "scheme", url.scheme, wanted->scheme);
        expect_part(wanted->url, "user", url.user, wanted->user);
        expect_part(wanted->url, "password", url.password, wanted->password);
        expect_part(wanted->url, "host", url.host, wanted->host);
        expect_part(wanted->url, "port", url.port, wanted->port);
        expect_part(wanted->url, "path", url.path, wanted->path);
        cr_expect_not_null(url.query);
        kvi_url_clear(&url);
        cr_expect_null(url.scheme);
        cr_expect_null(url.query);
    }
}

Test(url, query)
{
    kvi_url url;
    cr_assert_eq(kvi_url_parse("x:?a=1&b=two%26%3D&&portable&e=&f=a=b+c/d?&%67=h", &url, NULL), KIVI_OK);
    cr_expect_str_eq(kivi_options_get(url.query, "a"), "1");
    cr_expect_str_eq(kivi_options_get(url.query, "b"), "two&=");
    cr_expect_str_eq(kivi_options_get(url.query, "portable"), "true");
    cr_expect_eq(kvi_options_given(url.query, "portable"), KVI_GIVEN_BARE);
    cr_expect_str_eq(kivi_options_get(url.query, "e"), "");
    cr_expect_str_eq(kivi_options_get(url.query, "f"), "a=b+c/d?");
    cr_expect_str_eq(kivi_options_get(url.query, "g"), "h");
    cr_expect_null(kivi_options_name(url.query, 6));
    kvi_url_clear(&url);
}

static const struct {
    const char *url, *part;
} refused[] = {
    {"", "begins with a scheme"},
    {"lmdb", "begins with a scheme"},
    {"/tmp/data.mdb", "begins with a scheme"},
    {"./lmdb:x", "begins with a scheme"},
    {":x", "begins with a scheme"},
    {"1x:y", "begins with a scheme"},
    {"a_b:y", "begins with a scheme"},
    {"lmdb:a\nb", "control byte"},
    {"lmdb:a\x7f", "control byte"},
    {"lmdb:a#b", "%23"},
    {"lmdb:a%", "two hex digits"},
    {"lmdb:a%4", "two hex digits"},
    {"lmdb:a%4g", "two hex digits"},
    {"lmdb:a%00b", "path holds a control byte"},
    {"lmdb:a%0Ab", "control byte"},
    {"x://h:0", "1 to 65535"},
    {"x://h:65536", "1 to 65535"},
    {"x://h:99999999999999999999999", "1 to 65535"},
    {"x://h:", "1 to 65535"},
    {"x://h:-1", "1 to 65535"},
    {"x://[::1", "within [ and ]"},
    {"x://[]", "within [ and ]"},
    {"x://[::1]6379", "only a port can follow"},
    {"x://[::1]:port", "1 to 65535"},
    {"x://::1:6379", "within [ and ]"},
    {"x://a[b]", "stray bracket"},
    {"x:?=1", "without a name"},
    {"x:?%=1", "two hex digits"},
    {"x:?a=%zz", "query holds a '%'"},
    {"x:?a=1&a=2", "\"a\" twice"},
    {"x:?a=1&%61", "\"a\" twice"},
};

Test(url, malformed_is_refused)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        kvi_url url;
        kivi_error *error = NULL;
        kivi_status status = kvi_url_parse(refused[i].url, &url, &error);
        cr_assert_null(url.scheme, "%s", refused[i].url);
        cr_assert_null(url.query, "%s", refused[i].url);
        expect_failure(status, &error, KIVI_INVALID, refused[i].part);
    }
}

/* However a password breaks the URL around it, no message repeats it. */
Test(url, messages_never_show_a_password)
{
    static const char *const urls[] = {
        "redis://u:hunter2/x@h:6379/0",
        "redis://u:hunter2?x@h",
        "redis://u:12/hunter2@h",
        "redis://u:12?hunter2@h",
        "redis://u:hunter2#@h",
        "redis://u:hunter2%@h",
        "redis://u:hunter2%0a@h",
        "redis://u:hunter2\n@h",
        "redis://u:[hunter2]",
        "redis://u:hunter2",
        "redis://hunter2:x:y",
        "redis://u:pw@h:hunter2",
        "redis://[hunter2",
        "redis://u:1?hunter2@h&x=y",
        "redis://u:hunter2@h?a=1&a=1",
        "redis://u:hunter2@h?%",
        "redis://u:hunter2@[h",
        "://u:hunter2@h",
        "redis://u:p@x/hunter2@h",
        "redis://u:,x/hunter2@h",
        "redis://u:@x?a=hunter2@h",
    };
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        kvi_url url;
        kivi_error *error = NULL;
        char shown[256] = "before";
        cr_assert_eq(kvi_url_parse(urls[i], &url, &error), KIVI_INVALID, "%s", urls[i]);
        cr_expect_null(strstr(kivi_error_message(error), "hunter2"), "%s: %s", urls[i],
                       kivi_error_message(error));
        kivi_error_free(error);
        cr_expect_eq(kivi_url_redact(urls[i], shown, sizeof(shown), NULL), KIVI_INVALID);
        cr_expect_str_eq(shown, "", "%s is shown as %s", urls[i], shown);
    }
}

/* ---- Redacting ---- */

static const kivi_option_info options[] = {
    FAKE_OPTION("host", STRING, .default_text = NULL),
    FAKE_OPTION("plain", STRING, .default_text = NULL),
    FAKE_OPTION("hidden", STRING, .flags = KIVI_OPTION_SECRET),
};
static const kivi_backend fake = {FAKE_BACKEND, .name = "fake", .schemes = "fake",
                                  .options = options, .option_count = 3};

static const kivi_backend *fake_plugin(uint32_t abi, const kivi_host *host)
{
    return abi == KIVI_BACKEND_ABI && host ? &fake : NULL;
}

static void expect_shown(const char *url, const char *wanted)
{
    char shown[256];
    kivi_error *error = NULL;
    cr_assert_eq(kivi_url_redact(url, shown, sizeof(shown), &error), KIVI_OK, "%s: %s", url,
                 kivi_error_message(error));
    cr_expect_str_eq(shown, wanted, "%s is shown as %s", url, shown);
}

Test(redact, of_a_known_scheme)
{
    cr_assert_eq(kivi_backend_register(fake_plugin, NULL), KIVI_OK);
    expect_shown("fake:", "fake:");
    expect_shown("fake:some%20path", "fake:some%20path");
    expect_shown("fake://u:pw@h:1/p", "fake://u:***@h:1/p");
    expect_shown("fake://u:@h", "fake://u:***@h");
    expect_shown("fake://:p@w@h", "fake://:***@h");
    expect_shown("fake://u@h", "fake://u@h");
    expect_shown("fake://h?plain=1&hidden=2&timeout=3", "fake://h?plain=1&hidden=***&timeout=3");
    expect_shown("fake://h?%68idden=2", "fake://h?%68idden=***");
    expect_shown("fake://h?portable&hidden", "fake://h?portable&hidden");
    expect_shown("fake://h?passwd=2&api_key=3&AuthToken=4",
                 "fake://h?passwd=***&api_key=***&AuthToken=***");
    expect_shown("fake://h?unknown=2", "fake://h?unknown=2");
}

/* Nobody can say which of its options are secrets. */
Test(redact, of_an_unknown_scheme)
{
    expect_shown("nobody://u:pw@h?a=1&timeout=3s", "nobody://u:***@h?a=***&timeout=3s");
}

Test(redact, needs_room)
{
    char shown[16] = "before";
    kivi_error *error = NULL;
    cr_assert_eq(kivi_url_redact("memory:1234567", shown, 15, NULL), KIVI_OK);
    cr_expect_str_eq(shown, "memory:1234567");
    expect_failure(kivi_url_redact("memory:1234567", shown, 14, &error), &error, KIVI_TOO_LARGE,
                   "15 bytes");
    cr_expect_str_eq(shown, "");
    cr_expect_eq(kivi_url_redact("memory:", NULL, 0, NULL), KIVI_TOO_LARGE);
}
