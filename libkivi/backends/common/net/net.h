/* A stepped connection: names, addresses in turn, TLS, and buffers in both directions; nothing blocks. */
#ifndef KVI_NET_H
#define KVI_NET_H

#include "resolve.h"

struct ssl_st;

/*
 * States of a connection. connect() begins, advance() goes on until OPEN; then queue bytes, flush() them,
 * receive() and consume. A failure in any call leaves it BROKEN: close it, and connect again if wanted.
 *
 *   CLOSED -> RESOLVING -> CONNECTING -> SHAKING -> OPEN     (a numeric address, or a socket's path, is not
 *                              ^            |                 resolved; without TLS nothing is shaken)
 *                              +- next address on failure
 *
 * Who drives it waits by kvi_net_wait() and keeps the deadlines. One thread at a time.
 */
typedef enum kvi_net_state {
    KVI_NET_CLOSED = 0,
    KVI_NET_RESOLVING,
    KVI_NET_CONNECTING,
    KVI_NET_SHAKING,
    KVI_NET_OPEN,
    KVI_NET_BROKEN
} kvi_net_state;

/* ---- TLS (trust.c) ---- */

/* What a TLS connection is made by, all texts NULL where not said. Read during kvi_net_tls_new() only. */
typedef struct kvi_net_tls_settings {
    const char *ca_file, *ca_dir; /* both NULL: the system's */
    const char *crl_file;         /* revoked certificates: a list of each authority in a chain */
    const char *cert_file;        /* of the client, with its chain */
    const char *key_file;         /* NULL: in cert_file as well */
    const char *server_name;      /* NULL: the host connected to */
    const char *protocols; /* offered by ALPN, separated by spaces: "h2 http/1.1"; NULL: none */
    bool verify;
} kvi_net_tls_settings;

/* Settings that connections share; owned by whoever made them, and outlive the connections. */
typedef struct kvi_net_tls kvi_net_tls;
/* Reads all files, now. INVALID names the file and why; `server_name` is needed where `host` is NULL. */
kivi_status kvi_net_tls_new(const kivi_host *core, const kvi_net_tls_settings *settings,
                            const char *host, kvi_net_tls **tls, kivi_error **error);
/* The same for another host, without reading a file: its name is the one to expect, unless the settings had one. NULL
 * without memory. */
kvi_net_tls *kvi_net_tls_for(const kvi_net_tls *tls, const char *host);
void kvi_net_tls_free(kvi_net_tls *tls); /* NULL is nothing */

/* ---- Where to ---- */

/* Owned by the backend's instance; outlives the connections. */
typedef struct kvi_net_target {
    kvi_place place;
    kvi_net_tls *tls; /* NULL: in clear */
} kvi_net_target;

/* ---- A connection ---- */

/* Bytes outside the buffer that belong into the stream at a place. */
typedef struct kvi_net_reference {
    size_t at; /* offset in out.data that they come before */
    kivi_slice bytes;
} kvi_net_reference;

/*
 * Lies in its owner's memory; fields are for reading. Offsets count the bytes queued since the last
 * kvi_net_rewind(), so that an owner who noted where an item begins and ends knows how much of it has left:
 * nothing while `begun` <= begin, all of it once `sent` >= end.
 */
typedef struct kvi_net {
    const kvi_net_target *target;
    kvi_net_state state;
    int fd;            /* -1: none */
    uint32_t closings; /* descriptors that it has closed, for who keeps them in a set (net_set.h) */
    kvi_resolve walk;  /* while it connects */
    /* TLS */
    struct ssl_st *ssl;
    bool wants_write, wants_read; /* of a read, or of a write, that TLS could not do without */
    bool more;                    /* receive() may have more at once */
    bool can_wait;                /* receive() can wait: the socket's reads are timed */
    /* to be sent: bytes copied, and those only referred to */
    struct {
        uint8_t *data;
        size_t size, capacity, at; /* `at`: the next to leave */
        kvi_net_reference *references;
        size_t reference_count, reference_room, reference, reference_at;
    } out;
    uint64_t queued, sent, begun;
    uint64_t received; /* in all, by every connection */
    /* received and not yet consumed: data[begin..end) */
    struct {
        uint8_t *data;
        size_t begin, end, capacity;
    } in;
} kvi_net;

