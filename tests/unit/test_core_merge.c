/* Calls that wait together go as one vector: within limits, in their order, folded, each with an answer of its own. */
#include "lanes_fixture.h"

TestSuite(core_merge, .timeout = 30);

/* ---- limits ---- */

Test(core_merge, a_merged_vector_keeps_the_stores_limits)
{
    script.max_items = 2;
    kivi_store *store = store_with(NULL, "scripted:");
    caller first, others[5];
    char key[2] = "a";
    start_first(&first, store, do_set);
    for (int i = 0; i < 5; i++, key[0]++)
        caller_queue(&others[i], store, key, 0, do_set);
    atomic_store(&script.stage, 1);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(caller_join(&others[i]), KIVI_OK);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    cr_assert_eq(atomic_load(&script.verbs), 1 + 3);
    kivi_store_unref(store);
}

static kivi_status do_set_large(caller *own)
{
    char value[600] = {0};
    return kivi_store_set(own->store, &own->call, kivi_str(own->key),
                          kivi_bytes(value, sizeof(value)), 0, &own->error);
}

static kivi_status check_bytes(scripted_verb *verb)
{
    size_t size = 0;
    for (size_t i = 0; i < verb->writes->count; i++)
        size += verb->writes->items[i].key.size + verb->writes->items[i].value.size;
    cr_assert(verb->writes->count == 1 || size <= script.max_bytes);
    return scripted_all_done(verb);
}

Test(core_merge, a_value_beyond_max_bytes_travels_alone)
{
    script.max_bytes = 500;
    kivi_store *store = store_with(check_bytes, "scripted:");
    caller first, others[4];
    start_first(&first, store, do_set);
    caller_queue(&others[0], store, "a", 0, do_set);
    caller_queue(&others[1], store, "b", 0, do_set_large);
    caller_queue(&others[2], store, "c", 0, do_set);
    caller_queue(&others[3], store, "d", 0, do_set);
    atomic_store(&script.stage, 1);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(caller_join(&others[i]), KIVI_OK);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    cr_assert_eq(atomic_load(&script.verbs), 1 + 2);
    kivi_store_unref(store);
}

/* ---- conditional writes of one key ---- */

/* Adds succeed once. */
static kivi_status add_once_only(scripted_verb *verb)
{
    for (size_t i = 0; i < verb->writes->count; i++) {
        kivi_write_item *item = &verb->writes->items[i];
        cr_assert(i == 0 || memcmp(item[-1].key.data, item->key.data, 1) < 0, "sorted, each once");
        if (item->condition == KIVI_IF_ABSENT && atomic_fetch_add(&script.stage, 1) > 1)
            item->status = KIVI_CONDITION;
        else
            item->status = KIVI_OK;
    }
    return KIVI_OK;
}

Test(core_merge, conditional_writes_of_one_key_go_one_after_the_other)
{
    kivi_store *store = store_with(add_once_only, "scripted:");
    caller first, others[6];
    unsigned added = 0;
    start_first(&first, store, do_set);
    for (int i = 0; i < 6; i++)
        caller_queue(&others[i], store, "k", 0, do_add);
    atomic_store(&script.stage, 1);
    for (int i = 0; i < 6; i++)
        added += caller_join(&others[i]) == KIVI_OK;
    cr_assert_eq(caller_join(&first), KIVI_OK);
    cr_assert_eq(added, 1);
    cr_assert_eq(atomic_load(&script.verbs), 1 + 6);
    kivi_store_unref(store);
}

/* ---- folding ---- */

static kivi_status count_existed(scripted_verb *verb)
{
    cr_assert_eq(verb->writes->count, 1);
    verb->writes->items[0].existed = 1;
    return scripted_all_done(verb);
}

Test(core_merge, folded_writes_know_what_was_there)
{
    kivi_store *store = store_with(count_existed, "scripted:");
    caller first, others[4];
    start_first(&first, store, do_set);
    caller_queue(&others[0], store, "k", 0, do_delete);
    caller_queue(&others[1], store, "k", 0, do_delete);
    caller_queue(&others[2], store, "k", 0, do_set);
    caller_queue(&others[3], store, "k", 0, do_delete);
    atomic_store(&script.stage, 1);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(caller_join(&others[i]), KIVI_OK);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    cr_assert(others[0].flag && !others[1].flag && others[3].flag);
    cr_assert_eq(atomic_load(&script.verbs), 2);
    kivi_store_unref(store);
}

