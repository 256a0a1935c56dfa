/* Pages, counts and clearing: cursors that are not one's own, namespaces side by side, strangers, failures in between. */
#include "scripted_backend.h"

TestSuite(core_pages, .timeout = 30);

static void put(kivi_store *store, const char *key)
{
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str(key), kivi_str("v"), 0, NULL), KIVI_OK);
}

static uint64_t count_of(kivi_store *store, const char *prefix)
{
    uint64_t count = 99;
    cr_assert_eq(kivi_store_count(store, NULL, kivi_str(prefix), &count, NULL), KIVI_OK);
    return count;
}

static uint64_t scan_of(kivi_store *store, const char *prefix)
{
    kivi_range range = KIVI_RANGE_INIT;
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    kivi_status status;
    uint64_t count = 0;
    range.prefix = kivi_str(prefix);
    cr_assert_eq(kivi_store_scan(store, &range, &scan, NULL), KIVI_OK);
    while ((status = kivi_scan_next(scan, NULL, &pair, NULL)) == KIVI_OK)
        count++;
    cr_assert_eq(status, KIVI_END);
    kivi_scan_free(scan);
    return count;
}

/* ---- namespaces ---- */

static void check_namespaces(const char *plain_url, const char *space_url)
{
    uint64_t cleared;
    kivi_store *all = scripted_store(plain_url), *space = scripted_store(space_url);
    put(all, "n:"); /* nobody's in the namespace: it is its bare prefix */
    put(all, "n");
    put(all, "na");
    put(all, "n;");
    put(space, "a");
    put(space, "ab");
    put(space, ":");
    cr_assert_eq(count_of(space, ""), 3);
    cr_assert_eq(scan_of(space, ""), 3);
    cr_assert_eq(count_of(space, "a"), 2);
    cr_assert_eq(count_of(all, ""), 7);
    cr_assert_eq(kivi_store_clear(space, NULL, kivi_str("a"), 0, &cleared, NULL), KIVI_OK);
    cr_assert_eq(cleared, 2);
    cr_assert_eq(kivi_store_clear(space, NULL, kivi_str(""), 0, &cleared, NULL), KIVI_OK);
    cr_assert_eq(cleared, 1);
    cr_assert_eq(count_of(space, ""), 0);
    cr_assert_eq(count_of(all, ""), 4);
    kivi_store_unref(space);
    kivi_store_unref(all);
}

Test(core_pages, a_namespace_counts_and_clears_its_own)
{
    check_namespaces("memory:s", "memory:s?namespace=n");
    check_namespaces("memory:t?shape=stepped", "memory:t?shape=stepped&namespace=n");
}

/* ---- cursors ---- */

static kivi_status page_at(kivi_store *store, const char *prefix, kivi_slice cursor, kivi_page **page)
{
    kivi_range range = KIVI_RANGE_INIT;
    kivi_error *error = NULL;
    range.prefix = kivi_str(prefix);
    range.cursor = cursor;
    range.limit = 2;
    kivi_status status = kivi_store_page(store, NULL, &range, page, &error);
    cr_assert_eq(kivi_error_status(error), status);
    cr_assert_eq(*page == NULL, status != KIVI_OK);
    kivi_error_free(error);
    return status;
}

static void check_cursors(const char *url, const char *space_url)
{
    kivi_page *first = NULL, *page = NULL;
    uint8_t bytes[256];
    const char *keys[] = {"pa", "pb", "pc", "pd", "q"};
    kivi_store *store = scripted_store(url), *space = scripted_store(space_url);
    for (size_t i = 0; i < 5; i++) {
        put(store, keys[i]);
        put(space, keys[i]);
    }
    cr_assert_eq(page_at(store, "p", kivi_bytes(NULL, 0), &first), KIVI_OK);
    kivi_slice cursor = kivi_page_cursor(first);
    cr_assert(cursor.size > 0 && cursor.size < sizeof(bytes));
    cr_assert_eq(page_at(store, "p", cursor, &page), KIVI_OK);
    cr_assert_eq(kivi_page_count(page), 2);
    kivi_page_free(page);
    cr_assert_eq(page_at(store, "", cursor, &page), KIVI_INVALID);
    cr_assert_eq(page_at(store, "pa", cursor, &page), KIVI_INVALID);
    cr_assert_eq(page_at(space, "p", cursor, &page), KIVI_INVALID);
    for (size_t i = 0; i < cursor.size; i++) {
        memcpy(bytes, cursor.data, cursor.size);
        bytes[i] ^= 0x10;
        cr_assert_eq(page_at(store, "p", kivi_bytes(bytes, cursor.size), &page), KIVI_INVALID,
                     "byte %zu", i);
        memcpy(bytes, cursor.data, cursor.size);
        if (i)
            cr_assert_eq(page_at(store, "p", kivi_bytes(bytes, i), &page), KIVI_INVALID, "%zu bytes", i);
    }
    bytes[cursor.size] = 0;
    cr_assert_eq(page_at(store, "p", kivi_bytes(bytes, cursor.size + 1), &page), KIVI_INVALID);
    kivi_page_free(first);
    kivi_store_unref(space);
    kivi_store_unref(store);
}

