/* Threads and children of a case. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../common/crew.h"
#include "faults.h"

typedef struct starter {
    worker w;
    void (*work)(worker *w);
} starter;

static void begin(void *own)
{
    starter *s = own;

    s->work(&s->w);
}

void together(size_t count, void (*work)(worker *w), void *shared)
{
    starter *starters = calloc(count, sizeof(*starters));

    CHECK(starters != NULL);
    for (size_t i = 0; i < count; i++)
        starters[i] = (starter){{i, count, shared}, work};
    crew_run(count, begin, starters, sizeof(*starters));
    free(starters);
}

/* ---- children ---- */

child child_start(void (*work)(int in, int out, void *user), void *user)
{
    int down[2], up[2];
    pid_t parent = getpid();
    child c;

    CHECK(pipe(down) == 0 && pipe(up) == 0);
    fflush(NULL);
    c.pid = fork();
    CHECK(c.pid >= 0);
    if (c.pid == 0) {
        /* Nobody is left behind when a case fails. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(98);
        close(down[1]);
        close(up[0]);
        work(down[0], up[1], user);
        fflush(NULL);
        _exit(0);
    }
    close(down[0]);
    close(up[1]);
    c.to = down[1];
    c.from = up[0];
    return c;
}

void tell(int fd, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t put = write(fd, (const char *)bytes + done, size - done);
        if (put < 0 && errno == EINTR)
            continue;
        CHECK_SAYING(put > 0, "writing to a pipe: errno %d", errno);
        done += (size_t)put;
    }
}

bool can_hear(int fd, int timeout_ms)
{
    struct pollfd end = {fd, POLLIN, 0};
    int rc;

    while ((rc = poll(&end, 1, timeout_ms)) < 0 && errno == EINTR)
        ;
    return rc > 0;
}

void hear(int fd, void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got;
        CHECK_SAYING(can_hear(fd, 60000), "nothing is told within 60 s");
        got = read(fd, (char *)bytes + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        CHECK_SAYING(got > 0, "the other side ended");
        done += (size_t)got;
    }
}

void tell_on(int fd)
{
    tell(fd, "", 1);
}

void hear_on(int fd)
{
    char byte;

    hear(fd, &byte, 1);
}

int child_wait(child *c, unsigned seconds)
{
    uint64_t until = now_ns() + (uint64_t)seconds * 1000000000u;
    int status = 0;

    while (waitpid(c->pid, &status, WNOHANG) == 0) {
        if (now_ns() > until) {
            kill(c->pid, SIGKILL);
            waitpid(c->pid, &status, 0);
            status = -1;
            break;
        }
        pause_ms(1);
    }
    close(c->to);
    close(c->from);
    c->pid = -1;
    return status;
}

void child_ends(child *c)
{
    int status = child_wait(c, 60);

    CHECK_SAYING(status != -1, "a child hangs");
    CHECK_SAYING(WIFEXITED(status), "a child died of signal %d", WTERMSIG(status));
    CHECK_SAYING(WEXITSTATUS(status) == 0, "a child failed with %d", WEXITSTATUS(status));
}

void child_kill(child *c)
{
    int status;

    kill(c->pid, SIGKILL);
    status = child_wait(c, 60);
    CHECK_SAYING(status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                 "a child ended by itself: status %d", status);
}

unsigned kill_rounds(void)
{
    const char *wanted = getenv("KIVI_KILL_ROUNDS");
    unsigned long rounds = wanted && *wanted ? strtoul(wanted, NULL, 10) : 20;

    CHECK_SAYING(rounds > 0 && rounds <= 10000, "KIVI_KILL_ROUNDS is \"%s\"", wanted);
    return (unsigned)rounds;
}
