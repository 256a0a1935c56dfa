/* kivi_store_copy() and kivi_store_describe() over memory stores. */
#include <stdio.h>

#include <criterion/criterion.h>
#include <kivi/kivi.h>

static kivi_store *open_store(const char *url)
{
    kivi_error *error = NULL;
    kivi_store *store = NULL;

    cr_assert_eq(kivi_store_open(url, NULL, &store, &error), KIVI_OK, "%s: %s", url,
                 error ? kivi_error_message(error) : "");
    return store;
}

static void put(kivi_store *store, const char *key, const char *value, int64_t ttl_ms)
{
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str(key), kivi_str(value), ttl_ms, NULL), KIVI_OK);
}

/* Values are fixint bytes: msgpack that is one byte long. */
static void fill(kivi_store *store, unsigned count)
{
    char key[24], value[2] = {0, 0};

    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key-%05u", i);
        value[0] = (char)(1 + i % 100);
        put(store, key, value, KIVI_TTL_NONE);
    }
}

static uint64_t count(kivi_store *store, const char *prefix)
{
    uint64_t found = 0;

    cr_assert_eq(kivi_store_count(store, NULL, kivi_str(prefix), &found, NULL), KIVI_OK);
    return found;
}

static bool holds(kivi_store *store, const char *key, const char *value)
{
    kivi_buffer found = KIVI_BUFFER_INIT;
    kivi_status status = kivi_store_get(store, NULL, kivi_str(key), &found, NULL);
    bool same = !status && found.size == strlen(value) && memcmp(found.data, value, found.size) == 0;

    kivi_buffer_free(&found);
    return same;
}

static void same_stores(kivi_store *a, kivi_store *b)
{
    kivi_scan *left = NULL, *right = NULL;
    kivi_pair x = KIVI_PAIR_INIT, y = KIVI_PAIR_INIT;
    kivi_status status;

    cr_assert_eq(kivi_store_scan(a, NULL, &left, NULL), KIVI_OK);
    cr_assert_eq(kivi_store_scan(b, NULL, &right, NULL), KIVI_OK);
    do {
        status = kivi_scan_next(left, NULL, &x, NULL);
        cr_assert_eq(kivi_scan_next(right, NULL, &y, NULL), status);
        if (status)
            break;
        cr_assert_eq(x.key.size, y.key.size);
        cr_assert_eq(memcmp(x.key.data, y.key.data, x.key.size), 0);
        cr_assert_eq(x.value.size, y.value.size);
        cr_assert(!x.value.size || memcmp(x.value.data, y.value.data, x.value.size) == 0);
    } while (true);
    cr_assert_eq(status, KIVI_END);
    kivi_scan_free(left);
    kivi_scan_free(right);
}

/* What the progress function saw. */
typedef struct seen {
    unsigned calls, stop_at;
    uint64_t copied;
    kivi_buffer cursor; /* of the last call that had one */
} seen;

static int watch(const kivi_copy_progress *progress, void *user)
{
    seen *saw = user;

    cr_assert_geq(progress->struct_size, sizeof(kivi_copy_progress));
    cr_assert_geq(progress->copied, saw->copied, "progress goes forwards");
    saw->copied = progress->copied;
    if (progress->cursor.size)
        kivi_buffer_assign(&saw->cursor, progress->cursor);
    return ++saw->calls == saw->stop_at;
}

typedef struct run {
    kivi_status status;
    kivi_copy_progress summary;
    kivi_buffer resume;
    char message[300];
} run;

static run copy(kivi_store *source, kivi_store *target, const kivi_call *call,
                const kivi_copy_options *options)
{
    run done = {.summary = {.struct_size = sizeof(done.summary)}};
    kivi_error *error = NULL;

    done.status = kivi_store_copy(source, target, call, options, &done.summary, &done.resume, &error);
    snprintf(done.message, sizeof done.message, "%s", error ? kivi_error_message(error) : "");
    cr_assert_eq(error != NULL, kivi_status_class(done.status) != KIVI_CLASS_ANSWER);
    cr_assert_eq(done.summary.cursor.size, done.resume.size);
    kivi_error_free(error);
    return done;
}

