/* The PostgreSQL backend's inside: an instance, its sessions, and what their verbs ask and expect. */
#ifndef KVI_PG_H
#define KVI_PG_H

#include "endpoint.h"
#include "sql.h"

#include <stdatomic.h>
#if __has_include(<postgresql/libpq-fe.h>)
#include <postgresql/libpq-fe.h>
#else
#include <libpq-fe.h>
#endif

/* All that this backend may call of the core; set before anything else runs. */
extern const kivi_host *kvi_pg_host;

#define PG_KEY_MOST 2600 /* 2,704 random bytes do not fit the index */

/* ---- settings.c ---- */

/* What open() was told. */
typedef struct pg_settings {
    kvi_endpoint endpoint;
    char **sockets;    /* for each server the directory of its socket; NULL: it is reached by TCP */
    char *database;    /* NULL: libpq's default, the user's name */
    char *table;       /* with its schema, quoted */
    char *application; /* name of the connections; NULL: none */
    char *ca_file, *crl_file, *cert_file, *key_file, *server_name;
    bool tls, verify;
    bool primary;  /* only a server that takes writes will do */
    bool prepared; /* statements are prepared, settings are the session's; else the connection is another's in between */
    bool environment; /* libpq's own variables and files count */
    bool create, mend, ascii;
    int64_t sweep, io_timeout_ms;
} pg_settings;

kivi_status kvi_pg_settings_read(pg_settings *settings, const kivi_config *config, kivi_error **error);
void kvi_pg_settings_clear(pg_settings *settings); /* wipes secrets */
extern const kivi_option_info kvi_pg_options[];
extern const size_t kvi_pg_option_count;

/* ---- statement.c ---- */

enum { SCAN_AFTER = 4, SCAN_BELOW = 8 }; /* beside KVI_SQL_VALUE and KVI_SQL_EXPIRY */

/* Statements by number; those of reads and scans have one for each set of flags. */
enum {
    PG_GET = 0,
    PG_MGET = 4,
    PG_TAKE = 8,
    PG_TOUCH,
    PG_SET,
    PG_MSET,
    PG_DELETE,
    PG_MDELETE,
    PG_ADD,
    PG_LOCK,
    PG_FETCH,
    PG_JUDGE,
    PG_SWEEP,
    PG_LIMIT,       /* of the session */
    PG_LIMIT_LOCAL, /* of the transaction */
    PG_SCAN = 24,
    PG_COUNT = 40, /* and SCAN_BELOW / 8 */
    PG_STATEMENTS = 42
};

typedef struct pg_instance {
    pg_settings settings;
    void *reporter;
    char *sql[PG_STATEMENTS];
    _Atomic uint64_t swept_ns;
    _Atomic uint32_t first; /* the server that took the last connection */
    _Atomic int version;    /* of the server met last; 0: none yet */
} pg_instance;

/* The name of the index on what expires, of a table's quoted name. */
#define PG_INDEX_NAME 40
void kvi_pg_index_name(const char *table, const char *what, char name[PG_INDEX_NAME]);
bool kvi_pg_statements_make(pg_instance *instance);
void kvi_pg_statements_free(pg_instance *instance);

/* ---- Sessions ---- */

typedef enum pg_phase {
    PHASE_CLOSED = 0,
    PHASE_RESOLVING,
    PHASE_CONNECTING,
    PHASE_LOGIN,
    PHASE_READY
} pg_phase;

/* Bytes of a parameter that is put together. */
typedef struct pg_bytes {
    char *data;
    size_t size, room;
} pg_bytes;

enum { PARAMETERS = 8 };

/* The parameters of the next statement. */
typedef struct pg_parameters {
    int count;
    const char *values[PARAMETERS]; /* NULL: what is in `made`, or NULL itself */
    int sizes[PARAMETERS];
    bool is_made[PARAMETERS];
    pg_bytes made[PARAMETERS]; /* kept for the next time */
    bool failed;               /* without memory */
} pg_parameters;

/* What an answer in the pipeline belongs to. */
typedef enum pg_awaited_kind { AWAIT_PREPARED, AWAIT_ROWS, AWAIT_SYNC } pg_awaited_kind;

/* GROUP_VERB and what follows are a verb's own numbers; the others' answers are not the verb's. */
enum { GROUP_LIMIT = 0, GROUP_SWEEP, GROUP_LOGIN, GROUP_VERB };