void kvi_net_init(kvi_net *net, const kvi_net_target *target);
/*
 * Begins. OK: open; PENDING; or, from here and from advance():
 * UNAVAILABLE, RETRY_LATER: every address refused, or the name does not exist;
 * UNAVAILABLE, RETRY_YES: it broke, nothing of the owner's was sent;
 * DENIED: a certificate of either side was not accepted (says which, and why);
 * NO_MEMORY, IO: this process has no memory, descriptor or thread for it; at once, and not to be retried.
 */
kivi_status kvi_net_connect(kvi_net *net, kivi_error **error);
kivi_status kvi_net_advance(kvi_net *net, uint32_t revents, kivi_error **error);
/* What to wait for, in every state. */
void kvi_net_wait(const kvi_net *net, kivi_poll *poll);
/* Whether an idle open connection was closed by its peer, or has bytes that nobody asked for. One system call. */
bool kvi_net_is_stale(const kvi_net *net);
/* Of the protocols offered, the one that the server took (of an open TLS connection); empty: it took none. */
kivi_slice kvi_net_protocol(const kvi_net *net);
/* Says goodbye (TLS), closes; what was queued and received is forgotten, memory is kept. */
void kvi_net_close(kvi_net *net);
/* Closes, and frees all memory: the end. */
void kvi_net_free(kvi_net *net);
/* The end in a child of a fork: says nothing on the wire. `whole`: no thread of the parent was inside, memory is freed too. */
void kvi_net_abandon(kvi_net *net, bool whole);

/* ---- Sending (stream.c) ---- */

/* Room for so many items of `size` bytes in an array, by doubling what it has. False without memory: it is as it was. */
bool kvi_net_grow(void **array, size_t *room, size_t wanted, size_t size);

/* Room for `size` bytes at the end of what is queued; NULL without memory. Valid until the next call. */
uint8_t *kvi_net_room(kvi_net *net, size_t size);
/* So many bytes were written there. */
static inline void kvi_net_wrote(kvi_net *net, size_t size)
{
    net->out.size += size;
    net->queued += size;
}
/* Queues bytes without copying them: they stay as they are until `sent` has passed them. False without memory. */
bool kvi_net_refer(kvi_net *net, kivi_slice bytes);
/* TLS: a record ends with what is queued so far, for peers that lose what lies behind a message in a record. False without memory. */
bool kvi_net_seal(kvi_net *net);
/* Sends what can be. OK: everything left; PENDING; UNAVAILABLE: it broke. */
kivi_status kvi_net_flush(kvi_net *net, kivi_error **error);
/* Forgets what was queued, once all of it was sent; copied bytes (offset 0 on) can be read until then. */
void kvi_net_rewind(kvi_net *net);

/* ---- Receiving (stream.c) ---- */

/*
 * Reads what is there into `in`. OK: something came (`more`: perhaps not all); PENDING; UNAVAILABLE: it broke.
 * `wait`: where nothing is there, and the connection can, waits for it up to KIVI_STEP_WAIT_NS, or a signal.
 */
kivi_status kvi_net_receive(kvi_net *net, bool wait, kivi_error **error);
static inline const uint8_t *kvi_net_bytes(const kvi_net *net, size_t *size)
{
    *size = net->in.end - net->in.begin;
    return net->in.data + net->in.begin;
}
static inline void kvi_net_consume(kvi_net *net, size_t size)
{
    net->in.begin += size;
    if (net->in.begin == net->in.end)
        net->in.begin = net->in.end = 0;
}
/* At least so many unconsumed bytes will be wanted together. False without memory. */
bool kvi_net_expect(kvi_net *net, size_t size);
/* Gives large memory back, with nothing in flight. */
void kvi_net_trim(kvi_net *net);

#endif
