/* Commands in the form in which they are sent, and what they say of time and versions. */
#include "memcached.h"

#define OWN_MOST 192               /* words, numbers and flags of a command */
#define RECORD_MOST 16384          /* bytes of a TLS record */
#define RELATIVE_MOST (30 * 86400) /* seconds; beyond it the server takes times for absolute */
#define MS_PER_S 1000

/* ---- Commands ---- */

/*
 * A server (1.6.18) that has read all it wanted of a TLS record waits for the socket, and forgets what else the record held:
 * for ever, where nothing follows. So records hold whole commands, and a longer command ends with a record.
 */
static bool seal(mc_server *server, size_t most)
{
    kvi_net *net = &server->pipeline.net;

    if (!net->target->tls)
        return true;
    if (net->queued < server->sealed) /* rewound */
        server->sealed = 0;
    if (net->queued == server->sealed || net->queued + most <= server->sealed + RECORD_MOST)
        return true;
    server->sealed = net->queued;
    return kvi_net_seal(net);
}

uint8_t *kvi_mc_begin(mc_server *server, mc_reply reply, uint32_t item, size_t most)
{
    if (!seal(server, most + OWN_MOST) || !kvi_pipeline_add(&server->pipeline, (uint8_t)reply, item, 1))
        return NULL;
    return kvi_net_room(&server->pipeline.net, most + OWN_MOST);
}

static void wrote_up_to(kvi_net *net, const uint8_t *at)
{
    kvi_net_wrote(net, (size_t)(at - (net->out.data + net->out.size)));
}

kvi_command *kvi_mc_end(mc_server *server, uint8_t *at)
{
    wrote_up_to(&server->pipeline.net, at);
    return kvi_pipeline_added(&server->pipeline);
}

uint8_t *kvi_mc_refer(mc_server *server, uint8_t *at, kivi_slice value)
{
    kvi_net *net = &server->pipeline.net;

    wrote_up_to(net, at);
    return kvi_net_refer(net, value) ? kvi_net_room(net, OWN_MOST) : NULL;
}

uint8_t *kvi_mc_put(uint8_t *at, kivi_slice bytes)
{
    if (bytes.size)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

uint8_t *kvi_mc_put_text(uint8_t *at, const char *text)
{
    return kvi_mc_put(at, kivi_str(text));
}

uint8_t *kvi_mc_put_number(uint8_t *at, uint64_t number)
{
    uint8_t digits[20];
    size_t count = 0;

    do {
        digits[count++] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count)
        *at++ = digits[--count];
    return at;
}

/* ---- Time ---- */

/*
 * The server counts seconds in ticks that are at least one second apart. One tick may follow at once, and where ticks came
 * late the clock makes two seconds of one: two more than the TTL, so that no key goes early.
 */
#define SPARE_S 2

static int64_t monotonic_ms(void)
{
    return (int64_t)(kvi_mc_host->monotonic_ns() / 1000000);
}

bool kvi_mc_seconds(const mc_server *server, int64_t ttl_ms, uint64_t *seconds)
{
    *seconds = 0;
    if (ttl_ms <= 0)
        return true;
    *seconds = (uint64_t)((ttl_ms + MS_PER_S - 1) / MS_PER_S + SPARE_S);
    if (*seconds > RELATIVE_MOST)
        *seconds = (uint64_t)((monotonic_ms() + server->ahead_ms + ttl_ms + MS_PER_S - 1) / MS_PER_S);
    return *seconds <= SECONDS_END;
}

/* ---- Versions ---- */

static void put_big(uint8_t *bytes, uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8)
        bytes[i] = (uint8_t)number;
}

static uint64_t get_big(const uint8_t *bytes)
{
    uint64_t number = 0;

    for (int i = 0; i < 8; i++)
        number = number << 8 | bytes[i];
    return number;
}

void kvi_mc_version_put(const mc_server *server, uint64_t cas, uint8_t version[VERSION_SIZE])
{
    put_big(version, server->boot);
    put_big(version + 8, cas);
}

bool kvi_mc_version_read(const mc_server *server, kivi_slice version, uint64_t *cas)
{
    const uint8_t *bytes = version.data;

    *cas = 0;
    if (version.size != VERSION_SIZE || get_big(bytes) != server->boot)
        return false;
    *cas = get_big(bytes + 8);
    return *cas != 0;
}
