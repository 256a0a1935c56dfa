/* Places: one caller at a time reads, changes and writes a key; who waits, who goes together, who is passed over. */
#include "scripted_backend.h"

#include "core/store/begin.h"
#include "core/store/places.h"

TestSuite(places, .timeout = 60);

/* Each of its calls takes longer than it takes to wake a thread; nothing is native. */
#define SLOW "memory:?shape=stepped&native=false&latency=2ms&lanes=8&codec=raw"

static kivi_store *open_plain(const char *url)
{
    kivi_store *store = NULL;
    kivi_error *error = NULL;
    cr_assert_eq(kivi_store_open(url, NULL, NULL, &store, &error), KIVI_OK, "%s",
                 kivi_error_message(error));
    return store;
}

/* ---- the line itself ---- */

typedef struct stander {
    kivi_store *store;
    kvi_place place;
    kivi_call call;
    unsigned number;
    kivi_status status;
    pthread_t thread;
} stander;

static _Atomic unsigned came;
static unsigned order[8];

static void *stand(void *given)
{
    stander *own = given;
    kvi_context ctx;
    cr_assert_eq(kvi_begin(&ctx, own->store, &own->call, "stand", NULL), KIVI_OK);
    own->status = kvi_place_take(&ctx, &own->place, kivi_str("key"));
    if (own->status == KIVI_OK)
        order[atomic_fetch_add(&came, 1)] = own->number;
    kvi_place_give(&own->place, NULL);
    kvi_end(&ctx, own->status);
    return NULL;
}

static void start_standing(stander *own, kivi_store *store, unsigned number, int64_t timeout_ms)
{
    *own = (stander){.store = store, .number = number, .call = KIVI_CALL_INIT};
    own->call.timeout_ms = timeout_ms;
    cr_assert_eq(pthread_create(&own->thread, NULL, stand, own), 0);
    WAIT_UNTIL(atomic_load(&own->place.state) == KVI_PLACE_WAITS);
}

/* The test's own thread has the place. */
static void hold(kvi_context *ctx, kvi_place *place, kivi_store *store)
{
    *place = (kvi_place){.state = KVI_PLACE_NONE};
    cr_assert_eq(kvi_begin(ctx, store, NULL, "hold", NULL), KIVI_OK);
    cr_assert_eq(kvi_place_take(ctx, place, kivi_str("key")), KIVI_OK);
    cr_assert_eq(atomic_load(&place->state), KVI_PLACE_HOLDS);
}

Test(places, the_longest_waiter_is_next)
{
    kivi_store *store = open_plain("memory:");
    kvi_context ctx;
    kvi_place mine;
    stander waiting[4];
    hold(&ctx, &mine, store);
    for (unsigned i = 0; i < 4; i++)
        start_standing(&waiting[i], store, i, 0);
    kvi_place_give(&mine, NULL);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(waiting[i].thread, NULL);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(order[i], i);
    kvi_end(&ctx, KIVI_OK);
    kivi_store_unref(store);
}

Test(places, who_cannot_wait_leaves_the_line)
{
    kivi_store *store = open_plain("memory:");
    kvi_context ctx;
    kvi_place mine;
    stander late, closed;
    hold(&ctx, &mine, store);
    start_standing(&late, store, 0, 30);
    start_standing(&closed, store, 1, KIVI_NO_TIMEOUT);
    pthread_join(late.thread, NULL);
    cr_assert_eq(late.status, KIVI_TIMEOUT);
    kivi_store_close(store);
    pthread_join(closed.thread, NULL);
    cr_assert_eq(closed.status, KIVI_CLOSED);
    kvi_place_give(&mine, NULL);
    kvi_end(&ctx, KIVI_OK);
    kivi_store_unref(store);
}

Test(places, another_key_is_another_line)
{
    kivi_store *store = open_plain("memory:");
    kvi_context ctx;
    kvi_place mine, other = {.state = KVI_PLACE_NONE};
    hold(&ctx, &mine, store);
    for (int i = 0; i < 500; i++) { /* more than there are lines */
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        cr_assert_eq(kvi_place_take(&ctx, &other, kivi_str(key)), KIVI_OK);
        cr_assert_eq(atomic_load(&other.state), KVI_PLACE_HOLDS);
        kvi_place_give(&other, NULL);
    }
    kvi_place_give(&mine, NULL);
    kvi_end(&ctx, KIVI_OK);
    kivi_store_unref(store);
}

/* ---- update ---- */

static kivi_status count_up(const kivi_slice *current, kivi_buffer *next,
                            kivi_update_action *action, void *user)
{
    uint32_t n = 0;
    (void)action, (void)user;
    if (current)
        memcpy(&n, current->data, sizeof(n));
    n++;
    return kivi_buffer_append(next, kivi_bytes(&n, sizeof(n)));
}

