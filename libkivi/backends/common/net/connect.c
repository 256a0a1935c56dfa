/* Getting connected: each address in turn, then TLS; and the end of a connection. */
#include "../../../core/base/platform.h"
#include "net_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3

/* ---- One address ---- */

static void close_socket(kvi_net *net)
{
    if (net->fd < 0)
        return;
    close(net->fd);
    net->fd = -1;
    net->closings++;
}

static void attempt_failed(kvi_net *net, int code)
{
    close_socket(net);
    kvi_resolve_failed(&net->walk, code);
}

static void set_options(int fd, int family)
{
    const int on = 1;

    if (family == AF_UNIX)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* not worth failing for */
    kvi_socket_keep_alive(fd, KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES);
}

/* OK: connected; PENDING; IO: not this one (noted). */
static kivi_status try_address(kvi_net *net, const struct sockaddr *address, socklen_t size)
{
    net->target->place.core->guard_descriptors();
    net->fd = kvi_socket_open(address->sa_family);
    if (net->fd < 0) {
        attempt_failed(net, errno);
        return KIVI_IO;
    }
    set_options(net->fd, address->sa_family);
    if (connect(net->fd, address, size) == 0)
        return KIVI_OK;
    /* A unix socket whose queue is full says EAGAIN: it cannot be waited for, only tried again. */
    if (errno == EINPROGRESS || errno == EINTR)
        return KIVI_PENDING;
    attempt_failed(net, errno);
    return KIVI_IO;
}

static kivi_status try_path(kvi_net *net, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, path, strlen(path) + 1);
    return try_address(net, (const struct sockaddr *)&address, sizeof(address));
}

static kivi_status check_path(kvi_net *net, kivi_error **error)
{
    const kvi_place *place = &net->target->place;
    size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    if (!place->path || strlen(place->path) <= most)
        return KIVI_OK;
    net->state = KVI_NET_BROKEN;
    *error = place->core->error(KIVI_INVALID, 0, KIVI_RETRY_NO,
                                "the path of the socket is longer than %zu bytes", most);
    return KIVI_INVALID;
}

/* ---- All addresses ---- */

/*
 * Lets reads of the socket wait for a time, for steps that wait by themselves; all other calls say MSG_DONTWAIT. Not those
 * of unix sockets (a get took 1.02x of hiredis' time, with a poll 0.96x), nor under TLS, which may read twice.
 */
