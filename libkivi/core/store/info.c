/* What a store can do, how it is, and what it has done. */
#include "../base/limits.h"
#include "../lanes/lanes.h"
#include "../lanes/run.h"
#include "begin.h"
#include "keys.h"

kivi_status kivi_store_capabilities(kivi_store *store, kivi_capabilities *capabilities, kivi_error **error)
{
    kvi_context ctx;
    kivi_status status = kvi_begin_any(&ctx, store, NULL, "capabilities", error);
    if (!status) {
        kivi_capabilities can = store->instance.capabilities;
        kvi_limits_tell(store, &can);
        kvi_keys_tell(store, &can);
        can.in_place = kvi_visits_in_place(store);
        status = kvi_struct_write(capabilities, &can, sizeof(can), "kivi_capabilities", &ctx.error);
    }
    return kvi_end(&ctx, status);
}

static void sum_shards(kivi_store *store, kivi_stats *stats)
{
    for (unsigned i = 0; i < KVI_STAT_SHARDS; i++) {
        kvi_shard *shard = &store->shards[i];
        uint64_t single = atomic_load_explicit(&shard->single_reads, memory_order_relaxed);
        stats->calls += single + atomic_load_explicit(&shard->calls, memory_order_relaxed);
        stats->reads += single + atomic_load_explicit(&shard->reads, memory_order_relaxed);
        stats->writes += atomic_load_explicit(&shard->writes, memory_order_relaxed);
        stats->failures += atomic_load_explicit(&shard->failures, memory_order_relaxed);
    }
}

static void look_at_lanes(kvi_lanes *lanes, kivi_stats *stats)
{
    pthread_mutex_lock(&lanes->mutex);
    for (uint32_t i = 0; i < lanes->count; i++)
        stats->lanes += lanes->all[i]->open;
    stats->lanes_busy = lanes->busy;
    stats->waiting = lanes->queues[0].count + lanes->queues[1].count;
    pthread_mutex_unlock(&lanes->mutex);
}

kivi_status kivi_store_stats(kivi_store *store, kivi_stats *stats, kivi_error **error)
{
    kivi_stats local = {.struct_size = sizeof(local)};
    kvi_error_clear(error);
    sum_shards(store, &local);
    look_at_lanes(store->lanes, &local);
    local.vectors = atomic_load_explicit(&store->vectors, memory_order_relaxed);
    local.vector_items = atomic_load_explicit(&store->vector_items, memory_order_relaxed);
    local.retries = atomic_load_explicit(&store->retries, memory_order_relaxed);
    local.reconnects = atomic_load_explicit(&store->reconnects, memory_order_relaxed);
    local.swept = atomic_load_explicit(&store->swept, memory_order_relaxed);
    local.strangers = atomic_load_explicit(&store->strangers, memory_order_relaxed);
    for (unsigned i = 0; i < 40; i++)
        local.latency[i] = atomic_load_explicit(&store->latency[i], memory_order_relaxed);
    return kvi_struct_write(stats, &local, sizeof(local), "kivi_stats", error);
}

/* A store of one server is well if it says whether it has a key. */
static kivi_status look_for_a_key(kvi_context *ctx)
{
    kvi_key made = {.heap = KIVI_BUFFER_INIT};
    kivi_status status = kvi_key_make(ctx, kivi_str("health"), &made);
    if (!status)
        status = kvi_fetch(ctx, made.stored, NULL, NULL);
    kvi_key_free(&made);
    return status == KIVI_NOT_FOUND || status == KIVI_WRONG_TYPE ? KIVI_OK : status;
}

/* A backend without a question of its own, or one that leaves it to the core: one server, any of whose keys will do. */
static kivi_status ask_health(kvi_context *ctx)
{
    kivi_status status = ctx->store->backend->health ? kvi_run_health(ctx) : KIVI_UNSUPPORTED;

    return status == KIVI_UNSUPPORTED && !ctx->error ? look_for_a_key(ctx) : status;
}

kivi_status kivi_store_health(kivi_store *store, const kivi_call *call, kivi_health *health,
                              kivi_error **error)
{
    kvi_context ctx;
    kivi_health local = {.struct_size = sizeof(local)};
    kivi_status status = kvi_begin_any(&ctx, store, call, "health", error);
    uint64_t begun = kvi_monotonic_ns();
    if (!status)
        status = ask_health(&ctx);
    if (!status) {
        local.latency_ns = kvi_monotonic_ns() - begun;
        if (store->backend->detail)
            store->backend->detail(store->instance.handle, local.detail, sizeof(local.detail));
        status = kvi_struct_write(health, &local, sizeof(local), "kivi_health", &ctx.error);
    }
    return kvi_end(&ctx, status);
}
