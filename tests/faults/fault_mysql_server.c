/* What only a MariaDB server does to a load: holds rows, loses its table, becomes read-only. */
#include "common/stage.h"
#include "servers/mysql.h"

#include <pthread.h>
#include <string.h>

TestSuite(fault_mysql_server, .init = case_begin, .fini = case_end, .timeout = 300);

/* As a replica says: nothing is written, everything is read; afterwards all is as before. */
static void turn_read_only(stage *s)
{
    mysql_tell(&s->server, "SET GLOBAL read_only = 1");
    s->server.kind->end_connections(&s->server);
    load_sees(s->l, KIVI_DENIED, 100);
    mysql_tell(&s->server, "SET GLOBAL read_only = 0");
    s->server.kind->end_connections(&s->server);
}

static const kivi_status read_only_or_cut[] = {KIVI_DENIED, KIVI_UNAVAILABLE, KIVI_UNCERTAIN, 0};
static const fault turned_read_only = {"read-only", .increments = 1, .timeout_ms = 20000,
                                       .allowed = read_only_or_cut, .strike = turn_read_only};
FAULT(fault_mysql_server, mysql, turned_read_only)

/* ---- cases of their own ---- */

static kivi_status set_within(kivi_store *store, const char *key, const char *value, int64_t ms)
{
    kivi_call call = within_ms(ms);
    uint64_t began = now_ns();
    kivi_status status = kivi_store_set(store, &call, kivi_str(key), kivi_str(value), KIVI_TTL_NONE, NULL);

    if (status)
        CHECK_SAYING(now_ns() - began < (uint64_t)(ms + 2000) * 1000000, "it took too long");
    return status;
}

#define HOLD_A_ROW "UPDATE kv_store SET kivi_hash = 'x' WHERE key_name = 'held'"

/* A row that another program holds costs an exact refusal, in time; nothing lands when the lock goes; others are served. */
Test(fault_mysql_server, a_held_row_is_refused)
{
    running_server server;

    server_start(&server, &mysql, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "");
    put(store, "held", "before");
    put(store, "free", "before");
    FILE *holder = mysql_hold(&server, HOLD_A_ROW);
    CHECK_NUMBER(set_within(store, "held", "after", 700), KIVI_TIMEOUT); /* less than a second is the statement's */
    CHECK_NUMBER(set_within(store, "held", "after", 2500), KIVI_BUSY);
    OK(set_within(store, "free", "after", 20000));
    mysql_let_go(holder);
    expect_holds(store, "held", "before");
    expect_holds(store, "free", "after");
    OK(set_within(store, "held", "after", 20000));
    expect_holds(store, "held", "after");
    kivi_store_unref(store);
    server_stop(&server);
}

/* One held row of a batch fails alone. */
Test(fault_mysql_server, a_held_row_fails_alone)
{
    enum { COUNT = 16, HELD = 5 };
    running_server server;
    char names[COUNT][16];
    kivi_op ops[COUNT];
    kivi_result *result = NULL;

    server_start(&server, &mysql, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "");
    memset(ops, 0, sizeof(ops));
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), i == HELD ? "held" : i < HELD ? "a%02d" : "z%02d", i);
        put(store, names[i], "before");
        ops[i].struct_size = sizeof(ops[i]);
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = kivi_str(names[i]);
        ops[i].value = kivi_str("after");
    }
    FILE *holder = mysql_hold(&server, HOLD_A_ROW);
    kivi_call call = within_ms(4000);
    (void)kivi_store_apply(store, &call, ops, COUNT, 0, &result, NULL);
    CHECK(result != NULL);
    for (size_t i = 0; i < COUNT; i++) {
        kivi_status status = kivi_result_status(result, i);
        if (i == HELD)
            CHECK_SAYING(status == KIVI_BUSY || status == KIVI_TIMEOUT, "%s", kivi_status_name(status));
        else
            CHECK_NUMBER(status, KIVI_OK);
    }
    kivi_result_free(result);
    mysql_let_go(holder);
    for (size_t i = 0; i < COUNT; i++)
        expect_holds(store, names[i], i == HELD ? "before" : "after");
    kivi_store_unref(store);
    server_stop(&server);
}

