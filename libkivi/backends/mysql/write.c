/* Writes: what is plain goes as one statement; all else is locked, judged here, and written, in one transaction. */
#include "my.h"

#include <stdlib.h>

enum { GROUP_LOCK = GROUP_VERB, GROUP_FOUND, GROUP_ADD, GROUP_IF, GROUP_CHANGE };

#define STATEMENT_MOST (UINT64_C(2) << 20)
#define INSERT_COLUMNS "(key_name, value_data, kivi_expires, kivi_hash) VALUES "
#define TAKE_NEW                                                 \
    " ON DUPLICATE KEY UPDATE value_data = VALUES(value_data), " \
    "kivi_hash = VALUES(kivi_hash), kivi_expires = VALUES(kivi_expires)"
/* Of the row that is made: its value is said before. */
#define HASH_OF_NEW MY_HASH("value_data")

static bool is_plain(const kivi_write_item *item, int32_t kind)
{
    return item->kind == kind && item->condition == KIVI_IF_ALWAYS &&
           !(item->flags & KIVI_OP_WANT_EXISTED) &&
           (kind != KIVI_OP_SET || item->ttl_ms != KIVI_TTL_KEEP);
}

static bool all_plain(const kivi_write_vector *vector, int32_t kind)
{
    for (size_t i = 0; i < vector->count; i++)
        if (!is_plain(kivi_write_item_at(vector, i), kind))
            return false;
    return true;
}

static bool is_atomic(const kivi_write_vector *vector)
{
    return vector->flags & KIVI_VECTOR_ATOMIC && vector->count > 1;
}

static bool wants_value(const kivi_write_item *item)
{
    return item->kind == KIVI_OP_INCREMENT || item->condition == KIVI_IF_EQUAL ||
           item->condition == KIVI_IF_VERSION;
}

/* Of a value and what is expected, together. Larger ones are judged here, which sends no more than the value. */
static uint64_t statement_most(const my_session *session)
{
    uint64_t most = kvi_my_value_most(session) / 2;

    return most < STATEMENT_MOST ? most : STATEMENT_MOST;
}

/* Whether one statement does it, which finds the key where the condition holds and tells no more than that. */
static bool is_one_statement(const kivi_write_item *item, uint64_t most)
{
    bool tells = item->flags & KIVI_OP_WANT_EXISTED;

    if (item->condition == KIVI_IF_ABSENT || (tells && wants_value(item)))
        return false;
    if (item->expected.size + item->value.size > most)
        return false;
    if (item->kind == KIVI_OP_SET)
        return item->condition != KIVI_IF_ALWAYS;
    return item->kind == KIVI_OP_DELETE || item->kind == KIVI_OP_TOUCH;
}

static my_way choose(const kivi_write_vector *vector, uint64_t most)
{
    const kivi_write_item *first = kivi_write_item_at(vector, 0);

    if (all_plain(vector, KIVI_OP_SET))
        return WAY_SET;
    if (all_plain(vector, KIVI_OP_DELETE))
        return WAY_DELETE;
    if (vector->count == 1 && first->kind == KIVI_OP_SET && first->condition == KIVI_IF_ABSENT)
        return WAY_ADD;
    return vector->count == 1 && is_one_statement(first, most) ? WAY_IF : WAY_JUDGE;
}

static void tell_sent(const kivi_write_vector *vector)
{
    for (size_t i = 0; i < vector->count; i++)
        kivi_write_item_at(vector, i)->sent = KIVI_SENT_WHOLLY; /* the text has it */
}

/* ---- Parts of statements ---- */

static void put_all_keys(my_session *session)
{
    const kivi_write_vector *vector = session->job.writes;

    for (size_t i = 0; i < vector->count; i++)
        kvi_my_put_listed(session, i == 0, kivi_write_item_at(vector, i)->key);
}

static void begin_insert(my_session *session, uint8_t group)
{
    kvi_my_statement(session, group);
    kvi_my_put(session, "INSERT INTO");
    kvi_my_put_table(session);
    kvi_my_put(session, INSERT_COLUMNS);
}

/* A row, with its expiry: after a TTL, or at a moment, where it is kept; 0: none. */
static void put_row(my_session *session, bool first, const kivi_write_item *item, int64_t expires)
{
    bool has_ttl = item->ttl_ms > 0 || expires;

    kvi_my_put(session, first ? "(" : ",(");
    kvi_my_put_bytes(session, item->key);
    kvi_my_put(session, ",");
    kvi_my_put_bytes(session, item->value);
    kvi_my_put(session, ",");
    if (expires)
        kvi_my_put_number(session, expires);
    else
        kvi_my_put_expiry(session, item->ttl_ms);
    kvi_my_put(session, has_ttl ? "," HASH_OF_NEW ")" : ",NULL)");
}

