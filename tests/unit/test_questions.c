/* Verbs without items: counts that backends make, in steps too, and the health of stores of several servers. */
#include "failure.h"
#include "queue_fixture.h"
#include "scripted_backend.h"

TestSuite(questions, .timeout = 60);

static uint64_t count_of(kivi_store *store, const char *prefix)
{
    uint64_t count = 0;
    kivi_error *error = NULL;
    cr_assert_eq(kivi_store_count(store, NULL, kivi_str(prefix), &count, &error), KIVI_OK, "%s",
                 kivi_error_message(error));
    return count;
}

static kivi_status health_of(kivi_store *store, int64_t timeout_ms, kivi_error **error)
{
    kivi_health health = {.struct_size = sizeof(health)};
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = timeout_ms;
    return kivi_store_health(store, &call, &health, error);
}

/* ---- counts ---- */

static unsigned counts, pages;
static kivi_count told;

/* In three steps; a page has one key. */
static kivi_status play_count(scripted_verb *verb)
{
    if (verb->sink) {
        pages++;
        return verb->sink->pair(verb->sink, kivi_str("walked"), kivi_bytes(NULL, 0), KIVI_TTL_NONE);
    }
    if (!verb->count)
        return scripted_all_done(verb);
    if (verb->steps < 2)
        return KIVI_PENDING;
    counts++;
    verb->count->names = told.names;
    if (verb->count->flags & KIVI_COUNT_WANT_ESCAPED)
        verb->count->escaped = told.escaped;
    return KIVI_OK;
}

static kivi_store *counting_store(const char *url)
{
    script.play = play_count;
    script.counts = true;
    counts = pages = 0;
    return scripted_store(url);
}

Test(questions, a_stepped_backend_counts)
{
    told = (kivi_count){.names = 1234567, .escaped = 99};
    kivi_store *store = counting_store("scripted:");
    cr_assert_eq(count_of(store, ""), 1234567,
                 "no key is stored escaped: a percent sign is a byte of keys");
    cr_assert_eq(pages, 0);
    kivi_queue *queue = new_queue();
    kivi_request count = {.verb = KIVI_VERB_COUNT, .key = kivi_str("k")};
    cr_assert_eq(ask_status(queue, store, count), KIVI_OK);
    kivi_queue_close(queue);
    cr_assert_eq(counts, 2);
    cr_assert_eq(script.sessions, 1);
    cr_assert_eq(stats_of(store).vectors, 2);
    kivi_store_unref(store);
}

Test(questions, names_that_may_be_escapes_are_walked)
{
    static const kivi_escape spaces = {
        .struct_size = sizeof(spaces), .bytes[' ' / 8] = 1 << ' ' % 8, .rules = KIVI_ESCAPE_UTF8};
    script.escape = spaces;
    told = (kivi_count){.names = 5};
    kivi_store *store = counting_store("scripted:");
    cr_assert_eq(count_of(store, ""), 5);
    cr_assert_eq(count_of(store, "k"), 5);
    cr_assert_eq(pages, 0);
    told.escaped = 1;
    cr_assert_eq(count_of(store, ""), 1, "the walk found one key");
    cr_assert_eq(pages, 1);
    told.escaped = 0;
    counts = 0;
    cr_assert_eq(count_of(store, "a b"), 0, "names under \"a\" are not all under \"a b\"");
    cr_assert_eq(count_of(store, "\xc3"), 0, "half a character is stored otherwise");
    cr_assert_eq(count_of(store, "%"), 0, "an escape may begin in it");
    cr_assert_eq(counts, 0, "it was not asked");
    cr_assert_eq(pages, 4);
    kivi_store_unref(store);
}

static kivi_status play_walk(scripted_verb *verb)
{
    return verb->count ? KIVI_UNSUPPORTED : play_count(verb);
}

Test(questions, a_count_that_is_left_to_a_walk_keeps_its_session)
{
    kivi_store *store = counting_store("scripted:");
    script.play = play_walk;
    cr_assert_eq(count_of(store, ""), 1);
    cr_assert_eq(pages, 1);
    cr_assert_eq(script.sessions, 1);
    cr_assert_eq(script.closed, 0);
    kivi_store_unref(store);
}

static unsigned breaks;

/* What came of a count that broke off is forgotten. */
static kivi_status play_break(scripted_verb *verb)
{
    if (!verb->count)
        return scripted_all_done(verb);
    verb->count->names += 3;
    return breaks-- ? scripted_fail(verb, KIVI_UNAVAILABLE, KIVI_RETRY_YES) : KIVI_OK;
}

Test(questions, a_count_that_breaks_off_begins_anew)
{
    kivi_store *store = counting_store("scripted:");
    script.play = play_break;
    breaks = 2;
    cr_assert_eq(count_of(store, ""), 3);
    cr_assert_eq(script.sessions, 3);
    kivi_store_unref(store);
}

/* The three shapes of memory, with and without the mock in play. */
Test(questions, memory_counts_in_every_shape)
{
    static const char *const urls[] = {"memory:",
                                       "memory:?order=none",
                                       "memory:?shape=blocking",
                                       "memory:?shape=stepped",
                                       "memory:?shape=stepped&text_keys=true&namespace=a%25b",
                                       "memory:?shape=blocking&path_keys=true",
                                       "memory:?text_keys=true",
                                       "memory:?max_items=2"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        kivi_store *store = open_store(urls[i]);
        static const char *const keys[] = {"a", "a/b", "a b", "b%c", "a\xff"};
        for (size_t k = 0; k < 5; k++)
            cr_assert_eq(kivi_store_set(store, NULL, kivi_str(keys[k]), kivi_str("\x01"), 0, NULL),
                         KIVI_OK);
        cr_assert_eq(count_of(store, ""), 5, "%s", urls[i]);
        cr_assert_eq(count_of(store, "a"), 4, "%s", urls[i]);
        cr_assert_eq(count_of(store, "a/"), 1, "%s", urls[i]);
        cr_assert_eq(count_of(store, "b"), 1, "%s", urls[i]);
        kivi_store_unref(store);
    }
}

