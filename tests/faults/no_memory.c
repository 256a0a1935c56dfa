/*
 * No memory: each allocation of each call fails in turn. The call answers NO_MEMORY or does without, nothing
 * is left behind, and the store goes on. The allocator of this program is the one that fails.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/faults.h"

TestSuite(no_memory, .init = case_begin, .fini = case_end);

/* ---- the allocator ---- */

static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t), *(*real_realloc)(void *, size_t);
static void *(*real_aligned)(size_t, size_t);
static int (*real_memalign)(void **, size_t, size_t);
static void (*real_free)(void *);

static _Thread_local bool armed __attribute__((tls_model("initial-exec")));
static unsigned long made, fails_at, failed;
static long live;

/* dlsym itself may allocate before it has found anything. */
static char early[65536] __attribute__((aligned(16)));
static size_t early_used;

static void *early_alloc(size_t size)
{
    void *at = early + early_used;

    early_used += (size + 15) / 16 * 16;
    if (early_used > sizeof(early))
        abort();
    return at;
}

static bool is_early(const void *at)
{
    return (const char *)at >= early && (const char *)at < early + sizeof(early);
}

static void find_real(void)
{
    static bool finding;

    if (real_free || finding)
        return;
    finding = true;
    *(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&real_aligned = dlsym(RTLD_NEXT, "aligned_alloc");
    *(void **)&real_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&real_free = dlsym(RTLD_NEXT, "free");
}

/* Whether this allocation is the one that fails. */
static bool fails(void)
{
    if (!armed || ++made != fails_at)
        return false;
    failed++;
    errno = ENOMEM;
    return true;
}

static void *counted(void *at)
{
    if (armed && at)
        live++;
    return at;
}

#define SEEN __attribute__((visibility("default")))

SEEN void *malloc(size_t size)
{
    find_real();
    if (!real_free)
        return early_alloc(size);
    return fails() ? NULL : counted(real_malloc(size));
}

SEEN void *calloc(size_t count, size_t size)
{
    find_real();
    if (!real_free)
        return early_alloc(count * size);
    return fails() ? NULL : counted(real_calloc(count, size));
}

SEEN void *realloc(void *at, size_t size)
{
    void *now;

    if (is_early(at)) {
        now = malloc(size);
        if (now)
            memcpy(now, at, size);
        return now;
    }
    find_real();
    if (fails())
        return NULL;
    now = real_realloc(at, size);
    return at ? now : counted(now);
}

SEEN void *aligned_alloc(size_t alignment, size_t size)
{
    find_real();
    return fails() ? NULL : counted(real_aligned(alignment, size));
}

SEEN int posix_memalign(void **at, size_t alignment, size_t size)
{
    int rc;

    find_real();
    if (fails())
        return ENOMEM;
    rc = real_memalign(at, alignment, size);
    if (rc == 0)
        counted(*at);
    return rc;
}

SEEN void free(void *at)
{
    if (!at || is_early(at))
        return;
    if (armed)
        live--;
    find_real();
    real_free(at);
}

/* ---- one call, with one allocation after the other failing ---- */

typedef struct scene {
    kivi_store *store; /* NULL for those that open */
    const char *url;
} scene;

/* A call that leaves nothing behind that it allocated; its status. */
typedef kivi_status (*act_fn)(const scene *s, kivi_error **error);

static kivi_status run_failing(act_fn act, const scene *s, unsigned long n, long *left)
{
    kivi_error *error = NULL;
    kivi_status status;

    made = failed = 0;
    fails_at = n;
    live = 0;
    armed = true;
    status = act(s, &error);
    armed = false;
    /* The error of having no memory is nobody's; another must be freed. */
    CHECK_SAYING((error != NULL) == (kivi_status_class(status) != KIVI_CLASS_ANSWER),
                 "%s with %s error", kivi_status_name(status), error ? "an" : "no");
    if (error)
        CHECK_SAYING(*kivi_error_message(error), "%s without a message", kivi_status_name(status));
    if (error && status != KIVI_NO_MEMORY)
        printf("allocation %lu: %s: %s\n", n, kivi_status_name(status), kivi_error_message(error));
    armed = true;
    kivi_error_free(error);
    armed = false;
    *left = live;
#ifdef __SANITIZE_ADDRESS__
    /* Its strdup and the like allocate without passing here; it counts what is left by itself. */
    *left = 0;
#endif
    return status;
}

/* Until nothing fails any more: how many allocations there are. */
static unsigned long fail_each(const char *what, act_fn act, const scene *s)
{
    long left;

    /* What is made once and kept, such as sessions and buffers, is there from now on. */
    OK(act(s, E));
    OK(act(s, E));
    for (unsigned long n = 1; n < 20000; n++) {
        kivi_status status = run_failing(act, s, n, &left);
        CHECK_SAYING(status == KIVI_OK || status == KIVI_NO_MEMORY, "%s, allocation %lu: %s", what,
                     n, kivi_status_name(status));
        CHECK_SAYING(left == 0, "%s, allocation %lu (%s): %ld were left", what, n,
                     kivi_status_name(status), left);
        if (failed == 0) {
            printf("%s: %lu allocations\n", what, made);
            return made;
        }
        /* All is well again at once. */
        OK(act(s, E));
    }
    CHECK_SAYING(false, "%s: no end", what);
    return 0;
}

/* ---- the calls ---- */

enum { MANY = 30 };

static kivi_slice key_at(text *place, unsigned number)
{
    return print(place, "many:%u", number);
}

static kivi_status act_set(const scene *s, kivi_error **error)
{
    return kivi_store_set(s->store, NULL, kivi_str("key"), kivi_str("5"), KIVI_TTL_NONE, error);
}

static kivi_status act_set_ttl(const scene *s, kivi_error **error)
{
    return kivi_store_set(s->store, NULL, kivi_str("fleeting"), kivi_str("5"), 3600000, error);
}

static kivi_status act_set_large(const scene *s, kivi_error **error)
{
    static const uint8_t value[100000];
    return kivi_store_set(s->store, NULL, kivi_str("large"), kivi_bytes(value, sizeof(value)),
                          KIVI_TTL_NONE, error);
}

static kivi_status act_get(const scene *s, kivi_error **error)
{
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_get(s->store, NULL, kivi_str("key"), &got, error);

    CHECK(status != KIVI_OK || got.size == 1);
    kivi_buffer_free(&got);
    return status;
}

static kivi_status act_get_versioned(const scene *s, kivi_error **error)
{
    kivi_buffer got = KIVI_BUFFER_INIT, version = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_get_versioned(s->store, NULL, kivi_str("key"), &got, &version, error);

    CHECK(status != KIVI_OK || (got.size == 1 && version.size > 0));
    kivi_buffer_free(&got);
    kivi_buffer_free(&version);
    return status;
}

static kivi_status act_get_many(const scene *s, kivi_error **error)
{
    text names[MANY];
    kivi_slice keys[MANY];
    kivi_result *result = NULL;
    kivi_status status;

    for (unsigned i = 0; i < MANY; i++)
        keys[i] = key_at(&names[i], i / 2);
    status = kivi_store_get_many(s->store, NULL, keys, MANY, &result, error);
    CHECK(status != KIVI_OK || kivi_result_count(result) == MANY);
    for (unsigned i = 0; status == KIVI_OK && i < MANY; i++)
        CHECK(kivi_result_status(result, i) == KIVI_OK && kivi_result_value(result, i).size == 5);
    kivi_result_free(result);
    return status;
}

static kivi_status act_set_many(const scene *s, kivi_error **error)
{
    text names[MANY];
    kivi_slice keys[MANY], values[MANY];
    kivi_result *result = NULL;
    kivi_status status;

    for (unsigned i = 0; i < MANY; i++) {
        keys[i] = key_at(&names[i], i / 2);
        values[i] = kivi_str("value");
    }
    status = kivi_store_set_many(s->store, NULL, keys, values, MANY, KIVI_TTL_NONE, &result, error);
    kivi_result_free(result);
    return status;
}

static kivi_status act_apply(const scene *s, uint32_t flags, kivi_error **error)
{
    text names[MANY];
    kivi_op ops[MANY];
    kivi_result *result = NULL;
    kivi_status status;

    for (unsigned i = 0; i < MANY; i++) {
        ops[i] = (kivi_op)KIVI_OP_INIT;
        ops[i].kind = i == 7 ? KIVI_OP_DELETE : i == 8 ? KIVI_OP_CHECK : KIVI_OP_SET;
        ops[i].condition = i == 8 ? KIVI_IF_ABSENT : KIVI_IF_ALWAYS;
        ops[i].key = print(&names[i], "apply:%u", i);
        ops[i].value = i == 7 || i == 8 ? kivi_bytes(NULL, 0) : kivi_str("value");
        ops[i].flags = i % 2 ? KIVI_OP_WANT_EXISTED : 0;
    }
    status = kivi_store_apply(s->store, NULL, ops, MANY, flags, &result, error);
    kivi_result_free(result);
    return status;
}

static kivi_status act_apply_each(const scene *s, kivi_error **error)
{
    return act_apply(s, 0, error);
}

static kivi_status act_apply_atomic(const scene *s, kivi_error **error)
{
    return act_apply(s, KIVI_APPLY_ATOMIC, error);
}

static kivi_status act_increment(const scene *s, kivi_error **error)
{
    return kivi_store_increment(s->store, NULL, kivi_str("counter"), 1, KIVI_TTL_NONE, NULL, error);
}

static kivi_status act_compare(const scene *s, kivi_error **error)
{
    return kivi_store_compare_and_set(s->store, NULL, kivi_str("key"), kivi_str("5"), kivi_str("5"),
                                      KIVI_TTL_NONE, error);
}

static kivi_status act_delete(const scene *s, kivi_error **error)
{
    return kivi_store_delete(s->store, NULL, kivi_str("apply:1"), NULL, error);
}

static kivi_status act_scan(const scene *s, kivi_error **error)
{
    kivi_range range = KIVI_RANGE_INIT;
    kivi_pair pair = KIVI_PAIR_INIT;
    kivi_scan *scan = NULL;
    kivi_status status;
    unsigned count = 0;

    range.prefix = kivi_str("many:");
    status = kivi_store_scan(s->store, &range, &scan, error);
    while (status == KIVI_OK && (status = kivi_scan_next(scan, NULL, &pair, error)) == KIVI_OK)
        count++;
    kivi_scan_free(scan);
    CHECK(status != KIVI_END || count == MANY / 2);
    return status == KIVI_END ? KIVI_OK : status;
}

static kivi_status act_pages(const scene *s, kivi_error **error)
{
    kivi_range range = KIVI_RANGE_INIT;
    kivi_page *page = NULL, *last = NULL;
    kivi_status status;

    range.prefix = kivi_str("many:");
    range.limit = 4;
    range.flags = KIVI_SCAN_WANT_EXPIRY;
    do {
        status = kivi_store_page(s->store, NULL, &range, &page, error);
        kivi_page_free(last);
        last = page;
        if (status == KIVI_OK)
            range.cursor = kivi_page_cursor(page);
    } while (status == KIVI_OK && range.cursor.size);
    kivi_page_free(page);
    return status;
}

static kivi_status act_count(const scene *s, kivi_error **error)
{
    uint64_t count = 0;
    return kivi_store_count(s->store, NULL, kivi_str("many:"), &count, error);
}

static kivi_status act_describe(const scene *s, kivi_error **error)
{
    kivi_buffer all = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_describe(s->store, NULL, KIVI_TOPIC_STATS, &all, error);

    kivi_buffer_free(&all);
    return status;
}

/* Fills and clears; what a clear that failed has left, a second one takes, for the sake of the count. */
static kivi_status act_clear(const scene *s, kivi_error **error)
{
    kivi_status status = KIVI_OK;
    text name;

    for (unsigned i = 0; i < MANY && status == KIVI_OK; i++)
        status = kivi_store_set(s->store, NULL, print(&name, "clear:%u", i), kivi_str("v"),
                                i % 3 ? 0 : 3600000, error);
    if (status == KIVI_OK)
        status = kivi_store_clear(s->store, NULL, kivi_str("clear:"), 0, NULL, error);
    if (status == KIVI_OK)
        return KIVI_OK;
    fails_at = 0;
    CHECK(kivi_store_clear(s->store, NULL, kivi_str("clear:"), 0, NULL, NULL) == KIVI_OK);
    return status;
}

static kivi_status act_open(const scene *s, kivi_error **error)
{
    kivi_store *store = NULL;
    kivi_status status = kivi_store_open(s->url, NULL, NULL, &store, error);

    CHECK((status == KIVI_OK) == (store != NULL));
    kivi_store_unref(store);
    return status;
}

/* The first calls of a store make what later ones find. */
static kivi_status act_first_calls(const scene *s, kivi_error **error)
{
    kivi_store *store = NULL;
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_open(s->url, NULL, NULL, &store, error);

    if (status == KIVI_OK)
        status = kivi_store_set(store, NULL, kivi_str("key"), kivi_str("5"), 3600000, error);
    if (status == KIVI_OK)
        status = kivi_store_get(store, NULL, kivi_str("key"), &got, error);
    kivi_buffer_free(&got);
    kivi_store_unref(store);
    return status;
}

static void fail_all(const char *url)
{
    static const struct {
        const char *name;
        act_fn act;
    } calls[] = {
        {"set", act_set},
        {"set with a ttl", act_set_ttl},
        {"set of a large value", act_set_large},
        {"get", act_get},
        {"get_versioned", act_get_versioned},
        {"set_many", act_set_many},
        {"get_many", act_get_many},
        {"apply", act_apply_each},
        {"apply, atomic", act_apply_atomic},
        {"increment", act_increment},
        {"compare_and_set", act_compare},
        {"delete", act_delete},
        {"scan", act_scan},
        {"pages", act_pages},
        {"count", act_count},
        {"describe", act_describe},
        {"clear", act_clear},
    };
    scene s = {NULL, url};

    fail_each("open and close", act_open, &s);
    fail_each("open, set, get, close", act_first_calls, &s);
    s.store = open_store("%s", url);
    for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++)
        fail_each(calls[i].name, calls[i].act, &s);
    expect_sound(s.store);
    expect_holds(s.store, "key", "5");
    kivi_store_unref(s.store);
}

