/* Redis Sentinel: who is asked for the primary, what is made of the answer, and what becomes of a call meanwhile. */
#include "redis_fixture.h"

TestSuite(redis_sentinel, .timeout = 60);

/* ---- Servers and sentinels ---- */

#define HELLO_OF(role, size)                                                      \
    "%3\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$" \
    "4\r\nrole\r\n$" size "\r\n" role "\r\n"

static bool hello_primary(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return say(peer, HELLO_OF("master", "6"));
}

static bool hello_replica(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return say(peer, HELLO_OF("replica", "7"));
}

static bool serve_values(redis_peer *peer, const redis_request *request)
{
    return say(peer, is_command(request, "GET") || is_command(request, "GETDEL") ? "$1\r\nv\r\n"
                                                                                 : "+OK\r\n");
}

static redis_server *primary_start(void)
{
    redis_server *server = server_start(serve_values);

    server->hello = hello_primary;
    return server;
}

/* What each sentinel names, and what it says instead. */
static struct {
    redis_server *sentinel;
    atomic_int names;
    const char *says;
} all[3];
static size_t sentinel_count;
static char heard[4096];
static pthread_mutex_t hearing = PTHREAD_MUTEX_INITIALIZER; /* a silent one hears while another one answers */

static void note(const redis_request *request)
{
    pthread_mutex_lock(&hearing);
    for (size_t i = 0; i < request->count; i++)
        snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "%.*s ",
                 (int)request->arguments[i].size, (const char *)request->arguments[i].data);
    snprintf(heard + strlen(heard), sizeof(heard) - strlen(heard), "| ");
    pthread_mutex_unlock(&hearing);
}

static bool say_primary(redis_peer *peer, int port)
{
    char text[64], digits[16];
    int size = snprintf(digits, sizeof(digits), "%d", port);

    snprintf(text, sizeof(text), "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", size, digits);
    return say(peer, text);
}

static bool serve_sentinel(redis_peer *peer, const redis_request *request)
{
    size_t which = 0;

    note(request);
    if (is_command(request, "AUTH"))
        return say(peer, "+OK\r\n");
    while (all[which].sentinel != peer->server)
        which++;
    if (all[which].says)
        return say(peer, all[which].says);
    return say_primary(peer, all[which].names);
}

/* One more, that names the server; NULL: it says `says`. */
static void sentinel_start(const redis_server *names, const char *says)
{
    redis_server *server = server_start(serve_sentinel);

    all[sentinel_count].names = names ? names->port : 0;
    all[sentinel_count].says = says;
    all[sentinel_count++].sentinel = server;
}

static void sentinels_stop(void)
{
    for (size_t i = 0; i < sentinel_count; i++)
        server_stop(all[i].sentinel);
    sentinel_count = 0;
    heard[0] = '\0';
}

/* A port that nobody listens on. */
static int dead_port(void)
{
    redis_server *server = server_start(serve_values);
    int port = server->port;

    server_stop(server);
    return port;
}

static kivi_store *open_ports(const int *ports, size_t count, const char *options)
{
    char url[512] = "redis+sentinel://";
    kivi_store *store = NULL;

    register_redis();
    for (size_t i = 0; i < count; i++)
        snprintf(url + strlen(url), sizeof(url) - strlen(url), "%s127.0.0.1:%d", i ? "," : "", ports[i]);
    snprintf(url + strlen(url), sizeof(url) - strlen(url), "/main?codec=raw%s", options);
    cr_assert_eq(kivi_store_open(url, NULL, NULL, &store, &error), KIVI_OK, "%s",
                 error ? kivi_error_message(error) : "");
    return store;
}

static kivi_store *open_sentinels(const char *options)
{
    int ports[3];

    for (size_t i = 0; i < sentinel_count; i++)
        ports[i] = all[i].sentinel->port;
    return open_ports(ports, sentinel_count, options);
}

static void expect_value(kivi_store *store)
{
    cr_assert_eq(get(store, "k"), KIVI_OK, "%s", error ? kivi_error_message(error) : "");
}

