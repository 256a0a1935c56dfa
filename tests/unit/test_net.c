/* The stepped transport in clear: addresses, names, what leaves and what comes. */
#include "net_fixture.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

TestSuite(net, .timeout = 60);

static kivi_error *error;

static kvi_net_target target_of(const char *host, const char *port)
{
    return (kvi_net_target){.place = {.core = &kvi_host_table, .host = host, .port = port}};
}

/* ---- A system that has too little: this program's pthread_create is the one that is found ---- */

static bool refuses_threads;

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread,
                                                          const pthread_attr_t *attributes,
                                                          void *(*entry)(void *), void *given)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (refuses_threads)
        return EAGAIN;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, entry, given);
}

/* So many descriptors can still be opened; -1: as before. */
static void leave_descriptors(int count)
{
    static struct rlimit before;
    struct rlimit now;

    if (!before.rlim_max)
        cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    if (count >= 0) {
        int lowest = dup(0);
        close(lowest);
        now.rlim_cur = (rlim_t)(lowest + count);
    }
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
}

/* ---- Connecting ---- */

Test(net, numeric_address)
{
    char port[8];
    int server = listen_at("127.0.0.1", port);
    kvi_net_target target = target_of("127.0.0.1", port);
    kvi_net net;

    kvi_net_init(&net, &target);
    cr_assert_eq(connect_net(&net, &error), KIVI_OK);
    cr_assert_eq(net.state, KVI_NET_OPEN);
    cr_assert_null(net.walk.addresses);
    kvi_net_free(&net);
    cr_assert_eq(net.fd, -1);
    close(server);
}

/* A name is asked for on a thread, and its addresses are tried in turn: only one of localhost's listens. */
Test(net, name)
{
    char port[8];
    int server = listen_at("127.0.0.1", port);
    kvi_net_target target = target_of("localhost", port);
    kvi_net net;

    kvi_net_init(&net, &target);
    cr_assert_eq(kvi_net_connect(&net, &error), KIVI_PENDING);
    cr_assert_eq(net.state, KVI_NET_RESOLVING);
    cr_assert_not(net.can_wait, "connecting waits by the poll");
    kivi_status status = KIVI_PENDING;
    while (status == KIVI_PENDING)
        status = kvi_net_advance(&net, await_net(&net), &error);
    cr_assert_eq(status, KIVI_OK);
    kvi_net_free(&net);
    close(server);
}

Test(net, name_without_address)
{
    kvi_net_target target = target_of("no-such-host.invalid", "1");
    kvi_net net;

    kvi_net_init(&net, &target);
    expect_failure(connect_net(&net, &error), &error, KIVI_UNAVAILABLE, "no-such-host.invalid:1");
    cr_assert_eq(net.state, KVI_NET_BROKEN);
    kvi_net_free(&net);
}

/* Who leaves while a name is asked for waits for nobody, and its thread frees what is left. */
Test(net, leaving_while_resolving)
{
    kvi_net_target target = target_of("localhost", "1");

    for (int i = 0; i < 50; i++) {
        kvi_net net;
        kvi_net_init(&net, &target);
        cr_assert_eq(kvi_net_connect(&net, &error), KIVI_PENDING);
        kvi_net_free(&net);
    }
    nanosleep(&(struct timespec){0, 200000000}, NULL);
}

Test(net, refused)
{
    char port[8];
    int taken = refuse_at(port);
    const char *hosts[] = {"127.0.0.1", "localhost"};

    for (int i = 0; i < 2; i++) {
        kvi_net_target target = target_of(hosts[i], port);
        kvi_net net;
        kvi_net_init(&net, &target);
        kivi_status status = connect_net(&net, &error);
        cr_assert_eq(kivi_error_retryable(error), KIVI_RETRY_LATER);
        cr_assert_eq(kivi_error_native_code(error), ECONNREFUSED);
        expect_failure(status, &error, KIVI_UNAVAILABLE, "refused");
        kvi_net_free(&net);
    }
    close(taken);
}

