/* A session of several servers over a toy protocol: "key\n" is asked, one byte comes back. */
#include "net_fixture.h"

#include "../../libkivi/backends/common/members/members.h"

TestSuite(members, .timeout = 60);

static kivi_error *error;

#define SERVERS 3
#define ITEMS 6
#define SILENCE_NS UINT64_C(900000000)
#define RETRY_NS UINT64_C(2000000000)

/* ---- The protocol: '+' OK, '-' condition, '?' a breach, '.' of an answer that goes on ---- */

typedef struct toy_server {
    struct toy *toy;
    size_t index;
    kvi_pipeline pipeline;
    kvi_net_target target;
    int listener, peer;
    char port[8];
} toy_server;

typedef struct toy {
    kvi_members members;
    kvi_members_rules rules;
    _Atomic uint64_t away[SERVERS];
    toy_server servers[SERVERS];
    kivi_write_item items[ITEMS];
    kivi_write_vector vector;
} toy;

static kivi_status toy_begin(void *owner, kivi_error **failure)
{
    toy_server *server = owner;
    const kvi_member *member = &server->toy->members.all[server->index];

    (void)failure;
    for (size_t i = 0; i < member->count; i++) {
        uint32_t item = kvi_member_item(member, i);
        cr_assert_not_null(kvi_pipeline_add(&server->pipeline, 1, item, 1));
        queue_net(&server->pipeline.net, server->toy->items[item].key.data, 1);
        kvi_pipeline_added(&server->pipeline);
    }
    if (!server->pipeline.writes) { /* a scan, say */
        kvi_command *command = kvi_pipeline_add(&server->pipeline, 2, 0, 0);
        command->unasked = true;
        queue_net(&server->pipeline.net, "s", 1);
        kvi_pipeline_added(&server->pipeline);
    }
    return KIVI_OK;
}

static kivi_status toy_reply(void *owner, kvi_command *command, const uint8_t *bytes, size_t size,
                             kvi_portion *portion, kivi_error **failure)
{
    toy_server *server = owner;

    if (size == 0)
        return KIVI_PENDING;
    portion->used = 1;
    portion->last = *bytes != '.';
    if (*bytes == '.')
        return KIVI_OK;
    if (*bytes == '?') {
        *failure = kvi_host_table.error(KIVI_CORRUPT, 0, KIVI_RETRY_NO, "no such answer");
        return KIVI_CORRUPT;
    }
    if (command->kind == 1)
        server->toy->items[command->item].status = *bytes == '+' ? KIVI_OK : KIVI_CONDITION;
    return KIVI_OK;
}

static kivi_status toy_end(void *owner, kivi_error **failure)
{
    (void)owner, (void)failure;
    return KIVI_OK;
}

static bool toy_owns(void *owner, size_t item)
{
    const toy_server *server = owner;

    return kvi_members_owns(&server->toy->members, server->index, item);
}

static const kvi_protocol protocol = {
    .command_size = sizeof(kvi_command),
    .begin = toy_begin,
    .reply = toy_reply,
    .end = toy_end,
    .owns = toy_owns,
    .breach = "nonsense came",
};

/* ---- Both sides: item i is of server i % count ---- */

static toy *toy_new(size_t count)
{
    static toy t;
    static const char keys[] = "abcdef";

    t = (toy){.rules = {&kvi_host_table, count, t.away, SILENCE_NS, RETRY_NS}};
    cr_assert(kvi_members_init(&t.members, &t.rules));
    for (size_t i = 0; i < count; i++) {
        toy_server *server = &t.servers[i];
        *server = (toy_server){.toy = &t, .index = i, .peer = -1};
        server->listener = listen_at("127.0.0.1", server->port);
        server->target.place = (kvi_place){
            .core = &kvi_host_table, .host = "127.0.0.1", .port = server->port};
        kvi_pipeline_init(&server->pipeline, &protocol, server, &server->target, NULL);
        kvi_members_put(&t.members, i, &server->pipeline);
    }
    t.vector = (kivi_write_vector){
        sizeof(t.vector), sizeof(t.items[0]), t.items, ITEMS, 0, 0, NULL, NULL};
    for (size_t i = 0; i < ITEMS; i++)
        t.items[i] = (kivi_write_item){.key = kivi_bytes(&keys[i], 1)};
    return &t;
}

static void toy_free(toy *t)
{
    for (size_t i = 0; i < t->rules.count; i++) {
        kvi_pipeline_free(&t->servers[i].pipeline);
        close(t->servers[i].listener);
        if (t->servers[i].peer >= 0)
            close(t->servers[i].peer);
    }
    kvi_members_free(&t->members);
}

