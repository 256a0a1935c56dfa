/* get_or_set: one computation at a time, what happens when it fails, and asking for the key in hand. */
#include "scripted_backend.h"

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

static kivi_status compute_badly(kivi_buffer *value, void *user)
{
    (void)user;
    unsigned number = atomic_fetch_add(&computed, 1);
    kivi_buffer_append(value, kivi_str("half"));
    nap();
    return number < 3 ? KIVI_UNREPRESENTABLE : KIVI_OK;
}

static kivi_status do_compute_badly(caller *own)
{
    return kivi_store_get_or_set(own->store, &own->call, kivi_str(own->key), 0, compute_badly, NULL,
                                 &own->value, &own->error);
}

Test(core_once, who_fails_fails_alone_and_another_computes)
{
    caller callers[6];
    unsigned failed = 0;
    kivi_store *store = scripted_store("memory:");
    for (int i = 0; i < 6; i++)
        caller_start(&callers[i], store, "k", 0, do_compute_badly);
    for (int i = 0; i < 6; i++) {
        kivi_status status = caller_join(&callers[i]);
        cr_assert(status == KIVI_OK || status == KIVI_UNREPRESENTABLE);
        failed += status != KIVI_OK;
    }
    cr_assert_eq(failed, 3);
    cr_assert_eq(atomic_load(&computed), 4);
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
