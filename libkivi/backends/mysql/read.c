/* Reads: one statement for each set of columns that some item wants; what is touched, or taken on MySQL, is locked first. */
#include "my.h"

enum { GROUP_PLAIN = GROUP_VERB, GROUP_LOCKED = GROUP_PLAIN + 4, GROUP_TAKEN, GROUP_CHANGED };

static bool is_taken(const kivi_read_item *item)
{
    return item->then == KIVI_THEN_DELETE;
}

/* The statement that an item is asked by. */
static uint8_t group_of(const kivi_read_item *item)
{
    return is_taken(item) || kvi_sql_is_touched(item) ? GROUP_LOCKED
                                                      : (uint8_t)(GROUP_PLAIN + kvi_sql_wish(item));
}

static bool is_in(const kivi_read_item *item, uint8_t group)
{
    return item->status == KIVI_PENDING && group_of(item) == group;
}

/* ---- Asking ---- */

static void put_keys(my_session *session, uint8_t group)
{
    const kivi_read_vector *vector = session->job.reads;
    bool first = true;

    kvi_my_put(session, "key_name IN (");
    for (size_t i = 0; i < vector->count; i++) {
        const kivi_read_item *item = kivi_read_item_at(vector, i);
        if (!is_in(item, group))
            continue;
        kvi_my_put_listed(session, first, item->key);
        first = false;
    }
    kvi_my_put(session, ")");
}

static void ask_plain(my_session *session, uint8_t group)
{
    int flags = group - GROUP_PLAIN;

    kvi_my_statement(session, group);
    kvi_my_put(session, "SELECT key_name");
    if (flags & KVI_SQL_VALUE)
        kvi_my_put(session, ", value_data");
    if (flags & KVI_SQL_EXPIRY)
        kvi_my_put(session, ", " MY_LEFT);
    kvi_my_put(session, " FROM");
    kvi_my_put_table(session);
    kvi_my_put(session, "WHERE ");
    put_keys(session, group);
    kvi_my_put(session, " AND " MY_LIVE);
}

#define TAKEN_COLUMNS "key_name, value_data, " MY_STILL_LEFT ", " MY_STILL_LIVE

/* MariaDB tells what it deletes, and is done with it when it has told the last row. */
static bool takes_at_once(const my_session *session)
{
    const kivi_read_vector *vector = session->job.reads;

    for (size_t i = 0; i < vector->count; i++)
        if (is_in(kivi_read_item_at(vector, i), GROUP_LOCKED) && !is_taken(kivi_read_item_at(vector, i)))
            return false;
    return mariadb_connection((MYSQL *)(uintptr_t)&session->my);
}

static void ask_taken(my_session *session)
{
    kvi_my_statement(session, GROUP_TAKEN);
    kvi_my_put(session, "DELETE FROM");
    kvi_my_put_table(session);
    kvi_my_put(session, "WHERE ");
    put_keys(session, GROUP_LOCKED);
    kvi_my_put(session, " RETURNING " TAKEN_COLUMNS);
}

static void ask_locked(my_session *session)
{
    kvi_my_statement(session, GROUP_BEGIN);
    kvi_my_put(session, "START TRANSACTION");
    kvi_my_statement(session, GROUP_LOCKED);
    kvi_my_put(session, "SELECT " TAKEN_COLUMNS " FROM");
    kvi_my_put_table(session);
    kvi_my_put(session, "WHERE ");
    put_keys(session, GROUP_LOCKED);
    kvi_my_put(session, " ORDER BY key_name FOR UPDATE");
}

static void tell_sent(const kivi_read_vector *vector, bool locked)
{
    for (size_t i = 0; i < vector->count; i++) {
        kivi_read_item *item = kivi_read_item_at(vector, i);
        if (item->status == KIVI_PENDING && (group_of(item) == GROUP_LOCKED) == locked)
            item->sent = KIVI_SENT_WHOLLY; /* the text has it */
    }
}

void kvi_my_read_begin(my_session *session)
{
    const kivi_read_vector *vector = session->job.reads;
    size_t counts[GROUP_LOCKED + 1] = {0};

    for (size_t i = 0; i < vector->count; i++)
        if (kivi_read_item_at(vector, i)->status == KIVI_PENDING)
            counts[group_of(kivi_read_item_at(vector, i))]++;
    for (uint8_t group = GROUP_PLAIN; group < GROUP_LOCKED; group++)
        if (counts[group])
            ask_plain(session, group);
    tell_sent(vector, false);
    session->at_once = counts[GROUP_LOCKED] && takes_at_once(session);
    if (session->at_once) {
        ask_taken(session);
        tell_sent(vector, true);
    } else if (counts[GROUP_LOCKED]) {
        ask_locked(session);
    }
}

