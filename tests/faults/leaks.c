/* What is opened is given back: a thousand times, the same descriptors and the same memory. */
#include "common/amount.h"
#include "common/faults.h"

TestSuite(leaks, .init = case_begin, .fini = case_end);

enum { TIMES = 1000, WARM = 20 };

/* An ordinary short life: some of each kind of call, also calls that fail. */
static void open_use_close(const char *url)
{
    kivi_store *store = open_store(url, folder);
    kivi_buffer got = KIVI_BUFFER_INIT;
    kivi_slice keys[] = {kivi_str("a"), kivi_str("b")}, values[] = {kivi_str("1"), kivi_str("2")};
    kivi_result *result = NULL;
    kivi_page *page = NULL;

    OK(kivi_store_set_many(store, NULL, keys, values, 2, KIVI_TTL_NONE, &result, E));
    kivi_result_free(result);
    OK(kivi_store_get(store, NULL, keys[0], &got, E));
    OK(kivi_store_page(store, NULL, NULL, &page, E));
    kivi_page_free(page);
    ANSWERS(KIVI_INVALID, kivi_store_get(store, NULL, kivi_bytes(NULL, 0), &got, E));
    ANSWERS(KIVI_CONDITION, kivi_store_add(store, NULL, keys[0], values[0], KIVI_TTL_NONE, E));
    kivi_buffer_free(&got);
    kivi_store_unref(store);
}

static void expect_flat(const char *what, amount before, amount after)
{
    /* The smallest leak is of 32 bytes; the allocator counts what it keeps at hand as in use. */
    amount_expect(what, before, after, 16 * TIMES);
#ifdef __SANITIZE_ADDRESS__
    return; /* it keeps freed memory, large pieces as maps of their own */
#endif
    CHECK_SAYING(after.maps < before.maps + TIMES / 10, "maps were left");
    CHECK_SAYING(after.resident < before.resident + 4096, "the process grew");
}

static void open_often(const char *url)
{
    amount before;

    for (unsigned i = 0; i < WARM; i++)
        open_use_close(url);
    before = amount_now();
    for (unsigned i = 0; i < TIMES; i++)
        open_use_close(url);
    expect_flat(url, before, amount_now());
}

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"

Test(leaks, lmdb, .timeout = 120)
{
    open_often("lmdb:%s/data?codec=raw&sync=false");
}

Test(leaks, lmdb_directory, .timeout = 120)
{
    open_often("lmdb:%s/data/?codec=raw&sync=false&map_size=1MiB");
}

Test(leaks, memory, .timeout = 120)
{
    open_often("memory:?codec=raw");
}

Test(leaks, memory_by_name, .timeout = 120)
{
    open_often("memory:name?codec=raw");
}

Test(leaks, memory_blocking, .timeout = 120)
{
    open_often("memory:?codec=raw&shape=blocking");
}

Test(leaks, memory_stepped, .timeout = 120)
{
    open_often("memory:?codec=raw&shape=stepped");
}

/* Opens that are refused, each for another reason. */
Test(leaks, refused_opens, .timeout = 120)
{
    static const struct {
        const char *url;
        kivi_status wanted;
    } rows[] = {
        {"lmdb:%s/nowhere/data", KIVI_INVALID},
        {"lmdb:%s/missing?read_only=true", KIVI_INVALID},
        {"lmdb:%s/text", KIVI_CORRUPT},
        {"lmdb:%s/data?mode=9", KIVI_INVALID},
        {"lmdb:%s/data?map_sise=1", KIVI_INVALID},
        {"lmdb:%s/data?map_size=huge", KIVI_INVALID},
        {"lmdb:%s/data?codec=xml", KIVI_INVALID},
        {"nobody:%s", KIVI_INVALID},
        {"lmdb:", KIVI_INVALID},
        {"memory:?shape=round", KIVI_INVALID},
    };
    amount before = {0};
    text path;

    print(&path, "%s/text", folder);
    CHECK(fill_file(path.bytes, 20000) == 20000);
    for (unsigned i = 0; i < WARM + TIMES; i++) {
        kivi_store *store = NULL;
        text url;
        if (i == WARM)
            before = amount_now();
        print(&url, rows[i % 10].url, folder);
        ANSWERS(rows[i % 10].wanted, kivi_store_open(url.bytes, NULL, NULL, &store, E));
        CHECK(store == NULL);
    }
    expect_flat("refused opens", before, amount_now());
}

/* Children that inherit a store, use it and end; and the parent that opens it in between. */
static void use_in_child(int in, int out, void *user)
{
    unsigned before = amount_descriptors();

    (void)in, (void)out;
    put(user, "child", "1");
    for (unsigned i = 0; i < 50; i++)
        open_use_close("lmdb:%s/other?codec=raw&sync=false");
    expect_holds(user, "child", "1");
    /* The parent's descriptors were given back when the child opened its own. */
    CHECK_SAYING(amount_descriptors() <= before + 8, "%u descriptors, %u before",
                 amount_descriptors(), before);
}

Test(leaks, children, .timeout = 120)
{
    kivi_store *store = open_lmdb("&sync=false");
    amount before = {0};

    for (unsigned i = 0; i < 40; i++) {
        child c = child_start(use_in_child, store);
        child_ends(&c);
        if (i == 5)
            before = amount_now();
    }
    expect_flat("children", before, amount_now());
    kivi_store_unref(store);
}
