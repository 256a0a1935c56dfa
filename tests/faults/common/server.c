/* Starting servers, and ending them with all their processes. */
#include "server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nobody listens on it. */
static bool is_free(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    bool bound = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
                 bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;

    close(fd);
    return bound;
}

/* Until this process ends, no other case gets the port: a name in the abstract space of unix sockets says so. */
static bool reserve(int port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int size = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "kivi-fault-port-%d", port);

    CHECK(fd >= 0);
    if (bind(fd, (struct sockaddr *)&name,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size)) == 0)
        return true;
    close(fd);
    return false;
}

/*
 * Below those that the system gives to whoever connects. Cases run side by side: two that had the same port, free when
 * each of them looked, would both be served by the server that was there first.
 */
int server_free_port(void)
{
    enum { FIRST = 10000, COUNT = 10000, TRIES = 1000 };
    uint64_t seed = now_ns() ^ (uint64_t)getpid() << 32;

    for (int i = 0; i < TRIES; i++) {
        int port = FIRST + (int)(next_random(&seed) % COUNT);
        if (is_free(port) && reserve(port))
            return port;
    }
    CHECK_SAYING(false, "no port is free");
    return -1;
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

/* ---- running programs ---- */

void server_argument(running_server *s, const char *format, ...)
{
    char argument[512];
    va_list list;

    va_start(list, format);
    vsnprintf(argument, sizeof(argument), format, list);
    va_end(list);
    CHECK(s->argument_count + 1 < sizeof(s->arguments) / sizeof(*s->arguments));
    CHECK((s->arguments[s->argument_count++] = strdup(argument)) != NULL);
}

static void forget_arguments(running_server *s)
{
    while (s->argument_count) {
        free(s->arguments[--s->argument_count]);
        s->arguments[s->argument_count] = NULL;
    }
}

/* Who it runs as; NULL: who we are. */
static const struct passwd *other_user(const running_server *s)
{
    if (!s->kind->user || geteuid() != 0)
        return NULL;
    const struct passwd *user = getpwnam(s->kind->user);
    CHECK_SAYING(user != NULL, "there is no user %s", s->kind->user);
    return user;
}

/* In the child; what it prints goes to folder/NAME/output. */
static void run_program(const running_server *s, const struct passwd *user)
{
    char path[320];

    snprintf(path, sizeof(path), "%s/output", s->directory);
    if (user && (setgroups(0, NULL) || setgid(user->pw_gid) || setuid(user->pw_uid)))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* after setuid, which forgets it */
    int output = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (output < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0 ||
        chdir(s->directory) != 0)
        _exit(126);
    execvp(s->arguments[0], s->arguments);
    perror(s->arguments[0]);
    _exit(127);
}

static pid_t spawn(running_server *s)
{
    const struct passwd *user = other_user(s);
    pid_t parent = getpid(), pid;

    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (getppid() == parent)
            run_program(s, user);
        _exit(98);
    }
    forget_arguments(s);
    return pid;
}

void server_run(running_server *s)
{
    int status = 0;
    pid_t pid = spawn(s);

    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_SAYING(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d; see %s/output", status,
                 s->directory);
}

/* ---- starting ---- */

void server_start_again(running_server *s)
{
    s->kind->command(s);
    for (size_t i = 0; s->options[i]; i++)
        server_argument(s, "%s", s->options[i]);
    s->pid = spawn(s);
    for (int i = 0; !s->kind->answers(s); i++) {
        CHECK_SAYING(i < 3000, "%s does not answer", s->kind->name);
        CHECK_SAYING(waitpid(s->pid, NULL, WNOHANG) == 0, "%s ended at once; see %s/output",
                     s->kind->name, s->directory);
        pause_ms(10);
    }
    CHECK_SAYING(waitpid(s->pid, NULL, WNOHANG) == 0, "another %s answers; see %s/output",
                 s->kind->name, s->directory);
}

static void make_directory(running_server *s, const char *name)
{
    const struct passwd *user = other_user(s);

    snprintf(s->directory, sizeof(s->directory), "%s/%s", folder, name);
    CHECK(mkdir(s->directory, 0700) == 0);
    if (user)
        CHECK(chmod(folder, 0711) == 0 && chown(s->directory, user->pw_uid, user->pw_gid) == 0);
}

