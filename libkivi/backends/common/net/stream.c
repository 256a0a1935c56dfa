/* Bytes to and from an open connection: one send a vector, no copy of what is large. */
#include "../../../core/base/platform.h"
#include "net_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PIECES 64 /* of one send */
#define NO_WAIT (MSG_DONTWAIT | KVI_NO_SIGPIPE)
#define FIRST_ROOM 64 /* items of an array */
#define FIRST_CAPACITY (16 * 1024)
#define RECEIVE_LEAST (8 * 1024)   /* room that a receive offers at least */
#define KEPT_CAPACITY (256 * 1024) /* that an idle connection keeps in each direction */

/* ---- Queueing ---- */

bool kvi_net_grow(void **array, size_t *room, size_t wanted, size_t size)
{
    size_t more = *room ? *room : FIRST_ROOM;
    void *grown;

    if (wanted <= *room)
        return true;
    while (more < wanted && more <= SIZE_MAX / 2)
        more *= 2;
    grown = more >= wanted && more <= SIZE_MAX / size ? realloc(*array, more * size) : NULL;
    if (!grown)
        return false;
    *array = grown;
    *room = more;
    return true;
}

static bool grow(uint8_t **data, size_t *capacity, size_t wanted)
{
    void *grown = *data;

    if (!kvi_net_grow(&grown, capacity, wanted > FIRST_CAPACITY ? wanted : FIRST_CAPACITY, 1))
        return false;
    *data = grown;
    return true;
}

uint8_t *kvi_net_room(kvi_net *net, size_t size)
{
    if (size > SIZE_MAX / 2 - net->out.size)
        return NULL;
    if (net->out.size + size > net->out.capacity &&
        !grow(&net->out.data, &net->out.capacity, net->out.size + size))
        return NULL;
    return net->out.data + net->out.size;
}

static bool add_reference(kvi_net *net, kivi_slice bytes)
{
    kvi_net_reference *more;

    if (net->out.reference_count == net->out.reference_room) {
        size_t room = net->out.reference_room ? 2 * net->out.reference_room : 16;
        more = realloc(net->out.references, room * sizeof(*more));
        if (!more)
            return false;
        net->out.references = more;
        net->out.reference_room = room;
    }
    net->out.references[net->out.reference_count++] = (kvi_net_reference){net->out.size, bytes};
    net->queued += bytes.size;
    return true;
}

bool kvi_net_refer(kvi_net *net, kivi_slice bytes)
{
    return bytes.size == 0 || add_reference(net, bytes);
}

/* A reference to nothing: pieces end before references. */
bool kvi_net_seal(kvi_net *net)
{
    return !net->target->tls || add_reference(net, kivi_bytes(NULL, 0));
}

void kvi_net_rewind(kvi_net *net)
{
    net->out.size = net->out.at = 0;
    net->out.reference_count = net->out.reference = net->out.reference_at = 0;
    net->queued = net->sent = net->begun = 0;
}

/* ---- Sending ---- */

/* The next bytes to leave, as pieces; answers how many pieces. */
static size_t list_pieces(const kvi_net *net, struct iovec *pieces, size_t most)
{
    size_t at = net->out.at, reference = net->out.reference, within = net->out.reference_at, count = 0;

    while (count < most) {
        bool referred = reference < net->out.reference_count;
        const kvi_net_reference *next = &net->out.references[reference];
        size_t end = referred ? next->at : net->out.size;
        if (at < end) {
            pieces[count++] = (struct iovec){net->out.data + at, end - at};
            at = end;
        } else if (referred) {
            if (next->bytes.size) /* else a seal */
                pieces[count++] = (struct iovec){(uint8_t *)(uintptr_t)next->bytes.data + within,
                                                 next->bytes.size - within};
            reference++;
            within = 0;
        } else {
            break;
        }
    }
    return count;
}

/* So many bytes have left. */
static void pass(kvi_net *net, size_t size)
{
    net->sent += size;
    if (net->begun < net->sent)
        net->begun = net->sent;
    while (size) {
        bool referred = net->out.reference < net->out.reference_count;
        const kvi_net_reference *next = &net->out.references[net->out.reference];
        size_t end = referred ? next->at : net->out.size;
        size_t left = net->out.at < end ? end - net->out.at : next->bytes.size - net->out.reference_at;
        size_t step = size < left ? size : left;
        if (net->out.at < end) {
            net->out.at += step;
        } else {
            net->out.reference_at += step;
            if (net->out.reference_at == next->bytes.size) {
                net->out.reference++;
                net->out.reference_at = 0;
            }
        }
        size -= step;
    }
}