static kivi_status get_within(kivi_store *store, int64_t ms)
{
    kivi_call call = KIVI_CALL_INIT;
    kivi_buffer buffer = KIVI_BUFFER_INIT;
    kivi_status status;

    call.timeout_ms = ms;
    status = kivi_store_get(store, &call, kivi_str("k"), &buffer, &error);
    kivi_buffer_free(&buffer);
    return status;
}

static kivi_status set(kivi_store *store)
{
    return kivi_store_set(store, NULL, kivi_str("k"), kivi_str("v"), KIVI_TTL_NONE, &error);
}

/* ---- The question ---- */

static void expect_heard(const char *options, const char *wanted)
{
    redis_server *primary = primary_start();
    sentinel_start(primary, NULL);
    kivi_store *store = open_sentinels(options);

    expect_value(store);
    expect_value(store);
    kivi_store_unref(store);
    cr_assert_str_eq(heard, wanted);
    cr_assert_eq(primary->requests, 2);
    sentinels_stop();
    server_stop(primary);
}

Test(redis_sentinel, what_is_asked)
{
    expect_heard("", "SENTINEL GET-MASTER-ADDR-BY-NAME main | ");
    expect_heard("&sentinel_password=pw", "AUTH pw | SENTINEL GET-MASTER-ADDR-BY-NAME main | ");
    expect_heard("&sentinel_user=me&sentinel_password=pw",
                 "AUTH me pw | SENTINEL GET-MASTER-ADDR-BY-NAME main | ");
    setenv("KIVI_UNIT_SENTINEL", "hidden", 1);
    expect_heard("&sentinel_password_env=KIVI_UNIT_SENTINEL",
                 "AUTH hidden | SENTINEL GET-MASTER-ADDR-BY-NAME main | ");
}

Test(redis_sentinel, answers_that_come_byte_by_byte)
{
    redis_server *primary = primary_start();

    sentinel_start(primary, NULL);
    all[0].sentinel->dribbles = true;
    kivi_store *store = open_sentinels("");
    expect_value(store);
    kivi_store_unref(store);
    sentinels_stop();
    server_stop(primary);
}

/* ---- One after the other ---- */

Test(redis_sentinel, the_first_is_dead)
{
    redis_server *primary = primary_start();
    sentinel_start(primary, NULL);
    int ports[2] = {dead_port(), all[0].sentinel->port};
    kivi_store *store = open_ports(ports, 2, "");

    expect_value(store);
    kivi_store_unref(store);
    sentinels_stop();
    server_stop(primary);
}

/* It says nothing: that costs its time once, and the next lane asks the one that answered. */
Test(redis_sentinel, the_first_is_silent)
{
    redis_server *primary = primary_start();

    sentinel_start(NULL, "");
    sentinel_start(primary, NULL);
    kivi_store *store = open_sentinels("&server_timeout=1s");
    expect_value(store);
    expect_value(store);
    cr_assert_eq(all[0].sentinel->connections, 1);
    kivi_store_unref(store);
    sentinels_stop();
    server_stop(primary);
}

Test(redis_sentinel, the_first_does_not_know)
{
    static const char *const says[] = {"*-1\r\n", "-IDONTKNOW I have not enough information\r\n",
                                       "*0\r\n", "x"};

    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        redis_server *primary = primary_start();
        sentinel_start(NULL, says[i]);
        sentinel_start(primary, NULL);
        kivi_store *store = open_sentinels("");
        expect_value(store);
        kivi_store_unref(store);
        sentinels_stop();
        server_stop(primary);
    }
}

/* ---- No primary ---- */

static void expect_none(const char *first, const char *second, kivi_status wanted, const char *part)
{
    sentinel_start(NULL, first);
    sentinel_start(NULL, second);
    kivi_store *store = open_sentinels("");

    expect_failure(get(store, "k"), &error, wanted, part);
    cr_assert_eq(all[0].sentinel->connections, 1, "it was asked again");
    kivi_store_unref(store);
    sentinels_stop();
}

