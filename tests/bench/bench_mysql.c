/* Rows: MariaDB, beside bare libmariadb: prepared statements for single keys, one statement for many, a connection a thread. */
#include "bench_remote.h"
#include "bench_server.h"

#if __has_include(<mariadb/mysql.h>)
#include <mariadb/mysql.h>
#else
#include <mysql.h>
#endif
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* One server for all rows of a run, filled; ended at exit. Commits do not wait for the disk. */
static bench_server server = {.user = "nobody", .stop_signal = SIGTERM};

typedef struct connection {
    MYSQL my;
    MYSQL_STMT *get, *set;
} connection;

/* ---- The server ---- */

static void run_server(void)
{
    char data[100], port[24], tmp[100], path[100];
    snprintf(data, sizeof data, "--datadir=%s", server.data);
    snprintf(tmp, sizeof tmp, "--tmpdir=%s", server.dir);
    snprintf(path, sizeof path, "--socket=%s/sock", server.dir);
    snprintf(port, sizeof port, "--port=%d", server.port);
    const char *const install[] = {"mariadb-install-db",
                                   "--no-defaults",
                                   "--force",
                                   "--skip-name-resolve",
                                   "--skip-test-db",
                                   "--auth-root-authentication-method=normal",
                                   data,
                                   tmp,
                                   NULL};
    const char *const run[] = {"mariadbd",
                               "--no-defaults",
                               data,
                               tmp,
                               path,
                               port,
                               "--bind-address=127.0.0.1",
                               "--skip-name-resolve",
                               "--max-connections=200",
                               "--innodb-flush-log-at-trx-commit=2",
                               NULL};
    bench_server_call(&server, install[0], install);
    server.pid = bench_server_run(&server, "/usr/sbin/mariadbd", run);
}

static bool connect_to(MYSQL *my, const char *database)
{
    BENCH_CHECK(mysql_init(my));
    return mysql_real_connect(my, "127.0.0.1", "root", "", database, (unsigned)server.port, NULL,
                              CLIENT_MULTI_STATEMENTS) != NULL;
}

static void tell(MYSQL *my, const char *sql, size_t size)
{
    BENCH_CHECK(mysql_real_query(my, sql, size) == 0);
}

static bool is_there(void)
{
    MYSQL my;
    bool there = connect_to(&my, NULL);
    if (there)
        tell(&my, "CREATE DATABASE IF NOT EXISTS bench", 35);
    mysql_close(&my);
    return there;
}

static void stop_server(void)
{
    bench_server_stop(&server);
}

static kivi_store *open_ours(void)
{
    char url[100];
    kivi_store *store;
    kivi_error *error = NULL;
    snprintf(url, sizeof url, "mysql://root@127.0.0.1:%d/bench?codec=raw", server.port);
    bench_ok(kivi_store_open(url, NULL, NULL, &store, &error), &error);
    return store;
}

static void start_server(void)
{
    if (server.pid)
        return;
    bench_server_make(&server, "mysql");
    run_server();
    atexit(stop_server);
    bench_server_await(&server, is_there);
    kivi_store *store = open_ours();
    bench_remote_fill(store);
    kivi_store_unref(store);
}

/* ---- Both sides ---- */

static MYSQL_STMT *prepare(MYSQL *my, const char *sql)
{
    MYSQL_STMT *statement = mysql_stmt_init(my);
    BENCH_CHECK(statement && mysql_stmt_prepare(statement, sql, strlen(sql)) == 0);
    return statement;
}

#define UPSERT " ON DUPLICATE KEY UPDATE value_data = VALUES(value_data)"

static void *connect_peer(void)
{
    connection *peer = calloc(1, sizeof *peer);
    BENCH_CHECK(peer && connect_to(&peer->my, "bench"));
    peer->get = prepare(&peer->my, "SELECT value_data FROM kv_store WHERE key_name = ?");
    peer->set = prepare(&peer->my,
                        "INSERT INTO kv_store (key_name, value_data) VALUES (?, ?)" UPSERT);
    return peer;
}

