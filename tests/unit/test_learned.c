/* What a session learns at its login: the core checks by it, and another program's data needs its codec named. */
#include "queue_fixture.h"
#include "scripted_backend.h"

TestSuite(learned, .timeout = 60);

static kivi_capabilities can_of(kivi_store *store)
{
    kivi_capabilities can = {.struct_size = sizeof(can)};
    cr_assert_eq(kivi_store_capabilities(store, &can, NULL), KIVI_OK);
    return can;
}

static kivi_status health_of(kivi_store *store)
{
    kivi_health health = {.struct_size = sizeof(health)};
    return kivi_store_health(store, NULL, &health, NULL);
}

static kivi_status set_bytes(kivi_store *store, size_t key_size, size_t value_size, int64_t ttl_ms)
{
    static const char bytes[64];
    return kivi_store_set(store, NULL, kivi_bytes(bytes, key_size), kivi_bytes(bytes, value_size),
                          ttl_ms, NULL);
}

/* ---- limits ---- */

static const char *const shapes[] = {"shared", "blocking", "stepped"};

static kivi_store *small_store(const char *shape)
{
    char url[256];
    snprintf(
        url, sizeof(url),
        "memory:?learns=true&login=20ms&shape=%s&max_key=10&max_value=20&max_ttl=1s&evicts=true&"
        "atomic=false",
        shape);
    return open_store(url);
}

static void check_known(kivi_store *store)
{
    kivi_capabilities can = can_of(store);
    cr_assert_eq(can.max_key, 10);
    cr_assert_eq(can.max_key_plain, 10);
    cr_assert_eq(can.max_value, 20);
    cr_assert_eq(can.max_ttl_ms, 1000);
    cr_assert_eq(can.atomic_max, 0);
    cr_assert_eq(can.order, KIVI_ORDER_BYTES);
    cr_assert(can.evicts);
}

/* From here on the backend is not asked about what it refuses. */
static void check_refused_unsent(kivi_store *store)
{
    kivi_op op = {.struct_size = sizeof(op), .kind = KIVI_OP_SET, .key = kivi_str("k")};
    uint64_t before = stats_of(store).vectors;
    cr_assert_eq(set_bytes(store, 11, 1, 0), KIVI_TOO_LARGE);
    cr_assert_eq(set_bytes(store, 10, 21, 0), KIVI_TOO_LARGE);
    cr_assert_eq(set_bytes(store, 10, 20, 1001), KIVI_UNSUPPORTED);
    cr_assert_eq(kivi_store_apply(store, NULL, &op, 1, KIVI_APPLY_ATOMIC, NULL, NULL), KIVI_UNSUPPORTED);
    cr_assert_eq(stats_of(store).vectors, before);
    cr_assert_eq(set_bytes(store, 10, 20, 1000), KIVI_OK);
}

Test(learned, health_makes_a_store_learn)
{
    for (size_t i = 0; i < 3; i++) {
        kivi_store *store = small_store(shapes[i]);
        kivi_capabilities can = can_of(store);
        cr_assert_eq(can.max_key, 64 << 10, "%s", shapes[i]);
        cr_assert_eq(can.max_value, 256 << 20);
        cr_assert_eq(can.order, KIVI_ORDER_NONE);
        cr_assert_gt(can.atomic_max, 0);
        cr_assert_not(can.evicts);
        cr_assert_eq(health_of(store), KIVI_OK);
        check_known(store);
        check_refused_unsent(store);
        kivi_store_unref(store);
    }
}

/* Before it has learned, the backend refuses. */
Test(learned, the_first_call_keeps_the_limits_as_well)
{
    for (size_t i = 0; i < 3; i++) {
        kivi_op op = {.struct_size = sizeof(op), .kind = KIVI_OP_SET, .key = kivi_str("k")};
        kivi_store *store = small_store(shapes[i]);
        cr_assert_eq(set_bytes(store, 11, 1, 0), KIVI_TOO_LARGE, "%s", shapes[i]);
        check_known(store);
        kivi_store_unref(store);
        store = small_store(shapes[i]);
        cr_assert_eq(set_bytes(store, 10, 21, 0), KIVI_TOO_LARGE);
        kivi_store_unref(store);
        store = small_store(shapes[i]);
        cr_assert_eq(set_bytes(store, 10, 20, 1001), KIVI_UNSUPPORTED);
        kivi_store_unref(store);
        store = small_store(shapes[i]);
        cr_assert_eq(kivi_store_apply(store, NULL, &op, 1, KIVI_APPLY_ATOMIC, NULL, NULL),
                     KIVI_UNSUPPORTED);
        check_known(store);
        check_refused_unsent(store);
        kivi_store_unref(store);
    }
}

