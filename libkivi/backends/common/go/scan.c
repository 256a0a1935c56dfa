/* Scans and counts: Go fills an arena with pairs, C hands them on. */
#include <stdlib.h>

#include "internal.h"

#define ARENA 65536
#define CURSOR_TAG 1 /* first byte of our cursors: the last key follows */

/* The key that a page begins behind. */
static kivi_status where(const kvi_go_store *store, const kivi_scan_range *range,
                         kivi_slice *behind, kivi_error **error)
{
    const uint8_t *bytes = range->cursor.data;

    *behind = range->after;
    if (range->cursor.size == 0)
        return KIVI_OK;
    if (range->cursor.size < 2 || bytes[0] != CURSOR_TAG)
        return KVI_GO_FAIL(error, KIVI_INVALID, 0, KIVI_RETRY_NO, "%s: not a cursor of this store",
                           store->file->settings.path);
    *behind = kivi_bytes(bytes + 1, range->cursor.size - 1);
    return KIVI_OK;
}

/* With room for the cursor: a byte, then the last key. */
static kvi_go_scan *scan_new(const kvi_go_store *store, size_t arena, kivi_error **error)
{
    kvi_go_scan *scan = malloc(sizeof(*scan) + arena + 1 + store->max_key);

    if (!scan) {
        kvi_go_no_memory(error);
        return NULL;
    }
    memset(scan, 0, sizeof(*scan));
    scan->arena = (uint8_t *)(scan + 1);
    scan->room = arena;
    scan->last = scan->arena + arena + 1;
    scan->last[-1] = CURSOR_TAG;
    scan->last_room = store->max_key;
    return scan;
}

static kivi_status page(const kvi_go_store *store, kvi_go_scan *scan, kivi_error **error)
{
    kvi_go_failure failure;
    kivi_status status = kvi_go_library->scan(store->id, scan, &failure);

    if (status)
        return kvi_go_fail(error, &failure);
    if (scan->used)
        kvi_go_callbacks.flush(scan);
    if (scan->status && scan->status != KIVI_END)
        return scan->status; /* the sink's own: the core knows why */
    if (!scan->more)
        return KIVI_OK;
    return scan->sink->cursor(scan->sink, kivi_bytes(scan->last - 1, scan->last_size + 1));
}

kivi_status kvi_go_scan_verb(void *instance, void *session, const kivi_scan_range *range,
                             kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error)
{
    kvi_go_store *store = instance;
    kivi_slice behind;
    kivi_status status = where(store, range, &behind, error);
    kvi_go_scan *scan;

    (void)session;
    if (status)
        return status;
    scan = scan_new(store, ARENA, error);
    if (!scan)
        return KIVI_NO_MEMORY;
    scan->prefix = range->prefix;
    scan->behind = behind;
    scan->limit = range->limit;
    scan->flags = range->flags;
    scan->sink = sink;
    kvi_go_mind_handlers();
    status = kvi_go_begin(store, false, wait, error);
    if (!status) {
        status = page(store, scan, error);
        kvi_go_end(store, false);
    }
    free(scan);
    return status;
}

/* In stretches, between which nothing is held. */
static kivi_status count_on(kvi_go_store *store, kvi_go_scan *scan, kivi_wait *wait, kivi_error **error)
{
    kvi_go_failure failure;
    kivi_status status = kvi_go_begin(store, false, wait, error);

    if (status)
        return status;
    scan->more = 0;
    status = kvi_go_library->count(store->id, scan, &failure);
    kvi_go_end(store, false);
    if (status)
        return kvi_go_fail(error, &failure);
    status = scan->more ? kivi_wait_check(wait) : KIVI_OK;
    if (status)
        return KVI_GO_FAIL(error, status, 0, KIVI_RETRY_YES, "%s: gave up waiting: counting",
                           store->file->settings.path);
    return KIVI_OK;
}

/* Keys are as they are, none escaped, but for those of the engine's own: it counts none of them. */
kivi_status kvi_go_count_verb(void *instance, void *session, kivi_count *count, kivi_wait *wait,
                              kivi_error **error)
{
    kvi_go_scan *scan = scan_new(instance, 0, error);
    kivi_status status = KIVI_OK;
    uint8_t *behind = NULL;

    (void)session;
    if (!scan)
        return KIVI_NO_MEMORY;
    scan->prefix = count->prefix;
    do {
        free(behind);
        behind = malloc(scan->last_size + 1);
        if (!behind) {
            status = kvi_go_no_memory(error);
            break;
        }
        memcpy(behind, scan->last, scan->last_size);
        scan->behind = kivi_bytes(behind, scan->last_size);
        status = count_on(instance, scan, wait, error);
    } while (!status && scan->more);
    count->names = scan->names;
    free(behind);
    free(scan);
    return status;
}
