/* kivi_store_describe(): every topic, of memory stores. */
#include "store_fixture.h"

/* A description, read with the library's own reader. */
typedef struct description {
    kivi_buffer map;
    kivi_reader *reader;
} description;

static description describe(kivi_store *store, kivi_topic topic)
{
    description is = {0};
    kivi_error *error = NULL;

    cr_assert_eq(kivi_store_describe(store, NULL, topic, &is.map, &error), KIVI_OK, "%s",
                 error ? kivi_error_message(error) : "");
    cr_assert_eq(kivi_reader_new("msgpack", NULL, &is.reader, NULL), KIVI_OK);
    return is;
}

static void describe_end(description *is)
{
    kivi_reader_free(is->reader);
    kivi_buffer_free(&is->map);
}

/* Goes to the value of a key of the outer map; false where there is none. */
static bool find(description *is, const char *name, kivi_token *token)
{
    kivi_reader_start(is->reader, kivi_buffer_slice(&is->map));
    cr_assert_eq(kivi_reader_next(is->reader, token), KIVI_OK);
    cr_assert_eq(token->type, KIVI_TOKEN_MAP);
    while (!kivi_reader_next(is->reader, token) && token->type != KIVI_TOKEN_END) {
        bool found = token->bytes.size == strlen(name) &&
                     memcmp(token->bytes.data, name, token->bytes.size) == 0;

        cr_assert_eq(kivi_reader_next(is->reader, token), KIVI_OK);
        if (found)
            return true;
        if (token->type == KIVI_TOKEN_MAP || token->type == KIVI_TOKEN_ARRAY)
            cr_assert_eq(kivi_reader_skip(is->reader), KIVI_OK);
    }
    return false;
}

static bool is_word(description *is, const char *name, const char *word)
{
    kivi_token token;

    return find(is, name, &token) && token.type == KIVI_TOKEN_STR &&
           token.bytes.size == strlen(word) && memcmp(token.bytes.data, word, token.bytes.size) == 0;
}

static int64_t number(description *is, const char *name)
{
    kivi_token token;

    cr_assert(find(is, name, &token), "%s", name);
    cr_assert_eq(token.type, KIVI_TOKEN_INT, "%s", name);
    return token.as.integer;
}

Test(describe, capabilities)
{
    kivi_store *store = open_store("memory:?max_key=100&max_value=1000&atomic=false");
    kivi_capabilities can = {.struct_size = sizeof can};
    description is = describe(store, KIVI_TOPIC_CAPABILITIES);
    kivi_token token;

    cr_assert_eq(kivi_store_capabilities(store, &can, NULL), KIVI_OK);
    cr_assert_eq(number(&is, "max_key"), 100);
    cr_assert_eq(number(&is, "max_key_plain"), 100);
    cr_assert_eq(number(&is, "max_value"), 1000);
    cr_assert_eq(number(&is, "atomic_max"), 0);
    cr_assert_eq(number(&is, "max_ttl_ms"), can.max_ttl_ms);
    cr_assert_eq(number(&is, "ttl_resolution_ms"), can.ttl_resolution_ms);
    cr_assert(is_word(&is, "consistency", "linearizable"));
    cr_assert(is_word(&is, "order", "bytes"));
    cr_assert(is_word(&is, "ttl", "native"));
    cr_assert(is_word(&is, "conditions", "native"));
    cr_assert(find(&is, "local", &token) && token.type == KIVI_TOKEN_BOOL &&
              token.as.boolean == can.local);
    cr_assert(find(&is, "in_place", &token) && token.as.boolean == can.in_place);
    cr_assert(find(&is, "shared_keyspace", &token) && token.as.boolean == can.shared_keyspace);
    cr_assert(find(&is, "evicts", &token) && token.as.boolean == can.evicts);
    cr_assert(find(&is, "atomic_by_tag", &token) && token.as.boolean == can.atomic_by_tag);
    kivi_reader_start(is.reader, kivi_buffer_slice(&is.map));
    cr_assert_eq(kivi_reader_next(is.reader, &token), KIVI_OK);
    cr_assert_eq(token.as.count, 21, "every field of kivi_capabilities");
    describe_end(&is);
    kivi_store_unref(store);
}

