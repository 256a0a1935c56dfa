/* get_or_set: in one process one caller computes a missing key at a time, the others wait for what it stores. */
#include "../base/platform.h"
#include "../lanes/run.h"
#include "../store/begin.h"
#include "../store/computing.h"
#include "../store/keys.h"
#include "../store/places.h"
#include "lease.h"

#include <stdlib.h>

static kivi_status wait_for(kvi_context *ctx, kvi_computing *one)
{
    if (pthread_equal(one->owner, pthread_self()))
        return kvi_context_fail(ctx, KIVI_INVALID,
                                "get_or_set: the computation asks for the key it computes");
    while (!atomic_load(&one->done)) {
        kivi_status status = kvi_check(ctx);
        if (status)
            return status;
        kvi_futex_wait(&one->done, 0, kvi_slice_left(ctx));
    }
    if (one->status && one->status != KIVI_NOT_FOUND)
        kvi_context_fail(ctx, one->status, "get_or_set: the computation of another caller failed");
    return one->status;
}

/* Whether a computation that ended so says nothing of the next: it was broken off. */
static bool is_broken_off(kivi_status status)
{
    return status == KIVI_TIMEOUT || status == KIVI_INTERRUPTED || status == KIVI_CANCELLED ||
           status == KIVI_CLOSED || status == KIVI_FORKED;
}

/* Two that wait for each other inside their functions would wait for ever: what is first in the store decides. */
static bool waits_for_nobody(const kvi_context *ctx, const kvi_computing *one)
{
    bool inside = kvi_is_inside() || ctx->call->flags & KIVI_CALL_INSIDE;
    return inside && !pthread_equal(one->owner, pthread_self());
}

/*
 * Computes and adds; `*again`: another process was first and its value is gone already. `*failed`: what those who wait
 * are told of the function.
 */
static kivi_status compute_value(kvi_context *ctx, kivi_slice stored, int64_t ttl_ms,
                                 kivi_compute_fn compute, void *user, kivi_buffer *value,
                                 bool *again, kivi_status *failed)
{
    kivi_status status = kvi_fetch(ctx, stored, value, NULL);
    if (status != KIVI_NOT_FOUND)
        return status;
    value->size = 0;
    uint64_t left_ns = kvi_leave_to_caller(ctx);
    kvi_go_inside();
    status = compute(value, user);
    kvi_come_back();
    *failed = is_broken_off(status) ? KIVI_OK : status;
    if (status)
        return status; /* NOT_FOUND: there is no value, and nothing is stored */
    status = kvi_back_from_caller(ctx, left_ns);
    if (status)
        return status;
    status = kvi_value_check(ctx, kivi_buffer_slice(value));
    if (status)
        return status;
    kivi_write_item item = {.key = stored,
                            .kind = KIVI_OP_SET,
                            .condition = KIVI_IF_ABSENT,
                            .ttl_ms = ttl_ms,
                            .value = kivi_buffer_slice(value)};
    status = kvi_write_one(ctx, &item);
    if (status != KIVI_CONDITION)
        return status;
    status = kvi_fetch(ctx, stored, value, NULL);
    *again = status == KIVI_NOT_FOUND;
    return status;
}

/* The same as the one of this process that computes: and of all processes, where a lease is wanted. */
static kivi_status compute_leased(kvi_context *ctx, kivi_slice stored, int64_t ttl_ms,
                                  kvi_lease *lease, kivi_compute_fn compute, void *user,
                                  kivi_buffer *value, bool *again, kivi_status *failed)
{
    bool found;
    kivi_status status = kvi_lease_take(ctx, lease, stored, value, &found);
    if (status || found)
        return status;
    status = compute_value(ctx, stored, ttl_ms, compute, user, value, again, failed);
    kvi_lease_give(ctx, lease);
    return status;
}

static kivi_status get_or_set(kvi_context *ctx, kivi_slice stored, int64_t ttl_ms, kvi_lease *lease,
                              kivi_compute_fn compute, void *user, kivi_buffer *value)
{
    kvi_lease none = {.ms = 0};
    for (;;) {
        kivi_status status = kvi_fetch(ctx, stored, value, NULL);
        if (status != KIVI_NOT_FOUND)
            return status;
        bool mine, computes;
        kivi_status failed = KIVI_OK;
        kvi_computing *one = kvi_computing_join(ctx->store, stored, &mine);
        if (!one)
            return kvi_context_fail(ctx, KIVI_NO_MEMORY, "no memory to compute a key");
        computes = mine || waits_for_nobody(ctx, one);
        bool again = !computes;
        status = computes ? compute_leased(ctx, stored, ttl_ms, mine ? lease : &none, compute, user,
                                           value, &again, &failed)
                          : wait_for(ctx, one);
        if (mine)
            kvi_computing_finish(one, failed);
        else
            kvi_computing_unref(one);
        if (!again || (!computes && status))
            return status;
        status = kvi_check(ctx);
        if (status)
            return status;
    }
}

kivi_status kivi_store_get_or_set(kivi_store *store, const kivi_call *call, kivi_slice key,
                                  int64_t ttl_ms, kivi_compute_fn compute, void *user,
                                  kivi_buffer *value, kivi_error **error)
{
    return kivi_store_get_or_set_leased(store, call, key, ttl_ms, 0, compute, user, value, error);
}

kivi_status kivi_store_get_or_set_leased(kivi_store *store, const kivi_call *call, kivi_slice key,
                                         int64_t ttl_ms, int64_t lease_ms, kivi_compute_fn compute,
                                         void *user, kivi_buffer *value, kivi_error **error)
{
    kvi_context ctx;
    kvi_lease lease = {.ms = 0};
    kvi_key made = {.heap = KIVI_BUFFER_INIT};
    value->size = 0;
    kivi_status status = kvi_begin(&ctx, store, call, "get_or_set", error);
    if (!status)
        status = kvi_key_make(&ctx, key, &made);
    if (!status)
        status = kvi_ttl_check(&ctx, ttl_ms, false);
    if (!status)
        status = kvi_lease_prepare(&ctx, key, lease_ms, &lease);
    if (!status)
        status = get_or_set(&ctx, made.stored, ttl_ms, &lease, compute, user, value);
    if (status)
        value->size = 0;
    kvi_lease_free(&lease);
    kvi_key_free(&made);
    return kvi_end(&ctx, status);
}
