/* What only a PostgreSQL server does to a load: holds rows, loses its table, becomes read-only. */
#include "common/stage.h"
#include "servers/postgresql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

TestSuite(fault_postgresql_server, .init = case_begin, .fini = case_end, .timeout = 300);

/* As a standby says: nothing is written, everything is read; afterwards all is as before. */
static void turn_read_only(stage *s)
{
    postgresql_tell(&s->server, "ALTER ROLE kivi SET default_transaction_read_only = on");
    s->server.kind->end_connections(&s->server);
    load_sees(s->l, KIVI_DENIED, 100);
    postgresql_tell(&s->server, "ALTER ROLE kivi RESET default_transaction_read_only");
    s->server.kind->end_connections(&s->server);
}

static const kivi_status read_only_or_cut[] = {KIVI_DENIED, KIVI_UNAVAILABLE, KIVI_UNCERTAIN, 0};
static const fault turned_read_only = {"read-only", .increments = 1, .timeout_ms = 20000,
                                       .allowed = read_only_or_cut, .strike = turn_read_only};
FAULT(fault_postgresql_server, postgresql, turned_read_only)

/* ---- cases of their own ---- */

static kivi_status set_within(kivi_store *store, const char *key, const char *value, int64_t ms,
                              uint64_t *took_ms)
{
    kivi_call call = within_ms(ms);
    uint64_t began = now_ns();
    kivi_status status = kivi_store_set(store, &call, kivi_str(key), kivi_str(value), KIVI_TTL_NONE, NULL);

    *took_ms = (now_ns() - began) / 1000000;
    return status;
}

static void expect_value(kivi_store *store, const char *key, const char *wanted)
{
    kivi_buffer value = KIVI_BUFFER_INIT;

    OK(kivi_store_get(store, NULL, kivi_str(key), &value, E));
    CHECK_SAYING(value.size == strlen(wanted) && memcmp(value.data, wanted, value.size) == 0,
                 "%s is not %s", key, wanted);
    kivi_buffer_free(&value);
}

/* A row that another program holds costs an exact BUSY, in time; nothing lands when the lock goes; others are served. */
Test(fault_postgresql_server, a_held_row_is_busy)
{
    running_server server;
    uint64_t took;

    server_start(&server, &postgresql, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "");
    put(store, "held", "before");
    put(store, "free", "before");
    pid_t holder = postgresql_tell_beside(
        &server, "BEGIN; UPDATE kv_store SET value_data = value_data WHERE key_name = 'held'; "
                 "SELECT pg_sleep(4); COMMIT");
    for (kivi_status status = KIVI_OK; status == KIVI_OK;) /* until it has the row */
        status = set_within(store, "held", "before", 300, &took);
    for (int i = 0; i < 3; i++) {
        CHECK_NUMBER(set_within(store, "held", "after", 700, &took), KIVI_BUSY);
        CHECK_SAYING(took < 700, "it took %d ms", (int)took);
    }
    OK(set_within(store, "free", "after", 700, &took));
    int status;
    CHECK(waitpid(holder, &status, 0) == holder && status == 0);
    pause_ms(300);
    expect_value(store, "held", "before");
    expect_value(store, "free", "after");
    OK(set_within(store, "held", "after", 20000, &took));
    expect_value(store, "held", "after");
    kivi_store_unref(store);
    server_stop(&server);
}

/* One held row of a batch fails alone. */
Test(fault_postgresql_server, a_held_row_fails_alone)
{
    enum { COUNT = 16, HELD = 5 };
    running_server server;
    char names[COUNT][16];
    kivi_op ops[COUNT];
    kivi_result *result = NULL;

    server_start(&server, &postgresql, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "");
    memset(ops, 0, sizeof(ops));
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "k%02d", i);
        put(store, names[i], "before");
        ops[i].struct_size = sizeof(ops[i]);
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = kivi_str(names[i]);
        ops[i].value = kivi_str("after");
    }
    pid_t holder = postgresql_tell_beside(
        &server, "BEGIN; UPDATE kv_store SET value_data = value_data WHERE key_name = 'k05'; "
                 "SELECT pg_sleep(5); COMMIT");
    uint64_t took;
    for (kivi_status status = KIVI_OK; status == KIVI_OK;)
        status = set_within(store, "k05", "before", 300, &took);
    kivi_call call = within_ms(2000);
    (void)kivi_store_apply(store, &call, ops, COUNT, 0, &result, NULL);
    CHECK(result != NULL);
    for (size_t i = 0; i < COUNT; i++)
        CHECK_NUMBER(kivi_result_status(result, i), i == HELD ? KIVI_BUSY : KIVI_OK);
    kivi_result_free(result);
    int status;
    CHECK(waitpid(holder, &status, 0) == holder && status == 0);
    pause_ms(300);
    for (size_t i = 0; i < COUNT; i++)
        expect_value(store, names[i], i == HELD ? "before" : "after");
    kivi_store_unref(store);
    server_stop(&server);
}