Test(redis_sentinel, no_primary)
{
    expect_none("*-1\r\n", "*-1\r\n", KIVI_INVALID, "no service \"main\"");
    expect_none("-WRONGPASS no\r\n", "*-1\r\n", KIVI_INVALID, "no service \"main\"");
    expect_none("-WRONGPASS no\r\n", "-WRONGPASS no\r\n", KIVI_DENIED, "WRONGPASS");
    expect_none("-NOAUTH Authentication required.\r\n", "-NOAUTH Authentication required.\r\n",
                KIVI_DENIED, "the sentinel 127.0.0.1");
    expect_none("-ERR unknown command `SENTINEL`\r\n", "-ERR unknown command `SENTINEL`\r\n",
                KIVI_INVALID, "no Redis Sentinel");
    expect_none("+OK\r\n", "+OK\r\n", KIVI_INVALID, "no Redis Sentinel");
    expect_none("*2\r\n:1\r\n:2\r\n", "*3\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\n1\r\n", KIVI_INVALID,
                "no Redis Sentinel");
    expect_none("HTTP/1.1 400\r\n", "x\r\n", KIVI_INVALID, "no Redis Sentinel");
}

Test(redis_sentinel, all_dead)
{
    int ports[2] = {dead_port(), dead_port()};
    kivi_store *store = open_ports(ports, 2, "");

    expect_failure(get(store, "k"), &error, KIVI_UNAVAILABLE, "all 2 sentinels refuse connections");
    expect_failure(set(store), &error, KIVI_UNAVAILABLE, "all 2 sentinels");
    kivi_store_unref(store);
}

/* A call may also end while it is asked again, and says no more than that its time was over. */
static void expect_words(kivi_store *store, const char *part)
{
    for (int i = 0; i < 50; i++) {
        kivi_status status = get_within(store, 300);
        cr_assert(status == KIVI_UNAVAILABLE || status == KIVI_TIMEOUT, "%s", kivi_status_name(status));
        bool said = strstr(kivi_error_message(error), part);
        kivi_error_free(error);
        error = NULL;
        if (said)
            return;
    }
    cr_assert(false, "no call says \"%s\"", part);
}

static bool serve_nothing(redis_peer *peer, const redis_request *request)
{
    (void)peer, (void)request;
    return true;
}

Test(redis_sentinel, all_silent)
{
    sentinel_start(NULL, "");
    kivi_store *store = open_sentinels("&server_timeout=5ms");

    expect_words(store, "says nothing");
    kivi_store_unref(store);
    sentinels_stop();
}

/* ---- A primary that is none ---- */

static void expect_no_primary(kivi_store *store, const char *part)
{
    expect_words(store, part);
    kivi_store_unref(store);
    sentinels_stop();
}

/* It is asked for again until the time is over: a failover may be under way. */
Test(redis_sentinel, a_dead_primary)
{
    sentinel_start(NULL, NULL);
    all[0].names = dead_port();
    expect_no_primary(open_sentinels(""), "name as the primary, refuses connections");
}

Test(redis_sentinel, a_silent_primary)
{
    redis_server *server = server_start(serve_nothing);

    server->hello = serve_nothing;
    sentinel_start(server, NULL);
    expect_no_primary(open_sentinels("&server_timeout=5ms"), "name as the primary, says nothing");
    server_stop(server);
}

Test(redis_sentinel, a_replica)
{
    redis_server *server = primary_start();

    server->hello = hello_replica;
    sentinel_start(server, NULL);
    expect_no_primary(open_sentinels(""), "is a replica");
    cr_assert_eq(server->requests, 0, "a replica was asked");
    server_stop(server);
}

/* The one that is asked first lives in the past: the others are asked, too. */
Test(redis_sentinel, a_sentinel_behind_the_times)
{
    redis_server *old = primary_start(), *primary = primary_start();

    old->hello = hello_replica;
    sentinel_start(old, NULL);
    sentinel_start(primary, NULL);
    kivi_store *store = open_sentinels("");
    cr_assert_eq(set(store), KIVI_OK);
    cr_assert_eq(old->requests, 0);
    kivi_store_unref(store);
    sentinels_stop();
    server_stop(old);
    server_stop(primary);
}

/* ---- Demoted while it is used ---- */

static int successor;

static bool serve_demoted(redis_peer *peer, const redis_request *request)
{
    (void)request;
    all[0].names = successor;
    return say(peer, "-READONLY You can't write against a read only replica.\r\n");
}

