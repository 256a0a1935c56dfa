/* Row: a queue with 1,000 gets in flight from one thread, beside a pipeline of 1,000 by hand. */
#include "bench_redis.h"

#include <poll.h>
#include <stdlib.h>

#define IN_FLIGHT 1000u
#define TAKEN 256u /* at once */

typedef struct state {
    const remote_data *data;
    kivi_store *store;
    kivi_queue *queue;
    redisContext *context;
    uint32_t peer_next, our_next;
    kivi_completion completions[TAKEN];
} state;

static void *set_up(const bench_row *row)
{
    state *s = bench_alloc(sizeof *s);
    kivi_error *error = NULL;
    (void)row;
    const bench_redis *redis = bench_redis_server();
    s->data = bench_remote_data();
    s->store = bench_redis_store(redis, false);
    s->context = bench_redis_connect(redis, false);
    bench_ok(kivi_queue_new(&s->queue, &error), &error);
    return s;
}

static void tear_down(void *user)
{
    state *s = user;
    kivi_queue_close(s->queue);
    kivi_store_unref(s->store);
    redisFree(s->context);
    free(s);
}

static void run_peer(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    const char *arguments[2] = {"GET", NULL};
    size_t sizes[2] = {3, sizeof s->data->keys[0].text};
    (void)thread;
    while (iterations--) {
        for (unsigned i = 0; i < IN_FLIGHT; i++) {
            arguments[1] = bench_remote_next(s->data, &s->peer_next)->text;
            redisAppendCommandArgv(s->context, 2, arguments, sizes);
        }
        for (unsigned i = 0; i < IN_FLIGHT; i++) {
            redisReply *reply = bench_redis_reply(s->context, REDIS_REPLY_STRING);
            BENCH_CHECK(reply->len == REMOTE_VALUE);
            bench_use(reply->str);
            freeReplyObject(reply);
        }
    }
}

static void submit_one(state *s)
{
    kivi_request request = KIVI_REQUEST_INIT;
    kivi_error *error = NULL;
    request.verb = KIVI_VERB_GET;
    request.key = bench_remote_slice(bench_remote_next(s->data, &s->our_next));
    bench_ok(kivi_queue_submit(s->queue, s->store, NULL, &request, NULL, &error), &error);
}

/* Takes what is done, when something is; answers how many. */
static unsigned take_some(state *s)
{
    struct pollfd ready = {.fd = kivi_queue_descriptor(s->queue), .events = POLLIN};
    BENCH_CHECK(poll(&ready, 1, 30000) == 1);
    s->completions[0].struct_size = sizeof s->completions[0];
    size_t count = kivi_queue_take(s->queue, s->completions, TAKEN);
    for (size_t i = 0; i < count; i++) {
        bench_ok(s->completions[i].status, &s->completions[i].error);
        BENCH_CHECK(s->completions[i].value.size == REMOTE_VALUE);
        bench_use(s->completions[i].value.data);
        kivi_completion_release(&s->completions[i]);
    }
    return (unsigned)count;
}

/* For each that is done the next is submitted: so many are in flight until the last have been. */
static void run_ours(void *user, unsigned thread, uint64_t iterations)
{
    state *s = user;
    uint64_t left = iterations * IN_FLIGHT, to_submit = left;
    (void)thread;
    for (unsigned i = 0; i < IN_FLIGHT; i++, to_submit--)
        submit_one(s);
    while (left) {
        unsigned count = take_some(s);
        left -= count;
        for (; count && to_submit; count--, to_submit--)
            submit_one(s);
    }
}

static const bench_row rows[] = {
    {.name = "redis-queue",
     .title = "Redis queue, 1,000 gets in flight, one submitting thread, TCP",
     .peer = "hiredis: pipeline of 1,000 by hand",
     .goal = BENCH_OPS_AT_LEAST,
     .target = 0.5,
     .items = IN_FLIGHT,
     .setup = set_up,
     .run_peer = run_peer,
     .run_ours = run_ours,
     .teardown = tear_down},
};

const bench_group bench_redis_queue_group = BENCH_GROUP(rows);
