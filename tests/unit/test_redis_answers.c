/* Redis sessions against a server of the test's own: what comes of any answer, whole, cut off or hostile. */
#include "redis_fixture.h"

TestSuite(redis_answers, .timeout = 60);

static void expect_value(kivi_store *store, const char *key, const char *wanted)
{
    kivi_buffer buffer = KIVI_BUFFER_INIT;

    cr_assert_eq(kivi_store_get(store, NULL, kivi_str(key), &buffer, &error), KIVI_OK, "%s: %s",
                 key, error ? kivi_error_message(error) : "");
    cr_assert_eq(buffer.size, strlen(wanted));
    cr_assert_eq(memcmp(buffer.data, wanted, buffer.size), 0);
    kivi_buffer_free(&buffer);
}

static kivi_status set(kivi_store *store, const char *key, const char *value)
{
    return kivi_store_set(store, NULL, kivi_str(key), kivi_str(value), KIVI_TTL_NONE, &error);
}

/* ---- Answers in any portions ---- */

static bool answer_all(redis_peer *peer, const redis_request *request)
{
    if (is_command(request, "GET"))
        return say(peer, "$5\r\nhe\r\no\r\n");
    if (is_command(request, "SET"))
        return say(peer, "+OK\r\n");
    if (is_command(request, "MGET"))
        return say(peer, "*3\r\n$1\r\nA\r\n$0\r\n\r\n$3\r\nCCC\r\n");
    if (is_command(request, "PTTL"))
        return say(peer, ":1234\r\n");
    if (is_command(request, "SCAN"))
        return say(peer, "*2\r\n$1\r\n0\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    if (is_command(request, "EVALSHA"))
        return say(peer, ":4\r\n");
    return false;
}

static void use_everything(kivi_store *store)
{
    kivi_slice keys[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    kivi_result *result = NULL;
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    size_t pairs = 0;
    int64_t ttl = 0;

    expect_value(store, "k", "he\r\no");
    cr_assert_eq(set(store, "k", "v"), KIVI_OK);
    cr_assert_eq(kivi_store_ttl(store, NULL, kivi_str("k"), &ttl, &error), KIVI_OK);
    cr_assert_eq(ttl, 1234);
    cr_assert_eq(kivi_store_get_many(store, NULL, keys, 3, &result, &error), KIVI_OK);
    kivi_result_free(result);
    cr_assert_eq(kivi_store_scan(store, NULL, &scan, &error), KIVI_OK);
    while (kivi_scan_next(scan, NULL, &pair, &error) == KIVI_OK)
        pairs++;
    cr_assert_eq(pairs, 3);
    kivi_scan_free(scan);
    cr_assert_eq(kivi_store_compare_and_set(store, NULL, kivi_str("k"), kivi_str("o"),
                                            kivi_str("n"), KIVI_TTL_NONE, &error),
                 KIVI_OK);
}

Test(redis_answers, whole)
{
    redis_server *server = server_start(answer_all);
    kivi_store *store = open_redis(server, "");

    use_everything(store);
    cr_assert_eq(server->connections, 1);
    kivi_store_unref(store);
    server_stop(server);
}

Test(redis_answers, single_bytes)
{
    redis_server *server = server_start(answer_all);
    kivi_store *store = open_redis(server, "");

    server->dribbles = true;
    use_everything(store);
    cr_assert_eq(server->connections, 1);
    kivi_store_unref(store);
    server_stop(server);
}

/* A push between replies and an attribute before one are nobody's answer. */
static bool answer_with_pushes(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return say(peer, ">2\r\n+message\r\n*1\r\n:1\r\n|1\r\n+ttl\r\n:1\r\n$1\r\nv\r\n");
}

Test(redis_answers, pushes)
{
    redis_server *server = server_start(answer_with_pushes);
    kivi_store *store = open_redis(server, "");

    for (int i = 0; i < 3; i++)
        expect_value(store, "k", "v");
    cr_assert_eq(server->connections, 1);
    kivi_store_unref(store);
    server_stop(server);
}

/* ---- Connections that end ---- */

/* The first connection breaks off in the middle of its answer. */
static bool answer_cut(redis_peer *peer, const redis_request *request)
{
    (void)request;
    if (peer->number == 1)
        return say(peer, "$5\r\nhal") && false;
    return say(peer, "$5\r\nwhole\r\n");
}

Test(redis_answers, cut_read_is_asked_again)
{
    redis_server *server = server_start(answer_cut);
    kivi_store *store = open_redis(server, "");

    expect_value(store, "k", "whole");
    cr_assert_eq(server->connections, 2);
    cr_assert_eq(server->requests, 2);
    kivi_store_unref(store);
    server_stop(server);
}

static bool answer_cut_write(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return peer->number == 1 ? say(peer, "+O") && false : say(peer, "+OK\r\n");
}

Test(redis_answers, cut_write_is_uncertain)
{
    redis_server *server = server_start(answer_cut_write);
    kivi_store *store = open_redis(server, "");

    expect_failure(set(store, "k", "v"), &error, KIVI_UNCERTAIN, "may or may not");
    cr_assert_eq(server->requests, 1, "a write was sent twice");
    cr_assert_eq(set(store, "k", "v"), KIVI_OK, "the store did not heal");
    cr_assert_eq(server->requests, 2);
    kivi_store_unref(store);
    server_stop(server);
}

/* In a pipeline, what was answered before the cut stands; the rest is uncertain. */
static bool answer_two(redis_peer *peer, const redis_request *request)
{
    if (peer->number > 1 || argument_is(request, 1, "a") || argument_is(request, 1, "b"))
        return say(peer, "+OK\r\n");
    return false;
}

Test(redis_answers, cut_pipeline)
{
    redis_server *server = server_start(answer_two);
    kivi_store *store = open_redis(server, "");
    kivi_slice keys[] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}};
    kivi_result *result = NULL;
    kivi_status wanted[] = {KIVI_OK, KIVI_OK, KIVI_UNCERTAIN, KIVI_UNCERTAIN};

    expect_failure(kivi_store_set_many(store, NULL, keys, keys, 4, KIVI_TTL_NONE, &result, &error),
                   &error, KIVI_UNCERTAIN, "may or may not");
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(kivi_result_status(result, i), wanted[i], "item %zu", i);
    kivi_result_free(result);
    kivi_store_unref(store);
    server_stop(server);
}

