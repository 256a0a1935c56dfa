/* After fork: a child has sessions of its own and disturbs nothing of its parent's. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../standin/standstill.h"
#include "suite.h"

/* Engines that a forked child cannot use: it gets an error that says so. */
static bool refuses_children(subject *s)
{
    return s->row->traits & ROW_CHILDLESS;
}

/* A child cannot assert: it says what is wrong, NULL when nothing is. */
typedef const char *(*child_fn)(subject *s, void *user);

typedef struct child_process {
    pid_t pid;
    int fd;
} child_process;

static child_process child_start(subject *s, child_fn work, void *user)
{
    int ends[2];
    EXPECT(pipe(ends) == 0);
    pid_t pid = fork_at_standstill();
    EXPECT(pid >= 0);
    if (pid == 0) {
        const char *wrong = work(s, user);
        if (wrong && write(ends[1], wrong, strlen(wrong)) < 0)
            _exit(3);
        _exit(wrong ? 1 : 0);
    }
    close(ends[1]);
    return (child_process){pid, ends[0]};
}

typedef enum outcome { CHILD_PASSED, CHILD_FAILED, CHILD_HUNG } outcome;

/* Until it says something or ends; after a minute it hangs, in a lock that it inherited. */
static outcome wait_for_word(child_process child)
{
    struct pollfd end = {child.fd, POLLIN, 0};
    return poll(&end, 1, 60000) == 1 ? CHILD_PASSED : CHILD_HUNG;
}

static outcome child_finish(child_process child, char *said, size_t room)
{
    outcome how = wait_for_word(child);
    memset(said, 0, room);
    if (how != CHILD_PASSED)
        kill(child.pid, SIGKILL);
    else if (read(child.fd, said, room - 1) < 0)
        how = CHILD_FAILED;
    int ended = 0;
    while (waitpid(child.pid, &ended, 0) < 0 && errno == EINTR) {
    }
    close(child.fd);
    if (how == CHILD_PASSED && (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0))
        how = CHILD_FAILED;
    return how;
}

static void in_child(subject *s, child_fn work, void *user)
{
    char wrong[512];
    outcome how = child_finish(child_start(s, work, user), wrong, sizeof wrong);
    EXPECT_SAYING(how == CHILD_PASSED, "a child %s: %s", how == CHILD_FAILED ? "failed" : "hung", wrong);
}

static const char *said(const char *what, kivi_status status)
{
    static char text[256];
    snprintf(text, sizeof text, "%s answered %s", what, kivi_status_name(status));
    return text;
}

typedef struct affairs {
    kivi_slice key, value, other, written;
    kivi_scan *scan;
    kivi_slice prefix;
    uint64_t count;
    unsigned number;
} affairs;

/* ---- one thread ---- */

static const char *read_and_write(subject *s, void *user)
{
    affairs *a = user;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_get(s->store, NULL, a->key, &value, NULL);
    if (refuses_children(s))
        return status == KIVI_FORKED ? NULL : said("get in a child", status);
    if (status != KIVI_OK)
        return said("get", status);
    if (!same_bytes(kivi_buffer_slice(&value), a->value))
        return "get answered another value";
    status = kivi_store_set(s->store, NULL, a->other, a->written, KIVI_TTL_NONE, NULL);
    if (status != KIVI_OK)
        return said("set", status);
    status = kivi_store_get(s->store, NULL, a->other, &value, NULL);
    if (status != KIVI_OK || !same_bytes(kivi_buffer_slice(&value), a->written))
        return said("get of its own", status);
    kivi_buffer_free(&value);
    return NULL;
}

/* A child goes on with the parent's data; with memory it has a copy of its own. */
CASE(fork, child_goes_on)
{
    affairs a = {
        key(s, "k"), text(s, "v"), key(s, "other"), text(s, "the child's"), NULL, {NULL, 0}, 0, 0};
    put(s, a.key, a.value, KIVI_TTL_NONE);
    in_child(s, read_and_write, &a);
    if (s->row->traits & ROW_PRIVATE || refuses_children(s))
        EXPECT_MISSING(a.other);
    else
        EXPECT_HOLDS(a.other, a.written);
    put(s, a.key, text(s, "after"), KIVI_TTL_NONE);
    EXPECT_HOLDS(a.key, text(s, "after"));
}

/* The same data by a handle of the child's own. */
static const char *open_and_use(subject *s, void *user)
{
    kivi_store *inherited = s->store;
    kivi_status status = kivi_store_open(s->url, NULL, NULL, &s->store, NULL);
    if (refuses_children(s))
        return status == KIVI_FORKED || status == KIVI_BUSY ? NULL : said("open in a child", status);
    if (status != KIVI_OK)
        return said("open in a child", status);
    const char *wrong = read_and_write(s, user);
    kivi_store_unref(s->store);
    s->store = inherited;
    /* That one is closed again; the one that was inherited goes on. */
    return wrong ? wrong : read_and_write(s, user);
}

