/* The errors of options, which all files here make. */
#include "endpoint_internal.h"

kivi_status kvi_endpoint_no_memory(const kivi_host *core, kivi_error **error)
{
    *error = core->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_NO, "no memory for the options");
    return KIVI_NO_MEMORY;
}

kivi_status kvi_option_refuse(const kivi_host *core, kivi_status status, const char *text,
                              kivi_error **error)
{
    *error = core->error(status, 0, KIVI_RETRY_NO, "%s", text);
    return status;
}
