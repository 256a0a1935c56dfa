/* Scans of Memcached by its dumps: what a server may answer to metadump, and what is made of its keys. */
#include "memcached_fixture.h"

TestSuite(memcached_scan, .timeout = 60);

#define ASKED(replies)                                     \
    {                                                      \
        LOGIN_WELL, sizeof(LOGIN_WELL) - 1, false, replies \
    }
#define KEY(name) "key=" name " exp=-1 la=1 cas=1 fetch=no cls=1 size=65\r\n"
#define ONE "HD t-1\r\n"

/* The keys of the whole scan in the order of their bytes, each behind a space; or how it failed. */
static kivi_status list(const script *scripts, size_t count, const char *options, char *keys, size_t room)
{
    kivi_range range = KIVI_RANGE_INIT;
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    kivi_store *store;
    fake server;
    char found[32][256];
    size_t known = 0;
    kivi_status status;

    fake_start(&server, scripts, count);
    store = fake_open(&server, options);
    range.flags = KIVI_SCAN_KEYS;
    cr_assert_eq(kivi_store_scan(store, &range, &scan, &error), KIVI_OK);
    while ((status = kivi_scan_next(scan, NULL, &pair, &error)) == KIVI_OK)
        snprintf(found[known++ % 32], sizeof(found[0]), " %.*s", (int)pair.key.size,
                 (const char *)pair.key.data);
    kivi_scan_free(scan);
    kivi_store_unref(store);
    fake_stop(&server);
    qsort(found, known, sizeof(found[0]), (int (*)(const void *, const void *))strcmp);
    keys[0] = '\0';
    for (size_t i = 0; i < known; i++)
        strncat(keys, found[i], room - strlen(keys) - 1);
    return status;
}

static void expect_keys(const char *const *answers, const char *options, const char *wanted)
{
    const script scripts[] = {ASKED(answers)};
    char keys[1024];

    cr_assert_eq(list(scripts, 1, options, keys, sizeof(keys)), KIVI_END, "%s",
                 error ? kivi_error_message(error) : "");
    cr_expect_str_eq(keys, wanted);
}

static void expect_refused(const char *const *answers, kivi_status wanted, const char *part)
{
    const script scripts[] = {ASKED(answers)};
    char keys[1024];

    expect_failure(list(scripts, 1, "&scan=metadump", keys, sizeof(keys)), &error, wanted, part);
}

/* Decoded, once each; the store's own key is left out, and so is what has a name that no command can have. */
Test(memcached_scan, keys)
{
    static const char *const answers[] = {KEY("plain") KEY("a%2Fb") KEY("%c3%a9")
                                              KEY("kivi%2525clock") KEY("plain") KEY("a%20b")
                                                  KEY("%00%7F") KEY("kivi%25clock2") "END\r\n",
                                          ONE ONE ONE ONE, NULL};
    static const char *const under[] = {
        KEY("shop:a") KEY("shop%3Ab") KEY("sho") KEY("shopping") "END\r\n", ONE ONE, NULL};

    expect_keys(answers, "&scan=metadump", " a/b kivi%clock2 plain \xc3\xa9");
    expect_keys(under, "&scan=metadump&namespace=shop", " a b");
}

/* Expired, or deleted, since the dump. */
Test(memcached_scan, keys_that_are_gone)
{
    static const char *const answers[] = {KEY("one") KEY("two") KEY("six") "END\r\n",
                                          "EN\r\n" ONE "EN\r\n", NULL};
    static const char *const none[] = {"END\r\n", NULL};
    const script scripts[] = {ASKED(answers)};
    char keys[64];

    cr_assert_eq(list(scripts, 1, "&scan=metadump", keys, sizeof(keys)), KIVI_END);
    cr_expect_eq(strlen(keys), strlen(" one"));
    expect_keys(none, "&scan=metadump", "");
}

/* The server's crawler is asked again with a pause, on another connection. */
Test(memcached_scan, busy_for_a_while)
{
    static const char *const busy[] = {"BUSY currently processing crawler request\r\n", NULL},
                             *const well[] = {KEY("one") "END\r\n", ONE, NULL};
    const script scripts[] = {ASKED(busy), ASKED(busy), ASKED(well)};
    char keys[64];

    cr_assert_eq(list(scripts, COUNT(scripts), "&scan=metadump", keys, sizeof(keys)), KIVI_END,
                 "%s", error ? kivi_error_message(error) : "");
    cr_expect_str_eq(keys, " one");
}

