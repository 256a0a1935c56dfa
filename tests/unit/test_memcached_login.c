/* Memcached logins: servers that have no meta commands are told from those that only ended a connection. */
#include "failure.h"

#include <arpa/inet.h>
#include <kivi/backend.h>
#include <kivi/kivi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(memcached_login, .timeout = 60);

static kivi_error *error;

const kivi_backend *kvi_plugin_memcached(uint32_t host_abi, const kivi_host *host);

/* ---- A Memcached made of a script ---- */

/* What each connection is answered at its login, one after the other; the last goes for all that follow. */
typedef struct script {
    const char *login; /* NULL: the connection is closed instead */
    size_t size;
    bool binary; /* it must have been asked in the binary protocol, or in words */
} script;

typedef struct fake {
    const script *scripts;
    size_t count;
    int fd, port;
    atomic_uint connections;
    pthread_t thread;
} fake;

static bool is_whole(const char *bytes, size_t size)
{
    if (size && (unsigned char)bytes[0] == 0x80)
        return size == 24 + 24 + strlen("settings");
    return size > 8 && !memcmp(bytes + size - 8, "\nstats\r\n", 8);
}

/* A login is answered as the script says, and each look for a key says that it is not there. */
static void serve(int fd, const script *how)
{
    char bytes[1024];
    size_t size = 0;
    ssize_t more;

    while (!is_whole(bytes, size) && (more = read(fd, bytes + size, sizeof(bytes) - size)) > 0)
        size += (size_t)more;
    if (!size || how->binary != ((unsigned char)bytes[0] == 0x80) || !how->login)
        return;
    send(fd, how->login, how->size, MSG_NOSIGNAL);
    while (read(fd, bytes, sizeof(bytes)) > 0)
        send(fd, "EN\r\n", 4, MSG_NOSIGNAL);
}

static void *listen_on(void *given)
{
    fake *server = given;
    int fd;

    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        size_t number = atomic_fetch_add(&server->connections, 1);
        serve(fd, &server->scripts[number < server->count ? number : server->count - 1]);
        close(fd);
    }
    return NULL;
}

static void fake_start(fake *server, const script *scripts, size_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    *server = (fake){.scripts = scripts, .count = count, .fd = socket(AF_INET, SOCK_STREAM, 0)};
    cr_assert_eq(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(server->fd, 16), 0);
    cr_assert_eq(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    cr_assert_eq(pthread_create(&server->thread, NULL, listen_on, server), 0);
}

static void fake_stop(fake *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
}

/* ---- Logins ---- */

#define SETTINGS "STAT item_size_max 1048576\r\nSTAT evictions on\r\nEND\r\n"
#define STATS "STAT pid 1\r\nSTAT uptime 5\r\nSTAT time 1700000000\r\nEND\r\n"
#define SCRIPT(binary, text)           \
    {                                  \
        text, sizeof(text) - 1, binary \
    }
#define SILENT(binary)  \
    {                   \
        NULL, 0, binary \
    }
#define WELL SCRIPT(false, "VERSION 1.6.18\r\nMN\r\n" SETTINGS STATS)

/* A packet: code, bytes of the key, status, bytes of all of it. */
#define PACKET(code, key, status, size, text) \
    "\x81" code "\0" key "\0\0\0" status "\0\0\0" size "\0\0\0\0\0\0\0\0\0\0\0\0" text
#define UNKNOWN PACKET("\x20", "\0", "\x81", "\x0f", "Unknown command")
#define BOUND_TO(size, words) PACKET("\x10", "\x10", "\0", size, "binding_protocol" words)
#define ANOTHER PACKET("\x10", "\x03", "\0", "\x05", "udp11")
#define LAST PACKET("\x10", "\0", "\0", "\0", "")

static kivi_status look(const fake *server)
{
    static bool registered;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_store *store = NULL;
    kivi_status status;
    char url[100];

    if (!registered)
        cr_assert_eq(kivi_backend_register(kvi_plugin_memcached, NULL), KIVI_OK);
    registered = true;
    snprintf(url, sizeof(url), "memcached://127.0.0.1:%d/?codec=raw&timeout=30s&lanes=1", server->port);
    cr_assert_eq(kivi_store_open(url, NULL, NULL, &store, &error), KIVI_OK);
    status = kivi_store_get(store, NULL, kivi_str("key"), &value, &error);
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

#define COUNT(scripts) (sizeof(scripts) / sizeof((scripts)[0]))

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
