/* A network that cuts, delays, dribbles and swallows, between a real Redis and 16 threads. */
#include "common/redis.h"

TestSuite(fault_redis_network, .init = case_begin, .fini = case_end, .timeout = 300);

typedef struct stage {
    redis_server server;
    proxy *p;
    kivi_store *store;
    traffic t;
} stage;

static void begin(stage *s, const char *options, int64_t timeout_ms)
{
    redis_start(&s->server, "redis", NULL);
    s->p = proxy_start(&s->server);
    s->store = open_store("redis://127.0.0.1:%d/0?codec=raw%s", proxy_port(s->p), options);
    traffic_start(&s->t, s->store, timeout_ms);
    traffic_flows(&s->t, 100);
}

/* However a write ended, the server was asked for it once at most. */
static void expect_none_twice(stage *s)
{
    for (size_t thread = 0; thread < WRITERS; thread++) {
        unsigned long tried = atomic_load(&s->t.keys[thread].tried);
        for (unsigned long number = 1; number <= tried; number += 1 + tried / 50) {
            text value;
            kivi_slice bytes = traffic_value(&value, thread, number);
            unsigned count = proxy_count(s->p, value.bytes);
            CHECK_SAYING(count <= 1, "%.*s went to the server %u times", (int)bytes.size,
                         value.bytes, count);
        }
    }
}

static void end(stage *s, const char *what)
{
    proxy_set(s->p, PROXY_PASS);
    traffic_flows(&s->t, 200);
    traffic_stop(&s->t, what);
    expect_none_twice(s);
    kivi_store_unref(s->store);
    proxy_stop(s->p);
    redis_stop(&s->server);
}

Test(fault_redis_network, cuts)
{
    static stage s;

    begin(&s, "", 2000);
    proxy_set(s.p, PROXY_CUT);
    traffic_flows(&s.t, 1500);
    CHECK_SAYING(s.t.uncertain > 0, "no write was cut off: the case shows nothing");
    end(&s, "answers cut off");
}

Test(fault_redis_network, delays)
{
    static stage s;

    begin(&s, "", 2000);
    proxy_set(s.p, PROXY_DELAY);
    traffic_flows(&s.t, 500);
    CHECK_NUMBER(s.t.uncertain + s.t.refused, 0);
    end(&s, "answers delayed");
}

Test(fault_redis_network, dribbles)
{
    static stage s;

    begin(&s, "", 5000);
    proxy_set(s.p, PROXY_DRIBBLE);
    traffic_flows(&s.t, 1000);
    CHECK_NUMBER(s.t.uncertain + s.t.refused, 0);
    end(&s, "answers byte by byte");
}

/* Silence: calls keep their deadlines, and connections that owe an answer are given up. */
Test(fault_redis_network, drops)
{
    static stage s;

    begin(&s, "&io_timeout=400ms", 300);
    proxy_set(s.p, PROXY_DROP);
    pause_ms(1500);
    CHECK(s.t.uncertain > 0);
    end(&s, "answers swallowed");
}
