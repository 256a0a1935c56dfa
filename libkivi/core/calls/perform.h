/* Calls that are described by a request. */
#ifndef KVI_PERFORM_H
#define KVI_PERFORM_H

#include "../base/base.h"

/* Makes the call that `ask` describes, whose verb is a known one; its answer goes into `end`. */
void kvi_perform(kivi_store *store, const kivi_call *how, const kivi_request *ask,
                 kivi_buffer *value, kivi_buffer *version, kivi_completion *end);

#endif
