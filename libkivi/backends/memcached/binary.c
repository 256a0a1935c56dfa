/* Whether a server that ends connections at their first line speaks the binary protocol alone: asked in that protocol. */
#include "memcached.h"

#define HEADER_SIZE 24
#define BODY_MOST 4096
#define REQUEST 0x80
#define RESPONSE 0x81
#define MECHANISMS 0x20 /* of SASL: known to a server with -S alone */
#define STATISTICS 0x10

/* ---- Asking ---- */

static uint8_t *put_request(uint8_t *at, uint8_t code, const char *key)
{
    const uint8_t size = (uint8_t)strlen(key);
    const uint8_t header[HEADER_SIZE] = {REQUEST, code, 0, size, [11] = size};

    return kvi_mc_put_text(kvi_mc_put(at, kivi_bytes(header, sizeof(header))), key);
}

bool kvi_mc_binary_ask(mc_server *server)
{
    uint8_t *at = kvi_mc_begin(server, REPLY_BINARY, 0, 0);

    if (!at)
        return false;
    at = put_request(put_request(at, MECHANISMS, ""), STATISTICS, "settings");
    kvi_mc_end(server, at)->unasked = true;
    return true;
}

/* ---- Answers ---- */

typedef struct packet {
    uint8_t code;
    bool ok;
    kivi_slice key, value;
} packet;

static uint32_t get_big(const uint8_t *bytes, size_t size)
{
    uint32_t number = 0;

    for (size_t i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

/* OK; PENDING: more must come; CORRUPT: it is none. */
static kivi_status read_packet(packet *is, const uint8_t *bytes, size_t size, kvi_portion *portion)
{
    uint32_t key, extras, body;

    if (size && bytes[0] != RESPONSE)
        return KIVI_CORRUPT;
    if (size < HEADER_SIZE)
        return KIVI_PENDING;
    key = get_big(bytes + 2, 2);
    extras = bytes[4];
    body = get_big(bytes + 8, 4);
    if (body > BODY_MOST || key + extras > body)
        return KIVI_CORRUPT;
    portion->need = HEADER_SIZE + body;
    if (size < portion->need)
        return KIVI_PENDING;
    portion->used = portion->need;
    is->code = bytes[1];
    is->ok = get_big(bytes + 6, 2) == 0;
    is->key = kivi_bytes(bytes + HEADER_SIZE + extras, key);
    is->value = kivi_bytes(bytes + HEADER_SIZE + extras + key, body - key - extras);
    return KIVI_OK;
}

static bool equals(kivi_slice is, const char *text)
{
    return is.size == strlen(text) && memcmp(is.data, text, is.size) == 0;
}

/* It stays mute to text: the next login asks so at once. */
static kivi_status unsupported(mc_server *server, const char *words, kivi_error **error)
{
    atomic_store_explicit(&server->session->instance->places[server->index].mute, true,
                          memory_order_relaxed);
    *error = kvi_mc_host->error(KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO, "%s", words);
    return KIVI_UNSUPPORTED;
}

/* The connection has spoken binary, and goes on so. */
static kivi_status usual_one(kivi_error **error)
{
    *error = kvi_mc_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
                                "the server ended the connection before it answered the login");
    return KIVI_UNAVAILABLE;
}

kivi_status kvi_mc_binary_reply(mc_server *server, const uint8_t *bytes, size_t size,
                                kvi_portion *portion, kivi_error **error)
{
    packet is;
    kivi_status status = read_packet(&is, bytes, size, portion);

    if (status == KIVI_PENDING)
        return status;
    server->unheard = false;
    if (status)
        return usual_one(error);
    if (is.code == MECHANISMS && is.ok)
        return unsupported(
            server,
            "the server wants SASL (-S), which only the binary protocol has, and that has no meta "
            "commands: start it with -Y for logins, or without",
            error);
    if (is.code == STATISTICS && equals(is.key, "binding_protocol") && equals(is.value, "binary"))
        return unsupported(
            server, "the server speaks the binary protocol alone (-B binary), which has no meta commands",
            error);
    if (is.code == STATISTICS && (!is.ok || is.key.size == 0))
        return usual_one(error);
    return KIVI_OK;
}
