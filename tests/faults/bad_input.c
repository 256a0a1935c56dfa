/*
 * What a caller can get wrong, from outside: each a typed error that can be acted on, and no secret in any of
 * them. What single parts do with bad input is in the unit tests; what every store does, in the conformance suite.
 */
#include <limits.h>
#include <unistd.h>

#include "common/faults.h"

TestSuite(bad_input, .init = case_begin, .fini = case_end);

/* ---- URLs and options ---- */

static void refuse_open(const char *url, kivi_status wanted, const char *part)
{
    kivi_store *store = NULL;

    REFUSED(wanted, part, kivi_store_open(url, NULL, NULL, &store, E));
    CHECK_SAYING(store == NULL, "%s was opened", url ? url : "NULL");
}

Test(bad_input, urls_and_options, .timeout = 30)
{
    static const struct {
        const char *url;
        const char *part;
    } rows[] = {
        {"", ""},
        {"lmdb", ""},
        {":", ""},
        {"redsi://localhost", "lmdb"},
        {"redsi://localhost", "memory"},
        {"redsi://localhost", "redsi"},
        {"lmdb:", "path"},
        {"lmdb:/nowhere/at/all/data.mdb", "/nowhere/at/all"},
        {"lmdb:/dev/null", "/dev/null"},
        {"lmdb:/tmp/kivi-never-made?map_sise=1MiB", "map_size"},
        {"lmdb:/tmp/kivi-never-made?synk=false", "sync"},
        {"lmdb:/tmp/kivi-never-made?sync=perhaps", "sync"},
        {"lmdb:/tmp/kivi-never-made?map_size=huge", "map_size"},
        {"lmdb:/tmp/kivi-never-made?map_size=1", "map_size"},
        {"lmdb:/tmp/kivi-never-made?map_size=-1", "map_size"},
        {"lmdb:/tmp/kivi-never-made?map_size=99999999999999999999", "map_size"},
        {"lmdb:/tmp/kivi-never-made?max_readers=0", "max_readers"},
        {"lmdb:/tmp/kivi-never-made?mode=rw", "mode"},
        {"lmdb:/tmp/kivi-never-made?mode=0000", "mode"},
        {"lmdb:/tmp/kivi-never-made?timeout=soon", "timeout"},
        {"lmdb:/tmp/kivi-never-made?timeout=-5", "timeout"},
        {"lmdb:/tmp/kivi-never-made?codec=xml", "msgpack"},
        {"lmdb:/tmp/kivi-never-made?sync=true&sync=false", "sync"},
        {"lmdb:/tmp/kivi-never-made?=1", ""},
        {"lmdb:/tmp/kivi-never-made?%zz=1", ""},
        {"memory:?shape=round", "stepped"},
        {"memory:?fail_rate=2", "fail_rate"},
        {"memory:?fail_rate=nan", "fail_rate"},
        {"memory:?latancy=1s", "latency"},
        {"memory://host:1/x", ""},
    };
    text path;

    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        refuse_open(rows[i].url, KIVI_INVALID, rows[i].part);
    refuse_open(NULL, KIVI_INVALID, "");
    print(&path, "lmdb:%s/missing?create=false", folder);
    refuse_open(path.bytes, KIVI_INVALID, "/missing");
    CHECK_SAYING(access("/tmp/kivi-never-made", F_OK) != 0,
                 "something was made before the options were judged");
}

Test(bad_input, long_urls, .timeout = 30)
{
    size_t size = 1 << 20;
    char *url = malloc(size + 1);
    kivi_store *store = NULL;

    CHECK(url != NULL);
    memset(url, 'a', size);
    url[size] = 0;
    REFUSED(KIVI_INVALID, "", kivi_store_open(url, NULL, NULL, &store, E));
    memcpy(url, "lmdb:/", 6);
    REFUSED(KIVI_INVALID, "too long", kivi_store_open(url, NULL, NULL, &store, E));
    memcpy(url, "memory:?", 8);
    REFUSED(KIVI_INVALID, "", kivi_store_open(url, NULL, NULL, &store, E));
    free(url);
}

/* ---- plugins that are missing or wrong ---- */

static text fixture_path;

static void put_manifest(const char *scheme, const char *module, const char *package)
{
    text path;
    FILE *file;

    print(&path, "%s/%s.plugin", folder, scheme);
    file = fopen(path.bytes, "w");
    CHECK(file != NULL);
    fprintf(file, "name: %s\nschemes: %s\nfile: %s/%s.so\nsummary: for tests\n", scheme, scheme,
            fixture_path.bytes, module);
    if (package)
        fprintf(file, "package: %s\n", package);
    CHECK(fclose(file) == 0);
}