/* What has expired and is held by another keeps no write waiting: its sweep is given up. */
Test(fault_mysql_server, a_held_row_keeps_no_sweep)
{
    running_server server;

    server_start(&server, &mysql, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "");
    OK(kivi_store_set(store, NULL, kivi_str("old"), kivi_str("v"), 2000, E));
    FILE *holder = mysql_hold(&server, "SELECT 1 FROM kv_store WHERE key_name = 'old' FOR UPDATE");
    pause_ms(2000); /* it expires */
    for (int i = 0; i < 4; i++) {
        pause_ms(250); /* a sweep is due again */
        uint64_t began = now_ns();
        OK(set_within(store, "free", "v", 60000));
        CHECK_SAYING(now_ns() - began < UINT64_C(20000000000),
                     "it waited for a row that it does not name");
    }
    mysql_let_go(holder);
    kivi_store_unref(store);
    server_stop(&server);
}

/* ---- what expires while it is waited for ---- */

typedef struct waiter {
    kivi_store *store;
    int verb; /* its place in waiter_keys */
    kivi_status status;
    int64_t sum;
    pthread_t thread;
} waiter;

enum { TAKE, GET_AND_EXPIRE, REPLACE, ADD, EXPIRE, INCREMENT, WAITERS };
static const char *const waiter_keys[WAITERS] = {"t", "g", "r", "a", "e", "i"};
static const kivi_status waiter_statuses[WAITERS] = {KIVI_NOT_FOUND, KIVI_NOT_FOUND, KIVI_CONDITION,
                                                     KIVI_OK,        KIVI_NOT_FOUND, KIVI_OK};

static void *wait_with(void *of)
{
    waiter *w = of;
    kivi_call call = within_ms(60000);
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_slice key = kivi_str(waiter_keys[w->verb]), new = kivi_str("new");

    if (w->verb == TAKE)
        w->status = kivi_store_take(w->store, &call, key, &value, NULL);
    else if (w->verb == GET_AND_EXPIRE)
        w->status = kivi_store_get_and_expire(w->store, &call, key, 60000, &value, NULL);
    else if (w->verb == REPLACE)
        w->status = kivi_store_replace(w->store, &call, key, new, KIVI_TTL_NONE, NULL);
    else if (w->verb == ADD)
        w->status = kivi_store_add(w->store, &call, key, new, KIVI_TTL_NONE, NULL);
    else if (w->verb == EXPIRE)
        w->status = kivi_store_expire(w->store, &call, key, 60000, NULL);
    else
        w->status = kivi_store_increment(w->store, &call, key, 1, KIVI_TTL_NONE, &w->sum, NULL);
    kivi_buffer_free(&value);
    return NULL;
}

/* A verb that gets a row's lock when the row has expired finds nothing there, whenever it began. */
Test(fault_mysql_server, what_expires_behind_a_lock)
{
    running_server server;
    waiter waiters[WAITERS];

    server_start(&server, &mysql, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "");
    for (int i = 0; i < WAITERS; i++)
        OK(kivi_store_set(store, NULL, kivi_str(waiter_keys[i]), kivi_str("5"), 3000, E));
    FILE *holder = mysql_hold(&server, "SELECT 1 FROM kv_store FOR UPDATE");
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (waiter){.store = store, .verb = i};
        CHECK(pthread_create(&waiters[i].thread, NULL, wait_with, &waiters[i]) == 0);
    }
    pause_ms(3500);
    mysql_let_go(holder);
    for (int i = 0; i < WAITERS; i++)
        CHECK(pthread_join(waiters[i].thread, NULL) == 0);
    for (int i = 0; i < WAITERS; i++)
        CHECK_SAYING(waiters[i].status == waiter_statuses[i], "%s: %s", waiter_keys[i],
                     kivi_status_name(waiters[i].status));
    CHECK_NUMBER(waiters[INCREMENT].sum, 1);
    kivi_store_unref(store);
    server_stop(&server);
}

