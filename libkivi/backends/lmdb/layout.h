/* How LMDB lays its file out on 64-bit machines, for those who look at one before LMDB trusts it. */
#ifndef KVI_LMDB_LAYOUT_H
#define KVI_LMDB_LAYOUT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define PAGE_HEADER 16
#define PAGE_BRANCH 0x01
#define PAGE_LEAF 0x02
#define PAGE_OVERFLOW 0x04
#define PAGE_META 0x08
#define NODE_HEADER 8
#define NODE_BIG 0x01
#define NODE_DATABASE 0x02
#define MAGIC 0xBEEFC0DEu
#define VERSION 1u
#define NO_PAGE UINT64_MAX
#define FIRST_PAGE 2 /* behind the two that describe the file */
#define DEEPEST 32

typedef struct database {
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
} database;

/* What a meta page says. */
typedef struct meta {
    uint32_t magic, version;
    uint64_t address, map_size;
    database free, data; /* free.pad is the page size */
    uint64_t last_page, transaction;
} meta;

static inline uint16_t get16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static inline bool read_at(int fd, void *bytes, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (uint8_t *)bytes + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

/* Reads one of the two meta pages; false: it is none. */
static inline bool meta_read(int fd, uint64_t offset, meta *answer)
{
    uint8_t bytes[PAGE_HEADER + sizeof(meta)];

    if (!read_at(fd, bytes, sizeof(bytes), offset) || !(get16(bytes + 10) & PAGE_META))
        return false;
    memcpy(answer, bytes + PAGE_HEADER, sizeof(*answer));
    return answer->magic == MAGIC;
}

#endif