static void disconnect(void *user)
{
    connection *peer = user;
    mysql_stmt_close(peer->get);
    mysql_stmt_close(peer->set);
    mysql_close(&peer->my);
    free(peer);
}

static void *set_up(const bench_row *row)
{
    start_server();
    return bench_remote_begin(row, open_ours(), connect_peer);
}

static void tear_down(void *user)
{
    bench_remote_end(user, disconnect);
}

static MYSQL_BIND bytes_of(const char *data, unsigned long size)
{
    return (MYSQL_BIND){
        .buffer_type = MYSQL_TYPE_BLOB, .buffer = (void *)(uintptr_t)data, .buffer_length = size};
}

static void peer_get(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    MYSQL_STMT *get = ((connection *)s->peers[thread])->get;
    char value[2 * REMOTE_VALUE];
    unsigned long size = 0;
    MYSQL_BIND out = bytes_of(value, sizeof value);
    out.length = &size;
    while (iterations--) {
        const remote_key *key = bench_peer_next(s, thread);
        uint64_t began = bench_begin_one(s);
        MYSQL_BIND in = bytes_of(key->text, sizeof key->text);
        BENCH_CHECK(!mysql_stmt_bind_param(get, &in) && !mysql_stmt_execute(get) &&
                    !mysql_stmt_bind_result(get, &out) && !mysql_stmt_store_result(get) &&
                    !mysql_stmt_fetch(get) && size == REMOTE_VALUE);
        mysql_stmt_free_result(get);
        bench_end_one(s, BENCH_PEER, thread, began);
    }
}

static void peer_set(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    MYSQL_STMT *set = ((connection *)s->peers[thread])->set;
    while (iterations--) {
        const remote_key *key = bench_peer_next(s, thread);
        uint64_t began = bench_begin_one(s);
        MYSQL_BIND in[] = {bytes_of(key->text, sizeof key->text), bytes_of(s->data->value, REMOTE_VALUE)};
        BENCH_CHECK(!mysql_stmt_bind_param(set, in) && !mysql_stmt_execute(set));
        bench_end_one(s, BENCH_PEER, thread, began);
    }
}

/* ---- Batches ---- */

enum { ROW = 2 * (REMOTE_VALUE + sizeof(remote_key)) + 10 };

static int compare_keys(const void *a, const void *b)
{
    return memcmp(*(const char *const *)a, *(const char *const *)b, sizeof(remote_key));
}

static void next_keys(remote_sides *s, unsigned thread, const char *keys[REMOTE_BATCH])
{
    for (unsigned i = 0; i < REMOTE_BATCH; i++)
        keys[i] = bench_peer_next(s, thread)->text;
    qsort(keys, REMOTE_BATCH, sizeof *keys, compare_keys);
}

static char *put_quoted(MYSQL *my, char *at, const char *data, size_t size)
{
    *at++ = '\'';
    at += mysql_real_escape_string(my, at, data, size);
    *at++ = '\'';
    return at;
}

static void peer_get_many(void *user, unsigned thread, uint64_t iterations)
{
    static const char begin[] = "SELECT key_name, value_data FROM kv_store WHERE key_name IN (";
    remote_sides *s = user;
    MYSQL *my = &((connection *)s->peers[thread])->my;
    const char *keys[REMOTE_BATCH];
    char sql[sizeof begin + REMOTE_BATCH * ROW];
    while (iterations--) {
        char *at = sql + snprintf(sql, sizeof sql, begin);
        next_keys(s, thread, keys);
        for (unsigned i = 0; i < REMOTE_BATCH; i++) {
            at = put_quoted(my, at, keys[i], sizeof(remote_key));
            *at++ = i + 1 < REMOTE_BATCH ? ',' : ')';
        }
        tell(my, sql, (size_t)(at - sql));
        MYSQL_RES *rows = mysql_store_result(my);
        BENCH_CHECK(rows && mysql_num_rows(rows) == REMOTE_BATCH);
        for (unsigned i = 0; i < REMOTE_BATCH; i++)
            bench_use(mysql_fetch_row(rows)[1]);
        mysql_free_result(rows);
    }
}