static kivi_status begin(toy *t)
{
    uint32_t *places = kvi_members_places(&t->members, ITEMS);

    cr_assert_not_null(places);
    for (size_t i = 0; i < ITEMS; i++) {
        places[i] = (uint32_t)(i % t->rules.count);
        t->items[i].status = KIVI_PENDING;
        t->items[i].sent = KIVI_SENT_NOTHING;
        t->items[i].error = NULL;
    }
    return kvi_members_begin(&t->members, NULL, &t->vector, &error);
}

/* Steps as the core would until it has ended, or nothing is ready for so long. */
static kivi_status step_on(toy *t, kivi_status status, int timeout_ms)
{
    uint32_t revents = 0;
    uint64_t until = 0; /* since when nothing came, and the time */

    while (status == KIVI_PENDING) {
        kivi_poll want = {sizeof(want), -1, 0, 0, -1};
        status = kvi_members_step(&t->members, revents, &want, &error);
        if (status != KIVI_PENDING)
            return status;
        int own = want.timeout_ns < 0 ? -1 : (int)(want.timeout_ns / 1000000) + 1;
        struct pollfd one = {want.fd, (short)want.events, 0};
        bool by_own = own >= 0 && (timeout_ms < 0 || own <= timeout_ms);
        if (revents || !until)
            until = kvi_monotonic_ns() + (uint64_t)timeout_ms * 1000000;
        if (poll(&one, 1, by_own ? own : timeout_ms) == 0 &&
            (!by_own || (timeout_ms >= 0 && kvi_monotonic_ns() >= until)))
            return KIVI_PENDING;
        revents = (uint32_t)one.revents;
    }
    return status;
}

static void take_peer(toy *t, size_t index)
{
    t->servers[index].peer = accept(t->servers[index].listener, NULL, NULL);
    cr_assert_geq(t->servers[index].peer, 0);
}

static void expect_received(const toy *t, size_t index, const char *wanted)
{
    char bytes[16] = "";

    cr_assert_eq(recv(t->servers[index].peer, bytes, strlen(wanted), MSG_WAITALL),
                 (ssize_t)strlen(wanted));
    cr_assert_str_eq(bytes, wanted);
}

static void reply(const toy *t, size_t index, const char *bytes)
{
    cr_assert_eq(send(t->servers[index].peer, bytes, strlen(bytes), MSG_NOSIGNAL),
                 (ssize_t)strlen(bytes));
}

/* All three are connected, and have what is theirs. */
static kivi_status begun(toy *t)
{
    kivi_status status = step_on(t, begin(t), 20);

    cr_assert_eq(status, KIVI_PENDING);
    for (size_t i = 0; i < SERVERS; i++)
        if (t->servers[i].peer < 0)
            take_peer(t, i);
    step_on(t, status, 20);
    return status;
}

/* The items of a server failed, with such words; the caller's to free. */
static void expect_failed(toy *t, size_t index, kivi_status status, kivi_retryable retryable,
                          const char *words)
{
    for (size_t i = index; i < ITEMS; i += SERVERS) {
        cr_expect_eq(kivi_error_retryable(t->items[i].error), retryable);
        expect_failure(t->items[i].status, &t->items[i].error, status, words);
    }
}

static void expect_all_of(const toy *t, size_t index, kivi_status status)
{
    for (size_t i = index; i < ITEMS; i += SERVERS)
        cr_expect_eq(t->items[i].status, status);
}

/* ---- Cases ---- */

Test(members, each_has_its_own_items)
{
    toy *t = toy_new(SERVERS);
    kivi_status status = begun(t);

    expect_received(t, 0, "ad");
    expect_received(t, 1, "be");
    expect_received(t, 2, "cf");
    reply(t, 2, "-+");
    reply(t, 0, "++");
    status = step_on(t, status, 20);
    cr_assert_eq(status, KIVI_PENDING);
    expect_all_of(t, 0, KIVI_OK);
    expect_all_of(t, 1, KIVI_PENDING);
    cr_expect_eq(t->items[2].status, KIVI_CONDITION);
    cr_expect_eq(t->items[5].status, KIVI_OK);
    reply(t, 1, "++");
    cr_assert_eq(step_on(t, status, -1), KIVI_OK);
    expect_all_of(t, 1, KIVI_OK);
    toy_free(t);
}

