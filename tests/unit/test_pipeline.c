/* Commands in flight over a toy protocol: a command is its item's key and value, a reply one byte. */
#include "net_fixture.h"

#include "../../libkivi/backends/common/pipeline/pipeline.h"

TestSuite(pipeline, .timeout = 60);

static kivi_error *error;

/* ---- The protocol: "k\n", the value behind it; '+' OK, '-' refused, '!' refused and condemned, '?' a breach ---- */

typedef struct toy {
    kvi_pipeline pipeline;
    kivi_host core;
    kvi_net_target target;
    int listener, peer;
    char port[8];
    kivi_write_item items[4];
    kivi_write_vector vector;
    unsigned logins, rounds; /* rounds: to be made after the first */
    bool with_login, renews;
    size_t others; /* items from there on are another pipeline's */
} toy;

static unsigned reconnects;

static void count_report(void *reporter, kivi_event_type type, kivi_status status, uint64_t items)
{
    (void)reporter, (void)status, (void)items;
    reconnects += type == KIVI_EVENT_RECONNECT;
}

static kivi_status queue(toy *t, uint32_t index, kivi_slice value)
{
    kvi_command *command = kvi_pipeline_add(&t->pipeline, 1, index, 1);

    cr_assert_not_null(command);
    queue_net(&t->pipeline.net, "k\n", 2);
    cr_assert(kvi_net_refer(&t->pipeline.net, value));
    kvi_pipeline_added(&t->pipeline);
    return KIVI_OK;
}

static kivi_status toy_login(void *owner, kivi_error **failure)
{
    toy *t = owner;

    (void)failure;
    kvi_command *command = kvi_pipeline_add(&t->pipeline, 0, 0, 0);
    command->unasked = true;
    queue_net(&t->pipeline.net, "secret\n", 7);
    kvi_pipeline_added(&t->pipeline);
    return KIVI_OK;
}

static kivi_status toy_login_end(void *owner, kivi_error **failure)
{
    toy *t = owner;

    (void)failure;
    t->logins++;
    return KIVI_OK;
}

static kivi_status toy_begin(void *owner, kivi_error **failure)
{
    toy *t = owner;

    (void)failure;
    for (uint32_t i = 0; i < t->vector.count && i < t->others; i++)
        if (t->items[i].status == KIVI_PENDING)
            queue(t, i, t->items[i].value);
    return KIVI_OK;
}

static kivi_status toy_reply(void *owner, kvi_command *command, const uint8_t *bytes, size_t size,
                             kvi_portion *portion, kivi_error **failure)
{
    toy *t = owner;

    if (size == 0)
        return KIVI_PENDING;
    portion->used = 1;
    portion->last = true;
    if (*bytes == '?') {
        *failure = t->core.error(KIVI_CORRUPT, 0, KIVI_RETRY_NO, "no such answer");
        return KIVI_CORRUPT;
    }
    if (command->kind == 0)
        return KIVI_OK;
    if (*bytes == '!')
        kvi_pipeline_condemn(&t->pipeline, KIVI_DENIED);
    t->items[command->item].status = *bytes == '+' ? KIVI_OK : KIVI_CONDITION;
    return KIVI_OK;
}

static kivi_status toy_end(void *owner, kivi_error **failure)
{
    toy *t = owner;

    (void)failure;
    if (t->rounds == 0)
        return KIVI_OK;
    t->rounds--;
    if (t->renews)
        kvi_pipeline_renew(&t->pipeline);
    queue(t, 0, kivi_bytes(NULL, 0));
    return KIVI_PENDING;
}

static bool toy_owns(void *owner, size_t index)
{
    return index < ((toy *)owner)->others;
}

static kvi_protocol protocol = {
    .command_size = sizeof(kvi_command),
    .begin = toy_begin,
    .reply = toy_reply,
    .end = toy_end,
    .owns = toy_owns,
    .breach = "nonsense came",
};

/* ---- Both sides ---- */

