/* Reads: one statement for each set of columns that some item wants, and for those that take or touch. */
#include "pg.h"

enum { GROUP_PLAIN = GROUP_VERB, GROUP_TAKE = GROUP_PLAIN + 4, GROUP_TOUCH };

/* The statement that an item is asked by. */
static uint16_t group_of(const kivi_read_item *item)
{
    if (item->then == KIVI_THEN_DELETE)
        return GROUP_TAKE;
    if (kvi_sql_is_touched(item))
        return GROUP_TOUCH;
    return (uint16_t)(GROUP_PLAIN + kvi_sql_wish(item));
}

static bool is_in(const kivi_read_item *item, uint16_t group)
{
    return item->status == KIVI_PENDING && group_of(item) == group;
}

/* ---- Asking ---- */

static void put_keys(pg_session *session, uint16_t group, size_t count)
{
    const kivi_read_vector *vector = session->job.reads;

    kvi_pg_array_begin(session, PG_TEXT, count);
    for (size_t i = 0; i < vector->count; i++)
        if (is_in(kivi_read_item_at(vector, i), group))
            kvi_pg_array_bytes(session, kivi_read_item_at(vector, i)->key);
}

static void put_ttls(pg_session *session, size_t count)
{
    const kivi_read_vector *vector = session->job.reads;

    kvi_pg_array_begin(session, PG_INT8, count);
    for (size_t i = 0; i < vector->count; i++) {
        const kivi_read_item *item = kivi_read_item_at(vector, i);
        if (is_in(item, GROUP_TOUCH) && item->ttl_ms == KIVI_TTL_NONE)
            kvi_pg_array_null(session);
        else if (is_in(item, GROUP_TOUCH))
            kvi_pg_array_int8(session, item->ttl_ms);
    }
}

static int put_plain(pg_session *session, uint16_t group, size_t count)
{
    const kivi_read_vector *vector = session->job.reads;

    if (vector->count > 1) {
        put_keys(session, group, count);
        return PG_MGET + group - GROUP_PLAIN;
    }
    kvi_pg_put_slice(session, kivi_read_item_at(vector, 0)->key);
    return PG_GET + group - GROUP_PLAIN;
}

static void tell_sent(const kivi_read_vector *vector, uint16_t group, int32_t sent)
{
    for (size_t i = 0; i < vector->count; i++)
        if (is_in(kivi_read_item_at(vector, i), group))
            kivi_read_item_at(vector, i)->sent = sent;
}

static kivi_status ask_group(pg_session *session, uint16_t group, size_t count, kivi_error **error)
{
    int statement = group == GROUP_TAKE ? PG_TAKE : PG_TOUCH;
    kivi_status status;

    kvi_pg_parameters_begin(session);
    if (group < GROUP_TAKE)
        statement = put_plain(session, group, count);
    else
        put_keys(session, group, count);
    if (group == GROUP_TOUCH)
        put_ttls(session, count);
    tell_sent(session->job.reads, group, KIVI_SENT_PARTLY);
    status = kvi_pg_send(session, statement, group, error);
    if (!status)
        tell_sent(session->job.reads, group, KIVI_SENT_WHOLLY); /* libpq has copied it */
    return status;
}

kivi_status kvi_pg_read_begin(pg_session *session, kivi_error **error)
{
    const kivi_read_vector *vector = session->job.reads;
    size_t counts[GROUP_TOUCH + 1] = {0};
    kivi_status status = KIVI_OK;

    for (size_t i = 0; i < vector->count; i++)
        if (kivi_read_item_at(vector, i)->status == KIVI_PENDING)
            counts[group_of(kivi_read_item_at(vector, i))]++;
    if (counts[GROUP_TAKE] + counts[GROUP_TOUCH])
        status = kvi_pg_limit_transaction(session, false, error);
    for (uint16_t group = GROUP_PLAIN; group <= GROUP_TOUCH && !status; group++)
        if (counts[group])
            status = ask_group(session, group, counts[group], error);
    return status ? status : kvi_pg_sync(session, GROUP_VERB, error);
}

/* ---- Answers ---- */

/* The columns are those of the group, behind the key where there are several. */
static void take_plain_row(pg_session *session, const PGresult *result, int row,
                           kivi_read_item *item, uint16_t group)
{
    int column = session->job.reads->count > 1;
    kivi_slice value = {NULL, 0};
    int64_t ttl_ms = KIVI_TTL_NONE;
    int flags = group - GROUP_PLAIN;

    if (flags & KVI_SQL_VALUE)
        value = kvi_pg_slice(result, row, column++);
    if (flags & KVI_SQL_EXPIRY)
        ttl_ms = kvi_pg_int8(result, row, column);
    kvi_sql_tell_found(session->job.reads, item, value, ttl_ms);
}

static void take_all_rows(pg_session *session, const PGresult *result, uint16_t group)
{
    const kivi_read_vector *vector = session->job.reads;
    bool is_plain = group < GROUP_TAKE;

    for (int row = 0; row < PQntuples(result); row++) {
        size_t at = 0;
        kivi_read_item *item;
        if (!is_plain || vector->count > 1)
            at = kvi_sql_find_item(vector->items, vector->item_size, vector->count,
                                   kvi_pg_slice(result, row, 0));
        item = at < vector->count ? kivi_read_item_at(vector, at) : NULL;
        if (!item || item->status != KIVI_PENDING)
            continue;
        if (is_plain)
            take_plain_row(session, result, row, item, group);
        else if (*PQgetvalue(result, row, 3)) /* else what was taken had expired */
            kvi_sql_tell_found(session->job.reads, item, kvi_pg_slice(result, row, 1),
                               kvi_pg_int8(result, row, 2));
    }
}

static void end_group(pg_session *session, uint16_t group)
{
    const kivi_read_vector *vector = session->job.reads;

    for (size_t i = 0; i < vector->count; i++)
        if (is_in(kivi_read_item_at(vector, i), group))
            kivi_read_item_at(vector, i)->status = KIVI_NOT_FOUND;
}

/*
 * Whoever is told a value that he took must be its only taker: until the transaction is committed, another statement
 * of it, or the commit itself, can take all back.
 */
void kvi_pg_read_rows(pg_session *session, PGresult **result, uint16_t group)
{
    if (group < GROUP_TAKE) {
        take_all_rows(session, *result, group);
        return;
    }
    PQclear(session->held[group - GROUP_TAKE]);
    session->held[group - GROUP_TAKE] = *result;
    *result = NULL;
}

void kvi_pg_read_done(pg_session *session, uint16_t group)
{
    if (group < GROUP_TAKE)
        end_group(session, group);
}

void kvi_pg_read_committed(pg_session *session)
{
    for (uint16_t group = GROUP_TAKE; group <= GROUP_TOUCH; group++) {
        PGresult *held = session->held[group - GROUP_TAKE];
        if (!held)
            continue;
        take_all_rows(session, held, group);
        end_group(session, group);
        PQclear(held);
        session->held[group - GROUP_TAKE] = NULL;
    }
}
