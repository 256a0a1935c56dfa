/* Where a store lies, and what is there: RocksDB itself would take any folder, and begin anew in a damaged one. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rocks.h"

static kivi_status refuse(kivi_error **error, kivi_status status, const char *path, const char *why)
{
    *error = kvi_rocks_host->error(status, 0, KIVI_RETRY_NO, "%s: %s", path, why);
    return status;
}

static kivi_status make(const char *path, const rocks_settings *settings, kivi_error **error)
{
    if (settings->read_only || !settings->create)
        return refuse(error, KIVI_INVALID, path, "there is no such folder, and it is not to be made");
    if (mkdir(path, settings->mode) != 0 && errno != EEXIST)
        return kvi_rocks_fail_errno(error, errno, path, "cannot make the folder");
    return KIVI_OK;
}

kivi_status kvi_rocks_folder_find(const char *path, const rocks_settings *settings, char **folder,
                                  kivi_error **error)
{
    struct stat info;
    kivi_status status = KIVI_OK;

    if (!path || !*path)
        return refuse(error, KIVI_INVALID, "rocksdb", "no path: say rocksdb:FOLDER");
    if (stat(path, &info) != 0)
        status = errno == ENOENT ? make(path, settings, error)
                                 : kvi_rocks_fail_errno(error, errno, path, "cannot open");
    else if (!S_ISDIR(info.st_mode))
        status = refuse(error, KIVI_INVALID, path, "not a folder");
    if (status != KIVI_OK)
        return status;
    *folder = realpath(path, NULL);
    if (!*folder)
        return kvi_rocks_fail_errno(error, errno, path, "cannot open");
    if (!settings->read_only && access(*folder, R_OK | W_OK | X_OK) != 0) {
        status = kvi_rocks_fail_errno(error, errno, path, "cannot write there (read_only=true reads)");
        free(*folder);
        *folder = NULL;
    }
    return status;
}

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static bool ends(const char *name, const char *with)
{
    size_t size = strlen(name), less = strlen(with);
    return size > less && strcmp(name + size - less, with) == 0;
}

/* What the names in a folder say. */
typedef struct names {
    bool current, logs, others;
    unsigned tables;
} names;

static void read_name(names *seen, int folder, const char *name)
{
    struct stat info;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0)
        return;
    if (strcmp(name, "CURRENT") == 0)
        seen->current = true;
    else if (ends(name, ".sst") || ends(name, ".ldb") || ends(name, ".blob"))
        seen->tables++;
    else if (ends(name, ".log"))
        seen->logs = seen->logs || fstatat(folder, name, &info, 0) != 0 || info.st_size > 0;
    else if (!begins(name, "MANIFEST-") && !begins(name, "OPTIONS-") && !begins(name, "LOG") &&
             !begins(name, "KIVI") && strcmp(name, "IDENTITY") != 0 && strcmp(name, "LOCK") != 0 &&
             !ends(name, ".dbtmp"))
        seen->others = true;
}

kivi_status kvi_rocks_folder_look(const rocks_engine *engine, rocks_contents *contents,
                                  unsigned *tables, kivi_error **error)
{
    DIR *folder = opendir(engine->folder);
    struct dirent *entry;
    names seen = {.tables = 0};

    *contents = ROCKS_NOTHING;
    if (!folder)
        return kvi_rocks_fail_errno(error, errno, engine->folder, "cannot open");
    while ((entry = readdir(folder)))
        read_name(&seen, dirfd(folder), entry->d_name);
    closedir(folder);
    *tables = seen.tables;
    if (seen.current) {
        *contents = ROCKS_DATABASE;
        return KIVI_OK;
    }
    /* RocksDB would make a new database there, and remove the tables of the old one. */
    if (seen.tables || seen.logs)
        return refuse(error, KIVI_CORRUPT, engine->folder,
                      "holds tables or logs of RocksDB, but no CURRENT: it is damaged");
    if (seen.others)
        return refuse(error, KIVI_INVALID, engine->folder,
                      "holds other files, and is no folder of RocksDB");
    if (engine->settings.read_only || !engine->settings.create)
        return refuse(error, KIVI_INVALID, engine->folder, "holds no database, and none is to be made");
    return KIVI_OK;
}