/* Behind the verb, whose answer is not told before: on MariaDB it waits for nobody's lock. */
static void put_sweep(my_session *session)
{
    my_instance *instance = session->instance;

    if (!instance->settings.sweep ||
        !kvi_sql_sweep_is_due(&instance->swept_ns, kvi_my_host->monotonic_ns()))
        return;
    kvi_my_statement(session, GROUP_SWEEP);
    kvi_my_put(session, "/*M!100301 SET STATEMENT innodb_lock_wait_timeout = 0, max_statement_time "
                        "= 0.1 FOR */ DELETE FROM");
    kvi_my_put_table(session);
    kvi_my_put(session,
               "WHERE kivi_expires < " MY_NOW " AND " MY_COUNTS " ORDER BY kivi_expires LIMIT ");
    kvi_my_put_number(session, instance->settings.sweep);
}

/* ---- The first request ---- */

static void put_set(my_session *session)
{
    const kivi_write_vector *vector = session->job.writes;

    begin_insert(session, GROUP_CHANGE);
    for (size_t i = 0; i < vector->count; i++)
        put_row(session, i == 0, kivi_write_item_at(vector, i), 0);
    kvi_my_put(session, TAKE_NEW " + " MY_WAITED);
}

static void put_delete(my_session *session)
{
    kvi_my_statement(session, GROUP_CHANGE);
    kvi_my_put(session, "DELETE FROM");
    kvi_my_put_table(session);
    kvi_my_put(session, "WHERE key_name IN (");
    put_all_keys(session);
    kvi_my_put(session, ")");
}

/* What had expired is made away with; then the key is there, or it is not. */
static void put_add(my_session *session)
{
    const kivi_write_item *item = kivi_write_item_at(session->job.writes, 0);

    put_delete(session);
    kvi_my_put(session, " AND NOT " MY_STILL_LIVE);
    begin_insert(session, GROUP_ADD);
    put_row(session, true, item, 0);
    kvi_my_put(session, " ON DUPLICATE KEY UPDATE key_name = VALUES(key_name)");
}

/* Assignments are done from left to right, and see what those before them did. */
static void put_update(my_session *session, const kivi_write_item *item)
{
    kvi_my_put(session, "UPDATE");
    kvi_my_put_table(session);
    kvi_my_put(session, "SET kivi_expires = ");
    if (item->ttl_ms == KIVI_TTL_KEEP)
        kvi_my_put(session, "IF(" MY_COUNTS ", kivi_expires, NULL)");
    else
        kvi_my_put_expiry(session, item->ttl_ms);
    if (item->ttl_ms > 0)
        kvi_my_put(session, " + " MY_WAITED);
    if (item->kind == KIVI_OP_SET) {
        kvi_my_put(session, ", value_data = ");
        kvi_my_put_bytes(session, item->value);
    }
    kvi_my_put(session, ", kivi_hash = IF(kivi_expires IS NULL, NULL, " HASH_OF_NEW ") ");
}

static void put_if(my_session *session)
{
    const kivi_write_item *item = kivi_write_item_at(session->job.writes, 0);

    kvi_my_statement(session, GROUP_IF);
    if (item->kind == KIVI_OP_DELETE) {
        kvi_my_put(session, "DELETE FROM");
        kvi_my_put_table(session);
    } else {
        put_update(session, item);
    }
    kvi_my_put(session, "WHERE key_name = ");
    kvi_my_put_bytes(session, item->key);
    if (wants_value(item)) {
        kvi_my_put(session, " AND value_data = ");
        kvi_my_put_bytes(session, item->expected);
    }
    kvi_my_put(session, " AND " MY_STILL_LIVE);
}

/* Whether the item may write a key that is not there, which is locked by a row that has expired. */
static bool makes(const kivi_write_item *item)
{
    return item->condition == KIVI_IF_ABSENT ||
           (item->condition == KIVI_IF_ALWAYS &&
            (item->kind == KIVI_OP_SET || item->kind == KIVI_OP_INCREMENT));
}

static bool any_makes(const kivi_write_vector *vector)
{
    for (size_t i = 0; i < vector->count; i++)
        if (makes(kivi_write_item_at(vector, i)))
            return true;
    return false;
}

