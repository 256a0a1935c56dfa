/* get_or_set: one computation at a time, what happens when it fails, and asking for the key in hand. */
#include "scripted_backend.h"

#include "core/store/computing.h"

TestSuite(core_once, .timeout = 30);

static kivi_store *inner_store;
static _Atomic unsigned computed, computing;

static kivi_status compute_slowly(kivi_buffer *value, void *user)
{
    (void)user;
    cr_assert_eq(atomic_fetch_add(&computing, 1), 0, "two at once");
    atomic_fetch_add(&computed, 1);
    WAIT_UNTIL(atomic_load(&script.stage) == 1);
    atomic_fetch_sub(&computing, 1);
    return kivi_buffer_append(value, kivi_str("v"));
}

static kivi_status do_compute(caller *own)
{
    return kivi_store_get_or_set(own->store, &own->call, kivi_str(own->key), 0, compute_slowly,
                                 NULL, &own->value, &own->error);
}

Test(core_once, one_computes_and_all_get_it)
{
    caller callers[6], hasty;
    kivi_store *store = scripted_store("memory:");
    for (int i = 0; i < 6; i++)
        caller_start(&callers[i], store, "k", KIVI_NO_TIMEOUT, do_compute);
    WAIT_UNTIL(atomic_load(&computed) == 1);
    caller_start(&hasty, store, "k", 20, do_compute);
    cr_assert_eq(caller_join(&hasty), KIVI_TIMEOUT);
    atomic_store(&script.stage, 1);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(caller_join(&callers[i]), KIVI_OK);
    cr_assert_eq(atomic_load(&computed), 1);
    kivi_store_unref(store);
}

/* How many hold the entry of the key: who computes, and who waits. */
static uint32_t count_holders(kivi_store *store, const char *key)
{
    bool mine;
    kvi_computing *one = kvi_computing_join(store, kivi_str(key), &mine);
    cr_assert_not(mine);
    kvi_computing_lock();
    uint32_t count = one->refs - 1;
    kvi_computing_unlock();
    kvi_computing_unref(one);
    return count;
}

static kivi_status first_end; /* of the first computation; the others succeed */

static kivi_status compute_badly(kivi_buffer *value, void *user)
{
    (void)user;
    unsigned number = atomic_fetch_add(&computed, 1);
    kivi_buffer_append(value, kivi_str("half"));
    if (number == 0)
        WAIT_UNTIL(atomic_load(&script.stage) == 1);
    return number == 0 ? first_end : KIVI_OK;
}

static kivi_status do_compute_badly(caller *own)
{
    return kivi_store_get_or_set(own->store, &own->call, kivi_str(own->key), 0, compute_badly, NULL,
                                 &own->value, &own->error);
}

/* Six ask for a key whose first computation ends so: how many of them failed. */
static unsigned ask_together(kivi_store *store, kivi_status end)
{
    caller callers[6] = {{.integer = 0}};
    unsigned failed = 0;
    first_end = end;
    caller_start(&callers[0], store, "k", 0, do_compute_badly);
    WAIT_UNTIL(atomic_load(&computed) == 1);
    for (int i = 1; i < 6; i++)
        caller_start(&callers[i], store, "k", 0, do_compute_badly);
    WAIT_UNTIL(count_holders(store, "k") == 6);
    atomic_store(&script.stage, 1);
    for (int i = 0; i < 6; i++) {
        kivi_status status = caller_join(&callers[i]);
        cr_assert(status == KIVI_OK || status == end);
        failed += status != KIVI_OK;
    }
    return failed;
}

Test(core_once, those_who_waited_get_the_error_and_nobody_computes_again)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_store *store = scripted_store("memory:");
    cr_assert_eq(ask_together(store, KIVI_UNREPRESENTABLE), 6);
    cr_assert_eq(atomic_load(&computed), 1);
    cr_assert_eq(kivi_store_get_or_set(store, NULL, kivi_str("k"), 0, compute_badly, NULL, &value, NULL),
                 KIVI_OK, "a later call computes");
    kivi_buffer_free(&value);
    kivi_store_unref(store);
}

Test(core_once, of_one_that_was_broken_off_another_computes)
{
    kivi_store *store = scripted_store("memory:");
    cr_assert_eq(ask_together(store, KIVI_INTERRUPTED), 1);
    cr_assert_eq(atomic_load(&computed), 2);
    kivi_store_unref(store);
}

static kivi_status compute_across(kivi_buffer *value, void *user)
{
    caller *own = user;
    kivi_buffer inner = KIVI_BUFFER_INIT;
    const char *other = own->key[0] == 'a' ? "b" : "a";
    atomic_fetch_add(&computed, 1);
    WAIT_UNTIL(atomic_load(&computed) >= 2);
    first_end = KIVI_OK;
    atomic_store(&script.stage, 1);
    cr_assert_eq(kivi_store_get_or_set(own->store, NULL, kivi_str(other), 0, compute_badly, NULL,
                                       &inner, NULL),
                 KIVI_OK);
    kivi_buffer_free(&inner);
    return kivi_buffer_append(value, kivi_str("v"));
}

