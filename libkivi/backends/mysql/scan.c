/* Scans: a page is one statement, by key, in the order of bytes. A cursor is the last key. */
#include "my.h"

#include <stdlib.h>

#define PAGE_MOST 1024 /* rows of a statement: libmariadb holds all of them */

/* Keys under the prefix, of which `from` says where to begin: behind it, or, where it is empty, with the prefix. */
static bool put_range(my_session *session, kivi_slice prefix, kivi_slice from)
{
    uint8_t *below = malloc(prefix.size + 1);
    size_t size = below ? kvi_sql_behind_bytes(prefix, below) : 0;

    if (!below)
        return false;
    kvi_my_put(session, "WHERE key_name ");
    kvi_my_put(session, from.size ? "> " : ">= ");
    kvi_my_put_bytes(session, from.size ? from : prefix);
    if (size) {
        kvi_my_put(session, " AND key_name < ");
        kvi_my_put_bytes(session, kivi_bytes(below, size));
    }
    kvi_my_put(session, " AND " MY_LIVE);
    free(below);
    return true;
}

kivi_status kvi_my_scan_begin(my_session *session, kivi_error **error)
{
    const kivi_scan_range *range = session->job.range;
    kivi_slice from = kvi_sql_begins_behind(range);

    if (from.size > MY_KEY_MOST) {
        *error = kvi_my_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO, "no cursor of this store");
        return KIVI_INVALID;
    }
    session->scan_flags = (range->flags & KIVI_SCAN_KEYS ? 0 : KVI_SQL_VALUE) |
                          (range->flags & KIVI_SCAN_WANT_EXPIRY ? KVI_SQL_EXPIRY : 0);
    session->scan_limit = range->limit < PAGE_MOST ? range->limit : PAGE_MOST;
    kvi_my_statement(session, GROUP_VERB);
    kvi_my_put(session, "SELECT key_name");
    if (session->scan_flags & KVI_SQL_VALUE)
        kvi_my_put(session, ", value_data");
    if (session->scan_flags & KVI_SQL_EXPIRY)
        kvi_my_put(session, ", " MY_LEFT);
    kvi_my_put(session, " FROM");
    kvi_my_put_table(session);
    if (!put_range(session, range->prefix, from))
        return kvi_my_no_memory(error);
    kvi_my_put(session, " ORDER BY key_name LIMIT ");
    kvi_my_put_number(session, (int64_t)session->scan_limit + 1);
    return KIVI_OK;
}

/* One pair, and the cursor where it is the last of the page. KIVI_PENDING: go on. */
static kivi_status take_row(my_session *session, MYSQL_RES *rows, MYSQL_ROW row, bool is_last)
{
    kivi_scan_sink *sink = session->job.sink;
    bool has_value = session->scan_flags & KVI_SQL_VALUE,
         has_expiry = session->scan_flags & KVI_SQL_EXPIRY;
    kivi_slice key = kvi_my_column(rows, row, 0), value = {NULL, 0};
    kivi_status status;

    if (has_value)
        value = kvi_my_column(rows, row, 1);
    status = sink->pair(sink, key, value, has_expiry ? kvi_my_number(row, 1 + has_value) : KIVI_TTL_NONE);
    if (status == KIVI_OK)
        return KIVI_PENDING;
    return status == KIVI_END ? (is_last ? KIVI_OK : sink->cursor(sink, key)) : status;
}

void kvi_my_scan_rows(my_session *session, MYSQL_RES *rows)
{
    kivi_scan_sink *sink = session->job.sink;
    uint64_t count = mysql_num_rows(rows);
    kivi_slice last = {NULL, 0};
    kivi_status status = KIVI_PENDING;

    for (uint64_t at = 0; at < count && status == KIVI_PENDING; at++) {
        MYSQL_ROW row = mysql_fetch_row(rows);
        if (at == session->scan_limit) {
            status = sink->cursor(sink, last);
            break;
        }
        last = kvi_my_column(rows, row, 0); /* the result holds all rows */
        status = take_row(session, rows, row, at + 1 == count);
    }
    session->sink_status = status == KIVI_PENDING ? KIVI_OK : status;
}

/* ---- Counting ---- */

kivi_status kvi_my_count_begin(my_session *session, kivi_error **error)
{
    kvi_my_statement(session, GROUP_VERB);
    kvi_my_put(session, "SELECT COUNT(*) FROM");
    kvi_my_put_table(session);
    return put_range(session, session->job.count->prefix, kivi_bytes(NULL, 0))
               ? KIVI_OK
               : kvi_my_no_memory(error);
}

void kvi_my_count_rows(my_session *session, MYSQL_RES *rows)
{
    MYSQL_ROW row = mysql_fetch_row(rows);

    if (row)
        session->job.count->names = (uint64_t)kvi_my_number(row, 0);
}