static void put_stand_ins(my_session *session)
{
    const kivi_write_vector *vector = session->job.writes;

    begin_insert(session, GROUP_LOCK);
    for (size_t i = 0; i < vector->count; i++) {
        kvi_my_put(session, i ? ",(" : "(");
        kvi_my_put_bytes(session, kivi_write_item_at(vector, i)->key);
        kvi_my_put(session, ",'',0," HASH_OF_NEW ")");
    }
    kvi_my_put(session, " ON DUPLICATE KEY UPDATE key_name = VALUES(key_name)");
}

static void put_find(my_session *session)
{
    const kivi_write_vector *vector = session->job.writes;
    bool values = false;

    for (size_t i = 0; i < vector->count; i++)
        values = values || wants_value(kivi_write_item_at(vector, i));
    kvi_my_statement(session, GROUP_FOUND);
    kvi_my_put(session,
               "SELECT key_name, " MY_STILL_LIVE ", IF(" MY_COUNTS ", kivi_expires, NULL)");
    if (values)
        kvi_my_put(session, ", value_data");
    kvi_my_put(session, " FROM");
    kvi_my_put_table(session);
    kvi_my_put(session, "WHERE key_name IN (");
    put_all_keys(session);
    kvi_my_put(session, ") ORDER BY key_name FOR UPDATE");
}

static void put_locks(my_session *session)
{
    kvi_my_statement(session, GROUP_BEGIN);
    kvi_my_put(session, "START TRANSACTION");
    if (any_makes(session->job.writes))
        put_stand_ins(session);
    put_find(session);
}

static bool make_room(my_session *session, size_t count)
{
    if (session->found_room < count) {
        free(session->found);
        session->found = malloc(count * sizeof(*session->found));
        session->found_room = session->found ? count : 0;
    }
    if (session->found_room < count)
        return false;
    memset(session->found, 0, count * sizeof(*session->found));
    return true;
}

kivi_status kvi_my_write_begin(my_session *session, kivi_error **error)
{
    kivi_write_vector *vector = session->job.writes;

    if (!kvi_sql_judging_begin(&session->judging, vector) || !make_room(session, vector->count))
        return kvi_my_no_memory(error);
    session->way = choose(vector, statement_most(session));
    if (session->way == WAY_JUDGE) {
        put_locks(session);
        return KIVI_OK;
    }
    if (session->way == WAY_SET)
        put_set(session);
    else if (session->way == WAY_DELETE)
        put_delete(session);
    else if (session->way == WAY_IF)
        put_if(session);
    else
        put_add(session);
    put_sweep(session);
    tell_sent(vector);
    return KIVI_OK;
}

/* ---- Judging ---- */

static bool same(kivi_slice a, kivi_slice b)
{
    return a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0);
}

static bool holds(const kivi_write_item *item, bool there, kivi_slice value)
{
    switch (item->condition) {
    case KIVI_IF_ALWAYS:
        return true;
    case KIVI_IF_ABSENT:
        return !there;
    case KIVI_IF_PRESENT:
        return there;
    default:
        return there && same(value, item->expected);
    }
}

static void judge(my_session *session, size_t at, bool there, kivi_slice value)
{
    const kivi_write_item *item = kivi_write_item_at(session->job.writes, at);

    session->judging.marks[at] = (uint8_t)(KVI_SQL_SEEN | (there ? KVI_SQL_THERE : 0) |
                                           (holds(item, there, value) ? KVI_SQL_HOLDS : 0));
    kvi_sql_add_up(&session->judging, at, there, value);
}

static void take_found(my_session *session, MYSQL_RES *rows)
{
    const kivi_write_vector *vector = session->job.writes;
    bool values = mysql_num_fields(rows) > 3;
    MYSQL_ROW row;

    while ((row = mysql_fetch_row(rows))) {
        size_t at = kvi_sql_find_item(vector->items, vector->item_size, vector->count,
                                      kvi_my_column(rows, row, 0));
        bool there = kvi_my_number(row, 1) != 0;
        if (at == vector->count)
            continue;
        session->found[at] = (my_found){.row = true, .expires = there ? kvi_my_number(row, 2) : 0};
        judge(session, at, there, values ? kvi_my_column(rows, row, 3) : kivi_bytes(NULL, 0));
    }
}

void kvi_my_write_rows(my_session *session, uint8_t group, MYSQL_RES **rows, uint64_t changed)
{
    if (group == GROUP_FOUND && *rows)
        take_found(session, *rows);
    else if (group == GROUP_ADD || group == GROUP_IF)
        session->judging.marks[0] = changed ? KVI_SQL_SEEN : 0;
}

/* ---- The second request: what came of the judging is written ---- */

