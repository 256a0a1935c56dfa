/* Errors of the backends over Go. */
#include "internal.h"

kivi_status kvi_go_fail(kivi_error **error, const kvi_go_failure *failure)
{
    return KVI_GO_FAIL(error, failure->status, failure->native, (kivi_retryable)failure->retryable,
                       "%s", failure->text);
}

kivi_status kvi_go_no_memory(kivi_error **error)
{
    return KVI_GO_FAIL(error, KIVI_NO_MEMORY, 0, KIVI_RETRY_YES, "out of memory");
}
