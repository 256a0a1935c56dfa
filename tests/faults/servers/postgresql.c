/* PostgreSQL as a server of the fault tests. The load's role is no superuser, so that it can be refused. */
#include "postgresql.h"

#include <arpa/inet.h>
#include <glob.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Its programs ---- */

/* Debian keeps those of each version in a folder of their own, which is not on the path. */
static void program_argument(running_server *server, const char *name)
{
    char pattern[100];
    glob_t found = {0};

    snprintf(pattern, sizeof(pattern), "/usr/lib/postgresql/*/bin/%s", name);
    if (glob(pattern, 0, NULL, &found) == 0)
        server_argument(server, "%s", found.gl_pathv[found.gl_pathc - 1]);
    else
        server_argument(server, "%s", name);
    globfree(&found);
}

/* `output`: what it prints goes into that file of the server's folder; NULL: to its output. */
static void psql_arguments(running_server *server, const char *database, const char *output)
{
    program_argument(server, "psql");
    if (output) {
        server_argument(server, "-o");
        server_argument(server, "%s/%s", server->directory, output);
    }
    server_argument(server, "-qXtA");
    server_argument(server, "-v");
    server_argument(server, "ON_ERROR_STOP=1");
    server_argument(server, "-h");
    server_argument(server, "%s", server->directory);
    server_argument(server, "-p");
    server_argument(server, "%d", server->port);
    server_argument(server, "-U");
    server_argument(server, "postgres");
    server_argument(server, "%s", database);
    server_argument(server, "-c");
}

void postgresql_tell(running_server *server, const char *sql)
{
    psql_arguments(server, "kivi", NULL);
    server_argument(server, "%s", sql);
    server_run(server);
}

pid_t postgresql_tell_beside(running_server *server, const char *sql)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid)
        return pid;
    postgresql_tell(server, sql);
    _exit(0);
}

/* ---- Starting ---- */

/* The mark that a server's role, database and log are made. */
static FILE *open_mark(const running_server *server, const char *mode)
{
    char path[320];

    snprintf(path, sizeof(path), "%s/made", server->directory);
    return fopen(path, mode);
}

static void set_mark(const running_server *server)
{
    FILE *mark = open_mark(server, "w");

    CHECK(mark && fclose(mark) == 0);
}

static void postgresql_prepare(running_server *server)
{
    program_argument(server, "initdb");
    server_argument(server, "-D");
    server_argument(server, "%s/db", server->directory);
    server_argument(server, "-U");
    server_argument(server, "postgres");
    server_argument(server, "--auth-local=trust");
    server_argument(server, "--auth-host=%s", server->password ? "scram-sha-256" : "trust");
    server_argument(server, "-E");
    server_argument(server, "UTF8");
    server_argument(server, "--locale=C.UTF-8");
    server_argument(server, "--no-sync");
    server_run(server);
}

static void postgresql_command(running_server *server)
{
    program_argument(server, "postgres");
    server_argument(server, "-D");
    server_argument(server, "%s/db", server->directory);
    server_argument(server, "-p");
    server_argument(server, "%d", server->port);
    server_argument(server, "-c");
    server_argument(server, "listen_addresses=127.0.0.1");
    server_argument(server, "-c");
    server_argument(server, "unix_socket_directories=%s", server->directory);
    server_argument(server, "-c");
    server_argument(server, "max_connections=200");
    server_argument(server, "-c");
    server_argument(server, "wal_level=logical");
}

void postgresql_copy(const running_server *primary, running_server *server)
{
    program_argument(server, "pg_basebackup");
    server_argument(server, "-D");
    server_argument(server, "%s/db", server->directory);
    server_argument(server, "-h");
    server_argument(server, "%s", primary->directory);
    server_argument(server, "-p");
    server_argument(server, "%d", primary->port);
    server_argument(server, "-U");
    server_argument(server, "postgres");
    server_argument(server, "--write-recovery-conf");
    server_argument(server, "--checkpoint=fast");
    server_argument(server, "--no-sync");
    server_run(server);
    set_mark(server);
}

