/* Getting connected: each address in turn, then TLS; and the end of a connection. */
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

static void forget_addresses(kvi_net *net)
{
    if (net->addresses)
        freeaddrinfo(net->addresses);
    net->addresses = net->next = NULL;
}

static void close_socket(kvi_net *net)
{
    if (net->fd >= 0)
        close(net->fd);
    net->fd = -1;
}

static bool is_refusal(int code)
{
    return code == ECONNREFUSED || code == ENOENT || code == EHOSTUNREACH || code == ENETUNREACH ||
           code == EADDRNOTAVAIL || code == EAFNOSUPPORT;
}

static void note_failure(kvi_net *net, int code)
{
    close_socket(net);
    net->last_code = code;
    net->refusals += is_refusal(code);
}

static void set_options(int fd, int family)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
    };

    if (family == AF_UNIX)
        return;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) /* none is worth failing for */
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

/* OK: connected; PENDING; IO: not this one (noted). */
static kivi_status try_address(kvi_net *net, const struct sockaddr *address, socklen_t size)
{
    net->attempts++;
    net->attempt_ns = net->target->core->monotonic_ns();
    net->target->core->guard_descriptors();
    net->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (net->fd < 0) {
        note_failure(net, errno);
        return KIVI_IO;
    }
    set_options(net->fd, address->sa_family);
    if (connect(net->fd, address, size) == 0)
        return KIVI_OK;
    /* A unix socket whose queue is full says EAGAIN: it cannot be waited for, only tried again. */
    if (errno == EINPROGRESS || errno == EINTR)
        return KIVI_PENDING;
    note_failure(net, errno);
    return KIVI_IO;
}

static kivi_status try_path(kvi_net *net, kivi_error **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(net->target->path);

    if (size >= sizeof(address.sun_path)) {
        net->state = KVI_NET_BROKEN;
        *error = net->target->core->error(KIVI_INVALID, 0, KIVI_RETRY_NO,
                                          "the path of the socket is longer than %zu bytes",
                                          sizeof(address.sun_path) - 1);
        return KIVI_INVALID;
    }
    memcpy(address.sun_path, net->target->path, size + 1);
    return try_address(net, (const struct sockaddr *)&address, sizeof(address));
}

/* ---- All addresses ---- */

static kivi_status all_failed(kvi_net *net, kivi_error **error)
{
    bool refused = net->refusals == net->attempts;
    int code = net->last_code;

    forget_addresses(net);
    if (kvi_net_is_local(code))
        return kvi_net_fail_local(net, code, "cannot connect", error);
    if (code == EACCES || code == EPERM) {
        char place[300];
        net->state = KVI_NET_BROKEN;
        *error = net->target->core->error(KIVI_DENIED, code, KIVI_RETRY_NO,
                                          "%s: the system does not let this process connect",
                                          kvi_net_place(net->target, place, sizeof(place)));
        return KIVI_DENIED;
    }
    return kvi_net_break(net, refused ? KIVI_RETRY_LATER : KIVI_RETRY_YES, code, "cannot connect", error);
}

/*
 * Lets reads of the socket wait for a time, for steps that wait by themselves; all other calls say MSG_DONTWAIT. Not those
 * of unix sockets (a get took 1.02x of hiredis' time, with a poll 0.96x), nor under TLS, which may read twice.
 */
static void time_reads(kvi_net *net)
{
    struct timeval limit = {0, KIVI_STEP_WAIT_NS / 1000};

    if (net->target->tls || net->target->path ||
        setsockopt(net->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
        return;
    net->can_wait = fcntl(net->fd, F_SETFL, 0) == 0;
}

/* The socket is connected. */
static kivi_status connected(kvi_net *net, kivi_error **error)
{
    kivi_status status;

    forget_addresses(net);
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
    net->state = KVI_NET_CONNECTING;
    while (net->next && !kvi_net_is_local(net->last_code)) {
        const struct addrinfo *address = net->next;
        kivi_status status;
        net->next = address->ai_next;
        status = try_address(net, address->ai_addr, address->ai_addrlen);
        if (status == KIVI_OK)
            return connected(net, error);
        if (status == KIVI_PENDING)
            return KIVI_PENDING;
    }
    return all_failed(net, error);
}

/* OK: net->addresses is there, without asking anybody. */
static bool read_numeric(kvi_net *net)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};

    if (getaddrinfo(net->target->host, net->target->port, &hints, &net->addresses)) {
        net->addresses = NULL;
        return false;
    }
    net->next = net->addresses;
    return true;
}

kivi_status kvi_net_connect(kvi_net *net, kivi_error **error)
{
    kivi_status status;

    net->attempts = net->refusals = 0;
    net->last_code = 0;
    net->state = KVI_NET_CONNECTING;
    if (net->target->path) {
        status = try_path(net, error);
        if (status == KIVI_IO)
            return all_failed(net, error);
        return status ? status : connected(net, error);
    }
    if (read_numeric(net))
        return try_next(net, error);
    net->state = KVI_NET_RESOLVING;
    return kvi_net_lookup_begin(net, error);
}

/* How long the attempt in progress still has, where there is another address; negative: no limit. */
static int64_t attempt_left(const kvi_net *net)
{
    uint64_t limit = net->target->attempt_ms * KVI_NET_NS_PER_MS;

    if (!limit || !net->next)
        return -1;
    uint64_t spent = net->target->core->monotonic_ns() - net->attempt_ns;
    return spent < limit ? (int64_t)(limit - spent) : 0;
}

static kivi_status advance_connecting(kvi_net *net, uint32_t revents, kivi_error **error)
{
    int code = 0;
    socklen_t size = sizeof(code);

    if (!(revents & (POLLOUT | POLLERR | POLLHUP))) {
        if (attempt_left(net) != 0)
            return KIVI_PENDING;
        note_failure(net, ETIMEDOUT);
        return try_next(net, error);
    }
    if (getsockopt(net->fd, SOL_SOCKET, SO_ERROR, &code, &size))
        code = errno;
    if (code == 0)
        return connected(net, error);
    note_failure(net, code);
    return try_next(net, error);
}

kivi_status kvi_net_advance(kvi_net *net, uint32_t revents, kivi_error **error)
{
    kivi_status status = KIVI_OK;

    switch (net->state) {
    case KVI_NET_RESOLVING:
        status = kvi_net_lookup_end(net, error);
        return status ? status : try_next(net, error);
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
        poll->fd = kvi_net_lookup_fd(net->lookup);
        poll->events = POLLIN;
        break;
    case KVI_NET_CONNECTING:
        poll->events = POLLOUT;
        poll->timeout_ns = attempt_left(net);
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
    kvi_net_lookup_leave(net->lookup, inherited);
    net->lookup = NULL;
    forget_addresses(net);
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
        if (net->lookup)
            close(kvi_net_lookup_fd(net->lookup));
        close_socket(net);
        return;
    }
    close_with(net, false, true);
    free_memory(net);
}
