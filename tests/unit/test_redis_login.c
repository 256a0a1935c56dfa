/* Redis logins: options, protocols, passwords, and servers that are not what they should be. */
#include "redis_fixture.h"

TestSuite(redis_login, .timeout = 60);

static bool answer_value(redis_peer *peer, const redis_request *request)
{
    return say(peer, is_command(request, "GET") ? "$1\r\nv\r\n" : "+OK\r\n");
}

static kivi_store *open_at(const char *format, int port, const char *name, const char *value)
{
    kivi_options *options = kivi_options_new();
    kivi_store *store = NULL;
    char url[256];

    register_redis();
    snprintf(url, sizeof(url), format, port);
    if (name)
        kivi_options_set(options, name, value, NULL);
    cr_assert_eq(kivi_store_open(url, NULL, options, &store, &error), KIVI_OK, "%s",
                 error ? kivi_error_message(error) : "");
    kivi_options_free(options);
    return store;
}

/* ---- What is said ---- */

static char said[4096];

static void note(const redis_request *request)
{
    for (size_t i = 0; i < request->count; i++)
        snprintf(said + strlen(said), sizeof(said) - strlen(said), "%.*s ",
                 (int)request->arguments[i].size, (const char *)request->arguments[i].data);
    strcat(said, "| ");
}

static bool hello_noted(redis_peer *peer, const redis_request *request)
{
    note(request);
    return say(peer, HELLO_7);
}

static bool answer_noted(redis_peer *peer, const redis_request *request)
{
    note(request);
    return answer_value(peer, request);
}

static void expect_said(const char *url, const char *wanted)
{
    redis_server *server = server_start(answer_noted);
    kivi_store *store;

    server->hello = hello_noted;
    said[0] = '\0';
    store = open_at(url, server->port, NULL, NULL);
    cr_assert_eq(get(store, "k"), KIVI_OK);
    kivi_store_unref(store);
    server_stop(server);
    cr_assert_str_eq(said, wanted);
}

Test(redis_login, hello)
{
    expect_said("redis://127.0.0.1:%d", "HELLO 3 SETNAME kivi | GET k | ");
    expect_said("redis://127.0.0.1:%d/0?client_name=", "HELLO 3 | GET k | ");
    expect_said("redis://127.0.0.1:%d/5?protocol=2&client_name=x",
                "HELLO 2 SETNAME x | SELECT 5 | GET k | ");
    expect_said("redis://:pw@127.0.0.1:%d/", "HELLO 3 AUTH default pw SETNAME kivi | GET k | ");
    expect_said("redis://me:pw@127.0.0.1:%d/?db=7&client_name=",
                "HELLO 3 AUTH me pw | SELECT 7 | GET k | ");
}

/* ---- Older servers ---- */

static bool hello_unknown(redis_peer *peer, const redis_request *request)
{
    note(request);
    return say(peer, "-ERR unknown command `HELLO`, with args beginning with: `3`\r\n");
}

Test(redis_login, without_hello)
{
    redis_server *server = server_start(answer_noted);
    kivi_store *store;

    server->hello = hello_unknown;
    said[0] = '\0';
    store = open_at("redis://:pw@127.0.0.1:%d/2", server->port, NULL, NULL);
    cr_assert_eq(get(store, "k"), KIVI_OK);
    cr_assert_eq(get(store, "k"), KIVI_OK);
    kivi_store_unref(store);
    server_stop(server);
    cr_assert_str_eq(said, "HELLO 3 AUTH default pw SETNAME kivi | SELECT 2 | "
                           "AUTH pw | CLIENT SETNAME kivi | SELECT 2 | GET k | GET k | ");
}

static bool hello_2_only(redis_peer *peer, const redis_request *request)
{
    note(request);
    if (argument_is(request, 1, "3"))
        return say(peer, "-NOPROTO unsupported protocol version\r\n");
    return say(peer, "*4\r\n$7\r\nversion\r\n$5\r\n6.0.0\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n");
}

Test(redis_login, falls_back_to_2)
{
    redis_server *server = server_start(answer_noted);
    kivi_store *store;

    server->hello = hello_2_only;
    said[0] = '\0';
    store = open_at("redis://127.0.0.1:%d/?client_name=", server->port, NULL, NULL);
    cr_assert_eq(get(store, "k"), KIVI_OK);
    kivi_store_unref(store);
    server_stop(server);
    cr_assert_str_eq(said, "HELLO 3 | HELLO 2 | GET k | ");
}

