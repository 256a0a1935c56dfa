/* Events that only a bad day brings: repeats, reconnects and sweeps, on memory that has them by its options. */
#include "store_fixture.h"

#include <stdio.h>
#include <time.h>

typedef struct heard {
    uint64_t retries, reconnects, sweeps, swept, last_attempt;
} heard;

static void hear(const kivi_event *event, void *user)
{
    heard *h = user;
    if (event->type == KIVI_EVENT_RETRY) {
        h->retries++;
        h->last_attempt = event->attempt;
    }
    h->reconnects += event->type == KIVI_EVENT_RECONNECT ? event->items : 0;
    h->sweeps += event->type == KIVI_EVENT_SWEEP;
    h->swept += event->type == KIVI_EVENT_SWEEP ? event->items : 0;
}

static kivi_store *open_heard(const char *url, heard *h)
{
    kivi_store *store = NULL;
    kivi_options *options = kivi_options_new();
    kivi_options_on_event(options, hear, h);
    cr_assert_eq(kivi_store_open(url, NULL, options, &store, NULL), KIVI_OK);
    kivi_options_free(options);
    return store;
}

Test(events, repeats_and_reconnects)
{
    heard h = {0};
    kivi_store *store = open_heard("memory:?shape=stepped&fail_rate=0.3&seed=11", &h);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(kivi_store_set(store, NULL, kivi_str("k"), kivi_str("\x01"), KIVI_TTL_NONE, NULL),
                     KIVI_OK);
    kivi_stats stats = stats_of(store);
    cr_assert_gt(h.retries, 0);
    cr_assert_gt(h.last_attempt, 0);
    cr_assert_eq(h.retries, stats.retries);
    cr_assert_gt(h.reconnects, 0);
    cr_assert_eq(h.reconnects, stats.reconnects);
    kivi_store_unref(store);
}

Test(events, sweeps)
{
    heard h = {0};
    char key[16];
    kivi_store *store = open_heard("memory:", &h);
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "goes%d", i);
        kivi_store_set(store, NULL, kivi_str(key), kivi_str("\x01"), 1, NULL);
    }
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    for (int i = 0; i < 40; i++)
        kivi_store_set(store, NULL, kivi_str("stays"), kivi_str("\x01"), KIVI_TTL_NONE, NULL);
    cr_assert_gt(h.sweeps, 0);
    cr_assert_eq(h.swept, 40);
    cr_assert_eq(stats_of(store).swept, 40);
    kivi_store_unref(store);
}
