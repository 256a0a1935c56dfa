/* The table of what plugins may call. */
#include "../internal.h"

const kivi_host kvi_host_table = {
    .struct_size = sizeof(kivi_host),
    .abi = KIVI_BACKEND_ABI,
    .error = kvi_error_new,
    .option_text = kvi_config_text,
    .option_int = kvi_config_int,
    .option_float = kvi_config_float,
    .reporter = kvi_config_reporter,
    .report = kvi_store_report,
    .monotonic_ns = kvi_monotonic_ns,
    .clock_ms = kvi_clock_ms,
    .hash64 = kvi_hash64,
    .guard_descriptors = kvi_descriptors_guard,
};
