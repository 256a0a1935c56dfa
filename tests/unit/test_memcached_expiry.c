/* Times as Memcached is told them: with what keeps a key from going early, and without what would let an end drift. */
#include "memcached_fixture.h"

TestSuite(memcached_expiry, .timeout = 60);

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define LOGIN_AT(time)                                                                   \
    "VERSION 1.6.18\r\nMN\r\n" SETTINGS "STAT pid 1\r\nSTAT uptime 5\r\nSTAT time " time \
    "\r\nEND\r\n"
#define NOW "1700000000"

/* Does something with the store of one connection, and tells what the server was asked besides its login. */
static void ask(const char *login, const char *const *answers,
                kivi_status (*work)(kivi_store *store, int64_t ttl_ms), int64_t ttl_ms,
                kivi_status wanted, fake *server)
{
    const script scripts[] = {{login, strlen(login), false, answers}};
    kivi_store *store;
    kivi_status status;

    fake_start(server, scripts, 1);
    store = fake_open(server, "&timeout=30s");
    status = work(store, ttl_ms);
    cr_expect_eq(status, wanted, "%s: %s", kivi_status_name(status),
                 error ? kivi_error_message(error) : "");
    kivi_error_free(error);
    error = NULL;
    kivi_store_unref(store);
    fake_stop(server);
}

static kivi_status set(kivi_store *store, int64_t ttl_ms)
{
    return kivi_store_set(store, NULL, kivi_str("k"), kivi_str("v"), ttl_ms, &error);
}

static kivi_status expire(kivi_store *store, int64_t ttl_ms)
{
    return kivi_store_expire(store, NULL, kivi_str("k"), ttl_ms, &error);
}

static kivi_status increment(kivi_store *store, int64_t ttl_ms)
{
    int64_t sum;

    return kivi_store_increment(store, NULL, kivi_str("k"), 1, ttl_ms, &sum, &error);
}

static const char *const done[] = {"HD\r\n", NULL};

/* ---- A TTL ---- */

static void expect_set(int64_t ttl_ms, const char *wanted)
{
    fake server;

    ask(LOGIN_AT(NOW), done, set, ttl_ms, KIVI_OK, &server);
    cr_expect_str_eq(server.said, wanted, "%lld ms: %s", (long long)ttl_ms, server.said);
}

/* Rounded up, and two seconds more: a tick may follow at once, and a tick may count two. */
Test(memcached_expiry, seconds_that_keep_it_from_going_early)
{
    expect_set(KIVI_TTL_NONE, "ms k 1 T0\r\nv\r\n");
    expect_set(1, "ms k 1 T3\r\nv\r\n");
    expect_set(1000, "ms k 1 T3\r\nv\r\n");
    expect_set(1001, "ms k 1 T4\r\nv\r\n");
    expect_set(1999, "ms k 1 T4\r\nv\r\n");
    expect_set(HOUR_MS, "ms k 1 T3602\r\nv\r\n");
    expect_set(30 * DAY_MS - 2000, "ms k 1 T2592000\r\nv\r\n");
}

/* The number behind the last " T". */
static long long time_said(const fake *server)
{
    const char *at = NULL, *next = server->said;

    while ((next = strstr(next, " T")) != NULL)
        at = next += 2;
    cr_assert_not_null(at, "%s", server->said);
    return strtoll(at, NULL, 10);
}

/* Beyond 30 days the server takes it for a time: its own, which it said at the login; the case may take its time, too. */
static void expect_time(kivi_status (*work)(kivi_store *store, int64_t ttl_ms), int64_t ttl_ms)
{
    fake server;
    long long least = 1700000000 + ttl_ms / 1000 + 1, said;

    ask(LOGIN_AT(NOW), done, work, ttl_ms, KIVI_OK, &server);
    said = time_said(&server);
    cr_expect(said >= least && said <= least + 62, "%lld ms: %s", (long long)ttl_ms, server.said);
}

Test(memcached_expiry, long_ones_by_the_clock_of_the_server)
{
    expect_time(set, 30 * DAY_MS);
    expect_time(set, 31 * DAY_MS);
    expect_time(set, 3650 * DAY_MS);
    expect_time(expire, 31 * DAY_MS);
}

