/* What Go calls of C, and the core's table. */
#include "internal.h"

const kivi_host *kvi_go_core;

static int64_t clock_ms(void)
{
    return kvi_go_core->clock_ms();
}

static int64_t expires(int64_t ttl_ms)
{
    return kvi_go_core->expires(ttl_ms);
}

static kivi_error *item_error(int32_t status, const char *text)
{
    return kvi_go_core->error(status, 0, KIVI_RETRY_NO, "%s", text);
}

static int32_t increment(kivi_write_vector *vector, kivi_write_item *item, const kivi_slice *old,
                         kivi_slice *bytes)
{
    return vector->increment(vector, item, old, bytes);
}

static int32_t deliver(kivi_read_vector *vector, kivi_read_item *item, const void *data, uint64_t size)
{
    return vector->deliver(vector, item, kivi_bytes(data, size), kivi_bytes(NULL, 0));
}

static void remember(kvi_go_scan *scan, const void *key, uint64_t size)
{
    memcpy(scan->last, key, size);
    scan->last_size = size;
}

static int32_t pair(kvi_go_scan *scan, const void *key, uint64_t key_size, const void *value,
                    uint64_t size, int64_t ttl_ms)
{
    scan->status = scan->sink->pair(scan->sink, kivi_bytes(key, key_size), kivi_bytes(value, size),
                                    ttl_ms);
    if (!scan->status || scan->status == KIVI_END)
        remember(scan, key, key_size);
    return scan->status;
}

/* Hands over what lies in the arena. Pairs that follow the one with which the sink has enough are another page's. */
static int32_t flush(kvi_go_scan *scan)
{
    const uint8_t *at = scan->arena, *end = at + scan->used, *key = NULL;
    uint32_t sizes[2] = {0, 0};
    scan->used = 0;
    scan->status = KIVI_OK;
    while (at < end && !scan->status) {
        int64_t ttl_ms;
        memcpy(sizes, at, sizeof(sizes));
        memcpy(&ttl_ms, at + sizeof(sizes), sizeof(ttl_ms));
        key = at + sizeof(sizes) + sizeof(ttl_ms);
        at = key + sizes[0] + sizes[1];
        scan->status = scan->sink->pair(scan->sink, kivi_bytes(key, sizes[0]),
                                        kivi_bytes(key + sizes[0], sizes[1]), ttl_ms);
    }
    if (key && (!scan->status || scan->status == KIVI_END))
        remember(scan, key, sizes[0]);
    if (at < end)
        scan->more = 1;
    return scan->status;
}

const kvi_go_host kvi_go_callbacks = {clock_ms, expires, item_error, increment,
                                      deliver,  flush,   pair};