void server_start(running_server *s, const fault_server *kind, const char *name,
                  const char *password, const char *const *options)
{
    memset(s, 0, sizeof(*s));
    s->kind = kind;
    s->control = -1;
    s->password = password;
    for (size_t i = 0; options && options[i]; i++)
        s->options[i] = options[i];
    /* What its processes leave behind is ours to wait for. */
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    make_directory(s, name);
    s->port = server_free_port();
    if (kind->prepare)
        kind->prepare(s);
    server_start_again(s);
}

/* ---- its processes ---- */

enum { MOST_PROCESSES = 512 };

typedef struct family {
    pid_t members[MOST_PROCESSES];
    size_t count;
} family;

/* Its state, as in /proc/PID/stat, and its parent; 0 where it ended meanwhile. */
static char state_of(pid_t pid, int *parent)
{
    char path[300], line[512], state = 0;
    FILE *file;

    *parent = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (!(file = fopen(path, "r")))
        return 0;
    /* The name, in brackets, may hold anything: the fields after it count. */
    if (fgets(line, sizeof(line), file) && strrchr(line, ')'))
        sscanf(strrchr(line, ')') + 1, " %c %d", &state, parent);
    fclose(file);
    return state;
}

/* kill() returns before a process stands still: one in the middle of a fork ends that first. */
static void await_standstill(pid_t pid)
{
    int parent;

    for (char state = 'R'; state && !strchr("TtZX", state); state = state_of(pid, &parent))
        pause_ms(1);
}

static void add_children(family *f, pid_t parent)
{
    DIR *all = opendir("/proc");

    CHECK(all != NULL);
    for (struct dirent *entry; (entry = readdir(all));) {
        pid_t pid = (pid_t)atoi(entry->d_name); /* 0: it is no process's */
        int its = 0;
        if (pid > 0)
            state_of(pid, &its);
        if (its != parent)
            continue;
        CHECK(f->count < MOST_PROCESSES);
        f->members[f->count++] = pid;
    }
    closedir(all);
}

/* Sends a signal to each, a parent before its children: one that stands still has no more of them. */
static void signal_all(family *f, pid_t first, int number)
{
    f->members[0] = first;
    f->count = 1;
    for (size_t i = 0; i < f->count; i++) {
        kill(f->members[i], number);
        if (number == SIGSTOP)
            await_standstill(f->members[i]);
        add_children(f, f->members[i]);
    }
}

void server_confine(const running_server *s)
{
    cpu_set_t ours, half;
    int left;
    family f;

    CHECK(sched_getaffinity(0, sizeof(ours), &ours) == 0);
    CPU_ZERO(&half);
    left = (CPU_COUNT(&ours) + 1) / 2;
    for (int i = 0; i < CPU_SETSIZE && left; i++)
        if (CPU_ISSET(i, &ours)) {
            CPU_SET(i, &half);
            left--;
        }
    signal_all(&f, s->pid, 0); /* a child has what its parent has when it begins */
    for (size_t i = 0; i < f.count; i++)
        sched_setaffinity(f.members[i], sizeof(half), &half);
}

void server_freeze(const running_server *s)
{
    family f;

    signal_all(&f, s->pid, SIGSTOP);
}

void server_thaw(const running_server *s)
{
    family f;

    signal_all(&f, s->pid, SIGCONT);
}

static void wait_for(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void server_kill(running_server *s)
{
    family f;

    if (s->pid <= 0)
        return;
    signal_all(&f, s->pid, SIGSTOP);
    for (size_t i = 0; i < f.count; i++)
        kill(f.members[i], SIGKILL);
    for (size_t i = 0; i < f.count; i++)
        wait_for(f.members[i]);
    s->pid = 0;
}

void server_stop(running_server *s)
{
    if (s->control >= 0)
        close(s->control);
    s->control = -1;
    if (s->pid <= 0)
        return;
    server_thaw(s);
    kill(s->pid, s->kind->stop_signal);
    wait_for(s->pid);
    s->pid = 0;
}

/* ---- using it ---- */

kivi_store *server_open(const running_server *s, const char *options)
{
    text url;

    s->kind->url(s, "127.0.0.1", s->port, s->password, &url);
    return open_store("%s%s", url.bytes, options);
}

void server_set_password(running_server *s, const char *password)
{
    s->kind->set_password(s, password);
    s->password = password;
}
