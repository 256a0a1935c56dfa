/* Memcached logins: servers that have no meta commands are told from those that only ended a connection. */
#include "memcached_fixture.h"

TestSuite(memcached_login, .timeout = 60);

/* A packet: code, bytes of the key, status, bytes of all of it. */
#define PACKET(code, key, status, size, text) \
    "\x81" code "\0" key "\0\0\0" status "\0\0\0" size "\0\0\0\0\0\0\0\0\0\0\0\0" text
#define UNKNOWN PACKET("\x20", "\0", "\x81", "\x0f", "Unknown command")
#define BOUND_TO(size, words) PACKET("\x10", "\x10", "\0", size, "binding_protocol" words)
#define ANOTHER PACKET("\x10", "\x03", "\0", "\x05", "udp11")
#define LAST PACKET("\x10", "\0", "\0", "\0", "")

static kivi_status look(const fake *server)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_store *store = fake_open(server, "&timeout=30s");
    kivi_status status = kivi_store_get(store, NULL, kivi_str("key"), &value, &error);

    kivi_store_unref(store);
    kivi_buffer_free(&value);
    return status;
}

static void expect_refused(const script *scripts, size_t count, kivi_status wanted, const char *part)
{
    fake server;

    fake_start(&server, scripts, count);
    expect_failure(look(&server), &error, wanted, part);
    cr_expect_eq(server.connections, count);
    fake_stop(&server);
}

static void expect_served(const script *scripts, size_t count)
{
    fake server;

    fake_start(&server, scripts, count);
    cr_expect_eq(look(&server), KIVI_NOT_FOUND, "%s", error ? kivi_error_message(error) : "");
    cr_expect_eq(server.connections, count);
    fake_stop(&server);
}

Test(memcached_login, older_servers)
{
    const script old[] = {SCRIPT(false, "VERSION 1.5.22\r\nERROR\r\n" SETTINGS STATS)};
    const script ancient[] = {SCRIPT(false, "VERSION 0.9.9\r\nERROR\r\n" SETTINGS STATS)};

    expect_refused(old, 1, KIVI_UNSUPPORTED, "no meta commands");
    expect_refused(ancient, 1, KIVI_UNSUPPORTED, "Memcached 1.6 or later");
}

/* It passes the server's version on, and knows fewer commands. */
Test(memcached_login, proxies_without_meta_commands)
{
    const script plain[] = {SCRIPT(false, "VERSION 1.6.18\r\nERROR\r\n" SETTINGS STATS)};
    const script in_words[] = {SCRIPT(false, "VERSION 1.6.18\r\nERROR unknown command\r\n")};
    const script strange[] = {SCRIPT(false, "VERSION 1.6.18\r\nHD\r\n" SETTINGS STATS)};

    expect_refused(plain, 1, KIVI_UNSUPPORTED, "a proxy before it, has no meta commands");
    expect_refused(in_words, 1, KIVI_UNSUPPORTED, "a proxy before it, has no meta commands");
    expect_refused(strange, 1, KIVI_CORRUPT, "not one that this command can have");
}

Test(memcached_login, binary_alone)
{
    const script sasl[] = {SILENT(false), SCRIPT(true, PACKET("\x20", "\0", "\0", "\x05", "PLAIN"))};
    const script bound[] = {SILENT(false), SCRIPT(true, UNKNOWN ANOTHER BOUND_TO("\x16", "binary") LAST)};

    expect_refused(sasl, COUNT(sasl), KIVI_UNSUPPORTED, "SASL (-S)");
    expect_refused(bound, COUNT(bound), KIVI_UNSUPPORTED, "-B binary");
}

/* The first connection died with its server; a login as ever follows, whatever the question got for an answer. */
Test(memcached_login, servers_that_only_died)
{
    const script negotiates[] = {SILENT(false),
                                 SCRIPT(true, UNKNOWN BOUND_TO("\x1e", "auto-negotiate") LAST), WELL};
    const script keeps_it[] = {SILENT(false),
                               SCRIPT(true, UNKNOWN PACKET("\x10", "\0", "\x20", "\0", "")), WELL};
    const script text_alone[] = {SILENT(false), SCRIPT(true, "CLIENT_ERROR\r\n"), WELL};
    const script died_again[] = {SILENT(false), SILENT(true), WELL};
    const script too_long[] = {
        SILENT(false), SCRIPT(true, "\x81\x20\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0"), WELL};

    expect_served(negotiates, COUNT(negotiates));
    expect_served(keeps_it, COUNT(keeps_it));
    expect_served(text_alone, COUNT(text_alone));
    expect_served(died_again, COUNT(died_again));
    expect_served(too_long, COUNT(too_long));
}