Test(core_pages, a_cursor_is_good_where_it_came_from)
{
    check_cursors("memory:c", "memory:c?namespace=n");
    check_cursors("memory:d?order=none", "memory:d?order=none&namespace=n");
}

Test(core_pages, after_needs_an_order)
{
    kivi_range range = KIVI_RANGE_INIT;
    kivi_page *page = NULL;
    range.after = kivi_str("b");
    kivi_store *store = scripted_store("memory:?order=none");
    cr_assert_eq(kivi_store_page(store, NULL, &range, &page, NULL), KIVI_UNSUPPORTED);
    kivi_store_unref(store);
    store = scripted_store("memory:?namespace=n");
    put(store, "a");
    put(store, "b");
    put(store, "c");
    cr_assert_eq(kivi_store_page(store, NULL, &range, &page, NULL), KIVI_OK);
    cr_assert_eq(kivi_page_count(page), 1);
    kivi_page_free(page);
    range.after = kivi_str("zz"); /* beyond the prefix */
    range.prefix = kivi_str("a");
    cr_assert_eq(kivi_store_page(store, NULL, &range, &page, NULL), KIVI_OK);
    cr_assert_eq(kivi_page_count(page) + kivi_page_cursor(page).size, 0);
    kivi_page_free(page);
    range.after = kivi_str("A"); /* before it */
    cr_assert_eq(kivi_store_page(store, NULL, &range, &page, NULL), KIVI_OK);
    cr_assert_eq(kivi_page_count(page), 1);
    kivi_page_free(page);
    kivi_store_unref(store);
}

/* ---- failures between and within pages ---- */

/* Pages of two keys each, k0 to k5; the cursor is a digit. A page may fail half way. */
static kivi_status fail_half_way(scripted_verb *verb)
{
    const kivi_scan_range *range = verb->range;
    unsigned at = range->cursor.size ? (unsigned)(*(const char *)range->cursor.data - '0') : 0;
    for (unsigned i = 0; i < 2; i++) {
        char key[3] = {'k', (char)('0' + at + i), 0};
        kivi_status status = verb->sink->pair(verb->sink, kivi_str(key), kivi_str("v"), KIVI_TTL_NONE);
        if (status)
            return status;
        if (i == 0 && atomic_fetch_add(&script.stage, 1) % 3 == 1)
            return scripted_fail(verb, script.unordered ? KIVI_IO : KIVI_UNAVAILABLE, KIVI_RETRY_YES);
    }
    char next[2] = {(char)('0' + at + 2), 0};
    return at + 2 < 6 ? verb->sink->cursor(verb->sink, kivi_str(next)) : KIVI_OK;
}

static void check_scan(bool lasting)
{
    kivi_scan *scan = NULL;
    kivi_pair pair = KIVI_PAIR_INIT;
    unsigned found = 0, failed = 0;
    script.play = fail_half_way;
    script.unordered = lasting;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_scan(store, NULL, &scan, NULL), KIVI_OK);
    for (;;) {
        kivi_error *error = NULL;
        kivi_status status = kivi_scan_next(scan, NULL, &pair, &error);
        kivi_error_free(error);
        if (status == KIVI_END)
            break;
        if (status == KIVI_IO) {
            failed++;
            continue;
        }
        cr_assert_eq(status, KIVI_OK);
        char key[3] = {'k', (char)('0' + found++), 0};
        cr_assert_eq(memcmp(pair.key.data, key, 2), 0, "pair %u", found);
    }
    cr_assert_eq(found, 6);
    cr_assert_eq(failed > 0, lasting);
    kivi_scan_free(scan);
    kivi_store_unref(store);
}

