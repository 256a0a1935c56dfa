/* Forks in the middle of traffic: children use what they inherited, and their parent notices nothing. */
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "networked.h"

enum { ROUNDS = 5, AT_ONCE = 3, KEYS = 20, IN_FLIGHT = 200 };

typedef struct family {
    running_server server;
    kivi_store *store;
    load *l;
} family;

/* ---- in a child ---- */

/* The parent's queue is the parent's. */
static void expect_forked(kivi_queue *queue, kivi_store *store)
{
    kivi_request request = KIVI_REQUEST_INIT;
    kivi_completion end = KIVI_COMPLETION_INIT;

    request.verb = KIVI_VERB_GET;
    request.key = kivi_str("k");
    ANSWERS(KIVI_FORKED, kivi_queue_submit(queue, store, NULL, &request, NULL, E));
    CHECK_NUMBER(kivi_queue_take(queue, &end, 1), 0);
    CHECK_NUMBER(kivi_queue_count(queue), 0);
    for (uint64_t ticket = 1; ticket < 100; ticket++)
        kivi_queue_cancel(queue, ticket);
    kivi_queue_close(queue);
}

static void use_store(kivi_store *store)
{
    for (int i = 0; i < KEYS; i++) {
        text key, value;
        print(&key, "child:%d:%d", (int)getpid(), i);
        print(&value, "%d", i);
        put(store, key.bytes, value.bytes);
        expect_holds(store, key.bytes, value.bytes);
    }
}

static void submit_own(kivi_queue *queue, kivi_store *store, uintptr_t n, kivi_verb verb)
{
    text key;
    kivi_request request = KIVI_REQUEST_INIT;

    request.verb = verb;
    request.key = print(&key, "queued:%d:%d", (int)getpid(), (int)n);
    request.value = request.key;
    request.user = (void *)n;
    OK(kivi_queue_submit(queue, store, NULL, &request, NULL, E));
}

/* Each number comes back once, and in order of its own: it is written, then read. */
static void use_queue(kivi_queue *queue, kivi_store *store)
{
    static unsigned char ended[IN_FLIGHT];
    struct pollfd ready = {.fd = kivi_queue_descriptor(queue), .events = POLLIN};

    for (uintptr_t n = 0; n < IN_FLIGHT; n++)
        submit_own(queue, store, n, KIVI_VERB_SET);
    for (unsigned left = 2 * IN_FLIGHT; left;) {
        kivi_completion end = KIVI_COMPLETION_INIT;
        text key;
        CHECK(poll(&ready, 1, 30000) == 1);
        CHECK_NUMBER(kivi_queue_take(queue, &end, 1), 1);
        uintptr_t n = (uintptr_t)end.user;
        CHECK_SAYING(end.status == KIVI_OK, "%s", kivi_status_name(end.status));
        CHECK(n < IN_FLIGHT && ended[n] < 2);
        kivi_slice wanted = print(&key, "queued:%d:%d", (int)getpid(), (int)n);
        if (ended[n]++ == 0)
            submit_own(queue, store, n, KIVI_VERB_GET);
        else
            CHECK(end.value.size == wanted.size && !memcmp(end.value.data, wanted.data, wanted.size));
        kivi_completion_release(&end);
        left--;
    }
}

static void live(const family *f)
{
    kivi_queue *queue = NULL;

    if (f->l->queue)
        expect_forked(f->l->queue, f->store);
    use_store(f->store);
    OK(kivi_queue_new(&queue, E));
    use_queue(queue, f->store);
    kivi_queue_close(queue);
}

static void live_again(int in, int out, void *user)
{
    (void)in, (void)out;
    use_store(((family *)user)->store);
}

/* A child that has used the store has a child of its own. */
static void live_and_fork(int in, int out, void *user)
{
    family *f = user;

    (void)in, (void)out;
    live(f);
    child grandchild = child_start(live_again, f);
    child_ends(&grandchild);
    use_store(f->store);
    kivi_store_unref(f->store);
}

/* ---- the parent ---- */

void networked_fork_in_traffic(const fault_server *kind, load_kind way)
{
    const load_options options = {.name = "traffic", .kind = way, .timeout_ms = 60000, .increments = 1};
    family f;

    memset(&f, 0, sizeof(f));
    pulse_begin();
    server_start(&f.server, kind, "server", NULL, NULL);
    f.store = server_open(&f.server, "&timeout=60s");
    f.l = load_start(f.store, &options);
    load_flows(f.l, 500);
    for (int i = 0; i < ROUNDS; i++) {
        child children[AT_ONCE];
        for (int n = 0; n < AT_ONCE; n++)
            children[n] = child_start(live_and_fork, &f);
        load_heals(f.l);
        for (int n = 0; n < AT_ONCE; n++)
            child_ends(&children[n]);
    }
    load_heals(f.l);
    CHECK_NUMBER(load_failures(f.l), 0);
    load_stop(f.l, "forks in traffic");
    stage_compare_applied(&f.server, f.l);
    load_free(f.l);
    kivi_store_unref(f.store);
    server_stop(&f.server);
    pulse_end();
}
