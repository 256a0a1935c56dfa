/* list: a sorted list in this process's memory, as a whole backend. See libkivi/docs/add-a-backend.md. */
#include <kivi/backend.h>

#include <pthread.h>
#include <stdlib.h>

typedef struct entry {
    struct entry *next;
    int64_t expires;       /* the last ms in which the key is there; 0: never expires */
    kivi_slice key, value; /* both lie behind this struct */
} entry;

static const kivi_host *host;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static entry *first; /* in the order of the keys' bytes; under the mutex */

static int compare(kivi_slice a, kivi_slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* The link to the entry with the first key that is not less. */
static entry **seek(kivi_slice key)
{
    entry **at = &first;
    while (*at && compare((*at)->key, key) < 0)
        at = &(*at)->next;
    return at;
}

static void drop(entry **at)
{
    entry *gone = *at;
    *at = gone->next;
    free(gone);
}

/* Takes the lock and drops what has expired: nothing below ever meets it. Also before a fork. */
static void begin(void *instance)
{
    (void)instance;
    pthread_mutex_lock(&mutex);
    int64_t now = host->clock_ms();
    for (entry **at = &first; *at;)
        if ((*at)->expires && (*at)->expires < now)
            drop(at);
        else
            at = &(*at)->next;
}

static void end(void *instance)
{
    (void)instance;
    pthread_mutex_unlock(&mutex);
}

static int64_t time_left(const entry *found)
{
    int64_t left = found->expires - host->clock_ms();
    return !found->expires ? KIVI_TTL_NONE : left > 0 ? left : 1;
}

static kivi_status list_read(void *instance, void *session, kivi_read_vector *vector,
                             kivi_wait *wait, kivi_error **error)
{
    (void)session, (void)wait, (void)error;
    begin(instance);
    for (size_t i = 0; i < vector->count; i++) {
        kivi_read_item *item = kivi_read_item_at(vector, i);
        const entry *found = *seek(item->key);
        kivi_status status = found && !compare(found->key, item->key) ? KIVI_OK : KIVI_NOT_FOUND;
        if (!status && item->want & KIVI_WANT_EXPIRY)
            item->ttl_ms = time_left(found);
        if (!status && item->want & (KIVI_WANT_VALUE | KIVI_WANT_VERSION))
            status = vector->deliver(vector, item, found->value, kivi_bytes(NULL, 0));
        item->status = status; /* last: it completes the item */
    }
    end(instance);
    return KIVI_OK;
}

static kivi_status put(kivi_write_item *item, entry **at, bool replaces, int64_t expires)
{
    entry *made = malloc(sizeof(*made) + item->key.size + item->value.size);
    if (!made) {
        item->error = host->error(KIVI_NO_MEMORY, 0, KIVI_RETRY_YES, "no memory for a value");
        return KIVI_NO_MEMORY;
    }
    char *bytes = memcpy(made + 1, item->key.data, item->key.size);
    if (item->value.size)
        memcpy(bytes + item->key.size, item->value.data, item->value.size);
    if (replaces)
        drop(at);
    *made = (entry){*at, expires, kivi_bytes(bytes, item->key.size),
                    kivi_bytes(bytes + item->key.size, item->value.size)};
    *at = made;
    return KIVI_OK;
}

static kivi_status apply(kivi_write_item *item)
{
    entry **at = seek(item->key);
    entry *old = *at && !compare((*at)->key, item->key) ? *at : NULL;
    bool same = old && !compare(old->value, item->expected); /* the bytes are the version as well */
    const bool holds[] = {true, !old, old, same, same};      /* by kivi_condition */
    int64_t expires = host->expires(item->ttl_ms);
    item->existed = old != NULL;
    if (!holds[item->condition])
        return KIVI_CONDITION;
    if (item->kind == KIVI_OP_TOUCH && !old)
        return KIVI_NOT_FOUND;
    if (item->kind == KIVI_OP_TOUCH)
        old->expires = expires;
    if (item->kind == KIVI_OP_DELETE && old)
        drop(at);
    if (item->kind != KIVI_OP_SET)
        return KIVI_OK;
    return put(item, at, old, old && item->ttl_ms == KIVI_TTL_KEEP ? old->expires : expires);
}

static kivi_status list_write(void *instance, void *session, kivi_write_vector *vector,
                              kivi_wait *wait, kivi_error **error)
{
    (void)session, (void)wait, (void)error;
    begin(instance);
    for (size_t i = 0; i < vector->count; i++)
        kivi_write_item_at(vector, i)->status = apply(kivi_write_item_at(vector, i));
    end(instance);
    return KIVI_OK;
}

static kivi_status list_scan(void *instance, void *session, const kivi_scan_range *range,
                             kivi_scan_sink *sink, kivi_wait *wait, kivi_error **error)
{
    (void)session, (void)wait, (void)error;
    kivi_slice behind = range->cursor.size ? range->cursor : range->after; /* a cursor is a key */
    kivi_slice prefix = range->prefix, nothing = kivi_bytes(NULL, 0);
    kivi_status status = KIVI_OK;
    uint64_t left = range->limit;
    begin(instance);
    for (const entry *at = first; at; at = at->next) {
        if (compare(at->key, behind) <= 0 || at->key.size < prefix.size ||
            compare(kivi_bytes(at->key.data, prefix.size), prefix))
            continue;
        if (left-- == 0 || status == KIVI_END) { /* there is more, but not on this page */
            status = sink->cursor(sink, behind);
            break;
        }
        status = sink->pair(sink, at->key, range->flags & KIVI_SCAN_KEYS ? nothing : at->value,
                            range->flags & KIVI_SCAN_WANT_EXPIRY ? time_left(at) : KIVI_TTL_NONE);
        if (status && status != KIVI_END)
            break;
        behind = at->key;
    }
    end(instance);
    return status == KIVI_END ? KIVI_OK : status;
}

static kivi_status list_open(const kivi_config *config, kivi_wait *wait, kivi_instance *instance,
                             kivi_error **error)
{
    (void)config, (void)wait, (void)error;
    instance->flags = KIVI_BACKEND_BLOCKING | KIVI_BACKEND_SHARED_READS | KIVI_BACKEND_FORK_PRIVATE;
    instance->handle = &first; /* every store of the process shares the one list */
    instance->layout = KIVI_LAYOUT_OURS;
    instance->max_stored_key = 1024;
    kivi_capabilities *can = &instance->capabilities;
    can->consistency = KIVI_LINEARIZABLE;
    can->max_value = 16 << 20;
    can->ttl = can->scan = can->snapshot = can->conditions = KIVI_NATIVE;
    can->ttl_resolution_ms = 1;
    can->increment = KIVI_EMULATED;
    can->order = KIVI_ORDER_BYTES;
    can->scan_once = can->local = true;
    return KIVI_OK;
}

/* The list stays: it is the process's, not a store's. */
static void list_close(void *instance)
{
    (void)instance;
}

static const kivi_backend table = {
    .struct_size = sizeof(kivi_backend),
    .abi = KIVI_BACKEND_ABI,
    .name = "list",
    .schemes = "list",
    .summary = "an example: a sorted list in memory",
    .open = list_open,
    .close = list_close,
    .abandon = list_close,
    .read = list_read,
    .write = list_write,
    .scan = list_scan,
    .fork_prepare = begin,
    .fork_parent = end,
    .fork_child = end,
};

const kivi_backend *kivi_plugin(uint32_t host_abi, const kivi_host *its_host)
{
    if (host_abi != KIVI_BACKEND_ABI || its_host->struct_size < sizeof(*its_host))
        return NULL;
    host = its_host;
    return &table;
}
