/* Results of batches. */
#ifndef KVI_RESULT_H
#define KVI_RESULT_H

#include "../core.h"

kivi_result *kvi_result_new(kivi_store *store, size_t count);
/* Sets an item's answer; takes the error over. */
void kvi_result_set(kivi_result *result, size_t index, kivi_status status, kivi_error *error);
void kvi_result_set_write(kivi_result *result, size_t index, bool existed, int64_t integer);
/* Adds bytes to the result's memory and answers their place. */
kivi_status kvi_result_store(kivi_result *result, kivi_slice bytes, size_t *offset);
void kvi_result_set_value(kivi_result *result, size_t index, size_t offset, size_t size);
/* Status of the whole: OK, or the first failure, whose error is copied into ctx. */
kivi_status kvi_result_verdict(kvi_context *ctx, const kivi_result *result);

#endif
