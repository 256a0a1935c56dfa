/* MariaDB as a server of the fault tests. The load's user is not root, so that it can be refused. */
#include "mysql.h"

#include <glob.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Its client ---- */

static void client_arguments(running_server *server, const char *database)
{
    server_argument(server, "mariadb");
    server_argument(server, "--no-defaults");
    server_argument(server, "--socket=%s/sock", server->directory);
    server_argument(server, "--user=root");
    server_argument(server, "%s", database);
    server_argument(server, "-e");
}

void mysql_tell(running_server *server, const char *sql)
{
    client_arguments(server, "kivi");
    server_argument(server, "%s", sql);
    server_run(server);
}

pid_t mysql_tell_beside(running_server *server, const char *sql)
{
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid)
        return pid;
    mysql_tell(server, sql);
    _exit(0);
}

/* The client ends with what is written to it. A file that the server makes tells that all was done. */
FILE *mysql_hold(running_server *server, const char *statements)
{
    char command[700], mark[320];
    FILE *holder;

    snprintf(command, sizeof(command),
             "exec mariadb --no-defaults --socket=%s/sock --user=root kivi >>%s/output 2>&1",
             server->directory, server->directory);
    snprintf(mark, sizeof(mark), "%s/db/held", server->directory);
    CHECK((holder = popen(command, "we")) != NULL);
    CHECK(fprintf(holder, "BEGIN; %s; SELECT 1 INTO OUTFILE '%s';\n", statements, mark) > 0);
    CHECK(fflush(holder) == 0);
    while (access(mark, F_OK) != 0)
        pause_ms(10);
    return holder;
}

void mysql_let_go(FILE *holder)
{
    CHECK(fputs("ROLLBACK;\n", holder) >= 0 && pclose(holder) == 0);
}

/* ---- Starting ---- */

/* The mark that a server's user and database are made. */
static FILE *open_mark(const running_server *server, const char *mode)
{
    char path[320];

    snprintf(path, sizeof(path), "%s/made", server->directory);
    return fopen(path, mode);
}

/* A server that starts takes away every temporary table in its folder, of servers that run as well. */
static void own_temporary_files(running_server *server)
{
    server_argument(server, "--tmpdir=%s", server->directory);
}

static void mysql_prepare(running_server *server)
{
    server_argument(server, "mariadb-install-db");
    server_argument(server, "--no-defaults");
    server_argument(server, "--force");
    server_argument(server, "--skip-name-resolve");
    server_argument(server, "--skip-test-db");
    server_argument(server, "--auth-root-authentication-method=normal");
    server_argument(server, "--datadir=%s/db", server->directory);
    server_argument(server, "--skip-log-bin");
    own_temporary_files(server);
    server_run(server);
}

/* The log of writes has the rows as they are, once a write; it is on disk with the transaction. */
static void mysql_command(running_server *server)
{
    server_argument(server, "/usr/sbin/mariadbd");
    server_argument(server, "--no-defaults");
    server_argument(server, "--datadir=%s/db", server->directory);
    server_argument(server, "--socket=%s/sock", server->directory);
    server_argument(server, "--bind-address=127.0.0.1");
    server_argument(server, "--port=%d", server->port);
    server_argument(server, "--skip-name-resolve");
    server_argument(server, "--max-connections=200");
    server_argument(server, "--max-user-connections=190");
    server_argument(server, "--innodb-buffer-pool-size=32M");
    server_argument(server, "--log-bin=%s/db/writes", server->directory);
    server_argument(server, "--binlog-format=ROW");
    server_argument(server, "--binlog-row-image=MINIMAL");
    server_argument(server, "--skip-binlog-annotate-row-events");
    server_argument(server, "--sync-binlog=1");
    own_temporary_files(server);
}

/* Whether it greets who comes. */
static bool is_up(const running_server *server)
{
    char greeting[5] = "";
    int fd = connect_to_port(server->port);
    bool up;

    if (fd < 0)
        return false;
    up = recv(fd, greeting, sizeof(greeting), MSG_WAITALL) == (ssize_t)sizeof(greeting) &&
         greeting[4] == 10;
    close(fd);
    return up;
}

/* The first time, the load's user and database are made. */
static bool mysql_answers(running_server *server)
{
    FILE *mark;

    if (!is_up(server))
        return false;
    if ((mark = open_mark(server, "r")) != NULL)
        return fclose(mark) == 0;
    client_arguments(server, "mysql");
    server_argument(
        server,
        "DELETE FROM global_priv WHERE User = ''; FLUSH PRIVILEGES; CREATE DATABASE kivi; "
        "CREATE USER kivi@'%%' IDENTIFIED BY '%s'; GRANT ALL ON kivi.* TO kivi@'%%'",
        server->password ? server->password : "");
    server_run(server);
    mark = open_mark(server, "w");
    CHECK(mark && fclose(mark) == 0);
    return true;
}

static void mysql_url(const running_server *server, const char *host, int port,
                      const char *password, text *url)
{
    (void)server;
    print(url, "mysql://kivi%s%s@%s:%d/kivi?codec=raw", password ? ":" : "",
          password ? password : "", host, port);
}

/* ---- Its record of writes ---- */

static void mysql_applied(running_server *server, tally *t)
{
    char pattern[400];
    glob_t found = {0};

    snprintf(pattern, sizeof(pattern), "%s/db/writes.[0-9]*", server->directory);
    CHECK_SAYING(glob(pattern, 0, NULL, &found) == 0, "no record in %s", server->directory);
    for (size_t n = 0; n < found.gl_pathc; n++)
        tally_file(found.gl_pathv[n], t);
    globfree(&found);
}

/* ---- Connections and passwords ---- */

static void mysql_end_connections(running_server *server)
{
    mysql_tell(server, "KILL USER kivi");
}

static void mysql_refuse(running_server *server, bool refuses)
{
    mysql_tell(server, refuses ? "SET GLOBAL max_user_connections = -1"
                               : "SET GLOBAL max_user_connections = 190");
    if (refuses)
        mysql_end_connections(server);
}

static void mysql_set_password(running_server *server, const char *password)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "ALTER USER kivi@'%%' IDENTIFIED BY '%s'", password);
    mysql_tell(server, sql);
}

const fault_server mysql = {
    .name = "mariadbd",
    .user = "nobody",
    .stop_signal = SIGTERM,
    .refusal = "tion", /* of a transaction to restart, or of an execution that was interrupted */
    .prepare = mysql_prepare,
    .command = mysql_command,
    .answers = mysql_answers,
    .url = mysql_url,
    .applied = mysql_applied,
    .end_connections = mysql_end_connections,
    .refuse = mysql_refuse,
    .set_password = mysql_set_password,
};