static void socket_path(char *path, size_t room)
{
    snprintf(path, room, "/tmp/kivi-unit-net-%d.sock", (int)getpid());
}

/* At once, and not to be tried again: what is missing here would be missing then, too. */
static void expect_local_failure(const kvi_net_target *target, const char *part)
{
    kvi_net net;

    kvi_net_init(&net, target);
    kivi_status status = connect_net(&net, &error);
    leave_descriptors(-1);
    refuses_threads = false;
    cr_assert_eq(kivi_error_retryable(error), KIVI_RETRY_NO, "%s", kivi_error_message(error));
    expect_failure(status, &error, KIVI_IO, part);
    kvi_net_free(&net);
}

Test(net, no_descriptors)
{
    const kvi_net_target numeric = target_of("127.0.0.1", "1"), name = target_of("localhost", "1"),
                         local = {.place = {.core = &kvi_host_table, .path = "/tmp/kivi-nowhere"}};

    leave_descriptors(0);
    expect_local_failure(&numeric, "127.0.0.1:1: cannot connect: Too many open files");
    leave_descriptors(0);
    expect_local_failure(&local, "/tmp/kivi-nowhere: cannot connect: Too many open files");
    leave_descriptors(0);
    expect_local_failure(&name, "localhost:1: cannot resolve the name: Too many open files");
    leave_descriptors(1); /* the look-up begins, and can read no file */
    expect_local_failure(&name, "localhost:1: cannot resolve the name: Too many open files");
}

Test(net, no_threads)
{
    const kvi_net_target name = target_of("localhost", "1");

    refuses_threads = true;
    expect_local_failure(&name, "localhost:1: no thread to resolve the name");
}

Test(net, unix_socket)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    kvi_net net;

    socket_path(address.sun_path, sizeof(address.sun_path));
    kvi_net_target target = {.place = {.core = &kvi_host_table, .path = address.sun_path}};
    unlink(address.sun_path);
    kvi_net_init(&net, &target);
    kivi_status status = kvi_net_connect(&net, &error);
    cr_assert_eq(kivi_error_retryable(error), KIVI_RETRY_LATER);
    expect_failure(status, &error, KIVI_UNAVAILABLE, address.sun_path);
    kvi_net_close(&net);

    cr_assert_eq(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(server, 4), 0);
    cr_assert_eq(kvi_net_connect(&net, &error), KIVI_OK);
    cr_assert_not(net.can_wait);
    kvi_net_free(&net);
    unlink(address.sun_path);
    close(server);
}

Test(net, unix_path_too_long)
{
    char path[200];
    kvi_net_target target = {.place = {.core = &kvi_host_table, .path = path}};
    kvi_net net;

    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[199] = '\0';
    kvi_net_init(&net, &target);
    expect_failure(kvi_net_connect(&net, &error), &error, KIVI_INVALID, "longer");
    kvi_net_free(&net);
}

/* ---- A connected pair ---- */

typedef struct pair {
    kvi_net_target target;
    kvi_net net;
    char port[8];
    int server, peer;
} pair;

static void pair_open(pair *p)
{
    p->server = listen_at("127.0.0.1", p->port);
    p->target = target_of("127.0.0.1", p->port);
    kvi_net_init(&p->net, &p->target);
    cr_assert_eq(connect_net(&p->net, &error), KIVI_OK);
    p->peer = accept(p->server, NULL, NULL);
    cr_assert_geq(p->peer, 0);
}

static void pair_close(pair *p)
{
    kvi_net_free(&p->net);
    if (p->peer >= 0)
        close(p->peer);
    close(p->server);
}

/* ---- Sending ---- */