/* What a version lacks is done by a script: before 6.2 there is no GETDEL. */
Test(redis_login, version_decides)
{
    redis_server *server = server_start(answer_noted);
    kivi_buffer buffer = KIVI_BUFFER_INIT;
    kivi_store *store;

    server->hello = hello_2_only;
    said[0] = '\0';
    store = open_at("redis://127.0.0.1:%d/?client_name=", server->port, NULL, NULL);
    kivi_store_take(store, NULL, kivi_str("k"), &buffer, NULL);
    cr_assert_not_null(strstr(said, "EVALSHA"));
    cr_assert_null(strstr(said, "GETDEL"));
    kivi_store_unref(store);
    server->hello = NULL;
    said[0] = '\0';
    store = open_at("redis://127.0.0.1:%d", server->port, NULL, NULL);
    kivi_store_take(store, NULL, kivi_str("k"), &buffer, NULL);
    cr_assert_not_null(strstr(said, "GETDEL"));
    kivi_store_unref(store);
    server_stop(server);
    kivi_buffer_free(&buffer);
}

/* ---- Settings ---- */

static struct settings {
    const char *limit, *policy, *logs, *syncs;
} settings;

/* As a map of version 3, with a setting that nobody asked for. */
static bool config_given(redis_peer *peer, const redis_request *request)
{
    char text[256];
    bool memory = argument_is(request, 2, "maxmemory*");
    const char *const said_of[] = {
        memory ? "maxmemory" : "appendonly", memory ? settings.limit : settings.logs,
        memory ? "maxmemory-policy" : "appendfsync", memory ? settings.policy : settings.syncs};
    int size = snprintf(text, sizeof(text), "%%3\r\n$7\r\nanother\r\n:5\r\n");

    for (int i = 0; i < 4; i++)
        size += snprintf(text + size, sizeof(text) - (size_t)size, "$%zu\r\n%s\r\n",
                         strlen(said_of[i]), said_of[i]);
    return argument_is(request, 1, "GET") && say(peer, text);
}

static kivi_capabilities learned_of(redis_server *server)
{
    kivi_capabilities can = {.struct_size = sizeof(can)};
    kivi_health health = {.struct_size = sizeof(health)};
    kivi_store *store = open_redis(server, "");

    cr_assert_eq(kivi_store_capabilities(store, &can, NULL), KIVI_OK);
    cr_assert_not(can.evicts || can.durable, "nothing is known before the first login");
    cr_assert_eq(kivi_store_health(store, NULL, &health, &error), KIVI_OK, "%s",
                 kivi_error_message(error));
    cr_assert_eq(kivi_store_capabilities(store, &can, NULL), KIVI_OK);
    kivi_store_unref(store);
    return can;
}

static bool answer_absent(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return say(peer, ":0\r\n");
}

Test(redis_login, settings_are_learned)
{
    static const struct settings rows[] = {{"0", "allkeys-lru", "no", "everysec"},
                                           {"1048576", "allkeys-lru", "yes", "everysec"},
                                           {"1048576", "noeviction", "yes", "always"},
                                           {"1048576", "volatile-ttl", "no", "always"}};
    static const bool evicts[] = {false, true, false, true}, durable[] = {false, false, true, false};
    redis_server *server = server_start(answer_absent);

    server->config = config_given;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        settings = rows[i];
        kivi_capabilities can = learned_of(server);
        cr_assert_eq(can.evicts, evicts[i], "row %zu", i);
        cr_assert_eq(can.durable, durable[i], "row %zu", i);
    }
    server->config = NULL; /* the user may not ask */
    kivi_capabilities can = learned_of(server);
    cr_assert_not(can.evicts || can.durable);
    server_stop(server);
}

/* ---- Which server it is ---- */

static const char *run_id = "";

static bool info_given(redis_peer *peer, const redis_request *request)
{
    char lines[256], text[300];

    cr_assert(argument_is(request, 1, "server"));
    snprintf(lines, sizeof(lines), "# Server\r\nredis_version:7.0.15\r\nrun_id:%s\r\ntcp_port:6379\r\n",
             peer->server->dribbles ? "5f8e1c" : run_id);
    snprintf(text, sizeof(text), "=%zu\r\ntxt:%s\r\n", strlen(lines) + 4, lines);
    return say(peer, text);
}

static bool answer_empty(redis_peer *peer, const redis_request *request)
{
    if (is_command(request, "SELECT"))
        return say(peer, "+OK\r\n");
    return is_command(request, "SCAN") ? say(peer, "*2\r\n$1\r\n0\r\n*0\r\n") : say(peer, ":0\r\n");
}

