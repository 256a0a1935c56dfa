/* A writer that is stopped while it holds the lock: others wait no longer than they want, and read on. */
#include <signal.h>
#include <sys/wait.h>

#include "common/faults.h"
#include "common/hooks.h"

TestSuite(stopped_writer, .init = case_begin, .fini = case_end);

enum { COUNT = 2000, TIMEOUT_MS = 300 };

/* One vector that stops inside its commit, at a system call; then an ordinary life. */
static void write_and_stop(int in, int out, void *user)
{
    const unsigned *nth = user;
    kivi_store *store = open_lmdb("&map_size=64MiB");
    text *names = calloc(COUNT, sizeof(*names));
    kivi_slice *keys = calloc(COUNT, sizeof(*keys)), *values = calloc(COUNT, sizeof(*values));

    CHECK(names && keys && values);
    for (unsigned i = 0; i < COUNT; i++) {
        keys[i] = print(&names[i], "child:%u", i);
        values[i] = kivi_str("written");
    }
    hear_on(in);
    hook_arm(*nth, false, SIGSTOP);
    OK(kivi_store_set_many(store, NULL, keys, values, COUNT, KIVI_TTL_NONE, NULL, E));
    tell_on(out);
    hear_on(in);
    put(store, "child", "goes on");
    kivi_store_unref(store);
    free(names);
    free(keys);
    free(values);
}

static child stopped_child(const unsigned *nth)
{
    child c = child_start(write_and_stop, (void *)nth);
    int status;

    tell_on(c.to);
    CHECK(waitpid(c.pid, &status, WUNTRACED) == c.pid);
    CHECK_SAYING(WIFSTOPPED(status), "it did not stop: status %d", status);
    return c;
}

/* Each kind of write, with a deadline. */
static void expect_writes_time_out(kivi_store *store)
{
    kivi_call call = within_ms(TIMEOUT_MS);
    kivi_slice key = kivi_str("mine"), value = kivi_str("1");
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_op op = KIVI_OP_INIT;
    uint64_t began;

    op.kind = KIVI_OP_SET;
    op.key = key;
    op.value = value;
#define TIMES_OUT(call_)                        \
    do {                                        \
        began = now_ns();                       \
        ANSWERS(KIVI_TIMEOUT, call_);           \
        tell_excess(#call_, began, TIMEOUT_MS); \
    } while (0)
    TIMES_OUT(kivi_store_set(store, &call, key, value, KIVI_TTL_NONE, E));
    TIMES_OUT(kivi_store_set(store, &call, key, value, 60000, E));
    TIMES_OUT(kivi_store_set_many(store, &call, &key, &value, 1, KIVI_TTL_NONE, NULL, E));
    TIMES_OUT(kivi_store_apply(store, &call, &op, 1, KIVI_APPLY_ATOMIC, NULL, E));
    TIMES_OUT(kivi_store_increment(store, &call, key, 1, KIVI_TTL_NONE, NULL, E));
    TIMES_OUT(kivi_store_take(store, &call, kivi_str("before"), &got, E));
    TIMES_OUT(kivi_store_delete(store, &call, kivi_str("before"), NULL, E));
    TIMES_OUT(kivi_store_expire(store, &call, kivi_str("before"), 1000, E));
    TIMES_OUT(kivi_store_clear(store, &call, kivi_bytes(NULL, 0), 0, NULL, E));
#undef TIMES_OUT
    kivi_buffer_free(&got);
}

static void expect_reads_go_on(kivi_store *store)
{
    kivi_store *second;

    expect_holds(store, "before", "0");
    expect_holds(store, "mine", NULL);
    CHECK_NUMBER(expect_sound(store), 1);
    second = open_lmdb("&map_size=64MiB");
    expect_holds(second, "before", "0");
    kivi_store_unref(second);
}

/* Opens the file that another process is stopped with, reads it, and finds no way to write. */
static void look_from_outside(int in, int out, void *user)
{
    kivi_store *store = open_lmdb("&map_size=64MiB");
    kivi_call call = within_ms(TIMEOUT_MS);

    (void)in, (void)out, (void)user;
    expect_reads_go_on(store);
    REFUSED(KIVI_TIMEOUT, "is writing",
            kivi_store_set(store, &call, kivi_str("mine"), kivi_str("1"), KIVI_TTL_NONE, E));
    kivi_store_unref(store);
}

static kivi_store *store_beside(const unsigned *nth, child *c)
{
    kivi_store *store;
    child outside;

    *c = child_start(write_and_stop, (void *)nth);
    store = open_lmdb("&map_size=64MiB");
    put(store, "before", "0");
    kivi_store_unref(store);
    child_kill(c);
    *c = stopped_child(nth);
    store = open_lmdb("&map_size=64MiB");
    expect_reads_go_on(store);
    expect_writes_time_out(store);
    outside = child_start(look_from_outside, NULL);
    child_ends(&outside);
    return store;
}

static void expect_all_of_it(kivi_store *store, bool wholly)
{
    text key;

    for (unsigned i = 0; i < COUNT; i++) {
        print(&key, "child:%u", i);
        expect_holds(store, key.bytes, wholly ? "written" : NULL);
    }
}

/* Writes of four threads that wait for the stopped one and then happen, each once. */
static void wait_and_count(worker *w)
{
    kivi_call call = within_ms(30000);

    OK(kivi_store_increment(w->shared, &call, kivi_str("waited"), 1, KIVI_TTL_NONE, NULL, E));
}

static void continue_later(worker *w)
{
    child *c = *(child **)w->shared;

    if (w->index == 0) {
        pause_ms(200);
        kill(c->pid, SIGCONT);
        return;
    }
    w->shared = ((void **)w->shared)[1];
    wait_and_count(w);
}

Test(stopped_writer, continued, .timeout = 120)
{
    for (unsigned nth = 1; nth <= 3; nth++) {
        child c;
        kivi_store *store = store_beside(&nth, &c);
        void *both[] = {&c, store};
        together(5, continue_later, both);
        hear_on(c.from);
        expect_all_of_it(store, true);
        CHECK_NUMBER(number_at(store, "waited", 0), 4);
        tell_on(c.to);
        child_ends(&c);
        expect_holds(store, "child", "goes on");
        expect_holds(store, "mine", NULL);
        put(store, "mine", "at last");
        OK(kivi_store_clear(store, NULL, kivi_bytes(NULL, 0), 0, NULL, E));
        kivi_store_unref(store);
    }
}

static void kill_later(worker *w)
{
    child *c = *(child **)w->shared;

    if (w->index == 0) {
        pause_ms(200);
        kill(c->pid, SIGKILL);
        return;
    }
    w->shared = ((void **)w->shared)[1];
    wait_and_count(w);
}

/* Killed before the page that refers to the others was written: nothing of its vector is there. */
Test(stopped_writer, killed, .timeout = 120)
{
    for (unsigned nth = 1; nth <= 3; nth++) {
        child c;
        kivi_store *store = store_beside(&nth, &c);
        void *both[] = {&c, store};
        together(5, kill_later, both);
        child_kill(&c);
        expect_all_of_it(store, false);
        CHECK_NUMBER(number_at(store, "waited", 0), 4);
        put(store, "mine", "at last");
        CHECK_NUMBER(expect_sound(store), 3);
        OK(kivi_store_clear(store, NULL, kivi_bytes(NULL, 0), 0, NULL, E));
        kivi_store_unref(store);
    }
}