static void time_reads(kvi_net *net)
{
    struct timeval limit = {0, KIVI_STEP_WAIT_NS / 1000};

    if (net->target->tls || net->target->place.path ||
        setsockopt(net->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
        return;
    net->can_wait = fcntl(net->fd, F_SETFL, 0) == 0;
}

/* The socket is connected. */
static kivi_status connected(kvi_net *net, kivi_error **error)
{
    kivi_status status;

    kvi_resolve_leave(&net->walk, false);
    time_reads(net);
    if (!net->target->tls) {
        net->state = KVI_NET_OPEN;
        return KIVI_OK;
    }
    net->state = KVI_NET_SHAKING;
    status = kvi_net_tls_begin(net, error);
    return status ? status : kvi_net_advance(net, 0, error);
}

/* Goes through the addresses that are left. */
static kivi_status try_next(kvi_net *net, kivi_error **error)
{
    const char *path = net->target->place.path;

    net->state = KVI_NET_CONNECTING;
    while (kvi_resolve_next(&net->walk)) {
        const struct addrinfo *at = net->walk.at;
        kivi_status status = path ? try_path(net, path) : try_address(net, at->ai_addr, at->ai_addrlen);
        if (status == KIVI_OK)
            return connected(net, error);
        if (status == KIVI_PENDING)
            return KIVI_PENDING;
    }
    net->state = KVI_NET_BROKEN;
    return kvi_resolve_fail(&net->walk, error);
}

/* What the look-up came to. */
static kivi_status looked_up(kvi_net *net, kivi_status status, kivi_error **error)
{
    net->closings += status != KIVI_PENDING; /* the look-up's descriptor */
    if (status == KIVI_OK)
        return try_next(net, error);
    net->state = status == KIVI_PENDING ? KVI_NET_RESOLVING : KVI_NET_BROKEN;
    return status;
}

kivi_status kvi_net_connect(kvi_net *net, kivi_error **error)
{
    kivi_status status = check_path(net, error);

    if (status)
        return status;
    kvi_resolve_leave(&net->walk, false);
    return looked_up(net, kvi_resolve_begin(&net->walk, &net->target->place, error), error);
}

static kivi_status advance_connecting(kvi_net *net, uint32_t revents, kivi_error **error)
{
    int code = 0;
    socklen_t size = sizeof(code);

    if (!(revents & (POLLOUT | POLLERR | POLLHUP))) {
        if (kvi_resolve_left(&net->walk) != 0)
            return KIVI_PENDING;
        attempt_failed(net, ETIMEDOUT);
        return try_next(net, error);
    }
    if (getsockopt(net->fd, SOL_SOCKET, SO_ERROR, &code, &size))
        code = errno;
    if (code == 0)
        return connected(net, error);
    attempt_failed(net, code);
    return try_next(net, error);
}

kivi_status kvi_net_advance(kvi_net *net, uint32_t revents, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    switch (net->state) {
    case KVI_NET_RESOLVING:
        return looked_up(net, kvi_resolve_advance(&net->walk, error), error);
    case KVI_NET_CONNECTING:
        return advance_connecting(net, revents, error);
    case KVI_NET_SHAKING:
        status = kvi_net_tls_shake(net, error);
        if (status == KIVI_OK)
            net->state = KVI_NET_OPEN;
        return status;
    case KVI_NET_OPEN:
        return KIVI_OK;
    default:
        return kvi_net_break(net, KIVI_RETRY_YES, 0, "the connection is closed", error);
    }
}

/* ---- Waiting ---- */

void kvi_net_wait(const kvi_net *net, kivi_poll *poll)
{
    poll->fd = net->fd;
    poll->timeout_ns = -1;
    switch (net->state) {
    case KVI_NET_RESOLVING:
        poll->fd = kvi_resolve_fd(&net->walk);
        poll->events = POLLIN;
        break;
    case KVI_NET_CONNECTING:
        poll->events = POLLOUT;
        poll->timeout_ns = kvi_resolve_left(&net->walk);
        break;
    case KVI_NET_SHAKING:
        poll->events = net->wants_write ? POLLOUT : POLLIN;
        break;
    default:
        poll->events = POLLIN;
        if (net->wants_write || (net->sent < net->queued && !net->wants_read))
            poll->events |= POLLOUT;
        if (net->can_wait && poll->events == POLLIN)
            poll->flags |= KIVI_POLL_MAY_WAIT;
    }
}

bool kvi_net_is_stale(const kvi_net *net)
{
    uint8_t byte;
    ssize_t got;

    if (net->in.begin != net->in.end || (net->ssl && SSL_pending(net->ssl) > 0))
        return true;
    got = recv(net->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0)
        return !net->ssl; /* TLS has messages of its own, such as session tickets */
    return got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* ---- Beginning and end ---- */

void kvi_net_init(kvi_net *net, const kvi_net_target *target)
{
    memset(net, 0, sizeof(*net));
    net->target = target;
    net->fd = -1;
}

static void forget_stream(kvi_net *net)
{
    kvi_net_rewind(net);
    net->in.begin = net->in.end = 0;
    net->more = net->can_wait = net->wants_read = net->wants_write = false;
    net->state = KVI_NET_CLOSED;
}

static void close_with(kvi_net *net, bool polite, bool inherited)
{
    net->closings += net->walk.lookup != NULL;
    kvi_resolve_leave(&net->walk, inherited);
    kvi_net_tls_end(net, polite);
    close_socket(net);
    forget_stream(net);
}

void kvi_net_close(kvi_net *net)
{
    close_with(net, net->state == KVI_NET_OPEN, false);
}

static void free_memory(kvi_net *net)
{
    free(net->out.data);
    free(net->out.references);
    free(net->in.data);
    net->out.data = net->in.data = NULL;
    net->out.references = NULL;
    net->out.capacity = net->out.reference_room = net->in.capacity = 0;
}

void kvi_net_free(kvi_net *net)
{
    kvi_net_close(net);
    free_memory(net);
}

void kvi_net_abandon(kvi_net *net, bool whole)
{
    if (!whole) {
        if (net->walk.lookup)
            close(kvi_resolve_fd(&net->walk));
        close_socket(net);
        return;
    }
    close_with(net, false, true);
    free_memory(net);
}
