/* A store's counters, and where the calling thread counts. */
#ifndef KVI_COUNTERS_H
#define KVI_COUNTERS_H

#include "../core.h"

/* As kivi_host.report. */
void kvi_store_report(void *reporter, kivi_event_type type, kivi_status status, uint64_t items);

/* 1 and up: which shard the calling thread counts in; 0: none yet. */
extern _Thread_local unsigned kvi_my_shard __attribute__((tls_model("initial-exec")));
void kvi_shard_choose(void);
/* The calling thread's shard of counters. Inline: it is part of every get. */
static inline kvi_shard *kvi_shard_of(kivi_store *store)
{
    if (KVI_UNLIKELY(kvi_my_shard == 0))
        kvi_shard_choose();
    return &store->shards[kvi_my_shard - 1];
}

#endif
