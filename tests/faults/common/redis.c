/* Real Redis servers for fault tests. */
#include "redis.h"

#include <arpa/inet.h>
#include <glob.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(bind(fd, (struct sockaddr *)&at, size) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &size) == 0);
    close(fd);
    return ntohs(at.sin_port);
}

int connect_to_port(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    close(fd);
    return -1;
}

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

void redis_says(const redis_server *server, const char *login, const char *command, char *answer,
                size_t room)
{
    int fd = connect_to_port(server->port);

    CHECK_SAYING(fd >= 0, "%s: no connection", command);
    if (login)
        CHECK_SAYING(ask(fd, login, answer, room) && !strcmp(answer, "+OK"), "%s", answer);
    CHECK_SAYING(ask(fd, command, answer, room), "%s: no answer", command);
    close(fd);
}

int redis_connect(const redis_server *server)
{
    int fd = connect_to_port(server->port);

    CHECK_SAYING(fd >= 0, "no connection to the server");
    return fd;
}

void redis_ask(int fd, const char *command, char *answer, size_t room)
{
    CHECK_SAYING(ask(fd, command, answer, room), "%s: no answer", command);
}

void redis_tell(const redis_server *server, const char *login, const char *command)
{
    char answer[256];

    redis_says(server, login, command, answer, sizeof(answer));
    CHECK_SAYING(!strcmp(answer, "+OK"), "%s: %s", command, answer);
}

/* ---- Starting and ending ---- */

static bool answers(int port)
{
    char answer[256];
    int fd = connect_to_port(port);
    /* A server that wants a password is up, too; one that is loading is not. */
    bool up = fd >= 0 && ask(fd, "PING", answer, sizeof(answer)) && strncmp(answer, "-LOADING", 8) != 0;

    if (fd >= 0)
        close(fd);
    return up;
}

static void run_server(const redis_server *server)
{
    char port[8];
    const char *arguments[64] = {"redis-server",
                                 "--port",
                                 port,
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
                                 "--dir",
                                 server->directory,
                                 "--logfile",
                                 "log"};
    size_t count = 17;

    snprintf(port, sizeof(port), "%d", server->port);
    for (size_t i = 0; server->options[i]; i++)
        arguments[count++] = server->options[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp("redis-server", (char *const *)(uintptr_t)arguments);
    perror("redis-server");
    _exit(127);
}

void redis_start_again(redis_server *server)
{
    fflush(NULL);
    server->pid = fork();
    CHECK(server->pid >= 0);
    if (server->pid == 0)
        run_server(server);
    for (int i = 0; !answers(server->port); i++) {
        CHECK_SAYING(i < 3000, "redis-server does not answer");
        CHECK_SAYING(waitpid(server->pid, NULL, WNOHANG) == 0, "redis-server ended at once");
        pause_ms(10);
    }
}

void redis_start(redis_server *server, const char *name, const char *const *options)
{
    memset(server, 0, sizeof(*server));
    for (size_t i = 0; options && options[i]; i++)
        server->options[i] = options[i];
    snprintf(server->directory, sizeof(server->directory), "%s/%s", folder, name);
    CHECK(mkdir(server->directory, 0700) == 0);
    server->port = free_port();
    redis_start_again(server);
}

void redis_signal(const redis_server *server, int number)
{
    CHECK(kill(server->pid, number) == 0);
}

static void end(redis_server *server, int number)
{
    if (server->pid <= 0)
        return;
    kill(server->pid, SIGCONT);
    kill(server->pid, number);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void redis_kill(redis_server *server)
{
    end(server, SIGKILL);
}

void redis_stop(redis_server *server)
{
    end(server, SIGTERM);
}

/* ---- Its record ---- */

static void tally_file(const char *path, tally *t)
{
    FILE *file = fopen(path, "r");
    char bytes[65536];
    tally_stream stream = {.size = 0};
    size_t size;

    CHECK_SAYING(file != NULL, "%s", path);
    while ((size = fread(bytes, 1, sizeof(bytes), file)) > 0)
        tally_feed(t, &stream, bytes, size);
    fclose(file);
}

/* Version 7 keeps it in a folder of parts, older ones in one file. */
void redis_tally(const redis_server *server, tally *t)
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
