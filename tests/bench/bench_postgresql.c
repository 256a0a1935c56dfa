/* Rows: PostgreSQL, beside bare libpq: the same statements, prepared, a connection a thread. Commits do not wait for the disk. */
#include "bench_remote.h"
#include "bench_server.h"

#include <arpa/inet.h>
#include <glob.h>
#if __has_include(<postgresql/libpq-fe.h>)
#include <postgresql/libpq-fe.h>
#else
#include <libpq-fe.h>
#endif
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* One server for all rows of a run, filled; ended at exit. */
static bench_server server = {.user = "postgres", .stop_signal = SIGINT};

/* ---- The server ---- */

static const char *program(const char *name)
{
    static char path[200];
    char pattern[100];
    glob_t found = {0};
    snprintf(pattern, sizeof pattern, "/usr/lib/postgresql/*/bin/%s", name);
    bool there = glob(pattern, 0, NULL, &found) == 0;
    snprintf(path, sizeof path, "%s", there ? found.gl_pathv[found.gl_pathc - 1] : name);
    globfree(&found);
    return path;
}

static void make_cluster(void)
{
    const char *const arguments[] = {"initdb",    "-D",    server.data, "-U",   "kivi",
                                     "-A",        "trust", "-E",        "UTF8", "--locale=C.UTF-8",
                                     "--no-sync", NULL};
    bench_server_make(&server, "postgresql");
    bench_server_call(&server, program(arguments[0]), arguments);
}

static PGconn *connect_to_it(void)
{
    char conninfo[128];
    snprintf(conninfo, sizeof conninfo,
             "host=127.0.0.1 port=%d user=kivi dbname=postgres sslmode=disable", server.port);
    return PQconnectdb(conninfo);
}

static bool is_there(void)
{
    PGconn *peer = connect_to_it();
    bool there = PQstatus(peer) == CONNECTION_OK;
    PQfinish(peer);
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
    snprintf(url, sizeof url, "postgresql://kivi@127.0.0.1:%d/postgres?codec=raw", server.port);
    bench_ok(kivi_store_open(url, NULL, NULL, &store, &error), &error);
    return store;
}

static void fill_server(void)
{
    kivi_store *store = open_ours();
    bench_remote_fill(store);
    kivi_store_unref(store);
    PGconn *peer = connect_to_it();
    PQclear(PQexec(peer, "VACUUM ANALYZE kv_store"));
    PQfinish(peer);
}

static void start_server(void)
{
    char port[8];
    if (server.pid)
        return;
    make_cluster();
    snprintf(port, sizeof port, "%d", server.port);
    const char *const arguments[] = {"postgres",
                                     "-D",
                                     server.data,
                                     "-p",
                                     port,
                                     "-c",
                                     "listen_addresses=127.0.0.1",
                                     "-c",
                                     "unix_socket_directories=",
                                     "-c",
                                     "synchronous_commit=off",
                                     "-c",
                                     "max_connections=200",
                                     NULL};
    server.pid = bench_server_run(&server, program(arguments[0]), arguments);
    atexit(stop_server);
    bench_server_await(&server, is_there);
    fill_server();
}

/* ---- Both sides ---- */

static void prepare(PGconn *peer, const char *name, const char *sql)
{
    PGresult *result = PQprepare(peer, name, sql, 0, NULL);
    BENCH_CHECK(PQresultStatus(result) == PGRES_COMMAND_OK);
    PQclear(result);
}

#define UPSERT " ON CONFLICT (key_name) DO UPDATE SET value_data = EXCLUDED.value_data"

static void *connect_peer(void)
{
    PGconn *peer = connect_to_it();
    BENCH_CHECK(PQstatus(peer) == CONNECTION_OK);
    prepare(peer, "get", "SELECT value_data FROM kv_store WHERE key_name = $1::text");
    prepare(peer, "set",
            "INSERT INTO kv_store (key_name, value_data) VALUES ($1::text, $2::bytea)" UPSERT);
    prepare(peer, "mget", "SELECT key_name, value_data FROM kv_store WHERE key_name = ANY($1::text[])");
    prepare(peer,
            "mset", "INSERT INTO kv_store (key_name, value_data) SELECT * FROM unnest($1::text[], $2::bytea[])" UPSERT);
    return peer;
}

