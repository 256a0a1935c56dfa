/* One public call: how it begins and ends, and what is counted and told of it. */
#include "begin.h"

#include "../base/counters.h"
#include "../base/limits.h"
#include "instance.h"

/* The thread's counter of such calls; every so many calls are timed. */
static _Atomic uint64_t *counter_of(kvi_context *ctx)
{
    kvi_shard *shard = kvi_shard_of(ctx->store);
    return ctx->single_read ? &shard->single_reads : &shard->calls;
}

static void begin_timing(kvi_context *ctx)
{
    uint64_t before = atomic_load_explicit(counter_of(ctx), memory_order_relaxed);
    ctx->started_ns = KVI_UNLIKELY((before & ctx->store->untimed) == 0) ? kvi_monotonic_ns() : 0;
}

kivi_status kvi_check_layout(kvi_context *ctx)
{
    if (!(atomic_load_explicit(&ctx->store->gate, memory_order_relaxed) & KVI_GATE_FOREIGN))
        return KIVI_OK;
    kivi_error_free(ctx->error);
    return kvi_layout_refuse(ctx->store, &ctx->error);
}

static kivi_status pass_gate(kvi_context *ctx, uint32_t gate)
{
    ctx->generation = atomic_load_explicit(&ctx->store->generation, memory_order_relaxed);
    if (gate & KVI_GATE_CLOSED)
        return kvi_context_fail(ctx, KIVI_CLOSED, "the store is closed");
    kivi_status status = gate & KVI_GATE_FORKED ? kvi_fork_reopen(ctx) : KIVI_OK;
    return status || ctx->any_layout ? status : kvi_check_layout(ctx);
}

static kivi_status read_call(kvi_context *ctx, const kivi_call *call)
{
    kivi_status status = kvi_struct_read(&ctx->call_copy, sizeof(ctx->call_copy), call, "kivi_call",
                                         &ctx->error);
    if (status)
        return status;
    ctx->call = &ctx->call_copy;
    if (ctx->call->flags & ~(uint32_t)KIVI_CALL_INSIDE)
        return kvi_context_fail(ctx, KIVI_UNSUPPORTED, "kivi_call: unknown flags 0x%x", ctx->call->flags);
    if (ctx->call->timeout_ms < KIVI_NO_TIMEOUT)
        return kvi_context_fail(ctx, KIVI_INVALID, "kivi_call: timeout_ms is negative");
    return KIVI_OK;
}

kivi_status kvi_begin_counted(kvi_context *ctx, kivi_store *store, const kivi_call *call,
                              const char *verb, uint32_t how, kivi_error **error)
{
    kvi_error_clear(error);
    static const kivi_call no_call = KIVI_CALL_INIT;
    /* One by one: a memset of this size becomes `rep stos`, which alone costs a tenth of a hot get. */
    ctx->wait = (kivi_wait){sizeof(kivi_wait), 0, kvi_context_deadline, kvi_context_check};
    ctx->store = store;
    ctx->verb = verb;
    ctx->key = kivi_bytes(NULL, 0);
    ctx->items = 1;
    ctx->single_read = how & KVI_SINGLE_READ;
    ctx->any_layout = how & KVI_ANY_LAYOUT;
    ctx->reached = ctx->limited = ctx->alone = false;
    ctx->ended = KIVI_OK;
    ctx->call = &no_call;
    ctx->deadline_ns = 0;
    ctx->error = NULL;
    ctx->caller_error = error;
    ctx->retries = 0;
    ctx->generation = atomic_load_explicit(&store->generation, memory_order_relaxed);
    begin_timing(ctx);
    if (KVI_UNLIKELY(call != NULL)) {
        kivi_status status = read_call(ctx, call);
        if (status)
            return status;
    }
    uint32_t gate = atomic_load_explicit(&store->gate, memory_order_acquire);
    if (KVI_UNLIKELY(gate != 0))
        return pass_gate(ctx, gate);
    return KIVI_OK;
}

static void tell(kvi_context *ctx, kivi_event *event)
{
    event->trace = ctx->call->trace;
    kvi_tell(ctx->store, event);
}

void kvi_tell_retries(kvi_context *ctx)
{
    for (uint64_t i = 1; i <= ctx->retries; i++)
        tell(ctx, &(kivi_event){.type = KIVI_EVENT_RETRY,
                                .verb = ctx->verb,
                                .attempt = (uint32_t)i,
                                .items = ctx->items});
    ctx->retries = 0;
}

static void tell_events(kvi_context *ctx, kivi_status status, uint64_t duration_ns)
{
    kivi_store *store = ctx->store;
    uint64_t swept = atomic_exchange_explicit(&store->events_swept, 0, memory_order_relaxed);
    uint64_t reconnects = atomic_exchange_explicit(&store->events_reconnects, 0, memory_order_relaxed);
    kvi_tell_retries(ctx);
    if (reconnects)
        tell(ctx, &(kivi_event){.type = KIVI_EVENT_RECONNECT, .verb = ctx->verb, .items = reconnects});
    if (swept)
        tell(ctx, &(kivi_event){.type = KIVI_EVENT_SWEEP, .verb = ctx->verb, .items = swept});
    kivi_event event = {.type = KIVI_EVENT_CALL,
                        .verb = ctx->verb,
                        .status = status,
                        .items = ctx->items,
                        .duration_ns = duration_ns};
    if (store->event_keys)
        event.key = ctx->key;
    tell(ctx, &event);
}

static void end_timed(kvi_context *ctx, kivi_status status)
{
    uint64_t duration = kvi_monotonic_ns() - ctx->started_ns;
    unsigned bucket = duration ? 63u - (unsigned)__builtin_clzll(duration) : 0;
    if (ctx->reached)
        atomic_fetch_add_explicit(&ctx->store->latency[bucket < 40 ? bucket : 39], 1,
                                  memory_order_relaxed);
    if (ctx->store->on_event)
        tell_events(ctx, status, duration);
}

static void end_failed(kvi_context *ctx, kivi_status status)
{
    atomic_fetch_add_explicit(&kvi_shard_of(ctx->store)->failures, 1, memory_order_relaxed);
    if (!ctx->error)
        ctx->error = kvi_wait_error(ctx, status);
    kvi_error_name_backend(ctx->error, ctx->store->backend->name);
}

kivi_status kvi_end(kvi_context *ctx, kivi_status status)
{
    if (KVI_LIKELY(ctx->reached))
        atomic_fetch_add_explicit(counter_of(ctx), 1, memory_order_relaxed);
    if (KVI_UNLIKELY(!kvi_is_answer(status))) {
        end_failed(ctx, status);
    } else if (KVI_UNLIKELY(ctx->error != NULL)) {
        kivi_error_free(ctx->error);
        ctx->error = NULL;
    }
    if (KVI_UNLIKELY(ctx->started_ns != 0))
        end_timed(ctx, status);
    if (ctx->caller_error)
        *ctx->caller_error = ctx->error;
    else if (ctx->error)
        kivi_error_free(ctx->error);
    return status;
}

kivi_status kvi_back_from_caller(kvi_context *ctx, uint64_t left_ns)
{
    kvi_give_time_back(ctx, left_ns);
    /* Nothing is in progress: a child goes on with what is its own. */
    uint32_t gate = atomic_load_explicit(&ctx->store->gate, memory_order_acquire);
    kivi_status status = pass_gate(ctx, gate);
    return status ? status : kvi_check(ctx);
}