typedef struct pg_awaited {
    uint8_t kind, statement;
    uint16_t group;
} pg_awaited;

typedef enum pg_way { WAY_SET, WAY_DELETE, WAY_ADD, WAY_JUDGE } pg_way;

/* The first refusal of a transaction; what follows from it is only aborted. */
typedef struct pg_refusal {
    bool told, fatal;
    bool at_end; /* all its statements were done: whether it is committed is not known where the server ends as well */
    char state[6];
} pg_refusal;

/* What the server says of itself and of the table (table.c). */
typedef struct pg_table {
    bool answered, exists, marked, has_rows;
    bool utf8, writes, durable;
    bool unique, scans; /* has an index by which keys are found, and one in the order of bytes */
    bool same_bytes;    /* keys that are equal are so byte for byte */
    char key_type[64], value_type[64], expires_type[64], hash_type[64];
    int64_t key_most;
} pg_table;

typedef struct pg_login {
    uint32_t step;   /* login.c */
    uint32_t rounds; /* how often the table was asked for */
    bool mended;
    pg_table table;
} pg_login;

enum { PG_HELD = 2 };

typedef struct pg_session {
    pg_instance *instance;
    pg_phase phase;
    PGconn *conn;
    kvi_sql_job job;
    /* connecting */
    kvi_resolve walk;
    kvi_turns turns;
    bool reached; /* it took the connection */
    PostgresPollingStatusType poll;
    pg_login login;
    /* statements in flight */
    uint64_t prepared; /* a bit for each */
    pg_parameters parameters;
    pg_awaited *awaited;
    size_t awaited_count, awaited_room, answered;
    bool unsent; /* libpq holds bytes that the socket did not take */
    uint64_t used_ns;
    uint64_t deadline_ns; /* of the verb; UINT64_MAX: none */
    uint32_t limit_ms;    /* in force at the server; 0: none */
    uint64_t until_ns;    /* a write may be at work till then */
    /* the verb's */
    pg_way way;
    bool counts; /* some of its items are increments */
    kvi_sql_judging judging;
    int scan_flags;
    uint64_t scan_limit;
    kivi_status sink_status; /* a page that could not be kept */
    PGresult *held[PG_HELD]; /* rows of reads that changed something: told when that is committed */
    pg_refusal refusal;      /* of the transaction in progress */
    kivi_status verdict;     /* of the verb, told when all answers are there */
    kivi_error *why;
} pg_session;

kivi_status kvi_pg_session_open(pg_instance *instance, pg_session **session, kivi_error **error);
void kvi_pg_session_close(pg_session *session);
void kvi_pg_session_abandon(pg_session *session, bool in_verb);
kivi_status kvi_pg_session_begin(pg_session *session, const kvi_sql_job *job, kivi_wait *wait,
                                 kivi_error **error);
kivi_status kvi_pg_session_step(pg_session *session, uint32_t revents, kivi_poll *poll,
                                kivi_error **error);

/* ---- send.c ---- */