/* ---- Answers ---- */

static kivi_read_item *find(const kivi_read_vector *vector, kivi_slice key)
{
    size_t at = kvi_sql_find_item(vector->items, vector->item_size, vector->count, key);
    kivi_read_item *item = at < vector->count ? kivi_read_item_at(vector, at) : NULL;

    return item && item->status == KIVI_PENDING ? item : NULL;
}

static void end_group(const kivi_read_vector *vector, uint8_t group)
{
    for (size_t i = 0; i < vector->count; i++)
        if (is_in(kivi_read_item_at(vector, i), group))
            kivi_read_item_at(vector, i)->status = KIVI_NOT_FOUND;
}

void kvi_my_read_rows(my_session *session, uint8_t group, MYSQL_RES **rows)
{
    const kivi_read_vector *vector = session->job.reads;
    int flags = group - GROUP_PLAIN;
    MYSQL_ROW row;

    if (group == GROUP_LOCKED || group == GROUP_TAKEN) {
        session->held = *rows;
        *rows = NULL;
    }
    if (group >= GROUP_LOCKED)
        return;
    while ((row = mysql_fetch_row(*rows))) {
        kivi_read_item *item = find(vector, kvi_my_column(*rows, row, 0));
        kivi_slice value = {NULL, 0};
        if (!item)
            continue;
        if (flags & KVI_SQL_VALUE)
            value = kvi_my_column(*rows, row, 1);
        kvi_sql_tell_found(session->job.reads, item, value,
                           flags & KVI_SQL_EXPIRY ? kvi_my_number(row, flags & KVI_SQL_VALUE ? 2 : 1)
                                                  : KIVI_TTL_NONE);
    }
    end_group(vector, group);
}

/* ---- The second request: what was found is taken or touched ---- */

static bool is_live(MYSQL_ROW row)
{
    return kvi_my_number(row, 3) != 0;
}

static size_t put_taken(my_session *session)
{
    MYSQL_ROW row;
    size_t count = 0;

    mysql_data_seek(session->held, 0);
    while ((row = mysql_fetch_row(session->held))) {
        kivi_slice key = kvi_my_column(session->held, row, 0);
        const kivi_read_item *item = find(session->job.reads, key);
        if (!item || !is_taken(item))
            continue;
        if (!count) {
            kvi_my_statement(session, GROUP_CHANGED);
            kvi_my_put(session, "DELETE FROM");
            kvi_my_put_table(session);
            kvi_my_put(session, "WHERE key_name IN (");
        }
        kvi_my_put_listed(session, !count++, key);
    }
    if (count)
        kvi_my_put(session, ")");
    return count;
}

static size_t put_touched(my_session *session)
{
    MYSQL_ROW row;
    size_t count = 0;

    mysql_data_seek(session->held, 0);
    while ((row = mysql_fetch_row(session->held))) {
        kivi_slice key = kvi_my_column(session->held, row, 0);
        const kivi_read_item *item = find(session->job.reads, key);
        if (!item || !kvi_sql_is_touched(item) || !is_live(row))
            continue;
        if (!count) {
            kvi_my_statement(session, GROUP_CHANGED);
            kvi_my_put_touch(session);
        }
        kvi_my_put_touched(session, !count++, key, item->ttl_ms);
    }
    if (count)
        kvi_my_put_touch_end(session);
    return count;
}

/* Whoever is told a value that he took must be its only taker: the transaction is committed. */
static void tell_held(my_session *session)
{
    MYSQL_ROW row;

    mysql_data_seek(session->held, 0);
    while ((row = mysql_fetch_row(session->held))) {
        kivi_read_item *item = find(session->job.reads, kvi_my_column(session->held, row, 0));
        if (!item || !is_live(row)) /* what was taken had expired */
            continue;
        kvi_sql_tell_found(session->job.reads, item, kvi_my_column(session->held, row, 1),
                           kvi_sql_is_touched(item) ? item->ttl_ms : kvi_my_number(row, 2));
    }
    end_group(session->job.reads, GROUP_LOCKED);
    mysql_free_result(session->held);
    session->held = NULL;
}

kivi_status kvi_my_read_next(my_session *session)
{
    size_t changes;

    if (!session->held)
        return KIVI_OK;
    if (session->at_once || session->round == 1) {
        tell_held(session);
        return KIVI_OK;
    }
    kvi_my_request_begin(session);
    changes = put_taken(session);
    changes += put_touched(session);
    kvi_my_statement(session, changes ? GROUP_COMMIT : GROUP_ROLLBACK);
    kvi_my_put(session, changes ? "COMMIT" : "ROLLBACK");
    tell_sent(session->job.reads, true);
    return KIVI_PENDING;
}
