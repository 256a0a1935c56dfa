/* What tests over whole stores share: opening one by its URL, and its statistics. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <criterion/criterion.h>
#include <kivi/kivi.h>

static inline kivi_store *open_store(const char *url)
{
    kivi_store *store = NULL;
    kivi_error *error = NULL;
    kivi_status status = kivi_store_open(url, NULL, NULL, &store, &error);
    cr_assert_eq(status, KIVI_OK, "%s: %s", url, error ? kivi_error_message(error) : "");
    return store;
}

static inline kivi_stats stats_of(kivi_store *store)
{
    kivi_stats stats = {.struct_size = sizeof(stats)};
    cr_assert_eq(kivi_store_stats(store, &stats, NULL), KIVI_OK);
    return stats;
}

/* The integer of a key of a store that fails and hangs at random: asked, by adding nothing, until it answers. */
static inline int64_t integer_of(kivi_store *store, const char *key)
{
    kivi_call call = KIVI_CALL_INIT;
    int64_t value = -1;
    kivi_status status;
    call.timeout_ms = 1000;
    do
        status = kivi_store_increment(store, &call, kivi_str(key), 0, 0, &value, NULL);
    while (status == KIVI_UNCERTAIN || status == KIVI_UNAVAILABLE || status == KIVI_TIMEOUT);
    cr_assert_eq(status, KIVI_OK, "the last increment answered %s", kivi_status_name(status));
    return value;
}

#endif