void kvi_pg_parameters_begin(pg_session *session);
void kvi_pg_put_slice(pg_session *session, kivi_slice bytes); /* lies until the statement is sent */
void kvi_pg_put_null(pg_session *session);
void kvi_pg_put_int8(pg_session *session, int64_t number);
void kvi_pg_put_int4(pg_session *session, int32_t number);
void kvi_pg_put_bool(pg_session *session, bool truth);
/* An array: begun with its element type and count, its elements appended. */
enum { PG_BYTEA = 17, PG_INT8 = 20, PG_INT2 = 21, PG_TEXT = 25 };
void kvi_pg_array_begin(pg_session *session, Oid element, size_t count);
void kvi_pg_array_bytes(pg_session *session, kivi_slice bytes);
void kvi_pg_array_null(pg_session *session);
void kvi_pg_array_int2(pg_session *session, int16_t number);
void kvi_pg_array_int8(pg_session *session, int64_t number);
/* Queues a statement, prepared where it is not yet; a text that is asked once; the end of a transaction. */
kivi_status kvi_pg_send(pg_session *session, int statement, uint16_t group, kivi_error **error);
kivi_status kvi_pg_send_once(pg_session *session, const char *sql, const char *value, kivi_error **error);
kivi_status kvi_pg_sync(pg_session *session, uint16_t group, kivi_error **error);
int64_t kvi_pg_int8(const PGresult *result, int row, int column);
static inline kivi_slice kvi_pg_slice(const PGresult *result, int row, int column)
{
    return kivi_bytes(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}

/* ---- start.c ---- */

/* What stands for no password where a variable could give one. */
#define PG_NO_PASSWORD " "
/* libpq's attempt begins; `address`: where the place's host is, NULL for a socket. NULL: no memory. */
PGconn *kvi_pg_start(const pg_session *session, const kvi_place *place, const char *address,
                     const char *password);
/* Whose process this is, to free; NULL: it has no name. */
char *kvi_pg_system_user(void);

/* ---- connect.c ---- */

kivi_status kvi_pg_connect(pg_session *session, kivi_error **error);
/* OK: the login's first round is queued; PENDING. */
kivi_status kvi_pg_connect_step(pg_session *session, uint32_t revents, kivi_error **error);
void kvi_pg_connect_poll(pg_session *session, kivi_poll *poll);
void kvi_pg_disconnect(pg_session *session);
/* A server that will not do: the next one is tried, or the failure is the whole's. Takes what is in *error. */
kivi_status kvi_pg_next_server(pg_session *session, kivi_status status, kivi_error **error);
void kvi_pg_connection_abandon(pg_session *session, bool in_verb);

/* ---- login.c, table.c: settings of the session, what the server says, and the table ---- */

kivi_status kvi_pg_login_begin(pg_session *session, kivi_error **error);
void kvi_pg_login_rows(pg_session *session, const PGresult *result);
/* A round is over. OK: logged in; PENDING: another was queued. */
kivi_status kvi_pg_login_end(pg_session *session, kivi_error **error);
extern const char kvi_pg_ask_table[];
void kvi_pg_table_read(pg_table *table, const PGresult *result);
/* What the table lacks, as the statement that mends it, without its end; NULL: nothing. `text` has room for it. */
enum { PG_MEND = 700 };
const char *kvi_pg_table_lacks(const pg_table *table, const char *name, char text[PG_MEND]);

/* ---- failure.c ---- */

kivi_status kvi_pg_no_memory(kivi_error **error);
kivi_status kvi_pg_broken(kivi_error **error);
bool kvi_pg_is_conflict(const char *state); /* rolled back for another's sake: to be done again */
/* What a refusal means for the verb. `limit_over`: the time that the server had is over. */
kivi_status kvi_pg_refuse(const pg_refusal *refusal, bool limit_over, kivi_error **error);
/* A failed login: by its SQLSTATE, or by libpq's words, which come before any of the server's. *code: the system's. */
kivi_status kvi_pg_login_failed(const PGconn *conn, bool tls, int *code, kivi_error **error);

/* ---- limit.c: how long the server may take ---- */

/* Sets the session's limit by the deadline of the verb that begins, where it has another. */
kivi_status kvi_pg_limit_verb(pg_session *session, kivi_error **error);
/* Whether the time that the server had for the verb is over. */
bool kvi_pg_limit_is_over(const pg_session *session);
/* Bounds the transaction that begins: `short_locks`, where others than who waits for a lock are in it as well. */
kivi_status kvi_pg_limit_transaction(pg_session *session, bool short_locks, kivi_error **error);

/* ---- read.c, write.c, scan.c: begin queues statements, rows takes a result, done comes at the end of one ---- */

kivi_status kvi_pg_read_begin(pg_session *session, kivi_error **error);
/* Takes *result where its rows are told later. */
void kvi_pg_read_rows(pg_session *session, PGresult **result, uint16_t group);
void kvi_pg_read_done(pg_session *session, uint16_t group);
/* What was taken and touched is so for good. */
void kvi_pg_read_committed(pg_session *session);
kivi_status kvi_pg_write_begin(pg_session *session, kivi_error **error);
void kvi_pg_write_rows(pg_session *session, const PGresult *result, int statement);
/* The old values of increments are there, their rows locked: the second round. */
kivi_status kvi_pg_write_second(pg_session *session, kivi_error **error);
kivi_status kvi_pg_write_committed(pg_session *session, kivi_error **error);
kivi_status kvi_pg_scan_begin(pg_session *session, kivi_error **error);
void kvi_pg_scan_rows(pg_session *session, const PGresult *result);
kivi_status kvi_pg_count_begin(pg_session *session, kivi_error **error);
void kvi_pg_count_rows(pg_session *session, const PGresult *result);

#endif