static void end(kivi_store *a, kivi_store *b)
{
    kivi_store_unref(a);
    kivi_store_unref(b);
}

Test(copy, every_pair_arrives)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:");
    seen saw = {0};
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    run done;

    fill(source, 2500);
    put(source, "empty", "", KIVI_TTL_NONE);
    options.progress = watch;
    options.user = &saw;
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.status, KIVI_OK, "%s", done.message);
    cr_assert_eq(done.summary.copied, 2501);
    cr_assert_eq(done.summary.skipped, 0);
    cr_assert_eq(done.summary.bytes, 2500 * 10 + 5);
    cr_assert_gt(done.summary.elapsed_ns, 0);
    cr_assert_eq(done.resume.size, 0, "nothing is left to go on with");
    cr_assert_geq(saw.calls, 3);
    cr_assert_eq(saw.copied, 2501);
    same_stores(source, target);
    kivi_buffer_free(&saw.cursor);
    kivi_buffer_free(&done.resume);
    end(source, target);
}

Test(copy, nothing_to_copy_and_no_options)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:");

    cr_assert_eq(kivi_store_copy(source, target, NULL, NULL, NULL, NULL, NULL), KIVI_OK);
    fill(source, 5);
    cr_assert_eq(kivi_store_copy(source, target, NULL, NULL, NULL, NULL, NULL), KIVI_OK);
    same_stores(source, target);
    end(source, target);
}

Test(copy, only_a_prefix)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    run done;

    fill(source, 200);
    put(source, "other", "\x01", KIVI_TTL_NONE);
    options.prefix = kivi_str("key-0001");
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.summary.copied, 10);
    cr_assert_eq(count(target, ""), 10);
    cr_assert_eq(count(target, "key-0001"), 10);
    kivi_buffer_free(&done.resume);
    end(source, target);
}

Test(copy, the_time_left_goes_along)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    int64_t ttl = 0, original = 0;
    run done;

    put(source, "a", "\x01", 100000);
    put(source, "b", "\x02", KIVI_TTL_NONE);
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.summary.copied, 2);
    cr_assert_eq(kivi_store_ttl(source, NULL, kivi_str("a"), &original, NULL), KIVI_OK);
    cr_assert_eq(kivi_store_ttl(target, NULL, kivi_str("a"), &ttl, NULL), KIVI_OK);
    cr_assert(ttl > 50000 && ttl <= original + 1000, "%lld ms left of %lld", (long long)ttl,
              (long long)original);
    cr_assert_eq(kivi_store_ttl(target, NULL, kivi_str("b"), &ttl, NULL), KIVI_OK);
    cr_assert_eq(ttl, KIVI_TTL_NONE);
    options.flags = KIVI_COPY_NO_EXPIRY;
    kivi_buffer_free(&done.resume);
    done = copy(source, target, NULL, &options);
    cr_assert_eq(kivi_store_ttl(target, NULL, kivi_str("a"), &ttl, NULL), KIVI_OK);
    cr_assert_eq(ttl, KIVI_TTL_NONE);
    kivi_buffer_free(&done.resume);
    end(source, target);
}

/* The page takes longer than a pair has left: it is gone when the page is written. */
Test(copy, a_pair_that_expires_on_the_way_is_skipped)
{
    kivi_store *source = open_store("memory:?latency=300ms"), *target = open_store("memory:");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    run done;

    put(source, "stays", "\x01", KIVI_TTL_NONE);
    put(source, "goes", "\x02", 450);
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.status, KIVI_OK, "%s", done.message);
    cr_assert_eq(done.summary.copied, 1);
    cr_assert_leq(done.summary.skipped, 1, "it expired in the source, or on the way");
    cr_assert_eq(count(target, ""), 1);
    kivi_buffer_free(&done.resume);
    end(source, target);
}

Test(copy, add_only_leaves_what_is_there)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    run done;

    fill(source, 10);
    put(target, "key-00003", "\x7f", KIVI_TTL_NONE);
    options.flags = KIVI_COPY_ADD_ONLY;
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.summary.copied, 9);
    cr_assert_eq(done.summary.skipped, 1);
    cr_assert(holds(target, "key-00003", "\x7f"));
    cr_assert(holds(target, "key-00004", "\x05"));
    kivi_buffer_free(&done.resume);
    end(source, target);
}

