/* Traffic through a failover: what each call came to is kept, and compared with what is stored and what servers recorded. */
#include "traffic.h"

enum { MOST = 200000, MORE = 20, PATIENCE_S = 150 };

typedef struct writer {
    uint8_t fates[MOST]; /* by number; a load_fate */
    unsigned long number, acknowledged;
    atomic_ulong phase, good; /* acknowledged, of those begun since the phase began */
    atomic_ulong failures;
} writer;

struct traffic {
    kivi_store *store;
    traffic_options options;
    writer writers[TRAFFIC_THREADS];
    atomic_ulong phase;
    atomic_bool stop;
    pthread_t thread;
};

/* ---- Calls ---- */

static void judge_call(traffic *t, size_t index, kivi_status status, bool is_read)
{
    bool fits = status == KIVI_OK || (is_read && status == KIVI_NOT_FOUND);

    if (!t->options.without_failure)
        fits = fits || status == KIVI_UNAVAILABLE || status == KIVI_TIMEOUT ||
               (!is_read && status == KIVI_UNCERTAIN);
    CHECK_SAYING(fits, "a %s is %s", is_read ? "read" : "write", kivi_status_name(status));
    if (status != KIVI_OK && status != KIVI_NOT_FOUND)
        atomic_fetch_add(&t->writers[index].failures, 1);
}

static void tell_excess_only(const char *what, uint64_t began, int64_t timeout_ms)
{
    if (now_ns() - began > (uint64_t)timeout_ms * 1000000)
        tell_excess(what, began, timeout_ms);
}

static kivi_slice key_of(const traffic *t, size_t index, text *key)
{
    char format[64];

    snprintf(format, sizeof(format), "%s", t->options.keys);
    int size = snprintf(key->bytes, sizeof(key->bytes), format, index);
    return kivi_bytes(key->bytes, (size_t)size);
}

static void write_once(traffic *t, size_t index)
{
    writer *w = &t->writers[index];
    unsigned long phase = atomic_load(&t->phase), number = ++w->number;
    kivi_call call = within_ms(t->options.timeout_ms);
    text key, value;
    uint64_t began = now_ns();
    kivi_status status;

    CHECK(number < MOST);
    print(&value, "<%lu:%zu>", number, index);
    status = kivi_store_set(t->store, &call, key_of(t, index, &key), kivi_str(value.bytes),
                            KIVI_TTL_NONE, NULL);
    tell_excess_only("a write", began, t->options.timeout_ms);
    judge_call(t, index, status, false);
    w->fates[number] = status == KIVI_OK          ? FATE_ACKNOWLEDGED
                       : status == KIVI_UNCERTAIN ? FATE_UNCERTAIN
                                                  : FATE_REFUSED;
    if (status != KIVI_OK)
        return;
    w->acknowledged = number;
    if (phase != atomic_load(&w->phase)) {
        atomic_store(&w->good, 0);
        atomic_store(&w->phase, phase);
    }
    atomic_fetch_add(&w->good, 1);
}

static void read_once(traffic *t, size_t index)
{
    kivi_call call = within_ms(t->options.timeout_ms);
    kivi_buffer value = KIVI_BUFFER_INIT;
    text key;
    uint64_t began = now_ns();

    judge_call(t, index, kivi_store_get(t->store, &call, key_of(t, index, &key), &value, NULL), true);
    tell_excess_only("a read", began, t->options.timeout_ms);
    kivi_buffer_free(&value);
}

static void write_on(worker *w)
{
    traffic *t = w->shared;

    while (!atomic_load(&t->stop)) {
        write_once(t, w->index);
        if (t->writers[w->index].number % 4 == 0)
            read_once(t, w->index);
        pause_ms(1);
    }
}

static void *run_traffic(void *user)
{
    together(TRAFFIC_THREADS, write_on, user);
    return NULL;
}

/* ---- Waiting ---- */

static void await_phase(traffic *t, size_t index, unsigned long phase)
{
    uint64_t end = now_ns() + PATIENCE_S * UINT64_C(1000000000);

    while (atomic_load(&t->writers[index].phase) < phase || atomic_load(&t->writers[index].good) < MORE) {
        CHECK_SAYING(now_ns() < end, "thread %zu does not get through", index);
        pause_ms(5);
    }
}

