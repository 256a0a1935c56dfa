/* A second process: it reads what the first was told is written, and conditions hold between them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

static const kivi_slice nothing = {NULL, 0};

CASE(second_process, sees_what_is_acknowledged)
{
    if (is_private(s) || is_single(s))
        return;
    kivi_buffer out = KIVI_BUFFER_INIT;
    kivi_slice k = key(s, "k"), odd = key_bytes(s, "\0%2F\xff/ \xc3", 8);
    for (int i = 0; i < 5; i++) {
        put(s, k, number(s, i), KIVI_TTL_NONE);
        EXPECT_NUMBER(peer(s, "get", k, nothing, &out), KIVI_OK);
        EXPECT_BYTES(kivi_buffer_slice(&out), number(s, i));
    }
    OK(kivi_store_delete(s->store, NULL, k, NULL, E));
    EXPECT_NUMBER(peer(s, "get", k, nothing, &out), KIVI_NOT_FOUND);
    put(s, odd, filled(s, 0, 50000), KIVI_TTL_NONE);
    EXPECT_NUMBER(peer(s, "get", odd, nothing, &out), KIVI_OK);
    EXPECT_BYTES(kivi_buffer_slice(&out), filled(s, 0, 50000));
    /* What expired is gone there, too. */
    if (s->can.ttl != KIVI_ABSENT) {
        put(s, k, text(s, "v"), short_ttl(s));
        put(s, odd, text(s, "stays"), 600000);
        pause_ms(surely_over(s, short_ttl(s)));
        EXPECT_NUMBER(peer(s, "get", k, nothing, &out), KIVI_NOT_FOUND);
        EXPECT_NUMBER(peer(s, "get", odd, nothing, &out), KIVI_OK);
    }
    kivi_buffer_free(&out);
}

CASE(second_process, is_seen)
{
    if (is_private(s) || is_single(s))
        return;
    kivi_slice k = key(s, "k");
    EXPECT_MISSING(k);
    EXPECT_NUMBER(peer(s, "set", k, text(s, "theirs"), NULL), KIVI_OK);
    EXPECT_HOLDS(k, text(s, "theirs"));
    EXPECT_NUMBER(peer(s, "add", k, text(s, "again"), NULL), KIVI_CONDITION);
    EXPECT_NUMBER(peer(s, "delete", k, nothing, NULL), KIVI_OK);
    EXPECT_MISSING(k);
    /* An expiry that one process set, another sees: it ends for both. */
    if (s->can.ttl != KIVI_ABSENT) {
        put(s, k, text(s, "v"), 600000);
        EXPECT_NUMBER(peer(s, "set", k, text(s, "cleared"), NULL), KIVI_OK);
        int64_t left = -1;
        OK(kivi_store_ttl(s->store, NULL, k, &left, E));
        EXPECT_NUMBER(left, KIVI_TTL_NONE);
    }
}

/* Two other processes and this one race to add 200 keys: one winner a round. */
CASE(second_process, adds_have_one_winner)
{
    if (is_private(s) || is_single(s) || lacks_conditions(s))
        return;
    kivi_slice k = key(s, "race"), value = text(s, "v");
    kivi_buffer out[2] = {KIVI_BUFFER_INIT, KIVI_BUFFER_INIT};
    unsigned won[200] = {0};
    peer_process others[] = {peer_start(s, "race", k, value), peer_start(s, "race", k, value)};
    for (unsigned round = 0; round < 200; round++) {
        char name[32];
        snprintf(name, sizeof name, "race.%u", round);
        kivi_status status = kivi_store_add(s->store, NULL, key(s, name), value, KIVI_TTL_NONE, E);
        EXPECT(status == KIVI_OK || status == KIVI_CONDITION);
        won[round] += status == KIVI_OK;
    }
    for (size_t i = 0; i < 2; i++) {
        EXPECT_NUMBER(peer_finish(s, others[i], &out[i]), KIVI_OK);
        EXPECT_NUMBER(out[i].size, 200);
        for (size_t round = 0; round < 200; round++)
            won[round] += out[i].data[round] == '1';
        kivi_buffer_free(&out[i]);
    }
    for (size_t round = 0; round < 200; round++)
        EXPECT_SAYING(won[round] == 1, "round %zu has %u winners", round, won[round]);
}

CASE(second_process, increments_add_up)
{
    if (is_private(s) || is_single(s) || lacks_increment(s))
        return;
    kivi_slice k = key(s, "k");
    peer_process others[] = {peer_start(s, "increment", k, nothing),
                             peer_start(s, "increment", k, nothing)};
    for (int i = 0; i < 200; i++)
        OK(kivi_store_increment(s->store, NULL, k, 1, KIVI_TTL_NONE, NULL, E));
    for (size_t i = 0; i < 2; i++)
        EXPECT_NUMBER(peer_finish(s, others[i], NULL), KIVI_OK);
    EXPECT_HOLDS(k, number(s, 600));
}

