/* The write verb: single meta commands where they do; else a look, and a write under the cas that it saw. */
#include "memcached.h"

#define REFER_FROM (16 * 1024)

/*
 * A key with a fixed end: what it has left tells the server's second. It lies outside what keys are stored as: "%25" is
 * written before two hexadecimal digits only.
 */
#define CLOCK_KEY "kivi%25clock"

bool kvi_mc_is_clock(kivi_slice key)
{
    return key.size == strlen(CLOCK_KEY) && memcmp(key.data, CLOCK_KEY, key.size) == 0;
}

static bool is_set(const kivi_write_item *item)
{
    return item->kind == KIVI_OP_SET;
}

/* The new bytes follow from the old ones. */
static bool adds(const kivi_write_item *item)
{
    return item->kind == KIVI_OP_INCREMENT;
}

bool kvi_mc_write_keeps(const kivi_write_item *item)
{
    return adds(item) || (is_set(item) && item->ttl_ms == KIVI_TTL_KEEP);
}

/* What no single command does. */
static bool needs_look(const kivi_write_item *item)
{
    switch (item->condition) {
    case KIVI_IF_ABSENT:
        return !is_set(item);
    case KIVI_IF_EQUAL:
        return true;
    case KIVI_IF_VERSION:
        return (item->kind != KIVI_OP_DELETE && !is_set(item)) || kvi_mc_write_keeps(item);
    default:
        return item->kind == KIVI_OP_CHECK || kvi_mc_write_keeps(item);
    }
}

void kvi_mc_write_plan(const kivi_write_item *item, mc_item *own)
{
    *own = (mc_item){.todo = true, .stage = STAGE_SIMPLE};
    if (needs_look(item))
        own->stage = STAGE_LOOK;
    else if (is_set(item) && item->condition == KIVI_IF_ALWAYS && item->flags & KIVI_OP_WANT_EXISTED)
        own->stage = STAGE_ADD;
}

/* ---- Commands ---- */

typedef struct stored {
    kivi_slice key, value;
    char mode; /* 'E': only if absent; 'R': only if present; 0 */
    uint64_t cas, seconds;
    uint32_t flags;
    bool last; /* whatever comes back, nothing more of the item is sent */
} stored;

static bool queue_store(mc_server *server, uint32_t index, const stored *is)
{
    bool in_clear = !server->pipeline.net.target->tls; /* records hold whole commands */
    bool refer = is->value.size >= REFER_FROM && in_clear;
    uint8_t *at = kvi_mc_begin(server, REPLY_STORE, index, is->key.size + (refer ? 0 : is->value.size));

    if (!at)
        return false;
    at = kvi_mc_put_text(kvi_mc_put(kvi_mc_put_text(at, "ms "), is->key), " ");
    at = kvi_mc_put_number(kvi_mc_put_text(kvi_mc_put_number(at, is->value.size), " T"), is->seconds);
    if (is->flags)
        at = kvi_mc_put_number(kvi_mc_put_text(at, " F"), is->flags);
    if (is->cas)
        at = kvi_mc_put_number(kvi_mc_put_text(at, " C"), is->cas);
    if (is->mode) {
        at = kvi_mc_put_text(at, " M");
        *at++ = (uint8_t)is->mode;
    }
    at = kvi_mc_put_text(at, "\r\n");
    at = refer ? kvi_mc_refer(server, at, is->value) : kvi_mc_put(at, is->value);
    if (!at)
        return false;
    kvi_mc_end(server, kvi_mc_put_text(at, "\r\n"))->more = !is->last;
    return true;
}

static bool queue_delete(mc_server *server, uint32_t index, kivi_slice key, uint64_t cas, bool last)
{
    uint8_t *at = kvi_mc_begin(server, REPLY_DELETE, index, key.size);

    if (!at)
        return false;
    at = kvi_mc_put(kvi_mc_put_text(at, "md "), key);
    if (cas)
        at = kvi_mc_put_number(kvi_mc_put_text(at, " C"), cas);
    kvi_mc_end(server, kvi_mc_put_text(at, "\r\n"))->more = !last;
    return true;
}

static bool queue_touch(mc_server *server, uint32_t index, kivi_slice key, uint64_t seconds)
{
    uint8_t *at = kvi_mc_begin(server, REPLY_TOUCH, index, key.size);

    if (!at)
        return false;
    at = kvi_mc_put_number(kvi_mc_put_text(kvi_mc_put(kvi_mc_put_text(at, "mg "), key), " T"), seconds);
    kvi_mc_end(server, kvi_mc_put_text(at, "\r\n"));
    return true;
}

/* A look changes nothing: as long as only that was sent, the item may be sent again. */
static bool queue_clock(mc_server *server, uint32_t index, mc_reply reply)
{
    static const char ask[] = "mg " CLOCK_KEY " t\r\n", make[] = "ms " CLOCK_KEY " 0 ME T";
    uint8_t *at = kvi_mc_begin(server, reply, index, 0);

    if (!at)
        return false;
    if (reply == REPLY_CLOCK_MADE)
        at = kvi_mc_put_text(kvi_mc_put_number(kvi_mc_put_text(at, make), SECONDS_END), "\r\n\r\n");
    else
        at = kvi_mc_put_text(at, ask);
    kvi_mc_end(server, at)->unasked = true;
    return true;
}

