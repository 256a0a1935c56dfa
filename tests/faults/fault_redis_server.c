/* What only a Redis server does to a load: forgets scripts, is full, becomes a replica, holds other types. */
#include "common/stage.h"
#include "servers/redis.h"

TestSuite(fault_redis_server, .init = case_begin, .fini = case_end, .timeout = 300);

static void flush_scripts(stage *s)
{
    for (int i = 0; i < 100; i++) {
        redis_tell(&s->server, "SCRIPT FLUSH SYNC");
        pause_ms(3);
    }
}

/* However often scripts are forgotten: nothing fails, nothing is counted twice. */
static const fault scripts_flushed = {"scripts flushed", .increments = 12, .timeout_ms = 60000,
                                      .strike = flush_scripts};
FAULT(fault_redis_server, redis, scripts_flushed)

static const kivi_status full[] = {KIVI_IO, 0};

static void fill_memory(stage *s)
{
    redis_tell(&s->server, "CONFIG SET maxmemory 1");
    load_sees(s->l, KIVI_IO, 500);
    CHECK(load_count(s->l, KIVI_NOT_FOUND) + load_count(s->l, KIVI_OK) > 0);
    redis_tell(&s->server, "CONFIG SET maxmemory 0");
}

static const char *const no_eviction[] = {"--maxmemory-policy", "noeviction", NULL};
static const fault out_of_memory = {"out of memory", .server = no_eviction, .increments = 1,
                                    .proxy = true,   .refuses = true,       .timeout_ms = 20000,
                                    .allowed = full, .strike = fill_memory};
FAULT(fault_redis_server, redis, out_of_memory)

static const kivi_status read_only[] = {KIVI_UNAVAILABLE, 0};

/* Of a master that is not there, so that it keeps its data. */
static void turn_into_replica(stage *s)
{
    redis_tell(&s->server, "REPLICAOF 127.0.0.1 1");
    load_sees(s->l, KIVI_UNAVAILABLE, 100);
    redis_tell(&s->server, "REPLICAOF NO ONE");
}

static const fault turned_replica = {"turned into a replica", .increments = 1, .timeout_ms = 20000,
                                     .allowed = read_only, .strike = turn_into_replica};
FAULT(fault_redis_server, redis, turned_replica)

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
        redis_says(&s->server, command.bytes, answer, sizeof(answer));
        CHECK_SAYING(!strcmp(answer, ":1"), "%s", answer);
        pause_ms(1);
    }
}

static const fault other_types = {"values of another type", .timeout_ms = 20000,
                                  .allowed = other_type, .strike = put_lists};
FAULT(fault_redis_server, redis, other_types)