static kivi_status do_compute_across(caller *own)
{
    return kivi_store_get_or_set(own->store, &own->call, kivi_str(own->key), 0, compute_across, own,
                                 &own->value, &own->error);
}

Test(core_once, two_that_ask_for_each_others_keys_end)
{
    kivi_store *store = scripted_store("memory:");
    caller one = {.integer = 0}, other = {.integer = 0};
    caller_start(&one, store, "a", KIVI_NO_TIMEOUT, do_compute_across);
    caller_start(&other, store, "b", KIVI_NO_TIMEOUT, do_compute_across);
    cr_assert_eq(caller_join(&one), KIVI_OK);
    cr_assert_eq(caller_join(&other), KIVI_OK);
    kivi_store_unref(store);
}

static kivi_status compute_itself(kivi_buffer *value, void *user)
{
    kivi_error *error = NULL;
    kivi_buffer inner = KIVI_BUFFER_INIT;
    const char *key = user;
    kivi_status status = kivi_store_get_or_set(inner_store, NULL, kivi_str(key), 0, compute_itself,
                                               user, &inner, &error);
    kivi_error_free(error);
    kivi_buffer_free(&inner);
    if (status)
        return status;
    return kivi_buffer_append(value, kivi_str("v"));
}

static kivi_status compute_after_another(kivi_buffer *value, void *user)
{
    (void)user;
    kivi_buffer inner = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_get_or_set(inner_store, NULL, kivi_str("other"), 0,
                                               compute_badly, NULL, &inner, NULL);
    kivi_buffer_free(&inner);
    return status ? status : kivi_buffer_append(value, kivi_str("v"));
}

Test(core_once, a_computation_may_use_the_store_but_not_ask_for_its_own_key)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_error *error = NULL;
    inner_store = scripted_store("memory:");
    char key[] = "k";
    cr_assert_eq(kivi_store_get_or_set(inner_store, NULL, kivi_str(key), 0, compute_itself, key,
                                       &value, &error),
                 KIVI_INVALID);
    cr_assert_eq(kivi_error_status(error), KIVI_INVALID);
    cr_assert_eq(value.size, 0);
    kivi_error_free(error);
    /* Nothing is left of it: the key can be computed. */
    atomic_store(&computed, 3);
    cr_assert_eq(kivi_store_get_or_set(inner_store, NULL, kivi_str(key), 0, compute_after_another,
                                       NULL, &value, NULL),
                 KIVI_OK);
    cr_assert_eq(value.size, 1);
    kivi_buffer_free(&value);
    kivi_store_unref(inner_store);
}

static kivi_status close_and_compute(kivi_buffer *value, void *user)
{
    kivi_store_close(user);
    return kivi_buffer_append(value, kivi_str("v"));
}

Test(core_once, closing_meanwhile_ends_it)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_store *store = scripted_store("memory:");
    cr_assert_eq(kivi_store_get_or_set(store, NULL, kivi_str("k"), 0, close_and_compute, store,
                                       &value, NULL),
                 KIVI_CLOSED);
    kivi_buffer_free(&value);
    kivi_store_unref(store);
}

/* No key is there. A write is sent: stage 0, and its connection ends; 1, nothing comes; 2, it is done. */
static kivi_status lose_leases(scripted_verb *verb)
{
    for (size_t i = 0; verb->reads && i < verb->reads->count; i++)
        verb->reads->items[i].status = KIVI_NOT_FOUND;
    if (verb->reads || atomic_load(&script.stage) == 2)
        return scripted_all_done(verb);
    scripted_sent(verb, KIVI_SENT_WHOLLY);
    return atomic_load(&script.stage) ? KIVI_PENDING
                                      : scripted_fail(verb, KIVI_UNAVAILABLE, KIVI_RETRY_NO);
}

static kivi_status compute_counted(kivi_buffer *value, void *user)
{
    (void)user;
    atomic_fetch_add(&computed, 1);
    return kivi_buffer_append(value, kivi_str("v"));
}

/* A lease of which nobody knows whether it was taken leaves no doubt about the value. */
Test(core_once, a_lost_lease_is_not_uncertain)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_call hasty = KIVI_CALL_INIT;
    kivi_error *error = NULL;
    script.play = lose_leases;
    script.has_conditions = true;
    kivi_store *store = scripted_store("scripted:");

    kivi_status status = kivi_store_get_or_set_leased(store, NULL, kivi_str("k"), 0, 60000,
                                                      compute_counted, NULL, &value, &error);
    cr_assert_eq(status, KIVI_UNAVAILABLE, "%s", kivi_status_name(status));
    cr_assert_eq(kivi_error_status(error), KIVI_UNAVAILABLE);
    kivi_error_free(error);
    atomic_store(&script.stage, 1);
    hasty.timeout_ms = 50;
    cr_assert_eq(kivi_store_get_or_set_leased(store, &hasty, kivi_str("k"), 0, 60000,
                                              compute_counted, NULL, &value, &error),
                 KIVI_TIMEOUT);
    cr_assert_eq(kivi_error_status(error), KIVI_TIMEOUT);
    kivi_error_free(error);
    cr_assert_eq(atomic_load(&computed), 0);
    atomic_store(&script.stage, 2);
    kivi_buffer_free(&value);
    kivi_store_unref(store);
}