/* Whether the bytes that are there are needed: to judge by them, to add to them, or to write them again. */
static bool looks_at_value(const kivi_write_item *item)
{
    return adds(item) || item->condition == KIVI_IF_EQUAL || item->kind == KIVI_OP_TOUCH;
}

static bool queue_look_item(mc_server *server, uint32_t index, const kivi_write_item *item)
{
    uint8_t *at = kvi_mc_begin(server, REPLY_LOOK, index, item->key.size);

    if (!at)
        return false;
    at = kvi_mc_put(kvi_mc_put_text(at, "mg "), item->key);
    at = kvi_mc_put_text(at, looks_at_value(item) ? " v c f t\r\n" : " c f t\r\n");
    kvi_mc_end(server, at)->unasked = true;
    return true;
}

/* Between two looks at the clock that agree, the second is known in which the item had so much left. */
static bool queue_look(mc_server *server, uint32_t index, const kivi_write_item *item)
{
    if (!kvi_mc_write_keeps(item))
        return queue_look_item(server, index, item);
    server->session->items[index].clock = CLOCK_MISSING;
    return queue_clock(server, index, REPLY_CLOCK) && queue_look_item(server, index, item) &&
           queue_clock(server, index, REPLY_CLOCK_AGAIN);
}

/* ---- What an item sends next ---- */

static void refuse(kivi_write_item *item, kivi_status status, const char *words)
{
    item->error = kvi_mc_host->error(status, 0, KIVI_RETRY_NO, "%s", words);
    item->status = status;
}

/* A refused set would delete what is there. False: the item has its answer. */
static bool may_send(const mc_server *server, kivi_write_item *item)
{
    if (!is_set(item) || item->key.size + item->value.size + ITEM_EXTRA <= server->item_most)
        return true;
    refuse(item, KIVI_TOO_LARGE, "the item is larger than the server takes (-I)");
    return false;
}

static bool queue_simple(mc_server *server, uint32_t index, kivi_write_item *item, uint64_t seconds)
{
    stored is = {.key = item->key, .value = item->value, .seconds = seconds, .last = true};

    if (item->condition == KIVI_IF_VERSION && !kvi_mc_version_read(server, item->expected, &is.cas)) {
        item->status = KIVI_CONDITION; /* no version of this store */
        return true;
    }
    if (item->condition == KIVI_IF_ABSENT)
        is.mode = 'E';
    if (item->condition == KIVI_IF_PRESENT)
        is.mode = 'R';
    if (is_set(item))
        return queue_store(server, index, &is);
    if (item->kind == KIVI_OP_DELETE)
        return queue_delete(server, index, item->key, is.cas, true);
    return queue_touch(server, index, item->key, seconds);
}

static bool queue_under_cas(mc_server *server, uint32_t index, const kivi_write_item *item, uint64_t seconds)
{
    const mc_item *own = &server->session->items[index];
    stored is = {.key = item->key, .value = item->value, .cas = own->cas, .seconds = seconds};

    if (item->kind == KIVI_OP_DELETE)
        return queue_delete(server, index, item->key, own->cas, false);
    if (kvi_mc_write_keeps(item))
        is.seconds = own->left < 0 ? 0 : (uint64_t)own->left;
    if (!is_set(item))
        is.value = kivi_bytes(own->copy, own->copy_size);
    if (item->kind == KIVI_OP_TOUCH) /* the bytes stay whose they were */
        is.flags = own->flags;
    return queue_store(server, index, &is);
}

static bool queue_fresh(mc_server *server, uint32_t index, const kivi_write_item *item, uint64_t seconds)
{
    const mc_item *own = &server->session->items[index];
    stored is = {.key = item->key, .value = item->value, .mode = 'E'};

    if (adds(item)) {
        is.value = kivi_bytes(own->copy, own->copy_size);
        is.seconds = seconds;
    }
    return queue_store(server, index, &is);
}

bool kvi_mc_write_queue(mc_server *server, uint32_t index)
{
    kivi_write_item *item = kivi_write_item_at(server->session->writes, index);
    uint8_t stage = server->session->items[index].stage;
    stored is = {.key = item->key, .value = item->value, .mode = stage == STAGE_ADD ? 'E' : 'R'};

    if (!may_send(server, item))
        return true;
    if (!kvi_mc_seconds(server, item->ttl_ms, &is.seconds)) {
        refuse(item, KIVI_UNSUPPORTED,
               "the TTL ends after January 2038, which servers take for long gone");
        return true;
    }
    switch (stage) {
    case STAGE_ADD:
    case STAGE_REPLACE:
        return queue_store(server, index, &is);
    case STAGE_LOOK:
        return queue_look(server, index, item);
    case STAGE_CLOCK:
        return queue_clock(server, index, REPLY_CLOCK_MADE);
    case STAGE_FRESH:
        return queue_fresh(server, index, item, is.seconds);
    case STAGE_UNDER_CAS:
        return queue_under_cas(server, index, item, is.seconds);
    default:
        return queue_simple(server, index, item, is.seconds);
    }
}
