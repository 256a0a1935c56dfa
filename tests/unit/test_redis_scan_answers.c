/* Scans of Redis against a server of the test's own: pages without an end, pages of others. */
#include "redis_fixture.h"

TestSuite(redis_scan_answers, .timeout = 60);

static kivi_status scan_all(kivi_store *store, const char *prefix, size_t *pairs)
{
    kivi_range range = KIVI_RANGE_INIT;
    kivi_pair pair = KIVI_PAIR_INIT;
    kivi_scan *scan = NULL;
    kivi_status status;

    range.flags = KIVI_SCAN_KEYS;
    range.prefix = kivi_str(prefix);
    cr_assert_eq(kivi_store_scan(store, &range, &scan, &error), KIVI_OK);
    for (*pairs = 0; (status = kivi_scan_next(scan, NULL, &pair, &error)) == KIVI_OK; ++*pairs)
        ;
    kivi_scan_free(scan);
    return status;
}

/* Always another cursor, with a key at the SCANs of `found_at`, the end at `end_at`; 0: never. */
static unsigned found_at, end_at;

static bool answer_onward(redis_peer *peer, const redis_request *request)
{
    unsigned number = atomic_load(&peer->server->requests);
    char text[96], cursor[24];

    (void)request;
    snprintf(cursor, sizeof(cursor), "%u", number == end_at ? 0 : number);
    snprintf(text, sizeof(text), "*2\r\n$%zu\r\n%s\r\n%s", strlen(cursor), cursor,
             number == found_at ? "*1\r\n$2\r\np1\r\n" : "*0\r\n");
    return say(peer, text);
}

Test(redis_scan_answers, scan_without_end, .timeout = 300)
{
    redis_server *server = server_start(answer_onward);
    kivi_store *store = open_redis(server, "");
    size_t pairs;

    found_at = end_at = 0;
    expect_failure(scan_all(store, "p", &pairs), &error, KIVI_CORRUPT, "never ends");
    cr_assert_eq(pairs, 0);
    kivi_store_unref(store);
    server_stop(server);
}

/* A prefix that few of very many keys have is found, however long the search. */
Test(redis_scan_answers, scan_of_a_rare_prefix, .timeout = 300)
{
    redis_server *server = server_start(answer_onward);
    kivi_store *store = open_redis(server, "");
    size_t pairs;

    found_at = 40000;
    end_at = 80000;
    cr_assert_eq(scan_all(store, "p", &pairs), KIVI_END, "%s", error ? kivi_error_message(error) : "");
    cr_assert_eq(pairs, 1);
    kivi_store_unref(store);
    server_stop(server);
}

static bool answer_standing_still(redis_peer *peer, const redis_request *request)
{
    return say(peer, is_command(request, "SCAN") ? "*2\r\n$2\r\n17\r\n*0\r\n" : "+OK\r\n");
}

Test(redis_scan_answers, scan_that_stands_still)
{
    redis_server *server = server_start(answer_standing_still);
    kivi_store *store = open_redis(server, "");
    uint64_t count;
    size_t pairs;

    expect_failure(scan_all(store, "", &pairs), &error, KIVI_CORRUPT, "answer");
    cr_assert_eq(server->requests, 2);
    expect_failure(kivi_store_count(store, NULL, kivi_str("p"), &count, &error), &error,
                   KIVI_CORRUPT, "answer");
    kivi_store_unref(store);
    server_stop(server);
}

static bool answer_other_prefix(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return say(peer, "*2\r\n$1\r\n5\r\n*2\r\n$2\r\np1\r\n$2\r\nq1\r\n");
}

Test(redis_scan_answers, scan_of_another_prefix)
{
    redis_server *server = server_start(answer_other_prefix);
    kivi_store *store = open_redis(server, "");
    size_t pairs;

    expect_failure(scan_all(store, "p", &pairs), &error, KIVI_CORRUPT, "answer");
    kivi_store_unref(store);
    server_stop(server);
}