Test(learned, a_namespace_and_portable_are_taken_off)
{
    kivi_store *store = open_store("memory:?learns=true&max_key=10&namespace=n");
    cr_assert_eq(health_of(store), KIVI_OK); /* "n:health" has 8 bytes */
    cr_assert_eq(can_of(store).max_key, 8);
    kivi_store_unref(store);
    store = open_store("memory:?learns=true&max_value=1MiB&portable=true");
    cr_assert_eq(health_of(store), KIVI_OK);
    cr_assert_eq(can_of(store).max_value, 256 << 10);
    kivi_store_unref(store);
}

/* ---- layout ---- */

static kivi_store *foreign_store(const char *shape, const char *codec)
{
    char url[128];
    snprintf(url, sizeof(url), "memory:data?learns=true&login=5ms&layout=foreign&shape=%s%s", shape,
             codec);
    return open_store(url);
}

static void expect_refused(kivi_status status, kivi_error **error)
{
    cr_assert_eq(status, KIVI_INVALID, "%s: %s", kivi_status_name(status), kivi_error_message(*error));
    cr_assert_not_null(strstr(kivi_error_message(*error), "codec"), "%s", kivi_error_message(*error));
    kivi_error_free(*error);
}

static void check_foreign(kivi_store *store, unsigned first)
{
    kivi_error *error = NULL;
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_range range = KIVI_RANGE_INIT;
    kivi_page *page = NULL;
    int64_t sum;
    for (unsigned i = first; i < first + 4; i++)
        switch (i % 4) {
        case 0:
            expect_refused(kivi_store_get(store, NULL, kivi_str("k"), &value, &error), &error);
            cr_assert_eq(value.size, 0);
            break;
        case 1:
            expect_refused(kivi_store_set(store, NULL, kivi_str("k"), kivi_str("x"), 0, &error), &error);
            break;
        case 2:
            expect_refused(kivi_store_page(store, NULL, &range, &page, &error), &error);
            break;
        default:
            expect_refused(kivi_store_increment(store, NULL, kivi_str("n"), 1, 0, &sum, &error), &error);
        }
    kivi_buffer_free(&value);
}

Test(learned, a_foreign_layout_needs_its_codec_named_at_the_first_call)
{
    kivi_store *all = open_store("memory:data?codec=raw");
    kivi_buffer value = KIVI_BUFFER_INIT;
    cr_assert_eq(kivi_store_set(all, NULL, kivi_str("k"), kivi_str("theirs"), 0, NULL), KIVI_OK);
    for (unsigned i = 0; i < 12; i++) {
        kivi_store *store = foreign_store(shapes[i / 4], "");
        check_foreign(store, i % 4);
        uint64_t before = stats_of(store).vectors;
        check_foreign(store, 0);
        cr_assert_eq(stats_of(store).vectors, before, "what is known is refused unsent");
        cr_assert_eq(health_of(store), KIVI_INVALID);
        cr_assert_eq(can_of(store).max_key, 64 << 10, "what it can do is no secret");
        kivi_store_unref(store);
    }
    cr_assert_eq(kivi_store_get(all, NULL, kivi_str("k"), &value, NULL), KIVI_OK);
    cr_assert_eq(value.size, 6, "nothing was written");
    kivi_buffer_free(&value);
    kivi_store_unref(all);
}

Test(learned, with_a_codec_named_it_is_read)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    for (size_t i = 0; i < 3; i++) {
        kivi_store *store = foreign_store(shapes[i], "&codec=msgpack");
        cr_assert_eq(kivi_store_set(store, NULL, kivi_str("k"), kivi_str("x"), 0, NULL), KIVI_OK);
        cr_assert_eq(kivi_store_get(store, NULL, kivi_str("k"), &value, NULL), KIVI_OK);
        kivi_store_unref(store);
    }
    kivi_buffer_free(&value);
}