/* A connection that ended while nobody used it costs a write nothing. */
static bool answer_then_close(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return say(peer, "+OK\r\n") && peer->number > 1;
}

Test(redis_answers, idle_connection_closed)
{
    redis_server *server = server_start(answer_then_close);
    kivi_store *store = open_redis(server, "");

    cr_assert_eq(set(store, "k", "v"), KIVI_OK);
    nanosleep(&(struct timespec){0, 200000000}, NULL);
    cr_assert_eq(set(store, "k", "v"), KIVI_OK, "%s", error ? kivi_error_message(error) : "");
    cr_assert_eq(server->connections, 2);
    kivi_store_unref(store);
    server_stop(server);
}

Test(redis_answers, refused)
{
    redis_server *server = server_start(answer_all);
    kivi_store *store = open_redis(server, "");

    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->listener, NULL);
    close(server->fd);
    expect_failure(get(store, "k"), &error, KIVI_UNAVAILABLE, "cannot connect");
    kivi_store_unref(store);
    free(server);
}

/* A server that never reads: part of a large value left, so nobody knows. */
static bool answer_never(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return receive_more(peer);
}

Test(redis_answers, silent)
{
    redis_server *server = server_start(answer_never);
    kivi_store *store = open_redis(server, "");
    kivi_call call = KIVI_CALL_INIT;
    kivi_buffer buffer = KIVI_BUFFER_INIT;

    call.timeout_ms = 500; /* enough to connect on a busy machine */
    expect_failure(kivi_store_get(store, &call, kivi_str("k"), &buffer, &error), &error,
                   KIVI_TIMEOUT, "deadline");
    expect_failure(kivi_store_set(store, &call, kivi_str("k"), kivi_str("v"), KIVI_TTL_NONE, &error),
                   &error, KIVI_UNCERTAIN, "may or may not");
    for (int i = 0; i < 10000 && server->requests < 2; i++) /* the server's thread may not have had its turn yet */
        usleep(1000);
    cr_assert_eq(server->requests, 2);
    kivi_store_unref(store);
    server_stop(server);
}

/* ---- Answers that are none ---- */

