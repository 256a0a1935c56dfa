/* What LMDB's and the system's error codes mean to a caller. */
#include <errno.h>

#include "engine.h"

kivi_status kvi_lmdb_status(int rc)
{
    switch (rc) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
        return KIVI_CORRUPT;
    case MDB_MAP_FULL:
    case MDB_MAP_RESIZED:
    case MDB_READERS_FULL:
    case EAGAIN:
    case EBUSY:
        return KIVI_BUSY;
    case MDB_TXN_FULL:
    case MDB_BAD_VALSIZE:
        return KIVI_TOO_LARGE;
    case MDB_INCOMPATIBLE:
        return KIVI_WRONG_TYPE;
    case ENOMEM:
        return KIVI_NO_MEMORY;
    case EACCES:
    case EPERM:
    case EROFS:
        return KIVI_DENIED;
    case ENOTDIR:
    case EISDIR:
    case ENOENT:
    case ENAMETOOLONG:
    case ELOOP:
        return KIVI_INVALID;
    default:
        return rc > 0 || rc == MDB_PANIC ? KIVI_IO : KIVI_INTERNAL;
    }
}

/* What a user can do about it, where the code's own words do not say. */
static const char *advice(int rc)
{
    switch (rc) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
        return "the file is damaged; restore it from a backup";
    case MDB_VERSION_MISMATCH:
        return "another format of LMDB, or another build of it has the file open";
    case MDB_PANIC:
        return "LMDB has had a fatal error with this file and could not be opened again yet";
    case MDB_TXN_FULL:
        return "too much for one transaction";
    case EROFS:
        return "it lies on a medium that cannot be written: to read it say read_only=true";
    case EIO:
        return "the disk failed, or is full";
    default:
        return rc > 0 ? strerror(rc) : mdb_strerror(rc);
    }
}

/* Nothing was applied, and the session is as good as before. */
static kivi_retryable retryable(int rc, kivi_status status)
{
    if (status == KIVI_BUSY || status == KIVI_NO_MEMORY || rc == MDB_TXN_FULL)
        return KIVI_RETRY_YES;
    switch (rc) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EIO: /* what LMDB says of a write that the disk had room for half of, too */
    case EMFILE:
    case ENFILE:
        return KIVI_RETRY_LATER; /* once somebody made room */
    default:
        return KIVI_RETRY_NO;
    }
}

kivi_status kvi_lmdb_fail(kivi_error **error, int rc, const char *file, const char *what)
{
    kivi_status status = kvi_lmdb_status(rc);

    KVI_LMDB_ERROR(error, status, rc, retryable(rc, status), "%s: %s: %s", file, what, advice(rc));
    return status;
}

kivi_status kvi_lmdb_gave_up(kivi_error **error, kivi_status status, const char *file, const char *what)
{
    KVI_LMDB_ERROR(error, status, 0, KIVI_RETRY_YES, "%s: gave up waiting: %s", file, what);
    return status;
}
