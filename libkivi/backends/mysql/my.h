/* The MySQL backend's inside: an instance, its sessions, and what their verbs ask and expect. */
#ifndef KVI_MY_H
#define KVI_MY_H

#include "endpoint.h"
#include "sql.h"

#if __has_include(<mariadb/mysql.h>)
#include <mariadb/mysql.h>
#else
#include <mysql.h>
#endif
#include <netinet/in.h>
#include <stdatomic.h>

/* All that this backend may call of the core; set before anything else runs. */
extern const kivi_host *kvi_my_host;

#define MY_KEY_MOST 1024
#define MY_COLUMN_MARK "kivi: when the pair expires, in ms since 1970; values are libkivi''s"

/* ---- settings.c ---- */

/* What open() was told. */
typedef struct my_settings {
    kvi_endpoint endpoint;
    char *database;
    char *table; /* in quotes */
    char *name;  /* the same, bare */
    char *ca_file, *ca_dir, *crl_file, *cert_file, *key_file, *server_name;
    bool tls, verify;
    bool primary;     /* only a server that takes writes will do */
    bool environment; /* libmariadb's own variables count */
    bool create, mend;
    int64_t sweep, io_timeout_ms;
} my_settings;

kivi_status kvi_my_settings_read(my_settings *settings, const kivi_config *config, kivi_error **error);
void kvi_my_settings_clear(my_settings *settings); /* wipes secrets */
extern const kivi_option_info kvi_my_options[];
extern const size_t kvi_my_option_count;

typedef struct my_instance {
    my_settings settings;
    void *reporter;
    _Atomic uint64_t swept_ns;
    _Atomic uint32_t first;        /* the server that took the last connection */
    _Atomic unsigned long version; /* of the server met last; 0: none yet */
} my_instance;

/* ---- Sessions ---- */

typedef enum my_phase {
    PHASE_CLOSED = 0,
    PHASE_RESOLVING,
    PHASE_CONNECTING,
    PHASE_LOGIN,
    PHASE_READY
} my_phase;

/* What of libmariadb is under way. */
typedef enum my_operation { OP_NONE = 0, OP_CONNECT, OP_QUERY, OP_STORE, OP_NEXT } my_operation;

/* Bytes that are put together. */
typedef struct my_bytes {
    char *data;
    size_t size, room;
    bool failed; /* without memory */
} my_bytes;

/* Whose a statement is: GROUP_VERB and what follows are a verb's own numbers. */
enum {
    GROUP_LIMIT = 0,
    GROUP_SWEEP,
    GROUP_LOGIN,
    GROUP_BEGIN,
    GROUP_COMMIT,
    GROUP_ROLLBACK,
    GROUP_VERB
};

enum { STATEMENTS = 16 }; /* of one request */

/* Statements that go to the server together. */
typedef struct my_request {
    my_bytes text; /* kept for the next */
    uint8_t groups[STATEMENTS];
    size_t count, answered;
    unsigned refused; /* by this error, and by the statement `answered`; 0: all were done */
} my_request;

typedef enum my_way { WAY_SET, WAY_DELETE, WAY_ADD, WAY_IF, WAY_JUDGE } my_way;

/* What the server says of itself and of the table (table.c). */
typedef struct my_table {
    bool exists, marked, has_rows, writes, durable, unique;
    uint64_t packet;
    char key_type[64], value_type[64], expires_type[64], hash_type[64];
} my_table;

typedef struct my_login {
    uint32_t step;   /* login.c */
    uint32_t rounds; /* how often the table was asked for */
    bool mended;
    my_table table;
} my_login;

/* What the locks left of a key that is judged. */
typedef struct my_found {
    bool row;        /* there is one, if only what stands for the key */
    int64_t expires; /* of a value that is there; 0: never */
} my_found;

/* Takes the rows of a statement, or NULL; `*rows` is kept where it is set to NULL. */
typedef struct my_session my_session;
typedef void my_take(my_session *session, uint8_t group, MYSQL_RES **rows, uint64_t changed);