static toy *toy_new(size_t count)
{
    static toy t;

    t = (toy){.core = kvi_host_table, .peer = -1, .others = 4};
    t.core.report = count_report;
    t.listener = listen_at("127.0.0.1", t.port);
    t.target.place = (kvi_place){.core = &t.core, .host = "127.0.0.1", .port = t.port};
    t.vector = (kivi_write_vector){
        sizeof(t.vector), sizeof(t.items[0]), t.items, count, 0, 0, NULL, NULL};
    for (size_t i = 0; i < 4; i++)
        t.items[i] = (kivi_write_item){.status = KIVI_PENDING};
    reconnects = 0;
    kvi_pipeline_init(&t.pipeline, &protocol, &t, &t.target, NULL);
    return &t;
}

static void toy_free(toy *t)
{
    kvi_pipeline_free(&t->pipeline);
    close(t->listener);
    if (t->peer >= 0)
        close(t->peer);
}

/* One step, as often as something is ready, until it has ended or nothing is to be done now. */
static kivi_status step_on(toy *t, kivi_status status)
{
    uint32_t revents = 0;

    while (status == KIVI_PENDING) {
        kivi_poll want = {sizeof(want), -1, 0, 0, -1};
        status = kvi_pipeline_step(&t->pipeline, revents, &want, &error);
        if (status != KIVI_PENDING)
            return status;
        struct pollfd one = {want.fd, (short)want.events, 0};
        if (poll(&one, 1, 200) == 0)
            return KIVI_PENDING;
        revents = (uint32_t)one.revents;
    }
    return status;
}

static kivi_status begin(toy *t)
{
    return kvi_pipeline_begin(&t->pipeline, NULL, &t->vector, &error);
}

static void take_peer(toy *t)
{
    if (t->peer >= 0)
        close(t->peer);
    t->peer = accept(t->listener, NULL, NULL);
    cr_assert_geq(t->peer, 0);
}

