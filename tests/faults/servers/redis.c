/* Redis as a server of the fault tests. */
#include "redis.h"

#include <glob.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Talking ---- */

static bool read_answer(int fd, char *answer, size_t room)
{
    size_t size = 0;

    while (size + 1 < room) {
        if (recv(fd, answer + size, 1, 0) != 1)
            return false;
        if (answer[size] == '\n')
            break;
        size++;
    }
    answer[size && answer[size - 1] == '\r' ? size - 1 : size] = '\0';
    return true;
}

static bool ask(int fd, const char *command, char *answer, size_t room)
{
    char line[512];
    int size = snprintf(line, sizeof(line), "%s\r\n", command);

    return send(fd, line, (size_t)size, MSG_NOSIGNAL) == size && read_answer(fd, answer, room);
}

/* By one who is logged in. */
static int redis_connect(const running_server *server)
{
    char login[64], answer[256];
    int fd = connect_to_port(server->port);

    CHECK_SAYING(fd >= 0, "no connection to the server");
    if (server->password) {
        snprintf(login, sizeof(login), "AUTH %s", server->password);
        CHECK_SAYING(ask(fd, login, answer, sizeof(answer)) && !strcmp(answer, "+OK"), "%s", answer);
    }
    return fd;
}

void redis_says(const running_server *server, const char *command, char *answer, size_t room)
{
    int fd = redis_connect(server);

    CHECK_SAYING(ask(fd, command, answer, room), "%s: no answer", command);
    close(fd);
}

void redis_tell(const running_server *server, const char *command)
{
    char answer[256];

    redis_says(server, command, answer, sizeof(answer));
    CHECK_SAYING(!strcmp(answer, "+OK"), "%s: %s", command, answer);
}

void redis_text(const running_server *server, const char *command, char *answer, size_t room)
{
    char first[64];
    int fd = redis_connect(server);

    CHECK_SAYING(ask(fd, command, first, sizeof(first)) && first[0] == '$', "%s: %s", command, first);
    size_t size = strtoul(first + 1, NULL, 10);
    CHECK(size < room && recv(fd, answer, size, MSG_WAITALL) == (ssize_t)size);
    answer[size] = '\0';
    close(fd);
}

/* ---- Waiting ---- */

enum { PATIENCE_S = 150 };

/* Whose clients are ended in this moment gives no answer: that is another one. */
static bool begins_with(const running_server *server, const char *command, const char *wanted)
{
    char line[64], answer[64] = "";
    int fd = connect_to_port(server->port);
    int size = snprintf(line, sizeof(line), "%s\r\n", command);
    size_t length = strlen(wanted);

    if (fd < 0)
        return false;
    bool is = send(fd, line, (size_t)size, MSG_NOSIGNAL) == size &&
              recv(fd, answer, length, MSG_WAITALL) == (ssize_t)length &&
              !memcmp(answer, wanted, length);
    close(fd);
    return is;
}

void redis_await(const running_server *server, const char *command, const char *wanted)
{
    uint64_t end = now_ns() + PATIENCE_S * UINT64_C(1000000000);

    while (!begins_with(server, command, wanted)) {
        CHECK_SAYING(now_ns() < end, "%s never answers %s", command, wanted);
        pause_ms(20);
    }
}

void redis_await_text(const running_server *server, const char *command, const char *part, bool has)
{
    uint64_t end = now_ns() + PATIENCE_S * UINT64_C(1000000000);
    char answer[16384];

    for (;;) {
        redis_text(server, command, answer, sizeof(answer));
        if ((strstr(answer, part) != NULL) == has)
            return;
        CHECK_SAYING(now_ns() < end, "%s never says %s%s", command, has ? "" : "other than ", part);
        pause_ms(20);
    }
}

/* ---- Starting ---- */

static bool redis_answers(running_server *server)
{
    char answer[256];
    int fd = connect_to_port(server->port);
    /* A server that wants a password is up, too; one that is loading is not. */
    bool up = fd >= 0 && ask(fd, "PING", answer, sizeof(answer)) && strncmp(answer, "-LOADING", 8) != 0;

    if (fd >= 0)
        close(fd);
    return up;
}

static void redis_command(running_server *server)
{
    static const char *const words[] = {"redis-server",
                                        "--bind",
                                        "127.0.0.1",
                                        "--save",
                                        "",
                                        "--appendonly",
                                        "yes",
                                        "--appendfsync",
                                        "always",
                                        "--auto-aof-rewrite-percentage",
                                        "0",
                                        "--logfile",
                                        "log"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        server_argument(server, "%s", words[i]);
    server_argument(server, "--port");
    server_argument(server, "%d", server->port);
    server_argument(server, "--dir");
    server_argument(server, "%s", server->directory);
    if (!server->password)
        return;
    server_argument(server, "--requirepass");
    server_argument(server, "%s", server->password);
}

static void redis_url(const running_server *server, const char *host, int port,
                      const char *password, text *url)
{
    (void)server;
    print(url, "redis://%s%s%s%s:%d/0?codec=raw", password ? ":" : "", password ? password : "",
          password ? "@" : "", host, port);
}

/* ---- Its record ---- */

/* Version 7 keeps it in a folder of parts, older ones in one file. */
static void redis_applied(running_server *server, tally *t)
{
    static const char *const patterns[] = {"%s/appendonlydir/*.aof", "%s/appendonly.aof"};
    size_t files = 0;

    for (size_t i = 0; i < 2; i++) {
        char pattern[400];
        glob_t found = {0};
        snprintf(pattern, sizeof(pattern), i ? patterns[1] : patterns[0], server->directory);
        if (glob(pattern, 0, NULL, &found) == 0)
            for (size_t n = 0; n < found.gl_pathc; n++, files++)
                tally_file(found.gl_pathv[n], t);
        globfree(&found);
    }
    CHECK_SAYING(files > 0, "no record in %s", server->directory);
}

/* ---- Connections and passwords ---- */

static void redis_end_connections(running_server *server)
{
    char answer[256];

    redis_says(server, "CLIENT KILL TYPE normal SKIPME yes", answer, sizeof(answer));
    CHECK_SAYING(answer[0] == ':', "%s", answer);
}

/* Who would let clients in again has to be in by then. */
static void redis_refuse(running_server *server, bool refuses)
{
    char answer[256];

    if (refuses)
        server->control = redis_connect(server);
    CHECK(ask(server->control, refuses ? "CONFIG SET maxclients 1" : "CONFIG SET maxclients 1000",
              answer, sizeof(answer)));
    CHECK_SAYING(!strcmp(answer, "+OK"), "%s", answer);
    if (refuses) {
        CHECK(ask(server->control, "CLIENT KILL TYPE normal SKIPME yes", answer, sizeof(answer)));
        return;
    }
    close(server->control);
    server->control = -1;
}

static void redis_set_password(running_server *server, const char *password)
{
    char command[128];

    snprintf(command, sizeof(command), "CONFIG SET requirepass %s", password);
    redis_tell(server, command);
}

const fault_server redis = {
    .name = "redis-server",
    .stop_signal = SIGTERM,
    .command = redis_command,
    .answers = redis_answers,
    .url = redis_url,
    .applied = redis_applied,
    .end_connections = redis_end_connections,
    .refuse = redis_refuse,
    .set_password = redis_set_password,
};
