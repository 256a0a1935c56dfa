/* What tests over whole stores share: opening one by its URL, and its statistics. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <criterion/criterion.h>
#include <kivi/kivi.h>

static inline kivi_store *open_store(const char *url)
{
    kivi_store *store = NULL;
    kivi_error *error = NULL;
    kivi_status status = kivi_store_open(url, NULL, &store, &error);
    cr_assert_eq(status, KIVI_OK, "%s: %s", url, error ? kivi_error_message(error) : "");
    return store;
}

static inline kivi_stats stats_of(kivi_store *store)
{
    kivi_stats stats = {.struct_size = sizeof(stats)};
    cr_assert_eq(kivi_store_stats(store, &stats, NULL), KIVI_OK);
    return stats;
}

#endif