/* Copied and referred pieces leave in the order in which they were queued. */
Test(net, pieces_keep_their_order)
{
    pair p;
    char got[64];

    pair_open(&p);
    cr_assert(kvi_net_refer(&p.net, kivi_str("one")));
    cr_assert(kvi_net_refer(&p.net, kivi_str("two")));
    queue_net(&p.net, "-three-", 7);
    cr_assert(kvi_net_refer(&p.net, kivi_str("")));
    cr_assert(kvi_net_refer(&p.net, kivi_str("four")));
    queue_net(&p.net, "!", 1);
    cr_assert_eq(p.net.queued, 18);
    cr_assert_eq(flush_net(&p.net, &error), KIVI_OK);
    cr_assert_eq(p.net.sent, 18);
    cr_assert_eq(p.net.begun, 18);
    cr_assert_eq(recv(p.peer, got, sizeof(got), 0), 18);
    cr_assert_eq(memcmp(got, "onetwo-three-four!", 18), 0);
    kvi_net_rewind(&p.net);
    cr_assert_eq(p.net.queued, 0);
    pair_close(&p);
}

typedef struct drain {
    int fd;
    size_t size;
    uint8_t *bytes;
} drain;

static void *drain_slowly(void *user)
{
    drain *d = user;
    size_t at = 0;

    while (at < d->size) {
        ssize_t got = recv(d->fd, d->bytes + at, d->size - at < 70000 ? d->size - at : 70000, 0);
        if (got <= 0)
            break;
        at += (size_t)got;
    }
    d->size = at;
    return NULL;
}

/* What does not leave at once is told by `sent`, and nothing of it is lost or twice. */
Test(net, partial_sends)
{
    enum { PIECES = 200, LARGE = 60000 };
    size_t total = 0;
    uint8_t *large = malloc(LARGE), *wanted = malloc((size_t)PIECES * (LARGE + 64));
    bool was_partial = false;
    pthread_t thread;
    pair p;

    pair_open(&p);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (uint8_t)(i * 7 + i / 251);
    for (int i = 0; i < PIECES; i++) {
        char small[64];
        int size = snprintf(small, sizeof(small), "<piece %d>", i);
        queue_net(&p.net, small, (size_t)size);
        memcpy(wanted + total, small, (size_t)size);
        total += (size_t)size;
        size_t part = (size_t)(LARGE - i * 100);
        cr_assert(kvi_net_refer(&p.net, kivi_bytes(large, part)));
        memcpy(wanted + total, large, part);
        total += part;
    }
    cr_assert_eq(p.net.queued, total);
    drain d = {p.peer, total, malloc(total)};
    kivi_status status = kvi_net_flush(&p.net, &error);
    cr_assert_eq(status, KIVI_PENDING, "all of it fitted: the case shows nothing");
    cr_assert_lt(p.net.sent, total);
    pthread_create(&thread, NULL, drain_slowly, &d);
    while (status == KIVI_PENDING) {
        was_partial = was_partial || (p.net.sent && p.net.sent < total);
        await_net(&p.net);
        status = kvi_net_flush(&p.net, &error);
    }
    cr_assert_eq(status, KIVI_OK);
    pthread_join(thread, NULL);
    cr_assert(was_partial);
    cr_assert_eq(d.size, total);
    cr_assert_eq(memcmp(d.bytes, wanted, total), 0);
    free(d.bytes);
    free(wanted);
    free(large);
    pair_close(&p);
}