/* To the server that would be long ago: it would say that it stored what is gone. */
Test(memcached_expiry, none_beyond_the_time_of_the_server)
{
    fake server;

    ask(LOGIN_AT("2147400000"), done, set, 60 * DAY_MS, KIVI_UNSUPPORTED, &server);
    cr_expect_str_eq(server.said, "");
    ask(LOGIN_AT("2147400000"), done, expire, 60 * DAY_MS, KIVI_UNSUPPORTED, &server);
    cr_expect_str_eq(server.said, "");
}

/* ---- An end that is kept ---- */

#define LOOK "mg kivi%25clock t\r\nmg k v c f t\r\nmg kivi%25clock t\r\n"
#define LOOK_ALONE "mg kivi%25clock t\r\nmg k c f t\r\nmg kivi%25clock t\r\n"

static void expect_said(const char *const *answers,
                        kivi_status (*work)(kivi_store *store, int64_t ttl_ms), int64_t ttl_ms,
                        const char *wanted)
{
    fake server;

    ask(LOGIN_AT(NOW), answers, work, ttl_ms, KIVI_OK, &server);
    cr_expect_str_eq(server.said, wanted, "%s", server.said);
}

/* The clock key ends at 2147483640 and has 447483635 s left, so it is 1700000005; the item has 7 s left: until 1700000012. */
#define CLOCK "HD t447483635\r\n"
#define CLOCK_LATER "HD t447483634\r\n"

Test(memcached_expiry, an_end_that_is_kept_is_the_very_same)
{
    static const char *const counter[] = {CLOCK "VA 1 c5 f0 t7\r\n1\r\n" CLOCK, "HD\r\n", NULL},
                             *const value[] = {CLOCK "HD c5 f0 t7\r\n" CLOCK, "HD\r\n", NULL},
                             *const lasting[] = {CLOCK "VA 1 c5 f0 t-1\r\n1\r\n" CLOCK, "HD\r\n", NULL};

    expect_said(counter, increment, KIVI_TTL_NONE, LOOK "ms k 1 T1700000012 C5\r\n2\r\n");
    expect_said(counter, increment, 60000, LOOK "ms k 1 T1700000012 C5\r\n2\r\n");
    expect_said(value, set, KIVI_TTL_KEEP, LOOK_ALONE "ms k 1 T1700000012 C5\r\nv\r\n");
    expect_said(lasting, increment, 60000, LOOK "ms k 1 T0 C5\r\n2\r\n");
}

/* A second ended between the two looks: what the item had left is of one or of the other. */
Test(memcached_expiry, a_look_across_a_tick_is_repeated)
{
    static const char *const answers[] = {CLOCK "VA 1 c5 f0 t7\r\n1\r\n" CLOCK_LATER,
                                          CLOCK_LATER "VA 1 c6 f0 t6\r\n1\r\n" CLOCK_LATER,
                                          "HD\r\n", NULL};

    expect_said(answers, increment, KIVI_TTL_NONE, LOOK LOOK "ms k 1 T1700000012 C6\r\n2\r\n");
}

/* The first one to need it makes it, with its fixed end. */
Test(memcached_expiry, the_clock_key_is_made_once)
{
    static const char *const answers[] = {"EN\r\nVA 1 c5 f0 t7\r\n1\r\nEN\r\n", "HD\r\n",
                                          CLOCK "VA 1 c5 f0 t7\r\n1\r\n" CLOCK, "HD\r\n", NULL};

    expect_said(answers, increment, KIVI_TTL_NONE,
                LOOK "ms kivi%25clock 0 ME T2147483640\r\n\r\n" LOOK
                     "ms k 1 T1700000012 C5\r\n2\r\n");
}

/* One that was not there begins with the TTL that it is given. */
Test(memcached_expiry, a_fresh_counter)
{
    static const char *const answers[] = {CLOCK "EN\r\n" CLOCK, "HD\r\n", NULL};

    expect_said(answers, increment, 60000, LOOK "ms k 1 T62 ME\r\n1\r\n");
}
