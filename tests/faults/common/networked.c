/* Servers that die, stand still and refuse, and networks that spoil what they say, under load. */
#include "networked.h"

#include "closed.h"

static const kivi_status lost[] = {KIVI_UNCERTAIN, KIVI_UNAVAILABLE, KIVI_TIMEOUT, 0};

static void kill_often(stage *s)
{
    for (int i = 0; i < 4; i++) {
        load_flows(s->l, 400);
        server_kill(&s->server);
        pause_ms(30);
        server_start_again(&s->server);
    }
}

/* Nothing acknowledged is lost, and nothing is done twice. */
const fault networked_killed = {"killed and restarted", .increments = 1, .timeout_ms = 1000,
                                .allowed = lost, .strike = kill_often};

/* Nor sent twice. */
const fault networked_killed_behind_proxy = {
    "killed behind a proxy", .proxy = true,      .refuses = true, /* while it starts */
    .increments = 1,         .timeout_ms = 1000, .allowed = lost, .strike = kill_often};

static void stop_often(stage *s)
{
    for (int i = 0; i < 3; i++) {
        load_flows(s->l, 400);
        server_freeze(&s->server);
        pause_ms(1000);
        server_thaw(&s->server);
    }
    CHECK(load_count(s->l, KIVI_UNCERTAIN) > 0);
}

/* A server that stands still: every call keeps its deadline. */
const fault networked_stopped = {"stopped and continued", .options = "&io_timeout=500ms",
                                 .increments = 1,         .timeout_ms = 300,
                                 .allowed = lost,         .strike = stop_often};

const fault networked_stopped_behind_proxy = {"stopped behind a proxy",
                                              .options = "&io_timeout=500ms",
                                              .proxy = true,
                                              .increments = 1,
                                              .timeout_ms = 300,
                                              .allowed = lost,
                                              .strike = stop_often};

static void stay_away(stage *s)
{
    uint64_t began = now_ns();

    server_kill(&s->server);
    load_sees(s->l, KIVI_UNAVAILABLE, 2000);
    CHECK_SAYING(now_ns() - began < UINT64_C(20000000000),
                 "calls wait for a server that is not there");
    pause_ms(300);
    server_start_again(&s->server);
}

/* Nobody there: no call waits for its deadline. */
const fault networked_gone = {"connection refused", .increments = 1, .timeout_ms = 60000,
                              .allowed = lost, .strike = stay_away};

/* ---- the network ---- */

static void cut(stage *s)
{
    proxy_set(s->p, PROXY_CUT);
    load_sees(s->l, KIVI_UNCERTAIN, 100);
    proxy_set(s->p, PROXY_PASS);
}

const fault networked_cut = {"answers cut off",  .proxy = true,   .increments = 1,
                             .timeout_ms = 2000, .allowed = lost, .strike = cut};

/* So many writes more are acknowledged, and some answers were spoiled: one can acknowledge hundreds of writes. */
static void flow_through(stage *s, proxy_mode how, unsigned long more)
{
    proxy_set(s->p, how);
    load_flows(s->l, more);
    while (proxy_spoiled(s->p) < 5)
        load_flows(s->l, 1);
    proxy_set(s->p, PROXY_PASS);
}

static void delay(stage *s)
{
    flow_through(s, PROXY_DELAY, 500);
}

/* Slow is not broken: no call fails. */
const fault networked_delayed = {"answers delayed", .proxy = true, .timeout_ms = 30000, .strike = delay};

static void dribble(stage *s)
{
    flow_through(s, PROXY_DRIBBLE, 1000);
}

const fault networked_dribbled = {"answers byte by byte", .proxy = true, .increments = 1,
                                  .timeout_ms = 30000, .strike = dribble};

static void drop(stage *s)
{
    stage_stop_answers(s, NULL, 1200);
}

/* Silence: calls keep their deadlines, and connections that owe an answer are given up. */
const fault networked_dropped = {"answers swallowed", .options = "&io_timeout=400ms",
                                 .proxy = true,       .increments = 1,
                                 .timeout_ms = 300,   .allowed = lost,
                                 .strike = drop};

/* ---- connections and passwords ---- */

static void disconnect_often(stage *s)
{
    for (int i = 0; i < 10; i++) {
        load_flows(s->l, 200);
        s->server.kind->end_connections(&s->server);
    }
}

const fault networked_disconnected = {
    "disconnected",     .proxy = true,   .refuses = true,           .increments = 1,
    .timeout_ms = 2000, .allowed = lost, .strike = disconnect_often};

static void refuse(stage *s)
{
    s->server.kind->refuse(&s->server, true);
    load_sees(s->l, KIVI_UNAVAILABLE, 100);
    s->server.kind->refuse(&s->server, false);
}

/* Calls wait for a connection as long as they may. */
const fault networked_refused = {"too many clients", .increments = 1, .timeout_ms = 500,
                                 .allowed = lost, .strike = refuse};

static const kivi_status denied[] = {KIVI_DENIED, KIVI_UNCERTAIN, KIVI_UNAVAILABLE, 0};

static void take_password(stage *s)
{
    server_set_password(&s->server, "second");
    s->server.kind->end_connections(&s->server);
    load_sees(s->l, KIVI_DENIED, 1200);
}

static void take_password_for_a_while(stage *s)
{
    take_password(s);
    server_set_password(&s->server, "first");
}

/* The store's password is wrong for a while. */
const fault networked_wrong_password = {"wrong password",  .password = "first",
                                        .increments = 1,   .timeout_ms = 20000,
                                        .allowed = denied, .strike = take_password_for_a_while};

static void change_password(stage *s)
{
    take_password(s);
    stage_write_password("second");
    load_heals(s->l);
    server_set_password(&s->server, "first");
    stage_write_password("first"); /* a lane that has not connected again does so later */
}

/* It changes while the store is open, and is read again at each login. */
const fault networked_password_changed = {
    "password changed",  .password = "first", .password_in_file = true, .increments = 1,
    .timeout_ms = 20000, .allowed = denied,   .strike = change_password};

/* ---- cases of their own ---- */

enum { ADDERS = 16, ADDITIONS = 12 };

/* Under a deadline that waiting for one's turn among sixteen needs a small part of. */
static void add_often(worker *w)
{
    for (int i = 0; i < ADDITIONS; i++) {
        kivi_call call = within_ms(60000);
        int64_t sum = 0;
        OK(kivi_store_increment(w->shared, &call, kivi_str("contended"), 1, KIVI_TTL_NONE, &sum, E));
        CHECK(sum > i && sum <= ADDERS * ADDITIONS);
    }
}

void networked_contended(const fault_server *kind)
{
    running_server server;
    text url;

    server_start(&server, kind, "server", NULL, NULL);
    proxy *p = proxy_start(&server, NULL);
    kind->url(&server, "127.0.0.1", proxy_port(p), NULL, &url);
    kivi_store *store = open_store("%s", url.bytes);
    put(store, "contended", "0");
    proxy_set(p, PROXY_DELAY);
    together(ADDERS, add_often, store);
    proxy_set(p, PROXY_PASS);
    CHECK_NUMBER(number_at(store, "contended", -1), ADDERS * ADDITIONS);
    kivi_store_unref(store);
    proxy_stop(p);
    server_stop(&server);
}

void networked_closed_descriptors(const fault_server *kind)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    running_server server;
    text url;

    server_start(&server, kind, "server", NULL, NULL);
    for (size_t i = 0; i < 2; i++) {
        kind->url(&server, hosts[i], server.port, NULL, &url);
        closed_expect(url.bytes);
    }
    server_stop(&server);
}