static ptrdiff_t send_pieces(kvi_net *net, struct iovec *pieces, size_t count, kivi_status *status,
                             kivi_error **error)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    ssize_t size;

    do
        size = count == 1 ? send(net->fd, pieces[0].iov_base, pieces[0].iov_len, NO_WAIT)
                          : sendmsg(net->fd, &message, NO_WAIT);
    while (size < 0 && errno == EINTR);
    if (size >= 0)
        return size;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return 0;
    *status = kvi_net_break(net, KIVI_RETRY_YES, errno, "the connection broke", error);
    return -1;
}

/* TLS may have sent some of a piece that it says it could not take yet. */
static ptrdiff_t send_piece_tls(kvi_net *net, const struct iovec *piece, kivi_status *status,
                                kivi_error **error)
{
    net->begun = net->sent + piece->iov_len;
    return kvi_net_tls_write(net, piece->iov_base, piece->iov_len, status, error);
}

kivi_status kvi_net_flush(kvi_net *net, kivi_error **error)
{
    struct iovec pieces[PIECES];
    kivi_status status = KIVI_OK;

    while (net->sent < net->queued) {
        size_t count = list_pieces(net, pieces, net->ssl ? 1 : PIECES);
        ptrdiff_t size = net->ssl ? send_piece_tls(net, &pieces[0], &status, error)
                                  : send_pieces(net, pieces, count, &status, error);
        if (size < 0)
            return status;
        if (size == 0)
            return KIVI_PENDING;
        pass(net, (size_t)size);
    }
    return KIVI_OK;
}

/* ---- Receiving ---- */

bool kvi_net_expect(kvi_net *net, size_t size)
{
    size_t unread = net->in.end - net->in.begin;

    if (size > SIZE_MAX / 2)
        return false;
    if (net->in.capacity - net->in.begin >= size)
        return true;
    if (net->in.begin && unread)
        memmove(net->in.data, net->in.data + net->in.begin, unread);
    net->in.begin = 0;
    net->in.end = unread;
    return net->in.capacity >= size || grow(&net->in.data, &net->in.capacity, size);
}

static ptrdiff_t receive_clear(kvi_net *net, void *data, size_t size, bool wait,
                               kivi_status *status, kivi_error **error)
{
    ssize_t got = recv(net->fd, data, size, wait && net->can_wait ? 0 : MSG_DONTWAIT);

    if (got > 0)
        return got;
    /* A signal ends the wait as time does: whoever drives looks up. */
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    *status = got == 0
                  ? kvi_net_break(net, KIVI_RETRY_YES, 0, "the server closed the connection", error)
                  : kvi_net_break(net, KIVI_RETRY_YES, errno, "the connection broke", error);
    return -1;
}

kivi_status kvi_net_receive(kvi_net *net, bool wait, kivi_error **error)
{
    size_t unread = net->in.end - net->in.begin, room;
    kivi_status status = KIVI_OK;
    ptrdiff_t got;

    net->more = false;
    if (!kvi_net_expect(net, unread + RECEIVE_LEAST))
        return kvi_net_no_memory(net, error);
    room = net->in.capacity - net->in.end;
    if (room > INT_MAX)
        room = INT_MAX;
    got = net->ssl ? kvi_net_tls_read(net, net->in.data + net->in.end, room, &status, error)
                   : receive_clear(net, net->in.data + net->in.end, room, wait, &status, error);
    if (got < 0)
        return status;
    if (got == 0)
        return KIVI_PENDING;
    net->in.end += (size_t)got;
    net->received += (uint64_t)got;
    net->more = net->ssl || (size_t)got == room; /* what TLS holds back, poll(2) does not know */
    return KIVI_OK;
}

void kvi_net_trim(kvi_net *net)
{
    if (net->out.capacity > KEPT_CAPACITY && net->sent == net->queued) {
        kvi_net_rewind(net);
        free(net->out.data);
        net->out.data = NULL;
        net->out.capacity = 0;
    }
    if (net->in.capacity > KEPT_CAPACITY && net->in.begin == net->in.end) {
        free(net->in.data);
        net->in.data = NULL;
        net->in.capacity = net->in.begin = net->in.end = 0;
    }
}
