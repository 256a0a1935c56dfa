/* Waits between two looks at the caller's wait, and what it means when that is over. */
#include "../../core/base/platform.h"
#include "rocks.h"

void kvi_rocks_sleep(uint64_t ns)
{
    struct timespec pause = kvi_timespec(ns);
    nanosleep(&pause, NULL);
}

kivi_status kvi_rocks_gave_up(kivi_error **error, kivi_status status, const char *folder, const char *what)
{
    *error = kvi_rocks_host->error(status, 0, KIVI_RETRY_YES, "%s: gave up waiting: %s", folder, what);
    return status;
}