static const char *open_before_use(subject *s, void *user)
{
    (void)user;
    kivi_store *own = NULL;
    kivi_status status = kivi_store_open(s->url, NULL, NULL, &own, NULL);
    kivi_store_unref(own);
    return status == KIVI_OK || (refuses_children(s) && status != KIVI_INTERNAL)
               ? NULL
               : said("open in a child", status);
}

/* A child opens the store anew, beside the handle that it inherited and beside its parent. */
CASE(fork, child_opens)
{
    affairs a = {
        key(s, "k"), text(s, "v"), key(s, "other"), text(s, "the child's"), NULL, {NULL, 0}, 0, 0};
    put(s, a.key, a.value, KIVI_TTL_NONE);
    for (int i = 0; i < 4; i++) {
        in_child(s, i % 2 ? open_before_use : open_and_use, &a);
        EXPECT_HOLDS(a.key, a.value);
        put(s, a.key, a.value, KIVI_TTL_NONE);
    }
    if (s->row->traits & ROW_PRIVATE || refuses_children(s))
        EXPECT_MISSING(a.other);
    else
        EXPECT_HOLDS(a.other, a.written);
}

static const char *close_all(subject *s, void *user)
{
    const char *wrong = read_and_write(s, user);
    if (wrong)
        return wrong;
    kivi_store_close(s->store);
    kivi_buffer value = KIVI_BUFFER_INIT;
    affairs *a = user;
    kivi_status status = kivi_store_get(s->store, NULL, a->key, &value, NULL);
    if (status != KIVI_CLOSED)
        return said("get after close", status);
    kivi_store_unref(s->store);
    return NULL;
}

static const char *unref_unused(subject *s, void *user)
{
    (void)user;
    kivi_store_unref(s->store);
    return NULL;
}

/* What a child closes stays open in the parent. */
CASE(fork, child_closes)
{
    affairs a = {key(s, "k"), text(s, "v"), key(s, "other"), text(s, "w"), NULL, {NULL, 0}, 0, 0};
    put(s, a.key, a.value, KIVI_TTL_NONE);
    for (int i = 0; i < 3; i++) {
        in_child(s, i % 2 ? unref_unused : close_all, &a);
        EXPECT_HOLDS(a.key, a.value);
        put(s, a.key, a.value, KIVI_TTL_NONE);
    }
    kivi_health health = {.struct_size = sizeof health};
    OK(kivi_store_health(s->store, NULL, &health, E));
}

static const char *grandchild(subject *s, void *user)
{
    const char *wrong = read_and_write(s, user);
    if (wrong)
        return wrong;
    char said_below[512];
    if (child_finish(child_start(s, read_and_write, user), said_below, sizeof said_below) != CHILD_PASSED)
        return "the grandchild failed";
    return read_and_write(s, user);
}

CASE(fork, child_of_a_child)
{
    affairs a = {key(s, "k"), text(s, "v"), key(s, "other"), text(s, "w"), NULL, {NULL, 0}, 0, 0};
    put(s, a.key, a.value, KIVI_TTL_NONE);
    in_child(s, grandchild, &a);
    EXPECT_HOLDS(a.key, a.value);
}

/* ---- scans ---- */

static const char *use_inherited_scan(subject *s, void *user)
{
    affairs *a = user;
    kivi_pair pair = KIVI_PAIR_INIT;
    kivi_status status = kivi_scan_next(a->scan, NULL, &pair, NULL);
    if (status != KIVI_FORKED)
        return said("the parent's scan", status);
    kivi_scan_free(a->scan);
    if (refuses_children(s))
        return NULL;
    uint64_t count = 0;
    status = kivi_store_count(s->store, NULL, a->prefix, &count, NULL);
    if (status != KIVI_OK || count != a->count)
        return said("count", status);
    return NULL;
}

/* A parent's scan is the parent's; it goes on there. */
CASE(fork, scan_stays_with_the_parent)
{
    if (lacks_scan(s))
        return;
    affairs a = {.prefix = all(s), .count = 30};
    for (size_t i = 0; i < 30; i++)
        put(s, key_number(s, "k", i), number(s, (int64_t)i), KIVI_TTL_NONE);
    kivi_range range = KIVI_RANGE_INIT;
    range.prefix = a.prefix;
    kivi_pair pair = KIVI_PAIR_INIT;
    OK(kivi_store_scan(s->store, &range, &a.scan, E));
    for (size_t i = 0; i < 5; i++)
        OK(kivi_scan_next(a.scan, NULL, &pair, E));
    in_child(s, use_inherited_scan, &a);
    size_t rest = 0;
    kivi_status status;
    while ((status = kivi_scan_next(a.scan, NULL, &pair, NULL)) == KIVI_OK)
        rest++;
    EXPECT_NUMBER(status, KIVI_END);
    EXPECT_NUMBER(rest, 25);
    kivi_scan_free(a.scan);
}

