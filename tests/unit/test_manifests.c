/* Manifests of plugins: those that are bad, odd, or no files at all, and what they say. */
#include "loader_fixture.h"

TestSuite(manifests, .init = set_up, .fini = tear_down);

Test(manifests, bad_manifests_are_skipped_and_say_why)
{
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"", "it does not say \"name\""},
        {"name: bad\nfile: x.so\n", "it does not say \"schemes\""},
        {"name: bad\nschemes: bad\n", "it does not say \"file\""},
        {"name: bad\nschemes: bad\nfile:\n", "it does not say \"file\""},
        {"name: bad\nschemes bad\n", "line 2 is no \"key: value\""},
        {"# comment\n\nname: bad\n: x\n", "line 4 is no \"key: value\""},
        {"name: bad\x01\n", "line 1 is no"},
        {"name: bad\xff\n", "line 1 is no"},
        {"name: bad\nname: worse\n", "line 2 gives \"name\" a second time"},
        {"name: bad\nschemes: Bad\nfile: x.so\n", "its schemes are not words"},
        {"name: bad\nschemes: 1a\nfile: x.so\n", "its schemes are not words"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put_file("bad.plugin", rows[i].text);
        expect_not_found("bad", KIVI_UNSUPPORTED, rows[i].part);
        kivi_scheme_info info = described("bad");
        cr_expect_not(info.available);
        cr_expect_not_null(strstr(info.reason, rows[i].part), "%s", info.reason);
        expect_not_found("nobody", KIVI_INVALID, "unknown scheme");
    }
    put_manifest("fixture", "fixture", "right", NULL);
    cr_expect_str_eq(found("fixture")->name, "fixture", "a bad one beside it is in the way");
}

Test(manifests, long_lines_are_refused)
{
    char text[6000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "name: ", 6);
    text[sizeof(text) - 1] = '\0';
    put_file("bad.plugin", text);
    expect_not_found("bad", KIVI_UNSUPPORTED, "line 1 is too long");
}

Test(manifests, manifests_may_be_written_freely)
{
    char text[2 * PATH_MAX];
    snprintf(text, sizeof(text),
             "# a comment\r\n\r\n  name :ignored: \r\nnext-year: yes\r\nname:  fixture \r\n"
             "schemes:   fixture   fixtures \r\nfile: %s/right.so",
             fixtures);
    put_file("free.plugin", text);
    cr_expect_str_eq(found("fixtures")->name, "fixture");
}

Test(manifests, other_files_are_no_manifests)
{
    put_file(".plugin", "name: hidden\nschemes: hidden\nfile: x\n");
    put_file(".hidden.plugin", "name: hidden\nschemes: hidden\nfile: x\n");
    put_file("hidden.plugin~", "name: hidden\nschemes: hidden\nfile: x\n");
    put_file("plugin", "name: hidden\nschemes: hidden\nfile: x\n");
    expect_not_found("hidden", KIVI_INVALID, "unknown scheme");
}

Test(manifests, manifests_that_cannot_be_read_say_so)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s/bad.plugin", directory);
    cr_assert_eq(mkdir(path, 0700), 0);
    expect_not_found("bad", KIVI_UNSUPPORTED, "cannot be read");
}

Test(manifests, the_first_directory_wins)
{
    char second[PATH_MAX + 16], path[2 * PATH_MAX + 32];
    snprintf(second, sizeof(second), "%s/second", directory);
    cr_assert_eq(mkdir(second, 0700), 0);
    snprintf(path, sizeof(path), "/nowhere::%s:%s", second, directory);
    setenv("KIVI_PLUGIN_PATH", path, 1);
    put_manifest("fixture", "fixture", "other-abi", NULL);
    expect_not_found("fixture", KIVI_UNSUPPORTED, "plugin ABI 7");
    put_manifest("second/fixture", "fixture", "right", NULL);
    cr_expect_str_eq(found("fixture")->name, "fixture");
}

Test(manifests, a_bad_manifest_does_not_hide_a_good_one)
{
    char second[PATH_MAX + 16], path[2 * PATH_MAX + 32];
    snprintf(second, sizeof(second), "%s/second", directory);
    cr_assert_eq(mkdir(second, 0700), 0);
    snprintf(path, sizeof(path), "%s:%s", directory, second);
    setenv("KIVI_PLUGIN_PATH", path, 1);
    put_file("fixture.plugin", "not a manifest");
    put_manifest("second/fixture", "fixture", "right", NULL);
    cr_expect_str_eq(found("fixture")->name, "fixture");
    cr_expect(described("fixture").available);
}

/* ---- What lies where a manifest or a plugin should: nothing waits for it ---- */

static void put_strange_manifests(void)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s/aa.plugin", directory);
    cr_assert_eq(mkfifo(path, 0600), 0);
    snprintf(path, sizeof(path), "%s/ab.plugin", directory);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/ac.plugin", directory);
    cr_assert_eq(symlink("/dev/zero", path), 0);
    put_file("ad.plugin", "");
    snprintf(path, sizeof(path), "%s/ad.plugin", directory);
    cr_assert_eq(truncate(path, 1 << 30), 0);
    snprintf(path, sizeof(path), "%s/ae.plugin", directory);
    cr_assert_eq(symlink("/nowhere/ae.plugin", path), 0);
}

Test(manifests, manifests_that_are_no_files, .timeout = 20)
{
    put_strange_manifests();
    put_manifest("zz", "fixture", "right", NULL);
    cr_expect_not_null(found("fixture"));
    expect_not_found("aa", KIVI_UNSUPPORTED,
                     "aa.plugin cannot be used: it cannot be read: not a regular file");
    expect_not_found("ab", KIVI_UNSUPPORTED, "not a regular file");
    expect_not_found("ac", KIVI_UNSUPPORTED, "not a regular file");
    expect_not_found("ad", KIVI_UNSUPPORTED, "larger than 65536 bytes");
    expect_not_found("ae", KIVI_UNSUPPORTED, "ae.plugin cannot be used: it cannot be read: no such file");
}

Test(manifests, plugins_that_are_no_files, .timeout = 20)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s/pipe.so", directory);
    cr_assert_eq(mkfifo(path, 0600), 0);
    put_file("pipe.plugin", "name: pipe\nschemes: pipe\nfile: pipe.so\n");
    expect_not_found("pipe", KIVI_UNSUPPORTED, "pipe.so cannot be read (not a regular file)");
    put_file("zero.plugin", "name: zero\nschemes: zero\nfile: /dev/zero\n");
    expect_not_found("zero", KIVI_UNSUPPORTED, "/dev/zero cannot be read (not a regular file)");
}
