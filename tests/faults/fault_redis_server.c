/* Redis servers that die, stand still and refuse, under load. */
#include <signal.h>
#include <unistd.h>

#include "common/closed.h"
#include "common/redis.h"

TestSuite(fault_redis_server, .init = case_begin, .fini = case_end, .timeout = 300);

static const kivi_status lost[] = {KIVI_UNCERTAIN, KIVI_UNAVAILABLE, KIVI_TIMEOUT, 0};

static void kill_often(stage *s)
{
    for (int i = 0; i < 4; i++) {
        load_flows(s->l, 400);
        redis_kill(&s->server);
        pause_ms(30);
        redis_start_again(&s->server);
    }
}

/* Nothing acknowledged is lost, and nothing is done twice. */
static const fault killed = {"killed and restarted", .increments = 1, .timeout_ms = 1000,
                             .allowed = lost, .strike = kill_often};
FAULT(fault_redis_server, killed)

/* Nor sent twice. */
static const fault killed_behind_proxy = {
    "killed behind a proxy", .proxy = true,      .refuses = true, /* LOADING */
    .increments = 1,         .timeout_ms = 1000, .allowed = lost, .strike = kill_often};
FAULT(fault_redis_server, killed_behind_proxy)

static void stop_often(stage *s)
{
    for (int i = 0; i < 3; i++) {
        load_flows(s->l, 400);
        redis_signal(&s->server, SIGSTOP);
        pause_ms(1000);
        redis_signal(&s->server, SIGCONT);
    }
    CHECK(load_count(s->l, KIVI_UNCERTAIN) > 0);
}

/* A server that stands still: every call keeps its deadline. */
static const fault stopped = {"stopped and continued", .options = "&io_timeout=500ms",
                              .increments = 1,         .timeout_ms = 300,
                              .allowed = lost,         .strike = stop_often};
FAULT(fault_redis_server, stopped)

static const fault stopped_behind_proxy = {"stopped behind a proxy",
                                           .options = "&io_timeout=500ms",
                                           .proxy = true,
                                           .increments = 1,
                                           .timeout_ms = 300,
                                           .allowed = lost,
                                           .strike = stop_often};
FAULT(fault_redis_server, stopped_behind_proxy)

static void stay_away(stage *s)
{
    uint64_t began = now_ns();

    redis_kill(&s->server);
    load_sees(s->l, KIVI_UNAVAILABLE, 2000);
    CHECK_SAYING(now_ns() - began < UINT64_C(20000000000),
                 "calls wait for a server that is not there");
    pause_ms(300);
    redis_start_again(&s->server);
}

/* Nobody there: no call waits for its deadline. */
static const fault refused = {"connection refused", .increments = 1, .timeout_ms = 60000,
                              .allowed = lost, .strike = stay_away};
FAULT(fault_redis_server, refused)

/* ---- logins ---- */

static const char *const with_password[] = {"--requirepass", "first", NULL};
static const kivi_status denied[] = {KIVI_DENIED, KIVI_UNCERTAIN, KIVI_UNAVAILABLE, 0};

static void end_connections(const redis_server *server, const char *login)
{
    char answer[256];

    redis_says(server, login, "CLIENT KILL TYPE normal SKIPME yes", answer, sizeof(answer));
    CHECK_SAYING(answer[0] == ':', "%s", answer);
}

static void take_password(stage *s)
{
    redis_tell(&s->server, "AUTH first", "CONFIG SET requirepass second");
    end_connections(&s->server, "AUTH second");
    load_sees(s->l, KIVI_DENIED, 1200);
}

static void take_password_for_a_while(stage *s)
{
    take_password(s);
    redis_tell(&s->server, "AUTH second", "CONFIG SET requirepass first");
}

/* The store's password is wrong for a while. */
static const fault wrong_password = {"wrong password",
                                     .server = with_password,
                                     .login = ":first@",
                                     .increments = 1,
                                     .timeout_ms = 20000,
                                     .allowed = denied,
                                     .strike = take_password_for_a_while};
FAULT(fault_redis_server, wrong_password)

static void write_password(const char *password)
{
    char path[300];
    FILE *file;

    snprintf(path, sizeof(path), "%s/password", folder);
    file = fopen(path, "w");
    CHECK(file && fprintf(file, "%s\n", password) > 0 && fclose(file) == 0);
}

static char password_option[320];

static void keep_password_in_file(stage *s)
{
    (void)s;
    write_password("first");
    snprintf(password_option, sizeof(password_option), "&password_file=%s/password", folder);
}

static void change_password(stage *s)
{
    take_password(s);
    write_password("second");
    load_heals(s->l);
    redis_tell(&s->server, "AUTH second", "CONFIG SET requirepass first");
    write_password("first"); /* a lane that has not connected again does so later */
}

