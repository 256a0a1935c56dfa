/* Leases: of several processes that miss a key, one computes it. */
#ifndef KVI_LEASE_H
#define KVI_LEASE_H

#include "../store/keys.h"

/* What stands in the store beside a key that somebody computes: KIVI_LEASE_PREFIX and the key. Begin with zeroes. */
typedef struct kvi_lease {
    kivi_buffer name; /* in the caller's form */
    kvi_key key;
    int64_t ms;   /* 0: none is wanted */
    int64_t mark; /* whose it is */
    bool held;
} kvi_lease;

/* Refused: UNSUPPORTED without expiry or conditions, INVALID, TOO_LARGE. */
kivi_status kvi_lease_prepare(kvi_context *ctx, kivi_slice key, int64_t ms, kvi_lease *lease);
/*
 * Takes it, or waits within the deadline until another's is over or `stored` has a value. OK: the caller computes,
 * or `*found`: the value is in `value`.
 */
kivi_status kvi_lease_take(kvi_context *ctx, kvi_lease *lease, kivi_slice stored,
                           kivi_buffer *value, bool *found);
/* Gives it back; what the call has failed with stays. */
void kvi_lease_give(kvi_context *ctx, kvi_lease *lease);
void kvi_lease_free(kvi_lease *lease);

#endif