static const char *given_answer;

/* Says the same to every command. */
static bool answer_given(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return say(peer, given_answer);
}

static void expect_hostile(const char *bytes)
{
    redis_server *server = server_start(answer_given);
    kivi_store *store = open_redis(server, "");

    given_answer = bytes;
    expect_failure(get(store, "k"), &error, KIVI_CORRUPT, "answer");
    cr_assert_eq(server->connections, 1, "%s", bytes);
    expect_failure(set(store, "k", "v"), &error, KIVI_UNCERTAIN, "may or may not");
    cr_assert_eq(server->connections, 2, "the connection was used again: %s", bytes);
    cr_assert_eq(server->requests, 2);
    kivi_store_unref(store);
    server_stop(server);
}

Test(redis_answers, hostile)
{
    static const char *const cases[] = {
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        ":1\r\n",
        "*1\r\n$1\r\na\r\n",
        "*0\r\n",
        "%1\r\n+a\r\n+b\r\n",
        "#t\r\n",
        "+fine\r\n",
        "$99999999999999\r\n",
        "$-5\r\n",
        "$3\r\nabcdef\r\n",
        "*99999999999\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        "\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_hostile(cases[i]);
}

/* ---- Answers of the right kind that the command cannot have ---- */

static bool holds_reads(kivi_store *store)
{
    bool exists;
    int64_t ttl;

    expect_failure(kivi_store_exists(store, NULL, kivi_str("k"), &exists, &error), &error,
                   KIVI_CORRUPT, "answer");
    return kivi_store_ttl(store, NULL, kivi_str("k"), &ttl, &error) == KIVI_OK;
}

/* EXISTS is 0 or 1, or the server is none; 5 as time left is one. */
Test(redis_answers, impossible_exists)
{
    static const char *const cases[] = {":5\r\n", ":2\r\n", ":9223372036854775807\r\n"};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        redis_server *server = server_start(answer_given);
        kivi_store *store = open_redis(server, "");

        given_answer = cases[i];
        cr_assert(holds_reads(store), "%s", cases[i]);
        kivi_store_unref(store);
        server_stop(server);
    }
}

/* What is not even a number must not pass for "it is not there". */
Test(redis_answers, exists_without_a_number)
{
    static const char *const cases[] = {"+OK\r\n", "$1\r\n1\r\n", "*0\r\n", "_\r\n", ":-1\r\n"};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        redis_server *server = server_start(answer_given);
        kivi_store *store = open_redis(server, "");
        bool exists;

        given_answer = cases[i];
        expect_failure(kivi_store_exists(store, NULL, kivi_str("k"), &exists, &error), &error,
                       KIVI_CORRUPT, "answer");
        kivi_store_unref(store);
        server_stop(server);
    }
}

/* One write with a condition, whose answer is the given one. */
static void expect_impossible(int32_t kind, int32_t condition, uint32_t flags, const char *bytes)
{
    redis_server *server = server_start(answer_given);
    kivi_store *store = open_redis(server, "");
    kivi_op op = KIVI_OP_INIT;

    given_answer = bytes;
    op.kind = kind;
    op.key = kivi_str("k");
    op.value = kivi_str("v");
    op.expected = kivi_str("w");
    op.condition = condition;
    expect_failure(kivi_store_apply(store, NULL, &op, 1, flags, NULL, &error), &error,
                   KIVI_UNCERTAIN, "not one that this command can have");
    kivi_store_unref(store);
    server_stop(server);
}

/* The scripts' numbers, where the operation's kind or condition allows no such outcome. */
Test(redis_answers, impossible_codes)
{
    expect_impossible(KIVI_OP_TOUCH, KIVI_IF_ALWAYS, 0, ":5\r\n"); /* persist: it has no condition */
    expect_impossible(KIVI_OP_TOUCH, KIVI_IF_ALWAYS, 0, ":1\r\n");
    expect_impossible(KIVI_OP_TOUCH, KIVI_IF_ALWAYS, 0, ":6\r\n"); /* there and not there */
    expect_impossible(KIVI_OP_TOUCH, KIVI_IF_ALWAYS, 0, ":0\r\n"); /* done, and not there */
    expect_impossible(KIVI_OP_TOUCH, KIVI_IF_ABSENT, 0, ":4\r\n");
    expect_impossible(KIVI_OP_SET, KIVI_IF_EQUAL, 0, ":2\r\n");
    expect_impossible(KIVI_OP_SET, KIVI_IF_EQUAL, 0, ":0\r\n");
    expect_impossible(KIVI_OP_DELETE, KIVI_IF_EQUAL, 0, ":6\r\n");
}

