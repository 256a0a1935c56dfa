/* One call in progress: how it waits, ends and fails. */
#ifndef KVI_CONTEXT_H
#define KVI_CONTEXT_H

#include "../core.h"

/* kivi_wait of every context. */
uint64_t kvi_context_deadline(kivi_wait *wait);
kivi_status kvi_context_check(kivi_wait *wait);
/* Around a function of the caller's: its time does not count against the deadline. */
uint64_t kvi_leave_to_caller(kvi_context *ctx);
void kvi_give_time_back(kvi_context *ctx, uint64_t left_ns);
/* Tells the store's hook, if it has one, what stands in the event; no lock and no lane is held. */
void kvi_tell(const kivi_store *store, kivi_event *event);
/* Sets ctx->error (freeing one that is there) and answers status. */
kivi_status kvi_context_fail(kvi_context *ctx, kivi_status status, const char *format, ...)
    KIVI_PRINTF(3, 4);
/* A new error for a wait that ended with TIMEOUT, INTERRUPTED, CLOSED or (a write that was sent) UNCERTAIN. */
kivi_error *kvi_wait_error(const kvi_context *ctx, kivi_status status);
/* A failed item's error where the backend gave none. */
kivi_error *kvi_item_error(kivi_status status);
/* How long the caller may wait, in ns, before it looks up again: a slice, or less where the deadline is nearer. */
uint64_t kvi_slice_left(kvi_context *ctx);
/* Sleeps up to `ns`, asking the caller in between: KIVI_OK, or why the call must end. */
kivi_status kvi_pause(kvi_context *ctx, uint64_t ns);
/* Jittered pause before an attempt (0: none; 1: at once), in ns: 10 ms doubling to 1 s. */
uint64_t kvi_backoff_ns(uint32_t attempt);

#endif