static void expect_copy(redis_server *const servers[2], int db, const char *id, kivi_status wanted)
{
    kivi_copy_options dry = KIVI_COPY_OPTIONS_INIT;
    kivi_store *source = open_at("redis://127.0.0.1:%d/0", servers[0]->port, NULL, NULL);
    kivi_store *target = open_at(db ? "redis://127.0.0.1:%d/1" : "redis://127.0.0.1:%d/0",
                                 servers[1]->port, NULL, NULL);

    run_id = id;
    dry.flags = KIVI_COPY_DRY_RUN;
    cr_assert_eq(kivi_store_copy(source, target, NULL, &dry, NULL, NULL, &error), wanted,
                 "run id \"%s\"", id);
    kivi_error_free(error);
    error = NULL;
    kivi_store_unref(source);
    kivi_store_unref(target);
}

/* Two addresses at which the same server is: it says so, unless the user may not ask. */
Test(redis_login, a_server_is_known_by_what_it_says)
{
    redis_server *servers[2] = {server_start(answer_empty), server_start(answer_empty)};

    servers[0]->info = servers[1]->info = info_given;
    servers[0]->dribbles = true;
    expect_copy(servers, 0, "5f8e1c", KIVI_INVALID);
    expect_copy(servers, 1, "5f8e1c", KIVI_OK);
    expect_copy(servers, 0, "5f8e1d", KIVI_OK);
    expect_copy(servers, 0, "", KIVI_OK);
    servers[1]->info = NULL;
    expect_copy(servers, 0, "5f8e1c", KIVI_OK);
    server_stop(servers[0]);
    server_stop(servers[1]);
}

/* ---- Refusals ---- */

static const char *refusal;

static bool hello_refused(redis_peer *peer, const redis_request *request)
{
    (void)request;
    return say(peer, refusal);
}

static bool answer_refused(redis_peer *peer, const redis_request *request)
{
    cr_assert(is_command(request, "SELECT"), "a command was sent without a login");
    return say(peer, "-NOAUTH Authentication required.\r\n");
}

static void expect_refused(const char *text, kivi_status wanted, const char *part)
{
    redis_server *server = server_start(answer_refused);
    kivi_store *store = open_at("redis://me:pass-phrase@127.0.0.1:%d/3", server->port, NULL, NULL);

    refusal = text;
    server->hello = hello_refused;
    expect_failure(get(store, "k"), &error, wanted, part);
    cr_assert_eq(server->connections, 1, "a refused login was repeated");
    kivi_store_unref(store);
    server_stop(server);
}

Test(redis_login, refused)
{
    expect_refused("-WRONGPASS invalid username-password pair or user is disabled.\r\n",
                   KIVI_DENIED, "WRONGPASS");
    expect_refused("-ERR Client names cannot contain spaces\r\n", KIVI_INTERNAL, "refused");
    expect_refused("-NOAUTH HELLO must be called with the client already authenticated\r\n",
                   KIVI_DENIED, "NOAUTH");
    expect_refused("%1\r\n$4\r\nmode\r\n$7\r\ncluster\r\n+OK\r\n", KIVI_UNSUPPORTED, "Cluster");
    expect_refused("+OK\r\n", KIVI_CORRUPT, "answer");
}

static bool answer_ok(redis_peer *peer, const redis_request *request)
{
    return answer_value(peer, request);
}

static void expect_mode(const char *mode, const char *part)
{
    redis_server *server = server_start(answer_ok);
    kivi_store *store = open_at("redis://127.0.0.1:%d", server->port, NULL, NULL);
    char text[128];

    snprintf(text, sizeof(text), "%%2\r\n$7\r\nversion\r\n$5\r\n7.2.0\r\n$4\r\nmode\r\n$%zu\r\n%s\r\n",
             strlen(mode), mode);
    refusal = text;
    server->hello = hello_refused;
    expect_failure(get(store, "k"), &error, KIVI_UNSUPPORTED, part);
    kivi_store_unref(store);
    server_stop(server);
}

Test(redis_login, modes)
{
    expect_mode("cluster", "Redis Cluster");
    expect_mode("sentinel", "Redis Sentinel");
}

/* SELECT is refused: nothing may go to another database. */
static bool answer_no_database(redis_peer *peer, const redis_request *request)
{
    cr_assert(is_command(request, "SELECT"));
    return say(peer, "-ERR DB index is out of range\r\n");
}

Test(redis_login, no_such_database)
{
    redis_server *server = server_start(answer_no_database);
    kivi_store *store = open_at("redis://127.0.0.1:%d/99", server->port, NULL, NULL);

    expect_failure(get(store, "k"), &error, KIVI_INVALID, "no database");
    kivi_store_unref(store);
    server_stop(server);
}

/* The server has all its clients and says so before it is asked anything. */
static bool hello_too_many(redis_peer *peer, const redis_request *request)
{
    (void)request;
    if (peer->number < 3)
        return say(peer, "-ERR max number of clients reached\r\n") && false;
    return say(peer, HELLO_7);
}