static bool may_write(const my_session *session)
{
    const kivi_write_vector *vector = session->job.writes;

    for (size_t i = 0; is_atomic(vector) && i < vector->count; i++)
        if (!(session->judging.marks[i] & KVI_SQL_HOLDS))
            return false;
    return true;
}

/* What is to be done with the key: a kind of write, or nothing (KIVI_OP_CHECK). */
static int32_t deed(const my_session *session, const kivi_write_item *item, size_t at)
{
    bool there = session->judging.marks[at] & KVI_SQL_THERE;
    bool goes = session->judging.marks[at] & KVI_SQL_HOLDS;

    if (goes && item->kind == KIVI_OP_SET)
        return KIVI_OP_SET;
    if (!there)
        return session->found[at].row ? KIVI_OP_DELETE : KIVI_OP_CHECK;
    return goes ? item->kind : KIVI_OP_CHECK;
}

static size_t put_sets(my_session *session)
{
    size_t count = 0;

    for (size_t i = 0; i < session->job.writes->count; i++) {
        kivi_write_item item = kvi_sql_as_judged(&session->judging, i);
        if (deed(session, &item, i) != KIVI_OP_SET)
            continue;
        if (!count)
            begin_insert(session, GROUP_CHANGE);
        put_row(session, !count++, &item, item.ttl_ms == KIVI_TTL_KEEP ? session->found[i].expires : 0);
    }
    if (count)
        kvi_my_put(session, TAKE_NEW);
    return count;
}

static size_t put_touches(my_session *session)
{
    size_t count = 0;

    for (size_t i = 0; i < session->job.writes->count; i++) {
        kivi_write_item item = kvi_sql_as_judged(&session->judging, i);
        if (deed(session, &item, i) != KIVI_OP_TOUCH)
            continue;
        if (!count) {
            kvi_my_statement(session, GROUP_CHANGE);
            kvi_my_put_touch(session);
        }
        kvi_my_put_touched(session, !count++, item.key, item.ttl_ms);
    }
    if (count)
        kvi_my_put_touch_end(session);
    return count;
}

static size_t put_deletes(my_session *session)
{
    size_t count = 0;

    for (size_t i = 0; i < session->job.writes->count; i++) {
        kivi_write_item item = kvi_sql_as_judged(&session->judging, i);
        if (deed(session, &item, i) != KIVI_OP_DELETE)
            continue;
        if (!count) {
            kvi_my_statement(session, GROUP_CHANGE);
            kvi_my_put(session, "DELETE FROM");
            kvi_my_put_table(session);
            kvi_my_put(session, "WHERE key_name IN (");
        }
        kvi_my_put_listed(session, !count++, item.key);
    }
    if (count)
        kvi_my_put(session, ")");
    return count;
}

static kivi_status second(my_session *session, kivi_error **error)
{
    const kivi_write_vector *vector = session->job.writes;
    size_t changes = 0;

    for (size_t i = 0; i < vector->count; i++)
        if (!(session->judging.marks[i] & KVI_SQL_SEEN))
            judge(session, i, false, kivi_bytes(NULL, 0));
    if (session->judging.failed)
        return kvi_my_no_memory(error);
    kvi_my_request_begin(session);
    if (may_write(session)) {
        changes += put_sets(session);
        changes += put_touches(session);
        changes += put_deletes(session);
    }
    kvi_my_statement(session, changes ? GROUP_COMMIT : GROUP_ROLLBACK);
    kvi_my_put(session, changes ? "COMMIT" : "ROLLBACK");
    put_sweep(session);
    tell_sent(vector);
    return KIVI_PENDING;
}

/* `done`: a statement that tells of the item did something. */
static void tell_written(const my_session *session, kivi_write_item *item, bool done)
{
    bool missed = session->way >= WAY_ADD && !done;

    item->existed = session->way == WAY_ADD ? missed : done;
    if (missed && session->way == WAY_IF && item->condition == KIVI_IF_ALWAYS)
        item->status = item->kind == KIVI_OP_TOUCH ? KIVI_NOT_FOUND : KIVI_OK;
    else
        item->status = missed ? KIVI_CONDITION : KIVI_OK;
}

kivi_status kvi_my_write_next(my_session *session, kivi_error **error)
{
    const kivi_write_vector *vector = session->job.writes;

    if (session->way == WAY_JUDGE && session->round == 0)
        return second(session, error);
    if (session->way == WAY_JUDGE) {
        kvi_sql_answer(&session->judging);
        return KIVI_OK;
    }
    for (size_t i = 0; i < vector->count; i++)
        tell_written(session, kivi_write_item_at(vector, i), session->judging.marks[i] & KVI_SQL_SEEN);
    return KIVI_OK;
}
