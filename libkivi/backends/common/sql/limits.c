/* How long servers may take, and how often they are swept. */
#include "sql.h"

#define NS_PER_MS UINT64_C(1000000)
#define LEAST_MARGIN_MS 5 /* for the refusal to come in */
#define MOST_MARGIN_MS 250
#define SWEEP_NS UINT64_C(200000000) /* sweeps are so far apart */

/* The next lower number of three leading bits. */
static uint32_t step_down(uint32_t number)
{
    uint32_t step = 1;

    while (number / step >= 16)
        step *= 2;
    return number / step * step;
}

uint32_t kvi_sql_limit(uint64_t deadline_ns, uint64_t now_ns, uint32_t set)
{
    uint64_t left = deadline_ns > now_ns ? (deadline_ns - now_ns) / NS_PER_MS : 0;
    uint32_t margin, limit;

    if (deadline_ns == UINT64_MAX)
        return 0;
    if (left > INT32_MAX)
        left = INT32_MAX;
    margin = (uint32_t)left / 8;
    margin = margin < LEAST_MARGIN_MS  ? LEAST_MARGIN_MS
             : margin > MOST_MARGIN_MS ? MOST_MARGIN_MS
                                       : margin;
    limit = left > margin ? (uint32_t)left - margin : 1;
    if (set && set <= limit && set >= limit - limit / 4)
        return set;
    return step_down(limit);
}

uint32_t kvi_sql_lock_limit(uint32_t limit_ms)
{
    return limit_ms > 1 ? limit_ms - (limit_ms + 15) / 16 : limit_ms;
}

bool kvi_sql_sweep_is_due(_Atomic uint64_t *last_ns, uint64_t now_ns)
{
    uint64_t last = atomic_load(last_ns);

    return now_ns - last >= SWEEP_NS && atomic_compare_exchange_strong(last_ns, &last, now_ns);
}
