/*
 * Lanes and queues in a storm, with a real server: every call is accounted for.
 * KIVI_STORM_CALLS: how many calls (a million there, less elsewhere); KIVI_STORM_SEED.
 */
#include <time.h>

#include "networked.h"

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
static void blow(running_server *server, load *const *loads, uint64_t seed, unsigned long calls)
{
    while (calls_of(loads) < calls) {
        uint64_t random = next_random(&seed);
        pause_ms(20 + random % 100);
        if (random >> 16 & 1) {
            server_freeze(server);
            pause_ms(20);
            server_thaw(server);
        } else if ((random >> 17) % 4 == 0 && server->kind->end_connections) {
            server->kind->end_connections(server);
        }
    }
}

void networked_storm(const fault_server *kind, const char *const *command_line)
{
    uint64_t calls = number_of("KIVI_STORM_CALLS", CALLS);
    uint64_t seed = number_of("KIVI_STORM_SEED", "0");
    running_server server;
    load *loads[LOADS];
    unsigned long counted = 0;

    if (!seed)
        seed = now_ns() | 1;
    printf("KIVI_STORM_SEED=%llu\n", (unsigned long long)seed);
    pulse_begin();
    server_start(&server, kind, "server", NULL, command_line);
    server_confine(&server); /* calls keep to their deadlines where they are given a processor */
    kivi_store *store = server_open(&server, "");
    for (int i = 0; i < LOADS; i++) {
        static const char *const names[LOADS] = {"threads", "queue", "other"};
        const load_options options = {.name = names[i],
                                      .kind = i ? LOAD_QUEUE : LOAD_THREADS,
                                      .timeout_ms = 10000,
                                      .allowed = ends,
                                      .locks = kind->refusal != NULL,
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
    stage_compare_applied(&server, loads[1]);
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
    server_stop(&server);
    pulse_end();
}
