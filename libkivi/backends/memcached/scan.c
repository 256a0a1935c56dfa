/* The scan verb (scan=metadump): a server's dump of all its keys, in pages, and what each key holds. */
#include "memcached.h"

#include <stdio.h>
#include <stdlib.h>

#define KEPT_MOST 500000 /* keys of a dump */
#define PAGE_MOST 256    /* pairs of a page */
#define WORDS_MOST 32    /* of a cursor, before its key */

/* ---- Cursors: the server, and the key behind which it goes on there ---- */

static kivi_status bad_cursor(kivi_error **error)
{
    *error = kvi_mc_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "not a cursor of the memcached backend");
    return KIVI_INVALID;
}

static kivi_status read_cursor(const mc_session *session, kivi_slice cursor, uint32_t *place,
                               kivi_slice *after, kivi_error **error)
{
    const char *at = (const char *)cursor.data, *end = at + cursor.size;
    uint64_t number;

    *place = 0;
    *after = kivi_bytes(NULL, 0);
    if (cursor.size == 0)
        return KIVI_OK;
    if (!kvi_mc_begins(cursor, "1 "))
        return bad_cursor(error);
    at += 2;
    if (!kvi_mc_digits(&at, end, &number) || number >= session->instance->rules.count ||
        at == end || *at++ != ' ' || end - at > KEY_MOST)
        return bad_cursor(error);
    *place = (uint32_t)number;
    *after = kivi_bytes(at, (size_t)(end - at));
    return KIVI_OK;
}

static kivi_status give_cursor(kivi_scan_sink *sink, uint32_t place, kivi_slice after)
{
    uint8_t bytes[WORDS_MOST + KEY_MOST];
    size_t size = (size_t)snprintf((char *)bytes, WORDS_MOST, "1 %u ", place);

    return sink->cursor(sink, kivi_bytes(bytes, (size_t)(kvi_mc_put(bytes + size, after) - bytes)));
}

/* ---- The dump ---- */

/* Of the hash table where the server can: of its LRU lists it misses what is moved in them meanwhile. */
static bool queue_dump(mc_server *server, bool by_lists)
{
    uint8_t *at = kvi_mc_begin(server, REPLY_DUMP, 0, 0);

    if (at)
        kvi_mc_end(server, kvi_mc_put_text(at, by_lists ? "lru_crawler metadump all\r\n"
                                                        : "lru_crawler metadump hash\r\n"))
            ->unasked = true;
    return at != NULL;
}

