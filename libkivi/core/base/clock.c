/* The two clocks: one for waiting, one for expiries. */
#include "base.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t last_ms;

uint64_t kvi_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Never goes back in this process: what has expired stays expired though somebody sets the clock. */
int64_t kvi_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    int64_t last = atomic_load_explicit(&last_ms, memory_order_relaxed);
    while (ms > last)
        if (atomic_compare_exchange_weak_explicit(&last_ms, &last, ms, memory_order_relaxed,
                                                  memory_order_relaxed))
            return ms;
    return last;
}

/*
 * The clock drops what is below a millisecond, so the last one still counts as life: of a TTL that began late within
 * a millisecond some is left when the clock shows its end.
 */
int64_t kvi_expires(int64_t ttl_ms)
{
    return ttl_ms > 0 ? kvi_clock_ms() + ttl_ms : 0;
}