/* Whether it would let somebody log in; while it starts it says an error. */
static bool is_up(const running_server *server)
{
    static const char words[] = "user\0postgres\0database\0postgres\0";
    char packet[8 + sizeof(words)], answer = 0;
    uint32_t head[2] = {htonl(sizeof(packet)), htonl(196608)};
    int fd = connect_to_port(server->port);
    bool up;

    if (fd < 0)
        return false;
    memcpy(packet, head, 8);
    memcpy(packet + 8, words, sizeof(words));
    up = send(fd, packet, sizeof(packet), MSG_NOSIGNAL) == (ssize_t)sizeof(packet) &&
         recv(fd, &answer, 1, 0) == 1 && answer == 'R';
    close(fd);
    return up;
}

/* The first time, the load's role and database are made, and the log of writes is begun. */
static bool postgresql_answers(running_server *server)
{
    FILE *mark;

    if (!is_up(server))
        return false;
    if ((mark = open_mark(server, "r")) != NULL)
        return fclose(mark) == 0;
    psql_arguments(server, "postgres", NULL);
    server_argument(server, "CREATE ROLE kivi LOGIN PASSWORD '%s'",
                    server->password ? server->password : "none");
    server_run(server);
    psql_arguments(server, "postgres", NULL);
    server_argument(server, "CREATE DATABASE kivi OWNER kivi");
    server_run(server);
    postgresql_tell(server, "SELECT pg_create_logical_replication_slot('writes', 'test_decoding')");
    set_mark(server);
    return true;
}

static void postgresql_url(const running_server *server, const char *host, int port,
                           const char *password, text *url)
{
    (void)server;
    print(url, "postgresql://kivi%s%s@%s:%d/kivi?codec=raw", password ? ":" : "",
          password ? password : "", host, port);
}

/* ---- Its record of writes: what its log decodes to, of committed transactions alone ---- */

#define VALUE "value_data[bytea]:'\\x"
#define VALUE_QUOTED "value_data[bytea]:''\\x"

static int digit_of(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                          : -1;
}

/* Tallies the value of a line such as "table public.kv_store: INSERT: key_name[text]:'k' value_data[bytea]:'\x3c31'". */
static void tally_line(tally *t, const char *line)
{
    const char *at = strstr(line, VALUE);
    tally_stream stream = {.size = 0};

    if (!at)
        return;
    for (at += sizeof(VALUE) - 1; digit_of(at[0]) >= 0 && digit_of(at[1]) >= 0; at += 2)
        tally_feed(t, &stream, &(char){(char)(digit_of(at[0]) << 4 | digit_of(at[1]))}, 1);
}

static void postgresql_applied(running_server *server, tally *t)
{
    char path[320], line[2048];
    FILE *file;

    psql_arguments(server, "kivi", "applied");
    server_argument(server, "SELECT data FROM pg_logical_slot_get_changes('writes', NULL, NULL) "
                            "WHERE position('" VALUE_QUOTED "3c' IN data) > 0");
    server_run(server);
    snprintf(path, sizeof(path), "%s/applied", server->directory);
    CHECK((file = fopen(path, "r")) != NULL);
    while (fgets(line, sizeof(line), file))
        tally_line(t, line);
    fclose(file);
}

/* ---- Connections and passwords ---- */

#define END_CONNECTIONS \
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'kivi'"

static void postgresql_end_connections(running_server *server)
{
    postgresql_tell(server, END_CONNECTIONS);
}

static void postgresql_refuse(running_server *server, bool refuses)
{
    postgresql_tell(server, refuses ? "ALTER ROLE kivi CONNECTION LIMIT 0"
                                    : "ALTER ROLE kivi CONNECTION LIMIT -1");
    if (refuses)
        postgresql_tell(server, END_CONNECTIONS);
}

static void postgresql_set_password(running_server *server, const char *password)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "ALTER ROLE kivi PASSWORD '%s'", password);
    postgresql_tell(server, sql);
}

const fault_server postgresql = {
    .name = "postgres",
    .user = "postgres",
    .stop_signal = SIGINT,
    .refusal = "VERROR", /* the severity: of a lock not had in time, or a statement out of time */
    .prepare = postgresql_prepare,
    .command = postgresql_command,
    .answers = postgresql_answers,
    .url = postgresql_url,
    .applied = postgresql_applied,
    .end_connections = postgresql_end_connections,
    .refuse = postgresql_refuse,
    .set_password = postgresql_set_password,
};
