/* Vectors and pages through the store, with chunks, retries and leftovers: what the floors above ask of the lanes. */
#ifndef KVI_RUN_H
#define KVI_RUN_H

#include "context.h"

/* Reads: items sorted, each key once. Every item has its answer afterwards, never KIVI_PENDING. */
void kvi_run_reads(kvi_context *ctx, kivi_read_vector *vector);
/* Writes: the same; sets the vector's increment callback. ATOMIC vectors are not cut. */
void kvi_run_writes(kvi_context *ctx, kivi_write_vector *vector);
/* Sets a vector's increment callback; its scratch memory is the vector's own. */
void kvi_writes_setup(kivi_store *store, kivi_write_vector *vector);
/* One page of a scan; `reset` makes the sink's owner forget what it got, before it is asked again. */
kivi_status kvi_run_scan(kvi_context *ctx, const kivi_scan_range *range, kivi_scan_sink *sink,
                         void (*reset)(void *owner));
/* How many stored names there are under a prefix; UNSUPPORTED: only a walk can say. */
kivi_status kvi_run_count(kvi_context *ctx, kivi_count *count);
/* How the store is, of a backend that has the verb. */
kivi_status kvi_run_health(kvi_context *ctx);
/* One item; its status is the answer, its error moves into ctx->error. */
kivi_status kvi_read_one(kvi_context *ctx, kivi_read_item *item,
                         kivi_status (*deliver)(kivi_read_vector *, kivi_read_item *, kivi_slice,
                                                kivi_slice),
                         void *owner);
kivi_status kvi_write_one(kvi_context *ctx, kivi_write_item *item);

/* Delivers into a kvi_receiver. */
kivi_status kvi_receive(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value,
                        kivi_slice version);
/* Reads one stored key into buffers of the core. */
kivi_status kvi_fetch(kvi_context *ctx, kivi_slice stored, kivi_buffer *value, kivi_buffer *version);

/* ---- fold.c: several operations on one key as one item ---- */

/* How many of the `count` writes of one key (in order) go as one; fills in `folded`. At least 1. */
size_t kvi_fold_writes(kivi_write_item *const *items, size_t count, kivi_write_item *folded);
/*
 * Gives the answer of `folded` to the items it stood for. False: an addition of several went over int64,
 * they must be asked one by one and were left KIVI_PENDING.
 */
bool kvi_unfold_writes(kivi_write_item *folded, kivi_write_item *const *items, size_t count);
/* Whether two reads of one key can be asked as one. */
bool kvi_reads_fold(const kivi_read_item *a, const kivi_read_item *b);

#endif
