/* The options of a store, and which of them stores on one folder must agree on. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "rocks.h"

#define OPTION(name, type, text, choices, least, most, help)                            \
    {                                                                                   \
        sizeof(kivi_option_info), 0, name, type, text, NULL, choices, least, most, help \
    }

const kivi_option_info kvi_rocks_options[] = {
    {sizeof(kivi_option_info), KIVI_OPTION_REQUIRED, "path", KIVI_OPTION_STRING, NULL, NULL, NULL,
     0, 0, "the folder; made if there is none, in a folder that is there"},
    OPTION("sync", KIVI_OPTION_BOOL, "true", NULL, 0, 0,
           "acknowledged means on disk; false: a power cut may lose the last writes"),
    OPTION("read_only", KIVI_OPTION_BOOL, "false", NULL, 0, 0,
           "only read, also beside a process that writes; writes return DENIED"),
    OPTION("create", KIVI_OPTION_BOOL, "true", NULL, 0, 0, "make the folder when there is none"),
    OPTION("compression", KIVI_OPTION_CHOICE, "lz4", "none snappy zlib bz2 lz4 lz4hc zstd", 0, 0,
           "how blocks on disk are compressed"),
    OPTION("cache", KIVI_OPTION_SIZE, "32MiB", NULL, 0, INT64_MAX / 4,
           "memory for blocks that were read; 0: none"),
    OPTION("write_buffer", KIVI_OPTION_SIZE, "64MiB", NULL, 65536, INT64_MAX / 4,
           "memory for writes before they go to a table"),
    OPTION("max_open_files", KIVI_OPTION_INT, "-1", NULL, -1, INT_MAX, "tables kept open; -1: all"),
    OPTION("options_file", KIVI_OPTION_STRING, NULL, NULL, 0, 0,
           "a file of RocksDB's own options; those named beside it go before"),
    OPTION("recovery", KIVI_OPTION_CHOICE, "tail", "tail point", 0, 0,
           "a damaged log of writes at open: `tail`: only a torn end is passed over, else CORRUPT; "
           "`point`: "
           "all behind the damage is given up"),
    OPTION("mode", KIVI_OPTION_STRING, "0700", NULL, 0, 0, "permissions of a new folder, in octal"),
};
const size_t kvi_rocks_option_count = sizeof(kvi_rocks_options) / sizeof(*kvi_rocks_options);

static kivi_status read_mode(const kivi_config *config, mode_t *mode, kivi_error **error)
{
    const char *text = kvi_rocks_host->option_text(config, "mode");
    char *end = NULL;
    unsigned long value;

    errno = 0;
    value = strtoul(text ? text : "", &end, 8);
    if (errno == 0 && text && *text >= '0' && *text <= '7' && *end == 0 && value <= 0777 &&
        (value & 0700) == 0700) {
        *mode = (mode_t)value;
        return KIVI_OK;
    }
    *error = kvi_rocks_host->error(
        KIVI_INVALID, 0, KIVI_RETRY_NO,
        "mode: octal permissions that let the owner do all, such as 0700 or 0750");
    return KIVI_INVALID;
}

/* RocksDB's number of a name. */
static int number_of(const kivi_config *config, const char *option, const char *const *names,
                     const int *numbers, size_t count)
{
    const char *text = kvi_rocks_host->option_text(config, option);

    for (size_t i = 0; i < count; i++)
        if (text && strcmp(text, names[i]) == 0)
            return numbers[i];
    return -1;
}

static void read_numbers(const kivi_config *config, rocks_settings *settings)
{
    static const char *const kinds[] = {"none", "snappy", "zlib", "bz2", "lz4", "lz4hc", "zstd"};
    static const int kind_numbers[] = {rocksdb_no_compression,   rocksdb_snappy_compression,
                                       rocksdb_zlib_compression, rocksdb_bz2_compression,
                                       rocksdb_lz4_compression,  rocksdb_lz4hc_compression,
                                       rocksdb_zstd_compression};
    static const char *const ways[] = {"tail", "point"};
    static const int way_numbers[] = {rocksdb_tolerate_corrupted_tail_records_recovery,
                                      rocksdb_point_in_time_recovery};

    settings->recovery = number_of(config, "recovery", ways, way_numbers, 2);
    settings->compression = number_of(config, "compression", kinds, kind_numbers, 7);
    settings->cache = (uint64_t)kvi_rocks_host->option_int(config, "cache");
    settings->write_buffer = (uint64_t)kvi_rocks_host->option_int(config, "write_buffer");
    settings->max_open_files = kvi_rocks_host->option_int(config, "max_open_files");
    settings->write_buffer_set = kvi_rocks_host->option_is_set(config, "write_buffer");
    settings->max_open_files_set = kvi_rocks_host->option_is_set(config, "max_open_files");
    settings->recovery_set = kvi_rocks_host->option_is_set(config, "recovery");
}

kivi_status kvi_rocks_settings_read(const kivi_config *config, rocks_settings *settings, kivi_error **error)
{
    const char *file = kvi_rocks_host->option_text(config, "options_file");

    memset(settings, 0, sizeof(*settings));
    settings->read_only = kvi_rocks_host->option_int(config, "read_only") != 0;
    settings->create = kvi_rocks_host->option_int(config, "create") != 0;
    read_numbers(config, settings);
    /* What the file says stands where the option is not named. */
    if (file && *file && !kvi_rocks_host->option_is_set(config, "compression"))
        settings->compression = -1;
    if (file && *file) {
        settings->options_file = strdup(file);
        if (!settings->options_file)
            return kvi_rocks_no_memory(error, file);
    }
    return read_mode(config, &settings->mode, error);
}

void kvi_rocks_settings_clear(rocks_settings *settings)
{
    free(settings->options_file);
    settings->options_file = NULL;
}

static bool is_same_text(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) == 0 : one == other;
}

const char *kvi_rocks_settings_difference(const rocks_settings *one, const rocks_settings *other)
{
    if (!is_same_text(one->options_file, other->options_file))
        return "options_file";
    if (one->compression != other->compression)
        return "compression";
    if (one->cache != other->cache)
        return "cache";
    if (one->recovery != other->recovery)
        return "recovery";
    if (one->write_buffer != other->write_buffer)
        return "write_buffer";
    return one->max_open_files != other->max_open_files ? "max_open_files" : NULL;
}
