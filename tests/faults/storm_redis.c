/*
 * Lanes and queues in a storm: threads and two queues on one store, with random deadlines, interrupts and cancels, and a
 * real Redis that pauses and drops connections. Every call is accounted for. For ThreadSanitizer above all.
 * KIVI_STORM_CALLS: how many calls (a million there, less elsewhere); KIVI_STORM_SEED.
 */
#include <time.h>

#include "common/redis.h"

TestSuite(storm_redis, .init = case_begin, .fini = case_end, .timeout = 300);

#ifdef __SANITIZE_THREAD__
#define CALLS "1000000"
#else
#define CALLS "200000"
#endif

enum { LOADS = 3 };

static const kivi_status ends[] = {KIVI_TIMEOUT,   KIVI_INTERRUPTED, KIVI_CANCELLED,
                                   KIVI_UNCERTAIN, KIVI_UNAVAILABLE, 0};

static uint64_t number_of(const char *name, const char *otherwise)
{
    const char *given = getenv(name);

    return strtoull(given && *given ? given : otherwise, NULL, 10);
}

static unsigned long calls_of(load *const *loads)
{
    unsigned long count = 0;

    for (int i = 0; i < LOADS; i++)
        count += atomic_load(&loads[i]->calls);
    return count;
}

/* What the server does meanwhile. */
static void blow(const redis_server *server, load *const *loads, uint64_t seed, unsigned long calls)
{
    while (calls_of(loads) < calls) {
        char answer[256];
        uint64_t random = next_random(&seed);
        pause_ms(20 + random % 100);
        if (random >> 16 & 1)
            redis_says(server, NULL, "CLIENT PAUSE 20 ALL", answer, sizeof(answer));
        else if ((random >> 17) % 4 == 0)
            redis_says(server, NULL, "CLIENT KILL TYPE normal SKIPME yes", answer, sizeof(answer));
    }
}

Test(storm_redis, every_call_is_accounted_for)
{
    static const char *const unsynced[] = {"--appendfsync", "no", NULL};
    uint64_t calls = number_of("KIVI_STORM_CALLS", CALLS);
    uint64_t seed = number_of("KIVI_STORM_SEED", "0");
    redis_server server;
    load *loads[LOADS];
    tally done;
    unsigned long counted = 0;

    if (!seed)
        seed = now_ns() | 1;
    printf("KIVI_STORM_SEED=%llu\n", (unsigned long long)seed);
    pulse_begin();
    redis_start(&server, "redis", unsynced);
    kivi_store *store = open_store("redis://127.0.0.1:%d/0?codec=raw", server.port);
    for (int i = 0; i < LOADS; i++) {
        static const char *const names[LOADS] = {"threads", "queue", "other"};
        const load_options options = {.name = names[i],
                                      .kind = i ? LOAD_QUEUE : LOAD_THREADS,
                                      .timeout_ms = 10000,
                                      .allowed = ends,
                                      .increments = 1,
                                      .rehearsal = i != 1, /* one is tallied */
                                      .chaos = seed + (uint64_t)i};
        loads[i] = load_start(store, &options);
    }
    blow(&server, loads, seed, calls);
    for (int i = 0; i < LOADS; i++)
        load_stop(loads[i], "storm");
    for (int i = 0; i < LOADS; i++)
        for (kivi_status status = KIVI_OK; status < 64; status++)
            counted += load_count(loads[i], status);
    CHECK_NUMBER(counted, calls_of(loads));
    tally_begin(&done);
    redis_tally(&server, &done);
    load_compare(loads[1], &done, TALLY_APPLIED);
    tally_end(&done);
    kivi_stats stats = {.struct_size = sizeof(stats)};
    OK(kivi_store_stats(store, &stats, E));
    CHECK_NUMBER(stats.lanes_busy, 0);
    CHECK_NUMBER(stats.waiting, 0);
    for (int i = 0; i < LOADS; i++) {
        CHECK(load_count(loads[i], KIVI_OK) > 0);
        CHECK_SAYING(load_failures(loads[i]) > 0, "no call was ended: the case shows nothing");
        load_free(loads[i]);
    }
    kivi_store_unref(store);
    redis_stop(&server);
    pulse_end();
}