Test(bad_input, plugins, .timeout = 30)
{
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);

    CHECK(size > 0);
    program[size] = 0;
    *strrchr(program, '/') = 0;
    print(&fixture_path, "%s/fixtures", program);
    setenv("KIVI_PLUGIN_PATH", folder, 1);
    put_manifest("gone", "not-there", "libgone1");
    put_manifest("elder", "other-abi", NULL);
    put_manifest("orphan", "no-client", "libabsent3");
    put_manifest("nothing", "no-plugin", NULL);
    put_manifest("right", "right", NULL);
    for (unsigned i = 0; i < 3; i++) {
        refuse_open("gone:x", KIVI_UNSUPPORTED, "not-there.so");
        refuse_open("elder:x", KIVI_UNSUPPORTED, "ABI");
        refuse_open("orphan:x", KIVI_UNSUPPORTED, "install the package libabsent3");
        refuse_open("nothing:x", KIVI_UNSUPPORTED, "no plugin");
        refuse_open("nobody:x", KIVI_INVALID, "elder");
    }
    for (size_t i = 0;; i++) {
        kivi_scheme_info info = {.struct_size = sizeof(info)};
        kivi_status status = kivi_scheme_describe(i, &info, E);
        if (status == KIVI_NOT_FOUND)
            break;
        OK(status);
        CHECK_SAYING(info.available == (*info.reason == 0), "%s: %s", info.scheme, info.reason);
    }
}

/* ---- keys, values and batches of one store, at their edges ---- */

static void refuse_calls(kivi_store *store, kivi_slice key, kivi_slice value, kivi_status wanted)
{
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_slice keys[] = {kivi_str("good"), key}, values[] = {kivi_str("v"), value};
    kivi_op ops[2] = {KIVI_OP_INIT, KIVI_OP_INIT};

    for (unsigned i = 0; i < 2; i++) {
        ops[i].kind = KIVI_OP_SET;
        ops[i].key = keys[i];
        ops[i].value = values[i];
    }
    ANSWERS(wanted, kivi_store_set(store, NULL, key, value, KIVI_TTL_NONE, E));
    ANSWERS(wanted, kivi_store_add(store, NULL, key, value, KIVI_TTL_NONE, E));
    ANSWERS(wanted, kivi_store_compare_and_set(store, NULL, key, value, value, KIVI_TTL_NONE, E));
    ANSWERS(wanted, kivi_store_set_many(store, NULL, keys, values, 2, KIVI_TTL_NONE, NULL, E));
    ANSWERS(wanted, kivi_store_apply(store, NULL, ops, 2, KIVI_APPLY_ATOMIC, NULL, E));
    /* Nothing of a batch was done. */
    ANSWERS(KIVI_NOT_FOUND, kivi_store_get(store, NULL, kivi_str("good"), &got, E));
    kivi_buffer_free(&got);
}

Test(bad_input, keys_and_values, .timeout = 60)
{
    kivi_store *stores[] = {open_lmdb("&sync=false"),
                            open_store("memory:?codec=raw&max_value=1MiB")};
    uint8_t *bytes = calloc(1, (1 << 20) + 1);

    CHECK(bytes != NULL);
    for (unsigned i = 0; i < 2; i++) {
        kivi_capabilities can = {.struct_size = sizeof(can)};
        OK(kivi_store_capabilities(stores[i], &can, E));
        refuse_calls(stores[i], kivi_bytes(NULL, 0), kivi_str("v"), KIVI_INVALID);
        refuse_calls(stores[i], kivi_bytes(bytes, can.max_key + 1), kivi_str("v"), KIVI_TOO_LARGE);
        OK(kivi_store_set(stores[i], NULL, kivi_bytes(bytes, can.max_key), kivi_str("v"), 0, E));
    }
    refuse_calls(stores[1], kivi_str("k"), kivi_bytes(bytes, (1 << 20) + 1), KIVI_TOO_LARGE);
    for (unsigned i = 0; i < 2; i++)
        kivi_store_unref(stores[i]);
    free(bytes);
}

/* LMDB's largest value is 2 GiB: said before a byte of it is looked at. */
Test(bad_input, values_over_the_limit, .timeout = 60)
{
    kivi_store *store = open_lmdb("&sync=false");
    kivi_capabilities can = {.struct_size = sizeof(can)};

    OK(kivi_store_capabilities(store, &can, E));
    refuse_calls(store, kivi_str("k"), kivi_bytes("v", can.max_value + 1), KIVI_TOO_LARGE);
    kivi_store_unref(store);
}