static uint32_t value_of(kivi_store *store, const char *key)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    uint32_t n = 0;
    cr_assert_eq(kivi_store_get(store, NULL, kivi_str(key), &value, NULL), KIVI_OK);
    memcpy(&n, value.data, sizeof(n));
    kivi_buffer_free(&value);
    return n;
}

enum { CALLS = 20, THREADS = 16 };

static kivi_status do_updates(caller *own)
{
    kivi_status status = KIVI_OK;
    for (int i = 0; i < CALLS && !status; i++)
        status = kivi_store_update(own->store, &own->call, kivi_str(own->key), 0, count_up, NULL,
                                   &own->error);
    return status;
}

/* Where nobody disturbs anybody an update is two vectors at most. Without lines 16 callers lose most of their rounds. */
Test(places, updates_of_one_key_do_not_disturb_one_another)
{
    kivi_store *store = open_plain(SLOW);
    caller callers[THREADS];
    for (int i = 0; i < THREADS; i++)
        caller_start(&callers[i], store, "key", 30000, do_updates);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(caller_join(&callers[i]), KIVI_OK);
    cr_assert_eq(value_of(store, "key"), THREADS * CALLS);
    cr_assert_leq(stats_of(store).vectors, 2 * THREADS * CALLS + 10);
    kivi_store_unref(store);
}

typedef struct nest {
    kivi_store *store;
    const char *inner;
    _Atomic int *arrived; /* of those that cross */
    int rounds;
} nest;

static kivi_status update_inside(const kivi_slice *current, kivi_buffer *next,
                                 kivi_update_action *action, void *user)
{
    nest *own = user;
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = 20000;
    if (own->rounds++ == 0) {
        if (own->arrived) {
            atomic_fetch_add(own->arrived, 1);
            WAIT_UNTIL(atomic_load(own->arrived) == 2);
        }
        cr_assert_eq(kivi_store_update(own->store, &call, kivi_str(own->inner), 0, count_up, NULL, NULL),
                     KIVI_OK);
    }
    return count_up(current, next, action, NULL);
}

static void update_nested(kivi_store *store, const char *outer, const char *inner, _Atomic int *arrived)
{
    nest own = {store, inner, arrived, 0};
    cr_assert_eq(kivi_store_update(store, NULL, kivi_str(outer), 0, update_inside, &own, NULL), KIVI_OK);
}

Test(places, an_update_inside_an_update_waits_for_nobody)
{
    kivi_store *store = open_plain("memory:?codec=raw");
    update_nested(store, "a", "b", NULL);
    cr_assert_eq(value_of(store, "a"), 1);
    cr_assert_eq(value_of(store, "b"), 1);
    update_nested(store, "a", "a", NULL); /* it disturbs itself, once */
    cr_assert_eq(value_of(store, "a"), 3);
    kivi_store_unref(store);
}

static kivi_status do_crossed(caller *own)
{
    update_nested(own->store, own->key, own->key[0] == 'a' ? "b" : "a", (_Atomic int *)&script.stage);
    return KIVI_OK;
}

Test(places, crossed_updates_end)
{
    kivi_store *store = open_plain("memory:?codec=raw");
    caller one, other;
    caller_start(&one, store, "a", 0, do_crossed);
    caller_start(&other, store, "b", 0, do_crossed);
    caller_join(&one);
    caller_join(&other);
    cr_assert_eq(value_of(store, "a"), 2);
    cr_assert_eq(value_of(store, "b"), 2);
    kivi_store_unref(store);
}

/* Says that it is there, and stays until the test lets it go; then the version it read is an old one. */
static kivi_status stay_away(const kivi_slice *current, kivi_buffer *next,
                             kivi_update_action *action, void *user)
{
    if (atomic_load(&script.stage) == 0)
        atomic_store(&script.stage, 1);
    WAIT_UNTIL(atomic_load(&script.stage) == 2);
    return count_up(current, next, action, user);
}

static kivi_status do_stay(caller *own)
{
    return kivi_store_update(own->store, &own->call, kivi_str(own->key), 0, stay_away, NULL, &own->error);
}

Test(places, who_does_not_come_back_is_passed_over)
{
    kivi_store *store = open_plain("memory:?codec=raw");
    kivi_call call = KIVI_CALL_INIT;
    caller away;
    call.timeout_ms = 20000;
    caller_start(&away, store, "key", 0, do_stay);
    WAIT_UNTIL(atomic_load(&script.stage) == 1);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(kivi_store_update(store, &call, kivi_str("key"), 0, count_up, NULL, NULL), KIVI_OK);
    atomic_store(&script.stage, 2);
    cr_assert_eq(caller_join(&away), KIVI_OK);
    cr_assert_eq(value_of(store, "key"), 101);
    kivi_store_unref(store);
}

static kivi_status fail(const kivi_slice *current, kivi_buffer *next, kivi_update_action *action,
                        void *user)
{
    (void)current, (void)next, (void)action, (void)user;
    return KIVI_DENIED;
}

