/* RocksDB's options for a folder: the file of the user's, what the store's options say, and what kivi relies on. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rocks.h"

#define LOG_FATAL_ALONE 4 /* as RocksDB numbers the kinds of lines */

/*
 * RocksDB's C interface reads the newest options of a folder, and no file by its name: the file is put in a folder of its
 * own by a link. `*place` is that folder, to remove.
 */
static kivi_status link_file(const char *file, char *place, size_t room, kivi_error **error)
{
    const char *temporary = getenv("TMPDIR");
    char *target = realpath(file, NULL), link[4096];
    kivi_status status = KIVI_OK;

    if (!target)
        return kvi_rocks_fail_errno(error, errno, file, "cannot read the options");
    snprintf(place, room, "%s/kivi-rocksdb-XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(place)) {
        status = kvi_rocks_fail_errno(error, errno, place, "cannot make a folder for a moment");
        *place = 0;
        goto out;
    }
    snprintf(link, sizeof(link), "%s/OPTIONS-000001", place);
    if (symlink(target, link) != 0)
        status = kvi_rocks_fail_errno(error, errno, link, "cannot make a link");
out:
    free(target);
    return status;
}

static void unlink_file(const char *place)
{
    char link[4096];

    if (!*place)
        return;
    snprintf(link, sizeof(link), "%s/OPTIONS-000001", place);
    unlink(link);
    rmdir(place);
}

/* Scans go by the order of bytes, and a merge of another's is not understood. */
static kivi_status check_text(const char *file, kivi_error **error)
{
    FILE *text = fopen(file, "re");
    char *line = NULL, *found;
    size_t room = 0;
    kivi_status status = KIVI_OK;

    if (!text)
        return kvi_rocks_fail_errno(error, errno, file, "cannot read the options");
    while (getline(&line, &room, text) > 0) {
        found = strstr(line, "comparator=");
        if (found && strncmp(line + strspn(line, " \t"), "comparator=", 11) == 0 &&
            !strstr(found, "leveldb.BytewiseComparator")) {
            *error = kvi_rocks_host->error(KIVI_UNSUPPORTED, 0, KIVI_RETRY_NO,
                                           "%s: another order of keys than that of their bytes", file);
            status = KIVI_UNSUPPORTED;
            break;
        }
    }
    free(line);
    fclose(text);
    return status;
}

/* The options of a file; those of the column family `default` stand for all. */
static kivi_status read_file(const rocks_settings *settings, rocks_tuning *tuning, kivi_error **error)
{
    rocksdb_options_t **of_families = NULL, *db = NULL;
    rocksdb_env_t *env = rocksdb_create_default_env();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(settings->cache);
    char place[2048] = "", **names = NULL, *failure = NULL;
    size_t count = 0;
    kivi_status status = check_text(settings->options_file, error);

    if (status == KIVI_OK)
        status = link_file(settings->options_file, place, sizeof(place), error);
    if (status == KIVI_OK)
        rocksdb_load_latest_options(place, env, true, cache, &db, &count, &names, &of_families, &failure);
    unlink_file(place);
    rocksdb_cache_destroy(cache);
    rocksdb_env_destroy(env);
    if (status != KIVI_OK)
        return status;
    if (failure) {
        rocksdb_free(failure);
        *error = kvi_rocks_host->error(KIVI_INVALID, 0, KIVI_RETRY_NO,
                                       "%s: not a file of RocksDB's options, or of another version",
                                       settings->options_file);
        return KIVI_INVALID;
    }
    tuning->db = rocksdb_options_create_copy(db);
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], "default") == 0)
            tuning->family = rocksdb_options_create_copy(of_families[i]);
    rocksdb_load_latest_options_destroy(db, names, of_families, count);
    return KIVI_OK;
}

/* Blocks are found by a filter first, and kept in a cache of their own. */
static void set_table(rocksdb_options_t *options, const rocks_settings *settings)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();

    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(10));
    if (settings->cache) {
        rocksdb_cache_t *cache = rocksdb_cache_create_lru(settings->cache);
        rocksdb_block_based_options_set_block_cache(table, cache);
        rocksdb_cache_destroy(cache);
    } else {
        rocksdb_block_based_options_set_no_block_cache(table, 1);
    }
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_block_based_options_destroy(table);
}

/*
 * Few logs, no threads that print figures. Debian's RocksDB has its assertions in, and one of them ends the process when a
 * second line is written to a log that a full disk refused: nothing is written there that is not fatal.
 */
static void set_quiet(rocksdb_options_t *options)
{
    rocksdb_options_set_info_log_level(options, LOG_FATAL_ALONE);
    rocksdb_options_set_keep_log_file_num(options, 2);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_stats_persist_period_sec(options, 0);
    rocksdb_options_set_skip_stats_update_on_db_open(options, 1);
}

kivi_status kvi_rocks_tuning_make(const rocks_settings *settings, rocks_tuning *tuning, kivi_error **error)
{
    bool file = settings->options_file != NULL;
    kivi_status status = file ? read_file(settings, tuning, error) : KIVI_OK;

    if (status != KIVI_OK)
        return status;
    if (!file) {
        tuning->db = rocksdb_options_create();
        set_quiet(tuning->db);
    }
    if (!tuning->family) {
        tuning->family = rocksdb_options_create();
        set_table(tuning->family, settings);
    }
    if (settings->compression >= 0)
        rocksdb_options_set_compression(tuning->family, settings->compression);
    if (!file || settings->write_buffer_set)
        rocksdb_options_set_write_buffer_size(tuning->family, settings->write_buffer);
    if (!file || settings->max_open_files_set)
        rocksdb_options_set_max_open_files(tuning->db, (int)settings->max_open_files);
    /* A reader beside a writer must have every table open: the writer removes them. */
    if (settings->read_only)
        rocksdb_options_set_max_open_files(tuning->db, -1);
    if (!file || settings->recovery_set)
        rocksdb_options_set_wal_recovery_mode(tuning->db, settings->recovery);
    rocksdb_options_set_create_if_missing(tuning->db, 0);
    rocksdb_options_set_error_if_exists(tuning->db, 0);
    /* A killed process loses nothing that it acknowledged. */
    rocksdb_options_set_manual_wal_flush(tuning->db, 0);
    return KIVI_OK;
}

void kvi_rocks_tuning_clear(rocks_tuning *tuning)
{
    if (tuning->db)
        rocksdb_options_destroy(tuning->db);
    if (tuning->family)
        rocksdb_options_destroy(tuning->family);
    *tuning = (rocks_tuning){NULL, NULL};
}
