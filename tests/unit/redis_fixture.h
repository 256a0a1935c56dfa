/* A Redis made of a script: it reads commands and answers with whatever bytes the test says. */
#ifndef TEST_REDIS_FIXTURE_H
#define TEST_REDIS_FIXTURE_H

#include "failure.h"

#include <arpa/inet.h>
#include <errno.h>
#include <kivi/backend.h>
#include <kivi/kivi.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

const kivi_backend *kvi_plugin_redis(uint32_t host_abi, const kivi_host *host);

#define HELLO_7 "%2\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
#define ARGUMENTS_MOST 256
#define CONNECTIONS_MOST 512

typedef struct redis_server redis_server;

/* One connection of a client. */
typedef struct redis_peer {
    redis_server *server;
    int fd;
    unsigned number; /* of the connection, from 1 */
    char *bytes;     /* received */
    size_t begin, end, room;
} redis_peer;

/* One command as it came. Lives until the next. */
typedef struct redis_request {
    size_t count;
    kivi_slice arguments[ARGUMENTS_MOST];
} redis_request;

/* Answers a command; false: the connection is closed. */
typedef bool (*redis_answer)(redis_peer *peer, const redis_request *request);

struct redis_server {
    int fd, port;
    redis_answer hello;  /* NULL: the login of a version 7 */
    redis_answer config; /* NULL: the user may not ask for settings */
    redis_answer info;   /* NULL: nor which server it is */
    redis_answer answer; /* all other commands */
    bool dribbles;       /* say() sends single bytes */
    atomic_uint connections, requests;
    pthread_t threads[CONNECTIONS_MOST];
    redis_peer peers[CONNECTIONS_MOST];
    pthread_t listener;
};

/* ---- Saying ---- */

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){0, 200000}, NULL);
}

static inline bool say_bytes(redis_peer *peer, const char *bytes, size_t size)
{
    size_t step = peer->server->dribbles ? 1 : size;

    for (size_t at = 0; at < size; at += step) {
        if (send(peer->fd, bytes + at, step, MSG_NOSIGNAL) != (ssize_t)step)
            return false;
        if (peer->server->dribbles)
            pause_a_little();
    }
    return true;
}

static inline bool say(redis_peer *peer, const char *text)
{
    return say_bytes(peer, text, strlen(text));
}

static inline bool is_command(const redis_request *request, const char *name)
{
    kivi_slice said = request->arguments[0];

    return said.size == strlen(name) && strncasecmp(said.data, name, said.size) == 0;
}

static inline bool argument_is(const redis_request *request, size_t index, const char *text)
{
    kivi_slice said = request->arguments[index];

    return index < request->count && said.size == strlen(text) &&
           memcmp(said.data, text, said.size) == 0;
}

/* ---- Reading commands ---- */

static bool receive_more(redis_peer *peer)
{
    if (peer->end + 65536 > peer->room) {
        peer->room = 2 * (peer->end + 65536);
        peer->bytes = realloc(peer->bytes, peer->room);
    }
    ssize_t size = recv(peer->fd, peer->bytes + peer->end, peer->room - peer->end, 0);
    if (size <= 0)
        return false;
    peer->end += (size_t)size;
    return true;
}

/* A line "<type><number>\r\n" at `*at`; waits for it. Offsets, since the memory may move. */
static bool read_number(redis_peer *peer, size_t *at, char type, size_t *number)
{
    for (;;) {
        char *begin = peer->bytes + *at;
        char *end = peer->end > *at ? memchr(begin, '\n', peer->end - *at) : NULL;
        if (end) {
            if (*begin != type)
                return false;
            *number = strtoul(begin + 1, NULL, 10);
            *at = (size_t)(end + 1 - peer->bytes);
            return true;
        }
        if (!receive_more(peer))
            return false;
    }
}

