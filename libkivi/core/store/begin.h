/* How a public call begins and ends. */
#ifndef KVI_BEGIN_H
#define KVI_BEGIN_H

#include "../lanes/context.h"

/* How a call begins. */
enum {
    KVI_SINGLE_READ = 1 << 0, /* it reads one key: counted with one addition instead of two */
    KVI_ANY_LAYOUT = 1 << 1 /* it reads and writes no value: the data may be another program's, of no codec named */
};
/* Begins a public call: clears the caller's error, reads `call`, refuses closed and forked stores. */
kivi_status kvi_begin_counted(kvi_context *ctx, kivi_store *store, const kivi_call *call,
                              const char *verb, uint32_t how, kivi_error **error);
static inline kivi_status kvi_begin(kvi_context *ctx, kivi_store *store, const kivi_call *call,
                                    const char *verb, kivi_error **error)
{
    return kvi_begin_counted(ctx, store, call, verb, 0, error);
}
static inline kivi_status kvi_begin_read(kvi_context *ctx, kivi_store *store, const kivi_call *call,
                                         const char *verb, kivi_error **error)
{
    return kvi_begin_counted(ctx, store, call, verb, KVI_SINGLE_READ, error);
}
static inline kivi_status kvi_begin_any(kvi_context *ctx, kivi_store *store, const kivi_call *call,
                                        const char *verb, kivi_error **error)
{
    return kvi_begin_counted(ctx, store, call, verb, KVI_ANY_LAYOUT, error);
}
/* INVALID where the data is another program's, and no codec was named: what KVI_ANY_LAYOUT put off. */
kivi_status kvi_check_layout(kvi_context *ctx);
/* Ends it: counts, tells the hook, hands the error over. Answers `status`. */
kivi_status kvi_end(kvi_context *ctx, kivi_status status);
/* Tells the store's hook of the call's repeats, each once. */
void kvi_tell_retries(kvi_context *ctx);
/* After a function of the caller's that computed (kvi_leave_to_caller): OK, or why the call may not go on (closed meanwhile). */
kivi_status kvi_back_from_caller(kvi_context *ctx, uint64_t left_ns);

#endif