Test(core_pages, a_page_that_broke_begins_anew)
{
    check_scan(false);
}

Test(core_pages, a_scan_goes_on_after_a_failure)
{
    check_scan(true);
}

static kivi_status refuse_second_delete(scripted_verb *verb)
{
    if (verb->range) {
        const char *keys[] = {"a", "b", "c", "b"};
        for (size_t i = 0; i < 4; i++)
            verb->sink->pair(verb->sink, kivi_str(keys[i]), kivi_bytes(NULL, 0), KIVI_TTL_NONE);
        return KIVI_OK;
    }
    cr_assert_eq(verb->writes->count, 3, "each key once");
    for (size_t i = 0; i < 3; i++) {
        kivi_write_item *item = &verb->writes->items[i];
        item->existed = 1;
        if (i > 0)
            item->error = scripted_host->error(KIVI_DENIED, 0, KIVI_RETRY_NO, "not this one");
        item->status = i > 0 ? KIVI_DENIED : KIVI_OK;
    }
    return KIVI_OK;
}

Test(core_pages, a_clear_that_fails_says_how_far_it_came)
{
    uint64_t cleared = 0;
    kivi_error *error = NULL;
    script.play = refuse_second_delete;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(kivi_store_clear(store, NULL, kivi_str(""), 0, &cleared, &error), KIVI_DENIED);
    cr_assert_eq(cleared, 1);
    cr_assert_str_eq(kivi_error_message(error), "not this one");
    kivi_error_free(error);
    kivi_store_unref(store);
}

/* ---- names of others ---- */

/* The store holds a%2Fb (ours: a/b), a%2fb, a%41b and a/b (others' names), and escapes the slash. */
static kivi_status names_of_others(scripted_verb *verb)
{
    const char *names[] = {"a%2Fb", "a%2fb", "a%41b", "a/b"};
    if (!verb->range)
        return scripted_all_done(verb);
    for (size_t i = 0; i < 4; i++)
        verb->sink->pair(verb->sink, kivi_str(names[i]), kivi_str("v"), KIVI_TTL_NONE);
    return KIVI_OK;
}

Test(core_pages, strangers_are_left_out_and_counted)
{
    uint64_t cleared = 0;
    script.play = names_of_others;
    script.escape = (kivi_escape){.struct_size = sizeof(kivi_escape)};
    script.escape.bytes['/' / 8] |= (uint8_t)(1 << '/' % 8);
    kivi_store *store = scripted_store("scripted:");
    /* "%2f" and "%41" are no escapes of this store: names as plain as any. */
    cr_assert_eq(count_of(store, ""), 3);
    cr_assert_eq(stats_of(store).strangers, 1);
    cr_assert_eq(count_of(store, "a/"), 1);
    cr_assert_eq(kivi_store_clear(store, NULL, kivi_str("a/"), 0, &cleared, NULL), KIVI_OK);
    kivi_store_unref(store);
    store = scripted_store("scripted:?escape=off");
    cr_assert_eq(count_of(store, ""), 4);
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("x/y"), kivi_str("v"), 0, NULL), KIVI_INVALID);
    cr_assert_eq(kivi_store_set(store, NULL, kivi_str("a%2Fb"), kivi_str("v"), 0, NULL), KIVI_OK);
    kivi_store_unref(store);
    store = NULL;
    cr_assert_eq(kivi_store_open("scripted:?escape=off&namespace=x%2Fy", NULL, NULL, &store, NULL),
                 KIVI_INVALID);
    cr_assert_null(store);
    cr_assert_eq(atomic_load(&script.opened), atomic_load(&script.shut),
                 "an open that fails leaves nothing behind");
}

/* ---- behind a page ---- */

static size_t page_of(kivi_store *store, const char *prefix, kivi_slice cursor, kivi_page **page)
{
    kivi_range range = KIVI_RANGE_INIT;
    range.prefix = kivi_str(prefix);
    range.cursor = cursor;
    range.limit = 2;
    cr_assert_eq(kivi_store_page(store, NULL, &range, page, NULL), KIVI_OK);
    return kivi_page_count(*page);
}

