/* A store that does not answer: every call ends at its deadline, or soon after an interrupt or close. */
#include "common/faults.h"

TestSuite(hanging, .init = case_begin, .fini = case_end);

enum { TIMEOUT_MS = 150 };

static kivi_status look(kivi_slice value, void *user)
{
    (void)value, (void)user;
    CHECK_SAYING(false, "a store that hangs has shown a value");
    return KIVI_OK;
}

static kivi_status compute(const kivi_slice *current, kivi_buffer *next, kivi_update_action *action,
                           void *user)
{
    (void)current, (void)next, (void)action, (void)user;
    return KIVI_OK;
}

static kivi_status compute_missing(kivi_buffer *value, void *user)
{
    (void)value, (void)user;
    return KIVI_OK;
}

/* What a write answers when its deadline passes: it had left, or it had not. */
typedef struct hang {
    kivi_store *store;
    const char *shape;
    kivi_status write;
} hang;

#define ENDS(wanted, call_)                            \
    do {                                               \
        text what_;                                    \
        uint64_t began_ = now_ns();                    \
        ANSWERS(wanted, call_);                        \
        print(&what_, "%s: %.100s", h->shape, #call_); \
        tell_excess(what_.bytes, began_, TIMEOUT_MS);  \
    } while (0)

static void hang_reads(const hang *h)
{
    kivi_call call = within_ms(TIMEOUT_MS);
    kivi_slice key = kivi_str("key");
    kivi_buffer got = KIVI_BUFFER_INIT, version = KIVI_BUFFER_INIT;
    kivi_health health = {.struct_size = sizeof(health)};
    kivi_page *page = NULL;
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    uint64_t count;
    int64_t ttl_ms;
    bool exists;

    ENDS(KIVI_TIMEOUT, kivi_store_get(h->store, &call, key, &got, E));
    ENDS(KIVI_TIMEOUT, kivi_store_get_versioned(h->store, &call, key, &got, &version, E));
    ENDS(KIVI_TIMEOUT, kivi_store_visit(h->store, &call, key, look, NULL, E));
    ENDS(KIVI_TIMEOUT, kivi_store_exists(h->store, &call, key, &exists, E));
    ENDS(KIVI_TIMEOUT, kivi_store_ttl(h->store, &call, key, &ttl_ms, E));
    ENDS(KIVI_TIMEOUT, kivi_store_get_many(h->store, &call, &key, 1, NULL, E));
    ENDS(KIVI_TIMEOUT, kivi_store_page(h->store, &call, NULL, &page, E));
    ENDS(KIVI_TIMEOUT, kivi_store_count(h->store, &call, key, &count, E));
    ENDS(KIVI_TIMEOUT, kivi_store_health(h->store, &call, &health, E));
    ENDS(KIVI_TIMEOUT, kivi_store_get_or_set(h->store, &call, key, 0, compute_missing, NULL, &got, E));
    OK(kivi_store_scan(h->store, NULL, &scan, E));
    ENDS(KIVI_TIMEOUT, kivi_scan_next(scan, &call, &pair, E));
    kivi_scan_free(scan);
    kivi_buffer_free(&got);
    kivi_buffer_free(&version);
}

static void hang_writes(const hang *h)
{
    kivi_call call = within_ms(TIMEOUT_MS);
    kivi_slice key = kivi_str("key"), value = kivi_str("1");
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_op op = KIVI_OP_INIT;

    op.kind = KIVI_OP_SET;
    op.key = key;
    op.value = value;
    ENDS(h->write, kivi_store_set(h->store, &call, key, value, 0, E));
    ENDS(h->write, kivi_store_add(h->store, &call, key, value, 0, E));
    ENDS(h->write, kivi_store_delete(h->store, &call, key, NULL, E));
    ENDS(h->write, kivi_store_increment(h->store, &call, key, 1, 0, NULL, E));
    ENDS(h->write, kivi_store_take(h->store, &call, key, &got, E));
    ENDS(h->write, kivi_store_expire(h->store, &call, key, 1000, E));
    ENDS(h->write, kivi_store_set_many(h->store, &call, &key, &value, 1, 0, NULL, E));
    ENDS(h->write, kivi_store_apply(h->store, &call, &op, 1, KIVI_APPLY_ATOMIC, NULL, E));
    ENDS(h->write, kivi_store_compare_and_set(h->store, &call, key, value, value, 0, E));
    ENDS(KIVI_TIMEOUT, kivi_store_update(h->store, &call, key, 0, compute, NULL, E));
    ENDS(KIVI_TIMEOUT, kivi_store_clear(h->store, &call, key, 0, NULL, E));
    kivi_buffer_free(&got);
}

static void hang_all(const char *shape)
{
    hang h = {.shape = shape, .write = KIVI_TIMEOUT};
    kivi_stats stats = {.struct_size = sizeof(stats)};

    h.store = open_store("memory:?codec=raw&hang_rate=1&shape=%s", shape);
    hang_reads(&h);
    hang_writes(&h);
    OK(kivi_store_stats(h.store, &stats, E));
    CHECK_NUMBER(stats.lanes_busy, 0);
    kivi_store_unref(h.store);
    h.store = open_store("memory:?codec=raw&hang_rate=1&hang_sent=true&shape=%s", shape);
    h.write = KIVI_UNCERTAIN;
    hang_writes(&h);
    kivi_store_unref(h.store);
}

Test(hanging, shared, .timeout = 100)
{
    hang_all("shared");
}

Test(hanging, blocking, .timeout = 100)
{
    hang_all("blocking");
}

Test(hanging, stepped, .timeout = 100)
{
    hang_all("stepped");
}

/* Forty callers of a store that hangs, through few lanes: none waits for the others. */
static void call_and_wait(worker *w)
{
    kivi_store *store = w->shared;
    kivi_call call = within_ms(TIMEOUT_MS);
    kivi_buffer got = KIVI_BUFFER_INIT;
    uint64_t began = now_ns();
    kivi_slice key = kivi_str("key");
    kivi_status status = w->index % 2 ? kivi_store_get(store, &call, key, &got, E)
                                      : kivi_store_set(store, &call, key, kivi_str("v"), 0, E);

    /* Who leaves a vector that another caller drives cannot know whether it went out. */
    ANSWERS(status == KIVI_UNCERTAIN && w->index % 2 == 0 ? KIVI_UNCERTAIN : KIVI_TIMEOUT, status);
    if (w->index < 2)
        tell_excess(w->index ? "a get among forty" : "a set among forty", began, TIMEOUT_MS);
    CHECK(now_ns() - began < (TIMEOUT_MS + 5000) * UINT64_C(1000000));
    kivi_buffer_free(&got);
}

Test(hanging, forty_at_once, .timeout = 60)
{
    static const char *const shapes[] = {"shared", "blocking", "stepped"};

    for (unsigned i = 0; i < 3; i++) {
        kivi_store *store = open_store("memory:?codec=raw&hang_rate=1&lanes=2&shape=%s", shapes[i]);
        together(40, call_and_wait, store);
        kivi_store_unref(store);
    }
}
