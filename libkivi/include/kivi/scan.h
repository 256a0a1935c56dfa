/* Scans: all keys under a prefix, in pages or one by one; counting and clearing them. */
#ifndef KIVI_SCAN_H
#define KIVI_SCAN_H

#include <kivi/store.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    KIVI_SCAN_KEYS = 1 << 0,       /**< keys only: values are empty; keys of other types come too */
    KIVI_SCAN_WANT_EXPIRY = 1 << 1 /**< return each pair's time left; may cost a look-up each */
};

/** What to scan. NULL stands for everything in the namespace. */
typedef struct kivi_range {
    uint32_t struct_size; /**< sizeof(kivi_range) */
    uint32_t flags;       /**< KIVI_SCAN_KEYS, KIVI_SCAN_WANT_EXPIRY */
    kivi_slice prefix;    /**< bytes that keys begin with; empty: all */
    kivi_slice after; /**< only keys beyond this one; UNSUPPORTED where capabilities' order is not bytes */
    kivi_slice cursor; /**< go on where a page ended; its prefix must be the same (INVALID) */
    uint64_t limit; /**< a page: at most so many pairs; a scan: in all. 0: a page's default of 1,000; a scan: no limit */
} kivi_range;

#define KIVI_RANGE_INIT                                           \
    {                                                             \
        sizeof(kivi_range), 0, {NULL, 0}, {NULL, 0}, {NULL, 0}, 0 \
    }

/** One pair of a scan. */
typedef struct kivi_pair {
    uint32_t struct_size; /**< sizeof(kivi_pair), set by the caller */
    uint32_t flags;       /**< 0 */
    kivi_slice key;
    kivi_slice value;
    int64_t ttl_ms; /**< time left if asked for, at least 1; KIVI_TTL_NONE: never expires, or not asked */
} kivi_pair;

#define KIVI_PAIR_INIT                                \
    {                                                 \
        sizeof(kivi_pair), 0, {NULL, 0}, {NULL, 0}, 0 \
    }

/** One page of pairs, with the memory they lie in; holds its store. One thread at a time. */
typedef struct kivi_page kivi_page;

/**
 * Reads one page. It may be empty and still have a cursor; a page without one is the last. Keys come in
 * order of their bytes where capabilities' `order` says so. Since 0.1.
 */
KIVI_API kivi_status kivi_store_page(kivi_store *store, const kivi_call *call,
                                     const kivi_range *range, kivi_page **page, kivi_error **error);
/** How many pairs it has. Since 0.1. */
KIVI_API size_t kivi_page_count(const kivi_page *page);
/** The pair at a position; its slices live as long as the page. INVALID past the end. Since 0.1. */
KIVI_API kivi_status kivi_page_pair(const kivi_page *page, size_t index, kivi_pair *pair);
/** Where the next page begins: opaque bytes that may be kept and used by another process. Empty: the end. Since 0.1. */
KIVI_API kivi_slice kivi_page_cursor(const kivi_page *page);
/** The same, but never empty: behind the last page it is a cursor that gives nothing more. For who goes on later. Since 0.1. */
KIVI_API kivi_slice kivi_page_end(const kivi_page *page);
/** Frees it; NULL is nothing. Since 0.1. */
KIVI_API void kivi_page_free(kivi_page *page);

/** A scan in progress: reads page after page. Holds its store; one thread at a time. */
typedef struct kivi_scan kivi_scan;

/** Begins a scan; reads nothing yet. Since 0.1. */
KIVI_API kivi_status kivi_store_scan(kivi_store *store, const kivi_range *range, kivi_scan **scan,
                                     kivi_error **error);
/** The next pair, valid until the next call on this scan; END after the last. Each page has the call's deadline. Since 0.1. */
KIVI_API kivi_status kivi_scan_next(kivi_scan *scan, const kivi_call *call, kivi_pair *pair,
                                    kivi_error **error);
/** Ends it; NULL is nothing. Since 0.1. */
KIVI_API void kivi_scan_free(kivi_scan *scan);

/** Counts the keys under a prefix; on most stores by walking them. Since 0.1. */
KIVI_API kivi_status kivi_store_count(kivi_store *store, const kivi_call *call, kivi_slice prefix,
                                      uint64_t *count, kivi_error **error);

enum {
    KIVI_CLEAR_ALL = 1 << 0 /**< yes, everything: needed for the empty prefix on a shared keyspace */
};

/**
 * Deletes every key under a prefix, in pages, and returns how many in `*cleared` (may be NULL), also
 * when it fails on the way: calling again goes on. The empty prefix clears the namespace or, without one,
 * the whole store; where that is a keyspace shared with others it is INVALID without KIVI_CLEAR_ALL. Since 0.1.
 */
KIVI_API kivi_status kivi_store_clear(kivi_store *store, const kivi_call *call, kivi_slice prefix,
                                      uint32_t flags, uint64_t *cleared, kivi_error **error);

#ifdef __cplusplus
}
#endif
#endif
