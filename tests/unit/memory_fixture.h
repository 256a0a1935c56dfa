/* A host of our own for the memory backend, and vectors to call its table with: no core in between. */
#ifndef MEMORY_FIXTURE_H
#define MEMORY_FIXTURE_H

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <criterion/criterion.h>
#include <kivi/backend.h>
#include <kivi/scan.h>

const kivi_backend *kvi_plugin_memory(uint32_t host_abi, const kivi_host *host);

/* ---- The host ---- */

#define AHEAD(ms) atomic_fetch_add(&fake_now, ms) /* lets the store's clock go on */

/* Stands where the core has its kivi_error: only its owner looks inside. */
typedef struct fake_error {
    kivi_status status;
    kivi_retryable retryable;
    char text[160];
} fake_error;

/* Stands where the core has its kivi_config: "name=value&name=value" over the defaults. */
typedef struct fake_config {
    const kivi_backend *backend;
    const char *given;
    char text[256];
} fake_config;

static atomic_int_fast64_t fake_now = 1000000; /* the store's clock, ms */
static atomic_uint_fast64_t fake_swept;
static atomic_int fake_errors; /* errors that nobody freed yet */

static KIVI_PRINTF(4, 5) kivi_error *fake_error_new(kivi_status status, int64_t native_code,
                                                    kivi_retryable retryable, const char *format, ...)
{
    fake_error *error = calloc(1, sizeof(*error));
    va_list rest;

    (void)native_code;
    error->status = status;
    error->retryable = retryable;
    va_start(rest, format);
    vsnprintf(error->text, sizeof(error->text), format, rest);
    va_end(rest);
    atomic_fetch_add(&fake_errors, 1);
    return (kivi_error *)error;
}

static void fake_native_text(kivi_error *error, const char *text)
{
    (void)error;
    cr_assert(*text);
}

static inline void fake_error_free(kivi_error **error)
{
    if (*error)
        atomic_fetch_sub(&fake_errors, 1);
    free(*error);
    *error = NULL;
}

static inline const fake_error *fake_error_of(const kivi_error *error)
{
    return (const fake_error *)error;
}

static const kivi_option_info *fake_option(const fake_config *config, const char *name)
{
    for (size_t i = 0; i < config->backend->option_count; i++)
        if (strcmp(config->backend->options[i].name, name) == 0)
            return &config->backend->options[i];
    return NULL;
}

static const char *fake_text(const kivi_config *opaque, const char *name)
{
    fake_config *config = (fake_config *)opaque;
    const kivi_option_info *info = fake_option(config, name);
    size_t size = strlen(name);

    for (const char *at = config->given; at && *at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL)
        if (strncmp(at, name, size) == 0 && at[size] == '=') {
            snprintf(config->text, sizeof(config->text), "%.*s", (int)strcspn(at + size + 1, "&"),
                     at + size + 1);
            return config->text;
        }
    return info ? info->default_text : NULL;
}

/* "sweep" is an option of the core, which the backend only reads. */
static int64_t fake_int(const kivi_config *opaque, const char *name)
{
    static const struct {
        const char *word;
        int64_t factor;
    } units[] = {{"KiB", 1024},  {"MiB", 1048576}, {"ms", 1},   {"s", 1000},
                 {"h", 3600000}, {"true", 0},      {"false", 0}};
    const kivi_option_info *info = fake_option((const fake_config *)opaque, name);
    const char *text = fake_text(opaque, name);
    char *unit;
    int64_t value;

    if (!text)
        return 0;
    if (info && info->type == KIVI_OPTION_BOOL)
        return strcmp(text, "true") == 0;
    value = strtoll(text, &unit, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(unit, units[i].word) == 0)
            return value * units[i].factor;
    return value;
}

static double fake_float(const kivi_config *opaque, const char *name)
{
    const char *text = fake_text(opaque, name);

    return text ? strtod(text, NULL) : 0;
}

static void *fake_reporter(const kivi_config *config)
{
    (void)config;
    return &fake_swept;
}

static void fake_report(void *reporter, kivi_event_type type, kivi_status status, uint64_t items)
{
    cr_assert_eq(type, KIVI_EVENT_SWEEP);
    cr_assert_eq(status, KIVI_OK);
    atomic_fetch_add((atomic_uint_fast64_t *)reporter, items);
}

