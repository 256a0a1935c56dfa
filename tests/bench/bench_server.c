/* A server of the bench's own. */
#include "bench_server.h"
#include "bench_remote.h"

#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct passwd *its_user(const bench_server *server)
{
    return geteuid() ? NULL : getpwnam(server->user);
}

void bench_server_make(bench_server *server, const char *name)
{
    const struct passwd *user = its_user(server);

    snprintf(server->dir, sizeof server->dir, "/tmp/kivi-bench-%s-XXXXXX", name);
    BENCH_CHECK(mkdtemp(server->dir));
    snprintf(server->data, sizeof server->data, "%s/data", server->dir);
    BENCH_CHECK(!user || !chown(server->dir, user->pw_uid, user->pw_gid));
    server->port = bench_free_port();
}

pid_t bench_server_run(const bench_server *server, const char *program, const char *const *arguments)
{
    const struct passwd *user = its_user(server);
    pid_t pid = fork();

    BENCH_CHECK(pid >= 0);
    if (pid)
        return pid;
    if (user && (setgroups(0, NULL) || setgid(user->pw_gid) || setuid(user->pw_uid)))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, server->stop_signal);
    if (chdir(server->dir) || !freopen("log", "a", stdout) || !freopen("log", "a", stderr))
        _exit(126);
    execvp(program, (char *const *)(uintptr_t)arguments);
    _exit(127);
}

void bench_server_call(const bench_server *server, const char *program, const char *const *arguments)
{
    int status;

    BENCH_CHECK(waitpid(bench_server_run(server, program, arguments), &status, 0) > 0 && status == 0);
}

void bench_server_await(const bench_server *server, bool (*is_there)(void))
{
    for (int i = 0; i < 1000; i++) {
        if (is_there())
            return;
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    bench_fail("the server in %s did not start", server->dir);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

void bench_server_stop(bench_server *server)
{
    kill(server->pid, server->stop_signal);
    waitpid(server->pid, NULL, 0);
    nftw(server->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
