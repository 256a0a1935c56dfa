/* Leases: a key beside the one that is computed, added with a time to live, deleted when the value is there. */
#include "lease.h"

#include "../base/platform.h"
#include "../lanes/run.h"

#define LONGEST_PAUSE_NS UINT64_C(50000000)
#define GIVE_NS UINT64_C(1000000000) /* at most, to give a lease back */

kivi_status kvi_lease_prepare(kvi_context *ctx, kivi_slice key, int64_t ms, kvi_lease *lease)
{
    if (ms == 0)
        return KIVI_OK;
    if (ms < 0)
        return kvi_context_fail(ctx, KIVI_INVALID, "lease of %lld ms", (long long)ms);
    kivi_status status = kvi_ttl_check(ctx, ms, false);
    if (status)
        return status;
    if (ctx->store->instance.capabilities.conditions == KIVI_ABSENT)
        return kvi_context_fail(ctx, KIVI_UNSUPPORTED, "lease: this store has no conditions");
    status = kivi_buffer_append(&lease->name, kivi_str(KIVI_LEASE_PREFIX));
    if (!status)
        status = kivi_buffer_append(&lease->name, key);
    if (!status)
        status = kvi_key_make(ctx, kivi_buffer_slice(&lease->name), &lease->key);
    if (!status && !kvi_random_fill(&lease->mark, sizeof(lease->mark)))
        status = kvi_context_fail(ctx, KIVI_INTERNAL, "lease: no random number");
    lease->ms = ms;
    return status;
}

static kivi_slice mark_of(const kvi_context *ctx, const kvi_lease *lease, uint8_t *bytes)
{
    return kivi_bytes(bytes, ctx->store->codec->integer_write(lease->mark, bytes));
}

/* Whether the lease was taken is not known: it ends by itself then. Of the value it is, nothing of that was written. */
static kivi_status perhaps_taken(kvi_context *ctx)
{
    kivi_status why = kvi_check(ctx);
    if (!why)
        return kvi_context_fail(ctx, KIVI_UNAVAILABLE,
                                "the store was lost while a lease was taken; nothing was computed");
    kivi_error_free(ctx->error);
    ctx->error = kvi_wait_error(ctx, why);
    return why;
}

static kivi_status try_to_take(kvi_context *ctx, kvi_lease *lease)
{
    uint8_t bytes[KVI_INTEGER_MAX];
    kivi_write_item item = {.key = lease->key.stored,
                            .kind = KIVI_OP_SET,
                            .condition = KIVI_IF_ABSENT,
                            .ttl_ms = lease->ms,
                            .value = mark_of(ctx, lease, bytes)};
    kivi_status status = kvi_write_one(ctx, &item);
    lease->held = status == KIVI_OK;
    return status == KIVI_UNCERTAIN ? perhaps_taken(ctx) : status;
}

kivi_status kvi_lease_take(kvi_context *ctx, kvi_lease *lease, kivi_slice stored,
                           kivi_buffer *value, bool *found)
{
    *found = false;
    if (lease->ms == 0)
        return KIVI_OK;
    for (uint32_t round = 1;; round++) {
        kivi_status status = try_to_take(ctx, lease);
        if (status != KIVI_CONDITION)
            return status;
        uint64_t pause = kvi_backoff_ns(round < 4 ? 2 : 4);
        status = kvi_pause(ctx, pause < LONGEST_PAUSE_NS ? pause : LONGEST_PAUSE_NS);
        if (status)
            return status;
        value->size = 0;
        status = kvi_fetch(ctx, stored, value, NULL);
        *found = status == KIVI_OK;
        if (status != KIVI_NOT_FOUND)
            return status;
    }
}

void kvi_lease_give(kvi_context *ctx, kvi_lease *lease)
{
    if (!lease->held)
        return;
    uint8_t bytes[KVI_INTEGER_MAX];
    kivi_write_item item = {.key = lease->key.stored,
                            .kind = KIVI_OP_DELETE,
                            .condition = KIVI_IF_EQUAL,
                            .expected = mark_of(ctx, lease, bytes)};
    /* The call may have ended, and its caller may have raised: it is not asked, and the time is a little of our own. */
    static const kivi_call plain = KIVI_CALL_INIT;
    const kivi_call *call = ctx->call;
    kivi_error *error = ctx->error;
    kivi_status ended = ctx->ended;
    uint64_t deadline_ns = ctx->deadline_ns;
    ctx->call = &plain;
    ctx->error = NULL;
    ctx->ended = KIVI_OK;
    ctx->deadline_ns = kvi_monotonic_ns() + GIVE_NS;
    kvi_write_one(ctx, &item); /* where it fails the lease ends by itself */
    kivi_error_free(ctx->error);
    ctx->call = call;
    ctx->error = error;
    ctx->ended = ended;
    ctx->deadline_ns = deadline_ns;
    lease->held = false;
}

void kvi_lease_free(kvi_lease *lease)
{
    kvi_key_free(&lease->key);
    kivi_buffer_free(&lease->name);
}
