/* Memcached as a server of the fault tests. */
#include "memcached.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static bool memcached_answers(running_server *server)
{
    char answer[8] = "";
    int fd = connect_to_port(server->port);
    bool up = fd >= 0 && send(fd, "version\r\n", 9, MSG_NOSIGNAL) == 9 &&
              recv(fd, answer, 7, MSG_WAITALL) == 7 && !strcmp(answer, "VERSION");

    if (fd >= 0)
        close(fd);
    return up;
}

static void memcached_command(running_server *server)
{
    static const char *const words[] = {"memcached", "-l", "127.0.0.1", "-m",
                                        "256",       "-c", "2000",      "-p"};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        server_argument(server, "%s", words[i]);
    server_argument(server, "%d", server->port);
}

static void memcached_url(const running_server *server, const char *host, int port,
                          const char *password, text *url)
{
    (void)server, (void)password;
    print(url, "memcached://%s:%d/?codec=raw", host, port);
}

const fault_server memcached = {
    .name = "memcached",
    .user = "nobody",
    .stop_signal = SIGTERM,
    .command = memcached_command,
    .answers = memcached_answers,
    .url = memcached_url,
};