Test(no_memory, lmdb, .timeout = 170)
{
    text url;

    print(&url, "lmdb:%s/data?codec=raw&sync=false&map_size=16MiB", folder);
    fail_all(url.bytes);
}

/* ---- the first call of a thread, which may have memory of its own to set up ---- */

typedef struct newcomer {
    const scene *s;
    act_fn act;
    unsigned long n, failed;
} newcomer;

static void *arrive(void *user)
{
    newcomer *new = user;
    long left; /* what the store keeps for the thread's readers, which is its own */
    kivi_status status = run_failing(new->act, new->s, new->n, &left);

    CHECK_SAYING(status == KIVI_OK || status == KIVI_NO_MEMORY, "allocation %lu: %s", new->n,
                 kivi_status_name(status));
    new->failed = failed;
    return NULL;
}

static void fail_first_call(const scene *s, act_fn act)
{
    newcomer new = {s, act, 0, 0};
    pthread_t thread;

    OK(act(s, E));
    do {
        new.n++;
        CHECK(pthread_create(&thread, NULL, arrive, &new) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    } while (new.failed);
}

Test(no_memory, lmdb_in_new_threads, .timeout = 60)
{
    scene s = {open_store("lmdb:%s/data?codec=raw&sync=false&map_size=16MiB", folder), NULL};

    OK(act_set_many(&s, E));
    fail_first_call(&s, act_set);
    fail_first_call(&s, act_get);
    fail_first_call(&s, act_scan);
    fail_first_call(&s, act_count);
    kivi_store_unref(s.store);
}

Test(no_memory, memory, .timeout = 60)
{
    fail_all("memory:?codec=raw");
}

Test(no_memory, memory_by_name, .timeout = 60)
{
    fail_all("memory:name?codec=raw&namespace=space");
}

Test(no_memory, memory_blocking, .timeout = 60)
{
    fail_all("memory:?codec=raw&shape=blocking&native=false");
}

Test(no_memory, memory_stepped, .timeout = 60)
{
    fail_all("memory:?codec=raw&shape=stepped&steps=1");
}

Test(no_memory, memory_escaping, .timeout = 60)
{
    fail_all("memory:?codec=raw&path_keys=true&order=none&versions=counter");
}

/* ---- the very first open of a process, with the plugin loaded under failing allocations ---- */

static void open_cold(int in, int out, void *user)
{
    const unsigned long *n = user;
    kivi_store *store = NULL;
    kivi_error *error = NULL;
    kivi_status status;

    (void)in;
    made = failed = 0;
    fails_at = *n;
    armed = true;
    text url;
    print(&url, "lmdb:%s/data?codec=raw&sync=false", folder);
    status = kivi_store_open(url.bytes, NULL, NULL, &store, &error);
    armed = false;
    CHECK_SAYING(status == KIVI_OK || status == KIVI_NO_MEMORY || status == KIVI_UNSUPPORTED,
                 "allocation %lu: %s: %s", *n, kivi_status_name(status), kivi_error_message(error));
    if (status == KIVI_UNSUPPORTED)
        printf("allocation %lu: %s\n", *n, kivi_error_message(error));
    kivi_error_free(error);
    if (!store)
        store = open_store("%s", url.bytes);
    put(store, "key", "value");
    expect_holds(store, "key", "value");
    kivi_store_unref(store);
    tell(out, &failed, sizeof(failed));
}

Test(no_memory, loading_the_plugin, .timeout = 120)
{
    for (unsigned long n = 1;; n++) {
        unsigned long any;
        child c = child_start(open_cold, &n);
        hear(c.from, &any, sizeof(any));
        child_ends(&c);
        if (!any) {
            printf("the first open: %lu allocations\n", n - 1);
            break;
        }
        CHECK(n < 5000);
    }
}