static void disconnect(void *peer)
{
    PQfinish(peer);
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

static PGresult *ask(PGconn *peer, const char *name, int count, const char *const *values, const int *sizes)
{
    static const int binary[] = {1, 1};
    PGresult *result = PQexecPrepared(peer, name, count, values, sizes, binary, 1);
    ExecStatusType status = PQresultStatus(result);
    BENCH_CHECK(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK);
    return result;
}

static void peer_get(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    while (iterations--) {
        const char *key = bench_peer_next(s, thread)->text;
        PGresult *result = ask(s->peers[thread], "get", 1, &key, &(int){sizeof(remote_key)});
        BENCH_CHECK(PQntuples(result) == 1 && PQgetlength(result, 0, 0) == REMOTE_VALUE);
        PQclear(result);
    }
}

static void peer_set(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    while (iterations--) {
        const char *values[] = {bench_peer_next(s, thread)->text, s->data->value};
        PQclear(ask(s->peers[thread], "set", 2, values, (int[]){sizeof(remote_key), REMOTE_VALUE}));
    }
}

/* ---- Batches ---- */

static char *put_int4(char *at, uint32_t number)
{
    uint32_t wire = htonl(number);
    memcpy(at, &wire, 4);
    return at + 4;
}

/* An array of REMOTE_BATCH elements of one size, in binary; its bytes. */
static int put_array(char *array, uint32_t type, const char *const *elements, uint32_t size)
{
    char *at = put_int4(put_int4(put_int4(put_int4(put_int4(array, 1), 0), type), REMOTE_BATCH), 1);
    for (unsigned i = 0; i < REMOTE_BATCH; i++) {
        at = put_int4(at, size);
        memcpy(at, elements[i], size);
        at += size;
    }
    return (int)(at - array);
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(*(const char *const *)a, *(const char *const *)b, sizeof(remote_key));
}

static int put_keys(remote_sides *s, unsigned thread, char *array)
{
    const char *keys[REMOTE_BATCH];
    for (unsigned i = 0; i < REMOTE_BATCH; i++)
        keys[i] = bench_peer_next(s, thread)->text;
    qsort(keys, REMOTE_BATCH, sizeof *keys, compare_keys);
    return put_array(array, 25, keys, sizeof(remote_key));
}

static void peer_get_many(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    char array[20 + REMOTE_BATCH * (4 + sizeof(remote_key))];
    const char *values[] = {array};
    while (iterations--) {
        int size = put_keys(s, thread, array);
        PGresult *result = ask(s->peers[thread], "mget", 1, values, &size);
        BENCH_CHECK(PQntuples(result) == REMOTE_BATCH);
        for (int i = 0; i < (int)REMOTE_BATCH; i++)
            bench_use(PQgetvalue(result, i, 1));
        PQclear(result);
    }
}

static void peer_set_many(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    char keys[20 + REMOTE_BATCH * (4 + sizeof(remote_key))],
        all[20 + REMOTE_BATCH * (4 + REMOTE_VALUE)];
    const char *same[REMOTE_BATCH], *values[] = {keys, all};
    for (unsigned i = 0; i < REMOTE_BATCH; i++)
        same[i] = s->data->value;
    while (iterations--) {
        int sizes[] = {put_keys(s, thread, keys), put_array(all, 17, same, REMOTE_VALUE)};
        PQclear(ask(s->peers[thread], "mset", 2, values, sizes));
    }
}

/* ---- Scans ---- */

static void peer_scan(void *user, unsigned thread, uint64_t iterations)
{
    remote_sides *s = user;
    PGconn *peer = s->peers[thread];
    while (iterations--) {
        unsigned count = 0;
        int rows;
        PQclear(PQexec(peer, "BEGIN; DECLARE c CURSOR FOR SELECT key_name, value_data FROM "
                             "kv_store ORDER BY key_name"));
        do {
            PGresult *result = PQexecParams(peer, "FETCH 1000 FROM c", 0, NULL, NULL, NULL, NULL, 1);
            rows = PQntuples(result);
            for (int i = 0; i < rows; i++)
                bench_use(PQgetvalue(result, i, 1));
            count += (unsigned)rows;
            PQclear(result);
        } while (rows);
        PQclear(PQexec(peer, "COMMIT"));
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
#define THREADS(verb, many, least)                                                            \
    {                                                                                         \
        .name = "postgresql-" #verb "-" #many,                                                \
        .title = "PostgreSQL " #verb ", TCP, " #many " threads",                              \
        .peer = "libpq: PQexecPrepared, a connection a thread", .goal = BENCH_OPS_AT_LEAST,   \
        .target = least, .threads = many, .peer_threads = many, .rounds = 9, .round_ms = 300, \
        .cpu_target = 0.7, SIDES(verb)                                                        \
    }

static const bench_row rows[] = {
    {.name = "postgresql-get",
     .title = "PostgreSQL get, TCP",
     .peer = "libpq: PQexecPrepared",
     .target = 1.1,
     SIDES(get)},
    {.name = "postgresql-set",
     .title = "PostgreSQL set, TCP",
     .peer = "libpq: PQexecPrepared",
     .target = 1.1,
     SIDES(set)},
    THREADS(get, 16, 2.0),
    THREADS(get, 64, 4.0),
    THREADS(set, 16, 1.5),
    THREADS(set, 64, 1.5),
    {.name = "postgresql-get-many",
     .title = "PostgreSQL get_many of 100, TCP",
     .peer = "libpq: = ANY($1)",
     .target = 1.1,
     SIDES(get_many)},
    {.name = "postgresql-set-many",
     .title = "PostgreSQL set_many of 100, TCP",
     .peer = "libpq: unnest($1, $2)",
     .target = 1.1,
     SIDES(set_many)},
    {.name = "postgresql-scan",
     .title = "PostgreSQL scan of 100,000 pairs, TCP",
     .peer = "libpq: a cursor, FETCH 1000",
     .target = 1.2,
     .items = REMOTE_KEYS,
     .setup = set_up,
     .run_peer = peer_scan,
     .run_ours = our_scan,
     .teardown = tear_down},
};

const bench_group bench_postgresql_group = BENCH_GROUP(rows);
