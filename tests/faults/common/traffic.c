/* Threads that write under bad conditions and afterwards know what must be there. */
#include "redis.h"

typedef struct writer {
    traffic *t;
    size_t index;
} writer;

static writer writers[WRITERS];

kivi_slice traffic_value(text *place, size_t thread, unsigned long number)
{
    return print(place, "<%lu:%zu>", number, thread);
}

static void note_excess(traffic *t, uint64_t began)
{
    long excess = (long)((now_ns() - began) / 1000) - (long)t->timeout_ms * 1000;
    long most = atomic_load(&t->excess_us);

    while (excess > most && !atomic_compare_exchange_weak(&t->excess_us, &most, excess))
        ;
}

static kivi_status attempt(traffic *t, size_t index, unsigned long number)
{
    text key, value;
    kivi_call call = within_ms(t->timeout_ms);
    uint64_t began = now_ns();
    kivi_status status = kivi_store_set(t->store, &call, print(&key, "traffic:%zu", index),
                                        traffic_value(&value, index, number), KIVI_TTL_NONE, NULL);

    note_excess(t, began);
    return status;
}

/* Whether a key may hold a write: the last acknowledged, or one of unknown fate. Asked by its own thread. */
static bool may_hold(const traffic *t, size_t index, unsigned long number)
{
    if (number == atomic_load(&t->keys[index].acknowledged))
        return true;
    for (size_t i = 0; i < t->keys[index].uncertain_count; i++)
        if (t->keys[index].uncertain[i] == number)
            return true;
    return false;
}

static void read_back(traffic *t, size_t index, unsigned long acknowledged)
{
    text key;
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_call call = within_ms(t->timeout_ms);
    uint64_t began = now_ns();
    kivi_status status = kivi_store_get(t->store, &call, print(&key, "traffic:%zu", index), &got, NULL);

    note_excess(t, began);
    if (status == KIVI_NOT_FOUND)
        CHECK_SAYING(acknowledged == 0, "key %zu is gone after write %lu", index, acknowledged);
    if (status == KIVI_OK) {
        unsigned long number = 0;
        CHECK(!kivi_buffer_append(&got, kivi_bytes("", 1)) &&
              sscanf((char *)got.data, "<%lu:", &number) == 1);
        CHECK_SAYING(may_hold(t, index, number), "key %zu holds write %lu, %lu was acknowledged",
                     index, number, acknowledged);
    }
    kivi_buffer_free(&got);
}

static void *write_on(void *user)
{
    const writer *w = user;
    traffic *t = w->t;
    unsigned long acknowledged = 0;

    for (unsigned long number = 1; !atomic_load(&t->stop); number++) {
        atomic_store(&t->keys[w->index].tried, number);
        kivi_status status = attempt(t, w->index, number);
        if (status == KIVI_OK) {
            acknowledged = number;
            atomic_store(&t->keys[w->index].acknowledged, number);
            atomic_fetch_add(&t->acknowledged, 1);
        } else if (status == KIVI_UNCERTAIN) {
            size_t known = t->keys[w->index].uncertain_count++;
            CHECK(known < UNCERTAIN_MOST);
            t->keys[w->index].uncertain[known] = number;
            atomic_fetch_add(&t->uncertain, 1);
        } else {
            CHECK_SAYING(status == KIVI_UNAVAILABLE || status == KIVI_TIMEOUT ||
                             status == KIVI_IO || status == KIVI_DENIED,
                         "a write answered %s", kivi_status_name(status));
            atomic_fetch_add(&t->refused, 1);
            pause_ms(1);
        }
        if (number % 4 == 0)
            read_back(t, w->index, acknowledged);
    }
    return NULL;
}

void traffic_start(traffic *t, kivi_store *store, int64_t timeout_ms)
{
    memset(t, 0, sizeof(*t));
    t->store = store;
    t->timeout_ms = timeout_ms;
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (writer){t, i};
        CHECK(pthread_create(&t->threads[i], NULL, write_on, &writers[i]) == 0);
    }
}

void traffic_flows(traffic *t, unsigned long more)
{
    unsigned long until = atomic_load(&t->acknowledged) + more;
    uint64_t end = now_ns() + UINT64_C(60000000000);

    while (atomic_load(&t->acknowledged) < until) {
        CHECK_SAYING(now_ns() < end, "the store does not heal: %lu of %lu",
                     atomic_load(&t->acknowledged), until);
        pause_ms(2);
    }
}

static void expect_kept(traffic *t, size_t index)
{
    text key;
    kivi_buffer got = KIVI_BUFFER_INIT;
    unsigned long number = 0, thread = 0;

    OK(kivi_store_get(t->store, NULL, print(&key, "traffic:%zu", index), &got, E));
    OK(kivi_buffer_append(&got, kivi_bytes("", 1)));
    CHECK(sscanf((char *)got.data, "<%lu:%lu>", &number, &thread) == 2 && thread == index);
    CHECK_SAYING(may_hold(t, index, number), "key %zu holds write %lu, %lu was acknowledged", index,
                 number, atomic_load(&t->keys[index].acknowledged));
    kivi_buffer_free(&got);
}

void traffic_stop(traffic *t, const char *what)
{
    long excess = 0;

    atomic_store(&t->stop, true);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(t->threads[i], NULL);
    excess = atomic_load(&t->excess_us);
    printf("%s: %lu acknowledged, %lu uncertain, %lu refused; a call ended at most %ld ms after "
           "its deadline\n",
           what, t->acknowledged, t->uncertain, t->refused, excess > 0 ? excess / 1000 : 0);
    fflush(stdout);
    CHECK_SAYING(excess < 5000000, "%s: a call ended %ld ms late", what, excess / 1000);
    for (size_t i = 0; i < WRITERS; i++)
        expect_kept(t, i);
}