/* Of what had left nobody knows what became; those of the others are served. */
Test(members, one_that_breaks_fails_alone)
{
    toy *t = toy_new(SERVERS);
    kivi_status status = begun(t);

    shutdown(t->servers[1].peer, SHUT_RDWR);
    status = step_on(t, status, 20);
    cr_assert_eq(status, KIVI_PENDING);
    expect_failed(t, 1, KIVI_UNAVAILABLE, KIVI_RETRY_IF_IDEMPOTENT, "before the answer came");
    reply(t, 0, "++");
    reply(t, 2, "++");
    cr_assert_eq(step_on(t, status, -1), KIVI_OK);
    expect_all_of(t, 0, KIVI_OK);
    expect_all_of(t, 2, KIVI_OK);
    cr_expect_eq(atomic_load(&t->away[1]), 0, "one that broke may be there again");
    toy_free(t);
}

Test(members, an_answer_that_cannot_be_is_of_its_server_alone)
{
    toy *t = toy_new(SERVERS);
    kivi_status status = begun(t);

    reply(t, 2, "+?");
    reply(t, 0, "++");
    reply(t, 1, "++");
    cr_assert_eq(step_on(t, status, -1), KIVI_OK);
    cr_expect_eq(t->items[2].status, KIVI_OK);
    expect_failure(t->items[5].status, &t->items[5].error, KIVI_UNAVAILABLE, "nonsense came");
    toy_free(t);
}

/* The first finds out; those after it fail at once, nothing sent, until it is tried again. */
Test(members, one_that_says_nothing_is_left_alone_for_a_while)
{
    toy *t = toy_new(SERVERS);
    kivi_status status = begun(t);

    reply(t, 0, "++");
    reply(t, 2, "++");
    cr_assert_eq(step_on(t, status, -1), KIVI_OK);
    expect_failed(t, 1, KIVI_UNAVAILABLE, KIVI_RETRY_IF_IDEMPOTENT, "before the answer came");
    uint64_t given_up = kvi_host_table.monotonic_ns();
    status = begin(t);
    cr_assert_eq(status, KIVI_PENDING);
    expect_failed(t, 1, KIVI_UNAVAILABLE, KIVI_RETRY_LATER, "left alone for now");
    reply(t, 0, "++");
    reply(t, 2, "++");
    cr_assert_eq(step_on(t, status, -1), KIVI_OK);
    while (kvi_host_table.monotonic_ns() < given_up + RETRY_NS)
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    close(t->servers[1].peer);
    t->servers[1].peer = -1;
    status = begun(t);
    expect_received(t, 1, "be");
    for (size_t i = 0; i < SERVERS; i++)
        reply(t, i, "++");
    cr_assert_eq(step_on(t, status, -1), KIVI_OK);
    expect_all_of(t, 1, KIVI_OK);
    toy_free(t);
}

/* Slow is not silent: an answer that comes in drops, each before the time is over. */
Test(members, one_that_dribbles_is_waited_for)
{
    toy *t = toy_new(SERVERS);
    kivi_status status = begun(t);

    reply(t, 0, "++");
    reply(t, 2, "++");
    for (int i = 0; i < 2; i++) {
        status = step_on(t, status, (int)(SILENCE_NS / 1000000) * 6 / 10);
        cr_assert_eq(status, KIVI_PENDING);
        reply(t, 1, "+");
    }
    cr_assert_eq(step_on(t, status, -1), KIVI_OK);
    expect_all_of(t, 1, KIVI_OK);
    toy_free(t);
}

/* Nor is one whose single answer goes on and on, each portion of it taken as it comes. */
Test(members, an_answer_of_many_portions_is_waited_for)
{
    toy *t = toy_new(SERVERS);
    kivi_status status = step_on(t, kvi_members_begin_on(&t->members, 1, &error), 20);

    take_peer(t, 1);
    status = step_on(t, status, 20);
    for (int i = 0; i < 3; i++) {
        status = step_on(t, status, (int)(SILENCE_NS / 1000000) * 6 / 10);
        cr_assert_eq(status, KIVI_PENDING);
        reply(t, 1, "....");
    }
    status = step_on(t, status, 20);
    cr_assert_eq(status, KIVI_PENDING);
    reply(t, 1, "+");
    cr_assert_eq(step_on(t, status, -1), KIVI_OK);
    toy_free(t);
}

