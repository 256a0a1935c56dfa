/* Single keys read, changed and written back. */
#ifndef KVI_READ_MODIFY_WRITE_H
#define KVI_READ_MODIFY_WRITE_H

#include "../core.h"

/* Adds to the integer of a stored key, whether or not the backend can. */
kivi_status kvi_increment(kvi_context *ctx, kivi_slice stored, int64_t by, int64_t ttl_ms, int64_t *value);

#endif
