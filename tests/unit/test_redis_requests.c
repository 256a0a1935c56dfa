/* Redis sessions against a server of the test's own: which commands are sent, and how many. */
#include "redis_fixture.h"

TestSuite(redis_requests, .timeout = 60);

/* ---- Round trips ---- */

static bool answer_when_all(redis_peer *peer, const redis_request *request)
{
    if (!is_command(request, "SET") || !argument_is(request, 1, "last"))
        return true; /* nothing is said before the last one came: only a pipeline gets here */
    for (unsigned i = 0; i < atomic_load(&peer->server->requests); i++)
        if (!say(peer, "+OK\r\n"))
            return false;
    return true;
}

Test(redis_requests, writes_are_one_pipeline)
{
    redis_server *server = server_start(answer_when_all);
    kivi_store *store = open_redis(server, "");
    kivi_slice keys[100];
    char names[99][16];

    for (int i = 0; i < 99; i++) {
        snprintf(names[i], sizeof(names[i]), "k%02d", i);
        keys[i] = kivi_str(names[i]);
    }
    keys[99] = kivi_str("last");
    cr_assert_eq(kivi_store_set_many(store, NULL, keys, keys, 100, KIVI_TTL_NONE, NULL, &error),
                 KIVI_OK, "%s", error ? kivi_error_message(error) : "");
    cr_assert_eq(server->requests, 100);
    kivi_store_unref(store);
    server_stop(server);
}

/* One MGET; what it says nil to is asked again, together. */
static bool answer_mget(redis_peer *peer, const redis_request *request)
{
    if (is_command(request, "MGET"))
        return say(peer, "*4\r\n$1\r\nA\r\n$-1\r\n_\r\n$1\r\nD\r\n");
    if (argument_is(request, 1, "b"))
        return true; /* answered with the next one: both come at once */
    return say(peer, "$-1\r\n-WRONGTYPE x\r\n");
}

Test(redis_requests, reads_are_one_command)
{
    redis_server *server = server_start(answer_mget);
    kivi_store *store = open_redis(server, "");
    kivi_slice keys[] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}};
    kivi_status wanted[] = {KIVI_OK, KIVI_NOT_FOUND, KIVI_WRONG_TYPE, KIVI_OK};
    kivi_result *result = NULL;

    expect_failure(kivi_store_get_many(store, NULL, keys, 4, &result, &error), &error,
                   KIVI_WRONG_TYPE, "");
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(kivi_result_status(result, i), wanted[i], "item %zu", i);
    cr_assert_eq(server->requests, 3);
    kivi_result_free(result);
    kivi_store_unref(store);
    server_stop(server);
}

/* ---- Scripts ---- */

static atomic_uint evals, evalshas;

static bool answer_without_scripts(redis_peer *peer, const redis_request *request)
{
    if (is_command(request, "EVAL")) {
        atomic_fetch_add(&evals, 1);
        return say(peer, ":4\r\n");
    }
    atomic_fetch_add(&evalshas, 1);
    return say(peer, atomic_load(&evals) ? ":4\r\n" : "-NOSCRIPT No matching script.\r\n");
}

Test(redis_requests, scripts_reload_themselves)
{
    redis_server *server = server_start(answer_without_scripts);
    kivi_store *store = open_redis(server, "");
    kivi_op ops[3] = {KIVI_OP_INIT, KIVI_OP_INIT, KIVI_OP_INIT};
    char names[3][2] = {"a", "b", "c"};
    kivi_result *result = NULL;

    for (int i = 0; i < 3; i++) {
        ops[i].kind = KIVI_OP_SET;
        ops[i].condition = KIVI_IF_EQUAL;
        ops[i].key = ops[i].value = ops[i].expected = kivi_str(names[i]);
    }
    cr_assert_eq(kivi_store_apply(store, NULL, ops, 3, 0, &result, &error), KIVI_OK, "%s",
                 error ? kivi_error_message(error) : "");
    cr_assert_eq(evals, 1, "the text went %u times", evals);
    cr_assert_eq(evalshas, 5);
    kivi_result_free(result);
    kivi_store_unref(store);
    server_stop(server);
}