/* A table that is dropped is made anew; a column that is gone is told. */
Test(fault_mysql_server, the_table_is_dropped)
{
    running_server server;

    server_start(&server, &mysql, "server", NULL, NULL);
    kivi_store *store = server_open(&server, "");
    put(store, "k", "v");
    mysql_tell(&server, "DROP TABLE kv_store");
    CHECK_NUMBER(set_within(store, "k", "w", 20000), KIVI_UNAVAILABLE); /* refused, and not sent twice */
    OK(set_within(store, "k", "w", 20000));
    expect_holds(store, "k", "w");
    mysql_tell(&server, "DROP TABLE kv_store");
    expect_holds(store, "k", NULL); /* a read is asked again */
    put(store, "k", "w");
    mysql_tell(&server, "ALTER TABLE kv_store DROP COLUMN kivi_hash");
    CHECK_NUMBER(set_within(store, "k", "x", 5000), KIVI_UNAVAILABLE);
    CHECK_NUMBER(set_within(store, "k", "x", 5000), KIVI_UNSUPPORTED);
    mysql_tell(&server, "ALTER TABLE kv_store ADD COLUMN kivi_hash BINARY(8) NULL");
    OK(set_within(store, "k", "y", 20000));
    expect_holds(store, "k", "y");
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

    print(&url, "mysql://kivi@127.0.0.1:%d/kivi%s", server->port, options);
    OK(kivi_store_open(url.bytes, NULL, NULL, &store, E));
    status = kivi_store_get(store, NULL, kivi_str(key), value, NULL);
    kivi_store_unref(store);
    return status;
}

/* KiviGo's table lacks columns: that is told, and mended when asked for; it stays another program's, whose codec is named. */
Test(fault_mysql_server, a_table_of_kivigo)
{
    running_server server;
    kivi_buffer value = KIVI_BUFFER_INIT;
    char key[300];

    server_start(&server, &mysql, "server", NULL, NULL);
    mysql_tell(&server,
               "CREATE TABLE kv_store (key_name VARCHAR(255) PRIMARY KEY, value_data BLOB)");
    mysql_tell(&server, "INSERT INTO kv_store (key_name, value_data) VALUES ('theirs', '5')");
    CHECK_NUMBER(get_json(&server, "?codec=json", "theirs", &value), KIVI_UNSUPPORTED);
    CHECK_NUMBER(get_json(&server, "?codec=json&mend=true", "theirs", &value), KIVI_OK);
    CHECK_NUMBER(get_json(&server, "", "theirs", &value), KIVI_INVALID);
    CHECK_NUMBER(get_json(&server, "?codec=json", "theirs", &value), KIVI_OK);
    CHECK_SAYING(value.size == 1 && *(char *)value.data == '5', "%zu bytes", value.size);
    kivi_buffer_free(&value);

    /* Its own write leaves the expiry standing: it must not end what was written over it. */
    kivi_store *store = server_open(&server, "");
    OK(kivi_store_set(store, NULL, kivi_str("both"), kivi_str("ours"), 300, E));
    mysql_tell(&server, "INSERT INTO kv_store (key_name, value_data) VALUES ('both', 'theirs') "
                        "ON DUPLICATE KEY UPDATE value_data = VALUES(value_data)");
    pause_ms(500);
    expect_holds(store, "both", "theirs");
    put(store, "swept", "x"); /* rides along: a sweep */
    expect_holds(store, "both", "theirs");
    put(store, "BOTH", "other"); /* keys are bytes now */
    expect_holds(store, "both", "theirs");
    /* As long as its column is wide, and no longer. */
    memset(key, 'k', sizeof(key));
    key[255] = '\0';
    put(store, key, "x");
    key[255] = 'k';
    key[256] = '\0';
    CHECK_NUMBER(set_within(store, key, "x", 20000), KIVI_TOO_LARGE);
    kivi_store_unref(store);
    server_stop(&server);
}

/* Of two servers the one that takes writes; the one that is gone is passed over. */
Test(fault_mysql_server, the_primary_of_several)
{
    running_server primary, replica;
    text url;

    server_start(&primary, &mysql, "primary", NULL, NULL);
    server_start(&replica, &mysql, "replica", NULL, NULL);
    mysql_tell(&replica, "SET GLOBAL read_only = 1");
    print(&url, "mysql://kivi@127.0.0.1:%d,127.0.0.1:%d/kivi?codec=raw", replica.port, primary.port);
    kivi_store *store = open_store("%s", url.bytes);
    OK(set_within(store, "k", "v", 20000));
    server_stop(&replica);
    kivi_store *again = open_store("%s", url.bytes);
    expect_holds(again, "k", "v");
    kivi_store_unref(again);
    kivi_store_unref(store);
    server_stop(&primary);
}
