/* Operations of an apply, as their caller gave them. */
#ifndef KVI_APPLY_H
#define KVI_APPLY_H

#include "../core.h"

/* The operation at `index` of a caller's array, as this library knows it. */
kivi_status kvi_op_read(kvi_context *ctx, const kivi_op *ops, size_t index, kivi_op *op);

#endif