struct my_session {
    my_instance *instance;
    my_phase phase;
    MYSQL my;
    bool has_my; /* `my` is initialised */
    kvi_sql_job job;
    union {
        kivi_read_vector reads;
        kivi_write_vector writes;
    } part; /* what of the job's vector is asked */
    /* connecting */
    kvi_resolve walk;
    kvi_turns turns;
    bool reached; /* it took the connection */
    char *password;
    char host[300]; /* the address to connect to, then the name in the certificate */
    my_login login;
    /* what libmariadb is at */
    my_operation operation;
    int waits; /* MYSQL_WAIT_*; 0: it is done */
    int failed;
    MYSQL *connected;
    MYSQL_RES *result;
    my_request request;
    my_take *take; /* what its answers go to */
    uint64_t used_ns;
    uint64_t deadline_ns; /* of the verb; UINT64_MAX: none */
    uint32_t limit_ms;    /* in force at the server; 0: none */
    uint64_t until_ns;    /* a write may be at work till then */
    /* the verb's */
    my_way way;
    uint32_t round; /* 0: the first request */
    bool in_transaction;
    bool undoing; /* the request takes a refused transaction back */
    kvi_sql_judging judging;
    my_found *found; /* one for each item */
    size_t found_room;
    bool at_once;    /* what is taken is deleted by the statement that tells of it */
    MYSQL_RES *held; /* rows that are told when what was changed is committed */
    int scan_flags;
    uint64_t scan_limit;
    kivi_status sink_status; /* a page that could not be kept */
    kivi_status verdict;     /* of the verb, told when it is rolled back */
    kivi_error *why;
};

kivi_status kvi_my_session_open(my_instance *instance, my_session **session, kivi_error **error);
void kvi_my_session_close(my_session *session);
void kvi_my_session_abandon(my_session *session, bool in_verb);
kivi_status kvi_my_session_begin(my_session *session, const kvi_sql_job *job, kivi_wait *wait,
                                 kivi_error **error);
kivi_status kvi_my_session_step(my_session *session, uint32_t revents, kivi_poll *poll,
                                kivi_error **error);

/* ---- text.c: statements are text, with values in quotes ---- */

void kvi_my_put(my_session *session, const char *text);
void kvi_my_put_number(my_session *session, int64_t number);
void kvi_my_put_bytes(my_session *session, kivi_slice bytes);
uint64_t kvi_my_quoted_size(kivi_slice bytes);
/* What stands for the table, with a space on either side. */
void kvi_my_put_table(my_session *session);

/* Beside a value that expires: when, in ms, and the first 8 bytes of the MD5 of the value it was set for. */
#define MY_NOW "(UNIX_TIMESTAMP(NOW(6)) * 1000)"
#define MY_CLOCK "(UNIX_TIMESTAMP(SYSDATE(6)) * 1000)"
#define MY_HASH(value) "UNHEX(LEFT(MD5(" value "), 16))"
#define MY_COUNTS "(kivi_hash <=> " MY_HASH("value_data") ")"
#define MY_LIVE_BY(time) "(kivi_expires IS NULL OR kivi_expires > " time " OR NOT " MY_COUNTS ")"
#define MY_LEFT_BY(time)                                \
    "IF(kivi_expires IS NULL OR NOT " MY_COUNTS ", 0, " \
    "GREATEST(1, kivi_expires - CEIL" time "))"
#define MY_LIVE MY_LIVE_BY(MY_NOW)
#define MY_LEFT MY_LEFT_BY(MY_NOW)
/* The same where a lock may have been waited for, which NOW() does not see. */
#define MY_STILL_LIVE MY_LIVE_BY(MY_CLOCK)
#define MY_STILL_LEFT MY_LEFT_BY(MY_CLOCK)
/* Behind it comes a number of ms. What may have waited for a lock adds how long: never is an expiry early. */
#define MY_AFTER "CEIL" MY_NOW " + "
#define MY_WAITED "CEIL" MY_CLOCK " - CEIL" MY_NOW

/* When what has this TTL expires; NULL: never. */
void kvi_my_put_expiry(my_session *session, int64_t ttl_ms);
/* What makes rows expire that are there; their keys, as those of kvi_my_put_touched(), come behind it. */
void kvi_my_put_touch(my_session *session);
void kvi_my_put_touched(my_session *session, bool first, kivi_slice key, int64_t ttl_ms);
void kvi_my_put_touch_end(my_session *session);
/* "key" as one of a list: a comma before all but the first. */
void kvi_my_put_listed(my_session *session, bool first, kivi_slice key);

/* ---- request.c ---- */

void kvi_my_request_begin(my_session *session);
/* The next statement begins; its text is put behind this. */
void kvi_my_statement(my_session *session, uint8_t group);
/* OK, with all statements answered or one of them refused; PENDING. */
kivi_status kvi_my_request_send(my_session *session, kivi_error **error);
kivi_status kvi_my_request_step(my_session *session, uint32_t revents, kivi_error **error);