Test(core_pages, the_end_of_a_page_goes_on_behind_it_also_behind_the_last)
{
    kivi_store *store = scripted_store("memory:?namespace=n");
    kivi_page *first, *last, *none;
    kivi_range range = KIVI_RANGE_INIT;
    put(store, "a1");
    put(store, "a2");
    put(store, "a3");
    cr_assert_eq(page_of(store, "a", kivi_bytes(NULL, 0), &first), 2);
    cr_assert_eq(kivi_page_end(first).data, kivi_page_cursor(first).data);
    cr_assert_eq(page_of(store, "a", kivi_page_end(first), &last), 1);
    cr_assert_eq(kivi_page_cursor(last).size, 0);
    cr_assert_gt(kivi_page_end(last).size, 0);
    put(store, "a4"); /* behind the end as well: what is over stays so */
    cr_assert_eq(page_of(store, "a", kivi_page_end(last), &none), 0);
    cr_assert_eq(kivi_page_cursor(none).size, 0);
    kivi_page_free(none);
    range.prefix = kivi_str("b");
    range.cursor = kivi_page_end(last);
    cr_assert_eq(kivi_store_page(store, NULL, &range, &none, NULL), KIVI_INVALID, "of another prefix");
    kivi_page_free(first);
    kivi_page_free(last);
    kivi_store_unref(store);
}

/* ---- what a backend must not, or need not, do ---- */

static size_t cursor_size;

/* One pair, and a cursor of the size that the test wants. */
static kivi_status play_cursor(scripted_verb *verb)
{
    static uint8_t bytes[8192];
    if (!verb->sink)
        return scripted_all_done(verb);
    kivi_status status = verb->sink->pair(verb->sink, kivi_str("k"), kivi_str("v"), KIVI_TTL_NONE);
    return status ? status : verb->sink->cursor(verb->sink, kivi_bytes(bytes, cursor_size));
}

static kivi_status cursor_of(kivi_store *store, size_t size, kivi_error **error)
{
    kivi_range range = KIVI_RANGE_INIT;
    kivi_page *page = NULL;
    cursor_size = size;
    kivi_status status = kivi_store_page(store, NULL, &range, &page, error);
    if (!status)
        cr_assert_gt(kivi_page_cursor(page).size, size);
    kivi_page_free(page);
    return status;
}

static void check_cursor_limit(uint64_t max_stored_key, size_t most)
{
    kivi_error *error = NULL;
    script.max_stored_key = max_stored_key;
    kivi_store *store = scripted_store("scripted:");
    cr_assert_eq(cursor_of(store, most, &error), KIVI_OK);
    cr_assert_eq(cursor_of(store, most + 1, &error), KIVI_INTERNAL);
    cr_assert(strstr(kivi_error_message(error), "a cursor of"), "%s", kivi_error_message(error));
    kivi_error_free(error);
    kivi_store_unref(store);
}

/* The backend passes the core's refusal on without words: the core has them. */
Test(core_pages, a_cursor_has_room_for_a_key)
{
    static const uint32_t shapes[] = {0, KIVI_BACKEND_BLOCKING,
                                      KIVI_BACKEND_BLOCKING | KIVI_BACKEND_SHARED_READS};
    script.play = play_cursor;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        script.flags = shapes[i];
        check_cursor_limit(1000, 4096);
        check_cursor_limit(4032, 4096);
        check_cursor_limit(4033, 4097);
        check_cursor_limit(8000, 8064);
    }
}

Test(core_pages, a_backend_without_scan_has_no_function_for_it)
{
    uint64_t count;
    kivi_error *error = NULL;
    kivi_range range = KIVI_RANGE_INIT;
    kivi_page *page = NULL;
    script.no_scan = true;
    kivi_store *store = scripted_store("scripted:");
    put(store, "k");
    cr_assert_eq(kivi_store_page(store, NULL, &range, &page, &error), KIVI_UNSUPPORTED);
    kivi_error_free(error);
    cr_assert_eq(kivi_store_count(store, NULL, kivi_str(""), &count, &error), KIVI_UNSUPPORTED);
    kivi_error_free(error);
    cr_assert_eq(kivi_store_clear(store, NULL, kivi_str("k"), 0, &count, &error), KIVI_UNSUPPORTED);
    kivi_error_free(error);
    kivi_store_unref(store);
    script.claims_scan = true;
    store = NULL;
    cr_assert_eq(kivi_store_open("scripted:", NULL, NULL, &store, &error), KIVI_INTERNAL);
    cr_assert(strstr(kivi_error_message(error), "no scan()"), "%s", kivi_error_message(error));
    cr_assert_null(store);
    kivi_error_free(error);
}
