/* One call in progress: its deadline, who may interrupt it, and how it waits and fails. */
#include "context.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

uint64_t kvi_context_deadline(kivi_wait *wait)
{
    kvi_context *ctx = (kvi_context *)wait;
    if (ctx->limited)
        return ctx->deadline_ns;
    int64_t timeout = ctx->call->timeout_ms ? ctx->call->timeout_ms : ctx->store->timeout_ms;
    ctx->deadline_ns = UINT64_MAX;
    if (timeout > 0 && timeout < INT64_MAX / KVI_MS / 2)
        ctx->deadline_ns = (ctx->started_ns ? ctx->started_ns : kvi_monotonic_ns()) +
                           (uint64_t)(timeout * KVI_MS);
    ctx->limited = true;
    return ctx->deadline_ns;
}

uint64_t kvi_leave_to_caller(kvi_context *ctx)
{
    kvi_deadline(ctx); /* one that is found out later would be too near by the caller's time */
    return kvi_monotonic_ns();
}

void kvi_give_time_back(kvi_context *ctx, uint64_t left_ns)
{
    if (ctx->deadline_ns != UINT64_MAX)
        ctx->deadline_ns += kvi_monotonic_ns() - left_ns;
}

/* Signal handlers may run in it, for as long as they like: what came meanwhile still counts. */
static bool caller_interrupts(kvi_context *ctx)
{
    if (!ctx->call->interrupted)
        return false;
    uint64_t left_ns = kvi_leave_to_caller(ctx);
    int interrupts = ctx->call->interrupted(ctx->call->user);
    kvi_give_time_back(ctx, left_ns);
    return interrupts != 0;
}

static kivi_status find_end(kvi_context *ctx)
{
    if (atomic_load_explicit(&ctx->store->gate, memory_order_relaxed) & KVI_GATE_CLOSED)
        return KIVI_CLOSED;
    if (ctx->call->interrupt && kvi_interrupt_is_raised(ctx->call->interrupt))
        return KIVI_INTERRUPTED;
    if (caller_interrupts(ctx))
        return KIVI_INTERRUPTED;
    /* A function of the caller's forked, and this is the child: what is in progress is the parent's. */
    if (atomic_load_explicit(&ctx->store->generation, memory_order_relaxed) != ctx->generation)
        return KIVI_FORKED;
    uint64_t deadline = kvi_deadline(ctx);
    if (deadline != UINT64_MAX && kvi_monotonic_ns() >= deadline)
        return KIVI_TIMEOUT;
    return KIVI_OK;
}

kivi_status kvi_context_check(kivi_wait *wait)
{
    kvi_context *ctx = (kvi_context *)wait;
    if (ctx->ended == KIVI_OK)
        ctx->ended = find_end(ctx);
    return ctx->ended;
}

kivi_error *kvi_wait_error(const kvi_context *ctx, kivi_status status)
{
    switch (status) {
    case KIVI_TIMEOUT:
        return kvi_error_new(status, 0, KIVI_RETRY_YES, "%s: the deadline passed", ctx->verb);
    case KIVI_INTERRUPTED:
        return kvi_error_new(status, 0, KIVI_RETRY_YES, "%s: interrupted", ctx->verb);
    case KIVI_CLOSED:
        return kvi_error_new(status, 0, KIVI_RETRY_NO, "the store is closed");
    case KIVI_FORKED:
        return kvi_error_new(status, 0, KIVI_RETRY_NO, "%s: begun by the parent process", ctx->verb);
    case KIVI_UNCERTAIN:
        return kvi_error_new(status, 0, KIVI_RETRY_IF_IDEMPOTENT,
                             "%s: cut off in flight; it may or may not have been applied", ctx->verb);
    default:
        return kvi_item_error(status);
    }
}

kivi_status kvi_context_fail(kvi_context *ctx, kivi_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    kivi_error_free(ctx->error);
    ctx->error = kvi_error_new(status, 0, KIVI_RETRY_NO, "%s", text);
    return status;
}

void kvi_tell(const kivi_store *store, kivi_event *event)
{
    if (!store->on_event)
        return;
    event->struct_size = sizeof(*event);
    event->backend = store->backend->name;
    store->on_event(event, store->on_event_user);
}

kivi_error *kvi_item_error(kivi_status status)
{
    switch (status) {
    case KIVI_WRONG_TYPE:
        return kvi_error_new(status, 0, KIVI_RETRY_NO, "the key holds a value of another type");
    case KIVI_OVERFLOW:
        return kvi_error_new(status, 0, KIVI_RETRY_NO,
                             "the sum is beyond 64 bits; the value is unchanged");
    case KIVI_ABORTED:
        return kvi_error_new(status, 0, KIVI_RETRY_NO,
                             "another operation of the atomic batch did not hold");
    case KIVI_NO_MEMORY:
        return kvi_error_new(status, 0, KIVI_RETRY_YES, "no memory");
    case KIVI_UNCERTAIN:
        return kvi_error_new(status, 0, KIVI_RETRY_IF_IDEMPOTENT,
                             "cut off in flight; it may or may not have been applied");
    default:
        return kvi_error_new(status, 0, KIVI_RETRY_NO, "failed with %s", kivi_status_name(status));
    }
}

uint64_t kvi_slice_left(kvi_context *ctx)
{
    uint64_t deadline = kvi_deadline(ctx), now = kvi_monotonic_ns();
    if (deadline == UINT64_MAX || deadline >= now + (uint64_t)KVI_SLICE_NS)
        return KVI_SLICE_NS;
    return deadline > now ? deadline - now : 0;
}

kivi_status kvi_pause(kvi_context *ctx, uint64_t ns)
{
    uint64_t until = kvi_monotonic_ns() + ns;
    for (;;) {
        kivi_status status = kvi_check(ctx);
        if (status)
            return status;
        uint64_t now = kvi_monotonic_ns();
        if (now >= until)
            return KIVI_OK;
        uint64_t slice = kvi_slice_left(ctx);
        struct timespec pause = {0, (long)(until - now < slice ? until - now : slice)};
        nanosleep(&pause, NULL);
    }
}

uint64_t kvi_backoff_ns(uint32_t attempt)
{
    if (attempt < 2)
        return 0;
    uint64_t full = UINT64_C(10) * KVI_MS << (attempt - 2 < 7 ? attempt - 2 : 7);
    if (full > UINT64_C(1000) * KVI_MS)
        full = UINT64_C(1000) * KVI_MS;
    /* Half fixed, half by chance: callers that failed together do not come back together. */
    uint64_t mixed = kvi_monotonic_ns() * UINT64_C(0x9E3779B97F4A7C15);
    return full / 2 + (mixed >> 32) % (full / 2 + 1);
}