Test(redis_login, too_many_clients)
{
    redis_server *server = server_start(answer_value);
    kivi_store *store = open_at("redis://127.0.0.1:%d", server->port, NULL, NULL);

    server->hello = hello_too_many;
    cr_assert_eq(get(store, "k"), KIVI_OK);
    cr_assert_eq(server->connections, 3);
    kivi_store_unref(store);
    server_stop(server);
}

/* ---- Passwords ---- */

static bool answer_and_close(redis_peer *peer, const redis_request *request)
{
    return answer_noted(peer, request) && false;
}

/* Each login reads the password again from where it lies. */
static void expect_read_again(const char *option, const char *value, void (*change)(const char *password))
{
    redis_server *server = server_start(answer_and_close);
    kivi_store *store;

    server->hello = hello_noted;
    said[0] = '\0';
    change("first");
    store = open_at("redis://127.0.0.1:%d/?client_name=", server->port, option, value);
    cr_assert_eq(get(store, "k"), KIVI_OK);
    change("second");
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    cr_assert_eq(get(store, "k"), KIVI_OK);
    kivi_store_unref(store);
    server_stop(server);
    cr_assert_str_eq(said,
                     "HELLO 3 AUTH default first | GET k | HELLO 3 AUTH default second | GET k | ");
}

static void change_environment(const char *password)
{
    setenv("KIVI_UNIT_PASSWORD", password, 1);
}

static char file_name[] = "/tmp/kivi-unit-password-XXXXXX";

static void change_file(const char *password)
{
    FILE *file = fopen(file_name, "w");

    fprintf(file, "%s\nmore lines\n", password);
    fclose(file);
}

Test(redis_login, password_is_read_again)
{
    close(mkstemp(file_name));
    expect_read_again("password_env", "KIVI_UNIT_PASSWORD", change_environment);
    expect_read_again("password_file", file_name, change_file);
    unlink(file_name);
}

Test(redis_login, password_is_nowhere)
{
    redis_server *server = server_start(answer_value);
    kivi_store *store = open_at("redis://127.0.0.1:%d", server->port, "password_file",
                                "/nowhere/password");

    expect_failure(get(store, "k"), &error, KIVI_DENIED, "/nowhere/password");
    kivi_store_unref(store);
    store = open_at("redis://127.0.0.1:%d", server->port, "password_env", "KIVI_UNIT_UNSET");
    expect_failure(get(store, "k"), &error, KIVI_DENIED, "KIVI_UNIT_UNSET");
    kivi_store_unref(store);
    server_stop(server);
}

/* ---- Options ---- */

Test(redis_login, options)
{
    expect_bad("redis://h/x", KIVI_INVALID, "database");
    expect_bad("redis://h/1/2", KIVI_INVALID, "database");
    expect_bad("redis://h/99999999999999", KIVI_INVALID, "database");
    expect_bad("redis://h/1?db=2", KIVI_INVALID, "different databases");
    expect_bad("redis://a:1,b:2/0", KIVI_UNSUPPORTED, "Sentinel");
    expect_bad("redis://h/?client_name=a%20b", KIVI_INVALID, "client_name");
    expect_bad("redis://me@h/", KIVI_INVALID, "without a password");
    expect_bad("redis://:pw@h/?password_file=x", KIVI_INVALID, "one of");
    expect_bad("redis://h/?tls_ca_file=x", KIVI_INVALID, "rediss");
    expect_bad("redis://h/?protocol=4", KIVI_INVALID, "protocol");
    expect_bad("redis+unix:", KIVI_INVALID, "socket");
    expect_bad("rediss://h/?tls_ca_file=/nowhere.pem", KIVI_INVALID, "/nowhere.pem");
    expect_bad("rediss://h/?tls_ca_file=nosuch.pem", KIVI_INVALID, "CA file nosuch.pem: no such file");
    expect_bad("rediss://h/?tls_ca_dir=/nosuch", KIVI_INVALID, "CA directory /nosuch: no such directory");
    expect_bad("rediss://h/?tls_crl_file=/nosuch", KIVI_INVALID, "CRL file /nosuch: no such file");
    expect_bad("redis://h/?tls_crl_file=/nosuch", KIVI_INVALID, "rediss");
    expect_bad("rediss://h/?tls_server_name=.example", KIVI_INVALID,
               "server name .example: it begins with a dot");
    expect_bad("rediss://h/?tls_key_file=/nowhere.key", KIVI_INVALID, "certificate");
    expect_bad("redis://h/?pasword=x", KIVI_INVALID, "password");
}
