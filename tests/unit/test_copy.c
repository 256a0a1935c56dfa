/* kivi_store_copy() from one memory store to another. */
#include "store_fixture.h"

#include <inttypes.h>
#include <stdio.h>

static kivi_store *source, *target;
static kivi_copy_options options = KIVI_COPY_OPTIONS_INIT;

/* What the last copy() answered. */
static struct {
    kivi_status status;
    kivi_copy_progress summary;
    kivi_buffer resume;
    char message[300];
} done;

static void begin(void)
{
    source = open_store("memory:");
    target = open_store("memory:");
}

static void end(void)
{
    kivi_buffer_free(&done.resume);
    kivi_store_unref(source);
    kivi_store_unref(target);
}

TestSuite(copy, .init = begin, .fini = end);

/* Another store in the place of one that begin() opened. */
static void replace(kivi_store **store, const char *url)
{
    kivi_store_unref(*store);
    *store = open_store(url);
}

static void put_for(kivi_store *store, const char *key, kivi_slice value, int64_t ttl_ms)
{
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str(key), value, ttl_ms, NULL), KIVI_OK);
}

static void put(kivi_store *store, const char *key, const char *value)
{
    put_for(store, key, kivi_str(value), KIVI_TTL_NONE);
}

/* {"a": [1, bin "x"]}, which JSON cannot hold at a[1]. */
static void put_binary(const char *key)
{
    put_for(source, key,
            kivi_bytes("\x81\xa1"
                       "a\x92\x01\xc4\x01x",
                       8),
            KIVI_TTL_NONE);
}

/* Values are fixint bytes: msgpack that is one byte long. */
static void fill(unsigned count)
{
    char key[24], value[2] = {0, 0};

    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key-%05u", i);
        value[0] = (char)(1 + i % 100);
        put(source, key, value);
    }
}

static void copy(const kivi_call *call)
{
    kivi_error *error = NULL;

    kivi_buffer_free(&done.resume);
    done.summary = (kivi_copy_progress){.struct_size = sizeof(done.summary)};
    done.status = kivi_store_copy(source, target, call, &options, &done.summary, &done.resume, &error);
    snprintf(done.message, sizeof done.message, "%s", error ? kivi_error_message(error) : "");
    cr_assert_eq(error != NULL, kivi_status_class(done.status) != KIVI_CLASS_ANSWER);
    cr_assert_eq(done.summary.cursor.size, done.resume.size);
    kivi_error_free(error);
}

static void expect_copied(uint64_t copied, uint64_t skipped)
{
    copy(NULL);
    cr_assert_eq(done.status, KIVI_OK, "%s", done.message);
    cr_assert_eq(done.summary.copied, copied, "%" PRIu64 " instead of %" PRIu64,
                 done.summary.copied, copied);
    cr_assert_eq(done.summary.skipped, skipped, "%" PRIu64 " instead of %" PRIu64,
                 done.summary.skipped, skipped);
    cr_assert_eq(done.resume.size, 0, "nothing is left to go on with");
}

/* Copies as far as it comes; the message holds `part`. */
static void expect_failed(const kivi_call *call, kivi_status wanted, const char *part)
{
    copy(call);
    cr_assert_eq(done.status, wanted, "%s", done.message);
    cr_assert(strstr(done.message, part), "\"%s\" is not in: %s", part, done.message);
}

static void expect_count(const char *prefix, uint64_t wanted)
{
    uint64_t found = 0;

    cr_assert_eq(kivi_store_count(target, NULL, kivi_str(prefix), &found, NULL), KIVI_OK);
    cr_assert_eq(found, wanted, "\"%s\": %" PRIu64 " instead of %" PRIu64, prefix, found, wanted);
}

static void expect_value(const char *key, const char *wanted)
{
    kivi_buffer found = KIVI_BUFFER_INIT;

    cr_assert_eq(kivi_store_get(target, NULL, kivi_str(key), &found, NULL), KIVI_OK);
    cr_assert_eq(found.size, strlen(wanted));
    cr_assert_eq(memcmp(found.data, wanted, found.size), 0);
    kivi_buffer_free(&found);
}

