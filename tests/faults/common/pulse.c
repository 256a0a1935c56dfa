/* A thread that wants to run every millisecond, and notes when it could not: then others could not either. */
#include "load.h"

#define BEAT_NS UINT64_C(1000000)
#define STALL_NS UINT64_C(10000000) /* shorter ones are nothing */

static pthread_t beater;
static atomic_bool beating;
static _Atomic uint64_t last_beat_ns, stalled_ns;

static uint64_t stall_since(uint64_t beat_ns, uint64_t now)
{
    uint64_t late = now > beat_ns + BEAT_NS ? now - beat_ns - BEAT_NS : 0;

    return late > STALL_NS ? late : 0;
}

static void *beat(void *user)
{
    while (atomic_load(&beating)) {
        pause_ms(1);
        uint64_t now = now_ns();
        atomic_fetch_add(&stalled_ns, stall_since(atomic_load(&last_beat_ns), now));
        atomic_store(&last_beat_ns, now);
    }
    return user;
}

void pulse_begin(void)
{
    atomic_store(&last_beat_ns, now_ns());
    atomic_store(&beating, true);
    CHECK(pthread_create(&beater, NULL, beat, NULL) == 0);
}

void pulse_end(void)
{
    atomic_store(&beating, false);
    pthread_join(beater, NULL);
}

uint64_t pulse_stalled_ns(void)
{
    uint64_t so_far = atomic_load(&stalled_ns);

    return so_far + stall_since(atomic_load(&last_beat_ns), now_ns());
}