Test(memcached_scan, busy_all_the_time)
{
    static const char *const busy[] = {"BUSY currently processing crawler request\r\n", NULL};
    const script scripts[] = {ASKED(busy)};
    char keys[64];

    expect_failure(list(scripts, 1, "&scan=metadump&timeout=500ms", keys, sizeof(keys)), &error,
                   KIVI_BUSY, "crawler is at work");
}

/* Before 1.6.13 or so: by the LRU lists. */
Test(memcached_scan, servers_that_know_no_hash)
{
    static const char *const answers[] = {"BADCLASS invalid class id\r\n", KEY("one") "END\r\n",
                                          ONE, NULL};
    static const char *const never[] = {"BADCLASS invalid class id\r\n",
                                        "BADCLASS invalid class id\r\n", NULL};

    expect_keys(answers, "&scan=metadump", " one");
    expect_refused(never, KIVI_CORRUPT, "not one that this command can have");
}

Test(memcached_scan, servers_that_dump_nothing)
{
    static const char *const answers[][2] = {
        {"ERROR metadump not allowed\r\n"}, {"CLIENT_ERROR lru crawler disabled\r\n"}, {"ERROR\r\n"}};

    for (size_t i = 0; i < COUNT(answers); i++)
        expect_refused(answers[i], KIVI_UNSUPPORTED, "does not dump its keys (-X, or no_lru_crawler)");
}

Test(memcached_scan, answers_that_are_none)
{
    static const char *const answers[][3] = {
        {"key= exp=-1\r\nEND\r\n"},
        {"key=%4 exp=-1\r\nEND\r\n"},
        {"key=%4x exp=-1\r\nEND\r\n"},
        {"key=%\r\nEND\r\n"},
        {"HD\r\n"},
        {"VALUE a\r\n"},
        {KEY("one") "END\r\n", "VA 1\r\na\r\n"},
        {KEY("one") "END\r\n", "HD\r\n"},
        {KEY("one") "END\r\n", "NS\r\n"},
    };
    char longest[300] = "key=";

    for (size_t i = 0; i < COUNT(answers); i++)
        expect_refused(answers[i], KIVI_CORRUPT, "not one that this command can have");
    memset(longest + 4, 'x', 251);
    strcpy(longest + 255, " exp=-1\r\nEND\r\n");
    expect_refused((const char *const[]){longest, NULL}, KIVI_CORRUPT,
                   "not one that this command can have");
}

/* Without the option nothing of it is there. */
Test(memcached_scan, absent)
{
    const script scripts[] = {ASKED(NULL)};
    kivi_capabilities can = {.struct_size = sizeof(can)};
    kivi_page *page = NULL;
    kivi_store *store;
    fake server;

    fake_start(&server, scripts, 1);
    store = fake_open(&server, "");
    cr_assert_eq(kivi_store_capabilities(store, &can, &error), KIVI_OK);
    cr_expect_eq(can.scan, KIVI_ABSENT);
    expect_failure(kivi_store_page(store, NULL, NULL, &page, &error), &error, KIVI_UNSUPPORTED,
                   "cannot list its keys");
    kivi_store_unref(store);
    store = fake_open(&server, "&scan=metadump");
    cr_assert_eq(kivi_store_capabilities(store, &can, &error), KIVI_OK);
    cr_expect_eq(can.scan, KIVI_EMULATED);
    cr_expect(can.scan_once);
    kivi_store_unref(store);
    fake_stop(&server);
}

/* What is no cursor of this store's is INVALID before anything is sent. */
Test(memcached_scan, cursors)
{
    static const char *const cursors[] = {"1",    "1 ",   "1 0",           "1 x ",
                                          "1 1 ", "2 0 ", "1 4294967296 ", "0"};
    const script scripts[] = {SILENT(false)};
    kivi_range range = KIVI_RANGE_INIT;
    kivi_page *page = NULL;
    kivi_store *store;
    fake server;

    fake_start(&server, scripts, 1);
    store = fake_open(&server, "&scan=metadump");
    for (size_t i = 0; i < COUNT(cursors); i++) {
        range.cursor = kivi_str(cursors[i]);
        cr_expect_eq(kivi_store_page(store, NULL, &range, &page, &error), KIVI_INVALID, "%s",
                     cursors[i]);
        kivi_error_free(error);
        error = NULL;
    }
    cr_expect_eq(server.connections, 0);
    kivi_store_unref(store);
    fake_stop(&server);
}
