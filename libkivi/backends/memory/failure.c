/* All that this backend may call of the core, and the words of its failures. */
#include "memory.h"

const kivi_host *kvi_memory_host;

kivi_error *kvi_memory_error(kivi_status status)
{
    switch (status) {
    case KIVI_TOO_LARGE:
        return kvi_memory_host->error(status, 0, KIVI_RETRY_NO,
                                      "the key or value is larger than the store holds");
    case KIVI_UNSUPPORTED:
        return kvi_memory_host->error(status, 0, KIVI_RETRY_NO, "the TTL is longer than the store keeps");
    case KIVI_NO_MEMORY:
        return kvi_memory_host->error(status, 0, KIVI_RETRY_YES, "out of memory");
    case KIVI_WRONG_TYPE:
        return kvi_memory_host->error(status, 0, KIVI_RETRY_NO, "the value is not an integer");
    case KIVI_OVERFLOW:
        return kvi_memory_host->error(status, 0, KIVI_RETRY_NO,
                                      "the sum would leave the range of 64-bit integers");
    case KIVI_ABORTED:
        return kvi_memory_host->error(status, 0, KIVI_RETRY_NO,
                                      "another operation of the same atomic batch failed");
    case KIVI_INVALID:
        return kvi_memory_host->error(status, 0, KIVI_RETRY_NO,
                                      "the operation is not known, or has no place here");
    default:
        return kvi_memory_host->error(status, 0, KIVI_RETRY_NO, "the operation failed");
    }
}