static int hex(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* "key=NAME exp=...": the key, of which what is no letter or digit may be written %XX. False: it is none. */
static bool read_key(kivi_slice text, uint8_t key[KEY_MOST], size_t *size)
{
    const uint8_t *at = (const uint8_t *)text.data + strlen("key="),
                  *end = (const uint8_t *)text.data + text.size;

    for (*size = 0; at < end && *at != ' '; at++) {
        int high = at + 2 < end && *at == '%' ? hex(at[1]) : -1, low = high >= 0 ? hex(at[2]) : -1;
        if (*size == KEY_MOST || (*at == '%' && low < 0))
            return false;
        key[(*size)++] = (uint8_t)(*at == '%' ? high << 4 | low : *at);
        at += *at == '%' ? 2 : 0;
    }
    return *size > 0;
}

/* No key of this store's: other clients may have put it, by its binary form or onto another server. */
static bool is_strange(const mc_server *server, kivi_slice key)
{
    const mc_ring *ring = server->session->instance->ring;
    const uint8_t *bytes = key.data;

    for (size_t i = 0; i < key.size; i++)
        if (bytes[i] <= ' ' || bytes[i] == 0x7f)
            return true;
    return ring && kvi_mc_ring_place(ring, key) != server->index;
}

static kivi_status take_key(mc_server *server, kivi_slice text, kivi_error **error)
{
    mc_dump *dump = server->session->page.dump;
    uint8_t bytes[KEY_MOST];
    kivi_slice key;
    size_t size;

    if (!read_key(text, bytes, &size))
        return kvi_mc_breach(error);
    key = kivi_bytes(bytes, size);
    if (size < dump->prefix.size ||
        (dump->prefix.size && memcmp(bytes, dump->prefix.data, dump->prefix.size) != 0) ||
        kvi_mc_is_clock(key) || is_strange(server, key))
        return KIVI_OK;
    return kvi_mc_dump_add(dump, key) ? KIVI_OK : kvi_mc_no_memory(error);
}

static kivi_status refused(kivi_slice text, kivi_error **error)
{
    if (kvi_mc_begins(text, "BUSY")) {
        *error = kvi_mc_host->error(KIVI_BUSY, 0, KIVI_RETRY_YES,
                                    "the server's crawler is at work for somebody else");
        return KIVI_BUSY;
    }
    if (!kvi_mc_begins(text, "ERROR") && !kvi_mc_begins(text, "CLIENT_ERROR"))
        return kvi_mc_breach(error);
    *error = kvi_mc_host->error(KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO,
                                "the server does not dump its keys (-X, or no_lru_crawler)");
    return KIVI_UNSUPPORTED;
}

kivi_status kvi_mc_scan_line(mc_server *server, kivi_slice text, bool *last, kivi_error **error)
{
    mc_page *page = &server->session->page;

    *last = false;
    if (kvi_mc_begins(text, "key="))
        return take_key(server, text, error);
    if (text.size == strlen("OK") && kvi_mc_begins(text, "OK"))
        return KIVI_OK;
    *last = true;
    if (kvi_mc_begins(text, "END"))
        return kvi_mc_dump_sort(page->dump) ? KIVI_OK : kvi_mc_no_memory(error);
    if (!kvi_mc_begins(text, "BADCLASS") || page->by_lists)
        return refused(text, error);
    page->by_lists = true; /* it does not know "hash" */
    return KIVI_OK;
}

/* ---- Pairs ---- */

static bool queue_pair(mc_server *server, kivi_slice key)
{
    const mc_page *page = &server->session->page;
    uint8_t *at = kvi_mc_begin(server, REPLY_PAIR, 0, key.size);

    if (!at)
        return false;
    at = kvi_mc_put(kvi_mc_put_text(at, "mg "), key); /* u: looking at it does not make it younger */
    at = kvi_mc_put_text(at, page->range->flags & KIVI_SCAN_KEYS ? " u t\r\n" : " u t v\r\n");
    kvi_mc_end(server, at)->unasked = true;
    return true;
}

static kivi_status queue_pairs(mc_server *server, kivi_error **error)
{
    const mc_page *page = &server->session->page;
    uint64_t most = page->range->limit < PAGE_MOST ? page->range->limit : PAGE_MOST;

    for (size_t i = 0; i < most && page->dump->next + i < page->dump->count; i++)
        if (!queue_pair(server, kvi_mc_dump_key(page->dump, page->dump->next + i)))
            return kvi_mc_no_memory(error);
    return KIVI_OK;
}

kivi_status kvi_mc_scan_pair(mc_server *server, const mc_line *line, kivi_slice value, kivi_error **error)
{
    mc_page *page = &server->session->page;
    kivi_slice key;
    kivi_status status;

    if (!line->code[0])
        return kvi_mc_refusal(line->text, error);
    if (!line_is(line, "EN") &&
        (!line_is(line, page->range->flags & KIVI_SCAN_KEYS ? "HD" : "VA") || !line->has_left))
        return kvi_mc_breach(error);
    if (page->enough) /* what comes behind is asked again */
        return KIVI_OK;
    key = kvi_mc_dump_key(page->dump, page->dump->next + page->given++);
    if (line_is(line, "EN"))
        return KIVI_OK;
    status = page->sink->pair(page->sink, key, value,
                              page->range->flags & KIVI_SCAN_WANT_EXPIRY ? kvi_mc_ttl(line)
                                                                         : KIVI_TTL_NONE);
    page->enough = status == KIVI_END;
    return page->enough ? KIVI_OK : status;
}

/* ---- The page ---- */

static kivi_status end_page(mc_server *server)
{
    mc_instance *mc = server->session->instance;
    mc_page *page = &server->session->page;
    mc_dump *dump = page->dump;
    kivi_status status = KIVI_OK;

    dump->next += page->given;
    page->dump = NULL;
    if (dump->next < dump->count || dump->cut)
        status = give_cursor(page->sink, server->index, kvi_mc_dump_position(dump));
    else if (server->index + 1 < mc->rules.count)
        status = give_cursor(page->sink, server->index + 1, kivi_bytes(NULL, 0));
    if (dump->next < dump->count)
        kvi_mc_dumps_keep(&mc->dumps, dump);
    else
        kvi_mc_dump_free(dump);
    return status;
}

kivi_status kvi_mc_scan_begin(mc_server *server, kivi_error **error)
{
    if (server->session->page.dump->sorted)
        return queue_pairs(server, error);
    return queue_dump(server, false) ? KIVI_OK : kvi_mc_no_memory(error);
}

kivi_status kvi_mc_scan_end(mc_server *server, kivi_error **error)
{
    mc_page *page = &server->session->page;
    const kvi_command *last = kvi_pipeline_command(&server->pipeline, server->pipeline.count - 1);
    bool dumped = last->kind == REPLY_DUMP;
    kivi_status status;

    kvi_pipeline_renew(&server->pipeline);
    if (!dumped || (page->dump->sorted && page->dump->count == 0))
        return end_page(server);
    if (!page->dump->sorted)
        return queue_dump(server, true) ? KIVI_PENDING : kvi_mc_no_memory(error);
    status = queue_pairs(server, error);
    return status ? status : KIVI_PENDING;
}

void kvi_mc_scan_drop(mc_session *session)
{
    mc_dump *dump = session->page.dump;

    session->page.range = NULL;
    session->page.dump = NULL;
    if (dump && dump->sorted && dump->next) /* nothing of it was given since */
        kvi_mc_dumps_keep(&session->instance->dumps, dump);
    else
        kvi_mc_dump_free(dump);
}

kivi_status kvi_mc_session_scan(mc_session *session, const kivi_scan_range *range,
                                kivi_scan_sink *sink, kivi_error **error)
{
    mc_instance *mc = session->instance;
    uint32_t place;
    kivi_slice after;
    kivi_status status = read_cursor(session, range->cursor, &place, &after, error);

    kvi_mc_scan_drop(session);
    session->reads = NULL;
    session->writes = NULL;
    if (status)
        return status;
    session->page = (mc_page){.range = range, .sink = sink};
    session->page.dump = kvi_mc_dumps_take(&mc->dumps, place, range->prefix, after);
    if (!session->page.dump)
        session->page.dump = kvi_mc_dump_new(kvi_mc_host, place, range->prefix, after, KEPT_MOST);
    if (!session->page.dump)
        return kvi_mc_no_memory(error);
    return kvi_members_begin_on(&session->members, place, error);
}
