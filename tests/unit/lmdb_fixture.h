/* What the unit tests of the lmdb backend share: a host of their own, options, folders, and short calls. */
#ifndef LMDB_FIXTURE_H
#define LMDB_FIXTURE_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <kivi/backend.h>
#include <kivi/scan.h>

const kivi_backend *kvi_plugin_lmdb(uint32_t host_abi, const kivi_host *host);

/* ---- a host ---- */

struct kivi_error {
    kivi_status status;
    int64_t code;
    kivi_retryable retryable;
    char message[512];
};

struct kivi_config {
    const char *names[16], *values[16];
    size_t count;
};

static const kivi_backend *lmdb;
static atomic_llong fake_clock; /* 0: the real one */
static atomic_ullong swept;

static inline kivi_error *host_error(kivi_status status, int64_t code, kivi_retryable retryable,
                                     const char *format, ...)
{
    kivi_error *error = calloc(1, sizeof(*error));
    va_list list;

    va_start(list, format);
    error->status = status;
    error->code = code;
    error->retryable = retryable;
    vsnprintf(error->message, sizeof(error->message), format, list);
    va_end(list);
    return error;
}

static inline const char *host_text(const kivi_config *config, const char *name)
{
    for (size_t i = 0; i < config->count; i++)
        if (strcmp(config->names[i], name) == 0)
            return config->values[i];
    for (size_t i = 0; i < lmdb->option_count; i++)
        if (strcmp(lmdb->options[i].name, name) == 0)
            return lmdb->options[i].default_text;
    /* The core's own. */
    return strcmp(name, "sweep") == 0 ? "16" : NULL;
}

static inline int64_t host_int(const kivi_config *config, const char *name)
{
    const char *text = host_text(config, name);
    char *end;
    long long value;

    if (strcmp(text, "true") == 0)
        return 1;
    if (strcmp(text, "false") == 0)
        return 0;
    value = strtoll(text, &end, 10);
    return strcmp(end, "GiB") == 0 ? value << 30 : strcmp(end, "MiB") == 0 ? value << 20 : value;
}

static inline double host_float(const kivi_config *config, const char *name)
{
    return strtod(host_text(config, name), NULL);
}

static inline void *host_reporter(const kivi_config *config)
{
    (void)config;
    return &swept;
}

static inline void host_report(void *reporter, kivi_event_type type, kivi_status status, uint64_t items)
{
    cr_assert_eq(type, KIVI_EVENT_SWEEP);
    cr_assert_eq(status, KIVI_OK);
    atomic_fetch_add((atomic_ullong *)reporter, items);
}

static inline uint64_t host_monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline int64_t host_clock(void)
{
    struct timespec now;
    long long fake = atomic_load(&fake_clock);

    if (fake)
        return fake;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int64_t host_expires(int64_t ttl_ms)
{
    return ttl_ms > 0 ? host_clock() + ttl_ms : 0;
}

/* Any good hash will do for the backend. */
static inline uint64_t host_hash(kivi_slice bytes)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes.size; i++)
        hash = (hash ^ ((const uint8_t *)bytes.data)[i]) * 0x100000001b3u;
    return hash;
}

static inline void host_guard(void)
{
}

static const kivi_host host = {
    .struct_size = sizeof(kivi_host),
    .abi = KIVI_BACKEND_ABI,
    .error = host_error,
    .option_text = host_text,
    .option_int = host_int,
    .option_float = host_float,
    .reporter = host_reporter,
    .report = host_report,
    .monotonic_ns = host_monotonic,
    .clock_ms = host_clock,
    .expires = host_expires,
    .hash64 = host_hash,
    .guard_descriptors = host_guard,
};

/* ---- waits ---- */

typedef struct fixture_wait {
    kivi_wait wait;
    uint64_t until;
    atomic_uint checks;
} fixture_wait;

static inline uint64_t wait_deadline(kivi_wait *wait)
{
    return ((fixture_wait *)wait)->until;
}

static inline kivi_status wait_check(kivi_wait *wait)
{
    fixture_wait *self = (fixture_wait *)wait;
    atomic_fetch_add(&self->checks, 1);
    return host_monotonic() >= self->until ? KIVI_TIMEOUT : KIVI_OK;
}

static inline fixture_wait wait_ms(uint64_t ms)
{
    fixture_wait wait = {.wait = {sizeof(kivi_wait), 0, wait_deadline, wait_check}};
    wait.until = host_monotonic() + ms * 1000000;
    return wait;
}

/* ---- folders ---- */

static char folder[256];