/* ---- hostile values ---- */

/* Reads it all, as both codecs and from one to the other: OK or CORRUPT, within as many tokens as bytes. */
static void read_hostile(const uint8_t *bytes, size_t size)
{
    static const char *const codecs[] = {"msgpack", "json", "raw"};
    kivi_slice value = kivi_bytes(bytes, size);
    kivi_buffer out = KIVI_BUFFER_INIT;

    for (unsigned i = 0; i < 3; i++) {
        kivi_reader *reader = NULL;
        kivi_token token;
        kivi_status status;
        size_t tokens = 0;
        bool equal;
        OK(kivi_reader_new(codecs[i], NULL, &reader, E));
        kivi_reader_start(reader, value);
        while ((status = kivi_reader_next(reader, &token)) == KIVI_OK)
            CHECK_SAYING(tokens++ <= 2 * size + 2, "%zu bytes have more tokens", size);
        CHECK_SAYING(status == KIVI_END || status == KIVI_CORRUPT, "%s: %s", codecs[i],
                     kivi_status_name(status));
        CHECK(kivi_reader_offset(reader) <= size);
        kivi_reader_free(reader);
        OK(kivi_value_equal(codecs[i], value, value, &equal, E));
        CHECK_SAYING(equal, "%s: a value is not equal to itself", codecs[i]);
        for (unsigned j = 0; j < 3; j++) {
            status = kivi_value_convert(codecs[i], value, codecs[j], &out, E);
            ANSWERS(status == KIVI_CORRUPT || status == KIVI_UNREPRESENTABLE ? status : KIVI_OK, status);
        }
    }
    kivi_buffer_free(&out);
}

Test(bad_input, hostile_values, .timeout = 100)
{
    static const char *const seeds[] = {
        "\x84\xa1"
        "a\x01\xa1"
        "b\x93\x01\x02\xc0\xa1"
        "c\xcb\x3f\xf0\x00\x00\x00\x00\x00\x01\xa1"
        "d\xc4\x02xy",
        "{\"a\":[1,2.5e3,null,true,\"\\u00e9\\ud83d\\ude00\"],\"b\":{\"c\":\"\"},\"d\":-0.0}",
        "\xdd\xff\xff\xff\xff",
        "\xdf\xff\xff\xff\xff",
        "\xc6\xff\xff\xff\xffx",
        "\xdb\xff\xff\xff\xff",
        "\xc9\xff\xff\xff\xff\x01",
        "\xd6\xff\x01\x02\x03\x04",
        "1e999999999",
        "\"\\ud800\"",
        "[[[[[[",
    };
    uint64_t seed = 11;
    uint8_t bytes[400];
    size_t deep = 1 << 20;
    uint8_t *nest = malloc(deep);

    for (unsigned i = 0; i < 40000; i++) {
        const char *from = seeds[i % (sizeof(seeds) / sizeof(*seeds))];
        size_t size = strlen(from);
        memcpy(bytes, from, size);
        for (unsigned j = 0; j < i % 5; j++)
            bytes[next_random(&seed) % size] = (uint8_t)next_random(&seed);
        if (i % 3 == 0)
            size = next_random(&seed) % (size + 1);
        read_hostile(bytes, size);
    }
    CHECK(nest != NULL);
    memset(nest, '[', deep);
    read_hostile(nest, deep);
    memset(nest, 0x91, deep);
    read_hostile(nest, deep);
    memset(nest, 0x81, deep);
    read_hostile(nest, deep);
    free(nest);
}

/* ---- secrets ---- */

#define PASSWORD "Rumpelstilzchen"
#define VALUE "Schneewittchen"

static unsigned events;

/* No event holds a value, and a key only when asked. */
static void watch(const kivi_event *event, void *user)
{
    (void)user;
    events++;
    CHECK(event->key.size == 0);
    CHECK(!strstr(event->verb, VALUE) && !strstr(event->backend, PASSWORD));
}

static void expect_hidden(const char *what, const void *bytes, size_t size)
{
    CHECK_SAYING(!memmem(bytes, size, PASSWORD, strlen(PASSWORD)), "%s tells a password", what);
    CHECK_SAYING(!memmem(bytes, size, VALUE, strlen(VALUE)), "%s tells a value", what);
}

static void expect_quiet(const char *what, kivi_status status, kivi_error *error)
{
    if (error)
        expect_hidden(what, kivi_error_message(error), strlen(kivi_error_message(error)));
    CHECK_SAYING((error != NULL) == (kivi_status_class(status) != KIVI_CLASS_ANSWER), "%s: %s",
                 what, kivi_status_name(status));
    kivi_error_free(error);
}