/* A cursor survives the process. */
CASE(second_process, goes_on_with_a_cursor)
{
    if (is_private(s) || is_single(s) || lacks_scan(s))
        return;
    for (size_t i = 0; i < 30; i++)
        put(s, key_number(s, "k", i), text(s, "v"), KIVI_TTL_NONE);
    kivi_range range = KIVI_RANGE_INIT;
    range.prefix = all(s);
    range.limit = 10;
    kivi_page *page = NULL;
    OK(kivi_store_page(s->store, NULL, &range, &page, E));
    size_t before = kivi_page_count(page);
    kivi_slice cursor = joined(s, kivi_page_cursor(page), nothing);
    kivi_page_free(page);
    kivi_buffer out = KIVI_BUFFER_INIT;
    EXPECT_NUMBER(peer(s, "list", all(s), cursor, &out), KIVI_OK);
    size_t rest = 0;
    for (size_t i = 0; i < out.size; i++)
        rest += out.data[i] == '\n';
    EXPECT(rest + before >= 30);
    if (s->can.scan_once)
        EXPECT_NUMBER(rest + before, 30);
    kivi_buffer_free(&out);
}

/* ---- a parent that is killed while its child sleeps ---- */

enum { ACKNOWLEDGED = 30 };

/* One byte of what it prints, or -1 at its end. */
static int hear(subject *s, int fd)
{
    struct pollfd end = {fd, POLLIN, 0};
    char byte;
    EXPECT_SAYING(poll(&end, 1, 60000) == 1, "nothing is heard on %d within a minute", fd);
    return read(fd, &byte, 1) == 1 ? byte : -1;
}

/* What it wrote is there, as far as it was told so, and the key after it is free to be written. */
static void expect_kept(subject *s, kivi_slice key, kivi_slice value, unsigned count)
{
    char name[64];
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = 30000; /* who waits for the dead ends here */
    for (unsigned i = 1; i <= count; i++) {
        snprintf(name, sizeof name, ".%u", i);
        EXPECT_HOLDS(joined(s, key, kivi_str(name)), value);
    }
    OK(kivi_store_set(s->store, &call, joined(s, key, kivi_str(".mine")), value, KIVI_TTL_NONE, E));
    OK(kivi_store_set(s->store, &call, joined(s, key, kivi_str(".1")), value, KIVI_TTL_NONE, E));
    EXPECT_HOLDS(joined(s, key, kivi_str(".mine")), value);
}

/* The pipe on which the child sleeps: a peer gets the one end at its place, the case keeps the other. */
static int make_bed(subject *s)
{
    int ends[2];
    EXPECT(pipe2(ends, O_CLOEXEC) == 0);
    EXPECT(dup2(ends[0], PEER_SLEEPS_ON) == PEER_SLEEPS_ON);
    close(ends[0]);
    return ends[1];
}

/*
 * The child holds what it inherited: descriptors, locks, a connection. All the same its parent's death ends what the
 * parent was at, and nothing that was acknowledged is lost.
 */
CASE(second_process, parent_dies_while_its_child_sleeps)
{
    if (is_private(s))
        return;
    bool single = s->row->traits & ROW_SINGLE;
    kivi_slice k = key(s, "k"), value = text(s, "v");
    int bed = make_bed(s), heard = 0;
    unsigned count = 0;
    if (single)
        kivi_store_unref(s->store);
    peer_process parent = peer_start(s, "orphan", k, value);
    close(PEER_SLEEPS_ON);
    while (count < ACKNOWLEDGED && (heard = hear(s, parent.fd)) == '.')
        count++;
    EXPECT_NUMBER(heard, '.');
    kill(parent.pid, SIGKILL);
    while (waitpid(parent.pid, NULL, 0) < 0 && errno == EINTR) {
    }
    if (single)
        s->store = reopened(s, NULL, NULL);
    expect_kept(s, k, value, count);
    close(bed);
    while ((heard = hear(s, parent.fd)) == '.') {
    }
    int status = 0;
    for (; heard >= '0' && heard <= '9'; heard = hear(s, parent.fd))
        status = 10 * status + heard - '0';
    EXPECT_NUMBER(heard, -1);
    EXPECT_NUMBER(status, s->row->traits & ROW_CHILDLESS ? KIVI_FORKED : KIVI_OK);
    close(parent.fd);
}