static inline int fixture_remove(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline void fixture_begin(void)
{
    const char *base = getenv("TMPDIR");

    snprintf(folder, sizeof(folder), "%s/kivi-lmdb-XXXXXX", base && *base ? base : "/tmp");
    cr_assert(mkdtemp(folder));
    lmdb = kvi_plugin_lmdb(KIVI_BACKEND_ABI, &host);
    cr_assert(lmdb);
    atomic_store(&fake_clock, 0);
    atomic_store(&swept, 0);
}

static inline void fixture_end(void)
{
    nftw(folder, fixture_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path in the test's folder; a few are kept at a time. */
static inline const char *path_of(const char *name)
{
    static char texts[8][512];
    static unsigned next;
    char *text = texts[next++ % 8];

    snprintf(text, sizeof(texts[0]), "%s/%s", folder, name);
    return text;
}

/* ---- opening ---- */

/* Opens with options "name=value", ended by NULL. */
static inline kivi_status try_open(const char *path, kivi_instance *instance, kivi_error **error,
                                   const char *const *options)
{
    static char texts[16][64];
    kivi_config config = {.names = {"path"}, .values = {path}, .count = 1};
    fixture_wait wait = wait_ms(5000);

    for (size_t i = 0; options && options[i]; i++) {
        char *equals;
        snprintf(texts[i], sizeof(texts[i]), "%s", options[i]);
        equals = strchr(texts[i], '=');
        *equals = 0;
        config.names[config.count] = texts[i];
        config.values[config.count++] = equals + 1;
    }
    memset(instance, 0, sizeof(*instance));
    instance->struct_size = sizeof(*instance);
    instance->escape.struct_size = sizeof(instance->escape);
    instance->capabilities.struct_size = sizeof(instance->capabilities);
    *error = NULL;
    return lmdb->open(&config, &wait.wait, instance, error);
}

#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline kivi_instance open_store(const char *path, const char *const *options)
{
    kivi_instance instance;
    kivi_error *error;
    kivi_status status = try_open(path, &instance, &error, options);

    cr_assert_eq(status, KIVI_OK, "%s: %s", path, error ? error->message : "?");
    cr_assert_null(error);
    return instance;
}

/* An open that must fail with a status, in words that have `part`. */
static inline void refuse_open(const char *path, kivi_status expected, const char *part,
                               const char *const *options)
{
    kivi_instance instance;
    kivi_error *error;
    kivi_status status = try_open(path, &instance, &error, options);

    cr_assert_eq(status, expected, "%d instead of %d: %s", status, expected,
                 error ? error->message : "-");
    cr_assert(error && error->status == expected);
    cr_assert(strstr(error->message, part), "\"%s\" lacks \"%s\"", error->message, part);
    free(error);
}

/* ---- short calls ---- */

typedef struct taken {
    kivi_read_vector vector;
    char bytes[1 << 16];
    size_t size;
    unsigned deliveries;
} taken;

static inline kivi_status take_value(kivi_read_vector *vector, kivi_read_item *item,
                                     kivi_slice value, kivi_slice version)
{
    taken *self = (taken *)vector;

    (void)item;
    cr_assert_eq(version.size, 0);
    self->size = value.size;
    self->deliveries++;
    memcpy(self->bytes, value.data, value.size < sizeof(self->bytes) ? value.size : sizeof(self->bytes));
    return KIVI_OK;
}

static inline kivi_read_item read_item(kivi_slice key, uint32_t want)
{
    return (kivi_read_item){.key = key, .want = want, .status = KIVI_PENDING};
}

/* One read; the status is the item's, or the verb's. */
static inline kivi_status read_one(const kivi_instance *store, kivi_read_item *item, taken *into,
                                   uint64_t ms)
{
    fixture_wait wait = wait_ms(ms);
    kivi_error *error = NULL;
    kivi_status status;

    into->vector = (kivi_read_vector){
        sizeof(kivi_read_vector), sizeof(*item), item, 1, take_value, NULL};
    into->deliveries = 0;
    into->size = 0;
    status = lmdb->read(store->handle, NULL, &into->vector, &wait.wait, &error);
    free(error);
    free(item->error);
    item->error = NULL;
    return status == KIVI_OK ? item->status : status;
}

static inline kivi_status get_bytes(const kivi_instance *store, kivi_slice key, taken *into)
{
    kivi_read_item item = read_item(key, KIVI_WANT_VALUE);
    return read_one(store, &item, into, 5000);
}

/* Asserts what a text key holds; `expected` NULL: nothing. */
static inline void expect(const kivi_instance *store, const char *key, const char *expected)
{
    static _Thread_local taken into;
    kivi_status status = get_bytes(store, kivi_str(key), &into);

    if (!expected) {
        cr_assert_eq(status, KIVI_NOT_FOUND, "%s: %d", key, status);
        return;
    }
    cr_assert_eq(status, KIVI_OK, "%s: %d", key, status);
    cr_assert_eq(into.deliveries, 1);
    cr_assert_eq(into.size, strlen(expected), "%s", key);
    cr_assert_arr_eq(into.bytes, expected, into.size);
}

static inline kivi_write_item write_item(kivi_op_kind kind, const char *key, const char *value)
{
    kivi_write_item item = {.kind = kind, .status = KIVI_PENDING};

    item.key = kivi_str(key);
    item.value = value ? kivi_str(value) : kivi_bytes(NULL, 0);
    return item;
}

/* Adds decimal numbers, as the core does with a codec's integers. */
static inline kivi_status add_decimal(kivi_write_vector *vector, kivi_write_item *item,
                                      const kivi_slice *old, kivi_slice *bytes)
{
    static _Thread_local char text[32];
    long long sum = 0;

    (void)vector;
    if (old) {
        char *end;
        snprintf(text, sizeof(text), "%.*s", (int)old->size, (const char *)old->data);
        sum = strtoll(text, &end, 10);
        if (*end || !*text)
            return KIVI_WRONG_TYPE;
    }
    sum += item->by;
    item->integer = sum;
    *bytes = kivi_bytes(text, (size_t)snprintf(text, sizeof(text), "%lld", sum));
    return KIVI_OK;
}

/* One vector; answers the verb's status, the error's text in `failure`. */
static _Thread_local char failure[512];
static _Thread_local kivi_retryable failure_retryable;

static inline kivi_status write_all(const kivi_instance *store, kivi_write_item *items,
                                    size_t count, uint32_t flags, uint64_t ms)
{
    kivi_write_vector vector = {.struct_size = sizeof(vector),
                                .item_size = sizeof(*items),
                                .items = items,
                                .count = count,
                                .flags = flags,
                                .increment = add_decimal};
    fixture_wait wait = wait_ms(ms);
    kivi_error *error = NULL;
    kivi_status status = lmdb->write(store->handle, NULL, &vector, &wait.wait, &error);

    failure[0] = 0;
    if (error) {
        snprintf(failure, sizeof(failure), "%s", error->message);
        failure_retryable = error->retryable;
        cr_assert_eq(error->status, status);
    }
    cr_assert_eq(error != NULL, status != KIVI_OK);
    free(error);
    return status;
}

static inline kivi_status write_one(const kivi_instance *store, kivi_write_item *item)
{
    kivi_status status = write_all(store, item, 1, 0, 5000);

    free(item->error);
    item->error = NULL;
    return status == KIVI_OK ? item->status : status;
}

static inline void put(const kivi_instance *store, const char *key, const char *value, int64_t ttl_ms)
{
    kivi_write_item item = write_item(KIVI_OP_SET, key, value);
    kivi_status status;

    item.ttl_ms = ttl_ms;
    status = write_one(store, &item);
    cr_assert_eq(status, KIVI_OK, "%s: %d %s", key, status, failure);
}

/* ---- scans ---- */

typedef struct scanned {
    kivi_scan_sink sink;
    char keys[65536]; /* "a b c " */
    size_t used;
    uint64_t count;
    uint64_t enough; /* answer END at this pair; 0: never */
    int64_t ttl_ms;  /* of the last pair */
    size_t value_size;
    char cursor[4096];
    size_t cursor_size;
} scanned;

static inline kivi_status scan_pair(kivi_scan_sink *sink, kivi_slice key, kivi_slice value, int64_t ttl_ms)
{
    scanned *self = (scanned *)sink;

    if (self->used + key.size + 1 < sizeof(self->keys)) {
        memcpy(self->keys + self->used, key.data, key.size);
        self->used += key.size;
        self->keys[self->used++] = ' ';
        self->keys[self->used] = 0;
    }
    self->ttl_ms = ttl_ms;
    self->value_size = value.size;
    return ++self->count == self->enough ? KIVI_END : KIVI_OK;
}

static inline kivi_status scan_cursor(kivi_scan_sink *sink, kivi_slice cursor)
{
    scanned *self = (scanned *)sink;

    cr_assert(cursor.size <= sizeof(self->cursor) && cursor.size > 0);
    memcpy(self->cursor, cursor.data, cursor.size);
    self->cursor_size = cursor.size;
    return KIVI_OK;
}

static inline kivi_status scan_page(const kivi_instance *store, const kivi_scan_range *range,
                                    scanned *into)
{
    kivi_scan_range copy = *range;
    fixture_wait wait = wait_ms(5000);
    kivi_error *error = NULL;
    kivi_status status;

    into->sink = (kivi_scan_sink){sizeof(kivi_scan_sink), 0, scan_pair, scan_cursor, NULL};
    copy.struct_size = sizeof(copy);
    into->used = 0;
    into->keys[0] = 0;
    into->count = 0;
    into->cursor_size = 0;
    status = lmdb->scan(store->handle, NULL, &copy, &into->sink, &wait.wait, &error);
    cr_assert_eq(error != NULL, status != KIVI_OK);
    free(error);
    return status;
}

static inline uint64_t count_keys(const kivi_instance *store, const char *prefix)
{
    fixture_wait wait = wait_ms(5000);
    kivi_error *error = NULL;
    kivi_count count = {.struct_size = sizeof(count), .prefix = kivi_str(prefix)};
    kivi_status status = lmdb->count(store->handle, NULL, &count, &wait.wait, &error);

    cr_assert_eq(status, KIVI_OK, "%s", error ? error->message : "?");
    return count.names;
}

#endif