#define QUIET(call_)                          \
    do {                                      \
        kivi_error *error = NULL;             \
        kivi_status status_ = (call_);        \
        expect_quiet(#call_, status_, error); \
    } while (0)

static void use_with_secrets(const char *url, const char *codec)
{
    kivi_options *options = kivi_options_new();
    kivi_store *store = NULL;
    kivi_slice key = kivi_str("key"), value = kivi_str(VALUE), keys[] = {key, key};
    kivi_buffer all = KIVI_BUFFER_INIT, got = KIVI_BUFFER_INIT;
    kivi_call call = within_ms(30);
    kivi_op op = KIVI_OP_INIT;

    CHECK(options != NULL);
    OK(kivi_options_set(options, "codec", codec, E));
    kivi_options_on_event(options, watch, NULL);
    OK(kivi_store_open(url, NULL, options, &store, E));
    kivi_options_free(options);
    for (unsigned i = 0; i < 40; i++) {
        QUIET(kivi_store_set(store, &call, key, value, 0, &error));
        QUIET(kivi_store_set(store, &call, key, value, -7, &error));
        QUIET(kivi_store_get(store, &call, key, &got, &error));
        QUIET(kivi_store_increment(store, &call, key, 1, 0, NULL, &error));
        QUIET(kivi_store_compare_and_set(store, &call, key, value, value, 0, &error));
        op.kind = 99;
        op.key = key;
        op.value = value;
        QUIET(kivi_store_apply(store, &call, &op, 1, KIVI_APPLY_ATOMIC, NULL, &error));
        QUIET(kivi_store_set_many(store, &call, keys, (kivi_slice[]){value, value}, 2, 0, NULL, &error));
        QUIET(kivi_value_convert("msgpack", value, "json", &all, &error));
        QUIET(kivi_value_convert("json", value, "msgpack", &all, &error));
    }
    for (int topic = KIVI_TOPIC_CAPABILITIES; topic <= KIVI_TOPIC_HEALTH; topic++) {
        QUIET(kivi_store_describe(store, &call, (kivi_topic)topic, &all, &error));
        expect_hidden("describe", all.data, all.size);
    }
    expect_hidden("url", kivi_store_url(store), strlen(kivi_store_url(store)));
    kivi_buffer_free(&all);
    kivi_buffer_free(&got);
    kivi_store_unref(store);
}

/* A server that is not there: neither its URL nor its errors show the password. */
static void ask_unreachable(kivi_store *store)
{
    kivi_call call = KIVI_CALL_INIT;
    kivi_buffer got = KIVI_BUFFER_INIT;

    call.timeout_ms = 500;
    expect_hidden("url", kivi_store_url(store), strlen(kivi_store_url(store)));
    QUIET(kivi_store_get(store, &call, kivi_str("a"), &got, &error));
    kivi_buffer_free(&got);
    kivi_store_unref(store);
}

Test(bad_input, secrets_stay_secret, .timeout = 60)
{
    static const char *const urls[] = {
        "nobody://user:" PASSWORD "@host/path",
        "nobody://user:" PASSWORD "@host:port:port/x",
        "memory://user:" PASSWORD "@host/?fail_rate=1",
        "lmdb://user:" PASSWORD "@/tmp/kivi-never-made",
        "lmdb:/tmp/kivi-never-made?password=" PASSWORD,
        "lmdb:/tmp/kivi-never-made?%70assword=" PASSWORD,
        "redis://:" PASSWORD "@127.0.0.1:1",
        "no url at all: user:" PASSWORD "@host",
    };
    char shown[400];
    text url;

    for (unsigned i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
        kivi_store *store = NULL;
        QUIET(kivi_store_open(urls[i], NULL, NULL, &store, &error));
        CHECK(store == NULL || strncmp(urls[i], "redis:", 6) == 0); /* it connects when it is used */
        if (store)
            ask_unreachable(store);
        QUIET(kivi_url_redact(urls[i], shown, sizeof(shown), &error));
        if (i != 7)
            expect_hidden(urls[i], shown, strlen(shown));
    }
    print(&url, "lmdb:%s/data?sync=false", folder);
    use_with_secrets(url.bytes, "msgpack");
    use_with_secrets("memory:?fail_rate=0.3&fail_status=busy&uncertain_rate=0.2", "msgpack");
    use_with_secrets("memory:?fail_rate=0.3&shape=stepped&hang_rate=0.1", "json");
    use_with_secrets("memory:?fail_rate=0.3&shape=blocking&partial_rate=0.3", "raw");
    CHECK(events > 100);
}