/* A peer that is gone is a status; no signal ends the process. */
Test(net, broken_pipe)
{
    pair p;
    kivi_status status = KIVI_OK;

    pair_open(&p);
    close(p.peer);
    p.peer = -1;
    for (int i = 0; i < 100 && status == KIVI_OK; i++) {
        queue_net(&p.net, "bytes", 5);
        status = kvi_net_flush(&p.net, &error);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    cr_assert_eq(kivi_error_retryable(error), KIVI_RETRY_YES);
    expect_failure(status, &error, KIVI_UNAVAILABLE, "broke");
    cr_assert_eq(p.net.state, KVI_NET_BROKEN);
    pair_close(&p);
}

/* ---- Receiving ---- */

Test(net, receiving)
{
    pair p;
    size_t size;

    pair_open(&p);
    cr_assert_eq(kvi_net_receive(&p.net, false, &error), KIVI_PENDING);
    cr_assert_eq(send(p.peer, "hello", 5, 0), 5);
    cr_assert_eq(receive_net(&p.net, 5, &error), KIVI_OK);
    cr_assert_not(p.net.more);
    cr_assert_eq(memcmp(kvi_net_bytes(&p.net, &size), "hello", 5), 0);
    kvi_net_consume(&p.net, 2);
    cr_assert_eq(memcmp(kvi_net_bytes(&p.net, &size), "llo", 3), 0);
    cr_assert_eq(size, 3);
    close(p.peer);
    p.peer = -1;
    expect_failure(receive_net(&p.net, 4, &error), &error, KIVI_UNAVAILABLE, "closed");
    pair_close(&p);
}

/* What a driver may let the step wait for. */
static uint32_t flags_of(const kvi_net *net)
{
    kivi_poll want = {sizeof(want), -1, 0, 0, -1};

    kvi_net_wait(net, &want);
    return want.flags;
}

static void do_nothing(int number)
{
    (void)number;
}

typedef struct wait_in_receive {
    kvi_net *net;
    kivi_status status;
    atomic_bool over;
} wait_in_receive;

static void *receive_waiting(void *user)
{
    wait_in_receive *w = user;

    do
        w->status = kvi_net_receive(w->net, true, &error);
    while (w->status == KIVI_PENDING && !atomic_load(&w->over));
    return NULL;
}

/* A connection over TCP can be read in a timed wait; what does not ask for it never waits on its socket. */
Test(net, receiving_in_a_wait)
{
    pair p;
    size_t size;
    pthread_t thread;
    char byte;
    wait_in_receive w = {.net = &p.net};

    pair_open(&p);
    cr_assert_eq(flags_of(&p.net), KIVI_POLL_MAY_WAIT);
    cr_assert_eq(kvi_net_receive(&p.net, false, &error), KIVI_PENDING);
    cr_assert_eq(kvi_net_receive(&p.net, true, &error), KIVI_PENDING, "the time ends it");
    pthread_create(&thread, NULL, receive_waiting, &w);
    nanosleep(&(struct timespec){0, 5000000}, NULL);
    cr_assert_eq(send(p.peer, "late", 4, 0), 4);
    pthread_join(thread, NULL);
    cr_assert_eq(w.status, KIVI_OK);
    cr_assert_eq(memcmp(kvi_net_bytes(&p.net, &size), "late", 4), 0);
    kvi_net_consume(&p.net, 4);
    queue_net(&p.net, "x", 1);
    cr_assert_eq(flags_of(&p.net), 0, "it waits to send as well");
    cr_assert_eq(flush_net(&p.net, &error), KIVI_OK);
    cr_assert_eq(recv(p.peer, &byte, 1, 0), 1);
    close(p.peer);
    p.peer = -1;
    expect_failure(kvi_net_receive(&p.net, true, &error), &error, KIVI_UNAVAILABLE, "closed");
    kvi_net_close(&p.net);
    cr_assert_not(p.net.can_wait);
    pair_close(&p);
}

/* A signal ends the wait, also with SA_RESTART, and is no failure. */
Test(net, a_signal_ends_a_receiving_wait)
{
    struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};
    struct timeval hour = {3600, 0};
    pair p;
    pthread_t thread;
    wait_in_receive w = {.net = &p.net, .status = KIVI_OK};

    sigaction(SIGUSR1, &action, NULL);
    pair_open(&p);
    cr_assert_eq(setsockopt(p.net.fd, SOL_SOCKET, SO_RCVTIMEO, &hour, sizeof(hour)), 0);
    atomic_store(&w.over, true);
    pthread_create(&thread, NULL, receive_waiting, &w);
    while (pthread_tryjoin_np(thread, NULL) == EBUSY) {
        pthread_kill(thread, SIGUSR1);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    cr_assert_eq(w.status, KIVI_PENDING);
    cr_assert_eq(p.net.state, KVI_NET_OPEN);
    pair_close(&p);
}

static void *pour(void *user)
{
    drain *d = user;

    for (size_t at = 0; at < d->size;) {
        ssize_t sent = send(d->fd, d->bytes + at, d->size - at, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        at += (size_t)sent;
    }
    return NULL;
}

/* The buffer grows, and goes back to a moderate size afterwards. */
Test(net, receiving_much)
{
    pair p;
    pthread_t thread;
    size_t size, total = 5 << 20;
    uint8_t *bytes = malloc(total);

    pair_open(&p);
    for (size_t i = 0; i < total; i++)
        bytes[i] = (uint8_t)(i ^ i >> 8 ^ i >> 16);
    drain d = {p.peer, total, bytes};
    pthread_create(&thread, NULL, pour, &d);
    cr_assert_eq(receive_net(&p.net, 10, &error), KIVI_OK);
    kvi_net_consume(&p.net, 10);
    cr_assert(kvi_net_expect(&p.net, total - 10));
    cr_assert_eq(receive_net(&p.net, total - 10, &error), KIVI_OK);
    pthread_join(thread, NULL);
    cr_assert_eq(memcmp(kvi_net_bytes(&p.net, &size), bytes + 10, total - 10), 0);
    cr_assert_eq(size, total - 10);
    kvi_net_consume(&p.net, size);
    kvi_net_trim(&p.net);
    cr_assert_leq(p.net.in.capacity, 256 * 1024);
    free(bytes);
    pair_close(&p);
}

/* ---- Idle connections, the end ---- */

Test(net, stale)
{
    pair p;

    pair_open(&p);
    cr_assert_not(kvi_net_is_stale(&p.net));
    cr_assert_eq(send(p.peer, "x", 1, 0), 1);
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    cr_assert(kvi_net_is_stale(&p.net), "bytes that nobody asked for");
    cr_assert_eq(receive_net(&p.net, 1, &error), KIVI_OK);
    kvi_net_consume(&p.net, 1);
    cr_assert_not(kvi_net_is_stale(&p.net));
    close(p.peer);
    p.peer = -1;
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    cr_assert(kvi_net_is_stale(&p.net), "the peer is gone");
    pair_close(&p);
}

static int count_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* A thread that asks for a name may hold one a little longer. */
static void expect_descriptors(int wanted, int round)
{
    for (int i = 0; i < 500 && count_descriptors() != wanted; i++)
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    cr_assert_eq(count_descriptors(), wanted, "round %d", round);
}

/* Closed, or abandoned by a child, no descriptor is left, in whatever state it was. */
Test(net, descriptors)
{
    char port[8];
    int server = listen_at("127.0.0.1", port);
    const char *hosts[] = {"127.0.0.1", "localhost"};
    int before = count_descriptors();

    for (int i = 0; i < 8; i++) {
        kvi_net_target target = target_of(hosts[i % 2], port);
        kvi_net net;
        kvi_net_init(&net, &target);
        if (i < 4)
            kvi_net_connect(&net, &error);
        else
            cr_assert_eq(connect_net(&net, &error), KIVI_OK);
        if (i % 4 < 2 || net.state == KVI_NET_RESOLVING)
            kvi_net_free(&net);
        else
            kvi_net_abandon(&net, true);
        expect_descriptors(before, i);
    }
    close(server);
}

/* What a child does with what it inherited while a name was asked for: no thread is there to end it. */
Test(net, abandoned_while_resolving)
{
    kvi_net_target target = target_of("localhost", "1");
    kvi_net net;
    int ended = -1;

    kvi_net_init(&net, &target);
    cr_assert_eq(kvi_net_connect(&net, &error), KIVI_PENDING);
    pid_t pid = fork();
    if (pid == 0) {
        int before = count_descriptors();
        kvi_net_abandon(&net, true);
#ifdef KIVI_POSIX
        const int closed = 2; /* a pipe */
#else
        const int closed = 1;
#endif
        _exit(count_descriptors() == before - closed ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &ended, 0), pid);
    cr_assert_eq(ended, 0);
    kivi_status status = KIVI_PENDING; /* the parent goes on undisturbed */
    while (status == KIVI_PENDING)
        status = kvi_net_advance(&net, await_net(&net), &error);
    expect_failure(status, &error, KIVI_UNAVAILABLE, "localhost:1");
    kvi_net_free(&net);
}