Test(places, a_function_that_fails_gives_its_place_back)
{
    kivi_store *store = open_plain("memory:?codec=raw");
    for (int i = 0; i < 3; i++)
        cr_assert_eq(kivi_store_update(store, NULL, kivi_str("key"), 0, fail, NULL, NULL), KIVI_DENIED);
    cr_assert_not(kvi_is_inside());
    cr_assert_eq(kivi_store_update(store, NULL, kivi_str("key"), 0, count_up, NULL, NULL), KIVI_OK);
    kivi_store_unref(store);
}

/* ---- additions ---- */

static kivi_status do_additions(caller *own)
{
    kivi_status status = KIVI_OK;
    for (int i = 0; i < CALLS && !status; i++) {
        int64_t sum = 0;
        status = kivi_store_increment(own->store, &own->call, kivi_str(own->key), 1, 0, &sum, &own->error);
        cr_assert_gt(sum, own->integer, "a sum is of another's call");
        own->integer = sum;
    }
    return status;
}

Test(places, additions_in_line_are_one_write)
{
    kivi_store *store = open_plain(
        "memory:?shape=stepped&native=false&latency=10ms&lanes=8&timeout=20s");
    caller callers[THREADS];
    int64_t sum = 0;
    for (int i = 0; i < THREADS; i++) {
        callers[i].integer = 0;
        caller_start(&callers[i], store, "key", 0, do_additions);
    }
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(caller_join(&callers[i]), KIVI_OK);
    cr_assert_lt(stats_of(store).vectors, THREADS * CALLS, "each was written by itself");
    cr_assert_eq(kivi_store_increment(store, NULL, kivi_str("key"), 0, 0, &sum, NULL), KIVI_OK);
    cr_assert_eq(sum, THREADS * CALLS);
    kivi_store_unref(store);
}

static void *add_up(void *given)
{
    stander *own = given;
    kvi_context ctx;
    cr_assert_eq(kvi_begin(&ctx, own->store, NULL, "add", NULL), KIVI_OK);
    own->status = kvi_place_take(&ctx, &own->place, kivi_str("key"));
    kvi_place_give(&own->place, NULL);
    kvi_end(&ctx, KIVI_OK);
    return NULL;
}

/* Those in line behind the holder: +5, one that would overflow, +7. */
static void start_additions(stander *own, kvi_addition *additions, kivi_store *store)
{
    static const int64_t by[] = {5, INT64_MAX, 7};
    for (int i = 0; i < 3; i++) {
        additions[i] = (kvi_addition){.by = by[i], .ttl_ms = 1000 * (i + 1)};
        own[i] = (stander){.store = store, .place = {.addition = &additions[i]}};
        cr_assert_eq(pthread_create(&own[i].thread, NULL, add_up, &own[i]), 0);
        WAIT_UNTIL(atomic_load(&own[i].place.state) == KVI_PLACE_WAITS);
    }
}

Test(places, one_that_overflows_fails_alone)
{
    kivi_store *store = open_plain("memory:");
    kvi_context ctx;
    kvi_place mine;
    kvi_addition own = {.by = 1, .ttl_ms = 9000}, additions[3];
    stander waiting[3];
    int64_t sum, ttl_ms = 0;
    hold(&ctx, &mine, store);
    mine.addition = &own;
    start_additions(waiting, additions, store);
    cr_assert(kvi_place_add_up(&mine, 100, &sum, &ttl_ms));
    cr_assert_eq(sum, 113);
    cr_assert_eq(ttl_ms, 9000);
    kvi_place_answer(&mine, KIVI_OK, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(waiting[i].thread, NULL);
    cr_assert(own.value == 101 && additions[0].value == 106 && additions[2].value == 113);
    cr_assert(additions[0].status == KIVI_OK && additions[1].status == KIVI_OVERFLOW);
    kvi_place_give(&mine, NULL);
    kvi_end(&ctx, KIVI_OK);
    kivi_store_unref(store);
}

/* The holder's time is over before it has written: the others try it themselves. */
Test(places, what_was_not_tried_goes_back_into_line)
{
    kivi_store *store = open_plain("memory:");
    kvi_context ctx;
    kvi_place mine;
    kvi_addition own = {.by = 1}, additions[3];
    stander waiting[3];
    int64_t sum, ttl_ms = 0;
    hold(&ctx, &mine, store);
    mine.addition = &own;
    start_additions(waiting, additions, store);
    cr_assert(kvi_place_add_up(&mine, 0, &sum, &ttl_ms));
    kvi_place_put_back(&mine);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(atomic_load(&waiting[i].place.state), KVI_PLACE_WAITS);
    kvi_place_give(&mine, NULL);
    for (int i = 0; i < 3; i++) {
        pthread_join(waiting[i].thread, NULL);
        cr_assert_eq(waiting[i].status, KIVI_OK);
    }
    kvi_end(&ctx, KIVI_OK);
    kivi_store_unref(store);
}
