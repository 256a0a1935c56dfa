/* Pages of stored pairs under a prefix. */
#ifndef KVI_WALK_H
#define KVI_WALK_H

#include "../core.h"

/* A walk under a prefix, page after page, for whoever wants its pairs. */
typedef struct kvi_walk {
    kvi_context *ctx;
    kivi_slice prefix; /* the caller's */
    uint32_t flags;    /* KIVI_SCAN_* */
    kivi_buffer stored_prefix, after, cursor, next_cursor;
    size_t cursor_size; /* of the cursor that the page in progress gave; 0: none */
    kivi_buffer decoded;
    uint64_t strangers; /* of the page in progress */
    /* One pair of ours under the prefix; `stored` is its stored key. KIVI_END: enough for this page. */
    kivi_status (*pair)(struct kvi_walk *walk, kivi_slice key, kivi_slice stored, kivi_slice value,
                        int64_t ttl_ms);
    /* The page begins, or begins again: forget what came. */
    void (*reset)(struct kvi_walk *walk);
    void *owner;
} kvi_walk;

/* Prepares a walk whose ctx, prefix, flags, pair, reset and owner are set. End with kvi_walk_free() also on failure. */
kivi_status kvi_walk_begin(kvi_walk *walk, kivi_slice after);
/* Reads one page of up to `limit` stored pairs. Afterwards walk->cursor is empty at the end. */
kivi_status kvi_walk_page(kvi_walk *walk, uint64_t limit);
void kvi_walk_free(kvi_walk *walk);

#endif
