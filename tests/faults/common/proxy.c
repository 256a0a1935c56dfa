/* A proxy that passes bytes on, counts what goes to the server, and spoils what comes back. */
#include "redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINKS_MOST 512

typedef struct proxy_link {
    proxy *p;
    int client, server;
    uint64_t seed;
    pthread_t thread;
} proxy_link;

struct proxy {
    int fd, port, server_port;
    atomic_int mode;
    pthread_t listener;
    pthread_mutex_t mutex; /* guards all below */
    char *seen;            /* all that went to the server */
    size_t size, room;
    proxy_link *links[LINKS_MOST];
    size_t link_count;
};

static void note(proxy *p, const char *bytes, size_t size)
{
    pthread_mutex_lock(&p->mutex);
    if (p->size + size > p->room) {
        p->room = 2 * (p->size + size);
        p->seen = realloc(p->seen, p->room);
        CHECK(p->seen != NULL);
    }
    memcpy(p->seen + p->size, bytes, size);
    p->size += size;
    pthread_mutex_unlock(&p->mutex);
}

static bool send_all(int fd, const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t sent = send(fd, bytes + at, size - at, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += (size_t)sent;
    }
    return true;
}

static bool dribble(int fd, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!send_all(fd, bytes + i, 1))
            return false;
    return true;
}

static bool pass_answer(proxy_link *l, const char *bytes, size_t size)
{
    switch (atomic_load(&l->p->mode)) {
    case PROXY_DRIBBLE:
        return dribble(l->client, bytes, size);
    case PROXY_DELAY:
        pause_ms(20);
        return send_all(l->client, bytes, size);
    case PROXY_CUT:
        if (next_random(&l->seed) % 50)
            return send_all(l->client, bytes, size);
        send_all(l->client, bytes, next_random(&l->seed) % size);
        return false;
    case PROXY_DROP:
        return true;
    default:
        return send_all(l->client, bytes, size);
    }
}

static bool pass_request(proxy_link *l, const char *bytes, size_t size)
{
    note(l->p, bytes, size);
    return send_all(l->server, bytes, size);
}

static void *run_link(void *user)
{
    proxy_link *l = user;
    char bytes[16384];
    struct pollfd ends[2] = {{l->client, POLLIN, 0}, {l->server, POLLIN, 0}};

    while (poll(ends, 2, -1) > 0 || errno == EINTR) {
        for (int i = 0; i < 2; i++) {
            if (!ends[i].revents)
                continue;
            ssize_t size = recv(ends[i].fd, bytes, sizeof(bytes), 0);
            bool goes_on = size > 0 && (i == 0 ? pass_request(l, bytes, (size_t)size)
                                               : pass_answer(l, bytes, (size_t)size));
            if (!goes_on)
                goto out;
        }
    }
out:
    shutdown(l->client, SHUT_RDWR);
    shutdown(l->server, SHUT_RDWR);
    return NULL;
}

static int connect_server(const proxy *p)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)p->server_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void *accept_links(void *user)
{
    proxy *p = user;
    int client;

    while ((client = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        int server = connect_server(p);
        proxy_link *l = calloc(1, sizeof(*l));
        CHECK(l && p->link_count < LINKS_MOST);
        if (server < 0) {
            close(client);
            free(l);
            continue;
        }
        *l = (proxy_link){.p = p, .client = client, .server = server, .seed = p->link_count};
        pthread_mutex_lock(&p->mutex);
        p->links[p->link_count++] = l;
        pthread_mutex_unlock(&p->mutex);
        CHECK(pthread_create(&l->thread, NULL, run_link, l) == 0);
    }
    return NULL;
}

proxy *proxy_start(const redis_server *server)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    proxy *p = calloc(1, sizeof(*p));

    CHECK(p != NULL);
    pthread_mutex_init(&p->mutex, NULL);
    p->server_port = server->port;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(p->fd, (struct sockaddr *)&at, size) == 0 && listen(p->fd, 128) == 0);
    CHECK(getsockname(p->fd, (struct sockaddr *)&at, &size) == 0);
    p->port = ntohs(at.sin_port);
    CHECK(pthread_create(&p->listener, NULL, accept_links, p) == 0);
    return p;
}

int proxy_port(const proxy *p)
{
    return p->port;
}

void proxy_set(proxy *p, proxy_mode mode)
{
    atomic_store(&p->mode, mode);
}

unsigned proxy_count(proxy *p, const char *wanted)
{
    unsigned count = 0;
    size_t size = strlen(wanted);

    pthread_mutex_lock(&p->mutex);
    for (char *at = p->seen;
         at && (at = memmem(at, p->size - (size_t)(at - p->seen), wanted, size)); at += size)
        count++;
    pthread_mutex_unlock(&p->mutex);
    return count;
}

void proxy_stop(proxy *p)
{
    shutdown(p->fd, SHUT_RDWR);
    pthread_join(p->listener, NULL);
    close(p->fd);
    for (size_t i = 0; i < p->link_count; i++) {
        proxy_link *l = p->links[i];
        shutdown(l->client, SHUT_RDWR);
        shutdown(l->server, SHUT_RDWR);
        pthread_join(l->thread, NULL);
        close(l->client);
        close(l->server);
        free(l);
    }
    pthread_mutex_destroy(&p->mutex);
    free(p->seen);
    free(p);
}
