/* Walking: pages of stored pairs under a prefix, with strangers and what lies outside left out. */
#include "walk.h"

#include "../base/limits.h"
#include "../lanes/run.h"

kivi_status kvi_walk_begin(kvi_walk *walk, kivi_slice after)
{
    kvi_context *ctx = walk->ctx;
    const kivi_capabilities *can = &ctx->store->instance.capabilities;
    if (can->scan == KIVI_ABSENT)
        return kvi_context_fail(ctx, KIVI_UNSUPPORTED, "%s: this store cannot list its keys", ctx->verb);
    if (after.size && kvi_order(ctx->store) != KIVI_ORDER_BYTES)
        return kvi_context_fail(ctx, KIVI_UNSUPPORTED,
                                "%s: `after` on a store whose keys have no order", ctx->verb);
    walk->takes_all = ctx->store->plain_keys && walk->prefix.size == 0;
    kivi_status status = kvi_prefix_append(ctx, walk->prefix, &walk->stored_prefix);
    if (!status && after.size)
        status = kvi_key_append(ctx, after, &walk->after);
    return status;
}

static kivi_status walk_cursor(kivi_scan_sink *sink, kivi_slice cursor)
{
    kvi_walk *walk = sink->owner;
    uint64_t most = KIVI_CURSOR_MOST(walk->ctx->store->instance.max_stored_key);
    walk->cursor_size = cursor.size;
    return cursor.size > most ? KIVI_INTERNAL : kivi_buffer_assign(&walk->next_cursor, cursor);
}

static void walk_reset(void *owner)
{
    kvi_walk *walk = owner;
    walk->next_cursor.size = 0;
    walk->cursor_size = 0;
    walk->strangers = 0;
    walk->reset(walk);
}

/* The words for a failure of walk->pair or walk_cursor, which the backend passed on as it is. */
static kivi_status explain(kvi_walk *walk, kivi_status status)
{
    kvi_context *ctx = walk->ctx;
    if (ctx->error)
        return status;
    if (status == KIVI_INTERNAL && walk->cursor_size)
        return kvi_context_fail(
            ctx, status, "the backend gave a cursor of %zu bytes; %llu are the most", walk->cursor_size,
            (unsigned long long)KIVI_CURSOR_MOST(ctx->store->instance.max_stored_key));
    if (status == KIVI_NO_MEMORY)
        return kvi_context_fail(ctx, status, "no memory for a page");
    return status;
}

kivi_status kvi_walk_page(kvi_walk *walk, uint64_t limit)
{
    kvi_context *ctx = walk->ctx;
    kivi_scan_range range = {
        .struct_size = sizeof(range),
        .flags = walk->flags,
        .prefix = kivi_buffer_slice(&walk->stored_prefix),
        .after = walk->cursor.size ? kivi_bytes(NULL, 0) : kivi_buffer_slice(&walk->after),
        .cursor = kivi_buffer_slice(&walk->cursor),
        .limit = limit,
    };
    kivi_scan_sink sink = {sizeof(sink), 0, walk->pair, walk_cursor, walk};
    kivi_status status = kvi_run_scan(ctx, &range, &sink, walk_reset);
    if (status)
        return explain(walk, status);
    kivi_buffer old = walk->cursor;
    walk->cursor = walk->next_cursor;
    walk->next_cursor = old;
    if (walk->strangers)
        atomic_fetch_add_explicit(&ctx->store->strangers, walk->strangers, memory_order_relaxed);
    return KIVI_OK;
}

void kvi_walk_free(kvi_walk *walk)
{
    kivi_buffer_free(&walk->stored_prefix);
    kivi_buffer_free(&walk->after);
    kivi_buffer_free(&walk->cursor);
    kivi_buffer_free(&walk->next_cursor);
    kivi_buffer_free(&walk->decoded);
}