/* ---- health ---- */

static kivi_status play_health(scripted_verb *verb)
{
    if (!verb->health)
        return scripted_all_done(verb);
    return verb->steps < 2 ? KIVI_PENDING : scripted_fail(verb, KIVI_UNAVAILABLE, KIVI_RETRY_LATER);
}

Test(questions, a_backend_says_how_its_servers_are)
{
    kivi_buffer value = KIVI_BUFFER_INIT;
    kivi_error *error = NULL;
    script.play = play_health;
    script.has_health = true;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_get(store, NULL, kivi_str("k"), &value, NULL), KIVI_OK);
    expect_failure(health_of(store, 0, &error), &error, KIVI_UNAVAILABLE, "scripted");
    kivi_buffer_free(&value);
    kivi_store_unref(store);
}

static const char *const shapes[] = {"shared", "blocking", "stepped"};

static kivi_store *servers(const char *shape, const char *options)
{
    char url[128];
    snprintf(url, sizeof(url), "memory:?shape=%s&servers=3%s", shape, options);
    return open_store(url);
}

/* How many of 30 keys are on servers that answer; asked one after another, and all at once. */
static unsigned answering(kivi_store *store)
{
    unsigned found = 0;
    kivi_call call = KIVI_CALL_INIT;
    call.timeout_ms = 30;
    for (int i = 0; i < 30; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        kivi_status status = kivi_store_set(store, &call, kivi_str(key), kivi_str("v"), 0, NULL);
        cr_assert(status == KIVI_OK || status == KIVI_TIMEOUT, "%s: %s", key, kivi_status_name(status));
        found += !status;
    }
    return found;
}

static unsigned answering_together(kivi_store *store)
{
    static char names[30][16];
    kivi_slice keys[30], values[30];
    kivi_result *result = NULL;
    kivi_call call = KIVI_CALL_INIT;
    unsigned found = 0;
    call.timeout_ms = 200;
    for (int i = 0; i < 30; i++) {
        snprintf(names[i], sizeof(names[i]), "k%d", i);
        keys[i] = kivi_str(names[i]);
        values[i] = kivi_str("v");
    }
    kivi_store_set_many(store, &call, keys, values, 30, 0, &result, NULL);
    for (size_t i = 0; i < 30; i++)
        found += kivi_result_status(result, i) == KIVI_OK;
    kivi_result_free(result);
    return found;
}

Test(questions, one_silent_server_of_several)
{
    for (size_t i = 0; i < 3; i++) {
        kivi_error *error = NULL;
        kivi_store *store = servers(shapes[i], "&silent_server=2");
        unsigned found = answering(store);
        cr_assert(found > 3 && found < 27, "%s: %u keys", shapes[i], found);
        cr_assert_eq(answering_together(store), found, "%s", shapes[i]);
        expect_failure(health_of(store, 0, &error), &error, KIVI_UNAVAILABLE, "server 2 of 3");
        kivi_store_unref(store);
        store = servers(shapes[i], "");
        cr_assert_eq(health_of(store, 0, NULL), KIVI_OK);
        kivi_store_unref(store);
    }
}

/* ---- at work, and busy ---- */

Test(questions, a_server_at_work_is_silent_and_alive)
{
    for (int at_work = 0; at_work < 2; at_work++) {
        char url[128];
        snprintf(url, sizeof(url),
                 "memory:?shape=stepped&steps=1&latency=400ms&io_timeout=60ms&at_work=%d", at_work);
        kivi_store *store = open_store(url);
        kivi_call call = KIVI_CALL_INIT;
        call.timeout_ms = at_work ? 20000 : 150;
        kivi_status status = kivi_store_set(store, &call, kivi_str("k"), kivi_str("v"), 0, NULL);
        cr_assert_eq(status == KIVI_OK, at_work, "%s", kivi_status_name(status));
        cr_assert_eq(stats_of(store).reconnects > 0, !at_work);
        kivi_store_unref(store);
    }
}

Test(questions, a_key_that_another_holds_is_busy_alone)
{
    for (size_t i = 0; i < 3; i++) {
        char url[128];
        kivi_slice keys[] = {kivi_str("a"), kivi_str("held"), kivi_str("z")};
        kivi_slice values[] = {kivi_str("1"), kivi_str("2"), kivi_str("3")};
        kivi_result *result = NULL;
        snprintf(url, sizeof(url), "memory:?shape=%s&refuse_whole=held&refuse_status=busy", shapes[i]);
        kivi_store *store = open_store(url);
        kivi_store_set_many(store, NULL, keys, values, 3, 0, &result, NULL);
        for (size_t k = 0; k < 3; k++)
            cr_assert_eq(kivi_result_status(result, k), k == 1 ? KIVI_BUSY : KIVI_OK, "%s", shapes[i]);
        cr_assert_eq(stats_of(store).reconnects, 0, "its session is kept");
        kivi_result_free(result);
        kivi_store_unref(store);
    }
}