/* It changes while the store is open, and is read again at each login. */
static const fault password_changed = {"password changed",
                                       .options = password_option,
                                       .server = with_password,
                                       .increments = 1,
                                       .timeout_ms = 20000,
                                       .allowed = denied,
                                       .prepare = keep_password_in_file,
                                       .strike = change_password};
FAULT(fault_redis_server, password_changed)

/* ---- servers that answer, but not what is wanted ---- */

static void flush_scripts(stage *s)
{
    for (int i = 0; i < 100; i++) {
        redis_tell(&s->server, NULL, "SCRIPT FLUSH SYNC");
        pause_ms(3);
    }
}

/* However often scripts are forgotten: nothing fails, nothing is counted twice. */
static const fault scripts_flushed = {"scripts flushed", .increments = 12, .timeout_ms = 60000,
                                      .strike = flush_scripts};
FAULT(fault_redis_server, scripts_flushed)

static void take_all_clients(stage *s)
{
    char answer[256];
    int control = redis_connect(&s->server);

    redis_ask(control, "CONFIG SET maxclients 1", answer, sizeof(answer));
    CHECK_SAYING(!strcmp(answer, "+OK"), "%s", answer);
    redis_ask(control, "CLIENT KILL TYPE normal SKIPME yes", answer, sizeof(answer));
    load_sees(s->l, KIVI_UNAVAILABLE, 100);
    redis_ask(control, "CONFIG SET maxclients 1000", answer, sizeof(answer));
    close(control);
}

/* Calls wait for a connection as long as they may. */
static const fault too_many_clients = {"maxclients", .increments = 1, .timeout_ms = 500,
                                       .allowed = lost, .strike = take_all_clients};
FAULT(fault_redis_server, too_many_clients)

static const kivi_status full[] = {KIVI_IO, 0};

static void fill_memory(stage *s)
{
    redis_tell(&s->server, NULL, "CONFIG SET maxmemory 1");
    load_sees(s->l, KIVI_IO, 500);
    CHECK(load_count(s->l, KIVI_NOT_FOUND) + load_count(s->l, KIVI_OK) > 0);
    redis_tell(&s->server, NULL, "CONFIG SET maxmemory 0");
}

static const char *const no_eviction[] = {"--maxmemory-policy", "noeviction", NULL};
static const fault out_of_memory = {"out of memory", .server = no_eviction, .increments = 1,
                                    .proxy = true,   .refuses = true,       .timeout_ms = 20000,
                                    .allowed = full, .strike = fill_memory};
FAULT(fault_redis_server, out_of_memory)

static const kivi_status read_only[] = {KIVI_UNAVAILABLE, 0};

/* Of a master that is not there, so that it keeps its data. */
static void turn_into_replica(stage *s)
{
    redis_tell(&s->server, NULL, "REPLICAOF 127.0.0.1 1");
    load_sees(s->l, KIVI_UNAVAILABLE, 100);
    redis_tell(&s->server, NULL, "REPLICAOF NO ONE");
}

static const fault turned_replica = {"turned into a replica", .increments = 1, .timeout_ms = 20000,
                                     .allowed = read_only, .strike = turn_into_replica};
FAULT(fault_redis_server, turned_replica)

static const kivi_status other_type[] = {KIVI_WRONG_TYPE, 0};

/* Somebody else puts lists where the load's values are; the next write of each takes its place. */
static void put_lists(stage *s)
{
    for (unsigned i = 0; load_count(s->l, KIVI_WRONG_TYPE) < 20; i++) {
        text command;
        char answer[256];
        CHECK(i < 60000);
        print(&command, "EVAL \"redis.call('DEL',KEYS[1]) return redis.call('RPUSH',KEYS[1],'x')\" 1 traffic:%u",
              i % LOAD_THREAD_COUNT);
        redis_says(&s->server, NULL, command.bytes, answer, sizeof(answer));
        CHECK_SAYING(!strcmp(answer, ":1"), "%s", answer);
        pause_ms(1);
    }
}

static const fault other_types = {"values of another type", .timeout_ms = 20000,
                                  .allowed = other_type, .strike = put_lists};
FAULT(fault_redis_server, other_types)

/* A numeric address, and a name, which a thread of its own looks up. */
Test(fault_redis_server, closed_descriptors)
{
    redis_server server = {0};
    text url;

    redis_start(&server, "closed", NULL);
    print(&url, "redis://127.0.0.1:%d?codec=raw", server.port);
    closed_expect(url.bytes);
    print(&url, "redis://localhost:%d?codec=raw", server.port);
    closed_expect(url.bytes);
    redis_stop(&server);
}
