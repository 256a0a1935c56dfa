/* After libpq's login: the settings of the session, what the server says of itself, and the table. */
#include "pg.h"

#include <stdio.h>
#include <stdlib.h>

#define ROUNDS_MOST 6 /* others may make or drop the table at the same time */

enum { STEP_ASK = 0, STEP_CREATE, STEP_MEND, STEP_LOOK, STEP_MARK };

static const char settings_of_session[] =
    "SELECT set_config('default_transaction_isolation', 'read committed', false), "
    "set_config('lock_timeout', '0', false), set_config('statement_timeout', '0', false)";
/*
 * A prepared statement keeps the plan that was good while the table was small: to read all of it, and to compare each row with
 * each key. Of 10,000 keys that takes 15 s, by the index 0.1. So the plans are by index, and joins by hash; and without the
 * compiler, which would start for the price that is put on what is off.
 */
static const char plans_of_session[] =
    "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('enable_seqscan', "
    "'enable_nestloop', 'jit')";

/* ---- Asking ---- */

static kivi_status ask(pg_session *session, uint32_t step, const char *sql, const char *value,
                       kivi_error **error)
{
    kivi_status status = kvi_pg_send_once(session, sql, value, error);

    session->login.step = step;
    return status ? status : kvi_pg_sync(session, GROUP_LOGIN, error);
}

static kivi_status ask_table(pg_session *session, kivi_error **error)
{
    session->awaited_count = session->answered = 0;
    session->login.rounds++;
    session->login.table.answered = false;
    return ask(session, STEP_ASK, kvi_pg_ask_table, session->instance->settings.table, error);
}

kivi_status kvi_pg_login_begin(pg_session *session, kivi_error **error)
{
    session->login = (pg_login){.rounds = 0};
    session->refusal = (pg_refusal){.told = false};
    session->awaited_count = session->answered = 0;
    if (session->instance->settings.prepared) {
        kivi_status status = kvi_pg_send_once(session, settings_of_session, NULL, error);
        if (!status)
            status = kvi_pg_send_once(session, plans_of_session, NULL, error);
        if (status)
            return status;
        session->login.rounds++;
        session->login.step = STEP_ASK;
        status = kvi_pg_send_once(session, kvi_pg_ask_table, session->instance->settings.table, error);
        return status ? status : kvi_pg_sync(session, GROUP_LOGIN, error);
    }
    return ask_table(session, error);
}

/* Several statements of one transaction, texts that are freed here; NULL: no memory. */
static kivi_status run(pg_session *session, uint32_t step, char *const *texts, size_t count,
                       kivi_error **error)
{
    kivi_status status = KIVI_OK;

    session->awaited_count = session->answered = 0;
    session->login.step = step;
    for (size_t i = 0; i < count; i++) {
        if (!status)
            status = texts[i] ? kvi_pg_send_once(session, texts[i], NULL, error)
                              : kvi_pg_no_memory(error);
        free(texts[i]);
    }
    if (!status)
        status = kvi_pg_sync(session, GROUP_LOGIN, error);
    return status ? status : KIVI_PENDING;
}

static char *text_of(const char *format, const char *first, const char *second)
{
    char *text;

    return asprintf(&text, format, first, second) < 0 ? NULL : text;
}

#define EXPIRES_INDEX \
    "CREATE INDEX IF NOT EXISTS %2$s ON %1$s (kivi_expires) WHERE kivi_expires IS NOT NULL"
#define MARK \
    "COMMENT ON COLUMN %1$s.kivi_expires IS 'kivi: when the pair expires; values are libkivi''s'"

/* Those who make or mend the table do so one behind the other: at once they would wait for one another in a circle. */
static char *turn_of(const char *table)
{
    char *text;
    long long print = (long long)(kvi_pg_host->hash64(kivi_str(table)) >> 1);

    return asprintf(&text, "SELECT pg_advisory_xact_lock(%lld)", print) < 0 ? NULL : text;
}

static kivi_status create(pg_session *session, kivi_error **error)
{
    const char *table = session->instance->settings.table;
    char index[PG_INDEX_NAME];

    kvi_pg_index_name(table, "expires", index);
    char *texts[] = {
        turn_of(table),
        text_of("CREATE TABLE IF NOT EXISTS %1$s (key_name TEXT COLLATE \"C\" PRIMARY KEY, "
                "value_data BYTEA NOT NULL, "
                "kivi_expires TIMESTAMPTZ, kivi_hash BYTEA)",
                table, ""),
        text_of(EXPIRES_INDEX, table, index),
        text_of(MARK, table, ""),
    };
    return run(session, STEP_CREATE, texts, 4, error);
}

static kivi_status mend(pg_session *session, const char *alter, kivi_error **error)
{
    const char *table = session->instance->settings.table;
    char expires[PG_INDEX_NAME], keys[PG_INDEX_NAME];

    kvi_pg_index_name(table, "expires", expires);
    kvi_pg_index_name(table, "keys", keys);
    char *texts[] = {
        turn_of(table),
        strdup(alter ? alter : "SELECT 1"),
        text_of(EXPIRES_INDEX, table, expires),
        session->login.table.scans
            ? strdup("SELECT 1")
            : text_of("CREATE INDEX IF NOT EXISTS %2$s ON %1$s (key_name COLLATE \"C\")", table, keys),
    };
    session->login.mended = true;
    return run(session, STEP_MEND, texts, 4, error);
}