/* A table that is dropped is made anew; a column that is gone is told. */
Test(fault_postgresql_server, the_table_is_dropped)
{
    running_server server;
    uint64_t took;

    server_start(&server, &postgresql, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "");
    put(store, "k", "v");
    postgresql_tell(&server, "DROP TABLE kv_store");
    CHECK_NUMBER(set_within(store, "k", "w", 20000, &took), KIVI_UNAVAILABLE); /* refused, and not sent twice */
    OK(set_within(store, "k", "w", 20000, &took));
    expect_value(store, "k", "w");
    postgresql_tell(&server, "DROP TABLE kv_store");
    kivi_buffer value = KIVI_BUFFER_INIT;
    CHECK_NUMBER(kivi_store_get(store, NULL, kivi_str("k"), &value, NULL),
                 KIVI_NOT_FOUND); /* a read is asked again */
    kivi_buffer_free(&value);
    put(store, "k", "w");
    postgresql_tell(&server, "ALTER TABLE kv_store DROP COLUMN kivi_hash");
    CHECK_NUMBER(set_within(store, "k", "x", 5000, &took), KIVI_UNAVAILABLE);
    CHECK_NUMBER(set_within(store, "k", "x", 5000, &took), KIVI_UNSUPPORTED);
    postgresql_tell(&server, "ALTER TABLE kv_store ADD COLUMN kivi_hash bytea");
    OK(set_within(store, "k", "y", 20000, &took));
    expect_value(store, "k", "y");
    kivi_store_unref(store);
    server_stop(&server);
}

/* ---- tables of other programs ---- */

static kivi_status get_json(running_server *server, const char *options, const char *key,
                            kivi_buffer *value)
{
    kivi_store *store = NULL;
    kivi_status status;
    text url;

    print(&url, "postgresql://kivi@127.0.0.1:%d/kivi%s", server->port, options);
    OK(kivi_store_open(url.bytes, NULL, NULL, &store, E));
    status = kivi_store_get(store, NULL, kivi_str(key), value, NULL);
    kivi_store_unref(store);
    return status;
}

/* KiviGo's table lacks columns: that is told, and mended when asked for; it stays another program's, whose codec is named. */
Test(fault_postgresql_server, a_table_of_kivigo)
{
    running_server server;
    kivi_buffer value = KIVI_BUFFER_INIT;
    uint64_t took;
    text url;

    server_start(&server, &postgresql, "server", NULL, NULL);
    postgresql_tell(&server, "SET ROLE kivi; CREATE TABLE kv_store (key_name VARCHAR(255) PRIMARY "
                             "KEY, value_data BYTEA)");
    postgresql_tell(&server, "INSERT INTO kv_store (key_name, value_data) VALUES ('theirs', '5')");
    CHECK_NUMBER(get_json(&server, "?codec=json", "theirs", &value), KIVI_UNSUPPORTED);
    CHECK_NUMBER(get_json(&server, "?codec=json&mend=true", "theirs", &value), KIVI_OK);
    CHECK_NUMBER(get_json(&server, "", "theirs", &value), KIVI_INVALID);
    CHECK_NUMBER(get_json(&server, "?codec=json", "theirs", &value), KIVI_OK);
    CHECK_SAYING(value.size == 1 && *(char *)value.data == '5', "%zu bytes", value.size);

    /* Its own upsert leaves the expiry standing: it must not end what was written over it. */
    print(&url, "postgresql://kivi@127.0.0.1:%d/kivi?codec=raw", server.port);
    kivi_store *store = open_store("%s", url.bytes);
    kivi_call call = within_ms(20000);
    OK(kivi_store_set(store, &call, kivi_str("both"), kivi_str("ours"), 300, E));
    postgresql_tell(&server,
                    "INSERT INTO kv_store (key_name, value_data) VALUES ('both', 'theirs') "
                    "ON CONFLICT (key_name) DO UPDATE SET value_data = EXCLUDED.value_data");
    pause_ms(500);
    expect_value(store, "both", "theirs");
    OK(set_within(store, "swept", "x", 20000, &took)); /* rides along: a sweep */
    expect_value(store, "both", "theirs");
    /* As long as its column is wide, and no longer. */
    char key[300];
    memset(key, 'k', sizeof(key));
    key[255] = '\0';
    OK(set_within(store, key, "x", 20000, &took));
    key[255] = 'k';
    key[256] = '\0';
    CHECK_NUMBER(set_within(store, key, "x", 20000, &took), KIVI_TOO_LARGE);
    kivi_store_unref(store);
    kivi_buffer_free(&value);
    server_stop(&server);
}