/* The store's integer stands at INT64_MAX - 10. */
static kivi_status add_near_the_end(scripted_verb *verb)
{
    static int64_t stored = INT64_MAX - 10;
    kivi_write_item *item = &verb->writes->items[0];
    int64_t sum;
    cr_assert_eq(verb->writes->count, 1);
    if (__builtin_add_overflow(stored, item->by, &sum)) {
        item->status = KIVI_OVERFLOW;
        return KIVI_OK;
    }
    item->integer = stored = sum;
    item->status = KIVI_OK;
    return KIVI_OK;
}

Test(core_merge, of_combined_increments_only_what_overflows_fails)
{
    script.flags = KIVI_BACKEND_INCREMENTS;
    kivi_store *store = store_with(add_near_the_end, "scripted:");
    caller first, others[4];
    const int64_t by[] = {4, 4, 4, 2};
    unsigned failed = 0;
    start_first(&first, store, do_set);
    for (int i = 0; i < 4; i++) {
        others[i].integer = by[i];
        caller_queue(&others[i], store, "n", 0, do_increment);
    }
    atomic_store(&script.stage, 1);
    for (int i = 0; i < 4; i++) {
        kivi_status status = caller_join(&others[i]);
        cr_assert(status == KIVI_OK || status == KIVI_OVERFLOW);
        failed += status == KIVI_OVERFLOW;
        if (status == KIVI_OK)
            cr_assert_leq(others[i].integer, INT64_MAX);
    }
    cr_assert_eq(caller_join(&first), KIVI_OK);
    cr_assert_eq(failed, 1);
    kivi_store_unref(store);
}

Test(core_merge, combined_increments_see_each_others_sums)
{
    script.flags = KIVI_BACKEND_INCREMENTS;
    kivi_store *store = store_with(NULL, "scripted:");
    caller first, others[3];
    start_first(&first, store, do_set);
    for (int i = 0; i < 3; i++) {
        others[i].integer = i + 1;
        caller_queue(&others[i], store, "n", 0, do_increment);
    }
    atomic_store(&script.stage, 1);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(caller_join(&others[i]), KIVI_OK);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    cr_assert_eq(others[0].integer, 1);
    cr_assert_eq(others[1].integer, 3);
    cr_assert_eq(others[2].integer, 6);
    cr_assert_eq(atomic_load(&script.verbs), 2);
    kivi_store_unref(store);
}

/* ---- group commit ---- */

Test(core_merge, who_gathers_keeps_its_deadline)
{
    script.flags = KIVI_BACKEND_GROUP_COMMIT;
    kivi_store *store = store_with(NULL, "scripted:");
    caller first, others[2], late;
    struct timespec before, after;
    start_first(&first, store, do_set);
    /* Two were served by a vector that took long: it waits in the second stage. */
    then = send_and_hang;
    caller_queue(&others[0], store, "a", KIVI_NO_TIMEOUT, do_set);
    caller_queue(&others[1], store, "b", KIVI_NO_TIMEOUT, do_set);
    atomic_store(&script.stage, 1);
    WAIT_UNTIL(atomic_load(&script.verbs) == 2);
    nanosleep(&(struct timespec){3, 0}, NULL);
    atomic_store(&script.stage, 2);
    cr_assert_eq(caller_join(&others[0]), KIVI_OK);
    cr_assert_eq(caller_join(&others[1]), KIVI_OK);
    cr_assert_eq(caller_join(&first), KIVI_OK);
    /* A tenth of 3 s would be 300 ms; the store is closed long before. */
    clock_gettime(CLOCK_MONOTONIC, &before);
    atomic_store(&script.stage, 1);
    caller_start(&late, store, "c", 20, do_set);
    caller_join(&late);
    clock_gettime(CLOCK_MONOTONIC, &after);
    double took = (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
    cr_assert_lt(took, 0.29, "it gathered for %.3f s with a deadline of 0.02 s", took);
    kivi_store_unref(store);
}