/* Starts the operation, or goes on with it; `waits` says what for. */
void kvi_my_operate(my_session *session, my_operation operation);
void kvi_my_operate_on(my_session *session, int ready);
/* Says goodbye and frees what libmariadb has. */
void kvi_my_end(my_session *session);
/* Its descriptor; -1: none. */
int kvi_my_socket(const my_session *session);
int kvi_my_ready(const my_session *session, uint32_t revents);
void kvi_my_operation_poll(const my_session *session, kivi_poll *poll);

/* A row's column; NULL is empty. */
kivi_slice kvi_my_column(MYSQL_RES *rows, MYSQL_ROW row, unsigned column);
int64_t kvi_my_number(MYSQL_ROW row, unsigned column);

/* ---- connect.c ---- */

kivi_status kvi_my_connect(my_session *session, kivi_error **error);
/* OK: connected, the login's first round is to be sent; PENDING. */
kivi_status kvi_my_connect_step(my_session *session, uint32_t revents, kivi_error **error);
void kvi_my_connect_poll(my_session *session, kivi_poll *poll);
void kvi_my_disconnect(my_session *session);
/* A server that will not do: the next one is tried, or the failure is the whole's. Takes what is in *error. */
kivi_status kvi_my_next_server(my_session *session, kivi_status status, kivi_error **error);
void kvi_my_connection_abandon(my_session *session, bool in_verb);

/* ---- login.c, table.c: settings of the session, what the server says, and the table ---- */

kivi_status kvi_my_login_begin(my_session *session, kivi_error **error);
void kvi_my_login_rows(my_session *session, MYSQL_RES *rows);
/* A round is over. OK: logged in; PENDING: another is under way. */
kivi_status kvi_my_login_end(my_session *session, kivi_error **error);
void kvi_my_table_ask(my_session *session);
void kvi_my_table_rows(my_table *table, MYSQL_RES *rows);
/* What the table lacks, as the statement that mends it, without its end; NULL: nothing. */
enum { MY_MEND = 700 };
const char *kvi_my_table_lacks(const my_table *table, const char *name, char text[MY_MEND]);

/* ---- failure.c ---- */

kivi_status kvi_my_no_memory(kivi_error **error);
kivi_status kvi_my_broken(kivi_error **error);
bool kvi_my_is_conflict(unsigned code); /* rolled back for another's sake: to be done again */
bool kvi_my_is_loss(unsigned code); /* the connection is gone, by libmariadb's words or the server's */
/* What a refusal means for the verb; `late`: the time that the server had for it is over. */
kivi_status kvi_my_refuse(const my_session *session, unsigned code, bool late, kivi_error **error);
/* A failed login, by its code. UNAVAILABLE without an error: the address did not do. */
kivi_status kvi_my_login_failed(my_session *session, kivi_error **error);

/* ---- limit.c: how long the server may take ---- */

/* Sets the session's limits by the deadline of the verb that begins, where it has others: the request's first statement. */
void kvi_my_limit_verb(my_session *session, bool short_locks);
/* Whether the time that the server had for the verb is over. */
bool kvi_my_limit_is_over(const my_session *session);

/* ---- packet.c: how much a request may have ---- */

/* Of a value, by what the login learned. */
uint64_t kvi_my_value_most(const my_session *session);
/* Cuts the verb's vector to what fits one request. TOO_LARGE: nothing does, or it must not be cut. */
kivi_status kvi_my_packet_cut(my_session *session, kivi_error **error);

/* ---- read.c, write.c, scan.c: begin puts the first request together, rows takes a result, next comes at its end ---- */

void kvi_my_read_begin(my_session *session);
void kvi_my_read_rows(my_session *session, uint8_t group, MYSQL_RES **rows);
/* OK: all is done; PENDING: another request was put together. */
kivi_status kvi_my_read_next(my_session *session);
kivi_status kvi_my_write_begin(my_session *session, kivi_error **error);
void kvi_my_write_rows(my_session *session, uint8_t group, MYSQL_RES **rows, uint64_t changed);
kivi_status kvi_my_write_next(my_session *session, kivi_error **error);
kivi_status kvi_my_scan_begin(my_session *session, kivi_error **error);
void kvi_my_scan_rows(my_session *session, MYSQL_RES *rows);
kivi_status kvi_my_count_begin(my_session *session, kivi_error **error);
void kvi_my_count_rows(my_session *session, MYSQL_RES *rows);

#endif