/* One that refuses is left alone as well. */
Test(members, one_that_refuses)
{
    toy *t = toy_new(SERVERS);

    close(t->servers[1].listener);
    t->servers[1].listener = -1;
    kivi_status status = step_on(t, begin(t), 20);
    take_peer(t, 0);
    take_peer(t, 2);
    expect_failed(t, 1, KIVI_UNAVAILABLE, KIVI_RETRY_LATER, "refused");
    status = step_on(t, status, 20);
    reply(t, 0, "++");
    reply(t, 2, "++");
    cr_assert_eq(step_on(t, status, -1), KIVI_OK);
    begin(t);
    expect_failed(t, 1, KIVI_UNAVAILABLE, KIVI_RETRY_LATER, "left alone for now");
    toy_free(t);
}

/* A single one: its failure is the verb's, and io_timeout judges its silence. */
Test(members, a_single_server)
{
    toy *t = toy_new(1);
    kivi_status status = step_on(t, begin(t), 20);

    take_peer(t, 0);
    status = step_on(t, status, (int)(SILENCE_NS / 1000000) * 3 / 2);
    cr_assert_eq(status, KIVI_PENDING);
    expect_received(t, 0, "abcdef");
    reply(t, 0, "+");
    status = step_on(t, status, 20);
    shutdown(t->servers[0].peer, SHUT_RDWR);
    expect_failure(step_on(t, status, -1), &error, KIVI_UNAVAILABLE, "closed the connection");
    cr_expect_eq(t->items[0].status, KIVI_OK);
    for (size_t i = 1; i < ITEMS; i++)
        expect_failure(t->items[i].status, &t->items[i].error, KIVI_UNAVAILABLE, "before the answer came");
    toy_free(t);
}

/* Without a vector: one server is asked, and its failure is the verb's. */
Test(members, a_verb_on_one_server)
{
    toy *t = toy_new(SERVERS);
    kivi_status status = step_on(t, kvi_members_begin_on(&t->members, 1, &error), 20);

    take_peer(t, 1);
    status = step_on(t, status, 20);
    expect_received(t, 1, "s");
    reply(t, 1, "+");
    cr_assert_eq(step_on(t, status, -1), KIVI_OK);
    status = step_on(t, kvi_members_begin_on(&t->members, 1, &error), 20);
    reply(t, 1, "?");
    expect_failure(step_on(t, status, -1), &error, KIVI_CORRUPT, "no such answer");
    status = step_on(t, kvi_members_begin_on(&t->members, 2, &error), 20);
    take_peer(t, 2);
    expect_failure(step_on(t, status, -1), &error, KIVI_UNAVAILABLE, "says nothing");
    expect_failure(kvi_members_begin_on(&t->members, 2, &error), &error, KIVI_UNAVAILABLE, "left alone");
    toy_free(t);
}

/* On all: the first that fails does so for the verb, and the rest is given up. */
Test(members, a_verb_on_all_servers)
{
    toy *t = toy_new(SERVERS);
    kivi_status status = step_on(t, kvi_members_begin_on_all(&t->members, &error), 20);

    for (size_t i = 0; i < SERVERS; i++)
        take_peer(t, i);
    status = step_on(t, status, 20);
    for (size_t i = 0; i < SERVERS; i++) {
        cr_assert_eq(status, KIVI_PENDING);
        expect_received(t, i, "s");
        reply(t, i, "+");
        status = step_on(t, status, 20);
    }
    cr_assert_eq(status, KIVI_OK);
    status = step_on(t, kvi_members_begin_on_all(&t->members, &error), 20);
    cr_assert_eq(status, KIVI_PENDING);
    reply(t, 0, "+");
    expect_failure(step_on(t, status, -1), &error, KIVI_UNAVAILABLE, "says nothing");
    cr_expect_eq(t->members.active, 0);
    expect_failure(kvi_members_begin_on_all(&t->members, &error), &error, KIVI_UNAVAILABLE, "left alone");
    toy_free(t);
}

/* Who drives may have been held up for longer than the silence lasts: an answer that lies there by then counts. */
Test(members, an_answer_that_came_while_nobody_looked)
{
    toy *t = toy_new(SERVERS);
    kivi_status status = begun(t);

    reply(t, 0, "++");
    reply(t, 2, "++");
    status = step_on(t, status, 20);
    cr_assert_eq(status, KIVI_PENDING);
    reply(t, 1, "++");
    nanosleep(&(struct timespec){1, 100000000}, NULL);
    kivi_poll want = {sizeof(want), -1, 0, 0, -1};
    cr_assert_eq(kvi_members_step(&t->members, 0, &want, &error), KIVI_OK);
    expect_all_of(t, 1, KIVI_OK);
    toy_free(t);
}
