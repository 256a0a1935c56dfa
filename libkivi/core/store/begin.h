/* How a public call begins and ends. */
#ifndef KVI_BEGIN_H
#define KVI_BEGIN_H

#include "../lanes/context.h"

/* Begins a public call: clears the caller's error, reads `call`, refuses closed and forked stores. */
kivi_status kvi_begin_counted(kvi_context *ctx, kivi_store *store, const kivi_call *call,
                              const char *verb, bool single_read, kivi_error **error);
static inline kivi_status kvi_begin(kvi_context *ctx, kivi_store *store, const kivi_call *call,
                                    const char *verb, kivi_error **error)
{
    return kvi_begin_counted(ctx, store, call, verb, false, error);
}
/* The same for a call that reads one key: counted with one addition instead of two. */
static inline kivi_status kvi_begin_read(kvi_context *ctx, kivi_store *store, const kivi_call *call,
                                         const char *verb, kivi_error **error)
{
    return kvi_begin_counted(ctx, store, call, verb, true, error);
}
/* Ends it: counts, tells the hook, hands the error over. Answers `status`. */
kivi_status kvi_end(kvi_context *ctx, kivi_status status);
/* Tells the store's hook of the call's repeats, each once. */
void kvi_tell_retries(kvi_context *ctx);
/* After a function of the caller's that computed (kvi_leave_to_caller): OK, or why the call may not go on (closed meanwhile). */
kivi_status kvi_back_from_caller(kvi_context *ctx, uint64_t left_ns);

#endif