/* Nothing was done: the call goes to the primary of now, in every form. */
Test(redis_sentinel, demoted)
{
    kivi_op ops[2] = {KIVI_OP_INIT, KIVI_OP_INIT};
    kivi_result *result = NULL;
    kivi_buffer buffer = KIVI_BUFFER_INIT;
    redis_server *old = server_start(serve_demoted), *primary = primary_start();

    old->hello = hello_primary;
    successor = primary->port;
    sentinel_start(old, NULL);
    kivi_store *store = open_sentinels("&lanes=1");
    for (int i = 0; i < 2; i++) {
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = kivi_str(i ? "b" : "a");
        ops[i].value = kivi_str("v");
    }
    cr_assert_eq(kivi_store_apply(store, NULL, ops, 2, 0, &result, &error), KIVI_OK);
    kivi_result_free(result);
    cr_assert_eq(old->requests, 2);
    cr_assert_eq(primary->requests, 2);
    cr_assert_eq(old->connections, 1);
    kivi_store_unref(store);

    all[0].names = old->port;
    store = open_sentinels("&lanes=1");
    cr_assert_eq(kivi_store_take(store, NULL, kivi_str("k"), &buffer, &error), KIVI_OK);
    cr_assert_eq(old->requests, 3);
    kivi_buffer_free(&buffer);
    kivi_store_unref(store);
    sentinels_stop();
    server_stop(old);
    server_stop(primary);
}

/* ---- Servers without HELLO ---- */

static const char *role;

static bool hello_unknown(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return say(peer, "-ERR unknown command `HELLO`\r\n");
}

static bool serve_role(redis_peer *peer, const redis_request *request)
{
    return is_command(request, "ROLE") ? say(peer, role) : serve_values(peer, request);
}

static void expect_role(const char *says, kivi_status wanted)
{
    redis_server *server = server_start(serve_role);

    role = says;
    server->hello = hello_unknown;
    sentinel_start(server, NULL);
    kivi_store *store = open_sentinels("");
    if (wanted == KIVI_UNAVAILABLE)
        expect_words(store, "is a replica");
    else
        cr_assert_eq(get(store, "k"), wanted);
    kivi_error_free(error);
    error = NULL;
    kivi_store_unref(store);
    sentinels_stop();
    server_stop(server);
}

Test(redis_sentinel, role_without_hello)
{
    expect_role("*3\r\n$6\r\nmaster\r\n:3129659\r\n*1\r\n*3\r\n$9\r\n127.0.0.1\r\n$4\r\n9001\r\n$"
                "7\r\n3129242\r\n",
                KIVI_OK);
    expect_role("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:9000\r\n$9\r\nconnected\r\n:3167038\r\n",
                KIVI_UNAVAILABLE);
    expect_role("-NOPERM no\r\n", KIVI_DENIED);
}

/* ---- Options ---- */

Test(redis_sentinel, options)
{
    expect_bad("redis+sentinel://a:1,b:2", KIVI_INVALID, "no service");
    expect_bad("redis+sentinel://a:1,b:2/", KIVI_INVALID, "no service");
    expect_bad("redis+sentinel://a:1,b:2/main/1", KIVI_INVALID, "option db");
    expect_bad("redis+sentinel://a:1,b:x/main", KIVI_INVALID, "HOST:PORT");
    expect_bad("redis+sentinel://me@a:1/main", KIVI_INVALID, "without a password");
    expect_bad("redis+sentinel://a:1/main?sentinel_user=me", KIVI_INVALID, "sentinel_user");
    expect_bad("redis+sentinel://a/m?sentinel_password=x&sentinel_password_env=y", KIVI_INVALID, "one of");
    expect_bad("redis+sentinel://a:1/main?tls_ca_file=x", KIVI_INVALID, "rediss+sentinel");
    expect_bad("rediss+sentinel://a:1/main?tls_ca_file=/nowhere.pem", KIVI_INVALID, "/nowhere.pem");
    expect_bad("redis://a:1/?sentinel_password=x", KIVI_INVALID, "redis+sentinel");
    expect_bad("redis://a:1/?server_timeout=1s", KIVI_INVALID, "redis+sentinel");
}