static bool read_request(redis_peer *peer, redis_request *request)
{
    size_t starts[ARGUMENTS_MOST], at = peer->begin;

    if (!peer->bytes && !receive_more(peer))
        return false;
    if (!read_number(peer, &at, '*', &request->count) || request->count > ARGUMENTS_MOST)
        return false;
    for (size_t i = 0; i < request->count; i++) {
        if (!read_number(peer, &at, '$', &request->arguments[i].size))
            return false;
        starts[i] = at;
        at += request->arguments[i].size + 2;
        while (peer->end < at)
            if (!receive_more(peer))
                return false;
    }
    for (size_t i = 0; i < request->count; i++)
        request->arguments[i].data = peer->bytes + starts[i];
    peer->begin = at;
    return true;
}

/* ---- Serving ---- */

static bool serve_request(redis_peer *peer, const redis_request *request)
{
    redis_server *server = peer->server;

    if (is_command(request, "CONFIG")) /* a part of the login */
        return server->config ? server->config(peer, request) : say(peer, "-NOPERM no\r\n");
    if (is_command(request, "INFO"))
        return server->info ? server->info(peer, request) : say(peer, "-NOPERM no\r\n");
    if (is_command(request, "HELLO"))
        return server->hello ? server->hello(peer, request) : say(peer, HELLO_7);
    atomic_fetch_add(&server->requests, 1);
    return server->answer(peer, request);
}

static void *serve(void *user)
{
    redis_peer *peer = user;
    redis_request request;

    while (read_request(peer, &request) && serve_request(peer, &request))
        ;
    shutdown(peer->fd, SHUT_RDWR);
    return NULL;
}

static void *listen_on(void *user)
{
    redis_server *server = user;

    for (;;) {
        int fd = accept(server->fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        unsigned number = atomic_fetch_add(&server->connections, 1) + 1;
        if (number > CONNECTIONS_MOST)
            abort();
        redis_peer *peer = &server->peers[number - 1];
        *peer = (redis_peer){.server = server, .fd = fd, .number = number};
        if (pthread_create(&server->threads[number - 1], NULL, serve, peer))
            abort();
    }
}

static inline redis_server *server_start(redis_answer answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    redis_server *server = calloc(1, sizeof(*server));

    server->answer = answer;
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(server->fd, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(server->fd, 64), 0);
    cr_assert_eq(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    cr_assert_eq(pthread_create(&server->listener, NULL, listen_on, server), 0);
    return server;
}

static inline void server_stop(redis_server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->listener, NULL);
    close(server->fd);
    for (unsigned i = 0; i < atomic_load(&server->connections); i++) {
        shutdown(server->peers[i].fd, SHUT_RDWR);
        pthread_join(server->threads[i], NULL);
        close(server->peers[i].fd);
        free(server->peers[i].bytes);
    }
    free(server);
}

/* ---- Stores ---- */

static kivi_error *error; /* of the call before */

static inline void register_redis(void)
{
    static bool registered;

    if (!registered)
        cr_assert_eq(kivi_backend_register(kvi_plugin_redis, NULL), KIVI_OK);
    registered = true;
}

/* Options that no store is opened with. */
static inline void expect_bad(const char *url, kivi_status wanted, const char *part)
{
    kivi_store *store = NULL;

    register_redis();
    expect_failure(kivi_store_open(url, NULL, NULL, &store, &error), &error, wanted, part);
    cr_assert_null(store);
}

/* redis://127.0.0.1:PORT/0?codec=raw and more options. */
static inline kivi_store *open_redis(const redis_server *server, const char *options)
{
    char url[512];
    kivi_store *store = NULL;

    register_redis();
    snprintf(url, sizeof(url), "redis://127.0.0.1:%d/0?codec=raw%s", server->port, options);
    cr_assert_eq(kivi_store_open(url, NULL, NULL, &store, &error), KIVI_OK, "%s",
                 error ? kivi_error_message(error) : "");
    return store;
}

static inline kivi_status get(kivi_store *store, const char *key)
{
    kivi_buffer buffer = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_get(store, NULL, kivi_str(key), &buffer, &error);

    kivi_buffer_free(&buffer);
    return status;
}

#endif