static void reply(toy *t, const char *bytes)
{
    cr_assert_eq(send(t->peer, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
}

static void expect_received(toy *t, const char *wanted)
{
    char bytes[256] = "";
    size_t size = strlen(wanted);

    cr_assert_eq(recv(t->peer, bytes, size, MSG_WAITALL), (ssize_t)size);
    cr_assert_str_eq(bytes, wanted);
}

static kivi_status connect_and_begin(toy *t)
{
    kivi_status status = step_on(t, begin(t));

    cr_assert_eq(status, KIVI_PENDING);
    take_peer(t);
    return status;
}

/* ---- Verbs ---- */

Test(pipeline, commands_and_replies_in_their_order)
{
    toy *t = toy_new(3);

    t->items[1].value = kivi_str("value");
    kivi_status status = connect_and_begin(t);
    expect_received(t, "k\nk\nvaluek\n");
    for (int i = 0; i < 3; i++)
        cr_expect_eq(t->items[i].sent, KIVI_SENT_WHOLLY);
    reply(t, "+-");
    status = step_on(t, status);
    cr_assert_eq(status, KIVI_PENDING);
    cr_expect_eq(t->items[0].status, KIVI_OK);
    cr_expect_eq(t->items[1].status, KIVI_CONDITION);
    cr_expect_eq(t->items[2].status, KIVI_PENDING);
    reply(t, "+");
    cr_assert_eq(step_on(t, status), KIVI_OK);
    cr_expect_eq(t->items[2].status, KIVI_OK);
    cr_expect_not(t->pipeline.busy);
    toy_free(t);
}

/* The second round is sent when all replies of the first are there, over the same connection. */
Test(pipeline, rounds)
{
    toy *t = toy_new(1);

    t->rounds = 2;
    kivi_status status = connect_and_begin(t);
    for (int i = 0; i < 3; i++) {
        expect_received(t, "k\n");
        reply(t, "+");
        status = step_on(t, status);
        cr_assert_eq(status, i < 2 ? KIVI_PENDING : KIVI_OK);
    }
    toy_free(t);
}

Test(pipeline, a_verb_with_nothing_to_ask_is_done)
{
    toy *t = toy_new(1);

    t->items[0].status = KIVI_OK;
    cr_assert_eq(step_on(t, begin(t)), KIVI_OK);
    kivi_poll want = {sizeof(want), -1, 0, 0, -1};
    expect_failure(kvi_pipeline_step(&t->pipeline, 0, &want, &error), &error, KIVI_INTERNAL, "no verb");
    toy_free(t);
}

/* ---- Logging in ---- */

Test(pipeline, a_login_comes_first_and_is_wiped)
{
    protocol.login = toy_login;
    protocol.login_end = toy_login_end;
    toy *t = toy_new(1);
    kivi_status status = connect_and_begin(t);
    expect_received(t, "secret\n");
    cr_expect_eq(t->items[0].sent, KIVI_SENT_NOTHING, "a login is no part of an item");
    reply(t, "+");
    status = step_on(t, status);
    cr_assert_eq(t->logins, 1);
    cr_expect_null(memmem(t->pipeline.net.out.data, t->pipeline.net.out.capacity, "secret", 6));
    expect_received(t, "k\n");
    reply(t, "+");
    cr_assert_eq(step_on(t, status), KIVI_OK);
    toy_free(t);
}

/* Also one that failed. */
Test(pipeline, a_login_that_fails_is_wiped)
{
    protocol.login = toy_login;
    protocol.login_end = toy_login_end;
    toy *t = toy_new(1);
    kivi_status status = connect_and_begin(t);
    reply(t, "?");
    expect_failure(step_on(t, status), &error, KIVI_CORRUPT, "no such answer");
    cr_expect_null(memmem(t->pipeline.net.out.data, t->pipeline.net.out.capacity, "secret", 6));
    cr_expect_null(t->items[0].error);
    toy_free(t);
}

/* ---- Failing ---- */

/* Of what has left nobody knows what became of it; the rest is the verb's failure. Items of others are left alone. */
Test(pipeline, a_connection_that_ends)
{
    toy *t = toy_new(4);

    t->others = 3;
    t->items[3].sent = KIVI_SENT_WHOLLY; /* by another pipeline */
    kivi_status status = connect_and_begin(t);
    reply(t, "+");
    status = step_on(t, status);
    shutdown(t->peer, SHUT_RDWR);
    expect_failure(step_on(t, status), &error, KIVI_UNAVAILABLE, "closed the connection");
    cr_expect_eq(t->items[0].status, KIVI_OK);
    for (int i = 1; i < 3; i++) {
        cr_expect_eq(t->items[i].status, KIVI_UNAVAILABLE);
        cr_expect_eq(kivi_error_retryable(t->items[i].error), KIVI_RETRY_IF_IDEMPOTENT);
        kivi_error_free(t->items[i].error);
    }
    cr_expect_eq(t->items[3].status, KIVI_PENDING);
    cr_expect_eq(t->pipeline.phase, KVI_PHASE_CLOSED);
    toy_free(t);
}

Test(pipeline, an_answer_that_cannot_be)
{
    toy *t = toy_new(2);
    kivi_status status = connect_and_begin(t);

    reply(t, "+?");
    expect_failure(step_on(t, status), &error, KIVI_CORRUPT, "no such answer");
    expect_failure(t->items[1].status, &t->items[1].error, KIVI_UNAVAILABLE, "nonsense came");
    toy_free(t);
}

/* All replies are taken; then the connection ends with the first verdict. */
Test(pipeline, condemned)
{
    toy *t = toy_new(2);
    kivi_status status = connect_and_begin(t);

    reply(t, "!+");
    expect_failure(step_on(t, status), &error, KIVI_DENIED, "wants this connection no more");
    cr_expect_eq(t->items[0].status, KIVI_CONDITION);
    cr_expect_eq(t->items[1].status, KIVI_OK);
    cr_expect_eq(t->pipeline.phase, KVI_PHASE_CLOSED);
    toy_free(t);
}

/*
 * A refusal that comes before all of the value has left: the item has its answer, so the rest of it is not read any more,
 * and the connection, which misses it, is not used again. What was not sent may be sent again.
 */
Test(pipeline, an_answer_before_the_request_has_left)
{
    size_t size = 16 << 20;
    char *value = calloc(size, 1);
    toy *t = toy_new(2);

    t->items[0].value = kivi_bytes(value, size);
    kivi_status status = connect_and_begin(t);
    cr_assert_eq(t->items[0].sent, KIVI_SENT_PARTLY);
    reply(t, "-");
    status = step_on(t, status);
    free(value);
    cr_expect_eq(t->items[0].status, KIVI_CONDITION);
    cr_expect_eq(t->items[1].status, KIVI_PENDING);
    cr_expect_eq(t->items[1].sent, KIVI_SENT_NOTHING);
    cr_expect_eq(kivi_error_retryable(error), KIVI_RETRY_YES);
    expect_failure(status, &error, KIVI_UNAVAILABLE, "before all of the request had left");
    cr_expect_eq(t->pipeline.phase, KVI_PHASE_CLOSED);
    toy_free(t);
}

/* Where the server reads on: the answer is taken when all has left, although nothing more comes then. */
Test(pipeline, an_early_answer_of_a_server_that_reads_on)
{
    size_t size = 16 << 20, left = size + 4;
    char *value = calloc(size, 1);
    uint32_t revents = 0;
    toy *t = toy_new(2);

    protocol.reads_on = true;
    t->items[0].value = kivi_bytes(value, size);
    kivi_status status = connect_and_begin(t);
    reply(t, "-+");
    status = step_on(t, status);
    cr_assert_eq(status, KIVI_PENDING);
    cr_expect_eq(t->items[0].status, KIVI_PENDING, "it is still read from");
    while (status == KIVI_PENDING) {
        kivi_poll want = {sizeof(want), -1, 0, 0, -1};
        char bytes[65536];
        ssize_t got = left ? recv(t->peer, bytes, left < sizeof(bytes) ? left : sizeof(bytes), MSG_DONTWAIT)
                           : 0;
        left -= got > 0 ? (size_t)got : 0;
        status = kvi_pipeline_step(&t->pipeline, revents, &want, &error);
        struct pollfd one = {want.fd, (short)want.events, 0};
        cr_assert(status != KIVI_PENDING || poll(&one, 1, left ? 0 : 20000) > 0 || left);
        revents = (uint32_t)one.revents;
    }
    free(value);
    cr_assert_eq(status, KIVI_OK);
    cr_expect_eq(t->items[0].status, KIVI_CONDITION);
    cr_expect_eq(t->items[1].status, KIVI_OK);
    cr_expect_eq(t->pipeline.phase, KVI_PHASE_READY);
    toy_free(t);
}

/* What was queued before a renewed round is forgotten: a verb of many rounds needs no more memory than one. */
Test(pipeline, renewed_rounds)
{
    toy *t = toy_new(1);

    t->rounds = 3;
    t->renews = true;
    kivi_status status = connect_and_begin(t);
    for (int i = 0; i < 4; i++) {
        expect_received(t, "k\n");
        cr_expect_eq(t->pipeline.count, 1);
        cr_expect_eq(t->pipeline.net.queued, 2);
        reply(t, "+");
        status = step_on(t, status);
        cr_assert_eq(status, i < 3 ? KIVI_PENDING : KIVI_OK);
    }
    toy_free(t);
}

/* As where the connection broke: of what has left nobody knows. */
Test(pipeline, given_up)
{
    toy *t = toy_new(2);
    kivi_status status = connect_and_begin(t);

    reply(t, "+");
    cr_assert_eq(step_on(t, status), KIVI_PENDING);
    kvi_pipeline_give_up(&t->pipeline);
    cr_expect_not(t->pipeline.busy);
    cr_expect_eq(t->pipeline.phase, KVI_PHASE_CLOSED);
    cr_expect_eq(t->items[0].status, KIVI_OK);
    expect_failure(t->items[1].status, &t->items[1].error, KIVI_UNAVAILABLE, "before the answer came");
    kvi_pipeline_give_up(&t->pipeline); /* nothing is in flight */
    toy_free(t);
}

/* ---- Idle ---- */

static void use_once(toy *t)
{
    t->items[0].status = KIVI_PENDING;
    kivi_status status = step_on(t, begin(t));
    cr_assert_eq(status, KIVI_PENDING);
    if (t->peer < 0)
        take_peer(t);
    expect_received(t, "k\n");
    reply(t, "+");
    cr_assert_eq(step_on(t, status), KIVI_OK);
}

/* One that ended while nobody used it, and one on which something came that nobody asked for. */
Test(pipeline, stale_connections_are_made_anew)
{
    toy *t = toy_new(1);

    use_once(t);
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    use_once(t);
    cr_expect_eq(reconnects, 0);
    reply(t, "x");
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    close(t->peer);
    t->peer = -1;
    use_once(t);
    cr_expect_eq(reconnects, 1);
    close(t->peer);
    t->peer = -1;
    nanosleep(&(struct timespec){0, 100000000}, NULL);
    use_once(t);
    cr_expect_eq(reconnects, 2);
    toy_free(t);
}