Test(copy, a_dry_run_writes_nothing)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    run done;

    fill(source, 10);
    put(target, "key-00003", "\x7f", KIVI_TTL_NONE);
    options.flags = KIVI_COPY_DRY_RUN;
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.summary.copied, 10);
    cr_assert_eq(count(target, ""), 1);
    kivi_buffer_free(&done.resume);
    options.flags = KIVI_COPY_DRY_RUN | KIVI_COPY_ADD_ONLY;
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.summary.copied, 9);
    cr_assert_eq(done.summary.skipped, 1);
    cr_assert_eq(count(target, ""), 1);
    kivi_buffer_free(&done.resume);
    end(source, target);
}

/* Cancelled after every page in turn, and gone on with: each pair is written once. */
Test(copy, cancel_and_resume)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    kivi_buffer place = KIVI_BUFFER_INIT;
    uint64_t copied = 0;
    unsigned rounds = 0;
    run done;

    fill(source, 95);
    options.batch = 10;
    options.progress = watch;
    do {
        seen saw = {.stop_at = 1};

        options.user = &saw;
        options.cursor = kivi_buffer_slice(&place);
        done = copy(source, target, NULL, &options);
        cr_assert(done.status == KIVI_OK || done.status == KIVI_CANCELLED, "%s", done.message);
        copied += done.summary.copied;
        cr_assert_eq(count(target, ""), copied, "what is before the cursor has arrived");
        cr_assert_eq(kivi_buffer_assign(&place, kivi_buffer_slice(&done.resume)), KIVI_OK);
        kivi_buffer_free(&done.resume);
        kivi_buffer_free(&saw.cursor);
        cr_assert_lt(++rounds, 20);
    } while (place.size);
    cr_assert_geq(rounds, 10);
    cr_assert_eq(copied, 95);
    same_stores(source, target);
    kivi_buffer_free(&place);
    end(source, target);
}

Test(copy, a_cursor_of_another_prefix_is_refused)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    run done;

    options.cursor = kivi_str("nonsense");
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.status, KIVI_INVALID, "%s", done.message);
    cr_assert_eq(done.resume.size, 8, "the place where it would go on is the one it was given");
    kivi_buffer_free(&done.resume);
    end(source, target);
}

static void put_map(kivi_store *store, const char *key)
{
    /* {"a": [1, bin "x"]} */
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str(key),
                                kivi_bytes("\x81\xa1"
                                           "a\x92\x01\xc4\x01x",
                                           8),
                                KIVI_TTL_NONE, NULL),
                 KIVI_OK);
}

Test(copy, another_codec)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:?codec=json");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    run done;

    put(source, "a", "\x92\x01\xa1x", KIVI_TTL_NONE);
    put(source, "b", "\xc0", KIVI_TTL_NONE);
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.status, KIVI_OK, "%s", done.message);
    cr_assert(holds(target, "a", "[1,\"x\"]"));
    cr_assert(holds(target, "b", "null"));
    kivi_buffer_free(&done.resume);
    put_map(source, "key\n\xff");
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.status, KIVI_UNREPRESENTABLE);
    cr_assert(strstr(done.message, "key\\x0a\\xff"), "the key is named: %s", done.message);
    cr_assert(strstr(done.message, "a[1]"), "and the path: %s", done.message);
    kivi_buffer_free(&done.resume);
    end(source, target);
}

Test(copy, a_dry_run_converts_as_well)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:?codec=json");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    run done;

    put_map(source, "a");
    options.flags = KIVI_COPY_DRY_RUN;
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.status, KIVI_UNREPRESENTABLE);
    kivi_buffer_free(&done.resume);
    end(source, target);
}