/* Of two servers the one that takes writes; the one that is gone is passed over. */
Test(fault_postgresql_server, the_primary_of_several)
{
    running_server primary, standby;
    uint64_t took;
    text url;

    server_start(&primary, &postgresql, "primary", NULL, NULL);
    server_start(&standby, &postgresql, "standby", NULL, NULL);
    postgresql_tell(&standby, "ALTER ROLE kivi SET default_transaction_read_only = on");
    print(&url, "postgresql://kivi@127.0.0.1:%d,127.0.0.1:%d/kivi?codec=raw", standby.port, primary.port);
    kivi_store *store = open_store("%s", url.bytes);
    OK(set_within(store, "k", "v", 20000, &took));
    server_stop(&standby);
    kivi_store *again = open_store("%s", url.bytes);
    expect_value(again, "k", "v");
    kivi_store_unref(again);
    kivi_store_unref(store);
    server_stop(&primary);
}

/* The statement's plan uses the index, in its order. (What is told has room for 500 bytes.) */
#define EXPECT_INDEX(server, statement, index)                                              \
    postgresql_tell(server,                                                                 \
                    "DO $$ DECLARE l text; w text := ''; BEGIN FOR l IN EXPLAIN " statement \
                    " LOOP w := w || l; END LOOP; IF w NOT LIKE '%" index                   \
                    "%' OR w LIKE '%Sort%' THEN "                                           \
                    "RAISE '%', w; END IF; END $$")

/* Scans and sweeps find what they want by an index. */
Test(fault_postgresql_server, scans_and_sweeps_have_indexes)
{
    running_server server;

    server_start(&server, &postgresql, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "");
    put(store, "k", "v");
    postgresql_tell(&server,
                    "INSERT INTO kv_store SELECT 'n' || i, 'v', now() - interval '1 day', 'x' "
                    "FROM generate_series(1, 20000) i");
    postgresql_tell(&server, "ANALYZE kv_store");
    EXPECT_INDEX(&server,
                 "SELECT key_name FROM kv_store WHERE key_name COLLATE \"C\" >= 'n1' AND key_name "
                 "COLLATE \"C\" < 'n2' "
                 "ORDER BY key_name COLLATE \"C\" LIMIT 100",
                 "kv_store_pkey");
    EXPECT_INDEX(&server,
                 "SELECT key_name FROM kv_store WHERE kivi_expires < statement_timestamp() ORDER "
                 "BY kivi_expires LIMIT 16 "
                 "FOR UPDATE SKIP LOCKED",
                 "kivi_expires_");
    kivi_store_unref(store);
    server_stop(&server);
}

enum { MANY = 10000 };

static const kivi_op changes[] = {
    {.struct_size = sizeof(kivi_op), .kind = KIVI_OP_SET, .condition = KIVI_IF_PRESENT},
    {.struct_size = sizeof(kivi_op), .kind = KIVI_OP_TOUCH, .ttl_ms = 600000},
    {.struct_size = sizeof(kivi_op), .kind = KIVI_OP_DELETE, .condition = KIVI_IF_PRESENT},
};

/* Every kind of statement that is given a list of keys. */
static void change_many(kivi_store *store, const kivi_slice *keys, size_t count)
{
    kivi_call call = within_ms(10000);
    kivi_op *ops = calloc(count, sizeof(*ops));
    kivi_result *result = NULL;
    uint64_t existed;

    CHECK(ops != NULL);
    OK(kivi_store_set_many(store, &call, keys, keys, count, KIVI_TTL_NONE, NULL, E));
    OK(kivi_store_get_many(store, &call, keys, count, &result, E));
    kivi_result_free(result);
    for (size_t kind = 0; kind < sizeof(changes) / sizeof(changes[0]); kind++) {
        for (size_t i = 0; i < count; i++) {
            ops[i] = changes[kind];
            ops[i].key = ops[i].value = keys[i];
        }
        OK(kivi_store_apply(store, &call, ops, count, 0, NULL, E));
    }
    OK(kivi_store_set_many(store, &call, keys, keys, count, KIVI_TTL_NONE, NULL, E));
    OK(kivi_store_delete_many(store, &call, keys, count, &existed, NULL, E));
    CHECK(existed == count);
    free(ops);
}

/* Plans that were made while the table was small are good for a large one: the server has counted no rows since. */
Test(fault_postgresql_server, a_table_grows_under_its_statements)
{
    running_server server;
    kivi_slice *keys = calloc(MANY, sizeof(*keys));
    char(*names)[16] = calloc(MANY, sizeof(*names));

    CHECK(keys && names);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "k%d", i);
        keys[i] = kivi_str(names[i]);
    }
    server_start(&server, &postgresql, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "&lanes=1");
    put(store, "k", "v");
    postgresql_tell(&server, "ALTER TABLE kv_store SET (autovacuum_enabled = false)");
    postgresql_tell(&server, "ANALYZE kv_store");
    for (int i = 0; i < 10; i++) /* from the sixth on it may keep a plan */
        change_many(store, keys, 2);
    change_many(store, keys, MANY);
    kivi_store_unref(store);
    server_stop(&server);
    free(names);
    free(keys);
}
