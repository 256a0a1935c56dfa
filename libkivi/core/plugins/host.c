/* The table of what plugins may call. */
#include "../base/base.h"
#include "../base/counters.h"
#include "../base/limits.h"
#include "../options/options.h"
#include "plugins.h"

static const kivi_values values = {
    .struct_size = sizeof(kivi_values),
    .reader_new = kivi_reader_new,
    .reader_start = kivi_reader_start,
    .reader_next = kivi_reader_next,
    .reader_skip = kivi_reader_skip,
    .reader_offset = kivi_reader_offset,
    .reader_error = kivi_reader_error,
    .reader_free = kivi_reader_free,
    .writer_new = kivi_writer_new,
    .writer_start = kivi_writer_start,
    .writer_nil = kivi_writer_nil,
    .writer_bool = kivi_writer_bool,
    .writer_int = kivi_writer_int,
    .writer_uint = kivi_writer_uint,
    .writer_float = kivi_writer_float,
    .writer_str = kivi_writer_str,
    .writer_bin = kivi_writer_bin,
    .writer_array = kivi_writer_array,
    .writer_map = kivi_writer_map,
    .writer_timestamp = kivi_writer_timestamp,
    .writer_ext = kivi_writer_ext,
    .writer_token = kivi_writer_token,
    .writer_finish = kivi_writer_finish,
    .writer_free = kivi_writer_free,
    .buffer_reserve = kivi_buffer_reserve,
    .buffer_assign = kivi_buffer_assign,
    .buffer_append = kivi_buffer_append,
    .buffer_free = kivi_buffer_free,
};

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
    .values = &values,
};
