/* Scans: a page is one statement, by key, in the order of bytes. A cursor is the last key. */
#include "pg.h"

#include <stdlib.h>

#define PAGE_MOST 1024 /* rows of a statement: libpq holds all of them */

/* A cursor is text that the server can take: no NUL, and no longer than a key. */
static bool is_key(kivi_slice cursor)
{
    return cursor.size <= PG_KEY_MOST && !memchr(cursor.data, 0, cursor.size);
}

kivi_status kvi_pg_scan_begin(pg_session *session, kivi_error **error)
{
    const kivi_scan_range *range = session->job.range;
    kivi_slice from = kvi_sql_begins_behind(range);
    uint8_t *below = malloc(range->prefix.size + 4);
    size_t below_size = below ? kvi_sql_behind(range->prefix, below) : 0;
    int flags = (range->flags & KIVI_SCAN_KEYS ? 0 : KVI_SQL_VALUE) |
                (range->flags & KIVI_SCAN_WANT_EXPIRY ? KVI_SQL_EXPIRY : 0) |
                (from.size ? SCAN_AFTER : 0) | (below_size ? SCAN_BELOW : 0);
    kivi_status status = KIVI_OK;

    if (!below)
        return kvi_pg_no_memory(error);
    if (from.size && !is_key(from)) {
        *error = kvi_pg_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "no cursor of this store");
        status = KIVI_INVALID;
        goto out;
    }
    session->scan_flags = flags;
    session->scan_limit = range->limit < PAGE_MOST ? range->limit : PAGE_MOST;
    kvi_pg_parameters_begin(session);
    kvi_pg_put_slice(session, from.size ? from : range->prefix);
    kvi_pg_put_int8(session, (int64_t)session->scan_limit + 1);
    if (below_size)
        kvi_pg_put_slice(session, kivi_bytes(below, below_size));
    status = kvi_pg_send(session, PG_SCAN + flags, GROUP_VERB, error);
    if (!status)
        status = kvi_pg_sync(session, GROUP_VERB, error);
out:
    free(below);
    return status;
}

void kvi_pg_scan_rows(pg_session *session, const PGresult *result)
{
    const kivi_scan_range *range = session->job.range;
    kivi_scan_sink *sink = session->job.sink;
    bool has_value = session->scan_flags & KVI_SQL_VALUE,
         has_expiry = session->scan_flags & KVI_SQL_EXPIRY;
    int rows = PQntuples(result);
    kivi_slice last = {NULL, 0};

    for (int row = 0; row < rows; row++) {
        kivi_slice key = kvi_pg_slice(result, row, 0), value = {NULL, 0};
        kivi_status status;
        if ((uint64_t)row == session->scan_limit) {
            session->sink_status = sink->cursor(sink, last);
            return;
        }
        if (!kvi_sql_begins(key, range->prefix))
            return;
        if (has_value)
            value = kvi_pg_slice(result, row, 1);
        status = sink->pair(sink, key, value,
                            has_expiry ? kvi_pg_int8(result, row, 1 + has_value) : KIVI_TTL_NONE);
        last = key;
        if (status == KIVI_END && row + 1 < rows)
            status = sink->cursor(sink, last);
        else if (status == KIVI_OK)
            continue;
        session->sink_status = status == KIVI_END ? KIVI_OK : status;
        return;
    }
}

/* ---- Counting ---- */

/* Characters of text that is UTF-8. */
static int64_t characters(kivi_slice text)
{
    const uint8_t *data = text.data;
    int64_t count = 0;

    for (size_t i = 0; i < text.size; i++)
        count += (data[i] & 0xc0) != 0x80;
    return count;
}

kivi_status kvi_pg_count_begin(pg_session *session, kivi_error **error)
{
    kivi_slice prefix = session->job.count->prefix;
    uint8_t *below = malloc(prefix.size + 4);
    size_t below_size = below ? kvi_sql_behind(prefix, below) : 0;
    kivi_status status;

    if (!below)
        return kvi_pg_no_memory(error);
    kvi_pg_parameters_begin(session);
    kvi_pg_put_slice(session, prefix);
    kvi_pg_put_int4(session, (int32_t)characters(prefix) + 1);
    if (below_size)
        kvi_pg_put_slice(session, kivi_bytes(below, below_size));
    status = kvi_pg_send(session, below_size ? PG_COUNT + 1 : PG_COUNT, GROUP_VERB, error);
    if (!status)
        status = kvi_pg_sync(session, GROUP_VERB, error);
    free(below);
    return status;
}

void kvi_pg_count_rows(pg_session *session, const PGresult *result)
{
    if (PQntuples(result) != 1)
        return;
    session->job.count->names = (uint64_t)kvi_pg_int8(result, 0, 0);
    session->job.count->escaped = (uint64_t)kvi_pg_int8(result, 0, 1);
}