Test(describe, stats)
{
    kivi_store *store = open_store("memory:");
    description is;
    kivi_token token;
    int64_t samples = 0, sum = 0;
    unsigned buckets = 0;

    for (int i = 0; i < 1000; i++)
        cr_assert_eq(kivi_store_set(store, NULL, kivi_str("a"), kivi_str("\x01"), KIVI_TTL_NONE, NULL),
                     KIVI_OK);
    is = describe(store, KIVI_TOPIC_STATS);
    cr_assert_geq(number(&is, "writes"), 1000);
    cr_assert_geq(number(&is, "calls"), 1000);
    cr_assert_eq(number(&is, "failures"), 0);
    cr_assert(find(&is, "latency", &token) && token.type == KIVI_TOKEN_MAP);
    /* samples, then each percentile not below the one before, then the buckets that they came from */
    kivi_reader_next(is.reader, &token);
    kivi_reader_next(is.reader, &token);
    samples = token.as.integer;
    cr_assert_gt(samples, 0);
    for (int64_t i = 0, before = 0; i < 4; i++, before = token.as.integer) {
        kivi_reader_next(is.reader, &token);
        kivi_reader_next(is.reader, &token);
        cr_assert_eq(token.type, KIVI_TOKEN_INT);
        cr_assert_geq(token.as.integer, before);
        cr_assert_gt(token.as.integer, 0);
    }
    kivi_reader_next(is.reader, &token);
    kivi_reader_next(is.reader, &token);
    cr_assert_eq(token.type, KIVI_TOKEN_ARRAY);
    while (!kivi_reader_next(is.reader, &token) && token.type == KIVI_TOKEN_INT) {
        sum += token.as.integer;
        buckets++;
    }
    cr_assert_eq(buckets, 40);
    cr_assert_eq(sum, samples);
    describe_end(&is);
    kivi_store_unref(store);
}

Test(describe, health)
{
    kivi_store *store = open_store("memory:");
    description is = describe(store, KIVI_TOPIC_HEALTH);
    kivi_token token;

    cr_assert(find(&is, "ok", &token) && token.type == KIVI_TOKEN_BOOL && token.as.boolean);
    cr_assert_gt(number(&is, "latency_ns"), 0);
    cr_assert(find(&is, "detail", &token) && token.type == KIVI_TOKEN_STR);
    describe_end(&is);
    kivi_store_unref(store);
}

Test(describe, health_of_an_ill_store)
{
    kivi_store *store = open_store("memory:?fail_rate=1&fail_status=denied");
    description is = describe(store, KIVI_TOPIC_HEALTH);
    kivi_token token;

    cr_assert(find(&is, "ok", &token) && token.type == KIVI_TOKEN_BOOL && !token.as.boolean);
    cr_assert(find(&is, "latency_ns", &token) && token.type == KIVI_TOKEN_NIL);
    cr_assert(find(&is, "detail", &token) && token.bytes.size > 0);
    describe_end(&is);
    kivi_store_unref(store);
}

Test(describe, what_is_refused)
{
    kivi_store *store = open_store("memory:");
    kivi_buffer map = KIVI_BUFFER_INIT;

    cr_assert_eq(kivi_store_describe(store, NULL, (kivi_topic)99, &map, NULL), KIVI_INVALID);
    cr_assert_eq(map.size, 0);
    kivi_store_close(store);
    cr_assert_eq(kivi_store_describe(store, NULL, KIVI_TOPIC_HEALTH, &map, NULL), KIVI_CLOSED);
    cr_assert_eq(map.size, 0);
    kivi_buffer_free(&map);
    kivi_store_unref(store);
}