Test(redis_answers, impossible_codes_of_a_batch)
{
    expect_impossible(KIVI_OP_SET, KIVI_IF_ALWAYS, KIVI_APPLY_ATOMIC, "$1\r\n2\r\n");
    expect_impossible(KIVI_OP_SET, KIVI_IF_ABSENT, KIVI_APPLY_ATOMIC, "$1\r\n5\r\n"); /* said as :1 */
    expect_impossible(KIVI_OP_SET, KIVI_IF_ALWAYS, KIVI_APPLY_ATOMIC, ":1\r\n");
    expect_impossible(KIVI_OP_SET, KIVI_IF_ABSENT, KIVI_APPLY_ATOMIC, ":-1\r\n");
    expect_impossible(KIVI_OP_SET, KIVI_IF_ABSENT, KIVI_APPLY_ATOMIC, ":2\r\n");
    expect_impossible(KIVI_OP_SET, KIVI_IF_ABSENT, KIVI_APPLY_ATOMIC, ":-9223372036854775808\r\n");
}

/* A batch whose second outcome is impossible tells of neither. */
Test(redis_answers, half_possible_batch)
{
    redis_server *server = server_start(answer_given);
    kivi_store *store = open_redis(server, "");
    kivi_op ops[2] = {KIVI_OP_INIT, KIVI_OP_INIT};
    kivi_result *result = NULL;

    given_answer = "$2\r\n02\r\n";
    for (int i = 0; i < 2; i++) {
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = i ? kivi_str("a") : kivi_str("b");
        ops[i].value = kivi_str("v");
    }
    expect_failure(kivi_store_apply(store, NULL, ops, 2, KIVI_APPLY_ATOMIC, &result, &error),
                   &error, KIVI_UNCERTAIN, "not one that this command can have");
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(kivi_result_status(result, i), KIVI_UNCERTAIN, "item %zu", i);
    kivi_result_free(result);
    kivi_store_unref(store);
    server_stop(server);
}

/* ---- More answers than questions ---- */

/* More than was asked for would be taken for the answer of the next command. */
static bool answer_twice(redis_peer *peer, const redis_request *request)
{
    char text[64];

    snprintf(text, sizeof(text), "$1\r\n%.1s\r\n$1\r\nx\r\n", (const char *)request->arguments[1].data);
    return say(peer, text);
}

Test(redis_answers, answers_too_many)
{
    redis_server *server = server_start(answer_twice);
    kivi_store *store = open_redis(server, "");

    expect_value(store, "a", "a");
    expect_value(store, "b", "b");
    expect_value(store, "c", "c");
    cr_assert_eq(server->connections, 3);
    kivi_store_unref(store);
    server_stop(server);
}

static bool answer_short_list(redis_peer *peer, const redis_request *request)
{
    return say(peer, is_command(request, "MGET") ? "*2\r\n$1\r\na\r\n$1\r\nb\r\n"
                                                 : "*2\r\n$1\r\nx\r\n*0\r\n");
}