static void peer_set_many(void *user, unsigned thread, uint64_t iterations)
{
    static const char begin[] = "INSERT INTO kv_store (key_name, value_data) VALUES ";
    remote_sides *s = user;
    MYSQL *my = &((connection *)s->peers[thread])->my;
    const char *keys[REMOTE_BATCH];
    char sql[sizeof begin + REMOTE_BATCH * ROW + sizeof UPSERT];
    while (iterations--) {
        char *at = sql + snprintf(sql, sizeof sql, begin);
        next_keys(s, thread, keys);
        for (unsigned i = 0; i < REMOTE_BATCH; i++) {
            *at++ = i ? ',' : ' ';
            *at++ = '(';
            at = put_quoted(my, at, keys[i], sizeof(remote_key));
            *at++ = ',';
            at = put_quoted(my, at, s->data->value, REMOTE_VALUE);
            *at++ = ')';
        }
        memcpy(at, UPSERT, sizeof UPSERT - 1);
        tell(my, sql, (size_t)(at - sql) + sizeof UPSERT - 1);
    }
}

/* ---- Scans ---- */

static void peer_scan(void *user, unsigned thread, uint64_t iterations)
{
    static const char sql[] = "SELECT key_name, value_data FROM kv_store ORDER BY key_name";
    remote_sides *s = user;
    MYSQL *my = &((connection *)s->peers[thread])->my;
    while (iterations--) {
        unsigned count = 0;
        MYSQL_ROW row;
        tell(my, sql, sizeof sql - 1);
        MYSQL_RES *rows = mysql_use_result(my);
        BENCH_CHECK(rows);
        while ((row = mysql_fetch_row(rows))) {
            bench_use(row[1]);
            count++;
        }
        mysql_free_result(rows);
        BENCH_CHECK(count == REMOTE_KEYS);
    }
}

static void our_scan(void *user, unsigned thread, uint64_t iterations)
{
    (void)thread;
    while (iterations--)
        BENCH_CHECK(bench_our_pairs(user) == REMOTE_KEYS);
}

/* ---- The rows ---- */

#define SIDES(verb) \
    .setup = set_up, .run_peer = peer_##verb, .run_ours = bench_our_##verb, .teardown = tear_down
#define THREADS(verb, many, least)                                                              \
    {                                                                                           \
        .name = "mysql-" #verb "-" #many, .title = "MariaDB " #verb ", TCP, " #many " threads", \
        .peer = "libmariadb: mysql_stmt_execute, a connection a thread",                        \
        .goal = BENCH_OPS_AT_LEAST, .target = least, .threads = many, .peer_threads = many,     \
        .rounds = 9, .round_ms = 300, .cpu_target = 0.7, SIDES(verb)                            \
    }

static const bench_row rows[] = {
    {.name = "mysql-get",
     .title = "MariaDB get, TCP",
     .peer = "libmariadb: mysql_stmt_execute",
     .target = 1.1,
     SIDES(get)},
    {.name = "mysql-set",
     .title = "MariaDB set, TCP",
     .peer = "libmariadb: mysql_stmt_execute",
     .target = 1.1,
     SIDES(set)},
    THREADS(get, 16, 2.0),
    THREADS(get, 64, 4.0),
    THREADS(set, 16, 1.5),
    THREADS(set, 64, 1.5),
    {.name = "mysql-get-many",
     .title = "MariaDB get_many of 100, TCP",
     .peer = "libmariadb: IN (...)",
     .target = 1.1,
     SIDES(get_many)},
    {.name = "mysql-set-many",
     .title = "MariaDB set_many of 100, TCP",
     .peer = "libmariadb: INSERT of 100 rows",
     .target = 1.1,
     SIDES(set_many)},
    {.name = "mysql-scan",
     .title = "MariaDB scan of 100,000 pairs, TCP",
     .peer = "libmariadb: mysql_use_result",
     .target = 1.2,
     .items = REMOTE_KEYS,
     .setup = set_up,
     .run_peer = peer_scan,
     .run_ours = our_scan,
     .teardown = tear_down},
};

const bench_group bench_mysql_group = BENCH_GROUP(rows);
