/* A Memcached made of a script: each connection is answered as the case says, whatever it asks. */
#ifndef TEST_MEMCACHED_FIXTURE_H
#define TEST_MEMCACHED_FIXTURE_H

#include "failure.h"

#include <arpa/inet.h>
#include <kivi/backend.h>
#include <kivi/kivi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static kivi_error *error;

const kivi_backend *kvi_plugin_memcached(uint32_t host_abi, const kivi_host *host);

/* What each connection is answered at its login, one after the other; the last goes for all that follow. */
typedef struct script {
    const char *login; /* NULL: the connection is closed instead */
    size_t size;
    bool binary; /* it must have been asked in the binary protocol, or in words */
    const char *const *answers; /* to what comes then, one after the other; NULL, and behind them: it is not there */
} script;

typedef struct fake {
    const script *scripts;
    size_t count;
    int fd, port;
    atomic_uint connections;
    char said[2048]; /* what came behind logins; to be read when it was stopped */
    size_t said_size;
    pthread_t thread;
} fake;

static inline bool is_whole(const char *bytes, size_t size)
{
    if (size && (unsigned char)bytes[0] == 0x80)
        return size == 24 + 24 + strlen("settings");
    return size > 8 && !memcmp(bytes + size - 8, "\nstats\r\n", 8);
}

static inline void note(fake *server, const char *bytes, size_t size)
{
    size_t room = sizeof(server->said) - 1 - server->said_size;

    size = size < room ? size : room;
    memcpy(server->said + server->said_size, bytes, size);
    server->said_size += size;
}

static inline void serve(fake *server, int fd, const script *how)
{
    char bytes[1024];
    size_t size = 0;
    ssize_t more;

    while (!is_whole(bytes, size) && (more = read(fd, bytes + size, sizeof(bytes) - size)) > 0)
        size += (size_t)more;
    if (!size || how->binary != ((unsigned char)bytes[0] == 0x80) || !how->login)
        return;
    send(fd, how->login, how->size, MSG_NOSIGNAL);
    for (size_t i = 0; (more = read(fd, bytes, sizeof(bytes))) > 0;) {
        const char *answer = how->answers && how->answers[i] ? how->answers[i++] : "EN\r\n";
        note(server, bytes, (size_t)more);
        send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    }
}

static inline void *listen_on(void *given)
{
    fake *server = given;
    int fd;

    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        size_t number = atomic_fetch_add(&server->connections, 1);
        serve(server, fd, &server->scripts[number < server->count ? number : server->count - 1]);
        close(fd);
    }
    return NULL;
}

static inline void fake_start(fake *server, const script *scripts, size_t count)
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

static inline void fake_stop(fake *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
}

/* ---- Scripts ---- */

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
#define LOGIN_WELL "VERSION 1.6.18\r\nMN\r\n" SETTINGS STATS
#define WELL SCRIPT(false, LOGIN_WELL)

#define COUNT(scripts) (sizeof(scripts) / sizeof((scripts)[0]))

static inline kivi_store *fake_open(const fake *server, const char *options)
{
    static bool registered;
    kivi_store *store = NULL;
    char url[200];

    if (!registered)
        cr_assert_eq(kivi_backend_register(kvi_plugin_memcached, NULL), KIVI_OK);
    registered = true;
    snprintf(url, sizeof(url), "memcached://127.0.0.1:%d/?codec=raw&lanes=1%s", server->port, options);
    cr_assert_eq(kivi_store_open(url, NULL, NULL, &store, &error), KIVI_OK);
    return store;
}

#endif
