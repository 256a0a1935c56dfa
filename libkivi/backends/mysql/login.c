/* After libmariadb's login: the settings of the session, what the server says of itself, and the table. */
#include "my.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS_MOST 6 /* others may make or drop the table at the same time */

enum { STEP_ASK = 0, STEP_CREATE, STEP_MEND, STEP_LOOK, STEP_MARK };

/* MySQL takes what is between the marks for a comment. */
static const char settings_of_session[] =
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00', autocommit = 1 "
    "/*M!100301 , in_predicate_conversion_threshold = 0 */";

/* ---- Asking ---- */

static kivi_status send_round(my_session *session, uint32_t step, kivi_error **error)
{
    kivi_status status;

    session->login.step = step;
    status = kvi_my_request_send(session, error);
    return status ? status : kvi_my_login_end(session, error);
}

static kivi_status ask_table(my_session *session, kivi_error **error)
{
    session->login.rounds++;
    session->login.table = (my_table){.exists = false};
    kvi_my_table_ask(session);
    return send_round(session, STEP_ASK, error);
}

kivi_status kvi_my_login_begin(my_session *session, kivi_error **error)
{
    session->login = (my_login){.rounds = 0};
    kvi_my_request_begin(session);
    kvi_my_statement(session, GROUP_LIMIT);
    kvi_my_put(session, settings_of_session);
    kvi_my_statement(session, GROUP_LIMIT);
    kvi_my_put(session, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    return ask_table(session, error);
}

static kivi_status run(my_session *session, uint32_t step, const char *before, const char *behind,
                       kivi_error **error)
{
    kvi_my_request_begin(session);
    kvi_my_statement(session, GROUP_LOGIN);
    kvi_my_put(session, before);
    if (behind) {
        kvi_my_put_table(session);
        kvi_my_put(session, behind);
    }
    return send_round(session, step, error);
}

static kivi_status create(my_session *session, kivi_error **error)
{
    return run(session, STEP_CREATE, "CREATE TABLE IF NOT EXISTS",
               "(key_name VARBINARY(1024) NOT NULL PRIMARY KEY, value_data LONGBLOB NOT NULL, "
               "kivi_expires BIGINT NULL COMMENT '" MY_COLUMN_MARK "', kivi_hash BINARY(8) NULL, "
               "KEY kivi_expires (kivi_expires)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
               error);
}

static kivi_status mark(my_session *session, kivi_error **error)
{
    return run(session, STEP_MARK, "ALTER TABLE",
               "MODIFY kivi_expires BIGINT NULL COMMENT '" MY_COLUMN_MARK "'", error);
}

/* ---- Answers ---- */

void kvi_my_login_rows(my_session *session, MYSQL_RES *rows)
{
    if (!rows)
        return;
    if (session->login.step == STEP_LOOK)
        session->login.table.has_rows = mysql_num_rows(rows) > 0;
    else if (session->login.step == STEP_ASK)
        kvi_my_table_rows(&session->login.table, rows);
}

static kivi_status refuse(kivi_status status, const char *text, const char *table, kivi_error **error)
{
    *error = kvi_my_host->error(status, 0, KIVI_RETRY_NO, text, table);
    return status;
}

static kivi_status tell(my_session *session, bool ours, kivi_error **error)
{
    const my_table *table = &session->login.table;
    kivi_learned learned = {.struct_size = sizeof(learned),
                            .fields = KIVI_LEARNED_LAYOUT | KIVI_LEARNED_DURABLE | KIVI_LEARNED_MAX_VALUE,
                            .layout = ours ? KIVI_LAYOUT_OURS : KIVI_LAYOUT_FOREIGN,
                            .max_value = kvi_my_value_most(session),
                            .durable = table->durable};
    uint64_t width = strtoull(table->key_type + strcspn(table->key_type, "0123456789"), NULL, 10);

    if (width && width < MY_KEY_MOST) {
        learned.fields |= KIVI_LEARNED_MAX_STORED_KEY;
        learned.max_stored_key = width;
    }
    return kvi_my_host->learned(session->instance->reporter, &learned, error);
}

static kivi_status mend(my_session *session, const char *alter, kivi_error **error)
{
    session->login.mended = true;
    return run(session, STEP_MEND, alter, NULL, error);
}

/* What the table is like, and what is to be done about it. */
static kivi_status asked(my_session *session, kivi_error **error)
{
    const my_settings *settings = &session->instance->settings;
    const my_table *table = &session->login.table;
    char text[MY_MEND];
    const char *lacks;

    if (settings->primary && !table->writes) {
        *error = kvi_my_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
                                    "no server takes writes (target=primary)");
        return KIVI_UNAVAILABLE;
    }
    if (!table->exists && (!settings->create || session->login.rounds >= ROUNDS_MOST))
        return refuse(KIVI_INVALID, "no table %s, and it is not to be made (create=false)",
                      settings->table, error);
    if (!table->exists)
        return create(session, error);
    if (!*table->key_type || !*table->value_type)
        return refuse(KIVI_INVALID, "table %s has no columns key_name and value_data",
                      settings->table, error);
    lacks = kvi_my_table_lacks(table, settings->table, text);
    if (lacks && settings->mend && !session->login.mended)
        return mend(session, lacks, error);
    if (lacks)
        return refuse(KIVI_UNSUPPORTED, "the table wants: %s; mend=true does it", lacks, error);
    return table->marked ? tell(session, true, error)
                         : run(session, STEP_LOOK, "SELECT 1 FROM", "LIMIT 1", error);
}

kivi_status kvi_my_login_end(my_session *session, kivi_error **error)
{
    const my_settings *settings = &session->instance->settings;
    my_login *login = &session->login;
    unsigned refused = session->request.refused;

    if (login->step == STEP_MARK) /* whoever may not change the table cannot mark it; it is empty all the same */
        return tell(session, true, error);
    if (refused &&
        (login->step != STEP_CREATE || login->rounds >= ROUNDS_MOST || !kvi_my_is_conflict(refused)))
        return kvi_my_refuse(session, refused, false, error);
    switch (login->step) {
    case STEP_ASK:
        return asked(session, error);
    case STEP_CREATE:
    case STEP_MEND:
        kvi_my_request_begin(session);
        return ask_table(session, error);
    default:
        if (login->table.has_rows || !settings->create || !login->table.writes)
            return tell(session, !login->table.has_rows, error);
        return mark(session, error);
    }
}
