/* A proxy that passes bytes on, tallies what goes to the server, and spoils what comes back. */
#include "proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct proxy_link {
    proxy *p;
    int client, server;
    uint64_t seed;
    tally_stream stream;
    size_t matched; /* of the answer's refusal */
    pthread_t thread;
    atomic_bool over;
    struct proxy_link *next;
} proxy_link;

struct proxy {
    int fd, port, server_port;
    atomic_int mode;
    _Atomic(const lies *) told;
    atomic_uint spoiled;
    atomic_flag pouring; /* a link pours without a pause */
    tally *seen;
    const char *refusal;
    void (*feed)(tally *t, tally_stream *stream, const char *bytes, size_t size);
    pthread_t listener;
    unsigned link_count;
    proxy_link *links; /* the listener's; after it has ended whoever stops the proxy */
};

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

/*
 * Until the client has had enough. One link pours as fast as it can. The others pause: sixteen that do not, and whoever
 * reads from them, would leave a small machine no time for anything else, and late calls would prove nothing.
 */
static bool pour(const proxy_link *l, const char *again)
{
    char bytes[65536];
    size_t unit = strlen(again), size = 0;
    bool pauses = atomic_flag_test_and_set(&l->p->pouring);

    while (size + unit <= sizeof(bytes)) {
        memcpy(bytes + size, again, unit);
        size += unit;
    }
    bool goes_on = true;
    while (goes_on && atomic_load(&l->p->mode) == PROXY_LIE) {
        goes_on = send_all(l->client, bytes, size);
        if (pauses)
            pause_ms(5);
    }
    if (!pauses)
        atomic_flag_clear(&l->p->pouring);
    return false;
}

static bool tell_lie(const proxy_link *l, uint64_t random)
{
    const lies *told = atomic_load(&l->p->told);
    const lie *one = &told->all[random % told->count];

    return send_all(l->client, one->bytes, one->size) && (!one->again || pour(l, one->again));
}

static bool spoil_answer(proxy_link *l, proxy_mode mode, const char *bytes, size_t size)
{
    uint64_t random = next_random(&l->seed);

    if (mode == PROXY_CUT && random % 50)
        return send_all(l->client, bytes, size);
    atomic_fetch_add(&l->p->spoiled, 1);
    switch (mode) {
    case PROXY_DRIBBLE:
        return dribble(l->client, bytes, size);
    case PROXY_DELAY:
        pause_ms(20);
        return send_all(l->client, bytes, size);
    case PROXY_CUT:
        send_all(l->client, bytes, (random >> 32) % size);
        return false;
    case PROXY_LIE:
        return tell_lie(l, random);
    default:
        return true; /* PROXY_DROP */
    }
}

/* The first byte of a refusal's mark is nowhere else in it. */
static void count_refusals(proxy_link *l, const char *bytes, size_t size)
{
    const char *mark = l->p->refusal;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != mark[l->matched])
            l->matched = 0;
        if (bytes[i] == mark[l->matched] && !mark[++l->matched]) {
            atomic_fetch_add(&l->p->seen->refusals, 1);
            l->matched = 0;
        }
    }
}

static bool pass_answer(proxy_link *l, const char *bytes, size_t size)
{
    proxy_mode mode = (proxy_mode)atomic_load(&l->p->mode);

    if (l->p->seen && l->p->refusal)
        count_refusals(l, bytes, size);
    return mode == PROXY_PASS ? send_all(l->client, bytes, size) : spoil_answer(l, mode, bytes, size);
}

static bool pass_request(proxy_link *l, const char *bytes, size_t size)
{
    if (l->p->seen)
        l->p->feed(l->p->seen, &l->stream, bytes, size);
    return send_all(l->server, bytes, size);
}

/* Not counted among the threads of a case. */
static void take_name(void)
{
    prctl(PR_SET_NAME, "proxy");
}

static void *run_link(void *user)
{
    proxy_link *l = user;
    char bytes[16384];
    struct pollfd ends[2] = {{l->client, POLLIN, 0}, {l->server, POLLIN, 0}};

    take_name();
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
    atomic_store(&l->over, true);
    return NULL;
}

/* ---- links ---- */

static void end_link(proxy_link *l)
{
    pthread_join(l->thread, NULL);
    close(l->client);
    close(l->server);
    free(l);
}

static void end_links_that_are_over(proxy *p)
{
    for (proxy_link **place = &p->links; *place;) {
        proxy_link *l = *place;
        if (!atomic_load(&l->over)) {
            place = &l->next;
            continue;
        }
        *place = l->next;
        end_link(l);
    }
}

/* A server that is not there: the client is let go. */
static void begin_link(proxy *p, int client)
{
    int server = connect_to_port(p->server_port);
    proxy_link *l = calloc(1, sizeof(*l));

    CHECK(l != NULL);
    if (server < 0) {
        close(client);
        free(l);
        return;
    }
    l->p = p;
    l->client = client;
    l->server = server;
    l->seed = ++p->link_count;
    l->next = p->links;
    p->links = l;
    CHECK(pthread_create(&l->thread, NULL, run_link, l) == 0);
}

static void *accept_links(void *user)
{
    proxy *p = user;
    int client;

    take_name();
    while ((client = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        end_links_that_are_over(p);
        begin_link(p, client);
    }
    return NULL;
}

/* ---- beginning and end ---- */

proxy *proxy_start(const running_server *server, tally *seen)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    proxy *p = calloc(1, sizeof(*p));

    CHECK(p != NULL);
    p->server_port = server->port;
    p->seen = seen;
    p->refusal = server->kind->refusal;
    p->feed = server->kind->feed ? server->kind->feed : tally_feed;
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

void proxy_lie(proxy *p, const lies *told)
{
    atomic_store(&p->told, told);
    proxy_set(p, PROXY_LIE);
}

unsigned proxy_spoiled(proxy *p)
{
    return atomic_load(&p->spoiled);
}

void proxy_stop(proxy *p)
{
    shutdown(p->fd, SHUT_RDWR);
    pthread_join(p->listener, NULL);
    close(p->fd);
    for (proxy_link *l = p->links; l; l = l->next) {
        shutdown(l->client, SHUT_RDWR);
        shutdown(l->server, SHUT_RDWR);
    }
    while (p->links) {
        proxy_link *l = p->links;
        p->links = l->next;
        end_link(l);
    }
    free(p);
}