/* ---- in the middle of traffic ---- */

typedef struct traffic_jam {
    kivi_slice keys[6];
    kivi_slice values[200];
    kivi_slice counter;
    atomic_int driving; /* threads that have made their first round */
    atomic_bool over;
} traffic_jam;

static const char *work_beside(subject *s, void *user)
{
    traffic_jam *jam = user;
    if (refuses_children(s))
        return NULL;
    kivi_buffer value = KIVI_BUFFER_INIT;
    for (size_t i = 0; i < 6; i++) {
        kivi_status status = kivi_store_get(s->store, NULL, jam->keys[i], &value, NULL);
        if (status != KIVI_OK)
            return said("get in the middle of traffic", status);
    }
    for (int i = 0; i < 5; i++) {
        kivi_status status = kivi_store_set(s->store, NULL, jam->counter, jam->values[i],
                                            KIVI_TTL_NONE, NULL);
        if (status != KIVI_OK)
            return said("set in the middle of traffic", status);
    }
    kivi_buffer_free(&value);
    return NULL;
}

static void write_and_read(worker *w, kivi_slice key, kivi_slice wanted, kivi_buffer *value)
{
    kivi_error *error = NULL;
    kivi_status status = kivi_store_set(w->s->store, NULL, key, wanted, KIVI_TTL_NONE, &error);
    if (!answered(w, "set", status, KIVI_OK, &error))
        return;
    status = kivi_store_get(w->s->store, NULL, key, value, &error);
    if (answered(w, "get", status, KIVI_OK, &error) && !same_bytes(kivi_buffer_slice(value), wanted))
        fault(w, "round %llu: get answered another value", (unsigned long long)w->tally);
}

/* Threads that write their own key and read it back, all the while. */
static void drive(worker *w)
{
    traffic_jam *jam = w->shared;
    kivi_buffer value = KIVI_BUFFER_INIT;
    for (size_t i = 0; !atomic_load(&jam->over) && !w->fault[0]; i++) {
        ROUND_BEGIN();
        write_and_read(w, jam->keys[w->index], jam->values[i % 200], &value);
        ROUND_END();
        w->tally++;
        if (i == 0)
            atomic_fetch_add(&jam->driving, 1);
    }
    kivi_buffer_free(&value);
}

static void drive_or_fork(worker *w)
{
    traffic_jam *jam = w->shared;
    if (w->index < 6) {
        drive(w);
        return;
    }
    char wrong[200];
    while (atomic_load(&jam->driving) < 6)
        pause_ms(1);
    for (int i = 0; i < 12 && !w->fault[0]; i++) {
        outcome how = child_finish(child_start(w->s, work_beside, jam), wrong, sizeof wrong);
        if (how != CHILD_PASSED)
            fault(w, "child %d %s: %s", i, how == CHILD_HUNG ? "hung" : "failed", wrong);
    }
    atomic_store(&jam->over, true);
}

CASE(fork, in_the_middle_of_traffic)
{
    traffic_jam *jam = keep(s, sizeof *jam);
    for (size_t i = 0; i < 200; i++)
        jam->values[i] = number(s, (int64_t)i);
    jam->counter = key(s, "counter");
    for (size_t i = 0; i < 6; i++) {
        jam->keys[i] = key_number(s, "k", i);
        put(s, jam->keys[i], jam->values[0], KIVI_TTL_NONE);
    }
    uint64_t rounds[7];
    together(s, 7, drive_or_fork, jam, rounds);
    for (size_t i = 0; i < 6; i++)
        EXPECT(rounds[i] > 0);
    put(s, jam->counter, jam->values[7], KIVI_TTL_NONE);
    EXPECT_HOLDS(jam->counter, jam->values[7]);
}

/* ---- memory: a private copy ---- */

static const char *change_everything(subject *s, void *user)
{
    affairs *a = user;
    if (refuses_children(s))
        return NULL;
    kivi_status status = kivi_store_set(s->store, NULL, a->key, a->written, KIVI_TTL_NONE, NULL);
    if (status == KIVI_OK)
        status = kivi_store_delete(s->store, NULL, a->other, NULL, NULL);
    return status == KIVI_OK ? NULL : said("a write", status);
}

CASE(fork, what_the_parent_sees)
{
    affairs a = {key(s, "k"), text(s, "v"), key(s, "other"), text(s, "w"), NULL, {NULL, 0}, 0, 0};
    put(s, a.key, a.value, KIVI_TTL_NONE);
    put(s, a.other, a.value, KIVI_TTL_NONE);
    in_child(s, change_everything, &a);
    if (s->row->traits & ROW_PRIVATE || refuses_children(s)) {
        EXPECT_HOLDS(a.key, a.value);
        EXPECT_HOLDS(a.other, a.value);
    } else {
        EXPECT_HOLDS(a.key, a.written);
        EXPECT_MISSING(a.other);
    }
}