static int64_t ttl_of(kivi_store *store, const char *key)
{
    int64_t ttl_ms = 0;

    cr_assert_eq(kivi_store_ttl(store, NULL, kivi_str(key), &ttl_ms, NULL), KIVI_OK);
    return ttl_ms;
}

static void expect_same_stores(void)
{
    kivi_scan *left = NULL, *right = NULL;
    kivi_pair x = KIVI_PAIR_INIT, y = KIVI_PAIR_INIT;
    kivi_status status;

    cr_assert_eq(kivi_store_scan(source, NULL, &left, NULL), KIVI_OK);
    cr_assert_eq(kivi_store_scan(target, NULL, &right, NULL), KIVI_OK);
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

/* ---- what arrives ---- */

Test(copy, every_pair_arrives)
{
    seen saw = {0};

    fill(2500);
    put(source, "empty", "");
    options.progress = watch;
    options.user = &saw;
    expect_copied(2501, 0);
    cr_assert_eq(done.summary.bytes, 2500 * 10 + 5);
    cr_assert_gt(done.summary.elapsed_ns, 0);
    cr_assert_geq(saw.calls, 3);
    cr_assert_eq(saw.copied, 2501);
    expect_same_stores();
    kivi_buffer_free(&saw.cursor);
}

Test(copy, nothing_to_copy_and_no_options)
{
    cr_assert_eq(kivi_store_copy(source, target, NULL, NULL, NULL, NULL, NULL), KIVI_OK);
    fill(5);
    cr_assert_eq(kivi_store_copy(source, target, NULL, NULL, NULL, NULL, NULL), KIVI_OK);
    expect_same_stores();
}

Test(copy, only_a_prefix)
{
    fill(200);
    put(source, "other", "\x01");
    options.prefix = kivi_str("key-0001");
    expect_copied(10, 0);
    expect_count("", 10);
    expect_count("key-0001", 10);
}

Test(copy, the_time_left_goes_along)
{
    int64_t original, arrived;

    put_for(source, "a", kivi_str("\x01"), 100000);
    put(source, "b", "\x02");
    expect_copied(2, 0);
    original = ttl_of(source, "a");
    arrived = ttl_of(target, "a");
    cr_assert(arrived > 50000 && arrived <= original + 1000, "%lld ms left of %lld",
              (long long)arrived, (long long)original);
    cr_assert_eq(ttl_of(target, "b"), KIVI_TTL_NONE);
    options.flags = KIVI_COPY_NO_EXPIRY;
    expect_copied(2, 0);
    cr_assert_eq(ttl_of(target, "a"), KIVI_TTL_NONE);
}

/* The page takes longer than a pair has left: it is gone when the page is written. */
Test(copy, a_pair_that_expires_on_the_way_is_skipped)
{
    replace(&source, "memory:?latency=300ms");
    put(source, "stays", "\x01");
    put_for(source, "goes", kivi_str("\x02"), 450);
    copy(NULL);
    cr_assert_eq(done.status, KIVI_OK, "%s", done.message);
    cr_assert_eq(done.summary.copied, 1);
    cr_assert_leq(done.summary.skipped, 1, "it expired in the source, or on the way");
    expect_count("", 1);
}

Test(copy, add_only_leaves_what_is_there)
{
    fill(10);
    put(target, "key-00003", "\x7f");
    options.flags = KIVI_COPY_ADD_ONLY;
    expect_copied(9, 1);
    expect_value("key-00003", "\x7f");
    expect_value("key-00004", "\x05");
}

Test(copy, a_dry_run_writes_nothing)
{
    fill(10);
    put(target, "key-00003", "\x7f");
    options.flags = KIVI_COPY_DRY_RUN;
    expect_copied(10, 0);
    expect_count("", 1);
    options.flags = KIVI_COPY_DRY_RUN | KIVI_COPY_ADD_ONLY;
    expect_copied(9, 1);
    expect_count("", 1);
}

Test(copy, another_codec)
{
    replace(&target, "memory:?codec=json");
    put(source, "a", "\x92\x01\xa1x");
    put(source, "b", "\xc0");
    expect_copied(2, 0);
    expect_value("a", "[1,\"x\"]");
    expect_value("b", "null");
    put_binary("key\n\xff");
    expect_failed(NULL, KIVI_UNREPRESENTABLE, "key\\x0a\\xff");
    cr_assert(strstr(done.message, "a[1]"), "the path besides the key: %s", done.message);
}

/* It ends at each, with all before it copied, and goes on behind it. */
Test(copy, pairs_that_do_not_go_are_passed_over_one_by_one)
{
    static const char *const bad[] = {"key-00003", "key-00004", "key-00009"};
    kivi_buffer from = KIVI_BUFFER_INIT;
    replace(&target, "memory:?codec=json");
    fill(10);
    for (int i = 0; i < 3; i++)
        put_binary(bad[i]);
    static const uint64_t copied[] = {3, 0, 4};
    for (int i = 0; i < 3; i++) {
        expect_failed(NULL, KIVI_UNREPRESENTABLE, bad[i]);
        cr_assert_eq(done.summary.copied, copied[i], "%s: %" PRIu64, bad[i], done.summary.copied);
        cr_assert_eq(done.summary.flags, i == 2 ? KIVI_COPY_THROUGH : 0);
        cr_assert_eq(done.resume.size > 0, i < 2);
        kivi_buffer_assign(&from, kivi_buffer_slice(&done.resume));
        options.cursor = kivi_buffer_slice(&from);
    }
    expect_count("", 7);
    kivi_buffer_free(&from);
}

Test(copy, a_rate_is_kept)
{
    fill(50);
    options.rate = 200;
    expect_copied(50, 0);
    /* The last page is not waited for: a tenth of a second's worth. */
    cr_assert_gt(done.summary.elapsed_ns, 100000000, "50 pairs at 200 a second: %llu ns",
                 (unsigned long long)done.summary.elapsed_ns);
    expect_same_stores();
}

/* ---- copies that end early ---- */

/* Cancelled after every page in turn, and gone on with: each pair is written once. */
Test(copy, cancel_and_resume)
{
    kivi_buffer place = KIVI_BUFFER_INIT;
    uint64_t copied = 0;
    unsigned rounds = 0;

    fill(95);
    options.batch = 10;
    options.progress = watch;
    do {
        seen saw = {.stop_at = 1};

        options.user = &saw;
        options.cursor = kivi_buffer_slice(&place);
        copy(NULL);
        cr_assert(done.status == KIVI_OK || done.status == KIVI_CANCELLED, "%s", done.message);
        copied += done.summary.copied;
        expect_count("", copied); /* what is before the cursor has arrived */
        cr_assert_eq(saw.cursor.size, done.resume.size);
        cr_assert(!done.resume.size || memcmp(saw.cursor.data, done.resume.data, done.resume.size) == 0);
        cr_assert_eq(kivi_buffer_assign(&place, kivi_buffer_slice(&done.resume)), KIVI_OK);
        kivi_buffer_free(&saw.cursor);
        cr_assert_lt(++rounds, 20);
    } while (place.size);
    cr_assert_geq(rounds, 10);
    cr_assert_eq(copied, 95);
    expect_same_stores();
    kivi_buffer_free(&place);
}

Test(copy, an_interrupt_ends_it)
{
    kivi_call call = KIVI_CALL_INIT;

    fill(100);
    call.interrupt = kivi_interrupt_new();
    kivi_interrupt_raise(call.interrupt);
    options.rate = 10; /* waiting is where an interrupt is seen */
    expect_failed(&call, KIVI_INTERRUPTED, "interrupted");
    cr_assert_gt(done.resume.size, 0);
    expect_count("", done.summary.copied);
    cr_assert_lt(done.summary.copied, 100);
    kivi_interrupt_free(call.interrupt);
}

Test(copy, a_dry_run_converts_as_well)
{
    replace(&target, "memory:?codec=json");
    put_binary("a");
    options.flags = KIVI_COPY_DRY_RUN;
    expect_failed(NULL, KIVI_UNREPRESENTABLE, "a[1]");
}

Test(copy, the_key_of_a_value_that_is_too_large)
{
    replace(&target, "memory:?max_value=4");
    put(source, "fits", "\xa1x");
    put(source, "large",
        "\xa5"
        "abcde");
    put(source, "zero", "\x01");
    expect_failed(NULL, KIVI_TOO_LARGE, "\"large\"");
    cr_assert_eq(done.resume.size, 0, "the page was not written whole");
    cr_assert_eq(done.summary.copied, 1);
}

Test(copy, the_key_of_a_write_that_fails)
{
    replace(&target, "memory:?fail_keys=key-00005&fail_status=denied");
    fill(10);
    expect_failed(NULL, KIVI_DENIED, "key-00005");
    cr_assert_eq(done.summary.copied, 9);
}

/* ---- refusals ---- */

Test(copy, a_cursor_of_another_prefix_is_refused)
{
    options.cursor = kivi_str("nonsense");
    expect_failed(NULL, KIVI_INVALID, "cursor");
    cr_assert_eq(done.resume.size, 8, "the place where it would go on is the one it was given");
}

static void expect_refused(const kivi_call *call, const kivi_copy_options *given, kivi_status wanted)
{
    kivi_status status = kivi_store_copy(source, target, call, given, NULL, NULL, NULL);

    cr_assert_eq(status, wanted, "%s instead of %s", kivi_status_name(status), kivi_status_name(wanted));
}

static void expect_same(const char *a, const char *b, bool same)
{
    kivi_store *one = open_store(a), *other = open_store(b);
    kivi_copy_options dry = KIVI_COPY_OPTIONS_INIT;
    kivi_error *error = NULL;
    kivi_status status;

    dry.flags = KIVI_COPY_DRY_RUN;
    status = kivi_store_copy(one, other, NULL, &dry, NULL, NULL, &error);
    cr_assert_eq(status, same ? KIVI_INVALID : KIVI_OK, "%s and %s: %s", a, b, kivi_status_name(status));
    cr_assert(!same || strstr(kivi_error_message(error), "the same store"));
    kivi_error_free(error);
    kivi_store_unref(one);
    kivi_store_unref(other);
}

Test(copy, one_store_by_two_handles_is_refused)
{
    expect_same("memory:one", "memory:one", true);
    expect_same("memory:one?namespace=x", "memory:one?namespace=x&codec=json", true);
    expect_same("memory:one", "memory:other", false);
    expect_same("memory:", "memory:", false);
    expect_same("memory:one?namespace=x", "memory:one?namespace=y", false);
    expect_same("memory:one?namespace=x", "memory:one", false);
}

Test(copy, what_is_refused)
{
    struct {
        kivi_copy_options known;
        uint64_t unknown;
    } larger = {KIVI_COPY_OPTIONS_INIT, 1};
    kivi_call call = KIVI_CALL_INIT;
    kivi_copy_progress unset = {0};

    cr_assert_eq(kivi_store_copy(source, source, NULL, NULL, NULL, NULL, NULL), KIVI_INVALID);
    cr_assert_eq(kivi_store_copy(source, target, NULL, NULL, &unset, NULL, NULL), KIVI_INVALID);
    options.flags = 1 << 20;
    expect_refused(NULL, &options, KIVI_UNSUPPORTED);
    larger.known.struct_size = sizeof larger;
    expect_refused(NULL, &larger.known, KIVI_UNSUPPORTED);
    larger.unknown = 0;
    expect_refused(NULL, &larger.known, KIVI_OK);
    call.flags = 1u << 31;
    expect_refused(&call, NULL, KIVI_UNSUPPORTED);
    kivi_store_close(target);
    put(source, "a", "\x01");
    expect_refused(NULL, NULL, KIVI_CLOSED);
}
