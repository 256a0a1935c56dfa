/* Several connections as one descriptor to wait for. */
#include "net_fixture.h"

#include "../../libkivi/backends/common/net/net_set.h"

#include <sys/wait.h>

TestSuite(net_set, .timeout = 60);

static kivi_error *error;

#define SERVERS 3

static int listeners[SERVERS], peers[SERVERS];
static char ports[SERVERS][8];
static kvi_net_target targets[SERVERS];
static kvi_net nets[SERVERS];
static kvi_net_set set;

static void connect_one(int i)
{
    cr_assert_eq(connect_net(&nets[i], &error), KIVI_OK);
    peers[i] = accept(listeners[i], NULL, NULL);
    cr_assert_geq(peers[i], 0);
}

static void connect_all(void)
{
    cr_assert(kvi_net_set_init(&set, SERVERS));
    for (int i = 0; i < SERVERS; i++) {
        listeners[i] = listen_at("127.0.0.1", ports[i]);
        targets[i].place = (kvi_place){.core = &kvi_host_table, .host = "127.0.0.1", .port = ports[i]};
        kvi_net_init(&nets[i], &targets[i]);
        connect_one(i);
        set.members[i].net = &nets[i];
        set.members[i].waits = true;
    }
}

static void close_all(void)
{
    for (int i = 0; i < SERVERS; i++) {
        kvi_net_free(&nets[i]);
        close(listeners[i]);
        close(peers[i]);
    }
    kvi_net_set_free(&set);
}

/* The members that get ready within the time, as bits. */
static unsigned wait_for(int timeout_ms, kivi_poll *want)
{
    kvi_net_news news[SERVERS];
    unsigned found = 0;

    *want = (kivi_poll){sizeof(*want), -1, 0, 0, -1};
    cr_assert_eq(kvi_net_set_wait(&set, want, &error), KIVI_OK);
    uint64_t until = kvi_monotonic_ns() + (uint64_t)timeout_ms * 1000000;
    do {
        struct pollfd one = {want->fd, (short)want->events, 0};
        int rest = want->timeout_ns < 0 ? timeout_ms : (int)(want->timeout_ns / 1000000);
        if (poll(&one, 1, rest < timeout_ms ? rest : timeout_ms) == 0 && want->timeout_ns < 0)
            return 0;
        size_t count = kvi_net_set_news(&set, (uint32_t)one.revents, news, SERVERS);
        for (size_t i = 0; i < count; i++) {
            cr_expect(news[i].revents & (POLLIN | POLLOUT | POLLHUP) || want->timeout_ns >= 0);
            found |= news[i].revents ? 1u << news[i].member : 0;
        }
    } while (!found && kvi_monotonic_ns() < until);
    return found;
}

static void say(int i)
{
    cr_assert_eq(send(peers[i], "x", 1, MSG_NOSIGNAL), 1);
}

static void hear(int i)
{
    cr_assert_eq(receive_net(&nets[i], 1, &error), KIVI_OK);
    kvi_net_consume(&nets[i], 1);
}

Test(net_set, those_that_are_ready)
{
    kivi_poll want;

    connect_all();
    cr_expect_eq(wait_for(0, &want), 0);
    say(1);
    say(2);
    nanosleep(&(struct timespec){0, 50000000}, NULL);
    cr_expect_eq(wait_for(5000, &want), 6);
    hear(1);
    cr_expect_eq(wait_for(5000, &want), 4);
    set.members[2].waits = false; /* what it has to say is not waited for */
    cr_expect_eq(wait_for(0, &want), 0);
    set.members[2].waits = true;
    cr_expect_eq(wait_for(5000, &want), 4);
    close_all();
}

/* One alone is waited for itself, so that its step may wait. */
Test(net_set, one_alone_needs_no_set)
{
    kivi_poll want;

    connect_all();
    set.members[0].waits = set.members[1].waits = false;
    say(2);
    cr_expect_eq(wait_for(5000, &want), 4);
    cr_expect_eq(want.fd, nets[2].fd);
    cr_expect(want.flags & KIVI_POLL_MAY_WAIT);
    cr_expect_eq(set.fd, -1);
    close_all();
}

/* With no event all that wait are told of: their time may be over. */
Test(net_set, the_time_is_everybodys)
{
    kivi_poll want;
    kvi_net_news news[SERVERS];

    connect_all();
    wait_for(0, &want);
    set.members[1].waits = false;
    cr_assert_eq(kvi_net_set_news(&set, 0, news, SERVERS), 2);
    cr_expect_eq(news[0].member, 0);
    cr_expect_eq(news[1].member, 2);
    cr_expect_eq(news[1].revents, 0);
    close_all();
}

/*
 * A socket that is closed while a child still has it stays in an epoll set, ready for ever: the set would wake its owner
 * without end, with the news of a connection that is another one by now.
 */
Test(net_set, a_socket_closed_while_a_child_has_it)
{
    kivi_poll want;

    connect_all();
    cr_expect_eq(wait_for(0, &want), 0);
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    shutdown(peers[0], SHUT_RDWR);
    close(peers[0]);
    cr_expect_eq(wait_for(5000, &want), 1);
    kvi_net_close(&nets[0]);
    connect_one(0);
    cr_expect_eq(wait_for(100, &want), 0, "the dead socket is heard of no more");
    say(0);
    cr_expect_eq(wait_for(5000, &want), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close_all();
}

/* A child that gives up its copy takes nothing out of its parent's set. */
Test(net_set, abandoned_in_a_child)
{
    kivi_poll want;
    int ended = -1;

    connect_all();
    wait_for(0, &want);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < SERVERS; i++)
            kvi_net_abandon(&nets[i], true);
        kvi_net_set_abandon(&set, true);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &ended, 0), child);
    cr_assert_eq(ended, 0);
    say(1);
    cr_expect_eq(wait_for(5000, &want), 2);
    close_all();
}