static uint64_t fake_monotonic(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int64_t fake_clock(void)
{
    return atomic_load(&fake_now);
}

static int64_t fake_expires(int64_t ttl_ms)
{
    return ttl_ms > 0 ? fake_clock() + ttl_ms : 0;
}

static uint64_t fake_hash(kivi_slice bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < bytes.size; i++)
        hash = (hash ^ ((const uint8_t *)bytes.data)[i]) * UINT64_C(0x100000001b3);
    return (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

static const kivi_host fake_host = {
    .struct_size = sizeof(kivi_host),
    .abi = KIVI_BACKEND_ABI,
    .error = fake_error_new,
    .error_native_text = fake_native_text,
    .option_text = fake_text,
    .option_int = fake_int,
    .option_float = fake_float,
    .reporter = fake_reporter,
    .report = fake_report,
    .monotonic_ns = fake_monotonic,
    .clock_ms = fake_clock,
    .expires = fake_expires,
    .hash64 = fake_hash,
};

/* ---- Waiting ---- */

typedef struct fake_wait {
    kivi_wait wait;
    uint64_t deadline;
    kivi_status answer; /* of check */
    atomic_int checks;
} fake_wait;

static uint64_t fake_wait_deadline(kivi_wait *wait)
{
    return ((fake_wait *)wait)->deadline;
}

static kivi_status fake_wait_check(kivi_wait *wait)
{
    atomic_fetch_add(&((fake_wait *)wait)->checks, 1);
    return ((fake_wait *)wait)->answer;
}

static inline fake_wait wait_for_ms(uint64_t ms)
{
    fake_wait wait = {{sizeof(kivi_wait), 0, fake_wait_deadline, fake_wait_check},
                      ms ? fake_monotonic() + ms * 1000000 : UINT64_MAX,
                      KIVI_OK,
                      0};

    return wait;
}

/* ---- A store ---- */

typedef struct memory_store {
    const kivi_backend *table;
    kivi_instance instance;
    void *handle, *session;
    kivi_error *error; /* of the last verb */
    unsigned steps;    /* of the last verb */
} memory_store;

static inline memory_store open_store(const char *options)
{
    memory_store store = {.table = kvi_plugin_memory(KIVI_BACKEND_ABI, &fake_host)};
    fake_config config = {store.table, options, ""};
    fake_wait wait = wait_for_ms(0);
    kivi_error *error = NULL;

    store.instance.struct_size = sizeof(store.instance);
    cr_assert_eq(store.table->open((const kivi_config *)&config, &wait.wait, &store.instance, &error),
                 KIVI_OK);
    store.handle = store.instance.handle;
    cr_assert_eq(store.table->session_open(store.handle, &store.session, &error), KIVI_OK);
    return store;
}

static inline void new_session(memory_store *store)
{
    store->table->session_close(store->handle, store->session);
    cr_assert_eq(store->table->session_open(store->handle, &store->session, &store->error), KIVI_OK);
}

static inline void close_store(memory_store *store)
{
    fake_error_free(&store->error);
    store->table->session_close(store->handle, store->session);
    store->table->close(store->handle);
}

/* Polls as a step said, but not longer than `most_ms`. True: the next step is due. */
static inline bool wait_as_told(const kivi_poll *wanted, int most_ms)
{
    struct pollfd ready = {wanted->fd, (short)wanted->events, 0};
    int64_t rest_ms = wanted->timeout_ns < 0 ? INT64_MAX : wanted->timeout_ns / 1000000 + 1;

    if (rest_ms < most_ms)
        return poll(&ready, 1, (int)rest_ms) >= 0;
    return poll(&ready, 1, most_ms) == 1;
}

/* Drives a pending verb as a caller that waits does. A verb that is silent for 10 s fails the test. */
static inline kivi_status drive(memory_store *store, kivi_status status, uint64_t timeout_ms)
{
    store->steps = 0;
    while (status == KIVI_PENDING) {
        kivi_poll wanted = {sizeof(wanted), -1, 0, 0, -1};
        bool due;

        status = store->table->step(store->handle, store->session, 0, &wanted, &store->error);
        if (status != KIVI_PENDING)
            break;
        store->steps++;
        cr_assert_geq(wanted.fd, 0);
        due = wait_as_told(&wanted, timeout_ms ? (int)timeout_ms : 10000);
        if (!due && timeout_ms)
            return KIVI_PENDING;
        cr_assert(due);
    }
    return status;
}

/* ---- Vectors ---- */

#define ITEMS_MOST 64

/* What a read delivered, by item; an item's tag points at its own. */
typedef struct delivered {
    char value[256], version[256];
    size_t size, version_size;
    unsigned times;
    void (*inside)(void *user); /* called from inside deliver */
    void *user;
    kivi_status answer;
} delivered;

static kivi_status take_delivery(kivi_read_vector *vector, kivi_read_item *item, kivi_slice value,
                                 kivi_slice version)
{
    delivered *delivery = item->tag;

    (void)vector;
    cr_assert_eq(item->status, KIVI_PENDING);
    cr_assert_leq(value.size, sizeof(delivery->value));
    cr_assert_leq(version.size, sizeof(delivery->version));
    delivery->times++;
    delivery->size = value.size;
    delivery->version_size = version.size;
    if (value.size)
        memcpy(delivery->value, value.data, value.size);
    if (version.size)
        memcpy(delivery->version, version.data, version.size);
    if (delivery->inside)
        delivery->inside(delivery->user);
    return delivery->answer;
}

typedef struct read_set {
    kivi_read_item items[ITEMS_MOST];
    delivered deliveries[ITEMS_MOST];
    kivi_read_vector vector;
} read_set;

typedef struct write_set {
    kivi_write_item items[ITEMS_MOST];
    kivi_write_vector vector;
} write_set;

static inline kivi_read_item *add_read(read_set *reads, const char *key, uint32_t want)
{
    size_t at = reads->vector.count++;

    reads->items[at] = (kivi_read_item){
        .key = kivi_str(key), .want = want, .status = KIVI_PENDING, .tag = &reads->deliveries[at]};
    return &reads->items[at];
}

static inline kivi_write_item *add_write(write_set *writes, int32_t kind, const char *key,
                                         const char *value)
{
    kivi_write_item *item = &writes->items[writes->vector.count++];

    *item = (kivi_write_item){.key = kivi_str(key),
                              .kind = kind,
                              .value = kivi_str(value),
                              .flags = KIVI_OP_WANT_EXISTED,
                              .status = KIVI_PENDING,
                              .existed = -1};
    return item;
}

static inline kivi_status begin_read(memory_store *store, read_set *reads, fake_wait *wait)
{
    reads->vector.struct_size = sizeof(reads->vector);
    reads->vector.item_size = sizeof(reads->items[0]);
    reads->vector.items = reads->items;
    reads->vector.deliver = take_delivery;
    fake_error_free(&store->error);
    return store->table->read(store->handle, store->session, &reads->vector, &wait->wait, &store->error);
}

/* Integers of these tests are eight bytes as they lie in memory. */
static kivi_status add_integers(kivi_write_vector *vector, kivi_write_item *item,
                                const kivi_slice *old, kivi_slice *bytes)
{
    int64_t value = 0;

    if (old && old->size != sizeof(value))
        return KIVI_WRONG_TYPE;
    if (old)
        memcpy(&value, old->data, sizeof(value));
    if (__builtin_add_overflow(value, item->by, &item->integer))
        return KIVI_OVERFLOW;
    (void)vector;
    *bytes = kivi_bytes(&item->integer, sizeof(item->integer));
    return KIVI_OK;
}

static inline kivi_status begin_write(memory_store *store, write_set *writes, fake_wait *wait)
{
    writes->vector.struct_size = sizeof(writes->vector);
    writes->vector.item_size = sizeof(writes->items[0]);
    writes->vector.items = writes->items;
    writes->vector.increment = add_integers;
    fake_error_free(&store->error);
    return store->table->write(store->handle, store->session, &writes->vector, &wait->wait, &store->error);
}

static inline kivi_status run_read(memory_store *store, read_set *reads)
{
    fake_wait wait = wait_for_ms(0);

    return drive(store, begin_read(store, reads, &wait), 0);
}

static inline kivi_status run_write(memory_store *store, write_set *writes)
{
    fake_wait wait = wait_for_ms(0);

    return drive(store, begin_write(store, writes, &wait), 0);
}

static inline void free_write_errors(write_set *writes)
{
    for (size_t i = 0; i < writes->vector.count; i++)
        fake_error_free(&writes->items[i].error);
}

/* A vector that sets k0, k1, ... to "new". */
static inline write_set set_many(size_t count)
{
    static const char *const names[] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9"};
    write_set writes = {0};

    for (size_t i = 0; i < count; i++)
        add_write(&writes, KIVI_OP_SET, names[i], "new");
    return writes;
}

/* ---- Single keys ---- */

static inline kivi_status write_one(memory_store *store, int32_t kind, const char *key,
                                    const char *value, int64_t ttl_ms)
{
    write_set writes = {0};
    kivi_write_item *item = add_write(&writes, kind, key, value);
    kivi_status status;

    item->ttl_ms = ttl_ms;
    status = run_write(store, &writes);
    fake_error_free(&item->error);
    return status == KIVI_OK ? item->status : status;
}

static inline void put(memory_store *store, const char *key, const char *value)
{
    cr_assert_eq(write_one(store, KIVI_OP_SET, key, value, KIVI_TTL_NONE), KIVI_OK);
}

/* Fails the test unless the key holds `value`; NULL: unless it is missing. */
static inline void expect_value(memory_store *store, const char *key, const char *value)
{
    read_set reads = {0};
    kivi_read_item *item = add_read(&reads, key, KIVI_WANT_VALUE);

    cr_assert_eq(run_read(store, &reads), KIVI_OK);
    cr_assert_eq(item->status, value ? KIVI_OK : KIVI_NOT_FOUND, "%s: status %d", key, item->status);
    if (!value)
        return;
    cr_assert_eq(reads.deliveries[0].times, 1);
    cr_assert_eq(reads.deliveries[0].size, strlen(value), "%s", key);
    cr_assert(memcmp(reads.deliveries[0].value, value, strlen(value)) == 0, "%s", key);
}

static inline int64_t ttl_of(memory_store *store, const char *key)
{
    read_set reads = {0};
    kivi_read_item *item = add_read(&reads, key, KIVI_WANT_EXPIRY);

    cr_assert_eq(run_read(store, &reads), KIVI_OK);
    cr_assert_eq(reads.deliveries[0].times, 0, "only the expiry was asked");
    return item->status == KIVI_OK ? item->ttl_ms : -1;
}

static inline kivi_write_item increment_by(memory_store *store, const char *key, int64_t by, int64_t ttl_ms)
{
    write_set writes = {0};
    kivi_write_item *item = add_write(&writes, KIVI_OP_INCREMENT, key, "");

    item->by = by;
    item->ttl_ms = ttl_ms;
    cr_assert_eq(run_write(store, &writes), KIVI_OK);
    fake_error_free(&item->error);
    return *item;
}

static inline void expect_detail(memory_store *store, const char *begin)
{
    char text[128];

    store->table->detail(store->handle, text, sizeof(text));
    cr_assert_eq(strncmp(text, begin, strlen(begin)), 0, "%s", text);
}

/* ---- Pages ---- */

#define PAGE_MOST 4096

typedef struct pages {
    kivi_scan_sink sink;
    char *keys[PAGE_MOST];
    size_t sizes[PAGE_MOST];
    int64_t ttl[PAGE_MOST];
    size_t count, value_bytes;
    uint8_t cursor[(64 << 10) + 64]; /* what a store of the largest keys by default may give */
    size_t cursor_size;
    size_t enough;      /* KIVI_END with the pair of this number; 0: never */
    kivi_status answer; /* of pair */
} pages;

static kivi_status collect_pair(kivi_scan_sink *sink, kivi_slice key, kivi_slice value, int64_t ttl_ms)
{
    pages *all = sink->owner;

    if (all->answer != KIVI_OK)
        return all->answer;
    cr_assert_lt(all->count, PAGE_MOST);
    all->keys[all->count] = malloc(key.size + 1);
    memcpy(all->keys[all->count], key.data, key.size);
    all->keys[all->count][key.size] = 0;
    all->sizes[all->count] = key.size;
    all->ttl[all->count] = ttl_ms;
    all->count++;
    all->value_bytes += value.size;
    return all->count == all->enough ? KIVI_END : KIVI_OK;
}

static kivi_status collect_cursor(kivi_scan_sink *sink, kivi_slice cursor)
{
    pages *all = sink->owner;

    cr_assert_leq(cursor.size, sizeof(all->cursor));
    cr_assert_gt(cursor.size, 0);
    memcpy(all->cursor, cursor.data, cursor.size);
    all->cursor_size = cursor.size;
    return KIVI_OK;
}

static inline pages *pages_new(void)
{
    pages *all = calloc(1, sizeof(*all));

    all->sink = (kivi_scan_sink){sizeof(all->sink), 0, collect_pair, collect_cursor, all};
    return all;
}

static inline void pages_free(pages *all)
{
    for (size_t i = 0; i < all->count; i++)
        free(all->keys[i]);
    free(all);
}

/* One page behind the cursor that `all` holds, added to it. */
static inline kivi_status run_page(memory_store *store, pages *all, kivi_scan_range range)
{
    fake_wait wait = wait_for_ms(0);
    uint8_t cursor[sizeof(all->cursor)];

    memcpy(cursor, all->cursor, all->cursor_size);
    range.struct_size = sizeof(range);
    range.cursor = kivi_bytes(cursor, all->cursor_size);
    all->cursor_size = 0;
    fake_error_free(&store->error);
    return drive(store,
                 store->table->scan(store->handle, store->session, &range, &all->sink, &wait.wait,
                                    &store->error),
                 0);
}

/* Page after page of `limit` pairs. */
static inline pages *run_scan(memory_store *store, kivi_slice prefix, uint64_t limit)
{
    kivi_scan_range range = {.prefix = prefix, .limit = limit};
    pages *all = pages_new();

    do
        cr_assert_eq(run_page(store, all, range), KIVI_OK);
    while (all->cursor_size);
    return all;
}

#endif
