/* The table of what plugins may call. */
#include "../internal.h"

const kivi_host kvi_host_table = {
    .struct_size = sizeof(kivi_host),
    .abi = KIVI_BACKEND_ABI,
    .error = kvi_error_new,
    .error_native_text = kvi_error_native_text,
    .error_copy = kvi_error_copy,
    .error_free = kivi_error_free,
    .error_retryable = kivi_error_retryable,
    .option_text = kvi_config_text,
    .option_int = kvi_config_int,
    .option_float = kvi_config_float,
    .option_is_set = kvi_config_is_set,
    .reporter = kvi_config_reporter,
    .report = kvi_store_report,
    .learned = kvi_store_learned,
    .monotonic_ns = kvi_monotonic_ns,
    .clock_ms = kvi_clock_ms,
    .expires = kvi_expires,
    .hash64 = kvi_hash64,
    .guard_descriptors = kvi_descriptors_guard,
};