void traffic_flows(traffic *t)
{
    unsigned long phase = atomic_fetch_add(&t->phase, 1) + 1;

    for (size_t i = 0; i < TRAFFIC_THREADS; i++)
        await_phase(t, i, phase);
}

void traffic_flows_for(traffic *t, size_t thread)
{
    await_phase(t, thread, atomic_fetch_add(&t->phase, 1) + 1);
}

void traffic_fails_for(traffic *t, size_t thread, unsigned long more)
{
    uint64_t end = now_ns() + PATIENCE_S * UINT64_C(1000000000);
    unsigned long wanted = atomic_load(&t->writers[thread].failures) + more;

    while (atomic_load(&t->writers[thread].failures) < wanted) {
        CHECK_SAYING(now_ns() < end, "thread %zu never fails", thread);
        pause_ms(5);
    }
}

/* ---- Beginning and end ---- */

traffic *traffic_begin(kivi_store *store, const traffic_options *options)
{
    traffic *t = calloc(1, sizeof(*t));

    CHECK(t != NULL);
    t->store = store;
    t->options = *options;
    CHECK(pthread_create(&t->thread, NULL, run_traffic, t) == 0);
    traffic_flows(t);
    return t;
}

/* A server that was slow once is left alone for a moment by the store, which says so: what is stored is there after that. */
static void read_back(traffic *t, size_t index, kivi_buffer *value)
{
    kivi_store *store = t->options.judge ? t->options.judge : t->store;
    uint64_t end = now_ns() + PATIENCE_S * UINT64_C(1000000000);
    kivi_status status;
    text key;

    for (;;) {
        status = kivi_store_get(store, NULL, key_of(t, index, &key), value, NULL);
        if (status != KIVI_UNAVAILABLE && status != KIVI_TIMEOUT)
            break;
        CHECK_SAYING(now_ns() < end, "key %zu cannot be read", index);
        pause_ms(20);
    }
    CHECK_SAYING(status == KIVI_OK, "key %zu: %s", index, kivi_status_name(status));
}

void traffic_end(traffic *t)
{
    atomic_store(&t->stop, true);
    pthread_join(t->thread, NULL);
    for (size_t i = 0; i < TRAFFIC_THREADS; i++) {
        const writer *w = &t->writers[i];
        kivi_buffer value = KIVI_BUFFER_INIT;
        unsigned long number = 0;
        read_back(t, i, &value);
        CHECK(value.size > 2 && (number = strtoul((const char *)value.data + 1, NULL, 10)) <= w->number);
        CHECK_SAYING(number == w->acknowledged || w->fates[number] == FATE_UNCERTAIN,
                     "key %zu holds %lu, acknowledged was %lu", i, number, w->acknowledged);
        kivi_buffer_free(&value);
    }
}

void traffic_free(traffic *t)
{
    free(t);
}

/* ---- The ledger ---- */

static void judge_write(traffic *t, tally *by, size_t count, size_t thread, unsigned long number)
{
    load_fate fate = t->writers[thread].fates[number];
    unsigned sum = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned times = tally_count(&by[i], (unsigned)thread, number);
        CHECK_SAYING(times <= 1, "<%lu:%zu> was done %u times by server %zu", number, thread, times, i);
        sum += times;
    }
    CHECK_SAYING(fate != FATE_ACKNOWLEDGED || sum > 0, "<%lu:%zu> is lost", number, thread);
    CHECK_SAYING(fate != FATE_REFUSED || sum == 0, "<%lu:%zu> was done", number, thread);
}

void traffic_compare(traffic *t, running_server *const *servers, size_t count)
{
    tally *by = calloc(count, sizeof(*by));

    CHECK(by != NULL);
    for (size_t i = 0; i < count; i++) {
        tally_begin(&by[i]);
        servers[i]->kind->applied(servers[i], &by[i]);
    }
    for (size_t thread = 0; thread < TRAFFIC_THREADS; thread++)
        for (unsigned long number = 1; number <= t->writers[thread].number; number++)
            judge_write(t, by, count, thread, number);
    for (size_t i = 0; i < count; i++)
        tally_end(&by[i]);
    free(by);
}
