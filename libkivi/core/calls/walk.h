/* Pages of stored pairs under a prefix. */
#ifndef KVI_WALK_H
#define KVI_WALK_H

#include "../store/keys.h"

/* A walk under a prefix, page after page, for whoever wants its pairs. */
typedef struct kvi_walk {
    kvi_context *ctx;
    kivi_slice prefix; /* the caller's */
    uint32_t flags;    /* KIVI_SCAN_* */
    bool takes_all;    /* each stored name, but an empty one, is a key that is wanted */
    kivi_buffer stored_prefix, after, cursor, next_cursor;
    size_t cursor_size; /* of the cursor that the page in progress gave; 0: none */
    kivi_buffer decoded;
    uint64_t strangers; /* of the page in progress */
    /* A sink's `pair`, with the walk as the sink's owner. Begins with kvi_walk_key(). */
    kivi_status (*pair)(kivi_scan_sink *sink, kivi_slice stored, kivi_slice value, int64_t ttl_ms);
    /* The page begins, or begins again: forget what came. */
    void (*reset)(struct kvi_walk *walk);
    void *owner;
} kvi_walk;

/* Prepares a walk whose ctx, prefix, flags, pair, reset and owner are set. End with kvi_walk_free() also on failure. */
kivi_status kvi_walk_begin(kvi_walk *walk, kivi_slice after);
/* Reads one page of up to `limit` stored pairs. Afterwards walk->cursor is empty at the end. */
kivi_status kvi_walk_page(kvi_walk *walk, uint64_t limit);
void kvi_walk_free(kvi_walk *walk);

/* The key of a pair that came; false: it is not ours, or has failed: return `*status`. Inline: it is part of each pair. */
static inline bool kvi_walk_key(kvi_walk *walk, kivi_slice stored, kivi_slice *key, kivi_status *status)
{
    *status = kvi_key_read(walk->ctx->store, stored, &walk->decoded, key);
    if (KVI_UNLIKELY(*status)) {
        bool strange = *status == KIVI_CORRUPT;
        walk->strangers += strange;
        *status = strange ? KIVI_OK : *status;
        return false;
    }
    return kvi_slice_begins(*key, walk->prefix);
}

#endif
