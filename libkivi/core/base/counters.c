/* A store's counters: each thread's own shard, and what backends report. */
#include "counters.h"

static _Atomic unsigned next_shard;
_Thread_local unsigned kvi_my_shard __attribute__((tls_model("initial-exec")));

void kvi_shard_choose(void)
{
    kvi_my_shard = 1 + atomic_fetch_add_explicit(&next_shard, 1, memory_order_relaxed) % KVI_STAT_SHARDS;
}

void kvi_store_report(void *reporter, kivi_event_type type, kivi_status status, uint64_t items)
{
    kivi_store *store = reporter;
    (void)status;
    bool told = store->on_event != NULL; /* by the call in progress, when it holds no lane any more */
    if (type == KIVI_EVENT_SWEEP) {
        atomic_fetch_add_explicit(&store->swept, items, memory_order_relaxed);
        if (told)
            atomic_fetch_add_explicit(&store->events_swept, items, memory_order_relaxed);
    } else if (type == KIVI_EVENT_RECONNECT) {
        atomic_fetch_add_explicit(&store->reconnects, items, memory_order_relaxed);
        if (told)
            atomic_fetch_add_explicit(&store->events_reconnects, items, memory_order_relaxed);
    }
}
