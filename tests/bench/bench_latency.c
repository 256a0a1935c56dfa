/* How long single operations took: a histogram a thread and side, whose steps are an eighth of a power of two. */
#include "bench_run.h"

#include <string.h>

#define THREADS 64
#define STEPS_LOG 3 /* a step is a 2^-3 of its power of two: percentiles are exact to 12 % */
#define STEPS (1u << STEPS_LOG)
#define PLACES (64u * STEPS)

static struct {
    _Alignas(64) uint64_t counts[PLACES];
} histograms[2][THREADS];

static unsigned place_of(uint64_t ns)
{
    if (ns < STEPS)
        return (unsigned)ns;
    unsigned power = 63u - (unsigned)__builtin_clzll(ns);
    return (power - STEPS_LOG + 1) * STEPS + (unsigned)(ns >> (power - STEPS_LOG) & (STEPS - 1));
}

/* The middle of what falls on a place. */
static double middle_of(unsigned place)
{
    if (place < STEPS)
        return place;
    uint64_t step = UINT64_C(1) << (place / STEPS - 1);
    return (double)((STEPS + place % STEPS) * step) + (double)step / 2;
}

void bench_latency_add(bench_side side, unsigned thread, uint64_t ns)
{
    histograms[side][thread].counts[place_of(ns)]++;
}

void bench_latency_clear(void)
{
    memset(histograms, 0, sizeof histograms);
}

static double find_part(const uint64_t *counts, uint64_t total, double part)
{
    uint64_t below = 0;
    for (unsigned i = 0; i < PLACES; i++) {
        below += counts[i];
        if (below && (double)below >= part * (double)total)
            return middle_of(i);
    }
    return 0;
}

struct bench_percentiles bench_latency_read(bench_side side)
{
    uint64_t counts[PLACES] = {0}, total = 0;
    for (unsigned thread = 0; thread < THREADS; thread++)
        for (unsigned i = 0; i < PLACES; i++) {
            counts[i] += histograms[side][thread].counts[i];
            total += histograms[side][thread].counts[i];
        }
    return (struct bench_percentiles){.p50 = find_part(counts, total, 0.5),
                                      .p99 = find_part(counts, total, 0.99),
                                      .p999 = find_part(counts, total, 0.999)};
}