static kivi_status look_for_rows(pg_session *session, kivi_error **error)
{
    char *texts[] = {text_of("SELECT EXISTS (SELECT FROM %1$s)", session->instance->settings.table, "")};

    return run(session, STEP_LOOK, texts, 1, error);
}

static kivi_status mark(pg_session *session, kivi_error **error)
{
    char *texts[] = {text_of(MARK, session->instance->settings.table, "")};

    return run(session, STEP_MARK, texts, 1, error);
}

/* ---- Answers ---- */

void kvi_pg_login_rows(pg_session *session, const PGresult *result)
{
    pg_table *table = &session->login.table;

    if (session->login.step == STEP_LOOK && PQntuples(result) == 1)
        table->has_rows = *PQgetvalue(result, 0, 0) == 't';
    else if (session->login.step == STEP_ASK && PQntuples(result) == 1 && PQnfields(result) == 13)
        kvi_pg_table_read(table, result);
}

static kivi_status refuse(kivi_status status, const char *text, const char *table, kivi_error **error)
{
    *error = kvi_pg_host->error(status, 0, KIVI_RETRY_NO, text, table);
    return status;
}

static kivi_status tell(pg_session *session, bool ours, kivi_error **error)
{
    const pg_table *table = &session->login.table;
    kivi_learned learned = {.struct_size = sizeof(learned),
                            .fields = KIVI_LEARNED_LAYOUT | KIVI_LEARNED_DURABLE,
                            .layout = ours ? KIVI_LAYOUT_OURS : KIVI_LAYOUT_FOREIGN,
                            .durable = table->durable};

    if (table->key_most > 0 && table->key_most < PG_KEY_MOST) {
        learned.fields |= KIVI_LEARNED_MAX_STORED_KEY;
        learned.max_stored_key = (uint64_t)table->key_most;
    }
    return kvi_pg_host->learned(session->instance->reporter, &learned, error);
}

static kivi_status check_server(pg_session *session, kivi_error **error)
{
    const pg_settings *settings = &session->instance->settings;
    const pg_table *table = &session->login.table;

    if (!table->utf8 && !settings->ascii)
        return refuse(KIVI_UNSUPPORTED,
                      "table %s is in a database that is not in UTF8: say encoding=ascii",
                      settings->table, error);
    if (settings->primary && !table->writes) {
        *error = kvi_pg_host->error(KIVI_UNAVAILABLE, 0, KIVI_RETRY_YES,
                                    "no server takes writes (target=primary)");
        return KIVI_UNAVAILABLE;
    }
    return KIVI_OK;
}

/* What the table is like, and what is to be done about it. */
static kivi_status asked(pg_session *session, kivi_error **error)
{
    const pg_settings *settings = &session->instance->settings;
    const pg_table *table = &session->login.table;
    char text[PG_MEND];
    const char *lacks;
    kivi_status status = check_server(session, error);

    if (status)
        return status;
    if (!table->exists && (!settings->create || session->login.rounds >= ROUNDS_MOST))
        return refuse(KIVI_INVALID, "no table %s, and it is not to be made (create=false)",
                      settings->table, error);
    if (!table->exists)
        return create(session, error);
    if (!*table->key_type || !*table->value_type)
        return refuse(KIVI_INVALID, "table %s has no columns key_name and value_data",
                      settings->table, error);
    lacks = kvi_pg_table_lacks(table, settings->table, text);
    if (settings->mend && !session->login.mended && (lacks || !table->scans))
        return mend(session, lacks, error);
    if (lacks)
        return refuse(KIVI_UNSUPPORTED, "the table wants: %s; mend=true does it", lacks, error);
    return table->marked ? tell(session, true, error) : look_for_rows(session, error);
}

/* Two that make it at once: one of them is told so. */
static bool lost_a_race(const pg_session *session)
{
    static const char *const states[] = {"23505", "42P07", "42710", "42701", "XX000"};

    bool lost = kvi_pg_is_conflict(session->refusal.state);

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        lost = lost || strcmp(session->refusal.state, states[i]) == 0;
    return lost && session->login.rounds < ROUNDS_MOST;
}

kivi_status kvi_pg_login_end(pg_session *session, kivi_error **error)
{
    const pg_settings *settings = &session->instance->settings;
    pg_login *login = &session->login;
    pg_refusal refusal = session->refusal;
    kivi_status status = KIVI_OK;

    session->refusal = (pg_refusal){.told = false};
    if (login->step == STEP_MARK) /* whoever does not own the table cannot mark it; it is empty all the same */
        return tell(session, true, error);
    session->refusal = refusal;
    if (refusal.told && (login->step == STEP_ASK || !lost_a_race(session)))
        return kvi_pg_refuse(&refusal, false, error);
    session->refusal = (pg_refusal){.told = false};
    switch (login->step) {
    case STEP_ASK:
        if (!login->table.answered)
            return kvi_pg_broken(error);
        return asked(session, error);
    case STEP_CREATE:
    case STEP_MEND:
        status = ask_table(session, error);
        return status ? status : KIVI_PENDING;
    default:
        if (login->table.has_rows || !settings->create || !login->table.writes)
            return tell(session, !login->table.has_rows, error);
        return mark(session, error);
    }
}
