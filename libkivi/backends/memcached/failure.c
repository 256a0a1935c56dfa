/* Errors that more than one file makes. */
#include "memcached.h"

kivi_status kvi_mc_no_memory(kivi_error **error)
{
    *error = kvi_mc_host->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_NO, "no memory for the memcached backend");
    return KIVI_NO_MEMORY;
}

kivi_status kvi_mc_breach(kivi_error **error)
{
    *error = kvi_mc_host->error(KIVI_CORRUPT, 0, KIVI_RETRY_NO, KVI_MC_BREACH);
    return KIVI_CORRUPT;
}