Test(learned, a_queue_refuses_it_as_well)
{
    for (size_t i = 0; i < 3; i++) {
        kivi_store *store = foreign_store(shapes[i], "");
        kivi_queue *queue = new_queue();
        kivi_request get = {.verb = KIVI_VERB_GET, .key = kivi_str("k")};
        kivi_request health = {.verb = KIVI_VERB_HEALTH}, count = {.verb = KIVI_VERB_COUNT};
        cr_assert_eq(ask_status(queue, store, get), KIVI_INVALID, "%s", shapes[i]);
        kivi_queue_close(queue); /* a flight counts once its calls have their answers */
        queue = new_queue();
        uint64_t before = stats_of(store).vectors, ticket;
        kivi_error *error = NULL;
        get.struct_size = sizeof(get);
        expect_refused(kivi_queue_submit(queue, store, NULL, &get, &ticket, &error), &error);
        cr_assert_eq(ask_status(queue, store, count), KIVI_INVALID);
        cr_assert_eq(stats_of(store).vectors, before);
        cr_assert_eq(ask_status(queue, store, health), KIVI_INVALID);
        kivi_queue_close(queue);
        kivi_store_unref(store);
    }
}

/* ---- sessions that find something else ---- */

static int32_t layout;

static kivi_status play_login(scripted_verb *verb)
{
    kivi_learned learned = {.struct_size = sizeof(learned), .fields = KIVI_LEARNED_LAYOUT, .layout = layout};
    kivi_status status = scripted_host->learned(script.reporter, &learned, verb->error);
    return status ? status : scripted_all_done(verb);
}

Test(learned, health_finds_out_that_it_is_ours_by_now)
{
    script.play = play_login;
    kivi_store *store = scripted_store("scripted:");
    layout = KIVI_LAYOUT_FOREIGN;
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("k"), kivi_str("v"), 0, NULL), KIVI_INVALID);
    layout = KIVI_LAYOUT_OURS;
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("k"), kivi_str("v"), 0, NULL), KIVI_INVALID);
    cr_assert_eq(script.verbs, 1, "the second one was not sent");
    cr_assert_eq(health_of(store), KIVI_OK);
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("k"), kivi_str("v"), 0, NULL), KIVI_OK);
    kivi_store_unref(store);
}

/* Threads whose sessions log in at the same time, while others look. */
static kivi_status do_learn(caller *own)
{
    for (int i = 0; i < 200 && !own->status; i++) {
        own->status = kivi_store_set(own->store, NULL, kivi_str(own->key), kivi_str("v"), 1000,
                                     &own->error);
        can_of(own->store);
    }
    return own->status;
}

static kivi_status play_growing(scripted_verb *verb)
{
    static _Atomic unsigned times;
    unsigned now = atomic_fetch_add(&times, 1);
    kivi_learned learned = {.struct_size = sizeof(learned),
                            .fields = KIVI_LEARNED_MAX_VALUE | KIVI_LEARNED_MAX_TTL |
                                      KIVI_LEARNED_MAX_STORED_KEY | KIVI_LEARNED_ORDER,
                            .max_value = 1000 + now,
                            .max_ttl_ms = 1000 + (int64_t)now,
                            .max_stored_key = 100 + now % 7,
                            .order = (int32_t)(now % 2)};
    kivi_status status = scripted_host->learned(script.reporter, &learned, verb->error);
    return status ? status : scripted_all_done(verb);
}

Test(learned, sessions_learn_side_by_side)
{
    caller callers[4];
    script.play = play_growing;
    script.flags = KIVI_BACKEND_BLOCKING;
    script.max_lanes = 4;
    kivi_store *store = scripted_store("scripted:");
    for (size_t i = 0; i < 4; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%zu", i);
        callers[i].integer = 0;
        caller_start(&callers[i], store, key, 0, do_learn);
    }
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(caller_join(&callers[i]), KIVI_OK);
    cr_assert_geq(can_of(store).max_value, 1000);
    kivi_store_unref(store);
}
