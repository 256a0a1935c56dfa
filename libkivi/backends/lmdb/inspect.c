/*
 * Whether a file can be given to LMDB, which maps it and trusts it: a page that lies beyond the end of a
 * cut file would kill the process. Reads by pread() only.
 *
 * A sound file may be shorter than it says: pages that were made and given up within one transaction
 * are counted but never written. They are then in the database of free pages, so that is read as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "layout.h"

typedef struct inspection {
    int fd;
    uint64_t file_size, page_size, pages; /* pages: whole ones in the file */
    uint64_t missing;                     /* pages that should come after them */
    uint8_t *free_bits;                   /* which of those are known to be free */
    uint64_t visited;
} inspection;

/* Notes the pages of one record of the database of free pages. */
static void free_note(inspection *at, const uint8_t *list, uint64_t size)
{
    uint64_t count = size >= 8 ? get64(list) : 0;

    for (uint64_t i = 1; i <= count && i < size / 8; i++) {
        uint64_t page = get64(list + i * 8);
        if (page >= at->pages && page - at->pages < at->missing)
            at->free_bits[(page - at->pages) / 8] |= (uint8_t)(1 << (page - at->pages) % 8);
    }
}

/* A record that lies on pages of its own. */
static bool free_note_big(inspection *at, uint64_t page, uint64_t size)
{
    uint8_t *list;
    bool whole;

    if (page >= at->pages || size > at->file_size)
        return false;
    list = malloc(size ? size : 1);
    if (!list)
        return false;
    whole = read_at(at->fd, list, size, page * at->page_size + PAGE_HEADER);
    if (whole)
        free_note(at, list, size);
    free(list);
    return whole;
}

static bool free_walk(inspection *at, uint64_t page, unsigned depth);

static bool free_node(inspection *at, const uint8_t *bytes, size_t node, bool leaf, unsigned depth)
{
    uint64_t low, flags, key_size, big;

    if (node < PAGE_HEADER || node + NODE_HEADER > at->page_size)
        return false;
    low = get16(bytes + node) | (uint64_t)get16(bytes + node + 2) << 16;
    flags = get16(bytes + node + 4);
    key_size = get16(bytes + node + 6);
    if (!leaf)
        return free_walk(at, low | flags << 32, depth + 1);
    node += NODE_HEADER + key_size;
    if (flags & NODE_BIG) {
        if (node + sizeof(big) > at->page_size)
            return false;
        return free_note_big(at, get64(bytes + node), low);
    }
    if (node + low > at->page_size)
        return false;
    free_note(at, bytes + node, low);
    return true;
}

/* Walks the tree of free pages below a page; false: it is not whole. */
static bool free_walk(inspection *at, uint64_t page, unsigned depth)
{
    uint8_t *bytes;
    size_t count;
    bool leaf, whole = false;

    if (page == NO_PAGE)
        return true;
    if (depth > DEEPEST || page >= at->pages || ++at->visited > at->pages)
        return false;
    bytes = malloc(at->page_size);
    if (!bytes || !read_at(at->fd, bytes, at->page_size, page * at->page_size))
        goto out;
    leaf = get16(bytes + 10) & PAGE_LEAF;
    if (!leaf && !(get16(bytes + 10) & PAGE_BRANCH))
        goto out;
    count = get16(bytes + 12) < PAGE_HEADER ? 0 : (size_t)(get16(bytes + 12) - PAGE_HEADER) / 2;
    if (PAGE_HEADER + count * 2 > at->page_size)
        goto out;
    whole = true;
    for (size_t i = 0; i < count && whole; i++)
        whole = free_node(at, bytes, get16(bytes + PAGE_HEADER + i * 2), leaf, depth);
out:
    free(bytes);
    return whole;
}

/* Whether every page beyond the end of the file is a free one. */
static bool end_is_free(int fd, uint64_t file_size, const meta *newest)
{
    inspection at = {.fd = fd, .file_size = file_size, .page_size = newest->free.pad};
    bool whole;

    at.pages = file_size / at.page_size;
    if (newest->last_page < at.pages)
        return true;
    at.missing = newest->last_page + 1 - at.pages;
    /* Only a small part of a sound file is ever missing; this also bounds the memory. */
    if (at.missing > at.pages * 16 + (1u << 20))
        return false;
    at.free_bits = calloc(at.missing / 8 + 1, 1);
    if (!at.free_bits)
        return false;
    whole = free_walk(&at, newest->free.root, 0);
    for (uint64_t i = 0; i < at.missing && whole; i++)
        whole = at.free_bits[i / 8] >> i % 8 & 1;
    free(at.free_bits);
    return whole;
}

static kivi_status corrupt(const char *file, const char *what, kivi_error **error)
{
    KVI_LMDB_ERROR(error, KIVI_CORRUPT, MDB_INVALID, KIVI_RETRY_NO, "%s: %s", file, what);
    return KIVI_CORRUPT;
}

static kivi_status inspect(int fd, const char *file, kivi_error **error)
{
    struct stat info;
    meta first, second, *newest;

    if (fstat(fd, &info) != 0)
        return kvi_lmdb_fail(error, errno, file, "cannot read");
    if (info.st_size == 0)
        return KIVI_OK;
    if (sizeof(void *) != 8)
        return KIVI_OK;
    if (!meta_read(fd, 0, &first))
        return corrupt(file, "this is no LMDB file, or its beginning is damaged", error);
    if (first.version != VERSION)
        return corrupt(file, "another version of LMDB's format", error);
    if (first.free.pad < 512 || first.free.pad > 65536 || (first.free.pad & (first.free.pad - 1)))
        return corrupt(file, "its beginning is damaged", error);
    if (!meta_read(fd, first.free.pad, &second))
        return corrupt(file, "its second page is damaged or missing", error);
    newest = second.transaction > first.transaction ? &second : &first;
    if (newest->free.pad != first.free.pad)
        return corrupt(file, "its two first pages disagree", error);
    /* The file may have grown since, never shrunk. */
    if (fstat(fd, &info) != 0)
        return kvi_lmdb_fail(error, errno, file, "cannot read");
    if (!end_is_free(fd, (uint64_t)info.st_size, newest))
        return corrupt(file, "its end is missing: the file was cut", error);
    return KIVI_OK;
}

kivi_status kvi_lmdb_inspect(const char *file, kivi_error **error)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    kivi_status status;

    if (fd < 0)
        return errno == ENOENT ? KIVI_OK : kvi_lmdb_fail(error, errno, file, "cannot open");
    /* Another process may be writing the first two pages right now. */
    for (unsigned i = 0; i < 5; i++) {
        if (fstat(fd, &info) != 0 || info.st_size == 0 || info.st_size >= 8192)
            break;
        kvi_lmdb_sleep(2000000);
    }
    status = inspect(fd, file, error);
    close(fd);
    return status;
}
