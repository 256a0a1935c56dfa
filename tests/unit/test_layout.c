/* Data that another program made: opened only by those who name its codec. */
#include <criterion/criterion.h>
#include <kivi/kivi.h>
#include <string.h>

Test(layout, a_foreign_store_needs_its_codec_named)
{
    kivi_store *store = NULL;
    kivi_error *error = NULL;
    cr_assert_eq(kivi_store_open("memory:?layout=foreign", NULL, NULL, &store, &error), KIVI_INVALID);
    cr_assert_null(store);
    cr_assert_not_null(strstr(kivi_error_message(error), "codec"), "%s", kivi_error_message(error));
    kivi_error_free(error);
}

static void expect_open(const char *url, const char *codec)
{
    kivi_store *store = NULL;
    cr_assert_eq(kivi_store_open(url, NULL, NULL, &store, NULL), KIVI_OK, "%s", url);
    cr_assert_str_eq(kivi_store_codec(store), codec);
    kivi_store_unref(store);
}

Test(layout, any_codec_that_is_named_will_do)
{
    expect_open("memory:?layout=foreign&codec=json", "json");
    expect_open("memory:?layout=foreign&codec=raw", "raw");
    expect_open("memory:?layout=foreign&codec=msgpack", "msgpack");
}

Test(layout, ours_and_unmarked_ones_do_not)
{
    expect_open("memory:?layout=ours", "msgpack");
    expect_open("memory:?layout=unmarked", "msgpack");
}