/* A server that keeps no scripts at all is told of, not asked for ever. */
static bool answer_never_scripts(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return say(peer, "-NOSCRIPT No matching script.\r\n");
}

Test(redis_requests, scripts_never_kept)
{
    redis_server *server = server_start(answer_never_scripts);
    kivi_store *store = open_redis(server, "");

    expect_failure(kivi_store_compare_and_set(store, NULL, kivi_str("k"), kivi_str("a"),
                                              kivi_str("b"), KIVI_TTL_NONE, &error),
                   &error, KIVI_INTERNAL, "NOSCRIPT");
    cr_assert_eq(server->requests, 2);
    kivi_store_unref(store);
    server_stop(server);
}

/* ---- Scans ---- */

static atomic_int scan_order;

/* One SCAN answers five keys whatever was asked; with scan_order 1 another key has come before them. */
static bool answer_scan(redis_peer *peer, const redis_request *request)
{
    if (!is_command(request, "SCAN"))
        return false;
    if (argument_is(request, 1, "7"))
        return say(peer, "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nz\r\n");
    return say(
        peer,
        scan_order
            ? "*2\r\n$1\r\n7\r\n*6\r\n$1\r\nn\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n"
              "$1\r\ne\r\n"
            : "*2\r\n$1\r\n7\r\n*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n");
}

/* Keys of all pages of two, one letter each; the order changes after the first page where asked. */
static void list_pages(kivi_store *store, bool change, char *letters)
{
    kivi_range range = KIVI_RANGE_INIT;
    kivi_buffer cursor = KIVI_BUFFER_INIT;
    size_t count = 0;

    range.flags = KIVI_SCAN_KEYS;
    range.limit = 2;
    scan_order = 0;
    do {
        kivi_page *page = NULL;
        range.cursor = kivi_buffer_slice(&cursor);
        cr_assert_eq(kivi_store_page(store, NULL, &range, &page, &error), KIVI_OK);
        cr_assert_leq(kivi_page_count(page), 2);
        for (size_t i = 0; i < kivi_page_count(page); i++) {
            kivi_pair pair = KIVI_PAIR_INIT;
            kivi_page_pair(page, i, &pair);
            letters[count++] = *(const char *)pair.key.data;
        }
        kivi_buffer_assign(&cursor, kivi_page_cursor(page));
        kivi_page_free(page);
        scan_order = change;
    } while (cursor.size && count < 30);
    letters[count] = '\0';
    kivi_buffer_free(&cursor);
}

Test(redis_requests, scan_answers_more_than_fits)
{
    redis_server *server = server_start(answer_scan);
    kivi_store *store = open_redis(server, "");
    char letters[32];

    list_pages(store, false, letters);
    cr_assert_str_eq(letters, "abcdez");
    list_pages(store, true, letters); /* what was delivered may come again, nothing is lost */
    cr_assert_str_eq(letters, "abnabcdez");
    kivi_store_unref(store);
    server_stop(server);
}

static bool answer_patterns(redis_peer *peer, const redis_request *request)
{
    cr_assert(argument_is(request, 2, "MATCH"));
    cr_assert(argument_is(request, 3, "a\\*\\?\\[\\]\\\\\\^\\-b*"));
    return say(peer, "*2\r\n$1\r\n0\r\n*0\r\n");
}

Test(redis_requests, prefixes_are_no_patterns)
{
    redis_server *server = server_start(answer_patterns);
    kivi_store *store = open_redis(server, "");
    uint64_t count = 99;

    cr_assert_eq(kivi_store_count(store, NULL, kivi_str("a*?[]\\^-b"), &count, &error), KIVI_OK,
                 "%s", error ? kivi_error_message(error) : "");
    cr_assert_eq(count, 0);
    kivi_store_unref(store);
    server_stop(server);
}
