/* What RocksDB's errors mean. Its C interface gives texts alone: their class is read, the rest is never passed on. */
#include <errno.h>
#include <stdlib.h>

#include "../../core/base/platform.h"
#include "rocks.h"

/* How a text of a class begins, and what that is to a caller. */
typedef struct class_of {
    const char *words;
    kivi_status status;
    kivi_retryable retryable;
    const char *why;
} class_of;

static const class_of classes[] = {
    {"Corruption", KIVI_CORRUPT, KIVI_RETRY_NO, "its files are damaged; restore them from a backup"},
    {"Not implemented", KIVI_UNSUPPORTED, KIVI_RETRY_NO, "this build of RocksDB cannot do that"},
    {"Invalid argument", KIVI_INVALID, KIVI_RETRY_NO,
     "RocksDB refused the options, or the folder was written with others"},
    {"IO error", KIVI_IO, KIVI_RETRY_LATER, "the disk failed, or is full"},
    {"Merge in progress", KIVI_UNSUPPORTED, KIVI_RETRY_NO, "the key holds merges of another program"},
    {"Result incomplete", KIVI_BUSY, KIVI_RETRY_YES, "compaction is far behind"},
    {"Shutdown in progress", KIVI_CLOSED, KIVI_RETRY_NO, "it is being closed"},
    {"Operation timed out", KIVI_BUSY, KIVI_RETRY_YES, "RocksDB waited too long"},
    {"Operation aborted", KIVI_BUSY, KIVI_RETRY_YES, "RocksDB gave up"},
    {"Resource busy", KIVI_BUSY, KIVI_RETRY_YES, "RocksDB is busy"},
    {"Operation failed. Try again.", KIVI_BUSY, KIVI_RETRY_YES, "RocksDB asks to try again"},
    {"Column family dropped", KIVI_BUSY, KIVI_RETRY_NO, "its column family was dropped"},
};

/* The system's failures that a class of RocksDB's may stand for: it puts the system's words at the end. */
static const struct {
    int code;
    kivi_status status;
    kivi_retryable retryable;
} causes[] = {
    {ENOSPC, KIVI_IO, KIVI_RETRY_LATER},   {EDQUOT, KIVI_IO, KIVI_RETRY_LATER},
    {EFBIG, KIVI_IO, KIVI_RETRY_LATER},    {EMFILE, KIVI_IO, KIVI_RETRY_LATER},
    {ENFILE, KIVI_IO, KIVI_RETRY_LATER},   {EACCES, KIVI_DENIED, KIVI_RETRY_NO},
    {EPERM, KIVI_DENIED, KIVI_RETRY_NO},   {EROFS, KIVI_DENIED, KIVI_RETRY_NO},
    {ENOENT, KIVI_CORRUPT, KIVI_RETRY_NO}, {ENOMEM, KIVI_NO_MEMORY, KIVI_RETRY_YES},
};

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), less = strlen(end);
    return less && size >= less && strcmp(text + size - less, end) == 0;
}

static void find_cause(const char *text, rocks_failure *failure)
{
    char words[128];

    for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++) {
        const char *said = kvi_errno_text(causes[i].code, words, sizeof(words));
        if (!ends_with(text, said))
            continue;
        failure->code = causes[i].code;
        failure->status = causes[i].status;
        failure->retryable = causes[i].retryable;
        failure->why = failure->code == ENOENT ? "one of its files is missing" : NULL;
        return;
    }
}

rocks_failure kvi_rocks_classify(const char *text)
{
    rocks_failure failure = {.status = KIVI_INTERNAL, .retryable = KIVI_RETRY_NO, .why = "RocksDB failed"};

    for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++) {
        size_t size = strlen(classes[i].words);
        if (strncmp(text, classes[i].words, size) != 0 ||
            (text[size] != ':' && classes[i].words[size - 1] != '.'))
            continue;
        failure.status = classes[i].status;
        failure.retryable = classes[i].retryable;
        failure.why = classes[i].why;
        break;
    }
    failure.stalled = failure.status == KIVI_BUSY;
    failure.unapplied = failure.stalled;
    if (failure.status != KIVI_IO)
        return failure;
    failure.locked = strstr(text, "While lock file: ") || strncmp(text, "IO error: lock ", 15) == 0;
    /* What was not written whole is no part of the log. A failed sync may have left all of it there. */
    failure.unapplied = strstr(text, "While appending to file: ") ||
                        strstr(text, "While open a file for appending: ");
    find_cause(text, &failure);
    return failure;
}

kivi_status kvi_rocks_fail(kivi_error **error, char *text, const char *folder, const char *what)
{
    rocks_failure failure = kvi_rocks_classify(text);
    char words[128];

    rocksdb_free(text);
    *error = kvi_rocks_host->error(
        failure.status, failure.code, failure.retryable, "%s: %s: %s", folder, what,
        failure.why ? failure.why : kvi_errno_text(failure.code, words, sizeof(words)));
    return failure.status;
}

kivi_status kvi_rocks_fail_errno(kivi_error **error, int code, const char *path, const char *what)
{
    kivi_status status = KIVI_IO;
    kivi_retryable retryable = KIVI_RETRY_LATER;
    char words[128];

    for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++) {
        if (causes[i].code == code) {
            status = causes[i].status;
            retryable = causes[i].retryable;
        }
    }
    if (code == ENOENT || code == ENOTDIR || code == ENAMETOOLONG || code == ELOOP) {
        status = KIVI_INVALID;
        retryable = KIVI_RETRY_NO;
    }
    *error = kvi_rocks_host->error(status, code, retryable, "%s: %s: %s", path, what,
                                   kvi_errno_text(code, words, sizeof(words)));
    return status;
}

kivi_status kvi_rocks_no_memory(kivi_error **error, const char *folder)
{
    return kvi_rocks_fail_errno(error, ENOMEM, folder, "cannot go on");
}