Test(copy, the_key_of_a_value_that_is_too_large)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:?max_value=4");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    run done;

    put(source, "fits", "\xa1x", KIVI_TTL_NONE);
    put(source, "large",
        "\xa5"
        "abcde",
        KIVI_TTL_NONE);
    put(source, "zero", "\x01", KIVI_TTL_NONE);
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.status, KIVI_TOO_LARGE);
    cr_assert(strstr(done.message, "\"large\""), "%s", done.message);
    cr_assert_eq(done.resume.size, 0, "the page was not written whole");
    cr_assert_eq(done.summary.copied, 1);
    kivi_buffer_free(&done.resume);
    end(source, target);
}

Test(copy, the_key_of_a_write_that_fails)
{
    kivi_store *source = open_store("memory:"),
               *target = open_store("memory:?fail_keys=key-00005&fail_status=denied");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    run done;

    fill(source, 10);
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.status, KIVI_DENIED, "%s", done.message);
    cr_assert(strstr(done.message, "key-00005"), "%s", done.message);
    cr_assert_eq(done.summary.copied, 9);
    kivi_buffer_free(&done.resume);
    end(source, target);
}

Test(copy, an_interrupt_ends_it)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    kivi_call call = KIVI_CALL_INIT;
    run done;

    fill(source, 100);
    call.interrupt = kivi_interrupt_new();
    kivi_interrupt_raise(call.interrupt);
    options.rate = 10; /* waiting is where an interrupt is seen */
    done = copy(source, target, &call, &options);
    cr_assert_eq(done.status, KIVI_INTERRUPTED, "%s", done.message);
    cr_assert_gt(done.resume.size, 0);
    cr_assert_eq(count(target, ""), done.summary.copied);
    cr_assert_lt(done.summary.copied, 100);
    kivi_interrupt_free(call.interrupt);
    kivi_buffer_free(&done.resume);
    end(source, target);
}

Test(copy, a_rate_is_kept)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:");
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    run done;

    fill(source, 50);
    options.rate = 200;
    done = copy(source, target, NULL, &options);
    cr_assert_eq(done.status, KIVI_OK);
    /* The last page is not waited for: a tenth of a second's worth. */
    cr_assert_gt(done.summary.elapsed_ns, 100000000, "50 pairs at 200 a second: %llu ns",
                 (unsigned long long)done.summary.elapsed_ns);
    same_stores(source, target);
    kivi_buffer_free(&done.resume);
    end(source, target);
}

Test(copy, what_is_refused)
{
    kivi_store *source = open_store("memory:"), *target = open_store("memory:");
    struct {
        kivi_copy_options known;
        uint64_t unknown;
    } larger = {KIVI_COPY_OPTIONS_INIT, 1};
    kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;
    kivi_call call = KIVI_CALL_INIT;
    kivi_copy_progress unset = {0};

    cr_assert_eq(kivi_store_copy(source, source, NULL, NULL, NULL, NULL, NULL), KIVI_INVALID);
    cr_assert_eq(kivi_store_copy(source, target, NULL, NULL, &unset, NULL, NULL), KIVI_INVALID);
    options.flags = 1 << 20;
    cr_assert_eq(kivi_store_copy(source, target, NULL, &options, NULL, NULL, NULL), KIVI_UNSUPPORTED);
    larger.known.struct_size = sizeof larger;
    cr_assert_eq(kivi_store_copy(source, target, NULL, &larger.known, NULL, NULL, NULL), KIVI_UNSUPPORTED);
    larger.unknown = 0;
    cr_assert_eq(kivi_store_copy(source, target, NULL, &larger.known, NULL, NULL, NULL), KIVI_OK);
    call.flags = 1;
    cr_assert_eq(kivi_store_copy(source, target, &call, NULL, NULL, NULL, NULL), KIVI_UNSUPPORTED);
    kivi_store_close(target);
    put(source, "a", "\x01", KIVI_TTL_NONE);
    cr_assert_eq(kivi_store_copy(source, target, NULL, NULL, NULL, NULL, NULL), KIVI_CLOSED);
    end(source, target);
}

/* ---- describe ---- */

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
    kivi_reader_start(is.reader, kivi_buffer_slice(&is.map));
    cr_assert_eq(kivi_reader_next(is.reader, &token), KIVI_OK);
    cr_assert_eq(token.as.count, 19, "every field of kivi_capabilities");
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
        put(store, "a", "\x01", KIVI_TTL_NONE);
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
