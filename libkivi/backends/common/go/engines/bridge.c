/* The C half of the Go library: what Go calls of C, and the table of what C calls of Go. */
#include <unistd.h>

#include "bridge.h"

#include "_cgo_export.h"

static kvi_go_host host;
static pid_t loaded_in;

__attribute__((constructor)) static void note_process(void)
{
    loaded_in = getpid();
}

static int32_t process(void)
{
    return loaded_in;
}

int64_t kvi_go_clock_ms(void)
{
    return host.clock_ms();
}

int64_t kvi_go_expires(int64_t ttl_ms)
{
    return host.expires(ttl_ms);
}

void *kvi_go_item_error(int32_t status, void *text)
{
    return host.item_error(status, text);
}

int32_t kvi_go_increment(void *vector, void *item, void *old, uint64_t size, bool there, kivi_slice *bytes)
{
    return host.increment(vector, item, there ? &(kivi_slice){old, size} : NULL, bytes);
}

int32_t kvi_go_deliver(void *vector, void *item, void *data, uint64_t size)
{
    return host.deliver(vector, item, data, size);
}

int32_t kvi_go_flush(void *scan)
{
    return host.flush(scan);
}

int32_t kvi_go_pair(void *scan, void *key, uint64_t key_size, void *value, uint64_t size, int64_t ttl_ms)
{
    return host.pair(scan, key, key_size, value, size, ttl_ms);
}

/* What cgo exports has no const. */
static const kvi_go_engines engines = {
    .version = KVI_GO_VERSION,
    .process = process,
    .open = (int32_t(*)(int32_t, const kvi_go_settings *, kvi_go_opened *, kvi_go_failure *))kvi_go_open,
    .close = kvi_go_close,
    .attach = (int32_t(*)(uint64_t, const char *, uint64_t *, int32_t *, kvi_go_failure *))kvi_go_attach,
    .detach = kvi_go_detach,
    .read = (int32_t(*)(uint64_t, const kvi_go_read *, kvi_go_failure *))kvi_go_read_vector,
    .take = kvi_go_take,
    .write = kvi_go_write,
    .scan = kvi_go_scan_page,
    .count = kvi_go_count,
};

const kvi_go_engines *kvi_go_start(const kvi_go_host *its_host);

__attribute__((visibility("default"))) const kvi_go_engines *kvi_go_start(const kvi_go_host *its_host)
{
    if (process() != getpid())
        return &engines; /* which says so: nothing in it is to be called */
    if (!host.clock_ms)
        host = *its_host; /* every plugin brings the same */
    kvi_go_awake();
    return &engines;
}
