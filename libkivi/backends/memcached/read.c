/* The read verb: one mg for each key. */
#include "memcached.h"

bool kvi_mc_read_queue(mc_server *server, uint32_t index)
{
    kivi_read_item *item = kivi_read_item_at(server->session->reads, index);
    bool touches = item->then == KIVI_THEN_TOUCH && item->ttl_ms != KIVI_TTL_KEEP;
    uint64_t seconds = 0;
    uint8_t *at;

    if (touches && !kvi_mc_seconds(server, item->ttl_ms, &seconds)) {
        item->error = kvi_mc_host->error(
            KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO,
            "the TTL ends after January 2038, which servers take for long gone");
        item->status = KIVI_UNSUPPORTED;
        return true;
    }
    at = kvi_mc_begin(server, REPLY_READ, index, item->key.size);
    if (!at)
        return false;
    at = kvi_mc_put(kvi_mc_put_text(at, "mg "), item->key);
    if (touches)
        at = kvi_mc_put_number(kvi_mc_put_text(at, " T"), seconds);
    if (item->want & KIVI_WANT_VALUE)
        at = kvi_mc_put_text(at, " v");
    if (item->want & KIVI_WANT_VERSION)
        at = kvi_mc_put_text(at, " c");
    if (item->want & KIVI_WANT_EXPIRY)
        at = kvi_mc_put_text(at, " t");
    kvi_mc_end(server, kvi_mc_put_text(at, "\r\n"));
    return true;
}

int64_t kvi_mc_ttl(const mc_line *line)
{
    if (line->left < 0)
        return KIVI_TTL_NONE;
    return line->left > 0 ? line->left * 1000 : 1;
}

static void found(mc_server *server, kivi_read_item *item, const mc_line *line, kivi_slice value)
{
    kivi_read_vector *vector = server->session->reads;
    uint8_t version[VERSION_SIZE];
    kivi_status status = KIVI_OK;

    if (item->want & KIVI_WANT_EXPIRY)
        item->ttl_ms = kvi_mc_ttl(line);
    if (item->want & KIVI_WANT_VERSION)
        kvi_mc_version_put(server, line->cas, version);
    if (item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION))
        status = vector->deliver(vector, item, value,
                                 kivi_bytes(version, item->want & KIVI_WANT_VERSION ? VERSION_SIZE : 0));
    item->status = status;
}

bool kvi_mc_read_reply(mc_server *server, uint32_t index, const mc_line *line, kivi_slice value)
{
    kivi_read_item *item = kivi_read_item_at(server->session->reads, index);

    if (!line->code[0]) {
        item->status = kvi_mc_refusal(line->text, &item->error);
        return true;
    }
    if (line_is(line, "EN")) {
        item->status = KIVI_NOT_FOUND;
        return true;
    }
    if (!line_is(line, item->want & KIVI_WANT_VALUE ? "VA" : "HD") ||
        (item->want & KIVI_WANT_VERSION && !line->has_cas) ||
        (item->want & KIVI_WANT_EXPIRY && !line->has_left))
        return false;
    found(server, item, line, value);
    return true;
}