Test(redis_answers, lists_of_another_length)
{
    redis_server *server = server_start(answer_short_list);
    kivi_store *store = open_redis(server, "");
    kivi_slice keys[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    kivi_page *page = NULL;

    expect_failure(kivi_store_get_many(store, NULL, keys, 3, NULL, &error), &error, KIVI_CORRUPT,
                   "answer");
    expect_failure(kivi_store_page(store, NULL, NULL, &page, &error), &error, KIVI_CORRUPT, "answer");
    kivi_store_unref(store);
    server_stop(server);
}

/* ---- Refusals ---- */

static void expect_refusal(const char *text, kivi_status wanted, const char *part)
{
    redis_server *server = server_start(answer_given);
    kivi_store *store = open_redis(server, "&timeout=20s");
    const char *message;
    char reply[256];

    snprintf(reply, sizeof(reply), "-%s secret-key secret-value\r\n", text);
    given_answer = reply;
    cr_assert_eq(set(store, "k", "v"), wanted, "%s: %s", text, error ? kivi_error_message(error) : "none");
    cr_assert_eq(server->requests, 1, "%s: sent again", text);
    message = kivi_error_message(error);
    cr_assert_not_null(strstr(message, part), "%s: %s", text, message);
    cr_assert_null(strstr(message, "secret"), "%s: %s", text, message);
    const char *code = kivi_error_native_text(error);
    cr_assert_eq(*code == '\0', wanted == KIVI_INTERNAL,
                 "%s: only a code that is known is passed on", text);
    cr_assert_not_null(strstr(text, code), "%s: %s", text, code);
    kivi_error_free(error);
    kivi_store_unref(store);
    server_stop(server);
}

Test(redis_answers, refusals)
{
    expect_refusal("WRONGTYPE Operation", KIVI_WRONG_TYPE, "plain value");
    expect_refusal("OOM command not allowed", KIVI_IO, "OOM");
    expect_refusal("MISCONF Redis is configured", KIVI_IO, "MISCONF");
    expect_refusal("READONLY You can't", KIVI_UNAVAILABLE, "READONLY");
    expect_refusal("LOADING Redis", KIVI_UNAVAILABLE, "LOADING");
    expect_refusal("MASTERDOWN Link", KIVI_UNAVAILABLE, "MASTERDOWN");
    expect_refusal("NOREPLICAS Not enough", KIVI_UNAVAILABLE, "NOREPLICAS");
    expect_refusal("BUSY Redis is busy", KIVI_BUSY, "BUSY");
    expect_refusal("NOAUTH Authentication", KIVI_DENIED, "NOAUTH");
    expect_refusal("NOPERM this user", KIVI_DENIED, "NOPERM");
    expect_refusal("MOVED 3999 127.0.0.1:6381", KIVI_UNSUPPORTED, "Cluster");
    expect_refusal("ASK 3999 127.0.0.1:6381", KIVI_UNSUPPORTED, "Cluster");
    expect_refusal("CROSSSLOT Keys", KIVI_UNSUPPORTED, "Cluster");
    expect_refusal("ERR max number of clients reached", KIVI_UNAVAILABLE, "maxclients");
    expect_refusal("ERR unknown command 'SET'", KIVI_UNSUPPORTED, "does not know");
    expect_refusal("ERR Error running script (call to f_1): @user_script:1: -READONLY You",
                   KIVI_UNAVAILABLE, "READONLY");
    expect_refusal("ERR something else", KIVI_INTERNAL, "refused");
    expect_refusal("BUSYKEY Target", KIVI_INTERNAL, "refused");
}

/* The refusal of one does not fail the others. */
static bool answer_one_refused(redis_peer *peer, const redis_request *request)
{
    return say(peer, argument_is(request, 1, "b") ? "-WRONGTYPE x\r\n" : "+OK\r\n");
}

Test(redis_answers, one_of_many_refused)
{
    redis_server *server = server_start(answer_one_refused);
    kivi_store *store = open_redis(server, "");
    kivi_slice keys[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    kivi_result *result = NULL;

    expect_failure(kivi_store_set_many(store, NULL, keys, keys, 3, KIVI_TTL_NONE, &result, &error),
                   &error, KIVI_WRONG_TYPE, "plain value");
    cr_assert_eq(kivi_result_status(result, 0), KIVI_OK);
    cr_assert_eq(kivi_result_status(result, 1), KIVI_WRONG_TYPE);
    cr_assert_eq(kivi_result_status(result, 2), KIVI_OK);
    cr_assert_eq(server->connections, 1);
    kivi_result_free(result);
    kivi_store_unref(store);
    server_stop(server);
}

/* A server that is still loading is asked again until it is done. */
static bool answer_loading(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return say(peer, atomic_load(&peer->server->requests) < 3 ? "-LOADING Redis\r\n" : "$1\r\nv\r\n");
}

Test(redis_answers, loading)
{
    redis_server *server = server_start(answer_loading);
    kivi_store *store = open_redis(server, "");

    expect_value(store, "k", "v");
    cr_assert_eq(server->requests, 3);
    cr_assert_eq(server->connections, 1);
    kivi_store_unref(store);
    server_stop(server);
}
